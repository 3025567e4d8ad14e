//! Reader and writer of TTML: IMSC 1.1 text, EBU-TT-D, documents of EBU-TT Live, and the drafts that they come from.
//!
//! A `p` is a line. If several people speak in it, or parts of it have times and it has none, it is one line for each.
//! A `p` with a time whose parts have times as well is one line with the times of its words. Times nest (W3C TTML2,
//! 12): in a `par` they count from the parent's, in a `seq` from the end of the element before, where `br`, `set`,
//! `metadata` and text without a duration take no time. Text that is never shown is no speech, and is reported with the
//! reason. With a time base of `clock` or `smpte`, times are those of the clock. A file may hold several documents, one
//! after the other; those of an EBU-TT Live sequence replace each other. Styles and regions are not part of a line.

mod sequence;
mod shown;
#[cfg(test)]
mod tests;
mod time;
mod tree;
mod write;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader as XmlReader, XmlVersion};

use self::time::Rates;
pub(super) use self::write::{readable, write};
use crate::format::core::builder::{FilePlace, TranscriptBuilder, label_start};
use crate::format::core::error::FormatError;
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::ParsedTranscript;
use crate::format::text::text_lines::{excerpt, tidy};
use crate::format::ttml::sequence::SequenceDocument;
use crate::format::ttml::shown::{HiddenCause, Styles, VisibilityChanges, VisibilityLevel};
use crate::format::ttml::tree::{TreeBuilder, TtmlElement, TtmlNode, XmlNamespace};
use crate::transcript::line::SPEAKER_BYTES_MAX;
use crate::transcript::time::precise_clock;
use crate::transcript::{Content, MediaMs, Word};

/// Returns `FileKind::Ttml` for TTML, and an error that names the kind of any other XML.
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

/// The deepest nesting of elements. TTML needs a handful; deeper files are hostile.
const DEPTH_MAX: usize = 200;

/// The most attributes of an element that are read. TTML knows about a hundred, and each is compared with those before
/// it.
const ATTRIBUTES_MAX: usize = 1_000;

/// The most unknown elements that are reported by name.
const TOLD_MAX: usize = 20;

/// Reason why a text is never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NeverShown {
    /// It begins when its parent is over.
    Over {
        begin: MediaMs,
        end: MediaMs,
    },
    /// The element before it in a `seq` has no end.
    Behind,
    /// It is text in a `seq`, which has no duration.
    NoDuration,
    Unseen(HiddenCause),
    Condition,
}

impl fmt::Display for NeverShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Over { begin, end } => {
                write!(
                    f,
                    "it begins at {}, when what it stands in is over ({})",
                    precise_clock(*begin),
                    precise_clock(*end)
                )
            }
            Self::Behind => f.write_str("what stands before it in the sequence has no end"),
            Self::NoDuration => {
                f.write_str("in a sequence (timeContainer=\"seq\") text without a duration takes no time")
            }
            Self::Unseen(HiddenCause::Display) => f.write_str("it is not displayed (tts:display=\"none\")"),
            Self::Unseen(HiddenCause::Visibility) => f.write_str("it is not visible (tts:visibility=\"hidden\")"),
            Self::Unseen(HiddenCause::Region) => f.write_str("its region is not there at that time"),
            Self::Condition => f.write_str("its condition is false"),
        }
    }
}

/// The timing and other properties that apply in an element.
#[derive(Debug, Clone, Default)]
struct ActiveTiming {
    begin: MediaMs,
    /// The end, if known without looking at the contents.
    end: Option<MediaMs>,
    /// True if it, or an element around it, has a begin.
    is_timed: bool,
    /// True if it has a begin of its own.
    has_begin: bool,
    /// True if a span within the `p` has a time.
    is_inner: bool,
    is_seq: bool,
    agent: Option<Arc<str>>,
    lang: Option<Arc<str>>,
    keeps_blanks: bool,
    is_estimated: bool,
    /// True if its begin is estimated too.
    is_placed: bool,
    region: Option<Arc<str>>,
    never: Option<NeverShown>,
}

/// A text of a `p`, with the properties that apply to it.
#[derive(Debug)]
struct TtmlText {
    text: String,
    begin: MediaMs,
    end: Option<MediaMs>,
    is_timed: bool,
    /// True if a span within the `p` has a time.
    is_inner: bool,
    agent: Option<Arc<str>>,
    lang: Option<Arc<str>>,
    never: Option<NeverShown>,
}

impl TtmlText {
    /// Returns true if both texts have the same times and speakers.
    fn goes_with(&self, other: &Self) -> bool {
        let when = |part: &Self| (part.begin, part.end, part.is_inner, part.never);
        when(self) == when(other) && self.agent == other.agent
    }
}

struct TtmlReader<'a> {
    text: &'a str,
    gather: TranscriptBuilder,
    builder: TreeBuilder,
    rates: Rates,
    documents: Vec<SequenceDocument>,
    agents: HashMap<String, Arc<str>>,
    title: String,
    /// The byte up to which lines and characters of the text were counted, and its place.
    counted: (usize, FilePlace),
    has_styles: Option<FilePlace>,
    /// Unknown elements that were reported.
    told: HashSet<String>,
}

/// The parts of a document's head that affect visibility.
struct TtmlHead<'a> {
    styles: Styles<'a>,
    regions: HashMap<&'a str, VisibilityChanges>,
}

pub(super) fn read(text: &str, gather: TranscriptBuilder) -> Result<ParsedTranscript, FormatError> {
    let mut reader = TtmlReader {
        text,
        gather,
        builder: TreeBuilder::default(),
        rates: Rates::default(),
        documents: Vec::new(),
        agents: HashMap::new(),
        title: String::new(),
        counted: (0, FilePlace::default()),
        has_styles: None,
        told: HashSet::new(),
    };
    let mut xml = XmlReader::from_str(text);
    xml.config_mut().allow_dangling_amp = true;
    loop {
        let from = xml.buffer_position();
        if reader.builder.depth() > DEPTH_MAX {
            let FilePlace { line, column } = reader.place(from);
            let why = format!("elements are nested deeper than {DEPTH_MAX}");
            return Err(FormatError::Broken { what: "XML", line, column, why });
        }
        match xml.read_event() {
            Ok(Event::Start(tag)) => reader.start(&tag, from),
            Ok(Event::Empty(tag)) => {
                reader.start(&tag, from);
                reader.end();
            }
            Ok(Event::End(_)) => reader.end(),
            Ok(Event::Text(text)) => {
                let text = text.xml10_content();
                if text.starts_with('&') {
                    let at = reader.place(from);
                    reader.problem(at, "an & begins no entity (& is written &amp;): it stays as it is written");
                }
                reader.text(&text, from, xml.buffer_position());
            }
            Ok(Event::CData(text)) => reader.text(&text.xml10_content(), from, xml.buffer_position()),
            Ok(Event::GeneralRef(name)) => {
                let known = name.resolve_char_ref().ok().flatten().map(String::from);
                let name = name.xml10_content();
                let named = quick_xml::escape::resolve_predefined_entity(&name).map(str::to_owned);
                let text = known.or(named).unwrap_or_else(|| {
                    let (at, told) = (reader.place(from), excerpt(&name));
                    reader.problem(at, format!("nobody says what &{told}; is: it stays as it is written"));
                    format!("&{name};")
                });
                reader.text(&text, from, xml.buffer_position());
            }
            Ok(Event::Eof) => break,
            Ok(_) => {}
            Err(error) => {
                let at = reader.place(xml.error_position());
                reader.end_all();
                let why = describe_xml_error(&error);
                if reader.gather.len() == 0 {
                    return Err(FormatError::Broken { what: "XML", line: at.line, column: at.column, why });
                }
                let rest = text.get(usize::try_from(xml.error_position()).unwrap_or(usize::MAX)..).unwrap_or_default();
                let (lines, bytes) = (rest.lines().count(), rest.len());
                reader.left_out(
                    at,
                    format!("the XML is broken here ({why}): what follows is left out ({lines} lines, {bytes} bytes)"),
                );
                break;
            }
        }
    }
    if reader.builder.depth() > 0 {
        let at = reader.place(text.len() as u64);
        reader.problem(at, "the file breaks off: elements are open at its end");
        reader.end_all();
    }
    Ok(reader.finish())
}

impl TtmlReader<'_> {
    /// The place of a byte. Calls must have rising bytes, so that the text is counted once.
    fn place(&mut self, at: u64) -> FilePlace {
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(self.text.len());
        let (from, place) = &mut self.counted;
        if let Some(passed) = self.text.get(*from..at) {
            let breaks = passed.bytes().filter(|byte| *byte == b'\n').count();
            let last = passed.rsplit('\n').next().unwrap_or_default().chars().count();
            let column = if breaks > 0 { last + 1 } else { place.column + last };
            (*from, *place) = (at, FilePlace { line: place.line + breaks, column });
        }
        *place
    }

    fn problem(&mut self, at: FilePlace, message: impl Into<String>) {
        self.gather.problem(at.line, at.column, message);
    }

    fn left_out(&mut self, at: FilePlace, message: impl Into<String>) {
        self.gather.left_out(at.line, at.column, message);
    }

    /// Adds text that stands at bytes `from..to` of the file.
    fn text(&mut self, text: &str, from: u64, to: u64) {
        let source = usize::try_from(from).ok().zip(usize::try_from(to).ok());
        let source = source.and_then(|(from, to)| self.text.get(from..to)).unwrap_or_default();
        if self.builder.depth() == 0 {
            return self.outside(source, from);
        }
        let at = self.place(from + (source.len() - source.trim_start().len()) as u64);
        self.builder.text(at, text);
    }

    /// Reports the lines of `source`, which stands at byte `from`, outside of any document.
    fn outside(&mut self, source: &str, from: u64) {
        let is_blank = |c: char| c.is_whitespace() || c == '\u{FEFF}';
        for row in source.split('\n').filter(|row| !row.trim_matches(is_blank).is_empty()) {
            let within =
                row.as_ptr() as usize - source.as_ptr() as usize + row.len() - row.trim_start_matches(is_blank).len();
            let at = self.place(from + within as u64);
            self.left_out(at, "this text stands outside of the document: left out");
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>, position: u64) {
        let at = self.place(position);
        let tag_name = tag.name().into_inner().to_owned();
        let name = &tag_name;
        let mut attributes: Vec<(String, String)> = Vec::new();
        for (index, attribute) in tag.attributes().enumerate() {
            if index == ATTRIBUTES_MAX {
                let message =
                    format!("<{}> has more than {ATTRIBUTES_MAX} attributes: the others are left out", excerpt(name));
                self.problem(at, message);
                break;
            }
            match attribute {
                Ok(attribute) => {
                    let name = attribute.key.into_inner().to_owned();
                    let value = attribute.normalized_value(XmlVersion::Implicit1_0).map(std::borrow::Cow::into_owned);
                    let value = value.unwrap_or_else(|_| {
                        let name = excerpt(&name);
                        self.problem(
                            at,
                            format!("an & in the attribute {name} begins no entity: it stays as it is written"),
                        );
                        attribute.value.clone().into_owned()
                    });
                    attributes.push((name, value));
                }
                Err(_) => self.problem(at, format!("an attribute of <{}> is broken: left out", excerpt(name))),
            }
        }
        self.builder.start(at, &tag_name, attributes);
    }

    fn end(&mut self) {
        match self.builder.end() {
            Some(root) if root.is("tt") => self.document(&root),
            Some(root) if !root.text().trim().is_empty() => {
                let message =
                    format!("<{}> stands outside of a document: left out, with its text", excerpt(&root.name));
                self.left_out(root.at, message);
            }
            _ => {}
        }
    }

    fn end_all(&mut self) {
        while self.builder.depth() > 0 {
            self.end();
        }
    }

    fn document(&mut self, root: &TtmlElement) {
        self.root(root);
        let all = root.all();
        let is_styled = |element: &&&TtmlElement| {
            let names = |name| element.get(XmlNamespace::Core, name).is_some();
            element.is("style") || element.is("region") || names("style") || names("region")
        };
        self.has_styles = self.has_styles.or_else(|| all.iter().find(is_styled).map(|element| element.at));
        let is_metadata =
            |element: &&&TtmlElement, name: &str| element.space == XmlNamespace::Metadata && element.name == name;
        if self.documents.len() == 1
            && let Some(head) = root.elements().find(|element| element.is("head"))
            && let Some(title) = head.all().iter().find(|element| is_metadata(element, "title"))
        {
            self.title = title.text();
        }
        for agent in all.iter().filter(|element| is_metadata(element, "agent")) {
            if let (Some(id), Some(name)) = (agent.get(XmlNamespace::Xml, "id"), agent_name(agent)) {
                self.agents.insert(id.to_owned(), label_start(&name, SPEAKER_BYTES_MAX + 1).into());
            }
        }
        let ids = |name: &'static str| {
            let named = all.iter().filter(move |element| element.is(name));
            named.filter_map(|element| element.get(XmlNamespace::Xml, "id").map(|id| (id, *element)))
        };
        let styles = Styles::of(&ids("style").collect::<Vec<_>>());
        let base = ActiveTiming::default();
        let regions = ids("region").map(|(id, region)| {
            let (active, _) = self.active(region, &base, Some(0));
            let mut level = VisibilityLevel::region(styles.show(region), active.begin, active.end);
            self.changes(region, &active, &mut level);
            (id, level.sights(&VisibilityChanges::default()))
        });
        let regions = regions.collect();
        let head = TtmlHead { styles, regions };
        let base = ActiveTiming {
            lang: root.get(XmlNamespace::Xml, "lang").filter(|lang| !lang.is_empty()).map(Arc::from),
            keeps_blanks: root.get(XmlNamespace::Xml, "space") == Some("preserve"),
            ..ActiveTiming::default()
        };
        self.contents(root, &base, &head, &VisibilityChanges::default(), None);
    }

    fn root(&mut self, root: &TtmlElement) {
        let at = root.at;
        // Each document starts with defaults.
        self.rates = Rates::default();
        self.agents.clear();
        self.gather.new_part();
        let mut document =
            SequenceDocument { at, lines: self.gather.len()..self.gather.len(), ..SequenceDocument::default() };
        for attribute in &root.attributes {
            let (local, value) = (&*attribute.name, &attribute.value);
            match local {
                "sequenceIdentifier" => document.identifier = Some(value.clone()),
                "sequenceNumber" => document.number = value.trim().parse().ok(),
                "authoringDelay" if self.documents.is_empty() => {
                    let message = "how long the authors took (authoringDelay) is not taken off the times";
                    self.gather.losses.add(at.line, at.column, message);
                }
                _ => {}
            }
            if !self.rates.set(local, value) {
                self.problem(at, format!("{:?} is no value of {local}: left as it is by default", excerpt(value)));
            }
        }
        if self.documents.is_empty() {
            let language = root.get(XmlNamespace::Xml, "lang").filter(|lang| !lang.is_empty());
            self.gather.meta.language = language.map(Arc::from);
        }
        self.documents.push(document);
    }

    /// Returns the properties that apply in `element`, and its own end. `base` is the time from which its times count:
    /// the begin of `parent`, or in a `seq` the end of the element before, `None` if that has no end.
    fn active(
        &mut self,
        element: &TtmlElement,
        parent: &ActiveTiming,
        base: Option<MediaMs>,
    ) -> (ActiveTiming, Option<MediaMs>) {
        let mut time = |what: &str| {
            let written = element.get(XmlNamespace::Core, what)?;
            let read = self.rates.parse(written);
            if read.is_none() {
                let looks = "a time is written as 00:01:30.5 or 90.5s";
                let message = format!("{:?} is no time ({what}): left out; {looks}", excerpt(written));
                self.gather.problem(element.at.line, element.at.column, message);
            }
            read
        };
        let (begin, end, dur) = (time("begin"), time("end"), time("dur"));
        let is_clock = self.rates.is_clock;
        let from = base.unwrap_or(parent.begin);
        let at = |time: MediaMs| if is_clock { time } else { from.saturating_add(time) };
        let start = begin.map_or(from, at);
        let is_timed = begin.is_some() || parent.is_timed || parent.is_seq && from > parent.begin;
        // A duration counts from a start. In a live document only the receiver knows the start.
        let lasts = dur.filter(|_| !is_clock || is_timed).map(|dur| start.saturating_add(dur));
        let own_end = [end.map(at), lasts].into_iter().flatten().min();
        if let Some(end) = own_end.filter(|end| *end <= start && parent.never.is_none()) {
            let (from, to) = (precise_clock(start), precise_clock(end));
            let message = format!("the end ({to}) does not lie behind the start ({from}): the line has no end");
            self.problem(element.at, message);
        }
        let limit = [own_end.filter(|end| *end > start), parent.end].into_iter().flatten().min();
        let never = match (base, parent.end) {
            (None, _) => Some(NeverShown::Behind),
            (_, Some(end)) if end <= start => Some(NeverShown::Over { begin: start, end }),
            _ if matches!(element.get(XmlNamespace::Core, "condition").map(str::trim), Some("false" | "false()")) => {
                Some(NeverShown::Condition)
            }
            _ => None,
        };
        let agent = element.get(XmlNamespace::Metadata, "agent").map(|ids| self.agent_names(ids));
        let lang = element.get(XmlNamespace::Xml, "lang").filter(|lang| !lang.is_empty()).map(Arc::from);
        let is_placed = element
            .attributes
            .iter()
            .any(|one| one.space == XmlNamespace::Foreign && one.name == "estimated" && one.value == "begin end");
        let is_estimated = element
            .attributes
            .iter()
            .any(|one| one.space == XmlNamespace::Foreign && one.name == "estimated" && one.value == "end");
        let active = ActiveTiming {
            begin: start,
            end: limit,
            is_timed: is_timed || own_end.is_some() && !is_clock,
            has_begin: begin.is_some(),
            is_inner: parent.is_inner || begin.is_some() && element.name != "p",
            is_seq: element.get(XmlNamespace::Core, "timeContainer") == Some("seq"),
            agent: agent.or_else(|| parent.agent.clone()),
            lang: lang.or_else(|| parent.lang.clone()),
            keeps_blanks: element
                .get(XmlNamespace::Xml, "space")
                .map_or(parent.keeps_blanks, |space| space == "preserve"),
            is_estimated,
            is_placed,
            region: element.get(XmlNamespace::Core, "region").map(Arc::from).or_else(|| parent.region.clone()),
            never: parent.never.or(never),
        };
        (active, own_end)
    }

    /// Adds the changes of `element` by `set` and `animate`.
    fn changes(&mut self, element: &TtmlElement, active: &ActiveTiming, level: &mut VisibilityLevel) {
        for change in element.elements().filter(|inner| inner.is("set") || inner.is("animate")) {
            let (when, _) = self.active(change, active, Some(active.begin));
            if !level.change(change, when.begin, when.end) {
                let message = "there are too many changes of what is shown around one text: this one is passed over";
                self.left_out(change.at, message);
            }
        }
    }

    /// Reads the contents of an element. Returns when the last of them ends, or `None` if that is the end of the
    /// element.
    fn contents(
        &mut self,
        element: &TtmlElement,
        active: &ActiveTiming,
        head: &TtmlHead<'_>,
        sights: &VisibilityChanges,
        mut parts: Option<&mut Vec<TtmlText>>,
    ) -> Option<MediaMs> {
        let ruby = head.styles.ruby(element);
        let (mut next, mut last) = (Some(active.begin), Some(active.begin));
        for node in &element.nodes {
            let inner = match node {
                TtmlNode::Text { at, text } => {
                    let is_blank = text.trim().is_empty();
                    match parts.as_deref_mut() {
                        // Blanks between the parts of a ruby do not belong to its text.
                        Some(_)
                            if is_blank && matches!(ruby, Some("container" | "baseContainer" | "textContainer")) => {}
                        Some(parts) => {
                            let text = if active.keeps_blanks { text.clone() } else { collapsed(text) };
                            push(parts, &text, active, head, sights);
                        }
                        None if is_blank => {}
                        None => {
                            let message = format!("{:?} stands in no paragraph: left out", excerpt(text.trim()));
                            self.left_out(at.unwrap_or(element.at), message);
                        }
                    }
                    if !is_blank && !active.is_seq {
                        last = None;
                    }
                    continue;
                }
                TtmlNode::Element(inner) => inner,
            };
            match (inner.space, &*inner.name) {
                (XmlNamespace::Core, "br") => {
                    if let Some(parts) = parts.as_deref_mut() {
                        push(parts, "\n", active, head, sights);
                    }
                    continue;
                }
                (
                    XmlNamespace::Core,
                    "metadata" | "set" | "animate" | "head" | "style" | "region" | "initial" | "image" | "audio",
                )
                | (XmlNamespace::Metadata, _) => continue,
                (XmlNamespace::Core, "body" | "div" | "p" | "span") => {}
                (XmlNamespace::Core, _) => self.unknown(inner),
                _ => {
                    let text = inner.text();
                    if !text.trim().is_empty() {
                        let (name, text) = (excerpt(&inner.name), excerpt(text.trim()));
                        let message = format!("<{name}> is of another namespace, so {text:?} is no speech: left out");
                        self.left_out(inner.at, message);
                    }
                    continue;
                }
            }
            let base = if active.is_seq { next } else { Some(active.begin) };
            let (within, own_end) = self.active(inner, active, base);
            if let (true, None, Some(document)) = (within.has_begin, within.never, self.documents.last_mut()) {
                document.begins(within.begin);
            }
            let mut level = VisibilityLevel::new(head.styles.show(inner), sights);
            self.changes(inner, &within, &mut level);
            let inside = level.sights(sights);
            let ends = match parts.as_deref_mut() {
                None if inner.is("p") => {
                    let mut parts = Vec::new();
                    let ends = self.contents(inner, &within, head, &inside, Some(&mut parts));
                    self.paragraph_ends(inner.at, parts, &within);
                    ends
                }
                None => self.contents(inner, &within, head, &inside, None),
                Some(parts) => {
                    let role = head.styles.ruby(inner);
                    let is_text =
                        role == Some("textContainer") || role == Some("text") && ruby != Some("textContainer");
                    // A `delimiter` is for programs without ruby, and the brackets added here replace it.
                    if role != Some("delimiter") {
                        if is_text {
                            push(parts, "(", &within, head, &inside);
                        }
                        let ends = self.contents(inner, &within, head, &inside, Some(parts));
                        if is_text {
                            push(parts, ")", &within, head, &inside);
                        }
                        ends
                    } else {
                        Some(within.begin)
                    }
                }
            };
            let ends = match (own_end, ends) {
                // An end that is not after the start: the element takes no time.
                (Some(end), _) if end <= within.begin => Some(within.begin),
                (None, Some(ends)) => Some(within.end.map_or(ends, |limit| limit.min(ends))),
                _ => within.end,
            };
            next = ends.filter(|_| next.is_some());
            last = last.zip(ends).map(|(last, ends)| last.max(ends));
        }
        if active.is_seq { next } else { last }
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

    /// The names of one or more agents, by id. An id that the head does not define is used as the name. The result is
    /// cut just above the limit of a label.
    fn agent_names(&self, ids: &str) -> Arc<str> {
        let own = |id: &str| label_start(id, SPEAKER_BYTES_MAX + 1).into();
        let mut names =
            ids.split_ascii_whitespace().map(|id| self.agents.get(id).map_or_else(|| own(id), Arc::clone)).peekable();
        let first = names.next().unwrap_or_default();
        if names.peek().is_none() {
            return first;
        }
        let mut all = first.to_string();
        while all.len() <= SPEAKER_BYTES_MAX
            && let Some(name) = names.next()
        {
            all.push_str(" & ");
            all.push_str(&name);
        }
        all.into()
    }

    fn paragraph_ends(&mut self, at: FilePlace, mut parts: Vec<TtmlText>, paragraph: &ActiveTiming) {
        // Blank parts belong to the part before them.
        let mut joined: Vec<TtmlText> = Vec::new();
        for part in parts.drain(..) {
            match joined.last_mut() {
                Some(last) if part.text.trim().is_empty() => last.text.push_str(&part.text),
                _ if part.text.trim().is_empty() => {}
                _ => joined.push(part),
            }
        }
        if joined.is_empty() {
            self.left_out(at, "this paragraph has no text: left out");
            return;
        }
        joined.retain(|part| {
            if let Some(never) = part.never {
                let text = excerpt(part.text.trim());
                self.left_out(at, format!("{text:?} is never shown: {never}; left out, as no speech"));
            }
            part.never.is_none()
        });
        // Texts around a hidden one are joined again.
        let mut shown: Vec<TtmlText> = Vec::new();
        for part in joined {
            match shown.last_mut() {
                Some(last) if last.goes_with(&part) => {
                    let is_double = last.text.ends_with(char::is_whitespace) && !paragraph.keeps_blanks;
                    last.text.push_str(if is_double { part.text.trim_start_matches(' ') } else { &part.text });
                    last.lang = last.lang.take().filter(|lang| Some(lang) == part.lang.as_ref());
                }
                _ => shown.push(part),
            }
        }
        let joined = shown;
        // In a sequence, each replaces the one before.
        let is_karaoke =
            paragraph.has_begin && !paragraph.is_seq && joined.iter().filter(|part| part.is_inner).count() > 1;
        if is_karaoke {
            let one = |one: &TtmlText, next: &TtmlText| one.agent == next.agent;
            for parts in joined.chunk_by(one) {
                let words = words(parts);
                let text = joined_text(parts);
                let part = TtmlText {
                    text,
                    begin: paragraph.begin,
                    end: paragraph.end,
                    is_timed: true,
                    is_inner: false,
                    agent: parts[0].agent.clone(),
                    lang: parts[0].lang.clone(),
                    never: None,
                };
                self.line_of(at, part, words, paragraph);
            }
        } else {
            for part in joined {
                self.line_of(at, part, Vec::new(), paragraph);
            }
        }
    }

    fn line_of(&mut self, at: FilePlace, part: TtmlText, words: Vec<Word>, paragraph: &ActiveTiming) {
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
        if let Some(document) = self.documents.last_mut() {
            document.lines.end = self.gather.len();
        }
    }

    fn finish(mut self) -> ParsedTranscript {
        let title = self.title.split_whitespace().collect::<Vec<_>>().join(" ");
        self.gather.meta.title = (!title.is_empty()).then(|| title.into());
        sequence::resolve(&self.documents, &mut self.gather);
        if let Some(at) = self.has_styles {
            self.gather.losses.add(at.line, at.column, "styles, regions and the place on the screen are not kept");
        }
        self.gather.finish(FileKind::Ttml)
    }
}

/// Adds text to a paragraph, with the properties that apply at its place.
fn push(parts: &mut Vec<TtmlText>, text: &str, active: &ActiveTiming, head: &TtmlHead<'_>, sights: &VisibilityChanges) {
    let (mut begin, mut end, mut never) = (active.begin, active.end, active.never);
    if !text.trim().is_empty() && never.is_none() {
        let region = active.region.as_deref().and_then(|id| head.regions.get(id));
        match shown::seen(region, sights, begin, end) {
            Ok(seen) => (begin, end) = seen,
            Err(unseen) => never = Some(NeverShown::Unseen(unseen)),
        }
        if active.is_seq {
            never = never.or(Some(NeverShown::NoDuration));
        }
    }
    match parts.last_mut() {
        Some(last)
            if (last.begin, last.end, last.is_inner, last.never) == (begin, end, active.is_inner, never)
                && last.agent == active.agent =>
        {
            // Blanks on both sides of a tag become one.
            let is_double = last.text.ends_with(char::is_whitespace) && !active.keeps_blanks;
            last.text.push_str(if is_double { text.trim_start_matches(' ') } else { text });
            // A line in several languages has no language.
            if last.lang != active.lang && !text.trim().is_empty() {
                last.lang = None;
            }
        }
        _ => parts.push(TtmlText {
            text: text.to_owned(),
            begin,
            end,
            is_timed: active.is_timed || begin > active.begin,
            is_inner: active.is_inner,
            agent: active.agent.clone(),
            lang: active.lang.clone(),
            never,
        }),
    }
}

/// The name of an agent: its full name, or else its given and family name, or else the first that it has.
fn agent_name(agent: &TtmlElement) -> Option<String> {
    let names = agent.elements().filter(|inner| inner.space == XmlNamespace::Metadata && inner.name == "name");
    let names: Vec<(Option<&str>, String)> = names
        .map(|name| {
            let text = name.text();
            (name.get(XmlNamespace::Core, "type"), text.split_whitespace().collect::<Vec<_>>().join(" "))
        })
        .filter(|(_, name)| !name.is_empty())
        .collect();
    let of = |kind: &str| names.iter().find(|(known, _)| *known == Some(kind)).map(|(_, name)| name.as_str());
    let in_parts = || {
        let parts: Vec<&str> = [of("given"), of("family")].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    };
    of("full").map(str::to_owned).or_else(in_parts).or_else(|| names.first().map(|(_, name)| name.clone()))
}

/// Describes an XML error for people.
fn describe_xml_error(error: &quick_xml::Error) -> String {
    use quick_xml::Error;
    use quick_xml::errors::{IllFormedError, SyntaxError};
    match error {
        Error::Syntax(SyntaxError::UnclosedComment) => "a comment has no end: --> is missing".into(),
        Error::Syntax(SyntaxError::UnclosedCData) => "a CDATA section has no end: ]]> is missing".into(),
        Error::Syntax(SyntaxError::InvalidBangMarkup) => "behind <! stands neither a comment, CDATA nor DOCTYPE".into(),
        Error::Syntax(_) => "a tag has no end: > or a quotation mark is missing".into(),
        Error::IllFormed(IllFormedError::MissingEndTag(name)) => {
            format!("the element <{}> has no end tag", short(name))
        }
        Error::IllFormed(IllFormedError::UnmatchedEndTag(name)) => {
            format!("the end tag </{}> has no start tag", short(name))
        }
        Error::IllFormed(IllFormedError::MismatchedEndTag { expected, found }) => {
            format!("the element <{}> ends with </{}>", short(expected), short(found))
        }
        Error::IllFormed(IllFormedError::DoubleHyphenInComment) => "a comment must not hold --".into(),
        Error::IllFormed(IllFormedError::UnclosedReference) => "an & begins no entity: & is written &amp;".into(),
        Error::IllFormed(_) => "the XML declaration or DOCTYPE is not complete".into(),
        Error::InvalidAttr(_) => "an attribute is not written as name=\"value\"".into(),
        Error::Escape(_) => "an entity is not known: & is written &amp;".into(),
        Error::Encoding(_) => "it holds bytes that are not of its encoding".into(),
        _ => "it is not well-formed".into(),
    }
}

/// A name from the file, shortened for a message.
fn short(name: &str) -> String {
    name.chars().take(40).collect()
}

/// Collapses text without `xml:space="preserve"`: each run of blanks and line ends becomes one blank.
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

/// The text of parts. Some files have no blank between two that are never on the screen together. If the next one
/// begins like a sentence or a name, it is not a syllable of the same word, and gets a blank.
fn joined_text(parts: &[TtmlText]) -> String {
    let mut text = String::new();
    let mut before: Option<&TtmlText> = None;
    for part in parts {
        let is_apart = before.and_then(|before| before.end).is_some_and(|end| end <= part.begin);
        if is_apart
            && part.text.starts_with(char::is_uppercase)
            && text.ends_with(|c: char| c.is_lowercase() || matches!(c, '.' | '?' | '!' | ',' | ';' | ':' | '\u{2026}'))
        {
            text.push(' ');
        }
        text.push_str(&part.text);
        before = Some(part);
    }
    text
}

fn words(parts: &[TtmlText]) -> Vec<Word> {
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
