//! Lines of a file around its lines of times: numbers and names of cues, also where files were put together.

use std::collections::{HashMap, HashSet};

use crate::format::core::cue_syntax::{BYTE_ORDER_MARK, number_of};
use crate::format::core::speaker_labels;
use crate::format::srt::times::start_of;
use crate::format::text::text_lines::numbered;
use crate::transcript::MediaMs;

/// The names above the lines of times, by the indices of these lines, if nearly every cue of the file has one. A number
/// may stand above the name. Empty for other files.
pub(super) fn names_above<'a>(lines: &[(usize, &'a str)]) -> HashMap<usize, &'a str> {
    let cues: Vec<usize> = (0..lines.len()).filter(|index| start_of(lines[*index].1).is_some()).collect();
    let is_parted = |above: &str| above.trim().is_empty() || number_of(above).is_some();
    let name = |index: usize| {
        let name = lines[index.checked_sub(1)?].1.trim();
        let is_one = !name.is_empty() && number_of(name).is_none();
        let is_alone = index.checked_sub(2).is_none_or(|above| is_parted(lines[above].1));
        (is_one && is_alone).then(|| name.strip_suffix(':').map_or(name, str::trim_end))
    };
    let names: Vec<Option<&str>> = cues.iter().map(|index| name(*index)).collect();
    match speaker_labels::are_names(&names) {
        true => cues.into_iter().zip(names).filter_map(|(index, name)| Some((index, name?))).collect(),
        false => HashMap::new(),
    }
}

/// The lines of a file, and true if its cues have numbers. If another file was appended to a line without a line end,
/// the first line of that file becomes a line of its own.
pub(super) fn lines_of(text: &str) -> (Vec<(usize, &str)>, bool) {
    let file = TimedLines::of(split_at_marks(text));
    let has_numbers = file.cues.iter().any(|index| file.has_separate_number(*index));
    if !has_numbers {
        return (file.lines, false);
    }
    let glued = (0..file.cues.len()).filter(|place| file.has_glued_number(*place)).map(|place| file.cues[place] - 1);
    let glued: HashSet<usize> = glued.collect();
    let mut lines = Vec::with_capacity(file.lines.len() + glued.len());
    for (index, (at, line)) in file.lines.into_iter().enumerate() {
        let (text, number) = line.split_at(line.len() - usize::from(glued.contains(&index)));
        lines.push((at, text));
        lines.extend((!number.is_empty()).then_some((at, number)));
    }
    (lines, true)
}

/// Splits a text into lines, and a line where the byte order mark of another file stands within it.
fn split_at_marks(text: &str) -> Vec<(usize, &str)> {
    let mut lines = Vec::new();
    for (at, line) in numbered(text) {
        let second = line.find(BYTE_ORDER_MARK).filter(|mark| *mark > 0).map(|mark| &line[mark..]);
        let second = second.filter(|line| number_of(line).is_some() || start_of(line).is_some());
        lines.push((at, &line[..line.len() - second.map_or(0, str::len)]));
        lines.extend(second.map(|line| (at, line)));
    }
    lines
}

/// The lines of a file, with its lines of times.
struct TimedLines<'a> {
    lines: Vec<(usize, &'a str)>,
    /// The start of the cue, for each line that is a line of times.
    starts: Vec<Option<MediaMs>>,
    /// The indices of the lines of times.
    cues: Vec<usize>,
}

impl<'a> TimedLines<'a> {
    fn of(lines: Vec<(usize, &'a str)>) -> Self {
        let starts: Vec<Option<MediaMs>> = lines.iter().map(|(_, line)| start_of(line)).collect();
        let cues = (0..lines.len()).filter(|index| starts[*index].is_some()).collect();
        Self { lines, starts, cues }
    }

    /// The number in the line above `index`.
    fn number_above(&self, index: usize) -> Option<u64> {
        number_of(self.lines[index.checked_sub(1)?].1)
    }

    /// Returns true if a number stands above the line of times at `index`, and is parted from the text above it.
    fn has_separate_number(&self, index: usize) -> bool {
        let is_parted = |above: usize| {
            self.lines[above].1.trim().is_empty() || self.lines[above + 1].1.starts_with(BYTE_ORDER_MARK)
        };
        self.number_above(index).is_some() && index.checked_sub(2).is_none_or(is_parted)
    }

    /// Returns true if the number of another file's first cue is glued to the text above it: `two1`. Then the number of
    /// the next cue is 2, or it is the last cue and the time falls. `place` is the place of the cue in `cues`.
    fn has_glued_number(&self, place: usize) -> bool {
        let index = self.cues[place];
        let Some(above) = index.checked_sub(1).filter(|above| self.starts[*above].is_none()) else { return false };
        let line = self.lines[above].1;
        let number = line.strip_suffix(['0', '1']).and_then(|text| number_of(&line[text.len()..]));
        let is_first = |number| match self.cues.get(place + 1) {
            Some(next) => self.number_above(*next) == Some(number + 1),
            None => place.checked_sub(1).is_some_and(|before| self.starts[index] < self.starts[self.cues[before]]),
        };
        number_of(line).is_none() && number.is_some_and(is_first)
    }
}

/// Returns the indices in `text`, between the times of two cues, at which cues begin that have a number and no times:
/// behind a blank line, with a number between that of the cue before (`last`) and that of the cue after (`next`).
pub(super) fn untimed(text: &[&str], mut last: Option<u64>, next: Option<u64>, is_head: bool) -> Vec<usize> {
    let mut found = Vec::new();
    for (index, line) in text.iter().enumerate() {
        let Some(number) = number_of(line).filter(|_| !line.starts_with(BYTE_ORDER_MARK)) else { continue };
        let is_parted = if index == 0 { is_head } else { text[index - 1].trim().is_empty() };
        let follows = last.map_or(is_head && number <= 1, |last| last.checked_add(1) == Some(number));
        let is_before_next = next.is_none_or(|next| number < next);
        let is_between = next.is_some() && last.is_some_and(|last| last < number);
        // Right below a text only if it is the one missing number.
        let is_missing = index > 0 && follows && next == number.checked_add(1);
        if is_before_next && (is_parted && (follows || is_between) || is_missing) {
            found.push(index);
            last = Some(number);
        }
    }
    found
}
