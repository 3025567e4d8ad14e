//! Display names of anonymous speakers: if an engine numbers speakers anew in each session, their ids contain the
//! session and are not meant for people.

use std::collections::HashSet;
use std::sync::Arc;

use crate::transcript::{Op, Record, Timestamp};

/// Names the anonymous speakers of one connection after their labels.
#[derive(Debug)]
pub(crate) struct SpeakerNames {
    /// Prefix of their ids: semantics, section 1.
    scope: String,
    named: HashSet<Arc<str>>,
    named_max: usize,
}

impl SpeakerNames {
    /// Creates it for ids of the form `<source>.<session>:<label>`. Speakers beyond `named_max` are shown by their ids.
    pub(crate) fn new(source: &str, named_max: usize) -> Self {
        Self { scope: format!("{source}."), named: HashSet::new(), named_max }
    }

    /// Returns the record that names the speaker `id`; `None` unless it is needed. The record has the same `op_id` in
    /// every connection, so that it never overrides a later rename.
    pub(crate) fn of(&mut self, id: &Arc<str>, at: Timestamp) -> Option<Record> {
        let (_, label) = id.strip_prefix(&self.scope)?.split_once(':')?;
        if label.is_empty() || self.named.len() >= self.named_max || !self.named.insert(id.clone()) {
            return None;
        }
        let op = Op::Rename { speaker: id.clone(), name: label.into(), kind: None };
        Some(Record { received_at: at, published: None, op_id: Some(format!("label:{id}").into()), op })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_named_once_and_only_so_many_are() {
        let mut names = SpeakerNames::new("main", 2);
        let mut name = |id: &str| {
            names.of(&id.into(), Timestamp(0)).map(|record| match record.op {
                Op::Rename { speaker, name, .. } => (speaker.to_string(), name.to_string()),
                other => panic!("{other:?}"),
            })
        };
        for plain in ["Chair", "main.k3:", "main:S1", "other.k3:S1", "main.k3"] {
            assert_eq!(name(plain), None, "{plain}");
        }
        assert_eq!(name("main.k3:S1"), Some(("main.k3:S1".into(), "S1".into())));
        assert_eq!(name("main.k3:S1"), None);
        assert_eq!(name("main.k4:a:b"), Some(("main.k4:a:b".into(), "a:b".into())));
        assert_eq!(name("main.k5:S1"), None, "these are too many");
    }
}
