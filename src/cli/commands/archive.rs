//! `verify` and `backup`: operations on a whole archive.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use crate::cli::support::outcome::Outcome;
use crate::cli::support::output::{clean_line, note, print, print_json};
use crate::log::{self, ArchiveFault, LogEntry, Verification};
use crate::outbox::OutboxCopy;
use crate::transcript::{Op, Record};

const VERIFY_EXAMPLES: &str = "\
Examples:
  captionwire verify --data ./captionwire-data
  captionwire verify --data ./captionwire-data --json | jq '.faults[]'

It reads the whole archive and the delivery positions, and changes nothing. A server may be running on the archive. Exit code 1:
something is damaged.";

/// Check that an archive is whole.
#[derive(Debug, Args)]
#[command(after_help = VERIFY_EXAMPLES)]
pub(crate) struct VerifyCommand {
    /// The directory of the archive
    #[arg(long, env = "CAPTIONWIRE_DATA_DIR", value_name = "DIR")]
    data: PathBuf,
    /// One JSON object for all
    #[arg(long)]
    json: bool,
}

const BACKUP_EXAMPLES: &str = "\
Examples:
  captionwire backup --data ./captionwire-data ./backup-monday
  captionwire serve --data ./backup-monday

A server may be writing to the archive. The copy shows one moment, and is checked as `verify` does. It includes how far webhooks
and pushes have delivered: a server that runs on the copy repeats the last delivery and continues.";

/// Copy an archive, also while a server writes it.
#[derive(Debug, Args)]
#[command(after_help = BACKUP_EXAMPLES)]
pub(crate) struct BackupCommand {
    /// The directory of the archive
    #[arg(long, env = "CAPTIONWIRE_DATA_DIR", value_name = "DIR")]
    data: PathBuf,
    /// The directory of the copy; made if it is not there, and refused if it holds an archive
    dest: PathBuf,
    /// One JSON object for all
    #[arg(long)]
    json: bool,
}

/// Checked here, because the archive's own error would be SQLite's.
fn check_is_there(data: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(data.join("archive.db").exists(), "there is no archive in {}", data.display());
    Ok(())
}

impl VerifyCommand {
    pub(crate) async fn run(self) -> anyhow::Result<Outcome> {
        let data = self.data;
        check_is_there(&data)?;
        look(self.json, move |count| {
            let mut found = log::verify(&data, count)?;
            if let Err(error) = OutboxCopy::take(&data) {
                found.faults.push(ArchiveFault { place: "deliveries".into(), what: error.to_string() });
            }
            Ok(found)
        })
        .await
    }
}

impl BackupCommand {
    pub(crate) async fn run(self) -> anyhow::Result<Outcome> {
        let (data, dest) = (self.data, self.dest);
        check_is_there(&data)?;
        look(self.json, move |count| {
            let deliveries = OutboxCopy::take(&data)?;
            let write = |dest: &Path| {
                let written = deliveries.map(|deliveries| deliveries.write(dest)).transpose();
                written.map(|_| ()).map_err(|error| error.to_string())
            };
            Ok(log::backup(&data, &dest, write, count)?)
        })
        .await
    }
}

/// Records of a feed without readable contents.
#[derive(Debug, Clone, Copy, Default)]
struct UnreadableRecords {
    erased: u64,
    /// Records of a newer server, or damaged ones.
    unknown: u64,
    /// Offset of the first of them.
    unknown_at: u64,
}

/// Runs `read` on a thread that may block, and reports what it found.
async fn look<R>(json: bool, read: R) -> anyhow::Result<Outcome>
where
    R: FnOnce(&mut dyn FnMut(&str, &LogEntry)) -> anyhow::Result<Verification> + Send + 'static,
{
    let reading = tokio::task::spawn_blocking(move || {
        let mut silent: BTreeMap<String, UnreadableRecords> = BTreeMap::new();
        let found = read(&mut |feed, entry| {
            if entry.record.is_empty() {
                silent.entry(feed.to_owned()).or_default().erased += 1;
            } else if matches!(Record::decode(&entry.record).op, Op::Unknown) {
                let silent = silent.entry(feed.to_owned()).or_default();
                if silent.unknown == 0 {
                    silent.unknown_at = entry.offset.0;
                }
                silent.unknown += 1;
            }
        });
        found.map(|found| VerifyReport::new(&found, &silent))
    });
    let report = reading.await.context("the archive could not be read")??;
    if json {
        print_json(&report)?;
    } else {
        print(&report.text())?;
    }
    for fault in &report.faults {
        note(&format!("{}: {}", fault.place, fault.what));
    }
    if !report.faults.is_empty() {
        note("restore a backup; `export` and `feeds` with --data read what is still readable");
    }
    Ok(Outcome::of_problems(report.faults.len() as u64))
}

#[derive(Debug, Serialize)]
struct VerifyReport {
    archive: String,
    sound: bool,
    feeds: Vec<FeedReport>,
    faults: Vec<FaultReport>,
}

#[derive(Debug, Serialize)]
struct FeedReport {
    feed: String,
    records: u64,
    bytes: u64,
    erased: u64,
    unknown: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_unknown: Option<u64>,
}

#[derive(Debug, Serialize)]
struct FaultReport {
    place: String,
    what: String,
}

impl VerifyReport {
    fn new(found: &Verification, silent: &BTreeMap<String, UnreadableRecords>) -> Self {
        let feeds = found.logs.iter().map(|log| {
            let silent = silent.get(&log.feed).copied().unwrap_or_default();
            FeedReport {
                feed: log.feed.clone(),
                records: log.records,
                bytes: log.bytes,
                erased: silent.erased,
                unknown: silent.unknown,
                first_unknown: (silent.unknown > 0).then_some(silent.unknown_at),
            }
        });
        let faults = found.faults.iter();
        Self {
            archive: found.file.display().to_string(),
            sound: found.faults.is_empty(),
            feeds: feeds.collect(),
            faults: faults.map(|fault| FaultReport { place: fault.place.clone(), what: fault.what.clone() }).collect(),
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for feed in &self.feeds {
            text.push_str(&format!("{}: {} records, {} bytes", clean_line(&feed.feed), feed.records, feed.bytes));
            if feed.erased > 0 {
                text.push_str(&format!(", {} erased", feed.erased));
            }
            if let Some(first) = feed.first_unknown {
                text.push_str(&format!(", {} that cannot be understood, the first at offset {first}", feed.unknown));
            }
            text.push('\n');
        }
        let records: u64 = self.feeds.iter().map(|feed| feed.records).sum();
        let state = if self.sound { "sound".to_owned() } else { format!("{} faults", self.faults.len()) };
        let archive = clean_line(&self.archive).into_owned();
        text.push_str(&format!("{archive}: {} feeds, {records} records, {state}\n", self.feeds.len()));
        text
    }
}
