//! The elements of a document: names with their namespaces, attributes, and text, which is joined across comments,
//! entities and CDATA sections.

use crate::format::core::builder::FilePlace;

/// The most prefixes. No file needs more, and each name is looked up among them.
const PREFIXES_MAX: usize = 100;

/// Namespaces of elements and attributes, as far as the reader needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum XmlNamespace {
    /// TTML itself, and attributes without a prefix.
    Core,
    Metadata,
    Styling,
    Xml,
    /// A namespace of another vocabulary. Also that of TTML's parameters, which stand only at the root, where names
    /// suffice.
    Foreign,
}

impl XmlNamespace {
    /// The namespace of `uri`: that of TTML, one of its drafts from 2004 on, or none at all. `None` for another.
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

    /// The usual namespace of a prefix that the document does not declare.
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
    pub(super) space: XmlNamespace,
    /// Its name without its prefix.
    pub(super) name: String,
    pub(super) value: String,
}

/// An element and its contents.
#[derive(Debug)]
pub(super) struct TtmlElement {
    /// The place of its beginning in the file.
    pub(super) at: FilePlace,
    pub(super) space: XmlNamespace,
    /// Its name without its prefix.
    pub(super) name: String,
    pub(super) attributes: Vec<Attribute>,
    pub(super) nodes: Vec<TtmlNode>,
}

/// A child of an element.
#[derive(Debug)]
pub(super) enum TtmlNode {
    Element(TtmlElement),
    /// Text, and the place of its first character that is no blank; `None` if all of it is blank.
    Text {
        at: Option<FilePlace>,
        text: String,
    },
}

impl TtmlElement {
    pub(super) fn is(&self, name: &str) -> bool {
        self.space == XmlNamespace::Core && self.name == name
    }

    pub(super) fn get(&self, space: XmlNamespace, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|attribute| attribute.space == space && attribute.name == name);
        found.map(|attribute| attribute.value.as_str())
    }

    /// The elements directly within it.
    pub(super) fn elements(&self) -> impl Iterator<Item = &TtmlElement> {
        self.nodes.iter().filter_map(|node| match node {
            TtmlNode::Element(element) => Some(element),
            TtmlNode::Text { .. } => None,
        })
    }

    /// All text within it.
    pub(super) fn text(&self) -> String {
        let mut all = String::new();
        self.add_text(&mut all);
        all
    }

    /// Appends all text within it. Recursive, at most [`DEPTH_MAX`](crate::format::ttml::xml::DEPTH_MAX) levels deep.
    fn add_text(&self, all: &mut String) {
        for node in &self.nodes {
            match node {
                TtmlNode::Text { text, .. } => all.push_str(text),
                TtmlNode::Element(element) => element.add_text(all),
            }
        }
    }

    /// Returns the element and all elements within it, in document order.
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

/// Builds the tree of a document.
#[derive(Debug, Default)]
pub(super) struct TreeBuilder {
    open: Vec<TtmlElement>,
    /// Declared prefixes: the depth of the declaration, the prefix, and its namespace.
    prefixes: Vec<(usize, String, XmlNamespace)>,
}

impl TreeBuilder {
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Opens an element with these attributes, by their names with prefixes.
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
                self.prefixes.push((depth, prefix.to_owned(), XmlNamespace::of(uri).unwrap_or(XmlNamespace::Foreign)));
            }
        }
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        // A root named `tt` means TTML, in any namespace.
        if is_root && local == "tt" && self.space(prefix) == XmlNamespace::Foreign {
            self.prefixes.push((depth, prefix.to_owned(), XmlNamespace::Core));
        }
        let space = self.space(prefix);
        let attributes = attributes.into_iter().map(|(name, value)| {
            let (space, name) = match name.split_once(':') {
                Some((prefix, local)) => (self.space(prefix), local.to_owned()),
                None => (XmlNamespace::Core, name),
            };
            Attribute { space, name, value }
        });
        let attributes = attributes.collect();
        self.open.push(TtmlElement { at, space, name: local.to_owned(), attributes, nodes: Vec::new() });
    }

    fn space(&self, prefix: &str) -> XmlNamespace {
        let declared = self.prefixes.iter().rev().find(|(_, known, _)| known == prefix);
        declared.map_or_else(|| XmlNamespace::usual(prefix), |(_, _, space)| *space)
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

    /// Closes the current element. Returns it if it was the root.
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
