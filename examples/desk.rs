//! Follow many feeds on one connection, and print each line once it is final, with the name of its feed:
//!
//!     cargo run --example desk -- http://127.0.0.1:7700 geneva bern basel
//!
//! `Subscriptions` keeps a `Screen` for each feed, and comes back by itself, with all cursors.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "an example speaks to people")]

use captionwire::client::{
    ServerUrl, SubscriptionEvent, SubscriptionOptions, Subscriptions, SubscriptionsOptions, Update,
};
use captionwire::position::FeedId;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let server = ServerUrl::parse(&arguments.next().unwrap_or_else(|| "http://127.0.0.1:7700".into()))?;
    let mut desk = Subscriptions::new(server.subscribe_many(), SubscriptionsOptions::default());
    for name in arguments {
        // Final lines only, and feeds that do not exist yet are waited for.
        let options = SubscriptionOptions { interim: false, wait: true, ..SubscriptionOptions::default() };
        desk.subscribe(FeedId::new(&name)?, options);
    }
    // None once all feeds have ended; an error where it makes no sense to come again.
    while let Some(news) = desk.next().await? {
        match news {
            SubscriptionEvent::Feed { feed, update: Update::Changed(changed) } => {
                for line in changed.lines.iter().filter_map(|key| desk.screen(&feed)?.line(key)) {
                    println!("{feed}: {}", line.text);
                }
            }
            // One feed is refused; the others go on.
            SubscriptionEvent::Refused { message, retry_in: None, .. } => eprintln!("{message}"),
            SubscriptionEvent::Disconnected { why, retry_in } => eprintln!("{why}; trying again in {retry_in:?}"),
            _ => {}
        }
    }
    Ok(())
}
