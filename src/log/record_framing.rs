//! Framing of records in one body: `<length>:<bytes>
//! `, the length in decimal.
//!
//! A record may hold any bytes, or none, because only the length tells where it ends. The line feed is for people: in
//! the `sqlite3` shell, or with `nats stream get`, each record is one line of JSON.

use bytes::Bytes;

/// Appends `record` to `body`.
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

/// Splits a body into its records, which share its memory; `None` if the framing is damaged.
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
