//! Amazon Transcribe, streaming: `TranscriptEvent`, in the names of the service (`ResultId`) or of its libraries
//! (`result_id`, `resultId`).
//!
//! A permanent id identifies each result, which is repeated until `IsPartial` is false. `Stable` items become final
//! after a pause if that does not come. Speakers are given per item, in finals only, as numbers of the session: finals
//! that contain several turns are split there. The service's binary frames (event stream) are unpacked by its
//! libraries, not here.

use std::sync::Arc;

use serde_json::Value;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::json::{JsonNode, on_axis, raw_items, raw_ms, raw_text};
use crate::dialect::core::lines::{LineFacts, LineInProgress};
use crate::dialect::core::lines_by_id::{LinesById, SpeechOfId, VendorIds, is_uuid};
use crate::dialect::core::message_shape::has;
use crate::dialect::core::options::Options;
use crate::dialect::core::session::{EngineSession, IdScope};
use crate::dialect::core::session_sign::{SessionSign, SpeechSpan};
use crate::dialect::core::speech_piece::PieceState;
use crate::dialect::core::token::{ListedWord, SpeechToken, TokenSpeaker, align};
use crate::dialect::core::vendor_format::VendorFormat;
use crate::transcript::MediaMs;

pub(crate) struct Aws {
    options: Options,
    results: LinesById,
    ids: VendorIds,
}

impl Aws {
    fn take(&mut self, message: JsonNode<'_>, out: &mut Decoded) {
        let event = message.get(&["TranscriptEvent", "transcriptEvent", "transcript_event"]);
        let event = event.as_ref().unwrap_or(&message);
        let Some(transcript) = event.get(&["Transcript", "transcript"]) else {
            out.fault(DecodeFaultKind::BadField, "Transcript is missing: this is no TranscriptEvent");
            return;
        };
        if transcript.get(&["Results", "results"]).is_none() {
            out.fault(DecodeFaultKind::BadField, format!("{}.Results is missing", transcript.place));
        }
        let mut saying = LineInProgress::default();
        transcript.items(&["Results", "results"], out, |result, out| self.result(result, &mut saying, out));
        saying.finish(out);
    }

    fn result(&mut self, result: JsonNode<'_>, saying: &mut LineInProgress, out: &mut Decoded) {
        let Some(id) = result.text(&["ResultId", "resultId", "result_id"], out) else {
            out.fault(
                DecodeFaultKind::BadField,
                format!("{}.ResultId is missing: the result cannot be identified", result.place),
            );
            return;
        };
        let is_partial = result.flag(&["IsPartial", "isPartial", "is_partial"], out);
        let channel = result.label(&["ChannelId", "channelId", "channel_id"], out);
        if result.get(&["Alternatives", "alternatives"]).is_none() {
            out.fault(DecodeFaultKind::BadField, format!("{}.Alternatives is missing", result.place));
            return;
        }
        // An empty array is a result without words.
        let mut tokens = None;
        result.items(&["Alternatives", "alternatives"], out, |alternative, out| {
            // Sorted by confidence: the first is used.
            if tokens.is_none() {
                tokens = Some(self.alternative(alternative, channel.as_deref(), out));
            }
        });
        let Some((mut tokens, stable)) = tokens.unwrap_or(Some((Vec::new(), 0))) else { return };
        if let Some(first) = tokens.first_mut() {
            first.start_ms =
                first.start_ms.or(result.seconds(&["StartTime", "startTime", "start_time"], &self.options, out));
        }
        if let Some(last) = tokens.last_mut() {
            last.end_ms = last.end_ms.or(result.seconds(&["EndTime", "endTime", "end_time"], &self.options, out));
        }
        let lang = result.text(&["LanguageCode", "languageCode", "language_code"], out);
        let lang = lang.map(|lang| self.options.lang_of(lang)).or_else(|| self.options.lang.clone());
        let facts = LineFacts { lang, break_before: None };
        let settled = if is_partial { stable } else { tokens.len() };
        let start_ms = tokens.iter().find_map(|token| token.start_ms);
        let text: String = tokens.iter().map(|token| &*token.text).collect();
        let end_ms = tokens.iter().rev().find_map(|token| token.end_ms);
        let now = SpeechOfId { text: &text, start_ms, end_ms, who: &TokenSpeaker::Unsaid };
        let id = self.ids.line_saying((id, ""), &now, None, &mut self.results, saying, out);
        if let Some(start_ms) = start_ms {
            let before = self.results.pieces_mut().filter(|(known, _)| **known != id);
            before.for_each(|(_, piece)| piece.reached(start_ms, &self.options, saying));
        }
        self.results.say_state(&id, PieceState { tokens, settled, is_over: !is_partial, facts }, &self.options, saying);
    }

    /// Returns the tokens of an alternative, and the number of stable ones; `None` if its transcript is missing.
    fn alternative(
        &self,
        alternative: JsonNode<'_>,
        channel: Option<&str>,
        out: &mut Decoded,
    ) -> Option<(Vec<SpeechToken>, usize)> {
        let Some(transcript) = alternative.text(&["Transcript", "transcript"], out) else {
            out.fault(DecodeFaultKind::BadField, format!("{}.Transcript is missing", alternative.place));
            return None;
        };
        let (mut words, mut stable) = (Vec::new(), Vec::new());
        alternative.items(&["Items", "items"], out, |item, out| {
            if item.text(&["Type", "type", "ItemType", "item_type"], out) == Some("punctuation") {
                return;
            }
            stable.push(item.flag(&["Stable", "stable"], out));
            words.push(ListedWord {
                text: item.text(&["Content", "content"], out).unwrap_or_default().to_owned(),
                label: self.label(item, channel, out),
                start_ms: item.seconds(&["StartTime", "startTime", "start_time"], &self.options, out),
                end_ms: item.seconds(&["EndTime", "endTime", "end_time"], &self.options, out),
                confidence: item.confidence(&["Confidence", "confidence"]),
            });
        });
        let mut tokens = align(transcript, &words);
        let stable = match stable.iter().take_while(|is_stable| **is_stable).count() {
            count if count == words.len() => tokens.len(),
            count if tokens.len() == words.len() => count,
            _ => 0,
        };
        if let Some(channel) = channel {
            // Each channel is one person's microphone.
            let unsaid = tokens.iter_mut().filter(|token| token.label == TokenSpeaker::Unsaid);
            unsaid.for_each(|token| token.label = self.options.anonymous(channel));
        }
        Some((tokens, stable))
    }

    fn label(&self, item: JsonNode<'_>, channel: Option<&str>, out: &mut Decoded) -> TokenSpeaker {
        let Some(speaker) = item.label(&["Speaker", "speaker"], out) else { return TokenSpeaker::Unsaid };
        let channel = channel.map_or(String::new(), |channel| format!("{channel} "));
        self.options.voice(&channel, &speaker)
    }
}

/// Returns the results of a message.
fn raw_results(message: &Value) -> &[Value] {
    let event = ["TranscriptEvent", "transcriptEvent", "transcript_event"].iter().find_map(|name| message.get(*name));
    let event = event.unwrap_or(message);
    let transcript = ["Transcript", "transcript"].iter().find_map(|name| event.get(*name)).unwrap_or(&Value::Null);
    raw_items(transcript, &["Results", "results"])
}

impl EngineSession for Aws {
    const FORMAT: VendorFormat = VendorFormat::Aws;
    const IDS: IdScope = IdScope::Always;
    /// Finals are up to 30 s late.
    const IS_IN_ORDER: bool = false;
    type Message = Value;

    fn is_known(value: &Value) -> bool {
        has(value, &["TranscriptEvent", "transcriptEvent", "transcript_event"])
            || ["Transcript", "transcript"].iter().any(|name| value.get(name).is_some_and(Value::is_object))
    }

    fn new(options: Options) -> Self {
        Self { ids: VendorIds::new(options.tag.clone(), is_uuid), options, results: LinesById::default() }
    }

    fn sign<'a>(&self, message: &'a Value) -> SessionSign<'a> {
        let results = raw_results(message);
        let text = |result: &'a Value| {
            let said = raw_items(result, &["Alternatives", "alternatives"]).first();
            said.and_then(|said| raw_text(said, &["Transcript", "transcript"])).unwrap_or_default()
        };
        let is_known = |result: &&'a Value| {
            let Some(id) = raw_text(result, &["ResultId", "resultId", "result_id"]) else { return false };
            let time = |names: &[&str]| raw_ms(result, names, 1000.0).and_then(|ms| on_axis(ms, &self.options).ok());
            let start_ms = time(&["StartTime", "startTime", "start_time"]);
            let end_ms = time(&["EndTime", "endTime", "end_time"]);
            let now = SpeechOfId { text: text(result), start_ms, end_ms, who: &TokenSpeaker::Unsaid };
            self.results.piece(&self.ids.line((id, ""))).is_some()
                && !self.ids.names_another((id, ""), &now, &self.results)
        };
        let new = results.iter().find(|result| !is_known(result));
        let span = new.and_then(|result| {
            let start = raw_ms(result, &["StartTime", "startTime", "start_time"], 1000.0)?;
            let end = raw_ms(result, &["EndTime", "endTime", "end_time"], 1000.0);
            let channel = raw_text(result, &["ChannelId", "channelId", "channel_id"]).unwrap_or_default();
            Some(SpeechSpan::new(Some(start), end)?.of_stream(channel))
        });
        let text = new.map(text).unwrap_or_default().into();
        let partial =
            new.and_then(|result| ["IsPartial", "isPartial", "is_partial"].iter().find_map(|name| result.get(*name)));
        let is_settled = partial.is_some_and(|is_partial| *is_partial == false);
        SessionSign { says: !results.is_empty(), span, text, is_settled, ..SessionSign::default() }
    }

    fn line_ids(&self, message: &Value) -> Vec<Arc<str>> {
        let results = raw_results(message).iter();
        let id = |result| raw_text(result, &["ResultId", "resultId", "result_id"]);
        results.filter_map(id).map(|id| self.ids.line((id, ""))).collect()
    }

    fn end(&mut self, out: &mut Decoded) {
        let mut saying = LineInProgress::default();
        self.results.pieces_mut().for_each(|(_, piece)| piece.release(&self.options, &mut saying));
        saying.finish(out);
    }

    fn due_ms(&mut self, now_ms: MediaMs) -> Option<MediaMs> {
        self.results.pieces_mut().filter_map(|(_, piece)| piece.due_ms(now_ms, &self.options)).min()
    }

    fn rest(&mut self, now_ms: MediaMs, out: &mut Decoded) {
        let mut saying = LineInProgress::default();
        self.results.pieces_mut().for_each(|(_, piece)| piece.rest(now_ms, &self.options, &mut saying));
        saying.finish(out);
    }

    fn read(&mut self, message: &Value, out: &mut Decoded) {
        self.take(JsonNode::top(message), out);
    }
}
