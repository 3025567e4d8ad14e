//! One entry of a feed's log: every operation that the log can hold, and its one encoding.
//!
//! Decoding never fails: bytes that this release cannot read become [`Op::Unknown`], which changes nothing. So a log
//! written by a newer release, or damaged in one place, still gives everything else.

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::line::{DEFAULT_SOURCE, Version, check_kept_line_id, check_source};
use super::time::{MediaMs, Timestamp};
use super::turn::TurnSettings;
use crate::position::Epoch;
use crate::transcript::raw_frame::{FrameBytes, RawFrame};
use crate::transcript::serde_arc::maybe_text;

/// Publisher of a record: its source, its session, and the number of the message in that session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PublishedBy {
    /// The source.
    pub source: Arc<str>,
    /// The publisher's session.
    pub session: Arc<str>,
    /// The message's number in the session, from 1.
    pub seq: u64,
    /// True if ids belong to the session: it changes a line of another session under the same id only where the fold's
    /// identity rule allows it. False if ids name the source's lines, whichever session sent them; so it is in logs
    /// older than the rule, and for sessions that declare corrections.
    pub own_ids: bool,
}

/// One entry of a feed's log, without its offset, which only the log knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Time at which the server received it.
    pub received_at: Timestamp,
    /// The publisher; `None` if no publisher sent the record.
    pub published: Option<PublishedBy>,
    /// Id of an operation of a desk or of the server itself. A second record with the same id changes nothing.
    pub op_id: Option<Arc<str>>,
    /// The operation.
    pub op: Op,
}

/// Metadata of a feed. A field that is `None` leaves its value unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FeedMeta {
    /// Display title of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Arc<str>>,
    /// BCP 47 tag of the main language spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Arc<str>>,
    /// Text before the first line of an imported file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preamble: Option<Arc<str>>,
    /// Text after its last line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trailer: Option<Arc<str>>,
}

impl FeedMeta {
    /// Takes over the fields that `newer` sets; true if one of them changed.
    pub fn update(&mut self, newer: &Self) -> bool {
        let before = self.clone();
        let newer = newer.clone();
        self.title = newer.title.or_else(|| self.title.take());
        self.language = newer.language.or_else(|| self.language.take());
        self.preamble = newer.preamble.or_else(|| self.preamble.take());
        self.trailer = newer.trailer.or_else(|| self.trailer.take());
        *self != before
    }
}

/// Operation of a record.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// Versions of lines of one source.
    Line {
        /// The source.
        source: Arc<str>,
        /// One or more versions, in the order in which they were sent.
        lines: Vec<Version>,
    },
    /// Retracts a line.
    Retract {
        /// The source.
        source: Arc<str>,
        /// Id of the line.
        id: Arc<str>,
        /// Revision of the retraction; `None` if the fold numbers it.
        rev: Option<u64>,
    },
    /// Media time has reached this value.
    Clock {
        /// The source whose clock it is.
        source: Arc<str>,
        /// The media time.
        media_ms: MediaMs,
    },
    /// Shows an interim line as final, because its source has gone for good.
    Abandon {
        /// The source.
        source: Arc<str>,
        /// Id of the line.
        id: Arc<str>,
        /// The revision to abandon. If the line has another revision by then, nothing changes.
        rev: Option<u64>,
    },
    /// Changes the name of a speaker everywhere.
    Rename {
        /// The speaker's id.
        speaker: Arc<str>,
        /// The new name.
        name: Arc<str>,
        /// `person`, `role`, …; `None` leaves it unchanged.
        kind: Option<Arc<str>>,
    },
    /// Resolves one speaker to another.
    Merge {
        /// The id that is resolved.
        from: Arc<str>,
        /// The id it is resolved to.
        into: Arc<str>,
    },
    /// Undoes a merge.
    Unmerge {
        /// The id that was merged.
        from: Arc<str>,
    },
    /// The first record of a log. A later one changes nothing.
    Open {
        /// Epoch of this generation of the log.
        epoch: Epoch,
        /// Settings of the turn rule for this generation.
        settings: TurnSettings,
        /// True for an event imported from a file: it is replayed by media time, and its arrival times mean nothing.
        imported: bool,
    },
    /// The event pauses.
    Pause,
    /// The event begins, or resumes after a pause.
    Resume,
    /// The event ends. If a source published it, it counts only if that source is on air.
    End,
    /// The event resumes after its end.
    Reopen,
    /// Metadata of the feed.
    Meta(FeedMeta),
    /// A vendor's frame, stored before the lines decoded from it. It changes nothing, and readers never see it.
    Frame(Box<RawFrame>),
    /// A record that this release cannot read. It changes nothing.
    Unknown,
}

impl Record {
    /// Creates a record that no publisher sent.
    #[must_use]
    pub fn new(received_at: Timestamp, op: Op) -> Self {
        Self { received_at, published: None, op_id: None, op }
    }

    /// Decodes a record that [`Record::encode`] of this or another release wrote.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Self {
        match serde_json::from_slice::<Raw<'_>>(bytes) {
            Ok(raw) => raw.read(),
            Err(_) => Self::new(Timestamp::default(), Op::Unknown),
        }
    }

    /// Returns the encoding: a JSON object on one line. An [`Op::Unknown`] loses its content; it is never written.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut bytes = Vec::new();
        self.encode_to(&mut bytes);
        bytes.into()
    }

    /// Appends the encoding to `bytes`.
    pub fn encode_to(&self, bytes: &mut Vec<u8>) {
        serde_json::to_writer(bytes, &Raw::write(self)).expect("a record has no map with odd keys");
    }
}

/// The encoding as serde sees it: the fields of all operations, most of them absent.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    op: Cow<'a, str>,
    received_at: Timestamp,
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    source: Option<Arc<str>>,
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    session: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    own: bool,
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    op_id: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    lines: Cow<'a, [Version]>,
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    id: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rev: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_ms: Option<MediaMs>,
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    speaker: Option<Arc<str>>,
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    name: Option<Arc<str>>,
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    kind: Option<Arc<str>>,
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    from: Option<Arc<str>>,
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    into: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<Epoch>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    turn_gap_ms: Option<MediaMs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_unknown_turn_ms: Option<MediaMs>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    imported: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    meta: Option<FeedMeta>,
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    connection: Option<Arc<str>>,
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    format: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset_ms: Option<MediaMs>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    names: bool,
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    lang: Option<Arc<str>>,
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    text: Option<Arc<str>>,
    #[serde(default, deserialize_with = "maybe_text", skip_serializing_if = "Option::is_none")]
    hex: Option<Arc<str>>,
}

impl<'a> Raw<'a> {
    fn read(self) -> Record {
        let received_at = self.received_at;
        let published = match (&self.source, &self.session, self.seq) {
            (source, Some(session), Some(seq)) => Some(PublishedBy {
                source: source.clone().unwrap_or_else(|| DEFAULT_SOURCE.into()),
                session: session.clone(),
                seq,
                own_ids: self.own,
            }),
            _ => None,
        };
        let op_id = self.op_id.clone();
        Record { received_at, published, op_id, op: self.read_op().unwrap_or(Op::Unknown) }
    }

    fn read_op(self) -> Option<Op> {
        let source = self.source.unwrap_or_else(|| DEFAULT_SOURCE.into());
        // The order of lines depends on the characters of sources and ids, so a record with a bad name is treated as
        // unreadable.
        let ids = self.lines.iter().map(|version| &version.id).chain(&self.id);
        if check_source(&source).is_err() || ids.into_iter().any(|id| check_kept_line_id(id).is_err()) {
            return None;
        }
        Some(match &*self.op {
            "line" => Op::Line { source, lines: self.lines.into_owned() },
            "retract" => Op::Retract { source, id: self.id?, rev: self.rev },
            "clock" => Op::Clock { source, media_ms: self.media_ms? },
            "line.abandon" => Op::Abandon { source, id: self.id?, rev: self.rev },
            "speaker.rename" => Op::Rename { speaker: self.speaker?, name: self.name?, kind: self.kind },
            "speaker.merge" => Op::Merge { from: self.from?, into: self.into? },
            "speaker.unmerge" => Op::Unmerge { from: self.from? },
            "feed.open" => Op::Open {
                epoch: self.epoch?,
                settings: TurnSettings {
                    turn_gap_ms: self.turn_gap_ms?,
                    max_unknown_turn_ms: self.max_unknown_turn_ms?,
                },
                imported: self.imported,
            },
            "feed.pause" => Op::Pause,
            "feed.resume" => Op::Resume,
            "feed.end" => Op::End,
            "feed.reopen" => Op::Reopen,
            "feed.meta" => Op::Meta(self.meta?),
            "frame" => Op::Frame(Box::new(RawFrame {
                source,
                connection: self.connection?,
                format: self.format?,
                offset_ms: self.offset_ms,
                has_names: self.names,
                lang: self.lang,
                bytes: FrameBytes { text: self.text, hex: self.hex },
            })),
            _ => return None,
        })
    }

    fn write(record: &'a Record) -> Self {
        let mut raw = Self {
            op: record.op.name().into(),
            received_at: record.received_at,
            op_id: record.op_id.clone(),
            ..Self::default()
        };
        if let Some(published) = &record.published {
            raw.source = Some(published.source.clone());
            raw.session = Some(published.session.clone());
            raw.seq = Some(published.seq);
            raw.own = published.own_ids;
        }
        raw.write_op(&record.op);
        raw
    }

    fn write_op(&mut self, op: &'a Op) {
        match op {
            Op::Line { source, lines } => {
                self.source = Some(source.clone());
                self.lines = Cow::Borrowed(lines);
            }
            Op::Retract { source, id, rev } | Op::Abandon { source, id, rev } => {
                (self.source, self.id, self.rev) = (Some(source.clone()), Some(id.clone()), *rev);
            }
            Op::Clock { source, media_ms } => {
                (self.source, self.media_ms) = (Some(source.clone()), Some(*media_ms));
            }
            Op::Rename { speaker, name, kind } => {
                (self.speaker, self.name, self.kind) = (Some(speaker.clone()), Some(name.clone()), kind.clone());
            }
            Op::Merge { from, into } => (self.from, self.into) = (Some(from.clone()), Some(into.clone())),
            Op::Unmerge { from } => self.from = Some(from.clone()),
            Op::Open { epoch, settings, imported } => {
                self.epoch = Some(epoch.clone());
                self.turn_gap_ms = Some(settings.turn_gap_ms);
                self.max_unknown_turn_ms = Some(settings.max_unknown_turn_ms);
                self.imported = *imported;
            }
            Op::Meta(meta) => self.meta = Some(meta.clone()),
            Op::Frame(frame) => {
                let RawFrame { source, connection, format, offset_ms, has_names, lang, bytes } = &**frame;
                self.source = Some(source.clone());
                (self.connection, self.format) = (Some(connection.clone()), Some(format.clone()));
                self.offset_ms = *offset_ms;
                (self.names, self.lang) = (*has_names, lang.clone());
                (self.text, self.hex) = (bytes.text.clone(), bytes.hex.clone());
            }
            Op::Pause | Op::Resume | Op::End | Op::Reopen | Op::Unknown => {}
        }
    }
}

impl Op {
    /// Returns a hash of the operation, for comparisons for equality. It is never stored.
    pub(crate) fn mark(&self) -> u64 {
        let record = Record::new(Timestamp::default(), self.clone());
        foldhash::quality::FixedState::default().hash_one(&record.encode()[..])
    }

    /// Returns the name of the operation in the log.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Line { .. } => "line",
            Self::Retract { .. } => "retract",
            Self::Clock { .. } => "clock",
            Self::Abandon { .. } => "line.abandon",
            Self::Rename { .. } => "speaker.rename",
            Self::Merge { .. } => "speaker.merge",
            Self::Unmerge { .. } => "speaker.unmerge",
            Self::Open { .. } => "feed.open",
            Self::Pause => "feed.pause",
            Self::Resume => "feed.resume",
            Self::End => "feed.end",
            Self::Reopen => "feed.reopen",
            Self::Meta(_) => "feed.meta",
            Self::Frame(_) => "frame",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::Content;
    use super::*;

    fn every_op() -> Vec<Op> {
        let (source, id): (Arc<str>, Arc<str>) = ("main".into(), "7".into());
        let version = Version {
            id: id.clone(),
            rev: Some(2),
            arrival_ms: Some(12),
            time_source: Some(super::super::line::TimeSource::Order),
            content: Content { text: "said".into(), speaker: Some("Chair".into()), ..Content::default() },
        };
        vec![
            Op::Line { source: source.clone(), lines: vec![version] },
            Op::Retract { source: source.clone(), id: id.clone(), rev: Some(3) },
            Op::Clock { source: source.clone(), media_ms: 5 },
            Op::Abandon { source, id, rev: None },
            Op::Rename { speaker: "S1".into(), name: "Ann".into(), kind: Some("person".into()) },
            Op::Merge { from: "S1".into(), into: "S2".into() },
            Op::Unmerge { from: "S1".into() },
            Op::Open { epoch: Epoch::new("e1"), settings: TurnSettings::default(), imported: true },
            Op::Pause,
            Op::Resume,
            Op::End,
            Op::Reopen,
            Op::Meta(FeedMeta { title: Some("Hearing".into()), ..FeedMeta::default() }),
            frame(Some(-5)),
        ]
    }

    fn frame(offset_ms: Option<i64>) -> Op {
        Op::Frame(Box::new(RawFrame {
            source: "main".into(),
            connection: "k3f9q2".into(),
            format: "deepgram".into(),
            offset_ms,
            has_names: true,
            lang: Some("en".into()),
            bytes: FrameBytes::new(b"{}"),
        }))
    }

    #[test]
    fn every_operation_is_read_as_it_was_written() {
        for op in every_op().into_iter().chain([frame(Some(0)), frame(None)]) {
            let mut record = Record::new(Timestamp(1_700_000_000_123), op);
            record.op_id = Some("desk-1".into());
            let source = match &record.op {
                Op::Line { source, .. } => source.clone(),
                _ => "main".into(),
            };
            for own_ids in [false, true] {
                record.published = Some(PublishedBy { source: source.clone(), session: "s".into(), seq: 4, own_ids });
                assert_eq!(Record::decode(&record.encode()), record);
            }
        }
    }

    #[test]
    fn the_encoding_is_pinned() {
        let mut all = String::new();
        for op in every_op() {
            let record = Record::new(Timestamp(1_700_000_000_123), op);
            all.push_str(std::str::from_utf8(&record.encode()).expect("JSON is UTF-8"));
            all.push('\n');
        }
        // Records of a publisher, with ids that belong to its session and with ids of the source; and a line that the
        // fold named, which only the server refers to.
        for own_ids in [true, false] {
            let op = Op::Retract { source: "asr".into(), id: "7".into(), rev: None };
            let published = Some(PublishedBy { source: "asr".into(), session: "s-1".into(), seq: 4, own_ids });
            let record = Record { published, ..Record::new(Timestamp(1_700_000_000_123), op) };
            all.push_str(std::str::from_utf8(&record.encode()).expect("JSON is UTF-8"));
            all.push('\n');
        }
        let named = Op::Abandon { source: "asr".into(), id: "7~s2".into(), rev: Some(1) };
        let named = Record::new(Timestamp(1_700_000_000_123), named).encode();
        assert_ne!(Record::decode(&named).op, Op::Unknown);
        all.push_str(std::str::from_utf8(&named).expect("JSON is UTF-8"));
        all.push('\n');
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/records.ndjson");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(golden, &all).expect("the golden can be written");
        }
        assert_eq!(all, std::fs::read_to_string(golden).expect("the golden is there"));
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        let misnamed = br#"{"op":"clock","received_at":"2026-01-01T00:00:00Z","source":"Main!","media_ms":1}"#;
        let bad_id = br#"{"op":"retract","received_at":"2026-01-01T00:00:00Z","source":"main","id":"a b"}"#;
        let later = br#"{"op":"line.hide","received_at":"2026-01-01T00:00:00Z"}"#;
        for bytes in [&b""[..], b"\xff\xfe", b"{}", later, misnamed, bad_id, b"[1,"] {
            assert_eq!(Record::decode(bytes).op, Op::Unknown);
        }
        // If the envelope can be read, its session and seq still count as used.
        let newer = br#"{"op":"line.dream","received_at":"2026-01-01T00:00:00Z","source":"a","session":"s","seq":9}"#;
        assert_eq!(Record::decode(newer).published.map(|p| p.seq), Some(9));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_in(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = Record::decode(&bytes);
        }
    }
}
