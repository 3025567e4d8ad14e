//! How a command ends, and what is said of an error.

use crate::client::BadUrl;
use crate::position::BadName;

/// How a command ended that did what it could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Something was refused or could not be read; people were told what.
    Problems,
}

impl Outcome {
    pub(crate) fn of_problems(count: u64) -> Self {
        if count == 0 { Self::Done } else { Self::Problems }
    }
}

/// Arguments that make no sense, each for itself or together, for which clap has no rule.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misuse(pub(crate) String);

/// True if the arguments are at fault: the same command fails whatever the files and the server are.
pub(crate) fn is_misuse(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<Misuse>() || cause.is::<BadName>() || cause.is::<BadUrl>())
}

/// Ends a command whose arguments make no sense.
macro_rules! misuse {
    ($($what:tt)*) => { return Err(crate::cli::support::outcome::Misuse(format!($($what)*)).into()) };
}
pub(crate) use misuse;

/// An error with its causes; those that say what was said before are left out.
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
