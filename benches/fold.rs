//! What folding costs, and what an answer to a reader costs.
//!
//! `cargo bench --bench fold`. Absolute figures are those of one machine on one day; each stands beside its ratio to a
//! baseline measured in the same run: what the standard library's ordered map takes to keep the same lines. Everything
//! is the best of several rounds on one thread, so that a busy machine shows less.

#![allow(clippy::print_stdout, reason = "a table is what it is for")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use captionwire::position::{Epoch, Offset};
use captionwire::transcript::order::sort_key;
use captionwire::transcript::{
    Content, FoldView, Op, PublishedBy, Record, Status, Timestamp, Transcript, TurnSettings, Version,
};

const LINES: usize = 100_000;

/// Late lines and corrections that are timed one by one.
const SAMPLES: usize = 2_000;

const ROUNDS: usize = 7;

/// Lines come two seconds apart.
const STEP_MS: i64 = 2_000;

const TEXT: &str = "so what we have decided, after hearing everyone who signed the sheet by the door, is to go on";

fn main() {
    let records: Vec<Record> = (0..LINES).map(record).collect();
    println!("{LINES} lines of {} bytes by 7 speakers, turns of 5 lines; best of {ROUNDS} rounds\n", TEXT.len());
    println!("{:<58}{:>14}{:>12}  target", "", "time", "ratio");

    let baseline = best(|| {
        let copies = records.clone();
        timed(|| black_box(insert_all(copies)))
    });
    let per_line = baseline / LINES as u32;
    row("baseline: the same lines into a BTreeMap, each", per_line, 1.0, "");
    for view in [FoldView::Interim, FoldView::FinalOnly] {
        let fold = best(|| {
            let copies = records.clone();
            timed(|| black_box(fold(view, copies)))
        });
        let each = fold / LINES as u32;
        let rate = LINES as f64 / fold.as_secs_f64();
        let name = format!("in order, {view:?}, each ({rate:.0} lines/s)");
        row(&name, each, ratio(fold, baseline), "2 µs (500,000/s)");
    }
    let interim = interims(&records);
    let guesses = interim.len();
    let fold_guesses = best(|| {
        let copies = interim.clone();
        timed(|| black_box(fold(FoldView::Interim, copies)))
    });
    row(
        "four guesses and a final for every line, each",
        fold_guesses / guesses as u32,
        ratio(fold_guesses / guesses as u32, per_line),
        "",
    );

    let encoded: Vec<Bytes> = records.iter().map(Record::encode).collect();
    let decode = best(|| timed(|| encoded.iter().for_each(|bytes| drop(black_box(Record::decode(bytes))))));
    row("decoding alone, all", decode, ratio(decode, baseline), "");
    let cold = best(|| timed(|| black_box(fold_encoded(&encoded))));
    row("cold fold of all records, decoding them", cold, ratio(cold, baseline), "1 s");

    println!();
    let (map_late, late, corrections, labels) = one_by_one(&records);
    row("baseline: a late line into that BTreeMap, median", map_late, 1.0, "");
    row("a late line into all lines, median", late, ratio(late, map_late), "20 µs");
    row("a corrected text, median", corrections, ratio(corrections, map_late), "");
    row("a corrected label, which splits or joins turns, median", labels, ratio(labels, map_late), "");

    println!();
    let transcript = fold(FoldView::Interim, records.clone());
    let answer =
        |since: u64, bytes_max: usize| best(|| timed(|| drop(black_box(transcript.changes_since(since, bytes_max)))));
    let all = transcript.change();
    let last = answer(all - 1, usize::MAX);
    row("changes since the last one", last, 1.0, "");
    for behind in [100, 10_000] {
        let time = answer(all - behind, usize::MAX);
        let name = format!("changes since the last {behind}, by line told");
        row(&name, time / behind as u32, ratio(time / behind as u32, last), "");
    }
    let page = answer(0, 128 * 1024);
    row("the first page of 128 KiB", page, ratio(page, last), "");
    let halfway = answer(all / 2, 128 * 1024);
    row("a page of 128 KiB in the middle", halfway, ratio(halfway, page), "1.0 (of the page before)");
}

fn row(name: &str, time: Duration, ratio: f64, target: &str) {
    println!("{name:<58}{:>14}{ratio:>11.2}x  {target}", format!("{time:.2?}"));
}

fn ratio(time: Duration, baseline: Duration) -> f64 {
    time.as_secs_f64() / baseline.as_secs_f64()
}

fn best(mut round: impl FnMut() -> Duration) -> Duration {
    (0..ROUNDS).map(|_| round()).min().unwrap_or_default()
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    let made = work();
    let time = start.elapsed();
    drop(made);
    time
}

/// The `n`-th line of a publisher that sends each once, when it is final.
fn record(n: usize) -> Record {
    let seq = n as u64 + 1;
    let published = PublishedBy { source: "main".into(), session: "enc-7".into(), seq, own_ids: true };
    let op = Op::Line { source: "main".into(), lines: vec![version(n, n as i64 * STEP_MS)] };
    Record { received_at: Timestamp(1_700_000_000_000 + n as i64), published: Some(published), op_id: None, op }
}

fn version(n: usize, start_ms: i64) -> Version {
    let content = Content {
        start_ms: Some(start_ms),
        end_ms: Some(start_ms + 1_800),
        speaker: Some(format!("Speaker {}", n / 5 % 7).into()),
        text: TEXT.into(),
        ..Content::default()
    };
    Version { id: n.to_string().into(), content, ..Version::default() }
}

/// The same lines, each guessed at four times before.
fn interims(records: &[Record]) -> Vec<Record> {
    let mut all = Vec::new();
    for record in records.iter().take(LINES / 5) {
        for guess in 0..5 {
            let mut record = record.clone();
            if let (Op::Line { lines, .. }, Some(by)) = (&mut record.op, &mut record.published) {
                by.seq = all.len() as u64 + 1;
                if guess < 4 {
                    lines[0].content.status = Status::Interim;
                    lines[0].content.text = TEXT[..20 * (guess + 1)].into();
                }
            }
            all.push(record);
        }
    }
    all
}

fn opened(view: FoldView) -> Transcript {
    let mut transcript = Transcript::new(view);
    let open = Op::Open { epoch: Epoch::new("bench"), settings: TurnSettings::default(), imported: false };
    for (n, op) in [open, Op::Resume].into_iter().enumerate() {
        transcript.apply(Offset(n as u64), Record::new(Timestamp(1_700_000_000_000), op));
    }
    transcript
}

fn fold(view: FoldView, records: Vec<Record>) -> Transcript {
    let mut transcript = opened(view);
    for (n, record) in records.into_iter().enumerate() {
        transcript.apply(Offset(n as u64 + 2), record);
    }
    transcript
}

fn fold_encoded(records: &[Bytes]) -> Transcript {
    let mut transcript = opened(FoldView::Interim);
    for (n, record) in records.iter().enumerate() {
        transcript.apply(Offset(n as u64 + 2), Record::decode(record));
    }
    transcript
}

type Lines = BTreeMap<Arc<str>, Version>;

/// What any program must do that keeps lines in order: make the string that says the order, and keep them by it.
fn insert_all(records: Vec<Record>) -> Lines {
    let mut lines = BTreeMap::new();
    for record in records {
        if let Op::Line { source, lines: versions } = record.op {
            versions.into_iter().for_each(|version| insert(&mut lines, &source, version));
        }
    }
    lines
}

fn insert(lines: &mut Lines, source: &str, version: Version) {
    let sort = sort_key(version.content.start_ms.unwrap_or_default(), source, &version.id);
    lines.insert(sort.into(), version);
}

/// Medians: a late line into the map; into the transcript; a corrected text; a corrected label.
fn one_by_one(records: &[Record]) -> (Duration, Duration, Duration, Duration) {
    let late = |n: usize| version(LINES + n, place(n) as i64 * STEP_MS + 900);
    let mut map = insert_all(records.to_vec());
    let map_late = median(|n| {
        let version = late(n);
        timed(|| insert(&mut map, "main", version))
    });
    let mut transcript = fold(FoldView::Interim, records.to_vec());
    let mut take = |version: Version| {
        let op = Op::Line { source: "main".into(), lines: vec![version] };
        let record = Record::new(Timestamp(1_700_001_000_000), op);
        let offset = transcript.next_offset();
        timed(|| transcript.apply(offset, record))
    };
    let late_line = median(|n| take(late(n)));
    let corrected = |n: usize| version(place(n), place(n) as i64 * STEP_MS);
    let text = median(|n| {
        let mut version = corrected(n);
        version.content.text = "so what we have not decided".into();
        take(version)
    });
    let label = median(|n| {
        let mut version = corrected(n);
        version.content.speaker = Some("Somebody Else".into());
        take(version)
    });
    (map_late, late_line, text, label)
}

/// Places all over the transcript, none of them near the one before.
fn place(n: usize) -> usize {
    n * 7_919 % LINES
}

fn median(mut sample: impl FnMut(usize) -> Duration) -> Duration {
    let mut samples: Vec<Duration> = (0..SAMPLES).map(&mut sample).collect();
    samples.sort_unstable();
    samples[SAMPLES / 2]
}
