//! Subscriptions over plain HTTP: Server-Sent Events and streaming text.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use tokio::sync::mpsc;
use tracing::Instrument;

use crate::config::TimesConfig;
use crate::feed::OpenResult;
use crate::position::{Cursor, FeedId};
use crate::server::access::middleware::{ForeignOrigin, ORIGIN_RULE, TOO_MANY_CONNECTIONS};
use crate::server::access::peer::Peer;
use crate::server::access::upgrade::RequestContext;
use crate::server::core::connection_end::{CloseReason, Finish};
use crate::server::egress::http_stream::{ConnectionAbort, HttpStreamSink, StreamFormat};
use crate::server::egress::http_stream_body::HttpStreamBody;
use crate::server::egress::params::SubscribeParams;
use crate::server::egress::service::EgressService;
use crate::server::egress::session::SubscriberSession;
use crate::server::egress::single_feed::SingleFeed;
use crate::server::egress::sink::SubscriberSink;
use crate::server::egress::subscribed_feed::SubscribedFeed;
use crate::server::egress::text_rows::TextRows;
use crate::server::http::problem::{Problem, ProblemCode};
use crate::transcript::{FeedState, FoldView};
use crate::wire::CloseCode;
use crate::wire::subscriber::{REPLAY_PARAMETERS, StartPoint};

/// `GET /v1/feeds/{feed}/events`
pub(crate) async fn events(
    State(service): State<Arc<EgressService>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let last = request.headers().get("last-event-id").cloned();
    begin(service, FeedId::new(&name)?, request, |asked| {
        let mut params = SubscribeParams::new(asked).map_err(|end| problem(&end))?;
        if let Some(last) = last {
            let last = last.to_str().ok().and_then(|last| last.parse().ok());
            let last = last.ok_or_else(|| Problem::bad("Last-Event-ID is no cursor of this server"))?;
            params.from = StartPoint::Cursor(last);
        }
        Ok((params, StreamFormat::Events))
    })
    .await
}

/// `GET /v1/feeds/{feed}/text`
pub(crate) async fn text(
    State(service): State<Arc<EgressService>>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    begin(service, FeedId::new(&name)?, request, |asked| {
        text_params(asked).map(|(params, rows)| (params, StreamFormat::Text(rows)))
    })
    .await
}

fn text_params(asked: &RequestContext) -> Result<(SubscribeParams, TextRows), Problem> {
    for name in ["unit", "interim"].into_iter().chain(REPLAY_PARAMETERS) {
        if asked.get(name).is_some() {
            let detail = format!(
                "{name} is not allowed for /text, which sends each final line once; see …/events and …/subscribe"
            );
            return Err(Problem::bad(detail));
        }
    }
    let params = SubscribeParams::new(asked).map_err(|end| problem(&end))?;
    let has_cursors = asked.flag("cursors", false).map_err(|end| problem(&end))?;
    Ok((SubscribeParams { view: FoldView::FinalOnly, ..params }, TextRows::new(has_cursors)))
}

/// Responds to `request` with a stream of the feed `name`. `params` parses the parameters and selects the format.
async fn begin(
    service: Arc<EgressService>,
    name: FeedId,
    request: Request,
    params: impl FnOnce(&RequestContext) -> Result<(SubscribeParams, StreamFormat), Problem>,
) -> Result<Response, Problem> {
    let extensions = request.extensions();
    // Not checked yet for a request that claims to upgrade to a socket.
    if extensions.get::<ForeignOrigin>().is_some() {
        return Err(Problem::new(ProblemCode::Forbidden, ORIGIN_RULE));
    }
    if !extensions.get::<Peer>().is_some_and(Peer::may_read) {
        return Err(Problem::new(ProblemCode::TooManyConnections, TOO_MANY_CONNECTIONS));
    }
    let asked = RequestContext::of(&request).map_err(|end| problem(&end))?;
    let (params, form) = params(&asked)?;
    let cut = extensions.get::<ConnectionAbort>().map(|ConnectionAbort(cut)| cut.clone()).unwrap_or_default();
    let span = tracing::debug_span!("answer", path = request.uri().path());
    drop(request);
    match service.catalog.feeds.open(&name).await? {
        OpenResult::Deleted => return Err(Problem::feed_deleted(&name)),
        OpenResult::Absent if !params.wait => return Err(Problem::no_such_feed(&name)),
        OpenResult::Absent | OpenResult::Replaced(_) => {}
        OpenResult::Here(feed) => {
            if let StartPoint::Cursor(Cursor { epoch, change }) = &params.from {
                let view = feed.view(params.view).await?;
                let transcript = view.transcript();
                let is_all = transcript.place_of(epoch, *change) == Ok(transcript.change());
                if is_all && transcript.state() == FeedState::Ended {
                    return Ok(StatusCode::NO_CONTENT.into_response());
                }
            }
        }
    }
    let content_type = match &form {
        StreamFormat::Events => "text/event-stream",
        StreamFormat::Text(_) => "text/plain; charset=utf-8",
    };
    let (sender, receiver) = mpsc::channel(1);
    let message_timeout = TimesConfig::ms(service.context.config.times.message_timeout_ms);
    let access_end = asked.end(&service.context);
    let feed = SubscribedFeed::new(service.clone(), name, params, asked.peer.ip()).map_err(|end| problem(&end))?;
    let sink = Box::new(HttpStreamSink::new(form, sender, cut, message_timeout, access_end));
    let sink = SubscriberSink::Answer(sink);
    let session = SubscriberSession::new(service.clone(), sink, SingleFeed::new(feed), asked.peer);
    let tasks = service.context.tasks.clone();
    let serving = async move {
        let (sink, end) = session.run().await;
        service.context.metrics.closed(&end);
        sink.finish(end).await;
    };
    tasks.spawn(serving.instrument(span));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // nginx buffers a response unless this header forbids it.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::new(HttpStreamBody::new(receiver))).into_response())
}

/// Returns the refusal that says what a socket would be closed with.
fn problem(end: &CloseReason) -> Problem {
    let code = end.close_code().map_or(ProblemCode::Internal, CloseCode::problem);
    Problem::new(code, end.reason().to_owned())
}
