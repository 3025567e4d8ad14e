//! A piece of speech that the vendor names and sends repeatedly until it is over, with the words that will not change.
//!
//! A piece consists of the lines of one utterance. Readers of final lines need not wait for the vendor to end it: after
//! a pause, settled text becomes final, and the interim text after it continues in a line of its own, `<base>-g`, until
//! the piece is over. Then the piece's own lines contain all of it, and that line is retracted.

use std::sync::Arc;

use crate::dialect::core::lines::{LineFacts, LineInProgress, Lines};
use crate::dialect::core::options::Options;
use crate::dialect::core::token::{SpeechToken, TokenSpeaker, says_nothing};
use crate::transcript::{MediaMs, Status};

/// State of a piece, as the vendor reports it.
#[derive(Debug, Default)]
pub(crate) struct PieceState {
    pub(crate) tokens: Vec<SpeechToken>,
    /// Number of leading tokens that will not change.
    pub(crate) settled: usize,
    /// True if nothing more is added to it.
    pub(crate) is_over: bool,
    pub(crate) facts: LineFacts,
}

impl PieceState {
    /// Creates the state of a piece that is completely interim or completely final.
    pub(crate) fn whole(tokens: &[SpeechToken], status: Status, facts: &LineFacts) -> Self {
        let is_over = status == Status::Final;
        let settled = if is_over { tokens.len() } else { 0 };
        Self { tokens: tokens.to_vec(), settled, is_over, facts: facts.clone() }
    }
}

/// A piece of speech with its lines.
#[derive(Debug)]
pub(crate) struct SpeechPiece {
    lines: Lines,
    /// The interim text after the part that became final in a pause.
    tail: Lines,
    state: PieceState,
    /// Number of tokens that are final for readers while the piece is not over.
    released: usize,
    /// True if its text has changed since the last call of `due_ms`.
    is_new: bool,
    /// Time of the last change, by the receiver's clock.
    rests_since: Option<MediaMs>,
}

impl SpeechPiece {
    /// Creates a piece of which nothing was sent. `base` is the id of its first line.
    pub(crate) fn new(base: Arc<str>) -> Self {
        let tail = Lines::new(format!("{base}-g").into());
        let state = PieceState::default();
        Self { lines: Lines::new(base), tail, state, released: 0, is_new: false, rests_since: None }
    }

    /// Creates a piece of which only the number of lines sent is known.
    pub(crate) fn with_lines(base: Arc<str>, count: usize) -> Self {
        Self { lines: Lines::with_lines(base.clone(), count), ..Self::new(base) }
    }

    /// Retracts all its lines.
    pub(crate) fn retract(&mut self, saying: &mut LineInProgress) {
        self.lines.retract(saying);
        if self.tail.is_shown() {
            self.tail.retract(saying);
        }
    }

    /// Returns the number of its lines.
    pub(crate) fn line_count(&self) -> usize {
        self.lines.count()
    }

    /// Updates it to `state`. An interim version after its end is ignored, and an empty end erases nothing.
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

    /// Changes the labels of the words, and nothing else.
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

    /// Returns true if settled text waits for the piece to be over.
    fn waits(&self) -> bool {
        let PieceState { tokens, settled, is_over, .. } = &self.state;
        !is_over && *settled > self.released && !says_nothing(&tokens[self.released.min(tokens.len())..*settled])
    }

    /// Returns the time, by the receiver's clock, at which settled text becomes final unless something new comes;
    /// `now_ms` is the present.
    pub(crate) fn due_ms(&mut self, now_ms: MediaMs, options: &Options) -> Option<MediaMs> {
        if std::mem::take(&mut self.is_new) || self.rests_since.is_none() {
            self.rests_since = Some(now_ms);
        }
        if !self.waits() {
            self.rests_since = None;
        }
        self.rests_since.map(|since| since.saturating_add(options.turn_gap_ms))
    }

    /// Reports that nothing new came until `now_ms`: settled text that was due becomes final.
    pub(crate) fn rest(&mut self, now_ms: MediaMs, options: &Options, saying: &mut LineInProgress) {
        if self.due_ms(now_ms, options).is_some_and(|due| due <= now_ms) {
            self.release(options, saying);
        }
    }

    /// Reports other speech at `media_ms`: settled text becomes final if the gap is as long as a pause between turns.
    pub(crate) fn reached(&mut self, media_ms: MediaMs, options: &Options, saying: &mut LineInProgress) {
        let said = self.state.tokens.iter().filter_map(|token| token.end_ms.or(token.start_ms)).max();
        if said.is_some_and(|said| media_ms.saturating_sub(said) >= options.turn_gap_ms) {
            self.release(options, saying);
        }
    }

    /// Makes settled text final, without waiting for the rest.
    pub(crate) fn release(&mut self, options: &Options, saying: &mut LineInProgress) {
        if self.waits() {
            self.released = self.state.settled;
            self.show(options, saying);
        }
    }

    /// Returns true if the vendor has ended it.
    pub(crate) fn is_over(&self) -> bool {
        self.state.is_over
    }

    /// Returns the number of its words and marks.
    pub(crate) fn len(&self) -> usize {
        self.state.tokens.len()
    }

    /// Returns the speaker of its first token.
    pub(crate) fn label(&self) -> &TokenSpeaker {
        self.state.tokens.first().map_or(&TokenSpeaker::Unsaid, |token| &token.label)
    }

    /// Returns the start, if known.
    pub(crate) fn start_ms(&self) -> Option<MediaMs> {
        self.lines.start_ms()
    }

    /// Returns the end, if known.
    pub(crate) fn end_ms(&self) -> Option<MediaMs> {
        self.tail.end_ms().or(self.lines.end_ms())
    }

    /// Returns the words that will not change, while it is not over.
    pub(crate) fn settled_text(&self) -> String {
        text_of(&self.state.tokens[..self.state.settled.min(self.state.tokens.len())])
    }

    /// Closes it as last shown, because the session is over. Later content under its name is compared with it.
    pub(crate) fn let_stand(&mut self, saying: &mut LineInProgress) {
        self.state.is_over = true;
        self.lines.close(saying);
        self.tail.close(saying);
    }

    /// Returns its text.
    pub(crate) fn text(&self) -> String {
        format!("{} {}", self.lines.text(), self.tail.text()).trim().to_owned()
    }
}

fn text_of(tokens: &[SpeechToken]) -> String {
    tokens.iter().map(|token| &*token.text).collect()
}
