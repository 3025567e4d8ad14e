//! What kind of file a text is: its content says so, and only where that leaves it open, its name.
//!
//! What is known and is no transcript is named, so that nobody wonders what is wrong with it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::blocks::{excerpt, numbered};
use super::places::{Fields, values, whole};
use super::time_lines::TimeLines;
use super::vendors::speechmatics::is_message;
use super::vendors::whisper;
use super::{FileKind, Format, FormatError, markdown, nlp, rttm, speech_evidence, srt, ttml, webvtt};

/// How many rows are looked at before a file of rows is given up: a recording begins with what is said of the connection.
const ROWS_MAX: usize = 100;

/// Whether `text` begins as a file does that is known by its first lines, which plain text and Markdown are not.
pub(super) fn has_sign(text: &str) -> bool {
    webvtt::is_one(text) || nlp::is_one(text) || rttm::is_one(text) || unread_text(text).is_some()
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
    if let Some(unread) = unread_text(text) {
        return Err(unread);
    }
    // A text may begin as XML or JSON does, and go on otherwise: what follows from its lines counts for more than a refusal.
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
    // Of what has no sign at its head, the kind that most lines of it follow; the name decides between those it follows.
    let headers = |kind| speech_evidence::count(kind, numbered(text).map(|(_, line)| line));
    // Other texts have a name and a time on one line too: such are a transcript if they begin with it, or do it again.
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
    // Rows with two times and text behind them are no cues, where they can be read as rows.
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
    if let Some((kind, 1..)) = counts.into_iter().find(|(kind, _)| Some(*kind) == named) {
        return Ok(kind);
    }
    let most = |counts: &[(FileKind, usize)]| counts.iter().rev().copied().max_by_key(|(_, count)| *count);
    let sure = most(&counts).filter(|(_, count)| *count > 0);
    // `**Name** (00:01):` is both.
    let sure = sure.map(|found| if found == (FileKind::Rev, bold) { (FileKind::Markdown, bold) } else { found });
    let times = TimeLines::of(&lines).map(|times| (times.kind(), times.count));
    let loose = [
        (FileKind::Otter, names),
        (FileKind::Timed, speech_evidence::count_loose(FileKind::Timed, &lines)),
        (FileKind::Names, speech_evidence::count_loose(FileKind::Names, &lines)),
        times.unwrap_or((FileKind::Otter, 0)),
    ];
    // Forms that other texts have as well count only where hardly anything is of another.
    let loose = most(&loose).filter(|(_, count)| *count > sure.map_or(0, |(_, sure)| sure * 4));
    match loose.or(sure) {
        Some((kind, _)) => Ok(kind),
        None => Err(refusal.unwrap_or_else(|| other(text))),
    }
}

fn is_no(what: impl Into<String>) -> FormatError {
    FormatError::NotATranscript { what: what.into() }
}

/// True for what begins as JSON does; `[inaudible]` does not, nor does `{\an8}`.
fn is_json(text: &str) -> bool {
    let inside = text.trim_start()[1..].trim_start();
    inside.starts_with(['"', '{', '}', '[', ']']) && !text.trim_start().starts_with("[[")
}

/// True if the first line is a JSON value and more lines follow.
pub(super) fn is_rows(text: &str) -> bool {
    let mut rows = text.lines().filter(|row| !row.trim().is_empty());
    let first = rows.next().is_some_and(|row| serde_json::from_str::<serde::de::IgnoredAny>(row).is_ok());
    first && rows.next().is_some()
}

fn json(text: &str) -> Result<FileKind, FormatError> {
    if is_rows(text) {
        let rows = text.lines().filter(|row| !row.trim().is_empty()).take(ROWS_MAX);
        let rows: Vec<Fields<'_>> = rows.filter_map(|row| serde_json::from_str(row).ok()).collect();
        let kind = rows.iter().find_map(|row| row_kind(row));
        return kind.map_or_else(|| many(&rows, "rows of JSON, the first of them"), Ok);
    }
    if text.trim_start().starts_with('[') {
        let list: Vec<&RawValue> = whole(text)?;
        let items: Vec<Fields<'_>> =
            list.iter().take(ROWS_MAX).filter_map(|item| serde_json::from_str(item.get()).ok()).collect();
        return match items.iter().find(|item| is_plain_line(item) || whisper::is_segment(item)) {
            _ if list.is_empty() => Err(is_no("an empty list")),
            Some(item) if is_plain_line(item) => Ok(FileKind::Ndjson),
            Some(_) => Ok(FileKind::Whisper),
            None => many(&items, "a list of"),
        };
    }
    // Transcripts of several runs, one behind the other.
    let fields: Fields<'_> = match whole(text) {
        Ok(fields) => fields,
        Err(broken) => {
            let objects: Option<Vec<Fields<'_>>> = values(text)
                .ok()
                .and_then(|values| values.iter().map(|value| serde_json::from_str(value.get()).ok()).collect());
            let objects = objects.ok_or(broken)?;
            return many(&objects, "several objects in JSON, the first of them");
        }
    };
    if let Some(text_alone) = text_without_times(&fields) {
        return Err(text_alone);
    }
    if let Some(kind) = object_kind(&fields) {
        return Ok(kind);
    }
    unread_json(&fields).map_or_else(|| row_kind(&fields).ok_or_else(|| is_no(words(&fields))), Err)
}

/// What a file is that holds several objects of JSON, rows or items of a list.
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
        None => Err(unread_json(first).unwrap_or_else(|| is_no(format!("{what} {}", words(first))))),
    }
}

/// A line as publishers send it: text, and its start in milliseconds or at least who says it.
fn is_plain_line(fields: &Fields<'_>) -> bool {
    let is_line = word(fields, "type").is_none_or(|kind| kind == "line");
    let has = |name: &str| fields.contains_key(name);
    is_line && has("text") && (has("start_ms") || has("speaker") && !has("start"))
}

/// The refusal of a transcript that says when nothing was said: its text stands beside lists without a segment or a word.
fn text_without_times(fields: &Fields<'_>) -> Option<FormatError> {
    let is_empty =
        |name: &str| fields.get(name).is_none_or(|list| matches!(list.get(), "null" | "{}") || is_empty_list(list));
    let lists = whisper::LISTS.iter().copied().chain(["words"]);
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

/// What a file is that is one object.
fn object_kind(fields: &Fields<'_>) -> Option<FileKind> {
    let has = |name: &str| fields.contains_key(name);
    let is_list = |name: &str| fields.get(name).is_some_and(|value| value.get().starts_with('['));
    // Lists of one name are of several programs: their first items say whose.
    let items = |name: &str| -> Vec<&RawValue> {
        let list = fields.get(name).and_then(|list| serde_json::from_str::<Vec<&RawValue>>(list.get()).ok());
        list.unwrap_or_default()
    };
    let objects = |name: &str| -> Vec<Fields<'_>> {
        items(name).into_iter().take(ROWS_MAX).filter_map(|item| serde_json::from_str(item.get()).ok()).collect()
    };
    // Of a list without items its name says whose it is; one of texts or numbers is nobody's.
    let any = |name: &str, is_one: fn(&Fields<'_>) -> bool| items(name).is_empty() || objects(name).iter().any(is_one);
    let results = fields.get("results").and_then(|results| serde_json::from_str::<Fields<'_>>(results.get()).ok());
    match () {
        () if is_list("turns") && has("feed") => Some(FileKind::Json),
        () if is_list("monologues") => Some(FileKind::RevJson),
        () if is_list("sentences") && any("sentences", |item| !item.contains_key("start")) => Some(FileKind::Cdp),
        () if is_list("content") && word(fields, "type").as_deref() == Some("doc") => Some(FileKind::RevEditor),
        () if is_list("results") && any("results", |item| item.contains_key("type")) => Some(FileKind::Speechmatics),
        () if results.is_some_and(|results| results.contains_key("items")) => Some(FileKind::Aws),
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
        // OpenAI, asked for words alone.
        () if is_list("words") && has("text") && has("duration") && any("words", |word| word.contains_key("word")) => {
            Some(FileKind::Whisper)
        }
        () => None,
    }
}

/// Finds the kind of a file that has such a row, which may wrap its message once, as recordings do: readers look no deeper.
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
        None if has("op") && has("received_at") => Some(FileKind::Ndjson),
        None if has("segment_id") && has("text") => Some(FileKind::Vexa),
        None if has("text") && (has("start_ms") || has("start") || has("speaker")) => Some(FileKind::Ndjson),
        _ => None,
    }
}

/// The words for what to ask an engine for.
const INSTEAD_OF_JSON: &str = "ask for SubRip or WebVTT, or write its lines as rows of JSON \
     ({\"start_ms\": 1500, \"speaker\": \"Ann\", \"text\": \"Hello.\"})";

const INSTEAD_OF_SUBTITLES: &str = "save it as SubRip (.srt), WebVTT (.vtt) or TTML; ffmpeg and subtitle editors do it";

/// The JSON of engines that is known, and not read.
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
        () if inner("result", "transcription") => "a transcript of Gladia in JSON",
        () if has("text")
            && !has("type")
            && !has("segment_id")
            && !has("start")
            && !has("start_ms")
            && !has("speaker") =>
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

/// Subtitles and documents that are known, and not read.
fn unread_text(text: &str) -> Option<FormatError> {
    let head = text.trim_start().get(..text.trim_start().floor_char_boundary(400)).unwrap_or_default();
    let lower = head.to_ascii_lowercase();
    let first = numbered(text).map(|(_, line)| line.trim()).find(|line| !line.is_empty()).unwrap_or_default();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let frames = first
        .strip_prefix('{')
        .and_then(|rest| rest.split_once("}{"))
        .is_some_and(|(from, rest)| is_number(from) && rest.split_once('}').is_some_and(|(to, _)| is_number(to)));
    let is_sbv = first.split_once(',').is_some_and(|(start, end)| {
        let time = |text: &str| matches!(srt::time(text), Some((_, ""))) && text.contains('.');
        time(start) && time(end)
    });
    let what = match () {
        () if lower.starts_with("[script info]") || lower.contains("\n[v4") || lower.starts_with("dialogue:") => {
            "ASS or SSA subtitles"
        }
        () if lower.starts_with("scenarist_scc") => "SCC closed captions",
        () if lower.starts_with("file format=macaption") || lower.starts_with("file format=maccaption") => {
            "MCC closed captions"
        }
        () if lower.starts_with("<sami") => "SAMI subtitles",
        () if lower.contains("<timedtext") || lower.contains("<transcript><text") => "YouTube's timed text (SRV)",
        () if is_sbv => "YouTube's SBV subtitles",
        () if frames => "MicroDVD subtitles, which count frames",
        () if lower.starts_with("{qttext}") => "QuickTime text",
        () if lower.starts_with("{\\rtf") => {
            return Some(FormatError::NotRead { what: "a document in RTF", instead: "save it as plain text (.txt)" });
        }
        () => return None,
    };
    Some(FormatError::NotRead { what, instead: INSTEAD_OF_SUBTITLES })
}

/// What an object is that is no transcript.
fn words(fields: &Fields<'_>) -> String {
    let has = |name: &str| fields.contains_key(name);
    let kind = word(fields, "type").or_else(|| word(fields, "event")).or_else(|| word(fields, "message"));
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

/// What a text is in which no kind was seen.
fn other(text: &str) -> FormatError {
    let rows: Vec<&str> =
        numbered(text).map(|(_, line)| line).filter(|line| !line.trim().is_empty()).take(20).collect();
    let first = rows.first().copied().unwrap_or_default();
    for (mark, name) in [(',', "commas"), ('\t', "tabs"), (';', "semicolons")] {
        let columns = |line: &str| line.matches(mark).count();
        if rows.len() > 1 && columns(first) > 1 && rows.iter().all(|row| columns(row) >= columns(first)) {
            let names: Vec<_> = first.split(mark).take(6).map(|name| excerpt(name.trim())).collect();
            return is_no(format!(
                "a table (CSV, parted by {name}) with the columns {}; give its lines as SubRip, WebVTT or rows of JSON",
                names.join(", ")
            ));
        }
    }
    FormatError::UnknownFormat
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Short files of programs that are known: each is read as what it is, or refused by its name.
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
            // Lists of what is no segment and no sentence.
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
                let reading = super::super::read(file.as_bytes(), None).expect("a transcript");
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

    #[test]
    fn whisper_and_its_relatives_are_known_by_their_segments() {
        for (file, kind) in [
            (
                "{\"text\":\"a\",\"segments\":[{\"id\":0,\"start\":0.0,\"end\":1.4,\"text\":\" a\"}],\"language\":\"en\"}",
                FileKind::Whisper,
            ),
            ("{\"segments\":[{\"start\":0.0,\"end\":1.4,\"text\":\"a\",\"speaker\":\"S\"}]}", FileKind::Whisper),
            ("{\"text\":\"\",\"segments\":[],\"language\":\"en\"}", FileKind::Whisper),
            ("{\"transcription\":[{\"offsets\":{\"from\":0,\"to\":1},\"text\":\"a\"}]}", FileKind::Whisper),
            (
                "{\"task\":\"transcribe\",\"duration\":1,\"text\":\"a\",\"words\":[{\"word\":\"a\",\"start\":0}]}",
                FileKind::Whisper,
            ),
            ("[{\"start\":0,\"end\":1,\"text\":\"a\"}]", FileKind::Whisper),
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
