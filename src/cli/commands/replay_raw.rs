//! `replay --raw`: replays a recording of `capture` at its own pace.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::{Instant, sleep_until};

use crate::cli::support::line_counts::CountingPublisher;
use crate::cli::support::output::note;
use crate::cli::support::vendor_frames::{EarlierOutput, VendorOptions, VendorSessions, say};
use crate::dialect::Decoded;
use crate::wire::Outgoing;
use crate::wire::recording::RecordingRow;
use crate::wire::subscriber::Pace;

/// A recording to be replayed.
pub(crate) struct RawCommand<'a> {
    pub(crate) file: &'a Path,
    pub(crate) vendor: &'a VendorOptions,
    pub(crate) pace: Pace,
    pub(crate) end: bool,
}

impl RawCommand<'_> {
    /// Waits for the moment `at_ms` of the recording.
    async fn wait(&self, began: Instant, at_ms: u64) {
        if let Pace::Times(times) = self.pace {
            sleep_until(began + Duration::from_millis(at_ms).div_f64(times)).await;
        }
    }

    /// Publishes each frame when its moment has come; counts what could not be read.
    pub(crate) async fn send(&self, publisher: &CountingPublisher, problems: &mut u64) -> anyhow::Result<()> {
        let file = tokio::fs::File::open(self.file).await;
        let file = file.with_context(|| format!("cannot read {}", self.file.display()))?;
        let mut rows = BufReader::new(file).lines();
        let mut session: Option<VendorSessions> = None;
        let mut connected_at_ms = 0_u64;
        let began = Instant::now();
        let mut number = 0;
        let mut so_far = EarlierOutput::default();
        while let Some(text) = rows.next_line().await.context("cannot read the recording")? {
            number += 1;
            if text.trim().is_empty() {
                continue;
            }
            let place = format!("row {number}");
            let Ok(row) = serde_json::from_str::<RecordingRow>(&text) else {
                *problems += 1;
                note(&format!("{place} is not a row of a recording: it was left out"));
                continue;
            };
            // Words that were settled before a silence become final during it, as they did live.
            let due_ms =
                session.as_mut().and_then(VendorSessions::due_ms).map(|due_ms| connected_at_ms.saturating_add(due_ms));
            if let (Some(due_ms), Some(session)) = (due_ms.filter(|due_ms| *due_ms < row.at_ms), &mut session) {
                self.wait(began, due_ms).await;
                let elapsed = Duration::from_millis(due_ms.saturating_sub(connected_at_ms));
                say(noted(session.rest(elapsed), &mut so_far), &place, publisher, problems).await?;
            }
            self.wait(began, row.at_ms).await;
            so_far.set_moment(row.at_ms);
            // A recording without rows about connections is one connection.
            if row.connected == Some(true) || session.is_none() && row.connected.is_none() {
                let after_ms = if number == 1 { 0 } else { i64::try_from(row.at_ms).unwrap_or(i64::MAX) };
                if let Some(mut before) = session.take() {
                    say(noted(before.end(), &mut so_far), &place, publisher, problems).await?;
                }
                session = Some(self.vendor.session(row.read_as.as_ref(), after_ms, &so_far)?);
                connected_at_ms = row.at_ms;
            } else if row.connected == Some(false)
                && let Some(mut over) = session.take()
            {
                say(noted(over.end(), &mut so_far), &place, publisher, problems).await?;
            }
            match (row.frame.get(), &mut session) {
                (Some(frame), Some(session)) => {
                    session.elapsed(Duration::from_millis(row.at_ms.saturating_sub(connected_at_ms)));
                    say(noted(session.decode(&frame), &mut so_far), &place, publisher, problems).await?;
                }
                (None, _) if row.connected.is_none() => {
                    *problems += 1;
                    note(&format!("{place} holds no frame: it was left out"));
                }
                _ => {}
            }
        }
        if let Some(mut over) = session.take() {
            say(over.end(), "the end", publisher, problems).await?;
        }
        if self.end {
            publisher.send(&"the end of the recording".into(), &Outgoing::End).await?;
        }
        Ok(())
    }
}

/// Notes the lines of a message and returns it.
fn noted(decoded: Decoded, so_far: &mut EarlierOutput) -> Decoded {
    so_far.note(&decoded);
    decoded
}
