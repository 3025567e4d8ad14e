//! Frames of one vendor that are read as another's: none is swallowed, and whoever named the wrong format is told the right
//! one.

use captionwire::dialect::{DecodeFaultKind, Decoded, Framing, VendorFormat};
use serde_json::Value;

use super::{options, sample};

/// Why a frame need not be refused with the name of its format.
fn exception(reader: VendorFormat, speaker: VendorFormat, frame: &[u8], out: &Decoded) -> Option<&'static str> {
    let is_told = |kind: DecodeFaultKind| out.faults.iter().any(|fault| fault.kind == kind);
    let is_error = |fault: &captionwire::dialect::DecodeFault| fault.message.contains("an error of a speech engine");
    if is_told(DecodeFaultKind::Engine) || out.faults.iter().any(is_error) {
        return Some("errors have one shape everywhere, and are told whoever reports them");
    }
    let only_text = serde_json::from_slice::<Value>(frame)
        .is_ok_and(|value| value.as_object().is_some_and(|fields| fields.len() == 1 && fields.contains_key("text")));
    match (reader, speaker) {
        (VendorFormat::Zoom, VendorFormat::Vosk) | (VendorFormat::Vosk, VendorFormat::Zoom) if only_text => {
            Some("a text alone is a message of both: the same text, of nobody, without a time")
        }
        (VendorFormat::Text, VendorFormat::Chevrons) => {
            Some("a chevron is text too; it names nobody, and so does plain text")
        }
        (VendorFormat::Chevrons | VendorFormat::StreamText, VendorFormat::Text) => {
            Some("text without chevrons and deletes")
        }
        (VendorFormat::StreamText, VendorFormat::Chevrons) => {
            Some("a stenographer's text has chevrons, which are read there too")
        }
        (VendorFormat::YouTube | VendorFormat::WhisperStreaming, VendorFormat::Text | VendorFormat::Chevrons)
            if is_told(DecodeFaultKind::Odd) =>
        {
            Some("plain text has no mark of its own; that it has no time is told for each line")
        }
        _ => None,
    }
}

/// All that a format says in its sample: JSON frame by frame, text as one stream.
fn kinds(format: VendorFormat) -> Vec<Vec<u8>> {
    let frames = sample(format);
    if format.framing() == Framing::Json { frames } else { vec![[frames.concat(), b"\n".to_vec()].concat()] }
}

#[test]
fn frames_of_every_format_are_told_from_those_of_every_other() {
    let mut wrong = String::new();
    for reader in VendorFormat::ALL {
        for speaker in VendorFormat::ALL.into_iter().filter(|speaker| *speaker != reader) {
            for frame in kinds(speaker) {
                let mut dialect = reader.open(options());
                let mut out = Decoded::default();
                dialect.decode(&frame, &mut out);
                dialect.end(&mut out);
                let named = format!("format={speaker}");
                let is_named = out.faults.iter().any(|fault| fault.message.contains(&named));
                // What is JSON is no text of anybody's.
                let is_said = !out.says.is_empty() && speaker.framing() == Framing::Json;
                if exception(reader, speaker, &frame, &out).is_none() && (!is_named || is_said) {
                    let frame = String::from_utf8_lossy(&frame[..frame.len().min(120)]).into_owned();
                    wrong +=
                        &format!("{reader} takes {speaker}'s {frame}\n  says {}, {:?}\n", out.says.len(), out.faults);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Nothing of a format's own sample is taken for another's.
#[test]
fn frames_of_a_format_are_its_own() {
    for format in VendorFormat::ALL {
        let mut dialect = format.open(options());
        let mut out = Decoded::default();
        sample(format).iter().for_each(|frame| dialect.decode(frame, &mut out));
        dialect.end(&mut out);
        assert!(!out.faults.iter().any(|fault| fault.message.contains("looks like")), "{format}: {:?}", out.faults);
    }
}

#[test]
fn what_zoom_does_not_post_is_none_of_its_captions() {
    let read = |json: &str| {
        let mut out = Decoded::default();
        VendorFormat::Zoom.open(options()).decode(json.as_bytes(), &mut out);
        (out.says.len(), out.faults.iter().map(|fault| fault.message.clone()).collect::<String>())
    };
    for json in [r#"{"text":"a"}"#, r#"{"seq":1,"text":"a"}"#, r#"{"seq":1,"lang":"en","text":"a","received":"12:00"}"#]
    {
        assert_eq!(read(json), (1, String::new()), "{json}");
    }
    for (json, likely) in [
        (r#"{"text":"a","speaker":"Ada"}"#, "its fields: "),
        (r#"{"seq":1,"text":"a","start":3.5,"end":4.0}"#, "its fields: "),
        (r#"{"type":"line","seq":1,"id":"1","text":"a"}"#, "captionwire"),
        (r#"{"id":"1","start_ms":0,"speaker":"Clerk","text":"a"}"#, "captionwire"),
        (r#"{"event":"transcript.data","data":{"words":[{"text":"a"}]}}"#, "Recall.ai"),
    ] {
        let (says, told) = read(json);
        assert!(says == 0 && told.contains(likely), "{json}: {told}");
    }
}

/// A message of JSON is put together where frames cut it, and several of a frame are told apart.
#[test]
fn json_in_a_stream_of_text_is_refused_wherever_frames_end() {
    let message = String::from_utf8(sample(VendorFormat::Deepgram).remove(3)).expect("UTF-8");
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&message).expect("JSON")).expect("JSON");
    let texts = VendorFormat::ALL.into_iter().filter(|format| format.framing() != Framing::Json);
    for format in texts {
        for stream in
            [format!("{message}\n"), format!("{message}{message}\n"), format!("{pretty}\n"), format!("\n{message}")]
        {
            for size in [1, 7, 1_000, stream.len()] {
                let mut dialect = format.open(options());
                let mut out = Decoded::default();
                stream.as_bytes().chunks(size).for_each(|frame| dialect.decode(frame, &mut out));
                dialect.end(&mut out);
                let refused = out.faults.iter().filter(|fault| fault.message.contains("format=deepgram")).count();
                assert_eq!(
                    (out.says.len(), refused),
                    (0, stream.matches("channel_index").count()),
                    "{format}: {out:?}"
                );
            }
        }
    }
}
