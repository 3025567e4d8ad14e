//! What is written and read again: our own formats give back the feed, the others what they can say.

use captionwire::format::{Document, FileKind, Format, read, read_as, write};
use captionwire::position::{Epoch, Offset};
use captionwire::transcript::{FoldView, Line, Op, Record, Speaker, Timestamp, Transcript, TurnSettings};
use proptest::prelude::*;

use super::{IMPORTED_AT, Range, export, feed, fold, small_event, version};

/// What stands in a transcript: lines, speakers, what is known of the feed and how it stands.
fn facts(transcript: &Transcript) -> (Vec<Line>, Vec<Speaker>, String) {
    let lines = transcript.assembled().flat_map(|(_, lines)| lines).collect();
    (lines, transcript.speakers(), format!("{:?} {:?}", transcript.meta(), transcript.state()))
}

/// The feed that an imported file becomes.
fn imported(file: &str) -> Transcript {
    let reading = read(file.as_bytes(), None).expect("it can be read");
    assert_eq!((reading.problems.len(), reading.losses.len()), (0, 0), "{reading:?}");
    let open = Op::Open { epoch: Epoch::new("e2"), settings: TurnSettings::default(), imported: true };
    let records = std::iter::once(Record::new(IMPORTED_AT, open)).chain(reading.records(Timestamp(7)));
    let mut transcript = Transcript::new(FoldView::FinalOnly);
    for (offset, record) in (0..).zip(records) {
        transcript.apply(Offset(offset), record);
    }
    transcript
}

/// The final lines of `small_event`, which has an interim one.
fn final_event() -> Transcript {
    imported(&export(Format::Json, &small_event()))
}

#[test]
fn our_own_formats_give_back_the_feed() {
    let event = final_event();
    assert_eq!(event.counts(), (7, 6));
    for format in [Format::Json, Format::Ndjson] {
        assert_eq!(facts(&imported(&export(format, &event))), facts(&event), "{format}");
    }
}

#[test]
fn the_records_of_a_log_give_back_all_of_it() {
    let ops = [
        Op::Line {
            source: "a".into(),
            lines: vec![version("1", 1_000, Some("S1"), "one"), version("2", 2_000, None, "two")],
        },
        Op::Line { source: "b".into(), lines: vec![version("1", 1_500, Some("S2"), "other")] },
        Op::Line { source: "a".into(), lines: vec![version("1", 1_200, Some("S1"), "corrected")] },
        Op::Retract { source: "a".into(), id: "2".into(), rev: None },
        Op::Rename { speaker: "S1".into(), name: "Ann".into(), kind: None },
        Op::Merge { from: "S2".into(), into: "S1".into() },
        Op::End,
    ];
    let records: Vec<Record> = (10..).zip(ops).map(|(at, op)| Record::new(Timestamp(at), op)).collect();
    let mut direct = Transcript::new(FoldView::FinalOnly);
    let open = Op::Open { epoch: Epoch::new("e2"), settings: TurnSettings::default(), imported: true };
    let opening = Record::new(IMPORTED_AT, open);
    for (offset, record) in (0..).zip(std::iter::once(&opening).chain(&records)) {
        direct.apply(Offset(offset), record.clone());
    }
    let rows = |records: &[Record]| -> String {
        records.iter().map(|record| String::from_utf8(record.encode().to_vec()).expect("JSON") + "\n").collect()
    };
    let file = rows(&[&[opening], records.as_slice()].concat());
    assert_eq!(facts(&imported(&file)), facts(&direct));
    // And the records themselves: what was corrected and retracted is there.
    let reading = read(file.as_bytes(), None).expect("it can be read");
    assert_eq!(reading.history.as_deref(), Some(records.as_slice()));
    // A row that a newer release wrote is told, and the others are read.
    let newer = file + "{\"op\":\"line.dream\",\"received_at\":\"2026-01-01T00:00:00Z\"}\n{broken\n";
    let reading = read(newer.as_bytes(), None).expect("it can be read");
    let told: Vec<_> =
        reading.problems.iter().map(|problem| (problem.line, problem.message.contains("left out"))).collect();
    assert_eq!(told, [(9, true), (10, true)], "{:?}", reading.problems);
}

type Spoken = (Option<i64>, Option<i64>, Option<String>, String);

fn spoken(lines: impl Iterator<Item = (Option<i64>, Option<i64>, Option<String>, String)>) -> Vec<Spoken> {
    lines.collect()
}

fn reread(kind: FileKind, written: &str) -> Vec<Spoken> {
    let reading = read(written.as_bytes(), None).unwrap_or_else(|error| panic!("{error}: {written}"));
    assert_eq!(reading.kind, kind, "{written}");
    assert_eq!(reading.problems, vec![], "{written}");
    spoken(reading.lines.iter().map(|line| {
        let content = &line.content;
        let speaker = content.speaker.as_deref().map(str::to_owned);
        (content.start_ms, content.end_ms, speaker, content.text.to_string())
    }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// import(export(x)) = x, whatever was said, corrected, renamed and merged.
    #[test]
    fn our_own_formats_give_back_any_feed(
        lines in prop::collection::vec(
            (0..40_u32, prop::option::of(0..50_000_i64), prop::option::of("[A-D]"), "\\PC{0,20}", any::<bool>()), 1..30),
        renames in prop::collection::vec(("[A-E]", "\\PC{1,8}"), 0..4),
        merges in prop::collection::vec(("[A-E]", "[A-E]"), 0..4),
        is_over in any::<bool>(),
    ) {
        let mut ops: Vec<Op> = lines.iter().map(|(id, start_ms, speaker, text, is_first)| {
            let mut version = version(&id.to_string(), 0, speaker.as_deref(), text);
            version.content.start_ms = *start_ms;
            if start_ms.is_none() {
                version.arrival_ms = Some(i64::from(*id) * 100);
            }
            Op::Line { source: if *is_first { "a".into() } else { "b".into() }, lines: vec![version] }
        }).collect();
        ops.extend(renames.iter().map(|(speaker, name)| Op::Rename { speaker: (**speaker).into(), name: (**name).into(), kind: None }));
        ops.extend(merges.iter().map(|(from, into)| Op::Merge { from: (**from).into(), into: (**into).into() }));
        let open = Op::Open { epoch: Epoch::new("e2"), settings: TurnSettings::default(), imported: true };
        let mut transcript = Transcript::new(FoldView::FinalOnly);
        let all = std::iter::once(open).chain(ops).chain(is_over.then_some(Op::End));
        for (offset, op) in (0..).zip(all) {
            transcript.apply(Offset(offset), Record::new(Timestamp(1_000 + i64::try_from(offset).unwrap_or(0)), op));
        }
        prop_assume!(transcript.counts().0 > 0);
        for format in [Format::Json, Format::Ndjson] {
            let again = imported(&export(format, &transcript));
            let ((lines, speakers, meta), (expected, all, facts)) = (facts(&again), facts(&transcript));
            prop_assert_eq!(&lines, &expected, "{}", export(format, &transcript));
            prop_assert_eq!(&meta, &facts);
            // Whoever has a line, a name or is merged: one whose only line was taken back is met no more, which may
            // change the order of the others.
            let known = |mut speakers: Vec<Speaker>| {
                speakers.retain(|one| {
                    let speaks = expected.iter().any(|line| line.speaker.as_deref() == Some(&*one.id));
                    speaks || one.name != one.id || one.into.is_some()
                });
                speakers.sort_by(|a, b| a.id.cmp(&b.id));
                speakers
            };
            prop_assert_eq!(known(speakers), known(all));
        }
    }

    /// TTML, Podcast JSON and Rev JSON keep who says what, and when; what each cannot say is left out here.
    #[test]
    fn the_others_keep_who_says_what_and_when(
        lines in prop::collection::vec(
            (0..50_000_i64, prop::option::of(500..5_000_i64), prop::option::of("[A-Z][a-z]{1,6}( [A-Z][a-z]{1,6})?"),
             "[A-Za-z&<>]{1,9}(,? [a-z<\"&']{1,9}){0,8}[.?!]"), 1..12)
    ) {
        let versions = lines.iter().enumerate().map(|(id, (start, length, speaker, text))| {
            let mut version = version(&id.to_string(), *start, speaker.as_deref(), text);
            version.content.end_ms = length.map(|length| start + length);
            version
        });
        let transcript = fold(Default::default(), versions.collect(), vec![]);
        let written = spoken(transcript.assembled().flat_map(|(_, lines)| lines).map(|line| {
            (Some(line.start_ms), line.end_ms, line.speaker.as_deref().map(str::to_owned), line.text.to_string())
        }));
        prop_assert_eq!(&reread(FileKind::Ttml, &export(Format::Ttml, &transcript)), &written);
        prop_assert_eq!(&reread(FileKind::Podcast, &export(Format::Podcast, &transcript)), &written);
        prop_assert_eq!(&reread(FileKind::RevJson, &export(Format::RevJson, &transcript)), &written);
        // Markdown has the starts of turns, in seconds.
        let markdown = export(Format::Md, &transcript);
        let read = read_as(FileKind::Markdown, markdown.as_bytes()).expect("it can be read");
        let said = |(speaker, text): (Option<&str>, &str)| (speaker.map(str::to_owned), text.to_owned());
        let read: Vec<_> = read.lines.iter().map(|line| said((line.content.speaker.as_deref(), &line.content.text))).collect();
        let written: Vec<_> = written.iter().map(|(_, _, speaker, text)| said((speaker.as_deref(), text))).collect();
        prop_assert_eq!(read, written, "{}", markdown);
    }

    /// Whatever is said, TTML is well-formed XML that holds it.
    #[test]
    fn ttml_is_well_formed_whatever_the_lines_say(texts in prop::collection::vec("(\\PC|[<>&\\x00-\\x1f\u{fffe}]){1,30}", 1..6)) {
        let versions = texts.iter().enumerate().map(|(id, text)| version(&id.to_string(), 1_000, Some(text), text));
        let transcript = fold(Default::default(), versions.collect(), vec![]);
        let written = export(Format::Ttml, &transcript);
        prop_assert!(!written.contains(|c: char| c < ' ' && c != '\n' && c != '\t'), "{}", written);
        let mut xml = quick_xml::Reader::from_str(&written);
        let mut depth = 0_i32;
        loop {
            match xml.read_event().expect("well-formed") {
                quick_xml::events::Event::Start(_) => depth += 1,
                quick_xml::events::Event::End(_) => depth -= 1,
                quick_xml::events::Event::Eof => break,
                _ => {}
            }
        }
        prop_assert_eq!(depth, 0);
    }
}

/// Times of words survive where the format has them.
#[test]
fn times_of_words_survive_in_rev_json() {
    let file = r#"{"monologues":[{"speaker":0,"speaker_info":{"id":"0","display_name":"MC"},"elements":[
        {"type":"text","value":"BBC","ts":2.5,"end_ts":2.75,"confidence":0.5},{"type":"punct","value":" "},
        {"type":"text","value":"news","ts":3.0,"end_ts":3.25,"confidence":1.0},{"type":"punct","value":"."}]}]}"#;
    let reading = read(file.as_bytes(), None).expect("it can be read");
    let words: Vec<_> =
        reading.lines[0].content.words.iter().map(|word| (&*word.text, word.start_ms, word.end_ms)).collect();
    assert_eq!(
        (words, &*reading.lines[0].content.text),
        (vec![("BBC", 2_500, Some(2_750)), ("news", 3_000, Some(3_250))], "BBC news.")
    );
    let written = write(Format::RevJson, &Document::of_reading(&feed(), &reading, IMPORTED_AT));
    let again = read(written.as_bytes(), None).expect("it can be read");
    assert_eq!(again.lines, reading.lines, "{written}");
}

/// A writer that took the square of the lines would not end in any time that a test has.
#[test]
fn ten_thousand_lines_are_written_whole() {
    let text = |id: i64| format!("So many words are about what is said in two lines of captions, w{id}w");
    let lines =
        (0..10_000).map(|id| version(&id.to_string(), id * 2_000, Some(&format!("Speaker {}", id % 7)), &text(id)));
    let transcript = fold(Default::default(), lines.collect(), vec![]);
    let document = Document::of(&feed(), &transcript, Range::default());
    for format in Format::ALL {
        let written = write(format, &document);
        for id in [0, 4_999, 9_999] {
            assert!(written.contains(&format!("w{id}w")), "{format}: {id}");
        }
    }
}

/// What a reading shows, as who says what when, and what was told of it.
fn shown(file: &str) -> (Vec<String>, Vec<String>) {
    let reading = read(file.as_bytes(), None).expect("it can be read");
    let document = Document::of_reading(&feed(), &reading, IMPORTED_AT);
    let names = |id: &str| document.speakers.iter().find(|speaker| &*speaker.id == id).map(|speaker| &*speaker.name);
    let lines = document.turns.iter().flat_map(|(_, lines)| lines);
    let lines = lines.map(|line| {
        let name = line.speaker.as_deref().map_or("-", |id| names(id).unwrap_or(id));
        format!("{} {name}: {}", line.start_ms, line.text)
    });
    let told = reading.problems.iter().map(|problem| format!("{}: {}", problem.line, problem.message));
    (lines.collect(), told.collect())
}

/// A file as `convert` writes one: of no life of any feed.
fn export_of(lines: &[(i64, Option<&str>, &str)], more: Vec<Op>, format: Format) -> String {
    let lines =
        lines.iter().zip(1..).map(|((start, speaker, text), id)| version(&format!("{id}"), *start, *speaker, text));
    export(format, &fold(Default::default(), lines.collect(), more)).replace("\"epoch\":\"e1\"", "\"epoch\":null")
}

fn rename(speaker: &str, name: &str) -> Op {
    Op::Rename { speaker: speaker.into(), name: name.into(), kind: None }
}

#[test]
fn nothing_of_files_put_together_takes_the_place_of_anything_else() {
    let one = export_of(&[(1_000, Some("S1"), "one"), (3_000, None, "two")], vec![rename("S1", "Ann")], Format::Ndjson);
    let other =
        export_of(&[(2_000, Some("S1"), "three"), (4_000, None, "four")], vec![rename("S1", "Ben")], Format::Ndjson);
    let all = ["1000 Ann: one", "2000 Ben: three", "3000 -: two", "4000 -: four"];
    let (lines, told) = shown(&format!("{one}{other}"));
    assert_eq!(lines, all);
    // Once for each id, of lines and of speakers.
    let count = |told: &[String], what: &str| told.iter().filter(|told| told.contains(what)).count();
    assert_eq!(count(&told, "stands for another line further up: both are kept"), 2, "{told:?}");
    assert_eq!(count(&told, "has another name further up: both are kept"), 1, "{told:?}");
    // Without the rows that say where the other begins.
    let lines_of = |file: &str| {
        file.lines().filter(|row| row.contains("\"type\":\"line\"")).map(|row| format!("{row}\n")).collect::<String>()
    };
    let (lines, told) = shown(&format!("{one}{}", lines_of(&other)));
    assert_eq!(lines, all.map(|line| line.replace("Ben", "Ann")), "{told:?}");
    assert_eq!(count(&told, "stands for another line"), 2, "{told:?}");
    // The same file twice is that file.
    let (lines, told) = shown(&format!("{one}{one}"));
    assert_eq!((lines, told.len()), (vec![all[0].to_owned(), all[2].to_owned()], 2));
    // A line by hand, of somebody who is called so, between the others and without a time.
    let by_hand = "{\"type\":\"line\",\"start_ms\":2500,\"speaker\":\"Ann\",\"text\":\"by hand\"}\n\
                   {\"id\":\"1\",\"speaker\":\"Cem\",\"text\":\"later\"}\n";
    let (lines, told) = shown(&format!("{one}{by_hand}"));
    assert_eq!(lines, [all[0], "2500 Ann: by hand", "2501 Cem: later", all[2]]);
    assert_eq!((told.len(), count(&told, "stands for another line")), (1, 1), "{told:?}");
}

#[test]
fn clocks_that_start_over_in_files_put_together_lose_no_line() {
    let one = export_of(&[(10_000, None, "one"), (300_000, None, "two")], vec![], Format::Ndjson);
    let other = export_of(&[(1_000, None, "three"), (3_000, None, "four")], vec![], Format::Ndjson);
    let (lines, told) = shown(&format!("{one}{other}"));
    assert_eq!(lines, ["10000 -: one", "300000 -: two", "302000 -: three", "304000 -: four"]);
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn logs_and_rows_put_together_lose_no_line() {
    let record = |epoch: &str, text: &str, speaker: &str| -> String {
        let ops = [
            Op::Open { epoch: Epoch::new(epoch), settings: TurnSettings::default(), imported: true },
            Op::Line { source: epoch.into(), lines: vec![version("1", 1_000, Some("S1"), "draft")] },
            Op::Line { source: epoch.into(), lines: vec![version("1", 1_000, Some("S1"), text)] },
            Op::Line { source: epoch.into(), lines: vec![version("2", 2_000, None, "gone")] },
            Op::Retract { source: epoch.into(), id: "2".into(), rev: None },
            rename("S1", speaker),
            Op::End,
        ];
        let rows = (10..).zip(ops).map(|(at, op)| Record::new(Timestamp(at), op).encode());
        rows.map(|row| String::from_utf8(row.to_vec()).expect("JSON") + "\n").collect()
    };
    let (one, other) = (record("e1", "one", "Ann"), record("e2", "two", "Ben"));
    assert_eq!(shown(&format!("{one}{other}")).0, ["1000 Ann: one", "1000 Ben: two"]);
    // The same log twice, and with what was exported of it.
    assert_eq!(shown(&format!("{one}{one}")).0, ["1000 Ann: one"]);
    let exported = export(Format::Ndjson, &imported(&one));
    assert_eq!(shown(&format!("{one}{exported}")).0, ["1000 Ann: one"]);
    let by_hand = "{\"start_ms\":500,\"speaker\":\"Ann\",\"text\":\"by hand\"}\n";
    assert_eq!(shown(&format!("{one}{by_hand}")).0, ["500 Ann: by hand", "1000 Ann: one"]);
    let exported = export_of(&[(1_000, None, "three")], vec![], Format::Ndjson);
    assert_eq!(shown(&format!("{one}{exported}")).0, ["1000 Ann: one", "1000 -: three"]);
}

#[test]
fn one_json_with_an_id_twice_keeps_both_lines() {
    let file = export_of(&[(1_000, None, "one")], vec![], Format::Json);
    let line = &file[file.find("\"lines\":[").expect("lines") + 9..file.find("]}]").expect("their end")];
    let twice = file.replace(line, &format!("{line},{}", line.replace("\"one\"", "\"two\"")));
    let (lines, told) = shown(&twice);
    assert_eq!((lines, told.len()), (vec!["1000 -: one".to_owned(), "1000 -: two".to_owned()], 1));
}

#[test]
fn rows_as_publishers_send_them_are_read_as_the_server_takes_them() {
    let words = "\"words\":[{\"text\":\"Good\",\"start_ms\":44000},{\"text\":\"evening.\",\"start_ms\":44300}]";
    let rows = [
        "{\"type\":\"line\",\"id\":\"1\",\"start_ms\":41000,\"speaker\":\"Ann\",\"text\":\"Good eve\",\"status\":\"interim\"}".to_owned(),
        "{\"type\":\"line\",\"id\":\"1\",\"start_ms\":41000,\"speaker\":\"Ann\",\"text\":\"Good evening, all.\"}".to_owned(),
        format!("{{\"type\":\"line\",\"id\":\"2\",\"start_ms\":44000,\"speaker\":\"Ben\",\"text\":\"Good evening.\",{words}}}"),
        "{\"type\":\"retract\",\"id\":\"2\"}".to_owned(),
        "{\"type\":\"end\"}".to_owned(),
    ];
    let file = |rows: &[String]| rows.join("\n") + "\n";
    assert_eq!(shown(&file(&rows)), (vec!["41000 Ann: Good evening, all.".to_owned()], vec![]));
    let reading = read(file(&rows[..3]).as_bytes(), None).expect("rows");
    let words: Vec<_> = reading.lines.iter().map(|line| (&*line.id, line.content.words.len())).collect();
    assert_eq!(words, [("1", 0), ("2", 2)]);
    // In any order a guess takes no final line's place; what is said again after it was taken back is there again.
    let table: &[(&[&str], &[&str], &[&str])] = &[
        (
            &[
                "{\"id\":\"a\",\"start_ms\":1,\"text\":\"final\"}",
                "{\"id\":\"a\",\"start_ms\":1,\"text\":\"guess\",\"status\":\"interim\"}",
            ],
            &["1 -: final"],
            &[],
        ),
        (
            &[
                "{\"id\":\"a\",\"rev\":2,\"start_ms\":1,\"text\":\"second\"}",
                "{\"id\":\"a\",\"rev\":1,\"start_ms\":1,\"text\":\"first\"}",
            ],
            &["1 -: second"],
            &[],
        ),
        (
            &[
                "{\"id\":\"a\",\"start_ms\":1,\"text\":\"one\"}",
                "{\"type\":\"retract\",\"id\":\"a\"}",
                "{\"id\":\"a\",\"start_ms\":1,\"text\":\"two\"}",
            ],
            &["1 -: two"],
            &[],
        ),
        (
            &[
                "{\"id\":\"a\",\"start_ms\":1,\"text\":\"guess\",\"status\":\"interim\"}",
                "{\"id\":\"b\",\"start_ms\":2,\"text\":\"b\"}",
            ],
            &["1 -: guess", "2 -: b"],
            &["1: this line was never final"],
        ),
        (
            &[
                "{\"start_ms\":1,\"text\":\"hel\",\"is_final\":false}",
                "{\"start_ms\":1,\"text\":\"hello\",\"is_final\":true}",
            ],
            &["1 -: hello"],
            &[],
        ),
        (
            &[
                "{\"type\":\"lines\",\"lines\":[{\"id\":\"a\",\"start_ms\":1,\"text\":\"a\"},{\"id\":\"b\",\"start_ms\":2,\"text\":\"b\"}]}",
                "{\"type\":\"line\",\"start_ms\":5}",
            ],
            &["1 -: a", "2 -: b"],
            &["2: this line has no text"],
        ),
        (
            &["{\"type\":\"retract\",\"id\":\"x\"}", "{\"id\":\"a\",\"start_ms\":1,\"text\":\"a\",\"words\":[7]}"],
            &["1 -: a"],
            &[
                "1: this retraction is of a line that the file did not have before",
                "2: the words of this row cannot be read",
            ],
        ),
        // Where the clock starts over, another program counts from 1 again.
        (
            &[
                "{\"id\":\"1\",\"start_ms\":100000,\"text\":\"a\"}",
                "{\"id\":\"2\",\"start_ms\":200000,\"text\":\"b\"}",
                "{\"id\":\"1\",\"start_ms\":1000,\"text\":\"c\"}",
                "{\"id\":\"2\",\"start_ms\":2000,\"text\":\"d\"}",
            ],
            &["100000 -: a", "200000 -: b", "202000 -: c", "203000 -: d"],
            &[
                "3: the clock starts over",
                "3: the id \"1\" stands for another line",
                "4: the id \"2\" stands for another line",
            ],
        ),
        // So it does where its clock goes on, whatever its words; each line is told once.
        (
            &[
                "{\"id\":\"1\",\"start_ms\":3000,\"speaker\":\"Mia\",\"text\":\"The ferry is late.\"}",
                "{\"id\":\"2\",\"start_ms\":8000,\"speaker\":\"Mia\",\"text\":\"Thank you.\"}",
                "{\"id\":\"1\",\"start_ms\":3603000,\"speaker\":\"Jon\",\"text\":\"Is the\",\"status\":\"interim\"}",
                "{\"id\":\"1\",\"start_ms\":3603000,\"speaker\":\"Jon\",\"text\":\"Is the ferry there?\"}",
                "{\"id\":\"2\",\"start_ms\":3608000,\"speaker\":\"Jon\",\"text\":\"Thank you.\"}",
                "{\"id\":\"2\",\"start_ms\":3608000,\"speaker\":\"Jon\",\"text\":\"Thank you, all.\"}",
                "{\"id\":\"1\",\"start_ms\":7200000,\"speaker\":\"Jon\",\"text\":\"Is the ferry\",\"status\":\"interim\"}",
            ],
            &[
                "3000 Mia: The ferry is late.",
                "8000 Mia: Thank you.",
                "3603000 Jon: Is the ferry there?",
                "3608000 Jon: Thank you, all.",
                "7200000 Jon: Is the ferry",
            ],
            &[
                "3: the id \"1\" stands for another line",
                "5: the id \"2\" stands for another line",
                "7: the id \"1\" stands for another line",
                "7: this line was never final",
            ],
        ),
        // Its clock starts over near to where it began.
        (
            &[
                "{\"id\":\"1\",\"start_ms\":9000,\"text\":\"Act one opens.\"}",
                "{\"id\":\"2\",\"start_ms\":400000,\"text\":\"Act one closes.\"}",
                "{\"id\":\"1\",\"start_ms\":700,\"text\":\"Act two opens.\"}",
                "{\"id\":\"2\",\"start_ms\":250000,\"text\":\"Act two closes.\"}",
            ],
            &[
                "9000 -: Act one opens.",
                "400000 -: Act one closes.",
                "401700 -: Act two opens.",
                "651000 -: Act two closes.",
            ],
            &[
                "3: the clock starts over",
                "3: the id \"1\" stands for another line",
                "4: the id \"2\" stands for another line",
            ],
        ),
        // The id of who speaks, and the same words again and again.
        (
            &[
                "{\"id\":\"mic-1\",\"start_ms\":0,\"text\":\"The first of two\"}",
                "{\"id\":\"mic-1\",\"start_ms\":4000,\"text\":\"The second of two\"}",
                "{\"id\":\"a\",\"start_ms\":5000,\"end_ms\":6000,\"text\":\"Aye.\"}",
                "{\"id\":\"a\",\"start_ms\":9000,\"end_ms\":10000,\"text\":\"Aye.\"}",
                "{\"id\":\"a\",\"start_ms\":13000,\"end_ms\":14000,\"text\":\"Aye.\"}",
            ],
            &["0 -: The first of two", "4000 -: The second of two", "5000 -: Aye.", "9000 -: Aye.", "13000 -: Aye."],
            &[
                "2: the id \"mic-1\" stands for another line",
                "4: the id \"a\" stands for another line",
                "5: the id \"a\" stands for another line",
            ],
        ),
    ];
    for (rows, lines, told) in table {
        let (read, found) = shown(&(rows.join("\n") + "\n"));
        assert_eq!(read, *lines, "{rows:?} {found:?}");
        assert_eq!(found.len(), told.len(), "{rows:?} {found:?}");
        assert!(told.iter().all(|told| found.iter().any(|found| found.starts_with(told))), "{rows:?} {found:?}");
    }
}
