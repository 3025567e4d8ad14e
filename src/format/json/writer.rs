//! Writers of our own JSON: one object, or one object per row. Lines, turns and speakers have the schema of the
//! WebSocket API.
//!
//! Rows of NDJSON carry a `type`: first one `feed`, then every `speaker`, then each `turn` followed by its `line`s, so
//! that a program that reads row by row knows the speaker before the turn and the turn before the line.

use serde::Serialize;

use crate::format::core::document::Document;
use crate::format::core::fidelity::{Fidelity, FormatWriter, WrittenTimes};
use crate::position::{Cursor, Epoch, FeedId};
use crate::transcript::{FeedMeta, FeedState, Line, Speaker, Turn};

/// The writer of one object.
pub(crate) const JSON: FormatWriter = FormatWriter {
    write: write_json,
    keeps: Fidelity {
        ends: true,
        estimates: true,
        words: true,
        languages: true,
        title: true,
        language: true,
        notes: true,
        records: true,
        ..Fidelity::LEAST
    },
    times: WrittenTimes::All,
    has_break_sign: false,
    text: str::to_owned,
    name: str::to_owned,
    title: str::to_owned,
};
/// The writer of rows.
pub(crate) const NDJSON: FormatWriter = FormatWriter { write: write_ndjson, ..JSON };

#[derive(Serialize)]
struct FeedSummary<'a> {
    feed: &'a FeedId,
    #[serde(flatten)]
    meta: &'a FeedMeta,
    state: FeedState,
    epoch: Option<&'a Epoch>,
    cursor: Option<&'a Cursor>,
}

#[derive(Serialize)]
struct WholeTranscript<'a> {
    #[serde(flatten)]
    facts: FeedSummary<'a>,
    speakers: &'a [Speaker],
    turns: Vec<TurnWithLines<'a>>,
}

#[derive(Serialize)]
struct TurnWithLines<'a> {
    #[serde(flatten)]
    turn: &'a Turn,
    lines: &'a [Line],
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum JsonRow<'a> {
    Feed(FeedSummary<'a>),
    Speaker(&'a Speaker),
    Turn(&'a Turn),
    Line(&'a Line),
}

fn facts<'a>(document: &'a Document) -> FeedSummary<'a> {
    let Document { feed, meta, state, epoch, cursor, .. } = document;
    FeedSummary { feed, meta, state: *state, epoch: epoch.as_ref(), cursor: cursor.as_ref() }
}

fn write_json(document: &Document) -> String {
    let turns = document.turns.iter().map(|(turn, lines)| TurnWithLines { turn, lines }).collect();
    encode(&WholeTranscript { facts: facts(document), speakers: &document.speakers, turns })
}

fn write_ndjson(document: &Document) -> String {
    let mut out = encode(&JsonRow::Feed(facts(document)));
    for speaker in &document.speakers {
        out.push_str(&encode(&JsonRow::Speaker(speaker)));
    }
    for (turn, lines) in &document.turns {
        out.push_str(&encode(&JsonRow::Turn(turn)));
        out.extend(lines.iter().map(|line| encode(&JsonRow::Line(line))));
    }
    out
}

fn encode(value: &impl Serialize) -> String {
    let mut json = serde_json::to_string(value).expect("a document has no map with odd keys");
    json.push('\n');
    json
}
