//! The client behind a trusted proxy, from the headers that the proxy sets.
//!
//! Only `X-Forwarded-For` and `X-Forwarded-Proto`. `Forwarded` (RFC 7239) is not read: a proxy that sets the former
//! passes the latter on as the client sent it, so a server that trusts both trusts the client.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

use crate::config::Network;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

const BAD_FOR: &str = "the proxy's X-Forwarded-For is no valid address: configure it to send the address of its client";
const BAD_PROTO: &str = "the proxy's X-Forwarded-Proto is neither http nor https";

/// Client of a request, as a proxy reports it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ForwardedFor {
    /// Address of the client, or of the proxy itself if it names none.
    pub(crate) ip: IpAddr,
    /// True if the client uses TLS; `None` if the proxy does not say.
    pub(crate) is_https: Option<bool>,
}

/// Parses the headers of a request from `proxy`, which is trusted.
///
/// # Errors
/// The fault, if a trusted proxy sent an invalid value. Ignoring it would give the proxy's address to its clients.
pub(crate) fn read(headers: &HeaderMap, proxy: IpAddr, trusted: &[Network]) -> Result<ForwardedFor, &'static str> {
    Ok(ForwardedFor { ip: client(headers, proxy, trusted)?, is_https: is_https(headers)? })
}

/// Returns the rightmost address that is not a trusted proxy: each proxy appends the address of its client on the
/// right. Addresses to the left of it are claims of that client and are ignored.
fn client(headers: &HeaderMap, proxy: IpAddr, trusted: &[Network]) -> Result<IpAddr, &'static str> {
    let mut ip = proxy;
    let values = headers.get_all(FOR).into_iter().rev();
    let entries = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b',').map(<[u8]>::trim_ascii));
    // A list may have empty elements (RFC 9110, section 5.6.1).
    for entry in entries.filter(|entry| !entry.is_empty()) {
        ip = std::str::from_utf8(entry).ok().and_then(address).ok_or(BAD_FOR)?;
        if !trusted.iter().any(|network| network.contains(ip)) {
            break;
        }
    }
    Ok(ip)
}

/// Parses an address as proxies write it, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|addr| addr.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(with_port).or_else(in_brackets).map(|ip: IpAddr| ip.to_canonical())
}

/// Returns the leftmost of several values: that of the proxy that the client reached.
fn is_https(headers: &HeaderMap) -> Result<Option<bool>, &'static str> {
    let Some(value) = headers.get(PROTO) else { return Ok(None) };
    let first = value.as_bytes().split(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
    // Some proxies send the scheme of a WebSocket.
    match first.to_ascii_lowercase().as_slice() {
        b"https" | b"wss" => Ok(Some(true)),
        b"http" | b"ws" => Ok(Some(false)),
        b"" => Ok(None),
        _ => Err(BAD_PROTO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(headers: &[(&'static str, &str)]) -> Result<ForwardedFor, &'static str> {
        let trusted = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"];
        let trusted = trusted.map(|network| Network::try_from(network.to_owned()).expect("a network"));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a header"));
        }
        read(&map, "127.0.0.1".parse().expect("an address"), &trusted)
    }

    #[test]
    fn the_client_as_a_table() {
        for (lines, expected) in [
            (&[][..], Some("127.0.0.1")),
            (&["203.0.113.9"], Some("203.0.113.9")),
            // Claimed by the client itself.
            (&["198.51.100.1, 203.0.113.9"], Some("203.0.113.9")),
            (&["198.51.100.1", "203.0.113.9"], Some("203.0.113.9")),
            (&["no address, 203.0.113.9"], Some("203.0.113.9")),
            // A chain of two proxies, and of three.
            (&["203.0.113.9, 10.1.2.3"], Some("203.0.113.9")),
            (&["198.51.100.1, 203.0.113.9, 10.1.2.3", "fd00::7"], Some("203.0.113.9")),
            // The proxies' own requests.
            (&["10.9.9.9, 10.1.2.3"], Some("10.9.9.9")),
            (&["2001:db8::9"], Some("2001:db8::9")),
            (&["[2001:db8::9]:4711"], Some("2001:db8::9")),
            (&["[2001:db8::9]"], Some("2001:db8::9")),
            (&["203.0.113.9:4711,10.1.2.3:80"], Some("203.0.113.9")),
            (&["::ffff:203.0.113.9, ::ffff:10.1.2.3"], Some("203.0.113.9")),
            (&[" , 203.0.113.9 ,"], Some("203.0.113.9")),
            (&[""], Some("127.0.0.1")),
            (&["unknown"], None),
            (&["203.0.113.9, _hidden"], None),
            (&["203.0.113.9, unknown, 10.1.2.3"], None),
            (&["203.0.113.9:port"], None),
        ] {
            let headers: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            let ip = told(&headers).ok().map(|told| told.ip.to_string());
            assert_eq!(ip.as_deref(), expected, "{lines:?}");
        }
        let forwarded = told(&[("forwarded", "for=198.51.100.1;proto=https")]).expect("it is passed over");
        assert_eq!((forwarded.ip.to_string().as_str(), forwarded.is_https), ("127.0.0.1", None));
    }

    #[test]
    fn the_scheme_as_a_table() {
        for (value, expected) in [
            ("https", Ok(Some(true))),
            ("HTTPS", Ok(Some(true))),
            ("wss", Ok(Some(true))),
            ("http", Ok(Some(false))),
            ("https, http", Ok(Some(true))),
            ("", Ok(None)),
            ("gopher", Err(BAD_PROTO)),
        ] {
            assert_eq!(told(&[("x-forwarded-proto", value)]).map(|told| told.is_https), expected, "{value}");
        }
    }
}
