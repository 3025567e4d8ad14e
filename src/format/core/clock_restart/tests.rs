//! Tests of `clock_restart`.

use super::*;

fn at(start: MediaMs, latest: MediaMs) -> Option<LineTimes> {
    Some(LineTimes { start, latest, speaker: None })
}

fn restarts_of(lines: &[Option<LineTimes>], marks: &[PartMark]) -> Vec<ClockRestart> {
    let steps = steps(lines, marks).into_iter();
    steps.filter_map(|step| if let ClockStep::Restart(restart) = step { Some(restart) } else { None }).collect()
}

/// Parses starts in seconds, each with an optional letter for its speaker. `-` is a line without a start, `|` a
/// mark of the file, and `!` one of the user.
fn read(starts: &str) -> (Vec<Option<LineTimes>>, Vec<PartMark>) {
    let (mut lines, mut marks) = (Vec::new(), Vec::new());
    for start in starts.split(' ') {
        if let "|" | "!" = start {
            marks.push(PartMark { line: lines.len(), is_sure: start == "!" });
            continue;
        }
        let (seconds, speaker) = match start.strip_suffix(|c: char| c.is_ascii_alphabetic()) {
            Some(seconds) => (seconds, Some(&start[seconds.len()..])),
            None => (start, None),
        };
        let seconds = seconds.parse::<MediaMs>().ok();
        lines.push(seconds.map(|seconds| LineTimes::new(seconds * 1000, None, &[], speaker)));
    }
    (lines, marks)
}

/// The line and the offset, in seconds, of each restart.
fn restarts(starts: &str) -> Vec<(usize, MediaMs)> {
    let (lines, marks) = read(starts);
    restarts_of(&lines, &marks).into_iter().map(|found| (found.line, found.offset / 1000)).collect()
}

#[test]
fn short_parts_and_marks_as_a_table() {
    for (starts, expected) in [
        // A first part of 40 s, and one that begins where the first did.
        ("0 10 20 30 40 0 10 20 30", vec![(5, 41)]),
        ("1 11 21 31 41 3 9 19 29", vec![(5, 42)]),
        ("90 100 200 600 91 120 400", vec![(4, 601)]),
        ("0 20 40 0 15 30 0 10 25", vec![(3, 41), (6, 72)]),
        ("0a 10b 20a 40b 0b 12c 25b", vec![(4, 41)]),
        ("0 20 40 0 15", vec![]),
        ("0 40 0 15 30", vec![]),
        // Lines that were left out, appended: they end where the file continues.
        ("0 12 25 50 1 3 5", vec![]),
        ("0 12 25 50 30 35 40", vec![]),
        // Microphones of one event, one after the other.
        ("0a 10a 20a 30a 5b 15b 25b", vec![]),
        // A part that is itself out of order.
        ("0 20 10 40 0 15 30", vec![]),
        // Places at which the file itself starts again.
        ("0 100 600 | 90 190 290", vec![(3, 601)]),
        ("0 40 | 0", vec![(2, 41)]),
        ("0 | 0 5 | 0", vec![(1, 1), (3, 7)]),
        ("0 40 | - 0 9", vec![(3, 41)]),
        ("2 4 6 | 2 4", vec![(3, 7)]),
        // Not a restart if an engine's segments overlap or continue.
        ("0 20 28 | 26 40", vec![]),
        ("0 20 | 30 40", vec![]),
        ("0 20 | 30 0 40", vec![]),
        // The user's word counts.
        ("0 20 28 ! 26 40", vec![(3, 29)]),
        ("0 20 28 ! 30 40", vec![]),
    ] {
        assert_eq!(restarts(starts), expected, "{starts}");
    }
}

#[test]
fn lines_that_are_put_among_others_are_told_once_with_how_many() {
    for (starts, expected) in [
        ("0 10 20 5 30", vec![(3, 1)]),
        ("0 10 9 8 30", vec![(2, 1), (3, 1)]),
        ("0 12 25 50 1 3 5", vec![(4, 3)]),
        ("0 100 600 90 190 290 700", vec![(3, 3)]),
        ("0 100 600 90 190 100 290", vec![(3, 2), (5, 2)]),
        ("0 10 10 20", vec![]),
    ] {
        let (lines, marks) = read(starts);
        let falls = steps(&lines, &marks).into_iter();
        let falls = falls.filter_map(|step| if let ClockStep::Fall(fall) = step { Some(fall) } else { None });
        assert_eq!(falls.map(|fall| (fall.line, fall.lines)).collect::<Vec<_>>(), expected, "{starts}");
    }
    let (lines, _) = read("0 12 25 50 1 3 5");
    let [step] = steps(&lines, &[])[..] else { panic!("one step") };
    let message = step.message(Some(17));
    assert!(
        message.contains("from 00:50 to 00:01: this line and 2 behind it") && message.contains("--part-at 17"),
        "{message}"
    );
    assert!(step.message(None).contains("a file of their own"));
}

#[test]
fn restarts_as_a_table() {
    for (starts, expected) in [
        ("10 300 0 240", vec![(2, 301)]),
        ("10 300 59 60", vec![(2, 301)]),
        // Three parts; a line without a start between them.
        ("0 300 0 240 - 5 200", vec![(2, 301), (5, 542)]),
        // The low point is not the first line of the part.
        ("10 300 40 10 50", vec![(2, 301)]),
        ("10 300 290 0 0 240", vec![(3, 301)]),
        // A part that is longer, one with a single step, and one that comes to the same time.
        ("5 120 3 130", vec![(2, 121)]),
        ("10 20 300 0 900", vec![(3, 301)]),
        ("100 0 100", vec![(1, 101)]),
        // A short part, after which the clock starts over with a pause.
        ("0 5 10 20 40 60 80 100 0 45 50", vec![(8, 101)]),
        ("0 5 10 15 20 25 30 35 40 45 50 55 60 65 0 30 35 40", vec![(14, 66)]),
        // Not far enough, not low enough, and no rise after it.
        ("10 61 1 62", vec![]),
        ("10 300 60 360", vec![]),
        ("10 300 0", vec![]),
        ("10 300 5 5 2", vec![]),
        ("10 20 30", vec![]),
        // Lines without a time that a program writes as 0, alone and two in a row.
        ("590 595 600 0 605 610 0 0 615", vec![]),
        ("590 595 600 0 599 610", vec![]),
        ("-", vec![]),
    ] {
        assert_eq!(restarts(starts), expected, "{starts}");
    }
}

#[test]
fn a_time_of_day_goes_on_past_midnight() {
    let day = 86_400;
    for (starts, expected) in [
        // 23:58:00, 23:59:50, 00:00:10, 00:01:30.
        ("86280 86390 10 90", vec![(2, day)]),
        ("86280 86390 90 150 4000", vec![(2, day)]),
        ("82800 3599 3700", vec![(1, day)]),
        // Twice, and behind a part of another kind.
        ("86000 100 40000 86000 100 200", vec![(1, day), (4, 2 * day)]),
        // Not from the last hour, not to the first one, no rise, a single line out of order.
        ("82799 100 200", vec![]),
        ("86000 3600 3700", vec![]),
        ("86000 86300 100", vec![]),
        ("86000 86100 86200 100 86250 86300", vec![]),
        ("84600 600 86000 86100", vec![]),
        // A recording that is longer than a day.
        ("0 90000 10 20", vec![(2, 90_001)]),
        // The user says that it is another recording.
        ("86280 86390 ! 10 90", vec![(2, 86_391)]),
    ] {
        assert_eq!(restarts(starts), expected, "{starts}");
    }
    let (lines, marks) = read("86280 86390 10 90");
    let [step] = steps(&lines, &marks)[..] else { panic!("one step") };
    let message = step.message(Some(17));
    assert!(message.contains("passes midnight (from 23:59:50 to 00:10): 24:00:00 is added"), "{message}");
    assert_eq!(end_past_midnight(86_398_000, 2_000), Some(86_402_000));
    assert_eq!((end_past_midnight(80_000_000, 2_000), end_past_midnight(2_000, 1_000)), (None, None));
}

#[test]
fn a_part_stands_behind_all_that_was_said_before_it() {
    let found = restarts_of(&[at(10_000, 400_250), at(300_000, 301_000), at(0, 900), at(1_000, 2_000)], &[]);
    let expected = ClockRestart { line: 2, from: 300_000, to: 0, offset: 401_000, passes_midnight: false };
    assert_eq!(found, [expected]);
    // No time leaves the axis, and no number is too great to be compared.
    let lines = [(5, 5), (i64::MIN, i64::MAX), (i64::MAX, 0), (i64::MIN, 0), (1, 1)]
        .map(|(start, end)| Some(LineTimes::new(start, Some(end), &[], None)));
    assert!(restarts_of(&lines, &[]).iter().all(|restart| restart.offset <= SORT_MS_MAX + 1_000));
    let found = restarts_of(&[at(SORT_MS_MAX, SORT_MS_MAX), at(0, 0), at(1, 1)], &[]);
    assert!(found.iter().all(|restart| restart.offset <= SORT_MS_MAX + 1_000), "{found:?}");
}

#[test]
fn times_that_leap_ahead_of_all_around_them_begin_no_part() {
    // The first line and the number of lines of each leap.
    for (starts, expected) in [
        // A wrong time behind the first line, in the middle and behind two lines that are out of order by a little.
        ("5 612 20 45 90 150", vec![(1, 1)]),
        ("5 12 195 40 50", vec![(2, 1)]),
        ("5 12 20 196 45 62 80", vec![(3, 1)]),
        ("605 612 620 796 645 662", vec![(3, 1)]),
        ("1 8 15 37800 41400 22 30", vec![(3, 2)]),
        ("5 12 20 196 45 62 900 80 90", vec![(3, 1), (6, 1)]),
        // Nothing goes on where it was, too little is around it, or another part begins.
        ("5 12 196 3 45 62 80", vec![]),
        ("10 300 59 60", vec![]),
        ("0 300 310 5 100 200", vec![]),
        ("5 12 20 196 | 45 62 80", vec![]),
        ("5 12 20 196 ! 45 62 80", vec![]),
        // Far, and not back: a pause. Near: people who speak at once.
        ("5 12 20 196 197 200", vec![]),
        ("5 12 20 79 21 30", vec![]),
        ("5 12 20 90 100 110 21 30 40", vec![]),
    ] {
        let (lines, marks) = read(starts);
        let found = steps(&lines, &marks);
        let leaps = found.iter().filter_map(|step| if let ClockStep::Leap(leap) = step { Some(leap) } else { None });
        assert_eq!(leaps.map(|leap| (leap.line, leap.lines)).collect::<Vec<_>>(), expected, "{starts}");
        assert!(expected.is_empty() || found.len() == expected.len(), "{starts}: nothing is added or goes back");
    }
    let message = |starts: &str| steps(&read(starts).0, &[])[0].message(Some(4));
    let one = message("5 612 20 45 90 150");
    assert!(one.contains("leaps from 00:05 to 10:12 and is back at 00:20 behind this line: it will stand"), "{one}");
    let two = message("1 8 15 37800 41400 22 30");
    assert!(two.contains("behind this line and 1 behind it: they will stand"), "{two}");
    // Another part begins behind what leapt.
    assert_eq!(restarts("5 612 20 45 90 150 0 40 80"), [(6, 613)]);
}
