//! Tests of `plain_text`.

use super::*;

/// Reads `text` with `header` in it. Returns speakers and texts, and true if a problem is reported for the line of
/// the header.
fn said_in(kind: FileKind, text: &str, header: &str) -> (Vec<String>, bool) {
    let text = text.replace("HEADER", header);
    let first = header.trim_start_matches('\n').lines().next().unwrap_or_default();
    let at = 1 + text.lines().position(|line| line == first).expect("the header");
    let reading = read(kind, &text, TranscriptBuilder::default());
    let lines = reading.lines.iter().map(|line| {
        let content = &line.content;
        let start = content.start_ms.map_or_else(|| "?".to_owned(), |start| (start / 1000).to_string());
        format!("{start} {}: {}", content.speaker.as_deref().unwrap_or("-"), content.text.replace('\n', "/"))
    });
    (lines.collect(), reading.problems.iter().any(|problem| problem.line == at))
}

/// Text below a header without a usable time belongs to its speaker, and that is reported.
#[test]
fn who_has_no_time_speaks_all_the_same() {
    let rev = "Ann Lee: (00:01)\nGood.\nHEADER\nI ask.\nBen Roth: (00:20)\nWhy?\n";
    let names = "Ann Lee: 00:00:01\nGood.\nHEADER\nI ask.\nBen Roth: 00:00:20\nWhy?\n";
    let otter = "Ann Lee  0:01\nGood.\nHEADER\nI ask.\nBen Roth  0:20\nWhy?\n";
    let zoom = "[Ann Lee] 0:01\nGood.\nHEADER\nI ask.\n[Ben Roth] 0:20\nWhy?\n";
    let scribe = "[00:00:01.190] - Ann Lee\nGood.\nHEADER\nI ask.\n[00:00:20.000] - Ben Roth\nWhy?\n";
    let timed =
        "[0:01] Ann Lee: Good.\nHEADER\nI ask.\n[0:20] Ben Roth: Why?\n[0:21] Ben Roth: Yes?\n[0:22] Ann Lee: So.\n";
    let below = "Ann Lee\n0:01\nGood.\n\nHEADER\nI ask.\n\nBen Roth\n0:20\nWhy?\n";
    for (kind, text, headers) in [
        (
            FileKind::Rev,
            rev,
            &[
                "Ben Roth: (NA)",
                "Ben Roth: NA",
                "Ben Roth: --:--",
                "Ben Roth: \u{2014}",
                "Ben Roth: none",
                "Ben Roth",
                "Ben Roth:",
                "[Ben Roth]",
                "Ben Roth ()",
                "Ben Roth: [??:??]",
                "Ben Roth\u{FF1A}",
            ][..],
        ),
        (
            FileKind::Names,
            names,
            &[
                "Ben Roth: NA",
                "Ben Roth: --:--:--",
                "Ben Roth: n/a",
                "Ben Roth: -",
                "Ben Roth: 00:XX:00",
                "Ben Roth",
                "Ben Roth:",
                "Ben Roth (no time)",
            ],
        ),
        (
            FileKind::Otter,
            otter,
            &[
                "Ben Roth  --:--",
                "Ben Roth  NA",
                "Ben Roth NA",
                "Ben Roth\t--:--",
                "Ben Roth  \u{2013}:\u{2013}",
                "Ben Roth  ??:??",
                "Ben Roth  time unknown",
                "Ben Roth\u{A0}\u{A0}--:--\u{A0}",
                "Ben Roth  12:75",
                "Ben Roth",
                "[Ben Roth]",
                "Ben Roth:",
                "Ben Roth ()",
                "**Ben Roth**",
            ],
        ),
        (
            FileKind::Otter,
            zoom,
            &[
                "[Ben Roth]",
                "[Ben Roth] --:--",
                "[Ben Roth] NA",
                "[Ben Roth]--:--:--",
                "Ben Roth",
                "[Ben Roth]:",
                "\u{3010}Ben Roth\u{3011}",
            ],
        ),
        (
            FileKind::Timed,
            timed,
            &[
                "[] Ben Roth:",
                "[NA] Ben Roth:",
                "[ ] Ben Roth",
                "[--:--] Ben Roth",
                "--:-- Ben Roth",
                "NA Ben Roth:",
                "Ben Roth",
                "Ben Roth:",
                "[Ben Roth]",
                "[0:XX] Ben Roth:",
            ],
        ),
        (FileKind::Otter, scribe, &["- Ben Roth", "\u{2013} Ben Roth", "[--:--] - Ben Roth", "Ben Roth"]),
        (FileKind::Otter, below, &["Ben Roth\n--:--", "Ben Roth\nNA", "Ben Roth", "Ben Roth  --:--", "[Ben Roth]"]),
    ] {
        for header in headers {
            let (lines, is_told) = said_in(kind, text, header);
            assert_eq!(lines[..3], ["1 Ann Lee: Good.", "? Ben Roth: I ask.", "20 Ben Roth: Why?"], "{kind}: {header}");
            assert!(is_told, "{kind}: {header}");
        }
    }
}

#[test]
fn a_time_that_stands_elsewhere_is_no_speech() {
    let rev = "Ann Lee: (00:01)\nGood.\nHEADER\nI ask.\nBen Roth: (00:20)\nWhy?\n";
    for header in [
        "Ben Roth: (00:10",
        "Ben Roth: 00:10)",
        "Ben Roth (00:10:",
        "Ben Roth: (00:10).",
        "Ben Roth: (00:10) -",
        "Ben Roth:\u{A0}(00:10)",
        "[00:10] Ben Roth",
        "00:10 - Ben Roth",
        "Ben Roth \u{2013} 00:10",
        "[Ben Roth 00:10]",
        "Ben Roth\n(00:10)",
    ] {
        let (lines, is_told) = said_in(FileKind::Rev, rev, header);
        assert_eq!(lines, ["1 Ann Lee: Good.", "10 Ben Roth: I ask.", "20 Ben Roth: Why?"], "{header}");
        assert!(is_told, "{header}");
    }
    for header in [
        "Ben Roth: (00:10) Sir,",
        "Ben Roth (00:10): Sir,",
        "Ben Roth: [00:00:10] Sir,",
        "Ben Roth: 00:00:10 Sir,",
        "[00:10] Ben Roth: Sir,",
    ] {
        let (lines, is_told) = said_in(FileKind::Rev, rev, header);
        assert_eq!(lines, ["1 Ann Lee: Good.", "10 Ben Roth: Sir,/I ask.", "20 Ben Roth: Why?"], "{header}");
        assert!(is_told, "{header}");
    }
    for (header, line) in [("(00:10)", "10 Ann Lee: I ask."), ("(00:10) Well,", "10 Ann Lee: Well,/I ask.")] {
        assert_eq!(said_in(FileKind::Rev, rev, header).0[1], line);
    }
}

/// Text on the line of a header belongs to the speaker named there, in each kind whose headers have their text
/// below.
#[test]
fn text_behind_a_header_is_of_who_stands_in_it() {
    for (kind, layout) in [
        (FileKind::Otter, "NAME  0:TIME"),
        (FileKind::Otter, "NAME\t0:TIME"),
        (FileKind::Otter, "NAME - 0:TIME"),
        (FileKind::Otter, "NAME 0:TIME"),
        (FileKind::Otter, "0:TIME - NAME"),
        (FileKind::Otter, "0:TIME NAME"),
        (FileKind::Otter, "[00:00:TIME] NAME"),
        (FileKind::Otter, "[00:00:TIME.000] - NAME"),
        (FileKind::Otter, "[NAME] 00:00:TIME"),
        (FileKind::Names, "NAME: 0:TIME"),
        (FileKind::Names, "NAME: 00:00:TIME"),
    ] {
        let header = |name: &str, time: &str| layout.replace("NAME", name).replace("TIME", time);
        let first = header("Ann Lee", "01");
        let rest = [header("Ben Roth", "05"), header("Ben Roth", "20"), header("Ann Lee", "30")];
        let text =
            format!("{first}\nGood.\n\n{}\nMorning.\n\nHEADER\n\n{}\nBye.\n\n{}\nEnd.\n", rest[0], rest[1], rest[2]);
        for (behind, said) in [("I ask.", "I ask."), ("I ask.\nYes.", "I ask./Yes.")] {
            let (lines, is_told) = said_in(kind, &text, &format!("{} {behind}", header("Ann Lee", "10")));
            assert_eq!(lines[2], format!("10 Ann Lee: {said}"), "{layout}");
            assert!(is_told && lines.len() == 5, "{layout}: {lines:?}");
        }
    }
    // A name in a sentence behind a time in rev.com's text is not its speaker. In other kinds, this is no time of a
    // header.
    let rev = "Ann Lee: (00:01)\nGood.\nHEADER\nBen Roth: (00:20)\nWhy?\n";
    for (line, expected) in [("(00:10) Ann Lee said so.", true), ("Then Ann Lee 0:10 said so.", false)] {
        let (lines, is_told) = said_in(FileKind::Rev, rev, line);
        assert!(lines.iter().all(|line| !line.contains("Ann Lee: said")), "{lines:?}");
        assert_eq!(is_told, expected, "{line}");
    }
}

/// A sentence that begins with a speaker's name and a clock time is no header, because its time lies outside those
/// of the headers around it.
#[test]
fn a_clock_behind_a_name_is_a_header_only_between_those_around_it() {
    let otter = "Ann Lee  0:01\nGood.\n\nJohn  0:05\nMorning.\n\nHEADER\n\nAnn Lee  0:20\nWhy?\n\nJohn  0:30\nBye.\n";
    let rev = "Ann Lee: (00:01)\nGood.\n\nJohn: (00:05)\nMorning.\n\nHEADER\n\nAnn Lee: (00:20)\nWhy?\n\nJohn: (00:30)\nBye.\n";
    let names = "Ann Lee: 00:00:01\n\nGood.\n\nJohn: 00:00:05\n\nMorning.\n\nHEADER\n\nAnn Lee: 00:00:20\n\nWhy?\n\nJohn: 00:00:30\n\nBye.\n";
    for (kind, text) in [(FileKind::Otter, otter), (FileKind::Rev, rev), (FileKind::Names, names)] {
        for line in ["John 3:16 says that it is so.", "Ann Lee 9:00 am works.", "Trading Hours: 9:30 to 16:00 daily."] {
            let (lines, is_told) = said_in(kind, text, line);
            let expected =
                ["1 Ann Lee: Good.", &format!("5 John: Morning.//{line}"), "20 Ann Lee: Why?", "30 John: Bye."];
            assert_eq!((lines, is_told), (expected.map(str::to_owned).to_vec(), true), "{kind}: {line}");
        }
        let (lines, _) = said_in(kind, text, "Ann Lee 0:10 so it is.");
        assert_eq!(lines[2], "10 Ann Lee: so it is.", "{kind}");
    }
    let (lines, is_told) = said_in(FileKind::Otter, otter, "10:30 Ann Lee can join us.");
    assert!(is_told && lines.len() == 4, "{lines:?}");
    // The verse alone, and after the last header.
    assert_eq!(said_in(FileKind::Otter, otter, "John 3:16\nsays so.").0.len(), 4);
    assert_eq!(
        said_in(
            FileKind::Otter,
            &otter.replace("Bye.", "Bye.\n\nHEAD2").replace("HEADER", "So.").replace("HEAD2", "HEADER"),
            "John 3:16 says so."
        )
        .0
        .len(),
        4
    );
}

/// After the last header of the file's form, others may stand at any later time.
#[test]
fn headers_written_otherwise_at_the_end_are_headers() {
    let otter = "Ann Lee  0:01\nGood.\n\nBen Roth  0:15\nMorning.\n\n";
    let rev = "Ann Lee: (00:01)\nGood.\n\nBen Roth: (00:15)\nMorning.\n\n";
    let names = "Ann Lee: 00:00:01\n\nGood.\n\nBen Roth: 00:00:15\n\nMorning.\n\n";
    for (kind, text) in [(FileKind::Otter, otter), (FileKind::Rev, rev), (FileKind::Names, names)] {
        let text = format!("{text}HEADER\nWhy?\n\nBen Roth 0:50\nBye.\n");
        let (lines, is_told) = said_in(kind, &text, "Ann Lee 0:30");
        let expected = ["1 Ann Lee: Good.", "15 Ben Roth: Morning.", "30 Ann Lee: Why?", "50 Ben Roth: Bye."];
        assert_eq!((lines, is_told), (expected.map(str::to_owned).to_vec(), true), "{kind}");
        // In a sentence it is a clock time, and so is an earlier time.
        for clock in ["Ann Lee 9:30 says so.", "Ann Lee 0:02", "Ann Lee 3:16\nsays so."] {
            assert_eq!(said_in(kind, &text, clock).0.len(), 3, "{kind}: {clock}");
        }
    }
}

/// Reads a file of these headers, each in a paragraph with its text. Returns the starts and first names of the lines, and
/// the messages.
fn blocks_of(kind: FileKind, headers: &[&str]) -> (String, Vec<String>) {
    let text: String = headers.iter().map(|header| format!("{header}\nGood morning to you all.\n\n")).collect();
    let reading = read(kind, &text, TranscriptBuilder::default());
    let said = reading.lines.iter().map(|line| {
        let speaker = line.content.speaker.as_deref().unwrap_or("-");
        let first = speaker.split(' ').next().unwrap_or_default();
        format!("{} {first}", line.content.start_ms.unwrap_or_default() / 1000)
    });
    (said.collect::<Vec<_>>().join(", "), reading.problems.into_iter().map(|problem| problem.message).collect())
}

/// Rows that may be clocks, and that no header is around, are headers if they rise together.
#[test]
fn another_part_and_the_end_may_have_another_style_or_new_people() {
    let first = "5 Ann, 12 Ben, 20 Ann, 390 Ben";
    for (kind, form, others, behind) in [
        (FileKind::Otter, "NAME  TIME", "Ann Lee 0:03|Ben Roth 0:15|Ann Lee 0:30", "394 Ann, 406 Ben, 421 Ann"),
        (FileKind::Otter, "NAME TIME", "Cleo Poe 0:03|Dora Fox 0:15|Emil Orr 0:31", "394 Cleo, 406 Dora, 422 Emil"),
        (FileKind::Otter, "NAME (TIME)", "Cleo Poe (0:03)|Dora Fox (0:15)", "394 Cleo, 406 Dora"),
        (FileKind::Otter, "TIME - NAME", "0:03 - Cleo Poe|0:15 - Dora Fox", "394 Cleo, 406 Dora"),
        (FileKind::Names, "NAME: TIME", "Cleo: 0:03|Dora: 0:15", "394 Cleo, 406 Dora"),
        // Behind the last header, also after a long pause.
        (FileKind::Otter, "NAME TIME", "Cleo Poe 20:10|Dora Fox 31:00", "1210 Cleo, 1860 Dora"),
        (FileKind::Names, "NAME: TIME", "Cleo: 12:30|Dora: 18:00", "750 Cleo, 1080 Dora"),
        // Verses and an agenda: text.
        (FileKind::Otter, "NAME TIME", "John 3:16|Romans 5:08", ""),
        (FileKind::Otter, "NAME TIME", "Genesis 13:30|Exodus 14:15", ""),
        (FileKind::Otter, "NAME TIME", "13:30 Lunch|14:00 Coffee", ""),
        (FileKind::Otter, "NAME (TIME)", "Surah (2:25)|Surat (2:26)", ""),
    ] {
        let header = |name: &str, time: &str| form.replace("NAME", name).replace("TIME", time);
        let known = [("Ann Lee", "0:05"), ("Ben Roth", "0:12"), ("Ann Lee", "0:20"), ("Ben Roth", "6:30")]
            .map(|(name, time)| header(name, time));
        let headers: Vec<&str> = known.iter().map(String::as_str).chain(others.split('|')).collect();
        let expected = if behind.is_empty() { first.to_owned() } else { format!("{first}, {behind}") };
        let (said, messages) = blocks_of(kind, &headers);
        assert_eq!(said, expected, "{others}: {messages:?}");
        assert!(!messages.is_empty() || !behind.starts_with("394"), "{others}");
    }
    // A first part of people who speak once.
    let headers = ["Cleo Poe 0:03", "Dora Fox 1:15", "Emil Orr 2:31", "Ann Lee 0:05", "Ben Roth 0:12", "Ann Lee 0:20"];
    let (said, _) = blocks_of(FileKind::Otter, &headers);
    assert_eq!(said, "3 Cleo, 75 Dora, 151 Emil, 157 Ann, 164 Ben, 172 Ann");
    // Rows without brackets, of new people.
    let rows =
        "[00:01] Ann: Yes.\n[00:08] Ben: No.\n[00:15] Ann: Yes.\n[00:22] Ben: No.\n01:09 Cleo: Why?\n01:20 Dora: So.\n";
    let reading = read(FileKind::Timed, rows, TranscriptBuilder::default());
    assert_eq!((reading.lines.len(), reading.lines[5].content.speaker.as_deref()), (6, Some("Dora")));
}

#[test]
fn rows_without_brackets_and_names_are_told() {
    let rows =
        "[00:01] Yes.\n[00:08] No.\n[00:15] We meet at\n10:30 in the hall.\n[00:22] No.\n01:09 Why?\n01:20 So.\n";
    let reading = read(FileKind::Timed, rows, TranscriptBuilder::default());
    let told = reading.problems.iter().filter(|problem| problem.message.contains("no brackets around its time"));
    assert_eq!(told.map(|problem| problem.line).collect::<Vec<_>>(), [6, 7]);
}

/// People who speak at once have headers out of order, and a clock beside a speaker's name has not.
#[test]
fn headers_out_of_order_by_a_little_are_headers() {
    let around = |header| ["Ann Lee 0:45", "Ben Roth 1:12", "Ann Lee 1:20", header, "Ben Roth 1:30", "Ann Lee 1:40"];
    for (header, expected) in [
        ("Cleo Poe 1:18", "45 Ann, 72 Ben, 80 Ann, 78 Cleo, 90 Ben, 100 Ann"),
        ("Ben Roth 1:10", "45 Ann, 72 Ben, 80 Ann, 70 Ben, 90 Ben, 100 Ann"),
        ("Ben Roth 9:30", "45 Ann, 72 Ben, 80 Ann, 90 Ben, 100 Ann"),
        ("Ben Roth 0:10", "45 Ann, 72 Ben, 80 Ann, 90 Ben, 100 Ann"),
    ] {
        let (said, messages) = blocks_of(FileKind::Otter, &around(header));
        assert_eq!((said.as_str(), messages.is_empty()), (expected, false), "{header}: {messages:?}");
    }
    // The reason is told.
    for (header, why) in [("John 9:30", "too far behind that of the last"), ("John 0:50", "before that of the last")] {
        let headers = ["Ann Lee 0:45", "Ben Roth 1:12", "Ann Lee 1:20", "Ben Roth 1:40", header];
        let (_, messages) = blocks_of(FileKind::Otter, &headers);
        assert!(messages.iter().any(|message| message.contains(why)), "{header}: {messages:?}");
    }
}

/// Files in which each form of headers stands, with `LINE` in the middle of a speech or at the end.
const FORMS: [(FileKind, &str); 10] = [
    (FileKind::Otter, "0:TIME NAME"),
    (FileKind::Otter, "NAME 0:TIME"),
    (FileKind::Otter, "[00:00:TIME] NAME"),
    (FileKind::Otter, "0:TIME - NAME"),
    (FileKind::Otter, "NAME - 0:TIME"),
    (FileKind::Otter, "NAME  0:TIME"),
    (FileKind::Otter, "[NAME] 0:TIME"),
    (FileKind::Rev, "NAME: (00:TIME)"),
    (FileKind::Names, "NAME: 00:00:TIME"),
    (FileKind::Names, "NAME: 0:TIME"),
];

/// Speakers and their times in a file of one of the forms, in which `lines` stand within a speech, or below the last one.
fn speakers_beside(form: &str, kind: FileKind, lines: &str, is_last: bool) -> (Vec<String>, bool) {
    let header = |name: &str, time: &str| form.replace("NAME", name).replace("TIME", time);
    let [ann, ben, again, last] = [("Ann Lee", "01"), ("Ben Roth", "08"), ("Ann Lee", "20"), ("Ben Roth", "40")]
        .map(|(name, time)| header(name, time));
    let (within, below) = if is_last { ("", lines) } else { (lines, "") };
    let text = format!(
        "{ann}\nGood morning to you all.\n\n{ben}\nWe take the train at\n{within}\n\n{again}\nThat is fine.\n\n{last}\nWe meet at\n{below}\n"
    );
    let reading = read(kind, &text, TranscriptBuilder::default());
    let said = reading.lines.iter().map(|line| {
        let content = &line.content;
        let start = content.start_ms.map_or_else(|| "?".to_owned(), |start| (start / 1000).to_string());
        format!("{start} {}", content.speaker.as_deref().unwrap_or("-"))
    });
    (said.collect(), !reading.problems.is_empty())
}

#[test]
fn a_clock_in_a_sentence_begins_no_block() {
    let expected = ["1 Ann Lee", "8 Ben Roth", "20 Ann Lee", "40 Ben Roth"].map(str::to_owned).to_vec();
    for (kind, form) in FORMS {
        for lines in [
            "6:30 from Bern\nand we go.",
            "6:30 Uhr geht der Zug\nund wir gehen.",
            "9:00 sharp\nand we go.",
            "12:30 lunch break\nis over.",
            "3:16 says\nthat it is so.",
            "6:30 Monday Morning\nIf you like.",
            "6:30 Monday\nif you like.",
            "14:00 Coffee Break\nThen we go on.",
            "6:30 pm is when we meet\nand go.",
            "Genesis 12:30\nand so on.",
            "Genesis 12:30\nSo it is.",
            "Genesis (12:30)\nand so on.",
            "Coffee Break 14:30\nThen we go on.",
            "John 3:16\nsays so.",
            "[Genesis 12:30]\nand so on.",
            "Lunch: 12:30\nand so on.",
            "Ben Roth 14:00 to 15:30\nRoom 4",
            "Coffee Break 14:00 - 14:30\nRoom 4",
            "14:00 - 15:30 Ben Roth\nRoom 4",
        ] {
            // Nothing reads as a time behind a colon and a blank there: it is a header without a time.
            if kind == FileKind::Rev && lines.starts_with("Lunch:") {
                continue;
            }
            for is_last in [false, true] {
                let (speakers, is_told) = speakers_beside(form, kind, lines, is_last);
                assert_eq!(speakers, expected, "{form}: {lines:?} {is_last}");
                // Small letters are told where headers look like that.
                let is_small =
                    lines.split(' ').nth(1).is_some_and(|word| word == "Uhr" || *word == word.to_lowercase());
                assert!(is_told || is_small, "{form}: {lines:?} {is_last}");
            }
        }
    }
}

/// Headers of somebody new are headers between the times around them, and near to the last one.
#[test]
fn who_speaks_once_speaks_all_the_same() {
    for (kind, form) in FORMS {
        let header = |time: &str| form.replace("NAME", "Cleo Poe").replace("TIME", time);
        for (is_last, time, expected) in [
            (false, "12", ["1 Ann Lee", "8 Ben Roth", "12 Cleo Poe", "20 Ann Lee", "40 Ben Roth"]),
            (true, "55", ["1 Ann Lee", "8 Ben Roth", "20 Ann Lee", "40 Ben Roth", "55 Cleo Poe"]),
        ] {
            let lines = format!("ten.\n\n{}\nMay I come too?", header(time));
            let (speakers, is_told) = speakers_beside(form, kind, &lines, is_last);
            assert_eq!(speakers, expected, "{form} {time}");
            assert!(!is_told, "{form} {time}");
        }
        let lines = format!("ten.\n\n{}\nMay I come too?", header("40").replace("0:40", "2:40"));
        assert_eq!(
            speakers_beside(form, kind, &lines, true).0.last().map(String::as_str),
            Some("160 Cleo Poe"),
            "{form}"
        );
    }
}

/// Happy Scribe's headers say by a dash that a name follows, whatever it is.
#[test]
fn who_stands_behind_a_time_and_a_dash_speaks() {
    for name in ["Host", "aleksandr", "dr aleksandr von b.", "Speaker 1"] {
        let rest = "\n[00:00:20.000] - Ann Lee\nWhy?\n\n[00:00:30.000] - Ben Roth\nBye.\n";
        let header = format!("[00:00:15.000] - {name}");
        let said = format!("15 {name}: It is hers.");
        let (lines, is_told) = said_in(FileKind::Otter, &format!("HEADER\nIt is hers.\n{rest}"), &header);
        assert_eq!((&*lines[0], lines.len(), is_told), (&*said, 3, false), "{lines:?}");
        let text = format!("[00:00:01.000] - Ben Roth\nGood.\n\nHEADER\nIt is hers.\n{rest}");
        let (lines, is_told) = said_in(FileKind::Otter, &text, &header);
        assert_eq!((&*lines[1], lines.len(), is_told), (&*said, 4, false), "{lines:?}");
    }
    // A sound, without text below it.
    for gap in ["\n\n", "\n"] {
        let rest = "[00:00:20.000] - Ann Lee\nWhy?\n\n[00:00:30.000] - Ben Roth\nBye.\n";
        let text = format!("[00:00:01.000] - Ben Roth\nGood.\n\nHEADER{gap}{rest}");
        let (lines, _) = said_in(FileKind::Otter, &text, "[00:00:15.000] - music plays");
        assert!(lines.iter().any(|line| line.ends_with("music plays")), "{lines:?}");
    }
}

/// A possible header that is not taken for one stays text of the speaker before, and is reported. Ordinary text is
/// not.
#[test]
fn what_is_ambiguous_is_told() {
    let rev = "Ann Lee: (00:01)\nGood.\nHEADER\nI ask.\nBen Roth: (00:20)\nWhy?\n";
    let zoom = "[Ann Lee] 0:01\nGood.\nHEADER\nI ask.\n[Ben Roth] 0:20\nWhy?\n";
    let timed =
        "[0:01] Ann Lee: Good.\nHEADER\nI ask.\n[0:20] Ben Roth: Why?\n[0:21] Ben Roth: Yes?\n[0:22] Ann Lee: So.\n";
    for (kind, text, line, expected) in [
        (FileKind::Rev, rev, "Dora Fox: yes.", true),
        (FileKind::Rev, rev, "0:10", true),
        (FileKind::Rev, rev, "[Dora Fox]", true),
        (FileKind::Otter, zoom, "[Dora]", true),
        (FileKind::Timed, timed, "Dora: yes.", true),
        (FileKind::Rev, rev, "\nDora Fox\n", true),
        (FileKind::Otter, zoom, "\nDora", true),
        (FileKind::Rev, rev, "Ann  Lee", true),
        (FileKind::Rev, rev, "AnnLee:", true),
        (FileKind::Rev, rev, "ann lee", true),
        (FileKind::Rev, rev, ">> Ann Lee", true),
        (FileKind::Rev, rev, "* Ann Lee", true),
        (FileKind::Rev, rev, "ann lee: yes.", true),
        (FileKind::Rev, rev, "Ann Lee.", false),
        (FileKind::Rev, rev, "Dora Fox", false),
        (FileKind::Rev, rev, "\nAmazing Grace\nhow sweet the sound", false),
        (FileKind::Rev, rev, "\nHarper Lee\nwrote that.", false),
        (FileKind::Rev, rev, "\nNew York.", false),
        (FileKind::Rev, rev, "Note: yes.", false),
        (FileKind::Rev, rev, "The answer is this: yes.", false),
        (FileKind::Rev, rev, "[inaudible 00:10]", false),
        (FileKind::Rev, rev, "[Dora 00:10] says so.", false),
        (FileKind::Rev, rev, "He said (12:30) yes.", false),
        (FileKind::Otter, zoom, "[Applause]", false),
        (FileKind::Timed, timed, "[inaudible] yes.", false),
        (FileKind::Timed, timed, "[...] yes.", false),
    ] {
        let (lines, is_told) = said_in(kind, text, line);
        let kept = line.replace('\n', "/");
        assert_eq!((&*lines[0], is_told), (&*format!("1 Ann Lee: Good./{kept}/I ask."), expected), "{kind}: {line}");
    }
}

#[test]
fn frames_are_counted_at_the_least_usual_rate() {
    for (frame, start_ms, rate) in [("12", 1_500, 24), ("24", 1_960, 25), ("29", 1_966, 30), ("49", 1_980, 50)] {
        let text =
            format!("00:00:01:{frame} - 00:00:09:00\nAnn Lee\nGood.\n\n00:00:09:00 - 00:00:10:00\nBen Roth\nYes.\n");
        let reading = read(FileKind::Otter, &text, TranscriptBuilder::default());
        assert_eq!(reading.lines[0].content.start_ms, Some(start_ms));
        assert!(reading.problems[0].message.contains(&format!("{rate} are taken")), "{:?}", reading.problems);
    }
}
