//! `watch` of several feeds on one connection. Turns are printed when they close, each under the name of its feed. On a
//! terminal the current speaker of each feed is shown below, with the end of the open turn.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use clap::Args as _;
use clap::error::ErrorKind;
use indicatif::ProgressBar;

use crate::cli::commands::watch::arguments::{WatchCommand, WatchUntil};
use crate::cli::commands::watch::plain_turns::{PlainTurns, is_interim, lower_part, name, print_some};
use crate::cli::support::outcome::Outcome;
use crate::cli::support::output::{clean_line, faint, is_live_terminal, note, print_json_text, styled};
use crate::cli::support::signals::Signals;
use crate::client::{Screen, SubscriptionEvent, SubscriptionOptions, Subscriptions, SubscriptionsOptions, Update};
use crate::position::FeedId;
use crate::transcript::{FeedState, TurnState};

/// Feeds shown below the printed turns: more would leave little of a terminal.
const LIVE_FEEDS_MAX: usize = 12;

/// Shows the feeds until all have ended and were shown completely.
pub(crate) async fn run(watch: WatchCommand) -> anyhow::Result<Outcome> {
    let mut signals = Signals::new()?;
    if watch.pace.is_some() {
        let message = "--pace replays one feed: name only one, or leave --pace out";
        let mut command = WatchCommand::augment_args(clap::Command::new("captionwire watch"));
        bail!(command.error(ErrorKind::ArgumentConflict, message));
    }
    let mut feeds = Subscriptions::new(watch.url.server()?.subscribe_many(), SubscriptionsOptions::default());
    let lower = (!watch.json && is_live_terminal()).then(lower_part);
    let mut shown =
        PrintedFeeds { is_raw: watch.json, is_refused: false, plain: BTreeMap::new(), said: BTreeMap::new(), lower };
    for name in &watch.feeds {
        let feed = FeedId::new(name).context("name several feeds without URLs; set the server with --url")?;
        let options = SubscriptionOptions {
            from: watch.from.clone(),
            interim: !watch.final_only,
            until_head: watch.until == WatchUntil::Head,
            wait: watch.until == WatchUntil::Live,
        };
        shown.plain.insert(feed.clone(), PlainTurns { label: format!("{feed} "), ..PlainTurns::default() });
        feeds.subscribe(feed, options);
    }
    let followed = tokio::select! {
        followed = follow(&mut feeds, &mut shown) => followed,
        () = signals.next() => Ok(()),
    };
    shown.said.clear();
    if let Some(lower) = shown.lower.take() {
        lower.finish_and_clear();
    }
    let left: Vec<FeedId> = feeds.feeds().cloned().collect();
    for feed in left {
        if let Some(screen) = feeds.screen(&feed) {
            shown.draw(&feed, screen, true)?;
        }
    }
    followed.map(|()| if shown.is_refused { Outcome::Problems } else { Outcome::Done })
}

async fn follow(feeds: &mut Subscriptions, shown: &mut PrintedFeeds) -> anyhow::Result<()> {
    while let Some(received) = feeds.next_message().await? {
        if let (true, Some(text)) = (shown.is_raw, &received.text) {
            print_json_text(text)?;
        }
        match received.news {
            Some(SubscriptionEvent::Feed { feed, update: Update::Changed(changed) }) if changed.whole => {
                let Some(screen) = feeds.screen(&feed) else { continue };
                let has_ended = screen.state() == FeedState::Ended;
                shown.draw(&feed, screen, has_ended)?;
                if has_ended {
                    feeds.unsubscribe(&feed);
                }
            }
            Some(SubscriptionEvent::Feed { feed, update: Update::Hello { state: FeedState::None } }) => {
                shown.tell(&format!("there is no feed {feed} yet; waiting for it"));
            }
            Some(SubscriptionEvent::Feed { feed, update: Update::Reset { .. } }) => {
                shown.plain.insert(feed.clone(), PlainTurns { label: format!("{feed} "), ..PlainTurns::default() });
                shown.tell(&format!("the transcript of {feed} starts over"));
            }
            Some(SubscriptionEvent::Done { feed, screen }) => shown.draw(&feed, &screen, true)?,
            Some(SubscriptionEvent::Refused { feed, message, retry_in, .. }) => {
                shown.is_refused |= retry_in.is_none();
                let feed = feed.map(|feed| format!("{feed}: ")).unwrap_or_default();
                let again = retry_in.map(|wait| format!("; trying again in {:.1} s", wait.as_secs_f32()));
                shown.tell(&format!("{feed}{}{}", clean_line(&message), again.unwrap_or_default()));
            }
            Some(SubscriptionEvent::Failed { feed, why }) => {
                shown.is_refused = true;
                shown.tell(&format!("{feed}: {why}"));
            }
            Some(SubscriptionEvent::Disconnected { why, retry_in }) => {
                shown.tell(&format!("{why}; trying again in {:.1} s", retry_in.as_secs_f32()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Printed state of the feeds.
struct PrintedFeeds {
    is_raw: bool,
    is_refused: bool,
    plain: BTreeMap<FeedId, PlainTurns>,
    /// The open turn of each feed, and the lower part in which it is drawn; `None` without a terminal.
    said: BTreeMap<FeedId, String>,
    lower: Option<ProgressBar>,
}

impl PrintedFeeds {
    /// Prints turns that closed; with `all` also open ones.
    fn draw(&mut self, feed: &FeedId, screen: &Screen, all: bool) -> anyhow::Result<()> {
        let text = match self.plain.get_mut(feed) {
            Some(plain) if !self.is_raw => plain.text(screen, all),
            _ => return Ok(()),
        };
        let Some(lower) = &self.lower else { return print_some(&text) };
        match saying(feed, screen, textwrap::termwidth().saturating_sub(1)).filter(|_| !all) {
            Some(said) => self.said.insert(feed.clone(), said),
            None => self.said.remove(feed),
        };
        let mut below: Vec<String> = self.said.values().take(LIVE_FEEDS_MAX).cloned().collect();
        if self.said.len() > LIVE_FEEDS_MAX {
            below.push(format!("… and {} more", self.said.len() - LIVE_FEEDS_MAX));
        }
        let below = below.join("\n");
        lower.set_message(styled(faint(), &below));
        lower.suspend(|| print_some(&text))
    }

    fn tell(&self, text: &str) {
        match &self.lower {
            Some(lower) => lower.suspend(|| note(text)),
            None => note(text),
        }
    }
}

/// Formats the current speaker and the end of the open turn on one line; `None` if nobody speaks.
fn saying(feed: &FeedId, screen: &Screen, columns: usize) -> Option<String> {
    let shown = screen.turns().next_back()?;
    if shown.turn.state == TurnState::Closed && !shown.lines().any(is_interim) {
        return None;
    }
    let head = format!("{feed} {}: ", clean_line(name(&shown)));
    let said: Vec<_> = shown.lines().map(|line| clean_line(&line.text)).collect();
    let said = said.join(" ");
    // Some letters are two columns wide.
    let room = columns.saturating_sub(textwrap::core::display_width(&head) + 1);
    let (mut begin, mut width) = (said.len(), 0);
    for (at, c) in said.char_indices().rev() {
        width += textwrap::core::display_width(c.encode_utf8(&mut [0; 4]));
        if width > room {
            break;
        }
        begin = at;
    }
    Some(format!("{head}{}{}", if begin > 0 { "…" } else { "" }, &said[begin..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_said_fits_on_one_line() {
        let mut screen = Screen::default();
        let feed = FeedId::new("geneva").expect("a name");
        let mut say = |text: &str, status: &str, state: &str| {
            let message = serde_json::json!({"feed": "geneva", "cursor": "e:1",
                "speakers": [{"id": "A", "name": "Ann", "into": null}],
                "lines": [{"source": "m", "id": "1", "rev": 0, "sort": "1", "start_ms": 0, "end_ms": null, "speaker": "A",
                    "text": text, "status": status, "marks": [], "received_at": "2026-11-23T18:30:00Z"}],
                "turns": [{"id": "m/1", "sort": "1", "speaker": "A", "start_ms": 0, "state": state, "rev": 0}]});
            screen.apply(serde_json::from_value(message).expect("changes"));
            saying(&feed, &screen, 24)
        };
        assert_eq!(say("Good\nevening.", "interim", "open").as_deref(), Some("geneva Ann: …od evening."));
        assert_eq!(say("会議を始めます", "interim", "open").as_deref(), Some("geneva Ann: …を始めます"));
        assert_eq!(say("Good.", "final", "open").as_deref(), Some("geneva Ann: Good."));
        assert_eq!(say("Good.", "final", "closed"), None);
        assert_eq!(say("Goo", "interim", "closed").as_deref(), Some("geneva Ann: Goo"));
    }
}
