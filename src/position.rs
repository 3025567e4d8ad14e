//! Where something stands in a log: feed names, epochs, offsets and cursors.
//!
//! Every other room speaks of places in these words. Nothing here knows what a log holds.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name that does not follow its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} is not usable: {rule}")]
pub struct BadName {
    /// What the name was for: `feed`, `source`, …
    pub what: &'static str,
    /// The name as it was given, shortened to 160 characters.
    pub value: String,
    /// The rule in words.
    pub rule: &'static str,
}

impl BadName {
    pub(crate) fn new(what: &'static str, value: &str, rule: &'static str) -> Self {
        Self { what, value: value.chars().take(160).collect(), rule }
    }
}

/// True for `[a-z0-9][a-z0-9_-]{0,max-1}`: the rule of feed names (128) and of source names (64).
pub(crate) fn is_plain_name(name: &str, max: usize) -> bool {
    let bytes = name.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= max
        && !matches!(bytes[0], b'_' | b'-')
        && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// The name of a feed: `[a-z0-9][a-z0-9_-]{0,127}`. Cheap to clone.
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

    /// The name.
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

/// The place of a record in a feed's log. Rises strictly within one life of the log; need not be dense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl Offset {
    /// The offset before which no record stands.
    pub const START: Self = Self(0);

    /// The offset after this one.
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

/// One life of a feed's log: a random id carried by its first record. 1 to 64 of `[A-Za-z0-9.-]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(Arc<str>);

impl Epoch {
    /// Twelve characters of base 32 made of `random`: 60 bits, so that two lives of one name never meet.
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

    /// Takes an epoch as some log or client wrote it; it is compared, never interpreted.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Eight of such characters: for the starts of one archive, of which there are thousands at most.
    #[must_use]
    pub fn short_from_random(random: u64) -> Self {
        Self(Self::from_random(random).0[..8].into())
    }

    /// The id of the start that stands at the end of a cursor's epoch, if one does.
    #[must_use]
    pub fn start(&self) -> Option<&str> {
        let (_, view) = self.0.rsplit_once('.')?;
        Some(view.split_once('-')?.1)
    }

    /// The id.
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

/// What a reader has seen of one view: the view's epoch and the number of the view's last change taken.
///
/// Written `epoch:57`. The part before the last `:` is opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Names the feed's life, the view, the number of the fold's rules, and the start of the archive if it has one.
    pub epoch: Epoch,
    /// The number of the last change taken; 0 for nothing.
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

/// The starts of an archive, as they concern one log of it.
///
/// An archive that was put back to an earlier day, or whose end a disk has lost, goes on from where it is: what follows has
/// the offsets, and the numbers of changes, of what is gone. So every start has a random id, and it is kept how far the log
/// was when it began. What was read during one start is still there up to where the next one began; behind that, it
/// may be something else. Empty for a log that has no starts: there whatever was read stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Starts {
    ids: Arc<[Epoch]>,
    /// By the index of a start: the offset after the last record that it found. It holds for the starts behind it too, up to
    /// the next one here; for those before the first one here nothing had been written.
    heads: Vec<(usize, Offset)>,
}

impl Starts {
    /// Starts in the order in which they came, with the heads of one log: those that differ from the head before them, the
    /// first of which is not 0.
    #[must_use]
    pub fn new(ids: Arc<[Epoch]>, heads: Vec<(usize, Offset)>) -> Self {
        Self { ids, heads }
    }

    /// The one that goes on.
    #[must_use]
    pub fn current(&self) -> Option<&Epoch> {
        self.ids.last()
    }

    /// The head that the start behind `start` found; none while that goes on. `start` is the id of one, or nothing for what
    /// was read before starts were kept.
    ///
    /// # Errors
    /// [`UnknownStart`]: the archive has not seen it, or not any more.
    pub fn end_of(&self, start: Option<&str>) -> Result<Option<Offset>, UnknownStart> {
        Ok(self
            .next_after(start)?
            .map(|next| self.heads_before(next).map_or(Offset::START, |found| self.heads[found].1)))
    }

    /// The head that the start found that goes on; none where there are no starts.
    #[must_use]
    pub fn last_head(&self) -> Option<Offset> {
        let last = self.ids.len().checked_sub(1)?;
        Some(self.heads_before(last).map_or(Offset::START, |found| self.heads[found].1))
    }

    /// The id of the start during which the record at `offset` was written, as far as readers are told: that before the first one
    /// which found it there. None for one that was there before starts were kept, or where there are none.
    #[must_use]
    pub fn start_at(&self, offset: Offset) -> Option<&Epoch> {
        let found = self.heads.partition_point(|(_, head)| *head <= offset);
        match self.heads.get(found) {
            Some((index, _)) => self.ids.get(index.checked_sub(1)?),
            None => self.current(),
        }
    }

    /// The index of the start behind `start`, if there is one.
    fn next_after(&self, start: Option<&str>) -> Result<Option<usize>, UnknownStart> {
        let next = match start {
            None => 0,
            // As a rule it is one of the last.
            Some(start) => self.ids.iter().rposition(|id| id.as_str() == start).ok_or(UnknownStart)? + 1,
        };
        Ok((next < self.ids.len()).then_some(next))
    }

    /// Which of the heads the start of that index found; none if there was nothing yet.
    fn heads_before(&self, start: usize) -> Option<usize> {
        self.heads.partition_point(|(index, _)| *index <= start).checked_sub(1)
    }
}

/// A start that an archive knows nothing of: what was read during it may be something else now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownStart;

/// The numbers of a view's changes at the heads that the starts of a log found, noted while it is folded.
#[derive(Debug, Clone, Default)]
pub struct StartChanges {
    starts: Starts,
    /// For each of the heads, as far as the fold has come, the number of the last change made of what stands before it.
    changes: Vec<u64>,
}

impl StartChanges {
    /// Before the first record.
    #[must_use]
    pub fn new(starts: Starts) -> Self {
        Self { starts, changes: Vec::new() }
    }

    /// The starts.
    #[must_use]
    pub fn starts(&self) -> &Starts {
        &self.starts
    }

    /// Notes that the record at `offset` is about to be folded, after `change` changes.
    pub fn pass(&mut self, offset: Offset, change: u64) {
        while self.starts.heads.get(self.changes.len()).is_some_and(|(_, head)| *head <= offset) {
            self.changes.push(change);
        }
    }

    /// The id of the start during which a change was made; none for one that was made before starts were kept, or where there
    /// are none. It stays the same after a restart, so that what is told of a change stays the same.
    #[must_use]
    pub fn start_of(&self, change: u64) -> Option<&Epoch> {
        // Heads that were not passed yet stand behind all that was folded.
        let found = self.changes.partition_point(|last| *last < change);
        match self.starts.heads.get(found) {
            Some((index, _)) => self.starts.ids.get(index.checked_sub(1)?),
            None => self.starts.current(),
        }
    }

    /// The number of the last change that a reader may have seen during `start` and that is still what it was, of a view that
    /// has made `change`.
    ///
    /// # Errors
    /// As [`Starts::end_of`].
    pub fn last_of(&self, start: Option<&str>, change: u64) -> Result<u64, UnknownStart> {
        let Some(next) = self.starts.next_after(start)? else { return Ok(change) };
        Ok(match self.starts.heads_before(next) {
            None => 0,
            // Not passed yet: all that was folded stands before it.
            Some(found) => self.changes.get(found).copied().unwrap_or(change),
        })
    }
}

/// What the cursors of one view are called.
#[derive(Debug, Clone)]
pub struct Cursors {
    name: String,
    starts: StartChanges,
}

impl Cursors {
    /// Those of the fold of that name.
    #[must_use]
    pub fn new(name: String, starts: StartChanges) -> Self {
        Self { name, starts }
    }

    /// The cursor of a reader who has taken `change` changes.
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
