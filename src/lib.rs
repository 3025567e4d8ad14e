//! captionwire: live captions in, speaker turns out, nothing lost on the way.

pub mod cli;
pub mod client;
pub mod config;
pub mod feed;
pub mod format;
pub mod log;
pub mod position;
pub mod server;
pub mod transcript;
pub mod wire;
