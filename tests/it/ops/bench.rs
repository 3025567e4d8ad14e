//! `captionwire bench`, small, on the real binary: each measurement comes to its end, counts what it should, and finds out a
//! server that does not keep its word.

use crate::support;

use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::{Server, soon};
use tokio::process::Command;

const BINARY: &str = env!("CARGO_BIN_EXE_captionwire");

/// How long a measurement may take: it is made of many, each of which starts a server, and on a busy machine all of them wait.
const MEASURED_WITHIN: Duration = Duration::from_secs(240);

/// Runs `bench`, once and on whatever core is free, with JSON.
async fn bench(arguments: &str) -> Output {
    let mut command = Command::new(BINARY);
    command.arg("bench").args(arguments.split_whitespace());
    command.args(["--json", "--repeat", "1", "--server-core", "none", "--client-core", "none"]);
    let measuring = command.kill_on_drop(true).stdin(Stdio::null()).output();
    tokio::time::timeout(MEASURED_WITHIN, measuring).await.expect("it ends in time").expect("it runs")
}

fn runs(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The runs of a measurement in which all was right.
#[track_caller]
fn exact(output: &Output) -> Vec<Value> {
    let runs = runs(output);
    assert_eq!(output.status.code(), Some(0), "{runs:?} {}", String::from_utf8_lossy(&output.stderr));
    assert!(runs.iter().all(|run| run["exact"] == true && run.get("wrong").is_none()), "{runs:?}");
    runs
}

fn servers(runs: &[Value]) -> Vec<&str> {
    runs.iter().map(|run| run["server"].as_str().expect("a name")).collect()
}

#[track_caller]
fn number(run: &Value, key: &str) -> f64 {
    run[key].as_f64().unwrap_or_else(|| panic!("no {key} in {run}"))
}

#[tokio::test]
async fn a_fan_out_delivers_each_line_to_all() {
    let output = bench("fanout --subscribers 20 --rate 40 --seconds 0.5 --warmup 0.2").await;
    let runs = exact(&output);
    assert_eq!(servers(&runs), ["captionwire", "limit"]);
    for run in &runs {
        assert_eq!((&run["settings"]["subscribers"], &run["settings"]["rate"]), (&20.into(), &40.0.into()));
        // Those of half a second, and perhaps one that the end of the warming up cut off.
        let lines = number(run, "lines");
        assert!((18.0..=23.0).contains(&lines) && number(run, "deliveries") >= lines * 20.0, "{run}");
        assert!(number(run, "p50_ms") <= number(run, "p99_ms") && number(run, "p99_ms") <= number(run, "max_ms"));
    }
    // The limit's frames are as long as those of the server.
    let ratio = number(&runs[0], "bytes_per_delivery") / number(&runs[1], "bytes_per_delivery");
    assert!((0.95..1.05).contains(&ratio), "{ratio}");
}

#[tokio::test]
async fn a_closed_loop_goes_over_many_feeds() {
    let output = bench("fanout --subscribers 12 --feeds 3 --window 8 --batch 4 --seconds 0.5 --warmup 0.1").await;
    for run in exact(&output) {
        assert!(number(&run, "deliveries") > 100.0 && number(&run, "lines") > 20.0, "{run}");
    }
}

#[tokio::test]
async fn a_table_is_for_people() {
    let mut command = Command::new(BINARY);
    command.args(["bench", "fanout", "--subscribers", "3", "--seconds", "0.2", "--warmup", "0.1", "--repeat", "2"]);
    let output = soon(command.kill_on_drop(true).output()).await.expect("it runs");
    let table = String::from_utf8(output.stdout).expect("UTF-8");
    let rows: Vec<&str> = table.lines().collect();
    assert!(rows[0].starts_with("scenario") && rows[0].contains("× limit") && rows[0].ends_with("exact"), "{table}");
    assert!(rows[1].starts_with("3 × 1 in flight  captionwire") && rows[1].ends_with("yes"), "{table}");
    assert!(rows[2].starts_with("3 × 1 in flight  limit") && rows[2].ends_with("yes"), "{table}");
}

#[tokio::test]
async fn what_was_acknowledged_is_there_once() {
    let output = bench("ingest --publishers 2 --window 2000 --lines 3000").await;
    let runs = exact(&output);
    assert_eq!(servers(&runs), ["captionwire", "limit"]);
    for run in &runs {
        // Those that warm up, too.
        assert_eq!((number(run, "lines"), number(run, "checked")), (3_000.0, 3_300.0));
        assert!(number(run, "acked_per_s") > 0.0 && number(run, "p99_ms") > 0.0, "{run}");
    }
}

#[tokio::test]
async fn late_joiners_get_all_there_is() {
    let output = bench("replay --lines 500 --joiners 3 --rounds 3").await;
    let runs = exact(&output);
    assert_eq!(servers(&runs), ["captionwire", "limit"]);
    for run in &runs {
        assert_eq!(number(run, "deliveries"), 500.0 * 3.0 * 3.0);
        assert!(number(run, "first_ms") > 0.0 && number(run, "ms") > 0.0);
    }
}

#[tokio::test]
async fn who_waits_gets_what_comes() {
    let output = bench("idle --subscribers 30 --seconds 0.2").await;
    for run in exact(&output) {
        assert_eq!(number(&run, "deliveries"), 90.0);
        assert!(number(&run, "connects_per_s") > 0.0);
        assert_eq!(run["bytes_per_connection"].is_number(), cfg!(target_os = "linux"), "{run}");
    }
}

#[tokio::test]
async fn a_herd_comes_back_without_gap_or_repeat() {
    let output = bench("herd --subscribers 40 --lines 50 --rate 50 --seconds 0.5").await;
    let runs = exact(&output);
    assert_eq!(servers(&runs), ["captionwire"], "nobody else can be killed");
    let run = &runs[0];
    assert_eq!(number(run, "deliveries"), (number(run, "lines") - 50.0) * 40.0);
    assert!(number(run, "lines") > 90.0 && number(run, "live_ms") >= number(run, "connected_ms"), "{run}");
}

#[tokio::test]
async fn a_curve_has_all_its_points() {
    let output = bench("curve --subscribers 2,5 --feeds 2 --lines 20 --seconds 0.2 --warmup 0.1 --no-limit").await;
    let runs = exact(&output);
    let names: Vec<&str> = runs.iter().map(|run| run["scenario"].as_str().expect("a name")).collect();
    let wanted = [
        "no subscribers",
        "2 subscribers",
        "5 subscribers",
        "no subscribers, paced",
        "2 feeds of 10",
        "no subscribers, again",
        "after 20 lines",
    ];
    assert_eq!(names, wanted);
    assert!(runs[0]["p50_ms"].is_null() && number(&runs[2], "deliveries") > 0.0);
}

#[tokio::test]
async fn all_of_it_is_measured() {
    let output = bench("all --subscribers 5 --lines 200 --seconds 0.3 --warmup 0.1").await;
    let runs = exact(&output);
    let mut names: Vec<&str> = runs.iter().map(|run| run["scenario"].as_str().expect("a name")).collect();
    names.dedup();
    let wanted =
        ["one", "steady", "burst", "ingest, 1 × 1", "ingest, 1 × 64", "replay, 20 of 200 lines", "idle, 5", "herd, 5"];
    assert_eq!(names, wanted);
}

#[tokio::test]
async fn a_server_that_runs_already_is_measured_where_it_is() {
    let server = Server::start();
    let (addr, id) = (server.addr(), server.id());
    let load = "--subscribers 5 --rate 20 --seconds 0.3 --warmup 0.1 --no-limit";
    let output = bench(&format!("fanout --url http://{addr} --pid {id} {load}")).await;
    let runs = exact(&output);
    assert_eq!(servers(&runs), ["captionwire"]);
    assert_eq!(runs[0]["server_cpu_s"].is_number(), cfg!(target_os = "linux"));
    let without = bench(&format!("replay --url http://{addr} --lines 20 --rounds 2 --no-limit")).await;
    assert!(exact(&without)[0]["cpu_ms_per_joiner"].is_null());
}

/// The limit, as a stranger would name it.
async fn bench_against(arguments: &str, flags: &str) -> Output {
    let mut command = Command::new(BINARY);
    command.arg("bench").args(arguments.split_whitespace());
    command.args(["--json", "--repeat", "1", "--server-core", "none", "--client-core", "none", "--no-limit"]);
    command.args(["--against", &format!("{BINARY} bench limit {flags}"), "--against-name", "stranger"]);
    command.args(["--pub-wrap", "{\"n\":@SEQ@,\"at\":@MS@,\"by\":\"@SPEAKER@\",\"text\":\"@TEXT@\"}"]);
    command.args(["--ack", "upto:{\"ack\":", "--replay-path", "/sub/@FEED@?from=start"]);
    soon(command.kill_on_drop(true).output()).await.expect("it runs")
}

#[tokio::test]
async fn another_server_takes_part() {
    let output = bench_against("ingest --lines 300", "--keep").await;
    let runs = exact(&output);
    assert_eq!(servers(&runs), ["captionwire", "stranger"]);
    assert_eq!(number(&runs[1], "checked"), 330.0);
}

#[tokio::test]
async fn a_server_that_loses_lines_is_found_out() {
    let output = bench_against("fanout --subscribers 4 --rate 50 --seconds 0.4 --warmup 0.1", "--lose 10").await;
    assert_eq!(output.status.code(), Some(1));
    let runs = runs(&output);
    assert_eq!((&runs[0]["exact"], &runs[1]["exact"]), (&true.into(), &false.into()), "{runs:?}");
    let wrong = runs[1]["wrong"].as_str().expect("what was wrong");
    assert!(wrong.contains("line 10 where line 9 was due"), "{wrong}");
    // Whoever joins late is told no less.
    let output = bench_against("replay --lines 40 --rounds 1", "--keep --lose 15").await;
    assert_eq!(output.status.code(), Some(1));
}

#[tokio::test]
async fn what_cannot_be_measured_is_said() {
    let check = async |arguments: &str, code: i32, said: &str| {
        let output = bench(arguments).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let told = format!("{told}{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(output.status.code(), Some(code), "{arguments}: {told}");
        assert!(told.contains(said), "{arguments}: {told}");
    };
    check("fanout --rate 0", 2, "a number above 0").await;
    check("fanout --pid 1", 2, "--url").await;
    check("fanout --window 4 --batch 8", 1, "no more lines can be sent at once").await;
    check("herd --url http://127.0.0.1:9", 1, "leave out --url").await;
    check("fanout --url https://127.0.0.1:9", 2, "ws://").await;
    check("fanout --url http://127.0.0.1:9 --no-limit", 1, "refused").await;
    check("fanout --no-limit --server-arg=--config --server-arg=/nowhere.toml", 1, "did not come up").await;
    check("fanout --no-limit --against=false --subscribers 1 --seconds 0.1 --warmup 0.1", 1, "without saying").await;
    check("fanout --against x --pub-wrap hello", 1, "@TEXT@").await;
}
