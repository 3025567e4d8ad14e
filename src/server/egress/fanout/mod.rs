//! Readers who have all there is, in groups: one task writes what is new to all sockets of a group.
//!
//! A reader that stands in a group costs its own task nothing when something is sent: that task waits for what the reader
//! says. The group's task wakes once for all of them and hands each socket the same bytes. A socket that does not take
//! them at once leaves the group, and its reader's own task goes on where it stands ([`super::session`]); so no group
//! waits for anybody, and it has no more to say than what fits every reader: changes and heartbeats. Whatever else there
//! is to be told, or done, sends the readers back to their tasks.
//!
//! [`groups`] says which groups there are, [`member`] is one subscriber in one of them, [`group_task`] runs a group, and
//! [`hot_path`] is what it does for each change.

mod group_task;
mod groups;
mod hot_path;
mod member;

use std::sync::Arc;

use tokio_util::task::TaskTracker;

pub(crate) use self::member::ExitReason;
use crate::feed::{Feed, FollowState, LiveView};
use crate::server::core::connection_end::CloseReason;
use crate::server::core::context::ServerContext;
use crate::server::egress::fanout::groups::{GroupRegistry, MembershipGuard};
use crate::server::egress::fanout::member::Member;
use crate::server::transport::websocket::WebSocket;
use crate::wire::Unit;

/// The groups of every view that is read.
pub(crate) struct Fanout {
    context: Arc<ServerContext>,
    groups: Arc<GroupRegistry>,
    /// The tasks of the groups.
    pub(crate) tasks: TaskTracker,
}

impl std::fmt::Debug for Fanout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fanout")
    }
}

/// State of a reader that comes out of a group.
pub(crate) struct FanoutExit {
    pub(crate) socket: WebSocket,
    /// The changes it has seen, once what is under way has been sent.
    pub(crate) since: u64,
    pub(crate) why: Result<ExitReason, CloseReason>,
}

impl Fanout {
    pub(crate) fn new(context: Arc<ServerContext>) -> Self {
        Self { context, groups: Arc::default(), tasks: TaskTracker::new() }
    }

    /// Stands in a group of `view` until the reader says something, or has to go on by itself; then the socket may have begun
    /// a message ([`WebSocket::finish_sending`]). Dropped, it drops the connection.
    pub(crate) async fn stand(
        &self,
        feed: &Feed,
        (view, unit): (&Arc<LiveView>, Unit),
        socket: WebSocket,
        since: u64,
    ) -> FanoutExit {
        let member = Arc::new(Member::new(socket, since));
        let (group, is_new) = self.groups.join(feed, (view, unit), member.clone());
        if is_new {
            let task = group_task::run(self.context.clone(), self.groups.clone(), group.clone());
            // It hands out turns itself: a part of a pass has no reason to wait.
            self.tasks.spawn(tokio::task::unconstrained(task));
        }
        let mut place = MembershipGuard { group, member };
        {
            let now = view.now();
            if now.change > since || matches!(now.following, FollowState::Ended(_)) {
                // The group may have seen that before this reader was in it.
                place.group.rung.notify_one();
            }
        }
        let why = std::future::poll_fn(|cx| place.member.lock().poll(cx)).await;
        let (socket, since) = place.leave().expect("the socket is there until its reader leaves");
        FanoutExit { socket, since, why }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, DuplexStream};
    use tokio::time::Instant;

    use super::*;
    use crate::config::{Config, TimesConfig};
    use crate::log::MemoryLog;
    use crate::position::FeedId;
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
        while !fanout.groups.has_seen_all() {
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
        assert!(fanout.groups.is_empty());
    }
}
