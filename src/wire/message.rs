//! An outgoing message: encoded and framed once, and shared as the same bytes by all its receivers.
//!
//! A server's frames are not masked (RFC 6455, section 5.1), so that nothing in them depends on the receiver. The
//! header is directly before the body; transports with another framing use the body alone.

use bytes::Bytes;
use serde::Serialize;

use crate::position::Cursor;

/// The longest header of a frame without a mask: two bytes and an eight-byte length (RFC 6455, section 5.2).
const HEADER_BYTES_MAX: usize = 10;
/// First byte of a final text frame (RFC 6455, section 5.2).
const FINAL_TEXT: u8 = 0x81;

/// A text message with its WebSocket frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    frame: Bytes,
    body_at: usize,
    cursor: Option<Cursor>,
}

impl Message {
    /// Encodes `message` as JSON and frames it. `cursor` is the position after it, if it has one.
    pub(super) fn new(message: &impl Serialize, cursor: Option<Cursor>) -> Self {
        let mut bytes = vec![0; HEADER_BYTES_MAX];
        serde_json::to_writer(&mut bytes, message).expect("a message has no map with odd keys");
        let len = bytes.len() - HEADER_BYTES_MAX;
        let mut header = [FINAL_TEXT, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let body_at = match (u8::try_from(len), u16::try_from(len)) {
            (Ok(len @ ..126), _) => {
                header[1] = len;
                2
            }
            (_, Ok(len)) => {
                header[1] = 126;
                header[2..4].copy_from_slice(&len.to_be_bytes());
                4
            }
            _ => {
                header[1] = 127;
                header[2..].copy_from_slice(&(len as u64).to_be_bytes());
                HEADER_BYTES_MAX
            }
        };
        let from = HEADER_BYTES_MAX - body_at;
        bytes[from..HEADER_BYTES_MAX].copy_from_slice(&header[..body_at]);
        // It may be cached for a while, for other readers that reach the same position.
        bytes.shrink_to_fit();
        Self { frame: Bytes::from(bytes).slice(from..), body_at, cursor }
    }

    /// Returns header and body.
    #[must_use]
    pub fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// Returns the body, without copying.
    #[must_use]
    pub fn shared_body(&self) -> Bytes {
        self.frame.slice(self.body_at..)
    }

    /// Returns the reader's position after this message; `None` if the message changes no position, such as a part of a
    /// change that more parts follow.
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// Returns the body: JSON in UTF-8.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.frame[self.body_at..]
    }
}

/// Returns the length of `item` as JSON, in bytes.
pub(in crate::wire) fn encoded_len(item: &impl Serialize) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, item).expect("counting does not fail");
    count.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_written_as_short_as_it_can_be() {
        for (text, header) in [
            (123, vec![0x81, 125]),
            (124, vec![0x81, 126, 0, 126]),
            (65_533, vec![0x81, 126, 0xff, 0xff]),
            (65_534, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let message = Message::new(&"x".repeat(text), None);
            assert_eq!(message.frame()[..header.len()], header, "{text}");
            assert_eq!(message.body(), format!("\"{}\"", "x".repeat(text)).as_bytes());
            assert_eq!(message.frame().len(), header.len() + text + 2);
        }
    }
}
