//! Webhooks and pushes of the real binary: to a small receiver that does as it is told, and to another server.
#![allow(clippy::disallowed_methods, reason = "a receiver ends with its test")]

use crate::support;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Screen, Server, Socket, line, soon};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

/// The bytes 0 to 23, and 24 others.
pub(super) const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
const OLD_SECRET: &str = "whsec_FxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA";
/// Retries at once, so that tests need not wait; and no turn is closed by the time that a busy machine takes.
pub(super) const FAST: &str =
    "[deliveries]\nretry_first_ms = 5\nretry_max_ms = 40\n[times]\nidle_clock_after_ms = 3600000\n";

/// A request that came.
#[derive(Debug, Clone)]
pub(super) struct Post {
    pub(super) head: String,
    pub(super) body: String,
}

impl Post {
    fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).unwrap_or_else(|| panic!("{name}: {self:?}")).1
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn text(&self) -> String {
        self.json()["turn"]["text"].as_str().unwrap_or_default().to_owned()
    }
}

/// What answers posts: each with the next of the answers that it was given, then with 200. What it answered is told.
pub(super) struct Receiver {
    pub(super) addr: String,
    posts: mpsc::Receiver<Post>,
    answers: Arc<Mutex<VecDeque<&'static str>>>,
    /// One for each request that may be answered.
    gate: Arc<Semaphore>,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let this = Self::start_closed().await;
        this.gate.add_permits(Semaphore::MAX_PERMITS / 2);
        this
    }

    /// One that answers nobody until its gate is opened.
    async fn start_closed() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address").to_string();
        let (sender, posts) = mpsc::channel(10_000);
        let (answers, gate) = (Arc::new(Mutex::new(VecDeque::new())), Arc::new(Semaphore::new(0)));
        let told = (answers.clone(), gate.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, (answers, gate)) = (sender.clone(), told.clone());
                tokio::spawn(async move {
                    let _ = answer(stream, &sender, &answers, &gate).await;
                });
            }
        });
        Self { addr, posts, answers, gate }
    }

    pub(super) fn will_answer(&self, answers: &[&'static str]) {
        self.answers.lock().expect("no panic").extend(answers);
    }

    pub(super) async fn next(&mut self) -> Post {
        soon(self.posts.recv()).await.expect("the receiver runs")
    }

    /// The next that is a turn.
    pub(super) async fn turn(&mut self) -> Post {
        loop {
            let post = self.next().await;
            if post.json()["type"] == "turn" {
                return post;
            }
        }
    }

    /// What came by now.
    fn rest(&mut self) -> Vec<Post> {
        std::iter::from_fn(|| self.posts.try_recv().ok()).collect()
    }
}

async fn answer(
    stream: TcpStream,
    told: &mpsc::Sender<Post>,
    answers: &Mutex<VecDeque<&'static str>>,
    gate: &Semaphore,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await?;
    gate.acquire().await.expect("open").forget();
    let answer = answers.lock().expect("no panic").pop_front().unwrap_or("200 OK");
    // First told: whoever is answered may be asked what it told.
    let _ = told.send(Post { head, body: String::from_utf8(body).expect("UTF-8") }).await;
    stream.write_all(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes()).await
}

/// RFC 2104, by the book.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

/// Holds a post to what Standard Webhooks says of its headers.
#[track_caller]
pub(super) fn assert_signed(post: &Post, secrets: &[&str]) {
    let (id, timestamp) = (post.header("webhook-id"), post.header("webhook-timestamp"));
    let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    assert!(now.abs_diff(timestamp.parse().expect("seconds")) < 300, "{timestamp} is not {now}");
    let signed = secrets.iter().map(|secret| {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("a secret")).expect("base 64");
        let message = format!("{id}.{timestamp}.{}", post.body);
        format!("v1,{}", STANDARD.encode(hmac(&key, message.as_bytes())))
    });
    assert_eq!(post.header("webhook-signature"), signed.collect::<Vec<_>>().join(" "));
    assert_eq!(post.header("content-type"), "application/json");
}

fn hook(name: &str, receiver: &Receiver, more: &str) -> String {
    let addr = &receiver.addr;
    format!("[[webhooks]]\nname = \"{name}\"\nurl = \"http://{addr}/hook?key=1\"\nsecrets = [\"{SECRET}\"]\n{more}\n")
}

/// Publishes turns of one line each, by two speakers in turn: all but the last are closed.
pub(super) async fn publish(publisher: &mut Socket, numbers: std::ops::Range<u64>) {
    let last = numbers.end - 1;
    for number in numbers {
        let speaker = if number % 2 == 0 { "A" } else { "B" };
        let start_ms = i64::try_from(number * 1000).expect("small");
        let mut line = line(&number.to_string(), start_ms, speaker, &format!("text {number}"));
        line["seq"] = json!(number + 1);
        publisher.send(line).await;
    }
    publisher.acked(last + 1).await;
}

pub(super) async fn publisher(server: &Server, feed: &str) -> Socket {
    let mut publisher = server.publish(&format!("{feed}/publish?session=p")).await;
    publisher.expect_next("welcome").await;
    publisher
}

/// How a target stands.
async fn standing(server: &Server, name: &str) -> Value {
    let all = server.get("/v1/deliveries").await.json();
    let all = all["deliveries"].as_array().expect("a list").clone();
    all.into_iter().find(|target| target["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}

pub(super) async fn until_standing(server: &Server, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let looking = async {
        loop {
            let standing = standing(server, name).await;
            if wanted(&standing) {
                return standing;
            }
        }
    };
    soon(looking).await
}

#[tokio::test]
async fn closed_turns_are_posted_signed_and_again_when_they_change() {
    let mut receiver = Receiver::start().await;
    let config = hook("cms", &receiver, "headers = { X-Tenant = \"a b\" }\nfeeds = [\"gen*\"]");
    let both = format!("[\"{SECRET}\", \"{OLD_SECRET}\"]");
    let config = FAST.to_owned() + &config.replace(&format!("[\"{SECRET}\"]"), &both);
    let server = Server::start_with(&config);
    publish(&mut publisher(&server, "other").await, 0..3).await;
    let mut publisher = publisher(&server, "geneva").await;
    publisher.send(json!({"type": "line", "seq": 1, "id": "g", "start_ms": 0, "speaker": "A", "text": "a guess", "status": "interim"})).await;
    publisher
        .send(json!({"type": "line", "seq": 2, "id": "1", "start_ms": 0, "speaker": "A", "text": "Good evening."}))
        .await;
    publisher
        .send(json!({"type": "line", "seq": 3, "id": "2", "start_ms": 1000, "speaker": "B", "text": "Good."}))
        .await;
    let first = receiver.turn().await;
    assert_signed(&first, &[SECRET, OLD_SECRET]);
    assert!(first.head.starts_with("POST /hook?key=1 HTTP/1.1\r\n"), "{}", first.head);
    assert_eq!(first.header("x-tenant"), "a b");
    let message = first.json();
    assert_eq!((&message["feed"], &message["turn"]["text"]), (&json!("geneva"), &json!("Good evening.")));
    assert_eq!((&message["turn"]["state"], &message["turn"]["id"]), (&json!("closed"), &json!("main/1")));

    // A correction, and a line that is taken back.
    publisher.send(json!({"type": "line", "seq": 4, "id": "1", "rev": 7, "start_ms": 0, "speaker": "A", "text": "Good morning."})).await;
    let second = receiver.turn().await;
    assert_signed(&second, &[SECRET, OLD_SECRET]);
    assert_eq!(second.text(), "Good morning.");
    assert!(second.json()["turn"]["rev"].as_u64() > message["turn"]["rev"].as_u64(), "{second:?}");
    assert_ne!(first.header("webhook-id"), second.header("webhook-id"));
    publisher.send(json!({"type": "retract", "seq": 5, "id": "1"})).await;
    let gone = loop {
        let post = receiver.next().await;
        assert!(!post.body.contains("a guess"), "{post:?}");
        if post.json()["type"] == "turn_gone" {
            break post;
        }
    };
    assert_eq!(gone.json()["id"], "main/1");

    // The same as a subscriber of turns has in the end.
    let standing = until_standing(&server, "cms", |it| it["waiting"] == 0).await;
    assert_eq!((&standing["state"], &standing["kind"]), (&json!("ok"), &json!("webhook")));
    let metrics = server.get("/metrics").await.text();
    assert!(metrics.contains("captionwire_deliveries_total{to=\"cms\",outcome=\"sent\"}"), "{metrics}");
}

#[tokio::test]
async fn what_fails_is_tried_again_and_nothing_overtakes_it() {
    let mut receiver = Receiver::start().await;
    receiver.will_answer(&[
        "500 Internal Server Error",
        // Not followed: it would lead to itself.
        "307 Temporary Redirect\r\nLocation: /elsewhere",
        "429 Too Many Requests\r\nRetry-After: 0",
        "503 Service Unavailable\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT",
        "404 Not Found",
    ]);
    let server = Server::start_with(&format!("{FAST}{}", hook("cms", &receiver, "")));
    publish(&mut publisher(&server, "geneva").await, 0..5).await;
    let tries = [receiver.next().await, receiver.next().await, receiver.next().await, receiver.next().await];
    let id = tries[0].header("webhook-id").to_owned();
    let again = receiver.next().await;
    for post in tries.iter().chain([&again]) {
        assert_eq!((post.header("webhook-id"), &post.body), (&*id, &tries[0].body), "{post:?}");
        assert!(post.head.starts_with("POST /hook?key=1 "), "{}", post.head);
        assert_signed(post, &[SECRET]);
    }
    for number in 0..4 {
        assert_eq!(receiver.turn().await.text(), format!("text {number}"));
    }
    let standing = until_standing(&server, "cms", |it| it["waiting"] == 0).await;
    assert_eq!(standing["state"], "ok");
    assert!(standing["last_failure"].as_str().expect("a cause").contains("404"), "{standing}");
}

#[tokio::test]
async fn a_pause_that_is_asked_for_is_made() {
    let mut receiver = Receiver::start().await;
    receiver.will_answer(&["503 Service Unavailable\r\nRetry-After: 3600"]);
    let mut other = Receiver::start().await;
    let config = format!("{FAST}{}{}", hook("busy", &receiver, ""), hook("other", &other, ""));
    let server = Server::start_with(&config);
    publish(&mut publisher(&server, "geneva").await, 0..2).await;
    receiver.next().await;
    until_standing(&server, "busy", |it| it["state"] == "failing").await;
    // Another feed is not tried either. When the other target has all of it, the busy one was rung for long ago.
    publish(&mut publisher(&server, "paris").await, 0..40).await;
    while other.turn().await.text() != "text 38" {}
    assert_eq!(receiver.rest().len(), 0);
    assert_eq!(standing(&server, "busy").await["waiting"], 2);
}

#[tokio::test]
async fn nothing_is_missing_after_kill_nine() {
    let mut receiver = Receiver::start().await;
    let mut server = Server::start_with(&format!("{FAST}{}", hook("cms", &receiver, "")));
    let mut posts = Vec::new();
    for round in 0..4_u64 {
        let mut publisher = publisher(&server, "geneva").await;
        publish(&mut publisher, round * 30..(round + 1) * 30).await;
        for _ in 0..7 {
            posts.push(receiver.next().await);
        }
        server.kill();
        server.restart();
    }
    while posts.last().is_none_or(|post| post.text() != "text 118") {
        posts.push(receiver.next().await);
    }
    until_standing(&server, "cms", |it| it["waiting"] == 0).await;
    posts.extend(receiver.rest());
    // What came twice came under the same number both times, and a crash repeats one at most.
    let count = posts.len();
    let mut known = std::collections::HashMap::new();
    posts.retain(|post| known.insert(post.header("webhook-id").to_owned(), post.body.clone()).is_none());
    assert!(count - posts.len() <= 4, "{count} posts, and {} of them new", posts.len());
    let turns = posts.iter().filter(|post| post.json()["type"] == "turn" && post.json()["turn"]["rev"] == 0);
    let texts: Vec<_> = turns.map(Post::text).collect();
    assert_eq!(texts, (0..119).map(|number| format!("text {number}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_slow_receiver_holds_up_nobody() {
    let mut slow = Receiver::start_closed().await;
    let mut fast = Receiver::start().await;
    let config = format!("{FAST}{}{}", hook("slow", &slow, ""), hook("fast", &fast, ""));
    let server = Server::start_with(&config);
    let (mut geneva, mut paris) = (publisher(&server, "geneva").await, publisher(&server, "paris").await);
    publish(&mut geneva, 0..20).await;
    publish(&mut paris, 0..20).await;
    for _ in 0..38 {
        fast.turn().await;
    }
    assert!(slow.rest().is_empty());
    let standing = standing(&server, "slow").await;
    assert_eq!((&standing["waiting"], &standing["state"]), (&json!(2), &json!("ok")));
    slow.gate.add_permits(1000);
    let mut texts = [Vec::new(), Vec::new()];
    for _ in 0..38 {
        let turn = slow.turn().await;
        texts[usize::from(turn.json()["feed"] == "paris")].push(turn.text());
    }
    for feed in texts {
        assert_eq!(feed, (0..19).map(|number| format!("text {number}")).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_deleted_feed_is_void_and_its_name_begins_anew() {
    let mut receiver = Receiver::start().await;
    let mut server = Server::start_with(&format!("{FAST}{}", hook("cms", &receiver, "")));
    publish(&mut publisher(&server, "geneva").await, 0..3).await;
    while receiver.turn().await.text() != "text 1" {}
    // What fails is told all the same.
    receiver.will_answer(&["500 Internal Server Error"; 3]);
    assert_eq!(server.http("DELETE", "/v1/feeds/geneva", &[], b"").await.status, 204);
    let reset = loop {
        let post = receiver.next().await;
        if post.json()["type"] == "reset" {
            break post;
        }
    };
    assert_eq!(reset.json(), json!({"type": "reset", "feed": "geneva", "reason": "deleted"}));
    assert_signed(&reset, &[SECRET]);
    until_standing(&server, "cms", |it| it["waiting"] == 0).await;
    let texts = receiver.rest().iter().map(Post::text).collect::<String>();
    assert!(!texts.contains("text"), "{texts}");

    // Twice the same is no repeat of the first.
    for round in 0..2 {
        assert_eq!(server.json("PUT", "/v1/feeds/geneva", json!({"title": "Again"})).await.status, 201, "{round}");
        server.json("POST", "/v1/feeds/geneva/state", json!({"state": "live"})).await;
        publish(&mut publisher(&server, "geneva").await, 0..3).await;
        while receiver.turn().await.text() != "text 1" {}
        if round == 0 {
            // A deletion that nobody was told before the end of the server.
            receiver.will_answer(&["500 Internal Server Error"; 1000]);
            server.http("DELETE", "/v1/feeds/geneva", &[], b"").await;
            server.kill();
            receiver.answers.lock().expect("no panic").clear();
            receiver.rest();
            server.restart();
            let again = loop {
                let post = receiver.next().await;
                if post.json()["type"] == "reset" {
                    break post;
                }
            };
            assert_ne!(again.header("webhook-id"), reset.header("webhook-id"));
            assert_eq!(again.body, reset.body);
            until_standing(&server, "cms", |it| it["waiting"] == 0).await;
            receiver.rest();
        }
    }
}

#[tokio::test]
async fn one_that_is_gone_is_left_alone_until_a_restart() {
    let mut receiver = Receiver::start().await;
    receiver.will_answer(&["410 Gone"]);
    let mut other = Receiver::start().await;
    let mut server = Server::start_with(&format!("{FAST}{}{}", hook("gone", &receiver, ""), hook("other", &other, "")));
    let mut publisher = publisher(&server, "geneva").await;
    publish(&mut publisher, 0..2).await;
    let first = receiver.next().await;
    until_standing(&server, "gone", |it| it["state"] == "gone").await;
    publish(&mut publisher, 2..4).await;
    while other.turn().await.text() != "text 2" {}
    assert!(receiver.rest().is_empty());
    let metrics = server.get("/metrics").await.text();
    assert!(metrics.contains("captionwire_deliveries_gone{to=\"gone\"} 1"), "{metrics}");
    server.kill();
    server.restart();
    // With what it was not sent.
    assert_eq!(receiver.next().await.header("webhook-id"), first.header("webhook-id"));
    while receiver.turn().await.text() != "text 2" {}
}

#[tokio::test]
async fn a_new_target_begins_where_it_is_told_to() {
    let (mut now, mut start) = (Receiver::start().await, Receiver::start().await);
    let mut server = Server::start_with(FAST);
    publish(&mut publisher(&server, "geneva").await, 0..10).await;
    server.import("archive", &support::hearing()).await;
    server.kill();
    let config =
        format!("{FAST}{}{}", hook("now", &now, ""), hook("start", &start, "from = \"start\"\nfeeds = [\"geneva\"]"));
    server.set_config(&config);
    server.restart();
    for number in 0..9 {
        assert_eq!(start.turn().await.text(), format!("text {number}"));
    }
    publish(&mut publisher(&server, "geneva").await, 10..12).await;
    assert_eq!(now.turn().await.text(), "text 9");
    assert_eq!(now.turn().await.text(), "text 10");
    // What is imported from then on is new.
    server.import("fresh", &support::hearing()).await;
    assert_eq!(now.turn().await.json()["feed"], "fresh");
    until_standing(&server, "now", |it| it["waiting"] == 0).await;
    assert!(now.rest().iter().all(|post| post.json()["feed"] != "archive"));
}

#[tokio::test]
async fn no_secret_is_logged() {
    let mut receiver = Receiver::start().await;
    receiver.will_answer(&["500 Internal Server Error"]);
    let config = format!("{FAST}{}", hook("cms", &receiver, "headers = { X-Key = \"hidden-word\" }"));
    let (mut server, log) = Server::start_logging(&config.replace("?key=1", "?key=hidden-word"));
    publish(&mut publisher(&server, "geneva").await, 0..2).await;
    receiver.turn().await;
    until_standing(&server, "cms", |it| it["waiting"] == 0).await;
    server.kill();
    let log = std::fs::read_to_string(log).expect("a log");
    assert!(log.contains("a delivery failed") && log.contains("accepted again"), "it says what happens");
    for secret in ["hidden-word", SECRET, &SECRET[6..], "/hook", "text 0"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

/// The texts of the copy's lines, in order, once there are so many.
async fn copied(to: &Server, count: usize) -> Vec<String> {
    let reading = async {
        loop {
            let mut screen = Screen::default();
            let mut reader = to.subscribe("copy/subscribe?until=head&wait=true").await;
            screen.read_to_close(&mut reader).await;
            let texts: Vec<_> = screen.turns().into_iter().flat_map(|(_, lines)| lines).collect();
            if texts.len() >= count {
                return texts;
            }
        }
    };
    soon(reading).await
}

/// A server that is pushed to, over its end and that of the pusher: each text once, in order.
async fn pushes(format: &str, path: &str, more: &str) {
    let mut to = Server::start();
    let url = format!("http://{}/v1/feeds/copy/{path}", to.addr());
    let push =
        format!("[[push]]\nname = \"copy\"\nfeed = \"geneva\"\nurl = \"{url}\"\nformat = \"{format}\"\n{more}\n");
    let mut from = Server::start_with(&format!("{FAST}{push}"));
    let mut expected = Vec::new();
    for round in 0..4_u64 {
        let numbers = round * 15..(round + 1) * 15;
        publish(&mut publisher(&from, "geneva").await, numbers.clone()).await;
        expected.extend(numbers.map(|number| format!("text {number}")));
        // In the midst of it, wherever that is.
        match round {
            0 => {
                from.kill();
                from.restart();
            }
            1 => {
                to.kill();
                until_standing(&from, "copy", |it| it["state"] == "failing" || it["waiting"] == 0).await;
                to.restart();
            }
            2 => {
                to.kill();
                from.kill();
                from.restart();
                to.restart();
            }
            _ => {}
        }
        let mut texts = copied(&to, expected.len()).await;
        if format == "youtube" {
            // What was said before the copy was opened has no time there, and stands where it arrived.
            texts.sort_by_key(|text| text.rsplit(' ').next().and_then(|number| number.parse::<u64>().ok()));
        }
        assert_eq!(texts, expected, "round {round}");
    }
    // What was said cannot be taken back there: no correction is sent, and no guess.
    let mut publisher = publisher(&from, "geneva").await;
    let said = |seq: u64, id: &str, text: &str| {
        let mut line = line(id, 100_000, "B", text);
        line["seq"] = json!(seq);
        line
    };
    let mut correction = said(61, "3", "CHANGED");
    correction["rev"] = json!(9);
    publisher.send(correction).await;
    let mut guess = said(62, "60", "A GUESS");
    guess["status"] = json!("interim");
    publisher.send(guess).await;
    publisher.send(said(63, "61", "in two\nlines")).await;
    let texts = copied(&to, 61).await;
    assert!(texts.len() == 61 && texts.iter().any(|text| text == "in two\nlines"), "{texts:?}");
    assert!(!texts.iter().any(|text| text == "CHANGED" || text == "A GUESS"), "{texts:?}");
}

#[tokio::test]
async fn a_feed_is_pushed_as_zoom_takes_it() {
    pushes("zoom", "zoom", "lang = \"en-US\"").await;
}

#[tokio::test]
async fn a_feed_is_pushed_as_youtube_takes_it() {
    pushes("youtube", "youtube?cid=key", "").await;
}

#[tokio::test]
async fn what_is_pushed_is_written_as_the_formats_say() {
    let (mut zoom, mut youtube) = (Receiver::start().await, Receiver::start().await);
    // The number that this meeting is at is not told; then a line is refused, and too old at once.
    zoom.will_answer(&["404 Not Found", "400 Bad Request", "200 OK"]);
    let push = |name: &str, receiver: &Receiver, more: &str| {
        format!(
            "[[push]]\nname = \"{name}\"\nfeed = \"geneva\"\nurl = \"http://{}/closedcaption?id=7\"\nformat = \"{name}\"\n{more}\n",
            receiver.addr
        )
    };
    let config = push("zoom", &zoom, "lang = \"en-US\"\ngive_up_after_ms = 1")
        + &push("youtube", &youtube, "offset_ms = -500\nheartbeat_ms = 1000");
    let server = Server::start_with(&format!("{FAST}{config}"));
    let mut publisher = publisher(&server, "geneva").await;
    publisher.send(line("1", 0, "A", "One.\nTwo.")).await;
    publisher.send(line("2", 1000, "A", "Three.")).await;
    publisher.acked(2).await;
    let asked = zoom.next().await;
    assert!(asked.head.starts_with("GET /closedcaption/seq?id=7 HTTP/1.1"), "{}", asked.head);
    let first = zoom.next().await;
    assert!(first.head.starts_with("POST /closedcaption?id=7&seq=1&lang=en-US HTTP/1.1"), "{}", first.head);
    assert_eq!((first.header("content-type"), &*first.body), ("text/plain", "One.\nTwo."));
    // Its number was not used up. Where the first try came within a millisecond, it was tried again.
    let mut second = zoom.next().await;
    while second.body == first.body || second.head.starts_with("GET") {
        second = zoom.next().await;
    }
    assert!(second.head.contains("&seq=1&") || second.head.contains("&seq=2&"), "{}", second.head);
    assert_eq!(second.body, "Three.");

    let first = youtube.next().await;
    assert!(first.head.starts_with("POST /closedcaption?id=7&seq=1 HTTP/1.1"), "{}", first.head);
    assert_eq!(first.header("content-type"), "text/plain");
    let (time, text) = first.body.split_once('\n').expect("two lines");
    assert_eq!(text, "One.<br>Two.\n");
    assert!(
        time.len() == "2026-01-01T00:00:00.000 region:reg1#cue1".len() && time.ends_with(" region:reg1#cue1"),
        "{time}"
    );
    assert!(youtube.next().await.head.contains("&seq=2 "));
    // Then nothing is said, which is told.
    let heartbeat = youtube.next().await;
    assert!(heartbeat.body.is_empty() && heartbeat.head.starts_with("POST /closedcaption?id=7 HTTP"), "{heartbeat:?}");
}

/// The command, beside the server.
fn push(server: &Server, to: &str, more: &[&str]) -> tokio::process::Child {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_captionwire"));
    command.env("CAPTIONWIRE_URL", format!("http://{}", server.addr())).args(["push", "geneva", to]).args(more);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    command.kill_on_drop(true).spawn().expect("it starts")
}

async fn json_of(child: tokio::process::Child) -> Value {
    let output = soon(child.wait_with_output()).await.expect("it ends");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[tokio::test]
async fn a_feed_is_pushed_from_the_command_line() {
    let mut receiver = Receiver::start().await;
    let server = Server::start();
    let mut publisher = publisher(&server, "geneva").await;
    publisher.send(line("1", 0, "A", "One.\nTwo.")).await;
    let mut guess = line("2", 1000, "A", "Thr");
    guess["status"] = json!("interim");
    publisher.send(guess).await;
    publisher.acked(2).await;
    receiver.will_answer(&["404 Not Found", "500 Internal Server Error"]);
    let to = format!("http://{}/closedcaption?id=7", receiver.addr);
    let zoom = push(&server, &to, &["--format", "zoom", "--lang", "en-US", "--from", "start", "--json"]);
    assert!(receiver.next().await.head.starts_with("GET /closedcaption/seq?id=7 HTTP"));
    // What fails comes again under its number.
    for _ in 0..2 {
        let first = receiver.next().await;
        assert!(first.head.starts_with("POST /closedcaption?id=7&seq=1&lang=en-US HTTP/1.1"), "{}", first.head);
        assert_eq!((first.header("content-type"), &*first.body), ("text/plain", "One.\nTwo."));
    }
    publisher.send(line("2", 1000, "A", "Three.")).await;
    let second = receiver.next().await;
    assert!(second.head.contains("&seq=2&") && second.body == "Three.", "{second:?}");
    // A correction cannot be sent there, and is no new line; with the event the command ends.
    publisher.send(line("1", 0, "A", "CHANGED")).await;
    publisher.send(line("3", 2000, "B", "Four.")).await;
    assert_eq!(receiver.next().await.body, "Four.");
    publisher.send(json!({"type": "end"})).await;
    assert_eq!(
        json_of(zoom).await,
        json!({"new": 3, "repeated": 1, "corrected": 1, "refused": 0, "unreadable": 0, "next_seq": 4})
    );
}

#[tokio::test]
async fn what_was_there_before_is_not_pushed_unless_it_is_asked_for() {
    let mut receiver = Receiver::start().await;
    let server = Server::start();
    let mut publisher = publisher(&server, "geneva").await;
    publisher.send(line("1", 0, "A", "Old.")).await;
    publisher.acked(1).await;
    let to = format!("http://{}/?cid=key", receiver.addr);
    let mut youtube = push(&server, &to, &["--format", "youtube", "--seq", "5", "--json"]);
    let mut told = String::new();
    let mut stderr = BufReader::new(youtube.stderr.take().expect("piped"));
    soon(stderr.read_line(&mut told)).await.expect("it says when it has begun");
    assert!(told.contains("from now on"), "{told}");
    publisher.send(line("1", 0, "A", "Old, and corrected.")).await;
    publisher.send(line("2", 1000, "A", "New.")).await;
    publisher.send(json!({"type": "end"})).await;
    let first = receiver.next().await;
    assert!(first.head.starts_with("POST /?cid=key&seq=5 HTTP/1.1"), "{}", first.head);
    assert!(first.body.ends_with(" region:reg1#cue1\nNew.\n"), "{}", first.body);
    // The key is nowhere.
    soon(stderr.read_to_string(&mut told)).await.expect("UTF-8");
    assert!(!told.contains("key"), "{told}");
    assert_eq!(
        json_of(youtube).await,
        json!({"new": 1, "repeated": 0, "corrected": 0, "refused": 0, "unreadable": 0, "next_seq": 6})
    );
}

#[cfg(unix)]
#[tokio::test]
async fn secrets_are_read_again() {
    let mut receiver = Receiver::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("secrets");
    std::fs::write(&file, OLD_SECRET).expect("written");
    let config = hook("cms", &receiver, &format!("secret_file = {file:?}"));
    let config = FAST.to_owned() + &config.replace(&format!("secrets = [\"{SECRET}\"]"), "");
    let (server, log) = Server::start_logging(&config);
    let mut publisher = publisher(&server, "geneva").await;
    publish(&mut publisher, 0..2).await;
    assert_signed(&receiver.turn().await, &[OLD_SECRET]);
    for (secrets, said, signing) in [
        ("whsec_hidden".to_owned(), "the old files stay in use", &[OLD_SECRET][..]),
        (format!("{SECRET}\n{OLD_SECRET}\n"), "read again", &[SECRET, OLD_SECRET]),
    ] {
        std::fs::write(&file, &secrets).expect("written");
        server.signal("HUP");
        let logged = async {
            while !std::fs::read_to_string(&log).expect("a log").contains(said) {
                tokio::task::yield_now().await;
            }
        };
        soon(logged).await;
        let next = if signing.len() == 1 { 2 } else { 3 };
        publish(&mut publisher, next..next + 1).await;
        assert_signed(&receiver.turn().await, signing);
    }
    let log = std::fs::read_to_string(&log).expect("a log");
    assert!(log.contains("cms") && !log.contains("hidden") && !log.contains(&SECRET[6..]), "{log}");
}

#[tokio::test]
async fn a_backup_knows_what_was_delivered() {
    let (mut receiver, mut other) = (Receiver::start().await, Receiver::start_closed().await);
    let hooks = |to: &Receiver| FAST.to_owned() + &hook("cms", to, "");
    let mut server = Server::start_with(&hooks(&receiver));
    let mut publisher = publisher(&server, "geneva").await;
    publish(&mut publisher, 0..3).await;
    while receiver.turn().await.text() != "text 1" {}
    until_standing(&server, "cms", |it| it["waiting"] == 0).await;
    // What is said from here on is not taken by anybody before the copy is made.
    server.kill();
    server.set_config(&hooks(&other));
    server.restart();
    let mut publisher = self::publisher(&server, "geneva").await;
    publish(&mut publisher, 3..5).await;
    let copy = tempfile::tempdir().expect("a directory");
    let dest = copy.path().join("data");
    let captionwire = |arguments: &[&std::ffi::OsStr]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_captionwire"));
        command.args(arguments).output().expect("it runs")
    };
    let data = server.data();
    // Without that it is no backup.
    let half = copy.path().join("half");
    std::fs::create_dir(&half).expect("made");
    std::fs::write(half.join("outbox.db"), "somebody's").expect("written");
    let backup = captionwire(&["backup".as_ref(), "--data".as_ref(), data.as_os_str(), half.as_os_str()]);
    assert!(!backup.status.success() && !half.join("archive.db").exists(), "{backup:?}");
    let backup = captionwire(&["backup".as_ref(), "--data".as_ref(), data.as_os_str(), dest.as_os_str()]);
    assert!(backup.status.success(), "{backup:?}");
    server.kill();
    std::fs::remove_dir_all(&data).expect("removed");
    std::fs::rename(&dest, &data).expect("put back");
    server.restart();
    other.gate.add_permits(1_000);
    let mut texts = Vec::new();
    while texts.last().is_none_or(|text| text != "text 3") {
        texts.push(other.turn().await.text());
    }
    // What the first one was sent is not sent again.
    texts.dedup();
    assert_eq!(texts, ["text 2", "text 3"]);
    // A damaged one is told by `verify`, and is not copied.
    server.kill();
    std::fs::write(data.join("outbox.db"), "no database, but somebody's").expect("written");
    let verify = captionwire(&["verify".as_ref(), "--data".as_ref(), data.as_os_str()]);
    let said = String::from_utf8_lossy(&verify.stderr).into_owned();
    assert!(
        verify.status.code() == Some(1) && said.contains("outbox.db") && said.contains("move the file away"),
        "{said}"
    );
    assert!(!captionwire(&["backup".as_ref(), "--data".as_ref(), data.as_os_str(), dest.as_os_str()]).status.success());
}

#[test]
fn what_cannot_be_used_is_named_before_anything_starts() {
    let dir = tempfile::tempdir().expect("a directory");
    let check = |text: &str| {
        let file = dir.path().join("c.toml");
        std::fs::write(&file, text).expect("written");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_captionwire"));
        let output = command.args(["config", "check", "--config"]).arg(&file).output().expect("it runs");
        (output.status.success(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let hook = |rest: &str| format!("[[webhooks]]\nname = \"cms\"\nurl = \"https://a.example/hidden\"\n{rest}\n");
    let (ok, said) = check(&hook(&format!("secrets = [\"{SECRET}\"]")));
    assert!(ok, "{said}");
    for (text, words) in [
        (hook("secrets = [\"hidden\"]"), ["cms", "number 1", "whsec_"]),
        (hook("secret_file = \"/nowhere/at/all\""), ["cms", "/nowhere/at/all", "read"]),
        (hook("secret_env = \"CAPTIONWIRE_TEST_NOT_SET\""), ["cms", "CAPTIONWIRE_TEST_NOT_SET", "not set"]),
        (hook(""), ["webhooks.secrets", "cms", "secret_file"]),
        (hook("secret = \"hidden\""), ["cms", "number 1", "whsec_"]),
        (hook("sekret_file = \"a\""), ["line 4", "sekret_file", "secret_file"]),
        (hook("secret_env = \"A\"").replace("https", "gopher"), ["line 3", "webhooks.url", "https://"]),
    ] {
        let (ok, said) = check(&text);
        assert!(!ok && words.iter().all(|word| said.contains(word)) && !said.contains("hidden"), "{text}\n{said}");
    }
}
