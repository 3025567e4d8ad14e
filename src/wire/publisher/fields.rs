//! Unknown fields in publishers' messages, and suggestions for the fields that were probably meant.

use std::fmt;

use crate::transcript::field_names::nearest_field;

/// The fields of a publisher's messages.
const MESSAGE_FIELDS: [&str; 14] = [
    "type", "seq", "id", "rev", "start_ms", "end_ms", "speaker", "text", "status", "lang", "break", "words",
    "media_ms", "lines",
];
/// The fields of a word.
const WORD_FIELDS: [&str; 4] = ["text", "start_ms", "end_ms", "confidence"];

/// Longest prefix of a field's name that is reported, in characters.
const NAME_CHARS_MAX: usize = 32;

/// Location of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldPlace {
    /// In the message itself, or in a line sent on its own.
    Message,
    /// In a line of `lines`.
    Line,
    /// In a word of `words`.
    Word,
    /// In the query of the URL.
    Query,
    /// Known, but meaningless in a message of this type.
    Misplaced(&'static str),
}

/// An unknown field. Clients may be newer than the server, so it is no error; but it may be a typo.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UnknownField {
    place: FieldPlace,
    /// Its name, without control characters and truncated if long.
    name: Box<str>,
}

impl UnknownField {
    /// Creates the report of the field `name`.
    #[must_use]
    pub fn new(place: FieldPlace, name: &str) -> Self {
        let name: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
        Self { place, name: name.into() }
    }

    /// Creates the report of a field that means nothing in a message of the type `kind`.
    pub(crate) fn misplaced(name: &str, kind: &'static str) -> Self {
        Self { place: FieldPlace::Misplaced(kind), name: name.into() }
    }

    /// Returns the same field, located in a line of `lines`.
    pub(crate) fn of_a_line(mut self) -> Self {
        if self.place == FieldPlace::Message {
            self.place = FieldPlace::Line;
        }
        self
    }

    /// Returns the known field that was probably meant; for a query, one of `parameters`.
    #[must_use]
    pub fn nearest(&self, parameters: &[&'static str]) -> Option<&'static str> {
        let known: &[&'static str] = match self.place {
            FieldPlace::Message | FieldPlace::Line => &MESSAGE_FIELDS,
            FieldPlace::Word => &WORD_FIELDS,
            FieldPlace::Query => parameters,
            FieldPlace::Misplaced(kind) => {
                return match (kind, &*self.name) {
                    ("line", "media_ms") => Some("start_ms"),
                    ("clock", "start_ms" | "end_ms") => Some("media_ms"),
                    _ => None,
                };
            }
        };
        nearest_field(&self.name, known)
    }

    /// Returns the text of the warning.
    #[must_use]
    pub fn describe(&self, parameters: &[&'static str]) -> String {
        let what = match self.place {
            FieldPlace::Misplaced(_) => self.to_string(),
            _ => format!("unknown {self}"),
        };
        match self.nearest(parameters) {
            Some(nearest) => format!("{what}: did you mean \"{nearest}\"? It was ignored"),
            None => format!("{what}: it was ignored"),
        }
    }
}

impl fmt::Display for UnknownField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.place {
            FieldPlace::Message => write!(f, "field {name:?}"),
            FieldPlace::Line => write!(f, "field {name:?} in lines"),
            FieldPlace::Word => write!(f, "field {name:?} in words"),
            FieldPlace::Query => write!(f, "query parameter {name:?}"),
            FieldPlace::Misplaced(kind @ "end") => write!(f, "field {name:?} means nothing in an {kind}"),
            FieldPlace::Misplaced(kind) => write!(f, "field {name:?} means nothing in a {kind}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_as_a_table() {
        let check = |place, name: &str, nearest: Option<&str>| {
            assert_eq!(UnknownField::new(place, name).nearest(&["session", "source"]), nearest, "{name}");
        };
        for (name, nearest) in [
            ("is_final", Some("status")),
            ("isFinal", Some("status")),
            ("staus", Some("status")),
            ("sttaus", Some("status")),
            ("Text", Some("text")),
            ("txt", Some("text")),
            ("start", Some("start_ms")),
            ("startMs", Some("start_ms")),
            ("start-ms", Some("start_ms")),
            ("speeker", Some("speaker")),
            ("Name", Some("speaker")),
            ("language", Some("lang")),
            ("mood", None),
            ("term", None),
            ("x", None),
            ("channel", None),
        ] {
            check(FieldPlace::Message, name, nearest);
        }
        check(FieldPlace::Word, "word", Some("text"));
        check(FieldPlace::Word, "start", Some("start_ms"));
        check(FieldPlace::Word, "speaker", None);
        check(FieldPlace::Query, "sesion", Some("session"));
        check(FieldPlace::Query, "start", None);
    }

    #[test]
    fn a_name_is_told_without_what_would_harm_a_screen() {
        let field = UnknownField::new(FieldPlace::Word, &format!("a\u{1b}[2J{}", "x".repeat(100)));
        assert_eq!(field.to_string(), format!("field \"a[2J{}\" in words", "x".repeat(28)));
    }
}
