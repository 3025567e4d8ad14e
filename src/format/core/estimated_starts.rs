//! Estimated starts of lines without a time: each stands between its neighbours, as far along as the text before it is
//! long.

use crate::format::core::line_limits::SPOKEN_CHARS_PER_SECOND;
use crate::transcript::order::SORT_MS_MAX;
use crate::transcript::{Content, MediaMs};

/// Estimated starts of the lines that have none; `None` for lines with a start.
pub(super) fn estimated_starts(lines: &[Content]) -> Vec<Option<MediaMs>> {
    // Counts one blank between words, whatever the file has, so that the weight is the same after a round trip.
    let weight = |content: &Content| {
        let words = content.text.split_whitespace().map(|word| word.chars().count());
        let chars = words.reduce(|all, word| all + 1 + word).unwrap_or_default();
        let chars = i64::try_from(chars).unwrap_or(i64::MAX);
        (chars.saturating_mul(1000) / SPOKEN_CHARS_PER_SECOND).max(1)
    };
    let mut places = vec![None; lines.len()];
    let mut from = 0;
    // The last known start, and the time that the text since then takes.
    let mut known: Option<MediaMs> = None;
    let mut said_since: MediaMs = 0;
    for at in 0..=lines.len() {
        let next = lines.get(at).map(|content| content.start_ms);
        if next == Some(None) {
            continue;
        }
        // The lines of `from..at` have no start. The one at `at` has one, or the file ends.
        let begin = known.unwrap_or(0);
        let total = said_since + lines[from..at].iter().map(weight).fold(0, MediaMs::saturating_add);
        let room = next.flatten().map(|next| (next - begin).max(0));
        let mut said = said_since;
        for index in from..at {
            let along = match room {
                // Text that would take longer than there is time is compressed.
                Some(room) if total > room => {
                    i64::try_from(i128::from(said) * i128::from(room) / i128::from(total.max(1))).unwrap_or(room)
                }
                _ => said,
            };
            places[index] = Some(begin.saturating_add(along).min(SORT_MS_MAX));
            said = said.saturating_add(weight(&lines[index]));
        }
        if let Some(content) = lines.get(at) {
            known = content.start_ms;
            said_since = weight(content);
            // A known end is better than an estimate.
            if let (Some(start), Some(end)) = (content.start_ms, content.end_ms) {
                said_since = end - start;
            }
        }
        from = at + 1;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(start_ms: Option<MediaMs>, chars: usize) -> Content {
        Content { start_ms, text: "x".repeat(chars).into(), ..Content::default() }
    }

    #[test]
    fn lines_without_times_stand_between_those_that_have_one() {
        // 15 characters take a second.
        let none = estimated_starts(&[line(None, 15), line(None, 30), line(None, 1)]);
        assert_eq!(none, [Some(0), Some(1_000), Some(3_000)]);
        let roomy = estimated_starts(&[line(Some(10_000), 15), line(None, 15), line(None, 15), line(Some(60_000), 1)]);
        assert_eq!(roomy, [None, Some(11_000), Some(12_000), None]);
        let tight = estimated_starts(&[line(Some(10_000), 15), line(None, 15), line(None, 30), line(Some(12_000), 1)]);
        assert_eq!(tight, [None, Some(10_500), Some(11_000), None]);
        let back = estimated_starts(&[line(Some(10_000), 15), line(None, 15), line(Some(5_000), 1)]);
        assert_eq!(back, [None, Some(10_000), None]);
        let mut ended = [line(Some(0), 150), line(None, 15)];
        ended[0].end_ms = Some(500);
        assert_eq!(estimated_starts(&ended), [None, Some(500)]);
    }

    #[test]
    fn blanks_between_words_take_no_time() {
        let said = |text: &str| Content { text: text.into(), ..Content::default() };
        let whole = estimated_starts(&[said("One two.\n\nThree  four."), line(None, 10)]);
        assert_eq!(whole, estimated_starts(&[said("One two.\nThree four."), line(None, 10)]));
    }
}
