//! Consecutive sessions of a vendor's engine on one pipe or socket.
//!
//! A program whose engine is restarted continues to write to the same place. A vendor numbers lines, speakers and times
//! anew in each session, so content of one session must not be taken for that of another: a new session gets ids and
//! labels of its own, and its times continue after those of the sessions before. A new session is recognized where the
//! vendor announces it, where a message names another session, where speech follows the vendor's last message, and
//! where times fall back to the start. Open lines of the session before are closed first, as last shown.
//!
//! Every vendor's decoder is an [`EngineSession`], which decodes one session; [`frames::JsonSessions`] and [`frames::LineSessions`]
//! turn it into a [`Dialect`](crate::dialect::core::decoder::Dialect).

mod earlier_lines;
pub(in super::super) mod frames;
mod message_order;
mod succession;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use crate::dialect::core::decoded::{Decoded, DecodedEvent};
use crate::dialect::core::earlier_speech::{EarlierLines, EarlierSpeech};
use crate::dialect::core::options::Options;
use crate::dialect::core::session_clock::{ClockShift, StreamExtent};
use crate::dialect::core::session_sign::{MoreSpeech, SessionSign, SpeechSpan};
use crate::dialect::core::vendor_format::VendorFormat;
use crate::transcript::{Content, MediaMs, Status, Timestamp, Version};

/// Streams (channels, participants) of a session whose times are watched. Further ones are decoded, but falling times
/// are not noticed there.
const STREAMS_MAX: usize = 256;
/// Earlier named sessions that may still send: two programs that write to one socket alternate.
const EARLIER_MAX: usize = 4;
/// Interim lines open at a time, more than people can speak. Above this, the oldest is closed as shown.
const OPEN_MAX: usize = 256;
/// Lines without words per event; they have at most 2 KiB each.
const LINES_AT_ONCE: usize = 16;
/// Session names remembered, so that a reused name is noticed.
const NAMES_MAX: usize = 256;

/// Messages of a connection that are compared with earlier lines of its source: an hour of interim and final versions.
/// If a connection repeats them after that, it is not noticed.
const LOOKS_MAX: usize = 16_384;

/// Fraction of media time that must be left when a restarted engine is placed at the present time: of a week, most of a
/// day, which an event does not exceed.
const ROOM_PART: MediaMs = 8;

/// Fault for words that are before the end of what the source sent on earlier connections.
const SAID_BEFORE: &str = "the engine says what its source said at that time already, or says it late: it stands there once more. If the \
     engine was started again, connect anew with offset_ms, which says where its session begins";

/// Start of the first words, in milliseconds, above which a session's clock may have started before the session.
const LEAD_MS: MediaMs = 10_000;

/// Scope of a vendor's own ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdScope {
    /// Unique within a connection, or absent.
    Connection,
    /// Unique within a session, whose name is globally unique.
    Session,
    /// Globally unique: they persist across sessions.
    Always,
}

/// Decoder of one session of one vendor.
pub(crate) trait EngineSession: Send {
    /// The vendor's format.
    const FORMAT: VendorFormat;
    /// Scope of its ids.
    const IDS: IdScope = IdScope::Connection;
    /// True if each stream (a participant) has a clock of its own, which may start over while others continue. Then
    /// [`Self::spans`] returns the times, and [`SessionSign::span`] is `None`.
    const HAS_STREAM_CLOCKS: bool = false;
    /// True if the times of a stream rise, except for repeats.
    const IS_IN_ORDER: bool = true;
    /// True if times count from the start of the meeting, independently of connections. Otherwise they count from the
    /// start of a connection.
    const COUNTS_FROM_MEETING: bool = false;
    /// A message: a JSON value, or a line of text.
    type Message: ?Sized;

    /// Returns the message within a row that the vendor's own program recorded; `None` if the object is the message.
    fn recorded_message(_row: &Value) -> Option<&Value> {
        None
    }

    /// Returns true if a JSON message has one of the format's known shapes. [`Self::read`] checks the type of the message,
    /// and whether that is known.
    fn is_known(_message: &Value) -> bool {
        false
    }

    /// Creates a session.
    fn new(options: Options) -> Self;

    /// Sets the options of an announced session that has sent nothing so far.
    fn begin_with(&mut self, options: Options)
    where
        Self: Sized,
    {
        *self = Self::new(options);
    }

    /// Returns the information about the session that a message contains.
    fn sign<'a>(&self, message: &'a Self::Message) -> SessionSign<'a>;

    /// Returns the time spans of a message's speech, each on its stream's clock, without those already known.
    fn spans<'a>(&self, _message: &'a Self::Message) -> Vec<MoreSpeech<'a>> {
        Vec::new()
    }

    /// Returns the line ids that a message refers to, if the vendor's ids are permanent.
    fn line_ids(&self, _message: &Self::Message) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// Adapts to the lines that the source sent `earlier` on other connections, before `message` is read.
    fn go_on_behind(&mut self, _message: &Self::Message, _earlier: &EarlierLines) {}

    /// Sets the start of a stream's clock to `offset_ms` from now on.
    fn shift_stream(&mut self, _stream: &str, _offset_ms: MediaMs) {}

    /// Returns the wall time from which it counts, if that applies to later sessions too.
    fn wall_start(&self) -> Option<Timestamp> {
        None
    }

    /// Decodes a message.
    fn read(&mut self, message: &Self::Message, out: &mut Decoded);

    /// Ends the session: settled text becomes final. Unsettled text stays interim.
    fn end(&mut self, _: &mut Decoded) {}

    /// Reports that the session is over and these lines were closed as shown: later messages must not treat them as
    /// interim.
    fn let_stand(&mut self, _lines: &[Version]) {}

    /// Returns true if this session may have sent the lines that a message refers to, if the message names no session.
    fn knows(&self, _message: &Self::Message) -> bool {
        true
    }

    /// Returns the time, on the receiver's clock, at which settled text becomes final unless something new comes;
    /// `now_ms` is the present. `None` if nothing waits. Called after each message.
    fn due_ms(&mut self, _now_ms: MediaMs) -> Option<MediaMs> {
        None
    }

    /// Reports that nothing new came until `now_ms`: settled text that was due becomes final.
    fn rest(&mut self, _now_ms: MediaMs, _: &mut Decoded) {}
}

/// Options of streams that have clocks of their own.
#[derive(Debug)]
pub(crate) struct StreamClocks {
    /// Options of streams whose clocks started with the session.
    pub(crate) base: Options,
    shifted: BTreeMap<Box<str>, Options>,
}

impl StreamClocks {
    pub(crate) fn new(base: Options) -> Self {
        Self { base, shifted: BTreeMap::new() }
    }

    /// Returns the options of `stream`.
    pub(crate) fn of(&self, stream: &str) -> &Options {
        self.shifted.get(stream).unwrap_or(&self.base)
    }

    /// Sets the start of the clock of `stream` to `offset_ms`.
    pub(crate) fn shift(&mut self, stream: &str, offset_ms: MediaMs) {
        self.shifted.insert(stream.into(), Options { offset_ms, ..self.base.clone() });
    }
}

/// State of one session.
struct Session<E> {
    engine: E,
    options: Options,
    name: Option<Box<str>>,
    /// True if it has reported speech, or its absence.
    is_heard: bool,
    /// True if it has sent words.
    has_words: bool,
    /// True if the vendor has sent its last message.
    is_over: bool,
    reached: BTreeMap<(u64, Box<str>), StreamExtent>,
    /// True once a small fall of its times was reported.
    is_back_told: bool,
    /// Offsets of streams whose clocks have started over.
    stream_offsets: BTreeMap<Box<str>, MediaMs>,
}

impl<E: EngineSession> Session<E> {
    fn new(options: Options) -> Self {
        Self {
            engine: E::new(options.clone()),
            options,
            name: None,
            is_heard: false,
            has_words: false,
            is_over: false,
            reached: BTreeMap::new(),
            is_back_told: false,
            stream_offsets: BTreeMap::new(),
        }
    }

    fn reach(&self, span: &SpeechSpan<'_>) -> Option<&StreamExtent> {
        self.reached.get(&(span.stream.0, span.stream.1.into()))
    }

    /// Returns the offset of the clock of `stream`.
    fn stream_offset(&self, stream: &str) -> MediaMs {
        self.stream_offsets.get(stream).copied().unwrap_or(self.options.offset_ms)
    }

    fn step(&self, sign: &SessionSign<'_>) -> ClockShift {
        let step_to = |span: SpeechSpan<'_>| Some(self.reach(&span)?.step_to(&span, sign, E::IS_IN_ORDER));
        sign.span.and_then(step_to).unwrap_or(ClockShift::On)
    }

    /// Returns true if a message comes after everything before it.
    fn goes_on(&self, sign: &SessionSign<'_>) -> bool {
        sign.span.is_some_and(|span| self.reach(&span).is_some_and(|reach| span.start_ms >= reach.latest_ms))
    }

    fn note(&mut self, sign: &SessionSign<'_>) {
        self.is_heard |= sign.says;
        self.has_words |= sign.says && !sign.text.trim().is_empty();
        self.is_over = self.is_heard && sign.ends || self.is_over && !sign.says;
        if let Some(span) = sign.span {
            self.note_span(&span, sign);
        }
        for MoreSpeech { span, text, is_settled } in &sign.more {
            let sign = SessionSign { text: (*text).into(), is_settled: *is_settled, ..SessionSign::default() };
            self.note_span(span, &sign);
        }
    }

    fn note_span(&mut self, span: &SpeechSpan<'_>, sign: &SessionSign<'_>) {
        let key = (span.stream.0, span.stream.1.into());
        if self.reached.len() >= STREAMS_MAX && !self.reached.contains_key(&key) {
            return;
        }
        self.reached.entry(key).or_insert_with(|| StreamExtent::new(span.start_ms)).note(span, sign);
    }
}

/// Open interim lines, the oldest first.
#[derive(Debug, Default)]
struct OpenInterimLines {
    guesses: VecDeque<(Arc<str>, Content)>,
}

impl OpenInterimLines {
    /// Sets or removes the interim content of the line `id`. If there are too many, returns the oldest one, closed as
    /// shown.
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

/// Earlier lines of the source, kept until the connection is placed.
struct EarlierState {
    speech: Box<dyn EarlierSpeech>,
    lines: EarlierLines,
    /// True once a repeat, or a possible one, was reported.
    is_told: bool,
    /// Number of messages that are still compared with them.
    looks_left: usize,
}

/// Emits lines in portions that fit into a message each.
fn say_lines(lines: Vec<Version>, out: &mut Decoded) {
    let mut lines = lines.into_iter().peekable();
    while lines.peek().is_some() {
        out.says.push(DecodedEvent::Lines(lines.by_ref().take(LINES_AT_ONCE).collect()));
    }
}

/// Sessions of one connection.
struct Sessions<E> {
    base: Options,
    current: Session<E>,
    /// Earlier named sessions, the latest last.
    earlier: VecDeque<Session<E>>,
    count: u64,
    /// Tags made from names that the vendor gave.
    tags: VecDeque<Arc<str>>,
    /// The greatest time sent on this connection.
    greatest_ms: Option<MediaMs>,
    /// Time since the connection began, if the receiver has a clock.
    elapsed_ms: Option<MediaMs>,
    /// Time on that clock at which the first session's times begin.
    zero_ms: Option<MediaMs>,
    open: OpenInterimLines,
    /// True after a reconnect to the vendor.
    is_anew: bool,
    /// Offset of the previous session's times.
    before_offset_ms: MediaMs,
    earlier_speech: Option<EarlierState>,
    /// True if the session that begins has sent words that were taken for a repeat.
    is_misplaced: bool,
}

impl<E: EngineSession> Sessions<E> {
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
            open: OpenInterimLines::default(),
            is_anew: false,
            earlier_speech: None,
            is_misplaced: false,
        }
    }
}
