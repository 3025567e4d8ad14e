//! Sessions of a vendor's engine, one behind the other on one pipe or socket.
//!
//! A program whose engine was restarted goes on writing where it wrote before. A vendor counts lines, speakers and times
//! anew in each session, so what one session says must not be taken for what another one said: a session that begins gets
//! ids and labels of its own, and its times go on behind those of the sessions before it. A session begins where the
//! vendor announces it, where a message names another session than those before it, where speech follows the vendor's last
//! message, and where times fall back to the start. What was open in the session before is finished first, as it was shown.
//!
//! Every vendor's decoder is an [`Engine`], which reads one session; [`JsonSessions`] and [`LineSessions`] make a
//! [`Dialect`] of it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::json::{each_object, engine_report, on_axis};
use super::json_in_text::JsonInText;
use super::keyed::is_random;
use super::piece::Piece;
use super::shape::{self, TextHints};
use super::text::LineCutter;
use super::token::short_name;
use super::{Decoded, Dialect, FaultKind, Format, Options, Said};
use crate::transcript::{Content, MediaMs, Status, Timestamp, Version};

/// Streams (channels, participants) of a session whose times are watched. Those beyond are read, but their times may fall
/// without a word.
const STREAMS_MAX: usize = 256;
/// Earlier sessions that have a name and may still speak: two programs that write to one socket take turns.
const EARLIER_MAX: usize = 4;
/// Guesses that are open at a time; more than people can speak. Of more the oldest stands as it is.
const OPEN_MAX: usize = 256;
/// Lines without words that one message holds: of 2 KiB each.
const LINES_AT_ONCE: usize = 16;
/// Names of sessions that are remembered, so that one that comes again is told from the first.
const NAMES_MAX: usize = 256;
/// A time that falls back to the very start of the session is a new session from so much on: less is a first line that is
/// said again.
const BACK_TO_START_MS: f64 = 1_000.0;
/// A time that falls to less than [`NEAR_ZERO_MS`] is a new session if it falls by so much: nobody hears the first words of a
/// session that late.
const NEAR_ZERO_FALL_MS: f64 = 2_000.0;
/// The first words of a session start before that.
const NEAR_ZERO_MS: f64 = 2_000.0;
/// A time that falls to less than [`FIRST_SECONDS_MS`] is a new session if it falls by so much, and so is any time of a vendor
/// that says things in their order. The latest finals that were seen come after less than that.
const FALL_MS: f64 = 10_000.0;
/// The first seconds of a session.
const FIRST_SECONDS_MS: f64 = 3_000.0;
/// The start of what somebody says moves by no more than this while it is guessed and settled, where several speak at once.
const DRIFT_MS: f64 = 750.0;
/// Where several speak at once a guess ends no more than this before what was heard already: it is of what is being said.
const GUESS_LATE_MS: f64 = 1_000.0;
/// There a final ends no more than this before what was heard already, if nobody knows who says it.
const FINAL_LATE_MS: f64 = 2_000.0;
/// A time that falls to less than a third of what was reached is a new session if it falls by so much (Amazon Transcribe's
/// finals come up to 30 s late).
const FAR_FALL_MS: f64 = 30_000.0;

/// A session that begins with later words than this may have a clock that did not begin with it.
const LEAD_MS: MediaMs = 10_000;

/// Times of neighbours overlap by no more than this: vendors round, and words are not cut sharply.
const ROUGH_MS: f64 = 300.0;
/// A guess whose words are other ones starts again within this of where it was.
const GUESS_MOVED_MS: f64 = 2_000.0;
/// What was settled last, as far as is remembered to tell what was said already from what is said by another session.
/// Speechmatics settles a few words at a time: half a minute of them.
const SETTLED_MAX: usize = 64;
/// Guesses of those who speak at once that are remembered.
const BESIDE_MAX: usize = 16;
/// So much of a text is remembered, in bytes.
const SETTLED_TEXT_BYTES_MAX: usize = 1_024;
/// A late guess is of one of the last that were settled.
const LATE_GUESS_OF: usize = 2;

/// A line that is known, with its start moved by more than this, is another line under its id: vendors correct the start
/// of what they say by less.
pub(super) const MOVED_MS: MediaMs = 2_000;
/// What starts and ends so near to where a known line does is that line.
const SAME_PLACE_MS: MediaMs = 100;
/// Of so many words marks and numbers may leave none as it was: `nine one one`. Of more words they leave some.
const MARKED_WORDS_MAX: usize = 3;
/// Numbers of lines that may overtake each other.
const NEIGHBOURS_MAX: u64 = 3;
/// A guess of so many words does not vanish but with its session.
const GUESS_WORDS_MIN: usize = 3;

/// The scope of a vendor's own ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdScope {
    /// Unique within a connection, or absent.
    Connection,
    /// Unique within a session whose name is unique for ever.
    Session,
    /// Unique for ever: they last over sessions.
    Always,
}

/// Where the speech of a message stands, by the session's own clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Span<'a> {
    /// The channel or participant whose clock it is.
    pub(super) stream: (u64, &'a str),
    pub(super) start_ms: f64,
    pub(super) end_ms: f64,
    /// It is a time of day.
    pub(super) is_wall: bool,
}

impl<'a> Span<'a> {
    /// A span on the session's only clock; none without a start. An end that is not there is the start.
    pub(super) fn new(start_ms: Option<f64>, end_ms: Option<f64>) -> Option<Self> {
        let start_ms = start_ms.or(end_ms)?;
        let end_ms = end_ms.unwrap_or(start_ms).max(start_ms);
        Some(Self { stream: (0, ""), start_ms, end_ms, is_wall: false })
    }

    /// The same on the clock of a channel.
    pub(super) fn of_channel(self, channel: u64) -> Self {
        Self { stream: (channel, ""), ..self }
    }

    /// The same on the clock of somebody with a name.
    pub(super) fn of_stream(self, name: &'a str) -> Self {
        Self { stream: (0, name), ..self }
    }
}

/// What a message tells of the session it belongs to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct SessionSign<'a> {
    /// It announces a session.
    pub(super) begins: bool,
    /// Nothing of this session follows it.
    pub(super) ends: bool,
    /// The session's name.
    pub(super) name: Option<&'a str>,
    /// It holds speech, or says that there is none.
    pub(super) says: bool,
    /// Where that is. None for what revises a line that is known.
    pub(super) span: Option<Span<'a>>,
    /// Its id is that of a line that says something else.
    pub(super) reuses_id: bool,
    /// What it says in that span.
    pub(super) text: Cow<'a, str>,
    /// The vendor will not change that.
    pub(super) is_settled: bool,
    /// Who says it, where several may speak at once; else empty.
    pub(super) voice: &'a str,
}

/// The decoder of one session of one vendor.
pub(super) trait Engine: Send {
    /// The format.
    const FORMAT: Format;
    /// The scope of its ids.
    const IDS: IdScope = IdScope::Connection;
    /// Whether each stream (a participant) has a clock of its own, which may begin anew while those of others go on. Then
    /// [`Self::spans`] tells the times, and [`SessionSign::span`] none.
    const HAS_STREAM_CLOCKS: bool = false;
    /// Whether what it says of a stream rises in time, but for what it said before.
    const IS_IN_ORDER: bool = true;
    /// Whether times count from the start of the meeting, whoever connects to it when. Else they count from the start of a
    /// connection.
    const COUNTS_FROM_MEETING: bool = false;
    /// A message: a JSON value, or a line.
    type Message: ?Sized;

    /// Begins a session.
    fn new(options: Options) -> Self;

    /// The session that was announced, and has said nothing so far, is read with these options.
    fn begin_with(&mut self, options: Options)
    where
        Self: Sized,
    {
        *self = Self::new(options);
    }

    /// What a message tells of its session.
    fn sign<'a>(&self, message: &'a Self::Message) -> SessionSign<'a>;

    /// Where the speech of a message stands, each piece on the clock of its stream. Without those that are known.
    fn spans<'a>(&self, _message: &'a Self::Message) -> Vec<Span<'a>> {
        Vec::new()
    }

    /// From now on the clock of `stream` begins at `offset_ms`.
    fn shift_stream(&mut self, _stream: &str, _offset_ms: MediaMs) {}

    /// Reads a message.
    fn read(&mut self, message: &Self::Message, out: &mut Decoded);

    /// Nothing follows: what is settled becomes final. A guess stays one.
    fn end(&mut self, _: &mut Decoded) {}

    /// The session is over, and these lines stand as they were shown: nothing said later may take them for guesses.
    fn let_stand(&mut self, _lines: &[Version]) {}

    /// Whether this session can have said the lines that a message speaks of, where it is not said which session it is of.
    fn knows(&self, _message: &Self::Message) -> bool {
        true
    }

    /// When, on the clock of who reads, what is settled becomes final unless something new is said before; it is `now_ms`.
    /// `None` where nothing waits. Asked after each message.
    fn due_ms(&mut self, _now_ms: MediaMs) -> Option<MediaMs> {
        None
    }

    /// Nothing new was said until `now_ms`: what was due by then is final.
    fn rest(&mut self, _now_ms: MediaMs, _: &mut Decoded) {}
}

/// The options of streams whose clocks are their own.
#[derive(Debug)]
pub(super) struct StreamClocks {
    /// Those of streams whose clocks began with the session.
    pub(super) base: Options,
    shifted: BTreeMap<Box<str>, Options>,
}

impl StreamClocks {
    pub(super) fn new(base: Options) -> Self {
        Self { base, shifted: BTreeMap::new() }
    }

    /// The options of `stream`.
    pub(super) fn of(&self, stream: &str) -> &Options {
        self.shifted.get(stream).unwrap_or(&self.base)
    }

    /// The clock of `stream` begins at `offset_ms`.
    pub(super) fn shift(&mut self, stream: &str, offset_ms: MediaMs) {
        self.shifted.insert(stream.into(), Options { offset_ms, ..self.base.clone() });
    }
}

/// What the time of a message says of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It goes on.
    On,
    /// It is said late, or another session says it.
    Back,
    /// Another session says it.
    Anew,
}

/// Something that was said: where, and what.
#[derive(Debug)]
struct Heard {
    start_ms: f64,
    end_ms: f64,
    text: Box<str>,
    voice: Box<str>,
}

impl Heard {
    fn new(span: &Span<'_>, sign: &SessionSign<'_>) -> Self {
        let start = |text: &str| text[..text.floor_char_boundary(SETTLED_TEXT_BYTES_MAX)].into();
        let (text, voice) = (start(&sign.text), start(sign.voice));
        Self { start_ms: span.start_ms, end_ms: span.end_ms, text, voice }
    }

    /// Whether `voice` may have said it. `Unknown` may be anybody.
    fn is_by(&self, voice: &str) -> bool {
        !is_name(&self.voice) || !is_name(voice) || *self.voice == *voice
    }

    /// How much of `span` it takes up.
    fn overlap_ms(&self, span: &Span<'_>) -> f64 {
        (self.end_ms.min(span.end_ms) - self.start_ms.max(span.start_ms)).max(0.0)
    }

    /// Whether it is mostly the words `now`.
    fn says(&self, now: &[String]) -> bool {
        are_alike(&words(&self.text), now)
    }

    /// Whether it is known by name who said it, and that is `voice`.
    fn is_surely_by(&self, voice: &str) -> bool {
        is_name(voice) && *self.voice == *voice
    }

    /// Whether it is a guess of what a message says of `span`, where several speak at once: the start drifts and the first
    /// words are rewritten while somebody speaks, but it does not shrink.
    fn grows_to(&self, span: &Span<'_>, sign: &SessionSign<'_>) -> bool {
        let is_near = (self.start_ms - span.start_ms).abs() <= DRIFT_MS && span.end_ms + GUESS_LATE_MS >= self.end_ms;
        let is_short = words(&self.text).len() < GUESS_WORDS_MIN;
        is_near && (self.was_guessed_as(&sign.text) || is_short && self.is_by(sign.voice))
    }

    /// Whether `guess` can have been a guess of it.
    fn was_guessed_as(&self, guess: &str) -> bool {
        let letters = |text: &str| words(text).concat();
        let (known, now) = (words(&self.text), words(guess));
        let shared = shared_words(&known, &now);
        shared * 2 >= known.len().min(now.len()) || letters(&self.text).starts_with(&letters(guess))
    }
}

/// How far a stream has come.
#[derive(Debug)]
struct Reach {
    first_ms: f64,
    /// The greatest start.
    latest_ms: f64,
    /// The greatest end.
    until_ms: f64,
    /// What the vendor settled last.
    settled: VecDeque<Heard>,
    /// What it guesses behind that.
    guess: Option<Heard>,
    /// What is guessed of each of those who speak at once, until it is settled.
    beside: VecDeque<Heard>,
}

impl Reach {
    fn new(first_ms: f64) -> Self {
        Self {
            first_ms,
            latest_ms: first_ms,
            until_ms: first_ms,
            settled: VecDeque::new(),
            guess: None,
            beside: VecDeque::new(),
        }
    }

    /// What a message says of `span`, from a vendor that says everything in its order or not.
    fn step_to(&self, span: &Span<'_>, sign: &SessionSign<'_>, is_in_order: bool) -> Step {
        if !sign.voice.is_empty() && !span.is_wall {
            return self.step_among_voices(span, sign);
        }
        let (start, back) = (span.start_ms, self.latest_ms - span.start_ms);
        if back <= 0.0 {
            return Step::On;
        }
        let is_at_start = (start - self.first_ms).abs() <= 1.0 && back >= BACK_TO_START_MS;
        if span.is_wall {
            // Times of day are set, by little and by much.
            let is_far = back > FAR_FALL_MS && (start < self.latest_ms / 3.0 || start < self.first_ms);
            return match () {
                () if is_at_start || is_far => Step::Anew,
                () if back > FALL_MS => Step::Back,
                () => Step::On,
            };
        }
        if is_in_order && self.is_late_guess(span, sign) {
            return Step::On;
        }
        if is_at_start
            || start < NEAR_ZERO_MS && back >= NEAR_ZERO_FALL_MS
            || back > FALL_MS && (start < FIRST_SECONDS_MS || is_in_order)
            || back > FAR_FALL_MS && start < self.latest_ms / 3.0
        {
            return Step::Anew;
        }
        if is_in_order {
            self.step_in_order(span, sign)
        } else if back > MOVED_MS as f64 {
            Step::Back
        } else {
            Step::On
        }
    }

    /// What a message says of `span`, from a vendor whose speakers talk over each other. Starts fall there within a session:
    /// who begins first may end last. Ends do not, but by what a final is late; those of a clock that began anew do.
    fn step_among_voices(&self, span: &Span<'_>, sign: &SessionSign<'_>) -> Step {
        let (start, back) = (span.start_ms, self.latest_ms - span.start_ms);
        let behind = self.until_ms - span.end_ms;
        if self.guess_beside(span, sign).is_some() {
            return Step::On;
        }
        let is_at_start = start <= FIRST_SECONDS_MS || start <= self.first_ms + DRIFT_MS;
        if is_at_start && behind > self.late_ms(back, span, sign)
            || behind > FAR_FALL_MS && start < self.latest_ms / 3.0
        {
            Step::Anew
        } else if back > MOVED_MS as f64 {
            Step::Back
        } else {
            Step::On
        }
    }

    /// How long before the end of what was heard that can end which is said late, and began `back` before the latest start.
    fn late_ms(&self, back: f64, span: &Span<'_>, sign: &SessionSign<'_>) -> f64 {
        let now = words(&sign.text);
        let by_another = || self.settled.iter().any(|settled| is_name(&settled.voice));
        let mut own = self.settled.iter().filter(|settled| settled.is_surely_by(sign.voice)).peekable();
        if back <= DRIFT_MS || now.is_empty() {
            return FALL_MS;
        }
        if !sign.is_settled {
            return GUESS_LATE_MS;
        }
        if own.peek().is_none() {
            // Somebody whose first words these are was not heard before: they may be long. Sessions begin with the first voice.
            return if is_name(sign.voice) && by_another() { FALL_MS } else { FINAL_LATE_MS };
        }
        // Nobody says two things at once, or the later one first.
        let is_contradicted = own.any(|settled| {
            let taken = settled.overlap_ms(span);
            let is_taken = taken > ROUGH_MS && taken * 2.0 >= span.end_ms - span.start_ms;
            (is_taken || settled.start_ms > span.start_ms + ROUGH_MS) && !settled.says(&now)
        });
        if is_contradicted { ROUGH_MS } else { FINAL_LATE_MS }
    }

    /// Which of the guesses of those who speak at once a message says better.
    fn guess_beside(&self, span: &Span<'_>, sign: &SessionSign<'_>) -> Option<usize> {
        let is_open = |guess: &Heard| self.until_ms - guess.end_ms <= FAR_FALL_MS && guess.grows_to(span, sign);
        let own = self.beside.iter().position(|guess| is_open(guess) && guess.was_guessed_as(&sign.text));
        own.or_else(|| self.beside.iter().position(is_open))
    }

    /// Whether a message is a guess of what was settled a moment ago.
    fn is_late_guess(&self, span: &Span<'_>, sign: &SessionSign<'_>) -> bool {
        let start = span.start_ms;
        let is_of = |settled: &Heard| {
            start + ROUGH_MS >= settled.start_ms
                && start <= settled.end_ms + ROUGH_MS
                && settled.was_guessed_as(&sign.text)
        };
        !sign.is_settled && self.settled.iter().rev().take(LATE_GUESS_OF).any(is_of)
    }

    /// A small step of a vendor that says everything in its order: what it settled it does not say otherwise, and it does not
    /// guess what was said before.
    fn step_in_order(&self, span: &Span<'_>, sign: &SessionSign<'_>) -> Step {
        let length = span.end_ms - span.start_ms;
        let is_behind = |known: Option<&Heard>, by: f64| known.is_some_and(|known| span.start_ms + by < known.start_ms);
        let now = words(&sign.text);
        let guess = self.guess.as_ref().filter(|guess| guess.is_by(sign.voice) && !guess.says(&now));
        let mut own = self.settled.iter().filter(|settled| settled.is_by(sign.voice));
        let others = own.clone().filter(|settled| !settled.says(&now));
        let last = own.next_back();
        let taken: f64 = others.map(|settled| settled.overlap_ms(span)).sum();
        let is_taken = taken > ROUGH_MS && taken * 2.0 >= length;
        // Where only ends are told nobody knows what is behind what.
        let rough_ms = if length > 0.0 || sign.is_settled { ROUGH_MS } else { GUESS_MOVED_MS };
        let is_back = is_behind(last, rough_ms) || is_behind(guess, GUESS_MOVED_MS);
        match sign.text.trim().is_empty() {
            false if is_taken || is_back && !sign.is_settled => Step::Anew,
            _ if is_back && sign.is_settled => Step::Back,
            _ => Step::On,
        }
    }

    fn note(&mut self, span: &Span<'_>, sign: &SessionSign<'_>) {
        self.first_ms = self.first_ms.min(span.start_ms);
        self.latest_ms = self.latest_ms.max(span.start_ms);
        self.until_ms = self.until_ms.max(span.end_ms);
        let has_text = !sign.text.trim().is_empty();
        if !sign.voice.is_empty() {
            let said_better = self.guess_beside(span, sign);
            // Of two who begin at once with other words neither takes the other's guess away.
            if let Some(at) = said_better.filter(|at| sign.is_settled || self.beside[*at].was_guessed_as(&sign.text)) {
                self.beside.remove(at);
            }
            if has_text && !sign.is_settled {
                if self.beside.len() == BESIDE_MAX {
                    self.beside.pop_front();
                }
                self.beside.push_back(Heard::new(span, sign));
            }
        }
        if !sign.is_settled {
            self.guess = has_text.then(|| Heard::new(span, sign));
            return;
        }
        // A guess behind what was said late stays.
        self.guess.take_if(|guess| guess.start_ms < span.end_ms);
        if has_text {
            if self.settled.len() == SETTLED_MAX {
                self.settled.pop_front();
            }
            self.settled.push_back(Heard::new(span, sign));
        }
    }
}

/// One session.
struct Session<E> {
    engine: E,
    options: Options,
    name: Option<Box<str>>,
    /// It has said something.
    is_heard: bool,
    /// The vendor said its last message.
    is_over: bool,
    reached: BTreeMap<(u64, Box<str>), Reach>,
    /// It was told that a time fell back by little.
    is_back_told: bool,
    /// Where the clocks of streams begin that began anew.
    stream_offsets: BTreeMap<Box<str>, MediaMs>,
}

impl<E: Engine> Session<E> {
    fn new(options: Options) -> Self {
        Self {
            engine: E::new(options.clone()),
            options,
            name: None,
            is_heard: false,
            is_over: false,
            reached: BTreeMap::new(),
            is_back_told: false,
            stream_offsets: BTreeMap::new(),
        }
    }

    fn reach(&self, span: &Span<'_>) -> Option<&Reach> {
        self.reached.get(&(span.stream.0, span.stream.1.into()))
    }

    /// Where the clock of `stream` begins.
    fn stream_offset(&self, stream: &str) -> MediaMs {
        self.stream_offsets.get(stream).copied().unwrap_or(self.options.offset_ms)
    }

    fn step(&self, sign: &SessionSign<'_>) -> Step {
        let step_to = |span: Span<'_>| Some(self.reach(&span)?.step_to(&span, sign, E::IS_IN_ORDER));
        sign.span.and_then(step_to).unwrap_or(Step::On)
    }

    /// Whether a message is behind what came before it.
    fn goes_on(&self, sign: &SessionSign<'_>) -> bool {
        sign.span.is_some_and(|span| self.reach(&span).is_some_and(|reach| span.start_ms >= reach.latest_ms))
    }

    fn note(&mut self, sign: &SessionSign<'_>) {
        self.is_heard |= sign.says;
        self.is_over = self.is_heard && sign.ends || self.is_over && !sign.says;
        if let Some(span) = sign.span {
            self.note_span(&span, sign);
        }
    }

    fn note_span(&mut self, span: &Span<'_>, sign: &SessionSign<'_>) {
        let key = (span.stream.0, span.stream.1.into());
        if self.reached.len() >= STREAMS_MAX && !self.reached.contains_key(&key) {
            return;
        }
        self.reached.entry(key).or_insert_with(|| Reach::new(span.start_ms)).note(span, sign);
    }
}

/// Lines that are guesses, the oldest first.
#[derive(Debug, Default)]
struct OpenGuesses {
    guesses: VecDeque<(Arc<str>, Content)>,
}

impl OpenGuesses {
    /// The line `id` is this guess now, or none. Gives the oldest guess, as a line that stands, if there are too many.
    fn note(&mut self, id: &Arc<str>, guess: Option<&Content>) -> Option<Version> {
        let at = self.guesses.iter().position(|(known, _)| known == id);
        match (at, guess) {
            (Some(at), Some(guess)) => self.guesses[at].1 = guess.clone(),
            (Some(at), None) => drop(self.guesses.remove(at)),
            (None, Some(guess)) => self.guesses.push_back((id.clone(), guess.clone())),
            (None, None) => {}
        }
        let (id, content) = if self.guesses.len() > OPEN_MAX { self.guesses.pop_front()? } else { return None };
        Some(Version { id, content: Content { status: Status::Final, ..content }, ..Version::default() })
    }
}

/// Says lines in portions that fit into a message each.
fn say_lines(lines: Vec<Version>, out: &mut Decoded) {
    let mut lines = lines.into_iter().peekable();
    while lines.peek().is_some() {
        out.says.push(Said::Lines(lines.by_ref().take(LINES_AT_ONCE).collect()));
    }
}

/// The sessions of one connection.
struct Sessions<E> {
    base: Options,
    current: Session<E>,
    /// Those before it that have a name, the last one last.
    earlier: VecDeque<Session<E>>,
    count: u64,
    /// Tags of sessions that were named by the vendor.
    tags: VecDeque<Arc<str>>,
    /// The greatest time that was said on this connection.
    greatest_ms: Option<MediaMs>,
    /// Time since the connection began, if who reads it has a clock.
    elapsed_ms: Option<MediaMs>,
    /// Where on that clock the times of the first session begin.
    zero_ms: Option<MediaMs>,
    open: OpenGuesses,
    /// The vendor was connected to anew.
    is_anew: bool,
    /// Where the times of the session before begin.
    before_offset_ms: MediaMs,
}

impl<E: Engine> Sessions<E> {
    fn new(options: Options) -> Self {
        Self {
            before_offset_ms: options.offset_ms,
            current: Session::new(options.clone()),
            base: options,
            earlier: VecDeque::new(),
            count: 1,
            tags: VecDeque::new(),
            greatest_ms: None,
            elapsed_ms: None,
            zero_ms: None,
            open: OpenGuesses::default(),
            is_anew: false,
        }
    }

    fn read(&mut self, message: &E::Message, out: &mut Decoded) {
        let sign = self.current.engine.sign(message);
        let speaks_of = || {
            let is_unknown = sign.name.is_none() && !self.current.engine.knows(message);
            let knows = || self.earlier.iter().rposition(|session| session.engine.knows(message));
            is_unknown.then(knows).flatten()
        };
        if let Some(at) = self.earlier_named(&sign).or_else(speaks_of) {
            // Not of the session that speaks now: what it says is still its own.
            let mut session = self.earlier.remove(at).expect("it was found there");
            session.note(&session.engine.sign(message));
            let before = out.says.len();
            session.engine.read(message, out);
            self.take_note(before, out);
            self.earlier.push_back(session);
            return;
        }
        let step = self.current.step(&sign);
        if self.is_new(&sign, step) {
            self.begin(&sign, out);
        } else {
            if let Some(name) = sign.name {
                self.adopt(name);
            }
            if step == Step::Back {
                self.tell_step_back(out);
            }
        }
        if self.count > 1 && !self.current.is_heard && sign.says {
            self.meet_first_words(message, sign.span, out);
        }
        self.current.note(&sign);
        if let (None, Some(elapsed), Some(span)) =
            (self.zero_ms, self.elapsed_ms, sign.span.filter(|span| !span.is_wall))
        {
            self.zero_ms = Some(elapsed.saturating_sub(span.end_ms as MediaMs));
        }
        let until =
            sign.span.filter(|span| !span.is_wall).and_then(|span| on_axis(span.end_ms, &self.current.options).ok());
        self.greatest_ms = self.greatest_ms.max(until);
        if E::HAS_STREAM_CLOCKS {
            self.note_streams(message, out);
        }
        let before = out.says.len();
        self.current.engine.read(message, out);
        self.take_note(before, out);
    }

    /// Tells, once in a session, that a time fell by little: as a late line's does, or that of an engine that began anew.
    fn tell_step_back(&mut self, out: &mut Decoded) {
        if std::mem::replace(&mut self.current.is_back_told, true) {
            return;
        }
        out.fault(
            FaultKind::ClockRestarted,
            "a time fell back by a little: what is said stands there, as said late. If the engine was started again, its lines \
             stand among those of before: connect anew for each of its sessions, with offset_ms",
        );
    }

    /// Notes how far the streams of a message have come. One whose times fall has begun its clock anew; those of others go
    /// on.
    fn note_streams(&mut self, message: &E::Message, out: &mut Decoded) {
        let no_text = SessionSign::default();
        for span in self.current.engine.spans(message) {
            let heard_ms = span.end_ms as MediaMs;
            if let (None, Some(elapsed)) = (self.zero_ms, self.elapsed_ms) {
                self.zero_ms = Some(elapsed.saturating_sub(heard_ms));
            }
            let step = self.current.reach(&span).map_or(Step::On, |reach| reach.step_to(&span, &no_text, false));
            let fell = self.current.reach(&span).and_then(|reach| self.fallen_offset(&span, step, reach.latest_ms));
            // Participants are confirmed late, by some seconds.
            let is_far = self.current.reach(&span).is_some_and(|reach| reach.latest_ms - span.start_ms > FALL_MS);
            if fell.is_none() && step == Step::Back && is_far {
                self.tell_step_back(out);
            }
            if let Some(offset_ms) = fell {
                let (key, stream) = ((span.stream.0, span.stream.1.into()), span.stream.1);
                self.current.reached.remove(&key);
                self.current.stream_offsets.insert(stream.into(), offset_ms);
                self.current.engine.shift_stream(stream, offset_ms);
                let at = offset_ms as f64 / 1000.0;
                out.fault(
                    FaultKind::ClockRestarted,
                    format!("the times of a participant begin anew: they are counted from {at:.3} s on, those of others go on"),
                );
            }
            self.current.note_span(&span, &no_text);
            let end_ms = self.current.stream_offset(span.stream.1).saturating_add(heard_ms);
            if end_ms <= self.base.media_ms_max {
                self.greatest_ms = self.greatest_ms.max(Some(end_ms));
            }
        }
    }

    /// Where the clock of a stream that reached `reach` begins now, if it began anew before `span`: by the clock of who
    /// reads, and never so that it says something before what it said already. Where that clock tells nothing (frames of a
    /// file come at once), it begins where that of another stream did that fell a moment ago, or behind all that was said.
    fn fallen_offset(&self, span: &Span<'_>, step: Step, latest_ms: f64) -> Option<MediaMs> {
        const NEAR_MS: MediaMs = FAR_FALL_MS as MediaMs;
        let (start_ms, heard_ms) = (span.start_ms as MediaMs, span.end_ms as MediaMs);
        let offset = self.current.stream_offset(span.stream.1);
        let own = offset.saturating_add(latest_ms as MediaMs);
        let greatest = self.greatest_ms.unwrap_or(self.base.offset_ms);
        let is_fit = |offset: MediaMs| {
            let start = offset.saturating_add(start_ms);
            start > own && start >= greatest.saturating_sub(NEAR_MS)
        };
        let is_near = |offset: &MediaMs| offset.saturating_add(start_ms) <= greatest.saturating_add(NEAR_MS);
        let of_others = self.current.stream_offsets.values().copied().filter(|offset| is_fit(*offset)).filter(is_near);
        let of_others = of_others.max().filter(|other| *other > offset);
        if step != Step::Anew {
            // One that said little before may not fall; that all others fell tells.
            let is_long_ago = offset.saturating_add(start_ms) < greatest.saturating_sub(FALL_MS as MediaMs);
            return of_others.filter(|_| is_long_ago);
        }
        let now = self.elapsed_ms.zip(self.zero_ms).map(|(elapsed, zero)| elapsed.saturating_sub(zero));
        let by_clock = now.map(|now| self.base.offset_ms.saturating_add(now).saturating_sub(heard_ms));
        let by_clock = by_clock.filter(|offset| is_fit(*offset));
        let behind = greatest.saturating_add(1).saturating_sub(beyond_lead_ms(start_ms));
        by_clock.or(of_others).or(Some(behind))
    }

    fn earlier_named(&self, sign: &SessionSign<'_>) -> Option<usize> {
        let is_of = |name: &str| self.earlier.iter().rposition(|session| session.name.as_deref() == Some(name));
        let is_current = |name: &str| self.current.name.as_deref() == Some(name);
        sign.name.filter(|name| !sign.begins && !is_current(name)).and_then(is_of)
    }

    fn is_new(&self, sign: &SessionSign<'_>, step: Step) -> bool {
        let current = &self.current;
        let is_another = sign.name.zip(current.name.as_deref()).is_some_and(|(name, known)| name != known);
        if !current.is_heard || !sign.says {
            return current.is_heard && (sign.begins || is_another);
        }
        if E::COUNTS_FROM_MEETING {
            return sign.begins || is_another || step == Step::Anew;
        }
        let goes_on = current.goes_on(sign);
        let is_same = sign.name.is_some() && !is_another;
        sign.begins
            || is_another
            || self.is_anew
            || current.is_over && !(is_same && goes_on)
            || sign.reuses_id
            || step == Step::Anew
            || step == Step::Back && self.has_guess_without_time()
    }

    /// Whether a guess is open of which it cannot be said that it stands behind a late line, and not in its place.
    fn has_guess_without_time(&self) -> bool {
        self.open.guesses.iter().any(|(_, content)| content.start_ms.is_none())
    }

    /// The session that has said nothing so far is called so.
    fn adopt(&mut self, name: &str) {
        if self.current.name.as_deref() == Some(name) {
            return;
        }
        if E::IDS == IdScope::Session && !self.current.is_heard {
            let options = Options { tag: self.tag(Some(name)), ..self.current.options.clone() };
            self.current = Session::new(options);
        }
        self.current.name = Some(name.into());
    }

    /// What ids and labels of a session begin with.
    fn tag(&mut self, name: Option<&str>) -> Arc<str> {
        let numbered =
            || if self.count == 1 { self.base.tag.clone() } else { format!("{}.{}", self.base.tag, self.count).into() };
        // A name that may be a counter is used again by the next engine: it tells sessions of this connection apart alone.
        let Some(name) = name.filter(|name| E::IDS == IdScope::Session && is_random(name)) else { return numbered() };
        let short = short_name(name);
        let times = self.tags.iter().filter(|tag| **tag == short).count();
        self.tags.push_back(short.clone());
        if self.tags.len() > NAMES_MAX {
            self.tags.pop_front();
        }
        if times == 0 { short } else { format!("{short}.{}", times + 1).into() }
    }

    fn begin(&mut self, sign: &SessionSign<'_>, out: &mut Decoded) {
        self.finish(Some(sign), out);
        self.count += 1;
        let span = sign.span.filter(|span| !sign.begins && !span.is_wall);
        let is_wall = sign.span.is_some_and(|span| span.is_wall);
        let known_ms = self.current.options.offset_ms;
        let offset_ms = span.map_or_else(|| self.offset_behind(self.now_ms()), |span| self.offset_of(&span, known_ms));
        self.replace(sign.name, offset_ms, is_wall);
        self.tell_begin(span.as_ref(), out);
    }

    /// Tells that a session has begun, and where its times are: of `span`, if that is its first words.
    fn tell_begin(&self, span: Option<&Span<'_>>, out: &mut Decoded) {
        let (offset_ms, start_ms) = (self.current.options.offset_ms, span.map_or(0, |span| span.start_ms as MediaMs));
        let (what, at_ms) = match beyond_lead_ms(start_ms) {
            0 => ("its times are counted from", offset_ms),
            _ => (
                "its clock may have begun before it, and its times are counted so that its first words are at",
                offset_ms.saturating_add(start_ms),
            ),
        };
        out.fault(
            FaultKind::ClockRestarted,
            format!(
                "a new session of the engine begins: its lines and its numbered speakers are new ones, and {what} {:.3} s on",
                at_ms as f64 / 1000.0
            ),
        );
    }

    /// What the time is by the clock of who reads, if there is one: that of what is being said, where it comes as it is said.
    fn now_ms(&self) -> Option<MediaMs> {
        let passed = self.elapsed_ms?.saturating_sub(self.zero_ms?);
        Some(self.base.offset_ms.saturating_add(passed))
    }

    /// Where the times of a session begin that began at `by_clock`: not before what was said.
    fn offset_behind(&self, by_clock: Option<MediaMs>) -> MediaMs {
        let behind = self.greatest_ms.map(|greatest| greatest.saturating_add(1));
        behind.max(by_clock).unwrap_or(self.base.offset_ms).max(self.base.offset_ms)
    }

    /// Where the times of a session begin whose first words are at `span`, behind one whose times began at `before_ms`. Words that begin late are of a clock that may not
    /// have begun with the session: they stand where they arrive, where what is said arrives as it is said; else where they
    /// are by the clock of the session before, if that is near behind what was said; else a little behind what was said.
    fn offset_of(&self, span: &Span<'_>, before_ms: MediaMs) -> MediaMs {
        let (start_ms, heard_ms) = (span.start_ms as MediaMs, span.end_ms as MediaMs);
        let by_clock = self.now_ms().map(|now| now.saturating_sub(heard_ms));
        let (Some(greatest), 1..) = (self.greatest_ms, beyond_lead_ms(start_ms)) else {
            return self.offset_behind(by_clock);
        };
        let behind = greatest.saturating_add(1);
        let by_clock = by_clock.filter(|_| self.is_live());
        let goes_on = || {
            let from_end = before_ms.saturating_add(start_ms).saturating_sub(behind);
            (0..=FAR_FALL_MS as MediaMs).contains(&from_end).then_some(before_ms)
        };
        let live = by_clock.map(|by_clock| by_clock.max(behind.saturating_sub(start_ms)));
        live.or_else(goes_on).unwrap_or_else(|| behind.saturating_sub(beyond_lead_ms(start_ms)))
    }

    /// Whether what is said arrives as it is said: frames of a file come before their time.
    fn is_live(&self) -> bool {
        self.now_ms().zip(self.greatest_ms).is_some_and(|(now, greatest)| now.saturating_add(LEAD_MS) >= greatest)
    }

    /// The first words of a session that was announced before: its times may have begun before it did.
    fn meet_first_words(&mut self, message: &E::Message, span: Option<Span<'_>>, out: &mut Decoded) {
        let of_streams = || {
            let spans = self.current.engine.spans(message).into_iter();
            spans.min_by(|left, right| left.start_ms.total_cmp(&right.start_ms))
        };
        let Some(span) = span.or_else(of_streams).filter(|span| !span.is_wall) else { return };
        let known_ms = self.current.options.offset_ms;
        let end_ms = known_ms.saturating_add(span.end_ms as MediaMs);
        let is_ahead = !self.is_live() || self.now_ms().is_some_and(|now| end_ms > now.saturating_add(LEAD_MS));
        let offset_ms = self.offset_of(&span, self.before_offset_ms);
        if beyond_lead_ms(span.start_ms as MediaMs) == 0 || !is_ahead || offset_ms == known_ms {
            return;
        }
        self.current.options = self.options_at(offset_ms, self.current.options.tag.clone());
        self.current.engine.begin_with(self.current.options.clone());
        let at = offset_ms.saturating_add(span.start_ms as MediaMs) as f64 / 1000.0;
        out.fault(
            FaultKind::ClockRestarted,
            format!(
                "the clock of the new session may have begun before it: its times are counted so that its first words are \
                 at {at:.3} s"
            ),
        );
    }

    /// The options of a session whose times begin at `offset_ms`. Times of day are what they were.
    fn options_at(&self, offset_ms: MediaMs, tag: Arc<str>) -> Options {
        let shift_ms = offset_ms.saturating_sub(self.base.offset_ms);
        let shifted = |at: Timestamp| Timestamp(at.0.saturating_add(shift_ms));
        Options { tag, offset_ms, wall_start: self.base.wall_start.map(shifted), ..self.base.clone() }
    }

    /// Puts a new session in the place of the current one, whose times begin at `offset_ms`.
    fn replace(&mut self, name: Option<&str>, offset_ms: MediaMs, is_wall: bool) {
        self.is_anew = false;
        self.before_offset_ms = self.current.options.offset_ms;
        let tag = self.tag(name);
        let mut options = self.options_at(offset_ms, tag);
        // Where times of day themselves fell the first one stands behind what was said.
        options.wall_start.take_if(|_| is_wall);
        let before = std::mem::replace(&mut self.current, Session::new(options));
        self.current.name = name.map(Into::into);
        if before.name.is_some() {
            self.earlier.push_back(before);
            if self.earlier.len() > EARLIER_MAX {
                self.earlier.pop_front();
            }
        }
    }

    /// What is open stands as it is. A guess without a time that the first words of the session which begins replace is
    /// gone: it was that session's.
    fn finish(&mut self, next: Option<&SessionSign<'_>>, out: &mut Decoded) {
        let before = out.says.len();
        self.current.engine.end(out);
        self.take_note(before, out);
        let is_replaced = |content: &Content| {
            content.start_ms.is_none() && next.is_some_and(|sign| begins_as(&sign.text, &content.text))
        };
        let mut is_any_replaced = false;
        let stands = |(id, content): (Arc<str>, Content)| {
            let content = if is_replaced(&content) {
                is_any_replaced = true;
                Content { status: Status::Interim, ..Content::default() }
            } else {
                Content { status: Status::Final, ..content }
            };
            Version { id, content, ..Version::default() }
        };
        let lines: Vec<Version> = std::mem::take(&mut self.open).guesses.into_iter().map(stands).collect();
        self.current.engine.let_stand(&lines);
        say_lines(lines, out);
        if is_any_replaced {
            out.fault(
                FaultKind::Odd,
                "a guess without a time was taken for the first words of the session that begins",
            );
        }
    }

    /// Remembers what was said from the place `before` on.
    fn take_note(&mut self, before: usize, out: &mut Decoded) {
        let mut left = Vec::new();
        for said in &out.says[before..] {
            match said {
                Said::Lines(lines) => {
                    for line in lines {
                        self.greatest_ms = self.greatest_ms.max(line.content.start_ms).max(line.content.end_ms);
                        let is_open = line.content.status == Status::Interim && !line.content.text.is_empty();
                        left.extend(self.open.note(&line.id, is_open.then_some(&line.content)));
                    }
                }
                Said::Retract { id } => drop(self.open.note(id, None)),
                Said::Clock { media_ms } => self.greatest_ms = self.greatest_ms.max(Some(*media_ms)),
            }
        }
        if !left.is_empty() {
            out.fault(
                FaultKind::Odd,
                format!("more than {OPEN_MAX} lines are guesses: the oldest of them stand as they are"),
            );
            say_lines(left, out);
        }
    }

    fn reconnect(&mut self, elapsed_ms: MediaMs, out: &mut Decoded) {
        self.close(out);
        // A name that comes again is that of the new session.
        self.earlier.clear();
        self.is_anew = false;
        if E::COUNTS_FROM_MEETING {
            return;
        }
        let by_clock = self.base.offset_ms.saturating_add(elapsed_ms);
        if self.current.is_heard {
            self.count += 1;
            self.current.name = None;
            self.replace(None, self.offset_behind(Some(by_clock)), false);
            self.tell_begin(None, out);
        } else {
            let options =
                Options { offset_ms: by_clock.max(self.current.options.offset_ms), ..self.current.options.clone() };
            self.current = Session::new(options);
        }
    }

    fn close(&mut self, out: &mut Decoded) {
        self.finish(None, out);
        self.is_anew = self.current.is_heard;
    }

    fn due_ms(&mut self) -> Option<MediaMs> {
        let now_ms = self.elapsed_ms?;
        let sessions = self.earlier.iter_mut().chain([&mut self.current]);
        sessions.filter_map(|session| session.engine.due_ms(now_ms)).min()
    }

    fn rest(&mut self, elapsed_ms: MediaMs, out: &mut Decoded) {
        self.elapsed_ms = Some(elapsed_ms);
        let before = out.says.len();
        self.current.engine.rest(elapsed_ms, out);
        self.take_note(before, out);
        let mut earlier = std::mem::take(&mut self.earlier);
        for session in &mut earlier {
            let before = out.says.len();
            session.engine.rest(elapsed_ms, out);
            self.take_note(before, out);
        }
        self.earlier = earlier;
    }

    fn end(&mut self, out: &mut Decoded) {
        let before = out.says.len();
        self.current.engine.end(out);
        self.take_note(before, out);
        for mut session in std::mem::take(&mut self.earlier) {
            let before = out.says.len();
            session.engine.end(out);
            self.take_note(before, out);
        }
    }
}

/// How much later first words begin than those of a session do whose clock began with it.
fn beyond_lead_ms(start_ms: MediaMs) -> MediaMs {
    start_ms.saturating_sub(LEAD_MS).max(0)
}

/// The words of a text, without marks and capitals.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// How many of the words `now` are among those that are `known`.
pub(super) fn shared_words(known: &[String], now: &[String]) -> usize {
    let known: HashSet<&str> = known.iter().map(String::as_str).collect();
    now.iter().filter(|word| known.contains(word.as_str())).count()
}

/// Whether `text` begins as `guess` does, by most words of that.
fn begins_as(text: &str, guess: &str) -> bool {
    let (text, guess) = (words(text), words(guess));
    let same = text.iter().zip(&guess).take_while(|(said, guessed)| said == guessed).count();
    same * 2 > guess.len()
}

/// Whether the shorter of two texts has most of its words in the other.
fn are_alike(known: &[String], now: &[String]) -> bool {
    shared_words(known, now) * 2 > known.len().min(now.len())
}

/// Whether a voice has a name: nobody knows who an unknown one is.
fn is_name(voice: &str) -> bool {
    !matches!(voice, "" | "Unknown")
}

fn is_letters(word: &str) -> bool {
    word.chars().any(char::is_alphabetic)
}

/// Whether two texts have a word in common.
pub(super) fn share_a_word(left: &str, right: &str) -> bool {
    shared_words(&words(left), &words(right)) > 0
}

/// What a message says of a line that it names by a number.
#[derive(Debug)]
pub(super) struct NumberedLine<'a> {
    pub(super) text: &'a str,
    pub(super) start_ms: Option<MediaMs>,
    pub(super) end_ms: Option<MediaMs>,
    pub(super) is_over: bool,
}

/// Whether the number of a line that is not known is that of a session that counts anew, where the greatest was `latest`: numbers
/// rise, and neighbours may overtake each other.
pub(super) fn counts_anew(number: u64, latest: u64) -> bool {
    number.saturating_add(NEIGHBOURS_MAX) < latest
}

/// Whether a message that names a line, `newer` lines after it, speaks of another one: vendors that number their lines in
/// each session say a line again to give it marks and capitals, soon after it and at its place.
pub(super) fn is_another_line(known: &Piece, newer: u64, now: &NumberedLine<'_>) -> bool {
    let apart = |known: Option<MediaMs>, now: Option<MediaMs>| known.zip(now).map(|(known, now)| (known - now).abs());
    let by = apart(known.start_ms(), now.start_ms);
    let is_near = |by: Option<MediaMs>| by.is_some_and(|by| by <= SAME_PLACE_MS);
    let (text, known_words) = (now.text.trim(), words(&known.text()));
    let is_unlike = !text.is_empty() && !are_alike(&known_words, &words(text));
    let is_spelled_anew =
        known_words.len() <= MARKED_WORDS_MAX || words(text).iter().filter(|word| is_letters(word)).count() < 2;
    if newer <= 1 && is_near(by) && (!is_unlike || is_spelled_anew && is_near(apart(known.end_ms(), now.end_ms))) {
        // Marks may change every word: `nine one one` becomes `911`. Later an engine that was started anew may be there.
        return false;
    }
    let moved = by.is_some_and(|by| by > MOVED_MS);
    if newer == 0 && !known.is_over() {
        // A guess may become any other one. It does not begin earlier, and does not shrink to a word or two of something else.
        let fell = known.start_ms().zip(now.start_ms).is_some_and(|(known, now)| known - now > MOVED_MS);
        let is_anew =
            is_unlike && !is_near(by) && known_words.len() >= GUESS_WORDS_MIN && words(text).len() < known_words.len();
        return fell && !text.is_empty() || is_anew;
    }
    let is_late_guess = !now.is_over && known_words.concat().starts_with(&words(text).concat());
    match newer {
        0 => !is_late_guess && (moved || is_unlike),
        1 => moved || is_unlike,
        _ => moved || !text.is_empty() && known_words != words(text),
    }
}

/// A vendor that speaks JSON.
pub(super) struct JsonSessions<E>(Sessions<E>);

impl<E: Engine<Message = Value>> JsonSessions<E> {
    pub(super) fn new(options: Options) -> Self {
        Self(Sessions::new(options))
    }
}

impl<E: Engine<Message = Value>> Dialect for JsonSessions<E> {
    fn decode(&mut self, frame: &[u8], out: &mut Decoded) {
        each_object(frame, out, |value, out| {
            let message = shape::message_in(E::FORMAT, value);
            let is_foreign = shape::is_foreign(E::FORMAT, message);
            if !is_foreign && shape::is_known(E::FORMAT, message) {
                self.0.read(message, out);
            } else if let Some(why) = engine_report(message).filter(|_| !is_foreign) {
                out.fault(FaultKind::Engine, format!("{} reports: {why}", shape::vendor(E::FORMAT)));
            } else {
                out.fault(FaultKind::UnknownType, shape::unknown(E::FORMAT, message));
            }
        });
    }

    fn end(&mut self, out: &mut Decoded) {
        self.0.end(out);
    }

    fn elapsed(&mut self, elapsed_ms: MediaMs) {
        self.0.elapsed_ms = Some(elapsed_ms);
    }

    fn due_ms(&mut self) -> Option<MediaMs> {
        self.0.due_ms()
    }

    fn rest(&mut self, elapsed_ms: MediaMs, out: &mut Decoded) {
        self.0.rest(elapsed_ms, out);
    }

    fn close_session(&mut self, out: &mut Decoded) {
        self.0.close(out);
    }

    fn reconnect(&mut self, elapsed_ms: MediaMs, out: &mut Decoded) {
        self.0.reconnect(elapsed_ms, out);
    }
}

/// A vendor that speaks lines of text.
pub(super) struct LineSessions<E> {
    cutter: LineCutter,
    lines: TextLines<E>,
}

/// Lines of text, one behind the other.
struct TextLines<E> {
    json: JsonInText,
    hints: TextHints,
    sessions: Sessions<E>,
}

impl<E: Engine<Message = str>> TextLines<E> {
    fn take(&mut self, line: &str, out: &mut Decoded) {
        if self.json.is_empty() && !line.trim_start().starts_with('{') {
            return self.read(line, out);
        }
        let mut text = String::new();
        line.chars().chain(['\n']).for_each(|c| self.json.push(c, &mut text, out));
        self.read_all(&text, out);
    }

    /// What is held back as JSON will not go on.
    fn end(&mut self, out: &mut Decoded) {
        let mut text = String::new();
        self.json.end(&mut text, out);
        self.read_all(&text, out);
    }

    fn read_all(&mut self, text: &str, out: &mut Decoded) {
        text.lines().filter(|line| !line.trim().is_empty()).for_each(|line| self.read(line, out));
    }

    fn read(&mut self, line: &str, out: &mut Decoded) {
        self.hints.look(E::FORMAT, line, out);
        self.sessions.read(line, out);
    }
}

impl<E: Engine<Message = str>> LineSessions<E> {
    pub(super) fn new(options: Options) -> Self {
        let sessions = Sessions::new(options);
        let lines = TextLines { json: JsonInText::default(), hints: TextHints::default(), sessions };
        Self { cutter: LineCutter::default(), lines }
    }

    /// Takes the line that is open: nothing follows it.
    fn end_line(&mut self, out: &mut Decoded) {
        self.cutter.end(out, |line, out| self.lines.take(line, out));
        self.lines.end(out);
    }
}

impl<E: Engine<Message = str>> Dialect for LineSessions<E> {
    fn decode(&mut self, frame: &[u8], out: &mut Decoded) {
        self.cutter.cut(frame, out, |line, out| self.lines.take(line, out));
        join_lines(out);
    }

    fn end(&mut self, out: &mut Decoded) {
        self.end_line(out);
        self.lines.sessions.end(out);
        join_lines(out);
    }

    fn elapsed(&mut self, elapsed_ms: MediaMs) {
        self.lines.sessions.elapsed_ms = Some(elapsed_ms);
    }

    fn close_session(&mut self, out: &mut Decoded) {
        self.end_line(out);
        self.lines.sessions.close(out);
        join_lines(out);
    }

    fn reconnect(&mut self, elapsed_ms: MediaMs, out: &mut Decoded) {
        self.end_line(out);
        self.lines.sessions.reconnect(elapsed_ms, out);
        join_lines(out);
    }
}

/// Makes one record of all that the lines of a frame say.
fn join_lines(out: &mut Decoded) {
    let mut joined: Vec<Said> = Vec::new();
    for said in out.says.drain(..) {
        match (joined.last_mut(), said) {
            (Some(Said::Lines(lines)), Said::Lines(more)) => lines.extend(more),
            (_, said) => joined.push(said),
        }
    }
    out.says = joined;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_as_a_table() {
        use Step::{Anew, Back, On};
        for (first, latest, start, in_order, in_any) in [
            // To the first time of the session.
            (0.3, 2.1, 0.3, Anew, Anew),
            (12.0, 13.0, 12.0, Anew, Anew),
            // A first line that is said again.
            (0.3, 0.9, 0.3, On, On),
            // To the first seconds.
            (0.4, 2.6, 0.5, Anew, Anew),
            (4.0, 12.0, 1.9, Anew, Anew),
            (0.4, 62.5, 2.9, Anew, Anew),
            (5.0, 14.0, 2.0, Anew, Anew),
            (5.0, 11.0, 2.0, On, Back),
            // By far: some say late what they said of before.
            (0.3, 33.0, 10.0, Anew, Back),
            (0.3, 300.0, 110.0, Anew, Back),
            (0.3, 300.0, 90.0, Anew, Anew),
            (0.3, 40.0, 5.0, Anew, Anew),
            // Late lines.
            (0.3, 300.0, 292.0, On, Back),
            (2.0, 2.5, 1.5, On, On),
            // On.
            (0.3, 2.1, 2.1, On, On),
            (0.3, 2.1, 500.0, On, On),
        ] {
            let reach = Reach { first_ms: first * 1e3, latest_ms: latest * 1e3, ..Reach::new(0.0) };
            let span = Span::new(Some(start * 1e3), None).expect("a span");
            for (is_in_order, expected) in [(true, in_order), (false, in_any)] {
                let step = reach.step_to(&span, &SessionSign::default(), is_in_order);
                assert_eq!(step, expected, "{first} to {latest}, then {start}, {is_in_order}");
            }
        }
    }

    /// What a vendor said from 2 to 4 s and from 6 to 8 s, with a guess from 9 s on, and what another one says then.
    #[test]
    fn small_falls_as_a_table() {
        use Step::{Anew, Back, On};
        let says = |start: f64, end: f64, text: &str, is_settled: bool| {
            let sign = SessionSign { text: text.to_owned().into(), is_settled, ..SessionSign::default() };
            (Span::new(Some(start * 1e3), Some(end * 1e3)).expect("a span"), sign)
        };
        let mut reach = Reach::new(2_000.0);
        for (start, end, text, is_settled) in
            [(2.0, 4.0, "We come to order.", true), (6.0, 8.0, "One, two.", true), (9.0, 10.0, "and then", false)]
        {
            let (span, sign) = says(start, end, text, is_settled);
            assert_eq!(reach.step_to(&span, &sign, true), On);
            reach.note(&span, &sign);
        }
        for (start, end, text, is_settled, expected) in [
            // Other words where something was said.
            (2.5, 4.5, "The line was cut.", true, Anew),
            (6.2, 7.8, "Good evening.", true, Anew),
            // The same words once more, and a little of a neighbour.
            (6.1, 8.1, "one two three", true, Back),
            (7.9, 8.9, "Three.", true, On),
            // Where nothing was said it may be late.
            (4.1, 5.9, "Is that heard?", true, Back),
            (8.2, 8.9, "Yes.", true, On),
            // Nobody guesses what is settled, but for a guess that comes late.
            (4.1, 5.9, "is that", false, Anew),
            (2.5, 3.5, "the line", false, Anew),
            (6.0, 7.0, "one too", false, On),
            (6.3, 7.3, "good evening", false, Anew),
            (6.0, 6.4, "on", false, On),
            (2.0, 2.6, "we come", false, On),
            // The guess, otherwise and corrected.
            (8.8, 10.4, "so then we", false, On),
            (8.8, 10.4, "And then we vote.", true, On),
        ] {
            let (span, sign) = says(start, end, text, is_settled);
            assert_eq!(reach.step_to(&span, &sign, true), expected, "{start} {text}");
        }
    }
}
