//! An utterance that grows: what is settled, and a guess of what follows.
//!
//! All engines that send the next piece of text again and again until it is settled come to this. The line shows what is
//! settled and the guess behind it; when the vendor says that the utterance is over, or when it is long and a sentence
//! ends, what is settled becomes final, and the guess begins the next line.

use std::sync::Arc;

use super::lines::{Facts, Lines, Saying};
use super::token::{Token, needs_space};
use super::{Decoded, Options, Said};
use crate::transcript::{MediaMs, Status};

/// From so many bytes on the next settled end of a sentence ends the line: a paragraph that can be read.
const SENTENCE_BYTES: usize = 200;
/// From so many bytes on whatever is settled ends it: nobody waits longer for a final text, and memory has a bound.
const SETTLED_BYTES_MAX: usize = 800;
/// A clock is worth a record only after so much silence.
const CLOCK_MS_MIN: MediaMs = 5_000;

/// The utterances of one connection, or of one channel of it, one after the other.
#[derive(Debug)]
pub(super) struct Utterance {
    options: Options,
    /// What ids begin with; behind it stands the number of the utterance.
    prefix: Arc<str>,
    number: u64,
    lines: Lines,
    settled: Vec<Token>,
    guess: Vec<Token>,
    pub(super) facts: Facts,
    /// The vendor says where spaces are: none is added.
    is_verbatim: bool,
    clock_ms: MediaMs,
}

impl Utterance {
    /// `part` tells several of a connection apart; none where there is one.
    pub(super) fn new(options: Options, part: &str) -> Self {
        let prefix: Arc<str> = format!("{}-{part}", options.tag).into();
        let facts = Facts { lang: options.lang.clone(), break_before: None };
        let lines = Lines::new(format!("{prefix}1").into());
        Self {
            options,
            prefix,
            number: 1,
            lines,
            settled: Vec::new(),
            guess: Vec::new(),
            facts,
            is_verbatim: false,
            clock_ms: 0,
        }
    }

    /// For a vendor that says where spaces are.
    pub(super) fn verbatim(options: Options, part: &str) -> Self {
        Self { is_verbatim: true, ..Self::new(options, part) }
    }

    /// `tokens` follow what is settled, and will not change. The guess is gone.
    pub(super) fn settle(&mut self, tokens: Vec<Token>) {
        self.guess.clear();
        append(&mut self.settled, tokens, self.is_verbatim);
    }

    /// `tokens` is what seems to follow what is settled.
    pub(super) fn guess(&mut self, tokens: Vec<Token>) {
        self.guess = tokens;
    }

    /// Whether nothing is open.
    pub(super) fn is_empty(&self) -> bool {
        self.settled.is_empty() && self.guess.is_empty() && !self.lines.is_shown()
    }

    /// Says how it stands. One that has become long is closed.
    pub(super) fn show(&mut self, saying: &mut Saying) {
        let bytes: usize = self.settled.iter().map(|token| token.text.len()).sum();
        let at_sentence = self.settled.last().is_some_and(|token| token.ends_sentence);
        if bytes >= SETTLED_BYTES_MAX || bytes >= SENTENCE_BYTES && at_sentence {
            self.close(saying);
            return;
        }
        let mut tokens = self.settled.clone();
        append(&mut tokens, self.guess.clone(), self.is_verbatim);
        self.lines.say(&tokens, Status::Interim, &self.facts, &self.options, saying);
    }

    /// It is over: what is settled is final. A guess begins the next.
    pub(super) fn close(&mut self, saying: &mut Saying) {
        if self.settled.is_empty() && !self.guess.is_empty() {
            // The vendor ends what it has not said yet: the guess stays where it is shown.
            self.show(saying);
            return;
        }
        if !self.settled.is_empty() || self.lines.is_shown() {
            let settled = std::mem::take(&mut self.settled);
            self.lines.say(&settled, Status::Final, &self.facts, &self.options, saying);
            self.number += 1;
            self.lines = Lines::new(format!("{}{}", self.prefix, self.number).into());
            self.facts.break_before = None;
        }
        if !self.guess.is_empty() {
            let guess = self.guess.clone();
            self.lines.say(&guess, Status::Interim, &self.facts, &self.options, saying);
        }
    }

    /// The connection is over. A guess that nothing settled stays a guess.
    pub(super) fn end(&mut self, out: &mut Decoded) {
        let mut saying = Saying::default();
        if !self.settled.is_empty() {
            self.close(&mut saying);
        }
        self.guess.clear();
        saying.finish(out);
    }

    /// The engine has heard up to `media_ms`; if nothing is open, nothing was said there.
    pub(super) fn reached(&mut self, media_ms: MediaMs, out: &mut Decoded) {
        if self.is_empty() && media_ms >= self.clock_ms.saturating_add(CLOCK_MS_MIN) {
            self.clock_ms = media_ms;
            out.says.push(Said::Clock { media_ms });
        }
    }
}

/// Adds `tokens`, with a space between where the vendor leaves it to us.
fn append(all: &mut Vec<Token>, mut tokens: Vec<Token>, is_verbatim: bool) {
    if !is_verbatim
        && let (Some(last), Some(first)) = (all.last_mut(), tokens.first_mut())
        && needs_space(&last.text, &first.text)
    {
        last.text.push(' ');
    }
    all.append(&mut tokens);
}
