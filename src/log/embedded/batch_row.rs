//! Encoding of records in one row: [`record_framing`](crate::log::record_framing), with a checksum beside the body that
//! detects changes by the disk, even of a single letter.

use bytes::Bytes;
use rusqlite::Row;

pub(super) use crate::log::record_framing::{cut, push};

/// A row of `batches` without its id.
#[derive(Debug, Clone)]
pub(super) struct BatchRow {
    pub(super) log: i64,
    /// The offset of the first record.
    pub(super) first: i64,
    pub(super) count: i64,
    pub(super) body: Bytes,
    /// Checksum; `None` in rows of the first version and in emptied rows.
    pub(super) crc: Option<u32>,
}

/// The columns of a [`BatchRow`], in its order.
pub(super) const COLUMNS: &str = "log, first, count, body, crc";

impl BatchRow {
    /// Reads the [`COLUMNS`], which begin at the column `at`.
    pub(super) fn read(row: &Row<'_>, at: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            log: row.get(at)?,
            first: row.get(at + 1)?,
            count: row.get(at + 2)?,
            body: Bytes::from(row.get::<_, Vec<u8>>(at + 3)?),
            crc: row.get(at + 4)?,
        })
    }

    /// Returns the records, which share the row's memory; `None` if the row is damaged.
    pub(super) fn records(&self) -> Option<Vec<Bytes>> {
        if self.crc.is_some_and(|crc| crc != checksum(self.log, self.first, self.count, &self.body)) {
            return None;
        }
        cut(self.body.clone()).filter(|records| i64::try_from(records.len()) == Ok(self.count))
    }
}

/// Returns the CRC-32 (ISO-HDLC) of log, first and count, as eight little-endian bytes each, and the body.
pub(super) fn checksum(log: i64, first: i64, count: i64, body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    for number in [log, first, count] {
        crc.update(&number.to_le_bytes());
    }
    crc.update(body);
    crc.finalize()
}
