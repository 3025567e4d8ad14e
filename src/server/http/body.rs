//! Request bodies, read within size and time limits.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use crate::config::TimesConfig;
use crate::format::TextEncoding;
use crate::parse_error::describe_json_error;
use crate::server::core::context::ServerContext;
use crate::server::http::problem::{Problem, ProblemCode};

/// Reads a body of at most `bytes_max` bytes. Gives up if it stalls or arrives too slowly.
pub(crate) async fn read(
    context: &ServerContext,
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(ProblemCode::TooLarge, format!("the body may have at most {bytes_max} bytes"));
    let said = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if said.is_some_and(|said| said > bytes_max as u64) {
        return Err(too_large());
    }
    let times = &context.config.times;
    let reading = async {
        let mut body = body;
        let mut read = BytesMut::new();
        loop {
            let frame = tokio::time::timeout(TimesConfig::ms(times.write_timeout_ms), body.frame()).await;
            let Some(frame) = frame.map_err(|_| too_slow())? else { return Ok(read.freeze()) };
            let frame = frame.map_err(|_| Problem::bad("the body ended early"))?;
            let Ok(data) = frame.into_data() else { continue };
            if read.len() + data.len() > bytes_max {
                return Err(too_large());
            }
            read.extend_from_slice(&data);
        }
    };
    tokio::time::timeout(TimesConfig::ms(times.message_timeout_ms), reading).await.map_err(|_| too_slow())?
}

fn too_slow() -> Problem {
    Problem::new(ProblemCode::TooSlow, "the body came too slowly")
}

/// Reads and parses a body whose `Content-Type` is JSON.
pub(crate) async fn read_json<T: DeserializeOwned>(
    context: &ServerContext,
    headers: &HeaderMap,
    body: Body,
) -> Result<T, Problem> {
    if media_type(headers) != Some("application/json") {
        let detail = "send JSON, and say so: Content-Type: application/json";
        return Err(Problem::new(ProblemCode::UnsupportedMediaType, detail));
    }
    let bytes = read(context, headers, body, context.config.limits.message_bytes).await?;
    // Serde would read the values of an array as the fields of an object, in their order.
    if bytes.trim_ascii_start().first().is_some_and(|first| *first == b'[') {
        return Err(Problem::bad("the body is an array: send one JSON object"));
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| Problem::bad(format!("the body cannot be read: {}", describe_json_error(&error, &bytes))))
}

/// Returns the media type of the body, without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(str::trim)
}

/// Returns the encoding named in `Content-Type`; `None` for UTF-8, which clients often name without checking and which
/// is recognized anyway.
pub(crate) fn charset(headers: &HeaderMap) -> Result<Option<TextEncoding>, Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    let parameters = value.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let named = parameters.map(|(name, value)| (name.trim(), value.trim().trim_matches('"')));
    let named = named.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("charset"));
    let encoding = named.map(|(_, name)| name.parse::<TextEncoding>()).transpose();
    let encoding = encoding.map_err(|error| Problem::bad(format!("the charset of Content-Type: {error}")))?;
    Ok(encoding.filter(|encoding| !encoding.is_utf8()))
}
