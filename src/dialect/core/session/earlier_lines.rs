//! First words of a connection, compared with what its source said on earlier connections.

use std::sync::Arc;

use super::succession::{beyond_lead_ms, offset_at, tell_placed};
use super::{EarlierState, EngineSession, IdScope, LEAD_MS, LOOKS_MAX, SAID_BEFORE, Sessions};
use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::earlier_speech::{EarlierLines, EarlierSpeech, FirstWords};
use crate::dialect::core::session_sign::{SessionSign, SpeechSpan};
use crate::transcript::MediaMs;

impl<E: EngineSession> Sessions<E> {
    pub(super) fn stand_behind(&mut self, speech: Box<dyn EarlierSpeech>) {
        let lines = EarlierLines::new(speech.lines());
        self.greatest_ms = lines.as_ref().map(|lines| lines.until_ms);
        self.earlier_speech = lines.map(|lines| EarlierState { speech, lines, is_told: false, looks_left: LOOKS_MAX });
    }

    /// Places the connection by its first words, if the source has earlier lines: an engine that started over continues
    /// at the feed's present time.
    pub(super) fn meet_earlier_speech(&mut self, message: &E::Message, sign: &SessionSign<'_>, out: &mut Decoded) {
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
    pub(super) fn tell_step_back(&mut self, out: &mut Decoded) {
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
    pub(super) fn tell_said_over(&mut self, out: &mut Decoded) {
        if !std::mem::replace(&mut self.current.is_back_told, true) {
            out.fault(
                DecodeFaultKind::ClockRestarted,
                "the engine says something else where it settled words already: it stands there too, as said over others. If the \
                 engine was started again, connect anew for each of its sessions, with offset_ms",
            );
        }
    }

    /// Handles the first words of an announced session, whose times may have started before it.
    pub(super) fn meet_first_words(&mut self, message: &E::Message, span: Option<SpeechSpan<'_>>, out: &mut Decoded) {
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
}
