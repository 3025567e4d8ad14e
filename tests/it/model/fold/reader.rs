//! A reader as the protocol describes it: lines and turns kept by key, both sorted, walked once.
//!
//! And the picture of a transcript as the server has it, in the same words, to compare the two with.

use std::collections::BTreeMap;

use captionwire::position::{Cursor, Epoch, FeedId};
use captionwire::transcript::{FeedMeta, FeedState, Line, MarkKind, Speaker, Transcript, Turn, TurnState, ViewChanges};
use captionwire::wire::subscriber::{ChangesMessage, ToSubscriber, encode_changes};

use super::book::{LineSeen, Picture, TurnSeen};

/// What a careless reader might get wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Careless {
    /// Takes messages from before its cursor.
    TakesOldMessages,
    /// Never lets go of a line.
    KeepsGoneLines,
    /// Never lets go of a turn.
    KeepsGoneTurns,
    /// Takes the parts of a message as they come.
    TakesPartsAtOnce,
    /// Keeps kept parts over a cut.
    KeepsPartsOverACut,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    pub(crate) cursor: u64,
    careless: Option<Careless>,
    lines: BTreeMap<String, Line>,
    turns: BTreeMap<String, Turn>,
    speakers: BTreeMap<String, Speaker>,
    state: Option<FeedState>,
    meta: FeedMeta,
    parts: Vec<ChangesMessage>,
}

impl Reader {
    pub(crate) fn careless(how: Careless) -> Self {
        Self { careless: Some(how), ..Self::default() }
    }

    /// Takes one message.
    pub(crate) fn take(&mut self, message: &ChangesMessage) {
        if message.cursor.change < self.cursor && self.careless != Some(Careless::TakesOldMessages) {
            return;
        }
        self.parts.push(message.clone());
        if message.more && self.careless != Some(Careless::TakesPartsAtOnce) {
            return;
        }
        for part in std::mem::take(&mut self.parts) {
            self.cursor = part.cursor.change;
            self.apply(part);
        }
    }

    /// The connection is cut: what was kept aside is gone.
    pub(crate) fn cut(&mut self) {
        if self.careless != Some(Careless::KeepsPartsOverACut) {
            self.parts.clear();
        }
    }

    fn apply(&mut self, part: ChangesMessage) {
        self.lines.extend(part.lines.into_iter().map(|line| (line.key().to_string(), line)));
        self.turns.extend(part.turns.into_iter().map(|turn| (turn.id.to_string(), turn)));
        self.speakers.extend(part.speakers.into_iter().map(|speaker| (speaker.id.to_string(), speaker)));
        if self.careless != Some(Careless::KeepsGoneLines) {
            self.lines.retain(|key, _| !part.gone.contains(key));
        }
        if self.careless != Some(Careless::KeepsGoneTurns) {
            self.turns.retain(|id, _| !part.gone_turns.iter().any(|gone| **gone == **id));
        }
        self.state = part.state.or(self.state);
        self.meta.title = part.title.or_else(|| self.meta.title.take());
        self.meta.language = part.language.or_else(|| self.meta.language.take());
    }

    /// What it shows: both kinds sorted by `sort`, each line in the last turn whose `sort` is not greater.
    pub(crate) fn picture(&self) -> Picture {
        let mut lines: Vec<&Line> = self.lines.values().collect();
        lines.sort_by(|a, b| a.sort.cmp(&b.sort));
        let mut turns: Vec<&Turn> = self.turns.values().collect();
        turns.sort_by(|a, b| a.sort.cmp(&b.sort));
        let mut seen: Vec<TurnSeen> = turns.iter().map(|turn| turn_seen(turn)).collect();
        for line in lines {
            let index = turns.iter().rposition(|turn| turn.sort <= line.sort);
            match index.and_then(|index| seen.get_mut(index)) {
                Some(turn) => turn.lines.push(line_seen(line)),
                // Shown before all turns, so that no comparison takes it for right.
                None => seen.insert(0, TurnSeen { lines: vec![line_seen(line)], ..no_turn() }),
            }
        }
        Picture {
            opened: false,
            state: self.state.unwrap_or_default(),
            meta: self.meta.clone(),
            speakers: self.speakers.clone(),
            turns: seen,
        }
    }
}

/// The server's own picture. Checks on the way that every `sort` says the order and that turns stand where they begin.
pub(crate) fn picture_of(transcript: &Transcript) -> Picture {
    let mut turns = Vec::new();
    let mut last_sort = String::new();
    for (turn, lines) in transcript.assembled() {
        assert_eq!(lines.first().map(|line| &line.sort), Some(&turn.sort), "a turn stands where its first line does");
        for line in &lines {
            assert!(*last_sort < *line.sort, "{last_sort} stands before {}", line.sort);
            last_sort = line.sort.to_string();
        }
        let lines = lines.iter().map(line_seen).collect();
        turns.push(TurnSeen { lines, ..turn_seen(&turn) });
    }
    Picture {
        opened: transcript.epoch().is_some(),
        state: transcript.state(),
        meta: transcript.meta().clone(),
        speakers: transcript.speakers().into_iter().map(|speaker| (speaker.id.to_string(), speaker)).collect(),
        turns,
    }
}

/// What a reader is sent who has seen `since` changes, as one message that was never encoded.
pub(crate) fn message(transcript: &Transcript, since: u64, bytes_max: usize) -> ChangesMessage {
    let changes = transcript.changes_since(since, bytes_max);
    let cursor = Cursor { epoch: Epoch::new("any"), change: changes.to };
    let ViewChanges { lines, gone, turns, gone_turns, speakers, feed, behind, to: _ } = changes;
    let (state, meta) = feed.map_or((None, FeedMeta::default()), |(state, meta)| (Some(state), meta));
    ChangesMessage {
        feed: FeedId::new("any").expect("a name"),
        cursor,
        lines,
        gone,
        turns,
        gone_turns,
        speakers,
        state,
        title: meta.title,
        language: meta.language,
        more: false,
        behind,
    }
}

/// The same, encoded for the wire and read again: in as many parts as the limit of a message makes of it.
pub(crate) fn messages_over_the_wire(transcript: &Transcript, since: u64, bytes_max: usize) -> Vec<ChangesMessage> {
    let changes = transcript.changes_since(since, bytes_max);
    let cursor = |change| Cursor { epoch: Epoch::new("any"), change };
    let feed = FeedId::new("any").expect("a name");
    let bodies = encode_changes(&feed, &cursor(since), &cursor(changes.to), changes);
    let read = |body: &[u8]| match serde_json::from_slice(body).expect("what the server writes can be read") {
        ToSubscriber::Changes(message) => *message,
        other => panic!("not changes: {other:?}"),
    };
    bodies.iter().map(|body| read(body.body())).collect()
}

fn turn_seen(turn: &Turn) -> TurnSeen {
    TurnSeen {
        id: turn.id.to_string(),
        speaker: turn.speaker.as_deref().map(str::to_owned),
        start_ms: turn.start_ms,
        end_ms: turn.end_ms,
        closed: turn.state == TurnState::Closed,
        rev: turn.rev,
        lines: Vec::new(),
    }
}

fn no_turn() -> TurnSeen {
    TurnSeen { id: String::new(), speaker: None, start_ms: 0, end_ms: None, closed: false, rev: 0, lines: Vec::new() }
}

fn line_seen(line: &Line) -> LineSeen {
    LineSeen {
        key: line.key().to_string(),
        rev: line.rev,
        start_ms: line.start_ms,
        end_ms: line.end_ms,
        speaker: line.speaker.as_deref().map(str::to_owned),
        text: line.text.to_string(),
        status: line.status,
        lang: line.lang.as_deref().map(str::to_owned),
        break_before: line.break_before,
        time_source: line.time_source,
        words: line.words.clone(),
        received_at: line.received_at,
        unconfirmed: line.marks.iter().any(|mark| mark.kind == MarkKind::Unconfirmed),
    }
}
