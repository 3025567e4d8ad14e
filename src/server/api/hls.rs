//! HLS over HTTP: a feed's playlist, and its segments.
//!
//! There is no state per player. A requested feed has a [`Timeline`], folded from the log and updated with each
//! request, so that it can be dropped at any time. While players request a live feed, its clock also continues during
//! silence (`maintenance`); otherwise its segments would not be published until somebody speaks again.
//!
//! Players cannot send headers: a `token=` in the playlist's URL is repeated in the URLs of its segments, and responses
//! may then be cached only by the player.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use form_urlencoded::byte_serialize;
use http::{HeaderValue, header};
use tokio::sync::OwnedMutexGuard;

use crate::feed::{Feed, FeedRecord, ReadEnd};
use crate::format::Format;
use crate::format::hls::{ListedSegments, Timeline};
use crate::log::LogError;
use crate::server::access::auth::Access;
use crate::server::core::catalog::Catalog;
use crate::server::http::feed_path::open;
use crate::server::http::problem::{Problem, ProblemCode};
use crate::transcript::{MediaMs, Timestamp};

/// The greatest offset of a video from media time 0: a week, like the greatest media time of captions.
const OFFSET_MS_MAX: MediaMs = 604_800_000;
/// A year: a published segment never changes (RFC 8246).
const FOR_EVER: [&str; 2] = ["public, max-age=31536000, immutable", "private, max-age=31536000, immutable"];
/// A second: players request again after the duration of a segment, and a cache in between combines simultaneous
/// requests.
const BRIEFLY: [&str; 2] = ["public, max-age=1", "private, max-age=1"];

/// Returns the feed's timeline, with everything that was durable at the call. Of concurrent requests, one updates it.
async fn timeline(catalog: &Catalog, feed: &Feed) -> Result<OwnedMutexGuard<Timeline>, Problem> {
    let start = feed.current_start();
    let head = feed.head().await?;
    // The starts of a log that only this server writes do not change while it runs.
    let starts = if feed.is_shared() { Some(feed.starts().await?) } else { None };
    let timeline = match catalog.hls_timelines.known(feed.log_id(), starts.as_ref()) {
        Some(timeline) => timeline,
        None => {
            let starts = match starts {
                Some(starts) => starts,
                None => feed.starts().await?,
            };
            catalog.hls_timelines.of(feed.log_id(), &catalog.context.config.hls, starts)
        }
    };
    let mut timeline = timeline.lock_owned().await;
    let mut reader = feed.reader(timeline.next_offset(), ReadEnd::Durable(head)).await?;
    // The head and the timeline are of this start; the reader notices if there is another from now on.
    if feed.current_start() != start {
        return Err(LogError::PutBack.into());
    }
    while let Some(FeedRecord { offset, record, .. }) = reader.next_record().await? {
        timeline.apply(offset, record);
    }
    Ok(timeline)
}

/// `GET /v1/feeds/{feed}/hls/captions.m3u8`
pub(crate) async fn playlist(
    State(catalog): State<Arc<Catalog>>,
    Extension(access): Extension<Access>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let listed = match query.get("type").map(String::as_str) {
        None | Some("live") => ListedSegments::Last(catalog.context.config.hls.window),
        Some("event") => ListedSegments::All,
        Some(_) => return Err(Problem::bad("type must be live or event")),
    };
    let start_at = match query.get("start_at").map(|text| Timestamp::parse(text)) {
        None => None,
        Some(Some(at)) => Some(at),
        Some(None) => return Err(Problem::bad("start_at must be a time such as 2026-11-23T18:31:05Z")),
    };
    let for_segments = for_segments(offset_ms(&query)?, query.get("token").filter(|_| access.is_by_token()));
    let feed = open(&catalog, &name).await?;
    let text = timeline(&catalog, &feed).await?.playlist(
        listed,
        catalog.context.config.hls.listed_max,
        start_at,
        &for_segments,
    );
    Ok(answer(&access, "application/vnd.apple.mpegurl", BRIEFLY, text))
}

/// `GET /v1/feeds/{feed}/hls/{segment}`
pub(crate) async fn segment(
    State(catalog): State<Arc<Catalog>>,
    Extension(access): Extension<Access>,
    Path((name, segment)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let offset_ms = offset_ms(&query)?;
    let feed = open(&catalog, &name).await?;
    let text = timeline(&catalog, &feed).await?.segment(&segment, offset_ms);
    let text = text.ok_or_else(|| Problem::new(ProblemCode::NotFound, "no such segment is published"))?;
    Ok(answer(&access, Format::Vtt.content_type(), FOR_EVER, text))
}

/// Builds a response: public content may be cached by any cache, content for a token only by its owner's.
fn answer(access: &Access, content_type: &'static str, [public, private]: [&'static str; 2], text: String) -> Response {
    let cache = if access.is_by_token() { private } else { public };
    let headers = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, cache)];
    (headers.map(|(name, value)| (name, HeaderValue::from_static(value))), text).into_response()
}

/// Returns the query for the segments of a playlist, built from parsed values because it becomes part of a text.
/// Players cannot send a header, so the token is included if it was in the URL and gave access.
fn for_segments(offset_ms: MediaMs, token: Option<&String>) -> String {
    let offset = (offset_ms != 0).then(|| format!("offset_ms={offset_ms}"));
    let token = token.map(|token| format!("token={}", byte_serialize(token.as_bytes()).collect::<String>()));
    let given: Vec<String> = offset.into_iter().chain(token).collect();
    if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
}

fn offset_ms(query: &HashMap<String, String>) -> Result<MediaMs, Problem> {
    let Some(text) = query.get("offset_ms") else { return Ok(0) };
    match text.parse() {
        Ok(ms) if (-OFFSET_MS_MAX..=OFFSET_MS_MAX).contains(&ms) => Ok(ms),
        _ => Err(Problem::bad(format!("offset_ms must be a whole number from -{OFFSET_MS_MAX} to {OFFSET_MS_MAX}"))),
    }
}
