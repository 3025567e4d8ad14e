//! Consecutive sessions of a vendor's engine on one pipe or socket.
//!
//! A program whose engine is restarted continues to write to the same place. A vendor numbers lines, speakers and times
//! anew in each session, so content of one session must not be taken for that of another: a new session gets ids and
//! labels of its own, and its times continue after those of the sessions before. A new session is recognized where the
//! vendor announces it, where a message names another session, where speech follows the vendor's last message, and
//! where times fall back to the start. Open lines of the session before are closed first, as last shown.
//!
//! Every vendor's decoder is an [`EngineSession`], which decodes one session; [`JsonSessions`] and [`LineSessions`]
//! turn it into a [`Dialect`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded, DecodedEvent};
use crate::dialect::core::decoder::Dialect;
use crate::dialect::core::earlier_speech::{EarlierLines, EarlierSpeech, FirstWords};
use crate::dialect::core::json::{engine_report, on_axis};
use crate::dialect::core::json_frames::each_object;
use crate::dialect::core::json_in_text::JsonInText;
use crate::dialect::core::keyed::is_random;
use crate::dialect::core::line_cutter::LineCutter;
use crate::dialect::core::line_match::begins_as;
use crate::dialect::core::options::Options;
use crate::dialect::core::session_clock::{ClockShift, FALL_MS, FAR_FALL_MS, StreamExtent};
use crate::dialect::core::session_sign::{MoreSpeech, SessionSign, SpeechSpan};
use crate::dialect::core::shape::{self, TextHints};
use crate::dialect::core::token::short_name;
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
struct OpenGuesses {
    guesses: VecDeque<(Arc<str>, Content)>,
}

impl OpenGuesses {
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
    open: OpenGuesses,
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
            open: OpenGuesses::default(),
            is_anew: false,
            earlier_speech: None,
            is_misplaced: false,
        }
    }

    fn read(&mut self, message: &E::Message, out: &mut Decoded) {
        let sign = self.sign_of(&self.current.engine, message);
        let speaks_of = || {
            let is_unknown = sign.name.is_none() && !self.current.engine.knows(message);
            let knows = || self.earlier.iter().rposition(|session| session.engine.knows(message));
            is_unknown.then(knows).flatten()
        };
        if let Some(at) = self.earlier_named(&sign).or_else(speaks_of) {
            // Not from the current session, but still valid for its own.
            let mut session = self.earlier.remove(at).expect("it was found there");
            session.note(&self.sign_of(&session.engine, message));
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
            match step {
                ClockShift::Back => self.tell_step_back(out),
                ClockShift::Over if self.current.name.is_none() => self.tell_said_over(out),
                _ => {}
            }
        }
        if !E::COUNTS_FROM_MEETING && self.earlier_speech.is_some() {
            self.meet_earlier_speech(message, &sign, out);
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
        if let Some(earlier) = &self.earlier_speech {
            self.current.engine.go_on_behind(message, &earlier.lines);
        }
        if E::HAS_STREAM_CLOCKS {
            self.note_streams(message, out);
        }
        let before = out.says.len();
        self.current.engine.read(message, out);
        self.take_note(before, out);
    }

    /// Returns true if a time is valid media time; otherwise it says nothing about the clock. With a negative offset
    /// the clock started earlier.
    fn can_be(&self, span: &SpeechSpan<'_>) -> bool {
        span.is_wall || span.end_ms + self.base.offset_ms.min(0) as f64 <= self.base.media_ms_max as f64
    }

    /// Returns the sign of a message for `engine`, without invalid times.
    fn sign_of<'a>(&self, engine: &E, message: &'a E::Message) -> SessionSign<'a> {
        let mut sign = engine.sign(message);
        sign.span.take_if(|span| !self.can_be(span));
        sign.more.retain(|more| self.can_be(&more.span));
        sign
    }

    fn stand_behind(&mut self, speech: Box<dyn EarlierSpeech>) {
        let lines = EarlierLines::new(speech.lines());
        self.greatest_ms = lines.as_ref().map(|lines| lines.until_ms);
        self.earlier_speech = lines.map(|lines| EarlierState { speech, lines, is_told: false, looks_left: LOOKS_MAX });
    }

    /// Places the connection by its first words, if the source has earlier lines: an engine that started over continues
    /// at the feed's present time.
    fn meet_earlier_speech(&mut self, message: &E::Message, sign: &SessionSign<'_>, out: &mut Decoded) {
        let Some(mut span) = sign.span.filter(|_| sign.says) else { return };
        let is_start = span.is_wall;
        // Words are needed for a comparison with earlier lines.
        if !is_start && sign.text.trim().is_empty() {
            return;
        }
        if is_start {
            if self.base.wall_start.is_some() {
                return;
            }
            // The first time of day is the start, whatever its value.
            (span.start_ms, span.end_ms, span.is_wall) = (0.0, 0.0, false);
        }
        let Some(mut earlier) = self.earlier_speech.take() else { return };
        let tag = &self.current.options.tag;
        let has_name = E::IDS == IdScope::Session && *tag != self.base.tag;
        let is_known = |id: &Arc<str>| earlier.lines.has_line(id);
        if self.count > 1
            || has_name && earlier.lines.has_session(tag)
            || self.current.engine.line_ids(message).iter().any(is_known)
        {
            return;
        }
        let first_words =
            if is_start { FirstWords::Anew } else { earlier.lines.first_words(&span, sign, E::IS_IN_ORDER, has_name) };
        match first_words {
            FirstWords::GoOn => return,
            FirstWords::Again | FirstWords::Back => {
                if !std::mem::replace(&mut earlier.is_told, true) {
                    out.fault(DecodeFaultKind::ClockRestarted, SAID_BEFORE);
                }
                earlier.looks_left = earlier.looks_left.saturating_sub(1);
                self.earlier_speech = Some(earlier).filter(|earlier| earlier.looks_left > 0);
                return;
            }
            // A repeated interim text need not equal its final version.
            FirstWords::Anew if earlier.is_told && !sign.is_settled && !sign.text.is_empty() => {
                self.earlier_speech = Some(earlier);
                return;
            }
            FirstWords::Anew => {}
        }
        let offset_ms = offset_at(earlier.speech.now_ms(), earlier.lines.until_ms, &span, self.base.media_ms_max);
        (self.base.offset_ms, self.before_offset_ms) = (offset_ms, offset_ms);
        if self.current.has_words {
            self.zero_ms = self.elapsed_ms.map(|elapsed| elapsed.saturating_sub(span.end_ms as MediaMs));
            self.is_misplaced = true;
            self.begin(sign, out);
            self.is_misplaced = false;
            return;
        }
        self.current.options = self.options_at(offset_ms, self.current.options.tag.clone());
        self.current.engine.begin_with(self.current.options.clone());
        tell_placed(offset_ms.saturating_add(span.start_ms as MediaMs), out);
    }

    /// Reports, once per session, that a time fell slightly: because of a late line, or because the engine started
    /// over.
    fn tell_step_back(&mut self, out: &mut Decoded) {
        if std::mem::replace(&mut self.current.is_back_told, true) {
            return;
        }
        out.fault(
            DecodeFaultKind::ClockRestarted,
            "a time fell back by a little: what is said stands there, as said late. If the engine was started again, its lines \
             stand among those of before: connect anew for each of its sessions, with offset_ms",
        );
    }

    /// Reports, once per session, that words are at a time where other words were settled.
    fn tell_said_over(&mut self, out: &mut Decoded) {
        if !std::mem::replace(&mut self.current.is_back_told, true) {
            out.fault(
                DecodeFaultKind::ClockRestarted,
                "the engine says something else where it settled words already: it stands there too, as said over others. If the \
                 engine was started again, connect anew for each of its sessions, with offset_ms",
            );
        }
    }

    /// Records the progress of the streams in a message. A stream whose times fall has restarted its clock; the others
    /// continue.
    fn note_streams(&mut self, message: &E::Message, out: &mut Decoded) {
        // Permanent ids that are known were sent by the same engine.
        let is_known =
            |earlier: &EarlierState| self.current.engine.line_ids(message).iter().any(|id| earlier.lines.has_line(id));
        let is_known = self.earlier_speech.as_ref().is_some_and(is_known);
        for MoreSpeech { span, text, is_settled } in self.current.engine.spans(message) {
            if !self.can_be(&span) {
                continue;
            }
            let heard_ms = span.end_ms as MediaMs;
            let sign = SessionSign { text: text.into(), is_settled, ..SessionSign::default() };
            if !is_known && self.current.reach(&span).is_none() && self.is_said_again(&span, &sign, out) {
                continue;
            }
            if let (None, Some(elapsed)) = (self.zero_ms, self.elapsed_ms) {
                self.zero_ms = Some(elapsed.saturating_sub(heard_ms));
            }
            let step = self.current.reach(&span).map_or(ClockShift::On, |reach| reach.step_to(&span, &sign, false));
            let fell = self.current.reach(&span).and_then(|reach| self.fallen_offset(&span, step, reach.latest_ms));
            // Participants' texts are confirmed some seconds late.
            let is_far = self.current.reach(&span).is_some_and(|reach| reach.latest_ms - span.start_ms > FALL_MS);
            if fell.is_none() && step == ClockShift::Back && is_far {
                self.tell_step_back(out);
            }
            if let Some(offset_ms) = fell {
                self.current.reached.remove(&(span.stream.0, span.stream.1.into()));
                self.begin_stream(span.stream.1, offset_ms, out);
            }
            self.current.note_span(&span, &sign);
            let end_ms = self.current.stream_offset(span.stream.1).saturating_add(heard_ms);
            if end_ms <= self.base.media_ms_max {
                self.greatest_ms = self.greatest_ms.max(Some(end_ms));
            }
        }
    }

    /// Restarts the clock of a stream at `offset_ms`.
    fn begin_stream(&mut self, stream: &str, offset_ms: MediaMs, out: &mut Decoded) {
        self.current.stream_offsets.insert(stream.into(), offset_ms);
        self.current.engine.shift_stream(stream, offset_ms);
        let at = offset_ms as f64 / 1000.0;
        out.fault(
            DecodeFaultKind::ClockRestarted,
            format!("the times of a participant begin anew: they are counted from {at:.3} s on, those of others go on"),
        );
    }

    /// Handles the first words of a stream on this connection: if they fall like those of an engine that started over,
    /// they are placed at the feed's present time, like other streams that did so before. Returns whether they repeat
    /// earlier words at that time; then the next ones decide.
    fn is_said_again(&mut self, span: &SpeechSpan<'_>, sign: &SessionSign<'_>, out: &mut Decoded) -> bool {
        let Some(earlier) = &mut self.earlier_speech else { return false };
        let until_ms = earlier.lines.until_ms;
        let first_words = earlier.lines.first_words(span, sign, false, false);
        let start_ms = span.start_ms as MediaMs;
        let near_ms = self.greatest_ms.unwrap_or(until_ms).saturating_add(FAR_FALL_MS as MediaMs);
        let is_with = |offset: &MediaMs| start_ms < until_ms && offset.saturating_add(start_ms) <= near_ms;
        let others = self.current.stream_offsets.values().copied().max().filter(is_with);
        if let (FirstWords::Again, None) = (first_words, others) {
            if !std::mem::replace(&mut earlier.is_told, true) {
                out.fault(DecodeFaultKind::ClockRestarted, SAID_BEFORE);
            }
            return true;
        }
        if let (FirstWords::Anew, _) | (_, Some(_)) = (first_words, others) {
            let (now_ms, max_ms) = (earlier.speech.now_ms(), self.base.media_ms_max);
            let offset_ms = others.unwrap_or_else(|| offset_at(now_ms, until_ms, span, max_ms));
            self.begin_stream(span.stream.1, offset_ms, out);
        } else if first_words == FirstWords::Back {
            self.tell_step_back(out);
        }
        false
    }

    /// Returns the new offset of a stream that reached `latest_ms`, if its clock started over before `span`: by the
    /// receiver's clock, and never so that it precedes its own earlier words. If that clock is of no use (frames of a
    /// file arrive all at once), it is the offset of another stream that fell a moment ago, or after all earlier words.
    fn fallen_offset(&self, span: &SpeechSpan<'_>, step: ClockShift, latest_ms: f64) -> Option<MediaMs> {
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
        if step != ClockShift::Anew {
            // A stream with few words before may not fall; the fall of all others is then the sign.
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

    fn is_new(&self, sign: &SessionSign<'_>, step: ClockShift) -> bool {
        let current = &self.current;
        let is_another = sign.name.zip(current.name.as_deref()).is_some_and(|(name, known)| name != known);
        if !current.is_heard || !sign.says {
            return current.is_heard && (sign.begins || is_another);
        }
        if E::COUNTS_FROM_MEETING {
            return sign.begins || is_another || step == ClockShift::Anew;
        }
        let goes_on = current.goes_on(sign);
        let is_same = sign.name.is_some() && !is_another;
        sign.begins
            || is_another
            || self.is_anew
            || current.is_over && !(is_same && goes_on)
            || sign.reuses_id
            || step == ClockShift::Anew
            || step == ClockShift::Back && self.has_guess_without_time()
    }

    /// Returns true if an interim line without a time is open, which a late line might come before or replace.
    fn has_guess_without_time(&self) -> bool {
        self.open.guesses.iter().any(|(_, content)| content.start_ms.is_none())
    }

    /// Sets the name of a session that has sent nothing so far.
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

    /// Returns the prefix of a session's ids and labels.
    fn tag(&mut self, name: Option<&str>) -> Arc<str> {
        let numbered =
            || if self.count == 1 { self.base.tag.clone() } else { format!("{}.{}", self.base.tag, self.count).into() };
        // A name that may be a counter is reused by the next engine; it only distinguishes sessions of this connection.
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

    /// Reports that a session has begun, and how its times are counted; `span` is that of its first words, if they have
    /// arrived.
    fn tell_begin(&self, span: Option<&SpeechSpan<'_>>, out: &mut Decoded) {
        let (offset_ms, start_ms) = (self.current.options.offset_ms, span.map_or(0, |span| span.start_ms as MediaMs));
        let (what, at_ms) = match beyond_lead_ms(start_ms) {
            0 => ("its times are counted from", offset_ms),
            _ => (
                "its clock may have begun before it, and its times are counted so that its first words are at",
                offset_ms.saturating_add(start_ms),
            ),
        };
        out.fault(
            DecodeFaultKind::ClockRestarted,
            format!(
                "a new session of the engine begins: its lines and its numbered speakers are new ones, and {what} {:.3} s on",
                at_ms as f64 / 1000.0
            ),
        );
    }

    /// Returns the media time by the receiver's clock, if there is one: the time of the current speech, if it arrives
    /// live.
    fn now_ms(&self) -> Option<MediaMs> {
        let passed = self.elapsed_ms?.saturating_sub(self.zero_ms?);
        Some(self.base.offset_ms.saturating_add(passed))
    }

    /// Returns the offset of a session that began at `by_clock`, after everything said before.
    fn offset_behind(&self, by_clock: Option<MediaMs>) -> MediaMs {
        let behind = self.greatest_ms.map(|greatest| greatest.saturating_add(1));
        behind.max(by_clock).unwrap_or(self.base.offset_ms).max(self.base.offset_ms)
    }

    /// Returns the offset of a session whose first words are at `span`, after a session with the offset `before_ms`. If
    /// they begin late, the session's clock may have started before it. The words are then placed at their arrival, if
    /// speech arrives live; otherwise by the previous session's clock, if that is shortly after the last words;
    /// otherwise shortly after the last words.
    fn offset_of(&self, span: &SpeechSpan<'_>, before_ms: MediaMs) -> MediaMs {
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

    /// Returns true if speech arrives live: frames of a file arrive before their time.
    fn is_live(&self) -> bool {
        self.now_ms().zip(self.greatest_ms).is_some_and(|(now, greatest)| now.saturating_add(LEAD_MS) >= greatest)
    }

    /// Handles the first words of an announced session, whose times may have started before it.
    fn meet_first_words(&mut self, message: &E::Message, span: Option<SpeechSpan<'_>>, out: &mut Decoded) {
        let of_streams = || {
            let spans = self.current.engine.spans(message).into_iter().map(|speech| speech.span);
            spans.filter(|span| self.can_be(span)).min_by(|left, right| left.start_ms.total_cmp(&right.start_ms))
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
            DecodeFaultKind::ClockRestarted,
            format!(
                "the clock of the new session may have begun before it: its times are counted so that its first words are \
                 at {at:.3} s"
            ),
        );
    }

    /// Returns the options of a session with the offset `offset_ms`. Times of day keep their meaning.
    fn options_at(&self, offset_ms: MediaMs, tag: Arc<str>) -> Options {
        let shift_ms = offset_ms.saturating_sub(self.base.offset_ms);
        let shifted = |at: Timestamp| Timestamp(at.0.saturating_add(shift_ms));
        Options { tag, offset_ms, wall_start: self.base.wall_start.map(shifted), ..self.base.clone() }
    }

    /// Replaces the current session by a new one with the offset `offset_ms`.
    fn replace(&mut self, name: Option<&str>, offset_ms: MediaMs, is_wall: bool) {
        self.is_anew = false;
        self.before_offset_ms = self.current.options.offset_ms;
        if let Some(start) = self.current.engine.wall_start() {
            let shift_ms = self.current.options.offset_ms.saturating_sub(self.base.offset_ms);
            self.base.wall_start = Some(Timestamp(start.0.saturating_sub(shift_ms)));
        }
        let tag = self.tag(name);
        let mut options = self.options_at(offset_ms, tag);
        // If times of day themselves fell, the first one is placed after the last words.
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

    /// Closes open lines as last shown. An interim line without a time, or at a wrong one, that the first words of the
    /// next session replace is retracted: it belonged to that session.
    fn finish(&mut self, next: Option<&SessionSign<'_>>, out: &mut Decoded) {
        let before = out.says.len();
        self.current.engine.end(out);
        self.take_note(before, out);
        let is_misplaced = self.is_misplaced;
        let is_replaced = |content: &Content| {
            (content.start_ms.is_none() || is_misplaced)
                && next.is_some_and(|sign| begins_as(&sign.text, &content.text))
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
                DecodeFaultKind::Odd,
                "a guess without a time, or at a wrong one, was taken for the first words of the session that begins",
            );
        }
    }

    /// Records the events from the index `before` on.
    fn take_note(&mut self, before: usize, out: &mut Decoded) {
        let mut left = Vec::new();
        for said in &out.says[before..] {
            match said {
                DecodedEvent::Lines(lines) => {
                    for line in lines {
                        self.greatest_ms = self.greatest_ms.max(line.content.start_ms).max(line.content.end_ms);
                        let is_open = line.content.status == Status::Interim && !line.content.text.is_empty();
                        left.extend(self.open.note(&line.id, is_open.then_some(&line.content)));
                    }
                }
                DecodedEvent::Retract { id } => drop(self.open.note(id, None)),
                DecodedEvent::Clock { media_ms } => self.greatest_ms = self.greatest_ms.max(Some(*media_ms)),
            }
        }
        if !left.is_empty() {
            out.fault(
                DecodeFaultKind::Odd,
                format!("more than {OPEN_MAX} lines are guesses: the oldest of them stand as they are"),
            );
            say_lines(left, out);
        }
    }

    fn reconnect(&mut self, elapsed_ms: MediaMs, out: &mut Decoded) {
        self.close(out);
        // A name that is used again belongs to the new session.
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

/// Returns the offset of an engine that started over and sends its first words at `span` of its own clock at `now_ms`,
/// so that they are placed there and not before the words until `until_ms`. If too little media time is left, as in a
/// feed that is reused after days, they are placed directly after the last words.
fn offset_at(now_ms: MediaMs, until_ms: MediaMs, span: &SpeechSpan<'_>, media_ms_max: MediaMs) -> MediaMs {
    let (start_ms, end_ms) = (span.start_ms as MediaMs, span.end_ms as MediaMs);
    let behind = until_ms.saturating_add(1);
    // A clock that started before the engine connected need not begin after the last words.
    let behind = if beyond_lead_ms(start_ms) > 0 { behind.saturating_sub(start_ms) } else { behind };
    let has_room = now_ms <= media_ms_max - media_ms_max / ROOM_PART;
    if has_room { now_ms.saturating_sub(end_ms).max(behind) } else { behind }
}

/// Reports that the engine of a new connection started over, and its placement.
fn tell_placed(at_ms: MediaMs, out: &mut Decoded) {
    let at = at_ms as f64 / 1000.0;
    out.fault(
        DecodeFaultKind::ClockRestarted,
        format!(
            "the times of this connection begin before what its source said already: the engine counts anew, and its times are \
             counted so that its first words are at {at:.3} s, the feed's present time or the end of what was said. offset_ms says where a session begins"
        ),
    );
}

/// Returns by how much first words begin later than a session whose clock started with it allows.
fn beyond_lead_ms(start_ms: MediaMs) -> MediaMs {
    start_ms.saturating_sub(LEAD_MS).max(0)
}

/// Decoder of a vendor that sends JSON.
pub(crate) struct JsonSessions<E>(Sessions<E>);

impl<E: EngineSession<Message = Value>> JsonSessions<E> {
    pub(crate) fn new(options: Options) -> Self {
        Self(Sessions::new(options))
    }
}

impl<E: EngineSession<Message = Value>> Dialect for JsonSessions<E> {
    fn decode(&mut self, frame: &[u8], out: &mut Decoded) {
        each_object(frame, out, |value, out| {
            let message = E::recorded_message(value).filter(|message| message.is_object()).unwrap_or(value);
            let is_foreign = shape::is_foreign(E::FORMAT, message);
            if !is_foreign && E::is_known(message) {
                self.0.read(message, out);
            } else if let Some(why) = engine_report(message).filter(|_| !is_foreign) {
                out.fault(DecodeFaultKind::Engine, format!("{} reports: {why}", E::FORMAT.vendor()));
            } else {
                out.fault(DecodeFaultKind::UnknownType, shape::unknown(E::FORMAT, message));
            }
        });
    }

    fn end(&mut self, out: &mut Decoded) {
        self.0.end(out);
    }

    fn stand_behind(&mut self, earlier: Box<dyn EarlierSpeech>) {
        self.0.stand_behind(earlier);
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

/// Decoder of a vendor that sends lines of text.
pub(crate) struct LineSessions<E> {
    cutter: LineCutter,
    lines: TextLines<E>,
}

/// Handling of consecutive lines of text.
struct TextLines<E> {
    json: JsonInText,
    hints: TextHints,
    sessions: Sessions<E>,
}

impl<E: EngineSession<Message = str>> TextLines<E> {
    fn take(&mut self, line: &str, out: &mut Decoded) {
        if self.json.is_empty() && !line.trim_start().starts_with('{') {
            return self.read(line, out);
        }
        let mut text = String::new();
        line.chars().chain(['\n']).for_each(|c| self.json.push(c, &mut text, out));
        self.read_all(&text, out);
    }

    /// Releases text held back as possible JSON, which will not continue.
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

impl<E: EngineSession<Message = str>> LineSessions<E> {
    pub(crate) fn new(options: Options) -> Self {
        let sessions = Sessions::new(options);
        let lines = TextLines { json: JsonInText::default(), hints: TextHints::default(), sessions };
        Self { cutter: LineCutter::default(), lines }
    }

    /// Ends the open line.
    fn end_line(&mut self, out: &mut Decoded) {
        self.cutter.end(out, |line, out| self.lines.take(line, out));
        self.lines.end(out);
    }
}

impl<E: EngineSession<Message = str>> Dialect for LineSessions<E> {
    fn decode(&mut self, frame: &[u8], out: &mut Decoded) {
        self.cutter.cut(frame, out, |line, out| self.lines.take(line, out));
        join_lines(out);
    }

    fn end(&mut self, out: &mut Decoded) {
        self.end_line(out);
        self.lines.sessions.end(out);
        join_lines(out);
    }

    fn stand_behind(&mut self, earlier: Box<dyn EarlierSpeech>) {
        self.lines.sessions.stand_behind(earlier);
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

/// Combines the lines of one frame into one record.
fn join_lines(out: &mut Decoded) {
    let mut joined: Vec<DecodedEvent> = Vec::new();
    for said in out.says.drain(..) {
        match (joined.last_mut(), said) {
            (Some(DecodedEvent::Lines(lines)), DecodedEvent::Lines(more)) => lines.extend(more),
            (_, said) => joined.push(said),
        }
    }
    out.says = joined;
}
