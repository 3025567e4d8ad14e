//! One fold of a feed that follows the log, and the messages that are encoded from it once for all readers.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::log::{LogEntry, LogError};
use crate::position::{Cursor, Cursors, FeedId, Offset, Starts};
use crate::transcript::{
    FoldView, Record, ReuseOutcome, ReusedId, RevisionConflict, Timestamp, Transcript, TurnChange, ViewChanges,
};
use crate::wire::subscriber::CHANGES_BYTES_MAX;
use crate::wire::{Message, Unit, encode_changes, encode_turns};

/// Records folded between two wake-ups of the readers: about a millisecond of work.
const FOLD_AT_ONCE: usize = 512;
/// Records decoded and then folded under one lock: few enough to stay in the processor's cache.
const DECODE_AT_ONCE: usize = 32;
/// Encoded changes cached for readers at the same position: those of the last commits, and the pages of a backlog.
const BODIES_MAX: usize = 32;
/// Folds whose arrival time is remembered. A live reader is only a few behind.
const ARRIVALS_MAX: usize = 64;
/// Conflicts, and reused ids, kept for reports to publishers. Older ones can still be found in the log.
const REPORTS_MAX: usize = 256;

/// Progress of a view.
#[derive(Debug, Clone)]
pub(crate) struct FeedProgress {
    /// The offset after the last record folded.
    pub(crate) next: Offset,
    /// The number of the last change.
    pub(crate) change: u64,
    /// `Following` while the view follows its log.
    pub(crate) following: FollowState,
}

/// State of a view's follower.
#[derive(Debug, Clone)]
pub(crate) enum FollowState {
    /// The view follows the log.
    Following,
    /// The view has ended, with the reason: the feed was deleted, the server is stopping, or the log cannot be read.
    Ended(LogError),
}

/// Reports for one session about ids that it used and that already named lines.
#[derive(Debug)]
pub(crate) struct SessionReuseReports {
    /// The number of the view's last report.
    pub(crate) last: u64,
    /// The session's reports; only the latest if there are very many.
    pub(crate) reports: Vec<ReusedId>,
    /// Number of lines of other sessions that it has replaced, as far as known; includes lines whose reports were
    /// dropped.
    pub(crate) replaced: u64,
}

/// Messages that take a reader from one position to another.
#[derive(Debug)]
pub(crate) struct EncodedChanges {
    /// The unit of the messages.
    pub(crate) unit: Unit,
    /// Number of the last change before them.
    pub(crate) since: u64,
    /// Number of the last change in them.
    pub(crate) to: u64,
    /// True if more changes follow because of the size limit.
    pub(crate) behind: bool,
    /// Arrival time of the first record behind these changes; `None` if it is no longer remembered.
    pub(crate) arrived_at: Option<Timestamp>,
    /// The messages.
    pub(crate) parts: Vec<Message>,
}

/// The changes of a transcript after one position, up to a size limit.
#[derive(Debug)]
pub(crate) struct ChangePage {
    since: u64,
    /// Number of the last change in it.
    pub(crate) to: u64,
    /// True if more changes follow.
    pub(crate) behind: bool,
    cursors: Option<Cursors>,
    differs: PageChanges,
}

#[derive(Debug)]
enum PageChanges {
    Lines(Box<ViewChanges>),
    Turns(Vec<TurnChange>),
}

impl ChangePage {
    /// Collects the changes of `transcript` after the first `since` ones.
    #[must_use]
    pub(crate) fn of(transcript: &Transcript, unit: Unit, since: u64) -> Self {
        // Below the message limit by the possible error of the size estimate.
        const BYTES_MAX: usize = CHANGES_BYTES_MAX / 2;
        let (differs, to, behind) = match unit {
            Unit::Lines => {
                let changes = transcript.changes_since(since, BYTES_MAX);
                let (to, behind) = (changes.to, changes.behind);
                (PageChanges::Lines(Box::new(changes)), to, behind)
            }
            Unit::Turns => {
                let (changes, to, behind) = transcript.turn_changes_since(since, BYTES_MAX);
                (PageChanges::Turns(changes), to, behind)
            }
        };
        Self { since, to, behind, cursors: transcript.cursors(), differs }
    }

    /// Encodes the messages of the page.
    #[must_use]
    pub(crate) fn encode(self, feed: &FeedId) -> Vec<Message> {
        // Only a damaged log has changes before its first record.
        let Some(cursors) = self.cursors else { return Vec::new() };
        match self.differs {
            PageChanges::Lines(changes) => {
                encode_changes(feed, &cursors.at(self.since), &cursors.at(self.to), *changes)
            }
            PageChanges::Turns(changes) => encode_turns(feed, &cursors, changes),
        }
    }
}

/// One fold of a feed.
#[derive(Debug)]
pub(crate) struct LiveView {
    feed: FeedId,
    transcript: RwLock<Transcript>,
    bell: watch::Sender<FeedProgress>,
    bodies: Mutex<VecDeque<Arc<EncodedChanges>>>,
    conflicts: Mutex<RecentReports<RevisionConflict>>,
    reused: Mutex<ReuseReports>,
    /// Number of the last change in each of the latest folds, and the arrival time of its first record.
    arrivals: Mutex<VecDeque<(u64, Timestamp)>>,
}

impl LiveView {
    pub(super) fn new(feed: FeedId, which: FoldView) -> Self {
        Self {
            feed,
            transcript: RwLock::new(Transcript::new(which)),
            bell: watch::Sender::new(FeedProgress {
                next: Offset::START,
                change: 0,
                following: FollowState::Following,
            }),
            bodies: Mutex::default(),
            conflicts: Mutex::default(),
            reused: Mutex::default(),
            arrivals: Mutex::default(),
        }
    }

    /// Locks the transcript for reading. Hold the guard for a few lines, never across an await.
    pub(crate) fn transcript(&self) -> RwLockReadGuard<'_, Transcript> {
        // The fold does not panic (see its property tests). If it did, readers would still see what was folded before.
        self.transcript.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the current progress.
    #[must_use]
    pub(crate) fn now(&self) -> FeedProgress {
        self.bell.borrow().clone()
    }

    /// Returns a receiver that is notified of every change of the view and of its end. Subscribe before reading, and no
    /// change is missed.
    #[must_use]
    pub(crate) fn bell(&self) -> watch::Receiver<FeedProgress> {
        self.bell.subscribe()
    }

    /// Waits until everything before `offset` is folded. Cancel-safe.
    ///
    /// # Errors
    /// The reason if the view ends first.
    pub(crate) async fn reach(&self, offset: Offset) -> Result<(), LogError> {
        let mut bell = self.bell.subscribe();
        let far_enough = |bell: &FeedProgress| bell.next >= offset || matches!(bell.following, FollowState::Ended(_));
        let reached = match bell.wait_for(far_enough).await {
            Ok(bell) => bell.clone(),
            Err(_) => return Err(LogError::Closed),
        };
        match reached.following {
            FollowState::Ended(why) if reached.next < offset => Err(why),
            _ => Ok(()),
        }
    }

    /// Returns the encoded changes after the first `since` ones; `None` if there are none. For whole turns the result
    /// may hold no message but still advances the position.
    #[must_use]
    pub(crate) fn bodies(&self, unit: Unit, since: u64) -> Option<Arc<EncodedChanges>> {
        let change = self.bell.borrow().change;
        if since >= change {
            return None;
        }
        let mut bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        // A page that stopped at the size limit stays valid: later changes follow it.
        let same = |known: &EncodedChanges| known.unit == unit && known.since == since;
        if let Some(known) = bodies.iter().find(|known| same(known) && (known.to >= change || known.behind)) {
            return Some(known.clone());
        }
        let made = Arc::new(self.make_bodies(unit, since));
        bodies.retain(|known| !same(known));
        if bodies.len() == BODIES_MAX {
            bodies.pop_front();
        }
        bodies.push_back(made.clone());
        Some(made)
    }

    fn make_bodies(&self, unit: Unit, since: u64) -> EncodedChanges {
        // The encoder works on a copy, so that folding continues meanwhile.
        let page = ChangePage::of(&self.transcript(), unit, since);
        let (to, behind) = (page.to, page.behind);
        let parts = page.encode(&self.feed);
        EncodedChanges { unit, since, to, behind, arrived_at: self.arrived_after(since), parts }
    }

    /// Returns the arrival time of the first record behind the changes after `since`; `None` if it is no longer
    /// remembered.
    #[must_use]
    pub(crate) fn arrived_after(&self, since: u64) -> Option<Timestamp> {
        let arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let _oldest = arrivals.front().filter(|(change, _)| *change <= since)?;
        arrivals.iter().find(|(change, _)| *change > since).map(|(_, at)| *at)
    }

    /// Returns the messages for a reader that begins now, and the number of the change at which it begins.
    #[must_use]
    pub(crate) fn bodies_from_now(&self, unit: Unit) -> (u64, Vec<Message>) {
        let (cursor, changes): (Option<Cursor>, ViewChanges) = {
            let transcript = self.transcript();
            let mut changes = transcript.changes_from_now();
            if unit == Unit::Turns {
                // The last turn is sent whole once it is closed.
                changes.turns.clear();
            }
            (transcript.cursor(changes.to), changes)
        };
        let to = changes.to;
        (to, cursor.map_or_else(Vec::new, |cursor| encode_changes(&self.feed, &cursor, &cursor, changes)))
    }

    /// Returns the conflicts of a session of a source after the `seen`-th, and the number of the view's last conflict.
    /// Only the latest if there are very many.
    #[must_use]
    pub(crate) fn conflicts_of(&self, (source, session): (&str, &str), seen: u64) -> (u64, Vec<RevisionConflict>) {
        let conflicts = self.conflicts.lock().unwrap_or_else(PoisonError::into_inner);
        let is_of = |conflict: &RevisionConflict| {
            *conflict.key.source == *source && conflict.session.as_deref() == Some(session)
        };
        (conflicts.last, conflicts.after(seen).filter(|conflict| is_of(conflict)).cloned().collect())
    }

    /// Returns the number of the last conflict; 0 before the first.
    #[must_use]
    pub(crate) fn last_conflict(&self) -> u64 {
        self.conflicts.lock().unwrap_or_else(PoisonError::into_inner).last
    }

    /// Returns the reports of reused ids after the `seen`-th for a session of a source.
    #[must_use]
    pub(crate) fn reuse_news(&self, (source, session): (&str, &str), seen: u64) -> SessionReuseReports {
        let reused = self.reused.lock().unwrap_or_else(PoisonError::into_inner);
        let of_session = |reused: &&ReusedId| *reused.key.source == *source && *reused.session == *session;
        let reports = reused.reports.after(seen).filter(of_session).cloned().collect();
        SessionReuseReports { last: reused.reports.last, reports, replaced: reused.replaced_by(source, session) }
    }

    /// Returns the number of the last report of a reused id; 0 before the first.
    #[must_use]
    pub(crate) fn last_reused(&self) -> u64 {
        self.reused.lock().unwrap_or_else(PoisonError::into_inner).reports.last
    }

    /// Sets the starts of the archive. Call it before the first record.
    fn begin(&self, starts: Starts) {
        let mut transcript = self.transcript.write().unwrap_or_else(PoisonError::into_inner);
        *transcript = Transcript::with_starts(transcript.view(), starts);
    }

    fn fold(&self, entries: &[LogEntry]) {
        let (mut conflicts, mut reused) = (Vec::new(), Vec::new());
        let mut arrived_at = None;
        let mut records = Vec::with_capacity(DECODE_AT_ONCE);
        for some in entries.chunks(DECODE_AT_ONCE) {
            records.extend(some.iter().map(|entry| (entry.offset, Record::decode(&entry.record))));
            arrived_at =
                arrived_at.or_else(|| records.first().map(|(_, record): &(Offset, Record)| record.received_at));
            let mut transcript = self.transcript.write().unwrap_or_else(PoisonError::into_inner);
            for (offset, record) in records.drain(..) {
                let applied = transcript.apply(offset, record);
                conflicts.extend(applied.conflicts);
                reused.extend(applied.reused);
            }
        }
        let (next, change) = {
            let transcript = self.transcript();
            (transcript.next_offset(), transcript.change())
        };
        if !conflicts.is_empty() {
            self.keep_conflicts(conflicts);
        }
        if !reused.is_empty() {
            self.reused.lock().unwrap_or_else(PoisonError::into_inner).keep(reused);
        }
        if let Some(at) = arrived_at {
            let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
            if arrivals.len() == ARRIVALS_MAX {
                arrivals.pop_front();
            }
            arrivals.push_back((change, at));
        }
        self.bell.send_modify(|bell| (bell.next, bell.change) = (next, change));
    }

    fn keep_conflicts(&self, new: Vec<RevisionConflict>) {
        let group = |conflict: &RevisionConflict| (conflict.key.source.clone(), conflict.session.clone());
        self.conflicts.lock().unwrap_or_else(PoisonError::into_inner).keep(new, group);
    }

    fn end(&self, why: LogError) {
        self.bell.send_modify(|bell| bell.following = FollowState::Ended(why));
    }
}

/// The latest reports of one kind, with their numbers.
#[derive(Debug)]
struct RecentReports<T> {
    /// Number of the last one; 0 before the first.
    last: u64,
    kept: VecDeque<(u64, T)>,
}

impl<T> Default for RecentReports<T> {
    fn default() -> Self {
        Self { last: 0, kept: VecDeque::new() }
    }
}

impl<T> RecentReports<T> {
    fn after(&self, seen: u64) -> impl Iterator<Item = &T> {
        self.kept.iter().filter(move |(number, _)| *number > seen).map(|(_, report)| report)
    }

    /// Stores new reports. Above the limit, the oldest reports of the largest groups are dropped, so that a group with
    /// many reports does not displace others, and a single group can use all the space.
    fn keep<G: Hash + Eq>(&mut self, new: Vec<T>, group: impl Fn(&T) -> G) {
        let numbers = self.last + 1..;
        self.last += new.len() as u64;
        self.kept.extend(numbers.zip(new));
        if self.kept.len() <= REPORTS_MAX {
            return;
        }
        let mut counts: HashMap<G, usize> = HashMap::new();
        for (_, report) in &self.kept {
            *counts.entry(group(report)).or_default() += 1;
        }
        // The largest share that every group may have; some groups keep one more.
        let sizes: Vec<usize> = counts.into_values().collect();
        let count_with = |share: usize| sizes.iter().map(|size| size.min(&share)).sum::<usize>();
        let share = (0..REPORTS_MAX).rev().find(|share| count_with(*share) <= REPORTS_MAX).unwrap_or_default();
        let mut one_more = REPORTS_MAX - count_with(share);
        let mut counts: HashMap<G, usize> = HashMap::new();
        let mut kept = VecDeque::with_capacity(REPORTS_MAX);
        while let Some((number, report)) = self.kept.pop_back() {
            let count = counts.entry(group(&report)).or_default();
            *count += 1;
            let has_one_more = *count == share + 1 && one_more > 0;
            one_more -= usize::from(has_one_more);
            if *count <= share || has_one_more {
                kept.push_front((number, report));
            }
        }
        self.kept = kept;
    }
}

/// The latest reports of reused ids.
#[derive(Debug, Default)]
struct ReuseReports {
    reports: RecentReports<ReusedId>,
    /// Number of other sessions' lines that each session of a source has replaced; kept at least for the sessions with
    /// reports.
    replaced: HashMap<(Arc<str>, Arc<str>), u64>,
}

impl ReuseReports {
    fn keep(&mut self, new: Vec<ReusedId>) {
        for reused in new.iter().filter(|reused| reused.outcome == ReuseOutcome::Replaced) {
            *self.replaced.entry((reused.key.source.clone(), reused.session.clone())).or_default() += 1;
        }
        let group = |reused: &ReusedId| {
            (std::mem::discriminant(&reused.outcome), reused.key.source.clone(), reused.session.clone())
        };
        self.reports.keep(new, group);
        if self.replaced.len() > REPORTS_MAX {
            let kept = self.reports.after(0).map(|reused| (reused.key.source.clone(), reused.session.clone()));
            let kept: HashSet<_> = kept.collect();
            self.replaced.retain(|session, _| kept.contains(session));
        }
    }

    fn replaced_by(&self, source: &str, session: &str) -> u64 {
        self.replaced.get(&(source.into(), session.into())).copied().unwrap_or_default()
    }
}

/// Ends the view when its follower stops for any reason, so that readers are informed and never left waiting.
struct EndViewOnDrop<'a>(&'a LiveView, Option<LogError>);

impl Drop for EndViewOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end(self.1.take().unwrap_or(LogError::Closed));
    }
}

/// Follows the tail until it ends or `stop` is cancelled. `ended` determines the reason that readers are told.
pub(super) async fn follow(
    view: Arc<LiveView>,
    starts: BoxFuture<'_, Result<Starts, LogError>>,
    mut tail: BoxStream<'static, Result<Vec<LogEntry>, LogError>>,
    stop: CancellationToken,
    ended: impl AsyncFnOnce(LogError) -> LogError,
) {
    let mut end = EndViewOnDrop(&view, None);
    match starts.await {
        Ok(starts) => view.begin(starts),
        Err(why) => {
            end.1 = Some(why);
            return;
        }
    }
    loop {
        let batch = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            batch = tail.next() => batch,
        };
        match batch {
            Some(Ok(entries)) => {
                for some in entries.chunks(FOLD_AT_ONCE) {
                    view.fold(some);
                    tokio::task::yield_now().await;
                }
            }
            Some(Err(why)) => {
                if !matches!(why, LogError::Deleted(_) | LogError::Closed) {
                    tracing::error!(feed = %view.feed, %why, "the feed's log cannot be read any further");
                }
                end.1 = Some(ended(why).await);
                return;
            }
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::{Content, LineKey, Op, PublishedBy, Version};

    /// A session gets reports about its own lines only.
    #[test]
    fn a_conflict_is_its_sessions() {
        let view = LiveView::new(FeedId::new("geneva").expect("a name"), FoldView::Interim);
        let entry = |(offset, (session, text)): (u64, (&str, &str))| {
            let content = Content { start_ms: Some(0), text: text.into(), ..Content::default() };
            let version = Version { id: "1".into(), rev: Some(3), content, ..Version::default() };
            let published = PublishedBy { source: "main".into(), session: session.into(), seq: offset, own_ids: false };
            let op = Op::Line { source: "main".into(), lines: vec![version] };
            let record = Record { published: Some(published), ..Record::new(Timestamp(0), op) };
            let mut bytes = Vec::new();
            record.encode_to(&mut bytes);
            LogEntry { offset: Offset(offset), record: bytes.into() }
        };
        let said = [("a", "one"), ("b", "two"), ("b", "three"), ("c", "one")];
        view.fold(&(0..).zip(said).map(entry).collect::<Vec<_>>());
        let of = |session: &str| view.conflicts_of(("main", session), 0).1.len();
        assert_eq!((of("a"), of("b"), of("c"), view.last_conflict()), (0, 2, 0, 2));
        assert_eq!(view.conflicts_of(("other", "b"), 0).1.len(), 0);
    }

    /// Many reports for one session do not displace those for others.
    #[test]
    fn no_session_takes_the_place_of_anothers_reports() {
        let report = |session: &str, outcome: ReuseOutcome| {
            let key = LineKey { source: "main".into(), id: "1".into() };
            ReusedId { key, outcome, session: session.into() }
        };
        let stale = |session: &str| report(session, ReuseOutcome::Overtaken { rev: 1, head_rev: 2 });
        let mut reports = ReuseReports::default();
        reports.keep(vec![report("a", ReuseOutcome::Replaced), stale("b"), report("busy", ReuseOutcome::Replaced)]);
        for _ in 0..3 {
            reports.keep((0..2 * REPORTS_MAX).map(|_| stale("busy")).collect());
        }
        assert_eq!(reports.reports.kept.len(), REPORTS_MAX);
        let numbers: Vec<u64> = reports.reports.kept.iter().map(|(number, _)| *number).collect();
        let last = 3 + 6 * REPORTS_MAX as u64;
        assert_eq!(numbers[..4], [1, 2, 3, last + 1 - (REPORTS_MAX as u64 - 3)]);
        assert_eq!((reports.reports.last, numbers.last()), (last, Some(&last)));
        // With more sessions than reports, the oldest is dropped.
        reports.keep((0..2 * REPORTS_MAX).map(|number| stale(&number.to_string())).collect());
        assert_eq!(reports.reports.kept.len(), REPORTS_MAX);
    }

    /// A single session can use all the space, and the total number is known.
    #[test]
    fn of_too_many_reports_the_last_are_kept_and_all_are_counted() {
        let key = LineKey { source: "main".into(), id: "1".into() };
        let replaced =
            |session: &str| ReusedId { key: key.clone(), outcome: ReuseOutcome::Replaced, session: session.into() };
        let mut reports = ReuseReports::default();
        reports.keep(vec![replaced("a"); REPORTS_MAX + 44]);
        assert_eq!(reports.reports.kept.len(), REPORTS_MAX);
        assert_eq!((reports.replaced_by("main", "a"), reports.replaced_by("main", "b")), (REPORTS_MAX as u64 + 44, 0));
        // Two sessions with many reports share the space equally.
        reports.keep(vec![replaced("b"); REPORTS_MAX]);
        let of_a = reports.reports.kept.iter().filter(|(_, reused)| *reused.session == *"a").count();
        assert_eq!((reports.reports.kept.len(), of_a), (REPORTS_MAX, REPORTS_MAX / 2));
        reports.keep((0..2 * REPORTS_MAX).map(|number| replaced(&number.to_string())).collect());
        assert!(reports.replaced.len() <= REPORTS_MAX);
    }
}
