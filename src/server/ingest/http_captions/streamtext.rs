//! Posts in the form of StreamText.

use crate::dialect::{Decoded, VendorFormat};
use crate::position::Epoch;
use crate::server::access::auth::Access;
use crate::server::http::body::read;
use crate::server::http::problem::Problem;
use crate::server::ingest::caption_streams::{CaptionNumber, CaptionStream};
use crate::server::ingest::http_captions::{
    BEGUN_ANEW, CaptionPost, CaptionQuery, GAP, LATE_IN_STREAM, ParsedPost, in_utf8, number, told,
};
use crate::server::ingest::service::IngestService;
use crate::transcript::Op;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use http::HeaderMap;
use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::Arc;
use tokio::time::Instant;

/// `POST /v1/feeds/{feed}/streamtext`
pub(crate) async fn streamtext(
    State(service): State<Arc<IngestService>>,
    Path(name): Path<String>,
    Query(asked): Query<CaptionQuery>,
    Extension(access): Extension<Access>,
    headers: HeaderMap,
    body: Body,
) -> Result<String, Problem> {
    let body =
        in_utf8(&headers, read(&service.context, &headers, body, service.context.config.limits.message_bytes).await?)?;
    let seq = number(&asked)?;
    let mut post = CaptionPost::open(service, &name, &asked, &access, "streamtext").await?;
    let begin = |post: &CaptionPost| {
        let tag = Epoch::from_random(post.service.context.chance.next()).to_string();
        CaptionStream {
            dialect: VendorFormat::StreamText.open(post.options(&tag)),
            session: format!("{}-{tag}", post.base).into(),
            seq: 0,
            last: None,
            missing: Vec::new(),
            recent: VecDeque::new(),
            used: Instant::now(),
        }
    };
    let stream = post.service.streams.get(
        &post.service.context.config.limits,
        (post.pipeline.feed.log_id().clone(), post.pipeline.publisher.source.clone()),
        || begin(&post),
    );
    let mut stream = stream.lock().await;
    stream.used = Instant::now();
    let hash = post.service.streams.hasher.hash_one(&body);
    let note = match seq.map(|seq| stream.note(seq, hash, Instant::now())) {
        Some(CaptionNumber::Repeat) => {
            post.pipeline.warn_if_off_air();
            return Ok(told(seq.unwrap_or_default(), post.warnings()));
        }
        Some(CaptionNumber::AfterGap) => Some(GAP),
        Some(CaptionNumber::Late) => Some(LATE_IN_STREAM),
        Some(CaptionNumber::Next) | None => None,
    };
    let source = &post.pipeline.publisher.source;
    // Interim lines of a stream that is no longer known. Other interim lines belong to programs that continue them.
    let is_of_streams = |session: &str| {
        let tag = session.strip_prefix(&*post.base).and_then(|rest| rest.strip_prefix('-'));
        tag.is_some_and(|tag| !tag.contains('-'))
    };
    let open = match stream.seq {
        0 => post.pipeline.view.transcript().interim_lines_of(source, is_of_streams),
        _ => Vec::new(),
    };
    let note = note.into_iter().chain((!open.is_empty()).then_some(BEGUN_ANEW)).map(str::to_owned);
    let (source, now) = (source.clone(), post.service.context.clock.now());
    for (id, rev, _) in open {
        post.pipeline.push_own(Op::Abandon { source: source.clone(), id, rev: Some(rev) }, now);
    }
    let mut decoded = Decoded::default();
    stream.dialect.decode(&body, &mut decoded);
    let (session, first) = (stream.session.clone(), stream.seq + 1);
    stream.seq += decoded.says.len() as u64;
    let posted = ParsedPost { format: VendorFormat::StreamText, frame: &body, says: decoded.says };
    let notes = match post.publish(&session, first, posted).await {
        Ok(notes) => notes,
        Err(problem) => {
            // The content may not be stored: if the same text is sent again, it begins a new stream.
            *stream = begin(&post);
            return Err(problem);
        }
    };
    let faults = decoded.faults.iter().map(ToString::to_string);
    Ok(told(seq.unwrap_or_default(), faults.chain(notes).chain(note)))
}
