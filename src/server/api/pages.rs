//! Pages for people: the list of feeds, one feed live, and variants for frames, overlays and braille displays.
//!
//! Their HTML is in `viewer/`, with the files built from the scripts and styles in `web/`. All of it is part of the
//! binary, so that a build of the server needs nothing else. `scripts/web.sh` builds the files, and CI checks that they
//! match their sources.

use std::io::Write;
use std::sync::{Arc, LazyLock};

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use crate::position::FeedId;
use crate::server::api::transcripts::is_known_to;
use crate::server::core::context::ServerContext;
use crate::server::http::problem::{Problem, ProblemCode};

/// Allows only content from this server, so that an injected script would not run. The download of a transcript with a
/// token is a `blob:` URL, which is not a source to load from.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'";
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// A file of the pages.
struct PageFile {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
    /// Compressed once, at the first request.
    packed: LazyLock<GzippedPage>,
}

struct GzippedPage {
    etag: String,
    gzip: Vec<u8>,
}

macro_rules! file {
    ($name:literal, $content_type:expr) => {
        PageFile {
            name: $name,
            content_type: $content_type,
            text: include_str!(concat!("../viewer/", $name)),
            packed: LazyLock::new(|| GzippedPage::new(include_str!(concat!("../viewer/", $name)))),
        }
    };
}

static INDEX: PageFile = file!("index.html", HTML);
static FEED: PageFile = file!("feed.html", HTML);
static OVERLAY: PageFile = file!("overlay.html", HTML);
static PLAIN: PageFile = file!("plain.html", HTML);
static EMBED: PageFile = file!("embed.js", SCRIPT);
static FILES: [PageFile; 7] = [
    file!("index.js", SCRIPT),
    file!("feed.js", SCRIPT),
    file!("overlay.js", SCRIPT),
    file!("plain.js", SCRIPT),
    file!("page.css", STYLE),
    file!("overlay.css", STYLE),
    file!("plain.css", STYLE),
];

impl GzippedPage {
    fn new(text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let etag = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let gzip = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
        Self { etag: format!("\"{etag}\""), gzip: gzip.expect("a vector takes all there is") }
    }
}

/// Framing policy of a page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FramePolicy {
    /// No page may frame it: clickjacking could overlay a page that has controls.
    Never,
    /// The server's own pages may, and the origins in `embedding_origins`.
    ByConfig,
}

/// `GET /`
pub(crate) async fn index(State(context): State<Arc<ServerContext>>, headers: HeaderMap) -> Response {
    send(&context, &headers, &INDEX, FramePolicy::Never)
}

/// `GET /feeds/{feed}`: the page waits for a feed that does not exist yet.
pub(crate) async fn feed(
    context: State<Arc<ServerContext>>,
    name: Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    of_feed(&context, &name, &headers, &FEED, FramePolicy::Never)
}

/// `GET /feeds/{feed}/embed`: the same page, for a frame in another site's page.
pub(crate) async fn embed(
    context: State<Arc<ServerContext>>,
    name: Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    of_feed(&context, &name, &headers, &FEED, FramePolicy::ByConfig)
}

/// `GET /feeds/{feed}/overlay`: the latest lines, to be laid over a picture.
pub(crate) async fn overlay(
    context: State<Arc<ServerContext>>,
    name: Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    of_feed(&context, &name, &headers, &OVERLAY, FramePolicy::ByConfig)
}

/// `GET /feeds/{feed}/plain`: text only.
pub(crate) async fn plain(
    context: State<Arc<ServerContext>>,
    name: Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    of_feed(&context, &name, &headers, &PLAIN, FramePolicy::Never)
}

/// `GET /embed.js`: the element `<caption-wire>`, for pages of other sites.
pub(crate) async fn embed_script(State(context): State<Arc<ServerContext>>, headers: HeaderMap) -> Response {
    send(&context, &headers, &EMBED, FramePolicy::Never)
}

/// `GET /viewer/{file}`
pub(crate) async fn file(
    State(context): State<Arc<ServerContext>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    match FILES.iter().find(|file| file.name == name) {
        Some(file) => Ok(send(&context, &headers, file, FramePolicy::Never)),
        None => Err(Problem::new(ProblemCode::NotFound, "there is no such file")),
    }
}

/// `GET /favicon.ico`: requested by browsers on their own.
pub(crate) async fn icon() -> StatusCode {
    StatusCode::NO_CONTENT
}

fn of_feed(
    context: &ServerContext,
    name: &str,
    asked: &HeaderMap,
    file: &'static PageFile,
    framed: FramePolicy,
) -> Result<Response, Problem> {
    FeedId::new(name)?;
    Ok(send(context, asked, file, framed))
}

fn send(context: &ServerContext, asked: &HeaderMap, file: &'static PageFile, framed: FramePolicy) -> Response {
    let mut response = if is_known_to(asked, &file.packed.etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else if takes_gzip(asked) {
        ([(header::CONTENT_ENCODING, "gzip")], file.packed.gzip.as_slice()).into_response()
    } else {
        file.text.into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    // Another release has other files under the same names.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let mut ancestors = String::from("'none'");
    if framed == FramePolicy::ByConfig {
        ancestors = "'self'".into();
        for origin in &context.config.embedding_origins {
            ancestors.push(' ');
            ancestors.push_str(origin);
        }
    }
    let policy = format!("{POLICY}; frame-ancestors {ancestors}");
    // Origins are checked when the configuration is read.
    if let (Ok(policy), Ok(etag)) = (HeaderValue::from_str(&policy), HeaderValue::from_str(&file.packed.etag)) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        headers.insert(header::ETAG, etag);
        return response;
    }
    Problem::new(ProblemCode::Internal, "embedding_origins of the configuration cannot be sent").into_response()
}

/// Returns true if the client accepts gzip; `gzip;q=0` means that it does not (RFC 9110, section 12.5.3).
fn takes_gzip(asked: &HeaderMap) -> bool {
    let values = asked.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_ok_and(|weight| weight > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_for_those_who_take_it() {
        for (value, expected) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0, br", false),
            ("br", false),
            ("", false),
        ] {
            let asked = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(takes_gzip(&asked), expected, "{value}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
