//! Who may do what, through the real binary: tokens of the configuration, signed tokens, and what anybody may.

use crate::support;

use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use captionwire::server::Clock;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Answer, Server, Socket, logged, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

const ROLES: [&str; 6] = ["publish", "create", "subscribe", "desk", "admin", "metrics"];
const SECRET: &str = "a secret of more than thirty-two bytes";

/// An entry of the configuration for `token`.
pub(super) fn entry(token: &str, roles: &[&str], feeds: &[&str], more: &str) -> String {
    let hash: String = Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("[[auth.tokens]]\nname = \"{token}\"\nsha256 = \"{hash}\"\nroles = {roles:?}\nfeeds = {feeds:?}\n{more}\n")
}

/// A token for each role in `geneva-*`, one for all roles there, and nothing for anybody else.
fn role_tokens() -> String {
    let each: String = ROLES.iter().map(|role| entry(&format!("tok-{role}"), &[role], &["geneva-*"], "")).collect();
    each + &entry("tok-all", &ROLES, &["geneva-*"], "")
}

async fn ask(server: &Server, token: &str, method: &str, path: &str, body: &[u8]) -> Answer {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("Content-Type", "application/json")];
    if !token.is_empty() {
        headers.push(("Authorization", &bearer));
    }
    server.http(method, path, &headers, body).await
}

async fn socket(server: &Server, token: &str, path: &str) -> Socket {
    let mut request = server.ws(path).into_client_request().expect("a URL");
    if !token.is_empty() {
        request.headers_mut().insert("Authorization", format!("Bearer {token}").parse().expect("a header"));
    }
    let (stream, _) = soon(tokio_tungstenite::connect_async(request)).await.expect("upgraded");
    Socket { stream }
}

/// The first message's type, or the close code.
async fn greeting(server: &Server, token: &str, path: &str) -> String {
    match socket(server, token, path).await.next().await {
        Ok(message) => message["type"].as_str().expect("a type").to_owned(),
        Err((code, _)) => code.to_string(),
    }
}

#[tokio::test]
async fn every_role_on_every_route() {
    let server = Server::start_with(&role_tokens());
    assert_eq!(ask(&server, "tok-all", "PUT", "/v1/feeds/geneva-1", b"").await.status, 201);
    let line = br#"{"start_ms":0,"text":"one"}"#;
    for (role, method, path, body) in [
        ("subscribe", "GET", "/v1/feeds", &b""[..]),
        ("subscribe", "GET", "/v1/search?q=one", b""),
        ("subscribe", "GET", "/v1/feeds/{feed}", b""),
        ("subscribe", "HEAD", "/v1/feeds/{feed}", b""),
        ("subscribe", "GET", "/v1/feeds/%67eneva-1", b""),
        ("subscribe", "GET", "/v1/feeds/{feed}/transcript.json", b""),
        ("subscribe", "GET", "/v1/feeds/{feed}/events?until=head", b""),
        ("subscribe", "GET", "/v1/feeds/{feed}/text?until=head", b""),
        ("publish", "POST", "/v1/feeds/{feed}/lines", line),
        ("desk", "POST", "/v1/feeds/{feed}/state", b"{\"state\":\"live\"}"),
        ("desk", "POST", "/v1/feeds/{feed}/desk", b"{}"),
        ("desk", "GET", "/v1/feeds/{feed}/lines/main/1/history", b""),
        ("admin", "GET", "/v1/feeds/{feed}/raw", b""),
        ("admin", "DELETE", "/v1/feeds/{feed}/raw", b""),
        ("admin", "PUT", "/v1/feeds/{feed}", b"{}"),
        ("admin", "PATCH", "/v1/feeds/{feed}", b"{}"),
        ("admin", "PUT", "/v1/feeds/{feed}/transcript", b"A: (00:01)\nOne.\n"),
        ("admin", "DELETE", "/v1/feeds/{feed}", b""),
    ] {
        let here = path.replace("{feed}", "geneva-1");
        for (token, expected) in [("", 401), ("wrong", 401)] {
            let answer = ask(&server, token, method, &here, body).await;
            assert_eq!(answer.status, expected, "{token:?} {method} {path}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"captionwire\""));
            if method != "HEAD" {
                answer.assert_problem(401, "unauthorised");
            }
        }
        // Who claims to want a socket gets no further.
        let claim = [("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Content-Type", "application/json")];
        assert_eq!(server.http(method, &here, &claim, body).await.status, 401, "{method} {path}");
        for other in ROLES.into_iter().filter(|other| *other != role) {
            let answer = ask(&server, &format!("tok-{other}"), method, &here, body).await;
            assert_eq!(answer.status, 403, "{other} {method} {path}");
        }
        if path.contains("{feed}") {
            let elsewhere = path.replace("{feed}", "paris");
            assert_eq!(ask(&server, "tok-all", method, &elsewhere, body).await.status, 403, "{method} {elsewhere}");
        }
        let status = ask(&server, &format!("tok-{role}"), method, &here, body).await.status;
        assert!(!matches!(status, 401 | 403 | 405), "{role} {method} {path}: {status}");
    }
    // Only who may create publishes to a feed that does not exist.
    let lines = "/v1/feeds/geneva-2/lines";
    ask(&server, "tok-publish", "POST", lines, line).await.assert_problem(403, "forbidden");
    ask(&server, "tok-create", "POST", lines, line).await.assert_problem(403, "forbidden");
    assert_eq!(ask(&server, "tok-all", "POST", lines, line).await.status, 200);
    assert_eq!(ask(&server, "tok-publish", "POST", lines, line).await.status, 200);
    for open in [
        "/",
        "/feeds/geneva-1",
        "/feeds/geneva-1/overlay",
        "/feeds/geneva-1/embed",
        "/embed.js",
        "/viewer/feed.js",
        "/healthz",
        "/readyz",
    ] {
        assert_eq!(server.get(open).await.status, 200, "{open}");
    }
    server.get("/nothing").await.assert_problem(404, "not_found");
}

#[tokio::test]
async fn sockets_say_it_as_a_close_code() {
    let server = Server::start_with(&role_tokens());
    for (token, path, expected) in [
        ("", "geneva-1/publish", "4500"),
        ("wrong", "geneva-1/publish", "4500"),
        ("tok-subscribe", "geneva-1/publish", "4501"),
        ("tok-publish", "geneva-1/publish", "4501"),
        ("tok-all", "paris/publish", "4501"),
        ("tok-all", "geneva-1/publish", "welcome"),
        ("tok-publish", "geneva-1/publish", "welcome"),
        ("", "geneva-1/subscribe", "4500"),
        ("wrong", "geneva-1/subscribe", "4500"),
        ("tok-publish", "geneva-1/subscribe", "4501"),
        ("tok-all", "paris/subscribe?wait=true", "4501"),
        ("tok-subscribe", "geneva-1/subscribe", "hello"),
        ("tok-subscribe", "geneva-1/subscribe?pace=max", "hello"),
        // Browsers cannot send the header.
        ("", "geneva-1/subscribe?token=tok-subscribe", "hello"),
        ("", "geneva-1/publish?token=tok-publish", "welcome"),
        ("", "geneva-1/subscribe?token=wrong", "4500"),
        ("wrong", "geneva-1/subscribe?token=tok-subscribe", "4500"),
    ] {
        assert_eq!(greeting(&server, token, path).await, expected, "{token:?} {path}");
    }
    // Nor can they for events, and what reads braille for text.
    for what in ["events", "text"] {
        let ask = async |token| server.get(&format!("/v1/feeds/geneva-1/{what}?until=head&token={token}")).await;
        assert_eq!(ask("tok-subscribe").await.status, 200);
        ask("wrong").await.assert_problem(401, "unauthorised");
    }
    let in_url = server.get("/v1/feeds/geneva-1?token=tok-subscribe").await;
    in_url.assert_problem(401, "unauthorised");
}

#[tokio::test]
async fn anybody_may_what_anonymous_says() {
    let anonymous = "[auth.anonymous]\nroles = [\"subscribe\"]\nfeeds = [\"public-*\"]\n";
    let config = entry("maker", &ROLES, &["*"], "") + anonymous;
    let server = Server::start_with(&config);
    for feed in ["public-1", "secret-1"] {
        assert_eq!(ask(&server, "maker", "PUT", &format!("/v1/feeds/{feed}"), b"").await.status, 201);
    }
    let names = |answer: Answer| -> Vec<Value> {
        answer.json()["feeds"].as_array().expect("feeds").iter().map(|feed| feed["feed"].clone()).collect()
    };
    assert_eq!(names(server.get("/v1/feeds").await), [json!("public-1")]);
    assert_eq!(names(ask(&server, "maker", "GET", "/v1/feeds", b"").await).len(), 2);
    assert_eq!(greeting(&server, "", "public-1/subscribe").await, "hello");
    assert_eq!(greeting(&server, "", "secret-1/subscribe").await, "4500");
    assert_eq!(greeting(&server, "", "public-1/publish").await, "4500");
    server.get("/v1/feeds/secret-1").await.assert_problem(401, "unauthorised");
    // Who sends a token means it.
    ask(&server, "wrong", "GET", "/v1/feeds/public-1", b"").await.assert_problem(401, "unauthorised");
}

fn now() -> i64 {
    Clock::of_this_machine().now().0 / 1000
}

fn sign(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).expect("signed")
}

/// A server that takes tokens signed with [`SECRET`]; `more` goes into `[auth.jwt]`.
fn jwt_server(dir: &Path, more: &str) -> Server {
    let path = dir.join("secret");
    std::fs::write(&path, format!("{SECRET}\n")).expect("written");
    Server::start_with(&format!("[auth.jwt]\nhs256_secret_file = {path:?}\n{more}"))
}

#[tokio::test]
async fn signed_tokens_as_a_table() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = jwt_server(dir.path(), "issuer = \"us\"\naudience = \"captions\"");
    let good = json!({"exp": now() + 600, "iss": "us", "aud": "captions", "roles": ROLES, "feeds": ["geneva-*"]});
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().expect("an object").remove(name);
        claims
    };
    for (claims, expected) in [
        (good.clone(), "welcome"),
        (with("aud", json!(["captions", "else"])), "welcome"),
        (with("roles", json!(["publish", "create", "of a later release"])), "welcome"),
        (with("roles", json!(["subscribe"])), "4501"),
        (with("feeds", json!(["paris"])), "4501"),
        (without("roles"), "4501"),
        (without("feeds"), "4501"),
        (with("views", json!(["public"])), "4501"),
        (with("feeds", json!(["*", "*-*"])), "4500"),
        (without("exp"), "4500"),
        (with("exp", json!(now() - 1)), "4500"),
        (with("exp", json!("tomorrow")), "4500"),
        (with("nbf", json!(now() + 600)), "4500"),
        (without("iss"), "4500"),
        (with("iss", json!("them")), "4500"),
        (with("iss", json!(["us"])), "4500"),
        (with("iss", json!(["us", "them"])), "4500"),
        (without("aud"), "4500"),
        (with("aud", json!("else")), "4500"),
    ] {
        assert_eq!(greeting(&server, &sign(&claims), "geneva-1/publish").await, expected, "{claims}");
    }
    // Extensions that have to be understood, and are not: RFC 7515, section 4.1.11, and RFC 7797.
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let with_header = |header: Value| {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&good));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("signed");
        format!("{message}.{signature}")
    };
    for (header, expected) in [
        (json!({"alg": "HS256"}), "welcome"),
        (json!({"alg": "HS256", "crit": ["exp"]}), "4500"),
        (json!({"alg": "HS256", "crit": ["b64"], "b64": false}), "4500"),
        (json!({"alg": "HS256", "b64": true}), "4500"),
    ] {
        assert_eq!(greeting(&server, &with_header(header.clone()), "geneva-1/publish").await, expected, "{header}");
    }
    // Not signed at all, and signed by somebody else.
    let token = sign(&good);
    let (head, signature) = token.rsplit_once('.').expect("a signature");
    let payload = head.split('.').nth(1).expect("a payload");
    let none = format!("eyJhbGciOiJub25lIn0.{payload}.");
    let other = EncodingKey::from_secret(b"another secret, which is long enough too");
    let other = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &good, &other).expect("signed");
    for bad in [format!("{head}."), none, other, format!("x{token}"), signature.to_owned()] {
        assert_eq!(greeting(&server, &bad, "geneva-1/publish").await, "4500");
    }
}

#[tokio::test]
async fn an_issuer_is_a_string_also_where_none_is_asked_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = jwt_server(dir.path(), "");
    for (iss, expected) in [
        (json!("anybody"), "welcome"),
        (json!(["anybody"]), "4500"),
        (json!(7), "4500"),
        (json!({"name": "anybody"}), "4500"),
        (json!(null), "4500"),
    ] {
        let claims = json!({"exp": now() + 600, "iss": iss, "roles": ROLES, "feeds": ["*"]});
        assert_eq!(greeting(&server, &sign(&claims), "geneva-1/publish").await, expected, "{iss}");
    }
}

#[tokio::test]
async fn public_keys_sign_for_their_own_algorithm_only() {
    // The first key of RFC 8032, section 7.1.
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
    let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let pkcs8 = format!("302e020100300506032b657004220420{seed}");
    let der: Vec<u8> = (0..pkcs8.len() / 2)
        .map(|at| u8::from_str_radix(&pkcs8[2 * at..2 * at + 2], 16).expect("hexadecimal"))
        .collect();
    let claims = json!({"exp": now() + 600, "roles": ROLES, "feeds": ["*"]});
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some("one".into());
    let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(&der)).expect("signed");
    // What everybody has is no shared secret.
    let confused = EncodingKey::from_secret(PUBLIC.as_bytes());
    let confused = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &confused).expect("signed");

    let dir = tempfile::tempdir().expect("a directory");
    let (pem, set) = (dir.path().join("key.pem"), dir.path().join("jwks.json"));
    std::fs::write(&pem, PUBLIC).expect("written");
    let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    std::fs::write(&set, json!({"keys": [key]}).to_string()).expect("written");
    for (setting, path) in [("eddsa_public_key_file", &pem), ("jwks_file", &set)] {
        let server = Server::start_with(&format!("[auth.jwt]\n{setting} = {path:?}\n"));
        assert_eq!(greeting(&server, &token, "geneva/publish").await, "welcome", "{setting}");
        assert_eq!(greeting(&server, &confused, "geneva/publish").await, "4500", "{setting}");
    }
}

#[tokio::test]
async fn a_connection_ends_with_its_token() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = jwt_server(dir.path(), "");
    let token = sign(&json!({"exp": now() + 4, "roles": ROLES, "feeds": ["*"]}));
    let mut publisher = socket(&server, &token, "geneva/publish").await;
    publisher.expect_next("welcome").await;
    publisher.send(json!({"type": "line", "id": "1", "start_ms": 0, "text": "one"})).await;
    publisher.acked(1).await;
    let mut reader = socket(&server, &token, "geneva/subscribe").await;
    let mut waiting = socket(&server, &token, "paris/subscribe?wait=true").await;
    let events = server.get(&format!("/v1/feeds/geneva/events?token={token}")).await;
    assert!(events.status == 200 && events.text().contains("live"), "it ends, and not before the token does");
    for socket in [&mut publisher, &mut reader, &mut waiting] {
        let (code, reason) = socket.closed().await;
        assert_eq!((code, reason.as_str()), (4500, "the token has expired"));
    }
    assert_eq!(greeting(&server, &token, "geneva/subscribe").await, "4500");
}

#[tokio::test]
async fn what_a_token_opened_ends_when_it_is_taken_back() {
    let kept = entry("kept", &ROLES, &["*"], "");
    let anonymous = |feeds: &str| format!("[auth.anonymous]\nroles = [\"subscribe\"]\nfeeds = [\"{feeds}\"]\n");
    let before = [&kept, &entry("gone", &ROLES, &["*"], ""), &entry("changed", &ROLES, &["*"], "")];
    let config = before.map(String::as_str).concat() + &anonymous("*");
    let (server, log) = Server::start_logging(&config);
    let mut publisher = socket(&server, "kept", "geneva/publish").await;
    publisher.expect_next("welcome").await;
    let mut reader = socket(&server, "kept", "geneva/subscribe").await;
    reader.expect("live").await;
    let mut gone = socket(&server, "gone", "geneva/publish?source=other").await;
    gone.expect_next("welcome").await;
    let mut gone_reader = socket(&server, "gone", "geneva/subscribe").await;
    gone_reader.expect("live").await;
    let mut many = Socket::connect(&format!("ws://{}/v1/subscribe?token=gone", server.addr())).await;
    many.send(json!({"type": "subscribe", "feed": "geneva"})).await;
    many.expect("live").await;
    let mut events = soon(TcpStream::connect(server.addr())).await.expect("connected");
    let get = b"GET /v1/feeds/geneva/events?token=gone HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    soon(events.write_all(get)).await.expect("written");
    let mut begin = [0; 15];
    soon(events.read_exact(&mut begin)).await.expect("an answer");
    assert_eq!(&begin, b"HTTP/1.1 200 OK");
    let mut changed = socket(&server, "changed", "geneva/subscribe").await;
    changed.expect("live").await;
    let mut anybody = socket(&server, "", "geneva/subscribe").await;
    anybody.expect("live").await;

    // What cannot be read takes nothing from anybody.
    server.write_config("[auth]\ntokens = 5");
    server.signal("HUP");
    logged(&log, "all that was in use stays in use", 1).await;
    server.write_config(&(kept.clone() + &entry("changed", &["publish"], &["*"], "") + &anonymous("public-*")));
    server.signal("HUP");
    logged(&log, "[auth] was read again", 1).await;
    let mut rest = String::new();
    soon(events.read_to_string(&mut rest)).await.expect("it ends");
    for socket in [&mut gone, &mut gone_reader, &mut many] {
        let (code, reason) = socket.closed().await;
        assert_eq!((code, reason.as_str()), (4500, "the token was taken back"));
    }
    // These come again, and are told what they may do now.
    for socket in [&mut changed, &mut anybody] {
        assert_eq!(socket.closed().await.0, 1001);
    }
    assert_eq!(greeting(&server, "changed", "geneva/subscribe").await, "4501");
    assert_eq!(greeting(&server, "", "geneva/subscribe").await, "4500");
    assert_eq!(greeting(&server, "gone", "geneva/subscribe").await, "4500");
    ask(&server, "gone", "GET", "/v1/feeds", b"").await.assert_problem(401, "unauthorised");
    // Nobody else noticed.
    publisher.send(json!({"type": "line", "id": "1", "start_ms": 0, "text": "one"})).await;
    publisher.acked(1).await;
    assert_eq!(reader.expect("changes").await["lines"][0]["text"], "one");
}

#[tokio::test]
async fn wrong_tokens_are_limited_and_right_ones_are_not() {
    let server = Server::start_with(&("[limits]\nwrong_tokens_per_minute = 3\n".to_owned() + &role_tokens()));
    for _ in 0..3 {
        ask(&server, "wrong", "GET", "/v1/feeds", b"").await.assert_problem(401, "unauthorised");
    }
    let answer = ask(&server, "wrong", "GET", "/v1/feeds", b"").await;
    answer.assert_problem(429, "too_many_attempts");
    assert_eq!(answer.header("retry-after"), Some("60"));
    assert_eq!(greeting(&server, "wrong", "geneva-1/subscribe").await, "4002");
    assert_eq!(ask(&server, "tok-all", "GET", "/v1/feeds", b"").await.status, 200);
    assert_eq!(greeting(&server, "tok-all", "geneva-1/publish").await, "welcome");
    // Neither who sends none, nor who may not do something, tries tokens.
    ask(&server, "", "GET", "/v1/feeds", b"").await.assert_problem(401, "unauthorised");
    ask(&server, "tok-publish", "GET", "/v1/feeds", b"").await.assert_problem(403, "forbidden");
}

#[tokio::test]
async fn one_token_does_not_fill_the_archive() {
    let config = "[limits]\nfeeds_created_per_hour = 2\n".to_owned()
        + &entry("engine", &["publish", "create"], &["*"], "")
        + &entry("other", &["publish", "create"], &["*"], "")
        + &entry("small", &["publish", "create"], &["room-*"], "feeds_max = 1");
    let server = Server::start_with(&config);
    let line = br#"{"id":"1","start_ms":0,"text":"one"}"#;
    let post = async |token, feed: &str| ask(&server, token, "POST", &format!("/v1/feeds/{feed}/lines"), line).await;
    for feed in ["a", "b", "a", "b"] {
        assert_eq!(post("engine", feed).await.status, 200, "{feed}");
    }
    post("engine", "c").await.assert_problem(503, "too_many_feeds");
    assert_eq!(greeting(&server, "engine", "c/publish").await, "4002");
    assert_eq!(greeting(&server, "engine", "a/publish").await, "welcome");
    assert_eq!(post("other", "c").await.status, 200);
    assert_eq!(post("small", "room-1").await.status, 200);
    post("small", "room-2").await.assert_problem(503, "too_many_feeds");
    assert_eq!(post("small", "room-1").await.status, 200);
}

#[tokio::test]
async fn feeds_are_counted_that_came_to_be_however_many_are_asked_for_at_once() {
    let config = "[limits]\nfeeds_max = 3\nfeeds_created_per_hour = 2\n".to_owned()
        + &entry("engine", &["publish", "create"], &["*"], "")
        + &entry("rooms", &["publish", "create"], &["room-*"], "feeds_max = 1")
        + &entry("all", &ROLES, &["*"], "");
    let server =
        Server::start_with(&(config + "\n[auth.anonymous]\nroles = [\"publish\", \"create\"]\nfeeds = [\"open-*\"]\n"));
    let line = br#"{"id":"1","start_ms":0,"text":"one"}"#;
    let post = async |token, feed: &str| ask(&server, token, "POST", &format!("/v1/feeds/{feed}/lines"), line).await;
    let names: Vec<String> = (0..8).map(|number| format!("room-{number}")).collect();
    let at_once = futures::future::join_all(names.iter().map(|name| post("rooms", name))).await;
    assert_eq!(at_once.iter().filter(|answer| answer.status == 200).count(), 1);
    for feed in ["a", "open-1"] {
        assert_eq!(post(if feed == "a" { "engine" } else { "" }, feed).await.status, 200, "{feed}");
    }
    // The archive is full: what is not created counts for nothing.
    for _ in 0..4 {
        post("engine", "b").await.assert_problem(503, "too_many_feeds");
        post("", "open-2").await.assert_problem(503, "too_many_feeds");
    }
    for (token, gone, feed) in [("engine", "a", "b"), ("", "open-1", "open-2")] {
        assert_eq!(ask(&server, "all", "DELETE", &format!("/v1/feeds/{gone}"), b"").await.status, 204);
        assert_eq!(post(token, feed).await.status, 200, "{feed}");
    }
    assert_eq!(ask(&server, "all", "DELETE", "/v1/feeds/b", b"").await.status, 204);
    for (token, feed, by) in [("engine", "c", "this token created"), ("", "open-3", "this address created")] {
        let refused = post(token, feed).await;
        refused.assert_problem(503, "too_many_feeds");
        assert!(refused.text().contains(by), "{}", refused.text());
    }
}

#[tokio::test]
async fn a_source_is_held_to() {
    let config = entry("asr", &["publish", "create"], &["geneva"], "source = \"asr\"");
    let expired = entry("old", &ROLES, &["*"], "expires_at = \"2020-01-01T00:00:00Z\"");
    let server = Server::start_with(&(config + &expired));
    let mut publisher = socket(&server, "asr", "geneva/publish").await;
    assert_eq!(publisher.expect_next("welcome").await["source"], "asr");
    assert_eq!(greeting(&server, "asr", "geneva/publish?source=asr").await, "welcome");
    assert_eq!(greeting(&server, "asr", "geneva/publish?source=main").await, "4501");
    let answer = ask(&server, "asr", "POST", "/v1/feeds/geneva/lines?source=main", b"{\"text\":\"a\"}").await;
    answer.assert_problem(403, "forbidden");
    assert_eq!(greeting(&server, "old", "geneva/publish").await, "4500");
}

#[tokio::test]
async fn neither_tokens_nor_texts_are_logged() {
    let (mut server, log) = Server::start_logging(&role_tokens());
    assert_eq!(greeting(&server, "", "geneva-1/publish?token=wr0ng-t0ken").await, "4500");
    assert_eq!(greeting(&server, "wr0ng-t0ken", "geneva-1/publish").await, "4500");
    ask(&server, "wr0ng-t0ken", "GET", "/v1/feeds", b"").await.assert_problem(401, "unauthorised");
    let mut publisher = socket(&server, "", "geneva-1/publish?token=tok-all").await;
    publisher.expect_next("welcome").await;
    publisher.send(json!({"type": "line", "id": "1", "start_ms": 0, "text": "wh4t-was-said"})).await;
    publisher.send(json!({"type": "line", "id": "2", "start_ms": -1, "text": "wh4t-was-said"})).await;
    publisher.acked(1).await;
    let mut reader = socket(&server, "", "geneva-1/subscribe?token=tok-subscribe").await;
    reader.expect("live").await;
    assert!(server.stop().success());
    let log = std::fs::read_to_string(log).expect("a log");
    assert!(log.contains("\"level\""), "{log}");
    for told in ["feed created by a publisher", "reader connected", "reader left"] {
        assert!(log.contains(told), "{told} is not in {log}");
    }
    for secret in ["wr0ng-t0ken", "tok-all", "tok-subscribe", "wh4t-was-said"] {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
}

/// Runs the binary to its end.
fn run(args: &[&str], env: &[(&str, &str)]) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_captionwire"));
    let output = command.args(args).envs(env.iter().copied()).stdin(Stdio::null()).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn a_server_beyond_this_machine_says_who_may() {
    let (ok, _, stderr) = run(&["serve", "--listen", "0.0.0.0:0", "--ephemeral"], &[]);
    assert!(!ok && stderr.contains("auth"), "{stderr}");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("c.toml");
    std::fs::write(&file, "[auth.jwt]\nhs256_secret_file = \"/nowhere/secret\"\n").expect("written");
    let (ok, _, stderr) = run(&["serve", "--ephemeral", "--config", file.to_str().expect("a path")], &[]);
    assert!(!ok && stderr.contains("/nowhere/secret"), "{stderr}");

    let server = Server::start_with(&format!("[auth]\npublic_url = \"https://a.example\"\n{}", role_tokens()));
    let bearer = ("Authorization", "Bearer tok-subscribe");
    let status = async |headers: &[(&str, &str)]| server.http("GET", "/v1/feeds", headers, b"").await.status;
    assert_eq!(status(&[bearer, ("Host", "a.example")]).await, 200);
    assert_eq!(status(&[bearer, ("Host", "a.example"), ("Origin", "https://a.example")]).await, 200);
    assert_eq!(status(&[bearer, ("Host", "b.example")]).await, 403);
    assert_eq!(status(&[bearer, ("Host", "user@a.example")]).await, 400);
    // Health checks ask by address.
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.http("GET", path, &[("Host", "10.0.0.7:7700")], b"").await.status, 200);
    }
    assert_eq!(status(&[bearer, ("Host", "a.example"), ("Origin", "https://b.example")]).await, 403);
}

#[tokio::test]
async fn the_commands_make_tokens_and_send_them() {
    let granted = ["--role", "publish", "--role", "create", "--role", "subscribe", "--feed", "geneva-*"];
    let (ok, token, entry) = run(&[&["token", "new", "--name", "a \"b\""][..], &granted].concat(), &[]);
    assert!(ok, "{entry}");
    let entry = &entry[entry.find("[[auth.tokens]]").expect("an entry")..];
    assert!(!entry.contains(token.trim()) && token.trim().len() > 60, "{entry}");
    let dir = tempfile::tempdir().expect("a directory");
    let secret = dir.path().join("secret");
    std::fs::write(&secret, SECRET).expect("written");
    let server = Server::start_with(&format!("[auth.jwt]\nhs256_secret_file = {secret:?}\n{entry}"));
    let file = ["token", "jwt", "--expires-in", "1h", "--hs256-secret-file", secret.to_str().expect("a path")];
    let (ok, signed, stderr) = run(&[&file[..], &granted].concat(), &[]);
    assert!(ok, "{stderr}");

    let url = format!("http://{}", server.addr());
    let captions = dir.path().join("captions.txt");
    std::fs::write(&captions, "A: one\n").expect("written");
    for token in [token.trim(), signed.trim()] {
        let sent = ["publish", "geneva-1", "--url", &url, captions.to_str().expect("a path")];
        let (ok, _, stderr) = run(&sent, &[("CAPTIONWIRE_TOKEN", token)]);
        assert!(ok, "{stderr}");
        let (ok, stdout, stderr) = run(&["feeds", "--url", &url, "--token", token], &[]);
        assert!(ok && stdout.contains("geneva-1"), "{stdout} {stderr}");
    }
    let (ok, stdout, stderr) = run(&["feeds", "--url", &url, "--token", "no-such-t0ken"], &[]);
    assert!(!ok && !format!("{stdout}{stderr}").contains("no-such-t0ken"), "{stderr}");
    let (ok, _, stderr) = run(&["feeds", "--url", &url, "--token", "tw0 words"], &[]);
    assert!(!ok && !stderr.contains("tw0"), "{stderr}");
}
