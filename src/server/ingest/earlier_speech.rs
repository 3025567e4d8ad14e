//! Earlier lines of a source, from which a vendor's decoder determines where a new connection begins.

use std::sync::Arc;

use super::arrival_clock::ArrivalClock;
use crate::dialect::{EarlierLine, EarlierSpeech};
use crate::feed::LiveView;
use crate::server::core::context::ServerContext;
use crate::transcript::MediaMs;

/// The lines of one source, as far as its feed is folded.
pub(crate) struct SourceSpeech {
    context: Arc<ServerContext>,
    view: Arc<LiveView>,
    source: Arc<str>,
}

impl SourceSpeech {
    pub(crate) fn new(context: Arc<ServerContext>, view: Arc<LiveView>, source: Arc<str>) -> Self {
        Self { context, view, source }
    }
}

impl EarlierSpeech for SourceSpeech {
    fn lines(&self) -> Vec<EarlierLine> {
        let transcript = self.view.transcript();
        let lines = transcript.spans_of(&self.source);
        lines
            .map(|(id, start_ms, end_ms, text)| EarlierLine { id: id.clone(), start_ms, end_ms, text: text.clone() })
            .collect()
    }

    fn now_ms(&self) -> MediaMs {
        let transcript = self.view.transcript();
        let clock = ArrivalClock::new(transcript.opened_at().unwrap_or_default());
        clock.media_ms(transcript.reach(), &self.context.clock_history, self.context.clock.now())
    }
}
