//! Lines over HTTP: published without a socket, and the history of one.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::StreamExt;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::admit::Admission;
use super::app::App;
use super::auth::Access;
use super::body::{media_type, read};
use super::feeds::open;
use super::numbers;
use super::problem::{Problem, ProblemCode};
use super::publish::Publisher;
use super::slots::{Place, Slots};
use crate::config::TimesConfig;
use crate::position::{FeedId, Offset};
use crate::transcript::line::check_line_id;
use crate::transcript::{FeedState, FoldView, MediaMs, Op, Published, Record, Status, Timestamp, Version};
use crate::wire::publish::decode_line;
use crate::wire::{NackCode, Refusal};

/// How often lines are numbered, where another node takes the numbers at the same time.
const NUMBERED_MAX: usize = 8;

#[derive(Serialize)]
struct Accepted {
    accepted: usize,
    repeats: usize,
    refused: Vec<Refused>,
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
    let publisher = Publisher::new(&app, access.source(query.get("source").map(String::as_str))?, session)?;
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

    let since = Instant::now();
    let feed = app.open_to_publish(&name).await?;
    let Publisher { source, session } = publisher;
    // Two requests of one session would pass each other's numbers.
    let place = Place::Session(feed.log_id().clone(), source.clone(), session.clone());
    let patience = TimesConfig::ms(app.config.times.handshake_timeout_ms);
    let free = async {
        let held = Slots::wait_for(&app, place).await;
        app.until_free_elsewhere(feed.log_id(), &source, &session).await;
        held
    };
    let Ok(_held) = tokio::time::timeout(patience, free).await else {
        let detail = "the session is being published already, by a socket or another request: take another session";
        return Err(Problem::new(ProblemCode::Conflict, detail));
    };
    let view = feed.view(FoldView::Interim).await?;
    let (mut seq, from, state) = {
        let transcript = view.transcript();
        (transcript.seq(&source, &session), transcript.next_offset(), transcript.state())
    };
    let last = seq;
    if state == FeedState::Scheduled {
        feed.append_all(&[app.record(Op::Resume)]).await?;
    }
    let mut admission = Admission::new(&app, view.clone(), source.clone());
    let mut records: Vec<Record> = Vec::new();
    let mut are_given: Vec<bool> = Vec::new();
    let (mut repeats, mut refused) = (0, Vec::new());
    let counted = app.metrics.lines_of(&source);
    for (index, line) in lines.into_iter().enumerate() {
        // Refused ones wait for nothing by themselves.
        tokio::task::consume_budget().await;
        let now = app.clock.now();
        match number(line, &mut seq).and_then(|numbered| match numbered {
            None => Ok(None),
            Some((seq, is_given)) => Ok(Some((seq, is_given, admitted(&app, &mut admission, line, now)?))),
        }) {
            Ok(None) => {
                counted.repeats.inc();
                repeats += 1;
            }
            Ok(Some((seq, is_given, version))) => {
                are_given.push(is_given);
                let op = Op::Line { source: source.clone(), lines: vec![version] };
                let published = Some(Published { source: source.clone(), session: session.clone(), seq });
                records.push(Record { received_at: now, published, op_id: None, op });
            }
            Err(Refusal { code, message, field }) => {
                counted.refused.inc();
                app.metrics.refused(code);
                refused.push(Refused { index, code, message, field });
            }
        }
    }
    let mut accepted = records.len();
    let (mut place, mut tries) = ((last, from), 0);
    while !records.is_empty() {
        let end = feed.append_all(&records).await?;
        let lost = numbers::lost(&app, &feed, &records, (place.0, place.1, end)).await?;
        // A number that was given and is taken is that of a repeat.
        let taken = lost.iter().filter(|index| are_given[**index]).count();
        (accepted, repeats) = (accepted - taken, repeats + taken);
        records = lost.into_iter().filter(|index| !are_given[*index]).map(|index| records[index].clone()).collect();
        are_given = vec![false; records.len()];
        if records.is_empty() {
            break;
        }
        tries += 1;
        if tries == NUMBERED_MAX {
            let detail = "the session is being published at another node: take another session";
            return Err(Problem::new(ProblemCode::Conflict, detail));
        }
        view.reach(end).await?;
        place = {
            let transcript = view.transcript();
            (transcript.seq(&source, &session), transcript.next_offset())
        };
        for (seq, record) in (place.0 + 1..).zip(&mut records) {
            record.published = Some(Published { source: source.clone(), session: session.clone(), seq });
        }
    }
    counted.accepted.inc_by(accepted as u64);
    app.metrics.durable_after(since.elapsed(), 1);
    Ok(Json(Accepted { accepted, repeats, refused }).into_response())
}

fn admitted(app: &App, admission: &mut Admission, line: &str, now: Timestamp) -> Result<Version, Refusal> {
    let mut version = decode_line(line, &app.limits(), app.config.captions.max_media_ms)?;
    admission.line(&mut version, now)?;
    Ok(version)
}

/// The number of a line in its session, and whether it was given; none for a repeat.
fn number(line: &str, seq: &mut u64) -> Result<Option<(u64, bool)>, Refusal> {
    #[derive(Deserialize)]
    struct Numbered {
        seq: Option<u64>,
    }
    // What cannot be read at all is refused by the reading of the line.
    match serde_json::from_str(line) {
        Ok(Numbered { seq: Some(0) }) => Err(Refusal::new(NackCode::BadSeq, "seq", "seq counts from 1")),
        Ok(Numbered { seq: Some(given) }) if given <= *seq => Ok(None),
        Ok(Numbered { seq: Some(given) }) => {
            *seq = given;
            Ok(Some((given, true)))
        }
        _ => {
            *seq += 1;
            Ok(Some((*seq, false)))
        }
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
    check_line_id(&id)?;
    let feed = open(&app, &name).await?;
    let head = feed.head().await?;
    let mut versions = Vec::new();
    let mut next = Offset::START;
    let mut records = feed.records();
    while next < head
        && let Some(batch) = records.next().await
    {
        for entry in batch? {
            next = entry.offset.next();
            if next <= head {
                collect(Record::decode(&entry.record), &source, &id, &mut versions);
            }
        }
    }
    if versions.is_empty() {
        return Err(Problem::new(ProblemCode::NoSuchLine, format!("there is no line {source}/{id}")));
    }
    Ok(Json(History { source, id, versions }).into_response())
}

fn collect(record: Record, source: &str, id: &str, versions: &mut Vec<HistoryVersion>) {
    let (session, seq) = match record.published {
        Some(Published { session, seq, .. }) => (Some(session), Some(seq)),
        None => (None, None),
    };
    let received_at = record.received_at;
    match record.op {
        Op::Line { source: of, lines } if *of == *source => {
            versions.extend(lines.into_iter().filter(|version| *version.id == *id).map(|version| HistoryVersion {
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
        Op::Retract { source: of, id: line, rev } if *of == *source && *line == *id => {
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
