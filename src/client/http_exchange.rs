//! One HTTP request and its response, on a connection of its own, because requests are rare.
//!
//! No redirect is followed and nothing is sent twice. Errors show neither paths nor queries, which may hold secrets.

use std::error::Error as StdError;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use reqwest::{Body, Client};
use tokio_rustls::rustls;

use crate::client::connect_error::ConnectError;
use crate::client::http_error::HttpError;
use crate::client::transport::{TransportTarget, explain, server_name, tls_error};
use crate::client::trust::Authorities;

/// Limit for a connection, including the proxy's part and TLS.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// Beginning of hyper-util's errors if a proxy opens no tunnel; their type is not public.
const NO_TUNNEL: &str = "tunnel error: ";

/// Sends `request`, whose URI is a path with its query, and returns the response once its head has arrived. If the future is
/// dropped, the server may or may not have carried out the request.
pub(super) async fn send(endpoint: &TransportTarget, mut request: Request<Bytes>) -> Result<Response<Body>, HttpError> {
    let client = client(endpoint)?;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let scheme = if endpoint.is_secure { "https" } else { "http" };
    let uri = format!("{scheme}://{}{path}", endpoint.authority)
        .parse()
        .map_err(|error: http::uri::InvalidUri| not_sendable(&error))?;
    *request.uri_mut() = uri;
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    let request = request.try_into().map_err(|error: reqwest::Error| not_sendable(&error.without_url()))?;
    let answer = client.execute(request).await.map_err(|error| failed(endpoint, &error.without_url()))?;
    match endpoint.forwarder() {
        // In a tunnel the status is the server's.
        Some(proxy) if answer.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Err(ConnectError::proxy(&endpoint.authority, proxy.refusal(Some(answer.status())), false).into())
        }
        _ => Ok(answer.into()),
    }
}

/// Collects a body of at most `bytes_max` bytes.
pub(super) async fn collect(body: Body, bytes_max: usize) -> Result<Bytes, HttpError> {
    let body = Limited::new(body, bytes_max).collect().await;
    Ok(body.map_err(|error| HttpError::Lost(last_cause(&*error)))?.to_bytes())
}

fn client(endpoint: &TransportTarget) -> Result<Client, HttpError> {
    if endpoint.is_secure {
        server_name(&endpoint.authority)?;
    }
    let speaks_tls = endpoint.is_secure || endpoint.proxy.as_ref().is_some_and(|proxy| proxy.is_secure);
    let tls = if speaks_tls { endpoint.tls()? } else { Authorities::none().config() };
    let client = Client::builder()
        .tls_backend_preconfigured(rustls::ClientConfig::clone(&tls))
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_WAIT)
        .pool_max_idle_per_host(0)
        // `endpoint` has the proxy of the environment.
        .no_proxy();
    let client = match &endpoint.proxy {
        None => client.build(),
        Some(proxy) => reqwest::Proxy::all(proxy.url()).and_then(|through| {
            client
                .proxy(match proxy.authorization.clone() {
                    Some(authorization) => through.custom_http_auth(authorization),
                    None => through,
                })
                .build()
        }),
    };
    client.map_err(|error| not_sendable(&error.without_url()))
}

/// Returns the reason for a request without a response.
fn failed(endpoint: &TransportTarget, error: &reqwest::Error) -> HttpError {
    match error.is_connect() {
        true => not_connected(endpoint, error).into(),
        false => HttpError::Lost(last_cause(error)),
    }
}

fn not_connected(endpoint: &TransportTarget, error: &reqwest::Error) -> ConnectError {
    let server = &endpoint.authority;
    let cause = match error.is_timeout() {
        true => format!("no answer within {} seconds", CONNECT_WAIT.as_secs()),
        false => last_cause(error),
    };
    let tls = causes(error).find_map(|cause| tls_error(cause.downcast_ref()?)).map(explain);
    let no_tunnel = causes(error).find_map(|cause| Some(cause.to_string().strip_prefix(NO_TUNNEL)?.to_owned()));
    match (&endpoint.proxy, no_tunnel.as_deref(), tls) {
        (Some(proxy), Some("proxy authorization required"), _) => {
            ConnectError::proxy(server, proxy.refusal(Some(StatusCode::PROXY_AUTHENTICATION_REQUIRED)), false)
        }
        // With any other status, which may be a temporary one.
        (Some(proxy), Some("unsuccessful"), _) => ConnectError::proxy(server, proxy.refusal(None), true),
        // In an open tunnel the fault is the server's.
        (Some(proxy), no_tunnel, tls) if no_tunnel.is_some() || !endpoint.is_secure => {
            let cause = match no_tunnel {
                Some("unexpected end of file") => "it closed the connection",
                _ => cause.strip_prefix(NO_TUNNEL).unwrap_or(&cause),
            };
            let is_temporary = tls.is_none();
            let cause = tls.map_or_else(|| proxy.unreachable(cause), |cause| proxy.not_secure(&cause));
            ConnectError::proxy(server, cause, is_temporary)
        }
        (_, _, Some(cause)) => ConnectError::not_secure(server, cause),
        (Some(proxy), ..) => ConnectError::unreachable(server, format!("{cause}, through {proxy}")),
        (None, ..) => ConnectError::unreachable(server, cause),
    }
}

pub(super) fn not_sendable(error: &(dyn StdError + 'static)) -> HttpError {
    HttpError::NotSendable(last_cause(error))
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Returns the text of the last cause. Those before it only wrap it, and reqwest's show the whole URL.
fn last_cause(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map_or(String::new(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::client::proxy::ProxySettings;
    use crate::parse_error::assert_plain;

    /// Starts a server that answers everything with `answer` and closes.
    async fn answering(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address").to_string();
        #[allow(clippy::disallowed_methods, reason = "it ends with its test")]
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut said = [0; 1024];
                let _ = stream.read(&mut said).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        addr
    }

    /// Returns a server that only the proxy of this URL knows.
    fn behind(proxy: &str, is_secure: bool) -> TransportTarget {
        let proxies = ProxySettings::read(|name| (name == "ALL_PROXY").then(|| OsString::from(proxy)));
        let (authority, authorities) = ("far.test:7700".parse().expect("a server"), Some(Authorities::none()));
        let direct = TransportTarget { authority, is_secure, authorities, proxy: None };
        direct.with_proxies(&proxies).expect("a proxy")
    }

    async fn sent(target: &TransportTarget) -> Result<StatusCode, HttpError> {
        let request = Request::builder().uri("/secret?token=secret").body(Bytes::new()).expect("a request");
        send(target, request).await.map(|answer| answer.status())
    }

    #[tokio::test]
    async fn answers_of_a_proxy_as_a_table() {
        let refused = "does not connect there";
        for (answer, forwarded, tunneled, socket, is_temporary) in [
            (
                "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
                Err("wants a user and a password (407): write ALL_PROXY like"),
                "wants a user and a password (407): write ALL_PROXY like",
                "wants a user and a password (407): write ALL_PROXY like",
                false,
            ),
            ("HTTP/1.1 403 Forbidden\r\n\r\n", Ok(403), refused, "it answers 403 Forbidden. It must permit", false),
            ("HTTP/1.1 502 Bad Gateway\r\n\r\n", Ok(502), refused, "it answers 502 Bad Gateway", true),
            ("HTTP/1.0 429 Too Many\r\n\r\n", Ok(429), refused, "it answers 429 Too Many Requests", true),
            ("", Err("lost"), "cannot be reached: it closed", "cannot be reached: connection closed", true),
            ("SSH-2.0-OpenSSH_9.7\r\n", Err("lost"), refused, "cannot be reached: invalid HTTP version", true),
        ] {
            let proxy = format!("http://{}", answering(answer).await);
            match (sent(&behind(&proxy, false)).await, forwarded) {
                (Ok(status), Ok(expected)) => assert_eq!(status.as_u16(), expected),
                (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{answer}: {error}"),
                (other, _) => panic!("{answer}: {other:?}"),
            }
            let error = sent(&behind(&proxy, true)).await.expect_err("no tunnel");
            assert!(matches!(error, HttpError::NotConnected(ConnectError::Proxy { .. })), "{error:?}");
            let error = error.to_string();
            assert!(error.contains(tunneled) && error.contains(&format!("{proxy} (ALL_PROXY)")), "{answer}: {error}");
            assert_plain(&error);
            for is_secure in [true, false] {
                let ConnectError::Proxy { cause, is_temporary: temporary, .. } =
                    behind(&proxy, is_secure).open().await.err().expect("no tunnel")
                else {
                    panic!("{answer}");
                };
                assert!(cause.contains(socket) && cause.contains(&format!("{proxy} (ALL_PROXY)")), "{answer}: {cause}");
                assert_eq!(temporary, is_temporary, "{answer}");
                assert_plain(&cause);
            }
        }
    }

    #[tokio::test]
    async fn a_proxy_has_to_speak_the_tls_that_its_url_says() {
        let proxy = format!("https://{}", answering("HTTP/1.1 400 Bad Request\r\n\r\n").await);
        for is_secure in [true, false] {
            let target = behind(&proxy, is_secure);
            let sent = sent(&target).await.expect_err("no TLS").to_string();
            let opened = target.open().await.err().expect("no TLS");
            let ConnectError::Proxy { cause, is_temporary: false, .. } = opened else { panic!("{opened:?}") };
            for said in [sent, cause] {
                assert!(said.contains("no secure connection to the proxy https://127.0.0.1"), "{said}");
                assert!(said.contains("what answers there is no TLS"), "{said}");
            }
        }
    }

    #[tokio::test]
    async fn a_tunnel_loses_nothing_that_comes_early() {
        for version in ["1.0", "1.1"] {
            let answer: &'static str = match version {
                "1.0" => "HTTP/1.0 200 Connection established\r\n\r\nearly",
                _ => "HTTP/1.1 200 OK\r\nVia: a\r\n\r\nearly",
            };
            let proxy = format!("http://{}", answering(answer).await);
            let mut stream = behind(&proxy, false).open().await.expect("a tunnel");
            let mut said = String::new();
            stream.read_to_string(&mut said).await.expect("read");
            assert_eq!(said, "early");
        }
    }

    #[tokio::test]
    async fn paths_and_queries_are_sent_as_they_are_given_and_no_redirect_is_followed() {
        let target = "/a%2Fb//c;d=1/%C3%BC?x=a+b%20c&y=~-._!$()*,:@/?&sig=Zm9v%3D==";
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let authority = listener.local_addr().expect("an address").to_string().parse().expect("a server");
        let direct = TransportTarget { authority, is_secure: false, authorities: None, proxy: None };
        let request = Request::builder().method("POST").uri(target).body(Bytes::from_static(b"said")).expect("one");
        let served = async {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            let mut said = Vec::new();
            while !said.ends_with(b"said") {
                stream.read_buf(&mut said).await.expect("read");
            }
            let answer = "HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 3\r\n\r\nyes";
            stream.write_all(answer.as_bytes()).await.expect("answered");
            String::from_utf8(said).expect("ASCII")
        };
        let (answer, said) = tokio::join!(send(&direct, request), served);
        let answer = answer.expect("answered");
        assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
        assert!(matches!(collect(answer.into_body(), 2).await, Err(HttpError::Lost(_))), "three bytes");
        assert!(said.starts_with(&format!("POST {target} HTTP/1.1\r\n")), "{said}");
        let head = said.to_ascii_lowercase();
        assert!(head.contains("\r\nconnection: close\r\n") && head.contains("\r\ncontent-length: 4\r\n"), "{said}");
    }
}
