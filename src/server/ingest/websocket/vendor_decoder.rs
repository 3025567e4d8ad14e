//! Decoder state of a vendor's connection, and the query parameters that select it.

use std::time::Duration;

use tokio::time::Instant;

use crate::dialect::{Dialect, Framing, UnknownFormat, VendorFormat};
use crate::position::FeedId;
use crate::server::access::upgrade::RequestContext;
use crate::server::core::connection_end::CloseReason;
use crate::server::ingest::frame_recorder::FrameRecorder;
use crate::server::ingest::service::IngestService;
use crate::transcript::MediaMs;
use crate::wire::CloseCode;
use crate::wire::publisher::LANG_BYTES_MAX;

/// Query parameters for vendors' formats only.
const ONLY_HERE: [&str; 3] = ["lang", "ack", "keep_raw"];

/// Query parameters of a vendor's connection.
#[derive(Debug)]
pub(crate) struct VendorQuery {
    pub(crate) format: VendorFormat,
    pub(crate) offset_ms: Option<MediaMs>,
    pub(crate) lang: Option<Box<str>>,
    pub(crate) is_kept: bool,
    /// True if the client receives replies.
    pub(crate) is_answered: bool,
}

impl VendorQuery {
    /// Parses the query; `None` for our own format.
    pub(crate) fn read(
        service: &IngestService,
        feed: &FeedId,
        asked: &RequestContext,
    ) -> Result<Option<Self>, CloseReason> {
        let bad = |why: String| CloseReason::close(CloseCode::BadRequest, why);
        let format = asked.get("format").unwrap_or("captionwire");
        if format == "captionwire" {
            return match ONLY_HERE.iter().find(|name| asked.get(name).is_some()) {
                Some(name) => Err(bad(format!("{name} is for vendors' formats: set format= too"))),
                None => Ok(None),
            };
        }
        let format = format
            .parse()
            .map_err(|unknown: UnknownFormat| CloseReason::close(CloseCode::Unsupported, unknown.to_string()))?;
        let offset_ms = offset_ms(asked)?;
        let lang = asked.get("lang");
        if lang.is_some_and(|lang| lang.len() > LANG_BYTES_MAX || lang.chars().any(char::is_control)) {
            return Err(bad(format!("lang must be a language tag of at most {LANG_BYTES_MAX} bytes")));
        }
        let is_answered = asked.flag("ack", true)?;
        let is_kept =
            FrameRecorder::is_wanted(&service.context, feed, asked.get("keep_raw")).map_err(|why| bad(why.into()))?;
        Ok(Some(Self { format, offset_ms, lang: lang.map(Into::into), is_kept, is_answered }))
    }
}

/// Parses `offset_ms`, in milliseconds, which is added to all times; `None` if absent.
pub(crate) fn offset_ms(asked: &RequestContext) -> Result<Option<MediaMs>, CloseReason> {
    match asked.get("offset_ms").map(str::parse) {
        None => Ok(None),
        Some(Ok(offset_ms)) => Ok(Some(offset_ms)),
        Some(Err(_)) => {
            Err(CloseReason::close(CloseCode::BadRequest, "offset_ms must be a whole number of milliseconds"))
        }
    }
}

/// Returns true if labels do not name people: the default for vendors' formats, and otherwise set by `labels`.
pub(crate) fn are_labels_anonymous(asked: &RequestContext, is_vendors: bool) -> Result<bool, CloseReason> {
    match asked.get("labels") {
        None => Ok(is_vendors),
        Some("anonymous") => Ok(true),
        Some("names") => Ok(false),
        Some(_) => Err(CloseReason::close(CloseCode::BadRequest, "labels must be anonymous or names")),
    }
}

/// Decoder of a connection.
pub(crate) struct VendorDecoder {
    pub(crate) dialect: Box<dyn Dialect>,
    /// Time at which the connection began.
    pub(crate) began: Instant,
    /// Time at which settled text becomes final unless the vendor sends something new before.
    pub(crate) due: Option<Instant>,
    pub(crate) framing: Framing,
    /// Stores its frames, if requested.
    pub(crate) keeping: Option<FrameRecorder>,
}

impl VendorDecoder {
    pub(crate) fn elapsed_ms(&self, now: Instant) -> MediaMs {
        let elapsed = now.saturating_duration_since(self.began);
        MediaMs::try_from(elapsed.as_millis()).unwrap_or(MediaMs::MAX)
    }

    pub(crate) fn note_due(&mut self) {
        let after = |due_ms: MediaMs| Duration::from_millis(due_ms.unsigned_abs());
        self.due = self.dialect.due_ms().and_then(|due_ms| self.began.checked_add(after(due_ms)));
    }
}
