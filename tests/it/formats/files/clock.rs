//! Clocks that start over inside a file: the order of the file is the order of speech, in every format that is written so.

use captionwire::format::{Document, FileKind, Format, ParsedTranscript, read, write};

use super::{IMPORTED_AT, feed};

/// Four lines at 0:10 and 5:00, and then at 0:00 and 4:00 again, as each format has them; with the line of the third.
fn in_two_parts() -> Vec<(FileKind, usize, String)> {
    let lines = [(10, 12), (300, 301), (0, 2), (240, 241)];
    let said = |index: usize| ["one", "two", "three", "four"][index];
    let all = |line: &dyn Fn(usize, u32, u32) -> String| -> String {
        lines.iter().enumerate().map(|(index, (start, end))| line(index, *start, *end)).collect()
    };
    let clock = |at: u32, mark: &str| format!("00:{:02}:{:02}{mark}000", at / 60, at % 60);
    let who = |index: usize| ["Ann", "Ben"][index % 2];
    let listed = |head: &str, items: String, tail: &str| format!("{head}\n{}\n{tail}", items.trim_end_matches(",\n"));
    vec![
        (
            FileKind::Rev,
            5,
            all(&|i, start, _| format!("{}: ({:02}:{:02})\n{}\n", who(i), start / 60, start % 60, said(i))),
        ),
        (
            FileKind::Names,
            5,
            all(&|i, start, _| format!("{}: 00:{:02}:{:02}\n{}\n", who(i), start / 60, start % 60, said(i))),
        ),
        (
            FileKind::Markdown,
            5,
            all(&|i, start, _| format!("**{}:** \\[{:02}:{:02}\\] {}\n\n", who(i), start / 60, start % 60, said(i))),
        ),
        (
            FileKind::Srt,
            10,
            all(&|i, start, end| {
                format!("{}\n{} --> {}\n{}: {}\n\n", i + 1, clock(start, ","), clock(end, ","), who(i), said(i))
            }),
        ),
        (
            FileKind::Vtt,
            9,
            "WEBVTT\n\n".to_owned()
                + &all(&|i, start, end| {
                    format!("{} --> {}\n<v {}>{}\n\n", clock(start, "."), clock(end, "."), who(i), said(i))
                }),
        ),
        (
            FileKind::Podcast,
            4,
            listed(
                "{\"version\":\"1.0.0\",\"segments\":[",
                all(&|i, start, end| {
                    let (who, said) = (who(i), said(i));
                    format!("{{\"startTime\":{start},\"endTime\":{end},\"speaker\":\"{who}\",\"body\":\"{said}\"}},\n")
                }),
                "]}",
            ),
        ),
        (
            FileKind::RevJson,
            4,
            listed(
                "{\"monologues\":[",
                all(&|i, start, end| {
                    let (who, said) = (who(i), said(i));
                    format!(
                        "{{\"speaker_info\":{{\"display_name\":\"{who}\"}},\"elements\":[\
                         {{\"type\":\"text\",\"value\":\"{said}\",\"ts\":{start},\"end_ts\":{end}}}]}},\n"
                    )
                }),
                "]}",
            ),
        ),
        (
            FileKind::Ndjson,
            3,
            all(&|i, start, end| {
                let (who, said) = (who(i), said(i));
                let (start, end) = (start * 1000, end * 1000);
                format!("{{\"start_ms\":{start},\"end_ms\":{end},\"speaker\":\"{who}\",\"text\":\"{said}\"}}\n")
            }),
        ),
        (
            FileKind::Nlp,
            4,
            "token|speaker|ts|endTs|punctuation\n".to_owned()
                + &all(&|i, start, end| format!("{}|{}|{start}|{end}|\n", said(i), who(i))),
        ),
    ]
}

fn said(reading: &ParsedTranscript) -> Vec<(Option<i64>, String)> {
    let lines = Document::of_reading(&feed(), reading, IMPORTED_AT);
    let lines = lines.turns.into_iter().flat_map(|(_, lines)| lines);
    lines.map(|line| (Some(line.start_ms), line.text.to_string())).collect()
}

#[test]
fn a_clock_that_starts_over_begins_a_part_behind_the_one_before() {
    for (kind, at, file) in in_two_parts() {
        let reading = read(file.as_bytes(), None).unwrap_or_else(|error| panic!("{kind}: {error}\n{file}"));
        assert_eq!(reading.kind, kind, "{file}");
        // Formats that have no ends know less of when the first part was over.
        let begin = if reading.lines[1].content.end_ms.is_some() { 302_000 } else { 301_000 };
        let expected = [(10_000, "one"), (300_000, "two"), (begin, "three"), (begin + 240_000, "four")];
        assert_eq!(said(&reading), expected.map(|(start, text)| (Some(start), text.to_owned())), "{kind}\n{file}");
        let told: Vec<_> = reading.problems.iter().map(|problem| (problem.line, &problem.message)).collect();
        assert!(
            matches!(told[..], [(line, message)] if line == at && message.contains("starts over")),
            "{kind}: {told:?}"
        );
        // The times inside lines and cues move along.
        let words = reading.lines[2].content.words.first().map_or(begin, |word| word.start_ms);
        assert_eq!(words, begin, "{kind}");
        // Written in any format and read again, it has the same order, and nothing goes back any more.
        for format in Format::ALL.into_iter().filter(|format| *format != Format::Txt) {
            let written = write(format, &Document::of_reading(&feed(), &reading, IMPORTED_AT));
            let again = read(written.as_bytes(), Some(&format!("x.{}", format.extension()))).expect("it can be read");
            let texts: Vec<_> = said(&again).into_iter().map(|(_, text)| text).collect();
            assert_eq!(texts, ["one", "two", "three", "four"], "{kind} to {format}:\n{written}");
            assert_eq!(again.problems, vec![], "{kind} to {format}:\n{written}");
        }
    }
}

/// An export that somebody made of two: ids and revisions stay, times are carried on.
#[test]
fn an_export_put_together_of_two_is_carried_on() {
    let part = |source: &str, text: &str, first: &str| {
        let lines = format!("{{\"start_ms\":{first},\"end_ms\":2000,\"speaker\":\"A\",\"text\":\"{text}\"}}\n");
        lines + &format!("{{\"start_ms\":400000,\"speaker\":\"A\",\"text\":\"{text} {source}\"}}\n")
    };
    let export = |file: String| {
        let reading = read(file.as_bytes(), None).expect("rows");
        write(Format::Ndjson, &Document::of_reading(&feed(), &reading, IMPORTED_AT))
    };
    let first = export(part("main", "one", "1000"));
    let second = export(part("main", "two", "0")).replace("\"id\":\"", "\"id\":\"b");
    let both = read((first + &second).as_bytes(), None).expect("rows");
    let expected = [(1_000, "one"), (400_000, "one main"), (401_000, "two"), (801_000, "two main")];
    assert_eq!(said(&both), expected.map(|(start, text)| (Some(start), text.to_owned())));
    assert_eq!(both.problems.iter().filter(|problem| problem.message.contains("starts over")).count(), 1);
}

/// In TTML times rule, and in the segments of a stream: a line that begins earlier stands earlier.
#[test]
fn where_times_rule_no_clock_starts_over() {
    let ttml = "<tt xmlns=\"http://www.w3.org/ns/ttml\"><body><div><p begin=\"300s\" end=\"301s\">two</p>\
                <p begin=\"0s\" end=\"1s\">one</p><p begin=\"200s\" end=\"201s\">between</p></div></body></tt>";
    let texts = |reading: &ParsedTranscript| said(reading).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
    assert_eq!(texts(&read(ttml.as_bytes(), None).expect("TTML")), ["one", "between", "two"]);
    // A smaller step back is a line that stands elsewhere.
    let rev = "A: (05:00)\ntwo\nA: (04:30)\none\nA: (05:10)\nthree\n";
    assert_eq!(texts(&read(rev.as_bytes(), None).expect("rev")), ["one", "two", "three"]);
}
