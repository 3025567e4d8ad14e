//! The load: thousands of sockets of publishers and subscribers on one thread, and their results.
//!
//! It waits for events (`mio`) and handles them, without a runtime. Every wait has a limit and a description. The first
//! connection that fails ends the run, unless the scenario makes connections fail.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::frame;
use super::load_stats::LoadStats;
use crate::cli::bench::dialect::{Ack, ServerDialect};
use crate::cli::bench::feed::LoadFeed;
use crate::cli::bench::lines::LineMark;
use crate::cli::bench::link::{LinkContext, LinkRole, LoadLink};

/// Concurrent handshakes: enough to keep a server busy, and fewer than the 128 that many listeners queue. More would be
/// dropped and retried after a second, and only that second would be measured.
const IN_FLIGHT_MAX: usize = 64;

/// Time limit for anything that is awaited, even on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Request to stop everything, checked in every turn.
#[derive(Debug, Clone, Default)]
pub(super) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    pub(super) fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Fails if a stop was requested.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.0.load(Ordering::Relaxed) {
            bail!("stopped before the end");
        }
        Ok(())
    }
}

/// Publishers and subscribers of one server.
pub(super) struct Load {
    pub(super) dialect: ServerDialect,
    pub(super) feeds: Vec<LoadFeed>,
    pub(super) tally: LoadStats,
    /// True if connections may fail without ending the run.
    pub(super) is_tolerant: bool,
    links: Vec<Option<Box<LoadLink>>>,
    /// Index in `links` of each feed's publisher.
    publishers: Vec<usize>,
    address: SocketAddr,
    stop: StopFlag,
    began: Instant,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    message: Vec<u8>,
}

impl Load {
    pub(super) fn new(dialect: ServerDialect, address: SocketAddr, stop: StopFlag) -> anyhow::Result<Self> {
        Ok(Self {
            dialect,
            feeds: Vec::new(),
            tally: LoadStats::default(),
            is_tolerant: false,
            links: Vec::new(),
            publishers: Vec::new(),
            address,
            stop,
            began: Instant::now(),
            poll: Poll::new().context("the kernel gives nothing to wait with")?,
            events: Events::with_capacity(1024),
            buffer: vec![0; 256 * 1024],
            message: Vec::new(),
        })
    }

    /// Returns the nanoseconds since this load began: the clock of markers.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).expect("no run takes centuries")
    }

    /// Opens a publisher for each of `feeds` feeds.
    pub(super) fn open_publishers(&mut self, feeds: usize) -> anyhow::Result<()> {
        self.feeds.resize_with(feeds, LoadFeed::default);
        self.publishers.clear();
        for feed in 0..feeds {
            self.feeds[feed].is_open = false;
            let publisher = self.open(LinkRole::Publish, feed, feed, 0, "")?;
            self.publishers.push(publisher);
            let opened = |load: &Self| load.feeds[..=feed].iter().filter(|feed| !feed.is_open).count() < IN_FLIGHT_MAX;
            self.until(PATIENCE, "publishers are welcome", opened)?;
        }
        self.until(PATIENCE, "publishers are welcome", |load| load.feeds.iter().all(|feed| feed.is_open))
    }

    /// Opens `count` subscribers, spread over all feeds. Does not wait for the lines of those that read from the start.
    pub(super) fn open_subscribers(&mut self, count: usize, way: LinkRole) -> anyhow::Result<()> {
        let ready = self.tally.ready;
        for number in 0..count {
            let feed = number % self.feeds.len();
            let next = if way == LinkRole::Replay { 0 } else { self.feeds[feed].sent };
            self.feeds[feed].subscribers += u32::from(way != LinkRole::Replay);
            self.open(way, feed, number, next, "")?;
            self.until(PATIENCE, "subscribers are live", |load| number < load.tally.ready - ready + IN_FLIGHT_MAX)?;
        }
        self.until(PATIENCE, "subscribers are live", |load| load.tally.ready - ready >= count)
    }

    /// Reconnects subscribers that had lost their connection, each with its cursor. Calls `meanwhile` all the time.
    pub(super) fn resume(
        &mut self,
        subscribers: &[LoadLink],
        mut meanwhile: impl FnMut(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (ready, end) = (self.tally.ready, Instant::now() + PATIENCE);
        let mut lost = subscribers.iter();
        let mut opened = 0;
        loop {
            let back = self.tally.ready - ready;
            if back == subscribers.len() {
                return Ok(());
            }
            if Instant::now() > end {
                bail!("only {back} of {} subscribers are back after {} s", subscribers.len(), PATIENCE.as_secs());
            }
            for lost in lost.by_ref().take(IN_FLIGHT_MAX - (opened - back)) {
                self.open(LinkRole::Resume, lost.feed, lost.number, lost.follower.next, &lost.cursor)?;
                opened += 1;
            }
            meanwhile(self)?;
            self.turn(Duration::from_millis(5))?;
        }
    }

    fn open(&mut self, way: LinkRole, feed: usize, number: usize, next: u32, cursor: &str) -> anyhow::Result<usize> {
        let side = way.side(&self.dialect).context("this server keeps nothing that it could be asked for")?;
        let request =
            frame::request(&self.address.to_string(), &side.path(feed, cursor), self.dialect.token.as_deref());
        let mut stream = TcpStream::connect(self.address).context("no socket more can be opened")?;
        // Lines are small and must be sent at once.
        stream.set_nodelay(true).context("a socket cannot be used")?;
        let token = self.links.len();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(token), interest).context("a socket cannot be waited for")?;
        let mut link = LoadLink::new(stream, way, feed, number, next, request);
        link.cursor = cursor.to_owned();
        self.links.push(Some(Box::new(link)));
        Ok(token)
    }

    /// Queues a line of `feed` that was due at `due`; [`Load::flush`] sends it.
    pub(super) fn publish(&mut self, feed: usize, due: u64) -> anyhow::Result<()> {
        let number = self.feeds[feed].send(due, self.dialect.ack != Ack::Nothing);
        self.queue(feed, LineMark { number, due })
    }

    /// Sends the lines again that the killed server had not stored.
    pub(super) fn publish_again(&mut self, feed: usize) -> anyhow::Result<()> {
        for (number, due) in self.feeds[feed].lines_to_send_again() {
            self.queue(feed, LineMark { number, due })?;
        }
        self.flush(feed)
    }

    fn queue(&mut self, feed: usize, mark: LineMark) -> anyhow::Result<()> {
        // A disconnected publisher sends its lines after it has reconnected.
        let Some(link) = self.publishers.get(feed).and_then(|at| self.links[*at].as_mut()) else { return Ok(()) };
        self.message.clear();
        self.dialect.wrap.write(mark, &mut self.message);
        // Knuth's multiplier gives different masks, as clients have.
        link.queue(&self.message, mark.number.wrapping_mul(2_654_435_761) | 1).map_err(anyhow::Error::msg)
    }

    /// Sends queued lines.
    pub(super) fn flush(&mut self, feed: usize) -> anyhow::Result<()> {
        let Some(at) = self.publishers.get(feed).copied() else { return Ok(()) };
        let Some(link) = &mut self.links[at] else { return Ok(()) };
        let sent = link.flush();
        self.settle(at, sent)
    }

    /// Handles events, or waits for them, for at most `longest`; does not sleep for less than a millisecond.
    pub(super) fn turn(&mut self, longest: Duration) -> anyhow::Result<()> {
        self.stop.check()?;
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        // The kernel would round up, and a line would be late by that.
        let longest = Duration::from_millis(u64::try_from(longest.as_millis()).unwrap_or(u64::MAX));
        match self.poll.poll(&mut events, Some(longest)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(error).context("cannot wait"),
            _ => {}
        }
        for event in &events {
            let at = event.token().0;
            let Some(mut link) = self.links[at].take() else { continue };
            let mut outcome = if event.is_writable() { link.flush() } else { Ok(()) };
            if outcome.is_ok() && (event.is_readable() || event.is_read_closed() || event.is_error()) {
                outcome = self.read(&mut link);
            }
            self.links[at] = Some(link);
            self.settle(at, outcome)?;
        }
        self.events = events;
        Ok(())
    }

    /// Reads everything that one socket has.
    fn read(&mut self, link: &mut LoadLink) -> Result<(), String> {
        let Self { feeds, tally, dialect, buffer, began, .. } = self;
        loop {
            let length = link.read(buffer)?;
            if length == 0 {
                return Ok(());
            }
            tally.bytes += length as u64;
            let now = u64::try_from(began.elapsed().as_nanos()).expect("no run takes centuries");
            let feed = &mut feeds[link.feed];
            link.take(&buffer[..length], &mut LinkContext { dialect, feed, tally, now })?;
            // epoll(7): a stream that gave less than requested is empty. Other systems must report that themselves.
            if cfg!(target_os = "linux") && length < buffer.len() {
                return Ok(());
            }
        }
    }

    /// Removes a link that has ended.
    fn settle(&mut self, at: usize, outcome: Result<(), String>) -> anyhow::Result<()> {
        let (Err(why), Some(link)) = (outcome, &mut self.links[at]) else { return Ok(()) };
        let _ = self.poll.registry().deregister(&mut link.stream);
        link.is_gone = true;
        if self.is_tolerant {
            return Ok(());
        }
        let who = if link.way == LinkRole::Publish { "publisher" } else { "subscriber" };
        bail!("{who} {} of feed {}: {why}", link.number, link.feed)
    }

    /// Handles events until `done`, or until the time is over; returns true if `done`.
    pub(super) fn wait(&mut self, within: Duration, done: impl Fn(&Self) -> bool) -> anyhow::Result<bool> {
        let end = Instant::now() + within;
        while !done(self) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.turn(left.min(Duration::from_millis(10)))?;
        }
        Ok(true)
    }

    /// Like [`Load::wait`], but fails if the time is over first.
    pub(super) fn until(&mut self, within: Duration, what: &str, done: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        if !self.wait(within, done)? {
            bail!("waited for {} s, and it is not so that {what}", within.as_secs());
        }
        Ok(())
    }

    /// Handles events for `time`.
    pub(super) fn rest(&mut self, time: Duration) -> anyhow::Result<()> {
        self.wait(time, |_| false).map(drop)
    }

    /// Starts recording: what was measured before does not count.
    pub(super) fn record(&mut self) {
        (self.tally.deliveries, self.tally.bytes, self.tally.is_recording) = (0, 0, true);
        for feed in &mut self.feeds {
            feed.recorded_from = feed.sent;
        }
    }

    pub(super) fn lines_sent(&self) -> u64 {
        self.feeds.iter().map(|feed| u64::from(feed.sent)).sum()
    }

    /// Waits until every line has arrived, or nothing more arrives; counts missing lines.
    pub(super) fn drain(&mut self) -> anyhow::Result<()> {
        self.until_silent(|load| load.feeds.iter().all(LoadFeed::is_settled))?;
        self.count_missing();
        Ok(())
    }

    /// Waits until `joiners` late joiners have everything, or nothing more arrives; counts missing lines.
    pub(super) fn await_joiners(&mut self, joiners: usize) -> anyhow::Result<()> {
        self.until_silent(|load| load.tally.complete >= joiners)?;
        self.count_missing();
        Ok(())
    }

    /// Handles events until `done`, or until nothing relevant has arrived for some time.
    fn until_silent(&mut self, done: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        /// Longer than a server takes for its next line, even on a busy machine.
        const SILENCE: Duration = Duration::from_secs(3);
        let progress = |load: &Self| (load.tally.deliveries, load.feeds.iter().map(|feed| feed.acked).sum::<u64>());
        let end = Instant::now() + PATIENCE;
        let mut before = None;
        while !done(self) && Instant::now() < end && before != Some(progress(self)) {
            before = Some(progress(self));
            self.wait(SILENCE, |load| done(load) || before != Some(progress(load)))?;
        }
        Ok(())
    }

    fn count_missing(&mut self) {
        for link in self.links.iter().flatten().filter(|link| link.way != LinkRole::Publish) {
            let lacks = self.feeds[link.feed].sent.saturating_sub(link.follower.next);
            self.tally.faults.missing(u64::from(lacks), &format!("subscriber {}", link.number));
        }
    }

    /// Closes the late joiners.
    pub(super) fn close_joiners(&mut self) {
        for slot in &mut self.links {
            slot.take_if(|link| link.way == LinkRole::Replay);
        }
        (self.tally.ready, self.tally.complete) = (0, 0);
    }

    /// Waits until all connections have ended, and returns their subscribers.
    pub(super) fn lose_all(&mut self) -> anyhow::Result<Vec<LoadLink>> {
        self.until(PATIENCE, "all connections are gone", |load| load.links.iter().flatten().all(|link| link.is_gone))?;
        let links = self.links.drain(..).flatten();
        let subscribers = links.filter(|link| link.way != LinkRole::Publish).map(|link| *link).collect();
        self.publishers.clear();
        Ok(subscribers)
    }
}
