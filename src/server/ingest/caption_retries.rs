//! Captions that were treated as retries although they may be new: if the captioning software restarted, its first
//! words may equal those of the run before. The next caption shows which it was; until then they are remembered,
//! separately for each feed.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::log::LogId;
use crate::transcript::MediaMs;

/// Longest wait for a missing number, in milliseconds. A request that takes longer has failed, and a later one comes
/// from another run of the software.
pub(crate) const LATE_MS_MAX: MediaMs = 30_000;

/// Returns true if a request that arrived `at` is so recent that a retry of it may still come.
fn is_soon_after(at: Instant) -> bool {
    at.elapsed().as_millis() <= LATE_MS_MAX.unsigned_abs().into()
}

/// Bytes of retries remembered per feed: a new run shows itself within its first words, and captions are small. Part of
/// a rule, and therefore not a setting.
const FEED_BYTES_MAX: usize = 16 * 1024;
/// Bytes that each retry counts in addition to its text.
const RETRY_BYTES: usize = 128;
/// Feeds with remembered retries: 16 MiB in all.
const FEEDS_MAX: usize = 1024;

/// A caption with the same content as the stored one under its number, and therefore treated as a retry. If the next
/// caption begins a new run, it was the first words of that run instead.
#[derive(Debug, Clone)]
pub(crate) struct CaptionRetry {
    pub(crate) source: Arc<str>,
    pub(crate) session: Arc<str>,
    pub(crate) number: u64,
    pub(crate) text: Arc<str>,
    /// True if its line was retracted, and the software was told that it stays so.
    pub(crate) is_taken_back: bool,
}

/// Origin of captions that may have been mistaken for retries.
#[derive(Debug)]
pub(crate) struct RetryPlace<'a> {
    pub(crate) log_id: &'a LogId,
    pub(crate) source: &'a str,
    pub(crate) session: &'a str,
    /// The number with which the previous run began.
    pub(crate) first: u64,
    /// True if another node may have received some of them.
    pub(crate) is_shared: bool,
}

impl CaptionRetry {
    fn is_of(&self, source: &str, session: &str) -> bool {
        (&*self.source, &*self.session) == (source, session)
    }

    fn bytes(&self) -> usize {
        self.text.len() + RETRY_BYTES
    }
}

/// The latest captions of each feed that were treated as retries.
#[derive(Debug)]
pub(crate) struct RetryMemory(Mutex<KnownRetries>);

impl Default for RetryMemory {
    /// Begins with the process; it knows nothing of earlier captions.
    fn default() -> Self {
        Self(Mutex::new(KnownRetries { feeds: HashMap::new(), forgot_at: Some(Instant::now()) }))
    }
}

#[derive(Debug)]
struct KnownRetries {
    feeds: HashMap<LogId, FeedRetries>,
    /// Time at which a whole feed's retries were last dropped: the start of the process, or a moment with too many
    /// feeds.
    forgot_at: Option<Instant>,
}

#[derive(Debug, Default)]
struct FeedRetries {
    /// Oldest first.
    retries: VecDeque<(CaptionRetry, Instant)>,
    /// Time at which one was last dropped because there were too many.
    forgot_at: Option<Instant>,
}

impl FeedRetries {
    fn is_over(&self) -> bool {
        let at = self.retries.back().map(|(_, at)| *at);
        !at.into_iter().chain(self.forgot_at).any(is_soon_after)
    }

    /// Adds a retry; a repeated one is stored once. Above the limit, the source with the most bytes loses its oldest.
    fn push(&mut self, retry: CaptionRetry) {
        let is_it = |other: &CaptionRetry| other.number == retry.number && other.is_of(&retry.source, &retry.session);
        self.retries.retain(|(other, at)| is_soon_after(*at) && !is_it(other));
        self.retries.push_back((retry, Instant::now()));
        while self.retries.iter().map(|(retry, _)| retry.bytes()).sum::<usize>() > FEED_BYTES_MAX {
            let mut by_source: HashMap<&str, usize> = HashMap::new();
            for (retry, _) in &self.retries {
                *by_source.entry(&retry.source).or_default() += retry.bytes();
            }
            let most = by_source.values().max().copied();
            let oldest = self.retries.iter().position(|(retry, _)| by_source.get(&*retry.source).copied() == most);
            self.retries.remove(oldest.unwrap_or_default());
            self.forgot_at = Some(Instant::now());
        }
    }
}

impl RetryMemory {
    /// Remembers a caption that was treated as a retry. A feed displaces another only above [`FEEDS_MAX`].
    pub(crate) fn note(&self, log_id: &LogId, retry: CaptionRetry) {
        let known = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.feeds.len() >= FEEDS_MAX && !known.feeds.contains_key(log_id) {
            known.feeds.retain(|_, feed| !feed.is_over());
            if known.feeds.len() >= FEEDS_MAX {
                let last = |feed: &FeedRetries| feed.retries.back().map(|(_, at)| *at);
                let oldest = known.feeds.iter().min_by_key(|(_, feed)| last(feed)).map(|(log_id, _)| log_id.clone());
                oldest.map(|oldest| known.feeds.remove(&oldest));
                known.forgot_at = Some(Instant::now());
            }
        }
        known.feeds.entry(log_id.clone()).or_default().push(retry);
    }

    /// Returns the recent retries of a session with consecutive numbers up to `number`, in order, and whether there may
    /// have been more that are not known here. Captions up to the last one whose line was retracted are left out,
    /// unless the whole run is known from its first number on.
    pub(crate) fn before(&self, place: &RetryPlace<'_>, number: u64) -> (Vec<CaptionRetry>, bool) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let feed = known.feeds.get(place.log_id);
        let of_session = feed.into_iter().flat_map(|feed| &feed.retries);
        let of_session =
            of_session.filter(|(retry, at)| retry.is_of(place.source, place.session) && is_soon_after(*at));
        let mut retries: Vec<CaptionRetry> = of_session.map(|(retry, _)| retry.clone()).collect();
        // Requests may have overtaken each other.
        retries.sort_by_key(|retry| retry.number);
        // From the last one backwards.
        let mut taken: VecDeque<CaptionRetry> = VecDeque::new();
        for retry in retries.into_iter().rev() {
            let next = taken.front().map_or(number, |retry| retry.number);
            if retry.number + 1 == next {
                taken.push_front(retry);
            }
        }
        let are_all = taken.front().map_or(number, |retry| retry.number) <= place.first;
        let mut are_left_out = false;
        if !are_all && let Some(at) = taken.iter().rposition(|retry| retry.is_taken_back) {
            are_left_out = taken.drain(..=at).any(|retry| !retry.is_taken_back);
        }
        let forgot_at = [known.forgot_at, feed.and_then(|feed| feed.forgot_at)];
        let may_lack = place.is_shared || forgot_at.into_iter().flatten().any(is_soon_after);
        (taken.into(), are_left_out || !are_all && may_lack)
    }

    /// Forgets the retries of a session: another caption was stored, so the question is settled.
    pub(crate) fn forget(&self, log_id: &LogId, source: &str, session: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Entry::Occupied(mut feed) = known.feeds.entry(log_id.clone()) else { return };
        feed.get_mut().retries.retain(|(retry, _)| !retry.is_of(source, session));
        if feed.get().retries.is_empty() && feed.get().is_over() {
            feed.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::FeedId;

    fn log_id(feed: &str) -> LogId {
        LogId { feed: FeedId::new(feed).expect("a name"), life: 1 }
    }

    fn retry(source: &str, session: &str, number: u64, text: &str) -> CaptionRetry {
        CaptionRetry { source: source.into(), session: session.into(), number, text: text.into(), is_taken_back: false }
    }

    fn numbers((retries, is_short): (Vec<CaptionRetry>, bool)) -> (Vec<u64>, bool) {
        (retries.iter().map(|retry| retry.number).collect(), is_short)
    }

    /// A memory of a process that began long ago.
    fn memory() -> RetryMemory {
        let memory = RetryMemory::default();
        memory.0.lock().expect("nobody panics").forgot_at = None;
        memory
    }

    fn before(
        memory: &RetryMemory,
        log_id: &LogId,
        (source, session): (&str, &str),
        number: u64,
    ) -> (Vec<CaptionRetry>, bool) {
        memory.before(&RetryPlace { log_id, source, session, first: 1, is_shared: false }, number)
    }

    /// Retries from before the process began, or received by another node, are not known.
    #[test]
    fn what_may_be_unknown_is_told() {
        let feed = log_id("hearing");
        let place = |first, is_shared| RetryPlace { log_id: &feed, source: "main", session: "zoom", first, is_shared };
        for (memory, is_shared, is_short) in
            [(RetryMemory::default(), false, true), (memory(), true, true), (memory(), false, false)]
        {
            assert_eq!(numbers(memory.before(&place(0, is_shared), 2)), (vec![], is_short));
            memory.note(&feed, retry("main", "zoom", 1, "Welcome."));
            assert_eq!(numbers(memory.before(&place(0, is_shared), 2)), (vec![1], is_short), "0 is missing");
            assert_eq!(numbers(memory.before(&place(1, is_shared), 2)), (vec![1], false), "that is all");
            assert_eq!(numbers(memory.before(&place(0, is_shared), 0)), (vec![], false), "it begins here");
        }
    }

    #[test]
    fn what_was_taken_back_is_said_in_a_whole_run_only() {
        let (memory, feed) = (memory(), log_id("hearing"));
        let place = |first| RetryPlace { log_id: &feed, source: "main", session: "zoom", first, is_shared: false };
        memory.note(&feed, CaptionRetry { is_taken_back: true, ..retry("main", "zoom", 1, "Welcome.") });
        memory.note(&feed, retry("main", "zoom", 2, "Item one."));
        assert_eq!(numbers(memory.before(&place(0), 3)), (vec![2], false));
        assert_eq!(numbers(memory.before(&place(1), 3)), (vec![1, 2], false));
        memory.note(&feed, CaptionRetry { is_taken_back: true, ..retry("main", "zoom", 3, "Item two.") });
        assert_eq!(numbers(memory.before(&place(0), 4)), (vec![], true), "2 is told of");
        memory.note(&feed, retry("main", "zoom", 0, "Good evening."));
        assert_eq!(numbers(memory.before(&place(0), 3)), (vec![0, 1, 2], false));
    }

    #[test]
    fn no_feed_takes_the_place_of_anothers_retries() {
        let memory = memory();
        for number in [1, 2] {
            memory.note(&log_id("honest"), retry("main", "zoom", number, "Good evening."));
        }
        // Publishers may use any number of sessions.
        for session in 0..600 {
            memory.note(&log_id("busy"), retry("main", &format!("s{session}"), 1, "x"));
        }
        for feed in 0..FEEDS_MAX - 2 {
            memory.note(&log_id(&format!("f{feed}")), retry("main", "zoom", 1, "x"));
        }
        assert_eq!(numbers(before(&memory, &log_id("honest"), ("main", "zoom"), 3)), (vec![1, 2], false));
        assert_eq!(numbers(before(&memory, &log_id("busy"), ("main", "s599"), 2)), (vec![1], false));
        assert_eq!(numbers(before(&memory, &log_id("busy"), ("main", "s0"), 2)), (vec![], true), "it is told");
        // With one feed too many, the one that was quiet longest is dropped, and learns of it.
        memory.note(&log_id("one-more"), retry("main", "zoom", 1, "x"));
        assert_eq!(numbers(before(&memory, &log_id("honest"), ("main", "zoom"), 3)), (vec![], true));
        assert_eq!(
            numbers(before(&memory, &log_id("one-more"), ("main", "zoom"), 2)),
            (vec![1], false),
            "all are there"
        );
    }

    #[test]
    fn the_source_that_has_most_loses_its_oldest() {
        let (memory, feed) = (memory(), log_id("hearing"));
        memory.note(&feed, retry("asr", "zoom", 1, "a"));
        let long = "b".repeat(FEED_BYTES_MAX / 4);
        for number in 1..=4 {
            memory.note(&feed, retry("main", "zoom", number, &long));
            memory.note(&feed, retry("main", "zoom", number, &long));
        }
        assert_eq!(numbers(before(&memory, &feed, ("asr", "zoom"), 2)), (vec![1], false));
        assert_eq!(numbers(before(&memory, &feed, ("main", "zoom"), 5)), (vec![2, 3, 4], true), "once each, and told");
        memory.forget(&feed, "main", "zoom");
        assert_eq!(numbers(before(&memory, &feed, ("main", "zoom"), 5)), (vec![], true));
        // A single caption that is too long is reported, too.
        memory.note(&feed, retry("main", "zoom", 9, &"c".repeat(FEED_BYTES_MAX)));
        assert_eq!(numbers(before(&memory, &feed, ("main", "zoom"), 10)), (vec![], true));
    }
}
