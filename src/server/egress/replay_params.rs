//! The parameters of a replay.

use crate::server::access::upgrade::Asked;
use crate::server::core::close::End;
use crate::wire::CloseCode;
use crate::wire::subscribe::Pace;

/// What time a replay goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// Time at which the server took the records.
    Arrival,
    /// Where the speech stands in the event.
    Media,
}

/// What is asked of a replay.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) pace: Pace,
    pub(crate) by: Option<By>,
    pub(crate) max_gap_ms: Option<i64>,
}

impl Wanted {
    /// Reads the query; none where no `pace` is given.
    pub(crate) fn new(asked: &Asked) -> Result<Option<Self>, End> {
        let bad = |reason: &'static str| End::close(CloseCode::BadRequest, reason);
        let Some(pace) = asked.get("pace") else {
            return match (asked.get("pace_by"), asked.get("max_gap_ms")) {
                (None, None) => Ok(None),
                _ => Err(bad("pace_by and max_gap_ms say how to replay: give a pace too")),
            };
        };
        let by = match asked.get("pace_by") {
            None => None,
            Some("arrival") => Some(By::Arrival),
            Some("media") => Some(By::Media),
            Some(_) => return Err(bad("pace_by is arrival or media")),
        };
        let max_gap_ms = match asked.get("max_gap_ms").map(str::parse) {
            None => None,
            Some(Ok(ms)) if ms >= 0 => Some(ms),
            Some(_) => return Err(bad("max_gap_ms is a whole number of milliseconds")),
        };
        Ok(Some(Self { pace: pace.parse().map_err(bad)?, by, max_gap_ms }))
    }
}
