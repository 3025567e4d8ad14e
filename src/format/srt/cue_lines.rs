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
pub(super) fn lines_of<'a>(text: &'a str) -> (Vec<(usize, &'a str)>, bool) {
    let mut lines: Vec<(usize, &'a str)> = Vec::new();
    for (at, line) in numbered(text) {
        let mark = line.find(BYTE_ORDER_MARK).filter(|mark| *mark > 0);
        let second =
            mark.map(|mark| &line[mark..]).filter(|line| number_of(line).is_some() || start_of(line).is_some());
        lines.push((at, &line[..line.len() - second.map_or(0, str::len)]));
        lines.extend(second.map(|line| (at, line)));
    }
    let starts: Vec<Option<MediaMs>> = lines.iter().map(|(_, line)| start_of(line)).collect();
    let number_above = |index: usize| index.checked_sub(1).and_then(|above| number_of(lines[above].1));
    let is_parted = |index: usize| {
        let is_first = |above: &str| above.trim().is_empty() || lines[index - 1].1.starts_with(BYTE_ORDER_MARK);
        number_above(index).is_some() && index.checked_sub(2).is_none_or(|above| is_first(lines[above].1))
    };
    let cues: Vec<usize> = (0..lines.len()).filter(|index| starts[*index].is_some()).collect();
    let has_numbers = cues.iter().any(|index| is_parted(*index));
    // `two1`, above the times of the other file's first cue: the number of the next cue is 2, or it is the last cue and
    // the time falls.
    let is_glued = |place: &usize| {
        let index = cues[*place];
        let Some(above) = index.checked_sub(1).filter(|above| starts[*above].is_none()) else { return false };
        let first = lines[above].1.strip_suffix(['0', '1']).and_then(|said| number_of(&lines[above].1[said.len()..]));
        let is_first = |first| match cues.get(place + 1) {
            Some(next) => number_above(*next) == Some(first + 1),
            None => place.checked_sub(1).is_some_and(|before| starts[index] < starts[cues[before]]),
        };
        number_above(index).is_none() && first.is_some_and(is_first)
    };
    let glued: HashSet<usize> =
        (0..cues.len()).filter(|place| has_numbers && is_glued(place)).map(|place| cues[place] - 1).collect();
    if glued.is_empty() {
        return (lines, has_numbers);
    }
    let split = |(index, (at, line)): (usize, (usize, &'a str))| {
        let end = line.len() - usize::from(glued.contains(&index));
        let number = Some((at, &line[end..])).filter(|_| end < line.len());
        [Some((at, &line[..end])), number]
    };
    (lines.into_iter().enumerate().flat_map(split).flatten().collect(), has_numbers)
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
