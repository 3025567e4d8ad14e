//! Transcripts over HTTP: export in a chosen format, and import from files.

use std::collections::HashMap;
use std::fmt::Write;
use std::str::FromStr;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::client::LOSSES_HEADER;
use crate::feed::{Feed, FeedRecord, OpenResult, ReadEnd};
use crate::format::{Document, Format, LineLimits, ParsedTranscript, Range, ReadOptions};
use crate::position::{Cursor, FeedId, Offset};
use crate::server::core::catalog::Catalog;
use crate::server::http::body::{charset, read};
use crate::server::http::feed_path::open;
use crate::server::http::problem::{Problem, ProblemCode};
use crate::transcript::{FoldView, Op, Timestamp, Transcript};
use crate::wire::publisher::is_line_within;

/// `GET /v1/feeds/{feed}/transcript.{format}`
pub(crate) async fn get(
    State(catalog): State<Arc<Catalog>>,
    Path((name, file)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(format) = file.strip_prefix("transcript.") else {
        return Err(Problem::new(ProblemCode::NotFound, "there is nothing at this address"));
    };
    let is_known = Format::ALL.iter().any(|known| known.extension() == format);
    if !is_known {
        let known: Vec<&str> = Format::ALL.iter().map(|known| known.extension()).collect();
        let detail = format!("there is no format {format:?}; use one of {}", known.join(", "));
        return Err(Problem::new(ProblemCode::NotFound, detail));
    }
    let format = Format::from_str(format).map_err(|error| Problem::new(ProblemCode::NotFound, error.to_string()))?;
    let range = Range {
        from_ms: number(&query, "from_ms")?,
        to_ms: number(&query, "to_ms")?,
        last_turns: number(&query, "last")?,
    };
    let which = fold_view(&query, format)?;
    let feed = open(&catalog, &name).await?;
    match query.get("at") {
        None => {
            let view = feed.view(which).await?;
            let (etag, document) = {
                let transcript = view.transcript();
                let etag = etag(&transcript, format, range);
                if is_known_to(&headers, &etag) {
                    return Ok(not_modified(etag));
                }
                (etag, Document::of(feed.name(), &transcript, range))
            };
            written(format, etag, document).await
        }
        Some(at) => {
            let transcript = fold_to(&feed, LogMoment::parse(at)?).await?;
            let etag = etag(&transcript, format, range);
            if is_known_to(&headers, &etag) {
                return Ok(not_modified(etag));
            }
            let document = Document::of(feed.name(), &transcript, range);
            written(format, etag, document).await
        }
    }
}

/// Returns the view: final lines, or with `interim=true` all lines, for a page that then follows with the same view.
fn fold_view(query: &HashMap<String, String>, format: Format) -> Result<FoldView, Problem> {
    match query.get("interim").map(String::as_str) {
        None | Some("false") => Ok(FoldView::FinalOnly),
        Some("true") if !matches!(format, Format::Json | Format::Ndjson) => {
            Err(Problem::bad("interim=true is for json and ndjson: other formats cannot tell what may still change"))
        }
        Some("true") if query.contains_key("at") => {
            Err(Problem::bad("interim=true is for the transcript as it stands now, without at"))
        }
        Some("true") => Ok(FoldView::Interim),
        Some(_) => Err(Problem::bad("interim must be true or false")),
    }
}

fn number<T: FromStr>(query: &HashMap<String, String>, name: &str) -> Result<Option<T>, Problem> {
    let Some(text) = query.get(name) else { return Ok(None) };
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits => Ok(Some(number)),
        _ => Err(Problem::bad(format!("{name} must be a whole number"))),
    }
}

/// Returns a hash of the transcript's state, the format and the range.
fn etag(transcript: &Transcript, format: Format, range: Range) -> String {
    let cursor = transcript.cursor(transcript.change()).map(|cursor| cursor.to_string()).unwrap_or_default();
    // Another release may write the same transcript differently.
    let written = format!("{} {cursor} {format:?} {range:?}", env!("CARGO_PKG_VERSION"));
    let mut etag = String::from("\"");
    for byte in &Sha256::digest(written.as_bytes())[..16] {
        let _ = write!(etag, "{byte:02x}");
    }
    etag.push('"');
    etag
}

pub(crate) fn is_known_to(headers: &HeaderMap, etag: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|value| value.split(',')).map(str::trim);
    known.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == etag)
}

fn not_modified(etag: String) -> Response {
    (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response()
}

async fn written(format: Format, etag: String, document: Document) -> Result<Response, Problem> {
    // An hour of speech is fast to format, but a day of it would block this thread for too long.
    let work = move || (crate::format::write(format, &document), crate::format::losses(format, &document));
    let (text, losses) = tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Problem::new(ProblemCode::Internal, "the transcript could not be written"))?;
    let content_type = HeaderValue::from_static(format.content_type());
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::ETAG, HeaderValue::from_str(&etag).map_err(|_| Problem::new(ProblemCode::Internal, "no ETag"))?),
    ];
    let mut answer = (headers, text).into_response();
    if let (false, Ok(losses)) = (losses.is_empty(), HeaderValue::from_str(&losses.header())) {
        answer.headers_mut().insert(LOSSES_HEADER, losses);
    }
    Ok(answer)
}

/// `GET /v1/feeds/{feed}/transcript`: the records of the feed's log, one per row, which `PUT` accepts again without
/// loss. They include corrected and retracted versions, so this is for managers of feeds.
pub(crate) async fn records(
    State(catalog): State<Arc<Catalog>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let feed = open(&catalog, &name).await?;
    let mut reader = feed.reader(Offset::START, ReadEnd::Head).await?;
    let mut rows = Vec::new();
    while let Some(FeedRecord { record, encoded, .. }) = reader.next_record().await? {
        // An erased record is empty; vendors' frames have an endpoint of their own.
        if !encoded.is_empty() && !matches!(record.op, Op::Frame(_)) {
            rows.extend_from_slice(&encoded);
            rows.push(b'\n');
        }
    }
    let content_type = HeaderValue::from_static(Format::Ndjson.content_type());
    let headers = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((headers, rows).into_response())
}

/// A point in a log.
enum LogMoment {
    Cursor(Cursor),
    Time(Timestamp),
}

impl LogMoment {
    fn parse(text: &str) -> Result<Self, Problem> {
        match (text.parse(), Timestamp::parse(text)) {
            (_, Some(time)) => Ok(Self::Time(time)),
            (Ok(cursor), None) => Ok(Self::Cursor(cursor)),
            (Err(_), None) => Err(Problem::bad("at is a cursor or a time such as 2026-11-23T18:31:05Z")),
        }
    }
}

/// Folds the final lines of a feed as of an earlier point.
async fn fold_to(feed: &Feed, at: LogMoment) -> Result<Transcript, Problem> {
    let mut reader = feed.reader(Offset::START, ReadEnd::Head).await?;
    let starts = feed.starts().await?;
    let mut transcript = Transcript::with_starts(FoldView::FinalOnly, starts.clone());
    // A cursor of the view with interim lines counts that view's changes.
    let mut counting = Transcript::with_starts(FoldView::Interim, starts);
    while let Some(FeedRecord { offset, record, .. }) = reader.next_record().await? {
        let is_after = match &at {
            LogMoment::Time(time) => record.received_at > *time,
            LogMoment::Cursor(cursor) => is_at(&transcript, cursor) || is_at(&counting, cursor),
        };
        if is_after {
            return Ok(transcript);
        }
        if matches!(at, LogMoment::Cursor(_)) {
            counting.apply(offset, record.clone());
        }
        transcript.apply(offset, record);
    }
    match at {
        LogMoment::Cursor(cursor) if !is_at(&transcript, &cursor) && !is_at(&counting, &cursor) => {
            Err(Problem::bad("at: the cursor is not one of this feed as it is now"))
        }
        _ => Ok(transcript),
    }
}

/// Returns true if a fold has reached the position of its cursor.
fn is_at(fold: &Transcript, cursor: &Cursor) -> bool {
    fold.place_of(&cursor.epoch, cursor.change).is_ok()
}

#[derive(Serialize)]
struct ImportAnswer {
    feed: FeedId,
    lines: usize,
    turns: usize,
    speakers: usize,
    problems: Vec<FileProblemBody>,
    /// Number of problems per kind, including those that are not listed.
    problem_counts: Vec<ProblemCountBody>,
    /// Content of the file that a feed cannot store.
    notices: Vec<FileProblemBody>,
}

#[derive(Serialize)]
struct ProblemCountBody {
    kind: String,
    left_out: bool,
    count: usize,
}

#[derive(Serialize)]
struct FileProblemBody {
    line: usize,
    column: usize,
    message: String,
}

impl FileProblemBody {
    fn all(problems: Vec<crate::format::FileProblem>) -> Vec<Self> {
        let problems = problems.into_iter();
        problems.map(|problem| Self { line: problem.line, column: problem.column, message: problem.message }).collect()
    }
}

/// `PUT /v1/feeds/{feed}/transcript`
pub(crate) async fn put(
    State(catalog): State<Arc<Catalog>>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let name = FeedId::new(&name)?;
    let replace = match query.get("replace").map(String::as_str) {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::bad("replace is true or false")),
    };
    let body = read(&catalog.context, &headers, body, catalog.context.config.limits.import_bytes).await?;
    let encoding = charset(&headers)?;
    let limits = catalog.context.limits();
    let limits = Some(LineLimits { text_bytes: limits.text_bytes, line_bytes: limits.message_bytes });
    let options = ReadOptions { encoding, limits, ..ReadOptions::default() };
    let reading = tokio::task::spawn_blocking(move || crate::format::read_with(&body, &options)).await;
    let reading = match reading {
        Ok(reading) => reading.map_err(|error| Problem::bad(error.to_string()))?,
        Err(_) => return Err(Problem::new(ProblemCode::Internal, "the file could not be read")),
    };
    check(&catalog, &reading)?;
    let old = match catalog.feeds.open(&name).await? {
        OpenResult::Here(feed) if replace => Some(feed),
        OpenResult::Here(_) => {
            let detail = format!("the feed {name} has a log; with ?replace=true the file takes its place");
            return Err(Problem::new(ProblemCode::FeedExists, detail));
        }
        OpenResult::Deleted | OpenResult::Replaced(_) if !replace => return Err(Problem::feed_deleted(&name)),
        OpenResult::Deleted | OpenResult::Replaced(_) | OpenResult::Absent => {
            catalog.check_room_for_a_feed().await?;
            None
        }
    };
    let count = reading.lines.len();
    let opening = catalog.context.opening(true);
    let at = opening.received_at;
    let records = std::iter::once(opening).chain(reading.records(at));
    let imported = catalog.import_feed(&name, old.as_deref(), records).await?;
    let Some(feed) = imported else {
        let detail = format!("the feed {name} was created, deleted or replaced meanwhile; what you sent was not taken");
        return Err(Problem::new(ProblemCode::FeedExists, detail));
    };
    let (turns, speakers) = {
        let view = feed.view(FoldView::FinalOnly).await?;
        let transcript = view.transcript();
        (transcript.counts().1, transcript.speakers().iter().filter(|speaker| speaker.into.is_none()).count())
    };
    let counts = reading.problem_counts().into_iter();
    let problem_counts = counts
        .map(|count| ProblemCountBody { kind: count.kind, left_out: count.is_left_out, count: count.count })
        .collect();
    let ParsedTranscript { problems, mut losses, estimated, lines, history, .. } = reading;
    losses.extend(estimated);
    // Freeing a million lines would block this thread for too long.
    drop(tokio::task::spawn_blocking(move || drop((lines, history))));
    let (problems, notices) = (FileProblemBody::all(problems), FileProblemBody::all(losses));
    tracing::info!(feed = %name, lines = count, turns, problems = problems.len(), "a transcript was imported");
    let imported = ImportAnswer { feed: name, lines: count, turns, speakers, problems, problem_counts, notices };
    let status = if old.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(imported)).into_response())
}

/// Checks a file against the limits of media time only as far as necessary to keep the media axis valid. The reader of
/// its format has checked the limits of lines.
fn check(catalog: &Catalog, reading: &ParsedTranscript) -> Result<(), Problem> {
    let message_bytes = catalog.context.config.limits.message_bytes;
    let in_history = reading.history.iter().flatten().flat_map(|record| match &record.op {
        Op::Line { lines, .. } => lines.as_slice(),
        _ => &[],
    });
    if let Some(line) = reading.lines.iter().chain(in_history).find(|line| !is_line_within(line, message_bytes)) {
        let detail =
            format!("line {} is larger than limits.message_bytes ({message_bytes}): give it as several lines", line.id);
        return Err(Problem::bad(detail));
    }
    let max = catalog.context.config.captions.max_media_ms;
    match reading.lines.iter().find(|line| line.content.start_ms.is_some_and(|start| start > max)) {
        None => Ok(()),
        Some(line) => Err(Problem::bad(format!(
            "block {} starts after {max} ms, the greatest media time of the configuration",
            line.id
        ))),
    }
}
