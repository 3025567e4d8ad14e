//! Deepgram Flux.
//!
//! Every `TurnInfo` holds the whole turn so far, so that one that is lost does no harm and `sequence_id` is not needed. The
//! turn is over with `EndOfTurn`; `EagerEndOfTurn` is a guess that `TurnResumed` may take back. Flux has no speakers.
//! A turn is known for ever by `request_id` and `turn_index`.

use std::sync::Arc;

use super::json::{Node, each_object};
use super::keyed::Keyed;
use super::lines::{Facts, Saying};
use super::token::{ListedWord, align, short_name};
use super::{Decoded, Dialect, FaultKind, Options};
use crate::transcript::Status;

pub(super) struct Flux {
    options: Options,
    turns: Keyed,
}

impl Flux {
    pub(super) fn new(options: Options) -> Self {
        Self { options, turns: Keyed::default() }
    }

    fn take(&mut self, message: Node<'_>, out: &mut Decoded) {
        match message.text(&["type"], out) {
            Some("TurnInfo") => self.turn(message, out),
            Some("Connected" | "ConfigureSuccess" | "ConfigureFailure") => {}
            Some("Error" | "FatalError") => {
                let why = message.text(&["description", "message"], out).unwrap_or("no reason is given").to_owned();
                out.fault(FaultKind::Engine, format!("Flux reports an error: {why}"));
            }
            Some(other) => out.unknown_type("Flux", other),
            None => out.fault(FaultKind::BadField, "type is missing: this is no message of Flux"),
        }
    }

    fn turn(&mut self, message: Node<'_>, out: &mut Decoded) {
        let is_over = match message.text(&["event"], out) {
            Some("EndOfTurn") => true,
            Some("Update" | "StartOfTurn" | "EagerEndOfTurn" | "TurnResumed") => false,
            // Whatever else it is, it holds the turn so far.
            _ => {
                out.fault(FaultKind::Odd, "event is missing or unknown: the turn was taken as it stands");
                false
            }
        };
        let Some(index) = message.number(&["turn_index"], out) else {
            out.fault(FaultKind::BadField, "turn_index is missing: it cannot be said which turn this is");
            return;
        };
        let session = message.text(&["request_id"], out).map_or_else(|| self.options.tag.clone(), short_name);
        let id: Arc<str> = format!("{session}-{index}").into();
        let transcript = message.text(&["transcript"], out).unwrap_or_default();
        let mut words = Vec::new();
        message.items(&["words"], out, |word, out| {
            words.push(ListedWord {
                text: word.text(&["word"], out).unwrap_or_default().to_owned(),
                start_ms: word.seconds(&["start"], &self.options, out),
                end_ms: word.seconds(&["end"], &self.options, out),
                confidence: word.confidence(&["confidence"]),
                ..ListedWord::default()
            });
        });
        let mut tokens = align(transcript, &words);
        if let Some(first) = tokens.first_mut() {
            first.start_ms = first.start_ms.or(message.seconds(&["audio_window_start"], &self.options, out));
        }
        if let Some(last) = tokens.last_mut() {
            last.end_ms = last.end_ms.or(message.seconds(&["audio_window_end"], &self.options, out));
        }
        let mut lang = self.options.lang.clone();
        message.items(&["languages"], out, |language, _| {
            lang = lang.take().or_else(|| language.value.as_str().map(|lang| self.options.lang_of(lang)));
        });
        let facts = Facts { lang, break_before: None };
        let status = if is_over { Status::Final } else { Status::Interim };
        let mut saying = Saying::default();
        self.turns.say(&id, &tokens, status, &facts, &self.options, &mut saying);
        saying.finish(out);
    }
}

impl Dialect for Flux {
    fn decode(&mut self, frame: &[u8], out: &mut Decoded) {
        each_object(frame, out, |message, out| self.take(message, out));
    }

    fn end(&mut self, _: &mut Decoded) {}
}
