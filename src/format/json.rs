//! JSON: one object, or one object a row. Lines, turns and speakers have the schema of the socket.
//!
//! Rows of ndjson carry a `type`: first one `feed`, then every `speaker`, then each `turn` followed by its `line`s, so that
//! whoever reads row by row knows the speaker before the turn and the turn before the line.

use serde::Serialize;

use super::document::Document;
use crate::position::{Cursor, Epoch, FeedId};
use crate::transcript::{FeedState, Line, Meta, Speaker, Turn};

#[derive(Serialize)]
struct FeedFacts<'a> {
    feed: &'a FeedId,
    #[serde(flatten)]
    meta: &'a Meta,
    state: FeedState,
    epoch: Option<&'a Epoch>,
    cursor: Option<&'a Cursor>,
}

#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    facts: FeedFacts<'a>,
    speakers: &'a [Speaker],
    turns: Vec<WholeTurn<'a>>,
}

#[derive(Serialize)]
struct WholeTurn<'a> {
    #[serde(flatten)]
    turn: &'a Turn,
    lines: &'a [Line],
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Row<'a> {
    Feed(FeedFacts<'a>),
    Speaker(&'a Speaker),
    Turn(&'a Turn),
    Line(&'a Line),
}

fn facts<'a>(document: &'a Document) -> FeedFacts<'a> {
    let Document { feed, meta, state, epoch, cursor, .. } = document;
    FeedFacts { feed, meta, state: *state, epoch: epoch.as_ref(), cursor: cursor.as_ref() }
}

pub(super) fn write_json(document: &Document) -> String {
    let turns = document.turns.iter().map(|(turn, lines)| WholeTurn { turn, lines }).collect();
    encode(&Whole { facts: facts(document), speakers: &document.speakers, turns })
}

pub(super) fn write_ndjson(document: &Document) -> String {
    let mut out = encode(&Row::Feed(facts(document)));
    for speaker in &document.speakers {
        out.push_str(&encode(&Row::Speaker(speaker)));
    }
    for (turn, lines) in &document.turns {
        out.push_str(&encode(&Row::Turn(turn)));
        out.extend(lines.iter().map(|line| encode(&Row::Line(line))));
    }
    out
}

fn encode(value: &impl Serialize) -> String {
    let mut json = serde_json::to_string(value).expect("a document has no map with odd keys");
    json.push('\n');
    json
}
