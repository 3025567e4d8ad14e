//! Where a new connection stands in a feed that has lines of its source: behind them, or among them.
//!
//! An engine that is started again counts its times from 0. Where they fall below what the source said on earlier
//! connections, as they would within a connection where a session begins, they are counted from the feed's present time.
//! Not so where the engine goes on, or says again what it said: a session whose name is known, a line whose id is, or words
//! that stand at their time already.

use std::collections::HashSet;
use std::sync::Arc;

use super::line_match::{SAME_PLACE_MS, are_alike, words};
use super::session_clock::{Reach, SETTLED_MAX, Step};
use super::session_sign::{SessionSign, Span};
use crate::transcript::MediaMs;

/// A line that an earlier connection of the source said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierLine {
    /// What the source calls it.
    pub id: Arc<str>,
    /// Where it starts.
    pub start_ms: MediaMs,
    /// Where it ends, if known.
    pub end_ms: Option<MediaMs>,
    /// What it says.
    pub text: Arc<str>,
}

/// What the source of a connection said in the feed before it.
pub trait EarlierSpeech: Send {
    /// All lines that are shown of it. Asked once.
    fn lines(&self) -> Vec<EarlierLine>;

    /// The feed's present media time, in milliseconds.
    fn now_ms(&self) -> MediaMs;
}

/// What the first words of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstWords {
    /// They go on behind what was said before.
    GoOn,
    /// They were said before.
    Again,
    /// They are of an engine whose clock began anew.
    Anew,
    /// They are said late, or by an engine whose clock began anew.
    Back,
}

/// The lines of earlier connections, as far as they tell what the first words of this one are.
pub(super) struct EarlierLines {
    reach: Reach,
    /// The greatest time of all.
    pub(super) until_ms: MediaMs,
    ids: HashSet<Arc<str>>,
    /// By their start.
    lines: Vec<EarlierLine>,
    /// The longest of them.
    longest_ms: MediaMs,
}

impl EarlierLines {
    /// None where nothing was said.
    pub(super) fn new(mut lines: Vec<EarlierLine>) -> Option<Self> {
        lines.sort_by_key(|line| line.start_ms);
        let end = |line: &EarlierLine| line.end_ms.unwrap_or(line.start_ms).max(line.start_ms);
        let mut reach = Reach::new(lines.first()?.start_ms as f64);
        let texts_from = lines.len().saturating_sub(SETTLED_MAX);
        for (at, line) in lines.iter().enumerate() {
            let text = if at < texts_from { "" } else { &*line.text };
            let span = Span::new(Some(line.start_ms as f64), Some(end(line) as f64))?;
            let sign = SessionSign { text: text.into(), is_settled: true, ..SessionSign::default() };
            reach.note(&span, &sign);
        }
        let until_ms = lines.iter().map(end).max()?;
        let longest_ms = lines.iter().map(|line| end(line) - line.start_ms).max()?;
        Some(Self { reach, until_ms, ids: lines.iter().map(|line| line.id.clone()).collect(), lines, longest_ms })
    }

    /// Whether there is a line of this id.
    pub(super) fn has_line(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Where the line of this id starts.
    pub(super) fn start_of(&self, id: &str) -> Option<MediaMs> {
        self.lines.iter().find(|line| *line.id == *id).map(|line| line.start_ms)
    }

    /// All of them, by their start.
    pub(super) fn lines(&self) -> impl Iterator<Item = &EarlierLine> {
        self.lines.iter()
    }

    /// Whether there is a line of a session that is called so.
    pub(super) fn has_session(&self, tag: &str) -> bool {
        self.ids.iter().any(|id| id.strip_prefix(tag).is_some_and(|rest| rest.starts_with(['-', '.', ':'])))
    }

    /// What words at `span` are, by the clock of the feed; of a session of a new name (`is_new`) they are not said again.
    pub(super) fn first_words(
        &self,
        span: &Span<'_>,
        sign: &SessionSign<'_>,
        is_in_order: bool,
        is_new: bool,
    ) -> FirstWords {
        if !is_new && self.says(span, sign) {
            return FirstWords::Again;
        }
        match self.reach.step_to(span, sign, is_in_order) {
            Step::On => FirstWords::GoOn,
            Step::Back => FirstWords::Back,
            Step::Anew => FirstWords::Anew,
        }
    }

    /// Whether a line says these words at this time: all of them, or most where they are a guess.
    fn says(&self, span: &Span<'_>, sign: &SessionSign<'_>) -> bool {
        let now = words(&sign.text);
        let start = span.start_ms.round() as MediaMs;
        let first = self.lines.partition_point(|line| line.start_ms < start - self.longest_ms - SAME_PLACE_MS);
        let near = self.lines[first..].iter().take_while(|line| line.start_ms <= start + SAME_PLACE_MS);
        let mut there = near.filter(|line| line.end_ms.unwrap_or(line.start_ms) + SAME_PLACE_MS >= start);
        let says = |line: &EarlierLine| {
            let known = words(&line.text);
            if sign.is_settled { known.windows(now.len()).any(|part| part == now) } else { are_alike(&known, &now) }
        };
        !now.is_empty() && there.any(says)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn earlier() -> EarlierLines {
        let line = |(id, start_ms, end_ms, text): (&str, MediaMs, MediaMs, &str)| EarlierLine {
            id: id.into(),
            start_ms,
            end_ms: Some(end_ms),
            text: text.into(),
        };
        let lines = [
            ("s1-500", 500, 3_000, "We come to order."),
            ("s1-60000", 60_000, 62_000, "The vote is carried."),
            ("s1-65000", 65_000, 65_400, "Thank you."),
        ];
        EarlierLines::new(lines.map(line).to_vec()).expect("there are some")
    }

    #[test]
    fn first_words_as_a_table() {
        use FirstWords::{Again, Anew, Back, GoOn};
        for (start, end, text, is_settled, in_order, in_any) in [
            (66.0, 68.0, "Next item.", true, GoOn, GoOn),
            (65.2, 66.0, "thank you all", false, Again, Again),
            (65.2, 66.0, "thank you", true, Again, Again),
            (0.5, 3.0, "We come to order.", true, Again, Again),
            (0.5, 0.9, "we come", false, Again, Again),
            (60.8, 62.0, "is carried", true, Again, Again),
            (0.5, 3.0, "Good evening.", true, Anew, Anew),
            (0.0, 0.4, "good", false, Anew, Anew),
            (1.5, 2.0, "to order", true, Again, Again),
            (0.5, 3.0, "We come to vote.", true, Anew, Anew),
            (0.5, 3.0, "we come to", false, Again, Again),
            (0.7, 2.0, "", false, Anew, Anew),
            (12.0, 13.0, "Good evening.", true, Anew, Anew),
            (40.0, 41.0, "Good evening.", true, Anew, Back),
            (63.0, 64.0, "Is it?", true, Back, GoOn),
        ] {
            let sign = SessionSign { text: text.to_owned().into(), is_settled, ..SessionSign::default() };
            let span = Span::new(Some(start * 1e3), Some(end * 1e3)).expect("a span");
            for (is_in_order, expected) in [(true, in_order), (false, in_any)] {
                let found = earlier().first_words(&span, &sign, is_in_order, false);
                assert_eq!(found, expected, "{start} {text:?} {is_in_order}");
            }
        }
    }

    #[test]
    fn sessions_and_lines_are_known_by_name() {
        assert!(earlier().has_session("s1") && !earlier().has_session("s") && !earlier().has_session("s1-5"));
        assert!(earlier().has_line("s1-500") && !earlier().has_line("s1"));
        assert!(EarlierLines::new(Vec::new()).is_none());
    }
}
