//! The head of a document: the styles and regions that decide what is visible, and the title.

use std::collections::HashMap;

use crate::format::core::builder::TranscriptBuilder;
use crate::format::ttml::timing::{ActiveTiming, DocumentScope};
use crate::format::ttml::tree::{TtmlElement, XmlNamespace};
use crate::format::ttml::visibility::{Styles, VisibilityChanges, VisibilityLevel};

/// The parts of a document's head that affect visibility.
pub(super) struct TtmlHead<'a> {
    pub(super) styles: Styles<'a>,
    regions: HashMap<&'a str, VisibilityChanges>,
}

impl<'a> TtmlHead<'a> {
    /// Returns the styles and regions among the elements of a document.
    pub(super) fn of(all: &[&'a TtmlElement], scope: &DocumentScope, gather: &mut TranscriptBuilder) -> Self {
        let ids = |name: &'static str| {
            let named = all.iter().filter(move |element| element.is(name));
            named.filter_map(|element| element.get(XmlNamespace::Xml, "id").map(|id| (id, *element)))
        };
        let styles = Styles::of(&ids("style").collect::<Vec<_>>());
        let base = ActiveTiming::default();
        let regions = ids("region").map(|(id, region)| {
            let (active, _) = scope.timing(region, &base, Some(0), gather);
            let mut level = VisibilityLevel::region(styles.show(region), active.begin, active.end);
            scope.add_changes(region, &active, &mut level, gather);
            (id, level.sights(&VisibilityChanges::default()))
        });
        let regions = regions.collect();
        Self { styles, regions }
    }

    /// The visibility of the region in which an element stands, if it stands in one.
    pub(super) fn region(&self, active: &ActiveTiming) -> Option<&VisibilityChanges> {
        active.region.as_deref().and_then(|id| self.regions.get(id))
    }
}

/// Returns true for an element of the metadata with this name.
pub(super) fn is_metadata(element: &TtmlElement, name: &str) -> bool {
    element.space == XmlNamespace::Metadata && element.name == name
}

/// The title of a document, if its head has one.
pub(super) fn title(root: &TtmlElement) -> Option<String> {
    let head = root.elements().find(|element| element.is("head"))?;
    head.all().into_iter().find(|element| is_metadata(element, "title")).map(TtmlElement::text)
}

/// Returns true for a style or region, and for an element that names one.
pub(super) fn is_styled(element: &TtmlElement) -> bool {
    let names = |name| element.get(XmlNamespace::Core, name).is_some();
    element.is("style") || element.is("region") || names("style") || names("region")
}
