//! Outcome of a command, and the text of its errors.

use crate::client::{BadProxy, BadUrl};
use crate::position::BadName;

/// Outcome of a command that was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Something was refused or could not be read, and was reported.
    Problems,
}

impl Outcome {
    pub(crate) fn of_problems(count: u64) -> Self {
        if count == 0 { Self::Done } else { Self::Problems }
    }
}

/// Error for arguments that make no sense, alone or together, and for which clap has no rule.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Returns true if the arguments or the proxy variables are at fault, so that the command fails whatever the files and the
/// server are.
pub(crate) fn is_misuse(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<UsageError>() || cause.is::<BadName>() || cause.is::<BadUrl>() || cause.is::<BadProxy>()
    })
}

/// Returns a [`UsageError`] error from the current function.
macro_rules! misuse {
    ($($what:tt)*) => { return Err(crate::cli::support::outcome::UsageError(format!($($what)*)).into()) };
}
pub(crate) use misuse;

/// Formats an error with its causes, except causes that repeat an earlier text.
pub(crate) fn explain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(&format!(": {cause}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_everything_once() {
        let error = anyhow::anyhow!("no such file").context("cannot read a: no such file").context("it failed");
        assert_eq!(explain(&error), "it failed: cannot read a: no such file");
    }
}
