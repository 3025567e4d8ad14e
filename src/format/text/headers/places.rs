//! Places of lines: the times of the headers around each line, by which a clock in a sentence is told from a header.
//!
//! A header that may be a clock is judged by the sure headers around it ([`Headers::find`]). Headers of this kind that
//! follow each other are judged together first: two or more whose times rise are headers of a further part of the file,
//! whose style or people are new. A clock beside somebody's name is none if its time is far from those before and
//! behind it, and they are in order.

use crate::format::core::kinds::FileKind;
use crate::format::core::person_names::is_name;
use crate::format::core::timestamps::{bare, is_colon, time};
use crate::format::text::header_forms::{Header, HeaderRoom};
use crate::format::text::header_patterns::paragraph;
use crate::format::text::headers::{FileLine, Headers, LAST_SPEECH_MS, OVERLAP_MS, TimeFit};
use crate::format::text::time_lines::{LineStart, TimeLines};
use crate::transcript::MediaMs;

/// Another recording begins below this time.
const LOW_MS: MediaMs = 60_000;

/// Greatest distance from the headers before and behind it at which the header of a known speaker may be out of order.
const OUTSIDE_MS: MediaMs = 60_000;

/// A line that may be a header by its form and name, or a clock in a sentence.
#[derive(Debug, Clone, Copy)]
struct TimedCandidate<'a> {
    index: usize,
    header: Header<'a>,
    start_ms: MediaMs,
    /// The number of sure headers before.
    after: usize,
    /// True for somebody who stands in other headers too, or for a name of two words. No verse has one.
    is_somebody: bool,
    /// True if it begins a paragraph or row, with text on it or below.
    is_block: bool,
}

/// Returns the surroundings of each line, except for `is_open`.
pub(crate) fn places(headers: &Headers<'_>, times: Option<&TimeLines<'_>>, lines: &[&str]) -> Vec<FileLine> {
    let (mut places, mut starts) = lines_around(headers, times, lines);
    for index in clocks_outside(headers, lines, &starts) {
        starts[index] = None;
        places[index].fit = TimeFit::Outside;
    }
    set_times(&mut places, &starts);
    let is_free = |index: usize| times.and_then(|times| times.at(index)).is_none();
    let candidates = candidates(headers, lines, &places, &starts, is_free);
    for candidate in risen(headers, &candidates, &places) {
        starts[candidate.index] = Some(candidate.start_ms);
        places[candidate.index].fit = TimeFit::Risen;
    }
    set_times(&mut places, &starts);
    move_reach(headers, &candidates, &mut places);
    places
}

/// Returns the surroundings that no times show, and the times of sure headers.
fn lines_around(
    headers: &Headers<'_>,
    times: Option<&TimeLines<'_>>,
    lines: &[&str],
) -> (Vec<FileLine>, Vec<Option<MediaMs>>) {
    let is_time = |line: &str| {
        time(line).or_else(|| paragraph(line).filter(|(_, text)| text.is_empty()).map(|(start, _)| start)).is_some()
    };
    let (mut has_text_below, mut starts) = (false, vec![None; lines.len()]);
    let mut places = vec![FileLine { is_open: false, ..FileLine::WITHIN }; lines.len()];
    for (index, line) in lines.iter().enumerate().rev() {
        let place = &mut places[index];
        place.has_text_below = has_text_below;
        place.has_time_below = times.is_none() && lines.get(index + 1).is_some_and(|below| is_time(below));
        place.is_first = index == 0 || bare(lines[index - 1]).is_empty();
        place.is_last = lines.get(index + 1).is_none_or(|below| !bare(below).starts_with(char::is_lowercase));
        if !bare(line).is_empty() {
            let own = headers.sure_start(line);
            let at = times.and_then(|times| times.at(index));
            has_text_below = !headers.is_own(line) && at.is_none() && !is_time(line);
            starts[index] = match at {
                Some(LineStart::Header { start_ms, .. }) => start_ms.or(own),
                _ => own,
            };
        }
    }
    (places, starts)
}

/// Sets the times of the sure headers around each line.
fn set_times(places: &mut [FileLine], starts: &[Option<MediaMs>]) {
    let known: Vec<MediaMs> = starts.iter().copied().flatten().collect();
    let longest_ms = known.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
    let mut from_ms = None;
    for (place, start) in places.iter_mut().zip(starts) {
        (place.from_ms, place.last_ms, place.longest_ms) = (from_ms, from_ms, longest_ms);
        from_ms = start.or(from_ms);
    }
    let mut until_ms = None;
    for (place, start) in places.iter_mut().zip(starts).rev() {
        place.until_ms = until_ms;
        until_ms = start.or(until_ms);
    }
}

/// Returns true for a time that is more than `far` outside of those before and behind, which are in order.
fn is_outside(before: MediaMs, start: MediaMs, behind: MediaMs, far: MediaMs) -> bool {
    before <= behind && (start > behind.saturating_add(far) || start < before.saturating_sub(far))
}

/// Returns the lines that would be sure headers and whose times are those of clocks beside a name.
fn clocks_outside(headers: &Headers<'_>, lines: &[&str], starts: &[Option<MediaMs>]) -> Vec<usize> {
    let sure: Vec<(usize, MediaMs)> =
        starts.iter().enumerate().filter_map(|(index, start)| Some((index, (*start)?))).collect();
    let is_one = |triple: &&[(usize, MediaMs)]| {
        is_outside(triple[0].1, triple[1].1, triple[2].1, OUTSIDE_MS) && headers.is_bare_clock(lines[triple[1].0])
    };
    sure.windows(3).filter(is_one).map(|triple| triple[1].0).collect()
}

/// Finds the lines that are headers if their times fit.
fn candidates<'a>(
    headers: &Headers<'_>,
    lines: &[&'a str],
    places: &[FileLine],
    starts: &[Option<MediaMs>],
    is_free: impl Fn(usize) -> bool,
) -> Vec<TimedCandidate<'a>> {
    let mut after = 0;
    let mut found: Vec<TimedCandidate<'a>> = Vec::new();
    for (index, line) in lines.iter().copied().enumerate() {
        after += usize::from(starts[index].is_some());
        let may_be_one = starts[index].is_none() && places[index].fit == TimeFit::Around && is_free(index);
        if !may_be_one || !line.contains(is_colon) || line.starts_with('\\') {
            continue;
        }
        let place = places[index];
        let anywhere = FileLine { is_open: after > 0 || !found.is_empty(), ..place.anywhere() };
        let Some(header) = headers.find(line, anywhere) else { continue };
        let Some(start_ms) = header.start_ms.filter(|_| header.room != HeaderRoom::Anywhere) else { continue };
        let is_block = headers.kind == FileKind::Timed || place.is_first;
        let goes_on = header.text.is_empty() && !place.is_last && !headers.usual.have_small_text();
        found.push(TimedCandidate {
            index,
            header,
            start_ms,
            after,
            is_somebody: is_name(header.label) || headers.is_speaker(header.label),
            is_block: is_block && !goes_on && !headers.is_odd_span(&header),
        });
    }
    let is_header: Vec<bool> = {
        let mut is_header: Vec<bool> = starts.iter().map(Option::is_some).collect();
        found.iter().for_each(|candidate| is_header[candidate.index] = true);
        is_header
    };
    for candidate in &mut found {
        let below = (candidate.index + 1..lines.len()).find(|index| !bare(lines[*index]).is_empty());
        candidate.is_block &= !candidate.header.text.is_empty() || below.is_some_and(|below| !is_header[below]);
    }
    found
}

/// Returns the candidates in a row whose times rise among themselves, so that they begin another part or go on behind
/// the last header. Two or more of them would be refused by themselves.
fn risen<'a>(headers: &Headers<'_>, candidates: &[TimedCandidate<'a>], places: &[FileLine]) -> Vec<TimedCandidate<'a>> {
    let mut all = Vec::new();
    for group in candidates.chunk_by(|before, behind| before.after == behind.after) {
        let blocks: Vec<_> = group.iter().copied().filter(|candidate| candidate.is_block).collect();
        let is_clock = |at: usize| {
            let start = |at: usize| blocks.get(at).map(|candidate| candidate.start_ms);
            let around = at.checked_sub(1).and_then(start).zip(start(at + 1));
            around.is_some_and(|(before, behind)| is_outside(before, blocks[at].start_ms, behind, OVERLAP_MS))
        };
        let blocks: Vec<_> =
            blocks.iter().enumerate().filter(|(at, _)| !is_clock(*at)).map(|(_, block)| *block).collect();
        let rises = |before: &TimedCandidate<'_>, behind: &TimedCandidate<'_>| {
            behind.start_ms.saturating_add(OVERLAP_MS) >= before.start_ms
        };
        for run in blocks.chunk_by(rises) {
            let is_refused = |block: &TimedCandidate<'_>| !headers.has_room(places[block.index], &block.header);
            let refused = run.iter().filter(|block| is_refused(block)).count();
            if refused > 1 && (is_part(run, places) || goes_on(run, places)) {
                all.extend_from_slice(run);
            }
        }
    }
    all
}

/// Returns true for a run that begins where a recording begins, and does not go past the header behind it.
fn is_part(run: &[TimedCandidate<'_>], places: &[FileLine]) -> bool {
    let [first, .., last] = run else { return false };
    let is_end = |until: MediaMs| until < LOW_MS || last.start_ms <= until.saturating_add(OVERLAP_MS);
    first.start_ms < LOW_MS && places[last.index].until_ms.is_none_or(is_end)
}

/// Returns true for a run behind the last header. Somebody may speak at any time after it, and a new name of one word
/// only after a speech that is no longer than others.
fn goes_on(run: &[TimedCandidate<'_>], places: &[FileLine]) -> bool {
    let Some(first) = run.first() else { return false };
    let FileLine { from_ms: Some(from_ms), until_ms: None, longest_ms, .. } = places[first.index] else { return false };
    let longest_ms = longest_ms.max(LAST_SPEECH_MS);
    let mut before = from_ms;
    let is_near = |block: &TimedCandidate<'_>| {
        let distance = block.start_ms - std::mem::replace(&mut before, block.start_ms);
        block.is_somebody || distance <= longest_ms
    };
    first.start_ms.saturating_add(OVERLAP_MS) >= from_ms && run.iter().all(is_near)
}

/// Behind the last sure header, lets each header that is accepted extend the reach of those behind it.
fn move_reach(headers: &Headers<'_>, candidates: &[TimedCandidate<'_>], places: &mut [FileLine]) {
    let mut candidates = candidates.iter().peekable();
    let mut last_ms = None;
    for (index, place) in places.iter_mut().enumerate() {
        place.last_ms = place.last_ms.max(last_ms);
        if let Some(candidate) = candidates.next_if(|candidate| candidate.index == index)
            && place.until_ms.is_none()
            && place.from_ms.is_some()
            && headers.has_room(*place, &candidate.header)
        {
            last_ms = last_ms.max(Some(candidate.start_ms));
        }
    }
}
