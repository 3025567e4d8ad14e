//! Errors of a configuration.

use std::path::PathBuf;

/// A configuration that cannot be used, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("the configuration {path} could not be read: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it should be. No part of it is shown: it may hold secrets.
    #[error("{}, line {line}, column {column}: {cause}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The character of that line, from 1.
        column: usize,
        /// What is wrong there, and the mend.
        cause: String,
    },
    /// A value makes no sense.
    #[error("{}{key} = {value} cannot be used: {rule}", place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default())]
    BadValue {
        /// The file and line, or the variable, where it was set.
        place: Option<String>,
        /// Which setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// What would do.
        rule: &'static str,
    },
    /// A variable of the environment is no setting, or not what the setting should be.
    #[error("the environment variable {variable} cannot be used: {cause}")]
    BadVariable {
        /// Which variable.
        variable: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The process may not have as many descriptors as the configuration allows connections.
    #[error(
        "limits.connections_max = {connections_max} is too much for the {descriptors} descriptors that this process may \
         have: set limits.connections_max to {room} or less, or raise the hard limit (`ulimit -Hn`, LimitNOFILE=)"
    )]
    TooFewDescriptors {
        /// The setting.
        connections_max: usize,
        /// The hard limit of the process.
        descriptors: u64,
        /// The connections that there is room for.
        room: usize,
    },
}
