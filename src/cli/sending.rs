//! A publisher at work: what it is told meanwhile is told to people.

use std::future::Future;

use anyhow::{Context, bail};
use futures::FutureExt;
use indicatif::ProgressBar;
use serde::Serialize;

use super::Outcome;
use super::output::{note, print, print_json};
use super::signals::Signals;
use crate::client::{Publisher, PublisherEvent};
use crate::wire::Outgoing;

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Published {
    pub(super) feed: String,
    pub(super) session: String,
    /// Messages acknowledged or refused.
    pub(super) messages: u64,
    /// Messages, and lines of messages, that were refused.
    pub(super) refused: u64,
}

impl Published {
    pub(super) fn of(publisher: &Publisher, feed: &str) -> Self {
        let progress = publisher.progress();
        Self {
            feed: feed.to_owned(),
            session: publisher.session().to_owned(),
            messages: progress.settled,
            refused: progress.refused,
        }
    }

    pub(super) fn tell(&self, is_json: bool) -> anyhow::Result<()> {
        if is_json {
            return print_json(self);
        }
        let Self { feed, messages, refused, .. } = self;
        let word = if *messages == 1 { "message" } else { "messages" };
        print(&format!("{feed}: {messages} {word}, {refused} refused\n"))
    }
}

/// What is published from somewhere else, for as long as that goes on.
pub(super) struct Sending<'a> {
    pub(super) publisher: Publisher,
    pub(super) feed: &'a str,
    /// End the source when what it is read from ends.
    pub(super) end: bool,
    pub(super) json: bool,
}

impl Sending<'_> {
    /// Has `read` publish until it is done or a signal comes, waits until all of it is answered, and says what became of it.
    /// `read` counts what it could not read.
    pub(super) async fn run(
        self,
        mut signals: Signals,
        read: impl AsyncFnOnce(&Publisher, &mut u64) -> anyhow::Result<()>,
    ) -> anyhow::Result<Outcome> {
        let Self { publisher, feed, end, json } = self;
        let mut problems = 0;
        let work = async {
            tokio::select! {
                read = read(&publisher, &mut problems) => read?,
                () = signals.next() => note("stopping; once more stops at once"),
            }
            if end {
                publisher.send(&Outgoing::End).await?;
            }
            let flushed = tokio::select! {
                flushed = publisher.flush() => flushed,
                () = signals.next() => bail!("stopped before the server had acknowledged everything"),
            };
            Ok(flushed?)
        };
        with_events(&publisher, &ProgressBar::hidden(), work).await?;
        let published = Published::of(&publisher, feed);
        publisher.close().await?;
        published.tell(json)?;
        Ok(Outcome::of_problems(problems + published.refused))
    }
}

/// Does `work` with `publisher` and waits until all of it is answered; tells people what happens meanwhile. Ends early
/// where the publisher does, whatever the work waits for.
pub(super) async fn with_events(
    publisher: &Publisher,
    bar: &ProgressBar,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let work = async {
        work.await?;
        publisher.flush().await.map_err(anyhow::Error::from)
    };
    let events = async {
        let mut was_lost = false;
        while let Some(event) = publisher.next_event().await {
            bar.suspend(|| tell(&event, &mut was_lost));
        }
        // It is over, and this says why.
        publisher.settled(u64::MAX).await
    };
    let ended = tokio::select! {
        biased;
        done = work => done,
        end = events => end.map_err(anyhow::Error::from),
    };
    // What came with the last answer.
    while let Some(event) = publisher.next_event().now_or_never().flatten() {
        bar.suspend(|| tell(&event, &mut true));
    }
    ended.context("publishing ended")
}

fn tell(event: &PublisherEvent, was_lost: &mut bool) {
    match event {
        PublisherEvent::Connected { .. } if std::mem::take(was_lost) => note("connected again"),
        PublisherEvent::Connected { .. } => {}
        PublisherEvent::Disconnected { why, retry_in } => {
            *was_lost = true;
            note(&format!("{why}; trying again in {:.1} s, nothing is lost", retry_in.as_secs_f32()));
        }
        PublisherEvent::Refused(nack) => {
            let place = nack.index.map_or(String::new(), |index| format!(", line {}", index + 1));
            note(&format!("message {}{place} was refused: {} ({})", nack.seq, nack.message, nack.code));
        }
        PublisherEvent::Warning { code, message, .. } => note(&format!("{message} ({code})")),
        PublisherEvent::OnAir { on_air, holder } => match (on_air, holder) {
            (true, _) => note("this source is on air"),
            (false, Some(holder)) => note(&format!("not on air: {holder} is")),
            (false, None) => note("not on air"),
        },
        PublisherEvent::Missed(count) => note(&format!("{count} messages of the server are not shown")),
    }
}
