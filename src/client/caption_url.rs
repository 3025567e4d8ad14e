//! Captions as Zoom's and YouTube's caption URLs take them: which request says a text, and what its answer means.

use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header};

use crate::client::http_post::{PostUrl, post};
use crate::transcript::Timestamp;

/// How texts are written for a caption URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptionFormat {
    /// `&seq=N`, and the text.
    Zoom,
    /// `&seq=N`, and the text below its time of day.
    YouTube,
}

impl FromStr for CaptionFormat {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "zoom" => Ok(Self::Zoom),
            "youtube" => Ok(Self::YouTube),
            _ => Err("zoom or youtube"),
        }
    }
}

/// A caption URL, and how it takes texts.
#[derive(Debug, Clone, Copy)]
pub struct CaptionUrl<'a> {
    /// Where to.
    pub url: &'a PostUrl,
    /// How.
    pub format: CaptionFormat,
    /// The language of the captions, for Zoom.
    pub lang: Option<&'a str>,
    /// What is added to times of day, for YouTube. Milliseconds.
    pub offset_ms: i64,
}

impl CaptionUrl<'_> {
    /// The address and the body for the text that is number `seq`, which was taken at `at`.
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

    /// The last number that it has, where it tells (Zoom: `GET …/seq`); none where it does not within `wait`.
    pub async fn last_seq(&self, wait: Duration) -> Option<u64> {
        if self.format != CaptionFormat::Zoom {
            return None;
        }
        let answer = post(&self.url.below("seq"), Method::GET, &[], Bytes::new(), wait).await.ok()?;
        let is_good = answer.status.is_success();
        std::str::from_utf8(&answer.body).ok()?.lines().next()?.trim().parse().ok().filter(|_| is_good)
    }

    /// The headers of its requests.
    #[must_use]
    pub fn headers() -> [(HeaderName, HeaderValue); 1] {
        // YouTube wants it without a charset.
        [(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"))]
    }
}

/// As YouTube writes times: UTC, without saying so.
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
    }
}
