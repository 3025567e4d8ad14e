//! Runs a publisher and reports its events.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use futures::FutureExt;
use indicatif::ProgressBar;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::cli::support::line_counts::CountingPublisher;
use crate::cli::support::outcome::{Outcome, explain};
use crate::cli::support::output::note;
use crate::cli::support::publish_summary::InputFaults;
use crate::cli::support::signals::Signals;
use crate::client::{LostMessages, PublishError, PublisherEvent};
use crate::wire::Outgoing;

/// Options for a source that another session holds: take it over, or wait.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SourceWait {
    /// If another session publishes as this source, replace it: the other one is closed
    #[arg(long)]
    pub(crate) take_over: bool,
    /// Seconds to wait: for a server that has not answered yet (default 60), and for another session that publishes as this
    /// source (default 30 with a file, otherwise no limit). A server that answered once is waited for without a limit
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
}

/// Time limits for waiting; `None` for no limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WaitLimits {
    /// For the first answer of the server. One minute is enough to start a server afterwards, and a mistyped address is
    /// noticed.
    pub(crate) server: Option<Duration>,
    /// For a source that another session publishes.
    pub(crate) source: Option<Duration>,
}

impl WaitLimits {
    /// No limits, for a server in this process.
    pub(crate) const ENDLESS: Self = Self { server: None, source: None };
}

impl SourceWait {
    pub(crate) fn patience(&self, is_file: bool) -> WaitLimits {
        /// For a file, whose user is probably waiting.
        const OF_A_FILE: u64 = 30;
        const OF_A_SERVER: u64 = 60;
        WaitLimits {
            server: Some(Duration::from_secs(self.wait.unwrap_or(OF_A_SERVER))),
            source: self.wait.or(is_file.then_some(OF_A_FILE)).map(Duration::from_secs),
        }
    }
}

/// Publishing from an input, until that ends.
pub(crate) struct SendLoop<'a> {
    pub(crate) publisher: CountingPublisher,
    pub(crate) feed: &'a str,
    pub(crate) patience: WaitLimits,
    /// True to end the source when its input ends.
    pub(crate) end: bool,
    pub(crate) json: bool,
    pub(crate) bar: ProgressBar,
}

/// Time after a signal for sending what was read and getting it acknowledged. Shorter than the 10 s that `docker stop`
/// gives before it kills.
const STOP_GRACE: Duration = Duration::from_secs(5);

impl SendLoop<'_> {
    /// Lets `read` publish until it is done or a signal arrives, waits until everything is answered, and prints the
    /// summary. `read` counts what it could not read; its token is cancelled by the signal, which it treats as the end
    /// of its input. Whether or not the server can be reached, this ends [`STOP_GRACE`] after a signal, or at the next
    /// one.
    pub(crate) async fn run(
        self,
        mut signals: Signals,
        read: impl AsyncFnOnce(&CountingPublisher, &mut InputFaults, &CancellationToken) -> anyhow::Result<()>,
    ) -> anyhow::Result<Outcome> {
        let Self { publisher, feed, patience, end, json, bar } = self;
        let (stop, is_read) = (CancellationToken::new(), AtomicBool::new(false));
        let mut faults = InputFaults::default();
        let sending = async {
            read(&publisher, &mut faults, &stop).await?;
            // An interrupted input is to be continued, so the event stays open.
            if end && !faults.is_cut_short {
                publisher.send(&"the end of the input (--end)".into(), &Outgoing::End).await?;
            }
            is_read.store(true, Ordering::Relaxed);
            publisher.hear_all().await?;
            // With nothing sent, a failure to connect must be reported all the same.
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
        let ended = with_events(&publisher, &bar, patience, work).await;
        bar.finish_and_clear();
        let mut published = publisher.published(feed, faults);
        let places = publisher.unanswered_places();
        match ended {
            Ok(()) => {
                publisher.close().await?;
                published.tell(json)?;
                Ok(published.outcome())
            }
            Err(error) if published.is_empty() && !stop.is_cancelled() => Err(error),
            // However it ended, the summary shows how far it came.
            Err(error) => {
                if let Some(PublishError::OtherLog { acknowledged }) = error.downcast_ref() {
                    published.lost = *acknowledged;
                }
                note(&explain(&error));
                if let Some(places) = places {
                    note(&format!("not acknowledged: {places}"));
                }
                if faults.is_cut_short && !stop.is_cancelled() {
                    note("what follows in the input was not sent");
                }
                published.tell(json)?;
                Ok(Outcome::Problems)
            }
        }
    }
}

/// Runs `work` with `publisher`, waits until everything is answered, and reports events meanwhile. Ends early if the
/// publisher stops, or if a limit of `patience` is exceeded.
pub(crate) async fn with_events(
    publisher: &CountingPublisher,
    bar: &ProgressBar,
    patience: WaitLimits,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let mut told = ProgressNotices::default();
    let work = async {
        work.await?;
        publisher.flush().await.map_err(anyhow::Error::from)
    };
    let events = async {
        let mut wait = SendWait::ForServer { since: Instant::now(), why: None };
        loop {
            let give_up_at = wait.ends_at(patience);
            let event = tokio::select! {
                event = publisher.next_event() => event,
                () = sleep_until(give_up_at.unwrap_or_else(Instant::now)), if give_up_at.is_some() => {
                    bail!("{}", wait.describe_end(patience));
                }
            };
            let Some(event) = event else { break };
            let is_news = publisher.heard(&event);
            wait.hear(&event);
            if is_news {
                bar.suspend(|| told.tell(&event, publisher, wait.limit(patience)));
            }
        }
        // The publisher has stopped, and this returns the reason.
        Ok(publisher.settled(u64::MAX).await?)
    };
    let ended = tokio::select! {
        biased;
        done = work => done,
        end = events => end,
    };
    // Events that arrived with the last answer.
    while let Some(event) = publisher.next_event().now_or_never().flatten() {
        if publisher.heard(&event) {
            bar.suspend(|| told.tell(&event, publisher, None));
        }
    }
    ended.context("publishing ended")
}

/// State of a publisher that waits.
enum SendWait {
    /// A server that has not answered yet, and the reason; `None` before the first attempt has failed.
    ForServer { since: Instant, why: Option<String> },
    /// A source that another session publishes.
    ForSource { since: Instant, taken: String },
    /// Nothing, or a server that answered before.
    Unlimited,
}

impl SendWait {
    fn hear(&mut self, event: &PublisherEvent) {
        match event {
            PublisherEvent::Connected { .. } => *self = Self::Unlimited,
            PublisherEvent::Disconnected { why, .. } => match (why.source_taken(), &mut *self) {
                (Some(by), Self::ForSource { taken, .. }) => *taken = by.to_owned(),
                // A server that reports this is reachable.
                (Some(by), _) => *self = Self::ForSource { since: Instant::now(), taken: by.to_owned() },
                (None, Self::ForServer { why: last, .. }) => *last = Some(why.to_string()),
                (None, Self::ForSource { .. } | Self::Unlimited) => *self = Self::Unlimited,
            },
            _ => {}
        }
    }

    fn limit(&self, patience: WaitLimits) -> Option<Duration> {
        match self {
            Self::ForServer { .. } => patience.server,
            Self::ForSource { .. } => patience.source,
            Self::Unlimited => None,
        }
    }

    fn ends_at(&self, patience: WaitLimits) -> Option<Instant> {
        match self {
            Self::ForServer { since, why: Some(_) } | Self::ForSource { since, .. } => {
                since.checked_add(self.limit(patience)?)
            }
            Self::ForServer { why: None, .. } | Self::Unlimited => None,
        }
    }

    fn describe_end(&self, patience: WaitLimits) -> String {
        let waited = self.limit(patience).unwrap_or_default().as_secs();
        match self {
            Self::ForServer { why, .. } => format!(
                "gave up after {waited} s: {}. Is the server running? --url says where it is, --wait waits longer for it",
                why.as_deref().unwrap_or_default()
            ),
            Self::ForSource { taken, .. } => {
                format!("gave up after {waited} s: {taken}. --take-over takes its place, --wait waits longer")
            }
            Self::Unlimited => String::new(),
        }
    }
}

/// State of the notices that were shown.
#[derive(Debug, Default)]
struct ProgressNotices {
    was_lost: bool,
    /// Lines that replaced final ones of other sessions: the first is reported, the others are counted.
    replaced: u64,
}

impl ProgressNotices {
    /// Reports an event. `limit` is the time limit for the present wait.
    fn tell(&mut self, event: &PublisherEvent, publisher: &CountingPublisher, limit: Option<Duration>) {
        let limit = limit.map_or_else(String::new, |limit| format!(" for {} s in all", limit.as_secs()));
        match event {
            PublisherEvent::Connected { .. } if std::mem::take(&mut self.was_lost) => note("connected again"),
            PublisherEvent::Connected { .. } => {}
            PublisherEvent::Disconnected { why, retry_in } if why.source_taken().is_some() => {
                let (by, retry) = (why.source_taken().unwrap_or_default(), retry_in.as_secs_f32());
                note(&format!(
                    "the source is taken: {by}; trying again in {retry:.1} s{limit} (--take-over takes its place)"
                ));
            }
            PublisherEvent::Disconnected { why, retry_in } => {
                self.was_lost = true;
                note(&format!(
                    "{why}; trying again in {:.1} s{limit}, then what is not acknowledged is sent (again)",
                    retry_in.as_secs_f32()
                ));
            }
            PublisherEvent::Lost(lost) => note(&describe_lost(lost)),
            PublisherEvent::Refused(nack) => {
                let place = publisher.place_of(nack.seq, nack.index);
                note(&format!("{place} was refused: {} ({})", nack.message, nack.code));
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
                "{count} messages of the server are not shown: lines that count as accepted may have been refused"
            )),
        }
    }
}

/// Describes messages that the server had acknowledged and no longer has.
fn describe_lost(lost: &LostMessages) -> String {
    let LostMessages { seq, acknowledged, resent, resent_lines, forgotten } = lost;
    let mut text = format!(
        "the server's archive was restored to an earlier state: it had acknowledged messages up to number \
         {acknowledged}, and now has only those up to {seq}. {resent_lines} lines (in {resent} messages) are sent \
         again"
    );
    if *forgotten > 0 {
        text.push_str(&format!(
            "; {forgotten} messages, number {} to {}, are no longer held here and cannot be sent again: publish them \
             anew",
            seq + 1,
            seq + forgotten
        ));
    }
    text
}
