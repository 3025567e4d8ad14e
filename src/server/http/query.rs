//! The query of a URL.

use std::collections::HashMap;

use crate::server::core::connection_end::CloseReason;
use crate::wire::CloseCode;
use crate::wire::subscriber::RESERVED_PARAMETERS;

/// Returns the token in a query.
pub(crate) fn url_token(text: Option<&str>) -> Option<String> {
    pairs(text).ok()?.into_iter().rfind(|(name, _)| name == "token").map(|(_, token)| token)
}

/// Parses the parameters of a query except the token. Of a repeated parameter, the last value counts.
pub(crate) fn query(query: Option<&str>) -> Result<HashMap<String, String>, CloseReason> {
    Ok(pairs(query)?.into_iter().filter(|(name, _)| name != "token").collect())
}

/// Returns the first parameter of a query that would change what a reader is sent, and that this server does not have.
pub(crate) fn reserved_parameter(text: Option<&str>) -> Option<&'static str> {
    let names = query(text).ok()?;
    RESERVED_PARAMETERS.into_iter().find(|name| names.contains_key(*name))
}

fn pairs(query: Option<&str>) -> Result<Vec<(String, String)>, CloseReason> {
    let uri = format!("/?{}", query.unwrap_or_default());
    let bad =
        || CloseReason::close(CloseCode::BadRequest, "the query cannot be read: write it as name=value&name=value");
    let uri: http::Uri = uri.parse().map_err(|_| bad())?;
    // Parsed as pairs, so that a repeated parameter is no error.
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).map_err(|_| bad())?;
    Ok(pairs.0)
}
