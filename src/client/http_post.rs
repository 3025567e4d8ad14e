//! A post to somebody else's address: its status, and whether it says when to come again. No redirect is followed.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use tokio::time::timeout;

use crate::client::address::{BadUrl, split};
use crate::client::http::{HttpError, exchange};
use crate::client::transport::TransportTarget;
use crate::client::trust::Authorities;
use crate::transcript::Timestamp;

/// What is read of an answer's body, in bytes: a number, at most a few words.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How long the body of an answer is waited for, once its head is there: the head says all but that number.
const BODY_WAIT: Duration = Duration::from_secs(2);
/// Who asks.
const USER_AGENT: &str = concat!("captionwire/", env!("CARGO_PKG_VERSION"));

/// An address of somebody else's, such as `https://cms.example.org/captions?key=…`. Path and query may hold a secret, and
/// are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PostUrl {
    endpoint: TransportTarget,
    path: String,
    query: Option<String>,
}

impl PostUrl {
    /// Reads `http://…` or `https://…`.
    ///
    /// # Errors
    /// [`BadUrl`] for another scheme, or what is no URL.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        let rule = "a whole URL such as https://cms.example.org/captions";
        let (endpoint, path, query) = split(text, rule)?;
        Ok(Self { endpoint, path, query })
    }

    /// Over TLS, with these authorities instead of those that this machine believes.
    #[must_use]
    pub fn with_authorities(self, authorities: Option<Authorities>) -> Self {
        Self { endpoint: TransportTarget { authorities, ..self.endpoint }, ..self }
    }

    /// With one parameter more. `value` needs no escapes.
    #[must_use]
    pub fn with(&self, name: &str, value: impl fmt::Display) -> Self {
        let query = match self.query.as_deref() {
            None | Some("") => format!("{name}={value}"),
            Some(query) => format!("{}&{name}={value}", query.trim_end_matches('&')),
        };
        Self { query: Some(query), ..self.clone() }
    }

    /// The address below this one, with the same query.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        Self { path: format!("{}/{name}", self.path.trim_end_matches('/')), ..self.clone() }
    }

    fn target(&self) -> String {
        match &self.query {
            None => self.path.clone(),
            Some(query) => format!("{}?{query}", self.path),
        }
    }
}

impl fmt::Display for PostUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.endpoint.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.endpoint.authority)
    }
}

impl fmt::Debug for PostUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an address answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostResponse {
    /// Its status.
    pub status: StatusCode,
    /// What it says of coming again (RFC 9110, section 10.2.3).
    pub retry_after: Option<String>,
    /// The first of its body; nothing where that did not come in time or is too long.
    pub body: Bytes,
}

/// What an answer means for what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken.
    Taken,
    /// It was not, and later it may be; after so long, where the answer says so.
    Later(Option<Duration>),
    /// It was not, and the same is refused again, as far as the answer tells.
    Refused,
    /// There will never be anybody.
    Gone,
}

impl PostResponse {
    /// What it means; `now` is for an answer that names a date.
    #[must_use]
    pub fn verdict(&self, now: Timestamp) -> Verdict {
        let status = self.status;
        match status {
            _ if status.is_success() => Verdict::Taken,
            StatusCode::GONE => Verdict::Gone,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Verdict::Later(self.again_after(now)),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => Verdict::Later(None),
            _ if status.is_client_error() => Verdict::Refused,
            _ => Verdict::Later(None),
        }
    }

    /// What is wrong, for people.
    #[must_use]
    pub fn cause(&self) -> String {
        let is_elsewhere = self.status.is_redirection();
        let hint = if is_elsewhere { ": give the address that this leads to, none is followed" } else { "" };
        format!("it answers {}{hint}", self.status)
    }

    /// RFC 9110, section 10.2.3: seconds, or a date.
    fn again_after(&self, now: Timestamp) -> Option<Duration> {
        let said = self.retry_after.as_deref()?.trim();
        if let Ok(seconds) = said.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let at = jiff::fmt::rfc2822::parse(said).ok()?.timestamp().as_millisecond();
        Some(Duration::from_millis(u64::try_from(at.saturating_sub(now.0)).unwrap_or(0)))
    }
}

/// Sends one request on a connection of its own. The head of the answer has to come within `wait`, and a moment that its body
/// may take. If dropped, the address may or may not have taken it.
///
/// # Errors
/// [`HttpError`] where there is no answer; never for what the answer says.
pub async fn post(
    url: &PostUrl,
    method: Method,
    headers: &[(HeaderName, HeaderValue)],
    body: Bytes,
    wait: Duration,
) -> Result<PostResponse, HttpError> {
    let mut request = Request::builder()
        .method(method)
        .uri(url.target())
        .header(header::HOST, url.endpoint.authority.as_str())
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONNECTION, "close");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request =
        request.body(Full::new(body)).map_err(|error| HttpError::Unreadable(format!("the request: {error}")))?;
    let asked = exchange(&url.endpoint, request, async |answer| {
        let status = answer.status();
        let said = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = said.map(str::to_owned);
        let body = timeout(BODY_WAIT, crate::client::http::collect(answer.into_body(), ANSWER_BYTES_MAX)).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        Ok(PostResponse { status, retry_after, body })
    });
    match timeout(wait + BODY_WAIT, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(HttpError::TimedOut(wait)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_not_shown() {
        let url = PostUrl::parse("https://a.example:1/hook/secret?key=secret").expect("a URL");
        assert_eq!(format!("{url} {url:?}"), "https://a.example:1 https://a.example:1");
        let error = PostUrl::parse("ftp://a/?key=secret").expect_err("no such scheme").to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn answers_as_a_table() {
        let verdict = |status: u16, retry_after: Option<&str>| {
            let status = StatusCode::from_u16(status).expect("a status");
            PostResponse { status, retry_after: retry_after.map(str::to_owned), body: Bytes::new() }
                .verdict(Timestamp(0))
        };
        let (later, seconds) = (Verdict::Later(None), |s| Verdict::Later(Some(Duration::from_secs(s))));
        for (status, retry_after, expected) in [
            (204, None, Verdict::Taken),
            (302, Some("7"), later),
            (400, Some("7"), Verdict::Refused),
            (408, None, later),
            (410, None, Verdict::Gone),
            (429, Some(" 7 "), seconds(7)),
            (503, Some("Thu, 01 Jan 1970 00:00:09 GMT"), seconds(9)),
            (503, Some("soon"), later),
            (500, Some("7"), later),
        ] {
            assert_eq!(verdict(status, retry_after), expected, "{status}");
        }
    }

    #[test]
    fn parameters_are_added_to_what_is_there() {
        for (text, target, below) in [
            ("http://a", "/?seq=1", "/seq"),
            ("http://a/zoom?id=7", "/zoom?id=7&seq=1", "/zoom/seq?id=7"),
            ("http://a/zoom?", "/zoom?seq=1", "/zoom/seq?"),
        ] {
            let url = PostUrl::parse(text).expect(text);
            assert_eq!((&*url.with("seq", 1).target(), &*url.below("seq").target()), (target, below), "{text}");
        }
    }
}
