//! Words become lines: where a source gives a speaker's words and no lines.
//!
//! A line ends where the speaker changes, after a sentence of some length, before a pause, and before it is too long to be
//! read. No word moves to another speaker.

use std::collections::HashMap;
use std::sync::Arc;

use super::gather::{FilePlace, Gather};
use crate::transcript::{Content, MediaMs, Word};

/// A sentence that is shorter takes the next one along.
const LINE_CHARS: usize = 60;

/// A line that is longer ends at the next word.
const LINE_CHARS_MAX: usize = 400;

/// A pause after which people expect a new line.
const PAUSE_MS: MediaMs = 2_000;

/// A word as it stands in the text, with the punctuation that belongs to it.
#[derive(Debug, Clone, Default)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) start_ms: Option<MediaMs>,
    pub(super) end_ms: Option<MediaMs>,
    pub(super) confidence: Option<f64>,
    /// Stands right behind what is before it, without a blank.
    pub(super) is_attached: bool,
    /// Punctuation, which belongs to the word before.
    pub(super) is_punctuation: bool,
}

/// The line under way.
#[derive(Debug, Default)]
pub(super) struct WordLines {
    speaker: Option<Arc<str>>,
    lang: Option<Arc<str>>,
    at: FilePlace,
    text: String,
    words: Vec<Word>,
    start_ms: Option<MediaMs>,
    /// When its last word ends, if that is known.
    end_ms: Option<MediaMs>,
    /// The greatest time of its words.
    latest_ms: Option<MediaMs>,
    /// Marks that stand right before the next word, whoever says that: `¿`, an opening quotation mark.
    opening: String,
    /// The source says where lines end: nothing else ends one.
    pub(super) has_line_ends: bool,
}

impl WordLines {
    /// From here on `speaker` speaks.
    pub(super) fn speaker(&mut self, speaker: Option<&str>, gather: &mut Gather) {
        if self.speaker.as_deref() != speaker {
            self.flush(gather);
            self.speaker = speaker.map(Arc::from);
        }
    }

    /// From here on it is in this language.
    pub(super) fn lang(&mut self, lang: Option<&str>, gather: &mut Gather) {
        if self.lang.as_deref() != lang {
            self.flush(gather);
            self.lang = lang.map(Arc::from);
        }
    }

    /// Takes the next token, which stands at `at` in the file.
    pub(super) fn push(&mut self, at: impl Into<FilePlace>, token: &Token<'_>, gather: &mut Gather) {
        if !token.is_punctuation && self.ends_before(token) {
            self.flush(gather);
        }
        if self.text.is_empty() {
            self.at = at.into();
        } else if !token.is_attached {
            self.text.push(' ');
        }
        self.text.push_str(&std::mem::take(&mut self.opening));
        self.text.push_str(token.text);
        match (token.start_ms, token.is_punctuation) {
            (Some(start_ms), false) => {
                let Token { end_ms, confidence, .. } = *token;
                let end_ms = end_ms.filter(|end| *end >= start_ms);
                self.words.push(Word { text: token.text.trim().into(), start_ms, end_ms, confidence });
                self.start_ms = self.start_ms.or(Some(start_ms));
                self.latest_ms = self.latest_ms.max(end_ms).max(Some(start_ms));
                // Of a word without an end nobody knows how far its line goes: that of a word before it is not its end.
                self.end_ms = end_ms.and(self.latest_ms);
            }
            // Those that have a time keep it.
            (None, false) => {
                self.latest_ms = self.latest_ms.max(token.end_ms);
                self.end_ms = token.end_ms.max(self.end_ms);
            }
            (_, true) => {}
        }
    }

    /// Keeps a mark for the word that comes next.
    pub(super) fn open(&mut self, mark: &str) {
        self.opening.push_str(mark);
    }

    /// Ends the last line. A mark that no word came behind belongs to it.
    pub(super) fn finish(&mut self, gather: &mut Gather) {
        let opening = std::mem::take(&mut self.opening);
        self.text.push_str(&opening);
        self.flush(gather);
    }

    fn ends_before(&self, token: &Token<'_>) -> bool {
        if self.has_line_ends {
            return false;
        }
        let length = self.text.chars().count();
        let is_pause = match (self.latest_ms, token.start_ms) {
            (Some(end), Some(start)) => start.saturating_sub(end) >= PAUSE_MS,
            _ => false,
        };
        let is_sentence = self.text.trim_end().ends_with(['.', '?', '!', '…', '。', '？', '！', '।', '؟']);
        length > 0
            && !token.is_attached
            && (is_pause || length >= LINE_CHARS && is_sentence || length >= LINE_CHARS_MAX)
    }

    /// Ends the line under way.
    pub(super) fn flush(&mut self, gather: &mut Gather) {
        let text = std::mem::take(&mut self.text);
        let words = std::mem::take(&mut self.words);
        let (start_ms, end_ms) = (self.start_ms.take(), self.end_ms.take());
        self.latest_ms = None;
        let text = super::blocks::tidy(text.trim()).into();
        let (speaker, lang) = (self.speaker.clone(), self.lang.clone());
        // An engine that counts a word before the one said earlier has its line start at the earlier one.
        let first = words.iter().map(|word| word.start_ms).min();
        let content =
            Content { start_ms: first.or(start_ms), end_ms, speaker, text, lang, words, ..Content::default() };
        gather.line(self.at, content);
    }
}

/// The label of who says a word of a channel: its speaker, or else whoever the channel is of. Engines count the speakers of
/// each channel from 0, so that in a file of several both are the label.
pub(super) fn channel_speaker(channel: Option<&str>, speaker: Option<&str>, has_several: bool) -> Option<String> {
    match (channel, speaker) {
        (Some(channel), Some(speaker)) if has_several => Some(format!("{channel} {speaker}")),
        (channel, speaker) => speaker.or(channel).map(str::to_owned),
    }
}

/// Reads words with the channel of each, one channel behind the other: those of people who talk at the same time would cut
/// each other's lines. The lines stand in the order of their starts. `read` is told whether there are several channels.
pub(super) fn read_by_channel<T>(
    words: &[(Option<String>, T)],
    gather: &mut Gather,
    mut read: impl FnMut(&T, Option<&str>, bool, &mut WordLines, &mut Gather),
) {
    let mut channels: Vec<Option<&str>> = Vec::new();
    let mut by_channel: HashMap<Option<&str>, Vec<&T>> = HashMap::new();
    for (channel, word) in words {
        let words = by_channel.entry(channel.as_deref()).or_default();
        if words.is_empty() {
            channels.push(channel.as_deref());
        }
        words.push(word);
    }
    let has_several = channels.len() > 1;
    for channel in channels {
        if has_several {
            gather.new_part();
        }
        let mut lines = WordLines::default();
        for word in by_channel.remove(&channel).unwrap_or_default() {
            read(word, channel, has_several, &mut lines, gather);
        }
        lines.finish(gather);
    }
    if has_several {
        let mut starts = Vec::with_capacity(gather.len());
        let mut latest = 0;
        for content in gather.contents() {
            latest = content.start_ms.unwrap_or(latest);
            starts.push(latest);
        }
        let mut order: Vec<usize> = (0..starts.len()).collect();
        order.sort_by_key(|index| starts[*index]);
        gather.keep(&order);
    }
}

#[cfg(test)]
mod tests {
    use super::super::FileKind;
    use super::*;

    fn lines(tokens: &[(&str, Option<MediaMs>, Option<&str>)]) -> Vec<(String, Option<MediaMs>, usize)> {
        let (mut lines, mut gather) = (WordLines::default(), Gather::default());
        for (text, start_ms, speaker) in tokens {
            lines.speaker(*speaker, &mut gather);
            let end_ms = start_ms.map(|start| start + 100);
            lines.push(1, &Token { text, start_ms: *start_ms, end_ms, ..Token::default() }, &mut gather);
        }
        lines.flush(&mut gather);
        let reading = gather.finish(FileKind::Srt);
        let facts = reading
            .lines
            .iter()
            .map(|line| (line.content.text.to_string(), line.content.start_ms, line.content.words.len()));
        facts.collect()
    }

    #[test]
    fn a_line_whose_last_word_has_no_end_has_none() {
        let read = |ends: [Option<MediaMs>; 3]| {
            let (mut lines, mut gather) = (WordLines::default(), Gather::default());
            for (start, end_ms) in [0, 1_000, 2_000].into_iter().zip(ends) {
                lines.push(1, &Token { text: "a", start_ms: Some(start), end_ms, ..Token::default() }, &mut gather);
            }
            lines.flush(&mut gather);
            let line = gather.finish(FileKind::Srt).lines.remove(0).content;
            assert_eq!(line.words.iter().map(|word| word.end_ms).collect::<Vec<_>>(), ends);
            line.end_ms
        };
        assert_eq!(read([Some(500), Some(1_500), Some(2_500)]), Some(2_500));
        assert_eq!(read([Some(500), None, Some(2_500)]), Some(2_500));
        assert_eq!(read([Some(500), Some(1_500), None]), None);
        assert_eq!(read([Some(2_600), Some(1_500), None]), None);
        // Of words said at once the line ends with the last of them.
        assert_eq!(read([Some(2_600), Some(1_500), Some(2_500)]), Some(2_600));
    }

    #[test]
    fn lines_end_where_people_expect_it() {
        let ann = Some("Ann");
        assert_eq!(
            lines(&[("a", Some(0), ann), ("b.", Some(100), ann), ("c", Some(300), Some("Bob"))]),
            [("a b.".to_owned(), Some(0), 2), ("c".to_owned(), Some(300), 1)]
        );
        assert_eq!(
            lines(&[("a", Some(0), ann), ("b", Some(2_099), ann), ("c", Some(4_199), ann)]),
            [("a b".to_owned(), Some(0), 2), ("c".to_owned(), Some(4_199), 1)]
        );
        let long = "x".repeat(59) + ".";
        assert_eq!(lines(&[(&long, Some(0), ann), ("b", Some(100), ann)]).len(), 2);
        assert_eq!(lines(&[(&long[1..], Some(0), ann), ("b", Some(100), ann)]).len(), 1);
        let endless = vec![("xxxxxxx", Some(0), ann); 200];
        assert!(lines(&endless).iter().all(|(text, ..)| text.len() <= LINE_CHARS_MAX + 8));
        // Words without a time do not cost the other words theirs.
        assert_eq!(
            lines(&[("a", Some(5), ann), ("b", None, ann), ("c", Some(300), ann)]),
            [("a b c".to_owned(), Some(5), 2)]
        );
    }
}
