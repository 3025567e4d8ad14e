//! A piece of speech that the vendor names and says again and again until it is over, with the words of it that will not change.
//!
//! A piece is one utterance's lines. Readers of final lines need not wait for the vendor to end it: after a silence what is
//! settled is final, and the guess behind it goes on in a line of its own, `<base>-g`, until the piece is over. Then all of it
//! stands in the piece's own lines, and that one is taken back.

use std::sync::Arc;

use crate::dialect::core::lines::{LineFacts, LineInProgress, Lines};
use crate::dialect::core::options::Options;
use crate::dialect::core::token::{SpeechToken, TokenSpeaker, says_nothing};
use crate::transcript::{MediaMs, Status};

/// What the vendor says of a piece now.
#[derive(Debug, Default)]
pub(crate) struct PieceState {
    pub(crate) tokens: Vec<SpeechToken>,
    /// How many of them, from the first on, will not change.
    pub(crate) settled: usize,
    /// Nothing is added to it.
    pub(crate) is_over: bool,
    pub(crate) facts: LineFacts,
}

impl PieceState {
    /// A piece of which all is a guess, or all is final.
    pub(crate) fn whole(tokens: &[SpeechToken], status: Status, facts: &LineFacts) -> Self {
        let is_over = status == Status::Final;
        let settled = if is_over { tokens.len() } else { 0 };
        Self { tokens: tokens.to_vec(), settled, is_over, facts: facts.clone() }
    }
}

/// A piece of speech, and what was said of it.
#[derive(Debug)]
pub(crate) struct SpeechPiece {
    lines: Lines,
    /// The guess behind what became final in a silence.
    tail: Lines,
    state: PieceState,
    /// How many tokens are final for readers, while the piece is not over.
    released: usize,
    /// Its text changed since it was last asked when it is due.
    is_new: bool,
    /// When that was, by the clock of who reads.
    rests_since: Option<MediaMs>,
}

impl SpeechPiece {
    /// A piece of which nothing has been said. `base` is the id of its first line.
    pub(crate) fn new(base: Arc<str>) -> Self {
        let tail = Lines::new(format!("{base}-g").into());
        let state = PieceState::default();
        Self { lines: Lines::new(base), tail, state, released: 0, is_new: false, rests_since: None }
    }

    /// A piece of which is known that `count` lines of it were said, and nothing else.
    pub(crate) fn with_lines(base: Arc<str>, count: usize) -> Self {
        Self { lines: Lines::with_lines(base.clone(), count), ..Self::new(base) }
    }

    /// It is taken back, all lines of it.
    pub(crate) fn retract(&mut self, saying: &mut LineInProgress) {
        self.lines.retract(saying);
        if self.tail.is_shown() {
            self.tail.retract(saying);
        }
    }

    /// Number of lines it has.
    pub(crate) fn line_count(&self) -> usize {
        self.lines.count()
    }

    /// What is said of it now. A guess that comes behind its end says nothing new, and an end that is empty erases nothing.
    pub(crate) fn say(&mut self, state: PieceState, options: &Options, saying: &mut LineInProgress) {
        if self.state.is_over && !state.is_over {
            return;
        }
        if state.is_over && says_nothing(&state.tokens) && (self.lines.is_shown() || self.tail.is_shown()) {
            self.state.is_over = true;
            if self.tail.is_shown() {
                self.tail.stand(saying)
            } else {
                self.lines.stand(saying)
            }
            return;
        }
        self.is_new |= text_of(&state.tokens) != text_of(&self.state.tokens);
        self.state = state;
        self.show(options, saying);
    }

    /// The words with other labels; nothing else of it changes.
    pub(crate) fn relabel(
        &mut self,
        options: &Options,
        saying: &mut LineInProgress,
        mut label: impl FnMut(usize, usize, &mut SpeechToken),
    ) {
        let count = self.state.tokens.len();
        self.state.tokens.iter_mut().enumerate().for_each(|(at, token)| label(at, count, token));
        self.show(options, saying);
    }

    fn show(&mut self, options: &Options, saying: &mut LineInProgress) {
        let PieceState { tokens, is_over, facts, .. } = &self.state;
        self.released = self.released.min(tokens.len());
        match self.released {
            _ if *is_over => {
                self.lines.say(tokens, Status::Final, facts, options, saying);
                self.tail.say(&[], Status::Final, facts, options, saying);
            }
            0 if !self.lines.is_final() => self.lines.say(tokens, Status::Interim, facts, options, saying),
            released => {
                self.lines.say(&tokens[..released], Status::Final, facts, options, saying);
                let facts = LineFacts { break_before: None, ..facts.clone() };
                self.tail.say(&tokens[released..], Status::Interim, &facts, options, saying);
            }
        }
    }

    /// Returns true if what is settled waits for the piece to be over.
    fn waits(&self) -> bool {
        let PieceState { tokens, settled, is_over, .. } = &self.state;
        !is_over && *settled > self.released && !says_nothing(&tokens[self.released.min(tokens.len())..*settled])
    }

    /// When what is settled becomes final by the clock of who reads, which says `now_ms`, unless something new is said.
    pub(crate) fn due_ms(&mut self, now_ms: MediaMs, options: &Options) -> Option<MediaMs> {
        if std::mem::take(&mut self.is_new) || self.rests_since.is_none() {
            self.rests_since = Some(now_ms);
        }
        if !self.waits() {
            self.rests_since = None;
        }
        self.rests_since.map(|since| since.saturating_add(options.turn_gap_ms))
    }

    /// Nothing new was said until `now_ms`: what is settled is final, if it was due by then.
    pub(crate) fn rest(&mut self, now_ms: MediaMs, options: &Options, saying: &mut LineInProgress) {
        if self.due_ms(now_ms, options).is_some_and(|due| due <= now_ms) {
            self.release(options, saying);
        }
    }

    /// Something else is said at `media_ms`: what is settled is final, if a silence that parts turns lies between.
    pub(crate) fn reached(&mut self, media_ms: MediaMs, options: &Options, saying: &mut LineInProgress) {
        let said = self.state.tokens.iter().filter_map(|token| token.end_ms.or(token.start_ms)).max();
        if said.is_some_and(|said| media_ms.saturating_sub(said) >= options.turn_gap_ms) {
            self.release(options, saying);
        }
    }

    /// What is settled is final, and nobody waits for the rest.
    pub(crate) fn release(&mut self, options: &Options, saying: &mut LineInProgress) {
        if self.waits() {
            self.released = self.state.settled;
            self.show(options, saying);
        }
    }

    /// Returns true if the vendor says that it is over.
    pub(crate) fn is_over(&self) -> bool {
        self.state.is_over
    }

    /// How many words and marks it has.
    pub(crate) fn len(&self) -> usize {
        self.state.tokens.len()
    }

    /// Who says it first.
    pub(crate) fn label(&self) -> &TokenSpeaker {
        self.state.tokens.first().map_or(&TokenSpeaker::Unsaid, |token| &token.label)
    }

    /// Where it starts, if that was said.
    pub(crate) fn start_ms(&self) -> Option<MediaMs> {
        self.lines.start_ms()
    }

    /// Where it ends, if that was said.
    pub(crate) fn end_ms(&self) -> Option<MediaMs> {
        self.tail.end_ms().or(self.lines.end_ms())
    }

    /// The words of it that will not change, while it is not over.
    pub(crate) fn settled_text(&self) -> String {
        text_of(&self.state.tokens[..self.state.settled.min(self.state.tokens.len())])
    }

    /// The session is over: a guess stands as it was shown, and what is said under its name later is compared with it.
    pub(crate) fn let_stand(&mut self, saying: &mut LineInProgress) {
        self.state.is_over = true;
        self.lines.close(saying);
        self.tail.close(saying);
    }

    /// What it says.
    pub(crate) fn text(&self) -> String {
        format!("{} {}", self.lines.text(), self.tail.text()).trim().to_owned()
    }
}

fn text_of(tokens: &[SpeechToken]) -> String {
    tokens.iter().map(|token| &*token.text).collect()
}
