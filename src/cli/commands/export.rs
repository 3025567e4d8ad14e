//! `export`: writes a transcript in a chosen format.

use std::path::PathBuf;

use bytes::Bytes;
use clap::Args;
use http::Method;

use crate::cli::support::input_files::{file_formats, tell_losses};
use crate::cli::support::outcome::Outcome;
use crate::cli::support::outcome::misuse;
use crate::cli::support::output::{note, print_data, save};
use crate::cli::support::server_target::{ArchiveAccess, CommandTarget};
use crate::client::TranscriptQuery;
use crate::format::{Format, Losses};
use crate::position::{Cursor, FeedId};
use crate::transcript::MediaMs;
use crate::transcript::line::{DEFAULT_SOURCE, check_source};
use crate::transcript::time::parse_clock;

const EXAMPLES: &str = "\
Examples:
  captionwire export hearing --format vtt > hearing.vtt
  captionwire export hearing -o hearing.srt                 the format is that of the name
  captionwire export hearing --format md --last 5           the last five turns
  captionwire export hearing --history -o hearing.ndjson    all that was ever said of it, for `import`
  captionwire export hearing --raw -o session.ndjson        the vendor's frames that were kept, for `replay --raw`
  captionwire export hearing --format json --data ./captionwire-data";

/// Write a transcript in a format of your choice.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExportCommand {
    /// The feed
    feed: FeedId,
    #[arg(long, short, help = format!(
        "{}; by default that of the file's name; txt for stdout, and for a name without an ending",
        file_formats()
    ))]
    format: Option<Format>,
    /// File to write; stdout if not given
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Lines that start at or after this media time (MM:SS or H:MM:SS)
    #[arg(long, value_name = "TIME", value_parser = media_time)]
    from: Option<MediaMs>,
    /// Lines that start before this media time
    #[arg(long, value_name = "TIME", value_parser = media_time)]
    to: Option<MediaMs>,
    /// Only this many of the last turns
    #[arg(long, value_name = "TURNS", value_parser = clap::value_parser!(u32).range(1..))]
    last: Option<u32>,
    /// All that the log holds, one record a row: corrected and retracted lines too. `import` takes it back without loss
    #[arg(long, conflicts_with_all = ["format", "from", "to", "last", "at"])]
    history: bool,
    /// The vendor's frames that were kept (keep_raw), as a recording for `replay --raw`
    #[arg(long, conflicts_with_all = ["format", "from", "to", "last", "at", "history"])]
    raw: bool,
    /// With --raw: the source whose frames they are; main if not given
    #[arg(long, requires = "raw", default_value = DEFAULT_SOURCE, value_parser = source)]
    source: String,
    /// As it stood at this cursor
    #[arg(long, value_name = "CURSOR")]
    at: Option<Cursor>,
    #[command(flatten)]
    access: ArchiveAccess,
}

fn source(name: &str) -> Result<String, crate::position::BadName> {
    check_source(name).map(|()| name.to_owned())
}

fn media_time(text: &str) -> Result<MediaMs, &'static str> {
    parse_clock(text).ok_or("a time is written MM:SS or H:MM:SS")
}

impl ExportCommand {
    pub(crate) async fn run(self) -> anyhow::Result<Outcome> {
        let named = self.output.as_deref().and_then(|path| Format::from_name(&path.to_string_lossy()));
        let is_transcript = !self.history && !self.raw;
        let format = match (self.format.or(named), &self.output) {
            (Some(format), _) => format,
            (None, Some(path)) if is_transcript && path.extension().is_some() => {
                misuse!("the name {} does not say which format to write: use --format", path.display());
            }
            (None, _) => Format::Txt,
        };
        let part = TranscriptQuery {
            from_ms: self.from,
            to_ms: self.to,
            last: self.last.map(|last| last as usize),
            at: self.at.clone(),
        };
        let server = self.access.reach(CommandTarget::Read).await?;
        let get = async |path: String| {
            let body = server.http.request(Method::GET, &path, None, Bytes::new()).await?;
            Ok((body, String::new()))
        };
        let written = if self.history {
            get(format!("/v1/feeds/{}/transcript", self.feed)).await
        } else if self.raw {
            get(format!("/v1/feeds/{}/raw?source={}", self.feed, self.source)).await
        } else {
            server.http.transcript_and_losses(&self.feed, format.extension(), &part).await
        };
        let written = written.map_err(|error| server.explain(error));
        server.leave().await;
        let (written, losses) = written?;
        match &self.output {
            Some(path) => {
                save(path, &written)?;
                note(&format!("{} bytes are in {}", written.len(), path.display()));
            }
            None => print_data(&written)?,
        }
        tell_losses(self.feed.as_str(), format, &Losses::of_header(&losses));
        Ok(Outcome::Done)
    }
}
