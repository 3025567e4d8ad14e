//! Timing of elements: the time in which each is active, from its own attributes and those around it (W3C TTML2, 12).

use std::fmt;
use std::sync::Arc;

use crate::format::core::builder::TranscriptBuilder;
use crate::format::text::text_lines::excerpt;
use crate::format::ttml::agents::Agents;
use crate::format::ttml::time_expressions::Rates;
use crate::format::ttml::tree::{TtmlElement, XmlNamespace};
use crate::format::ttml::visibility::{HiddenCause, VisibilityLevel};
use crate::transcript::MediaMs;
use crate::transcript::time::precise_clock;

/// Reason why a text is never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NeverShown {
    /// It begins when its parent is over.
    Over {
        begin: MediaMs,
        end: MediaMs,
    },
    /// The element before it in a `seq` has no end.
    Behind,
    /// It is text in a `seq`, which has no duration.
    NoDuration,
    Unseen(HiddenCause),
    Condition,
}

impl NeverShown {
    /// The reason that the timing of an element gives, if there is one. `base` is that of [`DocumentScope::timing`].
    fn of(element: &TtmlElement, base: Option<MediaMs>, begin: MediaMs, parent_end: Option<MediaMs>) -> Option<Self> {
        if base.is_none() {
            return Some(Self::Behind);
        }
        if let Some(end) = parent_end.filter(|end| *end <= begin) {
            return Some(Self::Over { begin, end });
        }
        let condition = element.get(XmlNamespace::Core, "condition").map(str::trim);
        matches!(condition, Some("false" | "false()")).then_some(Self::Condition)
    }
}

impl fmt::Display for NeverShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Over { begin, end } => {
                write!(
                    f,
                    "it begins at {}, when what it stands in is over ({})",
                    precise_clock(*begin),
                    precise_clock(*end)
                )
            }
            Self::Behind => f.write_str("what stands before it in the sequence has no end"),
            Self::NoDuration => {
                f.write_str("in a sequence (timeContainer=\"seq\") text without a duration takes no time")
            }
            Self::Unseen(HiddenCause::Display) => f.write_str("it is not displayed (tts:display=\"none\")"),
            Self::Unseen(HiddenCause::Visibility) => f.write_str("it is not visible (tts:visibility=\"hidden\")"),
            Self::Unseen(HiddenCause::Region) => f.write_str("its region is not there at that time"),
            Self::Condition => f.write_str("its condition is false"),
        }
    }
}

/// The timing and other properties that apply in an element.
#[derive(Debug, Clone, Default)]
pub(super) struct ActiveTiming {
    pub(super) begin: MediaMs,
    /// The end, if known without looking at the contents.
    pub(super) end: Option<MediaMs>,
    /// True if it, or an element around it, has a begin.
    pub(super) is_timed: bool,
    /// True if it has a begin of its own.
    pub(super) has_begin: bool,
    /// True if a span within the `p` has a time.
    pub(super) is_inner: bool,
    pub(super) is_seq: bool,
    pub(super) agent: Option<Arc<str>>,
    pub(super) lang: Option<Arc<str>>,
    pub(super) keeps_blanks: bool,
    pub(super) is_estimated: bool,
    /// True if its begin is estimated too.
    pub(super) is_placed: bool,
    pub(super) region: Option<Arc<str>>,
    pub(super) never: Option<NeverShown>,
}

impl ActiveTiming {
    /// The properties that apply around the root of a document.
    pub(super) fn around(root: &TtmlElement) -> Self {
        Self {
            lang: language(root),
            keeps_blanks: root.get(XmlNamespace::Xml, "space") == Some("preserve"),
            ..Self::default()
        }
    }
}

/// The language of an element, if it says one.
pub(super) fn language(element: &TtmlElement) -> Option<Arc<str>> {
    element.get(XmlNamespace::Xml, "lang").filter(|lang| !lang.is_empty()).map(Arc::from)
}

/// The timing attributes of an element, as far as they can be read.
struct TimeAttributes {
    begin: Option<MediaMs>,
    end: Option<MediaMs>,
    dur: Option<MediaMs>,
}

impl TimeAttributes {
    /// Reads the attributes of `element`, and reports those that are no times.
    fn of(element: &TtmlElement, rates: &Rates, gather: &mut TranscriptBuilder) -> Self {
        let mut time = |what: &str| {
            let written = element.get(XmlNamespace::Core, what)?;
            let read = rates.parse(written);
            if read.is_none() {
                let looks = "a time is written as 00:01:30.5 or 90.5s";
                let message = format!("{:?} is no time ({what}): left out; {looks}", excerpt(written));
                gather.problem(element.at.line, element.at.column, message);
            }
            read
        };
        Self { begin: time("begin"), end: time("end"), dur: time("dur") }
    }
}

/// The definitions of a document that the timing of all its elements depends on.
#[derive(Debug, Default)]
pub(super) struct DocumentScope {
    pub(super) rates: Rates,
    pub(super) agents: Agents,
}

impl DocumentScope {
    /// Returns the properties that apply in `element`, and its own end. `base` is the time from which its times count:
    /// the begin of `parent`, or in a `seq` the end of the element before, `None` if that has no end.
    pub(super) fn timing(
        &self,
        element: &TtmlElement,
        parent: &ActiveTiming,
        base: Option<MediaMs>,
        gather: &mut TranscriptBuilder,
    ) -> (ActiveTiming, Option<MediaMs>) {
        let TimeAttributes { begin, end, dur } = TimeAttributes::of(element, &self.rates, gather);
        let is_clock = self.rates.is_clock;
        let from = base.unwrap_or(parent.begin);
        let at = |time: MediaMs| if is_clock { time } else { from.saturating_add(time) };
        let start = begin.map_or(from, at);
        let is_timed = begin.is_some() || parent.is_timed || parent.is_seq && from > parent.begin;
        // A duration counts from a start. In a live document only the receiver knows the start.
        let lasts = dur.filter(|_| !is_clock || is_timed).map(|dur| start.saturating_add(dur));
        let own_end = [end.map(at), lasts].into_iter().flatten().min();
        if let Some(end) = own_end.filter(|end| *end <= start && parent.never.is_none()) {
            let (from, to) = (precise_clock(start), precise_clock(end));
            let message = format!("the end ({to}) does not lie behind the start ({from}): the line has no end");
            gather.problem(element.at.line, element.at.column, message);
        }
        let active = ActiveTiming {
            begin: start,
            end: [own_end.filter(|end| *end > start), parent.end].into_iter().flatten().min(),
            is_timed: is_timed || own_end.is_some() && !is_clock,
            has_begin: begin.is_some(),
            is_inner: parent.is_inner || begin.is_some() && element.name != "p",
            never: parent.never.or_else(|| NeverShown::of(element, base, start, parent.end)),
            ..self.properties(element, parent)
        };
        (active, own_end)
    }

    /// Adds the changes of `element` by `set` and `animate` to its visibility.
    pub(super) fn add_changes(
        &self,
        element: &TtmlElement,
        active: &ActiveTiming,
        level: &mut VisibilityLevel,
        gather: &mut TranscriptBuilder,
    ) {
        for change in element.elements().filter(|inner| inner.is("set") || inner.is("animate")) {
            let (when, _) = self.timing(change, active, Some(active.begin), gather);
            if !level.change(change, when.begin, when.end) {
                let message = "there are too many changes of what is shown around one text: this one is passed over";
                gather.left_out(change.at.line, change.at.column, message);
            }
        }
    }

    /// The properties of an element that do not depend on its times.
    fn properties(&self, element: &TtmlElement, parent: &ActiveTiming) -> ActiveTiming {
        let agent = element.get(XmlNamespace::Metadata, "agent").map(|ids| self.agents.names(ids));
        let space = element.get(XmlNamespace::Xml, "space");
        ActiveTiming {
            is_seq: element.get(XmlNamespace::Core, "timeContainer") == Some("seq"),
            agent: agent.or_else(|| parent.agent.clone()),
            lang: language(element).or_else(|| parent.lang.clone()),
            keeps_blanks: space.map_or(parent.keeps_blanks, |space| space == "preserve"),
            is_estimated: is_marked_estimated(element, "end"),
            is_placed: is_marked_estimated(element, "begin end"),
            region: element.get(XmlNamespace::Core, "region").map(Arc::from).or_else(|| parent.region.clone()),
            ..ActiveTiming::default()
        }
    }
}

/// Returns true if our own writer marked these times of an element as estimated.
fn is_marked_estimated(element: &TtmlElement, times: &str) -> bool {
    let is_mark = |space: XmlNamespace, name: &str| space == XmlNamespace::Foreign && name == "estimated";
    element.attributes.iter().any(|one| is_mark(one.space, &one.name) && one.value == times)
}
