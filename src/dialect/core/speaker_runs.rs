//! Boundaries between speakers within a text.
//!
//! Labels of single words are noisy. Seen in real streams (aws-samples, live meeting assistant): spurious runs of one
//! or two words and 0.1 to 0.9 s, real ones of 6 to 42 words and 1.2 to 13.4 s. So a run within a sentence needs three
//! words **and** half a second. A shorter one is merged into its neighbour; nothing is dropped or moved. A sentence of
//! its own (`Yes.`) is never noise, however short, and neither are words between pauses: noise occurs within another
//! speaker's words, an answer does not.
//!
//! Words without a label belong to their sentence; a whole sentence without labels, or words between pauses, have no
//! speaker.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;

use crate::dialect::core::token::{SpeechToken, TokenSpeaker};

/// Fewest words of a run.
const RUN_WORDS_MIN: usize = 3;
/// Shortest run, in milliseconds, if the vendor gives times.
const RUN_MS_MIN: i64 = 500;

/// Silence between two speakers, in milliseconds. Words that one person says in a row are closer together.
const PAUSE_MS: i64 = 300;

/// A run of tokens with one label.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Run {
    pub(crate) tokens: Range<usize>,
    pub(crate) label: TokenSpeaker,
}

/// Splits `tokens` into runs; none without tokens. If the text `goes_on`, it is not known yet what follows its last
/// word.
pub(crate) fn runs(tokens: &[SpeechToken], goes_on: bool) -> Vec<Run> {
    let context = Context::new(tokens, goes_on);
    let runs = labelled_runs(&context);
    if runs.len() > 1 { RunMerger::new(context, runs).merge() } else { runs }
}

/// Returns the runs of all labels, including noise.
fn labelled_runs(context: &Context<'_>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (at, label) in context.labels.iter().copied().enumerate() {
        match runs.last_mut() {
            Some(run) if *label == TokenSpeaker::Unsaid || *label == run.label => run.tokens.end = at + 1,
            // Tokens before the first label belong to it.
            Some(run) if run.label == TokenSpeaker::Unsaid => {
                *run = Run { tokens: run.tokens.start..at + 1, label: label.clone() }
            }
            _ => runs.push(Run { tokens: at..at + 1, label: label.clone() }),
        }
    }
    runs
}

/// Merges noisy runs into their neighbours, the shortest first, so that a long run is not consumed from its noisy end.
struct RunMerger<'a> {
    context: Context<'a>,
    /// Runs by the index of their first token.
    starting: BTreeMap<usize, Run>,
    /// Noisy runs by their number of words; of two equal ones the last comes first. Outdated entries are skipped.
    noise: BinaryHeap<(Reverse<usize>, usize, usize)>,
}

impl<'a> RunMerger<'a> {
    fn new(context: Context<'a>, runs: Vec<Run>) -> Self {
        let starting: BTreeMap<usize, Run> = runs.into_iter().map(|run| (run.tokens.start, run)).collect();
        let mut merger = Self { context, starting, noise: BinaryHeap::new() };
        let ranges: Vec<Range<usize>> = merger.starting.values().map(|run| run.tokens.clone()).collect();
        ranges.iter().for_each(|range| merger.note_noise(range));
        merger
    }

    fn note_noise(&mut self, run: &Range<usize>) {
        if !self.context.is_real(run) {
            self.noise.push((Reverse(self.context.words(run)), run.start, run.end));
        }
    }

    fn merge(mut self) -> Vec<Run> {
        while self.starting.len() > 1
            && let Some((_, start, end)) = self.noise.pop()
        {
            if self.starting.get(&start).is_some_and(|run| run.tokens.end == end) {
                self.absorb(start);
            }
        }
        self.starting.into_values().collect()
    }

    /// Merges the run that begins at `start` into the one before it, or into the one after it if it is the first; equal
    /// neighbours are then merged too.
    fn absorb(&mut self, start: usize) {
        let Some(gone) = self.starting.remove(&start) else { return };
        let before = self.starting.range(..start).next_back().map(|(_, run)| run.clone());
        let behind = self.starting.get(&gone.tokens.end).cloned();
        let merged = match (before, behind) {
            (Some(before), Some(behind)) if before.label == behind.label => {
                self.starting.remove(&behind.tokens.start);
                Run { tokens: before.tokens.start..behind.tokens.end, ..before }
            }
            (Some(before), _) => Run { tokens: before.tokens.start..gone.tokens.end, ..before },
            (None, Some(behind)) => {
                self.starting.remove(&behind.tokens.start);
                Run { tokens: start..behind.tokens.end, ..behind }
            }
            (None, None) => return,
        };
        self.note_noise(&merged.tokens);
        self.starting.insert(merged.tokens.start, merged);
    }
}

/// A text with, for each place between its tokens, what comes before and after it, so that a run is judged without
/// reading the text again.
struct Context<'a> {
    tokens: &'a [SpeechToken],
    goes_on: bool,
    /// Number of words before each place.
    words: Vec<usize>,
    /// The last token before each place that has a time.
    timed_before: Vec<Option<usize>>,
    /// The first token after each place that has a start.
    timed_behind: Vec<Option<usize>>,
    /// Label of each token: its own, or that of the words beside it.
    labels: Vec<&'a TokenSpeaker>,
    /// True for tokens without a label that belong to no speaker.
    are_nobodys: Vec<bool>,
}

impl<'a> Context<'a> {
    fn new(tokens: &'a [SpeechToken], goes_on: bool) -> Self {
        let places = tokens.len() + 1;
        let (mut words, mut timed_before, mut timed_behind) = (vec![0; places], vec![None; places], vec![None; places]);
        for (at, token) in tokens.iter().enumerate() {
            words[at + 1] = words[at] + usize::from(token.is_word());
            let is_timed = token.end_ms.or(token.start_ms).is_some();
            timed_before[at + 1] = is_timed.then_some(at).or(timed_before[at]);
        }
        for (at, token) in tokens.iter().enumerate().rev() {
            timed_behind[at] = token.start_ms.map(|_| at).or(timed_behind[at + 1]);
        }
        let (labels, are_nobodys) = (tokens.iter().map(|token| &token.label).collect(), vec![false; tokens.len()]);
        let mut context = Self { tokens, goes_on, words, timed_before, timed_behind, labels, are_nobodys };
        if tokens.iter().any(|token| token.label != TokenSpeaker::Unsaid) {
            context.label_unsaid();
        }
        context
    }

    /// Assigns labels to words that have none.
    fn label_unsaid(&mut self) {
        let mut start = 0;
        while start < self.tokens.len() {
            let is_unsaid = |at: usize| self.tokens[at].label == TokenSpeaker::Unsaid;
            if !is_unsaid(start) {
                start += 1;
                continue;
            }
            let behind = (start + 1..self.tokens.len()).find(|at| !is_unsaid(*at) || self.is_parted(*at));
            let piece = start..behind.unwrap_or(self.tokens.len());
            start = piece.end;
            if self.words(&piece) == 0 {
                continue;
            }
            let is_parted_before = self.is_parted(piece.start);
            if is_parted_before && self.is_parted(piece.end) {
                self.labels[piece.clone()].fill(&TokenSpeaker::Unknown);
                self.are_nobodys[piece].fill(true);
            } else if is_parted_before && piece.end < self.tokens.len() {
                // It begins the sentence of the words after it.
                let label = self.labels[piece.end];
                self.labels[piece].fill(label);
            }
        }
    }

    /// Returns true if a sentence end or a pause separates the tokens before and after a place.
    fn is_parted(&self, place: usize) -> bool {
        if place == self.tokens.len() {
            return !self.goes_on || self.tokens[place - 1].ends_sentence;
        }
        let before = self.end(place).map(|(_, end)| end);
        let behind = self.start(place).filter(|(at, _)| *at == place).map(|(_, start)| start);
        let is_pause = before.zip(behind).is_some_and(|(before, behind)| behind - before >= PAUSE_MS);
        place == 0 || self.tokens[place - 1].ends_sentence || is_pause
    }

    fn words(&self, run: &Range<usize>) -> usize {
        self.words[run.end] - self.words[run.start]
    }

    /// Returns the start of the first token from `place` on that has one, with its index.
    fn start(&self, place: usize) -> Option<(usize, i64)> {
        let at = self.timed_behind[place]?;
        Some((at, self.tokens[at].start_ms?))
    }

    /// Returns the end of the last token before `place` that has one, with its index.
    fn end(&self, place: usize) -> Option<(usize, i64)> {
        let at = self.timed_before[place]?;
        Some((at, self.tokens[at].end_ms.or(self.tokens[at].start_ms)?))
    }

    /// Returns true if a run is real speech of one speaker, not label noise.
    fn is_real(&self, run: &Range<usize>) -> bool {
        if self.words(run) == 0 {
            return false;
        }
        if self.are_nobodys[run.clone()].iter().all(|is_nobodys| *is_nobodys) {
            return true;
        }
        let start = self.start(run.start).filter(|(at, _)| *at < run.end).map(|(_, start)| start);
        let end = self.end(run.end).filter(|(at, _)| *at >= run.start).map(|(_, end)| end);
        // Without times, the number of words decides.
        let is_long = start.zip(end).is_none_or(|(start, end)| end.saturating_sub(start) >= RUN_MS_MIN);
        if is_long && self.words(run) >= RUN_WORDS_MIN {
            return true;
        }
        let ends_sentence = |place: usize| place == 0 || self.tokens[place - 1].ends_sentence;
        if ends_sentence(run.start) && ends_sentence(run.end) {
            return true;
        }
        let is_pause =
            |from: Option<i64>, to: Option<i64>| from.zip(to).is_some_and(|(from, to)| to - from >= PAUSE_MS);
        let before = self.end(run.start).map(|(_, end)| end);
        let behind = self.start(run.end).map(|(_, start)| start);
        let is_after_pause = run.start == 0 || is_pause(before, start);
        let is_before_pause = run.end == self.tokens.len() && !self.goes_on || is_pause(end, behind);
        is_after_pause && is_before_pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of 200 ms each: a letter is a label, `-` is none, `?` is unknown; `.` is no word.
    fn tokens(labels: &str) -> Vec<SpeechToken> {
        let token = |(at, label): (usize, char)| SpeechToken {
            text: if label == '.' { ". ".into() } else { format!("w{at} ") },
            label: match label {
                '-' | '.' => TokenSpeaker::Unsaid,
                '?' => TokenSpeaker::Unknown,
                label => TokenSpeaker::Named(label.to_string().into()),
            },
            start_ms: Some(at as i64 * 200),
            end_ms: Some(at as i64 * 200 + 200),
            ..SpeechToken::default()
        };
        labels.chars().enumerate().map(token).collect()
    }

    /// Words of 200 ms each, as of [`tokens`]; a space is a pause of 400 ms, and a mark ends a sentence.
    fn spoken(said: &str) -> Vec<SpeechToken> {
        let (mut tokens, mut at): (Vec<SpeechToken>, i64) = (Vec::new(), 0);
        for c in said.chars() {
            match c {
                ' ' => at += 400,
                '.' => {
                    let last = tokens.last_mut().expect("a word");
                    last.text.push('.');
                    last.ends_sentence = true;
                }
                label => {
                    let label =
                        if label == '-' { TokenSpeaker::Unsaid } else { TokenSpeaker::Named(label.to_string().into()) };
                    let (start_ms, end_ms) = (Some(at), Some(at + 200));
                    tokens.push(SpeechToken { text: "w ".into(), label, start_ms, end_ms, ..SpeechToken::default() });
                    at += 200;
                }
            }
        }
        tokens
    }

    fn name(label: &TokenSpeaker) -> String {
        match label {
            TokenSpeaker::Unsaid => "-".to_owned(),
            TokenSpeaker::Unknown => "?".to_owned(),
            TokenSpeaker::Named(name) => name.to_string(),
        }
    }

    fn shown(tokens: &[SpeechToken]) -> String {
        let shown: Vec<String> =
            runs(tokens, false).iter().map(|run| format!("{}{}", name(&run.label), run.tokens.len())).collect();
        shown.join(" ")
    }

    #[test]
    fn runs_as_a_table() {
        for (labels, expected) in [
            ("", ""),
            ("a", "a1"),
            ("aaabbb", "a3 b3"),
            // Too short: merged.
            ("aaabb", "a5"),
            ("aabbb", "b5"),
            ("aaabaaa", "a7"),
            ("aab", "a3"),
            ("ab", "a2"),
            // The shortest is merged first, which rejoins the run around it.
            ("aabaabbbb", "a5 b4"),
            ("abaab", "a5"),
            // A word without a label belongs to the label before it, or to the first one after it.
            ("aa-bbb", "a3 b3"),
            ("--aaa-", "a6"),
            ("---", "-3"),
            // Marks do not count as words.
            ("aaabb.", "a6"),
            // An unknown speaker is nobody else.
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
        // Without times the number of words decides.
        for token in &mut quick {
            (token.start_ms, token.end_ms) = (None, None);
        }
        assert_eq!(shown(&quick), "a3 b3 c3");
    }

    /// `a` and `b` speak; a space is a pause of 400 ms, and a mark ends a sentence.
    #[test]
    fn short_answers_keep_their_speaker() {
        let check = |said: &str, expected: &str| {
            let tokens = spoken(said);
            assert_eq!(shown(&tokens), expected, "{said}");
        };
        // A sentence of its own, at any position.
        check("aaaa.b.aaaa.", "a4 b1 a4");
        check("aaaa.b.", "a4 b1");
        check("b.aaaa.", "b1 a4");
        check("aaaa.b.c.aaa.", "a4 b1 c1 a3");
        // Words between pauses.
        check("aaaa b aaaa", "a4 b1 a4");
        check("aaaa bb", "a4 b2");
        check("b aaaa", "b1 a4");
        // Within a sentence, with a pause only before or after it: noise.
        check("aaba.aaa.", "a7");
        check("aaaa.baaa.", "a8");
        check("aaa baaa", "a7");
        check("aaab aaa", "a7");
        check("aaab.", "a4");
        // It is not known yet what follows the last word of an interim text.
        let mut open = tokens("aaaabb");
        open[4..].iter_mut().for_each(|token| token.start_ms = token.start_ms.map(|start| start + 400));
        open[4..].iter_mut().for_each(|token| token.end_ms = token.end_ms.map(|end| end + 400));
        assert_eq!((runs(&open, true).len(), runs(&open, false).len()), (1, 2));
    }

    /// `a` and `b` are labels, `-` has none; a space is a pause of 400 ms, and a mark ends a sentence.
    #[test]
    fn words_without_a_label_go_with_their_sentence_or_are_nobodys() {
        let check = |said: &str, goes_on: bool, expected: &str| {
            let tokens = spoken(said);
            let found: Vec<(String, usize)> =
                runs(&tokens, goes_on).into_iter().map(|run| (name(&run.label), run.tokens.len())).collect();
            let found: Vec<String> = found.into_iter().map(|(name, count)| format!("{name}{count}")).collect();
            assert_eq!(found.join(" "), expected, "{said}");
        };
        // A sentence, or words between pauses.
        check("aaaa.--.bbbb.", false, "a4 ?2 b4");
        check("aaaa.-.aaaa.", false, "a4 ?1 a4");
        check("aaaa -- aaaa", false, "a4 ?2 a4");
        check("aaaa.---.-.bbbb.", false, "a4 ?4 b4");
        check("--.aaaa.", false, "?2 a4");
        check("aaaa.--.", false, "a4 ?2");
        check("aaaa --", false, "a4 ?2");
        // Within a sentence.
        check("aa-aa.", false, "a5");
        check("aaaa.--aa.", false, "a8");
        check("aaaa.--bbb.", false, "a4 b5");
        check("aaaa--.bbbb.", false, "a6 b4");
        check("--aaaa.", false, "a6");
        check("aaaa--", false, "a6");
        check("----.--.", false, "-6");
        // It is not known yet what follows the last word of an interim text.
        check("aaaa.--", true, "a6");
        check("aaaa.--.", true, "a4 ?2");
    }

    /// The rule implemented directly, in as many steps as necessary.
    fn runs_by_the_rule(tokens: &[SpeechToken], goes_on: bool) -> Vec<Run> {
        let context = Context::new(tokens, goes_on);
        let mut runs = labelled_runs(&context);
        while runs.len() > 1 {
            let noise = (0..runs.len()).rev().filter(|at| !context.is_real(&runs[*at].tokens));
            let Some(at) = noise.min_by_key(|at| context.words(&runs[*at].tokens)) else { break };
            let gone = runs.remove(at).tokens;
            if at == 0 {
                runs[0].tokens.start = gone.start;
                continue;
            }
            runs[at - 1].tokens.end = gone.end;
            if runs.get(at).is_some_and(|next| next.label == runs[at - 1].label) {
                runs[at - 1].tokens.end = runs.remove(at).tokens.end;
            }
        }
        runs
    }

    /// As many words as a frame of a megabyte holds, each with another label and without times.
    #[test]
    fn a_text_of_many_runs_is_read_once() {
        let mut long = tokens(&"abac".repeat(10_000));
        long.iter_mut().for_each(|token| (token.start_ms, token.end_ms) = (None, None));
        assert_eq!(shown(&long), "a40000");
    }

    proptest::proptest! {
        /// Also if some words have no times, some end a sentence, and pauses separate them.
        #[test]
        fn runs_are_those_of_the_rule(
            labels in "[abc?.-]{0,40}",
            marks in proptest::collection::vec((0..4u8, 0..8u8, 0..3i64), 40),
            goes_on: bool,
        ) {
            let mut tokens = tokens(&labels);
            let mut pause_ms = 0;
            for (token, (times, sentence, pause)) in tokens.iter_mut().zip(marks) {
                pause_ms += pause * 200;
                token.start_ms = token.start_ms.map(|start| start + pause_ms).filter(|_| times & 1 == 0);
                token.end_ms = token.end_ms.map(|end| end + pause_ms).filter(|_| times & 2 == 0);
                token.ends_sentence = sentence == 0;
            }
            assert_eq!(runs(&tokens, goes_on), runs_by_the_rule(&tokens, goes_on));
        }

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
