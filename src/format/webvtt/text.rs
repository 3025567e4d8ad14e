//! Cue text: W3C WebVTT, "WebVTT cue text parsing rules" and "WebVTT cue text tokenizer", step by step.
//!
//! All states of the tokenizer after a `<` end at the next `>` or at the end, so a tag is cut out first and then
//! parsed. The tree is kept as a list of opening and closing tags and texts, in the order of the text.

use std::borrow::Cow;

use super::segments::misleads;
use super::timing::timestamp;
use crate::format::core::builder::label_start;
use crate::transcript::MediaMs;
use crate::transcript::line::{LANG_BYTES_MAX, SPEAKER_BYTES_MAX};

/// The tags with a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Class,
    Italics,
    Bold,
    Underline,
    Ruby,
    RubyText,
    Voice,
    Lang,
}

impl Tag {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Class, "c"),
        (Self::Italics, "i"),
        (Self::Bold, "b"),
        (Self::Underline, "u"),
        (Self::Ruby, "ruby"),
        (Self::RubyText, "rt"),
        (Self::Voice, "v"),
        (Self::Lang, "lang"),
    ];

    fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(tag, _)| *tag)
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(tag, _)| *tag == self).map_or("", |(_, name)| name)
    }
}

/// A piece of a cue's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CuePiece {
    Open {
        tag: Tag,
        classes: Vec<String>,
        /// The name of a voice, or the tag of a language.
        annotation: String,
    },
    Close(Tag),
    Text(String),
    Time(MediaMs),
}

/// A cue's text, and the tags that the standard ignores at their place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ParsedCueText {
    pub(super) pieces: Vec<CuePiece>,
    pub(super) left_out: Vec<String>,
}

/// Parses a cue's text. Every tag that opens is closed.
pub(super) fn parse(text: &str) -> ParsedCueText {
    let mut parsed = ParsedCueText::default();
    let mut open: Vec<Tag> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some(inside) = rest.strip_prefix('<') else {
            let end = rest.find('<').unwrap_or(rest.len());
            // "HTML character reference in data state".
            parsed.pieces.push(CuePiece::Text(htmlize::unescape(&rest[..end]).into_owned()));
            rest = &rest[end..];
            continue;
        };
        // A tag that does not end ends with the text.
        let end = inside.find('>');
        let tag = &inside[..end.unwrap_or(inside.len())];
        rest = end.map_or("", |end| &inside[end + 1..]);
        let is_taken = match tag.as_bytes().first() {
            Some(b'/') => close(&tag[1..], &mut open, &mut parsed.pieces),
            Some(b'0'..=b'9') => match timestamp(tag) {
                Some((at, "")) => {
                    parsed.pieces.push(CuePiece::Time(at));
                    true
                }
                _ => false,
            },
            _ => start(tag, &mut open, &mut parsed.pieces),
        };
        if !is_taken {
            parsed.left_out.push(format!("<{tag}{}", if end.is_some() { ">" } else { "" }));
        }
    }
    while let Some(tag) = open.pop() {
        parsed.pieces.push(CuePiece::Close(tag));
    }
    parsed
}

/// "If token is an end tag": it closes the current node, or with `ruby` the `rt` in it as well. Any other end tag is
/// ignored. Returns false for an ignored tag.
fn close(name: &str, open: &mut Vec<Tag>, pieces: &mut Vec<CuePiece>) -> bool {
    match (open.last(), Tag::of(name)) {
        (Some(current), Some(named)) if *current == named => {
            open.pop();
            pieces.push(CuePiece::Close(named));
            true
        }
        (Some(Tag::RubyText), Some(Tag::Ruby)) => {
            open.truncate(open.len().saturating_sub(2));
            pieces.extend([CuePiece::Close(Tag::RubyText), CuePiece::Close(Tag::Ruby)]);
            true
        }
        _ => false,
    }
}

/// "WebVTT start tag state", "start tag class state" and "start tag annotation state", and the construction of the
/// tree. Returns false for an ignored tag.
fn start(tag: &str, open: &mut Vec<Tag>, pieces: &mut Vec<CuePiece>) -> bool {
    let is_blank = |c: char| matches!(c, '\t' | '\n' | '\u{C}' | ' ');
    let name_end = tag.find(|c| is_blank(c) || c == '.').unwrap_or(tag.len());
    let (name, after) = tag.split_at(name_end);
    let classes_end = after.find(is_blank).unwrap_or(after.len());
    let (classes, annotation) = after.split_at(classes_end);
    let Some(tag) = Tag::of(name).filter(|tag| *tag != Tag::RubyText || open.last() == Some(&Tag::Ruby)) else {
        return false;
    };
    let classes = classes.split('.').filter(|class| !class.is_empty()).map(str::to_owned).collect();
    let annotation = match tag {
        Tag::Voice | Tag::Lang => {
            let annotation = htmlize::unescape(annotation);
            annotation.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    };
    open.push(tag);
    pieces.push(CuePiece::Open { tag, classes, annotation });
    true
}

/// The name in a tag `<v …>`. `None` for another tag, or one without a name.
pub(in crate::format) fn voice_of(tag: &str) -> Option<String> {
    match parse(tag).pieces.into_iter().next() {
        Some(CuePiece::Open { tag: Tag::Voice, annotation, .. }) => Some(annotation).filter(|name| !name.is_empty()),
        _ => None,
    }
}

/// The text of one voice within a cue.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct VoiceText {
    pub(super) voice: Option<String>,
    /// The language, if all of the text is in one.
    pub(super) lang: Option<String>,
    pub(super) text: String,
    /// The time inside the cue before its first word, if there is one.
    pub(super) begin: Option<MediaMs>,
    /// Bytes of the text at which a time begins, each with the time.
    pub(super) times: Vec<(usize, MediaMs)>,
}

/// Splits a cue's pieces into the texts of its voices, in order. Very long names and languages are cut just above the
/// limit, because many voices may have the same one. Ruby text stands in brackets behind its base, as in browsers
/// without ruby.
pub(super) fn said(pieces: &[CuePiece]) -> Vec<VoiceText> {
    let mut splitter = VoiceSplitter {
        all: vec![(VoiceText::default(), Vec::new())],
        voices: Vec::new(),
        langs: Vec::new(),
        latest: None,
    };
    pieces.iter().for_each(|piece| splitter.take(piece));
    splitter.finish()
}

/// The voices of a cue, as far as its pieces are read.
struct VoiceSplitter<'a> {
    /// Texts, each with the languages of its parts. There is one from the beginning.
    all: Vec<(VoiceText, Vec<Option<&'a str>>)>,
    /// Names and languages in the tags that are open.
    voices: Vec<&'a str>,
    langs: Vec<&'a str>,
    /// The last time inside the cue.
    latest: Option<MediaMs>,
}

impl<'a> VoiceSplitter<'a> {
    fn take(&mut self, piece: &'a CuePiece) {
        match piece {
            CuePiece::Text(text) => self.text(text),
            CuePiece::Time(at) => {
                if let Some((last, _)) = self.all.last_mut() {
                    last.times.push((last.text.len(), *at));
                }
                self.latest = Some(*at);
            }
            CuePiece::Open { tag: Tag::Voice, annotation, .. } => self.voices.push(annotation),
            CuePiece::Open { tag: Tag::Lang, annotation, .. } => self.langs.push(annotation),
            CuePiece::Open { tag: Tag::RubyText, .. } => self.bracket('('),
            CuePiece::Close(Tag::RubyText) => self.bracket(')'),
            CuePiece::Close(Tag::Voice) => drop(self.voices.pop()),
            CuePiece::Close(Tag::Lang) => drop(self.langs.pop()),
            CuePiece::Open { .. } | CuePiece::Close(_) => {}
        }
    }

    fn bracket(&mut self, bracket: char) {
        if let Some((last, _)) = self.all.last_mut() {
            last.text.push(bracket);
        }
    }

    /// Adds text to the last voice, or to a new one if another voice speaks. Blanks belong to the voice before them.
    fn text(&mut self, text: &str) {
        let is_blank = text.trim().is_empty();
        let voice = self.voices.last().map(|voice| label_start(voice, SPEAKER_BYTES_MAX + 1));
        let voice = voice.filter(|voice| !voice.is_empty());
        if !is_blank && self.all.last().is_none_or(|(last, _)| last.voice.as_deref() != voice) {
            let said = VoiceText { voice: voice.map(str::to_owned), begin: self.latest, ..VoiceText::default() };
            self.all.push((said, Vec::new()));
        }
        if let Some((last, langs)) = self.all.last_mut() {
            last.text.push_str(text);
            if !is_blank {
                langs.push(self.langs.last().copied().filter(|lang| !lang.is_empty()));
            }
        }
    }

    /// Returns the texts, each with its language if all its parts have the same.
    fn finish(self) -> Vec<VoiceText> {
        let all = self.all.into_iter().filter(|(said, _)| !said.text.trim().is_empty());
        let with_lang = all.map(|(said, langs)| {
            let first = langs.first().copied().flatten();
            let lang = first.filter(|first| langs.iter().all(|lang| *lang == Some(first)));
            VoiceText { lang: lang.map(|lang| label_start(lang, LANG_BYTES_MAX + 1).to_owned()), ..said }
        });
        with_lang.collect()
    }
}

/// Writes pieces as the standard requires ("WebVTT cue text"): invalid text is dropped or escaped. `start` and `end`
/// are those of the cue: times inside lie between them and rise.
pub(super) fn write(pieces: &[CuePiece], start: MediaMs, end: MediaMs) -> String {
    let mut out = String::new();
    let mut latest = start;
    // For each open tag, true if it was written. A voice without a name and a language without a tag cannot be.
    let mut written: Vec<bool> = Vec::new();
    for piece in pieces {
        match piece {
            CuePiece::Text(text) => out.push_str(&escape(text)),
            CuePiece::Time(at) if *at > latest && *at < end => {
                latest = *at;
                out.push_str(&format!("<{}>", crate::transcript::time::cue_clock(*at, '.')));
            }
            CuePiece::Time(_) => {}
            CuePiece::Open { tag, classes, annotation } => {
                let is_named = !matches!(tag, Tag::Voice | Tag::Lang) || !annotation.is_empty();
                written.push(is_named);
                if is_named {
                    out.push('<');
                    out.push_str(tag.name());
                    classes.iter().for_each(|class| out.extend([".", class]));
                    if !annotation.is_empty() {
                        out.extend([" ", &escape(annotation)]);
                        // Otherwise the end of the tag would be an arrow. Blanks do not belong to an annotation.
                        out.push_str(if annotation.ends_with("--") { " " } else { "" });
                    }
                    out.push('>');
                }
            }
            CuePiece::Close(tag) => {
                if written.pop() == Some(true) {
                    out.extend(["</", tag.name(), ">"]);
                }
            }
        }
    }
    // "If a voice span is the only thing in a cue, its end tag may be left out", and most writers do that.
    let voices = pieces.iter().filter(|piece| matches!(piece, CuePiece::Open { tag: Tag::Voice, .. })).count();
    if voices == 1 && out.starts_with("<v") && pieces.last() == Some(&CuePiece::Close(Tag::Voice)) {
        out.truncate(out.strip_suffix("</v>").map_or(out.len(), str::len));
    }
    // A character reference may become a line end, and an empty line would end the cue.
    if out.contains("\n\n") || out.contains('\r') || out.starts_with('\n') || out.ends_with('\n') {
        let lines = out.split(['\n', '\r']).filter(|line| !line.is_empty());
        out = lines.collect::<Vec<_>>().join("\n");
    }
    without_headers(&out)
}

/// Escapes rows of a payload that would begin another file or block.
pub(super) fn without_headers(payload: &str) -> String {
    let row = |(index, row): (usize, &str)| match misleads(row, index == 0) {
        Some(at) => {
            let (before, word) = row.split_at(at);
            let first = word.chars().next().map_or(0, u32::from);
            format!("{before}&#{first};{}", word.get(1..).unwrap_or_default())
        }
        None => row.to_owned(),
    };
    payload.split('\n').enumerate().map(row).collect::<Vec<_>>().join("\n")
}

/// Escapes a text for a payload. With `>` escaped, it cannot contain `-->`.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if text.contains(['&', '<', '>', '\0']) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        Cow::Owned(text.replace('\0', "\u{FFFD}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws the tree in one line: `v.loud[Mary](Hello)`.
    fn tree(text: &str) -> String {
        let mut out = String::new();
        for piece in parse(text).pieces {
            match piece {
                CuePiece::Open { tag, classes, annotation } => {
                    out.push_str(tag.name());
                    classes.iter().for_each(|class| out.extend([".", class]));
                    if !annotation.is_empty() {
                        out.push_str(&format!("[{annotation}]"));
                    }
                    out.push('(');
                }
                CuePiece::Close(_) => out.push(')'),
                CuePiece::Text(text) => out.push_str(&text),
                CuePiece::Time(at) => out.push_str(&format!("@{at} ")),
            }
        }
        out
    }

    #[test]
    fn every_rule_of_the_tokenizer_and_the_tree() {
        for (text, expected) in [
            ("plain", "plain"),
            // HTML character reference in data state: named, numeric, without a semicolon, and invalid.
            ("&amp;&lt;&gt;&nbsp;&lrm;&rlm;", "&<>\u{a0}\u{200e}\u{200f}"),
            ("&#65;&#x42;&copy &eacute; &xyzzy; & &", "AB© é &xyzzy; & &"),
            ("&amp;lt;", "&lt;"),
            // Tag state.
            ("<>a", "a"),
            ("< b>a", "a"),
            ("<.x>a", "a"),
            ("<i>a</i>b", "i(a)b"),
            ("<font>a</font>", "a"),
            ("<I>a", "a"),
            // Start tag state, class state, annotation state.
            ("<c.one.two>a", "c.one.two(a)"),
            ("<c..one.>a", "c.one(a)"),
            ("<v Mary>a", "v[Mary](a)"),
            ("<v.loud.first \t Mary \n Ann >a", "v.loud.first[Mary Ann](a)"),
            ("<v\nMary>a", "v[Mary](a)"),
            ("<v Mary &amp; Ann>a", "v[Mary & Ann](a)"),
            ("<v Mary &gt; Ann>a", "v[Mary > Ann](a)"),
            ("<v>a", "v(a)"),
            ("<i class>a", "i(a)"),
            ("<lang en-GB>a</lang>b", "lang[en-GB](a)b"),
            // End of text within a tag.
            ("a<i", "ai()"),
            ("a<v Mary", "av[Mary]()"),
            ("a<c.x", "ac.x()"),
            ("<i>a</i", "i(a)"),
            ("a<", "a"),
            // End tags: only the current node closes.
            ("<b><i>a</b>b</i>c", "b(i(ab)c)"),
            ("</i>a", "a"),
            ("<i>a</ i>b", "i(ab)"),
            ("<c>a</c >b", "c(ab)"),
            // Ruby: rt only directly in it; </ruby> closes rt as well.
            ("<ruby>a<rt>b</rt>c<rt>d</ruby>e", "ruby(art(b)crt(d))e"),
            ("<rt>a</rt>", "a"),
            ("<ruby><i>a<rt>b", "ruby(i(ab))"),
            // Timestamps: valid, with hours, and invalid ones.
            ("a<00:01.000>b<01:00:00.500>c", "a@1000 b@3600500 c"),
            ("a<00:01>b<1.5>c<00:01.000 >d", "abcd"),
            // Unclosed tags are closed at the end.
            ("<b><u>a", "b(u(a))"),
        ] {
            assert_eq!(tree(text), expected, "{text}");
        }
    }

    /// Draws the tree as the public suite does.
    fn drawn(text: &str) -> String {
        let (mut out, mut depth) = (String::new(), 0);
        let mut line = |depth: usize, text: &str| out.push_str(&format!("| {}{text}\n", "  ".repeat(depth)));
        for piece in parse(text).pieces {
            match piece {
                CuePiece::Open { tag, classes, annotation } => {
                    let name = if matches!(tag, Tag::Class | Tag::Voice | Tag::Lang) { "span" } else { tag.name() };
                    line(depth, &format!("<{name}>"));
                    depth += 1;
                    if !classes.is_empty() {
                        line(depth, &format!("class=\"{}\"", classes.join(" ")));
                    }
                    match tag {
                        Tag::Voice => line(depth, &format!("title=\"{annotation}\"")),
                        Tag::Lang => line(depth, &format!("lang=\"{annotation}\"")),
                        _ => {}
                    }
                }
                CuePiece::Close(_) => depth -= 1,
                CuePiece::Time(at) => {
                    let time = crate::transcript::time::cue_clock(at, '.');
                    line(depth, &format!("<?timestamp {time}>"));
                }
                CuePiece::Text(text) => line(depth, &format!("\"{text}\"")),
            }
        }
        out
    }

    /// The cue-text part of the web platform tests, as w3c/webvtt.js contains them: `CAPTIONWIRE_WEBVTT_SUITE` names
    /// the folder `test` of a checkout.
    #[test]
    fn the_public_suite() {
        let Some(folder) = std::env::var_os("CAPTIONWIRE_WEBVTT_SUITE").map(std::path::PathBuf::from) else {
            let mut stderr = std::io::stderr();
            std::io::Write::write_all(
                &mut stderr,
                b"LEFT OUT: the_public_suite: CAPTIONWIRE_WEBVTT_SUITE is not set\n",
            )
            .expect("stderr takes a line");
            return;
        };
        let (mut cases, mut wrong) = (0, Vec::new());
        for name in ["entities", "tags", "text", "timestamps", "tree-building"] {
            let json = std::fs::read(folder.join(format!("wpt-cue-parsing/{name}.json"))).expect("the suite");
            let all: Vec<serde_json::Value> = serde_json::from_slice(&json).expect("JSON");
            for case in all {
                let text = case["text"].as_str().expect("a text").trim_end_matches('\n').replace('\0', "\u{FFFD}");
                // Text behind an empty line is another block.
                let text = text.split("\n\n").next().unwrap_or_default().to_owned();
                let expected = case["expectedTree"].as_str().expect("a tree");
                cases += 1;
                if drawn(&text).trim_end() != expected.trim_end() {
                    wrong.push(format!("{name}: {text:?}\n{}is not\n{expected}", drawn(&text)));
                }
            }
        }
        assert!(wrong.is_empty(), "{} of {cases}:\n{}", wrong.len(), wrong.join("\n"));
        assert!(cases > 50);
    }

    #[test]
    fn what_is_left_out_is_named() {
        assert_eq!(parse("a < b, <font x>c</font><i>d").left_out, ["< b, <font x>", "</font>"]);
        assert_eq!(parse("<b>a</b><00:01.000>c").left_out, Vec::<String>::new());
    }

    #[test]
    fn voices_part_what_is_said() {
        let voices = |text: &str| -> Vec<(Option<String>, String)> {
            said(&parse(text).pieces).into_iter().map(|said| (said.voice, said.text)).collect()
        };
        let by = |voice: &str, text: &str| (Some(voice.to_owned()), text.to_owned());
        assert_eq!(voices("<v Ann>Hi.</v>\n<v Bob>Hello."), [by("Ann", "Hi.\n"), by("Bob", "Hello.")]);
        assert_eq!(voices("<v Ann>a<v Bob>b</v>c"), [by("Ann", "a"), by("Bob", "b"), by("Ann", "c")]);
        assert_eq!(voices("(door) <v Ann>a"), [(None, "(door) ".to_owned()), by("Ann", "a")]);
        assert_eq!(voices(" <i> </i>"), []);
        assert_eq!(voices("<ruby>漢<rt>kan</rt></ruby>!"), [(None, "漢(kan)!".to_owned())]);
        let lang = |text: &str| said(&parse(text).pieces)[0].lang.clone();
        assert_eq!(lang("<lang en>a <b>b</b></lang> "), Some("en".to_owned()));
        assert_eq!(lang("<lang en>a</lang> b"), None);
    }

    #[test]
    fn what_is_written_is_valid_and_means_the_same() {
        for (text, written) in [
            ("<v.loud Mary>a & b < c</v>", "<v.loud Mary>a &amp; b "),
            ("a &lt;b&gt; --&gt; <i>x", "a &lt;b&gt; --&gt; <i>x</i>"),
            ("<v>a</v><lang>b</lang>", "ab"),
            ("a&#10;&#10;b&#13;c", "a\nb\nc"),
            ("<00:01.000>a<00:03.000>b<00:02.000>c<00:09.000>d", "a<00:00:03.000>bcd"),
            ("<v A &gt; B>x", "<v A &gt; B>x"),
            ("<v A-- >x", "<v A-- >x"),
            ("<v A>x</v> y", "<v A>x</v> y"),
            ("<v A>x</v> <v B>y", "<v A>x</v> <v B>y</v>"),
        ] {
            let pieces = parse(text).pieces;
            let out = write(&pieces, 1_000, 9_000);
            assert!(out.starts_with(written), "{text}: {out}");
            assert_eq!(write(&parse(&out).pieces, 1_000, 9_000), out, "{text}");
        }
    }
}
