//! Feeds over HTTP: list, status, creation, metadata, state, and operations on speakers.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use crate::config::Role;
use crate::feed::{Feed, OpenResult};
use crate::position::FeedId;
use crate::server::access::auth::Access;
use crate::server::api::speaker_suggestions::suggest_speakers;
use crate::server::core::catalog::Catalog;
use crate::server::core::feed_list::{summarize, summarize_all};
use crate::server::core::summaries::Summary;
use crate::server::http::body::read_json;
use crate::server::http::feed_path::open;
use crate::server::http::problem::{Problem, ProblemCode};
use crate::transcript::{FeedMeta, FeedState, FoldView, Op, Record, Speaker};

/// The longest title, in bytes: one line on a page.
const TITLE_BYTES_MAX: usize = 512;
/// The longest language tag, in bytes. RFC 5646, section 4.4.1, advises room for 35.
const LANGUAGE_BYTES_MAX: usize = 35;
/// The longest name, id or kind of a speaker, and the longest `op_id`, in bytes.
const NAME_BYTES_MAX: usize = 256;

#[derive(Serialize)]
struct FeedList {
    feeds: Vec<Summary>,
    /// Number of all matching feeds, if the list is paginated.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<usize>,
    /// Value of `after` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// `GET /v1/feeds`
pub(crate) async fn list(
    State(catalog): State<Arc<Catalog>>,
    Query(query): Query<HashMap<String, String>>,
    Extension(access): Extension<Access>,
) -> Result<Response, Problem> {
    let state = match query.get("state").map(String::as_str) {
        None => None,
        Some("scheduled") => Some(FeedState::Scheduled),
        Some("live") => Some(FeedState::Live),
        Some("paused") => Some(FeedState::Paused),
        Some("ended") => Some(FeedState::Ended),
        Some(_) => return Err(Problem::bad("state must be scheduled, live, paused or ended")),
    };
    let feeds = summarize_all(&catalog).await?.into_iter().map(|(_, summary)| summary);
    let feeds = feeds.filter(|summary| access.may(Role::Subscribe, &summary.feed));
    let mut feeds: Vec<Summary> = feeds.filter(|summary| state.is_none_or(|state| summary.state == state)).collect();
    let max = catalog.context.config.limits.feeds_listed_max;
    let limit = match query.get("limit").map(|limit| limit.parse()) {
        None if query.contains_key("after") => max,
        None => return Ok(Json(FeedList { feeds, total: None, next: None }).into_response()),
        Some(Ok(limit)) if (1..=max).contains(&limit) => limit,
        Some(_) => return Err(Problem::bad(format!("limit must be a whole number from 1 to {max}"))),
    };
    let after = match query.get("after").map(|after| ListRank::parse(after)) {
        None => None,
        Some(Some(after)) => Some(after),
        Some(None) => return Err(Problem::bad("after must be the value of `next` from the page before")),
    };
    let total = feeds.len();
    feeds.sort_by_cached_key(ListRank::of);
    let from = after.map_or(0, |after| feeds.partition_point(|summary| ListRank::of(summary) <= after));
    feeds.drain(..from);
    let has_more = feeds.len() > limit;
    feeds.truncate(limit);
    let next = feeds.last().filter(|_| has_more).map(|last| ListRank::of(last).to_string());
    Ok(Json(FeedList { feeds, total: Some(total), next }).into_response())
}

/// Rank of a feed in a list for people: running feeds first, and of these the ones with the latest lines. A page begins
/// after a rank, so that no feed is listed twice or skipped because another one moved in the meantime.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct ListRank {
    state: usize,
    spoke: Reverse<Option<i64>>,
    feed: String,
}

impl ListRank {
    const STATES: [FeedState; 5] =
        [FeedState::Live, FeedState::Paused, FeedState::Scheduled, FeedState::Ended, FeedState::None];

    fn of(summary: &Summary) -> Self {
        let state = Self::STATES.iter().position(|state| *state == summary.state).unwrap_or(Self::STATES.len());
        let spoke = Reverse(summary.last_line_at.map(|at| at.0));
        Self { state, spoke, feed: summary.feed.as_str().to_owned() }
    }

    /// Parses the output of [`Display`](fmt::Display).
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let (state, spoke, feed) = (parts.next()?, parts.next()?, parts.next()?);
        let spoke = if spoke.is_empty() { None } else { Some(spoke.parse().ok()?) };
        Some(Self { state: state.parse().ok()?, spoke: Reverse(spoke), feed: feed.to_owned() })
    }
}

impl fmt::Display for ListRank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, spoke: Reverse(spoke), feed } = self;
        match spoke {
            Some(spoke) => write!(f, "{state}.{spoke}.{feed}"),
            None => write!(f, "{state}..{feed}"),
        }
    }
}

/// `GET /v1/feeds/{feed}`
pub(crate) async fn get(State(catalog): State<Arc<Catalog>>, Path(name): Path<String>) -> Result<Response, Problem> {
    let feed = open(&catalog, &name).await?;
    answer(&catalog, &feed, StatusCode::OK).await
}

async fn answer(catalog: &Catalog, feed: &Arc<Feed>, status: StatusCode) -> Result<Response, Problem> {
    let summary = summarize(catalog, feed).await?;
    Ok((status, Json(summary)).into_response())
}

/// Body of a request that creates or changes a feed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeedRequest {
    title: Option<Arc<str>>,
    language: Option<Arc<str>>,
}

impl FeedRequest {
    fn into_meta(self) -> Result<FeedMeta, Problem> {
        check_text("title", self.title.as_deref(), TITLE_BYTES_MAX)?;
        check_text("language", self.language.as_deref(), LANGUAGE_BYTES_MAX)?;
        Ok(FeedMeta { title: self.title, language: self.language, ..FeedMeta::default() })
    }
}

fn check_text(what: &str, text: Option<&str>, bytes_max: usize) -> Result<(), Problem> {
    let Some(text) = text else { return Ok(()) };
    if text.trim().is_empty() || text.len() > bytes_max || text.chars().any(char::is_control) {
        return Err(Problem::bad(format!("{what} must be 1 to {bytes_max} bytes of text without control characters")));
    }
    Ok(())
}

/// `PUT /v1/feeds/{feed}`: the body may be omitted.
pub(crate) async fn put(
    State(catalog): State<Arc<Catalog>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let name = FeedId::new(&name)?;
    let is_empty = hyper::body::Body::is_end_stream(&body);
    let facts = if is_empty { FeedRequest::default() } else { read_json(&catalog.context, &headers, body).await? };
    let meta = facts.into_meta()?;
    let first = || {
        let mut first = vec![catalog.context.opening(false)];
        if meta != FeedMeta::default() {
            first.push(catalog.context.record(Op::Meta(meta.clone())));
        }
        first
    };
    if !matches!(catalog.feeds.open(&name).await?, OpenResult::Here(_)) {
        catalog.check_room_for_a_feed().await?;
    }
    let (feed, is_new) = catalog.feeds.create(&name, true, first).await?;
    if is_new {
        tracing::info!(feed = %name, "feed created");
    }
    if !is_new && meta != FeedMeta::default() {
        feed.append_all(&[catalog.context.record(Op::Meta(meta))]).await?;
    }
    answer(&catalog, &feed, if is_new { StatusCode::CREATED } else { StatusCode::OK }).await
}

/// `PATCH /v1/feeds/{feed}`
pub(crate) async fn patch(
    State(catalog): State<Arc<Catalog>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let feed = open(&catalog, &name).await?;
    let meta = read_json::<FeedRequest>(&catalog.context, &headers, body).await?.into_meta()?;
    if meta != FeedMeta::default() {
        feed.append_all(&[catalog.context.record(Op::Meta(meta))]).await?;
    }
    answer(&catalog, &feed, StatusCode::OK).await
}

/// `DELETE /v1/feeds/{feed}`
pub(crate) async fn delete(State(catalog): State<Arc<Catalog>>, Path(name): Path<String>) -> Result<Response, Problem> {
    let feed = open(&catalog, &name).await?;
    catalog.delete_feed(&feed).await?;
    tracing::info!(feed = %feed.name(), "feed deleted");
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestedState {
    state: FeedState,
}

/// `POST /v1/feeds/{feed}/state`
pub(crate) async fn set_state(
    State(catalog): State<Arc<Catalog>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let feed = open(&catalog, &name).await?;
    let RequestedState { state } = read_json(&catalog.context, &headers, body).await?;
    let view = feed.view(FoldView::Interim).await?;
    let now = view.transcript().state();
    let op = match (now, state) {
        (now, state) if now == state => None,
        (FeedState::Scheduled | FeedState::Paused, FeedState::Live) => Some(Op::Resume),
        (FeedState::Ended, FeedState::Live) => Some(Op::Reopen),
        (FeedState::Live, FeedState::Paused) => Some(Op::Pause),
        (_, FeedState::Ended) => Some(Op::End),
        (now, FeedState::Paused) => {
            return Err(Problem::bad(format!("only a live feed can be paused; this one is {}", now.as_str())));
        }
        _ => return Err(Problem::bad("state must be live, paused or ended")),
    };
    if let Some(op) = op {
        feed.append_all(&[catalog.context.record(op)]).await?;
        tracing::info!(feed = %feed.name(), from = now.as_str(), to = state.as_str(), "feed state changed");
    }
    answer(&catalog, &feed, StatusCode::OK).await
}

/// An operation of a desk.
#[derive(Deserialize)]
#[serde(tag = "op", deny_unknown_fields)]
enum DeskRequest {
    #[serde(rename = "speaker.rename")]
    Rename {
        op_id: Arc<str>,
        speaker: Arc<str>,
        name: Arc<str>,
        kind: Option<Arc<str>>,
        #[serde(default)]
        create: bool,
    },
    #[serde(rename = "speaker.merge")]
    Merge {
        op_id: Arc<str>,
        from: Arc<str>,
        into: Arc<str>,
        #[serde(default)]
        create: bool,
    },
    #[serde(rename = "speaker.unmerge")]
    Unmerge { op_id: Arc<str>, from: Arc<str> },
}

#[derive(Serialize)]
struct DeskReceipt {
    op_id: Arc<str>,
    changed: bool,
    /// Reason why a merge had no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// `POST /v1/feeds/{feed}/desk`
pub(crate) async fn desk(
    State(catalog): State<Arc<Catalog>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let feed = open(&catalog, &name).await?;
    let (op_id, about, create, op) = match read_json(&catalog.context, &headers, body).await? {
        DeskRequest::Rename { op_id, speaker, name, kind, create } => {
            check_text("speaker", Some(&speaker), NAME_BYTES_MAX)?;
            check_text("name", Some(&name), NAME_BYTES_MAX)?;
            check_text("kind", kind.as_deref(), NAME_BYTES_MAX)?;
            (op_id, vec![speaker.clone()], create, Op::Rename { speaker, name, kind })
        }
        DeskRequest::Merge { op_id, from, into, create } => {
            check_text("from", Some(&from), NAME_BYTES_MAX)?;
            check_text("into", Some(&into), NAME_BYTES_MAX)?;
            (op_id, vec![from.clone(), into.clone()], create, Op::Merge { from, into })
        }
        DeskRequest::Unmerge { op_id, from } => {
            check_text("from", Some(&from), NAME_BYTES_MAX)?;
            (op_id, vec![from.clone()], false, Op::Unmerge { from })
        }
    };
    check_text("op_id", Some(&op_id), NAME_BYTES_MAX)?;
    let view = feed.view(FoldView::Interim).await?;
    let before = view.transcript().speakers();
    if !create {
        about.iter().try_for_each(|id| check_known(&before, id))?;
    }
    let taken = || {
        let detail = format!("op_id {op_id:?} was used for another operation: give each its own");
        Problem::new(ProblemCode::Conflict, detail)
    };
    if view.transcript().is_op_id_taken(&op_id, &op) {
        return Err(taken());
    }
    let record = Record { op_id: Some(op_id.clone()), ..catalog.context.record(op.clone()) };
    let end = feed.append_all(&[record]).await?;
    view.reach(end).await?;
    // Another request may have been stored first.
    if view.transcript().is_op_id_taken(&op_id, &op) {
        return Err(taken());
    }
    let after = view.transcript().speakers();
    let changed = find_speaker(&before, &about[0]) != find_speaker(&after, &about[0]);
    let reason = match &op {
        Op::Merge { from, into } => why_not_merged(&after, from, into),
        _ => None,
    };
    Ok(Json(DeskReceipt { op_id, changed, reason }).into_response())
}

/// Returns the reason why `from` is not merged into `into` as requested; `None` if it is.
fn why_not_merged(speakers: &[Speaker], from: &str, into: &str) -> Option<String> {
    if from == into {
        return Some(format!("{from:?} cannot be merged into itself"));
    }
    match find_speaker(speakers, from)?.into.as_deref() {
        Some(already) if already == into => None,
        Some(other) => Some(format!("{from:?} is merged into {other:?} already: unmerge {from:?} first")),
        None => Some(format!("{into:?} is merged into {from:?}, so this would make a circle: unmerge {into:?} first")),
    }
}

fn find_speaker<'a>(speakers: &'a [Speaker], id: &str) -> Option<&'a Speaker> {
    speakers.iter().find(|speaker| *speaker.id == *id)
}

/// Refuses an unknown speaker: a typing error would create one that never speaks.
fn check_known(speakers: &[Speaker], id: &str) -> Result<(), Problem> {
    if find_speaker(speakers, id).is_some() {
        return Ok(());
    }
    let near = suggest_speakers(speakers, id);
    let (are_many, near) = (near.len() > 1, near.join(", "));
    let hint = match (near.is_empty(), are_many) {
        (true, _) => format!("the feed has {}, and none has a similar id.", count_speakers(speakers.len())),
        (false, false) => format!("did you mean {near}?"),
        (false, true) => format!("did you mean one of {near}?"),
    };
    let detail = format!(
        "no speaker has the id {id:?}: {hint} To name or merge a speaker who has not spoken yet, set create to true \
         (--create)"
    );
    Err(Problem::new(ProblemCode::NoSuchSpeaker, detail))
}

fn count_speakers(count: usize) -> String {
    match count {
        1 => "1 speaker".to_owned(),
        count => format!("{count} speakers"),
    }
}
