//! What vendors' ids name: nothing is overwritten by another thing's id, nothing that is sent again stands twice, and what is
//! taken back is gone.

use std::collections::BTreeSet;

use captionwire::dialect::{DecodeFaultKind, Decoded, Dialect, Options, VendorFormat};
use captionwire::transcript::Line;
use serde_json::{Value, json};

use super::options;
use super::screen::Screen;

/// A connection, and the screen that it shares with those before it.
struct Connection {
    dialect: Box<dyn Dialect>,
    faults: Vec<(DecodeFaultKind, String)>,
}

impl Connection {
    fn open(format: VendorFormat, tag: &str) -> Self {
        Self { dialect: format.open(Options { tag: tag.into(), ..options() }), faults: Vec::new() }
    }

    fn hear(&mut self, message: &Value, screen: &mut Screen) {
        let mut out = Decoded::default();
        self.dialect.decode(message.to_string().as_bytes(), &mut out);
        self.faults.extend(out.faults.iter().map(|fault| (fault.kind, fault.message.clone())));
        screen.take(out);
    }
}

/// Reads messages on one connection.
fn heard(format: VendorFormat, messages: &[Value]) -> (Screen, Vec<(DecodeFaultKind, String)>) {
    let (mut connection, mut screen) = (Connection::open(format, "t"), Screen::new());
    messages.iter().for_each(|message| connection.hear(message, &mut screen));
    screen.end(&mut *connection.dialect);
    (screen, connection.faults)
}

fn lines(screen: &Screen) -> Vec<Line> {
    screen.transcript.assembled().flat_map(|(_, lines)| lines).collect()
}

fn texts(screen: &Screen) -> Vec<String> {
    lines(screen).iter().map(|line| line.text.to_string()).collect()
}

fn livekit(id: &str, text: &str, start_s: u64) -> Value {
    json!({"participant_identity": "ann", "segments": [{"id": id, "text": text, "start_time": start_s * 1_000,
           "end_time": start_s * 1_000 + 900, "final": true}]})
}

fn vexa(id: &str, text: &str, start: f64) -> Value {
    json!({"type": "transcript", "speaker": "Ann", "pending": [], "confirmed": [{"segment_id": id, "speaker": "Ann",
           "text": text, "start": start, "end": start + 2.0, "completed": true}]})
}

/// Whatever a program counts with, its next run overwrites nothing; and what a vendor's library draws is one line for ever.
#[test]
fn the_next_connection_overwrites_nothing_and_doubles_nothing() {
    let said_on_two = |format: VendorFormat, id: &str, texts: [&str; 2]| {
        let mut screen = Screen::new();
        for (tag, text) in ["t", "u"].into_iter().zip(texts) {
            let message = match format {
                VendorFormat::LiveKit => livekit(id, text, 1),
                VendorFormat::Vexa => vexa(id, text, 1.0),
                VendorFormat::Jitsi => json!({"event": "SPEECH", "participant": {"id": "a1", "name": "Ann"},
                                        "transcript": [{"text": text}], "message_id": id, "is_interim": false}),
                _ => {
                    json!({"Transcript": {"Results": [{"ResultId": id, "IsPartial": false, "StartTime": 1.0, "EndTime": 2.0,
                            "Alternatives": [{"Transcript": text}]}]}})
                }
            };
            Connection::open(format, tag).hear(&message, &mut screen);
        }
        lines(&screen).len()
    };
    let uuid = "3f2c9a44-5d7e-4b1a-9c3e-aa11bb22cc33";
    for format in [VendorFormat::LiveKit, VendorFormat::Jitsi, VendorFormat::Aws, VendorFormat::Vexa] {
        for id in [
            "1",
            "seg-12",
            "SegmentNumber1",
            "UtteranceNumber7",
            "mic1seg2part3",
            "Mic1Seg2Part3",
            "ROOM1SEG2PART3",
            "SG_000000000012",
            "00000000-0000-0000-0000-000000000012",
            "ch-0:1:1500",
        ] {
            assert_eq!(said_on_two(format, id, ["One.", "Other."]), 2, "{format} {id}");
        }
        let of_session = format!("{uuid}:ch-0:1:1500");
        let own: &[&str] = match format {
            VendorFormat::LiveKit => {
                &["SG_1234567abcde", "SG_123456789012", "SG_abcdefabcdef", "SG_3f2c9a44-5d7", uuid]
            }
            VendorFormat::Vexa => &[&of_session],
            _ => &[uuid],
        };
        for id in own {
            assert_eq!(said_on_two(format, id, ["One.", "One."]), 1, "{format} {id}");
        }
    }
}

/// A segment's id is twelve digits of a UUID, whichever they are.
#[test]
fn livekits_own_ids_are_known_whatever_is_drawn() {
    for seed in 0..2_000_u64 {
        let drawn = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16 | 1 << 47;
        let mut screen = Screen::new();
        for tag in ["t", "u"] {
            Connection::open(VendorFormat::LiveKit, tag)
                .hear(&livekit(&format!("SG_{drawn:012x}"), "One.", 1), &mut screen);
        }
        assert_eq!(lines(&screen).len(), 1, "{drawn:012x}");
    }
}

/// No id that is made here can be sent by a vendor: neither that of a part, nor that of an id that begins anew, nor that of
/// another session.
#[test]
fn ids_that_are_made_here_meet_no_others() {
    let long = "a long line of words that goes on ".repeat(100);
    let (screen, _) = heard(
        VendorFormat::LiveKit,
        &[
            livekit("1", &long, 1),
            livekit("1.2", "Second.", 60),
            livekit("1.2.2", "Third.", 70),
            livekit("1-g", "Fourth.", 80),
        ],
    );
    let said = screen.text();
    let words = long.split_whitespace().count();
    assert_eq!(said.split_whitespace().count(), words + 3);
    assert!(["Second.", "Third.", "Fourth."].iter().all(|text| said.contains(text)));

    let (screen, _) = heard(
        VendorFormat::Vexa,
        &[
            vexa("1", "The first motion is carried.", 0.0),
            vexa("1", "Something else about money.", 20.0),
            json!({"type": "session_start", "session_uid": "s2", "meeting_id": "1"}),
            vexa("1", "Welcome back, everybody.", 0.0),
            vexa("1", "Nothing of that again.", 30.0),
        ],
    );
    assert_eq!(texts(&screen).iter().collect::<BTreeSet<_>>().len(), 4, "{:?}", texts(&screen));

    // An id and its participant in one piece are not those of another pair.
    let jitsi =
        |id: &str, who: &str, text: &str| json!({"participant_id": who, "id": id, "text": text, "type": "final"});
    let (screen, _) = heard(VendorFormat::Jitsi, &[jitsi("a", "b:c", "One."), jitsi("a:b", "c", "Two.")]);
    assert_eq!(texts(&screen), ["One.", "Two."]);
}

fn retract(id: &str) -> Value {
    json!({"type": "transcript_retract", "segment_ids": [id]})
}

#[test]
fn what_is_taken_back_is_gone_and_may_be_said_again() {
    let (screen, faults) =
        heard(VendorFormat::Vexa, &[vexa("a:1", "We adjourn.", 1.0), retract("a:1"), vexa("a:1", "We adjourn.", 1.0)]);
    assert_eq!((texts(&screen), faults), (vec!["We adjourn.".into()], Vec::new()));

    // All lines of a long one, also when so much was said since that it is forgotten.
    let long = "secret words of the witness ".repeat(200);
    for count in [0, 100] {
        let mut messages = vec![vexa("a:1", &long, 1.0)];
        messages.extend((0..count).map(|n| vexa(&format!("a:{}", n + 2), "And so on.", 10.0 + f64::from(n))));
        messages.push(retract("a:1"));
        let (screen, _) = heard(VendorFormat::Vexa, &messages);
        assert_eq!(texts(&screen).len(), count as usize);
        // And corrected to a short one, nothing of it is left.
        *messages.last_mut().expect("a message") = vexa("a:1", "secret words of the witness", 1.0);
        let (screen, _) = heard(VendorFormat::Vexa, &messages);
        assert!(texts(&screen).iter().filter(|text| text.contains("secret")).count() <= 1 + usize::from(count > 0) * 3);
    }

    // A draft goes by its id too.
    let draft = json!({"type": "transcript", "speaker": "Ann", "confirmed": [], "pending": [
        {"segment_id": "a:9", "speaker": "Ann", "text": "never mind", "start": 1.0, "end": 2.0}]});
    let (screen, faults) = heard(VendorFormat::Vexa, &[draft, retract("a:9")]);
    assert_eq!((texts(&screen), faults), (Vec::new(), Vec::new()));
}

/// An id that every bot counts anew names nothing of an earlier connection, and that is told.
#[test]
fn a_retraction_that_means_nothing_is_told() {
    let mut screen = Screen::new();
    Connection::open(VendorFormat::Vexa, "t").hear(&vexa("ch-0:1:1500", "This was wrong.", 1.5), &mut screen);
    let mut next = Connection::open(VendorFormat::Vexa, "u");
    next.hear(&retract("ch-0:1:1500"), &mut screen);
    let [(DecodeFaultKind::Odd, told)] = &next.faults[..] else { panic!("{:?}", next.faults) };
    assert!(told.contains("nothing was taken back"), "{told}");
    // One that names its bot's session is taken back.
    let id = "3f2c9a44-5d7e-4b1a-9c3e-aa11bb22cc33:ch-0:1:1500";
    Connection::open(VendorFormat::Vexa, "v").hear(&vexa(id, "This too.", 5.0), &mut screen);
    let mut last = Connection::open(VendorFormat::Vexa, "w");
    last.hear(&retract(id), &mut screen);
    assert_eq!((texts(&screen), last.faults), (vec!["This was wrong.".into()], Vec::new()));
}

/// Vexa's bots write seconds of the epoch, and a key for each turn.
#[test]
fn vexa_is_read_as_its_bots_write_it() {
    const START: f64 = 1_774_605_600.0;
    let segment = |id: &str, key: &str, speaker: &str, text: &str, start: f64| {
        json!({"segment_id": id, "speaker": speaker, "speaker_key": key, "text": text, "start": START + start,
               "end": START + start + 2.0, "absolute_start_time": "2026-03-27T10:00:00.000Z".replace("00.000", &format!("{start:06.3}")),
               "absolute_end_time": "2026-03-27T10:00:00.000Z".replace("00.000", &format!("{:06.3}", start + 2.0)), "completed": true})
    };
    let live = |segment: &Value, completed: bool| {
        let mut segment = segment.clone();
        segment["completed"] = json!(completed);
        json!({"type": "transcript", "meeting": {"id": 42}, "segment": segment})
    };
    let first = segment("ch-0:1:1500", "ch-0:1", "Alice", "First sentence.", 1.5);
    let (screen, faults) = heard(
        VendorFormat::Vexa,
        &[
            live(&first, false),
            live(&first, true),
            live(&segment("ch-0:2:9000", "ch-0:2", "Alice", "Later.", 9.0), true),
            live(&segment("ch-1:1:20000", "ch-1:1", "", "Who is this?", 20.0), true),
        ],
    );
    assert_eq!(faults, []);
    let found: Vec<_> = lines(&screen).iter().map(|line| (line.start_ms, line.speaker.clone())).collect();
    let alice = Some("Alice".into());
    assert_eq!(found, [(0, alice.clone()), (7_500, alice), (18_500, Some("main.t:ch-1".into()))]);

    // Its names are those of people, however many turns they have.
    let turns = (0..300).map(|n| segment(&format!("k:{n}"), &format!("ch-0:{n}"), "Alice", "Yes.", f64::from(n % 50)));
    let (screen, _) = heard(VendorFormat::Vexa, &turns.map(|turn| live(&turn, true)).collect::<Vec<_>>());
    let speakers: BTreeSet<_> = lines(&screen).iter().map(|line| line.speaker.clone()).collect();
    assert_eq!(speakers.len(), 1);

    // A draft of nobody goes with what is confirmed, by the time of day as well, also where the feed began later.
    let mut draft = segment("", "", "", "the lighting is too warm", 1.0);
    draft.as_object_mut().expect("an object").remove("segment_id");
    let bundle = |speaker: &str, confirmed: Value, pending: Value| json!({"type": "transcript", "speaker": speaker, "confirmed": confirmed, "pending": pending});
    let said = segment("ch-0:1:1000", "ch-0:1", "Alice", "The lighting is too warm.", 1.0);
    for opened_s in [START as i64 + 1, START as i64 + 86_400 * 200] {
        let wall_start = Some(captionwire::transcript::Timestamp(opened_s * 1_000));
        let mut connection =
            Connection { dialect: VendorFormat::Vexa.open(Options { wall_start, ..options() }), faults: Vec::new() };
        let mut screen = Screen::new();
        connection.hear(&bundle("", json!([]), json!([draft])), &mut screen);
        connection.hear(&bundle("Alice", json!([said]), json!([])), &mut screen);
        assert_eq!(texts(&screen), ["The lighting is too warm."]);
        assert!(connection.faults.len() <= 1, "{:?}", connection.faults);
    }

    // How it is, it says itself.
    let health = json!({"type": "health", "meeting": "google_meet/abc", "source": "stt", "kind": "no-signal", "detail": "no audio"});
    let (_, faults) = heard(VendorFormat::Vexa, &[health]);
    assert_eq!(faults, [(DecodeFaultKind::Engine, "Vexa reports (stt no-signal): no audio".into())]);
}

/// What was said before the feed was opened keeps its place among all that is said, and that is told once.
#[test]
fn what_vexa_said_before_the_opening_keeps_its_distances() {
    const OPENED_MS: i64 = 1_774_605_600_000;
    for (number, early_s) in [(0, 0), (1, 4), (2, 45), (3, 86_400)] {
        let said = |n: i64, key: &str, at_s: i64| {
            let at = |at_s: i64| (OPENED_MS / 1_000 + at_s) as f64 + 0.25;
            json!({"segment_id": format!("6f1e8d1c-0000-4000-8000-00000000000{number}:{key}:{n}"), "speaker": key,
                   "text": format!("said {n}"), "start": at(at_s), "end": at(at_s + 2), "completed": true})
        };
        let bundle = |confirmed: &[Value]| json!({"type": "transcript", "speaker": "ada", "confirmed": confirmed, "pending": []});
        // The first message has the second words first.
        let messages = [
            bundle(&[said(2, "bob", 3 - early_s), said(1, "ada", -early_s)]),
            bundle(&[said(3, "ada", 7 - early_s)]),
            bundle(&[said(0, "ada", -early_s - 3), said(4, "bob", 11 - early_s)]),
            bundle(&[said(5, "ada", 20 - early_s), said(0, "bob", -early_s - 9)]),
        ];
        for wall_start in [None, Some(captionwire::transcript::Timestamp(OPENED_MS))] {
            let mut connection = Connection {
                dialect: VendorFormat::Vexa.open(Options { wall_start, ..options() }),
                faults: Vec::new(),
            };
            let mut screen = Screen::new();
            messages.iter().for_each(|message| connection.hear(message, &mut screen));
            let begins_ms = if early_s == 0 && wall_start.is_some() { 250 } else { 0 };
            let found: Vec<_> = lines(&screen).into_iter().map(|line| (line.start_ms, line.text.to_string())).collect();
            let found =
                |text: &str| found.iter().filter(|(_, said)| said == text).map(|(at, _)| *at).collect::<Vec<_>>();
            for (n, at_ms) in [(1, 0), (2, 3_000), (3, 7_000), (4, 11_000), (5, 20_000)] {
                assert_eq!(found(&format!("said {n}")), [begins_ms + at_ms], "{early_s} {wall_start:?} {n}");
            }
            assert_eq!(found("said 0"), [0, 0], "{early_s} {wall_start:?}");
            // That they were early, and that some were earlier still.
            let told = 1 + usize::from(early_s > 0 && wall_start.is_some());
            assert_eq!(connection.faults.len(), told, "{:?}", connection.faults);
        }
    }
    // A clock that is wrong in all segments is told of once, as is each other kind of fault.
    let segment = |start: f64, end: f64| json!({"segment_id": "a", "speaker": "ada", "text": "Yes.", "start": start, "end": end, "completed": true});
    let message = |start: f64, end: f64| json!({"type": "transcript", "speaker": "ada", "confirmed": [segment(start, end)], "pending": []});
    let (_, faults) = heard(VendorFormat::Vexa, &[message(-2.0, -1.0), message(-3.0, 1e7), message(2e7, 2e7)]);
    let times = faults.iter().filter(|(kind, _)| *kind == DecodeFaultKind::BadTime).count();
    assert_eq!(times, 2, "{faults:?}");
}

/// Counters with a time of day: the same frames on another connection are the same lines, another meeting's are others, and
/// a segment that is said better or taken back is the one it was.
#[test]
fn vexas_counters_with_a_time_of_day_name_one_line_for_ever() {
    let said = |id: &str, text: &str, at_s: f64, completed: bool| {
        let at = |at_s: f64| 1_774_605_600.0 + at_s;
        let segment = json!({"segment_id": id, "speaker": "Ada", "text": text, "start": at(at_s), "end": at(at_s + 1.0), "completed": completed});
        json!({"type": "transcript", "segment": segment})
    };
    let meeting = |from_s: f64, what: &str| {
        vec![
            said("ch-0:1:1500", "we come", from_s + 1.5, false),
            said("ch-0:1:1500", &format!("We come to {what}."), from_s + 1.7, true),
            said("ch-0:2:4000", &format!("And then {what}."), from_s + 4.0, true),
            // The counter is used for something else.
            said("ch-0:2:4000", "All rise now.", from_s + 60.0, true),
            said("ch-0:3:9000", "This was wrong.", from_s + 9.0, true),
            json!({"type": "transcript_retract", "segment_ids": ["ch-0:3:9000"]}),
        ]
    };
    let mut screen = Screen::new();
    let mut play = |tag: &str, messages: &[Value]| {
        let dialect = VendorFormat::Vexa.open(Options { tag: tag.into(), ..options() });
        let mut connection = Connection { dialect, faults: Vec::new() };
        messages.iter().for_each(|message| connection.hear(message, &mut screen));
        let mut found: Vec<_> = lines(&screen).into_iter().map(|line| line.text.to_string()).collect();
        found.sort();
        found
    };
    let once = ["All rise now.", "And then order.", "We come to order."];
    assert_eq!(play("t1", &meeting(0.0, "order")), once);
    assert_eq!(play("t2", &meeting(0.0, "order")), once);
    let both = [
        "All rise now.",
        "All rise now.",
        "And then order.",
        "And then votes.",
        "We come to order.",
        "We come to votes.",
    ];
    assert_eq!(play("t3", &meeting(7_200.0, "votes")), both);
}

/// However long the texts that are compared, a frame is read in the time of its length.
#[test]
fn long_texts_are_compared_in_one_go() {
    let text = |letter: char| (0..14_000).map(|n| format!("{letter}{n:03}")).collect::<Vec<_>>().join(" ");
    let draft = json!([{"speaker": "Bob", "text": text('b'), "start": 2.0, "end": 2.5}]);
    let pending = json!({"type": "transcript", "speaker": "Bob", "confirmed": [], "pending": draft});
    let mut messages: Vec<Value> = (0..32).map(|n| vexa(&format!("a:{n}"), &text('a'), 1.0)).collect();
    messages.push(pending);
    assert!(heard(VendorFormat::Vexa, &messages).0.text().contains("b000"));
    let messages = [livekit("1", &text('a'), 1), livekit("1", &text('b'), 1)];
    assert!(heard(VendorFormat::LiveKit, &messages).0.text().contains("b000"));
}

fn speechmatics(kind: &str, words: &[&str], start: f64) -> Value {
    let at = |n: usize| start + n as f64 * 0.4;
    let word = |(n, word): (usize, &&str)| {
        json!({"type": "word", "start_time": at(n), "end_time": at(n) + 0.35,
                                                  "alternatives": [{"content": word, "speaker": "S1"}]})
    };
    let results: Vec<Value> = words.iter().enumerate().map(word).collect();
    json!({"message": kind, "metadata": {"start_time": start, "end_time": at(words.len())}, "results": results})
}

/// The same frames are the same lines, however long they were on their way, and from wherever they are sent again.
#[test]
fn what_a_named_session_says_has_the_same_ids_again() {
    let end_of_utterance =
        |at: f64| json!({"message": "EndOfUtterance", "metadata": {"start_time": at, "end_time": at}});
    let messages = [
        json!({"message": "RecognitionStarted", "id": "807670e9-14af-4fa2-9e8f-5d525c22156e"}),
        speechmatics("AddTranscript", &["The", "committee", "heard"], 0.0),
        speechmatics("AddTranscript", &["the", "witness", "at", "length."], 1.2),
        end_of_utterance(3.0),
        speechmatics("AddPartialTranscript", &["then", "it"], 6.0),
        speechmatics("AddTranscript", &["Then", "it", "voted."], 6.0),
        end_of_utterance(8.0),
    ];
    let send = |tag: &str, offset_ms: i64, stalls_after: usize, skipped: usize, screen: &mut Screen| {
        let mut dialect = VendorFormat::Speechmatics.open(Options { tag: tag.into(), offset_ms, ..options() });
        let mut now_ms = 0;
        for (at, message) in messages.iter().enumerate().filter(|(at, _)| *at == 0 || *at > skipped) {
            dialect.elapsed(now_ms);
            screen.decode(&mut *dialect, message.to_string().as_bytes());
            now_ms += if at == stalls_after { 60_000 } else { 100 };
            if dialect.due_ms().is_some_and(|due| due <= now_ms) {
                let mut out = Decoded::default();
                dialect.rest(now_ms, &mut out);
                screen.take(out);
            }
        }
        screen.end(&mut *dialect);
    };
    let said = "The committee heard the witness at length. Then it voted.";
    for stalls_after in 0..messages.len() {
        let mut screen = Screen::new();
        send("t", 0, stalls_after, 0, &mut screen);
        let once = screen.lines();
        assert_eq!(screen.text(), said, "{stalls_after}");
        send("u", 0, usize::MAX, 0, &mut screen);
        assert_eq!((screen.lines(), screen.text()), (once.clone(), said.into()), "{stalls_after}");
        // A program that begins again in the middle overwrites nothing either.
        send("v", 0, usize::MAX, 3, &mut screen);
        assert_eq!((screen.lines(), screen.text()), (once, said.into()), "{stalls_after}");
    }
}

#[test]
fn speechmatics_agents_say_segments() {
    let segment = |kind: &str, speaker: &str, text: &str, start: f64| {
        json!({"message": kind, "segment": {"transcript": text, "speaker": speaker},
               "metadata": {"start_time": start, "end_time": start + 2.0}})
    };
    let started = json!({"message": "RecognitionStarted", "id": "807670e9-14af-4fa2-9e8f-5d525c22156e"});
    let messages = [
        started.clone(),
        json!({"message": "SpeechStarted", "metadata": {"start_time": 1.0}}),
        json!({"message": "StartOfTurn", "metadata": {"start_time": 1.0}}),
        segment("AddPartialSegment", "S1", "welcome to", 1.0),
        segment("AddSegment", "S1", "Welcome to all.", 1.0),
        segment("AddPartialSegment", "S2", "thank", 4.0),
        segment("AddSegment", "S2", "Thank you.", 4.0),
        json!({"message": "SpeechEnded", "metadata": {"end_time": 6.0}}),
        json!({"message": "EndOfTurn", "metadata": {"end_time": 6.0}}),
        json!({"message": "EndOfTranscript"}),
    ];
    let (screen, faults) = heard(VendorFormat::Speechmatics, &messages);
    assert_eq!(faults, []);
    let found: Vec<_> = lines(&screen).into_iter().map(|line| (line.start_ms, line.text.to_string())).collect();
    assert_eq!(found, [(1_000, "Welcome to all.".into()), (4_000, "Thank you.".into())]);
    assert_eq!(screen.transcript.assembled().count(), 2);

    // As a client library lists them, and beside the words that it made them of.
    let listed = |kind: &str| {
        json!({"message": kind, "segments": [{"speaker_id": "S1", "text": "Welcome to all.",
                                              "metadata": {"start_time": 0.0, "end_time": 1.2}}]})
    };
    let (screen, faults) =
        heard(VendorFormat::Speechmatics, &[started.clone(), listed("AddPartialSegment"), listed("AddSegment")]);
    assert_eq!((screen.text(), faults), ("Welcome to all.".into(), Vec::new()));
    let words = speechmatics("AddTranscript", &["Welcome", "to", "all."], 0.0);
    let (screen, faults) = heard(VendorFormat::Speechmatics, &[started, words, listed("AddSegment")]);
    assert_eq!((screen.text(), faults), ("Welcome to all.".into(), Vec::new()));
}

/// Two who speak at once, in whatever order they are told: that is no new session.
#[test]
fn two_who_speak_at_once_begin_no_session() {
    let azure = |reason: &str, guest: &str, text: &str, start: f64, end: f64| json!({"Reason": reason, "Text": text, "Offset": start * 1e7, "Duration": (end - start) * 1e7, "SpeakerId": guest});
    let guess = |guest: &str, text: &str, start: f64, end: f64| azure("RecognizingSpeech", guest, text, start, end);
    let said = |guest: &str, text: &str, start: f64, end: f64| azure("RecognizedSpeech", guest, text, start, end);
    let ada = said("Guest-1", "I think we should vote now.", 1.0, 5.5);
    let bob = said("Guest-2", "No, not yet.", 2.2, 4.7);
    let talk = [
        guess("Guest-1", "I think", 1.0, 1.8),
        guess("Guest-2", "no", 2.2, 2.5),
        guess("Guest-1", "I think we should", 1.0, 3.0),
        guess("Guest-2", "no not", 2.2, 3.2),
        guess("Guest-1", "I think we should vote", 1.0, 4.2),
        guess("Guest-2", "no not yet", 2.2, 4.6),
    ];
    for finals in [[&ada, &bob], [&bob, &ada]] {
        for guesses in [&talk[..], &talk[..2], &[]] {
            let messages: Vec<Value> = guesses.iter().chain(finals).cloned().collect();
            let (screen, faults) = heard(VendorFormat::Azure, &messages);
            assert_eq!(
                faults.iter().filter(|(kind, _)| *kind == DecodeFaultKind::ClockRestarted).count(),
                0,
                "{faults:?}"
            );
            let mut found: Vec<_> =
                lines(&screen).into_iter().map(|line| (line.start_ms, line.text.to_string())).collect();
            found.sort();
            assert_eq!(found, [(1_000, "I think we should vote now.".into()), (2_200, "No, not yet.".into())]);
        }
    }
}

/// Also where its start was drifting while it was guessed, its words are other ones, and it is long.
#[test]
fn who_ends_behind_another_stands_where_they_began() {
    let azure = |reason: &str, guest: &str, text: &str, start: f64, length: f64| json!({"Reason": reason, "Text": text, "Offset": start * 1e7, "Duration": length * 1e7, "SpeakerId": guest});
    let guess = |text: &str, start: f64| azure("RecognizingSpeech", "Unknown", text, start, 1.0);
    let said = |guest: &str, text: &str, start: f64, length: f64| azure("RecognizedSpeech", guest, text, start, length);
    let first = said("Guest-1", "Item one is open.", 290.0, 2.0);
    let drifting = [
        first.clone(),
        guess("could", 300.0),
        guess("louder", 305.0),
        guess("good morning all and", 299.98),
        said("Guest-2", "Louder, please.", 305.0, 1.0),
        said("Guest-1", "Good morning all and welcome.", 299.98, 8.0),
        said("Guest-1", "Thank you.", 314.0, 1.0),
    ];
    let long = [
        first,
        said("Guest-2", "Louder, please.", 312.0, 1.2),
        said("Guest-1", "Good morning all and welcome.", 300.5, 13.0),
        said("Guest-1", "Thank you.", 316.0, 1.0),
    ];
    for (messages, starts) in
        [(&drifting[..], [290_000, 299_980, 305_000, 314_000]), (&long[..], [290_000, 300_500, 312_000, 316_000])]
    {
        let (screen, _) = heard(VendorFormat::Azure, messages);
        let found: Vec<_> = lines(&screen).into_iter().map(|line| (line.start_ms, line.text.to_string())).collect();
        let texts = ["Item one is open.", "Good morning all and welcome.", "Louder, please.", "Thank you."];
        for (start_ms, text) in starts.into_iter().zip(texts) {
            assert!(found.contains(&(start_ms, text.into())), "{text}: {found:?}");
        }
    }
}

#[test]
fn whisper_live_repeats_what_it_said_and_begins_no_session() {
    let segment = |n: usize, text: &str, completed: bool| json!({"start": format!("{}.000", 2 * n), "end": format!("{}.000", 2 * n + 2), "text": text, "completed": completed});
    let message = |segments: Vec<Value>| json!({"uid": "c", "segments": segments});
    let (screen, faults) = heard(
        VendorFormat::WhisperLive,
        &[
            message(vec![segment(0, "The vote is carried.", true), segment(1, "and", false)]),
            message(vec![segment(0, "The vote is carried.", true)]),
            message(vec![segment(0, "The vote is carried.", true), segment(1, "And so on.", true)]),
        ],
    );
    assert_eq!((screen.text(), faults), ("The vote is carried. And so on.".into(), Vec::new()));

    // A server that was told to repeat more than others do.
    for count in [40, 300] {
        let complete = |upto: usize| (0..upto).map(|n| segment(n, &format!("Sentence {n}."), true)).collect::<Vec<_>>();
        let messages: Vec<Value> = (count - 1..count + 2).map(|upto| message(complete(upto))).collect();
        let (screen, _) = heard(VendorFormat::WhisperLive, &messages);
        assert_eq!(lines(&screen).len(), count + 1);
    }
}

/// Who counts gives one id to several: nobody's line is overwritten by what somebody else says, or by what is said behind it.
#[test]
fn nobodys_words_are_overwritten_under_a_counter() {
    let stream = |id: &str, who: &str, text: &str, span: Option<(u64, u64)>, is_final: bool| {
        let mut message = json!({"participant_identity": who, "text": text,
            "attributes": {"lk.segment_id": id, "lk.transcription_final": is_final.to_string()}});
        if let Some((start, end)) = span {
            message = json!({"participant_identity": who, "segments": [{"id": id, "text": text, "start_time": start,
                "end_time": end, "final": is_final}]});
        }
        message
    };
    let live = |id: &str, who: &str, text: &str, start: f64, end: f64, is_final: bool| {
        json!({"type": "transcription", "segment": {"segment_id": id, "speaker": who, "text": text, "start": start,
               "end": end, "completed": is_final}})
    };
    let table: [(VendorFormat, Vec<Value>, &[&str]); 9] = [
        (
            VendorFormat::LiveKit,
            vec![
                stream("1", "eve", "Good night.", None, true),
                stream("1", "dan", "Good night.", None, true),
                stream("2", "eve", "See you all soon.", None, true),
                stream("2", "dan", "See you all soon too.", None, true),
            ],
            &["eve: Good night.", "dan: Good night.", "eve: See you all soon.", "dan: See you all soon too."],
        ),
        (
            VendorFormat::LiveKit,
            vec![
                stream("1", "eve", "Let us stop", Some((1_000, 1_500)), false),
                stream("1", "dan", "Let us", Some((1_400, 1_900)), false),
                stream("1", "eve", "Let us stop here.", Some((1_000, 2_000)), true),
                stream("1", "dan", "Let us go on here.", Some((1_400, 3_000)), true),
            ],
            &["eve: Let us stop here.", "dan: Let us go on here."],
        ),
        (
            VendorFormat::LiveKit,
            vec![
                stream("1", "eve", "It is late.", Some((1_000, 2_000)), true),
                stream("1", "eve", "It is late now.", Some((2_500, 3_500)), true),
            ],
            &["eve: It is late.", "eve: It is late now."],
        ),
        // What a library draws is one line, whoever is said to say it.
        (
            VendorFormat::LiveKit,
            vec![
                stream("SG_4f2a9c1b7d3e", "eve", "It is", Some((1_000, 1_500)), false),
                stream("SG_4f2a9c1b7d3e", "eve", "It is late.", Some((1_000, 2_000)), true),
            ],
            &["eve: It is late."],
        ),
        (
            VendorFormat::Vexa,
            vec![live("1", "Eve", "I will.", 6.0, 7.0, true), live("1", "Dan", "I will too.", 7.0, 8.0, true)],
            &["Eve: I will.", "Dan: I will too."],
        ),
        (
            VendorFormat::Vexa,
            vec![
                live("1", "Eve", "We should stop.", 3.0, 4.6, true),
                live("1", "Dan", "No, we should sing.", 4.0, 6.2, true),
            ],
            &["Eve: We should stop.", "Dan: No, we should sing."],
        ),
        (
            VendorFormat::Vexa,
            vec![
                live("1", "Eve", "The vote is open.", 14.6, 16.0, true),
                live("1", "Eve", "The vote is over now.", 16.6, 18.0, true),
            ],
            &["Eve: The vote is open.", "Eve: The vote is over now."],
        ),
        // Somebody else begins where the guess is over.
        (
            VendorFormat::Vexa,
            vec![live("1", "Eve", "I will", 6.0, 7.0, false), live("1", "Dan", "I will too.", 7.0, 8.0, true)],
            &["Eve: I will", "Dan: I will too."],
        ),
        // Who spoke is known late; and what was said is said better.
        (
            VendorFormat::Vexa,
            vec![
                live("1", "Eve", "The vote is open", 3.0, 5.0, false),
                live("1", "Eve", "The vote is open.", 3.0, 6.0, true),
                live("1", "Dan", "The vote is open.", 3.0, 6.0, true),
                live("1", "Dan", "The vote is opened.", 3.4, 6.1, true),
            ],
            &["Dan: The vote is opened."],
        ),
    ];
    for (format, messages, expected) in table {
        let (screen, _) = heard(format, &messages);
        let shown = |line: Line| format!("{}: {}", line.speaker.as_deref().unwrap_or("-"), line.text);
        let shown: Vec<String> = lines(&screen).into_iter().map(shown).collect();
        let mut expected = expected.to_vec();
        let mut found: Vec<&str> = shown.iter().map(String::as_str).collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{format}: {messages:?}");
    }
}

/// A turn that is over, of a vendor that numbers them.
fn turn(format: VendorFormat, number: u64, text: &str, start_ms: u64) -> Value {
    let words: Vec<&str> = text.split(' ').collect();
    let at = |n: usize| start_ms + 300 * n as u64;
    match format {
        VendorFormat::AssemblyAi => {
            let word = |(n, word): (usize, &&str)| json!({"text": word, "start": at(n), "end": at(n) + 250});
            json!({"type": "Turn", "turn_order": number, "end_of_turn": true, "transcript": text,
                   "words": words.iter().enumerate().map(word).collect::<Vec<_>>()})
        }
        _ => {
            json!({"type": "TurnInfo", "event": "EndOfTurn", "turn_index": number, "transcript": text, "words": [],
                    "audio_window_start": start_ms as f64 / 1e3, "audio_window_end": at(words.len()) as f64 / 1e3})
        }
    }
}

/// A final turn that comes again at its time is formatted, or is a turn of an engine that was started again: its words tell.
#[test]
fn a_final_turn_that_says_something_else_is_another_turn() {
    for format in [VendorFormat::AssemblyAi, VendorFormat::Flux] {
        for (first, second, is_another) in [
            (("Thank you.", 500), ("Good evening.", 400), true),
            (("Silver paper.", 400), ("Ferry water.", 400), true),
            (("Item one now.", 400), ("We are back.", 450), true),
            (("We meet at nine today.", 400), ("We are at home today.", 400), true),
            (("Harbour summer.", 400), ("Silver harbour rocket paper summer basket.", 400), true),
            (("thank you", 400), ("Thank you.", 400), false),
            (("nine one one", 400), ("911.", 400), false),
            (("we meet at nine today", 400), ("We meet at 9 today.", 400), false),
        ] {
            let (screen, faults) =
                heard(format, &[turn(format, 0, first.0, first.1), turn(format, 0, second.0, second.1)]);
            let expected = if is_another { vec![first.0, second.0] } else { vec![second.0] };
            assert_eq!(texts(&screen), expected, "{format}");
            let is_told = faults.iter().any(|(kind, _)| *kind == DecodeFaultKind::ClockRestarted);
            assert_eq!(is_told, is_another, "{format} {first:?}: {faults:?}");
        }
    }
    // Words that were settled do not change, also where the turn is not over.
    let mut settled = turn(VendorFormat::AssemblyAi, 0, "good evening all", 500);
    settled["end_of_turn"] = json!(false);
    let (screen, _) =
        heard(VendorFormat::AssemblyAi, &[settled, turn(VendorFormat::AssemblyAi, 0, "Sorry, we are back.", 450)]);
    assert_eq!(texts(&screen), ["good evening all", "Sorry, we are back."]);
}

/// A turn of AssemblyAI that is said with marks and capitals is that turn, whatever becomes of its few words.
#[test]
fn a_turn_that_is_formatted_is_the_same_turn() {
    let formatted = |text: &str, start_ms: u64, is_over: bool, is_formatted: bool| {
        let mut turn = turn(VendorFormat::AssemblyAi, 1, text, start_ms);
        (turn["end_of_turn"], turn["turn_is_formatted"]) = (json!(is_over), json!(is_formatted));
        turn
    };
    for (spoken, written) in [
        ("alright", "All right."),
        ("world war two", "World War II."),
        ("gonna", "Going to."),
        ("cafe", "Café."),
        ("will not", "Won't."),
        ("dot com", ".com"),
    ] {
        for is_over in [true, false] {
            let messages = [
                turn(VendorFormat::AssemblyAi, 0, "Good morning.", 100),
                formatted(spoken, 2_000, is_over, false),
                formatted(written, 2_000, true, true),
                turn(VendorFormat::AssemblyAi, 2, "So we begin.", 4_000),
            ];
            let (screen, faults) = heard(VendorFormat::AssemblyAi, &messages);
            assert_eq!(texts(&screen), ["Good morning.", written, "So we begin."]);
            assert!(faults.is_empty(), "{spoken} {faults:?}");
        }
    }
    // Formatted once, it changes no more: this is another engine's.
    let again = [formatted("Good morning.", 2_000, true, true), formatted("We are back.", 2_000, true, true)];
    let (screen, faults) = heard(VendorFormat::AssemblyAi, &again);
    assert!(texts(&screen) == ["Good morning.", "We are back."] && faults.len() == 1, "{faults:?}");
}

/// A voice that Vexa numbers gets its name later, and its words better ones: that is one line.
#[test]
fn a_numbered_voice_that_is_named_later_keeps_its_line() {
    for id in ["3c1c5f5e-7c4c-4d64-9a6f-1f0d2a4e1a11", "ch-0:1:3000"] {
        let segment = |who: &str, text: &str| {
            json!({"type": "transcript", "speaker": who, "pending": [], "confirmed": [{"segment_id": id, "speaker": who,
                   "text": text, "start": 1.0, "end": 2.0, "completed": true}]})
        };
        let messages = [segment("SPEAKER_00", "hello there bob"), segment("Alice", "Hello there, Rob.")];
        let (screen, faults) = heard(VendorFormat::Vexa, &messages);
        assert!(texts(&screen) == ["Hello there, Rob."] && faults.is_empty(), "{id} {:?} {faults:?}", texts(&screen));
        // Two voices are two.
        let messages = [segment("SPEAKER_00", "hello there bob"), segment("SPEAKER_01", "I object to that.")];
        assert_eq!(texts(&heard(VendorFormat::Vexa, &messages).0).len(), 2, "{id}");
    }
}

/// What somebody else says under an id, or what is said much later, takes nobody's place, also where the id is unique.
#[test]
fn what_another_says_under_an_id_is_kept_and_told() {
    let vexa = |id: &str, who: &str, text: &str, start: f64, end: f64| {
        json!({"type": "transcript", "speaker": who, "pending": [], "confirmed": [{"segment_id": id, "speaker": who,
               "text": text, "start": start, "end": end, "completed": true}]})
    };
    let livekit = |who: &str, text: &str, start_ms: u64| {
        json!({"participant_identity": who, "segments": [{"id": "SG_4f2a9c1b7d3e", "text": text, "start_time": start_ms,
               "end_time": start_ms + 900, "final": true}]})
    };
    let aws = |text: &str, start: f64| {
        json!({"Transcript": {"Results": [{"ResultId": "3f2c9a44-5d7e-4b1a-9c3e-aa11bb22cc33", "IsPartial": false,
               "StartTime": start, "EndTime": start + 1.0, "Alternatives": [{"Transcript": text}]}]}})
    };
    let unique = "3f2c9a44-5d7e-4b1a-9c3e-aa11bb22cc33:1";
    for (format, messages) in [
        (
            VendorFormat::Vexa,
            [
                vexa("s:0", "Ann", "The school budget is carried by a member.", 1.0, 3.0),
                vexa("s:0", "Cy", "The school closed.", 1.0, 2.0),
            ],
        ),
        (
            VendorFormat::Vexa,
            [vexa("s:1", "Ben", "I agree.", 3.0, 3.6), vexa("s:1", "Cy", "I agree with Ben entirely.", 3.0, 4.4)],
        ),
        (
            VendorFormat::Vexa,
            [vexa(unique, "Ann", "The vote is carried.", 1.0, 3.0), vexa(unique, "Cy", "I object.", 1.0, 2.0)],
        ),
        (
            VendorFormat::Vexa,
            [vexa(unique, "Ann", "The vote is carried.", 1.0, 3.0), vexa(unique, "Ann", "Good night.", 501.0, 502.0)],
        ),
        (VendorFormat::LiveKit, [livekit("eve", "It is late.", 1_000), livekit("dan", "Not for me.", 1_000)]),
        (VendorFormat::LiveKit, [livekit("eve", "It is late.", 1_000), livekit("eve", "We adjourn.", 501_000)]),
        (VendorFormat::Aws, [aws("It is late.", 1.0), aws("We adjourn.", 501.0)]),
    ] {
        let (screen, faults) = heard(format, &messages);
        assert_eq!(texts(&screen).len(), 2, "{format} {messages:?}: {:?}", texts(&screen));
        assert!(faults.iter().any(|(_, told)| told.contains("uses the id of a line")), "{format}: {faults:?}");
        // The same once more is no third line.
        let (screen, _) = heard(format, &[&messages[..], &messages[1..]].concat());
        assert_eq!(texts(&screen).len(), 2, "{format} {messages:?}: {:?}", texts(&screen));
    }
}

/// A guess that is open where an engine is seen to count anew stands as it was shown.
#[test]
fn a_guess_stands_where_an_engine_counts_anew() {
    let vexa = |list: &str, id: &str, who: &str, text: &str, start: f64| {
        let mut message = json!({"type": "transcript", "speaker": who, "confirmed": [], "pending": []});
        message[list] = json!([{"segment_id": id, "speaker": who, "text": text, "start": start, "end": start + 1.0,
                                "completed": list == "confirmed"}]);
        message
    };
    let livekit = |id: &str, text: &str, start_ms: u64, is_final: bool| {
        json!({"participant_identity": "ann", "segments": [{"id": id, "text": text, "start_time": start_ms,
               "end_time": start_ms + 900, "final": is_final}]})
    };
    let jitsi = |id: &str, text: &str, is_interim: bool| {
        json!({"type": "transcription-result", "transcript": [{"text": text}], "is_interim": is_interim, "message_id": id,
               "participant": {"name": "Ann", "id": "a"}})
    };
    let table: [(VendorFormat, Vec<Value>, &[&str]); 3] = [
        (
            VendorFormat::Vexa,
            vec![
                vexa("confirmed", "s:0", "Ann", "Good evening all.", 1.0),
                vexa("pending", "d:1", "Ben", "I second that proposal", 70.0),
                vexa("pending", "d:0", "Ben", "Sorry we were", 0.8),
                vexa("confirmed", "s:0", "Ben", "Sorry we were cut off.", 0.8),
            ],
            &["Good evening all.", "I second that proposal", "Sorry we were cut off."],
        ),
        (
            VendorFormat::LiveKit,
            vec![
                livekit("SG_1", "The vote is carried by ten.", 1_000, true),
                livekit("SG_2", "Is it?", 60_000, true),
                livekit("SG_3", "Open guess here", 70_000, false),
                livekit("SG_1", "Restarted with", 200, false),
                livekit("SG_1", "Restarted with ids now.", 200, true),
                livekit("SG_3", "Other open text.", 3_000, true),
            ],
            &[
                "The vote is carried by ten.",
                "Is it?",
                "Open guess here",
                "Restarted with ids now.",
                "Other open text.",
            ],
        ),
        (
            VendorFormat::Jitsi,
            vec![
                jitsi("1", "The vote is carried by ten.", false),
                jitsi("2", "Open guess", true),
                jitsi("1", "The boat", true),
                jitsi("1", "The boat is late.", false),
                jitsi("2", "Never seen.", false),
            ],
            &["The vote is carried by ten.", "Open guess", "The boat is late.", "Never seen."],
        ),
    ];
    for (format, messages, expected) in table {
        let (screen, faults) = heard(format, &messages);
        let (mut found, mut expected) = (texts(&screen), expected.to_vec());
        found.sort();
        expected.sort_unstable();
        assert_eq!(found, expected, "{format}: {faults:?}");
    }
}

/// A number that is not the last one is that of another session, also where it says the same words; what is sent again is not.
#[test]
fn a_turn_number_below_the_last_begins_a_session() {
    for format in [VendorFormat::AssemblyAi, VendorFormat::Flux] {
        for newer in 1..=4 {
            let mut messages = vec![turn(format, 0, "Welcome back all.", 400)];
            messages.extend((1..=newer).map(|number| turn(format, number, "And so it goes.", 60_000 * number)));
            let mut again = messages.clone();
            again.push(turn(format, 0, "Welcome back all.", 400));
            assert_eq!(
                lines(&heard(format, &again).0).len(),
                again.len() - 1,
                "{format}: {newer} behind it, sent again"
            );
            messages.push(turn(format, 0, "Welcome back all.", 1_200));
            let (screen, _) = heard(format, &messages);
            assert_eq!(lines(&screen).len(), messages.len(), "{format}: {newer} behind it");
            assert_eq!(texts(&screen)[0], "Welcome back all.");
            assert_eq!(lines(&screen)[0].start_ms, 400, "{format}");
        }
    }
}

/// What a message says behind its first segment tells as well how far a session of WhisperLive came.
#[test]
fn a_session_of_one_message_is_one() {
    let segment = |start: &str, end: &str, text: &str, is_complete: bool| json!({"start": start, "end": end, "text": text, "completed": is_complete});
    for is_complete in [true, false] {
        let first = [
            segment("0.000", "2.000", " Good day.", true),
            segment("2.000", "31.000", " Now to the roads.", is_complete),
        ];
        let second = [segment("0.000", "1.800", " We are back.", true)];
        let messages = [json!({"uid": "w", "segments": first}), json!({"uid": "w", "segments": second})];
        let (screen, faults) = heard(VendorFormat::WhisperLive, &messages);
        assert_eq!(texts(&screen), ["Good day.", "Now to the roads.", "We are back."]);
        assert!(faults.iter().any(|(kind, _)| *kind == DecodeFaultKind::ClockRestarted), "{faults:?}");
    }
}
