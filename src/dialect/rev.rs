//! Rev.ai, streaming.
//!
//! A `partial` has words only; they are joined by spaces. A `final` says its text letter by letter, spaces included, and is
//! a line. Speakers are numbers of the session (`connected`).

use super::json::{Node, each_object};
use super::lines::Saying;
use super::token::{Label, Token, ends_sentence};
use super::utterance::Utterance;
use super::{Decoded, Dialect, FaultKind, Options};

pub(super) struct Rev {
    options: Options,
    utterance: Option<Utterance>,
}

impl Rev {
    pub(super) fn new(options: Options) -> Self {
        Self { options, utterance: None }
    }

    fn take(&mut self, message: Node<'_>, out: &mut Decoded) {
        match message.text(&["type"], out) {
            Some("partial") => self.hypothesis(message, false, out),
            Some("final") => self.hypothesis(message, true, out),
            Some("connected") => {
                if let Some(id) = message.text(&["id"], out).filter(|_| self.utterance.is_none()) {
                    self.options.enter_session(id);
                }
            }
            Some(other) => out.unknown_type("Rev.ai", other),
            None => out.fault(FaultKind::BadField, "type is missing: this is no message of Rev.ai"),
        }
    }

    fn hypothesis(&mut self, message: Node<'_>, is_final: bool, out: &mut Decoded) {
        let of_all = self.label(message, out);
        let mut tokens: Vec<Token> = Vec::new();
        message.items(&["elements"], out, |element, out| {
            let value = element.text(&["value"], out).unwrap_or_default();
            let is_mark = element.text(&["type"], out) == Some("punct");
            if let Some(before) = tokens.last_mut() {
                if is_mark {
                    before.text.push_str(value);
                    before.ends_sentence = ends_sentence(&before.text);
                    return;
                }
                if !is_final && !before.text.ends_with(char::is_whitespace) {
                    before.text.push(' ');
                }
            }
            let own = self.label(element, out);
            let start_ms = element.seconds(&["ts"], &self.options, out);
            tokens.push(Token {
                text: value.to_owned(),
                label: if own == Label::Unsaid { of_all.clone() } else { own },
                start_ms,
                end_ms: element.seconds(&["end_ts"], &self.options, out),
                confidence: element.confidence(&["confidence"]),
                is_timed_word: start_ms.is_some() && !is_mark,
                ends_sentence: ends_sentence(value),
            });
        });
        if let Some(first) = tokens.first_mut() {
            first.start_ms = first.start_ms.or(message.seconds(&["ts"], &self.options, out));
        }
        let end_ms = message.seconds(&["end_ts"], &self.options, out);
        if let Some(last) = tokens.last_mut() {
            last.end_ms = last.end_ms.or(end_ms);
        }
        let utterance = self.utterance.get_or_insert_with(|| Utterance::new(self.options.clone(), ""));
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

    fn label(&self, node: Node<'_>, out: &mut Decoded) -> Label {
        match node.label(&["speaker_id"], out) {
            Some(speaker) => self.options.anonymous(&format!("Speaker {speaker}")),
            None => Label::Unsaid,
        }
    }
}

impl Dialect for Rev {
    fn decode(&mut self, frame: &[u8], out: &mut Decoded) {
        each_object(frame, out, |message, out| self.take(message, out));
    }

    fn end(&mut self, out: &mut Decoded) {
        if let Some(utterance) = &mut self.utterance {
            utterance.end(out);
        }
    }
}
