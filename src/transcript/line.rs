//! A caption line: its key, its versions, and the rule that names its head (semantics, sections 1 and 3).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::mark::Mark;
use super::time::{MediaMs, Timestamp};
use crate::position::{BadName, is_plain_name};
use crate::transcript::serde_arc::{maybe_text, text};

/// The source of lines when none is named.
pub const DEFAULT_SOURCE: &str = "main";

/// The longest speaker label that is taken, in bytes: names with titles fit several times over.
pub const SPEAKER_BYTES_MAX: usize = 256;

/// The longest language tag that is taken, in bytes. RFC 5646, section 4.4.1, advises room for 35.
pub const LANG_BYTES_MAX: usize = 35;

/// Checks the name of a source: `[a-z0-9][a-z0-9_-]{0,63}`.
///
/// # Errors
/// [`BadName`] with the rule in words.
pub fn check_source(name: &str) -> Result<(), BadName> {
    const RULE: &str = "1 to 64 of a-z, 0-9, '_' and '-', beginning with a letter or digit";
    if is_plain_name(name, 64) { Ok(()) } else { Err(BadName::new("source", name, RULE)) }
}

/// Checks the id of a line: 1 to 128 of `[A-Za-z0-9._:-]`.
///
/// # Errors
/// [`BadName`] with the rule in words.
pub fn check_line_id(id: &str) -> Result<(), BadName> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
    if (1..=128).contains(&id.len()) && id.bytes().all(allowed) {
        Ok(())
    } else {
        Err(BadName::new("id", id, "1 to 128 of A-Z, a-z, 0-9, '.', '_', ':' and '-'"))
    }
}

/// Ends the id of a line that was sent under an id which its source uses for another line already: `7~s2` is the second
/// line called `7`. No publisher may send a `~`, so that only the fold gives such names.
const BESIDE: &str = "~s";

/// The id of the `number`-th line of a source that was sent as `id`.
pub(crate) fn beside(id: &str, number: usize) -> Arc<str> {
    format!("{id}{BESIDE}{number}").into()
}

/// The id under which a line was sent that is kept as `id`, if that is another one.
#[must_use]
pub fn sent_id(id: &str) -> Option<&str> {
    if !id.as_bytes().contains(&b'~') {
        return None;
    }
    let (sent, number) = id.rsplit_once(BESIDE)?;
    let is_number = !number.starts_with('0') && number.len() <= 20 && number.bytes().all(|b| b.is_ascii_digit());
    (is_number && !matches!(number, "" | "1") && check_line_id(sent).is_ok()).then_some(sent)
}

/// Checks the id of a line as logs, files and readers hold it: one that [`check_line_id`] takes, or one that the fold gave
/// to a line beside another (`7~s2`).
///
/// # Errors
/// [`BadName`] with the rule in words.
pub fn check_kept_line_id(id: &str) -> Result<(), BadName> {
    if sent_id(id).is_some() { Ok(()) } else { check_line_id(id) }
}

/// What a line is known by: who sends it and what the sender calls it. Never its time, text or speaker.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LineKey {
    /// The source.
    pub source: Arc<str>,
    /// The id, unique within the source.
    pub id: Arc<str>,
}

impl fmt::Display for LineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.source, self.id)
    }
}

/// Whether a version may still change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// A first guess.
    Interim,
    /// As the source means it, until it corrects it.
    #[default]
    Final,
}

/// What a source says about where a line stands among its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Break {
    /// A new turn begins here, whoever speaks.
    Turn,
}

/// Where a line's start comes from, if not from its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeSource {
    /// The feed's media time when its first version came.
    Arrival,
    /// Its place in the file it was read from.
    Order,
}

/// One word of a line, where the source times its words.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Word {
    /// The word as it stands in the text.
    #[serde(deserialize_with = "text")]
    pub text: Arc<str>,
    /// Where it starts, in media time.
    pub start_ms: MediaMs,
    /// Where it ends, in media time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<MediaMs>,
    /// How sure the source is, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

/// As their equality has it.
impl Hash for Word {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { text, start_ms, end_ms, confidence } = self;
        (text, start_ms, end_ms, confidence.map(f64::to_bits)).hash(state);
    }
}

/// Equal if their canonical encoding is: `0.0` and `-0.0` are two contents, and no number differs from itself.
impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        let Self { text, start_ms, end_ms, confidence } = self;
        let bits = |confidence: Option<f64>| confidence.map(f64::to_bits);
        *text == other.text
            && (*start_ms, *end_ms) == (other.start_ms, other.end_ms)
            && bits(*confidence) == bits(other.confidence)
    }
}

/// What a version of a line says: everything of it but its `rev` and its arrival.
///
/// The field order is the canonical order: [`content_hash`] is pinned by a golden and decides conflicts for ever.
#[derive(Debug, Clone, PartialEq, Hash, Default, Serialize, Deserialize)]
pub struct Content {
    /// Interim or final.
    #[serde(default)]
    pub status: Status,
    /// Where the speech starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<MediaMs>,
    /// Where it ends, if known; not before `start_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<MediaMs>,
    /// The label the source gives the speaker; not an identity.
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    pub speaker: Option<Arc<str>>,
    /// What was said. A text that is empty after trimming is not shown.
    #[serde(default, deserialize_with = "text")]
    pub text: Arc<str>,
    /// BCP 47 tag of the text's language.
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    pub lang: Option<Arc<str>>,
    /// Whether a turn begins here whatever else holds.
    #[serde(default, rename = "break", skip_serializing_if = "Option::is_none")]
    pub break_before: Option<Break>,
    /// The words with their times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<Word>,
}

impl Content {
    /// The same without its times, and without the words that have times.
    #[must_use]
    pub fn without_times(&self) -> Self {
        Self { start_ms: None, end_ms: None, words: Vec::new(), ..self.clone() }
    }
}

/// One version of a line as a record holds it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Version {
    /// Which line of the record's source.
    #[serde(deserialize_with = "text")]
    pub id: Arc<str>,
    /// Its revision as the source numbered it; without one the fold numbers it in log order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<u64>,
    /// For a version without a usable time: the feed's media time when it arrived, as the server that took it knew it, or its
    /// place in a file. Records without it count their arrival from the feed's opening.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrival_ms: Option<MediaMs>,
    /// What `arrival_ms` counts, where it is not the arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_source: Option<TimeSource>,
    /// What it says.
    #[serde(rename = "says")]
    pub content: Content,
}

/// What a version makes of its line.
#[derive(Debug, Clone, PartialEq, Hash)]
pub enum VersionState {
    /// The line says this.
    Content(Content),
    /// The line is taken back.
    Retracted,
}

impl VersionState {
    pub(crate) fn is_interim(&self) -> bool {
        matches!(self, Self::Content(content) if content.status == Status::Interim)
    }

    /// True for a retraction.
    #[must_use]
    pub fn is_retracted(&self) -> bool {
        matches!(self, Self::Retracted)
    }
}

/// SHA-256 of the canonical encoding: JSON in the field order of [`Content`], `null` for a retraction.
#[must_use]
pub fn content_hash(said: &VersionState) -> [u8; 32] {
    let canonical = match said {
        VersionState::Content(content) => serde_json::to_vec(content).expect("a content has no map with odd keys"),
        VersionState::Retracted => b"null".to_vec(),
    };
    Sha256::digest(&canonical).into()
}

/// Stands for a content where it is only asked whether there was an equal one: 8 bytes instead of the text. It is the same
/// in every process of one build, and is never written anywhere.
pub(crate) fn content_mark(said: &VersionState) -> u64 {
    foldhash::quality::FixedState::default().hash_one(said)
}

/// How two versions of one line stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// Which one is the head; `Equal` for a duplicate.
    pub order: Ordering,
    /// True when the same revision was given two contents, and only the hash could decide.
    pub conflict: bool,
}

/// The head rule: the greater of two versions by (not interim, rev, retracted, hash of the content).
///
/// A join, so that neither the order of arrival nor repetition matters.
#[must_use]
pub fn compare_versions(a: (u64, &VersionState), b: (u64, &VersionState)) -> Comparison {
    let rank = |(rev, said): (u64, &VersionState)| (!said.is_interim(), rev, said.is_retracted());
    match rank(a).cmp(&rank(b)) {
        Ordering::Equal if a.1 == b.1 => Comparison { order: Ordering::Equal, conflict: false },
        // The hash costs more than all the rest and is needed for conflicts only.
        Ordering::Equal => Comparison { order: content_hash(a.1).cmp(&content_hash(b.1)), conflict: true },
        order => Comparison { order, conflict: false },
    }
}

/// A line as readers see it: the one schema of socket, transcript and export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Who sent it.
    pub source: Arc<str>,
    /// What the source calls it.
    pub id: Arc<str>,
    /// The revision shown.
    pub rev: u64,
    /// Its place: plain comparison of these strings is the order of lines.
    pub sort: Arc<str>,
    /// Where it starts: as the source said, else as `time_source` says.
    pub start_ms: MediaMs,
    /// Where it ends, if known.
    #[serde(default)]
    pub end_ms: Option<MediaMs>,
    /// The id of its speaker before merges.
    #[serde(default)]
    pub speaker: Option<Arc<str>>,
    /// What was said.
    pub text: Arc<str>,
    /// Whether it may still change.
    pub status: Status,
    /// The language of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<Arc<str>>,
    /// Whether its source begins a turn here.
    #[serde(default, rename = "break", skip_serializing_if = "Option::is_none")]
    pub break_before: Option<Break>,
    /// Where `start_ms` comes from, if not from the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_source: Option<TimeSource>,
    /// What is notated inside the text.
    #[serde(default)]
    pub marks: Vec<Mark>,
    /// The words with their times, where the source gives them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<Word>,
    /// Time at which the server took the version shown.
    pub received_at: Timestamp,
}

impl Line {
    /// What it is known by.
    #[must_use]
    pub fn key(&self) -> LineKey {
        LineKey { source: self.source.clone(), id: self.id.clone() }
    }

    /// What it says, without a start where its source gave none.
    #[must_use]
    pub fn into_content(self) -> Content {
        Content {
            status: self.status,
            start_ms: self.time_source.is_none().then_some(self.start_ms),
            end_ms: self.end_ms,
            speaker: self.speaker,
            text: self.text,
            lang: self.lang,
            break_before: self.break_before,
            words: self.words,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, status: Status) -> VersionState {
        VersionState::Content(Content { text: text.into(), status, ..Content::default() })
    }

    #[test]
    fn the_head_rule_as_a_table() {
        use Status::{Final, Interim};
        // Each version beats all above it.
        let rising = [
            (0, said("a", Interim)),
            (7, said("a", Interim)),
            (0, said("a", Final)),
            (1, said("a", Final)),
            (1, VersionState::Retracted),
            (2, said("back", Final)),
        ];
        for (i, a) in rising.iter().enumerate() {
            for (j, b) in rising.iter().enumerate() {
                let found = compare_versions((a.0, &a.1), (b.0, &b.1));
                assert_eq!(found, Comparison { order: i.cmp(&j), conflict: false }, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn a_conflict_is_decided_by_the_hash_and_said() {
        let (a, b) = (said("a", Status::Final), said("b", Status::Final));
        let ab = compare_versions((1, &a), (1, &b));
        let ba = compare_versions((1, &b), (1, &a));
        assert!(ab.conflict && ba.conflict);
        assert_eq!(ab.order, ba.order.reverse());
    }

    /// Equal contents have equal marks, and every part of a content is in its mark.
    #[test]
    fn a_mark_says_all_that_a_content_says() {
        let word = Word { text: "a".into(), start_ms: 1, end_ms: Some(2), confidence: Some(0.0) };
        let one = Content { text: "a".into(), start_ms: Some(1), words: vec![word.clone()], ..Content::default() };
        let said = |content: &Content| VersionState::Content(content.clone());
        let with = |word| Content { words: vec![word], ..one.clone() };
        let others = [
            Content { status: Status::Interim, ..one.clone() },
            Content { start_ms: None, end_ms: Some(1), ..one.clone() },
            Content { end_ms: Some(1), ..one.clone() },
            Content { speaker: Some("a".into()), text: "".into(), ..one.clone() },
            Content { text: "b".into(), ..one.clone() },
            Content { lang: Some("en".into()), ..one.clone() },
            Content { break_before: Some(Break::Turn), ..one.clone() },
            Content { words: vec![], ..one.clone() },
            with(Word { text: "b".into(), ..word.clone() }),
            with(Word { start_ms: 2, ..word.clone() }),
            with(Word { end_ms: None, ..word.clone() }),
            with(Word { confidence: Some(-0.0), ..word }),
        ];
        assert_eq!(content_mark(&said(&one)), content_mark(&said(&one.clone())));
        for other in &others {
            assert_ne!(content_mark(&said(&one)), content_mark(&said(other)), "{other:?}");
        }
        assert_ne!(content_mark(&said(&Content::default())), content_mark(&VersionState::Retracted));
    }

    #[test]
    fn contents_are_as_different_as_their_encodings() {
        let word = |confidence| Word { text: "a".into(), start_ms: 0, end_ms: None, confidence };
        let said = |confidence| VersionState::Content(Content { words: vec![word(confidence)], ..Content::default() });
        for (a, b) in [(Some(0.0), Some(-0.0)), (Some(0.5), None), (Some(0.5), Some(0.25))] {
            let found = compare_versions((1, &said(a)), (1, &said(b)));
            assert!(found.conflict && found.order.is_ne(), "{a:?} {b:?}");
        }
        for same in [Some(0.0), Some(f64::NAN), None] {
            let found = compare_versions((1, &said(same)), (1, &said(same)));
            assert!(!found.conflict && found.order.is_eq(), "{same:?}");
        }
    }

    #[test]
    fn the_canonical_encoding_is_pinned() {
        let content = Content {
            status: Status::Final,
            start_ms: Some(41_000),
            end_ms: Some(64_000),
            speaker: Some("Chair".into()),
            text: "We are in session…".into(),
            lang: Some("en".into()),
            break_before: Some(Break::Turn),
            words: vec![Word { text: "We".into(), start_ms: 41_000, end_ms: Some(41_200), confidence: Some(0.98) }],
        };
        let json = serde_json::to_string(&content).expect("encodes");
        assert_eq!(
            json,
            r#"{"status":"final","start_ms":41000,"end_ms":64000,"speaker":"Chair","text":"We are in session…","lang":"en","break":"turn","words":[{"text":"We","start_ms":41000,"end_ms":41200,"confidence":0.98}]}"#
        );
        let hex = |said: &VersionState| content_hash(said).iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(&VersionState::Content(content)), include_str!("../../tests/golden/content_hash.txt").trim());
        assert_eq!(hex(&VersionState::Retracted), "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b");
    }

    #[test]
    fn names_follow_their_rules() {
        assert!(
            check_source("asr-2").is_ok() && check_source("ASR").is_err() && check_source(&"a".repeat(65)).is_err()
        );
        assert!(check_line_id("A.b_c:1-2").is_ok() && check_line_id("").is_err() && check_line_id("a/b").is_err());
        for (id, sent) in [("7~s2", "7"), ("a:1~s10", "a:1"), (&format!("{}~s2", "x".repeat(128)), &"x".repeat(128))] {
            assert!(check_line_id(id).is_err() && check_kept_line_id(id).is_ok(), "{id}: the fold's to give");
            assert_eq!(sent_id(id), Some(sent));
        }
        assert_eq!((&*beside("7", 2), sent_id("7")), ("7~s2", None));
        for id in ["~s2", "7~", "7~s", "7~s1", "7~s02", "7~s+2", "7~s2~s2", "7~t2", "7~S2", "7~s2 "] {
            assert!(check_kept_line_id(id).is_err(), "{id}");
        }
    }
}
