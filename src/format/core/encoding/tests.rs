//! Tests of `encoding`.

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
