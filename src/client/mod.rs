//! Clients of a server: a publisher and subscribers that reconnect by themselves, and the HTTP requests that they need.
//!
//! * [`Publisher`] numbers its messages, keeps each until it is acknowledged, and sends unacknowledged ones again, in
//!   order, after every reconnect: no line is lost, and none is shown twice.
//! * [`Subscriber`] keeps a [`Screen`] equal to what the server shows, over any number of connections.
//! * [`Subscriptions`] follows many feeds on one connection.
//! * [`HttpClient`] sends single requests: feeds, transcripts, imports, speakers.
//! * [`post`] sends one request to an address of another system; [`CaptionUrl`] builds such requests for caption URLs.
//!
//! A failure that a reconnect can cure is retried here; only the others become errors. Everything is bounded: a
//! publisher holds `limits.unacked` messages and then waits, a subscriber holds the transcript and one set of parts.
//! A proxy is used only where [`ProxySettings`] are given, which name it. Over TLS the server's certificate must match its
//! URL; if it does not, the client does not retry.
//!
//! Programs with a WebSocket of their own use [`crate::wire`] for the messages and [`Screen`] for the transcript:
//!
//! ```
//! use captionwire::client::Screen;
//! use captionwire::wire::ToSubscriber;
//!
//! let message = r#"{"type": "changes", "feed": "geneva", "cursor": "k3f9q2hxw7m5.1i:1",
//!     "lines": [{"source": "main", "id": "1", "rev": 0, "sort": "b0", "start_ms": 0, "text": "It is open.",
//!                "status": "final", "received_at": "2026-06-01T09:00:00.000Z"}],
//!     "turns": [{"id": "main/1", "sort": "b0", "start_ms": 0, "state": "open", "rev": 0}]}"#;
//! let mut screen = Screen::default();
//! if let ToSubscriber::Changes(changes) = serde_json::from_str(message)? {
//!     screen.apply(*changes);
//! }
//! let turn = screen.turns().next().expect("a turn");
//! assert_eq!(turn.lines().next().map(|line| &*line.text), Some("It is open."));
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! In reading order: `token`, `trust`, `proxy`, `connect_error`, `transport`, `address`, `backoff`, `connection`,
//! `publisher`, `message_text`, `reconnecting_link`, `screen`, `replica`, `subscriber`, `multiplex`, `http_error`,
//! `http_exchange`, `http`, `http_post`, `caption_url`, `socket_follower`.

mod address;
mod backoff;
mod caption_url;
mod connect_error;
mod connection;
mod http;
mod http_error;
mod http_exchange;
mod http_post;
mod message_text;
mod multiplex;
mod proxy;
mod publisher;
mod reconnecting_link;
mod replica;
mod screen;
mod search;
mod socket_follower;
mod subscriber;
mod token;
mod transport;
mod trust;
mod update;

pub use self::address::{BadUrl, ServerUrl, SocketUrl};
pub use self::search::{SearchFound, SearchQuery};
pub use self::trust::{Authorities, BadAuthorities, install_tls_provider};
pub use self::update::{ReplayState, Update};
pub use crate::client::backoff::Backoff;
pub use crate::client::caption_url::{CaptionFormat, CaptionUrl, UnknownCaptionFormat, wall_time};
pub use crate::client::connect_error::ConnectError;
pub use crate::client::connection::{ClientTimes, ConnectionEnd};
pub use crate::client::http::{
    DeskAnswer, DeskOp, FeedInfo, HttpClient, ImportProblem, ImportProblemCount, Imported, LOSSES_HEADER,
    TranscriptQuery, read_answer,
};
pub use crate::client::http_error::{HttpError, ServerProblem};
pub use crate::client::http_post::{PostResponse, PostUrl, Verdict, post};
pub use crate::client::message_text::MessageText;
pub use crate::client::multiplex::{
    MultiplexMessage, SubscriptionEvent, SubscriptionOptions, Subscriptions, SubscriptionsOptions,
};
pub use crate::client::proxy::{BadProxy, ProxySettings};
pub use crate::client::publisher::{
    LostMessages, Nack, PublishError, PublishProgress, Publisher, PublisherEvent, PublisherOptions,
};
pub use crate::client::screen::{Screen, ScreenChange, ShownTurn};
pub use crate::client::socket_follower::{FollowerEvent, FollowerOptions, SocketFollower};
pub use crate::client::subscriber::{ReceivedMessage, ReplayOptions, SubscribeError, Subscriber, SubscriberOptions};
pub use crate::client::token::{BadToken, ClientToken};
pub use crate::wire::subscriber::{Pace, ReplayClock, StartPoint};

/// Returns 60 random bits as text, for ids of sessions and operations.
#[must_use]
pub fn random_name() -> String {
    crate::position::Epoch::from_random(random()).to_string()
}

fn random() -> u64 {
    getrandom::u64().expect("the operating system has random numbers")
}
