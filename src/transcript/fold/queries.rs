//! Read-only queries of a transcript: changes since a cursor, the whole transcript, and its state.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::position::{Cursor, Cursors, Epoch, Offset, Starts, UnknownStart};
use crate::transcript::assembly::SlotIndex;
use crate::transcript::fold::changes::FeedState;
use crate::transcript::fold::changes::FoldView;
use crate::transcript::fold::memberships::SessionIndex;
use crate::transcript::fold::{LineEntry, MediaMoment, RULES, Transcript};
use crate::transcript::line::{Line, Status, VersionState};
use crate::transcript::record::{FeedMeta, Op};
use crate::transcript::speaker::Speaker;
use crate::transcript::time::{MediaMs, Timestamp};
use crate::transcript::turn::Turn;

/// Reason why a cursor is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidCursor {
    /// The cursor is of another generation of the feed, another view or other rules, or from a start of the archive
    /// that is no longer known.
    Epoch,
    /// The cursor counts changes that do not exist, or that differ from those that were read: the log was shortened
    /// since.
    Change,
}

impl Transcript {
    /// Returns the shown lines of a source, in no particular order: id, start, end and text of each.
    pub fn spans_of(&self, source: &str) -> impl Iterator<Item = (&Arc<str>, MediaMs, Option<MediaMs>, &Arc<str>)> {
        let source = self.source_index.get(source).copied();
        let slots = (0..)
            .zip(&self.lines)
            .filter(move |(slot, line)| Some(line.source) == source && self.assembly.is_shown(*slot));
        slots.filter_map(|(slot, LineEntry { id, head, .. })| {
            let VersionState::Content(content) = &head.said else { return None };
            let (spot, end_ms) = self.assembly.place(slot);
            Some((id, spot.start_ms, end_ms, &content.text))
        })
    }

    /// Returns the last final line and its turn.
    #[must_use]
    pub fn last_final(&self) -> Option<(&Turn, Line)> {
        let is_final = |slot: &SlotIndex| match &self.lines[*slot as usize].head {
            head if head.abandoned => true,
            head => matches!(&head.said, VersionState::Content(content) if content.status == Status::Final),
        };
        self.assembly.turns().rev().find_map(|first| {
            let last = self.slots_of_turn(first).filter(is_final).last()?;
            Some((self.shown_turn(first)?, self.shown_line(last)?))
        })
    }

    /// Start of the first line, in media time; `None` if no line is shown.
    #[must_use]
    pub fn begins_at(&self) -> Option<MediaMs> {
        self.shown_turn(self.assembly.turns().next()?).map(|turn| turn.start_ms)
    }

    /// Returns the speakers that readers know, in the order of first appearance.
    #[must_use]
    pub fn speakers(&self) -> Vec<Speaker> {
        self.changes_from_now().speakers
    }

    /// Returns the display name of the speaker `id`, after merges and renames.
    #[must_use]
    pub fn speaker_name(&self, id: &str) -> Arc<str> {
        match self.speakers.find(id) {
            Some(index) => self.speakers.get(self.speakers.root(index)).name,
            None => id.into(),
        }
    }

    /// Returns the view of this fold.
    #[must_use]
    pub fn view(&self) -> FoldView {
        self.view
    }

    /// Returns the offset after the last record applied.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.next
    }

    /// Returns the epoch of this generation of the log; `None` before the first record.
    #[must_use]
    pub fn epoch(&self) -> Option<&Epoch> {
        self.opened.as_ref().map(|(epoch, ..)| epoch)
    }

    /// Returns the time at which the feed was opened.
    #[must_use]
    pub fn opened_at(&self) -> Option<Timestamp> {
        self.opened.as_ref().map(|(_, at, _)| *at)
    }

    /// Pause that separates turns, in milliseconds of media time, as set when the feed was opened.
    #[must_use]
    pub fn turn_gap_ms(&self) -> MediaMs {
        self.settings.turn_gap_ms
    }

    /// Returns the bytes that vendors' frames take in the log.
    #[must_use]
    pub fn frame_bytes(&self) -> u64 {
        self.frame_bytes
    }

    /// Returns true for an event imported from a file.
    #[must_use]
    pub fn is_imported(&self) -> bool {
        self.opened.as_ref().is_some_and(|(.., imported)| *imported)
    }

    /// Returns the number of changes so far.
    #[must_use]
    pub fn change(&self) -> u64 {
        self.changes
    }

    /// Returns the cursor of a reader of this view that has seen `change` changes; `None` before the first record.
    #[must_use]
    pub fn cursor(&self, change: u64) -> Option<Cursor> {
        Some(self.cursors()?.at(change))
    }

    /// Returns the cursors of this view; `None` before the first record.
    #[must_use]
    pub fn cursors(&self) -> Option<Cursors> {
        Some(Cursors::new(self.fold_name()?, self.starts.clone()))
    }

    /// Returns the key for stored positions in this view: [`fold_name`](Self::fold_name) and the archive's current
    /// start.
    #[must_use]
    pub fn view_epoch(&self) -> Option<Epoch> {
        let name = self.fold_name()?;
        Some(match self.starts.starts().current() {
            Some(start) => Epoch::new(&format!("{name}-{start}")),
            None => Epoch::new(&name),
        })
    }

    /// Returns the name of this fold of this generation: the feed's epoch, the number of the rules, the view.
    #[must_use]
    pub fn fold_name(&self) -> Option<String> {
        let view = match self.view {
            FoldView::Interim => 'i',
            FoldView::FinalOnly => 'f',
        };
        self.epoch().map(|epoch| format!("{epoch}.{RULES}{view}"))
    }

    /// Returns the number of changes seen by a reader whose cursor has this epoch and this number.
    ///
    /// # Errors
    /// [`InvalidCursor`] if the cursor points to nothing in this view.
    pub fn place_of(&self, epoch: &Epoch, change: u64) -> Result<u64, InvalidCursor> {
        let name = self.fold_name().ok_or(InvalidCursor::Epoch)?;
        let start = match epoch.as_str().strip_prefix(&name).ok_or(InvalidCursor::Epoch)? {
            "" => None,
            rest => Some(rest.strip_prefix('-').ok_or(InvalidCursor::Epoch)?),
        };
        let last = self.starts.last_of(start, self.changes).map_err(|UnknownStart| InvalidCursor::Epoch)?;
        if change > last { Err(InvalidCursor::Change) } else { Ok(change) }
    }

    /// Returns the starts of the log's archive.
    #[must_use]
    pub fn starts(&self) -> &Starts {
        self.starts.starts()
    }

    /// Returns the feed's state.
    #[must_use]
    pub fn state(&self) -> FeedState {
        self.state
    }

    /// Returns the feed's metadata.
    #[must_use]
    pub fn meta(&self) -> &FeedMeta {
        &self.meta
    }

    /// Time at which the event ended; `None` unless it is ended.
    #[must_use]
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.ended_at
    }

    /// Time of the last new line, or of the last version that said something new of its line.
    #[must_use]
    pub fn last_line_at(&self) -> Option<Timestamp> {
        self.last_line_at
    }

    /// Returns the greatest media time that any source gave in a line or clock. Arrival times and the server's own
    /// clocks do not count.
    #[must_use]
    pub fn reach(&self) -> Option<MediaMoment> {
        self.reach
    }

    /// Returns the greatest media time of a line or clock of the source on air; `None` if there is none.
    #[must_use]
    pub fn clock(&self) -> Option<MediaMoment> {
        self.sources[self.holder? as usize].reach
    }

    /// Returns the greatest media time of a line or clock of `source`; `None` if it gave none.
    #[must_use]
    pub fn source_reach_ms(&self, source: &str) -> Option<MediaMs> {
        self.source_reach(source).map(|reach| reach.media_ms)
    }

    /// The same with the time at which it was received. Arrival times and the server's own clocks count as well.
    #[must_use]
    pub fn source_reach(&self, source: &str) -> Option<MediaMoment> {
        let source = self.source_index.get(source)?;
        self.sources[*source as usize].reach
    }

    /// Returns the greatest arrival time used as the start of a line of `source`; `None` if all its lines had times.
    #[must_use]
    pub fn source_arrival_ms(&self, source: &str) -> Option<MediaMs> {
        let source = self.source_index.get(source)?;
        self.sources[*source as usize].arrived_ms
    }

    /// Returns the revision of a line, and whether it is retracted; `None` for an unknown line.
    #[must_use]
    pub fn line_rev(&self, source: &str, id: &str) -> Option<(u64, bool)> {
        self.head(source, id).map(|(rev, said)| (rev, said.is_retracted()))
    }

    /// Returns the revision and state of a line's head; `None` for an unknown line.
    #[must_use]
    pub fn head(&self, source: &str, id: &str) -> Option<(u64, &VersionState)> {
        let source = &self.sources[*self.source_index.get(source)? as usize];
        let slot = source.slots.get(id)?;
        let head = &self.lines[*slot as usize].head;
        Some((head.rev, &head.said))
    }

    /// Returns a line as it is shown; `None` if it is not shown.
    #[must_use]
    pub fn line(&self, source: &str, id: &str) -> Option<Line> {
        self.shown_line(self.slot(source, id)?)
    }

    /// Returns the source on air; `None` before the first line.
    #[must_use]
    pub fn holder(&self) -> Option<&Arc<str>> {
        self.holder.map(|holder| &self.sources[holder as usize].name)
    }

    /// Returns the last turn.
    #[must_use]
    pub fn last_turn(&self) -> Option<&Turn> {
        self.last_turn.and_then(|slot| self.shown_turn(slot))
    }

    /// Returns the greatest `seq` of a source's session; 0 for an unknown session.
    #[must_use]
    pub fn seq(&self, source: &str, session: &str) -> u64 {
        let source = self.source_index.get(source).map(|index| &self.sources[*index as usize]);
        source.and_then(|source| source.sessions.get(session)).map_or(0, |session| session.seq)
    }

    /// Returns an offset at or before the message `seq` of a session, and a number below `seq`: before that offset, the
    /// log has no message of the session above that number. `None` for an unknown session.
    #[must_use]
    pub fn session_place(&self, source: &str, session: &str, seq: u64) -> Option<(u64, Offset)> {
        let source = &self.sources[*self.source_index.get(source)? as usize];
        let places = source.sessions.get(session)?.places;
        let (number, offset) = places.into_iter().rev().find(|(number, _)| *number <= seq).unwrap_or(places[0]);
        Some((number.min(seq).saturating_sub(1), offset))
    }

    /// Returns the greatest id of a source, in natural order.
    #[must_use]
    pub fn last_id(&self, source: &str) -> Option<&Arc<str>> {
        self.sources[*self.source_index.get(source)? as usize].last_id.as_ref()
    }

    /// Returns true if the log holds an operation other than `op` under the name `op_id`, so that `op` would be
    /// mistaken for its repeat.
    #[must_use]
    pub fn is_op_id_taken(&self, op_id: &str, op: &Op) -> bool {
        self.op_ids.get(op_id).is_some_and(|mark| *mark != op.mark())
    }

    /// Returns true if the log holds a version of this line, shown or not.
    #[must_use]
    pub fn knows(&self, source: &str, id: &str) -> bool {
        self.slot(source, id).is_some()
    }

    /// Returns the interim lines of a source with their revisions and receipt times: the lines to abandon if the source
    /// does not return.
    #[must_use]
    pub fn interim_lines(&self, source: &str) -> Vec<(Arc<str>, u64, Timestamp)> {
        self.interim_lines_of_others(source, &[])
    }

    /// The same, without the lines that one of `sessions` changed last.
    #[must_use]
    pub fn interim_lines_of_others(&self, source: &str, sessions: &[&str]) -> Vec<(Arc<str>, u64, Timestamp)> {
        let Some(source) = self.source_index.get(source) else { return Vec::new() };
        let known = &self.sources[*source as usize].sessions;
        let sessions: Vec<_> = sessions.iter().filter_map(|name| known.get(*name)).map(|known| known.index).collect();
        self.interim_lines_where(*source, |session| !sessions.contains(&session))
    }

    /// The same, for the lines whose last session satisfies `is_asked`.
    #[must_use]
    pub fn interim_lines_of(&self, source: &str, is_asked: impl Fn(&str) -> bool) -> Vec<(Arc<str>, u64, Timestamp)> {
        let Some(source) = self.source_index.get(source) else { return Vec::new() };
        let known = self.sources[*source as usize].sessions.iter();
        let sessions: Vec<_> = known.filter(|(name, _)| is_asked(name)).map(|(_, known)| known.index).collect();
        self.interim_lines_where(*source, |session| sessions.contains(&session))
    }

    fn interim_lines_where(
        &self,
        source: u32,
        is_asked: impl Fn(SessionIndex) -> bool,
    ) -> Vec<(Arc<str>, u64, Timestamp)> {
        let lines = self.interim.iter().map(|slot| &self.lines[*slot as usize]);
        let asked = lines.filter(|line| line.source == source && is_asked(line.session));
        asked.map(|line| (line.id.clone(), line.head.rev, line.head.received_at)).collect()
    }

    /// Returns the sources that have interim lines, by name.
    #[must_use]
    pub fn interim_sources(&self) -> BTreeSet<Arc<str>> {
        let source_of = |slot: &SlotIndex| self.sources[self.lines[*slot as usize].source as usize].name.clone();
        self.interim.iter().map(source_of).collect()
    }

    /// Returns the number of lines and the number of turns shown.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.assembly.line_count(), self.assembly.turn_count())
    }
}
