//! `copy`: copies feeds to another archive or log, with their whole history.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use crate::cli::support::outcome::Outcome;
use crate::cli::support::output::{note, print, print_json, progress_bar};
use crate::config::{Config, Overrides};
use crate::log::{EmbeddedLog, EmbeddedOptions, Log, LogId, NameLookup};
use crate::position::{Epoch, FeedId, Offset};
use crate::server::open_nats;
use crate::transcript::{Op, Record};

const EXAMPLES: &str = "\
Examples:
  captionwire copy ./captionwire-data nats://a:4222,b:4222
  captionwire copy nats://a:4222/captionwire ./copy --config captionwire.toml

Each place is the directory of an archive, or NATS servers with the stream after a `/`; credentials for NATS belong in the
configuration ([log.nats]). Nothing is overwritten: if a feed exists in the new place, nothing is copied. Names of deleted feeds
stay taken (410). Records that are written meanwhile are not copied. Readers of the copy start over: its feeds are new
generations, and old cursors are not valid there.";

/// Appends in flight: enough to keep both ends busy.
const IN_FLIGHT_MAX: usize = 16;

/// Copy feeds, with their history, to another archive or log.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CopyCommand {
    /// Source: a directory, or nats://…
    from: String,
    /// Destination; created if it does not exist
    to: String,
    /// Configuration with the credentials for NATS servers
    #[arg(long, env = "CAPTIONWIRE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON object for all
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Default, Serialize)]
struct CopyReport {
    feeds: u64,
    records: u64,
    bytes: u64,
    /// Names of feeds that were deleted.
    deleted: u64,
}

impl CopyCommand {
    pub(crate) async fn run(self) -> anyhow::Result<Outcome> {
        let from = self.open(&self.from, false).await?;
        let to = match self.open(&self.to, true).await {
            Ok(to) => to,
            Err(error) => {
                from.close().await;
                return Err(error);
            }
        };
        let copied = copy_all(&*from, &*to).await;
        to.close().await;
        from.close().await;
        let report = copied?;
        if self.json {
            print_json(&report)?;
        } else {
            let CopyReport { feeds, records, bytes, deleted } = report;
            let names = if deleted == 1 { "name of a deleted feed" } else { "names of deleted feeds" };
            print(&format!("copied {feeds} feeds, {records} records, {bytes} bytes, {deleted} {names}\n"))?;
        }
        Ok(Outcome::Done)
    }

    async fn open(&self, place: &str, to_write: bool) -> anyhow::Result<Arc<dyn Log>> {
        if place.contains("://") {
            let mut nats = Config::load(self.config.as_deref(), Overrides::default())?.log.nats;
            nats.set_url(place)?;
            let (log, unsynced) = open_nats(&nats, to_write).await?;
            unsynced.iter().for_each(|why: &String| note(why));
            return Ok(log);
        }
        let dir = Path::new(place);
        let options = EmbeddedOptions::default();
        let log = if to_write { EmbeddedLog::open(dir, options) } else { EmbeddedLog::open_read_only(dir, options) };
        Ok(Arc::new(log?))
    }
}

async fn copy_all(from: &dyn Log, to: &dyn Log) -> anyhow::Result<CopyReport> {
    let logs = from.logs().await?;
    for log in &logs {
        match to.find(&log.feed).await? {
            NameLookup::Absent => {}
            NameLookup::Here(_) => bail!("the feed {} is there already; nothing was copied", log.feed),
            NameLookup::Deleted => bail!("there was a feed {} there, which was deleted; nothing was copied", log.feed),
        }
    }
    let mut deleted = from.deleted_names().await?;
    for feed in &deleted {
        if let NameLookup::Here(_) = to.find(feed).await? {
            bail!(
                "the feed {feed} is there, and was deleted here: delete it there too, or keep it out; nothing was copied"
            );
        }
    }
    let bar = progress_bar(logs.len() as u64, "{bar:40} {pos}/{len} feeds {msg}");
    let mut report = CopyReport::default();
    for log in &logs {
        bar.set_message(log.feed.to_string());
        bar.inc(1);
        match copy(from, log, to, &mut report).await {
            Ok(()) => report.feeds += 1,
            // The feed was deleted meanwhile, or its deletion was interrupted by a crash.
            Err(_) if matches!(from.find(&log.feed).await, Ok(NameLookup::Deleted)) => deleted.push(log.feed.clone()),
            Err(error) => {
                let (feed, feeds) = (&log.feed, report.feeds);
                return Err(error.context(format!(
                    "the feed {feed} was copied only in part: if the new place has it, delete it there before you \
                     copy again; {feeds} feeds were copied"
                )));
            }
        }
    }
    bar.finish_and_clear();
    stream::iter(&deleted).map(Ok).try_for_each_concurrent(IN_FLIGHT_MAX, |feed| take_name(to, feed)).await?;
    report.deleted = deleted.len() as u64;
    Ok(report)
}

/// Makes the name of a deleted feed a deleted one at the target too.
async fn take_name(to: &dyn Log, feed: &FeedId) -> anyhow::Result<()> {
    if to.find(feed).await? == NameLookup::Deleted {
        return Ok(());
    }
    let taking = async { to.delete(&to.create(feed, false).await?).await };
    taking.await.with_context(|| {
        format!("the feeds were copied, but {feed}, which was deleted, may be there as an empty feed: delete it there")
    })
}

/// Copies one feed, up to its present end. The copy becomes visible only when it is complete.
async fn copy(from: &dyn Log, log: &LogId, to: &dyn Log, report: &mut CopyReport) -> anyhow::Result<()> {
    let copy = to.stage(&log.feed).await?;
    let copying = async {
        copy_records(from, log, to, &copy, report).await?;
        if !to.switch(&copy, None).await? {
            bail!("another feed of that name was created meanwhile");
        }
        Ok(())
    };
    let copied = copying.await;
    if copied.is_err() {
        // If this fails, the rest is removed when the log is opened next.
        let _ = to.discard(&copy).await;
    }
    copied
}

async fn copy_records(
    from: &dyn Log,
    log: &LogId,
    to: &dyn Log,
    copy: &LogId,
    report: &mut CopyReport,
) -> anyhow::Result<()> {
    let head = from.head(log).await?;
    let mut tail = from.tail(log, Offset::START);
    let (mut next, mut waiting) = (Offset::START, VecDeque::new());
    while next < head {
        let Some(batch) = tail.next().await else { bail!("the log ended early") };
        let mut records = Vec::new();
        for entry in batch?.into_iter().filter(|entry| entry.offset < head) {
            let record = if next == Offset::START { with_new_epoch(entry.record)? } else { entry.record };
            next = entry.offset.next();
            (report.records, report.bytes) = (report.records + 1, report.bytes + record.len() as u64);
            records.push(record);
        }
        if waiting.len() == IN_FLIGHT_MAX
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.await?;
        }
        waiting.push_back(to.append_all(copy, records).await?);
    }
    for appended in waiting {
        appended.await?;
    }
    let reached = to.head(copy).await?;
    if reached != head {
        bail!("only {reached} of {head} records were copied");
    }
    Ok(())
}

/// Returns the record with a new epoch, if it is the first of a generation.
fn with_new_epoch(bytes: Bytes) -> anyhow::Result<Bytes> {
    let mut record = Record::decode(&bytes);
    let Op::Open { epoch, .. } = &mut record.op else { return Ok(bytes) };
    *epoch = Epoch::from_random(getrandom::u64().context("the operating system has no random numbers")?);
    Ok(record.encode())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{LogError, MemoryLog};

    #[tokio::test]
    async fn a_copy_that_comes_too_late_leaves_nothing() {
        let (from, to) = (MemoryLog::new(), MemoryLog::new());
        let name = FeedId::new("geneva").expect("a name");
        let log = from.create(&name, false).await.expect("created");
        from.append(&log, Bytes::from_static(b"said")).await.expect("queued").await.expect("appended");
        let here = to.create(&name, false).await.expect("created");
        let error = copy(&from, &log, &to, &mut CopyReport::default()).await.expect_err("the name is taken");
        assert!(error.to_string().contains("was created meanwhile"), "{error}");
        let copied = LogId { feed: name.clone(), life: here.life + 1 };
        assert!(matches!(to.head(&copied).await, Err(LogError::Deleted(_))), "what was copied is still there");
        assert_eq!(to.find(&name).await.expect("found"), NameLookup::Here(here));
    }
}
