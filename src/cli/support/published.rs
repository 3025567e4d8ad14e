//! The summary of what was published.

use serde::Serialize;

use crate::cli::support::outcome::Outcome;
use crate::cli::support::output::{print, print_json};

/// How many lines were what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct LineCounts {
    pub(crate) new: u64,
    /// As they were said before.
    pub(crate) repeated: u64,
    /// Said otherwise than before, or taken back.
    pub(crate) corrected: u64,
    /// Lines, and messages that hold none, that the server did not take; retractions that took nothing back; and versions that
    /// are not shown because another one has a higher revision.
    pub(crate) refused: u64,
    #[serde(skip)]
    pub(crate) guesses: u64,
    #[serde(skip)]
    pub(crate) new_beside: u64,
    #[serde(skip)]
    pub(crate) corrected_beside: u64,
    #[serde(skip)]
    pub(crate) overtaken: u64,
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PublishSummary {
    pub(crate) feed: String,
    pub(crate) session: String,
    /// Messages acknowledged or refused.
    pub(crate) messages: u64,
    #[serde(flatten)]
    pub(crate) lines: LineCounts,
    #[serde(flatten)]
    pub(crate) faults: InputFaults,
    /// Lines that were sent, and that the server had not acknowledged when it was stopped.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) unacknowledged: u64,
    /// Lines that the server had acknowledged and then lacked, and that were sent again.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) resent: u64,
    /// Messages that the server had acknowledged and then lacked, and that could not be sent again, or were deleted with their feed.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) lost: u64,
    /// Words of the server that came faster than they were counted: some of the lines may have been refused.
    #[serde(skip)]
    pub(crate) missed: u64,
}

/// What was odd about the input of a publisher.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct InputFaults {
    /// Lines or frames of the input that could not be read, or were too large to be sent.
    pub(crate) unreadable: u64,
    /// Pieces of the input that were read otherwise than they stand.
    pub(crate) repaired: u64,
    /// It was stopped, or publishing ended, before all of it was sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_cut_short: bool,
}

impl PublishSummary {
    /// How the command ended.
    pub(crate) fn outcome(&self) -> Outcome {
        let InputFaults { unreadable, repaired, is_cut_short } = self.faults;
        let not_there = self.lines.refused + self.unacknowledged + self.lost + self.missed;
        Outcome::of_problems(not_there + unreadable + repaired + u64::from(is_cut_short))
    }

    /// True if there is nothing to say of it.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages == 0 && self.unacknowledged == 0 && self.faults == InputFaults::default()
    }

    pub(crate) fn tell(&self, is_json: bool) -> anyhow::Result<()> {
        if is_json {
            return print_json(self);
        }
        let Self { feed, lines, faults, .. } = self;
        let LineCounts { new, repeated, corrected, refused, .. } = lines;
        let others = [
            (faults.repaired, "repaired"),
            (self.unacknowledged, "not acknowledged"),
            (self.resent, "sent again"),
            (self.lost, "lost by the server"),
        ];
        let others = others.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}"));
        print(&format!(
            "{feed}: {new} new, {repeated} repeated, {corrected} corrected, {refused} refused, {} unreadable{}\n",
            faults.unreadable,
            others.collect::<String>()
        ))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
