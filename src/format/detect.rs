//! What kind of file a text is: its content says so, and only where that leaves it open, its name.
//!
//! What is known and is no transcript is named, so that nobody wonders what is wrong with it.

use std::borrow::Cow;

use super::blocks::{excerpt, numbered};
use super::places::{Fields, whole};
use super::vendors::speechmatics::is_message;
use super::{FileKind, Format, FormatError, markdown, names, nlp, rev, rttm, srt, ttml, webvtt};

/// How many rows are looked at before a file of rows is given up: a recording begins with what is said of the connection.
const ROWS_MAX: usize = 100;

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
    let counts = [
        (FileKind::Rev, rev::count(text)),
        (FileKind::Names, names::count(text)),
        (FileKind::Srt, srt::count(text)),
        (FileKind::Markdown, markdown::count(text)),
    ];
    if let Some((kind, 1..)) = counts.into_iter().find(|(kind, _)| Some(*kind) == named) {
        return Ok(kind);
    }
    match counts.into_iter().rev().max_by_key(|(_, count)| *count) {
        Some((kind, 1..)) => Ok(kind),
        _ if refusal.is_some() => Err(refusal.unwrap_or(FormatError::UnknownFormat)),
        _ if named == Some(FileKind::Rev) => Err(FormatError::NoLines),
        _ => Err(other(text)),
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
        return kind.ok_or_else(|| match rows.first() {
            Some(first) => is_no(format!("rows of JSON, the first of them {}", words(first))),
            None => is_no("rows of JSON that are no objects"),
        });
    }
    let fields: Fields<'_> = match text.trim_start().starts_with('[') {
        true => match whole::<Vec<Fields<'_>>>(text) {
            Ok(list) => {
                return Err(is_no(
                    list.first().map_or("an empty list".to_owned(), |first| format!("a list of {}", words(first))),
                ));
            }
            Err(FormatError::Broken { why, .. }) if why.contains("invalid type") => {
                return Err(is_no("a list in JSON"));
            }
            Err(broken) => return Err(broken),
        },
        false => whole(text)?,
    };
    object_kind(&fields).or_else(|| row_kind(&fields)).ok_or_else(|| is_no(words(&fields)))
}

fn word<'a>(fields: &Fields<'a>, name: &str) -> Option<Cow<'a, str>> {
    fields.get(name).and_then(|word| serde_json::from_str(word.get()).ok())
}

/// What a file is that is one object.
fn object_kind(fields: &Fields<'_>) -> Option<FileKind> {
    let has = |name: &str| fields.contains_key(name);
    let is_list = |name: &str| fields.get(name).is_some_and(|value| value.get().starts_with('['));
    match () {
        () if is_list("turns") && has("feed") => Some(FileKind::Json),
        () if is_list("monologues") => Some(FileKind::RevJson),
        () if is_list("sentences") => Some(FileKind::Cdp),
        () if is_list("content") && word(fields, "type").as_deref() == Some("doc") => Some(FileKind::RevEditor),
        () if is_list("results") => Some(FileKind::Speechmatics),
        () if fields.get("results").is_some_and(|results| results.get().contains("\"items\"")) => Some(FileKind::Aws),
        () if is_list("segments") && (has("version") || word(fields, "type").is_none()) => Some(FileKind::Podcast),
        () => None,
    }
}

/// What a file is that has such a row.
fn row_kind(fields: &Fields<'_>) -> Option<FileKind> {
    let inner = |name: &str| fields.get(name).and_then(|inner| serde_json::from_str::<Fields<'_>>(inner.get()).ok());
    if let Some(message) = inner("payload").or_else(|| inner("message")) {
        return row_kind(&message);
    }
    if is_message(fields, "AddTranscript") {
        return Some(FileKind::Speechmatics);
    }
    let has = |name: &str| fields.contains_key(name);
    match word(fields, "type").as_deref() {
        Some("transcript" | "transcription" | "transcription_segment") => Some(FileKind::Vexa),
        Some("feed" | "line" | "turn" | "speaker") => Some(FileKind::Ndjson),
        None if has("op") && has("received_at") => Some(FileKind::Ndjson),
        None if has("segment_id") && has("text") => Some(FileKind::Vexa),
        None if has("text") && (has("start_ms") || has("start")) => Some(FileKind::Ndjson),
        _ => None,
    }
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
            return is_no(format!("a table (CSV, parted by {name}) with the columns {}", names.join(", ")));
        }
    }
    FormatError::UnknownFormat
}
