//! Full-text search over HTTP, in the feeds that the client may read.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header;
use serde::Serialize;

use crate::config::{Role, TimesConfig};
use crate::position::FeedId;
use crate::search::{IndexQuery, RANKED_MAX, SearchError, SearchHits, SearchTerms};
use crate::server::access::auth::Access;
use crate::server::background::search_indexer::LiveIndex;
use crate::server::core::catalog::Catalog;
use crate::server::http::feed_path::open;
use crate::server::http::problem::{Problem, ProblemCode};
use crate::transcript::time::parse_clock;
use crate::transcript::{MediaMs, Timestamp};
use crate::wire::search::{Hit, HitOrder};

/// Default number of hits per response: a page for people.
const HITS_USUAL: usize = 20;

#[derive(Serialize)]
struct SearchAnswer {
    hits: Vec<Hit>,
    /// Number of all hits, up to [`RANKED_MAX`].
    total: usize,
    order: HitOrder,
    /// True if feeds were left out because the index is not up to date for them.
    catching_up: bool,
}

/// `GET /v1/search`
pub(crate) async fn get(
    State(catalog): State<Arc<Catalog>>,
    State(search): State<Option<Arc<LiveIndex>>>,
    Query(query): Query<HashMap<String, String>>,
    Extension(access): Extension<Access>,
) -> Result<Response, Problem> {
    let Some(search) = &search else {
        let detail = "this server keeps no search index: set search = true in its configuration";
        return Err(Problem::new(ProblemCode::Unsupported, detail));
    };
    let limits = &catalog.context.config.limits;
    let typed = query.get("q").map(String::as_str).unwrap_or_default();
    if typed.len() > limits.search_query_bytes {
        return Err(Problem::bad(format!("q has {} bytes at most", limits.search_query_bytes)));
    }
    let words = SearchTerms::parse(typed).map_err(|bad| Problem::bad(format!("q: {bad}")))?;
    let page = (
        number(&query, "offset", 0..=RANKED_MAX)?.unwrap_or(0),
        number(&query, "limit", 1..=limits.search_hits_max)?.unwrap_or(HITS_USUAL.min(limits.search_hits_max)),
    );
    let (from, to) = (time(&query, "from")?, time(&query, "to")?);
    let only = match query.get("feed") {
        Some(name) => {
            let name = FeedId::new(name)?;
            // Checked first, so that a client without the right does not learn whether the feed exists.
            access.require(Role::Subscribe, &name)?;
            open(&catalog, name.as_str()).await?;
            Some(name)
        }
        None => None,
    };
    let Some(_seat) = search.searches.try_acquire() else {
        return Err(Problem::new(
            ProblemCode::TooManyConnections,
            "too many searches run (limits.searches_max): retry later",
        ));
    };
    let wanted = |feed: &FeedId| only.as_ref().is_none_or(|only| only == feed) && access.may(Role::Subscribe, feed);
    let (lives, is_all) = search.lives(&catalog, wanted).await?;
    let question = IndexQuery {
        words,
        lives,
        speaker: query.get("speaker").cloned(),
        media: (from.and_then(TimeBound::media), to.and_then(TimeBound::media)),
        taken: (from.and_then(TimeBound::taken), to.and_then(TimeBound::taken)),
        page,
    };
    let timeout = TimesConfig::ms(catalog.context.config.times.search_timeout_ms);
    let SearchHits { hits, total, order } = search.index.find(question, timeout).await?;
    let answer = SearchAnswer { hits, total, order, catching_up: !is_all };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// A bound of time.
#[derive(Clone, Copy)]
enum TimeBound {
    Media(MediaMs),
    Taken(Timestamp),
}

impl TimeBound {
    fn media(self) -> Option<MediaMs> {
        if let Self::Media(ms) = self { Some(ms) } else { None }
    }

    fn taken(self) -> Option<Timestamp> {
        if let Self::Taken(at) = self { Some(at) } else { None }
    }
}

fn time(query: &HashMap<String, String>, name: &str) -> Result<Option<TimeBound>, Problem> {
    let Some(text) = query.get(name) else { return Ok(None) };
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let ms = if is_number { text.parse().ok() } else { parse_clock(text) };
    let media = ms.map(TimeBound::Media);
    let taken = || Timestamp::parse(text).or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")));
    match media.or_else(|| taken().map(TimeBound::Taken)) {
        Some(moment) => Ok(Some(moment)),
        None => Err(Problem::bad(format!(
            "{name} must be media time (milliseconds, MM:SS or H:MM:SS), or a date or moment such as \
             2026-11-23T18:31:05Z"
        ))),
    }
}

fn number(
    query: &HashMap<String, String>,
    name: &str,
    range: std::ops::RangeInclusive<usize>,
) -> Result<Option<usize>, Problem> {
    let Some(text) = query.get(name) else { return Ok(None) };
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        _ => Err(Problem::bad(format!("{name} must be a whole number from {} to {}", range.start(), range.end()))),
    }
}

impl From<SearchError> for Problem {
    fn from(error: SearchError) -> Self {
        Self::new(ProblemCode::StorageUnavailable, error.to_string())
    }
}
