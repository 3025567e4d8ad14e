//! Lines over HTTP: published without a socket, and the history of one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::StreamExt;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::app::App;
use super::auth::Access;
use super::body::{media_type, read};
use super::feeds::open;
use super::ingest::{
    AppendMode, CommitError, IngestPipeline, IngestWarning, MessageArrival, Numbered, Publisher, is_correcting,
};
use super::problem::{Problem, ProblemCode};
use crate::position::{FeedId, Offset};
use crate::transcript::line::check_kept_line_id;
use crate::transcript::{FoldView, MediaMs, Op, Published, Record, Status, Timestamp, Transcript};
use crate::wire::publish::decode_line;
use crate::wire::{Incoming, NackCode, Refusal, WarningCode};

#[derive(Serialize)]
struct Accepted {
    accepted: usize,
    repeats: usize,
    refused: Vec<Refused>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warned>,
}

/// Something that was taken and that people should look at.
#[derive(Serialize)]
struct Warned {
    code: WarningCode,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rev: Option<u64>,
}

impl From<IngestWarning> for Warned {
    fn from(IngestWarning { code, message, line }: IngestWarning) -> Self {
        let (id, rev) = line.unzip();
        Self { code, message, id, rev: rev.flatten() }
    }
}

#[derive(Serialize)]
struct Refused {
    index: usize,
    code: NackCode,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
}

/// `POST /v1/feeds/{feed}/lines`
pub(super) async fn post(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    Extension(access): Extension<Access>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let name = FeedId::new(&name)?;
    let session = query.get("session").map(String::as_str);
    let mut publisher = Publisher::new(&app, access.source(query.get("source").map(String::as_str))?, session)?;
    publisher.corrects = is_correcting(&query)?;
    access.check_create(&app, &name).await??;
    let is_ndjson = match media_type(&headers) {
        Some("application/json") => false,
        Some("application/x-ndjson") => true,
        _ => {
            let detail = "send JSON or NDJSON, and say which: Content-Type: application/json or application/x-ndjson";
            return Err(Problem::new(ProblemCode::UnsupportedMediaType, detail));
        }
    };
    let body = read(&app, &headers, body, app.config.limits.lines_bytes).await?;
    let text = std::str::from_utf8(&body).map_err(|error| Problem::bad(format!("the body is not UTF-8: {error}")))?;
    let lines = split(text, is_ndjson)?;
    let lines_max = app.config.limits.lines_per_request;
    if lines.len() > lines_max {
        let detail = format!("these are {} lines, of {lines_max} at most: send them in several requests", lines.len());
        return Err(Problem::new(ProblemCode::TooLarge, detail));
    }

    let feed = app.open_to_publish(&name).await?;
    let Some(mut pipeline) = IngestPipeline::begin_request(&app, feed, publisher).await? else {
        let detail = "the session is being published already, by a socket or another request: take another session";
        return Err(Problem::new(ProblemCode::Conflict, detail));
    };
    let mut given = HashSet::new();
    let (mut repeats, mut refused) = (0, Vec::new());
    for (index, line) in lines.into_iter().enumerate() {
        // Refused ones wait for nothing by themselves.
        tokio::task::consume_budget().await;
        match take(&mut pipeline, line, &mut given) {
            Ok(Numbered::New(_)) => {}
            Ok(Numbered::Repeat(_)) => {
                pipeline.counters.repeats.inc();
                repeats += 1;
            }
            Err(refusal) => {
                pipeline.count_refusal(&refusal);
                let Refusal { code, message, field } = refusal;
                refused.push(Refused { index, code, message, field });
            }
        }
    }
    let committed =
        pipeline.commit(|seq| given.contains(&seq), AppendMode::InParts).await.map_err(|error| match error {
            CommitError::Log(error) => Problem::from(error),
            CommitError::SessionTaken => Problem::new(ProblemCode::Conflict, format!("{error}: take another session")),
        })?;
    // A number that was given and is taken is that of a repeat.
    repeats += committed.conflicts.len();
    let warnings = pipeline.warnings.drain(..).map(Into::into).collect();
    Ok(Json(Accepted { accepted: committed.accepted, repeats, refused, warnings }).into_response())
}

/// Takes one line of a request, unless it is a repeat.
fn take(pipeline: &mut IngestPipeline, line: &str, given: &mut HashSet<u64>) -> Result<Numbered, Refusal> {
    #[derive(Deserialize)]
    struct RawNumber {
        seq: Option<u64>,
    }
    // What cannot be read at all is refused by the reading of the line.
    let own = serde_json::from_str::<RawNumber>(line).ok().and_then(|raw| raw.seq);
    let numbered = pipeline.sequence.number_one(own)?;
    let Numbered::New(seq) = numbered else { return Ok(numbered) };
    let version = decode_line(line, &pipeline.app.limits(), pipeline.app.config.captions.max_media_ms)?;
    let came = MessageArrival::now(&pipeline.app);
    let admitted = pipeline.admit(Incoming::Line(version), came.at);
    if let Some(op) = admitted.op {
        given.extend(own);
        pipeline.push(seq, op, came);
    }
    match admitted.refusals.into_iter().next() {
        Some((_, refusal)) => Err(refusal),
        None => Ok(numbered),
    }
}

/// The lines of a body, still as they were written.
fn split(text: &str, is_ndjson: bool) -> Result<Vec<&str>, Problem> {
    if is_ndjson {
        return Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).collect());
    }
    let text = text.trim();
    let bad = |error: serde_json::Error| Problem::bad(format!("the body is no line and no array of lines: {error}"));
    if !text.starts_with('[') {
        return Ok(vec![serde_json::from_str::<&RawValue>(text).map_err(bad)?.get()]);
    }
    let lines: Vec<&RawValue> = serde_json::from_str(text).map_err(bad)?;
    Ok(lines.into_iter().map(RawValue::get).collect())
}

#[derive(Serialize)]
struct History {
    source: String,
    id: String,
    versions: Vec<HistoryVersion>,
}

#[derive(Default, Serialize)]
struct HistoryVersion {
    received_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rev: Option<u64>,
    retracted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_ms: Option<MediaMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_ms: Option<MediaMs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    speaker: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Arc<str>>,
}

/// `GET /v1/feeds/{feed}/lines/{source}/{id}/history`: reads the log, as it stands, from its start.
pub(super) async fn history(
    State(app): State<Arc<App>>,
    Path((name, source, id)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    check_kept_line_id(&id)?;
    let feed = open(&app, &name).await?;
    let head = feed.head().await?;
    // It knows which of several lines a session means by an id.
    let view = feed.view(FoldView::Interim).await?;
    let mut versions = Vec::new();
    let mut next = Offset::START;
    let mut records = feed.records();
    while next < head
        && let Some(batch) = records.next().await
    {
        for entry in batch? {
            next = entry.offset.next();
            if next <= head {
                collect(Record::decode(&entry.record), (&source, &id), &view.transcript(), &mut versions);
            }
        }
    }
    if versions.is_empty() {
        return Err(Problem::new(ProblemCode::NoSuchLine, format!("there is no line {source}/{id}")));
    }
    Ok(Json(History { source, id, versions }).into_response())
}

fn collect(record: Record, (source, id): (&str, &str), transcript: &Transcript, versions: &mut Vec<HistoryVersion>) {
    let published = record.published;
    let is_meant = |sent: &str| transcript.kept_id(source, published.as_ref(), sent).is_some_and(|kept| **kept == *id);
    let (session, seq) = match &published {
        Some(Published { session, seq, .. }) => (Some(session.clone()), Some(*seq)),
        None => (None, None),
    };
    let received_at = record.received_at;
    match record.op {
        Op::Line { source: of, lines } if *of == *source => {
            versions.extend(lines.into_iter().filter(|version| is_meant(&version.id)).map(|version| HistoryVersion {
                received_at,
                session: session.clone(),
                seq,
                rev: version.rev,
                retracted: false,
                status: Some(version.content.status),
                start_ms: version.content.start_ms.or(version.arrival_ms),
                end_ms: version.content.end_ms,
                speaker: version.content.speaker,
                text: Some(version.content.text),
            }));
        }
        Op::Retract { source: of, id: line, rev } if *of == *source && is_meant(&line) => {
            versions.push(HistoryVersion {
                received_at,
                session,
                seq,
                rev,
                retracted: true,
                ..HistoryVersion::default()
            });
        }
        _ => {}
    }
}
