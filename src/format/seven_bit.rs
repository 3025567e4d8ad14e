//! Chinese and Korean in seven bits, which the Encoding Standard does not decode any more: HZ (RFC 1843) and ISO-2022-KR
//! (RFC 1557). Between shifts two bytes are one character, of GB 2312 or KS X 1001, as they are in GBK and EUC-KR with the
//! high bit set; all else is ASCII. A line ends in ASCII.
//!
//! Such a text is ASCII, so that it is known by its shifts alone: a guess, which its caller tells.

use encoding_rs::{EUC_KR, Encoding, GBK};

/// An encoding of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SevenBit {
    /// HZ: `~{` and `~}` are its shifts, `~~` is a tilde, and a tilde at the end of a line has it go on.
    Hz,
    /// ISO-2022-KR: `ESC $ ) C` once, and then shift out and shift in.
    Iso2022Kr,
}

/// Which set of characters ISO-2022-KR shifts to.
const KR_DESIGNATION: &[u8] = b"\x1B$)C";
const SHIFT_OUT: u8 = 0x0E;
const SHIFT_IN: u8 = 0x0F;

/// What stands behind a byte that is no character by itself.
enum Step {
    /// Two bytes a character from here on, or one.
    Shift {
        is_double: bool,
    },
    Nothing,
    Ascii(u8),
    Bad,
}

impl SevenBit {
    pub(super) fn of_name(lower: &str) -> Option<Self> {
        match lower {
            "hz" | "hz-gb-2312" | "hzgb2312" => Some(Self::Hz),
            "iso-2022-kr" | "csiso2022kr" => Some(Self::Iso2022Kr),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hz => "HZ-GB-2312",
            Self::Iso2022Kr => "ISO-2022-KR",
        }
    }

    /// The encoding of a text in ASCII whose shifts all make sense and shift to characters; where the first shift stands, and
    /// the text.
    pub(super) fn detect(bytes: &[u8]) -> Option<(Self, usize, String)> {
        let find = |shift: &[u8]| bytes.windows(shift.len()).position(|window| window == shift);
        let charset = if find(KR_DESIGNATION).is_some() { Self::Iso2022Kr } else { Self::Hz };
        let first = match charset {
            Self::Hz => find(b"~{")?,
            Self::Iso2022Kr => find(&[SHIFT_OUT])?,
        };
        let (text, is_repaired) = charset.decode(bytes);
        // What nobody has assigned is decoded to private characters.
        let is_assigned = |c: char| !matches!(c, '\u{E000}'..='\u{F8FF}');
        let is_one = !is_repaired && !text.is_ascii() && text.chars().all(is_assigned);
        is_one.then_some((charset, first, text))
    }

    /// The text of `bytes`; true where some of them are nothing in this encoding, and U+FFFD now.
    pub(super) fn decode(self, bytes: &[u8]) -> (String, bool) {
        let (mut text, mut is_repaired) = (String::with_capacity(bytes.len()), false);
        let (mut is_double, mut rest) = (false, bytes);
        while let Some(&byte) = rest.first() {
            if is_double && (0x21..=0x7E).contains(&byte) && !(self == Self::Hz && rest.starts_with(b"~}")) {
                let pair = rest.get(1).and_then(|second| self.character(byte, *second));
                rest = &rest[if pair.is_some() { 2 } else { 1 }..];
                is_repaired |= pair.is_none();
                text.push(pair.unwrap_or(char::REPLACEMENT_CHARACTER));
                continue;
            }
            let (step, length) = self.step(rest);
            rest = &rest[length..];
            match step {
                Step::Shift { is_double: to } => is_double = to,
                Step::Nothing => {}
                Step::Ascii(byte) => {
                    // A line that ends without its shift back has lost something.
                    is_repaired |= is_double && byte == b'\n';
                    is_double &= byte != b'\n';
                    text.push(char::from(byte));
                }
                Step::Bad => {
                    is_repaired = true;
                    text.push(char::REPLACEMENT_CHARACTER);
                }
            }
        }
        (text, is_repaired || is_double)
    }

    /// What stands at the head of `bytes`, and how many of them it is.
    fn step(self, bytes: &[u8]) -> (Step, usize) {
        let step = match (self, bytes) {
            (Self::Hz, [b'~', b'~', ..]) => return (Step::Ascii(b'~'), 2),
            (Self::Hz, [b'~', b'{', ..]) => return (Step::Shift { is_double: true }, 2),
            (Self::Hz, [b'~', b'}', ..]) => return (Step::Shift { is_double: false }, 2),
            (Self::Hz, [b'~', b'\n', ..]) => return (Step::Nothing, 2),
            (Self::Hz, [b'~', b'\r', b'\n', ..]) => return (Step::Nothing, 3),
            (Self::Hz, [b'~', ..]) => Step::Bad,
            (Self::Iso2022Kr, [b'\x1B', b'$', b')', b'C', ..]) => return (Step::Nothing, KR_DESIGNATION.len()),
            (Self::Iso2022Kr, [SHIFT_OUT, ..]) => Step::Shift { is_double: true },
            (Self::Iso2022Kr, [SHIFT_IN, ..]) => Step::Shift { is_double: false },
            (Self::Iso2022Kr, [b'\x1B', ..]) => Step::Bad,
            (_, [byte, ..]) if byte.is_ascii() => Step::Ascii(*byte),
            _ => Step::Bad,
        };
        (step, 1)
    }

    fn character(self, first: u8, second: u8) -> Option<char> {
        let encoding: &'static Encoding = match self {
            Self::Hz => GBK,
            Self::Iso2022Kr => EUC_KR,
        };
        let pair = [first | 0x80, second | 0x80];
        let (text, is_damaged) = encoding.decode_without_bom_handling(&pair);
        let mut chars = text.chars();
        (!is_damaged && (0x21..=0x7E).contains(&second))
            .then(|| chars.next())
            .flatten()
            .filter(|_| chars.next().is_none())
    }
}

/// The name of an encoding in seven bits that is known by its escapes or its mark, and not decoded: ISO-2022-CN (RFC 1922),
/// UTF-7 (RFC 2152).
pub(super) fn undecoded(bytes: &[u8]) -> Option<&'static str> {
    let has = |escape: &[u8]| bytes.windows(escape.len()).any(|window| window == escape);
    if has(b"\x1B$)A") || has(b"\x1B$)G") || has(b"\x1B$)E") {
        return Some("ISO-2022-CN");
    }
    let is_utf7 = bytes.starts_with(b"+/v") && matches!(bytes.get(3), Some(b'8' | b'9' | b'+' | b'/'));
    is_utf7.then_some("UTF-7")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_as_a_table() {
        for (charset, bytes, text, is_repaired) in [
            (SevenBit::Hz, "~{VPND~}", "\u{4e2d}\u{6587}", false),
            (SevenBit::Hz, "a ~~ b~\nc~\r\nd", "a ~ bcd", false),
            (SevenBit::Hz, "~{VP\nab", "\u{4e2d}\nab", true),
            (SevenBit::Hz, "~{VPN\na", "\u{4e2d}\u{fffd}\na", true),
            (SevenBit::Hz, "~{VP", "\u{4e2d}", true),
            (SevenBit::Hz, "~x ~", "\u{fffd}x \u{fffd}", true),
            (SevenBit::Iso2022Kr, "\x1b$)C\x0e>H3g\x0f?\n\x0e>H\x0f", "\u{c548}\u{b155}?\n\u{c548}", false),
            (SevenBit::Iso2022Kr, "\x1b(B\x0e>H\n>H", "\u{fffd}(B\u{c548}\n>H", true),
        ] {
            assert_eq!(charset.decode(bytes.as_bytes()), (text.to_owned(), is_repaired), "{bytes:?}");
        }
        let (text, is_repaired) = SevenBit::Hz.decode(b"a\xE9b");
        assert_eq!((&*text, is_repaired), ("a\u{fffd}b", true));
    }

    #[test]
    fn only_what_is_sound_as_a_whole_is_known_by_its_shifts() {
        assert_eq!(SevenBit::detect(b"a\n~{VP~}"), Some((SevenBit::Hz, 2, "a\n\u{4e2d}".to_owned())));
        for ascii in ["a ~{", "~{}~", "~{~}", "~{VP~} but ~so", "~{VP", "~{V~}", "about ~20 people", "a\x0ebc\x0f"] {
            assert_eq!(SevenBit::detect(ascii.as_bytes()), None, "{ascii}");
        }
    }
}
