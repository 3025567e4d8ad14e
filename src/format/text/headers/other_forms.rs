//! Headers in other forms than those of their file: the rules by which they begin a block all the same.

use crate::format::core::kinds::FileKind;
use crate::format::core::person_names::{is_label, is_name, is_sentence, is_sound, is_title};
use crate::format::core::timestamps::{self, When, bare, is_colon, is_unreadable};
use crate::format::text::header_forms::{Header, HeaderForm, HeaderRoom, HeaderShape, NO_SIGN, says_nothing};
use crate::format::text::header_patterns::{is_placeholder, name_with_time};
use crate::format::text::headers::{FileLine, Headers, TEXT_ON_LINE, WRITTEN_OTHERWISE};
use crate::format::text::text_lines::LABEL_MAX;

impl Headers<'_> {
    /// Returns the header that a line is in this form, or `None`.
    pub(super) fn accept<'b>(&self, line: &str, shape: HeaderShape<'b>, place: FileLine) -> Option<Header<'b>> {
        let HeaderShape { form, label, when, .. } = shape;
        if label.chars().count() > LABEL_MAX || !self.is_header(line, &shape, place) {
            return None;
        }
        let is_timed = matches!(when, When::Known(..));
        let odd = match form {
            HeaderForm::PlainTimeText => Some(TEXT_ON_LINE),
            _ => shape.odd.or_else(|| is_timed.then_some(WRITTEN_OTHERWISE)),
        };
        let is_known = self.known.contains(label);
        let may_be_clock = match form {
            HeaderForm::ColonBracket | HeaderForm::BracketColon | HeaderForm::Columns => false,
            HeaderForm::Bracket | HeaderForm::TimeName => true,
            _ => !is_known || self.usual.is_named_once(label) || matches!(odd, Some(TEXT_ON_LINE | NO_SIGN)),
        };
        let room = if may_be_clock { HeaderRoom::Near } else { HeaderRoom::Anywhere };
        Some(Header { room, ..HeaderShape { odd, ..shape }.header() })
    }

    fn is_header(&self, line: &str, shape: &HeaderShape<'_>, place: FileLine) -> bool {
        let label = shape.label;
        match (shape.form, shape.when) {
            (
                HeaderForm::Colon
                | HeaderForm::Inline
                | HeaderForm::BracketInline
                | HeaderForm::Alone
                | HeaderForm::DashAlone
                | HeaderForm::BracketAlone,
                _,
            ) => self.is_name_header(shape, place),
            (HeaderForm::Columns, when) => self.is_table_row(label, matches!(when, When::Known(..))),
            (_, When::Known(..)) => self.is_timed_header(line, shape, place),
            (_, When::Unknown(remark)) => self.is_untimed_header(shape, remark, place),
            (HeaderForm::ColonBracket, When::Words(_)) => self.is_somebody(label),
            (HeaderForm::Bracket, When::Words(remark)) => {
                // A year or a count may stand behind a name in a sentence.
                let is_known = self.known.contains(label);
                is_known && place.is_open && place.has_text_below && remark.contains(char::is_alphabetic)
            }
            (_, When::Words(_) | When::Absent) => false,
        }
    }

    fn is_somebody(&self, label: &str) -> bool {
        self.known.contains(label) || is_name(label)
    }

    /// Returns true if a row may begin with a name.
    fn has_names(&self) -> bool {
        self.kind != FileKind::Timed || self.is_named
    }

    /// Returns true for a name with a time that can be read.
    fn is_timed_header(&self, line: &str, shape: &HeaderShape<'_>, place: FileLine) -> bool {
        let (kind, label) = (self.kind, shape.label);
        let FileLine { is_open, has_text_below, .. } = place;
        let is_known = self.known.contains(label);
        let is_somebody = || self.is_somebody(label);
        match shape.form {
            // The time of a paragraph within a block.
            HeaderForm::Bracket if label.is_empty() => false,
            HeaderForm::ColonBracket | HeaderForm::BracketColon => true,
            HeaderForm::Bracket | HeaderForm::NameTimeText => is_somebody() || is_open && is_title(label),
            HeaderForm::NameTime | HeaderForm::ColonTime => {
                // `Genesis 12:30` is no header if the file's headers have another form.
                let is_alike = matches!(kind, FileKind::Names | FileKind::Otter);
                is_somebody() || is_open && is_alike && is_title(label)
            }
            HeaderForm::InBrackets => self.is_in_brackets(shape),
            HeaderForm::TimeFirst => is_somebody() || is_open && kind != FileKind::Timed && is_title(label),
            HeaderForm::TimeName => {
                // Small letters go on with a sentence, unless brackets part them from the time.
                let is_marked = || self.is_loose && is_label(label) && bare(line).starts_with(timestamps::is_open);
                let is_row = kind == FileKind::Otter && (is_title(label) || is_marked());
                has_text_below && (is_known || self.has_names() && is_name(label) || is_open && is_row)
            }
            HeaderForm::NameTimeBare => is_known,
            // In rows the time stands first, and words behind a name are text.
            HeaderForm::PlainTimeText => {
                let is_apart = shape.odd.is_none() && matches!(kind, FileKind::Names | FileKind::Otter);
                kind != FileKind::Timed && (is_known || is_apart && is_name(label))
            }
            _ => false,
        }
    }

    /// Returns true for a name with another text, `remark`, in the place of the time.
    fn is_untimed_header(&self, shape: &HeaderShape<'_>, remark: &str, place: FileLine) -> bool {
        let (kind, label) = (self.kind, shape.label);
        let FileLine { is_open, has_text_below, .. } = place;
        let is_known = self.known.contains(label);
        let is_somebody = || self.is_somebody(label);
        match shape.form {
            HeaderForm::ColonBracket | HeaderForm::BracketColon => is_known || is_label(label),
            HeaderForm::Bracket => is_somebody(),
            HeaderForm::ColonTime => {
                let is_apart = matches!(kind, FileKind::Names | FileKind::Rev) && has_text_below;
                let is_like = is_somebody() || is_apart && is_open && is_title(label) && is_placeholder(remark);
                is_like && (is_placeholder(remark) || is_apart && !remark.contains(['.', '\u{2026}', '?', '!', ',']))
            }
            HeaderForm::NameTime => {
                let is_sure = is_placeholder(remark);
                let is_apart = shape.odd.is_none() && kind == FileKind::Otter;
                let is_like =
                    is_name(label) || is_apart && (is_title(label) || is_label(label) && remark.contains(is_colon));
                is_known && (is_sure || is_apart || !says_nothing(remark)) || is_like && (is_sure || is_apart)
            }
            HeaderForm::InBrackets => self.is_in_brackets(shape),
            HeaderForm::TimeFirst => {
                // `[...] he said`, `[inaudible] Ann: yes`: the brackets hold speech, or an omission.
                let is_row = kind == FileKind::Timed && (label.is_empty() || is_label(label) && !is_sentence(label));
                is_placeholder(remark) && is_row && !shape.whole.is_empty()
                    || is_somebody() && !remark.contains(['.', '\u{2026}']) && !remark.eq_ignore_ascii_case("inaudible")
            }
            HeaderForm::TimeName => {
                has_text_below && is_placeholder(remark) && (is_known || self.has_names() && is_name(label))
            }
            HeaderForm::NameTimeText => is_somebody() && is_placeholder(remark),
            HeaderForm::NameTimeBare => is_known && is_placeholder(remark) && !remark.is_empty(),
            _ => false,
        }
    }

    /// Returns true for a name with a time in brackets, and no guess at words as transcribers mark it: `[Ann 00:02:58]
    /// said so`.
    fn is_in_brackets(&self, shape: &HeaderShape<'_>) -> bool {
        let is_alike = matches!(self.kind, FileKind::Otter | FileKind::Timed);
        let is_known = self.known.contains(shape.label);
        is_known && (is_alike || shape.text.is_empty()) || is_name(shape.label) && is_alike
    }

    /// Returns true for a row of a table.
    fn is_table_row(&self, label: &str, is_timed: bool) -> bool {
        let is_one = is_label(label) && (is_timed || !is_unreadable(label));
        let is_cell = self.has_columns && (label.is_empty() && is_timed || is_one);
        self.kind == FileKind::Timed && is_cell || is_timed && self.is_somebody(label)
    }

    /// Returns true for a name in a form that has no place for a time.
    fn is_name_header(&self, shape: &HeaderShape<'_>, place: FileLine) -> bool {
        let (kind, label) = (self.kind, shape.label);
        let FileLine { is_open, has_text_below, has_time_below, .. } = place;
        let is_known = self.known.contains(label);
        match shape.form {
            HeaderForm::Colon => is_known || is_open && (is_name(label) || self.repeated.contains(label)),
            HeaderForm::Inline => {
                let is_row = kind == FileKind::Timed && (self.is_named || !self.known.is_empty());
                is_open && (is_known || is_row && is_name(label) || self.has_rows && is_title(label))
            }
            HeaderForm::BracketInline => is_open && is_known,
            HeaderForm::Alone => {
                let is_split = has_time_below && kind != FileKind::Rev && (is_known || is_title(label));
                is_split || is_open && is_known && (has_text_below || has_time_below)
            }
            HeaderForm::DashAlone => self.is_dashed && is_open && has_text_below && self.is_somebody(label),
            HeaderForm::BracketAlone => {
                let is_alike =
                    self.is_bracketed && is_name(label) && !is_sound(label) && name_with_time(label).is_none();
                is_open && has_text_below && (is_known || is_alike)
            }
            _ => false,
        }
    }
}
