//! Who somebody is, and what they may do: tokens of the configuration, signed tokens, and what anybody may.
//!
//! * What a route asks for stands in one table, [`Need::of`]; a route that is not in it asks for `admin`.
//! * A token that says something this server does not know how to keep to (`views`) is refused, never taken as more.
//! * Tokens are compared by their hash and in constant time, and no text that is shown or logged holds one.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use axum::RequestExt;
use axum::extract::{MatchedPath, RawPathParams, Request};
use http::{HeaderMap, Method, header};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::app::App;
use super::keys::{KeyError, read, read_secret, unusable};
use super::problem::{Problem, ProblemCode};
use super::socket::End;
use super::upgrade;
use crate::config::{AuthConfig, FeedPattern, HS256_SECRET_BYTES_MIN, JwtConfig, Role};
use crate::feed::Opened;
use crate::log::LogError;
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
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Unauthorised(detail) => Self::new(ProblemCode::Unauthorised, detail),
            Denial::Forbidden(detail) => Self::new(ProblemCode::Forbidden, detail),
        }
    }
}

impl From<Denial> for End {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Unauthorised(reason) => Self::close(CloseCode::Unauthorised, reason),
            Denial::Forbidden(reason) => Self::close(CloseCode::Forbidden, reason),
        }
    }
}

const NO_TOKEN: &str =
    "this needs a token: in a browser add #token=… to the address, programs send Authorization: Bearer …";
const BAD_TOKEN: &str = "the token is not known here, or is no longer valid";
pub(super) const EXPIRED: &str = "the token has expired";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// There is no authentication.
    Everybody,
    /// Nobody said who they are.
    Anonymous,
    /// The owner of a token.
    Known,
}

/// What somebody may do.
#[derive(Debug, Clone)]
pub(super) struct Access(Arc<Granted>);

#[derive(Debug)]
struct Granted {
    who: Who,
    roles: Vec<Role>,
    feeds: Vec<FeedPattern>,
    source: Option<Arc<str>>,
    expires_at: Option<Timestamp>,
}

impl Access {
    /// All, for a server without authentication.
    pub(super) fn everything() -> Self {
        static EVERYTHING: LazyLock<Access> = LazyLock::new(|| Access::new(Who::Everybody, Vec::new(), Vec::new()));
        EVERYTHING.clone()
    }

    fn new(who: Who, roles: Vec<Role>, feeds: Vec<FeedPattern>) -> Self {
        Self(Arc::new(Granted { who, roles, feeds, source: None, expires_at: None }))
    }

    /// Whether it includes `role` in `feed`.
    pub(super) fn may(&self, role: Role, feed: &FeedId) -> bool {
        self.0.who == Who::Everybody
            || self.0.roles.contains(&role) && self.0.feeds.iter().any(|pattern| pattern.matches(feed.as_str()))
    }

    /// Whether a token gave it: what is answered is for its owner alone then.
    pub(super) fn is_by_token(&self) -> bool {
        self.0.who == Who::Known
    }

    /// When it ends; none for never.
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        self.0.expires_at
    }

    pub(super) fn require(&self, role: Role, feed: &FeedId) -> Result<(), Denial> {
        if self.may(role, feed) { Ok(()) } else { Err(self.denial(role, &format!("the feed {feed}"))) }
    }

    fn denial(&self, role: Role, place: &str) -> Denial {
        match self.0.who {
            Who::Anonymous => Denial::Unauthorised(NO_TOKEN),
            _ => Denial::Forbidden(format!("this needs the role {} for {place}", role.as_str())),
        }
    }

    /// Holds a publisher to the source that its token names.
    pub(super) fn source<'a>(&'a self, asked: Option<&'a str>) -> Result<Option<&'a str>, Denial> {
        match (self.0.source.as_deref(), asked) {
            (Some(only), Some(asked)) if only != asked => {
                Err(Denial::Forbidden(format!("the token publishes as the source {only} only")))
            }
            (Some(only), _) => Ok(Some(only)),
            (None, asked) => Ok(asked),
        }
    }

    /// Holds a publisher to feeds that exist, where it may not create any.
    pub(super) async fn check_create(&self, app: &App, feed: &FeedId) -> Result<Result<(), Denial>, LogError> {
        if self.may(Role::Create, feed) {
            return Ok(Ok(()));
        }
        Ok(match app.feeds.open(feed).await? {
            Opened::Absent => Err(self.denial(Role::Create, &format!("the feed {feed}, which does not exist yet"))),
            Opened::Here(_) | Opened::Deleted | Opened::Replaced(_) => Ok(()),
        })
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
            ) => Self::InFeed(Role::Publish),
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
    // What no route knows is answered with 404 to anybody.
    let Some(path) = request.extensions().get::<MatchedPath>().cloned() else { return Ok(auth.anonymous.clone()) };
    let need = Need::of(request.method(), path.as_str());
    if need == Need::Nothing {
        return Ok(auth.anonymous.clone());
    }
    let token = match bearer(request.headers())? {
        Some(token) => Some(token.to_owned()),
        None if takes_token_in_url(path.as_str()) => upgrade::token(request.uri().query()),
        None => None,
    };
    let access = match token {
        Some(token) => auth.access_of(&token, app.clock.now())?,
        None => auth.anonymous.clone(),
    };
    match need {
        Need::Nothing => {}
        Need::Somewhere(role) if access.0.roles.contains(&role) => {}
        Need::Somewhere(role) => return Err(access.denial(role, "any feed")),
        Need::InFeed(role) => {
            let params = request.extract_parts::<RawPathParams>().await.ok();
            let name = params.as_ref().and_then(|params| params.iter().find(|(name, _)| *name == "feed"));
            match name.map(|(_, name)| FeedId::new(name)) {
                Some(Ok(feed)) => access.require(role, &feed)?,
                // No feed has such a name, so whoever is known may be told what is wrong with it.
                _ if access.0.roles.contains(&role) => {}
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

/// Who is known, and what they may do.
pub(super) struct Auth {
    tokens: Vec<([u8; 32], Access)>,
    jwt: Option<Jwt>,
    anonymous: Access,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth")
    }
}

impl Auth {
    /// Reads the keys that `config` names.
    pub(super) fn new(config: &AuthConfig) -> Result<Self, KeyError> {
        let tokens = config.tokens.iter().filter_map(|token| {
            let granted = Granted {
                who: Who::Known,
                roles: token.roles.clone(),
                feeds: token.feeds.clone(),
                source: token.source.as_deref().map(Into::into),
                // A configuration that was not checked gives no more than one that was.
                expires_at: token.expires_ms().ok()?.map(Timestamp),
            };
            Some((token.hash()?, Access(Arc::new(granted))))
        });
        let anonymous = match &config.anonymous {
            Some(grant) => Access::new(Who::Anonymous, grant.roles.clone(), grant.feeds.clone()),
            None => Access::new(Who::Anonymous, Vec::new(), Vec::new()),
        };
        Ok(Self { tokens: tokens.collect(), jwt: config.jwt.as_ref().map(Jwt::new).transpose()?, anonymous })
    }

    /// Reads the keys of signed tokens again, if there are any.
    pub(super) fn read_again(&self) -> Option<Result<(), KeyError>> {
        self.jwt.as_ref().map(Jwt::read_again)
    }

    /// Lets nobody in.
    pub(super) fn closed() -> Self {
        Self { tokens: Vec::new(), jwt: None, anonymous: Access::new(Who::Anonymous, Vec::new(), Vec::new()) }
    }

    fn access_of(&self, token: &str, now: Timestamp) -> Result<Access, Denial> {
        let hash = Sha256::digest(token.as_bytes());
        let mut found = None;
        // To the end, whichever it is: the time it takes says nothing.
        for (known, access) in &self.tokens {
            if bool::from(known.as_slice().ct_eq(hash.as_slice())) {
                found = Some(access.clone());
            }
        }
        let access = match (found, &self.jwt) {
            (Some(access), _) => access,
            (None, Some(jwt)) => jwt.access_of(token, now)?,
            (None, None) => return Err(Denial::Unauthorised(BAD_TOKEN)),
        };
        match access.expires_at() {
            Some(at) if at <= now => Err(Denial::Unauthorised(EXPIRED)),
            _ => Ok(access),
        }
    }
}

/// Who signs tokens.
struct Jwt {
    config: JwtConfig,
    keys: RwLock<Arc<[Key]>>,
}

struct Key {
    /// A key is for one algorithm, whatever a token says: a public key must never be taken for a shared secret.
    algorithm: Algorithm,
    id: Option<String>,
    key: DecodingKey,
}

/// What a signed token says. What is not named here is passed over (RFC 7519, section 4).
#[derive(Deserialize)]
struct Claims {
    /// Seconds since 1970 (RFC 7519, section 4.1.4).
    exp: f64,
    nbf: Option<f64>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    feeds: Vec<FeedPattern>,
    source: Option<String>,
    /// There is no other view than the public one yet, so this cannot be kept to.
    views: Option<IgnoredAny>,
}

impl Jwt {
    fn new(config: &JwtConfig) -> Result<Self, KeyError> {
        Ok(Self { keys: RwLock::new(keys(config)?.into()), config: config.clone() })
    }

    fn read_again(&self) -> Result<(), KeyError> {
        let keys = keys(&self.config)?.into();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    fn access_of(&self, token: &str, now: Timestamp) -> Result<Access, Denial> {
        let bad = Denial::Unauthorised(BAD_TOKEN);
        let claims = self.claims(token).ok_or(bad.clone())?;
        if claims.views.is_some() {
            return Err(Denial::Forbidden("the token is for certain views, and this server has no views yet".into()));
        }
        let expires_at = milliseconds(claims.exp).ok_or(bad.clone())?;
        if claims.nbf.is_some_and(|from| milliseconds(from).is_none_or(|from| from > now)) {
            return Err(bad);
        }
        // Roles of a later release allow nothing here.
        let roles = claims.roles.iter().filter_map(|role| Role::of(role)).collect();
        let source = claims.source.map(Into::into);
        let granted = Granted { who: Who::Known, roles, feeds: claims.feeds, source, expires_at: Some(expires_at) };
        Ok(Access(Arc::new(granted)))
    }

    fn claims(&self, token: &str) -> Option<Claims> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let fits = |key: &&Key| {
            let same_id = match (&header.kid, &key.id) {
                (Some(asked), Some(id)) => asked == id,
                _ => true,
            };
            key.algorithm == header.alg && same_id
        };
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        keys.iter().filter(fits).find_map(|key| {
            let mut validation = Validation::new(key.algorithm);
            let mut required = vec!["exp"];
            // By the server's own clock, after this.
            validation.validate_exp = false;
            if let Some(issuer) = &self.config.issuer {
                validation.set_issuer(&[issuer]);
                required.push("iss");
            }
            if let Some(audience) = &self.config.audience {
                validation.set_audience(&[audience]);
                required.push("aud");
            }
            validation.set_required_spec_claims(&required);
            jsonwebtoken::decode::<Claims>(token, &key.key, &validation).ok().map(|decoded| decoded.claims)
        })
    }
}

fn milliseconds(seconds: f64) -> Option<Timestamp> {
    /// Beyond the year 9999, and far from where whole milliseconds end.
    const SECONDS_MAX: f64 = 300_000_000_000.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is in range")]
    (0.0..SECONDS_MAX).contains(&seconds).then_some(Timestamp((seconds * 1000.0) as i64))
}

/// The keys of the one file that is named.
fn keys(config: &JwtConfig) -> Result<Vec<Key>, KeyError> {
    match (&config.hs256_secret_file, &config.eddsa_public_key_file, &config.jwks_file) {
        (Some(path), _, _) => {
            let secret = read_secret(path)?;
            let secret = secret.trim_ascii();
            if secret.len() < HS256_SECRET_BYTES_MIN {
                return Err(unusable(path, "a secret has at least 32 bytes"));
            }
            Ok(vec![Key { algorithm: Algorithm::HS256, id: None, key: DecodingKey::from_secret(secret) }])
        }
        (_, Some(path), _) => {
            let key = DecodingKey::from_ed_pem(&read(path)?);
            let key = key.map_err(|_| unusable(path, "it holds an Ed25519 public key in PEM"))?;
            Ok(vec![Key { algorithm: Algorithm::EdDSA, id: None, key }])
        }
        (_, _, Some(path)) => key_set(path),
        (None, None, None) => Ok(Vec::new()),
    }
}

/// The keys of a JSON Web Key Set that are for signatures.
fn key_set(path: &Path) -> Result<Vec<Key>, KeyError> {
    let rule = "it holds a JSON Web Key Set with public keys: Ed25519, P-256, P-384 or RSA";
    let set: JwkSet = serde_json::from_slice(&read(path)?).map_err(|_| unusable(path, rule))?;
    let mut keys = Vec::new();
    for jwk in &set.keys {
        if jwk.common.public_key_use.as_ref().is_some_and(|of| *of != PublicKeyUse::Signature) {
            continue;
        }
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::OctetKeyPair(_) => Algorithm::EdDSA,
            AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => Algorithm::ES256,
            AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P384 => Algorithm::ES384,
            AlgorithmParameters::RSA(_) => match jwk.common.key_algorithm {
                None | Some(KeyAlgorithm::RS256) => Algorithm::RS256,
                Some(KeyAlgorithm::RS384) => Algorithm::RS384,
                Some(KeyAlgorithm::RS512) => Algorithm::RS512,
                Some(KeyAlgorithm::PS256) => Algorithm::PS256,
                Some(_) => continue,
            },
            _ => continue,
        };
        let key = DecodingKey::from_jwk(jwk).map_err(|_| unusable(path, rule))?;
        keys.push(Key { algorithm, id: jwk.common.key_id.clone(), key });
    }
    if keys.is_empty() { Err(unusable(path, rule)) } else { Ok(keys) }
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
