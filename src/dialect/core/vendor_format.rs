//! Vendors' formats by name, and the framing of each.

use std::fmt;
use std::str::FromStr;

/// A vendor's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VendorFormat {
    /// Deepgram's live API, version 1: `Results`.
    Deepgram,
    /// Deepgram Flux: `TurnInfo`.
    Flux,
    /// Speechmatics, realtime.
    Speechmatics,
    /// AssemblyAI Universal-Streaming, version 3.
    AssemblyAi,
    /// Rev.ai, streaming.
    Rev,
    /// Amazon Transcribe, streaming.
    Aws,
    /// Azure, conversation transcription.
    Azure,
    /// Google Cloud Speech-to-Text, streaming.
    Google,
    /// WhisperLive: `segments`.
    WhisperLive,
    /// The server of whisper_streaming: lines of text with two times.
    WhisperStreaming,
    /// The server of Vosk.
    Vosk,
    /// Jitsi: the messages of Jigasi and Skynet.
    Jitsi,
    /// LiveKit: segments, and text streams.
    LiveKit,
    /// Vexa: bundles of confirmed and pending segments.
    Vexa,
    /// Plain text, one caption per line.
    Text,
    /// Text with `>>` before each new speaker.
    Chevrons,
    /// A stenographer's characters, with deletes.
    StreamText,
    /// Captions as they are posted to Zoom.
    Zoom,
    /// Captions as they are posted to YouTube.
    YouTube,
}

impl VendorFormat {
    /// All formats.
    pub const ALL: [Self; 19] = [
        Self::Deepgram,
        Self::Flux,
        Self::Speechmatics,
        Self::AssemblyAi,
        Self::Rev,
        Self::Aws,
        Self::Azure,
        Self::Google,
        Self::WhisperLive,
        Self::WhisperStreaming,
        Self::Vosk,
        Self::Jitsi,
        Self::LiveKit,
        Self::Vexa,
        Self::Text,
        Self::Chevrons,
        Self::StreamText,
        Self::Zoom,
        Self::YouTube,
    ];

    /// Returns the name in flags and URLs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deepgram => "deepgram",
            Self::Flux => "flux",
            Self::Speechmatics => "speechmatics",
            Self::AssemblyAi => "assemblyai",
            Self::Rev => "rev",
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Google => "google",
            Self::WhisperLive => "whisper-live",
            Self::WhisperStreaming => "whisper-streaming",
            Self::Vosk => "vosk",
            Self::Jitsi => "jitsi",
            Self::LiveKit => "livekit",
            Self::Vexa => "vexa",
            Self::Text => "text",
            Self::Chevrons => "chevrons",
            Self::StreamText => "streamtext",
            Self::Zoom => "zoom",
            Self::YouTube => "youtube",
        }
    }

    /// Returns the framing of the format in a file or a pipe.
    #[must_use]
    pub fn framing(self) -> Framing {
        match self {
            Self::WhisperStreaming | Self::Text | Self::Chevrons | Self::YouTube => Framing::Lines,
            Self::StreamText => Framing::Characters,
            _ => Framing::Json,
        }
    }
}

impl fmt::Display for VendorFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for VendorFormat {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let same = |format: &Self| format.as_str().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(same).ok_or_else(|| {
            let name: String = name.chars().filter(|c| !c.is_control()).take(32).collect();
            UnknownFormat { name }
        })
    }
}

/// Error for an unknown format name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no format of a publisher; there are captionwire, {}", VendorFormat::ALL.map(VendorFormat::as_str).join(", "))]
pub struct UnknownFormat {
    /// The name as given, shortened.
    pub name: String,
}

/// Boundaries of frames in a file, a pipe or a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A frame is a JSON value, and a file has one per line. A frame may contain several; none extends over two.
    Json,
    /// A stream of text whose lines end with a line feed, independently of frames. On a socket the end of a message
    /// also ends the line, because programs that send a caption per message write no line feeds.
    Lines,
    /// A stream of characters: the end of a message has no meaning.
    Characters,
}
