//! The real binary over HTTP: feeds, transcripts, speakers, pages, and who may ask for them.

use super::auth;
use crate::support;

use bytes::Bytes;
use captionwire::client::{ClientToken, HttpClient, HttpError, ServerUrl};
use captionwire::position::FeedId;
use captionwire::transcript::LineKey;
use http::Method;
use serde_json::{Value, json};
use support::{Screen, Server, facts, hearing, line, real, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn feeds_are_made_listed_changed_and_deleted() {
    let server = Server::start();
    let made = server.json("PUT", "/v1/feeds/bern", json!({"title": "Federal council", "language": "de"})).await;
    assert_eq!((made.status, &made.json()["state"]), (201, &json!("scheduled")));
    assert_eq!(server.http("PUT", "/v1/feeds/bern", &[], b"").await.status, 200);
    let changed = server.json("PATCH", "/v1/feeds/bern", json!({"title": "Bundesrat"})).await;
    assert_eq!((changed.status, &changed.json()["title"]), (200, &json!("Bundesrat")));
    server.json("PATCH", "/v1/feeds/bern", json!({"title": ""})).await.assert_problem(400, "bad_request");
    server.http("PATCH", "/v1/feeds/bern", &[], b"{}").await.assert_problem(415, "unsupported_media_type");
    for (method, path, body) in [
        ("PUT", "bern", json!(["title", "en"])),
        ("PATCH", "bern", json!([null, null])),
        ("POST", "bern/state", json!(["live"])),
        ("POST", "bern/desk", json!(["speaker.unmerge", "op", "A"])),
    ] {
        let answer = server.json(method, &format!("/v1/feeds/{path}"), body).await;
        answer.assert_problem(400, "bad_request");
        assert!(answer.text().contains("array"), "{}", answer.text());
    }

    let mut publisher = server.publish("arnhem/publish").await;
    publisher.expect_next("welcome").await;
    publisher.send(line("1", 0, "A", "one")).await;
    publisher.acked(1).await;
    let all = server.get("/v1/feeds").await.json();
    let names: Vec<_> = all["feeds"].as_array().expect("feeds").iter().map(|feed| feed["feed"].clone()).collect();
    assert_eq!(names, [json!("arnhem"), json!("bern")]);
    let live = server.get("/v1/feeds?state=live").await.json();
    let arnhem = &live["feeds"][0];
    assert_eq!((live["feeds"].as_array().map(Vec::len), &arnhem["publishers"]), (Some(1), &json!(1)));
    assert_eq!((&arnhem["lines"], &arnhem["turns"]), (&json!(1), &json!(1)));
    assert!(arnhem["last_line_at"].is_string() && arnhem["epoch"].is_string(), "{arnhem}");
    server.get("/v1/feeds?state=happy").await.assert_problem(400, "bad_request");

    let state = |state: &'static str| server.json("POST", "/v1/feeds/arnhem/state", json!({"state": state}));
    for wanted in ["paused", "live", "ended", "live"] {
        assert_eq!(state(wanted).await.json()["state"], wanted);
    }
    server.json("POST", "/v1/feeds/bern/state", json!({"state": "paused"})).await.assert_problem(400, "bad_request");
    state("scheduled").await.assert_problem(400, "bad_request");
    assert_eq!(server.http("DELETE", "/v1/feeds/bern", &[], b"").await.status, 204);
    server.get("/v1/feeds/bern").await.assert_problem(410, "feed_deleted");
    server.get("/v1/feeds/basel").await.assert_problem(404, "no_such_feed");
    for unreadable in ["/v1/feeds/Basel", "/v1/feeds/%FF", "/v1/feeds/%FF/publish"] {
        server.get(unreadable).await.assert_problem(400, "bad_request");
    }
    server.get("/v1/nothing").await.assert_problem(404, "not_found");
    server.http("POST", "/v1/feeds", &[], b"").await.assert_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn a_transcript_in_every_format() {
    let server = Server::start();
    let imported = server.import("hearing", &hearing()).await;
    let facts = facts();
    assert_eq!((&imported["lines"], &imported["turns"]), (&facts["blocks"], &facts["turns"]));
    assert_eq!(imported["problems"], json!([]));
    for (format, content_type, begins) in [
        ("json", "application/json", "{"),
        ("ndjson", "application/x-ndjson", "{"),
        ("txt", "text/plain", ""),
        ("md", "text/markdown", ""),
        ("vtt", "text/vtt", "WEBVTT"),
        ("srt", "application/x-subrip", "1\n"),
        ("rev.txt", "text/plain", ""),
    ] {
        let path = format!("/v1/feeds/hearing/transcript.{format}");
        let answer = server.get(&path).await;
        let (status, is) = (answer.status, answer.header("content-type").unwrap_or_default().to_owned());
        assert!(status == 200 && is.starts_with(content_type), "{format}: {status} {is}");
        assert!(answer.text().starts_with(begins), "{format}");
        // A reader that has it is told so, and only then.
        let etag = answer.header("etag").expect("an ETag").to_owned();
        let again = server.http("GET", &path, &[("If-None-Match", &etag)], b"").await;
        assert_eq!((again.status, again.body.len()), (304, 0));
        let part = server.http("GET", &format!("{path}?last=1"), &[("If-None-Match", &etag)], b"").await;
        assert_eq!(part.status, 200);
        assert!(part.body.len() < answer.body.len(), "{format}");
    }
    assert_eq!(server.get("/v1/feeds/hearing/transcript.rev.txt").await.text(), hearing());
    server.get("/v1/feeds/hearing/transcript.doc").await.assert_problem(404, "not_found");
    server.get("/v1/feeds/hearing/transcript.json?last=few").await.assert_problem(400, "bad_request");
    server.get("/v1/feeds/hearing/transcript.json?view=public").await.assert_problem(400, "unsupported");
    let some = server.get("/v1/feeds/hearing/transcript.json?from_ms=224000&to_ms=224001").await.json();
    let lines: usize =
        some["turns"].as_array().expect("turns").iter().map(|turn| turn["lines"].as_array().map_or(0, Vec::len)).sum();
    assert_eq!(lines, 2);
}

#[tokio::test]
async fn a_real_press_conference_comes_back_as_it_went_in() {
    let Some(text) = real("press-conference.rev.txt") else { return };
    let server = Server::start();
    let imported = server.import("conference", &text).await;
    assert_eq!((&imported["lines"], &imported["turns"]), (&json!(112), &json!(58)));
    let exported = server.get("/v1/feeds/conference/transcript.rev.txt").await.text();
    // The file lacks the newline at its end.
    assert_eq!(exported.trim_end(), text.trim_end());
}

#[tokio::test]
async fn a_transcript_as_it_stood_and_on_from_there() {
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    let mut reader = server.subscribe("geneva/subscribe").await;
    let mut screen = Screen::default();
    screen.read_to_live(&mut reader).await;
    publisher.send(line("1", 0, "A", "one")).await;
    screen.read_until(&mut reader, |screen| screen.lines.len() == 1).await;
    let first = screen.cursor.clone().expect("a cursor");
    let before = server.get("/v1/feeds/geneva/transcript.json").await.json();
    publisher.send(line("1", 0, "A", "ONE")).await;
    publisher.send(line("2", 9_000, "B", "two")).await;
    screen.read_until(&mut reader, |screen| screen.lines.len() == 2).await;

    let text = |answer: &Value| answer["turns"][0]["lines"][0]["text"].clone();
    for at in [first.as_str(), before["cursor"].as_str().expect("a cursor")] {
        let then = server.get(&format!("/v1/feeds/geneva/transcript.json?at={at}")).await.json();
        assert_eq!((text(&then), then["turns"].as_array().map(Vec::len)), (json!("one"), Some(1)), "{at}");
    }
    let received = before["turns"][0]["lines"][0]["received_at"].as_str().expect("a time").to_owned();
    let then = server.get(&format!("/v1/feeds/geneva/transcript.json?at={received}")).await.json();
    assert_eq!(text(&then), json!("one"));
    let long_ago = server.get("/v1/feeds/geneva/transcript.json?at=2000-01-01T00:00:00Z").await.json();
    assert_eq!(long_ago["turns"], json!([]));
    for bad in ["yesterday", "zzzz:1", &format!("{}9", first)] {
        let answer = server.get(&format!("/v1/feeds/geneva/transcript.json?at={bad}")).await;
        answer.assert_problem(400, "bad_request");
    }

    // From the transcript's cursor a subscription goes on without gap or repeat.
    let cursor = before["cursor"].as_str().expect("a cursor");
    let mut on = server.subscribe(&format!("geneva/subscribe?interim=false&from={cursor}")).await;
    on.expect_next("hello").await;
    let changes = on.expect_next("changes").await;
    assert_eq!(changes["lines"].as_array().map(Vec::len), Some(2), "{changes}");
}

#[tokio::test]
async fn files_that_cannot_be_read_and_files_that_can_in_part() {
    let server = Server::start_with("[limits]\nimport_bytes = 1000");
    let put = |body: Vec<u8>| {
        let server = &server;
        async move { server.http("PUT", "/v1/feeds/hearing/transcript", &[], &body).await }
    };
    put(b"nothing of the kind".to_vec()).await.assert_problem(400, "bad_request");
    put(vec![0xFF, 0xFE, b'A', 0]).await.assert_problem(400, "bad_request");
    put(vec![b'x'; 1_001]).await.assert_problem(413, "too_large");
    // The charset of Content-Type is believed, but for UTF-8, which clients write there without looking.
    let latin = b"Ann: (00:01)\nGr\xFC\xDFe\n";
    for (feed, charset, text) in
        [("greek", "text/plain; charset=iso-8859-7", "Gr\u{3cc}\u{3af}e"), ("any", "text/plain; charset=utf-8", "Gr")]
    {
        let path = format!("/v1/feeds/{feed}/transcript");
        assert_eq!(server.http("PUT", &path, &[("Content-Type", charset)], latin).await.status, 201);
        let written = server.get(&format!("{path}.txt")).await.text();
        assert!(written.contains(text) && !written.contains(char::REPLACEMENT_CHARACTER), "{charset}: {written}");
    }
    let unknown = [("Content-Type", "text/plain; charset=klingon")];
    server.http("PUT", "/v1/feeds/hearing/transcript", &unknown, latin).await.assert_problem(400, "bad_request");
    server.get("/v1/feeds/hearing").await.assert_problem(404, "no_such_feed");
    let answer = put(b"A: (00:01)\nOne.\n\nB: (99:99)\nTwo.\n\nC: (00:31)\nThree.\n".to_vec()).await;
    let imported = answer.json();
    assert_eq!(answer.status, 201, "{imported}");
    assert_eq!(imported["problems"][0]["line"], 4, "{imported}");
}

#[tokio::test]
async fn speakers_are_renamed_merged_and_unmerged() {
    let server = Server::start();
    server.import("hearing", &hearing()).await;
    let desk = |op: Value| server.json("POST", "/v1/feeds/hearing/desk", op);
    let turns = || async {
        let transcript = server.get("/v1/feeds/hearing/transcript.json").await.json();
        transcript["turns"].as_array().map_or(0, Vec::len)
    };
    let facts = facts();
    assert_eq!(json!(turns().await), facts["turns"]);
    let merge = json!({"op": "speaker.merge", "op_id": "1", "from": "Speaker 7", "into": "Ines Marlow"});
    assert_eq!(desk(merge.clone()).await.json(), json!({"op_id": "1", "changed": true}));
    assert_eq!(json!(turns().await), facts["turns_after_merge"]["Speaker 7 into Ines Marlow"]);
    assert_eq!(desk(merge).await.json()["changed"], false);
    let unmerge = json!({"op": "speaker.unmerge", "op_id": "2", "from": "Speaker 7"});
    assert_eq!(desk(unmerge).await.json()["changed"], true);
    assert_eq!(json!(turns().await), facts["turns"]);
    let rename =
        json!({"op": "speaker.rename", "op_id": "3", "speaker": "Speaker 5", "name": "Woman in the third row"});
    assert_eq!(desk(rename).await.json()["changed"], true);
    assert!(server.get("/v1/feeds/hearing/transcript.md").await.text().contains("Woman in the third row"));
    // Who is not there is told who is; and who is meant before they speak is made.
    for (op, near) in [
        (json!({"op": "speaker.rename", "op_id": "6", "speaker": "speaker  5", "name": "X"}), "Speaker 5"),
        (json!({"op": "speaker.merge", "op_id": "6", "from": "Speaker 7", "into": "Inés Marlow"}), "Ines Marlow"),
        (json!({"op": "speaker.merge", "op_id": "6", "from": "ines marlow", "into": "Speaker 7"}), "Ines Marlow"),
        (json!({"op": "speaker.unmerge", "op_id": "6", "from": "woman in the third row"}), "Speaker 5"),
    ] {
        let answer = desk(op).await;
        answer.assert_problem(404, "no_such_speaker");
        let detail = answer.json()["detail"].as_str().expect("in words").to_owned();
        assert!(detail.contains(&format!("{near:?}")) && detail.contains("create"), "{detail}");
    }
    let made = json!({"op": "speaker.rename", "op_id": "6", "speaker": "S9", "name": "Next speaker", "create": true});
    assert_eq!(desk(made.clone()).await.json()["changed"], true);
    assert_eq!(desk(made).await.json()["changed"], false, "the same again");
    let other = json!({"op": "speaker.rename", "op_id": "6", "speaker": "S9", "name": "Another"});
    desk(other).await.assert_problem(409, "conflict");
    for bad in [
        json!({"op": "line.edit", "op_id": "4"}),
        json!({"op": "speaker.merge", "op_id": "5"}),
        json!({"op": "speaker.rename", "op_id": "", "speaker": "A", "name": "B"}),
    ] {
        desk(bad).await.assert_problem(400, "bad_request");
    }
    // A field that would be passed over is named.
    for (method, path, body, field) in [
        (
            "POST",
            "/desk",
            json!({"op": "speaker.rename", "op_id": "9", "speaker": "A", "name": "B", "creat": true}),
            "creat",
        ),
        ("POST", "/state", json!({"state": "ended", "at_ms": 7}), "at_ms"),
        ("PUT", "", json!({"titel": "Hearing"}), "titel"),
        ("PATCH", "", json!({"lang": "en"}), "lang"),
    ] {
        let answer = server.json(method, &format!("/v1/feeds/hearing{path}"), body).await;
        answer.assert_problem(400, "bad_request");
        let detail = answer.json()["detail"].as_str().expect("in words").to_owned();
        assert!(detail.contains(&format!("{field} is not known")), "{detail}");
    }
}

#[tokio::test]
async fn only_this_machine_and_its_own_pages() {
    let server = Server::start_with("allowed_origins = [\"http://localhost:8000\"]");
    let own = format!("http://{}", server.addr());
    server.http("GET", "/v1/feeds", &[("Host", "evil.example")], b"").await.assert_problem(403, "forbidden");
    server.http("GET", "/v1/feeds", &[("Origin", "http://evil.example")], b"").await.assert_problem(403, "forbidden");
    server.http("GET", "/v1/feeds", &[("Origin", "null")], b"").await.assert_problem(403, "forbidden");
    assert_eq!(server.http("GET", "/v1/feeds", &[("Origin", &own)], b"").await.status, 200);
    let allowed = server.http("GET", "/v1/feeds", &[("Origin", "http://localhost:8000")], b"").await;
    assert_eq!(allowed.header("access-control-allow-origin"), Some("http://localhost:8000"));
    let asked = server.http("OPTIONS", "/v1/feeds/a", &[("Origin", "http://localhost:8000")], b"").await;
    assert_eq!((asked.status, asked.header("access-control-allow-methods").is_some()), (204, true));

    // A browser's script sees no status of an upgrade, so a socket says it as a close code.
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;
    let mut request = server.ws("geneva/publish").into_client_request().expect("a URL");
    request.headers_mut().insert("Origin", "http://evil.example".parse().expect("a header"));
    let (stream, _) = soon(tokio_tungstenite::connect_async(request)).await.expect("upgraded");
    assert_eq!(support::Socket { stream }.closed().await.0, 4501);
    server.get("/v1/feeds/geneva").await.assert_problem(404, "no_such_feed");
}

/// A browser shows a page nothing of an answer without these headers, so the page could not say what is wrong.
#[tokio::test]
async fn refusals_can_be_read_by_pages_of_allowed_origins() {
    const PAGE: &str = "http://localhost:8000";
    let top = format!("allowed_origins = [\"{PAGE}\"]\ntrusted_proxies = [\"127.0.0.1\"]\n");
    let read = async |server: &Server, status: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]| {
        let headers = [&[("Origin", PAGE), ("Content-Type", "application/json")], headers].concat();
        let answer = server.http(method, path, &headers, body).await;
        assert_eq!(answer.status, status, "{method} {path} {headers:?}: {}", answer.text());
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE), "{method} {path} {headers:?}");
        assert_eq!((answer.header("vary"), answer.header("x-content-type-options")), (Some("Origin"), Some("nosniff")));
        answer
    };
    let server = Server::start_with(&format!("{top}[limits]\nconnections_per_address_max = 1\nimport_bytes = 10"));
    read(&server, 400, "GET", "/v1/feeds", &[("X-Forwarded-For", "nobody")], b"").await;
    let requests = [
        (400, "GET", "/v1/feeds", Some(("Host", "user@localhost")), &b""[..]),
        (403, "GET", "/v1/feeds", Some(("Host", "evil.example")), b""),
        (400, "POST", "/v1/feeds/geneva/lines", None, b"{"),
        (400, "GET", "/v1/feeds/%FF", None, b""),
        (404, "GET", "/v1/nothing", None, b""),
        (405, "PUT", "/v1/search", None, b""),
        (413, "PUT", "/v1/feeds/geneva/transcript", None, b"00:01 too much"),
        (426, "GET", "/v1/feeds/geneva/subscribe", None, b""),
    ];
    for (number, (status, method, path, host, body)) in requests.into_iter().enumerate() {
        // Each of a client of its own: a client has its seat until the server has seen its last connection go.
        let client = format!("198.51.100.{number}");
        let headers: Vec<_> = host.into_iter().chain([("X-Forwarded-For", &*client)]).collect();
        read(&server, status, method, path, &headers, body).await;
    }
    // One client has all that it may have.
    let client = ("X-Forwarded-For", "192.0.2.7");
    let mut stream = soon(TcpStream::connect(server.addr())).await.expect("connected");
    assert_eq!(server.json("PUT", "/v1/feeds/geneva", json!({})).await.status, 201);
    let ask = format!("GET /v1/feeds/geneva/events HTTP/1.1\r\nHost: localhost\r\n{}: {}\r\n\r\n", client.0, client.1);
    soon(stream.write_all(ask.as_bytes())).await.expect("written");
    assert_ne!(soon(stream.read(&mut [0; 1024])).await.expect("an answer"), 0);
    let full = read(&server, 503, "GET", "/v1/feeds", &[client], b"").await;
    full.assert_problem(503, "too_many_connections");
    assert_eq!(full.header("retry-after"), Some("5"));
    read(&server, 503, "POST", "/v1/feeds/geneva/lines", &[client], b"{}").await;
    // A browser sends the request only if this is allowed.
    read(&server, 204, "OPTIONS", "/v1/feeds", &[client], b"").await;

    let auth = "[limits]\nwrong_tokens_per_minute = 1\n[[auth.tokens]]\nname = \"a\"\nroles = [\"publish\"]\nfeeds = [\"*\"]\n";
    let server = Server::start_with(&format!("{top}{auth}sha256 = \"{}\"", "0".repeat(64)));
    read(&server, 401, "GET", "/v1/feeds", &[], b"").await;
    read(&server, 401, "GET", "/v1/feeds", &[("Authorization", "Bearer wrong")], b"").await;
    read(&server, 429, "GET", "/v1/feeds", &[("Authorization", "Bearer wrong")], b"").await;
}

#[tokio::test]
async fn more_connections_than_there_may_be_are_told_so() {
    let server = Server::start_with("[limits]\nconnections_max = 3\nconnections_for_publishers = 1");
    let mut first = server.subscribe("geneva/subscribe?wait=true").await;
    first.expect_next("hello").await;
    let mut second = server.subscribe("geneva/subscribe?wait=true").await;
    second.expect_next("hello").await;
    assert_eq!(server.subscribe("geneva/subscribe?wait=true").await.closed().await.0, 4004);
    server.get("/v1/feeds").await.assert_problem(503, "too_many_connections");
    // The last place is for who publishes, once the server has seen those go who had none.
    let publisher = soon(async {
        loop {
            let mut publisher = server.publish("geneva/publish").await;
            match publisher.next().await {
                Ok(welcome) if welcome["type"] == "welcome" => return publisher,
                _ => {}
            }
        }
    });
    let _publisher = publisher.await;
    assert_eq!(server.publish("geneva/publish?source=other").await.closed().await.0, 4004);
    first.expect_next("hello").await;
    drop(first);
    soon(async { while server.get("/healthz").await.status != 200 {} }).await;
}

#[tokio::test]
async fn sockets_that_say_nothing_keep_nobody_out() {
    let server = Server::start_with("[limits]\nconnections_max = 8\nconnections_for_publishers = 2");
    let mut silent = Vec::new();
    for number in 0..20 {
        let mut stream = soon(TcpStream::connect(server.addr())).await.expect("connected");
        // Half a request is none either.
        if number % 2 == 0 {
            soon(stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: ")).await.expect("written");
        }
        silent.push(stream);
    }
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    let mut reader = server.subscribe("geneva/subscribe").await;
    reader.expect("live").await;
    assert_eq!(server.get("/healthz").await.status, 200);
    // Those that were there longest went, and none that does something.
    publisher.send(support::line("1", 0, "A", "one")).await;
    publisher.acked(1).await;
    assert_eq!(reader.expect("changes").await["lines"][0]["text"], "one");
}

/// A server counts as refused what it refuses, whatever else it does: each stream is two tasks, for example.
#[tokio::test]
async fn a_full_server_answers_whatever_its_readers_do() {
    let readers = 70;
    let server = Server::start_with(&format!(
        "[limits]\nconnections_max = {readers}\nconnections_for_publishers = 0\nconnections_per_address_max = 0"
    ));
    assert_eq!(server.json("PUT", "/v1/feeds/geneva", json!({})).await.status, 201);
    let mut streams = Vec::new();
    soon(async {
        while streams.len() < readers {
            let mut stream = TcpStream::connect(server.addr()).await.expect("connected");
            stream
                .write_all(b"GET /v1/feeds/geneva/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .await
                .expect("written");
            let mut answer = Vec::new();
            while !answer.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut answer).await.expect("an answer"), 0);
            }
            // The connection before has its place until the server has seen it go.
            if answer.starts_with(b"HTTP/1.1 200 ") {
                streams.push(stream);
            }
        }
    })
    .await;
    assert_eq!(server.get("/healthz").await.status, 200);
    server.get("/v1/feeds").await.assert_problem(503, "too_many_connections");

    // Clients that are refused, and others that say nothing, keep none of the answers from others.
    let (mut silent, mut refused) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        silent.push(soon(TcpStream::connect(server.addr())).await.expect("connected"));
        refused.push(server.subscribe("geneva/subscribe").await);
        refused.push(server.publish("geneva/publish").await);
    }
    assert_eq!(server.get("/healthz").await.status, 200);
    server.get("/v1/feeds").await.assert_problem(503, "too_many_connections");
    // There is an end of them: the oldest went.
    let mut rest = Vec::new();
    assert_eq!(soon(silent[0].read_to_end(&mut rest)).await.expect("closed"), 0);
    assert_eq!(streams.len(), readers);
}

#[tokio::test]
async fn readers_leave_publishers_by_post_their_places() {
    let server = Server::start_with("[limits]\nconnections_max = 3\nconnections_for_publishers = 1");
    let mut readers = Vec::new();
    for _ in 0..2 {
        let mut reader = server.subscribe("geneva/subscribe?wait=true").await;
        reader.expect_next("hello").await;
        readers.push(reader);
    }
    let post = async || server.json("POST", "/v1/feeds/geneva/lines", support::line("1", 0, "A", "one")).await;
    assert_eq!(soon(post()).await.status, 200);
    server.get("/v1/feeds").await.assert_problem(503, "too_many_connections");
}

/// Clients and proxies keep connections: one that published by its last request does anything else by its next.
#[tokio::test]
async fn a_connection_that_published_reads_again() {
    let server = Server::start();
    let mut stream = soon(TcpStream::connect(server.addr())).await.expect("connected");
    let line = r#"{"id":"1","text":"one"}"#;
    let head = "Host: localhost\r\nContent-Type: application/json\r\n";
    for (request, expected) in [
        (
            format!("POST /v1/feeds/geneva/lines HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{line}", line.len()),
            "\"accepted\":1",
        ),
        (format!("GET /v1/feeds/geneva HTTP/1.1\r\n{head}\r\n"), "\"lines\":1"),
        (format!("GET /readyz HTTP/1.1\r\n{head}\r\n"), "ready"),
    ] {
        soon(stream.write_all(request.as_bytes())).await.expect("written");
        let mut answer = Vec::new();
        while !String::from_utf8_lossy(&answer).contains(expected) {
            assert_ne!(soon(stream.read_buf(&mut answer)).await.expect("an answer"), 0, "{request}");
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.starts_with("HTTP/1.1 200 "), "{request} {answer}");
        }
    }
}

#[tokio::test]
async fn a_request_names_one_host() {
    let server = Server::start();
    for (head, status) in [
        ("GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n", 400),
        ("GET /healthz HTTP/1.1\r\n", 400),
        ("GET /v1/feeds HTTP/1.1\r\nHost: evil@localhost\r\n", 400),
        ("GET /v1/feeds HTTP/1.1\r\nHost: evil.example\r\n", 403),
        ("GET http://evil.example/v1/feeds HTTP/1.1\r\nHost: localhost\r\n", 403),
        ("GET /v1/feeds HTTP/1.0\r\n", 403),
        // As HAProxy asks without further settings.
        ("GET /readyz HTTP/1.0\r\n", 200),
    ] {
        let mut stream = soon(TcpStream::connect(server.addr())).await.expect("connected");
        soon(stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())).await.expect("written");
        let mut answer = String::new();
        soon(stream.read_to_string(&mut answer)).await.expect("an answer");
        assert_eq!(answer.split(' ').nth(1), Some(status.to_string().as_str()), "{head} {answer}");
    }
}

#[tokio::test]
async fn an_address_and_the_archive_have_their_limits() {
    let server = Server::start_with("[limits]\nconnections_per_address_max = 1\nfeeds_max = 1");
    let mut first = server.publish("geneva/publish").await;
    first.expect_next("welcome").await;
    assert_eq!(server.subscribe("geneva/subscribe").await.closed().await.0, 4004);
    // A full server is not ill, and says when to come again.
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    let full = server.get("/v1/feeds").await;
    full.assert_problem(503, "too_many_connections");
    assert_eq!(full.header("retry-after"), Some("5"));
    drop(first);
    // A connection has its seat until the server has seen it go, which may be after the next one has come.
    let no_seat = "too many connections";
    let put = async |feed: &str| loop {
        let answer = server.json("PUT", &format!("/v1/feeds/{feed}"), json!({})).await;
        if !answer.text().contains(no_seat) {
            return answer;
        }
    };
    soon(put("other")).await.assert_problem(503, "too_many_feeds");
    let closed = soon(async {
        loop {
            let (code, reason) = server.publish("other/publish").await.closed().await;
            if !reason.contains(no_seat) {
                return (code, reason);
            }
        }
    });
    let (code, reason) = closed.await;
    assert!(code == 4004 && reason.contains("feeds"), "{code} {reason}");
    assert_eq!(soon(put("geneva")).await.status, 200);
}

/// URLs resolve `.` and `..` in a path, so that a request for such a line would be one for another resource.
#[tokio::test]
async fn a_line_is_retracted_whatever_its_id_is() {
    let server = Server::start();
    let ids = [".", "..", "...", "7", "..a", "-", ":"];
    let lines: Vec<_> = ids.iter().map(|id| support::line(id, 0, "A", &format!("text {id}."))).collect();
    server.say("geneva", &lines).await;
    let client = HttpClient::new(ServerUrl::parse(server.addr()).expect("a URL"));
    let geneva = FeedId::new("geneva").expect("a name");
    let key = |id: &str| LineKey { source: "main".into(), id: id.into() };
    for id in ids {
        client.retract(&geneva, &key(id)).await.unwrap_or_else(|error| panic!("{id}: {error}"));
    }
    let left = server.get("/v1/feeds/geneva/transcript.json").await.json();
    assert_eq!(left["turns"].as_array().map(Vec::len), Some(0), "{left}");

    server.say("bern", &[support::line("7", 0, "A", "text")]).await;
    let bern = FeedId::new("bern").expect("a name");
    for id in ["8", "..", "."] {
        let error = client.retract(&bern, &key(id)).await.expect_err("there is no such line");
        assert_eq!(error.code(), Some("no_such_line"), "{id}: {error}");
        let basel = FeedId::new("basel").expect("a name");
        let error = client.retract(&basel, &key(id)).await.expect_err("there is no such feed");
        assert_eq!(error.code(), Some("no_such_feed"), "{id}: {error}");
        assert_eq!(client.feed(&basel).await.expect("an answer"), None);
    }
    // A post would create the feed.
    let config = auth::entry("writer", &["publish", "create"], &["*"], "");
    let server = Server::start_with(&(config + &auth::entry("reader", &["subscribe"], &["*"], "")));
    let client_of = |token| {
        let url = ServerUrl::parse(server.addr()).expect("a URL");
        HttpClient::new(url.with_token(Some(ClientToken::new(token).expect("a token"))))
    };
    let error = client_of("writer").retract(&bern, &key(".")).await.expect_err("it may not look");
    assert!(error.code() == Some("forbidden") && error.to_string().contains("read the feed"), "{error}");
    assert_eq!(client_of("reader").feed(&bern).await.expect("an answer"), None);
    for path in ["/v1/feeds/bern/lines/main/..", "/v1/feeds/%2E/transcript.txt", "/v1/../v1/feeds?a=b", "/v1/.%2e"] {
        let error = client.request(Method::GET, path, None, Bytes::new()).await.expect_err("it would be another");
        assert!(matches!(error, HttpError::NotSendable(_)), "{path}: {error}");
    }
    client.request(Method::GET, "/v1/feeds?a=/../b", None, Bytes::new()).await.expect("a query is kept");
}

#[tokio::test]
async fn every_route_that_is_told_is_there() {
    let server = Server::start();
    for captionwire::server::RouteInfo { method, path, .. } in captionwire::server::route_list() {
        let path = path.replace("{feed}", "geneva").replace("{format}", "json").replace("{file}", "feed.js");
        let path = path.replace("{source}", "main").replace("{id}", "1").replace("{segment}", "0.vtt");
        let answer = server.http(&method, &path, &[], b"").await;
        let text = String::from_utf8_lossy(&answer.body);
        assert!(!text.contains("\"not_found\"") && answer.status != 405, "{method} {path}: {text}");
    }
}

#[tokio::test]
async fn pages_and_health() {
    let server = Server::start();
    for (path, content_type) in [
        ("/", "text/html"),
        ("/feeds/geneva", "text/html"),
        ("/feeds/geneva/embed", "text/html"),
        ("/feeds/geneva/overlay", "text/html"),
        ("/feeds/geneva/plain", "text/html"),
        ("/embed.js", "text/javascript"),
        ("/viewer/feed.js", "text/javascript"),
        ("/viewer/index.js", "text/javascript"),
        ("/viewer/overlay.js", "text/javascript"),
        ("/viewer/plain.js", "text/javascript"),
        ("/viewer/page.css", "text/css"),
        ("/viewer/overlay.css", "text/css"),
        ("/viewer/plain.css", "text/css"),
        ("/healthz", "text/plain"),
        ("/readyz", "text/plain"),
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").is_some_and(|is| is.starts_with(content_type)), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
    }
    assert_eq!(server.get("/favicon.ico").await.status, 204);
    server.get("/viewer/other.js").await.assert_problem(404, "not_found");
    server.get("/feeds/Geneva!").await.assert_problem(400, "bad_request");
    server.get("/feeds/Geneva!/overlay").await.assert_problem(400, "bad_request");
}

#[tokio::test]
async fn pages_run_nothing_but_what_is_theirs_and_are_framed_where_the_configuration_says() {
    let usual = Server::start();
    let there = Server::start_with("embedding_origins = [\"https://www.example.org\"]");
    let (framed, never) = ("frame-ancestors 'self'", "frame-ancestors 'none'");
    let elsewhere = "frame-ancestors 'self' https://www.example.org";
    for (path, expected, expected_there) in [
        ("/", never, never),
        ("/feeds/geneva", never, never),
        ("/feeds/geneva/plain", never, never),
        ("/feeds/geneva/embed", framed, elsewhere),
        ("/feeds/geneva/overlay", framed, elsewhere),
    ] {
        for (server, expected) in [(&usual, expected), (&there, expected_there)] {
            let answer = server.get(path).await;
            let policy = answer.header("content-security-policy").expect("a policy");
            assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
            assert!(policy.ends_with(expected) && !policy.contains("unsafe"), "{path}: {policy}");
            let text = String::from_utf8_lossy(&answer.body);
            assert!(!text.contains("style=") && !text.contains("<script>") && !text.contains("//"), "{path}: {text}");
        }
    }
}

#[tokio::test]
async fn pages_are_sent_packed_and_once() {
    let server = Server::start();
    let plain = server.get("/viewer/feed.js").await;
    let etag = plain.header("etag").expect("an ETag");
    let packed = server.http("GET", "/viewer/feed.js", &[("Accept-Encoding", "gzip, br")], b"").await;
    assert_eq!((packed.header("content-encoding"), packed.header("etag")), (Some("gzip"), Some(etag)));
    assert!(packed.body.len() * 2 < plain.body.len() && packed.body.starts_with(&[0x1f, 0x8b]));
    let again = server.http("GET", "/viewer/feed.js", &[("If-None-Match", etag)], b"").await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_ne!(server.get("/viewer/page.css").await.header("etag"), Some(etag));
}

#[tokio::test]
async fn a_page_begins_with_the_newest_turns_and_what_may_still_change() {
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    publisher.send(line("1", 0, "A", "one")).await;
    publisher.send(line("2", 1000, "B", "two")).await;
    let guess =
        json!({"type": "line", "id": "3", "start_ms": 2000, "speaker": "C", "text": "thr", "status": "interim"});
    publisher.send(guess).await;
    publisher.acked(3).await;
    let path = "/v1/feeds/geneva/transcript.json";
    let whole = server.get(&format!("{path}?interim=true")).await.json();
    assert_eq!(whole["turns"].as_array().map(Vec::len), Some(3));
    assert_eq!(whole["turns"][2]["lines"][0]["status"], "interim");
    let last = server.get(&format!("{path}?interim=true&last=2")).await.json();
    assert_eq!(last["turns"][0]["lines"][0]["text"], "two");
    // From its cursor a reader of such lines goes on, and has what comes next and nothing before.
    let mut reader =
        server.subscribe(&format!("geneva/subscribe?from={}", last["cursor"].as_str().expect("one"))).await;
    reader.expect_next("hello").await;
    reader.expect_next("live").await;
    publisher.send(line("3", 2000, "C", "three")).await;
    assert_eq!(reader.expect_next("changes").await["lines"][0]["text"], "three");
    // Those that want finished lines only have them, and another cursor.
    let finals = server.get(path).await.json();
    assert_ne!(finals["cursor"], whole["cursor"]);
    for bad in ["json?interim=perhaps", "txt?interim=true", "json?interim=true&at=2000-01-01T00:00:00Z"] {
        let answer = server.get(&format!("/v1/feeds/geneva/transcript.{bad}")).await;
        answer.assert_problem(400, "bad_request");
    }
}

#[tokio::test]
async fn many_feeds_are_listed_page_by_page() {
    let server = Server::start_with("[limits]\nfeeds_listed_max = 20");
    for n in 0..30 {
        server.http("PUT", &format!("/v1/feeds/f{n:02}"), &[], b"").await;
    }
    for (name, state) in [("f07", "live"), ("f29", "ended"), ("f11", "live"), ("f20", "paused")] {
        let line = json!({"id": "1", "start_ms": 0, "text": "one"});
        assert_eq!(server.json("POST", &format!("/v1/feeds/{name}/lines"), line).await.status, 200);
        let state = json!({"state": state});
        assert_eq!(server.json("POST", &format!("/v1/feeds/{name}/state"), state).await.status, 200);
    }
    // Of two that speak in one moment nobody could say which spoke last.
    let at = async |name| server.get(&format!("/v1/feeds/{name}")).await.json()["last_line_at"].to_string();
    let before = at("f07").await;
    soon(async {
        for n in 2.. {
            if at("f11").await > before {
                break;
            }
            server
                .json("POST", "/v1/feeds/f11/lines", json!({"id": n.to_string(), "start_ms": n, "text": "more"}))
                .await;
        }
    })
    .await;
    let names = |page: &Value| -> Vec<String> {
        let feeds = page["feeds"].as_array().expect("feeds").iter();
        feeds.map(|feed| feed["feed"].as_str().expect("a name").to_owned()).collect()
    };
    // Whoever does not ask for pages has all of them, by name.
    let all = server.get("/v1/feeds").await.json();
    assert_eq!(
        (names(&all).len(), &names(&all)[0], &all["next"], &all["total"]),
        (30, &"f00".into(), &Value::Null, &Value::Null)
    );
    let (mut listed, mut after, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = server.get(&format!("/v1/feeds?limit=7{after}")).await.json();
        assert_eq!(page["total"], 30);
        (listed, pages) = ([listed, names(&page)].concat(), pages + 1);
        // A feed that moves up meanwhile is not listed again, and pushes none out.
        if pages == 1 {
            let line = json!({"id": "9", "start_ms": 9000, "text": "two"});
            assert_eq!(server.json("POST", "/v1/feeds/f07/lines", line).await.status, 200);
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    // Those that are on first, of these the one that spoke last; then by name.
    assert_eq!(listed[..4], ["f11", "f07", "f20", "f00"]);
    assert_eq!((listed.len(), listed.last().expect("one").as_str(), pages), (30, "f29", 5));
    let mut once = listed.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), 30);
    assert_eq!(names(&server.get("/v1/feeds?limit=20&state=live").await.json()), ["f07", "f11"]);
    assert_eq!(names(&server.get("/v1/feeds?after=2..f28").await.json()).len(), 1);
    for query in ["limit=0", "limit=21", "limit=x", "limit=5&after=nonsense", "after=1.x.f"] {
        server.get(&format!("/v1/feeds?{query}")).await.assert_problem(400, "bad_request");
    }
}

#[tokio::test]
async fn lists_say_what_was_said_last() {
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    let feed = || async { server.get("/v1/feeds").await.json()["feeds"][0].clone() };
    assert_eq!((&feed().await["last_turn"], &feed().await["duration_ms"]), (&Value::Null, &json!(0)));
    publisher.send(line("1", 60_000, "S1", "The first.")).await;
    publisher.send(line("2", 90_000, "S1", &format!("{}the end.", "word ".repeat(60)))).await;
    let guess =
        json!({"type": "line", "id": "3", "start_ms": 95_000, "speaker": "B", "text": "no", "status": "interim"});
    publisher.send(guess).await;
    publisher.acked(3).await;
    let rename = json!({"op": "speaker.rename", "op_id": "o1", "speaker": "S1", "name": "Chair"});
    server.json("POST", "/v1/feeds/geneva/desk", rename).await;
    let now = feed().await;
    assert_eq!(now["duration_ms"], 35_000);
    let last = &now["last_turn"];
    assert_eq!((&last["id"], &last["speaker"], &last["start_ms"]), (&json!("main/1"), &json!("Chair"), &json!(90_000)));
    let text = last["text"].as_str().expect("a text");
    assert!(text.starts_with('…') && text.ends_with("the end.") && text.chars().count() == 161, "{text}");
    publisher.send(json!({"type": "retract", "id": "2"})).await;
    publisher.acked(4).await;
    assert_eq!(feed().await["last_turn"]["text"], "The first.");
}
