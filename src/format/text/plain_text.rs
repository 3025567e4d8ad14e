//! Reader of plain-text transcripts: blocks below headers (`rev`, `names`, `otter`), and rows with a time each
//! (`timed`).
//!
//! Text before the first header is the preamble. In rev.com's text, a last line `Published at …` is the trailer. A time
//! in brackets begins a line of the same speaker. In `names`, the front matter gives title and language, and headings
//! are part of the preamble wherever they stand.

use crate::format::core::blocks::Blocks;
use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::ParsedTranscript;
use crate::format::core::timestamps::{bare, time};
use crate::format::text::header_forms::{Header, paragraph};
use crate::format::text::headers::{FileLine, HeaderNearMiss, Headers};
use crate::format::text::names::{front_matter, inner_front_matter, is_heading};
use crate::format::text::rev::{TRAILER, unescaped};
use crate::format::text::text_lines::{LABEL_MAX, excerpt, numbered};
use crate::format::text::time_lines::{self, Layout, LineStart, TimeLines};
use crate::transcript::{FeedMeta, MediaMs};

pub(crate) fn read(kind: FileKind, text: &str, gather: TranscriptBuilder) -> ParsedTranscript {
    let front = if kind == FileKind::Names { front_matter(text) } else { Default::default() };
    let mut blocks = Blocks::new(FeedMeta { ..front.meta }, gather);
    if !front.others.is_empty() {
        let others = front.others.join(", ");
        let message =
            format!("the front matter says more than title and language; left out is what it says of {others:?}");
        blocks.problem(1, 1, message);
    }
    let lines: Vec<&str> = numbered(text).map(|(_, line)| line).collect();
    (0..front.lines).for_each(|index| blocks.check_encoding(index + 1, lines[index]));
    let body = &lines[front.lines..];
    let times = TimeLines::of(body).filter(|times| times.kind() == kind && times.leads(kind, body));
    let mut headers = Headers::of(kind, body);
    if let Some(times) = &times {
        headers.take_time_lines(times);
        if let Some(rate) = times.frames {
            let message =
                format!("the times count frames, and do not say how many make a second: {rate} are taken for one");
            blocks.problem(front.lines + 1, 1, message);
        }
    }
    let reader = PlainTextReader {
        kind,
        first: front.lines + 1,
        places: places(&headers, times.as_ref(), body),
        lines: body,
        headers,
        times,
    };
    reader.read(&mut blocks);
    blocks.finish(kind, (kind == FileKind::Rev).then_some(TRAILER))
}

/// Returns the surroundings of each line, except for `is_open`.
fn places(headers: &Headers<'_>, times: Option<&TimeLines<'_>>, lines: &[&str]) -> Vec<FileLine> {
    let (mut has_text_below, mut until_ms, mut starts) = (false, None, vec![None; lines.len()]);
    let is_time = |line: &str| {
        time(line).or_else(|| paragraph(line).filter(|(_, text)| text.is_empty()).map(|(start, _)| start)).is_some()
    };
    let mut places: Vec<FileLine> = lines
        .iter()
        .enumerate()
        .rev()
        .map(|(index, line)| {
            let has_time_below = times.is_none() && lines.get(index + 1).is_some_and(|below| is_time(below));
            let is_first = index == 0 || bare(lines[index - 1]).is_empty();
            let is_last = lines.get(index + 1).is_none_or(|below| !bare(below).starts_with(char::is_lowercase));
            let place = FileLine {
                is_open: false,
                has_text_below,
                has_time_below,
                is_first,
                is_last,
                from_ms: None,
                until_ms,
                reach_ms: None,
            };
            if !bare(line).is_empty() {
                let own = headers.sure_start(line);
                let at = times.and_then(|times| times.at(index));
                has_text_below = !headers.is_own(line) && at.is_none() && !is_time(line);
                starts[index] = match at {
                    Some(LineStart::Header { start_ms, .. }) => start_ms.or(own),
                    _ => own,
                };
                until_ms = starts[index].or(until_ms);
            }
            place
        })
        .collect();
    places.reverse();
    let known: Vec<MediaMs> = starts.iter().copied().flatten().collect();
    let longest = known.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
    let mut from_ms: Option<MediaMs> = None;
    for (place, start) in places.iter_mut().zip(starts) {
        place.from_ms = from_ms;
        place.reach_ms = from_ms.map(|from| from.saturating_add(longest));
        from_ms = start.or(from_ms);
    }
    places
}

struct PlainTextReader<'a> {
    kind: FileKind,
    /// The number of the first line, from 1.
    first: usize,
    lines: &'a [&'a str],
    places: Vec<FileLine>,
    headers: Headers<'a>,
    times: Option<TimeLines<'a>>,
}

impl PlainTextReader<'_> {
    fn read(&self, blocks: &mut Blocks) {
        let mut index = 0;
        // The time above a row, in a file of such rows.
        let mut above: Option<(Option<MediaMs>, Option<MediaMs>)> = None;
        let mut is_over = false;
        while index < self.lines.len() {
            let (at, line) = (self.first + index, self.lines[index]);
            blocks.check_encoding(at, line);
            is_over |= self.times.is_some() && time_lines::is_end(line);
            if is_over {
                blocks.aside(line.trim_end());
                index += 1;
                continue;
            }
            let matter = if self.kind == FileKind::Names { inner_front_matter(&self.lines[index..]) } else { 0 };
            if matter > 0 {
                blocks.left_out(at, 1, "the front matter of another file, put behind the text above: left out");
                blocks.text(line.trim_end().trim_end_matches('-').trim_end());
                index += matter;
                continue;
            }
            match self.times.as_ref().and_then(|times| times.at(index)) {
                Some(LineStart::Header { label, start_ms, end_ms, remark, lines }) => {
                    (1..lines).for_each(|below| blocks.check_encoding(at + below, self.lines[index + below]));
                    self.begin_at_time(blocks, at, Header { start_ms, end_ms, remark, ..Header::of_label(label) });
                    index += lines;
                    continue;
                }
                Some(LineStart::Time(start_ms, end_ms)) => {
                    if let Some((Some(_), _)) = above {
                        blocks.problem(at, 1, "no text stands between this time and the one before".to_owned());
                    }
                    above = Some((start_ms, end_ms));
                }
                None => {
                    let is_row = !bare(line).is_empty();
                    self.line(blocks, index, above.filter(|_| is_row));
                    above = above.filter(|_| !is_row);
                }
            }
            index += 1;
        }
        if let Some((Some(_), _)) = above {
            blocks.problem(self.first + self.lines.len() - 1, 1, "no text stands below the last time".to_owned());
        }
    }

    /// Begins a block whose time stands alone on its line.
    fn begin_at_time(&self, blocks: &mut Blocks, at: usize, header: Header<'_>) {
        let is_nobody =
            header.label.is_empty() && self.times.as_ref().is_some_and(|times| times.layout != Layout::Nobody);
        if is_nobody {
            let message = "there is no name beside this time; read as a block without a speaker: write the name above the time, or below it, as in the rest of the file";
            blocks.problem(at, 1, message.to_owned());
        }
        if header.start_ms.is_none() {
            blocks.problem(at, 1, without_time(&header, ""));
        }
        blocks.begin(at, &header);
    }

    /// Reads a line that is not a time alone. `above` is the time above a row.
    fn line(&self, blocks: &mut Blocks, index: usize, above: Option<(Option<MediaMs>, Option<MediaMs>)>) {
        let (kind, at, line) = (self.kind, self.first + index, self.lines[index]);
        if kind == FileKind::Names && at == 1 && line.trim_end() == "---" {
            blocks.problem(1, 1, "front matter that does not end: read as text".to_owned());
        }
        if kind == FileKind::Rev
            && let Some(line) = unescaped(line, &self.headers)
        {
            return blocks.escaped_text(line);
        }
        let place = FileLine { is_open: blocks.is_open() || above.is_some(), ..self.places[index] };
        let header = self.headers.find(line, place);
        if let Some((start_ms, end_ms)) = above {
            let header = header.unwrap_or(Header { text: bare(line), ..Header::of_label("") });
            let is_own = header.start_ms.is_some();
            let header = if is_own { header } else { Header { start_ms, end_ms, ..header } };
            return self.begin_at_time(blocks, at, header);
        }
        if let Some(header) = header {
            return self.begin(blocks, at, line, header);
        }
        if kind == FileKind::Names && is_heading(line) {
            return blocks.aside(line.trim_end());
        }
        if let Some((start_ms, text)) = paragraph(line)
            && self.begin_paragraph(blocks, at, start_ms, text)
        {
            return;
        }
        if let Some(start_ms) = time(line).filter(|_| blocks.is_open()) {
            if blocks.take_time(start_ms) {
                return;
            }
            let message = "a time alone on a line, without brackets: kept as text of the block before; in brackets it begins a line";
            blocks.problem(at, 1, message.to_owned());
        } else if let Some(HeaderNearMiss { at: byte, why }) = self.headers.near_miss(line, place) {
            let column = line[..byte].chars().count() + 1;
            let kept = if blocks.is_open() { "text of the block before" } else { "part of the preamble" };
            blocks.problem(at, column, format!("{:?} begins no block: {why}; kept as {kept}", excerpt(line)));
        }
        blocks.text(match kind {
            FileKind::Rev => line,
            FileKind::Names => line.trim_end(),
            // Some programs indent the text below its header.
            _ => bare(line),
        });
    }

    /// Begins a line at a time in brackets, with the text behind it. In rows it has no speaker. Returns false if there
    /// is no block to continue.
    fn begin_paragraph(&self, blocks: &mut Blocks, at: usize, start_ms: MediaMs, text: &str) -> bool {
        if self.kind == FileKind::Timed {
            blocks.begin(at, &Header { start_ms: Some(start_ms), text, ..Header::of_label("") });
            return true;
        }
        if !blocks.goes_on(at, start_ms) {
            return false;
        }
        if !text.is_empty() {
            let message = "the time before this text is read as that of a paragraph of the same speaker";
            blocks.problem(at, 1, message.to_owned());
            blocks.text(text);
        }
        true
    }

    /// Begins the block of `header`, and reports its deviations.
    fn begin(&self, blocks: &mut Blocks, at: usize, line: &str, header: Header<'_>) {
        let Header { label, start_ms, odd, .. } = header;
        debug_assert!(label.chars().count() <= LABEL_MAX);
        let block = block_of(label);
        if label.is_empty() && self.kind == FileKind::Rev {
            blocks.problem(at, 1, "there is no name before the time; read as a block without a speaker".to_owned());
        } else if let Some(odd) = odd {
            blocks.problem(at, 1, format!("{odd}; read as {block} all the same"));
        } else if line.trim_end() != line && start_ms.is_some() {
            blocks.problem(at, 1, format!("there are blanks after the time; read as {block} all the same"));
        }
        // Of the rows below a time, only the first one has it.
        let has_rows = self.times.as_ref().is_some_and(|times| times.layout == Layout::Rows);
        if start_ms.is_none() && !(has_rows && header.remark.is_empty()) {
            blocks.problem(at, 1, without_time(&header, " (MM:SS or H:MM:SS)"));
        }
        blocks.begin(at, &header);
    }
}

/// The name of a block in a message.
fn block_of(label: &str) -> String {
    if label.is_empty() {
        "the block without a speaker".to_owned()
    } else {
        format!("the block of {:?}", excerpt(label))
    }
}

/// The message for a header without a time, which says where its block stands.
fn without_time(header: &Header<'_>, form: &str) -> String {
    let why = match header.remark {
        "" => "says no time".to_owned(),
        remark => format!("has {remark:?} in place of a time"),
    };
    format!("this header {why}{form}: {} stands where the file has it", block_of(header.label))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `text` with `header` in it. Returns speakers and texts, and true if a problem is reported for the line of
    /// the header.
    fn said_in(kind: FileKind, text: &str, header: &str) -> (Vec<String>, bool) {
        let text = text.replace("HEADER", header);
        let first = header.trim_start_matches('\n').lines().next().unwrap_or_default();
        let at = 1 + text.lines().position(|line| line == first).expect("the header");
        let reading = read(kind, &text, TranscriptBuilder::default());
        let lines = reading.lines.iter().map(|line| {
            let content = &line.content;
            let start = content.start_ms.map_or_else(|| "?".to_owned(), |start| (start / 1000).to_string());
            format!("{start} {}: {}", content.speaker.as_deref().unwrap_or("-"), content.text.replace('\n', "/"))
        });
        (lines.collect(), reading.problems.iter().any(|problem| problem.line == at))
    }

    /// Text below a header without a usable time belongs to its speaker, and that is reported.
    #[test]
    fn who_has_no_time_speaks_all_the_same() {
        let rev = "Ann Lee: (00:01)\nGood.\nHEADER\nI ask.\nBen Roth: (00:20)\nWhy?\n";
        let names = "Ann Lee: 00:00:01\nGood.\nHEADER\nI ask.\nBen Roth: 00:00:20\nWhy?\n";
        let otter = "Ann Lee  0:01\nGood.\nHEADER\nI ask.\nBen Roth  0:20\nWhy?\n";
        let zoom = "[Ann Lee] 0:01\nGood.\nHEADER\nI ask.\n[Ben Roth] 0:20\nWhy?\n";
        let scribe = "[00:00:01.190] - Ann Lee\nGood.\nHEADER\nI ask.\n[00:00:20.000] - Ben Roth\nWhy?\n";
        let timed = "[0:01] Ann Lee: Good.\nHEADER\nI ask.\n[0:20] Ben Roth: Why?\n[0:21] Ben Roth: Yes?\n[0:22] Ann Lee: So.\n";
        let below = "Ann Lee\n0:01\nGood.\n\nHEADER\nI ask.\n\nBen Roth\n0:20\nWhy?\n";
        for (kind, text, headers) in [
            (
                FileKind::Rev,
                rev,
                &[
                    "Ben Roth: (NA)",
                    "Ben Roth: NA",
                    "Ben Roth: --:--",
                    "Ben Roth: \u{2014}",
                    "Ben Roth: none",
                    "Ben Roth",
                    "Ben Roth:",
                    "[Ben Roth]",
                    "Ben Roth ()",
                    "Ben Roth: [??:??]",
                    "Ben Roth\u{FF1A}",
                ][..],
            ),
            (
                FileKind::Names,
                names,
                &[
                    "Ben Roth: NA",
                    "Ben Roth: --:--:--",
                    "Ben Roth: n/a",
                    "Ben Roth: -",
                    "Ben Roth: 00:XX:00",
                    "Ben Roth",
                    "Ben Roth:",
                    "Ben Roth (no time)",
                ],
            ),
            (
                FileKind::Otter,
                otter,
                &[
                    "Ben Roth  --:--",
                    "Ben Roth  NA",
                    "Ben Roth NA",
                    "Ben Roth\t--:--",
                    "Ben Roth  \u{2013}:\u{2013}",
                    "Ben Roth  ??:??",
                    "Ben Roth  time unknown",
                    "Ben Roth\u{A0}\u{A0}--:--\u{A0}",
                    "Ben Roth  12:75",
                    "Ben Roth",
                    "[Ben Roth]",
                    "Ben Roth:",
                    "Ben Roth ()",
                    "**Ben Roth**",
                ],
            ),
            (
                FileKind::Otter,
                zoom,
                &[
                    "[Ben Roth]",
                    "[Ben Roth] --:--",
                    "[Ben Roth] NA",
                    "[Ben Roth]--:--:--",
                    "Ben Roth",
                    "[Ben Roth]:",
                    "\u{3010}Ben Roth\u{3011}",
                ],
            ),
            (
                FileKind::Timed,
                timed,
                &[
                    "[] Ben Roth:",
                    "[NA] Ben Roth:",
                    "[ ] Ben Roth",
                    "[--:--] Ben Roth",
                    "--:-- Ben Roth",
                    "NA Ben Roth:",
                    "Ben Roth",
                    "Ben Roth:",
                    "[Ben Roth]",
                    "[0:XX] Ben Roth:",
                ],
            ),
            (FileKind::Otter, scribe, &["- Ben Roth", "\u{2013} Ben Roth", "[--:--] - Ben Roth", "Ben Roth"]),
            (FileKind::Otter, below, &["Ben Roth\n--:--", "Ben Roth\nNA", "Ben Roth", "Ben Roth  --:--", "[Ben Roth]"]),
        ] {
            for header in headers {
                let (lines, is_told) = said_in(kind, text, header);
                assert_eq!(
                    lines[..3],
                    ["1 Ann Lee: Good.", "? Ben Roth: I ask.", "20 Ben Roth: Why?"],
                    "{kind}: {header}"
                );
                assert!(is_told, "{kind}: {header}");
            }
        }
    }

    #[test]
    fn a_time_that_stands_elsewhere_is_no_speech() {
        let rev = "Ann Lee: (00:01)\nGood.\nHEADER\nI ask.\nBen Roth: (00:20)\nWhy?\n";
        for header in [
            "Ben Roth: (00:10",
            "Ben Roth: 00:10)",
            "Ben Roth (00:10:",
            "Ben Roth: (00:10).",
            "Ben Roth: (00:10) -",
            "Ben Roth:\u{A0}(00:10)",
            "[00:10] Ben Roth",
            "00:10 - Ben Roth",
            "Ben Roth \u{2013} 00:10",
            "[Ben Roth 00:10]",
            "Ben Roth\n(00:10)",
        ] {
            let (lines, is_told) = said_in(FileKind::Rev, rev, header);
            assert_eq!(lines, ["1 Ann Lee: Good.", "10 Ben Roth: I ask.", "20 Ben Roth: Why?"], "{header}");
            assert!(is_told, "{header}");
        }
        for header in [
            "Ben Roth: (00:10) Sir,",
            "Ben Roth (00:10): Sir,",
            "Ben Roth: [00:00:10] Sir,",
            "Ben Roth: 00:00:10 Sir,",
            "[00:10] Ben Roth: Sir,",
        ] {
            let (lines, is_told) = said_in(FileKind::Rev, rev, header);
            assert_eq!(lines, ["1 Ann Lee: Good.", "10 Ben Roth: Sir,/I ask.", "20 Ben Roth: Why?"], "{header}");
            assert!(is_told, "{header}");
        }
        for (header, line) in [("(00:10)", "10 Ann Lee: I ask."), ("(00:10) Well,", "10 Ann Lee: Well,/I ask.")] {
            assert_eq!(said_in(FileKind::Rev, rev, header).0[1], line);
        }
    }

    /// Text on the line of a header belongs to the speaker named there, in each kind whose headers have their text
    /// below.
    #[test]
    fn text_behind_a_header_is_of_who_stands_in_it() {
        for (kind, layout) in [
            (FileKind::Otter, "NAME  0:TIME"),
            (FileKind::Otter, "NAME\t0:TIME"),
            (FileKind::Otter, "NAME - 0:TIME"),
            (FileKind::Otter, "NAME 0:TIME"),
            (FileKind::Otter, "0:TIME - NAME"),
            (FileKind::Otter, "0:TIME NAME"),
            (FileKind::Otter, "[00:00:TIME] NAME"),
            (FileKind::Otter, "[00:00:TIME.000] - NAME"),
            (FileKind::Otter, "[NAME] 00:00:TIME"),
            (FileKind::Names, "NAME: 0:TIME"),
            (FileKind::Names, "NAME: 00:00:TIME"),
        ] {
            let header = |name: &str, time: &str| layout.replace("NAME", name).replace("TIME", time);
            let first = header("Ann Lee", "01");
            let rest = [header("Ben Roth", "05"), header("Ben Roth", "20"), header("Ann Lee", "30")];
            let text = format!(
                "{first}\nGood.\n\n{}\nMorning.\n\nHEADER\n\n{}\nBye.\n\n{}\nEnd.\n",
                rest[0], rest[1], rest[2]
            );
            for (behind, said) in [("I ask.", "I ask."), ("I ask.\nYes.", "I ask./Yes.")] {
                let (lines, is_told) = said_in(kind, &text, &format!("{} {behind}", header("Ann Lee", "10")));
                assert_eq!(lines[2], format!("10 Ann Lee: {said}"), "{layout}");
                assert!(is_told && lines.len() == 5, "{layout}: {lines:?}");
            }
        }
        // A name in a sentence behind a time in rev.com's text is not its speaker. In other kinds, this is no time of a
        // header.
        let rev = "Ann Lee: (00:01)\nGood.\nHEADER\nBen Roth: (00:20)\nWhy?\n";
        for (line, expected) in [("(00:10) Ann Lee said so.", true), ("Then Ann Lee 0:10 said so.", false)] {
            let (lines, is_told) = said_in(FileKind::Rev, rev, line);
            assert!(lines.iter().all(|line| !line.contains("Ann Lee: said")), "{lines:?}");
            assert_eq!(is_told, expected, "{line}");
        }
    }

    /// A sentence that begins with a speaker's name and a clock time is no header, because its time lies outside those
    /// of the headers around it.
    #[test]
    fn a_clock_behind_a_name_is_a_header_only_between_those_around_it() {
        let otter =
            "Ann Lee  0:01\nGood.\n\nJohn  0:05\nMorning.\n\nHEADER\n\nAnn Lee  0:20\nWhy?\n\nJohn  0:30\nBye.\n";
        let rev = "Ann Lee: (00:01)\nGood.\n\nJohn: (00:05)\nMorning.\n\nHEADER\n\nAnn Lee: (00:20)\nWhy?\n\nJohn: (00:30)\nBye.\n";
        let names = "Ann Lee: 00:00:01\n\nGood.\n\nJohn: 00:00:05\n\nMorning.\n\nHEADER\n\nAnn Lee: 00:00:20\n\nWhy?\n\nJohn: 00:00:30\n\nBye.\n";
        for (kind, text) in [(FileKind::Otter, otter), (FileKind::Rev, rev), (FileKind::Names, names)] {
            for line in
                ["John 3:16 says that it is so.", "Ann Lee 9:00 am works.", "Trading Hours: 9:30 to 16:00 daily."]
            {
                let (lines, is_told) = said_in(kind, text, line);
                let expected =
                    ["1 Ann Lee: Good.", &format!("5 John: Morning.//{line}"), "20 Ann Lee: Why?", "30 John: Bye."];
                assert_eq!((lines, is_told), (expected.map(str::to_owned).to_vec(), true), "{kind}: {line}");
            }
            let (lines, _) = said_in(kind, text, "Ann Lee 0:10 so it is.");
            assert_eq!(lines[2], "10 Ann Lee: so it is.", "{kind}");
        }
        let (lines, is_told) = said_in(FileKind::Otter, otter, "10:30 Ann Lee can join us.");
        assert!(is_told && lines.len() == 4, "{lines:?}");
        // The verse alone, and after the last header.
        assert_eq!(said_in(FileKind::Otter, otter, "John 3:16\nsays so.").0.len(), 4);
        assert_eq!(
            said_in(
                FileKind::Otter,
                &otter.replace("Bye.", "Bye.\n\nHEAD2").replace("HEADER", "So.").replace("HEAD2", "HEADER"),
                "John 3:16 says so."
            )
            .0
            .len(),
            4
        );
    }

    /// After the last header of the file's form, others may stand at any later time.
    #[test]
    fn headers_written_otherwise_at_the_end_are_headers() {
        let otter = "Ann Lee  0:01\nGood.\n\nBen Roth  0:05\nMorning.\n\n";
        let rev = "Ann Lee: (00:01)\nGood.\n\nBen Roth: (00:05)\nMorning.\n\n";
        let names = "Ann Lee: 00:00:01\n\nGood.\n\nBen Roth: 00:00:05\n\nMorning.\n\n";
        for (kind, text) in [(FileKind::Otter, otter), (FileKind::Rev, rev), (FileKind::Names, names)] {
            let text = format!("{text}HEADER\nWhy?\n\nBen Roth 0:50\nBye.\n");
            let (lines, is_told) = said_in(kind, &text, "Ann Lee 0:30");
            let expected = ["1 Ann Lee: Good.", "5 Ben Roth: Morning.", "30 Ann Lee: Why?", "50 Ben Roth: Bye."];
            assert_eq!((lines, is_told), (expected.map(str::to_owned).to_vec(), true), "{kind}");
            // In a sentence it is a clock time, and so is an earlier time.
            for clock in ["Ann Lee 9:30 says so.", "Ann Lee 0:02", "Ann Lee 3:16\nsays so."] {
                assert_eq!(said_in(kind, &text, clock).0.len(), 3, "{kind}: {clock}");
            }
        }
    }

    /// Files in which each form of headers stands, with `LINE` in the middle of a speech or at the end.
    const FORMS: [(FileKind, &str); 10] = [
        (FileKind::Otter, "0:TIME NAME"),
        (FileKind::Otter, "NAME 0:TIME"),
        (FileKind::Otter, "[00:00:TIME] NAME"),
        (FileKind::Otter, "0:TIME - NAME"),
        (FileKind::Otter, "NAME - 0:TIME"),
        (FileKind::Otter, "NAME  0:TIME"),
        (FileKind::Otter, "[NAME] 0:TIME"),
        (FileKind::Rev, "NAME: (00:TIME)"),
        (FileKind::Names, "NAME: 00:00:TIME"),
        (FileKind::Names, "NAME: 0:TIME"),
    ];

    /// Who speaks when in a file of one of the forms, in which `lines` stand within a speech, or below the last one.
    fn speakers_beside(form: &str, kind: FileKind, lines: &str, is_last: bool) -> (Vec<String>, bool) {
        let header = |name: &str, time: &str| form.replace("NAME", name).replace("TIME", time);
        let [ann, ben, again, last] = [("Ann Lee", "01"), ("Ben Roth", "08"), ("Ann Lee", "20"), ("Ben Roth", "40")]
            .map(|(name, time)| header(name, time));
        let (within, below) = if is_last { ("", lines) } else { (lines, "") };
        let text = format!(
            "{ann}\nGood morning to you all.\n\n{ben}\nWe take the train at\n{within}\n\n{again}\nThat is fine.\n\n{last}\nWe meet at\n{below}\n"
        );
        let reading = read(kind, &text, TranscriptBuilder::default());
        let said = reading.lines.iter().map(|line| {
            let content = &line.content;
            let start = content.start_ms.map_or_else(|| "?".to_owned(), |start| (start / 1000).to_string());
            format!("{start} {}", content.speaker.as_deref().unwrap_or("-"))
        });
        (said.collect(), !reading.problems.is_empty())
    }

    #[test]
    fn a_clock_in_a_sentence_begins_no_block() {
        let expected = ["1 Ann Lee", "8 Ben Roth", "20 Ann Lee", "40 Ben Roth"].map(str::to_owned).to_vec();
        for (kind, form) in FORMS {
            for lines in [
                "6:30 from Bern\nand we go.",
                "6:30 Uhr geht der Zug\nund wir gehen.",
                "9:00 sharp\nand we go.",
                "12:30 lunch break\nis over.",
                "3:16 says\nthat it is so.",
                "6:30 Monday Morning\nIf you like.",
                "6:30 Monday\nif you like.",
                "14:00 Coffee Break\nThen we go on.",
                "6:30 pm is when we meet\nand go.",
                "Genesis 12:30\nand so on.",
                "Genesis 12:30\nSo it is.",
                "Genesis (12:30)\nand so on.",
                "Coffee Break 14:30\nThen we go on.",
                "John 3:16\nsays so.",
                "[Genesis 12:30]\nand so on.",
                "Lunch: 12:30\nand so on.",
                "Ben Roth 14:00 to 15:30\nRoom 4",
                "Coffee Break 14:00 - 14:30\nRoom 4",
                "14:00 - 15:30 Ben Roth\nRoom 4",
            ] {
                // Nothing reads as a time behind a colon and a blank there: it is a header without a time.
                if kind == FileKind::Rev && lines.starts_with("Lunch:") {
                    continue;
                }
                for is_last in [false, true] {
                    let (speakers, is_told) = speakers_beside(form, kind, lines, is_last);
                    assert_eq!(speakers, expected, "{form}: {lines:?} {is_last}");
                    // Small letters are told where headers look like that.
                    let is_small =
                        lines.split(' ').nth(1).is_some_and(|word| word == "Uhr" || word == &word.to_lowercase());
                    assert!(is_told || is_small, "{form}: {lines:?} {is_last}");
                }
            }
        }
    }

    /// Headers of somebody new are headers between the times around them, and near to the last one.
    #[test]
    fn who_speaks_once_speaks_all_the_same() {
        for (kind, form) in FORMS {
            let header = |time: &str| form.replace("NAME", "Cleo Poe").replace("TIME", time);
            for (is_last, time, expected) in [
                (false, "12", ["1 Ann Lee", "8 Ben Roth", "12 Cleo Poe", "20 Ann Lee", "40 Ben Roth"]),
                (true, "55", ["1 Ann Lee", "8 Ben Roth", "20 Ann Lee", "40 Ben Roth", "55 Cleo Poe"]),
            ] {
                let lines = format!("ten.\n\n{}\nMay I come too?", header(time));
                let (speakers, is_told) = speakers_beside(form, kind, &lines, is_last);
                assert_eq!(speakers, expected, "{form} {time}");
                assert!(!is_told, "{form} {time}");
            }
            let lines = format!("ten.\n\n{}\nMay I come too?", header("40").replace("0:40", "2:40"));
            assert_eq!(
                speakers_beside(form, kind, &lines, true).0.last().map(String::as_str),
                Some("160 Cleo Poe"),
                "{form}"
            );
        }
    }

    /// Happy Scribe's headers say by a dash that a name follows, whatever it is.
    #[test]
    fn who_stands_behind_a_time_and_a_dash_speaks() {
        for name in ["Host", "aleksandr", "dr aleksandr von b.", "Speaker 1"] {
            let rest = "\n[00:00:20.000] - Ann Lee\nWhy?\n\n[00:00:30.000] - Ben Roth\nBye.\n";
            let header = format!("[00:00:15.000] - {name}");
            let said = format!("15 {name}: It is hers.");
            let (lines, is_told) = said_in(FileKind::Otter, &format!("HEADER\nIt is hers.\n{rest}"), &header);
            assert_eq!((&*lines[0], lines.len(), is_told), (&*said, 3, false), "{lines:?}");
            let text = format!("[00:00:01.000] - Ben Roth\nGood.\n\nHEADER\nIt is hers.\n{rest}");
            let (lines, is_told) = said_in(FileKind::Otter, &text, &header);
            assert_eq!((&*lines[1], lines.len(), is_told), (&*said, 4, false), "{lines:?}");
        }
        // A sound, without text below it.
        for gap in ["\n\n", "\n"] {
            let rest = "[00:00:20.000] - Ann Lee\nWhy?\n\n[00:00:30.000] - Ben Roth\nBye.\n";
            let text = format!("[00:00:01.000] - Ben Roth\nGood.\n\nHEADER{gap}{rest}");
            let (lines, _) = said_in(FileKind::Otter, &text, "[00:00:15.000] - music plays");
            assert!(lines.iter().any(|line| line.ends_with("music plays")), "{lines:?}");
        }
    }

    /// A possible header that is not taken for one stays text of the speaker before, and is reported. Ordinary text is
    /// not.
    #[test]
    fn what_is_ambiguous_is_told() {
        let rev = "Ann Lee: (00:01)\nGood.\nHEADER\nI ask.\nBen Roth: (00:20)\nWhy?\n";
        let zoom = "[Ann Lee] 0:01\nGood.\nHEADER\nI ask.\n[Ben Roth] 0:20\nWhy?\n";
        let timed = "[0:01] Ann Lee: Good.\nHEADER\nI ask.\n[0:20] Ben Roth: Why?\n[0:21] Ben Roth: Yes?\n[0:22] Ann Lee: So.\n";
        for (kind, text, line, expected) in [
            (FileKind::Rev, rev, "Dora Fox: yes.", true),
            (FileKind::Rev, rev, "0:10", true),
            (FileKind::Rev, rev, "[Dora Fox]", true),
            (FileKind::Otter, zoom, "[Dora]", true),
            (FileKind::Timed, timed, "Dora: yes.", true),
            (FileKind::Rev, rev, "\nDora Fox\n", true),
            (FileKind::Otter, zoom, "\nDora", true),
            (FileKind::Rev, rev, "Ann  Lee", true),
            (FileKind::Rev, rev, "AnnLee:", true),
            (FileKind::Rev, rev, "ann lee", true),
            (FileKind::Rev, rev, ">> Ann Lee", true),
            (FileKind::Rev, rev, "* Ann Lee", true),
            (FileKind::Rev, rev, "ann lee: yes.", true),
            (FileKind::Rev, rev, "Ann Lee.", false),
            (FileKind::Rev, rev, "Dora Fox", false),
            (FileKind::Rev, rev, "\nAmazing Grace\nhow sweet the sound", false),
            (FileKind::Rev, rev, "\nHarper Lee\nwrote that.", false),
            (FileKind::Rev, rev, "\nNew York.", false),
            (FileKind::Rev, rev, "Note: yes.", false),
            (FileKind::Rev, rev, "The answer is this: yes.", false),
            (FileKind::Rev, rev, "[inaudible 00:10]", false),
            (FileKind::Rev, rev, "[Dora 00:10] says so.", false),
            (FileKind::Rev, rev, "He said (12:30) yes.", false),
            (FileKind::Otter, zoom, "[Applause]", false),
            (FileKind::Timed, timed, "[inaudible] yes.", false),
            (FileKind::Timed, timed, "[...] yes.", false),
        ] {
            let (lines, is_told) = said_in(kind, text, line);
            let kept = line.replace('\n', "/");
            assert_eq!(
                (&*lines[0], is_told),
                (&*format!("1 Ann Lee: Good./{kept}/I ask."), expected),
                "{kind}: {line}"
            );
        }
    }

    #[test]
    fn frames_are_counted_at_the_least_usual_rate() {
        for (frame, start_ms, rate) in [("12", 1_500, 24), ("24", 1_960, 25), ("29", 1_966, 30), ("49", 1_980, 50)] {
            let text = format!(
                "00:00:01:{frame} - 00:00:09:00\nAnn Lee\nGood.\n\n00:00:09:00 - 00:00:10:00\nBen Roth\nYes.\n"
            );
            let reading = read(FileKind::Otter, &text, TranscriptBuilder::default());
            assert_eq!(reading.lines[0].content.start_ms, Some(start_ms));
            assert!(reading.problems[0].message.contains(&format!("{rate} are taken")), "{:?}", reading.problems);
        }
    }
}
