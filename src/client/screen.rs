//! The transcript as a reader sees it: lines, turns and speakers by key, ordered by `sort`.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::Arc;

use crate::transcript::{FeedState, Line, Speaker, Turn};
use crate::wire::subscriber::ChangesMessage;

/// Sort string, then key, so that no two items have the same place, whatever the server sends.
type ScreenKey = (Arc<str>, Arc<str>);

/// Transcript that a reader holds. Readers that have applied the same changes, in whatever portions, hold equal
/// screens.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Screen {
    lines: BTreeMap<ScreenKey, Line>,
    line_places: HashMap<Arc<str>, Arc<str>>,
    turns: BTreeMap<ScreenKey, Turn>,
    turn_places: HashMap<Arc<str>, Arc<str>>,
    speakers: HashMap<Arc<str>, Speaker>,
    state: FeedState,
    title: Option<Arc<str>>,
    language: Option<Arc<str>>,
}

/// Effects of one set of changes on a [`Screen`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScreenChange {
    /// Keys (`source/id`) of the lines that are new or have changed.
    pub lines: Vec<Arc<str>>,
    /// Keys of lines that are no longer shown.
    pub gone: Vec<Arc<str>>,
    /// Ids of the turns that are new or whose facts changed. A turn of which only lines changed is not among them.
    pub turns: Vec<Arc<str>>,
    /// Ids of turns that no longer exist.
    pub gone_turns: Vec<Arc<str>>,
    /// Ids of the speakers that are new, or whose name or merge changed.
    pub speakers: Vec<Arc<str>>,
    /// True if the changes contain the feed's state, title or language.
    pub feed: bool,
    /// False while more messages follow: the screen is incomplete, and a line may be in the wrong turn for a moment.
    pub whole: bool,
}

/// A turn with its lines.
#[derive(Debug, Clone, Copy)]
pub struct ShownTurn<'a> {
    /// Facts of the turn.
    pub turn: &'a Turn,
    screen: &'a Screen,
    next: Option<&'a Turn>,
}

impl<'a> ShownTurn<'a> {
    /// Returns the lines of the turn, in order.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &'a Line> + use<'a> {
        let first = Included((self.turn.sort.clone(), Arc::default()));
        let end = self.next.map_or(Unbounded, |next| Excluded((next.sort.clone(), Arc::default())));
        self.screen.lines.range((first, end)).map(|(_, line)| line)
    }

    /// Returns the name of the speaker, after merges and renames; `None` if the speaker is unknown.
    #[must_use]
    pub fn speaker_name(&self) -> Option<&'a str> {
        self.screen.speaker_name(self.turn.speaker.as_deref()?.into())
    }
}

impl Screen {
    /// Applies one `changes` message. [`super::Subscriber`] calls this, and knows which messages to apply.
    pub fn apply(&mut self, message: ChangesMessage) -> ScreenChange {
        let mut changed = ScreenChange { whole: !message.behind && !message.more, ..ScreenChange::default() };
        for key in message.gone {
            if let Some((key, sort)) = self.line_places.remove_entry(key.as_str()) {
                self.lines.remove(&(sort, key.clone()));
                changed.gone.push(key);
            }
        }
        for id in message.gone_turns {
            if let Some((id, sort)) = self.turn_places.remove_entry(&id) {
                self.turns.remove(&(sort, id.clone()));
                changed.gone_turns.push(id);
            }
        }
        for line in message.lines {
            let key: Arc<str> = format!("{}/{}", line.source, line.id).into();
            if let Some(sort) = self.line_places.insert(key.clone(), line.sort.clone()) {
                self.lines.remove(&(sort, key.clone()));
            }
            self.lines.insert((line.sort.clone(), key.clone()), line);
            changed.lines.push(key);
        }
        for turn in message.turns {
            let id = turn.id.clone();
            if let Some(sort) = self.turn_places.insert(id.clone(), turn.sort.clone()) {
                self.turns.remove(&(sort, id.clone()));
            }
            self.turns.insert((turn.sort.clone(), id.clone()), turn);
            changed.turns.push(id);
        }
        for speaker in message.speakers {
            changed.speakers.push(speaker.id.clone());
            self.speakers.insert(speaker.id.clone(), speaker);
        }
        if let Some(state) = message.state {
            // The feed's facts come together; those that are left out are unknown.
            (self.state, self.title, self.language) = (state, message.title, message.language);
            changed.feed = true;
        }
        changed
    }

    /// Returns each turn with its lines, in order. A line belongs to the last turn whose `sort` is not greater than its
    /// own. A line before the first turn (a correction of a line from before the reader began with `now`) is in none.
    pub fn turns(&self) -> impl DoubleEndedIterator<Item = ShownTurn<'_>> {
        self.turns.iter().map(|(place, turn)| self.shown(place, turn))
    }

    /// Returns the turn `id`.
    #[must_use]
    pub fn turn(&self, id: &str) -> Option<ShownTurn<'_>> {
        let (id, sort) = self.turn_places.get_key_value(id)?;
        let (place, turn) = self.turns.get_key_value(&(sort.clone(), id.clone()))?;
        Some(self.shown(place, turn))
    }

    fn shown<'a>(&'a self, place: &ScreenKey, turn: &'a Turn) -> ShownTurn<'a> {
        let next = self.turns.range((Excluded(place.clone()), Unbounded)).next().map(|(_, next)| next);
        ShownTurn { turn, screen: self, next }
    }

    /// Returns all lines, in order.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.lines.values()
    }

    /// Returns the line with this key (`source/id`).
    #[must_use]
    pub fn line(&self, key: &str) -> Option<&Line> {
        let (key, sort) = self.line_places.get_key_value(key)?;
        self.lines.get(&(sort.clone(), key.clone()))
    }

    /// Returns the name of the speaker `id`, following merges to their end; the id itself if the server has sent no
    /// such speaker.
    #[must_use]
    pub fn speaker_name<'a>(&'a self, id: Option<&'a str>) -> Option<&'a str> {
        let root = self.speaker_root(id?);
        Some(self.speakers.get(root).map_or(root, |speaker| &speaker.name))
    }

    /// Returns the id of the speaker that `id` is after all merges.
    #[must_use]
    pub fn speaker_root<'a>(&'a self, id: &'a str) -> &'a str {
        let mut id = id;
        // The server prevents cycles of merges; the bound ends the walk if there is one all the same.
        for _ in 0..=self.speakers.len() {
            match self.speakers.get(id).and_then(|speaker| speaker.into.as_deref()) {
                Some(into) => id = into,
                None => break,
            }
        }
        id
    }

    /// Returns the known speakers, in no particular order.
    pub fn speakers(&self) -> impl Iterator<Item = &Speaker> {
        self.speakers.values()
    }

    /// Returns the state of the feed.
    #[must_use]
    pub fn state(&self) -> FeedState {
        self.state
    }

    /// Returns the feed's title.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Returns the BCP 47 tag of the language that is spoken most.
    #[must_use]
    pub fn language(&self) -> Option<&str> {
        self.language.as_deref()
    }
}

impl ScreenChange {
    pub(super) fn add(&mut self, later: Self) {
        self.lines.extend(later.lines);
        self.gone.extend(later.gone);
        self.turns.extend(later.turns);
        self.gone_turns.extend(later.gone_turns);
        self.speakers.extend(later.speakers);
        self.feed |= later.feed;
        self.whole = later.whole;
    }
}
