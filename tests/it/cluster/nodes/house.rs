//! Two nodes on three NATS servers, and who looks at them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use crate::support::nats::Servers;
use crate::support::{PATIENCE, Server, soon};

/// Short waits, long enough for a busy machine.
const FAST: &str = "[cluster]\nannounce_ms = 200\nforget_after_ms = 3000\nlease_ms = 3000\nanswer_ms = 1500\n";

/// Between two looks at what has to become so.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks until there is something.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("it does not come to that: {what}"))
}

/// Houses at the same time: five processes each.
static ROOM: Semaphore = Semaphore::const_new(2);

/// Two nodes and what they stand on. The nodes end first.
pub(crate) struct House {
    pub(crate) nodes: [Server; 2],
    pub(crate) nats: Servers,
    _room: SemaphorePermit<'static>,
}

impl House {
    /// Starts all of it. None, said loudly, where there is no NATS server.
    pub(crate) async fn build(config: &str) -> Option<Self> {
        let room = ROOM.acquire().await.expect("it is never closed");
        let nats = Servers::start(3)?;
        // Debian's servers cannot be told to flush before they acknowledge; no machine loses its power here.
        let log = format!("[log.nats]\nservers = {:?}\naccept_unsynced = true\naccept_old_nats = true\n", nats.urls());
        let config = format!("{log}{FAST}{config}");
        let [one, two] = [(); 2].map(|()| Server::start_with(&config));
        let house = Self { nodes: [one, two], nats, _room: room };
        house.until_they_know_each_other().await;
        Some(house)
    }

    /// Until each counts the other.
    pub(crate) async fn until_they_know_each_other(&self) {
        for node in &self.nodes {
            eventually("two nodes", async || (metric(node, "captionwire_nodes").await? == 2.0).then_some(())).await;
        }
    }

    /// Until each has its half of what there is to look after.
    pub(crate) async fn until_leases_are_shared(&self) {
        for node in &self.nodes {
            let held = async || (metric(node, "captionwire_shards_held").await? == 16.0).then_some(());
            eventually("half of the shards each", held).await;
        }
    }

    /// Deletes a stream of the NATS servers, as somebody might by hand.
    pub(crate) async fn delete_stream(&self, name: &str) {
        let client = async_nats::connect(self.nats.urls()).await.expect("connected");
        async_nats::jetstream::new(client).delete_stream(name).await.expect("deleted");
    }

    /// The transcript of a feed, which is the same to the byte at both nodes.
    pub(crate) async fn assert_same(&self, feed: &str) -> Value {
        let path = format!("/v1/feeds/{feed}/transcript.json");
        let [one, two] = [0, 1].map(|node| self.nodes[node].http_again("GET", &path, &[], b""));
        let (one, two) = tokio::join!(one, two);
        assert_eq!((one.status, two.status), (200, 200), "{} {}", one.text(), two.text());
        assert!(one.body == two.body, "the nodes differ in {feed}:\n{}\n{}", one.text(), two.text());
        one.json()
    }

    /// Until all of these feeds are so, as the last node has them.
    pub(crate) async fn until_all_are(&self, name: &str, count: usize, state: &str) {
        for number in 0..count {
            eventually(&format!("{name}-{number} is {state}"), async || {
                (self.state(name, number).await == state).then_some(())
            })
            .await;
        }
    }

    pub(crate) async fn assert_all_are(&self, name: &str, count: usize, state: &str) {
        for number in 0..count {
            assert_eq!(self.state(name, number).await, state, "{name}-{number}");
        }
    }

    async fn state(&self, name: &str, number: usize) -> String {
        let feed = self.nodes[1].get(&format!("/v1/feeds/{name}-{number}")).await.json();
        feed["state"].as_str().unwrap_or_default().to_owned()
    }
}

async fn metric(node: &Server, name: &str) -> Option<f64> {
    let text = node.get("/metrics").await.text();
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// What takes posts, and answers each with 200.
pub(crate) struct Receiver {
    pub(crate) addr: String,
    posts: mpsc::Receiver<(String, Value)>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address").to_string();
        let (sender, posts) = mpsc::channel(100_000);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                tokio::spawn(async move {
                    let _ = take(stream, &sender).await;
                });
            }
        });
        Self { addr, posts }
    }

    /// Takes posts until there are so many turns, by feed, turn and revision, each with the ids under which it came; and all
    /// that have come by then.
    pub(crate) async fn take_turns(&mut self, turns: &mut BTreeMap<(String, String, u64), Vec<String>>, count: usize) {
        loop {
            let enough = turns.len() >= count;
            let (id, post) = match self.posts.try_recv() {
                Ok(post) => post,
                Err(_) if enough => return,
                Err(_) => soon(self.posts.recv()).await.expect("it runs"),
            };
            if post["type"] == "turn" {
                let text = |value: &Value| value.as_str().expect("text").to_owned();
                let turn = &post["turn"];
                let key = (text(&post["feed"]), text(&turn["id"]), turn["rev"].as_u64().expect("a number"));
                turns.entry(key).or_default().push(id);
            }
        }
    }
}

async fn take(stream: TcpStream, told: &mpsc::Sender<(String, Value)>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let of = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let length = of("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let post = serde_json::from_slice(&body).expect("JSON");
    let _ = told.send((of("webhook-id").expect("an id"), post)).await;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await
}
