//! URLs of a server and of its sockets.

use std::fmt::{self, Write as _};

use http::Uri;
use http::uri::Authority;

use super::trust::Authorities;
use crate::client::proxy::{BadProxy, ProxySettings};
use crate::client::token::ClientToken;
use crate::client::transport::TransportTarget;
use crate::position::FeedId;

/// A URL that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url} cannot be used: {rule}")]
pub struct BadUrl {
    /// Scheme and host of the URL as given. The rest is left out, because it may hold a password or a token.
    pub url: String,
    /// The accepted form, with an example.
    pub rule: &'static str,
}

/// Address of a server, such as `http://127.0.0.1:7700` or `https://captions.example.org`. A path before `/v1` is kept,
/// for servers behind a reverse proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl {
    endpoint: TransportTarget,
    base: String,
    token: Option<ClientToken>,
}

impl ServerUrl {
    /// Parses `http://HOST:PORT`, `https://HOST`, or only `HOST:PORT`.
    ///
    /// # Errors
    /// [`BadUrl`] for another scheme, a query, a user name, an `@` in the path, or text that is no URL.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        const RULE: &str = "a server is written like http://127.0.0.1:7700 or https://captions.example.org";
        let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let (endpoint, path, query) = split(&with_scheme, RULE)?;
        if query.is_some() || path.contains('@') {
            return Err(bad(text, RULE));
        }
        Ok(Self { endpoint, base: path.trim_end_matches('/').to_owned(), token: None })
    }

    /// Sets the token that is sent to the server and to its sockets.
    #[must_use]
    pub fn with_token(self, token: Option<ClientToken>) -> Self {
        Self { token, ..self }
    }

    /// Sets the certificate authorities to trust for TLS, instead of those of this machine, for the server and its
    /// sockets.
    #[must_use]
    pub fn with_authorities(self, authorities: Option<Authorities>) -> Self {
        Self { endpoint: TransportTarget { authorities, ..self.endpoint }, ..self }
    }

    /// Sets the proxy that `proxies` name for the server and its sockets, if they name one.
    ///
    /// # Errors
    /// [`BadProxy`] if that proxy cannot be used.
    pub fn with_proxies(self, proxies: &ProxySettings) -> Result<Self, BadProxy> {
        Ok(Self { endpoint: self.endpoint.with_proxies(proxies)?, ..self })
    }

    pub(super) fn token(&self) -> Option<&ClientToken> {
        self.token.as_ref()
    }

    /// Returns the URL of the socket that publishes to `feed`.
    #[must_use]
    pub fn publish(&self, feed: &FeedId) -> SocketUrl {
        self.socket(&format!("/v1/feeds/{feed}/publish"))
    }

    /// Returns the URL of the socket that follows `feed`.
    #[must_use]
    pub fn subscribe(&self, feed: &FeedId) -> SocketUrl {
        self.socket(&format!("/v1/feeds/{feed}/subscribe"))
    }

    /// Returns the URL of the socket that follows many feeds.
    #[must_use]
    pub fn subscribe_many(&self) -> SocketUrl {
        self.socket("/v1/subscribe")
    }

    /// Returns the URL of the page on which people watch `feed`.
    #[must_use]
    pub fn page(&self, feed: &FeedId) -> String {
        format!("{self}/feeds/{feed}")
    }

    pub(super) fn endpoint(&self) -> &TransportTarget {
        &self.endpoint
    }

    /// Returns the request target for `path`, below the server's base path.
    pub(super) fn target(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn socket(&self, path: &str) -> SocketUrl {
        let token = self.token.clone();
        SocketUrl { endpoint: self.endpoint.clone(), path: self.target(path), query: Vec::new(), token }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.endpoint.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.endpoint.authority, self.base)
    }
}

/// URL of one of a server's sockets, such as `ws://127.0.0.1:7700/v1/feeds/geneva/publish`.
///
/// `Display` and `Debug` leave out the query, which may hold a token.
#[derive(Clone, PartialEq, Eq)]
pub struct SocketUrl {
    endpoint: TransportTarget,
    path: String,
    /// Query parameters as given: `name=value`.
    query: Vec<String>,
    token: Option<ClientToken>,
}

impl SocketUrl {
    /// Parses `ws://HOST:PORT/PATH?QUERY` or `wss://…`; `http` and `https` are accepted too.
    ///
    /// # Errors
    /// [`BadUrl`] for another scheme, a user name, an `@` in path or query, or text that is no URL.
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        const RULE: &str = "a socket is written like ws://127.0.0.1:7700/v1/feeds/NAME/publish, or with wss://";
        const AT_RULE: &str = "it has no user and no password, and an @ in its path or query is written %40";
        let (endpoint, path, query) = split(text, RULE)?;
        // A `/` or `?` in a password ends the host: `ws://user:1/word@host` would go to the host `user`.
        if path.contains('@') || query.as_ref().is_some_and(|query| query.contains('@')) {
            return Err(bad(text, AT_RULE));
        }
        let query = query.iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty());
        Ok(Self { endpoint, path, query: query.map(str::to_owned).collect(), token: None })
    }

    /// Sets the token to send, unless the query has one.
    #[must_use]
    pub fn with_token(self, token: Option<ClientToken>) -> Self {
        Self { token, ..self }
    }

    /// Sets the certificate authorities to trust for TLS, instead of those of this machine.
    #[must_use]
    pub fn with_authorities(self, authorities: Option<Authorities>) -> Self {
        Self { endpoint: TransportTarget { authorities, ..self.endpoint }, ..self }
    }

    /// Sets the proxy that `proxies` name for this server, if they name one.
    ///
    /// # Errors
    /// [`BadProxy`] if that proxy cannot be used.
    pub fn with_proxies(self, proxies: &ProxySettings) -> Result<Self, BadProxy> {
        Ok(Self { endpoint: self.endpoint.with_proxies(proxies)?, ..self })
    }

    /// Returns the token to send as a header; `None` if the query has one.
    pub(super) fn token(&self) -> Option<&ClientToken> {
        let is_in_query = self.query.iter().any(|pair| pair.starts_with("token="));
        self.token.as_ref().filter(|_| !is_in_query)
    }

    /// Returns the server that the socket belongs to.
    #[must_use]
    pub fn server(&self) -> ServerUrl {
        let base = self.path.find("/v1/").map_or("", |at| &self.path[..at]);
        ServerUrl { endpoint: self.endpoint.clone(), base: base.to_owned(), token: self.token.clone() }
    }

    /// Returns the feed that the path names, if it is a path of a captionwire server.
    #[must_use]
    pub fn feed(&self) -> Option<FeedId> {
        let (_, rest) = self.path.split_once("/feeds/")?;
        FeedId::new(rest.split('/').next()?).ok()
    }

    /// Returns the path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn endpoint(&self) -> &TransportTarget {
        &self.endpoint
    }

    /// Sets the query parameter `name` and removes earlier ones of that name. `value` is escaped: it is one value, whatever
    /// characters it has, and the server says which it takes.
    pub(super) fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.query.retain(|pair| pair.split('=').next() != Some(name));
        self.query.push(format!("{name}={}", escaped(&value.to_string())));
        self
    }

    /// Returns the whole URL with its query, for the request.
    pub(super) fn whole(&self) -> String {
        let mark = if self.query.is_empty() { "" } else { "?" };
        format!("{self}{mark}{}", self.query.join("&"))
    }
}

impl fmt::Display for SocketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.endpoint.is_secure { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.endpoint.authority, self.path)
    }
}

impl fmt::Debug for SocketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

pub(super) type Parts = (TransportTarget, String, Option<String>);

pub(super) fn split(text: &str, rule: &'static str) -> Result<Parts, BadUrl> {
    let uri: Uri = text.parse().map_err(|_| bad(text, rule))?;
    let is_secure = match uri.scheme_str() {
        Some("http" | "ws") => false,
        Some("https" | "wss") => true,
        _ => return Err(bad(text, rule)),
    };
    match uri.authority() {
        Some(authority) if !authority.as_str().contains('@') && has_port_or_none(authority) => {
            let endpoint = TransportTarget { authority: authority.clone(), is_secure, authorities: None, proxy: None };
            Ok((endpoint, uri.path().to_owned(), uri.query().map(str::to_owned)))
        }
        _ => Err(bad(text, rule)),
    }
}

/// Returns true if a number follows the host, or nothing. Anything else is a part of a password, which a `/` or `?` in it cut
/// off: `http://user:se/cret@host` would go to the host `user`.
fn has_port_or_none(authority: &Authority) -> bool {
    authority.port_u16().is_some() || authority.as_str().trim_end_matches(':') == authority.host()
}

fn bad(text: &str, rule: &'static str) -> BadUrl {
    BadUrl { url: without_secrets(text), rule }
}

/// Returns scheme and host of a text that may be no URL, with `…` for the parts that may hold a secret: user and password,
/// path, query.
fn without_secrets(text: &str) -> String {
    let is_scheme =
        |at: &usize| text[..*at].bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let (scheme, rest) = text.split_at(text.find("://").filter(is_scheme).map_or(0, |at| at + 3));
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = match authority.rsplit_once('@') {
        // A password may hold these characters too: its end looks like the path.
        _ if path.contains('@') => "…".to_owned(),
        Some((_, host)) => format!("…@{host}"),
        None => authority.to_owned(),
    };
    let path = if path.len() > 1 { "/…" } else { path };
    format!("{scheme}{host}{path}").chars().take(200).collect()
}

/// Percent-encodes `text` as the value of a query parameter. Unreserved characters and `:` stay (RFC 3986, sections 2.3 and 3.4).
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                escaped.push(char::from(byte))
            }
            _ => {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
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
            ("https://a.example", "https://a.example/feeds/geneva", "wss://a.example/v1/feeds/geneva/publish"),
            ("wss://a:2/cap", "https://a:2/cap/feeds/geneva", "wss://a:2/cap/v1/feeds/geneva/publish"),
            ("http://[::1]:2/cap/", "http://[::1]:2/cap/feeds/geneva", "ws://[::1]:2/cap/v1/feeds/geneva/publish"),
        ] {
            let url = ServerUrl::parse(text).expect(text);
            assert_eq!((url.page(&feed).as_str(), url.publish(&feed).to_string().as_str()), (page, publish));
            assert_eq!(url.publish(&feed).server(), url);
        }
        for bad in
            ["", "https://", "http://", "http://a?x=1", "ftp://a", "http://user:word@a", "http://user:1/word@a", "a b"]
        {
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
        let error = SocketUrl::parse("ftp://a/?token=secret").expect_err("no socket").to_string();
        assert!(error.contains("ws://") && !error.contains("secret"), "{error}");
        for text in ["ws://user:1/secret@a/", "wss://user:1?secret@a/listen", "wss://a/listen?user=secret@b"] {
            let error = SocketUrl::parse(text).expect_err(text).to_string();
            assert!(error.contains("%40") && !error.contains("secret"), "{error}");
        }
        assert!(SocketUrl::parse("wss://a/listen?user=secret%40b").is_ok());
    }

    #[test]
    fn a_value_is_one_value_whatever_is_in_it() {
        let url = SocketUrl::parse("ws://a:1/v1/feeds/geneva/publish").expect("a URL");
        for (value, written) in [
            ("evening run", "evening%20run"),
            ("a#b", "a%23b"),
            ("x&takeover=true", "x%26takeover%3Dtrue"),
            ("a+b%ü", "a%2Bb%25%C3%BC"),
            ("A-z_0.9~:", "A-z_0.9~:"),
        ] {
            let whole = url.clone().with("session", value).whole();
            assert_eq!(whole, format!("{url}?session={written}"));
            assert!(whole.parse::<Uri>().is_ok(), "{whole}");
        }
    }

    /// People paste URLs with passwords and keys, and errors end in logs.
    #[test]
    fn an_error_shows_the_host_and_no_secret() {
        for (text, shown) in [
            ("http://user:secret@a.example:1", "http://…@a.example:1"),
            ("user:secret@a", "http://…@a"),
            ("http://user:se/cret@a/", "http://…/…"),
            ("http://user:se?cret@a", "http://…/…"),
            ("http://user:1/secret@a/", "http://…/…"),
            ("user:1/secret@a", "…/…"),
            ("ftp://a.example/secret", "ftp://a.example/…"),
            ("ftp://a?key=secret", "ftp://a/…"),
            ("a/secret?to=http://b", "a/…"),
            ("http://", "http://"),
            ("a b/", "http://a b/"),
        ] {
            let error = ServerUrl::parse(text).expect_err(text);
            assert_eq!(error.url, shown, "{text}");
            assert!(!error.to_string().contains("cret"), "{error}");
        }
        let error = crate::client::PostUrl::parse("ftp://a.example/secret?key=secret").expect_err("no address");
        assert_eq!(error.url, "ftp://a.example/…");
    }
}
