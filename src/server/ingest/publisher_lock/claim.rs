//! A connection's claim to its source: its publisher, a check that its client is alive, and the request to leave.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::cluster::PresentPublisher;
use crate::server::core::connection_end::CloseReason;
use crate::transcript::Timestamp;
use crate::wire::CloseCode;

/// Bytes of a session's name that fit into a close reason, of 123 in all (RFC 6455, section 5.5).
const SESSION_BYTES_MAX: usize = 48;

/// Claim of a connection to its source; shared with the connections that want the same source.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) publisher: PresentPublisher,
    /// True once the connection publishes. Before that it has nothing to lose.
    is_welcomed: AtomicBool,
    /// The publisher that replaces this one; `true` if the client should not reconnect unchanged.
    replaced_by: OnceLock<(PresentPublisher, bool)>,
    /// True while another connection waits for a sign of life.
    is_asked: AtomicBool,
    /// True if the client has to be pinged for that.
    wants_ping: AtomicBool,
    /// True while the server does not read the socket for reasons of its own.
    is_held_back: AtomicBool,
    /// Time at which the client was last heard from, recorded only while `is_asked` is set.
    heard: watch::Sender<Option<Instant>>,
    /// Wakes the connection's task when it is asked or replaced.
    bell: Notify,
    /// Cancelled once the connection has released the source.
    pub(crate) gone: CancellationToken,
}

/// Request to a connection's task.
#[derive(Debug)]
pub(crate) enum ClaimSignal {
    /// Ping the client.
    Ping,
    /// Leave: another connection has the source.
    Leave,
}

/// Result of checking whether a connection is alive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HolderState {
    /// The client is alive, or it cannot be known, because the server does not read its socket.
    Alive,
    /// Nothing was received in time.
    Silent,
    /// The connection has released the source by itself.
    Gone,
}

impl Claim {
    pub(crate) fn new(publisher: PresentPublisher) -> Self {
        Self {
            publisher,
            is_welcomed: AtomicBool::new(false),
            replaced_by: OnceLock::new(),
            is_asked: AtomicBool::new(false),
            wants_ping: AtomicBool::new(false),
            is_held_back: AtomicBool::new(false),
            heard: watch::Sender::new(None),
            bell: Notify::new(),
            gone: CancellationToken::new(),
        }
    }

    /// Returns the publisher of the connection.
    pub(crate) fn publisher(&self) -> &PresentPublisher {
        &self.publisher
    }

    /// Tells the connection to leave. Only the first caller is named to its client.
    pub(crate) fn replace(&self, by: &PresentPublisher) {
        // A connection that never had the source may retry, unless its own session continues elsewhere.
        let is_final = self.is_welcomed() || by.session == self.publisher.session;
        let _ = self.replaced_by.set((by.clone(), is_final));
        self.bell.notify_one();
    }

    pub(crate) fn is_welcomed(&self) -> bool {
        self.is_welcomed.load(Ordering::SeqCst)
    }

    /// Marks the connection as publishing.
    pub(crate) fn welcome(&self) {
        self.is_welcomed.store(true, Ordering::SeqCst);
    }

    /// Waits for a sign of life, at most `within` from now. One since `asked_at` counts. Cancel-safe.
    pub(crate) async fn life(&self, asked_at: Instant, within: Duration) -> HolderState {
        // A connection that has just arrived and waits is watched by its own task.
        if !self.is_welcomed() {
            return if self.gone.is_cancelled() { HolderState::Gone } else { HolderState::Alive };
        }
        let until = Instant::now() + within;
        let mut heard = self.heard.subscribe();
        let is_sign = |heard: &Option<Instant>| heard.is_some_and(|at| at >= asked_at);
        if is_sign(&heard.borrow()) {
            return HolderState::Alive;
        }
        self.is_asked.store(true, Ordering::SeqCst);
        self.wants_ping.store(true, Ordering::SeqCst);
        self.bell.notify_one();
        let is_heard = heard.wait_for(is_sign);
        tokio::select! {
            biased;
            () = self.gone.cancelled() => HolderState::Gone,
            heard = timeout_at(until, is_heard) => match heard {
                Ok(_) => HolderState::Alive,
                Err(_) if self.is_held_back.load(Ordering::SeqCst) => HolderState::Alive,
                Err(_) => HolderState::Silent,
            },
        }
    }

    /// Waits for a request to the connection. Only its own task may call this. Cancel-safe.
    pub(crate) async fn called(&self) -> ClaimSignal {
        loop {
            if self.replaced_by.get().is_some() {
                return ClaimSignal::Leave;
            }
            if self.wants_ping.swap(false, Ordering::SeqCst) {
                return ClaimSignal::Ping;
            }
            self.bell.notified().await;
        }
    }

    /// Waits until another connection has the source. Only its own task may call this. Cancel-safe.
    pub(crate) async fn replaced(&self) -> CloseReason {
        loop {
            if let Some(end) = self.end() {
                return end;
            }
            self.bell.notified().await;
        }
    }

    /// Records that the client sent something or answered a ping.
    pub(crate) fn heard(&self) {
        if self.is_asked.load(Ordering::Relaxed) {
            self.is_asked.store(false, Ordering::SeqCst);
            self.heard.send_replace(Some(Instant::now()));
        }
    }

    /// Sets whether the server has stopped reading the socket for reasons of its own: its log is behind, or the client
    /// is too fast. A client that is not read cannot be heard and must not be taken for dead.
    pub(crate) fn hold_back(&self, is_held_back: bool) {
        self.is_held_back.store(is_held_back, Ordering::Relaxed);
    }

    /// Returns the close reason if another connection has replaced this one.
    pub(crate) fn end(&self) -> Option<CloseReason> {
        let (by, is_final) = self.replaced_by.get()?;
        Some(if *is_final { replaced(by) } else { taken(by) })
    }
}

/// Returns the close reason for a connection that another one has replaced.
pub(crate) fn replaced(by: &PresentPublisher) -> CloseReason {
    CloseReason::close(CloseCode::Replaced, format!("replaced by the session {}", named(&by.session)))
}

/// Returns the close reason for a connection whose source another session publishes.
pub(crate) fn taken(by: &PresentPublisher) -> CloseReason {
    let since = Timestamp(i64::try_from(by.since).unwrap_or(i64::MAX));
    CloseReason::close(
        CloseCode::SourceTaken,
        format!("source_taken: the session {} publishes since {since}", named(&by.session)),
    )
}

/// Returns a session's name, truncated to the space available.
fn named(session: &str) -> Cow<'_, str> {
    if session.len() <= SESSION_BYTES_MAX {
        return session.into();
    }
    format!("{}…", &session[..session.floor_char_boundary(SESSION_BYTES_MAX)]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(3);

    fn claim(session: &str) -> Claim {
        let publisher = PresentPublisher { source: "main".into(), session: session.into(), since: 7 };
        let claim = Claim::new(publisher);
        claim.welcome();
        claim
    }

    /// Returns the state of a connection that does this while it is checked.
    async fn life(claim: &Claim, does: impl Future<Output = ()>) -> (HolderState, Duration) {
        let asked_at = Instant::now();
        let (life, ()) = tokio::join!(claim.life(asked_at, WITHIN), does);
        (life, asked_at.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn who_lives_as_a_table() {
        let alive = |after| (HolderState::Alive, Duration::from_secs(after));
        let after = |seconds| tokio::time::sleep(Duration::from_secs(seconds));

        let silent = claim("silent");
        assert_eq!(life(&silent, async {}).await, (HolderState::Silent, WITHIN));
        // It may still resume, as long as no other connection has replaced it.
        assert_eq!(life(&silent, async { silent.heard() }).await, alive(0));

        let busy = claim("busy");
        let sends = async {
            // Data, although the ping was not seen.
            after(2).await;
            busy.heard();
        };
        assert_eq!(life(&busy, sends).await, alive(2));
        let pinged = async {
            assert!(matches!(busy.called().await, ClaimSignal::Ping));
            busy.heard();
        };
        assert_eq!(life(&busy, pinged).await, alive(0));
        // A sign from before the check does not count.
        busy.heard();
        after(1).await;
        assert_eq!(life(&busy, async {}).await, (HolderState::Silent, WITHIN));

        let held_back = claim("held-back");
        held_back.hold_back(true);
        assert_eq!(life(&held_back, async {}).await, alive(3));
        held_back.hold_back(false);
        assert_eq!(life(&held_back, async {}).await, (HolderState::Silent, WITHIN));

        let leaving = claim("leaving");
        let leaves = async {
            after(1).await;
            leaving.gone.cancel();
        };
        assert_eq!(life(&leaving, leaves).await, (HolderState::Gone, Duration::from_secs(1)));

        let publisher = PresentPublisher { source: "main".into(), session: "new".into(), since: 8 };
        let only_come = Claim::new(publisher);
        assert_eq!(life(&only_come, async {}).await, alive(0));
    }

    /// One sign answers all earlier checks.
    #[tokio::test(start_paused = true)]
    async fn one_sign_is_for_all_who_asked() {
        let holder = claim("holder");
        let asked_at = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(life(&holder, async { holder.heard() }).await.0, HolderState::Alive);
        assert_eq!(holder.life(asked_at, WITHIN).await, HolderState::Alive);
        assert!(matches!(futures::poll!(std::pin::pin!(holder.called())), std::task::Poll::Ready(ClaimSignal::Ping)));
        assert!(futures::poll!(std::pin::pin!(holder.called())).is_pending(), "it is not asked anew");
    }

    #[test]
    fn who_is_replaced_learns_by_whom_and_whether_to_come_again() {
        let told = |claim: &Claim, by: &str| {
            claim.replace(&PresentPublisher { source: "main".into(), session: by.into(), since: 1_764_450_000_000 });
            match claim.end() {
                Some(CloseReason::Close { code, reason }) => (code.number(), reason.into_owned()),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(told(&claim("old"), "new"), (4507, "replaced by the session new".to_owned()));
        let publisher = PresentPublisher { source: "main".into(), session: "old".into(), since: 8 };
        let only_come = || Claim::new(publisher.clone());
        let taken = "source_taken: the session new publishes since 2025-11-29T21:00:00.000Z".to_owned();
        assert_eq!(told(&only_come(), "new"), (4005, taken));
        assert_eq!(told(&only_come(), "old").0, 4507);
        let long = told(&only_come(), &"n".repeat(128)).1;
        assert!(long.len() <= 123 && long.ends_with("Z"), "{long}");
    }
}
