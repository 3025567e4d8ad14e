//! Vendors' frames that are kept beside the lines they became: which, how many, and how they are had again.
//!
//! A frame is a record of the feed's log, in the same append as what it led to and in front of it. No view shows it, so no
//! reader gets it; it is for those who manage feeds. It goes with its feed, by retention or otherwise, and by itself at their
//! request: a frame may repeat what was said many lines before it, so all of a source go together.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use http::{HeaderValue, header};
use serde::Serialize;

use super::app::App;
use super::feeds::open;
use super::problem::{Problem, ProblemCode};
use crate::dialect::Format;
use crate::feed::{Feed, View};
use crate::log::{Entry, LogError};
use crate::position::{FeedId, Offset};
use crate::transcript::line::check_source;
use crate::transcript::{Frame, FrameBytes, MediaMs, Op, Record, Timestamp};
use crate::wire::recording::{ReadAs, Row};

/// Keeps the frames of one connection, up to what may be kept of its feed.
#[derive(Debug)]
pub(super) struct Keeping {
    view: Arc<View>,
    bytes_max: u64,
    /// What the feed held when this began, and what was kept here since.
    held: u64,
    is_full: bool,
    source: Arc<str>,
    connection: Arc<str>,
    format: Arc<str>,
    offset_ms: Option<MediaMs>,
    has_names: bool,
    lang: Option<Arc<str>>,
}

/// How a connection is read.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) source: &'a Arc<str>,
    pub(super) connection: &'a str,
    pub(super) format: Format,
    pub(super) offset_ms: Option<MediaMs>,
    pub(super) has_names: bool,
    pub(super) lang: Option<&'a str>,
}

/// No more frames are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "frames of this feed take {bytes_max} bytes already, as many as dialects.raw_bytes_max allows: neither this one nor \
     those after it are kept; lines are"
)]
pub(super) struct Full {
    bytes_max: u64,
}

impl Keeping {
    /// Whether frames are to be kept: as the query says, else as the configuration does.
    ///
    /// # Errors
    /// Where the query says neither yes nor no.
    pub(super) fn is_wanted(app: &App, feed: &FeedId, asked: Option<&str>) -> Result<bool, &'static str> {
        match asked {
            None => Ok(app.config.dialects.keeps(feed.as_str())),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err("keep_raw is true or false"),
        }
    }

    pub(super) fn new(app: &App, view: Arc<View>, reading: &Reading<'_>) -> Self {
        let held = view.transcript().frame_bytes();
        Self {
            view,
            bytes_max: app.config.dialects.raw_bytes_max,
            held,
            is_full: false,
            source: reading.source.clone(),
            connection: reading.connection.into(),
            format: reading.format.as_str().into(),
            offset_ms: reading.offset_ms,
            has_names: reading.has_names,
            lang: reading.lang.map(Into::into),
        }
    }

    /// The operation that keeps `frame`; none once the feed is full, which is an error the first time.
    pub(super) fn keep(&mut self, frame: &[u8]) -> Result<Option<Op>, Full> {
        if self.is_full {
            return Ok(None);
        }
        let bytes = FrameBytes::new(frame);
        // What others keep at the same time is known once it is folded: with several of them it may be a little more.
        self.held = self.held.max(self.view.transcript().frame_bytes()) + bytes.stored_len();
        if self.held > self.bytes_max {
            self.is_full = true;
            let Self { bytes_max, source, .. } = self;
            tracing::warn!(%source, bytes_max, "no more of a vendor's frames are kept: dialects.raw_bytes_max");
            return Err(Full { bytes_max: *bytes_max });
        }
        Ok(Some(Op::Frame(Box::new(Frame {
            source: self.source.clone(),
            connection: self.connection.clone(),
            format: self.format.clone(),
            offset_ms: self.offset_ms,
            has_names: self.has_names,
            lang: self.lang.clone(),
            bytes,
        }))))
    }
}

/// The frames of a feed's log as it stands, in its order.
struct Frames {
    records: BoxStream<'static, Result<Vec<Entry>, LogError>>,
    next: Offset,
    head: Offset,
    source: Option<Arc<str>>,
    found: VecDeque<(Offset, Timestamp, Frame)>,
}

impl Frames {
    /// Of one source, or of all.
    async fn of(feed: &Feed, source: Option<Arc<str>>) -> Result<Self, LogError> {
        let head = feed.head().await?;
        Ok(Self { records: feed.records(), next: Offset::START, head, source, found: VecDeque::new() })
    }

    async fn next(&mut self) -> Result<Option<(Offset, Timestamp, Frame)>, LogError> {
        loop {
            if let Some(found) = self.found.pop_front() {
                return Ok(Some(found));
            }
            if self.next >= self.head {
                return Ok(None);
            }
            let Some(batch) = self.records.next().await else { return Ok(None) };
            for entry in batch?.into_iter().filter(|entry| entry.offset < self.head) {
                self.next = entry.offset.next();
                if let Record { received_at, op: Op::Frame(frame), .. } = Record::decode(&entry.record)
                    && self.source.as_ref().is_none_or(|source| *source == frame.source)
                {
                    self.found.push_back((entry.offset, received_at, *frame));
                }
            }
            tokio::task::yield_now().await;
        }
    }
}

fn source_asked(query: &HashMap<String, String>) -> Result<Option<Arc<str>>, Problem> {
    let source = query.get("source").map(String::as_str);
    source.map(check_source).transpose()?;
    Ok(source.map(Into::into))
}

/// `GET /v1/feeds/{feed}/raw`: the frames of one source as a recording, such as `replay --raw` plays.
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let source = source_asked(&query)?.unwrap_or_else(|| "main".into());
    let feed = open(&app, &name).await?;
    let wall_start = feed.view(crate::transcript::FoldView::Interim).await?.transcript().opened_at();
    let mut frames = Frames::of(&feed, Some(source.clone())).await?;
    let Some((_, began_at, first)) = frames.next().await? else {
        let detail = format!("no frames of the source {source} were kept: keep_raw=true on its socket keeps them");
        return Err(Problem::new(ProblemCode::NotFound, detail));
    };
    let mut recording = Recording { began_at, wall_start, before: None };
    let head = recording.rows(began_at, &first);
    let rest = stream::try_unfold((frames, recording), |(mut frames, mut recording)| async {
        let Some((_, at, frame)) = frames.next().await? else { return Ok(None) };
        let rows = recording.rows(at, &frame);
        Ok::<_, LogError>(Some((rows, (frames, recording))))
    });
    let rows = stream::once(async { Ok(head) }).chain(rest).map_ok(Bytes::from);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Body::from_stream(rows)).into_response())
}

/// What a recording says so far.
struct Recording {
    began_at: Timestamp,
    wall_start: Option<Timestamp>,
    /// The connection of the frame before, and how it is read.
    before: Option<(Arc<str>, ReadAs)>,
}

impl Recording {
    /// The rows of a frame: where its connection begins, one before it.
    fn rows(&mut self, at: Timestamp, frame: &Frame) -> String {
        let at_ms = u64::try_from(at.since(self.began_at)).unwrap_or(0);
        let read_as = ReadAs {
            format: frame.format.to_string(),
            offset_ms: frame.offset_ms,
            names: frame.has_names,
            lang: frame.lang.as_deref().map(Into::into),
            wall_start: self.wall_start,
        };
        let mut rows = String::new();
        let of = (frame.connection.clone(), read_as);
        if self.before.as_ref() != Some(&of) {
            if self.before.is_some() {
                rows += &Row::of_connection(at_ms, false).encode();
            }
            rows += &Row { read_as: Some(of.1.clone()), ..Row::of_connection(at_ms, true) }.encode();
            self.before = Some(of);
        }
        rows + &Row { at_ms, frame: frame.bytes.clone(), ..Row::default() }.encode()
    }
}

#[derive(Serialize)]
struct Erased {
    erased: u64,
}

/// `DELETE /v1/feeds/{feed}/raw`: erases the frames of one source, or of all; the lines stay.
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let feed = open(&app, &name).await?;
    let mut frames = Frames::of(&feed, source_asked(&query)?).await?;
    let mut erased = 0;
    while let Some((offset, ..)) = frames.next().await? {
        app.feeds.log().erase(feed.log_id(), offset).await?;
        erased += 1;
    }
    tracing::info!(feed = %feed.name(), erased, "vendors' frames were erased");
    Ok(Json(Erased { erased }).into_response())
}
