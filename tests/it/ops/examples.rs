//! The programs of `examples/` against the real binary, as an integrator would start them.
//!
//! Those in Python run with the interpreter that `CAPTIONWIRE_TEST_PYTHON` names (it needs `websockets`) and are left out
//! loudly without it, or fail in CI.

use crate::support;

use std::path::PathBuf;
use std::process::{Output, Stdio};

use tokio::process::Command;

use support::{Screen, Server, facts, hearing, lines_of};

fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// A script of `examples/`, with the interpreter for it.
fn python(script: &str) -> Option<Command> {
    let python = support::program("CAPTIONWIRE_TEST_PYTHON", &format!("examples/{script}"))?;
    let mut command = Command::new(python);
    command.arg(example(script));
    Some(command)
}

/// Runs it to its end; killed if that does not come.
async fn run(mut command: Command) -> Output {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    support::soon(output).await.expect("it runs")
}

/// The hearing as lines of JSON.
fn ndjson() -> tempfile::NamedTempFile {
    let lines: Vec<String> = lines_of(&hearing()).iter().map(ToString::to_string).collect();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), lines.join("\n")).expect("written");
    file
}

async fn turns(server: &Server, feed: &str) -> Vec<(String, Vec<String>)> {
    let mut screen = Screen::default();
    let mut socket = server.subscribe(&format!("{feed}/subscribe?until=head")).await;
    assert_eq!(screen.read_to_close(&mut socket).await.0, 1000);
    screen.turns()
}

#[track_caller]
fn assert_done(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

#[tokio::test]
async fn the_scripts_publish_and_read_a_hearing() {
    let server = Server::start_with("[times]\nended_linger_ms = 0");
    let Some(mut publish) = python("publish.py") else { return };
    let lines = ndjson();
    publish.arg(server.ws("event/publish")).arg(lines.path()).arg("--end");
    assert_done(&run(publish).await);
    let turns = turns(&server, "event").await;
    assert_eq!(serde_json::json!(turns.len()), facts()["turns"]);

    let Some(mut subscribe) = python("subscribe.py") else { return };
    subscribe.arg(server.ws("event/subscribe"));
    let printed = assert_done(&run(subscribe).await);
    for (name, lines) in &turns {
        assert!(printed.contains(name.as_str()), "{name} is not in {printed}");
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().take(4).collect();
            assert!(printed.contains(&words.join(" ")), "{line:?} is not in {printed}");
        }
    }
}

#[tokio::test]
async fn the_scripts_say_when_they_are_not_welcome() {
    let server = Server::start();
    let Some(mut subscribe) = python("subscribe.py") else { return };
    subscribe.arg(server.ws("nowhere/subscribe?view=public"));
    let output = run(subscribe).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("4505"));
}

#[test]
fn the_page_to_start_from_is_short() {
    let page = std::fs::read_to_string(example("subscribe.html")).expect("it ships");
    assert!(page.lines().count() < 60);
}
