//! Files that are no transcripts, or of a kind that is not read: recognised by their first lines, and named in the
//! refusal.

use crate::format::core::cue_syntax;
use crate::format::core::error::FormatError;
use crate::format::core::kinds::FileKind;
use crate::format::core::speech_evidence::timed_list_of_any_form;
use crate::format::text::text_lines::{excerpt, numbered};

/// Beginnings of files without speech, in lower case, each with a description.
const BEGINNINGS: [(&str, &str); 17] = [
    ("<!doctype html", "a page in HTML: save what is said on it as text"),
    ("<html", "a page in HTML: save what is said on it as text"),
    ("begin:vcalendar", "a calendar (iCalendar)"),
    ("begin:vcard", "addresses (vCard)"),
    ("diff --git ", "a patch (diff)"),
    ("#extm3u", "a playlist (M3U): give the WebVTT files that it lists"),
    ("#!/", "a script"),
    ("[event \"", "games of chess (PGN)"),
    ("[ti:", "a song with times (LRC)"),
    ("[ar:", "a song with times (LRC)"),
    ("[al:", "a song with times (LRC)"),
    (";ffmetadata", "metadata of a recording (FFmpeg)"),
    ("chapter01=", "a list of chapters (OGM)"),
    ("%pdf-", "a document in PDF: save it as text"),
    ("-----begin ", "a key, a certificate or an encrypted message (PEM)"),
    ("$gp", "positions of a receiver (NMEA)"),
    ("\\documentclass", "a document in LaTeX: save it as text"),
];

const INSTEAD_OF_SUBTITLES: &str = "save it as SubRip (.srt), WebVTT (.vtt) or TTML; ffmpeg and subtitle editors do it";

/// Returns the refusal of a file whose beginning shows that it has no speech, whatever follows.
pub(super) fn of_beginning(text: &str) -> Option<FormatError> {
    let head = text.trim_start();
    let head = head[..head.floor_char_boundary(400)].to_ascii_lowercase();
    let known = BEGINNINGS.into_iter().find(|(beginning, _)| head.starts_with(beginning)).map(|(_, what)| what);
    let mut lines = head.lines();
    let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let is_git = first.strip_prefix("commit ").is_some_and(|hash| {
        hash.split_whitespace()
            .next()
            .is_some_and(|hash| hash.len() >= 7 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
    });
    let what = match known {
        Some(what) => what,
        None if is_git => "a log of Git",
        None if first.starts_with("--- ") && second.starts_with("+++ ") => "a patch (diff)",
        None => return None,
    };
    Some(is_no(what))
}

pub(super) fn is_no(what: impl Into<String>) -> FormatError {
    FormatError::NotATranscript { what: what.into() }
}

/// Returns the refusal of subtitles and documents of a kind that is known but not read.
pub(super) fn unread_text(text: &str) -> Option<FormatError> {
    let head = text.trim_start().get(..text.trim_start().floor_char_boundary(400)).unwrap_or_default();
    let lower = head.to_ascii_lowercase();
    let first = numbered(text).map(|(_, line)| line.trim()).find(|line| !line.is_empty()).unwrap_or_default();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let frames = first
        .strip_prefix('{')
        .and_then(|rest| rest.split_once("}{"))
        .is_some_and(|(from, rest)| is_number(from) && rest.split_once('}').is_some_and(|(to, _)| is_number(to)));
    let is_sbv = first.split_once(',').is_some_and(|(start, end)| {
        let time = |text: &str| matches!(cue_syntax::time(text), Some((_, ""))) && text.contains('.');
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

/// Returns the refusal of a text without a recognised kind.
pub(super) fn of_lines(text: &str) -> FormatError {
    let lines: Vec<&str> = numbered(text).map(|(_, line)| line).collect();
    let rows: Vec<&str> = lines.iter().copied().filter(|line| !line.trim().is_empty()).take(20).collect();
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
    if let Some(list) = timed_list_of_any_form(&lines) {
        return FormatError::NotSpeech { what: list.as_str(), kind: FileKind::Timed };
    }
    if is_mail(&lines) {
        return is_no("an e-mail");
    }
    FormatError::UnknownFormat
}

/// Returns true for a mail header (RFC 5322, section 2.2) with a subject and a sender.
fn is_mail(lines: &[&str]) -> bool {
    let head = || lines.iter().take_while(|line| !line.trim().is_empty());
    let field = |line: &str| line.split_once(':').map(|(name, _)| name.to_ascii_lowercase());
    let has = |name: &str| head().any(|line| field(line).as_deref() == Some(name));
    has("subject") && has("from")
}
