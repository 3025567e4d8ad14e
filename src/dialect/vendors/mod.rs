//! Decoders, one file for each vendor, and the decoder of each format.

mod assemblyai;
mod aws;
mod azure;
mod deepgram;
mod flux;
mod google;
mod jitsi;
mod livekit;
mod rev;
mod speechmatics;
mod streamtext;
mod vexa;
mod vosk;
mod whisper_live;
mod whisper_streaming;
mod youtube;
mod zoom;

use crate::dialect::core::decoder::Dialect;
use crate::dialect::core::options::Options;
use crate::dialect::core::session::frames::{JsonSessions, LineSessions};
use crate::dialect::core::vendor_format::VendorFormat;
use crate::dialect::core::{chevrons, plain_text};

impl VendorFormat {
    /// Creates a decoder for one connection.
    #[must_use]
    pub fn open(self, options: Options) -> Box<dyn Dialect> {
        match self {
            Self::Deepgram => Box::new(JsonSessions::<deepgram::Deepgram>::new(options)),
            Self::Flux => Box::new(JsonSessions::<flux::Flux>::new(options)),
            Self::Speechmatics => Box::new(JsonSessions::<speechmatics::Speechmatics>::new(options)),
            Self::AssemblyAi => Box::new(JsonSessions::<assemblyai::AssemblyAi>::new(options)),
            Self::Rev => Box::new(JsonSessions::<rev::Rev>::new(options)),
            Self::Aws => Box::new(JsonSessions::<aws::Aws>::new(options)),
            Self::Azure => Box::new(JsonSessions::<azure::Azure>::new(options)),
            Self::Google => Box::new(JsonSessions::<google::Google>::new(options)),
            Self::WhisperLive => Box::new(JsonSessions::<whisper_live::WhisperLive>::new(options)),
            Self::WhisperStreaming => Box::new(LineSessions::<whisper_streaming::WhisperStreaming>::new(options)),
            Self::Vosk => Box::new(JsonSessions::<vosk::Vosk>::new(options)),
            Self::Jitsi => Box::new(JsonSessions::<jitsi::Jitsi>::new(options)),
            Self::LiveKit => Box::new(JsonSessions::<livekit::LiveKit>::new(options)),
            Self::Vexa => Box::new(JsonSessions::<vexa::Vexa>::new(options)),
            Self::Text => Box::new(LineSessions::<plain_text::PlainTextDialect>::new(options)),
            Self::Chevrons => Box::new(LineSessions::<chevrons::Chevrons>::new(options)),
            Self::StreamText => Box::new(streamtext::StreamText::new(options)),
            Self::Zoom => Box::new(JsonSessions::<zoom::Zoom>::new(options)),
            Self::YouTube => Box::new(LineSessions::<youtube::YouTube>::new(options)),
        }
    }
}
