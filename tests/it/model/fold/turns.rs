//! A reader of whole turns, as the protocol describes it: however it looks, and wherever it is cut, it comes to hold the
//! closed turns of the transcript, and is told of none twice.

use std::collections::{BTreeMap, BTreeSet};

use captionwire::position::{Cursors, FeedId, Offset, StartChanges};
use captionwire::transcript::{FoldView, Record, Transcript, TurnState, WholeTurn};
use captionwire::wire::{ToSubscriber, encode_turns};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseResult;

use super::{events, property};

#[derive(Default)]
struct Reader {
    change: u64,
    turns: BTreeMap<String, WholeTurn>,
    aside: Vec<ToSubscriber>,
}

impl Reader {
    /// Takes what it has not seen; cut after `cut` messages of it, if it is so many.
    fn look(&mut self, transcript: &Transcript, cut: usize, bytes_max: usize) -> TestCaseResult {
        let (changes, to, behind) = transcript.turn_changes_since(self.change, bytes_max);
        let messages = encode_turns(
            &FeedId::new("any").expect("a name"),
            &Cursors::new("any".into(), StartChanges::default()),
            changes,
        );
        let before = self.change;
        self.aside.clear();
        for message in messages.iter().take(cut) {
            let read = serde_json::from_slice(message.body()).expect("what the server writes can be read");
            self.aside.push(read);
            if let Some(cursor) = message.cursor() {
                prop_assert!(self.change < cursor.change && cursor.change <= to);
                self.change = cursor.change;
                for message in std::mem::take(&mut self.aside) {
                    self.take(message)?;
                }
            }
        }
        if messages.len() <= cut {
            prop_assert!(self.aside.is_empty(), "the last message is a part");
            prop_assert!(to > before || !behind);
            self.change = to;
        }
        Ok(())
    }

    fn take(&mut self, message: ToSubscriber) -> TestCaseResult {
        match message {
            ToSubscriber::Turn(message) => {
                let turn = message.turn;
                prop_assert_eq!(turn.turn.state, TurnState::Closed);
                let before = self.turns.insert(turn.turn.id.to_string(), turn.clone());
                prop_assert!(before.is_none_or(|before| before.turn.rev < turn.turn.rev), "{:?} again", turn);
            }
            ToSubscriber::TurnGone { id, .. } => {
                self.turns.remove(&*id);
            }
            ToSubscriber::Changes(message) => prop_assert!(message.lines.is_empty() && message.turns.is_empty()),
            other => prop_assert!(false, "told {:?}", other),
        }
        Ok(())
    }
}

/// The closed turns, with their lines.
fn closed(transcript: &Transcript) -> BTreeMap<String, WholeTurn> {
    let all = transcript.assembled().filter(|(turn, _)| turn.state == TurnState::Closed);
    all.map(|(turn, lines)| (turn.id.to_string(), WholeTurn::new(turn, lines))).collect()
}

fn converges(log: &[Record], looks: &[(bool, Index, bool)]) -> TestCaseResult {
    let mut transcript = Transcript::new(FoldView::FinalOnly);
    let mut reader = Reader::default();
    for (n, record) in log.iter().enumerate() {
        transcript.apply(Offset(n as u64), record.clone());
        let (looks, cut, is_paged) = &looks[n % looks.len()];
        if *looks {
            reader.look(&transcript, cut.index(6), if *is_paged { 0 } else { usize::MAX })?;
        }
    }
    reader.look(&transcript, usize::MAX, usize::MAX)?;
    prop_assert_eq!(reader.change, transcript.change());
    // One that was open again is told of when it closes; until then a reader holds what it was.
    let open = transcript.last_turn().filter(|turn| turn.state == TurnState::Open).map(|turn| turn.id.to_string());
    reader.turns.retain(|id, _| Some(id) != open.as_ref());
    prop_assert_eq!(reader.turns, closed(&transcript));
    Ok(())
}

#[test]
fn a_reader_of_whole_turns_converges_wherever_it_is_cut() {
    let looks = prop::collection::vec((any::<bool>(), any::<Index>(), any::<bool>()), 1..12);
    property((events::log(0..40), looks), |(log, looks)| converges(&log, &looks));
}

/// Whoever cannot take back is told of each line once; and who always looks, of each line that was ever shown.
fn tells_once(log: &[Record], looks: &[bool], bytes_max: usize) -> TestCaseResult {
    let mut transcript = Transcript::new(FoldView::FinalOnly);
    let (mut change, mut told, mut shown) = (0, BTreeSet::new(), BTreeSet::new());
    for (n, record) in log.iter().enumerate() {
        transcript.apply(Offset(n as u64), record.clone());
        let lines = transcript.assembled().flat_map(|(_, lines)| lines);
        shown.extend(lines.map(|line| (line.source, line.id)));
        while looks[n % looks.len()] && change < transcript.change() {
            let (lines, to) = transcript.new_lines_since(change, bytes_max);
            prop_assert!(change < to && to <= transcript.change());
            change = to;
            for line in lines {
                let key = (line.source, line.id);
                prop_assert!(shown.contains(&key), "{:?} was not shown", key);
                prop_assert!(told.insert(key.clone()), "{:?} again", key);
            }
        }
    }
    if looks.iter().all(|looks| *looks) {
        prop_assert_eq!(told, shown);
    }
    Ok(())
}

#[test]
fn who_cannot_take_back_is_told_of_each_line_once() {
    let looks = prop_oneof![Just(vec![true]), prop::collection::vec(any::<bool>(), 1..12)];
    property((events::log(0..40), looks, 0..60usize), |(log, looks, bytes_max)| tells_once(&log, &looks, bytes_max));
}
