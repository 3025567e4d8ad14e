//! Forms of headers: each way to read a line of a plain-text transcript as speaker, time and text.
//!
//! Known forms, each with or without hours and decimals:
//!
//! | form | by | kind |
//! |---|---|---|
//! | `Name: (00:01)` | rev.com, as it was | `rev` |
//! | `Name (00:01):` | rev.com, as it is | `rev` |
//! | `Name: 00:00:01` | bitcointranscripts | `names` |
//! | `Name  0:01`, `[Name] 10:02:11`, `[00:00:05.190] - Name` | Otter and Teams, Zoom, Happy Scribe | `otter` |
//! | `[00:00:01] Name: text`, `00:00:01 Name: text`, `[00:00:01 --> 00:00:02] text` | Descript and others, whisper.cpp | `timed` |
//!
//! **Loose forms** also occur in other texts (programmes, results, lists of chapters). So the whole file must consist
//! of them to be a transcript: see [`count_loose`](crate::format::core::speech_evidence::count_loose).
//!
//! | form | by | kind |
//! |---|---|---|
//! | `Name: 0:01` | | `names` |
//! | `[00:01] Name`, `0:01 - Name`, `Name - 0:01`, `Name 0:01`, `[Name 0:01]` | Sonix, Fathom, Fireflies, Notta | `otter` |
//! | `Name: [00:01] text`, `Name (00:01): text`, `Name [00:01] text`, `[Name 00:01] text` | GoTranscript, Trint | `timed` |
//! | `00:01<TAB>Name<TAB>text`, `Name<TAB>00:01<TAB>text` | tables | `timed` |

use crate::format::core::kinds::FileKind;
use crate::format::core::person_names::{is_label, is_sentence, is_title};
use crate::format::core::timestamps::{When, bare, is_broken_clock};
use crate::format::text::text_lines::LABEL_MAX;
use crate::transcript::MediaMs;

/// A line that begins a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    /// The speaker; empty if unknown.
    pub(crate) label: &'a str,
    /// The start in milliseconds. `None` if the line has no time.
    pub(crate) start_ms: Option<MediaMs>,
    pub(crate) end_ms: Option<MediaMs>,
    /// Text in the place of the time that is no time.
    pub(crate) remark: &'a str,
    /// True if the remark has no brackets around it, so that it may be speech.
    pub(crate) is_plain_remark: bool,
    /// The text on the same line.
    pub(crate) text: &'a str,
    /// A deviation from the form of the file's kind.
    pub(crate) odd: Option<&'static str>,
    pub(crate) room: HeaderRoom,
}

/// Times at which a line counts as a header: a sentence may have a clock in it that looks like one (`6:30 from Bern`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderRoom {
    Anywhere,
    /// Between the times of the headers around it. Behind the last header of the file, any time.
    Between,
    /// The same, but behind the last header of the file only a time near to it, unless its speaker is known.
    Near,
}

impl<'a> Header<'a> {
    /// Returns a header that names the speaker, and nothing else.
    pub(crate) fn of_label(label: &'a str) -> Self {
        Self {
            label,
            start_ms: None,
            end_ms: None,
            remark: "",
            is_plain_remark: false,
            text: "",
            odd: None,
            room: HeaderRoom::Anywhere,
        }
    }
}

/// A form of headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum HeaderForm {
    /// `Name: (00:01)`
    ColonBracket,
    /// `Name (00:01):`
    BracketColon,
    /// `Name (00:01)`
    Bracket,
    /// `Name: 00:00:01`
    ColonTime,
    /// `Name  0:01`, `[Name] 0:01` and `[0:01] - Name`
    NameTime,
    /// `[Name 0:01]`, also with text behind it
    InBrackets,
    /// `[00:01] Name: text` and `00:01 Name: text`
    TimeFirst,
    /// `[00:01] Name` and `00:01 Name`, with the text below
    TimeName,
    /// `Name: [00:01] text` and `Name (00:01): text`
    NameTimeText,
    /// `Name [00:01] text`
    NameTimeBare,
    /// `Name  0:01 text`, without brackets
    PlainTimeText,
    /// Columns, separated by tabs
    Columns,
    /// `Name:`
    Colon,
    /// `Name: text`
    Inline,
    /// `[Name] text`
    BracketInline,
    /// `Name`
    Alone,
    /// `[Name]`
    BracketAlone,
    /// `- Name`
    DashAlone,
}

pub(crate) const NO_COLON: &str = "there is no ':' between name and time";

/// `Name 0:01`, and `Name, 0:01`: verses and scores have this form too.
pub(crate) const NO_SIGN: &str = "there is no colon after the name";

/// `12:30` where `HH:MM:SS` is expected.
pub(crate) const NOT_FULL: &str = "the time is not written HH:MM:SS";

/// A line, read as a header of one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeaderShape<'a> {
    pub(crate) form: HeaderForm,
    pub(crate) label: &'a str,
    pub(crate) when: When<'a>,
    pub(crate) text: &'a str,
    /// Label and text together, in case the label is the beginning of the text.
    pub(crate) whole: &'a str,
    /// A deviation within the form.
    pub(crate) odd: Option<&'static str>,
}

impl<'a> HeaderShape<'a> {
    pub(crate) fn new(form: HeaderForm, label: &'a str, when: When<'a>) -> Self {
        Self { form, label, when, text: "", whole: "", odd: None }
    }

    pub(crate) fn with_text(self, text: &'a str) -> Self {
        Self { text: bare(text), ..self }
    }
}

impl<'a> HeaderShape<'a> {
    pub(crate) fn has_label(&self) -> bool {
        (1..=LABEL_MAX).contains(&self.label.chars().count())
    }

    /// Returns true for a form that files of `kind` consist of.
    pub(crate) fn is_native(&self, kind: FileKind) -> bool {
        let is_known = matches!(self.when, When::Known(..));
        let is_form = match kind {
            FileKind::Rev => matches!(self.form, HeaderForm::ColonBracket | HeaderForm::BracketColon),
            FileKind::Names => self.form == HeaderForm::ColonTime && self.odd != Some(NOT_FULL),
            FileKind::Otter => {
                self.form == HeaderForm::NameTime && self.odd.is_none()
                    || self.form == HeaderForm::Bracket && is_title(self.label)
            }
            FileKind::Timed => return self.form == HeaderForm::TimeFirst && is_known && !self.whole.is_empty(),
            _ => false,
        };
        is_form && is_known && self.has_label()
    }

    /// Returns true for a form of files of `kind` that other texts have as well.
    pub(crate) fn is_loose(&self, kind: FileKind) -> bool {
        let is_form = match (kind, self.form) {
            (FileKind::Names, HeaderForm::ColonTime) => true,
            (FileKind::Otter, HeaderForm::NameTime) => self.odd.is_some(),
            (FileKind::Otter, HeaderForm::TimeName) => {
                return matches!(self.when, When::Known(..)) && is_label(self.label) && !is_sentence(self.label);
            }
            (FileKind::Otter, HeaderForm::InBrackets) => self.text.is_empty(),
            (FileKind::Timed, HeaderForm::InBrackets) => !self.text.is_empty(),
            (FileKind::Timed, HeaderForm::NameTimeBare) => self.odd.is_none(),
            (FileKind::Timed, HeaderForm::NameTimeText) => {
                return matches!(self.when, When::Known(..)) && is_label(self.label) && !is_sentence(self.label);
            }
            (FileKind::Timed, HeaderForm::Columns) => {
                let is_time = || says_nothing(self.label) || is_broken_clock(self.label, false);
                let is_named = self.label.is_empty() || is_label(self.label) && !is_time();
                return matches!(self.when, When::Known(..)) && is_named;
            }
            _ => false,
        };
        is_form && matches!(self.when, When::Known(..)) && is_title(self.label)
    }

    /// Removes the deviations that are normal for a file of `kind`.
    pub(crate) fn in_kind(self, kind: FileKind) -> Self {
        let is_own = self.is_loose(kind) || kind == FileKind::Otter && self.form == HeaderForm::Bracket;
        Self { odd: self.odd.filter(|odd| !(is_own && [NO_COLON, NO_SIGN, NOT_FULL].contains(odd))), ..self }
    }

    pub(crate) fn header(self) -> Header<'a> {
        let (start_ms, end_ms, remark) = match self.when {
            When::Known(start, end) => (Some(start), end, ""),
            When::Unknown(remark) | When::Words(remark) => (None, None, remark),
            When::Absent => (None, None, ""),
        };
        let odd = match self.when {
            When::Known(..) => self.odd,
            _ => None,
        };
        let is_plain_remark = matches!(self.form, HeaderForm::ColonTime | HeaderForm::NameTime);
        let (label, text, room) = (self.label, self.text, HeaderRoom::Anywhere);
        Header { label, start_ms, end_ms, remark, is_plain_remark, text, odd, room }
    }
}

/// Returns true for a text without a letter or digit: `.`, `-`.
pub(crate) fn says_nothing(text: &str) -> bool {
    !text.contains(char::is_alphanumeric)
}
