//! `feeds`: lists the feeds.

use clap::{Args, ValueEnum};

use crate::cli::support::outcome::Outcome;
use crate::cli::support::output::{clean_line, note, print, print_json};
use crate::cli::support::server_target::{ArchiveAccess, CommandTarget};
use crate::client::FeedInfo;
use crate::transcript::FeedState;

const EXAMPLES: &str = "\
Examples:
  captionwire feeds
  captionwire feeds --state live --json | jq -r .feed
  captionwire feeds --data ./captionwire-data";

/// List the feeds.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FeedsCommand {
    /// Only feeds in this state
    #[arg(long)]
    state: Option<FeedStateFilter>,
    /// One JSON object for each feed
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: ArchiveAccess,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FeedStateFilter {
    Scheduled,
    Live,
    Paused,
    Ended,
}

impl FeedsCommand {
    pub(crate) async fn run(self) -> anyhow::Result<Outcome> {
        let state = self.state.map(|state| match state {
            FeedStateFilter::Scheduled => FeedState::Scheduled,
            FeedStateFilter::Live => FeedState::Live,
            FeedStateFilter::Paused => FeedState::Paused,
            FeedStateFilter::Ended => FeedState::Ended,
        });
        let server = self.access.reach(CommandTarget::Read).await?;
        let feeds = server.http.feeds(state).await.map_err(|error| server.explain(error));
        server.leave().await;
        let feeds = feeds?;
        if self.json {
            feeds.iter().try_for_each(print_json)?;
        } else if feeds.is_empty() {
            note("there are no feeds");
        } else {
            print(&table(&feeds))?;
        }
        Ok(Outcome::Done)
    }
}

fn table(feeds: &[FeedInfo]) -> String {
    let head = ["FEED", "STATE", "LINES", "TURNS", "PUBLISHERS", "READERS", "LAST LINE", "TITLE"].map(str::to_owned);
    let row = |feed: &FeedInfo| {
        [
            feed.feed.to_string(),
            feed.state.as_str().to_owned(),
            feed.lines.to_string(),
            feed.turns.to_string(),
            feed.publishers.to_string(),
            feed.readers.to_string(),
            feed.last_line_at.map_or_else(|| "-".to_owned(), |at| at.to_string()),
            clean_line(feed.title.as_deref().unwrap_or_default()).into_owned(),
        ]
    };
    let rows: Vec<[String; 8]> = std::iter::once(head).chain(feeds.iter().map(row)).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            let is_number = (2..=5).contains(&column);
            line.push_str(&if is_number { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") });
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
