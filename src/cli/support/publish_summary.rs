//! The summary of what was published.

use serde::Serialize;

use crate::cli::support::outcome::Outcome;
use crate::cli::support::output::{print, print_json};

/// Number of lines of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct LineCounts {
    pub(crate) new: u64,
    /// Sent before with the same content.
    pub(crate) repeated: u64,
    /// Changed or retracted.
    pub(crate) corrected: u64,
    /// Refused lines, and refused messages without lines; retractions that changed nothing; and versions that are not
    /// shown because another one has a higher revision.
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

/// Summary of a publisher's run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PublishSummary {
    pub(crate) feed: String,
    pub(crate) session: String,
    /// Number of messages acknowledged or refused.
    pub(crate) messages: u64,
    #[serde(flatten)]
    pub(crate) lines: LineCounts,
    #[serde(flatten)]
    pub(crate) faults: InputFaults,
    /// Lines that were sent, and not acknowledged before the command ended.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) unacknowledged: u64,
    /// Lines that the server had acknowledged and lost, and that were sent again.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) resent: u64,
    /// Messages that the server had acknowledged and lost, and that could not be sent again, or were deleted with their
    /// feed.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) lost: u64,
    /// Server messages that were dropped because they arrived too fast; refusals may be among them.
    #[serde(skip)]
    pub(crate) missed: u64,
}

/// Problems of a publisher's input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct InputFaults {
    /// Lines or frames that could not be read, or were too large to be sent.
    pub(crate) unreadable: u64,
    /// Pieces that were read in another way than written.
    pub(crate) repaired: u64,
    /// True if the command or publishing ended before the whole input was sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_cut_short: bool,
}

impl PublishSummary {
    /// Returns the outcome of the command.
    pub(crate) fn outcome(&self) -> Outcome {
        let InputFaults { unreadable, repaired, is_cut_short } = self.faults;
        let not_there = self.lines.refused + self.unacknowledged + self.lost + self.missed;
        Outcome::of_problems(not_there + unreadable + repaired + u64::from(is_cut_short))
    }

    /// Returns true if there is nothing to report.
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
