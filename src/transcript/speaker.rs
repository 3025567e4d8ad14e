//! Speakers: labels, the speakers they resolve to, and rename and merge (semantics, sections 1, 2 and 5).
//!
//! Ids are never rewritten: a rename changes the name, a merge sets `into`, and both can be undone exactly.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A speaker as readers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaker {
    /// The id that lines and turns carry.
    pub id: Arc<str>,
    /// Display name.
    pub name: Arc<str>,
    /// Kind that the desk gave it: `person`, `role`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Arc<str>>,
    /// The speaker that it was merged into. Follow it to the end of the chain.
    #[serde(default)]
    pub into: Option<Arc<str>>,
}

/// Index of a speaker within one fold.
pub(crate) type SpeakerIndex = u32;

/// The speakers of a feed, in the order of first appearance.
#[derive(Debug, Default)]
pub(crate) struct Speakers {
    all: Vec<KnownSpeaker>,
    by_id: HashMap<Arc<str>, SpeakerIndex>,
}

#[derive(Debug)]
struct KnownSpeaker {
    id: Arc<str>,
    name: Option<Arc<str>>,
    kind: Option<Arc<str>>,
    into: Option<SpeakerIndex>,
    /// End of the chain of `into`. It is read for every line and changes only with merges.
    root: SpeakerIndex,
}

impl Speakers {
    /// Returns the speaker `id`, and creates it if it is new.
    pub(crate) fn intern(&mut self, id: &str) -> SpeakerIndex {
        if let Some(known) = self.by_id.get(id) {
            return *known;
        }
        let index = SpeakerIndex::try_from(self.all.len()).expect("fewer than four billion speakers fit in memory");
        let id: Arc<str> = id.into();
        self.all.push(KnownSpeaker { id: id.clone(), name: None, kind: None, into: None, root: index });
        self.by_id.insert(id, index);
        index
    }

    /// Returns the speaker `id`, if it exists.
    pub(crate) fn find(&self, id: &str) -> Option<SpeakerIndex> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn id(&self, index: SpeakerIndex) -> &Arc<str> {
        &self.all[index as usize].id
    }

    /// Returns the speaker that `index` resolves to after all merges.
    pub(crate) fn root(&self, index: SpeakerIndex) -> SpeakerIndex {
        self.all[index as usize].root
    }

    pub(crate) fn indices(&self) -> impl Iterator<Item = SpeakerIndex> + use<> {
        0..SpeakerIndex::try_from(self.all.len()).expect("checked by intern")
    }

    pub(crate) fn get(&self, index: SpeakerIndex) -> Speaker {
        let known = &self.all[index as usize];
        Speaker {
            id: known.id.clone(),
            name: known.name.clone().unwrap_or_else(|| known.id.clone()),
            kind: known.kind.clone(),
            into: known.into.map(|into| self.id(into).clone()),
        }
    }

    /// Sets the name, and the kind if one is given. Returns true if that changed anything.
    pub(crate) fn rename(&mut self, index: SpeakerIndex, name: &Arc<str>, kind: Option<&Arc<str>>) -> bool {
        let known = &mut self.all[index as usize];
        let before = (known.name.clone().unwrap_or_else(|| known.id.clone()), known.kind.clone());
        known.name = Some(name.clone());
        known.kind = kind.cloned().or_else(|| known.kind.take());
        (name.clone(), known.kind.clone()) != before
    }

    /// Merges `from` into `into`. Returns false, and changes nothing, if `from` is merged already or a cycle would
    /// result.
    pub(crate) fn merge(&mut self, from: SpeakerIndex, into: SpeakerIndex) -> bool {
        if self.all[from as usize].into.is_some() || self.root(into) == from {
            return false;
        }
        self.all[from as usize].into = Some(into);
        self.find_roots();
        true
    }

    /// Undoes the merge of `from`. Returns false if there is none.
    pub(crate) fn unmerge(&mut self, from: SpeakerIndex) -> bool {
        let was_merged = self.all[from as usize].into.take().is_some();
        if was_merged {
            self.find_roots();
        }
        was_merged
    }

    fn find_roots(&mut self) {
        for index in self.indices() {
            let mut root = index;
            // Terminates, because `merge` refuses to close a cycle.
            while let Some(into) = self.all[root as usize].into {
                root = into;
            }
            self.all[index as usize].root = root;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_follow_chains_and_refuse_cycles() {
        let mut speakers = Speakers::default();
        let [a, b, c] = ["a", "b", "c"].map(|id| speakers.intern(id));
        assert!(speakers.merge(a, b) && speakers.merge(b, c));
        assert_eq!(speakers.root(a), c);
        assert!(!speakers.merge(c, a), "a cycle");
        assert!(!speakers.merge(a, c), "merged already");
        assert!(!speakers.merge(c, c), "itself");
        assert!(speakers.unmerge(b) && !speakers.unmerge(b));
        assert_eq!((speakers.root(a), speakers.root(b)), (b, b));
        assert_eq!(speakers.get(a).into.as_deref(), Some("b"));
    }

    #[test]
    fn a_rename_to_the_same_name_is_no_change() {
        let mut speakers = Speakers::default();
        let a = speakers.intern("S1");
        assert!(!speakers.rename(a, &"S1".into(), None));
        assert!(speakers.rename(a, &"Ann".into(), None));
        assert!(speakers.rename(a, &"Ann".into(), Some(&"person".into())));
        assert!(!speakers.rename(a, &"Ann".into(), None));
        assert_eq!(&*speakers.get(a).name, "Ann");
    }
}
