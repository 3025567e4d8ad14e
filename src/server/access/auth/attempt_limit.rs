//! Limits on failed logins (wrong tokens) for each address, and on new feeds for each token: fixed windows.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Owner of a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AttemptKey {
    /// A client's address.
    Address(IpAddr),
    /// The SHA-256 of a token.
    Token([u8; 32]),
}

impl AttemptKey {
    /// Returns the owner of an address. An IPv6 client usually has a 64-bit network of addresses (RFC 6177), so those
    /// count together.
    pub(crate) fn of_address(address: IpAddr) -> Self {
        Self::Address(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(of) => Ipv6Addr::from_bits(of.to_bits() >> 64 << 64).into(),
        })
    }
}

/// Limit per owner for each interval, which begins with the owner's first event.
#[derive(Debug)]
pub(crate) struct AttemptLimit {
    /// 0 for no limit.
    max: u32,
    span: Duration,
    owners_max: usize,
    owners: Mutex<HashMap<AttemptKey, AttemptWindow>>,
}

#[derive(Debug)]
struct AttemptWindow {
    since: Instant,
    count: u32,
}

impl AttemptLimit {
    /// Creates a limit of `max` events (0: unlimited) per `span_ms` milliseconds, for up to `owners_max` owners.
    pub(crate) fn new(max: u32, span_ms: u64, owners_max: usize) -> Self {
        Self { max, span: Duration::from_millis(span_ms), owners_max, owners: Mutex::default() }
    }

    /// Counts one event of `owner`.
    ///
    /// # Errors
    /// `Err` above the limit; `true` for the first event above it in this interval.
    pub(crate) fn count(&self, owner: AttemptKey) -> Result<(), bool> {
        if self.max == 0 {
            return Ok(());
        }
        let now = Instant::now();
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        if owners.len() >= self.owners_max && !owners.contains_key(&owner) {
            owners.retain(|_, of| now.saturating_duration_since(of.since) < self.span);
            if owners.len() >= self.owners_max {
                let oldest = owners.iter().min_by_key(|(_, of)| of.since).map(|(owner, _)| *owner);
                oldest.map(|oldest| owners.remove(&oldest));
            }
        }
        let of = owners.entry(owner).or_insert(AttemptWindow { since: now, count: 0 });
        if now.saturating_duration_since(of.since) >= self.span {
            *of = AttemptWindow { since: now, count: 0 };
        }
        of.count = of.count.saturating_add(1);
        if of.count <= self.max { Ok(()) } else { Err(of.count == self.max + 1) }
    }

    /// Reverts one event of `owner` that was counted but did not take place.
    pub(crate) fn uncount(&self, owner: AttemptKey) {
        if let Some(of) = self.owners.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&owner) {
            of.count = of.count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> AttemptKey {
        AttemptKey::of_address(text.parse().expect("an address"))
    }

    #[tokio::test(start_paused = true)]
    async fn each_owner_has_its_own_count_in_each_span() {
        let limit = AttemptLimit::new(2, 1000, 10);
        let (a, b) = (address("192.0.2.1"), address("192.0.2.2"));
        assert_eq!(
            [limit.count(a), limit.count(a), limit.count(a), limit.count(a)],
            [Ok(()), Ok(()), Err(true), Err(false)]
        );
        assert_eq!(limit.count(b), Ok(()));
        tokio::time::advance(Duration::from_millis(999)).await;
        assert_eq!(limit.count(a), Err(false));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(limit.count(a), Ok(()));
        for _ in 0..5 {
            limit.uncount(a);
            assert_eq!(limit.count(a), Ok(()));
        }
        let none = AttemptLimit::new(0, 1000, 10);
        assert!((0..100).all(|_| none.count(a).is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn owners_are_bounded_and_networks_are_one_owner() {
        let limit = AttemptLimit::new(1, 1000, 2);
        assert_eq!(limit.count(address("2001:db8::1")), Ok(()));
        assert_eq!(limit.count(address("2001:db8::ffff:2")), Err(true));
        assert_eq!(limit.count(address("2001:db8:0:1::1")), Ok(()));
        assert_eq!(limit.count(AttemptKey::Token([1; 32])), Ok(()));
        assert_eq!(limit.owners.lock().expect("not poisoned").len(), 2);
    }
}
