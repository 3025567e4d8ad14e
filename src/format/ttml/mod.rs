//! TTML, read and written: IMSC 1.1 text, EBU-TT-D, documents of EBU-TT Live, and the drafts they came from.
//!
//! A `p` is a line; where several people speak in it, or parts of it have times and it has none, it is one line for each. A
//! `p` with a time whose parts have times as well is one line with the times of its words. Times nest (W3C TTML2, 12):
//! in a `par` they count from the parent's, in a `seq` from the end of what is before. With a time base of `clock` or
//! `smpte` they are those of the clock. A file may hold several documents, one behind the other; those of a sequence of
//! EBU-TT Live take each other's place. Styles and regions are no part of a line.

mod sequence;
mod time;
mod write;

use std::collections::HashMap;
use std::sync::Arc;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader as XmlReader, XmlVersion};

use self::sequence::Document;
use self::time::Rates;
pub(super) use self::write::write;
use super::blocks::{excerpt, tidy};
use super::gather::Gather;
use super::{FileKind, FormatError, Reading};
use crate::transcript::{Content, MediaMs, Word};

/// TTML, or what other XML a text is.
pub(super) fn kind(text: &str) -> Result<FileKind, FormatError> {
    let mut xml = XmlReader::from_str(text);
    loop {
        match xml.read_event() {
            Ok(Event::Start(tag) | Event::Empty(tag)) => {
                let name = tag.local_name().into_inner().to_owned();
                if name == "tt" {
                    return Ok(FileKind::Ttml);
                }
                let what = format!("XML or HTML of another kind, <{}>", excerpt(&name));
                return Err(FormatError::NotATranscript { what });
            }
            Ok(Event::Eof) | Err(_) => return Err(FormatError::UnknownFormat),
            Ok(_) => {}
        }
    }
}

/// How deep elements may be nested: TTML needs a handful, and what is deeper wants to cost us time.
const DEPTH_MAX: usize = 200;

/// An element that is open.
#[derive(Debug, Clone, Default)]
struct Element {
    name: String,
    begin: MediaMs,
    /// Whether it says when it begins, itself or one of those it is in.
    is_timed: bool,
    /// Whether it has a time of its own.
    has_begin: bool,
    end: Option<MediaMs>,
    is_seq: bool,
    /// In a `seq`: where the next child begins.
    next: MediaMs,
    agent: Option<Arc<str>>,
    lang: Option<Arc<str>>,
    keeps_blanks: bool,
    is_estimated: bool,
}

/// Text of a `p`, and what holds for it.
#[derive(Debug)]
struct Part {
    text: String,
    begin: MediaMs,
    end: Option<MediaMs>,
    is_timed: bool,
    /// A span within the `p` has a time.
    is_inner: bool,
    agent: Option<Arc<str>>,
    lang: Option<Arc<str>>,
}

struct Reader<'a> {
    text: &'a str,
    gather: Gather,
    rates: Rates,
    open: Vec<Element>,
    documents: Vec<Document>,
    agents: HashMap<String, String>,
    /// The agent whose name is being read, and how good the name is that is known.
    agent: Option<(String, u8)>,
    name_rank: u8,
    /// Within a `p`: the line of the file at which it begins, and its parts.
    paragraph: Option<(usize, Vec<Part>)>,
    title: String,
    /// Where in the text lines were counted up to, and how many.
    counted: (usize, usize),
    has_styles: Option<usize>,
}

pub(super) fn read(text: &str, gather: Gather) -> Result<Reading, FormatError> {
    let mut reader = Reader {
        text,
        gather,
        rates: Rates::default(),
        open: Vec::new(),
        documents: Vec::new(),
        agents: HashMap::new(),
        agent: None,
        name_rank: 0,
        paragraph: None,
        title: String::new(),
        counted: (0, 1),
        has_styles: None,
    };
    let mut xml = XmlReader::from_str(text);
    loop {
        if reader.open.len() > DEPTH_MAX {
            let line = reader.line(xml.buffer_position());
            let why = format!("elements are nested deeper than {DEPTH_MAX}");
            return Err(FormatError::Broken { what: "XML", line, column: 1, why });
        }
        match xml.read_event() {
            Ok(Event::Start(tag)) => reader.start(&tag, xml.buffer_position()),
            Ok(Event::Empty(tag)) => {
                reader.start(&tag, xml.buffer_position());
                reader.end();
            }
            Ok(Event::End(_)) => reader.end(),
            Ok(Event::Text(text)) => reader.text(&text.xml10_content()),
            Ok(Event::CData(text)) => reader.text(&text.xml10_content()),
            Ok(Event::GeneralRef(name)) => {
                let known = name.resolve_char_ref().ok().flatten().map(String::from);
                let name = name.xml10_content();
                let named = quick_xml::escape::resolve_predefined_entity(&name).map(str::to_owned);
                match known.or(named) {
                    Some(text) => reader.text(&text),
                    None => {
                        let at = reader.line(xml.buffer_position());
                        reader.gather.problem(
                            at,
                            1,
                            format!("nobody says what &{}; is: it stays as it is written", excerpt(&name)),
                        );
                        reader.text(&format!("&{name};"));
                    }
                }
            }
            Ok(Event::Eof) => break,
            Ok(_) => {}
            Err(error) => {
                let line = reader.line(xml.error_position());
                reader.end_all();
                if reader.gather.len() == 0 {
                    return Err(FormatError::Broken { what: "XML", line, column: 1, why: error.to_string() });
                }
                reader.gather.problem(line, 1, format!("the XML is broken here ({error}): what follows is left out"));
                break;
            }
        }
    }
    if !reader.open.is_empty() {
        let line = reader.line(text.len() as u64);
        reader.gather.problem(line, 1, "the file breaks off: elements are open at its end");
        reader.end_all();
    }
    Ok(reader.finish())
}

impl Reader<'_> {
    /// The line of a byte; asked for rising places, so that the text is counted once.
    fn line(&mut self, at: u64) -> usize {
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(self.text.len());
        let (from, line) = self.counted;
        if at > from {
            self.counted = (at, line + self.text.as_bytes()[from..at].iter().filter(|byte| **byte == b'\n').count());
        }
        self.counted.1
    }

    fn start(&mut self, tag: &BytesStart<'_>, position: u64) {
        let line = self.line(position);
        let name = tag.local_name().into_inner().to_owned();
        let mut attributes: Vec<(String, String)> = Vec::new();
        for attribute in tag.attributes() {
            match attribute.map(|attribute| {
                (attribute.key.into_inner().to_owned(), attribute.normalized_value(XmlVersion::Implicit1_0))
            }) {
                Ok((name, Ok(value))) => attributes.push((name, value.into_owned())),
                Ok((name, Err(_))) => {
                    self.gather.problem(line, 1, format!("the attribute {} cannot be read: left out", excerpt(&name)));
                }
                Err(_) => {
                    self.gather.problem(line, 1, format!("an attribute of <{}> is broken: left out", excerpt(&name)))
                }
            }
        }
        let get = |wanted: &str| attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let local = |wanted: &str| {
            let is = |name: &str| name.rsplit(':').next() == Some(wanted) && name.contains(':');
            attributes.iter().find(|(name, _)| is(name)).map(|(_, value)| value.as_str())
        };
        if name == "tt" {
            self.root(line, &attributes);
        }
        if self.has_styles.is_none()
            && (matches!(&*name, "style" | "region") || get("style").or(get("region")).is_some())
        {
            self.has_styles = Some(line);
        }
        match &*name {
            "agent" if self.is_in("head") => {
                self.agent = local("id").map(|id| (id.to_owned(), 0));
            }
            "name" if self.agent.is_some() => self.name_rank = if get("type") == Some("full") { 2 } else { 1 },
            "p" => self.paragraph = Some((line, Vec::new())),
            "br" => self.push("\n"),
            _ => {}
        }
        let element = self.element(line, &name, &get, &local);
        if let (true, Some(document)) = (element.has_begin, self.documents.last_mut()) {
            document.begins(element.begin);
        }
        self.open.push(element);
    }

    fn root(&mut self, line: usize, attributes: &[(String, String)]) {
        // A document of its own, whatever stood before it.
        self.rates = Rates::default();
        self.agents.clear();
        self.gather.new_part();
        let mut document = Document { at: line, lines: self.gather.len()..self.gather.len(), ..Document::default() };
        for (name, value) in attributes {
            let local = name.rsplit(':').next().unwrap_or(name);
            match local {
                "sequenceIdentifier" => document.identifier = Some(value.clone()),
                "sequenceNumber" => document.number = value.trim().parse().ok(),
                "authoringDelay" if self.documents.is_empty() => {
                    let message = "how long the authors took (authoringDelay) is not taken off the times";
                    self.gather.losses.add(line, 1, message);
                }
                _ => {}
            }
            if !self.rates.set(local, value) {
                self.gather.problem(
                    line,
                    1,
                    format!("{:?} is no value of {local}: left as it is by default", excerpt(value)),
                );
            }
        }
        if self.documents.is_empty() {
            let language = attributes.iter().find(|(name, value)| name == "xml:lang" && !value.is_empty());
            self.gather.meta.language = language.map(|(_, value)| value.as_str().into());
        }
        self.documents.push(document);
    }

    fn is_in(&self, name: &str) -> bool {
        self.open.iter().any(|element| element.name == name)
    }

    fn element<'s>(
        &mut self,
        line: usize,
        name: &str,
        get: &impl Fn(&str) -> Option<&'s str>,
        local: &impl Fn(&str) -> Option<&'s str>,
    ) -> Element {
        let parent = self.open.last().cloned().unwrap_or_default();
        let mut time = |what: &str| {
            let written = get(what)?;
            let read = self.rates.parse(written);
            if read.is_none() {
                self.gather.problem(line, 1, format!("{:?} is no time ({what}): left out", excerpt(written)));
            }
            read
        };
        let (begin, end, dur) = (time("begin"), time("end"), time("dur"));
        let is_clock = self.rates.is_clock;
        // "The begin and end times are relative to the parent's begin, or in a seq to the end of the sibling before."
        let base = if parent.is_seq { parent.next } else { parent.begin };
        let at = |time: MediaMs| if is_clock { time } else { base.saturating_add(time) };
        let start = begin.map_or(base, at);
        let is_timed = begin.is_some() || parent.is_timed || parent.is_seq && parent.next > parent.begin;
        // A duration counts from a start; of a document that is live, nobody but its receiver knows the start.
        let lasts = dur.filter(|_| !is_clock || is_timed).map(|dur| start.saturating_add(dur));
        let own_end = [end.map(at), lasts].into_iter().flatten().min();
        let end = [own_end, parent.end].into_iter().flatten().min();
        let agent = local("agent").map(|ids| self.agent_names(ids));
        Element {
            name: name.to_owned(),
            begin: start,
            is_timed: is_timed || own_end.is_some() && !is_clock,
            has_begin: begin.is_some(),
            end,
            is_seq: get("timeContainer") == Some("seq"),
            next: start,
            agent: agent.or(parent.agent),
            lang: get("xml:lang").filter(|lang| !lang.is_empty()).map(Arc::from).or(parent.lang),
            keeps_blanks: get("xml:space").map_or(parent.keeps_blanks, |space| space == "preserve"),
            is_estimated: local("estimated") == Some("end"),
        }
    }

    /// One or more ids of agents; one that the head does not name is its own name.
    fn agent_names(&self, ids: &str) -> Arc<str> {
        let names = ids.split_ascii_whitespace().map(|id| self.agents.get(id).map_or(id, String::as_str));
        names.collect::<Vec<_>>().join(" & ").into()
    }

    fn end(&mut self) {
        let Some(element) = self.open.pop() else { return };
        if element.name == "agent" && self.is_in("head") {
            self.agent = None;
        }
        if let Some(parent) = self.open.last_mut() {
            let ends = element.end.unwrap_or(element.next.max(element.begin));
            if parent.is_seq {
                parent.next = ends;
            } else if element.name != "metadata" {
                parent.next = parent.next.max(ends);
            }
        }
        if element.name == "p" {
            self.paragraph_ends(&element);
        }
    }

    fn end_all(&mut self) {
        while !self.open.is_empty() {
            self.end();
        }
    }

    fn text(&mut self, text: &str) {
        let Some(current) = self.open.last() else { return };
        if let Some((id, rank)) = &mut self.agent
            && current.name == "name"
        {
            // A full name is better than any other; of equals the first.
            if self.name_rank >= *rank && !text.trim().is_empty() {
                if self.name_rank > *rank {
                    self.agents.insert(id.clone(), String::new());
                }
                *rank = self.name_rank;
                self.agents.entry(id.clone()).or_default().push_str(text.trim());
            }
        } else if current.name == "title" && self.documents.len() == 1 && self.paragraph.is_none() && self.is_in("head")
        {
            self.title.push_str(text);
        } else if matches!(&*current.name, "p" | "span") {
            let keeps = current.keeps_blanks;
            if keeps { self.push(text) } else { self.push(&collapsed(text)) }
        }
    }

    /// Adds text to the paragraph, by what holds for it here.
    fn push(&mut self, text: &str) {
        let inner = self.open.iter().rev().take_while(|element| element.name != "p").any(|element| element.has_begin);
        let (Some((_, parts)), Some(current)) = (&mut self.paragraph, self.open.last()) else { return };
        let agent = &current.agent;
        match parts.last_mut() {
            Some(last)
                if (last.begin, last.end, last.is_inner) == (current.begin, current.end, inner)
                    && last.agent == *agent =>
            {
                // Blanks around a tag are one.
                let is_double = last.text.ends_with(char::is_whitespace) && !current.keeps_blanks;
                last.text.push_str(if is_double { text.trim_start_matches(' ') } else { text });
                // A line is in one language, or its language is not said.
                if last.lang != current.lang && !text.trim().is_empty() {
                    last.lang = None;
                }
            }
            _ => parts.push(Part {
                text: text.to_owned(),
                begin: current.begin,
                end: current.end,
                is_timed: current.is_timed,
                is_inner: inner,
                agent: agent.clone(),
                lang: current.lang.clone(),
            }),
        }
    }

    fn paragraph_ends(&mut self, paragraph: &Element) {
        let Some((at, mut parts)) = self.paragraph.take() else { return };
        // Blank parts belong to what is before them.
        let mut joined: Vec<Part> = Vec::new();
        for part in parts.drain(..) {
            match joined.last_mut() {
                Some(last) if part.text.trim().is_empty() => last.text.push_str(&part.text),
                _ if part.text.trim().is_empty() => {}
                _ => joined.push(part),
            }
        }
        if joined.is_empty() {
            self.gather.problem(at, 1, "this paragraph has no text: left out");
            return;
        }
        let is_karaoke = paragraph.has_begin && joined.iter().filter(|part| part.is_inner).count() > 1;
        if is_karaoke {
            let one = |one: &Part, next: &Part| one.agent == next.agent;
            for parts in joined.chunk_by(one) {
                let words = words(parts);
                let text: String = parts.iter().map(|part| part.text.as_str()).collect();
                let part = Part {
                    text,
                    begin: paragraph.begin,
                    end: paragraph.end,
                    is_timed: true,
                    is_inner: false,
                    agent: parts[0].agent.clone(),
                    lang: parts[0].lang.clone(),
                };
                self.line_of(at, part, words, paragraph);
            }
        } else {
            for part in joined {
                self.line_of(at, part, Vec::new(), paragraph);
            }
        }
    }

    fn line_of(&mut self, at: usize, part: Part, words: Vec<Word>, paragraph: &Element) {
        let lines = part.text.split('\n').map(|line| if paragraph.keeps_blanks { line } else { line.trim() });
        let text = tidy(lines.collect::<Vec<_>>().join("\n").trim());
        let content = Content {
            start_ms: part.is_timed.then_some(part.begin),
            end_ms: part.end.filter(|_| part.is_timed && !paragraph.is_estimated),
            speaker: part.agent,
            text: text.into(),
            lang: part.lang.filter(|lang| self.gather.meta.language.as_ref() != Some(lang)),
            words,
            ..Content::default()
        };
        self.gather.line(at, content);
        if let Some(document) = self.documents.last_mut() {
            document.lines.end = self.gather.len();
        }
    }

    fn finish(mut self) -> Reading {
        let title = self.title.split_whitespace().collect::<Vec<_>>().join(" ");
        self.gather.meta.title = (!title.is_empty()).then(|| title.into());
        sequence::resolve(&self.documents, &mut self.gather);
        if let Some(at) = self.has_styles {
            self.gather.losses.add(at, 1, "styles, regions and the place on the screen are not kept");
        }
        self.gather.finish(FileKind::Ttml)
    }
}

/// XML without `xml:space="preserve"`: each run of blanks and line ends is a blank.
fn collapsed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' | '\t' | '\n' | '\r' if out.ends_with(' ') => {}
            ' ' | '\t' | '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn words(parts: &[Part]) -> Vec<Word> {
    let words = parts.iter().flat_map(|part| {
        part.text.split_whitespace().map(|word| Word {
            text: word.into(),
            start_ms: part.begin,
            end_ms: part.end.filter(|end| *end >= part.begin),
            confidence: None,
        })
    });
    words.collect()
}
