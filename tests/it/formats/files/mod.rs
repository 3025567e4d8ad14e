//! Files in and out: real transcripts against known facts, golden files for every writer, and what holds for any input.
//!
//! Real data is no part of the project: tests over it run where `CAPTIONWIRE_DATA` names its folder, and say loudly that
//! they were left out where it does not. The same facts are always checked over `examples/hearing.rev.txt`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use captionwire::format::{
    Document, FileKind, Format, FormatError, PROBLEMS_MAX, ParsedTranscript, Range, read, write,
};
use captionwire::position::{Epoch, FeedId, Offset};
use captionwire::transcript::{
    Break, Content, FeedMeta, FoldView, Line, Mark, MarkKind, MediaMs, Op, Record, Status, Timestamp, Transcript,
    TurnSettings, Version, Word,
};

mod any_input;
mod cases;
mod clock;
mod fidelity;
mod no_word_lost;
mod real;
mod round_trips;
mod subtitles;

const IMPORTED_AT: Timestamp = Timestamp(1_760_000_000_000);

/// The folder of real data; without it the test says so past the test harness, which swallows ordinary output.
fn data(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("CAPTIONWIRE_DATA").map(PathBuf::from);
    if folder.is_none() {
        let mut stderr = std::io::stderr();
        writeln!(stderr, "LEFT OUT: {test}: CAPTIONWIRE_DATA is not set").expect("stderr takes a line");
    }
    folder
}

fn in_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn feed() -> FeedId {
    FeedId::new("geneva").expect("a feed name")
}

/// The records of an imported event, then `more`, folded.
fn fold(meta: FeedMeta, lines: Vec<Version>, more: Vec<Op>) -> Transcript {
    let open = Op::Open { epoch: Epoch::new("e1"), settings: TurnSettings::default(), imported: true };
    let line = Op::Line { source: "main".into(), lines };
    let ops = [open, Op::Resume, Op::Meta(meta), line, Op::End].into_iter().chain(more);
    let mut transcript = Transcript::new(FoldView::Interim);
    for (offset, op) in (0..).zip(ops) {
        transcript.apply(Offset(offset), Record::new(IMPORTED_AT, op));
    }
    transcript
}

fn merge(from: &str, into: &str) -> Op {
    Op::Merge { from: from.into(), into: into.into() }
}

fn turns_after(reading: &ParsedTranscript, merges: &[(&str, &str)]) -> usize {
    let merges = merges.iter().map(|(from, into)| merge(from, into)).collect();
    fold(reading.meta.clone(), reading.lines.clone(), merges).counts().1
}

/// What semantics, section 9, says of every transcript in the rev.com dialect: whatever is counted, nothing moves.
fn check_order_and_marks(transcript: &Transcript) -> Vec<Line> {
    let lines: Vec<Line> = transcript.assembled().flat_map(|(_, lines)| lines).collect();
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(*line.id, *(index + 1).to_string(), "the order of the file is the order of lines");
        let next = lines.get(index + 1).map_or(MediaMs::MAX, |next| next.start_ms);
        for at in line.marks.iter().filter_map(|mark| mark.at_ms) {
            assert!((line.start_ms..=next).contains(&at), "{at} lies outside of line {}: {}", line.id, line.text);
        }
    }
    lines
}

fn starts(lines: &[Line]) -> BTreeMap<MediaMs, usize> {
    let mut starts = BTreeMap::new();
    lines.iter().for_each(|line| *starts.entry(line.start_ms).or_default() += 1);
    starts
}

fn labels(lines: &[Line]) -> usize {
    lines.iter().map(|line| &line.speaker).collect::<BTreeSet<_>>().len()
}

fn marks(lines: &[Line]) -> Vec<(&Line, &Mark)> {
    lines.iter().flat_map(|line| line.marks.iter().map(move |mark| (line, mark))).collect()
}

fn export(format: Format, transcript: &Transcript) -> String {
    write(format, &Document::of(&feed(), transcript, Range::default()))
}

#[test]
fn the_press_conference_is_what_semantics_says() {
    let Some(folder) = data("the_press_conference_is_what_semantics_says") else { return };
    let bytes = std::fs::read(folder.join("press-conference.rev.txt")).expect("the reference input");
    let reading = read(&bytes, Some("press-conference.rev.txt")).expect("it can be read");
    assert_eq!((reading.kind, reading.lines.len(), &reading.problems), (FileKind::Rev, 112, &vec![]));
    assert_eq!(reading.meta.trailer.as_deref(), Some("Published at www.rev.com"));
    assert_eq!(reading.meta.preamble.as_deref().map(|preamble| preamble.lines().count()), Some(2));
    assert!(reading.lines.iter().all(|line| line.content.end_ms.is_none()), "this dialect knows starts only");

    let transcript = fold(reading.meta.clone(), reading.lines.clone(), vec![]);
    assert_eq!(transcript.counts(), (112, 58));
    let lines = check_order_and_marks(&transcript);
    assert_eq!(labels(&lines), 19);
    let longest = transcript.assembled().map(|(_, lines)| lines).max_by_key(Vec::len).expect("there are turns");
    // Characters of the texts alone, nothing counted between them.
    let characters: usize = longest.iter().map(|line| line.text.chars().count()).sum();
    assert_eq!((longest.len(), characters), (13, 4_039));

    assert_eq!(turns_after(&reading, &[("Speaker 7", "Galina Palovka")]), 57);
    assert_eq!(turns_after(&reading, &[("Speaker 2", "MC"), ("Speaker 5", "MC")]), 58);

    assert_eq!(marks(&lines).iter().filter(|(_, mark)| mark.at_ms.is_some()).count(), 13);
    assert_eq!(marks(&lines).iter().filter(|(_, mark)| mark.kind == MarkKind::Silence).count(), 1);
    let equal: Vec<_> = starts(&lines).into_iter().filter(|(_, lines)| *lines > 1).collect();
    assert!(equal.contains(&(1_870_000, 2)) && equal.contains(&(3_144_000, 3)), "31:10 and 52:24 in {equal:?}");
    assert_eq!(lines.last().map(|line| line.start_ms), Some(3_226_000));

    // The original ends without a line end; in nothing else does the export differ.
    let original = String::from_utf8(bytes).expect("UTF-8");
    assert_eq!(export(Format::Rev, &transcript), original + "\n");
}

#[test]
fn the_hearing_is_what_its_facts_say() {
    let original = std::fs::read_to_string(in_project("examples/hearing.rev.txt")).expect("the example");
    let facts = std::fs::read(in_project("examples/hearing.facts.json")).expect("its facts");
    let facts: serde_json::Value = serde_json::from_slice(&facts).expect("JSON");
    let number = |name: &str| facts[name].as_u64().unwrap_or_else(|| panic!("{name} is a number")) as usize;

    let reading = read(original.as_bytes(), None).expect("it can be read");
    assert_eq!((reading.kind, reading.lines.len(), &reading.problems), (FileKind::Rev, number("blocks"), &vec![]));
    assert_eq!(reading.meta.trailer.as_deref(), facts["trailer"].as_str());
    let preamble_lines = reading.meta.preamble.as_deref().map(|preamble| preamble.lines().count());
    assert_eq!(preamble_lines, Some(number("preamble_lines")));

    let transcript = fold(reading.meta.clone(), reading.lines.clone(), vec![]);
    assert_eq!(transcript.counts(), (number("blocks"), number("turns")));
    let lines = check_order_and_marks(&transcript);
    assert_eq!(labels(&lines), number("labels"));
    let longest = transcript.assembled().map(|(_, lines)| lines.len()).max();
    assert_eq!(longest, Some(number("longest_turn_lines")));
    for (merges, turns) in facts["turns_after_merge"].as_object().expect("an object") {
        let merges: Vec<_> = merges.split(", ").filter_map(|one| one.split_once(" into ")).collect();
        assert_eq!(Some(turns_after(&reading, &merges) as u64), turns.as_u64(), "{merges:?}");
    }

    let word = |mark: &Mark| serde_json::to_value(mark.kind).expect("a word").as_str().unwrap_or("").replace('_', " ");
    let (mut timed, mut untimed, mut cut_offs, mut trail_offs) = (BTreeMap::new(), BTreeMap::new(), 0, 0);
    for (_, mark) in marks(&lines) {
        match mark.kind {
            MarkKind::CutOff => cut_offs += 1,
            MarkKind::TrailOff => trail_offs += 1,
            _ if mark.at_ms.is_some() => *timed.entry(word(mark)).or_insert(0_u64) += 1,
            _ => *untimed.entry(word(mark)).or_insert(0_u64) += 1,
        }
    }
    assert_eq!(serde_json::json!(timed), facts["timed_marks_by_kind"]);
    assert_eq!(serde_json::json!(untimed), facts["untimed_marks"]);
    assert_eq!(timed.values().sum::<u64>() as usize, number("timed_marks"));
    assert_eq!((cut_offs, trail_offs), (number("cut_offs"), number("trail_offs")));
    let equal: Vec<_> = starts(&lines).into_iter().filter(|(_, lines)| *lines > 1).collect();
    assert_eq!(serde_json::json!(equal), facts["equal_starts"]);
    assert_eq!(lines.last().map(|line| line.start_ms as usize), Some(number("last_start_ms")));

    assert_eq!(export(Format::Rev, &transcript), original);
}

#[test]
fn a_renamed_and_merged_speaker_is_exported_by_its_new_name() {
    let reading = read(b"S1: (00:01)\na\nS2: (00:02)\nb\nAnn: (00:03)\nc\n", None).expect("it can be read");
    let rename = Op::Rename { speaker: "S2".into(), name: "Bob".into(), kind: None };
    let transcript = fold(reading.meta, reading.lines, vec![rename, merge("S1", "S2")]);
    assert_eq!(export(Format::Rev, &transcript), "Bob: (00:01)\na\nBob: (00:02)\nb\nAnn: (00:03)\nc\n");
}

/// Words of a bitcointranscripts file that somebody said, and its headings: worked out without the reader.
fn spoken(text: &str) -> (Vec<&str>, Vec<&str>) {
    let body = text.splitn(3, "---\n").nth(2).expect("all of them have front matter");
    let is_time = |word: &str| word.len() == 8 && word.split(':').filter(|part| part.len() == 2).count() == 3;
    // A name alone, of somebody who has times elsewhere, is a head too.
    let is_named = |line: &str| line.strip_suffix(':').is_some_and(|name| body.contains(&format!("\n{name}: 0")));
    let is_head = |line: &&str| {
        if is_named(line.trim_end()) {
            return false;
        }
        let last = line.trim_end().get(line.trim_end().len().saturating_sub(8)..);
        !last.is_some_and(|last| is_time(last) && last.bytes().all(|b| b.is_ascii_digit() || b == b':'))
    };
    let (headings, said): (Vec<&str>, Vec<&str>) = body.lines().filter(is_head).partition(|line| line.starts_with('#'));
    (said.iter().flat_map(|line| line.split_whitespace()).collect(), headings)
}

#[test]
fn no_word_of_the_bitcoin_transcripts_is_lost() {
    let Some(folder) = data("no_word_of_the_bitcoin_transcripts_is_lost") else { return };
    let mut files = Vec::new();
    let mut folders = vec![folder.join("bitcointranscripts")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    assert_eq!(files.len(), 22);
    files.sort();
    let (mut blocks, mut problems) = (0, Vec::new());
    for path in files {
        let bytes = std::fs::read(&path).expect("a file");
        let text = std::str::from_utf8(&bytes).expect("UTF-8");
        let reading = read(&bytes, path.to_str()).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        assert_eq!(reading.kind, FileKind::Names);
        assert!(reading.meta.title.is_some(), "{path:?} has a title");
        let (said, headings) = spoken(text);
        let read: Vec<_> = reading.lines.iter().flat_map(|line| line.content.text.split_whitespace()).collect();
        assert_eq!(read, said, "{path:?}");
        let preamble = reading.meta.preamble.as_deref().unwrap_or_default();
        let kept: Vec<_> = preamble.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(kept, headings.iter().map(|line| line.trim_end()).collect::<Vec<_>>(), "{path:?}");
        blocks += reading.lines.len();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        problems.extend(reading.problems.into_iter().map(|problem| format!("{name}: {problem}")));
        let (shown, _) = fold(reading.meta, reading.lines.clone(), vec![]).counts();
        assert_eq!(shown, reading.lines.len(), "{path:?}");
    }
    println!("{}", problems.join("\n"));
    let count = |what: &str| problems.iter().filter(|problem| problem.contains(what)).count();
    // 3,023 heads with a time, and 23 that are a name alone.
    assert_eq!((blocks, count("says no time")), (3_046, 23));
    assert_eq!(count("time goes back"), 5);
    assert_eq!((count("no blank after"), count("blanks after the time"), count("no colon after")), (2, 3, 1));
    assert_eq!((count("front matter"), problems.len()), (22, 33 + 23));
}

#[test]
fn what_is_odd_is_told_and_nothing_is_lost() {
    let longest = format!("{}: (00:09)", "x".repeat(81));
    let text = format!(
        "\u{feff}A date\r\nAnn (00:01)\r\rAnn: (00:02)\r\n\r\none\r\n\r\ntwo\nBob: (12:75)\nthree\nBob: (00:05)\nfour\n\
         Bob: (00:06)\n\nAnn: (00:04)  \nfive \u{2014} Ann: (yes)\n{longest}\nPublished at example.org\n\n"
    );
    let mut bytes = text.into_bytes();
    let four = bytes.windows(4).position(|window| window == b"four").expect("it is there");
    bytes[four + 1] = 0xFF;
    let reading = read(&bytes, None).expect("it can be read");
    let lines: Vec<_> = reading.lines.iter().map(|line| (&*line.id, &*line.content.text)).collect();
    let last = format!("five \u{2014} Ann: (yes)\n{longest}");
    assert_eq!(lines, [("1", "one\n\ntwo"), ("2", "three"), ("3", "f\u{fffd}ur"), ("4", last.as_str())]);
    let speakers: Vec<_> = reading.lines.iter().filter_map(|line| line.content.speaker.as_deref()).collect();
    assert_eq!(speakers, ["Ann", "Bob", "Bob", "Ann"]);
    assert_eq!(reading.meta.preamble.as_deref(), Some("A date"));
    assert_eq!(reading.meta.trailer.as_deref(), Some("Published at example.org"));
    let told: Vec<_> = reading.problems.iter().map(|problem| (problem.line, problem.column)).collect();
    assert_eq!(told, [(2, 1), (2, 1), (9, 1), (12, 2), (13, 1), (15, 1), (15, 1), (17, 1)], "{:#?}", reading.problems);
}

#[test]
fn what_cannot_be_read_is_refused_with_a_reason() {
    let refused = |bytes: &[u8], name| read(bytes, name).expect_err("it cannot be read");
    let not_text = |line, column| FormatError::NotText { what: "a zero byte", line, column };
    assert_eq!(refused(b"A: (00:01)\n\x01b\0c", None), not_text(2, 3));
    assert_eq!(refused(b"\xff\xfeA", None), FormatError::UnknownFormat);
    let empty = refused(b"WEBVTT\n\nNOTE nothing\n", Some("a.vtt"));
    assert_eq!(empty, FormatError::NoSpeech { kind: FileKind::Vtt });
    assert!(empty.to_string().contains("looks like WebVTT"), "{empty}");
    assert_eq!(refused(b"\xef\xbb\xbf \r\n", None), FormatError::NoLines);
    assert_eq!(refused(b"A: (00:01)\n\nB: (00:02)\n", None), FormatError::NoSpeech { kind: FileKind::Rev });
    assert_eq!(refused(b"No block at all.\n", Some("a.rev.txt")), FormatError::UnknownFormat);
    assert!(FormatError::UnknownFormat.to_string().contains("Name: (MM:SS)"));
}

#[test]
fn the_list_of_problems_has_an_end() {
    let reading = read("A: (00:01)\nx\nB (00:02)\n".repeat(5_000).as_bytes(), None).expect("it can be read");
    assert_eq!(reading.lines.len(), 5_000);
    assert_eq!(reading.problems.len(), PROBLEMS_MAX + 1);
    // Two for each block, but one for the last: a header in a form of its own that nothing follows is text.
    assert!(reading.problems[PROBLEMS_MAX].message.starts_with("8999 further"), "{:?}", reading.problems.last());
}

fn version(id: &str, start_ms: MediaMs, speaker: Option<&str>, text: &str) -> Version {
    let speaker = speaker.map(Arc::from);
    let content = Content { start_ms: Some(start_ms), speaker, text: text.into(), ..Content::default() };
    Version { id: id.into(), content, ..Version::default() }
}

/// Short, and with everything in it that some format finds hard.
fn small_event() -> Transcript {
    let mut lines = vec![
        version("1", 12_000, Some("Speaker 1"), "Good evening. [applause]"),
        version("2", 15_500, Some("Speaker 1"), "Two lines here,\nand a blank one:\n\nthat was it."),
        version("3", 21_000, Some("Dr. <Okafor> & Co"), "Is 1 < 2 --> *true*? See [1] & _that_\u{2026}"),
        version("4", 21_000, Some("Clerk"), "Yes."),
        version("5", 24_000, None, ">> 1. Somebody calls from the back [inaudible 00:00:25]"),
        version("6", 90_000, Some("S2"), "# This is a guest, known by now.\nClerk: (00:01)"),
        version("7", 3_725_250, Some("Clerk"), "An hour later: \u{1b}[31mred\u{1b}[0m tape-"),
        version("8", 3_726_000, Some("Clerk"), "and not yet fin"),
    ];
    lines[3].content.end_ms = Some(21_400);
    lines[4].content.break_before = Some(Break::Turn);
    lines[5].content.lang = Some("en-GB".into());
    lines[6].content.words = vec![Word { text: "An".into(), start_ms: 3_725_250, end_ms: None, confidence: Some(0.5) }];
    lines[7].content.status = Status::Interim;
    let meta = FeedMeta {
        title: Some("A *small* event".into()),
        language: Some("en".into()),
        preamble: Some("Oct 14, 2025\nA hearing about nothing.".into()),
        trailer: Some("Published at www.example.org".into()),
    };
    let rename = |speaker: &str, name: &str| Op::Rename { speaker: speaker.into(), name: name.into(), kind: None };
    let more = vec![rename("Speaker 1", "Chair"), rename("S2", "Guest"), merge("S3", "S2"), merge("S2", "Guest 2")];
    fold(meta, lines, more)
}

#[test]
fn every_format_is_written_as_its_golden_file_says() {
    let transcript = small_event();
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut differing = Vec::new();
    for format in Format::ALL {
        let path = in_project(&format!("tests/golden/{format}/small.{}", format.extension()));
        let written = export(format, &transcript);
        if update {
            std::fs::create_dir_all(path.parent().expect("it has a folder")).expect("a folder is made");
            std::fs::write(&path, &written).expect("a golden file is written");
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        if golden != written {
            differing.push(format!("{path:?} is\n{golden}\nbut written is\n{written}"));
        }
    }
    assert!(differing.is_empty(), "UPDATE_GOLDEN=1 rewrites these:\n{}", differing.join("\n"));
}

#[test]
fn a_range_selects_lines_and_then_turns() {
    let transcript = small_event();
    let feed = feed();
    let ids = |range| -> Vec<Vec<String>> {
        let turns = Document::of(&feed, &transcript, range).turns;
        turns.into_iter().map(|(_, lines)| lines.iter().map(|line| line.id.to_string()).collect()).collect()
    };
    let all = Range::default();
    assert_eq!(ids(all), [vec!["1", "2"], vec!["3"], vec!["4"], vec!["5"], vec!["6"], vec!["7", "8"]]);
    assert_eq!(ids(Range { from_ms: Some(15_500), to_ms: Some(21_000), ..all }), [["2"]]);
    assert_eq!(ids(Range { last_turns: Some(1), ..all }), [["7", "8"]]);
    assert_eq!(ids(Range { to_ms: Some(24_000), last_turns: Some(2), ..all }), [["3"], ["4"]]);
    assert_eq!(ids(Range { last_turns: Some(0), ..all }), Vec::<Vec<String>>::new());
}
