//! A vendor's frame, stored as received, before the lines that were read from it. It changes nothing in a transcript.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::transcript::serde_arc::maybe_text;
use crate::transcript::time::MediaMs;

/// A vendor's frame, with everything needed to decode it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFrame {
    /// The source that sent it.
    pub source: Arc<str>,
    /// The connection, or the session of HTTP posts. A frame is decoded after the earlier frames of the same one.
    pub connection: Arc<str>,
    /// Name of the vendor's format, as in the query (`format=`).
    pub format: Arc<str>,
    /// Media time at the start of the vendor's session, if its program gave one.
    pub offset_ms: Option<MediaMs>,
    /// True if speaker labels mean the same in every session.
    pub has_names: bool,
    /// Language of lines that name none.
    pub lang: Option<Arc<str>>,
    /// The content of the frame.
    pub bytes: FrameBytes,
}

/// The bytes of a frame: as text if they are UTF-8, otherwise in hexadecimal, so that JSON can hold them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FrameBytes {
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<Arc<str>>,
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    pub(super) hex: Option<Arc<str>>,
}

impl FrameBytes {
    /// Creates a frame with these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self { text: Some(text.into()), hex: None },
            Err(_) => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                Self { text: None, hex: Some(hex.into()) }
            }
        }
    }

    /// Returns the bytes; `None` if there are none, or the hexadecimal is malformed.
    #[must_use]
    pub fn get(&self) -> Option<Vec<u8>> {
        if let Some(text) = &self.text {
            return Some(text.as_bytes().to_vec());
        }
        let hex = self.hex.as_ref().filter(|hex| hex.len() % 2 == 0 && hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok()).collect()
    }

    /// Returns the bytes that the frame takes in the log, without those that JSON escapes add.
    #[must_use]
    pub fn stored_len(&self) -> u64 {
        [&self.text, &self.hex].into_iter().flatten().map(|held| held.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_was() {
        for frame in [&b"{\"text\":\"a\"}"[..], b"", b"\xff\x00\x10", "é\n".as_bytes()] {
            let written = serde_json::to_string(&FrameBytes::new(frame)).expect("encodes");
            let read: FrameBytes = serde_json::from_str(&written).expect("decodes");
            assert_eq!(read.get().as_deref(), Some(frame));
        }
        let bad = |json: &str| serde_json::from_str::<FrameBytes>(json).expect("decodes").get();
        for none in [r#"{"hex":"0"}"#, r#"{"hex":"zz"}"#, r#"{"hex":"é"}"#, r#"{"hex":"+1"}"#, "{}"] {
            assert_eq!(bad(none), None, "{none}");
        }
    }
}
