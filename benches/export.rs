//! What it costs to write a transcript of 10,000 lines in each format, and to read it again.
//!
//! `cargo bench --bench export`. A feed with that many lines is an event of seven hours. Best of several rounds on one thread,
//! so that a busy machine shows less.

#![allow(clippy::print_stdout, reason = "a table is what it is for")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use captionwire::format::{Document, FileKind, Format, Range, read_as, write};
use captionwire::position::{Epoch, FeedId, Offset};
use captionwire::transcript::{Content, FoldView, Op, Record, Timestamp, Transcript, TurnSettings, Version, Word};

const LINES: usize = 10_000;
const ROUNDS: usize = 7;
/// Lines come two and a half seconds apart.
const STEP_MS: i64 = 2_500;
const TEXT: &str = "so what we have decided, after hearing everyone who signed the sheet by the door, is to go on";
/// What nobody waits for.
const TARGET: Duration = Duration::from_millis(100);

fn main() {
    println!("{LINES} lines of {} bytes by 7 speakers, turns of 5 lines; best of {ROUNDS} rounds\n", TEXT.len());
    for (name, has_words) in [("lines", false), ("lines with the times of their words", true)] {
        let transcript = transcript(has_words);
        let feed = FeedId::new("hearing").expect("a name");
        println!("{name:<40}{:>12}{:>12}{:>12}   target {} ms", "bytes", "written", "read", TARGET.as_millis());
        for format in Format::ALL {
            let text = write(format, &Document::of(&feed, &transcript, Range::default()));
            let written = best(|| {
                let document = Document::of(&feed, black_box(&transcript), Range::default());
                drop(black_box(write(format, &document)));
            });
            let read = FileKind::of(format).map(|kind| best(|| drop(black_box(read_as(kind, text.as_bytes())))));
            let told =
                |time: Option<Duration>| time.map_or("-".into(), |time| format!("{:.1} ms", time.as_secs_f64() * 1e3));
            let verdict = if written <= TARGET { "" } else { "   MISSED" };
            println!("  {format:<38}{:>12}{:>12}{:>12}{verdict}", text.len(), told(Some(written)), told(read));
        }
    }
}

fn transcript(has_words: bool) -> Transcript {
    let mut transcript = Transcript::new(FoldView::FinalOnly);
    let open = Op::Open { epoch: Epoch::new("bench"), settings: TurnSettings::default(), imported: false };
    transcript.apply(Offset(0), Record::new(Timestamp(0), open));
    for (offset, index) in (1..).zip(0..LINES as i64) {
        let start = index * STEP_MS;
        let words = TEXT.split(' ').zip(0..).map(|(text, at)| Word {
            text: text.into(),
            start_ms: start + at * 120,
            end_ms: Some(start + at * 120 + 100),
            confidence: Some(0.97),
        });
        let content = Content {
            start_ms: Some(start),
            end_ms: Some(start + STEP_MS - 100),
            speaker: Some(format!("Speaker {}", index / 5 % 7).into()),
            text: TEXT.into(),
            words: if has_words { words.collect() } else { Vec::new() },
            ..Content::default()
        };
        let line = Version { id: (index + 1).to_string().into(), content, ..Version::default() };
        let op = Op::Line { source: "main".into(), lines: vec![line] };
        transcript.apply(Offset(offset), Record::new(Timestamp(start), op));
    }
    transcript
}

fn best(mut work: impl FnMut()) -> Duration {
    let rounds = (0..ROUNDS).map(|_| {
        let began = Instant::now();
        work();
        began.elapsed()
    });
    rounds.min().expect("there are rounds")
}
