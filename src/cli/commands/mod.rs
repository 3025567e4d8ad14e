//! The commands: one file each.

pub(super) mod archive;
pub(super) mod capture;
pub(super) mod config;
pub(super) mod convert;
pub(super) mod copy;
pub(super) mod demo;
pub(super) mod export;
pub(super) mod feeds;
pub(super) mod import;
pub(super) mod publish;
pub(super) mod push;
pub(super) mod relay;
pub(super) mod replay;
pub(super) mod replay_raw;
pub(super) mod retract;
pub(super) mod search;
pub(super) mod serve;
pub(super) mod speakers;
pub(super) mod token;
pub(super) mod watch;
