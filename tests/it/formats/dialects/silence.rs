//! What a vendor settled is final for everybody after a silence, whether or not the vendor says anything in it.

use captionwire::dialect::{Decoded, Framing, Options, VendorFormat};
use serde_json::{Value, json};

use super::conservation::{final_letters, finals};
use super::screen::Screen;
use super::{options, sample};

fn deepgram(start: f64, text: &str, is_final: bool, channel: u64) -> Value {
    let word = |(n, word): (usize, &str)| {
        let at = start + n as f64 * 0.3;
        json!({"word": word, "start": at, "end": at + 0.3})
    };
    let words: Vec<Value> = text.split_whitespace().enumerate().map(word).collect();
    json!({"type": "Results", "channel_index": [channel, 2], "start": start, "duration": 1.0, "is_final": is_final,
           "speech_final": false, "channel": {"alternatives": [{"transcript": text, "words": words}]}})
}

fn speechmatics(kind: &str, start: f64, text: &str) -> Value {
    let word = |word: &str| {
        json!({"type": "word", "start_time": start, "end_time": start + 0.4,
               "alternatives": [{"content": word, "speaker": "S1"}]})
    };
    let results: Vec<Value> = text.split_whitespace().map(word).collect();
    json!({"message": kind, "metadata": {"start_time": start, "end_time": start + 0.4}, "results": results})
}

/// What is due when, as frames come at the moments `at_ms`.
#[test]
fn silence_is_counted_by_the_clock_where_nothing_comes() {
    let mut dialect = VendorFormat::Deepgram.open(Options { turn_gap_ms: 4_000, ..options() });
    let mut hear = |at_ms: i64, message: &Value| {
        dialect.elapsed(at_ms);
        dialect.decode(message.to_string().as_bytes(), &mut Decoded::default());
        dialect.due_ms()
    };
    // A guess alone waits for its final.
    assert_eq!(hear(500, &deepgram(0.0, "the vote", false, 0)), None);
    assert_eq!(hear(1_000, &deepgram(0.0, "The vote is carried.", true, 0)), Some(5_000));
    // What says nothing new moves nothing, and neither does what others say.
    assert_eq!(hear(2_000, &json!({"type": "SpeechStarted", "channel": [0, 1]})), Some(5_000));
    assert_eq!(hear(2_500, &deepgram(2.0, "agreed", true, 1)), Some(5_000));
    assert_eq!(hear(3_000, &deepgram(2.0, "um", false, 0)), Some(6_500));
    assert_eq!(hear(3_500, &deepgram(2.0, "um", false, 0)), Some(6_500));
    let mut rest = |at_ms: i64| {
        let mut out = Decoded::default();
        dialect.rest(at_ms, &mut out);
        (out.says.len(), dialect.due_ms())
    };
    assert_eq!(rest(6_499), (0, Some(6_500)));
    assert_eq!(rest(6_500), (1, Some(7_000)));
    assert_eq!(rest(60_000), (1, None));
}

#[test]
fn what_is_settled_is_final_though_a_guess_stands_behind_it() {
    for (format, messages) in [
        (VendorFormat::Deepgram, [deepgram(0.0, "It is carried.", true, 0), deepgram(2.0, "um", false, 0)]),
        (
            VendorFormat::Speechmatics,
            [speechmatics("AddTranscript", 0.0, "It is carried."), speechmatics("AddPartialTranscript", 2.0, "um")],
        ),
    ] {
        let mut dialect = format.open(options());
        let mut screen = Screen::new();
        for message in &messages {
            dialect.elapsed(0);
            screen.decode(&mut *dialect, message.to_string().as_bytes());
        }
        assert_eq!(final_letters(&screen), "", "{format}");
        let due_ms = dialect.due_ms().expect("something waits");
        let mut out = Decoded::default();
        dialect.rest(due_ms, &mut out);
        screen.take(out);
        assert_eq!(
            (final_letters(&screen), screen.text()),
            ("Itiscarried.".into(), "It is carried. um".into()),
            "{format}"
        );
        // The guess goes on in a line of its own, and nothing comes twice.
        let last = match format {
            VendorFormat::Deepgram => deepgram(2.0, "um, yes.", true, 0),
            _ => speechmatics("AddTranscript", 2.0, "um, yes."),
        };
        screen.decode(&mut *dialect, last.to_string().as_bytes());
        screen.end(&mut *dialect);
        assert_eq!(screen.text(), "It is carried. um, yes.", "{format}");
    }
}

/// Engines that send the same guess again and again in a silence tell the time with it.
#[test]
fn a_guess_that_stays_does_not_hold_what_is_settled_back() {
    let partial = |end: f64| {
        let mut message = speechmatics("AddPartialTranscript", 2.0, "um");
        message["metadata"]["end_time"] = json!(end);
        message
    };
    let mut dialect = VendorFormat::Speechmatics.open(options());
    for (at_ms, message) in
        [(0, speechmatics("AddTranscript", 0.0, "Carried.")), (1_000, partial(2.4)), (4_000, partial(6.0))]
    {
        dialect.elapsed(at_ms);
        dialect.decode(message.to_string().as_bytes(), &mut Decoded::default());
        dialect.due_ms();
    }
    assert_eq!(dialect.due_ms(), Some(6_000));
}

/// Wherever a silence falls, each word that the vendor called final is there once, and nothing goes on waiting.
#[test]
fn a_silence_after_every_frame_loses_and_doubles_nothing() {
    for format in VendorFormat::ALL {
        let mut dialect = format.open(options());
        let mut screen = Screen::new();
        let mut frames = sample(format);
        if format == VendorFormat::WhisperLive {
            frames.remove(frames.len() - 2);
        }
        for (number, frame) in (0..).zip(&frames) {
            dialect.elapsed(number * 10_000);
            screen.decode(&mut *dialect, frame);
            dialect.due_ms();
            let mut out = Decoded::default();
            dialect.rest(number * 10_000 + 5_000, &mut out);
            screen.take(out);
            assert_eq!(dialect.due_ms(), None, "{format}");
        }
        screen.end(&mut *dialect);
        let messages = frames.iter().filter_map(|frame| serde_json::from_slice(frame).ok()).collect::<Vec<Value>>();
        let expected = finals(format, &messages);
        if format.framing() == Framing::Json && !expected.is_empty() {
            assert_eq!(final_letters(&screen), expected, "{format}");
        }
    }
}
