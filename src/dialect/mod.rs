//! How each vendor's live feed speaks: one vendor's frames in, lines of ours out.
//!
//! Promises of every [`Dialect`]:
//! 1. It is total: whatever bytes a frame holds it does not panic, and its memory stays in proportion to one frame and to
//!    what the vendor's format leaves open (an utterance, the last turns), which is bounded.
//! 2. It loses no text that the vendor calls final, says none twice, and moves none between speakers, but for the noise of
//!    labels (a few words within a sentence: see `runs`). A time that cannot be used is left out, and a [`Fault`] says so;
//!    the text stands.
//! 3. It keeps the order in which the vendor speaks. What one frame changes in several lines is one [`Said::Lines`], so
//!    that no reader sees a word twice, or not at all, while it moves from one line to another.
//! 4. Ids are new for each connection (they begin with [`Options::tag`]), but where the vendor's own ids are unique for
//!    ever: then they are those, and what is sent twice is one line.
//! 5. A session of the engine that begins within a connection says nothing under an id of the sessions before it, under no
//!    label of theirs that the vendor numbers, and at no time before what they said. A [`Fault`] tells of it.
//! 6. A message of a shape that the format does not have is a [`Fault`], never passed over.
//!
//! What it does not do: connect, keep, acknowledge, or know a clock. It says no more of a time than the vendor does.
//!
//! In reading order: `json`, how frames are read; `shape`, whose message an object is; `json_in_text`, messages where text
//! should be; `session_sign`, what a message tells of its session; `session_clock`, what it means that a time falls;
//! `session`, one session of an engine behind the other; `earlier_speech`, where a new connection stands; `line_match`, whether two texts are one line; `token`, a word and
//! where it stands in its text; `runs`, where a line is cut between speakers;
//! `lines`, what was said of a line and what has to be said now; `utterance` and `piece`, guesses behind what is settled, where
//! the vendor does not name what it says and where it does; and then the vendors, each in a file that says what it speaks.

mod earlier_speech;
mod json;
mod json_in_text;
mod keyed;
mod line_match;
mod lines;
mod piece;
mod runs;
mod session;
mod session_clock;
mod session_sign;
mod shape;
mod spelling;
mod token;
mod utterance;

mod assemblyai;
mod aws;
mod azure;
mod chevrons;
mod deepgram;
mod flux;
mod google;
mod jitsi;
mod livekit;
mod rev;
mod speechmatics;
mod streamtext;
mod text;
mod vexa;
mod vosk;
mod wall;
mod whisper_live;
mod whisper_streaming;
mod youtube;
mod zoom;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use self::earlier_speech::{EarlierLine, EarlierSpeech};
use self::session::{JsonSessions, LineSessions};
use self::token::{Label, short_name};
use crate::transcript::{MediaMs, Timestamp, TurnSettings, Version};

/// A vendor's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Deepgram's live API, version 1: `Results`.
    Deepgram,
    /// Deepgram Flux: `TurnInfo`.
    Flux,
    /// Speechmatics, realtime.
    Speechmatics,
    /// AssemblyAI Universal-Streaming, version 3.
    AssemblyAi,
    /// Rev.ai, streaming.
    Rev,
    /// Amazon Transcribe, streaming.
    Aws,
    /// Azure, conversation transcription.
    Azure,
    /// Google Cloud Speech-to-Text, streaming.
    Google,
    /// WhisperLive: `segments`.
    WhisperLive,
    /// The server of whisper_streaming: lines of text with two times.
    WhisperStreaming,
    /// The server of Vosk.
    Vosk,
    /// Jitsi: what Jigasi and Skynet say.
    Jitsi,
    /// LiveKit: segments, and text streams.
    LiveKit,
    /// Vexa: bundles of confirmed and pending segments.
    Vexa,
    /// Plain text, a caption a line.
    Text,
    /// Text with `>>` before each new speaker.
    Chevrons,
    /// A stenographer's characters, with deletes.
    StreamText,
    /// Captions as they are posted to Zoom.
    Zoom,
    /// Captions as they are posted to YouTube.
    YouTube,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Deepgram,
        Self::Flux,
        Self::Speechmatics,
        Self::AssemblyAi,
        Self::Rev,
        Self::Aws,
        Self::Azure,
        Self::Google,
        Self::WhisperLive,
        Self::WhisperStreaming,
        Self::Vosk,
        Self::Jitsi,
        Self::LiveKit,
        Self::Vexa,
        Self::Text,
        Self::Chevrons,
        Self::StreamText,
        Self::Zoom,
        Self::YouTube,
    ];

    /// The word for it in flags and URLs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deepgram => "deepgram",
            Self::Flux => "flux",
            Self::Speechmatics => "speechmatics",
            Self::AssemblyAi => "assemblyai",
            Self::Rev => "rev",
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Google => "google",
            Self::WhisperLive => "whisper-live",
            Self::WhisperStreaming => "whisper-streaming",
            Self::Vosk => "vosk",
            Self::Jitsi => "jitsi",
            Self::LiveKit => "livekit",
            Self::Vexa => "vexa",
            Self::Text => "text",
            Self::Chevrons => "chevrons",
            Self::StreamText => "streamtext",
            Self::Zoom => "zoom",
            Self::YouTube => "youtube",
        }
    }

    /// How its frames lie in a file or a pipe.
    #[must_use]
    pub fn framing(self) -> Framing {
        match self {
            Self::WhisperStreaming | Self::Text | Self::Chevrons | Self::YouTube => Framing::Lines,
            Self::StreamText => Framing::Characters,
            _ => Framing::Json,
        }
    }

    /// Begins to read what one connection says.
    #[must_use]
    pub fn open(self, options: Options) -> Box<dyn Dialect> {
        match self {
            Self::Deepgram => Box::new(JsonSessions::<deepgram::Deepgram>::new(options)),
            Self::Flux => Box::new(JsonSessions::<flux::Flux>::new(options)),
            Self::Speechmatics => Box::new(JsonSessions::<speechmatics::Speechmatics>::new(options)),
            Self::AssemblyAi => Box::new(JsonSessions::<assemblyai::AssemblyAi>::new(options)),
            Self::Rev => Box::new(JsonSessions::<rev::Rev>::new(options)),
            Self::Aws => Box::new(JsonSessions::<aws::Aws>::new(options)),
            Self::Azure => Box::new(JsonSessions::<azure::Azure>::new(options)),
            Self::Google => Box::new(JsonSessions::<google::Google>::new(options)),
            Self::WhisperLive => Box::new(JsonSessions::<whisper_live::WhisperLive>::new(options)),
            Self::WhisperStreaming => Box::new(LineSessions::<whisper_streaming::WhisperStreaming>::new(options)),
            Self::Vosk => Box::new(JsonSessions::<vosk::Vosk>::new(options)),
            Self::Jitsi => Box::new(JsonSessions::<jitsi::Jitsi>::new(options)),
            Self::LiveKit => Box::new(JsonSessions::<livekit::LiveKit>::new(options)),
            Self::Vexa => Box::new(JsonSessions::<vexa::Vexa>::new(options)),
            Self::Text => Box::new(LineSessions::<text::Text>::new(options)),
            Self::Chevrons => Box::new(LineSessions::<chevrons::Chevrons>::new(options)),
            Self::StreamText => Box::new(streamtext::StreamText::new(options)),
            Self::Zoom => Box::new(JsonSessions::<zoom::Zoom>::new(options)),
            Self::YouTube => Box::new(LineSessions::<youtube::YouTube>::new(options)),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let same = |format: &Self| format.as_str().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(same).ok_or_else(|| {
            let name: String = name.chars().filter(|c| !c.is_control()).take(32).collect();
            UnknownFormat { name }
        })
    }
}

/// A name that is no format's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no format of a publisher; there are captionwire, {}", Format::ALL.map(Format::as_str).join(", "))]
pub struct UnknownFormat {
    /// The name as it was given, shortened.
    pub name: String,
}

/// How frames lie in a file, a pipe or a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// A frame is a JSON value, and a line of a file holds one. Several may stand in one frame; none spreads over two.
    Json,
    /// A stream of text whose lines end with a line feed, wherever frames end. On a socket the end of a message ends the
    /// line as well, since a program that sends a caption in each does not write line feeds.
    Lines,
    /// A stream of characters: the end of a message means nothing.
    Characters,
}

/// What a connection is read with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Begins the ids of this connection's lines; no other connection of the source may have it. By the rule of line ids,
    /// and of 64 bytes at most.
    pub tag: Arc<str>,
    /// The source, where labels that the vendor numbers anew in each session are to be told from those of another one: as
    /// `source.tag:label` (semantics, section 1). Without it they stand as they are.
    pub label_source: Option<Arc<str>>,
    /// Added to every time: where the vendor's session began, in media time.
    pub offset_ms: MediaMs,
    /// The greatest time that makes sense; a greater one is left out.
    pub media_ms_max: MediaMs,
    /// The longest text of a line; a longer one becomes several lines.
    pub text_bytes_max: usize,
    /// The language of what does not say its own.
    pub lang: Option<Arc<str>>,
    /// The time of day at media time 0, for formats that speak in times of day. Without it the first such time stands at
    /// `offset_ms`.
    pub wall_start: Option<Timestamp>,
    /// Silence, in milliseconds, after which what the vendor called final is final for readers too, whether or not the
    /// vendor has said that the utterance is over. The feed's own silence between turns. It counts in media time, where
    /// the vendor goes on telling the time, and by the clock of who reads where it sends nothing new.
    pub turn_gap_ms: MediaMs,
}

impl Options {
    /// Times as they come, labels as they are.
    #[must_use]
    pub fn new(tag: &str) -> Self {
        Self {
            tag: tag.into(),
            label_source: None,
            offset_ms: 0,
            // A week, and 16 KiB: as the server has it by default.
            media_ms_max: 7 * 24 * 3_600_000,
            text_bytes_max: 16 * 1024,
            lang: None,
            wall_start: None,
            turn_gap_ms: TurnSettings::default().turn_gap_ms,
        }
    }

    /// A label that the vendor numbers anew in each session. One that is blank says nothing.
    fn anonymous(&self, label: &str) -> Label {
        match (&self.label_source, shortened(label)) {
            (_, label) if label.is_empty() => Label::Unsaid,
            (Some(source), label) => Label::Named(shortened(&format!("{source}.{}:{label}", self.tag))),
            (None, label) => Label::Named(label),
        }
    }

    /// The label of a voice that the vendor numbers: `Speaker 1` for a bare number or letter; one that is a name already
    /// (`SPEAKER_00`) stands as it is.
    fn voice(&self, scope: &str, label: &str) -> Label {
        let label = control_free(label);
        let label = label.trim();
        if label.is_empty() {
            return Label::Unsaid;
        }
        let number = label.strip_prefix("spk_").filter(|number| !number.is_empty()).unwrap_or(label);
        let is_bare = number.bytes().all(|b| b.is_ascii_digit()) || number.len() == 1;
        let label = if is_bare { format!("Speaker {number}") } else { label.to_owned() };
        self.anonymous(&format!("{scope}{label}"))
    }

    /// The label of a participant who has an id beside a name: two whose names are the same are two speakers.
    fn participant(&self, id: &str, name: &str) -> Label {
        let (id, name) = (id.trim(), shortened(name));
        match &self.label_source {
            Some(source) if !name.is_empty() && !id.is_empty() && id != &*name => {
                Label::Named(shortened(&format!("{source}.{}:{name}", short_name(id).replace(':', "-"))))
            }
            _ if name.is_empty() => self.name(id),
            _ => self.name(&name),
        }
    }

    /// A name that means the same in every session.
    fn name(&self, name: &str) -> Label {
        match shortened(name) {
            name if name.is_empty() => Label::Unsaid,
            name => Label::Named(name),
        }
    }

    /// A language tag as a line may hold it; RFC 5646, section 4.4.1, advises room for 35 bytes.
    fn lang_of(&self, tag: &str) -> Arc<str> {
        let tag: String =
            tag.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).take(35).collect();
        tag.into()
    }
}

/// A text without control characters.
fn control_free(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A label as a line may hold it: without control characters, and of 256 bytes at most.
fn shortened(label: &str) -> Arc<str> {
    let label = control_free(label);
    let label = label.trim();
    label[..label.floor_char_boundary(256)].into()
}

/// What a frame says.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// Versions of lines, which belong into one record. None has a revision: the fold numbers them.
    Lines(Vec<Version>),
    /// A line is taken back.
    Retract {
        /// Which line.
        id: Arc<str>,
    },
    /// Media time has reached this, and nothing was said up to there.
    Clock {
        /// The time.
        media_ms: MediaMs,
    },
}

/// What kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The frame cannot be read at all. Nothing of it was kept.
    Unreadable,
    /// The frame is of a kind that the vendor's format does not have. Nothing of it was kept.
    UnknownType,
    /// A part that has to be there is not, or is of the wrong type. That part was not kept.
    BadField,
    /// A time was left out. The text stands.
    BadTime,
    /// Something else was left out or altered; the message says what. The text stands.
    Odd,
    /// The engine's clock started over, or may have done so; the message says what became of the times. The text stands.
    ClockRestarted,
    /// The engine says that something is wrong with it.
    Engine,
}

impl FaultKind {
    /// Whether something that may have been speech was not kept.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        matches!(self, Self::Unreadable | Self::UnknownType | Self::BadField)
    }
}

/// Something in a frame that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// Where in the frame, what is wrong, and the mend, for people. Never holds a line's text.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Faults kept of one frame; nobody reads more, and a hostile frame must not make us keep more.
const FAULTS_MAX: usize = 16;

/// What became of a frame.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decoded {
    /// What it says, in order.
    pub says: Vec<Said>,
    /// What of it was not as it should be; the first few, and a last one that says how many more there are.
    pub faults: Vec<Fault>,
    /// Of the lines, those that came late: with the line before which each belongs. Neither may say a time.
    pub late: Vec<(Arc<str>, Arc<str>)>,
    /// Of the lines that are taken back, those of which nothing was said before: an earlier connection may have.
    pub unsaid: Vec<Arc<str>>,
    /// Faults that are not among them, and how many of those are refusals.
    untold: (usize, usize),
}

impl Decoded {
    fn fault(&mut self, kind: FaultKind, message: impl Into<String>) {
        if self.faults.len() < FAULTS_MAX {
            // What an engine reports may hold anything.
            let message = message.into().chars().filter(|c| !c.is_control()).take(300).collect();
            self.faults.push(Fault { kind, message });
            return;
        }
        self.untold.0 += 1;
        self.untold.1 += usize::from(kind.is_refusal());
        let (untold, refused) = self.untold;
        let (kind, left_out) = match refused {
            0 => (FaultKind::Odd, String::new()),
            _ => (FaultKind::BadField, format!("; {refused} parts were left out for it")),
        };
        self.faults.truncate(FAULTS_MAX);
        let message = format!("{untold} more things in this frame are not as they should be{left_out}");
        self.faults.push(Fault { kind, message });
    }

    /// A kind of message that `vendor` does not have, as far as we know.
    fn unknown_type(&mut self, vendor: &str, kind: &str) {
        let kind: String = kind.chars().filter(|c| !c.is_control()).take(32).collect();
        self.fault(
            FaultKind::UnknownType,
            format!("{kind:?} is no message of {vendor} that is known here: it was left out"),
        );
    }
}

/// Reads what one connection of a vendor's engine says.
pub trait Dialect: Send {
    /// Takes one frame, whatever bytes it holds, and adds what it says to `out`.
    fn decode(&mut self, frame: &[u8], out: &mut Decoded);

    /// Nothing follows: what is settled and was not final becomes so. A guess stays one.
    fn end(&mut self, out: &mut Decoded);

    /// What its source said before this connection, which nobody said how to place: where the engine began anew, its times
    /// are counted from the feed's present time.
    fn stand_behind(&mut self, _earlier: Box<dyn EarlierSpeech>) {}

    /// So much time has passed since this connection began: where a session of the engine begins within it, its times go on
    /// from there. Without it they go on behind what was said last.
    fn elapsed(&mut self, _elapsed_ms: MediaMs) {}

    /// When, by the time that [`Self::elapsed`] counts, [`Self::rest`] has to be called unless another frame comes first:
    /// what the vendor settled is final then. `None` where nothing waits. Asked after each frame.
    fn due_ms(&mut self) -> Option<MediaMs> {
        None
    }

    /// Nothing was said until `elapsed_ms`: what was due by then becomes final. Some engines send nothing in a silence.
    fn rest(&mut self, _elapsed_ms: MediaMs, _out: &mut Decoded) {}

    /// The engine's session is over: as [`Self::end`], and a guess stands as it was shown last, for nobody will say it
    /// better. What follows is another session.
    fn close_session(&mut self, out: &mut Decoded) {
        self.end(out);
    }

    /// The engine was connected to anew, `elapsed_ms` after the first time: its session is closed, and the next one begins.
    fn reconnect(&mut self, _elapsed_ms: MediaMs, out: &mut Decoded) {
        self.close_session(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of many faults the first are told, and how many more there are.
    #[test]
    fn faults_beyond_the_first_are_counted() {
        let mut out = Decoded::default();
        let mut add = |kind, count: usize| {
            (0..count).for_each(|_| out.fault(kind, "something"));
            (out.faults.len(), out.faults.last().cloned().expect("there are some"))
        };
        assert_eq!(add(FaultKind::BadTime, FAULTS_MAX).0, FAULTS_MAX);
        let (told, last) = add(FaultKind::Odd, 2);
        assert_eq!((told, last.kind), (FAULTS_MAX + 1, FaultKind::Odd));
        assert!(last.message.starts_with("2 more things"), "{last}");
        let (told, last) = add(FaultKind::BadField, 3);
        assert_eq!((told, last.kind), (FAULTS_MAX + 1, FaultKind::BadField));
        assert!(last.message.starts_with("5 more things") && last.message.contains("3 parts"), "{last}");
    }
}
