//! Decoding of bytes to text: byte order marks, UTF-16 and UTF-32 with and without them, XML declarations, and for the
//! rest a guess among the legacy code pages.
//!
//! A file that says it is UTF-8, or is mostly valid UTF-8, is read as UTF-8: invalid bytes become U+FFFD, and each line
//! with such a place is reported. A guess is always reported, and can be overruled: [`TextEncoding`]. Zero bytes
//! outside of UTF-16 and UTF-32 are read as U+FFFD if they are few and all else is text. Otherwise the file is no text.
//!
//! Seven-bit encodings look like ASCII and are recognised by their escapes ([`super::seven_bit`]). Byte order marks at
//! the head of a text are not part of it, however many there are.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::format::core::error::FormatError;
use crate::format::core::reading::FileProblem;
use crate::format::core::seven_bit::{self, SevenBit};
use crate::format::text::text_lines::{excerpt, numbered};

/// Bytes to look at: enough for a pattern of zero bytes, or an XML declaration.
const SNIFFED: usize = 4096;

/// The words for characters that do not belong in a text.
pub(crate) const IS_NO_CHARACTER: &str = "invalid bytes or control characters";

/// The message for a place with U+FFFD in it.
pub(crate) const NO_CHARACTER: &str = "invalid bytes or control characters were replaced by U+FFFD";

/// Replaces the control characters of `text` that are neither spoken nor shown by U+FFFD. Tabs, line ends and page
/// breaks stay.
pub(crate) fn without_controls(text: &str) -> Cow<'_, str> {
    if text.contains(is_control) { Cow::Owned(text.replace(is_control, "\u{FFFD}")) } else { Cow::Borrowed(text) }
}

fn is_control(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{B}' | '\u{E}'..='\u{1F}' | '\u{7F}')
}

fn is_damage(c: char) -> bool {
    c == char::REPLACEMENT_CHARACTER || is_control(c)
}

/// Removes invalid and control characters from `line`. Returns `None` if it has none.
pub(crate) fn without_damage(line: &str) -> Option<String> {
    line.contains(is_damage).then(|| line.replace(is_damage, ""))
}

/// Removes invalid and control characters from the lines of `text` that hold times. `is_one` gets a line as it stands
/// and the line without those characters, and returns true if it is such a line. Also returns the numbers of the
/// changed lines, from 1.
pub(crate) fn with_plain_times(text: &str, is_one: impl Fn(&str, &str) -> bool) -> (Cow<'_, str>, Vec<usize>) {
    let mut repaired = Vec::new();
    if !text.contains(is_damage) {
        return (Cow::Borrowed(text), repaired);
    }
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for (at, line) in numbered(text).filter(|(_, line)| line.contains(is_damage)) {
        let plain = line.replace(is_damage, "");
        if is_one(line, &plain) {
            let begin = line.as_ptr() as usize - text.as_ptr() as usize;
            out.extend([&text[from..begin], &plain]);
            from = begin + line.len();
            repaired.push(at);
        }
    }
    out.push_str(&text[from..]);
    (Cow::Owned(out), repaired)
}

/// The message for zero bytes in an otherwise sound text.
pub(crate) const ZERO_BYTES: &str = "a zero byte (NUL) is read as U+FFFD, here and wherever it stands";

/// Returns `bytes` without the zero bytes at their end, and a problem that reports them. Recorders leave them as unused
/// room, and crashes in the last block. In encodings of two or four bytes, the last character stays whole.
pub(crate) fn without_zero_tail(bytes: &[u8], encoding: Option<TextEncoding>) -> (&[u8], Option<FileProblem>) {
    let said = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    if said == 0 || said == bytes.len() {
        return (bytes, None);
    }
    let unit = match marked(bytes).map(|(charset, _)| TextEncoding(charset)).or(encoding) {
        Some(encoding) if encoding.name().starts_with("UTF-32") => 4,
        Some(encoding) if encoding.name().starts_with("UTF-16") => 2,
        Some(_) => 1,
        // The last character of the text belongs to the pattern of zero bytes.
        None => by_zeros(&bytes[..said]).map_or(1, |(_, unit)| unit),
    };
    let end = said.next_multiple_of(unit).min(bytes.len());
    let count = bytes.len() - end;
    if count == 0 {
        return (bytes, None);
    }
    let (line, column) = place(bytes, end);
    let are = if count == 1 { "byte at the end of the file is" } else { "bytes at the end of the file are" };
    let message = format!(
        "{count} zero {are} left out, from byte {end} on: a recorder may have been stopped before it wrote there"
    );
    (&bytes[..end], Some(FileProblem { line, column, message, is_left_out: true }))
}

/// An encoding, by its name: a label of the Encoding Standard (<https://encoding.spec.whatwg.org/#names-and-labels>),
/// such as `windows-1252`, `shift_jis` or `utf-16le`; `utf-32`, `utf-32le`, `utf-32be`; `hz-gb-2312` and `iso-2022-kr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextEncoding(Charset);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    /// An encoding of the Encoding Standard.
    Standard(&'static Encoding),
    Utf32(ByteOrder),
    /// An encoding that the Encoding Standard no longer decodes.
    SevenBit(SevenBit),
}

impl FromStr for TextEncoding {
    type Err = FormatError;

    fn from_str(name: &str) -> Result<Self, FormatError> {
        let lower = name.trim().to_ascii_lowercase();
        let charset = match &*lower {
            "utf-32" | "utf-32le" => Some(Charset::Utf32(ByteOrder::Little)),
            "utf-32be" => Some(Charset::Utf32(ByteOrder::Big)),
            _ => SevenBit::of_name(&lower)
                .map(Charset::SevenBit)
                .or_else(|| Encoding::for_label_no_replacement(lower.as_bytes()).map(Charset::Standard)),
        };
        charset.map(Self).ok_or_else(|| FormatError::UnknownEncoding { name: excerpt(name) })
    }
}

impl fmt::Display for TextEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl TextEncoding {
    /// Returns the encoding that a byte order mark at the head of `bytes` names.
    #[must_use]
    pub fn of_mark(bytes: &[u8]) -> Option<Self> {
        marked(bytes).map(|(charset, _)| Self(charset))
    }

    /// Decodes `bytes`, without byte order marks at their head. Returns `None` if some of the bytes are invalid in this
    /// encoding.
    #[must_use]
    pub fn decode_strictly(self, bytes: &[u8]) -> Option<String> {
        let (charset, mark_bytes) = marked(bytes).unwrap_or((self.0, 0));
        let text = charset.decode(&bytes[mark_bytes..]);
        (!text.is_repaired).then(|| without_marks(text.text).into_owned())
    }

    fn name(self) -> &'static str {
        self.0.name()
    }

    /// Returns true for UTF-8, which does not need to be named.
    #[must_use]
    pub fn is_utf8(self) -> bool {
        self.0 == Charset::Standard(UTF_8)
    }

    /// Decodes `bytes`, without byte order marks and zero bytes. A mark counts for more than the named encoding,
    /// because it tells the byte order and no text begins with it. A contradiction is reported.
    pub(crate) fn decode(self, bytes: &[u8]) -> DecodedText<'_> {
        if let Some((charset, mark_bytes)) = marked(bytes) {
            // `utf-16` and `utf-32` allow either byte order.
            let (found, named) = (charset.name(), self.name());
            let is_same = |family: &'static str| found.starts_with(family) && named.starts_with(family);
            let problem = (found != named && !is_same("UTF-16") && !is_same("UTF-32")).then(|| {
                let message = format!("the byte order mark says {found}, and not {named}: read as {found}");
                FileProblem { line: 1, column: 1, message, is_left_out: false }
            });
            return plain(DecodedText { problem, ..charset.decode(&bytes[mark_bytes..]) });
        }
        let text = self.0.decode(bytes);
        let problem = text.is_repaired.then(|| {
            let at = text.text.find(char::REPLACEMENT_CHARACTER).unwrap_or_default();
            let (line, column) = place(text.text.as_bytes(), at);
            let message = format!("bytes that are nothing in {} are read as U+FFFD, here and elsewhere", self.name());
            FileProblem { line, column, message, is_left_out: false }
        });
        plain(DecodedText { problem, ..text })
    }
}

impl Charset {
    fn name(self) -> &'static str {
        match self {
            Self::Standard(encoding) => encoding.name(),
            Self::Utf32(ByteOrder::Little) => "UTF-32LE",
            Self::Utf32(ByteOrder::Big) => "UTF-32BE",
            Self::SevenBit(charset) => charset.name(),
        }
    }

    /// Decodes bytes that have no mark.
    fn decode(self, bytes: &[u8]) -> DecodedText<'_> {
        match self {
            Self::Standard(encoding) => by(encoding, bytes),
            Self::Utf32(order) => utf32(bytes, order),
            Self::SevenBit(charset) => {
                let (text, is_repaired) = charset.decode(bytes);
                DecodedText { text: text.into(), is_repaired, problem: None }
            }
        }
    }
}

/// A file as text, decoded.
#[derive(Debug)]
pub(crate) struct DecodedText<'a> {
    pub(crate) text: Cow<'a, str>,
    /// True if invalid bytes were replaced by U+FFFD.
    pub(crate) is_repaired: bool,
    /// A problem to report about the encoding, if any.
    pub(crate) problem: Option<FileProblem>,
}

/// The byte order of UTF-32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ByteOrder {
    Little,
    Big,
}

/// Decodes a file. The text has no zero bytes: where they are allowed at all, each becomes U+FFFD (as in W3C WebVTT).
pub(crate) fn decode(bytes: &[u8]) -> Result<DecodedText<'_>, FormatError> {
    decode_any(bytes).map(plain)
}

/// A UTF-8 byte order mark whose bytes a program took for Latin letters and encoded again.
const MARK_TWICE_ENCODED: &str = "\u{EF}\u{BB}\u{BF}";

/// Returns `text` without byte order marks at its head. Programs put a mark before a file that already has one.
fn without_marks(text: Cow<'_, str>) -> Cow<'_, str> {
    let mut rest = &*text;
    while let Some(behind) = rest.strip_prefix('\u{FEFF}').or_else(|| rest.strip_prefix(MARK_TWICE_ENCODED)) {
        rest = behind;
    }
    let cut = text.len() - rest.len();
    match text {
        text if cut == 0 => text,
        Cow::Borrowed(text) => Cow::Borrowed(&text[cut..]),
        Cow::Owned(text) => Cow::Owned(text[cut..].to_owned()),
    }
}

/// Returns `text` without byte order marks at its head, and with U+FFFD for its zero bytes.
fn plain(text: DecodedText<'_>) -> DecodedText<'_> {
    let text = DecodedText { text: without_marks(text.text), ..text };
    let Some(at) = text.text.find('\0') else { return text };
    let (line, column) = place(text.text.as_bytes(), at);
    let problem =
        text.problem.or_else(|| Some(FileProblem { line, column, message: ZERO_BYTES.to_owned(), is_left_out: false }));
    DecodedText { text: Cow::Owned(text.text.replace('\0', "\u{FFFD}")), is_repaired: true, problem }
}

fn decode_any(bytes: &[u8]) -> Result<DecodedText<'_>, FormatError> {
    if let Some((charset, mark_bytes)) = marked(bytes) {
        return Ok(charset.decode(&bytes[mark_bytes..]));
    }
    if bytes.contains(&0) && !is_cues(bytes) {
        match without_mark(bytes) {
            Err(_) if is_text_with_zeros(bytes) => {}
            unmarked => return unmarked,
        }
    }
    if bytes.is_ascii() {
        if let Some(encoding) = seven_bit::undecoded(bytes) {
            return Err(FormatError::NotDecoded { encoding });
        }
        let found = iso_2022_jp(bytes).or_else(|| other_seven_bit(bytes));
        return Ok(found.unwrap_or_else(|| by(UTF_8, bytes)));
    }
    let Err(fault) = std::str::from_utf8(bytes) else { return Ok(by(UTF_8, bytes)) };
    if let Some(encoding) = xml_encoding(bytes).filter(|encoding| *encoding != UTF_8) {
        return Ok(by(encoding, bytes));
    }
    if is_damaged_utf8(bytes) {
        return Ok(by(UTF_8, bytes));
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    let encoding = detector.guess(None, Utf8Detection::Deny);
    let (line, column) = place(bytes, fault.valid_up_to());
    let message =
        format!("this is not UTF-8: read as {}, which is a guess; --encoding says another one", encoding.name());
    Ok(DecodedText { problem: Some(FileProblem { line, column, message, is_left_out: false }), ..by(encoding, bytes) })
}

/// The encoding that a byte order mark at the head of `bytes` names, and the length of the mark in bytes.
fn marked(bytes: &[u8]) -> Option<(Charset, usize)> {
    // The longer mark first: the mark of UTF-32LE begins with that of UTF-16LE.
    if bytes.starts_with(b"\xFF\xFE\0\0") {
        return Some((Charset::Utf32(ByteOrder::Little), 4));
    }
    if bytes.starts_with(b"\0\0\xFE\xFF") {
        return Some((Charset::Utf32(ByteOrder::Big), 4));
    }
    Encoding::for_bom(bytes).map(|(encoding, mark_bytes)| (Charset::Standard(encoding), mark_bytes))
}

fn by<'a>(encoding: &'static Encoding, bytes: &'a [u8]) -> DecodedText<'a> {
    let (text, is_repaired) = encoding.decode_without_bom_handling(bytes);
    DecodedText { text, is_repaired, problem: None }
}

fn utf32(bytes: &[u8], order: ByteOrder) -> DecodedText<'static> {
    let mut is_repaired = !bytes.len().is_multiple_of(4);
    let scalar = |unit: &[u8]| {
        let unit = [unit[0], unit[1], unit[2], unit[3]];
        char::from_u32(if order == ByteOrder::Little { u32::from_le_bytes(unit) } else { u32::from_be_bytes(unit) })
    };
    let units = bytes.chunks_exact(4).map(scalar);
    let read = |unit: Option<char>| {
        is_repaired |= unit.is_none();
        unit.unwrap_or(char::REPLACEMENT_CHARACTER)
    };
    let text: String = units.map(read).collect();
    DecodedText { text: Cow::Owned(text), is_repaired, problem: None }
}

/// Decodes bytes that have zero bytes and no mark, by the positions of the zero bytes. Text in Latin letters, or with
/// spaces and line ends, has many of them at one place of each unit.
fn without_mark(bytes: &[u8]) -> Result<DecodedText<'_>, FormatError> {
    if bytes.starts_with(b"WEBVTT") {
        return Ok(by(UTF_8, bytes));
    }
    if let Some((charset, _)) = by_zeros(bytes) {
        return Ok(charset.decode(bytes));
    }
    let at = bytes.iter().position(|byte| *byte == 0).unwrap_or_default();
    let (line, column) = place(bytes, at);
    Err(FormatError::NotText { what: "a zero byte", line, column })
}

/// The encoding that zero bytes show by their positions, and the bytes of its unit.
fn by_zeros(bytes: &[u8]) -> Option<(Charset, usize)> {
    let head = &bytes[..bytes.len().min(SNIFFED) / 4 * 4];
    let zeros = |step: usize, at: usize| head.iter().skip(at).step_by(step).filter(|byte| **byte == 0).count();
    let units = head.len() / 4;
    if units > 0 && zeros(4, 3) == units && zeros(4, 2) * 10 >= units * 9 {
        return Some((Charset::Utf32(ByteOrder::Little), 4));
    }
    if units > 0 && zeros(4, 0) == units && zeros(4, 1) * 10 >= units * 9 {
        return Some((Charset::Utf32(ByteOrder::Big), 4));
    }
    let (even, odd) = (zeros(2, 0), zeros(2, 1));
    // At least a fifth of the units: the others may be letters of another script, but there are blanks and line ends.
    let has = |pair: fn(u8) -> [u8; 2]| {
        let pairs = [b' ', b'\n', b'\r'].map(pair);
        head.chunks_exact(2).any(|unit| pairs.iter().any(|pair| unit == pair))
    };
    if odd * 5 >= units * 2 && even * 10 <= odd && has(|byte| [byte, 0]) {
        return Some((Charset::Standard(UTF_16LE), 2));
    }
    if even * 5 >= units * 2 && odd * 10 <= even && has(|byte| [0, byte]) {
        return Some((Charset::Standard(UTF_16BE), 2));
    }
    None
}

/// Returns true for a file of cues with a few zero bytes: UTF-16 never has an arrow in single bytes.
fn is_cues(bytes: &[u8]) -> bool {
    /// Zero bytes in a hundred bytes. Binary data has more.
    const ZEROS_MAX: usize = 5;
    let zeros = bytes.iter().filter(|byte| **byte == 0).count();
    zeros * 100 <= bytes.len() * ZEROS_MAX && bytes.windows(3).any(|three| three == b"-->")
}

/// Returns true for text with a few zero bytes, as a broken disk or a program leaves them. Binary data has other
/// control characters as well.
fn is_text_with_zeros(bytes: &[u8]) -> bool {
    /// At most one zero byte in this many bytes.
    const SHARE: usize = 8;
    let zeros = bytes.iter().filter(|byte| **byte == 0).count();
    let is_control = |byte: &u8| matches!(byte, 1..=8 | 0xE..=0x19 | 0x1C..=0x1F | 0x7F);
    zeros * SHARE <= bytes.len() && !bytes.iter().any(is_control)
}

/// Decodes Japanese in seven bits (RFC 1468). It is recognised by its escapes, because it is otherwise ASCII, and so
/// UTF-8 as well.
fn iso_2022_jp(bytes: &[u8]) -> Option<DecodedText<'_>> {
    let escape = bytes.windows(3).position(|three| matches!(three, b"\x1B$B" | b"\x1B$@" | b"\x1B(I"))?;
    let (text, _, is_damaged) = encoding_rs::ISO_2022_JP.decode(bytes);
    (!is_damaged).then(|| guessed_by_escape(bytes, escape, "ISO-2022-JP", text))
}

/// Decodes Chinese and Korean in seven bits.
fn other_seven_bit(bytes: &[u8]) -> Option<DecodedText<'_>> {
    let (charset, escape, text) = SevenBit::detect(bytes)?;
    Some(guessed_by_escape(bytes, escape, charset.name(), text.into()))
}

fn guessed_by_escape<'a>(bytes: &[u8], escape: usize, name: &str, text: Cow<'a, str>) -> DecodedText<'a> {
    let (line, column) = place(bytes, escape);
    let message = format!("read as {name}, which is a guess; --encoding says another one");
    DecodedText { text, is_repaired: false, problem: Some(FileProblem { line, column, message, is_left_out: false }) }
}

/// Line and byte column, from 1, of the byte at `at`.
fn place(bytes: &[u8], at: usize) -> (usize, usize) {
    let line_start = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    (bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1, at - line_start + 1)
}

/// The encoding in the declaration of an XML file (XML 1.0, 4.3.3).
fn xml_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.strip_prefix(b"<?xml")?;
    let end = head.iter().take(SNIFFED).position(|byte| *byte == b'>')?;
    let declaration = std::str::from_utf8(&head[..end]).ok()?;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    Encoding::for_label(value[1..].split(quote).next()?.as_bytes())
}

/// For bytes that are not valid UTF-8: returns true if there are at least as many multi-byte characters as invalid
/// places.
fn is_damaged_utf8(bytes: &[u8]) -> bool {
    let (mut sound, mut damaged) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        sound += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        damaged += usize::from(!chunk.invalid().is_empty());
    }
    sound >= damaged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::webvtt::is_line_of_times;

    const SAID: &str = "1\n00:00:01,000 --> 00:00:02,000\nNaïve „façade“ für 5 €\n";

    fn utf16(text: &str, order: ByteOrder) -> Vec<u8> {
        let bytes = |unit: u16| if order == ByteOrder::Little { unit.to_le_bytes() } else { unit.to_be_bytes() };
        text.encode_utf16().flat_map(bytes).collect()
    }

    fn utf32(text: &str, order: ByteOrder) -> Vec<u8> {
        let bytes = |c: char| match order {
            ByteOrder::Little => u32::from(c).to_le_bytes(),
            ByteOrder::Big => u32::from(c).to_be_bytes(),
        };
        text.chars().flat_map(bytes).collect()
    }

    #[test]
    fn zero_bytes_at_the_end_are_no_text() {
        for (said, unit) in [
            (SAID.as_bytes().to_vec(), 1),
            // A stray zero byte does not make UTF-16, wherever it stands.
            (b"It is\0so.\nYes.\n".to_vec(), 1),
            (b"It is\0\0so.\nYes.\nNo.\n".to_vec(), 1),
            (b"WEBVTT\n\n00:01.000 --> 00:02.000\na\0b\n".to_vec(), 1),
            (b"\0".to_vec(), 1),
            (utf16(SAID, ByteOrder::Little), 2),
            (utf16(SAID, ByteOrder::Big), 2),
            (utf16(&format!("\u{feff}{SAID}"), ByteOrder::Little), 2),
            (utf32(SAID, ByteOrder::Little), 4),
            (utf32(&format!("\u{feff}{SAID}"), ByteOrder::Big), 4),
        ] {
            for zeros in [0, 1, 7, 5_000] {
                let bytes: Vec<u8> = said.iter().copied().chain(std::iter::repeat_n(0, zeros * unit)).collect();
                let (rest, problem) = without_zero_tail(&bytes, None);
                if said == [0] {
                    assert_eq!((rest.len(), problem), (bytes.len(), None));
                    continue;
                }
                assert_eq!(rest, said, "{unit} {zeros}");
                assert_eq!(problem.is_some(), zeros > 0);
                let told = problem.is_none_or(|problem| {
                    problem.message.starts_with(&format!("{} zero byte", zeros * unit)) && problem.is_left_out
                });
                assert!(told, "{unit} {zeros}");
            }
        }
    }

    #[test]
    fn unicode_is_known_with_and_without_its_mark() {
        for mark in ["\u{feff}", ""] {
            let marked = format!("{mark}{SAID}");
            for bytes in [
                marked.clone().into_bytes(),
                utf16(&marked, ByteOrder::Little),
                utf16(&marked, ByteOrder::Big),
                utf32(&marked, ByteOrder::Little),
                utf32(&marked, ByteOrder::Big),
            ] {
                let read = decode(&bytes).expect("it is text");
                assert_eq!((&*read.text, read.is_repaired, read.problem), (SAID, false, None), "{bytes:?}");
            }
        }
        // Another script has zero bytes for blanks and line ends only.
        let greek = "1\n00:00:01,000 --> 00:00:02,000\nΚαλησπέρα σας\n";
        assert_eq!(decode(&utf16(greek, ByteOrder::Big)).expect("it is text").text, greek);
    }

    #[test]
    fn legacy_code_pages_are_guessed_and_the_guess_is_told() {
        let russian = "Добрый вечер, дамы и господа. Заседание объявляется открытым.";
        for (encoding, said) in [
            (
                encoding_rs::WINDOWS_1252,
                "Guten Abend, meine Damen und Herren. Die Sitzung ist er\u{f6}ffnet, bitte sch\u{f6}n.",
            ),
            (encoding_rs::WINDOWS_1251, russian),
            (encoding_rs::KOI8_R, russian),
            (encoding_rs::SHIFT_JIS, "こんばんは、皆さん。会議を始めます。よろしくお願いします。"),
            (encoding_rs::GBK, "晚上好，女士们，先生们。会议现在开始，请大家就座。"),
        ] {
            let file = format!("1\n00:00:01,000 --> 00:00:02,000\n{said}\n");
            let (bytes, _, _) = encoding.encode(&file);
            let read = decode(&bytes).expect("it is text");
            assert_eq!(read.text, file, "{}", encoding.name());
            let problem = read.problem.expect("a guess is told");
            assert_eq!(problem.line, 3);
            assert!(problem.message.contains("guess"), "{}", problem.message);
        }
    }

    #[test]
    fn a_byte_order_mark_counts_for_more_than_what_is_said() {
        let marked = format!("\u{feff}{SAID}");
        for (said, bytes, told) in [
            ("iso-8859-1", marked.clone().into_bytes(), Some("UTF-8, and not windows-1252")),
            ("utf-16", utf16(&marked, ByteOrder::Big), None),
            ("utf-16le", utf16(&marked, ByteOrder::Little), None),
            ("utf-16", utf32(&marked, ByteOrder::Little), Some("UTF-32LE, and not UTF-16LE")),
            ("utf-8", marked.clone().into_bytes(), None),
            ("utf-8", utf16(&marked, ByteOrder::Big), Some("UTF-16BE, and not UTF-8")),
        ] {
            let read = said.parse::<TextEncoding>().expect("a label").decode(&bytes);
            let message = read.problem.map(|problem| problem.message);
            assert_eq!((&*read.text, read.is_repaired), (SAID, false), "{said}");
            assert_eq!(message.is_some(), told.is_some(), "{said}: {message:?}");
            assert!(told.is_none_or(|told| message.is_some_and(|message| message.contains(told))), "{said}");
        }
    }

    #[test]
    fn damaged_utf8_stays_utf8() {
        let mut bytes = "Grüße für x\n".as_bytes().to_vec();
        let x = bytes.len() - 2;
        bytes[x] = 0xFF;
        let read = decode(&bytes).expect("it is text");
        assert_eq!((&*read.text, read.is_repaired, read.problem), ("Grüße für \u{fffd}\n", true, None));
    }

    #[test]
    fn an_xml_declaration_is_believed() {
        let file = b"<?xml version=\"1.0\" encoding='ISO-8859-1'?>\n<a>\xE9</a>";
        let read = decode(file).expect("it is text");
        assert!(read.text.ends_with("<a>é</a>") && read.problem.is_none(), "{read:?}");
    }

    #[test]
    fn control_characters_are_no_text_and_tabs_and_page_breaks_are() {
        assert_eq!(without_controls("a\tb\nc\r\u{c}d"), "a\tb\nc\r\u{c}d");
        assert_eq!(without_controls("a\0b\u{7}c\u{1b}[0m\u{7f}"), "a\u{fffd}b\u{fffd}c\u{fffd}[0m\u{fffd}");
    }

    #[test]
    fn what_is_no_character_goes_from_lines_of_times_alone() {
        for (line, plain) in [
            ("00:00:0\u{fffd}1,000 --> 00:00:02,000", Some("00:00:01,000 --> 00:00:02,000")),
            ("\u{1}00:01.000 -\u{fffd}-> 00:02.000 align:start", Some("00:01.000 --> 00:02.000 align:start")),
            // A digit may be missing: the time is unknown.
            ("00:00:\u{fffd}1,000 --> 00:00:02,000", None),
            ("It is\u{fffd} --> there", None),
        ] {
            let text = format!("a\u{fffd}\r\n{line}\r\nb");
            let (read, repaired) = with_plain_times(&text, |_, plain| is_line_of_times(plain));
            assert_eq!(read, format!("a\u{fffd}\r\n{}\r\nb", plain.unwrap_or(line)));
            assert_eq!(repaired, if plain.is_some() { vec![2] } else { vec![] }, "{line}");
        }
    }

    #[test]
    fn japanese_in_seven_bits_is_known_and_other_escapes_are_not() {
        let said = "\u{4f1a}\u{8b70}\u{3092}\u{59cb}\u{3081}\u{307e}\u{3059}\u{3002}";
        let file = format!("1\n00:00:01,000 --> 00:00:02,000\n{said}\n");
        let (bytes, _, _) = encoding_rs::ISO_2022_JP.encode(&file);
        let read = decode(&bytes).expect("it is text");
        assert_eq!(read.text, file);
        assert!(read.problem.is_some_and(|problem| problem.line == 3 && problem.message.contains("guess")));
        for other in ["\u{1b}[31mred\u{1b}[0m", "\u{1b}$B\u{1}", "\u{1b}$Bx \u{e9}"] {
            assert_eq!(decode(other.as_bytes()).expect("it is text").text, other);
        }
    }

    #[test]
    fn chinese_and_korean_in_seven_bits_are_known_and_what_is_not_decoded_is_refused() {
        for (file, text, name) in [
            ("1\n00:00:01,000 --> 00:00:02,000\nA ~{<:Ky2;~} ~~ b\n", "A \u{5df1}\u{6240}\u{4e0d} ~ b\n", "HZ-GB-2312"),
            ("\x1b$)C1\n00:00:01,000 --> 00:00:02,000\n\x0e>H3g\x0f a\n", "\u{c548}\u{b155} a\n", "ISO-2022-KR"),
        ] {
            let read = decode(file.as_bytes()).expect("it is text");
            assert!(read.text.ends_with(&format!("02,000\n{text}")), "{:?}", read.text);
            let problem = read.problem.expect("a guess is told");
            assert!(problem.message.contains(name) && problem.message.contains("guess"), "{problem:?}");
            let named = name.to_lowercase().parse::<TextEncoding>().expect("a name");
            let named = named.decode(file.as_bytes());
            assert_eq!((named.text, named.is_repaired, named.problem), (read.text, false, None), "{name}");
            // `us-ascii` is taken at its word.
            let ascii = "us-ascii".parse::<TextEncoding>().expect("a name").decode(file.as_bytes()).text;
            assert_eq!(ascii, file);
        }
        for (file, name) in [("\x1b$)A\x0eVPND\x0f\n", "ISO-2022-CN"), ("+/v8-+T2BZfQ-\n", "UTF-7")] {
            let refused = decode(file.as_bytes()).expect_err(name).to_string();
            assert!(refused.contains(name) && refused.contains("iconv"), "{refused}");
        }
    }

    #[test]
    fn byte_order_marks_at_the_head_are_no_text() {
        let mark = '\u{feff}';
        for bytes in [
            format!("{mark}{mark}{mark}{SAID}").into_bytes(),
            format!("\u{ef}\u{bb}\u{bf}{SAID}").into_bytes(),
            utf16(&format!("{mark}{mark}{SAID}"), ByteOrder::Little),
            utf32(&format!("{mark}{mark}{SAID}"), ByteOrder::Big),
        ] {
            assert_eq!(decode(&bytes).expect("it is text").text, SAID);
            let named = "utf-8".parse::<TextEncoding>().expect("a name");
            assert_eq!(named.decode(&bytes).text, SAID);
            assert_eq!(named.decode_strictly(&bytes).as_deref(), Some(SAID));
        }
        // In the middle of a text it is a character.
        assert_eq!(decode("a\u{feff}b\n\u{feff}c".as_bytes()).expect("text").text, "a\u{feff}b\n\u{feff}c");
        let named = |name: &str, bytes: &[u8]| name.parse::<TextEncoding>().expect("a name").decode_strictly(bytes);
        assert_eq!(named("windows-1251", b"\xc4\xe0").as_deref(), Some("\u{414}\u{430}"));
        assert_eq!(named("utf-32", &utf32("ab", ByteOrder::Little)).as_deref(), Some("ab"));
        assert_eq!(named("utf-8", b"a\xff"), None);
        assert_eq!(named("hz", b"~{<:~} ~x"), None);
    }

    #[test]
    fn an_encoding_that_is_named_is_believed() {
        let bytes = b"\xEF\xF0\xE8\xE2\xE5\xF2";
        let named = |name: &str, bytes| name.parse::<TextEncoding>().expect("a name").decode(bytes).text.into_owned();
        assert_eq!(named("windows-1251", bytes), "\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442}");
        assert_eq!(named("ISO-8859-1", bytes), "\u{ef}\u{f0}\u{e8}\u{e2}\u{e5}\u{f2}");
        assert_eq!(named("utf-16le", b"\xFF\xFEa\0b\0"), "ab");
        let bad = "utf-8".parse::<TextEncoding>().expect("a name").decode(b"ab\n\xFFc");
        assert_eq!(
            (&*bad.text, bad.problem.map(|problem| (problem.line, problem.column))),
            ("ab\n\u{fffd}c", Some((2, 1)))
        );
        let unknown = "latin-99".parse::<TextEncoding>().expect_err("no such encoding").to_string();
        assert!(unknown.contains("latin-99") && unknown.contains("windows-1252"), "{unknown}");
    }

    #[test]
    fn what_is_no_text_is_refused_and_webvtt_takes_zero_bytes() {
        let refused = decode(b"a\nb\0c").expect_err("no text");
        assert_eq!(refused, FormatError::NotText { what: "a zero byte", line: 2, column: 2 });
        assert!(decode(b"a\nb\0").is_err() && decode(b"\x01 much text and a zero byte: \0").is_err());
        // Text with one zero byte in it.
        let slip = decode(b"Ann: (00:01)\nIt is\0so.\n").expect("text");
        assert_eq!(slip.text, "Ann: (00:01)\nIt is\u{fffd}so.\n");
        assert!(slip.is_repaired && slip.problem.is_some_and(|problem| (problem.line, problem.column) == (2, 6)));
        // Cues with one zero byte in them, also in a legacy code page. A file that is mostly zero bytes is refused.
        let cue = "1\n00:00:01,000 --> 00:00:02,000\none\0two\n";
        assert_eq!(decode(cue.as_bytes()).expect("cues").text, cue.replace('\0', "\u{fffd}"));
        let (latin, _, _) =
            encoding_rs::WINDOWS_1252.encode("1\n00:00:01,000 --> 00:00:02,000\nGr\u{fc}\u{df}e\0 f\u{fc}r alle\n");
        assert!(decode(&latin).expect("cues").text.ends_with("Gr\u{fc}\u{df}e\u{fffd} f\u{fc}r alle\n"));
        assert!(decode(b"-->\0\0\0\0\0a").is_err());
        assert!(decode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\x02\0\0\x03\x04\x08\x06").is_err());
        assert_eq!(decode(b"WEBVTT\n\0").expect("it is text").text, "WEBVTT\n\u{fffd}");
    }
}
