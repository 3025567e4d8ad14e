//! Every file of the folder of real data: it is read as what it is, and no word of it is lost; or refused with a sentence
//! that says what it is.

use std::path::{Path, PathBuf};

use captionwire::format::{Document, FileKind, Format, ParsedTranscript, read, read_words, write};
use captionwire::transcript::{MediaMs, TimeSource};

use super::{IMPORTED_AT, data, feed};

fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

fn spoken(reading: &ParsedTranscript) -> Vec<&str> {
    reading.lines.iter().flat_map(|line| line.content.text.split_whitespace()).collect()
}

/// What each file is, by the beginning of its path: a kind, or what the refusal says.
const FILES: &[(&str, Result<FileKind, &str>)] = &[
    ("README.md", Err("no transcript")),
    ("ami_rttm/", Err("RTTM")),
    ("asr_streams/aws_batch/bda-custom.json", Err("AWS Bedrock")),
    ("asr_streams/revai/", Ok(FileKind::RevJson)),
    ("asr_streams/speechmatics_batch/batch-job-status.json", Err("status of a transcription job")),
    ("asr_streams/speechmatics_batch/convert_to_txt/empty.json", Err("not one line of speech")),
    ("asr_streams/speechmatics_batch/transcription_config.json", Err("configuration of speech recognition")),
    ("asr_streams/speechmatics_", Ok(FileKind::Speechmatics)),
    ("asr_streams/vexa_golden/core/gateway/contracts/ws.v1/golden/ChatMessage", Err("chat_message")),
    ("asr_streams/vexa_golden/core/gateway/contracts/ws.v1/golden/Error", Err("\"error\"")),
    ("asr_streams/vexa_golden/core/gateway/contracts/ws.v1/golden/MeetingStatus", Err("meeting.status")),
    ("asr_streams/vexa_golden/core/gateway/contracts/ws.v1/golden/Sub", Err("subscribe")),
    ("asr_streams/vexa_golden/core/gateway/contracts/ws.v1/golden/Unsub", Err("unsubscribe")),
    ("asr_streams/vexa_golden/core/meetings/contracts/transcript.v1/golden/Session", Err("session_")),
    ("asr_streams/vexa_golden/", Ok(FileKind::Vexa)),
    ("asr_streams/vexa_replay/", Ok(FileKind::Ndjson)),
    ("asr_streams/vexa_ws_meeting-test-20260524-094112.jsonl", Err("rows of JSON")),
    ("asr_streams/vexa_ws", Ok(FileKind::Vexa)),
    ("bitcointranscripts/", Ok(FileKind::Names)),
    ("cdp_council/", Ok(FileKind::Cdp)),
    ("changelog/", Ok(FileKind::Markdown)),
    ("council_captions/", Ok(FileKind::Vtt)),
    ("earnings21/rttm/", Err("RTTM")),
    ("earnings21/earnings21-file-metadata.csv", Err("CSV")),
    ("earnings21/eval10-file-metadata.csv", Err("CSV")),
    ("earnings21/speaker-metadata.csv", Err("CSV")),
    ("earnings21/", Ok(FileKind::Nlp)),
    ("earnings22/", Ok(FileKind::Nlp)),
    ("press-conference.rev.txt", Ok(FileKind::Rev)),
    ("rev16/", Ok(FileKind::Nlp)),
    ("revcom/", Ok(FileKind::RevEditor)),
    ("samples/astisub/example-in.srt", Ok(FileKind::Srt)),
    ("samples/astisub/example-in.ttml", Ok(FileKind::Ttml)),
    ("samples/astisub/example-in.vtt", Ok(FileKind::Vtt)),
    ("samples/ebu-tt-live/Ericsson 2016-09-06/manifest", Err("no transcript")),
    ("samples/ebu-tt-live/", Ok(FileKind::Ttml)),
    ("samples/imsc/", Ok(FileKind::Ttml)),
    ("samples/wpt/", Ok(FileKind::Vtt)),
    ("voxconverse/", Err("RTTM")),
];

#[test]
fn every_file_is_read_or_refused_by_what_it_is() {
    let Some(folder) = data("every_file_is_read_or_refused_by_what_it_is") else { return };
    let mut wrong = Vec::new();
    let (mut read_files, mut refused, mut lines) = (0, 0, 0);
    for path in files(&folder) {
        let name = path.strip_prefix(&folder).expect("below it").to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).expect("a file");
        let expected = FILES.iter().find(|(start, _)| name.starts_with(start)).map(|(_, expected)| *expected);
        // Without its name as well: a server is sent none.
        for known_as in [Some(&*name), None] {
            match (read(&bytes, known_as), expected) {
                (Ok(reading), Some(Ok(kind))) if reading.kind == kind => {
                    if known_as.is_none() {
                        (read_files, lines) = (read_files + 1, lines + reading.lines.len());
                    }
                }
                (Err(error), Some(Err(why))) if error.to_string().contains(why) => {
                    refused += usize::from(known_as.is_none());
                }
                (Ok(reading), _) => wrong.push(format!("{name} is read as {} ({expected:?})", reading.kind)),
                (Err(error), _) => wrong.push(format!("{name} is refused: {error} ({expected:?})")),
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    println!("{read_files} files read, {lines} lines, {refused} files refused");
    assert_eq!((read_files, refused), (108, 116));
}

/// The words of a Markdown transcript that somebody said: worked out without the reader.
fn markdown_words(text: &str) -> Vec<String> {
    let is_time = |word: &str| {
        let inner = word.strip_prefix("\\[").and_then(|word| word.strip_suffix("\\]"));
        inner.is_some_and(|inner| {
            inner.contains(':') && inner.bytes().all(|b| b.is_ascii_digit() || b == b':' || b == b'.')
        })
    };
    let mut words = Vec::new();
    for line in text.lines() {
        let said = match line.strip_prefix("**").and_then(|rest| rest.split_once("**")) {
            Some((label, rest)) if label.ends_with(':') || rest.starts_with(':') => rest.trim_start_matches(':'),
            _ => line,
        };
        for (index, word) in said.split_whitespace().enumerate() {
            if !(index == 0 && is_time(word)) {
                words.push(word.replace("\\[", "[").replace("\\]", "]").replace('\\', ""));
            }
        }
    }
    words
}

#[test]
fn no_word_of_the_changelog_is_lost() {
    let Some(folder) = data("no_word_of_the_changelog_is_lost") else { return };
    for path in files(&folder.join("changelog")) {
        let text = std::fs::read_to_string(&path).expect("a file");
        let reading = read(text.as_bytes(), path.to_str()).expect("it can be read");
        let read: Vec<String> = spoken(&reading).into_iter().map(|word| word.replace('\\', "")).collect();
        assert_eq!(read, markdown_words(&text), "{path:?}");
        let timed = reading.lines.iter().filter(|line| line.content.start_ms.is_some()).count();
        assert!(timed >= 10, "{path:?}: {timed} lines with times");
        // Those without stand between them.
        let places: Vec<MediaMs> =
            reading.lines.iter().filter_map(|line| line.content.start_ms.or(line.arrival_ms)).collect();
        assert!(places.is_sorted() && places.len() == reading.lines.len(), "{path:?}");
    }
}

/// The tokens of an `.nlp` file, worked out without the reader.
fn tokens(text: &str) -> Vec<(String, String)> {
    let cells = |line: &str| -> Vec<String> { line.split('|').map(str::to_owned).collect() };
    text.lines().skip(1).map(cells).map(|cells| (cells[0].clone(), cells[1].clone())).collect()
}

#[test]
fn no_token_of_the_earnings_calls_is_lost_or_moved() {
    let Some(folder) = data("no_token_of_the_earnings_calls_is_lost_or_moved") else { return };
    let plain = |word: &str| word.replace(['[', ']', '<', '>'], "").replace("laughter", "laugh");
    for path in ["earnings21", "earnings22", "rev16"].iter().flat_map(|name| files(&folder.join(name))) {
        if path.extension().is_none_or(|extension| extension != "nlp") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a file");
        let reading = read(text.as_bytes(), None).expect("it can be read");
        let mut found = reading.lines.iter().flat_map(|line| {
            let speaker = line.content.speaker.as_deref().unwrap_or_default().trim_start_matches("Speaker ").to_owned();
            line.content.text.split_whitespace().map(move |word| (plain(word), speaker.clone()))
        });
        for (token, speaker) in tokens(&text) {
            let speaker = if speaker == "UU" { String::new() } else { speaker };
            for part in token.split_whitespace() {
                let (word, by) = found.next().unwrap_or_else(|| panic!("{path:?}: {token} is missing"));
                assert!(
                    word.contains(&plain(part)) && by == speaker,
                    "{path:?}: {token} by {speaker} is {word} by {by}"
                );
            }
        }
        assert_eq!(found.next(), None, "{path:?}");
    }
}

/// The requirement: all 22 calls of earnings21, 19 hours, in at most 10 s, with the times of their speakers.
#[test]
fn the_earnings_calls_are_read_with_the_times_of_their_speakers() {
    let Some(folder) = data("the_earnings_calls_are_read_with_the_times_of_their_speakers") else { return };
    let (mut calls, mut words, mut turns, mut timed, mut lines) = (0, 0, 0, 0, 0);
    for path in files(&folder.join("earnings21/ref_nlp")) {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let rttm = std::fs::read(folder.join(format!("earnings21/rttm/{name}.rttm"))).expect("it has one");
        let reading = read_words(&std::fs::read(&path).expect("a file"), &rttm).expect("it can be read");
        calls += 1;
        words += spoken(&reading).len();
        lines += reading.lines.len();
        let mut latest: MediaMs = 0;
        for run in reading.lines.chunk_by(|one, next| one.content.speaker == next.content.speaker) {
            turns += 1;
            timed += usize::from(run[0].content.start_ms.is_some());
            for line in run {
                let at = line.content.start_ms.or(line.arrival_ms).expect("every line stands somewhere");
                assert!(at >= latest, "{name}: line {} stands before the one before", line.id);
                latest = at;
                let is_ordered = line.time_source == Some(TimeSource::Order);
                assert_eq!(is_ordered, line.content.start_ms.is_none(), "{name}: {line:?}");
            }
        }
        let document = Document::of_reading(&feed(), &reading, IMPORTED_AT);
        assert!(write(Format::Vtt, &document).len() > 1_000);
    }
    println!("{calls} calls, {words} words, {lines} lines, {timed} of {turns} turns timed");
    assert_eq!(calls, 22);
    assert!(words > 178_000 && timed * 100 >= turns * 90, "{words} words, {timed} of {turns} turns");
}

/// Recordings of streams: what was said in the end is there once.
#[test]
fn a_recorded_stream_is_what_was_final() {
    let Some(folder) = data("a_recorded_stream_is_what_was_final") else { return };
    let path = folder.join("asr_streams/speechmatics_rt_chat1.jsonl");
    let text = std::fs::read_to_string(path).expect("a file");
    let reading = read(text.as_bytes(), None).expect("it can be read");
    let finals: String = text
        .lines()
        .filter_map(|row| serde_json::from_str::<serde_json::Value>(row).ok())
        .filter(|row| row["payload"]["message"] == "AddTranscript")
        .filter_map(|row| row["payload"]["metadata"]["transcript"].as_str().map(str::to_owned))
        .collect();
    // Where a message begins with the full stop of the one before, its own text parts them.
    let without_blanks = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(without_blanks(&spoken(&reading).join(" ")), without_blanks(&finals));
    assert_eq!(reading.problems, vec![]);
}
