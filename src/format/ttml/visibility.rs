//! Visibility of text: `tts:display` and `tts:visibility`, also in styles, regions, `set` and `animate` (W3C TTML2,
//! 10.2 and 13).

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::format::ttml::tree::{TtmlElement, XmlNamespace};
use crate::transcript::MediaMs;

/// The most changes for one text, over all elements around it, and the same number for its region. Each text is checked
/// against all of them.
const CHANGES_MAX: usize = 100;

/// The visibility properties of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Display {
    pub(super) display: Option<bool>,
    pub(super) visibility: Option<bool>,
}

impl Display {
    fn inline(element: &TtmlElement) -> Self {
        let value = |name| element.get(XmlNamespace::Styling, name).map(str::trim).filter(|value| *value != "inherit");
        Self::of(value("display"), value("visibility"))
    }

    /// The properties of an element itself, and of the styles within it.
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

/// The styles of a document, by id.
#[derive(Debug, Default)]
pub(super) struct Styles<'a> {
    elements: HashMap<&'a str, &'a TtmlElement>,
    /// The properties of each style, including the styles that it names.
    shows: HashMap<&'a str, Display>,
}

impl<'a> Styles<'a> {
    /// Resolves styles, given with their ids in the order of the document. Each is resolved once, so that time and
    /// memory grow with the number of references in the document. A style that names itself, directly or through
    /// others, keeps its other properties.
    pub(super) fn of(styles: &[(&'a str, &'a TtmlElement)]) -> Self {
        let elements: HashMap<&str, &TtmlElement> = styles.iter().copied().collect();
        let shows = elements.iter().map(|(id, style)| (*id, Display::own(style))).collect();
        let mut known = Self { elements, shows };
        let mut begun: HashSet<&str> = HashSet::new();
        for (id, _) in styles {
            // The styles to resolve, each with true if the styles that it names are resolved.
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

    /// Returns the properties of an element, from itself or from the styles that it names, of which a later one counts
    /// more.
    pub(super) fn show(&self, element: &TtmlElement) -> Display {
        let named = names(element).rev().filter_map(|name| self.shows.get(name).copied());
        named.fold(Display::own(element), Display::or)
    }

    /// Returns the role of a span in a ruby, if it has one: W3C TTML2, `tts:ruby`.
    pub(super) fn ruby<'e>(&'e self, element: &'e TtmlElement) -> Option<&'e str> {
        let by_style = || {
            let styles = names(element).filter_map(|name| self.elements.get(name));
            styles.filter_map(|style| style.get(XmlNamespace::Styling, "ruby")).next_back()
        };
        element.get(XmlNamespace::Styling, "ruby").or_else(by_style)
    }
}

/// The styles that an element names.
fn names(element: &TtmlElement) -> impl DoubleEndedIterator<Item = &str> {
    element.get(XmlNamespace::Core, "style").unwrap_or_default().split_ascii_whitespace()
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

/// An element around text, or a region, with its properties and changes so far.
#[derive(Debug)]
pub(super) struct VisibilityLevel {
    show: Display,
    changes: Vec<StyleChange>,
    /// The number of further changes that it, and the elements in it, may have.
    room: usize,
    /// The time in which a region exists, for regions.
    there: Option<(MediaMs, Option<MediaMs>)>,
}

/// Reason why a text is not visible at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HiddenCause {
    Display,
    Visibility,
    Region,
}

/// The visibility of the contents of an element at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Visibility {
    /// The reason that hides all contents: no display, or a region that does not exist.
    hidden: Option<HiddenCause>,
    /// The innermost `visibility` that is set.
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

/// The visibility of the contents of an element over time, from all elements around it, or of a region. Computed once
/// for each, for any number of texts.
#[derive(Debug, Clone)]
pub(super) struct VisibilityChanges {
    /// Moments of change, the earliest first, with the visibility from then on.
    stretches: Rc<[(MediaMs, Visibility)]>,
    /// The number of further changes that the elements in it may have.
    room: usize,
}

/// Visibility if nothing is set.
const PLAIN: &[(MediaMs, Visibility)] = &[(MediaMs::MIN, Visibility { hidden: None, visibility: None })];

impl Default for VisibilityChanges {
    fn default() -> Self {
        Self { stretches: PLAIN.into(), room: CHANGES_MAX }
    }
}

impl VisibilityLevel {
    /// Returns the level of an element within `outer`.
    pub(super) fn new(show: Display, outer: &VisibilityChanges) -> Self {
        Self { show, changes: Vec::new(), room: outer.room, there: None }
    }

    /// Returns the level of a region, which exists from `begin` to `end`.
    pub(super) fn region(show: Display, begin: MediaMs, end: Option<MediaMs>) -> Self {
        Self { there: Some((begin, end)), ..Self::new(show, &VisibilityChanges::default()) }
    }

    /// Adds the change of a `set` or an `animate`, from `begin` to `end`. Returns false if there are too many.
    pub(super) fn change(&mut self, element: &TtmlElement, begin: MediaMs, end: Option<MediaMs>) -> bool {
        // An `animate` has a list of values, one after the other.
        let list = |name: &str| -> Vec<&str> {
            element
                .get(XmlNamespace::Styling, name)
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

    /// Returns the visibility of its contents, within `outer`.
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
        // Of simultaneous changes, the last one counts.
        let changes = self.changes.iter().rev().filter(|change| change.holds(at)).map(|change| change.show);
        let show = changes.chain([self.show]).fold(Display::default(), Display::or);
        Visibility {
            hidden: (show.display == Some(false)).then_some(HiddenCause::Display),
            visibility: show.visibility,
        }
    }
}

/// The combined visibility of an outer and an inner element, at each moment at which either changes.
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

/// Returns the first and last moment at which a text with `sights`, in a region or in none, is visible between `begin`
/// and `end`. The error is the reason why it never is.
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
