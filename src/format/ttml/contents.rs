//! Contents of a document: its `body` with `div`, `p` and `span`, of which each `p` becomes lines.

use std::collections::HashSet;

use crate::format::core::builder::{FilePlace, TranscriptBuilder};
use crate::format::text::text_lines::{excerpt, tidy};
use crate::format::ttml::head::TtmlHead;
use crate::format::ttml::paragraphs::{TtmlText, collapsed, push, with_word_times, without_blank_parts};
use crate::format::ttml::sequence::SequenceDocument;
use crate::format::ttml::timing::{ActiveTiming, DocumentScope, NeverShown};
use crate::format::ttml::tree::{TtmlElement, TtmlNode, XmlNamespace};
use crate::format::ttml::visibility::{self, VisibilityChanges, VisibilityLevel};
use crate::transcript::{Content, MediaMs, Word};

/// The most unknown elements that are reported by name.
const TOLD_MAX: usize = 20;

/// Roles that an element can have in the contents of another.
enum ElementRole {
    LineBreak,
    /// `body`, `div`, `p` or `span`.
    Container,
    /// Metadata, styles and changes, which have no text of the contents.
    Aside,
    /// An element that TTML does not have, in its namespace.
    Unknown,
    Foreign,
}

impl ElementRole {
    fn of(element: &TtmlElement) -> Self {
        match (element.space, &*element.name) {
            (XmlNamespace::Core, "br") => Self::LineBreak,
            (XmlNamespace::Core, "body" | "div" | "p" | "span") => Self::Container,
            (
                XmlNamespace::Core,
                "metadata" | "set" | "animate" | "head" | "style" | "region" | "initial" | "image" | "audio",
            )
            | (XmlNamespace::Metadata, _) => Self::Aside,
            (XmlNamespace::Core, _) => Self::Unknown,
            _ => Self::Foreign,
        }
    }
}

/// The properties that apply to the contents of an element.
struct ContentScope<'a> {
    timing: ActiveTiming,
    visibility: VisibilityChanges,
    /// The role of the element in a ruby.
    ruby: Option<&'a str>,
}

/// Ends of the contents of an element, as far as they are read.
struct ContentEnds {
    /// The begin of the next element in a `seq`. `None` if one before it has no end.
    next: Option<MediaMs>,
    /// The latest end in a `par`. `None` if it is the end of the element around it.
    last: Option<MediaMs>,
}

impl ContentEnds {
    /// Takes the end of one of the elements.
    fn take(&mut self, end: Option<MediaMs>) {
        self.next = end.filter(|_| self.next.is_some());
        self.last = self.last.zip(end).map(|(last, end)| last.max(end));
    }
}

/// Reader of the contents of one document.
pub(super) struct ContentReader<'a> {
    pub(super) gather: &'a mut TranscriptBuilder,
    pub(super) document: &'a mut SequenceDocument,
    pub(super) scope: &'a DocumentScope,
    pub(super) head: &'a TtmlHead<'a>,
    /// Unknown elements of the file that were reported.
    pub(super) told: &'a mut HashSet<String>,
    /// The texts of the paragraph that is being read. `None` outside of paragraphs.
    pub(super) parts: Option<Vec<TtmlText>>,
}

impl<'a> ContentReader<'a> {
    /// Reads the contents of the root.
    pub(super) fn read(&mut self, root: &'a TtmlElement) {
        let timing = ActiveTiming::around(root);
        let ruby = self.head.styles.ruby(root);
        self.contents(root, &ContentScope { timing, visibility: VisibilityChanges::default(), ruby });
    }

    fn left_out(&mut self, at: FilePlace, message: impl Into<String>) {
        self.gather.left_out(at.line, at.column, message);
    }

    /// Reads the contents of an element. Returns when the last of them ends, or `None` if that is the end of the
    /// element.
    fn contents(&mut self, element: &'a TtmlElement, around: &ContentScope<'_>) -> Option<MediaMs> {
        let ContentScope { timing: ActiveTiming { begin, is_seq, .. }, .. } = *around;
        let mut ends = ContentEnds { next: Some(begin), last: Some(begin) };
        for node in &element.nodes {
            let inner = match node {
                TtmlNode::Text { at, text } => {
                    self.text(at.unwrap_or(element.at), text, around);
                    if !text.trim().is_empty() && !is_seq {
                        ends.last = None;
                    }
                    continue;
                }
                TtmlNode::Element(inner) => inner,
            };
            match ElementRole::of(inner) {
                ElementRole::LineBreak => {
                    self.push("\n", around);
                    continue;
                }
                ElementRole::Aside => continue,
                ElementRole::Foreign => {
                    self.foreign(inner);
                    continue;
                }
                ElementRole::Unknown => self.unknown(inner),
                ElementRole::Container => {}
            }
            let base = if is_seq { ends.next } else { Some(begin) };
            ends.take(self.element(inner, around, base));
        }
        if is_seq { ends.next } else { ends.last }
    }

    /// Reads an element within another. Returns its end, if that is known. `base` is the time from which its times
    /// count.
    fn element(
        &mut self,
        element: &'a TtmlElement,
        around: &ContentScope<'_>,
        base: Option<MediaMs>,
    ) -> Option<MediaMs> {
        let (timing, own_end) = self.scope.timing(element, &around.timing, base, self.gather);
        if timing.has_begin && timing.never.is_none() {
            self.document.begins(timing.begin);
        }
        let mut level = VisibilityLevel::new(self.head.styles.show(element), &around.visibility);
        self.scope.add_changes(element, &timing, &mut level, self.gather);
        let visibility = level.sights(&around.visibility);
        let within = ContentScope { timing, visibility, ruby: self.head.styles.ruby(element) };
        let ends = match &self.parts {
            None if element.is("p") => {
                self.parts = Some(Vec::new());
                let ends = self.contents(element, &within);
                let parts = self.parts.take().unwrap_or_default();
                self.paragraph(element.at, parts, &within.timing);
                ends
            }
            None => self.contents(element, &within),
            Some(_) => self.span(element, around.ruby, &within),
        };
        let ActiveTiming { begin, end: limit, .. } = within.timing;
        match (own_end, ends) {
            // An end that is not after the start: the element takes no time.
            (Some(end), _) if end <= begin => Some(begin),
            (None, Some(ends)) => Some(limit.map_or(ends, |limit| limit.min(ends))),
            _ => limit,
        }
    }

    /// Reads an element within a paragraph, and writes the text of a ruby in brackets. `outer` is the role in a ruby
    /// of the element around it.
    fn span(&mut self, element: &'a TtmlElement, outer: Option<&str>, within: &ContentScope<'_>) -> Option<MediaMs> {
        // A `delimiter` is for programs without ruby, and the brackets added here replace it.
        if within.ruby == Some("delimiter") {
            return Some(within.timing.begin);
        }
        let is_ruby_text =
            within.ruby == Some("textContainer") || within.ruby == Some("text") && outer != Some("textContainer");
        if is_ruby_text {
            self.push("(", within);
        }
        let ends = self.contents(element, within);
        if is_ruby_text {
            self.push(")", within);
        }
        ends
    }

    /// Reads text that stands at `at`.
    fn text(&mut self, at: FilePlace, text: &str, around: &ContentScope<'_>) {
        let is_blank = text.trim().is_empty();
        // Blanks between the parts of a ruby do not belong to its text.
        let is_between = is_blank && matches!(around.ruby, Some("container" | "baseContainer" | "textContainer"));
        if self.parts.is_none() && !is_blank {
            self.left_out(at, format!("{:?} stands in no paragraph: left out", excerpt(text.trim())));
        } else if self.parts.is_some() && !is_between {
            match around.timing.keeps_blanks {
                true => self.push(text, around),
                false => self.push(&collapsed(text), around),
            }
        }
    }

    /// Adds text to the paragraph, if one is being read, with the properties that apply at its place.
    fn push(&mut self, text: &str, around: &ContentScope<'_>) {
        let Some(parts) = &mut self.parts else { return };
        let ContentScope { timing, visibility, .. } = around;
        let mut part = TtmlText::new(text, timing);
        if !part.is_blank() && part.never.is_none() {
            match visibility::seen(self.head.region(timing), visibility, part.begin, part.end) {
                Ok(seen) => (part.begin, part.end) = seen,
                Err(unseen) => part.never = Some(NeverShown::Unseen(unseen)),
            }
            if timing.is_seq {
                part.never = part.never.or(Some(NeverShown::NoDuration));
            }
        }
        part.is_timed |= part.begin > timing.begin;
        push(parts, part, timing.keeps_blanks);
    }

    /// Reports an element that TTML does not have, once per name.
    fn unknown(&mut self, element: &TtmlElement) {
        if self.told.len() < TOLD_MAX && self.told.insert(element.name.clone()) {
            let message = format!(
                "<{}> is no element of TTML: its text is read, the element is not kept",
                excerpt(&element.name)
            );
            self.gather.losses.add(element.at.line, element.at.column, message);
        }
    }

    /// Reports the text in an element of another namespace.
    fn foreign(&mut self, element: &TtmlElement) {
        let text = element.text();
        if !text.trim().is_empty() {
            let (name, text) = (excerpt(&element.name), excerpt(text.trim()));
            let message = format!("<{name}> is of another namespace, so {text:?} is no speech: left out");
            self.left_out(element.at, message);
        }
    }

    /// Adds the lines of a paragraph.
    fn paragraph(&mut self, at: FilePlace, parts: Vec<TtmlText>, paragraph: &ActiveTiming) {
        let parts = without_blank_parts(parts);
        if parts.is_empty() {
            self.left_out(at, "this paragraph has no text: left out");
            return;
        }
        // Texts around a hidden one are joined again.
        let mut shown: Vec<TtmlText> = Vec::new();
        for part in parts {
            match part.never {
                Some(never) => {
                    let text = excerpt(part.text.trim());
                    self.left_out(at, format!("{text:?} is never shown: {never}; left out, as no speech"));
                }
                None => push(&mut shown, part, paragraph.keeps_blanks),
            }
        }
        // In a sequence, each replaces the one before.
        let is_karaoke =
            paragraph.has_begin && !paragraph.is_seq && shown.iter().filter(|part| part.is_inner).count() > 1;
        if is_karaoke {
            for parts in shown.chunk_by(|one, next| one.agent == next.agent) {
                let (part, words) = with_word_times(parts, paragraph);
                self.line(at, part, words, paragraph);
            }
        } else {
            for part in shown {
                self.line(at, part, Vec::new(), paragraph);
            }
        }
    }

    fn line(&mut self, at: FilePlace, part: TtmlText, words: Vec<Word>, paragraph: &ActiveTiming) {
        let lines = part.text.split('\n').map(|line| if paragraph.keeps_blanks { line } else { line.trim() });
        let text = tidy(lines.collect::<Vec<_>>().join("\n").trim());
        let content = Content {
            start_ms: (part.is_timed && !paragraph.is_placed).then_some(part.begin),
            end_ms: part.end.filter(|_| part.is_timed && !paragraph.is_estimated),
            speaker: part.agent,
            text: text.into(),
            lang: part.lang.filter(|lang| self.gather.meta.language.as_ref() != Some(lang)),
            words,
            ..Content::default()
        };
        self.gather.line(at, content);
        self.document.lines.end = self.gather.len();
    }
}
