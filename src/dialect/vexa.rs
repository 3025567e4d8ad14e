//! Vexa: what its meetings' sockets send.
//!
//! A `transcript` bundle speaks of one speaker: `confirmed` segments are lines, known for ever by `segment_id`; `pending`
//! takes the place of all drafts of that speaker. Drafts have no ids, or some of their own, which are not those of what is
//! confirmed; so each speaker has lines for them that are filled and emptied. Speakers are names of participants, or voices
//! of a meeting (`speaker_0`) under a segment id that names the session. Text that was typed (`source: "chat"`) was not
//! said, and is left out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::json::{Node, Place, on_axis, raw_items, raw_ms, raw_text};
use super::keyed::{Keyed, VendorIds, line_id};
use super::lines::{Facts, Lines, Saying};
use super::session::{Engine, IdScope, SessionSign, Span, StreamClocks, words};
use super::token::{Label, ListedWord, Token, align, says_nothing};
use super::wall::Wall;
use super::{Decoded, FaultKind, Format, Options, Said};
use crate::transcript::{MediaMs, Status, Timestamp, Version};

/// Speakers whose drafts are kept: more than speak at once.
const SPEAKERS_MAX: usize = 64;
/// A draft's time is a guess as well: it may begin so much before what is confirmed, or end so much behind it.
const DRAFT_EARLIER_MS: i64 = 500;
/// Confirmed segments that are remembered: a late draft is of one of the last.
const SAID_MAX: usize = 32;
/// Drafts that stand since a connection broke, until they are confirmed on the next.
const LEFT_MAX: usize = 64;
/// Drafts of one speaker.
const DRAFTS_MAX: usize = 32;

pub(super) struct Vexa {
    options: Options,
    /// By speaker: each has a clock of their own.
    clocks: StreamClocks,
    wall: Wall,
    confirmed: Keyed,
    ids: VendorIds,
    /// By speaker, the drafts.
    drafts: BTreeMap<String, Vec<Draft>>,
    draft_count: u64,
    /// Drafts that stood when a connection was over: what confirms one takes it back.
    left: VecDeque<LeftDraft>,
    /// What was confirmed last: a draft of it that comes late is none.
    said: VecDeque<(Arc<str>, Vec<Token>)>,
    nameless: u64,
}

/// A draft that stands as a line, since its connection was over.
struct LeftDraft {
    id: Arc<str>,
    speaker: String,
    tokens: Vec<Token>,
}

/// What is not confirmed yet.
struct Draft {
    lines: Lines,
    tokens: Vec<Token>,
    /// What the vendor calls it.
    name: Option<Box<str>>,
}

impl Vexa {
    fn take(&mut self, message: Node<'_>, out: &mut Decoded) {
        let mut saying = Saying::default();
        match message.text(&["type"], out) {
            None if message.get(&["event"]).is_some() => {}
            Some(kind @ ("transcript" | "transcription")) => {
                let names: [&str; 3] = ["confirmed", "pending", "segments"];
                if names.iter().all(|name| message.get(&[*name]).is_none()) {
                    let missing = if kind == "transcript" { "confirmed and pending are" } else { "segments is" };
                    out.fault(FaultKind::BadField, format!("{missing} missing: nothing can be said of this {kind}"));
                    return;
                }
                message.items(&["confirmed"], out, |segment, out| self.segment(segment, true, &mut saying, out));
                message.items(&["segments"], out, |segment, out| {
                    let is_complete = segment.get(&["completed"]).is_none() || segment.flag(&["completed"], out);
                    self.segment(segment, is_complete, &mut saying, out);
                });
                if names[..2].iter().any(|name| message.get(&[*name]).is_some()) {
                    self.pending(message, &mut saying, out);
                }
            }
            Some("transcription_segment") => {
                let is_complete = message.flag(&["completed"], out);
                self.segment(message, is_complete, &mut saying, out);
            }
            Some("transcript_retract") => {
                if message.get(&["segment_ids"]).is_none() {
                    out.fault(FaultKind::BadField, "segment_ids is missing: it cannot be said what is taken back");
                }
                message.items(&["segment_ids"], out, |id, out| match id.value.as_str() {
                    Some(id) => {
                        let id = self.ids.line((id, ""));
                        self.said.retain(|(said, _)| *said != id);
                        out.says.push(Said::Retract { id });
                    }
                    None => out.fault(FaultKind::BadField, format!("{} must be a string", id.place)),
                });
            }
            // The life of the meeting and of the socket, and what was typed.
            Some(
                "subscribed" | "unsubscribed" | "pong" | "session_start" | "session_end" | "chat_message"
                | "meeting.status",
            ) => {}
            Some("error") => {
                let why = message.text(&["error", "detail", "message"], out).unwrap_or("no reason is given").to_owned();
                out.fault(FaultKind::Engine, format!("Vexa reports an error: {why}"));
            }
            Some(other) => out.unknown_type("Vexa", other),
            None => out.fault(FaultKind::BadField, "type is missing: this is no message of Vexa"),
        }
        saying.finish(out);
    }

    /// A segment that stands under its own id.
    fn segment(&mut self, segment: Node<'_>, is_complete: bool, saying: &mut Saying, out: &mut Decoded) {
        if segment.get(&["source"]).is_some_and(|source| source.value == "chat") {
            return;
        }
        let Some((tokens, facts)) = self.tokens(segment, out) else { return };
        if is_complete && says_nothing(&tokens) && self.keep_draft(segment, saying) {
            return;
        }
        let id: Arc<str> = match segment.text(&["segment_id"], out) {
            Some(id) => {
                let text = raw_text(segment.value, &["text"]).unwrap_or_default();
                let start_ms = tokens.iter().find_map(|token| token.start_ms);
                self.ids.line_saying((id, ""), text, start_ms, &self.confirmed, out)
            }
            None => {
                self.nameless += 1;
                line_id(&format!("{}-{}", self.options.tag, self.nameless))
            }
        };
        let status = if is_complete { Status::Final } else { Status::Interim };
        self.confirmed.say(&id, &tokens, status, &facts, &self.options, saying);
        if is_complete {
            self.drop_drafts(&tokens, saying);
            self.left.retain(|left| {
                let is_confirmed = is_draft_of(&left.speaker, &left.tokens, &tokens);
                if is_confirmed {
                    saying.gone(left.id.clone());
                }
                !is_confirmed
            });
            if self.said.len() == SAID_MAX {
                self.said.pop_front();
            }
            self.said.push_back((id, tokens));
        }
    }

    /// What is confirmed is a draft of this name, and says nothing: the draft stands as it was shown last. False if none is
    /// shown that is called so.
    fn keep_draft(&mut self, segment: Node<'_>, saying: &mut Saying) -> bool {
        let name = raw_text(segment.value, &["segment_id"]);
        for drafts in self.drafts.values_mut() {
            let is_it = |draft: &Draft| name.is_some() && draft.name.as_deref() == name && draft.lines.is_shown();
            if let Some(at) = drafts.iter().position(is_it) {
                let mut draft = drafts.remove(at);
                draft.lines.stand(saying);
                if self.said.len() == SAID_MAX {
                    self.said.pop_front();
                }
                self.said.push_back((draft.lines.base().clone(), draft.tokens));
                return true;
            }
        }
        false
    }

    /// Whether a draft is of what was confirmed already.
    fn is_said(&self, speaker: &str, draft: &[Token]) -> bool {
        self.said.iter().any(|(_, said)| is_draft_of(speaker, draft, said))
    }

    /// Empties the drafts of what was confirmed, under whatever name it was drafted: who speaks is often known later than
    /// what is said.
    fn drop_drafts(&mut self, confirmed: &[Token], saying: &mut Saying) {
        for (speaker, drafts) in &mut self.drafts {
            for draft in drafts {
                if is_draft_of(speaker, &draft.tokens, confirmed) {
                    draft.tokens.clear();
                    draft.lines.say(&[], Status::Interim, &Facts::default(), &self.options, saying);
                }
            }
        }
    }

    /// The drafts of the bundle's speaker, all of them.
    fn pending(&mut self, message: Node<'_>, saying: &mut Saying, out: &mut Decoded) {
        let speaker = message.text(&["speaker"], out).unwrap_or_default().to_owned();
        let mut pending = Vec::new();
        message.items(&["pending"], out, |segment, out| {
            // A bundle of one speaker may hold a draft of another: it stays whose it is.
            let Some((tokens, facts)) = self.tokens(segment, out) else { return };
            let who = raw_text(segment.value, &["speaker"]).unwrap_or(&speaker);
            if !self.is_said(who, &tokens) {
                pending.push((tokens, facts, raw_text(segment.value, &["segment_id"]).map(Box::from)));
            }
        });
        if pending.len() > DRAFTS_MAX {
            out.fault(
                FaultKind::Odd,
                format!("pending has more than {DRAFTS_MAX} drafts: the rest waits until it is confirmed"),
            );
            pending.truncate(DRAFTS_MAX);
        }
        if pending.is_empty() && !self.drafts.contains_key(&speaker) {
            return;
        }
        if self.drafts.len() == SPEAKERS_MAX && !self.drafts.contains_key(&speaker) {
            // The drafts of somebody who has none at the moment are forgotten first.
            let silent = self.drafts.iter().find(|(_, lines)| lines.iter().all(|draft| !draft.lines.is_shown()));
            let silent = silent.map(|(speaker, _)| speaker.clone());
            match silent {
                Some(silent) => drop(self.drafts.remove(&silent)),
                None => {
                    return out.fault(
                        FaultKind::Odd,
                        "too many speakers have drafts: this one's wait until they are confirmed",
                    );
                }
            }
        }
        let drafts = self.drafts.entry(speaker).or_default();
        while drafts.len() < pending.len() {
            self.draft_count += 1;
            let lines = Lines::new(format!("{}-d{}", self.options.tag, self.draft_count).into());
            drafts.push(Draft { lines, tokens: Vec::new(), name: None });
        }
        for (at, draft) in drafts.iter_mut().enumerate() {
            let none = (Vec::new(), Facts::default(), None);
            let (tokens, facts, name) = pending.get(at).unwrap_or(&none);
            draft.lines.say(tokens, Status::Interim, facts, &self.options, saying);
            draft.tokens.clone_from(tokens);
            draft.name.clone_from(name);
        }
    }

    fn tokens(&mut self, segment: Node<'_>, out: &mut Decoded) -> Option<(Vec<Token>, Facts)> {
        let Some(text) = segment.text(&["text"], out) else {
            out.fault(FaultKind::BadField, format!("{}: the text is missing, it was left out", segment.place));
            return None;
        };
        let label = match segment.text(&["speaker"], out).filter(|name| !name.trim().is_empty()) {
            None => Label::Unsaid,
            Some("Unknown") => Label::Unknown,
            Some(voice) if is_numbered(voice) => self.options.anonymous(voice),
            Some(name) => match segment.label(&["speaker_key"], out) {
                Some(key) => self.options.participant(&key, name),
                None => self.options.name(name),
            },
        };
        let options = self.clocks.of(raw_text(segment.value, &["speaker"]).unwrap_or_default()).clone();
        let start_ms = self.time(segment, "start", "absolute_start_time", "start_time", out);
        let end_ms = self.time(segment, "end", "absolute_end_time", "end_time", out);
        let mut words = Vec::new();
        segment.items(&["words"], out, |word, out| {
            words.push(ListedWord {
                text: word.text(&["word"], out).unwrap_or_default().to_owned(),
                label: label.clone(),
                start_ms: word.seconds(&["start"], &options, out),
                end_ms: word.seconds(&["end"], &options, out),
                confidence: word.confidence(&["probability"]),
            });
        });
        let mut tokens = align(text, &words);
        if let Some(first) = tokens.first_mut() {
            (first.label, first.start_ms) = (label, start_ms.or(first.start_ms));
        }
        if let Some(last) = tokens.last_mut() {
            last.end_ms = end_ms.or(last.end_ms);
        }
        let lang = segment.text(&["language"], out).map(|lang| self.options.lang_of(lang));
        Some((tokens, Facts { lang: lang.or_else(|| self.options.lang.clone()), break_before: None }))
    }

    /// Seconds of the session; where there are none, the time of day.
    fn time(
        &mut self,
        segment: Node<'_>,
        seconds: &'static str,
        absolute: &'static str,
        either: &'static str,
        out: &mut Decoded,
    ) -> Option<i64> {
        if segment.get(&[seconds]).is_some() {
            let speaker = raw_text(segment.value, &["speaker"]).unwrap_or_default();
            return segment.seconds(&[seconds], self.clocks.of(speaker), out);
        }
        let node = segment.get(&[absolute, either])?;
        match node.value.as_str().and_then(Timestamp::parse) {
            Some(at) => self.wall.media_ms(at, &node.place.to_string(), &self.options, out),
            None => Node { value: segment.value, place: Place::Top }.seconds(&[either], &self.options, out),
        }
    }
}

/// Whether a draft is of what was confirmed: its time lies within that, and so do most of its words. A draft of nobody in
/// particular need not have the same words.
fn is_draft_of(speaker: &str, draft: &[Token], confirmed: &[Token]) -> bool {
    let span = |tokens: &[Token]| {
        let start = tokens.iter().find_map(|token| token.start_ms)?;
        Some((start, tokens.iter().filter_map(|token| token.end_ms).max().unwrap_or(start)))
    };
    let Some(((draft_start, draft_end), (start, end))) = span(draft).zip(span(confirmed)) else { return false };
    if draft_start < start - DRAFT_EARLIER_MS || draft_end > end + DRAFT_EARLIER_MS {
        return false;
    }
    let words = |tokens: &[Token]| words(&tokens.iter().map(|token| &*token.text).collect::<String>());
    let (drafted, said) = (words(draft), words(confirmed));
    let shared = drafted.iter().filter(|word| said.contains(word)).count();
    let is_nobody = matches!(speaker, "" | "Speaker" | "Unknown") || is_numbered(speaker);
    shared * 2 > drafted.len() || is_nobody
}

/// `speaker_0`: a voice, not a name.
fn is_numbered(label: &str) -> bool {
    let number = label.strip_prefix("speaker_").or_else(|| label.strip_prefix("SPEAKER_"));
    number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

impl Engine for Vexa {
    const FORMAT: Format = Format::Vexa;
    const IDS: IdScope = IdScope::Always;
    const IS_IN_ORDER: bool = false;
    const HAS_STREAM_CLOCKS: bool = true;
    const COUNTS_FROM_MEETING: bool = true;
    type Message = Value;

    fn new(options: Options) -> Self {
        Self {
            wall: Wall::new(&options),
            clocks: StreamClocks::new(options.clone()),
            ids: VendorIds::new(options.tag.clone()),
            options,
            confirmed: Keyed::default(),
            drafts: BTreeMap::new(),
            draft_count: 0,
            left: VecDeque::new(),
            said: VecDeque::new(),
            nameless: 0,
        }
    }

    fn sign<'a>(&self, message: &'a Value) -> SessionSign<'a> {
        let kind = raw_text(message, &["type"]).unwrap_or_default();
        SessionSign {
            begins: kind == "session_start",
            name: raw_text(message, &["session_uid"]),
            says: matches!(kind, "transcript" | "transcription" | "transcription_segment"),
            ..SessionSign::default()
        }
    }

    fn spans<'a>(&self, message: &'a Value) -> Vec<Span<'a>> {
        let speaker = |segment: &'a Value| raw_text(segment, &["speaker"]).unwrap_or_default();
        let text = |segment: &'a Value| raw_text(segment, &["text"]).unwrap_or_default();
        let at = |segment: &'a Value, name: &str| {
            raw_ms(segment, &[name], 1000.0).and_then(|ms| on_axis(ms, self.clocks.of(speaker(segment))).ok())
        };
        let is_new = |segment: &&'a Value| {
            let is_known = raw_text(segment, &["segment_id"]).is_some_and(|id| {
                self.confirmed.piece(&self.ids.line((id, ""))).is_some()
                    && !self.ids.names_another((id, ""), text(segment), at(segment, "start"), &self.confirmed)
            });
            raw_text(segment, &["source"]) != Some("chat") && !is_known
        };
        // A late draft of what was confirmed tells no time.
        let is_open = |segment: &&'a Value| {
            let (start_ms, end_ms) = (at(segment, "start"), at(segment, "end"));
            let token = Token { text: text(segment).to_owned(), start_ms, end_ms, ..Token::default() };
            !self.is_said(speaker(segment), &[token])
        };
        let of_itself = (raw_text(message, &["type"]) == Some("transcription_segment")).then_some(message);
        let said = raw_items(message, &["confirmed"])
            .iter()
            .chain(raw_items(message, &["segments"]))
            .chain(of_itself)
            .filter(is_new);
        let drafts = raw_items(message, &["pending"]).iter().filter(is_open);
        let span = |segment: &'a Value| {
            let start = raw_ms(segment, &["start"], 1000.0)?;
            Some(Span::new(Some(start), raw_ms(segment, &["end"], 1000.0))?.of_stream(speaker(segment)))
        };
        let mut spans: Vec<Span<'a>> = said.filter_map(span).collect();
        // Of drafts the first: those behind it may be taken back, and what comes next is no fall then.
        for span in drafts.filter_map(span) {
            if !spans.iter().any(|known| known.stream == span.stream) {
                spans.push(span);
            }
        }
        spans
    }

    fn knows(&self, message: &Value) -> bool {
        let is_retraction = raw_text(message, &["type"]) == Some("transcript_retract");
        let mut ids = raw_items(message, &["segment_ids"]).iter().filter_map(Value::as_str);
        !is_retraction || ids.any(|id| self.confirmed.piece(&self.ids.line((id, ""))).is_some())
    }

    fn let_stand(&mut self, lines: &[Version]) {
        for (speaker, draft) in
            self.drafts.iter_mut().flat_map(|(speaker, drafts)| drafts.iter_mut().map(move |draft| (speaker, draft)))
        {
            let is_of = |line: &&Version| line.id == *draft.lines.base();
            // What is confirmed later takes it back; drafts that come get other lines.
            if lines.iter().find(is_of).is_some_and(|line| line.content.status == Status::Final) {
                let (id, tokens) = (draft.lines.base().clone(), std::mem::take(&mut draft.tokens));
                self.left.push_back(LeftDraft { id, speaker: speaker.clone(), tokens });
            }
        }
        while self.left.len() > LEFT_MAX {
            self.left.pop_front();
        }
        self.drafts.clear();
    }

    fn shift_stream(&mut self, stream: &str, offset_ms: MediaMs) {
        self.clocks.shift(stream, offset_ms);
    }

    fn read(&mut self, message: &Value, out: &mut Decoded) {
        self.take(Node::top(message), out);
    }
}
