//! One question over HTTP, one answer. Each has a connection of its own: nobody asks often.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::address::ServerUrl;
use crate::client::transport::{OpenError, TransportTarget};
use crate::parse_error::describe_json_error;
use crate::position::{Cursor, Epoch, FeedId};
use crate::transcript::{FeedState, LineKey, Timestamp};

/// The largest answer, in bytes: a transcript of days.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// The header in which the answer to a request for a transcript says what its format cannot hold, and how often.
pub const LOSSES_HEADER: &str = "captionwire-losses";

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The server said why not.
    #[error("{}", .0.detail)]
    Problem(ServerProblem),
    /// There was no connection to be had.
    #[error("cannot connect to {address}: {cause}")]
    Unreachable {
        /// Where to.
        address: String,
        /// Why not.
        cause: String,
    },
    /// Over TLS, the server did not prove to be the one that was asked for.
    #[error("no secure connection to {address}: {cause}")]
    NotSecure {
        /// Where to.
        address: String,
        /// Why not, and the mend.
        cause: String,
    },
    /// The connection broke before the answer was complete. Whether the server did what was asked is not known.
    #[error("the connection to the server was lost: {0}")]
    Lost(String),
    /// The answer took longer than this. Whether the server did what was asked is not known.
    #[error("the server did not answer within {} seconds", .0.as_secs())]
    TimedOut(Duration),
    /// The answer is not what such a server says.
    #[error("the server's answer cannot be read: {0}")]
    Unreadable(String),
}

impl HttpError {
    /// The `code` of the server's problem, such as `no_such_feed`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => Some(&problem.code),
            _ => None,
        }
    }
}

/// An error of the server: `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ServerProblem {
    /// The HTTP status.
    pub status: u16,
    /// What programs can rely on, such as `no_such_feed`; the status in words where the server gave none.
    pub code: String,
    /// What is wrong and the mend, for people; not made safe for a terminal.
    pub detail: String,
}

/// How a feed stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedInfo {
    /// Its name.
    pub feed: FeedId,
    /// What people call it.
    pub title: Option<Arc<str>>,
    /// Where the event stands.
    pub state: FeedState,
    /// This life of its log.
    pub epoch: Option<Epoch>,
    /// Publishers connected now.
    pub publishers: u64,
    /// Readers connected now.
    pub readers: u64,
    /// When the last line came.
    pub last_line_at: Option<Timestamp>,
    /// Lines shown.
    pub lines: u64,
    /// Turns shown.
    pub turns: u64,
}

/// What became of an imported file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// The feed made of it.
    pub feed: FeedId,
    /// How many lines.
    pub lines: u64,
    /// How many turns.
    pub turns: u64,
    /// How many speakers.
    #[serde(default)]
    pub speakers: u64,
    /// What could not be read as it stood.
    pub problems: Vec<ImportProblem>,
    /// How many problems there are of each kind, those that are not listed too.
    #[serde(default)]
    pub problem_counts: Vec<ImportProblemCount>,
    /// What the file says and a feed does not hold: each kind of thing once.
    #[serde(default)]
    pub notices: Vec<ImportProblem>,
}

/// Problems of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportProblemCount {
    /// What they have in common.
    pub kind: String,
    /// Whether pieces of the file were not read.
    pub left_out: bool,
    /// How many.
    pub count: u64,
}

/// Something in a file that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportProblem {
    /// The line of the file, from 1.
    pub line: u64,
    /// The character of that line, from 1.
    pub column: u64,
    /// What is wrong, and what became of the text.
    pub message: String,
}

/// An operation on speakers. No line is changed by it, and a merge can be taken back exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "op")]
pub enum DeskOp {
    /// Another name for a speaker.
    #[serde(rename = "speaker.rename")]
    Rename {
        /// The speaker's id.
        speaker: String,
        /// Its name.
        name: String,
        /// `person`, `role`, …; none leaves it.
        #[serde(skip_serializing_if = "Option::is_none")]
        kind: Option<String>,
        /// Also if the feed knows no such speaker yet.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        create: bool,
    },
    /// Two speakers are one.
    #[serde(rename = "speaker.merge")]
    Merge {
        /// The id that is resolved.
        from: String,
        /// The id it is resolved to.
        into: String,
        /// Also if the feed knows no such speakers yet.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        create: bool,
    },
    /// They are two after all.
    #[serde(rename = "speaker.unmerge")]
    Unmerge {
        /// The id that was merged.
        from: String,
    },
}

/// What became of an operation: it is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeskAnswer {
    /// Its id.
    pub op_id: String,
    /// Whether readers see a difference.
    pub changed: bool,
    /// Why a merge cannot be made, for people; none if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Which part of a transcript. All limits hold together; the default is the whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TranscriptQuery {
    /// Lines that start at or after this media time, in milliseconds.
    pub from_ms: Option<i64>,
    /// Lines that start before this media time, in milliseconds.
    pub to_ms: Option<i64>,
    /// The last so many turns only.
    pub last: Option<usize>,
    /// As it stood at this cursor.
    pub at: Option<Cursor>,
}

impl TranscriptQuery {
    fn query(&self) -> String {
        let Self { from_ms, to_ms, last, at } = self;
        let mut query = String::new();
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                let mark = if query.is_empty() { '?' } else { '&' };
                query.push_str(&format!("{mark}{name}={value}"));
            }
        };
        add("from_ms", from_ms.map(|ms| ms.to_string()));
        add("to_ms", to_ms.map(|ms| ms.to_string()));
        add("last", last.map(|turns| turns.to_string()));
        add("at", at.as_ref().map(ToString::to_string));
        query
    }
}

/// Asks a server. Every call is one request and can be given up on at any time; whether the server did what was asked is
/// not known then.
#[derive(Debug, Clone)]
pub struct HttpClient {
    server: ServerUrl,
    wait: Duration,
}

impl HttpClient {
    /// Questions to `server`; an answer may take a minute.
    #[must_use]
    pub fn new(server: ServerUrl) -> Self {
        Self { server, wait: Duration::from_secs(60) }
    }

    /// With another limit for an answer, from the request to the last byte.
    #[must_use]
    pub fn with_wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// The feeds there are, by name; with `state` only those.
    ///
    /// # Errors
    /// [`HttpError`], as all that follow.
    pub async fn feeds(&self, state: Option<FeedState>) -> Result<Vec<FeedInfo>, HttpError> {
        #[derive(Deserialize)]
        struct FeedPage {
            feeds: Vec<FeedInfo>,
        }
        let query = state.map_or(String::new(), |state| format!("?state={}", state.as_str()));
        let answer = self.request(Method::GET, &format!("/v1/feeds{query}"), None, Bytes::new()).await?;
        Ok(read_answer::<FeedPage>(&answer)?.feeds)
    }

    /// How a feed stands; none for one that does not exist.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn feed(&self, feed: &FeedId) -> Result<Option<FeedInfo>, HttpError> {
        match self.request(Method::GET, &format!("/v1/feeds/{feed}"), None, Bytes::new()).await {
            Ok(answer) => read_answer(&answer).map(Some),
            Err(HttpError::Problem(problem)) if problem.code == "no_such_feed" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates a feed, scheduled, with what people call it; one that is there gets the title. A deleted one begins anew.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn create(&self, feed: &FeedId, title: &str) -> Result<FeedInfo, HttpError> {
        let body = serde_json::json!({ "title": title }).to_string();
        let path = format!("/v1/feeds/{feed}");
        read_answer(&self.request(Method::PUT, &path, Some("application/json"), body.into()).await?)
    }

    /// The transcript, final lines only, in a format that the server writes: `json`, `vtt`, `rev.txt`, …
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn transcript(&self, feed: &FeedId, format: &str, part: &TranscriptQuery) -> Result<Bytes, HttpError> {
        Ok(self.transcript_and_losses(feed, format, part).await?.0)
    }

    /// As [`transcript`](Self::transcript), with what the server says of what the format cannot hold ([`LOSSES_HEADER`]); empty
    /// where that is nothing.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn transcript_and_losses(
        &self,
        feed: &FeedId,
        format: &str,
        part: &TranscriptQuery,
    ) -> Result<(Bytes, String), HttpError> {
        let path = format!("/v1/feeds/{feed}/transcript.{format}{}", part.query());
        let answer = self.answer(Method::GET, &path, None, Bytes::new()).await?;
        let losses = answer.headers().get(LOSSES_HEADER).and_then(|losses| losses.to_str().ok());
        let losses = losses.unwrap_or_default().to_owned();
        Ok((answer.into_body(), losses))
    }

    /// Makes an archived feed of a transcript file. With `replace` it takes the place of what the feed held.
    ///
    /// # Errors
    /// [`HttpError`]; `feed_exists` where the feed has a log and `replace` is not given.
    pub async fn import(&self, feed: &FeedId, file: Bytes, replace: bool) -> Result<Imported, HttpError> {
        let path = format!("/v1/feeds/{feed}/transcript{}", if replace { "?replace=true" } else { "" });
        read_answer(&self.request(Method::PUT, &path, Some("text/plain"), file).await?)
    }

    /// Takes a line back.
    ///
    /// # Errors
    /// [`HttpError`]; `no_such_line` where there is none.
    pub async fn retract(&self, feed: &FeedId, line: &LineKey) -> Result<(), HttpError> {
        let path = format!("/v1/feeds/{feed}/lines/{}/{}", line.source, line.id);
        self.request(Method::DELETE, &path, None, Bytes::new()).await.map(|_| ())
    }

    /// Renames, merges or unmerges speakers. Under the same `op_id` it can be asked again: that changes nothing more.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn desk(&self, feed: &FeedId, op_id: &str, op: &DeskOp) -> Result<DeskAnswer, HttpError> {
        #[derive(Serialize)]
        struct HttpRequestParts<'a> {
            op_id: &'a str,
            #[serde(flatten)]
            op: &'a DeskOp,
        }
        let body = serde_json::to_vec(&HttpRequestParts { op_id, op }).expect("an operation has no map with odd keys");
        let path = format!("/v1/feeds/{feed}/desk");
        read_answer(&self.request(Method::POST, &path, Some("application/json"), body.into()).await?)
    }

    /// Any request; the body of its answer, if it is a success.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Result<Bytes, HttpError> {
        Ok(self.answer(method, path, content_type, body).await?.into_body())
    }

    /// As [`request`](Self::request), with the head of the answer.
    async fn answer(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Result<Response<Bytes>, HttpError> {
        let mut request = Request::builder()
            .method(method)
            .uri(self.server.target(path))
            .header(header::HOST, self.server.endpoint().authority.as_str())
            .header(header::CONNECTION, "close");
        if let Some(token) = self.server.token() {
            request = request.header(header::AUTHORIZATION, token.header());
        }
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let request =
            request.body(Full::new(body)).map_err(|error| HttpError::Unreadable(format!("the request: {error}")))?;
        match timeout(self.wait, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(HttpError::TimedOut(self.wait)),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, HttpError> {
        exchange(self.server.endpoint(), request, async |answer| {
            let (head, body) = answer.into_parts();
            let body = collect(body, ANSWER_BYTES_MAX).await?;
            match head.status.is_success() {
                true => Ok(Response::from_parts(head, body)),
                false => Err(HttpError::Problem(problem(head.status, &body))),
            }
        })
        .await
    }
}

/// Sends a request on a connection of its own, and gives what `read` makes of the answer.
pub(super) async fn exchange<T>(
    endpoint: &TransportTarget,
    request: Request<Full<Bytes>>,
    read: impl AsyncFnOnce(Response<Incoming>) -> Result<T, HttpError>,
) -> Result<T, HttpError> {
    let address = || endpoint.authority.to_string();
    let unreachable = |cause: String| HttpError::Unreachable { address: address(), cause };
    let stream = match timeout(CONNECT_WAIT, endpoint.open()).await {
        Ok(stream) => stream.map_err(|error| match error {
            OpenError::Unreachable(error) => unreachable(error.to_string()),
            OpenError::NotSecure(cause) => HttpError::NotSecure { address: address(), cause },
        })?,
        Err(_) => return Err(unreachable(format!("no answer within {} seconds", CONNECT_WAIT.as_secs()))),
    };
    let lost = |error: hyper::Error| HttpError::Lost(error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    let answer = async { read(sender.send_request(request).await.map_err(lost)?).await };
    // The connection may be done before the last of the answer was taken from it.
    let driven = async {
        let _ = connection.await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        answer = answer => answer,
        never = driven => match never {},
    }
}

/// The whole of a body, if it has `bytes_max` at most.
pub(super) async fn collect(body: Incoming, bytes_max: usize) -> Result<Bytes, HttpError> {
    let body = Limited::new(body, bytes_max).collect().await;
    Ok(body.map_err(|error| HttpError::Lost(error.to_string()))?.to_bytes())
}

fn problem(status: StatusCode, body: &[u8]) -> ServerProblem {
    serde_json::from_slice(body).unwrap_or_else(|_| {
        let reason = status.canonical_reason().unwrap_or("no success");
        let detail = format!("the server answers {}: {reason}", status.as_u16());
        ServerProblem { status: status.as_u16(), code: reason.to_ascii_lowercase().replace(' ', "_"), detail }
    })
}

/// Reads what a server says.
///
/// # Errors
/// [`HttpError::Unreadable`] says in plain words what is not as it should be.
pub fn read_answer<T: DeserializeOwned>(body: &[u8]) -> Result<T, HttpError> {
    serde_json::from_slice(body).map_err(|error| HttpError::Unreadable(describe_json_error(&error, body)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_error::assert_plain;

    #[test]
    fn an_answer_that_cannot_be_read_is_said_in_plain_words() {
        for body in [
            "",
            "<html>secret</html>",
            "{}",
            "[]",
            r#"{"feed":"a"}"#,
            r#"{"feed":7}"#,
            r#"{"feed":"A name"}"#,
            "nul",
            "7 7",
        ] {
            let Err(error) = read_answer::<FeedInfo>(body.as_bytes()) else { panic!("read: {body}") };
            assert!(matches!(error, HttpError::Unreadable(_)));
            assert_plain(&error.to_string());
            assert_plain(&read_answer::<Imported>(body.as_bytes()).expect_err("bad").to_string());
        }
    }
}
