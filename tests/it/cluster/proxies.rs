//! Who asks through a trusted proxy, and what comes of those who only say so.

use crate::support;

use serde_json::{Value, json};
use support::{Answer, Server, Socket, line, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// The tests come from 127.0.0.1.
const TRUSTED: &str = "trusted_proxies = [\"127.0.0.1/32\", \"10.0.0.0/8\", \"fd00::/8\"]\n";
const ONE_EACH: &str = "[limits]\nconnections_per_address_max = 1\n";
const FOR: &str = "X-Forwarded-For";
const A: &str = "203.0.113.1";
const B: &str = "203.0.113.2";

async fn socket(server: &Server, path: &str, client: &str) -> Socket {
    let mut request = server.ws(path).into_client_request().expect("a URL");
    request.headers_mut().insert("x-forwarded-for", client.parse().expect("a header"));
    let (stream, _) = soon(tokio_tungstenite::connect_async(request)).await.expect("upgraded");
    Socket { stream }
}

/// The first message's type, or the close code.
async fn greeting(socket: &mut Socket) -> String {
    match socket.next().await {
        Ok(message) => message["type"].as_str().expect("a type").to_owned(),
        Err((code, _)) => code.to_string(),
    }
}

/// The greeting of a reader who leaves after it.
async fn greet(server: &Server, claimed: &str) -> String {
    let mut socket = socket(server, "geneva/subscribe?wait=true", claimed).await;
    let greeting = greeting(&mut socket).await;
    let _ = socket.stream.close(None).await;
    greeting
}

async fn ask(server: &Server, headers: &[(&str, &str)]) -> Answer {
    server.http("GET", "/v1/feeds", headers, b"").await
}

#[tokio::test]
async fn each_client_of_a_proxy_has_its_own_seats() {
    let server = Server::start_with(&format!("{TRUSTED}{ONE_EACH}"));
    let mut first = socket(&server, "geneva/subscribe?wait=true", A).await;
    assert_eq!(greeting(&mut first).await, "hello");
    for (claimed, expected) in [
        (A, "4004"),
        ("203.0.113.1:4711", "4004"),
        ("::ffff:203.0.113.1", "4004"),
        // A chain of two proxies, and of three.
        ("203.0.113.1, 10.1.2.3", "4004"),
        ("203.0.113.1, fd00::7, 10.1.2.3", "4004"),
        // Who says that it is somebody else.
        ("198.51.100.7, 203.0.113.1", "4004"),
        ("no address, 203.0.113.1", "4004"),
        (B, "hello"),
        ("203.0.113.1, 203.0.113.2", "hello"),
        ("[2001:db8::1]:4711", "hello"),
        // The proxy itself.
        ("", "hello"),
    ] {
        if expected == "hello" {
            // Those before it may have the seat until the server has seen them go.
            soon(async { while greet(&server, claimed).await != "hello" {} }).await;
        } else {
            assert_eq!(greet(&server, claimed).await, expected, "{claimed:?}");
        }
    }
    ask(&server, &[(FOR, A)]).await.assert_problem(503, "too_many_connections");
    first.stream.close(None).await.expect("closed");
    soon(async { while ask(&server, &[(FOR, A)]).await.status != 200 {} }).await;
}

/// An answer's status, of a connection that goes on.
async fn status(stream: &mut TcpStream, client: &str) -> u16 {
    let request = format!("GET /v1/feeds HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {client}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon(stream.read_u8()).await.expect("an answer"));
    }
    let head = String::from_utf8(head).expect("ASCII").to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).expect("a length")];
    soon(stream.read_exact(&mut body)).await.expect("a body");
    head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

#[tokio::test]
async fn one_connection_carries_many_clients() {
    let server = Server::start_with(&format!("{TRUSTED}{ONE_EACH}"));
    let mut held = socket(&server, "geneva/subscribe?wait=true", A).await;
    assert_eq!(greeting(&mut held).await, "hello");
    let mut proxy = TcpStream::connect(server.addr()).await.expect("connected");
    let mut also = TcpStream::connect(server.addr()).await.expect("connected");
    for (client, expected) in [(A, 503), (B, 200), (B, 200), ("203.0.113.3", 200), (A, 503), ("unknown", 400)] {
        assert_eq!(status(&mut proxy, client).await, expected, "{client}");
        assert_eq!(status(&mut also, "203.0.113.4").await, 200, "beside {client}");
    }
    // Connections of the proxy take no seat of its own address, which its own requests need.
    assert_eq!(ask(&server, &[]).await.status, 200);
}

#[tokio::test]
async fn an_answer_counts_until_it_is_taken() {
    let server = Server::start_with(&format!("{TRUSTED}{ONE_EACH}"));
    let text = "x".repeat(16_000);
    let lines: Vec<Value> = (0..400).map(|n| line(&n.to_string(), n * 10, "A", &text)).collect();
    server.say("long", &lines).await;
    // It takes no more than it has room for: what is sent fills the buffers on both sides.
    let slow = TcpSocket::new_v4().expect("a socket");
    slow.set_recv_buffer_size(4096).expect("set");
    let mut slow = slow.connect(server.addr().parse().expect("an address")).await.expect("connected");
    let request = format!("GET /v1/feeds/long/transcript.txt HTTP/1.1\r\nHost: localhost\r\n{FOR}: {A}\r\n\r\n");
    slow.write_all(request.as_bytes()).await.expect("sent");
    slow.read_u8().await.expect("it begins");
    ask(&server, &[(FOR, A)]).await.assert_problem(503, "too_many_connections");
    assert_eq!(ask(&server, &[(FOR, B)]).await.status, 200);
    drop(slow);
    soon(async { while ask(&server, &[(FOR, A)]).await.status != 200 {} }).await;
}

#[tokio::test]
async fn who_is_no_trusted_proxy_is_not_believed() {
    for trusted in ["", "trusted_proxies = [\"10.0.0.0/8\", \"127.0.0.2\"]\n"] {
        let server = Server::start_with(&format!("{trusted}{ONE_EACH}"));
        let mut first = socket(&server, "geneva/subscribe?wait=true", A).await;
        assert_eq!(greeting(&mut first).await, "hello");
        let mut second = socket(&server, "geneva/subscribe?wait=true", B).await;
        assert_eq!(greeting(&mut second).await, "4004");
        first.stream.close(None).await.expect("closed");
        soon(async { while ask(&server, &[(FOR, "no address")]).await.status != 200 {} }).await;
        let own = format!("https://{}", server.addr());
        let claimed = [("X-Forwarded-Proto", "https"), ("Origin", own.as_str())];
        // Requests before it may have the seat until the server has seen them go.
        let answer = soon(async {
            loop {
                let answer = ask(&server, &claimed).await;
                if answer.status != 503 {
                    return answer;
                }
            }
        });
        answer.await.assert_problem(403, "forbidden");
    }
}

#[tokio::test]
async fn what_a_proxy_says_and_nobody_can_read_is_said_so() {
    let server = Server::start_with(TRUSTED);
    for header in [(FOR, "unknown"), (FOR, "203.0.113.1, _hidden"), ("X-Forwarded-Proto", "gopher")] {
        let answer = ask(&server, &[header]).await;
        answer.assert_problem(400, "bad_request");
        assert!(answer.text().contains(header.0), "{}", answer.text());
    }
    assert_eq!(ask(&server, &[("Forwarded", "for=unknown")]).await.status, 200);
}

#[tokio::test]
async fn the_proxy_says_whether_it_is_https() {
    let server = Server::start_with(TRUSTED);
    let origin = |scheme: &str| format!("{scheme}://{}", server.addr());
    let (http, https) = (origin("http"), origin("https"));
    for (proto, own, foreign) in [("https", &https, &http), ("http", &http, &https), ("", &http, &https)] {
        let proto = ("X-Forwarded-Proto", proto);
        assert_eq!(ask(&server, &[proto, ("Origin", own)]).await.status, 200, "{proto:?}");
        ask(&server, &[proto, ("Origin", foreign)]).await.assert_problem(403, "forbidden");
    }
    // Where it passes on the public name, that is the server's own.
    let public =
        "[auth]\npublic_url = \"https://a.example\"\n[auth.anonymous]\nroles = [\"subscribe\"]\nfeeds = [\"*\"]\n";
    let server = Server::start_with(&format!("{TRUSTED}{public}"));
    for host in ["a.example", server.addr()] {
        let headers = [("Host", host), ("Origin", "https://a.example"), (FOR, A), ("X-Forwarded-Proto", "https")];
        assert_eq!(ask(&server, &headers).await.status, 200, "{host}");
    }
    ask(&server, &[("Host", "b.example"), (FOR, A)]).await.assert_problem(403, "forbidden");
}

#[tokio::test]
async fn replays_are_counted_by_client() {
    let server = Server::start_with(&format!("{TRUSTED}[limits]\nreplays_per_address_max = 1\n"));
    server.json("POST", "/v1/feeds/geneva/lines", json!({"id": "1", "start_ms": 0, "text": "one"})).await;
    let replay = "geneva/subscribe?pace=step";
    let mut first = socket(&server, replay, A).await;
    assert_eq!(greeting(&mut first).await, "hello");
    assert_eq!(greeting(&mut socket(&server, replay, A).await).await, "4004");
    assert_eq!(greeting(&mut socket(&server, replay, B).await).await, "hello");
}
