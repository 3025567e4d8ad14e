//! What a message tells of the session of the engine it belongs to.

use std::borrow::Cow;

/// Where the speech of a message stands, by the session's own clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SpeechSpan<'a> {
    /// The channel or participant whose clock it is.
    pub(crate) stream: (u64, &'a str),
    pub(crate) start_ms: f64,
    pub(crate) end_ms: f64,
    /// It is a time of day.
    pub(crate) is_wall: bool,
}

impl<'a> SpeechSpan<'a> {
    /// A span on the session's only clock; none without a start. An end that is not there is the start.
    pub(crate) fn new(start_ms: Option<f64>, end_ms: Option<f64>) -> Option<Self> {
        let start_ms = start_ms.or(end_ms)?;
        let end_ms = end_ms.unwrap_or(start_ms).max(start_ms);
        Some(Self { stream: (0, ""), start_ms, end_ms, is_wall: false })
    }

    /// The same on the clock of a channel.
    pub(crate) fn of_channel(self, channel: u64) -> Self {
        Self { stream: (channel, ""), ..self }
    }

    /// The same on the clock of somebody with a name.
    pub(crate) fn of_stream(self, name: &'a str) -> Self {
        Self { stream: (0, name), ..self }
    }
}

/// What a message tells of the session it belongs to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SessionSign<'a> {
    /// It announces a session.
    pub(crate) begins: bool,
    /// Nothing of this session follows it.
    pub(crate) ends: bool,
    /// The session's name.
    pub(crate) name: Option<&'a str>,
    /// It holds speech, or says that there is none.
    pub(crate) says: bool,
    /// Where that is. None for what revises a line that is known.
    pub(crate) span: Option<SpeechSpan<'a>>,
    /// Its id is that of a line that says something else.
    pub(crate) reuses_id: bool,
    /// What it says in that span.
    pub(crate) text: Cow<'a, str>,
    /// The vendor will not change that.
    pub(crate) is_settled: bool,
    /// Who says it, where several may speak at once; else empty.
    pub(crate) voice: &'a str,
    /// What else it says behind that.
    pub(crate) more: Vec<MoreSpeech<'a>>,
}

/// A piece of speech in a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct MoreSpeech<'a> {
    pub(crate) span: SpeechSpan<'a>,
    pub(crate) text: &'a str,
    /// The vendor will not change it.
    pub(crate) is_settled: bool,
}
