//! Decoders, one for each vendor.

pub(super) mod assemblyai;
pub(super) mod aws;
pub(super) mod azure;
pub(super) mod deepgram;
pub(super) mod flux;
pub(super) mod google;
pub(super) mod jitsi;
pub(super) mod livekit;
pub(super) mod rev;
pub(super) mod speechmatics;
pub(super) mod streamtext;
pub(super) mod vexa;
pub(super) mod vosk;
pub(super) mod whisper_live;
pub(super) mod whisper_streaming;
pub(super) mod youtube;
pub(super) mod zoom;
