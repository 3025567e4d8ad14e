//! Where a text is cut between speakers.
//!
//! Labels of single words are noisy. Seen in real streams (aws-samples, live meeting assistant): spurious runs of one or
//! two words and 0.1 to 0.9 s, real ones of 6 to 42 words and 1.2 to 13.4 s. So a run within a sentence has to reach three
//! words **and** half a second to be one. A shorter one goes with its neighbour; nothing is dropped, and nothing changes
//! its place. A sentence of its own (`Yes.`) is never noise, however short, and neither are words between pauses: noise
//! stands amid what somebody else says, an answer does not.

use std::ops::Range;

use super::token::{Label, Token};

/// The fewest words of a run.
const RUN_WORDS_MIN: usize = 3;
/// The shortest run, in milliseconds, where the vendor times it.
const RUN_MS_MIN: i64 = 500;

/// A silence that parts what two people say. Words that one person says in one go follow each other by less.
const PAUSE_MS: i64 = 300;

/// A run of one label: which tokens, and whose.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub(super) tokens: Range<usize>,
    pub(super) label: Label,
}

/// Cuts `tokens` into runs. Without tokens there is none. Where the text goes on, nobody knows yet what follows its last
/// word.
pub(super) fn runs(tokens: &[Token], goes_on: bool) -> Vec<Run> {
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
            .filter(|at| !is_real(tokens, &runs[*at].tokens, goes_on))
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

/// Whether a run of `tokens` is somebody's words, and no noise of labels.
fn is_real(tokens: &[Token], run: &Range<usize>, goes_on: bool) -> bool {
    let (before, of_run, behind) = (&tokens[..run.start], &tokens[run.clone()], &tokens[run.end..]);
    if words(of_run) == 0 {
        return false;
    }
    let start = start(of_run);
    let end = end(of_run);
    // Where there are no times, words have to do.
    let is_long = start.zip(end).is_none_or(|(start, end)| end.saturating_sub(start) >= RUN_MS_MIN);
    if is_long && words(of_run) >= RUN_WORDS_MIN {
        return true;
    }
    let ends = |tokens: &[Token]| tokens.last().is_none_or(|token| token.ends_sentence);
    if ends(before) && ends(of_run) {
        return true;
    }
    let is_pause = |from: Option<i64>, to: Option<i64>| from.zip(to).is_some_and(|(from, to)| to - from >= PAUSE_MS);
    let is_after_pause = before.is_empty() || is_pause(self::end(before), start);
    let is_before_pause = behind.is_empty() && !goes_on || is_pause(end, self::start(behind));
    is_after_pause && is_before_pause
}

fn start(tokens: &[Token]) -> Option<i64> {
    tokens.iter().find_map(|token| token.start_ms)
}

fn end(tokens: &[Token]) -> Option<i64> {
    tokens.iter().rev().find_map(|token| token.end_ms.or(token.start_ms))
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
            runs(tokens, false).iter().map(|run| format!("{}{}", label(&run.label), run.tokens.len())).collect();
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

    /// `a` and `b` speak; a space is a pause of 400 ms, and a mark ends a sentence.
    #[test]
    fn short_answers_keep_their_speaker() {
        let check = |said: &str, expected: &str| {
            let (mut tokens, mut at): (Vec<Token>, i64) = (Vec::new(), 0);
            for c in said.chars() {
                match c {
                    ' ' => at += 400,
                    '.' => {
                        let last = tokens.last_mut().expect("a word");
                        last.text.push('.');
                        last.ends_sentence = true;
                    }
                    label => {
                        let label = Label::Named(label.to_string().into());
                        let (start_ms, end_ms) = (Some(at), Some(at + 200));
                        tokens.push(Token { text: "w ".into(), label, start_ms, end_ms, ..Token::default() });
                        at += 200;
                    }
                }
            }
            assert_eq!(shown(&tokens), expected, "{said}");
        };
        // A sentence of its own, wherever it stands.
        check("aaaa.b.aaaa.", "a4 b1 a4");
        check("aaaa.b.", "a4 b1");
        check("b.aaaa.", "b1 a4");
        check("aaaa.b.c.aaa.", "a4 b1 c1 a3");
        // Words between pauses.
        check("aaaa b aaaa", "a4 b1 a4");
        check("aaaa bb", "a4 b2");
        check("b aaaa", "b1 a4");
        // Within a sentence, and before or behind a pause only: noise.
        check("aaba.aaa.", "a7");
        check("aaaa.baaa.", "a8");
        check("aaa baaa", "a7");
        check("aaab aaa", "a7");
        check("aaab.", "a4");
        // What follows the last word of a guess is not known yet.
        let mut open = tokens("aaaabb");
        open[4..].iter_mut().for_each(|token| token.start_ms = token.start_ms.map(|start| start + 400));
        open[4..].iter_mut().for_each(|token| token.end_ms = token.end_ms.map(|end| end + 400));
        assert_eq!((runs(&open, true).len(), runs(&open, false).len()), (1, 2));
    }

    proptest::proptest! {
        #[test]
        fn runs_cover_all_tokens_in_their_order(labels in "[abc?.-]{0,40}") {
            let tokens = tokens(&labels);
            let runs = runs(&tokens, false);
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
