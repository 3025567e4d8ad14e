//! What kind of file a text is: its content says so, and only where that leaves it open, its name.
//!
//! What is known and is no transcript is named, so that nobody wonders what is wrong with it.

use super::{FileKind, Format, FormatError, names, rev, srt, webvtt};

pub(super) fn detect(text: &str, file_name: Option<&str>) -> Result<FileKind, FormatError> {
    if webvtt::is_one(text) {
        return Ok(FileKind::Vtt);
    }
    let named = file_name.and_then(Format::from_name).and_then(FileKind::of);
    // Of what has no sign at its head, the kind that most lines of it follow; the name decides between equals.
    let counts =
        [(FileKind::Rev, rev::count(text)), (FileKind::Names, names::count(text)), (FileKind::Srt, srt::count(text))];
    if let Some((kind, 1..)) = counts.into_iter().find(|(kind, _)| Some(*kind) == named) {
        return Ok(kind);
    }
    match counts.into_iter().rev().max_by_key(|(_, count)| *count) {
        Some((kind, 1..)) => Ok(kind),
        _ if named == Some(FileKind::Rev) => Err(FormatError::NoLines),
        _ => Err(FormatError::UnknownFormat),
    }
}
