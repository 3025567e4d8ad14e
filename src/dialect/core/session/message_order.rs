//! Order of the messages of a connection: which session each belongs to, and when another session begins because the engine
//! has restarted.

use super::succession::{beyond_lead_ms, offset_at};
use super::{EarlierState, EngineSession, SAID_BEFORE, Sessions};
use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::earlier_speech::FirstWords;
use crate::dialect::core::json::on_axis;
use crate::dialect::core::session_clock::{ClockShift, FALL_MS, FAR_FALL_MS};
use crate::dialect::core::session_sign::{MoreSpeech, SessionSign, SpeechSpan};
use crate::transcript::MediaMs;

impl<E: EngineSession> Sessions<E> {
    pub(super) fn read(&mut self, message: &E::Message, out: &mut Decoded) {
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
    pub(super) fn can_be(&self, span: &SpeechSpan<'_>) -> bool {
        span.is_wall || span.end_ms + self.base.offset_ms.min(0) as f64 <= self.base.media_ms_max as f64
    }

    /// Returns the sign of a message for `engine`, without invalid times.
    pub(super) fn sign_of<'a>(&self, engine: &E, message: &'a E::Message) -> SessionSign<'a> {
        let mut sign = engine.sign(message);
        sign.span.take_if(|span| !self.can_be(span));
        sign.more.retain(|more| self.can_be(&more.span));
        sign
    }

    /// Records the progress of the streams in a message. A stream whose times fall has restarted its clock; the others
    /// continue.
    pub(super) fn note_streams(&mut self, message: &E::Message, out: &mut Decoded) {
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
    pub(super) fn begin_stream(&mut self, stream: &str, offset_ms: MediaMs, out: &mut Decoded) {
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
    pub(super) fn is_said_again(&mut self, span: &SpeechSpan<'_>, sign: &SessionSign<'_>, out: &mut Decoded) -> bool {
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
    pub(super) fn fallen_offset(&self, span: &SpeechSpan<'_>, step: ClockShift, latest_ms: f64) -> Option<MediaMs> {
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

    pub(super) fn earlier_named(&self, sign: &SessionSign<'_>) -> Option<usize> {
        let is_of = |name: &str| self.earlier.iter().rposition(|session| session.name.as_deref() == Some(name));
        let is_current = |name: &str| self.current.name.as_deref() == Some(name);
        sign.name.filter(|name| !sign.begins && !is_current(name)).and_then(is_of)
    }

    pub(super) fn is_new(&self, sign: &SessionSign<'_>, step: ClockShift) -> bool {
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
    pub(super) fn has_guess_without_time(&self) -> bool {
        self.open.guesses.iter().any(|(_, content)| content.start_ms.is_none())
    }
}
