//! Whole turns as messages (`unit=turns`): each once it is closed, and again when it is amended.
//!
//! The changes of one record form a unit: of several messages, all but the last have `more` and the cursor before them,
//! so that a reader whose connection breaks in between receives all of them again. A turn that exceeds one message is
//! sent in consecutive parts, each with the turn's properties and the next of its lines.

use crate::position::{Cursor, Cursors, FeedId};
use crate::transcript::{TurnChange, WholeTurn};
use crate::wire::message::{Message, encoded_len};
use crate::wire::subscriber::bodies::{ChangesMessage, TurnMessage};
use crate::wire::subscriber::changes::{CHANGES_BYTES_MAX, ENVELOPE_BYTES, fit};
use crate::wire::subscriber::events::ToSubscriber;

/// Encodes `changes` as messages for a reader of `feed`, with the cursors of its view.
#[must_use]
pub fn encode_turns(feed: &FeedId, cursors: &Cursors, changes: Vec<TurnChange>) -> Vec<Message> {
    let mut encoded = Vec::new();
    for change in changes {
        let after = cursors.at(change.number);
        let mut parts = parts(feed, &cursors.at(change.number.saturating_sub(1)), change);
        if let Some(last) = parts.last_mut() {
            conclude(last, after);
        }
        encoded.extend(parts.iter().map(ToSubscriber::encode));
    }
    encoded
}

/// Returns the messages of one change, each marked as if more followed.
fn parts(feed: &FeedId, before: &Cursor, change: TurnChange) -> Vec<ToSubscriber> {
    let TurnChange { speakers, feed: facts, turns, gone, .. } = change;
    let mut parts = Vec::new();
    if !speakers.is_empty() || facts.is_some() {
        let mut message = ChangesMessage::empty(feed, before.clone());
        (message.speakers, message.more) = (speakers, true);
        if let Some((state, meta)) = facts {
            (message.state, message.title, message.language) = (Some(state), meta.title, meta.language);
        }
        parts.push(ToSubscriber::Changes(Box::new(message)));
    }
    parts.extend(gone.into_iter().map(|id| {
        let (feed, cursor) = (feed.clone(), before.clone());
        ToSubscriber::TurnGone { feed, cursor, id, more: true }
    }));
    parts.extend(turns.into_iter().flat_map(split).map(|turn| {
        let (feed, cursor) = (feed.clone(), before.clone());
        ToSubscriber::Turn(Box::new(TurnMessage { feed, cursor, turn, more: true }))
    }));
    parts
}

/// Marks a message as the last one of its change.
fn conclude(message: &mut ToSubscriber, after: Cursor) {
    match message {
        ToSubscriber::Changes(message) => (message.cursor, message.more) = (after, false),
        ToSubscriber::Turn(message) => (message.cursor, message.more) = (after, false),
        ToSubscriber::TurnGone { cursor, more, .. } => (*cursor, *more) = (after, false),
        _ => {}
    }
}

/// Splits the lines of a turn into as many parts as needed for each to fit into a message.
fn split(whole: WholeTurn) -> Vec<WholeTurn> {
    if ENVELOPE_BYTES + encoded_len(&whole) <= CHANGES_BYTES_MAX {
        return vec![whole];
    }
    let (turn, mut parts, mut bytes) = (whole.turn, vec![Vec::new()], ENVELOPE_BYTES);
    for mut line in whole.lines {
        // The text of the line is in the turn's text as well.
        let text = encoded_len(&line.text) + 1;
        let more = fit(&mut line, CHANGES_BYTES_MAX.saturating_sub(ENVELOPE_BYTES + text)) + text;
        if bytes + more > CHANGES_BYTES_MAX {
            parts.push(Vec::new());
            bytes = ENVELOPE_BYTES;
        }
        bytes += more;
        parts.last_mut().expect("never empty").push(line);
    }
    parts.into_iter().filter(|lines| !lines.is_empty()).map(|lines| WholeTurn::new(turn.clone(), lines)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::{Epoch, Offset};
    use crate::transcript::{Content, FoldView, Op, Record, Timestamp, Transcript, Version};

    #[test]
    fn a_turn_over_the_limit_comes_in_parts() {
        let mut transcript = Transcript::new(FoldView::FinalOnly);
        let open = Op::Open { epoch: Epoch::new("e"), settings: Default::default(), imported: false };
        let text: std::sync::Arc<str> = "x".repeat(10_000).into();
        let line = |n: u64| {
            let content =
                Content { start_ms: Some(0), speaker: Some("A".into()), text: text.clone(), ..Content::default() };
            Version { id: n.to_string().into(), rev: None, arrival_ms: None, time_source: None, content }
        };
        let lines = Op::Line { source: "main".into(), lines: (0..60).map(line).collect() };
        for (offset, op) in [open, Op::Resume, lines, Op::End].into_iter().enumerate() {
            transcript.apply(Offset(offset as u64), Record::new(Timestamp(0), op));
        }
        let (changes, to, behind) = transcript.turn_changes_since(0, usize::MAX);
        assert_eq!((to, behind), (transcript.change(), false));
        let feed = FeedId::new("geneva").expect("a name");
        let (mut lines, mut parts) = (0, 0);
        let encoded = encode_turns(&feed, &transcript.cursors().expect("it has begun"), changes);
        for (index, message) in encoded.iter().enumerate() {
            assert!(message.body().len() <= CHANGES_BYTES_MAX);
            assert!(message.cursor().is_some() || index + 1 < encoded.len());
            if let Ok(ToSubscriber::Turn(part)) = serde_json::from_slice(message.body()) {
                (lines, parts) = (lines + part.turn.lines.len(), parts + 1);
                assert_eq!(part.more, lines < 60);
                assert_eq!(part.cursor.change, if part.more { to - 1 } else { to });
            }
        }
        assert_eq!(lines, 60);
        assert!(parts > 3, "{parts}");
    }
}
