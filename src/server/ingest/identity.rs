//! The identity of a publisher: its source and its session.

use std::collections::HashMap;
use std::sync::Arc;

use crate::position::{BadName, Epoch};
use crate::server::core::context::ServerContext;
use crate::server::http::problem::Problem;
use crate::transcript::PublishedBy;
use crate::transcript::line::{check_line_id, check_source};

/// A source, and the session in which its messages are numbered.
#[derive(Debug, Clone)]
pub(crate) struct PublisherIdentity {
    pub(crate) source: Arc<str>,
    pub(crate) session: Arc<str>,
    /// True if its ids name the source's lines, whichever session sent them; false if they belong to the session.
    pub(crate) corrects: bool,
}

impl PublisherIdentity {
    /// Reads `source` and `session` of the query. Without a session it creates a new one.
    pub(crate) fn new(context: &ServerContext, source: Option<&str>, session: Option<&str>) -> Result<Self, BadName> {
        let source = source.unwrap_or("main");
        check_source(source)?;
        let session = match session {
            Some(session) => {
                // Session names follow the same rule as line ids.
                check_line_id(session).map_err(|bad| BadName { what: "session", ..bad })?;
                session.into()
            }
            None => format!("s-{}", Epoch::from_random(context.chance.next())).into(),
        };
        Ok(Self { source: source.into(), session, corrects: false })
    }

    /// Returns the publisher part of the record of message `seq`.
    pub(crate) fn published(&self, seq: u64) -> PublishedBy {
        let Self { source, session, corrects } = self;
        PublishedBy { source: source.clone(), session: session.clone(), seq, own_ids: !corrects }
    }
}

/// Reads the parameter `corrects` of a request.
pub(crate) fn is_correcting(query: &HashMap<String, String>) -> Result<bool, Problem> {
    match query.get("corrects").map(String::as_str) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::bad("corrects must be true or false")),
    }
}
