//! Files: transcripts that others wrote become lines, and a feed's transcript becomes a file.
//!
//! Promises:
//! 1. [`read`] is total: whatever bytes a file holds it does not panic, and memory stays in proportion to them.
//! 2. A reader loses no text. What it cannot take for a block stays text of the block before, or preamble, and a
//!    [`Problem`] names the place. An error is for a file of which nothing can be said.
//! 3. [`write()`] cannot fail, and what it writes obeys the format, whatever the lines say.
//! 4. What [`Format::Rev`] writes, [`read`] takes back: same labels, same starts (in whole seconds), same texts.
//!
//! In reading order: [`Document`], what is written; the readers of two dialects, `rev` and `names`; the writers `json`,
//! `text` (txt and md), `cues` (vtt and srt) and, beside its reader, `rev`. This room opens no file.

mod blocks;
mod cues;
mod document;
mod json;
mod names;
mod rev;
mod text;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

pub use self::document::{Document, Range};
use crate::transcript::{Meta, Version};

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One JSON object: the feed, its speakers, its turns with their lines.
    Json,
    /// One JSON object a row: the feed, each speaker, then each turn followed by its lines.
    Ndjson,
    /// Plain text for people.
    Txt,
    /// Markdown.
    Md,
    /// WebVTT.
    Vtt,
    /// SubRip.
    Srt,
    /// The plain text that rev.com publishes.
    Rev,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Json, Self::Ndjson, Self::Txt, Self::Md, Self::Vtt, Self::Srt, Self::Rev];

    /// What the end of a file's name says: `a/b.VTT` is WebVTT, `x.rev.txt` is rev.com's, `x.txt` is plain text.
    #[must_use]
    pub fn from_name(file_name: &str) -> Option<Self> {
        let name = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name).to_ascii_lowercase();
        let (stem, extension) = name.rsplit_once('.')?;
        if extension == "txt" && (stem.ends_with(".rev") || stem == "rev") {
            return Some(Self::Rev);
        }
        extension.parse().ok()
    }

    /// The media type to serve it with.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Txt | Self::Rev => "text/plain; charset=utf-8",
            Self::Md => "text/markdown; charset=utf-8",
            Self::Vtt => "text/vtt; charset=utf-8",
            Self::Srt => "application/x-subrip; charset=utf-8",
        }
    }

    /// How a file's name ends, without the leading dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Txt => "txt",
            Self::Md => "md",
            Self::Vtt => "vtt",
            Self::Srt => "srt",
            Self::Rev => "rev.txt",
        }
    }

    /// The word for it in flags and URLs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rev => "rev",
            other => other.extension(),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(name: &str) -> Result<Self, FormatError> {
        let same =
            |format: &Self| format.as_str().eq_ignore_ascii_case(name) || format.extension().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(same).ok_or_else(|| FormatError::UnknownName { name: blocks::excerpt(name) })
    }
}

/// Something in a file that was not as it should be. The rest of the file was read all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line of the file, from 1.
    pub line: usize,
    /// The character of that line, from 1.
    pub column: usize,
    /// What is wrong, and what became of the text.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// What a file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Which dialect it was written in: `rev` or `names`.
    pub dialect: &'static str,
    /// What it says beside speech.
    pub meta: Meta,
    /// Its lines, in the order of the file, with the ids `1`, `2`, …
    pub lines: Vec<Version>,
    /// What was odd, by place. After [`PROBLEMS_MAX`] one more says how many were left out.
    pub problems: Vec<Problem>,
}

/// Nobody reads more complaints about one file, and a hostile file must not make us keep more.
pub const PROBLEMS_MAX: usize = 1_000;

/// Why a file cannot be read, or a format's name not be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes are no text at all.
    #[error("this is not text in UTF-8: {what} at line {line}, column {column}")]
    NotText {
        /// What was found.
        what: &'static str,
        /// In which line, from 1.
        line: usize,
        /// At which byte of it, from 1.
        column: usize,
    },
    /// Text, but in no dialect that can be read.
    #[error(
        "this is no transcript that can be read: neither rev.com's text (blocks that begin with 'Name: (MM:SS)' or \
         'Name: (H:MM:SS)' alone on a line) nor blocks that begin with 'Name: HH:MM:SS' alone on a line"
    )]
    UnknownFormat,
    /// A transcript in which nothing is said.
    #[error("there is not one line of speech in this file")]
    NoLines,
    /// The name of no format.
    #[error("{name:?} is no format; there are json, ndjson, txt, md, vtt, srt and rev (or rev.txt)")]
    UnknownName {
        /// The name as it was given, shortened.
        name: String,
    },
}

/// Reads a transcript. The content says in which dialect it is written: the one that more lines of it follow.
/// `file_name` only decides where both are met or neither: in a `.rev.txt` they are rev.com's.
///
/// # Errors
/// [`FormatError::NotText`] for UTF-16, UTF-32 and whatever holds a zero byte (bytes that are no UTF-8 here and there are
/// [`Problem`]s), [`FormatError::UnknownFormat`] where no block begins in any known dialect,
/// [`FormatError::NoLines`] where no block has text, or where the file is blank.
pub fn read(bytes: &[u8], file_name: Option<&str>) -> Result<Reading, FormatError> {
    if let Some(at) = bytes.iter().position(|b| *b == 0) {
        let line_start = bytes[..at].iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        let line = bytes[..at].iter().filter(|b| **b == b'\n').count() + 1;
        return Err(FormatError::NotText { what: "a zero byte", line, column: at - line_start + 1 });
    }
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(FormatError::NotText { what: "the mark of UTF-16", line: 1, column: 1 });
    }
    let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes));
    let is_repaired = matches!(text, Cow::Owned(_));
    let is_rev = file_name.and_then(Format::from_name) == Some(Format::Rev);
    let rev_blocks = rev::count(&text);
    let names_blocks = names::count(&text);
    let reading = match (rev_blocks, names_blocks) {
        (0, 0) => {
            let blank = text.trim().is_empty();
            return Err(if blank || is_rev { FormatError::NoLines } else { FormatError::UnknownFormat });
        }
        (rev, names) if rev >= names || is_rev && rev > 0 => rev::read(&text, is_repaired),
        _ => names::read(&text, is_repaired),
    };
    if reading.lines.is_empty() { Err(FormatError::NoLines) } else { Ok(reading) }
}

/// Writes `document`. Text is neither shortened nor reordered; what a format cannot say is told beside its writer.
#[must_use]
pub fn write(format: Format, document: &Document) -> String {
    match format {
        Format::Json => json::write_json(document),
        Format::Ndjson => json::write_ndjson(document),
        Format::Txt => text::write_txt(document),
        Format::Md => text::write_md(document),
        Format::Vtt => cues::write_vtt(document),
        Format::Srt => cues::write_srt(document),
        Format::Rev => rev::write(document),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_name() {
        for (name, format) in [
            ("a.json", Some(Format::Json)),
            ("dir/a.b.NDJSON", Some(Format::Ndjson)),
            ("a.txt", Some(Format::Txt)),
            ("press-conference.rev.txt", Some(Format::Rev)),
            ("C:\\x\\a.Rev.TXT", Some(Format::Rev)),
            ("a.rev", Some(Format::Rev)),
            ("a.vtt", Some(Format::Vtt)),
            ("vtt", None),
            ("a.doc", None),
            ("rev.txt/a", None),
        ] {
            assert_eq!(Format::from_name(name), format, "{name}");
        }
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
            assert_eq!(format.extension().parse(), Ok(format));
            assert_eq!(Format::from_name(&format!("x.{}", format.extension())), Some(format));
        }
        let error = "docx".parse::<Format>().expect_err("no such format").to_string();
        assert!(error.contains("docx") && error.contains("rev.txt"), "{error}");
    }
}
