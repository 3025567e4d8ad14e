//! Many feeds on one socket, against the real binary: each of them as a socket of its own would show it, whatever becomes of
//! the connection and of the others.
#![allow(clippy::disallowed_methods, reason = "a test awaits what it spawns")]

use crate::support;

use std::collections::{BTreeMap, BTreeSet};

use captionwire::client::{
    MultiplexMessage, ServerUrl, SubscriptionEvent, SubscriptionOptions, Subscriptions, SubscriptionsOptions, Update,
};
use captionwire::position::FeedId;
use captionwire::transcript::{FeedState, Status};
use captionwire::wire::ErrorCode;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::chance::Chance;
use support::{Screen, Server, Socket, change, line, soon};
use tokio_tungstenite::tungstenite::Message;

async fn many(server: &Server) -> Socket {
    Socket::connect(&format!("ws://{}/v1/subscribe", server.addr())).await
}

fn subscribe(feed: &str) -> Value {
    json!({"type": "subscribe", "feed": feed})
}

fn unsubscribe(feed: &str) -> Value {
    json!({"type": "unsubscribe", "feed": feed})
}

/// Publishes lines in one request, durable when this is done.
async fn post(server: &Server, feed: &str, lines: Value) {
    let answer = server.json("POST", &format!("/v1/feeds/{feed}/lines"), lines).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn end(server: &Server, feed: &str) {
    let answer = server.json("POST", &format!("/v1/feeds/{feed}/state"), json!({"state": "ended"})).await;
    assert!(answer.status < 300, "{}", answer.text());
}

/// What a socket of the feed's own shows, from the start.
async fn own(server: &Server, feed: &str, query: &str) -> Screen {
    let mut screen = Screen::default();
    let mut socket = server.subscribe(&format!("{feed}/subscribe?until=head{query}")).await;
    assert_eq!(screen.read_to_close(&mut socket).await.0, 1000);
    screen
}

/// Screens are equal byte for byte: lines with all their facts, turns, speakers, place and state. How often a turn was
/// amended depends on when one looked.
#[track_caller]
fn assert_same(feed: &str, seen: &Screen, own: &Screen) {
    let text = |screen: &Screen| json!([screen.lines, screen.turns, screen.speakers]).to_string();
    assert_eq!(text(seen), text(own), "{feed}");
    assert_eq!((&seen.cursor, &seen.state), (&own.cursor, &own.state), "{feed}");
}

/// Screens by feed, and what has to hold of every message.
#[derive(Default)]
struct Desk(BTreeMap<String, Screen>);

impl Desk {
    /// Takes a message about a feed; each goes on where the one before it ended.
    fn take(&mut self, message: &Value) {
        let Some(feed) = message["feed"].as_str() else {
            return assert_eq!(message["type"], "heartbeat", "{message}");
        };
        let screen = self.0.entry(feed.to_owned()).or_default();
        if message["type"] == "changes" {
            let cursor = message["cursor"].as_str().expect("a cursor");
            let (held, told) = (screen.cursor.as_deref().map_or(0, change), change(cursor));
            let is_next = if message["more"] == true { told == held } else { told > held };
            assert!(is_next, "{feed} stands at {held} and is told {message}");
        }
        let kind = message["type"].as_str().expect("a type");
        assert!(["hello", "changes", "live"].contains(&kind), "{message}");
        screen.take(message);
    }

    fn subscribe(&self, feed: &str) -> Value {
        let mut message = json!({"type": "subscribe", "feed": feed, "wait": true});
        if let Some(cursor) = self.0.get(feed).and_then(|screen| screen.cursor.as_ref()) {
            message["from"] = json!(cursor);
        }
        message
    }

    fn is_over(&self, feed: &str) -> bool {
        self.0.get(feed).is_some_and(|screen| screen.state.as_deref() == Some("ended") && !screen.behind)
    }
}

const FEEDS: usize = 200;

fn name(number: usize) -> String {
    format!("desk-{number:03}")
}

/// Two hundred publishers: each says a few lines, corrects some, takes one back, and ends its feed.
async fn publish_all(server: &Server) {
    for round in 0..4 {
        let publishing = (0..FEEDS).map(|number| async move {
            let feed = name(number);
            let mut lines: Vec<Value> = (0..3 + number as i64 % 4)
                .map(|at| {
                    let id = (round * 10 + at).to_string();
                    let speaker = if (at + round) % 3 == 0 { "Clerk" } else { "Chair" };
                    let mut line = line(&id, (round * 10 + at) * 1_000, speaker, &format!("{feed} says {id}"));
                    line["rev"] = json!(0);
                    line
                })
                .collect();
            if round > 0 {
                let mut corrected = line("1", 1_000, "Witness", &format!("{feed} corrects {round}"));
                corrected["rev"] = json!(round);
                lines.push(corrected);
            }
            for line in &mut lines {
                line.as_object_mut().expect("a line").remove("type");
            }
            post(server, &feed, json!(lines)).await;
            if round == 3 {
                end(server, &feed).await;
            }
        });
        futures::stream::iter(publishing).buffer_unordered(16).collect::<Vec<()>>().await;
    }
}

/// Reads all feeds on one socket until all have ended; cuts the connection, and leaves feeds for a while, as chance has it.
async fn read_all(server: &Server, seed: u64, is_cut: bool) -> Desk {
    let (mut desk, mut chance) = (Desk::default(), Chance(seed));
    let mut left: BTreeSet<String> = (0..FEEDS).map(name).collect();
    while !left.is_empty() {
        let mut socket = many(server).await;
        // Another order each time.
        let turned = chance.below(left.len() as u64) as usize;
        for feed in left.iter().skip(turned).chain(left.iter().take(turned)) {
            socket.send(desk.subscribe(feed)).await;
        }
        let lasts = if is_cut { 1 + chance.below(1_500) } else { u64::MAX };
        for _ in 0..lasts {
            let message = socket.next().await.expect("the connection lasts");
            desk.take(&message);
            let feed = message["feed"].as_str().unwrap_or_default();
            if is_cut && left.contains(feed) && !desk.is_over(feed) && chance.below(40) == 0 {
                leave_for_a_while(&mut desk, &mut socket, feed).await;
            }
            left.retain(|feed| !desk.is_over(feed));
            if left.is_empty() {
                break;
            }
        }
        desk.0.values_mut().for_each(Screen::cut);
    }
    desk
}

/// Unsubscribes from a feed, and subscribes again from where that was.
async fn leave_for_a_while(desk: &mut Desk, socket: &mut Socket, feed: &str) {
    socket.send(unsubscribe(feed)).await;
    loop {
        let message = socket.next().await.expect("the connection lasts");
        // What came until now was still of what was left.
        if message["type"] == "unsubscribed" {
            assert_eq!(message, json!({"type": "unsubscribed", "feed": feed, "reason": "asked"}));
            break;
        }
        desk.take(&message);
    }
    if let Some(screen) = desk.0.get_mut(feed) {
        screen.cut();
    }
    socket.send(desk.subscribe(feed)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_feeds_are_what_their_own_sockets_show_whatever_is_cut() {
    let server = Server::start();
    let (_, steady, cut, cut_otherwise) = tokio::join!(
        publish_all(&server),
        read_all(&server, 1, false),
        read_all(&server, 7, true),
        read_all(&server, 4_711, true)
    );
    let late = read_all(&server, 3, true).await;
    for number in 0..FEEDS {
        let feed = name(number);
        let own = own(&server, &feed, "").await;
        assert!(own.lines.len() >= 12 && own.state.as_deref() == Some("ended"));
        for desk in [&steady, &cut, &cut_otherwise, &late] {
            assert_same(&feed, &desk.0[&feed], &own);
        }
    }
    assert_eq!(server.get("/v1/feeds/desk-000").await.json()["readers"], json!(0));
}

#[tokio::test]
async fn each_subscription_stands_alone() {
    let server =
        Server::start_with("[limits]\nsubscriptions = 3\nwaiting_readers_max = 1\n[times]\nended_linger_ms = 1");
    for feed in ["bern", "chur", "geneva"] {
        post(&server, feed, json!([{"id": "1", "start_ms": 0, "speaker": "A", "text": feed}])).await;
    }
    let mut socket = many(&server).await;
    let error = async |socket: &mut Socket, feed: Option<&str>, code: &str| {
        let error = socket.expect_next("error").await;
        assert_eq!((error["feed"].as_str(), error["code"].as_str()), (feed, Some(code)), "{error}");
        assert!(!error["message"].as_str().expect("a message").is_empty());
        error
    };
    socket.send(subscribe("geneva")).await;
    assert_eq!(socket.expect_next("hello").await["feed"], "geneva");
    assert_eq!(socket.expect_next("changes").await["lines"][0]["text"], "geneva");
    assert_eq!(socket.expect_next("live").await["feed"], "geneva");

    // What is wrong is told by name, where there is one, and nothing else comes of it.
    socket.send(subscribe("nowhere")).await;
    assert_eq!(error(&mut socket, Some("nowhere"), "no_such_feed").await.get("retry"), None);
    for (fields, code) in [
        (json!({"from": "nonsense"}), "bad_field"),
        (json!({"interim": "no"}), "bad_field"),
        (json!({"unit": "turns", "interim": true}), "bad_field"),
        (json!({"view": "public"}), "unsupported"),
        (json!({"pace": 1}), "unsupported"),
        (json!({"pace_by": "media"}), "unsupported"),
        (json!({"max_gap_ms": 1}), "unsupported"),
    ] {
        let mut message = subscribe("bern");
        message.as_object_mut().expect("an object").extend(fields.as_object().expect("fields").clone());
        socket.send(message).await;
        error(&mut socket, Some("bern"), code).await;
    }
    for (text, code) in [
        (r#"{"type":"subscribe","feed":"Geneva"}"#, "bad_field"),
        (r#"{"type":"subscribe"}"#, "bad_field"),
        (r#"{"type":"dance"}"#, "unknown_type"),
        (r#"{"type":"step"}"#, "unsupported"),
        ("so", "bad_json"),
    ] {
        socket.send_text(text).await;
        error(&mut socket, None, code).await;
    }

    // A place in line for a feed that is not there is taken; there is one, and three subscriptions.
    let waited = json!({"type": "subscribe", "feed": "later", "wait": true});
    socket.send(waited.clone()).await;
    let hello = socket.expect_next("hello").await;
    assert_eq!((&hello["feed"], &hello["state"]), (&json!("later"), &json!("none")));
    socket.send(json!({"type": "subscribe", "feed": "never", "wait": true})).await;
    assert_eq!(error(&mut socket, Some("never"), "too_many_connections").await["retry"], true);
    socket.send(subscribe("bern")).await;
    socket.expect("live").await;
    socket.send(subscribe("chur")).await;
    error(&mut socket, Some("chur"), "too_many_subscriptions").await;
    socket.send(unsubscribe("bern")).await;
    assert_eq!(
        socket.expect_next("unsubscribed").await,
        json!({"type": "unsubscribed", "feed": "bern", "reason": "asked"})
    );
    socket.send(unsubscribe("bern")).await;
    assert_eq!(socket.expect_next("unsubscribed").await["feed"], "bern");
    socket.send(subscribe("chur")).await;
    assert_eq!(socket.expect("live").await["feed"], "chur");
    post(&server, "bern", json!([{"id": "2", "text": "nobody hears it"}])).await;

    // The one that is waited for comes; one is deleted; one ends.
    post(&server, "later", json!([{"id": "1", "text": "now"}])).await;
    let hello = socket.expect_next("hello").await;
    assert_eq!((&hello["feed"], hello["epoch"].is_string()), (&json!("later"), true));
    // It may be live before its first line is there.
    let (mut is_live, mut is_said) = (false, false);
    while !(is_live && is_said) {
        let message = socket.next().await.expect("open");
        assert_eq!(message["feed"], "later", "{message}");
        is_live |= message["type"] == "live";
        is_said |= message["lines"][0]["text"] == "now";
    }
    assert_eq!(server.http("DELETE", "/v1/feeds/chur", &[], b"").await.status, 204);
    error(&mut socket, Some("chur"), "feed_deleted").await;
    end(&server, "later").await;
    socket.expect_next("changes").await;
    assert_eq!(
        socket.expect("unsubscribed").await,
        json!({"type": "unsubscribed", "feed": "later", "reason": "ended"})
    );
    socket.send(json!({"type": "subscribe", "feed": "bern", "until": "head", "from": "now"})).await;
    assert_eq!(socket.expect_next("hello").await["feed"], "bern");
    assert_eq!(socket.expect("unsubscribed").await, json!({"type": "unsubscribed", "feed": "bern", "reason": "head"}));

    // One that is replaced begins anew, and nobody else does.
    let path = "/v1/feeds/geneva/transcript?replace=true";
    assert_eq!(server.http("PUT", path, &[], b"A: (00:01)\nOne.\n").await.status, 200);
    assert_eq!(socket.expect_next("reset").await["feed"], "geneva");
    assert_eq!(socket.expect_next("hello").await["feed"], "geneva");
    assert_eq!(socket.expect("changes").await["lines"][0]["text"], "One.");

    // Who says nothing else but what cannot be read is closed.
    for _ in 0..20 {
        socket.send_text("so").await;
        socket.expect("error").await;
    }
    socket.send_text("so").await;
    assert_eq!(socket.closed().await.0, 4503);
    for (query, code, reason) in [
        ("from=now", 4503, "put from into each `subscribe` message, not into the URL"),
        ("pace=2", 4503, "pace is for replays, which this socket does not have: use /v1/feeds/{feed}/subscribe"),
        (
            "pace_by=media",
            4503,
            "pace_by is for replays, which this socket does not have: use /v1/feeds/{feed}/subscribe",
        ),
        (
            "max_gap_ms=1",
            4503,
            "max_gap_ms is for replays, which this socket does not have: use /v1/feeds/{feed}/subscribe",
        ),
        ("view=public", 4505, "this server has no view"),
    ] {
        let url = format!("ws://{}/v1/subscribe?{query}", server.addr());
        assert_eq!(Socket::connect(&url).await.closed().await, (code, reason.to_owned()));
    }
    let mut single = server.subscribe("bern/subscribe").await;
    single.expect("live").await;
    single.send(subscribe("geneva")).await;
    assert_eq!(single.expect_next("error").await["code"], "unsupported");
}

#[tokio::test]
async fn subscribing_again_begins_anew() {
    let server = Server::start();
    post(&server, "geneva", json!([{"id": "1", "start_ms": 0, "text": "one", "status": "interim"}])).await;
    let mut socket = many(&server).await;
    socket.send(subscribe("geneva")).await;
    socket.expect("live").await;
    socket.send(json!({"type": "subscribe", "feed": "geneva", "interim": false})).await;
    socket.expect_next("hello").await;
    assert_eq!(socket.expect_next("changes").await.get("lines"), None);
    socket.expect_next("live").await;
    post(&server, "geneva", json!([{"id": "1", "start_ms": 0, "text": "one", "status": "final"}])).await;
    // Once: the one before is over.
    assert_eq!(socket.expect_next("changes").await["lines"][0]["text"], "one");
    assert_eq!(server.get("/v1/feeds/geneva").await.json()["readers"], json!(1));
    socket.send(unsubscribe("geneva")).await;
    socket.expect_next("unsubscribed").await;
}

/// Of a feed with much to say, and one with a word, the word comes first.
#[tokio::test]
async fn a_busy_feed_keeps_no_quiet_one_waiting() {
    let server = Server::start();
    let text = "x".repeat(8_000);
    for part in 0..10 {
        let lines: Vec<Value> =
            (0..100).map(|at| json!({"id": (part * 100 + at).to_string(), "start_ms": at, "text": text})).collect();
        post(&server, "busy", json!(lines)).await;
    }
    post(&server, "quiet", json!([{"id": "1", "text": "a word"}])).await;
    let mut socket = many(&server).await;
    // Both are open, so that none is behind because of that.
    for feed in ["quiet", "busy"] {
        drop(own(&server, feed, "").await);
    }
    // Said in one breath, so that the second word is there when the first is heard.
    for feed in ["busy", "quiet"] {
        socket.stream.feed(Message::text(subscribe(feed).to_string())).await.expect("written");
    }
    socket.stream.flush().await.expect("sent");
    let (mut pages, mut before_quiet) = (0, None);
    loop {
        let message = socket.next().await.expect("open");
        match (message["type"].as_str(), message["feed"].as_str()) {
            (Some("changes"), Some("busy")) => pages += 1,
            (Some("live"), Some("quiet")) => before_quiet = Some(pages),
            (Some("live"), Some("busy")) => break,
            _ => {}
        }
    }
    assert!(pages > 20, "{pages}");
    // One in each turn until the other feed was found.
    assert!(before_quiet.is_some_and(|before| before <= 5), "{before_quiet:?} of {pages}");
}

#[tokio::test]
async fn what_a_slow_reader_has_not_taken_merges() {
    const MANY: usize = 20;
    const ROUNDS: usize = 10;
    // However long publishing takes here, it is no reason to let the reader go.
    let server = Server::start_with("[times]\nwrite_timeout_ms = 600000\nmessage_timeout_ms = 600000");
    for number in 0..MANY {
        post(&server, &name(number), json!([{"id": "0", "start_ms": 0, "text": "begins"}])).await;
    }
    let mut socket = Socket::connect_with_little_room(&format!("ws://{}/v1/subscribe", server.addr())).await;
    let mut desk = Desk::default();
    for number in 0..MANY {
        socket.send(subscribe(&name(number))).await;
    }
    for _ in 0..MANY {
        let live = async {
            loop {
                let message = socket.next().await.expect("open");
                desk.take(&message);
                if message["type"] == "live" {
                    return;
                }
            }
        };
        soon(live).await;
    }
    // More than the sockets hold.
    let text = "y".repeat(15_000);
    for round in 1..=ROUNDS {
        for number in 0..MANY {
            let lines: Vec<Value> = (0..4)
                .map(|at| json!({"id": format!("{at}"), "start_ms": at, "text": format!("{round} {text}")}))
                .collect();
            post(&server, &name(number), json!(lines)).await;
        }
    }
    for number in 0..MANY {
        end(&server, &name(number)).await;
    }
    let mut messages = 0;
    while !(0..MANY).all(|number| desk.is_over(&name(number))) {
        let message = socket.next().await.expect("open");
        desk.take(&message);
        messages += usize::from(message["type"] == "changes");
    }
    assert!(messages < MANY * ROUNDS, "{messages}");
    for number in 0..MANY {
        assert_same(&name(number), &desk.0[&name(number)], &own(&server, &name(number), "").await);
    }
}

#[tokio::test]
async fn who_takes_nothing_at_all_is_let_go() {
    let server = Server::start_with("[times]\nwrite_timeout_ms = 300");
    post(&server, "event", json!([{"id": "0", "text": "begins"}])).await;
    let mut stuck = many(&server).await;
    stuck.send(subscribe("event")).await;
    stuck.expect("live").await;
    let text = "z".repeat(15_000);
    for part in 0..10 {
        let lines: Vec<Value> = (0..200).map(|at| json!({"id": format!("{part}-{at}"), "text": text})).collect();
        post(&server, "event", json!(lines)).await;
    }
    soon(async { while server.get("/v1/feeds/event").await.json()["readers"] != json!(0) {} }).await;
    assert_eq!(own(&server, "event", "").await.lines.len(), 2_001);
}

/// An entry of the configuration for a token.
fn token(token: &str, roles: &[&str], feeds: &str) -> String {
    let hash: String = Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("[[auth.tokens]]\nname = \"{token}\"\nsha256 = \"{hash}\"\nroles = {roles:?}\nfeeds = [\"{feeds}\"]\n")
}

#[tokio::test]
async fn a_token_opens_its_own_feeds_only() {
    let anonymous = "[auth.anonymous]\nroles = [\"subscribe\"]\nfeeds = [\"public-*\"]\n";
    let writer = token("tok-writer", &["publish", "create"], "*");
    let server = Server::start_with(&(writer.clone() + &token("tok-geneva", &["subscribe"], "geneva-*") + anonymous));
    for feed in ["geneva-1", "secret-1", "public-1"] {
        let headers = [("Content-Type", "application/json"), ("Authorization", "Bearer tok-writer")];
        let path = format!("/v1/feeds/{feed}/lines");
        assert_eq!(server.http("POST", &path, &headers, br#"[{"id":"1","text":"so"}]"#).await.status, 200);
    }
    for (query, open, closed, code) in [
        ("?token=tok-geneva", "geneva-1", ["secret-1", "public-1"], "forbidden"),
        ("", "public-1", ["secret-1", "geneva-1"], "unauthorised"),
    ] {
        let mut socket = Socket::connect(&format!("ws://{}/v1/subscribe{query}", server.addr())).await;
        socket.send(subscribe(open)).await;
        socket.expect("live").await;
        for feed in closed {
            // Whether there is such a feed is nobody's business either.
            for feed in [feed.to_owned(), format!("{feed}-that-is-not-there")] {
                socket.send(json!({"type": "subscribe", "feed": feed, "wait": true})).await;
                let error = socket.expect_next("error").await;
                assert_eq!((&error["feed"], &error["code"]), (&json!(feed), &json!(code)), "{error}");
            }
        }
        socket.send(unsubscribe(open)).await;
        assert_eq!(socket.expect_next("unsubscribed").await["feed"], open);
    }
    for (token, code) in [("wrong", 4500), ("tok-writer", 4501)] {
        let url = format!("ws://{}/v1/subscribe?token={token}", server.addr());
        assert_eq!(Socket::connect(&url).await.closed().await.0, code, "{token}");
    }
    assert_eq!(many(&Server::start_with(&writer)).await.closed().await.0, 4500);
}

fn feed(name: &str) -> FeedId {
    FeedId::new(name).expect("a name")
}

fn client(server: &Server) -> Subscriptions {
    let url = ServerUrl::parse(server.addr()).expect("a URL");
    Subscriptions::new(url.subscribe_many(), SubscriptionsOptions::default())
}

async fn news(client: &mut Subscriptions) -> Option<SubscriptionEvent> {
    soon(client.next()).await.expect("it makes sense to come again")
}

/// Reads until all followed feeds have ended and are whole, and gives them up.
async fn until_all_ended(client: &mut Subscriptions) -> BTreeMap<FeedId, Vec<String>> {
    let mut texts = BTreeMap::new();
    while let Some(happened) = news(client).await {
        let SubscriptionEvent::Feed { feed, update: Update::Changed(changed) } = happened else { continue };
        if changed.whole && client.screen(&feed).is_some_and(|screen| screen.state() == FeedState::Ended) {
            let (screen, cursor) = client.unsubscribe(&feed).expect("it is followed");
            assert!(cursor.is_some() && screen.lines().all(|line| line.status == Status::Final));
            texts.insert(feed, screen.lines().map(|line| line.text.to_string()).collect());
        }
    }
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_comes_back_to_every_feed_where_it_was() {
    let mut server = Server::start();
    let mut desk = client(&server);
    assert_eq!(news(&mut desk).await, None);
    let wait = SubscriptionOptions { wait: true, ..SubscriptionOptions::default() };
    for name in ["bern", "chur", "geneva"] {
        desk.subscribe(feed(name), wait.clone());
    }
    desk.subscribe(feed("nowhere"), SubscriptionOptions::default());
    let mut waits = BTreeSet::new();
    while waits.len() < 4 {
        match news(&mut desk).await.expect("more") {
            SubscriptionEvent::Feed { feed, update: Update::Hello { state: FeedState::None } } => {
                waits.insert(feed);
            }
            SubscriptionEvent::Refused { feed: Some(feed), code: ErrorCode::NoSuchFeed, retry_in: None, .. } => {
                assert_eq!(feed.as_str(), "nowhere");
                waits.insert(feed);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(desk.feeds().count(), 3);
    for name in ["bern", "chur", "geneva"] {
        post(&server, name, json!([{"id": "1", "start_ms": 0, "text": format!("{name} 1")}])).await;
    }
    let mut live = 0;
    while live < 3 {
        live +=
            usize::from(matches!(news(&mut desk).await, Some(SubscriptionEvent::Feed { update: Update::Live, .. })));
    }
    // One is left, and taken up again: what is still under way of it is not taken for the new one.
    desk.unsubscribe(&feed("chur")).expect("it was followed");
    desk.subscribe(feed("chur"), wait.clone());
    desk.unsubscribe(&feed("chur")).expect("it was followed");
    desk.subscribe(feed("chur"), SubscriptionOptions { interim: false, ..wait });
    loop {
        match news(&mut desk).await.expect("more") {
            SubscriptionEvent::Feed { feed, update: Update::Live } if feed.as_str() == "chur" => break,
            SubscriptionEvent::Feed { update, .. } => assert!(!matches!(update, Update::Reset { .. }), "{update:?}"),
            other => panic!("{other:?}"),
        }
    }
    server.kill();
    loop {
        if let Some(SubscriptionEvent::Disconnected { .. }) = news(&mut desk).await {
            break;
        }
    }
    server.restart();
    for name in ["bern", "chur", "geneva"] {
        post(&server, name, json!([{"id": "2", "start_ms": 1, "text": format!("{name} 2")}])).await;
        end(&server, name).await;
    }
    let texts = until_all_ended(&mut desk).await;
    for name in ["bern", "chur", "geneva"] {
        assert_eq!(texts[&feed(name)], [format!("{name} 1"), format!("{name} 2")]);
    }
    assert_eq!(desk.feeds().count(), 0);
}

#[tokio::test]
async fn the_client_asks_again_for_what_is_refused_for_a_while() {
    let server = Server::start_with("[limits]\nwaiting_readers_max = 1");
    let mut desk = client(&server);
    let wait = SubscriptionOptions { wait: true, ..SubscriptionOptions::default() };
    desk.subscribe(feed("bern"), wait.clone());
    desk.subscribe(feed("chur"), wait);
    let mut refused = None;
    while refused.is_none() {
        if let Some(SubscriptionEvent::Refused { feed: Some(feed), retry_in, .. }) = news(&mut desk).await {
            assert!(retry_in.is_some());
            refused = Some(feed);
        }
    }
    for name in ["bern", "chur"] {
        post(&server, name, json!([{"id": "1", "text": name}])).await;
        end(&server, name).await;
    }
    assert_eq!(until_all_ended(&mut desk).await.len(), 2);
}

#[tokio::test]
async fn every_message_is_given_as_it_came() {
    let server = Server::start();
    post(&server, "bern", json!([{"id": "1", "text": "so"}])).await;
    let mut desk = client(&server);
    desk.subscribe(feed("bern"), SubscriptionOptions { until_head: true, ..SubscriptionOptions::default() });
    let (mut kinds, mut last) = (Vec::new(), None);
    while let Some(MultiplexMessage { text, news }) = soon(desk.next_message()).await.expect("it goes on") {
        if let Some(text) = text {
            let message: Value = serde_json::from_str(&text).expect("JSON");
            kinds.push(message["type"].as_str().expect("a type").to_owned());
        }
        last = news.or(last);
    }
    assert_eq!(kinds, ["hello", "changes", "live", "unsubscribed"]);
    let Some(SubscriptionEvent::Done { screen, .. }) = last else { panic!("{last:?}") };
    assert_eq!(screen.lines().count(), 1);
}
