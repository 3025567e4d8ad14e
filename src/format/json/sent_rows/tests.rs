//! Tests of `sent_rows`.

use crate::format::registry::read;

/// Reads rows. Returns the starts and texts of the lines, and the numbers of problems and losses.
fn lines(rows: &[serde_json::Value]) -> (Vec<String>, usize, usize) {
    let file: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let reading = read(file.as_bytes(), None).expect("it can be read");
    let line = |line: &crate::transcript::Version| {
        let content = &line.content;
        let speaker = content.speaker.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
        format!("{} {speaker}{}", content.start_ms.unwrap_or(-1), content.text)
    };
    (reading.lines.iter().map(line).collect(), reading.problems.len(), reading.losses.len())
}

fn row(id: &str, start_ms: i64, text: &str) -> serde_json::Value {
    serde_json::json!({"id": id, "start_ms": start_ms, "text": text})
}

#[test]
fn ids_that_are_counted_anew_take_no_line_away() {
    let with = |mut row: serde_json::Value, name: &str, value: serde_json::Value| {
        row[name] = value;
        row
    };
    for (rows, expected) in [
        // The same words at nearly the same place, before other lines: a restarted program.
        (
            vec![
                row("1", 1_000, "Hello."),
                row("2", 5_000, "One."),
                row("1", 1_200, "Hello."),
                row("2", 6_000, "Two."),
            ],
            (vec!["1000 Hello.", "5000 One.", "1200 Hello.", "6000 Two."], 3, 0),
        ),
        // Corrections only, and one row that shares nothing but its place: the clock does not restart.
        (
            vec![
                row("1", 1_000, "The boat."),
                row("2", 5_000, "One."),
                row("3", 90_000, "More."),
                row("1", 1_000, "The vote."),
                row("2", 5_000, "Two."),
                row("4", 95_000, "End."),
            ],
            (vec!["1000 The vote.", "5000 One.", "5000 Two.", "90000 More.", "95000 End."], 1, 1),
        ),
        // The last correction counts, even if it goes back to the first start.
        (
            vec![
                row("1", 1_000, "The boat."),
                row("1", 1_200, "The vote."),
                row("1", 1_000, "The vote is closed."),
                row("2", 9_000, "Next."),
            ],
            (vec!["1000 The vote is closed.", "9000 Next."], 0, 1),
        ),
        // An engine whose ids are speakers: no line moves past another.
        (
            vec![row("A", 0, "Yes."), row("B", 1_000, "No."), row("A", 1_500, "Yes, I say.")],
            (vec!["0 Yes.", "1000 No.", "1500 Yes, I say."], 1, 0),
        ),
        // Two publishers.
        (
            vec![with(row("1", 0, "Yes."), "source", "a".into()), with(row("1", 0, "Yes."), "source", "b".into())],
            (vec!["0 Yes.", "0 Yes."], 1, 0),
        ),
        // Revision numbers that are counted again.
        (
            vec![with(row("1", 1_000, "Hello."), "rev", 2.into()), with(row("1", 1_500, "Quite so."), "rev", 1.into())],
            (vec!["1000 Hello.", "1500 Quite so."], 1, 0),
        ),
        // A retracted line may be said again.
        (
            vec![row("1", 1_000, "Hello."), serde_json::json!({"type": "retract", "id": "1"}), row("1", 1_000, "Bye.")],
            (vec!["1000 Bye."], 0, 0),
        ),
    ] {
        let (texts, problems, losses) = expected;
        let expected = (texts.into_iter().map(str::to_owned).collect(), problems, losses);
        assert_eq!(lines(&rows), expected, "{rows:?}");
    }
}

#[test]
fn any_number_of_lines_may_have_one_id() {
    let rows: Vec<_> = (0..5_000).map(|number| row("1", number * 3_000, &format!("It is {number}."))).collect();
    assert_eq!(lines(&rows).0.len(), 5_000);
}

#[test]
fn guesses_are_overtaken_by_what_is_final() {
    for mark in [
        serde_json::json!({"status": "partial"}),
        serde_json::json!({"final": false}),
        serde_json::json!({"is_final": false}),
        serde_json::json!({"type": "partial"}),
        serde_json::json!({"transcript_type": "PartialTranscript"}),
    ] {
        let guess = |id: Option<&str>, start: i64, text: &str| {
            let mut row = mark.clone();
            row["start_ms"] = start.into();
            row["text"] = text.into();
            if let Some(id) = id {
                row["id"] = id.into();
            }
            row
        };
        let said = serde_json::json!({"start_ms": 1_000, "text": "The vote is closed."});
        for id in [None, Some("1")] {
            let mut said = said.clone();
            if let Some(id) = id {
                said["id"] = id.into();
            }
            let rows =
                [guess(id, 1_000, "The boat"), guess(id, 1_000, "The vote is"), said, guess(id, 60_000, "Thank")];
            let expected = vec!["1000 The vote is closed.".to_owned(), "60000 Thank".to_owned()];
            // An interim row with an id of its own stands for another line as well.
            let told = if id.is_some() { 2 } else { 1 };
            assert_eq!(lines(&rows), (expected, told, 0), "{mark} {id:?}");
        }
    }
}

#[test]
fn a_guess_with_other_words_than_what_follows_is_told() {
    let row =
        |start_ms: i64, kind: &str, text: &str| serde_json::json!({"type": kind, "start_ms": start_ms, "text": text});
    for (guess, losses) in [("Hello", 0), ("Hel", 0), ("Aye", 1)] {
        let rows = [row(0, "partial", guess), row(0, "final", "Hello there."), row(9_000, "final", "Bye.")];
        let expected = vec!["0 Hello there.".to_owned(), "9000 Bye.".to_owned()];
        assert_eq!(lines(&rows), (expected, 0, losses), "{guess}");
    }
    // The engine may find a better start.
    let rows = [row(0, "partial", "Good mourning to all"), row(100, "final", "Good morning to all.")];
    assert_eq!(lines(&rows), (vec!["100 Good morning to all.".to_owned()], 0, 0));
    // Without an end it is unknown whether the next sentence replaces the first.
    let rows = [row(0, "partial", "Yes, sir."), row(1_500, "final", "Thank you, sir."), row(9_000, "final", "Bye.")];
    assert_eq!(lines(&rows), (vec!["1500 Thank you, sir.".to_owned(), "9000 Bye.".to_owned()], 0, 1));
}

#[test]
fn fields_that_slips_hide_are_told_once_and_those_of_others_are_not() {
    for (row, rows, expected) in [
        (r#""start_ms":1000,"spaeker":"Ann""#, 3, "1:spaeker>speaker"),
        (r#""start_ms":1000,"staus":"interim""#, 2, "1:staus>status"),
        (r#""start_ms":1000,"end":3000"#, 2, "1:end>end_ms"),
        (r#""start":1,"end_ms":3000"#, 1, "1:start>start_ms"),
        (r#""start_ms":1000,"endms":3000,"name":"Ann""#, 1, "1:endms>end_ms"),
        (r#""start":1,"seek":0,"end":2,"tokens":[1],"temperature":0.0,"avg_logprob":-0.2"#, 2, ""),
        (r#""start":1,"end":2,"idx":1,"pid":1,"sid":1,"uuid":"x","ref":1,"version":2,"stats":{},"label":"x""#, 1, ""),
        (r#""start":1,"duration":2,"lag":1,"words":[{"text":"a","start_ms":1,"end_ms":2,"prob":0.5}]"#, 1, ""),
        (r#""start_ms":1000,"wrods":[{"text":"a"}]"#, 1, "1:wrods>words"),
        (r#""start_ms":1000,"lnag":"en""#, 1, "1:lnag>lang"),
        (r#""start_ms":1000,"laang":"en""#, 1, "1:laang>lang"),
        (r#""start_ms":1000,"lat":46.9,"long":7.4,"land":"CH","rang":1,"lane":2,"gang":3,"langs":["en"]"#, 1, ""),
        (r#""start_ms":1000,"works":true,"swords":1,"slang":1"#, 1, ""),
        (r#""start_ms":1000,"words":[{"text":"a","start_ms":1,"end":2}]"#, 1, "1:end>end_ms"),
        (r#""start_ms":1000,"speaker":"Ann","speakers":2,"name":"x","time":7,"speaker_label":"y""#, 1, ""),
        (r#""start":1,"end":2,"language":"en","is_final":true,"seq":1,"channel":0,"mood":"x","staus":null"#, 1, ""),
    ] {
        let file: String = (0..rows).map(|_| format!("{{\"text\":\"a b\",{row}}}\n")).collect();
        let reading = read(file.as_bytes(), None).expect("it can be read");
        let told = reading.problems.iter().filter_map(|problem| {
            let name = problem.message.strip_prefix("unknown field ")?;
            let (name, meant) = name.split_once(": did you mean ")?;
            let (meant, count) = meant.split_once("? It is not read; it stands there ")?;
            assert_eq!(count, if rows == 1 { "once".to_owned() } else { format!("{rows} times") }, "{row}");
            Some(format!("{}:{}>{}", problem.line, name.trim_matches('"'), meant.trim_matches('"')))
        });
        assert_eq!(told.collect::<Vec<_>>().join(" "), expected, "{row}");
        let content = &reading.lines[0].content;
        assert!(content.start_ms.is_none_or(|start| start == 1000) && content.end_ms.is_none_or(|end| end <= 3000));
    }
}

#[test]
fn times_that_a_row_says_twice_are_read_once() {
    for (times, start_ms, end_ms) in [
        (r#""start":10.0,"end":12.0,"start_ms":10000"#, Some(10_000), Some(12_000)),
        (r#""start":10,"end":12,"end_ms":12000"#, Some(10_000), Some(12_000)),
        (r#""start_ms":0,"end_ms":null,"end":1.5"#, Some(0), Some(1_500)),
        (r#""start_ms":"00:00:01","end":"00:00:02""#, Some(1_000), Some(2_000)),
        (r#""start_ms":"x","start":2.0,"end":3.0"#, Some(2_000), Some(3_000)),
        (r#""start_ms":1000,"end":3000"#, Some(1_000), None),
        (r#""start":13000,"end":14000,"start_ms":13000"#, Some(13_000), Some(14_000)),
        (r#""start":15000,"end":16000,"end_ms":16000"#, Some(15_000), Some(16_000)),
        (r#""start":15000,"end":16000,"endMs":"16000""#, Some(15_000), Some(16_000)),
        (r#""start":"13000","end":"14000","startMs":13000.0"#, Some(13_000), Some(14_000)),
        (r#""start":0,"end":14,"start_ms":0"#, Some(0), Some(14_000)),
        (r#""start":0,"end":14000,"end_ms":14000"#, Some(0), Some(14_000)),
        (r#""start":13000,"start_ms":13000"#, Some(13_000), None),
        (r#""end":14000,"start_ms":13000,"end_ms":14000"#, Some(13_000), Some(14_000)),
        (r#""start":13.5,"end":14.5,"start_ms":13500"#, Some(13_500), Some(14_500)),
    ] {
        let file = format!("{{\"text\":\"a b\",{times}}}\n");
        let content = &read(file.as_bytes(), None).expect("it can be read").lines[0].content;
        assert_eq!((content.start_ms, content.end_ms), (start_ms, end_ms), "{times}");
    }
}

#[test]
fn a_file_has_one_unit_of_times() {
    for (rows, expected, told) in [
        // A start of 0 shows nothing, nor do times that are null, or have decimals.
        (
            vec![r#""start":0,"start_ms":0,"end":1500"#, r#""start":1500,"start_ms":1500,"end":3000"#],
            "0-1500 1500-3000",
            0,
        ),
        (
            vec![
                r#""start":13000,"end":14000,"start_ms":null,"end_ms":null"#,
                r#""start":14000,"end":15000,"start_ms":14000,"end_ms":null"#,
            ],
            "13000-14000 14000-15000",
            0,
        ),
        (
            vec![
                r#""start":13000.4,"end":14000.2,"start_ms":13000"#,
                r#""start":14000.9,"end":15000.9,"start_ms":14000"#,
            ],
            "13000-14000 14000-15001",
            0,
        ),
        // Seconds, rounded; `end` beside `start_ms` in the unit of the file.
        (
            vec![r#""start":12.3,"end":15,"start_ms":12345"#, r#""start_ms":15000,"end":16"#],
            "12345-15000 15000-16000",
            0,
        ),
        // A row that shows another unit is told and read by its own.
        (
            vec![
                r#""start":1,"end":3,"start_ms":1000"#,
                r#""start":4,"end":6,"start_ms":4000"#,
                r#""start":7000,"end":9000,"start_ms":7000"#,
            ],
            "1000-3000 4000-6000 7000-9000",
            1,
        ),
    ] {
        let file: String = rows.iter().map(|row| format!("{{\"text\":\"a b\",{row}}}\n")).collect();
        let reading = read(file.as_bytes(), None).expect("it can be read");
        let times = reading.lines.iter().map(|line| (line.content.start_ms, line.content.end_ms));
        let times = times.map(|(start, end)| format!("{}-{}", start.unwrap_or(-1), end.unwrap_or(-1)));
        assert_eq!(times.collect::<Vec<_>>().join(" "), expected, "{file}");
        assert_eq!(reading.problems.iter().filter(|problem| problem.message.contains("unit of the row")).count(), told);
        assert_eq!(reading.problems.len(), told, "{file}");
    }
}

#[test]
fn what_rows_say_by_other_names_or_wrongly_is_read_or_told() {
    for (fields, line, told) in [
        (r#""start_ms":1000,"end_ms":900"#, "1000 a b", 1),
        (r#""start_ms":"1000""#, "1000 a b", 0),
        (r#""start_ms":1000.4"#, "1000 a b", 0),
        (r#""start_ms":"00:00:01.5""#, "1500 a b", 0),
        (r#""start_ms":[]"#, "-1 a b", 1),
        (r#""start":"12.3s""#, "12300 a b", 0),
        (r#""start_ms":1,"speaker_id":"Ann""#, "1 Ann: a b", 0),
        (r#""start_ms":1,"speakerId":4"#, "1 Speaker 4: a b", 0),
        (r#""start_ms":1,"speaker_label":"spk_1""#, "1 spk_1: a b", 0),
        (r#""start_ms":1,"speaker":null,"participant":{"name":"Ann"}"#, "1 Ann: a b", 0),
        (r#""start_ms":1,"lang":7"#, "1 a b", 0),
        (r#""start_ms":1,"words":[{"text":"a","start_ms":1},{"text":"so","start_ms":2}]"#, "1 a b", 1),
    ] {
        let row = serde_json::from_str(&format!(r#"{{"text":"a b",{fields}}}"#)).expect("JSON");
        assert_eq!(lines(&[row]), (vec![line.to_owned()], told, 0), "{fields}");
    }
}
