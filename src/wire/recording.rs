//! Recordings of vendors' sockets: one row per frame, with its time. `capture` writes them, and so does a server that
//! stored the frames; `replay --raw` plays them.

use serde::{Deserialize, Serialize};

use crate::transcript::{FrameBytes, MediaMs, Timestamp};

/// A row of a recording: a frame, or the begin or end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecordingRow {
    /// Milliseconds since the first connection.
    pub at_ms: u64,
    /// The frame, if the row is one.
    #[serde(flatten)]
    pub frame: FrameBytes,
    /// `true` where a connection begins, `false` where it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
    /// Format with which a server decoded the connection that begins here; `None` if no server did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_as: Option<RecordingFormat>,
}

/// Settings with which a server decoded the frames of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingFormat {
    /// The vendor's format.
    pub format: String,
    /// Media time at the start of the vendor's session, if its program gave one; otherwise the server determined it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_ms: Option<MediaMs>,
    /// True if speaker labels mean the same in every session.
    #[serde(default)]
    pub names: bool,
    /// Language of lines that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// The time of day at media time 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_start: Option<Timestamp>,
}

impl RecordingRow {
    /// Creates the row of a frame.
    #[must_use]
    pub fn of_frame(at_ms: u64, frame: &[u8]) -> Self {
        Self { at_ms, frame: FrameBytes::new(frame), ..Self::default() }
    }

    /// Creates the row of a connection's begin (`true`) or end.
    #[must_use]
    pub fn of_connection(at_ms: u64, connected: bool) -> Self {
        Self { at_ms, connected: Some(connected), ..Self::default() }
    }

    /// Encodes the row as in the file, with its line feed.
    #[must_use]
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("a row has no map with odd keys") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(offset_ms: Option<MediaMs>) -> RecordingRow {
        let (format, lang, wall_start) = ("rev".into(), Some("en".into()), Some(Timestamp(0)));
        RecordingRow {
            read_as: Some(RecordingFormat { format, offset_ms, names: true, lang, wall_start }),
            ..RecordingRow::of_connection(0, true)
        }
    }

    #[test]
    fn rows_as_a_table() {
        for (row, json) in [
            (RecordingRow::of_frame(7, b"a"), r#"{"at_ms":7,"text":"a"}"#),
            (RecordingRow::of_frame(7, b"\xff"), r#"{"at_ms":7,"hex":"ff"}"#),
            (RecordingRow::of_connection(9, false), r#"{"at_ms":9,"connected":false}"#),
            (
                read_as(Some(-4)),
                r#"{"at_ms":0,"connected":true,"read_as":{"format":"rev","offset_ms":-4,"names":true,"lang":"en","wall_start":"1970-01-01T00:00:00.000Z"}}"#,
            ),
            (
                read_as(Some(0)),
                r#"{"at_ms":0,"connected":true,"read_as":{"format":"rev","offset_ms":0,"names":true,"lang":"en","wall_start":"1970-01-01T00:00:00.000Z"}}"#,
            ),
            (
                read_as(None),
                r#"{"at_ms":0,"connected":true,"read_as":{"format":"rev","names":true,"lang":"en","wall_start":"1970-01-01T00:00:00.000Z"}}"#,
            ),
        ] {
            assert_eq!(row.encode().trim_end(), json);
            assert_eq!(serde_json::from_str::<RecordingRow>(json).expect("decodes"), row);
        }
    }
}
