//! Amazon Transcribe, streaming: `TranscriptEvent`, in the names of the service (`ResultId`) or of its libraries
//! (`result_id`, `resultId`).
//!
//! Each result is known for ever by its id, and comes again until `IsPartial` is false. Speakers stand at the items, in
//! finals only, as numbers of the session: finals that hold several turns are cut there. The binary frames of the service
//! (event stream) are unpacked by its libraries, not here.

use super::json::{Node, each_object};
use super::keyed::{Keyed, line_id};
use super::lines::{Facts, Saying};
use super::token::{Label, ListedWord, Token, align};
use super::{Decoded, Dialect, FaultKind, Options};
use crate::transcript::Status;

pub(super) struct Aws {
    options: Options,
    results: Keyed,
}

impl Aws {
    pub(super) fn new(options: Options) -> Self {
        Self { options, results: Keyed::default() }
    }

    fn take(&mut self, message: Node<'_>, out: &mut Decoded) {
        let event = message.get(&["TranscriptEvent", "transcriptEvent", "transcript_event"]);
        let event = event.as_ref().unwrap_or(&message);
        let Some(transcript) = event.get(&["Transcript", "transcript"]) else {
            match message.get(&["Message", "message"]).and_then(|why| why.value.as_str()) {
                Some(why) => out.fault(FaultKind::Engine, format!("Amazon Transcribe reports: {why}")),
                None => out.fault(FaultKind::BadField, "Transcript is missing: this is no TranscriptEvent"),
            }
            return;
        };
        let mut saying = Saying::default();
        transcript.items(&["Results", "results"], out, |result, out| self.result(result, &mut saying, out));
        saying.finish(out);
    }

    fn result(&mut self, result: Node<'_>, saying: &mut Saying, out: &mut Decoded) {
        let Some(id) = result.text(&["ResultId", "resultId", "result_id"], out) else {
            out.fault(
                FaultKind::BadField,
                format!("{}.ResultId is missing: it cannot be said which result this is", result.place),
            );
            return;
        };
        let id = line_id(id);
        let is_partial = result.flag(&["IsPartial", "isPartial", "is_partial"], out);
        let channel = result.label(&["ChannelId", "channelId", "channel_id"], out);
        let mut tokens = None;
        result.items(&["Alternatives", "alternatives"], out, |alternative, out| {
            // Ordered by confidence: the first is what was said.
            if tokens.is_none() {
                tokens = Some(self.alternative(alternative, channel.as_deref(), out));
            }
        });
        let mut tokens = tokens.unwrap_or_default();
        if let Some(first) = tokens.first_mut() {
            first.start_ms =
                first.start_ms.or(result.seconds(&["StartTime", "startTime", "start_time"], &self.options, out));
        }
        if let Some(last) = tokens.last_mut() {
            last.end_ms = last.end_ms.or(result.seconds(&["EndTime", "endTime", "end_time"], &self.options, out));
        }
        let lang = result.text(&["LanguageCode", "languageCode", "language_code"], out);
        let lang = lang.map(|lang| self.options.lang_of(lang)).or_else(|| self.options.lang.clone());
        let facts = Facts { lang, break_before: None };
        let status = if is_partial { Status::Interim } else { Status::Final };
        self.results.say(&id, &tokens, status, &facts, &self.options, saying);
    }

    fn alternative(&self, alternative: Node<'_>, channel: Option<&str>, out: &mut Decoded) -> Vec<Token> {
        let transcript = alternative.text(&["Transcript", "transcript"], out).unwrap_or_default();
        let mut words = Vec::new();
        alternative.items(&["Items", "items"], out, |item, out| {
            if item.text(&["Type", "type", "ItemType", "item_type"], out) == Some("punctuation") {
                return;
            }
            words.push(ListedWord {
                text: item.text(&["Content", "content"], out).unwrap_or_default().to_owned(),
                label: self.label(item, channel, out),
                start_ms: item.seconds(&["StartTime", "startTime", "start_time"], &self.options, out),
                end_ms: item.seconds(&["EndTime", "endTime", "end_time"], &self.options, out),
                confidence: item.confidence(&["Confidence", "confidence"]),
            });
        });
        let mut tokens = align(transcript, &words);
        if let Some(channel) = channel {
            // Each channel is somebody's microphone.
            let unsaid = tokens.iter_mut().filter(|token| token.label == Label::Unsaid);
            unsaid.for_each(|token| token.label = self.options.anonymous(channel));
        }
        tokens
    }

    fn label(&self, item: Node<'_>, channel: Option<&str>, out: &mut Decoded) -> Label {
        let Some(speaker) = item.label(&["Speaker", "speaker"], out) else { return Label::Unsaid };
        let channel = channel.map_or(String::new(), |channel| format!("{channel} "));
        let speaker = speaker.strip_prefix("spk_").unwrap_or(&speaker).to_owned();
        self.options.anonymous(&format!("{channel}Speaker {speaker}"))
    }
}

impl Dialect for Aws {
    fn decode(&mut self, frame: &[u8], out: &mut Decoded) {
        each_object(frame, out, |message, out| self.take(message, out));
    }

    /// What is partial then was cut off, and stays a guess.
    fn end(&mut self, _: &mut Decoded) {}
}
