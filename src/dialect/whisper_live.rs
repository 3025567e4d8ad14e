//! WhisperLive: each message has the last segments, ten at most, and one that is not complete.
//!
//! What is complete comes again in every message until ten newer ones have pushed it out; it is known by its times and its
//! text. The one that is not complete is a guess, whatever its times. Messages without `completed` are of older servers:
//! there only the last is not complete.

use std::collections::VecDeque;

use super::json::{Node, each_object};
use super::lines::Saying;
use super::token::{Label, ListedWord, Token, align};
use super::utterance::Utterance;
use super::{Decoded, Dialect, FaultKind, Options};
use crate::transcript::MediaMs;

/// Complete segments that are remembered: more than a message repeats.
const KNOWN_MAX: usize = 32;

pub(super) struct WhisperLive {
    options: Options,
    utterance: Utterance,
    known: VecDeque<Segment>,
}

#[derive(Debug, Clone, PartialEq)]
struct Segment {
    start_ms: Option<MediaMs>,
    end_ms: Option<MediaMs>,
    text: String,
}

impl WhisperLive {
    pub(super) fn new(options: Options) -> Self {
        Self { utterance: Utterance::new(options.clone(), ""), options, known: VecDeque::new() }
    }

    fn take(&mut self, message: Node<'_>, out: &mut Decoded) {
        let Some(segments) = message.get(&["segments"]) else {
            // WAIT, SERVER_READY, DISCONNECT, the language: the talk between client and server.
            if message.get(&["message", "status", "language", "uid"]).is_none() {
                out.fault(FaultKind::BadField, "segments is missing: this is no message of WhisperLive");
            }
            if message.get(&["message"]).is_some_and(|said| said.value == "DISCONNECT") {
                self.end(out);
            }
            return;
        };
        let count = segments.value.as_array().map_or(0, Vec::len);
        let mut saying = Saying::default();
        let mut guess = Vec::new();
        let mut number = 0;
        message.items(&["segments"], out, |node, out| {
            number += 1;
            let is_complete = match node.get(&["completed"]) {
                Some(_) => node.flag(&["completed"], out),
                None => number < count,
            };
            let (segment, tokens) = self.segment(node, out);
            if !is_complete {
                guess = tokens;
            } else if !self.known.contains(&segment) {
                if self.known.len() == KNOWN_MAX {
                    self.known.pop_front();
                }
                self.known.push_back(segment);
                self.utterance.settle(tokens);
                self.utterance.close(&mut saying);
            }
        });
        self.utterance.guess(guess);
        self.utterance.show(&mut saying);
        saying.finish(out);
    }

    fn segment(&self, node: Node<'_>, out: &mut Decoded) -> (Segment, Vec<Token>) {
        let text = node.text(&["text"], out).unwrap_or_default();
        let start_ms = node.seconds(&["start"], &self.options, out);
        let end_ms = node.seconds(&["end"], &self.options, out);
        let label = match node.label(&["speaker"], out) {
            Some(speaker) => self.options.anonymous(&format!("Speaker {speaker}")),
            None => Label::Unsaid,
        };
        let mut words = Vec::new();
        node.items(&["words"], out, |word, out| {
            words.push(ListedWord {
                text: word.text(&["word", "text"], out).unwrap_or_default().to_owned(),
                label: label.clone(),
                start_ms: word.seconds(&["start"], &self.options, out),
                end_ms: word.seconds(&["end"], &self.options, out),
                confidence: word.confidence(&["probability", "confidence"]),
            });
        });
        let mut tokens = align(text, &words);
        if let Some(first) = tokens.first_mut() {
            first.start_ms = start_ms.or(first.start_ms);
            first.label = label;
        }
        if let Some(last) = tokens.last_mut() {
            last.end_ms = end_ms.or(last.end_ms);
        }
        (Segment { start_ms, end_ms, text: text.to_owned() }, tokens)
    }
}

impl Dialect for WhisperLive {
    fn decode(&mut self, frame: &[u8], out: &mut Decoded) {
        each_object(frame, out, |message, out| self.take(message, out));
    }

    fn end(&mut self, out: &mut Decoded) {
        self.utterance.end(out);
    }
}
