//! Errors of a configuration.

use std::path::PathBuf;

/// Error in a configuration, with its place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("the configuration {path} could not be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is malformed. Its text is not shown, because it may hold secrets.
    #[error("{}, line {line}, column {column}: {cause}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The character in that line, from 1.
        column: usize,
        /// The fault and its remedy.
        cause: String,
    },
    /// A value is out of range.
    #[error("{}{key} = {value} cannot be used: {rule}", place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default())]
    BadValue {
        /// The file and line, or the variable, that set it.
        place: Option<String>,
        /// The setting.
        key: &'static str,
        /// The value.
        value: String,
        /// The accepted values.
        rule: &'static str,
    },
    /// An environment variable names no setting, or its value does not fit the setting.
    #[error("the environment variable {variable} cannot be used: {cause}")]
    BadVariable {
        /// The variable.
        variable: String,
        /// The fault.
        cause: String,
    },
    /// The process has too few file descriptors for the connections that the configuration allows.
    #[error(
        "limits.connections_max = {connections_max} is too much for the {descriptors} descriptors that this process may \
         have: set limits.connections_max to {room} or less, or raise the hard limit (`ulimit -Hn`, LimitNOFILE=)"
    )]
    TooFewDescriptors {
        /// Value of the setting.
        connections_max: usize,
        /// Hard limit of the process.
        descriptors: u64,
        /// Number of connections that would fit.
        room: usize,
    },
}
