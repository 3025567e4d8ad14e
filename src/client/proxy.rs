//! HTTP proxies for connections to servers, as the environment names them. [`transport`](super::transport) opens their tunnels
//! (`CONNECT`).
//!
//! The variables are those of curl and many other programs: `HTTPS_PROXY` for https and wss, `HTTP_PROXY` for http and ws,
//! `ALL_PROXY` for both, and `NO_PROXY` for the hosts that are connected to directly. This machine (`localhost`, loopback
//! addresses and `0.0.0.0`) is always connected to directly: no proxy leads there, and no other host should see what is sent there.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;

use http::uri::{Authority, Uri};
use http::{HeaderValue, StatusCode};
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;

/// Error for a proxy setting that cannot be used. It does not show the value, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{variable} names no proxy that can be used: {rule}")]
pub struct BadProxy {
    /// Name of the environment variable.
    pub variable: &'static str,
    /// The accepted form, with an example.
    pub rule: &'static str,
}

/// HTTP proxies of a process, and the hosts that need none. The default has no proxy.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxySettings {
    http: Option<ProxyVariable>,
    https: Option<ProxyVariable>,
    no_proxy: String,
}

/// Environment variable that names a proxy.
#[derive(Clone, PartialEq, Eq)]
struct ProxyVariable {
    name: &'static str,
    value: String,
}

impl ProxySettings {
    /// Reads the variables with `variable`, such as [`std::env::var_os`]. A name in capital letters wins over the same name in
    /// small letters, and an empty value counts as none.
    #[must_use]
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let first = |names: &[&'static str]| {
            let mut set = names.iter().filter_map(|&name| {
                let value = variable(name)?.to_string_lossy().trim().to_owned();
                (!value.is_empty()).then_some(ProxyVariable { name, value })
            });
            set.next()
        };
        // A CGI program gets the header `Proxy` of a request as HTTP_PROXY: whoever sends the request would choose the proxy.
        let is_cgi = variable("REQUEST_METHOD").is_some();
        let http: &[_] = if is_cgi { &["http_proxy"] } else { &["HTTP_PROXY", "http_proxy"] };
        let all = || first(&["ALL_PROXY", "all_proxy"]);
        Self {
            http: first(http).or_else(all),
            https: first(&["HTTPS_PROXY", "https_proxy"]).or_else(all),
            no_proxy: first(&["NO_PROXY", "no_proxy"]).map_or(String::new(), |variable| variable.value),
        }
    }

    /// Returns the proxy for a server; `None` to connect directly.
    pub(super) fn proxy_for(&self, is_secure: bool, server: &Authority) -> Result<Option<ProxyServer>, BadProxy> {
        let variable = if is_secure { &self.https } else { &self.http };
        let Some(variable) = variable.as_ref() else { return Ok(None) };
        let port = server.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        if self.is_exempt(server, port) { Ok(None) } else { variable.proxy().map(Some) }
    }

    fn is_exempt(&self, server: &Authority, port: u16) -> bool {
        let Some(host) = usual_host(server.as_str()) else { return false };
        // Like curl: spaces separate too.
        let entries = self.no_proxy.split([',', ' ', '\t']).filter(|entry| !entry.is_empty()).map(exempt_host);
        let entries: Vec<_> = entries.filter(|(_, of)| of.is_none_or(|of| of == port)).map(|(host, _)| host).collect();
        if is_this_machine(&host) || entries.iter().any(|entry| entry == "*") {
            return true;
        }
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let Ok(uri) = format!("http://{host}/").parse::<Uri>() else { return false };
        Matcher::builder().all("http://proxy").no(entries.join(",")).build().intercept(&uri).is_none()
    }
}

/// Returns the host of `HOST` or `HOST:PORT` as connections understand it, however it is written: 127.1 is 127.0.0.1.
fn usual_host(server: &str) -> Option<String> {
    let url = Url::parse(&format!("http://{server}/")).ok()?;
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches([']', '.']);
    Some(host.parse::<IpAddr>().map_or_else(|_| host.to_owned(), |address| address.to_canonical().to_string()))
}

/// Reads an entry of `NO_PROXY`: a host with all names below it, or a network; and the only port it is for. IPv6 addresses
/// may have brackets, as with curl, and `*.` is the same as `.` or nothing.
fn exempt_host(entry: &str) -> (String, Option<u16>) {
    let with_port = entry.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    let with_port = with_port.and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = with_port.map_or((entry, None), |(host, port)| (host, Some(port)));
    let host = host.trim_matches(['[', ']']).trim_end_matches('.');
    let host = host.strip_prefix("*.").or(host.strip_prefix('.')).unwrap_or(host);
    let usual = match host {
        "*" => None,
        network if network.contains('/') => None,
        address if address.contains(':') => usual_host(&format!("[{address}]")),
        name => usual_host(name),
    };
    (usual.unwrap_or_else(|| host.to_owned()), port)
}

/// Shows names of variables, and no values.
impl fmt::Debug for ProxySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |variable: &Option<ProxyVariable>| variable.as_ref().map(|variable| variable.name);
        f.debug_struct("ProxySettings").field("http", &name(&self.http)).field("https", &name(&self.https)).finish()
    }
}

/// Returns true if the address in a proxy URL ends where it should. A `/`, `?` or `#` in a password ends it too early: a part of
/// the password would be read as host and port, and shown. A port is a number up to 65535.
fn has_whole_address(value: &str) -> bool {
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
    let (address, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = address.rsplit_once('@').map_or(address, |(_, host)| host);
    let port = host.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
    !path.contains('@') && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// Returns true if connections to `host` stay on this machine: to its loopback addresses, and to the unspecified ones, which
/// systems take for those.
fn is_this_machine(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || address.is_unspecified(),
        // RFC 6761, section 6.3.
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

impl ProxyVariable {
    fn proxy(&self) -> Result<ProxyServer, BadProxy> {
        const RULE: &str = "write it like http://proxy.example.org:3128 or http://USER:PASSWORD@proxy.example.org:3128, with %40 \
                            for an @ in the password, %2F for a /, %3F for a ? and %23 for a #";
        const NO_SOCKS: &str = "SOCKS is not supported; name an HTTP proxy, such as http://proxy.example.org:3128";
        let bad = |rule| BadProxy { variable: self.name, rule };
        if !has_whole_address(&self.value) {
            return Err(bad(RULE));
        }
        let matcher = Matcher::builder().all(&self.value).build();
        let proxy = matcher.intercept(&Uri::from_static("http://server/")).ok_or_else(|| bad(RULE))?;
        let is_secure = match proxy.uri().scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad(NO_SOCKS)),
        };
        // After an `@` without an escape comes a part of the password.
        let authority = proxy.uri().authority().filter(|authority| !authority.as_str().contains('@'));
        let authority = authority.filter(|authority| !authority.host().is_empty()).ok_or_else(|| bad(RULE))?.clone();
        Ok(ProxyServer { variable: self.name, is_secure, authority, authorization: proxy.basic_auth().cloned() })
    }
}

/// Address of a proxy, and the user that it wants.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ProxyServer {
    variable: &'static str,
    pub(super) is_secure: bool,
    /// Host and port, without the user.
    pub(super) authority: Authority,
    /// Value of `Proxy-Authorization`, if the variable gives a user.
    pub(super) authorization: Option<HeaderValue>,
}

impl ProxyServer {
    /// Returns its URL, without the user.
    pub(super) fn url(&self) -> String {
        format!("{}://{}", if self.is_secure { "https" } else { "http" }, self.authority)
    }

    /// Describes a proxy that cannot be reached.
    pub(super) fn unreachable(&self, cause: impl fmt::Display) -> String {
        format!("{self} cannot be reached: {cause}")
    }

    /// Describes a proxy that does not prove its identity by TLS.
    pub(super) fn not_secure(&self, cause: &str) -> String {
        format!("there is no secure connection to {self}: {cause}")
    }

    /// Describes a proxy that refuses to connect, with its status if that is known, and the remedy.
    pub(super) fn refusal(&self, status: Option<StatusCode>) -> String {
        let variable = self.variable;
        match (status, &self.authorization) {
            (Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED), None) => format!(
                "{self} wants a user and a password (407): write {variable} like http://USER:PASSWORD@HOST:PORT"
            ),
            (Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED), Some(_)) => {
                format!("{self} does not accept the user and the password that {variable} gives (407)")
            }
            (status, _) => {
                let answers = status.map_or(String::new(), |status| format!(": it answers {status}"));
                format!(
                    "{self} does not connect there{answers}. It must permit CONNECT to this host and port; hosts that need \
                     no proxy belong in NO_PROXY"
                )
            }
        }
    }
}

/// Shows its URL without the user, and the variable that names it.
impl fmt::Display for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy {} ({})", self.url(), self.variable)
    }
}

impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_error::assert_plain;

    fn settings(variables: &[(&str, &str)]) -> ProxySettings {
        ProxySettings::read(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into()))
    }

    /// Names the variable and the URL of the proxy that is used for `url`.
    fn used(variables: &[(&str, &str)], url: &str) -> Result<Option<(&'static str, String)>, BadProxy> {
        let url: Uri = url.parse().expect("a URL");
        let is_secure = matches!(url.scheme_str(), Some("https" | "wss"));
        let proxy = settings(variables).proxy_for(is_secure, url.authority().expect("a server"))?;
        Ok(proxy.map(|proxy| (proxy.variable, proxy.url())))
    }

    #[test]
    fn each_scheme_has_its_variable() {
        let all = [("HTTP_PROXY", "http://a:1"), ("HTTPS_PROXY", "https://b"), ("ALL_PROXY", "c:3")];
        let found = |variables: &[_], url: &str| used(variables, url).expect("it can be used");
        for (scheme, variable, proxy) in [
            ("http", "HTTP_PROXY", "http://a:1"),
            ("ws", "HTTP_PROXY", "http://a:1"),
            ("https", "HTTPS_PROXY", "https://b"),
            ("wss", "HTTPS_PROXY", "https://b"),
        ] {
            let url = format!("{scheme}://captions.example:7700");
            assert_eq!(found(&all, &url), Some((variable, proxy.to_owned())), "{url}");
            assert_eq!(found(&all[2..], &url), Some(("ALL_PROXY", "http://c:3".to_owned())), "{url}");
            assert_eq!(found(&[], &url), None, "{url}");
        }
        let small = [("http_proxy", "http://a:1"), ("HTTP_PROXY", " "), ("all_proxy", "http://c:3")];
        assert_eq!(found(&small, "http://a.example"), Some(("http_proxy", "http://a:1".to_owned())));
        assert_eq!(found(&small, "https://a.example"), Some(("all_proxy", "http://c:3".to_owned())));
        let cgi = [("HTTP_PROXY", "http://evil"), ("REQUEST_METHOD", "GET"), ("HTTPS_PROXY", "http://b")];
        assert_eq!(found(&cgi, "http://a.example"), None);
        assert_eq!(found(&cgi, "https://a.example"), Some(("HTTPS_PROXY", "http://b".to_owned())));
    }

    #[test]
    fn exempt_hosts_as_a_table() {
        let no_proxy = "example.org, .INTERNAL,10.0.0.0/8 192.0.2.7, 2001:db8::/32 [2001:dba::7] PORTS.example:7700 \
                        https.example:443,192.0.2.9:7700,[2001:dbb::7]:7700,172.16.0.0/12:7700 *.Star.example \
                        b\u{fc}cher.example *:9999 host:port";
        let variables = [("ALL_PROXY", "http://proxy:3128"), ("NO_PROXY", no_proxy)];
        for (host, is_exempt) in [
            ("example.org", true),
            ("EXAMPLE.org:7700", true),
            ("captions.example.org", true),
            ("notexample.org", false),
            ("a.internal", true),
            ("10.1.2.3:8080", true),
            ("11.1.2.3", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("[2001:db8::1]:7700", true),
            ("[2001:db9::1]", false),
            ("[2001:dba::7]", true),
            ("example.org.", true),
            // This machine, in whatever way it is written.
            ("localhost:7700", true),
            ("LOCALHOST", true),
            ("localhost.", true),
            ("a.localhost", true),
            ("127.0.0.1:7700", true),
            ("127.9.9.9", true),
            ("127.1", true),
            ("[::1]:7700", true),
            ("[::ffff:127.0.0.1]", true),
            ("localhost.example.com", false),
            ("notlocalhost", false),
            ("0.0.0.0:7700", true),
            ("[::]:7700", true),
            ("[::ffff:0.0.0.0]", true),
            ("0.0.0.1", false),
            ("192.168.1.1", false),
            ("[::ffff:10.1.2.3]", true),
            // One port.
            ("ports.example:7700", true),
            ("below.ports.example:7700", true),
            ("ports.example", false),
            ("ports.example:770", false),
            ("https.example", true),
            ("https.example:80", false),
            ("192.0.2.9:7700", true),
            ("192.0.2.9:7701", false),
            ("[2001:dbb::7]:7700", true),
            ("[2001:dbb::7]", false),
            ("172.16.1.1:7700", true),
            ("172.16.1.1", false),
            // All names below.
            ("star.example", true),
            ("a.star.example", true),
            ("notstar.example", false),
            ("star.ports.example:7700", true),
            // Names in other scripts, which connections write in ASCII.
            ("xn--bcher-kva.example", true),
            ("anything.example:9999", true),
        ] {
            let proxy = used(&variables, &format!("https://{host}/")).expect("it can be used");
            assert_eq!(proxy.is_none(), is_exempt, "{host}");
        }
        // Plain HTTP has another port.
        let plain = used(&variables, "http://https.example").expect("it can be used");
        assert!(plain.is_some());
        for host in ["captions.example.org", "192.0.2.1", "[2001:db8::1]"] {
            let all = [("ALL_PROXY", "http://proxy:3128"), ("NO_PROXY", "a.example, *")];
            assert_eq!(used(&all, &format!("https://{host}")), Ok(None), "{host}");
        }
    }

    #[test]
    fn a_bad_proxy_is_named_and_its_password_is_not_shown() {
        for (value, rule) in [
            ("socks5://user:secret@a:1080", "SOCKS"),
            ("http://user:sec/secret@a:1080", "%2F"),
            ("http://user:1/secret@a:1080", "%2F"),
            ("http://user:secret#x@a:1080", "%23"),
            ("user:secret?x@a:1080", "%3F"),
            ("http://a:31x8", "http://proxy.example.org:3128"),
            ("http://a:99999", "http://proxy.example.org:3128"),
            ("http://user:secret@[2001:db8::1]:port", "http://proxy.example.org:3128"),
            ("ftp://user:secret@a", "http://proxy"),
            ("http://user:secret word@a", "http://proxy"),
            ("http://user:sec@ret@a", "%40"),
            ("http://", "http://proxy"),
            ("http://user:secret@", "http://proxy"),
            ("/secret", "http://proxy"),
        ] {
            let variables = [("HTTPS_PROXY", value)];
            let error = used(&variables, "https://a.example").expect_err(value);
            let text = format!("{error} {error:?} {:?}", settings(&variables));
            assert!(text.starts_with("HTTPS_PROXY ") && text.contains(rule), "{value}: {text}");
            assert!(!text.contains("sec"), "{value}: {text}");
            assert_plain(&error.to_string());
            // It is an error only where it is used.
            assert_eq!(used(&variables, "https://localhost"), Ok(None));
            assert_eq!(used(&variables, "http://a.example"), Ok(None));
        }
    }

    #[test]
    fn a_password_is_sent_and_never_shown() {
        let settings = settings(&[("HTTP_PROXY", "http://user:s%40cret@a:1")]);
        let proxy = settings.proxy_for(false, &Authority::from_static("b.example")).expect("usable").expect("a proxy");
        let sent = proxy.authorization.as_ref().expect("a user").to_str().expect("ASCII");
        // RFC 7617: `user:s@cret` in base 64.
        assert_eq!(sent, "Basic dXNlcjpzQGNyZXQ=");
        let refused = proxy.refusal(Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED));
        for shown in [format!("{proxy} {proxy:?} {settings:?} {}", proxy.url()), proxy.refusal(None), refused] {
            assert!(!shown.contains("cret") && !shown.contains("user:") && !shown.contains("dXNl"), "{shown}");
            assert!(shown.contains("HTTP_PROXY") && shown.contains("http://a:1"), "{shown}");
        }
    }
}
