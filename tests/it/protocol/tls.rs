//! TLS through the real binary: what it proves with who it is, what reads it, and what comes of those who do not.

use crate::support;

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use captionwire::server::Clock;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Answer, Screen, Server, Socket, line, logged, soon};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Long enough to be told from what else is written.
const TEXT: &str = "What was said at length, so that it fills some packets. ";
const ENCRYPTED: &str = include_str!("../../keys/p256.encrypted.pem");
const KEYS: [&str; 4] = [
    include_str!("../../keys/rsa.pkcs1.pem"),
    include_str!("../../keys/rsa.pkcs8.pem"),
    include_str!("../../keys/p256.sec1.pem"),
    include_str!("../../keys/p256.pkcs8.pem"),
];

/// An authority, and a server's files.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("an authority for tests")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
        let this = Self { issuer, dir: tempfile::tempdir().expect("a directory") };
        std::fs::write(this.ca_file(), this.issuer.pem()).expect("written");
        this
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir.path().join("authority.pem")
    }

    fn certificate_file(&self) -> PathBuf {
        self.dir.path().join("chain.pem")
    }

    fn key_file(&self) -> PathBuf {
        self.dir.path().join("key.pem")
    }

    /// Writes the files anew, for servers of these names.
    pub(crate) fn certify(&self, names: &[&str]) {
        let key = KeyPair::generate().expect("a key");
        self.certify_key(names, &key, &key.serialize_pem());
    }

    fn certify_key(&self, names: &[&str], key: &KeyPair, pem: &str) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.signed_by(key, &self.issuer).expect("signed");
        std::fs::write(self.certificate_file(), certificate.pem() + &self.issuer.pem()).expect("written");
        std::fs::write(self.key_file(), pem).expect("written");
        #[cfg(unix)]
        set_mode(&self.key_file(), 0o600);
    }

    /// The section of a configuration, behind `more`.
    pub(crate) fn config(&self, more: &str) -> String {
        let (certificate, key) = (self.certificate_file(), self.key_file());
        format!("{more}\n[tls]\ncertificate_file = {certificate:?}\nkey_file = {key:?}\n")
    }

    /// A connection to `server`, by the name `localhost`.
    async fn connect<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("an authority");
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from("localhost").expect("a name");
        soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
    }

    async fn open(&self, server: &Server) -> TlsStream<TcpStream> {
        self.connect(tcp(server).await).await.expect("TLS")
    }

    pub(crate) async fn http(&self, server: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
        server.http_over(self.open(server).await, "GET", path, headers, b"").await
    }

    async fn socket(&self, server: &Server, path: &str) -> Socket<TlsStream<TcpStream>> {
        websocket(self.open(server).await, server, path, "").await
    }

    /// The certificate that new connections are shown.
    async fn shown(&self, server: &Server) -> CertificateDer<'static> {
        let stream = self.open(server).await;
        stream.get_ref().1.peer_certificates().expect("certificates")[0].clone().into_owned()
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("set");
}

async fn tcp(server: &Server) -> TcpStream {
    TcpStream::connect(server.addr()).await.expect("connected")
}

async fn websocket<S>(stream: S, server: &Server, path: &str, token: &str) -> Socket<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = server.ws(path).into_client_request().expect("a URL");
    if !token.is_empty() {
        request.headers_mut().insert("Authorization", format!("Bearer {token}").parse().expect("a header"));
    }
    let (stream, _) = soon(tokio_tungstenite::client_async(request, stream)).await.expect("upgraded");
    Socket { stream }
}

/// Runs the binary to its end.
async fn run(args: &[&str], env: &[(&str, &str)]) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_captionwire"));
    command.args(args).envs(env.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
    let output = soon(command.output()).await.expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

/// Holds `output` to show nothing of a key.
#[track_caller]
fn assert_no_key_in(output: &str, pem: &str) {
    for secret in pem.lines().filter(|line| line.len() > 20 && !line.contains(' ')) {
        assert!(!output.contains(&secret[..20]), "{secret} is in {output}");
    }
}

#[tokio::test]
async fn http_and_sockets_speak_tls() {
    let authority = Authority::new();
    authority.certify(&["localhost"]);
    let server = Server::start_with(&authority.config(""));
    let stream = authority.open(&server).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(server.http_over(stream, "GET", "/healthz", &[], b"").await.status, 200);

    // Its own pages are those over TLS.
    let own = |scheme: &str| format!("{scheme}://{}", server.addr());
    assert_eq!(authority.http(&server, "/v1/feeds", &[("Origin", &own("https"))]).await.status, 200);
    authority.http(&server, "/v1/feeds", &[("Origin", &own("http"))]).await.assert_problem(403, "forbidden");

    let mut publisher = authority.socket(&server, "geneva/publish").await;
    publisher.expect_next("welcome").await;
    let text = TEXT.repeat(200);
    for number in 0..100 {
        publisher.send(line(&number.to_string(), number * 10, "A", &text)).await;
    }
    publisher.acked(100).await;
    let mut reader = authority.socket(&server, "geneva/subscribe").await;
    let mut screen = Screen::default();
    while screen.lines.len() < 100 {
        screen.take(&reader.next().await.expect("a message"));
    }
    assert!(screen.lines["main/99"]["text"] == text, "the last one is whole");
}

/// What came from the other side, below TLS.
struct Recorded {
    stream: TcpStream,
    read: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Recorded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.read.lock().expect("not poisoned").extend(&buf.filled()[before..]);
        read
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_message_is_one_record() {
    let authority = Authority::new();
    authority.certify(&["localhost"]);
    // No pings and heartbeats between.
    let times = "[times]\nheartbeat_ms = 600000\nsilence_timeout_ms = 1200000";
    let server = Server::start_with(&authority.config(times));
    let mut publisher = authority.socket(&server, "geneva/publish").await;
    publisher.expect_next("welcome").await;
    publisher.send(line("1", 0, "A", "before")).await;
    publisher.acked(1).await;
    let read = Arc::new(Mutex::new(Vec::new()));
    let recorded = Recorded { stream: tcp(&server).await, read: read.clone() };
    let stream = authority.connect(recorded).await.expect("TLS");
    let mut reader = websocket(stream, &server, "geneva/subscribe", "").await;
    reader.expect("live").await;
    read.lock().expect("not poisoned").clear();
    let text = TEXT.repeat(100);
    publisher.send(line("2", 10, "A", &text)).await;
    reader.expect_next("changes").await;

    // RFC 8446, section 5.1: a type, a version, and the length of what follows.
    let read = read.lock().expect("not poisoned").clone();
    let (mut rest, mut lengths) = (read.as_slice(), Vec::new());
    while let [kind, _, _, high, low, ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        assert_eq!(*kind, 23, "application data");
        lengths.push(length);
        rest = &rest[5 + length..];
    }
    assert!(lengths.len() == 1 && lengths[0] > text.len(), "{lengths:?}");
}

#[tokio::test]
async fn keys_of_every_kind() {
    let authority = Authority::new();
    for (pem, pkcs8) in [(KEYS[0], KEYS[1]), (KEYS[1], KEYS[1]), (KEYS[2], KEYS[3]), (KEYS[3], KEYS[3])] {
        authority.certify_key(&["localhost"], &KeyPair::from_pem(pkcs8).expect("a key"), pem);
        let server = Server::start_with(&authority.config(""));
        assert_eq!(authority.http(&server, "/healthz", &[]).await.status, 200);
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    authority.certify(&["localhost"]);
    let (certificate, key) = (authority.certificate_file(), authority.key_file());
    let (good_certificate, good_key) =
        (std::fs::read_to_string(&certificate).expect("read"), std::fs::read_to_string(&key).expect("read"));
    let config = authority.dir.path().join("c.toml");
    std::fs::write(&config, authority.config("")).expect("written");
    let damaged = good_key.replace("-----END", "----END");
    let not_a_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (file, content, why) in [
        (&certificate, "", "certificates in PEM"),
        (&certificate, good_key.as_str(), "certificates in PEM"),
        (&certificate, not_a_certificate, "cannot be parsed"),
        (&certificate, &good_certificate[..200], "damaged"),
        (&key, "", "a private key in PEM"),
        (&key, &good_certificate, "a private key in PEM"),
        (&key, &damaged, "a private key in PEM"),
        (&key, KEYS[0], "does not match the first certificate"),
        (&key, ENCRYPTED, "encrypted"),
    ] {
        std::fs::write(&certificate, &good_certificate).expect("written");
        std::fs::write(&key, &good_key).expect("written");
        std::fs::write(file, content).expect("written");
        let file = file.to_str().expect("a path");
        for command in [&["config", "check"][..], &["serve", "--ephemeral"]] {
            let (ok, stdout, stderr) =
                run(&[command, &["--config", config.to_str().expect("a path")]].concat(), &[]).await;
            assert!(!ok && stdout.is_empty() && stderr.contains(file) && stderr.contains(why), "{why}: {stderr}");
            for pem in [good_key.as_str(), KEYS[0], ENCRYPTED] {
                assert_no_key_in(&stderr, pem);
            }
        }
    }
    std::fs::remove_file(&certificate).expect("removed");
    let (ok, _, stderr) = run(&["serve", "--ephemeral", "--config", config.to_str().expect("a path")], &[]).await;
    assert!(!ok && stderr.contains("chain.pem") && stderr.contains("read"), "{stderr}");
}

#[tokio::test]
async fn who_speaks_no_tls_is_told_nothing() {
    let authority = Authority::new();
    authority.certify(&["localhost"]);
    let server = Server::start_with(&authority.config(""));
    let mut plain = tcp(&server).await;
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = soon(plain.read_to_end(&mut answer)).await;
    // RFC 8446, section 6: an alert, and no more.
    assert!(answer.is_empty() || (answer[0] == 21 && answer.len() == 7), "{answer:?}");
    assert_eq!(authority.http(&server, "/healthz", &[]).await.status, 200);
}

#[tokio::test]
async fn a_handshake_has_its_time_and_its_place() {
    let authority = Authority::new();
    authority.certify(&["localhost"]);
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let server = Server::start_with(&authority.config("[times]\nhandshake_timeout_ms = 200"));
    for said in [&b""[..], hello] {
        let mut silent = tcp(&server).await;
        silent.write_all(said).await.expect("sent");
        let mut rest = Vec::new();
        let _ = soon(silent.read_to_end(&mut rest)).await;
    }
    // After it the head of the request has its time.
    let mut slow = authority.open(&server).await;
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: loc").await.expect("sent");
    let mut rest = Vec::new();
    let _ = soon(slow.read_to_end(&mut rest)).await;
    assert_eq!(authority.http(&server, "/healthz", &[]).await.status, 200);

    let patient = "[limits]\nconnections_per_address_max = 2\n[times]\nhandshake_timeout_ms = 600000";
    let server = Server::start_with(&authority.config(patient));
    let (mut one, mut other) = (tcp(&server).await, tcp(&server).await);
    one.write_all(hello).await.expect("sent");
    other.write_all(hello).await.expect("sent");
    authority.http(&server, "/v1/feeds", &[]).await.assert_problem(503, "too_many_connections");
    drop((one, other));
    soon(async { while authority.http(&server, "/v1/feeds", &[]).await.status != 200 {} }).await;
}

#[tokio::test]
async fn a_stopping_server_does_not_wait_for_handshakes() {
    let authority = Authority::new();
    authority.certify(&["localhost"]);
    let mut server =
        Server::start_with(&authority.config("[times]\nhandshake_timeout_ms = 600000\nshutdown_grace_ms = 600000"));
    let mut silent = tcp(&server).await;
    // What came after it has been answered, so it was taken.
    assert_eq!(authority.http(&server, "/healthz", &[]).await.status, 200);
    assert!(server.stop().success());
    let mut rest = Vec::new();
    let _ = soon(silent.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn certificates_are_read_again() {
    const STAYS: &str = "the old files stay in use";
    let authority = Authority::new();
    authority.certify(&["localhost"]);
    let (server, log) = Server::start_logging(&authority.config(""));
    let first = authority.shown(&server).await;
    let mut publisher = authority.socket(&server, "geneva/publish").await;
    publisher.expect_next("welcome").await;

    authority.certify(&["localhost"]);
    let keys = [std::fs::read_to_string(authority.key_file()).expect("a key"), KEYS[0].to_owned()];
    server.signal("HUP");
    logged(&log, "read again", 1).await;
    let second = authority.shown(&server).await;
    assert!(first != second, "the new certificate is shown");
    assert_eq!(CertificateDer::from_pem_file(authority.certificate_file()).expect("a certificate"), second);
    publisher.send(line("1", 0, "A", "still here")).await;
    publisher.acked(1).await;

    // Half of a renewal: the key of another certificate.
    std::fs::write(authority.key_file(), KEYS[0]).expect("written");
    server.signal("HUP");
    let text = logged(&log, STAYS, 1).await;
    assert!(text.contains("key.pem") && text.contains("does not match the first certificate"), "{text}");
    assert_eq!(authority.shown(&server).await, second);
    std::fs::remove_file(authority.key_file()).expect("removed");
    server.signal("HUP");
    logged(&log, STAYS, 2).await;
    assert_eq!(authority.shown(&server).await, second);

    authority.certify(&["localhost"]);
    server.signal("HUP");
    let text = logged(&log, "read again", 2).await;
    assert!(authority.shown(&server).await != second);
    publisher.send(line("2", 10, "A", "still here")).await;
    publisher.acked(2).await;
    for key in &keys {
        assert_no_key_in(&text, key);
    }
}

#[tokio::test]
async fn neither_keys_nor_tokens_are_logged() {
    let authority = Authority::new();
    authority.certify(&["localhost"]);
    let hash: String = Sha256::digest(b"t0ken-of-mine").iter().map(|byte| format!("{byte:02x}")).collect();
    let token = format!(
        "\n[[auth.tokens]]\nname = \"desk\"\nsha256 = \"{hash}\"\nroles = [\"publish\", \"create\"]\nfeeds = [\"*\"]\n"
    );
    let (mut server, log) = Server::start_logging(&(authority.config("trusted_proxies = [\"127.0.0.1\"]") + &token));
    let stream = authority.open(&server).await;
    let mut publisher = websocket(stream, &server, "geneva/publish", "t0ken-of-mine").await;
    publisher.expect_next("welcome").await;
    publisher.send(line("1", 0, "A", "wh4t-was-said")).await;
    publisher.acked(1).await;
    drop(publisher);
    let mut publisher = authority.socket(&server, "geneva/publish?token=t0ken-of-mine").await;
    publisher.expect_next("welcome").await;
    drop(publisher);
    let wrong = [("Authorization", "Bearer wr0ng-t0ken"), ("X-Forwarded-For", "wr0ng-t0ken")];
    authority.http(&server, "/v1/feeds?token=wr0ng-t0ken", &wrong).await.assert_problem(400, "bad_request");
    authority.http(&server, "/v1/feeds?token=wr0ng-t0ken", &wrong[..1]).await.assert_problem(401, "unauthorised");
    // Where the handshake should be.
    let mut plain = tcp(&server).await;
    plain.write_all(b"GET /v1/feeds?token=wr0ng-t0ken HTTP/1.1\r\n\r\n").await.expect("sent");
    let _ = soon(plain.read_to_end(&mut Vec::new())).await;
    assert!(server.stop().success());
    let log = std::fs::read_to_string(log).expect("a log");
    assert!(log.contains("there was no TLS"), "{log}");
    for secret in ["t0ken", "wh4t-was-said"] {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
    assert_no_key_in(&log, &std::fs::read_to_string(authority.key_file()).expect("a key"));
}

fn sign(secret: &str) -> String {
    let exp = Clock::of_this_machine().now().0 / 1000 + 600;
    let claims: Value = json!({"exp": exp, "roles": ["publish", "create"], "feeds": ["*"]});
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).expect("signed")
}

#[tokio::test]
async fn keys_of_tokens_are_read_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("secret");
    let (one, two) = ("the first secret, and long enough for it", "the second secret, and long enough for it");
    std::fs::write(&file, one).expect("written");
    let (server, log) = Server::start_logging(&format!("[auth.jwt]\nhs256_secret_file = {file:?}\n"));
    let greeting = async |secret: &str| {
        let mut socket = websocket(tcp(&server).await, &server, "geneva/publish", &sign(secret)).await;
        let first = socket.next().await;
        (socket, first)
    };
    let (mut publisher, welcome) = greeting(one).await;
    assert_eq!(welcome.expect("a message")["type"], "welcome");
    assert_eq!(greeting(two).await.1.expect_err("closed").0, 4500);

    std::fs::write(&file, "too short").expect("written");
    server.signal("HUP");
    let text = logged(&log, "the grants in use stay in use", 1).await;
    assert!(text.contains("32 bytes") && !text.contains("too short"), "{text}");
    publisher.send(line("1", 0, "A", "still here")).await;
    publisher.acked(1).await;

    // The same key once more takes nothing from anybody.
    std::fs::write(&file, one).expect("written");
    server.signal("HUP");
    logged(&log, "[auth] was read again", 1).await;
    publisher.send(line("2", 10, "A", "still here")).await;
    publisher.acked(2).await;

    std::fs::write(&file, two).expect("written");
    server.signal("HUP");
    let text = logged(&log, "[auth] was read again", 2).await;
    assert_eq!(greeting(one).await.1.expect_err("closed").0, 4500);
    // What the old one opened ends with it.
    let (code, reason) = publisher.closed().await;
    assert_eq!((code, reason.as_str()), (4500, "the token was taken back"));
    assert!(greeting(two).await.1.is_ok());
    assert!(!text.contains(one) && !text.contains(two) && !text.contains(&sign(one)[..40]), "{text}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_that_all_can_read_is_warned_of() {
    let authority = Authority::new();
    authority.certify(&["localhost"]);
    for (mode, is_warned) in [(0o644, true), (0o640, false)] {
        set_mode(&authority.key_file(), mode);
        let (server, log) = Server::start_logging(&authority.config(""));
        assert_eq!(authority.http(&server, "/healthz", &[]).await.status, 200);
        let text = std::fs::read_to_string(log).expect("a log");
        assert_eq!(text.contains("everybody on this machine can read"), is_warned, "{text}");
    }
}

#[tokio::test]
async fn commands_speak_tls_to_whom_they_believe() {
    let (authority, twin, other) = (Authority::new(), Authority::new(), Authority::named("another authority"));
    authority.certify(&["localhost"]);
    let server = Server::start_with(&authority.config(""));
    let port = server.addr().rsplit_once(':').expect("a port").1;
    let url = format!("https://localhost:{port}");
    let files = [authority.ca_file(), twin.ca_file(), other.ca_file()];
    let [ca, twin_ca, other_ca] = files.each_ref().map(|file| file.to_str().expect("a path"));
    let captions = authority.dir.path().join("captions.txt");
    std::fs::write(&captions, "A: one\nB: two\n").expect("written");
    let captions = captions.to_str().expect("a path");
    let secret = [("CAPTIONWIRE_TOKEN", "t0ken-of-mine")];
    let ca_env = [secret[0], ("CAPTIONWIRE_CA_FILE", ca)];
    // As the machine's own.
    let system = [secret[0], ("SSL_CERT_FILE", ca)];

    let (ok, _, stderr) = run(&["publish", "geneva", "--end", "--url", &url, "--ca-file", ca, captions], &secret).await;
    assert!(ok, "{stderr}");
    for env in [&ca_env, &system] {
        let (ok, stdout, stderr) = run(&["feeds", "--url", &url], env).await;
        assert!(ok && stdout.contains("geneva"), "{stdout} {stderr}");
    }
    let target = format!("{}/v1/feeds/geneva/subscribe?until=head", url.replace("https", "wss"));
    let (ok, stdout, stderr) = run(&["watch", &target, "--ca-file", ca], &secret).await;
    assert!(ok && stdout.contains("two"), "{stdout} {stderr}");

    let wrong_name = format!("https://127.0.0.1:{port}");
    let plain = Server::start();
    let plain = format!("https://{}", plain.addr());
    let missing = format!("{ca}.not");
    // One that signed itself as authorities do, and is used as a server's.
    std::fs::write(twin.certificate_file(), twin.issuer.pem()).expect("written");
    std::fs::write(twin.key_file(), twin.issuer.key().serialize_pem()).expect("written");
    let itself = Server::start_with(&twin.config(""));
    let itself = format!("https://{}", itself.addr());
    for (url, ca, why) in [
        (url.as_str(), other_ca, "not trusted here"),
        (&url, twin_ca, "not trusted here"),
        (&wrong_name, ca, "another name"),
        (&itself, twin_ca, "an authority's, not a server's"),
        (&plain, ca, "no TLS"),
        (&url, captions, "no certificates"),
        (&url, &missing, "cannot read"),
    ] {
        // A publisher does not come back to whom it does not believe.
        for command in [&["feeds"][..], &["publish", "geneva", captions], &["watch", "geneva"]] {
            let (ok, stdout, stderr) = run(&[command, &["--url", url, "--ca-file", ca]].concat(), &secret).await;
            assert!(!ok && stderr.contains(why), "{command:?} {why}: {stderr}");
            assert!(!format!("{stdout}{stderr}").contains("t0ken"), "{stderr}");
        }
    }
}

/// Pushes are delivered over TLS to whom the configuration believes; to nobody else, whatever it answers.
#[tokio::test]
async fn deliveries_speak_tls_to_whom_they_believe() {
    let (authority, other) = (Authority::new(), Authority::named("another one"));
    authority.certify(&["localhost"]);
    let to = Server::start_with(&authority.config(""));
    let port = to.addr().rsplit(':').next().expect("a port").to_owned();
    let push = |believed: &Authority| {
        let ca_file = believed.ca_file();
        format!(
            "[deliveries]\nretry_first_ms = 5\nretry_max_ms = 40\nca_file = {ca_file:?}\n[[push]]\nname = \"copy\"\n\
             feed = \"geneva\"\nurl = \"https://localhost:{port}/v1/feeds/copy/zoom\"\nformat = \"zoom\"\n"
        )
    };
    let mut from = Server::start_with(&push(&other));
    let mut publisher = from.publish("geneva/publish").await;
    publisher.expect_next("welcome").await;
    publisher.send(line("1", 0, "A", TEXT)).await;
    publisher.acked(1).await;
    let distrusted = async {
        loop {
            let standing = from.get("/v1/deliveries").await.text();
            if standing.contains("failing") {
                return standing;
            }
        }
    };
    let standing = soon(distrusted).await;
    assert!(standing.contains("signed by an authority that is not trusted here"), "{standing}");
    assert_eq!(authority.http(&to, "/v1/feeds/copy", &[]).await.status, 404);

    from.kill();
    from.set_config(&push(&authority));
    from.restart();
    let copied = async {
        loop {
            let copy = authority.http(&to, "/v1/feeds/copy/transcript.txt", &[]).await;
            if copy.status == 200 && copy.text().contains(TEXT.trim()) {
                return;
            }
        }
    };
    soon(copied).await;
}
