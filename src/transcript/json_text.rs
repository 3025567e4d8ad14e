//! JSON from outside: what is wrong with it in plain words, and escapes that stand for no character.

/// Says in plain words where and how JSON text is at fault, to be read behind "it is not JSON: " or the like. Never holds any
/// of the text.
#[must_use]
pub fn describe_json_error(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Eof if line <= 1 && column == 0 => "it is empty".into(),
        serde_json::error::Category::Eof => format!("it ends too early, at line {line}, column {column}"),
        serde_json::error::Category::Syntax => format!("see line {line}, column {column}"),
        serde_json::error::Category::Data => {
            let place = if line > 0 { format!(", see line {line}, column {column}") } else { String::new() };
            format!("{}{place}", describe_data_error(&error.to_string()))
        }
        serde_json::error::Category::Io => "it could not be read to its end".into(),
    }
}

/// What is wrong with a value, from serde's words for it; what our own types say of it stays.
fn describe_data_error(words: &str) -> String {
    let words = words.rsplit_once(" at line ").map_or(words, |(words, _)| words);
    // What stands between the first two backticks is a name of ours but for `unknown field` and `unknown variant`.
    let name = words.split('`').nth(1).unwrap_or_default();
    let expected = words.split_once("expected ").map_or("", |(_, expected)| expected);
    let plain = expected.replace("one of ", "").replace('`', "\"");
    if words.starts_with("missing field") {
        format!("the field \"{name}\" is missing")
    } else if words.starts_with("duplicate field") {
        format!("the field \"{name}\" is there twice")
    } else if words.starts_with("unknown field") {
        format!("a field is not known here; {plain} would be")
    } else if words.starts_with("unknown variant") {
        format!("a value is not one of {plain}")
    } else if words.starts_with("invalid ") {
        let kind = match expected {
            number if number.starts_with(['u', 'i']) && number[1..].parse::<u8>().is_ok() => "a whole number",
            "f64" | "f32" => "a number",
            "a boolean" => "true or false",
            "a string" | "a borrowed string" | "a string or null" | "string or map" => "a string",
            list if list.starts_with("a sequence") || list.starts_with("tuple") => "an array",
            object if object.contains("struct") || object.contains("map") || object.contains("enum") => "an object",
            _ => return "a value is not of the expected kind".into(),
        };
        format!("a value is not {kind}")
    } else {
        words.to_owned()
    }
}

/// Replaces escapes of surrogates that have no partner by `\ufffd`, which is U+FFFD; `None` if there are none. Programs that
/// cut text in the midst of a character write them (RFC 8259, section 8.2), and one of them is no reason to lose a line.
#[must_use]
pub fn replace_lone_surrogates(json: &[u8]) -> Option<Vec<u8>> {
    if !json.contains(&b'\\') {
        return None;
    }
    let mut replaced: Option<Vec<u8>> = None;
    let mut at = 0;
    while at < json.len() {
        let step = match (json[at], surrogate(json, at)) {
            // A backslash that is escaped begins nothing.
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

/// The surrogate whose escape stands at `at`.
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

    #[test]
    fn faults_are_said_in_plain_words() {
        let describe = |json: &str| describe_json_error(&serde_json::from_str::<Vec<u8>>(json).expect_err("bad"));
        assert_eq!(describe(""), "it is empty");
        assert_eq!(describe("[1,"), "it ends too early, at line 1, column 3");
        assert_eq!(describe("[1,\n nul]"), "see line 2, column 5");
        assert_eq!(describe("[\"secret\"]"), "a value is not a whole number, see line 1, column 9");
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "lowercase")]
        enum State {
            Live,
            Ended,
        }
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wanted {
            #[allow(dead_code)]
            state: State,
        }
        let describe = |json: &str| describe_json_error(&serde_json::from_str::<Wanted>(json).expect_err("bad"));
        for (json, plain) in [
            ("{}", "the field \"state\" is missing, see line 1, column 2"),
            (r#"{"state":"secret"}"#, "a value is not one of \"live\" or \"ended\", see line 1, column 17"),
            (r#"{"stat":1}"#, "a field is not known here; \"state\" would be, see line 1, column 7"),
            (r#"{"state":"live","state":"live"}"#, "the field \"state\" is there twice, see line 1, column 23"),
            ("7", "a value is not an object, see line 1, column 1"),
        ] {
            assert_eq!(describe(json), plain, "{json}");
        }
        let _ = (State::Live, State::Ended);
    }
}
