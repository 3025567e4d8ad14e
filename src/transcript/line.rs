//! A caption line: its key, its versions, and the rule that selects its head (semantics, sections 1 and 3).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::growing::{self, GrowingEnum};
use super::mark::{Mark, MarkKind};
use super::time::{MediaMs, Timestamp};
use crate::position::{BadName, is_plain_name};
use crate::transcript::serde_arc::{maybe_text, text};

/// Source of lines that name none.
pub const DEFAULT_SOURCE: &str = "main";

/// Longest speaker label accepted, in bytes: a name with titles fits several times over.
pub const SPEAKER_BYTES_MAX: usize = 256;

/// Longest language tag accepted, in bytes. RFC 5646, section 4.4.1, advises room for 35.
pub const LANG_BYTES_MAX: usize = 35;

/// Checks the name of a source: `[a-z0-9][a-z0-9_-]{0,63}`.
///
/// # Errors
/// [`BadName`], which states the rule.
pub fn check_source(name: &str) -> Result<(), BadName> {
    const RULE: &str = "1 to 64 of a-z, 0-9, '_' and '-', beginning with a letter or digit";
    if is_plain_name(name, 64) { Ok(()) } else { Err(BadName::new("source", name, RULE)) }
}

/// Checks the id of a line: 1 to 128 of `[A-Za-z0-9._:-]`.
///
/// # Errors
/// [`BadName`], which states the rule.
pub fn check_line_id(id: &str) -> Result<(), BadName> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-');
    if (1..=128).contains(&id.len()) && id.bytes().all(allowed) {
        Ok(())
    } else {
        Err(BadName::new("id", id, "1 to 128 of A-Z, a-z, 0-9, '.', '_', ':' and '-'"))
    }
}

/// Separator before the number in the id of a line that was sent under an id which its source already uses for another
/// line: `7~s2` is the second line sent as `7`. Publishers may not send a `~`, so only the fold creates such ids.
const BESIDE: &str = "~s";

/// Returns the id of the `number`-th line that a source sent as `id`.
pub(crate) fn beside(id: &str, number: usize) -> Arc<str> {
    format!("{id}{BESIDE}{number}").into()
}

/// Returns the id under which the line `id` was sent, if that is a different one.
#[must_use]
pub fn sent_id(id: &str) -> Option<&str> {
    if !id.as_bytes().contains(&b'~') {
        return None;
    }
    let (sent, number) = id.rsplit_once(BESIDE)?;
    let is_number = !number.starts_with('0') && number.len() <= 20 && number.bytes().all(|b| b.is_ascii_digit());
    (is_number && !matches!(number, "" | "1") && check_line_id(sent).is_ok()).then_some(sent)
}

/// Checks the id of a line as logs, files and readers hold it: one that [`check_line_id`] accepts, or one that the fold
/// gave to a line beside another (`7~s2`).
///
/// # Errors
/// [`BadName`], which states the rule.
pub fn check_kept_line_id(id: &str) -> Result<(), BadName> {
    if sent_id(id).is_some() { Ok(()) } else { check_line_id(id) }
}

/// Key of a line: its source and the id that the source gave it. It does not depend on time, text or speaker.
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

/// Status of a version: interim or final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// May still change; shown as a guess.
    Interim,
    /// Settled, though the source may still correct it.
    #[default]
    Final,
}

/// Boundary that a source requests before a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Break {
    /// A new turn begins here, whoever speaks.
    Turn,
    /// A boundary of a newer server that this version does not know. Read from messages to clients only.
    #[serde(skip_deserializing)]
    Unknown,
}

impl GrowingEnum for Break {
    const UNKNOWN: Self = Self::Unknown;
}

/// Origin of a line's start that its source did not give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TimeSource {
    /// The feed's media time when the first version arrived.
    Arrival,
    /// Its position in the file it was read from.
    Order,
    /// An origin of a newer server that this version does not know. Read from messages to clients only.
    #[serde(skip_deserializing)]
    Unknown,
}

impl GrowingEnum for TimeSource {
    const UNKNOWN: Self = Self::Unknown;
}

/// One word of a line whose source times its words.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Word {
    /// The word as written in the text.
    #[serde(deserialize_with = "text")]
    pub text: Arc<str>,
    /// Start in media time.
    pub start_ms: MediaMs,
    /// End in media time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<MediaMs>,
    /// Confidence of the source, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

/// Hashes the bits of `confidence`, in agreement with `PartialEq`.
impl Hash for Word {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { text, start_ms, end_ms, confidence } = self;
        (text, start_ms, end_ms, confidence.map(f64::to_bits)).hash(state);
    }
}

/// Equal if the canonical encodings are: `0.0` and `-0.0` are two contents, and every number equals itself.
impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        let Self { text, start_ms, end_ms, confidence } = self;
        let bits = |confidence: Option<f64>| confidence.map(f64::to_bits);
        *text == other.text
            && (*start_ms, *end_ms) == (other.start_ms, other.end_ms)
            && bits(*confidence) == bits(other.confidence)
    }
}

/// Content of a version: all of it but `rev` and arrival.
///
/// The field order is the canonical order: [`content_hash`] is pinned by a golden file and decides conflicts
/// permanently.
#[derive(Debug, Clone, PartialEq, Hash, Default, Serialize, Deserialize)]
pub struct Content {
    /// Interim or final.
    #[serde(default)]
    pub status: Status,
    /// Start of the speech, in media time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<MediaMs>,
    /// End of the speech, if known; not before `start_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<MediaMs>,
    /// The label the source gives the speaker; not an identity.
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    pub speaker: Option<Arc<str>>,
    /// The words spoken. A text that is empty after trimming is not shown.
    #[serde(default, deserialize_with = "text")]
    pub text: Arc<str>,
    /// BCP 47 tag of the text's language.
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    pub lang: Option<Arc<str>>,
    /// `turn` if a turn begins here, regardless of the other rules.
    #[serde(default, rename = "break", skip_serializing_if = "Option::is_none")]
    pub break_before: Option<Break>,
    /// The words with their times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<Word>,
}

impl Content {
    /// Returns the content without its times, and without its timed words.
    #[must_use]
    pub fn without_times(&self) -> Self {
        Self { start_ms: None, end_ms: None, words: Vec::new(), ..self.clone() }
    }
}

/// One version of a line as a record holds it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Version {
    /// Id of the line within the record's source.
    #[serde(deserialize_with = "text")]
    pub id: Arc<str>,
    /// Revision as the source numbered it; `None` if the fold numbers it in log order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<u64>,
    /// Start for a version without a usable time: the feed's media time at arrival, as measured by the server that
    /// received it, or the position in a file. Without it the fold counts the arrival from the feed's opening.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrival_ms: Option<MediaMs>,
    /// Meaning of `arrival_ms`, if it is not the arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_source: Option<TimeSource>,
    /// The content.
    #[serde(rename = "says")]
    pub content: Content,
}

/// State that a version gives its line.
#[derive(Debug, Clone, PartialEq, Hash)]
pub enum VersionState {
    /// The line has this content.
    Content(Content),
    /// The line is retracted.
    Retracted,
}

impl VersionState {
    pub(crate) fn is_interim(&self) -> bool {
        matches!(self, Self::Content(content) if content.status == Status::Interim)
    }

    /// Returns true for a retraction.
    #[must_use]
    pub fn is_retracted(&self) -> bool {
        matches!(self, Self::Retracted)
    }
}

/// Returns the SHA-256 of the canonical encoding: JSON in the field order of [`Content`], `null` for a retraction.
#[must_use]
pub fn content_hash(said: &VersionState) -> [u8; 32] {
    let canonical = match said {
        VersionState::Content(content) => serde_json::to_vec(content).expect("a content has no map with odd keys"),
        VersionState::Retracted => b"null".to_vec(),
    };
    Sha256::digest(&canonical).into()
}

/// Returns a hash that stands for a content in comparisons for equality: 8 bytes instead of the text. It is the same in
/// every process of one build, and is never stored.
pub(crate) fn content_mark(said: &VersionState) -> u64 {
    foldhash::quality::FixedState::default().hash_one(said)
}

/// Result of comparing two versions of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// Rank of the first version against the second; the greater one is the head, and `Equal` means a duplicate.
    pub order: Ordering,
    /// True if one revision was sent with two contents, so that only the hash decides.
    pub conflict: bool,
}

/// Compares two versions by the head rule: the greater one by (not interim, rev, retracted, hash of the content) wins.
///
/// This is a join (the maximum of a total order), so that neither the order of arrival nor repetition matters.
#[must_use]
pub fn compare_versions(a: (u64, &VersionState), b: (u64, &VersionState)) -> Comparison {
    let rank = |(rev, said): (u64, &VersionState)| (!said.is_interim(), rev, said.is_retracted());
    match rank(a).cmp(&rank(b)) {
        Ordering::Equal if a.1 == b.1 => Comparison { order: Ordering::Equal, conflict: false },
        // The hash is expensive and only conflicts need it.
        Ordering::Equal => Comparison { order: content_hash(a.1).cmp(&content_hash(b.1)), conflict: true },
        order => Comparison { order, conflict: false },
    }
}

/// A line as readers see it: the one schema of socket, transcript and export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The source that sent it.
    pub source: Arc<str>,
    /// The id that the source gave it, or the one that the fold gave it (`7~s2`).
    pub id: Arc<str>,
    /// The revision shown.
    pub rev: u64,
    /// Sort key: plain comparison of these strings gives the order of lines.
    pub sort: Arc<str>,
    /// Start as the source gave it, otherwise as `time_source` says.
    pub start_ms: MediaMs,
    /// End, if known.
    #[serde(default)]
    pub end_ms: Option<MediaMs>,
    /// The id of its speaker before merges.
    #[serde(default)]
    pub speaker: Option<Arc<str>>,
    /// The words spoken.
    pub text: Arc<str>,
    /// Interim or final.
    pub status: Status,
    /// The language of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<Arc<str>>,
    /// `turn` if its source begins a turn here.
    #[serde(
        default,
        rename = "break",
        deserialize_with = "growing::maybe_name",
        skip_serializing_if = "Option::is_none"
    )]
    pub break_before: Option<Break>,
    /// Origin of `start_ms`, if not the source.
    #[serde(default, deserialize_with = "growing::maybe_name", skip_serializing_if = "Option::is_none")]
    pub time_source: Option<TimeSource>,
    /// Notations inside the text.
    #[serde(default)]
    pub marks: Vec<Mark>,
    /// The words with their times, if the source gives them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<Word>,
    /// Time at which the server received the version shown.
    pub received_at: Timestamp,
}

impl Line {
    /// Returns the key of the line.
    #[must_use]
    pub fn key(&self) -> LineKey {
        LineKey { source: self.source.clone(), id: self.id.clone() }
    }

    /// Returns true if the line has a name of a newer server: a break, an origin of its start or a kind of a mark that this
    /// version does not know.
    pub(crate) fn is_of_newer_server(&self) -> bool {
        self.break_before == Some(Break::Unknown)
            || self.time_source == Some(TimeSource::Unknown)
            || self.marks.iter().any(|mark| mark.kind == MarkKind::Unknown)
    }

    /// Returns the content, without a start if its source gave none, and without a break of a newer server: no server accepts
    /// its name here.
    #[must_use]
    pub fn into_content(self) -> Content {
        Content {
            status: self.status,
            start_ms: self.time_source.is_none().then_some(self.start_ms),
            end_ms: self.end_ms,
            speaker: self.speaker,
            text: self.text,
            lang: self.lang,
            break_before: self.break_before.filter(|known| *known != Break::Unknown),
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
        // Each version ranks above all before it.
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

    /// Equal contents have equal hashes, and every field of a content affects its hash.
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

    /// A client may read a line of a newer server and publish it again.
    #[test]
    fn a_content_has_no_name_of_a_newer_server() {
        for (name, expected) in [("turn", Some(Break::Turn)), ("chapter", None)] {
            let line = serde_json::json!({
                "source": "main", "id": "1", "rev": 0, "sort": "a", "start_ms": 7, "text": "Yes.", "status": "final",
                "break": name, "time_source": "guessed", "marks": [{"kind": "whispered", "start": 0, "end": 3}],
                "received_at": "2026-01-01T00:00:00Z",
            });
            let content = serde_json::from_value::<Line>(line).expect("a line").into_content();
            assert_eq!(content.break_before, expected, "{name}");
            assert!(serde_json::from_value::<Content>(serde_json::json!(content)).is_ok(), "{name}");
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
