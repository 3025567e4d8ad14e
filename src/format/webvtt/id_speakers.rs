//! Speakers in the ids of cues.

use std::collections::HashMap;
use std::sync::Arc;

use crate::format::core::speaker_labels;
use crate::format::webvtt::file::{VttBlock, VttBlockKind};

/// The names in the ids of the cues of a file.
#[derive(Debug, Default)]
pub(super) struct IdSpeakers {
    /// The person numbers in the ids of cues, by name.
    people: HashMap<String, Vec<String>>,
    /// True if the ids of the file's cues are speakers' names.
    pub(super) are_names: bool,
    /// The same for this file, or for one that it is joined to.
    pub(super) were_names: bool,
}

impl IdSpeakers {
    /// Looks at the ids of the next file.
    pub(super) fn begin_file(&mut self, blocks: &[VttBlock<'_>]) {
        let ids = blocks.iter().filter_map(|block| match block.kind {
            VttBlockKind::Cue { times } => Some(block.lines[..times].first().copied()),
            _ => None,
        });
        self.are_names = speaker_labels::are_names(&ids.collect::<Vec<_>>());
        self.were_names |= self.are_names;
    }

    /// The speaker in the id of a cue: all of it, or a part in Webex's form: `1 "Ann Lee" (3374)`. The second of two
    /// people with one name gets the number behind it.
    pub(super) fn speaker(&mut self, id: &str) -> Option<Arc<str>> {
        if self.are_names && !id.is_empty() {
            return Some(id.into());
        }
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (count, rest) = id.split_once(" \"")?;
        let (name, person) = rest.strip_suffix(')')?.rsplit_once("\" (")?;
        if !is_number(count.trim()) || !is_number(person) || name.trim().is_empty() {
            return None;
        }
        let people = self.people.entry(name.to_owned()).or_default();
        if !people.iter().any(|known| known == person) {
            people.push(person.to_owned());
        }
        let is_first = people.first().is_some_and(|first| first == person);
        Some(if is_first { name.trim().into() } else { format!("{} ({person})", name.trim()).into() })
    }
}
