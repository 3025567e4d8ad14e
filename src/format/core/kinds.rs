//! Kinds of files that are read, and formats that are written, by name.

use std::fmt;

/// A file format that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
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
    /// Rev's transcript JSON.
    RevJson,
    /// TTML, as IMSC 1.1 text has it.
    Ttml,
    /// The transcript JSON of the Podcast namespace.
    Podcast,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Json,
        Self::Ndjson,
        Self::Txt,
        Self::Md,
        Self::Vtt,
        Self::Srt,
        Self::Rev,
        Self::RevJson,
        Self::Ttml,
        Self::Podcast,
    ];

    /// Returns the names of the format.
    fn row(self) -> FormatRow {
        let row = |name, extension, content_type| FormatRow { name, extension, content_type, other_endings: &[] };
        match self {
            Self::Json => row("json", "json", "application/json"),
            Self::Ndjson => FormatRow { other_endings: &["jsonl"], ..row("ndjson", "ndjson", "application/x-ndjson") },
            Self::Txt => row("txt", "txt", "text/plain; charset=utf-8"),
            Self::Md => FormatRow { other_endings: &["markdown"], ..row("md", "md", "text/markdown; charset=utf-8") },
            Self::Vtt => row("vtt", "vtt", "text/vtt; charset=utf-8"),
            Self::Srt => row("srt", "srt", "application/x-subrip; charset=utf-8"),
            Self::Rev => row("rev", "rev.txt", "text/plain; charset=utf-8"),
            Self::RevJson => row("rev-json", "rev.json", "application/vnd.rev.transcript.v1.0+json"),
            Self::Ttml => FormatRow {
                other_endings: &["xml", "dfxp"],
                ..row("ttml", "ttml", "application/ttml+xml; charset=utf-8")
            },
            Self::Podcast => row("podcast", "podcast.json", "application/json"),
        }
    }

    /// Returns the format that a file name's ending names: `a/b.VTT` is WebVTT, `x.rev.txt` is rev.com's,
    /// `x.txt` is plain text.
    #[must_use]
    pub fn from_name(file_name: &str) -> Option<Self> {
        let name = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name).to_ascii_lowercase();
        if !name.contains('.') {
            return None;
        }
        let name = format!(".{name}");
        let ends = |ending: &str| name.strip_suffix(ending).is_some_and(|stem| stem.ends_with('.'));
        // The longest ending counts: a file of rev.com's ends in `.txt` as well.
        let length = |format: Self| {
            let FormatRow { name, extension, other_endings, .. } = format.row();
            let endings = [name, extension].into_iter().chain(other_endings.iter().copied());
            Some((endings.filter(|ending| ends(ending)).map(str::len).max()?, format))
        };
        Self::ALL.into_iter().filter_map(length).max_by_key(|(length, _)| *length).map(|(_, format)| format)
    }

    /// The media type to serve it with.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        self.row().content_type
    }

    /// Returns the extension of a file name, without the leading dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        self.row().extension
    }

    /// Returns the format's name in flags and URLs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().name
    }
}

/// The names of a format that is written.
struct FormatRow {
    /// Its name in flags.
    name: &'static str,
    /// The ending of its files and of its address, without the leading dot.
    extension: &'static str,
    content_type: &'static str,
    /// Other endings of its files.
    other_endings: &'static [&'static str],
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The form of a file, which decides how damage in it is met before its reader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileForm {
    /// Text below headers, or rows that begin with one.
    Headers,
    /// Markdown.
    Markdown,
    /// Cues of subtitles.
    Cues,
    /// XML.
    Xml,
    /// A word on each row.
    Words,
    /// JSON, or rows of it.
    Json,
}

/// A kind of file that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// The plain text that rev.com publishes: blocks below `Name: (MM:SS)` or `Name (MM:SS):`.
    Rev,
    /// Blocks below `Name: HH:MM:SS`.
    Names,
    /// Blocks below `Name  M:SS`, as Otter, Teams and Zoom write them.
    Otter,
    /// Rows `[HH:MM:SS] Name: text`.
    Timed,
    /// WebVTT.
    Vtt,
    /// SubRip.
    Srt,
    /// Markdown turns: `**Name:** text`.
    Markdown,
    /// Rev's transcript JSON.
    RevJson,
    /// Our own JSON.
    Json,
    /// Our own NDJSON: an export, or the records of a log.
    Ndjson,
    /// TTML, IMSC, EBU-TT-D and EBU-TT Live.
    Ttml,
    /// One word per row (`.nlp`).
    Nlp,
    /// Vexa's segments, bundles and recordings of its messages.
    Vexa,
    /// The Council Data Project's transcript JSON.
    Cdp,
    /// The JSON that the editor of rev.com saves.
    RevEditor,
    /// Speechmatics' JSON, of a batch job or a recording of its messages.
    Speechmatics,
    /// The output of Amazon Transcribe.
    Aws,
    /// The JSON of Whisper and of programs around it.
    Whisper,
    /// The Podcast namespace's transcript JSON.
    Podcast,
}

impl FileKind {
    /// All kinds, each with its name in flags and a description.
    pub const ALL: [(Self, &'static str, &'static str); 19] = [
        (Self::Rev, "rev", "rev.com's text ('Name: (MM:SS)' or 'Name (MM:SS):' alone on a line)"),
        (Self::Names, "names", "text with 'Name: HH:MM:SS' alone on a line"),
        (Self::Otter, "otter", "text with 'Name  M:SS' alone on a line (Otter, Teams, Zoom)"),
        (Self::Timed, "timed", "rows '[HH:MM:SS] Name: text'"),
        (Self::Vtt, "vtt", "WebVTT"),
        (Self::Srt, "srt", "SubRip"),
        (Self::Markdown, "md", "Markdown ('**Name:** text')"),
        (Self::RevJson, "rev-json", "Rev's transcript JSON"),
        (Self::Json, "json", "our JSON"),
        (Self::Ndjson, "ndjson", "our NDJSON"),
        (Self::Ttml, "ttml", "TTML (IMSC, EBU-TT-D, EBU-TT Live)"),
        (Self::Nlp, "nlp", ".nlp"),
        (Self::Vexa, "vexa", "Vexa's JSON"),
        (Self::Cdp, "cdp", "CDP transcript JSON"),
        (Self::RevEditor, "rev-editor", "the JSON of rev.com's editor"),
        (Self::Speechmatics, "speechmatics", "Speechmatics' JSON"),
        (Self::Aws, "aws", "Amazon Transcribe's JSON"),
        (Self::Whisper, "whisper", "Whisper's JSON (whisperX, OpenAI, whisper.cpp)"),
        (Self::Podcast, "podcast", "Podcast-namespace JSON"),
    ];

    /// Returns the kind's name in flags.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(kind, _, _)| *kind == self).map_or("", |(_, name, _)| name)
    }

    /// Returns the form of files of this kind.
    pub(crate) fn form(self) -> FileForm {
        match self {
            Self::Rev | Self::Names | Self::Otter | Self::Timed => FileForm::Headers,
            Self::Markdown => FileForm::Markdown,
            Self::Vtt | Self::Srt => FileForm::Cues,
            Self::Ttml => FileForm::Xml,
            Self::Nlp => FileForm::Words,
            Self::RevJson
            | Self::Json
            | Self::Ndjson
            | Self::Vexa
            | Self::Cdp
            | Self::RevEditor
            | Self::Speechmatics
            | Self::Aws
            | Self::Whisper
            | Self::Podcast => FileForm::Json,
        }
    }

    /// Returns a description in words.
    pub(crate) fn in_words(self) -> &'static str {
        Self::ALL.into_iter().find(|(kind, ..)| *kind == self).map_or("", |(.., words)| words)
    }

    /// Returns the kind that `format` is read as, or `None` if the format is only written.
    #[must_use]
    pub fn of(format: Format) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, name, _)| *name == format.as_str()).map(|(kind, _, _)| kind)
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
