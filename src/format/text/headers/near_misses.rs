//! Lines that look like headers and are none, with the reasons that are reported.

use crate::format::core::kinds::FileKind;
use crate::format::core::label_spelling::letters;
use crate::format::core::person_names::{is_name, is_sound, is_title};
use crate::format::core::timestamps::{When, bare, is_open};
use crate::format::text::header_forms::{HeaderForm, HeaderShape, NO_COLON};
use crate::format::text::header_patterns::{shapes, text_behind_time};
use crate::format::text::headers::{FileLine, Headers};
use crate::format::text::text_lines::LABEL_MAX;
use crate::format::text::unreadable_times;

/// A line that resembles a header but is not taken for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeaderNearMiss {
    /// The byte at which the fault is.
    pub(crate) at: usize,
    pub(crate) why: &'static str,
}

impl Headers<'_> {
    /// Returns why a line that looks like a header is not taken for one. `None` for a line that does not look like one.
    pub(crate) fn near_miss(&self, line: &str, place: FileLine) -> Option<HeaderNearMiss> {
        let all: Vec<_> = shapes(line).collect();
        let why = self.lack_of_room(line, &all, place).or_else(|| self.doubt(line, &all, place));
        let why = why.or_else(|| self.lack_of_brackets(line, place));
        match why {
            Some(why) => Some(HeaderNearMiss { at: 0, why }),
            None => all.iter().find_map(|shape| self.near_miss_of(line, shape, place)),
        }
    }

    /// Returns why the time of a header does not fit at this place.
    fn lack_of_room(&self, line: &str, all: &[HeaderShape<'_>], place: FileLine) -> Option<&'static str> {
        let header = self.choose(line, all, place.anywhere()).filter(|header| !self.has_room(place, header))?;
        Some(match (place.from_ms, place.until_ms) {
            (_, None) if self.is_odd_span(&header) => "it has two times, and the headers of this file have one",
            (Some(from), None) if header.start_ms.is_some_and(|start| start < from) => {
                "its time lies before that of the last header"
            }
            (_, None) => "its time lies too far behind that of the last header",
            (None, Some(_)) => "its time lies behind that of the first header",
            _ => "its time does not lie between those of the headers around it",
        })
    }

    /// Returns why a line with a time and no name is no row of a file whose rows have brackets. A time that does not fit
    /// here is a clock in the text.
    fn lack_of_brackets(&self, line: &str, place: FileLine) -> Option<&'static str> {
        let is_row = self.kind == FileKind::Timed && self.usual.have_marks() && !bare(line).starts_with(is_open);
        let (when, _) = text_behind_time(bare(line)).filter(|_| is_row)?;
        let When::Known(start, _) = when else { return None };
        let fits = place.from_ms.is_some_and(|from| from <= start) && place.until_ms.is_none_or(|until| start <= until);
        fits.then_some("there are no brackets around its time, as in the other rows, and no name behind it")
    }

    /// Returns why a line without a time may be a header or text.
    fn doubt(&self, line: &str, all: &[HeaderShape<'_>], place: FileLine) -> Option<&'static str> {
        let is_known = |label: &str| self.is_label_here(label);
        let is_timed = |shape: &HeaderShape<'_>| matches!(shape.when, When::Known(..)) && shape.has_label();
        let is_doubtful = !all.iter().any(is_timed)
            && unreadable_times::is_doubtful(line, self.orders, place.has_text_below, is_known);
        is_doubtful.then_some("it looks like a header whose time cannot be read")
    }

    /// Returns why a line is no header in this form.
    fn near_miss_of(&self, line: &str, shape: &HeaderShape<'_>, place: FileLine) -> Option<HeaderNearMiss> {
        let HeaderShape { form, label, when, .. } = *shape;
        let is_timed = matches!(when, When::Known(..)) && !label.is_empty();
        let is_long = label.chars().count() > LABEL_MAX;
        let mut at = 0;
        let why = match form {
            HeaderForm::ColonBracket | HeaderForm::ColonTime | HeaderForm::BracketColon if is_timed && is_long => {
                "the name is longer than 80 characters"
            }
            HeaderForm::Bracket if is_timed && !is_long && (shape.odd == Some(NO_COLON) || is_title(label)) => {
                at = label.as_ptr() as usize - line.as_ptr() as usize + label.len();
                NO_COLON
            }
            HeaderForm::NameTimeText
            | HeaderForm::NameTimeBare
            | HeaderForm::NameTime
            | HeaderForm::TimeName
            | HeaderForm::PlainTimeText
                if place.is_open && is_timed && self.may_be_somebody(shape, place) && !is_sound(label) =>
            {
                "the name beside the time is no speaker anywhere else in this file"
            }
            _ if place.is_open => self.near_name(form, label, place)?,
            _ => return None,
        };
        Some(HeaderNearMiss { at, why })
    }

    fn may_be_somebody(&self, shape: &HeaderShape<'_>, place: FileLine) -> bool {
        let is_small = self.is_loose && place.has_text_below && shape.is_loose(self.kind);
        is_title(shape.label) || is_small && shape.form == HeaderForm::TimeName
    }

    /// Returns why a name begins no block, in a form that has no place for a time.
    fn near_name(&self, form: HeaderForm, label: &str, place: FileLine) -> Option<&'static str> {
        let is_timed = self.kind == FileKind::Timed;
        let is_alone = place.is_first && place.is_last && place.has_text_below;
        match form {
            HeaderForm::Inline if is_name(label) => Some("the name before the colon has no time anywhere in this file"),
            HeaderForm::Inline if is_timed && self.is_named && is_title(label) => {
                Some("there is no time before it, and what stands before the colon may begin a sentence")
            }
            HeaderForm::Alone | HeaderForm::Colon | HeaderForm::Inline if self.resembles_known(label) => {
                Some("it is nearly the name of somebody who has a time elsewhere")
            }
            HeaderForm::Alone if is_alone && !is_timed && is_title(label) && !is_sound(label) && !is_over(label) => {
                Some("it may be a name, but that name has no time anywhere in this file")
            }
            HeaderForm::BracketAlone
                if !is_sound(label) && (is_name(label) || self.is_bracketed && is_title(label)) =>
            {
                Some("there is no time behind it, and the name in the brackets has none anywhere in this file")
            }
            _ => None,
        }
    }

    /// Returns true for a label that differs from a known one only in capitals, blanks or signs.
    fn resembles_known(&self, label: &str) -> bool {
        let is_short = label.chars().count() <= LABEL_MAX && !is_over(label);
        is_short && !self.known.contains(label) && self.letters.contains(&letters(label))
    }
}

/// Returns true for a text that ends like a sentence, or like a part of one.
fn is_over(label: &str) -> bool {
    label.ends_with(['.', '?', '!', ',', '\u{2026}', '-'])
}
