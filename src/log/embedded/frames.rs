//! How records lie in one row: `<length>:<bytes>\n`, one after another, the length in decimal.
//!
//! Any bytes may stand in a record, the empty one too, since the length alone says where it ends. The line feed is for
//! people: a row opened in the `sqlite3` shell reads as one JSON line per record. A checksum beside the body tells what a
//! disk has changed, a single letter too.

use bytes::Bytes;
use rusqlite::Row;

/// Adds `record` to the end of `body`.
pub(super) fn push(body: &mut Vec<u8>, record: &[u8]) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    let mut rest = record.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    body.extend_from_slice(&digits[start..]);
    body.push(b':');
    body.extend_from_slice(record);
    body.push(b'\n');
}

/// A row of `batches` but for its id.
#[derive(Debug, Clone)]
pub(super) struct Frames {
    pub(super) log: i64,
    /// The offset of the first record.
    pub(super) first: i64,
    pub(super) count: i64,
    pub(super) body: Bytes,
    /// None in rows of the first version, which had none.
    pub(super) crc: Option<u32>,
}

/// The columns that make a [`Frames`], in its order.
pub(super) const COLUMNS: &str = "log, first, count, body, crc";

impl Frames {
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

    /// Its records, sharing its memory; `None` when it is not as it was written.
    pub(super) fn records(&self) -> Option<Vec<Bytes>> {
        if self.crc.is_some_and(|crc| crc != checksum(self.log, self.first, self.count, &self.body)) {
            return None;
        }
        cut(self.body.clone()).filter(|records| i64::try_from(records.len()) == Ok(self.count))
    }
}

/// CRC-32 (ISO-HDLC) of log, first and count in eight bytes each, little end first, and the body.
pub(super) fn checksum(log: i64, first: i64, count: i64, body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    for number in [log, first, count] {
        crc.update(&number.to_le_bytes());
    }
    crc.update(body);
    crc.finalize()
}

/// The records of a body, sharing its memory; `None` when they cannot be told apart.
fn cut(mut body: Bytes) -> Option<Vec<Bytes>> {
    let mut records = Vec::new();
    while !body.is_empty() {
        let colon = body.iter().take(20).position(|byte| *byte == b':')?;
        let length: usize = std::str::from_utf8(&body[..colon]).ok()?.parse().ok()?;
        let end = (colon + 1).checked_add(length)?;
        if body.get(end) != Some(&b'\n') {
            return None;
        }
        records.push(body.slice(colon + 1..end));
        body = body.slice(end + 1..);
    }
    Some(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back_as_they_went_in() {
        let records: [&[u8]; 6] = [b"", b"{}", b"3:a\n", b"\n", &[0, 255, b':'], &[b'x'; 1234]];
        let mut body = Vec::new();
        for record in records {
            push(&mut body, record);
        }
        assert!(body.starts_with(b"0:\n2:{}\n"));
        assert_eq!(cut(body.into()).expect("whole"), records);
    }

    #[test]
    fn damage_is_seen() {
        for body in ["3:ab\n", "3:abcd\n", ":a\n", "x:a\n", "-1:\n", "1:a", "99999999999999999999:a\n", "7"] {
            assert_eq!(cut(Bytes::from_static(body.as_bytes())), None, "{body}");
        }
    }
}
