//! Agents of a document: the names of those who speak (W3C TTML2, 14.1.1).

use std::collections::HashMap;
use std::sync::Arc;

use crate::format::core::builder::label_start;
use crate::format::ttml::tree::{TtmlElement, XmlNamespace};
use crate::transcript::line::SPEAKER_BYTES_MAX;

/// Names of agents by id, each cut just above the limit of a label.
#[derive(Debug, Default)]
pub(super) struct Agents(HashMap<String, Arc<str>>);

impl Agents {
    /// Adds an agent of the head, if it has an id and a name.
    pub(super) fn add(&mut self, agent: &TtmlElement) {
        if let (Some(id), Some(name)) = (agent.get(XmlNamespace::Xml, "id"), agent_name(agent)) {
            self.0.insert(id.to_owned(), label_start(&name, SPEAKER_BYTES_MAX + 1).into());
        }
    }

    /// The names of one or more agents, by id. An id that the head does not define is used as the name. The result is
    /// cut just above the limit of a label.
    pub(super) fn names(&self, ids: &str) -> Arc<str> {
        let own = |id: &str| label_start(id, SPEAKER_BYTES_MAX + 1).into();
        let mut names =
            ids.split_ascii_whitespace().map(|id| self.0.get(id).map_or_else(|| own(id), Arc::clone)).peekable();
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
