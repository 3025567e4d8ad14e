//! The code of README.md and docs/, as whoever copies it from there would run it, and the links between the pages.
//!
//! Commands run in a shell against the real server, programs with the interpreters that `CAPTIONWIRE_TEST_PYTHON` and
//! `CAPTIONWIRE_TEST_NODE` name; without these they are left out loudly, or fail in CI. Pages (HTML) are the business of
//! `tests/browser`, the programs of `examples/` that of `examples.rs`.

#![allow(clippy::disallowed_methods, reason = "a receiver ends with its test")]

use crate::support;

mod deploy;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use support::{Server, hearing, soon};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;

/// As docs/webhooks.md and Standard Webhooks write them.
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// README.md and the pages of docs/.
fn guides() -> Vec<String> {
    let docs = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).expect("docs/");
    let names = docs.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    let mut pages: Vec<String> =
        names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect();
    pages.sort();
    pages.insert(0, "README.md".to_owned());
    pages
}

/// The blocks of code in a page that are in this language.
fn blocks(name: &str, language: &str) -> Vec<String> {
    let (mut found, mut open): (Vec<String>, Option<(bool, String)>) = (Vec::new(), None);
    for line in page(name).lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(says), None) => open = Some((says == language, String::new())),
            (Some(_), Some((is_wanted, block))) => {
                found.extend(is_wanted.then(|| std::mem::take(block)));
                open = None;
            }
            (None, Some((_, block))) => *block += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    found
}

/// A shell in which `captionwire` is the binary under test, in a directory of its own.
fn shell(dir: &Path, script: &str) -> Command {
    let bin = Path::new(env!("CARGO_BIN_EXE_captionwire")).parent().expect("a directory");
    let path = std::env::join_paths(
        [bin.to_owned(), dir.to_owned()]
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").expect("set"))),
    );
    let mut command = Command::new("sh");
    command.args(["-euc", script]).current_dir(dir).env("PATH", path.expect("a PATH"));
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

#[track_caller]
fn done(output: &Output, what: &str) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{what}\n{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Every command that a page shows is one: its words are known, and there are as many of them as there should be.
#[tokio::test]
async fn commands_are_written_as_they_are_understood() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut count = 0;
    for page in guides() {
        for line in blocks(&page, "sh").iter().flat_map(|block| block.lines()) {
            let Some((_, command)) =
                format!(" {line}").split_once(" captionwire ").map(|(a, b)| (a.to_owned(), b.to_owned()))
            else {
                continue;
            };
            let command = command.split(" > ").next().and_then(|command| command.split("  ").next()).expect("one");
            // With `--help` at its end a command does nothing, once all before that is understood.
            let output = soon(shell(dir.path(), &format!("captionwire {command} --help")).output()).await;
            done(&output.expect("it runs"), &format!("{page}: {line}"));
            count += 1;
        }
    }
    assert!(count > 30, "{count} commands were found");
}

/// The walk of README.md and of what it sends its readers to: each block of commands after the other, on one server.
#[tokio::test]
async fn the_readme_can_be_followed() {
    let server = Server::start();
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
    std::fs::create_dir(dir.path().join("examples")).expect("made");
    write("examples/hearing.rev.txt", &hearing());
    let lines =
        blocks("docs/publishing.md", "json").into_iter().find(|block| block.contains("\"interim\"")).expect("lines");
    write("lines.ndjson", &lines);
    let url = format!("http://{}", server.addr());
    let mut publish = shell(dir.path(), "captionwire publish geneva lines.ndjson");
    done(&soon(publish.env("CAPTIONWIRE_URL", url).output()).await.expect("it runs"), "the lines of the page");
    write(
        "engine",
        "#!/bin/sh\necho '{\"type\":\"Results\",\"channel_index\":[0,1],\"start\":1.0,\"duration\":1.0,\"is_final\":true,\
         \"speech_final\":true,\"channel\":{\"alternatives\":[{\"transcript\":\"From the engine.\",\"confidence\":1.0,\
         \"words\":[]}]}}'\n",
    );
    done(&soon(shell(dir.path(), "chmod +x engine").output()).await.expect("it runs"), "chmod");
    let mut ran = 0;
    let mut walk = ["README.md", "docs/publishing.md", "docs/subscribing.md"].map(|page| blocks(page, "sh")).concat();
    walk.extend(blocks("docs/operating.md", "sh"));
    for block in walk {
        let first = block.lines().next().unwrap_or_default();
        let is_ours =
            ["captionwire ", "curl ", "engine ", "cp ", "printf "].iter().any(|program| first.starts_with(program));
        // What reads on for as long as the event lasts has an event that is over.
        if !is_ours || first == "captionwire watch geneva" {
            continue;
        }
        let here = block.replace("127.0.0.1:7700", server.addr()).replace("curl ", "curl -sS --fail ");
        let here = here.replace("--pace 20", "--pace max");
        // The archive is that of the server, and a server on its copy would not end.
        let data = server.data().display().to_string();
        let here = here.replace("--data captionwire-data", &format!("--data {data}"));
        let here = here.replace("captionwire serve ", "test -f copy/archive.db; : ");
        let mut shell = shell(dir.path(), &here);
        shell.env("CAPTIONWIRE_URL", format!("http://{}", server.addr()));
        done(&soon(shell.output()).await.expect("it runs"), &here);
        ran += 1;
    }
    assert!(ran >= 11, "{ran} blocks were found");
    let transcript = |feed: &str| format!("/v1/feeds/{feed}/transcript.txt");
    let geneva = server.get(&transcript("geneva")).await.text();
    for said in ["Good evening, Mr. President.", "Thank you.", "From the engine."] {
        assert!(geneva.contains(said), "{said:?} is not in {geneva}");
    }
    assert!(server.get(&transcript("again")).await.text().contains("Ines Marlow"));
    assert!(server.get(&transcript("hearing")).await.text().contains("Woman in the third row"));
    let written = std::fs::read_to_string(dir.path().join("hearing.ttml")).expect("it is written");
    assert!(written.contains("Ines Marlow"));
    let watched = soon(
        shell(dir.path(), "captionwire watch hearing")
            .env("CAPTIONWIRE_URL", format!("http://{}", server.addr()))
            .output(),
    );
    assert!(done(&watched.await.expect("it runs"), "watch").contains("Ines Marlow"));
}

/// A webhook's request, as it came: headers by their lower-case names, and the body.
async fn a_delivery() -> (serde_json::Map<String, serde_json::Value>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    let hook = format!("[[webhooks]]\nname = \"cms\"\nurl = \"http://{addr}/\"\nsecrets = [\"{SECRET}\"]\n");
    let server = Server::start_with(&hook);
    server.import("hearing", &hearing()).await;
    let (stream, _) = soon(listener.accept()).await.expect("it posts");
    let mut stream = BufReader::new(stream);
    let mut headers = serde_json::Map::new();
    let mut line = String::new();
    while soon(stream.read_line(&mut line)).await.expect("a head") > 2 {
        if let Some((name, value)) = line.trim_end().split_once(": ") {
            headers.insert(name.to_ascii_lowercase(), value.into());
        }
        line.clear();
    }
    let length = headers["content-length"].as_str().and_then(|length| length.parse().ok()).expect("a length");
    let mut body = vec![0; length];
    soon(stream.read_exact(&mut body)).await.expect("a body");
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.expect("answered");
    (headers, String::from_utf8(body).expect("UTF-8"))
}

/// Runs a program that ends with `true false false false`: what it says of a delivery, of the same with another body, with
/// another secret, and of one from long ago.
async fn assert_tells_genuine(mut command: Command, dir: &Path, input: &str) {
    std::fs::write(dir.join("delivery.json"), input).expect("written");
    let output = command.current_dir(dir).stdin(Stdio::null()).kill_on_drop(true).output();
    let told = done(&soon(output).await.expect("it runs"), "the program of docs/webhooks.md");
    assert_eq!(told.trim().to_lowercase(), "true false false false");
}

/// The delivery that both programs judge.
async fn delivery() -> String {
    let (headers, body) = a_delivery().await;
    let other = format!("whsec_{}", "A".repeat(32));
    let mut old = headers.clone();
    old.insert("webhook-timestamp".into(), "1700000000".into());
    serde_json::json!({"headers": headers, "old": old, "body": body, "secret": SECRET, "other": other}).to_string()
}

#[tokio::test]
async fn a_signature_is_checked_as_the_docs_do_in_python() {
    let Some(python) = support::program("CAPTIONWIRE_TEST_PYTHON", "the Python of docs/webhooks.md") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let shown = &blocks("docs/webhooks.md", "python")[0];
    let judge = "
import json
d = json.load(open('delivery.json'))
body = d['body'].encode()
print(is_genuine(d['secret'], d['headers'], body), is_genuine(d['secret'], d['headers'], body + b' '),
      is_genuine(d['other'], d['headers'], body), is_genuine(d['secret'], d['old'], body))
";
    let mut command = Command::new(python);
    command.arg("-c").arg(format!("{shown}{judge}"));
    assert_tells_genuine(command, dir.path(), &delivery().await).await;
}

#[tokio::test]
async fn a_signature_is_checked_as_the_docs_do_in_node() {
    let Some(node) = support::program("CAPTIONWIRE_TEST_NODE", "the JavaScript of docs/webhooks.md") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let shown = &blocks("docs/webhooks.md", "js")[0];
    let judge = "
import { readFileSync } from 'node:fs';
const d = JSON.parse(readFileSync('delivery.json'));
const body = Buffer.from(d.body);
console.log(isGenuine(d.secret, d.headers, body), isGenuine(d.secret, d.headers, Buffer.concat([body, Buffer.from(' ')])),
  isGenuine(d.other, d.headers, body), isGenuine(d.secret, d.old, body));
";
    std::fs::write(dir.path().join("judge.mjs"), format!("{shown}{judge}")).expect("written");
    let mut command = Command::new(node);
    command.arg("judge.mjs");
    assert_tells_genuine(command, dir.path(), &delivery().await).await;
}

#[tokio::test]
async fn a_vendors_messages_are_passed_on_as_the_docs_do() {
    let Some(python) = support::program("CAPTIONWIRE_TEST_PYTHON", "the Python of docs/dialects.md") else { return };
    let server = Server::start();
    let shown = blocks("docs/dialects.md", "python").remove(0).replace("\n", "\n        ");
    let program = format!(
        "import asyncio, websockets
async def frames():
    yield '{{\"partial\": \"it is\"}}'
    yield '{{\"text\": \"it is noon\"}}'
async def main():
    async with websockets.connect('{}') as captionwire:
        engine = frames()
        {shown}
asyncio.run(main())
",
        server.ws("geneva/publish?format=vosk")
    );
    let mut command = Command::new(python);
    let output = command.arg("-c").arg(program).kill_on_drop(true).output();
    done(&soon(output).await.expect("it runs"), "the program of docs/dialects.md");
    let mut screen = support::Screen::default();
    let mut reader = server.subscribe("geneva/subscribe").await;
    screen
        .read_until(&mut reader, |screen| screen.turns().iter().any(|(_, lines)| lines.contains(&"it is noon".into())))
        .await;
}

/// What a page says to write into the configuration is understood.
#[tokio::test]
async fn configurations_are_written_as_they_are_understood() {
    let dir = tempfile::tempdir().expect("a directory");
    let here = dir.path().to_str().expect("UTF-8");
    let pair = rcgen::generate_simple_self_signed(["captions.example.org".to_owned()]).expect("a certificate");
    for (name, pem) in [("fullchain.pem", pair.cert.pem()), ("privkey.pem", pair.signing_key.serialize_pem())] {
        std::fs::write(dir.path().join(name), pem).expect("written");
    }
    let shown = blocks("docs/operating.md", "toml");
    assert!(shown.len() >= 3);
    for block in shown {
        // Where a digest, or a file of somebody's own belongs.
        let text = block.replace('…', &"0".repeat(64)).replace("/etc/letsencrypt/live/captions.example.org", here);
        // Who may what is said above, as some blocks say.
        let is_partial = text.contains("[auth]") && !text.contains("[auth.");
        let rest = if is_partial { "[auth.anonymous]\nroles = [\"subscribe\"]\nfeeds = [\"*\"]\n" } else { "" };
        let text = text + rest;
        std::fs::write(dir.path().join("c.toml"), &text).expect("written");
        let checked = soon(shell(dir.path(), "captionwire config check --config c.toml").output()).await;
        let checked = checked.expect("it runs");
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(checked.status.success(), "{text}\n{said}");
    }
}

/// The anchor under which a heading is found, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The lines of a page outside its blocks of code.
fn prose(name: &str) -> Vec<String> {
    let mut is_code = false;
    let text = page(name);
    let outside = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    outside.map(str::to_owned).collect()
}

/// The targets of a page's links, without those into the web.
fn links(name: &str) -> Vec<String> {
    let text = prose(name).join("\n");
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).filter(|target| !target.contains("://")).collect()
}

fn markdown_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            markdown_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// Every page in Markdown that people read, by its path in the project.
fn markdown_pages() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["docs", ".github", "examples", "deploy"] {
        markdown_below(&root.join(folder), &mut files);
    }
    let top =
        ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "clients/js/README.md"];
    let relative = |file: PathBuf| file.strip_prefix(root).expect("below").to_str().expect("UTF-8").to_owned();
    files.into_iter().map(relative).chain(top.map(str::to_owned)).collect()
}

/// Every link to a file of the project leads to one, and to a heading that is there.
#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut dead, mut count) = (Vec::new(), 0);
    for name in markdown_pages() {
        let folder = root.join(&name).parent().expect("a folder").to_owned();
        for link in links(&name) {
            let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { root.join(&name) } else { folder.join(path) };
            let has = |heading: &str| {
                let target = target.canonicalize().expect("it is there");
                let page = target.strip_prefix(root.canonicalize().expect("it is there")).expect("below");
                let lines = prose(page.to_str().expect("UTF-8"));
                let mut headings = lines.iter().filter(|line| line.starts_with('#'));
                headings.any(|line| anchor(line.trim_start_matches('#')) == heading)
            };
            if !target.exists() || (!heading.is_empty() && !has(heading)) {
                dead.push(format!("{name}: {link}"));
            }
            count += 1;
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
    assert!(count > 150, "{count} links were found");
}

/// Every file or folder of the project that a page names in full is there.
#[test]
fn files_named_in_pages_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["src/", "tests/", "scripts/", "web/", "clients/", "deploy/", "examples/", "benches/", "config/"];
    let (mut gone, mut count) = (Vec::new(), 0);
    // What the changelog names was there once.
    for name in markdown_pages().into_iter().filter(|name| name != "CHANGELOG.md") {
        let text = prose(&name).join("\n");
        for path in text.split('`').skip(1).step_by(2) {
            let is_path = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            if is_path && folders.iter().any(|folder| path.starts_with(folder)) {
                gone.extend((!root.join(path).exists()).then(|| format!("{name}: {path}")));
                count += 1;
            }
        }
    }
    assert!(gone.is_empty(), "{}", gone.join("\n"));
    assert!(count > 60, "{count} files were named");
}

/// The index of docs/ links every page there.
#[test]
fn pages_are_in_their_index() {
    let index = links("docs/README.md");
    let is_missing = |name: &str| !index.iter().any(|link| link.split('#').next() == Some(name));
    let names = guides().into_iter().filter_map(|page| page.strip_prefix("docs/").map(str::to_owned));
    let missing: Vec<String> = names.filter(|name| name != "README.md" && is_missing(name)).collect();
    assert!(missing.is_empty(), "docs/README.md has no link to {}", missing.join(", "));
}

/// The index of decisions has a row for each page, with its number and title.
#[test]
fn decisions_are_in_their_index() {
    let index = page("docs/adr/README.md");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/adr");
    let mut numbers = HashSet::new();
    for entry in std::fs::read_dir(folder).expect("docs/adr") {
        let file = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        if file == "README.md" {
            continue;
        }
        let number: usize = file.split('-').next().and_then(|number| number.parse().ok()).expect("a number");
        assert!(numbers.insert(number), "{file}: another page has the number {number}");
        let text = page(&format!("docs/adr/{file}"));
        let title = text.lines().next().and_then(|line| line.strip_prefix(&format!("# {number}. ")));
        let row =
            format!("| [{number}]({file}) | {} |", title.unwrap_or_else(|| panic!("{file}: its title has no number")));
        assert!(index.contains(&row), "docs/adr/README.md has not:\n{row}");
    }
    assert!((1..=numbers.len()).all(|number| numbers.contains(&number)), "{numbers:?}");
}
