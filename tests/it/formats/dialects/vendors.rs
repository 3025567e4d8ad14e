//! What vendors do beside what their descriptions show: engines that fail, finals that never come, names that change.

use captionwire::dialect::{DecodeFault, DecodeFaultKind, Decoded, Dialect, VendorFormat};
use captionwire::transcript::Status;
use serde_json::{Value, json};

use super::options;
use super::screen::Screen;

/// A decoder, and what a reader of final lines has.
struct Reader {
    dialect: Box<dyn Dialect>,
    screen: Screen,
    faults: Vec<DecodeFault>,
}

impl Reader {
    fn new(format: VendorFormat) -> Self {
        Self { dialect: format.open(options()), screen: Screen::new(), faults: Vec::new() }
    }

    fn hear(&mut self, message: &Value) -> &mut Self {
        let mut out = Decoded::default();
        self.dialect.decode(message.to_string().as_bytes(), &mut out);
        self.faults.append(&mut out.faults.clone());
        self.screen.take(out);
        self
    }

    fn lines(&self, status: Status) -> Vec<String> {
        let lines = self.screen.transcript.assembled().flat_map(|(_, lines)| lines);
        lines.filter(|line| line.status == status).map(|line| line.text.to_string()).collect()
    }

    fn finals(&self) -> Vec<String> {
        self.lines(Status::Final)
    }

    fn guesses(&self) -> Vec<String> {
        self.lines(Status::Interim)
    }
}

fn deepgram(start: f64, lasts: f64, text: &str, is_final: bool) -> Value {
    let count = text.split_whitespace().count();
    let word = |(n, word): (usize, &str)| {
        let at = start + n as f64 * 0.3;
        json!({"word": word, "start": at, "end": at + 0.3})
    };
    let words: Vec<Value> = text.split_whitespace().enumerate().map(word).collect();
    assert_eq!(words.len(), count);
    json!({"type": "Results", "channel_index": [0, 1], "start": start, "duration": lasts, "is_final": is_final,
           "speech_final": false, "channel": {"alternatives": [{"transcript": text, "words": words}]}})
}

#[test]
fn what_is_settled_is_final_after_a_silence() {
    let mut reader = Reader::new(VendorFormat::Deepgram);
    reader.hear(&deepgram(0.0, 2.0, "the vote is", false)).hear(&deepgram(0.0, 2.0, "The vote is carried.", true));
    assert!(reader.finals().is_empty());
    // The words end at 1.2 s; turns are parted by 5 s.
    reader.hear(&deepgram(2.0, 4.0, "", true));
    assert!(reader.finals().is_empty());
    reader.hear(&deepgram(6.0, 0.3, "", true));
    assert_eq!(reader.finals(), ["The vote is carried."]);
    // What follows after as long a silence closes it too: a guess, or a final.
    for is_final in [false, true] {
        let mut reader = Reader::new(VendorFormat::Deepgram);
        reader.hear(&deepgram(0.0, 2.0, "One.", true)).hear(&deepgram(30.0, 1.0, "two", is_final));
        assert_eq!((reader.finals(), reader.guesses()), (vec!["One.".into()], vec!["two".into()]));
    }

    let speechmatics = |kind: &str, start: f64, end: f64, words: &[&str]| {
        let word = |word: &&str| json!({"type": "word", "start_time": start, "end_time": end, "alternatives": [{"content": word}]});
        let results: Vec<Value> = words.iter().map(word).collect();
        json!({"message": kind, "metadata": {"start_time": start, "end_time": end}, "results": results})
    };
    let mut reader = Reader::new(VendorFormat::Speechmatics);
    reader.hear(&speechmatics("AddTranscript", 0.5, 1.0, &["Agreed."]));
    reader.hear(&speechmatics("AddTranscript", 1.0, 4.0, &[]));
    assert!(reader.finals().is_empty());
    reader.hear(&speechmatics("AddPartialTranscript", 4.0, 6.1, &[]));
    assert_eq!(reader.finals(), ["Agreed."]);
}

#[test]
fn a_guess_behind_its_final_changes_nothing() {
    let mut reader = Reader::new(VendorFormat::Deepgram);
    reader.hear(&deepgram(0.0, 2.0, "The vote is carried.", true)).hear(&deepgram(0.0, 2.0, "the vote is", false));
    reader.hear(&json!({"type": "UtteranceEnd", "channel": [0, 1]}));
    assert_eq!((reader.finals().len(), reader.guesses().len()), (1, 0));

    let aws = |is_partial: bool, text: &str| {
        json!({"Transcript": {"Results": [{"ResultId": "r", "IsPartial": is_partial, "StartTime": 0.5, "EndTime": 1.0,
               "Alternatives": [{"Transcript": text}]}]}})
    };
    let mut reader = Reader::new(VendorFormat::Aws);
    reader.hear(&aws(false, "Agreed.")).hear(&aws(true, "a greed"));
    assert_eq!(reader.finals(), ["Agreed."]);

    let turn = |is_over: bool, text: &str| {
        json!({"type": "Turn", "turn_order": 0, "end_of_turn": is_over, "transcript": text,
               "words": [{"text": text, "start": 100, "end": 400}]})
    };
    let mut reader = Reader::new(VendorFormat::AssemblyAi);
    reader.hear(&turn(true, "Agreed.")).hear(&turn(false, "agr"));
    assert_eq!(reader.finals(), ["Agreed."]);
}

#[test]
fn an_empty_final_erases_nothing_untold() {
    let odd = |reader: &Reader| {
        let [fault] = &reader.faults[..] else { panic!("{:?}", reader.faults) };
        assert!(fault.kind == DecodeFaultKind::Odd && fault.message.contains("empty"), "{fault}");
    };
    // Who names the line: what was shown stands.
    let livekit = |is_final: bool, text: &str| {
        json!({"participant_identity": "p", "attributes": {"lk.segment_id": "s", "lk.transcription_final": is_final.to_string()},
               "text": text})
    };
    let jitsi = |is_interim: bool, text: &str| {
        json!({"event": "SPEECH", "participant": {"id": "a", "name": "Ada"}, "transcript": [{"text": text}],
               "message_id": "m", "is_interim": is_interim})
    };
    for (format, guess, end) in [
        (VendorFormat::LiveKit, livekit(false, "a big purchase"), livekit(true, "")),
        (VendorFormat::Jitsi, jitsi(true, "a big purchase"), jitsi(false, "")),
    ] {
        let mut reader = Reader::new(format);
        reader.hear(&guess).hear(&end);
        assert_eq!(reader.finals(), ["a big purchase"], "{format}");
        odd(&reader);
    }
    // Who does not takes the guess back.
    for (format, guess, end) in [
        (VendorFormat::Deepgram, deepgram(1.0, 1.0, "um", false), deepgram(1.0, 1.0, "", true)),
        (VendorFormat::Vosk, json!({"partial": "um"}), json!({"text": ""})),
    ] {
        let mut reader = Reader::new(format);
        reader.hear(&guess).hear(&end);
        assert!(reader.finals().is_empty() && reader.guesses().is_empty(), "{format}");
        odd(&reader);
    }
}

#[test]
fn engines_report_what_is_wrong() {
    for (format, message, why) in [
        (
            VendorFormat::WhisperLive,
            json!({"uid": "c", "status": "ERROR", "message": "no such model"}),
            "no such model",
        ),
        (VendorFormat::WhisperLive, json!({"uid": "c", "status": "WARNING", "message": "slow"}), "slow"),
        (VendorFormat::Deepgram, json!({"type": "Error", "description": "no audio"}), "no audio"),
        (
            VendorFormat::Deepgram,
            json!({"err_code": "INVALID_AUTH", "err_msg": "bad key", "request_id": "r"}),
            "bad key",
        ),
        (VendorFormat::Flux, json!({"type": "ConfigureFailure", "message": "bad threshold"}), "bad threshold"),
        (VendorFormat::AssemblyAi, json!({"error": "too many sessions"}), "too many sessions"),
        (VendorFormat::AssemblyAi, json!({"type": "Warning", "warning": "expires soon"}), "expires soon"),
        (VendorFormat::Aws, json!({"BadRequestException": {"Message": "bad rate"}}), "BadRequestException: bad rate"),
        (VendorFormat::Aws, json!({"__type": "LimitExceededException", "Message": "too long"}), "too long"),
        (VendorFormat::Aws, json!({"Message": "timed out"}), "timed out"),
        (
            VendorFormat::Speechmatics,
            json!({"message": "Error", "type": "quota_exceeded", "reason": "no more"}),
            "no more",
        ),
        (
            VendorFormat::Speechmatics,
            json!({"message": "Info", "type": "deprecated", "reason": "goes in May"}),
            "goes in May",
        ),
        (VendorFormat::Google, json!({"error": {"code": 11, "message": "305 seconds"}}), "305 seconds"),
        (VendorFormat::Google, json!({"error": "permission denied"}), "permission denied"),
        (VendorFormat::Azure, json!({"Reason": "Canceled", "ErrorDetails": "closed"}), "closed"),
        (VendorFormat::Azure, json!({"RecognitionStatus": "TooManyRequests"}), "TooManyRequests"),
        (VendorFormat::Azure, json!({"CancellationReason": "EndOfStream"}), "EndOfStream"),
        (VendorFormat::Rev, json!({"type": "error", "message": "no credit"}), "no credit"),
        (VendorFormat::Vexa, json!({"type": "error", "error": "not allowed"}), "not allowed"),
        (VendorFormat::LiveKit, json!({"error": {"message": "no agent"}}), "no agent"),
        (VendorFormat::Vosk, json!({"error": "bad rate"}), "bad rate"),
    ] {
        let mut reader = Reader::new(format);
        reader.hear(&message);
        let [fault] = &reader.faults[..] else { panic!("{format} {message}: {:?}", reader.faults) };
        assert!(fault.kind == DecodeFaultKind::Engine && fault.message.contains(why), "{format} {message}: {fault}");
    }
}

#[test]
fn the_format_of_a_foreign_message_is_named() {
    let whisper_live_kit = json!({"status": "active_transcription", "lines": [{"speaker": 1, "text": "Good evening."}],
                                  "buffer_transcription": "we beg"});
    let deepgram = deepgram(0.0, 1.0, "one", true);
    for (format, message, named) in [
        (VendorFormat::WhisperLive, &whisper_live_kit, "WhisperLiveKit"),
        (VendorFormat::Vosk, &whisper_live_kit, "WhisperLiveKit"),
        (VendorFormat::Google, &deepgram, "format=deepgram"),
        (VendorFormat::Text, &deepgram, "format=deepgram"),
        (VendorFormat::StreamText, &deepgram, "format=deepgram"),
        (VendorFormat::YouTube, &deepgram, "format=deepgram"),
        (VendorFormat::Vosk, &json!({"type": "line", "id": "1", "text": "ours"}), "captionwire"),
        (VendorFormat::LiveKit, &json!({"uid": "c", "segments": []}), "format=whisper-live"),
        (VendorFormat::Azure, &json!({"message": "AddTranscript", "results": []}), "format=speechmatics"),
    ] {
        let mut out = Decoded::default();
        let mut dialect = format.open(options());
        dialect.decode(format!("{message}\n").as_bytes(), &mut out);
        dialect.end(&mut out);
        let [fault] = &out.faults[..] else { panic!("{format} {message}: {out:?}") };
        assert!(fault.kind == DecodeFaultKind::UnknownType && fault.message.contains(named), "{format}: {fault}");
        assert!(out.says.is_empty() && !fault.message.contains("Good evening"), "{format}: {out:?}");
    }
    // A caption in braces is a caption; an object of nobody's is one too, and told.
    let mut out = Decoded::default();
    VendorFormat::Text.open(options()).decode(b"{music}\n", &mut out);
    assert!(out.faults.is_empty() && out.says.len() == 1, "{out:?}");
    let mut out = Decoded::default();
    VendorFormat::Text.open(options()).decode(b"{\"a\": 1}\n", &mut out);
    assert!(out.faults.len() == 1 && out.faults[0].kind == DecodeFaultKind::Odd && out.says.len() == 1, "{out:?}");
}

#[test]
fn participants_of_one_name_stay_apart() {
    let jitsi = |id: &str, message: &str, text: &str| {
        json!({"event": "SPEECH", "participant": {"id": id, "name": "Guest"}, "transcript": [{"text": text}],
               "message_id": message, "is_interim": false})
    };
    let mut reader = Reader::new(VendorFormat::Jitsi);
    reader.hear(&jitsi("a1", "m1", "Yes.")).hear(&jitsi("b2", "m2", "No.")).hear(&jitsi("a1", "m3", "Yes!"));
    let turns: Vec<_> =
        reader.screen.transcript.assembled().map(|(turn, _)| turn.speaker.expect("a speaker")).collect();
    assert!(turns.len() == 3 && turns[0] == turns[2] && turns[0] != turns[1], "{turns:?}");
    assert!(turns.iter().all(|speaker| speaker.ends_with(":Guest")), "{turns:?}");

    // Of Vexa the key is a turn's: two that speak at one time are two people, and stay so.
    let segment = |key: &str, start: f64| json!({"segment_id": format!("s:{key}"), "speaker": "Guest", "speaker_key": key, "text": "Yes.", "start": start, "end": start + 2.0});
    let vexa = |segments: &[Value]| json!({"type": "transcription", "segments": segments});
    let mut reader = Reader::new(VendorFormat::Vexa);
    reader.hear(&vexa(&[segment("csrc:1", 1.0), segment("csrc:2", 1.5)])).hear(&vexa(&[segment("csrc:1", 9.0)]));
    let turns: Vec<_> =
        reader.screen.transcript.assembled().map(|(turn, _)| turn.speaker.expect("a speaker")).collect();
    assert!(turns.len() == 3 && turns[0] == turns[2] && turns[0] != turns[1], "{turns:?}");
}

#[test]
fn voices_are_called_by_number_or_by_name() {
    let label = |speaker: Value| {
        let mut reader = Reader::new(VendorFormat::WhisperLive);
        reader.hear(&json!({"uid": "c", "segments": [{"start": "0", "end": "1", "text": "Yes.", "completed": true, "speaker": speaker}]}));
        let label = reader.screen.transcript.assembled().next().expect("a turn").0.speaker.expect("a speaker");
        label.rsplit(':').next().expect("a label").to_owned()
    };
    for (speaker, expected) in [
        (json!(0), "Speaker 0"),
        (json!("1"), "Speaker 1"),
        (json!("A"), "Speaker A"),
        (json!("spk_2"), "Speaker 2"),
        (json!("SPEAKER_00"), "SPEAKER_00"),
        (json!("Speaker 3"), "Speaker 3"),
        (json!("Chair"), "Chair"),
    ] {
        assert_eq!(label(speaker.clone()), expected, "{speaker}");
    }
}

#[test]
fn a_draft_that_is_confirmed_under_another_name_goes() {
    let bundle = |speaker: &str, confirmed: Value, pending: Value| json!({"type": "transcript", "speaker": speaker, "confirmed": confirmed, "pending": pending});
    let draft = json!([{"speaker": "Ada", "text": "the light is too", "start": 3.1, "end": 5.0}]);
    let said =
        json!([{"segment_id": "s:1", "speaker": "Mina", "text": "The light is too warm.", "start": 3.2, "end": 6.0}]);
    let mut reader = Reader::new(VendorFormat::Vexa);
    reader.hear(&bundle("Ada", json!([]), draft.clone()));
    assert_eq!(reader.guesses(), ["the light is too"]);
    reader.hear(&bundle("Mina", said, json!([])));
    assert_eq!((reader.finals().len(), reader.guesses().len()), (1, 0));
    // It comes late, and is no draft any more.
    reader.hear(&bundle("Ada", json!([]), draft));
    assert!(reader.guesses().is_empty());
    // Two who speak at once keep their words.
    let other = json!([{"speaker": "Bob", "text": "and then we", "start": 7.2, "end": 7.9}]);
    let said =
        json!([{"segment_id": "s:2", "speaker": "Mina", "text": "Shall I change it?", "start": 7.0, "end": 8.4}]);
    reader.hear(&bundle("Bob", json!([]), other)).hear(&bundle("Mina", said, json!([])));
    assert_eq!(reader.guesses(), ["and then we"]);
}

#[test]
fn azure_is_read_as_its_libraries_and_its_service_give_it() {
    let ticks = |seconds: f64| (seconds * 1e7) as u64;
    let mut reader = Reader::new(VendorFormat::Azure);
    for text in ["the", "the ferry", "the ferry is"] {
        reader.hear(
            &json!({"Id": text, "Text": text, "Offset": ticks(1.2), "Duration": ticks(0.5), "SpeakerId": "Unknown"}),
        );
    }
    assert_eq!(reader.guesses(), ["the ferry is"]);
    reader.hear(&json!({"Id": "p", "RecognitionStatus": "Success", "Offset": ticks(1.2), "Duration": ticks(1.6),
        "NBest": [{"Confidence": 0.9, "Lexical": "the ferry is late", "Display": "The ferry is late.",
                   "Words": [{"Word": "the", "Offset": ticks(1.2), "Duration": ticks(0.2)},
                             {"Word": "ferry", "Offset": ticks(1.4), "Duration": ticks(0.4)},
                             {"Word": "is", "Offset": ticks(1.8), "Duration": ticks(0.2)},
                             {"Word": "late", "Offset": ticks(2.0), "Duration": ticks(0.8)}]}]}));
    assert_eq!((reader.finals(), reader.guesses().len()), (vec!["The ferry is late.".to_owned()], 0));
    assert!(reader.screen.turns().contains("(1200-2800, 4 timed words)"), "{}", reader.screen.turns());
    // JSON.stringify of the JavaScript library's result, alone and in its event.
    let result = |reason: u64, text: &str, at: f64| {
        json!({"privResultId": "A", "privReason": reason, "privText": text, "privDuration": ticks(1.0), "privOffset": ticks(at),
               "privJson": "{}", "privSpeakerId": "Guest-1"})
    };
    reader.hear(&result(2, "and the", 4.0)).hear(&result(3, "And the bus.", 4.0));
    reader.hear(&json!({"privOffset": ticks(6.0), "privResult": result(3, "Too.", 6.0)}));
    // What says nothing says it without a word.
    reader.hear(&json!({"context": {"serviceTag": "x"}})).hear(&json!({"Offset": ticks(7.0)}));
    assert_eq!(reader.finals(), ["The ferry is late.", "And the bus.", "Too."]);
    assert!(reader.faults.is_empty(), "{:?}", reader.faults);
}

/// `Yes.` of one within what another says stays theirs, in every format that labels words.
#[test]
fn a_short_answer_keeps_its_speaker_in_every_format() {
    let words = [("Do", 0), ("you", 0), ("all", 0), ("agree?", 0), ("Yes.", 1), ("Very", 0), ("good", 0), ("then.", 0)];
    let text = words.map(|(word, _)| word).join(" ");
    let at = |n: usize| n as f64 * 0.25;
    let all = |word: &dyn Fn(usize, &str, u8) -> Vec<Value>| -> Vec<Value> {
        words.iter().enumerate().flat_map(|(n, (text, speaker))| word(n, text, *speaker)).collect()
    };
    // The word and its mark, for vendors that part them.
    let parted = |text: &'static str| text.split_at(text.find(['.', '?']).unwrap_or(text.len()));
    let parts: Vec<(usize, &str, u8, bool)> = (0..)
        .zip(words)
        .flat_map(|(n, (text, speaker))| [(n, parted(text).0, speaker, false), (n, parted(text).1, speaker, true)])
        .filter(|(_, text, ..)| !text.is_empty())
        .collect();
    let part = |of: &dyn Fn(usize, &str, u8, bool) -> Value| -> Vec<Value> {
        parts.iter().map(|(n, text, speaker, is_mark)| of(*n, text, *speaker, *is_mark)).collect()
    };
    let messages = [
        (
            VendorFormat::Deepgram,
            json!({"type": "Results", "channel_index": [0, 1], "start": 0.0, "duration": 2.0, "is_final": true,
            "speech_final": true, "channel": {"alternatives": [{"transcript": text, "words": all(&|n, word, speaker| {
                vec![json!({"word": word, "punctuated_word": word, "start": at(n), "end": at(n + 1), "speaker": speaker})]
            })}]}}),
        ),
        (
            VendorFormat::AssemblyAi,
            json!({"type": "Turn", "turn_order": 0, "end_of_turn": true, "transcript": text, "words": all(&|n, word, speaker| {
                vec![json!({"text": word, "start": at(n) * 1e3, "end": at(n + 1) * 1e3, "speaker": speaker, "word_is_final": true})]
            })}),
        ),
        (
            VendorFormat::Google,
            json!({"results": [{"isFinal": true, "alternatives": [{"transcript": text, "words": all(&|n, word, speaker| {
                vec![json!({"word": word, "startTime": format!("{:.3}s", at(n)), "endTime": format!("{:.3}s", at(n + 1)),
                    "speakerLabel": (speaker + 1).to_string()})]
            })}]}]}),
        ),
        (
            VendorFormat::Aws,
            json!({"Transcript": {"Results": [{"ResultId": "1", "IsPartial": false, "StartTime": 0.0, "EndTime": 2.0,
            "Alternatives": [{"Transcript": text, "Items": part(&|n, text, speaker, is_mark| {
                json!({"Type": if is_mark { "punctuation" } else { "pronunciation" }, "Content": text,
                    "StartTime": at(n), "EndTime": at(n + 1), "Speaker": speaker.to_string()})
            })}]}]}}),
        ),
        (
            VendorFormat::Speechmatics,
            json!({"message": "AddTranscript", "metadata": {"start_time": 0.0, "end_time": 2.0},
            "results": part(&|n, text, speaker, is_mark| {
                let kind = if is_mark { "punctuation" } else { "word" };
                json!({"type": kind, "start_time": at(n), "end_time": at(n + 1), "is_eos": is_mark,
                    "attaches_to": if is_mark { "previous" } else { "none" },
                    "alternatives": [{"content": text, "speaker": format!("S{}", speaker + 1)}]})
            })}),
        ),
    ];
    for (format, message) in messages {
        let mut reader = Reader::new(format);
        reader.hear(&message);
        let mut out = Decoded::default();
        reader.dialect.end(&mut out);
        reader.screen.take(out);
        let turns: Vec<String> = reader
            .screen
            .transcript
            .assembled()
            .map(|(_, lines)| lines.iter().map(|line| line.text.to_string()).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(turns, ["Do you all agree?", "Yes.", "Very good then."], "{format}");
    }
}

/// What has no text where its format has one is refused, and the field is named; nothing of it is said.
#[test]
fn a_message_that_lacks_its_text_is_refused_in_every_format() {
    let words = json!([{"text": "lost", "word": "lost", "start": 0, "end": 1}]);
    for (format, message, named) in [
        (
            VendorFormat::Deepgram,
            json!({"type": "Results", "start": 0.0, "duration": 1.0, "is_final": true,
            "channel": {"alternatives": [{"confidence": 0.9, "words": words}]}}),
            "transcript",
        ),
        (
            VendorFormat::Deepgram,
            json!({"type": "Results", "is_final": true, "channel": {"alternatives": []}}),
            "alternatives[0]",
        ),
        (VendorFormat::Deepgram, json!({"type": "Results", "is_final": true}), "alternatives[0]"),
        (
            VendorFormat::Flux,
            json!({"type": "TurnInfo", "event": "EndOfTurn", "turn_index": 0, "words": words}),
            "transcript",
        ),
        (
            VendorFormat::Speechmatics,
            json!({"message": "AddTranscript", "metadata": {"start_time": 0, "end_time": 1}}),
            "results",
        ),
        (
            VendorFormat::Speechmatics,
            json!({"message": "AddTranscript", "results": [{"type": "word", "start_time": 0}]}),
            "content",
        ),
        (VendorFormat::AssemblyAi, json!({"type": "Turn", "turn_order": 0, "utterance": "lost"}), "transcript"),
        (VendorFormat::AssemblyAi, json!({"type": "Turn", "transcript": "lost"}), "turn_order"),
        (VendorFormat::Rev, json!({"type": "final", "ts": 0.0}), "fields"),
        (VendorFormat::Rev, json!({"type": "final", "elements": [{"type": "text", "ts": 0.0}]}), "value"),
        (VendorFormat::Aws, json!({"Transcript": {}}), "Results"),
        (VendorFormat::Aws, json!({"Transcript": {"Items": words}}), "Results"),
        (
            VendorFormat::Aws,
            json!({"Transcript": {"Results": [{"ResultId": "a", "IsPartial": false}]}}),
            "Alternatives",
        ),
        (
            VendorFormat::Aws,
            json!({"Transcript": {"Results": [{"ResultId": "a", "Alternatives": [{"Items": words}]}]}}),
            "Transcript",
        ),
        (VendorFormat::Azure, json!({}), "fields"),
        (VendorFormat::Azure, json!({"Id": "a"}), "fields"),
        (
            VendorFormat::Azure,
            json!({"Id": "a", "Offset": 1, "Duration": 2, "Type": "ConversationTranscription"}),
            "fields",
        ),
        (VendorFormat::Azure, json!({"Reason": 3, "Offset": 0}), "DisplayText"),
        (VendorFormat::Azure, json!({"Reason": "RecognizingSpeech"}), "DisplayText"),
        (VendorFormat::Azure, json!({"RecognitionStatus": "Success", "NBest": [{"Confidence": 0.9}]}), "DisplayText"),
        (VendorFormat::Azure, json!({"Text": 7, "Offset": 0}), "Text"),
        (VendorFormat::Google, json!({}), "fields"),
        (VendorFormat::Google, json!({"results": null}), "fields"),
        (VendorFormat::Google, json!({"results": [{}]}), "alternatives"),
        (VendorFormat::Google, json!({"results": [{"isFinal": true, "text": "lost"}]}), "alternatives"),
        (
            VendorFormat::Google,
            json!({"results": [{"isFinal": true, "alternatives": [{"words": words}]}]}),
            "transcript",
        ),
        (VendorFormat::WhisperLive, json!({"uid": "c", "message": "lost"}), "lost"),
        (VendorFormat::WhisperLive, json!({"uid": "c", "message": 7}), "message"),
        (VendorFormat::WhisperLive, json!({"uid": "c"}), "fields"),
        (VendorFormat::WhisperLive, json!({"uid": "c", "backend": "b"}), "fields"),
        (
            VendorFormat::WhisperLive,
            json!({"uid": "c", "segments": [{"start": 0, "end": 1, "completed": true}]}),
            "segments[0].text",
        ),
        (VendorFormat::WhisperLive, json!({"uid": "c", "segments": ["lost"]}), "segments[0].text"),
        (VendorFormat::Vosk, json!({"partial": null}), "partial"),
        (VendorFormat::Vosk, json!({"alternatives": [{"confidence": 1.0}]}), "alternatives[0].text"),
        (VendorFormat::Vosk, json!({"alternatives": []}), "alternatives[0].text"),
        (VendorFormat::Vosk, json!({}), "fields"),
        (
            VendorFormat::Jitsi,
            json!({"event": "SPEECH", "participant": {"id": "a"}, "transcript": []}),
            "transcript[0].text",
        ),
        (
            VendorFormat::Jitsi,
            json!({"event": "SPEECH", "participant": {"id": "a"}, "transcript": [{"confidence": 1}]}),
            "transcript[0].text",
        ),
        (VendorFormat::Jitsi, json!({"event": "SPEECH", "participant": {"id": "a"}}), "transcript"),
        (VendorFormat::Jitsi, json!({"event": "SHOUT", "participant": {"id": "a"}}), "SHOUT"),
        (VendorFormat::Jitsi, json!({"participant_id": "a", "id": "1", "type": "shout", "text": "lost"}), "shout"),
        (VendorFormat::LiveKit, json!({"segments": [{"id": "a", "final": true}]}), "segments[0].text"),
        (VendorFormat::LiveKit, json!({"attributes": {"lk.segment_id": "a"}}), "text"),
        (VendorFormat::LiveKit, json!({"attributes": {}, "text": "lost"}), "id"),
        (VendorFormat::Vexa, json!({"type": "transcript", "speaker": "Ada"}), "confirmed"),
        (VendorFormat::Vexa, json!({"type": "transcription"}), "segments"),
        (VendorFormat::Vexa, json!({"type": "transcript", "confirmed": [{"segment_id": "a"}]}), "text"),
        (VendorFormat::Vexa, json!({"type": "transcript", "pending": [{"segment_id": "a"}]}), "text"),
        (VendorFormat::Vexa, json!({"type": "transcription_segment", "segment_id": "a"}), "text"),
        (VendorFormat::Vexa, json!({"type": "transcript_retract"}), "segment_ids"),
        (VendorFormat::Zoom, json!({"seq": 1}), "fields"),
    ] {
        let mut reader = Reader::new(format);
        reader.hear(&message);
        let [fault, ..] = &reader.faults[..] else { panic!("{format} passes over {message}") };
        assert!(fault.kind.is_refusal() && fault.message.contains(named), "{format} {message}: {fault}");
        assert_eq!(reader.screen.text(), "", "{format} {message}");
    }
    // No format takes an object without any field, or one that is nobody's, without a word.
    for format in VendorFormat::ALL {
        for frame in ["{}\n", "{\"greeting\": \"lost\"}\n", "[]\n", "7\n"] {
            let mut out = Decoded::default();
            let mut dialect = format.open(options());
            dialect.decode(frame.as_bytes(), &mut out);
            dialect.end(&mut out);
            assert!(!out.faults.is_empty() || !out.says.is_empty(), "{format} passes over {frame}");
        }
    }
}

/// What a vendor says beside speech says nothing, without a word: docs/dialects.md has the same table.
#[test]
fn known_silence_as_a_table() {
    for (format, message) in [
        (VendorFormat::Deepgram, json!({"type": "SpeechStarted", "channel": [0, 1], "timestamp": 1.0})),
        (VendorFormat::Deepgram, json!({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 1.0})),
        (VendorFormat::Flux, json!({"type": "Connected", "request_id": "a", "sequence_id": 0})),
        (
            VendorFormat::Speechmatics,
            json!({"message": "AddTranslation", "language": "de", "results": [{"content": "x"}]}),
        ),
        (
            VendorFormat::Speechmatics,
            json!({"message": "AddTranscript", "metadata": {"transcript": ""}, "results": []}),
        ),
        (
            VendorFormat::Speechmatics,
            json!({"message": "AddTranscript", "results": [{"type": "speaker_change", "start_time": 1}]}),
        ),
        (VendorFormat::AssemblyAi, json!({"type": "Heartbeat"})),
        (VendorFormat::AssemblyAi, json!({"type": "Turn", "turn_order": 0, "transcript": "", "words": []})),
        (VendorFormat::Rev, json!({"type": "connected", "id": "a"})),
        (VendorFormat::Rev, json!({"type": "partial", "elements": []})),
        (VendorFormat::Aws, json!({"Transcript": {"Results": []}})),
        (VendorFormat::Azure, json!({"Offset": 1})),
        (VendorFormat::Azure, json!({"SessionId": "a"})),
        (VendorFormat::Azure, json!({"context": {"serviceTag": "a"}})),
        (VendorFormat::Google, json!({"results": []})),
        (VendorFormat::Google, json!({"speechEventType": "END_OF_SINGLE_UTTERANCE"})),
        (VendorFormat::Google, json!({"results": [{"resultEndOffset": "3s", "languageCode": "en"}]})),
        (VendorFormat::Google, json!({"results": [{"isFinal": true, "alternatives": [{}]}]})),
        (VendorFormat::WhisperLive, json!({"uid": "c", "message": "SERVER_READY", "backend": "b"})),
        (VendorFormat::WhisperLive, json!({"uid": "c", "language": "en", "language_prob": 0.9})),
        (VendorFormat::WhisperLive, json!({"uid": "c", "translated_segments": [{"text": "x"}]})),
        (VendorFormat::Vosk, json!({"text": ""})),
        (VendorFormat::Jitsi, json!({"event": "JOIN", "participant": {"id": "a"}})),
        (
            VendorFormat::Jitsi,
            json!({"event": "SPEECH", "type": "translation-result", "participant": {"id": "a"}, "text": "x"}),
        ),
        (VendorFormat::LiveKit, json!({"segments": []})),
        (VendorFormat::Vexa, json!({"type": "subscribed", "meetings": []})),
        (VendorFormat::Vexa, json!({"type": "transcription_segment", "source": "chat", "text": "typed"})),
    ] {
        let mut reader = Reader::new(format);
        reader.hear(&message);
        assert!(reader.faults.is_empty() && reader.screen.text().is_empty(), "{format} {message}: {:?}", reader.faults);
    }
}

/// Speechmatics says the text of a transcript beside its words; without those it is said all the same.
#[test]
fn a_transcript_without_its_words_is_said() {
    for results in [json!(null), json!([])] {
        let mut reader = Reader::new(VendorFormat::Speechmatics);
        let metadata = json!({"start_time": 1.0, "end_time": 2.0, "transcript": "It is noon. "});
        reader.hear(&json!({"message": "AddTranscript", "metadata": metadata, "results": results}));
        reader.hear(&json!({"message": "EndOfUtterance"}));
        assert_eq!(reader.finals(), ["It is noon."]);
        assert!(reader.screen.turns().contains("(1000-2000,"), "{}", reader.screen.turns());
    }
}

/// A label that is blank is none, in every format.
#[test]
fn a_blank_label_is_none() {
    for blank in ["", " ", "\t", "\u{7f}"] {
        for (format, message) in [
            (
                VendorFormat::Deepgram,
                json!({"type": "Results", "start": 0.0, "duration": 1.0, "is_final": true, "speech_final": true,
                "channel": {"alternatives": [{"transcript": "Yes.", "words": [{"word": "Yes.", "start": 0.0, "end": 1.0, "speaker": blank}]}]}}),
            ),
            (
                VendorFormat::Speechmatics,
                json!({"message": "AddTranscript", "results": [{"type": "word", "start_time": 0, "end_time": 1,
                "alternatives": [{"content": "Yes.", "speaker": blank}]}]}),
            ),
            (
                VendorFormat::AssemblyAi,
                json!({"type": "Turn", "turn_order": 0, "end_of_turn": true, "transcript": "Yes.", "speaker_label": blank,
                "words": [{"text": "Yes.", "start": 0, "end": 1000, "speaker": blank}]}),
            ),
            (
                VendorFormat::Rev,
                json!({"type": "final", "ts": 0.0, "speaker_id": blank, "elements": [{"type": "text", "value": "Yes."}]}),
            ),
            (
                VendorFormat::Aws,
                json!({"Transcript": {"Results": [{"ResultId": "a", "IsPartial": false, "StartTime": 0.0, "EndTime": 1.0,
                "ChannelId": blank, "Alternatives": [{"Transcript": "Yes.", "Items": [{"Type": "pronunciation", "Content": "Yes.",
                "StartTime": 0.0, "EndTime": 1.0, "Speaker": blank}]}]}]}}),
            ),
            (VendorFormat::Azure, json!({"Reason": 3, "Text": "Yes.", "Offset": 0, "Duration": 1, "SpeakerId": blank})),
            (
                VendorFormat::Google,
                json!({"results": [{"isFinal": true, "alternatives": [{"transcript": "Yes.",
                "words": [{"word": "Yes.", "startTime": "0s", "endTime": "1s", "speakerLabel": blank}]}]}]}),
            ),
            (
                VendorFormat::WhisperLive,
                json!({"uid": "c", "segments": [{"start": 0, "end": 1, "text": "Yes.", "completed": true, "speaker": blank}]}),
            ),
            (
                VendorFormat::Jitsi,
                json!({"event": "SPEECH", "participant": {"id": blank, "name": blank}, "transcript": [{"text": "Yes."}], "message_id": "m"}),
            ),
            (VendorFormat::Jitsi, json!({"participant_id": blank, "id": "1", "type": "final", "text": "Yes."})),
            (
                VendorFormat::LiveKit,
                json!({"participant_identity": blank, "segments": [{"id": "a", "text": "Yes.", "final": true}]}),
            ),
            (
                VendorFormat::Vexa,
                json!({"type": "transcript", "speaker": blank, "confirmed": [{"segment_id": "a", "text": "Yes.",
                "speaker": blank, "speaker_key": blank, "start": 0, "end": 1}]}),
            ),
        ] {
            let mut reader = Reader::new(format);
            reader.hear(&message);
            let mut out = Decoded::default();
            reader.dialect.end(&mut out);
            reader.screen.take(out);
            let (turn, _) =
                reader.screen.transcript.assembled().next().unwrap_or_else(|| panic!("{format}: {:?}", reader.faults));
            assert_eq!(turn.speaker, None, "{format} {blank:?}");
        }
    }
}

/// Vexa confirms a draft under its own id with nothing in it, and Rev settles blanks.
#[test]
fn what_is_confirmed_as_nothing_is_told() {
    let bundle = |confirmed: Value, pending: Value| json!({"type": "transcript", "speaker": "Ada", "confirmed": confirmed, "pending": pending});
    let segment = |text: &str| json!([{"segment_id": "d:1", "speaker": "Ada", "text": text, "start": 3.0, "end": 5.0}]);
    for pending in [json!([]), segment("so the light is")] {
        let mut reader = Reader::new(VendorFormat::Vexa);
        reader.hear(&bundle(json!([]), segment("so the light is"))).hear(&bundle(segment(" "), pending));
        assert_eq!((reader.finals(), reader.guesses().len()), (vec!["so the light is".to_owned()], 0));
        let [fault] = &reader.faults[..] else { panic!("{:?}", reader.faults) };
        assert!(fault.kind == DecodeFaultKind::Odd && fault.message.contains("empty"), "{fault}");
    }
    let rev = |kind: &str, value: &str| json!({"type": kind, "ts": 0.5, "end_ts": 1.0, "elements": [{"type": "text", "value": value, "ts": 0.5, "end_ts": 1.0}]});
    let mut reader = Reader::new(VendorFormat::Rev);
    reader.hear(&rev("partial", "um")).hear(&rev("final", " "));
    let [fault] = &reader.faults[..] else { panic!("{:?}", reader.faults) };
    assert!(fault.kind == DecodeFaultKind::Odd && fault.message.contains("empty"), "{fault}");
}

/// A turn of AssemblyAI's or a partial result of Amazon's: words, of which the first `settled` will not change.
fn word_by_word(format: VendorFormat, words: &[&str], settled: usize, at: f64, is_over: bool) -> Value {
    let time = |n: usize| at + n as f64 * 0.4;
    let item = |(n, word): (usize, &&str)| match format {
        VendorFormat::AssemblyAi => {
            json!({"text": word, "start": time(n) * 1e3, "end": time(n + 1) * 1e3, "word_is_final": n < settled})
        }
        _ => {
            json!({"Type": "pronunciation", "Content": word, "StartTime": time(n), "EndTime": time(n + 1), "Stable": n < settled})
        }
    };
    let items: Vec<Value> = words.iter().enumerate().map(item).collect();
    match format {
        VendorFormat::AssemblyAi => {
            json!({"type": "Turn", "turn_order": (at / 10.0) as u64, "end_of_turn": is_over, "transcript": words[..settled].join(" "), "words": items})
        }
        _ => {
            json!({"Transcript": {"Results": [{"ResultId": format!("a2bd0b2b-5b3a-4b1c-9f0d-{:012}", at as u64), "IsPartial": !is_over,
            "StartTime": at, "EndTime": time(words.len()), "Alternatives": [{"Transcript": words.join(" "), "Items": items}]}]}})
        }
    }
}

#[test]
fn words_that_will_not_change_are_final_after_a_silence() {
    let words = ["the", "vote", "is", "carried", "by"];
    for format in [VendorFormat::AssemblyAi, VendorFormat::Aws] {
        // By the clock, where nothing comes.
        let mut reader = Reader::new(format);
        reader.dialect.elapsed(1_000);
        reader.hear(&word_by_word(format, &words[..1], 0, 0.0, false));
        assert_eq!(reader.dialect.due_ms(), None, "{format}: a guess alone waits for its final");
        reader.hear(&word_by_word(format, &words, 4, 0.0, false));
        assert_eq!((reader.finals().len(), reader.dialect.due_ms()), (0, Some(6_000)), "{format}");
        reader.dialect.elapsed(3_000);
        reader.hear(&word_by_word(format, &words, 4, 0.0, false));
        assert_eq!(reader.dialect.due_ms(), Some(6_000), "{format}: what says nothing new moves nothing");
        let mut out = Decoded::default();
        reader.dialect.rest(6_000, &mut out);
        reader.screen.take(out);
        assert_eq!(
            (reader.finals(), reader.guesses()),
            (vec!["the vote is carried".into()], vec!["by".into()]),
            "{format}"
        );
        assert_eq!(reader.dialect.due_ms(), None, "{format}");
        // It goes on all the same, and each word stays one.
        reader.hear(&word_by_word(format, &["the", "vote", "is", "carried", "by", "nine"], 4, 0.0, false));
        assert_eq!(
            (reader.finals(), reader.guesses()),
            (vec!["the vote is carried".into()], vec!["by nine".into()]),
            "{format}"
        );
        reader.hear(&word_by_word(format, &["The", "vote", "is", "carried", "by", "nine."], 6, 0.0, true));
        assert_eq!(
            (reader.finals(), reader.guesses().len()),
            (vec!["The vote is carried by nine.".into()], 0),
            "{format}"
        );
        // By media time, where something else is said; and in the end.
        let mut reader = Reader::new(format);
        reader.hear(&word_by_word(format, &words, 4, 0.0, false)).hear(&word_by_word(
            format,
            &["next"],
            0,
            10.0,
            false,
        ));
        assert_eq!(reader.finals(), ["the vote is carried"], "{format}");
        let mut reader = Reader::new(format);
        reader.hear(&word_by_word(format, &words, 4, 0.0, false));
        let mut out = Decoded::default();
        reader.dialect.end(&mut out);
        reader.screen.take(out);
        assert_eq!(
            (reader.finals(), reader.guesses()),
            (vec!["the vote is carried".into()], vec!["by".into()]),
            "{format}"
        );
        assert!(reader.faults.is_empty(), "{format}: {:?}", reader.faults);
    }
}
