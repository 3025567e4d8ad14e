//! Who may change whose line: sessions of one source that use the same ids, for the same lines and for others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use captionwire::position::Offset;
use captionwire::transcript::{
    ApplyOutcome, Content, FoldView, Op, PublishedBy, Record, ReuseOutcome, ReusedId, Status, Timestamp, Transcript,
    TurnSettings, Version,
};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::events::{self, OPENED_AT, open};
use super::{VIEWS, Whole, property};

/// A feed that is live, and the messages that its sessions have sent.
struct Feed {
    transcript: Transcript,
    seq: u64,
}

impl Feed {
    fn new(view: FoldView) -> Self {
        let mut feed = Self { transcript: Transcript::new(view), seq: 0 };
        feed.take(OPENED_AT, None, open(TurnSettings::default()));
        feed.take(OPENED_AT, None, Op::Resume);
        feed
    }

    fn take(&mut self, received_at: Timestamp, published: Option<PublishedBy>, op: Op) -> ApplyOutcome {
        let record = Record { received_at, published, op_id: None, op };
        self.transcript.apply(self.transcript.next_offset(), record)
    }

    /// A message of a session; one whose name begins with `corrects` says that its ids are the source's.
    fn says_at(&mut self, at: Timestamp, session: &str, op: Op) -> ApplyOutcome {
        self.seq += 1;
        let own_ids = !session.starts_with("corrects");
        let by = PublishedBy { source: "main".into(), session: session.into(), seq: self.seq, own_ids };
        self.take(at, Some(by), op)
    }

    fn says(&mut self, session: &str, lines: &[Version]) -> Vec<String> {
        let applied = self.says_at(OPENED_AT, session, Op::Line { source: "main".into(), lines: lines.to_vec() });
        reused(&applied)
    }

    fn takes_back(&mut self, session: &str, id: &str) -> Vec<String> {
        let op = Op::Retract { source: "main".into(), id: id.into(), rev: None };
        reused(&self.says_at(OPENED_AT, session, op))
    }

    fn clock(&mut self, media_ms: i64) {
        self.take(OPENED_AT, None, Op::Clock { source: "main".into(), media_ms });
    }

    /// Each line as `id: text`, in order.
    fn shown(&self) -> Vec<String> {
        let lines = self.transcript.assembled().flat_map(|(_, lines)| lines);
        lines.map(|line| format!("{}: {}", line.id, line.text)).collect()
    }
}

/// What is told of ids that were used again: `7>7~s2` for a line that is kept beside another, `7!` for a final one that was
/// replaced, `7>-` for one that was not taken back, `7!!` (`7!?` without times) for one that its own session overwrote, `7 1<3`
/// for a revision 1 of a line that has revision 3.
fn reused(applied: &ApplyOutcome) -> Vec<String> {
    let told = |reused: &ReusedId| match &reused.outcome {
        ReuseOutcome::Beside(id) => format!("{}>{id}", reused.key.id),
        ReuseOutcome::Replaced => format!("{}!", reused.key.id),
        ReuseOutcome::NotTakenBack => format!("{}>-", reused.key.id),
        ReuseOutcome::Overwritten { is_timed: true } => format!("{}!!", reused.key.id),
        ReuseOutcome::Overwritten { is_timed: false } => format!("{}!?", reused.key.id),
        ReuseOutcome::Overtaken { rev, head_rev } => format!("{} {rev}<{head_rev}", reused.key.id),
    };
    applied.reused.iter().map(told).collect()
}

fn line(id: &str, start_ms: i64, text: &str) -> Version {
    let content = Content { start_ms: Some(start_ms), text: text.into(), ..Content::default() };
    Version { id: id.into(), content, ..Version::default() }
}

fn guess(id: &str, start_ms: i64, text: &str) -> Version {
    let line = line(id, start_ms, text);
    Version { content: Content { status: Status::Interim, ..line.content }, ..line }
}

/// One program's messages: all with revisions, or all without, where the order of its versions counts.
fn script() -> impl Strategy<Value = Vec<Op>> {
    prop_oneof![2 => messages(|| Just(None).boxed()), 1 => messages(|| (0..4_u64).prop_map(Some).boxed())]
}

fn messages(rev: fn() -> BoxedStrategy<Option<u64>>) -> impl Strategy<Value = Vec<Op>> {
    let lines = vec(events::version(rev()), 1..3).prop_map(|lines| Op::Line { source: "main".into(), lines });
    let retract = (events::id(), rev()).prop_map(|(id, rev)| Op::Retract { source: "main".into(), id, rev });
    vec(prop_oneof![6 => lines, 1 => retract], 1..24)
}

/// A program is cut off anywhere, any number of times, and starts again from its first message as a new session: what is
/// shown, and all else that the fold says, is what one uncut session leaves. Nothing is doubled, undone or lost. Without
/// times so much is not known of it that only what was there whole is sent again without a trace.
#[test]
fn a_script_sent_again_after_any_cut_is_there_once() {
    property((script(), vec(any::<Index>(), 0..4), any::<bool>()), |(mut script, cuts, has_times)| {
        let mut said: BTreeSet<Arc<str>> = BTreeSet::new();
        script.retain_mut(|op| match op {
            Op::Line { lines, .. } => {
                for line in lines {
                    line.content.start_ms = line.content.start_ms.or(has_times.then_some(3_000));
                    if line.content.status == Status::Final {
                        said.insert(line.id.clone());
                    }
                }
                true
            }
            // Who takes back a guess, or nothing, has shown nothing of the line yet.
            Op::Retract { id, .. } => said.contains(id),
            _ => true,
        });
        let send = |feed: &mut Feed, session: &str, ops: &[Op]| {
            for (n, op) in ops.iter().enumerate() {
                let at = Timestamp(OPENED_AT.0 + n as i64 * 700);
                let applied = feed.says_at(at, session, op.clone());
                // A correction behind the cut replaces what the run before said, and is told.
                let is_apart =
                    |reused: &ReusedId| matches!(reused.outcome, ReuseOutcome::Beside(_) | ReuseOutcome::NotTakenBack);
                prop_assert!(!applied.reused.iter().any(is_apart), "message {}: {:?}", n, reused(&applied));
            }
            Ok(())
        };
        for view in VIEWS {
            let (mut uncut, mut cut) = (Feed::new(view), Feed::new(view));
            send(&mut uncut, "whole", &script)?;
            for (n, until) in cuts.iter().enumerate() {
                let until = if has_times { until.index(script.len() + 1) } else { script.len() };
                send(&mut cut, &format!("run-{n}"), &script[..until])?;
            }
            send(&mut cut, "whole", &script)?;
            let whole = |feed: &Feed| Whole { seqs: Vec::new(), ..Whole::of(&feed.transcript) };
            prop_assert_eq!(whole(&cut), whole(&uncut));
        }
        Ok(())
    });
}

/// Whom the runs of a program name as speakers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speakers {
    Nobody,
    /// All the same one.
    Clerk,
    /// Each its own.
    OfTheRun,
}

/// Programs that know nothing of each other number their lines from 1, one after the other: each line of each of them is
/// there in the end as that program alone would have left it. An hour later, and within seconds; whether its lines have times
/// and speakers or not, but where the clock and the speaker are the same ones too; and whether they are guesses or final.
#[test]
fn a_counter_that_starts_again_replaces_no_line() {
    let speakers = prop_oneof![Just(Speakers::Nobody), Just(Speakers::Clerk), Just(Speakers::OfTheRun)];
    let kind = (any::<bool>(), speakers, any::<bool>());
    let kind =
        kind.prop_map(|(is_soon, speakers, has_times)| (is_soon, speakers, has_times && speakers != Speakers::Clerk));
    property((vec((script(), 0..4_i64), 2..4), kind), |(runs, (is_soon, speakers, has_times))| {
        for view in VIEWS {
            let mut together = Feed::new(view);
            let mut expected: Vec<(i64, String)> = Vec::new();
            for (n, (script, begins)) in runs.iter().enumerate() {
                let mut alone = Feed::new(view);
                if !is_soon {
                    // Nobody is in mid-sentence when the next one starts, wherever its own clock begins.
                    let clock = together.transcript.clock().map_or(0, |clock| clock.media_ms);
                    together.clock(clock + 20_001);
                }
                let mut said: BTreeSet<Arc<str>> = BTreeSet::new();
                for op in script {
                    let mut op = op.clone();
                    match &mut op {
                        Op::Line { lines, .. } => lines.iter_mut().for_each(|line| {
                            said.insert(line.id.clone());
                            // No two of them say the same, and no line of theirs is hidden.
                            line.content.text =
                                format!("{} {}", ["Alpha", "Beta", "Gamma"][n], line.content.text).into();
                            line.content.speaker = match speakers {
                                Speakers::Nobody => None,
                                Speakers::Clerk => Some("Clerk".into()),
                                Speakers::OfTheRun => Some(format!("speaker of run {n}").into()),
                            };
                            if has_times {
                                line.content.start_ms = line.content.start_ms.map(|ms| begins * 3_600_000 + ms);
                                line.arrival_ms = line.arrival_ms.map(|ms| begins * 3_600_000 + ms);
                            } else {
                                line.content.start_ms = None;
                                line.arrival_ms = Some(i64::try_from(together.seq).expect("small") * 100);
                            }
                            line.content.end_ms = None;
                        }),
                        // Of an id that a program has not said, it can take nothing back.
                        Op::Retract { id, .. } if !said.contains(id) => continue,
                        _ => {}
                    }
                    alone.says_at(OPENED_AT, "alone", op.clone());
                    together.says_at(OPENED_AT, &format!("run-{n}"), op);
                }
                expected.extend(texts(&alone));
            }
            expected.sort();
            prop_assert_eq!(texts(&together), expected);
        }
        Ok(())
    });
}

/// Messages of up to three runs: session, pause before it, id, revision, and status, start, text and speaker of a line.
type RunMessage = (usize, i64, Arc<str>, Option<u64>, Option<(Status, Option<i64>, Arc<str>, Option<Arc<str>>)>);

fn run_messages() -> impl Strategy<Value = Vec<RunMessage>> {
    let texts = [
        "Yes.",
        "No.",
        "No problem at all.",
        "Motion 114 carried",
        "Motion 115 lost",
        "We begin",
        "We begin, at last.",
    ];
    let text = |texts: &'static [&'static str]| select(texts).prop_map(Arc::<str>::from);
    let status = select(&[Status::Final, Status::Final, Status::Interim]);
    let start = prop_oneof![1 => Just(None), 2 => select(&[0, 500, 2_000, 9_000, 3_600_000]).prop_map(Some)];
    let speaker = prop_oneof![2 => Just(None), 1 => text(&["A", "B"]).prop_map(Some)];
    let said = (status, start, select(texts.to_vec()).prop_map(Arc::<str>::from), speaker);
    let said = prop_oneof![6 => said.prop_map(Some), 1 => Just(None)];
    let rev = prop_oneof![3 => Just(None), 1 => (0..4_u64).prop_map(Some)];
    let pause = select(&[0, 100, 1_000, 9_000, 3_600_000]);
    let messages = vec((0..3_usize, pause, text(&["1", "2", "3"]), rev, said), 1..24);
    (messages, weighted(0.8, Just(()))).prop_map(|(mut messages, one_by_one)| {
        if one_by_one.is_some() {
            messages.sort_by_key(|message| message.0);
        }
        messages
    })
}

/// What the oracle of the test below knows of a line: its versions, and who changed it.
#[derive(Debug, Default)]
struct Past {
    said: Vec<Content>,
    changed_by: Vec<usize>,
}

/// Whatever runs of a program do, one after the other or in turns: a final line that another session changed last is replaced
/// only by who has said it again with its start and counts nothing anew, by who changed it before, or by its own sentence that
/// goes on; and nobody else hides it.
#[test]
fn no_final_line_of_another_session_is_lost() {
    property(run_messages(), |messages| {
        let mut feed = Feed::new(FoldView::Interim);
        let (mut pasts, mut anew) = (BTreeMap::<String, Past>::new(), BTreeSet::new());
        let (mut knows, mut members) = (BTreeSet::<(usize, String)>::new(), BTreeSet::new());
        let mut at = OPENED_AT;
        for (n, (session, pause, id, rev, said)) in messages.into_iter().enumerate() {
            at = Timestamp(at.0 + pause);
            let contents = |feed: &Feed| -> BTreeMap<String, Content> {
                let lines = feed.transcript.assembled().flat_map(|(_, lines)| lines);
                lines.map(|line| (line.id.to_string(), line.into_content())).collect()
            };
            let before = contents(&feed);
            let (op, version) = match said {
                None => (Op::Retract { source: "main".into(), id: id.clone(), rev }, None),
                Some((status, start_ms, text, speaker)) => {
                    let content = Content { status, start_ms, text, speaker, ..Content::default() };
                    let line = Version { id: id.clone(), rev, content: content.clone(), ..Version::default() };
                    (Op::Line { source: "main".into(), lines: vec![line] }, Some(content))
                }
            };
            // Whoever says more of a line that it knows, and counts nothing anew so far, corrects it.
            for (_, key) in knows.iter().filter(|(knows, _)| *knows == session && !anew.contains(&session)) {
                if *key == *id || key.starts_with(&format!("{id}~")) {
                    members.insert((session, key.clone()));
                }
            }
            let applied = feed.says_at(at, &format!("run-{session}"), op);
            let after = contents(&feed);
            for (key, was) in &before {
                let now = after.get(key);
                let past = &pasts[key];
                let is_foreign = past.changed_by.last() != Some(&session);
                if was.status != Status::Final || now == Some(was) || !is_foreign {
                    continue;
                }
                let is_member = past.changed_by.contains(&session) || members.contains(&(session, key.clone()));
                let goes_on = now.is_some_and(|now| {
                    let starts = was.start_ms.zip(now.start_ms);
                    let words = was.text.trim_end_matches('.');
                    starts.is_some_and(|(was, now)| (was - now).abs() <= 1_000)
                        && words.contains(' ')
                        && now.text.starts_with(words)
                        && (was.speaker.is_none() || was.speaker == now.speaker)
                });
                prop_assert!(is_member || goes_on, "message {}: {} was {:?}, is {:?}", n, key, was, now);
                let is_told = applied.reused.iter().any(|reused| reused.outcome == ReuseOutcome::Replaced);
                prop_assert!(is_told, "message {}: {} is replaced untold", n, key);
            }
            for (key, now) in &after {
                if before.get(key) != Some(now) {
                    let past = pasts.entry(key.clone()).or_default();
                    past.changed_by.push(session);
                }
            }
            for key in before.keys().filter(|key| !after.contains_key(*key)) {
                pasts.get_mut(key).expect("it was there").changed_by.push(session);
            }
            if applied.reused.iter().any(|reused| matches!(reused.outcome, ReuseOutcome::Beside(_))) {
                anew.insert(session);
            }
            for (key, past) in &mut pasts {
                let is_called_so = *key == *id || key.starts_with(&format!("{id}~"));
                let Some(content) = version.as_ref().filter(|_| is_called_so) else { continue };
                // A guess that another one has open is known by its words.
                let is_guess = content.status == Status::Interim && before.get(key) == Some(content);
                let is_final = content.status == Status::Final && content.start_ms.is_some();
                if is_guess || is_final && past.said.contains(content) {
                    knows.insert((session, key.clone()));
                }
                past.said.push(content.clone());
            }
        }
        Ok(())
    });
}

/// Where each line starts and what it says.
fn texts(feed: &Feed) -> Vec<(i64, String)> {
    let lines = feed.transcript.assembled().flat_map(|(_, lines)| lines);
    let mut texts: Vec<_> = lines.map(|line| (line.start_ms, line.text.to_string())).collect();
    texts.sort();
    texts
}

#[test]
fn a_second_hour_under_the_same_ids_stands_beside_the_first() {
    for view in VIEWS {
        let mut feed = Feed::new(view);
        let hour = 3_600_000;
        assert!(feed.says("a", &[line("1", 0, "one"), line("2", 30_000, "two")]).is_empty());
        // Its corrections and what it takes back are its own, in one message or in several.
        assert_eq!(
            feed.says("b", &[guess("1", hour, "o"), line("1", hour, "ONE"), line("3", hour, "three")]),
            ["1>1~s2"]
        );
        assert!(feed.says("b", &[line("1", hour, "One")]).is_empty(), "told once");
        assert_eq!(
            feed.says("b", &[Version { rev: Some(99), ..line("2", hour, "TWO") }]),
            ["2>2~s2"],
            "a rev is no key"
        );
        assert_eq!(feed.shown(), ["1: one", "2: two", "1~s2: One", "2~s2: TWO", "3: three"]);
        feed.says("a", &[line("1", 0, "one, corrected")]);
        feed.takes_back("b", "2");
        assert_eq!(feed.shown(), ["1: one, corrected", "2: two", "1~s2: One", "3: three"]);
        // The third one counts on; what it takes back without having said it stays.
        assert_eq!(feed.says("c", &[line("1", 2 * hour, "1")]), ["1>1~s3"]);
        assert_eq!(feed.takes_back("c", "2"), ["2>-"]);
        assert_eq!(feed.shown().len(), 5);
        assert_eq!(feed.transcript.last_id("main").map(|id| &**id), Some("3"), "no id that the fold gave");
    }
}

#[test]
fn a_reconnect_in_mid_sentence_goes_on_with_the_line() {
    let (clock, start) = (100_000, 93_000);
    // Where the line and the version start, and whether the version is one of the line.
    for (line_ms, version_ms, joins) in [
        (start, start, true),
        (90_000, 110_000, true),
        (89_999, start, false),
        (start, 110_001, false),
        (start, 0, false),
        (0, start, false),
    ] {
        let mut feed = Feed::new(FoldView::Interim);
        feed.says("a", &[guess("7", line_ms, "so")]);
        feed.clock(clock);
        let told = feed.says("b", &[guess("7", version_ms, "so we")]);
        assert_eq!(told.is_empty(), joins, "{line_ms} {version_ms}");
        assert_eq!(feed.shown().len(), if joins { 1 } else { 2 });
        if joins {
            // It is a member from now on, and so is the first one.
            feed.clock(clock + 60_000);
            assert!(feed.says("b", &[line("7", line_ms, "so we begin")]).is_empty());
            assert_eq!(feed.says("a", &[line("7", line_ms, "So we begin.")]), ["7!"], "b had finished it");
            assert_eq!(feed.shown(), ["7: So we begin."]);
            assert_eq!(feed.takes_back("c", "7"), ["7>-"]);
            assert_eq!(feed.takes_back("b", "7"), ["7!"]);
            assert!(feed.shown().is_empty());
        }
    }
    // A sentence under an id that was used before: the newest line of it is the one that is being said.
    let mut feed = Feed::new(FoldView::Interim);
    feed.says("a", &[line("7", 0, "long ago")]);
    feed.clock(clock);
    assert_eq!(feed.says("b", &[guess("7", clock, "so")]), ["7>7~s2"]);
    assert!(feed.says("c", &[line("7", clock, "so we begin")]).is_empty());
    assert_eq!(feed.shown(), ["7: long ago", "7~s2: so we begin"]);
    // The clock is that of before the message, whatever the message holds.
    let mut feed = Feed::new(FoldView::Interim);
    feed.says("a", &[line("7", 0, "just now")]);
    assert_eq!(feed.says("b", &[line("8", 90_000, "ahead"), line("7", 500, "Just now.")]), ["7!"]);
    assert_eq!(feed.shown(), ["7: Just now.", "8: ahead"]);
}

/// A program that starts again within ten seconds, under the ids of the run before: what cannot be the sentence that was being
/// said is kept beside it, and what can be it replaces no final line untold.
#[test]
fn within_ten_seconds_only_the_sentence_itself_goes_on() {
    let by = |speaker: &str, line: Version| {
        let speaker = (!speaker.is_empty()).then(|| speaker.into());
        Version { content: Content { speaker, ..line.content }, ..line }
    };
    let (said, guessed) =
        (|speaker, text| by(speaker, line("1", 5_000, text)), |text| by("A", guess("1", 5_000, text)));
    let untimed = |line: Version| Version {
        arrival_ms: Some(5_000),
        content: Content { start_ms: None, ..line.content },
        ..line
    };
    let beside = || vec!["1>1~s2".to_owned()];
    for (before, version, told, shown) in [
        // A final line: with its start, all of its words and its speaker.
        (said("A", "We begin."), said("A", "We begin, at last."), vec!["1!".to_owned()], 1),
        (said("", "We begin."), said("", "We begin!"), vec!["1!".to_owned()], 1),
        (said("", "We begin."), said("B", "We begin!"), vec!["1!".to_owned()], 1),
        (said("A", "We begin."), said("", "We begin!"), beside(), 2),
        (said("A", "We begin, at last."), said("A", "We begin."), beside(), 2),
        (said("A", "We begin at last."), said("A", "We begin, at least."), beside(), 2),
        (said("A", "No."), said("A", "No problem at all."), beside(), 2),
        (said("A", "We can"), said("A", "We cannot"), beside(), 2),
        (said("A", "Minister resigns"), said("A", "Ministers meet"), beside(), 2),
        (said("A", "Motion 114 carried"), said("A", "Motion 115 lost"), beside(), 2),
        (said("A", "I"), said("A", "It rains"), beside(), 2),
        (said("A", "No."), said("A", "No!"), beside(), 2),
        (said("A", "会議を始めます。"), said("A", "会議を始めます。ご着席ください。"), vec!["1!".to_owned()], 1),
        (said("A", "はい。"), said("A", "はい、そうです。"), beside(), 2),
        (said("A", "会議を始めます。"), said("A", "次の議題に移ります。"), beside(), 2),
        (said("A", "We begin."), said("B", "We begin, at last."), beside(), 2),
        (said("A", "We begin."), said("A", "No questions."), beside(), 2),
        (said("A", "We begin."), by("A", line("1", 6_001, "We begin, at last.")), beside(), 2),
        (said("A", "We begin."), by("B", line("1", 9_000, "No questions.")), beside(), 2),
        (said("", "We begin."), said("", "No questions."), beside(), 2),
        // A guess, or a lower revision, would not be the line's.
        (said("A", "We begin."), guessed("We be"), beside(), 2),
        (said("A", "We begin."), guessed("We begin, at last"), beside(), 2),
        (
            Version { rev: Some(2), ..said("A", "We begin.") },
            Version { rev: Some(1), ..said("A", "We begin, at last") },
            beside(),
            2,
        ),
        // A guess: with two of them.
        (guessed("I scream"), said("A", "Ice cream."), vec![], 1),
        (guessed("I scream"), said("B", "I scream."), vec![], 1),
        (guessed("今日は、皆さん"), untimed(by("", line("1", 0, "今日は、皆さん、会議を始めます。"))), vec![], 1),
        (guessed("สวัสดีค่ะ"), untimed(by("", line("1", 0, "สวัสดีค่ะท่าน"))), vec![], 1),
        (guessed("e-mail"), untimed(by("", line("1", 0, "e-mails go out."))), vec![], 1),
        (guessed("I scream"), by("A", line("1", 9_000, "I scream!")), vec![], 1),
        (guessed("I scream"), said("B", "Ice cream."), beside(), 2),
        (guessed("I scream"), by("A", line("1", 9_000, "Ice cream.")), beside(), 2),
        (guessed("I scream"), by("B", line("1", 9_000, "I scream!")), beside(), 2),
        // What one of them does not say is no sign of either.
        (guessed("I scream"), said("", "Ice cream."), beside(), 2),
        (guessed("I scream"), said("", "I scream."), vec![], 1),
        (guessed("I scream"), untimed(by("A", line("1", 0, "Ice cream."))), beside(), 2),
        (guessed("I scream"), untimed(by("A", line("1", 0, "I scraped"))), beside(), 2),
        (guessed("I scream out"), untimed(by("A", line("1", 0, "I scream loud"))), vec![], 1),
        (guessed("I scream"), untimed(by("", line("1", 0, "I scraped"))), beside(), 2),
        (guessed("I scream"), untimed(by("", line("1", 0, "I scream!"))), vec![], 1),
        (guessed("I scream"), by("", line("1", 9_000, "I scream!")), vec![], 1),
        (guessed("I scream"), by("", line("1", 9_000, "I scraped")), beside(), 2),
        (said("A", "We begin."), untimed(by("A", line("1", 0, "We begin, at last."))), beside(), 2),
    ] {
        let mut feed = Feed::new(FoldView::Interim);
        feed.says("a", std::slice::from_ref(&before));
        assert_eq!(feed.says("b", std::slice::from_ref(&version)), told, "{before:?} {version:?}");
        assert_eq!(feed.shown().len(), shown, "{before:?} {version:?}");
    }
    // A retraction says nothing of a sentence.
    for (before, told, shown) in [(said("A", "We begin."), vec!["1>-"], 1), (guessed("We be"), vec![], 0)] {
        let mut feed = Feed::new(FoldView::Interim);
        feed.says("a", &[before]);
        assert_eq!(feed.takes_back("b", "1"), told);
        assert_eq!(feed.shown().len(), shown);
    }
    // What is foreseen is what is told then.
    let mut feed = Feed::new(FoldView::Interim);
    feed.says("a", &[said("A", "We begin.")]);
    let by = PublishedBy { source: "main".into(), session: "b".into(), seq: 9, own_ids: true };
    let foreseen = |version| feed.transcript.foresee_reuse(&by, &version, OPENED_AT).map(|reused| reused.outcome);
    assert_eq!(foreseen(said("A", "We begin, at last.")), Some(ReuseOutcome::Replaced));
    assert_eq!(foreseen(said("B", "We begin.")), Some(ReuseOutcome::Beside("1~s2".into())));
    assert_eq!(foreseen(said("A", "We begin.")), None);
    let retraction = feed.transcript.foresee_retraction(&by, "1", None).map(|reused| reused.outcome);
    assert_eq!(retraction, Some(ReuseOutcome::NotTakenBack));
}

/// Whoever has a line beside another's counts anew: none of its lines goes on with another one's, whatever it is like, and what
/// it says as another one did shows nothing.
#[test]
fn a_session_that_counts_anew_goes_on_with_no_line_of_another() {
    let mut feed = Feed::new(FoldView::Interim);
    feed.says("a", &[line("1", 0, "one"), line("2", 2_000, "the second one"), guess("3", 4_000, "The vote")]);
    assert_eq!(feed.says("b", &[line("1", 0, "Other.")]), ["1>1~s2"]);
    // Of a guess that it says too it knows nothing; and it takes back what is its own.
    assert!(feed.says("b", &[guess("3", 4_000, "The vote")]).is_empty());
    assert_eq!(feed.takes_back("b", "3"), ["3>-"]);
    assert_eq!(feed.says("b", &[guess("3", 4_000, "The vote is")]), ["3>3~s2"]);
    assert!(feed.says("b", &[line("3", 4_000, "The vote is open.")]).is_empty());
    feed.says("a", &[line("3", 4_000, "The vote is over.")]);
    let shown = ["1: one", "1~s2: Other.", "2: the second one", "3: The vote is over.", "3~s2: The vote is open."];
    assert_eq!(feed.shown(), shown);
    // Nor with a final one, whether it says it too or not.
    assert!(feed.says("b", &[line("2", 2_000, "the second one")]).is_empty());
    assert_eq!(feed.says("b", &[line("2", 2_000, "the second one, at last")]), ["2>2~s2"]);
    // Another session may go on with any of them.
    assert!(feed.says("c", &[guess("4", 6_000, "so")]).is_empty());
    assert!(feed.says("d", &[guess("4", 6_000, "so we")]).is_empty());
}

#[test]
fn what_was_said_before_changes_nothing_and_shows_who_knows_the_line() {
    let mut feed = Feed::new(FoldView::Interim);
    feed.says("a", &[guess("1", 0, "so"), line("1", 0, "so be it"), line("1", 0, "So be it.")]);
    feed.clock(3_600_000);
    let before = Whole::of(&feed.transcript);
    // A whole script again, with its guesses and what was corrected since.
    assert!(feed.says("b", &[guess("1", 0, "so"), line("1", 0, "so be it"), line("1", 0, "So be it.")]).is_empty());
    assert_eq!(Whole::of(&feed.transcript).picture, before.picture);
    // And on with it: who has said a final text of the line again means that line.
    assert_eq!(feed.says("b", &[line("1", 0, "So be it!")]), ["1!"]);
    assert_eq!(feed.shown(), ["1: So be it!"]);
    // A first word that two runs of an engine have in common shows nothing.
    assert!(feed.says("c", &[guess("1", 0, "so")]).is_empty());
    assert_eq!(feed.says("c", &[guess("1", 0, "so what")]), ["1>1~s2"]);
    assert_eq!(feed.shown(), ["1: So be it!", "1~s2: so what"]);
    // A text that comes back after another one is a correction, also where the cut was between the two.
    let mut feed = Feed::new(FoldView::Interim);
    feed.says("a", &[line("1", 0, "yes"), line("1", 0, "no")]);
    feed.clock(3_600_000);
    feed.says("b", &[line("1", 0, "yes"), line("1", 0, "no"), line("1", 0, "yes")]);
    assert_eq!(feed.shown(), ["1: yes"]);
    // A retraction is a content as well.
    let mut feed = Feed::new(FoldView::Interim);
    feed.says("a", &[line("1", 0, "yes")]);
    feed.takes_back("a", "1");
    feed.says("a", &[line("1", 0, "yes, really")]);
    feed.clock(3_600_000);
    feed.says("b", &[line("1", 0, "yes")]);
    assert!(feed.takes_back("b", "1").is_empty());
    assert_eq!(feed.shown(), ["1: yes, really"]);
}

/// Programs that give no times: who says what a line says need not know that line, an hour later or at once.
#[test]
fn without_a_start_a_repeat_shows_nothing() {
    let untimed = |at: i64, text: &str| Version {
        arrival_ms: Some(at),
        content: Content { start_ms: None, ..line("1", 0, text).content },
        ..line("1", 0, text)
    };
    for after in [1_000, 9_000, 3_600_000] {
        for view in VIEWS {
            let mut feed = Feed::new(view);
            feed.says("a", &[untimed(0, "Yes.")]);
            let before = Whole::of(&feed.transcript).picture;
            // A repeat is one line still, whatever its revision, and takes nothing back.
            assert!(feed.says("b", &[untimed(after, "Yes.")]).is_empty());
            assert!(feed.says("b", &[Version { rev: Some(9), ..untimed(after, "Yes.") }]).is_empty());
            assert_eq!(feed.takes_back("b", "1"), ["1>-"]);
            assert_eq!(Whole::of(&feed.transcript).picture, before);
            // What it says otherwise is its own, and so is all that it says of it from then on.
            assert_eq!(feed.says("b", &[untimed(after, "No.")]), ["1>1~s2"]);
            assert!(feed.takes_back("b", "1").is_empty());
            assert!(feed.says("b", &[untimed(after, "No, never.")]).is_empty());
            assert!(feed.says("a", &[Version { rev: Some(1), ..untimed(after, "Yes!") }]).is_empty());
            assert_eq!(feed.shown(), ["1: Yes!", "1~s2: No, never."]);
        }
    }
    // All lines again, and on with new ones.
    let mut feed = Feed::new(FoldView::Interim);
    let said = [untimed(0, "one"), Version { id: "2".into(), ..untimed(1, "two") }];
    feed.says("a", &said);
    feed.clock(3_600_000);
    assert!(feed.says("b", &said).is_empty());
    assert!(feed.says("b", &[Version { id: "3".into(), ..untimed(3_600_000, "three") }]).is_empty());
    assert_eq!(feed.shown(), ["1: one", "2: two", "3: three"]);
    // A guess that is being said is known by its words.
    let guess = |at: i64, text: &str| {
        let Version { content, .. } = untimed(at, text);
        Version { content: Content { status: Status::Interim, ..content }, ..untimed(at, text) }
    };
    for (after, told) in [(9_000, vec![]), (3_600_000, vec!["1>1~s2"])] {
        let mut feed = Feed::new(FoldView::Interim);
        feed.says("a", &[guess(0, "I scream")]);
        assert!(feed.says("b", &[guess(after, "I scream")]).is_empty());
        assert_eq!(feed.says("b", &[untimed(after, "Ice cream.")]), told);
    }
}

/// A session may correct its final lines. One that is another sentence far away, or another speaker's, is one that counts anew.
#[test]
fn a_session_that_overwrites_its_own_line_is_told() {
    let by = |speaker: &str, line: Version| Version {
        content: Content { speaker: Some(speaker.into()), ..line.content },
        ..line
    };
    let untimed = |at: i64, text: &str| Version {
        arrival_ms: Some(at),
        content: Content { start_ms: None, ..line("1", 0, text).content },
        ..line("1", 0, text)
    };
    for (before, after, told) in [
        (line("1", 0, "We begin."), line("1", 10_001, "No questions."), vec!["1!!"]),
        (line("1", 20_000, "We begin."), line("1", 0, "No questions."), vec!["1!!"]),
        (by("A", line("1", 0, "We begin.")), by("B", line("1", 60_000, "We begin, at last.")), vec!["1!!"]),
        (untimed(0, "We begin."), untimed(10_001, "No questions."), vec!["1!?"]),
        // Corrections of the text, the place or the speaker.
        (line("1", 0, "We begin."), line("1", 10_000, "No questions."), vec![]),
        (line("1", 0, "We begin."), line("1", 60_000, "We begin, at last."), vec![]),
        (by("A", line("1", 0, "We begin.")), by("B", line("1", 60_000, "We begin.")), vec![]),
        (by("A", line("1", 0, "We begin.")), line("1", 60_000, "We begin, at last."), vec![]),
        (untimed(0, "We begin."), untimed(60_000, "We begin, at last."), vec![]),
        (untimed(0, "本日の会議を始めます。"), untimed(60_000, "本日の会議を始めました。"), vec![]),
        (untimed(0, "本日の会議を始めます。"), untimed(60_000, "次の議題に移ります。"), vec!["1!?"]),
        (untimed(0, "We begin."), line("1", 60_000, "No questions."), vec![]),
        (guess("1", 0, "We begin."), line("1", 60_000, "No questions."), vec![]),
    ] {
        let mut feed = Feed::new(FoldView::Interim);
        feed.says("a", std::slice::from_ref(&before));
        assert_eq!(feed.says("a", std::slice::from_ref(&after)), told, "{before:?} {after:?}");
        assert_eq!(feed.shown().len(), 1, "it stands as a correction");
        // Whoever says that it corrects means it.
        let mut feed = Feed::new(FoldView::Interim);
        feed.says("corrects", &[before]);
        assert!(feed.says("corrects", &[after]).is_empty());
    }
}

/// A version below the line's revision is nowhere: that is told, but of one that the line has said.
#[test]
fn a_revision_that_is_too_low_is_told() {
    let at = |rev, version: Version| Version { rev: Some(rev), ..version };
    for session in ["a", "corrects"] {
        let mut feed = Feed::new(FoldView::Interim);
        assert!(feed.says(session, &[at(1, guess("1", 0, "We")), at(2, line("1", 0, "We begin."))]).is_empty());
        assert!(feed.says(session, &[at(5, line("1", 0, "We begin, at last."))]).is_empty());
        assert_eq!(feed.says(session, &[at(3, line("1", 0, "No questions."))]), ["1 3<5"]);
        // Late repeats, also of what was overtaken, and guesses behind a final line.
        let again =
            [at(2, line("1", 0, "We begin.")), at(3, line("1", 0, "No questions.")), at(1, guess("1", 0, "We"))];
        assert!(feed.says(session, &again).is_empty());
        assert!(feed.says(session, &[at(1, guess("1", 0, "No"))]).is_empty());
        let op = Op::Retract { source: "main".into(), id: "1".into(), rev: Some(4) };
        assert_eq!(reused(&feed.says_at(OPENED_AT, session, op)), ["1 4<5"]);
        assert_eq!(feed.shown(), ["1: We begin, at last."]);
        // At its own revision what was taken back stays so.
        let op = Op::Retract { source: "main".into(), id: "1".into(), rev: Some(6) };
        assert!(reused(&feed.says_at(OPENED_AT, session, op)).is_empty());
        assert_eq!(feed.says(session, &[at(6, line("1", 0, "One more."))]), ["1 6<6"]);
        // Guesses have their order too.
        feed.says(session, &[at(8, guess("2", 0, "We begin"))]);
        assert_eq!(feed.says(session, &[at(3, guess("2", 0, "No"))]), ["2 3<8"]);
    }
    // A whole script again, by another session.
    let mut feed = Feed::new(FoldView::Interim);
    let script = [at(5, line("1", 0, "five")), at(3, line("1", 0, "three"))];
    assert_eq!(feed.says("a", &script), ["1 3<5"]);
    assert!(feed.says("b", &script).is_empty());
}

/// Who takes back a guess of another session, or guesses what is final, has no part in what is said of it later.
#[test]
fn what_says_nothing_makes_no_member() {
    let mut feed = Feed::new(FoldView::Interim);
    feed.says("a", &[guess("1", 0, "We be")]);
    assert!(feed.takes_back("b", "1").is_empty());
    assert!(feed.shown().is_empty());
    assert!(feed.says("a", &[line("1", 0, "We begin.")]).is_empty());
    // It was taken back before: the same again is a repeat.
    assert!(feed.takes_back("b", "1").is_empty());
    assert_eq!(feed.says("b", &[line("1", 0, "No questions.")]), ["1>1~s2"]);
    assert_eq!(feed.shown(), ["1: We begin.", "1~s2: No questions."]);
    // Nor has one whose guess is of a final version of it.
    let mut feed = Feed::new(FoldView::Interim);
    feed.says("a", &[line("1", 0, "No objection")]);
    assert_eq!(feed.says("b", &[guess("1", 0, "No objection")]), ["1>1~s2"]);
    assert!(feed.says("b", &[line("1", 0, "No objections were raised.")]).is_empty());
    assert_eq!(feed.shown(), ["1: No objection", "1~s2: No objections were raised."]);
}

#[test]
fn who_says_that_it_corrects_changes_any_line() {
    let mut feed = Feed::new(FoldView::Interim);
    feed.says("a", &[line("1", 0, "one"), line("2", 0, "two")]);
    feed.clock(3_600_000);
    assert!(feed.says("corrects-1", &[line("1", 0, "One.")]).is_empty());
    assert!(feed.takes_back("corrects-2", "2").is_empty());
    assert_eq!(feed.shown(), ["1: One."]);
    // Who sent the line first goes on with it, and so does who corrected it.
    assert_eq!(feed.says("a", &[line("1", 0, "one")]), ["1!"]);
    assert_eq!(feed.shown(), ["1: one"], "its own line, as it says it again");
    // A line that no session sent is everybody's to repeat, and nobody's to change.
    feed.take(OPENED_AT, None, Op::Line { source: "main".into(), lines: vec![line("3", 5_000, "from a file")] });
    assert!(feed.says("b", &[line("3", 5_000, "from a file")]).is_empty());
    assert_eq!(feed.says("c", &[line("3", 3_600_000, "other")]), ["3>3~s2"]);
    assert!(feed.says("corrects-1", &[line("3", 5_000, "From a file.")]).is_empty());
    assert_eq!(feed.shown(), ["1: one", "3: From a file.", "3~s2: other"]);
}

/// A guess beside another line is given up by the name that the fold gave it; the log holds that name.
#[test]
fn a_guess_beside_another_line_is_abandoned_by_its_own_name() {
    let mut feed = Feed::new(FoldView::FinalOnly);
    feed.says("a", &[line("1", 0, "one")]);
    feed.clock(3_600_000);
    feed.says("b", &[guess("1", 3_600_000, "an")]);
    assert_eq!(feed.shown(), ["1: one"]);
    let open: Vec<_> = feed.transcript.interim_lines("main");
    assert_eq!(open.iter().map(|(id, rev, _)| (&**id, *rev)).collect::<Vec<_>>(), [("1~s2", 0)]);
    let op = Op::Abandon { source: "main".into(), id: open[0].0.clone(), rev: Some(0) };
    let record = Record::decode(&Record::new(OPENED_AT, op).encode());
    feed.transcript.apply(Offset(99), record);
    assert_eq!(feed.shown(), ["1: one", "1~s2: an"]);
}

/// An archive may hold lines of such names, with gaps: a new one gets a name that is free, and a repeat is known for one.
#[test]
fn names_that_a_file_brought_are_not_given_again() {
    let mut feed = Feed::new(FoldView::Interim);
    let lines = vec![line("1", 0, "one"), line("1~s3", 10, "three")];
    feed.take(OPENED_AT, None, Op::Line { source: "main".into(), lines });
    feed.clock(3_600_000);
    assert!(feed.says("a", &[line("1", 10, "three")]).is_empty(), "it is there");
    assert_eq!(feed.says("b", &[line("1", 20, "four")]), ["1>1~s4"]);
    assert_eq!(feed.says("c", &[line("1", 30, "five")]), ["1>1~s5"]);
    assert_eq!(feed.shown(), ["1: one", "1~s3: three", "1~s4: four", "1~s5: five"]);
}

/// In an ended feed the server takes corrections alone, and asks the fold which versions are some.
#[test]
fn the_fold_says_which_versions_would_begin_a_line() {
    let mut feed = Feed::new(FoldView::Interim);
    feed.says("a", &[line("1", 0, "one")]);
    feed.clock(3_600_000);
    for (session, own_ids, version, begins) in [
        ("a", true, line("1", 0, "One."), false),
        ("b", true, line("1", 0, "One."), true),
        ("b", true, line("1", 0, "one"), false),
        ("b", false, line("1", 0, "One."), false),
        ("a", true, line("2", 0, "two"), true),
    ] {
        let by = PublishedBy { source: "main".into(), session: session.into(), seq: 0, own_ids };
        let found = feed.transcript.begins_line(&by, &version, OPENED_AT);
        assert_eq!(found, begins, "{session} {version:?}");
    }
}
