//! Tests of `srt`.

use super::read;
use super::tags::{no_tags, without_tags};
use super::times::{UnusualTimes, odd_times, settings_and_text};
use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::cue_syntax::times;
use crate::format::core::kinds::FileKind;
use crate::transcript::MediaMs;

/// WebVTT without its header is read as SubRip, except for the speakers.
#[test]
fn voices_of_webvtt_say_who_speaks() {
    const ONE: &str = "1\n00:00:01.000 --> 00:00:02.000\n";
    const TWO: &str = "\n2\n00:00:03.000 --> 00:00:04.000\n<v Ben>yes\n";
    for (text, expected) in [
        ("<v Ann>one", &["Ann: one"][..]),
        ("<v.loud Ann Lee>one</v>", &["Ann Lee: one"]),
        ("  <v Ann>one", &["Ann: one"]),
        ("- <v Ann>one</v>\n- <v Cy>two</v>", &["Ann: one", "Cy: two"]),
        ("<v Ann>one <v Cy>two", &["Ann: one", "Cy: two"]),
        ("<v Ann>one</v> and two", &["Ann: one", "-: and two"]),
        ("We meet at <9 or > 10.\n\nAnd so on, he said.", &["-: We meet at <9 or > 10./And so on, he said."]),
        ("<v Ann>I <3 you & a < b\n\nNOTE this is said", &["Ann: I <3 you & a < b/NOTE this is said"]),
        ("<i>one</i> &amp; <v>two", &["-: one &amp; two"]),
        ("Cy: one <very> two", &["-: Cy: one <very> two"]),
    ] {
        for commas in [false, true] {
            let file = format!("{ONE}{text}\n{TWO}");
            let file = if commas { file.replace(".000", ",000") } else { file };
            let reading = crate::format::registry::read(file.as_bytes(), None).expect("it can be read");
            let line = |line: &crate::transcript::Version| {
                let name = line.content.speaker.as_deref().unwrap_or("-");
                let text: Vec<_> = line.content.text.split('\n').filter(|row| !row.is_empty()).collect();
                format!("{name}: {}", text.join("/"))
            };
            let mut found: Vec<_> = reading.lines.iter().map(line).collect();
            assert_eq!((reading.kind, found.pop().as_deref()), (FileKind::Srt, Some("Ben: yes")), "{file}");
            assert_eq!(found, expected, "{file}");
            let told = reading.problems.iter().filter(|problem| problem.message.contains("tag of WebVTT"));
            assert_eq!(told.count(), 1, "{file}: {:?}", reading.problems);
        }
    }
}

#[test]
fn times_as_a_table() {
    for (line, start, end, rest) in [
        ("00:01:02,345 --> 00:01:04,500", 62_345, 64_500, ""),
        ("00:01:02.345-->00:01:04.5  X1:40", 62_345, 64_500, "  X1:40"),
        ("1:02,04 --> 1:04", 62_040, 64_000, ""),
        (" 100:00:00:001 --> 100:00:00,0019", 360_000_001, 360_000_001, ""),
    ] {
        assert_eq!(times(line), Some((start, end, rest)), "{line}");
    }
    for bad in [
        "",
        "-->",
        "00:01:02,345",
        "00:01:02 -> 00:01:04",
        "00:61:00,0 --> 00:62:00,0",
        "0:60 --> 0:61",
        "5 --> 6",
        "123456789:00:00 --> 1:00",
        "0:01 --> 0:02x",
        "0:01 --> 0:02.",
        "0:01. --> 0:02",
    ] {
        assert_eq!(times(bad), None, "{bad}");
    }
}

#[test]
fn times_that_are_written_otherwise_as_a_table() {
    for (line, start, end, settings) in [
        ("00:00:01,000 -> 00:00:02,000", Some(1_000), Some(2_000), ""),
        ("00:00:01,000 -- > 00:00:02,000 X1:5", Some(1_000), Some(2_000), " X1:5"),
        ("00:00:01,000 \u{2192} 00:00:02,000", Some(1_000), Some(2_000), ""),
        ("00 : 00 : 01 , 500 --> 00: 00: 02,000", Some(1_500), Some(2_000), ""),
        ("00\u{FF1A}00\u{FF1A}01\u{FF0C}500 --> 00:00:02,000", Some(1_500), Some(2_000), ""),
        ("-00:00:01,000 --> 00:00:02,000", Some(-1_000), Some(2_000), ""),
        ("00:00:01,000 --> -00:00:02,000", Some(1_000), Some(-2_000), ""),
        ("00:00:01,000 --> 00:00:99,000", Some(1_000), None, ""),
        ("00:00:01,000 -->", Some(1_000), None, ""),
        ("--> 00:00:02,000", None, Some(2_000), ""),
        ("00:00:x1,000 --> 00:00:02,000", None, Some(2_000), ""),
        ("00:61:00,000 --> 00:62:00,000", None, None, ""),
    ] {
        assert_eq!(odd_times(line), Some(UnusualTimes { start, end, settings }), "{line}");
    }
    for none in
        ["", "a --> b", "-->", "5 --> 6", "a -> b", "1:00 -> later", "10:30 => noon", "Seoul \u{2192} Busan 1:00"]
    {
        assert_eq!(odd_times(none), None, "{none}");
    }
}

#[test]
fn a_cue_without_times_is_a_cue_of_its_own() {
    const T: &str = "00:00:01,000 --> 00:00:02,000";
    const U: &str = "00:00:05,000 --> 00:00:06,000";
    for (file, expected, told) in [
        (format!("1\n{T}\none\n\n2\ntwo\n\n3\n{U}\nthree\n"), vec!["one", "-two", "three"], vec![5]),
        (
            format!("1\n{T}\none\n\n2\ntwo\n\n3\nthree\n\n4\n{U}\nfour\n"),
            vec!["one", "-two", "-three", "four"],
            vec![5, 8],
        ),
        (format!("1\n{T}\none\n\n2\ntwo\n"), vec!["one", "-two"], vec![5]),
        (format!("1\none\n\n2\n{U}\ntwo\n"), vec!["-one", "two"], vec![1]),
        // No blank line, but it is the one missing number.
        (format!("1\n{T}\none\n2\ntwo\n\n3\n{U}\nthree\n"), vec!["one", "-two", "three"], vec![4]),
        // Numbers with a gap.
        (format!("1\n{T}\none\n\n4\ntwo\n\n9\n{U}\nthree\n"), vec!["one", "-two", "three"], vec![5]),
        // A line of times of which nothing, or only the start, can be read.
        (
            format!("1\n{T}\none\n\n2\n00:61:00,0 --> 00:62:00,0\ntwo\n\n3\n{U}\nthree\n"),
            vec!["one", "-two", "three"],
            vec![6],
        ),
        (format!("1\n{T}\none\n\n2\n00:00:03,000 -->\ntwo\n"), vec!["one", "two"], vec![6]),
        (format!("1\n{T}\none\n2\n-00:00:03,000 --> 00:00:04,000\ntwo\n"), vec!["one", "-two"], vec![4, 5, 5]),
        // Digits in a text are text: their value is not the next one, or they are right below the times.
        (format!("1\n{T}\none\n\n2\n\n2\n{U}\ntwo\n"), vec!["one\n\n2", "two"], vec![]),
        (format!("1\n{T}\none\n\n1984\nwas it\n\n2\n{U}\ntwo\n"), vec!["one\n\n1984\nwas it", "two"], vec![]),
        (format!("1\n{T}\none\n\n7\nmore\n"), vec!["one\n\n7\nmore"], vec![]),
        (format!("1\n{T}\n2\ntwo\n\n2\n{U}\nthree\n"), vec!["2\ntwo", "three"], vec![]),
        (format!("{T}\none\n\n2\ntwo\n\n{U}\nthree\n"), vec!["one\n\n2\ntwo", "three"], vec![]),
        // A cue with neither times nor text is reported, and no line.
        (format!("1\n{T}\none\n\n2\n\n3\n{U}\nthree\n"), vec!["one", "three"], vec![5, 5]),
    ] {
        let reading = read(&file, TranscriptBuilder::default());
        let sign = |start: Option<MediaMs>| if start.is_none() { "-" } else { "" };
        let texts: Vec<String> =
            reading.lines.iter().map(|line| format!("{}{}", sign(line.content.start_ms), line.content.text)).collect();
        let at: Vec<usize> = reading.problems.iter().map(|problem| problem.line).collect();
        assert_eq!(
            (texts, at),
            (expected.into_iter().map(str::to_owned).collect(), told),
            "{file:?}: {:?}",
            reading.problems
        );
    }
}

fn texts(file: &str) -> (Vec<String>, Vec<(usize, String)>) {
    let reading = read(file, TranscriptBuilder::default());
    let told = reading.problems.iter().map(|problem| (problem.line, problem.message.clone()));
    (reading.lines.iter().map(|line| line.content.text.to_string()).collect(), told.collect())
}

#[test]
fn numbers_are_no_text_and_need_not_be_right() {
    const T: &str = "00:00:01,000 --> 00:00:02,000";
    for (file, expected, told) in [
        (format!("1\n{T}\na\n\n2\n{T}\nb\n"), vec!["a", "b"], vec![]),
        (format!("{T}\na\n\n{T}\nb"), vec!["a", "b"], vec![]),
        (format!("1\r{T}\ra\r\r2\r{T}\rb"), vec!["a", "b"], vec![]),
        // Missing, twice, backwards; no blank line; a blank line too many; a text of digits.
        (format!("1\n{T}\na\n\n{T}\nb"), vec!["a", "b"], vec![(5, "no number")]),
        (format!("1\n{T}\na\n\n1\n{T}\nb"), vec!["a", "b"], vec![(5, "twice")]),
        (format!("7\n{T}\na\n\n3\n{T}\nb"), vec!["a", "b"], vec![(5, "follows 7")]),
        (format!("1\n{T}\na\n2\n{T}\nb"), vec!["a", "b"], vec![(4, "no blank line")]),
        (format!("\n\n1\n\n{T}\na\n\n\n\nb\n"), vec!["a\n\n\n\nb"], vec![]),
        (format!("1\n{T}\na\n1984\n{T}\nb"), vec!["a", "b"], vec![(4, "no blank line")]),
        (format!("1\n{T}\na\n\n2\n\n{T}\nb"), vec!["a", "b"], vec![]),
        (format!("1\n{T}\na\n\n1984\n\n{T}\nb"), vec!["a\n\n1984", "b"], vec![(7, "no number")]),
        // If no cue has a number, digits are text.
        (format!("{T}\na\n1984\n{T}\nb"), vec!["a\n1984", "b"], vec![(3, "kept as text")]),
        (format!("1\n{T}\n\n2\n{T}\n1984\n"), vec!["1984"], vec![(2, "no text")]),
        (format!("x\n1\n{T}\na --> b\n"), vec!["a --> b"], vec![(1, "no cue"), (4, "no line of times")]),
    ] {
        let (read, problems) = texts(&file);
        assert_eq!(read, expected, "{file:?}");
        assert_eq!(problems.len(), told.len(), "{file:?}: {problems:?}");
        for ((line, what), (at, message)) in told.into_iter().zip(problems) {
            assert!(line == at && message.contains(what), "{file:?}: {at} {message}");
        }
    }
}

#[test]
fn files_put_together_are_parts_whatever_parts_them() {
    let cue = |number: u32, second: u32, text: &str| {
        let number = if number < 9 { format!("{number}\n") } else { String::new() };
        format!("{number}00:00:0{second},000 --> 00:00:0{},500\n{text}", second)
    };
    let read_all = |file: &str| {
        let reading = read(file, TranscriptBuilder::default());
        let line = |line: &crate::transcript::Version| {
            format!("{} {}", line.content.start_ms.unwrap_or(-1) / 1000, line.content.text)
        };
        reading.lines.iter().map(line).collect::<Vec<_>>()
    };
    let two = |first: u32| cue(first, 1, "one") + "\n\n" + &cue(first + 1, 3, "two");
    let header = "WEBVTT - b\nKind: captions\n\n";
    for (between, first, second) in [
        ("\n\n", 1, two(1)),
        ("\n", 1, two(1)),
        ("\n", 0, two(0)),
        // Without a line end between the two files.
        ("", 1, two(1)),
        ("", 0, two(0)),
        ("\u{FEFF}", 1, two(1)),
        ("\u{FEFF}", 1, two(9)),
        ("\n\u{FEFF}", 1, two(9)),
        ("\n\n\u{FEFF}", 1, two(9)),
        // The second file's times begin between those of the first.
        ("\n", 1, cue(1, 2, "one") + "\n" + &cue(2, 3, "two")),
        ("\n", 1, header.to_owned() + &two(9)),
        ("\n", 1, header.to_owned() + &two(1)),
    ] {
        let file = two(first) + between + &second;
        let texts = read_all(&file);
        let begins = if second.contains("00:00:02,000") { 6 } else { 5 };
        assert_eq!(texts, ["1 one", "3 two", &format!("{begins} one"), "7 two"], "{file}");
    }
    // Parts of one cue each.
    for (between, second) in [("\n\n", 1), ("\n", 1), ("", 1), ("\u{FEFF}", 1), ("\n\u{FEFF}", 9)] {
        let file = cue(1, 4, "one") + between + &cue(second, 2, "two");
        assert_eq!(read_all(&file), ["4 one", "7 two"], "{file}");
    }
    // Cues in no order, and cues that all have one number, are one file.
    for file in [
        [cue(2, 2, "b"), cue(3, 4, "c"), cue(1, 3, "a"), cue(4, 5, "d")].join("\n\n"),
        [cue(1, 2, "b"), cue(1, 4, "c"), cue(1, 3, "a"), cue(1, 5, "d")].join("\n\n"),
    ] {
        assert_eq!(read_all(&file), ["2 b", "4 c", "3 a", "5 d"], "{file}");
    }
    // Speech stays: no number is expected here, and these words are no header.
    let file = [cue(1, 1, "room 1"), cue(2, 3, "WEBVTT"), cue(3, 5, "This is WEBVTT")].join("\n\n");
    assert_eq!(read_all(&file), ["1 room 1", "3 WEBVTT", "5 This is WEBVTT"]);
}

#[test]
fn names_above_times_are_who_speaks() {
    let file = |heads: [&str; 3]| {
        let cues =
            heads.iter().zip(1..).map(|(head, at)| format!("{head}00:00:0{at},000 --> 00:00:0{at},900\nt{at}\n\n"));
        cues.collect::<String>()
    };
    let said = |heads: [&str; 3]| -> Vec<String> {
        let reading = read(&file(heads), TranscriptBuilder::default());
        assert_eq!(reading.problems, vec![], "{heads:?}");
        let line = |line: &crate::transcript::Version| {
            format!("{}: {}", line.content.speaker.as_deref().unwrap_or("-"), line.content.text)
        };
        reading.lines.iter().map(line).collect()
    };
    for heads in
        [["Speaker 1\n", "Speaker 2\n", "Speaker 1\n"], ["1\nSpeaker 1\n", "2\nSpeaker 2:\n", "3\nSpeaker 1\n"]]
    {
        assert_eq!(said(heads), ["Speaker 1: t1", "Speaker 2: t2", "Speaker 1: t3"]);
    }
    assert_eq!(said(["Ann Lee\n", "Ben\n", "Ann Lee\n"]), ["Ann Lee: t1", "Ben: t2", "Ann Lee: t3"]);
    // Other lines at that place are no names.
    for other in [["x\n", "y\n", "x\n"], ["Ann\n", "Ben\n", "Carl\n"], ["Note\n", "Note\n", "Note\n"]] {
        let reading = read(&file(other), TranscriptBuilder::default());
        assert!(reading.lines.iter().all(|line| line.content.speaker.is_none()), "{other:?}");
        assert!(!reading.problems.is_empty());
    }
}

#[test]
fn text_behind_the_times_is_text_and_settings_are_none() {
    for (behind, settings, text) in [
        ("  X1:40 X2:600 Y1:20 Y2:50", "X1:40 X2:600 Y1:20 Y2:50", ""),
        (" align:start position:0%", "align:start position:0%", ""),
        (" Ann:", "", "Ann:"),
        (" Ann: line: 3", "", "Ann: line: 3"),
        (" line:90% Ann: hi", "line:90%", "Ann: hi"),
        (" 7", "", "7"),
        (" line:", "", "line:"),
    ] {
        assert_eq!(settings_and_text(behind), (settings, text), "{behind}");
    }
    const T: &str = "00:00:01,000 --> 00:00:02,000";
    for (file, expected) in [
        (format!("1\n{T} Ann:\nHello.\n\n2\n{T} line:90%\nb\n"), vec!["Ann:\nHello.", "b"]),
        (format!("{T} Ann: Well.\n{T} 7\n{T} c\n"), vec!["Ann: Well.", "7", "c"]),
        ("00:01 -- > 00:02 a\n00:03 -- > 00:04 b\n".to_owned(), vec!["a", "b"]),
    ] {
        let (read, problems) = texts(&file);
        assert_eq!(read, expected, "{file:?}");
        assert!(problems.iter().any(|(_, message)| message.contains("line of times: read as")), "{problems:?}");
    }
}

#[test]
fn tags_are_no_text_and_other_brackets_are() {
    for (text, expected, count) in [
        ("<i>a</i> <b>b</B> <font color=\"#ff0000\">c</font>", "a b c", 6),
        ("{\\an8}a {\\pos(1,2)}b", "a b", 2),
        ("1 < 2 > 0 {x} <3 <em>é", "1 < 2 > 0 {x} <3 <em>é", 0),
        ("<", "<", 0),
    ] {
        assert_eq!(without_tags(text), (expected.to_owned(), count), "{text}");
        let said = no_tags(text);
        assert_eq!(without_tags(&said), (said.clone(), 0), "{text}");
        assert_eq!(said.replace(' ', ""), text.replace(' ', ""));
    }
}
