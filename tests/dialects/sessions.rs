//! Two sessions of an engine on one pipe: nothing of the first is overwritten, and nothing of the second stands before it.

use captionwire::dialect::{Decoded, FaultKind, Format, Framing, Options, Said};
use proptest::prelude::*;
use serde_json::json;

use super::conservation::letters;
use super::screen::Screen;
use super::{options, sample};

/// What a stream becomes that is read by one decoder, and how often it was told that a session begins.
struct Heard {
    screen: Screen,
    new_sessions: usize,
}

fn heard(format: Format, frames: &[Vec<u8>]) -> Heard {
    let mut dialect = format.open(options());
    let mut screen = Screen::new();
    let mut told = String::new();
    for frame in frames {
        told += &screen.decode(&mut *dialect, frame);
    }
    told += &screen.close(&mut *dialect);
    Heard { screen, new_sessions: told.matches("a new session of the engine begins").count() }
}

/// A frame of the next session of a vendor whose own ids are unique for ever.
fn with_other_ids(frame: &[u8]) -> Vec<u8> {
    let mut text = String::from_utf8(frame.to_vec()).expect("UTF-8");
    for (own, other) in [
        ("a2bd0b2b-", "b7c90d1e-"),
        ("6f1e8d1c-", "7d2c3b4a-"),
        ("7a2b", "8b3c"),
        ("0190-first", "0191-first"),
        ("SG_", "SH_"),
        ("u1:", "u2:"),
        ("ch-0:1:abc", "ch-0:1:abd"),
    ] {
        text = text.replace(own, other);
    }
    text.into_bytes()
}

/// Every sample is followed by itself: the words of both are there, those of the first before those of the second.
#[test]
fn every_sample_may_be_followed_by_itself() {
    for format in Format::ALL {
        let mut frames = sample(format);
        match format {
            // An empty guess takes the last one back; the sample ends with a guess that has no successor.
            Format::Vosk => drop(frames.pop()),
            // What has no time stands where it arrives: by another clock than the times of the others.
            Format::Google => drop(frames.remove(6)),
            Format::WhisperStreaming => {
                let text = String::from_utf8(frames.concat()).expect("UTF-8");
                let timed = text.lines().filter(|line| line.starts_with(|c: char| c == '-' || c.is_ascii_digit()));
                frames = timed.map(|line| format!("{line}\n").into_bytes()).collect();
            }
            // A text is a stream: where it ends a line does.
            _ if format.framing() != Framing::Json => frames.push(b"\n".to_vec()),
            _ => {}
        }
        let again: Vec<Vec<u8>> = frames.iter().map(|frame| with_other_ids(frame)).collect();
        let first = heard(format, &frames).screen;
        let once = letters(&first.text());
        let twice = heard(format, &[frames, again].concat());
        if format == Format::LiveKit {
            // All but one have no time, or come again: see `ids_that_last_stay`.
            let sorted = |text: &str| text.chars().collect::<std::collections::BinaryHeap<_>>().into_sorted_vec();
            assert_eq!(sorted(&letters(&twice.screen.text())), sorted(&[&*once, &once].concat()));
        } else {
            assert_eq!(letters(&twice.screen.text()), [&*once, &once].concat(), "{format}");
        }
        assert!(twice.new_sessions <= 1, "{format}: {}", twice.new_sessions);
        // Each line has a key of its own.
        assert_eq!(twice.screen.lines().lines().count(), 2 * first.lines().lines().count(), "{format}");
    }
}

/// A final of a few words.
#[derive(Debug, Clone)]
struct Spoken {
    start: f64,
    end: f64,
    text: String,
}

/// Finals one behind the other, `from` to about `from` + 4 s times their number.
fn spoken(prefix: &'static str, count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Spoken>> {
    prop::collection::vec((0.3..3.0f64, 0.5..2.5f64), count).prop_map(move |gaps| {
        let mut at = 0.0;
        let mut spoken = Vec::new();
        for (number, (gap, lasts)) in gaps.into_iter().enumerate() {
            let start = at + gap;
            at = start + lasts;
            spoken.push(Spoken { start, end: at, text: format!("{prefix}{number} goes on here.") });
        }
        spoken
    })
}

/// Formats whose times start over with a session, and say so by nothing else here.
const TIMED: [Format; 10] = [
    Format::Deepgram,
    Format::Speechmatics,
    Format::Rev,
    Format::Azure,
    Format::Google,
    Format::Vosk,
    Format::WhisperLive,
    Format::WhisperStreaming,
    Format::AssemblyAi,
    Format::Flux,
];

/// The message of a final; `number` counts within its session.
fn frame(format: Format, number: usize, spoken: &Spoken) -> Vec<u8> {
    let Spoken { start, end, text } = spoken;
    let words: Vec<&str> = text.split(' ').collect();
    let step = (end - start) / words.len() as f64;
    let at = |n: usize| start + step * n as f64;
    let ticks = |seconds: f64| (seconds * 1e7).round();
    let listed = |name: &str, from: &str, to: &str, unit: f64| -> Vec<_> {
        let word = |(n, word): (usize, &&str)| json!({name: word, from: at(n) * unit, to: at(n + 1) * unit});
        words.iter().enumerate().map(word).collect()
    };
    let message = match format {
        Format::Deepgram => json!({"type": "Results", "channel_index": [0, 1], "start": start, "duration": end - start,
            "is_final": true, "speech_final": true,
            "channel": {"alternatives": [{"transcript": text, "words": listed("word", "start", "end", 1.0)}]}}),
        Format::Speechmatics => {
            let word = |(n, word): (usize, &&str)| json!({"type": "word", "start_time": at(n), "end_time": at(n + 1), "alternatives": [{"content": word}]});
            let results: Vec<_> = words.iter().enumerate().map(word).collect();
            json!({"message": "AddTranscript", "metadata": {"start_time": start, "end_time": end}, "results": results})
        }
        Format::Rev => {
            let word = |(n, word): (usize, &&str)| {
                [
                    json!({"type": "text", "value": word, "ts": at(n), "end_ts": at(n + 1)}),
                    json!({"type": "punct", "value": " "}),
                ]
            };
            let elements: Vec<_> = words.iter().enumerate().flat_map(word).collect();
            json!({"type": "final", "ts": start, "end_ts": end, "elements": elements})
        }
        Format::Azure => {
            json!({"Reason": "RecognizedSpeech", "Text": text, "Offset": ticks(*start), "Duration": ticks(end - start)})
        }
        Format::Google => {
            let seconds = |seconds: f64| format!("{seconds:.3}s");
            let word = |(n, word): (usize, &&str)| json!({"word": word, "startTime": seconds(at(n)), "endTime": seconds(at(n + 1))});
            let listed: Vec<_> = words.iter().enumerate().map(word).collect();
            json!({"results": [{"isFinal": true, "resultEndTime": seconds(*end),
                "alternatives": [{"transcript": text, "words": listed}]}]})
        }
        Format::Vosk => json!({"text": text, "result": listed("word", "start", "end", 1.0)}),
        Format::WhisperLive => {
            json!({"uid": "c", "segments": [{"start": format!("{start:.3}"), "end": format!("{end:.3}"),
            "text": text, "completed": true}]})
        }
        Format::AssemblyAi => json!({"type": "Turn", "turn_order": number, "end_of_turn": true, "transcript": text,
            "words": listed("text", "start", "end", 1000.0)}),
        Format::Flux => json!({"type": "TurnInfo", "event": "EndOfTurn", "turn_index": number, "transcript": text,
            "audio_window_start": start, "audio_window_end": end, "words": []}),
        Format::WhisperStreaming => {
            return format!("{:.0} {:.0} {text}\n", start * 1000.0, end * 1000.0).into_bytes();
        }
        other => panic!("{other} is not among those of the test"),
    };
    message.to_string().into_bytes()
}

fn frames(format: Format, spoken: &[Spoken]) -> Vec<Vec<u8>> {
    spoken.iter().enumerate().map(|(number, spoken)| frame(format, number, spoken)).collect()
}

fn said(spoken: &[Spoken]) -> String {
    spoken.iter().map(|spoken| &*spoken.text).collect::<Vec<_>>().join(" ")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// An engine that starts anew without a word: its times fall.
    #[test]
    fn times_that_fall_begin_a_session(
        format in prop::sample::select(&TIMED[..]),
        first in spoken("a", 12..40),
        second in spoken("b", 2..20),
    ) {
        let heard = heard(format, &[frames(format, &first), frames(format, &second)].concat());
        prop_assert_eq!(heard.screen.text(), format!("{} {}", said(&first), said(&second)), "{}", format);
        prop_assert_eq!(heard.new_sessions, 1, "{}", format);
    }

    /// Finals that come in another order than they were said, or late, are no new session.
    #[test]
    fn a_small_step_back_begins_none(
        format in prop::sample::select(&TIMED[..]),
        said in spoken("a", 6..40),
        swaps in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        let mut frames = frames(format, &said);
        for swap in swaps {
            // The order of the first two tells where the times of the session begin.
            let at = 2 + swap.index(frames.len() - 3);
            frames.swap(at, at + 1);
        }
        let heard = heard(format, &frames);
        prop_assert_eq!(heard.new_sessions, 0, "{}", format);
        for spoken in &said {
            prop_assert_eq!(heard.screen.text().matches(&spoken.text).count(), 1, "{}", format);
        }
    }
}

/// Messages of `format` that are read in turn, with what they say of lines and of faults.
fn told(format: Format, messages: &[serde_json::Value]) -> (String, Vec<(FaultKind, String)>) {
    let mut dialect = format.open(options());
    let mut screen = Screen::new();
    let mut faults = Vec::new();
    for message in messages {
        let mut out = Decoded::default();
        dialect.decode(message.to_string().as_bytes(), &mut out);
        faults.extend(out.faults.iter().map(|fault| (fault.kind, fault.message.clone())));
        screen.take(out);
    }
    screen.close(&mut *dialect);
    (screen.turns(), faults)
}

fn azure(offset_s: f64, guest: &str, text: &str, reason: &str) -> serde_json::Value {
    json!({"Reason": reason, "Text": text, "Offset": offset_s * 1e7, "Duration": 1e7, "SpeakerId": guest})
}

/// The guess of the session that is over stands, its speakers are others, and it is told once.
#[test]
fn the_open_guess_of_the_session_before_stands() {
    let messages = [
        azure(310.0, "Guest-1", "We come to the vote.", "RecognizedSpeech"),
        azure(312.0, "Guest-1", "those in fav", "RecognizingSpeech"),
        azure(0.4, "Guest-1", "the line was", "RecognizingSpeech"),
        azure(0.4, "Guest-1", "The line was cut.", "RecognizedSpeech"),
    ];
    let (turns, faults) = told(Format::Azure, &messages);
    let expected = "main.t:Guest-1\n  t-1 (310000-311000, 0 timed words)\n    We come to the vote.\n  \
                    t-2 (312000-313000, 0 timed words)\n    those in fav\n\
                    main.t.2:Guest-1\n  t.2-1 (313401-314401, 0 timed words)\n    The line was cut.\n";
    assert_eq!(turns, expected);
    let [(FaultKind::Odd, fault)] = &faults[..] else { panic!("{faults:?}") };
    assert!(fault.starts_with("a new session") && fault.contains("313.001 s"), "{fault}");
}

/// A guess that has no time belongs to the final that has its words, whichever session that begins.
#[test]
fn a_guess_without_a_time_goes_with_its_final() {
    let final_at =
        |start: f64, text: &str| json!({"text": text, "result": [{"word": text, "start": start, "end": start + 1.0}]});
    let messages = [
        final_at(0.3, "one"),
        final_at(90.0, "two"),
        json!({"partial": "thr"}),
        json!({"partial": "three"}),
        final_at(0.3, "three"),
    ];
    let (turns, _) = told(Format::Vosk, &messages);
    assert_eq!(turns.matches("three").count(), 1, "{turns}");
    // Another one is kept.
    let messages = [final_at(0.3, "one"), final_at(90.0, "two"), json!({"partial": "lost"}), final_at(0.3, "three")];
    let (turns, _) = told(Format::Vosk, &messages);
    assert!(turns.contains("lost") && turns.contains("three"), "{turns}");
}

/// Where it is known how much time has passed, the new session stands there, and never before what was said.
#[test]
fn times_go_on_by_the_clock_where_there_is_one() {
    let start_of_second = |elapsed_ms: [i64; 2]| {
        let mut dialect = Format::Vosk.open(Options { offset_ms: 1_000, ..options() });
        let mut out = Decoded::default();
        for (elapsed_ms, start) in elapsed_ms.into_iter().zip([20.0, 0.5]) {
            dialect.elapsed(elapsed_ms);
            let message = json!({"text": "word", "result": [{"word": "word", "start": start, "end": start + 1.0}]});
            dialect.decode(message.to_string().as_bytes(), &mut out);
        }
        let Some(Said::Lines(lines)) = out.says.pop() else { panic!("no lines") };
        lines[0].content.start_ms.expect("a time")
    };
    // A minute of real time lies between what was said at 21 s and what was said at 1.5 s of the next session.
    assert_eq!(start_of_second([30_000, 90_000]), 1_000 + 21_000 + 60_000 - 1_000);
    // Frames of a file come at once: behind what was said.
    assert_eq!(start_of_second([10, 11]), 1_000 + 21_000 + 1 + 500);
}

/// Two programs that write to one socket take turns: a session that is named and known is not begun anew.
#[test]
fn sessions_that_take_turns_are_begun_once() {
    let result = |name: &str, start: f64, text: &str| {
        json!({"type": "Results", "channel_index": [0, 1], "start": start, "duration": 1.0, "is_final": true,
               "speech_final": true, "metadata": {"request_id": name}, "channel": {"alternatives": [{"transcript": text}]}})
    };
    let messages = [
        result("r1", 0.0, "one"),
        result("r2", 0.0, "two"),
        result("r1", 1.0, "three"),
        result("r2", 1.0, "four"),
        result("r1", 2.0, "five"),
    ];
    let (turns, faults) = told(Format::Deepgram, &messages);
    assert_eq!(faults.len(), 1, "{faults:?}");
    for text in ["one", "two", "three", "four", "five"] {
        assert_eq!(turns.matches(text).count(), 1, "{turns}");
    }
}

/// A session that is named twice is another one the second time; one that said nothing is none.
#[test]
fn announced_sessions_as_a_table() {
    let turn = |order: u64, start: u64, text: &str| {
        json!({"type": "Turn", "turn_order": order, "end_of_turn": true, "transcript": text,
               "words": [{"text": text, "start": start, "end": start + 300}]})
    };
    let begin = |id: &str| json!({"type": "Begin", "id": id});
    let ids = |messages: &[serde_json::Value]| {
        let (turns, faults) = told(Format::AssemblyAi, messages);
        let ids =
            turns.lines().filter_map(|line| line.strip_prefix("  ")?.split_once(" (")).map(|(id, _)| id.to_owned());
        (ids.collect::<Vec<_>>(), faults.len())
    };
    let two = |ids: [&str; 2]| ids.map(str::to_owned).to_vec();
    assert_eq!(ids(&[begin("a"), turn(0, 100, "x"), begin("b"), turn(0, 100, "y")]), (two(["a-0", "b-0"]), 1));
    assert_eq!(ids(&[begin("a"), turn(0, 100, "x"), begin("a"), turn(0, 100, "y")]), (two(["a-0", "a.2-0"]), 1));
    assert_eq!(ids(&[begin("a"), begin("b"), turn(0, 100, "x"), turn(1, 900, "y")]), (two(["b-0", "b-1"]), 0));
    // Without a word of a session the number of a turn is used again, at another time.
    assert_eq!(ids(&[turn(0, 9_000, "x"), turn(1, 12_000, "y"), turn(0, 100, "z")]).0, ["t-0", "t-1", "t.2-0"]);
    // A turn that comes again with marks is that turn.
    assert_eq!(ids(&[turn(0, 9_000, "x"), turn(1, 12_000, "y"), turn(0, 9_000, "X.")]), (two(["t-0", "t-1"]), 0));
}

/// Ids that last over sessions stay, but where the vendor announces a session, and uses them again.
#[test]
fn ids_that_last_stay() {
    let segment = |id: &str, start: u64, text: &str| {
        json!({"participant_identity": "ada", "segments": [{"id": id, "text": text, "start_time": start,
               "end_time": start + 500, "final": true}]})
    };
    let (turns, _) = told(
        Format::LiveKit,
        &[segment("SG_1", 500, "one"), segment("SG_2", 90_000, "two"), segment("SG_3", 400, "three")],
    );
    let places: Vec<usize> =
        ["  SG_1", "  SG_2", "  SG_3"].iter().map(|id| turns.find(id).expect("its line")).collect();
    assert!(places.is_sorted(), "{turns}");

    let bundle = |text: &str| {
        json!({"type": "transcript", "speaker": "Ada", "pending": [],
               "confirmed": [{"segment_id": "s:1", "speaker": "Ada", "text": text, "start": 1.0, "end": 2.0}]})
    };
    let session = |id: &str| json!({"type": "session_start", "session_uid": id});
    let (turns, faults) = told(Format::Vexa, &[session("u1"), bundle("one"), session("u2"), bundle("two")]);
    assert!(turns.contains("one") && turns.contains("two") && faults.len() == 1, "{turns}{faults:?}");
    let (turns, _) = told(Format::Vexa, &[session("u1"), bundle("one"), bundle("one, corrected")]);
    assert!(!turns.contains("one\n") && turns.contains("one, corrected"), "{turns}");
}
