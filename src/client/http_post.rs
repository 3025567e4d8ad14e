//! One request to an address of another system: the status of its response, and when to retry. No redirect is followed.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use tokio::time::timeout;

use crate::client::address::{BadUrl, escaped, split};
use crate::client::http_error::HttpError;
use crate::client::http_exchange::{collect, not_sendable, send};
use crate::client::proxy::{BadProxy, ProxySettings};
use crate::client::transport::TransportTarget;
use crate::client::trust::Authorities;
use crate::transcript::Timestamp;

/// Largest response body, in bytes. Bodies that matter are a number or a few words.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Time limit for the body, once the head of the response has arrived. The body matters little: it holds at most a
/// number.
const BODY_WAIT: Duration = Duration::from_secs(2);
/// Value of `User-Agent`.
const USER_AGENT: &str = concat!("captionwire/", env!("CARGO_PKG_VERSION"));

/// Address of another system, such as `https://cms.example.org/captions?key=…`. Path and query may hold a secret and
/// are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PostUrl {
    endpoint: TransportTarget,
    path: String,
    query: Option<String>,
}

impl PostUrl {
    /// Parses `http://…` or `https://…`.
    ///
    /// # Errors
    /// [`BadUrl`] for another scheme, a user name, or text that is no URL.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        let rule = "a whole URL such as https://cms.example.org/captions";
        let (endpoint, path, query) = split(text, rule)?;
        Ok(Self { endpoint, path, query })
    }

    /// Sets the certificate authorities to trust for TLS, instead of those of this machine.
    #[must_use]
    pub fn with_authorities(self, authorities: Option<Authorities>) -> Self {
        Self { endpoint: TransportTarget { authorities, ..self.endpoint }, ..self }
    }

    /// Sets the proxy that `proxies` name for this URL, if they name one.
    ///
    /// # Errors
    /// [`BadProxy`] if that proxy cannot be used.
    pub fn with_proxies(self, proxies: &ProxySettings) -> Result<Self, BadProxy> {
        Ok(Self { endpoint: self.endpoint.with_proxies(proxies)?, ..self })
    }

    /// Returns the proxy for this URL, without its user, and the variable that names it.
    #[must_use]
    pub fn proxy(&self) -> Option<String> {
        self.endpoint.proxy.as_ref().map(ToString::to_string)
    }

    /// Adds a query parameter. `value` is escaped: it is one value, whatever characters it has.
    #[must_use]
    pub fn with(&self, name: &str, value: impl fmt::Display) -> Self {
        let value = escaped(&value.to_string());
        let query = match self.query.as_deref() {
            None | Some("") => format!("{name}={value}"),
            Some(query) => format!("{}&{name}={value}", query.trim_end_matches('&')),
        };
        Self { query: Some(query), ..self.clone() }
    }

    /// Appends `/name` to the path and keeps the query.
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

/// Response of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostResponse {
    /// HTTP status.
    pub status: StatusCode,
    /// Value of `Retry-After` (RFC 9110, section 10.2.3).
    pub retry_after: Option<String>,
    /// Body; empty if it did not arrive in time or is too long.
    pub body: Bytes,
    /// True if the body is a problem document (RFC 9457): APIs write such, and proxies do not.
    pub is_problem: bool,
    /// Proxy that forwarded the response, or wrote it itself; `None` without one, and behind a tunnel.
    pub through: Option<String>,
}

/// Meaning of a response for the request that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It was accepted.
    Taken,
    /// It was not accepted, and a retry may succeed; after this wait, if the response gives one.
    Later(Option<Duration>),
    /// It was refused, and a retry would be too.
    Refused,
    /// The address no longer exists (410).
    Gone,
}

impl PostResponse {
    /// Returns the meaning of the response. `now` is needed for a `Retry-After` with a date.
    ///
    /// A forwarding proxy may have written the response itself. A 407 is its own, and only the address says that it is gone.
    #[must_use]
    pub fn verdict(&self, now: Timestamp) -> Verdict {
        let status = self.status;
        let is_unclear = self.through.is_some() && !self.is_problem;
        match status {
            _ if status.is_success() => Verdict::Taken,
            StatusCode::GONE | StatusCode::PROXY_AUTHENTICATION_REQUIRED if is_unclear => Verdict::Later(None),
            StatusCode::GONE => Verdict::Gone,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Verdict::Later(self.again_after(now)),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => Verdict::Later(None),
            _ if status.is_client_error() => Verdict::Refused,
            _ => Verdict::Later(None),
        }
    }

    /// Describes the fault, for people.
    #[must_use]
    pub fn cause(&self) -> String {
        let is_elsewhere = self.status.is_redirection();
        let hint =
            if is_elsewhere { ": redirects are not followed; give the address that this one leads to" } else { "" };
        let through = self.through.as_ref().map_or(String::new(), |proxy| format!(", through {proxy}"));
        format!("it answers {}{hint}{through}", self.status)
    }

    /// Reads `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.
    fn again_after(&self, now: Timestamp) -> Option<Duration> {
        let said = self.retry_after.as_deref()?.trim();
        if let Ok(seconds) = said.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let at = jiff::fmt::rfc2822::parse(said).ok()?.timestamp().as_millisecond();
        Some(Duration::from_millis(u64::try_from(at.saturating_sub(now.0)).unwrap_or(0)))
    }
}

/// Sends one request on a connection of its own. The limit for the whole exchange is `wait` plus 2 s. If
/// dropped, the address may or may not have received the request.
///
/// # Errors
/// [`HttpError`] if there is no response. An error status is not an `HttpError`.
pub async fn post(
    url: &PostUrl,
    method: Method,
    headers: &[(HeaderName, HeaderValue)],
    body: Bytes,
    wait: Duration,
) -> Result<PostResponse, HttpError> {
    let mut request = Request::builder().method(method).uri(url.target()).header(header::USER_AGENT, USER_AGENT);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request.body(body).map_err(|error| not_sendable(&error))?;
    let asked = async {
        let answer = send(&url.endpoint, request).await?;
        let status = answer.status();
        let said = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = said.map(str::to_owned);
        let is_problem = is_problem(answer.headers());
        let body = timeout(BODY_WAIT, collect(answer.into_body(), ANSWER_BYTES_MAX)).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        let through = url.endpoint.forwarder().map(ToString::to_string);
        Ok(PostResponse { status, retry_after, body, is_problem, through })
    };
    match timeout(wait + BODY_WAIT, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(HttpError::TimedOut(wait)),
    }
}

fn is_problem(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/problem+json"))
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
        let answer = |status: u16, retry_after: Option<&str>| PostResponse {
            status: StatusCode::from_u16(status).expect("a status"),
            retry_after: retry_after.map(str::to_owned),
            body: Bytes::new(),
            is_problem: false,
            through: None,
        };
        let (later, seconds) = (Verdict::Later(None), |s| Verdict::Later(Some(Duration::from_secs(s))));
        for (status, retry_after, expected) in [
            (204, None, Verdict::Taken),
            (302, Some("7"), later),
            (400, Some("7"), Verdict::Refused),
            (407, None, Verdict::Refused),
            (408, None, later),
            (410, None, Verdict::Gone),
            (429, Some(" 7 "), seconds(7)),
            (503, Some("Thu, 01 Jan 1970 00:00:09 GMT"), seconds(9)),
            (503, Some("soon"), later),
            (500, Some("7"), later),
        ] {
            let direct = answer(status, retry_after);
            assert_eq!(direct.verdict(Timestamp(0)), expected, "{status}");
            let through = Some("the proxy http://a (HTTP_PROXY)".to_owned());
            let its_own = PostResponse { is_problem: true, through: through.clone(), ..direct.clone() };
            assert_eq!(its_own.verdict(Timestamp(0)), expected, "{status}");
            let unclear = PostResponse { through, ..direct };
            let expected = if matches!(status, 407 | 410) { later } else { expected };
            assert_eq!(unclear.verdict(Timestamp(0)), expected, "{status}");
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
