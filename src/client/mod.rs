//! The other end of the wire: a publisher and a subscriber that come back by themselves, and the little HTTP they need.
//!
//! * [`Publisher`] numbers what it sends, keeps it until it is acknowledged, and sends it again, in order, after every
//!   reconnect: no line is lost, and none is shown twice.
//! * [`Subscriber`] keeps a [`Screen`] that is what the server shows, whatever happens to its connection.
//! * [`Subscriptions`] is as many subscribers, of as many feeds, on one connection.
//! * [`HttpClient`] asks one question at a time: feeds, transcripts, imports, who is who.
//! * [`post`] sends one request to an address that is no such server; [`CaptionUrl`] says which one, for one that takes captions.
//!
//! What can be mended by coming again is mended here; only what cannot be becomes an error. Everything is bounded: a
//! publisher holds `limits.unacked` messages and then waits, a subscriber holds the transcript and one set of parts.
//! Over TLS a server has to prove that it is the one of the URL; one that does not is no server to come back to.
//!
//! In reading order: `address`, `token`, `trust`, `transport`, `connection`, `publisher`, `link`, `screen`,
//! `picture`, `subscriber`, `subscriptions`, `http`, `post`, `captions`.

mod address;
mod caption_url;
mod connection;
mod http;
mod http_post;
mod multiplex;
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
pub use self::trust::{Authorities, BadAuthorities};
pub use self::update::{ReplayState, Update};
pub use crate::client::caption_url::{CaptionFormat, CaptionUrl, wall_time};
pub use crate::client::connection::{Backoff, ClientTimes, ConnectionEnd};
pub use crate::client::http::{
    DeskAnswer, DeskOp, FeedInfo, HttpClient, HttpError, ImportProblem, ImportProblemCount, Imported, LOSSES_HEADER,
    ServerProblem, TranscriptQuery, read_answer,
};
pub use crate::client::http_post::{PostResponse, PostUrl, Verdict, post};
pub use crate::client::multiplex::{
    FeedNews, SubscriptionEvent, SubscriptionOptions, Subscriptions, SubscriptionsOptions,
};
pub use crate::client::publisher::{
    LostMessages, Nack, PublishError, PublishProgress, Publisher, PublisherEvent, PublisherOptions,
};
pub use crate::client::screen::{Screen, ScreenChange, ShownTurn};
pub use crate::client::socket_follower::{FollowerEvent, FollowerOptions, SocketFollower};
pub use crate::client::subscriber::{ReceivedMessage, ReplayOptions, SubscribeError, Subscriber, SubscriberOptions};
pub use crate::client::token::{BadToken, ClientToken};
pub use crate::wire::subscriber::StartPoint;

/// 60 bits that nobody else has, as text: sessions, operations.
#[must_use]
pub fn random_name() -> String {
    crate::position::Epoch::from_random(random()).to_string()
}

fn random() -> u64 {
    getrandom::u64().expect("the operating system has random numbers")
}
