//! Proxies on the way out, as the environment names them: for webhooks, pushes and commands of the real binary.

use std::process::{Output, Stdio};

use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::deliveries::{FAST, Receiver, SECRET, assert_signed, publish, publisher, until_standing};
use crate::protocol::tls::Authority;
use crate::support::forward_proxy::ForwardProxy;
use crate::support::ports::ReservedPort;
use crate::support::{Server, soon};

/// A user and a password as a variable gives them, and as RFC 7617 sends them.
const USER: &str = "user:s%40cret";
const SENT_USER: &str = "Basic dXNlcjpzQGNyZXQ=";
const TOKEN: &str = "a-token-for-one-host-only";

fn port(addr: &str) -> &str {
    addr.rsplit(':').next().expect("a port")
}

fn hook(name: &str, host: &str) -> String {
    format!("[[webhooks]]\nname = \"{name}\"\nurl = \"http://{host}/hook?key=1\"\nsecrets = [\"{SECRET}\"]\n")
}

/// A server's settings that let whoever has the token do everything, under a name that only a proxy knows.
fn named_captions(scheme: &str) -> String {
    let hash: String = Sha256::digest(TOKEN).iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "[auth]\npublic_url = \"{scheme}://captions.test\"\n[[auth.tokens]]\nname = \"all\"\nsha256 = \"{hash}\"\n\
         roles = [\"publish\", \"create\", \"subscribe\", \"admin\"]\nfeeds = [\"*\"]\n"
    )
}

async fn run(arguments: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_captionwire"));
    command.args(arguments).envs(env.iter().copied()).env("CAPTIONWIRE_TOKEN", TOKEN);
    soon(command.stdin(Stdio::null()).kill_on_drop(true).output()).await.expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[tokio::test]
async fn webhooks_go_through_the_proxy_except_to_exempt_hosts() {
    let (mut far, mut near, mut here) = (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    let proxy = ForwardProxy::start_for(&[("hooks.test", &far.addr)], Some(SENT_USER)).await;
    // No loopback address, and yet one that leads to this machine.
    let here_host = format!("0.0.0.0:{}", port(&here.addr));
    let hooks = [("far", "hooks.test"), ("near", &*near.addr), ("here", &*here_host), ("exempt", "exempt.test:8080")];
    let config = FAST.to_owned() + &hooks.map(|(name, host)| hook(name, host)).concat();
    let variable = format!("http://{USER}@{}", proxy.addr());
    let server =
        Server::start_with_env(&config, &[("HTTP_PROXY", &variable), ("NO_PROXY", "hooks.test:8080, *.Test:8080")]);
    publish(&mut publisher(&server, "geneva").await, 0..3).await;
    for receiver in [&mut far, &mut near, &mut here] {
        let post = receiver.turn().await;
        assert_signed(&post, &[SECRET]);
        assert!(post.head.starts_with("POST /hook?key=1 HTTP/1.1\r\n"), "{}", post.head);
        assert!(!post.head.to_ascii_lowercase().contains("proxy-authorization"), "{}", post.head);
    }
    // Only a proxy could know this name.
    let exempt = until_standing(&server, "exempt", |it| it["state"] == "failing").await;
    assert!(!exempt["last_failure"].as_str().expect("a cause").contains("proxy"), "{exempt}");
    let requests = proxy.requests();
    assert!(requests.iter().all(|request| request == "POST http://hooks.test/hook?key=1"), "{requests:?}");
    assert!(!requests.is_empty());
}

/// A proxy that forwards requests may answer them itself, and 410 ends a webhook for good.
#[tokio::test]
async fn only_the_receiver_itself_is_believed_to_be_gone() {
    let mut receiver = Receiver::start().await;
    let proxy = ForwardProxy::start(&[("hooks.test", &receiver.addr)]).await;
    let variable = format!("http://{}", proxy.addr());
    let config = FAST.to_owned() + &hook("far", "hooks.test");
    let server = Server::start_with_env(&config, &[("HTTP_PROXY", &variable)]);
    receiver.will_answer(&["410 Gone", "403 Forbidden", "410 Gone\r\nContent-Type: text/html"]);
    publish(&mut publisher(&server, "geneva").await, 0..2).await;
    for _ in 0..3 {
        receiver.next().await;
    }
    let standing = until_standing(&server, "far", |it| it["state"] == "ok" && it["waiting"] == 0).await;
    let said = standing["last_failure"].as_str().expect("a cause");
    assert!(said.contains("410 Gone") && said.contains("through the proxy"), "{said}");
    receiver.will_answer(&["410 Gone\r\nContent-Type: application/problem+json; charset=utf-8"]);
    publish(&mut publisher(&server, "bern").await, 0..2).await;
    until_standing(&server, "far", |it| it["state"] == "gone").await;
}

/// A caption that the URL does not take holds up no other one, also if none was accepted before.
#[tokio::test]
async fn a_caption_that_is_refused_through_a_proxy_is_passed_over() {
    let mut receiver = Receiver::start().await;
    let proxy = ForwardProxy::start(&[("zoom.test", &receiver.addr)]).await;
    let config = format!(
        "{FAST}[[push]]\nname = \"zoom\"\nfeed = \"geneva\"\nurl = \"http://zoom.test/?id=7\"\nformat = \"zoom\"\n\
         give_up_after_ms = 1\n"
    );
    let server = Server::start_with_env(&config, &[("HTTP_PROXY", &format!("http://{}", proxy.addr()))]);
    receiver.will_answer(&["400 Bad Request"; 9_000]);
    publish(&mut publisher(&server, "geneva").await, 0..2).await;
    let until_the_second = async { while receiver.next().await.body != "text 1" {} };
    soon(until_the_second).await;
    assert!(proxy.requests().iter().any(|request| request.starts_with("POST http://zoom.test/?id=7&seq=1")));
}

#[tokio::test]
async fn a_push_goes_through_a_tunnel() {
    let authority = Authority::new();
    authority.certify(&["captions.test", "localhost"]);
    let far = Server::start_with(&authority.config(&named_captions("https")));
    let proxy = ForwardProxy::start(&[("captions.test", far.addr())]).await;
    let config = format!(
        "[deliveries]\nretry_first_ms = 5\nretry_max_ms = 40\nca_file = {:?}\n[[push]]\nname = \"copy\"\nfeed = \"geneva\"\n\
         url = \"https://captions.test/v1/feeds/copy/zoom?token={TOKEN}\"\nformat = \"zoom\"\n",
        authority.ca_file()
    );
    let server = Server::start_with_env(&config, &[("HTTPS_PROXY", &format!("http://{}", proxy.addr()))]);
    publish(&mut publisher(&server, "geneva").await, 0..3).await;
    let pushed = async {
        loop {
            let bearer = format!("Bearer {TOKEN}");
            let headers = [("Authorization", &*bearer), ("Host", "localhost")];
            let answer = authority.http(&far, "/v1/feeds/copy/transcript.txt", &headers).await;
            if answer.status == 200 && answer.text().contains("text 2") {
                return answer.text();
            }
        }
    };
    let pushed = soon(pushed).await;
    assert!((0..3).all(|number| pushed.contains(&format!("text {number}"))), "{pushed}");
    let heads = proxy.heads().concat();
    assert!(proxy.requests().iter().all(|request| request == "CONNECT captions.test:443"), "{heads}");
    assert!(!heads.contains(TOKEN) && !heads.contains("/v1/"), "{heads}");
}

#[tokio::test]
async fn commands_and_sockets_go_through_the_proxy() {
    let authority = Authority::new();
    authority.certify(&["captions.test"]);
    let ca_file = authority.ca_file();
    let ca_file = ca_file.to_str().expect("a path");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("typed.txt");
    std::fs::write(&file, "Clerk: The hearing is open.\n").expect("written");
    let file = file.to_str().expect("a path");
    for (scheme, variable, config, tunnel) in [
        ("http", "HTTP_PROXY", named_captions("http"), "CONNECT captions.test:80"),
        ("https", "ALL_PROXY", authority.config(&named_captions("https")), "CONNECT captions.test:443"),
    ] {
        let server = Server::start_with(&config);
        let proxy = ForwardProxy::start_for(&[("captions.test", server.addr())], Some(SENT_USER)).await;
        let (url, named) = (format!("{scheme}://captions.test"), format!("http://{USER}@{}", proxy.addr()));
        let env = [("CAPTIONWIRE_URL", &*url), (variable, &*named), ("CAPTIONWIRE_CA_FILE", ca_file)];
        let socket = format!("{}/v1/feeds/geneva/subscribe?token={TOKEN}", url.replace("http", "ws"));
        for (arguments, said) in [
            (&["publish", "geneva", file, "--end"][..], ""),
            (&["watch", "geneva"], "The hearing is open."),
            (&["watch", "geneva", "geneva"], "The hearing is open."),
            (&["export", "geneva", "--format", "txt"], "The hearing is open."),
        ] {
            let before = proxy.heads().len();
            let output = run(arguments, &env).await;
            let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
            assert!(output.status.success() && stdout.contains(said), "{arguments:?}: {stdout}{stderr}");
            let requests = proxy.requests();
            let of_this = &requests[before..];
            let is_known = |request: &String| request == tunnel || request.starts_with("GET http://captions.test/v1/");
            assert!(!of_this.is_empty() && of_this.iter().all(is_known), "{arguments:?}: {of_this:?}");
            let is_tunnel = of_this.iter().any(|request| request == tunnel);
            assert_eq!(is_tunnel, scheme == "https" || arguments[0] != "export", "{arguments:?}: {of_this:?}");
        }
        // A vendor's socket; over TLS it is believed by the authorities of the machine only.
        if scheme == "http" {
            let mut command = Command::new(env!("CARGO_BIN_EXE_captionwire"));
            command.args(["capture", &socket, "-"]).envs(env).stdout(Stdio::piped()).kill_on_drop(true);
            let mut capturing = command.spawn().expect("it runs");
            let mut rows = BufReader::new(capturing.stdout.take().expect("piped")).lines();
            while !soon(rows.next_line()).await.expect("read").expect("more").contains("The hearing is open.") {}
            assert_eq!(proxy.requests().last().map(String::as_str), Some(tunnel));
        }
        // The proxy sees the token only in requests that it forwards.
        for head in proxy.heads() {
            assert!(scheme == "http" && head.starts_with("GET ") || !head.contains(TOKEN), "{head}");
        }
    }
}

#[tokio::test]
async fn a_proxy_that_lets_nobody_through_is_named_and_its_password_is_not() {
    let proxy = ForwardProxy::start_for(&[], Some("Basic of another")).await;
    let nobody = ReservedPort::take();
    let wrong_user = format!("http://{USER}@{}", proxy.addr());
    let (no_user, dead) = (format!("http://{}", proxy.addr()), format!("http://{USER}@{}", nobody.addr()));
    for (proxy_url, causes) in [
        (&*wrong_user, &["does not accept the user and the password"][..]),
        (&no_user, &["wants a user and a password (407)"]),
        (&dead, &["cannot be reached: Connection refused"]),
        ("socks5://user:s%40cret@proxy.test", &["SOCKS is not supported"]),
        ("http://user:s@cret@proxy.test", &["%40"]),
    ] {
        for (scheme, variable) in [("http", "HTTP_PROXY"), ("https", "HTTPS_PROXY")] {
            let url = format!("{scheme}://captions.test");
            // A socket comes again to a proxy that is away for a while.
            let watch = (proxy_url != dead).then_some(&["watch", "geneva"][..]);
            for arguments in [Some(&["feeds"][..]), watch].into_iter().flatten() {
                let output = run(arguments, &[("CAPTIONWIRE_URL", &url), (variable, proxy_url)]).await;
                let said = text(&output.stderr);
                assert!(!output.status.success(), "{arguments:?}");
                assert!(causes.iter().all(|cause| said.contains(cause)), "{url} {proxy_url} {arguments:?}: {said}");
                assert!(said.contains(variable), "{url} {arguments:?}: {said}");
                assert!(!said.contains("cret") && !said.contains("dXNl") && !said.contains(TOKEN), "{said}");
            }
        }
    }
    // A webhook is tried again; it is said why.
    let config = FAST.to_owned() + &hook("far", "hooks.test");
    let server = Server::start_with_env(&config, &[("HTTP_PROXY", &wrong_user)]);
    publish(&mut publisher(&server, "geneva").await, 0..3).await;
    let standing = until_standing(&server, "far", |it| it["state"] == "failing").await;
    let said = standing["last_failure"].as_str().expect("a cause");
    assert!(said.contains("HTTP_PROXY") && said.contains("password") && !said.contains("cret"), "{said}");
    // What makes no sense is said before the server starts.
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), &config).expect("written");
    let check = ["config", "check", "--config", file.path().to_str().expect("a path")];
    let output = run(&check, &[("HTTP_PROXY", "socks5://user:s%40cret@proxy.test")]).await;
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("HTTP_PROXY") && said.contains("deliveries to far"), "{said}");
    assert!(!said.contains("cret"), "{said}");
}
