//! A speaker turn, and the rule that opens a new one (semantics, section 5).
//!
//! A turn is derived, never stored: it is a boundary before a line, and contains the lines up to the next boundary.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::line::Line;
use super::speaker::SpeakerIndex;
use super::time::MediaMs;

/// State of a turn: open, or closed once another turn follows, time has passed or the feed has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TurnState {
    /// The last turn of a running feed.
    Open,
    /// Another turn follows, the pause after it is long enough, or the feed has ended. It may still be corrected.
    Closed,
}

/// A turn as readers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The key of its first line.
    pub id: Arc<str>,
    /// The `sort` of its first line: a line belongs to the last turn whose `sort` is not greater than its own.
    pub sort: Arc<str>,
    /// The id of its first line's speaker, before merges.
    #[serde(default)]
    pub speaker: Option<Arc<str>>,
    /// Start of its first line.
    pub start_ms: MediaMs,
    /// The greatest end known of any of its lines.
    #[serde(default)]
    pub end_ms: Option<MediaMs>,
    /// Open or closed.
    pub state: TurnState,
    /// Rises with every change of the turn after it was first closed; never falls.
    pub rev: u64,
}

/// A turn with all of its lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WholeTurn {
    /// The turn.
    #[serde(flatten)]
    pub turn: Turn,
    /// The texts of its lines, joined by line breaks: its paragraphs.
    pub text: String,
    /// Its lines, in order.
    pub lines: Vec<Line>,
}

impl WholeTurn {
    /// Creates it from `turn` and its `lines`.
    #[must_use]
    pub fn new(turn: Turn, lines: Vec<Line>) -> Self {
        let texts: Vec<&str> = lines.iter().map(|line| &*line.text).collect();
        Self { turn, text: texts.join("\n"), lines }
    }
}

/// Settings of the turn rule, fixed by a feed's first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnSettings {
    /// A pause of at least this length ends a turn (B3).
    pub turn_gap_ms: MediaMs,
    /// Time grid, in milliseconds, at which a turn of an unknown speaker is split (B4).
    pub max_unknown_turn_ms: MediaMs,
}

impl Default for TurnSettings {
    fn default() -> Self {
        Self { turn_gap_ms: 5_000, max_unknown_turn_ms: 60_000 }
    }
}

/// Properties of a line that the turn rule reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinePlacement {
    pub(crate) start_ms: MediaMs,
    pub(crate) end_ms: Option<MediaMs>,
    /// Speaker after merges.
    pub(crate) speaker: Option<SpeakerIndex>,
    pub(crate) breaks: bool,
}

/// Returns true if `line` opens a turn after `last`, the line before it, whose turn so far ends at `turn_end`.
pub(crate) fn opens_turn(
    settings: TurnSettings,
    last: LinePlacement,
    turn_end: Option<MediaMs>,
    line: LinePlacement,
) -> bool {
    let other_speaker = line.speaker != last.speaker; // B1
    let forced = line.breaks; // B2
    // B3: a last line without an end never counts as a pause. Otherwise transcripts with starts only would fall apart.
    let after_pause =
        last.end_ms.is_some() && turn_end.is_some_and(|end| line.start_ms.saturating_sub(end) >= settings.turn_gap_ms);
    let bucket = |ms: MediaMs| ms.div_euclid(settings.max_unknown_turn_ms.max(1));
    let endless = line.speaker.is_none() && bucket(line.start_ms) != bucket(last.start_ms); // B4
    other_speaker || forced || after_pause || endless
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: LinePlacement =
        LinePlacement { start_ms: 10_000, end_ms: Some(12_000), speaker: Some(1), breaks: false };

    fn check(last: LinePlacement, turn_end: Option<MediaMs>, line: LinePlacement, opens: bool) {
        assert_eq!(opens_turn(TurnSettings::default(), last, turn_end, line), opens, "{last:?} {turn_end:?} {line:?}");
    }

    #[test]
    fn the_turn_rule_as_a_table() {
        let at = |start_ms| LinePlacement { start_ms, end_ms: None, ..NAMED };
        check(NAMED, Some(12_000), at(12_000), false);
        // B1
        check(NAMED, Some(12_000), LinePlacement { speaker: Some(2), ..at(12_000) }, true);
        check(NAMED, Some(12_000), LinePlacement { speaker: None, ..at(12_000) }, true);
        check(
            LinePlacement { speaker: None, ..NAMED },
            Some(12_000),
            LinePlacement { speaker: None, ..at(12_000) },
            false,
        );
        // B2
        check(NAMED, Some(12_000), LinePlacement { breaks: true, ..at(12_000) }, true);
        // B3, its edge, the greatest end of the turn, and a last line without an end
        check(NAMED, Some(12_000), at(16_999), false);
        check(NAMED, Some(12_000), at(17_000), true);
        check(NAMED, Some(20_000), at(17_000), false);
        check(LinePlacement { end_ms: None, ..NAMED }, Some(12_000), at(600_000), false);
        // B4, only for the unknown
        let unknown = |start_ms| LinePlacement { speaker: None, ..at(start_ms) };
        check(unknown(59_000), None, unknown(60_000), true);
        check(unknown(60_000), None, unknown(119_999), false);
        check(at(59_000), None, at(60_000), false);
    }
}
