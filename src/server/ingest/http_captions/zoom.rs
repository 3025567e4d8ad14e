//! Posts in the form of Zoom.

use crate::dialect::{Decoded, Options, VendorFormat};
use crate::feed::OpenResult;
use crate::position::FeedId;
use crate::server::access::auth::Access;
use crate::server::http::problem::Problem;
use crate::server::ingest::http_captions::{CaptionPost, CaptionQuery, number, or_blank, session, text, told};
use crate::server::ingest::identity::PublisherIdentity;
use crate::server::ingest::service::IngestService;
use crate::transcript::FoldView;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use http::HeaderMap;
use std::sync::Arc;

/// `POST /v1/feeds/{feed}/zoom`
pub(crate) async fn zoom(
    State(service): State<Arc<IngestService>>,
    Path(name): Path<String>,
    Query(asked): Query<CaptionQuery>,
    Extension(access): Extension<Access>,
    headers: HeaderMap,
    body: Body,
) -> Result<String, Problem> {
    let seq = number(&asked)?.ok_or_else(|| Problem::bad("seq is missing: it is one higher with each request"))?;
    let text = text(&service, &headers, body).await?;
    let mut post = CaptionPost::open(service, &name, &asked, &access, "zoom").await?;
    let options = post.options("zoom");
    let frame = |text: &str, seq: u64| serde_json::json!({ "seq": seq, "text": text }).to_string();
    let decode = |text: &str, session: &str, number: u64| {
        let mut decoded = Decoded::default();
        let mut dialect = VendorFormat::Zoom.open(Options { tag: session.into(), ..options.clone() });
        dialect.decode(frame(text, number).as_bytes(), &mut decoded);
        or_blank(&mut decoded, format!("{session}-{number}"));
        decoded
    };
    let notes = post.take(Some(seq), (VendorFormat::Zoom, &text, frame(&text, seq).as_bytes()), decode).await?;
    Ok(told(seq, notes))
}

/// `GET /v1/feeds/{feed}/zoom/seq`: the last durable number; 0 if there is none. It creates no feed.
pub(crate) async fn zoom_seq(
    State(service): State<Arc<IngestService>>,
    Path(name): Path<String>,
    Query(asked): Query<CaptionQuery>,
    Extension(access): Extension<Access>,
) -> Result<String, Problem> {
    let name = FeedId::new(&name)?;
    let base = asked.get("session").map_or("zoom", String::as_str);
    let source = access.source(asked.get("source").map(String::as_str))?;
    let PublisherIdentity { source, session: base, .. } = PublisherIdentity::new(&service.context, source, Some(base))?;
    let feed = match service.catalog.feeds.open(&name).await? {
        OpenResult::Here(feed) => feed,
        OpenResult::Absent | OpenResult::Replaced(_) => return Ok(told(0, [])),
        OpenResult::Deleted => return Err(Problem::feed_deleted(&name)),
    };
    let view = feed.view(FoldView::Interim).await?;
    view.reach(feed.head().await?).await?;
    let (_, last) = session(&view, &source, &base);
    Ok(told(last.saturating_sub(1), []))
}
