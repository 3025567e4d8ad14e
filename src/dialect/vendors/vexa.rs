//! Vexa: messages of its meetings' sockets.
//!
//! A `transcript` bundle concerns one speaker: `confirmed` segments are lines with the permanent id `segment_id`;
//! `pending` replaces all drafts of that speaker. Drafts have no ids, or ids other than the confirmed ones, so each
//! speaker has lines for them that are filled and emptied. A live envelope of one `segment` is repeated under its id
//! until it is complete. Speakers are names of participants, or voices of a meeting (`speaker_0`) under a segment id
//! that names the session; `speaker_key` belongs to a turn, and identifies the speaker only if there is no name, or if
//! two people have the same name at the same time. Times are seconds of the meeting, or of the epoch, depending on the
//! bot. Typed text (`source: "chat"`) was not spoken, and is left out.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde_json::Value;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::earlier_speech::EarlierLines;
use crate::dialect::core::json::{JsonNode, on_axis, raw_items, raw_ms, raw_text};
use crate::dialect::core::line_match::words;
use crate::dialect::core::lines::{LineFacts, LineInProgress, Lines};
use crate::dialect::core::lines_by_id::{
    LinesById, OTHER_LINE, OTHER_SPEAKER, SpeechOfId, VendorIds, is_random, line_id, says_something_else, takes_over,
};
use crate::dialect::core::message_shape::has;
use crate::dialect::core::options::Options;
use crate::dialect::core::session::{EngineSession, IdScope, StreamClocks};
use crate::dialect::core::session_sign::{MoreSpeech, SessionSign, SpeechSpan};
use crate::dialect::core::token::{ListedWord, SpeechToken, TokenSpeaker, align, says_nothing, short_hash};
use crate::dialect::core::vendor_format::VendorFormat;
use crate::dialect::core::wall_clock::WallClock;
use crate::transcript::{MediaMs, Status, Timestamp, Version};

/// Segment ids whose start time is remembered: those of some hours.
const STAMPS_MAX: usize = 16_384;
/// Longest id that may be a counter, in bytes: thousands of them are kept.
const COUNTER_BYTES_MAX: usize = 128;
/// Speakers whose drafts are kept: more than speak at once.
const SPEAKERS_MAX: usize = 64;
/// Imprecision of a draft's times, in milliseconds: it may begin this much before the confirmed segment, or end this
/// much after it.
const DRAFT_EARLIER_MS: f64 = 500.0;
/// Confirmed segments remembered: a late draft belongs to one of the last.
const SAID_MAX: usize = 32;
/// Drafts kept since a connection broke, until they are confirmed on the next.
const LEFT_MAX: usize = 64;
/// Most drafts of one speaker.
const DRAFTS_MAX: usize = 32;
/// Words of a draft that are compared: it belongs to a confirmed segment that contains most of them.
const DRAFT_WORDS_MAX: usize = 64;
/// Names shared by several people at the same time that are remembered.
const NAMESAKES_MAX: usize = 64;
/// Overlap, in milliseconds, above which a second speaker of the same name is another person. Turns of one person
/// overlap by less.
const NAMESAKE_MS: f64 = 300.0;
/// Milliseconds from which on a time is a time of day, in 2001. No meeting lasts that long.
const EPOCH_MS: f64 = 1e12;

pub(crate) struct Vexa {
    options: Options,
    /// By speaker: each has a clock of their own.
    clocks: StreamClocks,
    wall: WallClock,
    /// True once a time of day was read.
    is_wall_set: bool,
    /// Kinds of time faults that were reported.
    told_times: BTreeSet<String>,
    /// Names shared by several people at the same time.
    namesakes: BTreeSet<Box<str>>,
    confirmed: LinesById,
    ids: VendorIds,
    /// Segment ids that may be counters, each with its stamped form.
    stamps: HashMap<Box<str>, Box<str>>,
    /// Drafts by speaker.
    drafts: BTreeMap<String, Vec<Draft>>,
    draft_count: u64,
    /// Drafts shown when a connection ended: a confirmed segment retracts its draft.
    left: VecDeque<LeftDraft>,
    /// The last confirmed segments, to recognize late drafts of them.
    said: VecDeque<(Arc<str>, Phrase)>,
    nameless: u64,
    /// Speakers whose clocks have started over with the message that is read next.
    restarted: Vec<Box<str>>,
}

/// Time and words of a segment, to match drafts with confirmed segments.
#[derive(Debug, Clone, Default)]
struct Phrase {
    /// By the vendor's clock, in milliseconds.
    span: Option<(f64, f64)>,
    /// Hashes of the words.
    words: HashSet<u64>,
}

impl Phrase {
    /// Creates the phrase of a segment, on a clock that started over `shift_ms` later.
    fn new(segment: &Value, words_max: usize, shift_ms: MediaMs) -> Self {
        let start = moment(segment, &START);
        let end = moment(segment, &END).or(start);
        let hash = |word: &String| {
            let mut hasher = DefaultHasher::new();
            word.hash(&mut hasher);
            hasher.finish()
        };
        let on_clock = |ms: f64| if ms < EPOCH_MS { ms + shift_ms as f64 } else { ms };
        let words = words(raw_text(segment, &["text"]).unwrap_or_default()).iter().map(hash).take(words_max).collect();
        Self { span: start.zip(end).map(|(start, end)| (on_clock(start), on_clock(end))), words }
    }

    /// Returns true if it is a draft of a confirmed segment: its time lies within that of the segment, and so do most
    /// of its words. A draft without a specific speaker need not have the same words.
    fn is_draft_of(&self, speaker: &str, confirmed: &Self) -> bool {
        let Some(((draft_start, draft_end), (start, end))) = self.span.zip(confirmed.span) else { return false };
        if draft_start < start - DRAFT_EARLIER_MS || draft_end > end + DRAFT_EARLIER_MS {
            return false;
        }
        let is_nobody = matches!(speaker, "" | "Speaker" | "Unknown") || is_numbered(speaker);
        is_nobody || self.words.iter().filter(|word| confirmed.words.contains(word)).count() * 2 > self.words.len()
    }
}

/// The field names of a time: in seconds, as a time of day, and one that may have either.
type TimeNames = [&'static str; 3];
const START: TimeNames = ["start", "absolute_start_time", "start_time"];
const END: TimeNames = ["end", "absolute_end_time", "end_time"];

/// Returns a time by the vendor's clock, in milliseconds: of the meeting, or, from [`EPOCH_MS`] on, of the epoch.
fn moment(segment: &Value, [seconds, absolute, either]: &TimeNames) -> Option<f64> {
    let wall = raw_text(segment, &[absolute, either]).and_then(Timestamp::parse).map(|at| at.0 as f64);
    match raw_ms(segment, &[seconds], 1000.0) {
        Some(ms) if ms < EPOCH_MS => Some(ms),
        of_epoch => wall.or(of_epoch).or_else(|| raw_ms(segment, &[either], 1000.0)),
    }
}

/// Returns true if a segment's id is globally unique: it begins with the unique name of the bot's session, or has a
/// stamp with the time of day at which the segment began.
fn is_unique(id: &str) -> bool {
    let is_stamp = |stamp: &str| {
        stamp.len() == 26 && stamp.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase() || b == b'-')
    };
    is_random(id.split(':').next().unwrap_or_default())
        || id.rsplit_once(STAMP).is_some_and(|(_, stamp)| is_stamp(stamp))
}

/// Separates an id from its stamp: the time of day in milliseconds, and twelve digits of a hash of the first text.
const STAMP: &str = ":w";

/// Returns a segment's id with its stamp.
fn stamped(id: &str, start: f64, text: &str) -> String {
    format!("{id}{STAMP}{start:013.0}-{}", short_hash(text))
}

/// Returns the time of day in the stamp of a line's id.
fn stamp_of(id: &str) -> Option<i64> {
    id.rsplit_once(STAMP).filter(|_| is_unique(id))?.1.split('-').next()?.parse().ok()
}

/// A draft that was kept as a line because its connection ended.
struct LeftDraft {
    id: Arc<str>,
    speaker: String,
    phrase: Phrase,
}

/// A draft: text that is not confirmed yet.
struct Draft {
    lines: Lines,
    phrase: Phrase,
    /// The vendor's id of the draft.
    name: Option<Box<str>>,
}

impl Vexa {
    fn take(&mut self, message: JsonNode<'_>, out: &mut Decoded) {
        let mut saying = LineInProgress::default();
        self.let_restarted_stand(&mut saying);
        self.note_namesakes(message.value);
        self.set_wall(message.value, out);
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
            for mut draft in self.drafts.remove(&*speaker).into_iter().flatten() {
                draft.lines.close(saying);
            }
        }
    }

    /// Processes a segment with its own id.
    fn segment(&mut self, segment: JsonNode<'_>, is_complete: bool, saying: &mut LineInProgress, out: &mut Decoded) {
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
                let end_ms = tokens.iter().rev().find_map(|token| token.end_ms);
                let who = tokens.first().map_or(&TokenSpeaker::Unsaid, |token| &token.label);
                let now = SpeechOfId { text, start_ms, end_ms, who };
                let id = self.stamp(id, moment(segment.value, &START), &now, out);
                self.ids.line_saying((&id, ""), &now, Some(who), &mut self.confirmed, saying, out)
            }
            None => {
                self.nameless += 1;
                line_id(&format!("{}-{}", self.options.tag, self.nameless))
            }
        };
        let status = if is_complete { Status::Final } else { Status::Interim };
        let speaker = raw_text(segment.value, &["speaker"]).unwrap_or_default();
        let phrase = self.phrase(segment.value, usize::MAX);
        if !is_complete && self.said.iter().any(|(said, known)| *said != id && phrase.is_draft_of(speaker, known)) {
            // A late message: its words are confirmed under another id.
            return;
        }
        self.confirmed.say(&id, &tokens, status, &facts, &self.options, saying);
        if is_complete {
            self.drop_drafts(&phrase, saying);
            self.left.retain(|left| {
                let is_confirmed = left.phrase.is_draft_of(&left.speaker, &phrase);
                if is_confirmed {
                    saying.gone(left.id.clone());
                }
                !is_confirmed
            });
            self.keep_said(id, phrase);
        }
    }

    /// Adds a stamp to a segment's id if it may be a counter and its time of day is given: the time of day at which it
    /// began, and a hash of its first text. So the same frames are the same lines on another connection. An update of a
    /// segment keeps its id.
    fn stamp<'a>(&mut self, id: &'a str, start: Option<f64>, now: &SpeechOfId<'_>, out: &mut Decoded) -> Cow<'a, str> {
        let Some(start) = start.filter(|at| *at >= EPOCH_MS && !is_unique(id) && id.len() <= COUNTER_BYTES_MAX) else {
            return id.into();
        };
        if let Some(known) = self.stamps.get(id) {
            let piece = self.confirmed.piece(&self.ids.line((known, "")));
            let is_same = match piece {
                Some(piece) => now.text.trim().is_empty() || !says_something_else(piece, now),
                // The segment is so old that its text is not remembered, but it began at the same time.
                None => {
                    known.rsplit_once(STAMP).is_some_and(|(_, stamp)| stamp.starts_with(&format!("{start:013.0}-")))
                }
            };
            if is_same {
                if piece.is_some_and(|piece| takes_over(piece, now)) {
                    out.fault(DecodeFaultKind::Odd, OTHER_SPEAKER);
                }
                return known.to_string().into();
            }
            out.fault(DecodeFaultKind::Odd, OTHER_LINE);
        }
        if self.stamps.len() == STAMPS_MAX {
            self.stamps.clear();
        }
        // Other content at that time belongs to another counter.
        let stamped = stamped(id, start, now.text);
        self.stamps.insert(id.into(), stamped.as_str().into());
        stamped.into()
    }

    /// Returns the line that a segment's id currently names.
    fn line_of(&self, id: &str) -> Arc<str> {
        self.ids.line((self.stamps.get(id).map_or(id, |stamped| stamped), ""))
    }

    fn keep_said(&mut self, id: Arc<str>, phrase: Phrase) {
        if self.said.len() == SAID_MAX {
            self.said.pop_front();
        }
        self.said.push_back((id, phrase));
    }

    fn phrase(&self, segment: &Value, words_max: usize) -> Phrase {
        let speaker = raw_text(segment, &["speaker"]).unwrap_or_default();
        Phrase::new(segment, words_max, self.clocks.of(speaker).offset_ms)
    }

    /// Retracts a segment, whether it was confirmed or a draft.
    fn retract(&mut self, name: &str, saying: &mut LineInProgress, out: &mut Decoded) {
        let id = self.line_of(name);
        self.said.retain(|(said, _)| *said != id);
        let (mut is_known, mut is_draft) = (self.confirmed.piece(&id).is_some(), false);
        for draft in self.drafts.values_mut().flatten().filter(|draft| draft.name.as_deref() == Some(name)) {
            is_known = true;
            is_draft |= draft.lines.is_shown();
            draft.clear(&self.options, saying);
        }
        if self.ids.may_name_a_line((self.stamps.get(name).map_or(name, |stamped| stamped), "")) {
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

    /// Keeps the draft with this name as last shown, because its confirmed version is empty. Returns false if no draft
    /// with this name is shown.
    fn keep_draft(&mut self, segment: JsonNode<'_>, saying: &mut LineInProgress) -> bool {
        let name = raw_text(segment.value, &["segment_id"]);
        for drafts in self.drafts.values_mut() {
            let is_it = |draft: &Draft| name.is_some() && draft.name.as_deref() == name && draft.lines.is_shown();
            if let Some(at) = drafts.iter().position(is_it) {
                let mut draft = drafts.remove(at);
                draft.lines.stand(saying);
                self.keep_said(draft.lines.base().clone(), draft.phrase);
                return true;
            }
        }
        false
    }

    /// Returns true if a draft belongs to a segment that was confirmed already.
    fn is_said(&self, speaker: &str, draft: &Phrase) -> bool {
        self.said.iter().any(|(_, said)| draft.is_draft_of(speaker, said))
    }

    /// Empties the drafts of a confirmed segment, whatever the speaker of the draft: the speaker is often known later
    /// than the words.
    fn drop_drafts(&mut self, confirmed: &Phrase, saying: &mut LineInProgress) {
        for (speaker, drafts) in &mut self.drafts {
            for draft in drafts.iter_mut().filter(|draft| draft.phrase.is_draft_of(speaker, confirmed)) {
                draft.clear(&self.options, saying);
            }
        }
    }

    /// Finds names that several speakers of a message share at the same time.
    fn note_namesakes(&mut self, message: &Value) {
        let lists = ["confirmed", "pending", "segments"].map(|list| raw_items(message, &[list]));
        let named = |segment| {
            let (name, key) = (raw_text(segment, &["speaker"])?, raw_text(segment, &["speaker_key"])?);
            let start = moment(segment, &START)?;
            Some((name, start, moment(segment, &END).unwrap_or(start), key))
        };
        let mut spoken: Vec<_> = lists.into_iter().flatten().filter_map(named).collect();
        spoken.sort_by(|left, right| left.0.cmp(right.0).then(left.1.total_cmp(&right.1)));
        let mut longest: Option<(&str, f64, &str)> = None;
        for (name, start, end, key) in spoken {
            let before = longest.filter(|(known, _, _)| *known == name);
            let is_beside =
                before.is_some_and(|(_, until, other)| other != key && start + NAMESAKE_MS < until.min(end));
            if is_beside && self.namesakes.len() < NAMESAKES_MAX {
                self.namesakes.insert(name.into());
            }
            if before.is_none_or(|(_, until, _)| end > until) {
                longest = Some((name, end, key));
            }
        }
    }

    /// Returns the speaker of a segment.
    fn label(&self, segment: JsonNode<'_>, out: &mut Decoded) -> TokenSpeaker {
        let key = segment.label(&["speaker_key"], out).filter(|key| !key.trim().is_empty());
        match (segment.text(&["speaker"], out).unwrap_or_default(), key) {
            ("Unknown", _) => TokenSpeaker::Unknown,
            (voice, _) if is_numbered(voice) => self.options.anonymous(voice),
            ("Speaker", Some(key)) => self.options.anonymous(person_of(&key)),
            (name, Some(key)) if name.trim().is_empty() => self.options.anonymous(person_of(&key)),
            (name, None) if name.trim().is_empty() => TokenSpeaker::Unsaid,
            (name, Some(key)) if self.namesakes.contains(name) => self.options.participant(&key, name),
            (name, _) => self.options.name(name),
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
            if !self.is_said(who, &phrase) {
                pending.push((tokens, facts, phrase, raw_text(segment.value, &["segment_id"]).map(Box::from)));
            }
        });
        if pending.len() > DRAFTS_MAX {
            out.fault(
                DecodeFaultKind::Odd,
                format!("pending has more than {DRAFTS_MAX} drafts: the rest waits until it is confirmed"),
            );
            pending.truncate(DRAFTS_MAX);
        }
        if pending.is_empty() && !self.drafts.contains_key(&speaker) {
            return;
        }
        if self.drafts.len() == SPEAKERS_MAX && !self.drafts.contains_key(&speaker) {
            // Drafts of a speaker without shown ones are dropped first.
            let silent = self.drafts.iter().find(|(_, lines)| lines.iter().all(|draft| !draft.lines.is_shown()));
            let silent = silent.map(|(speaker, _)| speaker.clone());
            match silent {
                Some(silent) => drop(self.drafts.remove(&silent)),
                None => {
                    return out.fault(
                        DecodeFaultKind::Odd,
                        "too many speakers have drafts: this one's wait until they are confirmed",
                    );
                }
            }
        }
        let drafts = self.drafts.entry(speaker).or_default();
        while drafts.len() < pending.len() {
            self.draft_count += 1;
            let lines = Lines::new(format!("{}-d{}", self.options.tag, self.draft_count).into());
            drafts.push(Draft { lines, phrase: Phrase::default(), name: None });
        }
        for (at, draft) in drafts.iter_mut().enumerate() {
            let none = (Vec::new(), LineFacts::default(), Phrase::default(), None);
            let (tokens, facts, phrase, name) = pending.get(at).unwrap_or(&none);
            draft.lines.say(tokens, Status::Interim, facts, &self.options, saying);
            draft.phrase.clone_from(phrase);
            draft.name.clone_from(name);
        }
    }

    fn tokens(&mut self, segment: JsonNode<'_>, out: &mut Decoded) -> Option<(Vec<SpeechToken>, LineFacts)> {
        let Some(text) = segment.text(&["text"], out) else {
            out.fault(DecodeFaultKind::BadField, format!("{}: the text is missing, it was left out", segment.place));
            return None;
        };
        let label = self.label(segment, out);
        let start_ms = self.time(segment, &START, out);
        let end_ms = self.time(segment, &END, out);
        let mut words = Vec::new();
        segment.items(&["words"], out, |word, out| {
            words.push(ListedWord {
                text: word.text(&["word"], out).unwrap_or_default().to_owned(),
                label: label.clone(),
                start_ms: self.word_time(segment, word, &START, out),
                end_ms: self.word_time(segment, word, &END, out),
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

    /// Returns a time from the seconds of the meeting; if they are absent or of the epoch, from the time of day.
    fn time(&mut self, segment: JsonNode<'_>, names: &TimeNames, out: &mut Decoded) -> Option<MediaMs> {
        let [seconds, _, either] = *names;
        if let Some(at) = moment(segment.value, names).filter(|at| *at >= EPOCH_MS) {
            let place = segment.get(names).map(|node| node.place.to_string()).unwrap_or_default();
            return self.of_day(Timestamp(at.round() as i64), &place, out);
        }
        let mut found = Decoded::default();
        let speaker = raw_text(segment.value, &["speaker"]).unwrap_or_default();
        let time = if segment.get(&[seconds]).is_some() {
            segment.seconds(&[seconds], self.clocks.of(speaker), &mut found)
        } else {
            segment.seconds(&[either], &self.options, &mut found)
        };
        self.tell_times(found, out);
        time
    }

    /// Reports unusable times once per kind: a wrong clock is wrong for hours, and twice in each segment.
    fn tell_times(&mut self, found: Decoded, out: &mut Decoded) {
        for fault in found.faults {
            // The part after the location.
            let kind = fault.message.split_once(' ').map_or(&*fault.message, |(_, kind)| kind);
            if self.told_times.insert(kind.to_owned()) {
                out.fault(fault.kind, fault.message);
            }
        }
    }

    /// Returns the time of a word, by the clock of its segment.
    fn word_time(
        &mut self,
        segment: JsonNode<'_>,
        word: JsonNode<'_>,
        names: &TimeNames,
        out: &mut Decoded,
    ) -> Option<MediaMs> {
        if raw_ms(word.value, &names[..1], 1000.0).is_some_and(|ms| ms >= EPOCH_MS) {
            return self.time(word, names, out);
        }
        let mut found = Decoded::default();
        let speaker = raw_text(segment.value, &["speaker"]).unwrap_or_default();
        let time = word.seconds(&[names[0]], self.clocks.of(speaker), &mut found);
        self.tell_times(found, out);
        time
    }

    /// Sets the wall time of media time 0 from the first message with times of day: the opening of the feed, or, if
    /// something was said before that, the earliest time of the message. This keeps all order and distances.
    fn set_wall(&mut self, message: &Value, out: &mut Decoded) {
        if self.is_wall_set {
            return;
        }
        let times = spoken(message).filter_map(|segment| moment(segment, &START).or(moment(segment, &END)));
        let Some(earliest) = times.filter(|at| *at >= EPOCH_MS).min_by(f64::total_cmp) else { return };
        let earliest = Timestamp(earliest.round() as i64);
        self.is_wall_set = true;
        let early_ms =
            self.options.wall_start.map(|opening| opening.since(earliest).saturating_sub(self.options.offset_ms));
        if early_ms.is_none_or(|early_ms| early_ms > 0) {
            self.wall = WallClock::new(&Options { wall_start: Some(earliest), ..self.options.clone() });
        }
        if let Some(early_ms @ 1..) = early_ms {
            let early = early_ms as f64 / 1000.0;
            out.fault(
                DecodeFaultKind::Odd,
                format!(
                    "the times of day begin {early:.3} s before the start of the feed: they are counted from the first of them"
                ),
            );
        }
    }

    /// Converts a time of day to media time. One before media time 0 becomes 0; one that is too late is left out.
    fn of_day(&mut self, at: Timestamp, place: &str, out: &mut Decoded) -> Option<MediaMs> {
        let mut found = Decoded::default();
        let time = match self.wall.since_start_ms(at, &self.options) {
            early if early < 0 => {
                found.fault(
                    DecodeFaultKind::Odd,
                    format!("{place} is before the first time of day: it is taken for that"),
                );
                Some(0)
            }
            time if time <= self.options.media_ms_max => Some(time),
            _ => {
                found.fault(
                    DecodeFaultKind::BadTime,
                    format!("{place} is long after the start of the feed: the time was left out"),
                );
                None
            }
        };
        self.tell_times(found, out);
        time
    }
}

impl Draft {
    /// Empties the draft.
    fn clear(&mut self, options: &Options, saying: &mut LineInProgress) {
        self.phrase = Phrase::default();
        self.lines.say(&[], Status::Interim, &LineFacts::default(), options, saying);
    }
}

/// Returns the segments of a message, without typed ones.
fn spoken(message: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["confirmed", "pending", "segments"].into_iter().flat_map(|list| raw_items(message, &[list]));
    let own = Some(message).filter(|_| raw_text(message, &["type"]) == Some("transcription_segment"));
    let said = lists.chain(message.get("segment")).chain(own);
    said.filter(|segment| raw_text(segment, &["source"]) != Some("chat"))
}

/// Returns the person whose turns `speaker_key` counts: `ch-0:7` is the seventh of channel 0.
fn person_of(key: &str) -> &str {
    match key.rsplit_once(':') {
        Some((channel, turn)) if channel.starts_with("ch-") && turn.bytes().all(|b| b.is_ascii_digit()) => channel,
        _ => key,
    }
}

/// Returns true for a label such as `speaker_0`: a voice, not a name.
fn is_numbered(label: &str) -> bool {
    let number = label.strip_prefix("speaker_").or_else(|| label.strip_prefix("SPEAKER_"));
    number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
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
            wall: WallClock::new(&options),
            clocks: StreamClocks::new(options.clone()),
            ids: VendorIds::new(options.tag.clone(), is_unique),
            options,
            is_wall_set: false,
            told_times: BTreeSet::new(),
            namesakes: BTreeSet::new(),
            confirmed: LinesById::default(),
            stamps: HashMap::new(),
            drafts: BTreeMap::new(),
            draft_count: 0,
            left: VecDeque::new(),
            said: VecDeque::new(),
            nameless: 0,
            restarted: Vec::new(),
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
            raw_ms(segment, &[name], 1000.0).and_then(|ms| on_axis(ms, self.clocks.of(speaker(segment))).ok())
        };
        let is_new = |segment: &&'a Value| {
            let who = self.label(JsonNode::top(segment), &mut Decoded::default());
            let (start_ms, end_ms) = (at(segment, "start"), at(segment, "end"));
            let now = SpeechOfId { text: text(segment), start_ms, end_ms, who: &who };
            let is_known = raw_text(segment, &["segment_id"]).is_some_and(|id| {
                self.confirmed.piece(&self.ids.line((id, ""))).is_some()
                    && !self.ids.names_another((id, ""), &now, &self.confirmed)
            });
            raw_text(segment, &["source"]) != Some("chat") && !is_known
        };
        // A late draft of a confirmed segment says nothing about the clock.
        let is_open = |segment: &&'a Value| !self.is_said(speaker(segment), &self.phrase(segment, DRAFT_WORDS_MAX));
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
        spoken(message).filter_map(|segment| raw_text(segment, &["segment_id"])).map(|id| self.line_of(id)).collect()
    }

    /// Continues to count times of day from where an earlier connection did, which may be before the feed's opening.
    fn go_on_behind(&mut self, message: &Value, earlier: &EarlierLines) {
        let said = spoken(message).filter_map(|segment| {
            let at = moment(segment, &START).filter(|at| *at >= EPOCH_MS)?;
            Some((raw_text(segment, &["segment_id"])?, at, raw_text(segment, &["text"]).unwrap_or_default()))
        });
        let mut said = said.peekable();
        if self.is_wall_set || said.peek().is_none() {
            return;
        }
        let known = said.find_map(|(id, at, text)| {
            let of_id = |id: &str| earlier.start_of(&self.ids.line((id, "")));
            Some(Timestamp(at.round() as i64 - of_id(id).or_else(|| of_id(&stamped(id, at, text)))?))
        });
        let of_stamps = || earlier.lines().find_map(|line| Some(Timestamp(stamp_of(&line.id)? - line.start_ms)));
        if let Some(start) = known.or_else(of_stamps) {
            self.wall = WallClock::new(&Options { wall_start: Some(start), ..self.options.clone() });
            self.is_wall_set = true;
        }
    }

    fn knows(&self, message: &Value) -> bool {
        let is_retraction = raw_text(message, &["type"]) == Some("transcript_retract");
        let mut ids = raw_items(message, &["segment_ids"]).iter().filter_map(Value::as_str);
        !is_retraction || ids.any(|id| self.confirmed.piece(&self.line_of(id)).is_some())
    }

    fn let_stand(&mut self, lines: &[Version]) {
        for (speaker, draft) in
            self.drafts.iter_mut().flat_map(|(speaker, drafts)| drafts.iter_mut().map(move |draft| (speaker, draft)))
        {
            let is_of = |line: &&Version| line.id == *draft.lines.base();
            // A later confirmation retracts it; new drafts get other lines.
            if lines.iter().find(is_of).is_some_and(|line| line.content.status == Status::Final) {
                let (id, phrase) = (draft.lines.base().clone(), std::mem::take(&mut draft.phrase));
                self.left.push_back(LeftDraft { id, speaker: speaker.clone(), phrase });
            }
        }
        while self.left.len() > LEFT_MAX {
            self.left.pop_front();
        }
        self.drafts.clear();
    }

    fn wall_start(&self) -> Option<Timestamp> {
        self.wall.start().filter(|_| self.is_wall_set)
    }

    fn shift_stream(&mut self, stream: &str, offset_ms: MediaMs) {
        self.clocks.shift(stream, offset_ms);
        self.restarted.push(stream.into());
    }

    fn read(&mut self, message: &Value, out: &mut Decoded) {
        self.take(JsonNode::top(message), out);
    }
}
