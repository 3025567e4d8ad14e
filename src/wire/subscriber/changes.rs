//! `changes` messages: the difference since a reader's cursor.

use crate::position::{Cursor, FeedId};
use crate::transcript::{Line, ViewChanges};
use crate::wire::message::{Message, encoded_len};
use crate::wire::subscriber::bodies::ChangesMessage;
use crate::wire::subscriber::events::ToSubscriber;

/// The largest `changes` message, in bytes: a phone can take it at once, and a resume loses little.
pub const CHANGES_BYTES_MAX: usize = 256 * 1024;

/// Encodes `changes` as the messages that take a reader of `feed` from `before` to `to`: usually one, several if it
/// would exceed [`CHANGES_BYTES_MAX`]. All but the last then have the cursor `before` and `more`.
#[must_use]
pub fn encode_changes(feed: &FeedId, before: &Cursor, to: &Cursor, changes: ViewChanges) -> Vec<Message> {
    let behind = changes.behind;
    let mut whole = ChangesMessage::empty(feed, to.clone());
    whole.behind = behind;
    if let Some((state, meta)) = changes.feed {
        (whole.state, whole.title, whole.language) = (Some(state), meta.title, meta.language);
    }
    (whole.lines, whole.gone) = (changes.lines, changes.gone);
    (whole.turns, whole.gone_turns) = (changes.turns, changes.gone_turns);
    whole.speakers = changes.speakers;
    let message = ToSubscriber::Changes(Box::new(whole));
    let encoded = message.encode();
    let ToSubscriber::Changes(whole) = message else { return vec![encoded] };
    if encoded.body().len() <= CHANGES_BYTES_MAX {
        return vec![encoded];
    }
    let mut parts = split(*whole);
    let last = parts.len() - 1;
    for part in &mut parts[..last] {
        (part.cursor, part.more, part.behind) = (before.clone(), true, false);
    }
    parts.into_iter().map(|part| ToSubscriber::Changes(Box::new(part)).encode()).collect()
}

/// Space for the fields around the lists, in bytes.
pub(in crate::wire) const ENVELOPE_BYTES: usize = 4096;

/// Removes the words of a line, and then its marks, if it is longer than `bytes_max` bytes with them: logs of older
/// servers contain lines that fit into no message. Returns the resulting length in bytes.
pub(in crate::wire) fn fit(line: &mut Line, bytes_max: usize) -> usize {
    let mut bytes = encoded_len(line);
    if bytes > bytes_max && !line.words.is_empty() {
        line.words.clear();
        bytes = encoded_len(line);
    }
    if bytes > bytes_max && !line.marks.is_empty() {
        line.marks.clear();
        bytes = encoded_len(line);
    }
    bytes
}

/// Distributes the contents of a message over as many messages as necessary.
fn split(mut whole: ChangesMessage) -> Vec<ChangesMessage> {
    let line_bytes: Vec<usize> =
        whole.lines.iter_mut().map(|line| fit(line, CHANGES_BYTES_MAX - ENVELOPE_BYTES - 1)).collect();
    let mut part = ChangesMessage::empty(&whole.feed, whole.cursor.clone());
    (part.state, part.title, part.language) = (whole.state, whole.title.clone(), whole.language.clone());
    part.behind = whole.behind;
    let mut parts = vec![part];
    let mut bytes = ENVELOPE_BYTES;
    let mut room = |bytes_more: usize, parts: &mut Vec<ChangesMessage>| {
        bytes += bytes_more + 1;
        if bytes > CHANGES_BYTES_MAX {
            let mut part = ChangesMessage::empty(&whole.feed, whole.cursor.clone());
            part.behind = whole.behind;
            parts.push(part);
            bytes = ENVELOPE_BYTES + bytes_more + 1;
        }
    };
    macro_rules! deal {
        ($($list:ident),*) => {$(
            for item in whole.$list {
                room(encoded_len(&item), &mut parts);
                parts.last_mut().expect("never empty").$list.push(item);
            }
        )*};
    }
    deal!(speakers, turns, gone_turns, gone);
    for (line, bytes) in whole.lines.into_iter().zip(line_bytes) {
        room(bytes, &mut parts);
        parts.last_mut().expect("never empty").lines.push(line);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Epoch;

    fn cursor(change: u64) -> Cursor {
        Cursor { epoch: Epoch::new("e"), change }
    }

    #[test]
    fn a_message_over_the_limit_comes_in_parts() {
        let feed = FeedId::new("geneva").expect("a name");
        let gone: Vec<String> = (0..60_000).map(|n| format!("main/{n}")).collect();
        let changes = ViewChanges { to: 9, gone: gone.clone(), behind: true, ..ViewChanges::default() };
        let parts = encode_changes(&feed, &cursor(3), &cursor(9), changes);
        assert!(parts.len() > 1);
        let mut told = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let part = part.body();
            assert!(part.len() <= CHANGES_BYTES_MAX);
            let Ok(ToSubscriber::Changes(message)) = serde_json::from_slice(part) else { panic!("not changes") };
            let is_last = index + 1 == parts.len();
            assert_eq!((message.more, message.behind), (!is_last, is_last));
            assert_eq!(message.cursor, cursor(if is_last { 9 } else { 3 }));
            told.extend(message.gone);
        }
        assert_eq!(told, gone);
    }

    /// A log of an older server may contain a line that fits into no message.
    #[test]
    fn a_line_over_the_limit_is_sent_without_its_words() {
        let feed = FeedId::new("geneva").expect("a name");
        let mut transcript = crate::transcript::Transcript::new(crate::transcript::FoldView::Interim);
        let word = |n: i64| crate::transcript::Word { text: "a".into(), start_ms: n, end_ms: None, confidence: None };
        let line = |id: &str, words: i64| crate::transcript::Version {
            id: id.into(),
            content: crate::transcript::Content {
                start_ms: Some(0),
                text: "it is said".into(),
                words: (0..words).map(word).collect(),
                ..Default::default()
            },
            ..Default::default()
        };
        let open =
            crate::transcript::Op::Open { epoch: Epoch::new("e"), settings: Default::default(), imported: false };
        let lines = vec![line("1", 3), line("2", 50_000), line("3", 3)];
        let lines = crate::transcript::Op::Line { source: "main".into(), lines };
        for (offset, op) in [open, lines, crate::transcript::Op::End].into_iter().enumerate() {
            let record = crate::transcript::Record::new(crate::transcript::Timestamp(0), op);
            transcript.apply(crate::position::Offset(offset as u64), record);
        }
        let parts = encode_changes(&feed, &cursor(0), &cursor(9), transcript.changes_since(0, usize::MAX));
        let (turns, ..) = transcript.turn_changes_since(0, usize::MAX);
        let mut told = Vec::new();
        for part in &parts {
            assert!(part.body().len() <= CHANGES_BYTES_MAX);
            let Ok(ToSubscriber::Changes(message)) = serde_json::from_slice(part.body()) else { panic!("not changes") };
            told.extend(message.lines.into_iter().map(|line| (line.text.to_string(), line.words.len())));
        }
        let expected = |words: usize| ("it is said".to_owned(), words);
        assert_eq!(told, [expected(3), expected(0), expected(3)]);
        let mut told = 0;
        for part in
            crate::wire::subscriber::turns::encode_turns(&feed, &transcript.cursors().expect("it has begun"), turns)
        {
            assert!(part.body().len() <= CHANGES_BYTES_MAX, "{}", part.body().len());
            if let Ok(ToSubscriber::Turn(turn)) = serde_json::from_slice(part.body()) {
                told += turn.turn.lines.iter().filter(|line| &*line.text == "it is said").count();
            }
        }
        assert_eq!(told, 3);
    }
}
