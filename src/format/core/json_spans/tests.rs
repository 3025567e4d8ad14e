//! Tests of `json_spans`.

use super::*;

#[test]
fn pieces_know_where_they_stand() {
    let text = "{\n  \"a\": [1,\n    \"é\", x]}";
    let places = JsonSpans::of(text);
    assert_eq!(places.place(&text[text.find('1').expect("there")..]), (2, 9));
    assert_eq!(places.place(&text[text.find('x').expect("there")..]), (3, 10));
    assert_eq!(places.place(&text[text.len()..]), (3, 13));
    // In any order of lookups.
    assert_eq!(places.place(&text[text.find('1').expect("there")..]), (2, 9));
    assert_eq!(places.place(text), (1, 1));
}

#[test]
fn numbers_that_python_writes_are_null_and_columns_stay() {
    for (text, mended) in [
        (r#"{"a": NaN, "b": 1}"#, r#"{"a":null, "b": 1}"#),
        (r#"[NaN,Infinity,-Infinity, 1]"#, r#"[null,null    ,null     , 1]"#),
        (r#"{"NaN": "a \" NaN \\", "b": NaN}"#, r#"{"NaN": "a \" NaN \\", "b":null}"#),
        (r#"{"a": "NaN"}"#, r#"{"a": "NaN"}"#),
        (r#"{"a": 1}"#, r#"{"a": 1}"#),
    ] {
        assert_eq!(without_odd_numbers(text), mended);
        serde_json::from_str::<serde::de::IgnoredAny>(mended).expect("JSON");
    }
    // Text that is no JSON for other reasons stays as it is.
    for text in ["NaN of", "[NaN] It is NaN.\n", "{NaN", "{\"a\":NaN, \"b\"}\n[NaN"] {
        assert_eq!(with_numbers_of_json(text), text);
    }
    let rows = "{\"a\": NaN}\n{\"a\": NaN,\n{\"a\": 1}\n";
    assert_eq!(with_numbers_of_json(rows), "{\"a\":null}\n{\"a\": NaN,\n{\"a\": 1}\n");
}

#[test]
fn a_file_that_breaks_off_is_closed_behind_its_last_whole_value() {
    for (text, closed) in [
        (r#"{"a":[{"b":1},{"b":2"#, Some(r#"{"a":[{"b":1}]}"#)),
        (r#"{"a":[{"b":1,"c":"x]\"","d"#, Some(r#"{"a":[{"b":1,"c":"x]\""}]}"#)),
        (r#"[{"b":1},"#, Some(r#"[{"b":1}]"#)),
        (r#"{"a":1}{"b":[1,2"#, Some(r#"{"a":1}{"b":[1]}"#)),
        (r#"{"a":1}"#, None),
        (r#"{"a":1}}"#, None),
        ("{x", None),
        ("a", None),
    ] {
        assert_eq!(closed_json(text).map(|closed| closed.text).as_deref(), closed, "{text}");
    }
    let marked = "{\"a\":\"\u{FEFF}\"}\u{FEFF}{\"a\":1}";
    assert_eq!(without_marks_between_values(marked, true), "{\"a\":\"\u{FEFF}\"} {\"a\":1}");
    for text in ["{x}: \u{FEFF}a", "[1] \u{FEFF}a", "{\"a\":1}\nAnn: \u{FEFF}a"] {
        assert_eq!(without_marks_between_values(text, false), text);
    }
}

#[test]
fn places_in_one_long_line_are_counted_from_nearby() {
    let text = "aé\u{2019}".repeat(100_000);
    let places = JsonSpans::of(&text);
    // From the end to the beginning, and back.
    for index in (0..100_000).rev().chain(0..100_000) {
        let at = index * 6;
        assert_eq!(places.place(&text[at..]), (1, index * 3 + 1));
        assert_eq!(places.place(&text[at + 3..]), (1, index * 3 + 3));
    }
    assert_eq!(places.place(&text[text.len()..]), (1, 300_001));
    assert_eq!(JsonSpans::of("").place(""), (1, 1));
}

#[test]
fn one_bad_piece_spoils_no_other() {
    let text = "{\"list\": [{\"a\": 1},\n {\"a\": \"x\"},\n {\"a\": 3}]}";
    let fields: Fields<'_> = whole(text).expect("JSON");
    let (places, mut gather) = (JsonSpans::of(text), TranscriptBuilder::default());
    let list = places.list(&fields, "list", &mut gather);
    #[derive(Deserialize)]
    struct One {
        a: u32,
    }
    let read: Vec<u32> =
        list.into_iter().filter_map(|one| places.read::<One>(one, "this", &mut gather)).map(|one| one.a).collect();
    assert_eq!(read, [1, 3]);
    let problems = gather.problems.finish();
    assert_eq!((problems.len(), problems[0].line, problems[0].column), (1, 2, 10), "{problems:?}");
}

#[test]
fn a_fault_within_a_piece_of_several_lines_has_its_own_line() {
    let text = "{\"list\": [\n  {\"a\": 1,\n   \"b\":\n     \"x\"}]}";
    let fields: Fields<'_> = whole(text).expect("JSON");
    let (places, mut gather) = (JsonSpans::of(text), TranscriptBuilder::default());
    #[derive(Debug, Deserialize)]
    struct One {
        #[allow(dead_code, reason = "it cannot be read")]
        b: u32,
    }
    let list = places.list(&fields, "list", &mut gather);
    assert!(places.read::<One>(list[0], "this", &mut gather).is_none());
    let problems = gather.problems.finish();
    assert_eq!((problems[0].line, problems[0].column), (4, 8), "{problems:?}");
}

#[test]
fn seconds_and_labels_are_read_as_they_are_met() {
    let seconds = |text: &str| serde_json::from_str::<Seconds>(text).expect("any value").ms();
    for (text, ms) in [
        ("1.5", Some(1_500)),
        ("\"12.340\"", Some(12_340)),
        ("\"00:01:02,345\"", Some(62_345)),
        ("\"1:02.5\"", Some(62_500)),
        ("\"1:99\"", None),
        ("\"12.3s\"", Some(12_300)),
        ("\"s\"", None),
        ("\"inf\"", None),
        ("{\"seconds\":\"12\",\"nanos\":300000000}", Some(12_300)),
        ("{\"nanos\":5000000}", Some(5)),
        ("{\"seconds\":12,\"of\":1}", None),
        ("{}", None),
        ("null", None),
        ("-1", None),
        ("1e300", None),
        ("[]", None),
    ] {
        assert_eq!(seconds(text), ms, "{text}");
    }
    let label = |text: &str| serde_json::from_str::<SpeakerLabelValue>(text).expect("any value").0;
    for (text, name) in [
        ("0", Some("Speaker 0")),
        ("\"7\"", Some("Speaker 7")),
        ("\"Ann\"", Some("Ann")),
        ("\"UU\"", None),
        ("null", None),
        ("1.0", Some("Speaker 1")),
        ("1.5", None),
        ("-1.0", None),
        ("{\"name\":\"Ann\",\"id\":3}", Some("Ann")),
        ("{\"name\":null,\"id\":3,\"voice\":[1]}", Some("Speaker 3")),
        ("{\"speaker\":{\"display_name\":\"Ann\"}}", Some("Ann")),
        ("{\"voice\":1}", None),
        ("[\"Ann\"]", None),
        ("true", None),
    ] {
        assert_eq!(label(text).as_deref(), name, "{text}");
    }
}
