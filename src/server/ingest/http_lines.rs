//! Lines over HTTP: publishing without a socket, deleting a line, and the history of a line.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::feed::{FeedRecord, ReadEnd};
use crate::log::LogError;
use crate::parse_error::describe_json_error;
use crate::position::{FeedId, Offset};
use crate::server::access::auth::Access;
use crate::server::http::body::{media_type, read};
use crate::server::http::feed_path::open;
use crate::server::http::problem::{Problem, ProblemCode};
use crate::server::ingest::identity::{PublisherIdentity, is_correcting};
use crate::server::ingest::pipeline::{AppendMode, CommitError, IngestPipeline, IngestWarning, MessageArrival};
use crate::server::ingest::resends::Resend;
use crate::server::ingest::sequence::NumberedMessage;
use crate::server::ingest::service::IngestService;
use crate::transcript::line::check_kept_line_id;
use crate::transcript::{FoldView, MediaMs, Op, PublishedBy, Record, Status, Timestamp, Transcript};
use crate::wire::publisher::{FieldPlace, UnknownField};
use crate::wire::{FromPublisher, Incoming, NackCode, Refusal, WarningCode};

/// The parameters of a request.
const PARAMETERS: [&str; 5] = ["source", "session", "offset_ms", "corrects", "token"];

#[derive(Serialize)]
struct AcceptedLines {
    accepted: usize,
    repeats: usize,
    refused: Vec<RefusedLine>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<LineWarning>,
}

/// A warning: the line was accepted, but people should look at it.
#[derive(Serialize)]
struct LineWarning {
    code: WarningCode,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rev: Option<u64>,
}

impl From<IngestWarning> for LineWarning {
    fn from(IngestWarning { code, message, line }: IngestWarning) -> Self {
        let (id, rev) = line.unzip();
        Self { code, message, id, rev: rev.flatten() }
    }
}

#[derive(Serialize)]
struct RefusedLine {
    index: usize,
    code: NackCode,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
}

/// `POST /v1/feeds/{feed}/lines`
pub(crate) async fn post(
    State(service): State<Arc<IngestService>>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    Extension(access): Extension<Access>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let name = FeedId::new(&name)?;
    let session = query.get("session").map(String::as_str);
    let mut publisher =
        PublisherIdentity::new(&service.context, access.source(query.get("source").map(String::as_str))?, session)?;
    publisher.corrects = is_correcting(&query)?;
    let is_ndjson = is_ndjson(&headers)?;
    let body = read(&service.context, &headers, body, service.context.config.limits.lines_bytes).await?;
    let lines = read_lines(&body, is_ndjson, service.context.config.limits.lines_per_request)?;
    let feed = service.open_feed(&access, &name).await??;
    let mut pipeline = IngestPipeline::begin_request(&service, feed, publisher).await?;
    if session.is_some() {
        pipeline.sequence.watch_for_gap();
    }
    for name in query.keys().filter(|name| !PARAMETERS.contains(&name.as_str())) {
        pipeline.warn_of_unknown(UnknownField::new(FieldPlace::Query, name), &PARAMETERS);
    }
    if let Some(offset_ms) = query.get("offset_ms") {
        let bad = || Problem::bad("offset_ms must be a whole number of milliseconds");
        pipeline.shift_times(offset_ms.parse().map_err(|_| bad())?);
    }
    let mut given = HashMap::new();
    let (mut repeats, mut refused) = (0, Vec::new());
    for (index, line) in lines.into_iter().enumerate() {
        // Refused lines never await anything themselves.
        tokio::task::consume_budget().await;
        match take(&mut pipeline, (index, line), &mut given).await? {
            Ok(AcceptResult::New) => {}
            Ok(AcceptResult::Repeat) => {
                pipeline.count_repeats(1);
                repeats += 1;
            }
            Err(refusal) => refused.push(refuse(&mut pipeline, index, refusal)),
        }
    }
    let committed =
        pipeline.commit(|seq| given.contains_key(&seq), AppendMode::InParts).await.map_err(|error| match error {
            CommitError::Log(error) => Problem::from(error),
            CommitError::SessionTaken => Problem::new(ProblemCode::Conflict, format!("{error}: take another session")),
        })?;
    for record in committed.conflicts {
        let (seq, resend) = find_conflict(&mut pipeline, &record).await?;
        let index = given.get(&seq).copied().unwrap_or_default();
        if resend == Resend::Same {
            pipeline.count_repeats(1);
            repeats += 1;
        } else {
            let refusal = pipeline.refuse_used(seq, resend);
            refused.push(refuse(&mut pipeline, index, refusal));
        }
    }
    if committed.accepted > 0 {
        pipeline.warn_if_off_air();
    }
    if session.is_some() {
        pipeline.note_answered();
    }
    let warnings = pipeline.warnings.drain(..).map(Into::into).collect();
    Ok(Json(AcceptedLines { accepted: committed.accepted, repeats, refused, warnings }).into_response())
}

/// Returns true if the body is NDJSON, and false if it is JSON.
///
/// # Errors
/// A problem if its content type is neither.
fn is_ndjson(headers: &HeaderMap) -> Result<bool, Problem> {
    match media_type(headers) {
        Some("application/json") => Ok(false),
        Some("application/x-ndjson") => Ok(true),
        _ => {
            let detail = "send JSON or NDJSON, and say which: Content-Type: application/json or application/x-ndjson";
            Err(Problem::new(ProblemCode::UnsupportedMediaType, detail))
        }
    }
}

/// Splits a body into its lines.
///
/// # Errors
/// A problem if it is not UTF-8 or not JSON, or has more than `lines_max` lines.
fn read_lines(body: &[u8], is_ndjson: bool, lines_max: usize) -> Result<Vec<&str>, Problem> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        let row = body[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        Problem::bad(format!("the body is not UTF-8 from byte {at} on, in row {row}: send it in UTF-8"))
    })?;
    // Programs on Windows write a byte order mark before UTF-8.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = split(text, is_ndjson)?;
    if lines.len() > lines_max {
        let detail = format!("these are {} lines, of {lines_max} at most: send them in several requests", lines.len());
        return Err(Problem::new(ProblemCode::TooLarge, detail));
    }
    Ok(lines)
}

/// Finds what another node stored first under the number of `record`: the same line, or another one.
async fn find_conflict(pipeline: &mut IngestPipeline, record: &Record) -> Result<(u64, Resend), LogError> {
    let same = match &record.op {
        Op::Line { lines, .. } => lines.first().cloned().map(Incoming::Line),
        Op::Retract { id, rev, .. } => Some(Incoming::Retract { id: id.clone(), rev: *rev }),
        _ => None,
    };
    let seq = record.published.as_ref().map_or(0, |published| published.seq);
    let resend = match &same {
        Some(message) => pipeline.find_resend(seq, message).await?,
        None => Resend::Other,
    };
    Ok((seq, resend))
}

/// Result for an accepted message of a request.
enum AcceptResult {
    New,
    Repeat,
}

fn refuse(pipeline: &mut IngestPipeline, index: usize, refusal: Refusal) -> RefusedLine {
    pipeline.count_refusal(&refusal);
    let Refusal { code, message, field } = refusal;
    RefusedLine { index, code, message, field }
}

/// Takes one message of a request into the batch, unless it is a repeat.
async fn take(
    pipeline: &mut IngestPipeline,
    (index, text): (usize, &str),
    given: &mut HashMap<u64, usize>,
) -> Result<Result<AcceptResult, Refusal>, Problem> {
    let (limits, max_media_ms) =
        (pipeline.service.context.limits(), pipeline.service.context.config.captions.max_media_ms);
    let mut message = FromPublisher::decode_in_request(text, &limits, max_media_ms);
    pipeline.read(&mut message);
    let FromPublisher { seq: own, says, .. } = message;
    let numbered = match pipeline.sequence.number_one(own) {
        Ok(numbered) => numbered,
        Err(refusal) => return Ok(Err(refusal)),
    };
    pipeline.warn_if_gap();
    let says = match says {
        Ok(says) => says,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let seq = match numbered {
        NumberedMessage::New(seq) => seq,
        NumberedMessage::Used(seq) => {
            let resend = match pipeline.find_in_batch(seq, &says) {
                Some(resend) => resend,
                None => pipeline.find_resend(seq, &says).await?,
            };
            return Ok(match resend {
                Resend::Same => Ok(AcceptResult::Repeat),
                other => Err(pipeline.refuse_used(seq, other)),
            });
        }
    };
    if let Incoming::Retract { id, rev: None } = &says
        && !pipeline.has_line(id)
    {
        pipeline.warn_of_missing_line(id);
    }
    let came = MessageArrival::now(&pipeline.service.context);
    let admitted = pipeline.admit(says, came.at);
    if let Some(op) = admitted.op {
        if admitted.is_foreign
            && let Err(refusal) = pipeline.tell_reuse_in_request(&op, came.at)
        {
            return Ok(Err(refusal));
        }
        given.extend(own.map(|seq| (seq, index)));
        pipeline.watch_times(&op, came);
        pipeline.push(seq, op, came);
    }
    Ok(match admitted.refusals.into_iter().next() {
        Some((_, refusal)) => Err(refusal),
        None => Ok(AcceptResult::New),
    })
}

/// Splits a body into its lines, without decoding them.
fn split(text: &str, is_ndjson: bool) -> Result<Vec<&str>, Problem> {
    if is_ndjson {
        return Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).collect());
    }
    let text = text.trim();
    let bad = |error: serde_json::Error| {
        Problem::bad(format!(
            "the body is neither a line nor an array of lines: {}",
            describe_json_error(&error, text.as_bytes())
        ))
    };
    if !text.starts_with('[') {
        return Ok(vec![serde_json::from_str::<&RawValue>(text).map_err(bad)?.get()]);
    }
    let lines: Vec<&RawValue> = serde_json::from_str(text).map_err(bad)?;
    Ok(lines.into_iter().map(RawValue::get).collect())
}

/// `DELETE /v1/feeds/{feed}/lines/{source}/{id}`: retracts a line, in a session of its own.
pub(crate) async fn delete(
    State(service): State<Arc<IngestService>>,
    Path((name, source, id)): Path<(String, String, String)>,
    Extension(access): Extension<Access>,
) -> Result<StatusCode, Problem> {
    check_kept_line_id(&id)?;
    let mut publisher = PublisherIdentity::new(&service.context, access.source(Some(&source))?, None)?;
    // The id names a line, whichever session sent it.
    publisher.corrects = true;
    let feed = open(&service.catalog, &name).await?;
    let not_done = || Problem::new(ProblemCode::Conflict, "the line could not be taken back: try again");
    let mut pipeline = IngestPipeline::begin_request(&service, feed, publisher).await?;
    let is_there = matches!(pipeline.view.transcript().line_rev(&source, &id), Some((_, false)));
    if !is_there {
        return Err(Problem::new(ProblemCode::NoSuchLine, format!("there is no line {source}/{id}")));
    }
    let came = MessageArrival::now(&service.context);
    let admitted = pipeline.admit(Incoming::Retract { id: id.into(), rev: None }, came.at);
    if let Some((_, refusal)) = admitted.refusals.into_iter().next() {
        return Err(Problem::bad(refusal.message));
    }
    if let (Some(op), Ok(seq)) = (admitted.op, pipeline.sequence.next()) {
        pipeline.push(seq, op, came);
    }
    pipeline.commit(|_| false, AppendMode::Whole).await.map_err(|error| match error {
        CommitError::Log(error) => Problem::from(error),
        CommitError::SessionTaken => not_done(),
    })?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize)]
struct LineHistory {
    source: String,
    id: String,
    versions: Vec<LineVersion>,
}

#[derive(Default, Serialize)]
struct LineVersion {
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

/// `GET /v1/feeds/{feed}/lines/{source}/{id}/history`: reads the log from its start to its current head.
pub(crate) async fn history(
    State(service): State<Arc<IngestService>>,
    Path((name, source, id)): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    check_kept_line_id(&id)?;
    let feed = open(&service.catalog, &name).await?;
    let mut reader = feed.reader(Offset::START, ReadEnd::Head).await?;
    // The view knows which of several lines a session means by an id.
    let view = feed.view(FoldView::Interim).await?;
    let mut versions = Vec::new();
    while let Some(FeedRecord { record, .. }) = reader.next_record().await? {
        collect(record, (&source, &id), &view.transcript(), &mut versions);
    }
    if versions.is_empty() {
        return Err(Problem::new(ProblemCode::NoSuchLine, format!("there is no line {source}/{id}")));
    }
    Ok(Json(LineHistory { source, id, versions }).into_response())
}

fn collect(record: Record, (source, id): (&str, &str), transcript: &Transcript, versions: &mut Vec<LineVersion>) {
    let published = record.published;
    let is_meant = |sent: &str| transcript.kept_id(source, published.as_ref(), sent).is_some_and(|kept| **kept == *id);
    let (session, seq) = match &published {
        Some(PublishedBy { session, seq, .. }) => (Some(session.clone()), Some(*seq)),
        None => (None, None),
    };
    let received_at = record.received_at;
    match record.op {
        Op::Line { source: of, lines } if *of == *source => {
            versions.extend(lines.into_iter().filter(|version| is_meant(&version.id)).map(|version| LineVersion {
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
            versions.push(LineVersion { received_at, session, seq, rev, retracted: true, ..LineVersion::default() });
        }
        _ => {}
    }
}
