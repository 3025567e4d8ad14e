//! A message of the stream: some records of a log, and where they stand.
//!
//! The body is the records as [`record_framing`](crate::log::record_framing); the headers say where the first of them stands and what the log held before
//! it. So the last message alone tells the head of a log and its size, and whoever reads two messages knows whether
//! there was another between them.

use async_nats::HeaderMap;
use async_nats::jetstream::message::StreamMessage;
use bytes::Bytes;

use crate::log::record_framing;

/// The offset of the first record, or where the next will stand if there is none in the message.
const FIRST: &str = "Captionwire-First";
/// How many records there are.
const COUNT: &str = "Captionwire-Count";
/// The bytes of all records before them, erased ones included.
const BEFORE: &str = "Captionwire-Bytes-Before";
/// In a message behind which nothing stands any more: how the life ended.
const FENCE: &str = "Captionwire-Fence";
/// In a message that is kept for another: the sequence of that one, which is to be deleted.
const REPLACES: &str = "Captionwire-Replaces";

/// In such a message: where in the stream the first one stood of which something was erased.
const STOOD: &str = "Captionwire-Stood";

/// What a record costs in a message beside its bytes, about.
pub(super) const FRAME_BYTES: usize = 8;
/// What a message has beside its records, at most: headers, and more than that.
pub(super) const HEAD_BYTES: usize = 4096;

/// How a life ended. It stands in the life's own subject, behind its last record, and nothing is stored behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fence {
    /// The feed was deleted.
    Deleted,
    /// Another life of the feed has taken its place.
    Replaced {
        /// The number of that one.
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

/// Some records of a log, one behind the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RecordBatch {
    /// Its place in the stream; 0 before it is there.
    pub(super) sequence: u64,
    pub(super) first: u64,
    pub(super) before: u64,
    pub(super) records: Vec<Bytes>,
    pub(super) replaces: Option<u64>,
    pub(super) stood: Option<u64>,
    pub(super) fence: Option<Fence>,
}

impl RecordBatch {
    /// The offset after the last record.
    pub(super) fn next(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    /// The bytes of all records up to its end.
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

    /// Reads a message; none if it is not one of ours.
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
