//! Text with broadcasters' chevrons: `>>` before each new speaker, `>>>` before a new story, sometimes with a name.
//!
//! A chevron begins a line at any position, even directly after the dash of an interrupted speaker (`->>`, seen in
//! council meetings). A name after it (`>> MAYOR: …`) is the label of everything up to the next chevron. Without a name
//! the speaker is unknown, and the chevron stays in the text, as a mark.

use std::sync::Arc;

use crate::dialect::core::decoded::Decoded;
use crate::dialect::core::lines::LineInProgress;
use crate::dialect::core::options::Options;
use crate::dialect::core::plain_text::LineEmitter;
use crate::dialect::core::session::EngineSession;
use crate::dialect::core::session_sign::SessionSign;
use crate::dialect::core::token::{SpeechToken, whole};
use crate::dialect::core::vendor_format::VendorFormat;
use crate::transcript::Break;

/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 40;
/// Most words of a name: `THE CHAIR OF THE COMMITTEE` has five.
const NAME_WORDS_MAX: usize = 5;

/// State that carries over from line to line: the current speaker.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Chevron {
    speaker: Option<Arc<str>>,
    /// True if a line ended with a chevron, which begins the next one.
    begins_next: bool,
}

/// A part of a line.
#[derive(Debug, PartialEq)]
pub(crate) struct ChevronPart<'a> {
    pub(crate) text: &'a str,
    pub(crate) speaker: Option<Arc<str>>,
    /// True if a chevron comes before it.
    pub(crate) begins: bool,
}

impl Chevron {
    /// Splits a line at its chevrons.
    pub(crate) fn cut<'a>(&mut self, line: &'a str) -> Vec<ChevronPart<'a>> {
        let mut parts = Vec::new();
        let mut rest = line.trim();
        loop {
            let end = rest.match_indices(">>").map(|(at, _)| at).find(|at| *at > 0 && !rest[..*at].ends_with('>'));
            let (part, behind) = rest.split_at(end.unwrap_or(rest.len()));
            let part = self.part(part.trim());
            if !part.text.is_empty() {
                parts.push(part);
            }
            if behind.is_empty() {
                return parts;
            }
            rest = behind;
        }
    }

    /// Processes a part with at most one chevron, at its beginning.
    pub(crate) fn part<'a>(&mut self, text: &'a str) -> ChevronPart<'a> {
        let said = text.trim_start_matches('>');
        let has_chevron = text.len() - said.len() >= 2;
        if has_chevron && said.trim().is_empty() {
            *self = Self { speaker: None, begins_next: true };
            return ChevronPart { text: "", speaker: None, begins: true };
        }
        let begins = has_chevron || !text.is_empty() && std::mem::take(&mut self.begins_next);
        if !has_chevron {
            return ChevronPart { text, speaker: self.speaker.clone(), begins };
        }
        let said = said.trim_start();
        match name(said) {
            Some((name, said)) => {
                *self = Self { speaker: Some(name.into()), begins_next: false };
                ChevronPart { text: said, speaker: self.speaker.clone(), begins }
            }
            None => {
                *self = Self::default();
                ChevronPart { text, speaker: None, begins }
            }
        }
    }
}

/// Splits off a name at the beginning, as in `NAME: …`.
fn name(said: &str) -> Option<(&str, &str)> {
    let (name, said) = said.split_once(':')?;
    let name = name.trim();
    let is_name = (1..=NAME_CHARS_MAX).contains(&name.chars().count())
        && name.split_whitespace().count() <= NAME_WORDS_MAX
        && name.starts_with(char::is_uppercase)
        && !name.contains(['>', '?', '!', ','])
        // Not for `12:30` and `http://`.
        && said.starts_with(char::is_whitespace);
    (is_name && !said.trim().is_empty()).then(|| (name, said.trim()))
}

impl ChevronPart<'_> {
    pub(crate) fn tokens(&self, options: &Options) -> Vec<SpeechToken> {
        let mut tokens = whole(self.text, &[]);
        if let (Some(token), Some(speaker)) = (tokens.first_mut(), &self.speaker) {
            token.label = options.name(speaker);
        }
        tokens
    }

    pub(crate) fn break_before(&self) -> Option<Break> {
        self.begins.then_some(Break::Turn)
    }
}

pub(crate) struct Chevrons {
    teller: LineEmitter,
    state: Chevron,
}

fn say(state: &mut Chevron, teller: &mut LineEmitter, line: &str, saying: &mut LineInProgress) {
    for part in state.cut(line) {
        let tokens = part.tokens(&teller.options);
        teller.say(&tokens, part.break_before(), saying);
    }
}

impl EngineSession for Chevrons {
    const FORMAT: VendorFormat = VendorFormat::Chevrons;
    type Message = str;

    fn new(options: Options) -> Self {
        Self { teller: LineEmitter::new(options), state: Chevron::default() }
    }

    fn sign<'a>(&self, _: &'a str) -> SessionSign<'a> {
        SessionSign { says: true, ..SessionSign::default() }
    }

    fn read(&mut self, line: &str, out: &mut Decoded) {
        let mut saying = LineInProgress::default();
        say(&mut self.state, &mut self.teller, line, &mut saying);
        saying.finish(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_a_table() {
        let check = |lines: &[&str], expected: &[(&str, Option<&str>, bool)]| {
            let mut state = Chevron::default();
            let found: Vec<_> = lines
                .iter()
                .flat_map(|line| state.cut(line))
                .map(|part| (part.text.to_owned(), part.speaker.map(|name| name.to_string()), part.begins))
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(text, name, begins)| ((*text).to_owned(), name.map(str::to_owned), *begins))
                .collect();
            assert_eq!(found, expected, "{lines:?}");
        };
        check(&["IT IS NOON."], &[("IT IS NOON.", None, false)]);
        check(&[">> THANK YOU."], &[(">> THANK YOU.", None, true)]);
        check(
            &[">> MAYOR: THANK YOU.", "ALL OF YOU."],
            &[("THANK YOU.", Some("MAYOR"), true), ("ALL OF YOU.", Some("MAYOR"), false)],
        );
        check(&[">> MAYOR: A", ">> B"], &[("A", Some("MAYOR"), true), (">> B", None, true)]);
        check(
            &["I WOULD ->> NO. >>> NEXT:"],
            &[("I WOULD -", None, false), (">> NO.", None, true), (">>> NEXT:", None, true)],
        );
        check(&[">>12:30 IS FINE"], &[(">>12:30 IS FINE", None, true)]);
        check(&[">> WELL, NO: NOT THAT"], &[(">> WELL, NO: NOT THAT", None, true)]);
        check(&["> ONE IS NONE", "A > B"], &[("> ONE IS NONE", None, false), ("A > B", None, false)]);
        // In roll-up captions a chevron may be the last character of a line.
        check(&["", "A >>", "", "B", "C"], &[("A", None, false), ("B", None, true), ("C", None, false)]);
        check(&[">>>>>> A"], &[(">>>>>> A", None, true)]);
    }
}
