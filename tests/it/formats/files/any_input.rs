//! What holds for any file that is read and any lines that are written.

use std::collections::BTreeSet;
use std::sync::Arc;

use captionwire::format::{Document, Format, PROBLEMS_MAX, read, write};
use captionwire::transcript::{FeedMeta, FeedState, Line, Status, Turn, TurnState};
use proptest::prelude::*;

use super::{IMPORTED_AT, export, feed, fold, version};

/// Bytes that readers stumble over, or any.
fn hostile_bytes() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"Ann: (00:01)",
        b"Ann: 00:00:02",
        b"Ann:00:00:01",
        b"Ann 00:00:09",
        b": (",
        b")",
        b"(12:75)",
        b"---",
        b"title: x",
        b"# h",
        b"\r",
        b"\n",
        b"\r\n",
        b" ",
        b":",
        b"00:",
        b"99999999999999999999:00:00",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xe2\x80",
        b"\xe2\x80\xa8",
        b"Published at ",
        b"word",
        b"\xc3\xa9: 00:00:01",
    ];
    let piece = prop_oneof![
        8 => prop::sample::select(pieces).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop_oneof![prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat()), any::<Vec<u8>>()]
}

/// The start of a line, its end, and the times of its word.
type OddTimes = (i64, Option<i64>, Option<(i64, i64)>);

/// Our own JSON, or its rows, with numbers such as nobody writes.
fn hostile_json() -> impl Strategy<Value = Vec<u8>> {
    let time =
        || prop_oneof![2 => 0..200_000_i64, 1 => any::<i64>(), 1 => prop::sample::select(vec![i64::MIN, -1, i64::MAX])];
    let line = (time(), prop::option::of(time()), prop::option::of((time(), time())));
    (prop::collection::vec(line, 1..8), any::<bool>()).prop_map(|(lines, is_whole)| {
        let line = |(index, (start, end, word)): (usize, OddTimes)| {
            let words = word.map(|(start, end)| serde_json::json!({"text": "a", "start_ms": start, "end_ms": end}));
            serde_json::json!({
                "source": "main", "id": index.to_string(), "rev": 0, "sort": "", "start_ms": start, "end_ms": end,
                "text": "a", "status": "final", "marks": [], "words": words.into_iter().collect::<Vec<_>>(),
                "received_at": "2026-01-01T00:00:00.000Z",
            })
        };
        let lines: Vec<_> = lines.into_iter().enumerate().map(line).collect();
        if is_whole {
            return serde_json::json!({"feed": "x", "turns": [{"lines": lines}]}).to_string().into_bytes();
        }
        let row = |mut line: serde_json::Value| {
            line["type"] = "line".into();
            format!("{line}\n")
        };
        lines.into_iter().map(row).collect::<String>().into_bytes()
    })
}

/// Text, with what formats give a meaning to mixed in.
fn hostile_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "-->",
            "--->",
            "\n",
            "\n\n",
            "\r",
            " ",
            "<v x>",
            "&",
            ">>",
            "\0",
            "7",
            "NOTE",
            "WEBVTT",
            "Bob: (00:01)",
            "Bob: 00:00:01",
            "Published at x",
            "a",
            "é",
            "\u{2028}",
            "\u{85}",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,12}",
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// Lines such as no fold would give: any times in any order, any text.
fn any_document_lines() -> impl Strategy<Value = Vec<Line>> {
    let time = || prop_oneof![4 => 0..20_000_i64, 1 => any::<i64>()];
    let line = (time(), prop::option::of(time()), prop::option::of(hostile_text()), hostile_text());
    prop::collection::vec(line, 0..12).prop_map(|lines| {
        let number =
            |(index, (start_ms, end_ms, speaker, text)): (usize, (i64, Option<i64>, Option<String>, String))| Line {
                source: "main".into(),
                id: index.to_string().into(),
                rev: 0,
                sort: "".into(),
                start_ms,
                end_ms,
                speaker: speaker.map(Arc::from),
                text: text.into(),
                status: Status::Final,
                lang: None,
                break_before: None,
                time_source: None,
                marks: vec![],
                words: vec![],
                received_at: IMPORTED_AT,
            };
        lines.into_iter().enumerate().map(number).collect()
    })
}

fn write_lines(format: Format, lines: Vec<Line>) -> String {
    let turn = |line: &Line| Turn {
        id: line.id.clone(),
        sort: line.sort.clone(),
        speaker: line.speaker.clone(),
        start_ms: line.start_ms,
        end_ms: line.end_ms,
        state: TurnState::Closed,
        rev: 0,
    };
    let turns = lines.into_iter().map(|line| (turn(&line), vec![line])).collect();
    let (feed, meta) = (feed(), FeedMeta { title: Some("A --> B\n\nC".into()), ..FeedMeta::default() });
    let state = FeedState::Ended;
    write(format, &Document { feed, meta, state, epoch: None, cursor: None, speakers: vec![], turns, kept: None })
}

fn cue_time(text: &str) -> i64 {
    let parts: Vec<i64> = text.split([':', '.', ',']).map(|part| part.parse().expect("a number")).collect();
    assert_eq!(parts.len(), 4, "{text}");
    ((parts[0] * 60 + parts[1]) * 60 + parts[2]) * 1000 + parts[3]
}

/// The rules that WebVTT and SRT share; gives the payloads.
fn check_cues(cues: &[&str]) -> Vec<String> {
    let (mut latest, mut ids, mut payloads) = (0, BTreeSet::new(), Vec::new());
    for cue in cues {
        let rows: Vec<&str> = cue.trim_end_matches('\n').split('\n').collect();
        assert!(rows.len() >= 3, "id, times and payload: {cue:?}");
        assert!(ids.insert(rows[0].to_owned()), "ids are unique: {cue:?}");
        let (start, end) = rows[1].split_once(" --> ").expect("times");
        let (start, end) = (cue_time(start), cue_time(end));
        assert!(start >= latest && end > start, "starts never decrease, a cue ends after it starts: {cue:?}");
        latest = start;
        for row in &rows[2..] {
            assert!(!row.contains("-->") && !row.trim().is_empty() && !row.contains(['\r', '\0']), "{cue:?}");
        }
        payloads.push(rows[2..].join("\n"));
    }
    payloads
}

fn words(text: &str) -> Vec<String> {
    text.replace('\0', "\u{fffd}").split_whitespace().map(str::to_owned).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a file holds, reading it ends, and what was read can be folded and written.
    #[test]
    fn reading_never_panics(
        bytes in hostile_bytes(),
        name in prop::option::of(".{0,12}"),
    ) {
        if let Ok(reading) = read(&bytes, name.as_deref()) {
            prop_assert!(!reading.lines.is_empty() && reading.problems.len() <= PROBLEMS_MAX + 1);
            let transcript = fold(reading.meta, reading.lines, vec![]);
            for format in Format::ALL {
                prop_assert!(!export(format, &transcript).is_empty());
            }
        }
    }

    /// Times of our own JSON may be any numbers: they are read, and what was read can be written.
    #[test]
    fn our_json_is_read_whatever_its_numbers_are(bytes in hostile_json()) {
        let reading = read(&bytes, None).expect("it can be read");
        let transcript = fold(reading.meta, reading.lines, vec![]);
        for format in Format::ALL {
            prop_assert!(!export(format, &transcript).is_empty());
        }
    }

    /// A rev.com export is read back as the lines it was written from; hostile text may gain or lose blanks, no more.
    #[test]
    fn a_rev_export_is_read_back(
        lines in prop::collection::vec((0..20_000_i64, "[A-Za-z(][A-Za-z0-9 .:()é]{0,60}[a-z:)]", hostile_text()), 1..12),
        preamble in prop::option::of(hostile_text()),
        trailer in prop::option::of(Just("Published at www.example.org")),
    ) {
        let lines: Vec<_> = lines.into_iter().filter(|(_, _, text)| !words(text).is_empty()).collect();
        prop_assume!(!lines.is_empty());
        let versions = (1..).zip(&lines).map(|(id, (start, label, text)): (usize, _)| {
            version(&id.to_string(), start * 1000, Some(label), text)
        });
        let meta = FeedMeta { preamble: preamble.map(|text| text.into()),
            trailer: trailer.map(Arc::from), ..FeedMeta::default() };
        let transcript = fold(meta.clone(), versions.collect(), vec![]);
        let written = export(Format::Rev, &transcript);
        let reading = read(written.as_bytes(), Some("x.rev.txt")).expect("it can be read");
        let expected: Vec<Line> = transcript.assembled().flat_map(|(_, lines)| lines).collect();
        prop_assert_eq!(reading.lines.len(), expected.len(), "{}", written);
        for (read, line) in reading.lines.iter().zip(&expected) {
            prop_assert_eq!(read.content.start_ms, Some(line.start_ms));
            // A name has one blank between its words.
            let name = line.speaker.as_deref().map(|name| name.split_whitespace().collect::<Vec<_>>().join(" "));
            prop_assert_eq!(read.content.speaker.as_deref(), name.as_deref());
            prop_assert_eq!(words(&read.content.text), words(&line.text));
            let is_sane = !line.text.contains(": (") && !line.text.contains(['\r', '\0']) && !line.text.contains("Published at")
                && line.text.split('\n').all(|row| !row.trim().is_empty());
            if is_sane {
                prop_assert_eq!(&read.content.text, &line.text);
            }
        }
        prop_assert_eq!(&reading.meta.trailer, &meta.trailer);
        // What was written once is written the same again.
        let again = fold(reading.meta, reading.lines, vec![]);
        prop_assert_eq!(export(Format::Rev, &again), written);
    }

    /// W3C WebVTT, "WebVTT file structure", for whatever lines there are.
    #[test]
    fn webvtt_is_valid_whatever_the_lines_say(lines in any_document_lines()) {
        let written = write_lines(Format::Vtt, lines.clone());
        let mut blocks = written.split("\n\n");
        prop_assert_eq!(blocks.next().map(str::trim_end), Some("WEBVTT - A -- > B C"));
        // Which ends are estimated is said, of each or of all.
        let (notes, cues): (Vec<_>, Vec<_>) = blocks.partition(|block| block.starts_with("NOTE "));
        let notes: Vec<_> = notes.into_iter().filter(|note| *note != "NOTE names before a colon are text").collect();
        let has_no_end = |line: &&Line| line.end_ms.is_none_or(|end| end <= line.start_ms);
        let estimated = lines.iter().filter(has_no_end).filter(|line| !line.text.trim().is_empty()).count();
        let all = ["NOTE all ends are estimated"];
        prop_assert!(notes.len() == estimated || notes == all && estimated == cues.len(), "{}", written);
        let shown: Vec<_> = lines.iter().filter(|line| !line.text.trim().is_empty()).collect();
        prop_assert_eq!(cues.len(), shown.len(), "{}", written);
        for (payload, line) in check_cues(&cues).iter().zip(shown) {
            let text = match payload.strip_prefix("<v ") {
                Some(voice) => voice.split_once('>').expect("a closed tag").1,
                None => payload,
            };
            let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&#78;OTE", "NOTE").replace("&#87;EB", "WEB");
            let text = text.replace("&amp;", "&");
            prop_assert_eq!(words(&text), words(&line.text));
        }
    }

    /// The same rules for SubRip, whose cues are counted from 1.
    #[test]
    fn subrip_is_valid_whatever_the_lines_say(lines in any_document_lines()) {
        let written = write_lines(Format::Srt, lines.clone());
        let cues: Vec<_> = written.split("\n\n").filter(|cue| !cue.is_empty()).collect();
        let shown = lines.iter().filter(|line| !line.text.trim().is_empty()).count();
        prop_assert_eq!(cues.len(), shown, "{}", written);
        check_cues(&cues);
        for (number, cue) in (1..).zip(&cues) {
            let counted = format!("{number}\n");
            prop_assert!(cue.starts_with(&counted), "{}", cue);
        }
    }
}

/// Small files of each kind that is known without its name. Each word of their texts begins with `w`, and stands there once.
const FILES_OF_KINDS: [&str; 19] = [
    "Ann Lee: (00:01)\nwa1 wa2.\n\nBen Roth: (00:05)\nwa3\nwa4.\n",
    "Ann Lee (00:01):\nwb1 wb2.\n\nBen Roth (00:05):\nwb3.\n",
    "Ann Lee: 00:00:01\nwc1 wc2.\n\nBen Roth: 00:00:05\nwc3.\n",
    "Ann Lee  0:01\nwd1 wd2.\n\nBen Roth  0:05\nwd3.\n",
    "[Ann Lee] 10:02:11\nwe1 we2.\n\n[Ben Roth] 10:02:15\nwe3.\n",
    "[00:00:01] Ann Lee: wf1 wf2.\n[00:00:05] Ben Roth: wf3.\nwf4.\n",
    "00:00:01 Ann Lee: wg1.\n00:00:05 Ben Roth: wg2 wg3.\n",
    "[00:00:00.100 --> 00:00:01.200]  wh1 wh2.\n[00:00:01.600 --> 00:00:03.000]  wh3.\n",
    "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ann Lee>wi1 wi2.\n\n00:05.000 --> 00:06.000\nwi3.\n",
    "1\n00:00:01,000 --> 00:00:02,000\nwj1 wj2.\n\n2\n00:00:05,000 --> 00:00:06,000\nwj3.\n",
    "# wk1\n\n**Ann Lee:** \\[00:01] wk2 wk3.\n\n**Ben Roth:** wk4.\n\nwk5.\n",
    "token|speaker|ts|endTs\nwl1|1|0.1|0.2\nwl2|2|0.5|0.9\n",
    "{\"start_ms\":1000,\"speaker\":\"Ann\",\"text\":\"wm1 wm2.\"}\n{\"start_ms\":5000,\"text\":\"wm3.\"}\n",
    "{\"segments\":[{\"start\":0.0,\"end\":1.4,\"text\":\"wn1 wn2.\"},{\"start\":2.0,\"end\":3.0,\"text\":\"wn3.\"}]}\n",
    "{\"version\":\"1.0.0\",\"segments\":[{\"startTime\":0.1,\"endTime\":1.0,\"speaker\":\"Ann\",\"body\":\"wo1 wo2.\"}]}\n",
    "<tt xmlns=\"http://www.w3.org/ns/ttml\"><body><div>\n<p begin=\"1s\" end=\"2s\">wp1 wp2.</p>\n</div></body></tt>\n",
    "Ann Lee\n0:01\nwq1 wq2.\n\nBen Roth\n0:05\nwq3.\n",
    "0:01\tAnn Lee\twr1 wr2.\n0:05\tBen Roth\twr3.\n",
    "ws1 ws2 is no transcript.\n\nws3\n",
];

/// Whatever two kinds of files somebody puts together: they are refused, or each word is read, or its line is told.
#[test]
fn no_word_of_two_files_put_together_is_dropped_untold() {
    let mut wrong = Vec::new();
    let mut read_files = 0;
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        let is_one =
            |word: &&str| word.len() == 3 && word.starts_with('w') && word.ends_with(|c: char| c.is_ascii_digit());
        words.filter(is_one).map(str::to_owned).collect()
    };
    for first in FILES_OF_KINDS {
        for second in FILES_OF_KINDS {
            for between in ["", "\n", "\u{feff}"] {
                let file = format!("{first}{between}{second}");
                let Ok(reading) = read(file.as_bytes(), None) else { continue };
                read_files += 1;
                let meta = [&reading.meta.title, &reading.meta.preamble, &reading.meta.trailer];
                let meta = meta.into_iter().flatten().map(|text| &**text);
                let said =
                    reading.lines.iter().flat_map(|line| [Some(&*line.content.text), line.content.speaker.as_deref()]);
                let read: BTreeSet<String> = said.flatten().chain(meta).flat_map(words).collect();
                let told: BTreeSet<usize> =
                    reading.problems.iter().chain(&reading.losses).map(|told| told.line).collect();
                let quoted: Vec<&str> = reading.problems.iter().map(|told| &*told.message).collect();
                // A block is told with its first row.
                let mut is_block_told = false;
                for (number, row) in file.lines().enumerate() {
                    let is_told = |word: &String| quoted.iter().any(|message| message.contains(word.as_str()));
                    let lost: Vec<String> = words(row).into_iter().filter(|word| !read.contains(word)).collect();
                    let is_read = lost.is_empty() && !words(row).is_empty();
                    is_block_told = told.contains(&(number + 1)) || is_block_told && !is_read;
                    if !lost.iter().all(is_told) && !is_block_told {
                        wrong
                            .push(format!("{file}\nis {}, and {lost:?} is lost: {:?}", reading.kind, reading.problems));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {read_files}\n{}", wrong.len(), wrong.join("\n"));
    assert!(read_files > 500, "{read_files}");
}

/// Files in which something stands very often: read in one pass, they take no time; else this test does not end.
#[test]
fn what_stands_often_is_read_in_one_pass() {
    const OFTEN: usize = 60_000;
    let cue = "1\n00:00:01,000 --> 00:00:02,000\nHello.\n\n";
    let cues = |text: &dyn Fn(usize) -> String| -> String {
        let time = |at: usize| format!("{:02}:{:02}:{:02},000", at / 3600, at / 60 % 60, at % 60);
        (0..OFTEN / 4).map(|at| format!("{}\n{} --> {}\n{}\n\n", at + 1, time(at), time(at + 1), text(at))).collect()
    };
    let name = |at: usize| {
        let letter = |digit: usize| char::from(b"abcdefghij"[at / 10_usize.pow(digit as u32) % 10]);
        format!("Q{}", (0..5).map(letter).collect::<String>())
    };
    let names = |at: usize| format!("{}: so.", name(if at < OFTEN / 8 { at } else { OFTEN / 4 - at - 1 }));
    let nested = (0..100).fold("[1]".to_owned(), |inner, _| format!("{{\"name\":{inner}}}"));
    let whisper = |text: &str, speaker: &str| {
        format!("{{\"segments\":[{{\"start\":0.0,\"end\":1.4,\"text\":\"{text}\",\"speaker\":{speaker}}}]}}")
    };
    for (file, name) in [
        (cue.to_owned() + &"\n".repeat(OFTEN * 4), "blank.srt"),
        (cue.to_owned() + &"\t\n".repeat(OFTEN * 4), "blank.srt"),
        (cues(&names), "names.srt"),
        (cues(&|_| "yes1".to_owned()), "glued.srt"),
        (cues(&|_| "\u{feff}So.".to_owned()), "marks.srt"),
        (whisper(&"<|".repeat(OFTEN * 2), "null"), "marks.json"),
        (whisper(&"<|so".repeat(OFTEN * 2), "null"), "marks.json"),
        (whisper("So.", &nested), "nested.json"),
    ] {
        let lines = read(file.as_bytes(), Some(name)).map(|reading| reading.lines.len());
        assert!(lines.as_ref().is_ok_and(|lines| *lines > 0), "{name}: {lines:?}");
    }
}
