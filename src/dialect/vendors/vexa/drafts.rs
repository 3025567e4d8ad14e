//! Drafts of Vexa: text of a speaker that is not confirmed yet.
//!
//! Drafts have no ids, or ids other than the confirmed ones. Time and words show to which confirmed segment one belongs.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde_json::Value;

use super::speakers::is_numbered;
use super::times::{END, EPOCH_MS, START, moment};
use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::json::raw_text;
use crate::dialect::core::line_match::words;
use crate::dialect::core::lines::{LineFacts, LineInProgress, Lines};
use crate::dialect::core::options::Options;
use crate::dialect::core::token::SpeechToken;
use crate::transcript::{MediaMs, Status, Version};

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
pub(super) const DRAFT_WORDS_MAX: usize = 64;

/// Time and words of a segment, to match drafts with confirmed segments.
#[derive(Debug, Clone, Default)]
pub(super) struct Phrase {
    /// By the vendor's clock, in milliseconds.
    span: Option<(f64, f64)>,
    /// Hashes of the words.
    words: HashSet<u64>,
}

impl Phrase {
    /// Creates the phrase of a segment, on a clock that started over `shift_ms` later.
    pub(super) fn new(segment: &Value, words_max: usize, shift_ms: MediaMs) -> Self {
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

/// A draft that was kept as a line because its connection ended.
struct LeftDraft {
    id: Arc<str>,
    speaker: String,
    phrase: Phrase,
}

/// A draft as a message gives it.
#[derive(Default)]
pub(super) struct DraftText {
    pub(super) tokens: Vec<SpeechToken>,
    pub(super) facts: LineFacts,
    pub(super) phrase: Phrase,
    /// The vendor's id of the draft.
    pub(super) name: Option<Box<str>>,
}

/// A draft, with the lines that show it.
struct Draft {
    lines: Lines,
    phrase: Phrase,
    /// The vendor's id of the draft.
    name: Option<Box<str>>,
}

impl Draft {
    /// Empties the draft.
    fn clear(&mut self, options: &Options, saying: &mut LineInProgress) {
        self.phrase = Phrase::default();
        self.lines.say(&[], Status::Interim, &LineFacts::default(), options, saying);
    }
}

/// The drafts of a session, and the confirmed segments to which they may belong.
#[derive(Default)]
pub(super) struct Drafts {
    by_speaker: BTreeMap<String, Vec<Draft>>,
    /// Number of drafts so far, which their lines are named by.
    count: u64,
    /// Drafts shown when a connection ended: a confirmed segment retracts its draft.
    left: VecDeque<LeftDraft>,
    /// The last confirmed segments, to recognize late drafts of them.
    said: VecDeque<(Arc<str>, Phrase)>,
}

impl Drafts {
    /// Replaces all drafts of a speaker.
    pub(super) fn replace(
        &mut self,
        speaker: String,
        mut pending: Vec<DraftText>,
        options: &Options,
        saying: &mut LineInProgress,
        out: &mut Decoded,
    ) {
        if pending.len() > DRAFTS_MAX {
            out.fault(
                DecodeFaultKind::Odd,
                format!("pending has more than {DRAFTS_MAX} drafts: the rest waits until it is confirmed"),
            );
            pending.truncate(DRAFTS_MAX);
        }
        if pending.is_empty() && !self.by_speaker.contains_key(&speaker) {
            return;
        }
        if self.by_speaker.len() == SPEAKERS_MAX && !self.by_speaker.contains_key(&speaker) {
            // Drafts of a speaker without shown ones are dropped first.
            let silent = self.by_speaker.iter().find(|(_, lines)| lines.iter().all(|draft| !draft.lines.is_shown()));
            let silent = silent.map(|(speaker, _)| speaker.clone());
            match silent {
                Some(silent) => drop(self.by_speaker.remove(&silent)),
                None => {
                    return out.fault(
                        DecodeFaultKind::Odd,
                        "too many speakers have drafts: this one's wait until they are confirmed",
                    );
                }
            }
        }
        let drafts = self.by_speaker.entry(speaker).or_default();
        while drafts.len() < pending.len() {
            self.count += 1;
            let lines = Lines::new(format!("{}-d{}", options.tag, self.count).into());
            drafts.push(Draft { lines, phrase: Phrase::default(), name: None });
        }
        for (at, draft) in drafts.iter_mut().enumerate() {
            let none = DraftText::default();
            let DraftText { tokens, facts, phrase, name } = pending.get(at).unwrap_or(&none);
            draft.lines.say(tokens, Status::Interim, facts, options, saying);
            draft.phrase.clone_from(phrase);
            draft.name.clone_from(name);
        }
    }

    /// Remembers a confirmed segment: empties its drafts, and retracts those of an earlier connection.
    pub(super) fn confirm(&mut self, id: Arc<str>, phrase: Phrase, options: &Options, saying: &mut LineInProgress) {
        // Whatever the speaker of the draft: the speaker is often known later than the words.
        for (speaker, drafts) in &mut self.by_speaker {
            for draft in drafts.iter_mut().filter(|draft| draft.phrase.is_draft_of(speaker, &phrase)) {
                draft.clear(options, saying);
            }
        }
        self.left.retain(|left| {
            let is_confirmed = left.phrase.is_draft_of(&left.speaker, &phrase);
            if is_confirmed {
                saying.gone(left.id.clone());
            }
            !is_confirmed
        });
        self.keep_said(id, phrase);
    }

    fn keep_said(&mut self, id: Arc<str>, phrase: Phrase) {
        if self.said.len() == SAID_MAX {
            self.said.pop_front();
        }
        self.said.push_back((id, phrase));
    }

    /// Forgets a confirmed segment.
    pub(super) fn forget_said(&mut self, id: &Arc<str>) {
        self.said.retain(|(said, _)| said != id);
    }

    /// Returns true if a draft belongs to a segment that was confirmed already.
    pub(super) fn is_said(&self, speaker: &str, draft: &Phrase) -> bool {
        self.said.iter().any(|(_, said)| draft.is_draft_of(speaker, said))
    }

    /// Returns true if a draft belongs to a segment that was confirmed already under another id than `id`.
    pub(super) fn is_said_elsewhere(&self, id: &Arc<str>, speaker: &str, draft: &Phrase) -> bool {
        self.said.iter().any(|(said, known)| said != id && draft.is_draft_of(speaker, known))
    }

    /// Keeps the draft with this name as last shown, because its confirmed version is empty. Returns false if no draft
    /// with this name is shown.
    pub(super) fn keep(&mut self, name: Option<&str>, saying: &mut LineInProgress) -> bool {
        for drafts in self.by_speaker.values_mut() {
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

    /// Empties the drafts with this name. Returns whether there were any, and whether one was shown.
    pub(super) fn clear_named(&mut self, name: &str, options: &Options, saying: &mut LineInProgress) -> (bool, bool) {
        let (mut is_known, mut is_shown) = (false, false);
        for draft in self.by_speaker.values_mut().flatten().filter(|draft| draft.name.as_deref() == Some(name)) {
            is_known = true;
            is_shown |= draft.lines.is_shown();
            draft.clear(options, saying);
        }
        (is_known, is_shown)
    }

    /// Closes the drafts of a speaker as last shown.
    pub(super) fn close(&mut self, speaker: &str, saying: &mut LineInProgress) {
        for mut draft in self.by_speaker.remove(speaker).into_iter().flatten() {
            draft.lines.close(saying);
        }
    }

    /// Ends all drafts: `lines` are kept as they are. A later confirmation retracts them; new drafts get other lines.
    pub(super) fn let_stand(&mut self, lines: &[Version]) {
        for (speaker, drafts) in &mut self.by_speaker {
            for draft in drafts {
                let is_of = |line: &&Version| line.id == *draft.lines.base();
                if lines.iter().find(is_of).is_some_and(|line| line.content.status == Status::Final) {
                    let (id, phrase) = (draft.lines.base().clone(), std::mem::take(&mut draft.phrase));
                    self.left.push_back(LeftDraft { id, speaker: speaker.clone(), phrase });
                }
            }
        }
        while self.left.len() > LEFT_MAX {
            self.left.pop_front();
        }
        self.by_speaker.clear();
    }
}
