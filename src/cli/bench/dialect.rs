//! Protocol of a server: the paths for publishing and subscribing, the form of a line, and its acknowledgement.
//! Everything else is the same for every server.

use anyhow::bail;

use crate::cli::bench::lines::{LineMark, mean_text_bytes, speaker, write_text};

/// Protocol of one server.
#[derive(Debug, Clone)]
pub(super) struct ServerDialect {
    pub(super) publish: SocketSetup,
    pub(super) subscribe: SocketSetup,
    /// Subscription of a late joiner to everything from the start; `None` if nothing is kept.
    pub(super) replay: Option<SocketSetup>,
    /// Subscription of a subscriber that reconnects with its cursor `@CURSOR@`.
    pub(super) resume: Option<SocketSetup>,
    pub(super) wrap: Template,
    pub(super) ack: Ack,
    /// Text in the server's answer to a line that it refuses.
    pub(super) refusal: Option<String>,
    pub(super) token: Option<String>,
}

/// One direction: a socket, and how its conversation begins.
#[derive(Debug, Clone)]
pub(super) struct SocketSetup {
    /// Path and query; `@FEED@` stands for the feed's number.
    pub(super) path: String,
    /// Message to send first.
    pub(super) hello: Option<String>,
    /// Text in the server's message after which the connection is ready; `None` if it is ready once the socket is open.
    pub(super) ready: Option<String>,
}

/// Form of the acknowledgements to a publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ack {
    /// No acknowledgements.
    Nothing,
    /// Each message acknowledges one line.
    Frames,
    /// The number after this text is the number of lines stored so far.
    UpTo(String),
}

/// Bytes of a text frame's head; hardly any text here is so short that two bytes would do.
const HEAD_BYTES: f64 = 4.0;

impl SocketSetup {
    fn new(path: impl Into<String>, ready: Option<&str>) -> Self {
        Self { path: path.into(), hello: None, ready: ready.map(str::to_owned) }
    }

    /// Returns the path for a subscriber or publisher of `feed`, with its cursor if it has one.
    pub(super) fn path(&self, feed: usize, cursor: &str) -> String {
        self.path.replace("@FEED@", &feed.to_string()).replace("@CURSOR@", cursor)
    }
}

impl ServerDialect {
    /// The protocol of captionwire. Names of feeds begin with `prefix`.
    pub(super) fn captionwire(prefix: &str, token: Option<String>) -> Self {
        let feed = format!("/v1/feeds/{prefix}-@FEED@");
        let live = Some("{\"type\":\"live\"");
        let line = r#"{"type":"line","id":"@SEQ@","start_ms":@MS@,"speaker":"@SPEAKER@","text":"@TEXT@"}"#;
        Self {
            publish: SocketSetup::new(format!("{feed}/publish?session={prefix}"), Some("{\"type\":\"welcome\"")),
            subscribe: SocketSetup::new(format!("{feed}/subscribe?from=now&wait=true"), live),
            replay: Some(SocketSetup::new(format!("{feed}/subscribe?from=start"), None)),
            resume: Some(SocketSetup::new(format!("{feed}/subscribe?from=@CURSOR@"), live)),
            wrap: Template::new(line),
            ack: Ack::UpTo("{\"type\":\"ack\",\"seq\":".into()),
            refusal: Some("{\"type\":\"nack\"".into()),
            token,
        }
    }

    /// Returns the average size of a frame that publishes a line, in bytes.
    pub(super) fn frame_bytes(&self) -> f64 {
        const LINES: u32 = 120;
        let mut out = Vec::new();
        (0..LINES).for_each(|number| self.wrap.write(LineMark { number, due: 0 }, &mut out));
        HEAD_BYTES + out.len() as f64 / f64::from(LINES)
    }

    /// The protocol of `bench limit`. Its frames are made as long as frames of `bytes` bytes on average, heads
    /// included.
    pub(super) fn limit(bytes: Option<f64>) -> Self {
        let padding = bytes.map_or(0.0, |bytes| (bytes - HEAD_BYTES - mean_text_bytes()).max(0.0));
        Self {
            publish: SocketSetup::new("/pub/@FEED@", None),
            subscribe: SocketSetup::new("/sub/@FEED@", None),
            replay: Some(SocketSetup::new("/sub/@FEED@?from=start", None)),
            resume: None,
            wrap: Template::new(&format!("@TEXT@{}", ".".repeat(padding.round() as usize))),
            ack: Ack::UpTo("{\"ack\":".into()),
            refusal: None,
            token: None,
        }
    }
}

/// Form of a line: a text in which `@TEXT@`, `@SPEAKER@`, `@SEQ@` (its number, from 0) and `@MS@` (its media time) are
/// placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<TemplatePart>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum TemplatePart {
    Literal(String),
    Text,
    Speaker,
    Number,
    MediaTime,
}

const WORDS: [(&str, TemplatePart); 4] = [
    ("@TEXT@", TemplatePart::Text),
    ("@SPEAKER@", TemplatePart::Speaker),
    ("@SEQ@", TemplatePart::Number),
    ("@MS@", TemplatePart::MediaTime),
];

impl Template {
    pub(super) fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((at, (word, part))) =
            WORDS.iter().filter_map(|word| Some((rest.find(word.0)?, word))).min_by_key(|found| found.0)
        {
            parts.extend((at > 0).then(|| TemplatePart::Literal(rest[..at].to_owned())));
            parts.push(part.clone());
            rest = &rest[at + word.len()..];
        }
        parts.extend((!rest.is_empty()).then(|| TemplatePart::Literal(rest.to_owned())));
        Self(parts)
    }

    /// Returns true if lines can be told apart in it.
    pub(super) fn has_text(&self) -> bool {
        self.0.contains(&TemplatePart::Text)
    }

    /// Appends the message that publishes a line.
    pub(super) fn write(&self, mark: LineMark, out: &mut Vec<u8>) {
        /// Media time between lines in milliseconds: ten a second is more than anyone speaks, and a million of them are
        /// a day.
        const LINE_MS: u64 = 100;
        for part in &self.0 {
            match part {
                TemplatePart::Literal(text) => out.extend_from_slice(text.as_bytes()),
                TemplatePart::Text => write_text(mark, out),
                TemplatePart::Speaker => out.extend_from_slice(speaker(mark.number).as_bytes()),
                TemplatePart::Number => out.extend_from_slice(mark.number.to_string().as_bytes()),
                TemplatePart::MediaTime => {
                    out.extend_from_slice((u64::from(mark.number) * LINE_MS).to_string().as_bytes())
                }
            }
        }
    }
}

impl std::str::FromStr for Ack {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text.split_once(':') {
            None if text == "none" => Ok(Self::Nothing),
            None if text == "frames" => Ok(Self::Frames),
            Some(("upto", key)) if !key.is_empty() => Ok(Self::UpTo(key.to_owned())),
            _ => bail!("none, frames, or upto:TEXT"),
        }
    }
}

/// Returns the whole number after the last `key` in `message`.
pub(super) fn number_after(message: &[u8], key: &str) -> Option<u64> {
    let at = memchr::memmem::rfind(message, key.as_bytes())? + key.len();
    let digits = message[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&message[at..at + digits]).ok()?.parse().ok()
}

/// Returns the text between `key` and the next quotation mark.
pub(super) fn text_after<'a>(message: &'a [u8], key: &str) -> Option<&'a str> {
    let rest = &message[memchr::memmem::find(message, key.as_bytes())? + key.len()..];
    std::str::from_utf8(&rest[..memchr::memchr(b'"', rest)?]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(template: &str, number: u32) -> String {
        let mut out = Vec::new();
        Template::new(template).write(LineMark { number, due: 5 }, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn templates_are_filled() {
        assert_eq!(written("@SEQ@", 7), "7");
        assert_eq!(written("a@MS@b@SEQ@@SPEAKER@", 4), "a400b4Reporter");
        assert_eq!(written("me@example.org @FOO@ @", 0), "me@example.org @FOO@ @");
        assert!(written("{\"t\":\"@TEXT@\"}", 5).starts_with("{\"t\":\"#0000000005.0000000000000000005# What"));
        assert!(Template::new("x@TEXT@").has_text() && !Template::new("@SEQ@").has_text());
        assert_eq!(written("", 1), "");
    }

    #[test]
    fn a_line_of_ours_is_what_the_server_reads() {
        let mut out = Vec::new();
        ServerDialect::captionwire("bench", None).wrap.write(LineMark { number: 3, due: 0 }, &mut out);
        let line: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!((&line["type"], &line["id"], &line["start_ms"]), (&"line".into(), &"3".into(), &300.into()));
    }

    #[test]
    fn lines_of_the_limit_are_as_long_as_ours_were() {
        for bytes in [400.0, 1_000.4] {
            assert!((ServerDialect::limit(Some(bytes)).frame_bytes() - bytes).abs() <= 1.0, "{bytes}");
        }
        assert_eq!(
            ServerDialect::limit(None).frame_bytes(),
            ServerDialect::limit(Some(3.0)).frame_bytes(),
            "never shorter than the text"
        );
    }

    #[test]
    fn acknowledgements_are_named() {
        assert_eq!("none".parse::<Ack>().expect("none"), Ack::Nothing);
        assert_eq!("frames".parse::<Ack>().expect("frames"), Ack::Frames);
        assert_eq!("upto:\"seq\":".parse::<Ack>().expect("upto"), Ack::UpTo("\"seq\":".into()));
        for bad in ["", "upto:", "upto", "bytes:x"] {
            assert!(bad.parse::<Ack>().is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_and_texts_are_found_in_messages() {
        let message = br#"{"type":"ack","seq":12,"cursor":"a:1"}{"seq":345}"#;
        assert_eq!(number_after(message, "\"seq\":"), Some(345));
        assert_eq!(number_after(message, "\"type\":\"ack\",\"seq\":"), Some(12));
        assert_eq!(number_after(message, "\"nothing\":"), None);
        assert_eq!(number_after(message, "\"cursor\":"), None);
        assert_eq!(text_after(message, "\"cursor\":\""), Some("a:1"));
        assert_eq!(text_after(message, "\"epoch\":\""), None);
    }
}
