//! Documents: what the root and the head of each of them define, and the lines of all documents of a file.

use std::collections::HashSet;

use crate::format::core::builder::{FilePlace, TranscriptBuilder};
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::ParsedTranscript;
use crate::format::text::text_lines::excerpt;
use crate::format::ttml::contents::ContentReader;
use crate::format::ttml::head::{TtmlHead, is_metadata, is_styled, title};
use crate::format::ttml::sequence::{self, SequenceDocument};
use crate::format::ttml::timing::{DocumentScope, language};
use crate::format::ttml::tree::TtmlElement;

/// Reader of the documents of a file.
pub(super) struct TtmlReader {
    pub(super) gather: TranscriptBuilder,
    documents: Vec<SequenceDocument>,
    title: String,
    has_styles: Option<FilePlace>,
    /// Unknown elements that were reported.
    told: HashSet<String>,
}

impl TtmlReader {
    pub(super) fn new(gather: TranscriptBuilder) -> Self {
        Self { gather, documents: Vec::new(), title: String::new(), has_styles: None, told: HashSet::new() }
    }

    /// Reads a document with all that stands in it.
    pub(super) fn document(&mut self, root: &TtmlElement) {
        self.gather.new_part();
        let mut scope = DocumentScope::default();
        let mut document = self.root(root, &mut scope);
        let all = root.all();
        self.has_styles = self.has_styles.or_else(|| all.iter().find(|one| is_styled(one)).map(|element| element.at));
        if self.documents.is_empty()
            && let Some(title) = title(root)
        {
            self.title = title;
        }
        for agent in all.iter().filter(|element| is_metadata(element, "agent")) {
            scope.agents.add(agent);
        }
        let head = TtmlHead::of(&all, &scope, &mut self.gather);
        let mut contents = ContentReader {
            gather: &mut self.gather,
            document: &mut document,
            scope: &scope,
            head: &head,
            told: &mut self.told,
            parts: None,
        };
        contents.read(root);
        self.documents.push(document);
    }

    /// Reads the attributes of a root: the parameters of times to `scope`, and its place in a sequence.
    fn root(&mut self, root: &TtmlElement, scope: &mut DocumentScope) -> SequenceDocument {
        let at = root.at;
        let is_first = self.documents.is_empty();
        let mut document =
            SequenceDocument { at, lines: self.gather.len()..self.gather.len(), ..SequenceDocument::default() };
        for attribute in &root.attributes {
            let (local, value) = (&*attribute.name, &attribute.value);
            match local {
                "sequenceIdentifier" => document.identifier = Some(value.clone()),
                "sequenceNumber" => document.number = value.trim().parse().ok(),
                "authoringDelay" if is_first => {
                    let message = "how long the authors took (authoringDelay) is not taken off the times";
                    self.gather.losses.add(at.line, at.column, message);
                }
                _ => {}
            }
            if !scope.rates.set(local, value) {
                let message = format!("{:?} is no value of {local}: left as it is by default", excerpt(value));
                self.gather.problem(at.line, at.column, message);
            }
        }
        if is_first {
            self.gather.meta.language = language(root);
        }
        document
    }

    /// Returns the lines that the documents show.
    pub(super) fn finish(mut self) -> ParsedTranscript {
        let title = self.title.split_whitespace().collect::<Vec<_>>().join(" ");
        self.gather.meta.title = (!title.is_empty()).then(|| title.into());
        sequence::resolve(&self.documents, &mut self.gather);
        if let Some(at) = self.has_styles {
            self.gather.losses.add(at.line, at.column, "styles, regions and the place on the screen are not kept");
        }
        self.gather.finish(FileKind::Ttml)
    }
}
