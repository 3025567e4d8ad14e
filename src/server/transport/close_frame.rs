//! The close frame of a WebSocket.

use std::borrow::Cow;

use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as RawCode;

/// Bytes of the reason in a close frame: a control frame has at most 125, of which the code takes two (RFC 6455, sections
/// 5.5 and 5.5.1).
const REASON_BYTES_MAX: usize = 123;

/// Returns the frame that closes a WebSocket with `code` and as much of `reason` as fits.
pub(super) fn close_frame(code: u16, reason: &str) -> CloseFrame {
    CloseFrame { code: RawCode::from(code), reason: (*shortened(reason)).into() }
}

/// Shortens a reason to fit into a close frame: it then ends with a whole word and `…`.
fn shortened(reason: &str) -> Cow<'_, str> {
    const ELLIPSIS: &str = " …";
    if reason.len() <= REASON_BYTES_MAX {
        return reason.into();
    }
    let cut = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX - ELLIPSIS.len())];
    // A single long word, such as a name, is cut within the word.
    let cut = cut.rsplit_once(' ').map_or(cut, |(whole, part)| if part.len() < cut.len() / 2 { whole } else { cut });
    format!("{}{ELLIPSIS}", cut.trim_end_matches([' ', ',', ':', ';', '('])).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_ends_with_a_whole_word() {
        assert_eq!(shortened("no such feed"), "no such feed");
        let whole = "a".repeat(REASON_BYTES_MAX);
        assert_eq!(shortened(&whole), whole);
        let words = format!("{}: twelve-letter words", "word ".repeat(22).trim_end());
        assert_eq!(shortened(&words), format!("{} …", "word ".repeat(22).trim_end()));
        // A single long word is cut at a character boundary.
        let name = format!("no feed is called {}", "é".repeat(100));
        let cut = shortened(&name);
        assert!(
            cut.len() <= REASON_BYTES_MAX && cut.starts_with("no feed is called éé") && cut.ends_with("é …"),
            "{cut}"
        );
    }
}
