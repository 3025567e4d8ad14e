//! Two sessions of an engine on one pipe: nothing of the first is overwritten, and nothing of the second stands before it.

use captionwire::dialect::{DecodeFaultKind, Decoded, DecodedEvent, Framing, Options, VendorFormat};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::conservation::letters;
use super::screen::Screen;
use super::{options, sample};

/// What a stream becomes that is read by one decoder, and how often it was told that a session begins.
struct Heard {
    screen: Screen,
    new_sessions: usize,
}

fn heard(format: VendorFormat, frames: &[Vec<u8>]) -> Heard {
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
    for format in VendorFormat::ALL {
        let mut frames = sample(format);
        match format {
            // An empty guess takes the last one back; the sample ends with a guess that has no successor.
            VendorFormat::Vosk => drop(frames.pop()),
            // What has no time stands where it arrives: by another clock than the times of the others.
            VendorFormat::Google => drop(frames.remove(6)),
            VendorFormat::WhisperStreaming => {
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
        if matches!(format, VendorFormat::LiveKit | VendorFormat::Vexa) {
            // Each participant has a clock of their own, and some say no time or the time of day.
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
pub(super) struct Spoken {
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) text: String,
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
pub(super) const TIMED: [VendorFormat; 10] = [
    VendorFormat::Deepgram,
    VendorFormat::Speechmatics,
    VendorFormat::Rev,
    VendorFormat::Azure,
    VendorFormat::Google,
    VendorFormat::Vosk,
    VendorFormat::WhisperLive,
    VendorFormat::WhisperStreaming,
    VendorFormat::AssemblyAi,
    VendorFormat::Flux,
];

/// The message of a final; `number` counts within its session.
pub(super) fn frame(format: VendorFormat, number: usize, spoken: &Spoken) -> Vec<u8> {
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
        VendorFormat::Deepgram => {
            json!({"type": "Results", "channel_index": [0, 1], "start": start, "duration": end - start,
            "is_final": true, "speech_final": true,
            "channel": {"alternatives": [{"transcript": text, "words": listed("word", "start", "end", 1.0)}]}})
        }
        VendorFormat::Speechmatics => {
            let word = |(n, word): (usize, &&str)| json!({"type": "word", "start_time": at(n), "end_time": at(n + 1), "alternatives": [{"content": word}]});
            let results: Vec<_> = words.iter().enumerate().map(word).collect();
            json!({"message": "AddTranscript", "metadata": {"start_time": start, "end_time": end}, "results": results})
        }
        VendorFormat::Rev => {
            let word = |(n, word): (usize, &&str)| {
                [
                    json!({"type": "text", "value": word, "ts": at(n), "end_ts": at(n + 1)}),
                    json!({"type": "punct", "value": " "}),
                ]
            };
            let elements: Vec<_> = words.iter().enumerate().flat_map(word).collect();
            json!({"type": "final", "ts": start, "end_ts": end, "elements": elements})
        }
        VendorFormat::Azure => {
            json!({"Reason": "RecognizedSpeech", "Text": text, "Offset": ticks(*start), "Duration": ticks(end - start)})
        }
        VendorFormat::Google => {
            let seconds = |seconds: f64| format!("{seconds:.3}s");
            let word = |(n, word): (usize, &&str)| json!({"word": word, "startTime": seconds(at(n)), "endTime": seconds(at(n + 1))});
            let listed: Vec<_> = words.iter().enumerate().map(word).collect();
            json!({"results": [{"isFinal": true, "resultEndTime": seconds(*end),
                "alternatives": [{"transcript": text, "words": listed}]}]})
        }
        VendorFormat::Vosk => json!({"text": text, "result": listed("word", "start", "end", 1.0)}),
        VendorFormat::WhisperLive => {
            json!({"uid": "c", "segments": [{"start": format!("{start:.3}"), "end": format!("{end:.3}"),
            "text": text, "completed": true}]})
        }
        VendorFormat::AssemblyAi => {
            json!({"type": "Turn", "turn_order": number, "end_of_turn": true, "transcript": text,
            "words": listed("text", "start", "end", 1000.0)})
        }
        VendorFormat::Flux => {
            json!({"type": "TurnInfo", "event": "EndOfTurn", "turn_index": number, "transcript": text,
            "audio_window_start": start, "audio_window_end": end, "words": []})
        }
        VendorFormat::WhisperStreaming => {
            return format!("{:.0} {:.0} {text}\n", start * 1000.0, end * 1000.0).into_bytes();
        }
        other => panic!("{other} is not among those of the test"),
    };
    message.to_string().into_bytes()
}

fn frames(format: VendorFormat, spoken: &[Spoken]) -> Vec<Vec<u8>> {
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
        said in spoken("a", 8..40),
        swaps in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        let mut frames = frames(format, &said);
        // Neighbours, and not within the first seconds: what falls there or by far is a session's start.
        let mut pairs: Vec<usize> = swaps.iter().map(|swap| 4 + 2 * swap.index((frames.len() - 4) / 2)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        pairs.into_iter().for_each(|at| frames.swap(at, at + 1));
        let heard = heard(format, &frames);
        prop_assert_eq!(heard.new_sessions, 0, "{}", format);
        for spoken in &said {
            prop_assert_eq!(heard.screen.text().matches(&spoken.text).count(), 1, "{}", format);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whenever an engine crashes and whatever its clock says then, each line is there once, and a clock that fell is told.
    #[test]
    fn a_restart_at_any_moment_loses_nothing_untold(
        format in prop::sample::select(&TIMED[..]),
        first in spoken("a", 1..8),
        second in spoken("b", 1..8),
        from in 0.0..20.0f64,
        has_guesses: bool,
    ) {
        let words = |spoken: &Spoken| -> String {
            let name: String = spoken.text.chars().take_while(|c| *c != ' ').collect();
            format!("the {name}x {name}y {name}z.")
        };
        let first: Vec<Spoken> = first.iter().map(|spoken| Spoken { text: words(spoken), ..spoken.clone() }).collect();
        let at = |spoken: &Spoken| Spoken { start: spoken.start + from, end: spoken.end + from, text: words(spoken) };
        let second: Vec<Spoken> = second.iter().map(at).collect();
        let mut messages: Vec<Vec<u8>> = Vec::new();
        for spoken in [&first, &second] {
            for (number, spoken) in spoken.iter().enumerate() {
                if has_guesses && format != VendorFormat::WhisperStreaming {
                    let guess = spoken.text.rsplit_once(' ').expect("words").0;
                    let mut guess = timed(format, number, spoken.start, guess, false);
                    if format == VendorFormat::Flux {
                        guess["audio_window_end"] = json!(spoken.end);
                    }
                    messages.push(guess.to_string().into_bytes());
                }
                messages.push(frame(format, number, spoken));
            }
        }
        let mut dialect = format.open(options());
        let mut screen = Screen::new();
        let told: String = messages.iter().map(|message| screen.decode(&mut *dialect, message)).collect();
        screen.close(&mut *dialect);
        for spoken in first.iter().chain(&second) {
            prop_assert_eq!(screen.text().matches(&spoken.text).count(), 1, "{} {}: {}", format, spoken.text, screen.turns());
        }
        if second[0].start + 2.0 < first[first.len() - 1].start {
            prop_assert!(told.contains("ClockRestarted"), "{}: {}", format, screen.turns());
        }
    }
}

/// Messages of `format` that are read in turn, with what they say of lines and of faults.
fn told(format: VendorFormat, messages: &[serde_json::Value]) -> (String, Vec<(DecodeFaultKind, String)>) {
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
    let (turns, faults) = told(VendorFormat::Azure, &messages);
    let expected = "main.t:Guest-1\n  t-1 (310000-311000, 0 timed words)\n    We come to the vote.\n  \
                    t-2 (312000-313000, 0 timed words)\n    those in fav\n\
                    main.t.2:Guest-1\n  t.2-1 (313401-314401, 0 timed words)\n    The line was cut.\n";
    assert_eq!(turns, expected);
    let [(DecodeFaultKind::ClockRestarted, fault)] = &faults[..] else { panic!("{faults:?}") };
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
    let (turns, _) = told(VendorFormat::Vosk, &messages);
    assert_eq!(turns.matches("three").count(), 1, "{turns}");
    // Another one is kept.
    let messages = [final_at(0.3, "one"), final_at(90.0, "two"), json!({"partial": "lost"}), final_at(0.3, "three")];
    let (turns, _) = told(VendorFormat::Vosk, &messages);
    assert!(turns.contains("lost") && turns.contains("three"), "{turns}");
}

/// Where it is known how much time has passed, the new session stands there, and never before what was said.
#[test]
fn times_go_on_by_the_clock_where_there_is_one() {
    let start_of_second = |elapsed_ms: [i64; 2]| {
        let mut dialect = VendorFormat::Vosk.open(Options { offset_ms: 1_000, ..options() });
        let mut out = Decoded::default();
        for (elapsed_ms, start) in elapsed_ms.into_iter().zip([20.0, 0.5]) {
            dialect.elapsed(elapsed_ms);
            let message = json!({"text": "word", "result": [{"word": "word", "start": start, "end": start + 1.0}]});
            dialect.decode(message.to_string().as_bytes(), &mut out);
        }
        let Some(DecodedEvent::Lines(lines)) = out.says.pop() else { panic!("no lines") };
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
    let (turns, faults) = told(VendorFormat::Deepgram, &messages);
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
        let (turns, faults) = told(VendorFormat::AssemblyAi, messages);
        let ids =
            turns.lines().filter_map(|line| line.strip_prefix("  ")?.split_once(" (")).map(|(id, _)| id.to_owned());
        (ids.collect::<Vec<_>>(), faults.len())
    };
    let two = |ids: [&str; 2]| ids.map(str::to_owned).to_vec();
    let (a, b) = ("a1b2c3d4e5", "b5c4d3e2f1");
    let named = |name: &str, rest: &str| format!("{name}{rest}");
    let [a0, a20, b0, b1] = [named(a, "-0"), named(a, ".2-0"), named(b, "-0"), named(b, "-1")];
    assert_eq!(ids(&[begin(a), turn(0, 100, "x"), begin(b), turn(0, 100, "y")]), (two([&a0, &b0]), 1));
    assert_eq!(ids(&[begin(a), turn(0, 100, "x"), begin(a), turn(0, 100, "y")]), (two([&a0, &a20]), 1));
    assert_eq!(ids(&[begin(a), begin(b), turn(0, 100, "x"), turn(1, 900, "y")]), (two([&b0, &b1]), 0));
    // A name that may be a counter is no name for ever: the connection's own stands in its place.
    assert_eq!(ids(&[begin("1"), turn(0, 100, "x"), begin("2"), turn(0, 100, "y")]), (two(["t-0", "t.2-0"]), 1));
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
    let ids = ["SG_4hT9xQ2mLw8a", "SG_4hT9xQ2mLw8b", "SG_4hT9xQ2mLw8c"];
    let (turns, _) = told(
        VendorFormat::LiveKit,
        &[segment(ids[0], 500, "one"), segment(ids[1], 90_000, "two"), segment(ids[2], 400, "three")],
    );
    let places: Vec<usize> = ids.iter().map(|id| turns.find(&format!("  {id}")).expect("its line")).collect();
    assert!(places.is_sorted(), "{turns}");

    let bundle = |text: &str| {
        json!({"type": "transcript", "speaker": "Ada", "pending": [],
               "confirmed": [{"segment_id": "s:1", "speaker": "Ada", "text": text, "start": 1.0, "end": 2.0}]})
    };
    let session = |id: &str| json!({"type": "session_start", "session_uid": id});
    let (turns, faults) = told(VendorFormat::Vexa, &[session("u1"), bundle("one"), session("u2"), bundle("two")]);
    assert!(turns.contains("one") && turns.contains("two") && faults.len() == 1, "{turns}{faults:?}");
    let (turns, _) = told(VendorFormat::Vexa, &[session("u1"), bundle("one"), bundle("one, corrected")]);
    assert!(!turns.contains("one\n") && turns.contains("one, corrected"), "{turns}");
}

/// The clock of one participant begins anew: theirs alone.
#[test]
fn each_participant_has_a_clock_of_their_own() {
    let livekit = |who: &str, id: &str, start_s: u64, text: &str| {
        json!({"participant_identity": who, "segments": [{"id": id, "text": text, "start_time": start_s * 1_000,
               "end_time": start_s * 1_000 + 500, "final": true}]})
    };
    let vexa = |who: &str, id: &str, start_s: u64, text: &str| {
        json!({"type": "transcript", "speaker": who, "pending": [], "confirmed": [{"segment_id": id, "speaker": who,
               "text": text, "start": start_s, "end": start_s + 1}]})
    };
    // Of a bundle that holds several.
    let many = |lines: &[(&str, &str, u64, &str)]| {
        let segment = |(who, id, start_s, text): &(&str, &str, u64, &str)| json!({"segment_id": id, "speaker": who, "text": text, "start": start_s, "end": start_s + 1});
        json!({"type": "transcription", "segments": lines.iter().map(segment).collect::<Vec<_>>()})
    };
    let said = [
        ("ada", "a1", 1, "one"),
        ("bob", "b1", 300, "two"),
        ("ada", "a2", 301, "three"),
        // Ada's track is published anew; Bob's goes on.
        ("ada", "a3", 1, "four"),
        ("bob", "b2", 303, "five"),
        ("ada", "a4", 4, "six"),
        ("bob", "b3", 306, "seven"),
    ];
    for format in [VendorFormat::LiveKit, VendorFormat::Vexa] {
        let line = |(who, id, start, text): &(&str, &str, u64, &str)| match format {
            VendorFormat::LiveKit => livekit(who, id, *start, text),
            _ => vexa(who, id, *start, text),
        };
        let mut ways = vec![said.iter().map(line).collect::<Vec<_>>()];
        if format == VendorFormat::Vexa {
            ways.push(vec![many(&said[..3]), many(&said[3..5]), many(&said[5..])]);
        }
        for messages in ways {
            let (turns, faults) = told(format, &messages);
            let start_of = |text: &str| {
                let at = turns.find(&format!("    {text}\n")).unwrap_or_else(|| panic!("{text}: {turns}"));
                let place = turns[..at].lines().last().expect("a place").split_once(" (").expect("a place").1;
                place.split_once('-').expect("a start").0.parse::<u64>().expect("a start")
            };
            // Bob's times are what they were; Ada's go on behind what was said, and keep their distances.
            assert_eq!(["two", "five", "seven"].map(start_of), [300_000, 303_000, 306_000], "{format} {turns}");
            let [third, fourth, sixth] = ["three", "four", "six"].map(start_of);
            assert!(fourth > third && fourth < third + 4_000 && sixth - fourth == 3_000, "{format} {turns}");
            let [(DecodeFaultKind::ClockRestarted, fault)] = &faults[..] else { panic!("{format}: {faults:?}") };
            assert!(fault.contains("a participant"), "{fault}");
        }
    }
}

/// All fall, one after the other, as where the room was left and joined again: they stand at one clock.
#[test]
fn participants_that_begin_anew_together_keep_their_order() {
    let line = |who: &str, id: &str, start_s: u64, text: &str| {
        json!({"participant_identity": who, "segments": [{"id": id, "text": text, "start_time": start_s * 1_000,
               "end_time": start_s * 1_000 + 500, "final": true}]})
    };
    let messages = [
        line("ada", "1", 100, "one"),
        line("bob", "2", 300, "two"),
        line("ada", "3", 2, "three"),
        line("bob", "4", 4, "four"),
        line("ada", "5", 6, "five"),
        line("bob", "6", 8, "six"),
    ];
    let (turns, _) = told(VendorFormat::LiveKit, &messages);
    let places: Vec<usize> =
        ["one", "two", "three", "four", "five", "six"].iter().map(|text| turns.find(text).expect("its line")).collect();
    assert!(places.is_sorted(), "{turns}");
}

/// The same with other words: as an engine that was started again says them.
fn with_other_words(format: VendorFormat, frame: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(frame.to_vec()).expect("UTF-8");
    let other = |text: &str| -> String {
        text.chars()
            .map(|c| match c {
                'a'..='z' => (b'a' + (c as u8 - b'a' + 1) % 26) as char,
                'A'..='Z' => (b'A' + (c as u8 - b'A' + 1) % 26) as char,
                c => c,
            })
            .collect()
    };
    fn walk(value: &mut serde_json::Value, other: &dyn Fn(&str) -> String) {
        const TEXTS: [&str; 11] = [
            "text",
            "transcript",
            "Transcript",
            "word",
            "punctuated_word",
            "content",
            "Content",
            "value",
            "Text",
            "partial",
            "Display",
        ];
        match value {
            serde_json::Value::Object(fields) => {
                for (name, field) in fields {
                    match field {
                        serde_json::Value::String(text) if TEXTS.contains(&&**name) => *text = other(text),
                        field => walk(field, other),
                    }
                }
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| walk(item, other)),
            _ => {}
        }
    }
    if format.framing() != Framing::Json {
        let line = |line: &str| if line.contains("2021-") { line.to_owned() } else { other(line) };
        return text.split_inclusive('\n').map(line).collect::<String>().into_bytes();
    }
    let mut value = serde_json::from_str(&text).expect("JSON");
    walk(&mut value, &other);
    value.to_string().into_bytes()
}

/// Ids of the samples that are unique for ever, as an engine that counts would have them.
fn with_counters(frame: &[u8]) -> Vec<u8> {
    let mut text = String::from_utf8(frame.to_vec()).expect("UTF-8");
    for (random, counter) in [
        ("a2bd0b2b-5b3a-4b1c-9f0d-111111111111", "1"),
        ("a2bd0b2b-5b3a-4b1c-9f0d-222222222222", "2"),
        ("6f1e8d1c-0000-4000-8000-000000000001", "1"),
        ("6f1e8d1c-0000-4000-8000-000000000002", "2"),
        ("de5d9927-73a6-4be8-b52d-b4c07be37e6b", "1"),
        ("9b1d6e2a-2f1e-4a66-9d0f-3c0f6c1c7d10", "1"),
        ("0f3c9f0e-5c1f-4a83-9c52-0d8c1d6c2a11", "1"),
        ("c0ffee00-0000-4000-8000-000000000001", "1"),
        ("s1d24ax2fd21", "1"),
    ] {
        text = text.replace(random, counter);
    }
    text.into_bytes()
}

/// An engine is started again and counts its lines, its segments and itself from 1, on another connection: each of its
/// lines is there, and each of the first.
#[test]
fn what_counts_from_one_again_on_another_connection_overwrites_nothing() {
    for format in VendorFormat::ALL {
        let frames: Vec<Vec<u8>> = sample(format).iter().map(|frame| with_counters(frame)).collect();
        let others: Vec<Vec<u8>> = frames.iter().map(|frame| with_other_words(format, frame)).collect();
        let play = |screen: &mut Screen, tag: &str, frames: &[Vec<u8>]| {
            let mut dialect = format.open(Options { tag: tag.into(), ..options() });
            frames.iter().for_each(|frame| drop(screen.decode(&mut *dialect, frame)));
            screen.close(&mut *dialect);
        };
        let texts = |screen: &Screen| {
            let lines = screen.transcript.assembled().flat_map(|(_, lines)| lines);
            let mut texts: Vec<String> = lines.map(|line| line.text.to_string()).collect();
            texts.sort();
            texts
        };
        let [mut first, mut second, mut both] = [Screen::new(), Screen::new(), Screen::new()];
        play(&mut first, "t1", &frames);
        play(&mut second, "t2", &others);
        play(&mut both, "t1", &frames);
        play(&mut both, "t2", &others);
        let mut expected = [texts(&first), texts(&second)].concat();
        expected.sort();
        assert_eq!(texts(&both), expected, "{format}");
    }
}

/// The same within a connection, where nothing announces it: on time, and after more lines than are remembered.
#[test]
fn what_counts_from_one_again_on_a_connection_overwrites_nothing() {
    let message = |format: VendorFormat, number: usize, at_s: usize, text: &str| match format {
        VendorFormat::Aws => json!({"Transcript": {"Results": [{"ResultId": number.to_string(), "IsPartial": false,
            "StartTime": at_s, "EndTime": at_s + 1, "Alternatives": [{"Transcript": text}]}]}}),
        VendorFormat::Jitsi => {
            json!({"event": "SPEECH", "participant": {"id": "a", "name": "Ada"}, "transcript": [{"text": text}],
            "message_id": number.to_string(), "is_interim": false})
        }
        VendorFormat::LiveKit => {
            json!({"participant_identity": "ada", "segments": [{"id": number.to_string(), "text": text,
            "start_time": at_s * 1_000, "end_time": at_s * 1_000 + 500, "final": true}]})
        }
        _ => {
            json!({"type": "transcript", "speaker": "Ada", "pending": [], "confirmed": [{"segment_id": number.to_string(),
            "speaker": "Ada", "text": text, "start": at_s, "end": at_s + 1}]})
        }
    };
    for format in [VendorFormat::Aws, VendorFormat::Jitsi, VendorFormat::LiveKit, VendorFormat::Vexa] {
        for (count, falls) in [(8, false), (8, true), (200, false), (200, true)] {
            let first = (1..=count).map(|n| message(format, n, n * 5, &format!("the first {n} is said")));
            let again_at = if falls { 0 } else { count * 5 };
            let second =
                (1..=count).map(|n| message(format, n, again_at + n * 5, &format!("and now another {n} of hers")));
            let (turns, faults) = told(format, &first.chain(second).collect::<Vec<_>>());
            for n in 1..=count {
                for text in [format!("the first {n} is said\n"), format!("and now another {n} of hers\n")] {
                    assert_eq!(turns.matches(&text).count(), 1, "{format} {count} {falls}: {text}{faults:?}");
                }
            }
            assert!(!faults.is_empty(), "{format}: it is told");
        }
    }
}

/// A connection of a `relay` breaks, and another takes its place.
struct Relayed {
    dialect: Box<dyn captionwire::dialect::Dialect>,
    screen: Screen,
    faults: Vec<String>,
}

impl Relayed {
    fn new(format: VendorFormat) -> Self {
        Self { dialect: format.open(options()), screen: Screen::new(), faults: Vec::new() }
    }

    fn hear(&mut self, at_ms: i64, message: &serde_json::Value) {
        let mut out = Decoded::default();
        self.dialect.elapsed(at_ms);
        self.dialect.decode(message.to_string().as_bytes(), &mut out);
        self.take(out);
    }

    fn reconnect(&mut self, at_ms: i64) {
        let mut out = Decoded::default();
        self.dialect.close_session(&mut out);
        self.dialect.reconnect(at_ms, &mut out);
        self.take(out);
    }

    fn take(&mut self, out: Decoded) {
        self.faults.extend(out.faults.iter().map(|fault| fault.message.clone()));
        self.screen.take(out);
    }

    /// The lines in their order: id, start and text.
    fn lines(&self) -> Vec<(String, i64, String)> {
        let lines = self.screen.transcript.assembled().flat_map(|(_, lines)| lines);
        lines.map(|line| (line.id.to_string(), line.start_ms, line.text.to_string())).collect()
    }
}

/// What was a draft when the connection broke goes when it is confirmed on the next, and drafts after it are shown.
#[test]
fn a_draft_of_before_a_break_is_confirmed_behind_it() {
    let bundle = |confirmed: serde_json::Value, pending: serde_json::Value| json!({"type": "transcript", "speaker": "Ada", "confirmed": confirmed, "pending": pending});
    let draft = |text: &str, start: f64| json!([{"speaker": "Ada", "text": text, "start": start, "end": start + 1.0}]);
    let id = "6f1e8d1c-0000-4000-8000-000000000001:1";
    let said =
        json!([{"segment_id": id, "speaker": "Ada", "text": "The light is too warm.", "start": 3.0, "end": 4.5}]);
    let mut relayed = Relayed::new(VendorFormat::Vexa);
    relayed.hear(4_000, &bundle(json!([]), draft("the light is too", 3.1)));
    relayed.reconnect(6_000);
    assert_eq!(relayed.lines().len(), 1);
    relayed.hear(7_000, &bundle(said.clone(), json!([])));
    assert_eq!(relayed.lines(), [(id.to_owned(), 3_000, "The light is too warm.".to_owned())]);
    relayed.hear(8_000, &bundle(json!([]), draft("and now", 6.0)));
    relayed.hear(8_500, &bundle(json!([]), draft("and now the", 6.0)));
    assert_eq!(relayed.screen.text(), "The light is too warm. and now the");
    // The same segment again, on one more connection, is the same line.
    relayed.reconnect(9_000);
    relayed.hear(9_500, &bundle(said, json!([])));
    assert_eq!(relayed.lines().iter().filter(|(line, ..)| line == id).count(), 1);
    assert_eq!(relayed.screen.text(), "The light is too warm. and now the");
}

/// Amazon counts from the start of each connection, though its ids are for ever.
#[test]
fn a_connection_to_amazon_after_a_break_is_a_session_of_its_own() {
    let result = |id: &str, start: f64, text: &str| {
        json!({"Transcript": {"Results": [{"ResultId": id, "IsPartial": false, "StartTime": start, "EndTime": start + 1.0,
            "Alternatives": [{"Transcript": text, "Items": [{"Type": "pronunciation", "Content": text, "StartTime": start,
            "EndTime": start + 1.0, "Speaker": "0"}]}]}]}})
    };
    let id = |n: u64| format!("a2bd0b2b-5b3a-4b1c-9f0d-00000000000{n}");
    let mut relayed = Relayed::new(VendorFormat::Aws);
    for (at_ms, message) in [(3_000, result(&id(1), 1.0, "one")), (26_000, result(&id(2), 24.0, "two"))] {
        relayed.hear(at_ms, &message);
    }
    relayed.reconnect(30_000);
    relayed.hear(36_000, &result(&id(3), 4.0, "three"));
    let found = relayed.lines();
    assert_eq!(found.iter().map(|(line, ..)| line.clone()).collect::<Vec<_>>(), [id(1), id(2), id(3)]);
    assert_eq!(found[2].1, 34_000);
    let speakers: Vec<_> = relayed.screen.transcript.assembled().map(|(turn, _)| turn.speaker).collect();
    assert!(speakers[0] == speakers[1] && speakers[0] != speakers[2], "{speakers:?}");
}

/// A line that is taken back is that of the session that said it.
#[test]
fn a_retraction_reaches_the_session_before() {
    let bundle = |id: &str, text: &str, start: f64| {
        json!({"type": "transcript", "speaker": "Ada", "pending": [],
               "confirmed": [{"segment_id": id, "speaker": "Ada", "text": text, "start": start, "end": start + 1.0}]})
    };
    let session = |id: &str| json!({"type": "session_start", "session_uid": id});
    let retract = |id: &str| json!({"type": "transcript_retract", "segment_ids": [id]});
    for ids in [["1", "2"], ["6f1e8d1c-0000-4000-8000-000000000001", "6f1e8d1c-0000-4000-8000-000000000002"]] {
        let messages =
            [session("u1"), bundle(ids[0], "one", 1.0), session("u2"), bundle(ids[1], "two", 1.0), retract(ids[0])];
        let (turns, _) = told(VendorFormat::Vexa, &messages);
        assert!(!turns.contains("one") && turns.contains("two"), "{turns}");
    }
}

/// Marks may change every word of a turn; its place stays.
#[test]
fn a_turn_that_is_formatted_late_is_the_same_turn() {
    let turn = |order: u64, is_over: bool, start: u64, text: &str| {
        json!({"type": "Turn", "turn_order": order, "end_of_turn": is_over, "transcript": text,
               "words": [{"text": text, "start": start, "end": start + 300}]})
    };
    let messages = [
        turn(0, true, 4_000, "nine one one"),
        turn(1, false, 6_000, "send"),
        turn(0, true, 4_000, "911."),
        turn(1, true, 6_000, "Send help."),
    ];
    let (turns, faults) = told(VendorFormat::AssemblyAi, &messages);
    assert!(faults.is_empty() && turns.contains("911.") && !turns.contains("nine"), "{turns}{faults:?}");
    assert!(turns.contains("(6000-"), "{turns}");
}

/// A guess without a time is kept unless the next session begins as it does; which is told.
#[test]
fn a_guess_that_shares_a_word_is_kept() {
    let final_at =
        |start: f64, text: &str| json!({"text": text, "result": [{"word": text, "start": start, "end": start + 1.0}]});
    for (guess, next, is_kept) in
        [("the motion fails", "the next item", true), ("the next it", "the next item", false), ("um", "um no", false)]
    {
        let messages = [final_at(0.3, "one"), final_at(90.0, "two"), json!({"partial": guess}), final_at(0.3, next)];
        let (turns, faults) = told(VendorFormat::Vosk, &messages);
        assert_eq!(turns.contains(&format!("    {guess}\n")), is_kept, "{turns}");
        let is_told = faults.iter().any(|(_, fault)| fault.contains("a guess without a time"));
        assert!(is_told != is_kept && turns.contains(next), "{faults:?}");
    }
}

/// Guesses that nobody settles are bounded, and none of them is lost.
#[test]
fn guesses_without_end_are_bounded() {
    let segment = |number: usize| {
        json!({"participant_identity": "ada", "segments": [{"id": format!("SG_4hT9xQ2mL{number:05}"), "text": format!("guess {number}"),
               "start_time": number * 1_000, "end_time": number * 1_000 + 500, "final": false}]})
    };
    let mut dialect = VendorFormat::LiveKit.open(options());
    let mut screen = Screen::new();
    let mut said = Vec::new();
    for number in 1..=600 {
        let mut out = Decoded::default();
        dialect.decode(segment(number).to_string().as_bytes(), &mut out);
        said.extend(out.says.clone());
        screen.take(out);
    }
    let mut out = Decoded::default();
    dialect.close_session(&mut out);
    said.extend(out.says.clone());
    screen.take(out);
    assert!(said.iter().all(|said| !matches!(said, DecodedEvent::Lines(lines) if lines.len() > 16)));
    let lines: Vec<_> = screen.transcript.assembled().flat_map(|(_, lines)| lines).collect();
    assert!(lines.len() == 600 && lines.iter().all(|line| line.status == captionwire::transcript::Status::Final));
}

/// A final or a guess of `format` from `start` on, which lasts a second, in words that have times.
pub(super) fn timed(format: VendorFormat, number: usize, start: f64, text: &str, is_final: bool) -> Value {
    let spoken = Spoken { start, end: start + 1.0, text: text.into() };
    if !is_final {
        return guess_of(format, number, &spoken);
    }
    serde_json::from_slice(&frame(format, number, &spoken)).expect("JSON")
}

/// A guess of `format`.
fn guess_of(format: VendorFormat, number: usize, spoken: &Spoken) -> Value {
    let text = &*spoken.text;
    let mut message: Value = serde_json::from_slice(&frame(format, number, spoken)).expect("JSON");
    match format {
        VendorFormat::Deepgram => (message["is_final"], message["speech_final"]) = (json!(false), json!(false)),
        VendorFormat::Speechmatics => message["message"] = json!("AddPartialTranscript"),
        VendorFormat::Rev => message["type"] = json!("partial"),
        VendorFormat::Azure => message["Reason"] = json!("RecognizingSpeech"),
        VendorFormat::Google => message["results"][0]["isFinal"] = json!(false),
        VendorFormat::Vosk => message = json!({"partial": text, "partial_result": message["result"]}),
        VendorFormat::WhisperLive => message["segments"][0]["completed"] = json!(false),
        VendorFormat::AssemblyAi => message["end_of_turn"] = json!(false),
        VendorFormat::Flux => message["event"] = json!("Update"),
        other => panic!("{other} has no guesses"),
    }
    message
}

/// An engine that is started again in its first sentence: what it guessed before is kept, and what it says then is said.
#[test]
fn a_guess_that_is_open_at_a_restart_within_the_first_sentence_is_kept() {
    let guess = "good evening and welcome to the";
    for format in [
        VendorFormat::Deepgram,
        VendorFormat::Speechmatics,
        VendorFormat::Rev,
        VendorFormat::AssemblyAi,
        VendorFormat::Flux,
    ] {
        for is_guessed in [true, false] {
            let mut messages =
                vec![timed(format, 0, 1.0, "good evening and", false), timed(format, 0, 1.6, guess, false)];
            if is_guessed {
                messages.push(timed(format, 0, 0.4, "sorry we", false));
            }
            messages.push(timed(format, 0, 0.4, "Sorry, we are back.", true));
            let (turns, faults) = told(format, &messages);
            assert!(turns.contains(guess) && turns.contains("Sorry, we are back."), "{format} {is_guessed} {turns}");
            // A final without a guess of it may be one of two who talk over each other: both stand.
            let is_told = !faults.is_empty() || !is_guessed;
            assert!(!turns.contains("sorry we") && is_told, "{format} {is_guessed} {turns}");
        }
    }
}

/// A guess becomes another one while it is said: nothing of it stays.
#[test]
fn a_guess_that_is_heard_better_is_replaced() {
    for format in TIMED.into_iter().filter(|format| *format != VendorFormat::WhisperStreaming) {
        for (guess, heard) in [
            ("wreck a nice beach", "Recognise speech."),
            ("good evening and the", "Good evening."),
            ("call nine one one", "Call 911!"),
            ("nine one one", "911."),
            ("um the", "Boats."),
            ("one two three four", "1234."),
            ("i scream you scream", "Ice cream."),
            ("thanks for watching", "Okay."),
        ] {
            if format == VendorFormat::AssemblyAi
                && matches!(heard, "Recognise speech." | "Boats." | "Ice cream." | "Okay.")
            {
                // Its words do not change.
                continue;
            }
            let (turns, faults) =
                told(format, &[timed(format, 0, 1.0, guess, false), timed(format, 0, 1.0, heard, true)]);
            assert!(
                turns.contains(heard) && !turns.contains(guess) && faults.is_empty(),
                "{format} {guess} {turns} {faults:?}"
            );
            // As a guess, which ends earlier than the one before it or later.
            for start in [0.7, 1.0, 1.4] {
                if start != 1.0 && matches!(format, VendorFormat::Flux | VendorFormat::AssemblyAi) {
                    // A turn begins where it began.
                    continue;
                }
                let better = Spoken { start, end: 1.8, text: heard.into() };
                let guesses = [timed(format, 0, 1.0, guess, false), guess_of(format, 0, &better)];
                let (turns, faults) = told(format, &guesses);
                assert!(!turns.contains(guess) && faults.is_empty(), "{format} {start} {guess} {turns} {faults:?}");
            }
        }
    }
}

/// An engine that crashed some seconds into the event, with a guess that is open or without one, and comes up again.
#[test]
fn an_engine_that_restarts_within_its_first_seconds_is_another_session() {
    for format in TIMED.into_iter().filter(|format| *format != VendorFormat::WhisperStreaming) {
        for (again_at, has_guess) in [(0.4, false), (0.4, true), (1.6, true), (5.5, false), (5.5, true)] {
            if format == VendorFormat::Azure && again_at > 2.0 {
                // There it may be another person, who began before and ended behind.
                continue;
            }
            let mut messages =
                vec![timed(format, 0, 2.0, "We come to order.", true), timed(format, 1, 6.0, "Who is here?", true)];
            if has_guess {
                messages.push(timed(format, 2, 9.0, "those in favour", false));
            }
            messages.push(timed(format, 0, again_at, "sorry the", false));
            messages.push(timed(format, 0, again_at, "Sorry, the line broke.", true));
            messages.push(timed(format, 1, again_at + 3.0, "Once more, please.", true));
            let frames: Vec<Vec<u8>> = messages.iter().map(|message| message.to_string().into_bytes()).collect();
            let heard = heard(format, &frames);
            let mut expected =
                vec!["We come to order.", "Who is here?", "Sorry, the line broke.", "Once more, please."];
            if has_guess {
                expected.insert(2, "those in favour");
            }
            assert_eq!(heard.screen.text(), expected.join(" "), "{format} {again_at} {has_guess}");
            assert_eq!(heard.new_sessions, 1, "{format} {again_at} {has_guess}");
        }
    }
}

/// Of people who talk over each other one begins and ends within what another says: no clock began anew.
#[test]
fn who_talks_over_another_begins_no_session() {
    let spoken = |(start, end, text): (f64, f64, &str)| Spoken { start, end, text: text.into() };
    for format in TIMED {
        for said in [
            &[(0.0, 10.0, "We come to the first item."), (9.2, 10.0, "Thank you."), (12.0, 14.0, "Next item please.")]
                [..],
            &[(0.0, 6.0, "We come to the first item."), (5.2, 6.0, "Thank you."), (7.0, 10.0, "Next item now.")],
            &[(590.0, 600.0, "We come to the last item."), (599.0, 600.2, "Thank you."), (602.0, 604.0, "Next one.")],
            &[
                (1.0, 4.0, "We come to the vote."),
                (3.0, 3.9, "Hear hear."),
                (2.8, 3.8, "Order!"),
                (6.0, 6.4, "Carried."),
            ],
        ] {
            let said: Vec<Spoken> = said.iter().copied().map(spoken).collect();
            for name in [None, Some("5d4c1e2f-0b7e-4a66-9d0f-3c0f6c1c7d11")] {
                let mut frames = frames(format, &said);
                let opening = match format {
                    VendorFormat::Flux => json!({"type": "Connected", "request_id": name}),
                    VendorFormat::Speechmatics => json!({"message": "RecognitionStarted", "id": name}),
                    VendorFormat::AssemblyAi => json!({"type": "Begin", "id": name}),
                    VendorFormat::Rev => json!({"type": "connected", "id": name}),
                    _ => Value::Null,
                };
                if name.is_some() && !opening.is_null() {
                    frames.insert(0, opening.to_string().into_bytes());
                }
                let heard = heard(format, &frames);
                assert_eq!(heard.new_sessions, 0, "{format} {said:?}");
                for spoken in &said {
                    let mut lines = heard.screen.transcript.spans_of("main");
                    let at = (spoken.start * 1e3) as i64;
                    let is_there = |(_, from, to, text): (_, i64, Option<i64>, &std::sync::Arc<str>)| {
                        text.contains(&spoken.text) && (from..=to.unwrap_or(from)).contains(&at)
                    };
                    assert!(lines.any(is_there), "{format} {spoken:?}\n{}", heard.screen.turns());
                    assert_eq!(heard.screen.text().matches(&spoken.text).count(), 1, "{format} {spoken:?}");
                }
            }
        }
    }
}

/// A time that cannot be is refused, and tells nothing of the engine's clock.
#[test]
fn a_time_that_cannot_be_moves_nothing() {
    let mut absurd = timed(VendorFormat::Deepgram, 0, 1.0, "Good morning.", true);
    absurd["start"] = json!(1e300);
    let messages = [
        (3_000, absurd),
        (6_000, timed(VendorFormat::Deepgram, 0, 4.0, "We come to order.", true)),
        (9_000, timed(VendorFormat::Deepgram, 0, 7.0, "Who is here?", true)),
        (12_000, json!({"type": "Metadata"})),
        (63_000, timed(VendorFormat::Deepgram, 0, 1.0, "Once more.", true)),
    ];
    let (starts, faults) = starts_at(VendorFormat::Deepgram, &messages);
    // By the clock of who reads, 57 s passed since 5 s of media time.
    // The words of the first have times of their own.
    assert_eq!(starts, [1_000, 4_000, 7_000, 61_000], "{faults:?}");
    assert_eq!(faults.iter().filter(|fault| fault.contains("session of the engine begins")).count(), 1, "{faults:?}");
}

/// A final that is said late, where nothing was said before, stands where it says, and the open guess stays.
#[test]
fn a_late_final_takes_no_guess_with_it() {
    for format in TIMED.into_iter().filter(|format| *format != VendorFormat::WhisperStreaming) {
        let messages = [
            timed(format, 0, 2.0, "We come to order.", true),
            timed(format, 1, 6.0, "Who is here?", true),
            timed(format, 2, 9.0, "those in favour", false),
            timed(format, 3, 3.5, "All are here.", true),
            timed(format, 2, 9.0, "Those in favour?", true),
        ];
        for count in [4, 5] {
            let (turns, faults) = told(format, &messages[..count]);
            let guess = if count == 4 { "those in favour" } else { "Those in favour?" };
            for text in ["We come to order.", "Who is here?", guess, "All are here."] {
                assert_eq!(turns.matches(text).count(), 1, "{format} {count}: {text}: {turns}");
            }
            let [(DecodeFaultKind::ClockRestarted, _)] = &faults[..] else { panic!("{format}: {faults:?}") };
        }
    }
}

/// Engines that number their lines, or name nothing, and begin with the same number at about the same time.
#[test]
fn a_numbered_line_that_says_something_else_is_another_line() {
    for format in [VendorFormat::AssemblyAi, VendorFormat::Flux] {
        for (start, is_final) in [(0.4, true), (0.7, true), (0.7, false), (3.0, true), (3.0, false)] {
            let messages = [
                timed(format, 0, 0.4, "The committee will come to order.", true),
                timed(format, 0, start, "are there", is_final),
                timed(format, 0, start, "Are there objections?", true),
            ];
            let (turns, faults) = told(format, &messages[..]);
            for text in ["The committee will come to order.", "Are there objections?"] {
                assert_eq!(turns.matches(text).count(), 1, "{format} {start} {is_final}: {turns}");
            }
            assert!(!faults.is_empty() || start < 0.5, "{format} {start}: it is told");
        }
        // One that was not there, far below the others.
        let messages: Vec<Value> = (5..10)
            .map(|n| timed(format, n, n as f64 * 5.0, &format!("the {n} item"), true))
            .chain([timed(format, 0, 50.0, "We go on.", true)])
            .collect();
        let (_, faults) = told(format, &messages);
        assert!(matches!(&faults[..], [(DecodeFaultKind::ClockRestarted, _)]), "{format}: {faults:?}");
        // A guess of some words that is gone with its engine.
        let messages = [timed(format, 0, 3.0, "the first item is", false), timed(format, 0, 0.4, "are there", false)];
        let (turns, _) = told(format, &messages);
        assert!(turns.contains("the first item is") && turns.contains("are there"), "{format}: {turns}");
    }
}

/// Amazon's results have new ids in each session and are said late at times: a small step back is told.
#[test]
fn a_small_step_back_of_amazons_is_told() {
    let result = |n: u64, start: f64| {
        json!({"Transcript": {"Results": [{"ResultId": format!("a2bd0b2b-5b3a-4b1c-9f0d-{n:012}"), "IsPartial": false,
            "StartTime": start, "EndTime": start + 1.0, "Alternatives": [{"Transcript": format!("the {n} item")}]}]}})
    };
    for (again_at, is_new) in [(0.5, true), (3.5, false), (11.0, false)] {
        let (turns, faults) =
            told(VendorFormat::Aws, &[result(1, 2.0), result(2, 6.0), result(3, 12.0), result(4, again_at)]);
        assert_eq!(turns.matches(" item").count(), 4, "{turns}");
        let kinds: Vec<_> = faults.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds.is_empty(), again_at == 11.0, "{again_at}: {faults:?}");
        assert_eq!(faults.iter().any(|(_, told)| told.starts_with("a new session")), is_new, "{again_at}: {faults:?}");
    }
}

/// A message of Azure's, of somebody.
fn azure_said(reason: &str, who: &str, text: &str, start: f64, end: f64) -> Value {
    json!({"Reason": reason, "Text": text, "Offset": (start * 1e7).round(), "Duration": ((end - start) * 1e7).round(),
           "SpeakerId": who})
}

/// What one of two people says at once: as it is guessed, and settled.
struct Overlapping<'a> {
    who: &'a str,
    pub(super) start: f64,
    pub(super) end: f64,
    words: [&'a str; 3],
    /// How the start moves while it is guessed.
    drift: f64,
    /// How long its final is on its way.
    late: f64,
}

impl Overlapping<'_> {
    /// Its messages, and when they come.
    fn messages(&self, has_guesses: bool) -> Vec<(f64, Value)> {
        let [first, guess, text] = self.words;
        let at = (self.start + self.drift).max(0.0);
        let middle = (at + 0.6).max((self.start + self.end) / 2.0);
        let mut messages = vec![(
            self.end.max(middle) + self.late,
            azure_said("RecognizedSpeech", self.who, text, self.start, self.end),
        )];
        if has_guesses {
            messages.push((at + 0.5, azure_said("RecognizingSpeech", "Unknown", first, at, at + 0.5)));
            messages.push((middle, azure_said("RecognizingSpeech", "Unknown", guess, at, middle)));
        }
        messages
    }
}

/// Two people at once in the first seconds, whose starts drift and whose first words are rewritten: they stand where they
/// spoke, and so does what is said after them.
#[test]
fn two_who_overlap_in_the_first_seconds_begin_no_session() {
    let starts: [f64; 8] = [0.0, 0.4, 1.0, 1.6, 2.4, 3.0, 5.0, 8.0];
    let lengths = [0.8, 2.0, 4.5, 9.0];
    let ada = ["could", "good committee", "Good, the committee will come to order."];
    let bob = ["louder", "lauder please", "Louder, please, over there."];
    let mut count = 0;
    for (ada_at, bob_at) in starts.iter().flat_map(|ada_at| starts.map(|bob_at| (*ada_at, bob_at))) {
        for (ada_for, bob_for) in lengths.iter().flat_map(|ada_for| lengths.map(|bob_for| (*ada_for, bob_for))) {
            let is_overlapping = ada_at < bob_at + bob_for && bob_at < ada_at + ada_for;
            if !is_overlapping || (ada_at - bob_at).abs() < 0.1 {
                continue;
            }
            for (has_guesses, drift, late, names) in [
                (false, 0.0, [0.5, 0.5], ["Guest-1", "Guest-2"]),
                (false, 0.0, [0.5, 2.0], ["Guest-2", "Guest-1"]),
                // Whoever comes first.
                (false, 0.0, [9.0, 0.5], ["Guest-1", "Guest-2"]),
                (false, 0.0, [0.5, 9.0], ["Guest-1", "Guest-2"]),
                (false, 0.0, [0.5, 1.5], ["Unknown", "Unknown"]),
                (false, 0.0, [1.5, 0.5], ["Unknown", "Unknown"]),
                (true, 0.0, [0.5, 4.0], ["Guest-1", "Guest-2"]),
                (true, 0.5, [0.5, 0.5], ["Guest-1", "Guest-2"]),
                (true, -0.5, [0.5, 2.0], ["Guest-1", "Guest-2"]),
                (true, 0.5, [4.0, 0.5], ["Unknown", "Unknown"]),
                (true, -0.5, [0.5, 4.0], ["Unknown", "Unknown"]),
            ] {
                let of = |who, start, lasts, words, drift, late| Overlapping {
                    who,
                    start,
                    end: start + lasts,
                    words,
                    drift,
                    late,
                };
                let mut messages = of(names[0], ada_at, ada_for, ada, drift, late[0]).messages(has_guesses);
                messages.extend(of(names[1], bob_at, bob_for, bob, -drift, late[1]).messages(has_guesses));
                messages.sort_by(|left, right| left.0.total_cmp(&right.0));
                let mut messages: Vec<Value> = messages.into_iter().map(|(_, message)| message).collect();
                messages.push(azure_said("RecognizedSpeech", "Guest-1", "We go on.", 30.0, 31.0));
                let (turns, faults) = told(VendorFormat::Azure, &messages);
                let case = format!("{ada_at}+{ada_for} {bob_at}+{bob_for} {has_guesses} {drift} {late:?} {names:?}");
                for (text, start) in [(ada[2], ada_at), (bob[2], bob_at), ("We go on.", 30.0)] {
                    let place = format!(" ({:.0}-", start * 1e3);
                    let is_there = |(line, said): (&str, &str)| line.contains(&place) && said.trim() == text;
                    let is_there = turns.lines().zip(turns.lines().skip(1)).any(is_there);
                    assert!(is_there, "{case}: {text}: {turns}{faults:?}");
                }
                count += 1;
            }
        }
    }
    assert!(count > 5_000, "{count}");
}

/// An engine of Azure's that is started again is another session, whatever was open and whoever speaks first: told once, and
/// nothing is lost. What cannot be told from somebody who speaks over others is not among it: see docs/dialects.md.
#[test]
fn azures_engine_that_is_started_again_is_one_session_more() {
    let said = |who: &str, text: &str, start: f64, end: f64| azure_said("RecognizedSpeech", who, text, start, end);
    let guess = |text: &str, start: f64, end: f64| azure_said("RecognizingSpeech", "Unknown", text, start, end);
    for ran_s in [3.0, 10.0, 60.0, 3_600.0] {
        for (begins_at, is_open, has_guesses) in [0.0, 0.3, 0.7, 1.3, 2.0, 3.0]
            .into_iter()
            .flat_map(|at| [(at, false, true), (at, true, true), (at, false, false), (at, true, false)])
        {
            for names in [["Guest-1", "Guest-2"], ["Unknown", "Unknown"], ["Guest-1", "Guest-1"]] {
                let mut messages = vec![said(names[0], "We come to order.", 0.4, 1.4)];
                let (mut at, mut number) = (1.6, 0);
                while at + 2.4 < ran_s {
                    number += 1;
                    messages.push(said(names[number % 2], &format!("Item {number} is read out."), at, at + 2.2));
                    // Of an hour its first and its last minute.
                    at = if at > 40.0 && at < ran_s - 60.0 { ran_s - 60.0 } else { at + 2.4 };
                }
                if ran_s < 4.0 {
                    messages.push(said(names[0], "Who is here?", 1.6, 2.8));
                }
                let mut expected = messages.len();
                if is_open {
                    messages.push(guess("those in favour", ran_s - 0.9, ran_s - 0.1));
                    expected += 1;
                }
                if has_guesses {
                    messages.push(guess("sorry", begins_at, begins_at + 0.5));
                    messages.push(guess("sorry the line", begins_at, begins_at + 1.0));
                }
                messages.push(said(names[0], "Sorry, the line broke.", begins_at, begins_at + 2.0));
                messages.push(said(names[0], "Once more, please.", begins_at + 2.5, begins_at + 4.0));
                expected += 2;
                // Its first words end where the first session had not come to, or begin behind its last: that may be somebody else.
                let is_known = names[0] != "Unknown";
                let is_doubtful = ran_s < 4.0 && (begins_at > 0.9 || !has_guesses && (!is_known || begins_at > 0.5));
                let (turns, faults) = told(VendorFormat::Azure, &messages);
                let case = format!("{ran_s} {begins_at} {is_open} {has_guesses} {names:?}: {turns}{faults:?}");
                let sessions = faults.iter().filter(|(_, fault)| fault.starts_with("a new session")).count();
                assert!(sessions == 1 || is_doubtful && sessions == 0, "{sessions} {case}");
                if !is_doubtful {
                    assert_eq!(turns.lines().filter(|line| line.starts_with("    ")).count(), expected, "{case}");
                    assert!(turns.contains("Once more, please.") && turns.contains("Sorry, the line broke."), "{case}");
                    assert!(!is_open || turns.contains("those in favour"), "{case}");
                }
            }
        }
    }
}

/// The first start of each text, where the message at `at_ms` by the clock of who reads says it.
fn starts_at(format: VendorFormat, messages: &[(i64, Value)]) -> (Vec<i64>, Vec<String>) {
    let mut dialect = format.open(options());
    let (mut starts, mut faults) = (Vec::new(), Vec::new());
    for (at_ms, message) in messages {
        let mut out = Decoded::default();
        dialect.elapsed(*at_ms);
        dialect.decode(message.to_string().as_bytes(), &mut out);
        faults.extend(out.faults.iter().map(|fault| fault.message.clone()));
        for said in out.says {
            let DecodedEvent::Lines(lines) = said else { continue };
            starts.extend(
                lines.iter().filter(|line| line.content.end_ms.is_some()).filter_map(|line| line.content.start_ms),
            );
        }
    }
    (starts, faults)
}

/// The clock of the second session is that of a longer stream: its words stand where they arrive, and not so much later as
/// that clock had come by then. Where nobody knows when they arrive they stand a little behind what was said.
#[test]
fn a_session_whose_clock_began_before_it_stands_where_it_arrives() {
    let begin = json!({"message": "RecognitionStarted", "id": "807670e9-14af-4fa2-9e8f-5d525c22156e",
                       "language_pack_info": {"word_delimiter": ""}});
    let deepgram = |start: f64, name: &str| {
        let mut message = timed(VendorFormat::Deepgram, 0, start, "so it goes on", true);
        message["metadata"] = json!({"request_id": name});
        message
    };
    let azure = |start: f64, name: &str| {
        let mut message = azure_said("RecognizedSpeech", "Guest-1", "so it goes on", start, start + 1.0);
        message["SessionId"] = json!(name);
        message
    };
    let speechmatics = |start: f64| timed(VendorFormat::Speechmatics, 0, start, "so it goes on.", true);
    for (second_at, expected_live, expected_file) in [
        // Its clock began with it.
        (0.5, 90_000, 61_501),
        (8.0, 90_000, 69_001),
        // With another one, before or behind that of the first.
        (130.0, 90_000, 71_001),
        (40.0, 90_000, 71_001),
        (36_000.0, 90_000, 71_001),
        // With that of the first, which went on.
        (75.0, 90_000, 75_000),
    ] {
        let second_at_ms = (second_at * 1e3) as i64;
        for format in [VendorFormat::Deepgram, VendorFormat::Azure, VendorFormat::Speechmatics] {
            let messages = match format {
                VendorFormat::Deepgram => vec![deepgram(1.0, "a"), deepgram(60.0, "a"), deepgram(second_at, "b")],
                VendorFormat::Azure => vec![azure(1.0, "a"), azure(60.0, "a"), azure(second_at, "b")],
                _ => vec![begin.clone(), speechmatics(1.0), speechmatics(60.0), begin.clone(), speechmatics(second_at)],
            };
            let count = messages.len();
            // By the clock of who reads a second message comes 59 s after the first, and the next one 30 s after that.
            let at_ms = |at: usize| match count - at {
                1 => 92_000,
                2 if count > 3 => 91_000 - second_at_ms.min(20_000),
                2 | 3 if count > 3 => 62_000,
                2 => 62_000,
                _ => 3_000,
            };
            let live: Vec<_> = messages.iter().cloned().enumerate().map(|(at, message)| (at_ms(at), message)).collect();
            let file: Vec<_> = messages.iter().cloned().map(|message| (0, message)).collect();
            for (messages, expected) in [(live, expected_live), (file, expected_file)] {
                let (starts, faults) = starts_at(format, &messages);
                let last = *starts.last().expect("a line");
                let case = format!("{format} {second_at} {:?}: {starts:?} {faults:?}", messages.last());
                assert!((last - expected).abs() <= 1_000, "{expected}: {case}");
                assert!(faults.iter().any(|fault| fault.starts_with("a new session")), "{case}");
            }
        }
    }
}
