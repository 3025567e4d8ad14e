//! Reader of a feed's log, for everything that goes back to its records.
//!
//! A [`LiveView`](super::LiveView) has the current state of a feed. Everything else that is made from records reads
//! them here: HLS timelines, transcripts of an earlier moment, histories, recordings of frames, replays, the search
//! index, deliveries and lists. So a single place decides which records such a reader gets.
//!
//! Records are decoded and returned once each, in the order of the log. One page of them is in memory at a time; its
//! size depends on the log's engine.
//!
//! A log on other servers can be restored to an earlier state under a reader. Then its offsets name other records than
//! before, and the reader ends with [`LogError::PutBack`]. It never continues at an offset of the earlier log.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::vec;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::log::{Log, LogEntry, LogError, LogId};
use crate::position::{Epoch, Offset};
use crate::transcript::{FoldView, Record, Transcript};

/// Records taken before the task yields: decoding and folding them takes about a millisecond.
const RECORDS_PER_TURN: usize = 256;

/// Time without a record after which the log's head is compared with the end of a reader that waits for more.
const SILENT_FOR: Duration = Duration::from_secs(3);

/// Position at which a [`FeedReader`] stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadEnd {
    /// The head of the log when the reader is opened.
    Head,
    /// An offset up to which everything is durable already, such as an earlier head or the offset after an append. The
    /// reader waits for a record before it that is not available yet.
    Durable(Offset),
    /// The head of the log at the time of each call. The reader does not wait for future records; it continues once
    /// there are more.
    LatestHead,
}

/// A record of a feed's log.
#[derive(Debug, Clone)]
pub(crate) struct FeedRecord {
    /// Its offset.
    pub(crate) offset: Offset,
    /// The record; [`Op::Unknown`](crate::transcript::Op::Unknown) if it was erased or cannot be decoded.
    pub(crate) record: Record,
    /// Its bytes, as they are stored; empty if it was erased.
    pub(crate) encoded: Bytes,
}

impl FeedRecord {
    fn new(LogEntry { offset, record }: LogEntry) -> Self {
        Self { offset, record: Record::decode(&record), encoded: record }
    }
}

/// Pages of a log, as its tail returns them.
type LogPages = BoxStream<'static, Result<Vec<LogEntry>, LogError>>;

/// Reads the records of one generation of a feed from an offset up to a [`ReadEnd`].
pub(crate) struct FeedReader {
    log: Arc<dyn Log>,
    log_id: LogId,
    /// `None` before the first page and at the end, so that an idle reader holds no records in memory. Never locked:
    /// the mutex only makes the stream [`Sync`].
    pages: Mutex<Option<LogPages>>,
    page: vec::IntoIter<LogEntry>,
    next: Offset,
    end: Offset,
    follows_head: bool,
    /// The last start of the archive when the reader was opened; `None` before the first.
    start: Option<Epoch>,
    /// True if the log may have been restored to an earlier state after the caller learnt the end.
    may_end_before: bool,
    /// Number of records taken since the task last yielded.
    taken: usize,
    /// Error that ended the tail.
    failure: Option<LogError>,
}

impl std::fmt::Debug for FeedReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { log_id, next, end, .. } = self;
        f.debug_struct("FeedReader")
            .field("log_id", log_id)
            .field("next", next)
            .field("end", end)
            .finish_non_exhaustive()
    }
}

impl FeedReader {
    /// Opens a reader of the log `log_id` from the offset `from` on. Reads nothing yet.
    ///
    /// # Errors
    /// As [`Log::head`], for [`ReadEnd::Head`].
    pub(super) async fn open(log: &Arc<dyn Log>, log_id: &LogId, from: Offset, end: ReadEnd) -> Result<Self, LogError> {
        // Before the head: if that is of a later start, the tail finds it out.
        let start = log.current_start();
        let follows_head = end == ReadEnd::LatestHead;
        let may_end_before = log.is_shared() && matches!(end, ReadEnd::Durable(_));
        let end = match end {
            ReadEnd::Head => log.head(log_id).await?,
            ReadEnd::Durable(offset) => offset,
            ReadEnd::LatestHead => from,
        };
        Ok(Self {
            log: log.clone(),
            log_id: log_id.clone(),
            pages: Mutex::default(),
            page: Vec::new().into_iter(),
            next: from,
            end,
            follows_head,
            start,
            may_end_before,
            taken: 0,
            failure: None,
        })
    }

    /// Returns the offset after the last record that was returned; before the first, the offset at which the reader
    /// began.
    #[must_use]
    pub(crate) fn next_offset(&self) -> Offset {
        self.next
    }

    /// Returns the next record, or `None` at the end. With [`ReadEnd::LatestHead`] a later call may return more.
    /// Cancel-safe.
    ///
    /// # Errors
    /// [`LogError::Deleted`] if the feed is deleted before the end is reached, [`LogError::PutBack`] if the log is
    /// restored to an earlier state, [`LogError::Closed`] if the server stops, and otherwise the errors of [`Log::tail`]
    /// and, for [`ReadEnd::LatestHead`], of [`Log::head`]. An error of the tail is repeated by each later call.
    pub(crate) async fn next_record(&mut self) -> Result<Option<FeedRecord>, LogError> {
        if self.next >= self.end && !self.has_new_end().await? {
            *self.pages.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
            return Ok(None);
        }
        if self.taken >= RECORDS_PER_TURN {
            // Before a record is taken, so that cancellation loses none.
            self.taken = 0;
            tokio::task::yield_now().await;
        }
        loop {
            if let Some(entry) = self.page.next() {
                self.next = entry.offset.next();
                self.taken += 1;
                return Ok(Some(FeedRecord::new(entry)));
            }
            self.page = self.next_page().await?.into_iter();
        }
    }

    /// Applies all remaining records to `transcript`.
    ///
    /// # Errors
    /// As [`next_record`](Self::next_record). The records before the error are applied.
    pub(crate) async fn fold_into(&mut self, transcript: &mut Transcript) -> Result<(), LogError> {
        while let Some(FeedRecord { offset, record, .. }) = self.next_record().await? {
            transcript.apply(offset, record);
        }
        Ok(())
    }

    /// Returns true if there are more records, for a reader that follows the head.
    async fn has_new_end(&mut self) -> Result<bool, LogError> {
        if self.follows_head {
            self.end = self.log.head(&self.log_id).await?;
            self.check_start()?;
        }
        Ok(self.next < self.end)
    }

    /// Fails if the log was restored to an earlier state since the reader was opened. Makes no request.
    fn check_start(&mut self) -> Result<(), LogError> {
        if self.log.current_start() != self.start {
            self.failure = Some(LogError::PutBack);
            return Err(LogError::PutBack);
        }
        Ok(())
    }

    async fn next_page(&mut self) -> Result<Vec<LogEntry>, LogError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let pages = self.pages.get_mut().unwrap_or_else(PoisonError::into_inner);
        if pages.is_none() {
            *pages = Some(self.log.tail(&self.log_id, self.next));
            // After the tail was opened: it ends by itself if the log is restored from now on.
            self.check_start()?;
        }
        let pages = self.pages.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(pages) = pages else { return Err(LogError::Closed) };
        let page = tokio::select! {
            biased;
            page = pages.next() => page.unwrap_or(Err(LogError::Closed)),
            () = ends_before(&self.log, &self.log_id, self.end), if self.may_end_before => Err(LogError::PutBack),
        };
        page.inspect_err(|failure| self.failure = Some(failure.clone()))
    }
}

/// Completes if the log does not reach `end`, although everything before `end` was durable once. While the log cannot be
/// reached nothing is known: the tail keeps its place.
async fn ends_before(log: &Arc<dyn Log>, log_id: &LogId, end: Offset) {
    let mut is_short = false;
    loop {
        tokio::time::sleep(SILENT_FOR).await;
        let was_short = is_short;
        is_short = log.head(log_id).await.is_ok_and(|head| head < end);
        // Twice, because a server that was just elected to answer may not have everything at hand.
        if was_short && is_short {
            return;
        }
    }
}

/// Folds the log `log_id` from its start up to `end`, as `which`. Its cursors are those of the live view.
///
/// # Errors
/// As [`FeedReader::next_record`].
pub(super) async fn fold_log(
    log: &Arc<dyn Log>,
    log_id: &LogId,
    which: FoldView,
    end: ReadEnd,
) -> Result<Transcript, LogError> {
    let mut reader = FeedReader::open(log, log_id, Offset::START, end).await?;
    let mut transcript = Transcript::with_starts(which, log.starts(log_id).await?);
    reader.fold_into(&mut transcript).await?;
    Ok(transcript)
}

/// Folds those of `logs` that the engine can read in one pass, and passes each transcript to `take`; see
/// [`Log::read_many`].
///
/// # Errors
/// As [`Log::read_many`].
pub(super) async fn fold_many(
    log: &Arc<dyn Log>,
    logs: &[(LogId, Offset)],
    bytes_max: u64,
    which: FoldView,
    mut take: impl FnMut(&LogId, &Transcript) + Send,
) -> Result<(), LogError> {
    for (log_id, records) in log.read_many(logs, bytes_max).await? {
        let mut transcript = Transcript::new(which);
        for (offset, record) in (0..).zip(records) {
            let FeedRecord { offset, record, .. } = FeedRecord::new(LogEntry { offset: Offset(offset), record });
            transcript.apply(offset, record);
        }
        take(&log_id, &transcript);
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::feed::Feeds;
    use crate::log::{EmbeddedLog, EmbeddedOptions, MemoryLog};
    use crate::position::{Epoch, FeedId};
    use crate::transcript::{Content, Op, Status, Timestamp, TurnSettings, Version};

    async fn append(log: &Arc<dyn Log>, log_id: &LogId, numbers: std::ops::Range<u64>) {
        let record =
            |n| Record::new(Timestamp(n as i64), Op::Clock { source: "main".into(), media_ms: n as i64 }).encode();
        log.append_all(log_id, numbers.map(record).collect()).await.expect("queued").await.expect("durable");
    }

    async fn memory_log(records: u64) -> (Arc<dyn Log>, LogId) {
        let log: Arc<dyn Log> = Arc::new(MemoryLog::new());
        let log_id = log.create(&FeedId::new("geneva").expect("a name"), false).await.expect("created");
        append(&log, &log_id, 0..records).await;
        (log, log_id)
    }

    /// Returns the offsets of the remaining records. Fails if the reader waits.
    async fn rest(reader: &mut FeedReader) -> Vec<u64> {
        let read = async {
            let mut offsets = Vec::new();
            while let Some(FeedRecord { offset, record, encoded }) = reader.next_record().await.expect("read") {
                assert_eq!((record.received_at.0, &record.encode()), (offset.0 as i64, &encoded));
                offsets.push(offset.0);
            }
            offsets
        };
        tokio::time::timeout(Duration::from_secs(60), read).await.expect("it waits for more than its end")
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_stops_at_its_end() {
        for (from, end, expected) in [
            (0, ReadEnd::Head, 0..3000),
            (2990, ReadEnd::Head, 2990..3000),
            (3000, ReadEnd::Head, 3000..3000),
            (10, ReadEnd::Durable(Offset(20)), 10..20),
            (0, ReadEnd::Durable(Offset(3000)), 0..3000),
            (20, ReadEnd::Durable(Offset(10)), 20..20),
            (2990, ReadEnd::LatestHead, 2990..3005),
        ] {
            let (log, log_id) = memory_log(3000).await;
            let mut reader = FeedReader::open(&log, &log_id, Offset(from), end).await.expect("opened");
            append(&log, &log_id, 3000..3005).await;
            let (read, expected) = (rest(&mut reader).await, expected.collect::<Vec<_>>());
            assert!(read == expected, "{from} {end:?}: {:?} {:?} of {}", read.first(), read.last(), read.len());
            assert_eq!(reader.next_offset(), Offset(expected.last().map_or(from, |last| last + 1)), "{from} {end:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_goes_on_with_the_head() {
        let (log, log_id) = memory_log(2).await;
        let mut reader = FeedReader::open(&log, &log_id, Offset::START, ReadEnd::LatestHead).await.expect("opened");
        assert_eq!(rest(&mut reader).await, [0, 1]);
        assert!(rest(&mut reader).await.is_empty());
        append(&log, &log_id, 2..5).await;
        assert_eq!(rest(&mut reader).await, [2, 3, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_erased_record_is_empty() {
        let (log, log_id) = memory_log(3).await;
        log.erase(&log_id, Offset(1)).await.expect("erased");
        let mut reader = FeedReader::open(&log, &log_id, Offset(1), ReadEnd::Head).await.expect("opened");
        let erased = reader.next_record().await.expect("read").expect("there");
        assert_eq!((erased.offset, &erased.record.op, erased.encoded.len()), (Offset(1), &Op::Unknown, 0));
        assert_eq!(rest(&mut reader).await, [2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deleted_feed_fails_its_readers() {
        let (log, log_id) = memory_log(2).await;
        let mut waits = FeedReader::open(&log, &log_id, Offset(1), ReadEnd::Durable(Offset(9))).await.expect("opened");
        let mut done = FeedReader::open(&log, &log_id, Offset::START, ReadEnd::Head).await.expect("opened");
        assert_eq!(rest(&mut done).await, [0, 1]);
        assert!(waits.next_record().await.expect("read").is_some());
        log.delete(&log_id).await.expect("deleted");
        for _ in 0..3 {
            assert!(matches!(waits.next_record().await, Err(LogError::Deleted(_))));
            assert!(matches!(done.next_record().await, Ok(None)), "it has all");
        }
        let opened = FeedReader::open(&log, &log_id, Offset::START, ReadEnd::Head).await;
        assert!(matches!(opened, Err(LogError::Deleted(_))));
    }

    /// A log that is restored goes on with other records at the same offsets. Whatever a reader was about to do then, it
    /// does not return one of these.
    #[tokio::test(start_paused = true)]
    async fn a_reader_never_continues_in_a_restored_log() {
        for (end, read, is_at_its_end) in [
            // Its tail is open; it was at the head and looks for more; it has read nothing.
            (ReadEnd::Durable(Offset(4)), 2, false),
            (ReadEnd::LatestHead, 4, true),
            (ReadEnd::LatestHead, 2, false),
            (ReadEnd::Head, 0, false),
            (ReadEnd::Durable(Offset(9)), 0, false),
        ] {
            let memory = Arc::new(MemoryLog::shared());
            let log: Arc<dyn Log> = memory.clone();
            let log_id = log.create(&FeedId::new("geneva").expect("a name"), false).await.expect("created");
            append(&log, &log_id, 0..4).await;
            let mut reader = FeedReader::open(&log, &log_id, Offset::START, end).await.expect("opened");
            for _ in 0..read {
                assert!(reader.next_record().await.expect("read").is_some());
            }
            if is_at_its_end {
                assert!(reader.next_record().await.expect("read").is_none());
            }
            // What was read before may be in memory; it is of the log as it was.
            let before: Vec<_> = (read..4).collect();
            memory.put_back(&log_id, Offset(1)).expect("put back");
            append(&log, &log_id, 100..110).await;
            let mut after = Vec::new();
            let failure = loop {
                let record = tokio::time::timeout(Duration::from_secs(60), reader.next_record()).await;
                match record.expect("it waits for what never comes") {
                    Ok(Some(record)) => after.push(record.record.received_at.0),
                    Ok(None) => break None,
                    Err(failure) => break Some(failure),
                }
            };
            let has_all = matches!(end, ReadEnd::Durable(Offset(4))) && after == before;
            assert!(
                has_all || matches!(failure, Some(LogError::PutBack)),
                "{end:?} after {read}: {failure:?} {after:?}"
            );
            assert!(before.starts_with(&after), "{end:?} after {read}: {after:?}");
            // Who opens it again reads what there is now, and does not wait for what was durable before.
            let end = ReadEnd::Durable(Offset(20));
            let mut late = FeedReader::open(&log, &log_id, Offset::START, end).await.expect("opened");
            let all = async {
                while late.next_record().await?.is_some() {}
                Ok(())
            };
            let refused: Result<(), LogError> =
                tokio::time::timeout(Duration::from_secs(60), all).await.expect("it waits");
            assert!(matches!(refused, Err(LogError::PutBack)), "{refused:?}");
            let mut again = FeedReader::open(&log, &log_id, Offset::START, ReadEnd::Head).await.expect("opened");
            assert_eq!(again.next_record().await.expect("read").expect("kept").record.received_at.0, 0);
            assert_eq!(again.next_record().await.expect("read").expect("new").record.received_at.0, 100);
        }
    }

    /// An outage says nothing of what is stored: a reader whose end is known to be durable waits for it.
    #[tokio::test(start_paused = true)]
    async fn a_reader_outlasts_an_outage_before_its_end() {
        let memory = Arc::new(MemoryLog::shared());
        let log: Arc<dyn Log> = memory.clone();
        let log_id = log.create(&FeedId::new("geneva").expect("a name"), false).await.expect("created");
        append(&log, &log_id, 0..4).await;
        memory.set_away(true);
        let mut reader = FeedReader::open(&log, &log_id, Offset(3), ReadEnd::Durable(Offset(5))).await.expect("opened");
        memory.set_away(false);
        assert!(reader.next_record().await.expect("read").is_some());
        // A server that was just elected may not have all that is stored.
        assert!(tokio::time::timeout(SILENT_FOR, reader.next_record()).await.is_err());
        memory.set_away(true);
        let waited = tokio::time::timeout(Duration::from_secs(60), reader.next_record()).await;
        assert!(waited.is_err(), "{waited:?}");
        memory.set_away(false);
        append(&log, &log_id, 4..5).await;
        assert_eq!(rest(&mut reader).await, [4]);
    }

    /// Each call is dropped where it first waits.
    #[tokio::test(start_paused = true)]
    async fn a_dropped_call_loses_no_record() {
        let (log, log_id) = memory_log(3000).await;
        let end = ReadEnd::Durable(Offset(3001));
        let mut reader = FeedReader::open(&log, &log_id, Offset::START, end).await.expect("opened");
        let (mut offsets, mut dropped) = (Vec::new(), 0);
        while offsets.len() < 3001 && dropped < 100 {
            match reader.next_record().now_or_never() {
                Some(record) => offsets.push(record.expect("read").expect("before the end").offset.0),
                None if offsets.len() == 3000 => {
                    dropped += 1;
                    append(&log, &log_id, 3000..3001).await;
                }
                None => dropped += 1,
            }
        }
        assert!((3..100).contains(&dropped), "{dropped} calls were dropped");
        assert!(offsets.iter().copied().eq(0..3001), "{} records, {:?}", offsets.len(), offsets.last());
    }

    /// The fold up to the head equals the view of the feed's readers, including the cursors of an archive with several
    /// starts.
    #[tokio::test]
    async fn a_fold_is_that_of_the_live_view() {
        let dir = tempfile::tempdir().expect("a directory");
        let name = FeedId::new("geneva").expect("a name");
        let record = |n: i64, status| {
            let content = Content { start_ms: Some(n), text: "Said.".into(), status, ..Content::default() };
            let lines =
                vec![Version { id: n.to_string().into(), rev: None, arrival_ms: None, time_source: None, content }];
            Record::new(Timestamp(n), Op::Line { source: "main".into(), lines })
        };
        for start in 0..3 {
            let log: Arc<dyn Log> =
                Arc::new(EmbeddedLog::open(dir.path(), EmbeddedOptions::default()).expect("opened"));
            let feeds = Feeds::new(log.clone(), TaskTracker::new(), CancellationToken::new());
            let open = Op::Open { epoch: Epoch::from_random(7), settings: TurnSettings::default(), imported: false };
            let (feed, _) =
                feeds.create(&name, false, || vec![Record::new(Timestamp(0), open)]).await.expect("created");
            feed.append_all([record(start, Status::Interim), record(10 + start, Status::Final)]).await.expect("kept");
            for which in [FoldView::Interim, FoldView::FinalOnly] {
                let folded = feed.fold(which, ReadEnd::Head).await.expect("folded");
                let view = feed.view(which).await.expect("folded");
                let now = view.transcript();
                assert_eq!(folded.cursor(folded.change()), now.cursor(now.change()), "{which:?} in start {start}");
                assert_eq!((folded.counts(), folded.next_offset()), (now.counts(), now.next_offset()));
                assert!(folded.cursor(1).is_some_and(|cursor| now.place_of(&cursor.epoch, 1).is_ok()));
            }
            let first = feed.fold(FoldView::Interim, ReadEnd::Durable(Offset(2))).await.expect("folded");
            assert_eq!((first.counts().0, first.next_offset()), (1, Offset(2)));
            log.close().await;
        }
    }
}
