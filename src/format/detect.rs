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
    text_kind(text, named, refusal)
}

/// Returns the kind that most lines of a text without a sign at its head follow. `named` is the kind of its name, which
/// decides between kinds that it follows; `refusal` says what else it begins like.
fn text_kind(text: &str, named: Option<FileKind>, refusal: Option<FormatError>) -> Result<FileKind, FormatError> {
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
mod tests;
