//! NATS servers of a test's own, with JetStream: one, or a cluster. They are found in `CAPTIONWIRE_TEST_NATS`, in `PATH` or
//! where Debian has them; each test that needs them says loudly that it is not run where there is none.

use super::ports;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use self::ports::ReservedPort;

/// The longest that servers may take to be what they are waited for to be.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program, where there is one. In CI, where `CI` is set, there has to be.
#[allow(clippy::print_stderr, reason = "what is left out is said loudly")]
pub fn found() -> Option<PathBuf> {
    let named = std::env::var_os("CAPTIONWIRE_TEST_NATS").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).chain(["/usr/sbin".into()]).map(|dir| dir.join("nats-server"));
    let found = named.or_else(|| places.find(|place| place.is_file()));
    if found.is_none() {
        let is_ci = std::env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false");
        assert!(!is_ci, "tests with NATS have to be run in CI, and there is no nats-server");
        eprintln!("NOT RUN: a test with NATS, because there is no nats-server (Debian's package has that name)");
    }
    found
}

/// Some servers, which end with this.
pub struct Servers {
    program: PathBuf,
    dir: TempDir,
    pub nodes: Vec<Node>,
    /// The ways between them, by the number of who connects and of whom to.
    routes: Vec<((usize, usize), Route)>,
}

/// A way from one server to another, which can be cut: then what is under way stays so, as where packets are lost.
struct Route {
    port: u16,
    is_cut: Arc<AtomicBool>,
}

impl Route {
    fn to(port: u16, listener: TcpListener) -> Self {
        let own = listener.local_addr().expect("an address").port();
        let is_cut = Arc::new(AtomicBool::new(false));
        let cut = is_cut.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(from) = stream else { return };
                // Who is not there yet, or any more, is tried again.
                let Ok(to) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                for (from, to) in [(from.try_clone(), to.try_clone()), (Ok(to), Ok(from))] {
                    let (Ok(from), Ok(to), cut) = (from, to, cut.clone()) else { continue };
                    std::thread::spawn(move || pump(from, to, &cut));
                }
            }
        });
        Self { port: own, is_cut }
    }
}

/// Brings over what comes, while nothing is cut.
fn pump(mut from: TcpStream, mut to: TcpStream, is_cut: &AtomicBool) {
    let mut buffer = vec![0; 64 * 1024];
    let _ = to.set_nodelay(true);
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        while is_cut.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(std::net::Shutdown::Both);
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// The version of a NATS server.
pub fn version(program: &Path) -> (u64, u64) {
    let said = Command::new(program).arg("--version").output().expect("it says its version").stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    let mut numbers =
        said.rsplit('v').next().unwrap_or_default().split('.').map_while(|number| number.trim().parse().ok());
    (numbers.next().expect("a version"), numbers.next().expect("a version"))
}

/// One server.
pub struct Node {
    name: String,
    port: ReservedPort,
    monitor: ReservedPort,
    cluster: ReservedPort,
    child: Option<Child>,
}

impl Servers {
    /// One server, or a cluster of `count` that has a leader. None where there is no program.
    pub fn start(count: usize) -> Option<Self> {
        Self::start_with(count, "")
    }

    /// As [`Servers::start`]; `settings` are added to those of each server.
    pub fn start_with(count: usize, settings: &str) -> Option<Self> {
        Self::start_sized(count, "4GB", settings)
    }

    /// As [`Servers::start_with`]; each may keep files of `file_max` in all.
    pub fn start_sized(count: usize, file_max: &str, settings: &str) -> Option<Self> {
        let program = found()?;
        let dir = tempfile::tempdir().expect("a directory");
        let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to))).filter(|(from, to)| from != to);
        let ways: Vec<_> =
            pairs.map(|pair| (pair, TcpListener::bind(("127.0.0.1", 0)).expect("a free port"))).collect();
        let nodes: Vec<Node> = (1..=count)
            .map(|number| Node {
                name: format!("n{number}"),
                port: ReservedPort::take(),
                monitor: ReservedPort::take(),
                cluster: ReservedPort::take(),
                child: None,
            })
            .collect();
        let routes: Vec<_> = ways
            .into_iter()
            .map(|((from, to), way)| ((from, to), Route::to(nodes[to].cluster.number(), way)))
            .collect();
        // Since 2.10 servers can be told to flush before they acknowledge.
        let sync = if version(&program) >= (2, 10) { "sync_interval: always, " } else { "" };
        for (number, node) in nodes.iter().enumerate() {
            let store = dir.path().join(&node.name);
            let cluster = if count == 1 {
                String::new()
            } else {
                let ways = routes.iter().filter(|((from, _), _)| *from == number);
                let urls: Vec<String> = ways.map(|(_, way)| format!("nats://127.0.0.1:{}", way.port)).collect();
                // By the ways that can be cut, and by no others that they tell each other of.
                format!(
                    "cluster {{ name: test, listen: \"127.0.0.1:{}\", advertise: \"127.0.0.1:1\", routes: {urls:?} }}\n",
                    node.cluster.number()
                )
            };
            let text = format!(
                "server_name: {}\nlisten: \"127.0.0.1:{}\"\nhttp: \"127.0.0.1:{}\"\n\
                 jetstream {{ {sync}store_dir: {store:?}, max_mem: 64MB, max_file: {file_max} }}\n{cluster}{settings}\n",
                node.name,
                node.port.number(),
                node.monitor.number()
            );
            std::fs::write(dir.path().join(format!("{}.conf", node.name)), text).expect("written");
        }
        let mut servers = Self { program, dir, nodes, routes };
        for number in 0..count {
            servers.begin(number);
        }
        servers.wait_until("the servers answer, and have a leader", |servers| servers.is_ready());
        Some(servers)
    }

    /// Their addresses, for clients.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("nats://{}", node.port.addr())).collect()
    }

    /// The addresses at which they tell of themselves.
    pub fn monitors(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("http://{}", node.monitor.addr())).collect()
    }

    /// Where a server keeps what it stores.
    pub fn store(&self, number: usize) -> PathBuf {
        self.dir.path().join(&self.nodes[number].name)
    }

    fn begin(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        let file = self.dir.path().join(format!("{}.conf", node.name));
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.path().join(format!("{}.log", node.name)))
            .expect("a file");
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        node.child = Some(command.spawn().expect("the server runs"));
    }

    /// Ends a server at once, as a crash would.
    pub fn kill(&mut self, number: usize) {
        if let Some(mut child) = self.nodes[number].child.take() {
            let _ = child.kill();
            child.wait().expect("it has ended");
        }
    }

    /// Starts a server again, with this in place of that in its settings.
    pub fn restart_with(&mut self, number: usize, that: &str, this: &str) {
        self.kill(number);
        let file = self.dir.path().join(format!("{}.conf", self.nodes[number].name));
        let settings = std::fs::read_to_string(&file).expect("it was written");
        assert!(settings.contains(that), "{settings}");
        std::fs::write(file, settings.replacen(that, this, 1)).expect("written");
        self.begin(number);
    }

    /// Starts a server again that was killed.
    pub fn restart(&mut self, number: usize) {
        self.kill(number);
        self.begin(number);
    }

    /// Keeps a copy of all that the servers have stored, as of now.
    pub fn back_up(&mut self) -> TempDir {
        let backup = tempfile::tempdir().expect("a directory");
        self.while_stopped(|store, name| copy_below(store, &backup.path().join(name)));
        backup
    }

    /// Has the servers go on from a copy, as if what came after it had never been.
    pub fn put_back(&mut self, backup: &TempDir) {
        self.while_stopped(|store, name| {
            std::fs::remove_dir_all(store).expect("removed");
            copy_below(&backup.path().join(name), store);
        });
    }

    fn while_stopped(&mut self, change: impl Fn(&Path, &str)) {
        (0..self.nodes.len()).for_each(|number| self.kill(number));
        self.nodes.iter().for_each(|node| change(&self.dir.path().join(&node.name), &node.name));
        (0..self.nodes.len()).for_each(|number| self.begin(number));
        self.wait_until("they answer again", Self::is_ready);
    }

    /// Cuts a server off from the others; its clients reach it still.
    pub fn isolate(&self, number: usize) {
        self.cut(|from, to| from == number || to == number);
    }

    /// Cuts all servers off from each other.
    pub fn part(&self) {
        self.cut(|_, _| true);
    }

    /// Mends all ways between servers.
    pub fn heal(&self) {
        self.routes.iter().for_each(|(_, way)| way.is_cut.store(false, Ordering::Relaxed));
    }

    fn cut(&self, is_cut: impl Fn(usize, usize) -> bool) {
        let ways = self.routes.iter().filter(|((from, to), _)| is_cut(*from, *to));
        ways.for_each(|(_, way)| way.is_cut.store(true, Ordering::Relaxed));
    }

    /// The address of one of them, for clients.
    pub fn url(&self, number: usize) -> String {
        format!("nats://{}", self.nodes[number].port.addr())
    }

    /// Whether the servers are older than captionwire takes unasked.
    pub fn are_old(&self) -> bool {
        version(&self.program) < (2, 12)
    }

    /// Whether a server was started and not killed.
    pub fn runs(&self, number: usize) -> bool {
        self.nodes[number].child.is_some()
    }

    /// Stops a server's clock: it holds its connections and answers nothing.
    pub fn pause(&self, number: usize) {
        self.signal(number, Signal::STOP);
    }

    /// Lets a paused server go on.
    pub fn resume(&self, number: usize) {
        self.signal(number, Signal::CONT);
    }

    fn signal(&self, number: usize, signal: Signal) {
        let child = self.nodes[number].child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("it is there");
    }

    /// Whether every server that was started answers and knows a leader of the cluster.
    pub fn is_ready(&self) -> bool {
        let is_cluster = self.nodes.len() > 1;
        self.nodes.iter().filter(|node| node.child.is_some()).all(|node| {
            node.told("/jsz").is_some_and(|jsz| !is_cluster || jsz["meta_cluster"]["leader"].as_str().is_some())
        })
    }

    /// The server that leads this stream, as any that answers says.
    pub fn leader_of(&self, stream: &str) -> Option<usize> {
        let told = self.nodes.iter().find_map(|node| node.told("/jsz?streams=true"))?;
        let streams = told["account_details"][0]["stream_detail"].as_array()?.clone();
        let detail = streams.into_iter().find(|detail| detail["name"] == stream)?;
        let leader = detail["cluster"]["leader"].as_str()?.to_owned();
        self.nodes.iter().position(|node| node.name == leader)
    }

    /// Waits until it is so.
    pub fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < until, "it does not come to that: {what}\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the servers said last.
    pub fn logs(&self) -> String {
        let mut text = String::new();
        for node in &self.nodes {
            let log = std::fs::read_to_string(self.dir.path().join(format!("{}.log", node.name))).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            text.push_str(&lines[lines.len().saturating_sub(20)..].join("\n"));
            text.push('\n');
        }
        text
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.heal();
        for number in 0..self.nodes.len() {
            self.kill(number);
        }
    }
}

impl Node {
    /// What the server tells of itself; nothing if it does not answer.
    fn told(&self, path: &str) -> Option<Value> {
        self.child.as_ref()?;
        let addr = SocketAddr::from(([127, 0, 0, 1], self.monitor.number()));
        let mut stream = TcpStream::connect_timeout(&addr, Duration::from_millis(200)).ok()?;
        stream.set_read_timeout(Some(Duration::from_millis(500))).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
        serde_json::from_slice(&answer[end + 4..]).ok()
    }
}

/// A way to a server that lacks those messages of its streams that hold one of some words: what consumers give is as if they had never been there, and what the
/// stream's leader is asked for has them. Gives its address; it ends with the test.
pub fn way_to_a_replica_without(server: &str, words: &'static [&'static str]) -> String {
    let server = server.strip_prefix("nats://").expect("an address").to_owned();
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let addr = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(&server)) else { return };
            let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) else { return };
            std::thread::spawn(move || pump(from, to, &AtomicBool::new(false)));
            std::thread::spawn(move || leave_out(BufReader::new(server), client, words));
        }
    });
    format!("nats://{addr}")
}

/// Brings over what a server says, without the messages of consumers that hold one of `words`; those behind them are numbered as if they
/// were not there.
fn leave_out(mut server: BufReader<TcpStream>, mut client: TcpStream, words: &[&str]) {
    let mut left_out: HashMap<String, u64> = HashMap::new();
    let mut head = String::new();
    while server.read_line(&mut head).is_ok_and(|read| read > 0) {
        let mut tokens: Vec<String> = head.split_whitespace().map(str::to_owned).collect();
        let mut body = Vec::new();
        let mut is_left_out = false;
        if let ("MSG" | "HMSG", Some(size)) = (tokens.first().map_or("", |first| first), tokens.last()) {
            body.resize(size.parse::<usize>().expect("a size") + 2, 0);
            if server.read_exact(&mut body).is_err() {
                return;
            }
            // Where it stands is in what it would be acknowledged by.
            if let Some(ack) = tokens.get_mut(3).filter(|reply| reply.starts_with("$JS.ACK.")) {
                let mut parts: Vec<String> = ack.split('.').map(str::to_owned).collect();
                let consumer = if parts.len() == 9 { 3 } else { 5 };
                let before = left_out.entry(parts[consumer].clone()).or_default();
                let holds = |word: &&str| body.windows(word.len()).any(|bytes| bytes == word.as_bytes());
                is_left_out = words.iter().any(holds);
                *before += u64::from(is_left_out);
                let number: u64 = parts[consumer + 3].parse().expect("a number");
                parts[consumer + 3] = number.saturating_sub(*before).to_string();
                *ack = parts.join(".");
                head = format!("{}\r\n", tokens.join(" "));
            }
        }
        if !is_left_out && (client.write_all(head.as_bytes()).is_err() || client.write_all(&body).is_err()) {
            return;
        }
        head.clear();
    }
    let _ = client.shutdown(std::net::Shutdown::Both);
}

fn copy_below(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory").flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_below(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), &to).expect("copied");
        }
    }
}

/// All that lies below a folder, as bytes.
pub fn bytes_below(dir: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            bytes.extend(bytes_below(&path));
        } else {
            bytes.extend(std::fs::read(&path).unwrap_or_default());
        }
    }
    bytes
}
