//! Lines that have the layout of their file's headers, but with an unreadable time: `0O:25`, `00.25`, `??`, `time`,
//! `[inaudible 00:25]`.
//!
//! Text below such a line was not said by the speaker before. The line is a header without a time if it contains a
//! speaker who has a time elsewhere in the file, or any name beside a text that was certainly a time. Otherwise it is
//! reported.

use crate::format::core::person_names::is_title;
use crate::format::core::timestamps::{
    When, bare, is_blank, is_broken_clock, is_broken_span, is_close, is_colon, is_open, is_unreadable,
    stands_without_brackets, time, time_among_signs,
};
use crate::format::text::header_forms::{Header, HeaderForm, HeaderShape};
use crate::format::text::header_patterns::plain_label;

/// Longer lines are examined up to this byte.
const HEAD_BYTES_MAX: usize = 240;

/// The most words of a name.
const NAME_WORDS_MAX: usize = 6;

/// The most words of a text that stands for a time: `00:25 ?`, `inaudible 00:25`.
const TIME_WORDS_MAX: usize = 3;

/// The order of name, time and text in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct HeaderOrder {
    is_name_first: bool,
    has_text: bool,
}

impl HeaderOrder {
    fn index(self) -> usize {
        usize::from(self.is_name_first) * 2 + usize::from(self.has_text)
    }
}

/// The orders that the headers of a file have.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HeaderOrders {
    orders: [bool; 4],
    /// True if some have no name: a time in brackets, and text.
    has_nobody: bool,
}

impl HeaderOrders {
    /// The orders of rev.com's text.
    pub(crate) fn of_rev() -> Self {
        let mut orders = Self::default();
        orders.orders[HeaderOrder { is_name_first: true, has_text: false }.index()] = true;
        orders
    }

    /// Adds the order of a header.
    pub(crate) fn take(&mut self, line: &str, shape: &HeaderShape<'_>) {
        if shape.label.is_empty() {
            self.has_nobody |= !shape.whole.is_empty();
            return;
        }
        let at = (shape.label.as_ptr() as usize).saturating_sub(line.as_ptr() as usize);
        let is_name_first = !line.get(..at).is_some_and(|before| before.contains(char::is_alphanumeric));
        self.orders[HeaderOrder { is_name_first, has_text: !shape.text.is_empty() }.index()] = true;
    }

    fn has(self, order: HeaderOrder) -> bool {
        self.orders[order.index()]
    }
}

/// A line, read as a header with another text in the place of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeaderGuess<'a> {
    label: &'a str,
    remark: &'a str,
    text: &'a str,
    is_name_first: bool,
    /// True if brackets or tabs separate it from the name.
    is_marked: bool,
}

impl<'a> HeaderGuess<'a> {
    fn order(&self) -> HeaderOrder {
        HeaderOrder { is_name_first: self.is_name_first, has_text: !self.text.is_empty() }
    }

    /// Returns true for a header. `is_known` is true if its speaker has a time elsewhere.
    fn is_header(&self, is_known: bool) -> bool {
        // Of a row with two times, one may be readable.
        let mut cells = self.remark.split('\t').filter(|cell| time(cell).is_none());
        let is_damaged = |cell: &str| is_unreadable(cell) || time_among_signs(cell).is_some();
        match is_known {
            true => {
                let is_apart = self.is_marked || stands_without_brackets(self.remark);
                is_apart && cells.clone().next().is_some() && cells.all(is_damaged)
            }
            false => is_title(self.label) && !is_unreadable(self.label) && is_broken_clock(self.remark, true),
        }
    }

    pub(crate) fn header(self) -> Header<'a> {
        let Self { label, remark, text, is_marked, .. } = self;
        // Of start and end, one may be readable.
        let (start, odd) = match remark.split_once('\t') {
            Some((start, _)) => (time(start), "the end cannot be read"),
            None if let Some((start, _)) = remark.split_once("-->") => (time(start), "the end cannot be read"),
            None => (time_among_signs(remark), "there are other signs around the time"),
        };
        let when = start.map_or(When::Unknown(bare(remark)), |start| When::Known(start, None));
        let odd = start.map(|_| odd);
        let header = HeaderShape { form: HeaderForm::TimeFirst, label, when, text, whole: text, odd }.header();
        Header { is_plain_remark: !is_marked, ..header }
    }
}

/// Returns the first reading of `line` that is a header, in a file whose headers have these `orders`, or `None`.
pub(crate) fn find<'a>(
    line: &'a str,
    orders: HeaderOrders,
    has_text_below: bool,
    is_known: impl Fn(&str) -> bool,
) -> Option<HeaderGuess<'a>> {
    let all = guesses(line).into_iter().filter(|guess| orders.has(guess.order()));
    let found = all
        .into_iter()
        .find(|guess| (!guess.text.is_empty() || has_text_below) && guess.is_header(is_known(guess.label)));
    found.or_else(|| nobody(line).filter(|_| orders.has_nobody))
}

/// Parses `[…] text`, with one or two damaged times in the brackets.
fn nobody(line: &str) -> Option<HeaderGuess<'_>> {
    let (remark, text) = bare(line).strip_prefix(is_open)?.split_once(is_close)?;
    let is_one = is_broken_clock(remark, false) || is_broken_span(remark);
    let guess = HeaderGuess { label: "", remark, text: bare(text), is_name_first: false, is_marked: true };
    (is_one && !guess.text.is_empty()).then_some(guess)
}

/// Returns true for a line that may be a header or text: a known speaker stands where the headers have a name, and a
/// word, or a text in brackets, where they have a time.
pub(crate) fn is_doubtful(
    line: &str,
    orders: HeaderOrders,
    has_text_below: bool,
    is_known: impl Fn(&str) -> bool,
) -> bool {
    let is_one = |guess: &HeaderGuess<'_>| {
        let is_word = guess.is_marked || !bare(guess.remark).contains(is_blank);
        let is_over = guess.remark.ends_with(['.', '?', '!', ',']);
        let is_time = guess.is_marked && time(guess.remark).is_some();
        // Years and counts stand behind such words too.
        let has_sign =
            guess.remark.contains(|c: char| is_colon(c) || c.is_alphabetic()) || is_broken_clock(guess.remark, false);
        let is_clock = has_sign && guess.remark.contains(|c: char| c.is_ascii_digit()) && is_unreadable(guess.remark);
        let is_somebody = || is_title(guess.label) && !is_unreadable(guess.label) && is_clock;
        !is_over && !is_time && (is_word && is_known(guess.label) || is_somebody())
    };
    let all = guesses(line).into_iter().filter(|guess| orders.has(guess.order()));
    all.into_iter().any(|guess| (!guess.text.is_empty() || has_text_below) && is_one(&guess))
}

/// Returns true for signs between a name and a time.
fn is_sign(c: char) -> bool {
    is_blank(c) || is_colon(c) || "-\u{2013}\u{2014}|\u{2022}\u{B7}@/,".contains(c)
}

/// The readings of a line, the most certain ones first.
fn guesses(line: &str) -> Vec<HeaderGuess<'_>> {
    let mut all = Vec::new();
    let line = line.trim_end_matches(is_blank);
    cells(line, &mut all);
    let line = bare(line);
    let item = ["- ", "* ", "\u{2022} "].into_iter().find_map(|sign| line.strip_prefix(sign));
    let line = item.filter(|item| item.starts_with(is_open)).unwrap_or(line);
    brackets(line, &mut all);
    words(line, true, &mut all);
    all.retain(|guess| !guess.label.is_empty() && !guess.label.contains('\t'));
    all
}

/// Adds the readings as a row of a table, with one time or two.
fn cells<'a>(line: &'a str, all: &mut Vec<HeaderGuess<'a>>) {
    let Some((first, below)) = line.split_once('\t') else { return };
    let (second, rest) = below.split_once('\t').unwrap_or((below, ""));
    let mut push = |label: &'a str, remark: &'a str, text: &'a str, is_name_first| {
        all.push(HeaderGuess { label: plain_label(label), remark, text: bare(text), is_name_first, is_marked: true });
    };
    push(second, first, rest, false);
    match rest.split_once('\t') {
        Some((third, text)) => {
            push(third, &line[..first.len() + 1 + second.len()], text, false);
            let is_end = time(third).is_some() || is_unreadable(third);
            push(first, second, if is_end { text } else { rest }, true);
        }
        None => push(first, second, rest, true),
    }
}

/// Adds the readings `[…] Name`, `[…] Name: text`, `Name […] text`, `Name (…): text` and `[Name …] text`.
fn brackets<'a>(line: &'a str, all: &mut Vec<HeaderGuess<'a>>) {
    let Some(open) = line.find(is_open).filter(|at| *at < HEAD_BYTES_MAX) else { return };
    let behind = &line[open..][line[open..].chars().next().map_or(0, char::len_utf8)..];
    let (content, rest) = behind.split_once(is_close).unwrap_or((behind, ""));
    let rest = rest.trim_start_matches(is_close);
    if open > 0 {
        let label = plain_label(line[..open].trim_end_matches(is_sign));
        let text = bare(bare(rest).trim_start_matches(is_colon));
        // `Name (2019)` and `Name (42)` stand in sentences too.
        let has_colon = line[..open].trim_end_matches(is_blank).ends_with(is_colon) || bare(rest).starts_with(is_colon);
        let is_marked = has_colon || !content.chars().all(|c| c.is_ascii_digit());
        all.push(HeaderGuess { label, remark: content, text, is_name_first: true, is_marked });
        return;
    }
    names(content, rest, true, all);
    let mut inner = Vec::new();
    words(content, false, &mut inner);
    let text = bare(bare(rest).trim_start_matches(is_colon));
    let inner = inner.into_iter().filter(|guess| guess.text.is_empty());
    all.extend(inner.map(|guess| HeaderGuess { text, is_marked: true, ..guess }));
}

/// Adds readings with the name behind the `remark` in the place of a time: all of `rest`, and the text before its first
/// colon.
fn names<'a>(remark: &'a str, rest: &'a str, is_marked: bool, all: &mut Vec<HeaderGuess<'a>>) {
    let rest = rest.trim_start_matches(is_sign);
    let whole = plain_label(rest.trim_end_matches(is_sign));
    let mut push = |label, text| all.push(HeaderGuess { label, remark, text, is_name_first: false, is_marked });
    push(whole, "");
    if let Some((label, text)) = rest.split_once(is_colon) {
        push(plain_label(label.trim_start_matches(['>', ' '])), bare(text.trim_start_matches('*')));
    }
}

/// Adds readings without brackets: some words in the place of a time, before the name, or behind it if the line ends
/// there.
fn words<'a>(line: &'a str, is_line: bool, all: &mut Vec<HeaderGuess<'a>>) {
    let head = &line[..line.floor_char_boundary(HEAD_BYTES_MAX)];
    let gaps: Vec<usize> = head.match_indices(is_blank).map(|(at, _)| at).collect();
    let is_end = |at: &&usize| !head[..**at].ends_with(is_blank);
    let ends = || gaps.iter().filter(is_end).copied();
    for end in ends().take(TIME_WORDS_MAX) {
        names(&line[..end], &line[end..], false, all);
    }
    if head.len() < line.len() {
        return;
    }
    for end in ends().take(NAME_WORDS_MAX) {
        let remark = bare(line[end..].trim_start_matches(is_sign));
        // A sign alone counts as well.
        let remark = if remark.is_empty() { bare(&line[end..]) } else { remark };
        let label = plain_label(line[..end].trim_end_matches(is_sign));
        if remark.split_whitespace().count() <= TIME_WORDS_MAX {
            all.push(HeaderGuess { label, remark, text: "", is_name_first: true, is_marked: false });
        }
    }
    // `[Name] -`, `Name --`, whose time is missing. A sign that touches a name belongs to the sentence.
    let label = line.trim_end_matches(is_sign);
    let is_bracketed = label.starts_with(is_open) && label.ends_with(is_close);
    if is_line && (is_bracketed || line[label.len()..].starts_with(is_blank)) && !line.ends_with(is_colon) {
        let (label, remark) = (plain_label(label), &line[label.len()..]);
        all.push(HeaderGuess { label, remark, text: "", is_name_first: true, is_marked: is_bracketed });
    }
    // `-- Name`
    let label = line.trim_start_matches(is_sign);
    let remark = &line[..line.len() - label.len()];
    if is_line && remark.ends_with(is_blank) {
        all.push(HeaderGuess { label: plain_label(label), remark, text: "", is_name_first: false, is_marked: false });
    }
}

#[cfg(test)]
mod tests {
    use crate::format::core::builder::TranscriptBuilder;
    use crate::format::core::kinds::FileKind;
    use crate::format::text::plain_text;

    /// The layouts of headers, with `NAME`, `TIME` and `SAID` to fill in.
    const LAYOUTS: [(FileKind, &str, &str); 19] = [
        (FileKind::Rev, "00:", "NAME: (TIME)\nSAID\n\n"),
        (FileKind::Rev, "00:", "NAME (TIME):\nSAID\n\n"),
        (FileKind::Names, "00:00:", "NAME: TIME\nSAID\n\n"),
        (FileKind::Otter, "00:", "NAME  TIME\nSAID\n\n"),
        (FileKind::Otter, "00:", "NAME\tTIME\nSAID\n"),
        (FileKind::Otter, "00:00:", "[NAME] TIME\nSAID\n\n"),
        (FileKind::Otter, "00:00:", "[TIME] - NAME\nSAID\n\n"),
        (FileKind::Otter, "00:", "TIME NAME\nSAID\n\n"),
        (FileKind::Otter, "00:", "TIME - NAME\nSAID\n"),
        (FileKind::Otter, "00:00:", "[TIME] NAME\nSAID\n\n"),
        (FileKind::Otter, "00:", "NAME - TIME\nSAID\n\n"),
        (FileKind::Otter, "00:", "[NAME TIME]\nSAID\n\n"),
        (FileKind::Timed, "00:00:", "[TIME] NAME: SAID\n"),
        (FileKind::Timed, "00:00:", "TIME NAME: SAID\n"),
        (FileKind::Timed, "00:", "NAME (TIME): SAID\n\n"),
        (FileKind::Timed, "00:00:", "NAME [TIME] SAID\n"),
        (FileKind::Timed, "00:00:", "TIME\tNAME\tSAID\n"),
        (FileKind::Timed, "00:00:", "NAME\tTIME\tSAID\n"),
        (FileKind::Timed, "00:00:", "TIME\tTIME\tNAME\tSAID\n"),
    ];

    /// Reads a file of a layout, with `time` in the place of the fourth time. Returns speakers and texts, and true if a
    /// problem is reported for its line.
    fn said((kind, hours, layout): (FileKind, &str, &str), time: &str) -> (Vec<(String, String)>, bool) {
        let speeches = [
            ("Ann", "Good morning to you all."),
            ("Ben", "I have a question for you."),
            ("Ann", "Please ask it now."),
            ("Ben", "What did you see there?"),
            ("Ann", "It was a long day for us."),
        ];
        let (mut text, mut line) = (String::new(), 0);
        for (at, (name, said)) in speeches.into_iter().enumerate() {
            line = if at == 3 { text.lines().count() + 1 } else { line };
            let time = if at == 3 { time.to_owned() } else { format!("{hours}{}", 11 + at * 10) };
            text += &layout.replace("TIME", &time).replace("NAME", name).replace("SAID", said);
        }
        let reading = plain_text::read(kind, &text, TranscriptBuilder::default());
        let lines = reading.lines.iter().map(|line| {
            let speaker = line.content.speaker.as_deref().unwrap_or_default();
            (speaker.to_owned(), line.content.text.lines().last().unwrap_or_default().to_owned())
        });
        (lines.collect(), reading.problems.iter().any(|problem| problem.line == line))
    }

    #[test]
    fn what_stands_in_the_place_of_a_time_gives_no_words_to_who_spoke_before() {
        for layout in LAYOUTS {
            let (whole, _) = said(layout, &format!("{}41", layout.1));
            assert_eq!(whole.len(), 5, "{layout:?}");
            for time in [
                "0O:25",
                "00.25",
                "00;25",
                "00:2",
                "0025",
                "00 25",
                "00:2l",
                "00-25",
                "t=00:25",
                "(00:25",
                "time",
                "??",
                "--:--",
                "--",
                "unknown",
                "inaudible 00:25",
                "00:25 ?",
            ] {
                assert_eq!(said(layout, time), (whole.clone(), true), "{layout:?} {time:?}");
            }
            // Any other word is reported, and so are ends of sentences and counts, if nothing marks the place of the
            // time.
            for time in ["tc", "-", "0"] {
                assert!(said(layout, time).1, "{layout:?} {time:?}");
            }
            // Two blanks, a tab, or brackets around the name separate a sign from it.
            let is_parted = ["NAME  TIME", "NAME\tTIME", "[NAME] TIME", "[NAME TIME]", "TIME\tNAME"];
            if is_parted.iter().any(|parted| layout.2.starts_with(parted)) {
                assert_eq!(said(layout, "-"), (whole.clone(), true), "{layout:?}");
            }
        }
    }

    #[test]
    fn rows_without_names_stay_rows() {
        for damaged in ["[00:00:03 --> 0000:04]", "[00:0O:03 --> 00:00:04]", "[00:0O:03 --> 0O:00:04]"] {
            let text = format!("[00:00:01 --> 00:00:02] So.\n{damaged} Well.\n[00:00:05 --> 00:00:06] Yes.\n");
            let reading = plain_text::read(FileKind::Timed, &text, TranscriptBuilder::default());
            let texts: Vec<&str> = reading.lines.iter().map(|line| &*line.content.text).collect();
            assert_eq!(texts, ["So.", "Well.", "Yes."], "{damaged}");
            assert!(reading.problems.iter().any(|problem| problem.line == 2), "{damaged}");
        }
    }

    /// A sentence in which a line begins or ends with a name.
    #[test]
    fn a_name_in_a_sentence_is_no_header() {
        for (first, line) in [
            ("", "Ann Lee,"),
            ("", "Ann Lee -"),
            ("", "Ann Lee \u{2013} "),
            ("", "Ann Lee\u{2014}"),
            ("", "Ann Lee--"),
            ("", "Ann Lee ?"),
            ("", "Ann Lee ..."),
            ("", "Ann Lee, -"),
            ("", "Ann Lee 42"),
            ("", "Ann Lee 42."),
            ("", "Ann Lee 1,234"),
            ("", "Ann Lee 21-15"),
            ("", "Ann Lee 3 of 4"),
            ("", "Ann Lee 2019"),
            ("", "Ann Lee, 2020,"),
            ("", "Ann Lee (2019)"),
            ("", "Ann Lee (42)"),
            ("", "Ann Lee [3]"),
            ("", "- Ann Lee"),
            ("", "--Ann Lee"),
            ("time", "3 Ann Lee"),
            ("time", "42 Ann Lee"),
            ("time", "2019 Ann Lee"),
            ("time", ", Ann Lee"),
            ("time", "- Ann Lee"),
            ("time", "? Ann Lee"),
            ("brackets", "Ann Lee (2019)"),
            ("brackets", "Ann Lee,"),
            ("brackets", "Ann Lee 42"),
        ] {
            let header = |name: &str, time: &str| match first {
                "time" => format!("{time} {name}"),
                "brackets" => format!("{name}: ({time})"),
                _ => format!("{name}  {time}"),
            };
            let [ann, ben, again] = [("Ann Lee", "00:01"), ("Ben Roth", "00:12"), ("Ann Lee", "00:30")]
                .map(|(name, time)| header(name, time));
            let text = format!("{ann}\nGood.\n\n{ben}\nI have a question,\n{line}\nplease tell us.\n\n{again}\nSo.\n");
            let kind = if first == "brackets" { FileKind::Rev } else { FileKind::Otter };
            let reading = plain_text::read(kind, &text, TranscriptBuilder::default());
            let said: Vec<_> =
                reading.lines.iter().map(|line| (line.content.speaker.as_deref(), &*line.content.text)).collect();
            let asked = format!("I have a question,\n{}\nplease tell us.", line.trim_end());
            let expected = [(Some("Ann Lee"), "Good."), (Some("Ben Roth"), &*asked), (Some("Ann Lee"), "So.")];
            assert_eq!(said, expected, "{first} {line:?}");
        }
    }

    #[test]
    fn who_is_named_once_has_a_time_that_was_one() {
        let text = |header: &str| {
            format!("Ann Lee  0:01\nGood.\n\n{header}\nI ask.\n\nBen Roth  0:20\nWhy?\n\nAnn Lee  0:30\nSo.\n")
        };
        for (header, speaker) in [
            ("Cleo Poe  0O:12", "Cleo Poe"),
            ("Cleo  00;12", "Cleo"),
            ("Cleo  0\u{2236}12", "Cleo"),
            ("Cleo Poe  0l12", "Ann Lee"),
            ("Bitcoin Core 0.21", "Ann Lee"),
            ("Chapter 12", "Ann Lee"),
            ("We saw 12", "Ann Lee"),
            ("We Saw 2016.", "Ann Lee"),
        ] {
            let reading = plain_text::read(FileKind::Otter, &text(header), TranscriptBuilder::default());
            let found = reading.lines.iter().find(|line| line.content.text.ends_with("I ask."));
            let found = found.and_then(|line| line.content.speaker.as_deref());
            assert_eq!(found, Some(speaker), "{header}");
            let is_told = reading.problems.iter().any(|problem| problem.line == 4);
            assert_eq!(is_told, !header.starts_with("We") && !header.starts_with("Chapter"), "{header}");
        }
    }
}
