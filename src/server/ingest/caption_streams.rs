//! State of posted captions: the open StreamText streams, and the captions treated as retries.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::config::LimitsConfig;
use crate::dialect::Dialect;
use crate::log::LogId;
use crate::server::ingest::caption_retries::{LATE_MS_MAX, RetryMemory};

/// Most numbers by which a request may be late: software posts several captions at once, and requests overtake each
/// other.
pub(crate) const LATE_NUMBERS_MAX: u64 = 16;
/// The open streams, and the captions treated as retries.
#[derive(Debug, Default)]
pub(crate) struct CaptionStreams {
    streams: Mutex<HashMap<CaptionStreamKey, SharedCaptionStream>>,
    pub(crate) retries: RetryMemory,
    pub(crate) hasher: foldhash::fast::RandomState,
}

/// The feed and the source.
pub(crate) type CaptionStreamKey = (LogId, Arc<str>);
/// A stream; one request at a time is added to it.
pub(crate) type SharedCaptionStream = Arc<tokio::sync::Mutex<CaptionStream>>;

/// State of a stream.
pub(crate) struct CaptionStream {
    pub(crate) dialect: Box<dyn Dialect>,
    /// The session in the log, and its last number there.
    pub(crate) session: Arc<str>,
    pub(crate) seq: u64,
    /// The greatest number that the software sent.
    pub(crate) last: Option<u64>,
    /// The latest numbers below it that were skipped.
    pub(crate) missing: Vec<u64>,
    /// The latest numbers, the hash of the body under each, and its arrival time.
    pub(crate) recent: VecDeque<(u64, u64, Instant)>,
    pub(crate) used: Instant,
}

/// Meaning of a request's number for its position in the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CaptionNumber {
    /// The request was received before.
    Repeat,
    /// The request follows the last one, or has no number.
    Next,
    /// Numbers before this one are missing.
    AfterGap,
    /// The number was missing until now.
    Late,
}

impl CaptionStream {
    /// Records a request; `hash` is that of its body.
    pub(crate) fn note(&mut self, seq: u64, hash: u64, now: Instant) -> CaptionNumber {
        let latest = self.recent.back().map(|(seq, _, _)| *seq);
        let is_soon =
            |at: &Instant| now.saturating_duration_since(*at).as_millis() <= LATE_MS_MAX.unsigned_abs().into();
        // An earlier number counts as a repeat only for a short time; later it is the first of a new run.
        let is_same = |(known, body, at): &(u64, u64, Instant)| {
            (*known, *body) == (seq, hash) && (latest == Some(seq) || is_soon(at))
        };
        if self.recent.iter().any(is_same) {
            return CaptionNumber::Repeat;
        }
        let number = match self.last {
            Some(last) if seq <= last => {
                let missing = self.missing.iter().position(|missing| *missing == seq);
                missing.map(|at| self.missing.swap_remove(at)).map(|_| CaptionNumber::Late)
            }
            Some(last) if seq - last > 1 => {
                self.missing.extend((last + 1).max(seq.saturating_sub(LATE_NUMBERS_MAX))..seq);
                Some(CaptionNumber::AfterGap)
            }
            _ => Some(CaptionNumber::Next),
        };
        // A number that falls back and was not missing comes from software that was restarted.
        if number.is_none() {
            self.missing.clear();
            self.recent.clear();
        }
        if number != Some(CaptionNumber::Late) {
            self.last = Some(seq);
            self.missing.retain(|missing| seq - missing <= LATE_NUMBERS_MAX);
        }
        if self.recent.len() as u64 > LATE_NUMBERS_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back((seq, hash, now));
        number.unwrap_or(CaptionNumber::Next)
    }
}

impl std::fmt::Debug for CaptionStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("session", &self.session).finish_non_exhaustive()
    }
}

impl CaptionStreams {
    /// Returns the stream of a source, and begins it if there is none. At a limit, the stream that was written to
    /// longest ago is forgotten: one of this feed at the limit per feed, otherwise one of all feeds.
    pub(crate) fn get(
        &self,
        limits: &LimitsConfig,
        place: CaptionStreamKey,
        begin: impl FnOnce() -> CaptionStream,
    ) -> SharedCaptionStream {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if !streams.contains_key(&place) {
            let of_feed = streams.keys().filter(|(log_id, _)| *log_id == place.0).count();
            let is_feed_full = of_feed >= limits.streams_per_feed_max;
            if is_feed_full || streams.len() >= limits.streams_max {
                let used = |stream: &SharedCaptionStream| stream.try_lock().map(|stream| stream.used).ok();
                let may_go = streams.iter().filter(|((log_id, _), _)| !is_feed_full || *log_id == place.0);
                let oldest = may_go.filter_map(|(place, stream)| Some((used(stream)?, place.clone())));
                if let Some((_, oldest)) = oldest.min_by_key(|(used, _)| *used) {
                    streams.remove(&oldest);
                }
            }
        }
        streams.entry(place).or_insert_with(|| Arc::new(tokio::sync::Mutex::new(begin()))).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Options, VendorFormat};
    use crate::position::FeedId;

    #[test]
    fn numbers_of_a_stream_as_a_table() {
        use CaptionNumber::{AfterGap, Late, Next, Repeat};
        let begun = Instant::now();
        let numbers = |posts: &[(u64, u64, u64)]| {
            let mut stream = CaptionStream {
                dialect: VendorFormat::StreamText.open(Options::new("t")),
                session: "s".into(),
                seq: 0,
                last: None,
                missing: Vec::new(),
                recent: VecDeque::new(),
                used: begun,
            };
            let note = |(seq, body, at_s): &(u64, u64, u64)| {
                stream.note(*seq, *body, begun + std::time::Duration::from_secs(*at_s))
            };
            posts.iter().map(note).collect::<Vec<_>>()
        };
        for (what, posts, expected) in [
            ("in order", &[(1, 1, 0), (2, 2, 0), (3, 3, 0)][..], &[Next, Next, Next][..]),
            ("retries", &[(1, 1, 0), (2, 2, 0), (1, 1, 0), (2, 2, 0), (3, 3, 0)], &[Next, Next, Repeat, Repeat, Next]),
            (
                "overtaken",
                &[(1, 1, 0), (4, 4, 0), (3, 3, 0), (3, 3, 0), (2, 2, 0), (5, 5, 0)],
                &[Next, AfterGap, Late, Repeat, Late, Next],
            ),
            ("started anew", &[(1, 1, 0), (2, 2, 0), (1, 9, 0), (2, 2, 0), (3, 3, 0)], &[Next, Next, Next, Next, Next]),
            ("started anew much later", &[(1, 1, 0), (2, 2, 0), (1, 1, 40), (2, 2, 40)], &[Next, Next, Next, Next]),
            ("the last again, much later", &[(1, 1, 0), (2, 2, 0), (2, 2, 40)], &[Next, Next, Repeat]),
            ("far ahead", &[(1, 1, 0), (90, 90, 0), (89, 89, 0), (60, 60, 0)], &[Next, AfterGap, Late, Next]),
        ] {
            assert_eq!(numbers(posts), expected, "{what}");
        }
    }

    #[test]
    fn a_feed_forgets_its_own_streams() {
        let limits = LimitsConfig { streams_max: 3, streams_per_feed_max: 2, ..LimitsConfig::default() };
        let streams = CaptionStreams::default();
        let begun = Instant::now();
        let mut count = 0;
        let mut write = |feed: &str, source: &str| {
            let place = (LogId { feed: FeedId::new(feed).expect("a name"), life: 1 }, Arc::from(source));
            count += 1;
            let used = begun + std::time::Duration::from_secs(count);
            let begin = || CaptionStream {
                dialect: VendorFormat::StreamText.open(Options::new("t")),
                session: "s".into(),
                seq: 0,
                last: None,
                missing: Vec::new(),
                recent: VecDeque::new(),
                used,
            };
            streams.get(&limits, place, begin);
            let known = streams.streams.lock().expect("nobody panics");
            let mut known: Vec<String> =
                known.keys().map(|(log_id, source)| format!("{}/{source}", log_id.feed)).collect();
            known.sort();
            known.join(" ")
        };
        write("a", "a");
        write("b", "a");
        assert_eq!(write("b", "b"), "a/a b/a b/b");
        assert_eq!(write("b", "c"), "a/a b/b b/c", "the feed that has as many as it may gives up its own");
        assert_eq!(write("c", "a"), "b/b b/c c/a", "of too many in all the oldest goes");
    }
}
