//! RFC 6455 and RFC 9112 at the byte: what a socket answers to frames, good and bad, and HTTP to requests that are none.
//!
//! The WebSocket cases are those of the public Autobahn suite that need no echo, in our words; `just autobahn` runs the
//! suite itself.

use crate::support;

use support::{Server, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
const FINAL: u8 = 0x80;

/// A masked frame; `first` is its first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | u8::try_from(length).expect("small")),
        length => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(length).expect("small").to_be_bytes());
        }
    }
    let mask = [0x37, 0xFA, 0x21, 0x3D];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(FINAL | CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// A frame of the server: its first byte and its payload.
type Received = (u8, Vec<u8>);

/// A socket of which nothing is hidden.
struct Raw(TcpStream);

impl Raw {
    async fn open(server: &Server, path: &str) -> Self {
        let mut stream = TcpStream::connect(server.addr()).await.expect("connected");
        stream.set_nodelay(true).expect("set");
        let request = format!(
            "GET /v1/feeds/geneva/{path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            server.addr()
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon(stream.read_u8()).await.expect("answered"));
        }
        let head = String::from_utf8(head).expect("ASCII");
        assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        Self(stream)
    }

    /// The next frame that is no text; none when the server has closed.
    async fn next(&mut self) -> Option<Received> {
        loop {
            let first = soon(self.0.read_u8()).await.ok()?;
            let second = soon(self.0.read_u8()).await.expect("a length");
            assert_eq!(second & 0x80, 0, "a server does not mask");
            let length = match second {
                126 => u64::from(self.0.read_u16().await.expect("a length")),
                127 => self.0.read_u64().await.expect("a length"),
                short => u64::from(short),
            };
            let mut payload = vec![0; usize::try_from(length).expect("small")];
            soon(self.0.read_exact(&mut payload)).await.expect("a payload");
            if first != FINAL | TEXT {
                return Some((first, payload));
            }
        }
    }
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq)]
enum Then {
    /// These pongs, and the connection goes on.
    Pongs(Vec<Vec<u8>>),
    /// A close with this code, and the end of the connection.
    Closed(u16),
    /// A close without a code, and the end.
    ClosedPlainly,
}

/// Plays every case against publish and subscribe, at once and byte by byte.
async fn play(cases: Vec<(&str, Vec<u8>, Then)>) {
    let server = Server::start();
    server.json("PUT", "/v1/feeds/geneva", serde_json::json!({})).await;
    for path in ["publish", "subscribe"] {
        for (name, sent, then) in &cases {
            for chop in [false, true] {
                let mut raw = Raw::open(&server, path).await;
                if chop && sent.len() < 1_000 {
                    for byte in sent {
                        // The server may have closed already, at an earlier byte.
                        if raw.0.write_all(&[*byte]).await.is_err() {
                            break;
                        }
                    }
                } else {
                    raw.0.write_all(sent).await.expect("sent");
                }
                let case = format!("{name}, {path}, chopped: {chop}");
                match then {
                    Then::Pongs(pongs) => {
                        for pong in pongs {
                            assert_eq!(raw.next().await, Some((FINAL | PONG, pong.clone())), "{case}");
                        }
                        raw.0.write_all(&close(1000, b"")).await.expect("sent");
                        assert_eq!(raw.next().await, Some((FINAL | CLOSE, vec![0x03, 0xE8])), "{case}");
                    }
                    Then::Closed(code) => {
                        let (first, payload) = raw.next().await.unwrap_or_else(|| panic!("{case}: no close frame"));
                        assert_eq!((first, &payload[..2]), (FINAL | CLOSE, &code.to_be_bytes()[..]), "{case}");
                    }
                    Then::ClosedPlainly => {
                        assert_eq!(raw.next().await, Some((FINAL | CLOSE, Vec::new())), "{case}");
                    }
                }
                // The server closes the connection, and says nothing more.
                let _ = raw.0.shutdown().await;
                assert_eq!(raw.next().await, None, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn pings_are_answered() {
    let many: Vec<Vec<u8>> = (0..10).map(|n| vec![b'0' + n]).collect();
    let long = vec![0xFE; 125];
    play(vec![
        ("an empty ping", frame(FINAL | PING, b""), Then::Pongs(vec![vec![]])),
        ("a long ping", frame(FINAL | PING, &long), Then::Pongs(vec![long.clone()])),
        ("a ping that is too long", frame(FINAL | PING, &[0; 126]), Then::Closed(1002)),
        (
            "a pong that nobody asked for",
            [frame(FINAL | PONG, b"hm"), frame(FINAL | PING, b"so")].concat(),
            Then::Pongs(vec![b"so".to_vec()]),
        ),
        ("ten pings", many.iter().flat_map(|ping| frame(FINAL | PING, ping)).collect(), Then::Pongs(many.clone())),
    ])
    .await;
}

#[tokio::test]
async fn what_is_reserved_is_refused() {
    let mut cases: Vec<(&str, Vec<u8>, Then)> = Vec::new();
    for rsv in [0x40, 0x20, 0x10] {
        cases.push(("a reserved bit", frame(FINAL | rsv | TEXT, b"{}"), Then::Closed(1002)));
        cases.push(("a reserved bit on a ping", frame(FINAL | rsv | PING, b""), Then::Closed(1002)));
    }
    for opcode in [0x3, 0x7, 0xB, 0xF] {
        cases.push(("a reserved opcode", frame(FINAL | opcode, b""), Then::Closed(1002)));
    }
    cases.push(("a frame without a mask", vec![FINAL | PING, 0], Then::Closed(1002)));
    play(cases).await;
}

#[tokio::test]
async fn fragments_make_messages_or_are_refused() {
    let line = r#"{"type":"line","id":"1","start_ms":0,"text":"Grüße"}"#.as_bytes();
    // Within the two bytes of a character.
    let cut = line.iter().position(|byte| *byte == 0xC3).expect("there") + 1;
    let (first, second) = line.split_at(cut);
    play(vec![
        (
            "a message in fragments with a ping between",
            [frame(TEXT, first), frame(FINAL | PING, b"p"), frame(FINAL | CONTINUATION, second)].concat(),
            Then::Pongs(vec![b"p".to_vec()]),
        ),
        (
            "empty fragments",
            [frame(TEXT, b""), frame(CONTINUATION, b"{}"), frame(FINAL | CONTINUATION, b""), frame(FINAL | PING, b"p")]
                .concat(),
            Then::Pongs(vec![b"p".to_vec()]),
        ),
        ("a ping in fragments", [frame(PING, b"a"), frame(FINAL | CONTINUATION, b"b")].concat(), Then::Closed(1002)),
        ("a continuation of nothing", frame(FINAL | CONTINUATION, b"x"), Then::Closed(1002)),
        ("a message within another", [frame(TEXT, b"{"), frame(FINAL | TEXT, b"}")].concat(), Then::Closed(1002)),
    ])
    .await;
}

#[tokio::test]
async fn text_is_utf_8() {
    play(vec![
        ("a byte that never occurs", frame(FINAL | TEXT, b"\"\xFF\""), Then::Closed(1007)),
        ("an overlong form", frame(FINAL | TEXT, b"\"\xC0\xAF\""), Then::Closed(1007)),
        ("half of a surrogate", frame(FINAL | TEXT, b"\"\xED\xA0\x80\""), Then::Closed(1007)),
        ("beyond the last character", frame(FINAL | TEXT, b"\"\xF4\x90\x80\x80\""), Then::Closed(1007)),
        ("a character that breaks off", frame(FINAL | TEXT, b"\"\xF0\x9F\x98"), Then::Closed(1007)),
        (
            "bad over two fragments",
            [frame(TEXT, b"\"\xC3"), frame(FINAL | CONTINUATION, b"\x28\"")].concat(),
            Then::Closed(1007),
        ),
    ])
    .await;
}

#[tokio::test]
async fn closes_are_answered() {
    let mut cases = vec![
        ("a close without a code", frame(FINAL | CLOSE, b""), Then::ClosedPlainly),
        ("a close with half a code", frame(FINAL | CLOSE, b"\x03"), Then::Closed(1002)),
        ("a long reason", close(1000, &[b'x'; 123]), Then::Closed(1000)),
        ("a reason that is too long", close(1000, &[b'x'; 124]), Then::Closed(1002)),
        ("a reason that is not UTF-8", close(1000, b"\xFF"), Then::Closed(1007)),
        ("two closes", [close(1000, b""), close(1001, b"")].concat(), Then::Closed(1000)),
        ("a ping behind the close", [close(1000, b""), frame(FINAL | PING, b"p")].concat(), Then::Closed(1000)),
        ("a close within a message", [frame(TEXT, b"{"), close(1000, b"")].concat(), Then::Closed(1000)),
    ];
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        cases.push(("a code that may be sent", close(code, b"so"), Then::Closed(code)));
    }
    for code in [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535] {
        cases.push(("a code that may not", close(code, b""), Then::Closed(1002)));
    }
    play(cases).await;
}

/// Sends bytes on a connection of their own, and gives all that comes back until the server closes.
async fn raw_http(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.addr()).await.expect("connected");
    // Refused before its end, it need not be read to its end.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn requests_that_are_none_are_refused_and_nothing_is_smuggled() {
    let server = Server::start_with("[times]\nhandshake_timeout_ms = 500");
    let host = format!("Host: {}\r\n", server.addr());
    let hidden = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let huge = "x".repeat(80_000);
    let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    let json = "Content-Type: application/json\r\n";
    let cases = [
        ("no request line", "\u{1}\u{2}\u{3}\r\n\r\n".to_owned()),
        ("another protocol", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        ("no such version", format!("GET / HTTP/9.9\r\n{host}\r\n")),
        ("no host", "GET /v1/feeds HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned()),
        ("a blank before the colon", format!("GET / HTTP/1.1\r\n{host}X : y\r\n\r\n")),
        ("a header without a colon", format!("GET / HTTP/1.1\r\n{host}nonsense\r\n\r\n")),
        ("a zero byte in a header", format!("GET / HTTP/1.1\r\n{host}X: a\0b\r\n\r\n")),
        ("a huge header", format!("GET / HTTP/1.1\r\n{host}X: {huge}\r\n\r\n")),
        ("a huge target", format!("GET /{huge} HTTP/1.1\r\n{host}\r\n")),
        ("too many headers", format!("GET / HTTP/1.1\r\n{host}{many}\r\n")),
        (
            "two lengths",
            format!(
                "POST /v1/feeds/a/lines HTTP/1.1\r\n{host}{json}Content-Length: 5\r\nContent-Length: 60\r\n\r\n{hidden}"
            ),
        ),
        (
            "a length below nothing",
            format!("POST /v1/feeds/a/lines HTTP/1.1\r\n{host}{json}Content-Length: -1\r\n\r\n"),
        ),
        (
            "an encoding that nobody knows",
            format!("POST /v1/feeds/a/lines HTTP/1.1\r\n{host}{json}Transfer-Encoding: xchunked\r\n\r\n{hidden}"),
        ),
        (
            "chunks that are none",
            format!("POST /v1/feeds/a/lines HTTP/1.1\r\n{host}{json}Transfer-Encoding: chunked\r\n\r\nzz\r\n{hidden}"),
        ),
    ];
    for (name, request) in cases {
        let answer = raw_http(&server, request.as_bytes()).await;
        let answers = answer.matches("HTTP/1.1 ").count();
        assert!(answers <= 1, "{name}: answered {answers} times: {answer}");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{name}: {answer}");
    }
    // A length beside chunks: the chunks count, and what stands behind them is a request of its own or nothing.
    let both = format!(
        "POST /v1/feeds/a/lines HTTP/1.1\r\n{host}{json}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    let answer = raw_http(&server, both.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert_eq!(server.get("/v1/feeds").await.json(), serde_json::json!({"feeds": []}), "nothing was made by them");
}
