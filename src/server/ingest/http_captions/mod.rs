//! Captions posted over HTTP, one per request, to the URLs that captioning software supports: those of Zoom, YouTube
//! and StreamText.
//!
//! A request is answered once its content is durable; without an answer the software retries with the same number. The
//! numbers of Zoom and YouTube are those of a session in the log, so that a retry is recognized even after a crash on
//! either side. A number that falls back comes from restarted software: it begins another session, `<session>.2`, so
//! that nothing is overwritten. A missing number that arrives a moment late is stored in its place. A StreamText stream
//! is one text that is continuously appended to. The part that deletions can reach is kept in memory here; after a
//! restart of the server a new line begins.

mod streamtext;
mod youtube;
mod zoom;

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;

use crate::dialect::{Decoded, DecodedEvent, Options, VendorFormat};
use crate::feed::LiveView;
use crate::format::TextEncoding;
use crate::position::FeedId;
use crate::server::access::auth::Access;
use crate::server::http::body::{charset, read};
use crate::server::http::problem::{Problem, ProblemCode};
use crate::server::ingest::caption_retries::{CaptionRetry, LATE_MS_MAX, RetryPlace};
use crate::server::ingest::caption_streams::LATE_NUMBERS_MAX;
use crate::server::ingest::frame_recorder::{FrameMeta, FrameRecorder, QuotaExceeded};
pub(crate) use crate::server::ingest::http_captions::streamtext::streamtext;
pub(crate) use crate::server::ingest::http_captions::youtube::youtube;
pub(crate) use crate::server::ingest::http_captions::zoom::{zoom, zoom_seq};
use crate::server::ingest::identity::{PublisherIdentity, is_correcting};
use crate::server::ingest::pipeline::{AppendMode, CommitError, IngestPipeline, MessageArrival};
use crate::server::ingest::service::IngestService;
use crate::transcript::{Content, MediaMs, Timestamp, Version};
use crate::wire::publisher::{LANG_BYTES_MAX, NUMBER_MAX};

/// Note for a number that is more than one above the last.
const GAP: &str = "numbers are missing before this one: the server did not receive the captions posted under them";

/// Note for a number that was missing until now.
const LATE: &str = "this number came after a higher one: the caption was inserted at its place";
/// Note for a late number in a stream, whose text cannot be inserted before the text that is stored already.
const LATE_IN_STREAM: &str =
    "this number came after a higher one: its text was added behind the text of the higher number";
/// Note if a line is open but the part of it that deletions can reach is not known.
const BEGUN_ANEW: &str = "the stream's open line cannot be continued: the server was restarted, dropped the stream \
     (limits.streams_max, limits.streams_per_feed_max), or another node received it. The line stays as it is, and \
     this text begins a new one";
/// Note for a caption that was posted before and retracted since.
const TAKEN_BACK: &str = "this caption was posted before under this number and retracted since: it stays retracted";

/// Note for a new run that may have begun with captions that are no longer known.
const FORGOTTEN: &str = "this run may have begun before this caption. Until the server recognises a new run, it takes \
     captions that repeat the text of their number for retries, and it may not know all of those: it was just \
     started, another node received them, or there were too many. Check that the feed has the run's first captions, \
     and post missing ones again under another session";

type CaptionQuery = HashMap<String, String>;

/// A caption request, with its publisher and feed.
struct CaptionPost {
    service: Arc<IngestService>,
    pipeline: IngestPipeline,
    /// Base name of its sessions.
    base: Arc<str>,
    /// True if the request bodies are stored as received.
    is_kept: bool,
    lang: Option<Box<str>>,
    /// Added to all times, in milliseconds.
    offset_ms: MediaMs,
}

impl CaptionPost {
    /// Opens the feed, and waits for earlier requests of the same session.
    async fn open(
        service: Arc<IngestService>,
        name: &str,
        asked: &CaptionQuery,
        access: &Access,
        base: &str,
    ) -> Result<Self, Problem> {
        let name = FeedId::new(name)?;
        let session = asked.get("session").map_or(base, String::as_str);
        let source = access.source(asked.get("source").map(String::as_str))?;
        let mut publisher = PublisherIdentity::new(&service.context, source, Some(session))?;
        publisher.corrects = is_correcting(asked)?;
        let base = publisher.session.clone();
        if base.len() > 64 {
            return Err(Problem::bad("session may have at most 64 bytes: it begins the ids of lines"));
        }
        let offset_ms = asked.get("offset_ms").map(|offset_ms| {
            offset_ms.parse().map_err(|_| Problem::bad("offset_ms must be a whole number of milliseconds"))
        });
        let offset_ms: Option<MediaMs> = offset_ms.transpose()?;
        let keep_raw = asked.get("keep_raw").map(String::as_str);
        let is_kept = FrameRecorder::is_wanted(&service.context, &name, keep_raw).map_err(Problem::bad)?;
        let feed = service.open_feed(access, &name).await??;
        let mut pipeline = IngestPipeline::begin_request(&service, feed, publisher).await?;
        if let Some(offset_ms) = offset_ms {
            pipeline.begin_at(offset_ms);
        }
        let lang =
            asked.get("lang").map(|lang| lang.chars().filter(|c| !c.is_control()).take(LANG_BYTES_MAX).collect());
        Ok(Self { service, pipeline, base, is_kept, lang, offset_ms: offset_ms.unwrap_or(0) })
    }

    /// Determines the session of `number`, and whether it is stored already. `said` returns the line that the posted
    /// text would be under a number of a session.
    fn place(&self, number: Option<u64>, said: impl Fn(&str, u64) -> Option<Version>) -> PostOrder {
        let (session, last) = session(&self.pipeline.view, &self.pipeline.publisher.source, &self.base);
        let asked = match number {
            None if last < NUMBER_MAX => return PostOrder::New(session, last + 1, false),
            None => return PostOrder::NewRun { session: self.next_run(&session), before: session, number: 1 },
            Some(number) => number,
        };
        // The log counts from 1; software may count from 0.
        let number = asked + 1;
        if number > last {
            return PostOrder::New(session, number, last > 0 && number - last > 1);
        }
        let said = |number: u64| said(&session, number);
        if let Some(placed) = self.late_place(&session, asked, last - number, said) {
            return placed;
        }
        PostOrder::NewRun { session: self.next_run(&session), before: session, number }
    }

    /// Returns the session after `session`, for numbers that start over.
    fn next_run(&self, session: &str) -> Arc<str> {
        let run = session.strip_prefix(&*self.base).and_then(|rest| rest.strip_prefix('.')?.parse().ok()).unwrap_or(1);
        run_name(&self.base, run + 1)
    }

    /// Returns the place of a number that is `behind` numbers late: stored already, or missing so far. `None` for
    /// restarted software.
    fn late_place(
        &self,
        session: &Arc<str>,
        number: u64,
        behind: u64,
        said: impl Fn(u64) -> Option<Version>,
    ) -> Option<PostOrder> {
        let source = &self.pipeline.publisher.source;
        let transcript = self.pipeline.view.transcript();
        let Version { id, content, .. } = said(number)?;
        let line = |id: &str| transcript.line(source, id);
        // Regardless of later changes to the line: a retry does not restore a retracted or corrected line. Its time may
        // have been left out.
        let timeless = content.without_times();
        let said_at = [&content, &timeless].into_iter().find_map(|content| transcript.when_said(source, &id, content));
        if said_at.is_some() && transcript.line_rev(source, &id).is_some_and(|(_, is_taken_back)| is_taken_back) {
            return Some(PostOrder::TakenBack(session.clone()));
        }
        if behind > LATE_NUMBERS_MAX {
            return None;
        }
        let said_at =
            said_at.or_else(|| line(&id).filter(|line| *line.text == *content.text).map(|line| line.received_at));
        if let Some(said_at) = said_at {
            // An earlier number counts as a repeat only for a short time; later it is the first of a new run.
            return match behind {
                0 => Some(PostOrder::Repeat),
                _ => self.is_recent(said_at).then(|| PostOrder::RepeatOfEarlier(session.clone())),
            };
        }
        if behind == 0 || transcript.knows(source, &id) {
            return None;
        }
        let next = (number + 1..=number + behind).find_map(|later| line(&said(later)?.id))?;
        let late: Arc<str> = format!("{session}.late").into();
        let seq = transcript.seq(source, &late) + 1;
        self.is_recent(next.received_at).then(|| PostOrder::Late {
            session: session.clone(),
            late,
            seq,
            at_ms: next.start_ms,
        })
    }

    /// Stores a post under its number, in its place. Returns notes for the answer. `decode` decodes a text as the
    /// number of a session.
    async fn take(
        &mut self,
        number: Option<u64>,
        (format, text, frame): (VendorFormat, &str, &[u8]),
        decode: impl Fn(&str, &str, u64) -> Decoded,
    ) -> Result<Vec<String>, Problem> {
        let said = |session: &str, number: u64| match decode(text, session, number).says.into_iter().next()? {
            DecodedEvent::Lines(lines) => first_line(format, lines),
            _ => None,
        };
        let placed = self.place(number, said);
        // Either may be the first caption of a new run, which is only known once a caption differs.
        if let PostOrder::RepeatOfEarlier(session) | PostOrder::TakenBack(session) = &placed {
            let is_taken_back = matches!(placed, PostOrder::TakenBack(_));
            self.note_retry(session, number.unwrap_or_default(), text, is_taken_back);
        }
        let (tag, asked, session, seq, note, at_ms) = match &placed {
            PostOrder::Repeat | PostOrder::RepeatOfEarlier(_) | PostOrder::TakenBack(_) => {
                self.pipeline.warn_if_off_air();
                let note = matches!(placed, PostOrder::TakenBack(_)).then_some(TAKEN_BACK.to_owned());
                return Ok(self.warnings().chain(note).collect());
            }
            PostOrder::New(session, seq, is_after_gap) => {
                (session, seq - 1, session, *seq, is_after_gap.then_some(GAP), None)
            }
            PostOrder::NewRun { session, number, .. } => (session, number - 1, session, *number, None, None),
            PostOrder::Late { session, late, seq, at_ms } => {
                (session, number.unwrap_or_default(), late, *seq, Some(LATE), Some(*at_ms))
            }
        };
        let (before, (retries, is_short)) = match &placed {
            PostOrder::NewRun { before, .. } => {
                let zero = decode(text, before, 0).says.into_iter().next();
                let zero =
                    zero.and_then(
                        |said| if let DecodedEvent::Lines(lines) = said { first_line(format, lines) } else { None },
                    );
                let source = &self.pipeline.publisher.source;
                let has_zero = zero.is_some_and(|line| self.pipeline.view.transcript().knows(source, &line.id));
                (before, self.retries(before, u64::from(!has_zero), asked))
            }
            _ => (session, (Vec::new(), false)),
        };
        let decoded = decode(text, tag, asked);
        check_taken(&decoded)?;
        let earlier = retries.iter().flat_map(|retry| merged(decode(&retry.text, tag, retry.number).says));
        let mut says: Vec<DecodedEvent> = earlier.collect();
        let (count, first) = (says.len(), seq - says.len() as u64);
        says.extend(merged(decoded.says));
        if let Some(at_ms) = at_ms {
            says = moved(says, at_ms);
        }
        let notes = self.publish(session, first, ParsedPost { format, frame, says }).await?;
        self.service.streams.retries.forget(self.pipeline.feed.log_id(), &self.pipeline.publisher.source, before);
        let faults = decoded.faults.iter().map(ToString::to_string);
        let begun = (count > 0).then(|| {
            let captions = if count == 1 { "caption before this one was" } else { "captions before this one were" };
            format!("{count} {captions} taken for retries, but this run began there: they are published now")
        });
        let note = is_short.then_some(FORGOTTEN).into_iter().chain(note).map(str::to_owned);
        Ok(faults.chain(notes).chain(begun).chain(note).collect())
    }

    fn note_retry(&self, session: &Arc<str>, number: u64, text: &str, is_taken_back: bool) {
        let IngestPipeline { feed, publisher, .. } = &self.pipeline;
        let (source, session) = (publisher.source.clone(), session.clone());
        let retry = CaptionRetry { source, session, number, text: text.into(), is_taken_back };
        self.service.streams.retries.note(feed.log_id(), retry);
    }

    /// Returns the captions treated as retries before the `number` that revealed a new run. The previous run began with
    /// `first`.
    fn retries(&self, session: &str, first: u64, number: u64) -> (Vec<CaptionRetry>, bool) {
        let IngestPipeline { feed, publisher, .. } = &self.pipeline;
        let place = RetryPlace {
            log_id: feed.log_id(),
            source: &publisher.source,
            session,
            first,
            is_shared: feed.is_shared(),
        };
        self.service.streams.retries.before(&place, number)
    }

    /// Removes and returns the texts of the pipeline's warnings.
    fn warnings(&mut self) -> impl Iterator<Item = String> {
        self.pipeline.warnings.drain(..).map(|warning| warning.message)
    }

    /// Returns true if `at` is within the last seconds, the time for retries.
    fn is_recent(&self, at: Timestamp) -> bool {
        self.service.context.clock_history.since(at, self.service.context.clock.now()) <= LATE_MS_MAX
    }

    fn options(&self, tag: &str) -> Options {
        Options {
            media_ms_max: self.service.context.config.captions.max_media_ms,
            text_bytes_max: self.service.context.limits().text_bytes,
            lang: self.lang.as_deref().map(Into::into),
            offset_ms: self.offset_ms,
            wall_start: self.pipeline.view.transcript().opened_at(),
            ..Options::new(tag)
        }
    }

    /// Publishes the operations of a request under the numbers from `seq` on, and stores the request body if requested
    /// and within the quota. Returns notes for the answer.
    async fn publish(&mut self, session: &Arc<str>, seq: u64, posted: ParsedPost<'_>) -> Result<Vec<String>, Problem> {
        let Self { service, pipeline, .. } = self;
        let came = MessageArrival::now(&service.context);
        let (mut refusal, mut full) = (None, None);
        if self.is_kept {
            let (source, lang) = (&pipeline.publisher.source, self.lang.as_deref());
            let reading = FrameMeta {
                source,
                connection: session,
                format: posted.format,
                offset_ms: Some(self.offset_ms).filter(|offset_ms| *offset_ms != 0),
                has_names: true,
                lang,
            };
            match FrameRecorder::new(&service.context, pipeline.view.clone(), &reading).keep(posted.frame) {
                Ok(op) => op.into_iter().for_each(|op| pipeline.push_own(op, came.at)),
                Err(error) => full = Some(error),
            }
        }
        if posted.format == VendorFormat::YouTube {
            pipeline.keep_order_of_arrival();
        }
        pipeline.enter_session(session.clone(), seq - 1);
        for said in posted.says {
            let message = pipeline.checked(said, came.at);
            let admitted = pipeline.admit(message, came.at);
            for (_, error) in admitted.refusals {
                pipeline.count_refusal(&error);
                refusal = Some(error);
            }
            if let Some(op) = admitted.op {
                let seq = pipeline.sequence.next().map_err(|refusal| Problem::bad(refusal.message))?;
                pipeline.push(seq, op, came);
            }
        }
        // The log has all of a request or nothing.
        let committed = pipeline.commit(|_| true, AppendMode::Whole).await.map_err(|error| match error {
            CommitError::Log(error) => Problem::from(error),
            CommitError::SessionTaken => Problem::new(ProblemCode::Conflict, format!("{error}: try again")),
        })?;
        if !committed.conflicts.is_empty() {
            let detail = "another request of the session was taken at another node in the same moment: try again";
            return Err(Problem::new(ProblemCode::Conflict, detail));
        }
        pipeline.warn_if_off_air();
        match refusal {
            Some(refusal) => Err(Problem::bad(refusal.message)),
            None => Ok(full.iter().map(QuotaExceeded::to_string).chain(self.warnings()).collect()),
        }
    }
}

/// Operations of a request, with the body that they were decoded from.
struct ParsedPost<'a> {
    format: VendorFormat,
    frame: &'a [u8],
    says: Vec<DecodedEvent>,
}

/// Place of a numbered request.
enum PostOrder {
    /// In this session, under this number of the log; true if numbers before it are missing.
    New(Arc<str>, u64, bool),
    /// In a new session after `before`, under this number of the log: the software was restarted.
    NewRun { session: Arc<str>, before: Arc<str>, number: u64 },
    /// The number was missing: its line ids are those of `session`, and it starts at `at_ms`, before the number that
    /// came first. In the log it is the number `seq` of the session `late`, because the numbers of a session only rise.
    Late { session: Arc<str>, late: Arc<str>, seq: u64, at_ms: MediaMs },
    /// It is stored, as the last one.
    Repeat,
    /// It is stored in this session, followed by others.
    RepeatOfEarlier(Arc<str>),
    /// It was stored, and then retracted.
    TakenBack(Arc<str>),
}

/// Returns the line that identifies a caption among those decoded from it: Zoom's long texts become several lines, and
/// each of YouTube's lines has a time of its own.
fn first_line(format: VendorFormat, lines: Vec<Version>) -> Option<Version> {
    let mut lines = lines.into_iter();
    if format == VendorFormat::YouTube { lines.next_back() } else { lines.next() }
}

/// Places the lines without a time that were posted under a late number at `at_ms`.
fn moved(says: Vec<DecodedEvent>, at_ms: MediaMs) -> Vec<DecodedEvent> {
    let mut says = says;
    for said in &mut says {
        if let DecodedEvent::Lines(lines) = said {
            lines
                .iter_mut()
                .filter(|line| line.content.start_ms.is_none())
                .for_each(|line| line.arrival_ms = Some(at_ms));
        }
    }
    says
}

/// Adds an empty line if a post has no text, so that its number is not missing. The line is not shown.
fn or_blank(decoded: &mut Decoded, id: String) {
    let says_line = decoded.says.iter().any(|said| matches!(said, DecodedEvent::Lines(_)));
    let is_refused = decoded.faults.iter().any(|fault| fault.kind.is_refusal());
    if !says_line && !is_refused {
        let blank = Version { id: id.into(), content: Content::default(), ..Version::default() };
        decoded.says.push(DecodedEvent::Lines(vec![blank]));
    }
}

/// Returns the session that currently counts numbers, and its last number.
fn session(view: &LiveView, source: &str, base: &Arc<str>) -> (Arc<str>, u64) {
    let transcript = view.transcript();
    let mut run = 1;
    while transcript.seq(source, &run_name(base, run + 1)) > 0 {
        run += 1;
    }
    let session = run_name(base, run);
    let seq = transcript.seq(source, &session);
    (session, seq)
}

fn run_name(base: &Arc<str>, run: u64) -> Arc<str> {
    if run == 1 { base.clone() } else { format!("{base}.{run}").into() }
}

/// Parses the `seq` of a request.
fn number(asked: &CaptionQuery) -> Result<Option<u64>, Problem> {
    match asked.get("seq").map(|seq| seq.parse()) {
        None => Ok(None),
        Some(Ok(seq)) if seq < NUMBER_MAX => Ok(Some(seq)),
        Some(_) => {
            Err(Problem::bad(format!("seq must be a whole number below {NUMBER_MAX}, one higher with each request")))
        }
    }
}

/// Reads a text body.
async fn text(service: &IngestService, headers: &HeaderMap, body: Body) -> Result<String, Problem> {
    let body = read(&service.context, headers, body, service.context.config.limits.message_bytes).await?;
    let body = in_utf8(headers, body)?;
    String::from_utf8(body.into()).map_err(|error| Problem::bad(format!("the body is not UTF-8: {error}")))
}

/// Converts a body to UTF-8 without a byte order mark, from the encoding of its mark or its `Content-Type`. Without
/// either it is returned unchanged.
fn in_utf8(headers: &HeaderMap, body: Bytes) -> Result<Bytes, Problem> {
    match TextEncoding::of_mark(&body).or(charset(headers)?) {
        None => Ok(body),
        Some(encoding) => match encoding.decode_strictly(&body) {
            Some(text) => Ok(Bytes::from(text)),
            None => Err(Problem::bad(format!("the body is not {encoding}, as it says"))),
        },
    }
}

/// Refuses a body of which nothing was accepted, such as an engine's JSON message.
fn check_taken(decoded: &Decoded) -> Result<(), Problem> {
    let refusal = decoded.faults.iter().find(|fault| fault.kind.is_refusal());
    refusal.filter(|_| decoded.says.is_empty()).map_or(Ok(()), |fault| Err(Problem::bad(fault.to_string())))
}

/// Formats the answer for the software, followed by notes for people.
fn told(answer: impl std::fmt::Display, notes: impl IntoIterator<Item = String>) -> String {
    notes.into_iter().fold(format!("{answer}\n"), |told, note| format!("{told}{note}\n"))
}

/// Combines all lines into one operation, for requests with a single number.
fn merged(says: Vec<DecodedEvent>) -> Vec<DecodedEvent> {
    let lines =
        says.into_iter().filter_map(|said| if let DecodedEvent::Lines(lines) = said { Some(lines) } else { None });
    let lines: Vec<_> = lines.flatten().collect();
    if lines.is_empty() { Vec::new() } else { vec![DecodedEvent::Lines(lines)] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::wall_time;

    #[test]
    fn runs_and_times_are_written() {
        let base: Arc<str> = "zoom".into();
        assert_eq!((&*run_name(&base, 1), &*run_name(&base, 12)), ("zoom", "zoom.12"));
        assert_eq!(wall_time(Timestamp(0)), "1970-01-01T00:00:00.000");
    }

    #[test]
    fn bodies_as_a_table() {
        let check = |content_type: &str, body: &[u8], expected: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::CONTENT_TYPE, content_type.parse().expect("a header"));
            let found = in_utf8(&headers, Bytes::copy_from_slice(body));
            assert_eq!(found.ok().as_deref(), expected.map(str::as_bytes), "{content_type}");
        };
        check("text/plain", "café".as_bytes(), Some("café"));
        check("text/plain; charset=iso-8859-1", b"caf\xe9", Some("café"));
        check("text/plain;Charset=\"windows-1251\"", b"\xc4\xe0", Some("Да"));
        check("text/plain; charset=utf-16le", b"a\0b\0", Some("ab"));
        check("text/plain; charset=us-ascii", b"plain", Some("plain"));
        // A byte order mark has priority over the header, and is no text.
        check("text/plain", b"\xef\xbb\xbfa", Some("a"));
        check("text/plain; charset=iso-8859-1", b"\xef\xbb\xbf\xc3\xa9", Some("é"));
        check("text/plain", b"\xff\xfea\0", Some("a"));
        check("text/plain", b"\xef\xbb\xbf\xef\xbb\xbfa", Some("a"));
        check("text/plain; charset=utf-16", b"\xff\xfe\xff\xfea\0", Some("a"));
        check("text/plain; charset=hz-gb-2312", b"~{VP~}", Some("\u{4e2d}"));
        check("text/plain; charset=klingon", b"a", None);
        check("text/plain; charset=utf-16le", b"a", None);
    }
}
