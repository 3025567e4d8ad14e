//! Real transcripts, folded: their numbers were counted in the files, not by this program.
//!
//! `examples/hearing.rev.txt` is always there. The press conference of semantics, section 9, is read from the folder that
//! `CAPTIONWIRE_DATA` names; where it names none, that one test says that it was left out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use captionwire::format;
use captionwire::position::Offset;
use captionwire::transcript::mark::marks;
use captionwire::transcript::{
    FoldView, Line, MarkKind, Op, Record, TimeSource, Timestamp, Transcript, Turn, TurnSettings, Version,
};
use serde::Deserialize;

use super::events::{OPENED_AT, open};

/// What was counted in a file.
#[derive(Debug, Deserialize)]
struct Facts {
    blocks: usize,
    labels: usize,
    turns: usize,
    longest_turn_lines: usize,
    #[serde(default)]
    longest_turn_characters: Option<usize>,
    timed_marks: usize,
    /// Pairs of a start and the number of lines that share it.
    equal_starts: Vec<(i64, usize)>,
    last_start_ms: i64,
    /// `A into B, C into B`: what is merged, and how many turns there are then.
    turns_after_merge: BTreeMap<String, usize>,
    trailer: String,
}

#[test]
fn the_hearing_is_as_it_was_counted() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let facts = std::fs::read(examples.join("hearing.facts.json")).expect("the facts are there");
    let facts: Facts = serde_json::from_slice(&facts).expect("the facts can be read");
    check(&examples.join("hearing.rev.txt"), &facts);
}

#[test]
fn the_press_conference_is_as_it_was_counted() {
    let Some(folder) = std::env::var_os("CAPTIONWIRE_DATA").map(PathBuf::from) else {
        // Past the harness, which keeps what passing tests print to itself.
        let note = "LEFT OUT: CAPTIONWIRE_DATA does not name a folder with press-conference.rev.txt";
        writeln!(std::io::stderr(), "{note}").expect("stderr takes a line");
        return;
    };
    let merges = [("Speaker 7 into Galina Palovka", 57), ("Speaker 2 into MC, Speaker 5 into MC", 58)];
    let facts = Facts {
        blocks: 112,
        labels: 19,
        turns: 58,
        longest_turn_lines: 13,
        longest_turn_characters: Some(4_039),
        timed_marks: 13,
        equal_starts: vec![(1_870_000, 2), (3_144_000, 3)],
        last_start_ms: 3_226_000,
        turns_after_merge: merges.map(|(merge, turns)| (merge.to_owned(), turns)).into(),
        trailer: "Published at www.rev.com".to_owned(),
    };
    check(&folder.join("press-conference.rev.txt"), &facts);
}

fn check(file: &Path, facts: &Facts) {
    let text = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let reading = format::read(&text, Some("x.rev.txt")).expect("the file can be read");
    assert_eq!(reading.meta.trailer.as_deref(), Some(&*facts.trailer));
    assert_eq!(reading.lines.len(), facts.blocks);
    for view in [FoldView::Interim, FoldView::FinalOnly] {
        let at_once = check_facts(fold(view, std::slice::from_ref(&reading.lines)), &reading.lines, facts);
        // One by one, backwards, and each twice: nothing of it may show.
        let backwards: Vec<_> = reading.lines.iter().rev().map(|line| vec![line.clone(), line.clone()]).collect();
        let backwards = check_facts(fold(view, &backwards), &reading.lines, facts);
        assert_eq!(at_once, backwards);
    }
}

fn fold(view: FoldView, records: &[Vec<Version>]) -> Transcript {
    let mut transcript = Transcript::new(view);
    let lines = records.iter().map(|lines| Op::Line { source: "main".into(), lines: lines.clone() });
    let ops = [open(TurnSettings::default()), Op::Resume].into_iter().chain(lines).chain([Op::End]);
    for (n, op) in ops.enumerate() {
        transcript.apply(Offset(n as u64), Record::new(OPENED_AT, op));
    }
    transcript
}

/// Compares; gives what was compared without revisions and states of turns, which history decides.
fn check_facts(mut transcript: Transcript, lines: &[Version], facts: &Facts) -> Vec<(Turn, Vec<Line>)> {
    let mut turns: Vec<(Turn, Vec<Line>)> = transcript.assembled().collect();
    let shown: Vec<Line> = turns.iter().flat_map(|(_, lines)| lines.clone()).collect();
    assert_eq!(transcript.counts(), (facts.blocks, facts.turns));
    assert_eq!(shown.len(), facts.blocks);

    // Lines keep the order of the file and say what it says.
    for (line, read) in shown.iter().zip(lines) {
        assert_eq!((&line.id, &line.text, &line.speaker), (&read.id, &read.content.text, &read.content.speaker));
        assert_eq!((Some(line.start_ms), line.end_ms), (read.content.start_ms, None), "starts only");
        assert_eq!(line.time_source, None::<TimeSource>);
    }
    let labels: BTreeSet<_> = shown.iter().map(|line| line.speaker.clone()).collect();
    assert_eq!((labels.len(), transcript.speakers().len()), (facts.labels, facts.labels));
    assert_eq!(shown.last().map(|line| line.start_ms), Some(facts.last_start_ms));
    let mut starts: BTreeMap<i64, usize> = BTreeMap::new();
    shown.iter().for_each(|line| *starts.entry(line.start_ms).or_default() += 1);
    let equal: Vec<(i64, usize)> = starts.into_iter().filter(|(_, count)| *count > 1).collect();
    assert_eq!(equal, facts.equal_starts);

    // Turns: neighbours differ by speaker, and the longest is as long as was counted.
    assert!(turns.windows(2).all(|pair| pair[0].0.speaker != pair[1].0.speaker));
    let longest = turns.iter().max_by_key(|(_, lines)| lines.len()).map(|(_, lines)| lines);
    let longest = longest.expect("there are turns");
    assert_eq!(longest.len(), facts.longest_turn_lines);
    if let Some(characters) = facts.longest_turn_characters {
        let said: usize = longest.iter().map(|line| line.text.chars().count()).sum();
        assert_eq!(said, characters);
    }

    // Timed marks stand between the start of their line and that of the next.
    let mut timed = 0;
    for (n, line) in shown.iter().enumerate() {
        assert_eq!(line.marks, marks(&line.text));
        for mark in line.marks.iter().filter_map(|mark| mark.at_ms) {
            timed += 1;
            let next = shown.get(n + 1).map_or(i64::MAX, |next| next.start_ms);
            assert!((line.start_ms..=next).contains(&mark), "{mark} in {line:?}");
        }
    }
    assert_eq!(timed, facts.timed_marks);
    let silences = shown.iter().flat_map(|line| &line.marks).filter(|mark| mark.kind == MarkKind::Silence).count();
    assert_eq!(silences, 1);

    check_merges(&mut transcript, facts);
    for (turn, lines) in &mut turns {
        turn.rev = 0;
        lines.iter_mut().for_each(|line| line.received_at = Timestamp(0));
    }
    turns
}

/// Each merge leaves as many turns as were counted; undone, all are there again.
fn check_merges(transcript: &mut Transcript, facts: &Facts) {
    let order = |transcript: &mut Transcript, op| {
        let offset = transcript.next_offset();
        transcript.apply(offset, Record::new(OPENED_AT, op));
    };
    for (merges, turns) in &facts.turns_after_merge {
        let pairs: Vec<(&str, &str)> = merges.split(", ").filter_map(|merge| merge.split_once(" into ")).collect();
        assert!(!pairs.is_empty(), "{merges}");
        for (from, into) in &pairs {
            order(transcript, Op::Merge { from: (*from).into(), into: (*into).into() });
        }
        assert_eq!(transcript.counts(), (facts.blocks, *turns), "{merges}");
        for (from, _) in &pairs {
            order(transcript, Op::Unmerge { from: (*from).into() });
        }
        assert_eq!(transcript.counts(), (facts.blocks, facts.turns), "{merges}, undone");
    }
}
