//! Ingest: the one way into a feed for everything that is published, by socket, by `POST …/lines`, and by vendors'
//! posts.
//!
//! In reading order: [`identity`] (source and session), [`pipeline`] (begin a session; admit, number, append and
//! acknowledge messages), and its steps: [`sequence`], [`resends`], [`validation`], [`ack_queue`],
//! [`seq_conflicts`], [`seq_gaps`], [`speaker_names`], [`media_clock`] (implausible times), [`session_lock`] (a request
//! takes its session) and [`refusal_log`]. `rate_limit` limits the pace at which a socket is read. The pipeline has
//! three callers: [`websocket`], [`http_lines`] and [`http_captions`].

mod ack_queue;
mod arrival_clock;
pub(super) mod caption_retries;
pub(super) mod caption_streams;
mod earlier_speech;
pub(super) mod frame_recorder;
mod high_revs;
pub(super) mod http_captions;
pub(super) mod http_lines;
mod identity;
mod media_clock;
mod pipeline;
pub(super) mod publisher_lock;
mod rate_limit;
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
