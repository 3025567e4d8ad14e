//! What README.md says is not implemented is refused, and never ignored.

use crate::support;

use captionwire::config::{Config, Overrides};
use serde_json::json;
use support::{Server, line, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The items of the list in README.md, each on one line.
fn items() -> Vec<String> {
    let readme = include_str!("../../../README.md");
    let (_, section) = readme.split_once("\n## Not implemented yet\n").expect("the section");
    let (list, _) = section.split_once("\n\nThe server refuses").expect("the rule after the list");
    let items = list.trim().trim_start_matches("* ").split("\n* ");
    items.map(|item| item.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// A new item needs a case here, and one that is implemented loses its own. Views in signed tokens are a case of `auth.rs`.
#[test]
fn the_list_has_a_case_for_each_item() {
    assert_eq!(
        items(),
        [
            "Key sets from a URL, client certificates, HTTP/2.",
            "Several sources (senders) that take turns in one feed (`claim`, `release`). A feed shows only lines of the \
             source that sent its first line.",
            "Delayed views of a feed (`view=`, and `views` in signed tokens).",
            "Editing, hiding and redacting lines. Renaming and merging speakers is implemented.",
        ]
    );
}

#[test]
fn settings_that_do_not_exist_are_refused_by_name() {
    for (section, name) in [("auth.jwt", "jwks_url"), ("tls", "client_ca_file")] {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), format!("[{section}]\n{name} = \"x\"\n")).expect("written");
        let error = Config::load(Some(file.path()), Overrides::default()).expect_err("an unknown setting");
        let error = error.to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[tokio::test]
async fn http_2_is_refused() {
    let server = Server::start();
    let mut stream = TcpStream::connect(server.addr()).await.expect("connected");
    // RFC 9113, section 3.4: the preface of a client that knows that the server speaks HTTP/2.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("sent");
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn claims_of_sources_are_refused() {
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    for (seq, kind) in [(1, "claim"), (2, "release")] {
        publisher.send(json!({"type": kind, "seq": seq})).await;
        let nack = publisher.expect_next("nack").await;
        assert_eq!((&nack["code"], &nack["seq"]), (&json!("unsupported"), &json!(seq)));
    }
}

#[tokio::test]
async fn views_and_delays_are_refused_and_other_names_ignored() {
    let server = Server::start();
    server.say("geneva", &[line("1", 0, "A", "one")]).await;
    for name in ["view", "delay", "delay_ms"] {
        for path in [
            "feeds",
            "feeds/geneva",
            "feeds/geneva/events",
            "feeds/geneva/text",
            "feeds/geneva/transcript.json",
            "feeds/geneva/hls/captions.m3u8",
            "search",
        ] {
            let answer = server.get(&format!("/v1/{path}?until=head&q=one&{name}=5")).await;
            answer.assert_problem(400, "unsupported");
            assert!(answer.text().contains(name), "{}", answer.text());
        }
        for path in ["feeds/geneva/subscribe", "subscribe"] {
            let url = format!("ws://{}/v1/{path}?{name}=5", server.addr());
            let (code, reason) = support::Socket::connect(&url).await.closed().await;
            assert!(code == 4505 && reason.contains(name), "{code} {reason}");
        }
    }
    // Caches are passed by with names of that kind.
    for path in ["feeds/geneva/events?until=head&_=1733000000", "feeds/geneva/text?until=head&cb=7"] {
        assert_eq!(server.get(&format!("/v1/{path}")).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn desk_operations_on_lines_are_refused() {
    let server = Server::start();
    server.say("geneva", &[line("1", 0, "A", "one")]).await;
    for op in ["line.edit", "line.hide", "line.redact"] {
        let body = json!({"op": op, "op_id": "1", "key": "main/1", "text": "two"});
        server.json("POST", "/v1/feeds/geneva/desk", body).await.assert_problem(400, "bad_request");
    }
}
