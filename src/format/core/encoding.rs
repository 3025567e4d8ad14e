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
mod tests;
