//! One fold of a feed that follows the log, and the bodies that are made of it once for all readers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::log::{Entry, LogError};
use crate::position::{Cursor, Cursors, FeedId, Offset, Starts};
use crate::transcript::{Changes, FoldView, LineKey, Record, ReusedId, Timestamp, Transcript, TurnChange};
use crate::wire::subscribe::CHANGES_BYTES_MAX;
use crate::wire::{Message, Unit, encode_changes, encode_turns};

/// Records folded before readers are told: a millisecond of work.
const FOLD_AT_ONCE: usize = 512;
/// Records decoded, and then folded under one lock: few enough to be in the processor's cache still.
const DECODE_AT_ONCE: usize = 32;
/// Bodies kept for the readers who stand at the same place: those of the last commits, and the pages of a backlog.
const BODIES_MAX: usize = 32;
/// Folds whose arrival is remembered: a live reader is behind by a few.
const ARRIVALS_MAX: usize = 64;
/// Conflicts, and reused ids, kept for the publishers to be told of; older ones are in the log all the same.
const REPORTS_MAX: usize = 256;

/// How far a view is.
#[derive(Debug, Clone)]
pub struct Bell {
    /// The place after the last record folded.
    pub next: Offset,
    /// The number of the last change.
    pub change: u64,
    /// Whether it goes on.
    pub following: Following,
}

/// Whether a view goes on.
#[derive(Debug, Clone)]
pub enum Following {
    /// It does.
    Yes,
    /// It does not, and why: the feed was deleted, the server stops, the log cannot be read.
    No(LogError),
}

/// One revision of a line that was given two contents.
#[derive(Debug, Clone)]
pub struct Conflict {
    /// Counts the conflicts of the view, from 1.
    pub number: u64,
    /// The line.
    pub key: LineKey,
    /// The revision.
    pub rev: u64,
}

/// Messages that take a reader from one place to another.
#[derive(Debug)]
pub struct Bodies {
    /// What they are made of.
    pub unit: Unit,
    /// The number of the change that the reader has seen before them.
    pub since: u64,
    /// The number of the change that the reader has seen after them.
    pub to: u64,
    /// True if more is waiting behind them because of the size limit.
    pub behind: bool,
    /// When the first record came of those that made the changes in them; none once that is long ago.
    pub arrived_at: Option<Timestamp>,
    /// The messages.
    pub parts: Vec<Message>,
}

/// What differs from one place of a transcript on, as much of it as goes at once.
#[derive(Debug)]
pub struct Page {
    since: u64,
    /// The number of the change that the reader has seen after it.
    pub to: u64,
    /// True if more is waiting behind it.
    pub behind: bool,
    cursors: Option<Cursors>,
    differs: Differs,
}

#[derive(Debug)]
enum Differs {
    Lines(Box<Changes>),
    Turns(Vec<TurnChange>),
}

impl Page {
    /// What a reader of `transcript` has to be sent who has seen `since` changes.
    #[must_use]
    pub fn of(transcript: &Transcript, unit: Unit, since: u64) -> Self {
        // Below the limit of a message by what the estimate of the sizes may miss.
        const BYTES_MAX: usize = CHANGES_BYTES_MAX / 2;
        let (differs, to, behind) = match unit {
            Unit::Lines => {
                let changes = transcript.changes_since(since, BYTES_MAX);
                let (to, behind) = (changes.to, changes.behind);
                (Differs::Lines(Box::new(changes)), to, behind)
            }
            Unit::Turns => {
                let (changes, to, behind) = transcript.turn_changes_since(since, BYTES_MAX);
                (Differs::Turns(changes), to, behind)
            }
        };
        Self { since, to, behind, cursors: transcript.cursors(), differs }
    }

    /// The messages of it.
    #[must_use]
    pub fn encode(self, feed: &FeedId) -> Vec<Message> {
        // Only a damaged log has changes before its first record.
        let Some(cursors) = self.cursors else { return Vec::new() };
        match self.differs {
            Differs::Lines(changes) => encode_changes(feed, &cursors.at(self.since), &cursors.at(self.to), *changes),
            Differs::Turns(changes) => encode_turns(feed, &cursors, changes),
        }
    }
}

/// One fold of a feed.
#[derive(Debug)]
pub struct View {
    feed: FeedId,
    transcript: RwLock<Transcript>,
    bell: watch::Sender<Bell>,
    bodies: Mutex<VecDeque<Arc<Bodies>>>,
    conflicts: Mutex<VecDeque<Conflict>>,
    /// How many ids were reused, and the last of them.
    reused: Mutex<ReuseReports>,
    /// The number of the last change of each of the last folds, and when its first record came.
    arrivals: Mutex<VecDeque<(u64, Timestamp)>>,
}

impl View {
    pub(super) fn new(feed: FeedId, which: FoldView) -> Self {
        Self {
            feed,
            transcript: RwLock::new(Transcript::new(which)),
            bell: watch::Sender::new(Bell { next: Offset::START, change: 0, following: Following::Yes }),
            bodies: Mutex::default(),
            conflicts: Mutex::default(),
            reused: Mutex::default(),
            arrivals: Mutex::default(),
        }
    }

    /// The transcript as it stands. Hold it for a few lines, never across an await.
    pub fn transcript(&self) -> RwLockReadGuard<'_, Transcript> {
        // The fold does not panic (its property tests); if it did, its readers would still see what was folded before.
        self.transcript.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it is.
    #[must_use]
    pub fn now(&self) -> Bell {
        self.bell.borrow().clone()
    }

    /// Rings with every change of the view and at its end. Subscribe before looking, and nothing is missed.
    #[must_use]
    pub fn bell(&self) -> watch::Receiver<Bell> {
        self.bell.subscribe()
    }

    /// Waits until everything before `offset` is folded. Cancel-safe.
    ///
    /// # Errors
    /// Why the view does not go on, if it stops before.
    pub async fn reach(&self, offset: Offset) -> Result<(), LogError> {
        let mut bell = self.bell.subscribe();
        let far_enough = |bell: &Bell| bell.next >= offset || matches!(bell.following, Following::No(_));
        let reached = match bell.wait_for(far_enough).await {
            Ok(bell) => bell.clone(),
            Err(_) => return Err(LogError::Closed),
        };
        match reached.following {
            Following::No(why) if reached.next < offset => Err(why),
            _ => Ok(()),
        }
    }

    /// What a reader of this view has to be sent who has seen `since` changes; none if that is all there are. Of whole
    /// turns it may be no message at all, which leads on all the same.
    #[must_use]
    pub fn bodies(&self, unit: Unit, since: u64) -> Option<Arc<Bodies>> {
        let change = self.bell.borrow().change;
        if since >= change {
            return None;
        }
        let mut bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        // A page that left something out stays good: what changed since comes behind it.
        let same = |known: &Bodies| known.unit == unit && known.since == since;
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

    fn make_bodies(&self, unit: Unit, since: u64) -> Bodies {
        // What is encoded is a copy, so that the fold goes on meanwhile.
        let page = Page::of(&self.transcript(), unit, since);
        let (to, behind) = (page.to, page.behind);
        let parts = page.encode(&self.feed);
        Bodies { unit, since, to, behind, arrived_at: self.arrived_after(since), parts }
    }

    /// When the first record came of those that made the changes after the first `since`; none once that is long ago.
    #[must_use]
    pub fn arrived_after(&self, since: u64) -> Option<Timestamp> {
        let arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let _oldest = arrivals.front().filter(|(change, _)| *change <= since)?;
        arrivals.iter().find(|(change, _)| *change > since).map(|(_, at)| *at)
    }

    /// What a reader is sent who wants to begin now, and where it stands then.
    #[must_use]
    pub fn bodies_from_now(&self, unit: Unit) -> (u64, Vec<Message>) {
        let (cursor, changes): (Option<Cursor>, Changes) = {
            let transcript = self.transcript();
            let mut changes = transcript.changes_from_now();
            if unit == Unit::Turns {
                // The last one comes whole, when it is closed.
                changes.turns.clear();
            }
            (transcript.cursor(changes.to), changes)
        };
        let to = changes.to;
        (to, cursor.map_or_else(Vec::new, |cursor| encode_changes(&self.feed, &cursor, &cursor, changes)))
    }

    /// The conflicts after the `seen`-th.
    #[must_use]
    pub fn conflicts(&self, seen: u64) -> Vec<Conflict> {
        let conflicts = self.conflicts.lock().unwrap_or_else(PoisonError::into_inner);
        conflicts.iter().filter(|conflict| conflict.number > seen).cloned().collect()
    }

    /// The number of the last conflict; 0 before the first.
    #[must_use]
    pub fn last_conflict(&self) -> u64 {
        let conflicts = self.conflicts.lock().unwrap_or_else(PoisonError::into_inner);
        conflicts.back().map_or(0, |conflict| conflict.number)
    }

    /// The ids that were reused after the `seen`-th, with their numbers; of very many the last ones.
    #[must_use]
    pub fn reused(&self, seen: u64) -> Vec<(u64, ReusedId)> {
        let reports = self.reused.lock().unwrap_or_else(PoisonError::into_inner);
        reports.kept.iter().filter(|(number, _)| *number > seen).cloned().collect()
    }

    /// The number of the last id that was reused; 0 before the first.
    #[must_use]
    pub fn last_reused(&self) -> u64 {
        self.reused.lock().unwrap_or_else(PoisonError::into_inner).last
    }

    /// Before the first record.
    fn begin(&self, starts: Starts) {
        let mut transcript = self.transcript.write().unwrap_or_else(PoisonError::into_inner);
        *transcript = Transcript::with_starts(transcript.view(), starts);
    }

    fn fold(&self, entries: &[Entry]) {
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

    fn keep_conflicts(&self, new: Vec<(LineKey, u64)>) {
        let mut kept = self.conflicts.lock().unwrap_or_else(PoisonError::into_inner);
        let next = kept.back().map_or(0, |conflict| conflict.number) + 1;
        for (number, (key, rev)) in (next..).zip(new) {
            if kept.len() == REPORTS_MAX {
                kept.pop_front();
            }
            kept.push_back(Conflict { number, key, rev });
        }
    }

    fn end(&self, why: LogError) {
        self.bell.send_modify(|bell| bell.following = Following::No(why));
    }
}

/// The last ids that were reused, with their numbers.
#[derive(Debug, Default)]
struct ReuseReports {
    /// The number of the last one.
    last: u64,
    kept: VecDeque<(u64, ReusedId)>,
}

impl ReuseReports {
    /// Keeps new ones. Of too many the oldest go of those sessions, and of that kind, of which there are most: whoever reports much
    /// takes nobody else's place.
    fn keep(&mut self, new: Vec<ReusedId>) {
        let numbers = self.last + 1..;
        self.last += new.len() as u64;
        self.kept.extend(numbers.zip(new));
        let mut share = REPORTS_MAX;
        while self.kept.len() > REPORTS_MAX && share > 1 {
            share /= 2;
            let mut counts = HashMap::new();
            let mut kept = VecDeque::new();
            while let Some((number, reused)) = self.kept.pop_back() {
                let kind = std::mem::discriminant(&reused.outcome);
                let count: &mut usize =
                    counts.entry((kind, reused.key.source.clone(), reused.session.clone())).or_default();
                *count += 1;
                if *count <= share {
                    kept.push_front((number, reused));
                }
            }
            self.kept = kept;
        }
        self.kept.drain(..self.kept.len().saturating_sub(REPORTS_MAX));
    }
}

/// Ends the view when its follower is gone, however that went: a reader is told, never left waiting.
struct EndWith<'a>(&'a View, Option<LogError>);

impl Drop for EndWith<'_> {
    fn drop(&mut self) {
        self.0.end(self.1.take().unwrap_or(LogError::Closed));
    }
}

/// Follows the tail until it ends or `stop` says so. `ended` says what readers are told of its end.
pub(super) async fn follow(
    view: Arc<View>,
    starts: BoxFuture<'_, Result<Starts, LogError>>,
    mut tail: BoxStream<'static, Result<Vec<Entry>, LogError>>,
    stop: CancellationToken,
    ended: impl AsyncFnOnce(LogError) -> LogError,
) {
    let mut end = EndWith(&view, None);
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
    use crate::transcript::ReuseOutcome;

    /// However much one session has to be told of, others hear of theirs.
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
        assert!(reports.kept.len() <= REPORTS_MAX);
        let others: Vec<u64> = reports.kept.iter().map(|(number, _)| *number).take(4).collect();
        let last = 3 + 6 * REPORTS_MAX as u64;
        assert_eq!(others, [1, 2, 3, last + 1 - (reports.kept.len() as u64 - 3)]);
        assert_eq!((reports.last, reports.kept.back().map(|(number, _)| *number)), (last, Some(last)));
        // Of more sessions than there may be reports the oldest goes.
        reports.keep((0..2 * REPORTS_MAX).map(|number| stale(&number.to_string())).collect());
        assert_eq!(reports.kept.len(), REPORTS_MAX);
    }
}
