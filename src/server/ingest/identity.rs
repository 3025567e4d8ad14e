//! The identity of a publisher: its source and its session.

use std::sync::Arc;

use crate::position::{BadName, Epoch};
use crate::server::app::App;
use crate::transcript::line::{check_line_id, check_source};

/// The source that publishes, and the session that its numbers count in.
#[derive(Debug, Clone)]
pub(in crate::server) struct Publisher {
    pub(in crate::server) source: Arc<str>,
    pub(in crate::server) session: Arc<str>,
}

impl Publisher {
    /// Reads the query's `source` and `session`; without a session it is a new one.
    pub(in crate::server) fn new(app: &App, source: Option<&str>, session: Option<&str>) -> Result<Self, BadName> {
        let source = source.unwrap_or("main");
        check_source(source)?;
        let session = match session {
            Some(session) => {
                // Sessions are named by the same rule as lines.
                check_line_id(session).map_err(|bad| BadName { what: "session", ..bad })?;
                session.into()
            }
            None => format!("s-{}", Epoch::from_random(app.chance.next())).into(),
        };
        Ok(Self { source: source.into(), session })
    }
}
