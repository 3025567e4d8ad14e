//! Readers who have all there is, in groups: one task writes what is new to all sockets of a group.
//!
//! A reader that stands in a group costs its own task nothing when something is sent: that task waits for what the reader
//! says. The group's task wakes once for all of them and hands each socket the same bytes. A socket that does not take
//! them at once leaves the group, and its reader's own task goes on where it stands ([`super::single`]); so no group
//! waits for anybody, and it has no more to say than what fits every reader: changes and heartbeats. Whatever else there
//! is to be told, or done, sends the readers back to their tasks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::config::TimesConfig;
use crate::feed::{EncodedChanges, Feed, FollowHandle, LiveView};
use crate::position::FeedId;
use crate::server::core::close::CloseReason;
use crate::server::core::context::ServerContext;
use crate::server::transport::websocket::{PING, SocketFrame, WebSocket};
use crate::transcript::Timestamp;
use crate::wire::{ToSubscriber, Unit};

/// Readers of one group: some milliseconds of writing, after which others have their turn. A feed with more of them has
/// several groups, which run on as many cores as there are.
const GROUP_READERS_MAX: usize = 256;

/// The groups of every view that is read.
pub(crate) struct Fanout {
    context: Arc<ServerContext>,
    groups: Mutex<HashMap<GroupKey, Vec<Arc<Group>>>>,
    /// The tasks of the groups.
    pub(crate) tasks: TaskTracker,
}

impl std::fmt::Debug for Fanout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fanout")
    }
}

/// What a group is sent: the address of its view, which it holds, and the unit.
type GroupKey = (usize, Unit);

struct Group {
    feed: FeedId,
    view: Arc<LiveView>,
    unit: Unit,
    joining: Mutex<PendingJoins>,
    /// Rung when somebody joins who is behind, and when many have left.
    rung: Notify,
    /// Those that left since the last pass.
    left: AtomicUsize,
}

#[derive(Default)]
struct PendingJoins {
    members: Vec<Arc<Member>>,
    /// All members with those above, and with those that have left since the last pass.
    count: usize,
}

/// A reader in a group. Its own task holds it while it reads, the group's while it writes; neither waits for the client.
///
/// A delivery looks at the lock and at what stands first behind it: one line of the processor's cache, which cannot hold
/// thousands of readers.
#[repr(align(64))]
struct Member(Mutex<MemberState>);

#[repr(C)]
struct MemberState {
    /// The changes it has been sent, or is being sent.
    since: u64,
    /// None once the reader has left.
    socket: Option<WebSocket>,
    /// True if the socket can be written to without asking anything of it.
    is_direct: bool,
    /// The group is done with the reader, which has to go on by itself.
    sent_back: Option<Result<ExitReason, CloseReason>>,
    /// Wakes the reader's task.
    waker: Option<Waker>,
}

/// How a reader comes out of a group.
pub(crate) struct FanoutExit {
    pub(crate) socket: WebSocket,
    /// The changes it has seen, once what is under way has been sent.
    pub(crate) since: u64,
    pub(crate) why: Result<ExitReason, CloseReason>,
}

/// Reason why a reader comes out of a group.
#[derive(Debug)]
pub(crate) enum ExitReason {
    /// It said something.
    Said(SocketFrame),
    /// It did not take changes at once; they came at this time, if that is known still.
    Full(Option<Timestamp>),
    /// There is something that is between the server and this reader.
    Other,
}

/// A reader's place in a group, which it leaves in any case.
struct MembershipGuard {
    group: Arc<Group>,
    member: Arc<Member>,
}

impl MembershipGuard {
    fn leave(&mut self) -> Option<(WebSocket, u64)> {
        let mut standing = self.member.lock();
        let (socket, since) = (standing.socket.take()?, standing.since);
        let left = self.group.left.fetch_add(1, Ordering::Relaxed) + 1;
        if left * 2 > self.group.joining().count {
            self.group.rung.notify_one();
        }
        Some((socket, since))
    }
}

impl Drop for MembershipGuard {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Member {
    fn lock(&self) -> MutexGuard<'_, MemberState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemberState {
    /// The reader's side: hears it, and its group.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<ExitReason, CloseReason>> {
        loop {
            if let Some(why) = self.sent_back.take() {
                return Poll::Ready(why);
            }
            let Some(socket) = &mut self.socket else { return Poll::Ready(Err(CloseReason::Gone)) };
            let heard = socket.poll_next(cx);
            self.is_direct = socket.is_direct();
            match heard {
                Poll::Ready(Ok(SocketFrame::Sign)) => {}
                Poll::Ready(said) => return Poll::Ready(said.map(ExitReason::Said)),
                Poll::Pending => {
                    self.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
            }
        }
    }

    /// The group's side: the reader goes on by itself.
    fn send_back(&mut self, why: Result<ExitReason, CloseReason>) {
        self.sent_back = Some(why);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Fanout {
    pub(crate) fn new(context: Arc<ServerContext>) -> Self {
        Self { context, groups: Mutex::default(), tasks: TaskTracker::new() }
    }

    /// Stands in a group of `view` until the reader says something, or has to go on by itself; then the socket may have begun
    /// a message ([`WebSocket::finish_sending`]). Dropped, it drops the connection.
    pub(crate) async fn stand(
        self: &Arc<Self>,
        feed: &Feed,
        (view, unit): (&Arc<LiveView>, Unit),
        socket: WebSocket,
        since: u64,
    ) -> FanoutExit {
        let standing =
            MemberState { is_direct: socket.is_direct(), socket: Some(socket), since, sent_back: None, waker: None };
        let member = Arc::new(Member(Mutex::new(standing)));
        let mut place = MembershipGuard { group: self.join(feed, (view, unit), member.clone()), member };
        {
            let now = view.now();
            if now.change > since || matches!(now.following, FollowHandle::No(_)) {
                // The group may have seen that before this reader was in it.
                place.group.rung.notify_one();
            }
        }
        let why = std::future::poll_fn(|cx| place.member.lock().poll(cx)).await;
        let (socket, since) = place.leave().expect("the socket is there until its reader leaves");
        FanoutExit { socket, since, why }
    }

    /// Finds a group of `view` with room for `member`, or begins one.
    fn join(self: &Arc<Self>, feed: &Feed, what: (&Arc<LiveView>, Unit), member: Arc<Member>) -> Arc<Group> {
        let (view, unit) = what;
        let mut groups = self.lock();
        let of_view = groups.entry((Arc::as_ptr(view).addr(), unit)).or_default();
        let with_room = of_view.iter().find(|group| group.joining().count < GROUP_READERS_MAX);
        if let Some(group) = with_room {
            let mut joining = group.joining();
            joining.count += 1;
            joining.members.push(member);
            return group.clone();
        }
        let group = Arc::new(Group {
            feed: feed.name().clone(),
            view: view.clone(),
            unit,
            joining: Mutex::new(PendingJoins { members: vec![member], count: 1 }),
            rung: Notify::new(),
            left: AtomicUsize::new(0),
        });
        of_view.push(group.clone());
        // It hands out turns itself: a part of a pass has no reason to wait.
        self.tasks.spawn(tokio::task::unconstrained(run(self.clone(), group.clone())));
        group
    }

    /// Takes a group off the list, so that nobody joins it any more.
    fn remove(&self, group: &Arc<Group>) {
        let mut groups = self.lock();
        let key = (Arc::as_ptr(&group.view).addr(), group.unit);
        let Some(of_view) = groups.get_mut(&key) else { return };
        of_view.retain(|other| !Arc::ptr_eq(other, group));
        if of_view.is_empty() {
            groups.remove(&key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<GroupKey, Vec<Arc<Group>>>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    fn joining(&self) -> MutexGuard<'_, PendingJoins> {
        self.joining.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a group until the last reader has left it.
async fn run(fanout: Arc<Fanout>, group: Arc<Group>) {
    let context = fanout.context.clone();
    let times = &context.config.times;
    let (beat, gone_after) = (TimesConfig::ms(times.heartbeat_ms), TimesConfig::ms(times.silence_timeout_ms));
    let mut bell = group.view.bell();
    let mut members = Members { fanout, of: group.clone(), all: Vec::new() };
    // Who has been here for long was last spoken to when there was this change, or a heartbeat.
    let (mut change, mut spoke) = (0, Instant::now());
    loop {
        let now = Instant::now();
        let (is_over, change_before) = {
            let bell = bell.borrow_and_update();
            let is_over = context.stop.is_cancelled() || matches!(bell.following, FollowHandle::No(_));
            (is_over, std::mem::replace(&mut change, bell.change))
        };
        members.take_joining();
        let are_told = members.send_changes(now);
        if change > change_before && are_told {
            spoke = now;
        } else if now.saturating_duration_since(spoke) >= beat {
            members.send_heartbeat(now, gone_after);
            spoke = now;
        }
        // What comes behind the end is between the server and each of its readers.
        if is_over || group.view.transcript().ended_at().is_some() {
            members.send_all_back();
        }
        if members.count() == 0 {
            // Whoever has joined since is sent back, and finds another group.
            return;
        }
        // Others have their turn, however much there is to send.
        tokio::task::yield_now().await;
        tokio::select! {
            biased;
            () = context.stop.cancelled() => {}
            // Its sender lives as long as the view, which the group holds.
            _ = bell.changed() => {}
            () = group.rung.notified() => {}
            () = tokio::time::sleep_until(spoke + beat) => {}
        }
    }
}

/// The members of a group, in the hands of its task. When that ends, however it does, they go on by themselves.
struct Members {
    fanout: Arc<Fanout>,
    of: Arc<Group>,
    all: Vec<Arc<Member>>,
}

impl Drop for Members {
    fn drop(&mut self) {
        self.fanout.remove(&self.of);
        self.take_joining();
        self.send_all_back();
    }
}

impl Members {
    fn take_joining(&mut self) {
        self.of.left.store(0, Ordering::Relaxed);
        self.all.append(&mut self.of.joining().members);
    }

    /// How many there are, so that no more join than may.
    fn count(&self) -> usize {
        let mut joining = self.of.joining();
        joining.count = self.all.len() + joining.members.len();
        joining.count
    }

    /// Sends everybody the changes it has not seen; false if these were nothing to somebody, who then heard nothing.
    fn send_changes(&mut self, now: Instant) -> bool {
        let view = &self.of.view;
        let change = view.now().change;
        let (mut sent, mut taken, mut sent_bytes) = (0, 0, 0);
        let mut bodies: Option<Arc<EncodedChanges>> = None;
        let mut are_told = true;
        let mut cx = Context::from_waker(Waker::noop());
        retain_ahead(&mut self.all, |member| {
            let mut standing = member.lock();
            let standing = &mut *standing;
            let Some(socket) = &mut standing.socket else { return false };
            if standing.since >= change {
                return true;
            }
            if bodies.as_ref().is_none_or(|bodies| bodies.since != standing.since) {
                bodies = view.bodies(self.of.unit, standing.since);
            }
            let Some(next) = &bodies else { return true };
            // A change that is nothing to readers of this unit.
            if next.parts.is_empty() && !next.behind {
                standing.since = next.to;
                are_told = false;
                return true;
            }
            // Several messages, or pages, are for its own task: it may have to wait in the midst of them.
            let ([message], false) = (&next.parts[..], next.behind) else {
                standing.send_back(Ok(ExitReason::Other));
                return false;
            };
            let written = if standing.is_direct {
                socket.send_now(message.frame())
            } else {
                let written = socket.poll_send(&mut cx, message.frame(), now);
                standing.is_direct = socket.is_direct();
                written
            };
            if let Poll::Ready(Err(end)) = written {
                standing.send_back(Err(end));
                return false;
            }
            standing.since = next.to;
            sent += 1;
            sent_bytes += message.body().len();
            if written.is_pending() {
                standing.send_back(Ok(ExitReason::Full(next.arrived_at)));
                return false;
            }
            taken += 1;
            true
        });
        if sent > 0 {
            let metrics = &self.fanout.context.metrics;
            metrics.sent(sent, sent_bytes);
            if let Some(arrived_at) = bodies.and_then(|bodies| bodies.arrived_at) {
                metrics.delivered_after(self.fanout.context.clock.now().since(arrived_at), taken);
            }
        }
        are_told
    }

    /// Says that nothing has happened, and asks everybody for a sign of life.
    fn send_heartbeat(&mut self, now: Instant, gone_after: Duration) {
        let change = self.all.first().map_or(0, |member| member.lock().since);
        let cursor = self.of.view.transcript().cursor(change);
        let heartbeat = ToSubscriber::Heartbeat {
            feed: Some(self.of.feed.clone()),
            cursor,
            server_at: self.fanout.context.clock.now(),
        };
        let frames = Bytes::from([&heartbeat.encode().frame()[..], &PING[..]].concat());
        let mut cx = Context::from_waker(Waker::noop());
        self.all.retain(|member| {
            let mut standing = member.lock();
            let standing = &mut *standing;
            let Some(socket) = &mut standing.socket else { return false };
            // The cursor is not this one's; it is about to be sent changes.
            if standing.since != change {
                return true;
            }
            let written = match socket.signs().ask(now, gone_after) {
                Ok(()) => socket.poll_send(&mut cx, &frames, now),
                Err(end) => Poll::Ready(Err(end)),
            };
            match written {
                Poll::Ready(Ok(())) => return true,
                Poll::Ready(Err(end)) => standing.send_back(Err(end)),
                Poll::Pending => standing.send_back(Ok(ExitReason::Full(None))),
            }
            false
        });
    }

    fn send_all_back(&mut self) {
        for member in self.all.drain(..) {
            member.lock().send_back(Ok(ExitReason::Other));
        }
    }
}

/// Keeps those of `members` that `keep` says, in their order; the next one comes from memory while the kernel is busy with
/// this one.
fn retain_ahead(members: &mut Vec<Arc<Member>>, mut keep: impl FnMut(&Member) -> bool) {
    let mut kept = 0;
    for at in 0..members.len() {
        if let Some(next) = members.get(at + 1) {
            fetch_ahead(&**next);
        }
        if keep(&members[at]) {
            members.swap(kept, at);
            kept += 1;
        }
    }
    members.truncate(kept);
}

/// Has the first line of `what` brought into the processor's cache, where the processor can be asked for that.
#[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "it is asked by the processor's own instruction"))]
fn fetch_ahead<T>(what: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction reads nothing and fails for no address; SSE is part of x86_64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(what).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = what;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, DuplexStream};

    use super::*;
    use crate::config::Config;
    use crate::log::MemoryLog;
    use crate::server::Server;
    use crate::server::core::clock::{Clock, Rng};
    use crate::server::transport::stream::Transport;
    use crate::transcript::{FoldView, Op, Record};
    use crate::wire::publisher::decode_line;

    /// A feed with two lines, and its view.
    async fn feed() -> (Server, Arc<Feed>, Arc<LiveView>) {
        let log = Arc::new(MemoryLog::new());
        let server = Server::new(Config::default(), log, Clock::of_this_machine(), Rng::of_this_machine());
        let catalog = server.catalog();
        let feed = catalog.open_to_publish(&FeedId::new("geneva").expect("a name")).await.expect("created");
        feed.append_all(&[line(&catalog.context, "1"), line(&catalog.context, "2")]).await.expect("kept");
        let view = feed.view(FoldView::Interim).await.expect("a view");
        (server, feed, view)
    }

    fn line(context: &ServerContext, id: &str) -> Record {
        let line = decode_line(&format!(r#"{{"id": "{id}", "text": "said"}}"#), &context.limits(), 0).expect("a line");
        context.record(Op::Line { source: "main".into(), lines: vec![line] })
    }

    async fn socket(context: &ServerContext, room: usize) -> (WebSocket, DuplexStream) {
        let (ours, client) = tokio::io::duplex(room);
        let (limits, times) = (&context.config.limits, &context.config.times);
        (WebSocket::new(Transport::Other(Box::new(ours)), &[], 512, limits.message_bytes, times).await, client)
    }

    /// Until the group's task has seen all who joined.
    async fn joined(fanout: &Fanout) {
        while !fanout.lock().values().flatten().all(|group| group.joining().members.is_empty()) {
            tokio::task::yield_now().await;
        }
    }

    async fn soon<T>(what: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(10), what).await.expect("in time")
    }

    /// Between its look at the view and its place in the group a reader may miss changes that the group has dealt with.
    #[tokio::test]
    async fn who_joins_behind_is_sent_what_it_lacks() {
        let (server, feed, view) = feed().await;
        let (fanout, change) = (server.fanout(), view.now().change);
        let context = &fanout.context;
        let (first, _first_client) = socket(context, 1024).await;
        let mut up_to_date = std::pin::pin!(fanout.stand(&feed, (&view, Unit::Lines), first, change));
        assert!(futures::poll!(&mut up_to_date).is_pending());
        joined(fanout).await;
        let ((second, mut second_client), (third, mut third_client)) =
            (socket(context, 1024).await, socket(context, 1024).await);
        let mut second = std::pin::pin!(fanout.stand(&feed, (&view, Unit::Lines), second, 0));
        let mut third = std::pin::pin!(fanout.stand(&feed, (&view, Unit::Lines), third, change - 1));
        assert!(futures::poll!(&mut second).is_pending() && futures::poll!(&mut third).is_pending());
        for (since, client) in [(0, &mut second_client), (change - 1, &mut third_client)] {
            let lacks = view.bodies(Unit::Lines, since).expect("some");
            let frame = lacks.parts[0].frame();
            let mut received = vec![0; frame.len()];
            soon(client.read_exact(&mut received)).await.expect("sent");
            assert_eq!(received, frame[..], "since {since}");
        }
    }

    #[tokio::test]
    async fn who_does_not_take_it_goes_on_alone() {
        let (server, feed, view) = feed().await;
        let (fanout, change) = (server.fanout(), view.now().change);
        let context = &fanout.context;
        let (narrow, _client) = socket(context, 16).await;
        let stood = soon(fanout.stand(&feed, (&view, Unit::Lines), narrow, 0)).await;
        assert!(matches!(stood.why, Ok(ExitReason::Full(_))));
        assert_eq!(stood.since, change);
    }

    /// A proxy may keep a connection open whose reader has gone.
    #[tokio::test]
    async fn who_shows_no_sign_of_life_is_let_go() {
        let (server, feed, view) = feed().await;
        let (fanout, change) = (server.fanout(), view.now().change);
        let context = &fanout.context;
        let gone_after = TimesConfig::ms(context.config.times.silence_timeout_ms);
        tokio::time::pause();
        let begun = Instant::now();
        // There is room for all that it is sent and never answers.
        let (silent, _client) = socket(context, 1 << 16).await;
        let stood = fanout.stand(&feed, (&view, Unit::Lines), silent, change);
        let stood = tokio::time::timeout(gone_after * 4, stood).await.expect("let go");
        assert!(matches!(stood.why, Err(CloseReason::Gone)));
        assert!(begun.elapsed() >= gone_after);
    }

    #[tokio::test]
    async fn who_stays_is_sent_on_when_another_leaves() {
        let (server, feed, view) = feed().await;
        let (fanout, change) = (server.fanout(), view.now().change);
        let context = &fanout.context;
        let (mut standing, mut clients) = (Vec::new(), Vec::new());
        for _ in 0..4 {
            let (socket, client) = socket(context, 4096).await;
            let mut stood = Box::pin(fanout.stand(&feed, (&view, Unit::Lines), socket, change));
            assert!(futures::poll!(&mut stood).is_pending());
            standing.push(stood);
            clients.push(client);
        }
        joined(fanout).await;
        let mut since = change;
        for round in 0..3 {
            feed.append_all(&[line(context, &format!("later-{round}"))]).await.expect("kept");
            feed.view(FoldView::Interim).await.expect("a view");
            let said = view.bodies(Unit::Lines, since).expect("a change");
            let frame = said.parts[0].frame();
            for client in &mut clients {
                let mut received = vec![0; frame.len()];
                soon(client.read_exact(&mut received)).await.expect("sent");
                assert_eq!(received, frame[..], "round {round}");
            }
            since = said.to;
            if round == 0 {
                drop(standing.remove(1));
                clients.remove(1);
            }
        }
    }

    #[tokio::test]
    async fn a_group_ends_with_its_last_reader() {
        let (server, feed, view) = feed().await;
        let (fanout, change) = (server.fanout(), view.now().change);
        let context = &fanout.context;
        let (first, client) = socket(context, 1024).await;
        drop(client);
        let stood = soon(fanout.stand(&feed, (&view, Unit::Lines), first, change)).await;
        assert!(stood.why.is_err());
        fanout.tasks.close();
        soon(fanout.tasks.wait()).await;
        assert!(fanout.lock().is_empty());
    }
}
