//! A publisher that uses a vendor's format: its frames are decoded into our own messages and processed like those.
//!
//! Such a socket has no sequence numbers, so the server counts: each operation decoded from a frame takes the next
//! `seq` of the session, and a frame without operations takes none. Replies are the same as for every publisher;
//! `ack=false` is for clients that do not ignore messages which they do not know, and they are told only that they are
//! not on air. A refusal is a `nack`; a frame that was partly accepted causes a `warning` with the code `format`, and
//! each new session of the engine one with the code `clock_restarted`.

use std::sync::Arc;

use tokio::time::Instant;

use crate::dialect::{DecodeFault, DecodeFaultKind, Decoded, DecodedEvent, Framing, Options, VendorFormat};
use crate::log::LogError;
use crate::position::Epoch;
use crate::server::core::connection_end::{CloseReason, end_of};
use crate::server::ingest::earlier_speech::SourceSpeech;
use crate::server::ingest::frame_recorder::{FrameMeta, FrameRecorder};
use crate::server::ingest::pipeline::MessageArrival;
use crate::server::ingest::websocket::connection::PublisherConnection;
use crate::server::ingest::websocket::vendor_decoder::{VendorDecoder, VendorQuery};
use crate::transcript::Op;
use crate::wire::{NackCode, Refusal, WarningCode};

impl PublisherConnection<'_> {
    /// Decodes the connection's frames as a vendor's from now on.
    pub(crate) fn speak(&mut self, asked: VendorQuery) {
        let VendorQuery { format, offset_ms, lang, is_kept, .. } = asked;
        if let Some(offset_ms) = offset_ms {
            self.pipeline.begin_at(offset_ms);
        }
        let has_names = self.pipeline.speaker_names.is_none();
        let source = self.pipeline.publisher.source.clone();
        // New for each connection, even within a session: a vendor's numbers start over with every call.
        let tag = Epoch::from_random(self.service.context.chance.next()).to_string();
        let options = Options {
            label_source: (!has_names).then(|| source.clone()),
            offset_ms: offset_ms.unwrap_or(0),
            media_ms_max: self.service.context.config.captions.max_media_ms,
            text_bytes_max: self.limits.text_bytes,
            lang: lang.as_deref().map(Into::into),
            wall_start: self.pipeline.view.transcript().opened_at(),
            turn_gap_ms: self.pipeline.view.transcript().turn_gap_ms(),
            ..Options::new(&tag)
        };
        let reading =
            FrameMeta { source: &source, connection: &tag, format, offset_ms, has_names, lang: lang.as_deref() };
        let keeping = is_kept.then(|| FrameRecorder::new(&self.service.context, self.pipeline.view.clone(), &reading));
        self.pipeline.sequence.imply();
        if format == VendorFormat::YouTube {
            self.pipeline.keep_order_of_arrival();
        }
        let mut dialect = format.open(options);
        if offset_ms.is_none() {
            let (context, view) = (self.service.context.clone(), self.pipeline.view.clone());
            dialect.stand_behind(Box::new(SourceSpeech::new(context, view, source)));
        }
        self.vendor =
            Some(VendorDecoder { dialect, began: Instant::now(), due: None, framing: format.framing(), keeping });
    }

    /// Processes a vendor's frame.
    pub(crate) async fn take_vendors(&mut self, frame: &[u8], came: MessageArrival) -> Result<(), CloseReason> {
        let Some(vendor) = &mut self.vendor else { return Ok(()) };
        let mut decoded = Decoded::default();
        vendor.dialect.elapsed(vendor.elapsed_ms(came.since));
        vendor.dialect.decode(frame, &mut decoded);
        if vendor.framing == Framing::Lines {
            vendor.dialect.decode(b"\n", &mut decoded);
        }
        vendor.note_due();
        let kept = vendor.keeping.as_mut().map_or(Ok(None), |keeping| keeping.keep(frame));
        match kept {
            Ok(Some(op)) => self.pipeline.push_own(op, came.at),
            Ok(None) => {}
            Err(full) => self.warn(WarningCode::Raw, full.to_string()).await?,
        }
        if decoded.says.is_empty() && !decoded.faults.iter().any(|fault| fault.kind.is_refusal()) {
            // The frame has nothing for readers, and is not faulty.
            self.refused_in_a_row = 0;
        }
        self.say_decoded(decoded, came).await
    }

    /// Time at which the decoder has to be called even if nothing arrives; `None` if it need not be.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.vendor.as_ref().and_then(|vendor| vendor.due)
    }

    /// Finalizes what the vendor has settled, because nothing arrived for long enough.
    pub(crate) async fn rest_vendors(&mut self) -> Result<(), CloseReason> {
        let Some(vendor) = &mut self.vendor else { return Ok(()) };
        let came = MessageArrival::now(&self.service.context);
        let mut decoded = Decoded::default();
        vendor.dialect.rest(vendor.elapsed_ms(came.since), &mut decoded);
        vendor.note_due();
        self.say_decoded(decoded, came).await?;
        self.append_batch().await
    }

    /// Ends the decoder: what was settled becomes final.
    pub(crate) async fn end_vendors(&mut self) {
        let Some(mut vendor) = self.vendor.take() else { return };
        let mut decoded = Decoded::default();
        vendor.dialect.end(&mut decoded);
        let came = MessageArrival::now(&self.service.context);
        // If the log fails here, the client has already been told that the connection ends.
        let said = self.say_decoded(decoded, came).await.is_ok();
        if said
            && self.append_batch().await.is_ok()
            && self.acks.all_durable(&self.service.context.metrics).await.is_ok()
        {
            let _ = self.abandon_guesses().await;
        }
    }

    /// Abandons interim lines that the source left before this connection because of a crash. Their ids belong to a
    /// dead connection, even within the same session.
    pub(crate) async fn abandon_earlier_guesses(&mut self) -> Result<(), CloseReason> {
        if self.vendor.is_none()
            || self.pipeline.view.transcript().interim_lines(&self.pipeline.publisher.source).is_empty()
        {
            return Ok(());
        }
        self.abandon_guesses().await.map_err(|error| end_of(&error))
    }

    /// Abandons the interim lines that are left. Their ids belong to this connection, so no later version is to be
    /// expected. (A vendor's own ids may still be used; such a version ranks above.)
    async fn abandon_guesses(&mut self) -> Result<(), LogError> {
        let head = self.pipeline.feed.head().await?;
        self.pipeline.view.reach(head).await?;
        let source = &self.pipeline.publisher.source;
        let guesses = self.pipeline.view.transcript().interim_lines(source);
        let abandon =
            |(id, rev, _)| self.service.context.record(Op::Abandon { source: source.clone(), id, rev: Some(rev) });
        let records: Vec<_> = guesses.into_iter().map(abandon).collect();
        if !records.is_empty() {
            self.pipeline.feed.append_all(&records).await?;
        }
        Ok(())
    }

    /// Adds, to each retraction of a long line, retractions of its further parts (`7.2`, `7.3`): this decoder does not
    /// know what an earlier connection sent.
    fn with_parts(&self, mut says: Vec<DecodedEvent>) -> Vec<DecodedEvent> {
        let taken_back: Vec<&Arc<str>> = says
            .iter()
            .filter_map(|said| if let DecodedEvent::Retract { id } = said { Some(id) } else { None })
            .collect();
        let mut parts = Vec::new();
        for id in &taken_back {
            let all = (2..).map(|number| format!("{id}.{number}")).take_while(|part| self.pipeline.has_line(part));
            let others = all.filter(|part| taken_back.iter().all(|id| ***id != **part));
            parts.extend(others.map(|part| DecodedEvent::Retract { id: part.into() }));
        }
        says.append(&mut parts);
        says
    }

    async fn say_decoded(&mut self, mut decoded: Decoded, came: MessageArrival) -> Result<(), CloseReason> {
        if !decoded.late.is_empty() {
            // The line before which it belongs may have arrived a moment ago.
            self.append_batch().await?;
            self.see_all().await?;
            self.pipeline.put_late(&mut decoded);
        }
        // The ids are the vendor's own and permanent, and nothing was sent under them.
        self.warn_of_missing(&decoded.unsaid).await?;
        for said in self.with_parts(decoded.says) {
            let seq = match self.pipeline.sequence.next() {
                Ok(seq) => seq,
                Err(refusal) => return self.refuse(self.pipeline.sequence.last(), None, refusal).await,
            };
            let says = self.pipeline.checked(said, came.at);
            self.say(seq, says, came).await?;
        }
        for fault in decoded.faults {
            self.tell_fault(fault).await?;
        }
        Ok(())
    }

    async fn warn(&mut self, code: WarningCode, message: String) -> Result<(), CloseReason> {
        self.pipeline.warn(code, message);
        self.queue_warnings().await
    }

    async fn tell_fault(&mut self, fault: DecodeFault) -> Result<(), CloseReason> {
        let message = fault.to_string();
        let code = match fault.kind {
            DecodeFaultKind::Unreadable => NackCode::BadJson,
            DecodeFaultKind::UnknownType => NackCode::UnknownType,
            DecodeFaultKind::BadField => NackCode::BadField,
            DecodeFaultKind::BadTime | DecodeFaultKind::Odd => return self.warn(WarningCode::Format, message).await,
            DecodeFaultKind::Engine => return self.warn(WarningCode::Engine, message).await,
            DecodeFaultKind::ClockRestarted => return self.warn(WarningCode::ClockRestarted, message).await,
        };
        match self.pipeline.sequence.next() {
            Ok(seq) => self.refuse(seq, None, Refusal { code, message, field: None }).await,
            Err(refusal) => self.refuse(self.pipeline.sequence.last(), None, refusal).await,
        }
    }
}
