//! A growing utterance: settled text, and interim text after it.
//!
//! All engines that resend the next piece of text until it is settled use this. The line shows the settled text with
//! the interim text after it. When the vendor ends the utterance, or when it is long and a sentence ends, the settled
//! text becomes final, and the interim text begins the next line.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::dialect::core::decoded::{Decoded, DecodedEvent};
use crate::dialect::core::json::on_axis;
use crate::dialect::core::line_match::{GUESS_WORDS_MIN, share_a_word, words};
use crate::dialect::core::lines::{LineFacts, LineInProgress, Lines};
use crate::dialect::core::options::Options;
use crate::dialect::core::session_clock::DRIFT_MS;
use crate::dialect::core::session_sign::SessionSign;
use crate::dialect::core::token::{SpeechToken, needs_space, says_nothing};
use crate::transcript::{MediaMs, Status};

/// Length in bytes from which on the next settled sentence end also ends the line: a readable paragraph.
const SENTENCE_BYTES: usize = 200;
/// Length in bytes from which on the line ends anyway, to limit memory and the wait for final text.
const SETTLED_BYTES_MAX: usize = 800;
/// Distance, in milliseconds, by which text must start before the settled text to count as late: vendors' times of
/// neighbours are slightly imprecise.
const LATE_MS: MediaMs = 300;
/// Starts of lines remembered if lines are named by them, to distinguish two equal starts.
const STARTS_MAX: usize = 64;
/// Silence, in milliseconds, after which a clock is worth a record.
const CLOCK_MS_MIN: MediaMs = 5_000;

/// Consecutive utterances of one connection, or of one of its channels.
#[derive(Debug)]
pub(crate) struct Utterance {
    options: Options,
    /// Prefix of ids; the number of the utterance follows.
    prefix: Arc<str>,
    number: u64,
    /// True if lines are named by their starts on the vendor's clock, not by numbers.
    is_named_by_start: bool,
    starts: VecDeque<MediaMs>,
    lines: Lines,
    /// The interim text after the part that became final in a pause.
    tail: Lines,
    /// True if settled text is final for readers although the utterance continues.
    is_released: bool,
    settled: Vec<SpeechToken>,
    guess: Vec<SpeechToken>,
    pub(crate) facts: LineFacts,
    /// True if the vendor sends the spaces itself: none is added.
    is_verbatim: bool,
    clock_ms: MediaMs,
    /// Greatest end of settled text, in this utterance and those before it.
    settled_ms: Option<MediaMs>,
    /// True if text has changed since the last call of `due_ms`.
    is_new: bool,
    /// Time of the last change, by the receiver's clock.
    rests_since: Option<MediaMs>,
}

impl Utterance {
    /// Creates the utterances. `part` distinguishes several of a connection; empty if there is one.
    pub(crate) fn new(options: Options, part: &str) -> Self {
        let prefix: Arc<str> = format!("{}-{part}", options.tag).into();
        let facts = LineFacts { lang: options.lang.clone(), break_before: None };
        let (lines, tail) = (Lines::new(format!("{prefix}1").into()), Lines::new(format!("{prefix}1-g").into()));
        Self {
            options,
            prefix,
            number: 1,
            is_named_by_start: false,
            starts: VecDeque::new(),
            lines,
            tail,
            is_released: false,
            settled: Vec::new(),
            guess: Vec::new(),
            facts,
            is_verbatim: false,
            clock_ms: 0,
            settled_ms: None,
            is_new: false,
            rests_since: None,
        }
    }

    /// Creates the utterances of a vendor that sends the spaces itself.
    pub(crate) fn verbatim(options: Options, part: &str) -> Self {
        Self { is_verbatim: true, ..Self::new(options, part) }
    }

    /// Names lines by their starts, for a vendor with globally unique session names: a resent session gets the same
    /// ids, on any connection.
    pub(crate) fn named_by_start(self) -> Self {
        Self { is_named_by_start: true, ..self }
    }

    /// Appends `tokens`, which will not change, to the settled text. The interim text is dropped, except what comes
    /// after them. Earlier settled text before a long pause becomes an utterance of its own.
    pub(crate) fn settle(&mut self, tokens: Vec<SpeechToken>, saying: &mut LineInProgress) {
        if says_nothing(&tokens) {
            self.settle_nothing(None, saying);
            return;
        }
        let ends = ends(&tokens);
        let is_behind = |guess: &SpeechToken| guess.start_ms.zip(ends).is_some_and(|(start, ends)| start >= ends);
        if !self.guess.iter().all(is_behind) {
            self.guess.clear();
        }
        self.close_before(&tokens, saying);
        let starts = tokens.iter().find_map(|token| token.start_ms);
        let last = self.settled.iter().rev().find_map(|token| token.start_ms);
        if starts.zip(last).is_some_and(|(starts, last)| last - starts > LATE_MS) {
            // It precedes the settled text: a line of its own.
            self.close(saying);
        }
        self.settled_ms = self.settled_ms.max(ends);
        append(&mut self.settled, tokens, self.is_verbatim);
        self.is_new = true;
    }

    /// Reports silence up to `until_ms`: the interim text there is retracted; without a time, all of it.
    pub(crate) fn settle_nothing(&mut self, until_ms: Option<MediaMs>, saying: &mut LineInProgress) {
        let stays = |token: &SpeechToken| token.start_ms.zip(until_ms).is_some_and(|(start, until)| start >= until);
        let before = self.guess.len();
        self.guess.retain(stays);
        if self.guess.len() < before {
            saying.odd("the vendor's final text is empty: what was shown as a guess is taken back");
        }
    }

    /// Sets the interim text after the settled text. Tokens that are settled already are skipped: a late interim
    /// version would be shown, and stay, as a line of its own.
    pub(crate) fn guess(&mut self, mut tokens: Vec<SpeechToken>, saying: &mut LineInProgress) {
        let is_settled = |token: &SpeechToken| {
            let end = token.end_ms.filter(|end| token.start_ms.is_some_and(|start| start < *end));
            end.zip(self.settled_ms).is_some_and(|(end, settled)| end <= settled)
        };
        if !tokens.is_empty() && tokens.iter().all(is_settled) {
            return;
        }
        let settled = tokens.iter().take_while(|token| is_settled(token)).count();
        tokens.drain(..settled);
        // Some engines repeat an interim text during silence.
        self.is_new |= text_of(&tokens) != text_of(&self.guess);
        self.guess.clear();
        self.close_before(&tokens, saying);
        self.guess = tokens;
    }

    /// Returns true if an interim message comes from a restarted engine, and not as an update of the open interim text:
    /// it begins earlier, is shorter and shares none of its words. An update begins at the same time. Only for engines
    /// whose messages contain all unsettled text.
    pub(crate) fn is_left_by(&self, sign: &SessionSign<'_>) -> bool {
        let start_ms = sign.span.and_then(|span| on_axis(span.start_ms, &self.options).ok());
        let known_ms = self.guess.iter().find_map(|token| token.start_ms);
        let moved_ms = known_ms.zip(start_ms).map_or(0, |(known, start)| known.saturating_sub(start));
        if sign.is_settled || moved_ms <= DRIFT_MS as MediaMs {
            return false;
        }
        let guess = text_of(&self.guess);
        let (known, now) = (words(&guess), words(&sign.text));
        let is_less = !now.is_empty() && now.len() < known.len() && known.len() >= GUESS_WORDS_MIN;
        is_less && !share_a_word(&guess, &sign.text) && !known.concat().contains(&now.concat())
    }

    /// Closes the settled text if `tokens` follow it after a pause between turns.
    fn close_before(&mut self, tokens: &[SpeechToken], saying: &mut LineInProgress) {
        let starts = tokens.iter().find_map(|token| token.start_ms);
        if starts.is_some_and(|starts| self.is_silent_until(starts)) {
            self.close(saying);
        }
    }

    /// Returns whether there is settled text, followed by silence up to `media_ms` that is as long as a pause between
    /// turns; interim text counts as speech.
    fn is_silent_until(&self, media_ms: MediaMs) -> bool {
        let end = |tokens: &[SpeechToken]| tokens.iter().rev().find_map(|token| token.end_ms.or(token.start_ms));
        let said = match end(&self.settled) {
            // The end of interim text without times is unknown.
            Some(settled) if !self.guess.is_empty() => end(&self.guess).map(|guessed| guessed.max(settled)),
            settled => settled,
        };
        said.is_some_and(|said| media_ms.saturating_sub(said) >= self.options.turn_gap_ms)
    }

    /// Returns the time, by the receiver's clock, at which settled text becomes final unless something new comes;
    /// `now_ms` is the present.
    pub(crate) fn due_ms(&mut self, now_ms: MediaMs) -> Option<MediaMs> {
        if std::mem::take(&mut self.is_new) || self.rests_since.is_none() {
            self.rests_since = Some(now_ms);
        }
        if self.settled.is_empty() || self.is_released {
            self.rests_since = None;
        }
        self.rests_since.map(|since| since.saturating_add(self.options.turn_gap_ms))
    }

    /// Reports that nothing new came until `now_ms`: settled text that was due becomes final. The utterance continues:
    /// the vendor decides where it ends, not the delay of its words.
    pub(crate) fn rest(&mut self, now_ms: MediaMs, out: &mut Decoded) {
        if self.due_ms(now_ms).is_some_and(|due| due <= now_ms) {
            let mut saying = LineInProgress::default();
            self.is_released = true;
            self.show(&mut saying);
            saying.finish(out);
        }
    }

    /// Returns true if nothing is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.settled.is_empty() && self.guess.is_empty() && !self.lines.is_shown()
    }

    /// Emits the current state. A long utterance is closed.
    pub(crate) fn show(&mut self, saying: &mut LineInProgress) {
        let bytes: usize = self.settled.iter().map(|token| token.text.len()).sum();
        let at_sentence = self.settled.last().is_some_and(|token| token.ends_sentence);
        if bytes >= SETTLED_BYTES_MAX || bytes >= SENTENCE_BYTES && at_sentence {
            self.close(saying);
            return;
        }
        if self.is_released {
            self.lines.say(&self.settled, Status::Final, &self.facts, &self.options, saying);
            let facts = LineFacts { break_before: None, ..self.facts.clone() };
            self.tail.say(&self.guess, Status::Interim, &facts, &self.options, saying);
            return;
        }
        let mut tokens = self.settled.clone();
        append(&mut tokens, self.guess.clone(), self.is_verbatim);
        self.say(&tokens, Status::Interim, saying);
    }

    /// Emits the lines of the utterance. Their ids are determined with the first words.
    fn say(&mut self, tokens: &[SpeechToken], status: Status, saying: &mut LineInProgress) {
        if self.lines.count() == 0 && !says_nothing(tokens) {
            let base = self.name(tokens.iter().find_map(|token| token.start_ms));
            self.tail = Lines::new(format!("{base}-g").into());
            self.lines = Lines::new(base);
        }
        self.lines.say(tokens, status, &self.facts, &self.options, saying);
    }

    /// Returns the id of lines that start at `start_ms`.
    fn name(&mut self, start_ms: Option<MediaMs>) -> Arc<str> {
        let Some(start_ms) = start_ms.filter(|_| self.is_named_by_start) else {
            let kind = if self.is_named_by_start { "n" } else { "" };
            return format!("{}{kind}{}", self.prefix, self.number).into();
        };
        let start_ms = start_ms.saturating_sub(self.options.offset_ms);
        let times = self.starts.iter().filter(|known| **known == start_ms).count();
        if self.starts.len() == STARTS_MAX {
            self.starts.pop_front();
        }
        self.starts.push_back(start_ms);
        let again = if times == 0 { String::new() } else { format!("-{}", times + 1) };
        format!("{}{start_ms}{again}", self.prefix).into()
    }

    /// Ends the utterance: settled text becomes final, and interim text begins the next one.
    pub(crate) fn close(&mut self, saying: &mut LineInProgress) {
        if self.settled.is_empty() && !self.guess.is_empty() {
            // The vendor ends something that it has not settled: the interim text stays where it is shown.
            self.show(saying);
            return;
        }
        if !self.settled.is_empty() || self.lines.is_shown() {
            let settled = std::mem::take(&mut self.settled);
            self.say(&settled, Status::Final, saying);
            if self.tail.is_shown() {
                self.tail.say(&[], Status::Final, &self.facts, &self.options, saying);
            }
            self.number += 1;
            self.is_released = false;
            self.lines = Lines::new(format!("{}{}", self.prefix, self.number).into());
            self.tail = Lines::new(format!("{}{}-g", self.prefix, self.number).into());
            self.facts.break_before = None;
        }
        if !self.guess.is_empty() {
            let guess = self.guess.clone();
            self.say(&guess, Status::Interim, saying);
        }
    }

    /// Ends the connection. Unsettled text stays interim.
    pub(crate) fn end(&mut self, out: &mut Decoded) {
        let mut saying = LineInProgress::default();
        if !self.settled.is_empty() {
            self.close(&mut saying);
        }
        self.guess.clear();
        saying.finish(out);
    }

    /// Reports that the engine has heard the audio up to `media_ms`. Settled text followed by a pause between turns
    /// becomes final; if nothing is open, a clock is emitted.
    pub(crate) fn reached(&mut self, media_ms: MediaMs, out: &mut Decoded) {
        if self.is_silent_until(media_ms) {
            let mut saying = LineInProgress::default();
            self.close(&mut saying);
            saying.finish(out);
        }
        if self.is_empty() && media_ms >= self.clock_ms.saturating_add(CLOCK_MS_MIN) {
            self.clock_ms = media_ms;
            out.says.push(DecodedEvent::Clock { media_ms });
        }
    }
}

/// Returns the latest time in `tokens`.
fn ends(tokens: &[SpeechToken]) -> Option<MediaMs> {
    tokens.iter().filter_map(|token| token.end_ms.or(token.start_ms)).max()
}

/// Returns the text of `tokens`.
fn text_of(tokens: &[SpeechToken]) -> String {
    tokens.iter().map(|token| &*token.text).collect()
}

/// Appends `tokens`, with a space before them if the vendor sends none.
fn append(all: &mut Vec<SpeechToken>, mut tokens: Vec<SpeechToken>, is_verbatim: bool) {
    if !is_verbatim
        && let (Some(last), Some(first)) = (all.last_mut(), tokens.first_mut())
        && needs_space(&last.text, &first.text)
    {
        last.text.push(' ');
    }
    all.append(&mut tokens);
}
