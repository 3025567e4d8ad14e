//! Reader of Speechmatics' JSON: a batch job, a message of its live service, or a recording of such messages, one per
//! row.
//!
//! `AddTranscript` is final and never retracted. Partial transcripts before it are skipped. A partial transcript that
//! never became final is read in its last version, and reported. If channels are identified, each is one microphone.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::error::FormatError;
use crate::format::core::json_spans::{Fields, JsonSpans, Seconds, SpeakerLabelValue, is_rows, whole};
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::ParsedTranscript;
use crate::format::core::word_lines::{WordToken, channel_speaker, read_by_channel};
use crate::format::json::json_rows::rows;

#[derive(Deserialize)]
struct SpeechmaticsItem<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(default)]
    start_time: Seconds,
    #[serde(default)]
    end_time: Seconds,
    #[serde(borrow, default)]
    attaches_to: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    channel: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    alternatives: Vec<SpeechmaticsAlternative<'a>>,
}

#[derive(Deserialize)]
struct SpeechmaticsAlternative<'a> {
    #[serde(borrow)]
    content: Cow<'a, str>,
    #[serde(default)]
    confidence: Option<f64>,
    #[serde(borrow, default)]
    language: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    speaker: Option<&'a RawValue>,
}

impl SpeechmaticsAlternative<'_> {
    fn label(&self) -> Option<String> {
        serde_json::from_str::<SpeakerLabelValue>(self.speaker?.get()).ok()?.0
    }

    /// Returns true for `UU`, a speaker whom the engine could not identify.
    fn is_unidentified(&self) -> bool {
        self.speaker.is_some_and(|speaker| speaker.get() == "\"UU\"")
    }
}

/// An item, with its line and column in the file.
struct SpeechmaticsSpeech<'a> {
    at: (usize, usize),
    item: SpeechmaticsItem<'a>,
    /// True for the first item of a session.
    begins_session: bool,
}

/// The items, in the order of the file, with the channel of each.
#[derive(Default)]
struct SpeechmaticsReader<'a> {
    items: Vec<(Option<String>, SpeechmaticsSpeech<'a>)>,
    begins_session: bool,
    /// The number of items of earlier sessions.
    session_at: usize,
    /// The last partial transcript of each channel that has not become final.
    guesses: BTreeMap<&'a str, (&'a RawValue, Fields<'a>)>,
    /// The final words of each channel in this session. A partial transcript of the same words comes late.
    final_words: BTreeMap<&'a str, FinalWords>,
}

/// The final words of a channel: start and end of each in milliseconds, and its text in lower case.
#[derive(Default)]
struct FinalWords {
    words: Vec<(i64, i64, String)>,
    /// For each word, the greatest end of the words up to it.
    ends: Vec<i64>,
}

impl FinalWords {
    fn take(&mut self, item: &SpeechmaticsItem<'_>) {
        if let (Some(start), Some(end), Some(best)) =
            (item.start_time.ms(), item.end_time.ms(), item.alternatives.first())
        {
            self.words.push((start, end, best.content.to_lowercase()));
        }
    }

    /// Sorts the words by start, and computes `ends`. Must be called before a search.
    fn sort(&mut self) {
        self.words.sort();
        let mut latest = i64::MIN;
        let later = self.words.iter().map(|(_, end, _)| {
            latest = latest.max(*end);
            latest
        });
        self.ends = later.collect();
    }

    /// Returns the words that overlap a word of a partial transcript. Empty if most of that word is after all of them,
    /// because then the partial transcript continues.
    fn beside(&self, item: &SpeechmaticsItem<'_>) -> Vec<&str> {
        let (Some(start), Some(end)) = (item.start_time.ms(), item.end_time.ms()) else { return Vec::new() };
        if self.ends.last().is_none_or(|last| start.midpoint(end) > *last) {
            return Vec::new();
        }
        let before = self.words.partition_point(|(word, ..)| *word < end);
        let reach = (0..before).rev().take_while(|at| self.ends[*at] > start);
        reach.filter(|at| self.words[*at].1 > start).map(|at| &*self.words[at].2).collect()
    }
}

impl<'a> SpeechmaticsReader<'a> {
    fn message(&mut self, message: &'a RawValue, places: &JsonSpans<'a>, gather: &mut TranscriptBuilder) {
        let Some(fields) = places.read::<Fields<'_>>(message, "this message", gather) else { return };
        let channel = fields.get("channel").map_or("", |channel| channel.get());
        if is_message(&fields, "AddTranscript") {
            self.guesses.remove(channel);
            let from = self.items.len();
            self.results(message, &fields, None, places, gather);
            let final_words = self.final_words.entry(channel).or_default();
            self.items[from..].iter().for_each(|(_, said)| final_words.take(&said.item));
        } else if is_message(&fields, "AddPartialTranscript") {
            self.guesses.insert(channel, (message, fields));
        } else if is_message(&fields, "RecognitionStarted") {
            self.unconfirmed(places, gather);
            self.final_words.clear();
            self.session_at = self.items.len();
            self.begins_session = true;
        } else if fields.get("results").is_some_and(|results| results.get().contains("\"content\"")) {
            let at = places.place(message.get());
            gather.left_out(at.0, at.1, "this message has results and is none that is known: left out");
        }
    }

    /// Reads the partial transcripts that never became final.
    fn unconfirmed(&mut self, places: &JsonSpans<'a>, gather: &mut TranscriptBuilder) {
        for (channel, (message, fields)) in std::mem::take(&mut self.guesses) {
            let before = self.items.len();
            let mut final_words = self.final_words.remove(channel).unwrap_or_default();
            final_words.sort();
            let unsaid = self.results(message, &fields, Some(&final_words), places, gather);
            let at = places.place(message.get());
            self.place_by_time(before);
            if self.items.len() > before {
                gather.problem(at.0, at.1, "this was never made final: read as it was guessed last");
            }
            if unsaid > 0 {
                let message =
                    format!("words of this late guess that nothing final has: {unsaid}; what is final there is read");
                gather.problem(at.0, at.1, message);
            }
        }
    }

    /// Moves the items from index `from` on before the later words of their session.
    fn place_by_time(&mut self, from: usize) {
        let start = |(_, said): &(_, SpeechmaticsSpeech<'_>)| {
            said.item.start_time.ms().filter(|_| said.item.kind != "punctuation")
        };
        let Some(guessed) = self.items.get(from).and_then(start) else { return };
        let session = self.session_at.min(from);
        let later = self.items[session..from].iter().position(|item| start(item).is_some_and(|start| start > guessed));
        let Some(to) = later.map(|later| session + later) else { return };
        let begins_session = std::mem::take(&mut self.items[to].1.begins_session);
        self.items[to..].rotate_left(from - to);
        self.items[to].1.begins_session |= begins_session;
    }

    /// Adds the results of a message. For a partial transcript (`final_words` is given), only those that overlap no
    /// final word are added. Returns the number of the others whose text differs from the final words that they
    /// overlap.
    fn results(
        &mut self,
        message: &'a RawValue,
        fields: &Fields<'a>,
        final_words: Option<&FinalWords>,
        places: &JsonSpans<'a>,
        gather: &mut TranscriptBuilder,
    ) -> usize {
        let mut unsaid = 0;
        // Messages of the live service have one channel for all their results.
        let channel = fields.get("channel");
        let channel = channel.and_then(|channel| serde_json::from_str::<Cow<'_, str>>(channel.get()).ok());
        for item in places.due_list(message, fields, "results", gather) {
            let at = places.place(item.get());
            let Some(item) = places.read::<SpeechmaticsItem<'_>>(item, "this result", gather) else { continue };
            let beside = final_words.map(|words| words.beside(&item)).unwrap_or_default();
            if !beside.is_empty() {
                // The last word of a partial transcript may be cut off.
                let word = item.alternatives.first().map(|best| best.content.to_lowercase()).unwrap_or_default();
                unsaid += usize::from(!beside.iter().any(|said| said.starts_with(&word)));
                continue;
            }
            let channel = item.channel.as_deref().or(channel.as_deref()).filter(|channel| !channel.trim().is_empty());
            // Punctuation without a channel belongs to the word before it.
            let before = self.items.last().filter(|_| item.kind == "punctuation");
            let before = before.and_then(|(channel, _)| channel.clone());
            let channel = channel.map(str::to_owned).or(before);
            let begins_session = std::mem::take(&mut self.begins_session);
            self.items.push((channel, SpeechmaticsSpeech { at, item, begins_session }));
        }
        unsaid
    }

    fn finish(self, mut gather: TranscriptBuilder) -> ParsedTranscript {
        // True if the next item follows without a blank.
        let mut joins_next = false;
        read_by_channel(&self.items, &mut gather, |said, channel, has_several, lines, gather| {
            lines.may_lack_speakers();
            let SpeechmaticsSpeech { at, item, begins_session } = said;
            if *begins_session {
                lines.part_may_begin();
            }
            let Some(best) = item.alternatives.first() else {
                gather.left_out(at.0, at.1, "this result has no content: left out");
                return;
            };
            let is_punctuation = item.kind == "punctuation";
            let attaches = item.attaches_to.as_deref().unwrap_or(if is_punctuation { "previous" } else { "none" });
            if is_punctuation && attaches == "next" {
                lines.open((&*best.content).into());
                return;
            }
            // Punctuation belongs to the speaker of the word before, whatever its label is.
            if !is_punctuation {
                match channel_speaker(channel, best.label().as_deref(), has_several) {
                    None if best.is_unidentified() => lines.unidentified_speaker(),
                    speaker => lines.speaker(speaker.as_deref()),
                }
                lines.lang(best.language.as_deref());
            }
            // Languages without blanks between words.
            let is_unparted = matches!(best.language.as_deref(), Some("cmn" | "yue" | "ja" | "th" | "cmn_en"));
            let is_attached = is_unparted || joins_next || matches!(attaches, "previous" | "both");
            joins_next = matches!(attaches, "next" | "both");
            let (start_ms, end_ms) = (item.start_time.ms(), item.end_time.ms());
            let (text, confidence) = ((&*best.content).into(), best.confidence);
            lines.push(*at, WordToken { text, start_ms, end_ms, confidence, is_attached, is_punctuation });
        });
        gather.finish(FileKind::Speechmatics)
    }
}

/// Reads one transcript, or rows of messages.
pub(in super::super) fn read(text: &str, mut gather: TranscriptBuilder) -> Result<ParsedTranscript, FormatError> {
    if is_rows(text) {
        return Ok(read_rows(text, gather));
    }
    let message: &RawValue = whole(text)?;
    let (places, mut reader) = (JsonSpans::of(text), SpeechmaticsReader::default());
    let fields = places.read::<Fields<'_>>(message, "this transcript", &mut gather).unwrap_or_default();
    reader.results(message, &fields, None, &places, &mut gather);
    Ok(reader.finish(gather))
}

fn read_rows(text: &str, mut gather: TranscriptBuilder) -> ParsedTranscript {
    let (places, mut reader) = (JsonSpans::of(text), SpeechmaticsReader::default());
    for row in rows(text, &mut gather) {
        // Recordings wrap each message, with its time of receipt.
        let Some(fields) = places.read::<Fields<'_>>(row, "this row", &mut gather) else { continue };
        reader.message(fields.get("payload").copied().unwrap_or(row), &places, &mut gather);
    }
    reader.unconfirmed(&places, &mut gather);
    reader.finish(gather)
}

/// Returns true for a message of this name.
pub(in super::super) fn is_message(fields: &Fields<'_>, name: &str) -> bool {
    fields.get("message").is_some_and(|message| message.get().trim_matches('"') == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_lines(results: &serde_json::Value) -> Vec<(Option<String>, String)> {
        let file = serde_json::json!({"results": results}).to_string();
        let reading = read(&file, TranscriptBuilder::default()).expect("it can be read");
        assert!(reading.problems.is_empty(), "{:?}", reading.problems);
        let line = |line: &crate::transcript::Version| {
            (line.content.speaker.as_deref().map(str::to_owned), line.content.text.to_string())
        };
        reading.lines.iter().map(line).collect()
    }

    fn by(who: &str, what: &str) -> (Option<String>, String) {
        (Some(who.to_owned()), what.to_owned())
    }

    #[test]
    fn a_channel_is_a_speaker() {
        let said = |speaker: &str| {
            let word = |(at, channel, content): (f64, &str, &str)| {
                let best = serde_json::json!({"content": content, "speaker": speaker});
                serde_json::json!({"type": "word", "channel": channel, "start_time": at, "end_time": at + 0.2,
                    "alternatives": [best]})
            };
            let words = [(0.1, "agent", "Can"), (0.3, "caller", "Yes"), (0.4, "agent", "you")];
            read_lines(&words.into_iter().map(word).collect())
        };
        assert_eq!(said("UU"), [by("agent", "Can you"), by("caller", "Yes")]);
        assert_eq!(said("S1"), [by("agent S1", "Can you"), by("caller S1", "Yes")]);
    }

    #[test]
    fn whom_the_engine_could_not_tell_is_nobody_else() {
        let word = |(at, (content, speaker)): (usize, &(&str, &str))| {
            let at = at as f64 * 0.2;
            serde_json::json!({"type": "word", "start_time": at, "end_time": at + 0.2,
                "alternatives": [{"content": content, "speaker": speaker}]})
        };
        let read = |words: &[(&str, &str)]| {
            let results: Vec<_> = words.iter().enumerate().map(word).collect();
            let reading =
                read(&serde_json::json!({"results": results}).to_string(), TranscriptBuilder::default()).expect("JSON");
            assert_eq!(reading.problems.len(), 1, "{:?}", reading.problems);
            let line = |line: &crate::transcript::Version| {
                (line.content.speaker.as_deref().map(str::to_owned), line.content.text.to_string())
            };
            reading.lines.iter().map(line).collect::<Vec<_>>()
        };
        let nobody = |what: &str| (None, what.to_owned());
        let amid = [("So", "S1"), ("we", "S1"), ("no", "UU"), ("never", "UU"), ("said", "UU"), ("go", "S1")];
        assert_eq!(read(&amid), [by("S1", "So we"), nobody("no never said"), by("S1", "go")]);
        assert_eq!(read(&[("Hello", "UU"), ("Hi", "S1")]), [nobody("Hello"), by("S1", "Hi")]);
    }

    #[test]
    fn an_opening_mark_stands_before_the_word_of_who_says_it() {
        let read = |pieces: &[(&str, &str)]| {
            let result = |(at, (content, speaker)): (usize, &(&str, &str))| {
                let attaches = match *content {
                    "\u{bf}" | "\u{201c}" => Some("next"),
                    "." | "?" => Some("previous"),
                    _ => None,
                };
                let kind = if attaches.is_some() { "punctuation" } else { "word" };
                serde_json::json!({"type": kind, "attaches_to": attaches, "start_time": at, "end_time": at + 3,
                    "alternatives": [{"content": content, "speaker": speaker}]})
            };
            read_lines(&pieces.iter().enumerate().map(result).collect())
        };
        let asked = [("Hola", "S1"), (".", "S1"), ("\u{bf}", "S2"), ("Qu\u{e9}", "S2"), ("?", "S2")];
        assert_eq!(read(&asked), [by("S1", "Hola."), by("S2", "\u{bf}Qu\u{e9}?")]);
        let own = [("Bien", "S1"), (".", "S1"), ("\u{bf}", "S1"), ("\u{201c}", "S1"), ("Y", "S1"), ("?", "S1")];
        assert_eq!(read(&own), [by("S1", "Bien. \u{bf}\u{201c}Y?")]);
        // Behind the last word there is no other speaker.
        assert_eq!(read(&[("Bien", "S1"), ("\u{bf}", "S1")]), [by("S1", "Bien\u{bf}")]);
    }

    #[test]
    fn a_guess_that_nothing_made_final_is_read_and_told() {
        let row = |name: &str, words: &[(u32, &str)]| {
            let word = |(at, word): &(u32, &str)| serde_json::json!({"type": "word", "start_time": at, "end_time": at + 1, "alternatives": [{"content": word}]});
            let results: Vec<_> = words.iter().map(word).collect();
            serde_json::json!({"message": name, "results": results}).to_string() + "\n"
        };
        let begins = "{\"message\":\"RecognitionStarted\"}\n";
        let (guess, said) = ("AddPartialTranscript", "AddTranscript");
        let one = [row(guess, &[(0, "He")]), row(said, &[(0, "Hello")]), row(guess, &[(1, "all")])].concat();
        let two = [row(guess, &[(0, "Ye")]), row(said, &[(0, "Yes")]), row(guess, &[])].concat();
        let read = |text: &str| {
            let reading = read_rows(text, TranscriptBuilder::default());
            let line = |line: &crate::transcript::Version| (line.content.start_ms, line.content.text.to_string());
            (reading.lines.iter().map(line).collect::<Vec<_>>(), reading.problems.len())
        };
        let line = |start, text: &str| (Some(start), text.to_owned());
        assert_eq!(read(&two), (vec![line(0, "Yes")], 0));
        assert_eq!(read(&one), (vec![line(0, "Hello all")], 1));
        // A late partial transcript of final words.
        let late = [row(said, &[(0, "Hello"), (1, "all")]), row(guess, &[(0, "He"), (1, "al")])].concat();
        assert_eq!(read(&late), (vec![line(0, "Hello all")], 0));
        let other = [row(said, &[(0, "Hello"), (1, "all")]), row(guess, &[(0, "He"), (1, "nobody")])].concat();
        assert_eq!(read(&other), (vec![line(0, "Hello all")], 1));
        // A partial word between final words is not late. One that overlaps a final word, but equals only a word
        // elsewhere, is reported.
        let between = [row(said, &[(0, "Hello"), (100, "all")]), row(guess, &[(1, "we"), (2, "hear")])].concat();
        let (lines, told) = read(&between);
        assert_eq!((lines, told), (vec![line(0, "Hello we hear"), line(100_000, "all")], 1));
        let elsewhere = [row(said, &[(0, "Hello"), (1, "all")]), row(guess, &[(0, "all")])].concat();
        assert_eq!(read(&elsewhere), (vec![line(0, "Hello all")], 1));
        // Another session in the same recording is a part of its own.
        let both = [begins, &one, begins, &two].concat();
        assert_eq!(read(&both), (vec![line(0, "Hello all"), line(3_000, "Yes")], 2));
        // All four messages with contents.
        assert_eq!(read(&both.replace("\"results\"", "\"result\"")).1, 4);
    }
}
