//! The one way into a feed for all that is published: by socket, by `POST …/lines`, and by the vendors' posts.
//!
//! In reading order: [`identity`] (who publishes), [`pipeline`] (a session begins; a message is admitted, numbered, appended and
//! answered), and the steps it is made of: [`sequence`], [`resends`], [`validation`], [`pending_acks`], [`seq_conflicts`], [`seq_gaps`],
//! [`speaker_names`], [`media_clock`] (times that cannot be meant), [`session_lock`] (how a request takes its session) and
//! [`refusal_log`].
//! `rate_limit` is the pace at which a socket is read. Above the pipeline stand its three callers: [`websocket`], [`http_lines`] and
//! [`http_captions`].

mod arrival_clock;
pub(super) mod caption_retries;
pub(super) mod caption_streams;
mod earlier_speech;
pub(super) mod http_captions;
pub(super) mod http_lines;
mod identity;
mod media_clock;
mod pending_acks;
mod pipeline;
pub(super) mod publisher_lock;
mod rate_limit;
pub(super) mod raw_capture;
mod refusal_log;
mod resends;
mod seq_conflicts;
mod seq_gaps;
mod sequence;
mod service;
mod session_lock;
mod speaker_names;
mod validation;
pub(super) mod websocket;

pub(super) use self::service::IngestService;
