//! How records lie one behind the other: `<length>:<bytes>\n`, the length in decimal.
//!
//! Any bytes may stand in a record, the empty one too, since the length alone says where it ends. The line feed is for
//! people: what is opened in the `sqlite3` shell, or fetched with `nats stream get`, reads as one JSON line per record.

use bytes::Bytes;

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

/// The records of a body, sharing its memory; `None` when they cannot be told apart.
pub(super) fn cut(mut body: Bytes) -> Option<Vec<Bytes>> {
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
