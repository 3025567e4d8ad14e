//! Errors over HTTP: `application/problem+json` (RFC 9457).

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::log::LogError;
use crate::position::{BadName, FeedId};
use crate::server::core::catalog::CreateRefused;
pub use crate::wire::ProblemCode;

impl ProblemCode {
    fn status(self) -> StatusCode {
        match self {
            Self::BadRequest | Self::Unsupported => StatusCode::BAD_REQUEST,
            Self::Unauthorised => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NoSuchFeed | Self::NoSuchLine | Self::NoSuchSpeaker | Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict | Self::FeedExists => StatusCode::CONFLICT,
            Self::FeedDeleted => StatusCode::GONE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
            Self::UpgradeRequired => StatusCode::UPGRADE_REQUIRED,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::StorageUnavailable | Self::TooManyConnections | Self::TooManyFeeds => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Seconds after which a client may try again (RFC 9110, section 10.2.3); `None` where trying again does not help.
    fn retry_after(self) -> Option<&'static str> {
        match self {
            // The time over which wrong tokens are counted.
            Self::TooManyAttempts => Some("60"),
            // An hour's creations are counted; an operator may make room sooner.
            Self::TooManyFeeds => Some("60"),
            // A connection or an archive is free again within seconds, or not for long.
            Self::TooManyConnections | Self::StorageUnavailable => Some("5"),
            _ => None,
        }
    }
}

/// An error response.
#[derive(Debug)]
pub(crate) struct Problem {
    code: ProblemCode,
    detail: String,
}

impl Problem {
    /// Creates an error; `detail` states the fault and its remedy.
    pub(crate) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(ProblemCode::BadRequest, detail)
    }

    pub(crate) fn no_such_feed(name: &FeedId) -> Self {
        Self::new(ProblemCode::NoSuchFeed, format!("there is no feed {name}"))
    }

    pub(crate) fn feed_deleted(name: &FeedId) -> Self {
        let detail = format!("the feed {name} was deleted; PUT /v1/feeds/{name} creates it again");
        Self::new(ProblemCode::FeedDeleted, detail)
    }
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Deleted(name) => Self::feed_deleted(&name),
            error => Self::new(ProblemCode::StorageUnavailable, error.to_string()),
        }
    }
}

impl From<CreateRefused> for Problem {
    fn from(error: CreateRefused) -> Self {
        match error {
            CreateRefused::Log(error) => error.into(),
            CreateRefused::TooMany { .. } => Self::new(ProblemCode::TooManyFeeds, error.to_string()),
        }
    }
}

impl From<BadName> for Problem {
    fn from(error: BadName) -> Self {
        Self::bad(error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct ProblemBody<'a> {
            r#type: &'static str,
            title: &'a str,
            status: u16,
            detail: &'a str,
            code: ProblemCode,
        }
        let status = self.code.status();
        let title = status.canonical_reason().unwrap_or("Error");
        let body = ProblemBody {
            r#type: "about:blank",
            title,
            status: status.as_u16(),
            detail: &self.detail,
            code: self.code,
        };
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(Body::from(json));
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/problem+json");
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, json);
        if self.code == ProblemCode::Unauthorised {
            // RFC 6750, section 3.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"captionwire\""));
        }
        if let Some(seconds) = self.code.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        if self.code == ProblemCode::UpgradeRequired {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        response
    }
}
