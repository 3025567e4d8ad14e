//! `capture`: records what a vendor's socket sends, with the times, in a file.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::cli::commands::relay::VendorSocketUrl;
use crate::cli::support::outcome::Outcome;
use crate::cli::support::output::{note, print_data};
use crate::cli::support::signals::Signals;
use crate::client::FollowerEvent;
use crate::wire::recording::RecordingRow;

const EXAMPLES: &str = "\
Examples:
  captionwire capture ws://engine:9090 session.ndjson          until Ctrl-C, or until the vendor is done
  captionwire replay session.ndjson --raw --format whisper-live --to geneva

Gives up after 60 seconds if the vendor has never answered (--vendor-wait). Once it has answered, reconnects without a limit.

The file holds all captions in clear text. It does not hold the URL.";

/// Record what a vendor's socket says, with its moments.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CaptureCommand {
    #[command(flatten)]
    from: VendorSocketUrl,
    /// File to write; `-` is standard output. An existing file is not overwritten
    file: PathBuf,
}

impl CaptureCommand {
    pub(crate) async fn run(self) -> anyhow::Result<Outcome> {
        let mut signals = Signals::new()?;
        let mut follower = self.from.follower()?;
        // `None` is standard output.
        let mut file = if self.file.as_os_str() == "-" {
            None
        } else {
            let file = tokio::fs::File::create_new(&self.file).await;
            Some(file.with_context(|| format!("cannot write {}", self.file.display()))?)
        };
        let mut first_at = None;
        let mut count = 0_u64;
        loop {
            let followed = tokio::select! {
                followed = follower.next() => followed.map_err(|why| self.from.ended(why))?,
                () = signals.next() => break,
            };
            let now = Instant::now();
            let at_ms = now.duration_since(*first_at.get_or_insert(now)).as_millis() as u64;
            let row = match followed {
                FollowerEvent::Connected { .. } => RecordingRow::of_connection(at_ms, true),
                FollowerEvent::Frame(frame) => {
                    count += 1;
                    RecordingRow::of_frame(at_ms, &frame)
                }
                FollowerEvent::Disconnected { why, retry_in } => {
                    note(&format!("the vendor: {why}; trying again in {:.1} s", retry_in.as_secs_f32()));
                    RecordingRow::of_connection(at_ms, false)
                }
                FollowerEvent::Done => break,
            };
            // Flushed at once, so that others can read along and nothing is lost if this is stopped.
            let row = row.encode();
            match &mut file {
                None => print_data(row.as_bytes())?,
                Some(file) => {
                    file.write_all(row.as_bytes()).await.context("cannot write")?;
                    file.flush().await.context("cannot write")?;
                }
            }
        }
        note(&format!("{count} frames"));
        Ok(Outcome::Done)
    }
}
