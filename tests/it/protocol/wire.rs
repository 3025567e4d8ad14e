//! `docs/asyncapi.yaml` and the code, held to each other: every example decodes with the types of the wire and encodes
//! to itself, every message type of the code is in the document, every field that the code writes is in its schema, and
//! the codes of refusals and closes are the code's own.

use std::collections::BTreeSet;
use std::sync::Arc;

use captionwire::position::{Cursor, Epoch, FeedId};
use captionwire::transcript::{
    Break, Content, FeedState, Line, Mark, MarkKind, Speaker, Status, TimeSource, Timestamp, Turn, TurnState, Version,
    WholeTurn, Word,
};
use captionwire::wire::subscriber::TurnMessage;
use captionwire::wire::subscriber::{ChangesMessage, Pace, StartPoint, SubscribeUntil};
use captionwire::wire::{
    CloseCode, ErrorCode, FromPublisher, FromSubscriber, Incoming, Limits, NackCode, Outgoing, Seek, Subscribe,
    ToPublisher, ToSubscriber, Unit, WarningCode,
};
use serde_json::{Value, json};

const LIMITS: Limits = Limits { message_bytes: 65_536, text_bytes: 16_384, unacked: 1_024 };
const MEDIA_MS_MAX: i64 = 604_800_000;

/// Names of all variants of `T`, as serde lists them where it meets `unknown`.
fn variants<T: serde::de::DeserializeOwned + std::fmt::Debug>(unknown: &Value) -> Vec<String> {
    let error = T::deserialize(unknown).expect_err("no variant is called so").to_string();
    error.split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_message_has_a_name_here() {
    let unknown = json!({"type": "?"});
    assert_eq!(variants::<ToPublisher>(&unknown), TO_PUBLISHER);
    assert_eq!(variants::<ToSubscriber>(&unknown), TO_SUBSCRIBER);
}

/// Names every variant of a message type once. A new variant has to have its name here, and fails until the document has it.
macro_rules! names {
    ($name:ident, $all:ident, $message:ty, $($pattern:pat => $kind:literal),+ $(,)?) => {
        fn $name(message: &$message) -> &'static str {
            match message {
                $($pattern => $kind,)+
                #[allow(unreachable_patterns, reason = "of the types that may grow")]
                other => panic!("{other:?} has no name here"),
            }
        }
        const $all: &[&str] = &[$($kind),+];
    };
}

names! { from_publisher, FROM_PUBLISHER, Incoming,
    Incoming::Line(_) => "line",
    Incoming::Lines(_) => "lines",
    Incoming::Retract { .. } => "retract",
    Incoming::Clock { .. } => "clock",
    Incoming::End => "end",
}

names! { to_publisher, TO_PUBLISHER, ToPublisher,
    ToPublisher::Welcome { .. } => "welcome",
    ToPublisher::Ack { .. } => "ack",
    ToPublisher::Nack { .. } => "nack",
    ToPublisher::Warning { .. } => "warning",
    ToPublisher::Status { .. } => "status",
}

names! { to_subscriber, TO_SUBSCRIBER, ToSubscriber,
    ToSubscriber::Hello { .. } => "hello",
    ToSubscriber::Changes(_) => "changes",
    ToSubscriber::Turn(_) => "turn",
    ToSubscriber::TurnGone { .. } => "turn_gone",
    ToSubscriber::Live { .. } => "live",
    ToSubscriber::Heartbeat { .. } => "heartbeat",
    ToSubscriber::Reset { .. } => "reset",
    ToSubscriber::Error { .. } => "error",
    ToSubscriber::Unsubscribed { .. } => "unsubscribed",
    ToSubscriber::Replay { .. } => "replay",
}

names! { from_subscriber, FROM_SUBSCRIBER, FromSubscriber,
    FromSubscriber::Step => "step",
    FromSubscriber::Pause => "pause",
    FromSubscriber::Resume => "resume",
    FromSubscriber::Pace { .. } => "pace",
    FromSubscriber::Seek(_) => "seek",
    FromSubscriber::Subscribe(_) => "subscribe",
    FromSubscriber::Unsubscribe { .. } => "unsubscribe",
}

/// The document.
struct Document(Value);

impl Document {
    fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/asyncapi.yaml");
        let text = std::fs::read_to_string(path).expect("docs/asyncapi.yaml");
        Self(serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("docs/asyncapi.yaml: {error}")))
    }

    /// Follows `$ref` to its end.
    fn follow<'a>(&'a self, mut value: &'a Value) -> &'a Value {
        while let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').expect("a reference into this document");
            value = self.0.pointer(pointer).unwrap_or_else(|| panic!("nothing is at {reference}"));
        }
        value
    }

    /// The messages of one operation.
    fn messages(&self, operation: &str) -> Vec<&Value> {
        let messages = self.0["operations"][operation]["messages"].as_array().expect("an operation has messages");
        messages.iter().map(|message| self.follow(message)).collect()
    }

    fn names(&self, operation: &str) -> BTreeSet<String> {
        self.messages(operation).iter().map(|message| string(&message["name"]).to_owned()).collect()
    }

    /// What in `value` is against `schema`. A field that the schema does not have is a fault as well.
    fn faults(&self, schema: &Value, value: &Value, place: &str, faults: &mut Vec<String>) {
        let schema = self.follow(schema);
        let mut fault = |what: String| faults.push(format!("{place}: {what} ({value})"));
        if let Some(expected) = schema.get("const")
            && expected != value
        {
            fault(format!("is not {expected}"));
        }
        if let Some(allowed) = schema.get("enum")
            && !allowed.as_array().is_some_and(|allowed| allowed.contains(value))
        {
            fault("is none of its enum".into());
        }
        if let Some(kinds) = schema.get("type") {
            let kinds: Vec<&str> = match kinds {
                Value::Array(kinds) => kinds.iter().map(string).collect(),
                kind => vec![string(kind)],
            };
            if !kinds.iter().any(|kind| is_of(value, kind)) {
                fault(format!("is not of type {kinds:?}"));
            }
        }
        if let (Some(least), Some(number)) = (schema.get("minimum").and_then(Value::as_f64), value.as_f64())
            && number < least
        {
            fault(format!("is below {least}"));
        }
        if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
            let fits = |choice: &&Value| {
                let mut faults = Vec::new();
                self.faults(choice, value, place, &mut faults);
                faults.is_empty()
            };
            if choices.iter().filter(fits).count() != 1 {
                fault("does not fit one choice of oneOf".into());
            }
        }
        if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
            for (index, value) in values.iter().enumerate() {
                self.faults(items, value, &format!("{place}[{index}]"), faults);
            }
        }
        let Some(fields) = value.as_object() else { return };
        let (properties, required) = self.properties(schema);
        for (name, property) in &properties {
            match fields.get(name) {
                Some(value) => self.faults(property, value, &format!("{place}.{name}"), faults),
                None if required.contains(name) => faults.push(format!("{place}: lacks {name}")),
                None => {}
            }
        }
        for name in fields.keys().filter(|name| !properties.iter().any(|(known, _)| known == *name)) {
            faults.push(format!("{place}: {name} is not in the schema"));
        }
    }

    /// The properties of an object's schema and the names of those required, `allOf` included.
    fn properties<'a>(&'a self, schema: &'a Value) -> (Vec<(String, &'a Value)>, BTreeSet<String>) {
        let mut properties = Vec::new();
        let mut required = BTreeSet::new();
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            let (more, more_required) = self.properties(self.follow(part));
            properties.extend(more);
            required.extend(more_required);
        }
        for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            properties.push((name.clone(), property));
        }
        required.extend(
            schema.get("required").and_then(Value::as_array).into_iter().flatten().map(|name| string(name).to_owned()),
        );
        (properties, required)
    }

    /// Checks `value` against the schema of the message `name`.
    fn check(&self, name: &str, value: &Value) {
        let mut faults = Vec::new();
        let message = &self.0["components"]["messages"][name];
        assert!(message.is_object(), "the document has no message {name}");
        self.faults(&message["payload"], value, name, &mut faults);
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a string"))
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type of JSON schema"),
    }
}

/// Equal as JSON says it: `4` and `4.0` are one number.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// A message of a publisher as the client sends it.
fn encode_from_publisher(message: FromPublisher) -> Value {
    let says = message.says.unwrap_or_else(|refusal| panic!("refused: {refusal:?}"));
    let outgoing = Outgoing::try_from(says).expect("lines that are taken");
    serde_json::from_str(&outgoing.encode(message.seq)).expect("JSON")
}

/// Decodes what the document gives as an example; gives the name of what it is and what it is encoded to.
fn through_the_code(operation: &str, example: &Value) -> (&'static str, Value) {
    let text = example.to_string();
    match operation {
        "receiveFromPublisher" => {
            let message = FromPublisher::decode(&text, &LIMITS, MEDIA_MS_MAX);
            (message.says.as_ref().map_or("refused", from_publisher), encode_from_publisher(message))
        }
        "sendToPublisher" => {
            let message: ToPublisher = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            (to_publisher(&message), serde_json::from_slice(message.encode().body()).expect("JSON"))
        }
        "sendToSubscriber" | "sendToSubscriberOfMany" => {
            let message: ToSubscriber = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            (to_subscriber(&message), serde_json::from_slice(message.encode().body()).expect("JSON"))
        }
        "receiveFromSubscriber" | "receiveFromSubscriberOfMany" => {
            let message: FromSubscriber = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            (from_subscriber(&message), serde_json::to_value(&message).expect("JSON"))
        }
        other => panic!("the test does not know the operation {other}"),
    }
}

/// Each operation, the messages that the code has for it, and those of them that belong to another kind of socket.
const OPERATIONS: [(&str, &[&str], &[&str]); 6] = [
    ("receiveFromPublisher", FROM_PUBLISHER, &[]),
    ("sendToPublisher", TO_PUBLISHER, &[]),
    ("sendToSubscriber", TO_SUBSCRIBER, &["unsubscribed"]),
    ("receiveFromSubscriber", FROM_SUBSCRIBER, &["subscribe", "unsubscribe"]),
    ("sendToSubscriberOfMany", TO_SUBSCRIBER, &["replay"]),
    ("receiveFromSubscriberOfMany", FROM_SUBSCRIBER, &["step", "pause", "resume", "pace", "seek"]),
];

#[test]
fn every_example_decodes_and_encodes_to_itself() {
    let document = Document::read();
    for (operation, ..) in OPERATIONS {
        for message in document.messages(operation) {
            let name = string(&message["name"]);
            let examples = message["examples"].as_array().map(Vec::as_slice).unwrap_or_default();
            assert!(!examples.is_empty(), "{name} has no example");
            for example in examples {
                let payload = &example["payload"];
                document.check(name, payload);
                let (kind, encoded) = through_the_code(operation, payload);
                assert_eq!(kind, name, "{payload}");
                assert!(same(&encoded, payload), "{name}:\n  the document has {payload}\n  the code says    {encoded}");
            }
        }
    }
}

#[test]
fn every_message_type_is_in_the_document() {
    let document = Document::read();
    let operations = document.0["operations"].as_object().expect("operations");
    assert_eq!(operations.len(), OPERATIONS.len());
    for (operation, known, elsewhere) in OPERATIONS {
        let known = known.iter().filter(|name| !elsewhere.contains(name));
        let known: BTreeSet<String> = known.map(|name| (*name).to_owned()).collect();
        assert_eq!(document.names(operation), known, "{operation}");
    }
}

/// Values with every field set, written as literals: a new field does not compile until it is set here, and then fails
/// until its schema has it.
#[test]
fn every_field_that_the_code_writes_is_in_the_document() {
    let text = |text: &str| -> Arc<str> { text.into() };
    let feed = FeedId::new("geneva").expect("a name");
    let cursor = Cursor { epoch: Epoch::new("k3f9q2hxw7m5.1i"), change: 57 };
    let at = Timestamp(1_700_000_000_123);
    let word = Word { text: text("Good"), start_ms: 65_000, end_ms: Some(65_200), confidence: Some(0.5) };
    let content = Content {
        status: Status::Interim,
        start_ms: Some(65_000),
        end_ms: Some(66_000),
        speaker: Some(text("Reporter")),
        text: text("Good evening"),
        lang: Some(text("en")),
        break_before: Some(Break::Turn),
        words: vec![word.clone()],
    };
    let version = Version { id: text("2"), rev: Some(3), arrival_ms: None, time_source: None, content };
    let line = Line {
        source: text("main"),
        id: text("2"),
        rev: 3,
        sort: text("0000000065000!main!0012!2"),
        start_ms: 65_000,
        end_ms: Some(66_000),
        speaker: Some(text("Reporter")),
        text: text("Good evening"),
        status: Status::Final,
        lang: Some(text("en")),
        break_before: Some(Break::Turn),
        time_source: Some(TimeSource::Arrival),
        marks: vec![Mark { kind: MarkKind::Inaudible, start: 0, end: 1, at_ms: Some(1) }],
        words: vec![word],
        received_at: at,
    };
    let turn = Turn {
        id: text("main/2"),
        sort: line.sort.clone(),
        speaker: Some(text("Reporter")),
        start_ms: 65_000,
        end_ms: Some(66_000),
        state: TurnState::Open,
        rev: 0,
    };
    let speaker =
        Speaker { id: text("S1"), name: text("Ann"), kind: Some(text("person")), into: Some(text("Reporter")) };
    let changes = ChangesMessage {
        feed: feed.clone(),
        cursor: cursor.clone(),
        lines: vec![line.clone()],
        gone: vec!["main/1".into()],
        turns: vec![turn.clone()],
        gone_turns: vec![text("main/1")],
        speakers: vec![speaker],
        state: Some(FeedState::Live),
        title: Some(text("Press conference")),
        language: Some(text("en")),
        more: true,
        behind: true,
    };
    let limits = LIMITS;
    let (source, session, epoch) = (text("main"), text("enc-7"), Epoch::new("k3f9q2hxw7m5"));
    let (holder, last_id) = (Some(text("main")), Some(text("41")));

    let mut written = Vec::new();
    for says in [
        Incoming::Line(version.clone()),
        Incoming::Lines(vec![Ok(version)]),
        Incoming::Retract { id: text("2"), rev: Some(3) },
        Incoming::Clock { media_ms: 70_000 },
        Incoming::End,
    ] {
        written.push((
            from_publisher(&says),
            encode_from_publisher(FromPublisher { seq: Some(1), says: Ok(says), unknown: Vec::new() }),
        ));
    }
    for message in [
        ToPublisher::Welcome {
            feed: feed.clone(),
            source,
            session,
            seq: 41,
            epoch: epoch.clone(),
            life: Some(12),
            replaced_life: Some(7),
            last_id,
            on_air: true,
            holder: holder.clone(),
            term: 3,
            limits,
        },
        ToPublisher::Ack { seq: 3 },
        ToPublisher::Nack {
            seq: 4,
            code: NackCode::BadTime,
            message: "why".into(),
            field: Some("start_ms".into()),
            index: Some(1),
            retry: false,
        },
        ToPublisher::Warning { code: text("conflict"), message: "why".into(), id: Some(text("2")), rev: Some(3) },
        ToPublisher::Status { on_air: false, holder, term: 8 },
    ] {
        written.push((to_publisher(&message), serde_json::to_value(&message).expect("JSON")));
    }
    for message in [
        ToSubscriber::Hello {
            feed: feed.clone(),
            title: Some(text("Press conference")),
            state: FeedState::Live,
            epoch: Some(epoch),
            server_at: at,
        },
        ToSubscriber::Changes(Box::new(changes)),
        ToSubscriber::Turn(Box::new(TurnMessage {
            feed: feed.clone(),
            cursor: cursor.clone(),
            turn: WholeTurn { turn, text: line.text.to_string(), lines: vec![line] },
            more: true,
        })),
        ToSubscriber::TurnGone { feed: feed.clone(), cursor: cursor.clone(), id: text("main/2"), more: true },
        ToSubscriber::Live { feed: feed.clone(), cursor: cursor.clone() },
        ToSubscriber::Heartbeat { feed: Some(feed.clone()), cursor: Some(cursor.clone()), server_at: at },
        ToSubscriber::Reset { feed: feed.clone(), reason: text("epoch") },
        ToSubscriber::Error {
            feed: Some(feed.clone()),
            code: ErrorCode::StorageUnavailable,
            message: "so".into(),
            retry: true,
        },
        ToSubscriber::Unsubscribed { feed: feed.clone(), reason: text("asked") },
        ToSubscriber::Replay { feed: feed.clone(), paused: false, pace: Pace::Times(20.0), media_ms: 5 },
    ] {
        written.push((to_subscriber(&message), serde_json::to_value(&message).expect("JSON")));
    }
    for message in [
        FromSubscriber::Step,
        FromSubscriber::Pause,
        FromSubscriber::Resume,
        FromSubscriber::Pace { pace: Pace::Max },
        FromSubscriber::Seek(Seek::Media(5)),
        FromSubscriber::Seek(Seek::Cursor(cursor.clone())),
        FromSubscriber::Subscribe(Box::new(Subscribe {
            feed: feed.clone(),
            from: StartPoint::Cursor(cursor),
            interim: Some(false),
            unit: Unit::Turns,
            until: SubscribeUntil::Head,
            wait: true,
        })),
        FromSubscriber::Unsubscribe { feed },
    ] {
        written.push((from_subscriber(&message), serde_json::to_value(&message).expect("JSON")));
    }

    let document = Document::read();
    for (name, value) in &written {
        document.check(name, value);
    }
    let names: BTreeSet<&str> = written.iter().map(|(name, _)| *name).collect();
    let known: BTreeSet<&str> = OPERATIONS.iter().flat_map(|(_, known, _)| known.iter().copied()).collect();
    assert_eq!(names, known);
}

/// Writes the names of publishers' formats into the document: the list that begins with `captionwire`.
fn write_formats(known: &[&str]) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/asyncapi.yaml");
    let text = std::fs::read_to_string(path).expect("docs/asyncapi.yaml");
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.iter().position(|line| line.trim() == "- captionwire").expect("the list");
    let indent = &lines[from][..lines[from].find('-').expect("an item")];
    let to = from + lines[from..].iter().take_while(|line| line.starts_with(&format!("{indent}- "))).count();
    let rows = known.iter().map(|name| format!("{indent}- {name}"));
    let all =
        lines[..from].iter().map(ToString::to_string).chain(rows).chain(lines[to..].iter().map(ToString::to_string));
    std::fs::write(path, all.collect::<Vec<_>>().join("\n") + "\n").expect("written");
}

#[test]
fn the_formats_of_publishers_are_in_the_documents() {
    use captionwire::dialect::VendorFormat;
    let document = Document::read();
    let query = &document.0["channels"]["publish"]["bindings"]["ws"]["query"]["properties"];
    let known: Vec<&str> = std::iter::once("captionwire").chain(VendorFormat::ALL.map(VendorFormat::as_str)).collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        write_formats(&known);
    }
    assert_eq!(query["format"]["enum"], Value::from(known), "UPDATE_GOLDEN=1 writes them; test again then");
    // A row for each, where people read what becomes of it.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/dialects.md");
    let text = std::fs::read_to_string(path).expect("docs/dialects.md");
    // Behind it stands one of what says nothing.
    let (table, _) = text.split_once("### Messages that say nothing").expect("both tables");
    let described: Vec<&str> =
        table.lines().filter_map(|row| row.strip_prefix("| `")?.split_once("` | ").map(|(name, _)| name)).collect();
    let parameters = ["format", "offset_ms", "labels", "lang", "ack", "keep_raw"];
    let formats = VendorFormat::ALL.map(VendorFormat::as_str);
    let expected: Vec<&str> = parameters.into_iter().chain(formats).collect();
    assert_eq!(described[..expected.len()], expected);
    // And behind them which say nothing by what, where they do.
    assert!(described[expected.len()..].iter().all(|name| formats.contains(name)), "{described:?}");
    assert!(parameters.iter().all(|name| query[*name].is_object()));
}

#[test]
fn the_codes_of_refusals_are_in_the_document() {
    let document = Document::read();
    let known: Vec<Value> = NackCode::ALL.iter().map(|code| serde_json::to_value(code).expect("a name")).collect();
    assert_eq!(document.0["components"]["schemas"]["NackCode"]["enum"], Value::from(known.clone()));
    let table = document.0["x-nack-codes"].as_array().expect("a table");
    assert_eq!(table.iter().map(|row| row["code"].clone()).collect::<Vec<_>>(), known);
    assert!(table.iter().all(|row| !string(&row["meaning"]).is_empty()));
    let known: Vec<Value> = WarningCode::ALL.iter().map(|code| serde_json::to_value(code).expect("a name")).collect();
    assert_eq!(document.0["components"]["schemas"]["WarningCode"]["enum"], Value::from(known));
    for code in NackCode::ALL {
        assert_eq!(serde_json::to_value(code).expect("a name"), code.as_str());
    }
    for code in WarningCode::ALL {
        assert_eq!(serde_json::to_value(code).expect("a name"), code.as_str());
    }
    let names: Vec<&str> = NackCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(names, variants::<NackCode>(&json!("?")));
}

#[test]
fn the_codes_of_errors_are_in_the_document() {
    let document = Document::read();
    let known: Vec<Value> = ErrorCode::ALL.iter().map(|code| serde_json::to_value(code).expect("a name")).collect();
    assert_eq!(document.0["components"]["schemas"]["ErrorCode"]["enum"], Value::from(known.clone()));
    let table = document.0["x-error-codes"].as_array().expect("a table");
    assert_eq!(table.iter().map(|row| row["code"].clone()).collect::<Vec<_>>(), known);
    assert_eq!(known, variants::<ErrorCode>(&json!("?")));
}

#[test]
fn the_codes_of_closes_are_in_the_document() {
    let document = Document::read();
    let table = document.0["x-close-codes"].as_array().expect("a table");
    let known: Vec<(u64, bool)> =
        CloseCode::ALL.iter().map(|code| (code.number().into(), code.is_temporary())).collect();
    let told = table.iter().map(|row| {
        assert!(!string(&row["meaning"]).is_empty());
        (row["code"].as_u64().expect("a number"), row["come_again"].as_bool().expect("a flag"))
    });
    assert_eq!(told.collect::<Vec<_>>(), known);
}

#[test]
fn marks_are_in_the_document() {
    let document = Document::read();
    let kinds = document.0["components"]["schemas"]["Mark"]["properties"]["kind"]["enum"].as_array().expect("an enum");
    assert_eq!(kinds.iter().map(string).collect::<Vec<_>>(), variants::<MarkKind>(&json!("?")));
}

#[test]
fn a_document_that_parted_is_caught() {
    let document = Document::read();
    let faults = |name: &str, value: Value| {
        let mut faults = Vec::new();
        let payload = &document.0["components"]["messages"][name]["payload"];
        document.faults(payload, &value, name, &mut faults);
        faults.len()
    };
    assert_eq!(faults("ack", json!({"type": "ack", "seq": 1})), 0);
    assert_eq!(faults("ack", json!({"type": "ack"})), 1);
    assert_eq!(faults("ack", json!({"type": "nack", "seq": 1})), 1);
    assert_eq!(faults("ack", json!({"type": "ack", "seq": "1"})), 1);
    assert_eq!(faults("ack", json!({"type": "ack", "seq": 0})), 1);
    assert_eq!(faults("ack", json!({"type": "ack", "seq": 1, "mood": 1})), 1);
    assert_eq!(faults("line", json!({"type": "line", "id": "1", "text": "a", "status": "maybe"})), 1);
    assert_eq!(faults("pace", json!({"type": "pace", "pace": "fast"})), 1);
    let turn = json!({"id": "main/1", "sort": "a", "speaker": null, "start_ms": 0, "end_ms": null, "state": "open"});
    assert_eq!(faults("changes", json!({"type": "changes", "feed": "a", "cursor": "a:1", "turns": [turn]})), 1);
    assert!(!same(&json!({"a": [1, 2]}), &json!({"a": [1]})) && !same(&json!({"a": 1}), &json!({"a": 1, "b": 2})));
    assert!(same(&json!({"a": 4, "b": null}), &json!({"b": null, "a": 4.0})));
}
