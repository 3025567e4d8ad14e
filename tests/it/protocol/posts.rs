//! Captions that are posted, as captioning software posts them to Zoom, YouTube and StreamText.

use crate::support;

use captionwire::transcript::Timestamp;
use support::{Answer, Screen, Server};

async fn post(server: &Server, path: &str, body: &str) -> Answer {
    // As this software does, without a word on the text's encoding.
    server.http("POST", &format!("/v1/feeds/hearing/{path}"), &[("Content-Type", "text/plain")], body.as_bytes()).await
}

/// The first line of an answer that says that all is well.
#[track_caller]
fn fine(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text().lines().next().unwrap_or_default().to_owned()
}

/// What is shown, line by line, guesses too.
async fn said(server: &Server) -> Vec<String> {
    let mut screen = Screen::default();
    let mut reader = server.subscribe("hearing/subscribe?until=head").await;
    assert_eq!(screen.read_to_close(&mut reader).await.0, 1000);
    screen.turns().into_iter().flat_map(|(_, lines)| lines).collect()
}

#[tokio::test]
async fn zoom_counts_and_a_retry_is_none() {
    let mut server = Server::start();
    assert_eq!(fine(&server.get("/v1/feeds/hearing/zoom/seq").await), "0");
    server.get("/v1/feeds/hearing").await.assert_problem(404, "no_such_feed");
    assert_eq!(fine(&post(&server, "zoom?seq=1&lang=en-US", "PLEASE ASK YOUR QUESTIONS.\n").await), "1");
    assert_eq!(fine(&post(&server, "zoom?seq=1&lang=en-US", "PLEASE ASK YOUR QUESTIONS.\n").await), "1");
    assert_eq!(fine(&post(&server, "zoom?seq=2", "YES.").await), "2");
    assert_eq!(fine(&post(&server, "zoom?seq=3", "YES.").await), "3");
    let all = ["PLEASE ASK YOUR QUESTIONS.", "YES.", "YES."];
    assert_eq!(said(&server).await, all);

    // What was answered is there after a crash, and so is what was not answered: both are known.
    server.kill();
    server.restart();
    assert_eq!(fine(&server.get("/v1/feeds/hearing/zoom/seq").await), "3");
    assert_eq!(fine(&post(&server, "zoom?seq=3", "YES.").await), "3");
    assert_eq!(said(&server).await, all);

    // The software is started anew and counts from 1: nothing is overwritten, and its retries are known too.
    for _ in 0..2 {
        assert_eq!(fine(&post(&server, "zoom?seq=1", "WE GO ON.").await), "1");
    }
    assert_eq!(fine(&post(&server, "zoom?seq=2", "GOOD.").await), "2");
    assert_eq!(fine(&server.get("/v1/feeds/hearing/zoom/seq").await), "2");
    assert_eq!(said(&server).await, [&all[..], &["WE GO ON.", "GOOD."]].concat());

    let gap = post(&server, "zoom?seq=4", "ONE IS MISSING.").await;
    assert!(gap.status == 200 && gap.text().contains("numbers are missing"), "{}", gap.text());
    post(&server, "zoom", "NO NUMBER.").await.assert_problem(400, "bad_request");
    post(&server, "zoom?seq=-1", "A BAD NUMBER.").await.assert_problem(400, "bad_request");
    server.get("/v1/feeds/hearing/zoom").await.assert_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn a_number_that_was_missing_takes_its_place() {
    let server = Server::start();
    for (seq, text) in [(1, "one"), (3, "three"), (2, "two"), (4, "four"), (2, "two")] {
        assert_eq!(fine(&post(&server, &format!("zoom?seq={seq}"), text).await), seq.to_string());
    }
    assert_eq!(said(&server).await, ["one", "two", "three", "four"]);
    assert_eq!(fine(&server.get("/v1/feeds/hearing/zoom/seq").await), "4");
    // Another text under a number that is there is of software that was started anew.
    fine(&post(&server, "zoom?seq=2", "anew").await);
    // A gap of 16 numbers fills, from its end too; one of more does not.
    for (seq, text) in [(30, "thirty"), (29, "before it"), (14, "long before"), (13, "too late")] {
        fine(&post(&server, &format!("zoom?seq={seq}&session=wide"), text).await);
    }
    let all = ["one", "two", "three", "four", "anew", "long before", "before it", "thirty", "too late"];
    assert_eq!(said(&server).await, all);
}

/// What was posted under a number is there once, whatever became of it since.
#[tokio::test]
async fn a_retry_brings_nothing_back() {
    let server = Server::start();
    let early = "2001-01-01T00:00:00.000";
    for (path, id) in [("zoom", "zoom-2"), ("youtube", "youtube-2-1")] {
        let feed = format!("/v1/feeds/{path}");
        let caption = |text: &str| if path == "youtube" { format!("{early}\n{text}\n") } else { text.to_owned() };
        let send = async |seq: u64, text: &str| {
            let headers = [("Content-Type", "text/plain")];
            let url = format!("{feed}/{path}?seq={seq}");
            let answer = server.http("POST", &url, &headers, caption(text).as_bytes()).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.text()
        };
        let shown = async || {
            let mut screen = Screen::default();
            let mut reader = server.subscribe(&format!("{path}/subscribe?until=head")).await;
            screen.read_to_close(&mut reader).await;
            screen.turns().into_iter().flat_map(|(_, lines)| lines).collect::<Vec<_>>()
        };
        for (seq, text) in [(1, "One."), (2, "A secret."), (3, "Three.")] {
            send(seq, text).await;
        }
        let line = format!("{feed}/lines/main/{id}");
        assert_eq!(server.http("DELETE", &line, &[], b"").await.status, 204, "{line}");
        send(2, "A secret.").await;
        assert_eq!(shown().await, ["One.", "Three."], "taken back");
        let corrected = serde_json::json!({"id": id, "text": "No secret."});
        let answer = server.json("POST", &format!("{feed}/lines?corrects=true"), corrected).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        send(2, "A secret.").await;
        assert_eq!(shown().await, ["One.", "No secret.", "Three."], "corrected");
        // The last one too, and one that says nothing has a number.
        for (seq, text) in [(4, " "), (5, "Five."), (4, " "), (6, ""), (6, ""), (7, "Seven.")] {
            if path == "youtube" || !text.is_empty() {
                let told = send(seq, text).await;
                let is_told = told.contains("numbers are missing");
                assert_eq!(is_told, path == "zoom" && seq == 7, "{path} {seq}: {told}");
            }
        }
        let all = ["One.", "No secret.", "Three.", "Five.", "Seven."];
        assert_eq!(shown().await, all, "{path}");
    }
    assert_eq!(fine(&server.get("/v1/feeds/zoom/zoom/seq").await), "7");
}

/// Software that is started anew at once and says the same first words: they are taken for retries, until what comes next shows
/// that they were none. What was taken back comes again neither way, however much was posted since.
#[tokio::test]
async fn a_new_run_keeps_its_first_words() {
    let server = Server::start();
    for (seq, text) in [(1, "Good evening."), (2, "Can you hear me?"), (3, "Yes.")] {
        fine(&post(&server, &format!("zoom?seq={seq}"), text).await);
    }
    for (seq, text) in [(1, "Good evening."), (2, "Can you hear me?")] {
        let answer = post(&server, &format!("zoom?seq={seq}"), text).await;
        assert_eq!((answer.status, answer.text()), (200, format!("{seq}\n")), "a retry as far as anybody knows");
    }
    let answer = post(&server, "zoom?seq=3", "No.").await;
    assert!(answer.status == 200 && answer.text().contains("2 captions before this one"), "{}", answer.text());
    // Those are told from retries of the new run, of which others follow.
    fine(&post(&server, "zoom?seq=1", "Good evening.").await);
    fine(&post(&server, "zoom?seq=4", "Now?").await);
    fine(&post(&server, "zoom?seq=2", "Better.").await);
    let first = ["Good evening.", "Can you hear me?"];
    let runs = [&first[..], &["Yes."], &first, &["No.", "Now?", "Better."]].concat();
    assert_eq!(said(&server).await, runs);

    for seq in 1..=20 {
        fine(&post(&server, &format!("zoom?session=long&seq={seq}"), &format!("Sentence {seq}.")).await);
    }
    for seq in [1, 19] {
        let line = format!("/v1/feeds/hearing/lines/main/long-{seq}");
        assert_eq!(server.http("DELETE", &line, &[], b"").await.status, 204);
        let answer = post(&server, &format!("zoom?session=long&seq={seq}"), &format!("Sentence {seq}.")).await;
        assert!(answer.status == 200 && answer.text().contains("stays retracted"), "{}", answer.text());
    }
    let long = (2..=20).filter(|seq| *seq != 19).map(|seq| format!("Sentence {seq}."));
    let mut expected: Vec<String> = runs.into_iter().map(str::to_owned).chain(long).collect();
    assert_eq!(said(&server).await, expected);

    // A new run says it again: the next caption shows that it is one.
    assert_eq!(post(&server, "zoom?session=long&seq=1", "Sentence 1.").await.status, 200);
    let answer = post(&server, "zoom?session=long&seq=2", "Other.").await;
    assert!(answer.status == 200 && answer.text().contains("1 caption before this one was taken"), "{}", answer.text());
    expected.extend(["Sentence 1.", "Other."].map(str::to_owned));
    assert_eq!(said(&server).await, expected);
}

/// The first captions of a new run that were taken for retries before the server was started again are told of. Of a run of
/// which only a caption is known that was taken back nothing is said again.
#[tokio::test]
async fn first_captions_of_a_new_run_are_told_of_or_stay_taken_back() {
    let mut server = Server::start();
    for (seq, text) in [(0, "Good evening."), (1, "Welcome."), (2, "Item one.")] {
        fine(&post(&server, &format!("zoom?seq={seq}"), text).await);
        fine(&post(&server, &format!("zoom?session=desk&seq={seq}"), text).await);
    }
    for (seq, text) in [(0, "Good evening."), (1, "Welcome.")] {
        fine(&post(&server, &format!("zoom?seq={seq}"), text).await);
    }
    assert_eq!(server.http("DELETE", "/v1/feeds/hearing/lines/main/desk-1", &[], b"").await.status, 204);
    for (seq, text) in [(1, "Welcome."), (3, "Item two."), (1, "Welcome."), (2, "Item nine.")] {
        let answer = post(&server, &format!("zoom?session=desk&seq={seq}"), text).await;
        assert_eq!((answer.status, answer.text().contains("stays retracted")), (200, seq == 1), "{}", answer.text());
    }
    server.kill();
    server.restart();
    let answer = post(&server, "zoom?seq=2", "Item nine.").await;
    assert!(answer.status == 200 && answer.text().contains("may have begun before"), "{}", answer.text());
    let welcomes = said(&server).await.iter().filter(|text| **text == "Welcome.").count();
    assert_eq!(welcomes, 1, "that of the session zoom");
}

/// A text that is written on leaves the guesses of others alone, also when it begins.
#[tokio::test]
async fn a_stream_that_begins_takes_no_guess_of_others() {
    let server = Server::start();
    let guess = r#"{"type": "line", "id": "g", "start_ms": 0, "text": "The minister will", "status": "interim"}"#;
    let send = async |line: &str| {
        let path = "/v1/feeds/hearing/lines?session=engine";
        server.http("POST", path, &[("Content-Type", "application/json")], line.as_bytes()).await
    };
    assert_eq!(send(guess).await.status, 200);
    let begun = post(&server, "streamtext?seq=1", "ALL RISE.\n").await;
    assert_eq!((begun.status, begun.text()), (200, "1\n".to_owned()));
    let transcript = server.get("/v1/feeds/hearing/transcript.ndjson").await.text();
    assert!(transcript.contains("ALL RISE.") && !transcript.contains("The minister"), "{transcript}");
    assert_eq!(send(&guess.replace("interim", "final")).await.status, 200);
    assert!(server.get("/v1/feeds/hearing/transcript.ndjson").await.text().contains("The minister will"));
}

/// The software's clock is behind, or its captions are: the order is that in which they were said.
#[tokio::test]
async fn captions_from_before_the_opening_keep_their_order() {
    let server = Server::start();
    let now = async || {
        let now = fine(&post(&server, "youtube", "").await);
        Timestamp::parse(&format!("{now}Z")).expect("a time")
    };
    // Half of them are from before the feed was opened, and stand where they arrive; the others were said after that, and before
    // the last of these arrived.
    let mut times = vec![Timestamp(now().await.0 - 1_000)];
    let texts: Vec<String> = (1..=40).map(|number| format!("Sentence {number}.")).collect();
    let mut told = 0;
    for (at, text) in texts.iter().enumerate() {
        if at == texts.len() / 2 - 1 {
            times.push(now().await);
        }
        let seq = at + 1;
        let first = if at < texts.len() / 2 { times[0] } else { times[1] };
        let said_at = Timestamp(first.0 + at as i64 % 20).to_string();
        let body = format!("{} region:reg1#cue1\n{text}\n", said_at.trim_end_matches('Z'));
        let answer = post(&server, &format!("youtube?seq={seq}"), &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        told += usize::from(answer.text().lines().count() > 1);
    }
    assert_eq!(said(&server).await, texts);
    assert!(told > 0, "times that are left out are told");
}

/// A source beside the one of the feed's first line is acknowledged, and told that nobody sees it.
#[tokio::test]
async fn who_is_not_on_air_is_told() {
    let server = Server::start();
    fine(&post(&server, "zoom?seq=1", "Main speaks.").await);
    for path in ["zoom?seq=1&source=b", "youtube?seq=1&source=b", "streamtext?seq=1&source=b"] {
        let answer = post(&server, path, "2001-01-01T00:00:00.000\nB speaks.\n").await;
        assert!(answer.status == 200 && answer.text().contains("b is not on air"), "{path}: {}", answer.text());
        // A retry has no other answer.
        let again = post(&server, path, "2001-01-01T00:00:00.000\nB speaks.\n").await;
        assert!(again.status == 200 && again.text().contains("b is not on air"), "{path}: {}", again.text());
    }
    assert_eq!(fine(&post(&server, "zoom?seq=2", "Main again.").await), "2");
    let answer = post(&server, "zoom?seq=3", "And again.").await;
    assert!(!answer.text().contains("on air"), "{}", answer.text());
    assert_eq!(said(&server).await, ["Main speaks.", "Main again.", "And again."]);
}

#[tokio::test]
async fn captions_of_youtube_may_overtake_each_other() {
    let server = Server::start();
    // Times before the feed was opened are left out, so that the numbers say all there is.
    for (seq, text) in [(7, "seven"), (9, "nine"), (8, "eight"), (8, "eight")] {
        let answer = post(&server, &format!("youtube?seq={seq}"), &format!("2001-01-01T00:00:00.000\n{text}\n")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(said(&server).await, ["seven", "eight", "nine"]);
}

#[tokio::test]
async fn a_body_is_read_in_its_encoding() {
    let server = Server::start();
    let send = async |path: &str, content_type: &str, body: &[u8]| {
        let headers = [("Content-Type", content_type)];
        server.http("POST", &format!("/v1/feeds/hearing/{path}"), &headers, body).await
    };
    fine(&send("zoom?seq=1", "text/plain; charset=iso-8859-1", b"caf\xe9").await);
    fine(&send("zoom?seq=2", "text/plain", b"\xef\xbb\xbfWith a mark").await);
    fine(&send("streamtext?seq=1&source=b", "text/plain; charset=windows-1251", b"\xc4\xe0\n").await);
    send("zoom?seq=3", "text/plain; charset=klingon", b"a").await.assert_problem(400, "bad_request");
    // The same again is a retry, whatever its lines end with; a long text as well.
    let long = "many words of one that does not stop ".repeat(80);
    for (seq, text) in [(4, "TWO\r\nLINES\r\n"), (5, long.as_str()), (4, "TWO\r\nLINES\r\n"), (5, long.as_str())] {
        fine(&send(&format!("zoom?seq={seq}"), "text/plain", text.as_bytes()).await);
    }
    let mut said = said(&server).await;
    said.sort();
    assert_eq!(said.iter().filter(|said| said.starts_with("TWO")).count(), 1, "{said:?}");
    assert_eq!(said.iter().flat_map(|said| said.matches("words")).count(), 80, "{said:?}");
    said.retain(|said| !said.starts_with("TWO") && !said.contains("words"));
    assert!(said.starts_with(&["With a mark".to_owned(), "café".to_owned()]), "{said:?}");
}

#[tokio::test]
async fn youtube_says_when_it_was() {
    let server = Server::start();
    // The answer to a heartbeat is the server's time; this one makes no feed.
    let now = fine(&post(&server, "youtube?seq=0", "").await);
    assert!(now.len() == 23 && !now.ends_with('Z'), "{now}");
    server.get("/v1/feeds/hearing").await.assert_problem(404, "no_such_feed");
    let body = |time: &str, text: &str| format!("{time} region:reg1#cue1\n{text}\n");
    // Before the feed was opened: no media time has that moment, and the text stands.
    let early = post(&server, "youtube?seq=1", &body("2021-06-16T16:30:41.000", "LONG AGO.")).await;
    assert!(early.status == 200 && early.text().contains("before the start"), "{}", early.text());
    let now = fine(&post(&server, "youtube", "").await);
    for _ in 0..2 {
        fine(&post(&server, "youtube?seq=2", &body(&now, "THE FIRST ONE<br>IS OVER THERE.")).await);
    }
    fine(&post(&server, "youtube?seq=3", &body(&now, "YES.")).await);
    let mut said = said(&server).await;
    said.sort();
    assert_eq!(said, ["LONG AGO.", "THE FIRST ONE\nIS OVER THERE.", "YES."]);
}

#[tokio::test]
async fn streamtext_is_written_on_and_deleted() {
    let mut server = Server::start();
    fine(&post(&server, "streamtext?seq=1&lang=en", ">> CLERK: IT IS NOOM").await);
    assert_eq!(said(&server).await, ["IT IS NOOM"]);
    // The same again is a retry: its deletes are not done twice.
    for _ in 0..2 {
        fine(&post(&server, "streamtext?seq=2&lang=en", "\u{8}N.\nALL").await);
    }
    assert_eq!(said(&server).await, ["IT IS NOON.", "ALL"]);
    // Back over the line feed.
    fine(&post(&server, "streamtext?seq=3", "\u{8}\u{8}\u{8}\u{8}\u{8} NOW.\n").await);
    assert_eq!(said(&server).await, ["IT IS NOON NOW."]);
    let gap = post(&server, "streamtext?seq=5", "RISE").await;
    assert!(gap.text().contains("numbers are missing"), "{}", gap.text());
    // After a crash nothing is lost, and nothing reaches back.
    server.kill();
    server.restart();
    let anew = post(&server, "streamtext?seq=6", "\u{8}\u{8}\u{8}\u{8}ALL RISE.\n").await;
    assert!(anew.text().contains("begins a new one"), "{}", anew.text());
    assert_eq!(said(&server).await, ["IT IS NOON NOW.", "RISE", "ALL RISE."]);
    // What was open stands, as it was told.
    let written = server.get("/v1/feeds/hearing/transcript.txt").await;
    let written = written.text();
    assert!(written.lines().any(|line| line.trim() == "RISE" || line.contains(" RISE ALL")), "{written}");
    // A retry of one that is not the last is none of its text twice; one that comes late is told.
    for (seq, text, told) in
        [(7, "ONE ", ""), (9, "THREE ", "numbers are missing"), (7, "ONE ", ""), (8, "TWO", "behind")]
    {
        let answer = post(&server, &format!("streamtext?seq={seq}"), text).await;
        assert!(
            answer.text().contains(told) && (answer.text().lines().count() == 1) == told.is_empty(),
            "{}",
            answer.text()
        );
    }
    assert_eq!(said(&server).await.last().map(String::as_str), Some("ONE THREE TWO"));
}

#[tokio::test]
async fn so_many_streams_are_remembered() {
    let server = Server::start_with("[limits]\nstreams_max = 1\n");
    fine(&post(&server, "streamtext?seq=1", "IT IS NOOM").await);
    // Another one takes its place, and what comes next reaches nothing of it.
    fine(&post(&server, "streamtext?seq=1&source=b", "ELSEWHERE").await);
    let anew = post(&server, "streamtext?seq=2", "\u{8}N.\n").await;
    assert!(anew.text().contains("streams_max"), "{}", anew.text());
    assert_eq!(said(&server).await, ["IT IS NOOM", "N."]);
}

#[tokio::test]
async fn posting_takes_a_token_in_the_url() {
    let server = Server::start_with(
        "[auth]\npublic_url = \"http://localhost\"\n[[auth.tokens]]\nname = \"steno\"\n\
         sha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"\n\
         roles = [\"publish\", \"create\"]\nfeeds = [\"hearing\"]\n",
    );
    // The token is `test`.
    post(&server, "zoom?seq=1", "NOBODY.").await.assert_problem(401, "unauthorised");
    assert_eq!(fine(&post(&server, "zoom?seq=1&token=test", "SOMEBODY.").await), "1");
    assert_eq!(fine(&server.get("/v1/feeds/hearing/zoom/seq?token=test").await), "1");
    server.get("/v1/feeds/hearing/zoom/seq").await.assert_problem(401, "unauthorised");
    fine(&post(&server, "youtube?token=test", "").await);
    fine(&post(&server, "streamtext?token=test", "A").await);
}

/// What an engine says is no caption, whatever it is posted as.
#[tokio::test]
async fn a_vendors_message_is_no_caption() {
    let server = Server::start();
    let message = r#"{"partial":"the ferry is"}"#;
    for path in ["zoom?seq=1", "youtube?seq=1"] {
        let answer = post(&server, path, message).await;
        assert!(answer.status == 400 && answer.text().contains("format=vosk"), "{path}: {}", answer.text());
    }
    // A stream is put together wherever requests end.
    for (seq, part) in [(1, &message[..9]), (2, &message[9..])] {
        let answer = post(&server, &format!("streamtext?seq={seq}"), part).await;
        assert_eq!((answer.status, answer.text().contains("format=vosk")), (200, seq == 2), "{}", answer.text());
    }
    fine(&post(&server, "zoom?seq=1", "{music}").await);
    fine(&post(&server, "streamtext?seq=3", "ALL RISE.\n").await);
    let mut said = said(&server).await;
    said.sort();
    assert_eq!(said, ["ALL RISE.", "{music}"]);
}

/// `offset_ms` says where the software's clock stands; without it that is where the feed's is.
#[tokio::test]
async fn posts_stand_at_the_feeds_media_time_or_at_the_offset() {
    const HOUR: i64 = 3_600_000;
    let server = Server::start();
    let starts = async || {
        let mut screen = Screen::default();
        let mut reader = server.subscribe("hearing/subscribe?until=head").await;
        screen.read_to_close(&mut reader).await;
        let start = |line: &serde_json::Value| (line["text"].to_string(), line["start_ms"].as_i64().expect("a time"));
        screen.lines.values().map(start).collect::<std::collections::HashMap<_, _>>()
    };
    let headers = [("Content-Type", "application/json")];
    let line = format!(r#"{{"id":"1","text":"an hour in","start_ms":{HOUR}}}"#);
    assert_eq!(server.http("POST", "/v1/feeds/hearing/lines", &headers, line.as_bytes()).await.status, 200);
    fine(&post(&server, "zoom?seq=1", "PRESENT").await);
    fine(&post(&server, "streamtext?seq=1", "WRITTEN\n").await);
    for (seq, text) in [(1, "FIRST"), (2, "SECOND"), (4, "FOURTH"), (3, "THIRD")] {
        fine(&post(&server, &format!("zoom?seq={seq}&offset_ms={}", 5 * HOUR), text).await);
    }
    fine(&post(&server, &format!("streamtext?seq=1&offset_ms={}", 5 * HOUR), "ELSEWHERE\n").await);
    let now = fine(&post(&server, "youtube", "").await);
    fine(&post(&server, &format!("youtube?seq=1&offset_ms={}", 5 * HOUR), &format!("{now}\nTIMED\n")).await);
    post(&server, "zoom?seq=1&offset_ms=soon", "BAD").await.assert_problem(400, "bad_request");
    let starts = starts().await;
    for (text, hour) in
        [("PRESENT", 1), ("WRITTEN", 1), ("FIRST", 5), ("SECOND", 5), ("FOURTH", 5), ("ELSEWHERE", 5), ("TIMED", 5)]
    {
        let start_ms = starts[&format!("{text:?}")];
        assert!((hour * HOUR..hour * HOUR + 60_000).contains(&start_ms), "{text}: {start_ms}");
    }
    assert_eq!(starts["\"THIRD\""], starts["\"FOURTH\""]);
}
