//! The properties that together define a correct transcript, each for both views, on logs made at random.
//!
//! `fold/book.rs` says every rule again, slowly; `fold/reader.rs` is a reader as the protocol describes it;
//! `fold/events.rs` makes the logs; `fold/stories.rs` and `fold/goldens.rs` tell single cases and real transcripts.
//!
//! A property that fails prints the shortest log it found and the seed; `PROPTEST_RNG_SEED=<seed>` runs it again, and
//! `PROPTEST_CASES` sets another number of cases. The tests named `…_is_noticed` break one rule of the book, or make the
//! reader careless, and expect the very same checks to fail: no rule is there that nothing would miss.

pub(crate) mod book;
mod events;
mod goldens;
mod identity;
pub(crate) mod reader;
mod stories;
mod turns;

use std::collections::{BTreeMap, BTreeSet};

use captionwire::position::Offset;
use captionwire::transcript::line::sent_id;
use captionwire::transcript::{FoldView, Op, Record, Timestamp, Transcript, TurnSettings, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestError, TestRunner};

use self::book::{Book, Picture, Reports, Rule};
use self::events::{OPENED_AT, SESSIONS, SOURCES, open};
use self::reader::{Careless, Reader, message, messages_over_the_wire, picture_of};

const VIEWS: [FoldView; 2] = [FoldView::Interim, FoldView::FinalOnly];

/// Tries `test` on `cases` values; the error names the seed and the least value that fails.
fn try_property<S: Strategy>(
    seed: u64,
    cases: u32,
    strategy: S,
    test: impl Fn(S::Value) -> TestCaseResult,
) -> Result<(), String>
where
    S::Value: std::fmt::Debug,
{
    let config = Config { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&strategy, test).map_err(|error| match error {
        TestError::Fail(why, value) => format!("PROPTEST_RNG_SEED={seed}\n{why}\n{value:#?}"),
        TestError::Abort(why) => format!("PROPTEST_RNG_SEED={seed}\ngiven up: {why}"),
    })
}

fn property<S: Strategy>(strategy: S, test: impl Fn(S::Value) -> TestCaseResult)
where
    S::Value: std::fmt::Debug,
{
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seed = number("PROPTEST_RNG_SEED").unwrap_or_else(|| getrandom::u64().expect("the system has random numbers"));
    let cases = number("PROPTEST_CASES").and_then(|cases| u32::try_from(cases).ok()).unwrap_or(2_000);
    if let Err(why) = try_property(seed, cases, strategy, test) {
        panic!("{why}");
    }
}

fn fold(view: FoldView, log: &[Record]) -> Transcript {
    let mut transcript = Transcript::new(view);
    for (offset, record) in log.iter().enumerate() {
        transcript.apply(Offset(offset as u64), record.clone());
    }
    transcript
}

/// Everything that a fold says of itself.
#[derive(Debug, PartialEq)]
struct Whole {
    picture: Picture,
    changes: u64,
    counts: (usize, usize),
    clock: Option<(i64, Timestamp)>,
    reach: Option<(i64, Timestamp)>,
    holder: Option<String>,
    last_line_at: Option<Timestamp>,
    seqs: Vec<u64>,
    last_ids: Vec<Option<String>>,
    interim: Vec<BTreeMap<String, u64>>,
}

impl Whole {
    fn of(transcript: &Transcript) -> Self {
        let interim = |source: &&str| -> BTreeMap<String, u64> {
            transcript.interim_lines(source).into_iter().map(|(id, rev, _)| (id.to_string(), rev)).collect()
        };
        Self {
            picture: picture_of(transcript),
            changes: transcript.change(),
            counts: transcript.counts(),
            clock: transcript.clock().map(|reached| (reached.media_ms, reached.at)),
            reach: transcript.reach().map(|reached| (reached.media_ms, reached.at)),
            holder: transcript.holder().map(ToString::to_string),
            last_line_at: transcript.last_line_at(),
            seqs: sessions().map(|(source, session)| transcript.seq(source, session)).collect(),
            last_ids: SOURCES.iter().map(|source| transcript.last_id(source).map(ToString::to_string)).collect(),
            interim: SOURCES.iter().map(interim).collect(),
        }
    }

    fn of_book(book: &Book) -> Self {
        let lines = book.picture().turns.iter().map(|turn| turn.lines.len()).sum();
        Self {
            picture: book.picture().clone(),
            changes: book.changes(),
            counts: (lines, book.picture().turns.len()),
            clock: book.clock(),
            reach: book.reach(),
            holder: book.holder().map(str::to_owned),
            last_line_at: book.last_line_at(),
            seqs: sessions().map(|(source, session)| book.seq(source, session)).collect(),
            last_ids: SOURCES.iter().map(|source| book.last_id(source)).collect(),
            interim: SOURCES.iter().map(|source| book.interim(source)).collect(),
        }
    }
}

fn sessions() -> impl Iterator<Item = (&'static str, &'static str)> {
    SOURCES.into_iter().flat_map(|source| SESSIONS.map(|session| (source, session)))
}

/// Folds a log and follows the book beside it: after every record both say the same.
fn agrees_with(mut book: Book, view: FoldView, log: &[Record]) -> TestCaseResult {
    let mut transcript = Transcript::new(view);
    for (offset, record) in log.iter().enumerate() {
        let changes = book.changes();
        let reports = book.take(record);
        let applied = transcript.apply(Offset(offset as u64), record.clone());
        prop_assert_eq!(Whole::of(&transcript), Whole::of_book(&book), "after record {}", offset);
        prop_assert_eq!(applied.changed, book.changes() != changes, "record {}", offset);
        let found: Vec<_> = applied.conflicts.iter().map(|conflict| (conflict.key.to_string(), conflict.rev)).collect();
        let reused = applied
            .reused
            .iter()
            .map(|reused| (reused.key.to_string(), reused.outcome.clone(), reused.session.to_string()));
        let found = Reports { conflicts: found, reused: reused.collect() };
        prop_assert_eq!(found, reports, "record {}", offset);
    }
    Ok(())
}

/// Property 3: after every record, what is kept equals what assembling all heads from nothing gives.
#[test]
fn incremental_equals_batch() {
    property(any_log(), |log| VIEWS.into_iter().try_for_each(|view| agrees_with(Book::new(view), view, &log)));
}

fn any_log() -> impl Strategy<Value = Vec<Record>> {
    prop_oneof![2 => events::log(0..40), 1 => events::rivals()]
}

/// Property 12, and 3 where numbers are as large as a damaged log may hold them.
#[test]
fn numbers_of_any_size_are_folded_by_the_book() {
    property(events::wild_log(), |log| VIEWS.into_iter().try_for_each(|view| agrees_with(Book::new(view), view, &log)));
}

/// The check of property 3 would notice it if any one rule were missing.
#[test]
fn every_rule_left_out_of_the_book_is_noticed() {
    let unnoticed: Vec<Rule> = Rule::ALL
        .into_iter()
        .filter(|rule| {
            let check = |log: Vec<Record>| {
                VIEWS.into_iter().try_for_each(|view| agrees_with(Book::without(view, *rule), view, &log))
            };
            // Each on logs that are about it.
            let logs = if rule.is_of_identity() { events::rivals().boxed() } else { events::log(0..40).boxed() };
            try_property(7, 20_000, logs.no_shrink(), check).is_ok()
        })
        .collect();
    assert!(unnoticed.is_empty(), "left out and not missed: {unnoticed:?}");
}

/// Property 1: the order in which versions with a revision arrive, and how they are packed, makes no difference.
#[test]
fn order_of_arrival_makes_no_difference() {
    // The time of a line without one is that of its first record: here, every key has one such time.
    let version = events::version((0..4_u64).prop_map(Some)).prop_map(|mut version| {
        version.arrival_ms = Some(arrival_of(&version.id));
        version.time_source = None;
        version
    });
    let retraction = (events::id(), 0..4_u64).prop_map(|(id, rev)| (id, Some(rev)));
    let said = prop_oneof![5 => version.prop_map(Ok), 1 => retraction.prop_map(Err)];
    let orders = (any::<u64>(), any::<u64>(), 1..4_usize);
    property((vec(said, 0..24), orders), |(said, (one, two, pack))| {
        for view in VIEWS {
            let first = final_form(view, &shuffled(&said, one), 1);
            let second = final_form(view, &shuffled(&said, two), pack);
            prop_assert_eq!(first, second);
        }
        Ok(())
    });
}

/// Lines and turns as bytes, without what history decides: times of arrival, states and revisions of turns.
fn final_form(view: FoldView, said: &[Said], pack: usize) -> (Vec<String>, Vec<String>) {
    let mut log = vec![Record::new(OPENED_AT, open(TurnSettings::default()))];
    for (n, some) in said.chunks(pack).enumerate() {
        let at = Timestamp(OPENED_AT.0 + n as i64);
        let lines: Vec<Version> = some.iter().filter_map(|said| said.as_ref().ok().cloned()).collect();
        log.push(Record::new(at, Op::Line { source: "main".into(), lines }));
        let retractions = some.iter().filter_map(|said| said.as_ref().err().cloned());
        log.extend(retractions.map(|(id, rev)| {
            let at = Timestamp(OPENED_AT.0 + arrival_of(&id));
            Record::new(at, Op::Retract { source: "main".into(), id, rev })
        }));
    }
    let (mut lines, mut turns) = (Vec::new(), Vec::new());
    for (mut turn, some) in fold(view, &log).assembled() {
        (turn.state, turn.rev) = (captionwire::transcript::TurnState::Closed, 0);
        turns.push(serde_json::to_string(&turn).expect("encodes"));
        for mut line in some {
            line.received_at = Timestamp(0);
            lines.push(serde_json::to_string(&line).expect("encodes"));
        }
    }
    (lines, turns)
}

fn arrival_of(id: &str) -> i64 {
    id.bytes().map(i64::from).sum::<i64>() * 100
}

/// A version, or the id and revision of a retraction.
type Said = Result<Version, (std::sync::Arc<str>, Option<u64>)>;

/// Fisher and Yates, with the low bits of a Weyl sequence; every fourth item comes twice.
fn shuffled(said: &[Said], mut seed: u64) -> Vec<Said> {
    let mut all: Vec<Said> = said.iter().chain(said.iter().step_by(4)).cloned().collect();
    for end in (1..all.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        all.swap(end, (seed >> 33) as usize % (end + 1));
    }
    all
}

/// Property 2: a record with a name (a message of a session, an order with an id) is one, however often it comes.
#[test]
fn a_named_record_twice_is_once() {
    let repeats = vec((any::<Index>(), any::<Index>()), 1..12);
    property((events::log(1..30), repeats), |(log, repeats)| {
        let mut seqs: BTreeMap<String, u64> = BTreeMap::new();
        let named: Vec<Record> = log
            .into_iter()
            .enumerate()
            .map(|(n, mut record)| {
                // Either its publisher numbers it, or who ordered it named it.
                match &mut record.published {
                    Some(by) => {
                        let seq = seqs.entry(format!("{}/{}", by.source, by.session)).or_default();
                        *seq += 1;
                        (by.seq, record.op_id) = (*seq, None);
                    }
                    None => record.op_id = Some(format!("order-{n}").into()),
                }
                record
            })
            .collect();
        VIEWS.into_iter().try_for_each(|view| repeats_change_nothing(view, &named, &repeats))
    });
}

/// Property 2: a version with a revision is once, however often it comes and however late.
#[test]
fn a_version_with_a_revision_twice_is_once() {
    let line = events::version((0..4_u64).prop_map(Some))
        .prop_map(|version| Op::Line { source: "main".into(), lines: vec![version] });
    let retract =
        (events::id(), 0..4_u64).prop_map(|(id, rev)| Op::Retract { source: "main".into(), id, rev: Some(rev) });
    let op = prop_oneof![4 => line, 1 => retract];
    let repeats = vec((any::<Index>(), any::<Index>()), 1..12);
    property((vec(op, 1..24), repeats), |(ops, repeats)| {
        let first = [open(TurnSettings::default()), Op::Resume];
        let record = |(n, op)| Record::new(Timestamp(OPENED_AT.0 + n as i64 * 700), op);
        let log: Vec<Record> = first.into_iter().chain(ops).enumerate().map(record).collect();
        VIEWS.into_iter().try_for_each(|view| repeats_change_nothing(view, &log, &repeats))
    });
}

/// Folds `log`, then once more with some of its records again later; both say the same after every record of the log,
/// and no repeat changes anything.
fn repeats_change_nothing(view: FoldView, log: &[Record], repeats: &[(Index, Index)]) -> TestCaseResult {
    let (mut once, mut often) = (Transcript::new(view), Transcript::new(view));
    let mut offset = 0;
    for (n, record) in log.iter().enumerate() {
        once.apply(Offset(n as u64), record.clone());
        often.apply(Offset(offset), record.clone());
        offset += 1;
        for (after, again) in
            repeats.iter().filter(|(after, _)| after.index(log.len()) == n).map(|(a, b)| (a, b.index(n + 1)))
        {
            let mut repeat = log[again].clone();
            repeat.received_at = Timestamp(record.received_at.0 + 9_999);
            let applied = often.apply(Offset(offset), repeat);
            prop_assert!(!applied.changed, "record {} again after {:?}", again, after);
            offset += 1;
        }
        prop_assert_eq!(Whole::of(&often), Whole::of(&once), "after record {}", n);
    }
    Ok(())
}

/// A record of the log that is handed over again, as after a restart of the tail, is passed over.
#[test]
fn an_offset_twice_is_once() {
    property((events::log(1..30), any::<Index>()), |(log, from)| {
        for view in VIEWS {
            let mut transcript = fold(view, &log);
            let before = Whole::of(&transcript);
            for (offset, record) in log.iter().enumerate().skip(from.index(log.len())) {
                prop_assert_eq!(transcript.apply(Offset(offset as u64), record.clone()), Default::default());
            }
            prop_assert_eq!(Whole::of(&transcript), before);
        }
        Ok(())
    });
}

/// Property 4: every shown line is in one turn, none is invented, and turns in a row say what the lines in order say.
#[test]
fn every_line_is_in_one_turn() {
    property(events::log(0..40), |log| {
        for view in VIEWS {
            let transcript = fold(view, &log);
            let turns: Vec<_> = transcript.assembled().collect();
            let mut told = transcript.changes_since(0, usize::MAX).lines;
            told.sort_by(|a, b| a.sort.cmp(&b.sort));
            let in_turns: Vec<_> = turns.iter().flat_map(|(_, lines)| lines.clone()).collect();
            prop_assert_eq!(&in_turns, &told);
            let sent: BTreeSet<_> = log.iter().flat_map(texts_of).collect();
            let keys: BTreeSet<_> = in_turns.iter().map(|line| line.key()).collect();
            prop_assert_eq!(keys.len(), in_turns.len(), "no line is in two turns");
            for line in &in_turns {
                let id = sent_id(&line.id).unwrap_or(&line.id);
                prop_assert!(sent.contains(&(format!("{}/{id}", line.source), line.text.to_string())), "{:?}", line);
            }
            for (turn, lines) in &turns {
                prop_assert_eq!(turn.id.to_string(), lines[0].key().to_string());
            }
        }
        Ok(())
    });
}

fn texts_of(record: &Record) -> Vec<(String, String)> {
    match &record.op {
        Op::Line { source, lines } => {
            lines.iter().map(|line| (format!("{source}/{}", line.id), line.content.text.to_string())).collect()
        }
        _ => Vec::new(),
    }
}

/// Property 5: a merge only takes boundaries away, undoing it restores them, a rename touches no line and no turn.
#[test]
fn merges_only_coarsen_and_renames_touch_nothing() {
    property((events::log(0..30), events::label(), events::label()), |(log, from, into)| {
        for view in VIEWS {
            let mut transcript = fold(view, &log);
            let mut offset = log.len() as u64;
            let mut order = |transcript: &mut Transcript, op| {
                offset += 1;
                let since = transcript.change();
                transcript.apply(Offset(offset), Record::new(OPENED_AT, op));
                transcript.changes_since(since, usize::MAX)
            };
            let boundaries = |transcript: &Transcript| -> BTreeSet<String> {
                transcript.assembled().map(|(turn, _)| turn.id.to_string()).collect()
            };
            let before = boundaries(&transcript);
            let lines =
                |transcript: &Transcript| transcript.assembled().flat_map(|(_, lines)| lines).collect::<Vec<_>>();
            let lines_before = lines(&transcript);
            let was_merged = transcript.speakers().iter().any(|speaker| speaker.id == from && speaker.into.is_some());

            let changes = order(&mut transcript, Op::Merge { from: from.clone(), into: into.clone() });
            let merged = boundaries(&transcript);
            prop_assert!(merged.is_subset(&before), "{:?} in {:?}", merged, before);
            prop_assert!(changes.lines.is_empty() && changes.gone.is_empty(), "{:?}", changes);
            prop_assert!(!was_merged || changes.is_empty(), "who is merged stays merged: {:?}", changes);

            let named = Op::Rename { speaker: from.clone(), name: "Somebody Else".into(), kind: None };
            let changes = order(&mut transcript, named);
            prop_assert_eq!(boundaries(&transcript), merged);
            prop_assert!(changes.speakers.len() == 1 && changes.lines.is_empty() && changes.turns.is_empty());
            prop_assert!(changes.gone.is_empty() && changes.gone_turns.is_empty());

            if !was_merged {
                order(&mut transcript, Op::Unmerge { from: from.clone() });
                prop_assert_eq!(boundaries(&transcript), before);
            }
            prop_assert_eq!(lines(&transcript), lines_before);
        }
        Ok(())
    });
}

/// When a reader looks, how much it is sent at once, and what goes wrong on the way.
#[derive(Debug, Clone)]
struct Look {
    bytes_max: usize,
    /// The message never arrives; the reader asks again from where it was.
    lost: bool,
    /// An earlier message arrives once more, before this one.
    again: Option<Index>,
}

fn looks() -> impl Strategy<Value = Vec<Option<Look>>> {
    let bytes_max = proptest::sample::select(&[0, 1, 300, 600, 2_000, usize::MAX][..]);
    let look = (bytes_max, any::<bool>(), proptest::option::of(any::<Index>()));
    let look = look.prop_map(|(bytes_max, lost, again)| Look { bytes_max, lost, again });
    vec(proptest::option::of(look), 48)
}

/// A reader looks now and then. Whenever nothing is behind what it took, it shows what the server shows.
fn converges(mut reader: Reader, view: FoldView, log: &[Record], looks: &[Option<Look>]) -> TestCaseResult {
    let mut transcript = Transcript::new(view);
    let mut earlier = Vec::new();
    for (offset, record) in log.iter().enumerate() {
        transcript.apply(Offset(offset as u64), record.clone());
        let Some(look) = &looks[offset % looks.len()] else { continue };
        let message = message(&transcript, reader.cursor, look.bytes_max);
        prop_assert!(message.cursor.change > reader.cursor || !message.behind, "a page takes the reader on");
        if look.lost {
            continue;
        }
        if let Some(again) = &look.again
            && !earlier.is_empty()
        {
            reader.take(&earlier[again.index(earlier.len())]);
        }
        reader.take(&message);
        if !message.behind {
            prop_assert_eq!(reader.picture(), picture_of(&transcript).of_reader(), "after record {}", offset);
        }
        earlier.push(message);
    }
    reads_to_the_end(&mut reader, &transcript, 500)?;
    prop_assert_eq!(reader.picture(), picture_of(&transcript).of_reader(), "at the end");
    Ok(())
}

/// Takes page after page until nothing is behind.
fn reads_to_the_end(reader: &mut Reader, transcript: &Transcript, bytes_max: usize) -> TestCaseResult {
    loop {
        let before = reader.cursor;
        let message = message(transcript, before, bytes_max);
        reader.take(&message);
        if !message.behind {
            prop_assert_eq!(reader.cursor, transcript.change());
            return Ok(());
        }
        prop_assert!(reader.cursor > before, "a page takes the reader on");
    }
}

/// Property 6: however seldom a reader looks, and whatever it takes twice or misses, it ends with the server's screen.
#[test]
fn readers_converge() {
    property((events::log(0..40), looks()), |(log, looks)| {
        VIEWS.into_iter().try_for_each(|view| converges(Reader::default(), view, &log, &looks))
    });
}

/// The check of property 6 would notice a reader that does not do as the protocol says.
#[test]
fn a_careless_reader_is_noticed() {
    for how in [Careless::TakesOldMessages, Careless::KeepsGoneLines, Careless::KeepsGoneTurns] {
        let check = |(log, looks): (Vec<Record>, Vec<Option<Look>>)| {
            VIEWS.into_iter().try_for_each(|view| converges(Reader::careless(how), view, &log, &looks))
        };
        let found = try_property(7, 2_000, (events::log(0..40), looks()).no_shrink(), check);
        assert!(found.is_err(), "{how:?} went unnoticed");
    }
}

/// Property 6: what follows any cursor, read at the end, leads to the same screen.
#[test]
fn changes_since_any_cursor_converge() {
    property((events::log(0..30), proptest::sample::select(&[0, 1, 400, usize::MAX][..])), |(log, bytes_max)| {
        for view in VIEWS {
            let mut transcript = Transcript::new(view);
            let mut readers = vec![Reader::default()];
            for (offset, record) in log.iter().enumerate() {
                transcript.apply(Offset(offset as u64), record.clone());
                let mut reader = readers[offset].clone();
                reader.take(&message(&transcript, reader.cursor, usize::MAX));
                readers.push(reader);
            }
            let shown = picture_of(&transcript).of_reader();
            for mut reader in readers {
                let from = reader.cursor;
                reads_to_the_end(&mut reader, &transcript, bytes_max)?;
                prop_assert_eq!(reader.picture(), shown.clone(), "from {}", from);
            }
        }
        Ok(())
    });
}

/// Property 7: cut after any page, over the wire, and read on from the cursor: the same as one uncut read.
#[test]
fn resuming_at_any_cut_is_one_uncut_read() {
    property((events::log(0..40), any::<Index>()), |(log, middle)| {
        for view in VIEWS {
            // What a reader has taken when the log was half as long, page by page, each a place to be cut at.
            let middle = middle.index(log.len() + 1);
            let mut transcript = fold(view, &log[..middle]);
            let mut reader = Reader::default();
            let mut at_every_page = vec![reader.clone()];
            loop {
                let messages = messages_over_the_wire(&transcript, reader.cursor, 400);
                messages.iter().for_each(|message| reader.take(message));
                at_every_page.push(reader.clone());
                if !messages.iter().any(|message| message.behind) {
                    break;
                }
            }
            for (offset, record) in log.iter().enumerate().skip(middle) {
                transcript.apply(Offset(offset as u64), record.clone());
            }
            let mut uncut = Reader::default();
            messages_over_the_wire(&transcript, 0, usize::MAX).iter().for_each(|message| uncut.take(message));
            prop_assert_eq!(uncut.picture(), picture_of(&transcript).of_reader());
            for mut reader in at_every_page {
                reader.cut();
                reads_to_the_end(&mut reader, &transcript, 700)?;
                prop_assert_eq!(reader.picture(), uncut.picture());
            }
        }
        Ok(())
    });
}

/// Property 8: what the log holds as bytes folds to the same states at the same offsets, whatever offsets are left out,
/// and two replays send byte for byte the same.
#[test]
fn two_replays_are_byte_identical() {
    property((events::log(0..40), vec(1..5_u64, 48)), |(log, steps)| {
        for view in VIEWS {
            let mut folds = [Transcript::new(view), Transcript::new(view), Transcript::new(view)];
            let mut sparse = 0;
            for (offset, record) in log.iter().enumerate() {
                sparse += steps[offset % steps.len()];
                let bytes = record.encode();
                let since = folds[0].change();
                folds[0].apply(Offset(offset as u64), Record::decode(&bytes));
                folds[1].apply(Offset(sparse), Record::decode(&bytes));
                folds[2].apply(Offset(sparse), record.clone());
                let [a, b, c] = folds.each_ref().map(|fold| {
                    let messages = messages_over_the_wire(fold, since, 500);
                    serde_json::to_string(&messages).expect("encodes")
                });
                prop_assert_eq!(&a, &b);
                prop_assert_eq!(&a, &c, "what was encoded and decoded folds as before");
            }
            prop_assert_eq!(Whole::of(&folds[0]), Whole::of(&folds[2]));
        }
        Ok(())
    });
}

/// Property 11: a line that comes late, or changes its label, sends itself and a handful of turns, whatever lies around.
#[test]
fn changes_stay_local() {
    let late = (events::version(Just(Some(9))), 0..200_usize);
    property((vec(events::content(), 200), late), |(contents, (mut late, at))| {
        let line = |(n, mut content): (usize, captionwire::transcript::Content)| {
            (content.start_ms, content.status) = (Some(n as i64 * 700), captionwire::transcript::Status::Final);
            // An end far behind all others may join turns anywhere: that is the rule, and not meant here.
            content.end_ms = content.end_ms.map(|_| n as i64 * 700 + 650);
            Version { id: n.to_string().into(), rev: Some(0), content, ..Version::default() }
        };
        let lines = contents.into_iter().enumerate().map(line).collect();
        let first = [open(TurnSettings::default()), Op::Resume, Op::Line { source: "main".into(), lines }];
        let log = first.map(|op| Record::new(OPENED_AT, op));
        for view in VIEWS {
            let mut transcript = fold(view, &log);
            let since = transcript.change();
            late.content.start_ms = Some(at as i64 * 700 + 100);
            late.content.end_ms = late.content.end_ms.map(|_| at as i64 * 700 + 650);
            let op = Op::Line { source: "main".into(), lines: vec![late.clone()] };
            transcript.apply(Offset(3), Record::new(OPENED_AT, op));
            let changes = transcript.changes_since(since, usize::MAX);
            prop_assert!(changes.lines.len() + changes.gone.len() <= 1, "{:?}", changes);
            let turns = changes.turns.len() + changes.gone_turns.len();
            // It moves from one place to another; at either a turn may begin, end, or change, and so may its neighbours.
            prop_assert!(turns <= 8, "{:?}", changes);
        }
        Ok(())
    });
}

/// Property 12: any bytes in the place of records are folded, and change nothing where they say nothing.
#[test]
fn any_bytes_are_folded() {
    let damage = vec((any::<Index>(), any::<Index>(), any::<u8>()), 0..12);
    property((events::log(1..20), damage, vec(vec(any::<u8>(), 0..60), 0..4)), |(log, damage, noise)| {
        let mut records: Vec<Vec<u8>> = log.iter().map(|record| record.encode().to_vec()).chain(noise).collect();
        for (record, place, byte) in damage {
            let count = records.len();
            let record = &mut records[record.index(count)];
            if !record.is_empty() {
                let place = place.index(record.len());
                record[place] = byte;
            }
        }
        let decoded: Vec<Record> = records.iter().map(|bytes| Record::decode(bytes)).collect();
        VIEWS.into_iter().try_for_each(|view| agrees_with(Book::new(view), view, &decoded))
    });
}

/// A message of a session that is not above its greatest is passed over, whatever it says: a publisher that resends its
/// tail after any cut changes nothing.
#[test]
fn resending_the_tail_of_a_session_changes_nothing() {
    property((events::log(1..30), any::<Index>(), any::<Index>()), |(log, cut, from)| {
        // One publisher numbers everything; it is cut somewhere and sends again from some place before that.
        let number = |(n, mut record): (usize, Record)| {
            let by = captionwire::transcript::PublishedBy {
                source: "main".into(),
                session: "one".into(),
                seq: n as u64 + 1,
                own_ids: true,
            };
            (record.published, record.op_id) = (Some(by), None);
            record
        };
        let log: Vec<Record> = log.into_iter().enumerate().map(number).collect();
        let cut = cut.index(log.len());
        let resent: Vec<Record> = log[..=cut].iter().chain(&log[from.index(cut + 1)..]).cloned().collect();
        for view in VIEWS {
            prop_assert_eq!(Whole::of(&fold(view, &resent)), Whole::of(&fold(view, &log)));
        }
        Ok(())
    });
}
