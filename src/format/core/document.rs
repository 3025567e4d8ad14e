//! The input of all writers: a transcript, or a part of it, at one moment.

use std::collections::HashMap;
use std::sync::Arc;

use crate::format::core::reading::ParsedTranscript;
use crate::format::core::source_markup::SourceMarkup;
use crate::position::{Cursor, Epoch, FeedId, Offset};
use crate::transcript::line::DEFAULT_SOURCE;
use crate::transcript::{
    FeedMeta, FeedState, FoldView, Line, MediaMs, Op, Record, Speaker, Timestamp, Transcript, Turn, TurnSettings,
};

/// A part of a transcript. All limits hold together; the default is the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// Lines that start at this media time or later.
    pub from_ms: Option<MediaMs>,
    /// Lines that start before this media time.
    pub to_ms: Option<MediaMs>,
    /// The number of turns to keep, from the end, after the other limits.
    pub last_turns: Option<usize>,
}

impl Range {
    fn holds(&self, line: &Line) -> bool {
        self.from_ms.is_none_or(|from| line.start_ms >= from) && self.to_ms.is_none_or(|to| line.start_ms < to)
    }
}

/// A transcript at one moment, ready to be written.
#[derive(Debug, Clone)]
pub struct Document {
    /// The feed.
    pub feed: FeedId,
    /// Metadata of the feed: title, language, notes.
    pub meta: FeedMeta,
    /// State of the feed.
    pub state: FeedState,
    /// The generation of the feed. `None` for a file.
    pub epoch: Option<Epoch>,
    /// Cursor from which a subscriber continues after what is written.
    pub cursor: Option<Cursor>,
    /// All speakers of the feed that readers know of, also those outside the range.
    pub speakers: Vec<Speaker>,
    /// Turns with their lines within the range. The facts of a turn are those of the whole turn.
    pub turns: Vec<(Turn, Vec<Line>)>,
    /// Markup of the source file beside its lines. `None` for a feed.
    pub kept: Option<Arc<SourceMarkup>>,
}

impl Document {
    /// Creates a document of `feed` without anything in it.
    #[must_use]
    pub fn new(feed: FeedId) -> Self {
        Self {
            feed,
            meta: FeedMeta::default(),
            state: FeedState::default(),
            epoch: None,
            cursor: None,
            speakers: Vec::new(),
            turns: Vec::new(),
            kept: None,
        }
    }

    /// Returns the part `range` of `transcript` as it stands now. Takes memory for that part, and time for the whole
    /// transcript unless `last_turns` limits it.
    #[must_use]
    pub fn of(feed: &FeedId, transcript: &Transcript, range: Range) -> Self {
        let within = transcript.assembled().rev().filter_map(|(turn, mut lines)| {
            lines.retain(|line| range.holds(line));
            (!lines.is_empty()).then_some((turn, lines))
        });
        let mut turns: Vec<_> = within.take(range.last_turns.unwrap_or(usize::MAX)).collect();
        turns.reverse();
        Self {
            meta: transcript.meta().clone(),
            state: transcript.state(),
            epoch: transcript.epoch().cloned(),
            cursor: transcript.cursor(transcript.change()),
            speakers: transcript.speakers(),
            turns,
            ..Self::new(feed.clone())
        }
    }

    /// Returns the transcript of the feed `feed` as if `reading` had been imported at the time `at`.
    #[must_use]
    pub fn of_reading(feed: &FeedId, reading: &ParsedTranscript, at: Timestamp) -> Self {
        let mut transcript = Transcript::new(FoldView::FinalOnly);
        let open = Op::Open { epoch: Epoch::new("file"), settings: TurnSettings::default(), imported: true };
        let records = std::iter::once(Record::new(at, open)).chain(reading.records(at));
        for (offset, record) in (0..).zip(records) {
            transcript.apply(Offset(offset), record);
        }
        let document = Self::of(feed, &transcript, Range::default());
        // No reader can continue from this fold.
        Self { kept: reading.kept.clone(), epoch: None, cursor: None, ..document }
    }

    /// All lines, in order.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.turns.iter().flat_map(|(_, lines)| lines)
    }

    pub(crate) fn names(&self) -> SpeakerNameTable<'_> {
        SpeakerNameTable { speakers: self.speakers.iter().map(|speaker| (&*speaker.id, speaker)).collect() }
    }
}

impl ParsedTranscript {
    /// Returns the records of an imported feed without its opening, which the server writes. Each line has a record of
    /// its own, so that a replay sends each at its time.
    pub fn records(&self, at: Timestamp) -> impl Iterator<Item = Record> + use<'_> {
        let (history, lines) = match &self.history {
            Some(history) => (history.as_slice(), [].as_slice()),
            None => ([].as_slice(), self.lines.as_slice()),
        };
        let meta = self.history.is_none().then(|| Record::new(at, Op::Meta(self.meta.clone())));
        let end = self.history.is_none().then(|| Record::new(at, Op::End));
        let source: Arc<str> = DEFAULT_SOURCE.into();
        let line = move |line: &crate::transcript::Version| {
            Record::new(at, Op::Line { source: source.clone(), lines: vec![line.clone()] })
        };
        history.iter().cloned().chain(meta).chain(lines.iter().map(line)).chain(end)
    }
}

/// Display names of speakers, after merges and renames.
#[derive(Debug)]
pub(crate) struct SpeakerNameTable<'a> {
    speakers: HashMap<&'a str, &'a Speaker>,
}

impl<'a> SpeakerNameTable<'a> {
    /// Returns the name of a speaker: `None` for no speaker, and the id itself for one that the document does not list.
    pub(crate) fn of(&self, speaker: Option<&'a str>) -> Option<&'a str> {
        let id = self.root(speaker)?;
        Some(self.speakers.get(id).map_or(id, |known| &known.name))
    }

    /// The id of the speaker that `speaker` was merged into, or its own.
    pub(crate) fn root(&self, speaker: Option<&'a str>) -> Option<&'a str> {
        let mut id = speaker?;
        // The fold never closes a cycle of merges, but a document from elsewhere might. The bound makes the walk end.
        for _ in 0..=self.speakers.len() {
            match self.speakers.get(id) {
                Some(Speaker { into: Some(into), .. }) => id = into,
                _ => return Some(id),
            }
        }
        Some(id)
    }
}
