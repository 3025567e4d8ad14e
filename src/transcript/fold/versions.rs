//! Takes versions of lines: finds the line that each belongs to, and whether it is shown.

use crate::transcript::assembly::SlotIndex;
use crate::transcript::fold::changes::{ApplyOutcome, RevisionConflict};
use crate::transcript::fold::memberships::{LineTarget, Sender};
use crate::transcript::fold::{ChangeStamp, FoldHead, LineEntry, MediaMoment, Transcript};
use crate::transcript::line::{Comparison, Status, TimeSource, Version, VersionState, sent_id};
use crate::transcript::order::compare_ids;
use crate::transcript::time::{MediaMs, Timestamp};
use std::cmp::Ordering;
use std::sync::Arc;

impl Transcript {
    pub(super) fn take_version(
        &mut self,
        source: u32,
        version: Version,
        (sender, at): (Sender<'_>, Timestamp),
        applied: &mut ApplyOutcome,
    ) {
        let Version { id, rev, arrival_ms, time_source, content } = version;
        let (start_ms, end_ms) = (content.start_ms, content.end_ms);
        let arrival = arrival_ms.map(|ms| (ms, time_source.unwrap_or(TimeSource::Arrival)));
        let arrival = arrival.unwrap_or_else(|| (self.since_opening(at), TimeSource::Arrival));
        let said = VersionState::Content(content);
        let taken = self.take_said((source, &id), rev, said, Some((arrival, start_ms)), (sender, at), applied);
        let Some((slot, is_head)) = taken else { return };
        if is_head {
            self.last_line_at = self.last_line_at.max(Some(at));
        }
        let (start, end) = self.lines[slot as usize].times(start_ms, end_ms);
        if start_ms.is_none() && self.lines[slot as usize].arrival.1 == TimeSource::Arrival {
            let arrived_ms = &mut self.sources[source as usize].arrived_ms;
            *arrived_ms = (*arrived_ms).max(Some(start));
        }
        // An arrival time says nothing about the event's own clock.
        let is_given = start_ms.is_some();
        self.reach_time(source, end.unwrap_or(start), is_given, at);
    }

    /// Applies a version (with its arrival time and start) or a retraction. Returns its line, and whether it has just
    /// become the head; `None` for a retraction of a line that does not belong to the sender.
    pub(super) fn take_said(
        &mut self,
        (source, id): (u32, &Arc<str>),
        rev: Option<u64>,
        said: VersionState,
        times: Option<((MediaMs, TimeSource), Option<MediaMs>)>,
        (sender, at): (Sender<'_>, Timestamp),
        applied: &mut ApplyOutcome,
    ) -> Option<(SlotIndex, bool)> {
        let Some(&base) = self.sources[source as usize].slots.get(id) else {
            return Some((self.begin_line((source, id.clone()), rev, said, times, (sender, at)), true));
        };
        let start_ms = times.map(|((arrival_ms, _), start_ms)| start_ms.unwrap_or(arrival_ms));
        let (slot, is_member) = match self.destination(base, sender, (rev, &said), start_ms, &mut applied.reused) {
            LineTarget::Line(slot) => (slot, true),
            LineTarget::Stranger(slot) => (slot, false),
            LineTarget::Repeat(slot) => return Some((slot, false)),
            LineTarget::Beside(id) => {
                let slot = self.begin_line((source, id), rev, said, times, (sender, at));
                self.note_beside(sender, base, slot);
                return Some((slot, true));
            }
            LineTarget::Nowhere => return None,
        };
        let (rev, Comparison { order, conflict }) = self.lines[slot as usize].head.compare(rev, &said);
        let reported = match order {
            Ordering::Greater => {
                self.replacement(slot, sender, &said).or_else(|| self.overwriting(slot, sender, &said, start_ms))
            }
            Ordering::Less if !conflict => self.overtaken(slot, sender, rev, &said),
            _ => None,
        };
        applied.reused.extend(reported);
        let line = &mut self.lines[slot as usize];
        if order.is_ne() {
            line.keep_in_history(&said);
        }
        if order.is_gt() {
            let head = FoldHead { rev, said, received_at: at, abandoned: false };
            let before = std::mem::replace(&mut line.head, head);
            self.new_heads.push((slot, Some(before)));
        }
        if conflict {
            let session = sender.by.map(|by| by.session.clone());
            applied.conflicts.push(RevisionConflict { key: self.key(slot), rev, session });
        }
        if is_member {
            self.note_member(sender, base, slot, order.is_gt());
        }
        Some((slot, order.is_gt()))
    }

    pub(super) fn begin_line(
        &mut self,
        (source, id): (u32, Arc<str>),
        rev: Option<u64>,
        said: VersionState,
        times: Option<((MediaMs, TimeSource), Option<MediaMs>)>,
        (sender, at): (Sender<'_>, Timestamp),
    ) -> SlotIndex {
        let arrival = times.map_or_else(|| (self.since_opening(at), TimeSource::Arrival), |(arrival, _)| arrival);
        let slot = SlotIndex::try_from(self.lines.len()).expect("fewer than four billion lines fit in memory");
        let known = &mut self.sources[source as usize];
        if let Some(sent) = sent_id(&id) {
            known.beside.entry(sent.into()).or_default().push(slot);
        } else if known.last_id.as_ref().is_none_or(|last| compare_ids(last, &id).is_lt()) {
            known.last_id = Some(id.clone());
        }
        known.slots.insert(id.clone(), slot);
        let head = FoldHead { rev: rev.unwrap_or(0), said, received_at: at, abandoned: false };
        let (session, told) = (sender.session, ChangeStamp::default());
        self.lines.push(LineEntry { source, session, id, arrival, head, history: None, told, turn: None });
        self.new_heads.push((slot, None));
        slot
    }

    pub(super) fn since_opening(&self, at: Timestamp) -> MediaMs {
        self.opened.as_ref().map_or(0, |(_, opened, _)| at.since(*opened).max(0))
    }

    pub(super) fn abandon(&mut self, source: &Arc<str>, id: &str, rev: Option<u64>) {
        let Some(slot) = self.slot(source, id) else { return };
        let head = &mut self.lines[slot as usize].head;
        let is_interim = matches!(&head.said, VersionState::Content(content) if content.status == Status::Interim);
        if is_interim && !head.abandoned && rev.is_none_or(|rev| rev == head.rev) {
            head.abandoned = true;
            self.new_heads.push((slot, None));
        }
    }

    pub(super) fn reach_time(&mut self, source: u32, media_ms: MediaMs, is_given: bool, at: Timestamp) {
        let further = |known: Option<MediaMoment>| known.is_none_or(|known| known.media_ms < media_ms);
        let clock = &mut self.sources[source as usize].reach;
        if further(*clock) {
            *clock = Some(MediaMoment { media_ms, at });
        }
        if is_given && further(self.reach) {
            self.reach = Some(MediaMoment { media_ms, at });
        }
    }
}
