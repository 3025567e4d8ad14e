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

/// Keeps the parts of lines that the sequences in the file show, in the order of their documents.
pub(super) fn resolve(documents: &[SequenceDocument], gather: &mut TranscriptBuilder) {
    if documents.len() < 2 {
        return;
    }
    let mut sequences: BTreeMap<&str, BTreeMap<u64, &SequenceDocument>> = BTreeMap::new();
    let mut gone: HashSet<usize> = HashSet::new();
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
                gone.extend(document.lines.clone());
            }
        }
    }
    let mut ordered = Vec::new();
    let mut is_placed = gone.clone();
    let mut given_way = (0, None);
    for sequence in sequences.values().filter(|sequence| sequence.len() > 1) {
        // The earliest begin of the documents behind.
        let mut limits = Vec::with_capacity(sequence.len());
        let mut limit: Option<MediaMs> = None;
        for document in sequence.values().rev() {
            limits.push(limit);
            limit = [limit, document.begin].into_iter().flatten().min();
        }
        let mut ending: HashMap<DisplayedLine, usize> = HashMap::new();
        for (document, limit) in sequence.values().zip(limits.into_iter().rev()) {
            let mut until: HashMap<DisplayedLine, usize> = HashMap::new();
            // Such a document is never shown, and neither is text in it without a time of its own.
            let is_over = document.begin.is_some_and(|begin| limit.is_some_and(|limit| limit <= begin));
            for index in document.lines.clone() {
                is_placed.insert(index);
                let contents = gather.contents();
                let is_cut = cut(&mut contents[index], limit);
                if is_cut || is_over {
                    given_way = (given_way.0 + 1, given_way.1.or(Some(document.at)));
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
                    ordered.push(index);
                }
                if let Some(end) = line.end_ms {
                    until.insert(shown(end), first);
                }
            }
            ending = until;
        }
    }
    if let (count, Some(at)) = given_way {
        let message =
            format!("later documents of a sequence take the place of lines, or of their ends ({count} times)");
        gather.losses.add(at.line, at.column, message);
    }
    ordered.extend((0..gather.len()).filter(|index| !is_placed.contains(index)));
    gather.keep(&ordered);
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
