//! `publish`: lines of a person or of a program, as they come.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::pin::pin;

use anyhow::Context;
use clap::Args;
use futures::FutureExt;
use futures::future::FusedFuture;
use indicatif::ProgressBar;
use serde_json::{Map, Value};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, BufReader};
use tokio_util::sync::CancellationToken;

use super::Outcome;
use super::line_counts::CountingPublisher;
use super::output::note;
use super::reach::Url;
use super::replay::shown_lines;
use super::sending::{InputFaults, Sending, SourceWait};
use super::signals::Signals;
use super::vendor::{LOOK_WAIT, Vendor, parse_session, parse_source};
use crate::client::{HttpClient, HttpError, random_name};
use crate::parse_error::describe_json_error;
use crate::position::FeedId;
use crate::transcript::json_text::replace_lone_surrogates;
use crate::transcript::line::DEFAULT_SOURCE;
use crate::transcript::{Content, Line, Version};
use crate::wire::{FromPublisher, Limits, Outgoing};

const EXAMPLES: &str = "\
Examples:
  captionwire publish geneva                       type `Speaker: text`, one line each; Ctrl-D ends
  captionwire publish geneva lines.ndjson --end    a file, and the end of the event after it
  captionwire publish geneva fixed.ndjson --correct    lines of earlier runs, corrected
  engine | captionwire publish geneva -            what a program writes
  captionwire publish geneva --format deepgram -   what a vendor's engine says, one frame a line; docs/dialects.md

A line that begins with `{` is JSON, as on the socket: {\"id\":\"7\",\"start_ms\":65000,\"speaker\":\"Clerk\",\"text\":\"…\"}, or
a retract, clock or end with its \"type\". Without an id a line gets one; without a time it stands where it arrives.

At the end it says how many lines were new, said again as they were, corrected, refused and unreadable. What a line is, is told
by its id and by the lines that the feed shows when the server has let this in; acknowledgements do not say it. Exit codes: 0
all was taken; 1 something was refused, could not be read, or was not acknowledged: stderr says what; 2 wrong usage.

A server that never answers is waited for 60 seconds (--wait); one that goes away later for as long as it takes. Should it come
back with an older archive, what it lacks is sent again, as far as it is still held: the last 32 MiB. The rest is told, and then
the exit code is 1.

SIGTERM and Ctrl-C end the input. What was read then has 5 seconds to be acknowledged; a second signal ends it at once.";

/// Publish typed text, or lines of JSON.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Publish {
    /// A feed, or the URL of one; it need not exist
    feed: String,
    /// Where the lines come from; `-`, or nothing, is standard input
    file: Option<PathBuf>,
    /// Which source of the feed this is
    #[arg(long, value_parser = parse_source)]
    source: Option<String>,
    /// Go on with the session of an earlier run
    #[arg(long, value_parser = parse_session)]
    session: Option<String>,
    /// The lines may change those of earlier runs that have the same id; without it they are kept beside them
    #[arg(long)]
    correct: bool,
    /// End the source, and with it the event, when the input ends
    #[arg(long)]
    end: bool,
    /// Say what became of it as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    wait: SourceWait,
    #[command(flatten)]
    vendor: Vendor,
    #[command(flatten)]
    url: Url,
}

impl Publish {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let signals = Signals::new()?;
        let url = self.url.socket(&self.feed, "publish")?;
        let feed = url.feed().map_or(self.feed, |feed| feed.to_string());
        let input: Box<dyn AsyncRead + Send + Unpin> = match &self.file {
            Some(path) if path != Path::new("-") => {
                let file = tokio::fs::File::open(path).await;
                Box::new(file.with_context(|| format!("cannot read {}", path.display()))?)
            }
            _ => {
                if std::io::stdin().is_terminal() && self.vendor.format.is_none() {
                    note("type `Speaker: text`, one line each; Ctrl-D ends");
                }
                Box::new(tokio::io::stdin())
            }
        };
        let source = self.source.clone();
        let mut options = self.vendor.publisher(self.source, self.session);
        options.corrects |= self.correct;
        options.take_over = self.wait.take_over;
        let is_file = self.file.as_deref().is_some_and(|path| path != Path::new("-"));
        let (http, is_own) = (HttpClient::new(url.server()), options.session.is_some());
        let http = if is_file { http } else { http.with_wait(LOOK_WAIT) };
        let publisher = CountingPublisher::start(url, options);
        // A vendor's lines have new ids in each run, and so have lines that people type.
        let may_have_known_ids = self.vendor.format.is_none() && (is_file || !std::io::stdin().is_terminal());
        let look = async |publisher: &CountingPublisher| {
            let Ok(name) = FeedId::new(&feed) else { return };
            // For the count. Whoever may not read counts what it sends itself.
            match shown_lines(&http, &name).await {
                Ok(shown) => {
                    let of_source = |line: &Line| *line.source == *source.as_deref().unwrap_or(DEFAULT_SOURCE);
                    publisher.know(&shown.into_iter().filter(of_source).collect::<Vec<_>>(), is_own);
                }
                Err(error) => match error.downcast_ref::<HttpError>() {
                    Some(error) if error.code() == Some("no_such_feed") => {}
                    // The publisher says that itself.
                    Some(HttpError::Unreachable { .. } | HttpError::NotSecure { .. }) => {}
                    _ => note(&format!(
                        "the feed's lines cannot be read ({error}): those of earlier runs are counted as new"
                    )),
                },
            }
        };
        let patience = self.wait.patience(is_file);
        let bar = ProgressBar::hidden();
        let sending = Sending { publisher, feed: &feed, patience, end: self.end, json: self.json, bar };
        let input = BufReader::new(input);
        let read = async |publisher: &CountingPublisher, faults: &mut InputFaults, stop: &CancellationToken| match self
            .vendor
            .format
        {
            Some(format) => {
                let problems = &mut faults.unreadable;
                let lines = self.vendor.earlier_lines(publisher, &http, &feed, source.as_deref(), !is_file);
                let lines = stop.run_until_cancelled(lines).await.flatten();
                let session = self.vendor.begin(format, source.as_deref(), lines);
                Vendor::publish(session, input, publisher, problems, stop).await
            }
            None => {
                // Not before this session has the source: until then another one may add to the feed.
                let looking = async {
                    if may_have_known_ids && publisher.welcomed().await.is_ok() {
                        look(publisher).await;
                    }
                };
                read(input, publisher, looking, faults, stop).await
            }
        };
        sending.run(signals, read).await
    }
}

/// Sends every line of `input`, until it ends or `stop` is cancelled, the first once `prepared` is ready; counts those that cannot
/// be read.
async fn read(
    mut input: impl AsyncBufRead + Unpin,
    publisher: &CountingPublisher,
    prepared: impl Future<Output = ()>,
    faults: &mut InputFaults,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let run = random_name();
    let mut prepared = pin!(prepared.fuse());
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        let Some(read) = stop.run_until_cancelled(input.read_until(b'\n', &mut bytes)).await else {
            if !bytes.trim_ascii().is_empty() {
                faults.unreadable += 1;
                note(&format!("line {number} of the input was not sent: it had come in part when this was stopped"));
            }
            break;
        };
        if read.context("cannot read the input")? == 0 {
            break;
        }
        // Programs on Windows write a byte order mark before UTF-8.
        let bytes = if number == 1 { bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes) } else { &bytes[..] };
        let text = String::from_utf8_lossy(bytes);
        let encoding = std::str::from_utf8(bytes);
        if let Err(error) = encoding {
            note(&format!(
                "line {number} of the input is not UTF-8 from byte {} on: what cannot be read is sent as \u{fffd}. Convert the \
                 input, as with `iconv -f windows-1252 -t UTF-8`",
                error.valid_up_to() + 1
            ));
        }
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        if !prepared.is_terminated() {
            stop.run_until_cancelled(&mut prepared).await;
        }
        let place = format!("line {number} of the input").into();
        let sent = match message(text, &format!("{run}-{number}")) {
            Ok(message) => publisher.send(&place, &message).await.map_err(|error| match error {
                crate::client::PublishError::TooLarge { .. } => Ok(error.to_string()),
                error => Err(error),
            }),
            Err(why) => Err(Ok(why)),
        };
        match sent {
            Ok(_) => faults.repaired += u64::from(encoding.is_err()),
            Err(Ok(why)) => {
                faults.unreadable += 1;
                note(&format!("{place} was not sent: {why}"));
            }
            Err(Err(error)) => return Err(error.into()),
        }
    }
    Ok(())
}

/// What a line of the input says; `id` is for one that brings none.
fn message(text: &str, id: &str) -> Result<Outgoing, String> {
    if !text.starts_with('{') {
        let (speaker, said) = match text.split_once(": ") {
            Some((speaker, said)) => (Some(speaker.trim().into()), said.trim()),
            None => (None, text),
        };
        // Without a time: the server knows when it came.
        let content = Content { speaker, text: said.into(), ..Content::default() };
        return Ok(Outgoing::Line(Version { id: id.into(), content, ..Version::default() }));
    }
    let mended = replace_lone_surrogates(text.as_bytes());
    let json = mended.as_deref().unwrap_or(text.as_bytes());
    let mut object: Map<String, Value> = serde_json::from_slice(json)
        .map_err(|error| format!("it is not JSON: {}", describe_json_error(&error, json)))?;
    object.entry("type").or_insert_with(|| "line".into());
    if object["type"] == "line" {
        object.entry("id").or_insert_with(|| id.into());
    }
    // The limits are the server's to keep; here only what makes no sense to anybody is stopped.
    const NO_LIMITS: Limits = Limits { message_bytes: usize::MAX, text_bytes: usize::MAX, unacked: usize::MAX };
    let read = FromPublisher::decode(&Value::Object(object.clone()).to_string(), &NO_LIMITS, i64::MAX);
    let message = read.says.and_then(Outgoing::try_from).map_err(|refusal| refusal.message)?;
    // The server knows better than this program what it does not know.
    Ok(if read.unknown.is_empty() { message } else { Outgoing::Object(Box::new(object)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_input_as_a_table() {
        let sent = |text| message(text, "r-1").map(|message| message.encode(None));
        for (text, json) in [
            (
                "Clerk: It is: on.",
                r#"{"type":"line","id":"r-1","status":"final","speaker":"Clerk","text":"It is: on."}"#,
            ),
            ("(silence)", r#"{"type":"line","id":"r-1","status":"final","text":"(silence)"}"#),
            (r#"{"text":"a","seq":7}"#, r#"{"type":"line","id":"r-1","status":"final","text":"a"}"#),
            // The server warns of what it does not know.
            (r#"{"text":"a","seq":7,"x":0}"#, r#"{"id":"r-1","text":"a","type":"line","x":0}"#),
            (r#"{"type":"retract","id":"7"}"#, r#"{"type":"retract","id":"7"}"#),
            (r#"{"type":"end"}"#, r#"{"type":"end"}"#),
        ] {
            assert_eq!(sent(text).as_deref(), Ok(json));
        }
        for bad in ["{", r#"{"type":"dance"}"#, r#"{"text":1}"#, r#"{"type":"retract"}"#, r#"{"text":"a","id":""}"#] {
            assert!(sent(bad).is_err(), "{bad}");
        }
    }
}
