//! Repair of JSON from outside: escapes that stand for no character.

/// Replaces escapes of surrogates that have no partner by `\ufffd`, which is U+FFFD; `None` if there are none. Programs
/// that cut text within a character write them (RFC 8259, section 8.2), and such an escape is no reason to lose a line.
#[must_use]
pub(crate) fn replace_lone_surrogates(json: &[u8]) -> Option<Vec<u8>> {
    if !json.contains(&b'\\') {
        return None;
    }
    let mut replaced: Option<Vec<u8>> = None;
    let mut at = 0;
    while at < json.len() {
        let step = match (json[at], surrogate(json, at)) {
            // An escaped backslash begins no escape.
            (b'\\', None) => 2,
            (_, None) => 1,
            (_, Some(0xd800..=0xdbff)) if matches!(surrogate(json, at + 6), Some(0xdc00..=0xdfff)) => 12,
            (_, Some(_)) => {
                let replaced = replaced.get_or_insert_with(|| json.to_vec());
                replaced[at..at + 6].copy_from_slice(b"\\ufffd");
                6
            }
        };
        at += step;
    }
    replaced
}

/// Returns the surrogate whose escape begins at `at`.
fn surrogate(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let unit = u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (0xd800..=0xdfff).contains(&unit).then_some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_surrogates_are_replaced_and_pairs_are_not() {
        let check = |json: &str, expected: Option<&str>| {
            let replaced = replace_lone_surrogates(json.as_bytes());
            assert_eq!(replaced.as_deref().map(|bytes| std::str::from_utf8(bytes).expect("UTF-8")), expected, "{json}");
            if let Some(replaced) = replaced {
                serde_json::from_slice::<serde_json::Value>(&replaced).expect("JSON now");
            }
        };
        check(r#""\ud83d\ude00 \u00e9 \n""#, None);
        check(r#""\\ud83d""#, None);
        check(r#""a\ud83d""#, Some(r#""a\ufffd""#));
        check(r#""\ude00b""#, Some(r#""\ufffdb""#));
        check(r#""\ud83d\ud83d\ude00""#, Some(r#""\ufffd\ud83d\ude00""#));
        check(r#""\\\uD83D\n""#, Some(r#""\\\ufffd\n""#));
        assert_eq!(replace_lone_surrogates(b"\\ud8"), None);
        assert_eq!(replace_lone_surrogates(b"\\"), None);
    }
}
