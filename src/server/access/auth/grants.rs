//! The tokens of the configuration, and the anonymous rights.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::{AuthConfig, LimitsConfig};
use crate::position::FeedId;
use crate::server::access::auth::access::{Access, BAD_TOKEN, Denial, GrantClaims, Identity};
use crate::server::access::auth::attempt_limit::{AttemptKey, AttemptLimit};
use crate::server::access::auth::creations::{PendingCreation, PendingCreations};
use crate::server::access::auth::jwt::JwtVerifier;
use crate::server::core::grant_lifetime::{EXPIRED, GrantLifetime, Revocation};
use crate::server::core::secret_files::KeyError;
use crate::transcript::Timestamp;

/// Addresses and tokens that one rate limit tracks, at some hundred bytes each. Above this, the oldest is forgotten.
const RATES_MAX: usize = 10_000;
/// Interval in which wrong tokens of an address are counted, in milliseconds.
const ATTEMPTS_SPAN_MS: u64 = 60_000;
/// Interval in which created feeds of a token or an address are counted, in milliseconds.
const CREATIONS_SPAN_MS: u64 = 3_600_000;

/// Tokens and their rights; replaced as a whole when the configuration is reloaded.
pub(crate) struct Auth {
    grants: RwLock<Arc<Grants>>,
    /// Wrong tokens, by address.
    attempts: AttemptLimit,
    /// Feeds created, by token, or by address without one.
    creations: AttemptLimit,
    /// Feeds that are being created: they count for a token's `feeds_max` like existing ones.
    under_way: PendingCreations,
}

/// Grants of one reading of `[auth]`.
struct Grants {
    tokens: Vec<([u8; 32], Access)>,
    jwt: Option<JwtVerifier>,
    anonymous: Access,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth")
    }
}

impl Grants {
    /// Reads the keys named in `config`.
    fn read(config: &AuthConfig) -> Result<Self, KeyError> {
        let tokens = config.tokens.iter().filter_map(|token| {
            let hash = token.hash()?;
            let granted = GrantClaims {
                token: hash,
                roles: token.roles.clone(),
                feeds: token.feeds.clone(),
                source: token.source.as_deref().map(Into::into),
                feeds_max: token.feeds_max,
                // An unchecked configuration grants no more than a checked one.
                expires_at: token.expires_ms().ok()?.map(Timestamp),
                ..GrantClaims::nothing(Identity::Known)
            };
            Some((hash, Access::new(granted)))
        });
        let nobody = GrantClaims::nothing(Identity::Anonymous);
        let anonymous = match &config.anonymous {
            Some(grant) => GrantClaims { roles: grant.roles.clone(), feeds: grant.feeds.clone(), ..nobody },
            None => nobody,
        };
        Ok(Self {
            tokens: tokens.collect(),
            jwt: config.jwt.as_ref().map(JwtVerifier::new).transpose()?,
            anonymous: Access::new(anonymous),
        })
    }

    /// Keeps the validity of grants that `before` had and that are unchanged, so that their connections stay open.
    /// Returns the grants to revoke.
    fn take_over(&mut self, before: &Self) -> Vec<(GrantLifetime, Revocation)> {
        let mut revoked = Vec::new();
        for (hash, access) in &before.tokens {
            let old = &access.granted;
            match self.tokens.iter_mut().find(|(known, _)| known == hash) {
                Some((_, new)) if new.granted.allows_the_same(old) => *new = access.clone(),
                Some(_) => revoked.push((old.validity.clone(), Revocation::Changed)),
                None => revoked.push((old.validity.clone(), Revocation::Removed)),
            }
        }
        if self.anonymous.granted.allows_the_same(&before.anonymous.granted) {
            self.anonymous = before.anonymous.clone();
        } else {
            revoked.push((before.anonymous.granted.validity.clone(), Revocation::Changed));
        }
        match (&mut self.jwt, &before.jwt) {
            (Some(new), Some(old)) => revoked.extend(new.take_over(old)),
            (None, Some(old)) => revoked.extend(old.validities().map(|of| (of, Revocation::Removed))),
            (_, None) => {}
        }
        revoked
    }
}

impl Auth {
    /// Reads the keys named in `config`.
    ///
    /// # Errors
    /// [`KeyError`] for a file that cannot be used.
    pub(crate) fn new(config: &AuthConfig, limits: &LimitsConfig) -> Result<Self, KeyError> {
        Ok(Self::with(Grants::read(config)?, limits))
    }

    /// Creates an instance that grants nothing to anybody.
    pub(crate) fn closed() -> Self {
        let anonymous = Access::new(GrantClaims::nothing(Identity::Anonymous));
        Self::with(Grants { tokens: Vec::new(), jwt: None, anonymous }, &LimitsConfig::default())
    }

    fn with(grants: Grants, limits: &LimitsConfig) -> Self {
        Self {
            grants: RwLock::new(Arc::new(grants)),
            attempts: AttemptLimit::new(limits.wrong_tokens_per_minute, ATTEMPTS_SPAN_MS, RATES_MAX),
            creations: AttemptLimit::new(limits.feeds_created_per_hour, CREATIONS_SPAN_MS, RATES_MAX),
            under_way: PendingCreations::default(),
        }
    }

    /// Replaces all grants by those of `config`, and closes the connections of grants that were revoked or changed.
    /// Connections of unchanged tokens are not affected. Returns the number of grants revoked. Blocks while it reads
    /// files.
    ///
    /// # Errors
    /// [`KeyError`] for a file that cannot be used; nothing has changed then.
    pub(crate) fn reload(&self, config: &AuthConfig) -> Result<usize, KeyError> {
        let mut grants = Grants::read(config)?;
        let revoked = {
            let mut current = self.grants.write().unwrap_or_else(PoisonError::into_inner);
            let revoked = grants.take_over(&current);
            *current = Arc::new(grants);
            revoked
        };
        for (validity, why) in &revoked {
            validity.revoke(*why);
        }
        Ok(revoked.len())
    }

    /// Returns the rights of clients without a token.
    pub(crate) fn anonymous(&self) -> Access {
        self.current().anonymous.clone()
    }

    /// Returns the rights of the owner of `token`. A wrong token counts against its address; a valid one is never
    /// refused because of others from that address.
    pub(crate) fn access_of(&self, token: &str, now: Timestamp, from: Option<IpAddr>) -> Result<Access, Denial> {
        let access = self.current().access_of(token, now);
        if matches!(access, Err(Denial::Unauthorised(BAD_TOKEN)))
            && let Some(address) = from
            && let Err(first) = self.attempts.count(AttemptKey::of_address(address))
        {
            if first {
                tracing::warn!(%address, "too many wrong tokens from this address: further ones are refused as such (limits.wrong_tokens_per_minute)");
            }
            return Err(Denial::TooManyAttempts);
        }
        access
    }

    /// Registers the creation of the feed `name`. Returns the registration, and the feeds whose creation began earlier
    /// and is still in progress.
    pub(crate) fn begin_creation(&self, name: &FeedId) -> (PendingCreation<'_>, Vec<FeedId>) {
        self.under_way.begin(name)
    }

    /// Counts a feed that `owner` is about to create.
    pub(crate) fn count_creation(&self, owner: AttemptKey) -> Result<(), Denial> {
        self.creations.count(owner).map_err(|first| {
            let by = match owner {
                AttemptKey::Address(_) => "this address",
                AttemptKey::Token(_) => "this token",
            };
            if first {
                tracing::warn!(
                    "{} creates feeds too fast: further ones are refused (limits.feeds_created_per_hour)",
                    by.replace("this", "one")
                );
            }
            Denial::TooManyFeeds(format!(
                "{by} created too many feeds in an hour (limits.feeds_created_per_hour): use existing feeds, or try \
                 again later"
            ))
        })
    }

    /// Reverts the count of a feed that `owner` did not create after all.
    pub(crate) fn uncount_creation(&self, owner: AttemptKey) {
        self.creations.uncount(owner);
    }

    fn current(&self) -> Arc<Grants> {
        self.grants.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Grants {
    fn access_of(&self, token: &str, now: Timestamp) -> Result<Access, Denial> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut found = None;
        // Compares all tokens, so that the time taken reveals nothing.
        for (known, access) in &self.tokens {
            if bool::from(known.as_slice().ct_eq(hash.as_slice())) {
                found = Some(access.clone());
            }
        }
        let access = match (found, &self.jwt) {
            (Some(access), _) => access,
            (None, Some(jwt)) => jwt.access_of(token, hash, now)?,
            (None, None) => return Err(Denial::Unauthorised(BAD_TOKEN)),
        };
        match access.granted.expires_at {
            Some(at) if at <= now => Err(Denial::Unauthorised(EXPIRED)),
            _ => Ok(access),
        }
    }
}
