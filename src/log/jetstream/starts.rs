//! Starts of the log: how a stream that was restored to an earlier state is told from one that only grew.
//!
//! A stream that is restored from a backup continues where the backup ended: new records get the offsets of lost ones.
//! Nothing in the stream shows that, not even the numbers of generations. So the subject `N.starts` has a row for each
//! time from which on the stream may have been restored unseen, with a random id. Cursors name the row before their
//! change, as in the engine that keeps its log in a file. Rows are written
//! * by a process that opens the log while no other process follows it, before it appends anything, because nothing saw
//!   what happened meanwhile;
//! * by a running process that finds the stream shorter than it was, with the first sequence that differs, as far as
//!   known.
//!
//! If there is no room for its row, a process starts all the same and owes the row: it reads and deletes, which may
//! free room, and appends nothing before the row is stored. Until then it presents itself as a process that only reads.
//!
//! While any process follows the stream, others that come and go write no row, because that process would notice a
//! restore. The servers know whether one follows: its consumer has a request waiting. A process that learns of
//! another's row, or writes one, forgets what it knew of the stream, and all its readers start over with their cursors.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::stream::Info;
use async_nats::{HeaderMap, Request};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::reachability::hears_of_most;
use super::start_state::{FirstMessage, KnownStarts, RestoreSigns, Start};
use crate::log::jetstream::shared::JetStreamShared;
use crate::log::jetstream::stream_api::{ControlMessage, PutResult, is_for_want_of_room};
use crate::log::{LogError, LogId};
use crate::position::{Epoch, Offset, Starts};

/// Time during which to look for a follower. A following process has a request waiting all the time, except for moments
/// between two requests. One whose consumer was lost with a NATS server creates another within this time, and usually
/// so does one that has just written a row and is about to follow.
pub(super) const LOOK_FOR: Duration = Duration::from_millis(1_500);
/// Time for which the leader of a stream of several copies, in contact with most of them, must have had less before the
/// stream counts as restored: a leader that was just elected may need a moment to have everything at hand.
const SHORT_FOR: Duration = Duration::from_secs(5);

/// Returns true if the leader's answers since then are sufficient evidence.
fn is_told_for_long(info: &Info, since: Instant) -> bool {
    info.config.num_replicas <= 1 || since.elapsed() >= SHORT_FOR
}
/// Feeds read concurrently.
const FEEDS_AT_ONCE: usize = 32;

/// Description of the consumer of a process that appends. A consumer without a description belongs to an older release.
pub(super) const WRITER: &str = "captionwire follows and appends";
/// Description of the consumer of a process that only reads.
pub(super) const READER: &str = "captionwire reads";

/// Reason why nothing is appended while a row is owed although there seems to be room for it.
pub(super) const ROW_IS_OWED: &str = "the start of this process is not yet recorded in the stream";

/// Row of `N.starts`, as stored.
#[derive(Debug, Serialize, Deserialize)]
struct StreamRow {
    id: String,
    /// The first sequence of the stream that is not what it was; `None` if that is the row's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<u64>,
}

/// Checks at the start of a process.
impl JetStreamShared {
    /// Writes a row if no process follows the stream, and reads all rows. Call it before anything is appended, and
    /// before this process follows.
    pub(super) async fn begin_start(&self) -> Result<(), LogError> {
        if self.options.appends {
            let behind = self.last(&self.names.starts()).await?.map_or(0, |row| row.sequence);
            if !self.is_followed_by_others(behind == 0 && self.seen() <= 1).await? {
                match self.put_row(None, behind).await {
                    // If another process was faster, its row says the same.
                    Ok(_) => {}
                    Err(error) if is_for_want_of_room(&error) => {
                        tracing::error!(
                            %error,
                            "nothing can be appended until there is room: delete feeds, or give the servers more space"
                        );
                        self.suspicion().owed = Some(self.seen() + 1);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        let known = self.read_rows().await?;
        *self.starts() = known;
        Ok(())
    }

    /// Stores a row after the last known one; false if there is another.
    async fn put_row(&self, from: Option<u64>, behind: u64) -> Result<bool, LogError> {
        let random = getrandom::u64().map_err(|error| LogError::Unavailable(error.to_string()))?;
        let row = StreamRow { id: Epoch::short_from_random(random).as_str().to_owned(), from };
        let body = serde_json::to_vec(&row).expect("a row is JSON").into();
        let (subject, headers) = (self.names.starts(), HeaderMap::new());
        let put = self.put(&ControlMessage { subject, headers, body, behind, id: self.message_id() }).await?;
        Ok(matches!(put, PutResult::Stored(_)))
    }

    /// Reads all rows, from the leader.
    async fn read_rows(&self) -> Result<KnownStarts, LogError> {
        let (mut rows, mut last_row) = (Vec::new(), 0);
        while let Some(message) = self.next(&self.names.starts(), last_row + 1).await? {
            let sequence = message.sequence;
            let row: StreamRow = serde_json::from_slice(&message.payload).map_err(|error| {
                self.unusable(format!("message {sequence} was not written by captionwire: {error}"))
            })?;
            rows.push(Start { id: Epoch::new(&row.id), from: row.from.unwrap_or(sequence).min(sequence) });
            last_row = sequence;
        }
        Ok(KnownStarts::new(rows, last_row))
    }
}

/// Checks while a process runs.
impl JetStreamShared {
    /// Notes that a message got a sequence that another message had.
    pub(super) fn note_other_at(&self, sequence: u64) {
        {
            let mut suspicion = self.suspicion();
            suspicion.from = Some(suspicion.from.map_or(sequence, |from| from.min(sequence)));
            suspicion.times += 1;
        }
        self.is_behind.notify_one();
    }

    /// Notes that the stream's leader has less than this process has seen.
    pub(super) fn note_short(&self) {
        let is_new = {
            let mut suspicion = self.suspicion();
            let is_new = suspicion.short_since.is_none();
            suspicion.short_since.get_or_insert_with(Instant::now);
            is_new
        };
        if is_new {
            self.is_behind.notify_one();
        }
    }

    /// Notes whether the stream's leader has its first message. If not, the stream was purged, or the leader does not
    /// have everything at hand yet.
    pub(super) fn note_first(&self, info: &Info) {
        if self.lacks_first_since(info).is_some() {
            self.is_behind.notify_one();
        }
    }

    fn lacks_first_since(&self, info: &Info) -> Option<Instant> {
        let has_first = info.state.messages > 0 && info.state.first_sequence <= self.begun_at;
        self.suspicion().lacks_first_since(has_first, Instant::now())
    }

    /// Notes that a row was stored.
    pub(super) fn note_row(&self, sequence: u64) {
        if sequence > self.starts().last_row {
            self.suspicion().row = sequence;
            self.is_behind.notify_one();
        }
    }

    /// Returns true if the follower has to check whether the stream was restored.
    pub(super) fn is_to_be_checked(&self) -> bool {
        self.is_suspected() || self.suspicion().row > self.starts().last_row || self.is_row_due()
    }

    /// Returns true if a row has to be written for which there was no room.
    pub(super) fn owes_row(&self) -> bool {
        self.suspicion().owed.is_some()
    }

    /// Returns true if a row is owed and there seems to be room for it.
    fn is_row_due(&self) -> bool {
        self.owes_row() && self.no_room().is_none()
    }

    fn no_room(&self) -> Option<String> {
        let full = self.reach().full();
        full.or_else(|| self.unstored().clone())
    }

    /// Wakes the follower to write the row that is owed, if there is room.
    pub(super) fn remind_of_row(&self) {
        if self.is_row_due() {
            self.is_behind.notify_one();
        }
    }

    /// Waits for the row that is owed, because nothing may be appended before it.
    ///
    /// # Errors
    /// [`LogError::Unavailable`], at once if there is no room, or if the row is not written in time.
    pub(super) async fn row_is_written(&self) -> Result<(), LogError> {
        let until = self.deadline();
        while self.owes_row() {
            if let Some(why) = self.no_room() {
                return Err(LogError::Unavailable(why));
            }
            self.pause(until, ROW_IS_OWED.into()).await?;
        }
        Ok(())
    }

    /// Returns true if nothing may be stored until it is known whether the stream was restored.
    pub(super) fn is_suspected(&self) -> bool {
        let suspicion = self.suspicion();
        suspicion.from.is_some() || suspicion.short_since.is_some() || suspicion.emptied_since.is_some()
    }

    /// Returns the number of times that the stream was restored: records queued before must not be stored after.
    pub(super) fn times_put_back(&self) -> u64 {
        self.suspicion().times
    }

    /// Finds out what has become of the first message, which the stream's leader lacks.
    pub(super) fn find_first(&self, info: &Info) -> FirstMessage {
        match self.lacks_first_since(info) {
            Some(since) if hears_of_most(info) && is_told_for_long(info, since) => {
                self.suspicion().judge_leader(info.config.num_replicas, Instant::now())
            }
            _ => FirstMessage::Unknown,
        }
    }

    /// Asks the leader to let another server lead the stream. Later answers show whether it did.
    pub(super) async fn ask_leader_to_step_down(&self, info: &Info) {
        let leader = info.cluster.as_ref().and_then(|cluster| cluster.leader.as_deref()).unwrap_or_default();
        tracing::warn!(
            stream = self.names.stream,
            leader,
            "the stream's leader lacks the stream's first message; asking it to step down"
        );
        let subject = format!("$JS.API.STREAM.LEADER.STEPDOWN.{}", self.names.stream);
        let request = Request::new().payload(Bytes::new()).timeout(Some(self.options.ack_timeout));
        if let Err(error) = self.client.send_request(subject, request).await {
            tracing::debug!(%error, "the stream's leader did not confirm that it steps down");
        }
    }

    /// Finds out whether the stream was restored. If so, writes a row, and forgets what was known of the stream.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] while that cannot be decided.
    pub(super) async fn check_starts(&self, info: &Info) -> Result<(), LogError> {
        self.suspicion().emptied_since = None;
        let away = || LogError::Unavailable("the stream's leader does not have all that was stored".into());
        let last = info.state.last_sequence;
        if last < self.seen() {
            if !hears_of_most(info) {
                return Err(away());
            }
            let short_since = *self.suspicion().short_since.get_or_insert_with(Instant::now);
            if !is_told_for_long(info, short_since) {
                return Err(away());
            }
            let mut suspicion = self.suspicion();
            suspicion.from = Some(suspicion.from.map_or(last + 1, |from| from.min(last + 1)));
        } else {
            self.suspicion().short_since = None;
        }
        let known = self.starts().last_row;
        let there = self.last(&self.names.starts()).await?.map_or(0, |row| row.sequence);
        let (from, owed) = {
            let suspicion = self.suspicion();
            (suspicion.from, suspicion.owed)
        };
        if let Some(from) = from {
            tracing::warn!(
                stream = self.names.stream,
                last,
                seen = self.seen(),
                "the stream was restored to an earlier state: readers that have seen lost records start over"
            );
            let from = owed.map_or(from, |owed| owed.min(from));
            let is_written = self.put_row_behind_all(from, there).await?;
            self.begin_anew((!is_written).then_some(from)).await
        } else if there != known {
            tracing::info!(
                stream = self.names.stream,
                "another node found that the stream may have been restored to an earlier state"
            );
            // Its row also stands for one that this process owes, because it has appended nothing.
            self.begin_anew(None).await
        } else if let Some(owed) = owed {
            match self.put_row(Some(owed), there).await {
                // If another process was faster, its row says the same.
                Ok(_) => {}
                Err(error) if is_for_want_of_room(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
            tracing::info!(stream = self.names.stream, "there is room again: the log accepts records");
            self.begin_anew(None).await
        } else {
            Ok(())
        }
    }

    /// Stores a row after the last one, whichever process wrote that: each of several processes reports from where on
    /// it knows of a difference. False if there is no room for it.
    async fn put_row_behind_all(&self, from: u64, mut behind: u64) -> Result<bool, LogError> {
        loop {
            match self.put_row(Some(from), behind).await {
                Ok(true) => return Ok(true),
                Ok(false) => behind = self.last(&self.names.starts()).await?.map_or(0, |row| row.sequence),
                Err(error) if is_for_want_of_room(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Forgets what was known of the stream, and makes all readers and writers start over. `owed` is the sequence for a
    /// row that still has to be written.
    async fn begin_anew(&self, owed: Option<u64>) -> Result<(), LogError> {
        let rows = self.read_rows().await?;
        let info = self.stream.get_info().await.map_err(|error| LogError::Unavailable(error.to_string()))?;
        let before: Vec<_> =
            self.feeds().iter().map(|(feed, life)| LogId { feed: feed.clone(), life: *life }).collect();
        self.feeds().clear();
        self.heads().clear();
        self.undecided().clear();
        if let Err(error) = self.read_feeds().await {
            // It is tried again; meanwhile the feeds must not appear to be gone.
            before.iter().for_each(|log| self.note_created(log));
            return Err(error);
        }
        *self.behind_to() = 0;
        self.seen.store(info.state.last_sequence, Ordering::Release);
        *self.starts() = rows;
        {
            let mut suspicion = self.suspicion();
            *suspicion = RestoreSigns { times: suspicion.times + 1, owed, ..RestoreSigns::default() };
        }
        self.registry.interrupt(&LogError::PutBack);
        self.tell_of_all().await
    }

    /// Sends the ends of all feeds to all listeners.
    async fn tell_of_all(&self) -> Result<(), LogError> {
        let logs: Vec<_> = self.feeds().iter().map(|(feed, life)| LogId { feed: feed.clone(), life: *life }).collect();
        let mut ends = stream::iter(logs)
            .map(|log| async move { (self.last_piece(&self.names.records(&log)).await, log) })
            .buffer_unordered(FEEDS_AT_ONCE);
        while let Some((last, log)) = ends.next().await {
            if let Some(last) = last?
                && last.fence.is_none()
                && last.next() > 0
            {
                self.tell_listeners(&log, Offset(last.next()));
            }
        }
        Ok(())
    }

    /// Returns the starts with the heads that one log had at each.
    pub(super) async fn starts_of(&self, log: &LogId) -> Result<Starts, LogError> {
        let (ids, from, last_row) = {
            let known = self.starts();
            if let Some(starts) = known.of.get(&log.life) {
                return Ok(starts.clone());
            }
            (known.ids.clone(), known.from.clone(), known.last_row)
        };
        let starts = Starts::new(ids, self.heads_at(log, &from).await?);
        let mut known = self.starts();
        if known.last_row == last_row {
            known.of.insert(log.life, starts.clone());
        }
        Ok(starts)
    }

    /// Returns the heads of a log at `places` of the stream in ascending order, as [`Starts::new`] needs them. One
    /// short request for each place between which the log has grown.
    async fn heads_at(&self, log: &LogId, places: &[u64]) -> Result<Vec<(usize, Offset)>, LogError> {
        let subject = self.names.records(log);
        let mut heads: Vec<(usize, Offset)> = Vec::new();
        // The first message of a generation has no records, and so is never erased.
        let (Some(first), Some(last)) = (self.next_piece(&subject, 0).await?, self.last_piece(&subject).await?) else {
            return Ok(heads);
        };
        let mut kept = None;
        // All places up to `known.0` have the head `known.1`.
        let mut known = (first.sequence, 0);
        for (index, place) in places.iter().enumerate() {
            if *place > known.0 {
                known = if *place > last.sequence {
                    (u64::MAX, last.next())
                } else {
                    let behind = self.next_piece(&subject, *place).await?;
                    let Some(behind) = behind else { return Err(LogError::Deleted(log.feed.clone())) };
                    let head = self.head_before(log, behind.first, *place, &mut kept).await?;
                    // Places at which a message with a remainder may have been are looked at one by one.
                    (if head == behind.first { behind.sequence } else { *place }, head)
                };
            }
            let head = Offset(known.1);
            if head > heads.last().map_or(Offset::START, |(_, last)| *last) {
                heads.push((index, head));
            }
        }
        Ok(heads)
    }

    /// Returns the head of a log at a place of the stream. The next message that exists there begins with the record
    /// `next`; before it there may have been messages with erased records. They count as after the place unless they
    /// are known to have been before it.
    async fn head_before(
        &self,
        log: &LogId,
        mut next: u64,
        place: u64,
        kept: &mut Option<Vec<u64>>,
    ) -> Result<u64, LogError> {
        let firsts = match kept {
            Some(firsts) => firsts,
            None => kept.insert(self.firsts_kept(log).await?),
        };
        while let Some(first) = firsts.iter().rev().find(|first| **first < next)
            && let Some(piece) = self.kept(log, *first).await?
            && piece.next() == next
            && piece.stood.or(piece.replaces).is_none_or(|stood| stood >= place)
        {
            next = *first;
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::jetstream::consumer_list::{FollowerPresence, ListedFollowers};

    /// A leader that was just elected may lack it for a moment, and again later.
    #[test]
    fn a_stream_is_emptied_when_its_leader_lacks_the_first_message_all_the_time() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut suspicion = RestoreSigns::default();
        for (second, has_first, since) in [
            (0, true, None),
            (1, false, Some(1)),
            (3, false, Some(1)),
            (4, true, None),
            (7, false, Some(7)),
            (13, false, Some(7)),
        ] {
            assert_eq!(suspicion.lacks_first_since(has_first, at(second)), since.map(at), "{second}");
        }
    }

    #[test]
    fn a_first_message_is_gone_when_no_leader_has_it() {
        let now = Instant::now();
        assert_eq!(RestoreSigns::default().judge_leader(1, now), FirstMessage::Gone, "there is no other copy");
        let mut suspicion = RestoreSigns::default();
        let mut asked = 0;
        while suspicion.judge_leader(3, now) == FirstMessage::LackedByLeader {
            assert_eq!(suspicion.emptied_since, Some(now), "the next leader has its time");
            asked += 1;
        }
        assert_eq!(asked, 6);
        suspicion.lacks_first_since(true, now);
        assert_eq!(suspicion.judge_leader(3, now), FirstMessage::LackedByLeader, "one had it meanwhile");
    }

    fn listed(consumers: serde_json::Value) -> ListedFollowers {
        serde_json::from_value(serde_json::json!({"total": 3, "consumers": consumers})).expect("as NATS tells it")
    }

    #[test]
    fn who_follows_as_a_table() {
        let consumer = |description: Option<&str>, filter: &str, waiting: u64| {
            let mut config = serde_json::json!({"filter_subject": filter});
            if let Some(description) = description {
                config["description"] = description.into();
            }
            serde_json::json!({"name": "x", "config": config, "num_waiting": waiting})
        };
        let backlog = consumer(None, "c.log.geneva.1.rec", 1);
        for (consumers, expected) in [
            (vec![], FollowerPresence::Absent),
            (vec![backlog.clone()], FollowerPresence::Absent),
            (vec![consumer(Some(READER), "c.>", 1)], FollowerPresence::Absent),
            (vec![backlog.clone(), consumer(Some(WRITER), "c.>", 1)], FollowerPresence::Following),
            // One of a release that did not know of starts.
            (vec![consumer(None, "c.>", 1)], FollowerPresence::Following),
            (vec![consumer(Some(WRITER), "c.>", 0), backlog], FollowerPresence::Recent),
            (vec![consumer(Some(WRITER), "c.>", 0), consumer(None, "c.>", 2)], FollowerPresence::Following),
        ] {
            assert_eq!(listed(consumers.into()).followed("c.>"), expected);
        }
        let none: ListedFollowers = serde_json::from_str(r#"{"total": 0, "consumers": null}"#).expect("read");
        assert_eq!(none.followed("c.>"), FollowerPresence::Absent);
    }

    #[test]
    fn a_later_start_that_says_less_is_good_takes_from_those_before_it() {
        let start = |id: &str, from| Start { id: Epoch::new(id), from };
        let known = KnownStarts::new(vec![start("a", 10), start("b", 40), start("c", 25), start("d", 60)], 61);
        assert_eq!(known.from, [10, 25, 25, 60]);
        assert_eq!(KnownStarts::new(Vec::new(), 0).from, [0; 0]);
    }
}
