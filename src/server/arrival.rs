//! A feed that a reader wants: found, waited for, or known not to come.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::app::{App, Seat, Seats, end_of};
use super::socket::End;
use crate::config::TimesConfig;
use crate::feed::{Feed, Opened};
use crate::log::{LogError, LogId};
use crate::position::FeedId;
use crate::wire::CloseCode;

/// The next life of a feed, on its way.
pub(super) struct Arrival {
    app: Arc<App>,
    name: FeedId,
    wait: bool,
    /// The life that was replaced, and until when another has to follow.
    replaced: Option<(LogId, Instant)>,
    creations: watch::Receiver<u64>,
    /// It was not there, and nothing has been created since.
    is_absent: bool,
    /// Among those who wait.
    seat: Option<Seat>,
}

/// What came of it.
pub(super) enum Arrived {
    /// The feed is there.
    Here(Arc<Feed>),
    /// It is waited for; this comes once.
    Waiting,
}

impl Arrival {
    /// Looks for `name`, and waits for it if it is to. A life that was `replaced` is waited past.
    pub(super) fn new(app: &Arc<App>, name: &FeedId, wait: bool, replaced: Option<LogId>) -> Self {
        // A life that is replaced is followed by another at once, or something went wrong.
        let patience = TimesConfig::ms(app.config.times.message_timeout_ms);
        let replaced = replaced.map(|replaced| (replaced, Instant::now() + patience));
        let creations = app.feeds.creations();
        Self { app: app.clone(), name: name.clone(), wait, replaced, creations, is_absent: false, seat: None }
    }

    /// Waits for what comes next of it. Cancel-safe.
    ///
    /// # Errors
    /// What the reader is told where no feed is to come.
    pub(super) async fn next(&mut self) -> Result<Arrived, End> {
        loop {
            if self.is_absent {
                self.created().await?;
                self.is_absent = false;
            }
            match self.app.feeds.open(&self.name).await.map_err(|error| end_of(&error))? {
                Opened::Here(feed) if self.replaced.as_ref().is_none_or(|(life, _)| life != feed.log_id()) => {
                    return Ok(Arrived::Here(feed));
                }
                // Between two lives of a name that is replaced.
                _ if self.replaced.is_some() => self.is_absent = true,
                Opened::Here(feed) => return Ok(Arrived::Here(feed)),
                Opened::Deleted => return Err(self.deleted()),
                Opened::Absent if self.wait => {
                    self.is_absent = true;
                    if self.seat.is_none() {
                        self.seat = Seats::take(&self.app, |app| &app.waiting);
                        return match &self.seat {
                            Some(_) => Ok(Arrived::Waiting),
                            None => {
                                let reason = "as many readers wait for feeds as may";
                                Err(End::close(CloseCode::TooManyConnections, reason))
                            }
                        };
                    }
                }
                Opened::Absent => {
                    return Err(End::close(CloseCode::NoSuchFeed, format!("there is no feed {}", self.name)));
                }
            }
        }
    }

    /// Waits until some feed was created since the last look.
    async fn created(&mut self) -> Result<(), End> {
        // The sender is the app's, which this holds.
        let created = self.creations.changed();
        match self.replaced {
            None => drop(created.await),
            Some((_, by)) if timeout_at(by, created).await.is_err() => return Err(self.deleted()),
            Some(_) => {}
        }
        Ok(())
    }

    fn deleted(&self) -> End {
        end_of(&LogError::Deleted(self.name.clone()))
    }
}
