//! Sequences of EBU-TT Live: of several documents, a later one replaces those before it.
//!
//! EBU Tech 3370, "Document resolved begin and end times": a document is shown from its resolved begin until it ends or
//! a document with a higher sequence number begins, whichever is earlier. A document with a number that was there
//! before is discarded, and one that is over before it begins is never shown. The resolved begin is the later of the
//! earliest begin within and the time at which the document arrived. A file does not contain the time of arrival, so a
//! document without any begin replaces none and is replaced by none.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crate::format::core::builder::{FilePlace, TranscriptBuilder};
use crate::transcript::{Content, MediaMs};

/// One document of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct SequenceDocument {
    /// The place of its beginning in the file.
    pub(super) at: FilePlace,
    pub(super) identifier: Option<String>,
    pub(super) number: Option<u64>,
    /// The earliest begin within. `None` if nothing has one.
    pub(super) begin: Option<MediaMs>,
    /// Indices of its lines.
    pub(super) lines: Range<usize>,
}

impl SequenceDocument {
    pub(super) fn begins(&mut self, at: MediaMs) {
        self.begin = Some(self.begin.map_or(at, |begin| begin.min(at)));
    }
}

/// The displayed contents of a line: time, speaker, text and language.
type DisplayedLine = (MediaMs, Option<Arc<str>>, Arc<str>, Option<Arc<str>>);

/// The documents of a sequence, by number.
type NumberedDocuments<'a> = BTreeMap<u64, &'a SequenceDocument>;

/// Keeps the parts of lines that the sequences in the file show, in the order of their documents.
pub(super) fn resolve(documents: &[SequenceDocument], gather: &mut TranscriptBuilder) {
    if documents.len() < 2 {
        return;
    }
    let (sequences, discarded) = sequences(documents, gather);
    let mut resolver = SequenceResolver { gather, ordered: Vec::new(), resolved: discarded, replaced: (0, None) };
    for sequence in sequences.values().filter(|sequence| sequence.len() > 1) {
        resolver.sequence(sequence);
    }
    resolver.finish();
}

/// Returns the sequences of a file by their identifiers, and the lines of documents with a number that was there
/// before, which are reported.
fn sequences<'a>(
    documents: &'a [SequenceDocument],
    gather: &mut TranscriptBuilder,
) -> (BTreeMap<&'a str, NumberedDocuments<'a>>, HashSet<usize>) {
    let mut sequences: BTreeMap<&str, NumberedDocuments<'_>> = BTreeMap::new();
    let mut discarded: HashSet<usize> = HashSet::new();
    for document in documents {
        let (Some(identifier), Some(number)) = (&document.identifier, document.number) else { continue };
        let sequence = sequences.entry(identifier).or_default();
        match sequence.entry(number) {
            Entry::Vacant(place) => {
                place.insert(document);
            }
            Entry::Occupied(_) => {
                let message = format!("the sequence number {number} stands twice: the second document is left out");
                gather.left_out(document.at.line, document.at.column, message);
                discarded.extend(document.lines.clone());
            }
        }
    }
    (sequences, discarded)
}

/// Resolver of the sequences of a file.
struct SequenceResolver<'a> {
    gather: &'a mut TranscriptBuilder,
    /// Indices of the lines that sequences show, in their order.
    ordered: Vec<usize>,
    /// Indices of all lines that are shown by a sequence or left out.
    resolved: HashSet<usize>,
    /// The number of lines that later documents replace or end, and the place of the first document with one.
    replaced: (usize, Option<FilePlace>),
}

impl SequenceResolver<'_> {
    fn sequence(&mut self, sequence: &NumberedDocuments<'_>) {
        // The earliest begin of the documents behind each, from the last document on.
        let mut limits = Vec::with_capacity(sequence.len());
        let mut limit: Option<MediaMs> = None;
        for document in sequence.values().rev() {
            limits.push(limit);
            limit = [limit, document.begin].into_iter().flatten().min();
        }
        let mut ending = HashMap::new();
        for (document, limit) in sequence.values().zip(limits.into_iter().rev()) {
            ending = self.document(document, limit, &ending);
        }
    }

    /// Takes the lines of a document, which later ones replace at `limit`. `ending` has the lines of the document before
    /// it, by their ends. Returns its own.
    fn document(
        &mut self,
        document: &SequenceDocument,
        limit: Option<MediaMs>,
        ending: &HashMap<DisplayedLine, usize>,
    ) -> HashMap<DisplayedLine, usize> {
        let mut own: HashMap<DisplayedLine, usize> = HashMap::new();
        // Such a document is never shown, and neither is text in it without a time of its own.
        let is_over = document.begin.is_some_and(|begin| limit.is_some_and(|limit| limit <= begin));
        for index in document.lines.clone() {
            self.resolved.insert(index);
            let contents = self.gather.contents();
            let is_cut = cut(&mut contents[index], limit);
            if is_cut || is_over {
                let (count, first) = self.replaced;
                self.replaced = (count + 1, first.or(Some(document.at)));
            }
            let line = contents[index].clone();
            if is_over || line.start_ms.is_some_and(|start| limit.is_some_and(|limit| start >= limit)) {
                continue;
            }
            // Text that continues to be shown is repeated by each document: it is one line.
            let shown = |at: MediaMs| (at, line.speaker.clone(), line.text.clone(), line.lang.clone());
            let before = line.start_ms.and_then(|start| ending.get(&shown(start)).copied());
            let first = before.unwrap_or(index);
            if before.is_some() {
                contents[first].end_ms = line.end_ms;
            } else {
                self.ordered.push(index);
            }
            if let Some(end) = line.end_ms {
                own.insert(shown(end), first);
            }
        }
        own
    }

    /// Keeps the lines that are shown, those of no sequence behind the others.
    fn finish(mut self) {
        if let (count, Some(at)) = self.replaced {
            let message =
                format!("later documents of a sequence take the place of lines, or of their ends ({count} times)");
            self.gather.losses.add(at.line, at.column, message);
        }
        self.ordered.extend((0..self.gather.len()).filter(|index| !self.resolved.contains(index)));
        self.gather.keep(&self.ordered);
    }
}

/// Ends a line at `limit`. Returns true if it would have continued.
fn cut(line: &mut Content, limit: Option<MediaMs>) -> bool {
    let Some(limit) = limit else { return false };
    if line.start_ms.is_none() || line.end_ms.is_some_and(|end| end <= limit) {
        return false;
    }
    line.end_ms = Some(limit);
    true
}
