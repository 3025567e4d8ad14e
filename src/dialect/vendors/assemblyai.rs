//! AssemblyAI Universal-Streaming, version 3.
//!
//! A `Turn` contains all of the turn so far: `transcript` has the words that will not change, `words` has these and the
//! interim ones after them. It ends with `end_of_turn`, and may be repeated after that with punctuation and capitals.
//! Settled words become final after a pause if the end of the turn does not come. `SpeakerRevision` corrects later who
//! spoke in earlier turns; the last turns are kept for that. The session's id (`Begin`) and `turn_order` identify a
//! turn permanently.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde_json::Value;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::json::{JsonNode, raw_items, raw_ms, raw_text};
use crate::dialect::core::line_match::{NumberedLine, counts_anew, is_another_line};
use crate::dialect::core::lines::{LineFacts, LineInProgress};
use crate::dialect::core::lines_by_id::line_id;
use crate::dialect::core::message_shape::has_type;
use crate::dialect::core::options::Options;
use crate::dialect::core::session::{EngineSession, IdScope};
use crate::dialect::core::session_sign::{SessionSign, SpeechSpan};
use crate::dialect::core::speech_piece::{PieceState, SpeechPiece};
use crate::dialect::core::token::{ListedWord, TokenSpeaker, align, needs_space};
use crate::dialect::core::vendor_format::VendorFormat;
use crate::transcript::MediaMs;

/// Turns kept for revisions: a quarter of an hour of rapid exchange.
const TURNS_MAX: usize = 128;
/// Words kept for revisions, in all.
const WORDS_MAX: usize = 8_192;

pub(crate) struct AssemblyAi {
    options: Options,
    /// The most recently mentioned turn is last.
    turns: VecDeque<AssemblyAiTurn>,
}

struct AssemblyAiTurn {
    order: u64,
    piece: SpeechPiece,
    /// True if it has punctuation and capitals.
    is_formatted: bool,
}

impl AssemblyAi {
    fn take(&mut self, message: JsonNode<'_>, out: &mut Decoded) {
        match message.text(&["type"], out) {
            Some("Turn") => self.turn(message, out),
            Some("SpeakerRevision") => {
                let mut saying = LineInProgress::default();
                message.items(&["revisions"], out, |revision, out| self.revise(revision, &mut saying, out));
                saying.finish(out);
            }
            Some("Begin" | "SpeechStarted" | "Heartbeat" | "Termination") => {}
            Some("Error" | "Warning") => {
                let why =
                    message.text(&["error", "warning", "message"], out).unwrap_or("no reason is given").to_owned();
                out.fault(DecodeFaultKind::Engine, format!("AssemblyAI reports: {why}"));
            }
            Some(other) => out.unknown_type("AssemblyAI", other),
            None => match message.text(&["error"], out) {
                Some(why) => out.fault(DecodeFaultKind::Engine, format!("AssemblyAI reports: {why}")),
                None => out.fault(DecodeFaultKind::BadField, "type is missing: this is not a message of AssemblyAI"),
            },
        }
    }

    fn turn(&mut self, message: JsonNode<'_>, out: &mut Decoded) {
        let Some(order) = message.number(&["turn_order"], out) else {
            out.fault(DecodeFaultKind::BadField, "turn_order is missing: the turn cannot be identified");
            return;
        };
        let is_over = message.flag(&["end_of_turn"], out);
        let Some(transcript) = message.text(&["transcript"], out) else {
            out.fault(DecodeFaultKind::BadField, "transcript is missing: this turn was left out");
            return;
        };
        let of_turn = self.label(message, &["speaker_label"], out);
        let (mut words, mut guess) = (Vec::new(), Vec::new());
        message.items(&["words"], out, |node, out| {
            let word = self.word(node, &of_turn, out);
            let is_guess = node.get(&["word_is_final"]).is_some_and(|is_final| *is_final.value == false);
            if is_guess && !is_over { guess.push(word) } else { words.push(word) }
        });
        // Final words that are missing in the transcript are emitted all the same.
        let listed: Vec<&str> = words.iter().map(|word| word.text.trim()).filter(|word| !word.is_empty()).collect();
        let listed = if transcript.trim().is_empty() { listed.join(" ") } else { String::new() };
        let mut tokens = align(if listed.is_empty() { transcript } else { &listed }, &words);
        let settled = tokens.len();
        if of_turn != TokenSpeaker::Unsaid {
            tokens
                .iter_mut()
                .filter(|token| token.label == TokenSpeaker::Unsaid)
                .for_each(|token| token.label = of_turn.clone());
        }
        for word in guess {
            let before = tokens.last_mut();
            if let Some(before) = before.filter(|before| needs_space(&before.text, &word.text)) {
                before.text.push(' ');
            }
            tokens.extend(align(&word.text.clone(), &[word]));
        }
        let lang = message.text(&["language_code"], out).map(|lang| self.options.lang_of(lang));
        let facts = LineFacts { lang: lang.or_else(|| self.options.lang.clone()), break_before: None };
        let mut saying = LineInProgress::default();
        let mut turn = match self.turns.iter().position(|turn| turn.order == order) {
            Some(at) => self.turns.remove(at).expect("it was found there"),
            None => {
                let piece = SpeechPiece::new(line_id(&format!("{}-{order}", self.options.tag)));
                AssemblyAiTurn { order, piece, is_formatted: false }
            }
        };
        turn.is_formatted |= is_formatted(message.value);
        if let Some(start_ms) = tokens.iter().find_map(|token| token.start_ms) {
            self.turns.iter_mut().for_each(|turn| turn.piece.reached(start_ms, &self.options, &mut saying));
        }
        turn.piece.say(PieceState { tokens, settled, is_over, facts }, &self.options, &mut saying);
        self.turns.push_back(turn);
        let mut words: usize = self.turns.iter().map(|turn| turn.piece.len()).sum();
        while self.turns.len() > TURNS_MAX || words > WORDS_MAX && self.turns.len() > 1 {
            let Some(mut turn) = self.turns.pop_front() else { break };
            words -= turn.piece.len();
            turn.piece.release(&self.options, &mut saying);
        }
        saying.finish(out);
    }

    fn word(&self, node: JsonNode<'_>, of_turn: &TokenSpeaker, out: &mut Decoded) -> ListedWord {
        let own = self.label(node, &["speaker"], out);
        ListedWord {
            text: node.text(&["text"], out).unwrap_or_default().to_owned(),
            label: if own == TokenSpeaker::Unsaid { of_turn.clone() } else { own },
            start_ms: node.time(&["start"], 1.0, &self.options, out),
            end_ms: node.time(&["end"], 1.0, &self.options, out),
            confidence: node.confidence(&["confidence"]),
        }
    }

    fn label(&self, node: JsonNode<'_>, names: &[&'static str], out: &mut Decoded) -> TokenSpeaker {
        match node.label(names, out) {
            None => TokenSpeaker::Unsaid,
            Some(label) if label.eq_ignore_ascii_case("unknown") => TokenSpeaker::Unknown,
            Some(label) => self.options.voice("", &label),
        }
    }

    /// Applies the speakers of an earlier turn. "Text and word timestamps unchanged", so only labels are taken over.
    fn revise(&mut self, revision: JsonNode<'_>, saying: &mut LineInProgress, out: &mut Decoded) {
        let order = revision.number(&["turn_order"], out);
        let of_turn = self.label(revision, &["speaker_label"], out);
        let mut labels: Vec<(TokenSpeaker, Option<i64>)> = Vec::new();
        revision.items(&["words"], out, |node, out| {
            let word = self.word(node, &of_turn, out);
            labels.push((word.label, word.start_ms));
        });
        let options: Options = self.options.clone();
        let Some(turn) = self.turns.iter_mut().find(|turn| Some(turn.order) == order) else {
            out.fault(
                DecodeFaultKind::Odd,
                format!("{}: this turn is not kept any more, its speakers stay as they were", revision.place),
            );
            return;
        };
        turn.piece.relabel(&options, saying, |at, count, token| {
            let revised = if labels.len() == count {
                Some(&labels[at].0)
            } else {
                // Matched by their times, which do not change.
                labels.iter().find(|(_, start)| start.is_some() && *start == token.start_ms).map(|(label, _)| label)
            };
            match revised {
                Some(label) if *label != TokenSpeaker::Unsaid => token.label = label.clone(),
                _ if of_turn != TokenSpeaker::Unsaid => token.label = of_turn.clone(),
                _ => {}
            }
        });
    }
}

/// Returns true if a turn has punctuation and capitals, as when it is repeated with formatting.
fn is_formatted(turn: &Value) -> bool {
    turn.get("turn_is_formatted").is_some_and(|is_formatted| *is_formatted == true)
}

impl EngineSession for AssemblyAi {
    const FORMAT: VendorFormat = VendorFormat::AssemblyAi;
    const IDS: IdScope = IdScope::Session;
    type Message = Value;

    fn is_known(value: &Value) -> bool {
        has_type(value)
    }

    fn new(options: Options) -> Self {
        Self { options, turns: VecDeque::new() }
    }

    fn sign<'a>(&self, message: &'a Value) -> SessionSign<'a> {
        let kind = raw_text(message, &["type"]);
        let is_turn = kind == Some("Turn");
        let order = message.get("turn_order").and_then(Value::as_u64).filter(|_| is_turn);
        let words = raw_items(message, &["words"]);
        let start = words.first().and_then(|word| raw_ms(word, &["start"], 1.0)).filter(|_| is_turn);
        let end = words.last().and_then(|word| raw_ms(word, &["end"], 1.0));
        let known = order.and_then(|order| self.turns.iter().find(|turn| turn.order == order));
        let is_over = message.get("end_of_turn").is_some_and(|is_over| *is_over == true);
        let listed = || words.iter().filter_map(|word| raw_text(word, &["text"])).collect::<Vec<_>>().join(" ");
        let text = raw_text(message, &["transcript"]).filter(|text| !text.is_empty() && is_turn);
        let text: Cow<'a, str> = text.map_or_else(|| listed().into(), Cow::from);
        let is_another = known.is_some_and(|turn| {
            let last = self.turns.iter().map(|turn| turn.order).max().unwrap_or_default();
            let on_axis =
                |ms: Option<f64>| ms.and_then(|ms| crate::dialect::core::json::on_axis(ms, &self.options).ok());
            let is_formatting = is_formatted(message) && !turn.is_formatted;
            let now = NumberedLine { text: &text, start_ms: on_axis(start), is_over, is_formatting };
            is_another_line(&turn.piece, last - turn.order, &now)
        });
        let latest = self.turns.iter().map(|turn| turn.order).max();
        let is_anew = known.is_none() && order.zip(latest).is_some_and(|(order, latest)| counts_anew(order, latest));
        SessionSign {
            begins: kind == Some("Begin"),
            ends: kind == Some("Termination"),
            name: raw_text(message, &["id"]).filter(|_| kind == Some("Begin")),
            says: is_turn,
            span: start.and_then(|start| SpeechSpan::new(Some(start), end)).filter(|_| known.is_none() || is_another),
            reuses_id: is_another || is_anew,
            text,
            is_settled: is_over,
            ..SessionSign::default()
        }
    }

    fn read(&mut self, message: &Value, out: &mut Decoded) {
        self.take(JsonNode::top(message), out);
    }

    fn end(&mut self, out: &mut Decoded) {
        let mut saying = LineInProgress::default();
        self.turns.iter_mut().for_each(|turn| turn.piece.release(&self.options, &mut saying));
        saying.finish(out);
    }

    fn due_ms(&mut self, now_ms: MediaMs) -> Option<MediaMs> {
        self.turns.iter_mut().filter_map(|turn| turn.piece.due_ms(now_ms, &self.options)).min()
    }

    fn rest(&mut self, now_ms: MediaMs, out: &mut Decoded) {
        let mut saying = LineInProgress::default();
        self.turns.iter_mut().for_each(|turn| turn.piece.rest(now_ms, &self.options, &mut saying));
        saying.finish(out);
    }
}
