//! When text can be seen: `tts:display` and `tts:visibility`, in styles, regions, `set` and `animate` too (W3C TTML2, 10.2
//! and 13).

use std::collections::HashMap;

use super::tree::{Element, Space};
use crate::transcript::MediaMs;

/// Changes that can hold for one text, of all elements around it together, and as many of its region: each moment of them is
/// looked at against all of them.
const CHANGES_MAX: usize = 100;
/// How deep styles may refer to each other.
const STYLES_DEEP: usize = 10;

/// What an element says of whether it is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Show {
    pub(super) display: Option<bool>,
    pub(super) visibility: Option<bool>,
}

impl Show {
    fn inline(element: &Element) -> Self {
        let value = |name| element.get(Space::Styling, name).map(str::trim).filter(|value| *value != "inherit");
        Self::of(value("display"), value("visibility"))
    }

    fn of(display: Option<&str>, visibility: Option<&str>) -> Self {
        Self { display: display.map(|value| value != "none"), visibility: visibility.map(|value| value != "hidden") }
    }

    fn or(self, other: Self) -> Self {
        Self { display: self.display.or(other.display), visibility: self.visibility.or(other.visibility) }
    }
}

/// The styles of a document by their ids.
#[derive(Debug, Default)]
pub(super) struct Styles<'a>(pub(super) HashMap<&'a str, &'a Element>);

impl Styles<'_> {
    /// What an element says, itself or by the styles that it names, of which a later one counts more.
    pub(super) fn show(&self, element: &Element) -> Show {
        self.look(element, STYLES_DEEP)
    }

    fn look(&self, element: &Element, deep: usize) -> Show {
        let mut show = Show::inline(element);
        for style in element.elements().filter(|inner| inner.is("style")) {
            show = show.or(Show::inline(style));
        }
        let names = element.get(Space::Core, "style").unwrap_or_default();
        // No element needs many: each of them may name as many again.
        for style in names.split_ascii_whitespace().rev().take(STYLES_DEEP).filter_map(|name| self.0.get(name)) {
            if deep > 0 && show != show.or(Show { display: Some(true), visibility: Some(true) }) {
                show = show.or(self.look(style, deep - 1));
            }
        }
        show
    }

    /// What a span is of a ruby, if it is a part of one: W3C TTML2, `tts:ruby`.
    pub(super) fn ruby<'e>(&'e self, element: &'e Element) -> Option<&'e str> {
        let by_style = || {
            let names = element.get(Space::Core, "style")?;
            let styles = names.split_ascii_whitespace().filter_map(|name| self.0.get(name));
            styles.filter_map(|style| style.get(Space::Styling, "ruby")).next_back()
        };
        element.get(Space::Styling, "ruby").or_else(by_style)
    }
}

/// A `set` or an `animate`.
#[derive(Debug)]
struct Change {
    begin: MediaMs,
    end: Option<MediaMs>,
    show: Show,
}

impl Change {
    fn holds(&self, at: MediaMs) -> bool {
        self.begin <= at && self.end.is_none_or(|end| at < end)
    }
}

/// An element that text stands in, or its region.
#[derive(Debug)]
pub(super) struct Level {
    show: Show,
    changes: Vec<Change>,
    /// How many more changes it, and what stands in it, can have.
    room: usize,
    /// When a region is there.
    there: Option<(MediaMs, Option<MediaMs>)>,
}

/// Why a text is not seen at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unseen {
    Display,
    Visibility,
    Region,
}

impl Level {
    /// An element within `outer`.
    pub(super) fn new(show: Show, outer: Option<&Self>) -> Self {
        Self { show, changes: Vec::new(), room: outer.map_or(CHANGES_MAX, |outer| outer.room), there: None }
    }

    /// A region, which is there from `begin` to `end`.
    pub(super) fn region(show: Show, begin: MediaMs, end: Option<MediaMs>) -> Self {
        Self { there: Some((begin, end)), ..Self::new(show, None) }
    }

    /// True where it says nothing of what stands in it.
    pub(super) fn is_silent(&self) -> bool {
        self.show == Show::default() && self.changes.is_empty() && self.there.is_none()
    }

    /// Takes what a `set` or an `animate` says, which holds from `begin` to `end`. False where that is one too many.
    pub(super) fn change(&mut self, element: &Element, begin: MediaMs, end: Option<MediaMs>) -> bool {
        // An `animate` has a list of values, one after the other.
        let list = |name: &str| -> Vec<&str> {
            element.get(Space::Styling, name).map_or(Vec::new(), |values| values.split(';').map(str::trim).collect())
        };
        let (displays, visibilities) = (list("display"), list("visibility"));
        let count = displays.len().max(visibilities.len());
        if count > self.room {
            return false;
        }
        let span = end.map(|end| end.saturating_sub(begin));
        for step in 0..count {
            let at = |step: usize| {
                let (step, count) = (i64::try_from(step).unwrap_or(0), i64::try_from(count).unwrap_or(1));
                span.map(|span| begin.saturating_add(span / count * step + span % count * step / count))
            };
            let last = step + 1 == count;
            let from = if step == 0 { Some(begin) } else { at(step) };
            let to = if last { end } else { at(step + 1) };
            let show = Show::of(displays.get(step).copied(), visibilities.get(step).copied());
            if let Some(begin) = from {
                self.changes.push(Change { begin, end: to, show });
                self.room -= 1;
            }
            if span.is_none() {
                break;
            }
        }
        true
    }

    fn show_at(&self, at: MediaMs) -> Show {
        // Of changes that hold at once the last one counts.
        let changes = self.changes.iter().rev().filter(|change| change.holds(at)).map(|change| change.show);
        changes.chain([self.show]).fold(Show::default(), Show::or)
    }

    fn moments(&self) -> impl Iterator<Item = MediaMs> {
        let there = self.there.iter().flat_map(|(begin, end)| [Some(*begin), *end]);
        self.changes.iter().flat_map(|change| [Some(change.begin), change.end]).chain(there).flatten()
    }
}

fn seen_at(levels: &[&Level], at: MediaMs) -> Result<(), Unseen> {
    let mut visibility = None;
    // From the outermost in: what is not displayed hides all within, what is not visible only what says nothing else.
    for level in levels {
        if level.there.is_some_and(|(begin, end)| at < begin || end.is_some_and(|end| end <= at)) {
            return Err(Unseen::Region);
        }
        let show = level.show_at(at);
        if show.display == Some(false) {
            return Err(Unseen::Display);
        }
        visibility = show.visibility.or(visibility);
    }
    if visibility == Some(false) { Err(Unseen::Visibility) } else { Ok(()) }
}

/// From when to when text is seen that stands in `levels`, the outermost first, from `begin` to `end`.
pub(super) fn seen(
    levels: &[&Level],
    begin: MediaMs,
    end: Option<MediaMs>,
) -> Result<(MediaMs, Option<MediaMs>), Unseen> {
    let is_plain = |level: &&Level| level.changes.is_empty() && level.there.is_none();
    if levels.iter().all(is_plain) {
        return seen_at(levels, begin).map(|()| (begin, end));
    }
    let moments = levels.iter().flat_map(|level| level.moments());
    let mut moments: Vec<MediaMs> =
        moments.filter(|at| *at > begin && end.is_none_or(|end| *at < end)).chain([begin]).collect();
    moments.sort_unstable();
    moments.dedup();
    let mut found: Option<(MediaMs, Option<MediaMs>)> = None;
    let mut why = Unseen::Display;
    for (index, at) in moments.iter().enumerate() {
        let until = moments.get(index + 1).copied().or(end);
        match seen_at(levels, *at) {
            Ok(()) => found = Some((found.map_or(*at, |(first, _)| first), until)),
            Err(unseen) => why = unseen,
        }
    }
    found.ok_or(why)
}
