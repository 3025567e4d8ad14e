//! An utterance that grows: what is settled, and a guess of what follows.
//!
//! All engines that send the next piece of text again and again until it is settled come to this. The line shows what is
//! settled and the guess behind it; when the vendor says that the utterance is over, or when it is long and a sentence
//! ends, what is settled becomes final, and the guess begins the next line.

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

/// From so many bytes on the next settled end of a sentence ends the line: a paragraph that can be read.
const SENTENCE_BYTES: usize = 200;
/// From so many bytes on whatever is settled ends it: nobody waits longer for a final text, and memory has a bound.
const SETTLED_BYTES_MAX: usize = 800;
/// What starts so much before what is settled was said late: vendors time neighbours a little roughly.
const LATE_MS: MediaMs = 300;
/// Starts of lines that are remembered where lines are named by them: two that start at once are told apart.
const STARTS_MAX: usize = 64;
/// A clock is worth a record only after so much silence.
const CLOCK_MS_MIN: MediaMs = 5_000;

/// The utterances of one connection, or of one channel of it, one after the other.
#[derive(Debug)]
pub(crate) struct Utterance {
    options: Options,
    /// What ids begin with; behind it stands the number of the utterance.
    prefix: Arc<str>,
    number: u64,
    /// Lines are named by their starts, which are the vendor's own, and not by numbers.
    is_named_by_start: bool,
    starts: VecDeque<MediaMs>,
    lines: Lines,
    /// The guess behind what became final in a silence.
    tail: Lines,
    /// What is settled is final for readers, though the utterance goes on.
    is_released: bool,
    settled: Vec<SpeechToken>,
    guess: Vec<SpeechToken>,
    pub(crate) facts: LineFacts,
    /// The vendor says where spaces are: none is added.
    is_verbatim: bool,
    clock_ms: MediaMs,
    /// How far what was settled reaches, in this utterance and in those before it.
    settled_ms: Option<MediaMs>,
    /// Something was settled or guessed since it was last asked when it is due.
    is_new: bool,
    /// When that was, by the clock of who reads.
    rests_since: Option<MediaMs>,
}

impl Utterance {
    /// `part` tells several of a connection apart; none where there is one.
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

    /// For a vendor that says where spaces are.
    pub(crate) fn verbatim(options: Options, part: &str) -> Self {
        Self { is_verbatim: true, ..Self::new(options, part) }
    }

    /// For a vendor whose sessions have names that are unique for ever: what is sent again gets the same names, from wherever
    /// it is sent again.
    pub(crate) fn named_by_start(self) -> Self {
        Self { is_named_by_start: true, ..self }
    }

    /// `tokens` follow what is settled, and will not change. The guess is gone, but for one of what comes behind them. What was
    /// settled before a long silence is an utterance of its own.
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
            // It was said before what is settled: a line of its own.
            self.close(saying);
        }
        self.settled_ms = self.settled_ms.max(ends);
        append(&mut self.settled, tokens, self.is_verbatim);
        self.is_new = true;
    }

    /// Nothing was said up to `until_ms`, says the vendor: what was guessed there is taken back. Without a time all is.
    pub(crate) fn settle_nothing(&mut self, until_ms: Option<MediaMs>, saying: &mut LineInProgress) {
        let stays = |token: &SpeechToken| token.start_ms.zip(until_ms).is_some_and(|(start, until)| start >= until);
        let before = self.guess.len();
        self.guess.retain(stays);
        if self.guess.len() < before {
            saying.odd("the vendor's final text is empty: what was shown as a guess is taken back");
        }
    }

    /// `tokens` is what seems to follow what is settled. Those of them that are settled already are passed over: a guess
    /// that comes behind its final would be shown, and stay, as a line of its own.
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
        // Some engines send one guess again and again while nobody speaks.
        self.is_new |= text_of(&tokens) != text_of(&self.guess);
        self.guess.clear();
        self.close_before(&tokens, saying);
        self.guess = tokens;
    }

    /// Returns true if a guess is of an engine that was started again, and says something else than the guess that is open: it
    /// begins before that, has fewer words and nothing of it. A better form of a guess begins where that does. For engines
    /// whose messages hold all that follows what is settled.
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

    /// Closes what is settled if `tokens` follow it after a silence that parts turns.
    fn close_before(&mut self, tokens: &[SpeechToken], saying: &mut LineInProgress) {
        let starts = tokens.iter().find_map(|token| token.start_ms);
        if starts.is_some_and(|starts| self.is_silent_until(starts)) {
            self.close(saying);
        }
    }

    /// Whether something settled waits for its utterance to end, and from there, or from the guess behind it, to
    /// `media_ms` nothing was said.
    fn is_silent_until(&self, media_ms: MediaMs) -> bool {
        let end = |tokens: &[SpeechToken]| tokens.iter().rev().find_map(|token| token.end_ms.or(token.start_ms));
        let said = match end(&self.settled) {
            // Nobody knows where a guess without times ends.
            Some(settled) if !self.guess.is_empty() => end(&self.guess).map(|guessed| guessed.max(settled)),
            settled => settled,
        };
        said.is_some_and(|said| media_ms.saturating_sub(said) >= self.options.turn_gap_ms)
    }

    /// When what is settled becomes final by the clock of who reads, which says `now_ms`, unless something new is said.
    pub(crate) fn due_ms(&mut self, now_ms: MediaMs) -> Option<MediaMs> {
        if std::mem::take(&mut self.is_new) || self.rests_since.is_none() {
            self.rests_since = Some(now_ms);
        }
        if self.settled.is_empty() || self.is_released {
            self.rests_since = None;
        }
        self.rests_since.map(|since| since.saturating_add(self.options.turn_gap_ms))
    }

    /// Nothing new was said until `now_ms`: what is settled is final, if it was due by then. The utterance goes on: where it
    /// ends the vendor says, and not how long its words were on their way.
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

    /// Says how it stands. One that has become long is closed.
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

    /// Says the lines of the utterance. What they are called is known with their first words.
    fn say(&mut self, tokens: &[SpeechToken], status: Status, saying: &mut LineInProgress) {
        if self.lines.count() == 0 && !says_nothing(tokens) {
            let base = self.name(tokens.iter().find_map(|token| token.start_ms));
            self.tail = Lines::new(format!("{base}-g").into());
            self.lines = Lines::new(base);
        }
        self.lines.say(tokens, status, &self.facts, &self.options, saying);
    }

    /// What lines are called that start at `start_ms`.
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

    /// It is over: what is settled is final. A guess begins the next.
    pub(crate) fn close(&mut self, saying: &mut LineInProgress) {
        if self.settled.is_empty() && !self.guess.is_empty() {
            // The vendor ends what it has not said yet: the guess stays where it is shown.
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

    /// The connection is over. A guess that nothing settled stays a guess.
    pub(crate) fn end(&mut self, out: &mut Decoded) {
        let mut saying = LineInProgress::default();
        if !self.settled.is_empty() {
            self.close(&mut saying);
        }
        self.guess.clear();
        saying.finish(out);
    }

    /// The engine has heard up to `media_ms`. What is settled and followed by a silence that parts turns is final; if
    /// nothing is open, nothing was said there.
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

/// The latest time in `tokens`.
fn ends(tokens: &[SpeechToken]) -> Option<MediaMs> {
    tokens.iter().filter_map(|token| token.end_ms.or(token.start_ms)).max()
}

/// The text of `tokens`.
fn text_of(tokens: &[SpeechToken]) -> String {
    tokens.iter().map(|token| &*token.text).collect()
}

/// Adds `tokens`, with a space between where the vendor leaves it to us.
fn append(all: &mut Vec<SpeechToken>, mut tokens: Vec<SpeechToken>, is_verbatim: bool) {
    if !is_verbatim
        && let (Some(last), Some(first)) = (all.last_mut(), tokens.first_mut())
        && needs_space(&last.text, &first.text)
    {
        last.text.push(' ');
    }
    all.append(&mut tokens);
}
