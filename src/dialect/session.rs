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

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::json::{each_object, engine_report, on_axis};
use super::lines::Lines;
use super::shape;
use super::text::LineCutter;
use super::token::short_name;
use super::{Decoded, Dialect, FaultKind, Format, Options, Said};
use crate::transcript::{Content, MediaMs, Status, Timestamp, Version};

/// Streams (channels, participants) of a session whose times are watched. Those beyond are read, but their times may fall
/// without a word.
const STREAMS_MAX: usize = 256;
/// Earlier sessions that have a name and may still speak: two programs that write to one socket take turns.
const EARLIER_MAX: usize = 4;
/// Names of sessions that are remembered, so that one that comes again is told from the first.
const NAMES_MAX: usize = 256;
/// A time that falls back to the very start of the session is a new session from so much on: less is a first line that is
/// said again.
const BACK_TO_START_MS: f64 = 1_000.0;
/// A time that falls to less than [`NEAR_ZERO_MS`] is a new session if it falls by so much. The latest finals that were
/// seen come after less than that.
const FALL_MS: f64 = 10_000.0;
/// The first seconds of a session.
const NEAR_ZERO_MS: f64 = 3_000.0;
/// A time that falls to less than a third of what was reached is a new session if it falls by so much (Amazon Transcribe's
/// finals come up to 30 s late).
const FAR_FALL_MS: f64 = 30_000.0;

/// A line that is known, with its start moved by more than this, is another line under its id: vendors correct the start
/// of what they say by less.
const MOVED_MS: MediaMs = 2_000;

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
#[derive(Debug, Clone, Copy, Default, PartialEq)]
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
    /// Its id is that of a line that stands at another time.
    pub(super) reuses_id: bool,
    /// What it says, for formats whose guesses have no times.
    pub(super) text: &'a str,
}

/// The decoder of one session of one vendor.
pub(super) trait Engine: Send {
    /// The format.
    const FORMAT: Format;
    /// The scope of its ids.
    const IDS: IdScope = IdScope::Connection;
    /// A message: a JSON value, or a line.
    type Message: ?Sized;

    /// Begins a session.
    fn new(options: Options) -> Self;

    /// What a message tells of its session.
    fn sign<'a>(&self, message: &'a Self::Message) -> SessionSign<'a>;

    /// Reads a message.
    fn read(&mut self, message: &Self::Message, out: &mut Decoded);

    /// Nothing follows: what is settled becomes final. A guess stays one.
    fn end(&mut self, _: &mut Decoded) {}
}

/// How far a stream has come.
#[derive(Debug, Clone, Copy)]
struct Reach {
    first_ms: f64,
    latest_ms: f64,
}

impl Reach {
    fn falls_to(self, span: &Span<'_>) -> bool {
        let (start, back) = (span.start_ms, self.latest_ms - span.start_ms);
        let is_at_start = (start - self.first_ms).abs() <= 1.0;
        is_at_start && back >= BACK_TO_START_MS
            || start < NEAR_ZERO_MS && back > FALL_MS
            || back > FAR_FALL_MS && (start < self.latest_ms / 3.0 || span.is_wall && start < self.first_ms)
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
    /// What its ids begin with, where the vendor's own may be those of a session before.
    id_prefix: Option<Arc<str>>,
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
            id_prefix: None,
        }
    }

    fn reach(&self, span: &Span<'_>) -> Option<Reach> {
        self.reached.get(&(span.stream.0, span.stream.1.into())).copied()
    }

    fn falls(&self, sign: &SessionSign<'_>) -> bool {
        sign.span.is_some_and(|span| self.reach(&span).is_some_and(|reach| reach.falls_to(&span)))
    }

    /// Whether a message is behind what came before it.
    fn goes_on(&self, sign: &SessionSign<'_>) -> bool {
        sign.span.is_some_and(|span| self.reach(&span).is_some_and(|reach| span.start_ms >= reach.latest_ms))
    }

    fn note(&mut self, sign: &SessionSign<'_>) {
        self.is_heard |= sign.says;
        self.is_over = self.is_heard && sign.ends || self.is_over && !sign.says;
        let Some(span) = sign.span else { return };
        let key = (span.stream.0, span.stream.1.into());
        if self.reached.len() >= STREAMS_MAX && !self.reached.contains_key(&key) {
            return;
        }
        let first = Reach { first_ms: span.start_ms, latest_ms: span.start_ms };
        let reach = self.reached.entry(key).or_insert(first);
        reach.first_ms = reach.first_ms.min(span.start_ms);
        reach.latest_ms = reach.latest_ms.max(span.start_ms);
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
    /// Lines that are guesses.
    open: BTreeMap<Arc<str>, Content>,
    /// The vendor was connected to anew.
    is_anew: bool,
}

impl<E: Engine> Sessions<E> {
    fn new(options: Options) -> Self {
        Self {
            current: Session::new(options.clone()),
            base: options,
            earlier: VecDeque::new(),
            count: 1,
            tags: VecDeque::new(),
            greatest_ms: None,
            elapsed_ms: None,
            zero_ms: None,
            open: BTreeMap::new(),
            is_anew: false,
        }
    }

    fn read(&mut self, message: &E::Message, out: &mut Decoded) {
        let sign = self.current.engine.sign(message);
        if let Some(at) = self.earlier_named(&sign) {
            // Not of the session that speaks now: what it says is still its own.
            let mut session = self.earlier.remove(at).expect("it was found there");
            session.note(&session.engine.sign(message));
            let before = out.says.len();
            session.engine.read(message, out);
            self.take_note(session.id_prefix.as_deref(), before, out);
            self.earlier.push_back(session);
            return;
        }
        if self.is_new(&sign) {
            self.begin(&sign, out);
        } else if let Some(name) = sign.name {
            self.adopt(name);
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
        let before = out.says.len();
        self.current.engine.read(message, out);
        let prefix = self.current.id_prefix.clone();
        self.take_note(prefix.as_deref(), before, out);
    }

    fn earlier_named(&self, sign: &SessionSign<'_>) -> Option<usize> {
        let name = sign.name.filter(|name| !sign.begins && self.current.name.as_deref() != Some(*name))?;
        self.earlier.iter().rposition(|session| session.name.as_deref() == Some(name))
    }

    fn is_new(&self, sign: &SessionSign<'_>) -> bool {
        let current = &self.current;
        let is_another = sign.name.zip(current.name.as_deref()).is_some_and(|(name, known)| name != known);
        if !current.is_heard || !sign.says {
            return current.is_heard && (sign.begins || is_another);
        }
        if E::IDS == IdScope::Always {
            // Some of these vendors count from the start of the meeting, whoever connects to it when.
            return sign.begins || is_another || current.falls(sign);
        }
        let goes_on = current.goes_on(sign);
        let is_same = sign.name.is_some() && !is_another;
        sign.begins
            || is_another
            || self.is_anew
            || current.is_over && !(is_same && goes_on)
            || sign.reuses_id && !goes_on
            || current.falls(sign)
    }

    /// The session that has said nothing so far is called so.
    fn adopt(&mut self, name: &str) {
        if self.current.name.as_deref() == Some(name) {
            return;
        }
        if E::IDS == IdScope::Session && !self.current.is_heard {
            let options = Options { tag: self.tag(Some(name)), ..self.current.options.clone() };
            let id_prefix = self.current.id_prefix.clone();
            self.current = Session { id_prefix, ..Session::new(options) };
        }
        self.current.name = Some(name.into());
    }

    /// What ids and labels of a session begin with.
    fn tag(&mut self, name: Option<&str>) -> Arc<str> {
        let numbered =
            || if self.count == 1 { self.base.tag.clone() } else { format!("{}.{}", self.base.tag, self.count).into() };
        let Some(name) = name.filter(|_| E::IDS == IdScope::Session) else { return numbered() };
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
        let heard_ms = span.map_or(0, |span| span.end_ms as MediaMs);
        let now = self.elapsed_ms.zip(self.zero_ms).map(|(elapsed, zero)| elapsed.saturating_sub(zero));
        let by_clock = now.map(|now| self.base.offset_ms.saturating_add(now).saturating_sub(heard_ms));
        let is_wall = sign.span.is_some_and(|span| span.is_wall);
        self.replace(sign.name, by_clock, is_wall, out);
        self.current.id_prefix = (E::IDS == IdScope::Always && (sign.begins || sign.name.is_some()))
            .then(|| self.current.options.tag.clone());
    }

    /// Puts a new session in the place of the current one. By the clock of who reads it its times begin at `by_clock`;
    /// they do not begin before what was said.
    fn replace(&mut self, name: Option<&str>, by_clock: Option<MediaMs>, is_wall: bool, out: &mut Decoded) {
        self.is_anew = false;
        let behind = self.greatest_ms.map(|greatest| greatest.saturating_add(1));
        let offset_ms = behind.max(by_clock).unwrap_or(self.base.offset_ms).max(self.base.offset_ms);
        let shift_ms = offset_ms.saturating_sub(self.base.offset_ms);
        // Times of day are what they were; where they themselves fell the first one stands behind what was said.
        let shifted = |at: Timestamp| Timestamp(at.0.saturating_add(shift_ms));
        let wall_start = self.base.wall_start.filter(|_| !is_wall).map(shifted);
        let options = Options { tag: self.tag(name), offset_ms, wall_start, ..self.base.clone() };
        let before = std::mem::replace(&mut self.current, Session::new(options));
        self.current.name = name.map(Into::into);
        if before.name.is_some() {
            self.earlier.push_back(before);
            if self.earlier.len() > EARLIER_MAX {
                self.earlier.pop_front();
            }
        }
        let at = offset_ms as f64 / 1000.0;
        out.fault(
            FaultKind::Odd,
            format!(
                "a new session of the engine begins: its lines and its numbered speakers are new ones, and its times are \
                 counted from {at:.3} s on"
            ),
        );
    }

    /// What is open stands as it is. A guess without a time that the first words of the session which begins replace is
    /// gone: it was that session's.
    fn finish(&mut self, next: Option<&SessionSign<'_>>, out: &mut Decoded) {
        let before = out.says.len();
        self.current.engine.end(out);
        let prefix = self.current.id_prefix.clone();
        self.take_note(prefix.as_deref(), before, out);
        let is_replaced = |content: &Content| {
            content.start_ms.is_none() && next.is_some_and(|sign| share_a_word(&content.text, sign.text))
        };
        let stands = |(id, content): (Arc<str>, Content)| {
            let content = if is_replaced(&content) {
                Content { status: Status::Interim, ..Content::default() }
            } else {
                Content { status: Status::Final, ..content }
            };
            Version { id, content, ..Version::default() }
        };
        let lines: Vec<Version> = std::mem::take(&mut self.open).into_iter().map(stands).collect();
        if !lines.is_empty() {
            out.says.push(Said::Lines(lines));
        }
    }

    /// Remembers what was said from the place `before` on, and gives its ids their prefix.
    fn take_note(&mut self, id_prefix: Option<&str>, before: usize, out: &mut Decoded) {
        let prefixed = |id: &Arc<str>| id_prefix.map_or_else(|| id.clone(), |prefix| format!("{prefix}-{id}").into());
        for said in &mut out.says[before..] {
            match said {
                Said::Lines(lines) => {
                    for line in lines {
                        line.id = prefixed(&line.id);
                        self.greatest_ms = self.greatest_ms.max(line.content.start_ms).max(line.content.end_ms);
                        if line.content.status == Status::Interim && !line.content.text.is_empty() {
                            self.open.insert(line.id.clone(), line.content.clone());
                        } else {
                            self.open.remove(&line.id);
                        }
                    }
                }
                Said::Retract { id } => {
                    *id = prefixed(id);
                    self.open.remove(id);
                }
                Said::Clock { media_ms } => self.greatest_ms = self.greatest_ms.max(Some(*media_ms)),
            }
        }
    }

    fn reconnect(&mut self, elapsed_ms: MediaMs, out: &mut Decoded) {
        self.close(out);
        // A name that comes again is that of the new session.
        self.earlier.clear();
        self.is_anew = false;
        if E::IDS == IdScope::Always {
            return;
        }
        let by_clock = self.base.offset_ms.saturating_add(elapsed_ms);
        if self.current.is_heard {
            self.count += 1;
            self.current.name = None;
            self.replace(None, Some(by_clock), false, out);
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

    fn end(&mut self, out: &mut Decoded) {
        let before = out.says.len();
        self.current.engine.end(out);
        let prefix = self.current.id_prefix.clone();
        self.take_note(prefix.as_deref(), before, out);
        for mut session in std::mem::take(&mut self.earlier) {
            let before = out.says.len();
            session.engine.end(out);
            self.take_note(session.id_prefix.as_deref(), before, out);
        }
    }
}

/// The words of a text, without marks and capitals.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Whether two texts have a word in common.
fn share_a_word(left: &str, right: &str) -> bool {
    let left = words(left);
    words(right).iter().any(|word| left.contains(word))
}

/// Whether a message that names a line, `newer` lines after it, speaks of another one: vendors that number their lines in
/// each session say a line again to give it marks and capitals, soon after it and at its place.
pub(super) fn is_another_line(known: &Lines, newer: u64, text: &str, start_ms: Option<MediaMs>) -> bool {
    let moved = known.start_ms().zip(start_ms).is_some_and(|(known, start)| (known - start).abs() > MOVED_MS);
    let text = text.trim();
    moved
        || newer == 1 && !text.is_empty() && !share_a_word(&known.text(), text)
        || newer > 1 && !text.is_empty() && words(&known.text()) != words(text)
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
            if shape::is_known(E::FORMAT, message) {
                self.0.read(message, out);
            } else if let Some(why) = engine_report(message).filter(|_| !shape::is_foreign(E::FORMAT, message)) {
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
    sessions: Sessions<E>,
}

impl<E: Engine<Message = str>> LineSessions<E> {
    pub(super) fn new(options: Options) -> Self {
        Self { cutter: LineCutter::default(), sessions: Sessions::new(options) }
    }

    fn line(sessions: &mut Sessions<E>, line: &str, out: &mut Decoded) {
        match shape::foreign_line(line) {
            Some(why) => out.fault(FaultKind::UnknownType, why),
            None => sessions.read(line, out),
        }
    }
}

impl<E: Engine<Message = str>> Dialect for LineSessions<E> {
    fn decode(&mut self, frame: &[u8], out: &mut Decoded) {
        self.cutter.cut(frame, out, |line, out| Self::line(&mut self.sessions, line, out));
        join_lines(out);
    }

    fn end(&mut self, out: &mut Decoded) {
        self.cutter.end(out, |line, out| Self::line(&mut self.sessions, line, out));
        self.sessions.end(out);
        join_lines(out);
    }

    fn elapsed(&mut self, elapsed_ms: MediaMs) {
        self.sessions.elapsed_ms = Some(elapsed_ms);
    }

    fn close_session(&mut self, out: &mut Decoded) {
        self.cutter.end(out, |line, out| Self::line(&mut self.sessions, line, out));
        self.sessions.close(out);
        join_lines(out);
    }

    fn reconnect(&mut self, elapsed_ms: MediaMs, out: &mut Decoded) {
        self.cutter.end(out, |line, out| Self::line(&mut self.sessions, line, out));
        self.sessions.reconnect(elapsed_ms, out);
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
        let seconds = 1_000.0;
        for (first, latest, start, falls) in [
            // To the first time of the session.
            (0.3, 2.1, 0.3, true),
            (12.0, 13.0, 12.0, true),
            // A first line that is said again.
            (0.3, 0.9, 0.3, false),
            // Close to zero, by more than ten seconds.
            (0.4, 62.5, 0.5, true),
            (5.0, 14.0, 2.0, true),
            (5.0, 11.0, 2.0, false),
            // Far, and by far.
            (0.3, 300.0, 90.0, true),
            (0.3, 40.0, 5.0, true),
            (0.3, 300.0, 110.0, false),
            (0.3, 33.0, 10.0, false),
            // Late lines.
            (0.3, 300.0, 292.0, false),
            (2.0, 2.5, 1.5, false),
            // On.
            (0.3, 2.1, 2.1, false),
            (0.3, 2.1, 500.0, false),
        ] {
            let reach = Reach { first_ms: first * seconds, latest_ms: latest * seconds };
            let span = Span::new(Some(start * seconds), None).expect("a span");
            assert_eq!(reach.falls_to(&span), falls, "{first} to {latest}, then {start}");
        }
    }
}
