//! Tests of `webvtt`.

use super::reader::title;
use super::{is_nearly_one, read};
use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::kinds::FileKind;

/// A file with a header is WebVTT, however the header is written; without one it is SubRip. Voices are never part
/// of the text.
#[test]
fn a_file_without_a_readable_header_has_its_voices() {
    const ONE: &str = "00:01.000 --> 00:02.000";
    const TWO: &str = "00:03.000 --> 00:04.000";
    for (head, plain, at) in [
        ("", false, 1),
        ("\n\n", false, 3),
        ("WebVTT\n\n", true, 1),
        ("webvtt\n", true, 1),
        ("WEBVTT-\n\n", true, 1),
        ("WEBVTT: a\nKind: captions\n\n", true, 1),
        (" WEBVTT\n\n", true, 1),
        ("\nWEBVTT\n\n", true, 2),
        ("\n\u{FEFF}WEBVTT\n\n", true, 2),
        ("WebVTT\n\nNOTE by x\n\nSTYLE\n::cue {}\n\n", true, 1),
        ("\r\n\r\nWEBVTT - a\r\nLanguage: en\r\n\r\n", true, 3),
    ] {
        let cues = format!("{ONE}\n<v Ann>one\n\n{TWO}\n<v Ben>two\n");
        let text = format!("{head}{cues}");
        let reading = crate::format::registry::read(text.as_bytes(), None).expect("a file");
        let found: Vec<_> =
            reading.lines.iter().map(|line| (line.content.speaker.as_deref(), &*line.content.text)).collect();
        assert_eq!(found, [(Some("Ann"), "one"), (Some("Ben"), "two")], "{head:?}");
        assert_eq!(reading.kind == FileKind::Vtt, plain, "{head:?}");
        let told: Vec<_> = reading.problems.iter().map(|problem| problem.line).collect();
        assert_eq!(told, [at], "{head:?}: {:?}", reading.problems);
        // Without voices, only its header makes it WebVTT.
        let text = text.replace("<v Ann>", "").replace("<v Ben>", "");
        let reading = crate::format::registry::read(text.as_bytes(), None).expect("a file");
        assert_eq!(reading.kind == FileKind::Vtt, plain, "{head:?}");
        assert_eq!(reading.problems.len(), usize::from(plain), "{head:?}: {:?}", reading.problems);
    }
    // With SubRip's times, its header still makes it WebVTT.
    let text = "WEBVTT:\n\n1\n00:00:01,000 --> 00:00:02,000\n<v Ann>one &amp; two\n";
    let reading = crate::format::registry::read(text.as_bytes(), None).expect("a file");
    let content = &reading.lines[0].content;
    assert_eq!((reading.kind, content.speaker.as_deref(), &*content.text), (FileKind::Vtt, Some("Ann"), "one & two"));
    // A text that contains times and tags somewhere is no WebVTT.
    let text = "Ann: (00:00)\nSo.\n00:01.000 --> 00:02.000\n<v Bob> is a tag.\n";
    assert!(!is_nearly_one(text) && !is_nearly_one(&format!("WebVTT: (00:00)\nIt is a format.\n\n{text}")));
}

#[test]
fn the_first_line_has_a_title_or_none() {
    for (first, expected) in [
        ("- A hearing", (Some("A hearing"), None)),
        ("A hearing", (Some("A hearing"), None)),
        ("-- A", (Some("A"), None)),
        ("- FILE", (Some("FILE"), None)),
        ("", (None, None)),
        ("FILE", (None, None)),
        ("Kind: captions; Language: en-GB", (None, Some("en-GB"))),
        ("Language: en", (None, Some("en"))),
    ] {
        assert_eq!(title(first), expected, "{first}");
    }
}

#[test]
fn what_no_empty_line_parts_is_no_text() {
    const ONE: &str = "00:01.000 --> 00:02.000";
    const TWO: &str = "00:03.000 --> 00:04.000";
    let told = |file: &str| {
        let reading = read(file, TranscriptBuilder::default());
        let texts: Vec<_> = reading.lines.iter().map(|line| line.content.text.replace('\n', "/")).collect();
        let places: Vec<_> = reading.problems.iter().map(|problem| problem.line).collect();
        (texts, places)
    };
    for (file, texts, places) in [
        (format!("WEBVTT\n\n1\n{ONE}\na\n2\n{TWO}\nb\n"), ["a", "b"], &[6][..]),
        (format!("WEBVTT\n\n1\n{ONE}\na\n1984\n{TWO}\nb\n"), ["a", "b"], &[6]),
        (format!("WEBVTT\n\n{ONE}\na\n1984\n{TWO}\nb\n"), ["a/1984", "b"], &[]),
        (format!("WEBVTT\n\n{ONE}\na\nNOTE\nx\n\n{TWO}\nb\n"), ["a", "b"], &[5]),
        (format!("WEBVTT\n\n{ONE}\na\nNOTE by x\n\n{TWO}\nb\n"), ["a", "b"], &[5]),
        (format!("WEBVTT\n\n{ONE}\na\nSTYLE\n::cue{{}}\n\n{TWO}\nb\n"), ["a", "b"], &[5, 5]),
        (format!("WEBVTT\n\n{ONE}\na\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00.000\n\n{TWO}\nb\n"), ["a", "b"], &[5, 5]),
        (format!("WEBVTT\n\n{ONE}\na\nWEBVTT\n\n{TWO}\nb\n"), ["a", "b"], &[5]),
        // This row is speech.
        (format!("WEBVTT\n\n{ONE}\nPLEASE\nNOTE THAT\n\n{TWO}\nb\n"), ["PLEASE/NOTE THAT", "b"], &[]),
        (format!("WEBVTT\n\n{ONE}\nNOTE by x\n\n{TWO}\nb\n"), ["NOTE by x", "b"], &[]),
        (format!("WEBVTT\n\n{ONE}\na\nSTYLE\nis it\n\n{TWO}\nb\n"), ["a/STYLE/is it", "b"], &[]),
        (format!("WEBVTT\n\n{ONE}\na\n\n{TWO}\nb\nNOTE x\n"), ["a", "b/NOTE x"], &[]),
    ] {
        assert_eq!(told(&file), (texts.map(str::to_owned).to_vec(), places.to_vec()), "{file}");
    }
}

#[test]
fn ids_that_are_names_are_who_speaks() {
    let file = |ids: [&str; 3]| {
        let cues = ids.iter().zip(1..).map(|(id, at)| format!("\n{id}\n00:0{at}.000 --> 00:0{at}.900\nt{at}\n"));
        format!("WEBVTT\n{}", cues.collect::<String>())
    };
    for (ids, is_one) in [
        (["Speaker 1", "Speaker 2", "Speaker 1"], true),
        (["Ann Lee", "Ben", "Ann Lee"], true),
        (["Intro", "Chapter 1", "Chapter 2"], false),
        (["Ann", "Ben", "Carl"], false),
        (["a-1", "a-2", "a-3"], false),
    ] {
        let reading = read(&file(ids), TranscriptBuilder::default());
        let speakers: Vec<_> = reading.lines.iter().map(|line| line.content.speaker.as_deref()).collect();
        assert_eq!(speakers, ids.map(|id| Some(id).filter(|_| is_one)), "{ids:?}");
    }
}

#[test]
fn files_put_together_stand_one_behind_the_other() {
    let starts = |file: &str| -> Vec<i64> {
        let reading = read(file, TranscriptBuilder::default());
        reading.lines.iter().filter_map(|line| Some(line.content.start_ms? / 1000)).collect()
    };
    let two = "00:01.000 --> 00:02.000\na\n\n00:03.000 --> 00:04.000\nb";
    let counted = "1\n00:01.000 --> 00:02.000\na\n\n2\n00:03.000 --> 00:04.000\nb";
    for (file, expected) in [
        (format!("WEBVTT\n\n{two}\n\nWEBVTT\n\n{two}\n"), vec![1, 3, 6, 8]),
        (format!("WEBVTT\n\n{two}\nWEBVTT\n\n{two}\n"), vec![1, 3, 6, 8]),
        (format!("WEBVTT\n\n{two}.WEBVTT\n\n{two}\n"), vec![1, 3, 6, 8]),
        (format!("WEBVTT\n\n{two}\nWEBVTT\n\n00:02.000 --> 00:04.000\nc\n"), vec![1, 3, 7]),
        (format!("WEBVTT\n\n{counted}\n{counted}\n"), vec![1, 3, 6, 8]),
        // Segments without a map count on one axis: the cue at their border is in both.
        (
            [
                "WEBVTT",
                "00:01.000 --> 00:04.000\na",
                "00:05.000 --> 00:12.000\nb",
                "00:09.000 --> 00:12.000\nc",
                "WEBVTT",
                "00:05.000 --> 00:12.000\nb",
                "00:12.000 --> 00:13.000\nd",
            ]
            .join("\n\n"),
            vec![1, 5, 9, 5, 12],
        ),
    ] {
        assert_eq!(starts(&file), expected, "{file}");
    }
}

#[test]
fn a_file_of_odd_settings_and_regions_is_read_in_one_pass() {
    let odd = "é:x ".repeat(300_000);
    let regions: String = (0..20_000).map(|at| format!("REGION\nid:r{at}\n\n")).collect();
    let cues: String = (0..20_000).map(|at| format!("00:01.000 --> 00:02.000 region:r{at}\na\n\n")).collect();
    let file = format!("WEBVTT\n\n{regions}{cues}00:03.000 --> 00:04.000 {odd}\nb\n");
    let reading = read(&file, TranscriptBuilder::default());
    assert_eq!(reading.lines.len(), 20_001);
    let places: Vec<_> = reading.problems.iter().take(3).map(|problem| problem.column).collect();
    assert_eq!(places, [25, 29, 33]);
}
