//! Full text through the real binary: what is found, what is not found any more, and who finds what.

use crate::support;

use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Answer, Server, hearing, soon};

/// Asks until the index has caught up with what was there before.
async fn search(server: &Server, query: &str) -> Value {
    soon(async {
        loop {
            let answer = server.get(&format!("/v1/search?{query}")).await;
            assert_eq!(answer.status, 200, "{query}: {}", answer.text());
            let answer = answer.json();
            if answer["catching_up"] == false {
                return answer;
            }
        }
    })
    .await
}

fn keys(answer: &Value) -> Vec<String> {
    let hits = answer["hits"].as_array().expect("hits").iter();
    hits.map(|hit| format!("{}:{}", hit["feed"].as_str().expect("a feed"), hit["line"].as_str().expect("a line")))
        .collect()
}

async fn found(server: &Server, query: &str) -> Vec<String> {
    keys(&search(server, query).await)
}

async fn post(server: &Server, feed: &str, lines: Value) {
    let answer = server.json("POST", &format!("/v1/feeds/{feed}/lines"), lines).await;
    assert_eq!(answer.json()["refused"], json!([]), "{}", answer.text());
}

fn line(id: &str, start_ms: u64, speaker: &str, text: &str) -> Value {
    json!({"id": id, "start_ms": start_ms, "speaker": speaker, "text": text})
}

#[tokio::test]
async fn a_live_line_is_found_with_its_feed_turn_time_and_words() {
    let server = Server::start();
    let lines = json!([
        line("1", 0, "Chair", "We begin with the budget."),
        line("2", 1000, "Chair", "The <b>Budget</b> & its “naïve” readers."),
        line("3", 2000, "Clerk", "Noted."),
    ]);
    post(&server, "geneva", lines).await;
    let answer = search(&server, "q=budget%20readers").await;
    let hit = &answer["hits"][0];
    assert_eq!(answer["total"], 1);
    assert_eq!((&hit["feed"], &hit["line"], &hit["turn"]), (&json!("geneva"), &json!("main/2"), &json!("main/1")));
    assert_eq!((&hit["start_ms"], &hit["speaker"]), (&json!(1000), &json!("Chair")));
    let parts = json!([
        {"text": "The <b>"}, {"text": "Budget", "found": true}, {"text": "</b> & its “naïve” "},
        {"text": "readers", "found": true}, {"text": "."},
    ]);
    assert_eq!(hit["parts"], parts, "text, whatever is in it, and no markup of ours");
    for (query, expected) in [
        ("q=NAIVE", vec!["geneva:main/2"]),
        ("q=bud*", vec!["geneva:main/1", "geneva:main/2"]),
        ("q=%22the%20budget%22&to=1000", vec!["geneva:main/1"]),
        ("q=budget%20noted", vec![]),
        ("q=bud", vec![]),
        ("q=budget&speaker=CHAIR&from=00:01", vec!["geneva:main/2"]),
        ("q=budget&speaker=Clerk", vec![]),
        ("q=budget&from=2000-01-01&to=2001-01-01", vec![]),
        ("q=budget&feed=geneva&from=2000-01-01T00:00:00Z&limit=5&to=00:01", vec!["geneva:main/1"]),
    ] {
        let mut found = found(&server, query).await;
        found.sort();
        assert_eq!(found, expected, "{query}");
    }
}

#[tokio::test]
async fn what_was_said_before_is_not_found() {
    let server = Server::start();
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    for (seq, text, status) in [(1, "first guesses are wrong", "interim"), (2, "it was understood wrongly", "final")] {
        let mut message = line("1", 0, "A", text);
        (message["type"], message["status"]) = (json!("line"), json!(status));
        publisher.send(message).await;
        publisher.acked(seq).await;
        let is_final = status == "final";
        assert_eq!(found(&server, "q=guesses").await, Vec::<String>::new(), "interim");
        assert_eq!(found(&server, "q=understood").await.len(), usize::from(is_final));
    }
    let mut corrected = line("1", 0, "A", "it was heard rightly");
    corrected["type"] = json!("line");
    publisher.send(corrected).await;
    publisher.acked(3).await;
    // One look each: that the answer waits for the correction is what is tested.
    let once = async |query: &str| keys(&server.get(&format!("/v1/search?q={query}")).await.json());
    assert!(once("understood").await.is_empty());
    assert_eq!(found(&server, "q=rightly").await, ["geneva:main/1"]);
    publisher.send(json!({"type": "retract", "id": "1"})).await;
    publisher.acked(4).await;
    assert!(once("rightly").await.is_empty());
}

#[tokio::test]
async fn speakers_are_found_by_the_name_that_is_shown() {
    let server = Server::start();
    post(&server, "geneva", json!([line("1", 0, "S1", "one vote"), line("2", 9000, "S2", "one vote more")])).await;
    let desk = async |body: Value| assert_eq!(server.json("POST", "/v1/feeds/geneva/desk", body).await.status, 200);
    desk(json!({"op": "speaker.rename", "op_id": "1", "speaker": "S1", "name": "Ánne Müller"})).await;
    assert_eq!(found(&server, "q=vote&speaker=%C3%A1nne%20M%C3%9CLLER").await, ["geneva:main/1"]);
    desk(json!({"op": "speaker.merge", "op_id": "2", "from": "S2", "into": "S1"})).await;
    assert_eq!(found(&server, "q=vote&speaker=%C3%81nne%20M%C3%BCller").await.len(), 2);
    assert!(found(&server, "q=vote&speaker=S2").await.is_empty());
    let turn = search(&server, "q=more").await["hits"][0]["turn"].clone();
    assert_eq!(turn, json!("main/1"), "the turns were joined");
    desk(json!({"op": "speaker.unmerge", "op_id": "3", "from": "S2"})).await;
    assert_eq!(found(&server, "q=vote&speaker=S2").await, ["geneva:main/2"]);
}

#[tokio::test]
async fn a_deleted_feed_is_gone_before_the_answer_and_from_the_file() {
    let mut server = Server::start();
    post(&server, "geneva", json!([line("1", 0, "A", "xylophonist")])).await;
    post(&server, "paris", json!([line("1", 0, "A", "xylophonist here")])).await;
    assert_eq!(found(&server, "q=xylophonist").await.len(), 2);
    for feed in ["geneva", "paris"] {
        assert_eq!(server.http("DELETE", &format!("/v1/feeds/{feed}"), &[], b"").await.status, 204);
        for name in ["index.db", "index.db-wal"] {
            let bytes = std::fs::read(server.data().join(name)).unwrap_or_default();
            let is_there = bytes.windows(11).any(|some| some == b"xylophonist");
            assert!(!is_there || feed == "geneva", "{name}");
        }
    }
    assert!(found(&server, "q=xylophonist").await.is_empty());
    server.get("/v1/search?q=a&feed=geneva").await.assert_problem(410, "feed_deleted");
    server.get("/v1/search?q=a&feed=rome").await.assert_problem(404, "no_such_feed");
    // A new life of the name has nothing of the old one.
    assert_eq!(server.json("PUT", "/v1/feeds/geneva", json!({})).await.status, 201);
    post(&server, "geneva", json!([line("1", 0, "A", "vibraphonist")])).await;
    assert!(found(&server, "q=xylophonist").await.is_empty());
    assert_eq!(found(&server, "q=vibraphonist").await, ["geneva:main/1"]);
    assert!(server.stop().success());
}

#[tokio::test]
async fn a_lost_foreign_or_damaged_index_is_made_anew() {
    let mut server = Server::start();
    server.import("hearing", &hearing()).await;
    post(&server, "geneva", json!([line("1", 0, "A", "a glockenspiel plays")])).await;
    let before = search(&server, "q=the%20hear*&limit=50").await;
    assert!(before["total"].as_u64() > Some(0), "{before}");
    let index = server.data().join("index.db");
    for spoil in ["kept", "lost", "foreign", "older"] {
        server.kill();
        let remove = || {
            for end in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(server.data().join(format!("index.db{end}")));
            }
        };
        match spoil {
            "kept" => {}
            "lost" => remove(),
            "foreign" => {
                remove();
                std::fs::write(&index, b"this is no index, and longer than the head of one would be: ".repeat(9))
                    .expect("written");
            }
            _ => {
                let db = rusqlite::Connection::open(&index).expect("a file");
                db.pragma_update(None, "user_version", 1).expect("an older one");
            }
        }
        server.restart();
        assert_eq!(search(&server, "q=the%20hear*&limit=50").await["total"], before["total"], "{spoil}");
        assert_eq!(found(&server, "q=glockenspiel").await, ["geneva:main/1"], "{spoil}");
    }
}

fn entry(token: &str, feeds: &[&str]) -> String {
    let hash: String = Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let roles = ["publish", "create", "subscribe"];
    format!("[[auth.tokens]]\nname = \"{token}\"\nsha256 = \"{hash}\"\nroles = {roles:?}\nfeeds = {feeds:?}\n")
}

#[tokio::test]
async fn nobody_finds_or_counts_what_they_may_not_read() {
    let server = Server::start_with(&(entry("all", &["*"]) + &entry("some", &["public-*"])));
    let ask = async |token: &str, method: &str, path: &str, body: &[u8]| -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        server.http(method, path, if token.is_empty() { &[] } else { &headers }, body).await
    };
    for feed in ["public-1", "secret-1"] {
        let text = line("1", 0, "A", "the vote").to_string();
        assert_eq!(ask("all", "POST", &format!("/v1/feeds/{feed}/lines"), text.as_bytes()).await.status, 200);
    }
    for (token, total) in [("all", 2), ("some", 1)] {
        let answer = soon(async {
            loop {
                let answer = ask(token, "GET", "/v1/search?q=vote", b"").await.json();
                if answer["catching_up"] == false {
                    return answer;
                }
            }
        });
        let answer = answer.await;
        assert_eq!(
            (answer["total"].as_u64(), answer["hits"].as_array().map(Vec::len)),
            (Some(total), Some(total as usize))
        );
    }
    // Whether it is there or not.
    for feed in ["secret-1", "secret-2"] {
        ask("some", "GET", &format!("/v1/search?q=vote&feed={feed}"), b"").await.assert_problem(403, "forbidden");
    }
    ask("", "GET", "/v1/search?q=vote", b"").await.assert_problem(401, "unauthorised");
}

#[tokio::test]
async fn no_question_is_an_error_of_the_engine() {
    let server = Server::start_with("[limits]\nsearch_hits_max = 3\nsearch_query_bytes = 40");
    let lines: Vec<Value> = (0..7).map(|n| line(&n.to_string(), n * 10_000, "A", "a vote is a vote")).collect();
    post(&server, "geneva", Value::from(lines)).await;
    for odd in [
        "%22vote",
        "vote)%20(",
        "AND%20OR%20NOT",
        "vote%00",
        "text:vote%20^x%20-y",
        "*vote*",
        "NEAR(vote,%203)",
        "%7Bvote%7D",
    ] {
        search(&server, &format!("q={odd}")).await;
    }
    for bad in [
        "",
        "q=",
        "q=%22%22",
        "q=!!",
        "q=vote&limit=4",
        "q=vote&limit=0",
        "q=vote&offset=-1",
        "q=vote&from=soon",
        &format!("q={}", "a".repeat(41)),
    ] {
        server.get(&format!("/v1/search?{bad}")).await.assert_problem(400, "bad_request");
    }
    // Page by page, all of them once.
    let mut all = Vec::new();
    for offset in [0, 3, 6] {
        all.extend(found(&server, &format!("q=vote&limit=3&offset={offset}")).await);
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 7);
}

#[tokio::test]
async fn without_an_index_it_says_so_and_leaves_no_text_behind() {
    let server = Server::start_with("search = false");
    server.get("/v1/search?q=a").await.assert_problem(400, "unsupported");
    assert!(!server.data().join("index.db").exists());
}

#[tokio::test]
async fn the_command_asks_a_server_or_opens_the_archive() {
    let mut server = Server::start();
    post(&server, "geneva", json!([line("1", 61_000, "Chair", "We begin with the budget.")])).await;
    search(&server, "q=budget").await;
    let url = format!("http://{}", server.addr());
    let run = async |arguments: Vec<String>| {
        let command = move || Command::new(env!("CARGO_BIN_EXE_captionwire")).args(arguments).output();
        let output = tokio::task::spawn_blocking(command).await.expect("it ends").expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let data = server.data().to_str().expect("UTF-8").to_owned();
    let row = "geneva [01:01] Chair: We begin with the budget.\n";
    let asked = ["search", "budget", "begin", "--speaker", "chair"].map(str::to_owned).to_vec();
    assert_eq!(run([asked.clone(), vec!["--url".into(), url]].concat()).await, row);
    assert_eq!(run([asked.clone(), vec!["--data".into(), data.clone()]].concat()).await, row, "beside the server");
    assert!(server.stop().success());
    std::fs::remove_file(server.data().join("index.db")).expect("it was there");
    let offline = run([asked, vec!["--json".into(), "--data".into(), data]].concat()).await;
    let hit: Value = serde_json::from_str(&offline).expect("one hit");
    assert_eq!((&hit["feed"], &hit["line"]), (&json!("geneva"), &json!("main/1")));
    assert!(!server.data().join("index.db").exists(), "who only reads writes nothing");
}
