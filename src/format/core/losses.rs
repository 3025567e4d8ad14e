//! The losses of a document in a format: what it has and the format cannot hold, counted by kind.
//!
//! `convert`, `export` and the HTTP answer report the counts. A property test writes and reads random transcripts and
//! compares the counts with what it measures.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use crate::format::core::cues::spans;
use crate::format::core::document::{Document, SpeakerNameTable};
use crate::format::core::fidelity::{FormatWriter, StartPrecision, WrittenTimes};
use crate::format::core::kinds::FileKind;
use crate::format::core::source_markup::SourceMarkup;
use crate::transcript::{Line, TimeSource};

/// The kinds of loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LossKind {
    /// Starts of lines other than the first of a turn; or a start before the first word, in a format whose words hold
    /// the start.
    Starts,
    /// Fractions of a second of starts.
    Milliseconds,
    /// Ends of lines.
    Ends,
    /// Ends that are moved because the cue would be too short to be seen.
    ShortCues,
    /// Marks of estimated times.
    Estimates,
    /// Times of words, counted in lines.
    Words,
    /// Languages of lines.
    Languages,
    /// Turn breaks that a source asked for.
    Breaks,
    /// Names of speakers that the format cannot hold as they are.
    Names,
    /// Speakers with equal names, which only their ids distinguish.
    Namesakes,
    /// Lines without a speaker.
    Unnamed,
    /// Line breaks and runs of blanks, counted in lines.
    Blanks,
    /// Characters that the format cannot hold, counted in lines.
    Characters,
    /// The title.
    Title,
    /// The language of the feed.
    Language,
    /// Preamble and trailer.
    Notes,
}

impl LossKind {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Starts,
        Self::Milliseconds,
        Self::Ends,
        Self::ShortCues,
        Self::Estimates,
        Self::Words,
        Self::Languages,
        Self::Breaks,
        Self::Names,
        Self::Namesakes,
        Self::Unnamed,
        Self::Blanks,
        Self::Characters,
        Self::Title,
        Self::Language,
        Self::Notes,
    ];

    /// The word for it in the header of an HTTP answer.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starts => "starts",
            Self::Milliseconds => "milliseconds",
            Self::Ends => "ends",
            Self::ShortCues => "short-cues",
            Self::Estimates => "estimates",
            Self::Words => "words",
            Self::Languages => "languages",
            Self::Breaks => "breaks",
            Self::Names => "names",
            Self::Namesakes => "namesakes",
            Self::Unnamed => "unnamed",
            Self::Blanks => "blanks",
            Self::Characters => "characters",
            Self::Title => "title",
            Self::Language => "language",
            Self::Notes => "notes",
        }
    }
}

/// One kind of loss, with its count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// The kind.
    pub kind: LossKind,
    /// The number of losses of this kind; at least one.
    pub count: usize,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |one: &str, many: &str| match self.count {
            1 => format!("1 {one}"),
            count => format!("{count} {many}"),
        };
        let lines = of("line", "lines");
        match self.kind {
            LossKind::Starts => write!(f, "the start of {lines}"),
            LossKind::Milliseconds => write!(f, "the milliseconds of {}", of("start", "starts")),
            LossKind::Ends => write!(f, "the end of {lines}"),
            LossKind::ShortCues => write!(f, "the end of {lines} too short to be seen"),
            LossKind::Estimates => write!(f, "that times of {lines} are estimated"),
            LossKind::Words => write!(f, "the times of words in {lines}"),
            LossKind::Languages => write!(f, "the language of {lines}"),
            LossKind::Breaks => write!(f, "the turn break before {lines}"),
            LossKind::Names => write!(f, "some characters of {}", of("speaker's name", "speakers' names")),
            LossKind::Namesakes => write!(f, "the ids of {} with the same name", of("speaker", "speakers")),
            LossKind::Unnamed => write!(f, "that {} no speaker", of("line has", "lines have")),
            LossKind::Blanks => write!(f, "line breaks or blanks in {lines}"),
            LossKind::Characters => write!(f, "some characters in {lines}"),
            LossKind::Title => f.write_str("the title as it is"),
            LossKind::Language => f.write_str("the language of the feed"),
            LossKind::Notes => f.write_str("the notes before and after the speech"),
        }
    }
}

/// All losses of a document in a format, each kind once. Its `Display` form is a list for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Losses(pub Vec<Loss>);

impl Losses {
    /// Returns true if nothing is lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Formats the losses for the header of an HTTP answer: a dictionary of integers (RFC 9651, section 3.2), such as
    /// `words=12, ends=3`.
    #[must_use]
    pub fn header(&self) -> String {
        let losses = self.0.iter().map(|loss| format!("{}={}", loss.kind.as_str(), loss.count));
        losses.collect::<Vec<_>>().join(", ")
    }

    /// Parses the output of [`header`](Self::header). Unknown kinds, of a newer release, are skipped.
    #[must_use]
    pub fn of_header(header: &str) -> Self {
        let losses = header.split(',').filter_map(|one| {
            let (name, count) = one.trim().split_once('=')?;
            let kind = LossKind::ALL.into_iter().find(|kind| kind.as_str() == name)?;
            Some(Loss { kind, count: count.parse().ok()? })
        });
        Self(losses.collect())
    }
}

impl fmt::Display for Losses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, loss) in self.0.iter().enumerate() {
            f.write_str(if index > 0 { ", " } else { "" })?;
            loss.fmt(f)?;
        }
        Ok(())
    }
}

/// Counts what `document` has and files of `writer` cannot hold; each kind once. Markup that was read from a file of the
/// same `kind` and kept beside its lines is not lost.
pub(crate) fn count(writer: &FormatWriter, kind: Option<FileKind>, document: &Document) -> Losses {
    let mut counts: BTreeMap<LossKind, usize> = BTreeMap::new();
    let mut lose = |kind: LossKind, count: usize| {
        if count > 0 {
            *counts.entry(kind).or_default() += count;
        }
    };
    let keeps = writer.keeps;
    if keeps.records {
        return Losses::default();
    }
    let kept = document.kept.as_deref().filter(|kept| Some(kept.kind) == kind);
    let of_file = kept.map(SourceMarkup::by_line).unwrap_or_default();
    let names = document.names();
    for (index, line) in said(document).enumerate() {
        let is_kept = of_file.contains_key(&*line.id);
        lose(LossKind::Languages, usize::from(!keeps.languages && line.lang.is_some() && !is_kept));
        lose(LossKind::Words, usize::from(!line.words.is_empty() && !is_kept && !has_words(writer, line)));
        let back = if is_kept { Cow::Borrowed(&*line.text) } else { (writer.text)(&line.text).into() };
        let is_sign = writer.has_break_sign && back.starts_with(">>");
        lose(LossKind::Breaks, usize::from(index > 0 && line.break_before.is_some() && !is_sign));
        let is_named = named(writer, &names, line).is_some();
        lose(LossKind::Unnamed, usize::from(!keeps.unnamed && !is_named));
        // Words with times are no estimates.
        let is_by_words = matches!(writer.times, WrittenTimes::Words { .. }) && !line.words.is_empty();
        let says_so = keeps.estimates && line.time_source == Some(TimeSource::Order) && !is_by_words;
        let is_estimate = line.time_source.is_some() && !says_so && keeps.starts != StartPrecision::SecondsOfTurns;
        lose(LossKind::Estimates, usize::from(is_estimate));
        if *back != *line.text {
            let solid = |text: &str| text.split_whitespace().collect::<String>();
            let is_blank = solid(&back) == solid(&line.text);
            lose(if is_blank { LossKind::Blanks } else { LossKind::Characters }, 1);
        }
    }
    times(writer, document, &mut lose);
    if kept.is_none() {
        speakers(writer, document, &mut lose);
    }
    let meta = &document.meta;
    let is_changed = |title: &str| !keeps.title || kept.is_none() && (writer.title)(title) != title;
    lose(LossKind::Title, usize::from(meta.title.as_deref().is_some_and(is_changed)));
    lose(LossKind::Language, usize::from(!keeps.language && meta.language.is_some() && kept.is_none()));
    let notes = [&meta.preamble, &meta.trailer].into_iter().flatten().count();
    lose(LossKind::Notes, usize::from(!keeps.notes && notes > 0));
    Losses(counts.into_iter().map(|(kind, count)| Loss { kind, count }).collect())
}

/// The lines that are written.
fn said(document: &Document) -> impl Iterator<Item = &Line> {
    document.lines().filter(|line| !line.text.trim().is_empty())
}

fn named<'a>(writer: &FormatWriter, names: &SpeakerNameTable<'a>, line: &'a Line) -> Option<String> {
    let name = names.of(line.speaker.as_deref()).filter(|name| !name.trim().is_empty());
    name.and_then(|name| writer.name_read_back(name))
}

fn has_words(writer: &FormatWriter, line: &Line) -> bool {
    matches!(writer.times, WrittenTimes::Words { hold_all, .. } if hold_all(line))
}

fn times(writer: &FormatWriter, document: &Document, lose: &mut impl FnMut(LossKind, usize)) {
    let keeps = writer.keeps;
    let is_known = |line: &&Line| line.end_ms.is_some_and(|end| end > line.start_ms);
    match keeps.starts {
        StartPrecision::Milliseconds => {}
        StartPrecision::Seconds => {
            lose(LossKind::Milliseconds, said(document).filter(|line| line.start_ms % 1000 != 0).count());
        }
        StartPrecision::SecondsOfTurns => {
            let turns =
                document.turns.iter().map(|(_, lines)| lines.iter().filter(|line| !line.text.trim().is_empty()));
            for (index, line) in turns.flat_map(Iterator::enumerate) {
                let is_known = line.time_source.is_none();
                lose(LossKind::Starts, usize::from(index > 0 && is_known));
                lose(LossKind::Estimates, usize::from(index == 0 && !is_known));
                lose(LossKind::Milliseconds, usize::from(index == 0 && line.start_ms % 1000 != 0));
            }
        }
    }
    match writer.times {
        WrittenTimes::All => {}
        WrittenTimes::Cues => {
            for span in spans(document) {
                let is_moved = !span.is_estimated && span.line.end_ms != Some(span.end);
                lose(LossKind::ShortCues, usize::from(is_moved));
                lose(
                    LossKind::Estimates,
                    usize::from(!keeps.estimates && span.is_estimated && span.line.time_source.is_none()),
                );
            }
        }
        WrittenTimes::Words { of_line, .. } => {
            for line in said(document) {
                let (start, end) = of_line(line);
                lose(LossKind::Starts, usize::from(line.time_source.is_none() && start != Some(line.start_ms)));
                lose(LossKind::Ends, usize::from(is_known(&line) && end != line.end_ms));
            }
        }
        WrittenTimes::Starts => lose(LossKind::Ends, said(document).filter(is_known).count()),
    }
}

fn speakers(writer: &FormatWriter, document: &Document, lose: &mut impl FnMut(LossKind, usize)) {
    let names = document.names();
    let ids: HashSet<&str> = said(document).filter_map(|line| names.root(line.speaker.as_deref())).collect();
    let mut by_name: HashMap<String, usize> = HashMap::new();
    for id in ids {
        let Some(name) = names.of(Some(id)).filter(|name| !name.trim().is_empty()) else { continue };
        let back = writer.name_read_back(name);
        lose(LossKind::Names, usize::from(back.as_deref() != Some(name)));
        if let Some(back) = back {
            *by_name.entry(back).or_default() += 1;
        }
    }
    lose(LossKind::Namesakes, by_name.values().filter(|count| **count > 1).sum());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_to_people_and_to_programs() {
        let losses = Losses(vec![
            Loss { kind: LossKind::Ends, count: 1 },
            Loss { kind: LossKind::Words, count: 12 },
            Loss { kind: LossKind::Unnamed, count: 1 },
        ]);
        assert_eq!(losses.to_string(), "the end of 1 line, the times of words in 12 lines, that 1 line has no speaker");
        assert_eq!(losses.header(), "ends=1, words=12, unnamed=1");
        assert_eq!(Losses::of_header(&losses.header()), losses);
        assert_eq!(Losses::of_header("ends=1, dreams=2, words=x"), Losses(losses.0[..1].to_vec()));
        let all = Losses(LossKind::ALL.map(|kind| Loss { kind, count: 7 }).to_vec());
        assert_eq!(Losses::of_header(&all.header()), all);
    }
}
