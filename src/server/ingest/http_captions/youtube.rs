//! Posts in the form of YouTube.

use crate::client::wall_time;
use crate::dialect::{Decoded, Options, VendorFormat};
use crate::server::access::auth::Access;
use crate::server::http::problem::Problem;
use crate::server::ingest::http_captions::{CaptionPost, CaptionQuery, number, or_blank, text, told};
use crate::server::ingest::service::IngestService;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use http::HeaderMap;
use std::sync::Arc;

/// `POST /v1/feeds/{feed}/youtube`. An empty body is a heartbeat. The answer is the server's time; the times of
/// captions have to be near it.
pub(crate) async fn youtube(
    State(service): State<Arc<IngestService>>,
    Path(name): Path<String>,
    Query(asked): Query<CaptionQuery>,
    Extension(access): Extension<Access>,
    headers: HeaderMap,
    body: Body,
) -> Result<String, Problem> {
    let text = text(&service, &headers, body).await?;
    let now = |service: &IngestService| wall_time(service.context.clock.now());
    if text.trim().is_empty() {
        return Ok(told(now(&service), []));
    }
    let seq = number(&asked)?;
    let mut post = CaptionPost::open(service, &name, &asked, &access, "youtube").await?;
    let options = post.options("youtube");
    let decode = |text: &str, session: &str, number: u64| {
        let mut decoded = Decoded::default();
        let tag = format!("{session}-{number}");
        let mut dialect = VendorFormat::YouTube.open(Options { tag: tag.as_str().into(), ..options.clone() });
        dialect.decode(text.as_bytes(), &mut decoded);
        dialect.end(&mut decoded);
        or_blank(&mut decoded, format!("{tag}-1"));
        decoded
    };
    let notes = post.take(seq, (VendorFormat::YouTube, &text, text.as_bytes()), decode).await?;
    Ok(told(now(&post.service), notes))
}
