//! Unknown fields of our own rows that are probably typing errors for a known field which is missing. They are not
//! read, and each name is reported once. Other unknown fields belong to other programs and are not reported.

use std::collections::HashMap;

use crate::format::core::file_place::FilePlace;
use crate::format::json::row_fields::{Fields, SPEAKER_FIELDS, may_say_guess};
use crate::format::text::text_lines::excerpt;

/// The most names that are reported for one file. More are no typing errors.
const NAMES_TOLD_MAX: usize = 20;

/// The fields for which typing errors are looked for. Short names are too similar to others (`pid`, `ref`).
const SLIPPED_FIELDS: [&str; 8] = ["speaker", "status", "start_ms", "end_ms", "words", "lang", "title", "text"];

/// Names of four letters or more that differ from a known field in one letter, but mean something else.
const OTHER_NAMES: [&str; 10] =
    ["speakers", "stats", "states", "word", "works", "swords", "slang", "langs", "tile", "titles"];

/// A shorter name is no typing error, except in a row without text.
const SLIP_CHARS_MIN: usize = 4;

/// A kind of object in our own rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum RowObject {
    /// The metadata of a feed.
    Feed,
    /// A line of an export.
    Line,
    /// A line as publishers send it.
    SentLine,
    /// A word of either.
    Word,
}

impl RowObject {
    /// The fields that may have been misspelt.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Feed => &["title", "language", "preamble", "trailer", "state", "epoch"],
            Self::Line => &["end_ms", "speaker", "lang", "break", "words"],
            Self::SentLine => &[
                "id", "rev", "start_ms", "end_ms", "start", "end", "speaker", "text", "status", "lang", "break",
                "words", "source",
            ],
            Self::Word => &["text", "start_ms", "end_ms", "confidence"],
        }
    }

    /// Other known fields, and fields of other programs.
    fn others(self) -> &'static [&'static str] {
        match self {
            Self::Feed => &["type", "feed", "cursor", "speakers", "turns"],
            Self::Line => &[
                "type",
                "source",
                "id",
                "rev",
                "sort",
                "start_ms",
                "text",
                "status",
                "time_source",
                "marks",
                "received_at",
            ],
            Self::SentLine => &[
                "seq",
                "media_ms",
                "startMs",
                "endMs",
                "language",
                "received_at",
                "arrival_ms",
                "time_source",
                "sort",
                "marks",
            ],
            Self::Word => &[],
        }
    }

    /// The field that the unknown `name` was meant to be: it differs by one letter, or in its unit.
    fn meant_by(self, name: &str) -> Option<&'static str> {
        let name = name.to_lowercase();
        let is_slip = |field: &&&str| match (&*name, **field) {
            ("start", "start_ms") | ("end", "end_ms") => true,
            (name, _) if OTHER_NAMES.contains(&name) => false,
            (name, field) if name.chars().count() < SLIP_CHARS_MIN && field != "text" => false,
            // Words that differ from it in a letter are names of their own: `land`, `long`, `rang`, `lane`.
            (name, "lang") => strsim::damerau_levenshtein(name, "lang") <= 1 && strsim::hamming(name, "lang") != Ok(1),
            (name, field) => strsim::osa_distance(name, field) <= 1,
        };
        SLIPPED_FIELDS.iter().filter(|field| self.fields().contains(field)).find(is_slip).copied()
    }

    /// Returns true for a name that is read wherever it stands, which `end` beside `start_ms` is not.
    fn knows(self, name: &str) -> bool {
        let is_sent = self == Self::SentLine;
        match name {
            "start" | "end" if is_sent => false,
            name => {
                self.fields().contains(&name)
                    || self.others().contains(&name)
                    || is_sent && (SPEAKER_FIELDS.contains(&name) || may_say_guess(name))
            }
        }
    }
}

/// A name that was probably meant to be another.
#[derive(Debug)]
struct IntendedField {
    meant: &'static str,
    first: FilePlace,
    count: usize,
}

/// The names found so far, each with the field that was probably meant, usually none.
#[derive(Debug, Default)]
pub(crate) struct UnknownFields(HashMap<(RowObject, String), Option<IntendedField>>);

impl UnknownFields {
    /// Records the fields of an object at `at`. `has` returns true for a known field whose value the object holds under
    /// any name.
    pub(crate) fn note(&mut self, object: RowObject, fields: &Fields<'_>, at: FilePlace, has: impl Fn(&str) -> bool) {
        for (name, value) in fields {
            if object.knows(name) || value.get() == "null" {
                continue;
            }
            let met = self.0.entry((object, name.to_string())).or_insert_with(|| {
                let meant = object.meant_by(name)?;
                Some(IntendedField { meant, first: at, count: 0 })
            });
            if let Some(met) = met.as_mut().filter(|met| !has(met.meant)) {
                met.first = if met.count == 0 { at } else { met.first };
                met.count += 1;
            }
        }
    }

    /// Records an object whose fields have one name each.
    pub(crate) fn note_plain(&mut self, object: RowObject, fields: &Fields<'_>, at: FilePlace) {
        self.note(object, fields, at, |name| fields.get(name).is_some_and(|value| value.get() != "null"));
    }

    /// Returns the message for each name, once, at its first place.
    pub(crate) fn messages(self) -> Vec<(FilePlace, String)> {
        let mut messages = Vec::new();
        let mut told: Vec<_> =
            self.0.into_iter().filter_map(|((_, name), met)| Some((name, met.filter(|met| met.count > 0)?))).collect();
        told.sort_by(|(one, met), (other, met_too)| (met.first, one).cmp(&(met_too.first, other)));
        let more = told.len().saturating_sub(NAMES_TOLD_MAX);
        for (name, IntendedField { meant, first, count }) in told.drain(..told.len() - more) {
            let name = excerpt(&name);
            let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
            let message =
                format!("unknown field {name:?}: did you mean \"{meant}\"? It is not read; it stands there {times}");
            messages.push((first, message));
        }
        if let Some((_, met)) = told.first() {
            messages.push((met.first, format!("{more} further names of fields are not known")));
        }
        messages
    }
}
