//! Makes lines of words, for sources that give the words of a speaker and no lines.
//!
//! A line ends where the speaker changes, after a sentence of some length, before a pause, and before it is too long to
//! be read. No word moves to another speaker.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::format::core::builder::{FilePlace, TranscriptBuilder};
use crate::format::core::clock_restart::{self, LineTimes, PartMark};
use crate::transcript::{Content, MediaMs, Word};

/// A shorter sentence shares a line with the next one.
const LINE_CHARS: usize = 60;

/// A longer line ends at the next word.
const LINE_CHARS_MAX: usize = 400;

/// A pause after which people expect a new line.
const PAUSE_MS: MediaMs = 2_000;

/// A silence that separates two speakers, in milliseconds. The dialects use the same for the words of live engines.
pub(crate) const ANSWER_PAUSE_MS: MediaMs = 300;

/// A shorter run of words without a speaker goes to the speaker beside it, as noise in the labels; the dialects do the
/// same for live engines. So does a run of any length within the words of one speaker.
const UNLABELLED_RUN_MIN: usize = 3;

/// A word as it stands in the text, with the punctuation that belongs to it.
#[derive(Debug, Clone, Default)]
pub(crate) struct WordToken<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) start_ms: Option<MediaMs>,
    pub(crate) end_ms: Option<MediaMs>,
    pub(crate) confidence: Option<f64>,
    /// True if no blank separates it from the text before.
    pub(crate) is_attached: bool,
    /// True for punctuation, which belongs to the word before.
    pub(crate) is_punctuation: bool,
}

/// The speaker of a word, as the source gives it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum WordSpeaker {
    /// The word has no label.
    #[default]
    Unlabelled,
    /// The source heard another speaker, but does not know who it is.
    Unidentified,
    Named(Arc<str>),
}

impl WordSpeaker {
    fn name(&self) -> Option<&Arc<str>> {
        match self {
            Self::Named(name) => Some(name),
            Self::Unlabelled | Self::Unidentified => None,
        }
    }
}

/// The output of a reader of words, in the order of the file.
#[derive(Debug)]
enum WordPiece<'a> {
    Word(FilePlace, WordToken<'a>),
    Speaker(WordSpeaker),
    Lang(Option<Arc<str>>),
    /// Marks that stand right before the next word, whoever says it: `¿`, an opening quotation mark.
    Opening(Cow<'a, str>),
    LineEnd,
    /// True if the source says where lines end.
    HasLineEnds(bool),
    /// The file itself starts again.
    PartMayBegin,
}

/// The words of a file. They become lines when all are read, because a restart of the clock shows only by what follows.
#[derive(Debug, Default)]
pub(crate) struct WordLines<'a> {
    pieces: Vec<WordPiece<'a>>,
    speaker: WordSpeaker,
    lang: Option<Arc<str>>,
    /// True if words may lack the speaker that others have.
    may_lack_speakers: bool,
}

impl<'a> WordLines<'a> {
    /// Declares that the source names the speaker of each word, but may leave some out. One or two such words get the
    /// speaker of the word before them, or else of the word behind, if no pause and no end of a sentence is between.
    /// Longer runs do only between words of one speaker. Other words have no speaker, which is reported.
    pub(crate) fn may_lack_speakers(&mut self) {
        self.may_lack_speakers = true;
    }

    /// Sets the speaker of the words that follow.
    pub(crate) fn speaker(&mut self, speaker: Option<&str>) {
        if self.speaker.name().map(|name| &**name) != speaker || self.speaker == WordSpeaker::Unidentified {
            self.speaks(speaker.map_or(WordSpeaker::Unlabelled, |name| WordSpeaker::Named(name.into())));
        }
    }

    /// Declares that the source does not know the speaker of the words that follow.
    pub(crate) fn unidentified_speaker(&mut self) {
        if self.speaker != WordSpeaker::Unidentified {
            self.speaks(WordSpeaker::Unidentified);
        }
    }

    fn speaks(&mut self, speaker: WordSpeaker) {
        self.speaker = speaker;
        self.pieces.push(WordPiece::Speaker(self.speaker.clone()));
    }

    /// Sets the language of the words that follow.
    pub(crate) fn lang(&mut self, lang: Option<&str>) {
        if self.lang.as_deref() != lang {
            self.lang = lang.map(Arc::from);
            self.pieces.push(WordPiece::Lang(self.lang.clone()));
        }
    }

    /// Adds the next token, which stands at `at` in the file.
    pub(crate) fn push(&mut self, at: impl Into<FilePlace>, token: WordToken<'a>) {
        self.pieces.push(WordPiece::Word(at.into(), token));
    }

    /// Adds a mark to put right before the next word.
    pub(crate) fn open(&mut self, mark: Cow<'a, str>) {
        self.pieces.push(WordPiece::Opening(mark));
    }

    /// Ends the current line.
    pub(crate) fn end_line(&mut self) {
        self.pieces.push(WordPiece::LineEnd);
    }

    /// Sets whether the source says where the next lines end. If so, nothing else ends one.
    pub(crate) fn has_line_ends(&mut self, has_line_ends: bool) {
        self.pieces.push(WordPiece::HasLineEnds(has_line_ends));
    }

    /// Marks the next word as a possible beginning of a part: it is one if its time falls.
    pub(crate) fn part_may_begin(&mut self) {
        self.pieces.extend([WordPiece::LineEnd, WordPiece::PartMayBegin]);
    }

    /// Makes lines of all tokens, and resets the state. A mark with no word behind it belongs to the last word.
    pub(crate) fn finish(&mut self, gather: &mut TranscriptBuilder) {
        let Self { pieces, may_lack_speakers, .. } = std::mem::take(self);
        let pieces = if may_lack_speakers { with_all_speakers(pieces, gather) } else { pieces };
        let mut steps = steps(&pieces, gather).into_iter().peekable();
        let (mut line, mut offset, mut index) = (LineUnderWay::default(), 0, 0);
        for piece in pieces {
            match piece {
                WordPiece::Word(at, mut token) => {
                    if let Some((_, restart)) = steps.next_if(|(step, _)| *step == index) {
                        line.flush(gather);
                        offset = restart.unwrap_or(offset);
                    }
                    index += 1;
                    for ms in [&mut token.start_ms, &mut token.end_ms].into_iter().flatten().filter(|_| offset > 0) {
                        *ms = clock_restart::shifted(*ms, offset);
                    }
                    line.push(at, &token, gather);
                }
                WordPiece::Speaker(speaker) => {
                    line.flush(gather);
                    line.speaker = speaker.name().cloned();
                }
                WordPiece::Lang(lang) => {
                    line.flush(gather);
                    line.lang = lang;
                }
                WordPiece::Opening(mark) => line.opening.push_str(&mark),
                WordPiece::LineEnd => line.flush(gather),
                WordPiece::HasLineEnds(has_line_ends) => line.has_line_ends = has_line_ends,
                WordPiece::PartMayBegin => {}
            }
        }
        let opening = std::mem::take(&mut line.opening);
        line.text.push_str(&opening);
        line.flush(gather);
    }
}

/// Fills in the speakers of words that have none: see [`WordLines::may_lack_speakers`].
fn with_all_speakers<'a>(pieces: Vec<WordPiece<'a>>, gather: &mut TranscriptBuilder) -> Vec<WordPiece<'a>> {
    // The speaker of each word, and true if it follows the word before without a pause or an end of a sentence or line.
    let mut words: Vec<(WordSpeaker, bool)> = Vec::new();
    let (mut speaking, mut goes_on, mut latest): (_, bool, Option<MediaMs>) = (WordSpeaker::default(), false, None);
    for piece in &pieces {
        match piece {
            WordPiece::Speaker(speaker) => speaking.clone_from(speaker),
            WordPiece::LineEnd | WordPiece::PartMayBegin => goes_on = false,
            WordPiece::Word(_, token) => {
                if !token.is_punctuation {
                    let is_pause =
                        latest.zip(token.start_ms).is_some_and(|(end, start)| start - end >= ANSWER_PAUSE_MS);
                    words.push((speaking.clone(), goes_on && !is_pause));
                    latest = token.end_ms.or(token.start_ms).or(latest);
                }
                goes_on = !ends_sentence(&token.text);
            }
            _ => {}
        }
    }
    let is_unlabelled = |word: &(WordSpeaker, bool)| word.0 == WordSpeaker::Unlabelled;
    let named = words.iter().filter(|(speaker, _)| speaker.name().is_some()).count();
    if named == 0 || named == words.len() {
        return pieces;
    }
    let mut from = 0;
    while from < words.len() {
        let goes_on = |(speaker, goes_on): &&(WordSpeaker, bool)| *goes_on && *speaker == WordSpeaker::Unlabelled;
        let end = from + 1 + words[from + 1..].iter().take_while(goes_on).count();
        if !is_unlabelled(&words[from]) {
            from += 1;
            continue;
        }
        let before = from.checked_sub(1).filter(|_| words[from].1);
        let beside = before.or(Some(end).filter(|end| words.get(*end).is_some_and(|(_, goes_on)| *goes_on)));
        let is_within = before.is_some_and(|before| {
            words.get(end).is_some_and(|(speaker, goes_on)| *goes_on && *speaker == words[before].0)
        });
        if let Some(beside) = beside.filter(|_| is_within || end - from < UNLABELLED_RUN_MIN) {
            let speaker = words[beside].0.clone();
            words[from..end].iter_mut().for_each(|word| word.0 = speaker.clone());
        }
        from = end;
    }
    let mut labels = words.into_iter().map(|(speaker, _)| speaker);
    let (mut labelled, mut speaking) = (Vec::with_capacity(pieces.len()), WordSpeaker::default());
    let (mut count, mut first) = (0, FilePlace::default());
    for piece in pieces {
        match &piece {
            WordPiece::Speaker(_) => continue,
            WordPiece::Word(at, token) if !token.is_punctuation => {
                let label = labels.next().unwrap_or_default();
                if label.name().is_none() {
                    first = if count == 0 { *at } else { first };
                    count += 1;
                }
                if label != speaking {
                    speaking = label;
                    labelled.push(WordPiece::Speaker(speaking.clone()));
                }
            }
            _ => {}
        }
        labelled.push(piece);
    }
    if count > 0 {
        let message = format!("nothing says who speaks {count} of these words: read as said by nobody known");
        gather.problem(first.line, first.column, message);
    }
    labelled
}

fn ends_sentence(text: &str) -> bool {
    text.trim_end().ends_with(['.', '?', '!', '…', '。', '？', '！', '।', '؟'])
}

/// The words, by number, before which the clock goes back: see [`TranscriptBuilder::word_steps`].
fn steps(pieces: &[WordPiece<'_>], gather: &mut TranscriptBuilder) -> Vec<(usize, Option<MediaMs>)> {
    let (mut words, mut marks, mut speaking) = (Vec::new(), Vec::new(), None);
    for piece in pieces {
        match piece {
            WordPiece::Word(at, token) => {
                let start = token.start_ms.filter(|_| !token.is_punctuation);
                words.push((*at, start.map(|start| LineTimes::new(start, token.end_ms, &[], speaking))));
            }
            WordPiece::Speaker(speaker) => speaking = speaker.name().map(|name| &**name),
            WordPiece::PartMayBegin => marks.push(PartMark { line: words.len(), is_sure: false }),
            _ => {}
        }
    }
    gather.word_steps(&words, &marks)
}

/// The current line.
#[derive(Debug, Default)]
struct LineUnderWay {
    speaker: Option<Arc<str>>,
    lang: Option<Arc<str>>,
    at: FilePlace,
    text: String,
    words: Vec<Word>,
    start_ms: Option<MediaMs>,
    /// The end of its last word, if known.
    end_ms: Option<MediaMs>,
    /// The greatest time of its words.
    latest_ms: Option<MediaMs>,
    /// Marks that stand right before the next word.
    opening: String,
    has_line_ends: bool,
}

impl LineUnderWay {
    fn push(&mut self, at: FilePlace, token: &WordToken<'_>, gather: &mut TranscriptBuilder) {
        if !token.is_punctuation && self.ends_before(token) {
            self.flush(gather);
        }
        if self.text.is_empty() {
            self.at = at;
        } else if !token.is_attached {
            self.text.push(' ');
        }
        self.text.push_str(&std::mem::take(&mut self.opening));
        self.text.push_str(&token.text);
        match (token.start_ms, token.is_punctuation) {
            (Some(start_ms), false) => {
                let WordToken { end_ms, confidence, .. } = *token;
                let end_ms = end_ms.filter(|end| *end >= start_ms);
                self.words.push(Word { text: token.text.trim().into(), start_ms, end_ms, confidence });
                self.start_ms = self.start_ms.or(Some(start_ms));
                self.latest_ms = self.latest_ms.max(end_ms).max(Some(start_ms));
                // A word without an end leaves the end of the line unknown: an earlier word's end is not it.
                self.end_ms = end_ms.and(self.latest_ms);
            }
            // The times that are known stay.
            (None, false) => {
                self.latest_ms = self.latest_ms.max(token.end_ms);
                self.end_ms = token.end_ms.max(self.end_ms);
            }
            (_, true) => {}
        }
    }

    fn ends_before(&self, token: &WordToken<'_>) -> bool {
        // No line ends within a word. In scripts without blanks, each character may be a word.
        let is_within = token.is_attached && !self.text.ends_with(is_unspaced);
        if self.has_line_ends || is_within {
            return false;
        }
        let length = self.text.chars().count();
        let is_pause = match (self.latest_ms, token.start_ms) {
            (Some(end), Some(start)) => start.saturating_sub(end) >= PAUSE_MS,
            _ => false,
        };
        let is_sentence = ends_sentence(&self.text);
        length > 0 && (is_pause || length >= LINE_CHARS && is_sentence || length >= LINE_CHARS_MAX)
    }

    fn flush(&mut self, gather: &mut TranscriptBuilder) {
        let text = std::mem::take(&mut self.text);
        let words = std::mem::take(&mut self.words);
        let (start_ms, end_ms) = (self.start_ms.take(), self.end_ms.take());
        self.latest_ms = None;
        let text = crate::format::text::text_lines::tidy(text.trim()).into();
        let (speaker, lang) = (self.speaker.clone(), self.lang.clone());
        // If an engine counts a word before an earlier one, the line starts at the least time.
        let first = words.iter().map(|word| word.start_ms).min();
        let content =
            Content { start_ms: first.or(start_ms), end_ms, speaker, text, lang, words, ..Content::default() };
        gather.line(self.at, content);
    }
}

/// Returns true for the characters of scripts without blanks between words: Han, Hiragana, Katakana, Thai, and their
/// marks.
pub(crate) fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0E00}'..='\u{0E7F}' | '\u{3000}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{FF00}'..='\u{FFEF}')
}

/// The number of words of `said` that are not in `text`.
pub(crate) fn missing_words(said: &str, text: &str) -> usize {
    if letters(said).eq(letters(text)) {
        return 0;
    }
    let mut known: HashMap<String, usize> = HashMap::new();
    spoken_words(text).for_each(|word| *known.entry(word).or_default() += 1);
    let is_missing = |word: &String| match known.get_mut(word) {
        Some(count @ 1..) => {
            *count -= 1;
            false
        }
        _ => true,
    };
    spoken_words(said).filter(is_missing).count()
}

/// The letters and digits of a text, in lower case.
fn letters(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase)
}

fn spoken_words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(|word| letters(word).collect())
}

/// The label for a word of a channel: its speaker, or else its channel. Engines count the speakers of each channel from
/// 0, so in a file of several channels the label has both.
pub(crate) fn channel_speaker(channel: Option<&str>, speaker: Option<&str>, has_several: bool) -> Option<String> {
    match (channel, speaker) {
        (Some(channel), Some(speaker)) if has_several => Some(format!("{channel} {speaker}")),
        (channel, speaker) => speaker.or(channel).map(str::to_owned),
    }
}

/// Reads words channel by channel, because people who talk at the same time would cut each other's lines. The lines are
/// then sorted by their starts. `read` gets a word, its channel, and true if there are several channels.
pub(crate) fn read_by_channel<'a, T>(
    words: &'a [(Option<String>, T)],
    gather: &mut TranscriptBuilder,
    mut read: impl FnMut(&'a T, Option<&str>, bool, &mut WordLines<'a>, &mut TranscriptBuilder),
) {
    let mut channels: Vec<Option<&str>> = Vec::new();
    let mut by_channel: HashMap<Option<&str>, Vec<&'a T>> = HashMap::new();
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
mod tests;
