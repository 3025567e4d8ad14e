//! The library as a program outside of it uses it: a server within the program, its settings, and errors.

use std::error::Error;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use captionwire::client::{
    CaptionFormat, CaptionUrl, ClientToken, ConnectionEnd, FollowerOptions, Pace, PostUrl, PublishError, Publisher,
    PublisherOptions, ReplayOptions, ServerUrl,
};
use captionwire::config::{
    AuthConfig, Config, ConfigError, DeliverFrom, FeedPattern, Grant, Network, Overrides, PushConfig, PushFormat, Role,
    Storage, TlsConfig, TokenConfig, WebhookConfig,
};
use captionwire::dialect::{DecodeFault, DecodeFaultKind, Decoded};
use captionwire::format::Document;
use captionwire::position::FeedId;
use captionwire::server::{Server, ServerError};

/// Settings of a server for tests.
fn ephemeral() -> Config {
    Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), storage: Storage::Ephemeral, ..Config::default() }
}

/// Settings that were not read from a file are checked all the same: above all, nobody else's machine gets in by accident.
#[tokio::test]
async fn a_server_in_a_program_checks_its_settings() {
    let open = Config { listen: SocketAddr::from(([0, 0, 0, 0], 0)), ..ephemeral() };
    let mut no_segments = ephemeral();
    no_segments.hls.segment_ms = 0;
    let mut no_room = ephemeral();
    no_room.limits.unacked = 0;
    for (config, setting) in [(open, "listen"), (no_segments, "hls.segment_ms"), (no_room, "limits.unacked")] {
        let checked = Server::check(&config);
        for refused in [checked, Server::bind(config).await.map(drop)] {
            let Err(ServerError::Config(ConfigError::BadValue { key, .. })) = refused else { panic!("{refused:?}") };
            assert_eq!(key, setting);
        }
    }
    assert!(Server::check(&ephemeral()).is_ok());
}

/// A client would try for ever what no server ever takes.
#[tokio::test]
async fn a_publisher_with_a_bad_session_ends() {
    let server = Server::bind(ephemeral()).await.expect("it starts");
    let url = ServerUrl::parse(&format!("http://{}", server.local_addr())).expect("a URL");
    let feed = FeedId::new("geneva").expect("a name");
    let options = PublisherOptions { session: Some("evening run".into()), ..PublisherOptions::default() };
    let publish = async {
        let publisher = Publisher::start(url.publish(&feed), options);
        let end = tokio::time::timeout(Duration::from_secs(30), publisher.settled(1)).await.expect("it ends");
        let Err(PublishError::Ended(ConnectionEnd::Closed { code: 4503, reason })) = end else { panic!("{end:?}") };
        assert!(reason.contains("session"), "{reason}");
    };
    tokio::select! {
        () = server.run(std::future::pending()) => unreachable!("nobody stops it"),
        () = publish => {}
    }
}

/// A program sets what it needs, and gets what is added later with its default.
#[test]
fn settings_are_written_with_what_is_needed() {
    let all: FeedPattern = "*".parse().expect("a pattern");
    let one: FeedPattern = "geneva".parse().expect("a pattern");
    let grant = Grant { roles: vec![Role::Subscribe], feeds: vec![all.clone()] };
    let token =
        TokenConfig { name: "desk".into(), sha256: "ab".repeat(32), feeds: vec![all], ..TokenConfig::default() };
    let config = Config {
        auth: Some(AuthConfig { tokens: vec![token], anonymous: Some(grant), ..AuthConfig::default() }),
        tls: Some(TlsConfig::new("server.pem", "server.key")),
        webhooks: vec![WebhookConfig {
            secrets: vec!["whsec_secret".into()],
            ..WebhookConfig::new("cms", "https://cms.example.org/secret")
        }],
        push: vec![PushConfig {
            from: DeliverFrom::Start,
            ..PushConfig::new("zoom", one, "https://zoom.example.org/secret", PushFormat::Zoom)
        }],
        ..Config::default()
    };
    config.check().expect("it can be used");
    assert!(!format!("{config:?}").contains("secret\""), "{config:?}");
    assert_eq!((config.webhooks[0].feeds.len(), config.push[0].heartbeat_ms), (1, 10_000));
    assert!(
        Config { auth: Some(AuthConfig { tokens: vec![TokenConfig::default()], ..AuthConfig::default() }), ..config }
            .check()
            .is_err()
    );

    let url = PostUrl::parse("https://zoom.example.org/cc").expect("a URL");
    assert_eq!(CaptionUrl { offset_ms: 5, ..CaptionUrl::new(&url, CaptionFormat::Zoom) }.lang, None);
    assert_eq!(ReplayOptions { pace: Pace::Max, ..ReplayOptions::default() }.pace_by, None);
    let document = Document::new(FeedId::new("geneva").expect("a name"));
    assert!(document.turns.is_empty());
    let mut decoded = Decoded::default();
    decoded.faults.push(DecodeFault::new(DecodeFaultKind::BadTime, "start is no number"));
    assert_eq!(decoded.faults[0].to_string(), "start is no number");
}

/// `?` takes them in any program.
#[test]
fn what_cannot_be_read_is_an_error() {
    fn error<T: FromStr<Err: Error + Send + Sync + 'static>>(text: &str) -> String {
        let error: Box<dyn Error + Send + Sync> = text.parse::<T>().err().expect("refused").into();
        error.to_string()
    }
    assert!(error::<Pace>("fast").contains("0.01 to 100000"));
    assert!(error::<CaptionFormat>("teams").contains("zoom"));
    assert!(error::<FeedPattern>("*a*").contains("one `*`"));
    assert!(error::<Network>("*").contains("10.0.0.0/8"));
}

/// Programs log their settings.
#[test]
fn settings_show_no_secret() {
    let token = ClientToken::new("secret").expect("a token");
    let server = ServerUrl::parse("https://a.example").expect("a URL").with_token(Some(token));
    let socket = server.subscribe_many();
    let follower = FollowerOptions {
        authorization: Some(captionwire::http::HeaderValue::from_static("Token secret")),
        first: Some("{\"api_key\":\"secret\"}".into()),
        ..FollowerOptions::default()
    };
    let overrides = Overrides { log: Some("nats://u:secret@a".into()), ..Overrides::default() };
    let shown = format!("{server:?} {socket:?} {follower:?} {overrides:?}");
    assert!(!shown.contains("secret"), "{shown}");
}
