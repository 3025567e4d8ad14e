//! Where a server and its sockets are.

use std::fmt;

use http::Uri;
use http::uri::Authority;

use super::token::Token;
use crate::position::FeedId;

/// A URL that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url} cannot be used: {rule}")]
pub struct BadUrl {
    /// The URL as it was given, without its query: a token may stand there.
    pub url: String,
    /// What would do.
    pub rule: &'static str,
}

/// A server, such as `http://127.0.0.1:7700`. A path before `/v1` is kept, for servers behind another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    authority: Authority,
    base: String,
    token: Option<Token>,
}

impl ServerUrl {
    /// Reads `http://HOST:PORT`, or only `HOST:PORT`.
    ///
    /// # Errors
    /// [`BadUrl`] for another scheme, a query, or what is no URL.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        const RULE: &str = "a server is written like http://127.0.0.1:7700 (there is no TLS yet)";
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let (authority, path, query) = split(&with_scheme, &["http", "ws"], RULE)?;
        if query.is_some() {
            return Err(bad(text, RULE));
        }
        Ok(Self { authority, base: path.trim_end_matches('/').to_owned(), token: None })
    }

    /// With `token` sent along, here and to its sockets.
    #[must_use]
    pub fn with_token(self, token: Option<Token>) -> Self {
        Self { token, ..self }
    }

    pub(super) fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Where `feed` is published to.
    #[must_use]
    pub fn publish(&self, feed: &FeedId) -> SocketUrl {
        self.socket(&format!("/v1/feeds/{feed}/publish"))
    }

    /// Where `feed` is followed.
    #[must_use]
    pub fn subscribe(&self, feed: &FeedId) -> SocketUrl {
        self.socket(&format!("/v1/feeds/{feed}/subscribe"))
    }

    /// The page on which people watch `feed`.
    #[must_use]
    pub fn page(&self, feed: &FeedId) -> String {
        format!("{self}/feeds/{feed}")
    }

    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What a request for `path` asks the server for.
    pub(super) fn target(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn socket(&self, path: &str) -> SocketUrl {
        let token = self.token.clone();
        SocketUrl { authority: self.authority.clone(), path: self.target(path), query: Vec::new(), token }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.base)
    }
}

/// One of a server's sockets, such as `ws://127.0.0.1:7700/v1/feeds/geneva/publish`.
///
/// Its query may hold a token, so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SocketUrl {
    authority: Authority,
    path: String,
    /// The parameters as they were given: `name=value`.
    query: Vec<String>,
    token: Option<Token>,
}

impl SocketUrl {
    /// Reads `ws://HOST:PORT/PATH?QUERY`; `http` does as well.
    ///
    /// # Errors
    /// [`BadUrl`] for another scheme, or what is no URL.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        const RULE: &str = "a socket is written like ws://127.0.0.1:7700/v1/feeds/NAME/publish (there is no TLS yet)";
        let (authority, path, query) = split(text, &["ws", "http"], RULE)?;
        let query = query.iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty());
        Ok(Self { authority, path, query: query.map(str::to_owned).collect(), token: None })
    }

    /// With `token` sent along, unless one stands in the query.
    #[must_use]
    pub fn with_token(self, token: Option<Token>) -> Self {
        Self { token, ..self }
    }

    /// The token to send as a header.
    pub(super) fn token(&self) -> Option<&Token> {
        let is_in_query = self.query.iter().any(|pair| pair.starts_with("token="));
        self.token.as_ref().filter(|_| !is_in_query)
    }

    /// The server that the socket belongs to.
    #[must_use]
    pub fn server(&self) -> ServerUrl {
        let base = self.path.find("/v1/").map_or("", |at| &self.path[..at]);
        ServerUrl { authority: self.authority.clone(), base: base.to_owned(), token: self.token.clone() }
    }

    /// The feed that the path names, if it is one of the server's own.
    #[must_use]
    pub fn feed(&self) -> Option<FeedId> {
        let (_, rest) = self.path.split_once("/feeds/")?;
        FeedId::new(rest.split('/').next()?).ok()
    }

    /// The path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// With the parameter `name`; one of that name that was there is gone. `value` needs no escapes: names of feeds,
    /// sources, sessions and cursors are made so.
    pub(super) fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.query.retain(|pair| pair.split('=').next() != Some(name));
        self.query.push(format!("{name}={value}"));
        self
    }

    /// All of it, for the request.
    pub(super) fn whole(&self) -> String {
        let mark = if self.query.is_empty() { "" } else { "?" };
        format!("{self}{mark}{}", self.query.join("&"))
    }
}

impl fmt::Display for SocketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ws://{}{}", self.authority, self.path)
    }
}

impl fmt::Debug for SocketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

type Parts = (Authority, String, Option<String>);

fn split(text: &str, schemes: &[&str], rule: &'static str) -> Result<Parts, BadUrl> {
    let uri: Uri = text.parse().map_err(|_| bad(text, rule))?;
    let is_known = uri.scheme_str().is_some_and(|scheme| schemes.contains(&scheme));
    match uri.authority() {
        Some(authority) if is_known && !authority.as_str().contains('@') => {
            Ok((authority.clone(), uri.path().to_owned(), uri.query().map(str::to_owned)))
        }
        _ => Err(bad(text, rule)),
    }
}

fn bad(text: &str, rule: &'static str) -> BadUrl {
    let url = text.split('?').next().unwrap_or_default().chars().take(200).collect();
    BadUrl { url, rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read() {
        let feed = FeedId::new("geneva").expect("a name");
        for (text, page, publish) in [
            (
                "http://127.0.0.1:7700",
                "http://127.0.0.1:7700/feeds/geneva",
                "ws://127.0.0.1:7700/v1/feeds/geneva/publish",
            ),
            ("localhost:1/", "http://localhost:1/feeds/geneva", "ws://localhost:1/v1/feeds/geneva/publish"),
            ("http://[::1]:2/cap/", "http://[::1]:2/cap/feeds/geneva", "ws://[::1]:2/cap/v1/feeds/geneva/publish"),
        ] {
            let url = ServerUrl::parse(text).expect(text);
            assert_eq!((url.page(&feed).as_str(), url.publish(&feed).to_string().as_str()), (page, publish));
            assert_eq!(url.publish(&feed).server(), url);
        }
        for bad in ["", "https://a", "http://", "http://a?x=1", "ftp://a", "http://user:word@a", "a b"] {
            assert!(ServerUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_socket_keeps_its_query_and_hides_it() {
        let url = SocketUrl::parse("ws://a:1/v1/feeds/geneva/subscribe?token=secret&from=now").expect("a URL");
        let whole = url.clone().with("from", "e:1").whole();
        assert_eq!(whole, "ws://a:1/v1/feeds/geneva/subscribe?token=secret&from=e:1");
        assert!(!format!("{url} {url:?}").contains("secret"));
        assert_eq!(url.feed().expect("a feed").as_str(), "geneva");
        let error = SocketUrl::parse("wss://a/?token=secret").expect_err("no TLS").to_string();
        assert!(error.contains("TLS") && !error.contains("secret"), "{error}");
    }
}
