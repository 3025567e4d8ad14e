//! Pieces of speech that the vendor names: under a name comes first a guess, then better ones, then what was said. Several
//! may be open at once.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Options;
use super::lines::{Facts, Lines, Saying};
use super::token::Token;
use crate::transcript::Status;
use crate::transcript::line::check_line_id;

/// Pieces that are remembered. More at once than people can speak; a piece that is forgotten can still be said anew.
const OPEN_MAX: usize = 64;

/// The pieces that are open, and the last that are not.
#[derive(Debug, Default)]
pub(super) struct Keyed {
    /// The one that was spoken of last stands last.
    known: Vec<(Arc<str>, Lines)>,
}

impl Keyed {
    /// The piece `id` says `tokens` now.
    pub(super) fn say(
        &mut self,
        id: &Arc<str>,
        tokens: &[Token],
        status: Status,
        facts: &Facts,
        options: &Options,
        saying: &mut Saying,
    ) {
        let mut lines = match self.known.iter().position(|(known, _)| known == id) {
            Some(at) => self.known.remove(at).1,
            None => Lines::new(id.clone()),
        };
        if self.known.len() == OPEN_MAX {
            self.known.remove(0);
        }
        match status {
            // A guess that comes behind what was final says nothing new.
            Status::Interim if lines.is_final() => {}
            // Who names a piece takes it back by another message than one that is empty.
            Status::Final if tokens.is_empty() && lines.is_shown() => lines.stand(saying),
            _ => lines.say(tokens, status, facts, options, saying),
        }
        self.known.push((id.clone(), lines));
    }

    /// Whether the piece `id` has been said, and is remembered.
    pub(super) fn is_known(&self, id: &str) -> bool {
        self.known.iter().any(|(known, _)| **known == *id)
    }

    /// What was said of the piece `id`, if it is remembered.
    pub(super) fn lines(&self, id: &str) -> Option<&Lines> {
        self.known.iter().find(|(known, _)| **known == *id).map(|(_, lines)| lines)
    }
}

/// A vendor's own id as a line's: as it is, if it may be one and leaves room for its parts; else its hash.
pub(super) fn line_id(raw: &str) -> Arc<str> {
    if raw.len() <= 100 && check_line_id(raw).is_ok() {
        return raw.into();
    }
    let hash = Sha256::digest(raw.as_bytes());
    hash[..16].iter().fold(String::from("x-"), |id, byte| format!("{id}{byte:02x}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_id_becomes_one_of_ours() {
        assert_eq!(&*line_id("sess-uid:ch-0:1:1500"), "sess-uid:ch-0:1:1500");
        for odd in ["", "a b", "Ä", "a/b", &"x".repeat(101)] {
            let id = line_id(odd);
            assert!(check_line_id(&id).is_ok() && id.len() == 34, "{id}");
        }
        assert_ne!(line_id("a b"), line_id("a  b"));
    }
}
