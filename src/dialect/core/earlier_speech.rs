//! Placement of a new connection in a feed that already has lines of its source: after them or among them.
//!
//! A restarted engine counts its times from 0. If they fall below those of earlier connections, as they would at a new
//! session within a connection, they are counted from the feed's present time instead. Not so if the engine continues
//! or repeats: if the session's name or a line's id is known, or the same words already have that time.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::dialect::core::line_match::{SAME_PLACE_MS, are_alike, words};
use crate::dialect::core::session_clock::{ClockShift, NEAR_ZERO_FALL_MS, ROUGH_MS, StreamExtent};
use crate::dialect::core::session_sign::{SessionSign, SpeechSpan};
use crate::transcript::MediaMs;

/// Lines examined to decide whether words are a repeat: more than people speak at once.
const NEAR_LINES_MAX: usize = 16;
/// Longest prefix of a text that is compared, in bytes.
const COMPARED_BYTES_MAX: usize = 1_024;

/// A line from an earlier connection of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierLine {
    /// Id that the source gave it.
    pub id: Arc<str>,
    /// Start, in media time.
    pub start_ms: MediaMs,
    /// End, if known.
    pub end_ms: Option<MediaMs>,
    /// Text of the line.
    pub text: Arc<str>,
}

/// Lines that the source of a connection sent before it.
pub trait EarlierSpeech: Send {
    /// Returns all shown lines of the source. Called once.
    fn lines(&self) -> Vec<EarlierLine>;

    /// Returns the feed's present media time, in milliseconds.
    fn now_ms(&self) -> MediaMs;
}

/// Classification of the first words of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstWords {
    /// They continue after the earlier lines.
    GoOn,
    /// They repeat earlier lines.
    Again,
    /// They come from an engine whose clock started over.
    Anew,
    /// They are late or overlap other speech, or come from an engine whose clock started over.
    Back,
}

/// Lines of earlier connections, for classifying the first words of this one.
pub(crate) struct EarlierLines {
    reach: StreamExtent,
    /// The greatest end of all.
    pub(crate) until_ms: MediaMs,
    /// Start of each line.
    ids: BTreeMap<Arc<str>, MediaMs>,
    /// Sorted by start.
    lines: Vec<EarlierLine>,
    /// Duration of the longest line.
    longest_ms: MediaMs,
}

impl EarlierLines {
    /// Returns `None` if there are no lines.
    pub(crate) fn new(mut lines: Vec<EarlierLine>) -> Option<Self> {
        lines.sort_by_key(|line| line.start_ms);
        let end = |line: &EarlierLine| line.end_ms.unwrap_or(line.start_ms).max(line.start_ms);
        let mut reach = StreamExtent::new(lines.first()?.start_ms as f64);
        // Only their times: the stream of a line, and whether it was settled, is not known here.
        for line in &lines {
            reach.note(&SpeechSpan::new(Some(line.start_ms as f64), Some(end(line) as f64))?, &SessionSign::default());
        }
        let until_ms = lines.iter().map(end).max()?;
        let longest_ms = lines.iter().map(|line| end(line) - line.start_ms).max()?;
        let ids = lines.iter().map(|line| (line.id.clone(), line.start_ms)).collect();
        Some(Self { reach, until_ms, ids, lines, longest_ms })
    }

    /// Returns true if a line with this id exists.
    pub(crate) fn has_line(&self, id: &str) -> bool {
        self.ids.contains_key(id)
    }

    /// Returns the start of the line with this id.
    pub(crate) fn start_of(&self, id: &str) -> Option<MediaMs> {
        self.ids.get(id).copied()
    }

    /// Returns all lines, sorted by start.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &EarlierLine> {
        self.lines.iter()
    }

    /// Returns true if there is a line of a session with this name.
    pub(crate) fn has_session(&self, tag: &str) -> bool {
        let begins = |start: String| {
            let mut from = self.ids.range::<str, _>((Bound::Included(&*start), Bound::Unbounded));
            from.next().is_some_and(|(id, _)| id.starts_with(&start))
        };
        ['-', '.', ':'].into_iter().any(|mark| begins(format!("{tag}{mark}")))
    }

    /// Classifies words at `span` on the feed's clock. Words of a session with a new name (`is_new`) are no repeat.
    /// Only a fall that is too large for two overlapping speakers counts as a clock that started over.
    pub(crate) fn first_words(
        &self,
        span: &SpeechSpan<'_>,
        sign: &SessionSign<'_>,
        is_in_order: bool,
        is_new: bool,
    ) -> FirstWords {
        if !is_new && self.says(span, sign) {
            return FirstWords::Again;
        }
        let back = self.reach.latest_ms - span.start_ms;
        let is_over = || is_in_order && (back > ROUGH_MS || self.is_taken(span));
        match self.reach.step_to(span, sign, is_in_order) {
            ClockShift::Anew if back >= NEAR_ZERO_FALL_MS => FirstWords::Anew,
            ClockShift::On if !is_over() => FirstWords::GoOn,
            _ => FirstWords::Back,
        }
    }

    /// Returns the lines at the start of `span`, including those that begin or end next to it; the latest first.
    fn near(&self, span: &SpeechSpan<'_>) -> impl Iterator<Item = &EarlierLine> {
        let start = span.start_ms.round() as MediaMs;
        let (from, to) = (start.saturating_sub(self.longest_ms), start.saturating_add(SAME_PLACE_MS));
        let first = self.lines.partition_point(|line| line.start_ms < from.saturating_sub(SAME_PLACE_MS));
        let end = self.lines.partition_point(|line| line.start_ms <= to).max(first);
        let near = self.lines[first..end].iter().rev();
        near.filter(move |line| line.end_ms.unwrap_or(line.start_ms) >= start.saturating_sub(SAME_PLACE_MS))
            .take(NEAR_LINES_MAX)
    }

    /// Returns true if a line has these words at this time: all of them, or most of them if they are interim.
    fn says(&self, span: &SpeechSpan<'_>, sign: &SessionSign<'_>) -> bool {
        let now = compared(&sign.text);
        let says = |line: &EarlierLine| {
            let known = compared(&line.text);
            if sign.is_settled { known.windows(now.len()).any(|part| part == now) } else { are_alike(&known, &now) }
        };
        !now.is_empty() && self.near(span).any(says)
    }

    /// Returns true if a line covers most of `span`, and `span` covers most of the line.
    fn is_taken(&self, span: &SpeechSpan<'_>) -> bool {
        self.near(span).any(|line| {
            let (start, end) = (line.start_ms as f64, line.end_ms.unwrap_or(line.start_ms) as f64);
            let overlap = end.min(span.end_ms) - start.max(span.start_ms);
            let longer = (end - start).max(span.end_ms - span.start_ms);
            overlap > ROUGH_MS && overlap * 2.0 >= longer
        })
    }
}

/// Returns the words of a text, up to the compared length.
fn compared(text: &str) -> Vec<String> {
    words(&text[..text.floor_char_boundary(COMPARED_BYTES_MAX)])
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
            // Other words at the time of earlier ones: a second channel, an interim line left open, or overlapping
            // speakers. No clock fell.
            (64.0, 66.0, "Nobody asked us.", true, Back, GoOn),
            (65.0, 65.5, "Anna said it.", true, Back, GoOn),
            (65.0, 65.5, "anna said it", false, Back, GoOn),
            (60.0, 62.0, "Anna said the boat is late.", true, Back, Back),
            (65.2, 68.0, "And the next.", true, GoOn, GoOn),
            (1e300, 1e300, "And the next.", true, GoOn, GoOn),
        ] {
            let sign = SessionSign { text: text.to_owned().into(), is_settled, ..SessionSign::default() };
            let span = SpeechSpan::new(Some(start * 1e3), Some(end * 1e3)).expect("a span");
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
        assert_eq!(earlier().start_of("s1-60000"), Some(60_000));
    }

    /// Of many open lines the nearest are compared, and only the beginning of each.
    #[test]
    fn few_lines_are_compared() {
        let line = |number: i64| EarlierLine {
            id: format!("s1-{number}").into(),
            start_ms: number,
            end_ms: Some(900_000),
            text: format!("line{number} {}", "word ".repeat(1_500)).into(),
        };
        let earlier = EarlierLines::new((0..1_500).map(line).collect()).expect("there are some");
        let span = SpeechSpan::new(Some(800_000.0), Some(801_000.0)).expect("a span");
        assert_eq!(earlier.near(&span).count(), NEAR_LINES_MAX);
        assert_eq!(earlier.near(&span).next().map(|line| line.start_ms), Some(1_499));
        assert!(compared(&"word ".repeat(1_500)).len() < 210);
    }
}
