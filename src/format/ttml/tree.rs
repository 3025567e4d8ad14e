//! The elements of a document: names with their namespaces, attributes, and text that is whole, whatever comments, entities
//! and CDATA sections it is written with.

use crate::format::core::builder::FilePlace;

/// No file needs more, and each name is looked up among them.
const PREFIXES_MAX: usize = 100;

/// Namespaces of elements and attributes, as far as they matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhiteSpace {
    /// TTML itself, and attributes without a prefix.
    Core,
    Metadata,
    Styling,
    Xml,
    /// One of somebody else's; parameters of TTML too, for they stand at the root alone, where names are enough.
    Foreign,
}

impl WhiteSpace {
    /// The namespace that `uri` names: those of TTML, of its drafts from 2004 on, and none at all.
    fn of(uri: &str) -> Option<Self> {
        let (base, part) = uri.trim_end_matches('#').split_once('#').unwrap_or((uri.trim_end_matches('#'), ""));
        let is_ours = base.is_empty()
            || base == "http://www.w3.org/ns/ttml"
            || base.starts_with("http://www.w3.org/") && base.ends_with("/ttaf1");
        is_ours.then_some(match part {
            "" => Self::Core,
            "metadata" => Self::Metadata,
            "styling" | "style" => Self::Styling,
            _ => Self::Foreign,
        })
    }

    /// What a prefix means that the document does not declare.
    fn usual(prefix: &str) -> Self {
        match prefix {
            "" | "tt" => Self::Core,
            "ttm" => Self::Metadata,
            "tts" => Self::Styling,
            "xml" => Self::Xml,
            _ => Self::Foreign,
        }
    }
}

/// An attribute.
#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) space: WhiteSpace,
    /// Its name without its prefix.
    pub(super) name: String,
    pub(super) value: String,
}

/// An element and what is in it.
#[derive(Debug)]
pub(super) struct TtmlElement {
    /// Where in the file it begins.
    pub(super) at: FilePlace,
    pub(super) space: WhiteSpace,
    /// Its name without its prefix.
    pub(super) name: String,
    pub(super) attributes: Vec<Attribute>,
    pub(super) nodes: Vec<TtmlNode>,
}

/// What stands in an element.
#[derive(Debug)]
pub(super) enum TtmlNode {
    Element(TtmlElement),
    /// Text, and where in the file the first of it that is no blank stands; none where all of it is blank.
    Text {
        at: Option<FilePlace>,
        text: String,
    },
}

impl TtmlElement {
    pub(super) fn is(&self, name: &str) -> bool {
        self.space == WhiteSpace::Core && self.name == name
    }

    pub(super) fn get(&self, space: WhiteSpace, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|attribute| attribute.space == space && attribute.name == name);
        found.map(|attribute| attribute.value.as_str())
    }

    /// The elements directly in it.
    pub(super) fn elements(&self) -> impl Iterator<Item = &TtmlElement> {
        self.nodes.iter().filter_map(|node| match node {
            TtmlNode::Element(element) => Some(element),
            TtmlNode::Text { .. } => None,
        })
    }

    /// All text in it.
    pub(super) fn text(&self) -> String {
        let mut all = String::new();
        self.add_text(&mut all);
        all
    }

    /// Calls itself for what is inside, which is at most [`DEPTH_MAX`](super::DEPTH_MAX) deep.
    fn add_text(&self, all: &mut String) {
        for node in &self.nodes {
            match node {
                TtmlNode::Text { text, .. } => all.push_str(text),
                TtmlNode::Element(element) => element.add_text(all),
            }
        }
    }

    /// Itself and all elements in it, in the order of the document.
    pub(super) fn all(&self) -> Vec<&TtmlElement> {
        let (mut all, mut ahead) = (Vec::new(), vec![self]);
        while let Some(element) = ahead.pop() {
            all.push(element);
            let from = ahead.len();
            ahead.extend(element.elements());
            ahead[from..].reverse();
        }
        all
    }
}

/// Puts a document together.
#[derive(Debug, Default)]
pub(super) struct TreeBuilder {
    open: Vec<TtmlElement>,
    /// Prefixes and what they mean, with how many elements are open outside of where they are declared.
    prefixes: Vec<(usize, String, WhiteSpace)>,
}

impl TreeBuilder {
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Begins an element with these attributes, by their names with prefixes.
    pub(super) fn start(&mut self, at: FilePlace, name: &str, attributes: Vec<(String, String)>) {
        let depth = self.open.len();
        let is_root = depth == 0;
        for (name, uri) in &attributes {
            let prefix = match name.split_once(':') {
                None if name == "xmlns" => "",
                Some(("xmlns", prefix)) => prefix,
                _ => continue,
            };
            if self.prefixes.len() < PREFIXES_MAX {
                self.prefixes.push((depth, prefix.to_owned(), WhiteSpace::of(uri).unwrap_or(WhiteSpace::Foreign)));
            }
        }
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        // Whatever namespace a root declares that is called `tt`: it is what the file means by TTML.
        if is_root && local == "tt" && self.space(prefix) == WhiteSpace::Foreign {
            self.prefixes.push((depth, prefix.to_owned(), WhiteSpace::Core));
        }
        let space = self.space(prefix);
        let attributes = attributes.into_iter().map(|(name, value)| {
            let (space, name) = match name.split_once(':') {
                Some((prefix, local)) => (self.space(prefix), local.to_owned()),
                None => (WhiteSpace::Core, name),
            };
            Attribute { space, name, value }
        });
        let attributes = attributes.collect();
        self.open.push(TtmlElement { at, space, name: local.to_owned(), attributes, nodes: Vec::new() });
    }

    fn space(&self, prefix: &str) -> WhiteSpace {
        let declared = self.prefixes.iter().rev().find(|(_, known, _)| known == prefix);
        declared.map_or_else(|| WhiteSpace::usual(prefix), |(_, _, space)| *space)
    }

    /// Adds text that stands at `at` in the file.
    pub(super) fn text(&mut self, at: FilePlace, text: &str) {
        let Some(element) = self.open.last_mut() else { return };
        let at = (!text.trim().is_empty()).then_some(at);
        match element.nodes.last_mut() {
            Some(TtmlNode::Text { at: first, text: before }) => {
                *first = first.or(at);
                before.push_str(text);
            }
            _ => element.nodes.push(TtmlNode::Text { at, text: text.to_owned() }),
        }
    }

    /// Ends the element that is open; gives it if it was the outermost.
    pub(super) fn end(&mut self) -> Option<TtmlElement> {
        let element = self.open.pop()?;
        let depth = self.open.len();
        while self.prefixes.pop_if(|(declared, _, _)| *declared >= depth).is_some() {}
        match self.open.last_mut() {
            Some(parent) => {
                parent.nodes.push(TtmlNode::Element(element));
                None
            }
            None => Some(element),
        }
    }
}
