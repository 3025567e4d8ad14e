//! JSON messages in a stream of text: usually a vendor's frames under the wrong format name, which would be shown as
//! captions.
//!
//! An object at the beginning of a line is held back until it is complete, across frames and line ends. A vendor's
//! message becomes a [`Fault`](super::DecodeFault) that names its format. Any other object is text, and so is anything
//! that proves not to be JSON, as soon as that is known, so that captions are not delayed.

use serde_json::Value;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::message_shape::foreign_object;

/// Longest object that is collected, in bytes: as long as a line of text may be. Engines' messages have a few KiB; a
/// longer one is refused and skipped to its end.
const OBJECT_BYTES_MAX: usize = 64 * 1024;
/// Longest first name of an object, in bytes: text in braces and quotes is not held back for longer.
const FIRST_NAME_BYTES_MAX: usize = 64;

/// Parser state within a possible object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// After the opening brace.
    Opened,
    /// Within the first name.
    Named,
    /// After the first name: a colon has to follow.
    Colon,
    /// Certainly an object.
    Sure,
}

/// Separates JSON objects from the text around them.
#[derive(Debug)]
pub(crate) struct JsonInText {
    /// The possible object so far; empty outside of one.
    held: String,
    progress: Progress,
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    /// True if it is too long, so that only its end is searched for.
    is_refused: bool,
    /// True if only blanks precede the next character in its line.
    at_head: bool,
}

impl Default for JsonInText {
    fn default() -> Self {
        Self {
            held: String::new(),
            progress: Progress::Opened,
            depth: 0,
            in_string: false,
            is_escaped: false,
            is_refused: false,
            at_head: true,
        }
    }
}

impl JsonInText {
    /// Returns true if nothing is held back.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty() && !self.is_refused
    }

    /// Processes the next character of the stream, and appends text to `text`.
    pub(crate) fn push(&mut self, c: char, text: &mut String, out: &mut Decoded) {
        if self.is_empty() {
            if c == '{' && self.at_head {
                self.begin(c);
            } else {
                self.at_head = c == '\n' || self.at_head && c.is_whitespace();
                text.push(c);
            }
            return;
        }
        if !self.is_refused {
            self.held.push(c);
        }
        if !self.goes_on(c) {
            if self.progress == Progress::Sure {
                out.fault(
                    DecodeFaultKind::Odd,
                    "a line begins like JSON but does not continue like it: it was accepted as text",
                );
            }
            self.release(text);
        } else if self.depth == 0 {
            self.finish(text, out);
        } else if self.held.len() > OBJECT_BYTES_MAX {
            out.fault(
                DecodeFaultKind::Unreadable,
                format!("a JSON object has more than {OBJECT_BYTES_MAX} bytes: it was left out"),
            );
            (self.held, self.is_refused) = (String::new(), true);
        }
    }

    /// Ends the stream. An incomplete object is not text.
    pub(crate) fn end(&mut self, text: &mut String, out: &mut Decoded) {
        if self.is_empty() {
        } else if self.progress == Progress::Sure {
            if !self.is_refused {
                out.fault(DecodeFaultKind::Unreadable, "the stream ends within a JSON object: it was left out");
            }
        } else {
            text.push_str(&self.held);
        }
        *self = Self::default();
    }

    fn begin(&mut self, c: char) {
        *self = Self { depth: 1, at_head: false, ..Self::default() };
        self.held.push(c);
    }

    /// Returns true if the object can continue with `c`.
    fn goes_on(&mut self, c: char) -> bool {
        let is_space = matches!(c, ' ' | '\t' | '\n' | '\r');
        match self.progress {
            Progress::Opened if is_space => true,
            Progress::Opened if c == '"' => {
                self.progress = Progress::Named;
                true
            }
            Progress::Opened => false,
            Progress::Named if self.held.len() > FIRST_NAME_BYTES_MAX || c.is_control() => false,
            Progress::Named => {
                if c == '"' {
                    self.progress = Progress::Colon;
                }
                true
            }
            Progress::Colon if is_space => true,
            Progress::Colon => {
                let is_colon = c == ':';
                if is_colon {
                    self.progress = Progress::Sure;
                }
                is_colon
            }
            Progress::Sure if self.in_string => {
                if self.is_escaped {
                    self.is_escaped = false;
                } else if c == '\\' {
                    self.is_escaped = true;
                } else if c == '"' {
                    self.in_string = false;
                }
                // A string contains no unescaped control characters.
                !c.is_ascii_control()
            }
            Progress::Sure => {
                match c {
                    '"' => self.in_string = true,
                    '{' | '[' => self.depth += 1,
                    '}' | ']' => self.depth -= 1,
                    _ => {}
                }
                // Numbers, true, false and null.
                is_space
                    || matches!(c, '"' | '{' | '}' | '[' | ']' | ',' | ':' | '+' | '-' | '.' | '0'..='9')
                    || "eEtrufalsn".contains(c)
            }
        }
    }

    fn release(&mut self, text: &mut String) {
        let at_head = self.held.ends_with('\n');
        text.push_str(&std::mem::take(&mut self.held));
        *self = Self { at_head, ..Self::default() };
    }

    fn finish(&mut self, text: &mut String, out: &mut Decoded) {
        match serde_json::from_str::<Value>(&self.held) {
            _ if self.is_refused => *self = Self::default(),
            Ok(object) => match foreign_object(&object) {
                Some(why) => {
                    out.fault(DecodeFaultKind::UnknownType, why);
                    // Another one may follow in the same line.
                    *self = Self::default();
                }
                None => {
                    out.fault(
                        DecodeFaultKind::Odd,
                        "a line is an object of JSON of no known format: it was taken as text",
                    );
                    self.release(text);
                }
            },
            Err(_) => self.release(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the text of a stream, and the kinds of its faults.
    fn read(frames: &[&str]) -> (String, Vec<DecodeFaultKind>) {
        let (mut json, mut text, mut out) = (JsonInText::default(), String::new(), Decoded::default());
        frames.iter().flat_map(|frame| frame.chars()).for_each(|c| json.push(c, &mut text, &mut out));
        json.end(&mut text, &mut out);
        (text, out.faults.into_iter().map(|fault| fault.kind).collect())
    }

    #[test]
    fn objects_in_text_as_a_table() {
        use DecodeFaultKind::{Odd, UnknownType, Unreadable};
        const VOSK: &str = r#"{"partial":"we }{ \"begin"}"#;
        let long = format!("{{\"partial\":\"{}\"}}", "x".repeat(OBJECT_BYTES_MAX));
        let long_name = format!("{{\"{}", "x".repeat(80));
        for (frames, text, faults) in [
            // Split anywhere, several in a frame, across several lines.
            (&["{\"par", "tial\":\"we\"", "}"][..], "", &[UnknownType][..]),
            (&[VOSK, VOSK, "\n", VOSK, "it is noon\n"], "\nit is noon\n", &[UnknownType, UnknownType, UnknownType]),
            (&["one\n{\n  \"partial\":\n  \"we\"\n}\ntwo"], "one\n\ntwo", &[UnknownType]),
            // Captions in braces.
            (&["{music}\n", "{\"No\", she said}\n{ }"], "{music}\n{\"No\", she said}\n{ }", &[]),
            (&[&long_name], &long_name, &[]),
            (&["{", "\"a\"", ": 1}"], "{\"a\": 1}", &[Odd]),
            (&["a {\"partial\":\"we\"}"], "a {\"partial\":\"we\"}", &[]),
            (&["{\"abc"], "{\"abc", &[]),
            // An incomplete object does not hold back the text after it.
            (&["{\"type\": [1,\nIt is noon.\nAll rise."], "{\"type\": [1,\nIt is noon.\nAll rise.", &[Odd]),
            (&["{\"type\": \"a\n{\"partial\":\"we\"}"], "{\"type\": \"a\n", &[Odd, UnknownType]),
            (&["{\"type\":\x08\x08"], "{\"type\":\x08\x08", &[Odd]),
            (&["one\n{\"type\": [1,"], "one\n", &[Unreadable]),
            // Too long to be collected.
            (&[&long, "two"], "two", &[Unreadable]),
        ] {
            let (found, told) = read(frames);
            assert_eq!((&*found, &told[..]), (text, faults), "{frames:?}");
        }
    }
}
