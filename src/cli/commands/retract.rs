//! `retract`: retracts a line.

use anyhow::Context;
use clap::Args;

use crate::cli::support::outcome::Outcome;
use crate::cli::support::output::note;
use crate::cli::support::server_target::{ArchiveAccess, CommandTarget};
use crate::position::FeedId;
use crate::transcript::LineKey;
use crate::transcript::line::{DEFAULT_SOURCE, check_kept_line_id, check_source};

const EXAMPLES: &str = "\
Examples:
  captionwire retract hearing 7            the line 7 of the source main
  captionwire retract hearing asr-2/k3-41  the line k3-41 of the source asr-2

`export --format json` shows the `id` and `source` of each line. Readers see the line disappear; its versions stay in the log.

The line comes back if its own session sends it again, as an engine does while it works on the line. So retract a line only after
its publisher has finished it. If another session sends the old text again, nothing changes; `publish --correct` brings the line
back.";

/// Take a line back.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RetractCommand {
    /// The feed
    feed: FeedId,
    /// The line: its id, or source/id
    #[arg(value_name = "LINE", value_parser = parse_key)]
    line: LineKey,
    #[command(flatten)]
    access: ArchiveAccess,
}

fn parse_key(text: &str) -> Result<LineKey, String> {
    let (source, id) = text.split_once('/').unwrap_or((DEFAULT_SOURCE, text));
    check_source(source).map_err(|bad| bad.to_string())?;
    check_kept_line_id(id).map_err(|bad| bad.to_string())?;
    Ok(LineKey { source: source.into(), id: id.into() })
}

impl RetractCommand {
    pub(crate) async fn run(self) -> anyhow::Result<Outcome> {
        let server = self.access.reach(CommandTarget::Write).await?;
        let done = server.http.retract(&self.feed, &self.line).await.map_err(|error| server.explain(error));
        server.leave().await;
        done.with_context(|| format!("the line {} was not retracted", self.line))?;
        note(&format!("{}: the line {} was retracted", self.feed, self.line));
        Ok(Outcome::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_named_by_its_id_or_with_its_source() {
        let key = |text: &str| parse_key(text).map(|key| key.to_string());
        assert_eq!(key("7").as_deref(), Ok("main/7"));
        assert_eq!(key("asr-2/k3:41").as_deref(), Ok("asr-2/k3:41"));
        assert_eq!(key("7~s2").as_deref(), Ok("main/7~s2"));
        for bad in ["", "a b", "A/1", "main/", "main/1/2"] {
            assert!(key(bad).is_err(), "{bad}");
        }
    }
}
