//! Reader of the cues of a file, line by line.

use std::sync::Arc;

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::cue_syntax::{BYTE_ORDER_MARK, CueNumbers, number_of, times};
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::ParsedTranscript;
use crate::format::core::source_markup::{HELD, SourceCue, SourceMarkup};
use crate::format::core::{rolling, speaker_labels};
use crate::format::srt::cue_lines::{lines_of, names_above, untimed};
use crate::format::srt::tags::{by_voices, without_tags};
use crate::format::srt::times::{UnusualTimes, odd_times, settings_and_text, start_of, without_mark};
use crate::format::text::text_lines::{excerpt, tidy};
use crate::format::webvtt;
use crate::transcript::{Content, MediaMs};

pub(crate) fn read(text: &str, gather: TranscriptBuilder) -> ParsedTranscript {
    let (lines, has_numbers) = lines_of(text);
    let names = names_above(&lines);
    let mut reader = SrtReader {
        gather,
        kept: SourceMarkup { kind: FileKind::Srt, header: String::new(), cues: Vec::new(), tail: Vec::new() },
        before: Vec::new(),
        open: None,
        numbers: CueNumbers::default(),
        has_numbers,
        has_names: !names.is_empty(),
        begins_anew: false,
        tags: MarkupCount::default(),
        places: MarkupCount::default(),
        has_voices: false,
    };
    let mut index = 0;
    while index < lines.len() {
        let header = reader.header_lines(&lines, index);
        if header > 0 {
            let message = "the header of a WebVTT file, put behind the cues above: left out";
            reader.gather.left_out(lines[index].0, 1, message);
            reader.begins_anew = true;
            index += header;
        } else {
            reader.take_line(&lines, index, names.get(&index).copied());
            index += 1;
        }
    }
    reader.head(None);
    reader.close(None);
    reader.finish()
}

/// Number of tags or settings that lines cannot hold.
#[derive(Debug, Default)]
struct MarkupCount {
    /// The line of the first cue with one.
    first: usize,
    count: usize,
}

impl MarkupCount {
    fn add(&mut self, at: usize, count: usize) {
        if self.count == 0 {
            self.first = at;
        }
        self.count += count;
    }
}

/// The cue that is being read.
struct OpenSrtCue<'a> {
    /// The line of its times, or of its number if it has no times.
    at: usize,
    start: Option<MediaMs>,
    end: Option<MediaMs>,
    settings: &'a str,
    /// Text behind its times.
    behind: &'a str,
    /// Its text below. While reading, it may end with the number of the next cue.
    text: Vec<&'a str>,
    speaker: Option<&'a str>,
}

/// Reader of the cues of a file.
struct SrtReader<'a> {
    gather: TranscriptBuilder,
    kept: SourceMarkup,
    /// The lines before the first line of times.
    before: Vec<(usize, &'a str)>,
    open: Option<OpenSrtCue<'a>>,
    numbers: CueNumbers,
    /// True if a cue of the file has a number that is separate from the text above it.
    has_numbers: bool,
    /// True if names stand above the lines of times.
    has_names: bool,
    /// True if another file begins here.
    begins_anew: bool,
    tags: MarkupCount,
    places: MarkupCount,
    /// True if a WebVTT tag in some cue names a speaker.
    has_voices: bool,
}

impl<'a> SrtReader<'a> {
    /// Returns the number of `lines`, from the one at `index` on, that are the header of a WebVTT file; 0 if there is
    /// none. Cues that continue the numbers of those before show that the lines are text.
    fn header_lines(&self, lines: &[(usize, &str)], index: usize) -> usize {
        let count = webvtt::header_lines(lines, index);
        if count == 0 {
            return 0;
        }
        let below = lines[index + count..].iter().find(|(_, line)| !line.trim().is_empty());
        let number = below.and_then(|(_, line)| number_of(line));
        let goes_on = number.is_some() && self.numbers.last.and_then(|last| last.checked_add(1)) == number;
        if goes_on { 0 } else { count }
    }

    /// Reads the line at `index`. `name` is the name above it, if it is a line of times.
    fn take_line(&mut self, lines: &[(usize, &'a str)], index: usize, name: Option<&'a str>) {
        let (at, line) = lines[index];
        // If files were put together, there is a mark within the file.
        let above = index.checked_sub(1).map(|above| lines[above].1).filter(|above| number_of(above).is_some());
        let has_mark =
            index > 0 && [Some(line), above].into_iter().flatten().any(|line| line.starts_with(BYTE_ORDER_MARK));
        let line = without_mark(line);
        self.begins_anew |= has_mark && start_of(line).is_some();
        self.gather.check_characters(at, line);
        if let Some((start, end, behind)) = times(line) {
            self.begin_named(at, (Some(start), Some(end)), behind, name);
        } else if let Some(odd) = odd_times(line).filter(|_| self.is_between_cues()) {
            self.begin_at_odd_times(at, line, &odd);
        } else {
            self.text_line(at, line);
        }
    }

    /// Begins a cue with the name that stands above its times.
    fn begin_named(
        &mut self,
        at: usize,
        times: (Option<MediaMs>, Option<MediaMs>),
        behind: &'a str,
        name: Option<&'a str>,
    ) {
        if name.is_some() {
            match &mut self.open {
                Some(open) => drop(open.text.pop()),
                None => drop(self.before.pop()),
            }
        }
        self.begin(at, times, behind);
        if let Some(open) = &mut self.open {
            open.speaker = name;
        }
    }

    /// Begins a cue at a line of times in another form, and reports that.
    fn begin_at_odd_times(&mut self, at: usize, line: &str, odd: &UnusualTimes<'a>) {
        self.begin(at, (odd.start, odd.end), odd.settings);
        let read = match (odd.start, odd.end) {
            (Some(_), Some(_)) => "read all the same",
            (Some(_), None) => "its start is read, and its cue has no end",
            (None, _) => "its cue stands where the file has it, without times",
        };
        let message =
            format!("{:?} is not written as lines of times are (00:01:02,345 --> 00:01:04,500): {read}", excerpt(line));
        self.gather.problem(at, 1, message);
    }

    /// Adds a line to the text of the open cue, or to the lines before the first one.
    fn text_line(&mut self, at: usize, line: &'a str) {
        if line.contains("-->") {
            let what = format!("{:?} is no line of times (00:01:02,345 --> 00:01:04,500)", excerpt(line));
            match self.open.is_some() {
                true => self.gather.problem(at, 1, format!("{what}: kept as text of the cue before")),
                false => self.gather.left_out(at, 1, format!("{what}: left out")),
            }
        }
        match &mut self.open {
            Some(open) => open.text.push(line),
            None => self.before.push((at, line)),
        }
    }

    /// Returns true if a line of times may stand here: at the beginning, or below a blank line or a number.
    fn is_between_cues(&self) -> bool {
        let Some(open) = &self.open else {
            return self.before.last().is_none_or(|(_, line)| line.trim().is_empty() || number_of(line).is_some());
        };
        let Some(line) = open.text.last() else { return !open.behind.is_empty() };
        let is_parted = || open.text.len().checked_sub(2).is_some_and(|above| open.text[above].trim().is_empty());
        line.trim().is_empty() || number_of(line).is_some() && (self.has_numbers || is_parted())
    }

    /// Begins the cue whose line of times stands at line `at`.
    fn begin(&mut self, at: usize, (start, end): (Option<MediaMs>, Option<MediaMs>), behind: &'a str) {
        let number = match self.open {
            Some(_) => self.take_number_of_text(at),
            None => self.take_number_before(),
        };
        if self.open.is_none() {
            self.head(number);
        }
        let start_before = self.open.as_ref().and_then(|open| open.start);
        self.close(number);
        self.number(at, number, start.zip(start_before).is_some_and(|(start, before)| start < before));
        let (settings, behind) = settings_and_text(behind);
        if !behind.is_empty() {
            let message =
                format!("{:?} stands on the line of times: read as the first row of the text", excerpt(behind));
            self.gather.problem(at, 1, message);
        }
        self.open = Some(OpenSrtCue { at, start, end, settings, behind, text: Vec::new(), speaker: None });
    }

    /// Reads the lines before the first line of times: cues without times, and lines outside of cues, which are
    /// reported.
    fn head(&mut self, next: Option<u64>) {
        let before = std::mem::take(&mut self.before);
        let lines: Vec<&str> = before.iter().map(|(_, line)| *line).collect();
        let begins = untimed(&lines, None, next, true);
        let first = begins.first().copied().unwrap_or(lines.len());
        for (at, line) in before[..first].iter().filter(|(_, line)| !line.trim().is_empty() && !line.contains("-->")) {
            self.gather.left_out(*at, 1, format!("{:?} belongs to no cue: left out", excerpt(line)));
        }
        if let Some((at, _)) = before.first() {
            self.untimed_cues(*at, &lines, &begins);
        }
    }

    /// Adds the cues that begin at the indices `begins` of `lines`, the first of which is line `at` of the file.
    fn untimed_cues(&mut self, at: usize, lines: &[&'a str], begins: &[usize]) {
        let ends = begins.iter().skip(1).copied().chain([lines.len()]);
        for (&begin, end) in begins.iter().zip(ends) {
            let (at, text) = (at + begin, lines[begin + 1..end].to_vec());
            let told = "this cue has no line of times: it stands where the file has it, without times";
            self.gather.problem(at, 1, told);
            if let Some(number) = number_of(lines[begin]) {
                self.numbers.take(number);
            }
            self.line(OpenSrtCue { at, start: None, end: None, settings: "", behind: "", text, speaker: None });
        }
    }

    /// Removes the number of the first cue from the lines before it. Returns it.
    fn take_number_before(&mut self) -> Option<u64> {
        while self.before.pop_if(|(_, line)| line.trim().is_empty()).is_some() {}
        let number = number_of(self.before.last()?.1)?;
        self.before.pop();
        Some(number)
    }

    /// Removes the number of the cue whose times stand at line `at` from the text of the cue before. Returns it.
    fn take_number_of_text(&mut self, at: usize) -> Option<u64> {
        let open = self.open.as_mut()?;
        let filled = open.text.iter().rposition(|line| !line.trim().is_empty())?;
        let number = number_of(open.text[filled])?;
        let is_parted = filled.checked_sub(1).is_none_or(|above| open.text[above].trim().is_empty());
        // With a blank line below it as well, it must be the next number.
        let is_due = self.numbers.last.and_then(|last| last.checked_add(1)) == Some(number);
        let is_right_above = filled + 1 == open.text.len();
        let is_one = match is_right_above {
            true => is_parted || self.has_numbers,
            false => is_parted && is_due,
        };
        if !is_one {
            if is_right_above {
                let message =
                    "these digits stand above a line of times, and no cue of this file has a number: kept as text";
                self.gather.problem(at - 1, 1, message);
            }
            return None;
        }
        if !is_parted {
            self.gather.problem(at - 1, 1, "there is no blank line between this cue and the one before");
        }
        open.text.truncate(filled);
        Some(number)
    }

    /// Records the number of the cue whose times stand at line `at`, and reports a missing or unexpected one. `falls`
    /// is true if the cue begins before the one above.
    fn number(&mut self, at: usize, number: Option<u64>, falls: bool) {
        let last = self.numbers.last;
        let begins_anew = number.is_some_and(|number| self.numbers.take(number));
        let is_first = number.is_some_and(|number| number <= 1);
        match (number, last) {
            (None, _) if self.has_numbers => self.gather.problem(at, 1, "this cue has no number"),
            (Some(number), Some(last)) if number == last => {
                self.gather.problem(at - 1, 1, format!("the number {number} stands twice"));
            }
            (Some(number), Some(last)) if number < last => {
                self.gather.problem(at - 1, 1, format!("the number {number} follows {last}"));
            }
            _ => {}
        }
        if std::mem::take(&mut self.begins_anew) || begins_anew {
            self.gather.part_begins();
        } else if is_first && last.is_some_and(|last| number < Some(last) || number == Some(last) && falls) {
            self.gather.part_may_begin();
        }
    }

    /// Ends the open cue. `next` is the number of the next one.
    fn close(&mut self, next: Option<u64>) {
        let Some(mut open) = self.open.take() else { return };
        let (at, lines) = (open.at + 1, std::mem::take(&mut open.text));
        let begins = untimed(&lines, self.numbers.last, next, false);
        open.text = lines[..begins.first().copied().unwrap_or(lines.len())].to_vec();
        self.line(open);
        self.untimed_cues(at, &lines, &begins);
    }

    fn line(&mut self, open: OpenSrtCue<'_>) {
        let rows: Vec<&str> = std::iter::once(open.behind).chain(open.text).collect();
        let raw = tidy(&rows.join("\n"));
        let from = self.gather.len();
        for (voice, said) in by_voices(&raw) {
            if voice.is_some() && !std::mem::replace(&mut self.has_voices, true) {
                let message =
                    "this tag of WebVTT (<v …>) stands in a file without its header: read as who speaks all the same";
                self.gather.problem(open.at, 1, message);
            }
            let (text, tags) = without_tags(&said);
            if tags > 0 {
                self.tags.add(open.at, tags);
            }
            let text = tidy(text.trim()).into();
            let speaker = voice.map(Arc::from).or(open.speaker.map(Arc::from));
            let content = Content { start_ms: open.start, end_ms: open.end, speaker, text, ..Content::default() };
            self.gather.line(open.at, speaker_labels::with_break(content));
        }
        if !open.settings.is_empty() {
            self.places.add(open.at, 1);
        }
        if self.gather.len() > from {
            let lines = from..self.gather.len();
            let (settings, payload) = (open.settings.to_owned(), raw);
            self.kept.cues.push(SourceCue { lines, id: String::new(), settings, payload, before: Vec::new() });
        } else {
            self.gather.left_out(open.at, 1, "this cue has no text: left out");
        }
    }

    fn finish(mut self) -> ParsedTranscript {
        for (what, MarkupCount { first, count }) in
            [("tags within cues", self.tags), ("the place on the screen of cues", self.places)]
        {
            if count > 0 {
                self.gather.losses.add(first, 1, format!("{what} {HELD} ({count} times)"));
            }
        }
        // A file of ours holds what was said, including repetitions.
        if !speaker_labels::take_marked(self.gather.contents()) {
            rolling::read_once(&mut self.gather, &mut self.kept);
            if !self.has_voices {
                speaker_labels::take_from_texts(&mut self.gather, &mut self.kept);
            }
        }
        // The kept markup has no place for names above the times.
        self.gather.kept = (!self.has_names).then_some(self.kept);
        self.gather.finish(FileKind::Srt)
    }
}
