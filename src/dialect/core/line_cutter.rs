//! Splits a stream of bytes into lines.

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};

/// Longest line, in bytes; a longer one is split there, because it is no caption.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// Splits a stream of bytes into lines, independently of frame boundaries.
#[derive(Debug, Default)]
pub(crate) struct LineCutter {
    open: Vec<u8>,
}

impl LineCutter {
    /// Calls `take` with every line that ends in `bytes`.
    pub(crate) fn cut(&mut self, bytes: &[u8], out: &mut Decoded, mut take: impl FnMut(&str, &mut Decoded)) {
        for byte in bytes {
            if *byte != b'\n' {
                self.open.push(*byte);
            }
            if *byte == b'\n' || self.open.len() == LINE_BYTES_MAX {
                self.end(out, &mut take);
            }
        }
    }

    /// Ends the stream: the remaining bytes are the last line.
    pub(crate) fn end(&mut self, out: &mut Decoded, mut take: impl FnMut(&str, &mut Decoded)) {
        let line = std::mem::take(&mut self.open);
        let text = String::from_utf8_lossy(&line);
        if matches!(text, std::borrow::Cow::Owned(_)) {
            out.fault(DecodeFaultKind::Odd, "bytes that are not UTF-8 were replaced by U+FFFD");
        }
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
        if !text.trim().is_empty() {
            take(text, out);
        }
    }
}
