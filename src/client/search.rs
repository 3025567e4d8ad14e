//! Searching the transcripts of a server.

use std::fmt::Write;

use bytes::Bytes;
use http::Method;
use serde::Deserialize;

use super::http::{HttpClient, HttpError, read_answer};
use crate::position::FeedId;
use crate::search::{Hit, HitOrder};

/// What to look for. All conditions hold together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchQuery {
    /// Words, `"words in a row"`, `beginnings*`.
    pub words: String,
    /// In this feed only.
    pub feed: Option<FeedId>,
    /// Said by the speaker of this name.
    pub speaker: Option<String>,
    /// From this media time, date or moment on, as the server reads them.
    pub from: Option<String>,
    /// Before this one.
    pub to: Option<String>,
    /// How many hits at most.
    pub limit: Option<usize>,
    /// How many hits to pass over.
    pub offset: Option<usize>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SearchFound {
    /// The hits of this page.
    pub hits: Vec<Hit>,
    /// How many there are in all; not counted beyond some thousands.
    pub total: usize,
    /// In which order they come.
    pub order: HitOrder,
    /// Feeds were left out of which the index does not have everything yet.
    pub catching_up: bool,
}

impl SearchQuery {
    fn path(&self) -> String {
        let Self { words, feed, speaker, from, to, limit, offset } = self;
        let mut path = format!("/v1/search?q={}", escaped(words));
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", escaped(&value)));
            }
        };
        add("feed", feed.as_ref().map(ToString::to_string));
        add("speaker", speaker.clone());
        add("from", from.clone());
        add("to", to.clone());
        add("limit", limit.map(|limit| limit.to_string()));
        add("offset", offset.map(|offset| offset.to_string()));
        path
    }
}

/// `text` as a value in a query. RFC 3986, section 2.3: what is unreserved stays.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            _ => {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

impl HttpClient {
    /// Where something was said, in the feeds that may be read.
    ///
    /// # Errors
    /// [`HttpError`].
    pub async fn search(&self, query: &SearchQuery) -> Result<SearchFound, HttpError> {
        read_answer(&self.request(Method::GET, &query.path(), None, Bytes::new()).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_arrives_as_it_was_typed() {
        let query = SearchQuery { words: "a&b \"ü\"*+".into(), limit: Some(3), ..SearchQuery::default() };
        assert_eq!(query.path(), "/v1/search?q=a%26b%20%22%C3%BC%22%2A%2B&limit=3");
    }
}
