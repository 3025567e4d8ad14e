//! Subtitles by another reader: what is written here, `fasrt` reads as the same cues; and real files of others.

use std::collections::BTreeSet;

use captionwire::format::{Document, FileKind, Format, read, write};
use fasrt::vtt::Block;
use proptest::prelude::*;

use super::{IMPORTED_AT, data, export, feed, fold, version};

/// Start, end and text of each cue.
type Cues = Vec<(u128, u128, String)>;

fn by_fasrt_vtt(written: &str) -> Cues {
    let mut ids = BTreeSet::new();
    let blocks = fasrt::vtt::Parser::new(written).map(|block| block.expect("valid for the other reader"));
    let cues = blocks.filter_map(|block| match block {
        Block::Cue(cue) => {
            let header = cue.header_ref();
            if let Some(id) = header.identifier() {
                assert!(ids.insert(id.as_str().to_owned()), "{} stands twice", id.as_str());
            }
            let (start, end) = (header.start().to_duration(), header.end().to_duration());
            Some((start.as_millis(), end.as_millis(), (*cue.body_ref()).to_owned()))
        }
        _ => None,
    });
    cues.collect()
}

fn by_fasrt_srt(written: &str) -> Cues {
    let cues = fasrt::srt::Parser::strict(written).enumerate().map(|(at, entry)| {
        let entry = entry.expect("valid for the other reader");
        let header = entry.header_ref();
        assert_eq!(header.index().map(|index| index.get()), Some(at as u64 + 1));
        let (start, end) = (header.start().to_duration(), header.end().to_duration());
        (start.as_millis(), end.as_millis(), (*entry.body_ref()).to_owned())
    });
    cues.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// The other reader finds every line, at its times.
    #[test]
    fn the_other_reader_finds_every_line(
        lines in prop::collection::vec((0..3_000_000_i64, 500..5_000_i64, "[A-Z][a-z]{1,8}", "[a-zA-Z&<>,. ]{0,40}[a-z]"), 1..20)
    ) {
        let versions = lines.iter().enumerate().map(|(id, (start, length, speaker, text))| {
            let mut version = version(&id.to_string(), *start, Some(speaker), text);
            version.content.end_ms = Some(start + length);
            version
        });
        let transcript = fold(Default::default(), versions.collect(), vec![]);
        let mut expected: Vec<_> = lines.iter().map(|(start, length, ..)| (*start as u128, (start + length) as u128)).collect();
        expected.sort_by_key(|(start, _)| *start);
        for (format, cues) in [
            (Format::Vtt, by_fasrt_vtt(&export(Format::Vtt, &transcript))),
            (Format::Srt, by_fasrt_srt(&export(Format::Srt, &transcript))),
        ] {
            let times: Vec<_> = cues.iter().map(|(start, end, _)| (*start, *end)).collect();
            prop_assert_eq!(&times, &expected, "{:?}", format);
        }
        // And our own reader says of our own writing what was written.
        let reading = read(export(Format::Vtt, &transcript).as_bytes(), None).expect("it can be read");
        prop_assert_eq!(reading.problems, vec![]);
        let written: Vec<_> = transcript.assembled().flat_map(|(_, lines)| lines).collect();
        for (read, line) in reading.lines.iter().zip(&written) {
            let content = &read.content;
            prop_assert_eq!((content.start_ms, content.end_ms), (Some(line.start_ms), line.end_ms));
            prop_assert_eq!((&content.speaker, content.text.trim()), (&line.speaker, line.text.trim()));
        }
    }
}

/// Names of any characters, and texts that begin as if somebody were named.
fn names() -> impl Strategy<Value = Option<String>> {
    let known = [
        "Ann",
        "A",
        "7",
        "Dr. A. B. Smith-Jones (BBC)",
        "10:30",
        "Q: A",
        "--",
        "-",
        ">>",
        ">> Ann",
        "O'Brien",
        "O\u{2019}Brien",
        "\u{674E}\u{660E}",
        "[Ann]",
        "ann lee | ACME, Inc.",
        "a@example.org",
        "Ann & Ben",
        "MAN",
        "Speaker 1",
        "Ann:",
        "1 --> 2",
    ];
    let odd = prop::sample::select(known.to_vec()).prop_map(str::to_owned);
    let any = "[A-Za-z0-9 :&()>.,'\u{4e00}-\u{4e20}-]{1,60}";
    prop_oneof![2 => Just(None), 4 => odd.prop_map(Some), 4 => any.prop_map(Some)]
}

fn text_that_misleads() -> impl Strategy<Value = String> {
    let head = prop::sample::select(vec![
        "",
        "",
        "Note: ",
        "Ann: ",
        "MAN: ",
        "[Ann]: ",
        ">> ",
        ">> Ann: ",
        "Speaker 2: ",
        "a\u{A0}:\u{A0}b ",
    ]);
    (head, "[A-Za-z][a-z:]{0,8}( [a-z0-9]{1,9}){0,6}").prop_map(|(head, text)| format!("{head}{text}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is written is read: the same lines, by the same speakers, in the same order.
    #[test]
    fn who_speaks_is_read_as_it_was_written(lines in prop::collection::vec((names(), text_that_misleads()), 1..8)) {
        let versions = (0..).zip(&lines).map(|(at, (speaker, text))| {
            let mut version = version(&at.to_string(), at * 3_000, speaker.as_deref(), text);
            version.content.end_ms = Some(at * 3_000 + 2_000);
            version
        });
        let transcript = fold(Default::default(), versions.collect(), vec![]);
        // A name has one line, and no blank more than one; an arrow is none.
        let plain = |name: &str| name.split_whitespace().collect::<Vec<_>>().join(" ").replace("-- >", "-->");
        let expected: Vec<_> = lines.iter().map(|(speaker, text)| {
            let speaker = speaker.as_deref().map(plain).filter(|name| !name.is_empty());
            (speaker, text.trim().to_owned())
        }).collect();
        for format in [Format::Vtt, Format::Srt, Format::Ttml] {
            let written = export(format, &transcript);
            let reading = read(written.as_bytes(), None).expect("it can be read");
            prop_assert_eq!(&reading.problems, &vec![], "{}", written);
            let read: Vec<_> = reading.lines.iter().map(|line| {
                let speaker = line.content.speaker.as_deref().map(|name| name.replace("-- >", "-->"));
                (speaker, line.content.text.to_string())
            }).collect();
            prop_assert_eq!(&read, &expected, "{}", written);
        }
    }
}

#[test]
fn every_subtitle_file_of_others_is_read_and_written_again() {
    let Some(folder) = data("every_subtitle_file_of_others_is_read_and_written_again") else { return };
    for (path, kind, cues, problems) in [
        ("council_captions/brief_080221_2012161.vtt", FileKind::Vtt, 36, 0),
        ("council_captions/fake_caption.vtt", FileKind::Vtt, 18, 0),
        ("samples/wpt/wpt-file-parsing/arrows.vtt", FileKind::Vtt, 6, 9),
        ("samples/wpt/wpt-file-parsing/ids.vtt", FileKind::Vtt, 5, 0),
        ("samples/wpt/wpt-file-parsing/settings-multiple.vtt", FileKind::Vtt, 2, 0),
        ("samples/wpt/wpt-file-parsing/timings-60.vtt", FileKind::Vtt, 2, 4),
        ("samples/astisub/example-in.vtt", FileKind::Vtt, 6, 10),
        ("samples/astisub/example-in.srt", FileKind::Srt, 6, 0),
    ] {
        let bytes = std::fs::read(folder.join(path)).expect("a file");
        let reading = read(&bytes, Some(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        let found = (reading.kind, reading.lines.len(), reading.problems.len());
        assert_eq!(found, (kind, cues, problems), "{path}: {:#?}", reading.problems);
        let document = Document::of_reading(&feed(), &reading, IMPORTED_AT);
        let (vtt, srt) = (write(Format::Vtt, &document), write(Format::Srt, &document));
        assert_eq!((by_fasrt_vtt(&vtt).len(), by_fasrt_srt(&srt).len()), (cues, cues), "{path}\n{vtt}\n{srt}");
    }
}
