//! WebSocket frames, as far as a measurement needs them: writes a client's, reads a server's in pieces of any size
//! without a copy; and what a minimal server needs.
//!
//! Nothing is negotiated: no extension, so no compression, and no reserved bit.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// Opcodes (RFC 6455, section 5.2).
pub(super) const TEXT: u8 = 1;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

/// Longest payload of a control frame (RFC 6455, section 5.5).
const CONTROL_BYTES_MAX: usize = 125;

/// Key in a client's handshake. It proves nothing about the client, so all send the same.
const KEY: &str = "x3JJHMbDL1EzLkh9GBhXDw==";

/// Returns a client's handshake request.
pub(super) fn request(host: &str, path: &str, token: Option<&str>) -> Vec<u8> {
    let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{bearer}\r\n"
    )
    .into_bytes()
}

/// Returns the server's `Sec-WebSocket-Accept` for `key`.
pub(super) fn accept(key: &str) -> String {
    STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")))
}

/// Returns true if `head`, the head of a server's response, accepts the handshake of [`request`].
pub(super) fn is_accepted(head: &str) -> bool {
    head.starts_with("HTTP/1.1 101 ") && head.contains(&accept(KEY))
}

/// Returns the end of a request's or response's head, after its blank line.
pub(super) fn head_end(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// Appends a client's frame, masked with `mask`.
pub(super) fn write_masked(opcode: u8, payload: &[u8], mask: u32, out: &mut Vec<u8>) {
    write_head(opcode, payload.len(), 0x80, out);
    let mask = mask.to_be_bytes();
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// Appends a server's frame.
pub(super) fn write_plain(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    write_head(opcode, payload.len(), 0, out);
    out.extend_from_slice(payload);
}

fn write_head(opcode: u8, length: usize, mask_bit: u8, out: &mut Vec<u8>) {
    out.push(0x80 | opcode);
    match length {
        0..126 => out.push(mask_bit | length as u8),
        126..65_536 => {
            out.push(mask_bit | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(mask_bit | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// Head of a frame.
struct FrameHead {
    opcode: u8,
    /// True if no reserved bit is set, and the frame is masked or not as required.
    is_sound: bool,
    bytes: usize,
    payload: u64,
    mask: [u8; 4],
}

impl FrameHead {
    /// Reads the head at the start of `bytes`; `None` if it is incomplete.
    fn read(bytes: &[u8], is_masked: bool) -> Option<Self> {
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        let (length_end, payload) = match second & 0x7f {
            126 => (4, u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
            127 => (10, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)),
            short => (2, u64::from(short)),
        };
        let mask = if is_masked { *bytes.get(length_end..)?.first_chunk()? } else { [0; 4] };
        Some(Self {
            opcode: first & 0x0f,
            is_sound: first & 0x70 == 0 && (second & 0x80 != 0) == is_masked,
            bytes: length_end + if is_masked { 4 } else { 0 },
            payload,
            mask,
        })
    }
}

/// A complete frame of a client.
#[derive(Debug)]
pub(super) struct ClientFrame {
    pub(super) opcode: u8,
    /// Position of its payload, which is unmasked already.
    pub(super) payload: std::ops::Range<usize>,
}

/// Unmasks the client's frame at the start of `bytes`. `Ok(None)` if it is incomplete; an error if it is no such frame,
/// or longer than `longest`.
pub(super) fn unmask(bytes: &mut [u8], longest: usize) -> Result<Option<ClientFrame>, &'static str> {
    let Some(head) = FrameHead::read(bytes, true) else { return Ok(None) };
    if !head.is_sound {
        return Err("this is no frame of a client");
    }
    let length = usize::try_from(head.payload).ok().filter(|length| *length <= longest).ok_or("too long a frame")?;
    let Some(payload) = bytes.get_mut(head.bytes..head.bytes + length) else { return Ok(None) };
    for (byte, mask) in payload.iter_mut().zip(head.mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok(Some(ClientFrame { opcode: head.opcode, payload: head.bytes..head.bytes + length }))
}

/// Reads a server's frames from a stream of bytes.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    /// The beginning of an incomplete head.
    head: Vec<u8>,
    opcode: u8,
    /// Bytes of the payload that are still to come; `None` before a head.
    left: Option<u64>,
    /// The payload of a control frame so far.
    control: Vec<u8>,
}

/// Piece of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum StreamPiece<'a> {
    /// Payload of a message, or a part of it.
    Data(&'a [u8]),
    /// End of a frame with payload.
    End,
    /// A complete control frame: its opcode and payload.
    Control(u8, &'a [u8]),
}

impl FrameReader {
    /// Reads the next bytes, and passes the pieces in them to `on_piece`.
    pub(super) fn take(
        &mut self,
        mut bytes: &[u8],
        mut on_piece: impl FnMut(StreamPiece<'_>),
    ) -> Result<(), &'static str> {
        loop {
            let Some(left) = self.left else {
                match self.begin(bytes)? {
                    Some(used) => bytes = &bytes[used..],
                    None => return Ok(()),
                }
                continue;
            };
            let (payload, rest) = bytes.split_at(usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len()));
            bytes = rest;
            let left = left - payload.len() as u64;
            let is_control = self.opcode & 8 != 0;
            if is_control {
                self.control.extend_from_slice(payload);
            } else if !payload.is_empty() {
                on_piece(StreamPiece::Data(payload));
            }
            if left > 0 {
                self.left = Some(left);
                return Ok(());
            }
            self.left = None;
            if is_control {
                on_piece(StreamPiece::Control(self.opcode, &self.control));
                self.control.clear();
            } else {
                on_piece(StreamPiece::End);
            }
        }
    }

    /// Reads a head; returns the number of `bytes` that it took, or `None` if it is incomplete.
    fn begin(&mut self, bytes: &[u8]) -> Result<Option<usize>, &'static str> {
        /// The longest head of a server's frame.
        const HEAD_BYTES_MAX: usize = 10;
        let (before, joined);
        // Only a head that was cut is copied.
        let head = if self.head.is_empty() {
            before = 0;
            FrameHead::read(bytes, false)
        } else {
            before = self.head.len();
            joined = [&self.head, &bytes[..bytes.len().min(HEAD_BYTES_MAX)]].concat();
            FrameHead::read(&joined, false)
        };
        let Some(head) = head else {
            self.head.extend_from_slice(bytes);
            return Ok(None);
        };
        if !head.is_sound || (head.opcode & 8 != 0 && head.payload > CONTROL_BYTES_MAX as u64) {
            return Err("this is no frame of a server");
        }
        self.head.clear();
        (self.opcode, self.left) = (head.opcode, Some(head.payload));
        Ok(Some(head.bytes - before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_is_that_of_the_standard() {
        // RFC 6455, 1.3.
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let answer = format!("HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: {}\r\n\r\n", accept(KEY));
        assert!(is_accepted(&answer));
        assert!(!is_accepted("HTTP/1.1 101 Switching Protocols\r\n\r\n"));
        assert!(!is_accepted(&answer.replace("101", "200")));
        assert_eq!(head_end(answer.as_bytes()), Some(answer.len()));
        let request = String::from_utf8(request("h:1", "/p", Some("t"))).expect("UTF-8");
        assert!(request.starts_with("GET /p HTTP/1.1\r\nHost: h:1\r\n") && request.contains("Bearer t\r\n\r\n"));
    }

    /// Payloads whose heads have every form.
    fn payloads() -> Vec<Vec<u8>> {
        vec![b"hi".to_vec(), vec![], vec![b'x'; 125], vec![b'y'; 300], b"end".to_vec(), vec![b'z'; 70_000]]
    }

    #[test]
    fn frames_are_the_same_however_they_are_cut() {
        let mut bytes = Vec::new();
        for payload in payloads() {
            write_plain(TEXT, &payload, &mut bytes);
            write_plain(PING, b"are you there", &mut bytes);
        }
        for length in [1, 2, 3, 5, 7, 9, 11, 64, 301, bytes.len()] {
            let (mut reader, mut found, mut message, mut pings) = (FrameReader::default(), Vec::new(), Vec::new(), 0);
            for piece in bytes.chunks(length) {
                let taken = reader.take(piece, |piece| match piece {
                    StreamPiece::Data(data) => message.extend_from_slice(data),
                    StreamPiece::End => found.push(std::mem::take(&mut message)),
                    StreamPiece::Control(opcode, payload) => {
                        assert_eq!((opcode, payload), (PING, &b"are you there"[..]));
                        pings += 1;
                    }
                });
                taken.expect("frames");
            }
            assert_eq!((found, pings), (payloads(), payloads().len()), "in pieces of {length}");
        }
    }

    #[test]
    fn a_clients_frames_are_unmasked() {
        let mut bytes = Vec::new();
        payloads().iter().for_each(|payload| write_masked(TEXT, payload, 0x1234_5678, &mut bytes));
        let mut at = 0;
        for wanted in payloads() {
            for cut in [0, 1, 5] {
                let mut part = bytes[at..at + cut].to_vec();
                assert!(unmask(&mut part, 70_000).expect("a frame").is_none(), "{cut}");
            }
            let frame = unmask(&mut bytes[at..], 70_000).expect("a frame").expect("the whole of it");
            assert_eq!((frame.opcode, &bytes[at..][frame.payload.clone()]), (TEXT, wanted.as_slice()));
            at += frame.payload.end;
        }
        assert_eq!(at, bytes.len());
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let refused = |bytes: &[u8]| FrameReader::default().take(bytes, |_| {}).is_err();
        assert!(refused(&[0x81, 0x80, 0, 0, 0, 0]), "a server masks nothing");
        assert!(refused(&[0xc1, 0]), "nobody agreed on compression");
        assert!(refused(&[0x89, 126, 1, 0]), "a ping is short");
        assert!(unmask(&mut [0x81, 0], 10).is_ok_and(|frame| frame.is_none()));
        assert!(unmask(&mut [0x81, 0, 0, 0, 0, 0], 10).is_err(), "a client masks everything");
        assert!(unmask(&mut [0x81, 0x80 | 11, 0, 0, 0, 0], 10).is_err(), "too long");
    }
}
