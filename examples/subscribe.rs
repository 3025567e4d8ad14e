//! Follow a feed and print each turn once it is closed:
//!
//!     cargo run --example subscribe -- ws://127.0.0.1:7700/v1/feeds/demo/subscribe
//!
//! `Subscriber` keeps a `Screen` that is what the server shows, and comes back by itself, with its cursor.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "an example speaks to people")]

use std::collections::HashMap;

use captionwire::client::{Screen, SocketUrl, Subscriber, SubscriberOptions, Update};
use captionwire::transcript::TurnState;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:7700/v1/feeds/demo/subscribe".into());
    // Final lines only, and a feed that does not exist yet is waited for.
    let options = SubscriberOptions { interim: false, wait: true, ..SubscriberOptions::default() };
    let mut subscriber = Subscriber::new(SocketUrl::parse(&url)?, options);
    let mut printed = HashMap::new();
    // None once the event has ended and all was received; an error where it makes no sense to come again.
    while let Some(update) = subscriber.next().await? {
        match update {
            // Not whole: more is under way, and a line may stand in the wrong turn for a moment.
            Update::Changed(changed) if changed.whole => print_closed(subscriber.screen(), &mut printed),
            Update::Disconnected { why, retry_in } => eprintln!("{why}; trying again in {retry_in:?}"),
            Update::Reset { .. } => printed.clear(),
            _ => {}
        }
    }
    Ok(())
}

/// Prints closed turns that are new, or that were corrected since they were printed.
fn print_closed(screen: &Screen, printed: &mut HashMap<String, String>) {
    for shown in screen.turns().filter(|shown| shown.turn.state == TurnState::Closed) {
        let text: Vec<&str> = shown.lines().map(|line| &*line.text).collect();
        let turn = format!("{}: {}", shown.speaker_name().unwrap_or("(unknown)"), text.join("\n"));
        let id = shown.turn.id.to_string();
        if printed.get(&id) != Some(&turn) {
            println!("{turn}\n");
            printed.insert(id, turn);
        }
    }
}
