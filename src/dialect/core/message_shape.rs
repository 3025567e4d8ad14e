//! Shapes of messages: recognizes the format of a JSON object by its fields.
//!
//! A message without any of a format's known shapes is reported, never ignored: usually the wrong format was named, and
//! captions would never appear. If it looks like another vendor's, the fault names that one.

use std::fmt;

use serde_json::Value;

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::json::{engine_report, raw_items, raw_text};
use crate::dialect::core::options::control_free;
use crate::dialect::core::timed_text::{time_of_day, two_times};
use crate::dialect::core::vendor_format::VendorFormat;

/// Returns true if one of the fields `names` is there and not null.
pub(crate) fn has(value: &Value, names: &[&str]) -> bool {
    names.iter().any(|name| value.get(name).is_some_and(|field| !field.is_null()))
}

fn all_of(value: &Value, names: &[&str]) -> bool {
    names.iter().all(|name| has(value, &[name]))
}

/// Returns true if all fields of an object are among `names`.
pub(crate) fn only(value: &Value, names: &[&str]) -> bool {
    value.as_object().is_some_and(|fields| fields.keys().all(|name| names.contains(&&**name)))
}

/// Fields beside `text` in formats that have more information about a line.
pub(crate) const OF_LINES: [&str; 22] = [
    "type",
    "id",
    "Id",
    "speaker",
    "speaker_id",
    "speakerId",
    "participant",
    "participant_id",
    "participant_identity",
    "identity",
    "start",
    "start_ms",
    "start_time",
    "end_ms",
    "Offset",
    "offset",
    "Reason",
    "reason",
    "attributes",
    "segments",
    "status",
    "is_final",
];

/// Returns true if a message has a `type`, as all messages of some vendors have; `partial` and `final` come with `elements`.
pub(crate) fn has_type(value: &Value) -> bool {
    let kind = raw_text(value, &["type"]);
    // The decoder reports types that no vendor is known to have.
    kind.is_some_and(|kind| !matches!(kind, "partial" | "final") || has(value, &["elements"]))
}

/// Likely origin of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likeness {
    /// A format that is supported.
    Read(VendorFormat),
    /// Our own format.
    Ours,
    /// A vendor whose format is not supported.
    Unread(&'static str),
}

/// Returns the vendor whose message it looks like.
fn looks_like(value: &Value) -> Option<Likeness> {
    looks_like_by_type(value).or_else(|| looks_like_by_fields(value))
}

/// Returns the vendor whose type a message has.
fn looks_like_by_type(value: &Value) -> Option<Likeness> {
    use Likeness::{Ours, Read, Unread};
    Some(match raw_text(value, &["type"]).unwrap_or_default() {
        "Results" | "UtteranceEnd" | "SpeechStarted" if has(value, &["channel", "channel_index"]) => {
            Read(VendorFormat::Deepgram)
        }
        "Metadata" if has(value, &["transaction_key", "request_id"]) => Read(VendorFormat::Deepgram),
        "TurnInfo" => Read(VendorFormat::Flux),
        "Connected" | "Error" if has(value, &["sequence_id"]) => Read(VendorFormat::Flux),
        "Turn" | "Begin" | "SpeakerRevision" | "Termination" | "Heartbeat" => Read(VendorFormat::AssemblyAi),
        "SpeechStarted" if has(value, &["timestamp"]) => Read(VendorFormat::AssemblyAi),
        "partial" | "final" if has(value, &["elements"]) => Read(VendorFormat::Rev),
        "connected" if has(value, &["id"]) => Read(VendorFormat::Rev),
        "transcript" if has(value, &["confirmed", "pending"]) => Read(VendorFormat::Vexa),
        "transcript" if value.get("segment").is_some_and(|segment| has(segment, &["segment_id"])) => {
            Read(VendorFormat::Vexa)
        }
        "transcription" | "transcription_segment" | "transcript_retract" => Read(VendorFormat::Vexa),
        "subscribed" | "unsubscribed" if has(value, &["meetings"]) => Read(VendorFormat::Vexa),
        "session_start" | "session_end" if has(value, &["session_uid", "meeting"]) => Read(VendorFormat::Vexa),
        "transcript" if has(value, &["data", "session_id"]) => Unread("Gladia"),
        "snapshot" | "diff" if has(value, &["n_lines", "new_lines", "lines"]) => Unread("WhisperLiveKit"),
        kind if kind.starts_with("conversation.item.input_audio") || kind.starts_with("transcription_session.") => {
            Unread("OpenAI Realtime")
        }
        "line" | "lines" | "retract" | "clock" if has(value, &["seq", "id", "lines", "start_ms", "media_ms"]) => Ours,
        "" if has(value, &["start_ms"]) && has(value, &["text"]) => Ours,
        _ => return None,
    })
}

/// Returns the vendor whose fields a message has, whatever its type.
fn looks_like_by_fields(value: &Value) -> Option<Likeness> {
    use Likeness::{Read, Unread};
    let inner = |name: &str| raw_items(value, &[name]).first();
    let message = raw_text(value, &["message"]).unwrap_or_default();
    Some(match () {
        () if has(value, &["buffer_transcription", "remaining_time_transcription"]) => Unread("WhisperLiveKit"),
        () if has(value, &["message_type"]) => Unread("ElevenLabs Scribe"),
        () if has(value, &["final_audio_proc_ms", "total_audio_proc_ms"]) => Unread("Soniox"),
        () if is_speechmatics(message)
            || matches!(message, "Info" | "Warning" | "Error") && has(value, &["reason"]) =>
        {
            Read(VendorFormat::Speechmatics)
        }
        () if raw_text(value, &["event"]).is_some_and(|event| event.starts_with("transcript.")) => Unread("Recall.ai"),
        () if has(value, &["lastPosition"]) && value.get("i").is_some_and(Value::is_array) => {
            Unread("what StreamText's readers get")
        }
        () if has(value, &["TranscriptEvent", "transcriptEvent"]) => Read(VendorFormat::Aws),
        () if ["Transcript", "transcript"]
            .iter()
            .any(|name| value.get(name).is_some_and(|it| has(it, &["Results", "results"]))) =>
        {
            Read(VendorFormat::Aws)
        }
        () if has(value, &["RecognitionStatus", "privText", "privResultId", "privResult", "OffsetInTicks"]) => {
            Read(VendorFormat::Azure)
        }
        () if all_of(value, &["Reason", "Text"]) || all_of(value, &["Text", "Offset"]) => Read(VendorFormat::Azure),
        () if has(value, &["Reason", "CancellationReason"]) && has(value, &["ErrorDetails", "CancellationReason"]) => {
            Read(VendorFormat::Azure)
        }
        () if has(value, &["speechEventType", "speech_event_type"]) => Read(VendorFormat::Google),
        () if inner("results").is_some_and(|result| has(result, &["alternatives", "isFinal", "is_final"])) => {
            Read(VendorFormat::Google)
        }
        () if has(value, &["uid"]) && has(value, &["segments", "status", "message", "language"]) => {
            Read(VendorFormat::WhisperLive)
        }
        () if value.get("transcript").is_some_and(Value::is_array) && has(value, &["participant", "message_id"]) => {
            Read(VendorFormat::Jitsi)
        }
        () if all_of(value, &["participant_id", "text"]) => Read(VendorFormat::Jitsi),
        () if all_of(value, &["event", "participant"]) => Read(VendorFormat::Jitsi),
        () if value.get("attributes").is_some_and(|it| has(it, &["lk.segment_id", "lk.transcription_final"])) => {
            Read(VendorFormat::LiveKit)
        }
        () if inner("segments").is_some_and(|segment| has(segment, &["final"])) => Read(VendorFormat::LiveKit),
        () if value.get("transcription").is_some_and(|it| has(it, &["segments"])) => Read(VendorFormat::LiveKit),
        () if value.get("partial").is_some_and(|it| it.is_string() || it.is_null())
            || all_of(value, &["text", "result"])
            || inner("alternatives").is_some_and(|it| has(it, &["text"])) && !has(value, &["channel"]) =>
        {
            Read(VendorFormat::Vosk)
        }
        () if all_of(value, &["seq", "text"]) => Read(VendorFormat::Zoom),
        () => return None,
    })
}

/// Returns true if `message` is a message type that only Speechmatics has.
fn is_speechmatics(message: &str) -> bool {
    matches!(
        message,
        "RecognitionStarted"
            | "AddTranscript"
            | "AddPartialTranscript"
            | "AddTranslation"
            | "AddPartialTranslation"
            | "AddSegment"
            | "AddPartialSegment"
            | "AudioAdded"
            | "ChannelAudioAdded"
            | "AudioEventStarted"
            | "AudioEventEnded"
            | "EndOfUtterance"
            | "EndOfTranscript"
            | "SpeakersResult"
    )
}

/// Returns true if a message is known to be another vendor's.
pub(crate) fn is_foreign(format: VendorFormat, value: &Value) -> bool {
    looks_like(value).is_some_and(|likeness| likeness != Likeness::Read(format))
}

/// Returns the text of the fault for a message without any of the known shapes of `format`.
pub(crate) fn unknown(format: VendorFormat, value: &Value) -> String {
    let name = format.vendor();
    let likeness = looks_like(value).filter(|likeness| *likeness != Likeness::Read(format));
    match likeness {
        Some(likeness) => format!("this is not a message of {name}: it was left out. It looks like {likeness}"),
        None if only(value, &["text"]) && has(value, &["text"]) => format!(
            "this is not a message of {name}: it was left out. It looks like Vosk or a caption that is posted to \
             Zoom: use format=vosk or format=zoom"
        ),
        None => {
            let fields = value.as_object().map(|fields| fields.keys().take(6).map(|name| &**name).collect::<Vec<_>>());
            let fields: String = control_free(&fields.unwrap_or_default().join(", ")).chars().take(120).collect();
            format!("this is not a known message of {name} (its fields: {fields}): it was left out")
        }
    }
}

impl fmt::Display for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(format) => f.write_str(&instead(*format)),
            Self::Ours => f.write_str("captionwire's own: leave format out"),
            Self::Unread(vendor) => write!(f, "{vendor}, which is not supported"),
        }
    }
}

/// Returns a format's name with the options that select it.
fn instead(format: VendorFormat) -> String {
    format!("{}: use format={format} (--format {format})", format.vendor())
}

/// Returns the text of the fault for a JSON object in place of text; `None` if no known vendor sends it.
pub(crate) fn foreign_object(object: &Value) -> Option<String> {
    let likeness = match looks_like(object) {
        Some(likeness) => likeness.to_string(),
        None if only(object, &["text"]) && has(object, &["text"]) => {
            "Vosk or a caption that is posted to Zoom: use format=vosk or format=zoom".into()
        }
        // Errors of any engine.
        None => match engine_report(object) {
            Some(_) => "an error of a speech engine".into(),
            None => return None,
        },
    };
    Some(format!("this is JSON, not text: it was left out. It looks like {likeness}"))
}

/// Returns the text of the fault for a text that is a vendor's JSON message.
pub(crate) fn foreign_text(text: &str) -> Option<String> {
    foreign_object(&serde_json::from_str(text).ok()?)
}

/// Returns the text format that a line indicates: by times at its head, or by characters that delete.
pub(crate) fn text_format(line: &str) -> Option<VendorFormat> {
    if line.contains('\u{8}') {
        return Some(VendorFormat::StreamText);
    }
    if time_of_day(line).is_some() {
        return Some(VendorFormat::YouTube);
    }
    // Two numbers may begin a sentence too; the times of a caption differ by some margin.
    let times = two_times(line).filter(|(_, _, text)| !text.trim().is_empty());
    times.filter(|(begin, end, _)| end - begin >= 100.0).map(|_| VendorFormat::WhisperStreaming)
}

/// Returns a hint for input that is no JSON although a JSON format was named.
pub(crate) fn text_instead(frame: &str) -> String {
    let mut lines = frame.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let format = lines.clone().find_map(text_format);
    let format = format.or_else(|| lines.any(|line| line.contains(">>")).then_some(VendorFormat::Chevrons));
    format!("it looks like {}", instead(format.unwrap_or(VendorFormat::Text)))
}

/// Reports, once per format, text of another format that was taken as plain text.
#[derive(Debug, Default)]
pub(crate) struct TextHints {
    told: Vec<VendorFormat>,
}

impl TextHints {
    /// Checks a line that is read as `format`.
    pub(crate) fn look(&mut self, format: VendorFormat, line: &str, out: &mut Decoded) {
        let Some(found) = text_format(line).filter(|found| *found != format && !self.told.contains(found)) else {
            return;
        };
        self.told.push(found);
        out.fault(DecodeFaultKind::Odd, format!("a line looks like {}; it was taken as {format}", instead(found)));
    }
}
