//! Traces to an OpenTelemetry collector, through the real binary.
#![cfg(feature = "opentelemetry")]

use crate::support;

use support::{Server, line, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Takes requests, each over a connection of its own, until one of them holds `wanted`; gives all that came.
async fn collect(listener: TcpListener, wanted: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        let mut request = Vec::new();
        loop {
            let length = stream.read_buf(&mut request).await.expect("read");
            let head = request.windows(4).position(|four| four == b"\r\n\r\n");
            let Some(head) = head.filter(|_| length > 0) else { continue };
            let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
            let body: usize =
                text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).expect("a length");
            if request.len() >= head + 4 + body {
                assert!(text.starts_with("post /v1/traces http/1.1"), "{text}");
                break;
            }
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\
            Connection: close\r\n\r\n";
        stream.write_all(answer).await.expect("answered");
        all.extend(request);
        if all.windows(wanted.len()).any(|found| found == wanted) {
            return all;
        }
    }
}

#[tokio::test]
async fn a_message_is_traced_until_it_is_durable_and_no_token_is() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let collector = format!("http://{}", listener.local_addr().expect("an address"));
    let mut server = Server::start_traced(&collector);
    let mut publisher = server.publish("traced-feed/publish?source=steno&token=a-secret-token").await;
    publisher.expect_next("welcome").await;
    publisher.send(line("1", 0, "A", "a text that nobody should find there")).await;
    publisher.acked(1).await;
    drop(publisher);
    // What was not sent yet goes when the server stops.
    let stopped = tokio::task::spawn_blocking(move || server.stop());
    let all = soon(collect(listener, b"/v1/feeds/traced-feed/publish")).await;
    assert!(stopped.await.expect("stopped").success());
    let has = |text: &str| all.windows(text.len()).any(|found| found == text.as_bytes());
    for there in ["captionwire", "message", "traced-feed", "steno", "connection"] {
        assert!(has(there), "{there}");
    }
    assert!(!has("a-secret-token") && !has("nobody should find"));
}
