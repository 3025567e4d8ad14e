//! A proxy on the way out: it forwards requests, opens tunnels, and keeps what it was asked.
#![allow(clippy::disallowed_methods, reason = "the proxy ends with its test")]

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// A proxy that knows a few hosts by names that nobody else knows.
pub struct ForwardProxy {
    addr: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl ForwardProxy {
    /// Starts a proxy for everybody. `hosts` are names of hosts, each with the address that it leads to.
    pub async fn start(hosts: &[(&str, &str)]) -> Self {
        Self::start_for(hosts, None).await
    }

    /// Starts a proxy that answers 407 to whoever does not send this `Proxy-Authorization`.
    pub async fn start_for(hosts: &[(&str, &str)], authorization: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address").to_string();
        let hosts: HashMap<_, _> = hosts.iter().map(|(name, addr)| ((*name).to_owned(), (*addr).to_owned())).collect();
        let (hosts, heads) = (Arc::new(hosts), Arc::new(Mutex::new(Vec::new())));
        let told = heads.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (hosts, heads) = (hosts.clone(), told.clone());
                tokio::spawn(async move {
                    let _ = pass(stream, &hosts, authorization, &heads).await;
                });
            }
        });
        Self { addr, heads }
    }

    /// `127.0.0.1:…`
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no panic").clone()
    }

    /// The first lines of all requests so far, without their versions.
    pub fn requests(&self) -> Vec<String> {
        let first = |head: &String| head.split(" HTTP/").next().unwrap_or_default().to_owned();
        self.heads().iter().map(first).collect()
    }
}

async fn pass(
    stream: TcpStream,
    hosts: &HashMap<String, String>,
    authorization: Option<&str>,
    heads: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    heads.lock().expect("no panic").push(head.clone());
    let is_for_us = |line: &&str| line.to_ascii_lowercase().starts_with("proxy-authorization: ");
    let sent = head.lines().find(is_for_us).and_then(|line| line.split_once(": "));
    if authorization.is_some() && sent.map(|(_, value)| value) != authorization {
        let refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"a\"\r\n\
            Content-Length: 0\r\nConnection: close\r\n\r\n";
        return stream.write_all(refusal).await;
    }
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let without_scheme = target.strip_prefix("http://").unwrap_or(target);
    let path = without_scheme.find('/').map_or("", |at| &without_scheme[at..]);
    let host = without_scheme.split(['/', ':']).next().unwrap_or_default();
    let Some(addr) = hosts.get(host) else {
        let unknown = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return stream.write_all(unknown).await;
    };
    let mut server = TcpStream::connect(addr).await?;
    if method == "CONNECT" {
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    } else {
        let lines: Vec<_> = head.lines().filter(|line| !is_for_us(line)).collect();
        server.write_all((lines.join("\r\n").replacen(target, path, 1) + "\r\n").as_bytes()).await?;
    }
    copy_bidirectional(&mut stream, &mut server).await.map(|_| ())
}
