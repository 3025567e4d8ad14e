//! A publisher at work: what it is told meanwhile is told to people.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use futures::FutureExt;
use indicatif::ProgressBar;
use serde::Serialize;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::line_counts::{CountingPublisher, LineCounts};
use super::output::{note, print, print_json};
use super::signals::Signals;
use super::{Outcome, explain};
use crate::client::PublisherEvent;
use crate::wire::Outgoing;

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Published {
    pub(super) feed: String,
    pub(super) session: String,
    /// Messages acknowledged or refused.
    pub(super) messages: u64,
    #[serde(flatten)]
    pub(super) lines: LineCounts,
    /// Lines or frames of the input that could not be read, or were too large to be sent.
    pub(super) unreadable: u64,
    /// Pieces of the input that were read otherwise than they stand.
    pub(super) repaired: u64,
    /// Lines that were sent, and that the server had not acknowledged when it was stopped.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) unacknowledged: u64,
    /// Words of the server that came faster than they were counted: some of the lines may have been refused.
    #[serde(skip)]
    pub(super) missed: u64,
}

impl Published {
    /// How the command ended.
    pub(super) fn outcome(&self) -> Outcome {
        Outcome::of_problems(self.lines.refused + self.unreadable + self.repaired + self.unacknowledged + self.missed)
    }

    pub(super) fn tell(&self, is_json: bool) -> anyhow::Result<()> {
        if is_json {
            return print_json(self);
        }
        let Self { feed, lines, unreadable, unacknowledged, .. } = self;
        let LineCounts { new, repeated, corrected, refused, .. } = lines;
        let unacknowledged = match unacknowledged {
            0 => String::new(),
            count => format!(", {count} not acknowledged"),
        };
        print(&format!(
            "{feed}: {new} new, {repeated} repeated, {corrected} corrected, {refused} refused, {unreadable} \
             unreadable{unacknowledged}\n"
        ))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Whether to take a source from another session, or how long to wait for it.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SourceWait {
    /// If another session publishes as this source, take its place; that one is told, and ends
    #[arg(long)]
    pub(super) take_over: bool,
    /// If another session publishes as this source, wait so many seconds for it to go. By default 30 where a file is published,
    /// else for ever
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
}

impl SourceWait {
    /// How long to wait; none for ever.
    pub(super) fn patience(&self, is_file: bool) -> Option<Duration> {
        /// Somebody sits before a file that is published, and wants to know.
        const OF_A_FILE: u64 = 30;
        self.wait.or(is_file.then_some(OF_A_FILE)).map(Duration::from_secs)
    }
}

/// What is published from somewhere else, for as long as that goes on.
pub(super) struct Sending<'a> {
    pub(super) publisher: CountingPublisher,
    pub(super) feed: &'a str,
    /// How long to wait for a source that another session publishes; none for ever.
    pub(super) patience: Option<Duration>,
    /// End the source when what it is read from ends.
    pub(super) end: bool,
    pub(super) json: bool,
}

/// How long what was read has to be sent and acknowledged once a signal has come. Shorter than what `docker stop` leaves a
/// program before it kills it (10 s).
const STOP_GRACE: Duration = Duration::from_secs(5);

impl Sending<'_> {
    /// Has `read` publish until it is done or a signal comes, waits until all of it is answered, and says what became of it.
    /// `read` counts what it could not read. It is told of the signal, and takes that for the end of its input. Whether or not
    /// the server can be reached, it is over [`STOP_GRACE`] after a signal, or with the next one.
    pub(super) async fn run(
        self,
        mut signals: Signals,
        read: impl AsyncFnOnce(&CountingPublisher, &mut u64, &CancellationToken) -> anyhow::Result<()>,
    ) -> anyhow::Result<Outcome> {
        let Self { publisher, feed, patience, end, json } = self;
        let (stop, is_read) = (CancellationToken::new(), AtomicBool::new(false));
        let mut problems = 0;
        let sending = async {
            read(&publisher, &mut problems, &stop).await?;
            if end {
                publisher.send(&Outgoing::End).await?;
            }
            is_read.store(true, Ordering::Relaxed);
            publisher.hear_all().await?;
            // Who has nothing to say wants to know all the same whether it could.
            if publisher.progress().sent == 0
                && let Some(why) = publisher.reached().await?
                && why.source_taken().is_none()
            {
                bail!("{why}");
            }
            Ok(())
        };
        let stopping = async {
            signals.next().await;
            note("stopping; once more stops at once");
            stop.cancel();
            tokio::select! {
                () = signals.next() => {}
                () = sleep(STOP_GRACE) => {}
            }
        };
        let work = async {
            tokio::select! {
                biased;
                sent = sending => sent,
                () = stopping => Err(match is_read.load(Ordering::Relaxed) {
                    true => anyhow!("stopped before the server had acknowledged everything"),
                    false => anyhow!("stopped before all that was read was sent"),
                }),
            }
        };
        let ended = with_events(&publisher, &ProgressBar::hidden(), patience, work).await;
        let published = publisher.published(feed, problems);
        match ended {
            Ok(()) => {
                publisher.close().await?;
                published.tell(json)?;
                Ok(published.outcome())
            }
            // Whoever stops it wants to know how far it came.
            Err(error) if stop.is_cancelled() => {
                note(&explain(&error));
                published.tell(json)?;
                Ok(Outcome::Problems)
            }
            Err(error) => Err(error),
        }
    }
}

/// Does `work` with `publisher` and waits until all of it is answered; tells people what happens meanwhile. Ends early
/// where the publisher does, whatever the work waits for, and where another session has had the source for `patience`.
pub(super) async fn with_events(
    publisher: &CountingPublisher,
    bar: &ProgressBar,
    patience: Option<Duration>,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let mut told = Told::default();
    let work = async {
        work.await?;
        publisher.flush().await.map_err(anyhow::Error::from)
    };
    let events = async {
        let mut taken: Option<(Instant, String)> = None;
        loop {
            let give_up_at = taken.as_ref().zip(patience).map(|((since, _), patience)| *since + patience);
            let event = tokio::select! {
                event = publisher.next_event() => event,
                () = sleep_until(give_up_at.unwrap_or_else(Instant::now)), if give_up_at.is_some() => {
                    let (waited, by) = (patience.unwrap_or_default().as_secs(), taken.map(|(_, by)| by).unwrap_or_default());
                    bail!("gave up after {waited} s: {by}. --take-over takes its place, --wait waits longer");
                }
            };
            let Some(event) = event else { break };
            let is_news = publisher.heard(&event);
            match &event {
                PublisherEvent::Disconnected { why, .. } => {
                    taken = why
                        .source_taken()
                        .map(|by| (taken.map_or_else(Instant::now, |(since, _)| since), by.to_owned()));
                }
                PublisherEvent::Connected { .. } => taken = None,
                _ => {}
            }
            if is_news {
                bar.suspend(|| told.tell(&event));
            }
        }
        // It is over, and this says why.
        Ok(publisher.settled(u64::MAX).await?)
    };
    let ended = tokio::select! {
        biased;
        done = work => done,
        end = events => end,
    };
    // What came with the last answer.
    while let Some(event) = publisher.next_event().now_or_never().flatten() {
        if publisher.heard(&event) {
            bar.suspend(|| told.tell(&event));
        }
    }
    let progress = publisher.progress();
    if ended.is_err() && progress.sent > progress.settled {
        note(&format!("{} messages were sent and not acknowledged", progress.sent - progress.settled));
    }
    ended.context("publishing ended")
}

/// What people were told.
#[derive(Debug, Default)]
struct Told {
    was_lost: bool,
    /// Lines that replaced final ones of other sessions: the first is told, the others are counted.
    replaced: u64,
}

impl Told {
    fn tell(&mut self, event: &PublisherEvent) {
        match event {
            PublisherEvent::Connected { .. } if std::mem::take(&mut self.was_lost) => note("connected again"),
            PublisherEvent::Connected { .. } => {}
            PublisherEvent::Disconnected { why, retry_in } if why.source_taken().is_some() => {
                let (by, retry) = (why.source_taken().unwrap_or_default(), retry_in.as_secs_f32());
                note(&format!("the source is taken: {by}; trying again in {retry:.1} s (--take-over takes its place)"));
            }
            PublisherEvent::Disconnected { why, retry_in } => {
                self.was_lost = true;
                note(&format!("{why}; trying again in {:.1} s, nothing is lost", retry_in.as_secs_f32()));
            }
            PublisherEvent::Refused(nack) => {
                let place = nack.index.map_or(String::new(), |index| format!(", line {}", index + 1));
                note(&format!("message {}{place} was refused: {} ({})", nack.seq, nack.message, nack.code));
            }
            PublisherEvent::Warning { code, message, .. } => {
                self.replaced += u64::from(**code == *"line_replaced");
                if **code != *"line_replaced" || self.replaced == 1 {
                    note(&format!("{message} ({code})"));
                }
            }
            PublisherEvent::OnAir { on_air, holder } => match (on_air, holder) {
                (true, _) => note("this source is on air"),
                (false, Some(holder)) => note(&format!("not on air: {holder} is")),
                (false, None) => note("not on air"),
            },
            PublisherEvent::Missed(count) => note(&format!(
                "{count} messages of the server are not shown: lines that are counted as taken may have been refused"
            )),
        }
    }
}
