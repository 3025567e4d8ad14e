//! Reader of WebVTT: <https://www.w3.org/TR/webvtt1/>, its algorithms step by step.
//!
//! A cue becomes a line, or one for each voice if several speak in it. Text that the standard skips is reported. A cue
//! that it would skip only because of the form of its times is read if they can be understood, and reported, because a
//! browser would not show it. Styles, regions, notes, ids, settings and tags are kept for another file of the same
//! kind, because lines cannot hold them.

mod file;
mod segments;
mod text;
mod timing;

use crate::format::core::cue_syntax;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

pub(super) use self::segments::header_lines;
pub(super) use self::text::{escape, voice_of, without_headers};
use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::cue_syntax::CueNumbers;
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::ParsedTranscript;
use crate::format::core::reading::{
    ALL_ENDS_ESTIMATED, ALL_TIMES_ESTIMATED, END_ESTIMATED, NOBODY_NAMED, NOTHING_ROLLS, TIMES_ESTIMATED,
};
use crate::format::core::source_markup::{HELD, SourceCue, SourceMarkup};
use crate::format::core::{rolling, speaker_labels};
use crate::format::text::text_lines::{excerpt, numbered};
use crate::format::webvtt::file::{VttBlock, VttBlockKind, VttFile};
use crate::format::webvtt::text::CuePiece;
use crate::transcript::{Content, MediaMs, Word};

/// Returns true for a WebVTT file by the standard.
pub(super) fn is_one(text: &str) -> bool {
    file::parse(text.split(['\n', '\r']).next().unwrap_or_default()).is_some()
}

/// Returns true for a file of cues that is WebVTT but not valid: its header is written in another way or has blank
/// lines above it, or its cues have SubRip's times.
pub(super) fn is_nearly_one(text: &str) -> bool {
    let mut lines = numbered(text).map(|(_, line)| line).skip_while(|line| line.trim().is_empty()).peekable();
    if lines.peek().is_none_or(|first| file::odd_title(first).is_none()) {
        return false;
    }
    // The header ends with a blank line, or with the first cue. Notes, styles and regions may follow.
    loop {
        while lines.next_if(|line| !line.trim().is_empty() && !line.contains("-->")).is_some() {}
        while lines.next_if(|line| line.trim().is_empty()).is_some() {}
        if lines.peek().is_none_or(|line| !segments::is_block(line)) {
            break;
        }
    }
    // A cue begins the rest: its line of times, maybe with its id above.
    lines.next().is_some_and(is_line_of_times) || lines.next().is_some_and(is_line_of_times)
}

/// Returns true for a line of times of a cue, with a comma or a dot before its thousandths.
pub(super) fn is_line_of_times(line: &str) -> bool {
    timing::timings(&line.replace(',', ".")).is_ok()
}

pub(super) fn read(text: &str, mut gather: TranscriptBuilder) -> ParsedTranscript {
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
    let (title, language) = title(file.title);
    gather.meta.title = title.map(Arc::from);
    gather.meta.language = language.map(Arc::from);
    for line in &file.header {
        // Not in the standard, but in half of the files on the web.
        if let Some(language) = line.strip_prefix("Language:") {
            gather.meta.language = Some(language.trim().into());
        }
    }
    let header = std::iter::once(file.title).chain(file.header.iter().copied()).collect::<Vec<_>>().join("\n");
    let kept = SourceMarkup { kind: FileKind::Vtt, header, cues: Vec::new(), tail: Vec::new() };
    let mut reader = WebVttReader {
        gather,
        kept,
        regions: HashSet::new(),
        all_estimated: false,
        end_estimated: false,
        all_times_estimated: false,
        times_estimated: false,
        names_people: false,
        rolls: true,
        lost: [None; 5],
        people: HashMap::new(),
        hls: SegmentedFile::default(),
        numbers: CueNumbers::default(),
        ids_are_names: false,
        has_names_for_ids: false,
        begins_anew: false,
    };
    reader.hls.has_several = parts.len() > 0;
    reader.hls.is_cut = is_stream && parts.len() > 0;
    if reader.hls.is_cut {
        // Each segment says how its times relate to the clock of the stream.
        reader.gather.times_rule();
    }
    reader.map_times(&file.header, lines_above);
    reader.blocks(&mut file, lines_above);
    for part in parts {
        let lines_before = lines_above + part.lines_before;
        if !part.is_parted {
            let message = "there is no empty line before this header of another file: read as one all the same";
            reader.gather.problem(lines_before + 1, 1, message);
        }
        let mut file = file::parse(part.text).unwrap_or_default();
        if let (Some(title), _) = self::title(file.title) {
            let message =
                format!("the title of this file, {:?}, is left out: the first one is that of all", excerpt(title));
            reader.gather.left_out(lines_before + 1, 1, message);
        }
        reader.hls.segment += 1;
        match is_stream {
            true => reader.map_times(&file.header, lines_before),
            // Another file, to which the notes of the one before do not apply.
            false => {
                (reader.all_estimated, reader.all_times_estimated) = (false, false);
                reader.begins_anew = true;
            }
        }
        reader.blocks(&mut file, lines_before);
    }
    reader.finish()
}

/// Title and language in the first line: `WEBVTT - title`, with one dash, two, or another beginning of the title.
/// `WEBVTT FILE`, as some programs write, has no title. Others write there what belongs on the lines below.
fn title(first: &str) -> (Option<&str>, Option<&str>) {
    let first = first.trim_start();
    if first.starts_with("Kind:") || first.starts_with("Language:") {
        let mut facts = first.split(';').filter_map(|fact| fact.split_once(':'));
        return (None, facts.find(|(name, _)| name.trim() == "Language").map(|(_, language)| language.trim()));
    }
    let title = first.strip_prefix("- ").unwrap_or_else(|| first.trim_start_matches('-')).trim();
    (Some(title).filter(|title| !title.is_empty() && *first != *"FILE"), None)
}

/// The kinds of contents that lines cannot hold.
const LOST: [&str; 5] = [
    "styles and regions",
    "the place on the screen of cues",
    "classes, fonts and ruby within cues",
    "notes",
    "ids of cues",
];

struct WebVttReader {
    gather: TranscriptBuilder,
    kept: SourceMarkup,
    regions: HashSet<String>,
    /// Set by notes of our own writer about the ends that follow.
    all_estimated: bool,
    end_estimated: bool,
    all_times_estimated: bool,
    times_estimated: bool,
    /// True if the file names speakers outside of texts: by voices, or by a note that nobody is named.
    names_people: bool,
    /// False if a note says that each row was spoken.
    rolls: bool,
    lost: [Option<(usize, usize)>; 5],
    /// The person numbers in the ids of cues, by name.
    people: HashMap<String, Vec<String>>,
    hls: SegmentedFile,
    numbers: CueNumbers,
    /// True if the ids of the file's cues are speakers' names.
    ids_are_names: bool,
    has_names_for_ids: bool,
    /// True if another file has begun, and no cue of it was read yet.
    begins_anew: bool,
}

/// The state of reading a file of several segments.
#[derive(Default)]
struct SegmentedFile {
    clock: crate::format::webvtt::segments::SegmentClock,
    /// Milliseconds to add to times.
    shift: MediaMs,
    /// True if there are several segments, or several joined files.
    has_several: bool,
    /// True if there are several segments of a stream.
    is_cut: bool,
    segment: usize,
    /// Cues by times and text, with the last segment that has them.
    met: HashMap<(MediaMs, MediaMs, String), usize>,
    /// Cues by id, settings and text.
    shown: HashMap<(String, String, String), OpenCue>,
    /// The line of the first cue that continues another, and the number of such cues.
    cut: Option<(usize, usize)>,
}

/// A cue that may continue in the next segment.
struct OpenCue {
    segment: usize,
    start: MediaMs,
    end: MediaMs,
    lines: std::ops::Range<usize>,
}

impl SegmentedFile {
    fn show(
        &mut self,
        id: &str,
        settings: &str,
        text: &str,
        (start, end): (MediaMs, MediaMs),
        lines: std::ops::Range<usize>,
    ) {
        if self.is_cut {
            let shown = OpenCue { segment: self.segment, start, end, lines };
            self.shown.insert((id.to_owned(), settings.to_owned(), text.to_owned()), shown);
        }
    }
}

/// Milliseconds by which packagers round the time of a segment's border.
const BORDER_MS: MediaMs = 1;

impl WebVttReader {
    /// Adapts the offset of times to a segment's header. If its map cannot be read, that is reported and the offset
    /// stays.
    fn map_times(&mut self, header: &[&str], lines_before: usize) {
        self.hls.shift = match self.hls.clock.shift(header) {
            Ok(shift) => shift,
            Err(line) => {
                let message = format!("{:?} cannot be read: times go on as those before", excerpt(line));
                self.gather.problem(lines_before + 2, 1, message);
                self.hls.clock.last()
            }
        };
    }

    /// Returns true if the cue was read before. RFC 8216, section 3.5: a cue is in every segment in whose time it is
    /// shown.
    fn is_met(&mut self, start: MediaMs, end: MediaMs, text: &str) -> bool {
        let segment = self.hls.segment;
        if !self.hls.has_several {
            return false;
        }
        let before = self.hls.met.insert((start, end, text.to_owned()), segment);
        before.is_some_and(|before| before != segment)
    }

    /// Returns true if the cue continues one of a segment before, as packagers cut it at the border. That cue then ends
    /// with this one.
    fn goes_on(
        &mut self,
        block: &VttBlock<'_>,
        at: usize,
        (start, end): (MediaMs, MediaMs),
        settings: &str,
        text: &str,
    ) -> bool {
        let segment = self.hls.segment;
        let key = (block.lines[..at - block.at].concat(), settings.to_owned(), text.to_owned());
        let Some(shown) = self.hls.shown.get_mut(&key).filter(|shown| {
            shown.segment < segment && (shown.start..=shown.end.saturating_add(BORDER_MS)).contains(&start)
        }) else {
            return false;
        };
        (shown.segment, shown.end) = (segment, shown.end.max(end));
        for line in &mut self.gather.contents()[shown.lines.clone()] {
            line.end_ms = line.end_ms.map(|known| known.max(end));
        }
        self.hls.cut.get_or_insert((at, 0)).1 += 1;
        true
    }

    /// The speaker in the id of a cue in Webex's form: `1 "Ann Lee" (3374)`. The second of two people with one name
    /// gets the number behind it.
    fn speaker_of(&mut self, id: &str) -> Option<Arc<str>> {
        if self.ids_are_names && !id.is_empty() {
            return Some(id.into());
        }
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (count, rest) = id.split_once(" \"")?;
        let (name, person) = rest.strip_suffix(')')?.rsplit_once("\" (")?;
        if !is_number(count.trim()) || !is_number(person) || name.trim().is_empty() {
            return None;
        }
        let people = self.people.entry(name.to_owned()).or_default();
        if !people.iter().any(|known| known == person) {
            people.push(person.to_owned());
        }
        let is_first = people.first().is_some_and(|first| first == person);
        Some(if is_first { name.trim().into() } else { format!("{} ({person})", name.trim()).into() })
    }

    fn lose(&mut self, what: usize, at: usize) {
        let (_, count) = self.lost[what].get_or_insert((at, 0));
        *count += 1;
    }

    /// Reads the blocks of a file that starts after `lines_before` lines.
    fn blocks(&mut self, file: &mut VttFile<'_>, lines_before: usize) {
        for at in file::part(&mut file.blocks) {
            let message = "there is no empty line before this line, which is no text: read as if there were one";
            self.gather.problem(lines_before + at, 1, message);
        }
        let ids = file.blocks.iter().filter_map(|block| match block.kind {
            VttBlockKind::Cue { times } => Some(block.lines[..times].first().copied()),
            _ => None,
        });
        self.ids_are_names = speaker_labels::are_names(&ids.collect::<Vec<_>>());
        self.has_names_for_ids |= self.ids_are_names;
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
            VttBlockKind::Cue { times } => self.cue(block, times),
            VttBlockKind::Style => {
                self.lose(0, block.at);
                self.keep(block);
            }
            VttBlockKind::Region => {
                self.lose(0, block.at);
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
            VttBlockKind::Other => {
                let first = block.lines[0];
                // The header of another file, appended to the first.
                if first.trim_start_matches('\u{FEFF}').starts_with("WEBVTT") {
                    self.gather.part_may_begin();
                }
                if first.starts_with(segments::MAP) {
                    self.map_times(&block.lines, block.at - 1);
                    let message = "this line belongs into a header, right below WEBVTT: the times behind it go by it";
                    return self.gather.problem(block.at, 1, message);
                }
                // "A WebVTT comment block": a parser skips it like all blocks that are no cues.
                let note = first.strip_prefix("NOTE").filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
                match note.map(str::trim) {
                    Some(END_ESTIMATED) if block.lines.len() == 1 => self.end_estimated = true,
                    Some(ALL_ENDS_ESTIMATED) if block.lines.len() == 1 => self.all_estimated = true,
                    Some(TIMES_ESTIMATED) if block.lines.len() == 1 => self.times_estimated = true,
                    Some(ALL_TIMES_ESTIMATED) if block.lines.len() == 1 => self.all_times_estimated = true,
                    Some(NOBODY_NAMED) if block.lines.len() == 1 => self.names_people = true,
                    Some(NOTHING_ROLLS) if block.lines.len() == 1 => self.rolls = false,
                    Some(_) => {
                        self.lose(3, block.at);
                        self.keep(block);
                    }
                    None => {
                        let text = excerpt(&block.lines.join(" "));
                        let hint = if self.kept.cues.is_empty() { "" } else { "; an empty line ended the cue before" };
                        self.gather.left_out(block.at, 1, format!("{text:?} belongs to no cue: left out{hint}"));
                    }
                }
            }
        }
    }

    /// Keeps a block unchanged, before the next cue.
    fn keep(&mut self, block: &VttBlock<'_>) {
        self.kept.tail.push(block.lines.join("\n"));
    }

    fn cue(&mut self, block: &VttBlock<'_>, times: usize) {
        let (line, at) = (block.lines[times], block.at + times);
        let (start, end, rest) = match timing::timings(line) {
            Ok(times) => times,
            Err(byte) => {
                let column = line[..byte].chars().count() + 1;
                let Some(lenient) = cue_syntax::times(line) else {
                    let text = excerpt(&block.lines.join(" "));
                    self.gather.left_out(
                        at,
                        column,
                        format!("this is no line of times, so {text:?} is no cue: left out"),
                    );
                    return;
                };
                self.gather.problem(
                    at,
                    column,
                    "not written as WebVTT has times: read all the same, but browsers skip this cue",
                );
                lenient
            }
        };
        let regions = &self.regions;
        let (settings, odd) = timing::settings(rest, |id| regions.contains(id));
        let settings = settings.to_string();
        if !settings.is_empty() {
            self.lose(1, at);
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
        let text = block.lines[times + 1..].join("\n");
        let (start, end) = (start.saturating_add(self.hls.shift), end.saturating_add(self.hls.shift));
        let is_met = self.is_met(start, end, &text);
        if self.hls.is_cut && is_met || self.goes_on(block, at, (start, end), &settings, &text) {
            return;
        }
        let number = block.lines[..times].first().and_then(|id| cue_syntax::number_of(id));
        let begins_anew =
            number.is_some_and(|number| self.numbers.take(number)) || std::mem::take(&mut self.begins_anew);
        match begins_anew {
            // A cue at the border of two segments is in both: their times are on one axis.
            true if is_met => self.gather.part_may_begin(),
            true => self.gather.part_begins(),
            false => {}
        }
        let mut parsed = text::parse(&text);
        for piece in &mut parsed.pieces {
            if let CuePiece::Time(time) = piece {
                *time = time.saturating_add(self.hls.shift);
            }
        }
        if let Some(first) = parsed.left_out.first() {
            let (tags, more) = (excerpt(first), parsed.left_out.len() - 1);
            let more = if more > 0 { format!(", as are {more} more") } else { String::new() };
            self.gather.problem(at + 1, 1, format!("{tags:?} is a tag that means nothing here: left out{more}"));
        }
        if parsed.pieces.iter().any(is_more_than_text) {
            self.lose(2, at);
        }
        self.lines(block, at, (start, end), &parsed.pieces, settings, &text);
    }

    fn lines(
        &mut self,
        block: &VttBlock<'_>,
        at: usize,
        (start, end): (MediaMs, MediaMs),
        pieces: &[CuePiece],
        settings: String,
        text: &str,
    ) {
        let from = self.gather.len();
        let id = block.lines[..at - block.at].concat();
        let speaker = self.speaker_of(&id);
        self.names_people |= speaker.is_some();
        let is_placed = self.all_times_estimated || std::mem::take(&mut self.times_estimated);
        let is_estimated = self.all_estimated || std::mem::take(&mut self.end_estimated) || is_placed;
        let all = text::said(pieces);
        if all.is_empty() {
            self.gather.left_out(at, 1, "this cue has no text: left out");
            return;
        }
        for said in all {
            self.names_people |= said.voice.is_some();
            let begin = said.begin.filter(|begin| (start..end).contains(begin)).unwrap_or(start);
            let words = words(&said, start);
            let said_text = crate::format::text::text_lines::tidy(said.text.trim());
            let content = Content {
                start_ms: (!is_placed).then_some(begin),
                end_ms: (!is_estimated).then_some(end),
                speaker: said.voice.map(Arc::from).or_else(|| speaker.clone()),
                text: said_text.into(),
                lang: said.lang.map(Arc::from),
                words,
                ..Content::default()
            };
            self.gather.line(at, speaker_labels::with_break(content));
        }
        let payload = text::write(pieces, start, end.max(start + 1));
        let before = std::mem::take(&mut self.kept.tail);
        // An id that counts the cues means nothing, and neither does the key of a line, which our own files use.
        let count = self.kept.cues.len();
        if !self.ids_are_names
            && !id.is_empty()
            && !id.contains('/')
            && id != count.to_string()
            && id != (count + 1).to_string()
        {
            self.lose(4, block.at);
        }
        self.hls.show(&id, &settings, text, (start, end), from..self.gather.len());
        self.kept.cues.push(SourceCue { lines: from..self.gather.len(), id, settings, payload, before });
    }

    fn finish(mut self) -> ParsedTranscript {
        for (what, lost) in LOST.into_iter().zip(self.lost) {
            if let Some((at, count)) = lost {
                self.gather.losses.add(at, 1, format!("{what} {HELD} ({count} times)"));
            }
        }
        if let Some((at, count)) = self.hls.cut {
            let message = format!("cues that segments cut at their borders are one line each ({count} times)");
            self.gather.losses.add(at, 1, message);
        }
        if self.rolls {
            rolling::read_once(&mut self.gather, &mut self.kept);
        }
        if !self.names_people {
            speaker_labels::take_from_texts(&mut self.gather, &mut self.kept);
        }
        // Two cues with one id cannot both be kept.
        self.gather.kept = (!self.has_names_for_ids).then_some(self.kept);
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
fn words(said: &crate::format::webvtt::text::VoiceText, start: MediaMs) -> Vec<Word> {
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

#[cfg(test)]
mod tests;
