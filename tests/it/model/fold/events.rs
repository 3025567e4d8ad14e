//! What a feed may meet: logs made at random, small enough that everything collides with everything.
//!
//! Few ids, few times near the limits of the turn rule, few labels; late lines, repeats, corrections, conflicts, lines
//! without times, ends before starts, several sources, and orders of every kind.

use std::sync::Arc;

use captionwire::position::Epoch;
use captionwire::transcript::{
    Break, Content, FeedMeta, FrameBytes, Op, PublishedBy, RawFrame, Record, Status, TimeSource, Timestamp,
    TurnSettings, Version, Word,
};
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// When every log of these tests begins.
pub(crate) const OPENED_AT: Timestamp = Timestamp(1_700_000_000_000);

pub(crate) const SOURCES: [&str; 3] = ["main", "asr-2", "s_3"];
pub(crate) const SESSIONS: [&str; 3] = ["one", "two", "3"];
const IDS: [&str; 8] = ["1", "2", "9", "10", "010", "a", "A2", "a:1"];
const SPEAKERS: [&str; 4] = ["Ann", "Bo", "Reporter", ""];
const TEXTS: [&str; 7] = ["", " \t", "yes", "no", "[laughter] and (silence)", "but I…", "what they said was \"no\"-"];

fn text(from: &'static [&'static str]) -> impl Strategy<Value = Arc<str>> {
    select(from).prop_map(Arc::from)
}

pub(crate) fn source() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![8 => Just(Arc::from("main")), 2 => text(&SOURCES)]
}

pub(crate) fn id() -> impl Strategy<Value = Arc<str>> {
    text(&IDS)
}

pub(crate) fn label() -> impl Strategy<Value = Arc<str>> {
    text(&SPEAKERS)
}

/// Near the limits: a pause is 5 s, an unknown speaker is cut at every full minute.
fn start() -> impl Strategy<Value = i64> {
    prop_oneof![
        12 => select(&[0, 1, 1_000, 4_000, 8_999, 9_000, 9_001, 13_000, 14_000, 59_999, 60_000, 60_001, 64_000, 120_000]),
        1 => 0..200_000_i64,
    ]
}

fn end_after() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        4 => Just(None),
        5 => select(&[0, 1, 500, 3_999, 4_000, 4_001, 20_000]).prop_map(Some),
        1 => (-2_000..0_i64).prop_map(Some),
    ]
}

pub(crate) fn content() -> impl Strategy<Value = Content> {
    let word = (text(&["yes", "no"]), 0..3_i64, of(0..3_i64), of(select(&[0.0, -0.0, 0.25, 1.0])));
    let words = word.prop_map(|(text, start_ms, end_ms, confidence)| Word { text, start_ms, end_ms, confidence });
    (
        (prop_oneof![Just(Status::Interim), Just(Status::Final)], weighted(0.85, start()), end_after()),
        (weighted(0.75, label()), text(&TEXTS), weighted(0.1, text(&["en", "de"]))),
        (
            prop_oneof![6 => Just(None), 1 => Just(Some(Break::Turn))],
            prop_oneof![6 => Just(vec![]), 1 => vec(words, 1..2)],
        ),
    )
        .prop_map(|((status, start_ms, after), (speaker, text, lang), (break_before, words))| Content {
            status,
            start_ms,
            end_ms: after.map(|after| start_ms.unwrap_or(9_000) + after),
            speaker,
            text,
            lang,
            break_before,
            words,
        })
}

pub(crate) fn version(rev: impl Strategy<Value = Option<u64>>) -> impl Strategy<Value = Version> {
    let arrival = of((0..70_000_i64, of(select(&[TimeSource::Arrival, TimeSource::Order]))));
    (id(), rev, arrival, content()).prop_map(|(id, rev, arrival, content)| Version {
        id,
        rev,
        arrival_ms: arrival.map(|(ms, _)| ms).filter(|_| content.start_ms.is_none()),
        time_source: arrival.and_then(|(_, source)| source).filter(|_| content.start_ms.is_none()),
        content,
    })
}

fn any_rev() -> impl Strategy<Value = Option<u64>> {
    of(prop_oneof![20 => 0..4_u64, 1 => Just(u64::MAX)])
}

fn line() -> impl Strategy<Value = Op> {
    (source(), prop_oneof![4 => vec(version(any_rev()), 1), 1 => vec(version(any_rev()), 0..4)])
        .prop_map(|(source, lines)| Op::Line { source, lines })
}

fn order() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => (source(), id(), any_rev()).prop_map(|(source, id, rev)| Op::Retract { source, id, rev }),
        8 => (source(), start()).prop_map(|(source, media_ms)| Op::Clock { source, media_ms }),
        8 => (source(), id(), any_rev()).prop_map(|(source, id, rev)| Op::Abandon { source, id, rev }),
        4 => (label(), text(&["Ann", "Dr. Bo", "Cy"]), of(text(&["person", "role"])))
            .prop_map(|(speaker, name, kind)| Op::Rename { speaker, name, kind }),
        6 => (label(), label()).prop_map(|(from, into)| Op::Merge { from, into }),
        4 => label().prop_map(|from| Op::Unmerge { from }),
        8 => select(&[Op::Pause, Op::Resume, Op::End, Op::End, Op::Reopen, Op::Unknown]),
        2 => (of(text(&["Hearing", "Briefing"])), of(text(&["en", "fr"])), of(text(&["It began late."])))
            .prop_map(|(title, language, preamble)| Op::Meta(FeedMeta { title, language, preamble, trailer: None })),
        1 => settings().prop_map(open),
        1 => source().prop_map(frame),
    ]
}

fn settings() -> impl Strategy<Value = TurnSettings> {
    prop_oneof![
        8 => Just(TurnSettings::default()),
        1 => Just(TurnSettings { turn_gap_ms: 1_000, max_unknown_turn_ms: 10_000 }),
        1 => Just(TurnSettings { turn_gap_ms: 0, max_unknown_turn_ms: 1 }),
    ]
}

fn frame(source: Arc<str>) -> Op {
    let (connection, format) = (source.clone(), source.clone());
    let bytes = FrameBytes::new(b"{}");
    Op::Frame(Box::new(RawFrame { source, connection, format, offset_ms: None, has_names: false, lang: None, bytes }))
}

pub(crate) fn open(settings: TurnSettings) -> Op {
    Op::Open { epoch: Epoch::new("life"), settings, imported: false }
}

/// One record; its time of arrival counts from the one before it.
fn record() -> impl Strategy<Value = Record> {
    let op = prop_oneof![6 => line(), 4 => order()];
    let published = weighted(0.6, (source(), select(&SESSIONS), 1..16_u64, weighted(0.7, Just(()))));
    let op_id = weighted(0.15, text(&["o1", "o2", "o3"]));
    (op, prop_oneof![Just(0), 0..4_000_i64], published, op_id).prop_map(|(op, after, published, op_id)| {
        let published = published.map(|(source, session, seq, own)| {
            let source = match &op {
                Op::Line { source, .. } | Op::Retract { source, .. } | Op::Clock { source, .. } => source.clone(),
                _ => source,
            };
            PublishedBy { source, session: session.into(), seq, own_ids: own.is_some() }
        });
        let by_publisher =
            matches!(op, Op::Line { .. } | Op::Retract { .. } | Op::Clock { .. } | Op::End | Op::Unknown);
        Record { received_at: Timestamp(after), published: published.filter(|_| by_publisher), op_id, op }
    })
}

/// A log: opened and made live at first as a rule, with some of its records again later, as they were or nearly so.
pub(crate) fn log(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Record>> {
    let head = (settings(), weighted(0.15, any::<Index>()), weighted(0.85, Just(())));
    let again = (any::<Index>(), any::<Index>(), twist());
    (head, vec(record(), length), vec(again, 0..6)).prop_map(|(head, mut records, again)| {
        let (settings, opened_late, live) = head;
        for (number, (from, to, twist)) in (0..).zip(again) {
            if !records.is_empty() {
                let copy = records[from.index(records.len())].clone();
                records.insert(to.index(records.len() + 1), twisted(copy, twist, number));
            }
        }
        records.splice(0..0, live.map(|()| Record::new(Timestamp(0), Op::Resume)));
        let at = opened_late.map_or(0, |at| at.index(records.len() + 1));
        records.insert(at, Record::new(Timestamp(0), open(settings)));
        stamp(records)
    })
}

/// Status, start, the number of a text, and speaker.
type RivalsLine = (Status, Option<i64>, usize, Option<Arc<str>>);

/// What rivals say: much, in a script with blanks and in one without, and little.
const RIVALS_TEXTS: [[&str; 5]; 3] = [
    ["yes", "yes it", "yes it is", "yes item", "no"],
    ["はい", "はい、会議を", "はい、会議を始めます。", "はい、会話", "いいえ"],
    ["yes", "no", "yes", "no", "yes"],
];

/// A log in which sessions do nothing but say the same few things of the same two lines, for themselves and of each other.
pub(crate) fn rivals() -> impl Strategy<Value = Vec<Record>> {
    let session = select(&["one", "two", "3", "4"]);
    let start = prop_oneof![4 => select(&[0, 0, 0, 900, 9_000, 20_000]).prop_map(Some), 1 => Just(None)];
    let said = (
        select(&[Status::Final, Status::Final, Status::Interim]),
        start,
        0..RIVALS_TEXTS[0].len(),
        of(text(&["A", "B"])),
    );
    let said = prop_oneof![4 => said.prop_map(Some), 1 => Just(None)];
    let id = text(&["1", "1", "2"]);
    let rev = prop_oneof![3 => Just(None), 1 => (0..4_u64).prop_map(Some)];
    let message = (session, weighted(0.9, Just(())), id, rev, said, weighted(0.05, start_of_clock()));
    let texts = prop_oneof![3 => Just(RIVALS_TEXTS[0]), 1 => Just(RIVALS_TEXTS[1]), 2 => Just(RIVALS_TEXTS[2])];
    // Of some one says again what the other said, and nothing else.
    let alike = prop_oneof![3 => Just(None), 1 => select(&[Some(0), None]).prop_map(Some)];
    (vec(message, 2..24), texts, alike).prop_map(|(messages, texts, alike)| {
        let source: Arc<str> = "main".into();
        let record = |(n, (session, own, id, rev, said, clock)): (usize, _)| {
            let own: Option<()> = own;
            let said: Option<RivalsLine> = said;
            let op = match (clock, said) {
                (Some(media_ms), _) => Op::Clock { source: source.clone(), media_ms },
                (None, None) => Op::Retract { source: source.clone(), id, rev },
                (None, Some((status, start_ms, text, speaker))) => {
                    let (start_ms, speaker) = alike.map_or((start_ms, speaker), |start_ms| (start_ms, None));
                    let content = Content { status, start_ms, text: texts[text].into(), speaker, ..Content::default() };
                    let version = Version { id, rev, content, ..Version::default() };
                    Op::Line { source: source.clone(), lines: vec![version] }
                }
            };
            let (session, seq) = (<Arc<str>>::from(session), n as u64 + 1);
            let by = PublishedBy { source: source.clone(), session, seq, own_ids: own.is_some() };
            Record { received_at: Timestamp(100), published: Some(by), op_id: None, op }
        };
        let first = [open(TurnSettings::default()), Op::Resume].map(|op| Record::new(Timestamp(0), op));
        stamp(first.into_iter().chain(messages.into_iter().enumerate().map(record)).collect())
    })
}

fn start_of_clock() -> impl Strategy<Value = i64> {
    select(&[15_000, 60_000])
}

/// What a record that comes again says otherwise.
#[derive(Debug, Clone, Copy)]
enum Twist {
    Nothing,
    /// It has no name, so that its versions are looked at.
    Name,
    /// Another session says it.
    Session,
    Rev,
    Status,
    Text,
    /// The smallest difference that two contents can have.
    SignOfZero,
}

fn twist() -> impl Strategy<Value = Twist> {
    select(&[
        Twist::Nothing,
        Twist::Session,
        Twist::Session,
        Twist::Name,
        Twist::Rev,
        Twist::Status,
        Twist::Text,
        Twist::SignOfZero,
    ])
}

fn twisted(mut record: Record, twist: Twist, number: u64) -> Record {
    if !matches!(twist, Twist::Nothing) {
        (record.published, record.op_id) = (None, None);
    }
    if let (Twist::Session, Op::Line { source, .. } | Op::Retract { source, .. }) = (twist, &record.op) {
        let (source, session) = (source.clone(), "4".into());
        record.published = Some(PublishedBy { source, session, seq: number + 1, own_ids: true });
    }
    if let Op::Line { lines, .. } = &mut record.op {
        for line in lines {
            match twist {
                Twist::Nothing | Twist::Name | Twist::Session => {}
                Twist::Rev => line.rev = line.rev.map_or(Some(1), |_| None),
                Twist::Status => line.content.status = Status::Final,
                Twist::Text => line.content.text = "otherwise".into(),
                Twist::SignOfZero => {
                    line.content.words.iter_mut().for_each(|word| word.confidence = word.confidence.map(|sure| -sure));
                }
            }
        }
    }
    record
}

/// Makes times of arrival out of the spans between them.
pub(crate) fn stamp(mut records: Vec<Record>) -> Vec<Record> {
    let mut now = OPENED_AT;
    for record in &mut records {
        now = Timestamp(now.0.saturating_add(record.received_at.0));
        record.received_at = now;
    }
    records
}

/// A log such as only damage, or a hostile hand, would write: numbers of any size in every place.
pub(crate) fn wild_log() -> impl Strategy<Value = Vec<Record>> {
    let number =
        || prop_oneof![select(&[i64::MIN, -1, 0, 1, 9_999_999_999_999, 10_000_000_000_000, i64::MAX]), any::<i64>()];
    let times = (of(number()), of(number()), of(number()));
    let line = (source(), version(of(any::<u64>())), times).prop_map(|(source, mut version, (start, end, arrival))| {
        (version.content.start_ms, version.content.end_ms, version.arrival_ms) = (start, end, arrival);
        Op::Line { source, lines: vec![version] }
    });
    let op = prop_oneof![
        6 => line,
        1 => (source(), number()).prop_map(|(source, media_ms)| Op::Clock { source, media_ms }),
        1 => order(),
    ];
    let settings = (number(), number());
    (settings, vec((number(), op), 0..16)).prop_map(|((turn_gap_ms, max_unknown_turn_ms), ops)| {
        let first = open(TurnSettings { turn_gap_ms, max_unknown_turn_ms });
        let ops = ops.into_iter().map(|(at, op)| Record::new(Timestamp(at), op));
        [Record::new(OPENED_AT, first)].into_iter().chain(ops).collect()
    })
}
