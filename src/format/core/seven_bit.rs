//! Chinese and Korean in seven bits, which the Encoding Standard no longer decodes: HZ (RFC 1843) and ISO-2022-KR (RFC
//! 1557). Between shifts, two bytes are one character of GB 2312 or KS X 1001, as in GBK and EUC-KR without the high
//! bit; all else is ASCII. A line ends in ASCII.
//!
//! Such a text is valid ASCII, so only its shifts show what it is. That is a guess, which the caller reports.

use encoding_rs::{EUC_KR, Encoding, GBK};

/// A seven-bit encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SevenBit {
    /// HZ: the shifts are `~{` and `~}`, `~~` is a tilde, and a tilde at the end of a line continues the line.
    Hz,
    /// ISO-2022-KR: `ESC $ ) C` once, and then shift out and shift in.
    Iso2022Kr,
}

/// The escape that designates the character set of ISO-2022-KR.
const KR_DESIGNATION: &[u8] = b"\x1B$)C";
const SHIFT_OUT: u8 = 0x0E;
const SHIFT_IN: u8 = 0x0F;

/// The meaning of a byte that is not a character by itself.
enum EscapeStep {
    /// Switches to two bytes a character, or back to one.
    Shift {
        is_double: bool,
    },
    Nothing,
    Ascii(u8),
    Bad,
}

impl SevenBit {
    pub(crate) fn of_name(lower: &str) -> Option<Self> {
        match lower {
            "hz" | "hz-gb-2312" | "hzgb2312" => Some(Self::Hz),
            "iso-2022-kr" | "csiso2022kr" => Some(Self::Iso2022Kr),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hz => "HZ-GB-2312",
            Self::Iso2022Kr => "ISO-2022-KR",
        }
    }

    /// Detects an encoding in an ASCII text, if all of its shifts are valid and lead to characters. Returns it with the
    /// position of the first shift and the decoded text.
    pub(crate) fn detect(bytes: &[u8]) -> Option<(Self, usize, String)> {
        let find = |shift: &[u8]| bytes.windows(shift.len()).position(|window| window == shift);
        let charset = if find(KR_DESIGNATION).is_some() { Self::Iso2022Kr } else { Self::Hz };
        let first = match charset {
            Self::Hz => find(b"~{")?,
            Self::Iso2022Kr => find(&[SHIFT_OUT])?,
        };
        if charset == Self::Hz && !has_chinese_of_hz(bytes) {
            return None;
        }
        let (text, is_repaired) = charset.decode(bytes);
        // Unassigned code points are decoded to private-use characters.
        let is_assigned = |c: char| !matches!(c, '\u{E000}'..='\u{F8FF}');
        let is_one = !is_repaired && !text.is_ascii() && text.chars().all(is_assigned);
        is_one.then_some((charset, first, text))
    }

    /// Decodes `bytes`. The flag is true if some of them were invalid and became U+FFFD.
    pub(crate) fn decode(self, bytes: &[u8]) -> (String, bool) {
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
                EscapeStep::Shift { is_double: to } => is_double = to,
                EscapeStep::Nothing => {}
                EscapeStep::Ascii(byte) => {
                    // A line that ends without the shift back is damaged.
                    is_repaired |= is_double && byte == b'\n';
                    is_double &= byte != b'\n';
                    text.push(char::from(byte));
                }
                EscapeStep::Bad => {
                    is_repaired = true;
                    text.push(char::REPLACEMENT_CHARACTER);
                }
            }
        }
        (text, is_repaired || is_double)
    }

    /// The step at the head of `bytes`, and its length in bytes.
    fn step(self, bytes: &[u8]) -> (EscapeStep, usize) {
        let step = match (self, bytes) {
            (Self::Hz, [b'~', b'~', ..]) => return (EscapeStep::Ascii(b'~'), 2),
            (Self::Hz, [b'~', b'{', ..]) => return (EscapeStep::Shift { is_double: true }, 2),
            (Self::Hz, [b'~', b'}', ..]) => return (EscapeStep::Shift { is_double: false }, 2),
            (Self::Hz, [b'~', b'\n', ..]) => return (EscapeStep::Nothing, 2),
            (Self::Hz, [b'~', b'\r', b'\n', ..]) => return (EscapeStep::Nothing, 3),
            (Self::Hz, [b'~', ..]) => EscapeStep::Bad,
            (Self::Iso2022Kr, [b'\x1B', b'$', b')', b'C', ..]) => return (EscapeStep::Nothing, KR_DESIGNATION.len()),
            (Self::Iso2022Kr, [SHIFT_OUT, ..]) => EscapeStep::Shift { is_double: true },
            (Self::Iso2022Kr, [SHIFT_IN, ..]) => EscapeStep::Shift { is_double: false },
            (Self::Iso2022Kr, [b'\x1B', ..]) => EscapeStep::Bad,
            (_, [byte, ..]) if byte.is_ascii() => EscapeStep::Ascii(*byte),
            _ => EscapeStep::Bad,
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

/// Returns true if the text between the shifts of HZ is Chinese, and not words of a text that uses such signs: three in
/// four pairs of bytes are common characters (rows 0x21 to 0x57 of GB 2312, which lower-case letters never reach), and
/// not all bytes could be those of a variable's name.
fn has_chinese_of_hz(bytes: &[u8]) -> bool {
    let (mut pairs, mut common, mut has_other, mut rest) = (0, 0, false, bytes);
    while let Some(at) = rest.windows(2).position(|two| two == b"~{") {
        rest = &rest[at + 2..];
        let Some(end) = rest.windows(2).position(|two| two == b"~}") else { return false };
        let (inside, behind) = rest.split_at(end);
        if inside.len() % 2 > 0 || !inside.iter().all(|byte| (0x21..=0x7E).contains(byte)) {
            return false;
        }
        pairs += inside.len() / 2;
        common += inside.chunks_exact(2).filter(|pair| pair[0] <= 0x57).count();
        has_other |= !inside.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        rest = behind;
    }
    pairs > 0 && common * 4 >= pairs * 3 && has_other
}

/// Returns true for UTF-7 without a mark: each plus sign begins a run of base64 that decodes to UTF-16 beyond ASCII, or
/// stands for itself, and there are at least two such runs, or one of Latin letters. `C+ABC` and `1+1` are no such
/// runs.
fn is_unmarked_utf7(bytes: &[u8]) -> bool {
    const MOST_BYTES: usize = 1000;
    let (mut runs, mut is_latin, mut rest) = (0, false, bytes);
    while let Some(at) = rest.iter().position(|byte| *byte == b'+') {
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix(b"-") {
            rest = behind;
            continue;
        }
        let digit = |byte: &u8| match byte {
            b'A'..=b'Z' => Some(byte - b'A'),
            b'a'..=b'z' => Some(byte - b'a' + 26),
            b'0'..=b'9' => Some(byte - b'0' + 52),
            b'+' => Some(62),
            b'/' => Some(63),
            _ => None,
        };
        let digits: Vec<u32> = rest.iter().take(MOST_BYTES).map_while(digit).map(u32::from).collect();
        let (mut units, mut bits, mut count) = (Vec::new(), 0_u32, 0);
        for digit in &digits {
            (bits, count) = (bits << 6 | digit, count + 6);
            if count >= 16 {
                count -= 16;
                units.push((bits >> count) as u16);
                bits &= (1 << count) - 1;
            }
        }
        let is_one = !units.is_empty() && count < 6 && bits == 0;
        let text: Result<String, _> = char::decode_utf16(units).collect();
        // A phone number is no text, whatever it decodes to.
        let is_number = digits.iter().all(|digit| (52..62).contains(digit));
        let is_text = |c: char| c >= '\u{A0}' && !matches!(c, '\u{E000}'..='\u{F8FF}');
        let Some(text) = text.ok().filter(|text| is_one && !is_number && text.chars().all(is_text)) else {
            return false;
        };
        runs += 1;
        is_latin |= text.chars().all(|c| c < '\u{250}' && c.is_alphabetic());
        rest = &rest[digits.len()..];
    }
    runs > 1 || runs == 1 && is_latin
}

/// Returns the name of a seven-bit encoding that is recognised by its escapes, its mark or its runs of base64, but not
/// decoded: ISO-2022-CN (RFC 1922), UTF-7 (RFC 2152).
pub(crate) fn undecoded(bytes: &[u8]) -> Option<&'static str> {
    let has = |escape: &[u8]| bytes.windows(escape.len()).any(|window| window == escape);
    if has(b"\x1B$)A") || has(b"\x1B$)G") || has(b"\x1B$)E") {
        return Some("ISO-2022-CN");
    }
    let is_marked = bytes.starts_with(b"+/v") && matches!(bytes.get(3), Some(b'8' | b'9' | b'+' | b'/'));
    (is_marked || is_unmarked_utf7(bytes)).then_some("UTF-7")
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
        assert_eq!(SevenBit::detect(b"a\n~{<:~}"), Some((SevenBit::Hz, 2, "a\n\u{5df1}".to_owned())));
        for ascii in [
            "a ~{",
            "~{}~",
            "~{~}",
            "~{<:~} but ~so",
            "~{<:",
            "~{V~}",
            "about ~20 people",
            "a\x0ebc\x0f",
            // Template syntax of a program, in plain words.
            "He wrote ~{hi~} there, and ~{none~} here.",
            "The sign ~{ AB ~} and ~{CD~} of it",
            "~{NAME~}, ~{TEXT~} and ~{PLACE1~}",
            "~{a ~{b~} c~}",
            "~{it's~} so, ~{don't!~}",
        ] {
            assert_eq!(SevenBit::detect(ascii.as_bytes()), None, "{ascii}");
        }
    }

    #[test]
    fn utf7_without_its_mark_is_known_by_all_of_its_runs() {
        for text in
            ["Gr+APwA3w-e f+APw-r alle", "Caf+AOk.", "+BBQEPgQxBEAESwQ5- +BDQENQQ9BEw-, 1 +- 1", "+T2BZfQ-, +T2A-."]
        {
            assert_eq!(undecoded(text.as_bytes()), Some("UTF-7"), "{text}");
        }
        for text in [
            "1+1 is 2, and a + b",
            "C+ABC- is a vitamin",
            "Ann+Ben-Carl",
            "google+account",
            "+-",
            "+4912345678 and +4912345679",
            "+49123456 and +49123457",
            "https://example.org/?q=a+b+c",
            "Gr+APwA3w-e and 1+1",
            "+T2BZfQ- alone may be a key",
            "C++ and A+",
        ] {
            assert_eq!(undecoded(text.as_bytes()), None, "{text}");
        }
    }
}
