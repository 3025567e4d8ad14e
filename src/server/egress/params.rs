//! Parameters of a subscription: from the query of a socket of its own, or from one message among many.

use crate::server::access::upgrade::RequestContext;
use crate::server::core::connection_end::CloseReason;
use crate::server::egress::replay_params;
use crate::transcript::FoldView;
use crate::wire::subscriber::{StartPoint, SubscribeUntil};
use crate::wire::{CloseCode, Subscribe, Unit};

/// Parameters of a subscription.
#[derive(Debug, Clone)]
pub(crate) struct SubscribeParams {
    pub(crate) from: StartPoint,
    pub(crate) view: FoldView,
    pub(crate) unit: Unit,
    pub(crate) is_until_head: bool,
    pub(crate) wait: bool,
    pub(crate) replay: Option<replay_params::ReplayParams>,
}

impl SubscribeParams {
    /// Reads the query.
    pub(crate) fn new(asked: &RequestContext) -> Result<Self, CloseReason> {
        asked.refuse_reserved()?;
        let from = asked.get("from").unwrap_or("start");
        let from = from.parse().map_err(|error| bad(format!("from: {error}")))?;
        let is_until_head = match asked.get("until") {
            None | Some("live") => false,
            Some("head") => true,
            Some(_) => return Err(bad("until must be live or head".into())),
        };
        let unit = match asked.get("unit") {
            None | Some("lines") => Unit::Lines,
            Some("turns") => Unit::Turns,
            Some(_) => return Err(bad("unit must be lines or turns".into())),
        };
        let view = view(unit, asked.flag("interim", unit == Unit::Lines)?)?;
        let wait = asked.flag("wait", false)?;
        Ok(Self { from, view, unit, is_until_head, wait, replay: replay_params::ReplayParams::new(asked)? })
    }

    /// Reads the parameters of a message.
    pub(crate) fn of(message: Subscribe) -> Result<Self, CloseReason> {
        let Subscribe { from, interim, unit, until, wait, .. } = message;
        let view = view(unit, interim.unwrap_or(unit == Unit::Lines))?;
        Ok(Self { from, view, unit, is_until_head: until == SubscribeUntil::Head, wait, replay: None })
    }
}

fn view(unit: Unit, interim: bool) -> Result<FoldView, CloseReason> {
    match (unit, interim) {
        (Unit::Lines, true) => Ok(FoldView::Interim),
        (_, false) => Ok(FoldView::FinalOnly),
        (Unit::Turns, true) => Err(bad("whole turns have no interim lines: leave interim out".into())),
    }
}

fn bad(reason: String) -> CloseReason {
    CloseReason::close(CloseCode::BadRequest, reason)
}
