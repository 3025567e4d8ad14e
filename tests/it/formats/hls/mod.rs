//! HLS: a reader of playlist and segments, written from RFC 8216 alone, over feeds that go on with late and corrected lines;
//! and ffmpeg, which is a player of somebody else's.

mod player;
mod reader;
use crate::support;

use std::ffi::OsStr;
use std::process::Stdio;
use std::sync::Arc;

use captionwire::format::hls::{ListedSegments, SegmentCut, Timeline};
use captionwire::position::{Epoch, Offset, Starts};
use captionwire::transcript::{Content, FoldView, Op, Record, Timestamp, Transcript, TurnSettings, Version};
use proptest::prelude::*;
use reader::{Cue, Playlist, check_segments, number_of, read_segment};
use serde_json::json;
use sha2::{Digest, Sha256};
use support::{Server, line, soon};

const CUT: SegmentCut = SegmentCut { segment_ms: 2_000, hold_back_ms: 1_000 };

/// All segments that a timeline lists, by their addresses.
fn published(timeline: &Timeline) -> Vec<(String, String)> {
    let playlist = Playlist::read(&timeline.playlist(ListedSegments::All, u64::MAX, None, ""));
    if !playlist.is_event {
        // Nothing is published, and players have to be given something.
        assert_eq!((playlist.first, playlist.segments.len()), (0, 1));
        let lead_in = timeline.segment(&playlist.segments[0], 0).expect("what is listed is there");
        assert_eq!(read_segment(&lead_in), (900_000, Vec::new()));
        return Vec::new();
    }
    assert_eq!(playlist.first, 1);
    let segments = playlist.segments.into_iter();
    segments.map(|name| (name.clone(), timeline.segment(&name, 0).expect("what is listed is there"))).collect()
}

fn said(id: u8, start_ms: i64, length_ms: Option<i64>, text: u8) -> Op {
    let content = Content {
        start_ms: Some(start_ms),
        end_ms: length_ms.map(|length_ms| start_ms + length_ms),
        speaker: Some("Clerk".into()),
        text: format!("line {id} text {text}").into(),
        ..Content::default()
    };
    Op::Line {
        source: "main".into(),
        lines: vec![Version { id: id.to_string().into(), content, ..Version::default() }],
    }
}

/// A feed that goes on, mostly: the times of its lines wander forward, and fall behind now and then.
fn ops() -> impl Strategy<Value = Vec<Op>> {
    let line = (0..12_u8, -9_000..4_000_i64, proptest::option::of(1..9_000_i64), 0..3_u8);
    let op = prop_oneof![
        8 => line.prop_map(Some),
        1 => Just(None),
    ];
    proptest::collection::vec((op, 0..12_u8, 0..1_500_i64), 1..40).prop_map(|steps| {
        let mut now = 0;
        let mut ops = Vec::new();
        for (line, id, on) in steps {
            now += on;
            ops.push(match line {
                Some((id, shift, length_ms, text)) => said(id, (now + shift).max(0), length_ms, text),
                None => Op::Retract { source: "main".into(), id: id.to_string().into(), rev: None },
            });
            ops.push(Op::Clock { source: "main".into(), media_ms: now });
        }
        ops
    })
}

fn opening() -> Op {
    Op::Open { epoch: Epoch::new("e1"), settings: TurnSettings::default(), imported: false }
}

proptest! {
    /// However a feed goes on: what was published stays as it was, cues are whole, and nothing that stands is lost.
    #[test]
    fn published_segments_stay_and_hold_every_line(ops in ops()) {
        let mut timeline = Timeline::new(CUT);
        let mut transcript = Transcript::new(FoldView::FinalOnly);
        let mut seen: Vec<(String, String)> = Vec::new();
        let ops = [opening(), Op::Resume].into_iter().chain(ops).chain([Op::End]);
        for (offset, op) in (0..).zip(ops) {
            let record = Record::new(Timestamp(1_700_000_000_000), op);
            transcript.apply(Offset(offset), record.clone());
            timeline.apply(Offset(offset), record);
            let now = published(&timeline);
            prop_assert!(now.starts_with(&seen), "{seen:#?}\nbecame\n{now:#?}");
            seen = now;
        }
        let segments: Vec<Vec<Cue>> = seen.iter().map(|(_, text)| read_segment(text).1).collect();
        let first = seen.first().map_or(0, |(name, _)| number_of(name));
        let cues = check_segments(first, &segments, CUT.segment_ms);
        for line in transcript.assembled().flat_map(|(_, lines)| lines) {
            let text = format!("<v Clerk>{}", line.text);
            let key = format!("main/{}", line.id);
            let is_of_it = |id: &str| id == key || id.strip_prefix(&key).is_some_and(|rest| rest.starts_with('#'));
            prop_assert!(cues.values().any(|cue| is_of_it(&cue.id) && cue.payload == text), "{key} {text} in {cues:#?}");
        }
    }
}

/// Times and segments of one line each, by hand.
#[test]
fn where_lines_are() {
    let cues_after = |ops: Vec<Op>| {
        let mut timeline = Timeline::new(CUT);
        for (offset, op) in (0..).zip([opening(), Op::Resume].into_iter().chain(ops)) {
            timeline.apply(Offset(offset), Record::new(Timestamp(1_700_000_000_000), op));
        }
        let cues = published(&timeline).into_iter().map(|(_, text)| {
            let cues = read_segment(&text).1.into_iter();
            cues.map(|cue| (cue.id, cue.start_ms, cue.end_ms)).collect::<Vec<_>>()
        });
        cues.collect::<Vec<_>>()
    };
    let cue = |id: &str, start_ms, end_ms| (format!("main/{id}"), start_ms, end_ms);
    let clock = |media_ms| Op::Clock { source: "main".into(), media_ms };
    // It spans two segments, and is in both once both are published, and not before.
    let spanning = said(1, 500, Some(3_000), 0);
    assert_eq!(cues_after(vec![spanning.clone()]), [vec![cue("1", 500, 3_500)]]);
    assert_eq!(cues_after(vec![spanning.clone(), clock(4_999)]).len(), 1);
    assert_eq!(cues_after(vec![spanning.clone(), clock(5_000)]), vec![vec![cue("1", 500, 3_500)]; 2]);
    // Late: its time is over.
    let first = said(9, 0, Some(100), 0);
    // Half a second, for a shorter cue is not seen.
    let begun = vec![cue("9", 0, 500)];
    let late = vec![first.clone(), clock(7_000), said(2, 500, Some(1_500), 0), clock(9_000)];
    assert_eq!(cues_after(late), [begun.clone(), vec![], vec![], vec![cue("2", 6_000, 7_500)]]);
    // Late, and on the screen still.
    let still = vec![first, clock(7_000), said(2, 500, Some(7_000), 0), clock(9_000)];
    assert_eq!(cues_after(still), [begun, vec![], vec![], vec![cue("2", 500, 7_500)]]);
    // Corrected when the first segment of it is published: said again in the second, and the first one ends there.
    let corrected = vec![spanning.clone(), said(1, 500, Some(3_000), 1), clock(5_000)];
    assert_eq!(cues_after(corrected), [vec![cue("1", 500, 3_500)], vec![cue("1#2", 500, 3_500)]]);
    // Only its end is another one: it was said, and goes on as it began.
    let longer = vec![spanning.clone(), said(1, 500, Some(9_000), 0), clock(5_000)];
    assert_eq!(cues_after(longer)[1], [cue("1", 500, 3_500)]);
    // Taken back.
    let gone = vec![spanning, Op::Retract { source: "main".into(), id: "1".into(), rev: None }, clock(5_000)];
    assert_eq!(cues_after(gone), [vec![cue("1", 500, 3_500)], vec![]]);
    // Nobody knows the end: up to the next line, or as long as it takes to read it.
    let open = vec![said(1, 0, None, 0), said(2, 1_200, None, 0), clock(5_000)];
    assert_eq!(cues_after(open), [vec![cue("1", 0, 1_000), cue("2", 1_200, 2_200)], vec![cue("2", 1_200, 2_200)]]);
    // The end of the feed publishes the rest.
    assert_eq!(cues_after(vec![said(1, 100, Some(200), 0), Op::End]), [vec![cue("1", 100, 600)]]);
    assert_eq!(
        cues_after(vec![said(1, 100, Some(1), 0), said(2, 300, Some(900), 0), Op::End]),
        [vec![cue("1", 100, 300), cue("2", 300, 1_200)]]
    );
    // An end that does not lie behind the start is none.
    assert_eq!(cues_after(vec![said(1, 100, Some(0), 0), Op::End]), [vec![cue("1", 100, 1_100)]]);
}

/// A feed whose times are those of the day begins with its first cue, whatever comes later, and whoever cuts it.
#[test]
fn a_feed_begins_with_its_first_cue() {
    const EVENING: i64 = 68_400_000;
    let take = |ops: &[Op]| {
        let mut timeline = Timeline::new(CUT);
        for (offset, op) in (0..).zip([opening(), Op::Resume].iter().chain(ops)) {
            timeline.apply(Offset(offset), Record::new(Timestamp(1_700_000_000_000), op.clone()));
        }
        timeline
    };
    let numbers = |timeline: &Timeline| -> Vec<i64> {
        Playlist::read(&timeline.playlist(ListedSegments::All, u64::MAX, None, ""))
            .segments
            .iter()
            .map(|name| number_of(name))
            .collect()
    };
    let clock = |media_ms| Op::Clock { source: "main".into(), media_ms };
    let first = EVENING / CUT.segment_ms;
    let mut ops = vec![said(1, EVENING, Some(1_000), 0)];
    assert!(
        !Playlist::read(&take(&ops).playlist(ListedSegments::All, u64::MAX, None, "")).is_event,
        "nothing is published"
    );
    ops.push(clock(EVENING + 3_000));
    assert_eq!(numbers(&take(&ops)), [first - 2, first - 1, first], "and two empty ones");
    // What stands before it and comes late is in the first that is not published; the first stays what it is.
    ops.extend([said(2, 5_000, Some(1_000), 0), clock(EVENING + 5_000)]);
    let timeline = take(&ops);
    assert_eq!(numbers(&timeline), [first - 2, first - 1, first, first + 1]);
    let last = Playlist::read(&timeline.playlist(ListedSegments::All, u64::MAX, None, "")).segments[3].clone();
    let cues = read_segment(&timeline.segment(&last, 0).expect("it is listed")).1;
    let late = (first + 1) * CUT.segment_ms;
    assert_eq!(cues.iter().map(|cue| (&*cue.id, cue.start_ms)).collect::<Vec<_>>(), [("main/2", late)]);
    // A line before it that comes in time is the first.
    let early = [said(1, EVENING, Some(1_000), 0), said(2, 9_000, Some(1_000), 0), Op::End];
    assert_eq!(numbers(&take(&early))[0], 9_000 / CUT.segment_ms - 2);
    // Dates go by media time all the same.
    let at = Timestamp(1_700_000_000_000);
    let dated = take(&ops).playlist(ListedSegments::All, u64::MAX, Some(at), "");
    let begins = Timestamp(at.0 + (first - 2) * CUT.segment_ms);
    assert_eq!(Playlist::read(&dated).dates[0], (0, begins));
    // Only so many are listed, and the playlist says so.
    let short = timeline.playlist(ListedSegments::All, 3, None, "");
    let read = Playlist::read(&short);
    assert_eq!((read.first, read.segments.len(), read.is_event), (2, 3, false), "{short}");
    assert!(short.contains("# The last 3 segments (hls.listed_max); 1 before them are left out."), "{short}");
}

/// The time of day jumps, and so do the records' times: the feed goes on as time does.
#[test]
fn a_time_of_day_that_jumps_moves_no_feed() {
    const YEAR_MS: i64 = 365 * 86_400_000;
    let mut timeline = Timeline::new(CUT);
    let mut now = 1_700_000_000_000_i64;
    let mut offset = 0_u64;
    let mut take = |timeline: &mut Timeline, now: i64, op: Op| {
        timeline.apply(Offset(offset), Record::new(Timestamp(now), op));
        offset += 1;
    };
    take(&mut timeline, now, opening());
    take(&mut timeline, now, Op::Resume);
    take(&mut timeline, now, said(1, 0, Some(1_000), 0));
    let tick = || Op::Clock { source: "main".into(), media_ms: 1_000 };
    for jump in [0, YEAR_MS, -YEAR_MS, -YEAR_MS, YEAR_MS] {
        now += jump;
        for _ in 0..4 {
            now += 500;
            take(&mut timeline, now, tick());
        }
    }
    let listed = Playlist::read(&timeline.playlist(ListedSegments::All, u64::MAX, None, "")).segments.len();
    // Ten seconds, and up to a minute for each jump forward.
    assert!((5..=5 + 2 * 30 + 1).contains(&listed), "{listed}");
    let sliding = Playlist::read(&timeline.playlist(ListedSegments::Last(3), u64::MAX, None, "")).segments.len();
    // Three, and what the last jump published at once.
    assert!((3..=3 + 30).contains(&sliding), "{sliding}");
}

/// The segments that a server's playlist lists, by their addresses.
async fn play(server: &Server, query: &str) -> (Playlist, Vec<(String, String)>) {
    play_as(server, query, "public").await
}

async fn play_as(server: &Server, query: &str, cache: &str) -> (Playlist, Vec<(String, String)>) {
    let base = "/v1/feeds/geneva/hls/";
    let answer = server.get(&format!("{base}captions.m3u8{query}")).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/vnd.apple.mpegurl")));
    assert_eq!(answer.header("cache-control"), Some(format!("{cache}, max-age=1").as_str()));
    let playlist = Playlist::read(&answer.text());
    let mut segments = Vec::new();
    for name in &playlist.segments {
        let answer = server.get(&format!("{base}{name}")).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/vtt; charset=utf-8")), "{name}");
        let for_ever = format!("{cache}, max-age=31536000, immutable");
        assert_eq!(answer.header("cache-control"), Some(for_ever.as_str()));
        segments.push((name.clone(), answer.text()));
    }
    (playlist, segments)
}

/// Those of a playlist of all that is published; none while it lists the lead-in alone.
async fn play_all(server: &Server) -> Vec<(String, String)> {
    let (playlist, segments) = play(server, "?type=event").await;
    if playlist.is_event { segments } else { Vec::new() }
}

#[tokio::test]
async fn a_live_feed_as_a_playlist() {
    let mut server = Server::start_with("[hls]\nsegment_ms = 2000\nhold_back_ms = 1000\nwindow = 3");
    server.get("/v1/feeds/geneva/hls/captions.m3u8").await.assert_problem(404, "no_such_feed");
    server.json("PUT", "/v1/feeds/geneva", json!({})).await;
    let (playlist, _) = play(&server, "").await;
    assert_eq!((playlist.segments.len(), playlist.is_over, playlist.target_s), (1, false, 2));
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    let mut seen: Vec<(String, String)> = Vec::new();
    for n in 0..12_i64 {
        // Every third one comes late, every fifth is corrected later.
        let start = if n % 3 == 2 { (n - 2) * 1_000 } else { n * 1_000 };
        publisher.send(line(&n.to_string(), start, "Clerk", &format!("said {n}"))).await;
        if n % 5 == 4 {
            publisher.send(line(&(n - 4).to_string(), (n - 4) * 1_000, "Clerk", &format!("corrected {n}"))).await;
        } else {
            publisher.send(json!({"type": "clock", "media_ms": n * 1_000})).await;
        }
        publisher.acked(2 * n.unsigned_abs() + 2).await;
        let now = play_all(&server).await;
        assert!(now.starts_with(&seen), "{seen:#?} became {now:#?}");
        seen = now;
    }
    server.kill();
    server.restart();
    let now = play_all(&server).await;
    assert!(seen.len() >= 4 && now.starts_with(&seen), "{seen:#?} became {now:#?} by a restart");
    // All of it came at once and is listed for a while; then it slides.
    let (sliding, last) = soon(async {
        loop {
            let (sliding, last) = play(&server, "").await;
            if sliding.first > 1 {
                break (sliding, last);
            }
        }
    })
    .await;
    let now = play_all(&server).await;
    let first = usize::try_from(sliding.first).expect("few") - 1;
    assert!(last.len() >= 3 && now[first..].starts_with(&last), "{last:#?} is not in {now:#?}");
    for missing in ["x.vtt", &now[0].0.replace("-0.vtt", "-00.vtt"), &now[0].0.replace("-2000-", "-4000-")] {
        server.get(&format!("/v1/feeds/geneva/hls/{missing}")).await.assert_problem(404, "not_found");
    }

    // The video began 1.5 seconds before the captions; when that was, its packager knows.
    let (shifted, segments) = play(&server, "?offset_ms=1500&start_at=2026-11-23T18:00:00Z").await;
    assert_eq!(read_segment(&segments[0].1).0, 900_000 + 135_000);
    let zero = Timestamp::parse("2026-11-23T18:00:00Z").expect("a time").0;
    let number = |place: usize| i64::try_from(place).expect("few") + i64::try_from(shifted.first).expect("few") - 1;
    let dates: Vec<_> =
        (0..shifted.segments.len()).map(|place| (place, Timestamp(zero + 2_000 * number(place)))).collect();
    assert_eq!(shifted.dates, dates);
    let (_, segments) = play(&server, "?offset_ms=-20000").await;
    assert_eq!(read_segment(&segments[0].1).0, (1 << 33) - 900_000);
    for bad in ["type=vod", "offset_ms=1e3", "offset_ms=604800001", "start_at=noon"] {
        let path = format!("/v1/feeds/geneva/hls/captions.m3u8?{bad}");
        server.get(&path).await.assert_problem(400, "bad_request");
    }

    server.json("POST", "/v1/feeds/geneva/state", json!({"state": "ended"})).await;
    let (playlist, all) = play(&server, "?type=event").await;
    assert!(playlist.is_over && all.starts_with(&now));
    let next = all[0].0.replace("-0.vtt", &format!("-{}.vtt", all.len()));
    server.get(&format!("/v1/feeds/geneva/hls/{next}")).await.assert_problem(404, "not_found");
    let segments: Vec<Vec<Cue>> = all.iter().map(|(_, text)| read_segment(text).1).collect();
    let cues = check_segments(0, &segments, 2_000);
    let texts: Vec<&str> = cues.values().map(|cue| cue.payload.as_str()).collect();
    for n in 0..12 {
        assert!(texts.contains(&format!("<v Clerk>said {n}").as_str()), "{n} in {texts:?}");
    }
    assert!(texts.contains(&"<v Clerk>corrected 4") && texts.contains(&"<v Clerk>corrected 9"), "{texts:?}");
}

/// A player sends no header: the token in the playlist's address is in its segments' too, and caches of others keep neither.
#[tokio::test]
async fn a_token_goes_on_from_the_playlist_to_its_segments() {
    let token = "tok+of/mine==&";
    let in_url = "token=tok%2Bof%2Fmine%3D%3D%26";
    let hash: String = Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let config = format!(
        "allowed_origins = [\"https://player.example\"]\n[auth.anonymous]\nroles = [\"subscribe\"]\nfeeds = \
         [\"public\"]\n[[auth.tokens]]\nname = \"all\"\nsha256 = \"{hash}\"\nroles = [\"admin\", \"subscribe\"]\n\
         feeds = [\"*\"]\n"
    );
    let (mut server, log) = Server::start_logging(&config);
    let bearer = format!("Bearer {token}");
    let authorization = [("Authorization", bearer.as_str()), ("Content-Type", "text/plain")];
    for feed in ["geneva", "public"] {
        let path = format!("/v1/feeds/{feed}/transcript");
        assert_eq!(server.http("PUT", &path, &authorization, support::hearing().as_bytes()).await.status, 201);
    }

    let (playlist, segments) = play_as(&server, &format!("?offset_ms=500&{in_url}"), "private").await;
    assert!(
        segments.len() > 3 && playlist.segments.iter().all(|name| name.ends_with(&format!("?offset_ms=500&{in_url}")))
    );
    let name = playlist.segments[0].split_once('?').expect("a query").0;
    for path in ["captions.m3u8", "captions.m3u8?token=another", name, &format!("{name}?token=another")] {
        server.get(&format!("/v1/feeds/geneva/hls/{path}")).await.assert_problem(401, "unauthorised");
    }
    // Who can send a header has no token in an address.
    let answer = server.http("GET", "/v1/feeds/geneva/hls/captions.m3u8", &authorization[..1], b"").await;
    assert_eq!(answer.header("cache-control"), Some("private, max-age=1"));
    assert!(!answer.text().contains('?'), "{}", answer.text());

    // What anybody may read, any cache may keep, for pages that may read it and others.
    let path = "/v1/feeds/public/hls/captions.m3u8";
    let nobody = server.get(path).await;
    let page = server.http("GET", path, &[("Origin", "https://player.example")], b"").await;
    for answer in [&nobody, &page] {
        assert_eq!(
            (answer.header("cache-control"), answer.header("vary")),
            (Some("public, max-age=1"), Some("Origin"))
        );
    }
    assert_eq!(page.header("access-control-allow-origin"), Some("https://player.example"));
    let foreign = server.http("GET", path, &[("Origin", "https://other.example")], b"").await;
    foreign.assert_problem(403, "forbidden");

    assert!(server.stop().success());
    let log = std::fs::read_to_string(log).expect("a log");
    assert!(log.contains("\"level\"") && !log.contains("mine"), "{log}");
}

/// Nobody speaks, and players go on: time does too, long before the feed's own clock is moved.
#[tokio::test]
async fn silence_is_published() {
    let server =
        Server::start_with("[hls]\nsegment_ms = 1000\nhold_back_ms = 0\n[times]\nidle_clock_after_ms = 3600000");
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    publisher.send(line("1", 0, "Clerk", "one")).await;
    publisher.acked(1).await;
    soon(async { while play_all(&server).await.len() < 7 {} }).await;
    // Which tells readers nothing: the turn would be over else.
    let transcript = server.get("/v1/feeds/geneva/transcript.json").await.json();
    assert_eq!(transcript["turns"][0]["state"], "open", "{transcript}");
}

/// What ffmpeg writes of a feed as SubRip, without line breaks.
async fn ffmpeg(ffmpeg: &OsStr, server: &Server, query: &str) -> String {
    let url = format!("http://{}/v1/feeds/geneva/hls/captions.m3u8?type=event{query}", server.addr());
    let mut command = tokio::process::Command::new(ffmpeg);
    command.args(["-v", "error", "-live_start_index", "0", "-i", &url, "-f", "srt", "-"]);
    let output = soon(command.stdin(Stdio::null()).kill_on_drop(true).output()).await.expect("it runs");
    let problems = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && problems.is_empty(), "{problems}");
    words(&String::from_utf8(output.stdout).expect("UTF-8"))
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn ffmpeg_plays_it() {
    let Some(program) = support::program("CAPTIONWIRE_TEST_FFMPEG", "ffmpeg on a playlist") else { return };
    let server = Server::start();
    server.import("geneva", &support::hearing()).await;
    let srt = ffmpeg(&program, &server, "").await;
    let transcript = server.get("/v1/feeds/geneva/transcript.json").await.json();
    for turn in transcript["turns"].as_array().expect("turns") {
        for line in turn["lines"].as_array().expect("lines") {
            let text = words(line["text"].as_str().expect("a text"));
            assert!(srt.contains(&text), "{text:?} is not in {srt}");
        }
    }
}

/// From before the first word to the end.
#[tokio::test]
async fn ffmpeg_plays_a_live_feed() {
    let Some(program) = support::program("CAPTIONWIRE_TEST_FFMPEG", "ffmpeg on a live playlist") else { return };
    let server = Server::start_with("[hls]\nsegment_ms = 1000\nhold_back_ms = 0");
    server.json("PUT", "/v1/feeds/geneva", json!({})).await;
    let mut publisher = server.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    let speech = async {
        for n in 0..6_i64 {
            publisher.send(line(&n.to_string(), n * 1_500, "Clerk", &format!("word {n}."))).await;
            publisher.acked(n.unsigned_abs() + 1).await;
            // Until time alone has published what was said.
            let published = usize::try_from(n * 3 / 2 + 1).expect("few");
            soon(async { while play_all(&server).await.len() < published {} }).await;
        }
        publisher.send(json!({"type": "end"})).await;
    };
    let (srt, ()) = tokio::join!(ffmpeg(&program, &server, ""), speech);
    for n in 0..6 {
        assert!(srt.contains(&format!("word {n}.")), "{n} is not in {srt}");
    }
}

/// A published segment is the same from a timeline that took the log later, in one go.
#[test]
fn another_server_publishes_the_same() {
    let ops: Vec<Op> = (0..30).map(|n| said(n, i64::from(n) * 700, Some(1_500), 0)).collect();
    let records: Vec<Record> =
        std::iter::once(opening()).chain(ops).map(|op| Record::new(Timestamp(1_700_000_000_000), op)).collect();
    let mut whole = Timeline::new(CUT);
    let mut seen: Arc<[(String, String)]> = Arc::default();
    for (offset, record) in (0..).zip(&records) {
        whole.apply(Offset(offset), record.clone());
        // One that is cut anew at each record, as after a restart.
        let mut anew = Timeline::new(CUT);
        for (offset, record) in (0..=offset).zip(&records) {
            anew.apply(Offset(offset), record.clone());
        }
        let now = published(&anew);
        assert_eq!(now, published(&whole));
        assert!(now.starts_with(&seen));
        seen = now.into();
    }
    assert!(seen.len() > 8);
}

/// A log that was put back to an earlier state publishes the numbers of what it has lost again, with other text. What is called the
/// same is the same: caches keep it for ever. What is not lost is called as it was.
#[test]
fn a_segment_that_a_log_has_lost_has_another_name() {
    const KEPT: u64 = 12;
    let say = |text: u8| {
        let ops: Vec<Op> = (0..30).map(|n| said(n, i64::from(n) * 700, Some(1_500), text)).collect();
        std::iter::once(opening()).chain(ops).map(|op| Record::new(Timestamp(1_700_000_000_000), op))
    };
    let publish = |starts: Starts, records: Vec<Record>| {
        let mut timeline = Timeline::with_starts(CUT, starts);
        (0..).zip(records).for_each(|(offset, record)| timeline.apply(Offset(offset), record));
        published(&timeline)
    };
    let ids = |ids: &[&str]| ids.iter().map(|id| Epoch::new(id)).collect();
    let kept: Vec<Record> = say(0).take(KEPT as usize).collect();
    let after = |text| kept.iter().cloned().chain(say(text).skip(KEPT as usize)).collect::<Vec<_>>();
    let before = publish(Starts::new(ids(&["a"]), Vec::new()), kept.clone());
    let lost = publish(Starts::new(ids(&["a"]), Vec::new()), after(1));
    let now = publish(Starts::new(ids(&["a", "b"]), vec![(1, Offset(KEPT))]), after(2));
    assert!(!before.is_empty() && lost.starts_with(&before) && now.starts_with(&before));
    assert_eq!(now.len(), lost.len());
    for ((name, text), (lost_name, lost_text)) in now.iter().zip(&lost).skip(before.len()) {
        assert_eq!(number_of(name), number_of(lost_name));
        assert!(name != lost_name && text != lost_text, "{name}");
    }
    // Nor does one that nobody put back rename anything when it starts again.
    let again = publish(Starts::new(ids(&["a", "b"]), vec![(1, Offset(31))]), after(1));
    assert_eq!(again, lost);
}
