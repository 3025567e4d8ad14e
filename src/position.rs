//! Positions: feed names, epochs, offsets and cursors.
//!
//! Every other room describes positions with these types. Nothing here knows what a log holds.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Error for a name that does not follow its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} is not usable: {rule}")]
pub struct BadName {
    /// Kind of name: `feed`, `source`, …
    pub what: &'static str,
    /// The name as given, shortened to 160 characters.
    pub value: String,
    /// The rule in words.
    pub rule: &'static str,
}

impl BadName {
    pub(crate) fn new(what: &'static str, value: &str, rule: &'static str) -> Self {
        Self { what, value: value.chars().take(160).collect(), rule }
    }
}

/// Returns true for `[a-z0-9][a-z0-9_-]{0,max-1}`: the rule of feed names (128) and of source names (64).
pub(crate) fn is_plain_name(name: &str, max: usize) -> bool {
    let bytes = name.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= max
        && !matches!(bytes[0], b'_' | b'-')
        && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// Name of a feed: `[a-z0-9][a-z0-9_-]{0,127}`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeedId(Arc<str>);

impl FeedId {
    /// Checks `name` against the rule.
    ///
    /// # Errors
    /// [`BadName`] with the rule in words.
    pub fn new(name: &str) -> Result<Self, BadName> {
        if is_plain_name(name, 128) {
            Ok(Self(name.into()))
        } else {
            Err(BadName::new("feed", name, "1 to 128 of a-z, 0-9, '_' and '-', beginning with a letter or digit"))
        }
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FeedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FeedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FeedId({})", self.0)
    }
}

impl FromStr for FeedId {
    type Err = BadName;
    fn from_str(name: &str) -> Result<Self, BadName> {
        Self::new(name)
    }
}

impl Serialize for FeedId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FeedId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::new(&name).map_err(serde::de::Error::custom)
    }
}

/// Position of a record in a feed's log. Rises strictly within one generation of the log; need not be dense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl Offset {
    /// The smallest offset.
    pub const START: Self = Self(0);

    /// Returns the offset after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Id of one generation of a feed's log: random, and carried by its first record. 1 to 64 of `[A-Za-z0-9.-]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(Arc<str>);

impl Epoch {
    /// Makes an epoch of `random`: twelve characters of base 32, or 60 bits, so that two generations of one name never
    /// have the same.
    #[must_use]
    pub fn from_random(mut random: u64) -> Self {
        const DIGITS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
        let mut text = String::with_capacity(12);
        for _ in 0..12 {
            text.push(char::from(DIGITS[(random & 31) as usize]));
            random >>= 5;
        }
        Self(text.into())
    }

    /// Takes an epoch that a log or client wrote; it is compared, never interpreted.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Makes an id of eight such characters, for the starts of one archive, of which there are thousands at most.
    #[must_use]
    pub fn short_from_random(random: u64) -> Self {
        Self(Self::from_random(random).0[..8].into())
    }

    /// Returns the id of the start at the end of a cursor's epoch, if there is one.
    #[must_use]
    pub fn start(&self) -> Option<&str> {
        let (_, view) = self.0.rsplit_once('.')?;
        Some(view.split_once('-')?.1)
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Position of a reader in one view: the view's epoch, and the number of the last change that the reader has.
///
/// Written `epoch:57`. The part before the last `:` is opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Names the feed's generation, the view, the version of the fold's rules, and the start of the archive if it has
    /// one.
    pub epoch: Epoch,
    /// Number of the last change that the reader has; 0 for none.
    pub change: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.change)
    }
}

impl FromStr for Cursor {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        const RULE: &str = "a cursor is what the server gave: an epoch, ':' and a number";
        let bad = || BadName::new("cursor", text, RULE);
        let (epoch, change) = text.rsplit_once(':').ok_or_else(bad)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if epoch.is_empty() || epoch.len() > 64 || !epoch.bytes().all(plain) {
            return Err(bad());
        }
        if change.is_empty() || !change.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        Ok(Self { epoch: Epoch::new(epoch), change: change.parse().map_err(|_| bad())? })
    }
}

/// Starts of an archive, with the heads that one log had at each.
///
/// An archive that was restored to an earlier state, or whose end was lost by a disk, continues from where it is: new
/// records and changes get the offsets and numbers of lost ones. So every start has a random id, and the head of the
/// log at its beginning is kept. What was read during one start is still valid up to the head at the beginning of the
/// next one; after that it may be something else. Empty for a log without starts, where everything read stays valid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Starts {
    ids: Arc<[Epoch]>,
    /// Index of a start, and the offset after the last record that it found. The head also holds for later starts, up
    /// to the next entry; at starts before the first entry the log was empty.
    heads: Vec<(usize, Offset)>,
}

impl Starts {
    /// Starts in order, with the heads of one log. Only heads that differ from the one before are listed, and the first
    /// of them is not 0.
    #[must_use]
    pub fn new(ids: Arc<[Epoch]>, heads: Vec<(usize, Offset)>) -> Self {
        Self { ids, heads }
    }

    /// Returns the present start.
    #[must_use]
    pub fn current(&self) -> Option<&Epoch> {
        self.ids.last()
    }

    /// Returns the head that the start after `start` found; `None` if `start` is the present one. `start` is the id of
    /// a start, or `None` for what was read before starts were kept.
    ///
    /// # Errors
    /// [`UnknownStart`] if the archive has no such start, or no longer has it.
    pub fn end_of(&self, start: Option<&str>) -> Result<Option<Offset>, UnknownStart> {
        Ok(self
            .next_after(start)?
            .map(|next| self.heads_before(next).map_or(Offset::START, |found| self.heads[found].1)))
    }

    /// Returns the head that the present start found; `None` if there are no starts.
    #[must_use]
    pub fn last_head(&self) -> Option<Offset> {
        let last = self.ids.len().checked_sub(1)?;
        Some(self.heads_before(last).map_or(Offset::START, |found| self.heads[found].1))
    }

    /// Returns the id of the start during which the record at `offset` was written, as reported to readers: the one
    /// before the first start that found the record. `None` if it was there before starts were kept, or if there are
    /// none.
    #[must_use]
    pub fn start_at(&self, offset: Offset) -> Option<&Epoch> {
        let found = self.heads.partition_point(|(_, head)| *head <= offset);
        match self.heads.get(found) {
            Some((index, _)) => self.ids.get(index.checked_sub(1)?),
            None => self.current(),
        }
    }

    /// Returns the index of the start after `start`, if there is one.
    fn next_after(&self, start: Option<&str>) -> Result<Option<usize>, UnknownStart> {
        let next = match start {
            None => 0,
            // Usually it is one of the last.
            Some(start) => self.ids.iter().rposition(|id| id.as_str() == start).ok_or(UnknownStart)? + 1,
        };
        Ok((next < self.ids.len()).then_some(next))
    }

    /// Returns the index of the head that the start with this index found; `None` if the log was empty.
    fn heads_before(&self, start: usize) -> Option<usize> {
        self.heads.partition_point(|(index, _)| *index <= start).checked_sub(1)
    }
}

/// Error for a start that an archive does not know: what was read during it may be something else now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownStart;

/// Numbers of a view's changes at the heads of a log's starts, recorded while the log is folded.
#[derive(Debug, Clone, Default)]
pub struct StartChanges {
    starts: Starts,
    /// For each head that the fold has passed, the number of the last change from the records before it.
    changes: Vec<u64>,
}

impl StartChanges {
    /// The state before the first record.
    #[must_use]
    pub fn new(starts: Starts) -> Self {
        Self { starts, changes: Vec::new() }
    }

    /// Returns the starts.
    #[must_use]
    pub fn starts(&self) -> &Starts {
        &self.starts
    }

    /// Records that the record at `offset` is about to be folded, after `change` changes.
    pub fn pass(&mut self, offset: Offset, change: u64) {
        while self.starts.heads.get(self.changes.len()).is_some_and(|(_, head)| *head <= offset) {
            self.changes.push(change);
        }
    }

    /// Returns the id of the start during which a change was made; `None` if that was before starts were kept, or if
    /// there are none. It stays the same after a restart, so that cursors of a change stay the same.
    #[must_use]
    pub fn start_of(&self, change: u64) -> Option<&Epoch> {
        // Heads that were not passed yet are after everything that was folded.
        let found = self.changes.partition_point(|last| *last < change);
        match self.starts.heads.get(found) {
            Some((index, _)) => self.starts.ids.get(index.checked_sub(1)?),
            None => self.starts.current(),
        }
    }

    /// Returns the number of the last change that a reader may have seen during `start` and that is still valid, for a
    /// view with `change` changes.
    ///
    /// # Errors
    /// Those of [`Starts::end_of`].
    pub fn last_of(&self, start: Option<&str>, change: u64) -> Result<u64, UnknownStart> {
        let Some(next) = self.starts.next_after(start)? else { return Ok(change) };
        Ok(match self.starts.heads_before(next) {
            None => 0,
            // Not passed yet: everything that was folded is before it.
            Some(found) => self.changes.get(found).copied().unwrap_or(change),
        })
    }
}

/// Makes the cursors of one view.
#[derive(Debug, Clone)]
pub struct Cursors {
    name: String,
    starts: StartChanges,
}

impl Cursors {
    /// Cursors of the fold named `name`.
    #[must_use]
    pub fn new(name: String, starts: StartChanges) -> Self {
        Self { name, starts }
    }

    /// Returns the cursor of a reader that has `change` changes.
    #[must_use]
    pub fn at(&self, change: u64) -> Cursor {
        let epoch = match self.starts.start_of(change) {
            Some(start) => Epoch::new(&format!("{}-{start}", self.name)),
            None => Epoch::new(&self.name),
        };
        Cursor { epoch, change }
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feed_names_follow_their_rule() {
        for good in ["geneva", "0", "a-b_c", &"x".repeat(128)] {
            assert!(FeedId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "_a", "Geneva", "a b", "ä", "a/b", &"x".repeat(129)] {
            assert!(FeedId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let cursor: Cursor = "k3f9q2-1:57".parse().expect("a cursor");
        assert_eq!(cursor.change, 57);
        assert_eq!(cursor.to_string(), "k3f9q2-1:57");
        for bad in ["", "57", ":57", "a:", "a:-1", "a:+1", "a b:1", "a:99999999999999999999"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_start_has_told_is_good_up_to_where_the_next_began() {
        let ids: Arc<[Epoch]> = ["a", "b", "c", "d", "e"].map(Epoch::new).into();
        // Nothing when a began, 3 records when b did, and c; 7 when d did, and e.
        let starts = Starts::new(ids, vec![(1, Offset(3)), (3, Offset(7))]);
        assert_eq!(starts.current().map(Epoch::as_str), Some("e"));
        let ends = [(None, Some(0)), (Some("a"), Some(3)), (Some("b"), Some(3)), (Some("c"), Some(7))];
        for (start, end) in ends.into_iter().chain([(Some("d"), Some(7)), (Some("e"), None)]) {
            assert_eq!(starts.end_of(start), Ok(end.map(Offset)), "{start:?}");
        }
        assert_eq!(starts.end_of(Some("z")), Err(UnknownStart));
        assert_eq!(Starts::default().end_of(None), Ok(None), "where there are no starts everything stays");
        assert_eq!(Starts::default().end_of(Some("a")), Err(UnknownStart));
        // Each record makes two changes.
        let mut changes = StartChanges::new(starts);
        let lasts = |changes: &StartChanges, now| {
            [None, Some("a"), Some("b"), Some("c"), Some("d"), Some("e")].map(|start| changes.last_of(start, now).ok())
        };
        assert_eq!(lasts(&changes, 0), [Some(0); 6]);
        for offset in 0..10 {
            changes.pass(Offset(offset), offset * 2);
            let now = offset * 2 + 2;
            let (first, second) = (now.min(6), now.min(14));
            let expected = [0, first, first, second, second, now].map(Some);
            assert_eq!(lasts(&changes, now), expected, "{offset}");
        }
        assert!(changes.last_of(Some("z"), 20).is_err());
        // Six changes before b, of a; eight while c went on, the last that found as many records; the rest in e.
        let start = |change| changes.start_of(change).map(Epoch::as_str);
        let made = [(1, "a"), (6, "a"), (7, "c"), (14, "c"), (15, "e"), (99, "e")];
        assert!(made.into_iter().all(|(change, in_start)| start(change) == Some(in_start)));
        for change in 0..=20 {
            assert!(changes.last_of(start(change), 20).is_ok_and(|last| change <= last), "{change}");
        }
        // An archive of before there were starts: what it held then is called as it was called then.
        let old = StartChanges::new(Starts::new([Epoch::new("a")].into(), vec![(0, Offset(3))]));
        assert_eq!(old.start_of(5), None);
    }

    #[test]
    fn the_start_stands_at_the_end_of_an_epoch() {
        for (epoch, start) in
            [("k3f9.1f-abc", Some("abc")), ("k3f9.1f", None), ("k-3.f9.12i-x", Some("x")), ("k-3", None)]
        {
            assert_eq!(Epoch::new(epoch).start(), start, "{epoch}");
        }
    }

    #[test]
    fn epochs_differ_where_their_randomness_differs() {
        assert_ne!(Epoch::from_random(1), Epoch::from_random(2));
        assert_eq!(Epoch::from_random(u64::MAX).as_str().len(), 12);
    }
}
