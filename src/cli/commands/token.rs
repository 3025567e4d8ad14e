//! `token`: makes tokens for people and programs. No server is involved; what it needs to know is printed.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::cli::support::outcome::Outcome;
use crate::cli::support::outcome::misuse;
use crate::cli::support::output::{note, print};
use crate::config::{BadFeedPattern, FeedPattern, HS256_SECRET_BYTES_MIN, Role};
use crate::server::{Clock, Rng};
use crate::transcript::line::check_source;

const EXAMPLES: &str = "\
Examples:
  captionwire token new --name desk --role subscribe --role desk --feed 'geneva-*'
  captionwire token jwt --hs256-secret-file secret --role publish --feed geneva --expires-in 12h

The token is the only line on stdout. `new` prints on stderr the entry for the configuration, by which the server recognises the
token. Roles: publish, create (a feed that does not exist yet), subscribe, desk, admin,
metrics. No role includes another.";

/// Make a token that lets somebody publish, read or manage.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TokenCommand {
    #[command(subcommand)]
    kind: TokenKind,
}

#[derive(Debug, Subcommand)]
enum TokenKind {
    /// Make a token, and the entry for the server's configuration
    #[command(after_help = EXAMPLES)]
    New(NewToken),
    /// Sign a token (JWT) for servers that have the secret
    #[command(after_help = EXAMPLES)]
    Jwt(JwtSettings),
}

#[derive(Debug, Args)]
struct GrantArgs {
    /// Role of the token; repeatable
    #[arg(long = "role", required = true, value_name = "ROLE", value_parser = role)]
    roles: Vec<Role>,
    /// Feeds that it is for: a name, with one `*` at most; repeatable
    #[arg(long = "feed", required = true, value_name = "PATTERN", value_parser = feed)]
    feeds: Vec<String>,
    /// The only source that its owner may publish as
    #[arg(long)]
    source: Option<String>,
}

#[derive(Debug, Args)]
struct NewToken {
    /// Name of its owner, for people
    #[arg(long)]
    name: String,
    #[command(flatten)]
    granted: GrantArgs,
}

#[derive(Debug, Args)]
struct JwtSettings {
    /// The secret that the servers have as auth.jwt.hs256_secret_file
    #[arg(long, value_name = "FILE")]
    hs256_secret_file: PathBuf,
    #[command(flatten)]
    granted: GrantArgs,
    /// Lifetime: seconds, or with a unit, such as 90m, 12h or 30d
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires_in: u32,
    /// Name of its owner, for people (`sub`)
    #[arg(long)]
    name: Option<String>,
    /// Issuer (`iss`), if the servers require one
    #[arg(long)]
    issuer: Option<String>,
    /// Audience (`aud`), if the servers require one
    #[arg(long)]
    audience: Option<String>,
}

impl TokenCommand {
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        match self.kind {
            TokenKind::New(new) => new.run(),
            TokenKind::Jwt(jwt) => jwt.run(),
        }
    }
}

impl GrantArgs {
    fn check(&self) -> anyhow::Result<()> {
        match &self.source {
            Some(source) => Ok(check_source(source)?),
            None => Ok(()),
        }
    }

    fn roles(&self) -> Vec<&'static str> {
        self.roles.iter().map(|role| role.as_str()).collect()
    }
}

impl NewToken {
    fn run(self) -> anyhow::Result<Outcome> {
        self.granted.check()?;
        if self.name.trim().is_empty() || self.name.chars().any(char::is_control) {
            misuse!("--name is text without control characters");
        }
        let chance = Rng::of_this_machine();
        // 256 bits, as many as the hash has.
        let token: String =
            std::iter::once("cw_".to_owned()).chain((0..4).map(|_| format!("{:016x}", chance.next()))).collect();
        let hash: String = Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        // TOML reads strings and lists of strings as JSON writes them.
        let entry = [
            ("name", json!(self.name)),
            ("sha256", json!(hash)),
            ("roles", json!(self.granted.roles())),
            ("feeds", json!(self.granted.feeds)),
            ("source", json!(self.granted.source)),
        ];
        note("add this to the configuration; the token itself is on stdout and is shown only now");
        let mut text = String::from("[[auth.tokens]]\n");
        for (key, value) in entry.iter().filter(|(_, value)| !value.is_null()) {
            text.push_str(&format!("{key} = {value}\n"));
        }
        crate::cli::support::output::tell(&text);
        print(&format!("{token}\n"))?;
        Ok(Outcome::Done)
    }
}

impl JwtSettings {
    fn run(self) -> anyhow::Result<Outcome> {
        self.granted.check()?;
        let path = &self.hs256_secret_file;
        let secret = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let secret = secret.trim_ascii();
        if secret.len() < HS256_SECRET_BYTES_MIN {
            bail!("the secret in {} has {} bytes; use at least {HS256_SECRET_BYTES_MIN}", path.display(), secret.len());
        }
        let now = Clock::of_this_machine().now().0 / 1000;
        let mut claims = json!({
            "roles": self.granted.roles(),
            "feeds": self.granted.feeds,
            "iat": now,
            "exp": now + i64::from(self.expires_in),
        });
        let told = [("source", self.granted.source), ("sub", self.name), ("iss", self.issuer), ("aud", self.audience)];
        for (claim, value) in told {
            if let Some(value) = value {
                claims[claim] = value.into();
            }
        }
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
        let key = jsonwebtoken::EncodingKey::from_secret(secret);
        let token = jsonwebtoken::encode(&header, &claims, &key).context("the token could not be signed")?;
        print(&format!("{token}\n"))?;
        Ok(Outcome::Done)
    }
}

fn role(text: &str) -> Result<Role, String> {
    let all = Role::ALL.map(Role::as_str).join(", ");
    Role::of(text).ok_or_else(|| format!("there are {all}"))
}

fn feed(text: &str) -> Result<String, BadFeedPattern> {
    text.parse::<FeedPattern>().map(|_| text.to_owned())
}

fn seconds(text: &str) -> Result<u32, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        _ => None,
    };
    let count: Option<u32> = digits.parse().ok();
    let seconds = unit.zip(count).and_then(|(unit, count)| count.checked_mul(unit));
    seconds.filter(|seconds| *seconds > 0).ok_or_else(|| "a time such as 90m, 12h or 30d".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_a_table() {
        for (text, expected) in [("90", 90), ("90s", 90), ("2m", 120), ("12h", 43_200), ("30d", 2_592_000)] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for bad in ["", "h", "0h", "-1h", "1w", "1.5h", "99999999d", "h1"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
