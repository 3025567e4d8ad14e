//! Warnings of a session: what was accepted and deserves a look, each told once.

use crate::server::ingest::identity::PublisherIdentity;
use crate::server::ingest::media_clock::describe_word_times;
use crate::server::ingest::pipeline::{
    CONFLICTS_TOLD_MAX, FORESEEN_MAX, IngestPipeline, IngestWarning, MessageArrival, UNKNOWN_TOLD_MAX,
};
use crate::transcript::{Op, ReuseOutcome, ReusedId, RevisionConflict, Timestamp};
use crate::wire::publisher::UnknownField;
use crate::wire::{NackCode, Refusal, WarningCode};
use std::sync::Arc;

/// Describes the outcome for an id that already names a line, and the remedy.
pub(super) fn describe_reuse(reused: &ReusedId) -> String {
    let id = &reused.key.id;
    match &reused.outcome {
        ReuseOutcome::Beside(beside) => format!(
            "another session has a line {id}: this line is kept beside it, as {beside}. Further lines of this session \
             whose ids are taken are kept in the same way, without a warning; replaced lines are still reported. Use \
             new ids in each session. To change lines of earlier sessions, set corrects=true or keep their session"
        ),
        ReuseOutcome::Replaced => format!(
            "this session has replaced line {id}, which was final and last changed by another session. To publish a \
             separate line, use new ids in each session"
        ),
        ReuseOutcome::Overwritten { .. } => format!(
            "this session has replaced its final line {id} with another sentence, more than 10 s away; the server \
             takes that for a correction. Further lines replaced like this are not reported. If each run counts its \
             ids from the start, give each run its own session, or use new ids"
        ),
        ReuseOutcome::Overtaken { rev, head_rev } => format!(
            "line {id} has revision {head_rev}: the message for it with revision {rev} is stored but not shown, and \
             further ones like it are not reported. Give a change a rev above the line's, or none. If each run counts \
             its revisions from the start, give each run its own session"
        ),
        ReuseOutcome::NotTakenBack => format!(
            "line {id} belongs to another session and was not retracted. To change lines of earlier sessions, set \
             corrects=true or keep their session"
        ),
    }
}

impl IngestPipeline {
    /// Warns once that this source's lines are not shown, if another source is on air as far as the feed is folded.
    /// Returns true if it warned.
    pub(crate) fn warn_if_off_air(&mut self) -> bool {
        let source = &self.publisher.source;
        let holder = self.view.transcript().holder().cloned();
        let Some(holder) = holder.filter(|holder| holder != source && !self.is_off_air_told) else { return false };
        let message = format!(
            "the source {source} is not on air: its lines are stored but not shown. The source {holder} sent the \
             feed's first line and stays on air. Publish as source={holder}, or to another feed"
        );
        self.is_off_air_told = true;
        self.warn(WarningCode::NotOnAir, message);
        true
    }

    /// Warns of numbers that are missing before the first one received: a publisher whose messages were acknowledged
    /// has to resend them.
    pub(crate) fn warn_if_gap(&mut self) {
        let Some((last, first)) = self.sequence.take_gap() else { return };
        let PublisherIdentity { source, session, .. } = &self.publisher;
        let place = (self.feed.log_id().clone(), source.clone(), session.clone());
        if !self.service.seq_gaps.is_untold(place, last, first) {
            return;
        }
        tracing::warn!(feed = %self.feed.name(), %source, %session, last, first, "the numbers of a session have a gap");
        let message = format!(
            "the first message has seq {first}, but the last stored message of this session has seq {last}. If \
             messages between them were acknowledged, the archive was restored to an earlier state: send everything \
             above seq {last} again, in a new session. If they were refused or never sent, nothing is wrong"
        );
        self.warn(WarningCode::SeqGap, message);
    }

    /// Reports once that times were left out, naming one line.
    pub(super) fn tell_left_out_times(&mut self, told: Option<(String, Arc<str>)>) {
        if let Some((why, id)) = told
            && !std::mem::replace(&mut self.are_left_out_times_told, true)
        {
            let message = format!("{why}. Such times are left out, and their lines are placed where they arrive");
            self.warnings.push(IngestWarning { code: WarningCode::Format, message, line: Some((id, None)) });
        }
    }

    /// Warns of an unknown field: once per field, and only of the first few. `parameters` are those of the query.
    pub(crate) fn warn_of_unknown(&mut self, field: UnknownField, parameters: &[&'static str]) {
        if self.unknown_told.len() < UNKNOWN_TOLD_MAX && !self.unknown_told.contains(&field) {
            self.warn(WarningCode::UnknownField, field.describe(parameters));
            self.unknown_told.insert(field);
        }
    }

    /// Predicts the reports about ids that the feed would make if `op` were published now, without those that need no
    /// second warning. Exact only if everything that this publisher sent before is folded and nobody else writes these
    /// lines.
    pub(crate) fn foresee_reuse(&self, op: &Op, at: Timestamp) -> Vec<ReusedId> {
        let by = self.publisher.published(0);
        let transcript = self.view.transcript();
        let foreseen: Vec<ReusedId> = match op {
            Op::Line { lines, .. } => lines.iter().filter_map(|line| transcript.foresee_reuse(&by, line, at)).collect(),
            Op::Retract { id, rev, .. } => transcript.foresee_retraction(&by, id, *rev).into_iter().collect(),
            _ => Vec::new(),
        };
        let is_told = |reused: &ReusedId| self.is_beside_told && matches!(reused.outcome, ReuseOutcome::Beside(_));
        foreseen.into_iter().filter(|reused| !is_told(reused)).collect()
    }

    /// Queues warnings for predicted reports, before the lines are acknowledged. Returns the refusal of a retraction.
    pub(crate) fn tell_foreseen(&mut self, foreseen: Vec<ReusedId>) -> Result<(), Refusal> {
        for reused in foreseen {
            match reused.outcome {
                ReuseOutcome::NotTakenBack => {
                    self.counters.reused_ids.inc();
                    return Err(Refusal::new(NackCode::IdReused, "id", describe_reuse(&reused)));
                }
                ReuseOutcome::Replaced => {
                    if self.foreseen.len() == FORESEEN_MAX {
                        self.foreseen.clear();
                    }
                    self.foreseen.insert(reused.key.id.clone());
                    self.warn_of_reuse(&reused);
                }
                ReuseOutcome::Beside(_) | ReuseOutcome::Overwritten { .. } | ReuseOutcome::Overtaken { .. } => {
                    self.warn_of_reuse(&reused);
                }
            }
        }
        Ok(())
    }

    /// Counts the session's reused ids since the last call, and warns of those that were not predicted.
    pub(crate) fn note_reused_ids(&mut self) {
        if self.view.last_reused() == self.reused_seen {
            return;
        }
        let PublisherIdentity { source, session, .. } = &self.publisher;
        let news = self.view.reuse_news((source, session), self.reused_seen);
        self.reused_seen = news.last;
        for reused in news.reports {
            let is_other_line = !matches!(reused.outcome, ReuseOutcome::Overtaken { .. });
            self.counters.reused_ids.inc_by(u64::from(is_other_line));
            let is_replaced = reused.outcome == ReuseOutcome::Replaced;
            self.replaced_heard += u64::from(is_replaced);
            if !(is_replaced && self.foreseen.remove(&reused.key.id)) {
                self.warn_of_reuse(&reused);
            }
        }
        let unheard = news.replaced.saturating_sub(self.replaced_before + self.replaced_heard);
        self.replaced_heard += unheard;
        self.counters.reused_ids.inc_by(unheard);
        let untold = unheard.saturating_sub(self.foreseen.len() as u64);
        if untold > 0 {
            let message = format!(
                "{untold} more lines, final and last changed by other sessions, were replaced by this session: too \
                 many at once to name each"
            );
            self.warn(WarningCode::LineReplaced, message);
        }
    }

    /// Warns of an id that names a line already. Warns only once of lines stored beside others, of the session's own
    /// overwritten lines, and of revisions that are too low.
    pub(super) fn warn_of_reuse(&mut self, reused: &ReusedId) {
        let (code, id) = match &reused.outcome {
            // One line without a time may be corrected late and completely; two of them hardly ever are.
            ReuseOutcome::Overwritten { is_timed: false } if self.overwritten.is_none() => {
                self.overwritten = Some(reused.key.id.clone());
                return;
            }
            ReuseOutcome::Overwritten { is_timed: false } if self.overwritten.as_ref() == Some(&reused.key.id) => {
                return;
            }
            ReuseOutcome::Overwritten { .. } if std::mem::replace(&mut self.is_overwriting_told, true) => return,
            ReuseOutcome::Overwritten { .. } => (WarningCode::OwnLineReplaced, &reused.key.id),
            ReuseOutcome::Overtaken { .. } if std::mem::replace(&mut self.is_stale_told, true) => return,
            ReuseOutcome::Overtaken { .. } => (WarningCode::StaleRev, &reused.key.id),
            ReuseOutcome::Beside(_) if std::mem::replace(&mut self.is_beside_told, true) => return,
            ReuseOutcome::Beside(id) => (WarningCode::IdReused, id),
            ReuseOutcome::NotTakenBack => (WarningCode::IdReused, &reused.key.id),
            ReuseOutcome::Replaced => (WarningCode::LineReplaced, &reused.key.id),
        };
        let rev = if let ReuseOutcome::Overtaken { rev, .. } = reused.outcome { Some(rev) } else { None };
        let line = Some((id.clone(), rev));
        self.warnings.push(IngestWarning { code, message: describe_reuse(reused), line });
    }

    /// Warns of predicted reports for a message of a request; returns the refusal of a retraction. Skipped if the batch
    /// contains a version of the same line: that is not folded yet, and the fold will report it before the answer.
    pub(crate) fn tell_reuse_in_request(&mut self, op: &Op, at: Timestamp) -> Result<(), Refusal> {
        let id = match op {
            Op::Line { lines, .. } => lines.first().map(|line| &line.id),
            Op::Retract { id, .. } => Some(id),
            _ => None,
        };
        let says_so = |op: &Op| matches!(op, Op::Line { lines, .. } if lines.iter().any(|line| Some(&line.id) == id));
        if self.batch.records.iter().any(|record| says_so(&record.op)) {
            return Ok(());
        }
        self.tell_foreseen(self.foresee_reuse(op, at))
    }

    /// Warns of a retraction of an unknown line. A retraction with a revision may arrive before its line.
    pub(crate) fn warn_of_missing_line(&mut self, id: &Arc<str>) {
        let source = &self.publisher.source;
        let message = format!("there is no line {source}/{id}: nothing was retracted; check the id");
        let line = Some((id.clone(), None));
        self.warnings.push(IngestWarning { code: WarningCode::NoSuchLine, message, line });
    }

    /// Queues a warning for the caller to send to the publisher.
    pub(crate) fn warn(&mut self, code: WarningCode, message: String) {
        self.warnings.push(IngestWarning { code, message, line: None });
    }

    /// Checks the times of admitted lines in our own format.
    pub(crate) fn watch_times(&mut self, op: &Op, came: MessageArrival) {
        let Op::Line { lines, .. } = op else { return };
        for line in lines {
            if !self.are_words_told
                && let Some(message) = describe_word_times(&line.content)
            {
                self.are_words_told = true;
                let line = Some((line.id.clone(), line.rev));
                self.warnings.push(IngestWarning { code: WarningCode::MediaTime, message, line });
            }
            let Some(start_ms) = line.content.start_ms else { continue };
            let is_new = || self.view.transcript().begins_line(&self.publisher.published(0), line, came.at);
            if let Some((code, message)) = self.media_clock.line(start_ms, came.since, is_new) {
                self.warnings.push(IngestWarning { code, message, line: Some((line.id.clone(), line.rev)) });
            }
        }
    }

    /// Warns of revisions that the session sent with two contents, as far as the feed is folded; once for each.
    pub(crate) fn note_conflicts(&mut self) {
        if self.view.last_conflict() == self.conflicts_seen {
            return;
        }
        let PublisherIdentity { source, session, .. } = &self.publisher;
        let (last, conflicts) = self.view.conflicts_of((source, session), self.conflicts_seen);
        self.conflicts_seen = last;
        for RevisionConflict { key, rev, .. } in conflicts {
            if self.conflicts_told.len() == CONFLICTS_TOLD_MAX {
                self.conflicts_told.clear();
            }
            if !self.conflicts_told.insert((key.id.clone(), rev)) {
                continue;
            }
            let id = key.id;
            let message = format!(
                "revision {rev} of line {id} was sent with two contents: give a correction a higher rev, or none"
            );
            let line = Some((id, Some(rev)));
            self.warnings.push(IngestWarning { code: WarningCode::Conflict, message, line });
        }
    }
}
