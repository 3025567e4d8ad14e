//! Search in the transcripts of a server.

use bytes::Bytes;
use http::Method;
use serde::Deserialize;

use crate::client::address::escaped;
use crate::client::http::{HttpClient, read_answer};
use crate::client::http_error::HttpError;
use crate::position::FeedId;
use crate::transcript::growing;
use crate::wire::search::{Hit, HitOrder};

/// Search conditions. All apply together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchQuery {
    /// Words, `"words in a row"`, `beginnings*`.
    pub words: String,
    /// Only in this feed.
    pub feed: Option<FeedId>,
    /// Only lines of the speaker with this name.
    pub speaker: Option<String>,
    /// From this media time, date or time of day on, in the server's notation.
    pub from: Option<String>,
    /// Before this one.
    pub to: Option<String>,
    /// Number of hits to return at most.
    pub limit: Option<usize>,
    /// Number of hits to skip.
    pub offset: Option<usize>,
}

/// Result of a search.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SearchFound {
    /// The hits of this page.
    pub hits: Vec<Hit>,
    /// Number of all hits; not counted beyond some thousands.
    pub total: usize,
    /// Order of the hits.
    #[serde(deserialize_with = "growing::name")]
    pub order: HitOrder,
    /// True if feeds were left out because the index does not contain all of them yet.
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

impl HttpClient {
    /// Finds lines in the feeds that the client may read.
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
