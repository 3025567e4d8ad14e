//! Vendors' frames, read and published as lines: from a file or a pipe (`publish --format`), or from a socket
//! (`relay`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufRead, AsyncBufReadExt};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

pub(crate) use crate::cli::support::earlier_lines::{EarlierOutput, FeedLines};
use crate::cli::support::line_counts::CountingPublisher;
use crate::cli::support::output::note;
use crate::cli::support::shown_lines::shown_lines;
use crate::client::{HttpClient, HttpError, PublishError, PublisherOptions, random_name};
use crate::dialect::{Decoded, DecodedEvent, Dialect, Framing, Options, VendorFormat};
use crate::position::{BadName, FeedId};
use crate::transcript::line::{DEFAULT_SOURCE, check_line_id, check_source};
use crate::transcript::{MediaMs, TurnSettings, Version};
use crate::wire::Outgoing;
use crate::wire::recording::RecordingFormat;

/// Time that a live input may wait before its first line is published.
pub(crate) const LOOK_WAIT: Duration = Duration::from_secs(2);

/// Time that a file may wait before its first line is published.
const FILE_LOOK_WAIT: Duration = Duration::from_secs(10);

/// Options for reading a vendor's frames.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct VendorOptions {
    /// The input is in a vendor's format, such as deepgram, rev or text; docs/dialects.md lists them
    #[arg(long, value_parser = parse_format)]
    pub(crate) format: Option<VendorFormat>,
    /// With --format: media time at the start of the vendor's session, in milliseconds. Without it, messages without a time get
    /// the feed's current media time
    #[arg(long, requires = "format", allow_negative_numbers = true)]
    offset_ms: Option<MediaMs>,
    /// With --format: language of lines that have none
    #[arg(long, requires = "format")]
    lang: Option<String>,
    /// With --format: speaker labels are real names, the same person in every session
    #[arg(long, requires = "format")]
    names: bool,
    /// With --format: silence in milliseconds after which settled words are final; set it to the server's `turn_gap_ms`
    #[arg(long, requires = "format", value_name = "MS", default_value_t = TurnSettings::default().turn_gap_ms,
          value_parser = clap::value_parser!(i64).range(0..=86_400_000))]
    turn_gap_ms: MediaMs,
}

/// Checks a source name by the server's rule.
pub(crate) fn parse_source(name: &str) -> Result<String, BadName> {
    check_source(name).map(|()| name.to_owned())
}

/// Checks a session name by the server's rule.
pub(crate) fn parse_session(name: &str) -> Result<String, BadName> {
    check_line_id(name).map_err(|bad| BadName { what: "session", ..bad }).map(|()| name.to_owned())
}

fn parse_format(name: &str) -> Result<VendorFormat, String> {
    name.parse().map_err(|error: crate::dialect::UnknownFormat| error.to_string())
}

impl VendorOptions {
    /// Returns the options of a publisher for this input.
    pub(crate) fn publisher(&self, source: Option<String>, session: Option<String>) -> PublisherOptions {
        let anonymous = self.format.is_some() && !self.names;
        // Ids of a dialect are new in each run, or the vendor's own, which stand for one piece of speech only.
        let corrects = self.format.is_some();
        // A vendor's program has no other times to send.
        let keeps_text = self.format.is_some();
        PublisherOptions { source, session, anonymous, corrects, keeps_text, ..PublisherOptions::default() }
    }

    /// Returns the decoder options for a session that begins `after_ms` after the first.
    pub(crate) fn options(&self, source: Option<&str>, after_ms: MediaMs) -> Options {
        // New in each run, because a vendor's own numbers start over in a new session.
        let tag = random_name();
        Options {
            label_source: (!self.names).then(|| source.unwrap_or("main").into()),
            offset_ms: self.offset_ms.unwrap_or(0).saturating_add(after_ms),
            lang: self.lang.as_deref().map(Into::into),
            turn_gap_ms: self.turn_gap_ms,
            ..Options::new(&tag)
        }
    }

    /// Returns the decoder options that a server used for a recorded session; options given here take precedence.
    fn options_as(&self, read_as: &RecordingFormat) -> Options {
        let options = self.options(None, read_as.offset_ms.unwrap_or(0));
        Options {
            label_source: options.label_source.filter(|_| !read_as.names),
            lang: options.lang.or_else(|| read_as.lang.as_deref().map(Into::into)),
            wall_start: read_as.wall_start,
            ..options
        }
    }

    /// Begins a session of a recording, `after_ms` after the first.
    ///
    /// # Errors
    /// If neither the recording nor `--format` names the vendor's format.
    pub(crate) fn session(
        &self,
        read_as: Option<&RecordingFormat>,
        after_ms: MediaMs,
        said: &EarlierOutput,
    ) -> anyhow::Result<VendorSessions> {
        let named = read_as.map(|read_as| parse_format(&read_as.format)).transpose().map_err(anyhow::Error::msg)?;
        let Some(format) = self.format.or(named) else { bail!("name the vendor's format with --format") };
        let options = read_as.map_or_else(|| self.options(None, after_ms), |read_as| self.options_as(read_as));
        let is_given = self.offset_ms.is_some() || read_as.is_some_and(|read_as| read_as.offset_ms.is_some());
        let begins_at = is_given.then_some(options.offset_ms);
        let mut session = VendorSessions::begin(format, options, begins_at);
        if !is_given && read_as.is_some() {
            // As the server did when it placed the session.
            session.dialect.stand_behind(Box::new(said.clone()));
        }
        Ok(session)
    }

    /// Begins the first session of a run, in a feed that has `lines` of its source.
    pub(crate) fn begin(&self, format: VendorFormat, source: Option<&str>, lines: Option<FeedLines>) -> VendorSessions {
        let mut session = VendorSessions::begin(format, self.options(source, 0), self.offset_ms);
        if let Some(lines) = lines {
            session.dialect.stand_behind(Box::new(lines));
        }
        session
    }

    /// Returns the earlier lines of the source, unless an option says where the session begins.
    pub(crate) async fn earlier_lines(
        &self,
        publisher: &CountingPublisher,
        http: &HttpClient,
        feed: &str,
        source: Option<&str>,
        is_live: bool,
    ) -> Option<FeedLines> {
        let name = FeedId::new(feed).ok().filter(|_| self.offset_ms.is_none())?;
        // Until this session has the source, another one may add lines. Live input waits only briefly for that, or for
        // a server.
        let patience = if is_live { LOOK_WAIT } else { FILE_LOOK_WAIT };
        let _ = tokio::time::timeout(patience, publisher.welcomed()).await;
        match shown_lines(http, &name).await {
            Ok(lines) => Some(FeedLines::new(lines, source.unwrap_or(DEFAULT_SOURCE), is_live)),
            Err(error) => {
                match error.downcast_ref::<HttpError>() {
                    Some(error) if error.code() == Some("no_such_feed") => {}
                    // The publisher reports that itself.
                    Some(error) if error.is_not_connected() => {}
                    _ => note(&format!(
                        "the feed's lines cannot be read ({error}): if the engine counts its times anew, set \
                         --offset-ms"
                    )),
                }
                None
            }
        }
    }

    /// Publishes everything in `input`, until it ends or `stop` is cancelled; in both cases settled words become final.
    /// Counts what could not be read.
    pub(crate) async fn publish(
        mut session: VendorSessions,
        mut input: impl AsyncBufRead + Unpin,
        publisher: &CountingPublisher,
        problems: &mut u64,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let framing = session.framing;
        let began = Instant::now();
        let mut bytes = Vec::new();
        for number in 1.. {
            bytes.clear();
            loop {
                let due = session.due(began);
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return say(session.end(), "the end", publisher, problems).await,
                    // If the pause ends this read, the part of a line read so far stays in `bytes`.
                    read = read_some(framing, &mut input, &mut bytes) => break read.context("cannot read the input")?,
                    () = sleep_until(due.unwrap_or(began)), if due.is_some() => {
                        say(session.rest(began.elapsed()), "a pause", publisher, problems).await?;
                    }
                }
            }
            if bytes.is_empty() {
                return say(session.end(), "the end", publisher, problems).await;
            }
            if framing == Framing::Json && bytes.trim_ascii().is_empty() {
                continue;
            }
            session.elapsed(began.elapsed());
            say(session.read(&bytes), &format!("frame {number}"), publisher, problems).await?;
        }
        Ok(())
    }
}

/// Appends the next input to `bytes`: the rest of a line, or whatever is available. Cancel-safe.
async fn read_some(
    framing: Framing,
    input: &mut (impl AsyncBufRead + Unpin),
    bytes: &mut Vec<u8>,
) -> std::io::Result<()> {
    match framing {
        Framing::Json | Framing::Lines => input.read_until(b'\n', bytes).await.map(|_| ()),
        // Without waiting for a line end: others read while this is being typed.
        Framing::Characters => {
            let length = {
                let read = input.fill_buf().await?;
                bytes.extend_from_slice(read);
                read.len()
            };
            input.consume(length);
            Ok(())
        }
    }
}

/// Publishes decoded lines, and reports what could not be decoded.
pub(crate) async fn say(
    decoded: Decoded,
    place: &str,
    publisher: &CountingPublisher,
    problems: &mut u64,
) -> anyhow::Result<()> {
    let of_input: Arc<str> = format!("{place} of the input").into();
    for said in decoded.says {
        match said {
            DecodedEvent::Lines(lines) => say_lines(lines, &of_input, publisher, problems).await?,
            DecodedEvent::Retract { id } => {
                if !decoded.unsaid.contains(&id) {
                    publisher.expect_missing(&id);
                }
                publisher.send(&of_input, &Outgoing::Retract { id, rev: None }).await.map(|_| ())?;
            }
            DecodedEvent::Clock { media_ms } => {
                publisher.send(&of_input, &Outgoing::Clock { media_ms }).await.map(|_| ())?
            }
        }
    }
    for fault in decoded.faults {
        *problems += u64::from(fault.kind.is_refusal());
        note(&format!("{place} of the input: {fault}"));
    }
    Ok(())
}

/// Sends all lines in one message, so that readers see them change together; one by one if that is too large.
async fn say_lines(
    lines: Vec<Version>,
    place: &Arc<str>,
    publisher: &CountingPublisher,
    problems: &mut u64,
) -> anyhow::Result<()> {
    let together = Outgoing::Lines(lines.clone());
    match publisher.send(place, &together).await {
        Err(PublishError::TooLarge { .. }) => {}
        sent => return Ok(sent.map(|_| ())?),
    }
    for line in lines {
        match publisher.send(place, &Outgoing::Line(line)).await {
            Err(error @ PublishError::TooLarge { .. }) => {
                *problems += 1;
                note(&format!("a line of {place} was not sent: {error}"));
            }
            sent => sent.map(|_| ())?,
        }
    }
    Ok(())
}

/// Decoder of one or more successive connections.
pub(crate) struct VendorSessions {
    dialect: Box<dyn Dialect>,
    framing: Framing,
    /// Times for lines without one, if the user said where the session begins; otherwise the server sets them.
    places: Option<ArrivalTimes>,
}

/// Assigns times to lines without one, by the local clock.
struct ArrivalTimes {
    /// The present media time.
    now_ms: MediaMs,
    begins_at_ms: MediaMs,
    /// Times assigned to the latest lines: a line keeps its first one.
    known: VecDeque<(Arc<str>, MediaMs)>,
}

/// Number of lines whose times are remembered: far more than are open at a time.
const PLACES_MAX: usize = 1_024;

impl ArrivalTimes {
    /// Assigns a time to a line; `next` is the line before which it belongs, if it came late.
    fn put(&mut self, line: &mut Version, next: Option<&Arc<str>>) {
        if line.content.start_ms.is_some() {
            return;
        }
        let known = |wanted: &Arc<str>| self.known.iter().rev().find(|(id, _)| id == wanted).map(|(_, at_ms)| *at_ms);
        let known = known(&line.id).or_else(|| known(next?));
        line.content.start_ms = Some(known.unwrap_or_else(|| {
            if self.known.len() == PLACES_MAX {
                self.known.pop_front();
            }
            let at_ms = self.now_ms.max(0);
            self.known.push_back((line.id.clone(), at_ms));
            at_ms
        }));
    }
}

impl VendorSessions {
    fn begin(format: VendorFormat, options: Options, begins_at_ms: Option<MediaMs>) -> Self {
        let places = |begins_at_ms| ArrivalTimes { now_ms: begins_at_ms, begins_at_ms, known: VecDeque::new() };
        Self { dialect: format.open(options), framing: format.framing(), places: begins_at_ms.map(places) }
    }

    fn placed(&mut self, mut decoded: Decoded) -> Decoded {
        if let Some(places) = &mut self.places {
            for said in &mut decoded.says {
                if let DecodedEvent::Lines(lines) = said {
                    for line in lines {
                        let late = decoded.late.iter().find(|(late, _)| *late == line.id);
                        places.put(line, late.map(|(_, next)| next));
                    }
                }
            }
        }
        decoded
    }

    fn note_elapsed(&mut self, elapsed: Duration) {
        if let Some(places) = &mut self.places {
            places.now_ms = places.begins_at_ms.saturating_add(ms(elapsed));
        }
    }

    /// Sets the time since the first connection began.
    pub(crate) fn elapsed(&mut self, elapsed: Duration) {
        self.note_elapsed(elapsed);
        self.dialect.elapsed(ms(elapsed));
    }

    /// Returns the time at which [`Self::rest`] must be called unless something arrives first; `began` is the start of
    /// the first connection.
    pub(crate) fn due(&mut self, began: Instant) -> Option<Instant> {
        began.checked_add(Duration::from_millis(self.due_ms()?))
    }

    /// Returns the same as milliseconds since the first connection began.
    pub(crate) fn due_ms(&mut self) -> Option<u64> {
        self.dialect.due_ms().map(MediaMs::unsigned_abs)
    }

    /// Handles a silence until `elapsed`: words that the vendor settled become final.
    pub(crate) fn rest(&mut self, elapsed: Duration) -> Decoded {
        let mut decoded = Decoded::default();
        self.note_elapsed(elapsed);
        self.dialect.rest(ms(elapsed), &mut decoded);
        self.placed(decoded)
    }

    /// Decodes a message. In a line format it also ends a line.
    pub(crate) fn decode(&mut self, message: &[u8]) -> Decoded {
        let mut decoded = Decoded::default();
        self.dialect.decode(message, &mut decoded);
        if self.framing == Framing::Lines {
            self.dialect.decode(b"\n", &mut decoded);
        }
        self.placed(decoded)
    }

    /// Decodes the next piece of a file or a pipe, wherever it is cut.
    fn read(&mut self, bytes: &[u8]) -> Decoded {
        let mut decoded = Decoded::default();
        self.dialect.decode(bytes, &mut decoded);
        self.placed(decoded)
    }

    /// Ends the vendor's session. Open guesses become final as they are: nothing will improve them, and the source
    /// continues, so readers would wait for them.
    pub(crate) fn end(&mut self) -> Decoded {
        let mut decoded = Decoded::default();
        self.dialect.close_session(&mut decoded);
        self.placed(decoded)
    }

    /// Handles a new connection to the vendor, `elapsed` after the first one.
    pub(crate) fn reconnect(&mut self, elapsed: Duration) -> Decoded {
        let mut decoded = Decoded::default();
        self.note_elapsed(elapsed);
        self.dialect.reconnect(ms(elapsed), &mut decoded);
        self.placed(decoded)
    }
}

/// Converts `elapsed` to milliseconds of media time.
pub(crate) fn ms(elapsed: Duration) -> MediaMs {
    MediaMs::try_from(elapsed.as_millis()).unwrap_or(MediaMs::MAX)
}
