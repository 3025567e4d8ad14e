//! When text can be seen: `tts:display` and `tts:visibility`, in styles, regions, `set` and `animate` too (W3C TTML2, 10.2
//! and 13).

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::format::ttml::tree::{TtmlElement, WhiteSpace};
use crate::transcript::MediaMs;

/// Changes that can hold for one text, of all elements around it together, and as many of its region: each text is looked at
/// against all of them.
const CHANGES_MAX: usize = 100;

/// What an element says of whether it is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Display {
    pub(super) display: Option<bool>,
    pub(super) visibility: Option<bool>,
}

impl Display {
    fn inline(element: &TtmlElement) -> Self {
        let value = |name| element.get(WhiteSpace::Styling, name).map(str::trim).filter(|value| *value != "inherit");
        Self::of(value("display"), value("visibility"))
    }

    /// What an element says itself, and the styles that stand in it.
    fn own(element: &TtmlElement) -> Self {
        let inner = element.elements().filter(|inner| inner.is("style")).map(Self::inline);
        inner.fold(Self::inline(element), Self::or)
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
pub(super) struct Styles<'a> {
    elements: HashMap<&'a str, &'a TtmlElement>,
    /// What each of them says, with the styles that it names.
    shows: HashMap<&'a str, Display>,
}

impl<'a> Styles<'a> {
    /// Styles with their ids, in the order of the document. Each is looked at once, whichever name it: time and memory grow with
    /// the names that stand in the document. A style that names itself, by way of others too, says what it says without that.
    pub(super) fn of(styles: &[(&'a str, &'a TtmlElement)]) -> Self {
        let elements: HashMap<&str, &TtmlElement> = styles.iter().copied().collect();
        let shows = elements.iter().map(|(id, style)| (*id, Display::own(style))).collect();
        let mut known = Self { elements, shows };
        let mut begun: HashSet<&str> = HashSet::new();
        for (id, _) in styles {
            // The names that are still to be looked at, and whether those that each of them names were.
            let mut ahead = vec![(*id, false)];
            while let Some((id, is_ready)) = ahead.pop() {
                let Some(style) = known.elements.get(id).copied() else { continue };
                if is_ready {
                    let show = known.show(style);
                    known.shows.insert(id, show);
                } else if begun.insert(id) {
                    ahead.push((id, true));
                    ahead.extend(names(style).filter(|name| !begun.contains(name)).map(|name| (name, false)));
                }
            }
        }
        known
    }

    /// What an element says, itself or by the styles that it names, of which a later one counts more.
    pub(super) fn show(&self, element: &TtmlElement) -> Display {
        let named = names(element).rev().filter_map(|name| self.shows.get(name).copied());
        named.fold(Display::own(element), Display::or)
    }

    /// What a span is of a ruby, if it is a part of one: W3C TTML2, `tts:ruby`.
    pub(super) fn ruby<'e>(&'e self, element: &'e TtmlElement) -> Option<&'e str> {
        let by_style = || {
            let styles = names(element).filter_map(|name| self.elements.get(name));
            styles.filter_map(|style| style.get(WhiteSpace::Styling, "ruby")).next_back()
        };
        element.get(WhiteSpace::Styling, "ruby").or_else(by_style)
    }
}

/// The styles that an element names.
fn names(element: &TtmlElement) -> impl DoubleEndedIterator<Item = &str> {
    element.get(WhiteSpace::Core, "style").unwrap_or_default().split_ascii_whitespace()
}

/// A `set` or an `animate`.
#[derive(Debug)]
struct StyleChange {
    begin: MediaMs,
    end: Option<MediaMs>,
    show: Display,
}

impl StyleChange {
    fn holds(&self, at: MediaMs) -> bool {
        self.begin <= at && self.end.is_none_or(|end| at < end)
    }
}

/// An element that text stands in, or a region, with what was said of it so far.
#[derive(Debug)]
pub(super) struct VisibilityLevel {
    show: Display,
    changes: Vec<StyleChange>,
    /// How many more changes it, and what stands in it, can have.
    room: usize,
    /// Time at which a region is there.
    there: Option<(MediaMs, Option<MediaMs>)>,
}

/// Reason why a text is not seen at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HiddenCause {
    Display,
    Visibility,
    Region,
}

/// What holds at a moment for what stands in an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Visibility {
    /// Hides all within: it is not displayed, or its region is not there.
    hidden: Option<HiddenCause>,
    /// What the innermost says that says anything.
    visibility: Option<bool>,
}

impl Visibility {
    fn within(self, outer: Self) -> Self {
        Self { hidden: outer.hidden.or(self.hidden), visibility: self.visibility.or(outer.visibility) }
    }

    fn unseen(self) -> Option<HiddenCause> {
        self.hidden.or((self.visibility == Some(false)).then_some(HiddenCause::Visibility))
    }
}

/// What holds when for what stands in an element, by all the elements around it, or by a region: made once for each, however
/// many texts stand there.
#[derive(Debug, Clone)]
pub(super) struct VisibilityChanges {
    /// From which moment on what holds, the earliest first.
    stretches: Rc<[(MediaMs, Visibility)]>,
    /// How many more changes what stands in it can have.
    room: usize,
}

/// Where nothing is said.
const PLAIN: &[(MediaMs, Visibility)] = &[(MediaMs::MIN, Visibility { hidden: None, visibility: None })];

impl Default for VisibilityChanges {
    fn default() -> Self {
        Self { stretches: PLAIN.into(), room: CHANGES_MAX }
    }
}

impl VisibilityLevel {
    /// An element within `outer`.
    pub(super) fn new(show: Display, outer: &VisibilityChanges) -> Self {
        Self { show, changes: Vec::new(), room: outer.room, there: None }
    }

    /// A region, which is there from `begin` to `end`.
    pub(super) fn region(show: Display, begin: MediaMs, end: Option<MediaMs>) -> Self {
        Self { there: Some((begin, end)), ..Self::new(show, &VisibilityChanges::default()) }
    }

    /// Takes what a `set` or an `animate` says, which holds from `begin` to `end`. False where that is one too many.
    pub(super) fn change(&mut self, element: &TtmlElement, begin: MediaMs, end: Option<MediaMs>) -> bool {
        // An `animate` has a list of values, one after the other.
        let list = |name: &str| -> Vec<&str> {
            element
                .get(WhiteSpace::Styling, name)
                .map_or(Vec::new(), |values| values.split(';').map(str::trim).collect())
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
            let show = Display::of(displays.get(step).copied(), visibilities.get(step).copied());
            if let Some(begin) = from {
                self.changes.push(StyleChange { begin, end: to, show });
                self.room -= 1;
            }
            if span.is_none() {
                break;
            }
        }
        true
    }

    /// What holds for what stands in it, and in `outer`.
    pub(super) fn sights(self, outer: &VisibilityChanges) -> VisibilityChanges {
        let is_silent = self.show == Display::default() && self.changes.is_empty() && self.there.is_none();
        if is_silent {
            return VisibilityChanges { stretches: outer.stretches.clone(), room: self.room };
        }
        let there = self.there.iter().flat_map(|(begin, end)| [Some(*begin), *end]);
        let moments = self.changes.iter().flat_map(|change| [Some(change.begin), change.end]).chain(there).flatten();
        let mut moments: Vec<MediaMs> = moments.chain([MediaMs::MIN]).collect();
        moments.sort_unstable();
        moments.dedup();
        let own: Vec<_> = moments.into_iter().map(|at| (at, self.sight_at(at))).collect();
        let mut stretches: Vec<(MediaMs, Visibility)> = Vec::new();
        for (at, sight) in both(&outer.stretches, &own) {
            if stretches.last().is_none_or(|(_, last)| *last != sight) {
                stretches.push((at, sight));
            }
        }
        VisibilityChanges { stretches: stretches.into(), room: self.room }
    }

    fn sight_at(&self, at: MediaMs) -> Visibility {
        if self.there.is_some_and(|(begin, end)| at < begin || end.is_some_and(|end| end <= at)) {
            return Visibility { hidden: Some(HiddenCause::Region), visibility: None };
        }
        // Of changes that hold at once the last one counts.
        let changes = self.changes.iter().rev().filter(|change| change.holds(at)).map(|change| change.show);
        let show = changes.chain([self.show]).fold(Display::default(), Display::or);
        Visibility {
            hidden: (show.display == Some(false)).then_some(HiddenCause::Display),
            visibility: show.visibility,
        }
    }
}

/// What holds within both, the one around the other, from each moment on at which either changes.
fn both<'a>(
    outer: &'a [(MediaMs, Visibility)],
    inner: &'a [(MediaMs, Visibility)],
) -> impl Iterator<Item = (MediaMs, Visibility)> + 'a {
    let (mut of_outer, mut of_inner) = (Visibility::default(), Visibility::default());
    let (mut outer, mut inner) = (outer.iter().peekable(), inner.iter().peekable());
    std::iter::from_fn(move || {
        let at = [outer.peek(), inner.peek()].into_iter().flatten().map(|(at, _)| *at).min()?;
        if let Some((_, sight)) = outer.next_if(|(from, _)| *from == at) {
            of_outer = *sight;
        }
        if let Some((_, sight)) = inner.next_if(|(from, _)| *from == at) {
            of_inner = *sight;
        }
        Some((at, of_inner.within(of_outer)))
    })
}

/// From when to when text is seen that stands in `sights`, in a region or in none, from `begin` to `end`.
pub(super) fn seen(
    region: Option<&VisibilityChanges>,
    sights: &VisibilityChanges,
    begin: MediaMs,
    end: Option<MediaMs>,
) -> Result<(MediaMs, Option<MediaMs>), HiddenCause> {
    let mut found: Option<(MediaMs, Option<MediaMs>)> = None;
    let mut why = HiddenCause::Display;
    let mut stretches = both(region.map_or(PLAIN, |region| &region.stretches), &sights.stretches).peekable();
    while let Some((from, sight)) = stretches.next() {
        let next = stretches.peek().map(|(next, _)| *next);
        if next.is_some_and(|next| next <= begin) {
            continue;
        }
        let at = from.max(begin);
        if at > begin && end.is_some_and(|end| end <= at) {
            break;
        }
        let until = [next, end].into_iter().flatten().min();
        match sight.unseen() {
            None => found = Some((found.map_or(at, |(first, _)| first), until)),
            Some(unseen) => why = unseen,
        }
    }
    found.ok_or(why)
}
