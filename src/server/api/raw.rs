//! Vendors' frames stored beside the lines decoded from them: download and erasure.
//!
//! A frame is a record of the feed's log, in the same append as its lines and before them. No view shows it, so no
//! reader receives it; this API is for managers of feeds. Frames are deleted with their feed, or erased on request: a
//! frame may repeat words from many lines before, so all frames of a source are erased together.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::{HeaderValue, header};
use serde::Serialize;

use crate::feed::{FeedReader, FeedRecord, ReadEnd};
use crate::log::LogError;
use crate::position::Offset;
use crate::server::core::catalog::Catalog;
use crate::server::http::feed_path::open;
use crate::server::http::problem::{Problem, ProblemCode};
use crate::transcript::line::check_source;
use crate::transcript::{Op, RawFrame, Record, Timestamp};
use crate::wire::recording::{RecordingFormat, RecordingRow};

/// Reads the frames among the records of a feed.
struct RawFrameRows {
    records: FeedReader,
    /// `None` for the frames of all sources.
    source: Option<Arc<str>>,
}

impl RawFrameRows {
    async fn next(&mut self) -> Result<Option<(Offset, Timestamp, RawFrame)>, LogError> {
        while let Some(FeedRecord { offset, record, .. }) = self.records.next_record().await? {
            if let Record { received_at, op: Op::Frame(frame), .. } = record
                && self.source.as_ref().is_none_or(|source| *source == frame.source)
            {
                return Ok(Some((offset, received_at, *frame)));
            }
        }
        Ok(None)
    }
}

fn source_asked(query: &HashMap<String, String>) -> Result<Option<Arc<str>>, Problem> {
    let source = query.get("source").map(String::as_str);
    source.map(check_source).transpose()?;
    Ok(source.map(Into::into))
}

/// `GET /v1/feeds/{feed}/raw`: the frames of one source as a recording that `replay --raw` plays.
pub(crate) async fn get(
    State(catalog): State<Arc<Catalog>>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let source = source_asked(&query)?.unwrap_or_else(|| "main".into());
    let feed = open(&catalog, &name).await?;
    let wall_start = feed.view(crate::transcript::FoldView::Interim).await?.transcript().opened_at();
    let records = feed.reader(Offset::START, ReadEnd::Head).await?;
    let mut frames = RawFrameRows { records, source: Some(source.clone()) };
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

/// State of a recording being written.
struct Recording {
    began_at: Timestamp,
    wall_start: Option<Timestamp>,
    /// Connection of the previous frame, and its format.
    before: Option<(Arc<str>, RecordingFormat)>,
}

impl Recording {
    /// Returns the rows of a frame, with a row for the begin of its connection if that is new.
    fn rows(&mut self, at: Timestamp, frame: &RawFrame) -> String {
        let at_ms = u64::try_from(at.since(self.began_at)).unwrap_or(0);
        let read_as = RecordingFormat {
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
                rows += &RecordingRow::of_connection(at_ms, false).encode();
            }
            rows += &RecordingRow { read_as: Some(of.1.clone()), ..RecordingRow::of_connection(at_ms, true) }.encode();
            self.before = Some(of);
        }
        rows + &RecordingRow { at_ms, frame: frame.bytes.clone(), ..RecordingRow::default() }.encode()
    }
}

#[derive(Serialize)]
struct ErasedCount {
    erased: u64,
}

/// `DELETE /v1/feeds/{feed}/raw`: erases the frames of one source, or of all; the lines remain.
pub(crate) async fn delete(
    State(catalog): State<Arc<Catalog>>,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Response, Problem> {
    let feed = open(&catalog, &name).await?;
    let source = source_asked(&query)?;
    let records = feed.storage_reader(Offset::START, ReadEnd::Head).await?;
    let mut frames = RawFrameRows { records, source };
    let mut erased = 0;
    while let Some((offset, ..)) = frames.next().await? {
        catalog.feeds.log().erase(feed.log_id(), offset).await?;
        erased += 1;
    }
    tracing::info!(feed = %feed.name(), erased, "vendors' frames were erased");
    Ok(Json(ErasedCount { erased }).into_response())
}
