//! Single HTTP requests to a server. Each has a connection of its own, because requests are rare.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::address::ServerUrl;
use crate::client::http_error::{HttpError, ServerProblem};
use crate::client::http_exchange::{collect, not_sendable, send};
use crate::parse_error::describe_json_error;
use crate::position::{Cursor, Epoch, FeedId};
use crate::transcript::{FeedState, LineKey, Timestamp, growing};

/// Largest response, in bytes: a transcript of days.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Header of a transcript response that lists what the format cannot hold, with counts.
pub const LOSSES_HEADER: &str = "captionwire-losses";

/// State of a feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedInfo {
    /// Its name.
    pub feed: FeedId,
    /// Title.
    pub title: Option<Arc<str>>,
    /// State of the feed.
    #[serde(deserialize_with = "growing::name")]
    pub state: FeedState,
    /// Epoch of its log.
    pub epoch: Option<Epoch>,
    /// Publishers connected now.
    pub publishers: u64,
    /// Readers connected now.
    pub readers: u64,
    /// Time of day at which the last line arrived.
    pub last_line_at: Option<Timestamp>,
    /// Number of lines shown.
    pub lines: u64,
    /// Number of turns shown.
    pub turns: u64,
}

/// Result of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// The feed that was created.
    pub feed: FeedId,
    /// Number of lines.
    pub lines: u64,
    /// Number of turns.
    pub turns: u64,
    /// Number of speakers.
    #[serde(default)]
    pub speakers: u64,
    /// Places in the file that could not be read as they are.
    pub problems: Vec<ImportProblem>,
    /// Number of problems of each kind, including those that are not listed.
    #[serde(default)]
    pub problem_counts: Vec<ImportProblemCount>,
    /// Contents of the file that a feed does not hold, each kind once.
    #[serde(default)]
    pub notices: Vec<ImportProblem>,
}

/// Number of problems of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportProblemCount {
    /// Description of the kind.
    pub kind: String,
    /// True if pieces of the file were not read.
    pub left_out: bool,
    /// Number of problems.
    pub count: u64,
}

/// Fault in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportProblem {
    /// The line of the file, from 1.
    pub line: u64,
    /// The character of that line, from 1.
    pub column: u64,
    /// The fault, and what became of the text.
    pub message: String,
}

/// Operation on speakers. It changes no line, and a merge can be undone exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "op")]
#[non_exhaustive]
pub enum DeskOp {
    /// Renames a speaker.
    #[serde(rename = "speaker.rename")]
    Rename {
        /// The speaker's id.
        speaker: String,
        /// The new name.
        name: String,
        /// `person`, `role`, …; `None` leaves it unchanged.
        #[serde(skip_serializing_if = "Option::is_none")]
        kind: Option<String>,
        /// True to rename a speaker that the feed does not know yet.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        create: bool,
    },
    /// Merges two speakers into one.
    #[serde(rename = "speaker.merge")]
    Merge {
        /// The id that is resolved.
        from: String,
        /// The id it is resolved to.
        into: String,
        /// True to merge speakers that the feed does not know yet.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        create: bool,
    },
    /// Undoes a merge.
    #[serde(rename = "speaker.unmerge")]
    Unmerge {
        /// The id that was merged.
        from: String,
    },
}

/// Result of a durable operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeskAnswer {
    /// Id of the operation.
    pub op_id: String,
    /// True if readers see a difference.
    pub changed: bool,
    /// Reason why a merge has no effect, for people; `None` if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Part of a transcript. All conditions apply together; the default is the whole transcript.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TranscriptQuery {
    /// Lines that start at or after this media time, in milliseconds.
    pub from_ms: Option<i64>,
    /// Lines that start before this media time, in milliseconds.
    pub to_ms: Option<i64>,
    /// Only this many turns, the last ones.
    pub last: Option<usize>,
    /// The transcript as it was at this cursor.
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

/// Sends requests to a server. Every call is one request and can be dropped at any time; the server may then have
/// carried it out or not.
#[derive(Debug, Clone)]
pub struct HttpClient {
    server: ServerUrl,
    wait: Duration,
}

impl HttpClient {
    /// A client for `server`, with a limit of one minute for a response.
    #[must_use]
    pub fn new(server: ServerUrl) -> Self {
        Self { server, wait: Duration::from_secs(60) }
    }

    /// Sets the time limit for a response, from the request to its last byte.
    #[must_use]
    pub fn with_wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// Returns the server.
    #[must_use]
    pub fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// Returns the feeds by name; with `state`, only those in that state.
    ///
    /// # Errors
    /// [`HttpError`], like all methods that follow.
    pub async fn feeds(&self, state: Option<FeedState>) -> Result<Vec<FeedInfo>, HttpError> {
        #[derive(Deserialize)]
        struct FeedPage {
            feeds: Vec<FeedInfo>,
        }
        let query = state.map_or(String::new(), |state| format!("?state={}", state.as_str()));
        let answer = self.request(Method::GET, &format!("/v1/feeds{query}"), None, Bytes::new()).await?;
        Ok(read_answer::<FeedPage>(&answer)?.feeds)
    }

    /// Returns the state of a feed; `None` if it does not exist.
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

    /// Creates a feed in state `scheduled`, with a title. An existing feed gets the title. A deleted feed gets a new
    /// log.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn create(&self, feed: &FeedId, title: &str) -> Result<FeedInfo, HttpError> {
        let body = serde_json::json!({ "title": title }).to_string();
        let path = format!("/v1/feeds/{feed}");
        read_answer(&self.request(Method::PUT, &path, Some("application/json"), body.into()).await?)
    }

    /// Returns the transcript, final lines only, in a format that the server writes: `json`, `vtt`, `rev.txt`, …
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn transcript(&self, feed: &FeedId, format: &str, part: &TranscriptQuery) -> Result<Bytes, HttpError> {
        Ok(self.transcript_and_losses(feed, format, part).await?.0)
    }

    /// Like [`transcript`](Self::transcript), with the server's list of what the format cannot hold
    /// ([`LOSSES_HEADER`]); empty if nothing is lost.
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

    /// Imports a transcript file as an archived feed. With `replace` it replaces what the feed held.
    ///
    /// # Errors
    /// [`HttpError`]; `feed_exists` if the feed has a log and `replace` is false.
    pub async fn import(&self, feed: &FeedId, file: Bytes, replace: bool) -> Result<Imported, HttpError> {
        let path = format!("/v1/feeds/{feed}/transcript{}", if replace { "?replace=true" } else { "" });
        read_answer(&self.request(Method::PUT, &path, Some("text/plain"), file).await?)
    }

    /// Retracts a line. One with the id `.` or `..` needs the right to read the feed too, and may be retracted already.
    ///
    /// # Errors
    /// [`HttpError`]; `no_such_line` if there is no such line.
    pub async fn retract(&self, feed: &FeedId, line: &LineKey) -> Result<(), HttpError> {
        if is_dot_segment(&line.id) {
            return self.retract_by_post(feed, line).await;
        }
        let path = format!("/v1/feeds/{feed}/lines/{}/{}", line.source, line.id);
        self.request(Method::DELETE, &path, None, Bytes::new()).await.map(|_| ())
    }

    /// Retracts a line whose id a URL does not keep as a part of its path.
    async fn retract_by_post(&self, feed: &FeedId, line: &LineKey) -> Result<(), HttpError> {
        #[derive(Deserialize)]
        struct PostedRetraction {
            refused: Vec<RetractionProblem>,
            #[serde(default)]
            warnings: Vec<RetractionProblem>,
        }
        #[derive(Deserialize)]
        struct RetractionProblem {
            code: String,
            message: String,
        }
        let problem = |status, code: &str, detail| {
            Err(HttpError::Problem(ServerProblem { status, code: code.to_owned(), detail }))
        };
        // A post would create a feed that is not there.
        match self.feed(feed).await {
            Ok(Some(_)) => {}
            Ok(None) => return problem(404, "no_such_feed", format!("there is no feed {feed}")),
            Err(HttpError::Problem(ServerProblem { status: 403, code, detail })) => {
                let needs =
                    format!("to retract a line with the id `.` or `..` one must be able to read the feed: {detail}");
                return problem(403, &code, needs);
            }
            Err(error) => return Err(error),
        }
        let path = format!("/v1/feeds/{feed}/lines?source={}&corrects=true", line.source);
        let body = serde_json::json!({ "type": "retract", "id": line.id }).to_string();
        let answer = self.request(Method::POST, &path, Some("application/json"), body.into()).await?;
        let PostedRetraction { refused, warnings } = read_answer(&answer)?;
        if let Some(RetractionProblem { code, message }) = refused.into_iter().next() {
            return problem(400, &code, message);
        }
        match warnings.into_iter().find(|warning| warning.code == "no_such_line") {
            Some(RetractionProblem { code, message }) => problem(404, &code, message),
            None => Ok(()),
        }
    }

    /// Renames, merges or unmerges speakers. A retry with the same `op_id` changes nothing more.
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

    /// Sends any request and returns the body of a successful response.
    ///
    /// # Errors
    /// [`HttpError`]; [`HttpError::NotSendable`] if a part of `path` is `.` or `..`.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Result<Bytes, HttpError> {
        Ok(self.answer(method, path, content_type, body).await?.into_body())
    }

    /// Like [`request`](Self::request), but returns the head of the response too.
    async fn answer(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Result<Response<Bytes>, HttpError> {
        let target = self.server.target(path);
        let path = target.split('?').next().unwrap_or_default();
        if path.split('/').any(is_dot_segment) {
            let why = format!("no part of the path {path} may be `.` or `..`, because URLs do not keep these");
            return Err(HttpError::NotSendable(why));
        }
        let mut request = Request::builder().method(method).uri(target);
        if let Some(token) = self.server.token() {
            request = request.header(header::AUTHORIZATION, token.header());
        }
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let request = request.body(body).map_err(|error| not_sendable(&error))?;
        match timeout(self.wait, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(HttpError::TimedOut(self.wait)),
        }
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = send(self.server.endpoint(), request).await?.into_parts();
        let body = collect(body, ANSWER_BYTES_MAX).await?;
        match head.status.is_success() {
            true => Ok(Response::from_parts(head, body)),
            false => Err(HttpError::Problem(self.problem(head.status, &body))),
        }
    }

    fn problem(&self, status: StatusCode, body: &[u8]) -> ServerProblem {
        serde_json::from_slice(body).unwrap_or_else(|_| {
            let reason = status.canonical_reason().unwrap_or("no success");
            let through =
                self.server.endpoint().forwarder().map_or(String::new(), |proxy| format!(", through {proxy}"));
            let detail = format!("the server answers {}: {reason}{through}", status.as_u16());
            ServerProblem { status: status.as_u16(), code: reason.to_ascii_lowercase().replace(' ', "_"), detail }
        })
    }
}

/// Returns true for a part of a path that URLs resolve, also if it is escaped (WHATWG URL, section 4.1).
fn is_dot_segment(part: &str) -> bool {
    matches!(&*part.to_ascii_lowercase().replace("%2e", "."), "." | "..")
}

/// Decodes a JSON response.
///
/// # Errors
/// [`HttpError::Unreadable`] with a plain description of the fault.
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
