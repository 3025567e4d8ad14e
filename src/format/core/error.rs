//! The reasons why a file cannot be read, or a name is not known.

use std::str::FromStr;

use crate::format::core::kinds::{FileKind, Format};
use crate::format::text::text_lines::excerpt;

/// Reason why a file cannot be read, or the name of a format, kind or encoding is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes are not text.
    #[error("this is not text in UTF-8: {what} at line {line}, column {column}")]
    NotText {
        /// The kind of bytes that was found.
        what: &'static str,
        /// The line, from 1.
        line: usize,
        /// The byte of that line, from 1.
        column: usize,
    },
    /// Text in an encoding that is recognised but not decoded.
    #[error(
        "this is text in {encoding}, which captionwire does not decode: make UTF-8 of it first, as with `iconv -f {encoding} -t UTF-8`; if it is not, --encoding utf-8 reads it as it stands"
    )]
    NotDecoded {
        /// The encoding.
        encoding: &'static str,
    },
    /// Text, but not of a kind that can be read.
    #[error("this is no transcript of a known format: say which it is with --from; known are {}", kinds_in_words())]
    UnknownFormat,
    /// A file of a known kind that is no transcript.
    #[error("this is no transcript: it is {what}")]
    NotATranscript {
        /// The kind of file, in words.
        what: String,
    },
    /// A text that has the form of a transcript but does not look like speech.
    #[error("this looks like {what}, and not like a transcript; if it is one, --from {kind} reads it as {}", kind.in_words())]
    NotSpeech {
        /// The kind of list that it looks like, in words.
        what: &'static str,
        /// The kind that it would be read as.
        kind: FileKind,
    },
    /// A known kind of transcript that captionwire does not read.
    #[error("this looks like {what}, which captionwire does not read: {instead}")]
    NotRead {
        /// The kind, in words.
        what: &'static str,
        /// The kinds to ask for instead.
        instead: &'static str,
    },
    /// A file that is truncated or broken, so that nothing of it can be read.
    #[error("this is {what}, but it is broken in line {line}, column {column}: {why}")]
    Broken {
        /// The kind of data that it should be, in words.
        what: &'static str,
        /// The line, from 1.
        line: usize,
        /// The character or byte of that line, from 1.
        column: usize,
        /// The fault at that place.
        why: String,
    },
    /// A transcript without a line of speech.
    #[error("there is not one line of speech in this file")]
    NoLines,
    /// A file that was taken for a transcript of some kind, but has no line of speech.
    #[error("there is not one line of speech in this file, which looks like {}; --from says another kind", kind.in_words())]
    NoSpeech {
        /// The kind that it was read as.
        kind: FileKind,
    },
    /// An unknown format name.
    #[error("{name:?} is not a format; the formats are {}", Format::ALL.map(Format::as_str).join(", "))]
    UnknownName {
        /// The name as it was given, shortened.
        name: String,
    },
    /// An unknown encoding name.
    #[error(
        "{name:?} is no encoding; there are utf-8, utf-16le, utf-16be, windows-1252, iso-8859-1, windows-1251, koi8-r, shift_jis, euc-jp, iso-2022-jp, gbk, gb18030, big5, euc-kr and others of the Encoding Standard, utf-32, hz-gb-2312 and iso-2022-kr; of a file in another one make UTF-8 first, as with iconv"
    )]
    UnknownEncoding {
        /// The name as it was given, shortened.
        name: String,
    },
    /// An unknown kind of file.
    #[error("{name:?} is no kind of file that can be read; there are {}", kinds())]
    UnknownKind {
        /// The name as it was given, shortened.
        name: String,
    },
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(name: &str) -> Result<Self, FormatError> {
        let same =
            |format: &Self| format.as_str().eq_ignore_ascii_case(name) || format.extension().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(same).ok_or_else(|| FormatError::UnknownName { name: excerpt(name) })
    }
}

impl FromStr for FileKind {
    type Err = FormatError;

    fn from_str(name: &str) -> Result<Self, FormatError> {
        let known = Self::ALL.into_iter().find(|(_, known, _)| known.eq_ignore_ascii_case(name));
        let known = known.map(|(kind, _, _)| kind);
        let known = known.or_else(|| name.parse().ok().and_then(Self::of));
        known.ok_or_else(|| FormatError::UnknownKind { name: excerpt(name) })
    }
}

fn kinds() -> String {
    FileKind::ALL.map(|(_, name, _)| name).join(", ")
}

fn kinds_in_words() -> String {
    FileKind::ALL.map(|(_, _, words)| words).join("; ")
}
