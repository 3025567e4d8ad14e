//! Who somebody is, and what they may do: tokens of the configuration, signed tokens, and what anybody may.
//!
//! * What a route asks for stands in one table, [`Need::of`]; a route that is not in it asks for `admin`.
//! * A token that says something this server does not know how to keep to (`views`) is refused, never taken as more.
//! * Tokens are compared by their hash and in constant time, and no text that is shown or logged holds one.
//! * What a token allows can be taken back while the server runs: every connection that it opened then ends.
//!
//! `grants` holds the tokens of the configuration and reads them again, `jwt` checks signed tokens, `revocation` ends what a
//! token opened, `rate_limit` bounds what one address may try and one token may create, `creations` are feeds that come to be.

mod creations;
mod grants;
mod jwt;
mod rate_limit;
mod revocation;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use axum::RequestExt;
use axum::extract::{MatchedPath, RawPathParams, Request};
use http::{HeaderMap, Method, header};

pub(super) use self::grants::Auth;
use self::rate_limit::Owner;
pub(super) use self::revocation::AccessEnd;
use self::revocation::Validity;
use super::app::{App, NotCreated};
use super::peer::Peer;
use super::problem::{Problem, ProblemCode};
use super::socket::End;
use super::upgrade;
use crate::config::{FeedPattern, Role};
use crate::feed::{Feed, Opened};
use crate::position::FeedId;
use crate::transcript::Timestamp;
use crate::wire::CloseCode;

/// Why somebody may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Denial {
    /// Who they are is not known.
    Unauthorised(&'static str),
    /// It is known, or of no matter.
    Forbidden(String),
    /// The address sent too many wrong tokens: this one is wrong too.
    TooManyAttempts,
    /// The token created as many feeds as it may for now.
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

impl From<Denial> for End {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Unauthorised(reason) => Self::close(CloseCode::Unauthorised, reason),
            Denial::Forbidden(reason) => Self::close(CloseCode::Forbidden, reason),
            Denial::TooManyAttempts => Self::close(CloseCode::Rate, TOO_MANY_ATTEMPTS),
            Denial::TooManyFeeds(reason) => Self::close(CloseCode::Rate, reason),
        }
    }
}

const NO_TOKEN: &str =
    "this needs a token: in a browser add #token=… to the address, programs send Authorization: Bearer …";
const BAD_TOKEN: &str = "the token is not known here, or is no longer valid";
const EXPIRED: &str = "the token has expired";
const TOO_MANY_ATTEMPTS: &str =
    "the token is wrong, and too many wrong tokens came from this address: wait a minute, then send a valid one";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// There is no authentication.
    Everybody,
    /// Nobody said who they are.
    Anonymous,
    /// The owner of a token.
    Known,
}

/// What somebody may do, and from which address they ask.
#[derive(Debug, Clone)]
pub(super) struct Access {
    granted: Arc<Granted>,
    /// None before it is known, and where it does not matter.
    address: Option<IpAddr>,
}

#[derive(Debug)]
struct Granted {
    who: Who,
    /// The SHA-256 of the token; zeros without one.
    token: [u8; 32],
    roles: Vec<Role>,
    feeds: Vec<FeedPattern>,
    source: Option<Arc<str>>,
    /// Feeds that may match `feeds` before none is created any more.
    feeds_max: Option<usize>,
    expires_at: Option<Timestamp>,
    validity: Validity,
}

impl Granted {
    fn nothing(who: Who) -> Self {
        Self {
            who,
            token: [0; 32],
            roles: Vec::new(),
            feeds: Vec::new(),
            source: None,
            feeds_max: None,
            expires_at: None,
            validity: Validity::default(),
        }
    }

    /// True if `other` allows the same to the same owner.
    fn allows_the_same(&self, other: &Self) -> bool {
        let of = |granted: &Self| (granted.who, granted.token, granted.feeds_max, granted.expires_at);
        of(self) == of(other) && (&self.roles, &self.feeds, &self.source) == (&other.roles, &other.feeds, &other.source)
    }
}

impl Access {
    /// All, for a server without authentication.
    pub(super) fn everything() -> Self {
        static EVERYTHING: LazyLock<Access> = LazyLock::new(|| Access::new(Granted::nothing(Who::Everybody)));
        EVERYTHING.clone()
    }

    fn new(granted: Granted) -> Self {
        Self { granted: Arc::new(granted), address: None }
    }

    /// Whether it includes `role` in `feed`.
    pub(super) fn may(&self, role: Role, feed: &FeedId) -> bool {
        self.granted.who == Who::Everybody
            || self.granted.roles.contains(&role)
                && self.granted.feeds.iter().any(|pattern| pattern.matches(feed.as_str()))
    }

    /// Whether a token gave it: what is answered is for its owner alone then.
    pub(super) fn is_by_token(&self) -> bool {
        self.granted.who == Who::Known
    }

    /// Resolves when it ends: the token expires, or is taken back. `None` where it never does: there is no authentication.
    pub(super) fn end(&self, now: Timestamp) -> Option<AccessEnd> {
        let granted = &self.granted;
        (granted.who != Who::Everybody).then(|| granted.validity.end(granted.expires_at, now))
    }

    pub(super) fn require(&self, role: Role, feed: &FeedId) -> Result<(), Denial> {
        if self.may(role, feed) { Ok(()) } else { Err(self.denial(role, &format!("the feed {feed}"))) }
    }

    fn denial(&self, role: Role, place: &str) -> Denial {
        match self.granted.who {
            Who::Anonymous => Denial::Unauthorised(NO_TOKEN),
            _ => Denial::Forbidden(format!("this needs the role {} for {place}", role.as_str())),
        }
    }

    /// Holds a publisher to the source that its token names.
    pub(super) fn source<'a>(&'a self, asked: Option<&'a str>) -> Result<Option<&'a str>, Denial> {
        match (self.granted.source.as_deref(), asked) {
            (Some(only), Some(asked)) if only != asked => {
                Err(Denial::Forbidden(format!("the token publishes as the source {only} only")))
            }
            (Some(only), _) => Ok(Some(only)),
            (None, asked) => Ok(asked),
        }
    }

    /// The feed `name`, created live if it is not there. Holds a publisher to feeds that exist, where it may not create any, and
    /// otherwise to as many new ones as it may create; at each node. Only feeds that came to be count.
    pub(super) async fn open_to_publish(
        &self,
        app: &App,
        name: &FeedId,
    ) -> Result<Result<Arc<Feed>, Denial>, NotCreated> {
        // Without authentication there is nobody to tell apart: `limits.feeds_max` is the bound.
        let auth = app.auth.as_ref().filter(|_| self.granted.who != Who::Everybody);
        let Some(auth) = auth else { return app.open_to_publish(name).await.map(Ok) };
        match app.feeds.open(name).await? {
            Opened::Here(feed) => return Ok(Ok(feed)),
            // It is not created by publishing, and that is said.
            Opened::Deleted | Opened::Replaced(_) => return app.open_to_publish(name).await.map(Ok),
            Opened::Absent => {}
        }
        if !self.may(Role::Create, name) {
            return Ok(Err(self.denial(Role::Create, &format!("the feed {name}, which does not exist yet"))));
        }
        let (_under_way, earlier) = auth.begin_creation(name);
        if let Some(max) = self.granted.feeds_max {
            let logs = app.feeds.log().logs().await?;
            let others = logs.iter().map(|log| &log.feed).chain(&earlier).filter(|other| *other != name);
            let is_own = |other: &&FeedId| self.granted.feeds.iter().any(|pattern| pattern.matches(other.as_str()));
            if others.filter(is_own).collect::<HashSet<_>>().len() >= max {
                let detail =
                    format!("{max} feeds match this token's patterns, as many as its feeds_max allows: delete some");
                return Ok(Err(Denial::TooManyFeeds(detail)));
            }
        }
        let owner = self.owner();
        if let Err(denial) = auth.count_creation(owner) {
            return Ok(Err(denial));
        }
        let created = app.create_to_publish(name).await;
        if !matches!(created, Ok((_, true))) {
            auth.uncount_creation(owner);
        }
        created.map(|(feed, _)| Ok(feed))
    }

    /// Under whose name creations are counted: a token's, or without one an address's.
    fn owner(&self) -> Owner {
        match (self.granted.who, self.address) {
            (Who::Anonymous, Some(address)) => Owner::of_address(address),
            _ => Owner::Token(self.granted.token),
        }
    }
}

/// What a route asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Nothing.
    Nothing,
    /// The role in some feed; the answer shows those only.
    Somewhere(Role),
    /// The role in the feed that the path names.
    InFeed(Role),
}

impl Need {
    /// What the route asks for: `path` is written as [`super::ROUTES`] are.
    fn of(method: &Method, path: &str) -> Self {
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        match (method, path) {
            // Pages hold no captions, and whoever looks after the server has no token.
            (
                "GET",
                "/"
                | "/feeds/{feed}"
                | "/feeds/{feed}/embed"
                | "/feeds/{feed}/overlay"
                | "/feeds/{feed}/plain"
                | "/embed.js"
                | "/viewer/{file}"
                | "/favicon.ico"
                | "/healthz"
                | "/readyz",
            ) => Self::Nothing,
            ("GET", "/metrics" | "/v1/deliveries") => Self::Somewhere(Role::Metrics),
            ("GET", "/v1/feeds" | "/v1/search" | "/v1/subscribe") => Self::Somewhere(Role::Subscribe),
            (
                "GET",
                "/v1/feeds/{feed}"
                | "/v1/feeds/{feed}/{file}"
                | "/v1/feeds/{feed}/subscribe"
                | "/v1/feeds/{feed}/events"
                | "/v1/feeds/{feed}/text"
                | "/v1/feeds/{feed}/hls/captions.m3u8"
                | "/v1/feeds/{feed}/hls/{segment}",
            ) => Self::InFeed(Role::Subscribe),
            ("GET", "/v1/feeds/{feed}/publish" | "/v1/feeds/{feed}/zoom/seq")
            | (
                "POST",
                "/v1/feeds/{feed}/lines"
                | "/v1/feeds/{feed}/zoom"
                | "/v1/feeds/{feed}/youtube"
                | "/v1/feeds/{feed}/streamtext",
            )
            | ("DELETE", "/v1/feeds/{feed}/lines/{source}/{id}") => Self::InFeed(Role::Publish),
            ("POST", "/v1/feeds/{feed}/state" | "/v1/feeds/{feed}/desk")
            | ("GET", "/v1/feeds/{feed}/lines/{source}/{id}/history") => Self::InFeed(Role::Desk),
            _ => Self::InFeed(Role::Admin),
        }
    }
}

/// Whether `request` is for one of the sockets, whatever its headers claim.
pub(super) fn is_for_socket(request: &Request) -> bool {
    request.extensions().get::<MatchedPath>().is_some_and(|path| is_socket(path.as_str()))
}

/// Whether the route is a socket.
fn is_socket(path: &str) -> bool {
    matches!(path, "/v1/feeds/{feed}/publish" | "/v1/feeds/{feed}/subscribe" | "/v1/subscribe")
}

/// Whether the route takes a token in its URL too: browsers, players and captioning software cannot send it otherwise.
fn takes_token_in_url(path: &str) -> bool {
    const OTHERS: [&str; 8] = [
        "/v1/feeds/{feed}/events",
        "/v1/feeds/{feed}/text",
        "/v1/feeds/{feed}/hls/captions.m3u8",
        "/v1/feeds/{feed}/hls/{segment}",
        "/v1/feeds/{feed}/zoom",
        "/v1/feeds/{feed}/zoom/seq",
        "/v1/feeds/{feed}/youtube",
        "/v1/feeds/{feed}/streamtext",
    ];
    is_socket(path) || OTHERS.contains(&path)
}

/// What whoever sent `request` may do, if that includes what it asks for.
pub(super) async fn admit(app: &App, request: &mut Request) -> Result<Access, Denial> {
    let Some(auth) = &app.auth else { return Ok(Access::everything()) };
    let address = request.extensions().get::<Peer>().map(Peer::ip);
    let anonymous = || Access { address, ..auth.anonymous() };
    // What no route knows is answered with 404 to anybody.
    let Some(path) = request.extensions().get::<MatchedPath>().cloned() else { return Ok(anonymous()) };
    let need = Need::of(request.method(), path.as_str());
    if need == Need::Nothing {
        return Ok(anonymous());
    }
    let token = match bearer(request.headers())? {
        Some(token) => Some(token.to_owned()),
        None if takes_token_in_url(path.as_str()) => upgrade::token(request.uri().query()),
        None => None,
    };
    let access = match token {
        Some(token) => Access { address, ..auth.access_of(&token, app.clock.now(), address)? },
        None => anonymous(),
    };
    match need {
        Need::Nothing => {}
        Need::Somewhere(role) if access.granted.roles.contains(&role) => {}
        Need::Somewhere(role) => return Err(access.denial(role, "any feed")),
        Need::InFeed(role) => {
            let params = request.extract_parts::<RawPathParams>().await.ok();
            let name = params.as_ref().and_then(|params| params.iter().find(|(name, _)| *name == "feed"));
            match name.map(|(_, name)| FeedId::new(name)) {
                Some(Ok(feed)) => access.require(role, &feed)?,
                // No feed has such a name, so whoever is known may be told what is wrong with it.
                _ if access.granted.roles.contains(&role) => {}
                _ => return Err(access.denial(role, "any feed")),
            }
        }
    }
    Ok(access)
}

/// The token of `Authorization: Bearer`. Another scheme is somebody else's, such as a proxy's.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Denial> {
    let mut values = headers.get_all(header::AUTHORIZATION).into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Denial::Unauthorised("Authorization is given twice"));
    }
    let value = value.to_str().map_err(|_| Denial::Unauthorised(BAD_TOKEN))?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Ok(None),
    }
}

/// Whether the route is for publishers: `connections_for_publishers` keeps places for these.
pub(super) fn is_for_publisher(request: &Request) -> bool {
    let path = request.extensions().get::<MatchedPath>();
    path.is_some_and(|path| matches!(Need::of(request.method(), path.as_str()), Need::InFeed(Role::Publish)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_asks_for_what_it_should() {
        let need = |method: &str, path: &str| {
            Need::of(&method.to_uppercase().parse().expect("a method"), &path.replace("transcript.{format}", "{file}"))
        };
        let expected = |method: &str, path: &str| match (method, path) {
            ("get", "/metrics" | "/v1/deliveries") => Need::Somewhere(Role::Metrics),
            (_, path) if !path.starts_with("/v1") => Need::Nothing,
            ("get", "/v1/feeds" | "/v1/search" | "/v1/subscribe") => Need::Somewhere(Role::Subscribe),
            (_, path) if path.ends_with("/publish") || path.ends_with("/lines") => Need::InFeed(Role::Publish),
            ("delete", path) if path.contains("/lines/") => Need::InFeed(Role::Publish),
            (_, path) if ["/zoom", "/zoom/seq", "/youtube", "/streamtext"].iter().any(|end| path.ends_with(end)) => {
                Need::InFeed(Role::Publish)
            }
            (_, path) if ["/state", "/desk", "/history"].iter().any(|end| path.ends_with(end)) => {
                Need::InFeed(Role::Desk)
            }
            // What was retracted is among the records, and in vendors' frames.
            ("get", path) if path.ends_with("/transcript") || path.ends_with("/raw") => Need::InFeed(Role::Admin),
            ("get", _) => Need::InFeed(Role::Subscribe),
            _ => Need::InFeed(Role::Admin),
        };
        for (method, path) in super::super::ROUTES {
            assert_eq!(need(method, path), expected(method, path), "{method} {path}");
        }
        assert_eq!(need("head", "/v1/feeds/{feed}"), Need::InFeed(Role::Subscribe));
        assert_eq!(need("get", "/v1/what/comes/later"), Need::InFeed(Role::Admin));
    }
}
