//! What is written is read again, and what a format cannot hold is counted: for every writer, whatever was said.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use captionwire::format::{Document, FileKind, Format, LossKind, StartPrecision, losses, read, write};
use captionwire::transcript::{Break, FeedMeta, Line, MediaMs, TimeSource, Transcript, Version, Word};
use proptest::prelude::*;

use super::{IMPORTED_AT, Range, feed, fold, in_project, small_event, version};

/// Names that some format gives a meaning to.
const NAMES: &[&str] = &[
    "Ann",
    "Ann Lee",
    "Speaker 1",
    "7",
    "MODERATOR",
    "Dr. <Okafor> & Co",
    "<v Bob>",
    "<i",
    "{\\an8}x",
    "[SPEAKER_00]",
    "10:30",
    "00:00:01,000 --> 00:00:02,000",
    "Ann: (00:01)",
    "O\u{2019}Brien:",
    "Unknown Speaker",
    "NOTE",
    ">> Q",
    ">>",
    "-",
    "--",
    "\\Ann",
    "*Ann*",
    "**",
    "  Ann  Lee ",
    "Ann\nLee",
    "Ann\u{A0}Lee",
    "\u{feff}Ann",
    "a\u{200b}b",
    "\u{202b}\u{5d0}\u{5d1}\u{202c}",
    "\u{738b}\u{ff1a}",
    "Ann\u{1b}[31m",
    "Published at",
    "A name of more than eighty characters, which nobody has, but the titles of a committee may come near",
];

/// Pieces of texts that some format gives a meaning to.
const PIECES: &[&str] = &[
    "word",
    "Yes.",
    "No",
    "a",
    "Ann",
    " ",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\r",
    "\r\n",
    "\t",
    "-->",
    "--->",
    "00:00:01,000 --> 00:00:02,000",
    "\n00:00:01.000 --> 00:00:02.000\n",
    "00:01 -> 00:02",
    "\n2\n00:00:03 \u{2192} 00:00:04",
    "1",
    "\n2\n",
    "3\n",
    "<v Bob>",
    "<i>",
    "</b>",
    "<00:00:01.000>",
    "&",
    "&amp;",
    "&lt;",
    "&#91;",
    "{\\an8}",
    "[00:16]",
    "[00:16] ",
    "[inaudible 00:16:09]",
    "(00:01)",
    "\n(00:01)\n",
    "\nAnn Lee: (00:01)\n",
    "\nAnn: 00:00:01\n",
    "\nBob:\n",
    "Ann Lee: yes",
    "MAN: ",
    "[00:00:01] Ann: x",
    "\n\nNOTE x\n\n",
    "NOTE rows that come again were said again",
    "\nSTYLE\n",
    "WEBVTT",
    "# head",
    "\n# head",
    "- item",
    "1. item",
    "**Bob:** x",
    "\n**Bob:** x",
    "\\",
    "\\\n",
    "\\[00:01\\]",
    ">>",
    ">>> ",
    ">>\u{A0}",
    "Ben:\u{A0}",
    "\nPublished at x",
    "Published at ",
    "---",
    "|",
    "\u{200b}",
    "\u{200f}",
    "\u{202b}\u{5e9}\u{5dc}\u{5d5}\u{5dd}\u{202c}",
    "\u{2028}",
    "\u{85}",
    "\u{A0}",
    "\u{3000}",
    "\u{feff}",
    "\u{1b}[31m",
    "\u{7f}",
    "\u{9b}1m",
    "\0",
    "\u{c}",
    "\u{fffe}",
    "\u{e9}",
    "\u{6f22}\u{5b57}",
    "\u{201c}q\u{201d}",
    "\u{2026}",
    "]]>",
    "<!--",
    "{\"a\":1}",
];

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![6 => prop::sample::select(PIECES).prop_map(str::to_owned), 1 => "\\PC{0,8}"];
    prop::collection::vec(piece, 1..9).prop_map(|pieces| pieces.concat())
}

/// Rows of few letters, as rolling captions repeat them.
fn rows() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&["a", "b", "c", "a b"][..]), 1..4).prop_map(|rows| rows.join("\n"))
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![6 => prop::sample::select(NAMES).prop_map(str::to_owned), 1 => "\\PC{1,10}"]
}

#[derive(Debug, Clone)]
struct Said {
    /// How long after the start of the line before; none where nobody knows when.
    after_ms: Option<MediaMs>,
    length_ms: Option<MediaMs>,
    speaker: Option<usize>,
    text: String,
    lang: Option<&'static str>,
    begins_turn: bool,
    has_words: bool,
}

fn said(is_timed: bool) -> impl Strategy<Value = Said> {
    let known = prop::sample::select(&[0, 0, 1, 400, 1_000, 1_500, 2_000, 7_030, 70_000, 3_600_000][..]);
    let after = if is_timed { known.prop_map(Some).boxed() } else { prop::option::weighted(0.7, known).boxed() };
    let length = prop::option::of(prop::sample::select(&[1, 300, 1_000, 1_500, 2_000, 9_999][..]));
    let lang = prop::option::weighted(0.2, prop::sample::select(&["en", "de-CH"][..]));
    let text = prop_oneof![5 => text(), 1 => rows()];
    let flags = (prop::bool::weighted(0.1), prop::bool::weighted(0.2));
    (after, length, prop::option::weighted(0.8, 0..4_usize), text, lang, flags).prop_map(
        |(after_ms, length_ms, speaker, text, lang, (begins_turn, has_words))| Said {
            after_ms,
            length_ms,
            speaker,
            text,
            lang,
            begins_turn,
            has_words,
        },
    )
}

/// One person says the same rows again and again without a pause, as rolling captions look.
fn said_again() -> impl Strategy<Value = Vec<Said>> {
    let said = rows().prop_map(|text| Said {
        after_ms: Some(1_000),
        length_ms: Some(1_000),
        speaker: None,
        text,
        lang: None,
        begins_turn: false,
        has_words: false,
    });
    prop::collection::vec(said, 3..6)
}

fn meta() -> impl Strategy<Value = FeedMeta> {
    let title = prop::sample::select(&["A hearing", "- 5 degrees", "A --> B", "# 1 & <2>", "[00:01]"][..]);
    let note = prop_oneof![Just("Oct 14\n\nNotes".to_owned()), text()];
    let trailer = prop_oneof![Just("Published at x".to_owned()), text()];
    let maybe = |chance| prop::bool::weighted(chance);
    (title, note, trailer, maybe(0.3), maybe(0.3), maybe(0.3), maybe(0.3)).prop_map(
        |(title, note, trailer, has_title, has_language, has_note, has_trailer)| FeedMeta {
            title: has_title.then(|| title.into()),
            language: has_language.then(|| "en".into()),
            preamble: has_note.then(|| note.into()),
            trailer: has_trailer.then(|| trailer.into()),
        },
    )
}

fn transcript(names: &[String], all: &[Said], meta: FeedMeta) -> Transcript {
    let mut at = 0;
    let lines = all.iter().enumerate().map(|(index, said)| {
        let speaker = said.speaker.and_then(|speaker| names.get(speaker)).map(String::as_str);
        at += said.after_ms.unwrap_or(10);
        let mut line = version(&(index + 1).to_string(), at, speaker, &said.text);
        line.content.end_ms = said.length_ms.map(|length| at + length).filter(|_| said.after_ms.is_some());
        line.content.lang = said.lang.map(Into::into);
        line.content.break_before = said.begins_turn.then_some(Break::Turn);
        if said.after_ms.is_none() {
            (line.content.start_ms, line.arrival_ms, line.time_source) = (None, Some(at), Some(TimeSource::Order));
        } else if said.has_words {
            let words = said.text.split_whitespace().enumerate();
            line.content.words = words
                .map(|(number, word)| Word {
                    text: word.into(),
                    start_ms: at + number as MediaMs * 100,
                    end_ms: (number % 2 == 0).then(|| at + number as MediaMs * 100 + 90),
                    confidence: None,
                })
                .collect();
        }
        line
    });
    fold(meta, lines.collect::<Vec<Version>>(), vec![])
}

/// The lines of a document that are written, with the names of their speakers, by turns.
fn lines(document: &Document) -> Vec<(usize, Option<String>, Line)> {
    let names: HashMap<&str, &str> = document.speakers.iter().map(|speaker| (&*speaker.id, &*speaker.name)).collect();
    let mut lines = Vec::new();
    for (_, turn) in &document.turns {
        let said = turn.iter().filter(|line| !line.text.trim().is_empty());
        lines.extend(said.enumerate().map(|(index, line)| {
            let name = line.speaker.as_deref().and_then(|id| names.get(id)).filter(|name| !name.trim().is_empty());
            (index, name.map(|name| (*name).to_owned()), line.clone())
        }));
    }
    lines
}

/// What no format may change: all but blanks and what is no character.
fn letters(text: &str) -> String {
    let is_letter =
        |c: &char| !c.is_whitespace() && !c.is_control() && !matches!(c, '\u{FFFD}' | '\u{FFFE}' | '\u{FFFF}');
    text.chars().filter(is_letter).collect()
}

/// Writes `document`, reads it again, and counts what is not as it was.
fn measure(format: Format, kind: FileKind, document: &Document) -> BTreeMap<LossKind, usize> {
    let written = write(format, document);
    let name = format!("x.{}", format.extension());
    let reading = read(written.as_bytes(), Some(&name)).unwrap_or_else(|error| panic!("{format}: {error}\n{written}"));
    assert_eq!(reading.kind, kind, "{written}");
    // A text that ends as a header does is told, and is text; names that differ in signs alone are told, and are two.
    let is_near = |message: &str| {
        format == Format::Rev && message.contains("begins no block") || message.contains("is written nearly as")
    };
    let problems: Vec<_> = reading.problems.iter().filter(|problem| !is_near(&problem.message)).collect();
    assert!(problems.is_empty(), "{format}: {problems:?}\n{written}");
    assert!(format == Format::Ttml || reading.losses.is_empty(), "{format}: {:?}\n{written}", reading.losses);
    let again = Document::of_reading(&document.feed, &reading, IMPORTED_AT);
    let (before, after) = (lines(document), lines(&again));
    let show =
        || format!("{format}:\n{written}\n{:?}", after.iter().map(|(_, _, line)| &line.text).collect::<Vec<_>>());
    assert_eq!(before.len(), after.len(), "lines of {}", show());
    let keeps = format.fidelity();
    let mut counts: BTreeMap<LossKind, usize> = BTreeMap::new();
    let mut count = |kind: LossKind, is_lost: bool| *counts.entry(kind).or_default() += usize::from(is_lost);
    let mut renamed = BTreeSet::new();
    let mut called: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (number, ((index, name, line), (_, back_name, back))) in before.iter().zip(&after).enumerate() {
        assert_eq!(letters(&line.text), letters(&back.text), "a text of {}", show());
        if line.text != back.text {
            let solid = |text: &str| text.split_whitespace().collect::<String>();
            let is_blank = solid(&line.text) == solid(&back.text);
            count(if is_blank { LossKind::Blanks } else { LossKind::Characters }, true);
        }
        match (name, back_name) {
            (None, None) => {}
            (None, Some(_)) => count(LossKind::Unnamed, true),
            (Some(name), back_name) => {
                let back_name = back_name.as_deref().unwrap_or_default();
                let (letters_of, back_letters) = (letters(name), letters(back_name));
                let is_cut = matches!(format, Format::Rev | Format::Md) && letters_of.starts_with(&back_letters);
                let is_numbered = letters_of.bytes().all(|byte| byte.is_ascii_digit());
                let is_known = letters_of == back_letters || is_cut || is_numbered || format == Format::Rev;
                assert!(is_known, "{name:?} became {back_name:?} in {}", show());
                if name != back_name {
                    renamed.insert(name.clone());
                }
                called.entry(back_name.to_owned()).or_default().insert(name.clone());
            }
        }
        let is_estimate = line.time_source.is_some();
        let is_seconds = keeps.starts != StartPrecision::Milliseconds;
        let is_of_turn = keeps.starts != StartPrecision::SecondsOfTurns || *index == 0;
        match () {
            () if !is_of_turn => count(LossKind::Starts, !is_estimate),
            () if is_seconds => {
                assert_eq!(back.start_ms, line.start_ms / 1000 * 1000, "a start of {}", show());
                count(LossKind::Milliseconds, line.start_ms != back.start_ms);
                count(LossKind::Estimates, is_estimate);
            }
            () if is_estimate => {
                let is_lost = back.time_source.is_none();
                count(LossKind::Estimates, is_lost);
            }
            () => count(LossKind::Starts, back.start_ms != line.start_ms),
        }
        match line.end_ms.filter(|end| *end > line.start_ms) {
            Some(end) if back.end_ms == Some(end) => {}
            Some(end) if format != Format::RevJson && keeps.ends => {
                assert!(back.end_ms.is_some_and(|back| back > end), "an end of {}", show());
                count(LossKind::ShortCues, true);
            }
            Some(_) => count(LossKind::Ends, true),
            // A line ends with its words.
            None if format == Format::RevJson && !line.words.is_empty() => {}
            None => count(LossKind::Estimates, !is_estimate && back.end_ms.is_some()),
        }
        let starts = |line: &Line| line.words.iter().map(|word| word.start_ms).collect::<Vec<_>>();
        // The start of a line without words is that of its first word, where a format has no other place for it.
        count(LossKind::Words, !line.words.is_empty() && starts(line) != starts(back));
        let is_the_feeds = keeps.language && line.lang == document.meta.language;
        count(LossKind::Languages, line.lang != back.lang && !is_the_feeds);
        let is_broken = line.break_before.is_some() && back.break_before.is_none();
        count(LossKind::Breaks, number > 0 && is_broken);
    }
    count(LossKind::Title, document.meta.title != again.meta.title);
    count(LossKind::Language, document.meta.language != again.meta.language);
    let notes = |meta: &FeedMeta| {
        let notes = [meta.preamble.as_deref(), meta.trailer.as_deref()];
        letters(&notes.map(Option::unwrap_or_default).concat()).chars().collect::<BTreeSet<_>>()
    };
    let has_notes = document.meta.preamble.is_some() || document.meta.trailer.is_some();
    count(LossKind::Notes, if keeps.notes { notes(&document.meta) != notes(&again.meta) } else { has_notes });
    counts.insert(LossKind::Names, renamed.len());
    counts.insert(LossKind::Namesakes, called.values().map(BTreeSet::len).filter(|count| *count > 1).sum());
    counts.retain(|_, count| *count > 0);
    counts
}

fn told(format: Format, document: &Document) -> BTreeMap<LossKind, usize> {
    losses(format, document).0.into_iter().map(|loss| (loss.kind, loss.count)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    /// The same texts in the same order by the same speakers at the same times; and whatever is not the same is told, with how
    /// often.
    #[test]
    fn what_is_written_is_read_again_and_what_is_lost_is_counted(
        names in prop::collection::vec(name(), 4),
        all in prop_oneof![
            3 => prop::collection::vec(said(true), 1..9),
            1 => prop::collection::vec(said(false), 1..9),
            1 => said_again(),
        ],
        meta in meta(),
    ) {
        let transcript = transcript(&names, &all, meta);
        prop_assume!(transcript.counts().0 > 0);
        let document = Document::of(&feed(), &transcript, Range::default());
        for format in Format::ALL {
            let Some(kind) = FileKind::of(format) else { continue };
            let (measured, told) = (measure(format, kind, &document), told(format, &document));
            prop_assert_eq!(measured, told, "{}\n{}", format, write(format, &document));
        }
    }
}

/// The table in the docs says of each format what the code says.
#[test]
fn the_docs_say_what_each_format_keeps() {
    let docs = std::fs::read_to_string(in_project("docs/formats.md")).expect("the page");
    let mut missing = Vec::new();
    for format in Format::ALL {
        let keeps = format.fidelity();
        let starts = match keeps.starts {
            StartPrecision::Milliseconds => "milliseconds",
            StartPrecision::Seconds => "seconds",
            StartPrecision::SecondsOfTurns => "seconds, of turns",
        };
        let cells = [
            keeps.ends,
            keeps.estimates,
            keeps.words,
            keeps.languages,
            keeps.unnamed,
            keeps.title,
            keeps.language,
            keeps.notes,
            keeps.records,
        ];
        let cells = cells.map(|is_kept| if is_kept { "yes" } else { "no" }).join(" | ");
        let row = format!("| `{format}` | `.{}` | {starts} | {cells} |\n", format.extension());
        missing.extend((!docs.contains(&row)).then_some(row));
    }
    for kind in LossKind::ALL {
        let word = format!("`{}`", kind.as_str());
        missing.extend((!docs.contains(&word)).then_some(word));
    }
    assert!(missing.is_empty(), "docs/formats.md has not:\n{}", missing.concat());
}

/// What a page or a person is told of a small transcript, in each format.
#[test]
fn losses_of_a_small_event() {
    let document = Document::of(&feed(), &small_event(), Range::default());
    let told: String = Format::ALL.map(|format| format!("{format}: {}\n", losses(format, &document).header())).concat();
    let path = in_project("tests/golden/losses.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &told).expect("a golden file is written");
    }
    assert_eq!(told, std::fs::read_to_string(&path).expect("the golden file"), "UPDATE_GOLDEN=1 rewrites it");
}
