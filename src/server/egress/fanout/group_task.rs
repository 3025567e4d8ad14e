//! The task of a group: wakes once for all of its members.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::time::Instant;

use crate::feed::FollowState;
use crate::server::core::context::ServerContext;
use crate::server::egress::fanout::groups::{Group, GroupRegistry};
use crate::server::egress::fanout::member::{ExitReason, Member};
use crate::server::transport::keepalive::KeepaliveTimes;
use crate::server::transport::websocket::PING;
use crate::wire::ToSubscriber;

/// Runs a group until the last reader has left it.
pub(super) async fn run(context: Arc<ServerContext>, registry: Arc<GroupRegistry>, group: Arc<Group>) {
    let times = KeepaliveTimes::new(&context.config.times);
    let mut bell = group.view.bell();
    let mut members = GroupMembers { context: context.clone(), registry, group: group.clone(), all: Vec::new() };
    // Who has been here for long was last spoken to when there was this change, or a heartbeat.
    let (mut change, mut spoke) = (0, Instant::now());
    loop {
        let now = Instant::now();
        let (is_over, change_before) = {
            let bell = bell.borrow_and_update();
            let is_over = context.stop.is_cancelled() || matches!(bell.following, FollowState::Ended(_));
            (is_over, std::mem::replace(&mut change, bell.change))
        };
        members.take_joining();
        let are_told = members.send_changes(now);
        if change > change_before && are_told {
            spoke = now;
        } else if now >= times.due_after(spoke) {
            members.send_heartbeat(now, times);
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
            () = tokio::time::sleep_until(times.due_after(spoke)) => {}
        }
    }
}

/// The members of a group, in the hands of its task. When that ends, however it does, they go on by themselves.
pub(super) struct GroupMembers {
    pub(super) context: Arc<ServerContext>,
    registry: Arc<GroupRegistry>,
    pub(super) group: Arc<Group>,
    pub(super) all: Vec<Arc<Member>>,
}

impl Drop for GroupMembers {
    fn drop(&mut self) {
        self.registry.remove(&self.group);
        self.take_joining();
        self.send_all_back();
    }
}

impl GroupMembers {
    fn take_joining(&mut self) {
        self.group.left.store(0, Ordering::Relaxed);
        self.all.append(&mut self.group.joining().members);
    }

    /// Counts the members, so that no more join than may.
    fn count(&self) -> usize {
        let mut joining = self.group.joining();
        joining.count = self.all.len() + joining.members.len();
        joining.count
    }

    /// Says that nothing has happened, and asks everybody for a sign of life.
    fn send_heartbeat(&mut self, now: Instant, times: KeepaliveTimes) {
        let change = self.all.first().map_or(0, |member| member.lock().since);
        let cursor = self.group.view.transcript().cursor(change);
        let heartbeat = ToSubscriber::Heartbeat {
            feed: Some(self.group.feed.clone()),
            cursor,
            server_at: self.context.clock.now(),
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
            let written = match socket.keepalive().note_ping(now, times) {
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
