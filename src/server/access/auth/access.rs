//! Rights of a client: the roles, feeds and source that its token grants.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use crate::config::{FeedPattern, Role};
use crate::position::FeedId;
use crate::server::access::auth::attempt_limit::AttemptKey;
use crate::server::core::connection_end::CloseReason;
use crate::server::core::grant_lifetime::{AccessEnd, GrantLifetime};
use crate::server::http::problem::{Problem, ProblemCode};
use crate::transcript::Timestamp;
use crate::wire::CloseCode;

/// Reason why access is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denial {
    /// Authentication required, or token invalid.
    Unauthorised(&'static str),
    /// The client is known or anonymous access suffices, but the right is missing.
    Forbidden(String),
    /// The address sent too many wrong tokens, and this one is wrong too.
    TooManyAttempts,
    /// The token has reached its limit of created feeds for now.
    TooManyFeeds(String),
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Unauthorised(detail) => Self::new(ProblemCode::Unauthorised, detail),
            Denial::Forbidden(detail) => Self::new(ProblemCode::Forbidden, detail),
            Denial::TooManyAttempts => Self::new(ProblemCode::TooManyAttempts, TOO_MANY_ATTEMPTS),
            Denial::TooManyFeeds(detail) => Self::new(ProblemCode::TooManyFeeds, detail),
        }
    }
}

impl From<Denial> for CloseReason {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Unauthorised(reason) => Self::close(CloseCode::Unauthorised, reason),
            Denial::Forbidden(reason) => Self::close(CloseCode::Forbidden, reason),
            Denial::TooManyAttempts => Self::close(CloseCode::TooManyAttempts, TOO_MANY_ATTEMPTS),
            Denial::TooManyFeeds(reason) => Self::close(CloseCode::TooManyAttempts, reason),
        }
    }
}

pub(crate) const NO_TOKEN: &str =
    "this needs a token: in a browser add #token=… to the address, programs send Authorization: Bearer …";
pub(crate) const BAD_TOKEN: &str = "the token is not known here, or is no longer valid";
const TOO_MANY_ATTEMPTS: &str =
    "the token is wrong, and too many wrong tokens came from this address: wait a minute, then send a valid one";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The server has no authentication.
    Everybody,
    /// The client sent no token.
    Anonymous,
    /// The owner of a token.
    Known,
}

/// Rights of a client, and the address of its requests.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) granted: Arc<GrantClaims>,
    /// `None` before it is known, and where it does not matter.
    pub(crate) address: Option<IpAddr>,
}

#[derive(Debug)]
pub(crate) struct GrantClaims {
    pub(crate) who: Identity,
    /// SHA-256 of the token; zeros without one.
    pub(crate) token: [u8; 32],
    pub(crate) roles: Vec<Role>,
    pub(crate) feeds: Vec<FeedPattern>,
    pub(crate) source: Option<Arc<str>>,
    /// Limit of feeds that match `feeds`; at the limit the token creates none.
    pub(crate) feeds_max: Option<usize>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) validity: GrantLifetime,
}

impl GrantClaims {
    pub(crate) fn nothing(who: Identity) -> Self {
        Self {
            who,
            token: [0; 32],
            roles: Vec::new(),
            feeds: Vec::new(),
            source: None,
            feeds_max: None,
            expires_at: None,
            validity: GrantLifetime::default(),
        }
    }

    /// Returns true if `other` grants the same to the same owner.
    pub(crate) fn allows_the_same(&self, other: &Self) -> bool {
        let of = |granted: &Self| (granted.who, granted.token, granted.feeds_max, granted.expires_at);
        of(self) == of(other) && (&self.roles, &self.feeds, &self.source) == (&other.roles, &other.feeds, &other.source)
    }
}

impl Access {
    /// Returns unlimited access, for a server without authentication.
    pub(crate) fn everything() -> Self {
        static EVERYTHING: LazyLock<Access> = LazyLock::new(|| Access::new(GrantClaims::nothing(Identity::Everybody)));
        EVERYTHING.clone()
    }

    pub(crate) fn new(granted: GrantClaims) -> Self {
        Self { granted: Arc::new(granted), address: None }
    }

    /// Returns true if it includes `role` in `feed`.
    pub(crate) fn may(&self, role: Role, feed: &FeedId) -> bool {
        self.granted.who == Identity::Everybody
            || self.granted.roles.contains(&role)
                && self.granted.feeds.iter().any(|pattern| pattern.matches(feed.as_str()))
    }

    /// Returns true if it comes from a token: responses are then for its owner alone.
    pub(crate) fn is_by_token(&self) -> bool {
        self.granted.who == Identity::Known
    }

    /// Returns a future that resolves when access ends because the token expires or is revoked. `None` without
    /// authentication: it never ends.
    pub(crate) fn end(&self, now: Timestamp) -> Option<AccessEnd> {
        let granted = &self.granted;
        (granted.who != Identity::Everybody).then(|| granted.validity.end(granted.expires_at, now))
    }

    pub(crate) fn require(&self, role: Role, feed: &FeedId) -> Result<(), Denial> {
        if self.may(role, feed) { Ok(()) } else { Err(self.denial(role, &format!("the feed {feed}"))) }
    }

    pub(crate) fn denial(&self, role: Role, place: &str) -> Denial {
        match self.granted.who {
            Identity::Anonymous => Denial::Unauthorised(NO_TOKEN),
            _ => Denial::Forbidden(format!("this needs the role {} for {place}", role.as_str())),
        }
    }

    /// Restricts a publisher to the source that its token names.
    pub(crate) fn source<'a>(&'a self, asked: Option<&'a str>) -> Result<Option<&'a str>, Denial> {
        match (self.granted.source.as_deref(), asked) {
            (Some(only), Some(asked)) if only != asked => {
                Err(Denial::Forbidden(format!("the token publishes as the source {only} only")))
            }
            (Some(only), _) => Ok(Some(only)),
            (None, asked) => Ok(asked),
        }
    }

    /// Returns the owner for which feed creations are counted: a token, or without one an address.
    pub(crate) fn owner(&self) -> AttemptKey {
        match (self.granted.who, self.address) {
            (Identity::Anonymous, Some(address)) => AttemptKey::of_address(address),
            _ => AttemptKey::Token(self.granted.token),
        }
    }
}
