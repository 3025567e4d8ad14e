//! Detection of a file's kind: its content decides, and its name only if the content fits several kinds.
//!
//! A known file that is no transcript is named in the refusal, so that nobody has to guess what is wrong with it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::other_files::{is_no, of_beginning, of_lines, unread_text};
use super::vendors::speechmatics::is_message;
use super::vendors::whisper;
use crate::format::core::error::FormatError;
use crate::format::core::json_spans::{Fields, SPEAKER_FIELDS, Seconds, is_rows, values, whole};
use crate::format::core::kinds::{FileKind, Format};
use crate::format::core::speech_evidence;
use crate::format::json::guessed_rows::{is_guess, is_kind_of_lines};
use crate::format::text::text_lines::{excerpt, numbered};
use crate::format::text::time_lines::TimeLines;
use crate::format::text::{markdown, nlp, rttm};
use crate::format::{srt, ttml, webvtt};

/// The most rows that are examined to find the kind of a file of rows. A recording begins with messages about the
/// connection.
const ROWS_MAX: usize = 100;

/// Returns true if the first lines of `text` show its kind, as those of plain text and Markdown do not.
pub(super) fn has_sign(text: &str) -> bool {
    webvtt::is_one(text)
        || nlp::is_one(text)
        || rttm::is_one(text)
        || unread_text(text).or_else(|| of_beginning(text)).is_some()
}

pub(super) fn detect(text: &str, file_name: Option<&str>) -> Result<FileKind, FormatError> {
    if webvtt::is_one(text) {
        return Ok(FileKind::Vtt);
    }
    if nlp::is_one(text) {
        return Ok(FileKind::Nlp);
    }
    if rttm::is_one(text) {
        return Err(is_no(
            "RTTM, which says who speaks when, and not what: give it together with the file of the words",
        ));
    }
    if let Some(refusal) = unread_text(text).or_else(|| of_beginning(text)) {
        return Err(refusal);
    }
    // A text may begin like XML or JSON and continue otherwise: a kind that its lines show counts for more than a
    // refusal.
    let refusal = match text.trim_start().as_bytes().first() {
        Some(b'<') => match ttml::kind(text) {
            Ok(kind) => return Ok(kind),
            Err(refusal) => Some(refusal),
        },
        Some(b'{' | b'[') if is_json(text) => match json(text) {
            Ok(kind) => return Ok(kind),
            Err(refusal) => Some(refusal),
        },
        _ => None,
    };
    let named = file_name.and_then(Format::from_name).and_then(FileKind::of);
    // Without a sign at its head, a file is of the kind that most of its lines follow. The name decides between kinds
    // that it follows.
    let headers = |kind| speech_evidence::count(kind, numbered(text).map(|(_, line)| line));
    // Other texts have a name and a time on one line too. They are transcripts if they begin with it, or repeat it.
    let first = numbered(text).map(|(_, line)| line).find(|line| !line.trim().is_empty());
    let sure = |kind| match headers(kind) {
        1 if speech_evidence::count(kind, first.into_iter()) == 0 => 0,
        count => count,
    };
    let lines: Vec<&str> = numbered(text).map(|(_, line)| line).collect();
    // Names alone behind the times of rows, with the text below, are headers.
    let names = speech_evidence::count_loose(FileKind::Otter, &lines);
    let timed = match sure(FileKind::Timed) {
        rows if names * 2 > rows => 0,
        rows => rows,
    };
    // Rows with two times and text behind them are no cues, if they can be read as rows.
    let (cues, rows) = srt::count(text);
    let cues = if rows * 2 > cues && timed >= rows { cues - rows } else { cues };
    let bold = markdown::count(text);
    let counts = [
        (FileKind::Rev, headers(FileKind::Rev)),
        (FileKind::Names, headers(FileKind::Names)),
        (FileKind::Srt, cues),
        (FileKind::Markdown, bold),
        (FileKind::Otter, sure(FileKind::Otter)),
        (FileKind::Timed, timed),
    ];
    // Cues below a header of WebVTT are WebVTT.
    let of_cues = |kind| if kind == FileKind::Srt && webvtt::is_nearly_one(text) { FileKind::Vtt } else { kind };
    if let Some((kind, 1..)) = counts.into_iter().find(|(kind, _)| Some(*kind) == named) {
        return Ok(of_cues(kind));
    }
    let most = |counts: &[(FileKind, usize)]| counts.iter().rev().copied().max_by_key(|(_, count)| *count);
    let sure = most(&counts).filter(|(_, count)| *count > 0);
    // `**Name** (00:01):` counts as both.
    let sure = sure.map(|found| if found == (FileKind::Rev, bold) { (FileKind::Markdown, bold) } else { found });
    let times = TimeLines::of(&lines).map(|times| (times.kind(), times.count));
    let loose = [
        (FileKind::Otter, names),
        (FileKind::Timed, speech_evidence::count_loose(FileKind::Timed, &lines)),
        (FileKind::Names, speech_evidence::count_loose(FileKind::Names, &lines)),
        times.unwrap_or((FileKind::Otter, 0)),
    ];
    // Forms that other texts have as well count only if hardly anything has another form.
    let loose = most(&loose).filter(|(_, count)| *count > sure.map_or(0, |(_, sure)| sure * 4));
    let Some((kind, count)) = loose.or(sure) else { return Err(refusal.unwrap_or_else(|| of_lines(text))) };
    // Programmes, chapters and logs have such lines too.
    let has_headers = matches!(kind, FileKind::Rev | FileKind::Names | FileKind::Otter | FileKind::Timed);
    let is_by_times = times == Some((kind, count));
    match speech_evidence::timed_list(&lines, Some(kind)).filter(|_| has_headers && !is_by_times) {
        Some(list) => Err(FormatError::NotSpeech { what: list.as_str(), kind }),
        None => Ok(of_cues(kind)),
    }
}

/// Returns true for a text that begins like JSON. `[inaudible]` and `{\an8}` do not.
fn is_json(text: &str) -> bool {
    let inside = text.trim_start()[1..].trim_start();
    inside.starts_with(['"', '{', '}', '[', ']']) && !text.trim_start().starts_with("[[")
}

fn json(text: &str) -> Result<FileKind, FormatError> {
    let is_list = text.trim_start().starts_with('[');
    if is_rows(text) && !is_list {
        let rows = text.lines().filter(|row| !row.trim().is_empty()).take(ROWS_MAX);
        let rows: Vec<Fields<'_>> = rows.filter_map(|row| serde_json::from_str(row).ok()).collect();
        if let Some(refusal) = untimed(&rows) {
            return Err(refusal);
        }
        let kind = rows.iter().find_map(|row| row_kind(row));
        return kind.map_or_else(|| many(&rows, "rows of JSON, the first of them"), Ok);
    }
    if is_list {
        let lists = values(text)?;
        let list = lists.iter().filter_map(|list| serde_json::from_str::<Vec<&RawValue>>(list.get()).ok()).flatten();
        let items: Vec<Option<Fields<'_>>> =
            list.take(ROWS_MAX).map(|item| serde_json::from_str(item.get()).ok()).collect();
        let is_empty = items.is_empty();
        let items: Vec<Fields<'_>> = items.into_iter().flatten().collect();
        return match items.iter().find(|item| is_plain_line(item) || whisper::is_segment(item)) {
            _ if is_empty => Err(is_no("an empty list")),
            Some(_) if let Some(refusal) = untimed(&items) => Err(refusal),
            Some(item) if is_plain_line(item) && lists.len() > 1 => {
                Err(is_no("several lists of lines in one file: give each as a file of its own, or each line as a row"))
            }
            Some(item) if is_plain_line(item) => Ok(FileKind::Ndjson),
            Some(_) => Ok(FileKind::Whisper),
            None => many(&items, "a list of"),
        };
    }
    // Transcripts of several runs, one after the other.
    let fields: Fields<'_> = match whole(text) {
        Ok(fields) => fields,
        Err(broken) => {
            let objects: Option<Vec<Fields<'_>>> = values(text)
                .ok()
                .and_then(|values| values.iter().map(|value| serde_json::from_str(value.get()).ok()).collect());
            let objects = objects.ok_or(broken)?;
            if let Some(kind) = objects.iter().take(ROWS_MAX).find_map(|row| row_kind(row)) {
                return Ok(kind);
            }
            return many(&objects, "several objects in JSON, the first of them");
        }
    };
    if let Some(text_alone) = text_without_times(&fields) {
        return Err(text_alone);
    }
    if let Some(kind) = object_kind(&fields) {
        return Ok(kind);
    }
    match (unread_json(&fields), row_kind(&fields)) {
        (Some(refusal), _) => Err(refusal),
        (None, Some(kind)) => Ok(kind),
        (None, None) => Err(unread_pieces(&fields).unwrap_or_else(|| is_no(words(&fields)))),
    }
}

/// Returns the kind of a file that holds several JSON objects, as rows or as items of a list.
fn many(objects: &[Fields<'_>], what: &str) -> Result<FileKind, FormatError> {
    let Some(first) = objects.first() else { return Err(is_no(format!("{what} what is no object"))) };
    match objects.iter().find_map(|object| object_kind(object)) {
        Some(FileKind::Whisper) => match objects.iter().find_map(|object| text_without_times(object)) {
            Some(refusal) if objects.iter().all(|object| text_without_times(object).is_some()) => Err(refusal),
            _ => Ok(FileKind::Whisper),
        },
        Some(kind) => {
            let one = FileKind::ALL.into_iter().find(|(known, ..)| *known == kind).map_or("", |(.., words)| words);
            Err(is_no(format!("several transcripts in one file ({one}): give each as a file of its own")))
        }
        None => {
            let refusal = unread_json(first).or_else(|| unread_pieces(first));
            Err(refusal.unwrap_or_else(|| is_no(format!("{what} {}", words(first)))))
        }
    }
}

/// Returns the refusal of objects with text, start and end that are no segments of speech: pieces of a text, or days of
/// a calendar.
fn untimed(objects: &[Fields<'_>]) -> Option<FormatError> {
    let number = |fields: &Fields<'_>, name: &str| fields.get(name).and_then(|value| value.get().parse::<i64>().ok());
    // Their times count characters. A single segment may last as many seconds as it has letters, by chance.
    let are_many = objects.len() > 1;
    let is_piece = |fields: &Fields<'_>| {
        let (start, end, text) = (number(fields, "start")?, number(fields, "end")?, word(fields, "text")?);
        let length = text.chars().count() as i64;
        let is_labelled = ["label", "labels", "entity", "entity_group"].iter().any(|name| fields.contains_key(*name));
        Some(
            !fields.contains_key("speaker")
                && (are_many && length > 3 && end.checked_sub(start) == Some(length) || is_labelled && end <= length),
        )
    };
    let is_day = |fields: &Fields<'_>| {
        let start = word(fields, "start").filter(|_| !fields.contains_key("speaker"))?;
        let seconds: Seconds = serde_json::from_str(fields["start"].get()).unwrap_or_default();
        Some(seconds.ms().is_none() && start.starts_with(|c: char| c.is_ascii_digit()) && start.contains(['-', '/']))
    };
    let all = |is_one: &dyn Fn(&Fields<'_>) -> Option<bool>| {
        !objects.is_empty() && objects.iter().all(|fields| is_one(fields) == Some(true))
    };
    match () {
        () if all(&is_piece) => {
            Some(is_no("a list of pieces of a text (entities): their start and end count characters"))
        }
        () if all(&is_day) => Some(is_no("a calendar: the starts of its entries are dates")),
        () => None,
    }
}

/// Returns true for a line as publishers send it: text, with its start in milliseconds or at least its speaker; or with
/// `start` and a mark as interim.
fn is_plain_line(fields: &Fields<'_>) -> bool {
    let is_line = word(fields, "type").is_none_or(|kind| kind == "line" || is_kind_of_lines(&kind));
    let has = |name: &str| fields.contains_key(name);
    let is_timed = has("start") || has("timestamp");
    is_line
        && has("text")
        && (has("start_ms") || names_speaker(fields) && !is_timed || has("start") && is_guess(fields))
}

fn names_speaker(fields: &Fields<'_>) -> bool {
    SPEAKER_FIELDS.into_iter().any(|name| fields.contains_key(name))
}

/// Returns the refusal of a transcript without times: a text beside lists without a segment or a word.
fn text_without_times(fields: &Fields<'_>) -> Option<FormatError> {
    let is_empty =
        |name: &str| fields.get(name).is_none_or(|list| matches!(list.get(), "null" | "{}") || is_empty_list(list));
    let lists = whisper::LISTS.into_iter().chain(whisper::WORD_LISTS);
    let has_lists = lists.clone().any(|name| fields.contains_key(name));
    let is_of_line =
        ["type", "start", "start_ms", "segment_id", "speaker"].iter().any(|name| fields.contains_key(*name));
    let is_bare = has_lists && lists.clone().all(is_empty) && !is_of_line;
    (is_bare && word(fields, "text").is_some_and(|text| !text.trim().is_empty())).then_some(FormatError::NotRead {
        what: "a transcript in JSON that is text without times: it has no segments and no words",
        instead: "ask the engine for segments (OpenAI: verbose_json or diarized_json), srt or vtt, or save the text as .txt with \
                  names and times",
    })
}

fn is_empty_list(list: &RawValue) -> bool {
    list.get().strip_prefix('[').is_some_and(|inside| inside.trim() == "]")
}

fn word<'a>(fields: &Fields<'a>, name: &str) -> Option<Cow<'a, str>> {
    fields.get(name).and_then(|word| serde_json::from_str(word.get()).ok())
}

/// Returns the kind of a file that is one object.
fn object_kind(fields: &Fields<'_>) -> Option<FileKind> {
    let has = |name: &str| fields.contains_key(name);
    let is_list = |name: &str| fields.get(name).is_some_and(|value| value.get().starts_with('['));
    // Several programs use a list of one name: the first items show which one it is.
    let items = |name: &str| -> Vec<&RawValue> {
        let list = fields.get(name).and_then(|list| serde_json::from_str::<Vec<&RawValue>>(list.get()).ok());
        list.unwrap_or_default()
    };
    let objects = |name: &str| -> Vec<Fields<'_>> {
        items(name).into_iter().take(ROWS_MAX).filter_map(|item| serde_json::from_str(item.get()).ok()).collect()
    };
    // For a list without items, its name suffices. A list of texts or numbers fits no kind.
    let any = |name: &str, is_one: fn(&Fields<'_>) -> bool| items(name).is_empty() || objects(name).iter().any(is_one);
    let results = fields.get("results").and_then(|results| serde_json::from_str::<Fields<'_>>(results.get()).ok());
    match () {
        () if is_list("turns") && has("feed") => Some(FileKind::Json),
        () if is_list("monologues") => Some(FileKind::RevJson),
        () if is_list("sentences") && any("sentences", |item| !item.contains_key("start")) => Some(FileKind::Cdp),
        () if is_list("content") && word(fields, "type").as_deref() == Some("doc") => Some(FileKind::RevEditor),
        () if is_list("results") && any("results", |item| item.contains_key("type")) => Some(FileKind::Speechmatics),
        () if results.is_some_and(|results| results.contains_key("items")) => Some(FileKind::Aws),
        () if is_list("speakers") && objects("speakers").iter().any(whisper::is_segment) => Some(FileKind::Whisper),
        () if is_list("segments") && word(fields, "type").is_none() && !has("version") && !has("body") => {
            let segments = objects("segments");
            match segments.iter().any(|segment| segment.contains_key("body") || segment.contains_key("startTime")) {
                true => Some(FileKind::Podcast),
                false => any("segments", whisper::is_segment).then_some(FileKind::Whisper),
            }
        }
        () if is_list("segments") && has("version") => Some(FileKind::Podcast),
        () if is_list("transcription") && any("transcription", whisper::is_segment) => Some(FileKind::Whisper),
        () if is_list("chunks") && any("chunks", whisper::is_segment) => Some(FileKind::Whisper),
        // Words without segments, with their text if it is known. With a `transcript` they are another engine's.
        () if word(fields, "type").is_none() && !has("transcript") && whisper::is_transcript(fields) => {
            let are_words = |name: &&str| objects(name).iter().any(whisper::is_word);
            let is_empty = is_list("words") && items("words").is_empty() && has("text") && has("duration");
            (is_empty || whisper::WORD_LISTS.iter().any(are_words)).then_some(FileKind::Whisper)
        }
        () => None,
    }
}

/// Returns the kind of a file with such a row, which may wrap its message once, as recordings do. Readers look no
/// deeper.
fn row_kind(fields: &Fields<'_>) -> Option<FileKind> {
    let inner = |name: &str| fields.get(name).and_then(|inner| serde_json::from_str::<Fields<'_>>(inner.get()).ok());
    match inner("payload").or_else(|| inner("message")) {
        Some(message) => message_kind(&message),
        None => message_kind(fields),
    }
}

fn message_kind(fields: &Fields<'_>) -> Option<FileKind> {
    if is_message(fields, "AddTranscript") {
        return Some(FileKind::Speechmatics);
    }
    let has = |name: &str| fields.contains_key(name);
    let has_speech = ["segments", "confirmed", "pending", "text"].into_iter().any(|name| fields.contains_key(name));
    match word(fields, "type").as_deref() {
        Some("transcript" | "transcription" | "transcription_segment") if has_speech => Some(FileKind::Vexa),
        Some("feed" | "line" | "turn" | "speaker") => Some(FileKind::Ndjson),
        Some(whisper::SEGMENT_MESSAGE) => Some(FileKind::Whisper),
        None if has("op") && has("received_at") => Some(FileKind::Ndjson),
        None if has("segment_id") && has("text") => Some(FileKind::Vexa),
        None if has("text") && (has("start_ms") || has("start") || names_speaker(fields)) => Some(FileKind::Ndjson),
        Some(kind)
            if has("text") && is_kind_of_lines(kind) && (has("start_ms") || has("start") || names_speaker(fields)) =>
        {
            Some(FileKind::Ndjson)
        }
        _ => None,
    }
}

/// The hint about other formats of an engine.
const INSTEAD_OF_JSON: &str = "ask for SubRip or WebVTT, or write its lines as rows of JSON \
     ({\"start_ms\": 1500, \"speaker\": \"Ann\", \"text\": \"Hello.\"})";

/// The fields beside the text in JSON that is a text without times.
const BESIDE_TEXT: [&str; 9] =
    ["text", "task", "language", "duration", "usage", "logprobs", "segments", "words", "x_groq"];

/// The names of the start of a piece, in the JSON of engines.
const TIMES_OF_PIECES: [&str; 8] =
    ["start", "end", "start_ms", "start_time", "startTime", "startOffset", "offsetInTicks", "timestamp"];

/// The names of its end.
const ENDS_OF_PIECES: [&str; 5] = ["end", "end_ms", "end_time", "endTime", "endOffset"];

/// The names of its text.
const TEXTS_OF_PIECES: [&str; 6] = ["text", "word", "content", "transcript", "body", "alternatives"];

/// Returns the refusal of an engine's JSON that is known but not read.
fn unread_json(fields: &Fields<'_>) -> Option<FormatError> {
    let has = |name: &str| fields.contains_key(name);
    let inner = |name: &str, field: &str| {
        let inner = fields.get(name).and_then(|inner| serde_json::from_str::<Fields<'_>>(inner.get()).ok());
        inner.is_some_and(|inner| inner.contains_key(field))
    };
    let what = match () {
        () if inner("results", "channels") || inner("results", "utterances") => "a transcript of Deepgram in JSON",
        () if has("recognizedPhrases") || has("combinedRecognizedPhrases") || has("combinedPhrases") => {
            "a batch transcript of Azure Speech in JSON"
        }
        () if has("utterances") || has("audio_duration") || has("sentences") => "a transcript of AssemblyAI in JSON",
        () if has("language_probability") && has("words") => "a transcript of ElevenLabs in JSON",
        () if has("results") && fields["results"].get().contains("\"transcript\"") => {
            "a transcript of Google Speech-to-Text in JSON"
        }
        () if has("tokens") && has("text") => "a transcript of Soniox in JSON",
        () if inner("result", "transcription") || inner("transcription", "utterances") => {
            "a transcript of Gladia in JSON"
        }
        () if has("text")
            && fields.keys().all(|name| BESIDE_TEXT.contains(&&**name))
            && timed_pieces(fields).is_empty() =>
        {
            return Some(FormatError::NotRead {
                what: "a transcript in JSON that is text without times (OpenAI's `json`)",
                instead: "ask for verbose_json, diarized_json, srt or vtt",
            });
        }
        () => return None,
    };
    Some(FormatError::NotRead { what, instead: INSTEAD_OF_JSON })
}

/// The pieces in the lists of an object that have a text and a time, each with the name of its list.
fn timed_pieces<'a>(fields: &Fields<'a>) -> Vec<(String, Fields<'a>)> {
    let mut all = Vec::new();
    for (name, list) in fields {
        let items: Vec<&RawValue> = serde_json::from_str(list.get()).unwrap_or_default();
        let pieces = items.into_iter().take(ROWS_MAX).filter_map(|item| serde_json::from_str(item.get()).ok());
        let is_timed = |piece: &Fields<'_>| {
            let has = |names: &[&str]| names.iter().any(|name| piece.contains_key(*name));
            has(&TIMES_OF_PIECES) && has(&TEXTS_OF_PIECES)
        };
        all.extend(pieces.filter(is_timed).map(|piece| (name.to_string(), piece)));
    }
    all
}

/// Returns the refusal of JSON that is a transcript by the pieces in its lists, but not read.
fn unread_pieces(fields: &Fields<'_>) -> Option<FormatError> {
    let pieces = timed_pieces(fields);
    let has = |list: &str, names: &[&str]| {
        let has_all = |piece: &Fields<'_>| names.iter().all(|name| piece.contains_key(*name));
        pieces.iter().any(|(name, piece)| name == list && has_all(piece))
    };
    let is_spoken = |piece: &Fields<'_>| {
        let has = |names: &[&str]| names.iter().any(|name| piece.contains_key(*name));
        has(&ENDS_OF_PIECES) && has(&TEXTS_OF_PIECES) && untimed(std::slice::from_ref(piece)).is_none()
    };
    let what = match () {
        () if has("words", &["type", "start"]) => "a transcript of ElevenLabs in JSON",
        () if has("words", &["text", "start"]) => "a transcript of AssemblyAI in JSON",
        () if has("words", &["punctuated_word"]) => "a transcript of Deepgram in JSON",
        () if has("tokens", &["text", "start_ms"]) => "a transcript of Soniox in JSON",
        () if has("result", &["conf"]) => "a result of Vosk in JSON",
        () if pieces.iter().any(|(_, piece)| is_spoken(piece)) => "a transcript in JSON of an engine that is not known",
        () => return None,
    };
    Some(FormatError::NotRead { what, instead: INSTEAD_OF_JSON })
}

/// Describes an object that is no transcript.
fn words(fields: &Fields<'_>) -> String {
    let has = |name: &str| fields.contains_key(name);
    let kind = word(fields, "type").or_else(|| word(fields, "event")).or_else(|| word(fields, "message"));
    // A value with blanks may be speech, which a refusal must not contain.
    let kind = kind.filter(|kind| !kind.contains(char::is_whitespace));
    let names: Vec<_> = fields.keys().take(6).map(|name| excerpt(name)).collect();
    match () {
        () if has("job") => "the status of a transcription job (Speechmatics)".to_owned(),
        () if has("jobName") || has("TranscriptionJob") => "the status of a transcription job (AWS)".to_owned(),
        () if has("inference_result") => "an analysis of a call (AWS Bedrock), which sums up what was said".to_owned(),
        () if has("transcription_config") || has("diarization") || has("operating_point") => {
            "a configuration of speech recognition (Speechmatics)".to_owned()
        }
        () if has("action") => {
            format!("a request of a program ({:?})", excerpt(&word(fields, "action").unwrap_or_default()))
        }
        () if kind.is_some() => format!("a message of a program ({:?})", excerpt(&kind.unwrap_or_default())),
        () if names.is_empty() => "an empty JSON object".to_owned(),
        () => format!("JSON of another kind, with {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Short files of known programs: each is read as its kind, or refused by its name.
    #[test]
    fn no_kind_is_claimed_that_is_not_read() {
        for (file, name) in [
            ("{\"metadata\":{},\"results\":{\"channels\":[{\"alternatives\":[{\"transcript\":\"a\"}]}]}}", "Deepgram"),
            ("{\"id\":\"x\",\"text\":\"a\",\"audio_duration\":3,\"utterances\":[]}", "AssemblyAI"),
            ("{\"sentences\":[{\"text\":\"a\",\"start\":1,\"end\":2}],\"id\":\"x\"}", "AssemblyAI"),
            ("{\"source\":\"x\",\"recognizedPhrases\":[{}]}", "Azure"),
            ("{\"results\":[{\"alternatives\":[{\"transcript\":\"a\"}],\"languageCode\":\"en\"}]}", "Google"),
            (
                "{\"language_code\":\"en\",\"language_probability\":1,\"text\":\"a\",\"words\":[{\"text\":\"a\"}]}",
                "ElevenLabs",
            ),
            ("{\"text\":\"a\"}", "without times"),
            ("{\"text\":\"a\",\"usage\":{\"type\":\"tokens\"}}", "without times"),
            ("{\"text\":\"a\",\"words\":[{\"text\":\"a\",\"start\":100,\"end\":400}]}", "AssemblyAI"),
            ("{\"text\":\"a\",\"words\":[{\"text\":\"a\",\"start\":1,\"type\":\"word\"}]}", "ElevenLabs"),
            ("{\"transcript\":\"a\",\"words\":[{\"word\":\"a\",\"start\":1,\"punctuated_word\":\"A\"}]}", "Deepgram"),
            ("{\"result\":[{\"word\":\"a\",\"start\":1,\"end\":2,\"conf\":1}],\"text\":\"a\"}", "Vosk"),
            ("{\"transcription\":{\"utterances\":[{\"text\":\"a\",\"start\":1}]}}", "Gladia"),
            ("{\"text\":\"a\",\"phrases\":[{\"text\":\"a\",\"start\":1,\"end\":2}]}", "an engine that is not known"),
            ("[{\"start_ms\":0,\"text\":\"a\"}]\n[{\"start_ms\":0,\"text\":\"b\"}]", "several lists of lines"),
            ("{\"text\":\"a\",\"segments\":[]}", "without times"),
            ("{\"text\":\"a\",\"segments\":null,\"language\":\"en\"}", "without times"),
            ("{\"text\":\"a\",\"chunks\":[ ]}\n{\"text\":\"b\",\"chunks\":[]}\n", "without times"),
            ("{\"task\":\"transcribe\",\"duration\":1,\"text\":\"a\",\"words\":[]}", "without times"),
            ("{\"monologues\":[]}\n{\"monologues\":[]}\n", "several transcripts in one file (Rev's transcript JSON)"),
            ("[{\"monologues\":[]}]", "several transcripts in one file"),
            ("{\n\"a\":1}\n{\n\"b\":2}", "several objects in JSON"),
            ("[\"a\"]", "a list of what is no object"),
            ("[]", "an empty list"),
            (
                "[Script Info]\nScriptType: v4.00+\n\n[Events]\nDialogue: 0,0:00:00.10,0:00:01.20,,Ann,0,0,0,,Hi: so.\n",
                "ASS",
            ),
            ("Scenarist_SCC V1.0\n\n00:00:01:00\t9420 9420\n", "SCC"),
            ("<SAMI><BODY><SYNC Start=100><P>a</BODY></SAMI>", "SAMI"),
            ("<?xml version=\"1.0\"?><transcript><text start=\"0.1\">a</text></transcript>", "SRV"),
            ("<timedtext format=\"3\"><body><p t=\"1\">a</p></body></timedtext>", "SRV"),
            ("0:00:00.100,0:00:01.200\nHello.\n\n0:00:01.600,0:00:03.000\nAnn: yes.\n", "SBV"),
            ("{1}{30}Hello.|Yes.\n{40}{75}No.\n", "MicroDVD"),
            ("{\\rtf1 x}", "RTF"),
            // Lists of other things than segments.
            (
                "[{\"start\":0,\"end\":5,\"text\":\"Apple\",\"label\":\"ORG\"},{\"start\":9,\"end\":15,\"text\":\"Berlin\"}]",
                "entities",
            ),
            (
                "{\"text\":\"Ann is here\",\"start\":0,\"end\":3,\"label\":\"PER\"}\n{\"text\":\"Bonn\",\"start\":0,\"end\":4}\n",
                "entities",
            ),
            ("[{\"start\":\"2026-01-01\",\"end\":\"2026-01-02\",\"text\":\"Holiday\"}]", "calendar"),
            (
                "[{\"start\":\"2026-01-01T10:00:00Z\",\"end\":\"2026-01-01T11:00:00Z\",\"text\":\"Meeting\"}]",
                "calendar",
            ),
            ("{\"entities\":[{\"text\":\"Bonn\",\"start\":10}],\"text\":\"I live in Bonn\"}", "JSON of another kind"),
            (
                "{\"ts\":\"2026-01-01\",\"message\":\"it is secret\",\"text\":\"x\"}\n{\"message\":\"y\"}\n",
                "message, text, ts",
            ),
            ("[{\"id\":1,\"name\":\"Ann\"},{\"id\":2,\"name\":\"Ben\"}]", "id, name"),
            ("{\"name\":\"x\",\"version\":\"1.0.0\",\"scripts\":{},\"dependencies\":{}}", "dependencies, name"),
            ("{\"segments\":[{\"name\":\"a\",\"size\":1}],\"language\":\"en\"}", "JSON of another kind"),
            ("{\"type\":\"FeatureCollection\",\"features\":[]}", "FeatureCollection"),
            // Lists whose items are neither segments nor sentences.
            ("{\"segments\":[[0,1.2,\"Hello\"]]}", "segments"),
            ("{\"sentences\":[\"Hello.\"]}", "AssemblyAI"),
            ("{\"transcription\":[1,2]}", "transcription"),
            ("start\tend\ttext\n100\t1200\tHello.\n", "table"),
        ] {
            for file_name in [None, Some("a.rev.txt"), Some("a.json")] {
                let refusal = detect(file, file_name).expect_err(name).to_string();
                assert!(refusal.contains(name), "{name}: {refusal}");
            }
        }
    }

    #[test]
    fn a_message_is_wrapped_once() {
        let line = "{\"text\":\"a\",\"start\":1}";
        for name in ["payload", "message"] {
            let wrapped =
                |count: usize| format!("{}{line}{}", format!("{{\"{name}\":").repeat(count), "}".repeat(count));
            assert_eq!(detect(&wrapped(1), None), Ok(FileKind::Ndjson), "{name}");
            for count in [2, 20_000] {
                assert!(
                    matches!(detect(&wrapped(count), None), Err(FormatError::NotATranscript { .. })),
                    "{name} {count}"
                );
            }
        }
    }

    #[test]
    fn rows_with_two_times_are_no_cues() {
        for (file, kind) in [
            ("00:35 --> 00:40 Ann: Well.\n", FileKind::Timed),
            ("00:35 --> 00:40 Well.\n00:41 --> 00:44 Yes.\n", FileKind::Timed),
            ("00:00:35,000 --> 00:00:40,000 Ann: Well.\n\n00:00:41,000 --> 00:00:44,000 Ben: Yes.\n", FileKind::Timed),
            ("00:35 --> 00:40 align:start\nWell.\n\n00:41 --> 00:44 align:start\nYes.\n", FileKind::Srt),
            ("1\n00:00:35,000 --> 00:00:40,000 Ann:\nWell.\n", FileKind::Srt),
            ("00:00:35,000 --> 00:00:40,000\nWell.\n\n00:00:41,000 --> 00:00:44,000 Ben:\nYes.\n", FileKind::Srt),
            ("00:35 -- > 00:40 Well.\n00:41 -- > 00:44 Yes.\n", FileKind::Srt),
        ] {
            for name in [None, Some("a.txt")] {
                assert_eq!(detect(file, name), Ok(kind), "{file}");
            }
        }
    }

    /// Forms that other texts have too, each as a file of its own.
    #[test]
    fn transcripts_of_loose_forms_are_known() {
        let two = |one: &str, other: &str| format!("{one}\n\n{other}\n");
        for (kind, first, second) in [
            (FileKind::Otter, "[00:00:01] Ann Lee\nGood morning.", "[00:00:05] Ben Roth\nMorning."),
            (FileKind::Otter, "00:00:01 Ann Lee\nGood morning.", "00:00:05 Ben Roth\nMorning."),
            (FileKind::Otter, "0:01 - Ann Lee\n  Good morning.", "0:05 - Ben Roth\n  Morning."),
            (FileKind::Otter, "0:01 | Ann Lee\nGood morning.", "0:05 | Ben Roth\nMorning."),
            (FileKind::Otter, "Ann Lee - 00:01\nGood morning.", "Ben Roth - 00:05\nMorning."),
            (FileKind::Otter, "Ann Lee, 00:01\nGood morning.", "Ben Roth, 00:05\nMorning."),
            (FileKind::Otter, "Ann Lee 0:01\nGood morning.", "Ben Roth 0:05\nMorning."),
            (FileKind::Otter, "Ann Lee 10:02 AM\nGood morning.", "Ben Roth 10:03 AM\nMorning."),
            (FileKind::Otter, "[Ann Lee 0:01]\nGood morning.", "[Ben Roth 0:05]\nMorning."),
            (FileKind::Otter, "[Ann Lee, 0:01]\nGood morning.", "[Ben Roth, 0:05]\nMorning."),
            (FileKind::Otter, "**Ann Lee**  0:01\nGood morning.", "**Ben Roth**  0:05\nMorning."),
            (FileKind::Otter, "Ann Lee\n0:01\nGood morning.", "Ben Roth\n0:05\nMorning."),
            (FileKind::Otter, "Ann Lee\n\n0:01\n\nGood morning.", "Ben Roth\n\n0:05\n\nMorning."),
            (FileKind::Otter, "0:01\nAnn Lee\nGood morning.", "0:05\nBen Roth\nMorning."),
            (
                FileKind::Otter,
                "00:00:01:05 - 00:00:04:10\nAnn Lee\nGood.",
                "00:00:05:05 - 00:00:06:00\nBen Roth\nMorning.",
            ),
            (
                FileKind::Otter,
                "00;00;01;05 - 00;00;04;10\nAnn Lee\nGood.",
                "00;00;05;05 - 00;00;06;00\nBen Roth\nMorning.",
            ),
            (FileKind::Names, "Ann Lee: 0:01\nGood morning.", "Ben Roth: 0:05\nMorning."),
            (FileKind::Timed, "Ann Lee: [0:01] Good morning.", "Ben Roth: [0:05] Morning."),
            (FileKind::Timed, "Ann Lee (0:01): Good morning.", "Ben Roth (0:05): Morning."),
            (FileKind::Timed, "Ann Lee [00:00:01] Good morning.", "Ben Roth [00:00:05] Morning."),
            (FileKind::Timed, "[Ann Lee 0:01] Good morning.", "[Ben Roth 0:05] Morning."),
            (FileKind::Timed, "Ann Lee: 00:00:01 Good morning.", "Ben Roth: 00:00:05 Morning."),
            (FileKind::Timed, "Ann Lee 00:00:01: Good morning.", "Ben Roth 00:00:05: Morning."),
            (FileKind::Timed, "0:01\tAnn Lee\tGood morning.", "0:05\tBen Roth\tMorning."),
            (FileKind::Timed, "Ann Lee\t0:01\tGood morning.", "Ben Roth\t0:05\tMorning."),
            (FileKind::Timed, "0:01\t0:04\tAnn Lee\tGood morning.", "0:05\t0:07\tBen Roth\tMorning."),
            (FileKind::Timed, "00:00:00\nAnn Lee: Good morning.\nBen Roth: So.", "00:05:00\nBen Roth: Morning."),
            (FileKind::Timed, "- [00:01] Ann Lee: Good morning.", "- [00:05] Ben Roth: Morning."),
        ] {
            for ending in ["\n", "\r\n", "\u{A0}\n"] {
                let file = two(first, second).replace('\n', ending);
                assert_eq!(detect(&file, None), Ok(kind), "{file}");
                let reading = crate::format::registry::read(file.as_bytes(), None).expect("a transcript");
                let said =
                    reading.lines.iter().map(|line| (line.content.speaker.as_deref(), line.content.start_ms.is_some()));
                let named = |name: &str| said.clone().any(|one| one == (Some(name), true));
                assert!(named("Ann Lee") && named("Ben Roth"), "{file}{reading:?}");
                let is_clean = |text: &str| !text.contains([':', '[', '(', '\t']) && !text.contains("Lee");
                assert!(reading.lines.iter().all(|line| is_clean(&line.content.text)), "{file}{reading:?}");
            }
        }
    }

    #[test]
    fn bold_names_with_a_time_are_markdown() {
        let text = "**Ann Lee** (00:01):\nGood morning.\n\n**Ben Roth** (00:05):\nMorning.\n";
        assert_eq!(detect(text, None), Ok(FileKind::Markdown));
    }

    #[test]
    fn prose_and_lists_with_times_are_no_transcripts() {
        for text in [
            // Prose.
            "It was 1999: a year to remember.\nNote: something. At 10:30 we left.\n\nThe score was 3:2.\n",
            "10:30\nWe left the house and it rained all day.\n\nNote: bring shoes.\n",
            "We met at\n10:30\nand left at\n12:45\nto eat.\n",
            "Ann Lee 10:30\nWe met and talked about it all day long.\n",
            "Ann: Where is it?\nBen: There.\nAnn: When?\nBen: At 10:30.\n",
            "ANN: Where?\nBEN: There.\n12:30\nANN: So.\n",
            "In 1999: a year of change.\nAnn Lee: a life in letters.\nShe was born at 10:30 on a cold day.\n",
            "See [Knuth 12:30] for this.\n[Smith 10:12] says so and more.\n",
            "**Note:** something.\n\nThe score was 3:2 in 1999.\n",
            "Some **bold** (12:30) text.\n\n**Result** (12:30) was good.\n\n**Time** (10:30) too.\n",
            "From: Ann Lee\nDate: Mon, 30 Nov 2026 10:02:11\nSubject: It\n\nDear Ben,\nplease come at 10:30.\n",
            "Minutes of the meeting\nStart: 10:30\nEnd: 11:45\nPresent: Ann Lee, Ben Roth\nNote: nothing was decided.\n",
            "Time: 12:30\nServes: 4\nNote: something\nMix it all and bake.\n",
            // Scores and results.
            "Results\nKiel 31:28\nA close game for them all.\nFlensburg 27:25\nThe last goal fell late.\n",
            "Kiel - Flensburg 31:28\nA close game.\nBerlin - Bonn 27:25\nA late goal.\n",
            "Kiel won again.\nGermany 3:21\nIt was Note: something.\n",
            "Ann Lee - 12:31\nBerlin\nBen Roth - 12:44\nBonn\nCarl Oss - 13:02\nKiel\n",
            "Ann Lee\t12:31\tClub A\nBen Roth\t12:44\tClub B\nCarl Oss\t13:02\tClub C\n",
            // Verses.
            "John 3:16\nFor God so loved the world.\n",
            "Genesis 12:30\nAnd he went down into the land.\nGenesis 12:31\nAnd it came to pass.\n",
            "1 Samuel 12:03\nAnd he went down into the land.\n2 Samuel 12:31\nAnd it came to pass.\n",
            "Surah (2:25) says that it is so.\nSurah (2:26) says otherwise, as we know.\n",
            "For God so loved the world (John 3:16)\nBlessed be ye poor (Luke 6:20)\n",
            "John 3:16 - For God so loved.\nJohn 3:17 - For God sent not.\n",
            // Programmes, timetables, chapters, songs.
            "Opening Remarks - 10:00\nAnn Lee, chair\nKeynote Address - 10:30\nBen Roth\n",
            "10:00\nOpening Remarks\nAnn Lee, chair\n10:30\nKeynote Address\nBen Roth\n",
            "10:00\nChair: Ann Lee\n10:30\nChair: Ben Roth\nSpeaker: Carl Oss\n",
            "08:00 Breakfast\nIn the hall.\n09:30 Opening Session\nAnn Lee speaks to us all.\n10:15 Coffee Break\nOutside.\n",
            "**Keynote Address** 10:30\n\nAnn Lee speaks.\n\n**Final Words** 11:00\n\nBen Roth speaks.\n",
            "Ann Lee\t10:00\tRoom 1 is where it is.\nBen Roth\t10:30\tRoom 2 is where it is.\n",
            "10:02\tBerlin\tPlatform 1\n12:31\tBonn\tPlatform 4\n13:02\tBerlin\tPlatform 2\n",
            "0:00 Introduction\n1:12 The Budget\n5:30 Final Words\n",
            "0:00\nIntroduction\n1:12\nThe Budget\n5:30\nFinal Words\n",
            "1. Opening Song 3:21\n2. The Second Song 4:02\n3. Last Song 5:17\n",
            "Opening Song\t3:21\tAnn Lee\nSecond Song\t4:02\tAnn Lee\nLast Song\t5:17\tBen Roth\n",
            "10:02 <ann> hello\n10:03 <ben> hi\n",
        ] {
            for name in [None, Some("a.txt"), Some("a.md")] {
                assert!(detect(text, name).is_err(), "{text}{:?}", detect(text, name));
            }
        }
    }

    /// Short files that people have beside transcripts: none is taken for one, whatever its name, and most are named.
    #[test]
    fn what_is_no_transcript_is_refused_by_what_it_looks_like() {
        for (file, named) in [
            // Lists with times.
            ("(0:00) Intro\n(1:23) What we talk about\n(5:30) The budget\n(12:44) Questions\n", "chapters"),
            ("(0:00) Intro\n(1:23) What is it?\n(5:30) Is it safe?\n(12:44) How do we stop?\n", "chapters"),
            ("[00:00] Intro\n[01:23] What we talk about\n[05:30] The budget\n", "chapters"),
            ("00:00 Intro: why we are here\n01:23 Part 1: the past\n05:30 Part 2: the future\n", "chapters"),
            ("0:00 Intro\n1:23 The budget\n5:30 Questions\n", "chapters"),
            (
                "Timestamps:\n(00:00:00) Highlights\n(00:01:23) Introduction\n(01:02:44) Advice for the young\n",
                "chapters",
            ),
            ("Intro (0:00)\nWhat we talk about (1:23)\nThe budget (5:30)\nQuestions (12:44)\n", "chapters"),
            ("[00:00] Ann Lee - One\n[03:21] Ben Roth - Two\n[07:23] Carl Oss - Three\n", "chapters"),
            ("CHAPTER01=00:00:00.000\nCHAPTER01NAME=Intro\n", "chapters"),
            (
                "Tonight\n\n19:00 Doors open\n19:30 Ann Lee: Welcome\n19:45 Ben Roth: Songs\n21:00 Carl Oss: Piano\n",
                "programme",
            ),
            ("19:30 Welcome: Ann Lee\n19:45 Keynote: Ben Roth\n20:30 Panel: Carl Oss, Dora Fox\n", "programme"),
            ("19:30 - 19:45 Ann Lee: Welcome\n19:45 - 20:30 Ben Roth: Songs\n20:30 - 21:00 Interval\n", "programme"),
            ("(19:30) Welcome by the chair\n(19:45) The year in songs\n(21:00) Piano\n", "programme"),
            (
                "Ann Lee: (10:00)\nOpening remarks\n\nBen Roth: (10:30)\nKeynote\n\nCarl Oss: (11:00)\nPanel\n",
                "programme",
            ),
            ("Opening Remarks (10:00)\nAnn Lee\n\nKeynote (10:30)\nBen Roth\n\nPanel (11:00)\nCarl Oss\n", "programme"),
            (
                "Minutes\n\n10:00 Opened: Ann Lee in the chair\n10:05 Apologies: Ben Roth\n10:10 Budget: approved\n",
                "programme",
            ),
            ("20:00 News\n20:15 Crime: The Fall\n21:45 Talk: The Show\n22:45 Late News\n", "programme"),
            (
                "10:02 ICE 123: Berlin - Bonn\n11:05 ICE 124: Berlin - Kiel\n11:40 RE 7: Bonn - Kiel\n",
                "a list with times",
            ),
            ("Goals\n(12:31) Ann Lee\n(44:02) Ben Roth\n(89:59) Carl Oss\n", "a list with times"),
            (
                "12:31 Goal: Ann Lee scores\n44:02 Yellow card: Ben Roth\n45:00 Half time\n89:59 Goal: Carl Oss\n",
                "a list",
            ),
            (
                "[3:16] For God so loved the world.\n[3:17] For God sent not his Son.\n[3:18] Who believes is saved.\n",
                "verses",
            ),
            (
                "3:16 For God so loved the world.\n3:17 For God sent not his Son.\n3:18 Who believes is saved.\n",
                "verses",
            ),
            // Logs, and chats with dates.
            ("[10:02:00] INFO: server started\n[10:02:05] WARN: slow disk\n[10:02:11] ERROR: cannot connect\n", "log"),
            ("10:02:00 INFO server started\n10:02:05 WARN slow disk\n10:02:11 ERROR cannot connect\n", "log"),
            (
                "[10:02:00] [main/INFO]: started\n[10:02:05] [disk/WARN]: slow\n[10:02:06] [main/INFO]: Ann joined\n",
                "log",
            ),
            ("[00:00:01] info: build started\n[00:00:05] debug: compiling\n[00:00:09] info: done\n", "log"),
            ("INFO: (00:01)\nstarted\nWARN: (00:05)\nslow\n", "log"),
            ("10:02:00.123 [main] INFO  App - Started\n10:02:05.456 [main] WARN  Disk - Slow\n", "log"),
            ("2026-01-01 10:02:00,123 INFO main: started\n2026-01-01 10:02:05,456 WARN disk: slow\n", "dates"),
            ("[2026-01-01T10:02:00Z INFO  app] started\n[2026-01-01T10:02:01Z WARN  app] slow\n", "dates"),
            ("Nov 30 10:02:11 host sshd[1]: Accepted\nNov 30 10:02:15 host cron[2]: (root) CMD\n", "dates"),
            (
                "127.0.0.1 - - [10/Oct/2026:13:55:36 -0700] \"GET /a\" 200\n::1 - - [10/Oct/2026:13:55:37 -0700] \"GET /b\" 404\n",
                "dates",
            ),
            ("12/03/24, 10:02 - Ann Lee: Good morning\n12/03/24, 10:03 - Ben: Morning!\n", "chat"),
            ("[12/03/24, 10:02:11] Ann Lee: Good morning\n[12/03/24, 10:03:15] Ben: Morning!\n", "chat"),
            ("[12.03.2024 10:02:11] Ann Lee: Good morning\n[12.03.2024 10:03:15] Ben: Morning!\n", "chat"),
            ("2024-01-02 10:02:11 Ann Lee: fix the build\n2024-01-02 10:12:30 Ben Roth: add tests\n", "dates"),
            // Recognised by their beginnings.
            ("<!DOCTYPE html>\n<html><body><p>Hello.</p>\nAnn: (00:01)\nHello.\n</body></html>\n", "HTML"),
            ("BEGIN:VCALENDAR\nVERSION:2.0\nDTSTART:20260101T100000Z\nSUMMARY:Meeting\nEND:VCALENDAR\n", "calendar"),
            ("BEGIN:VCARD\nFN:Ann Lee\nTEL:12345\nEND:VCARD\n", "vCard"),
            (
                "<?xml version=\"1.0\"?>\n<gpx version=\"1.1\"><trk><time>2026-01-01T10:00:00Z</time></trk></gpx>\n",
                "gpx",
            ),
            ("<svg><text>Hello</text></svg>\n", "svg"),
            ("[ti:Song]\n[ar:Ann Lee]\n[00:12.00]Line one of the song\n[00:17.20]Line two of it\n", "LRC"),
            (
                "commit 2ae04fa1c9b2\nAuthor: Ann Lee <a@example.org>\nDate:   Mon Nov 30 10:02:11 2026\n\n    fix\n",
                "Git",
            ),
            ("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n-Ann: (00:01)\n+Ann: (00:02)\n Hello.\n", "patch"),
            (
                "--- a/x.srt\n+++ b/x.srt\n 1\n-00:00:01,000 --> 00:00:02,000\n+00:00:01,500 --> 00:00:02,000\n Hello.\n",
                "patch",
            ),
            ("#EXTM3U\n#EXTINF:123,Ann Lee - One\na.mp3\n", "playlist"),
            (
                "[Event \"Match\"]\n[Date \"1992.11.04\"]\n[White \"Fischer\"]\n\n1. e4 e5 {[%clk 0:10:00]} 2. Nf3\n",
                "chess",
            ),
            (";FFMETADATA1\n[CHAPTER]\nSTART=0\nEND=83000\ntitle=Intro\n", "FFmpeg"),
            (
                "From: Ann Lee <a@example.org>\nDate: Mon, 30 Nov 2026 10:02:11 +0000\nSubject: Hello\n\nCome at 10:30.\n",
                "e-mail",
            ),
            // Tables.
            ("date,item,price\n2026-01-01,apple,1.20\n2026-01-02,pear,0.80\n", "table"),
            ("time;item;price\n10:02;apple;1,20\n10:05;pear;0,80\n", "table"),
            ("time\tuser\tpage\n10:02:11\tann\t/home\n10:02:15\tben\t/about\n", "table"),
            // Texts of other kinds.
            ("# Config\nDATABASE_URL=postgres://localhost:5432/x\nPORT=8080\nTIMEOUT=10:30\n", "no transcript"),
            ("# Project\n\n**Note:** read this.\n\n**Warning:** do not run at 10:30.\n", "no transcript"),
            ("# Features\n\n- **Fast:** it is.\n- **Small:** it is too.\n", "no transcript"),
            (&format!("# Names\n\n**Extends:** a\n\n{}**Default:** b\n", "It is so.\n\n".repeat(20)), "no transcript"),
            (
                "# Changelog\n\n## 1.2\n\n**Added:** a thing.\n**Fixed:** one.\n\n## 1.1\n\n**Fixed:** one.\n",
                "no transcript",
            ),
            ("schedule:\n  - start: 10:00\n    title: Keynote\n  - start: 10:30\n    title: Talk\n", "no transcript"),
            ("[server]\nlisten = \"127.0.0.1:8080\"\nat = 10:30:00\n", "no transcript"),
            ("fn main() {\n    let x: u32 = 1;\n    println!(\"{}: {}\", x, \"10:30\");\n}\n", "no transcript"),
            (
                "def f(x):\n    t = \"00:00:01,000 --> 00:00:02,000\"\n    return {\"a\": 1, \"b\": \"10:30\"}\n",
                "no transcript",
            ),
            (
                "Apple Pie\nServes: 4\nTime: 1:30\n\nStep 1: (0:10) Peel.\nStep 2: (0:20) Make the dough.\n",
                "no transcript",
            ),
            ("# m h command\n30 10 * * * /usr/bin/backup\n0 4 * * 1 /usr/bin/clean\n", "no transcript"),
            ("all: build\n\nbuild:\n\tcargo build\n\ntest: build\n\tcargo test\n", "no transcript"),
            (
                "Shall I compare thee to a day?\nThou art more lovely:\nRough winds do shake the buds of May,\n",
                "no transcript",
            ),
        ] {
            for name in [None, Some("a.txt"), Some("a.md"), Some("a.srt")] {
                let refusal = detect(file, name).expect_err(file).to_string();
                assert!(refusal.contains(named), "{file}{refusal}");
            }
        }
    }

    /// Beginnings of transcripts that share a feature with lists with times.
    #[test]
    fn transcripts_are_no_lists() {
        for (file, kind) in [
            // Short answers, long pauses, no full stops.
            ("[00:00:00] Ann: yes\n[00:05:00] Ben: no\n[00:09:00] Ann: yes\n[00:12:00] Ben: no\n", FileKind::Timed),
            ("[00:00] hello and welcome to\n[00:03] the show today we\n[00:06] talk about roads\n", FileKind::Timed),
            (
                "[00:00:00.100 --> 00:00:01.200]  good evening\n[00:09:00.000 --> 00:09:01.000]  we begin\n",
                FileKind::Timed,
            ),
            ("[00:12:31] Roger.\n[00:14:02] Say again?\n[00:19:40] Turn left.\n", FileKind::Timed),
            (
                "[00:00] \u{4f1a}\u{8b70}\u{3092}\u{59cb}\u{3081}\n[00:08] \u{3088}\u{308d}\u{3057}\u{304f}\u{304a}\u{9858}\n",
                FileKind::Timed,
            ),
            ("[00:01] One.\n[00:02] Two.\n[00:03] Three.\n[00:04] Four.\n", FileKind::Timed),
            ("[10:02:11] ann: hello all\n[10:02:15] ben: hi there\n[10:03:00] ann: bye\n", FileKind::Timed),
            ("[00.10]Good evening.\n[00:00.10]Good evening.\n[00:01.60]We start now.\n", FileKind::Timed),
            // Round times.
            ("Ann Lee: (10:00)\nI said so.\n\nBen Roth: (10:30)\nWhy?\n\nCarl Oss: (11:00)\nI see.\n", FileKind::Rev),
            ("Ann Lee: (10:00)\nwe begin\n\nBen Roth: (10:30)\nyes\n\nAnn Lee: (11:00)\ngood\n", FileKind::Rev),
            ("[10:00] Ann Lee: We begin.\n[10:05] Ben Roth: Yes, please do.\n", FileKind::Timed),
            // A speaker who says words of a log.
            ("Ann Lee: (00:01)\nERROR, it said.\n\nBen Roth: (00:05)\nAnd INFO.\n", FileKind::Rev),
            ("[00:01] Ann: WARNING, it said.\n[00:03] Ben: Info?\n[00:04] Ann: No.\n", FileKind::Timed),
            ("Ann Lee  10:02 AM\nGood morning\nBen Roth  10:03 AM\nMorning!\n", FileKind::Otter),
        ] {
            assert_eq!(detect(file, None), Ok(kind), "{file}");
        }
    }

    #[test]
    fn whisper_and_its_relatives_are_known_by_their_segments() {
        for (file, kind) in [
            (
                "{\"text\":\"a\",\"segments\":[{\"id\":0,\"start\":0.0,\"end\":1.4,\"text\":\" a\"}],\"language\":\"en\"}",
                FileKind::Whisper,
            ),
            ("{\"segments\":[{\"start\":0.0,\"end\":1.4,\"text\":\"a\",\"speaker\":\"S\"}]}", FileKind::Whisper),
            // As many seconds as letters, or more than there are.
            (
                "[{\"start\":-9223372036854775808,\"end\":9223372036854775807,\"text\":\"abcd\"},{\"start\":1,\"end\":2,\"text\":\"abcd\"}]",
                FileKind::Whisper,
            ),
            ("[{\"start\":0,\"end\":5,\"text\":\"Hello\"}]", FileKind::Whisper),
            ("{\"text\":\"\",\"segments\":[],\"language\":\"en\"}", FileKind::Whisper),
            ("{\"transcription\":[{\"offsets\":{\"from\":0,\"to\":1},\"text\":\"a\"}]}", FileKind::Whisper),
            (
                "{\"task\":\"transcribe\",\"duration\":1,\"text\":\"a\",\"words\":[{\"word\":\"a\",\"start\":0}]}",
                FileKind::Whisper,
            ),
            ("[{\"start\":0,\"end\":1,\"text\":\"a\"}]", FileKind::Whisper),
            ("[{\"start\":0,\"text\":\"a\"}]\n[{\"start\":0,\"text\":\"b\"}]\n", FileKind::Whisper),
            ("{\"text\":\"a\",\"words\":[{\"word\":\"a\",\"start\":0}]}", FileKind::Whisper),
            ("{\"word_segments\":[{\"word\":\"a\",\"start\":0}]}", FileKind::Whisper),
            ("{\"segments\":[{\"text\":\"a\",\"words\":[{\"word\":\"a\",\"start\":0}]}]}", FileKind::Whisper),
            ("{\"transcription\":[{\"timestamps\":{\"from\":\"00:00:00,000\"},\"text\":\"a\"}]}", FileKind::Whisper),
            (
                "{\"type\":\"transcript.text.segment\",\"start\":0,\"text\":\"a\"}\n{\"type\":\"transcript.text.done\"}\n",
                FileKind::Whisper,
            ),
            ("[{\"start_ms\":0,\"text\":\"a\"}]", FileKind::Ndjson),
            ("{\"text\":\"a\",\"chunks\":[{\"timestamp\":[0.0,1.5],\"text\":\"a\"}]}", FileKind::Whisper),
            (
                "{\"text\":\"\",\"segments\":[]}\n{\"segments\":[{\"start\":0,\"end\":1,\"text\":\"a\"}]}\n",
                FileKind::Whisper,
            ),
            ("{\n\"segments\":[{\"start\":0,\"text\":\"a\"}]}\n{\n\"segments\":[]}", FileKind::Whisper),
            ("[{\"text\":\"a\",\"segments\":[{\"start\":0,\"text\":\"a\"}]}]", FileKind::Whisper),
            ("{\"version\":\"1.0.0\",\"segments\":[]}", FileKind::Podcast),
            ("{\"segments\":[{\"startTime\":0,\"body\":\"a\"}]}", FileKind::Podcast),
            ("{\"format\":\"2.9\",\"results\":[]}", FileKind::Speechmatics),
        ] {
            assert_eq!(detect(file, None), Ok(kind), "{file}");
        }
    }
}
