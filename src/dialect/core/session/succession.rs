//! Succession of sessions: one ends, its open lines are closed, and the next one begins with an offset and a tag of its own.

use std::sync::Arc;

use super::{
    EARLIER_MAX, EngineSession, IdScope, LEAD_MS, NAMES_MAX, OPEN_MAX, ROOM_PART, Session, Sessions, say_lines,
};
use crate::dialect::core::decoded::{DecodeFaultKind, Decoded, DecodedEvent};
use crate::dialect::core::line_match::begins_as;
use crate::dialect::core::lines_by_id::is_random;
use crate::dialect::core::options::Options;
use crate::dialect::core::session_clock::FAR_FALL_MS;
use crate::dialect::core::session_sign::{SessionSign, SpeechSpan};
use crate::dialect::core::token::short_name;
use crate::transcript::{Content, MediaMs, Status, Timestamp, Version};

impl<E: EngineSession> Sessions<E> {
    /// Sets the name of a session that has sent nothing so far.
    pub(super) fn adopt(&mut self, name: &str) {
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
    pub(super) fn tag(&mut self, name: Option<&str>) -> Arc<str> {
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

    pub(super) fn begin(&mut self, sign: &SessionSign<'_>, out: &mut Decoded) {
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
    pub(super) fn tell_begin(&self, span: Option<&SpeechSpan<'_>>, out: &mut Decoded) {
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
    pub(super) fn now_ms(&self) -> Option<MediaMs> {
        let passed = self.elapsed_ms?.saturating_sub(self.zero_ms?);
        Some(self.base.offset_ms.saturating_add(passed))
    }

    /// Returns the offset of a session that began at `by_clock`, after everything said before.
    pub(super) fn offset_behind(&self, by_clock: Option<MediaMs>) -> MediaMs {
        let behind = self.greatest_ms.map(|greatest| greatest.saturating_add(1));
        behind.max(by_clock).unwrap_or(self.base.offset_ms).max(self.base.offset_ms)
    }

    /// Returns the offset of a session whose first words are at `span`, after a session with the offset `before_ms`. If
    /// they begin late, the session's clock may have started before it. The words are then placed at their arrival, if
    /// speech arrives live; otherwise by the previous session's clock, if that is shortly after the last words;
    /// otherwise shortly after the last words.
    pub(super) fn offset_of(&self, span: &SpeechSpan<'_>, before_ms: MediaMs) -> MediaMs {
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
    pub(super) fn is_live(&self) -> bool {
        self.now_ms().zip(self.greatest_ms).is_some_and(|(now, greatest)| now.saturating_add(LEAD_MS) >= greatest)
    }

    /// Returns the options of a session with the offset `offset_ms`. Times of day keep their meaning.
    pub(super) fn options_at(&self, offset_ms: MediaMs, tag: Arc<str>) -> Options {
        let shift_ms = offset_ms.saturating_sub(self.base.offset_ms);
        let shifted = |at: Timestamp| Timestamp(at.0.saturating_add(shift_ms));
        Options { tag, offset_ms, wall_start: self.base.wall_start.map(shifted), ..self.base.clone() }
    }

    /// Replaces the current session by a new one with the offset `offset_ms`.
    pub(super) fn replace(&mut self, name: Option<&str>, offset_ms: MediaMs, is_wall: bool) {
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
    pub(super) fn finish(&mut self, next: Option<&SessionSign<'_>>, out: &mut Decoded) {
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
    pub(super) fn take_note(&mut self, before: usize, out: &mut Decoded) {
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

    pub(super) fn reconnect(&mut self, elapsed_ms: MediaMs, out: &mut Decoded) {
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

    pub(super) fn close(&mut self, out: &mut Decoded) {
        self.finish(None, out);
        self.is_anew = self.current.is_heard;
    }

    pub(super) fn due_ms(&mut self) -> Option<MediaMs> {
        let now_ms = self.elapsed_ms?;
        let sessions = self.earlier.iter_mut().chain([&mut self.current]);
        sessions.filter_map(|session| session.engine.due_ms(now_ms)).min()
    }

    pub(super) fn rest(&mut self, elapsed_ms: MediaMs, out: &mut Decoded) {
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

    pub(super) fn end(&mut self, out: &mut Decoded) {
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
pub(super) fn offset_at(now_ms: MediaMs, until_ms: MediaMs, span: &SpeechSpan<'_>, media_ms_max: MediaMs) -> MediaMs {
    let (start_ms, end_ms) = (span.start_ms as MediaMs, span.end_ms as MediaMs);
    let behind = until_ms.saturating_add(1);
    // A clock that started before the engine connected need not begin after the last words.
    let behind = if beyond_lead_ms(start_ms) > 0 { behind.saturating_sub(start_ms) } else { behind };
    let has_room = now_ms <= media_ms_max - media_ms_max / ROOM_PART;
    if has_room { now_ms.saturating_sub(end_ms).max(behind) } else { behind }
}

/// Reports that the engine of a new connection started over, and its placement.
pub(super) fn tell_placed(at_ms: MediaMs, out: &mut Decoded) {
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
pub(super) fn beyond_lead_ms(start_ms: MediaMs) -> MediaMs {
    start_ms.saturating_sub(LEAD_MS).max(0)
}
