//! The identity of a publisher: its source and its session.

use std::collections::HashMap;
use std::sync::Arc;

use crate::position::{BadName, Epoch};
use crate::server::core::context::ServerContext;
use crate::server::http::problem::Problem;
use crate::transcript::PublishedBy;
use crate::transcript::line::{check_line_id, check_source};

/// The source that publishes, and the session that its numbers count in.
#[derive(Debug, Clone)]
pub(crate) struct PublisherIdentity {
    pub(crate) source: Arc<str>,
    pub(crate) session: Arc<str>,
    /// True if its ids name the source's lines, whichever session sent them; false if they are the session's own.
    pub(crate) corrects: bool,
}

impl PublisherIdentity {
    /// Reads the query's `source` and `session`; without a session it is a new one.
    pub(crate) fn new(context: &ServerContext, source: Option<&str>, session: Option<&str>) -> Result<Self, BadName> {
        let source = source.unwrap_or("main");
        check_source(source)?;
        let session = match session {
            Some(session) => {
                // Sessions are named by the same rule as lines.
                check_line_id(session).map_err(|bad| BadName { what: "session", ..bad })?;
                session.into()
            }
            None => format!("s-{}", Epoch::from_random(context.chance.next())).into(),
        };
        Ok(Self { source: source.into(), session, corrects: false })
    }

    /// Who publishes the message `seq`, as a record says it.
    pub(crate) fn published(&self, seq: u64) -> PublishedBy {
        let Self { source, session, corrects } = self;
        PublishedBy { source: source.clone(), session: session.clone(), seq, own_ids: !corrects }
    }
}

/// Reads a request's `corrects`.
pub(crate) fn is_correcting(query: &HashMap<String, String>) -> Result<bool, Problem> {
    match query.get("corrects").map(String::as_str) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::bad("corrects is true or false")),
    }
}
