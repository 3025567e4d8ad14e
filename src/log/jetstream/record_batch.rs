//! A message of the stream: consecutive records of a log, with their offsets.
//!
//! The body holds the records in [`record_framing`](crate::log::record_framing). The headers give the offset of the
//! first one and the size of the log before it. So the last message alone gives the head and the size of a log, and
//! from two messages a reader can tell whether another one was between them.

use async_nats::HeaderMap;
use async_nats::jetstream::message::StreamMessage;
use bytes::Bytes;

use crate::log::record_framing;

/// Header: offset of the first record, or of the next one to come if the message has none.
const FIRST: &str = "Captionwire-First";
/// Header: number of records.
const COUNT: &str = "Captionwire-Count";
/// Header: bytes of all earlier records, including erased ones.
const BEFORE: &str = "Captionwire-Bytes-Before";
/// Header of the last message of a generation: how it ended.
const FENCE: &str = "Captionwire-Fence";
/// Header of a remainder: sequence of the message that it replaces, which is to be deleted.
const REPLACES: &str = "Captionwire-Replaces";

/// Header of a remainder: sequence of the original message, from which records were erased.
const STOOD: &str = "Captionwire-Stood";

/// Bytes of a message for a record besides its contents, approximately.
pub(super) const FRAME_BYTES: usize = 8;
/// Upper limit for the bytes of a message besides its records: its headers, with a margin.
pub(super) const HEAD_BYTES: usize = 4096;

/// End of a generation. It is stored in the generation's own subject after its last record, and nothing is stored after
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fence {
    /// The feed was deleted.
    Deleted,
    /// Another generation of the feed has replaced this one.
    Replaced {
        /// Number of the other generation.
        life: u64,
    },
}

impl Fence {
    fn read(text: &str) -> Option<Self> {
        match text.split_once(' ') {
            None if text == "deleted" => Some(Self::Deleted),
            Some(("replaced", life)) => Some(Self::Replaced { life: life.parse().ok()? }),
            _ => None,
        }
    }
}

impl std::fmt::Display for Fence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Deleted => f.write_str("deleted"),
            Self::Replaced { life } => write!(f, "replaced {life}"),
        }
    }
}

/// Consecutive records of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RecordBatch {
    /// Sequence in the stream; 0 before it is stored.
    pub(super) sequence: u64,
    pub(super) first: u64,
    pub(super) before: u64,
    pub(super) records: Vec<Bytes>,
    pub(super) replaces: Option<u64>,
    pub(super) stood: Option<u64>,
    pub(super) fence: Option<Fence>,
}

impl RecordBatch {
    /// Returns the offset after the last record.
    pub(super) fn next(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    /// Returns the bytes of all records of the log up to its end.
    pub(super) fn bytes(&self) -> u64 {
        self.before + self.records.iter().map(|record| record.len() as u64).sum::<u64>()
    }

    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(FIRST, self.first.to_string());
        headers.insert(COUNT, self.records.len().to_string());
        headers.insert(BEFORE, self.before.to_string());
        if let Some(replaces) = self.replaces {
            headers.insert(REPLACES, replaces.to_string());
        }
        if let Some(stood) = self.stood {
            headers.insert(STOOD, stood.to_string());
        }
        if let Some(fence) = self.fence {
            headers.insert(FENCE, fence.to_string());
        }
        headers
    }

    pub(super) fn body(&self) -> Bytes {
        let size = self.records.iter().map(|record| record.len() + FRAME_BYTES).sum();
        let mut body = Vec::with_capacity(size);
        self.records.iter().for_each(|record| record_framing::push(&mut body, record));
        body.into()
    }

    /// Decodes a message; `None` if it is not one of ours.
    pub(super) fn read(sequence: u64, headers: &HeaderMap, body: &Bytes) -> Option<Self> {
        let number = |name: &str| headers.get(name)?.as_str().parse::<u64>().ok();
        let records = record_framing::cut(body.clone())?;
        if records.len() as u64 != number(COUNT)? {
            return None;
        }
        let (first, before) = (number(FIRST)?, number(BEFORE)?);
        let fence = match headers.get(FENCE) {
            Some(fence) => Some(Fence::read(fence.as_str())?),
            None => None,
        };
        Some(Self { sequence, first, before, records, replaces: number(REPLACES), stood: number(STOOD), fence })
    }

    pub(super) fn of(message: &StreamMessage) -> Option<Self> {
        Self::read(message.sequence, &message.headers, &message.payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_read_as_it_was_written() {
        let records = vec![Bytes::from_static(b"a\n"), Bytes::new()];
        let piece =
            RecordBatch { sequence: 9, first: 7, before: 100, records, replaces: Some(3), stood: Some(2), fence: None };
        assert_eq!(RecordBatch::read(9, &piece.headers(), &piece.body()), Some(piece.clone()));
        assert_eq!((piece.next(), piece.bytes()), (9, 102));
        for fence in [Fence::Deleted, Fence::Replaced { life: u64::MAX }] {
            let end = RecordBatch { fence: Some(fence), records: Vec::new(), ..piece.clone() };
            assert_eq!(RecordBatch::read(9, &end.headers(), &end.body()), Some(end));
        }
        let mut unknown = piece.headers();
        unknown.insert(FENCE, "paused");
        assert_eq!(RecordBatch::read(9, &unknown, &piece.body()), None, "it may mean that nothing stands behind it");
        let mut fewer = piece.headers();
        fewer.insert(COUNT, "1");
        assert_eq!(RecordBatch::read(9, &fewer, &piece.body()), None, "a part is no piece");
        assert_eq!(RecordBatch::read(9, &HeaderMap::new(), &piece.body()), None);
    }
}
