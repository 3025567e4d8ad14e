//! `publish`: publishes lines from a person or a program as they come.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use futures::FutureExt;
use futures::future::FusedFuture;
use indicatif::ProgressBar;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, BufReader};
use tokio_util::sync::CancellationToken;

use crate::cli::support::line_counts::CountingPublisher;
use crate::cli::support::outcome::Outcome;
use crate::cli::support::output::{counted, note};
use crate::cli::support::publish_progress::{SendLoop, SourceWait};
use crate::cli::support::publish_summary::InputFaults;
use crate::cli::support::server_target::ServerArgs;
use crate::cli::support::shown_lines::shown_lines;
use crate::cli::support::signals::Signals;
use crate::cli::support::vendor_frames::{LOOK_WAIT, VendorOptions, parse_session, parse_source};
use crate::client::{HttpClient, HttpError, PublishError, random_name};
use crate::parse_error::describe_json_error;
use crate::position::FeedId;
use crate::transcript::json_text::replace_lone_surrogates;
use crate::transcript::line::DEFAULT_SOURCE;
use crate::transcript::{Content, Line, Version};
use crate::wire::{FromPublisher, Incoming, Limits, Outgoing};

const EXAMPLES: &str = "\
Examples:
  captionwire publish geneva                       type `Speaker: text`, one line each; Ctrl-D ends
  captionwire publish geneva lines.ndjson --end    a file, and the end of the event after it
  captionwire publish geneva fixed.ndjson --correct    lines of earlier runs, corrected
  engine | captionwire publish geneva -            what a program writes
  captionwire publish geneva --format deepgram -   what a vendor's engine says, one frame a line; docs/dialects.md

A line that begins with `{` is JSON, as on the socket: {\"id\":\"7\",\"start_ms\":65000,\"speaker\":\"Clerk\",\"text\":\"…\"}, or
a retract, clock or end with its \"type\". A line without an id gets one; a line without a time is placed where it arrives. Put
each object on one line: JSON over several lines, or in an array, is refused (`replay FILE` reads arrays). A broken object costs
only its own line. `[Applause]` and `[1]` are captions.

At the end it prints how many lines were new, repeated, corrected, refused and unreadable. It compares them with the lines that the
feed shows at the start, and heeds the server's warnings. A line whose revision is too low to be shown counts as refused, unless it
repeats an earlier text of the line. Exit codes: 0 everything was accepted; 1 something was refused, unreadable or not acknowledged
(stderr says what); 2 wrong usage.

Waits 60 seconds for a server that has never answered (--wait), and without a limit for one that goes away later. If it comes
back with an older archive, up to 32 MiB of the missing lines are sent again. Those that cannot be are listed, and the exit code
is 1.

SIGTERM and Ctrl-C end the input. What was read by then has 5 seconds to be acknowledged; a second signal stops at once. If part
of a file was not sent, the command says which, leaves the event open, and exits with 1.";

/// Publish typed text, or lines of JSON.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PublishCommand {
    /// Name or URL of a feed; it need not exist yet
    feed: String,
    /// File with the lines; `-` or no file is standard input
    file: Option<PathBuf>,
    /// Name of this source in the feed (default: main)
    #[arg(long, value_parser = parse_source)]
    source: Option<String>,
    /// Continue the session of an earlier run
    #[arg(long, value_parser = parse_session)]
    session: Option<String>,
    /// Let lines change those of earlier runs with the same id; otherwise they are kept beside them
    #[arg(long)]
    correct: bool,
    /// End the source, and with it the event, when the input ends
    #[arg(long)]
    end: bool,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    wait: SourceWait,
    #[command(flatten)]
    vendor: VendorOptions,
    #[command(flatten)]
    url: ServerArgs,
}

impl PublishCommand {
    pub(crate) async fn run(self) -> anyhow::Result<Outcome> {
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
        let has_end = has_end(self.file.as_deref().filter(|_| is_file));
        let (http, is_own) = (HttpClient::new(url.server()), options.session.is_some());
        let http = if is_file { http } else { http.with_wait(LOOK_WAIT) };
        let publisher = CountingPublisher::start(url, options);
        // A vendor's lines have new ids in each run, and so have lines that people type.
        let may_have_known_ids = self.vendor.format.is_none() && (is_file || !std::io::stdin().is_terminal());
        let look = async |publisher: &CountingPublisher| {
            let Ok(name) = FeedId::new(&feed) else { return };
            // Needed for the counts. Without permission to read, only lines that this command sends are known.
            match shown_lines(&http, &name).await {
                Ok(shown) => {
                    let of_source = |line: &Line| *line.source == *source.as_deref().unwrap_or(DEFAULT_SOURCE);
                    publisher.know(&shown.into_iter().filter(of_source).collect::<Vec<_>>(), is_own);
                }
                Err(error) => match error.downcast_ref::<HttpError>() {
                    Some(error) if error.code() == Some("no_such_feed") => {}
                    // The publisher reports that itself.
                    Some(error) if error.is_not_connected() => {}
                    _ => note(&format!(
                        "the feed's lines cannot be read ({error}): those of earlier runs are counted as new"
                    )),
                },
            }
        };
        let patience = self.wait.patience(is_file);
        let bar = ProgressBar::hidden();
        let sending = SendLoop { publisher, feed: &feed, patience, end: self.end, json: self.json, bar };
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
                let mut input = input;
                VendorOptions::publish(session, &mut input, publisher, problems, stop).await?;
                faults.is_cut_short = has_end && stop.is_cancelled() && !is_at_end(&mut input).await;
                if faults.is_cut_short {
                    note("stopped: the rest of the input was not sent");
                }
                Ok(())
            }
            None => {
                // Only once this session has the source: until then another one may add to the feed.
                let looking = async {
                    if may_have_known_ids && publisher.welcomed().await.is_ok() {
                        look(publisher).await;
                    }
                };
                read(input, has_end, publisher, looking, faults, stop).await
            }
        };
        sending.run(signals, read).await
    }
}

/// Returns true if the input at `path`, or standard input, is a file and so has a known end; a pipe is open as long as
/// its writer.
fn has_end(path: Option<&Path>) -> bool {
    let path = path.unwrap_or(Path::new("/dev/stdin"));
    std::fs::metadata(path).is_ok_and(|input| input.is_file())
}

async fn is_at_end(input: &mut (impl AsyncBufRead + Unpin)) -> bool {
    input.fill_buf().await.map_or(true, <[u8]>::is_empty)
}

/// Reports what of the input is not sent, because the command is stopped at a line of which `bytes` were read.
async fn note_stop(
    input: &mut (impl AsyncBufRead + Unpin),
    (number, bytes): (u64, &[u8]),
    has_end: bool,
    faults: &mut InputFaults,
) {
    if has_end {
        faults.is_cut_short = !bytes.is_empty() || !is_at_end(input).await;
        if faults.is_cut_short {
            let read = counted(number - 1, "line");
            note(&format!("stopped: {read} of the input were read and sent, the rest was not"));
        }
    } else if !bytes.trim_ascii().is_empty() {
        faults.unreadable += 1;
        note(&format!("line {number} of the input was not sent: only part of it had arrived before the stop"));
    }
}

/// Sends a message of the input; returns the reason if it is too large to be sent.
async fn send(
    publisher: &CountingPublisher,
    place: &Arc<str>,
    message: InputMessage,
    faults: &mut InputFaults,
) -> anyhow::Result<Option<String>> {
    for (index, why) in message.left_out {
        faults.unreadable += 1;
        note(&format!("line {} in {place} was not sent: {why}", index + 1));
    }
    match publisher.send(place, &message.says).await {
        Ok(_) => Ok(None),
        Err(error @ PublishError::TooLarge { .. }) => Ok(Some(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// Sends every line of `input`, until it ends or `stop` is cancelled, the first one after `prepared` is ready. Counts
/// lines that cannot be read. If the input `has_end`, an early stop is reported.
async fn read(
    mut input: impl AsyncBufRead + Unpin,
    has_end: bool,
    publisher: &CountingPublisher,
    prepared: impl Future<Output = ()>,
    faults: &mut InputFaults,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let run = random_name();
    let mut prepared = pin!(prepared.fuse());
    let mut bytes = Vec::new();
    let mut spread = MultilineJson::default();
    for number in 1.. {
        bytes.clear();
        let Some(read) = stop.run_until_cancelled(input.read_until(b'\n', &mut bytes)).await else {
            note_stop(&mut input, (number, &bytes), has_end, faults).await;
            break;
        };
        if read.context("cannot read the input")? == 0 {
            faults.is_cut_short = false;
            break;
        }
        // Programs on Windows write a byte order mark before UTF-8.
        if number == 1 && is_utf16(&bytes) {
            bail!("the input is UTF-16, and has to be UTF-8: convert it, as with `iconv -f UTF-16 -t UTF-8`");
        }
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
        let place: Arc<str> = format!("line {number} of the input").into();
        if spread.goes_on_with(text) {
            faults.unreadable += 1;
            note(&format!("{place} was not sent: it continues the JSON before it"));
            continue;
        }
        let why = match message(text, &format!("{run}-{number}")) {
            Ok(message) => send(publisher, &place, message, faults).await?,
            Err(why) => {
                spread.begins_with(text);
                Some(why)
            }
        };
        if let Some(why) = why {
            faults.unreadable += 1;
            note(&format!("{place} was not sent: {why}"));
        } else {
            faults.repaired += u64::from(encoding.is_err());
            // Until the end of the input is read.
            faults.is_cut_short = has_end;
        }
    }
    Ok(())
}

/// Returns true if a text begins like UTF-16: with its byte order mark, or with a character of which one half is zero.
fn is_utf16(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=255, ..] | [1..=255, 0, ..])
}

/// JSON that is spread over several lines of the input, although each object should be on one line. Its later lines are
/// no captions.
///
/// A line counts as part of it only as long as everything together can still become JSON. So an object that was broken
/// off costs only its own line, and none of the captions after it; and however long real JSON is, no piece of it is
/// published.
#[derive(Debug, Default)]
struct MultilineJson {
    /// The open brackets, the outermost first; at most [`JSON_DEPTH_MAX`].
    open: Vec<Bracket>,
    expects: ExpectedToken,
}

/// Depth of nested brackets in JSON that can be read at all: the limit of serde_json.
const JSON_DEPTH_MAX: usize = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bracket {
    Object,
    Array,
}

/// Next tokens that JSON allows. A comma before a closing bracket is accepted too, because some programs write one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum ExpectedToken {
    /// A key, or the end of the object.
    Key,
    /// The colon after a key.
    Colon,
    /// A value: of a key, or in an array, which may end here.
    #[default]
    Value,
    /// A comma or a closing bracket.
    Comma,
}

impl MultilineJson {
    /// Notes a line that was refused: it may be the first one of several.
    fn begins_with(&mut self, text: &str) {
        *self = Self::default().followed_by(text).unwrap_or_default();
    }

    /// Returns true if the next line continues the JSON; otherwise the JSON is over. A whole object continues it only
    /// as a member of an array, and, with an id or a type of its own, only if the outermost bracket is an array:
    /// otherwise the text before it was broken off.
    fn goes_on_with(&mut self, text: &str) -> bool {
        let before = std::mem::take(self);
        let Some(innermost) = before.open.last() else { return false };
        if let Ok(object) = serde_json::from_str::<Map<String, Value>>(text) {
            let is_message = object.contains_key("id") || object.contains_key("type");
            if *innermost == Bracket::Object || is_message && before.open[0] == Bracket::Object {
                return false;
            }
        }
        let Some(json) = before.followed_by(text) else { return false };
        *self = json;
        true
    }

    /// Returns the JSON with one more line; `None` if the result can be no JSON, or if the line separates a key from
    /// its colon, which no program does.
    fn followed_by(mut self, text: &str) -> Option<Self> {
        let mut rest = text.trim_start();
        while let Some(sign) = rest.chars().next() {
            let is_key = self.expects == ExpectedToken::Key;
            self.expects = match (sign, self.expects, self.open.last()) {
                ('{' | '[', ExpectedToken::Value, _) if self.open.len() < JSON_DEPTH_MAX => {
                    let bracket = if sign == '{' { Bracket::Object } else { Bracket::Array };
                    self.open.push(bracket);
                    if sign == '{' { ExpectedToken::Key } else { ExpectedToken::Value }
                }
                ('}', ExpectedToken::Key | ExpectedToken::Comma, Some(Bracket::Object))
                | (']', ExpectedToken::Value | ExpectedToken::Comma, Some(Bracket::Array)) => {
                    self.open.pop();
                    // After a complete value another one may follow, with or without a comma.
                    if self.open.is_empty() { ExpectedToken::Value } else { ExpectedToken::Comma }
                }
                (',', ExpectedToken::Comma, Some(Bracket::Object)) => ExpectedToken::Key,
                (',', ExpectedToken::Comma, Some(Bracket::Array)) | (',', ExpectedToken::Value, None) => {
                    ExpectedToken::Value
                }
                (':', ExpectedToken::Colon, _) => ExpectedToken::Value,
                (sign, ExpectedToken::Key, _) if sign != '"' => return None,
                (_, ExpectedToken::Key | ExpectedToken::Value, Some(_)) => {
                    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
                    values.next()?.ok()?;
                    rest = rest[values.byte_offset()..].trim_start();
                    self.expects = if is_key { ExpectedToken::Colon } else { ExpectedToken::Comma };
                    continue;
                }
                _ => return None,
            };
            rest = rest[1..].trim_start();
        }
        (self.expects != ExpectedToken::Colon).then_some(self)
    }
}

/// Returns true if a text is JSON but no object: an array with objects, arrays or several values, or the beginning of
/// one. `[Applause]`, `[1]` and `[]` are captions.
fn is_json_array(text: &str) -> bool {
    let Some(inside) = text.strip_prefix('[') else { return false };
    match serde_json::from_str::<Vec<Value>>(text) {
        Ok(values) => values.len() > 1 || values.iter().any(|value| value.is_object() || value.is_array()),
        Err(_) => {
            let spread = MultilineJson::default().followed_by(text);
            inside.trim_start().starts_with('{') || spread.is_some_and(|spread| !spread.open.is_empty())
        }
    }
}

/// A line of the input, as a message.
#[derive(Debug)]
struct InputMessage {
    says: Outgoing,
    /// Index and reason of those lines in a message of several that cannot be sent.
    left_out: Vec<(usize, String)>,
}

/// Decodes a line of the input. `id` is used if the line has none.
fn message(text: &str, id: &str) -> Result<InputMessage, String> {
    if is_json_array(text) {
        return Err(
            "it is JSON, and no object: write each object on one line, or use `replay FILE`, which reads arrays".into(),
        );
    }
    if !text.starts_with('{') {
        let (speaker, said) = match text.split_once(": ") {
            Some((speaker, said)) => (Some(speaker.trim().into()), said.trim()),
            None => (None, text),
        };
        // Without a time: the server takes the time of arrival.
        let content = Content { speaker, text: said.into(), ..Content::default() };
        let says = Outgoing::Line(Version { id: id.into(), content, ..Version::default() });
        return Ok(InputMessage { says, left_out: Vec::new() });
    }
    let mended = replace_lone_surrogates(text.as_bytes());
    let json = mended.as_deref().unwrap_or(text.as_bytes());
    let mut object: Map<String, Value> =
        serde_json::from_slice(json).map_err(|error| match MultilineJson::default().followed_by(text) {
            Some(spread) if !spread.open.is_empty() => {
                "it is a part of a JSON object: write each object on one line, as `jq -c` does".to_owned()
            }
            _ => format!("it is not JSON: {}", describe_json_error(&error, json)),
        })?;
    object.entry("type").or_insert_with(|| "line".into());
    if object["type"] == "line" {
        object.entry("id").or_insert_with(|| id.into());
    }
    // The server enforces the limits; here only messages that no server would accept are stopped.
    const NO_LIMITS: Limits = Limits { message_bytes: usize::MAX, text_bytes: usize::MAX, unacked: usize::MAX };
    let read = FromPublisher::decode(&Value::Object(object.clone()).to_string(), &NO_LIMITS, i64::MAX);
    let mut message = read.says.map_err(|refusal| refusal.message)?;
    let mut left_out = Vec::new();
    if let Incoming::Lines(lines) = &mut message {
        let faults = (0..).zip(&*lines).filter_map(|(at, line)| Some((at, line.as_ref().err()?.message.clone())));
        left_out.extend(faults);
        lines.retain(Result::is_ok);
        if let Some(written) = object.get_mut("lines").and_then(Value::as_array_mut) {
            let mut at = 0..;
            written.retain(|_| at.next().is_some_and(|at| left_out.iter().all(|(left_out, _)| *left_out != at)));
        }
    }
    let says = Outgoing::try_from(message).map_err(|refusal| refusal.message)?;
    // A newer server may understand fields that this program does not know, so the object is sent as it is.
    let says = if read.unknown.is_empty() {
        says
    } else {
        Outgoing::Object { written: Box::new(object), known_part: Box::new(says) }
    };
    Ok(InputMessage { says, left_out })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_input_as_a_table() {
        let sent = |text| message(text, "r-1").map(|message| message.says.encode(None));
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
            ("[Applause]", r#"{"type":"line","id":"r-1","status":"final","text":"[Applause]"}"#),
            ("[no] {1}", r#"{"type":"line","id":"r-1","status":"final","text":"[no] {1}"}"#),
            ("[1]", r#"{"type":"line","id":"r-1","status":"final","text":"[1]"}"#),
            ("[]", r#"{"type":"line","id":"r-1","status":"final","text":"[]"}"#),
            (r#"[ "No." ]"#, r#"{"type":"line","id":"r-1","status":"final","text":"[ \"No.\" ]"}"#),
            (
                r#"{"type":"lines","lines":[{"id":"1","text":"a"},{"id":"2"},{"id":"3","text":"c"}]}"#,
                r#"{"type":"lines","lines":[{"id":"1","status":"final","text":"a"},{"id":"3","status":"final","text":"c"}]}"#,
            ),
            (
                r#"{"type":"lines","lines":[{"id":"2"},{"id":"1","text":"a","x":0}]}"#,
                r#"{"lines":[{"id":"1","text":"a","x":0}],"type":"lines"}"#,
            ),
        ] {
            assert_eq!(sent(text).as_deref(), Ok(json));
        }
        for bad in [
            "{",
            "[",
            "[1,2]",
            "[[1]]",
            "[1,",
            r#"["0:01","Ann","a"]"#,
            r#"[{"id":"1","text":"a"}]"#,
            r#"[ {"id":"1", oops"#,
            r#"{"type":"dance"}"#,
            r#"{"text":1}"#,
            r#"{"type":"retract"}"#,
            r#"{"text":"a","id":""}"#,
        ] {
            assert!(sent(bad).is_err(), "{bad}");
        }
    }

    /// The lines of an input that are sent.
    fn sent_of<'a>(input: &[&'a str]) -> Vec<&'a str> {
        let mut spread = MultilineJson::default();
        let mut sent = Vec::new();
        for text in input {
            if !spread.goes_on_with(text) {
                match message(text, "r-1") {
                    Ok(_) => sent.push(*text),
                    Err(_) => spread.begins_with(text),
                }
            }
        }
        sent
    }

    /// Nothing of JSON that stands on several lines goes on air, and nothing that stands behind it is lost.
    #[test]
    fn json_over_several_lines_as_a_table() {
        for (input, expected) in [
            (&["{", r#""id": "1","#, r#""words": ["#, r#"{"text":"a"}"#, "]", "}", "Fine."][..], &["Fine."][..]),
            (&["[", r#"{"id":"1","text":"a"},"#, r#"{"id":"2","text":"b"}"#, "]", "Fine.", "]"], &["Fine.", "]"]),
            (
                &["[", "{", r#""text": "a","#, r#""words": [],"#, "},", "{", r#""n": -1.5e3"#, "}", "]", "Fine."],
                &["Fine."],
            ),
            (&["{", r#""text": "a""#, "},", "{", r#""text": "b""#, "}", "Fine."], &["Fine."]),
            (&[r#"{"a":"#, "[", "1,", "2", "]", "}", "Fine."], &["Fine."]),
            (&[r#"{"id":"1","#, r#"{"id":"2","text":"b"}"#, "Fine."], &[r#"{"id":"2","text":"b"}"#, "Fine."]),
            (&[r#"{"words":["#, r#"{"id":"2","text":"b"}"#, "Fine."], &[r#"{"id":"2","text":"b"}"#, "Fine."]),
            (&[r#"{"id":"1","text":"bro"#, "Fine."], &["Fine."]),
            (&["{", "Fine.", "}"], &["Fine.", "}"]),
            // What people type is no part of it.
            (&["{", "42", r#""No.""#, r#""No", he said."#], &["42", r#""No.""#, r#""No", he said."#]),
            (&[r#"{"text":"a""#, "42", r#""No.""#, "true"], &["42", r#""No.""#, "true"]),
            (&["[", "[1]", "[2]"], &["[2]"]),
        ] {
            assert_eq!(sent_of(input), expected, "{input:?}");
        }
        let deep = "[".repeat(JSON_DEPTH_MAX + 1);
        assert_eq!(sent_of(&[&deep, "Fine."]).last(), Some(&"Fine."));
    }

    /// A broken-off object costs only its own line and, of the lines after it that could be words of a broken list, the
    /// first.
    #[test]
    fn a_broken_line_costs_no_other() {
        let whole = r#"{"speaker":"Ann","start_ms":7,"text":"a {b","words":[{"text":"a","start_ms":7},{"text":"b","start_ms":8}]}"#;
        let next = [r#"{"text":"c"}"#, r#"{"speaker":"Bo","text":"d"}"#, r#"{"text":"e"}"#, "Fine."];
        for end in 1..whole.len() {
            let mut input = vec![&whole[..end]];
            input.extend(next);
            let is_list = whole[..end].ends_with('[') || whole[..end].ends_with("},");
            assert_eq!(sent_of(&input), next[usize::from(is_list)..], "{}", &whole[..end]);
            // The next program wrote behind it, on the same line.
            let joined = format!("{}{}", &whole[..end], next[0]);
            let mut input = vec![&*joined];
            input.extend(next);
            assert_eq!(sent_of(&input), next, "{joined}");
        }
    }

    #[test]
    fn utf_16_is_known_by_its_first_character() {
        for (bytes, expected) in [
            (&b"\xff\xfe{\0"[..], true),
            (b"\xfe\xff\0{", true),
            (b"{\0", true),
            (b"\0A\0n", true),
            (b"\xef\xbb\xbfAnn", false),
            (b"Ann", false),
            (b"\n", false),
            (b"", false),
        ] {
            assert_eq!(is_utf16(bytes), expected, "{bytes:?}");
        }
    }
}
