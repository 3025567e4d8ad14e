//! Checks that a subscriber receives what was sent: every line once, in order, and unaltered.
//!
//! A [`LineCheck`] is given the bytes as they come off the socket, cut anywhere. It looks for markers only, so it costs
//! little and works with any server's messages.

use memchr::memchr;

use crate::cli::bench::lines::{LineMark, MARK_BYTES, read_mark, sentence};

/// Faults of all subscribers together.
#[derive(Debug, Default, Clone)]
pub(super) struct Faults {
    /// Lines that never arrived, or arrived after a later one.
    pub(super) lost: u64,
    /// Lines that arrived again, or late.
    pub(super) repeated: u64,
    /// Lines whose text differs from the one sent.
    pub(super) altered: u64,
    first: Option<String>,
}

impl Faults {
    /// Describes the faults; `None` if there are none.
    pub(super) fn say(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        let Self { lost, repeated, altered, .. } = self;
        Some(format!("{lost} lost, {repeated} repeated, {altered} altered; first: {first}"))
    }

    /// Counts lines that had not arrived at the end.
    pub(super) fn missing(&mut self, lines: u64, who: &str) {
        if lines > 0 {
            self.lost += lines;
            self.first.get_or_insert_with(|| format!("{who} lacks {lines} lines at the end"));
        }
    }
}

/// Position of one subscriber in the lines of its feed.
#[derive(Debug)]
pub(super) struct LineCheck {
    /// Number of the line expected next.
    pub(super) next: u32,
    /// True to compare whole texts, false to check markers only.
    is_thorough: bool,
    within: LatencyBound,
}

/// State between two pieces of input.
#[derive(Debug, Clone, Copy)]
enum LatencyBound {
    Nothing,
    /// The beginning of what may be a marker, and its length.
    Marker([u8; MARK_BYTES], usize),
    /// The text of a line, and the number of its bytes that have been compared.
    Text(u32, usize),
}

impl LineCheck {
    /// A check that expects the line `next`.
    pub(super) fn new(next: u32, is_thorough: bool) -> Self {
        Self { next, is_thorough, within: LatencyBound::Nothing }
    }

    /// Checks the next bytes, and passes each new line in them to `on_line`, with the number of the first line that is
    /// no longer awaited: the line's own, or the first of those that were skipped before it.
    pub(super) fn take(&mut self, mut bytes: &[u8], faults: &mut Faults, mut on_line: impl FnMut(LineMark, u32)) {
        while !bytes.is_empty() {
            bytes = match self.within {
                LatencyBound::Nothing => self.search(bytes, faults, &mut on_line),
                LatencyBound::Marker(marker, have) => self.go_on(marker, have, bytes, faults, &mut on_line),
                LatencyBound::Text(number, compared) => self.compare(number, compared, bytes, faults),
            };
        }
    }

    fn search<'a>(
        &mut self,
        bytes: &'a [u8],
        faults: &mut Faults,
        on_line: &mut impl FnMut(LineMark, u32),
    ) -> &'a [u8] {
        let Some(at) = memchr(b'#', bytes) else { return &[] };
        let bytes = &bytes[at..];
        let Some((marker, rest)) = bytes.split_first_chunk::<MARK_BYTES>() else {
            let mut marker = [0; MARK_BYTES];
            marker[..bytes.len()].copy_from_slice(bytes);
            self.within = LatencyBound::Marker(marker, bytes.len());
            return &[];
        };
        match read_mark(marker) {
            Some(mark) => {
                self.found(mark, faults, on_line);
                rest
            }
            None => &bytes[1..],
        }
    }

    /// Completes a marker that was cut; if it is none, a later byte of it may begin one.
    fn go_on<'a>(
        &mut self,
        mut marker: [u8; MARK_BYTES],
        have: usize,
        bytes: &'a [u8],
        faults: &mut Faults,
        on_line: &mut impl FnMut(LineMark, u32),
    ) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(bytes.len().min(MARK_BYTES - have));
        marker[have..have + taken.len()].copy_from_slice(taken);
        if have + taken.len() < MARK_BYTES {
            self.within = LatencyBound::Marker(marker, have + taken.len());
        } else if let Some(mark) = read_mark(&marker) {
            self.within = LatencyBound::Nothing;
            self.found(mark, faults, on_line);
        } else if let Some(at) = memchr(b'#', &marker[1..]) {
            marker.copy_within(at + 1.., 0);
            self.within = LatencyBound::Marker(marker, MARK_BYTES - at - 1);
        } else {
            self.within = LatencyBound::Nothing;
        }
        rest
    }

    fn found(&mut self, mark: LineMark, faults: &mut Faults, on_line: &mut impl FnMut(LineMark, u32)) {
        if mark.number != self.next {
            let due = self.next;
            faults.first.get_or_insert_with(|| format!("line {} where line {due} was due", mark.number));
        }
        if mark.number < self.next {
            faults.repeated += 1;
            return;
        }
        let first = std::mem::replace(&mut self.next, mark.number + 1);
        faults.lost += u64::from(mark.number - first);
        if self.is_thorough {
            self.within = LatencyBound::Text(mark.number, 0);
        }
        on_line(mark, first);
    }

    fn compare<'a>(&mut self, number: u32, compared: usize, bytes: &'a [u8], faults: &mut Faults) -> &'a [u8] {
        // The blank after the marker is part of the text.
        let (blank, wanted) = (usize::from(compared == 0), sentence(number).as_bytes());
        let rest_wanted = &wanted[compared.saturating_sub(1)..];
        let length = bytes.len().min(blank + rest_wanted.len());
        let (text, rest) = bytes.split_at(length);
        if (blank == 1 && text[0] != b' ') || text[blank..] != rest_wanted[..length - blank] {
            faults.altered += 1;
            faults.first.get_or_insert_with(|| format!("line {number} has another text than was sent"));
            self.within = LatencyBound::Nothing;
            return bytes;
        }
        let compared = compared + length;
        self.within =
            if compared == wanted.len() + 1 { LatencyBound::Nothing } else { LatencyBound::Text(number, compared) };
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::write_text;
    use super::*;

    fn said(numbers: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in numbers {
            bytes.extend_from_slice(b"{\"x\":\"# no #0123456789.marker\",\"text\":\"");
            write_text(LineMark { number: *number, due: 1_000 + u64::from(*number) }, &mut bytes);
            bytes.extend_from_slice(b"\"}");
        }
        bytes
    }

    /// Follows `bytes` in pieces of every length up to 90; gives the lines found and what was wrong.
    #[track_caller]
    fn follow(bytes: &[u8], is_thorough: bool) -> (Vec<u32>, Faults) {
        let in_pieces = |length| {
            let (mut follower, mut faults) = (LineCheck::new(0, is_thorough), Faults::default());
            let mut found = Vec::new();
            for piece in bytes.chunks(length) {
                follower.take(piece, &mut faults, |mark, _| {
                    assert_eq!(mark.due, 1_000 + u64::from(mark.number));
                    found.push(mark.number);
                });
            }
            (found, faults)
        };
        let whole = in_pieces(bytes.len());
        for length in 1..90 {
            let (found, faults) = in_pieces(length);
            assert_eq!((&found, faults.say()), (&whole.0, whole.1.say()), "in pieces of {length}");
        }
        whole
    }

    #[test]
    fn lines_are_found_however_they_are_cut() {
        let all: Vec<u32> = (0..30).collect();
        for is_thorough in [false, true] {
            let (found, faults) = follow(&said(&all), is_thorough);
            assert_eq!((found, faults.say()), (all.clone(), None));
        }
    }

    #[test]
    fn loss_repeats_and_swaps_are_noticed() {
        let check = |numbers: &[u32], lost: u64, repeated: u64| {
            let (_, faults) = follow(&said(numbers), false);
            assert_eq!((faults.lost, faults.repeated, faults.altered), (lost, repeated, 0), "{numbers:?}");
            assert_eq!(faults.say().is_some(), lost + repeated > 0);
        };
        check(&[0, 1, 2], 0, 0);
        check(&[0, 2, 3], 1, 0);
        check(&[4], 4, 0);
        check(&[0, 1, 1, 2], 0, 1);
        check(&[0, 1, 0, 1, 2], 0, 2);
        check(&[0, 2, 1, 3], 1, 1);
    }

    #[test]
    fn another_text_is_noticed_by_those_who_compare() {
        let good = said(&[0, 1, 2]);
        let text = good.windows(9).position(|window| window == b"committee").expect("the text of line 1");
        for (at, letter) in [(text, b'k'), (text - 5, b'_')] {
            let mut bad = good.clone();
            bad[at] = letter;
            let (found, faults) = follow(&bad, true);
            assert_eq!((found, faults.altered), (vec![0, 1, 2], 1), "{at}");
            assert_eq!(follow(&bad, false).1.altered, 0);
        }
        let shorter: Vec<u8> = [&good[..text], &good[text + 1..]].concat();
        assert_eq!(follow(&shorter, true).1.altered, 1);
    }

    #[test]
    fn what_is_missing_at_the_end_is_a_fault() {
        let mut faults = Faults::default();
        faults.missing(0, "nobody");
        assert_eq!(faults.say(), None);
        faults.missing(3, "subscriber 5");
        assert!(faults.say().expect("a fault").contains("subscriber 5 lacks 3 lines"));
    }
}
