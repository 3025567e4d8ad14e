//! Who speaks, where a subtitle format has no field for it and the text says so: `MAN:`, `Speaker 1:`, `[SPEAKER_00]:`, `>>`.
//!
//! Some words before a colon are a name, and some begin a sentence. In brackets, in capitals where the rest is not, or with
//! a number they are a name; else if they stand before a colon more than once in the file. A name that was taken is no
//! longer part of the text. `>>` says that another person speaks; it stays, and begins a turn.
//!
//! **A file of ours** says it with a no-break space behind the colon, which players show as a blank: what stands before the
//! first is a name, whatever characters it has; a cue without one goes on with who spoke before, and `>>` says
//! that nobody knows who speaks; with that space behind it it is no part of the text. The first cue has one or the other, by which such a file is known.
//!
//! **A file in which nearly every cue begins with a name**, as meeting tools write them, has names there, whatever characters
//! they have.
//!
//! Some files name people where another one begins, and leave the cues between without a name; others name only those who
//! are not seen. So a cue without a name has no speaker, unless it goes on with the sentence of a cue with one: in 35 hours
//! of calls and podcasts, cut at 60 letters, the speaker changed at 35 of the 17,865 places where a small letter follows
//! what ends no sentence, but at every fourth that ends one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::text::one_line;
use crate::transcript::{Break, Content};

/// Longer ones are sentences.
const NAME_MAX: usize = 40;
const NAME_WORDS_MAX: usize = 5;
/// A pause in a sentence, in milliseconds; longer ones are where somebody else comes in.
const PAUSE_MS: i64 = 2_000;

/// Between a name, or `>>`, and what is said, in files of ours.
const MARK: char = '\u{A0}';
/// In front of what nobody knows who says.
const NOBODY: &str = ">>";

/// `text` as a cue of ours has it: with the name of who speaks, or the sign that it is not known, where that is another one
/// than `before`, the speaker of the cue before, which the first cue has none of.
pub(super) fn marked(before: Option<Option<&str>>, name: Option<&str>, text: &str) -> String {
    if before == Some(name) && !text.starts_with(NOBODY) && take_mark(text).is_none() {
        return text.to_owned();
    }
    match name {
        Some(name) => format!("{name}:{MARK}{text}"),
        // What was said with the sign says it already.
        None if before.is_some() && text.starts_with(NOBODY) && take_mark(text).is_none() => text.to_owned(),
        None => format!("{NOBODY}{MARK}{text}"),
    }
}

/// A name as it can stand before a colon and a mark.
pub(super) fn markable(name: &str) -> String {
    one_line(name).replace(MARK, " ")
}

/// Who speaks, and what is said, of a text that [`marked`] has marked.
fn take_mark(text: &str) -> Option<(Option<&str>, &str)> {
    if let Some(text) = text.strip_prefix(NOBODY).and_then(|rest| rest.strip_prefix(MARK)) {
        return Some((None, text));
    }
    let row = text.split('\n').next().unwrap_or_default();
    let at = row.find(":\u{A0}")?;
    let name = &row[..at];
    let is_name = !name.trim().is_empty() && !name.contains(MARK) && !name.ends_with(' ');
    is_name.then(|| (Some(name), &text[at + 1 + MARK.len_utf8()..]))
}

/// Makes speakers of the names in a file of ours; false for another file, of which nothing is changed.
pub(super) fn take_marked(lines: &mut [Content]) -> bool {
    if lines.first().and_then(|line| take_mark(&line.text)).is_none() {
        return false;
    }
    let mut speaking: Option<Arc<str>> = None;
    for line in lines {
        let text = line.text.clone();
        if let Some((name, text)) = take_mark(&text) {
            speaking = name.map(Arc::from);
            let content = Content { text: text.into(), break_before: None, ..std::mem::take(line) };
            *line = with_break(content);
        } else if text.starts_with(NOBODY) {
            speaking = None;
        }
        line.speaker = speaking.clone();
    }
    true
}

/// Whether names would be taken from these texts, of which nobody is known to say any.
pub(super) fn would_take<'a>(texts: impl Iterator<Item = &'a str>) -> bool {
    let mut lines: Vec<Content> = texts.map(|text| Content { text: text.into(), ..Content::default() }).collect();
    if take_marked(&mut lines) {
        return true;
    }
    take_from_texts(&mut lines);
    lines.iter().any(|line| line.speaker.is_some())
}

/// A name with a company and pronouns behind it.
const LOOSE_NAME_MAX: usize = 80;
/// Fewer cues say nothing of a file.
const NAMED_MIN: usize = 4;

/// Begins a turn where the text begins with `>>`: broadcasters' sign of another speaker.
pub(super) fn with_break(mut content: Content) -> Content {
    if content.text.starts_with(">>") {
        content.break_before = Some(Break::Turn);
    }
    content
}

#[derive(Debug, PartialEq, Eq)]
struct Label<'a> {
    name: &'a str,
    text: &'a str,
    /// A name whatever else the file says.
    is_sure: bool,
}

/// What a meeting tool puts before a colon, whatever characters it has: `Ann Lee (she/her)`, `a.lee@example.org`.
fn loose_label(text: &str) -> Option<Label<'_>> {
    let row = text.split('\n').next().unwrap_or_default();
    let at = row.match_indices(": ").map(|(at, _)| at).next().or_else(|| row.strip_suffix(':').map(str::len))?;
    let name = row[..at].trim();
    let is_name = !name.is_empty()
        && name.chars().count() <= LOOSE_NAME_MAX
        && name.contains(char::is_alphanumeric)
        && !name.contains([';', '?', '!', '\u{2026}', '"'])
        && !name.starts_with(['-', '>', '(', '\u{2013}']);
    is_name.then(|| Label { name, text: &text[at + 1..], is_sure: true })
}

/// Makes speakers of what nearly every cue begins with; false where too few do.
fn take_from_nearly_all(lines: &mut [Content]) -> bool {
    let said: Vec<bool> =
        lines.iter().map(|line| loose_label(&line.text).is_some_and(|label| !label.text.trim().is_empty())).collect();
    let named = said.iter().filter(|is_named| **is_named).count();
    let names: HashSet<&str> =
        lines.iter().filter_map(|line| loose_label(&line.text)).map(|label| label.name).collect();
    // People speak more than once: a list of terms and what they mean has each once.
    let is_one = named >= NAMED_MIN && named * 10 >= lines.len() * 9 && names.len() * 2 <= named;
    if !is_one || lines.iter().any(|line| line.speaker.is_some()) {
        return false;
    }
    for (line, is_named) in lines.iter_mut().zip(said) {
        if let Some(label) = loose_label(&line.text).filter(|_| is_named) {
            let (name, text) = (label.name.into(), label.text.trim_start().into());
            (line.speaker, line.text) = (Some(name), text);
        }
    }
    true
}

/// Makes speakers of the names in front of texts.
pub(super) fn take_from_texts(lines: &mut [Content]) {
    if take_from_nearly_all(lines) {
        return;
    }
    let is_all_capitals = !lines.iter().any(|line| line.text.contains(char::is_lowercase));
    let mut counts: HashMap<String, usize> = HashMap::new();
    for line in lines.iter().filter(|line| line.speaker.is_none()) {
        if let Some(label) = label(&line.text) {
            *counts.entry(label.name.to_owned()).or_default() += 1;
        }
    }
    let mut named = HashSet::new();
    for (index, line) in lines.iter_mut().enumerate().filter(|(_, line)| line.speaker.is_none()) {
        let Some(Label { name, text, is_sure }) = label(&line.text) else { continue };
        let is_bracketed = line.text.trim_start_matches(['>', ' ']).starts_with('[');
        let is_sure = is_sure && (is_bracketed || !is_all_capitals || name.ends_with(|c: char| c.is_ascii_digit()));
        if (is_sure || counts.get(name).is_some_and(|count| *count > 1)) && !text.trim().is_empty() {
            let (name, text) = (name.into(), text.trim_start().into());
            (line.speaker, line.text) = (Some(name), text);
            named.insert(index);
        }
    }
    for index in 1..lines.len() {
        let [before, line] = &mut lines[index - 1..=index] else { continue };
        if line.speaker.is_none() && named.contains(&(index - 1)) && goes_on(before, line, is_all_capitals) {
            line.speaker = before.speaker.clone();
            named.insert(index);
        }
    }
}

/// Whether `line` goes on with the sentence that `before` begins, without a pause in which somebody else might come in.
fn goes_on(before: &Content, line: &Content, is_all_capitals: bool) -> bool {
    let (Some(end), Some(start)) = (before.end_ms, line.start_ms) else { return false };
    // A clock that starts over parts two recordings.
    let is_later = before.start_ms.is_some_and(|before| start >= before);
    let begins_small = line.text.starts_with(|c: char| c.is_lowercase() || is_all_capitals && c.is_uppercase());
    let is_open = |c: char| c.is_alphanumeric() || matches!(c, ',' | ';' | '\'' | '\u{2019}');
    let is_over = !before.text.trim_end().ends_with(is_open);
    begins_small && !is_over && is_later && start - end < PAUSE_MS && line.break_before.is_none()
}

/// The name at the head of `text`, and what follows its colon.
fn label(text: &str) -> Option<Label<'_>> {
    let text = text.trim_start_matches('>').trim_start();
    if let Some((name, text)) = text.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        return is_name(name).then_some(Label { name, text, is_sure: true });
    }
    let (name, after) = text.split_once(':')?;
    if !is_name(name) || !(after.is_empty() || after.starts_with(char::is_whitespace)) {
        return None;
    }
    let is_capitals = !name.contains(char::is_lowercase) && name.chars().filter(|c| c.is_uppercase()).count() > 1;
    Some(Label { name, text: after, is_sure: is_capitals || name.ends_with(|c: char| c.is_ascii_digit()) })
}

fn is_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '.' | '-' | '\'' | '\u{2019}' | '_' | '#' | '&');
    let first = name.chars().next();
    first.is_some_and(|first| first.is_alphabetic() && !first.is_lowercase())
        && !name.ends_with(' ')
        && name.chars().count() <= NAME_MAX
        && name.split_whitespace().count() <= NAME_WORDS_MAX
        && name.chars().all(is_plain)
        // `Dr. Ann` has a short word before its dot, a sentence a long one.
        && name.split_whitespace().all(|word| !word.ends_with('.') || word.chars().count() <= 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(texts: &[&str]) -> Vec<(Option<String>, String)> {
        let mut lines: Vec<_> =
            texts.iter().map(|text| Content { text: (*text).into(), ..Content::default() }).collect();
        take_from_texts(&mut lines);
        let speaker = |line: &Content| line.speaker.as_deref().map(str::to_owned);
        lines.iter().map(|line| (speaker(line), line.text.to_string())).collect()
    }

    #[test]
    fn names_as_a_table() {
        for (text, name, rest) in [
            ("MAN:\nHow did we end up here?", "MAN", "How did we end up here?"),
            ("[SPEAKER_00]: hello", "SPEAKER_00", "hello"),
            (">> MAYOR O'BRIEN: hello", "MAYOR O'BRIEN", "hello"),
            ("Speaker 1: hello", "Speaker 1", "hello"),
            ("DR. ÖZ: hello", "DR. ÖZ", "hello"),
        ] {
            assert_eq!(taken(&[text, "and more"])[0], (Some(name.to_owned()), rest.to_owned()), "{text}");
        }
        for plain in [
            "He said: no",
            "At 10:30 we left",
            "Note: one",
            "http://x",
            "MAN:",
            "[applause]",
            "[APPLAUSE] ok",
            "a: b",
            "I left. So: no",
            "A very long way to begin a sentence is this one: yes",
            "A:b",
            ": x",
            "Mr, X: y",
        ] {
            assert_eq!(taken(&[plain, "and more"])[0], (None, plain.to_owned()), "{plain}");
        }
        // What stands twice is a name; where all is in capitals, capitals say nothing.
        assert_eq!(taken(&["Ann: one", "two", "Ann: three"])[2], (Some("Ann".to_owned()), "three".to_owned()));
        assert_eq!(taken(&["ITEM ONE: THE BUDGET", "AND"])[0].0, None);
        assert_eq!(taken(&["[ANN]: THE BUDGET", "AND"])[0].0.as_deref(), Some("ANN"));
    }

    #[test]
    fn who_goes_on_with_a_sentence_is_who_began_it() {
        let speakers = |cues: &[(i64, &str)]| -> Vec<Option<String>> {
            let content = |(start, text): &(i64, &str)| {
                with_break(Content {
                    start_ms: Some(*start),
                    end_ms: Some(start + 1_000),
                    text: (*text).into(),
                    ..Content::default()
                })
            };
            let mut lines: Vec<_> = cues.iter().map(content).collect();
            take_from_texts(&mut lines);
            lines.iter().map(|line| line.speaker.as_deref().map(str::to_owned)).collect()
        };
        let ann = Some("ANN".to_owned());
        let cues =
            [(0, "ANN: I think that,"), (1_000, "if we may,"), (2_000, "we go."), (3_000, "and then"), (4_000, "so")];
        assert_eq!(speakers(&cues), [ann.clone(), ann.clone(), ann.clone(), None, None]);
        for (next, goes_on) in [
            ((1_000, "we may go."), true),
            ((2_900, "we may go."), true),
            ((3_000, "we may go."), false),
            ((1_000, "We may go."), false),
            ((1_000, "- we may go."), false),
            ((1_000, ">> we may go."), false),
            ((1_000, "[applause]"), false),
        ] {
            assert_eq!(speakers(&[(0, "ANN: I think that"), next])[1].is_some(), goes_on, "{next:?}");
        }
        for over in
            ["ANN: I think so.", "ANN: I think\u{2014}", "ANN: Do I?", "ANN: no, \u{201C}go\u{201D}", "ANN: I\u{2026}"]
        {
            assert_eq!(speakers(&[(0, over), (1_000, "we may go.")])[1], None, "{over}");
        }
        // In capitals nothing is small.
        let capitals = speakers(&[(0, "[ANN]: I THINK THAT"), (1_000, "WE MAY GO."), (2_000, "YES")]);
        assert_eq!(capitals, [ann.clone(), ann, None]);
        // Where nobody is named, nobody goes on.
        assert_eq!(speakers(&[(0, "I think that"), (1_000, "we may go.")]), [None, None]);
    }

    #[test]
    fn what_nearly_every_cue_begins_with_is_a_name() {
        let names = [
            "Ann Lee (she/her)",
            "\u{674E}\u{660E}",
            "a.lee@example.org",
            "iPhone (2)",
            "Dr. A. B. Smith-Jones, ACME | Berlin",
        ];
        let texts: Vec<String> = names.iter().chain(&names).map(|name| format!("{name}: Yes: so.")).collect();
        let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let read = taken(&texts);
        for (name, (speaker, text)) in names.iter().chain(&names).zip(&read) {
            assert_eq!((speaker.as_deref(), text.as_str()), (Some(*name), "Yes: so."));
        }
        // One cue in ten may go on without; of more, and of names that stand once, nothing is said.
        texts.push("and on");
        assert_eq!(taken(&texts)[10], (None, "and on".to_owned()));
        texts.extend(["and on", "and on"]);
        assert_eq!(taken(&texts)[2].0, None);
        let terms = ["cat: a pet", "dog: a pet", "cow: no pet", "elk: no pet", "ape: no pet"];
        assert!(taken(&terms).iter().all(|(speaker, _)| speaker.is_none()));
    }

    #[test]
    fn what_is_marked_is_taken_whatever_characters_it_has() {
        let said = [
            (None, "Nobody: begins"),
            (Some("Ann"), "one"),
            (Some("Ann"), "Note: two"),
            (Some("Ann"), ">> three"),
            (Some("Ann"), "Ben:\u{A0}four"),
            (None, ">> five"),
            (None, "six"),
            (Some("Dr. A. B. Smith-Jones (BBC)"), "seven"),
            (Some("10:30 -- 11: x::"), "eight"),
            (Some(">> Q"), "nine"),
            (Some("\u{674E}\u{660E}"), "ten"),
            (Some("a"), "Ann: eleven\nsecond row"),
            (Some("O\u{2019}Brien's [1]"), "twelve"),
        ];
        let mut before = None;
        let mut lines = Vec::new();
        for (name, text) in said {
            let text = marked(before, name, text);
            before = Some(name);
            lines.push(with_break(Content { text: text.into(), ..Content::default() }));
        }
        assert!(take_marked(&mut lines));
        let read: Vec<_> = lines.iter().map(|line| (line.speaker.as_deref(), &*line.text)).collect();
        assert_eq!(read, said);
        assert_eq!(markable(" Ann:\u{A0}B\n"), "Ann: B");
        // Other files are left as they are: French has such a space in front of its colons.
        let mut french = [Content { text: "Il dit\u{A0}:\u{A0}oui".into(), ..Content::default() }];
        assert!(!take_marked(&mut french) && french[0].speaker.is_none());
    }

    #[test]
    fn chevrons_begin_a_turn() {
        let with = |text: &str| with_break(Content { text: text.into(), ..Content::default() }).break_before;
        assert_eq!((with(">> HELLO"), with(">>> NEWS"), with("a >> b")), (Some(Break::Turn), Some(Break::Turn), None));
    }
}
