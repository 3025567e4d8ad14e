//! Azure, conversation transcription: results as its libraries give them.
//!
//! `RecognizingSpeech` is a guess of what is being said, `RecognizedSpeech` is a line. Every result has an id of its own, so
//! that a guess and its line have nothing in common but that they follow each other. Times are ticks of 100 ns. Speakers
//! are `Guest-1`, `Guest-2` of the session, or names that were enrolled; `Unknown` is somebody unknown.

use std::collections::BTreeMap;

use super::json::{Node, each_object};
use super::lines::Saying;
use super::token::{Label, ListedWord, whole};
use super::utterance::Utterance;
use super::{Decoded, Dialect, FaultKind, Options};

/// A tick in milliseconds.
const TICK_MS: f64 = 0.0001;
/// Channels of one connection.
const CHANNELS_MAX: usize = 64;

pub(super) struct Azure {
    options: Options,
    channels: BTreeMap<String, Utterance>,
}

impl Azure {
    pub(super) fn new(options: Options) -> Self {
        Self { options, channels: BTreeMap::new() }
    }

    fn take(&mut self, result: Node<'_>, out: &mut Decoded) {
        let is_final = match self.reason(result, out) {
            Some(is_final) => is_final,
            None => return,
        };
        let text = result.text(&["Text", "text", "DisplayText"], out).unwrap_or_default();
        let start = result.get(&["OffsetInTicks", "Offset", "offset"]);
        let ticks = start.and_then(|start| start.value.as_f64());
        let word = ListedWord {
            text: text.to_owned(),
            label: self.label(result, out),
            start_ms: result.time(&["OffsetInTicks", "Offset", "offset"], TICK_MS, &self.options, out),
            end_ms: None,
            confidence: None,
        };
        let mut tokens = whole(text, &[word]);
        let duration = result.get(&["Duration", "duration"]).and_then(|duration| duration.value.as_f64());
        if let (Some(ticks), Some(duration), Some(last)) = (ticks, duration, tokens.last_mut()) {
            last.end_ms = super::json::on_axis((ticks + duration) * TICK_MS, &self.options).ok();
        }
        let channel = result.label(&["Channel", "channel"], out).unwrap_or_default();
        if self.channels.len() == CHANNELS_MAX && !self.channels.contains_key(&channel) {
            out.fault(FaultKind::BadField, format!("Channel: there are more than {CHANNELS_MAX} channels"));
            return;
        }
        let part = match self.channels.len() {
            0 => String::new(),
            number => format!("c{}-", number + 1),
        };
        let options = &self.options;
        let utterance = self.channels.entry(channel).or_insert_with(|| Utterance::new(options.clone(), &part));
        let mut saying = Saying::default();
        if is_final {
            utterance.settle(tokens);
            utterance.close(&mut saying);
        } else {
            utterance.guess(tokens);
            utterance.show(&mut saying);
        }
        saying.finish(out);
    }

    /// Whether it is final; none if it says nothing. Libraries write the reason as a word or as a number.
    fn reason(&self, result: Node<'_>, out: &mut Decoded) -> Option<bool> {
        let reason = result.label(&["Reason", "reason", "RecognitionStatus"], out);
        match reason.as_deref() {
            Some("RecognizingSpeech" | "2") => Some(false),
            Some("RecognizedSpeech" | "3" | "Success") => Some(true),
            // Nothing was understood: what was guessed is taken back.
            Some("NoMatch" | "0" | "InitialSilenceTimeout" | "EndOfDictation") => Some(true),
            Some("Canceled" | "1" | "Error") => {
                let why =
                    result.text(&["ErrorDetails", "errorDetails"], out).unwrap_or("no reason is given").to_owned();
                out.fault(FaultKind::Engine, format!("Azure reports: {why}"));
                None
            }
            Some(other) => {
                out.unknown_type("Azure's conversation transcription", other);
                None
            }
            None => {
                out.fault(
                    FaultKind::BadField,
                    "Reason is missing: this is no result of Azure's conversation transcription",
                );
                None
            }
        }
    }

    fn label(&self, result: Node<'_>, out: &mut Decoded) -> Label {
        match result.text(&["SpeakerId", "speakerId"], out) {
            None | Some("") => Label::Unsaid,
            Some("Unknown") => Label::Unknown,
            Some(guest) if guest.starts_with("Guest") => self.options.anonymous(guest),
            Some(name) => self.options.name(name),
        }
    }
}

impl Dialect for Azure {
    fn decode(&mut self, frame: &[u8], out: &mut Decoded) {
        each_object(frame, out, |result, out| self.take(result, out));
    }

    fn end(&mut self, out: &mut Decoded) {
        self.channels.values_mut().for_each(|utterance| utterance.end(out));
    }
}
