//! Vexa: messages of its meetings' sockets.
//!
//! A `transcript` bundle concerns one speaker: `confirmed` segments are lines with the permanent id `segment_id`;
//! `pending` replaces all drafts of that speaker. Drafts have no ids, or ids other than the confirmed ones, so each
//! speaker has lines for them that are filled and emptied. A live envelope of one `segment` is repeated under its id
//! until it is complete. Speakers are names of participants, or voices of a meeting (`speaker_0`) under a segment id
//! that names the session; `speaker_key` belongs to a turn, and identifies the speaker only if there is no name, or if
//! two people have the same name at the same time. Times are seconds of the meeting, or of the epoch, depending on the

mod drafts;
mod segment_ids;
mod speakers;
mod times;

use std::sync::Arc;

use serde_json::Value;

use self::drafts::{DRAFT_WORDS_MAX, DraftText, Drafts, Phrase};
use self::segment_ids::{SegmentIds, stamp_of, stamped};
use self::speakers::{Namesakes, is_numbered};
use self::times::{END, EPOCH_MS, MeetingClock, START, moment};
use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::earlier_speech::EarlierLines;
use crate::dialect::core::json::{JsonNode, on_axis, raw_items, raw_ms, raw_text};
use crate::dialect::core::lines::{LineFacts, LineInProgress};
use crate::dialect::core::lines_by_id::{LinesById, SpeechOfId, line_id};
use crate::dialect::core::message_shape::has;
use crate::dialect::core::options::Options;
use crate::dialect::core::session::{EngineSession, IdScope};
use crate::dialect::core::session_sign::{MoreSpeech, SessionSign, SpeechSpan};
use crate::dialect::core::token::{ListedWord, SpeechToken, TokenSpeaker, align, says_nothing};
use crate::dialect::core::vendor_format::VendorFormat;
use crate::transcript::{MediaMs, Status, Timestamp, Version};

pub(crate) struct Vexa {
    options: Options,
    clock: MeetingClock,
    namesakes: Namesakes,
    confirmed: LinesById,
    ids: SegmentIds,
    drafts: Drafts,
    nameless: u64,
    /// Speakers whose clocks have started over with the message that is read next.
    restarted: Vec<Box<str>>,
}

impl Vexa {
    fn take(&mut self, message: JsonNode<'_>, out: &mut Decoded) {
        let mut saying = LineInProgress::default();
        self.let_restarted_stand(&mut saying);
        self.namesakes.note(message.value);
        self.clock.set_wall(spoken(message.value), out);
        match message.text(&["type"], out) {
            None if message.get(&["event"]).is_some() => {}
            Some(kind @ ("transcript" | "transcription")) => {
                let names: [&str; 4] = ["confirmed", "pending", "segments", "segment"];
                if names.iter().all(|name| message.get(&[*name]).is_none()) {
                    let missing = if kind == "transcript" { "confirmed and pending are" } else { "segments is" };
                    out.fault(
                        DecodeFaultKind::BadField,
                        format!("{missing} missing: nothing can be said of this {kind}"),
                    );
                    return;
                }
                message.items(&["confirmed"], out, |segment, out| self.segment(segment, true, &mut saying, out));
                message.items(&["segments"], out, |segment, out| {
                    let is_complete = segment.get(&["completed"]).is_none() || segment.flag(&["completed"], out);
                    self.segment(segment, is_complete, &mut saying, out);
                });
                if let Some(segment) = message.get(&["segment"]) {
                    let is_complete = segment.flag(&["completed"], out);
                    self.segment(segment, is_complete, &mut saying, out);
                }
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
                    out.fault(
                        DecodeFaultKind::BadField,
                        "segment_ids is missing: it cannot be said what is taken back",
                    );
                }
                message.items(&["segment_ids"], out, |id, out| match id.value.as_str() {
                    Some(name) => self.retract(name, &mut saying, out),
                    None => out.fault(DecodeFaultKind::BadField, format!("{} must be a string", id.place)),
                });
            }
            // Lifecycle of the meeting and of the socket, and typed text.
            Some(
                "subscribed" | "unsubscribed" | "pong" | "session_start" | "session_end" | "chat_message"
                | "meeting.status",
            ) => {}
            // Problems of the bot, or of its audio.
            Some("health") => {
                let part = |name| message.label(&[name], &mut Decoded::default());
                let what = [part("source"), part("kind"), part("status")].into_iter().flatten().collect::<Vec<_>>();
                let detail = message.label(&["detail", "message"], out).unwrap_or_else(|| "no reason is given".into());
                out.fault(DecodeFaultKind::Engine, format!("Vexa reports ({}): {detail}", what.join(" ")));
            }
            Some("error") => {
                let why = message.text(&["error", "detail", "message"], out).unwrap_or("no reason is given").to_owned();
                out.fault(DecodeFaultKind::Engine, format!("Vexa reports an error: {why}"));
            }
            Some(other) => out.unknown_type("Vexa", other),
            None => out.fault(DecodeFaultKind::BadField, "type is missing: this is no message of Vexa"),
        }
        saying.finish(out);
    }

    /// Closes, as last shown, the open text of speakers whose clocks have started over.
    fn let_restarted_stand(&mut self, saying: &mut LineInProgress) {
        for speaker in std::mem::take(&mut self.restarted) {
            let label = match &*speaker {
                "" => TokenSpeaker::Unsaid,
                voice if is_numbered(voice) => self.options.anonymous(voice),
                name => self.options.name(name),
            };
            self.confirmed.let_stand(Some(&label), saying);
            self.drafts.close(&speaker, saying);
        }
    }

    /// Processes a segment with its own id.
    fn segment(&mut self, segment: JsonNode<'_>, is_complete: bool, saying: &mut LineInProgress, out: &mut Decoded) {
        if segment.get(&["source"]).is_some_and(|source| source.value == "chat") {
            return;
        }
        let Some((tokens, facts)) = self.tokens(segment, out) else { return };
        if is_complete && says_nothing(&tokens) && self.drafts.keep(raw_text(segment.value, &["segment_id"]), saying) {
            return;
        }
        let id: Arc<str> = match segment.text(&["segment_id"], out) {
            Some(id) => {
                let text = raw_text(segment.value, &["text"]).unwrap_or_default();
                let start_ms = tokens.iter().find_map(|token| token.start_ms);
                let end_ms = tokens.iter().rev().find_map(|token| token.end_ms);
                let who = tokens.first().map_or(&TokenSpeaker::Unsaid, |token| &token.label);
                let now = SpeechOfId { text, start_ms, end_ms, who };
                let start = moment(segment.value, &START);
                self.ids.line_saying(id, start, &now, &mut self.confirmed, saying, out)
            }
            None => {
                self.nameless += 1;
                line_id(&format!("{}-{}", self.options.tag, self.nameless))
            }
        };
        let status = if is_complete { Status::Final } else { Status::Interim };
        let speaker = raw_text(segment.value, &["speaker"]).unwrap_or_default();
        let phrase = self.phrase(segment.value, usize::MAX);
        if !is_complete && self.drafts.is_said_elsewhere(&id, speaker, &phrase) {
            // A late message: its words are confirmed under another id.
            return;
        }
        self.confirmed.say(&id, &tokens, status, &facts, &self.options, saying);
        if is_complete {
            self.drafts.confirm(id, phrase, &self.options, saying);
        }
    }

    fn phrase(&self, segment: &Value, words_max: usize) -> Phrase {
        let speaker = raw_text(segment, &["speaker"]).unwrap_or_default();
        Phrase::new(segment, words_max, self.clock.of(speaker).offset_ms)
    }

    /// Retracts a segment, whether it was confirmed or a draft.
    fn retract(&mut self, name: &str, saying: &mut LineInProgress, out: &mut Decoded) {
        let id = self.ids.line_of(name);
        self.drafts.forget_said(&id);
        let (has_draft, is_draft) = self.drafts.clear_named(name, &self.options, saying);
        let is_known = has_draft || self.confirmed.piece(&id).is_some();
        if self.ids.may_name_a_line(name) {
            if !is_known {
                out.unsaid.push(id.clone());
            }
            self.confirmed.retract(&id, &self.options, saying);
        } else if !is_draft {
            out.fault(
                DecodeFaultKind::Odd,
                "a segment is taken back that was not said on this connection: nothing was taken back. Its id may be counted \
                 anew by each bot, so that it cannot be said which line of before it means",
            );
        }
    }

    /// Replaces all drafts of the bundle's speaker.
    fn pending(&mut self, message: JsonNode<'_>, saying: &mut LineInProgress, out: &mut Decoded) {
        let speaker = message.text(&["speaker"], out).unwrap_or_default().to_owned();
        let mut pending = Vec::new();
        message.items(&["pending"], out, |segment, out| {
            // A bundle of one speaker may contain a draft of another, which keeps its speaker.
            let Some((tokens, facts)) = self.tokens(segment, out) else { return };
            let who = raw_text(segment.value, &["speaker"]).unwrap_or(&speaker);
            let phrase = self.phrase(segment.value, DRAFT_WORDS_MAX);
            if !self.drafts.is_said(who, &phrase) {
                let name = raw_text(segment.value, &["segment_id"]).map(Box::from);
                pending.push(DraftText { tokens, facts, phrase, name });
            }
        });
        self.drafts.replace(speaker, pending, &self.options, saying, out);
    }

    fn tokens(&mut self, segment: JsonNode<'_>, out: &mut Decoded) -> Option<(Vec<SpeechToken>, LineFacts)> {
        let Some(text) = segment.text(&["text"], out) else {
            out.fault(DecodeFaultKind::BadField, format!("{}: the text is missing, it was left out", segment.place));
            return None;
        };
        let label = self.namesakes.label(segment, &self.options, out);
        let start_ms = self.clock.time(segment, &START, out);
        let end_ms = self.clock.time(segment, &END, out);
        let mut words = Vec::new();
        segment.items(&["words"], out, |word, out| {
            words.push(ListedWord {
                text: word.text(&["word"], out).unwrap_or_default().to_owned(),
                label: label.clone(),
                start_ms: self.clock.word_time(segment, word, &START, out),
                end_ms: self.clock.word_time(segment, word, &END, out),
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
        Some((tokens, LineFacts { lang: lang.or_else(|| self.options.lang.clone()), break_before: None }))
    }
}

/// Returns the segments of a message, without typed ones.
fn spoken(message: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["confirmed", "pending", "segments"].into_iter().flat_map(|list| raw_items(message, &[list]));
    let own = Some(message).filter(|_| raw_text(message, &["type"]) == Some("transcription_segment"));
    let said = lists.chain(message.get("segment")).chain(own);
    said.filter(|segment| raw_text(segment, &["source"]) != Some("chat"))
}

impl EngineSession for Vexa {
    const FORMAT: VendorFormat = VendorFormat::Vexa;
    const IDS: IdScope = IdScope::Always;
    const IS_IN_ORDER: bool = false;
    const HAS_STREAM_CLOCKS: bool = true;
    const COUNTS_FROM_MEETING: bool = true;
    type Message = Value;

    fn recorded_message(row: &Value) -> Option<&Value> {
        row.get("message")
    }

    fn is_known(value: &Value) -> bool {
        match raw_text(value, &["type"]) {
            // Rows beside the messages in the vendor's recordings.
            None => has(value, &["event"]) && has(value, &["at", "ws_url", "meeting_id"]),
            Some("transcript") => has(value, &["confirmed", "pending", "segments", "segment", "speaker"]),
            Some(_) => true,
        }
    }

    fn new(options: Options) -> Self {
        Self {
            clock: MeetingClock::new(&options),
            namesakes: Namesakes::default(),
            confirmed: LinesById::default(),
            ids: SegmentIds::new(&options),
            drafts: Drafts::default(),
            nameless: 0,
            restarted: Vec::new(),
            options,
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

    fn spans<'a>(&self, message: &'a Value) -> Vec<MoreSpeech<'a>> {
        let speaker = |segment: &'a Value| raw_text(segment, &["speaker"]).unwrap_or_default();
        let text = |segment: &'a Value| raw_text(segment, &["text"]).unwrap_or_default();
        let at = |segment: &'a Value, name: &str| {
            raw_ms(segment, &[name], 1000.0).and_then(|ms| on_axis(ms, self.clock.of(speaker(segment))).ok())
        };
        let is_new = |segment: &&'a Value| {
            let who = self.namesakes.label(JsonNode::top(segment), &self.options, &mut Decoded::default());
            let (start_ms, end_ms) = (at(segment, "start"), at(segment, "end"));
            let now = SpeechOfId { text: text(segment), start_ms, end_ms, who: &who };
            let is_known =
                raw_text(segment, &["segment_id"]).is_some_and(|id| self.ids.is_known(id, &now, &self.confirmed));
            raw_text(segment, &["source"]) != Some("chat") && !is_known
        };
        // A late draft of a confirmed segment says nothing about the clock.
        let is_open =
            |segment: &&'a Value| !self.drafts.is_said(speaker(segment), &self.phrase(segment, DRAFT_WORDS_MAX));
        let of_itself = (raw_text(message, &["type"]) == Some("transcription_segment")).then_some(message);
        let of_itself = of_itself.or_else(|| message.get("segment"));
        let said = raw_items(message, &["confirmed"])
            .iter()
            .chain(raw_items(message, &["segments"]))
            .chain(of_itself)
            .filter(is_new);
        let drafts = raw_items(message, &["pending"]).iter().filter(is_open);
        let speech = |segment: &'a Value, is_settled: bool| {
            // The time of day does not start over.
            let start = raw_ms(segment, &["start"], 1000.0).filter(|start| *start < EPOCH_MS)?;
            let span = SpeechSpan::new(Some(start), raw_ms(segment, &["end"], 1000.0))?.of_stream(speaker(segment));
            Some(MoreSpeech { span, text: text(segment), is_settled })
        };
        let mut spans: Vec<MoreSpeech<'a>> = said.filter_map(|segment| speech(segment, true)).collect();
        // Only the first draft: later ones may be retracted, and the next time would then look like a fall.
        for draft in drafts.filter_map(|segment| speech(segment, false)) {
            if !spans.iter().any(|known| known.span.stream == draft.span.stream) {
                spans.push(draft);
            }
        }
        spans
    }

    fn line_ids(&self, message: &Value) -> Vec<Arc<str>> {
        spoken(message)
            .filter_map(|segment| raw_text(segment, &["segment_id"]))
            .map(|id| self.ids.line_of(id))
            .collect()
    }

    /// Continues to count times of day from where an earlier connection did, which may be before the feed's opening.
    fn go_on_behind(&mut self, message: &Value, earlier: &EarlierLines) {
        let said = spoken(message).filter_map(|segment| {
            let at = moment(segment, &START).filter(|at| *at >= EPOCH_MS)?;
            Some((raw_text(segment, &["segment_id"])?, at, raw_text(segment, &["text"]).unwrap_or_default()))
        });
        let mut said = said.peekable();
        if self.clock.is_wall_set() || said.peek().is_none() {
            return;
        }
        let known = said.find_map(|(id, at, text)| {
            let of_id = |id: &str| earlier.start_of(&self.ids.plain_line(id));
            Some(Timestamp(at.round() as i64 - of_id(id).or_else(|| of_id(&stamped(id, at, text)))?))
        });
        let of_stamps = || earlier.lines().find_map(|line| Some(Timestamp(stamp_of(&line.id)? - line.start_ms)));
        if let Some(start) = known.or_else(of_stamps) {
            self.clock.count_from(start);
        }
    }

    fn knows(&self, message: &Value) -> bool {
        let is_retraction = raw_text(message, &["type"]) == Some("transcript_retract");
        let mut ids = raw_items(message, &["segment_ids"]).iter().filter_map(Value::as_str);
        !is_retraction || ids.any(|id| self.confirmed.piece(&self.ids.line_of(id)).is_some())
    }

    fn let_stand(&mut self, lines: &[Version]) {
        self.drafts.let_stand(lines);
    }

    fn wall_start(&self) -> Option<Timestamp> {
        self.clock.wall_start()
    }

    fn shift_stream(&mut self, stream: &str, offset_ms: MediaMs) {
        self.clock.shift(stream, offset_ms);
        self.restarted.push(stream.into());
    }

    fn read(&mut self, message: &Value, out: &mut Decoded) {
        self.take(JsonNode::top(message), out);
    }
}
