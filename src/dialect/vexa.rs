//! Vexa: what its meetings' sockets send.
//!
//! A `transcript` bundle speaks of one speaker: `confirmed` segments are lines, known for ever by `segment_id`; `pending`
//! takes the place of all drafts of that speaker. Drafts have no ids, or some of their own, which are not those of what is
//! confirmed; so each speaker has lines for them that are filled and emptied. Speakers are names of participants, or voices
//! of a meeting (`speaker_0`) under a segment id that names the session. Text that was typed (`source: "chat"`) was not
//! said, and is left out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::json::{Node, Place, each_object};
use super::keyed::{Keyed, line_id};
use super::lines::{Facts, Lines, Saying};
use super::token::{Label, ListedWord, Token, align};
use super::wall::Wall;
use super::{Decoded, Dialect, FaultKind, Options, Said};
use crate::transcript::{Status, Timestamp};

/// Speakers whose drafts are kept: more than speak at once.
const SPEAKERS_MAX: usize = 64;
/// Drafts of one speaker.
const DRAFTS_MAX: usize = 32;

pub(super) struct Vexa {
    options: Options,
    wall: Wall,
    confirmed: Keyed,
    /// By speaker, the lines of the drafts.
    drafts: BTreeMap<String, Vec<Lines>>,
    draft_count: u64,
    nameless: u64,
}

impl Vexa {
    pub(super) fn new(options: Options) -> Self {
        let wall = Wall::new(&options);
        Self { options, wall, confirmed: Keyed::default(), drafts: BTreeMap::new(), draft_count: 0, nameless: 0 }
    }

    fn take(&mut self, message: Node<'_>, out: &mut Decoded) {
        if let Some(sent) = message.get(&["message"]).filter(|sent| sent.value.is_object()) {
            // A row of what the vendor's own listener records.
            return self.take(sent, out);
        }
        let mut saying = Saying::default();
        match message.text(&["type"], out) {
            None if message.get(&["event"]).is_some() => {}
            Some("transcript") => {
                message.items(&["confirmed"], out, |segment, out| self.segment(segment, true, &mut saying, out));
                self.pending(message, &mut saying, out);
            }
            Some("transcription") => {
                message.items(&["segments"], out, |segment, out| {
                    let is_complete = segment.get(&["completed"]).is_none() || segment.flag(&["completed"], out);
                    self.segment(segment, is_complete, &mut saying, out);
                });
            }
            Some("transcription_segment") => {
                let is_complete = message.flag(&["completed"], out);
                self.segment(message, is_complete, &mut saying, out);
            }
            Some("transcript_retract") => {
                message.items(&["segment_ids"], out, |id, out| match id.value.as_str() {
                    Some(id) => out.says.push(Said::Retract { id: line_id(id) }),
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
        let id: Arc<str> = match segment.text(&["segment_id"], out) {
            Some(id) => line_id(id),
            None => {
                self.nameless += 1;
                line_id(&format!("{}-{}", self.options.tag, self.nameless))
            }
        };
        let (tokens, facts) = self.tokens(segment, out);
        let status = if is_complete { Status::Final } else { Status::Interim };
        self.confirmed.say(&id, &tokens, status, &facts, &self.options, saying);
    }

    /// The drafts of the bundle's speaker, all of them.
    fn pending(&mut self, message: Node<'_>, saying: &mut Saying, out: &mut Decoded) {
        let speaker = message.text(&["speaker"], out).unwrap_or_default().to_owned();
        let mut pending = Vec::new();
        message.items(&["pending"], out, |segment, out| {
            // A bundle of one speaker may hold a draft of another: it stays whose it is.
            pending.push(self.tokens(segment, out));
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
            let silent = self.drafts.iter().find(|(_, lines)| lines.iter().all(|lines| !lines.is_shown()));
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
            drafts.push(Lines::new(format!("{}-d{}", self.options.tag, self.draft_count).into()));
        }
        for (at, lines) in drafts.iter_mut().enumerate() {
            let none = (Vec::new(), Facts::default());
            let (tokens, facts) = pending.get(at).unwrap_or(&none);
            lines.say(tokens, Status::Interim, facts, &self.options, saying);
        }
    }

    fn tokens(&mut self, segment: Node<'_>, out: &mut Decoded) -> (Vec<Token>, Facts) {
        let text = segment.text(&["text"], out).unwrap_or_default();
        let label = match segment.text(&["speaker"], out) {
            None | Some("") => Label::Unsaid,
            Some("Unknown") => Label::Unknown,
            Some(voice) if is_numbered(voice) => self.options.anonymous(voice),
            Some(name) => self.options.name(name),
        };
        let start_ms = self.time(segment, "start", "absolute_start_time", "start_time", out);
        let end_ms = self.time(segment, "end", "absolute_end_time", "end_time", out);
        let mut words = Vec::new();
        segment.items(&["words"], out, |word, out| {
            words.push(ListedWord {
                text: word.text(&["word"], out).unwrap_or_default().to_owned(),
                label: label.clone(),
                start_ms: word.seconds(&["start"], &self.options, out),
                end_ms: word.seconds(&["end"], &self.options, out),
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
        (tokens, Facts { lang: lang.or_else(|| self.options.lang.clone()), break_before: None })
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
            return segment.seconds(&[seconds], &self.options, out);
        }
        let node = segment.get(&[absolute, either])?;
        match node.value.as_str().and_then(Timestamp::parse) {
            Some(at) => self.wall.media_ms(at, &node.place.to_string(), &self.options, out),
            None => Node { value: segment.value, place: Place::Top }.seconds(&[either], &self.options, out),
        }
    }
}

/// `speaker_0`: a voice, not a name.
fn is_numbered(label: &str) -> bool {
    let number = label.strip_prefix("speaker_").or_else(|| label.strip_prefix("SPEAKER_"));
    number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

impl Dialect for Vexa {
    fn decode(&mut self, frame: &[u8], out: &mut Decoded) {
        each_object(frame, out, |message, out| self.take(message, out));
    }

    fn end(&mut self, _: &mut Decoded) {}
}
