//! Signatures of webhooks (Standard Webhooks 1.0): HMAC-SHA256 over id, time and body, once with each secret.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::config::WebhookConfig;
use crate::server::core::secret_files::{KeyError, read_secret};

/// Prefix of a secret in base64 (Standard Webhooks, "Signature scheme").
const PREFIX: &str = "whsec_";
/// Allowed length of a secret in bytes (same section).
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// More than a rotation needs: every message carries one signature per secret.
const SECRETS_MAX: usize = 10;

/// Reason why secrets cannot be used. The secrets are not shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretsError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] KeyError),
    /// The environment variable is not set.
    #[error("secret_env names the environment variable {0}, which is not set")]
    NoVariable(String),
    /// A secret is malformed.
    #[error(
        "secret number {0} must be `whsec_` followed by 24 to 64 bytes in base64; `openssl rand -base64 32` makes \
         such bytes"
    )]
    Bad(usize),
    /// There are none, or too many.
    #[error("there are {0} secrets; give 1 to 10")]
    Number(usize),
}

/// The secrets of one webhook.
pub(crate) struct WebhookSecrets(Vec<Hmac<Sha256>>);

impl WebhookSecrets {
    /// Reads the secrets that the configuration contains or names.
    pub(crate) fn read(config: &WebhookConfig) -> Result<Self, SecretsError> {
        let mut all: Vec<String> = config.secrets.iter().map(|secret| secret.reveal().to_owned()).collect();
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        if let Some(path) = &config.secret_file {
            all.extend(words(&String::from_utf8_lossy(&read_secret(Path::new(path))?)));
        }
        if let Some(name) = &config.secret_env {
            let value = std::env::var(name).map_err(|_| SecretsError::NoVariable(name.clone()))?;
            all.extend(words(&value));
        }
        Self::parse(&all)
    }

    fn parse(all: &[String]) -> Result<Self, SecretsError> {
        if all.is_empty() || all.len() > SECRETS_MAX {
            return Err(SecretsError::Number(all.len()));
        }
        let keys = all.iter().enumerate().map(|(index, secret)| {
            let bytes = secret.strip_prefix(PREFIX).and_then(|rest| STANDARD.decode(rest).ok());
            let bytes = bytes.filter(|bytes| SECRET_BYTES.contains(&bytes.len()));
            let key = bytes.and_then(|bytes| Hmac::new_from_slice(&bytes).ok());
            key.ok_or(SecretsError::Bad(index + 1))
        });
        keys.collect::<Result<_, _>>().map(Self)
    }

    /// Returns the value of `webhook-signature`: a signature with each secret.
    pub(crate) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let signed = self.0.iter().map(|key| {
            let mut key = key.clone();
            key.update(format!("{id}.{timestamp}.").as_bytes());
            key.update(body);
            format!("v1,{}", STANDARD.encode(key.finalize().into_bytes()))
        });
        signed.collect::<Vec<_>>().join(" ")
    }
}

impl std::fmt::Debug for WebhookSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

/// Returns the id of a message: the same on every retry and after every crash, and different for any other message. It
/// is a hash of the body; `told_before` distinguishes messages whose bodies can recur.
pub(crate) fn message_id(told_before: &str, body: &[u8]) -> String {
    let hash = Sha256::new().chain_update(told_before).chain_update([0]).chain_update(body).finalize();
    hash[..16].iter().fold("msg_".to_owned(), |id, byte| id + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(all: &[&str]) -> Result<WebhookSecrets, SecretsError> {
        WebhookSecrets::parse(&all.iter().map(|secret| (*secret).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_known_signature() {
        // Made with Python's hmac; the secret is bytes 0 to 23.
        let known = secrets(&["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"]).expect("a secret");
        assert_eq!(known.sign("msg_1", 1_700_000_000, b"{\"a\":1}"), KNOWN);
        let two = secrets(&["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "whsec_FxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA"]);
        let two = two.expect("secrets").sign("msg_1", 1_700_000_000, b"{\"a\":1}");
        assert!(two.starts_with(&format!("{KNOWN} v1,")) && two.split(' ').count() == 2, "{two}");
    }

    const KNOWN: &str = "v1,YOREwC5BRUvI4ezImQEgEteB7JbPr/Iy2YCZe049/5g=";

    #[test]
    fn bad_secrets_are_told_and_not_shown() {
        for bad in ["", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "whsec_AAEC", "whsec_?"] {
            let error = secrets(&["whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", bad]).expect_err(bad).to_string();
            assert!(error.contains("number 2") && (bad.is_empty() || !error.contains(bad)), "{error}");
        }
        assert!(secrets(&[]).is_err());
    }

    #[test]
    fn an_id_is_of_what_is_said() {
        assert_eq!(message_id("", b"a"), message_id("", b"a"));
        assert_ne!(message_id("", b"a"), message_id("", b"b"));
        assert_ne!(message_id("e1", b"a"), message_id("e2", b"a"));
    }
}
