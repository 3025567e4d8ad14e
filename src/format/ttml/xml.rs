//! XML of a TTML file: its documents, one after the other, with the place of each element.

use quick_xml::errors::{IllFormedError, SyntaxError};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Error as XmlError, Reader as XmlReader, XmlVersion};

use crate::format::core::builder::{FilePlace, TranscriptBuilder};
use crate::format::core::error::FormatError;
use crate::format::core::reading::ParsedTranscript;
use crate::format::text::text_lines::excerpt;
use crate::format::ttml::document::TtmlReader;
use crate::format::ttml::tree::TreeBuilder;

/// The deepest nesting of elements. TTML needs a handful; deeper files are hostile.
pub(super) const DEPTH_MAX: usize = 200;

/// The most attributes of an element that are read. TTML knows about a hundred, and each is compared with those before
/// it.
const ATTRIBUTES_MAX: usize = 1_000;

pub(in super::super) fn read(text: &str, gather: TranscriptBuilder) -> Result<ParsedTranscript, FormatError> {
    let mut parser = DocumentParser {
        text,
        builder: TreeBuilder::default(),
        counted: (0, FilePlace::default()),
        reader: TtmlReader::new(gather),
    };
    let mut xml = XmlReader::from_str(text);
    xml.config_mut().allow_dangling_amp = true;
    loop {
        let from = xml.buffer_position();
        if parser.builder.depth() > DEPTH_MAX {
            let FilePlace { line, column } = parser.place(from);
            let why = format!("elements are nested deeper than {DEPTH_MAX}");
            return Err(FormatError::Broken { what: "XML", line, column, why });
        }
        match xml.read_event() {
            Ok(Event::Eof) => break,
            Ok(event) => parser.event(event, from, xml.buffer_position()),
            Err(error) => {
                parser.broken(&error, xml.error_position())?;
                break;
            }
        }
    }
    Ok(parser.finish())
}

/// Parser of the documents of a file.
struct DocumentParser<'a> {
    text: &'a str,
    builder: TreeBuilder,
    /// The byte up to which lines and characters of the text were counted, and its place.
    counted: (usize, FilePlace),
    reader: TtmlReader,
}

impl DocumentParser<'_> {
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
        self.reader.gather.problem(at.line, at.column, message);
    }

    fn left_out(&mut self, at: FilePlace, message: impl Into<String>) {
        self.reader.gather.left_out(at.line, at.column, message);
    }

    /// Takes an event that stands at bytes `from..to` of the file.
    fn event(&mut self, event: Event<'_>, from: u64, to: u64) {
        match event {
            Event::Start(tag) => self.start(&tag, from),
            Event::Empty(tag) => {
                self.start(&tag, from);
                self.end();
            }
            Event::End(_) => self.end(),
            Event::Text(text) => {
                let text = text.xml10_content();
                if text.starts_with('&') {
                    let at = self.place(from);
                    self.problem(at, "an & begins no entity (& is written &amp;): it stays as it is written");
                }
                self.text(&text, from, to);
            }
            Event::CData(text) => self.text(&text.xml10_content(), from, to),
            Event::GeneralRef(name) => {
                let text = self.entity(&name, from);
                self.text(&text, from, to);
            }
            _ => {}
        }
    }

    /// Returns the text of an entity, which stands at byte `from`.
    fn entity(&mut self, name: &BytesRef<'_>, from: u64) -> String {
        let known = name.resolve_char_ref().ok().flatten().map(String::from);
        let name = name.xml10_content();
        let named = quick_xml::escape::resolve_predefined_entity(&name).map(str::to_owned);
        known.or(named).unwrap_or_else(|| {
            let (at, told) = (self.place(from), excerpt(&name));
            self.problem(at, format!("&{told}; is not defined: it stays as it is written"));
            format!("&{name};")
        })
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
            Some(root) if root.is("tt") => self.reader.document(&root),
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

    /// Ends the open elements where the XML is broken, and reports the rest of the file. Fails if no line was read.
    fn broken(&mut self, error: &XmlError, position: u64) -> Result<(), FormatError> {
        let at = self.place(position);
        self.end_all();
        let why = describe_xml_error(error);
        if self.reader.gather.len() == 0 {
            return Err(FormatError::Broken { what: "XML", line: at.line, column: at.column, why });
        }
        let rest = self.text.get(usize::try_from(position).unwrap_or(usize::MAX)..).unwrap_or_default();
        let (lines, bytes) = (rest.lines().count(), rest.len());
        let message =
            format!("the XML is broken here ({why}): what follows is left out ({lines} lines, {bytes} bytes)");
        self.left_out(at, message);
        Ok(())
    }

    /// Ends the elements that are open at the end of the file.
    fn finish(mut self) -> ParsedTranscript {
        if self.builder.depth() > 0 {
            let at = self.place(self.text.len() as u64);
            self.problem(at, "the file breaks off: elements are open at its end");
            self.end_all();
        }
        self.reader.finish()
    }
}

/// Describes an XML error for people.
fn describe_xml_error(error: &XmlError) -> String {
    match error {
        XmlError::Syntax(SyntaxError::UnclosedComment) => "a comment has no end: --> is missing".into(),
        XmlError::Syntax(SyntaxError::UnclosedCData) => "a CDATA section has no end: ]]> is missing".into(),
        XmlError::Syntax(SyntaxError::InvalidBangMarkup) => {
            "behind <! stands neither a comment, CDATA nor DOCTYPE".into()
        }
        XmlError::Syntax(_) => "a tag has no end: > or a quotation mark is missing".into(),
        XmlError::IllFormed(IllFormedError::MissingEndTag(name)) => {
            format!("the element <{}> has no end tag", short(name))
        }
        XmlError::IllFormed(IllFormedError::UnmatchedEndTag(name)) => {
            format!("the end tag </{}> has no start tag", short(name))
        }
        XmlError::IllFormed(IllFormedError::MismatchedEndTag { expected, found }) => {
            format!("the element <{}> ends with </{}>", short(expected), short(found))
        }
        XmlError::IllFormed(IllFormedError::DoubleHyphenInComment) => "a comment must not hold --".into(),
        XmlError::IllFormed(IllFormedError::UnclosedReference) => "an & begins no entity: & is written &amp;".into(),
        XmlError::IllFormed(_) => "the XML declaration or DOCTYPE is not complete".into(),
        XmlError::InvalidAttr(_) => "an attribute is not written as name=\"value\"".into(),
        XmlError::Escape(_) => "an entity is not known: & is written &amp;".into(),
        XmlError::Encoding(_) => "it holds bytes that are not of its encoding".into(),
        _ => "it is not well-formed".into(),
    }
}

/// A name from the file, shortened for a message.
fn short(name: &str) -> String {
    name.chars().take(40).collect()
}
