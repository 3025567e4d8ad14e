//! Sources of settings, and their precedence.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::{Config, Storage};
use crate::parse_error::describe_value_error;

/// Sections that environment variables can set, as in `CAPTIONWIRE_LIMITS_UNACKED`. Lists, and settings about tokens,
/// belong in the file.
const SECTIONS_OF_THE_ENVIRONMENT: [&str; 4] = ["limits", "times", "captions", "retention"];
/// Other sections. A variable for one of them is refused: it would be ignored otherwise, without a word.
const SECTIONS_OF_THE_FILE: [&str; 7] = ["auth", "cluster", "deliveries", "dialects", "hls", "log_nats", "tls"];

/// Settings from flags and the environment.
#[derive(Clone, Default)]
pub struct Overrides {
    /// Address and port to listen on.
    pub listen: Option<String>,
    /// Directory of the archive.
    pub data: Option<PathBuf>,
    /// True to keep everything in memory.
    pub ephemeral: bool,
    /// Servers of the log, in the notation of [`NatsConfig::set_url`](super::NatsConfig::set_url).
    pub log: Option<String>,
    /// Other settings, as pairs of environment variable and value.
    pub variables: Vec<(String, String)>,
}

/// Without the servers of the log: their URL may hold a password.
impl fmt::Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listen, data, ephemeral, log, variables } = self;
        f.debug_struct("Overrides")
            .field("listen", listen)
            .field("data", data)
            .field("ephemeral", ephemeral)
            .field("log", &log.as_ref().map(|_| "…"))
            .field("variables", variables)
            .finish()
    }
}

impl Overrides {
    /// Returns the environment variables that set something in the sections `limits`, `times`, `captions` and
    /// `retention`, and those that try to set something in another one.
    #[must_use]
    pub fn variables_of_this_process() -> Vec<(String, String)> {
        let all = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let ours = all.filter(|(name, _)| setting(name).is_some() || section_of_the_file(name).is_some());
        let mut ours: Vec<_> = ours.map(|(name, value)| (name, value.to_string_lossy().into_owned())).collect();
        ours.sort();
        ours
    }
}

impl Config {
    /// Reads `file` if one is given, applies `overrides`, and checks the result.
    ///
    /// # Errors
    /// [`ConfigError`] with the file and line, the variable, or the setting.
    pub fn load(file: Option<&Path>, overrides: Overrides) -> Result<Self, ConfigError> {
        let text = match file {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?,
        };
        let malformed = |error| malformed(file.unwrap_or(Path::new("")), &text, error);
        // Parsed alone first, so that a fault in the file is reported with its line.
        let mut config: Self = toml::from_str(&text).map_err(malformed)?;
        if !overrides.variables.is_empty() {
            let mut settings: toml::Table = toml::from_str(&text).map_err(malformed)?;
            for (variable, value) in &overrides.variables {
                lay_over(&mut settings, variable, value)?;
            }
            config = Self::deserialize(settings).map_err(malformed)?;
        }
        if let Some(listen) = overrides.listen {
            const RULE: &str = "an address and port, such as 127.0.0.1:7700";
            config.listen = listen.parse().map_err(|_| ConfigError::BadValue {
                place: None,
                key: "listen",
                value: listen,
                rule: RULE,
            })?;
        }
        if let Some(data) = overrides.data {
            config.data = data;
        }
        if let Some(log) = overrides.log {
            config.log.nats.set_url(&log)?;
        }
        if !config.log.nats.servers.is_empty() {
            config.storage = Storage::Nats;
        }
        if overrides.ephemeral {
            config.storage = Storage::Ephemeral;
        }
        config.check().map_err(|error| match error {
            ConfigError::BadValue { place: None, key, value, rule } => {
                let variable = overrides
                    .variables
                    .iter()
                    .find(|(name, _)| setting(name).is_some_and(|(section, name)| key == format!("{section}.{name}")));
                let line = || Some(format!("{}, line {}", file?.display(), line_of(&text, key)?));
                let place = variable.map(|(name, _)| name.clone()).or_else(line);
                ConfigError::BadValue { place, key, value, rule }
            }
            error => error,
        })?;
        Ok(config)
    }
}

/// Makes an error for a fault in the file at `path`, whose text is `text`.
fn malformed(path: &Path, text: &str, error: toml::de::Error) -> ConfigError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let (line, column) =
        (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1);
    let cause = match DeTable::parse(text) {
        Ok(_) => describe_value_error(error.message(), Some(&path_of(&error))),
        Err(_) => {
            let what = error.message().split(", expected").next().unwrap_or_default();
            format!("{what} (a setting is written as name = value, with strings in \"quotation marks\")")
        }
    };
    ConfigError::Malformed { path: path.to_owned(), line, column, cause }
}

/// Returns the section or setting that an error is about; empty for the whole file.
fn path_of(error: &toml::de::Error) -> String {
    let mut error = error.clone();
    // Without its input the error names what it is about.
    error.set_input(None);
    let said = error.to_string();
    let path = said.rsplit_once("\nin `").and_then(|(_, path)| path.trim_end().strip_suffix('`'));
    path.unwrap_or_default().to_owned()
}

/// Returns the section and the setting that a variable sets.
fn setting(variable: &str) -> Option<(&'static str, String)> {
    let name = variable.strip_prefix("CAPTIONWIRE_")?.to_ascii_lowercase();
    SECTIONS_OF_THE_ENVIRONMENT.into_iter().find_map(|section| {
        let setting = name.strip_prefix(section)?.strip_prefix('_')?;
        Some((section, setting.to_owned()))
    })
}

/// Returns the section that a variable tries to set and cannot.
fn section_of_the_file(variable: &str) -> Option<&'static str> {
    let name = variable.strip_prefix("CAPTIONWIRE_")?.to_ascii_lowercase();
    let is_of = |section: &&str| name.strip_prefix(section).is_some_and(|rest| rest.starts_with('_'));
    SECTIONS_OF_THE_FILE.into_iter().find(is_of)
}

fn lay_over(settings: &mut toml::Table, variable: &str, value: &str) -> Result<(), ConfigError> {
    let bad = |cause: String| ConfigError::BadVariable { variable: variable.to_owned(), cause };
    if let Some(section) = section_of_the_file(variable) {
        let section = section.replace('_', ".");
        return Err(bad(format!("the environment cannot set [{section}]: write it into the configuration file")));
    }
    let (section, name) = setting(variable).ok_or_else(|| bad("there is no such setting".into()))?;
    // All settings of these sections are numbers.
    let number: i64 = value.trim().parse().map_err(|_| bad(format!("{value:?} is not a whole number")))?;
    let one = toml::Table::from_iter([(name.clone(), toml::Value::Integer(number))]);
    let alone = toml::Table::from_iter([(section.to_owned(), toml::Value::Table(one))]);
    Config::deserialize(alone).map_err(|error| bad(describe_value_error(error.message(), Some(&path_of(&error)))))?;
    let section = settings.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
    if let toml::Value::Table(section) = section {
        section.insert(name, toml::Value::Integer(number));
    }
    Ok(())
}

/// Returns the line, from 1, on which `key` (with its sections) is set; `None` if it is in a list with several entries.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let root = DeTable::parse(text).ok()?.into_inner();
    let mut table = &root;
    let mut parts = key.split('.').peekable();
    loop {
        let (name, value) = table.get_key_value(parts.next()?)?;
        if parts.peek().is_none() {
            return Some(text.get(..name.span().start)?.matches('\n').count() + 1);
        }
        table = match value.get_ref() {
            DeValue::Table(table) => table,
            DeValue::Array(list) => match list.iter().map(|one| one.get_ref()).collect::<Vec<_>>()[..] {
                [DeValue::Table(only)] => only,
                _ => return None,
            },
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_error::assert_plain;

    fn variable(name: &str, value: &str) -> Result<Config, ConfigError> {
        load("[limits]\nunacked = 7\nfeeds_max = 8\n", &[(name, value)])
    }

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("c.toml");
        std::fs::write(&path, text).expect("written");
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Config::load(Some(&path), Overrides { variables, ..Overrides::default() })
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
        let config = variable("CAPTIONWIRE_LIMITS_UNACKED", "9").expect("it can be used");
        assert_eq!((config.limits.unacked, config.limits.feeds_max), (9, 8));
        assert_eq!(config.limits.text_bytes, Config::default().limits.text_bytes);
        let config = variable("CAPTIONWIRE_TIMES_HEARTBEAT_MS", "123").expect("it can be used");
        assert_eq!((config.limits.unacked, config.times.heartbeat_ms), (7, 123));
    }

    #[test]
    fn a_bad_variable_is_named() {
        for (name, value, cause) in [
            ("CAPTIONWIRE_LIMITS_UNAKED", "9", "unaked"),
            ("CAPTIONWIRE_LIMITS_UNACKED", "many", "not a whole number"),
            ("CAPTIONWIRE_LIMITS_UNACKED", "-1", "unacked must be a whole number of 0 or more"),
            ("CAPTIONWIRE_LIMITS_UNACKED", "0", "at least 1"),
            ("CAPTIONWIRE_HLS_WINDOW", "9", "cannot set [hls]: write it into the configuration file"),
            ("CAPTIONWIRE_LOG_NATS_REPLICAS", "3", "cannot set [log.nats]"),
        ] {
            let said = variable(name, value).expect_err("refused").to_string();
            assert!(said.contains(name) && said.contains(cause), "{said}");
            assert_plain(&said);
        }
    }

    #[test]
    fn what_is_wrong_in_the_file_is_said_with_its_place_and_without_its_text() {
        for (text, said) in [
            (
                "[limits]\nunaked = 7\n",
                "line 2, column 1: limits.unaked is not known: the nearest that is known is unacked",
            ),
            ("[limit]\nunacked = 7\n", "line 1, column 2: limit is not known: the nearest that is known is limits"),
            (
                "[limits]\nunacked = \"secret\"\n",
                "line 2, column 11: limits.unacked must be a whole number of 0 or more and is a string",
            ),
            ("[limits]\nunacked = -1\n", "line 2, column 11: limits.unacked must be a whole number of 0 or more"),
            ("search = \"secret\"\n", "line 1, column 10: search must be true or false and is a string"),
            ("limits = 7\n", "line 1, column 10: limits must be an object and is a whole number"),
            (
                "listen = \"secret\"\n",
                "line 1, column 10: listen must be an address and a port, such as 127.0.0.1:7700",
            ),
            ("[[auth.tokens]]\nname = \"a\"\nroles = [\"secret\"]\n", "line 3, column 10: "),
            (
                "[[auth.tokens]]\nname = 7\n",
                "line 2, column 8: auth.tokens.name must be a string and is a whole number",
            ),
            ("[[auth.tokens]]\nname = \"a\"\n", "line 1, column 1: auth.tokens."),
            ("[[webhooks]]\nname = \"a\"\nsecrets = [\"secret\"\nurl = 7\n", "line 4, column 1: "),
            ("[limits]\nunacked =\n", "line 2, column 10: "),
            ("listen = secret\n", "line 1, column 10: string values must be quoted (a setting"),
            ("search = true\nsearch = true\n", "line 2, column 1: duplicate key (a setting"),
            ("[limits]\n\u{e9} = 1\n", "line 2, column 1: "),
        ] {
            let error = load(text, &[]).expect_err("refused").to_string();
            let cause = error.split_once("c.toml, ").map_or("", |(_, cause)| cause);
            assert!(cause.starts_with(said), "{text}\n  gives {error}\n  not   {said}");
            assert_plain(&error);
        }
    }

    #[test]
    fn a_value_that_makes_no_sense_is_found_in_the_file() {
        for (text, line) in [
            ("[limits]\n\n  unacked = 0\n", 3),
            ("listen = \"0.0.0.0:1\"", 1),
            ("# so\nallowed_origins = [\n  \"*\",\n]", 2),
            ("\n\ntimes = { heartbeat_ms = 0 }", 3),
        ] {
            let said = load(text, &[]).expect_err("refused").to_string();
            assert!(said.contains(&format!("c.toml, line {line}: ")), "{said}");
        }
    }
}
