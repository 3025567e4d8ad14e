//! Where a text is cut between speakers.
//!
//! Labels of single words are noisy. Seen in real streams (aws-samples, live meeting assistant): spurious runs of one or
//! two words and 0.1 to 0.9 s, real ones of 6 to 42 words and 1.2 to 13.4 s. So a run has to reach three words **and** half
//! a second to be one. A shorter one goes with its neighbour; nothing is dropped, and nothing changes its place.

use std::ops::Range;

use super::token::{Label, Token};

/// The fewest words of a run.
const RUN_WORDS_MIN: usize = 3;
/// The shortest run, in milliseconds, where the vendor times it.
const RUN_MS_MIN: i64 = 500;

/// A run of one label: which tokens, and whose.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub(super) tokens: Range<usize>,
    pub(super) label: Label,
}

/// Cuts `tokens` into runs. Without tokens there is none.
pub(super) fn runs(tokens: &[Token]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if token.label == Label::Unsaid || token.label == run.label => run.tokens.end = at + 1,
            // What stands before the first label goes with it.
            Some(run) if run.label == Label::Unsaid => {
                *run = Run { tokens: run.tokens.start..at + 1, label: token.label.clone() }
            }
            _ => runs.push(Run { tokens: at..at + 1, label: token.label.clone() }),
        }
    }
    // The shortest goes first: a long run must not be eaten up from its noisy end.
    while runs.len() > 1 {
        let shortest = (0..runs.len())
            .rev()
            .filter(|at| !is_real(&tokens[runs[*at].tokens.clone()]))
            .min_by_key(|at| words(&tokens[runs[*at].tokens.clone()]));
        let Some(shortest) = shortest else { break };
        absorb(&mut runs, shortest);
    }
    runs
}

/// Gives a run to the one before it, or to the one behind it if it is the first; equal neighbours become one.
fn absorb(runs: &mut Vec<Run>, at: usize) {
    let gone = runs.remove(at).tokens;
    if at == 0 {
        runs[0].tokens.start = gone.start;
        return;
    }
    runs[at - 1].tokens.end = gone.end;
    if runs.get(at).is_some_and(|next| next.label == runs[at - 1].label) {
        runs[at - 1].tokens.end = runs.remove(at).tokens.end;
    }
}

fn words(tokens: &[Token]) -> usize {
    tokens.iter().filter(|token| token.is_word()).count()
}

fn is_real(tokens: &[Token]) -> bool {
    let start = tokens.iter().find_map(|token| token.start_ms);
    let end = tokens.iter().rev().find_map(|token| token.end_ms.or(token.start_ms));
    // Where there are no times, words have to do.
    let is_long = start.zip(end).is_none_or(|(start, end)| end.saturating_sub(start) >= RUN_MS_MIN);
    is_long && words(tokens) >= RUN_WORDS_MIN
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of 200 ms each: a letter is a label, `-` is none, `?` is unknown; `.` is no word.
    fn tokens(labels: &str) -> Vec<Token> {
        let token = |(at, label): (usize, char)| Token {
            text: if label == '.' { ". ".into() } else { format!("w{at} ") },
            label: match label {
                '-' | '.' => Label::Unsaid,
                '?' => Label::Unknown,
                label => Label::Named(label.to_string().into()),
            },
            start_ms: Some(at as i64 * 200),
            end_ms: Some(at as i64 * 200 + 200),
            ..Token::default()
        };
        labels.chars().enumerate().map(token).collect()
    }

    fn shown(tokens: &[Token]) -> String {
        let label = |label: &Label| match label {
            Label::Unsaid => "-".to_owned(),
            Label::Unknown => "?".to_owned(),
            Label::Named(name) => name.to_string(),
        };
        let shown: Vec<String> =
            runs(tokens).iter().map(|run| format!("{}{}", label(&run.label), run.tokens.len())).collect();
        shown.join(" ")
    }

    #[test]
    fn runs_as_a_table() {
        for (labels, expected) in [
            ("", ""),
            ("a", "a1"),
            ("aaabbb", "a3 b3"),
            // Too short: it stays where it is.
            ("aaabb", "a5"),
            ("aabbb", "b5"),
            ("aaabaaa", "a7"),
            ("aab", "a3"),
            ("ab", "a2"),
            // The shortest goes first, and what it parted is one again.
            ("aabaabbbb", "a5 b4"),
            ("abaab", "a5"),
            // No label goes with what stands before it, or with the first that comes.
            ("aa-bbb", "a3 b3"),
            ("--aaa-", "a6"),
            ("---", "-3"),
            // Marks are no words.
            ("aaabb.", "a6"),
            // Unknown is nobody else.
            ("aaa???", "a3 ?3"),
            ("aaa?aaa", "a7"),
        ] {
            assert_eq!(shown(&tokens(labels)), expected, "{labels}");
        }
    }

    #[test]
    fn a_run_of_many_words_in_no_time_is_none() {
        let mut quick = tokens("aaabbbccc");
        for (at, token) in quick[3..6].iter_mut().enumerate() {
            (token.start_ms, token.end_ms) = (Some(600 + at as i64 * 100), Some(690 + at as i64 * 100));
        }
        assert_eq!(shown(&quick), "a6 c3");
        // Without times words have to do.
        for token in &mut quick {
            (token.start_ms, token.end_ms) = (None, None);
        }
        assert_eq!(shown(&quick), "a3 b3 c3");
    }

    proptest::proptest! {
        #[test]
        fn runs_cover_all_tokens_in_their_order(labels in "[abc?.-]{0,40}") {
            let tokens = tokens(&labels);
            let runs = runs(&tokens);
            let mut at = 0;
            for run in &runs {
                assert_eq!(run.tokens.start, at);
                at = run.tokens.end;
            }
            assert_eq!(at, tokens.len());
            assert!(runs.windows(2).all(|pair| pair[0].label != pair[1].label));
        }
    }
}
