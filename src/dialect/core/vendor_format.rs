//! Vendors' formats by name, and the framing of each.

use std::fmt;
use std::str::FromStr;

/// Declares the formats: a row has the variant, its name, the vendor for people, and the framing.
macro_rules! vendor_formats {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $vendor:literal, $framing:ident;)*) => {
        /// A vendor's format.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum VendorFormat {
            $($(#[$doc])* $variant,)*
        }

        impl VendorFormat {
            /// All formats.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// Returns the name of the format in flags and URLs.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Returns the vendor's name, for people.
            pub(crate) fn vendor(self) -> &'static str {
                match self {
                    $(Self::$variant => $vendor,)*
                }
            }

            /// Returns the framing of the format in a file or a pipe.
            #[must_use]
            pub fn framing(self) -> Framing {
                match self {
                    $(Self::$variant => Framing::$framing,)*
                }
            }
        }
    };
}

vendor_formats! {
    /// Deepgram's live API, version 1: `Results`.
    Deepgram = "deepgram", "Deepgram", Json;
    /// Deepgram Flux: `TurnInfo`.
    Flux = "flux", "Deepgram Flux", Json;
    /// Speechmatics, realtime.
    Speechmatics = "speechmatics", "Speechmatics", Json;
    /// AssemblyAI Universal-Streaming, version 3.
    AssemblyAi = "assemblyai", "AssemblyAI", Json;
    /// Rev.ai, streaming.
    Rev = "rev", "Rev.ai", Json;
    /// Amazon Transcribe, streaming.
    Aws = "aws", "Amazon Transcribe", Json;
    /// Azure, conversation transcription.
    Azure = "azure", "Azure", Json;
    /// Google Cloud Speech-to-Text, streaming.
    Google = "google", "Google", Json;
    /// WhisperLive: `segments`.
    WhisperLive = "whisper-live", "WhisperLive", Json;
    /// The server of whisper_streaming: lines of text with two times.
    WhisperStreaming = "whisper-streaming", "whisper-streaming", Lines;
    /// The server of Vosk.
    Vosk = "vosk", "Vosk", Json;
    /// Jitsi: the messages of Jigasi and Skynet.
    Jitsi = "jitsi", "Jitsi", Json;
    /// LiveKit: segments, and text streams.
    LiveKit = "livekit", "LiveKit", Json;
    /// Vexa: bundles of confirmed and pending segments.
    Vexa = "vexa", "Vexa", Json;
    /// Plain text, one caption per line.
    Text = "text", "text", Lines;
    /// Text with `>>` before each new speaker.
    Chevrons = "chevrons", "chevrons", Lines;
    /// A stenographer's characters, with deletes.
    StreamText = "streamtext", "streamtext", Characters;
    /// Captions as they are posted to Zoom.
    Zoom = "zoom", "a program that posts to Zoom", Json;
    /// Captions as they are posted to YouTube.
    YouTube = "youtube", "youtube", Lines;
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
#[error("{name:?} is not a publisher's format; use captionwire, {}", VendorFormat::ALL.map(VendorFormat::as_str).join(", "))]
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
