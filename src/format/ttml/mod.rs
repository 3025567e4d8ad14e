//! Reader and writer of TTML: IMSC 1.1 text, EBU-TT-D, documents of EBU-TT Live, and the drafts that they come from.
//!
//! A `p` is a line. If several people speak in it, or parts of it have times and it has none, it is one line for each.
//! A `p` with a time whose parts have times as well is one line with the times of its words. Times nest (W3C TTML2,
//! 12): in a `par` they count from the parent's, in a `seq` from the end of the element before, where `br`, `set`,
//! `metadata` and text without a duration take no time. Text that is never shown is no speech, and is reported with the
//! reason. With a time base of `clock` or `smpte`, times are those of the clock. A file may hold several documents, one
//! after the other; those of an EBU-TT Live sequence replace each other. Styles and regions are not part of a line.
//!
//! In the order of reading: `xml` and `tree`, the elements of a file; `document`, its roots and heads, with `agents`,
//! `head` and `visibility`; `contents`, its elements, with `timing`, `time_expressions` and `paragraphs`; `sequence`.

mod agents;
mod contents;
mod document;
mod head;
mod paragraphs;
mod sequence;
#[cfg(test)]
mod tests;
mod time_expressions;
mod timing;
mod tree;
mod visibility;
mod write;
mod xml;

use quick_xml::Reader as XmlReader;
use quick_xml::events::Event;

pub(super) use self::write::WRITER;
pub(super) use self::xml::read;
use crate::format::core::error::FormatError;
use crate::format::core::kinds::FileKind;
use crate::format::text::text_lines::excerpt;

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
