//! Keepalive of WebSockets: decides when the server has to send something, and when a client counts as gone.
//!
//! A browser sends nothing on its own, so a subscriber is gone if a ping stays unanswered. A publisher is gone after
//! the same time without any frame, while the server reads its socket.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::TimesConfig;
use crate::server::core::connection_end::CloseReason;

/// Intervals of the keepalive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeepaliveTimes {
    /// `times.heartbeat_ms`
    interval: Duration,
    /// `times.silence_timeout_ms`
    silence: Duration,
}

impl KeepaliveTimes {
    pub(crate) fn new(times: &TimesConfig) -> Self {
        Self { interval: TimesConfig::ms(times.heartbeat_ms), silence: TimesConfig::ms(times.silence_timeout_ms) }
    }

    /// Returns the time at which the server has to send something, if it last did at `sent`.
    pub(crate) fn due_after(self, sent: Instant) -> Instant {
        sent + self.interval
    }
}

/// Times of the last activity in both directions of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keepalive {
    sent: Instant,
    received: Instant,
    /// Time of the first ping that is still unanswered.
    pinged: Option<Instant>,
}

impl Keepalive {
    /// Creates the state of a connection that begins at `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self { sent: now, received: now, pinged: None }
    }

    /// Records that the server sent something.
    pub(crate) fn note_sent(&mut self, now: Instant) {
        self.sent = now;
    }

    /// Records that the client sent something.
    pub(crate) fn note_received(&mut self, now: Instant) {
        self.received = now;
    }

    /// Time at which the server last sent something.
    pub(crate) fn last_sent(&self) -> Instant {
        self.sent
    }

    /// Registers a ping that is about to be sent.
    ///
    /// # Errors
    /// [`CloseReason::Gone`] if an earlier ping was not answered in time.
    pub(crate) fn note_ping(&mut self, now: Instant, times: KeepaliveTimes) -> Result<(), CloseReason> {
        // A subscriber sends nothing on its own, so only the reply to a ping can be overdue.
        let unanswered = self.pinged.filter(|at| *at > self.received);
        if unanswered.is_some_and(|at| now.saturating_duration_since(at) >= times.silence) {
            return Err(CloseReason::Gone);
        }
        self.pinged = unanswered.or(Some(now));
        Ok(())
    }

    /// Checks that the client has sent something recently.
    ///
    /// # Errors
    /// [`CloseReason::Gone`] if it has not.
    pub(crate) fn check_received(&self, now: Instant, times: KeepaliveTimes) -> Result<(), CloseReason> {
        if now.saturating_duration_since(self.received) >= times.silence { Err(CloseReason::Gone) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: KeepaliveTimes =
        KeepaliveTimes { interval: Duration::from_secs(15), silence: Duration::from_secs(60) };

    /// Seconds at which the client answers a ping, and the second at which it counts as gone.
    #[test]
    fn only_an_unanswered_ping_ends_a_subscriber() {
        let cases: [(&str, &[u64], Option<u64>); 4] = [
            ("answers each ping", &[1, 16, 31, 46, 61, 76, 91, 106, 121], None),
            ("never answers", &[], Some(75)),
            // Pinged at 30, 45, 60, 75 and 90.
            ("answers once", &[16], Some(90)),
            // Pinged again at 60.
            ("answers late", &[59], Some(120)),
        ];
        for (name, answers, gone_at) in cases {
            let begun = Instant::now();
            let mut keepalive = Keepalive::new(begun);
            let mut gone = None;
            for second in 0..=120 {
                let now = begun + Duration::from_secs(second);
                if answers.contains(&second) {
                    keepalive.note_received(now);
                }
                if second > 0 && second % 15 == 0 && gone.is_none() {
                    gone = keepalive.note_ping(now, TIMES).is_err().then_some(second);
                }
            }
            assert_eq!(gone, gone_at, "{name}");
        }
    }

    #[test]
    fn a_silent_publisher_is_gone() {
        let begun = Instant::now();
        let mut keepalive = Keepalive::new(begun);
        let at = |second| begun + Duration::from_secs(second);
        assert!(keepalive.check_received(at(59), TIMES).is_ok());
        keepalive.note_received(at(30));
        // Frames from the server are no sign of the client.
        keepalive.note_sent(at(80));
        assert!(keepalive.check_received(at(89), TIMES).is_ok());
        assert!(keepalive.check_received(at(90), TIMES).is_err());
        assert_eq!(TIMES.due_after(keepalive.last_sent()), at(95));
    }
}
