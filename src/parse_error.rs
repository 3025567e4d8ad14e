//! Explanations in plain words of faults in JSON, and in other texts that serde reads: the place, the kind of the
//! value, and the remedy.
//!
//! serde's own messages name Rust's types and quote the text; neither is for the people who sent it. No message made
//! here contains a value of the text.

use serde_json::error::Category;

/// Names that a message lists; of longer lists it gives only the nearest name.
const NAMES_SAID_MAX: usize = 12;
/// Depth of nesting that serde_json reads at most.
const DEPTH_MAX: usize = 128;

/// Explains a fault in `json`, with its place, to follow "it is not JSON: " or "it cannot be read: ".
pub(crate) fn describe_json_error(error: &serde_json::Error, json: &[u8]) -> String {
    let what = describe_json_value_error(error, json);
    // The end of a text is no place to look at, and its beginning needs no hint.
    if error.line() == 0 || json.trim_ascii().is_empty() || error.is_io() {
        return what;
    }
    format!("{what} (line {}, column {})", error.line(), error.column().max(1))
}

/// Like [`describe_json_error`], without line and column, for callers that give the place in a surrounding text.
pub(crate) fn describe_json_value_error(error: &serde_json::Error, json: &[u8]) -> String {
    let words = error.to_string();
    let words = words.rsplit_once(" at line ").map_or(&*words, |(words, _)| words);
    match error.classify() {
        _ if json.trim_ascii().is_empty() => "it is empty".into(),
        Category::Eof => "it ends too early".into(),
        Category::Syntax => describe_syntax_error(words).into(),
        Category::Data => {
            let found = place_in_json(json, error.line(), error.column());
            // If serde reads a value twice, its place is that of the whole.
            let is_there = |kind: &str| found.as_ref().is_some_and(|(_, found)| is_of_kind(kind, found));
            let path = match kind_found(words) {
                Some(kind) if !is_there(kind) => None,
                _ => found.as_ref().map(|(path, _)| path.as_str()),
            };
            describe_value_error(words, path)
        }
        Category::Io => "it could not be read to its end".into(),
    }
}

/// Explains a fault in a value, from serde's message `words`. `path` names the value, or the one whose field is
/// concerned: empty for the whole, `None` if it is unknown.
pub(crate) fn describe_value_error(words: &str, path: Option<&str>) -> String {
    // The first two backticks enclose a name of ours, or that of an unknown field or variant.
    let named = words.split('`').nth(1).unwrap_or_default();
    let field = |name: &str| match path {
        Some(path) if !path.is_empty() => format!("{path}.{name}"),
        _ => name.to_owned(),
    };
    let expected = words.split_once("expected ").map_or("", |(_, expected)| expected);
    let value = match path {
        Some("") => "it",
        Some(path) => path,
        None => "a value",
    };
    if words.starts_with("missing field") {
        format!("{} is missing", field(named))
    } else if words.starts_with("duplicate field") {
        format!("{} is there twice", field(named))
    } else if words.starts_with("unknown field") {
        let name = if is_speakable(named) { field(named) } else { "a field".into() };
        format!("{name} is not known: {}", known_instead(named, expected))
    } else if words.starts_with("unknown variant") {
        format!("{value} must be {}", one_of(named, expected))
    } else if words.starts_with("invalid type") {
        let kind = kind_found(words).map_or(String::new(), |kind| format!(" and is {kind}"));
        format!("{value} must be {}{kind}", kind_wanted(expected))
    } else if words.starts_with("invalid value") {
        format!("{value} must be {}", kind_wanted(expected))
    } else if words.starts_with("invalid length") {
        format!("{value} has too few or too many items")
    } else if words.starts_with("data did not match") || words.contains("enum") || words.contains("variant") {
        // The place is that of the surrounding value.
        "a value has none of the forms that are known".into()
    } else if words == "invalid socket address syntax" {
        format!("{value} must be an address and a port, such as 127.0.0.1:7700")
    } else if words == "invalid IP address syntax" {
        format!("{value} must be an IP address, such as 127.0.0.1")
    } else {
        // Types of ours have messages of their own.
        match path {
            Some("") | None => words.to_owned(),
            Some(path) => format!("{path}: {words}"),
        }
    }
}

fn describe_syntax_error(words: &str) -> &'static str {
    const PLAIN: [(&str, &str); 14] = [
        ("expected value", "there is no JSON value: strings stand in \"quotation marks\""),
        ("expected ident", "there is no JSON value: true, false and null are the only words without quotation marks"),
        ("expected `:`", "a colon is missing behind a name"),
        ("expected `,`", "a comma or a closing bracket is missing"),
        ("expected `\"`", "a quotation mark is missing"),
        ("key must be a string", "a name is missing, or stands without \"quotation marks\""),
        ("trailing comma", "a comma has nothing behind it"),
        ("trailing characters", "something stands behind the end of the JSON value"),
        ("control character", "a control character in a string must be written as an escape, such as \\n"),
        ("invalid escape", "a backslash in a string must be written twice, or begin an escape such as \\n"),
        ("number out of range", "a number is too large"),
        ("invalid number", "a number is not written as JSON has it, such as 12 or 1.5"),
        ("recursion limit", "arrays and objects are nested too deeply"),
        ("invalid unicode", "a string is not UTF-8"),
    ];
    let found = PLAIN.iter().find(|(begin, _)| words.starts_with(begin));
    match found {
        Some((_, plain)) => plain,
        None if words.contains("surrogate") || words.contains("hex escape") => {
            "an escape such as \\ud83d must be followed by its second half"
        }
        None => "it is not well-formed JSON",
    }
}

/// Returns true if a name may be shown. Names of fields are not secret, but someone may have sent text in place of a
/// name.
fn is_speakable(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

/// Returns the accepted names from serde's "`a` or `b`" or "one of `a`, `b`".
fn names(expected: &str) -> Vec<&str> {
    expected.split('`').skip(1).step_by(2).collect()
}

fn nearest<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    names.iter().min_by_key(|known| strsim::osa_distance(name, known)).copied()
}

fn known_instead(name: &str, expected: &str) -> String {
    let names = names(expected);
    match nearest(name, &names) {
        None => "leave it out".into(),
        Some(nearest) if names.len() > NAMES_SAID_MAX => format!("the nearest that is known is {nearest}"),
        Some(_) => format!("known here: {}", names.join(", ")),
    }
}

fn one_of(name: &str, expected: &str) -> String {
    let names = names(expected);
    match nearest(name, &names) {
        None => "another word".into(),
        Some(nearest) if names.len() > NAMES_SAID_MAX => format!("a word that is known here, such as \"{nearest}\""),
        Some(_) => {
            let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
            names.join(" or ")
        }
    }
}

/// Returns the kind of value that serde found, from "invalid type: integer `7`, expected …".
fn kind_found(words: &str) -> Option<&'static str> {
    let found = words.strip_prefix("invalid type: ")?;
    const KINDS: [(&str, &str); 11] = [
        ("string", "a string"),
        ("character", "a string"),
        ("integer", "a whole number"),
        ("floating point", "a number that is not whole"),
        ("boolean", "true or false"),
        ("null", "null"),
        ("unit value", "null"),
        ("Option", "null"),
        ("sequence", "an array"),
        ("map", "an object"),
        ("newtype struct", "an object"),
    ];
    KINDS.iter().find(|(begin, _)| found.starts_with(begin)).map(|(_, kind)| *kind)
}

/// Returns true if a value that begins with this byte can be of that kind.
fn is_of_kind(kind: &str, begin: &u8) -> bool {
    match begin {
        b'"' => kind == "a string",
        b'[' => kind == "an array",
        b'{' => kind == "an object",
        b't' | b'f' => kind == "true or false",
        b'n' => kind == "null",
        _ => kind == "a whole number" || kind == "a number that is not whole",
    }
}

/// Returns the kind of value that serde expects.
fn kind_wanted(expected: &str) -> &str {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" | "u128" => "a whole number of 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" | "i128" => "a whole number",
        "f64" | "f32" => "a number",
        "a boolean" => "true or false",
        "a string or null" => "a string or null",
        "a string" | "a borrowed string" | "string or map" | "path string" | "a character" => "a string",
        "socket address" | "IPv4 socket address" | "IPv6 socket address" => {
            "an address and a port, such as \"127.0.0.1:7700\""
        }
        list if list.starts_with("a sequence") || list.starts_with("tuple") || list.starts_with("an array") => {
            "an array"
        }
        object if ["struct", "map", "enum", "variant"].iter().any(|word| object.contains(word)) => "an object",
        // Types of ours describe what they accept.
        ours if ours.starts_with("a ") || ours.starts_with("an ") => ours,
        _ => "of another kind",
    }
}

/// Returns the path (`turns[0].lines`) of the value at a place that serde_json reported, and the value's first byte.
fn place_in_json(json: &[u8], line: usize, column: usize) -> Option<(String, u8)> {
    let line_starts_at = match line {
        0 => return None,
        1 => 0,
        _ => json.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(line - 2)?.0 + 1,
    };
    let mut search = PlaceSearch { json, target: line_starts_at + column, path: String::new(), found: None };
    search.value(0, 0);
    search.found
}

/// Walk over JSON to the value at a byte position.
struct PlaceSearch<'a> {
    json: &'a [u8],
    target: usize,
    path: String,
    found: Option<(String, u8)>,
}

impl PlaceSearch<'_> {
    fn skip(&self, mut at: usize, also: &[u8]) -> usize {
        while self.json.get(at).is_some_and(|byte| byte.is_ascii_whitespace() || also.contains(byte)) {
            at += 1;
        }
        at
    }

    /// Walks over the value at `at`, and returns the position after it.
    fn value(&mut self, at: usize, depth: usize) -> usize {
        let start = self.skip(at, b"");
        let Some(&first) = self.json.get(start) else { return start };
        // serde_json reports an array or object before it has read into it.
        if start == self.target {
            self.found = Some((self.path.clone(), first));
        }
        let end = match first {
            b'{' | b'[' if depth < DEPTH_MAX => self.items(start + 1, first == b'{', depth),
            b'"' => self.string_end(start),
            _ => {
                let is_over = |byte: &u8| byte.is_ascii_whitespace() || b",:]}".contains(byte);
                let rest = &self.json[start..];
                start + rest.iter().position(is_over).unwrap_or(rest.len()).max(1)
            }
        };
        if self.found.is_none() && (start + 1..=end).contains(&self.target) {
            self.found = Some((self.path.clone(), first));
        }
        end
    }

    fn items(&mut self, mut at: usize, are_named: bool, depth: usize) -> usize {
        let parent = self.path.len();
        for index in 0.. {
            at = self.skip(at, b",");
            // What follows the place need not be valid JSON.
            match self.json.get(at) {
                _ if self.found.is_some() => return at,
                None => return at,
                Some(b'}' | b']') => return at + 1,
                Some(b'"') if are_named => {
                    let end = self.string_end(at);
                    let name = std::str::from_utf8(&self.json[at + 1..end.max(at + 2) - 1]).unwrap_or_default();
                    let name = if is_speakable(name) { name } else { "…" };
                    if parent > 0 {
                        self.path.push('.');
                    }
                    self.path.push_str(name);
                    at = self.skip(end, b":");
                }
                Some(_) => self.path.push_str(&format!("[{index}]")),
            }
            // serde_json reports an unknown or duplicate field after its name.
            if self.target >= at {
                at = self.value(at, depth + 1);
            } else {
                self.path.truncate(parent);
                return self.json.len();
            }
            self.path.truncate(parent);
        }
        at
    }

    /// Returns the position after the string that begins at `at`.
    fn string_end(&self, at: usize) -> usize {
        let mut at = at + 1;
        while let Some(byte) = self.json.get(at) {
            match byte {
                b'"' => return at + 1,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        self.json.len()
    }
}

/// Fails if `said` contains words in which the libraries for serde, TOML and XML address programmers.
#[cfg(test)]
#[track_caller]
pub(crate) fn assert_plain(said: &str) {
    const FOREIGN: [&str; 19] = [
        "expected",
        "invalid type",
        "invalid value",
        "invalid length",
        "missing field",
        "duplicate field",
        "unknown field",
        "unknown variant",
        "at line",
        "trailing characters",
        "EOF while parsing",
        "did not match any variant",
        "struct ",
        "enum ",
        "usize",
        "u64",
        "i64",
        "TOML parse error",
        "secret",
    ];
    for foreign in FOREIGN {
        assert!(!said.contains(foreign), "{foreign:?} is no word for people: {said}");
    }
    assert!(!said.trim().is_empty());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum State {
        Live,
        Ended,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it is only read")]
    struct Inner {
        id: String,
        start_ms: i64,
        #[serde(default)]
        lines: Vec<u8>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(tag = "type", rename_all = "lowercase")]
    #[expect(dead_code, reason = "it is only read")]
    enum Tagged {
        One { number: u64 },
    }

    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "it is only read")]
    enum Untagged {
        Number(u8),
        Words(Vec<String>),
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it is only read")]
    struct Outer {
        state: State,
        #[serde(default)]
        title: Option<String>,
        #[serde(default)]
        turns: Vec<Inner>,
        #[serde(default)]
        tagged: Option<Tagged>,
        #[serde(default)]
        untagged: Option<Untagged>,
        #[serde(default)]
        on: bool,
        #[serde(default)]
        share: f64,
        #[serde(default)]
        by_name: BTreeMap<String, Inner>,
        #[serde(default)]
        pair: Option<(u8, u8)>,
        #[serde(default)]
        listen: Option<std::net::SocketAddr>,
    }

    #[test]
    fn faults_are_said_in_plain_words() {
        let known = "known here: id, start_ms, lines";
        for (json, plain) in [
            ("", "it is empty"),
            (" \n", "it is empty"),
            ("{\"state\":\"live\"", "it ends too early (line 1, column 15)"),
            ("{\"state\":\n nul}", "there is no JSON value: strings stand in \"quotation marks\" (line 2, column 2)"),
            ("{\"state\":secret}", "there is no JSON value: strings stand in \"quotation marks\" (line 1, column 10)"),
            ("{\"state\" 1}", "a colon is missing behind a name (line 1, column 10)"),
            ("{\"state\":\"live\" \"title\":1}", "a comma or a closing bracket is missing (line 1, column 17)"),
            ("{state:1}", "a name is missing, or stands without \"quotation marks\" (line 1, column 2)"),
            ("{\"state\":\"live\",}", "a comma has nothing behind it (line 1, column 17)"),
            ("{\"state\":\"live\"} secret", "something stands behind the end of the JSON value (line 1, column 18)"),
            (
                "{\"title\":\"sec\nret\"}",
                "a control character in a string must be written as an escape, such as \\n (line 2, column 1)",
            ),
            (
                r#"{"title":"\x"}"#,
                "a backslash in a string must be written twice, or begin an escape such as \\n (line 1, column 12)",
            ),
            (
                r#"{"title":"\ud83d"}"#,
                "an escape such as \\ud83d must be followed by its second half (line 1, column 17)",
            ),
            (r#"{"share":1e999}"#, "a number is too large (line 1, column 14)"),
            (r#"{"share":01}"#, "a number is not written as JSON has it, such as 12 or 1.5 (line 1, column 11)"),
            ("{}", "state is missing (line 1, column 2)"),
            ("7", "it must be an object and is a whole number (line 1, column 1)"),
            ("[\"secret\"]", "[0] must be \"live\" or \"ended\" (line 1, column 9)"),
            (r#"{"state":"secret"}"#, "state must be \"live\" or \"ended\" (line 1, column 17)"),
            (
                r#"{"stat":1}"#,
                "stat is not known: known here: state, title, turns, tagged, untagged, on, share, by_name, pair, listen (line 1, column 7)",
            ),
            (r#"{"a secret":1}"#, "a field is not known: known here: state"),
            (r#"{"state":"live","state":"live"}"#, "state is there twice (line 1, column 23)"),
            (r#"{"title":{"secret":1}}"#, "title must be a string and is an object (line 1, column 9)"),
            (r#"{"title":["secret"]}"#, "title must be a string and is an array (line 1, column 9)"),
            (r#"{"title":1.5}"#, "title must be a string and is a number that is not whole (line 1, column 12)"),
            (r#"{"on":"secret"}"#, "on must be true or false and is a string (line 1, column 14)"),
            (r#"{"on":null}"#, "on must be true or false and is null (line 1, column 10)"),
            (r#"{"share":"secret"}"#, "share must be a number and is a string (line 1, column 17)"),
            (
                r#"{"turns":[{"id":"1","start_ms":1},
                {"id":"2","start_ms":"secret"}]}"#,
                "turns[1].start_ms must be a whole number and is a string (line 2, column 45)",
            ),
            (
                r#"{"turns":[{"id":"1","start_ms":1.5}]}"#,
                "turns[0].start_ms must be a whole number and is a number that is not whole (line 1, column 34)",
            ),
            (r#"{"turns":[{"id":"1"}]}"#, "turns[0].start_ms is missing (line 1, column 20)"),
            (r#"{"turns":[{"id":"1","id":"1"}]}"#, "turns[0].id is there twice (line 1, column 24)"),
            (
                r#"{"turns":[{"id":"1","strat_ms":1}]}"#,
                &format!("turns[0].strat_ms is not known: {known} (line 1, column 30)"),
            ),
            (
                r#"{"turns":[{"id":"1","start_ms":1,"lines":[1,300]}]}"#,
                "turns[0].lines[1] must be a whole number from 0 to 255 (line 1, column 47)",
            ),
            (
                r#"{"turns":[{"id":"1","start_ms":1,"lines":[1,-1]}]}"#,
                "turns[0].lines[1] must be a whole number from 0 to 255 (line 1, column 46)",
            ),
            (r#"{"turns":{"secret":1}}"#, "turns must be an array and is an object (line 1, column 9)"),
            (
                r#"{"by_name":{"a secret":{"id":7,"start_ms":1}}}"#,
                "by_name.….id must be a string and is a whole number (line 1, column 30)",
            ),
            (r#"{"tagged":{"number":1}}"#, "tagged.type is missing (line 1, column 22)"),
            (r#"{"tagged":{"type":"secret"}}"#, "tagged.type must be \"one\" (line 1, column 26)"),
            // serde reads it twice: which value it is, is not known any more.
            (
                r#"{"tagged":{"type":"one","number":"secret"}}"#,
                "a value must be a whole number of 0 or more and is a string (line 1, column 43)",
            ),
            (r#"{"untagged":"secret"}"#, "a value has none of the forms that are known (line 1, column 21)"),
            (r#"{"pair":[1]}"#, "pair has too few or too many items (line 1, column 11)"),
            (
                r#"{"listen":"secret"}"#,
                "listen must be an address and a port, such as 127.0.0.1:7700 (line 1, column 18)",
            ),
        ] {
            let error = serde_json::from_str::<Outer>(json).map(|_| json).expect_err("bad");
            let said = describe_json_error(&error, json.as_bytes());
            assert!(said.starts_with(plain), "{json}\n  gives {said}\n  not   {plain}\n  from  {error}");
            assert_plain(&said);
        }
        let deep = "[".repeat(1000);
        let error = serde_json::from_str::<serde_json::Value>(&deep).expect_err("too deep");
        assert!(describe_json_error(&error, deep.as_bytes()).starts_with("arrays and objects are nested too deeply"));
        let _ = (State::Live, State::Ended);
    }

    proptest::proptest! {
        /// No error message repeats any part of the text, or uses serde's words.
        #[test]
        fn whatever_is_wrong_is_said_plainly(
            json in r#"(\{("(state|title|turns|tagged|pair|on)":("secret"|1|-1|1e400|null|\[\]|\{\}|\[\{"id":("secret"|1)\}\]),?){0,4}\}?|\PC{0,20})"#
        ) {
            if let Err(error) = serde_json::from_str::<Outer>(&json) {
                let said = describe_json_error(&error, json.as_bytes());
                assert_plain(&said);
            }
        }
    }
}
