//! Signed tokens (RFC 7519): the keys that verify them, and the rights from their claims.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

use crate::config::{FeedPattern, HS256_SECRET_BYTES_MIN, JwtConfig, Role};
use crate::server::access::auth::access::{Access, BAD_TOKEN, Denial, GrantClaims, Identity};
use crate::server::core::grant_lifetime::{GrantLifetime, Revocation};
use crate::server::core::secret_files::{KeyError, read, read_secret, unusable};
use crate::transcript::Timestamp;

/// Verifies signed tokens with the keys of one reading of `[auth.jwt]`.
pub(crate) struct JwtVerifier {
    config: JwtConfig,
    keys: Vec<JwtKey>,
}

struct JwtKey {
    /// A key is for one algorithm, whatever a token says: a public key must never be used as a shared secret.
    algorithm: Algorithm,
    id: Option<String>,
    key: DecodingKey,
    /// SHA-256 of the key as it was read, by which a reload recognizes it.
    fingerprint: [u8; 32],
    /// Shared by all connections that its tokens opened.
    validity: GrantLifetime,
}

impl JwtKey {
    fn new(algorithm: Algorithm, id: Option<String>, key: DecodingKey, read_from: &[u8]) -> Self {
        Self { algorithm, id, key, fingerprint: Sha256::digest(read_from).into(), validity: GrantLifetime::default() }
    }
}

/// Header fields that jsonwebtoken ignores.
#[derive(Deserialize)]
struct Extensions {
    /// Critical extensions (RFC 7515, section 4.1.11). None is supported.
    crit: Option<IgnoredAny>,
    /// Unencoded payload (RFC 7797): the signed text would differ from the text read here.
    b64: Option<IgnoredAny>,
}

/// Claims of a signed token. Other claims are ignored (RFC 7519, section 4).
#[derive(Deserialize)]
struct Claims {
    /// Expiry in seconds since 1970 (RFC 7519, section 4.1.4).
    exp: f64,
    nbf: Option<f64>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    feeds: Vec<FeedPattern>,
    source: Option<String>,
    /// There is only the public view so far, so a token that is restricted to views is refused.
    views: Option<IgnoredAny>,
    /// A single string (RFC 7519, section 4.1.1). The library would accept a list that contains the right one.
    #[serde(default, deserialize_with = "string")]
    #[expect(dead_code, reason = "it is compared by the library; here it is held to its type")]
    iss: Option<String>,
}

/// Deserializes a claim that must be a string if it is present; `null` is refused.
fn string<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    String::deserialize(value).map(Some)
}

impl JwtVerifier {
    /// Reads the keys named in `config`.
    ///
    /// # Errors
    /// [`KeyError`] for a file that cannot be used.
    pub(crate) fn new(config: &JwtConfig) -> Result<Self, KeyError> {
        Ok(Self { keys: keys(config)?, config: config.clone() })
    }

    /// Keeps the validity of keys that `before` had as well, so that connections of their tokens stay open. Returns the
    /// others, to revoke.
    pub(crate) fn take_over(&mut self, before: &Self) -> Vec<(GrantLifetime, Revocation)> {
        let claims = |of: &Self| (of.config.issuer.clone(), of.config.audience.clone());
        if claims(self) != claims(before) {
            return before.validities().map(|of| (of, Revocation::Changed)).collect();
        }
        let mut gone = Vec::new();
        for old in &before.keys {
            let is_same = |new: &&mut JwtKey| {
                (new.algorithm, &new.id, new.fingerprint) == (old.algorithm, &old.id, old.fingerprint)
            };
            match self.keys.iter_mut().find(is_same) {
                Some(new) => new.validity = old.validity.clone(),
                None => gone.push((old.validity.clone(), Revocation::Removed)),
            }
        }
        gone
    }

    /// Returns the validity of each key, which ends all connections of its tokens.
    pub(crate) fn validities(&self) -> impl Iterator<Item = GrantLifetime> {
        self.keys.iter().map(|key| key.validity.clone())
    }

    /// Returns the rights of the owner of `token`, whose SHA-256 is `hash`.
    pub(crate) fn access_of(&self, token: &str, hash: [u8; 32], now: Timestamp) -> Result<Access, Denial> {
        let bad = Denial::Unauthorised(BAD_TOKEN);
        let (claims, validity) = self.claims(token).ok_or(bad.clone())?;
        if claims.views.is_some() {
            return Err(Denial::Forbidden("the token is for certain views, and this server has no views yet".into()));
        }
        let expires_at = milliseconds(claims.exp).ok_or(bad.clone())?;
        if claims.nbf.is_some_and(|from| milliseconds(from).is_none_or(|from| from > now)) {
            return Err(bad);
        }
        // Roles of a later release grant nothing here.
        let roles = claims.roles.iter().filter_map(|role| Role::of(role)).collect();
        let source = claims.source.map(Into::into);
        Ok(Access::new(GrantClaims {
            token: hash,
            roles,
            feeds: claims.feeds,
            source,
            expires_at: Some(expires_at),
            validity,
            ..GrantClaims::nothing(Identity::Known)
        }))
    }

    /// Returns the claims of a token that a key signed, and that key's validity.
    fn claims(&self, token: &str) -> Option<(Claims, GrantLifetime)> {
        if !has_no_extensions(token) {
            return None;
        }
        let header = jsonwebtoken::decode_header(token).ok()?;
        let fits = |key: &&JwtKey| {
            let same_id = match (&header.kid, &key.id) {
                (Some(asked), Some(id)) => asked == id,
                _ => true,
            };
            key.algorithm == header.alg && same_id
        };
        self.keys.iter().filter(fits).find_map(|key| {
            let mut validation = Validation::new(key.algorithm);
            let mut required = vec!["exp"];
            // Checked below, by the server's own clock.
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
            let decoded = jsonwebtoken::decode::<Claims>(token, &key.key, &validation).ok()?;
            Some((decoded.claims, key.validity.clone()))
        })
    }
}

/// Returns true for a token whose header requires nothing beyond RFC 7519.
fn has_no_extensions(token: &str) -> bool {
    let header = token.split('.').next().and_then(|header| URL_SAFE_NO_PAD.decode(header).ok());
    let extensions = header.and_then(|header| serde_json::from_slice(&header).ok());
    matches!(extensions, Some(Extensions { crit: None, b64: None }))
}

fn milliseconds(seconds: f64) -> Option<Timestamp> {
    /// Beyond the year 9999, and far below the limit of exact milliseconds.
    const SECONDS_MAX: f64 = 300_000_000_000.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is in range")]
    (0.0..SECONDS_MAX).contains(&seconds).then_some(Timestamp((seconds * 1000.0) as i64))
}

/// Reads the keys from the one file that is configured.
fn keys(config: &JwtConfig) -> Result<Vec<JwtKey>, KeyError> {
    match (&config.hs256_secret_file, &config.eddsa_public_key_file, &config.jwks_file) {
        (Some(path), _, _) => {
            let secret = read_secret(path)?;
            let secret = secret.trim_ascii();
            if secret.len() < HS256_SECRET_BYTES_MIN {
                return Err(unusable(path, "the secret must have at least 32 bytes"));
            }
            Ok(vec![JwtKey::new(Algorithm::HS256, None, DecodingKey::from_secret(secret), secret)])
        }
        (_, Some(path), _) => {
            let pem = read(path)?;
            let key = DecodingKey::from_ed_pem(&pem);
            let key = key.map_err(|_| unusable(path, "it must hold an Ed25519 public key in PEM"))?;
            Ok(vec![JwtKey::new(Algorithm::EdDSA, None, key, &pem)])
        }
        (_, _, Some(path)) => key_set(path),
        (None, None, None) => Ok(Vec::new()),
    }
}

/// Reads the signature keys of a JSON Web Key Set.
fn key_set(path: &Path) -> Result<Vec<JwtKey>, KeyError> {
    let rule = "it must hold a JSON Web Key Set with public keys: Ed25519, P-256, P-384 or RSA";
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
        let read_from = serde_json::to_vec(jwk).map_err(|_| unusable(path, rule))?;
        keys.push(JwtKey::new(algorithm, jwk.common.key_id.clone(), key, &read_from));
    }
    if keys.is_empty() { Err(unusable(path, rule)) } else { Ok(keys) }
}
