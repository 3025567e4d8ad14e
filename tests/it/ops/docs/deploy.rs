//! Every file under `deploy/`, used as it is with the program that it is for.
//!
//! Proxies run in front of the real server, with nothing changed but addresses. `CAPTIONWIRE_TEST_HAPROXY`, `…_NGINX`,
//! `…_CADDY`, `…_SYSTEMD` (`systemd-analyze`) and `…_NATS` name the programs. No container engine is asked for: of the files for
//! Docker it is checked that what they name is there and fits.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::page;
use super::support::ports::ReservedPort;
use super::support::{PATIENCE, Server, Socket, program, soon};

/// A server that believes a proxy on this machine, known by a name that is not this machine's.
fn server() -> Server {
    let anybody = "[auth.anonymous]\nroles = [\"publish\", \"create\", \"subscribe\"]\nfeeds = [\"*\"]\n";
    let public = "[auth]\npublic_url = \"http://captions.example.org\"\n";
    Server::start_with(&format!("trusted_proxies = [\"127.0.0.1\"]\n{public}{anybody}"))
}

/// A proxy that is ended with its test.
struct Proxy {
    child: Child,
    port: ReservedPort,
    _dir: TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    /// Starts `program` in a directory of its own, with the configuration that `write` makes for a port.
    async fn start(program: &OsStr, args: impl Fn(&Path) -> Vec<String>, write: impl Fn(&Path, u16) -> String) -> Self {
        let starting = async {
            let (dir, port) = (tempfile::tempdir().expect("a directory"), ReservedPort::take());
            let file = dir.path().join("proxy.conf");
            std::fs::write(&file, write(dir.path(), port.number())).expect("written");
            let mut command = Command::new(program);
            command.args(args(&file)).current_dir(dir.path()).env("HOME", dir.path()).stdin(Stdio::null());
            let mut child = command.spawn().expect("it runs");
            while child.try_wait().expect("it is ours").is_none() {
                if TcpStream::connect(port.addr()).await.is_ok() {
                    return Self { child, port, _dir: dir };
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            panic!("{program:?} does not start: its output says why");
        };
        tokio::time::timeout(PATIENCE, starting).await.expect("it listens in time")
    }

    async fn socket(&self, path: &str) -> Socket {
        let url = format!("ws://captions.example.org/v1/feeds/{path}");
        let stream = soon(TcpStream::connect(self.port.addr())).await.expect("connected");
        let request = url.into_client_request().expect("a URL");
        let stream = tokio_tungstenite::MaybeTlsStream::Plain(stream);
        let (stream, _) = soon(tokio_tungstenite::client_async(request, stream)).await.expect("upgraded");
        Socket { stream }
    }

    /// Publishes through the proxy and reads through it.
    async fn carries_captions(&self, server: &Server, feed: &str) {
        // A proxy may need a moment to find its server healthy.
        let ready = async {
            let host = ("Host", "captions.example.org");
            loop {
                let stream = TcpStream::connect(self.port.addr()).await.expect("connected");
                if server.http_over(stream, "GET", "/readyz", &[host], b"").await.status == 200 {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        soon(ready).await;
        let mut publisher = self.socket(&format!("{feed}/publish")).await;
        publisher.expect_next("welcome").await;
        publisher.send(json!({"type": "line", "id": "1", "start_ms": 0, "text": "through a proxy"})).await;
        publisher.acked(1).await;
        let mut reader = self.socket(&format!("{feed}/subscribe")).await;
        assert_eq!(reader.expect("changes").await["lines"][0]["text"], "through a proxy");
    }
}

#[tokio::test]
async fn haproxy_finds_its_servers_healthy() {
    let Some(haproxy) = program("CAPTIONWIRE_TEST_HAPROXY", "deploy/cluster/haproxy.cfg") else { return };
    let server = server();
    let write = |_: &Path, port: u16| {
        let config = page("deploy/cluster/haproxy.cfg");
        for name in [
            "maxconn 20000",
            "bind :8080",
            "captionwire1:7700",
            "captionwire2:7700",
            " resolvers docker init-addr libc,none",
        ] {
            assert!(config.contains(name), "{name} is not in haproxy.cfg any more");
        }
        config
            // Each connection takes two descriptors, and a test may have few.
            .replace("maxconn 20000", "maxconn 100")
            .replace("bind :8080", &format!("bind 127.0.0.1:{port}"))
            .replace("captionwire1:7700", server.addr())
            .replace("captionwire2:7700", server.addr())
            // There is no Docker here to resolve names.
            .replace(" resolvers docker init-addr libc,none", "")
    };
    let args = |file: &Path| vec!["-db".to_owned(), "-f".to_owned(), file.display().to_string()];
    Proxy::start(&haproxy, args, write).await.carries_captions(&server, "geneva").await;
}

#[tokio::test]
async fn nginx_carries_captions() {
    let Some(nginx) = program("CAPTIONWIRE_TEST_NGINX", "deploy/proxy/nginx.conf") else { return };
    let server = server();
    let write = |dir: &Path, port: u16| {
        let block = page("deploy/proxy/nginx.conf");
        assert!(block.contains("http://127.0.0.1:7700"), "{block}");
        // TLS is nginx's own affair, and needs a certificate.
        let block: String =
            block.lines().filter(|line| !line.trim().starts_with("ssl_")).map(|line| format!("{line}\n")).collect();
        let block = block
            .replace("listen 443 ssl;", &format!("listen 127.0.0.1:{port};"))
            .replace("http://127.0.0.1:7700", &format!("http://{}", server.addr()));
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {}/{kind};\n", dir.display()))
            .concat();
        format!(
            "daemon off;\nmaster_process off;\npid {}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n{temporary}{block}}}\n",
            dir.display()
        )
    };
    let args = |file: &Path| vec!["-e".to_owned(), "stderr".to_owned(), "-c".to_owned(), file.display().to_string()];
    Proxy::start(&nginx, args, write).await.carries_captions(&server, "geneva").await;
}

#[tokio::test]
async fn caddy_carries_captions() {
    let Some(caddy) = program("CAPTIONWIRE_TEST_CADDY", "deploy/proxy/Caddyfile") else { return };
    let server = server();
    let write = |_: &Path, port: u16| {
        let site = page("deploy/proxy/Caddyfile");
        assert!(site.contains("captions.example.org {") && site.contains("127.0.0.1:7700"), "{site}");
        let site = site
            .replace("captions.example.org {", &format!("http://captions.example.org:{port} {{\n    bind 127.0.0.1"))
            .replace("127.0.0.1:7700", server.addr());
        format!("{{\n    admin off\n    auto_https off\n}}\n{site}")
    };
    let args = |file: &Path| {
        ["run", "--adapter", "caddyfile", "--config"]
            .map(str::to_owned)
            .into_iter()
            .chain([file.display().to_string()])
            .collect()
    };
    let proxy = Proxy::start(&caddy, args, write).await;
    proxy.carries_captions(&server, "geneva").await;
}

#[test]
fn the_docs_show_the_files_of_proxies() {
    let docs = page("docs/operating.md");
    for name in ["deploy/proxy/nginx.conf", "deploy/proxy/Caddyfile"] {
        let file = page(name);
        let (_, shown) = file.split_once('\n').expect("a comment, and the rest");
        assert!(docs.contains(shown), "docs/operating.md shows another {name}");
    }
}

#[track_caller]
fn runs(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {told}");
    told
}

#[test]
fn systemd_takes_the_units() {
    let Some(systemd) = program("CAPTIONWIRE_TEST_SYSTEMD", "the units of deploy/systemd") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    for (unit, installed) in [("captionwire", "/usr/bin/captionwire"), ("nats-server", "/usr/sbin/nats-server")] {
        let text = page(&format!("deploy/systemd/{unit}.service"));
        assert!(text.contains(installed), "{text}");
        let file = dir.path().join(format!("{unit}.service"));
        std::fs::write(&file, text.replace(installed, env!("CARGO_BIN_EXE_captionwire"))).expect("written");
        let told = runs(Command::new(&systemd).arg("verify").arg(&file));
        // What it does not know is passed over, and told.
        assert!(!told.contains(&format!("{unit}.service")), "{told}");
    }
}

#[test]
fn nats_takes_its_configuration() {
    let Some(nats) = program("CAPTIONWIRE_TEST_NATS", "deploy/cluster/nats.conf") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = page("deploy/cluster/nats.conf");
    assert!(config.contains("store_dir: /var/lib/nats") && config.contains("sync_interval: always"), "{config}");
    config = config.replace("/var/lib/nats", dir.path().to_str().expect("UTF-8"));
    let version = runs(Command::new(&nats).arg("--version"));
    if ["v2.8.", "v2.9."].iter().any(|old| version.contains(old)) {
        // As the file says: servers before 2.10 do not know it.
        config = config.replace("sync_interval: always", "");
    }
    let file = dir.path().join("nats.conf");
    std::fs::write(&file, config).expect("written");
    let routes = "[\"nats://nats2:6222\", \"nats://nats3:6222\"]";
    runs(Command::new(nats).arg("-t").arg("-c").arg(file).env("NATS_NAME", "nats1").env("NATS_ROUTES", routes));
}

#[test]
fn the_files_for_docker_fit_together() {
    let compose: Value = serde_saphyr::from_str(&page("deploy/cluster/compose.yaml")).expect("YAML");
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/cluster");
    for (name, config) in compose["configs"].as_object().expect("configs") {
        let file = config["file"].as_str().expect("a file");
        assert!(here.join(file).is_file(), "{name}: there is no {file}");
    }
    for (name, service) in compose["services"].as_object().expect("services") {
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let volume = volume.as_str().and_then(|volume| volume.split(':').next()).expect("a volume");
            assert!(compose["volumes"].as_object().expect("volumes").contains_key(volume), "{name}: {volume}");
        }
    }
    let build = &compose["x-node"]["build"];
    let context = here.join(build["context"].as_str().expect("a context"));
    assert!(
        context.join(build["dockerfile"].as_str().expect("a file")).is_file() && context.join("Cargo.lock").is_file()
    );
    // The node takes the configuration that it is given, and believes the balancer.
    let config = page("deploy/cluster/captionwire.toml");
    let balancer = &compose["services"]["balancer"]["networks"]["inside"]["ipv4_address"];
    assert!(config.contains(&format!("trusted_proxies = [{balancer}]")), "{config}");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("captionwire.toml");
    std::fs::write(&file, config).expect("written");
    let command = compose["x-node"]["command"].as_array().expect("a command");
    assert_eq!(command[..2], [json!("serve"), json!("--config")]);
    runs(Command::new(env!("CARGO_BIN_EXE_captionwire")).args(["config", "check", "--config"]).arg(file));
}
