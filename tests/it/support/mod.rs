//! What the tests of the real binary share: a server process, plain clients, and a reader's screen written straight from
//! the protocol.
#![allow(dead_code, unreachable_pub, reason = "the benches use a part of this")]
#![allow(clippy::print_stderr, reason = "what is left out is said loudly")]

pub mod chance;
pub mod forward_proxy;
pub mod nats;
pub mod ports;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use self::ports::ReservedPort;

/// Longer than anything takes on a busy machine; a test that waits for it has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for what has to come.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it comes in time")
}

/// The real binary, serving. Killed when dropped.
pub struct Server {
    child: Child,
    addr: String,
    /// Where it listens whenever it is started.
    port: ReservedPort,
    dir: TempDir,
    config: String,
}

impl Server {
    /// Starts a server with an archive of its own.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts one with these settings, in TOML.
    pub fn start_with(config: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let port = ReservedPort::take();
        let (child, addr) = spawn(dir.path(), config, &port.addr());
        Self { child, addr, port, dir, config: config.to_owned() }
    }

    /// Starts one on an archive that is there.
    pub fn start_on(data: &Path) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(env!("CARGO_BIN_EXE_captionwire"));
        let port = ReservedPort::take();
        command.args(["serve", "--listen", &port.addr(), "--data"]).arg(data);
        command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        let (child, addr) = start(command);
        Self { child, addr, port, dir, config: String::new() }
    }

    /// Starts one whose files cannot grow beyond so many blocks (of 512 or 1,024 bytes, as the shell has it): a disk that
    /// gets full.
    pub fn start_on_a_small_disk(blocks: u32) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let port = ReservedPort::take();
        let (child, addr) = start(on_a_small_disk(&command(dir.path(), "", &port.addr()), blocks));
        Self { child, addr, port, dir, config: String::new() }
    }

    /// Starts it again as on a disk that has room for no more than so many blocks in one file.
    pub fn restart_on_a_small_disk(&mut self, blocks: u32) {
        (self.child, self.addr) =
            start(on_a_small_disk(&command(self.dir.path(), &self.config, &self.port.addr()), blocks));
    }

    /// Starts one with these settings that logs all it can as JSON, to the file that is given back.
    pub fn start_logging(config: &str) -> (Self, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let log = std::fs::File::create(&path).expect("a file");
        let port = ReservedPort::take();
        let mut command = command(dir.path(), config, &port.addr());
        command.args(["--log-format", "json"]).env("CAPTIONWIRE_LOG", "trace").stderr(log);
        let (child, addr) = start(command);
        (Self { child, addr, port, dir, config: config.to_owned() }, path)
    }

    /// Starts one that sends its traces to a collector.
    pub fn start_traced(collector: &str) -> Self {
        Self::start_with_env("", &[("OTEL_EXPORTER_OTLP_ENDPOINT", collector)])
    }

    /// Starts one with these settings and these variables of the environment, which no restart has again.
    pub fn start_with_env(config: &str, env: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let port = ReservedPort::take();
        let mut command = command(dir.path(), config, &port.addr());
        command.envs(env.iter().copied());
        let (child, addr) = start(command);
        Self { child, addr, port, dir, config: config.to_owned() }
    }

    /// `127.0.0.1:…`
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The directory of its archive.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The address of a socket, with its query.
    pub fn ws(&self, path: &str) -> String {
        format!("ws://{}/v1/feeds/{path}", self.addr)
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }

    /// Whether it has not been killed, and has not ended by itself.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("it is ours").is_none()
    }

    /// Other settings for when it is started again.
    pub fn set_config(&mut self, config: &str) {
        self.config = config.to_owned();
    }

    /// Writes other settings into the file that it read at its start.
    pub fn write_config(&self, config: &str) {
        std::fs::write(self.dir.path().join("config.toml"), config).expect("written");
    }

    /// Starts it again, on the same archive and the same address.
    pub fn restart(&mut self) {
        let (child, addr) = spawn(self.dir.path(), &self.config, &self.port.addr());
        (self.child, self.addr) = (child, addr);
    }

    /// Sends it a signal, such as `HUP`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([format!("-{name}"), pid]).status().expect("kill runs").success());
    }

    /// Asks it to stop, as a terminal or an operating system does, and waits for its end.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        self.signal("TERM");
        let begun = std::time::Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("asked") {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it stops in time");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub async fn publish(&self, path: &str) -> Socket {
        Socket::connect(&self.ws(path)).await
    }

    /// Publishes `lines` as one session, giving each its number, and waits until all are durable. A warning is no refusal.
    pub async fn say(&self, feed: &str, lines: &[Value]) {
        let mut publisher = self.publish(&format!("{feed}/publish?session=p")).await;
        let mut seq = publisher.expect_next("welcome").await["seq"].as_u64().expect("a number");
        for line in lines {
            seq += 1;
            let mut line = line.clone();
            line["seq"] = json!(seq);
            publisher.send(line).await;
        }
        let others = publisher.acked(seq).await;
        assert!(others.iter().all(|other| other["type"] == "warning"), "{others:?}");
    }

    /// Reads so little of the only answer that `feed` is being sent that its writes do make progress, until the server has let go
    /// of it.
    pub async fn is_cut_off_from(&self, feed: &str, slow: &mut (impl AsyncRead + Unpin)) {
        let path = format!("/v1/feeds/{feed}");
        let readers = async || self.get(&path).await.json()["readers"].clone();
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        let mut scratch = [0; 1024];
        soon(async {
            // It is counted a moment after its answer has begun.
            while readers().await != json!(1) {
                pace.tick().await;
            }
            while readers().await != json!(0) {
                pace.tick().await;
                let _ = tokio::time::timeout(Duration::from_millis(1), slow.read(&mut scratch)).await;
            }
        })
        .await;
    }

    pub async fn subscribe(&self, path: &str) -> Socket {
        Socket::connect(&self.ws(path)).await
    }

    /// What a newcomer sees at `path`, who comes again as often as it is sent away for a while: while servers of the log come
    /// back, another one may begin to lead them at any moment.
    pub async fn newcomer(&self, path: &str) -> Screen {
        soon(async {
            loop {
                let mut screen = Screen::default();
                let mut socket = self.subscribe(path).await;
                match screen.try_to_live(&mut socket).await {
                    Ok(()) => return screen,
                    Err((4003, _)) => tokio::time::sleep(Duration::from_millis(50)).await,
                    Err(closed) => panic!("closed with {closed:?} before live"),
                }
            }
        })
        .await
    }

    /// A request that is made again as often as the answer is that the log is away for a while.
    pub async fn http_again(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        soon(async {
            loop {
                let answer = self.http(method, path, headers, body).await;
                if answer.status != 503 {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await
    }

    /// A request over HTTP.
    pub async fn http(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let stream = TcpStream::connect(&self.addr).await.expect("connected");
        self.http_over(stream, method, path, headers, body).await
    }

    /// A request over HTTP on a connection of its own.
    pub async fn http_over(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request.push_str(&format!("Host: {}\r\n", self.addr));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        // A server that refuses by the length need not read the body.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        soon(stream.read_to_end(&mut answer)).await.expect("answered");
        Answer::parse(&answer)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.http("GET", path, &[], b"").await
    }

    pub async fn json(&self, method: &str, path: &str, body: Value) -> Answer {
        self.http(method, path, &[("Content-Type", "application/json")], body.to_string().as_bytes()).await
    }

    /// Imports a transcript.
    pub async fn import(&self, feed: &str, text: &str) -> Value {
        let path = format!("/v1/feeds/{feed}/transcript");
        let answer = self.http("PUT", &path, &[("Content-Type", "text/plain")], text.as_bytes()).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(dir: &Path, config: &str, listen: &str) -> (Child, String) {
    start(command(dir, config, listen))
}

fn on_a_small_disk(serve: &Command, blocks: u32) -> Command {
    let mut command = Command::new("sh");
    // Without the signal, what writes beyond is told so.
    command.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
    command.arg(serve.get_program()).args(serve.get_args()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command
}

fn command(dir: &Path, config: &str, listen: &str) -> Command {
    let file = dir.join("config.toml");
    std::fs::write(&file, config).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_captionwire"));
    command
        .args(["serve", "--listen", listen, "--config"])
        .arg(&file)
        .arg("--data")
        .arg(dir.join("data"))
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    command
}

fn start(mut command: Command) -> (Child, String) {
    let mut child = command.spawn().expect("the binary runs");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
    let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("it said {line:?}"));
    let addr = url.split_once("://").expect("a scheme").1;
    (child, addr.to_owned())
}

/// An answer over HTTP.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = std::str::from_utf8(&bytes[..end]).expect("a head in ASCII");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut body = bytes[end + 4..].to_vec();
        if headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked") {
            body = unchunked(&body);
        }
        Self { status, headers, body }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Holds it to be a problem of this status and code.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(status)), "{problem}");
        assert!(!problem["detail"].as_str().expect("a detail").is_empty());
    }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").expect("a chunk");
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).expect("ASCII"), 16).expect("a length");
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + length]);
        bytes = &bytes[end + 2 + length + 2..];
    }
}

/// A plain WebSocket client.
pub struct Socket<S = MaybeTlsStream<TcpStream>> {
    pub stream: WebSocketStream<S>,
}

impl Socket {
    pub async fn connect(url: &str) -> Self {
        let request = url.into_client_request().expect("a URL");
        let (stream, _) =
            soon(tokio_tungstenite::connect_async(request)).await.unwrap_or_else(|e| panic!("{url}: {e}"));
        Self { stream }
    }

    /// As [`Socket::connect`], with little room for what is not read yet: what is sent stays with the server.
    pub async fn connect_with_little_room(url: &str) -> Self {
        let request = url.into_client_request().expect("a URL");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("set");
        let address = request.uri().authority().expect("an address").as_str().parse().expect("an address");
        let stream = soon(socket.connect(address)).await.expect("connected");
        let (stream, _) =
            soon(tokio_tungstenite::client_async(request, MaybeTlsStream::Plain(stream))).await.expect("a WebSocket");
        Self { stream }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub async fn send(&mut self, message: Value) {
        self.send_text(&message.to_string()).await;
    }

    pub async fn send_text(&mut self, text: &str) {
        soon(self.stream.send(Message::text(text))).await.expect("sent");
    }

    /// The next message, or the code and reason with which the connection closed.
    pub async fn next(&mut self) -> Result<Value, (u16, String)> {
        loop {
            match soon(self.stream.next()).await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Close(frame))) => {
                    let frame = frame.expect("a code");
                    // Until the server's end of the connection, as a client should.
                    while let Some(Ok(_)) = soon(self.stream.next()).await {}
                    return Err((frame.code.into(), frame.reason.to_string()));
                }
                Some(Ok(_)) => {}
                None | Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) => return Err((0, "closed".into())),
                Some(Err(error)) => return Err((0, error.to_string())),
            }
        }
    }

    /// The next message of this type; others are passed over.
    pub async fn expect(&mut self, kind: &str) -> Value {
        let reading = async {
            loop {
                match self.next().await {
                    Ok(message) if message["type"] == kind => return message,
                    Ok(_) => {}
                    Err(closed) => panic!("closed with {closed:?} before {kind}"),
                }
            }
        };
        soon(reading).await
    }

    /// The next message, which is of this type.
    pub async fn expect_next(&mut self, kind: &str) -> Value {
        let message = self.next().await.unwrap_or_else(|closed| panic!("closed with {closed:?} before {kind}"));
        assert_eq!(message["type"], kind, "{message}");
        message
    }

    /// Reads to the close frame.
    pub async fn closed(&mut self) -> (u16, String) {
        let reading = async {
            loop {
                if let Err(closed) = self.next().await {
                    return closed;
                }
            }
        };
        soon(reading).await
    }

    /// Waits until everything up to `seq` is acknowledged; what else came meanwhile.
    pub async fn acked(&mut self, seq: u64) -> Vec<Value> {
        let mut others = Vec::new();
        let reading = async {
            loop {
                let message = self.next().await.unwrap_or_else(|closed| panic!("closed with {closed:?} before {seq}"));
                match message["seq"].as_u64() {
                    Some(acked) if message["type"] == "ack" && acked >= seq => return,
                    _ if message["type"] == "ack" => {}
                    _ => others.push(message),
                }
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, reading).await;
        assert!(in_time.is_ok(), "no ack {seq} after {others:?}");
        others
    }
}

/// What a reader sees: lines and turns by key, walked once by `sort` (protocol, section 2).
#[derive(Debug, Default, Clone)]
pub struct Screen {
    pub cursor: Option<String>,
    pub lines: BTreeMap<String, Value>,
    pub turns: BTreeMap<String, Value>,
    pub speakers: BTreeMap<String, Value>,
    pub state: Option<String>,
    parts: Vec<Value>,
    /// More is waiting behind what is held.
    pub behind: bool,
}

/// The integer behind the last colon.
pub fn change(cursor: &str) -> u64 {
    cursor.rsplit_once(':').and_then(|(_, number)| number.parse().ok()).expect("a cursor")
}

impl Screen {
    /// Takes a message of any type.
    pub fn take(&mut self, message: &Value) {
        match message["type"].as_str().expect("a type") {
            "reset" => *self = Self::default(),
            "changes" => {
                let cursor = message["cursor"].as_str().expect("a cursor");
                if self.cursor.as_ref().is_some_and(|own| change(cursor) < change(own)) {
                    return;
                }
                self.parts.push(message.clone());
                if message["more"] == true {
                    return;
                }
                for part in std::mem::take(&mut self.parts) {
                    self.apply(&part);
                }
                self.cursor = Some(cursor.to_owned());
                self.behind = message["behind"] == true;
            }
            _ => {}
        }
    }

    fn apply(&mut self, part: &Value) {
        let list = |name: &str| part[name].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        for key in list("gone") {
            self.lines.remove(&text(&key));
        }
        for id in list("gone_turns") {
            self.turns.remove(&text(&id));
        }
        for line in list("lines") {
            self.lines.insert(format!("{}/{}", text(&line["source"]), text(&line["id"])), line);
        }
        for turn in list("turns") {
            self.turns.insert(text(&turn["id"]), turn);
        }
        for speaker in list("speakers") {
            self.speakers.insert(text(&speaker["id"]), speaker);
        }
        if let Some(state) = part["state"].as_str() {
            self.state = Some(state.to_owned());
        }
    }

    /// A cut connection: parts without their last are worth nothing.
    pub fn cut(&mut self) {
        self.parts.clear();
    }

    /// What to call a speaker.
    pub fn name(&self, speaker: &Value) -> String {
        let Some(mut id) = speaker.as_str() else { return "-".into() };
        while let Some(into) = self.speakers.get(id).and_then(|known| known["into"].as_str()) {
            id = into;
        }
        self.speakers.get(id).and_then(|known| known["name"].as_str()).unwrap_or(id).to_owned()
    }

    /// The turns with their lines: the name of who speaks, and the texts.
    pub fn turns(&self) -> Vec<(String, Vec<String>)> {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let mut all: Vec<(String, bool, &Value)> =
            self.turns.values().map(|turn| (text(&turn["sort"]), false, turn)).collect();
        all.extend(self.lines.values().map(|line| (text(&line["sort"]), true, line)));
        all.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        let mut turns: Vec<(String, Vec<String>)> = Vec::new();
        for (_, is_line, item) in all {
            if is_line {
                turns.last_mut().expect("a turn before its lines").1.push(text(&item["text"]));
            } else {
                turns.push((self.name(&item["speaker"]), Vec::new()));
            }
        }
        turns
    }

    /// Reads until `live`.
    pub async fn read_to_live(&mut self, socket: &mut Socket) {
        self.try_to_live(socket).await.unwrap_or_else(|closed| panic!("closed with {closed:?} before live"));
    }

    /// Reads until `live`, or says how the connection closed before.
    async fn try_to_live(&mut self, socket: &mut Socket) -> Result<(), (u16, String)> {
        loop {
            let message = socket.next().await?;
            self.take(&message);
            if message["type"] == "live" {
                return Ok(());
            }
        }
    }

    /// Whether it shows all that there was when the last message came.
    pub fn is_whole(&self) -> bool {
        !self.behind && self.parts.is_empty()
    }

    /// Reads until the screen is whole and is as `wanted`.
    pub async fn read_until(&mut self, socket: &mut Socket, wanted: impl Fn(&Self) -> bool) {
        let reading = async {
            while !self.is_whole() || !wanted(self) {
                let message = socket.next().await.unwrap_or_else(|closed| panic!("closed with {closed:?}: {self:?}"));
                self.take(&message);
            }
        };
        // Heartbeats alone are no news.
        let in_time = tokio::time::timeout(PATIENCE, reading).await;
        assert!(in_time.is_ok(), "it does not come to that: {self:?}");
    }

    /// Reads until the connection closes, and says how it did.
    pub async fn read_to_close(&mut self, socket: &mut Socket) -> (u16, String) {
        loop {
            match socket.next().await {
                Ok(message) => self.take(&message),
                Err(closed) => return closed,
            }
        }
    }
}

/// A final line as a publisher sends it.
pub fn line(id: &str, start_ms: i64, speaker: &str, text: &str) -> Value {
    json!({"type": "line", "id": id, "start_ms": start_ms, "speaker": speaker, "text": text})
}

/// The shipped hearing.
pub fn hearing() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/hearing.rev.txt")).expect("it ships")
}

/// The facts of the hearing that tests hold the server to.
pub fn facts() -> Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/hearing.facts.json");
    serde_json::from_str(&std::fs::read_to_string(file).expect("it ships")).expect("JSON")
}

/// The lines of a transcript file as a publisher sends them.
pub fn lines_of(text: &str) -> Vec<Value> {
    let reading = captionwire::format::read(text.as_bytes(), None).expect("a transcript");
    let sent = |version: captionwire::transcript::Version| {
        let content = version.content;
        let mut line = json!({"type": "line", "id": version.id, "start_ms": content.start_ms, "text": content.text});
        line["speaker"] = json!(content.speaker);
        line
    };
    reading.lines.into_iter().map(sent).collect()
}

/// A real transcript, where the environment leads to some; says loudly where it does not.
pub fn real(name: &str) -> Option<String> {
    let Some(dir) = std::env::var_os("CAPTIONWIRE_DATA") else {
        eprintln!("NOT RUN with {name}: CAPTIONWIRE_DATA names no folder of real transcripts");
        return None;
    };
    Some(std::fs::read_to_string(Path::new(&dir).join(name)).expect("it is there"))
}

/// A program that is not ours, where `variable` names it. Says loudly what is not run where it does not; in CI, where
/// `CI` is set, that is a failure.
pub fn program(variable: &str, what: &str) -> Option<std::ffi::OsString> {
    let program = std::env::var_os(variable);
    if program.is_none() {
        leave_out(what, &format!("{variable} names no program for it"));
    }
    program
}

/// Says loudly that something is not run; in CI everything has to be.
pub fn leave_out(what: &str, why: &str) {
    let is_ci = std::env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false");
    assert!(!is_ci, "{what} has to be run in CI, and {why}");
    eprintln!("NOT RUN: {what}, because {why}");
}

/// Waits until the server has logged `what` as often as that.
pub async fn logged(log: &Path, what: &str, times: usize) -> String {
    let reading = async {
        loop {
            let text = std::fs::read_to_string(log).expect("a log");
            if text.matches(what).count() >= times {
                return text;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, reading).await;
    in_time.unwrap_or_else(|_| panic!("no {what:?} in {}", std::fs::read_to_string(log).expect("a log")))
}
