//! Caption URLs of Zoom and YouTube: the request that carries a text, and the meaning of the response.

use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header};

use crate::client::http_post::{PostUrl, post};
use crate::transcript::Timestamp;

/// Format of the texts that a caption URL accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaptionFormat {
    /// `&seq=N`, and the text.
    Zoom,
    /// `&seq=N`, and the text below its time of day.
    YouTube,
}

/// Error for a name that is no [`CaptionFormat`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("zoom or youtube")]
pub struct UnknownCaptionFormat;

impl FromStr for CaptionFormat {
    type Err = UnknownCaptionFormat;

    fn from_str(name: &str) -> Result<Self, UnknownCaptionFormat> {
        match name {
            "zoom" => Ok(Self::Zoom),
            "youtube" => Ok(Self::YouTube),
            _ => Err(UnknownCaptionFormat),
        }
    }
}

/// Caption URL with its format.
#[derive(Debug, Clone, Copy)]
pub struct CaptionUrl<'a> {
    /// Address.
    pub url: &'a PostUrl,
    /// Format.
    pub format: CaptionFormat,
    /// Language of the captions, for Zoom.
    pub lang: Option<&'a str>,
    /// Milliseconds added to times of day, for YouTube.
    pub offset_ms: i64,
}

impl<'a> CaptionUrl<'a> {
    /// Creates it for captions without a language, whose times of day are those of the server.
    #[must_use]
    pub fn new(url: &'a PostUrl, format: CaptionFormat) -> Self {
        Self { url, format, lang: None, offset_ms: 0 }
    }
}

impl CaptionUrl<'_> {
    /// Returns the address and the body for text number `seq`, received at the time of day `at`.
    #[must_use]
    pub fn caption(&self, seq: u64, at: Timestamp, text: &str) -> (PostUrl, Bytes) {
        let url = self.url.with("seq", seq);
        match self.format {
            CaptionFormat::Zoom => {
                let url = self.lang.map_or_else(|| url.clone(), |lang| url.with("lang", lang));
                (url, text.to_owned().into())
            }
            CaptionFormat::YouTube => {
                let at = wall_time(Timestamp(at.0.saturating_add(self.offset_ms)));
                (url, format!("{at} region:reg1#cue1\n{}\n", text.replace('\n', "<br>")).into())
            }
        }
    }

    /// Returns the last number that the address has (Zoom: `GET …/seq`). `None` for YouTube, or without a valid answer
    /// within `wait`.
    pub async fn last_seq(&self, wait: Duration) -> Option<u64> {
        if self.format != CaptionFormat::Zoom {
            return None;
        }
        let answer = post(&self.url.below("seq"), Method::GET, &[], Bytes::new(), wait).await.ok()?;
        let is_good = answer.status.is_success();
        std::str::from_utf8(&answer.body).ok()?.lines().next()?.trim().parse().ok().filter(|_| is_good)
    }

    /// Returns the headers of the requests.
    #[must_use]
    pub fn headers() -> [(HeaderName, HeaderValue); 1] {
        // YouTube requires the type without a charset.
        [(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"))]
    }
}

/// Formats a time as YouTube expects it: UTC without `Z`.
#[must_use]
pub fn wall_time(at: Timestamp) -> String {
    at.to_string().trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_written_as_each_takes_them() {
        let url = PostUrl::parse("http://a/cc?id=7").expect("a URL");
        let written = |format, to: &str| {
            let captions = CaptionUrl { url: &url, format, lang: Some("en-US"), offset_ms: 500 };
            let (url, body) = captions.caption(3, Timestamp(0), "a\nb");
            assert!(url == PostUrl::parse(to).expect("a URL"), "{format:?}");
            body
        };
        assert_eq!(written(CaptionFormat::Zoom, "http://a/cc?id=7&seq=3&lang=en-US"), "a\nb");
        let youtube = "1970-01-01T00:00:00.500 region:reg1#cue1\na<br>b\n";
        assert_eq!(written(CaptionFormat::YouTube, "http://a/cc?id=7&seq=3"), youtube);
        let (written, _) = CaptionUrl { lang: Some("en&seq=9"), ..CaptionUrl::new(&url, CaptionFormat::Zoom) }.caption(
            3,
            Timestamp(0),
            "a",
        );
        assert!(written == PostUrl::parse("http://a/cc?id=7&seq=3&lang=en%26seq%3D9").expect("a URL"));
    }
}
