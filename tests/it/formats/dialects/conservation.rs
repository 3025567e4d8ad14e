//! No text is lost and none is doubled: what a vendor calls final, read from the frames by other means than the decoders',
//! is what the final lines say.

use std::collections::BTreeMap;

use captionwire::dialect::{Dialect, VendorFormat};
use captionwire::transcript::Status;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::screen::Screen;
use super::{options, sample};

/// Letters alone: who writes spaces where is another question.
pub(crate) fn letters(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// The letters of the final lines, in their order. Sounds are by nobody, and no words.
pub(crate) fn final_letters(screen: &Screen) -> String {
    let lines = screen.transcript.assembled().flat_map(|(_, lines)| lines);
    let finals = lines.filter(|line| line.status == Status::Final && !line.text.starts_with("[applause"));
    finals.map(|line| letters(&line.text)).collect()
}

fn strings<'a>(value: &'a Value, field: &'a str) -> impl Iterator<Item = &'a Value> {
    value[field].as_array().into_iter().flatten()
}

/// What the frames of a vendor call final.
pub(crate) fn finals(format: VendorFormat, frames: &[Value]) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let first = |value: &Value, field: &str| text(&value["alternatives"][0][field]);
    // Of what comes twice under one key, the last.
    let mut keyed: BTreeMap<String, String> = BTreeMap::new();
    let mut all = String::new();
    for frame in frames {
        match format {
            VendorFormat::Deepgram if frame["is_final"] == true => all += &first(&frame["channel"], "transcript"),
            VendorFormat::Speechmatics if frame["message"] == "AddTranscript" => {
                strings(frame, "results").for_each(|result| all += &first(result, "content"));
            }
            VendorFormat::Rev if frame["type"] == "final" => {
                strings(frame, "elements").for_each(|element| all += &text(&element["value"]));
            }
            VendorFormat::AssemblyAi if frame["end_of_turn"] == true => {
                keyed.insert(frame["turn_order"].to_string(), text(&frame["transcript"]));
            }
            VendorFormat::Flux if frame["event"] == "EndOfTurn" => all += &text(&frame["transcript"]),
            VendorFormat::Azure if frame["Reason"] == "RecognizedSpeech" => all += &text(&frame["Text"]),
            VendorFormat::Google => {
                for result in strings(frame, "results") {
                    if result["isFinal"] == true || result["is_final"] == true {
                        all += &first(result, "transcript");
                    }
                }
            }
            VendorFormat::Aws => {
                let event = if frame["TranscriptEvent"].is_object() { &frame["TranscriptEvent"] } else { frame };
                for result in strings(&event["Transcript"], "Results").filter(|result| result["IsPartial"] == false) {
                    all += &text(&result["Alternatives"][0]["Transcript"]);
                }
                for result in strings(&event["transcript"], "results").filter(|result| result["is_partial"] == false) {
                    all += &first(result, "transcript");
                }
            }
            VendorFormat::WhisperLive => {
                for segment in strings(frame, "segments").filter(|segment| segment["completed"] == true) {
                    let key = format!("{:>12}", text(&segment["start"]));
                    keyed.insert(key, text(&segment["text"]));
                }
            }
            VendorFormat::Vosk if frame["text"].is_string() => all += &text(&frame["text"]),
            VendorFormat::Vosk => all += &first(frame, "text"),
            _ => {}
        }
    }
    all += &keyed.into_values().collect::<String>();
    letters(&all)
}

#[test]
fn what_is_final_is_there_once_and_in_order() {
    for format in [
        VendorFormat::Deepgram,
        VendorFormat::Speechmatics,
        VendorFormat::Rev,
        VendorFormat::AssemblyAi,
        VendorFormat::Flux,
        VendorFormat::Azure,
        VendorFormat::Google,
        VendorFormat::Aws,
        VendorFormat::WhisperLive,
        VendorFormat::Vosk,
    ] {
        let mut frames = sample(format);
        if format == VendorFormat::WhisperLive {
            // The last but one is of a server that does not say what is complete.
            frames.remove(frames.len() - 2);
        }
        let mut dialect = format.open(options());
        let mut screen = Screen::new();
        for frame in &frames {
            screen.decode(&mut *dialect, frame);
        }
        screen.end(&mut *dialect);
        let frames: Vec<Value> = frames.iter().map(|frame| serde_json::from_slice(frame).expect("JSON")).collect();
        let expected = finals(format, &frames);
        assert!(expected.len() > 20, "{format}: the test reads nothing");
        assert_eq!(final_letters(&screen), expected, "{format}");
    }
}

/// A word and who says it.
type Said = (String, u8);

fn words() -> impl Strategy<Value = Vec<Said>> {
    prop::collection::vec(("[a-z]{1,6}[.,]?", 0..3u8), 1..60)
}

/// Deepgram's frames of `words`: finals of so many words, each after a guess of some that are yet to come.
fn deepgram(words: &[Said], cuts: &[(usize, usize, bool)]) -> Vec<Value> {
    let time = |at: usize| at as f64 * 0.3;
    let result = |from: usize, to: usize, is_final: bool, speech_final: bool| {
        let listed: Vec<Value> = (from..to)
            .map(|at| {
                json!({"word": words[at].0, "punctuated_word": words[at].0, "start": time(at), "end": time(at + 1),
                       "speaker": words[at].1})
            })
            .collect();
        let texts: Vec<&str> = words[from..to].iter().map(|word| &*word.0).collect();
        json!({"type": "Results", "channel_index": [0, 1], "start": time(from), "duration": time(to) - time(from),
               "is_final": is_final, "speech_final": speech_final,
               "channel": {"alternatives": [{"transcript": texts.join(" "), "words": listed}]}})
    };
    let (mut frames, mut at) = (Vec::new(), 0);
    for (count, ahead, speech_final) in cuts.iter().cycle() {
        let to = words.len().min(at + count);
        // The guess may reach beyond the final that replaces it.
        frames.push(result(at, words.len().min(to + ahead), false, false));
        frames.push(result(at, to, true, *speech_final));
        at = to;
        if at == words.len() {
            return frames;
        }
    }
    frames
}

fn show(dialect: &mut dyn Dialect, frames: &[Value], mut each: impl FnMut(&Screen)) -> Screen {
    let mut screen = Screen::new();
    for frame in frames {
        screen.decode(dialect, frame.to_string().as_bytes());
        each(&screen);
    }
    screen.end(dialect);
    screen
}

proptest! {
    /// However finals cut the words, and whatever was guessed before: at every step each word that is settled is shown
    /// once and in its place, and in the end all of them are final.
    #[test]
    fn words_stay_where_they_are(words in words(), cuts in prop::collection::vec((1..9usize, 0..6usize, any::<bool>()), 1..6)) {
        let frames = deepgram(&words, &cuts);
        let all: Vec<&str> = words.iter().map(|word| &*word.0).collect();
        let mut dialect = VendorFormat::Deepgram.open(options());
        let screen = show(&mut *dialect, &frames, |screen| {
            // A guess shows words that come; none is shown twice, and none is passed over.
            let shown = screen.text();
            assert_shown_once(&shown, &all);
        });
        prop_assert_eq!(screen.text(), all.join(" "));
        prop_assert_eq!(final_letters(&screen), all.concat());
    }

    /// A run that is long enough is never given to somebody else.
    #[test]
    fn long_runs_keep_their_speakers(runs in prop::collection::vec((0..3u8, 3..8usize), 1..6)) {
        let mut words: Vec<Said> = Vec::new();
        for (speaker, count) in &runs {
            words.extend((0..*count).map(|n| (format!("s{speaker}n{n}"), *speaker)));
        }
        let frames = deepgram(&words, &[(words.len(), 0, true)]);
        let screen = show(&mut *VendorFormat::Deepgram.open(options()), &frames, |_| {});
        for (_, lines) in screen.transcript.assembled() {
            for line in lines {
                let speaker = line.speaker.as_deref().expect("a speaker");
                let number = speaker.rsplit(' ').next().expect("a number");
                prop_assert!(line.text.split(' ').all(|word| word.starts_with(&format!("s{number}n"))), "{line:?}");
            }
        }
    }
}

/// Who never pauses gets paragraphs all the same, and readers of final lines wait no longer for them.
#[test]
fn an_utterance_without_end_is_cut() {
    for mark in ["", "."] {
        let words: Vec<Said> = (0..3_000).map(|n| (format!("word{n}{mark}"), 0)).collect();
        let frames = deepgram(&words, &[(7, 3, false)]);
        let screen = show(&mut *VendorFormat::Deepgram.open(options()), &frames, |_| {});
        let all: Vec<&str> = words.iter().map(|word| &*word.0).collect();
        assert_eq!(screen.text(), all.join(" "));
        let lines = screen.transcript.assembled().flat_map(|(_, lines)| lines);
        let longest = lines.map(|line| line.text.len()).max().expect("lines");
        assert!(longest < if mark.is_empty() { 1_000 } else { 300 }, "{longest}");
    }
}

fn assert_shown_once(shown: &str, all: &[&str]) {
    let count = shown.split_whitespace().count();
    assert_eq!(shown, all[..count].join(" "));
}
