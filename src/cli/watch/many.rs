//! `watch` of several feeds, on one connection: turns as they close, each under the name of its feed.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use clap::CommandFactory;
use clap::error::ErrorKind;

use super::super::output::{clean_line, note, print_json_text};
use super::super::signals::Signals;
use super::super::{Arguments, Outcome};
use super::{Plain, Until, Watch, print_some};
use crate::client::{News, Screen, SubscriptionOptions, Subscriptions, SubscriptionsOptions, Update};
use crate::position::FeedId;
use crate::transcript::FeedState;

/// Shows the feeds until all their events have ended and all of them was shown.
pub(super) async fn run(watch: Watch) -> anyhow::Result<Outcome> {
    let mut signals = Signals::new()?;
    if watch.pace.is_some() {
        let message = "a replay is of one feed: name one, or leave --pace out";
        bail!(Arguments::command().error(ErrorKind::ArgumentConflict, message));
    }
    let mut feeds = Subscriptions::new(watch.url.server()?.subscribe_many(), SubscriptionsOptions::default());
    let mut shown = Shown { is_raw: watch.json, is_refused: false, plain: BTreeMap::new() };
    for name in &watch.feeds {
        let feed = FeedId::new(name).context("of several feeds only the names are given; the server with --url")?;
        let options = SubscriptionOptions {
            from: watch.from.clone(),
            interim: !watch.final_only,
            until_head: watch.until == Until::Head,
            wait: watch.until == Until::Live,
        };
        shown.plain.insert(feed.clone(), Plain { label: format!("{feed} "), ..Plain::default() });
        feeds.subscribe(feed, options);
    }
    let followed = tokio::select! {
        followed = follow(&mut feeds, &mut shown) => followed,
        () = signals.next() => Ok(()),
    };
    let left: Vec<FeedId> = feeds.feeds().cloned().collect();
    for feed in left {
        if let Some(screen) = feeds.screen(&feed) {
            shown.draw(&feed, screen, true)?;
        }
    }
    followed.map(|()| if shown.is_refused { Outcome::Problems } else { Outcome::Done })
}

async fn follow(feeds: &mut Subscriptions, shown: &mut Shown) -> anyhow::Result<()> {
    while let Some(received) = feeds.next_message().await? {
        if let (true, Some(text)) = (shown.is_raw, &received.text) {
            print_json_text(text)?;
        }
        match received.news {
            Some(News::Feed { feed, update: Update::Changed(changed) }) if changed.whole => {
                let Some(screen) = feeds.screen(&feed) else { continue };
                let has_ended = screen.state() == FeedState::Ended;
                shown.draw(&feed, screen, has_ended)?;
                if has_ended {
                    feeds.unsubscribe(&feed);
                }
            }
            Some(News::Feed { feed, update: Update::Hello { state: FeedState::None } }) => {
                note(&format!("there is no feed {feed} yet; waiting for it"));
            }
            Some(News::Feed { feed, update: Update::Reset { .. } }) => {
                shown.plain.insert(feed.clone(), Plain { label: format!("{feed} "), ..Plain::default() });
                note(&format!("the transcript of {feed} begins anew"));
            }
            Some(News::Done { feed, screen }) => shown.draw(&feed, &screen, true)?,
            Some(News::Refused { feed, message, retry_in, .. }) => {
                shown.is_refused |= retry_in.is_none();
                let feed = feed.map(|feed| format!("{feed}: ")).unwrap_or_default();
                let again = retry_in.map(|wait| format!("; trying again in {:.1} s", wait.as_secs_f32()));
                note(&format!("{feed}{}{}", clean_line(&message), again.unwrap_or_default()));
            }
            Some(News::Disconnected { why, retry_in }) => {
                note(&format!("{why}; trying again in {:.1} s", retry_in.as_secs_f32()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What was printed of each feed.
struct Shown {
    is_raw: bool,
    is_refused: bool,
    plain: BTreeMap<FeedId, Plain>,
}

impl Shown {
    /// Prints the turns that closed; with `all` those that are open too.
    fn draw(&mut self, feed: &FeedId, screen: &Screen, all: bool) -> anyhow::Result<()> {
        match self.plain.get_mut(feed) {
            Some(plain) if !self.is_raw => print_some(&plain.text(screen, all)),
            _ => Ok(()),
        }
    }
}
