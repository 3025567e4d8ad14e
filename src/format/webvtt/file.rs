//! A WebVTT file as blocks: W3C WebVTT, "WebVTT parser algorithm" and "collect a WebVTT block", step by step.

use std::ops::Range;

use super::segments::{MAP, is_block};
use super::timing::is_percentage;
use crate::format::core::cue_syntax::number_of;
use crate::format::text::text_lines::numbered;

/// The parts of a file.
#[derive(Debug, Default)]
pub(super) struct VttFile<'a> {
    /// The text behind `WEBVTT` on the first line.
    pub(super) title: &'a str,
    /// The lines below it, up to the first empty one. The standard skips them.
    pub(super) header: Vec<&'a str>,
    pub(super) blocks: Vec<VttBlock<'a>>,
}

/// One block, as lines of the file.
#[derive(Debug)]
pub(super) struct VttBlock<'a> {
    /// Its first line, from 1.
    pub(super) at: usize,
    pub(super) lines: Vec<&'a str>,
    pub(super) kind: VttBlockKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VttBlockKind {
    /// A cue, whose line of times has this index among its lines. The line before it is the id, the lines after it are
    /// the text.
    Cue {
        times: usize,
    },
    Style,
    Region,
    /// Any other block: a `NOTE`, or one that the standard skips.
    Other,
}

/// Parses a file that begins with `WEBVTT`, alone or followed by a blank. Returns `None` for another text.
pub(super) fn parse(text: &str) -> Option<VttFile<'_>> {
    let lines: Vec<&str> = numbered(text).map(|(_, line)| line).collect();
    let title = lines.first()?.strip_prefix("WEBVTT")?;
    (title.is_empty() || title.starts_with([' ', '\t'])).then(|| parse_from(&lines, 1, title.trim()))
}

/// Parses a file whatever it begins with. Also returns the fault of its header, if it is missing or written in another
/// way (`WebVTT`, `WEBVTT-x`).
pub(super) fn parse_any(text: &str) -> (VttFile<'_>, Option<&'static str>) {
    if let Some(file) = parse(text) {
        return (file, None);
    }
    let lines: Vec<&str> = numbered(text).map(|(_, line)| line).collect();
    match lines.first().and_then(|first| odd_title(first)) {
        Some(title) => {
            (parse_from(&lines, 1, title), Some("this header is not written WEBVTT: read as one all the same"))
        }
        None => (
            parse_from(&lines, 0, ""),
            Some("there is no header (WEBVTT) above this line: read as WebVTT all the same"),
        ),
    }
}

/// The text behind `WEBVTT` in a line that is nearly a header.
pub(super) fn odd_title(line: &str) -> Option<&str> {
    let line = line.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{FEFF}').trim_end();
    let (sign, title) = line.split_at_checked("WEBVTT".len())?;
    let is_one = sign.eq_ignore_ascii_case("WEBVTT") && !title.starts_with(char::is_alphanumeric);
    is_one.then(|| title.trim_start_matches(|c: char| c.is_whitespace() || ":-.,;".contains(c)))
}

/// Parses the file from the line with the index `at`, the next line of the header. `at` is 0 if there is no header.
fn parse_from<'a>(lines: &[&'a str], at: usize, title: &'a str) -> VttFile<'a> {
    let mut parser = VttParser { lines, at, seen_cue: false };
    let mut file = VttFile { title, ..VttFile::default() };
    // "Header": if the second line is not empty, a block is collected and thrown away.
    if at > 0 && parser.lines.get(at).is_some_and(|line| !line.is_empty()) {
        file.header = parser.collect_block(true).lines;
    }
    loop {
        while parser.lines.get(parser.at).is_some_and(|line| line.is_empty()) {
            parser.at += 1;
        }
        if parser.at >= lines.len() {
            return file;
        }
        file.blocks.push(parser.collect_block(false));
    }
}

struct VttParser<'t, 'a> {
    lines: &'t [&'a str],
    at: usize,
    seen_cue: bool,
}

impl<'a> VttParser<'_, 'a> {
    /// "Collect a WebVTT block". Its buffer is a range of the file's lines.
    fn collect_block(&mut self, in_header: bool) -> VttBlock<'a> {
        let first = self.at;
        let mut count = 0;
        let mut seen_arrow = false;
        let mut kind = VttBlockKind::Other;
        let mut buffer: Range<usize> = first..first;
        let mut end = first;
        while let Some(line) = self.lines.get(self.at) {
            let here = self.at;
            count += 1;
            self.at += 1;
            if line.contains("-->") {
                if in_header || count > 2 || count == 2 && seen_arrow {
                    // "Let position be previous position": the line begins the next block.
                    self.at = here;
                    break;
                }
                seen_arrow = true;
                // The reader of cues decides whether these are times. If not, the block is no cue.
                kind = VttBlockKind::Cue { times: here - first };
                buffer = self.at..self.at;
                self.seen_cue |= super::timing::timings(line).is_ok();
            } else if line.is_empty() {
                break;
            } else {
                if !in_header && count == 2 && !self.seen_cue && kind == VttBlockKind::Other {
                    let keyword = |word: &str| {
                        let rest = self.lines[first].strip_prefix(word);
                        rest.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_whitespace()))
                    };
                    kind = match () {
                        () if keyword("STYLE") => VttBlockKind::Style,
                        () if keyword("REGION") => VttBlockKind::Region,
                        () => VttBlockKind::Other,
                    };
                }
                if buffer.is_empty() {
                    buffer = here..here;
                }
                buffer.end = here + 1;
            }
            end = here + 1;
        }
        // A block of the header that begins with an arrow is empty. It only makes the parser continue, and is not used.
        VttBlock { at: first + 1, lines: self.lines[first..end].to_vec(), kind }
    }
}

/// Splits blocks at places without an empty line. A number at the end of a text, right above the times of the next cue,
/// belongs to that cue if other cues have numbers. A row `NOTE`, `STYLE`, `REGION` or `X-TIMESTAMP-MAP=` within a text,
/// with another block behind it, begins a block. Returns the lines above which an empty line is missing.
pub(super) fn part(blocks: &mut Vec<VttBlock<'_>>) -> Vec<usize> {
    let number = |line: &str| number_of(line).is_some();
    let has_numbers = blocks.iter().any(|block| block.kind == VttBlockKind::Cue { times: 1 } && number(block.lines[0]));
    let mut parted = Vec::new();
    for index in 1..blocks.len() {
        let [block, next] = &mut blocks[index - 1..=index] else { continue };
        let is_adjacent = block.at + block.lines.len() == next.at;
        let VttBlockKind::Cue { times } = block.kind else { continue };
        let has_text = block.lines.len() > times + 1;
        let is_one = has_numbers && is_adjacent && has_text && next.kind == VttBlockKind::Cue { times: 0 };
        if let Some(id) = block.lines.pop_if(|line| is_one && number(line)) {
            next.at -= 1;
            next.lines.insert(0, id);
            next.kind = VttBlockKind::Cue { times: 1 };
            parted.push(next.at);
        }
    }
    let last = blocks.len().saturating_sub(1);
    let all = std::mem::take(blocks).into_iter().enumerate();
    blocks.extend(all.flat_map(|(index, mut block)| {
        let row = match block.kind {
            VttBlockKind::Cue { times } if index < last => {
                let mut rows = block.lines.iter().enumerate().skip(times + 2);
                rows.find(|(row, line)| begins_block(line, block.lines.get(row + 1))).map(|(row, _)| row)
            }
            _ => None,
        };
        let other = row.map(|row| {
            parted.push(block.at + row);
            VttBlock { at: block.at + row, lines: block.lines.split_off(row), kind: VttBlockKind::Other }
        });
        [Some(block), other].into_iter().flatten()
    }));
    parted
}

/// Returns true for a row of a text that is no speech: the first of a block, as programs write it.
fn begins_block(row: &str, below: Option<&&str>) -> bool {
    let is_set = |below: &&str| below.contains(['{', ':']) && !below.contains(": ");
    match row.trim_end() {
        "NOTE" => true,
        "STYLE" | "REGION" => below.is_some_and(is_set),
        // `NOTE THAT` in capitals may be speech.
        row => row.starts_with(MAP) || is_block(row) && row.starts_with("NOTE") && row.contains(char::is_lowercase),
    }
}

/// A region's settings.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Region<'a> {
    pub(super) id: &'a str,
    /// The valid settings, each once.
    pub(super) settings: Vec<&'a str>,
    pub(super) odd: Vec<&'a str>,
}

/// "Collect WebVTT region settings".
pub(super) fn region<'a>(lines: &[&'a str]) -> Region<'a> {
    let mut region = Region::default();
    for setting in lines.iter().flat_map(|line| line.split_ascii_whitespace()) {
        let pair = setting.split_once(':').filter(|(name, value)| !name.is_empty() && !value.is_empty());
        let is_anchor = |value: &str| value.split_once(',').is_some_and(|(x, y)| is_percentage(x) && is_percentage(y));
        let is_sound = match pair {
            Some(("id", value)) => {
                region.id = value;
                true
            }
            Some(("width", value)) => is_percentage(value),
            Some(("lines", value)) => value.bytes().all(|b| b.is_ascii_digit()),
            Some(("regionanchor" | "viewportanchor", value)) => is_anchor(value),
            Some(("scroll", value)) => value == "up",
            _ => false,
        };
        if is_sound {
            let name = pair.map(|(name, _)| name);
            region.settings.retain(|known| known.split(':').next() != name);
            region.settings.push(setting);
        } else {
            region.odd.push(setting);
        }
    }
    region
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(usize, usize, VttBlockKind)> {
        let blocks = parse(text).expect("a file").blocks;
        blocks.into_iter().map(|block| (block.at, block.lines.len(), block.kind)).collect()
    }

    #[test]
    fn what_begins_a_file() {
        for good in ["WEBVTT", "WEBVTT\n", "WEBVTT x", "WEBVTT\tx\n\n", "WEBVTT\r\r"] {
            assert!(parse(good).is_some(), "{good:?}");
        }
        for bad in ["", "WEBVT", "webvtt", "WEBVTTx", " WEBVTT", "\nWEBVTT", "WEBVTT-"] {
            assert!(parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn every_rule_of_blocks() {
        use VttBlockKind::{Cue, Other, Region, Style};
        const T: &str = "00:01.000 --> 00:02.000";
        for (text, expected) in [
            // The header: lines up to an empty one; an arrow ends it.
            (format!("WEBVTT\nKind: x\n{T}\na"), vec![(3, 2, Cue { times: 0 })]),
            (format!("WEBVTT\n{T}\na"), vec![(2, 2, Cue { times: 0 })]),
            (format!("WEBVTT\n\n\n\n{T}\na\n"), vec![(5, 2, Cue { times: 0 })]),
            // An id is one line. Two lines are a block of their own, followed by a cue.
            (format!("WEBVTT\n\nid\n{T}\na\nb\n\n"), vec![(3, 4, Cue { times: 1 })]),
            (format!("WEBVTT\n\nx\ny\n{T}\na"), vec![(3, 2, Other), (5, 2, Cue { times: 0 })]),
            // An arrow ends a cue that has its times. So does an empty line, but not a line of blanks.
            (format!("WEBVTT\n\n{T}\na\n{T}\nb"), vec![(3, 2, Cue { times: 0 }), (5, 2, Cue { times: 0 })]),
            (format!("WEBVTT\n\n{T}\n{T}\nb"), vec![(3, 1, Cue { times: 0 }), (4, 2, Cue { times: 0 })]),
            (format!("WEBVTT\n\n{T}\na\n \nb"), vec![(3, 4, Cue { times: 0 })]),
            (format!("WEBVTT\n\n{T}\n\nb"), vec![(3, 1, Cue { times: 0 }), (5, 1, Other)]),
            // Styles and regions stand before the first cue, and hold a line.
            (
                format!("WEBVTT\n\nSTYLE\na\n\nREGION \t\nid:x\n\n{T}\na\n\nSTYLE\nb"),
                vec![(3, 2, Style), (6, 2, Region), (9, 2, Cue { times: 0 }), (12, 2, Other)],
            ),
            ("WEBVTT\n\nSTYLE\n\na".to_owned(), vec![(3, 1, Other), (5, 1, Other)]),
            ("WEBVTT\n\nSTYLES\na".to_owned(), vec![(3, 2, Other)]),
            (format!("WEBVTT\n\nSTYLE\na\n{T}\nb"), vec![(3, 2, Style), (5, 2, Cue { times: 0 })]),
            (format!("WEBVTT\n\nSTYLE\n{T}\nb"), vec![(3, 3, Cue { times: 1 })]),
            // Invalid lines of times: there is no cue yet, so a style may still come.
            ("WEBVTT\n\n-->\na\n\nSTYLE\nb".to_owned(), vec![(3, 2, Cue { times: 0 }), (6, 2, Style)]),
            ("WEBVTT\r\rNOTE x\r\ra".to_owned(), vec![(3, 1, Other), (5, 1, Other)]),
        ] {
            assert_eq!(kinds(&text), expected, "{text:?}");
        }
    }

    #[test]
    fn every_rule_of_regions() {
        let sound = "id:fred width:40% lines:3 regionanchor:0%,100% viewportanchor:10%,90% scroll:up";
        let read = region(&[sound]);
        assert_eq!((read.id, read.settings.join(" "), read.odd), ("fred", sound.to_owned(), vec![]));
        assert_eq!(region(&["id:a", "\tid:b"]), Region { id: "b", settings: vec!["id:b"], odd: vec![] });
        for bad in [
            "id:",
            ":x",
            "width:40",
            "width:101%",
            "lines:x",
            "lines:-1",
            "regionanchor:5%",
            "regionanchor:5%,x",
            "viewportanchor:5,5%",
            "scroll:down",
            "color:red",
            "id=fred",
        ] {
            assert_eq!(region(&[bad]), Region { odd: vec![bad], ..Region::default() }, "{bad}");
        }
    }
}
