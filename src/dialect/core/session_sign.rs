//! Information in a message about the engine session that it belongs to.

use std::borrow::Cow;

/// Time span of a message's speech, by the session's own clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SpeechSpan<'a> {
    /// The channel or participant whose clock it is.
    pub(crate) stream: (u64, &'a str),
    pub(crate) start_ms: f64,
    pub(crate) end_ms: f64,
    /// True if it is a time of day.
    pub(crate) is_wall: bool,
}

impl<'a> SpeechSpan<'a> {
    /// Creates a span on the session's only clock; `None` without a start and end. A missing end equals the start.
    pub(crate) fn new(start_ms: Option<f64>, end_ms: Option<f64>) -> Option<Self> {
        let start_ms = start_ms.or(end_ms)?;
        let end_ms = end_ms.unwrap_or(start_ms).max(start_ms);
        Some(Self { stream: (0, ""), start_ms, end_ms, is_wall: false })
    }

    /// Returns the same span on the clock of a channel.
    pub(crate) fn of_channel(self, channel: u64) -> Self {
        Self { stream: (channel, ""), ..self }
    }

    /// Returns the same span on the clock of a named participant.
    pub(crate) fn of_stream(self, name: &'a str) -> Self {
        Self { stream: (0, name), ..self }
    }
}

/// Information in a message about its session.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SessionSign<'a> {
    /// True if it announces a session.
    pub(crate) begins: bool,
    /// True if it is the last message of its session.
    pub(crate) ends: bool,
    /// The session's name.
    pub(crate) name: Option<&'a str>,
    /// True if it contains speech, or reports its absence.
    pub(crate) says: bool,
    /// Time span of the speech. `None` for a revision of a known line.
    pub(crate) span: Option<SpeechSpan<'a>>,
    /// True if its id belongs to a line with other content.
    pub(crate) reuses_id: bool,
    /// Text in that span.
    pub(crate) text: Cow<'a, str>,
    /// True if the vendor will not change it.
    pub(crate) is_settled: bool,
    /// Speaker, if several may speak at once; otherwise empty.
    pub(crate) voice: &'a str,
    /// Further speech in the message.
    pub(crate) more: Vec<MoreSpeech<'a>>,
}

/// A piece of speech in a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct MoreSpeech<'a> {
    pub(crate) span: SpeechSpan<'a>,
    pub(crate) text: &'a str,
    /// True if the vendor will not change it.
    pub(crate) is_settled: bool,
}
