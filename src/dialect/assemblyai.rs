//! AssemblyAI Universal-Streaming, version 3.
//!
//! A `Turn` holds all of the turn so far: `transcript` the words that will not change, `words` these and the guess behind
//! them. It is over with `end_of_turn`, and may come again after that with marks and capitals. `SpeakerRevision` says
//! later who spoke in earlier turns: the last of them are kept for that. A turn is known for ever by the session's id
//! (`Begin`) and `turn_order`.

use std::collections::VecDeque;

use serde_json::Value;

use super::json::{Node, raw_items, raw_ms, raw_text};
use super::keyed::line_id;
use super::lines::{Facts, Lines, Saying};
use super::session::{Engine, IdScope, SessionSign, Span, is_another_line};
use super::token::{Label, ListedWord, Token, align, needs_space};
use super::{Decoded, FaultKind, Format, Options};
use crate::transcript::Status;

/// Turns kept for revisions: a quarter of an hour of quick talk.
const TURNS_MAX: usize = 128;
/// Words kept for revisions, in all.
const WORDS_MAX: usize = 8_192;

pub(super) struct AssemblyAi {
    options: Options,
    /// The one that was spoken of last stands last.
    turns: VecDeque<Turn>,
}

struct Turn {
    order: u64,
    lines: Lines,
    tokens: Vec<Token>,
    facts: Facts,
    status: Status,
}

impl AssemblyAi {
    fn take(&mut self, message: Node<'_>, out: &mut Decoded) {
        match message.text(&["type"], out) {
            Some("Turn") => self.turn(message, out),
            Some("SpeakerRevision") => {
                let mut saying = Saying::default();
                message.items(&["revisions"], out, |revision, out| self.revise(revision, &mut saying, out));
                saying.finish(out);
            }
            Some("Begin" | "SpeechStarted" | "Heartbeat" | "Termination") => {}
            Some("Error" | "Warning") => {
                let why =
                    message.text(&["error", "warning", "message"], out).unwrap_or("no reason is given").to_owned();
                out.fault(FaultKind::Engine, format!("AssemblyAI reports: {why}"));
            }
            Some(other) => out.unknown_type("AssemblyAI", other),
            None => match message.text(&["error"], out) {
                Some(why) => out.fault(FaultKind::Engine, format!("AssemblyAI reports: {why}")),
                None => out.fault(FaultKind::BadField, "type is missing: this is no message of AssemblyAI"),
            },
        }
    }

    fn turn(&mut self, message: Node<'_>, out: &mut Decoded) {
        let Some(order) = message.number(&["turn_order"], out) else {
            out.fault(FaultKind::BadField, "turn_order is missing: it cannot be said which turn this is");
            return;
        };
        let is_over = message.flag(&["end_of_turn"], out);
        let transcript = message.text(&["transcript"], out).unwrap_or_default().to_owned();
        let of_turn = self.label(message, &["speaker_label"], out);
        let (mut words, mut guess) = (Vec::new(), Vec::new());
        message.items(&["words"], out, |node, out| {
            let word = self.word(node, &of_turn, out);
            let is_guess = node.get(&["word_is_final"]).is_some_and(|is_final| *is_final.value == false);
            if is_guess && !is_over { guess.push(word) } else { words.push(word) }
        });
        let mut tokens = align(&transcript, &words);
        if of_turn != Label::Unsaid {
            tokens
                .iter_mut()
                .filter(|token| token.label == Label::Unsaid)
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
        let facts = Facts { lang: lang.or_else(|| self.options.lang.clone()), break_before: None };
        let mut turn = match self.turns.iter().position(|turn| turn.order == order) {
            Some(at) => self.turns.remove(at).expect("it was found there"),
            None => {
                let lines = Lines::new(line_id(&format!("{}-{order}", self.options.tag)));
                Turn { order, lines, tokens: Vec::new(), facts: Facts::default(), status: Status::Interim }
            }
        };
        let mut saying = Saying::default();
        if turn.status == Status::Final && !is_over {
            // A guess that comes behind what was final.
        } else if is_over && tokens.is_empty() && turn.lines.is_shown() {
            turn.status = Status::Final;
            turn.lines.stand(&mut saying);
        } else {
            (turn.tokens, turn.facts) = (tokens, facts);
            if is_over {
                turn.status = Status::Final;
            }
            turn.lines.say(&turn.tokens, turn.status, &turn.facts, &self.options, &mut saying);
        }
        saying.finish(out);
        self.turns.push_back(turn);
        let mut words: usize = self.turns.iter().map(|turn| turn.tokens.len()).sum();
        while self.turns.len() > TURNS_MAX || words > WORDS_MAX && self.turns.len() > 1 {
            words -= self.turns.pop_front().map_or(0, |turn| turn.tokens.len());
        }
    }

    fn word(&self, node: Node<'_>, of_turn: &Label, out: &mut Decoded) -> ListedWord {
        let own = self.label(node, &["speaker"], out);
        ListedWord {
            text: node.text(&["text"], out).unwrap_or_default().to_owned(),
            label: if own == Label::Unsaid { of_turn.clone() } else { own },
            start_ms: node.time(&["start"], 1.0, &self.options, out),
            end_ms: node.time(&["end"], 1.0, &self.options, out),
            confidence: node.confidence(&["confidence"]),
        }
    }

    fn label(&self, node: Node<'_>, names: &[&'static str], out: &mut Decoded) -> Label {
        match node.label(names, out) {
            None => Label::Unsaid,
            Some(label) if label.eq_ignore_ascii_case("unknown") => Label::Unknown,
            Some(label) => self.options.voice("", &label),
        }
    }

    /// Who spoke in an earlier turn. "Text and word timestamps unchanged", so only labels are taken over.
    fn revise(&mut self, revision: Node<'_>, saying: &mut Saying, out: &mut Decoded) {
        let order = revision.number(&["turn_order"], out);
        let of_turn = self.label(revision, &["speaker_label"], out);
        let mut labels: Vec<(Label, Option<i64>)> = Vec::new();
        revision.items(&["words"], out, |node, out| {
            let word = self.word(node, &of_turn, out);
            labels.push((word.label, word.start_ms));
        });
        let options: Options = self.options.clone();
        let Some(turn) = self.turns.iter_mut().find(|turn| Some(turn.order) == order) else {
            out.fault(
                FaultKind::Odd,
                format!("{}: this turn is not kept any more, its speakers stay as they were", revision.place),
            );
            return;
        };
        let is_same_length = labels.len() == turn.tokens.len();
        for (at, token) in turn.tokens.iter_mut().enumerate() {
            let revised = if is_same_length {
                Some(&labels[at].0)
            } else {
                // By their times, which do not change.
                labels.iter().find(|(_, start)| start.is_some() && *start == token.start_ms).map(|(label, _)| label)
            };
            match revised {
                Some(label) if *label != Label::Unsaid => token.label = label.clone(),
                _ if of_turn != Label::Unsaid => token.label = of_turn.clone(),
                _ => {}
            }
        }
        turn.lines.say(&turn.tokens, turn.status, &turn.facts, &options, saying);
    }
}

impl Engine for AssemblyAi {
    const FORMAT: Format = Format::AssemblyAi;
    const IDS: IdScope = IdScope::Session;
    type Message = Value;

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
        let is_another = known.is_some_and(|turn| {
            let last = self.turns.iter().map(|turn| turn.order).max().unwrap_or_default();
            let listed: Vec<&str> = words.iter().filter_map(|word| raw_text(word, &["text"])).collect();
            let text = raw_text(message, &["transcript"]).filter(|text| !text.is_empty());
            let text = text.map_or_else(|| listed.join(" "), str::to_owned);
            let on_axis = |ms: Option<f64>| ms.and_then(|ms| super::json::on_axis(ms, &self.options).ok());
            is_another_line(&turn.lines, last - turn.order, &text, (on_axis(start), on_axis(end)))
        });
        SessionSign {
            begins: kind == Some("Begin"),
            ends: kind == Some("Termination"),
            name: raw_text(message, &["id"]).filter(|_| kind == Some("Begin")),
            says: is_turn,
            span: start.and_then(|start| Span::new(Some(start), end)).filter(|_| known.is_none() || is_another),
            reuses_id: is_another,
            ..SessionSign::default()
        }
    }

    fn read(&mut self, message: &Value, out: &mut Decoded) {
        self.take(Node::top(message), out);
    }
}
