//! The parameters of a replay.

use crate::server::access::upgrade::RequestContext;
use crate::server::core::connection_end::CloseReason;
use crate::wire::CloseCode;
use crate::wire::subscriber::{BadPace, Pace, ReplayClock};

/// Parameters of a replay.
#[derive(Debug, Clone)]
pub(crate) struct ReplayParams {
    pub(crate) pace: Pace,
    pub(crate) by: Option<ReplayClock>,
    pub(crate) max_gap_ms: Option<i64>,
}

impl ReplayParams {
    /// Reads the query; none where no `pace` is given.
    pub(crate) fn new(asked: &RequestContext) -> Result<Option<Self>, CloseReason> {
        let bad = |reason: &'static str| CloseReason::close(CloseCode::BadRequest, reason);
        let Some(pace) = asked.get("pace") else {
            return match (asked.get("pace_by"), asked.get("max_gap_ms")) {
                (None, None) => Ok(None),
                _ => Err(bad("pace_by and max_gap_ms say how to replay: give a pace too")),
            };
        };
        let by = match asked.get("pace_by") {
            None => None,
            Some("arrival") => Some(ReplayClock::Arrival),
            Some("media") => Some(ReplayClock::Media),
            Some(_) => return Err(bad("pace_by must be arrival or media")),
        };
        let max_gap_ms = match asked.get("max_gap_ms").map(str::parse) {
            None => None,
            Some(Ok(ms)) if ms >= 0 => Some(ms),
            Some(_) => return Err(bad("max_gap_ms must be a whole number of milliseconds")),
        };
        Ok(Some(Self {
            pace: pace
                .parse()
                .map_err(|error: BadPace| CloseReason::close(CloseCode::BadRequest, error.to_string()))?,
            by,
            max_gap_ms,
        }))
    }
}
