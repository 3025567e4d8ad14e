//! captionwire: live captions in, speaker turns out, nothing lost on the way.
//!
//! Stenographers, speech engines and captioning software send lines over WebSockets: late, twice, out of order, first as
//! guesses and then corrected. Each line is on disk before it is acknowledged. The server puts the lines together to speaker
//! turns, and sends every reader what has changed since the position that it names.
//!
#![cfg_attr(feature = "server", doc = "```")]
#![cfg_attr(not(feature = "server"), doc = "```ignore")]
//! use captionwire::client::{Publisher, PublisherOptions, ServerUrl, Subscriber, SubscriberOptions};
//! use captionwire::config::{Config, Storage};
//! use captionwire::position::FeedId;
//! use captionwire::server::Server;
//! use captionwire::transcript::{Content, Version};
//! use captionwire::wire::Outgoing;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A server in this process, on a free port, that keeps its feeds in memory.
//! let config = Config { listen: "127.0.0.1:0".parse()?, storage: Storage::Ephemeral, ..Config::default() };
//! let server = Server::bind(config).await?;
//! let url = ServerUrl::parse(&format!("http://{}", server.local_addr()))?;
//! tokio::spawn(server.run(std::future::pending()));
//!
//! // A publisher; its first line creates the feed.
//! let feed = FeedId::new("geneva")?;
//! let publisher = Publisher::start(url.publish(&feed), PublisherOptions::default());
//! let content = Content { speaker: Some("Clerk".into()), text: "It is open.".into(), ..Content::default() };
//! publisher.send(&Outgoing::Line(Version { id: "1".into(), content, ..Version::default() })).await?;
//! publisher.close().await?; // Every line is acknowledged.
//!
//! // A reader, up to what there is by now.
//! let options = SubscriberOptions { until_head: true, ..SubscriberOptions::default() };
//! let mut subscriber = Subscriber::new(url.subscribe(&feed), options);
//! while subscriber.next().await?.is_some() {}
//! let turn = subscriber.screen().turns().next().expect("a turn");
//! assert_eq!(turn.speaker_name(), Some("Clerk"));
//! assert_eq!(turn.lines().next().map(|line| &*line.text), Some("It is open."));
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! * Without any: [`transcript`], [`wire`], [`format`](mod@format), [`dialect`] and [`position`]. They open no socket and no file.
//! * `client`: the module `client`, a publisher and subscribers that reconnect by themselves.
//! * `server`: the modules `server`, `config` and `log`, a server inside your program. Implies `client`.
//! * `nats`: the log on NATS servers, and clusters of servers that share it. Implies `server`.
//! * `cli`, `bench`, `opentelemetry`: the program `captionwire`, its command `bench`, and its traces.
//!
//! `cli`, `nats` and `bench` are on by default. A program that publishes or subscribes needs
//! `default-features = false, features = ["client"]`.
//!
//! Enums that grow are `#[non_exhaustive]`. Structs of options get new fields: end them with `..Default::default()`, or with
//! `..Self::new(…)` if a field has no default. The types of other crates in this interface are those of [`bytes`] and `http`,
//! which are re-exported here.
//!
//! # The way of a line
//!
//! 1. `server` reads it from a socket, and `wire` decodes it. Faults are answered at once.
//! 2. `log` writes it to disk. Then, and not before, it is acknowledged. The log knows no captions.
//! 3. `feed` follows the log, and `transcript` folds each record into lines and turns. The fold is pure: the same records
//!    give the same transcript, on every machine and in every replay.
//! 4. Every reader's connection in `server` wakes, asks what changed since its own cursor, and sends that. Webhooks are
//!    readers too; `outbox` keeps their cursors. Nodes that share one log tell each other the rest in `cluster`.
//!
//! `ARCHITECTURE.md` has the map, the walks and the invariants; `docs/asyncapi.yaml` and `docs/openapi.yaml` the protocol.

#![cfg_attr(docsrs, feature(doc_cfg))]

// Its `main` is for the binary alone.
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
#[cfg_attr(not(feature = "nats"), allow(dead_code, reason = "clusters are on NATS servers"))]
mod cluster;
#[cfg(feature = "server")]
pub mod config;
pub mod dialect;
#[cfg(feature = "server")]
mod feed;
pub mod format;
#[cfg(feature = "server")]
#[cfg_attr(not(feature = "nats"), allow(dead_code, reason = "only a log that is elsewhere interrupts its tails"))]
pub mod log;
#[cfg(feature = "server")]
mod outbox;
mod parse_error;
pub mod position;
#[cfg(feature = "server")]
mod search;
#[cfg(feature = "server")]
pub mod server;
pub mod transcript;
pub mod wire;

// Their types are in the public interface.
pub use bytes;
#[cfg(feature = "client")]
pub use http;
