//! `speakers`: lists, renames and merges speakers.

use clap::{Args, Subcommand};
use serde::Deserialize;

use crate::cli::support::outcome::Outcome;
use crate::cli::support::output::{clean_line, note, print, print_json};
use crate::cli::support::server_target::{ArchiveAccess, CommandTarget, ServerTarget};
use crate::client::{DeskOp, TranscriptQuery, random_name, read_answer};
use crate::position::FeedId;
use crate::transcript::Speaker;

const EXAMPLES: &str = "\
Examples:
  captionwire speakers hearing                                      who speaks
  captionwire speakers hearing rename 'Speaker 5' 'Woman in the third row'
  captionwire speakers hearing merge 'Speaker 7' 'Ines Marlow'      they are one
  captionwire speakers hearing unmerge 'Speaker 7'                  they are two after all

Name a speaker by its id: the label under which it first appeared, even if it was renamed since. An id that the feed does not have
is refused, with similar ids; --create accepts it, to name a speaker who has not spoken yet. Exit code 1: the merge is not
possible, because the speaker is merged already or the merge would make a circle.";

/// Say who is who.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SpeakersCommand {
    /// The feed
    feed: FeedId,
    #[command(subcommand)]
    what: Option<SpeakersAction>,
    /// JSON: one object for each speaker, or what became of the change
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    access: ArchiveAccess,
}

#[derive(Debug, Clone, Subcommand)]
enum SpeakersAction {
    /// Call a speaker otherwise, everywhere
    Rename {
        /// The speaker's id
        speaker: String,
        /// Its name
        name: String,
        /// `person`, `role`, …; left out, it stays
        #[arg(long)]
        kind: Option<String>,
        /// Also somebody who has not spoken yet
        #[arg(long)]
        create: bool,
    },
    /// Say that two speakers are one
    Merge {
        /// Id of the speaker to merge
        from: String,
        /// Id of the speaker that remains
        into: String,
        /// Also speakers who have not spoken yet
        #[arg(long)]
        create: bool,
    },
    /// Take a merge back
    Unmerge {
        /// The id that was merged
        from: String,
    },
}

impl SpeakersCommand {
    pub(crate) async fn run(self) -> anyhow::Result<Outcome> {
        let server =
            self.access.reach(if self.what.is_some() { CommandTarget::Write } else { CommandTarget::Read }).await?;
        let outcome = match self.what.clone() {
            None => self.list(&server).await,
            Some(what) => self.change(&server, what).await,
        };
        server.leave().await;
        outcome
    }

    async fn list(&self, server: &ServerTarget) -> anyhow::Result<Outcome> {
        #[derive(Deserialize)]
        struct SpeakerList {
            speakers: Vec<Speaker>,
        }
        // Any transcript contains all speakers, however few turns it has.
        let part = TranscriptQuery { last: Some(1), ..TranscriptQuery::default() };
        let json = server.http.transcript(&self.feed, "json", &part).await.map_err(|error| server.explain(error))?;
        let SpeakerList { speakers } = read_answer(&json).map_err(|error| server.explain(error))?;
        if self.json {
            speakers.iter().try_for_each(print_json)?;
            return Ok(Outcome::Done);
        }
        for Speaker { id, name, kind, into } in &speakers {
            let mut line = id.to_string();
            if name != id {
                line.push_str(&format!(" is called {name}"));
            }
            if let Some(kind) = kind {
                line.push_str(&format!(" ({kind})"));
            }
            if let Some(into) = into {
                line.push_str(&format!(" is {into}"));
            }
            print(&format!("{}\n", clean_line(&line)))?;
        }
        Ok(Outcome::Done)
    }

    async fn change(&self, server: &ServerTarget, what: SpeakersAction) -> anyhow::Result<Outcome> {
        let op = match what {
            SpeakersAction::Rename { speaker, name, kind, create } => DeskOp::Rename { speaker, name, kind, create },
            SpeakersAction::Merge { from, into, create } => DeskOp::Merge { from, into, create },
            SpeakersAction::Unmerge { from } => DeskOp::Unmerge { from },
        };
        let answer = server.http.desk(&self.feed, &format!("cli-{}", random_name()), &op).await;
        let answer = answer.map_err(|error| server.explain(error))?;
        if self.json {
            print_json(&answer)?;
        }
        match answer.reason {
            Some(reason) => {
                note(&format!("nothing changed: {reason}"));
                Ok(Outcome::Problems)
            }
            None if !answer.changed && !self.json => {
                note("nothing changed: it is so already");
                Ok(Outcome::Done)
            }
            None => Ok(Outcome::Done),
        }
    }
}
