//! A publisher that speaks a vendor's format: its frames become what our own publishers say, and go the same way.
//!
//! Such a socket numbers nothing, so the server does: each operation that a frame becomes takes the next `seq` of the
//! session, and a frame that says nothing takes none. Answers are those of every publisher; vendors' clients pass over
//! messages they do not know, and `ack=false` is for those that do not. A refusal is a `nack`, what was taken but for a
//! part of it a `warning` with the code `format`.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Came, Connection, Numbering};
use crate::dialect::{Decoded, Dialect, Fault, FaultKind, Format, Framing, Options, Said, UnknownFormat};
use crate::log::LogError;
use crate::position::Epoch;
use crate::server::socket::End;
use crate::server::upgrade::Asked;
use crate::transcript::{MediaMs, Op, Record, Version};
use crate::wire::publish::{LANG_BYTES_MAX, check_version};
use crate::wire::{CloseCode, Incoming, NackCode, Refusal, ToPublisher};

/// What of the query is for vendors' formats only.
const ONLY_HERE: [&str; 4] = ["offset_ms", "labels", "lang", "ack"];

/// What was asked of a vendor's connection.
#[derive(Debug)]
pub(super) struct VendorAsked {
    format: Format,
    offset_ms: MediaMs,
    has_names: bool,
    lang: Option<Box<str>>,
    /// Whether the client is answered.
    pub(super) is_answered: bool,
}

impl VendorAsked {
    /// Reads the query; none for our own format.
    pub(super) fn read(asked: &Asked) -> Result<Option<Self>, End> {
        let bad = |why: String| End::close(CloseCode::BadRequest, why);
        let format = asked.get("format").unwrap_or("captionwire");
        if format == "captionwire" {
            return match ONLY_HERE.iter().find(|name| asked.get(name).is_some()) {
                Some(name) => Err(bad(format!("{name} is for vendors' formats: say format= too"))),
                None => Ok(None),
            };
        }
        let format =
            format.parse().map_err(|unknown: UnknownFormat| End::close(CloseCode::Unsupported, unknown.to_string()))?;
        let offset_ms = match asked.get("offset_ms").map(str::parse) {
            None => 0,
            Some(Ok(offset_ms)) => offset_ms,
            Some(Err(_)) => return Err(bad("offset_ms is a whole number of milliseconds".into())),
        };
        let has_names = match asked.get("labels") {
            None | Some("anonymous") => false,
            Some("names") => true,
            Some(_) => return Err(bad("labels is anonymous or names".into())),
        };
        let lang = asked.get("lang");
        if lang.is_some_and(|lang| lang.len() > LANG_BYTES_MAX || lang.chars().any(char::is_control)) {
            return Err(bad(format!("lang is a language tag of {LANG_BYTES_MAX} bytes at most")));
        }
        let is_answered = asked.flag("ack", true)?;
        Ok(Some(Self { format, offset_ms, has_names, lang: lang.map(Into::into), is_answered }))
    }
}

/// Anonymous speakers of one connection that are given their label for a name; those beyond keep their id for one.
const NAMED_MAX: usize = 256;

/// The decoder of a connection.
pub(super) struct Vendor {
    dialect: Box<dyn Dialect>,
    framing: Framing,
    /// Whether labels stand for nobody in particular.
    is_anonymous: bool,
    /// Who has been named.
    named: HashSet<Arc<str>>,
}

impl Connection<'_> {
    /// From now on its frames are a vendor's.
    pub(super) fn speak(&mut self, asked: VendorAsked) {
        let VendorAsked { format, offset_ms, has_names, lang, .. } = asked;
        // New for each connection, also within a session: a vendor's numbers start over when it is called anew.
        let tag = Epoch::from_random(self.app.chance.next()).to_string();
        let options = Options {
            label_source: (!has_names).then(|| self.publisher.source.clone()),
            offset_ms,
            media_ms_max: self.app.config.captions.max_media_ms,
            text_bytes_max: self.limits.text_bytes,
            lang: lang.as_deref().map(Into::into),
            wall_start: self.view.transcript().opened_at(),
            ..Options::new(&tag)
        };
        self.numbering = Numbering::Implied;
        self.vendor = Some(Vendor {
            dialect: format.open(options),
            framing: format.framing(),
            is_anonymous: !has_names,
            named: HashSet::new(),
        });
    }

    /// Takes a vendor's frame.
    pub(super) async fn take_vendors(&mut self, frame: &[u8], came: Came) -> Result<(), End> {
        let Some(vendor) = &mut self.vendor else { return Ok(()) };
        let mut decoded = Decoded::default();
        vendor.dialect.decode(frame, &mut decoded);
        if vendor.framing == Framing::Lines {
            vendor.dialect.decode(b"\n", &mut decoded);
        }
        self.say_decoded(decoded, came).await
    }

    /// The connection is over: what was settled becomes final.
    pub(super) async fn end_vendors(&mut self) {
        let Some(mut vendor) = self.vendor.take() else { return };
        let mut decoded = Decoded::default();
        vendor.dialect.end(&mut decoded);
        let came = self.came_now();
        // If the log takes no more, that is the end that the client has been told.
        let said = self.say_decoded(decoded, came).await.is_ok();
        if said && self.append_burst().await.is_ok() && self.answers.all_durable().await.is_ok() {
            let _ = self.abandon_guesses().await;
        }
    }

    /// Guesses that are left stand as they are, unconfirmed: their ids are this connection's, so that nobody comes back
    /// to say them otherwise. (What a vendor's own ids name may still be; that ranks above.)
    async fn abandon_guesses(&mut self) -> Result<(), LogError> {
        let head = self.feed.head().await?;
        self.view.reach(head).await?;
        let source = &self.publisher.source;
        let guesses = self.view.transcript().interim_lines(source);
        let abandon = |(id, rev, _)| self.app.record(Op::Abandon { source: source.clone(), id, rev: Some(rev) });
        let records: Vec<_> = guesses.into_iter().map(abandon).collect();
        if !records.is_empty() {
            self.feed.append_all(&records).await?;
        }
        Ok(())
    }

    async fn say_decoded(&mut self, decoded: Decoded, came: Came) -> Result<(), End> {
        for said in decoded.says {
            if let Said::Lines(lines) = &said {
                lines.iter().filter_map(|line| line.content.speaker.as_ref()).for_each(|id| self.name(id, came));
            }
            self.seq += 1;
            let says = match said {
                Said::Lines(lines) => Incoming::Lines(lines.into_iter().map(|line| self.checked(line)).collect()),
                Said::Retract { id } => Incoming::Retract { id, rev: None },
                Said::Clock { media_ms } => Incoming::Clock { media_ms },
            };
            self.say(self.seq, says, came).await?;
        }
        for fault in decoded.faults {
            self.tell_fault(fault).await?;
        }
        Ok(())
    }

    /// Gives an anonymous speaker its label for a name: its id, which says of which session it is, is not for people. Once
    /// for each id, whoever comes again, so that nobody's renaming is undone.
    fn name(&mut self, id: &Arc<str>, came: Came) {
        let Some(vendor) = self.vendor.as_mut().filter(|vendor| vendor.is_anonymous) else { return };
        let scoped = id.strip_prefix(&*self.publisher.source).and_then(|rest| rest.strip_prefix('.'));
        let Some((_, label)) = scoped.and_then(|scoped| scoped.split_once(':')) else { return };
        if label.is_empty() || vendor.named.len() >= NAMED_MAX || !vendor.named.insert(id.clone()) {
            return;
        }
        let op = Op::Rename { speaker: id.clone(), name: label.into(), kind: None };
        let op_id = Some(format!("label:{id}").into());
        self.burst.push_own(Record { received_at: came.at, published: None, op_id, op });
    }

    /// A decoder makes lines as they should be; the log is not where to learn that one did not.
    fn checked(&self, line: Version) -> Result<Version, Refusal> {
        check_version(&line, &self.limits, self.app.config.captions.max_media_ms)?;
        Ok(line)
    }

    async fn tell_fault(&mut self, fault: Fault) -> Result<(), End> {
        let message = fault.to_string();
        let code = match fault.kind {
            FaultKind::Unreadable => NackCode::BadJson,
            FaultKind::UnknownType => NackCode::UnknownType,
            FaultKind::BadField => NackCode::BadField,
            FaultKind::BadTime | FaultKind::Odd | FaultKind::Engine => {
                let code = if fault.kind == FaultKind::Engine { "engine" } else { "format" };
                let warning = ToPublisher::Warning { code: code.into(), message, id: None, rev: None };
                // In its turn, as a nack is.
                self.append_burst().await?;
                self.answers.nack(warning);
                return Ok(());
            }
        };
        self.seq += 1;
        self.refuse(self.seq, None, Refusal { code, message, field: None }).await
    }
}
