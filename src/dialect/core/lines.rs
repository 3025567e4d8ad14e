//! The lines of an utterance: the versions sent so far, and the ones to be sent after a change.
//!
//! An utterance is one line, `<base>`. If it is split (between speakers, or because it is long), the further lines are
//! `<base>.2`, `<base>.3`, …. A line that is no longer needed while the utterance is open is emptied, not retracted: a
//! retraction outranks every interim version, and the next one may need the line again. When the utterance becomes
//! final, such a line is emptied with the others and retracted after that.

use std::sync::Arc;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded, DecodedEvent};
use crate::dialect::core::options::Options;
use crate::dialect::core::speaker_runs::runs;
use crate::dialect::core::token::{SpeechToken, TokenSpeaker, clean};
use crate::transcript::{Break, Content, MediaMs, Status, Version, Word};

/// Longest text of a line, in bytes: with its words it fits into a message several times over.
const LINE_BYTES_MAX: usize = 2048;
/// Most words of a line: in JSON, with times and confidence, a word takes about a hundred bytes of a message.
const LINE_WORDS_MAX: usize = 400;

/// Changes of one frame, collected so that they become one record.
#[derive(Debug, Default)]
pub(crate) struct LineInProgress {
    versions: Vec<Version>,
    gone: Vec<Arc<str>>,
    faults: Vec<&'static str>,
}

impl LineInProgress {
    /// Adds a version of a line that belongs to no utterance.
    pub(crate) fn line(&mut self, id: Arc<str>, content: Content) {
        self.versions.push(Version { id, content, ..Version::default() });
    }

    /// Retracts a line that belongs to no utterance.
    pub(crate) fn gone(&mut self, id: Arc<str>) {
        self.gone.push(id);
    }

    /// Adds a fault of kind [`DecodeFaultKind::Odd`].
    pub(crate) fn odd(&mut self, message: &'static str) {
        self.faults.push(message);
    }

    /// Moves the collected changes to `out`.
    pub(crate) fn finish(self, out: &mut Decoded) {
        if !self.versions.is_empty() {
            out.says.push(DecodedEvent::Lines(self.versions));
        }
        out.says.extend(self.gone.into_iter().map(|id| DecodedEvent::Retract { id }));
        self.faults.into_iter().for_each(|message| out.fault(DecodeFaultKind::Odd, message));
    }
}

/// Properties that all lines of an utterance share.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LineFacts {
    pub(crate) lang: Option<Arc<str>>,
    pub(crate) break_before: Option<Break>,
}

/// The lines of one utterance.
#[derive(Debug)]
pub(crate) struct Lines {
    base: Arc<str>,
    sent: Vec<Content>,
    is_final: bool,
}

impl Lines {
    /// Creates an utterance of which nothing was sent. `base` is the id of its first line.
    pub(crate) fn new(base: Arc<str>) -> Self {
        Self { base, sent: Vec::new(), is_final: false }
    }

    /// Creates an utterance of which only the number of lines sent is known.
    pub(crate) fn with_lines(base: Arc<str>, count: usize) -> Self {
        Self { sent: vec![Content::default(); count], ..Self::new(base) }
    }

    /// Returns the number of its lines.
    pub(crate) fn count(&self) -> usize {
        self.sent.len()
    }

    /// Retracts all of it. It may be sent again afterwards.
    pub(crate) fn retract(&mut self, saying: &mut LineInProgress) {
        (0..self.sent.len().max(1)).for_each(|at| saying.gone(self.id(at)));
        *self = Self::new(self.base.clone());
    }

    /// Returns the id of its first line.
    pub(crate) fn base(&self) -> &Arc<str> {
        &self.base
    }

    /// Returns true if any of its lines has text.
    pub(crate) fn is_shown(&self) -> bool {
        self.sent.iter().any(|content| !content.text.is_empty())
    }

    /// Returns true if it is final.
    pub(crate) fn is_final(&self) -> bool {
        self.is_final
    }

    /// Returns the start, if known.
    pub(crate) fn start_ms(&self) -> Option<MediaMs> {
        self.sent.iter().find_map(|content| content.start_ms)
    }

    /// Returns the end, if known.
    pub(crate) fn end_ms(&self) -> Option<MediaMs> {
        self.sent.iter().rev().find_map(|content| content.end_ms)
    }

    /// Returns the text of all its lines.
    pub(crate) fn text(&self) -> String {
        self.sent.iter().map(|content| &*content.text).collect::<Vec<_>>().join(" ")
    }

    /// Closes it as last shown, because the vendor's final text is empty.
    pub(crate) fn stand(&mut self, saying: &mut LineInProgress) {
        let is_guess = !self.is_final;
        self.close(saying);
        saying.odd(if is_guess {
            "the vendor's final text of a line is empty: the interim text that was shown last stays, unconfirmed"
        } else {
            "the vendor sent an empty text for a final line: the line stays as it was"
        });
    }

    /// Closes it as last shown.
    pub(crate) fn close(&mut self, saying: &mut LineInProgress) {
        self.is_final = true;
        for at in 0..self.sent.len() {
            let sent = &mut self.sent[at];
            if sent.status == Status::Interim && !sent.text.is_empty() {
                sent.status = Status::Final;
                saying.line(self.id(at), self.sent[at].clone());
            }
        }
    }

    /// Updates it to `tokens`. Once final it stays final.
    pub(crate) fn say(
        &mut self,
        tokens: &[SpeechToken],
        status: Status,
        facts: &LineFacts,
        options: &Options,
        saying: &mut LineInProgress,
    ) {
        self.is_final |= status == Status::Final;
        let status = if self.is_final { Status::Final } else { status };
        let contents = contents(tokens, status, facts, options);
        for (at, content) in contents.iter().enumerate() {
            if self.sent.get(at) != Some(content) {
                saying.line(self.id(at), content.clone());
            }
        }
        for at in contents.len()..self.sent.len() {
            let sent = &self.sent[at];
            let empty = Content { status: sent.status, start_ms: sent.start_ms, ..Content::default() };
            if *sent != empty {
                saying.line(self.id(at), empty.clone());
                self.sent[at] = empty;
            }
            if self.is_final {
                saying.gone.push(self.id(at));
            }
        }
        if self.is_final {
            self.sent.truncate(contents.len());
        }
        for (at, content) in contents.into_iter().enumerate() {
            match self.sent.get_mut(at) {
                Some(sent) => *sent = content,
                None => self.sent.push(content),
            }
        }
    }

    fn id(&self, at: usize) -> Arc<str> {
        if at == 0 { self.base.clone() } else { format!("{}.{}", self.base, at + 1).into() }
    }
}

/// Returns the contents of the lines for `tokens`, in order.
fn contents(tokens: &[SpeechToken], status: Status, facts: &LineFacts, options: &Options) -> Vec<Content> {
    let bytes_max = LINE_BYTES_MAX.min(options.text_bytes_max).max(4);
    let mut contents: Vec<Content> = Vec::new();
    for run in runs(tokens, status == Status::Interim) {
        let speaker = match run.label {
            TokenSpeaker::Named(name) => Some(name),
            TokenSpeaker::Unsaid | TokenSpeaker::Unknown => None,
        };
        for piece in pieces(&tokens[run.tokens], bytes_max) {
            let before = contents.last().and_then(|content| content.start_ms);
            let content = content(&piece, status, before);
            if !content.text.is_empty() {
                let break_before = facts.break_before.filter(|_| contents.is_empty());
                contents.push(Content { speaker: speaker.clone(), lang: facts.lang.clone(), break_before, ..content });
            }
        }
    }
    contents
}

/// Splits `tokens` into pieces of at most the length of a line. A single token is split only if it is longer itself.
fn pieces(tokens: &[SpeechToken], bytes_max: usize) -> Vec<Vec<SpeechToken>> {
    let mut pieces: Vec<Vec<SpeechToken>> = Vec::new();
    let mut bytes = 0;
    for token in tokens.iter().flat_map(|token| cut(token, bytes_max)) {
        let words = pieces.last().map_or(0, Vec::len);
        if words == 0 || words == LINE_WORDS_MAX || bytes + token.text.len() > bytes_max {
            pieces.push(Vec::new());
            bytes = 0;
        }
        bytes += token.text.len();
        pieces.last_mut().expect("one was pushed").push(token);
    }
    pieces
}

/// Splits a token, after blanks if it has some.
fn cut(token: &SpeechToken, bytes_max: usize) -> Vec<SpeechToken> {
    let mut pieces = Vec::new();
    let mut rest = &*token.text;
    while rest.len() > bytes_max {
        let most = rest.floor_char_boundary(bytes_max);
        let end = rest[..most].rfind(char::is_whitespace).map_or(most, |at| at + 1);
        // A blank of several bytes has its end within the character.
        let end = rest.ceil_char_boundary(end);
        let (piece, behind) = rest.split_at(end);
        pieces.push(SpeechToken { text: piece.to_owned(), is_timed_word: false, end_ms: None, ..token.clone() });
        rest = behind;
    }
    if pieces.is_empty() {
        return vec![token.clone()];
    }
    pieces.push(SpeechToken { text: rest.to_owned(), is_timed_word: false, ..token.clone() });
    pieces
}

/// Builds the content of one line. If no token has a start, it uses that of the line `before` in the same utterance.
fn content(tokens: &[SpeechToken], status: Status, before: Option<i64>) -> Content {
    let text: String = tokens.iter().map(|token| &*token.text).collect();
    let start_ms = tokens.iter().find_map(|token| token.start_ms).or(before);
    // An end without a start is useless: the line is placed by its arrival.
    let end_ms =
        tokens.iter().filter_map(|token| token.end_ms).max().filter(|end| Some(*end) >= start_ms && start_ms.is_some());
    let word = |token: &SpeechToken| {
        let start_ms = token.start_ms.filter(|_| token.is_timed_word)?;
        let end_ms = token.end_ms.filter(|end| *end >= start_ms);
        let text: Arc<str> = clean(&token.text).trim().into();
        (!text.is_empty()).then_some(Word { text, start_ms, end_ms, confidence: token.confidence })
    };
    // An interim line is replaced soon: its words would fill the log without use.
    let words = if status == Status::Final { tokens.iter().filter_map(word).collect() } else { Vec::new() };
    Content { status, start_ms, end_ms, text: clean(&text).trim().into(), words, ..Content::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(labels: &str) -> Vec<SpeechToken> {
        let token = |(at, label): (usize, char)| SpeechToken {
            text: format!("{label}{at} "),
            label: TokenSpeaker::Named(label.to_string().into()),
            start_ms: Some(at as i64 * 200),
            end_ms: Some(at as i64 * 200 + 200),
            is_timed_word: true,
            ..SpeechToken::default()
        };
        labels.chars().enumerate().map(token).collect()
    }

    fn said(lines: &mut Lines, tokens: &[SpeechToken], status: Status) -> Vec<String> {
        let mut saying = LineInProgress::default();
        lines.say(tokens, status, &LineFacts::default(), &Options::new("t"), &mut saying);
        let mut out = Decoded::default();
        saying.finish(&mut out);
        let mut found = Vec::new();
        for said in out.says {
            match said {
                DecodedEvent::Lines(versions) => found.extend(versions.iter().map(|version| {
                    let Content { status, speaker, text, words, .. } = &version.content;
                    let mark = if *status == Status::Final { "" } else { "?" };
                    format!("{}{mark} {}: {text} ({})", version.id, speaker.as_deref().unwrap_or("-"), words.len())
                })),
                DecodedEvent::Retract { id } => found.push(format!("-{id}")),
                DecodedEvent::Clock { .. } => {}
            }
        }
        found
    }

    #[test]
    fn only_what_is_otherwise_is_said() {
        let lines = &mut Lines::new("t-1".into());
        use Status::{Final, Interim};
        assert_eq!(said(lines, &tokens("aaa"), Interim), ["t-1? a: a0 a1 a2 (0)"]);
        assert_eq!(said(lines, &tokens("aaa"), Interim), [""; 0]);
        assert_eq!(said(lines, &tokens("aaabbb"), Interim), ["t-1.2? b: b3 b4 b5 (0)"]);
        // The split disappears, and returns.
        assert_eq!(said(lines, &tokens("aaaa"), Interim), ["t-1? a: a0 a1 a2 a3 (0)", "t-1.2? -:  (0)"]);
        assert_eq!(said(lines, &tokens("aaaabbb"), Interim), ["t-1.2? b: b4 b5 b6 (0)"]);
        assert_eq!(said(lines, &tokens("aaaab"), Final), ["t-1 a: a0 a1 a2 a3 b4 (5)", "t-1.2? -:  (0)", "-t-1.2"]);
        // Revised after the end: it stays final.
        assert_eq!(said(lines, &tokens("aaaabbb"), Interim), ["t-1 a: a0 a1 a2 a3 (4)", "t-1.2 b: b4 b5 b6 (3)"]);
        assert_eq!(said(lines, &tokens(""), Final), ["t-1 -:  (0)", "t-1.2 -:  (0)", "-t-1", "-t-1.2"]);
    }

    #[test]
    fn long_texts_are_cut_and_nothing_of_them_is_lost() {
        let text = "many words of one that does not stop ".repeat(200);
        let long = SpeechToken { text: text.clone(), start_ms: Some(5), end_ms: Some(9), ..SpeechToken::default() };
        for tokens in [vec![long], tokens(&"a".repeat(2_000))] {
            let contents = contents(&tokens, Status::Final, &LineFacts::default(), &Options::new("t"));
            assert!(contents.len() > 1 && contents.iter().all(|content| content.text.len() <= LINE_BYTES_MAX));
            assert!(contents.iter().all(|content| content.start_ms.is_some() && content.words.len() <= LINE_WORDS_MAX));
            let said: Vec<&str> = contents.iter().flat_map(|content| content.text.split_whitespace()).collect();
            let whole: String = tokens.iter().map(|token| &*token.text).collect();
            assert_eq!(said, whole.split_whitespace().collect::<Vec<_>>());
        }
    }

    #[test]
    fn times_that_make_no_sense_are_left_out() {
        let token = SpeechToken {
            text: "a\u{8}\u{7f}b".into(),
            start_ms: Some(9),
            end_ms: Some(5),
            is_timed_word: true,
            ..SpeechToken::default()
        };
        let found = content(&[token], Status::Final, None);
        assert_eq!((&*found.text, found.start_ms, found.end_ms), ("ab", Some(9), None));
        assert_eq!((&*found.words[0].text, found.words[0].end_ms), ("ab", None));
        let token = SpeechToken { text: "a".into(), end_ms: Some(5), ..SpeechToken::default() };
        assert_eq!(content(&[token], Status::Final, None).end_ms, None);
    }
}
