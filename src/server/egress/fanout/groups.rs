//! The groups of a server: which there are, and who is about to join them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::feed::{Feed, LiveView};
use crate::position::FeedId;
use crate::server::egress::fanout::member::Member;
use crate::server::transport::websocket::WebSocket;
use crate::wire::Unit;

/// Readers of one group: some milliseconds of writing, after which others have their turn. A feed with more of them has
/// several groups, which run on as many cores as there are.
const GROUP_READERS_MAX: usize = 256;

/// The groups of every view that is read.
#[derive(Default)]
pub(super) struct GroupRegistry(Mutex<HashMap<GroupKey, Vec<Arc<Group>>>>);

/// Key of the groups with the same messages: the address of their view, which they hold, and the unit.
type GroupKey = (usize, Unit);

/// A group: its members are in the hands of its task.
pub(super) struct Group {
    pub(super) feed: FeedId,
    pub(super) view: Arc<LiveView>,
    pub(super) unit: Unit,
    joining: Mutex<PendingJoins>,
    /// Rung when somebody joins who is behind, and when many have left.
    pub(super) rung: Notify,
    /// Those that left since the last pass.
    pub(super) left: AtomicUsize,
}

#[derive(Default)]
pub(super) struct PendingJoins {
    pub(super) members: Vec<Arc<Member>>,
    /// All members with those above, and with those that have left since the last pass.
    pub(super) count: usize,
}

/// A reader's place in a group, which it leaves in any case.
pub(super) struct MembershipGuard {
    pub(super) group: Arc<Group>,
    pub(super) member: Arc<Member>,
}

impl MembershipGuard {
    /// Leaves the group with the socket and the number of changes it was sent; `None` after the first time.
    pub(super) fn leave(&mut self) -> Option<(WebSocket, u64)> {
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

impl GroupRegistry {
    /// Finds a group of `view` with room for `member`, or begins one; true if it is new, and needs a task.
    pub(super) fn join(
        &self,
        feed: &Feed,
        (view, unit): (&Arc<LiveView>, Unit),
        member: Arc<Member>,
    ) -> (Arc<Group>, bool) {
        let mut groups = self.lock();
        let of_view = groups.entry((Arc::as_ptr(view).addr(), unit)).or_default();
        let with_room = of_view.iter().find(|group| group.joining().count < GROUP_READERS_MAX);
        if let Some(group) = with_room {
            let mut joining = group.joining();
            joining.count += 1;
            joining.members.push(member);
            return (group.clone(), false);
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
        (group, true)
    }

    /// Takes a group off the list, so that nobody joins it any more.
    pub(super) fn remove(&self, group: &Arc<Group>) {
        let mut groups = self.lock();
        let key = (Arc::as_ptr(&group.view).addr(), group.unit);
        let Some(of_view) = groups.get_mut(&key) else { return };
        of_view.retain(|other| !Arc::ptr_eq(other, group));
        if of_view.is_empty() {
            groups.remove(&key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<GroupKey, Vec<Arc<Group>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    pub(super) fn joining(&self) -> MutexGuard<'_, PendingJoins> {
        self.joining.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl GroupRegistry {
    /// True once the tasks of all groups have seen all who joined.
    pub(super) fn has_seen_all(&self) -> bool {
        self.lock().values().flatten().all(|group| group.joining().members.is_empty())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}
