//! An engine that is started again, in one socket or in a new one, or that is reconnected to and says the last again: nothing
//! of the first run is lost or changed, all of the second is there behind it, and where times started over that is told.

use captionwire::dialect::{Dialect, EarlierLine, EarlierSpeech, Options, VendorFormat};
use serde_json::{Value, json};

use super::screen::Screen;
use super::sessions::{Spoken, TIMED, frame, timed};

/// How the second run reaches us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    OneSocket,
    NewSocket,
}

/// What is shown of the source before a connection.
struct Shown {
    lines: Vec<EarlierLine>,
    now_ms: i64,
}

impl EarlierSpeech for Shown {
    fn lines(&self) -> Vec<EarlierLine> {
        self.lines.clone()
    }

    fn now_ms(&self) -> i64 {
        self.now_ms
    }
}

/// A connection to the feed of `screen`.
fn connect(format: VendorFormat, tag: &str, screen: &Screen) -> Box<dyn Dialect> {
    let mut dialect = format.open(Options { label_source: Some("main".into()), ..Options::new(tag) });
    dialect.stand_behind(Box::new(shown(screen)));
    dialect
}

/// What is shown of the source, some seconds after all that was said.
fn shown(screen: &Screen) -> Shown {
    let shown = screen.transcript.spans_of("main");
    let earlier = |(id, start_ms, end_ms, text): (&_, i64, Option<i64>, &_)| EarlierLine {
        id: std::sync::Arc::clone(id),
        start_ms,
        end_ms,
        text: std::sync::Arc::clone(text),
    };
    let lines: Vec<EarlierLine> = shown.map(earlier).collect();
    let until = lines.iter().map(|line| line.end_ms.unwrap_or(line.start_ms)).max().unwrap_or(0);
    Shown { lines, now_ms: until + 5_000 }
}

/// A session's name, which is random.
fn name(run: usize) -> String {
    format!("{run}b1d6e2a-2f1e-4a66-9d0f-3c0f6c1c7d1{run}")
}

/// What the engine says first in a run.
fn opening(format: VendorFormat, run: usize) -> Option<Value> {
    match format {
        VendorFormat::Flux => Some(json!({"type": "Connected", "request_id": name(run)})),
        VendorFormat::Speechmatics => Some(json!({"message": "RecognitionStarted", "id": name(run)})),
        VendorFormat::AssemblyAi => Some(json!({"type": "Begin", "id": name(run)})),
        VendorFormat::Rev => Some(json!({"type": "connected", "id": name(run)})),
        _ => None,
    }
}

/// The frames of one piece of speech: a guess of it, if the format has guesses and `is_final` does not stand alone, and the final.
fn piece(format: VendorFormat, run: usize, number: usize, spoken: &Spoken, is_final: bool) -> Vec<u8> {
    let Spoken { start, end, text } = spoken;
    let id = format!("{run}f1e8d1c-0000-4000-8000-{number:012}");
    let message = match format {
        _ if TIMED.contains(&format) && is_final => return frame(format, number, spoken),
        VendorFormat::WhisperStreaming => return Vec::new(),
        _ if TIMED.contains(&format) => timed(format, number, *start, text, false),
        VendorFormat::Aws => {
            json!({"Transcript": {"Results": [{"ResultId": id, "IsPartial": !is_final, "StartTime": start,
            "EndTime": end, "Alternatives": [{"Transcript": text, "Items": []}]}]}})
        }
        VendorFormat::LiveKit => {
            json!({"participant_identity": "ada", "segments": [{"id": id, "text": text, "final": is_final,
            "start_time": (start * 1e3) as i64, "end_time": (end * 1e3) as i64}]})
        }
        VendorFormat::Vexa => {
            let segment = json!({"speaker": "Ada", "text": text, "start": start, "end": end, "completed": is_final,
                "segment_id": format!("{}:{number}", name(run))});
            let (confirmed, pending) = if is_final { (vec![segment], vec![]) } else { (vec![], vec![segment]) };
            json!({"type": "transcript", "speaker": "Ada", "confirmed": confirmed, "pending": pending})
        }
        VendorFormat::Jitsi => {
            json!({"event": "SPEECH", "participant": {"name": "Ada", "id": "a1"}, "transcript": [{"text": text}],
            "message_id": id, "is_interim": !is_final})
        }
        VendorFormat::Zoom if is_final => json!({"seq": number + 1, "text": text}),
        VendorFormat::YouTube if is_final => {
            let at = (run * 1_800 - 1_800) as f64 + start;
            return format!("2026-05-01T10:{:02}:{:06.3}\n{text}\n", at as u64 / 60, at % 60.0).into_bytes();
        }
        VendorFormat::Text | VendorFormat::Chevrons | VendorFormat::StreamText if is_final => {
            return format!("{text}\n").into_bytes();
        }
        _ => return Vec::new(),
    };
    message.to_string().into_bytes()
}

/// Sentences of a run, each of words of its own.
fn sentences(run: usize, starts: &[f64]) -> Vec<Spoken> {
    let sentence = |(number, start): (usize, &f64)| {
        let text = ["first", "next", "then", "last"].map(|word| format!("{word}{run}x{number}")).join(" ") + ".";
        Spoken { start: *start, end: start + 1.4, text }
    };
    starts.iter().enumerate().map(sentence).collect()
}

/// A run: a guess and a final of each sentence, and a guess of one that is not settled.
fn run(format: VendorFormat, run: usize, said: &[Spoken]) -> Vec<Vec<u8>> {
    let mut frames: Vec<Vec<u8>> =
        opening(format, run).map(|opening| opening.to_string().into_bytes()).into_iter().collect();
    for (number, spoken) in said.iter().enumerate() {
        let guess = Spoken { text: spoken.text.rsplit_once(' ').expect("words").0.into(), ..spoken.clone() };
        frames.push(piece(format, run, number, &guess, false));
        frames.push(piece(format, run, number, spoken, true));
    }
    let last = said.last().expect("some").end;
    let open = Spoken { start: last + 1.0, end: last + 2.0, text: format!("open{run} guess{run} stays{run}") };
    frames.push(piece(format, run, said.len(), &open, false));
    frames.retain(|frame| !frame.is_empty());
    frames
}

fn decode(screen: &mut Screen, dialect: &mut dyn Dialect, frames: &[Vec<u8>]) -> String {
    frames.iter().map(|frame| screen.decode(dialect, frame)).collect()
}

/// Where each sentence of `said` stands in the text of a screen, if it is there once.
fn places(screen: &Screen, said: &[Spoken]) -> Vec<Option<usize>> {
    let text = screen.text();
    let place = |spoken: &Spoken| text.find(&spoken.text).filter(|_| text.matches(&spoken.text).count() == 1);
    said.iter().map(place).collect()
}

/// Formats that say no time, or the time of day: nothing of them starts over.
const UNTIMED: [VendorFormat; 6] = [
    VendorFormat::Jitsi,
    VendorFormat::Text,
    VendorFormat::Chevrons,
    VendorFormat::StreamText,
    VendorFormat::Zoom,
    VendorFormat::YouTube,
];

#[test]
fn an_engine_that_is_started_again_stands_behind_what_it_said() {
    let mut wrong = Vec::new();
    let far: &[f64] = &[0.5, 2.5, 40.0, 62.0];
    for (first_starts, second_starts) in [
        (far, far),
        (far, &[0.4, 3.1]),
        (far, &[1.7, 4.0, 41.0]),
        (&[0.5, 3.0, 6.0], &[0.6, 2.9]),
        (&[0.5], &[0.5, 2.4]),
        // Attached to long after it began.
        (&[600.5, 640.0], &[300.0, 304.0]),
    ] {
        for (format, way) in
            VendorFormat::ALL.into_iter().flat_map(|format| [Way::OneSocket, Way::NewSocket].map(|way| (format, way)))
        {
            let place = format!("{format} {way:?} {first_starts:?} {second_starts:?}");
            let (first, second) = (sentences(1, first_starts), sentences(2, second_starts));
            let mut screen = Screen::new();
            let mut dialect = connect(format, "t1", &screen);
            let mut told = decode(&mut screen, &mut *dialect, &run(format, 1, &first));
            assert!(!told.contains("ClockRestarted"), "{place}: {told}");
            if way == Way::NewSocket {
                told += &screen.end(&mut *dialect);
                dialect = connect(format, "t2", &screen);
            }
            told = decode(&mut screen, &mut *dialect, &run(format, 2, &second));
            screen.close(&mut *dialect);
            let all = [&first[..], &second[..]].concat();
            let places = places(&screen, &all);
            // Some restarts look as if somebody spoke over others: nothing is lost then, and all of it is there once.
            let is_behind = is_small_restart(format, &first, &second) || places.is_sorted();
            // Where nobody knows when the feed was opened a first time of day is its start.
            let is_untimed = UNTIMED.contains(&format) && (format, way) != (VendorFormat::YouTube, Way::NewSocket);
            let is_told = told.contains("ClockRestarted") || is_small_restart(format, &first, &second);
            if !places.iter().all(Option::is_some) || !is_behind || is_told == is_untimed {
                wrong.push(format!("{place}: {places:?}{told}\n{}", screen.turns()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A program that comes back in the midst of a session and sends the last again goes on where the session is: what was said
/// stays, once where the vendor's own ids last, and what comes behind stands at its own time.
#[test]
fn a_session_that_goes_on_over_a_break_stays_where_it_is() {
    let last_ids = [
        VendorFormat::Flux,
        VendorFormat::Speechmatics,
        VendorFormat::AssemblyAi,
        VendorFormat::Rev,
        VendorFormat::Aws,
        VendorFormat::LiveKit,
        VendorFormat::Vexa,
        VendorFormat::Jitsi,
    ];
    let mut wrong = Vec::new();
    for (format, again_from) in VendorFormat::ALL.into_iter().flat_map(|format| [0, 2, 3, 4].map(|from| (format, from)))
    {
        let said = sentences(1, &[0.5, 2.5, 40.0, 62.0, 66.0, 69.0]);
        let mut screen = Screen::new();
        let mut dialect = connect(format, "t1", &screen);
        decode(&mut screen, &mut *dialect, &run(format, 1, &said[..4]));
        screen.end(&mut *dialect);
        let mut dialect = connect(format, "t2", &screen);
        let opening = opening(format, 1).map(|opening| opening.to_string().into_bytes());
        let mut frames: Vec<Vec<u8>> = opening.into_iter().collect();
        for (number, spoken) in said.iter().enumerate().skip(again_from) {
            frames.push(piece(format, 1, number, spoken, false));
            frames.push(piece(format, 1, number, spoken, true));
        }
        frames.retain(|frame| !frame.is_empty());
        let told = decode(&mut screen, &mut *dialect, &frames);
        screen.end(&mut *dialect);
        let text = screen.text();
        let counts: Vec<usize> = said.iter().map(|spoken| text.matches(&spoken.text).count()).collect();
        let most = if last_ids.contains(&format) { 1 } else { 2 };
        let is_there = counts[..4].iter().all(|count| (1..=most).contains(count)) && counts[4..] == [1, 1];
        let start = |text: &str| {
            let mut lines = screen.transcript.spans_of("main").filter(|line| line.3.contains(text));
            lines.next().map(|line| (line.1, line.2))
        };
        let is_in_place = |spoken: &Spoken| {
            let (from, to) = start(&spoken.text).unwrap_or_default();
            let at = (spoken.start * 1e3) as i64;
            (from - 1..=to.unwrap_or(from).max(from)).contains(&at)
        };
        // The times of those who say none, or the time of day, are another's.
        let is_timed = !UNTIMED.contains(&format);
        // Where nobody knows when the feed was opened a first time of day is its start.
        let is_moved = told.contains("counts anew") && format != VendorFormat::YouTube;
        if !is_there || is_timed && !said.iter().all(is_in_place) || is_moved {
            wrong.push(format!("{format} from {again_from}: {counts:?}{told}\n{}", screen.turns()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Restarts in the first seconds that no frame tells from people who speak over each other, or are heard late.
fn is_small_restart(format: VendorFormat, first: &[Spoken], second: &[Spoken]) -> bool {
    let fall = first.last().expect("some").start - second[0].start;
    let is_late = fall < 10.0 || format != VendorFormat::Azure && second[0].start * 3.0 > first[0].start;
    matches!(format, VendorFormat::Azure | VendorFormat::Aws | VendorFormat::LiveKit | VendorFormat::Vexa) && is_late
}

/// The day on which the meetings of these tests begin, in seconds of the epoch.
const DAY_S: f64 = 1_777_629_600.0;

/// A segment of Vexa's that was confirmed `at` seconds after the feed was opened.
fn segment(id: &str, speaker: &str, at: f64, text: &str) -> Vec<u8> {
    let segment =
        json!({"segment_id": id, "speaker": speaker, "text": text, "start": DAY_S + at, "end": DAY_S + at + 2.0});
    json!({"type": "transcript", "speaker": speaker, "confirmed": [segment], "pending": []}).to_string().into_bytes()
}

/// A connection to a feed that was opened at [`DAY_S`].
fn connect_to_meeting(tag: &str, screen: &Screen) -> Box<dyn Dialect> {
    let wall_start = Some(captionwire::transcript::Timestamp((DAY_S * 1e3) as i64));
    let mut dialect = VendorFormat::Vexa.open(Options { wall_start, ..Options::new(tag) });
    dialect.stand_behind(Box::new(shown(screen)));
    dialect
}

/// A meeting that began before its feed is counted from its first words on each connection, also where only new words come.
#[test]
fn a_meeting_from_before_the_feed_keeps_its_times_over_connections() {
    for ids in [
        ["1", "2", "3"],
        [
            "0b1d6e2a-2f1e-4a66-9d0f-3c0f6c1c7d10:1",
            "0b1d6e2a-2f1e-4a66-9d0f-3c0f6c1c7d10:2",
            "0b1d6e2a-2f1e-4a66-9d0f-3c0f6c1c7d10:3",
        ],
    ] {
        for (again, way) in [(true, Way::NewSocket), (false, Way::NewSocket), (false, Way::OneSocket)] {
            if !again && way == Way::NewSocket && ids[0].len() > 1 {
                // Nothing of it says when it was.
                continue;
            }
            let mut screen = Screen::new();
            let mut dialect = connect_to_meeting("t1", &screen);
            let told = screen.decode(&mut *dialect, &segment(ids[0], "Ann", -60.0, "Before the feed began."));
            assert!(told.contains("60.000 s before the start of the feed"), "{told}");
            screen.decode(&mut *dialect, &segment(ids[1], "Ben", 5.0, "Now it has."));
            match way {
                Way::NewSocket => {
                    screen.end(&mut *dialect);
                    dialect = connect_to_meeting("t2", &screen);
                }
                Way::OneSocket => drop(screen.decode(&mut *dialect, br#"{"type": "session_start"}"#)),
            }
            if again {
                screen.decode(&mut *dialect, &segment(ids[1], "Ben", 5.0, "Now it has."));
            }
            screen.decode(&mut *dialect, &segment(ids[2], "Ann", 20.0, "And it goes on."));
            let starts: Vec<i64> = screen.transcript.spans_of("main").map(|(_, start, ..)| start).collect();
            assert_eq!(starts, [0, 65_000, 80_000], "{ids:?} {again} {way:?}\n{}", screen.turns());
        }
    }
}

/// Whatever is said under an id that may be a counter is kept, and where it may be somebody else's that is told.
#[test]
fn ids_of_segments_that_count_anew_are_told() {
    for (first, second, told, count) in [
        // The same segment, better heard.
        (("Ann", 5.0, "The boat is closed."), ("Ann", 5.0, "The vote is closed."), None, 1),
        (
            ("Ann", 5.0, "The vote is closed."),
            ("Ann", 3_605.0, "The vote is closed."),
            Some("uses the id of a line"),
            2,
        ),
        (("Ann", 5.0, "The vote is closed."), ("Ann", 5.0, "Good evening to you."), Some("uses the id of a line"), 2),
        (("Ann", 5.0, "The vote is closed."), ("Ben", 9.0, "The vote is closed."), Some("uses the id of a line"), 2),
        // Of two who talk at once.
        (("Ann", 5.0, "The vote is closed."), ("Ben", 5.05, "I object to that."), Some("uses the id of a line"), 2),
        (("Ann", 5.0, "Aye."), ("Ben", 5.05, "Aye."), Some("names another speaker"), 1),
    ] {
        for of_day in [true, false] {
            let mut screen = Screen::new();
            let mut dialect = connect_to_meeting("t1", &screen);
            let mut told_now = String::new();
            for (who, at, text) in [first, second] {
                let mut message = String::from_utf8(segment("1", who, at, text)).expect("UTF-8");
                if !of_day {
                    message = message.replace(&format!("{:?}", DAY_S + at), &at.to_string());
                    message = message.replace(&format!("{:?}", DAY_S + at + 2.0), &(at + 2.0).to_string());
                }
                told_now = screen.decode(&mut *dialect, message.as_bytes());
            }
            let place = format!("{first:?} {second:?} {of_day}: {told_now}\n{}", screen.turns());
            assert_eq!(screen.transcript.counts().0, count, "{place}");
            assert!(told.map_or(told_now.is_empty(), |told| told_now.contains(told)), "{place}");
        }
    }
}

/// What is sent again stands where it was, and what begins as the run before did goes behind it once it says something else.
#[test]
fn what_begins_as_the_run_before_is_told_apart_by_its_finals() {
    let spoken = |start: f64, text: &str| Spoken { start, end: start + 1.4, text: text.into() };
    let first = [spoken(0.5, "Good morning everybody."), spoken(40.0, "That is all for today.")];
    for format in TIMED.into_iter().filter(|format| *format != VendorFormat::WhisperStreaming) {
        let mut screen = Screen::new();
        let mut dialect = connect(format, "t1", &screen);
        let open = |screen: &mut Screen, dialect: &mut dyn Dialect, run: usize| {
            opening(format, run).map(|opening| screen.decode(dialect, opening.to_string().as_bytes()))
        };
        open(&mut screen, &mut *dialect, 1);
        let say = |screen: &mut Screen, dialect: &mut dyn Dialect, number: usize, spoken: &Spoken, is_final: bool| {
            screen.decode(dialect, &piece(format, 1, number, spoken, is_final))
        };
        for (number, spoken) in first.iter().enumerate() {
            say(&mut screen, &mut *dialect, number, spoken, true);
        }
        screen.end(&mut *dialect);
        // Once more, with its guess, and then what comes behind it.
        let mut dialect = connect(format, "t2", &screen);
        open(&mut screen, &mut *dialect, 1);
        say(&mut screen, &mut *dialect, 0, &spoken(0.5, "good morning"), false);
        let all = [&first[..], &[spoken(70.0, "Once more.")]].concat();
        let told: String =
            all.iter().enumerate().map(|(at, spoken)| say(&mut screen, &mut *dialect, at, spoken, true)).collect();
        screen.end(&mut *dialect);
        assert!(!told.contains("begins"), "{format}: {told}");
        let starts = |screen: &Screen, text: &str| -> Vec<i64> {
            let lines = screen.transcript.assembled().flat_map(|(_, lines)| lines);
            lines.filter(|line| line.text.contains(text)).map(|line| line.start_ms).collect()
        };
        assert!(starts(&screen, "Good morning").iter().all(|start| *start < 2_000), "{format}\n{}", screen.turns());
        // Another engine, that begins with the same word.
        let mut dialect = connect(format, "t3", &screen);
        open(&mut screen, &mut *dialect, 2);
        let mut told = say(&mut screen, &mut *dialect, 0, &spoken(0.5, "good"), false);
        told += &say(&mut screen, &mut *dialect, 0, &spoken(0.5, "good evening"), false);
        told += &say(&mut screen, &mut *dialect, 0, &spoken(0.5, "Good evening to you."), true);
        screen.end(&mut *dialect);
        assert!(told.contains("begin"), "{format}: {told}");
        let evening = starts(&screen, "evening");
        assert!(evening.len() == 1 && evening[0] > 70_000, "{format} {evening:?}: {told}\n{}", screen.turns());
    }
}

/// An engine that goes on over a break speaks on another channel, or says otherwise what was a guess: no clock began anew.
#[test]
fn an_engine_that_goes_on_with_other_words_stays_where_it_is() {
    let channel = |channel: u64, start: f64, end: f64, text: &str| {
        let spoken = Spoken { start, end, text: text.into() };
        let mut message: Value = serde_json::from_slice(&frame(VendorFormat::Deepgram, 0, &spoken)).expect("JSON");
        message["channel_index"] = json!([channel, 2]);
        message.to_string().into_bytes()
    };
    let mut runs = vec![(
        VendorFormat::Deepgram,
        vec![
            channel(0, 500.0, 506.0, "The budget is carried."),
            channel(1, 490.0, 498.0, "I object to that."),
            channel(0, 510.0, 516.0, "Then we come to the ferry."),
        ],
        vec![channel(1, 509.0, 516.0, "Nobody asked us."), channel(0, 518.0, 520.0, "Thank you very much.")],
        vec![(509_000, "Nobody asked us."), (518_000, "Thank you very much.")],
    )];
    for format in TIMED.into_iter().filter(|format| *format != VendorFormat::WhisperStreaming) {
        let say = |number: usize, start: f64, text: &str, is_final: bool| {
            timed(format, number, start, text, is_final).to_string().into_bytes()
        };
        runs.push((
            format,
            vec![say(0, 0.5, "We come to order.", true), say(1, 100.0, "and a sea", false)],
            vec![say(1, 99.8, "Anna said the boat is late.", true), say(2, 106.0, "Thanks to all.", true)],
            vec![(99_800, "Anna said the boat is late."), (106_000, "Thanks to all.")],
        ));
    }
    for (format, first, second, expected) in runs {
        let mut screen = Screen::new();
        let mut dialect = connect(format, "t1", &screen);
        decode(&mut screen, &mut *dialect, &first);
        screen.close(&mut *dialect);
        let mut dialect = connect(format, "t2", &screen);
        let told = decode(&mut screen, &mut *dialect, &second);
        screen.close(&mut *dialect);
        assert!(!told.contains("counts anew") && !told.contains("a new session"), "{format}: {told}");
        for (at, text) in expected {
            let mut lines = screen.transcript.spans_of("main");
            let line = lines.find(|(.., said)| said.contains(text));
            assert_eq!(line.map(|(_, start, ..)| start), Some(at), "{format} {text}: {told}\n{}", screen.turns());
        }
    }
}

/// Frames that hold no words tell nothing of the engine: the first that do tell that it began anew.
#[test]
fn words_tell_where_an_engine_stands_and_no_silence() {
    for empty_settled in [&[][..], &[false], &[true], &[false, true, false]] {
        let mut screen = Screen::new();
        let mut dialect = connect(VendorFormat::Deepgram, "t1", &screen);
        for (start, text) in [(0.0, "Good morning everybody."), (100.0, "And so we come to it.")] {
            let message = timed(VendorFormat::Deepgram, 0, start, text, true);
            screen.decode(&mut *dialect, message.to_string().as_bytes());
        }
        screen.end(&mut *dialect);
        let mut dialect = connect(VendorFormat::Deepgram, "t2", &screen);
        let mut told = String::new();
        for is_final in empty_settled {
            told += &screen
                .decode(&mut *dialect, timed(VendorFormat::Deepgram, 0, 0.0, "", *is_final).to_string().as_bytes());
        }
        assert!(!told.contains("ClockRestarted"), "{empty_settled:?}: {told}");
        let message = timed(VendorFormat::Deepgram, 0, 5.0, "Hello once more.", true);
        told += &screen.decode(&mut *dialect, message.to_string().as_bytes());
        screen.end(&mut *dialect);
        assert!(told.contains("counts anew"), "{empty_settled:?}: {told}");
        // Behind all that was said, where the feed is about now.
        let line = screen.transcript.spans_of("main").find(|(.., text)| text.contains("Hello"));
        assert_eq!(line.map(|(_, start, ..)| start), Some(106_001), "{empty_settled:?}: {told}\n{}", screen.turns());
    }
}

/// A feed that is used again after a week, whose present time leaves no room: the words keep times, behind what was said.
#[test]
fn where_no_media_time_is_left_an_engine_stands_behind_what_was_said() {
    const DAY_MS: i64 = 86_400_000;
    for (now_ms, expected) in
        [(6 * DAY_MS, 6 * DAY_MS - 1_000), (7 * DAY_MS - 3_000, 3_602_001), (9 * DAY_MS, 3_602_001)]
    {
        for format in [VendorFormat::Deepgram, VendorFormat::LiveKit] {
            let mut screen = Screen::new();
            let mut dialect = connect(format, "t1", &screen);
            let spoken = |start: f64, text: &str| Spoken { start, end: start + 1.0, text: text.into() };
            for (number, said) in [spoken(0.5, "Good morning."), spoken(3_600.0, "It is over.")].iter().enumerate() {
                screen.decode(&mut *dialect, &piece(format, 1, number, said, true));
            }
            screen.end(&mut *dialect);
            let mut dialect = format.open(Options { label_source: Some("main".into()), ..Options::new("t2") });
            dialect.stand_behind(Box::new(Shown { now_ms, ..shown(&screen) }));
            let told = screen.decode(&mut *dialect, &piece(format, 2, 0, &spoken(1.0, "Another event."), true));
            let line = screen.transcript.spans_of("main").find(|(.., text)| text.contains("Another"));
            let place = format!("{format} {now_ms}: {told}\n{}", screen.turns());
            assert_eq!(line.map(|(_, start, ..)| start), Some(expected), "{place}");
        }
    }
}

/// Ids that count say nothing of what was said before, but the words do: what is sent again stands where it was.
#[test]
fn participants_that_say_it_again_stay_where_they_were() {
    let said = [
        (1, "ann", 2.0, "Good morning all."),
        (2, "ann", 60.0, "We come to the vote."),
        (1, "ben", 64.0, "I object to it."),
        (3, "ann", 70.0, "Then we go on."),
    ];
    let frame = |format: VendorFormat, (id, who, start, text): (usize, &str, f64, &str)| {
        let end = start + 2.0;
        let message = if format == VendorFormat::LiveKit {
            json!({"participant_identity": who, "segments": [{"id": id.to_string(), "text": text, "final": true,
                "start_time": start * 1e3, "end_time": end * 1e3}]})
        } else {
            let segment =
                json!({"segment_id": id.to_string(), "speaker": who, "text": text, "start": start, "end": end});
            json!({"type": "transcript", "speaker": who, "confirmed": [segment], "pending": []})
        };
        message.to_string().into_bytes()
    };
    for format in [VendorFormat::LiveKit, VendorFormat::Vexa] {
        let mut screen = Screen::new();
        let mut dialect = connect(format, "t1", &screen);
        said[..3].iter().for_each(|said| drop(screen.decode(&mut *dialect, &frame(format, *said))));
        screen.end(&mut *dialect);
        let mut dialect = connect(format, "t2", &screen);
        let told: String = said.iter().map(|said| screen.decode(&mut *dialect, &frame(format, *said))).collect();
        let starts: std::collections::BTreeSet<i64> = screen.transcript.spans_of("main").map(|line| line.1).collect();
        let place = format!("{format}: {told}\n{}", screen.turns());
        assert!(starts.iter().eq(&[2_000, 60_000, 64_000, 70_000]), "{place}");
        assert!(told.contains("says what its source said at that time"), "{place}");
        // Another engine, whose first words are the same: what it says then tells.
        let mut dialect = connect(format, "t3", &screen);
        let words = [said[0], (2, "ann", 5.0, "Today is another day.")];
        let told: String = words.iter().map(|said| screen.decode(&mut *dialect, &frame(format, *said))).collect();
        let line = screen.transcript.spans_of("main").find(|(.., text)| text.contains("another day"));
        assert!(line.is_some_and(|(_, start, ..)| start > 72_000), "{format}: {told}\n{}", screen.turns());
    }
}
