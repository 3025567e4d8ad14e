//! The claim of a connection to its source: who it is, whether it still lives, and how it is told to go.

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

/// Bytes of a session's name that a close reason has room for, of 123 in all (RFC 6455, section 5.5).
const SESSION_BYTES_MAX: usize = 48;

/// What a connection says of itself to those who want its source, and they to it.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) publisher: PresentPublisher,
    /// The connection publishes. One that has only come has nothing to lose yet.
    is_welcomed: AtomicBool,
    /// Who has come instead, and whether that is final.
    replaced_by: OnceLock<(PresentPublisher, bool)>,
    /// Somebody waits for a sign of life.
    is_asked: AtomicBool,
    /// The client is to be pinged for it.
    wants_ping: AtomicBool,
    /// The socket is not read, and not because of the client.
    is_held_back: AtomicBool,
    /// When the client was heard last, of the times that somebody asked.
    heard: watch::Sender<Option<Instant>>,
    /// Rings for the connection when it is asked or replaced.
    bell: Notify,
    /// Cancelled when the connection has let go.
    pub(crate) gone: CancellationToken,
}

/// What a connection is called for.
#[derive(Debug)]
pub(crate) enum ClaimSignal {
    /// To ping its client.
    Ping,
    /// To go: another connection has the source.
    Leave,
}

/// Whether a connection lives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HolderState {
    /// It does, or it cannot be said, because the server does not read its socket.
    Alive,
    /// Nothing came from it in time.
    Silent,
    /// It has let go of the source by itself.
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

    /// Who it is.
    pub(crate) fn publisher(&self) -> &PresentPublisher {
        &self.publisher
    }

    /// Tells the connection to go. The first who does is named to its client.
    pub(crate) fn replace(&self, by: &PresentPublisher) {
        // One that never had the source may come again, unless its own session has moved on.
        let is_final = self.is_welcomed() || by.session == self.publisher.session;
        let _ = self.replaced_by.set((by.clone(), is_final));
        self.bell.notify_one();
    }

    pub(crate) fn is_welcomed(&self) -> bool {
        self.is_welcomed.load(Ordering::SeqCst)
    }

    /// The connection publishes from now on.
    pub(crate) fn welcome(&self) {
        self.is_welcomed.store(true, Ordering::SeqCst);
    }

    /// Waits for a sign of life, `within` from now at most. One since `asked_at` is as good as a new one. Cancel-safe.
    pub(crate) async fn life(&self, asked_at: Instant, within: Duration) -> HolderState {
        // A connection that has only come, and waits, is watched by its own task.
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

    /// Waits until the connection is asked for something. For its own task alone. Cancel-safe.
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

    /// Waits until another connection has the source. For its own task alone. Cancel-safe.
    pub(crate) async fn replaced(&self) -> CloseReason {
        loop {
            if let Some(end) = self.end() {
                return end;
            }
            self.bell.notified().await;
        }
    }

    /// The client said something, or answered a ping.
    pub(crate) fn heard(&self) {
        if self.is_asked.load(Ordering::Relaxed) {
            self.is_asked.store(false, Ordering::SeqCst);
            self.heard.send_replace(Some(Instant::now()));
        }
    }

    /// Whether the server does not read the socket for reasons of its own: its log is behind, or the client is too fast. Who is
    /// not read cannot be heard, and is not taken for dead.
    pub(crate) fn hold_back(&self, is_held_back: bool) {
        self.is_held_back.store(is_held_back, Ordering::Relaxed);
    }

    /// What the connection is closed with, if another one has come.
    pub(crate) fn end(&self) -> Option<CloseReason> {
        let (by, is_final) = self.replaced_by.get()?;
        Some(if *is_final { replaced(by) } else { taken(by) })
    }
}

/// What is said to a connection that another one has replaced.
pub(crate) fn replaced(by: &PresentPublisher) -> CloseReason {
    CloseReason::close(CloseCode::Replaced, format!("replaced by the session {}", named(&by.session)))
}

/// What is said to a connection whose source another session publishes.
pub(crate) fn taken(by: &PresentPublisher) -> CloseReason {
    let since = Timestamp(i64::try_from(by.since).unwrap_or(i64::MAX));
    CloseReason::close(
        CloseCode::SourceTaken,
        format!("source_taken: the session {} publishes since {since}", named(&by.session)),
    )
}

/// A session's name, as far as there is room for it.
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

    /// What becomes of a connection that does this while it is asked.
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
        // It may still come back, as long as nobody has taken its place.
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
        // A sign of before it was asked says nothing of now.
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

    /// One sign answers all who asked before it.
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
                Some(CloseReason::Close { code, reason }) => (code, reason.into_owned()),
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
