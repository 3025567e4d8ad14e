//! The hot path of fan-out: writes changes to the sockets of a group.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use crate::feed::EncodedChanges;
use crate::server::egress::fanout::group_task::GroupMembers;
use crate::server::egress::fanout::member::{ExitReason, Member};

impl GroupMembers {
    /// Sends everybody the changes it has not seen; false if these were nothing to somebody, who then heard nothing.
    pub(super) fn send_changes(&mut self, now: Instant) -> bool {
        let view = &self.group.view;
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
                bodies = view.bodies(self.group.unit, standing.since);
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
            let metrics = &self.context.metrics;
            metrics.sent(sent, sent_bytes);
            if let Some(arrived_at) = bodies.and_then(|bodies| bodies.arrived_at) {
                metrics.delivered_after(self.context.clock.now().since(arrived_at), taken);
            }
        }
        are_told
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
