//! Single cases, told from beginning to end: what a turn's state and revision go through, what publishers that were cut
//! off send again, and what a reader is sent.

use captionwire::transcript::{
    ApplyOutcome, Content, FoldView, Op, PublishedBy, Record, Status, Timestamp, Transcript, TurnSettings, TurnState,
    Version, ViewChanges,
};

use super::events::{OPENED_AT, open};
use super::reader::{Careless, Reader, message, messages_over_the_wire, picture_of};
use super::{VIEWS, Whole};

/// A feed that is live, and what happens to it.
struct Story {
    transcript: Transcript,
}

impl Story {
    fn new(view: FoldView) -> Self {
        let mut story = Self { transcript: Transcript::new(view) };
        story.order(open(TurnSettings::default()));
        story.order(Op::Resume);
        story
    }

    fn order(&mut self, op: Op) -> ViewChanges {
        let since = self.transcript.change();
        self.record(Record::new(OPENED_AT, op));
        self.transcript.changes_since(since, usize::MAX)
    }

    fn record(&mut self, record: Record) -> ApplyOutcome {
        self.transcript.apply(self.transcript.next_offset(), record)
    }

    fn line(&mut self, version: Version) -> ViewChanges {
        self.order(Op::Line { source: "main".into(), lines: vec![version] })
    }

    /// Each turn as `id:state:rev:lines`.
    fn turns(&self) -> Vec<String> {
        let state = |state| if state == TurnState::Open { "open" } else { "closed" };
        let seen = |(turn, lines): (captionwire::transcript::Turn, Vec<_>)| {
            format!("{}:{}:{}:{}", turn.id.trim_start_matches("main/"), state(turn.state), turn.rev, lines.len())
        };
        self.transcript.assembled().map(seen).collect()
    }
}

/// A final line of one speaker that lasts a second.
fn said(id: &str, speaker: &str, start_ms: i64) -> Version {
    let speaker = Some(speaker.into());
    let content = Content { start_ms: Some(start_ms), end_ms: Some(start_ms + 1_000), speaker, ..Content::default() };
    Version { id: id.into(), content: Content { text: id.into(), ..content }, ..Version::default() }
}

#[test]
fn a_turn_counts_its_changes_once_it_was_closed() {
    let mut story = Story::new(FoldView::Interim);
    story.line(said("1", "Ann", 0));
    story.line(said("2", "Ann", 1_000));
    assert_eq!(story.turns(), ["1:open:0:2"], "an open turn grows without being counted");
    story.line(said("5", "Bo", 10_000));
    assert_eq!(story.turns(), ["1:closed:0:2", "5:open:0:1"], "another turn closes it");
    story.line(said("3", "Ann", 2_000));
    assert_eq!(story.turns(), ["1:closed:1:3", "5:open:0:1"], "a late line is one change");
    story.line(said("3", "Ann", 2_000));
    assert_eq!(story.turns(), ["1:closed:1:3", "5:open:0:1"], "the same again is none");
    story.line(said("2", "Bo", 1_000));
    assert_eq!(story.turns(), ["1:closed:2:1", "2:closed:0:1", "3:closed:0:1", "5:open:0:1"], "a label splits it");
    story.order(Op::Retract { source: "main".into(), id: "2".into(), rev: None });
    assert_eq!(story.turns(), ["1:closed:3:2", "5:open:0:1"], "its neighbours join");
    story.line(said("3", "Bo", 2_000));
    assert_eq!(story.turns(), ["1:closed:4:1", "3:closed:1:1", "5:open:0:1"], "a turn that returns is not as it was");
    story.line(said("4", "Bo", 4_000));
    assert_eq!(story.turns(), ["1:closed:4:1", "3:closed:2:2", "5:open:0:1"], "its neighbours are");
}

#[test]
fn the_last_turn_opens_and_closes_with_clock_and_feed() {
    let mut story = Story::new(FoldView::Interim);
    let clock = |media_ms| Op::Clock { source: "main".into(), media_ms };
    story.line(said("1", "Ann", 0));
    story.order(clock(5_999));
    assert_eq!(story.turns(), ["1:open:0:1"]);
    let changes = story.order(clock(6_000));
    assert_eq!(story.turns(), ["1:closed:0:1"], "a pause has passed since 1,000");
    assert_eq!((changes.lines.len(), changes.turns.len()), (0, 1), "readers are told of the turn alone");
    let changes = story.order(clock(7_000));
    assert!(changes.is_empty(), "once closed, time changes nothing: {changes:?}");
    story.line(said("2", "Ann", 5_500));
    assert_eq!(story.turns(), ["1:open:0:2"], "it gained a line, and 6,500 is no pause ago");
    story.order(clock(11_500));
    assert_eq!(story.turns(), ["1:closed:1:2"], "closing anew counts once");
    story.order(Op::End);
    assert_eq!(story.turns(), ["1:closed:1:2"], "it was closed before");
    story.line(said("3", "Bo", 11_000));
    assert_eq!(story.turns(), ["1:closed:1:2", "3:closed:0:1"], "nothing is open after the end");
    story.order(Op::Reopen);
    assert_eq!(story.turns(), ["1:closed:1:2", "3:open:0:1"], "the last one is, once the feed goes on");
    story.order(Op::End);
    assert_eq!(story.turns(), ["1:closed:1:2", "3:closed:1:1"]);
}

/// A line without an end counts from its start; an end before the start is none.
#[test]
fn a_line_without_a_usable_end_is_quiet_from_its_start() {
    for end_ms in [None, Some(-1)] {
        let mut story = Story::new(FoldView::Interim);
        let mut line = said("1", "Ann", 2_000);
        line.content.end_ms = end_ms;
        story.line(line);
        story.order(Op::Clock { source: "main".into(), media_ms: 6_999 });
        assert_eq!(story.turns(), ["1:open:0:1"]);
        story.order(Op::Clock { source: "main".into(), media_ms: 7_000 });
        assert_eq!(story.turns(), ["1:closed:0:1"]);
    }
}

/// A clock of the source that is not on air, and one that came before anyone was, close nothing.
#[test]
fn only_the_clock_of_the_source_on_air_closes_a_turn() {
    let mut story = Story::new(FoldView::Interim);
    let clock = |source: &str| Op::Clock { source: source.into(), media_ms: 60_000 };
    story.order(clock("standby"));
    story.line(said("1", "Ann", 0));
    story.order(clock("standby"));
    assert_eq!(story.turns(), ["1:open:0:1"]);
    assert_eq!(story.transcript.clock().map(|reached| reached.media_ms), Some(1_000));
    // No source gave those: they go on from what was known.
    assert_eq!(story.transcript.reach().map(|reached| reached.media_ms), Some(1_000));
    story.order(clock("main"));
    assert_eq!(story.turns(), ["1:closed:0:1"]);
}

/// A line without a time stands where its first version came in, and moves the clock there.
#[test]
fn a_line_without_a_time_moves_the_clock() {
    let mut story = Story::new(FoldView::Interim);
    story.line(said("1", "Ann", 0));
    let mut line = said("2", "Ann", 0);
    (line.content.start_ms, line.content.end_ms, line.arrival_ms) = (None, None, Some(3_000));
    story.line(line.clone());
    (line.content.text, line.arrival_ms) = ("later".into(), Some(90_000));
    story.line(line);
    assert_eq!(story.transcript.clock().map(|reached| reached.media_ms), Some(3_000));
    let shown: Vec<_> = story.transcript.assembled().flat_map(|(_, lines)| lines).collect();
    assert_eq!((shown[1].start_ms, &*shown[1].text, shown[1].rev), (3_000, "later", 1));
}

/// A retraction of something never heard of is no line: who sends it has the air no more than before.
#[test]
fn a_retraction_does_not_take_the_air() {
    let mut story = Story::new(FoldView::Interim);
    story.order(Op::Retract { source: "standby".into(), id: "1".into(), rev: None });
    assert_eq!(story.transcript.holder(), None);
    story.line(said("1", "Ann", 0));
    assert_eq!(story.transcript.holder().map(|name| &**name), Some("main"));
    assert_eq!(story.turns(), ["1:open:0:1"]);
}

/// Settings that stand behind lines in a log hold for these lines too.
#[test]
fn settings_that_come_late_hold_for_all_lines() {
    let mut story = Story { transcript: Transcript::new(FoldView::Interim) };
    story.line(said("1", "Ann", 0));
    story.line(said("2", "Ann", 3_000));
    assert_eq!(story.turns(), ["1:open:0:2"]);
    let changes = story.order(open(TurnSettings { turn_gap_ms: 2_000, max_unknown_turn_ms: 60_000 }));
    assert_eq!(story.turns(), ["1:closed:0:1", "2:open:0:1"]);
    assert_eq!((changes.lines.len(), changes.turns.len()), (0, 2));
    story.order(open(TurnSettings::default()));
    assert_eq!(story.turns(), ["1:closed:0:1", "2:open:0:1"], "a second opening changes nothing");
}

/// What one record says and takes back in the same breath was never there.
#[test]
fn a_record_that_takes_back_what_it_says_changes_nothing() {
    for view in VIEWS {
        let mut story = Story::new(view);
        story.line(said("1", "Ann", 0));
        let before = Whole::of(&story.transcript);
        let mut empty = said("2", "Cy", 500);
        empty.content.text = " ".into();
        (empty.content.start_ms, empty.content.end_ms) = (Some(0), None);
        let lines = vec![Version { rev: Some(0), ..said("2", "Cy", 0) }, Version { rev: Some(1), ..empty }];
        let changes = story.order(Op::Line { source: "main".into(), lines });
        assert!(changes.is_empty(), "{changes:?}");
        assert_eq!(Whole::of(&story.transcript).changes, before.changes);
        assert_eq!(Whole::of(&story.transcript).picture, before.picture);
    }
}

/// A turn whose line only moves past a neighbour and back within one record is the turn that it was.
#[test]
fn boundaries_that_come_back_within_a_record_are_no_change() {
    let mut story = Story::new(FoldView::Interim);
    for (id, speaker, start) in [("1", "Ann", 0), ("2", "Bo", 1_000), ("3", "Ann", 2_000), ("4", "Cy", 3_000)] {
        story.line(said(id, speaker, start));
    }
    let changes = story.line(said("2", "Bo", 1_500));
    assert_eq!(story.turns(), ["1:closed:0:1", "2:closed:1:1", "3:closed:0:1", "4:open:0:1"]);
    assert_eq!((changes.lines.len(), changes.turns.len(), changes.gone_turns.len()), (1, 1, 0));
}

/// Of two contents of one revision the hash decides. Where they differ only in an end that is before the start, or in a
/// start before the media axis, no reader can see which one it is: nothing is told, and no closed turn counts it.
#[test]
fn times_that_are_not_fit_for_use_make_no_change() {
    let early = |end_ms| {
        let content = Content { start_ms: Some(0), end_ms: Some(end_ms), ..said("1", "Ann", 0).content };
        Version { rev: Some(0), content, ..said("1", "Ann", 0) }
    };
    let mut kept = 0;
    for end_ms in 1..40 {
        let mut story = Story::new(FoldView::Interim);
        story.line(early(-1));
        story.line(said("2", "Bo", 1_000));
        let before = (story.transcript.change(), story.turns());
        let applied =
            story.record(Record::new(OPENED_AT, Op::Line { source: "main".into(), lines: vec![early(-end_ms - 1)] }));
        assert_eq!(applied.conflicts.len(), 1, "two contents of one revision are told to who publishes");
        assert!(!applied.changed);
        assert_eq!((story.transcript.change(), story.turns()), before);
        // Nor is it one by way of another text, if the hash does not keep that one.
        let other = Content { text: format!("other {end_ms}").into(), ..early(-1).content };
        let lines = vec![early(-end_ms - 40), Version { content: other, ..early(-1) }, early(-end_ms - 80)];
        let changes = story.order(Op::Line { source: "main".into(), lines });
        let says_other = story.transcript.assembled().any(|(_, lines)| lines[0].text.starts_with("other"));
        assert_eq!(changes.is_empty(), !says_other);
        kept += usize::from(!says_other);
    }
    assert!(kept > 0 && kept < 39, "the hash decides either way: {kept}");
}

/// One corrected label in a monologue of 10,000 lines sends one line and the three turns that there are then.
#[test]
fn a_corrected_label_in_a_monologue_sends_one_line() {
    for view in VIEWS {
        let mut story = Story::new(view);
        let lines = (0..10_000).map(|n| said(&n.to_string(), "Ann", n * 1_000)).collect();
        story.order(Op::Line { source: "main".into(), lines });
        assert_eq!(story.turns(), ["0:open:0:10000"]);
        let changes = story.line(said("5000", "Bo", 5_000_000));
        assert_eq!((changes.lines.len(), changes.turns.len(), changes.gone_turns.len()), (1, 3, 0));
        let changes = story.line(said("5000", "Ann", 5_000_000));
        assert_eq!((changes.lines.len(), changes.turns.len(), changes.gone_turns.len()), (1, 1, 2));
        let changes = story.order(Op::Rename { speaker: "Ann".into(), name: "Dr. Ann".into(), kind: None });
        assert_eq!((changes.lines.len(), changes.turns.len(), changes.speakers.len()), (0, 0, 1));
    }
}

const GUESSES: u64 = 1_000;

/// The `seq`-th of a thousand guesses at one line, none of which says which revision it is.
fn guess(seq: u64) -> Record {
    let content = Content {
        status: Status::Interim,
        start_ms: Some(1_000),
        speaker: Some("Ann".into()),
        // A guess that returns to an earlier text is one guess more all the same.
        text: format!("guess {}", seq % 7).into(),
        ..Content::default()
    };
    let version = Version { id: "1".into(), content, ..Version::default() };
    let published = Some(PublishedBy { source: "main".into(), session: "enc-7".into(), seq, own_ids: true });
    let at = Timestamp(OPENED_AT.0 + i64::try_from(seq).expect("small"));
    Record { received_at: at, published, op_id: None, op: Op::Line { source: "main".into(), lines: vec![version] } }
}

/// A publisher pipelines a thousand guesses without waiting, is cut after every one of them, and each time sends again
/// all that it was not told of: its log holds them more than once, its line does not.
#[test]
fn a_thousand_pipelined_guesses_survive_a_cut_at_every_point() {
    for view in VIEWS {
        let mut uncut = Story::new(view);
        let mut cut = Story::new(view);
        for seq in 1..=GUESSES {
            uncut.record(guess(seq));
            cut.record(guess(seq));
            // The window that was not acknowledged is another one every time.
            for again in seq.saturating_sub(seq % 23).max(1)..=seq {
                assert_eq!(cut.record(guess(again)), ApplyOutcome::default(), "{again} after {seq}");
            }
            assert_eq!(Whole::of(&cut.transcript), Whole::of(&uncut.transcript), "after {seq}");
        }
        assert_eq!(uncut.transcript.seq("main", "enc-7"), GUESSES);
        let interim = uncut.transcript.interim_lines("main");
        assert_eq!(interim.iter().map(|(id, rev, _)| (&**id, *rev)).collect::<Vec<_>>(), [("1", GUESSES - 1)]);
    }
}

/// As before, but the publisher is cut once, at any of the thousand points, and begins again from the very first.
#[test]
fn a_thousand_pipelined_guesses_sent_again_from_the_start() {
    let whole = |records: &mut dyn Iterator<Item = Record>| {
        let mut story = Story::new(FoldView::Interim);
        records.for_each(|record| {
            story.record(record);
        });
        Whole::of(&story.transcript)
    };
    let uncut = whole(&mut (1..=GUESSES).map(guess));
    for cut in (1..=GUESSES).step_by(37).chain([GUESSES]) {
        assert_eq!(whole(&mut (1..=cut).chain(1..=GUESSES).map(guess)), uncut, "cut after {cut}");
    }
}

/// One record larger than a message comes in parts: cut inside them, a reader drops what it kept and reads on from where
/// it was. A reader that kept the parts, or showed each as it came, is noticed.
#[test]
fn a_cut_inside_the_parts_of_a_message_loses_nothing() {
    let mut story = Story::new(FoldView::Interim);
    story.line(said("0", "Ann", 0));
    let mut before = Reader::default();
    before.take(&message(&story.transcript, 0, usize::MAX));
    // The second record takes back some of what the first one says.
    let speakers = ["Ann", "Bo"];
    let lines = (1..3_000).map(|n: i64| said(&n.to_string(), speakers[n as usize / 5 % 2], n * 1_000)).collect();
    story.order(Op::Line { source: "main".into(), lines });
    let parts = messages_over_the_wire(&story.transcript, before.cursor, usize::MAX);
    assert!(parts.len() > 2, "{} parts", parts.len());
    assert!(parts[..parts.len() - 1].iter().all(|part| part.more && part.cursor.change == before.cursor));
    let lines = (1..3_000).step_by(2).map(|n: i64| {
        let mut line = said(&n.to_string(), "Ann", n * 1_000);
        line.content.text = "".into();
        line
    });
    let lines = lines.collect();

    let shown_before = before.picture();
    let whole = picture_of(&story.transcript).of_reader();
    let mut readers = Vec::new();
    for cut in 0..=parts.len() {
        let mut reader = before.clone();
        parts[..cut].iter().for_each(|part| reader.take(part));
        let expected = if cut == parts.len() { &whole } else { &shown_before };
        assert!(reader.picture() == *expected, "after {cut} parts");
        readers.push(reader);
    }
    story.order(Op::Line { source: "main".into(), lines });
    let whole = picture_of(&story.transcript).of_reader();
    for (cut, mut reader) in readers.into_iter().enumerate() {
        reader.cut();
        let rest = messages_over_the_wire(&story.transcript, reader.cursor, usize::MAX);
        rest.iter().for_each(|part| reader.take(part));
        assert!(reader.picture() == whole, "cut after {cut} parts");
    }
    for how in [Careless::TakesPartsAtOnce, Careless::KeepsPartsOverACut] {
        let mut reader = Reader::careless(how);
        parts[..1].iter().for_each(|part| reader.take(part));
        let shown_early = reader.picture() != Reader::default().picture();
        reader.cut();
        let rest = messages_over_the_wire(&story.transcript, reader.cursor, usize::MAX);
        rest.iter().for_each(|part| reader.take(part));
        assert!(shown_early || reader.picture() != whole, "{how:?} went unnoticed");
    }
}
