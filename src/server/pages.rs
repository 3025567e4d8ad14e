//! The pages for people: the feeds, and one feed as it comes.

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::problem::{Problem, ProblemCode};
use crate::position::FeedId;

/// Nothing but what this server sends: a page that was tricked into showing a script would not run it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// `GET /`
pub(super) async fn index() -> Response {
    page(HTML, include_str!("viewer/index.html"))
}

/// `GET /feeds/{feed}`: the page waits for a feed that does not exist yet.
pub(super) async fn feed(Path(name): Path<String>) -> Result<Response, Problem> {
    FeedId::new(&name)?;
    Ok(page(HTML, include_str!("viewer/page.html")))
}

/// `GET /viewer/{file}`
pub(super) async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    Ok(match name.as_str() {
        "page.js" => page(SCRIPT, include_str!("viewer/page.js")),
        "index.js" => page(SCRIPT, include_str!("viewer/index.js")),
        "page.css" => page(STYLE, include_str!("viewer/page.css")),
        _ => return Err(Problem::new(ProblemCode::NotFound, "there is no such file")),
    })
}

/// `GET /favicon.ico`: browsers ask for it unasked.
pub(super) async fn icon() -> StatusCode {
    StatusCode::NO_CONTENT
}

fn page(content_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        // Another release has other files under these names.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text).into_response()
}
