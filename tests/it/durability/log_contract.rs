//! What every log promises (`src/log/mod.rs`), checked on every engine; then what the embedded one promises besides.
//! The engine of many machines is checked against NATS servers of the tests' own, where there are some.
//!
//! Nothing here sleeps. Every wait has a limit, so that a lost wake-up is a failure and not a hang.

use crate::support::nats;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use captionwire::log::{
    EmbeddedLog, EmbeddedOptions, JetStreamLog, JetStreamOptions, Log, LogEntry, LogError, LogId, MemoryLog, NameLookup,
};
use captionwire::position::{FeedId, Offset};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::BoxStream;
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::JoinSet;

type Tail = BoxStream<'static, Result<Vec<LogEntry>, LogError>>;

/// An engine with an empty archive, and a way to break it.
trait Engine {
    async fn new() -> Self;
    fn log(&self) -> &dyn Log;
    /// Closes the archive and opens it again, if it outlives that.
    async fn reopen(&mut self);
}

/// An engine whose writes fail for good once one did.
trait Breakable: Engine {
    /// Makes the next write fail.
    fn break_writes(&self);
}

struct Memory(Arc<MemoryLog>);

impl Engine for Memory {
    async fn new() -> Self {
        Self(Arc::new(MemoryLog::new()))
    }
    fn log(&self) -> &dyn Log {
        &*self.0
    }
    async fn reopen(&mut self) {}
}

impl Breakable for Memory {
    fn break_writes(&self) {
        self.0.fail_appends("the test said so");
    }
}

struct Embedded {
    log: EmbeddedLog,
    dir: TempDir,
}

impl Embedded {
    fn with(options: EmbeddedOptions) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self { log: EmbeddedLog::open(dir.path(), options).expect("opens"), dir }
    }

    /// A connection of somebody else's.
    fn beside(&self) -> Connection {
        Connection::open(self.dir.path().join("archive.db")).expect("opens")
    }
}

impl Engine for Embedded {
    async fn new() -> Self {
        // Small bounds, so that few records reach them.
        Self::with(EmbeddedOptions { batch_records_max: 7, read_page_bytes: 64, ..EmbeddedOptions::default() })
    }
    fn log(&self) -> &dyn Log {
        &self.log
    }
    async fn reopen(&mut self) {
        self.log.close().await;
        self.log = open(self.dir.path());
    }
}

impl Breakable for Embedded {
    fn break_writes(&self) {
        let trigger =
            "CREATE TRIGGER broken BEFORE INSERT ON batches BEGIN SELECT RAISE(ABORT, 'the disk is broken'); END";
        self.beside().execute_batch(trigger).expect("a trigger");
    }
}

struct JetStream {
    log: JetStreamLog,
    servers: nats::Servers,
}

impl JetStream {
    async fn open(servers: &nats::Servers) -> JetStreamLog {
        // Small bounds, so that few records reach them.
        let options = JetStreamOptions {
            servers: servers.urls(),
            batch_records_max: 7,
            ack_timeout: Duration::from_millis(500),
            wait: Duration::from_secs(8),
            accept_old: true,
            ..JetStreamOptions::default()
        };
        JetStreamLog::open(options).await.expect("opens")
    }
}

impl Engine for JetStream {
    async fn new() -> Self {
        let servers = nats::Servers::start(1).expect("a server");
        Self { log: Self::open(&servers).await, servers }
    }
    fn log(&self) -> &dyn Log {
        &self.log
    }
    async fn reopen(&mut self) {
        self.log.close().await;
        self.log = Self::open(&self.servers).await;
    }
}

fn open(dir: &Path) -> EmbeddedLog {
    EmbeddedLog::open(dir, EmbeddedOptions::default()).expect("opens")
}

fn feed(name: &str) -> FeedId {
    FeedId::new(name).expect("a name")
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("nothing waits for 10 seconds")
}

async fn create(log: &dyn Log, name: &str) -> LogId {
    soon(log.create(&feed(name), false)).await.expect("a log")
}

async fn append(log: &dyn Log, id: &LogId, record: impl Into<Bytes>) -> Result<Offset, LogError> {
    let record = record.into();
    soon(async { log.append(id, record).await?.await }).await
}

async fn append_all(log: &dyn Log, id: &LogId, records: impl IntoIterator<Item = String>) {
    for record in records {
        append(log, id, record).await.expect("appended");
    }
}

/// The next `count` records of a tail, which must come in order and without gaps from `from` on.
async fn take(tail: &mut Tail, from: u64, count: usize) -> Vec<String> {
    let mut records = Vec::new();
    while records.len() < count {
        let batch = soon(tail.next()).await.expect("goes on").expect("no error");
        assert!(!batch.is_empty(), "a batch is never empty");
        for entry in batch {
            assert_eq!(entry.offset, Offset(from + records.len() as u64), "in order, each once");
            records.push(String::from_utf8(entry.record.to_vec()).expect("text"));
        }
    }
    assert_eq!(records.len(), count, "nothing more than was appended");
    records
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("record {n}")).collect()
}

async fn assert_ends<F: Fn(&LogError) -> bool>(tail: &mut Tail, with: F) {
    let last = soon(tail.next()).await.expect("tells why it ends");
    assert!(last.as_ref().is_err_and(with), "{last:?}");
    assert!(soon(tail.next()).await.is_none(), "ends after an error");
}

fn is_deleted(error: &LogError) -> bool {
    matches!(error, LogError::Deleted(_))
}

fn is_closed(error: &LogError) -> bool {
    matches!(error, LogError::Closed)
}

/// Every check as a test of each engine.
macro_rules! on_every_engine {
    ($($check:ident),* $(,)?) => {
        mod memory { $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() { super::$check::<super::Memory>().await; })* }
        mod embedded { $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() { super::$check::<super::Embedded>().await; })* }
        mod jetstream { $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() {
                if super::nats::found().is_some() {
                    super::$check::<super::JetStream>().await;
                }
            })* }
    };
}

on_every_engine! {
    offsets_rise_and_are_never_used_again,
    what_was_acknowledged_is_there_after_reopening,
    pipelined_appends_stand_in_the_order_of_the_queue,
    records_of_one_append_stand_together,
    an_acknowledged_record_is_in_the_head,
    each_of_many_feeds_keeps_its_order,
    a_tail_goes_from_what_was_to_what_comes,
    many_tails_see_the_same,
    a_tail_that_began_before_the_first_record_gets_it,
    a_tail_from_beyond_the_head_waits_for_its_offset,
    a_tail_never_misses_a_wake_up,
    a_tail_that_begins_during_a_commit_misses_nothing,
    a_deleted_log_is_gone_and_its_name_is_taken,
    a_name_created_anew_has_another_life,
    erasing_leaves_an_empty_record,
    all_who_create_at_once_get_the_same_life,
    logs_are_listed_by_name,
    a_log_says_how_much_it_holds,
    any_bytes_are_kept,
    close_writes_what_is_queued_and_ends_all,
    statistics_count_records,
    a_life_that_was_begun_aside_is_seen_by_nobody,
    a_switch_ends_one_life_and_shows_the_next,
    a_switch_from_another_life_changes_nothing,
    what_was_begun_aside_and_left_is_gone,
}

async fn offsets_rise_and_are_never_used_again<E: Engine>() {
    let mut engine = E::new().await;
    let id = create(engine.log(), "geneva").await;
    for expected in 0..3 {
        assert_eq!(append(engine.log(), &id, "x").await.expect("appended"), Offset(expected));
    }
    soon(engine.log().erase(&id, Offset(2))).await.expect("erased");
    assert_eq!(append(engine.log(), &id, "x").await.expect("appended"), Offset(3));
    engine.reopen().await;
    assert_eq!(append(engine.log(), &id, "x").await.expect("appended"), Offset(4));
    assert_eq!(engine.log().head(&id).await.expect("a head"), Offset(5));
}

async fn what_was_acknowledged_is_there_after_reopening<E: Engine>() {
    let mut engine = E::new().await;
    let id = create(engine.log(), "geneva").await;
    append_all(engine.log(), &id, numbered(0..40)).await;
    engine.reopen().await;
    assert_eq!(engine.log().find(&id.feed).await.expect("found"), NameLookup::Here(id.clone()));
    assert_eq!(take(&mut engine.log().tail(&id, Offset(0)), 0, 40).await, numbered(0..40));
}

async fn pipelined_appends_stand_in_the_order_of_the_queue<E: Engine>() {
    let engine = E::new().await;
    let id = create(engine.log(), "geneva").await;
    let mut answers = Vec::new();
    for record in numbered(0..300) {
        answers.push(soon(engine.log().append(&id, record.into())).await.expect("queued"));
    }
    let offsets = soon(join_all(answers)).await;
    for (expected, offset) in offsets.into_iter().enumerate() {
        assert_eq!(offset.expect("durable"), Offset(expected as u64));
    }
    assert_eq!(take(&mut engine.log().tail(&id, Offset(0)), 0, 300).await, numbered(0..300));
}

/// However many append at once, and the answer is the place of the last of them.
async fn records_of_one_append_stand_together<E: Engine + Send + Sync + 'static>() {
    const APPENDS: usize = 40;
    let engine = Arc::new(E::new().await);
    let id = create(engine.log(), "geneva").await;
    let mut publishers = JoinSet::new();
    for publisher in 0..4 {
        let (engine, id) = (Arc::clone(&engine), id.clone());
        publishers.spawn(async move {
            let mut places = Vec::new();
            for number in 0..APPENDS {
                let count = 1 + number * 7 % 30;
                let names: Vec<String> = (0..count).map(|index| format!("{publisher}/{number}/{index}")).collect();
                let records = names.iter().map(|name| name.clone().into()).collect();
                let appended = soon(engine.log().append_all(&id, records)).await.expect("queued");
                places.push((soon(appended).await.expect("durable"), names));
            }
            places
        });
    }
    let mut places = Vec::new();
    while let Some(done) = publishers.join_next().await {
        places.extend(done.expect("no publisher fails"));
    }
    let count = places.iter().map(|(_, names)| names.len()).sum();
    let all = take(&mut engine.log().tail(&id, Offset(0)), 0, count).await;
    for (last, names) in places {
        let end = usize::try_from(last.0).expect("small") + 1;
        assert_eq!(all[end - names.len()..end], names);
    }
    let nothing = soon(async { engine.log().append_all(&id, Vec::new()).await?.await }).await;
    assert!(matches!(nothing, Err(LogError::Storage { .. })), "{nothing:?}");
}

async fn an_acknowledged_record_is_in_the_head<E: Engine>() {
    let engine = E::new().await;
    let log = engine.log();
    let id = create(log, "geneva").await;
    let mut tail = None;
    for n in 0..600 {
        // Nobody tails it; somebody begins to with every record; somebody goes on tailing it. What is tailed may be known
        // without a look at the disk.
        if (100..200).contains(&n) {
            tail = Some(log.tail(&id, Offset(0)));
        }
        let offset = append(log, &id, "said").await.expect("appended");
        assert_eq!(soon(log.head(&id)).await.expect("a head"), offset.next());
    }
    drop(tail);
}

async fn each_of_many_feeds_keeps_its_order<E: Engine + Send + Sync + 'static>() {
    let engine = Arc::new(E::new().await);
    let mut publishers = JoinSet::new();
    for n in 0..8 {
        let engine = Arc::clone(&engine);
        publishers.spawn(async move {
            let id = create(engine.log(), &format!("feed-{n}")).await;
            let mut tail = engine.log().tail(&id, Offset(0));
            let mut answers = Vec::new();
            for record in numbered(0..200) {
                answers.push(soon(engine.log().append(&id, record.into())).await.expect("queued"));
            }
            assert_eq!(take(&mut tail, 0, 200).await, numbered(0..200));
            assert!(soon(join_all(answers)).await.iter().all(Result::is_ok));
        });
    }
    while let Some(done) = publishers.join_next().await {
        done.expect("no publisher fails");
    }
}

async fn a_tail_goes_from_what_was_to_what_comes<E: Engine>() {
    let engine = E::new().await;
    let id = create(engine.log(), "geneva").await;
    append_all(engine.log(), &id, numbered(0..50)).await;
    let mut tail = engine.log().tail(&id, Offset(20));
    assert_eq!(take(&mut tail, 20, 30).await, numbered(20..50));
    append_all(engine.log(), &id, numbered(50..80)).await;
    assert_eq!(take(&mut tail, 50, 30).await, numbered(50..80));
}

async fn many_tails_see_the_same<E: Engine>() {
    let engine = E::new().await;
    let id = create(engine.log(), "geneva").await;
    append_all(engine.log(), &id, numbered(0..10)).await;
    let mut tails: Vec<_> = (0..20).map(|from| engine.log().tail(&id, Offset(from))).collect();
    append_all(engine.log(), &id, numbered(10..40)).await;
    for (from, tail) in tails.iter_mut().enumerate() {
        assert_eq!(take(tail, from as u64, 40 - from).await, numbered(from..40));
    }
}

async fn a_tail_that_began_before_the_first_record_gets_it<E: Engine>() {
    let engine = E::new().await;
    let id = create(engine.log(), "geneva").await;
    let mut tail = engine.log().tail(&id, Offset::START);
    assert!(futures::poll!(tail.next()).is_pending());
    append_all(engine.log(), &id, numbered(0..1)).await;
    assert_eq!(take(&mut tail, 0, 1).await, numbered(0..1));
}

async fn a_tail_from_beyond_the_head_waits_for_its_offset<E: Engine>() {
    let engine = E::new().await;
    let id = create(engine.log(), "geneva").await;
    let mut tail = engine.log().tail(&id, Offset(5));
    let mut never = engine.log().tail(&id, Offset(u64::MAX));
    assert!(futures::poll!(never.next()).is_pending());
    append_all(engine.log(), &id, numbered(0..7)).await;
    assert_eq!(take(&mut tail, 5, 2).await, numbered(5..7));
    assert!(futures::poll!(never.next()).is_pending());
}

/// One record, its echo, the next: a single lost wake-up stops it.
async fn a_tail_never_misses_a_wake_up<E: Engine>() {
    let engine = E::new().await;
    let id = create(engine.log(), "geneva").await;
    let mut tail = engine.log().tail(&id, Offset(0));
    for n in 0..500 {
        let answer = soon(engine.log().append(&id, format!("record {n}").into())).await.expect("queued");
        take(&mut tail, n, 1).await;
        assert_eq!(soon(answer).await.expect("durable"), Offset(n));
    }
}

/// The first look of a tail reads the file; what is committed around that moment must wake it.
async fn a_tail_that_begins_during_a_commit_misses_nothing<E: Engine>() {
    let engine = E::new().await;
    let id = create(engine.log(), "geneva").await;
    for n in 0..400 {
        let answer = soon(engine.log().append(&id, format!("record {n}").into())).await.expect("queued");
        // Begins a microsecond later each time, from before the commit to after it.
        let queued = Instant::now();
        while queued.elapsed() < Duration::from_micros(n) {
            std::hint::spin_loop();
        }
        assert_eq!(take(&mut engine.log().tail(&id, Offset(n)), n, 1).await, [format!("record {n}")]);
        soon(answer).await.expect("durable");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_failed_write_memory_takes_nothing_more() {
    after_a_failed_write_appends_fail_and_reading_goes_on::<Memory>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_failed_write_the_archive_takes_nothing_more() {
    after_a_failed_write_appends_fail_and_reading_goes_on::<Embedded>().await;
}

async fn after_a_failed_write_appends_fail_and_reading_goes_on<E: Breakable>() {
    let engine = E::new().await;
    let (id, other) = (create(engine.log(), "geneva").await, create(engine.log(), "basel").await);
    append_all(engine.log(), &id, numbered(0..5)).await;
    let mut tail = engine.log().tail(&id, Offset(0));
    assert!(engine.log().poisoned().is_none());
    engine.break_writes();
    for id in [&id, &other, &id] {
        let refused = append(engine.log(), id, "lost").await;
        assert!(matches!(refused, Err(LogError::Poisoned(_))), "{refused:?}");
    }
    assert!(matches!(engine.log().poisoned(), Some(LogError::Poisoned(_))));
    let refused = soon(engine.log().create(&feed("chur"), false)).await;
    assert!(matches!(refused, Err(LogError::Poisoned(_))), "{refused:?}");
    assert_eq!(take(&mut tail, 0, 5).await, numbered(0..5));
    assert_eq!(take(&mut engine.log().tail(&id, Offset(3)), 3, 2).await, numbered(3..5));
    assert_eq!(engine.log().head(&id).await.expect("reading goes on"), Offset(5));
    soon(engine.log().close()).await;
    assert_ends(&mut tail, is_closed).await;
}

async fn a_deleted_log_is_gone_and_its_name_is_taken<E: Engine>() {
    let mut engine = E::new().await;
    let (id, other) = (create(engine.log(), "geneva").await, create(engine.log(), "basel").await);
    append_all(engine.log(), &id, numbered(0..5)).await;
    append_all(engine.log(), &other, numbered(0..5)).await;
    // One that has all there is, and no reason to look again before it is told.
    let mut waiting = engine.log().tail(&id, Offset(5));
    append_all(engine.log(), &id, numbered(5..6)).await;
    take(&mut waiting, 5, 1).await;
    let mut tails = [0, 0, 5, 9].map(|from| engine.log().tail(&id, Offset(from)));
    take(&mut tails[0], 0, 6).await;
    soon(engine.log().delete(&id)).await.expect("deleted");
    for tail in &mut tails {
        assert_ends(tail, is_deleted).await;
    }
    assert_ends(&mut waiting, is_deleted).await;
    soon(engine.log().delete(&id)).await.expect("deleting again is well");
    for _ in 0..2 {
        assert!(append(engine.log(), &id, "late").await.is_err_and(|error| is_deleted(&error)));
        assert!(engine.log().head(&id).await.is_err_and(|error| is_deleted(&error)));
        assert!(soon(engine.log().erase(&id, Offset(0))).await.is_err_and(|error| is_deleted(&error)));
        assert_ends(&mut engine.log().tail(&id, Offset(0)), is_deleted).await;
        let again = engine.log().create(&id.feed, false).await;
        assert!(again.is_err_and(|error| is_deleted(&error)));
        assert_eq!(engine.log().find(&id.feed).await.expect("found"), NameLookup::Deleted);
        assert_eq!(engine.log().logs().await.expect("listed"), std::slice::from_ref(&other));
        engine.reopen().await;
    }
    assert!(engine.log().poisoned().is_none(), "that was nobody's failure");
    assert_eq!(take(&mut engine.log().tail(&other, Offset(0)), 0, 5).await, numbered(0..5));
}

async fn a_name_created_anew_has_another_life<E: Engine>() {
    let mut engine = E::new().await;
    let old = create(engine.log(), "geneva").await;
    append_all(engine.log(), &old, numbered(0..5)).await;
    assert_eq!(soon(engine.log().create(&old.feed, true)).await.expect("here"), old, "`anew` is for deleted ones");
    soon(engine.log().delete(&old)).await.expect("deleted");
    let new = soon(engine.log().create(&old.feed, true)).await.expect("anew");
    assert_ne!(new.life, old.life);
    assert_eq!(append(engine.log(), &new, "first").await.expect("appended"), Offset(0));
    engine.reopen().await;
    let other = create(engine.log(), "vienna").await;
    for (log, replaced) in [(&new, Some(old.life)), (&other, None)] {
        assert_eq!(soon(engine.log().replaced_life(log)).await.expect("known"), replaced);
    }
    assert!(append(engine.log(), &old, "late").await.is_err_and(|error| is_deleted(&error)));
    assert_eq!(engine.log().find(&old.feed).await.expect("found"), NameLookup::Here(new.clone()));
    assert_eq!(take(&mut engine.log().tail(&new, Offset(0)), 0, 1).await, ["first"]);
    soon(engine.log().delete(&old)).await.expect("deleting the old life again is well");
    assert_eq!(engine.log().find(&old.feed).await.expect("found"), NameLookup::Here(new));
}

async fn erasing_leaves_an_empty_record<E: Engine>() {
    let mut engine = E::new().await;
    let id = create(engine.log(), "geneva").await;
    append_all(engine.log(), &id, numbered(0..5)).await;
    // One tail that waits at the end, and one that has yet to take what is being erased.
    let mut waiting = engine.log().tail(&id, Offset(5));
    let mut behind = engine.log().tail(&id, Offset(0));
    assert!(futures::poll!(waiting.next()).is_pending());
    append_all(engine.log(), &id, numbered(5..10)).await;
    for offset in [0, 3, 7, 9, 7] {
        soon(engine.log().erase(&id, Offset(offset))).await.expect("erased");
    }
    assert!(soon(engine.log().erase(&id, Offset(10))).await.is_err(), "there is none yet");
    assert!(soon(engine.log().erase(&id, Offset(u64::MAX))).await.is_err(), "there is none yet");
    let mut expected = numbered(0..10);
    for offset in [0, 3, 7, 9] {
        expected[offset].clear();
    }
    assert_eq!(take(&mut behind, 0, 10).await, expected);
    for from in 1..10 {
        assert_eq!(
            take(&mut engine.log().tail(&id, Offset(from as u64)), from as u64, 10 - from).await,
            expected[from..]
        );
    }
    engine.reopen().await;
    assert_eq!(engine.log().head(&id).await.expect("a head"), Offset(10));
    assert_eq!(take(&mut engine.log().tail(&id, Offset(2)), 2, 8).await, expected[2..]);
}

async fn all_who_create_at_once_get_the_same_life<E: Engine>() {
    let engine = E::new().await;
    let name = feed("geneva");
    assert_eq!(engine.log().find(&name).await.expect("found"), NameLookup::Absent);
    let ids = soon(join_all((0..10).map(|_| engine.log().create(&name, false)))).await;
    let ids: Vec<_> = ids.into_iter().map(|id| id.expect("a log")).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
}

async fn logs_are_listed_by_name<E: Engine>() {
    let engine = E::new().await;
    assert_eq!(engine.log().logs().await.expect("listed"), []);
    let c = create(engine.log(), "c").await;
    let a = create(engine.log(), "a").await;
    let b = create(engine.log(), "b").await;
    assert_eq!(engine.log().logs().await.expect("listed"), [a.clone(), b.clone(), c.clone()]);
    append_all(engine.log(), &b, ["1", "2", "3"].map(str::to_owned)).await;
    append(engine.log(), &a, "x").await.expect("appended");
    append(engine.log(), &a, "y").await.expect("appended");
    let heads = || async { engine.log().heads().await.expect("listed") };
    assert_eq!(heads().await, [(a.clone(), Offset(2)), (b.clone(), Offset(3)), (c.clone(), Offset::START)]);
    soon(engine.log().delete(&b)).await.expect("deleted");
    assert_eq!(heads().await, [(a.clone(), Offset(2)), (c, Offset::START)]);
    // What is deleted is listed too, until it begins anew; a life that was replaced is none.
    let deleted = || async { soon(engine.log().deleted_names()).await.expect("listed") };
    let staged = soon(engine.log().stage(&a.feed)).await.expect("staged");
    assert!(soon(engine.log().switch(&staged, Some(&a))).await.expect("switched"));
    assert_eq!(deleted().await, std::slice::from_ref(&b.feed));
    soon(engine.log().create(&b.feed, true)).await.expect("a log");
    assert_eq!(deleted().await, []);
}

async fn a_log_says_how_much_it_holds<E: Engine>() {
    let engine = E::new().await;
    let (small, large) = (create(engine.log(), "small").await, create(engine.log(), "large").await);
    append(engine.log(), &small, "x").await.expect("appended");
    append_all(engine.log(), &large, (0..100).map(|_| "x".repeat(1_000))).await;
    let bytes = |id| engine.log().bytes(id);
    assert!((1..100).contains(&bytes(&small).await.expect("there")));
    // What frames the records may be counted with them.
    assert!((100_000..110_000).contains(&bytes(&large).await.expect("there")));
    soon(engine.log().delete(&large)).await.expect("deleted");
    assert!(is_deleted(&bytes(&large).await.expect_err("it is gone")));
}

async fn any_bytes_are_kept<E: Engine>() {
    let mut engine = E::new().await;
    let id = create(engine.log(), "geneva").await;
    let records = [&b""[..], b"\n", b"3:abc\n", &[0, 255, 10, 58], &[b'x'; 200_000], b"{\"a\":\"\xc3\xa4\"}", b""];
    let records = records.map(Bytes::from_static);
    let answers = records.iter().map(|record| engine.log().append(&id, record.clone()));
    for answer in soon(join_all(answers)).await {
        soon(answer.expect("queued")).await.expect("durable");
    }
    engine.reopen().await;
    let found: Vec<_> = read(engine.log(), &id, 0).await.into_iter().map(|entry| entry.record).collect();
    assert_eq!(found, records);
}

async fn close_writes_what_is_queued_and_ends_all<E: Engine>() {
    let mut engine = E::new().await;
    let id = create(engine.log(), "geneva").await;
    let mut tail = engine.log().tail(&id, Offset(1000));
    let mut answers = Vec::new();
    for record in numbered(0..100) {
        answers.push(soon(engine.log().append(&id, record.into())).await.expect("queued"));
    }
    soon(engine.log().close()).await;
    assert!(soon(join_all(answers)).await.iter().all(Result::is_ok));
    assert_ends(&mut tail, is_closed).await;
    assert_ends(&mut engine.log().tail(&id, Offset(0)), is_closed).await;
    assert!(append(engine.log(), &id, "late").await.is_err_and(|error| is_closed(&error)));
    assert!(soon(engine.log().create(&id.feed, false)).await.is_err_and(|error| is_closed(&error)));
    assert!(soon(engine.log().find(&id.feed)).await.is_err_and(|error| is_closed(&error)));
    soon(engine.log().close()).await;
    engine.reopen().await;
}

async fn statistics_count_records<E: Engine>() {
    let engine = E::new().await;
    let id = create(engine.log(), "geneva").await;
    append_all(engine.log(), &id, numbered(0..10)).await;
    let stats = engine.log().stats();
    assert_eq!(stats.records, 10);
    assert!((1..=10).contains(&stats.commits), "{stats:?}");
}

async fn a_life_that_was_begun_aside_is_seen_by_nobody<E: Engine>() {
    let engine = E::new().await;
    let log = engine.log();
    let staged = soon(log.stage(&feed("geneva"))).await;
    let staged = staged.expect("staged");
    append_all(log, &staged, numbered(0..20)).await;
    assert_eq!(log.head(&staged).await.expect("a head"), Offset(20));
    assert_eq!(log.find(&staged.feed).await.expect("found"), NameLookup::Absent);
    assert_eq!((log.logs().await.expect("listed"), log.heads().await.expect("listed")), (vec![], vec![]));
    let other = create(log, "geneva").await;
    assert_ne!(other.life, staged.life);
    assert_eq!(log.find(&staged.feed).await.expect("found"), NameLookup::Here(other.clone()));
    assert_eq!(log.logs().await.expect("listed"), std::slice::from_ref(&other));
    assert_eq!(log.heads().await.expect("listed"), [(other.clone(), Offset::START)]);
    soon(log.delete(&other)).await.expect("deleted");
    assert_eq!(log.find(&staged.feed).await.expect("found"), NameLookup::Deleted);
    append(log, &staged, "still there").await.expect("appended");
}

async fn a_switch_ends_one_life_and_shows_the_next<E: Engine>() {
    let mut engine = E::new().await;
    let old = create(engine.log(), "geneva").await;
    append_all(engine.log(), &old, numbered(0..5)).await;
    let mut tails = [0, 5, 9].map(|from| engine.log().tail(&old, Offset(from)));
    take(&mut tails[0], 0, 5).await;
    let staged = soon(engine.log().stage(&old.feed)).await.expect("staged");
    append_all(engine.log(), &staged, numbered(10..40)).await;
    append(engine.log(), &old, "still there").await.expect("appended");
    assert!(soon(engine.log().switch(&staged, Some(&old))).await.expect("switched"));
    for tail in &mut tails {
        // What it had not taken yet may come before the end, or not.
        let ends = async { while tail.next().await.expect("tells why it ends").is_ok() {} };
        soon(ends).await;
        assert!(soon(tail.next()).await.is_none(), "ends after an error");
    }
    for _ in 0..2 {
        assert_eq!(soon(engine.log().replaced_life(&staged)).await.expect("known"), Some(old.life));
        assert!(append(engine.log(), &old, "late").await.is_err_and(|error| is_deleted(&error)));
        assert!(engine.log().head(&old).await.is_err_and(|error| is_deleted(&error)));
        assert_eq!(engine.log().find(&old.feed).await.expect("found"), NameLookup::Here(staged.clone()));
        assert_eq!(engine.log().logs().await.expect("listed"), std::slice::from_ref(&staged));
        assert_eq!(take(&mut engine.log().tail(&staged, Offset(0)), 0, 30).await, numbered(10..40));
        engine.reopen().await;
    }
    assert_eq!(append(engine.log(), &staged, "more").await.expect("appended"), Offset(30));
    let again = soon(engine.log().switch(&staged, Some(&old))).await;
    assert!(matches!(again, Ok(false) | Err(LogError::Deleted(_))), "{again:?}");
    // It is a life like any other.
    soon(engine.log().discard(&staged)).await.expect("nothing to give up");
    assert_eq!(engine.log().find(&old.feed).await.expect("found"), NameLookup::Here(staged.clone()));
    let third = soon(engine.log().stage(&old.feed)).await.expect("staged");
    append(engine.log(), &third, "third").await.expect("appended");
    assert!(soon(engine.log().switch(&third, Some(&staged))).await.expect("switched"));
    soon(engine.log().delete(&third)).await.expect("deleted");
    assert_eq!(engine.log().find(&old.feed).await.expect("found"), NameLookup::Deleted);
    let fourth = soon(engine.log().stage(&old.feed)).await.expect("staged");
    append(engine.log(), &fourth, "fourth").await.expect("appended");
    assert!(soon(engine.log().switch(&fourth, None)).await.expect("switched"), "a deleted name has no life");
    assert_eq!(soon(engine.log().replaced_life(&fourth)).await.expect("known"), Some(third.life));
    assert_eq!(take(&mut engine.log().tail(&fourth, Offset(0)), 0, 1).await, ["fourth"]);
}

async fn a_switch_from_another_life_changes_nothing<E: Engine>() {
    let engine = E::new().await;
    let log = engine.log();
    let name = feed("geneva");
    let before = soon(log.stage(&name)).await.expect("staged");
    let first = create(log, "geneva").await;
    append_all(log, &first, numbered(0..5)).await;
    let after = soon(log.stage(&name)).await.expect("staged");
    let other = create(log, "basel").await;
    let refused = async |staged: &LogId, old: Option<&LogId>| {
        let switched = soon(log.switch(staged, old)).await.expect("an answer");
        assert!(!switched, "{staged:?} {old:?}");
    };
    // There is a life; not this one; and lives of a name rise.
    refused(&after, None).await;
    refused(&after, Some(&other)).await;
    refused(&before, Some(&first)).await;
    assert_eq!(log.find(&name).await.expect("found"), NameLookup::Here(first.clone()));
    assert_eq!(append(log, &first, "more").await.expect("appended"), Offset(5));
    soon(log.delete(&first)).await.expect("deleted");
    refused(&after, Some(&first)).await;
    refused(&before, None).await;
    let second = soon(log.create(&name, true)).await.expect("anew");
    refused(&after, Some(&first)).await;
    refused(&after, Some(&second)).await;
    assert_eq!(log.find(&name).await.expect("found"), NameLookup::Here(second.clone()));
    for staged in [&before, &after] {
        append(log, staged, "still staged").await.expect("appended");
        soon(log.discard(staged)).await.expect("discarded");
    }
    assert_eq!(append(log, &second, "first").await.expect("appended"), Offset(0));
}

async fn what_was_begun_aside_and_left_is_gone<E: Engine>() {
    let mut engine = E::new().await;
    let name = feed("geneva");
    let discarded = soon(engine.log().stage(&name)).await.expect("staged");
    append_all(engine.log(), &discarded, numbered(0..5)).await;
    soon(engine.log().discard(&discarded)).await.expect("discarded");
    soon(engine.log().discard(&discarded)).await.expect("discarding again is well");
    let is_gone = async |log: &dyn Log, staged: &LogId| {
        assert!(append(log, staged, "late").await.is_err_and(|error| is_deleted(&error)));
        assert!(log.head(staged).await.is_err_and(|error| is_deleted(&error)));
        assert!(soon(log.switch(staged, None)).await.is_err_and(|error| is_deleted(&error)));
        assert_eq!(log.find(&name).await.expect("found"), NameLookup::Absent);
        assert_eq!(log.logs().await.expect("listed"), []);
    };
    is_gone(engine.log(), &discarded).await;
    let left = soon(engine.log().stage(&name)).await.expect("staged");
    append_all(engine.log(), &left, numbered(0..5)).await;
    assert_ne!(left.life, discarded.life);
    engine.reopen().await;
    is_gone(engine.log(), &discarded).await;
    // That it went when it was opened: what outlives nothing was not opened again.
    if append(engine.log(), &left, "late").await.is_ok() {
        soon(engine.log().discard(&left)).await.expect("discarded");
    }
    is_gone(engine.log(), &left).await;
    let next = create(engine.log(), "geneva").await;
    assert!(![discarded.life, left.life].contains(&next.life), "a life is never used again");
}

/// Everything from `from` to the head.
async fn read(log: &dyn Log, id: &LogId, from: u64) -> Vec<LogEntry> {
    let head = log.head(id).await.expect("a head").0;
    let mut tail = log.tail(id, Offset(from));
    let mut entries = Vec::new();
    while from + (entries.len() as u64) < head {
        entries.extend(soon(tail.next()).await.expect("goes on").expect("no error"));
    }
    entries
}

// Any sequence of operations, against a model that is a vector for each life.

#[derive(Debug, Clone)]
enum Op {
    Create {
        feed: usize,
        anew: bool,
    },
    /// `life` counts back from the youngest.
    Append {
        life: usize,
        records: Vec<Vec<u8>>,
    },
    Erase {
        life: usize,
        at: usize,
    },
    Delete {
        life: usize,
    },
    Read {
        life: usize,
        from: usize,
    },
    Stage {
        feed: usize,
    },
    /// `from_now`: from the life that the name has, and not from the one before the staged one.
    Switch {
        life: usize,
        from_now: bool,
    },
    Discard {
        life: usize,
    },
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    let record = prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        2 => (0..3_usize, any::<bool>()).prop_map(|(feed, anew)| Op::Create { feed, anew }),
        6 => (0..4_usize, prop::collection::vec(record, 1..12)).prop_map(|(life, records)| Op::Append { life, records }),
        2 => (0..4_usize, 0..30_usize).prop_map(|(life, at)| Op::Erase { life, at }),
        1 => (0..4_usize).prop_map(|life| Op::Delete { life }),
        3 => (0..4_usize, 0..30_usize).prop_map(|(life, from)| Op::Read { life, from }),
        2 => (0..3_usize).prop_map(|feed| Op::Stage { feed }),
        2 => (0..4_usize, any::<bool>()).prop_map(|(life, from_now)| Op::Switch { life, from_now }),
        1 => (0..4_usize).prop_map(|life| Op::Discard { life }),
        1 => Just(Op::Reopen),
    ]
}

/// One life as it should be; `None` once deleted.
struct Life {
    id: LogId,
    records: Option<Vec<Vec<u8>>>,
    staged: bool,
}

async fn agrees_with_the_model<E: Engine>(ops: Vec<Op>) {
    let mut engine = E::new().await;
    let mut lives: Vec<Life> = Vec::new();
    let mut last: HashMap<FeedId, usize> = HashMap::new();
    for op in ops {
        let nth = |life: &usize| lives.len().checked_sub(life + 1);
        match op {
            Op::Create { feed: n, anew } => {
                let name = feed(&format!("feed-{n}"));
                let made = soon(engine.log().create(&name, anew)).await;
                let known = last.get(&name).map(|at| &lives[*at]);
                match known {
                    Some(life) if life.records.is_some() => assert_eq!(made.expect("here"), life.id),
                    Some(_) if !anew => assert!(made.is_err_and(|error| is_deleted(&error))),
                    _ => {
                        let id = made.expect("made");
                        assert!(lives.iter().all(|life| life.id.life != id.life), "a life is never used again");
                        last.insert(name, lives.len());
                        lives.push(Life { id, records: Some(Vec::new()), staged: false });
                    }
                }
            }
            Op::Append { life, records } => {
                let Some(at) = nth(&life) else { continue };
                let mut answers = Vec::new();
                for record in &records {
                    answers.push(soon(engine.log().append(&lives[at].id, record.clone().into())).await);
                }
                for (record, answer) in records.into_iter().zip(answers) {
                    let answer = match answer {
                        Ok(answer) => soon(answer).await,
                        Err(error) => Err(error),
                    };
                    match &mut lives[at].records {
                        Some(model) => {
                            assert_eq!(answer.expect("appended"), Offset(model.len() as u64));
                            model.push(record);
                        }
                        None => assert!(answer.is_err_and(|error| is_deleted(&error))),
                    }
                }
            }
            Op::Erase { life, at: offset } => {
                let Some(at) = nth(&life) else { continue };
                let erased = soon(engine.log().erase(&lives[at].id, Offset(offset as u64))).await;
                match lives[at].records.as_mut().and_then(|model| model.get_mut(offset)) {
                    Some(record) => {
                        erased.expect("erased");
                        record.clear();
                    }
                    None => assert!(erased.is_err()),
                }
            }
            Op::Delete { life } => {
                let Some(at) = nth(&life) else { continue };
                soon(engine.log().delete(&lives[at].id)).await.expect("deleted");
                (lives[at].records, lives[at].staged) = (None, false);
            }
            Op::Read { life, from } => {
                let Some(at) = nth(&life) else { continue };
                let Some(model) = &lives[at].records else { continue };
                let found = read(engine.log(), &lives[at].id, from as u64).await;
                let found: Vec<_> = found.into_iter().map(|entry| (entry.offset.0, entry.record.to_vec())).collect();
                let expected: Vec<_> = (0..).zip(model.iter().cloned()).skip(from).collect();
                assert_eq!(found, expected);
            }
            Op::Stage { feed: n } => {
                let id = soon(engine.log().stage(&feed(&format!("feed-{n}")))).await.expect("staged");
                assert!(lives.iter().all(|life| life.id.life != id.life), "a life is never used again");
                lives.push(Life { id, records: Some(Vec::new()), staged: true });
            }
            Op::Switch { life, from_now } => {
                let Some(at) = nth(&life).filter(|at| lives[*at].staged) else { continue };
                let name = lives[at].id.feed.clone();
                let now = last.get(&name).copied().filter(|now| lives[*now].records.is_some());
                let old = if from_now { now } else { at.checked_sub(1) };
                let old_id = old.map(|old| lives[old].id.clone());
                let switched = soon(engine.log().switch(&lives[at].id, old_id.as_ref())).await.expect("an answer");
                assert_eq!(switched, old == now && last.get(&name).is_none_or(|last| *last < at));
                if switched {
                    lives[at].staged = false;
                    last.insert(name, at);
                    old.into_iter().for_each(|old| lives[old].records = None);
                }
            }
            Op::Discard { life } => {
                let Some(at) = nth(&life) else { continue };
                soon(engine.log().discard(&lives[at].id)).await.expect("discarded");
                if std::mem::take(&mut lives[at].staged) {
                    lives[at].records = None;
                }
            }
            Op::Reopen => {
                engine.reopen().await;
                for life in lives.iter_mut().filter(|life| life.staged) {
                    // Where nothing outlives the process there is no opening again.
                    if engine.log().head(&life.id).await.is_err() {
                        (life.staged, life.records) = (false, None);
                    }
                }
            }
        }
        let here: BTreeSet<LogId> =
            last.values().filter(|at| lives[**at].records.is_some()).map(|at| lives[*at].id.clone()).collect();
        let listed: BTreeSet<LogId> = engine.log().logs().await.expect("listed").into_iter().collect();
        assert_eq!(listed, here);
        let names: BTreeSet<FeedId> = engine.log().deleted_names().await.expect("listed").into_iter().collect();
        let gone = last.values().filter(|at| lives[**at].records.is_none()).map(|at| lives[*at].id.feed.clone());
        assert_eq!(names, gone.collect());
    }
    for life in &lives {
        let head = engine.log().head(&life.id).await.ok();
        assert_eq!(head, life.records.as_ref().map(|model| Offset(model.len() as u64)));
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn memory_agrees_with_the_model(ops in prop::collection::vec(op(), 1..40)) {
        block_on(agrees_with_the_model::<Memory>(ops));
    }

    #[test]
    fn embedded_agrees_with_the_model(ops in prop::collection::vec(op(), 1..40)) {
        block_on(agrees_with_the_model::<Embedded>(ops));
    }
}

proptest! {
    // Each of them with servers of its own.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn jetstream_agrees_with_the_model(ops in prop::collection::vec(op(), 1..40)) {
        if nats::found().is_some() {
            block_on(agrees_with_the_model::<JetStream>(ops));
        }
    }
}

// The embedded engine alone.

/// The bytes of the archive and of everything that SQLite keeps beside it.
fn raw(dir: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(dir).expect("a directory").map(|file| file.expect("a file").path());
    let mut files: Vec<PathBuf> = files.filter(|file| !file.ends_with("archive.lock")).collect();
    files.sort();
    files.iter().flat_map(|file| std::fs::read(file).expect("can be read")).collect()
}

fn contains(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

/// A promise is kept on the disk when the answer comes, not a moment later.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_record_is_committed() {
    let engine = Embedded::new().await;
    let id = create(engine.log(), "geneva").await;
    let beside = engine.beside();
    let committed = || -> i64 {
        let count = "SELECT coalesce(sum(count), 0) FROM batches";
        beside.query_row(count, [], |row| row.get(0)).expect("counted")
    };
    let mut tail = engine.log().tail(&id, Offset(0));
    for n in 0..100 {
        let answer = soon(engine.log().append(&id, "x".into())).await.expect("queued");
        if n % 2 == 0 {
            soon(answer).await.expect("durable");
            assert_eq!(committed(), n + 1, "acknowledged");
            take(&mut tail, n as u64, 1).await;
        } else {
            take(&mut tail, n as u64, 1).await;
            assert_eq!(committed(), n + 1, "given to a tail");
        }
    }
}

/// Many appends that wait together share a flush.
#[tokio::test]
async fn what_waits_together_is_committed_together() {
    let engine = Embedded::with(EmbeddedOptions::default());
    let id = create(engine.log(), "geneva").await;
    let answers = join_all((0..1000).map(|_| engine.log.append(&id, "x".into()))).await;
    for answer in answers {
        soon(answer.expect("queued")).await.expect("durable");
    }
    let stats = engine.log.stats();
    assert_eq!(stats.records, 1000);
    assert!(stats.commits < 500, "{stats:?}");
}

/// A tail that is further behind than the ring reaches reads the file, and finds its way back.
#[tokio::test]
async fn a_slow_tail_misses_nothing() {
    let engine = Embedded::with(EmbeddedOptions::default());
    let id = create(engine.log(), "geneva").await;
    let long = |n: usize| format!("{n} {}", "x".repeat(5000));
    let mut slow = engine.log.tail(&id, Offset(0));
    for round in 0..3 {
        append_all(&engine.log, &id, (round * 400..round * 400 + 400).map(long)).await;
        let taken = take(&mut slow, round as u64 * 400, 400).await;
        assert!(taken.iter().enumerate().all(|(n, record)| *record == long(round * 400 + n)));
    }
}

#[tokio::test]
async fn erased_and_deleted_bytes_are_nowhere_in_the_files() {
    let engine = Embedded::new().await;
    let mut ids = Vec::new();
    for n in 0..13 {
        ids.push(create(&engine.log, &format!("feed-{n}")).await);
    }
    // Sizes from a few bytes to several pages, and logs that lie between each other in the file.
    let secret = |n: usize| format!("<secret {n:05}> {}", "y".repeat(n * n * 7919 % 40_000));
    let mut places = Vec::new();
    for n in 0..400 {
        let id = &ids[n * 31 % 13];
        places.push((id, append(&engine.log, id, secret(n)).await.expect("appended")));
    }
    // Rows that share their pages with those of many others that go.
    let mut short = Vec::new();
    for n in 0..2000 {
        let id = &ids[[3, 8, 0][n % 3]];
        let text = format!("<hidden {n:05}>{}", "z".repeat(400 + n * 7919 % 1600));
        short.push((id, append(&engine.log, id, text).await.expect("appended")));
    }
    let mut tails: Vec<Tail> = ids.iter().map(|id| engine.log.tail(id, Offset(0))).collect();
    for tail in &mut tails {
        soon(tail.next()).await.expect("goes on").expect("no error");
    }
    for deleted in [3, 8] {
        soon(engine.log.delete(&ids[deleted])).await.expect("deleted");
    }
    let is_gone = |n: usize| [&ids[3], &ids[8]].contains(&places[n].0) || n.is_multiple_of(3);
    for n in (0..400).filter(|n| n % 3 == 0 && ![&ids[3], &ids[8]].contains(&places[*n].0)) {
        soon(engine.log.erase(places[n].0, places[n].1)).await.expect("erased");
    }
    for (id, offset) in short.iter().filter(|(id, _)| **id == ids[0]) {
        soon(engine.log.erase(id, *offset)).await.expect("erased");
    }
    let raw = raw(engine.dir.path());
    assert!(!raw.windows(8).any(|bytes| bytes == b"<hidden "), "all of these are deleted or erased");
    let found = raw.windows(14).filter(|bytes| bytes.starts_with(b"<secret ")).map(<[u8]>::to_vec);
    let found: HashSet<_> = found.collect();
    for n in 0..400 {
        assert_eq!(found.contains(format!("<secret {n:05}>").as_bytes()), !is_gone(n), "{n}");
    }
}

#[tokio::test]
async fn a_large_log_is_deleted_while_others_go_on() {
    let mut engine = Embedded::new().await;
    let (large, other) = (create(&engine.log, "large").await, create(&engine.log, "other").await);
    let answers = join_all((0..3000).map(|n| engine.log.append(&large, format!("{n}").into()))).await;
    join_all(answers.into_iter().map(|answer| answer.expect("queued"))).await;
    let mut deleted = engine.log.delete(&large);
    assert!(futures::poll!(&mut deleted).is_pending());
    append_all(&engine.log, &other, numbered(0..20)).await;
    soon(deleted).await.expect("deleted");
    let rows: i64 = engine
        .beside()
        .query_row("SELECT count(*) FROM batches WHERE log = 1 AND length(body) > 0", [], |row| row.get(0))
        .expect("counted");
    assert_eq!(rows, 0);
    engine.reopen().await;
    assert_eq!(take(&mut engine.log.tail(&other, Offset(0)), 0, 20).await, numbered(0..20));
}

/// As after a crash between the mark and the last row; of what was begun aside and left, too.
#[tokio::test]
async fn a_deletion_cut_short_is_taken_up_again() {
    for state in ["deleted", "discarded", "staged"] {
        let mut engine = Embedded::new().await;
        let id = create(&engine.log, "geneva").await;
        append_all(&engine.log, &id, numbered(0..5)).await;
        engine.beside().execute_batch(&format!("UPDATE feeds SET state = '{state}'")).expect("marked");
        engine.reopen().await;
        // The writer goes on with it after the first thing that it is asked, if not before.
        create(&engine.log, "basel").await;
        create(&engine.log, "chur").await;
        assert!(!contains(&raw(engine.dir.path()), "record 3"), "{state}");
    }
}

/// The bytes of a life that was replaced go too, and whoever replaced it does not wait for that.
#[tokio::test]
async fn a_replaced_life_leaves_no_bytes() {
    let engine = Embedded::new().await;
    let old = create(&engine.log, "geneva").await;
    let answers = join_all((0..2000).map(|n| engine.log.append(&old, format!("<hidden {n}>").into()))).await;
    join_all(answers.into_iter().map(|answer| answer.expect("queued"))).await;
    let staged = soon(engine.log.stage(&old.feed)).await.expect("staged");
    append(&engine.log, &staged, "new").await.expect("appended");
    assert!(soon(engine.log.switch(&staged, Some(&old))).await.expect("switched"));
    // That which waits for the last byte to go: a deletion, asked for again.
    soon(engine.log.delete(&old)).await.expect("gone");
    assert!(!contains(&raw(engine.dir.path()), "<hidden "));
    assert_eq!(take(&mut engine.log.tail(&staged, Offset(0)), 0, 1).await, ["new"]);
}

/// However much is written aside, the others' appends go before it, a portion of it between two of theirs.
#[tokio::test]
async fn what_is_written_aside_lets_others_pass() {
    let engine = Embedded::with(EmbeddedOptions::default());
    let live = create(&engine.log, "geneva").await;
    // More imports at once than the whole queue would hold.
    let mut staged = Vec::new();
    for _ in 0..24 {
        staged.push(soon(engine.log.stage(&feed("basel"))).await.expect("staged"));
    }
    let beside = engine.beside();
    beside.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let aside = async |id: &LogId| engine.log.append(id, vec![b'x'; 1_000_000].into()).await?.await;
    let mut aside = Box::pin(join_all(staged.iter().map(aside)));
    assert!(futures::poll!(&mut aside).is_pending());
    let mut said = Vec::new();
    for _ in 0..3 {
        said.push(soon(engine.log.append(&live, "said".into())).await.expect("there is room for it"));
    }
    beside.execute_batch("COMMIT").expect("unlocked");
    for answer in said {
        soon(answer).await.expect("durable");
    }
    assert!(soon(aside).await.iter().all(Result::is_ok));
    let place = |sql: &str| -> i64 { beside.query_row(sql, [], |row| row.get(0)).expect("a number") };
    let before =
        place("SELECT count(*) FROM batches WHERE log <> 1 AND id < (SELECT max(id) FROM batches WHERE log = 1)");
    let all = place("SELECT count(*) FROM batches WHERE log <> 1");
    assert!(before <= 1 && all == 24, "{before} of {all}");
}

/// By a list of what each start found, kept beside; also after the archive was put back to what it was once.
#[tokio::test]
async fn starts_tell_what_each_log_had() {
    let mut engine = Embedded::new().await;
    let mut ids = Vec::new();
    for name in ["geneva", "basel", "chur", "silent"] {
        ids.push(create(&engine.log, name).await);
    }
    let file = engine.dir.path().join("archive.db");
    let mut random: u64 = 7;
    let mut chance = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % below
    };
    // The id of each start that the archive knows, with the heads that it found.
    let first = engine.log.starts(&ids[0]).await.expect("starts").current().expect("one").as_str().to_owned();
    let mut known: Vec<(String, Vec<Offset>)> = vec![(first, vec![Offset::START; ids.len()])];
    let mut lost: Vec<String> = Vec::new();
    let mut copy = None;
    for round in 0..24 {
        for _ in 0..chance(9) {
            let count = 1 + chance(20);
            let records = (0..count).map(|n| format!("{round} {n}").into()).collect();
            let id = &ids[chance(3) as usize];
            soon(soon(engine.log.append_all(id, records)).await.expect("queued")).await.expect("durable");
        }
        soon(engine.log.close()).await;
        if round % 8 == 3 {
            copy = Some((std::fs::read(&file).expect("read"), known.clone()));
        }
        if round % 8 == 6 {
            let (bytes, then) = copy.take().expect("a copy");
            std::fs::write(&file, bytes).expect("written");
            lost.extend(known[then.len()..].iter().map(|(id, _)| id.clone()));
            known = then;
        }
        engine.log = open(engine.dir.path());
        let mut heads = Vec::new();
        for id in &ids {
            heads.push(engine.log.head(id).await.expect("a head"));
        }
        let current = engine.log.starts(&ids[0]).await.expect("starts");
        assert_eq!(current.current(), engine.log.current_start().as_ref());
        known.push((current.current().expect("one").as_str().to_owned(), heads));
        for (at, id) in ids.iter().enumerate() {
            let starts = engine.log.starts(id).await.expect("starts");
            assert_eq!(starts.end_of(None), Ok(Some(known[0].1[at])));
            for (index, (start, _)) in known.iter().enumerate() {
                let end = known.get(index + 1).map(|(_, heads)| heads[at]);
                assert_eq!(starts.end_of(Some(start)), Ok(end), "round {round}, feed {at}, start {index}");
            }
            assert!(lost.iter().all(|start| starts.end_of(Some(start)).is_err()));
        }
    }
    assert!(!lost.is_empty());
}

#[tokio::test]
async fn one_directory_has_one_server() {
    let engine = Embedded::new().await;
    let second = EmbeddedLog::open(engine.dir.path(), EmbeddedOptions::default()).expect_err("refused").to_string();
    assert!(second.contains(&format!("process {}", std::process::id())), "{second}");
    let Embedded { log, dir } = engine;
    drop(log);
    let third = open(dir.path());
    third.close().await;
    open(dir.path());
}

#[cfg(unix)]
#[tokio::test]
async fn the_directory_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    let inner = dir.path().join("a/b");
    open(&inner);
    let mode = inner.metadata().expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn a_full_archive_poisons_and_keeps_what_it_has() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = EmbeddedOptions { max_pages: Some(40), ..EmbeddedOptions::default() };
    let log = EmbeddedLog::open(dir.path(), options).expect("opens");
    let id = create(&log, "geneva").await;
    let mut kept = 0;
    let error = loop {
        match append(&log, &id, vec![b'x'; 3000]).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, LogError::Poisoned(cause) if cause.contains("full")), "{error}");
    assert!(kept > 10);
    assert_eq!(read(&log, &id, 0).await.len(), kept);
    drop(log);
    let log = open(dir.path());
    assert_eq!(append(&log, &id, "more").await.expect("appended"), Offset(kept as u64));
}

/// A full queue holds appends back, and one that gives up waiting has left nothing in it.
#[tokio::test]
async fn a_full_queue_waits_and_an_append_that_left_is_not_in_it() {
    let engine = Embedded::with(EmbeddedOptions { queue_bytes_max: 200, ..EmbeddedOptions::default() });
    let id = create(&engine.log, "geneva").await;
    // The writer cannot commit while someone else is writing.
    let beside = engine.beside();
    beside.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let first = soon(engine.log.append(&id, "first".into())).await.expect("queued");
    let mut left = engine.log.append(&id, "left".into());
    assert!(futures::poll!(&mut left).is_pending());
    let mut waiting = engine.log.append(&id, "waiting".into());
    assert!(futures::poll!(&mut waiting).is_pending());
    drop(left);
    beside.execute_batch("ROLLBACK").expect("unlocked");
    soon(first).await.expect("durable");
    soon(soon(waiting).await.expect("queued")).await.expect("durable");
    // Larger than the queue: passes alone.
    append(&engine.log, &id, vec![b'x'; 5000]).await.expect("durable");
    let lengths: Vec<_> = read(&engine.log, &id, 0).await.into_iter().map(|entry| entry.record.len()).collect();
    assert_eq!(lengths, [5, 7, 5000]);
}

/// Not multi-threaded and not paused: the reader polls by the clock.
#[tokio::test]
async fn an_archive_is_read_beside_its_server() {
    let engine = Embedded::new().await;
    let id = create(&engine.log, "geneva").await;
    append_all(&engine.log, &id, numbered(0..5)).await;
    let beside = EmbeddedLog::open_read_only(engine.dir.path(), EmbeddedOptions::default()).expect("opens");
    assert_eq!(beside.find(&id.feed).await.expect("found"), NameLookup::Here(id.clone()));
    let mut tail = beside.tail(&id, Offset(0));
    assert_eq!(take(&mut tail, 0, 5).await, numbered(0..5));
    append_all(&engine.log, &id, numbered(5..8)).await;
    assert_eq!(take(&mut tail, 5, 3).await, numbered(5..8));
    let refused = append(&beside, &id, "x").await.expect_err("refused").to_string();
    assert!(refused.contains("reading only"), "{refused}");
    assert!(beside.delete(&id).await.is_err() && beside.create(&id.feed, false).await.is_err());
    soon(engine.log.delete(&id)).await.expect("deleted");
    assert_ends(&mut tail, is_deleted).await;
    // Also when the server is gone, and with it the WAL.
    engine.log.close().await;
    let after = EmbeddedLog::open_read_only(engine.dir.path(), EmbeddedOptions::default()).expect("opens");
    assert_eq!(after.find(&id.feed).await.expect("found"), NameLookup::Deleted);
    let none = tempfile::tempdir().expect("a directory");
    assert!(EmbeddedLog::open_read_only(none.path(), EmbeddedOptions::default()).is_err());
    assert_eq!(std::fs::read_dir(none.path()).expect("a directory").count(), 0, "a reader makes no files");
}

/// What `sqlite3 archive.db 'SELECT * FROM records'` shows.
#[tokio::test]
async fn the_records_can_be_read_with_sql() {
    let engine = Embedded::new().await;
    let (a, b) = (create(&engine.log, "a").await, create(&engine.log, "b").await);
    let texts = |n: usize| format!("{{\"text\":\"Grüezi {n}:\",\"x\":\"{}\"}}", "z".repeat(n));
    let answers = join_all((0..40).map(|n| engine.log.append(&a, texts(n).into()))).await;
    join_all(answers.into_iter().map(|answer| answer.expect("queued"))).await;
    append(&engine.log, &b, "only").await.expect("appended");
    soon(engine.log.erase(&a, Offset(17))).await.expect("erased");
    let beside = engine.beside();
    let mut rows =
        beside.prepare("SELECT feed, \"offset\", record FROM records ORDER BY feed, \"offset\"").expect("a view");
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("rows");
    let rows: Vec<(String, i64, String)> = rows.map(|row| row.expect("a row")).collect();
    let mut expected: Vec<_> = (0..40).map(|n| ("a".to_string(), n, texts(n as usize))).collect();
    expected[17].2.clear();
    expected.push(("b".to_string(), 0, "only".to_string()));
    assert_eq!(rows, expected);
}
