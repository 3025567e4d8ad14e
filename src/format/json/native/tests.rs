//! Tests of `native`.

use super::*;
use crate::format::core::line_limits::LineLimits;
use crate::format::registry::{ReadOptions, read_with};

/// Start, text and number of words of a line.
type LineFacts = (Option<i64>, String, usize);

/// Reads a file. Returns its lines, and the line numbers of its problems.
fn lines(file: &str) -> (Vec<LineFacts>, Vec<usize>) {
    let reading = crate::format::registry::read(file.as_bytes(), None).expect("it can be read");
    let line = |line: Version| (line.content.start_ms, line.content.text.to_string(), line.content.words.len());
    let problems = reading.problems.iter().map(|problem| problem.line).collect();
    (reading.lines.into_iter().map(line).collect(), problems)
}

#[test]
fn a_row_behind_one_that_breaks_off_is_read() {
    const ROW: &str = r#"{"start_ms":2000,"speaker":{"name":"Ben"},"text":"two"}"#;
    for (half, rest, texts, told) in [
        (r#"{"start_ms":1000,"te"#, ROW, &["one", "two", "end"][..], "another one stands behind it"),
        (r#"{"start_ms":1000,"text":"ha"#, ROW, &["one", "two", "end"], "another one stands behind it"),
        (
            r#"{"start_ms":1000,"te"#,
            r#"{"start_ms":1500,"text":"too"}{"start_ms":2000,"text":"two"}"#,
            &["one", "too", "two", "end"],
            "another one stands behind it",
        ),
        (r#"{"start_ms":1000,"text":"half"}"#, "x", &["one", "half", "end"], "behind the value"),
        (r#"{"start_ms":1000,"text":"half","#, "", &["one", "end"], "this row is no JSON"),
        // An object inside the truncated row is no row.
        (r#"{"start_ms":1000,"text":"half","speaker":{"text":"x"}"#, "", &["one", "end"], "this row is no JSON"),
    ] {
        let ends = [r#"{"start_ms":0,"text":"one"}"#, r#"{"start_ms":3000,"text":"end"}"#];
        let file = format!("{}\n{half}{rest}\n{}\n", ends[0], ends[1]);
        let reading = crate::format::registry::read(file.as_bytes(), None).expect("it can be read");
        let found: Vec<_> = reading.lines.iter().map(|line| &*line.content.text).collect();
        assert_eq!(found, texts, "{file}");
        let messages: Vec<_> = reading.problems.iter().map(|problem| &*problem.message).collect();
        assert!(matches!(messages[..], [message] if message.contains(told)), "{file}: {messages:?}");
    }
}

/// A program may die within one row more than once. The last truncated piece is reported as well.
#[test]
fn rows_between_two_that_break_off_are_read() {
    let (half, too, two) =
        (r#"{"start_ms":1000,"te"#, r#"{"start_ms":1500,"text":"too"}"#, r#"{"start_ms":2000,"text":"two"}"#);
    for (row, texts, told) in [
        (format!("{half}{too}{half}"), &["too"][..], 2),
        (format!("{half}{too}{two}{half}"), &["too", "two"], 2),
        (format!("{half}{too}{half}{two}"), &["too", "two"], 2),
        (format!("{half}{too} x"), &[], 1),
        // The words of a truncated row are no rows, however many they are.
        (format!("{{\"words\":[{}{half}{too}", "{\"text\":\"a\",\"start_ms\":0},".repeat(200)), &["too"], 1),
        // What is not looked for is reported too.
        ([half, too].concat().repeat(40), &["too"; 16], 17),
        (half.repeat(200_000), &[], 1),
    ] {
        let file = format!("{{\"start_ms\":0,\"text\":\"one\"}}\n{row}\n");
        let reading = crate::format::registry::read(file.as_bytes(), None).expect("it can be read");
        let found: Vec<_> = reading.lines.iter().skip(1).map(|line| &*line.content.text).collect();
        let start = &row[..row.len().min(80)];
        assert_eq!((&*found, reading.problems.len()), (texts, told), "{start}: {:?}", reading.problems);
    }
}

#[test]
fn rows_of_publishers_are_what_each_was_in_the_end() {
    let file = r#"{"id":"1","start_ms":5,"text":"He","status":"interim"}
{"id":"1","start_ms":5,"text":"Hello there","words":[{"text":"Hello","start_ms":5,"end_ms":9},{"text":"there","start_ms":7}]}
{"id":"2","start_ms":20,"text":"Yes","status":"interim"}
{"id":"1","start_ms":30,"text":"Hello again, and later"}
{"start_ms":40,"text":"bad words","words":[{"text":"bad"},{"text":"words","start_ms":-1}]}
"#;
    let (lines, problems) = lines(file);
    let line = |start, text: &str, words| (Some(start), text.to_owned(), words);
    assert_eq!(lines, [line(30, "Hello again, and later", 0), line(20, "Yes", 0), line(40, "bad words", 0)]);
    assert_eq!(problems, [3, 3, 5]);
}

/// Two programs count their ids from 1, or one does so again: the words show which line is another one.
#[test]
fn rows_of_two_programs_in_one_file_overwrite_nothing() {
    let rows = |rows: &[(&str, i64, &str)]| {
        let row = |(id, start_ms, text): &(&str, i64, &str)| {
            serde_json::json!({"id": id, "start_ms": start_ms, "text": text}).to_string()
        };
        rows.iter().map(row).collect::<Vec<_>>().join("\n")
    };
    let first = [("1", 1_000, "Welcome to the hearing."), ("2", 600_000, "Thank you."), ("3", 3_600_000, "Closed.")];
    let second = [("1", 2_000, "Second day, good morning."), ("2", 500_000, "Three items."), ("3", 3_500_000, "Bye.")];
    let (read, problems) = lines(&rows(&[first, second].concat()));
    let texts: Vec<_> = read.iter().map(|(_, text, _)| text.as_str()).collect();
    assert_eq!(texts, [first, second].concat().iter().map(|(_, _, text)| *text).collect::<Vec<_>>());
    assert!(read.is_sorted_by_key(|(start, ..)| *start), "the second part stands behind the first: {read:?}");
    assert!(!problems.is_empty());

    let woven = [
        ("1", 1_000, "One of them."),
        ("1", 1_500, "Somebody else"),
        ("1", 1_500, "Somebody else said."),
        ("1", 1_600, "One of them?"),
    ];
    let (read, problems) = lines(&rows(&woven));
    let texts: Vec<_> = read.iter().map(|(_, text, _)| text.as_str()).collect();
    assert_eq!((texts, problems), (vec!["One of them.", "Somebody else said.", "One of them?"], vec![2, 4]));
}

#[test]
fn a_list_of_lines_is_read_as_rows_are() {
    let (lines, problems) = lines(r#"[{"start_ms":5,"text":"a"}, {"speaker":"Ann","text":"b"}]"#);
    assert_eq!((lines.len(), lines[0].0, lines[1].0, problems.len()), (2, Some(5), None, 0));
}

#[test]
fn half_a_character_costs_no_line() {
    let half = "\\ud83d";
    let row = |text: &str| format!("{{\"start_ms\":5,\"text\":\"{text}\"}}");
    let whisper = |text: &str| format!("{{\"segments\":[{{\"start\":0,\"end\":1,\"text\":\"{text}\"}}]}}");
    for (file, texts, told) in [
        (
            format!("{}\n{}\n", row("a"), row(&format!("b {half} c{half}"))),
            vec!["a", "b \u{FFFD} c\u{FFFD}"],
            Some((2, 2)),
        ),
        (format!("[{}]", row(&format!("{half}{half}"))), vec!["\u{FFFD}\u{FFFD}"], Some((1, 2))),
        (whisper(&format!("a{half}")), vec!["a\u{FFFD}"], Some((1, 1))),
        (row("a \\ud83d\\ude00 b"), vec!["a \u{1F600} b"], None),
        (format!("[00:00:01] Ann: a {half} b.\n[00:00:05] Ben: c d.\n"), vec!["a \\ud83d b.", "c d."], None),
    ] {
        let reading = crate::format::registry::read(file.as_bytes(), None).expect("it can be read");
        let said: Vec<_> = reading.lines.iter().map(|line| &*line.content.text).collect();
        assert_eq!(said, texts, "{file}");
        let found = reading.problems.iter().filter(|problem| problem.message.contains("half a character"));
        let found: Vec<_> = found.map(|problem| (problem.line, problem.message.clone())).collect();
        match told {
            Some((line, count)) => {
                assert_eq!(found.len(), 1, "{file}");
                assert!(found[0].0 == line && found[0].1.contains(&format!("alone: {count};")), "{found:?}");
            }
            None => assert!(found.is_empty(), "{file}: {found:?}"),
        }
    }
}

#[test]
fn fields_of_an_export_that_slips_hide_are_told() {
    let line = |fields: &str| {
        format!(
            r#"{{"type":"line","source":"main","id":"1","rev":0,"sort":"","start_ms":1,"text":"a","status":"final","received_at":"2026-01-01T00:00:00.000Z"{fields}}}"#
        )
    };
    let feed = r#"{"type":"feed","feed":"x","state":"ended"}"#;
    for (feed, row, told) in [
        (feed, line(r#","speaker":null,"end_ms":null,"marks":[],"x":1"#), None),
        (feed, line(r#","spekaer":"Ann""#), Some("\"spekaer\": did you mean \"speaker\"?")),
        (r#"{"type":"feed","titel":"A"}"#, line(""), Some("\"titel\": did you mean \"title\"?")),
        (feed, r#"{"type":"line","txt":"a"}"#.to_owned() + "\n" + &line(""), Some("did you mean \"text\"?")),
        (feed, r#"{"type":"lines","linse":[]}"#.to_owned() + "\n" + &line(""), Some("`lines` is missing")),
    ] {
        let reading =
            crate::format::registry::read(format!("{feed}\n{row}\n").as_bytes(), None).expect("it can be read");
        let problems: Vec<_> = reading.problems.iter().map(|problem| problem.message.as_str()).collect();
        match told {
            Some(told) => assert!(problems.iter().any(|problem| problem.contains(told)), "{row}: {problems:?}"),
            None => assert!(problems.is_empty(), "{row}: {problems:?}"),
        }
    }
}

#[test]
fn lines_of_an_export_that_are_too_long_become_several() {
    let line = |id: &str, text: &str| {
        let received_at = "2026-01-01T00:00:00.000Z";
        serde_json::json!({"source": "main", "id": id, "rev": 0, "sort": "", "start_ms": 1_000, "text": text,
            "status": "final", "marks": [], "received_at": received_at})
    };
    let said = "One two. Three four. Five six.";
    let lines = [line("7", said), line("7.2", "Another."), line("8~s2", said)];
    let file = serde_json::json!({"feed": "x", "turns": [{"lines": lines}]}).to_string();
    let limits = Some(LineLimits { text_bytes: 12, ..LineLimits::default() });
    let options = ReadOptions { limits, ..ReadOptions::default() };
    let reading = read_with(file.as_bytes(), &options).expect("it can be read");
    let ids: Vec<_> = reading.lines.iter().map(|line| (&*line.id, &*line.content.text)).collect();
    for id in ["7", "7.3", "7.4", "8~s2", "8:s2.2", "8:s2.3"] {
        assert!(ids.iter().any(|(known, _)| *known == id), "{id}: {ids:?}");
    }
    assert!(ids.contains(&("7.2", "Another.")) && ids.contains(&("7.3", "Three four.")), "{ids:?}");
    assert!(reading.lines.iter().all(|line| line.time_source.is_some()
        == (line.id.contains(".3") || line.id.contains(".4") || *line.id == *"8:s2.2")));
    assert_eq!(reading.problems.len(), 2);
}

/// A file is kept as it is read: what a name of a later version means cannot be kept.
#[test]
fn a_line_with_names_of_a_later_version_is_left_out() {
    let row = |id: u64, fields: &str| {
        format!(
            r#"{{"type":"line","source":"main","id":"{id}","rev":0,"sort":"{id}","start_ms":0,"text":"one","status":"final",{fields}"received_at":"2026-11-23T18:30:00Z"}}"#
        )
    };
    for (fields, texts, told) in [
        (r#""break":"turn","marks":[{"kind":"music","start":0,"end":1}],"#, 2, ""),
        (r#""break":"chapter","#, 1, "break must be \"turn\""),
        (r#""time_source":"guessed","#, 1, "time_source must be"),
        (r#""marks":[{"kind":"whispered","start":0,"end":1}],"#, 1, "marks[0].kind must be"),
    ] {
        let file = format!("{}\n{}\n", row(1, fields), row(2, ""));
        let reading = crate::format::registry::read(file.as_bytes(), Some("a.ndjson")).expect("it can be read");
        let told_of: Vec<_> = reading.problems.iter().map(|problem| &*problem.message).collect();
        assert_eq!(reading.lines.len(), texts, "{fields} {told_of:?}");
        assert_eq!(told_of.iter().any(|message| message.contains(told)), !told.is_empty(), "{fields} {told_of:?}");
    }
}
