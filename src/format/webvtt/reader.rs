//! Reader of the blocks of a file, and of the files or segments that are joined to it.

use std::collections::HashSet;
use std::sync::Arc;

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::cue_syntax::{self, BYTE_ORDER_MARK, CueNumbers};
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::ParsedTranscript;
use crate::format::core::source_markup::{HELD, SourceCue, SourceMarkup};
use crate::format::core::{rolling, speaker_labels};
use crate::format::text::text_lines::{excerpt, numbered, tidy};
use crate::format::webvtt::file::{self, VttBlock, VttBlockKind, VttFile};
use crate::format::webvtt::id_speakers::IdSpeakers;
use crate::format::webvtt::notes::WriterNotes;
use crate::format::webvtt::segmented_file::{SegmentedFile, VttCue};
use crate::format::webvtt::segments::{self, VttSegment};
use crate::format::webvtt::text::{self, CuePiece, VoiceText};
use crate::format::webvtt::timing;
use crate::transcript::{Content, MediaMs, Word};

pub(in super::super) fn read(text: &str, mut gather: TranscriptBuilder) -> ParsedTranscript {
    // "Replace all U+0000 NULL characters in input by U+FFFD": decoding has done that.
    // The standard has no blank lines above the header.
    let lines_above = numbered(text).take_while(|(_, line)| line.trim().is_empty()).count();
    let begin = numbered(text).nth(lines_above).map_or(0, |(_, line)| line.as_ptr() as usize - text.as_ptr() as usize);
    let (segments, is_stream) = segments::split(&text[begin..]);
    let mut parts = segments.into_iter();
    let mut file = parts.next().map_or_else(VttFile::default, |first| {
        let (file, problem) = file::parse_any(first.text);
        let blanks = (lines_above > 0).then_some("there are blank lines above WEBVTT: read as a header all the same");
        if let Some(problem) = problem.or(blanks) {
            gather.problem(lines_above + 1, 1, problem.to_owned());
        }
        file
    });
    let mut reader = WebVttReader::new(gather, &file, SegmentedFile::new(parts.len() > 0, is_stream));
    reader.map_times(&file.header, lines_above);
    reader.blocks(&mut file, lines_above);
    for part in parts {
        reader.joined_file(&part, lines_above + part.lines_before);
    }
    reader.finish()
}

/// Title and language in the first line: `WEBVTT - title`, with one dash, two, or another beginning of the title.
/// `WEBVTT FILE`, as some programs write, has no title. Others write there what belongs on the lines below.
pub(super) fn title(first: &str) -> (Option<&str>, Option<&str>) {
    let first = first.trim_start();
    if first.starts_with("Kind:") || first.starts_with("Language:") {
        let mut facts = first.split(';').filter_map(|fact| fact.split_once(':'));
        return (None, facts.find(|(name, _)| name.trim() == "Language").map(|(_, language)| language.trim()));
    }
    let title = first.strip_prefix("- ").unwrap_or_else(|| first.trim_start_matches('-')).trim();
    (Some(title).filter(|title| !title.is_empty() && *first != *"FILE"), None)
}

/// Kinds of contents that lines cannot hold.
#[derive(Debug, Clone, Copy)]
enum LostMarkup {
    Styles,
    Places,
    Classes,
    Notes,
    Ids,
}

impl LostMarkup {
    /// All kinds, in the order of their declaration, with their names for people.
    const ALL: [(Self, &str); 5] = [
        (Self::Styles, "styles and regions"),
        (Self::Places, "the place on the screen of cues"),
        (Self::Classes, "classes, fonts and ruby within cues"),
        (Self::Notes, "notes"),
        (Self::Ids, "ids of cues"),
    ];
}

/// Reader of the blocks of a file.
struct WebVttReader {
    gather: TranscriptBuilder,
    kept: SourceMarkup,
    regions: HashSet<String>,
    notes: WriterNotes,
    /// True if voices or ids of cues name speakers.
    names_people: bool,
    /// The line of the first loss of each kind, and their number.
    lost: [Option<(usize, usize)>; LostMarkup::ALL.len()],
    ids: IdSpeakers,
    segments: SegmentedFile,
    numbers: CueNumbers,
    /// True if another file has begun, and no cue of it was read yet.
    begins_anew: bool,
}

impl WebVttReader {
    fn new(mut gather: TranscriptBuilder, file: &VttFile<'_>, segments: SegmentedFile) -> Self {
        let (title, language) = title(file.title);
        gather.meta.title = title.map(Arc::from);
        // Not in the standard, but in half of the files on the web.
        let below = file.header.iter().rev().find_map(|line| line.strip_prefix("Language:")).map(str::trim);
        gather.meta.language = below.or(language).map(Arc::from);
        if segments.is_cut {
            // Each segment says how its times relate to the clock of the stream.
            gather.times_rule();
        }
        let header = std::iter::once(file.title).chain(file.header.iter().copied()).collect::<Vec<_>>().join("\n");
        Self {
            gather,
            kept: SourceMarkup { kind: FileKind::Vtt, header, cues: Vec::new(), tail: Vec::new() },
            regions: HashSet::new(),
            notes: WriterNotes::default(),
            names_people: false,
            lost: [None; LostMarkup::ALL.len()],
            ids: IdSpeakers::default(),
            segments,
            numbers: CueNumbers::default(),
            begins_anew: false,
        }
    }

    /// Reads a segment, or another file, that starts after `lines_before` lines.
    fn joined_file(&mut self, part: &VttSegment<'_>, lines_before: usize) {
        if !part.is_parted {
            let message = "there is no empty line before this header of another file: read as one all the same";
            self.gather.problem(lines_before + 1, 1, message);
        }
        let mut file = file::parse(part.text).unwrap_or_default();
        if let (Some(title), _) = title(file.title) {
            let message =
                format!("the title of this file, {:?}, is left out: the first one is that of all", excerpt(title));
            self.gather.left_out(lines_before + 1, 1, message);
        }
        self.segments.next_segment();
        if self.segments.is_cut {
            self.map_times(&file.header, lines_before);
        } else {
            // Another file, to which the notes of the one before do not apply.
            self.notes.begin_file();
            self.begins_anew = true;
        }
        self.blocks(&mut file, lines_before);
    }

    /// Adapts the offset of times to a segment's header. If its map cannot be read, that is reported.
    fn map_times(&mut self, header: &[&str], lines_before: usize) {
        if let Err(line) = self.segments.map_times(header) {
            let message = format!("{:?} cannot be read: times go on as those before", excerpt(line));
            self.gather.problem(lines_before + 2, 1, message);
        }
    }

    fn lose(&mut self, markup: LostMarkup, at: usize) {
        let (_, count) = self.lost[markup as usize].get_or_insert((at, 0));
        *count += 1;
    }

    /// Keeps a block unchanged, before the next cue.
    fn keep(&mut self, block: &VttBlock<'_>) {
        self.kept.tail.push(block.lines.join("\n"));
    }

    /// Reads the blocks of a file that starts after `lines_before` lines.
    fn blocks(&mut self, file: &mut VttFile<'_>, lines_before: usize) {
        for at in file::part(&mut file.blocks) {
            let message = "there is no empty line before this line, which is no text: read as if there were one";
            self.gather.problem(lines_before + at, 1, message);
        }
        self.ids.begin_file(&file.blocks);
        for block in &mut file.blocks {
            block.at += lines_before;
            self.block(block);
        }
    }

    fn block(&mut self, block: &VttBlock<'_>) {
        for (line, text) in (block.at..).zip(&block.lines) {
            self.gather.check_characters(line, text);
        }
        match block.kind {
            VttBlockKind::Cue { times } => self.cue_block(block, times),
            VttBlockKind::Style => {
                self.lose(LostMarkup::Styles, block.at);
                self.keep(block);
            }
            VttBlockKind::Region => self.region_block(block),
            VttBlockKind::Other => self.other_block(block),
        }
    }

    fn region_block(&mut self, block: &VttBlock<'_>) {
        self.lose(LostMarkup::Styles, block.at);
        let region = file::region(&block.lines[1..]);
        for setting in region.odd {
            let message = format!("{:?} is no setting of a region: the standard skips it", excerpt(setting));
            self.gather.problem(block.at, 1, message);
        }
        if region.id.is_empty() {
            self.gather.problem(block.at, 1, "this region has no id, so that no cue can name it: left out");
        } else {
            self.regions.insert(region.id.to_owned());
            self.kept.tail.push(format!("REGION\n{}", region.settings.join("\n")));
        }
    }

    fn other_block(&mut self, block: &VttBlock<'_>) {
        let first = block.lines[0];
        // The header of another file, appended to the first.
        if first.trim_start_matches(BYTE_ORDER_MARK).starts_with("WEBVTT") {
            self.gather.part_may_begin();
        }
        if first.starts_with(segments::MAP) {
            self.map_times(&block.lines, block.at - 1);
            let message = "this line belongs into a header, right below WEBVTT: the times behind it go by it";
            return self.gather.problem(block.at, 1, message);
        }
        // "A WebVTT comment block": a parser skips it like all blocks that are no cues.
        let note = first.strip_prefix("NOTE").filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        match note {
            Some(note) if block.lines.len() == 1 && self.notes.take(note.trim()) => {}
            Some(_) => {
                self.lose(LostMarkup::Notes, block.at);
                self.keep(block);
            }
            None => {
                let text = excerpt(&block.lines.join(" "));
                let hint = if self.kept.cues.is_empty() { "" } else { "; an empty line ended the cue before" };
                self.gather.left_out(block.at, 1, format!("{text:?} belongs to no cue: left out{hint}"));
            }
        }
    }

    /// Reads the block of a cue, whose line of times has the index `times`.
    fn cue_block(&mut self, block: &VttBlock<'_>, times: usize) {
        let at = block.at + times;
        let Some((start, end, rest)) = self.times(block, times) else { return };
        let settings = self.settings(at, block.lines[times], rest);
        let cue = VttCue {
            at,
            start: start.saturating_add(self.segments.shift),
            end: end.saturating_add(self.segments.shift),
            id: block.lines[..times].concat(),
            settings,
            text: block.lines[times + 1..].join("\n"),
        };
        let is_met = self.segments.is_met(&cue);
        if self.segments.is_cut && is_met || self.continues(&cue) {
            return;
        }
        self.begin_part(block.lines[..times].first().copied(), is_met);
        let pieces = self.pieces(&cue);
        self.cue(block.at, cue, &pieces);
    }

    /// Parses the line of times of a cue, and reports one that is not written as the standard says. `None` if it cannot
    /// be understood.
    fn times<'b>(&mut self, block: &VttBlock<'b>, times: usize) -> Option<(MediaMs, MediaMs, &'b str)> {
        let (line, at) = (block.lines[times], block.at + times);
        let byte = match timing::timings(line) {
            Ok(times) => return Some(times),
            Err(byte) => byte,
        };
        let column = line[..byte].chars().count() + 1;
        let lenient = cue_syntax::times(line);
        if lenient.is_some() {
            let message = "not written as WebVTT has times: read all the same, but browsers skip this cue";
            self.gather.problem(at, column, message);
        } else {
            let text = excerpt(&block.lines.join(" "));
            self.gather.left_out(at, column, format!("this is no line of times, so {text:?} is no cue: left out"));
        }
        lenient
    }

    /// Parses the settings `rest` of a cue, behind the times in `line`, and reports those that the standard skips.
    fn settings(&mut self, at: usize, line: &str, rest: &str) -> String {
        let regions = &self.regions;
        let (settings, odd) = timing::settings(rest, |id| regions.contains(id));
        let settings = settings.to_string();
        if !settings.is_empty() {
            self.lose(LostMarkup::Places, at);
        }
        // Each is behind the one before, so the line is scanned once.
        let (mut counted, mut column) = (0, 1);
        for setting in odd {
            let byte = (setting.as_ptr() as usize).saturating_sub(line.as_ptr() as usize);
            column += line.get(counted..byte).unwrap_or_default().chars().count();
            counted = byte;
            let message = format!("{:?} is no setting of a cue: the standard skips it", excerpt(setting));
            self.gather.problem(at, column, message);
        }
        settings
    }

    /// Returns true if the cue continues one of a segment before, and extends that.
    fn continues(&mut self, cue: &VttCue) -> bool {
        let Some(lines) = self.segments.continued_by(cue) else { return false };
        for line in &mut self.gather.contents()[lines] {
            line.end_ms = line.end_ms.map(|known| known.max(cue.end));
        }
        true
    }

    /// Begins a part of the transcript if the cue with this id is the first of another file. `is_met` is true if the
    /// cue stands in a file before as well.
    fn begin_part(&mut self, id: Option<&str>, is_met: bool) {
        let number = id.and_then(cue_syntax::number_of);
        let begins_anew =
            number.is_some_and(|number| self.numbers.take(number)) || std::mem::take(&mut self.begins_anew);
        match begins_anew {
            // A cue at the border of two segments is in both: their times are on one axis.
            true if is_met => self.gather.part_may_begin(),
            true => self.gather.part_begins(),
            false => {}
        }
    }

    /// Parses the text of a cue, and reports what it loses.
    fn pieces(&mut self, cue: &VttCue) -> Vec<CuePiece> {
        let mut parsed = text::parse(&cue.text);
        for piece in &mut parsed.pieces {
            if let CuePiece::Time(time) = piece {
                *time = time.saturating_add(self.segments.shift);
            }
        }
        if let Some(first) = parsed.left_out.first() {
            let (tags, more) = (excerpt(first), parsed.left_out.len() - 1);
            let more = if more > 0 { format!(", as are {more} more") } else { String::new() };
            let message = format!("{tags:?} is a tag that means nothing here: left out{more}");
            self.gather.problem(cue.at + 1, 1, message);
        }
        if parsed.pieces.iter().any(is_more_than_text) {
            self.lose(LostMarkup::Classes, cue.at);
        }
        parsed.pieces
    }

    /// Adds the lines of a cue, whose block begins at line `block_at`.
    fn cue(&mut self, block_at: usize, cue: VttCue, pieces: &[CuePiece]) {
        let from = self.gather.len();
        let speaker = self.ids.speaker(&cue.id);
        self.names_people |= speaker.is_some();
        let (is_placed, is_estimated) = self.notes.next_cue();
        let all = text::said(pieces);
        if all.is_empty() {
            self.gather.left_out(cue.at, 1, "this cue has no text: left out");
            return;
        }
        for said in all {
            self.names_people |= said.voice.is_some();
            let begin = said.begin.filter(|begin| (cue.start..cue.end).contains(begin)).unwrap_or(cue.start);
            let words = words(&said, cue.start);
            let content = Content {
                start_ms: (!is_placed).then_some(begin),
                end_ms: (!is_estimated).then_some(cue.end),
                speaker: said.voice.map(Arc::from).or_else(|| speaker.clone()),
                text: tidy(said.text.trim()).into(),
                lang: said.lang.map(Arc::from),
                words,
                ..Content::default()
            };
            self.gather.line(cue.at, speaker_labels::with_break(content));
        }
        if self.loses_id(&cue.id) {
            self.lose(LostMarkup::Ids, block_at);
        }
        let lines = from..self.gather.len();
        self.segments.note(&cue, lines.clone());
        let payload = text::write(pieces, cue.start, cue.end.max(cue.start + 1));
        let before = std::mem::take(&mut self.kept.tail);
        self.kept.cues.push(SourceCue { lines, id: cue.id, settings: cue.settings, payload, before });
    }

    /// Returns true for an id that means something. One that counts the cues does not, and neither does the key of a
    /// line, which our own files use.
    fn loses_id(&self, id: &str) -> bool {
        let count = self.kept.cues.len();
        let is_count = id == count.to_string() || id == (count + 1).to_string();
        !self.ids.are_names && !id.is_empty() && !id.contains('/') && !is_count
    }

    fn finish(mut self) -> ParsedTranscript {
        for (markup, what) in LostMarkup::ALL {
            if let Some((at, count)) = self.lost[markup as usize] {
                self.gather.losses.add(at, 1, format!("{what} {HELD} ({count} times)"));
            }
        }
        if let Some((at, count)) = self.segments.cut {
            let message = format!("cues that segments cut at their borders are one line each ({count} times)");
            self.gather.losses.add(at, 1, message);
        }
        if !self.notes.nothing_rolls {
            rolling::read_once(&mut self.gather, &mut self.kept);
        }
        if !self.names_people && !self.notes.nobody_named {
            speaker_labels::take_from_texts(&mut self.gather, &mut self.kept);
        }
        // Two cues with one id cannot both be kept.
        self.gather.kept = (!self.ids.were_names).then_some(self.kept);
        self.gather.finish(FileKind::Vtt)
    }
}

fn is_more_than_text(piece: &CuePiece) -> bool {
    match piece {
        CuePiece::Open { tag, classes, .. } => {
            !matches!(tag, text::Tag::Voice | text::Tag::Lang) || !classes.is_empty()
        }
        CuePiece::Close(_) | CuePiece::Text(_) | CuePiece::Time(_) => false,
    }
}

/// The words of a cue with times inside: each begins at the time before it.
fn words(said: &VoiceText, start: MediaMs) -> Vec<Word> {
    if said.times.is_empty() && said.begin.is_none() {
        return Vec::new();
    }
    let stretches = std::iter::once((0, said.begin.unwrap_or(start))).chain(said.times.iter().copied());
    let ends = said.times.iter().map(|(at, _)| *at).chain([said.text.len()]);
    let words = stretches.zip(ends).flat_map(|((from, at), to)| {
        let words = said.text.get(from..to).unwrap_or_default().split_whitespace();
        words.map(move |word| Word { text: word.into(), start_ms: at, end_ms: None, confidence: None })
    });
    words.collect()
}
