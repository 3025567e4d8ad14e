//! Patterns of header lines: each reads a line of a plain-text transcript in one of the forms of [`super::header_forms`].

use crate::format::core::person_names::{is_label, is_name, is_sentence, is_sound};
use crate::format::core::timestamps::{
    When, bare, bracketed_end, half_at, is_blank, is_close, is_colon, is_not_available, is_open, leading_span,
    no_time_at_end, placeholder, time, when,
};
use crate::format::text::header_forms::{HeaderForm, HeaderShape, NO_COLON, NO_SIGN, NOT_FULL, says_nothing};
use crate::format::text::text_lines::LABEL_MAX;
use crate::transcript::MediaMs;

fn without_colon(text: &str) -> Option<&str> {
    text.strip_suffix(is_colon)
}

/// The content of square brackets, if they are all of `text`.
fn in_square_brackets(text: &str) -> Option<&str> {
    let inner = text.strip_prefix(['[', '\u{FF3B}', '\u{3010}'])?.strip_suffix([']', '\u{FF3D}', '\u{3011}'])?;
    (!inner.contains(is_open) && !inner.contains(is_close)).then_some(bare(inner))
}

/// A label without blanks, square brackets or bold markers around it. If a colon shows that it is a label, it keeps all
/// other characters, so that it can be written again.
pub(crate) fn plain_label(label: &str) -> &str {
    let label = bare(label);
    let bold = || label.strip_prefix("**").and_then(|inner| inner.strip_suffix("**")).map(bare);
    // In `[Name (0:01]` the other bracket belongs to the time.
    let half = || label.strip_prefix(is_open).filter(|inner| !inner.contains(is_close)).map(bare);
    in_square_brackets(label).or_else(bold).or_else(half).filter(|inner| !inner.is_empty()).unwrap_or(label)
}

/// A label without bold markers around it, and without a list marker before them: `- **Name**`.
fn without_bold(label: &str) -> &str {
    let item = ["- ", "* "].into_iter().find_map(|sign| label.strip_prefix(sign)).unwrap_or(label);
    let inner = item.strip_prefix("**").and_then(|inner| inner.strip_suffix("**")).map(bare);
    inner.filter(|inner| !inner.is_empty()).unwrap_or(label)
}

/// Returns true if the colon between them separates a name from speech. `12:30`, `https://…` and `a:b` have no such
/// colon.
fn is_parted(label: &str, text: &str) -> bool {
    let is_address = text.starts_with('/') || text.starts_with(|c: char| c.is_ascii_digit());
    text.starts_with(is_blank) || is_name(bare(label)) && !is_address && !text.is_empty()
}

/// A line with and without the blanks around it.
#[derive(Debug, Clone, Copy)]
struct TextRow<'a> {
    raw: &'a str,
    /// The line without its outer blanks, but with invisible characters at its start, so that it can be written again.
    own: &'a str,
    bare: &'a str,
}

type HeaderPattern = for<'a> fn(TextRow<'a>) -> Option<HeaderShape<'a>>;

/// The ways to read a line as a header. The last ones need no colon, bracket or tab, which most lines do not have.
const READINGS: [HeaderPattern; 13] = [
    |row| columns(row.raw),
    |row| ends_in_bracket(row.own),
    |row| time_and_name(row.bare),
    |row| begins_with_time(row.bare),
    |row| in_brackets(row.bare),
    |row| ends_in_colon(row.own),
    |row| ends_in_time(row.own),
    |row| time_within(row.bare),
    |row| plain_time_within(row.bare),
    |row| ends_in_no_time(row.bare),
    |row| inline(row.bare),
    |row| dash_alone(row.bare),
    |row| alone(row.bare),
];
const PLAIN_READINGS: usize = 4;

/// Returns the readings of `line` as a header, one for each form that fits.
pub(crate) fn shapes(line: &str) -> impl Iterator<Item = HeaderShape<'_>> {
    let row = TextRow { raw: line, own: line.trim_end_matches(is_blank).trim_start(), bare: bare(line) };
    let has_sign = line.contains(|c: char| is_colon(c) || is_open(c) || is_close(c) || c == '\t');
    let first = if has_sign { 0 } else { READINGS.len() - PLAIN_READINGS };
    READINGS[first..].iter().filter_map(move |read| read(row))
}

/// Parses `00:01<TAB>Name<TAB>text` and `Name<TAB>00:01<TAB>text`, either with one time or two.
fn columns(line: &str) -> Option<HeaderShape<'_>> {
    let line = line.trim_end_matches(is_blank);
    let (first, rest) = line.split_once('\t')?;
    let (second, rest) = rest.split_once('\t')?;
    let timed = |cell: When<'_>| matches!(cell, When::Known(..));
    let (label, at, rest) = match (when(first), when(second)) {
        // Start and end.
        (When::Known(start, None), When::Known(end, None)) => {
            let (label, text) = rest.split_once('\t')?;
            (label, When::Known(start, Some(end)), text)
        }
        (at, _) if timed(at) => (second, at, rest),
        (_, When::Known(start, None)) => match rest.split_once('\t').map(|(end, text)| (when(end), text)) {
            Some((When::Known(end, None), text)) => (first, When::Known(start, Some(end)), text),
            _ => (first, When::Known(start, None), rest),
        },
        (_, at) if timed(at) => (first, at, rest),
        (at @ When::Unknown(_), When::Words(_)) => (second, at, rest),
        (When::Words(_), at @ When::Unknown(_)) => (first, at, rest),
        _ => return None,
    };
    let label = plain_label(without_colon(bare(label)).unwrap_or(label));
    let shape = HeaderShape { whole: bare(rest), ..HeaderShape::new(HeaderForm::Columns, label, at).with_text(rest) };
    (!says_nothing(shape.text)).then_some(shape)
}

/// Splits `line` at the bracket at its end into the text before, the content, and the fault, if any: a bracket is
/// missing, or text follows it.
fn bracketed_time(line: &str) -> Option<(&str, &str, Option<&'static str>)> {
    if let Some((before, content)) = bracketed_end(line) {
        return Some((before, content, None));
    }
    let is_known = |content: &str| matches!(when(content), When::Known(..));
    let over = line.trim_end_matches(|c: char| is_blank(c) || ".,;-\u{2013}\u{2014}".contains(c));
    if let Some((before, content)) = bracketed_end(over).filter(|(_, content)| is_known(content)) {
        return Some((before, content, Some("there is something behind the time")));
    }
    if let Some((before, content)) = line.rsplit_once(is_open).filter(|(_, content)| is_known(content)) {
        return Some((before, content, Some("the bracket behind the time is missing")));
    }
    let inner = line.strip_suffix(is_close)?;
    let at = inner.rfind(|c: char| is_blank(c))?;
    let (before, content) = inner.split_at(at + inner[at..].chars().next().map_or(0, char::len_utf8));
    is_known(content).then_some((before, content, Some("the bracket before the time is missing")))
}

/// Parses `Name: (00:01)` and `Name (00:01)`.
fn ends_in_bracket(line: &str) -> Option<HeaderShape<'_>> {
    let (before, content, amiss) = bracketed_time(line)?;
    // `((00:01)`
    let before = if before.ends_with(is_open) { before.trim_end_matches(is_open) } else { before };
    let when = when(content);
    match without_colon(before.trim_end_matches(is_blank)) {
        Some(label) => {
            let odd = match () {
                () if amiss.is_some() => amiss,
                () if before.ends_with('\u{FF1A}') => None,
                () if !before.ends_with(": ") || label.ends_with(char::is_whitespace) => {
                    Some("there must be ': (' between name and time, with one blank")
                }
                () if !line.ends_with(')') => Some("the time stands in other brackets"),
                () => None,
            };
            Some(HeaderShape { odd, ..HeaderShape::new(HeaderForm::ColonBracket, label.trim(), when) })
        }
        None => {
            let odd = amiss.or(Some(NO_COLON));
            Some(HeaderShape { odd, ..HeaderShape::new(HeaderForm::Bracket, plain_label(before), when) })
        }
    }
}

/// Parses `Name (00:01):`, `Name 00:01:` and `Name:`.
fn ends_in_colon(line: &str) -> Option<HeaderShape<'_>> {
    let inner = without_colon(line)?.trim_end_matches(is_blank);
    if let Some((before, content, amiss)) = bracketed_time(inner)
        && let when @ (When::Known(..) | When::Unknown(_)) = when(content)
        && !bare(before).is_empty()
    {
        let is_odd = !line.ends_with("):") || !before.ends_with(' ');
        let odd = amiss.or(is_odd.then_some("there must be ' (' and '):' around the time"));
        let label = without_bold(before.trim().trim_end_matches(is_open).trim_end());
        return Some(HeaderShape { odd, ..HeaderShape::new(HeaderForm::BracketColon, label, when) });
    }
    match ends_in_time(inner) {
        Some(shape @ HeaderShape { form: HeaderForm::NameTime, when: When::Known(..), .. }) => {
            Some(HeaderShape { odd: Some("there is a colon behind the time"), ..shape })
        }
        _ => Some(HeaderShape::new(HeaderForm::Colon, plain_label(inner), When::Absent)),
    }
}

/// Splits off a text at the end of `line` that has the form of a time. Returns the text before it and that text.
fn time_at_end(line: &str) -> Option<(&str, &str)> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, ':' | '.' | ',' | '\u{FF10}'..='\u{FF1A}');
    let digits = &line[..half_at(line)];
    let at = digits.char_indices().rev().find(|(_, c)| !is_part(*c)).map_or(0, |(at, c)| at + c.len_utf8());
    // `Name:00:12:14`, `Name, 0:12`: the first sign does not belong to the time.
    let at = line.len() - line[at..].strip_prefix([':', '\u{FF1A}', ',']).unwrap_or(&line[at..]).len();
    let (before, last) = line.split_at(at);
    (last.contains(is_colon) && !last.ends_with(is_colon)).then_some((before, last))
}

/// Parses `Name: 00:00:01`, `Name  0:01` and `[Name] 0:01`, with one time or two.
fn ends_in_time(line: &str) -> Option<HeaderShape<'_>> {
    let (before, last) = time_at_end(line)?;
    let Some(end) = time(last) else { return name_and_time(before, When::Unknown(last), last) };
    // `Name  0:01 - 0:04`
    let dashes = ["-->", "->", "\u{2192}", "-", "\u{2013}", "\u{2014}", " to"];
    let first = dashes.into_iter().find_map(|dash| bare(before).strip_suffix(dash)).map(bare).and_then(time_at_end);
    match first.and_then(|(before, first)| Some((before, first, time(first)?))) {
        Some((before, first, start)) => name_and_time(before, When::Known(start, Some(end)), first),
        None => name_and_time(before, When::Known(end, None), last),
    }
}

/// Parses `Name  --:--`, `Name: NA`.
fn ends_in_no_time(line: &str) -> Option<HeaderShape<'_>> {
    let (before, token) = no_time_at_end(line)?;
    name_and_time(before, When::Unknown(token), token)
}

/// Parses a name with or without a colon. `when` is the time behind it, written as `last`.
fn name_and_time<'a>(before: &'a str, when: When<'a>, last: &str) -> Option<HeaderShape<'a>> {
    let named = before.trim_end_matches(is_blank);
    if let Some(label) = without_colon(named) {
        let is_full = last.matches(is_colon).count() == 2 && last.len() >= "0:00:00".len();
        let odd = match when {
            When::Known(..) if !is_full => Some(NOT_FULL),
            _ if before.ends_with(':') => Some("there is no blank after the colon"),
            _ => None,
        };
        return Some(HeaderShape { odd, ..HeaderShape::new(HeaderForm::ColonTime, label.trim(), when) });
    }
    let signs = [" -", " \u{2013}", " \u{2014}", " |", " \u{2022}", " \u{B7}", " @", " /", ","];
    let parted = signs.into_iter().find_map(|sign| named.strip_suffix(sign));
    let inner = in_square_brackets(bare(named));
    let is_far = before[named.len()..].chars().count() > 1 || before.ends_with(|c: char| is_blank(c) && c != ' ');
    let is_apart = parted.is_none() && (is_far || inner.is_some());
    let label = plain_label(inner.or(parted).unwrap_or(named));
    let is_one = !label.is_empty() && (before.len() > named.len() || parted.is_some() || inner.is_some());
    let is_sign = parted.is_some() && !named.ends_with(',');
    let odd = (!is_apart).then_some(if is_sign { NO_COLON } else { NO_SIGN });
    is_one.then(|| HeaderShape { odd, ..HeaderShape::new(HeaderForm::NameTime, label, when) })
}

/// Parses a time, or a placeholder, at the head of `line`. Returns it, the text behind it and behind a dash, true if it
/// has brackets, and true if there is a dash.
fn leading(line: &str) -> Option<(When<'_>, &str, bool, bool)> {
    // `- [00:01] Name: text`
    let item = ["- ", "* ", "\u{2022} "].into_iter().find_map(|sign| line.strip_prefix(sign));
    let line = item.filter(|item| item.starts_with(is_open)).unwrap_or(line);
    let first = line.chars().next()?;
    let (when, rest, is_bracketed) = if is_open(first) {
        let (content, rest) = line[first.len_utf8()..].split_once(is_close)?;
        (when(content), rest, true)
    } else if let Some(((start, end), rest)) = leading_span(line) {
        (When::Known(start, end), rest, false)
    } else {
        let (token, rest) = line.split_once(is_blank)?;
        let is_sign = token.contains(is_colon) || is_not_available(token);
        (Some(when(token)).filter(|_| is_sign)?, rest, false)
    };
    if !matches!(when, When::Known(..) | When::Unknown(_)) {
        return None;
    }
    let rest = bare(rest);
    let signs = ["- ", "-- ", "\u{2013} ", "\u{2014} ", "| ", "\u{2022} ", "\u{B7} ", ", ", ": "];
    let behind = signs.into_iter().find_map(|sign| rest.strip_prefix(sign));
    let is_dash = behind.is_some() && rest.starts_with(['-', '\u{2013}', '\u{2014}']);
    Some((when, bare(behind.unwrap_or(rest)), is_bracketed, is_dash))
}

/// Returns true for a placeholder for an unknown time that is not speech: `--:--`, `NA`, or nothing.
pub(crate) fn is_placeholder(content: &str) -> bool {
    content.is_empty() || content.contains(is_colon) || is_not_available(content)
}

/// Parses `[00:01] Name: text`, `00:01 Name: text`, `[00:01 --> 00:02] text` and `[00:01] - Name`.
fn begins_with_time(line: &str) -> Option<HeaderShape<'_>> {
    let (when, rest, is_bracketed, is_dash) = leading(line)?;
    let (label, text) = match rest.split_once(is_colon) {
        Some((label, text))
            if text.is_empty() || is_parted(label, text) || rest[label.len()..].starts_with('\u{FF1A}') =>
        {
            (bare(label.trim_start_matches(['>', '?', '~', ' '])), bare(text))
        }
        _ if is_dash && is_bracketed && is_name(rest) => {
            return Some(HeaderShape::new(HeaderForm::NameTime, rest, when));
        }
        _ => ("", rest),
    };
    // A chat: `10:02:11 From Ann Lee to Everyone : text`.
    let label = label
        .strip_prefix("From ")
        .map_or(label, |name| bare(name.rsplit_once(" to ").filter(|_| !is_bracketed).map_or(name, |(name, _)| name)));
    // Two times with an arrow between them are not part of a sentence, as `10:30 - 11:00` may be.
    let is_cue = line.contains("-->") && matches!(when, When::Known(_, Some(_)));
    let is_one = is_bracketed || is_cue || !label.is_empty();
    is_one.then_some(HeaderShape {
        form: HeaderForm::TimeFirst,
        label: plain_label(label),
        when,
        text,
        whole: rest,
        odd: None,
    })
}

/// Parses `[00:01] Name`, `00:01 - Name`.
fn time_and_name(line: &str) -> Option<HeaderShape<'_>> {
    let (when, rest, is_bracketed, is_dash) = leading(line)?;
    // `[00:00:05.190] - Name` is the form of Happy Scribe.
    let is_own = is_dash && is_bracketed && is_name(rest);
    let is_mark = rest.starts_with(is_open) && is_sound(rest);
    let is_one = !rest.is_empty() && !rest.contains(is_colon) && !is_own && !is_mark;
    is_one.then(|| HeaderShape { whole: rest, ..HeaderShape::new(HeaderForm::TimeName, plain_label(rest), when) })
}

/// Parses `[Name 0:01]`, with or without text behind it.
fn in_brackets(line: &str) -> Option<HeaderShape<'_>> {
    let inner = line.strip_prefix(['[', '\u{FF3B}', '\u{3010}'])?;
    let (inner, text) = inner.split_once([']', '\u{FF3D}', '\u{3011}'])?;
    let inner = bare(inner);
    let found = [ends_in_time(inner), ends_in_no_time(inner), time_and_name(inner)].into_iter().flatten().next()?;
    let text = bare(text);
    let text = text.strip_prefix(is_colon).unwrap_or(text);
    let is_one = matches!(found.form, HeaderForm::NameTime | HeaderForm::TimeName | HeaderForm::ColonTime)
        && !is_sound(found.label);
    is_one.then(|| HeaderShape::new(HeaderForm::InBrackets, found.label, found.when).with_text(text))
}

/// Parses `Name: [00:01] text`, `Name (00:01): text`, `Name [00:01] text` and `Name: 00:00:01 text`.
fn time_within(line: &str) -> Option<HeaderShape<'_>> {
    let of = |form, label, when, text| {
        let shape = HeaderShape::new(form, plain_label(label), when).with_text(text);
        (!shape.label.is_empty() && !says_nothing(shape.text)).then_some(shape)
    };
    if let Some(at) = line.find(is_open).filter(|at| *at > 0) {
        let (before, rest) = line.split_at(at);
        let (content, text) = rest[rest.chars().next()?.len_utf8()..].split_once(is_close)?;
        let when = Some(when(content)).filter(|when| matches!(when, When::Known(..) | When::Unknown(_)))?;
        return match (without_colon(before.trim_end_matches(is_blank)), bare(text).strip_prefix(is_colon)) {
            (Some(label), _) => of(HeaderForm::NameTimeText, label, when, text),
            (None, Some(text)) => of(HeaderForm::NameTimeText, before, when, text),
            _ => {
                // `Surah (2:25) says`
                let is_verse = rest.starts_with(['(', '\u{FF08}']) && content.matches(is_colon).count() < 2;
                let odd = is_verse.then_some("the time stands in round brackets");
                of(HeaderForm::NameTimeBare, before, when, text).map(|shape| HeaderShape { odd, ..shape })
            }
        };
    }
    let (before, rest) = line.split_once(": ").or_else(|| line.split_once('\u{FF1A}'))?;
    // `Name 00:01: text`
    if let Some(HeaderShape { form: HeaderForm::NameTime, label, when: when @ When::Known(..), odd, .. }) =
        ends_in_time(bare(before))
    {
        return of(HeaderForm::NameTimeText, label, when, rest).map(|shape| HeaderShape { odd, ..shape });
    }
    let rest = bare(rest);
    let ((start, end), text) = leading_span(rest)?;
    // `9:30 to 16:00` is two times without hours.
    let colons = if end.is_some() { 4 } else { 2 };
    let is_full = rest[..rest.len() - text.len()].matches(is_colon).count() >= colons;
    is_full.then(|| of(HeaderForm::NameTimeText, before, When::Known(start, end), text)).flatten()
}

/// Parses `Name  0:01 text` and `Name: 0:01 text`: a time without brackets behind a name, and text behind it.
fn plain_time_within(line: &str) -> Option<HeaderShape<'_>> {
    let words = line.char_indices().filter(|(at, c)| c.is_ascii_digit() && line[..*at].ends_with(is_blank));
    let within = words.take_while(|(at, _)| *at <= 4 * LABEL_MAX);
    let (before, span, text) = within.into_iter().find_map(|(at, _)| {
        let (span, text) = leading_span(&line[at..])?;
        Some((&line[..at], span, text))
    })?;
    let last = &line[before.len()..line.len() - text.len()];
    let shape = name_and_time(before, When::Known(span.0, span.1), last)?.with_text(text);
    (!says_nothing(shape.text)).then_some(HeaderShape { form: HeaderForm::PlainTimeText, ..shape })
}

/// Parses the time at the head of a line and the text behind it, which may begin with a name: `0:01 - Name text`,
/// `[0:01] Name text`.
pub(crate) fn text_behind_time(line: &str) -> Option<(When<'_>, &str)> {
    let (when, rest, ..) = leading(line)?;
    (matches!(when, When::Known(..)) && !rest.is_empty()).then_some((when, rest))
}

/// Parses `Name: text` and `[Name] text`.
fn inline(line: &str) -> Option<HeaderShape<'_>> {
    if let Some((label, text)) = line.strip_prefix('[').and_then(|inner| inner.split_once(']'))
        && !bare(text).starts_with(is_colon)
    {
        if placeholder(bare(text)) {
            return Some(HeaderShape::new(HeaderForm::NameTime, bare(label), When::Unknown(bare(text))));
        }
        let shape = HeaderShape::new(HeaderForm::BracketInline, bare(label), When::Absent).with_text(text);
        return (!shape.text.is_empty()).then_some(shape);
    }
    let line = line.trim_start_matches(|c: char| is_blank(c) || "-\u{2013}\u{2014}\u{2022}*>".contains(c));
    let (label, text) = line.split_once(is_colon)?;
    let is_apart = is_parted(label, text) || line[label.len()..].starts_with('\u{FF1A}');
    let shape = HeaderShape::new(HeaderForm::Inline, plain_label(label), When::Absent).with_text(text);
    (is_apart && !shape.text.is_empty()).then_some(shape)
}

/// Parses `Name` and `[Name]`.
fn alone(line: &str) -> Option<HeaderShape<'_>> {
    let (form, label) =
        in_square_brackets(line).map_or((HeaderForm::Alone, line), |inner| (HeaderForm::BracketAlone, inner));
    (!label.is_empty()).then(|| HeaderShape::new(form, plain_label(label), When::Absent))
}

/// Parses `- Name`, as Happy Scribe writes it behind a time.
fn dash_alone(line: &str) -> Option<HeaderShape<'_>> {
    let label = ["- ", "\u{2013} ", "\u{2014} "].into_iter().find_map(|dash| line.strip_prefix(dash))?;
    Some(HeaderShape::new(HeaderForm::DashAlone, plain_label(label), When::Absent)).filter(HeaderShape::has_label)
}

/// Parses a name with a time before or behind it: `Name - 0:01`, `0:01 Name`.
pub(crate) fn name_with_time(text: &str) -> Option<(&str, When<'_>)> {
    let found = [ends_in_time(text), time_and_name(text)].into_iter().flatten().next()?;
    let is_one =
        matches!(found.form, HeaderForm::NameTime | HeaderForm::TimeName) && matches!(found.when, When::Known(..));
    is_one.then_some((found.label, found.when))
}

/// The text before the colon of a row `Name: text`, if it can be a label.
pub(crate) fn inline_label(line: &str) -> Option<&str> {
    inline(bare(line)).map(|shape| shape.label).filter(|label| is_label(label) && !is_sentence(label))
}

/// Parses the time of a paragraph within a block, in brackets: `(01:30)`. Returns the start in milliseconds and the
/// text behind it.
pub(crate) fn paragraph(line: &str) -> Option<(MediaMs, &str)> {
    let line = bare(line);
    let (when, rest, is_bracketed, _) = leading(line)?;
    match when {
        When::Known(start, _) if is_bracketed => Some((start, rest)),
        _ => None,
    }
}

/// Finds the time of `line`, wherever it stands. Returns label, start, end and text.
pub(crate) fn time_of(line: &str) -> Option<(&str, MediaMs, Option<MediaMs>, &str)> {
    if let Some((When::Known(start, end), rest, ..)) = leading(line) {
        let (label, text) = rest.split_once(is_colon).map_or(("", rest), |(label, text)| (bare(label), bare(text)));
        let is_one = !text.is_empty() && is_label(label) && !is_sentence(label);
        return Some(if is_one { (label, start, end, text) } else { ("", start, end, rest) });
    }
    shapes(line).filter(|shape| shape.form != HeaderForm::PlainTimeText).find_map(|shape| match shape.when {
        When::Known(start, end) => Some((shape.label, start, end, shape.text)),
        _ => None,
    })
}
