//! `GET /metrics` through the real binary.

use crate::support;

use serde_json::json;
use support::{Screen, Server, line, soon};

/// The value of the sample that is written so.
fn sample(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{text}"))
}

#[tokio::test]
async fn what_happens_is_counted_and_nobody_is_named() {
    let server = Server::start_with("[limits]\nmetrics_sources_max = 1");
    let mut publisher = server.publish("secret-feed/publish?source=steno&session=s").await;
    publisher.expect_next("welcome").await;
    for seq in [1, 2, 2] {
        let mut line = line(&seq.to_string(), seq * 1000, "Secret Speaker", "a secret");
        line["seq"] = json!(seq);
        publisher.send(line).await;
    }
    let (one, two) = (line("3", 3000, "Secret Speaker", "more"), line("4", 4000, "Secret Speaker", "and more"));
    publisher.send(json!({"type": "lines", "seq": 3, "lines": [one, two]})).await;
    publisher.send(json!({"type": "dream", "seq": 4})).await;
    publisher.expect("nack").await;
    let mut reader = server.subscribe("secret-feed/subscribe").await;
    let mut screen = Screen::default();
    screen.read_to_live(&mut reader).await;
    let mut other = server.publish("secret-feed/publish?source=secret-source").await;
    other.expect_next("welcome").await;
    other.send(line("1", 5000, "Secret Speaker", "not on air")).await;
    other.acked(1).await;
    let mut line = line("5", 6000, "Secret Speaker", "to a live reader");
    line["seq"] = json!(5);
    publisher.send(line).await;
    screen.read_until(&mut reader, |screen| screen.lines.len() == 5).await;

    // A message is counted when it has been sent, and the reader may have it before that; and before its publisher is told.
    let counted = async {
        loop {
            let answer = server.get("/metrics").await;
            assert_eq!(answer.status, 200);
            let count = |name: &str| sample(&answer.text(), &format!("captionwire_{name}_seconds_count"));
            if count("delivery") >= 1 && count("ack") >= 5 {
                return answer;
            }
        }
    };
    let answer = soon(counted).await;
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/openmetrics-text")));
    let text = answer.text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert!(!text.to_lowercase().contains("secret"), "{text}");
    for (name, value) in [
        ("captionwire_lines_total{source=\"steno\",outcome=\"accepted\"}", 5),
        ("captionwire_lines_total{source=\"steno\",outcome=\"repeat\"}", 1),
        ("captionwire_lines_total{source=\"steno\",outcome=\"refused\"}", 1),
        ("captionwire_lines_total{source=\"other\",outcome=\"accepted\"}", 1),
        ("captionwire_delivery_seconds_count", 1),
        ("captionwire_refused_total{code=\"unknown_type\"}", 1),
        ("captionwire_ack_seconds_count", 5),
        ("captionwire_publishers", 2),
        ("captionwire_readers{lag=\"none\"}", 1),
        ("captionwire_readers{lag=\"over_10s\"}", 0),
        ("captionwire_feeds_open", 1),
        ("captionwire_replays", 0),
        ("captionwire_writable", 1),
    ] {
        assert_eq!(sample(&text, name), value, "{name} in\n{text}");
    }
    for name in [
        "captionwire_sent_messages_total",
        "captionwire_sent_bytes_total",
        "captionwire_commit_seconds_count",
        "captionwire_commit_records_count",
        "captionwire_connections",
    ] {
        assert!(sample(&text, name) > 0, "{name} in\n{text}");
    }
    let page = include_str!("../../../docs/operating.md");
    for (name, kind) in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')) {
        let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        assert!(page.contains(&format!("| `{name}` |")), "{name} is not in docs/operating.md");
    }
    if cfg!(target_os = "linux") {
        assert!(sample(&text, "captionwire_memory_bytes") > 1_000_000, "{text}");
        assert!(sample(&text, "captionwire_descriptors") > 3, "{text}");
    }
}
