//! Real streams, of the folder that `CAPTIONWIRE_DATA` names. Nothing of them is in the project.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use captionwire::dialect::VendorFormat;
use captionwire::transcript::Status;
use serde_json::{Value, json};

use super::conservation::{final_letters, finals, letters};
use super::options;
use super::screen::Screen;

fn folder(what: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("CAPTIONWIRE_DATA").map(|folder| PathBuf::from(folder).join("asr_streams"));
    if folder.is_none() {
        // Past the harness, which keeps what passing tests print to itself.
        let note = format!("LEFT OUT: CAPTIONWIRE_DATA does not name a folder with asr_streams/{what}");
        writeln!(std::io::stderr(), "{note}").expect("stderr takes a line");
    }
    folder
}

/// The JSON values of a file.
fn values(path: &Path) -> Vec<Value> {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let values = serde_json::Deserializer::from_slice(&text).into_iter();
    values.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Shows frames; gives the screen and all that was said to be wrong.
fn shown(format: VendorFormat, frames: &[Value], mut each: impl FnMut(&Screen)) -> (Screen, String) {
    let mut dialect = format.open(options());
    let mut screen = Screen::new();
    let mut told = String::new();
    for frame in frames {
        let step = screen.decode(&mut *dialect, frame.to_string().as_bytes());
        told += step.split_once('\n').map_or("", |(_, faults)| faults);
        each(&screen);
    }
    screen.end(&mut *dialect);
    (screen, told)
}

#[test]
fn speechmatics_sessions() {
    let Some(folder) = folder("speechmatics_rt_*.jsonl") else { return };
    for (name, speakers, turns) in [("short", 1, 1), ("chat1", 2, 5)] {
        let path = folder.join(format!("speechmatics_rt_{name}.jsonl"));
        // The rows of the recording are read as they are.
        let rows = values(&path);
        let frames: Vec<Value> = rows.iter().map(|row| row["payload"].clone()).collect();
        let mut most = 0;
        let (screen, told) = shown(VendorFormat::Speechmatics, &rows, |screen| {
            // A word that is guessed and settled is never there twice: text grows by what comes, not by what came.
            most = most.max(letters(&screen.text()).len());
        });
        assert_eq!(told, "", "{name}");
        let expected = finals(VendorFormat::Speechmatics, &frames);
        assert_eq!(final_letters(&screen), expected, "{name}");
        assert!(most <= expected.len() + 40, "{name}: {most} letters were shown of {}", expected.len());
        assert_eq!(screen.transcript.speakers().len(), speakers, "{name}");
        assert_eq!(screen.transcript.counts().1, turns, "{name}:\n{}", screen.turns());
        // The vendor's own client had put segments together, of which we read none: who said what is the same.
        let mut segments: Vec<(String, String)> = Vec::new();
        for segment in frames.iter().filter(|frame| frame["message"] == "AddSegment") {
            for part in segment["segments"].as_array().into_iter().flatten() {
                let (speaker, text) = (&part["speaker_id"], &part["text"]);
                let speaker = speaker.as_str().expect("a speaker").to_owned();
                let text = letters(text.as_str().expect("a text"));
                match segments.last_mut().filter(|(last, _)| *last == speaker) {
                    Some((_, said)) => *said += &text,
                    None => segments.push((speaker, text)),
                }
            }
        }
        let found = screen.transcript.assembled().map(|(turn, lines)| {
            let speaker = turn.speaker.as_deref().and_then(|label| label.rsplit(':').next()).unwrap_or("-").to_owned();
            (speaker, lines.iter().map(|line| letters(&line.text)).collect())
        });
        if !segments.is_empty() {
            assert_eq!(found.collect::<Vec<(String, String)>>(), segments, "{name}");
        }
    }
}

#[test]
fn speechmatics_transcripts_of_a_batch() {
    let Some(folder) = folder("speechmatics_batch") else { return };
    for name in ["empty", "entity", "punctuation", "simple_case", "two_speakers"] {
        let frames = values(&folder.join(format!("speechmatics_batch/convert_to_txt/{name}.json")));
        let (screen, told) = shown(VendorFormat::Speechmatics, &frames, |_| {});
        assert_eq!(told, "", "{name}");
        assert_eq!(final_letters(&screen), finals(VendorFormat::Speechmatics, &frames), "{name}");
    }
}

#[test]
fn vexa_sockets() {
    let Some(folder) = folder("vexa_ws_*.jsonl") else { return };
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vexa_ws_")))
        .collect();
    files.sort();
    assert_eq!(files.len(), 6);
    for path in files {
        let rows = values(&path);
        let frames: Vec<Value> = rows.iter().map(|row| row["message"].clone()).collect();
        let (screen, told) = shown(VendorFormat::Vexa, &rows, |_| {});
        assert_eq!(told, "", "{}", path.display());
        // One bundle each: its drafts are guesses, what is confirmed is final.
        let (mut expected, mut count) = (String::new(), 0);
        for frame in &frames {
            for kind in ["confirmed", "pending"] {
                for segment in frame[kind].as_array().into_iter().flatten() {
                    expected += segment["text"].as_str().expect("a text");
                    count += usize::from(kind == "confirmed");
                }
            }
        }
        assert_eq!(letters(&screen.text()), letters(&expected), "{}", path.display());
        let lines = screen.transcript.assembled().flat_map(|(_, lines)| lines);
        assert_eq!(lines.filter(|line| line.status == Status::Final).count(), count);
    }
}

#[test]
fn vexa_contracts() {
    let Some(folder) = folder("vexa_golden") else { return };
    let ws = folder.join("vexa_golden/core/gateway/contracts/ws.v1/golden");
    let transcript = folder.join("vexa_golden/core/meetings/contracts/transcript.v1/golden");
    for (path, text) in [
        (ws.join("Transcript.bundle.json"), "Hello from the 0.10.6 bundle"),
        (ws.join("TranscriptionSegment.live.json"), "Hello from G5 gate test"),
        (ws.join("Subscribed.ack.json"), ""),
        (ws.join("ChatMessage.summary.json"), ""),
        (transcript.join("MutableBundle.live.json"), "hello world and then we"),
        (transcript.join("Transcription.confirmed.json"), "hello world"),
        (transcript.join("SessionStart.basic.json"), ""),
        (transcript.join("SessionEnd.basic.json"), ""),
    ] {
        let (screen, told) = shown(VendorFormat::Vexa, &values(&path), |_| {});
        assert_eq!((&*screen.text(), &*told), (text, ""), "{}", path.display());
    }
}

/// The transcript of a recording, said as finals.
#[test]
fn rev_elements() {
    let Some(folder) = folder("revai") else { return };
    let file = values(&folder.join("revai/sample.json"));
    let monologues = file[0]["monologues"].as_array().expect("monologues");
    let frames: Vec<Value> = monologues
        .iter()
        .map(|said| json!({"type": "final", "speaker_id": said["speaker"], "elements": said["elements"]}))
        .collect();
    let (screen, told) = shown(VendorFormat::Rev, &frames, |_| {});
    assert_eq!(told, "");
    assert_eq!(final_letters(&screen), finals(VendorFormat::Rev, &frames));
}
