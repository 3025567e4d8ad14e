//! The map of the house, held: who may import whom, and what each room keeps out (ARCHITECTURE.md says why).
//!
//! Source files are read as tokens, so that comments and strings count for nothing and `use` trees, paths in the midst
//! of code and `super::super::` all come to the same: a path from the root of the crate. Code for tests is held to the
//! map as well; what needs rooms from further right belongs into `tests/`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The rooms from left to right, each with those it may see. `main.rs` and `lib.rs` see all.
const ROOMS: &[(&str, &[&str])] = &[
    ("parse_error", &[]),
    ("position", &[]),
    ("config", &["parse_error"]),
    ("transcript", &["position"]),
    ("format", &["parse_error", "position", "transcript"]),
    ("dialect", &["parse_error", "position", "transcript"]),
    ("wire", &["parse_error", "position", "transcript"]),
    ("log", &["parse_error", "position"]),
    ("feed", &["position", "transcript", "wire", "log"]),
    ("outbox", &["parse_error", "position"]),
    ("cluster", &["position", "log", "outbox"]),
    ("search", &["position", "transcript", "wire"]),
    ("client", &["parse_error", "position", "transcript", "wire"]),
    (
        "server",
        &[
            "parse_error",
            "position",
            "config",
            "transcript",
            "format",
            "dialect",
            "wire",
            "log",
            "feed",
            "outbox",
            "cluster",
            "search",
            "client",
        ],
    ),
    (
        "cli",
        &[
            "parse_error",
            "position",
            "config",
            "transcript",
            "format",
            "dialect",
            "wire",
            "log",
            "feed",
            "outbox",
            "search",
            "client",
            "server",
        ],
    ),
];

/// The rooms and files of the server from left to right: each sees those before it.
const SERVER_ROOMS: &[&str] = &[
    "core",
    "transport",
    "http",
    "access",
    "ingest",
    "egress",
    "webhooks",
    "background",
    "api",
    "error",
    "storage",
    "reload",
    "state",
    "builder",
    "listener",
    "shutdown",
    "routes",
    "mod",
];

/// What of the world outside belongs to some rooms only. `main` may do what `cli` may.
const OUTSIDE: &[(&[&str], &[&str])] = &[
    (&["tokio_tungstenite", "hyper", "hyper_util", "tokio::net", "std::net::TcpStream"], &["server", "client"]),
    (&["tokio_rustls", "rustls_native_certs"], &["server", "client"]),
    (&["reqwest"], &["client"]),
    (&["axum", "tower", "std::net::TcpListener"], &["server"]),
    (&["rusqlite"], &["log", "search", "outbox"]),
    (&["async_nats"], &["log", "cluster"]),
    (&["toml"], &["config"]),
    (&["clap", "anyhow", "indicatif", "anstream", "textwrap"], &["cli"]),
    // `bench` measures sockets without the server's and the client's ways to use them, and processes from outside.
    (&["mio", "hdrhistogram", "memchr"], &["cli"]),
    // The thread of the search index lets others go first.
    (&["rustix"], &["cli", "search"]),
    // Position, transcript, format, dialect and wire are pure: text and records in, values out.
    (
        &["tokio", "tokio_util", "tokio_stream"],
        &["log", "feed", "client", "search", "outbox", "cluster", "server", "cli"],
    ),
    (&["std::fs"], &["config", "log", "search", "outbox", "server", "cli"]),
    (&["std::env", "std::process"], &["config", "log", "server", "cli"]),
    (&["std::thread", "std::time::Instant"], &["log", "feed", "client", "search", "server", "cli"]),
    (&["std::time::SystemTime", "jiff::Timestamp::now", "jiff::Zoned::now"], &["server", "cli"]),
];

/// The functions that give the records of a log, each with the rooms and files that may call it. ARCHITECTURE.md has the reasons.
const RECORD_READS: &[(&str, &[&str])] = &[
    ("tail", &["log", "feed", "cli/commands/copy.rs"]),
    ("read_many", &["log", "feed"]),
    ("storage_reader", &["feed", "server/ingest/resends.rs", "server/ingest/seq_conflicts.rs", "server/api/raw.rs"]),
];

/// A file of the house, or one that a test made up.
pub(super) struct Source {
    /// Its path below `src`.
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Source {
    /// The modules that lead to it: `feed/view.rs` is `feed`, `view`.
    fn module(&self) -> Vec<String> {
        let mut module: Vec<String> =
            self.path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
            module.pop();
        }
        module
    }

    fn room(&self) -> Option<String> {
        self.module().first().filter(|room| *room != "main").cloned()
    }

    fn tokens(&self) -> TokenStream {
        self.text.parse().unwrap_or_else(|error| panic!("src/{} does not lex: {error}", self.path.display()))
    }
}

/// Every file below `src`.
pub(super) fn house() -> Vec<Source> {
    fn walk(dir: &Path, root: &Path, found: &mut Vec<Source>) {
        let entries = std::fs::read_dir(dir).expect("a directory of the house");
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file");
                found.push(Source { path: path.strip_prefix(root).expect("below the root").to_owned(), text });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    assert!(found.len() > 20, "the house was not found");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Collects the paths of code: `crate::…`, `self::…` and `super::…` become `crate::…` from the root.
struct Paths {
    found: BTreeSet<Vec<String>>,
}

impl Paths {
    fn of(tokens: TokenStream, module: &[String]) -> BTreeSet<Vec<String>> {
        let mut paths = Self { found: BTreeSet::new() };
        paths.scan(tokens, module, &[]);
        paths.found
    }

    /// Reads the code of `module`; within the braces of a `use` tree every path goes on from `prefix`.
    fn scan(&mut self, tokens: TokenStream, module: &[String], prefix: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut path = prefix.to_vec();
        let mut joined = !prefix.is_empty();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Ident(name) if name == "mod" => {
                    if let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) =
                        (tokens.get(at + 1), tokens.get(at + 2))
                    {
                        self.scan(body.stream(), &[module, &[name.to_string()]].concat(), &[]);
                        at += 2;
                    }
                }
                // A path may begin with `::` after these.
                TokenTree::Ident(word) if word == "use" || word == "dyn" || word == "as" => {
                    self.end(&mut path, joined, module);
                    joined = false;
                }
                TokenTree::Ident(name) => {
                    if !joined {
                        self.end(&mut path, false, module);
                    }
                    path.push(name.to_string());
                    joined = false;
                }
                TokenTree::Punct(colon) if colon.as_char() == ':' && is_colon(tokens.get(at + 1)) => {
                    joined = true;
                    at += 1;
                }
                TokenTree::Group(group) if joined && group.delimiter() == Delimiter::Brace => {
                    self.scan(group.stream(), module, &path);
                    (path, joined) = (Vec::new(), false);
                }
                TokenTree::Group(group) => {
                    self.end(&mut path, joined, module);
                    joined = false;
                    self.scan(group.stream(), module, &[]);
                }
                TokenTree::Punct(comma) if comma.as_char() == ',' && !prefix.is_empty() => {
                    self.end(&mut path, joined, module);
                    (path, joined) = (prefix.to_vec(), true);
                }
                _ => {
                    self.end(&mut path, joined, module);
                    joined = false;
                }
            }
            at += 1;
        }
        self.end(&mut path, joined, module);
    }

    /// Takes a path that is complete. `open` is true for one that a `*` or the like follows.
    fn end(&mut self, path: &mut Vec<String>, open: bool, module: &[String]) {
        let mut path = std::mem::take(path);
        if open {
            path.push("*".into());
        }
        // A lone `self` is a value, a lone `crate` the word in `pub(crate)`.
        if path.len() < 2 {
            return;
        }
        let mut base = match path[0].as_str() {
            "crate" | "captionwire" => Vec::new(),
            "self" | "super" => module.to_vec(),
            _ => {
                self.found.insert(path);
                return;
            }
        };
        let words = path.iter().take_while(|word| matches!(word.as_str(), "crate" | "captionwire" | "self" | "super"));
        let words = words.count().max(1);
        for _ in path[..words].iter().filter(|word| *word == "super") {
            base.pop();
        }
        let absolute = [vec!["crate".to_owned()], base, path[words..].to_vec()].concat();
        self.found.insert(absolute);
    }
}

fn is_colon(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(colon)) if colon.as_char() == ':')
}

/// What in `source` is against the map.
fn faults(source: &Source) -> Vec<String> {
    let place = source.path.display();
    let mut faults = Vec::new();
    let room = source.room();
    if let Some(room) = &room {
        let (_, may_see) = ROOMS.iter().find(|(name, _)| name == room).unwrap_or(&("", &[]));
        for path in Paths::of(source.tokens(), &source.module()).iter().filter(|path| path[0] == "crate") {
            if path[1] != *room && !may_see.contains(&path[1].as_str()) {
                faults.push(format!("src/{place}: {room} may not see {}; it sees {may_see:?}", path.join("::")));
            }
        }
    }
    for path in Paths::of(without_tests(source.tokens()), &source.module()) {
        let written = path.join("::");
        for (names, rooms) in OUTSIDE {
            let is_named = |name: &&str| written == **name || written.starts_with(&format!("{name}::"));
            let may = match &room {
                Some(room) => rooms.contains(&room.as_str()),
                None => rooms.contains(&"cli"),
            };
            if !may && names.iter().any(is_named) {
                faults.push(format!("src/{place}: {written} belongs to {rooms:?}"));
            }
        }
    }
    faults
}

/// `tokens` without what `#[cfg(test)]` stands before.
fn without_tests(tokens: TokenStream) -> TokenStream {
    let mut kept = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match (token, tokens.peek()) {
            (TokenTree::Punct(hash), Some(TokenTree::Group(attribute)))
                if hash.as_char() == '#' && attribute.to_string().replace(' ', "") == "[cfg(test)]" =>
            {
                let is_last = |token: &TokenTree| match token {
                    TokenTree::Group(body) => body.delimiter() == Delimiter::Brace,
                    other => other.to_string() == ";",
                };
                tokens.by_ref().find(is_last);
            }
            (TokenTree::Group(group), _) => {
                kept.push(TokenTree::Group(Group::new(group.delimiter(), without_tests(group.stream()))));
            }
            (other, _) => kept.push(other),
        }
    }
    kept.into_iter().collect()
}

/// A name that a file hands on (`pub use`), and the path that it has from the root of the crate.
type HandedOn = (Option<String>, Vec<String>);

/// The items of a file apart from what it hands on, and that.
fn without_handed_on(tokens: TokenStream, module: &[String]) -> (TokenStream, Vec<HandedOn>) {
    let (mut kept, mut handed_on) = (Vec::new(), Vec::new());
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_pub = matches!(&token, TokenTree::Ident(word) if word == "pub");
        let scope = tokens.next_if(|next| {
            is_pub && matches!(next, TokenTree::Group(scope) if scope.delimiter() == Delimiter::Parenthesis)
        });
        let is_use = |next: &TokenTree| is_pub && matches!(next, TokenTree::Ident(word) if word == "use");
        if tokens.next_if(is_use).is_some() {
            let tree: TokenStream = tokens.by_ref().take_while(|token| token.to_string() != ";").collect();
            leaves(tree, module, &[], &mut handed_on);
        } else {
            kept.push(token);
            kept.extend(scope);
        }
    }
    (kept.into_iter().collect(), handed_on)
}

/// The names of a `use` tree below `prefix`; none of a `*`.
fn leaves(tree: TokenStream, module: &[String], prefix: &[String], found: &mut Vec<HandedOn>) {
    let (mut path, mut alias) = (prefix.to_vec(), None);
    let mut is_done = false;
    let mut close = |path: &mut Vec<String>, alias: &mut Option<String>, is_done: &mut bool| {
        if path.len() > prefix.len() && !*is_done {
            let is_glob = path.last().is_some_and(|last| last == "*");
            let name = alias.take().or_else(|| path.last().cloned()).filter(|_| !is_glob);
            let mut absolute = path.clone();
            absolute.retain(|word| word != "*");
            let mut paths = Paths { found: BTreeSet::new() };
            paths.end(&mut absolute, false, module);
            found.extend(paths.found.into_iter().map(|path| (name.clone(), path)));
        }
        (*path, *alias, *is_done) = (prefix.to_vec(), None, false);
    };
    let mut tokens = tree.into_iter();
    let mut groups = Vec::new();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) if word == "as" => alias = tokens.next().map(|name| name.to_string()),
            TokenTree::Ident(word) => path.push(word.to_string()),
            TokenTree::Punct(mark) if mark.as_char() == '*' => path.push("*".into()),
            TokenTree::Punct(mark) if mark.as_char() == ',' => close(&mut path, &mut alias, &mut is_done),
            TokenTree::Group(group) => {
                groups.push((group.stream(), path.clone()));
                is_done = true;
            }
            _ => {}
        }
    }
    close(&mut path, &mut alias, &mut is_done);
    for (tree, prefix) in groups {
        leaves(tree, module, &prefix, found);
    }
}

/// Which file of the house imports which, without what files only hand on and without tests.
struct Imports {
    files: Vec<PathBuf>,
    modules: BTreeMap<Vec<String>, usize>,
    handed_on: Vec<Vec<HandedOn>>,
    edges: Vec<BTreeSet<usize>>,
}

impl Imports {
    fn of(house: &[Source]) -> Self {
        let in_crate = |source: &Source| [vec!["crate".to_owned()], source.module()].concat();
        let files = house.iter().map(|source| source.path.clone()).collect();
        let modules = house.iter().enumerate().map(|(at, source)| (in_crate(source), at)).collect();
        let mut imports = Self { files, modules, handed_on: Vec::new(), edges: Vec::new() };
        let mut bodies = Vec::new();
        for source in house {
            let (body, handed_on) = without_handed_on(without_tests(source.tokens()), &source.module());
            imports.handed_on.push(handed_on);
            bodies.push(body);
        }
        for (at, (source, body)) in house.iter().zip(bodies).enumerate() {
            let own = in_crate(source);
            let mut seen = BTreeSet::new();
            for path in Paths::of(body, &source.module()) {
                // A file names its own modules without `self`.
                let below = [&*own, &path[..1]].concat();
                if path[0] == "crate" {
                    seen.insert(imports.file_of(&path, 0));
                } else if imports.modules.contains_key(&below) {
                    seen.insert(imports.file_of(&[&*own, &*path].concat(), 0));
                }
            }
            seen.remove(&at);
            imports.edges.push(seen);
        }
        imports
    }

    /// The file in which the item of a path stands.
    fn file_of(&self, path: &[String], depth: usize) -> usize {
        let known = (1..=path.len()).rev().find_map(|length| Some((length, *self.modules.get(&path[..length])?)));
        let (length, file) = known.expect("the root of the crate");
        let Some(name) = path.get(length).filter(|_| depth < 8) else { return file };
        let named = self.handed_on[file].iter().find(|(handed_on, _)| handed_on.as_ref() == Some(name));
        match named {
            Some((_, from)) => self.file_of(&[from, &path[length + 1..]].concat(), depth + 1),
            None => file,
        }
    }

    /// Files that import each other, over others or not.
    fn circles(&self) -> Vec<Vec<String>> {
        let reached = |from: usize| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
            while let Some(file) = open.pop() {
                open.extend(self.edges[file].iter().filter(|next| seen.insert(**next)));
            }
            seen
        };
        let reached: Vec<BTreeSet<usize>> = (0..self.files.len()).map(reached).collect();
        let circle = |file: usize| -> Vec<usize> {
            reached[file].iter().copied().filter(|other| reached[*other].contains(&file)).collect()
        };
        let circles: BTreeSet<Vec<usize>> =
            (0..self.files.len()).map(circle).filter(|circle| circle.len() > 1).collect();
        let name = |file: &usize| self.files[*file].display().to_string();
        circles.iter().map(|circle| circle.iter().map(name).collect()).collect()
    }

    /// Imports of the server from left to right.
    fn against_the_server(&self) -> Vec<String> {
        let place = |file: usize| {
            let mut parts = self.files[file].iter().map(|part| part.to_string_lossy());
            let room = parts.next().filter(|room| *room == "server").and_then(|_| parts.next())?;
            let room = room.trim_end_matches(".rs").to_owned();
            let place = SERVER_ROOMS.iter().position(|known| *known == room);
            Some(place.unwrap_or_else(|| panic!("server/{room} is not among the rooms of the server")))
        };
        let mut faults = Vec::new();
        for (file, seen) in self.edges.iter().enumerate() {
            for other in seen.iter().filter(|other| place(file) < place(**other) && place(file).is_some()) {
                faults.push(format!("src/{} sees src/{}", self.files[file].display(), self.files[*other].display()));
            }
        }
        faults
    }
}

/// Adds the functions and methods that `tokens` call, or name by a path.
fn called(tokens: TokenStream, found: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_punct = |token: Option<&TokenTree>, mark: char| matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == mark);
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => called(group.stream(), found),
            TokenTree::Ident(name) if at > 0 => {
                let is_called = matches!(tokens.get(at + 1), Some(TokenTree::Group(_)));
                let is_method = is_punct(tokens.get(at - 1), '.') && is_called;
                // `Log::tail` without arguments is handed to somebody who calls it; `log::tail::` is a module.
                let is_path = is_punct(tokens.get(at - 1), ':') && !is_punct(tokens.get(at + 1), ':');
                if is_method || is_path {
                    found.insert(name.to_string());
                }
            }
            _ => {}
        }
    }
}

/// The calls in `source` that read records of a log, and that it may not make.
fn record_reads(source: &Source) -> Vec<String> {
    let mut calls = BTreeSet::new();
    called(without_tests(source.tokens()), &mut calls);
    let (place, room) = (source.path.display().to_string(), source.room().unwrap_or_default());
    let is_fault = |(function, rooms): &&(&str, &[&str])| {
        calls.contains(*function) && !rooms.iter().any(|may| *may == place || *may == room)
    };
    let faults = RECORD_READS.iter().filter(is_fault);
    faults.map(|(function, rooms)| format!("src/{place} calls {function}(), which is for {rooms:?}")).collect()
}

fn unwraps(tokens: TokenStream) -> usize {
    let mut count = 0;
    let mut after_dot = false;
    for token in tokens {
        if let TokenTree::Group(group) = &token {
            count += unwraps(group.stream());
        }
        count += usize::from(after_dot && token.to_string() == "unwrap");
        after_dot = token.to_string() == ".";
    }
    count
}

#[test]
fn a_room_sees_only_rooms_to_its_left() {
    let faults: Vec<String> = house().iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn no_files_import_each_other() {
    let circles = Imports::of(&house()).circles();
    assert!(circles.is_empty(), "files that import each other: {circles:#?}");
}

#[test]
fn a_room_of_the_server_sees_only_those_to_its_left() {
    let faults = Imports::of(&house()).against_the_server();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn records_are_read_through_the_reader() {
    let house = house();
    let faults: Vec<String> = house.iter().flat_map(record_reads).collect();
    assert!(faults.is_empty(), "{}; use Feed::reader or Feed::fold", faults.join("\n"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let told = std::fs::read_to_string(path).expect("ARCHITECTURE.md");
    for file in RECORD_READS.iter().flat_map(|(_, rooms)| *rooms).filter(|may| may.ends_with(".rs")) {
        assert!(house.iter().any(|source| source.path.ends_with(file)), "there is no src/{file}");
        assert!(told.contains(&format!("`{file}`")), "ARCHITECTURE.md does not say why {file} reads what is stored");
    }
}

#[test]
fn every_room_is_on_the_map() {
    let map: BTreeSet<String> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    let rooms: BTreeSet<String> = house().iter().filter_map(Source::room).collect();
    assert_eq!(rooms, map, "the rooms of src, and those this test knows");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let drawn = std::fs::read_to_string(path).expect("ARCHITECTURE.md");
    for room in map {
        let is_drawn = drawn.contains(&format!("\n  {room}/")) || drawn.contains(&format!("\n  {room}.rs"));
        assert!(is_drawn, "ARCHITECTURE.md does not draw {room}");
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<PathBuf> =
        house().into_iter().filter(|source| !source.text.starts_with("//!")).map(|source| source.path).collect();
    assert!(silent.is_empty(), "these do not begin with //!: {silent:?}");
}

#[test]
fn unwrap_is_for_tests() {
    for source in house().iter().filter(|source| !source.path.ends_with("tests.rs")) {
        assert_eq!(
            unwraps(without_tests(source.tokens())),
            0,
            "src/{}: say with expect() why it cannot happen",
            source.path.display()
        );
    }
}

#[test]
fn a_bad_import_is_caught() {
    let check = |path: &str, text: &str, bad: bool| {
        let faults = faults(&Source { path: path.into(), text: text.into() });
        assert_eq!(!faults.is_empty(), bad, "{path}: {text} gave {faults:?}");
    };
    for (path, text) in [
        ("log/memory.rs", "use crate::transcript::Record;"),
        ("log/memory.rs", "use crate::{position::Offset, transcript::{Line, Record}};"),
        ("log/memory.rs", "use super::super::transcript as words;"),
        ("log/memory.rs", "mod deep { use super::super::super::transcript::Record; }"),
        ("log/mod.rs", "fn f() { let _ = crate::transcript::Record::decode(b\"\"); }"),
        ("log/mod.rs", "fn f(a: Vec<crate::feed::Feed>) {}"),
        ("log/mod.rs", "use super::*;"),
        ("log/mod.rs", "use crate::*;"),
        ("log/mod.rs", "#[cfg(test)] mod tests { use crate::feed::Feed; }"),
        ("log/mod.rs", "macro_rules! m { () => { $crate::wire::SUBPROTOCOL } }"),
        ("transcript/fold.rs", "use crate::log::Log;"),
        ("transcript/fold.rs", "use std::{io::Read, fs::File};"),
        ("transcript/fold.rs", "fn f() { std::time::Instant::now(); }"),
        ("wire/publisher.rs", "use crate::format::FileProblem;"),
        ("wire/mod.rs", "use tokio_tungstenite::tungstenite::Message;"),
        ("feed/view.rs", "use crate::client::Subscriber;"),
        ("feed/view.rs", "use crate::config::Config;"),
        ("client/mod.rs", "use crate::log::Log;"),
        ("search/mod.rs", "use crate::feed::View;"),
        ("search/write.rs", "use crate::log::LogId;"),
        ("feed/mod.rs", "use crate::search::Index;"),
        ("client/mod.rs", "use crate::server::Server;"),
        ("server/mod.rs", "use crate::cli::Serve;"),
        ("server/mod.rs", "use ::rusqlite::Connection;"),
        ("config.rs", "use crate::position::FeedId;"),
        ("wire/mod.rs", "use tokio_rustls::rustls::ServerConfig;"),
        ("attic.rs", "use crate::position::FeedId;"),
        ("main.rs", "use rusqlite::Connection;"),
        ("server/fanout.rs", "use mio::net::TcpStream;"),
        ("client/mod.rs", "fn f() { rustix::process::getpid(); }"),
    ] {
        check(path, text, true);
    }
    for (path, text) in [
        ("log/memory.rs", "use super::{Log, LogError}; use crate::{log::Entry, position::{FeedId, Offset}};"),
        ("log/memory.rs", "/// As [`crate::transcript::Record`]. \n fn f() { let _ = \"crate::transcript\"; }"),
        ("log/mod.rs", "pub(crate) fn f(&self) {} mod tests { use super::*; use super::Log; }"),
        ("log/embedded/live.rs", "use super::super::Log; pub(super) struct S;"),
        ("transcript/fold.rs", "use std::time::Duration; use std::sync::Arc;"),
        ("transcript/fold.rs", "#[cfg(test)] mod tests { use std::fs::File; }"),
        ("cli/commands/serve.rs", "use crate::server::Server; use crate::config::Config; use clap::Parser;"),
        ("cli/bench/load.rs", "use mio::{Poll, net::TcpStream};"),
        ("lib.rs", "pub mod feed; pub use self::feed::Feed;"),
        ("main.rs", "use captionwire::cli; use anyhow::Context;"),
    ] {
        check(path, text, false);
    }
}

#[test]
fn a_reading_past_the_reader_is_caught() {
    let count = |path: &str, text: &str| record_reads(&Source { path: path.into(), text: text.into() }).len();
    for text in [
        "fn f() { log.tail(&id, from); }",
        "fn f() { feeds.log().read_many(&[], 1).await?; }",
        "fn f() { g(|| Log::tail(&*log, &id, from)) }",
        "fn f() { logs.map(Log::tail) }",
        "fn f() { feed.storage_reader(from, end).await?; }",
    ] {
        assert_eq!(count("server/api/hls.rs", text), 1, "{text}");
    }
    for text in [
        "use crate::log::tail::Tails; fn f(tail: u64) { self.tail; tail.next() }",
        "fn f() { feed.reader(from, end).await?; }",
        "#[cfg(test)] mod tests { fn f() { log.tail(&id, from); } }",
    ] {
        assert_eq!(count("server/api/hls.rs", text), 0, "{text}");
    }
    assert_eq!(count("feed/view.rs", "fn f() { log.tail(&id, from); }"), 0);
    assert_eq!(count("cli/commands/copy.rs", "fn f() { log.tail(&id, from); log.read_many(&[], 1); }"), 1);
}

#[test]
fn a_circle_is_caught() {
    let circles = |files: &[(&str, &str)]| {
        let source = |(path, text): &(&str, &str)| Source { path: path.into(), text: (*text).into() };
        let root = Source { path: "lib.rs".into(), text: "pub mod log;".into() };
        Imports::of(&files.iter().map(source).chain([root]).collect::<Vec<_>>()).circles().len()
    };
    let handing_on = ("log/mod.rs", "mod a; mod b; pub use self::{a::A, b::{B as C, D}};");
    for (a, b, expected) in [
        ("use super::b::B; pub struct A;", "pub struct B;", 0),
        ("use super::b::B; pub struct A;", "use super::a::A; pub struct B;", 1),
        ("use super::C; pub struct A;", "use crate::log::A; pub struct B;", 1),
        ("use super::{D}; pub struct A;", "fn f() { crate::log::a::A::new() } pub struct D;", 1),
        ("use super::C; pub struct A;", "#[cfg(test)] mod tests { use super::super::A; }", 0),
    ] {
        assert_eq!(circles(&[handing_on, ("log/a.rs", a), ("log/b.rs", b)]), expected, "{a} {b}");
    }
    // What stands in the file that hands on is no longer only handed on.
    assert_eq!(circles(&[("log/mod.rs", "mod a; use self::a::A; struct M;"), ("log/a.rs", "use super::M;")]), 1);
    assert_eq!(
        circles(&[("log/mod.rs", "mod a; pub(crate) use self::a::A; struct M;"), ("log/a.rs", "use super::M;")]),
        0
    );
}

#[test]
fn an_arrow_to_the_right_is_caught() {
    let faults = |text: &str| {
        let source = |path: &str, text: &str| Source { path: path.into(), text: text.into() };
        let house = [
            source("lib.rs", ""),
            source("server/mod.rs", ""),
            source("server/core/mod.rs", text),
            source("server/api/feeds.rs", ""),
        ];
        Imports::of(&house).against_the_server().len()
    };
    assert_eq!(faults("use crate::server::api::feeds::list;"), 1);
    assert_eq!(faults("use super::api::feeds;"), 1);
    assert_eq!(faults("use crate::position::Offset;"), 0);
}

#[test]
fn an_unwrap_is_caught() {
    let count = |text: &str| unwraps(without_tests(text.parse().expect("Rust")));
    assert_eq!(count("fn f() { a.b().unwrap(); }"), 1);
    assert_eq!(count("fn f() { g(a.unwrap(), |x| x.unwrap()) }"), 2);
    assert_eq!(count("fn f() { a.unwrap_or(1); a.expect(\"never\"); } // .unwrap()"), 0);
    assert_eq!(count("#[cfg(test)] mod tests { fn f() { a.unwrap(); } }"), 0);
    assert_eq!(count("#[cfg(test)] use a::b; fn f() { a.unwrap() }"), 1);
    assert_eq!(count("#[cfg(test)] #[allow(x)] mod tests { fn f() { a.unwrap(); } } fn f() { a.unwrap() }"), 1);
}
