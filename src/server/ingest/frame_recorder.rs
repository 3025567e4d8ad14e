//! Stores vendors' frames beside the lines decoded from them, up to a quota per feed.
//!
//! A frame is a record of the feed's log, in the same append as its lines and before them. No view shows it, so no
//! reader receives it.

use std::sync::Arc;

use crate::dialect::VendorFormat;
use crate::feed::LiveView;
use crate::position::FeedId;
use crate::server::core::context::ServerContext;
use crate::transcript::{FrameBytes, MediaMs, Op, RawFrame};

/// Stores the frames of one connection, up to the quota of its feed.
#[derive(Debug)]
pub(crate) struct FrameRecorder {
    view: Arc<LiveView>,
    bytes_max: u64,
    /// Bytes that the feed held at the beginning, plus those stored here since.
    held: u64,
    is_full: bool,
    source: Arc<str>,
    connection: Arc<str>,
    format: Arc<str>,
    offset_ms: Option<MediaMs>,
    has_names: bool,
    lang: Option<Arc<str>>,
}

/// Settings with which a connection's frames are decoded.
#[derive(Debug)]
pub(crate) struct FrameMeta<'a> {
    pub(crate) source: &'a Arc<str>,
    pub(crate) connection: &'a str,
    pub(crate) format: VendorFormat,
    pub(crate) offset_ms: Option<MediaMs>,
    pub(crate) has_names: bool,
    pub(crate) lang: Option<&'a str>,
}

/// The quota is used up: no more frames are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the frames of this feed have reached {bytes_max} bytes (dialects.raw_bytes_max): this frame and later ones are \
     not kept; lines still are"
)]
pub(crate) struct QuotaExceeded {
    bytes_max: u64,
}

impl FrameRecorder {
    /// Returns whether frames are to be stored: as the query says, otherwise as configured.
    ///
    /// # Errors
    /// The valid values, if `keep_raw` has another one.
    pub(crate) fn is_wanted(context: &ServerContext, feed: &FeedId, asked: Option<&str>) -> Result<bool, &'static str> {
        match asked {
            None => Ok(context.config.dialects.keeps(feed.as_str())),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err("keep_raw must be true or false"),
        }
    }

    pub(crate) fn new(context: &ServerContext, view: Arc<LiveView>, reading: &FrameMeta<'_>) -> Self {
        let held = view.transcript().frame_bytes();
        Self {
            view,
            bytes_max: context.config.dialects.raw_bytes_max,
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

    /// Returns the operation that stores `frame`; `None` after the quota was exceeded, which is an error the first
    /// time.
    pub(crate) fn keep(&mut self, frame: &[u8]) -> Result<Option<Op>, QuotaExceeded> {
        if self.is_full {
            return Ok(None);
        }
        let bytes = FrameBytes::new(frame);
        // Frames of concurrent connections count once they are folded, so several connections may exceed the quota
        // slightly.
        self.held = self.held.max(self.view.transcript().frame_bytes()) + bytes.stored_len();
        if self.held > self.bytes_max {
            self.is_full = true;
            let Self { bytes_max, source, .. } = self;
            tracing::warn!(
                %source,
                bytes_max,
                "no more frames of a vendor are kept: dialects.raw_bytes_max is reached"
            );
            return Err(QuotaExceeded { bytes_max: *bytes_max });
        }
        Ok(Some(Op::Frame(Box::new(RawFrame {
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
