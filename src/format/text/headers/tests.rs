//! Tests of `headers`.

use super::*;
use crate::transcript::MediaMs;

/// Parses `line` within a file of `kind` in which Ann and Ben Roth speak: label, start, remark and text.
fn find(kind: FileKind, line: &str) -> Option<(String, Option<MediaMs>, String, String)> {
    let headers = Headers::of_labels(kind, ["Ann", "Ben Roth"].into_iter());
    let header = headers.find(line, FileLine::WITHIN)?;
    Some((header.label.into(), header.start_ms, header.remark.into(), header.text.into()))
}

#[test]
fn headers_of_rev_as_a_table() {
    for (line, label, start, remark, text) in [
        ("Vladimir Putin: (00:41)", "Vladimir Putin", Some(41_000), "", ""),
        ("A: (1:02:03) \t", "A", Some(3_723_000), "", ""),
        ("A: B: (0:01)", "A: B", Some(1_000), "", ""),
        ("A: (x): (00:01)", "A: (x)", Some(1_000), "", ""),
        ("Carl Oss (00:41):", "Carl Oss", Some(41_000), "", ""),
        ("Carl Oss (1:00:41.25):", "Carl Oss", Some(3_641_250), "", ""),
        // A time that can be understood, in another form.
        ("Carl Oss: [00:35]", "Carl Oss", Some(35_000), "", ""),
        ("Carl Oss : (00:35)", "Carl Oss", Some(35_000), "", ""),
        ("Carl Oss:(00:35)", "Carl Oss", Some(35_000), "", ""),
        ("Carl Oss:  (00:35)", "Carl Oss", Some(35_000), "", ""),
        ("\u{738B}\u{FF1A}\u{FF08}00\u{FF1A}35\u{FF09}", "\u{738B}", Some(35_000), "", ""),
        ("Carl Oss\u{FF1A}(00:35)", "Carl Oss", Some(35_000), "", ""),
        ("Carl (00:35)", "Carl", Some(35_000), "", ""),
        ("Ann 00:35", "Ann", Some(35_000), "", ""),
        ("Carl Oss: 00:00:35", "Carl Oss", Some(35_000), "", ""),
        ("[00:00:35] Carl Oss: Well.", "Carl Oss", Some(35_000), "", "Well."),
        (": (12:00)", "", Some(720_000), "", ""),
        // A time that cannot be read.
        ("Carl Oss: (NA)", "Carl Oss", None, "NA", ""),
        ("Carl Oss: ()", "Carl Oss", None, "", ""),
        ("Carl Oss: (1:2:3:4)", "Carl Oss", None, "1:2:3:4", ""),
        ("A: (12:75)", "A", None, "12:75", ""),
        ("Carl Oss (00:XX)", "Carl Oss", None, "00:XX", ""),
        ("Carl Oss (00:XX):", "Carl Oss", None, "00:XX", ""),
        ("Carl Oss: (inaudible)", "Carl Oss", None, "inaudible", ""),
        ("Carl Oss: (laughing)", "Carl Oss", None, "laughing", ""),
        ("Carl Oss: [--:--]", "Carl Oss", None, "--:--", ""),
        ("Dr. Carl Oss, PhD:", "Dr. Carl Oss, PhD", None, "", ""),
        ("Carl Oss (via Zoom):", "Carl Oss (via Zoom)", None, "", ""),
        ("The President:", "The President", None, "", ""),
        ("MODERATOR:", "MODERATOR", None, "", ""),
        ("Speaker 3:", "Speaker 3", None, "", ""),
        ("Ann:", "Ann", None, "", ""),
        ("Ann: I object.", "Ann", None, "", "I object."),
    ] {
        let expected = Some((label.to_owned(), start, remark.to_owned(), text.to_owned()));
        assert_eq!(find(FileKind::Rev, line), expected, "{line}");
    }
    for plain in [
        "",
        "The answer is this:",
        "THE ANSWER IS THIS:",
        "Note:",
        "Question:",
        "The Answer:",
        "Well, Ben:",
        "Yes, Mr. President:",
        "He said: (yes)",
        "he said: (yes)",
        "Carl: yes",
        "At five (pm)",
        "We met at noon (12:00)",
        "It was 12:30",
        "Genesis 12:30",
        "(silence)",
        "(00:41)",
        "[inaudible 00:16:09]",
        "five \u{2014} Ann: (yes)",
        "https://example.org",
        "[1] Ben: a footnote",
    ] {
        assert_eq!(find(FileKind::Rev, plain), None, "{plain}");
    }
    assert_eq!(find(FileKind::Rev, &format!("{}: (00:01)", "x".repeat(81))), None);
    assert!(find(FileKind::Rev, &format!("{}: (00:01)", "x".repeat(80))).is_some());
    assert_eq!(
        ["(01:30)", "[0:10] So.", "(silence)", "A (01:30)", "0:10 So."].map(paragraph),
        [Some((90_000, "")), Some((10_000, "So.")), None, None, None]
    );
}

#[test]
fn headers_of_the_other_kinds_as_a_table() {
    for (kind, line, label, start, text) in [
        (FileKind::Names, "Carl Oss: 00:00:35", "Carl Oss", Some(35_000), ""),
        (FileKind::Names, "Carl:00:00:35", "Carl", Some(35_000), ""),
        (FileKind::Names, "Carl Oss: 12:35", "Carl Oss", Some(755_000), ""),
        (FileKind::Names, "Carl Oss: 00:75:00", "Carl Oss", None, ""),
        (FileKind::Names, "Carl 00:00:35", "Carl", Some(35_000), ""),
        (FileKind::Names, "Carl Oss:", "Carl Oss", None, ""),
        (FileKind::Otter, "Speaker 1  0:35", "Speaker 1", Some(35_000), ""),
        (FileKind::Otter, "carl  1:00:35", "carl", Some(3_635_000), ""),
        (FileKind::Otter, "Carl Oss\t00:35", "Carl Oss", Some(35_000), ""),
        (FileKind::Otter, "[Carl Oss] 10:02:11", "Carl Oss", Some(36_131_000), ""),
        (FileKind::Otter, "[00:00:05.190] - Carl Oss", "Carl Oss", Some(5_190), ""),
        (FileKind::Otter, "Carl Oss (0:00:35)", "Carl Oss", Some(35_000), ""),
        (FileKind::Timed, "[00:00:35] Carl: Well: yes.", "", Some(35_000), "Carl: Well: yes."),
        (FileKind::Timed, "[00:00:35] Ann: Well: yes.", "Ann", Some(35_000), "Well: yes."),
        (FileKind::Timed, "00:35 Ann: Well.", "Ann", Some(35_000), "Well."),
        (FileKind::Timed, "00:00:35.500 - Carl Oss: Well.", "Carl Oss", Some(35_500), "Well."),
        (FileKind::Timed, "(0:35) Ann: Well.", "Ann", Some(35_000), "Well."),
        (FileKind::Timed, "[00:35 - 00:40] Ann: Well.", "Ann", Some(35_000), "Well."),
        (FileKind::Timed, "00:35 --> 00:40 Ann: Well.", "Ann", Some(35_000), "Well."),
        (FileKind::Timed, "[00:00:35.000 --> 00:00:36.000]  So it is.", "", Some(35_000), "So it is."),
        (FileKind::Timed, "10:02:11 From Carl Oss to Everyone : Hi.", "Carl Oss", Some(36_131_000), "Hi."),
        (FileKind::Timed, "[00:XX] Carl: Well.", "Carl", None, "Well."),
    ] {
        let found = find(kind, line).map(|(label, start, _, text)| (label, start, text));
        assert_eq!(found, Some((label.to_owned(), start, text.to_owned())), "{kind}: {line}");
    }
    for (kind, plain) in [
        (FileKind::Names, "64."),
        (FileKind::Names, "It was 12:30"),
        (FileKind::Names, "00:00:01"),
        (FileKind::Otter, "it was 12:30"),
        (FileKind::Timed, "10:30 is when we meet"),
        (FileKind::Timed, "00:00:01,000 --> 00:00:02,000"),
        (FileKind::Timed, "[laughter] Ann said so"),
    ] {
        assert_eq!(find(kind, plain), None, "{kind}: {plain}");
    }
    let ended = Headers::of_labels(FileKind::Timed, std::iter::empty()).find("00:35 --> 00:40 Well.", FileLine::WITHIN);
    assert_eq!(ended.map(|header| (header.label, header.text)), Some(("", "Well.")));
    let ended = Headers::of_labels(FileKind::Timed, std::iter::empty()).find("[00:35 - 00:40] Well.", FileLine::WITHIN);
    assert_eq!(ended.and_then(|header| header.end_ms), Some(40_000));
}

#[test]
fn a_level_is_nobodys_name() {
    for (kind, line) in [
        (FileKind::Timed, "[00:00:35] INFO: started"),
        (FileKind::Timed, "00:35 Error: cannot connect"),
        (FileKind::Rev, "WARNING: slow"),
        (FileKind::Rev, "[00:35] DEBUG: x"),
    ] {
        let found = find(kind, line);
        assert!(found.as_ref().is_none_or(|(label, ..)| label.is_empty()), "{kind}: {line} {found:?}");
    }
}

#[test]
fn a_header_names_one_speaker() {
    let lines = ["Ann: (0:01): (0:05)", "Ann", "and more", "Ben: (0:06)", "Ben", "more"];
    let headers = Headers::of(FileKind::Rev, &lines);
    let found = lines.map(|line| headers.find(line, FileLine::WITHIN).map(|header| header.label));
    assert_eq!(found, [Some("Ann: (0:01)"), None, None, Some("Ben"), Some("Ben"), None]);
}

#[test]
fn a_sentence_with_a_colon_is_nobodys_name() {
    let labels = |rows: &[&str]| -> Vec<(String, bool)> {
        let rows: Vec<String> = rows.iter().map(|row| format!("[00:35] {row}")).collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let headers = Headers::of(FileKind::Timed, &rows);
        let found = rows.iter().filter_map(|row| headers.find(row, FileLine::WITHIN));
        found.map(|header| (header.label.to_owned(), header.odd.is_some())).collect()
    };
    let named = |label: &str| (label.to_owned(), false);
    let sentences = ["The answer is simple: no.", "Remember one thing: go.", "And then: it rained."];
    // Six rows in ten have a name.
    let rows = ["Ann: a", "Ann: b", "Ann: c", "Ann: d", "e", "f", "g", sentences[0], sentences[1], sentences[2]];
    let mut expected = vec![named("Ann"); 4];
    expected.extend(vec![named(""); 6]);
    assert_eq!(labels(&rows), expected);
    // All rows have one: a sentence is still none, and a possible one is reported.
    let rows = ["Ann: a", "Ben: b", "lee (she/her): c", sentences[0]];
    assert_eq!(labels(&rows), [named("Ann"), named("Ben"), ("lee (she/her)".to_owned(), true), named("")]);
    // A label that stands twice is a name, but a repeated sentence is not.
    let rows = ["lee: a", "lee: b", "c", "d", sentences[0], sentences[0]];
    assert_eq!(labels(&rows), ["lee", "lee", "", "", "", ""].map(named));
}
