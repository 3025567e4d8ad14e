//! `capture`: what a vendor's socket says, word by word and moment by moment, into a file; and how such a file is read.
//!
//! A row of the file is an object: `at_ms` since the first connection, and `text`, or `hex` for what is not text, or
//! `connected`: true where a connection begins, false where it breaks.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::Outcome;
use super::output::note;
use super::relay::From;
use super::signals::Signals;
use crate::client::Followed;

const EXAMPLES: &str = "\
Examples:
  captionwire capture ws://engine:9090 session.ndjson          until Ctrl-C, or until the vendor is done
  captionwire replay session.ndjson --raw --format whisper-live --to geneva

The file holds all that was said in clear, and what the URL says nowhere.";

/// Record what a vendor's socket says, with its moments.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Capture {
    #[command(flatten)]
    from: From,
    /// Where to; `-` is standard output. A file that is there is not overwritten
    file: PathBuf,
}

/// A row of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) connected: Option<bool>,
}

impl Row {
    fn of_frame(at_ms: u64, frame: &[u8]) -> Self {
        match std::str::from_utf8(frame) {
            Ok(text) => Self { at_ms, text: Some(text.to_owned()), ..Self::default() },
            Err(_) => {
                let hex = frame.iter().map(|byte| format!("{byte:02x}")).collect();
                Self { at_ms, hex: Some(hex), ..Self::default() }
            }
        }
    }

    /// The frame, if the row is one.
    pub(super) fn frame(&self) -> Option<Vec<u8>> {
        if let Some(text) = &self.text {
            return Some(text.clone().into_bytes());
        }
        let hex = self.hex.as_ref().filter(|hex| hex.len() % 2 == 0 && hex.is_ascii())?;
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok()).collect()
    }
}

impl Capture {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let mut signals = Signals::new()?;
        let mut follower = self.from.follower()?;
        let mut file: Box<dyn AsyncWrite + Send + Unpin> = if self.file.as_os_str() == "-" {
            Box::new(tokio::io::stdout())
        } else {
            let file = tokio::fs::File::create_new(&self.file).await;
            Box::new(file.with_context(|| format!("cannot write {}", self.file.display()))?)
        };
        let mut first_at = None;
        let mut count = 0_u64;
        loop {
            let followed = tokio::select! {
                followed = follower.next() => followed.context("following the vendor ended")?,
                () = signals.next() => break,
            };
            let now = Instant::now();
            let at_ms = now.duration_since(*first_at.get_or_insert(now)).as_millis() as u64;
            let row = match followed {
                Followed::Connected { .. } => Row { at_ms, connected: Some(true), ..Row::default() },
                Followed::Frame(frame) => {
                    count += 1;
                    Row::of_frame(at_ms, &frame)
                }
                Followed::Disconnected { why, retry_in } => {
                    note(&format!("the vendor: {why}; trying again in {:.1} s", retry_in.as_secs_f32()));
                    Row { at_ms, connected: Some(false), ..Row::default() }
                }
                Followed::Done => break,
            };
            let row = serde_json::to_string(&row).context("a row cannot be written")? + "\n";
            // At once: whoever reads along sees it, and what stops this takes nothing with it.
            file.write_all(row.as_bytes()).await.context("cannot write")?;
            file.flush().await.context("cannot write")?;
        }
        note(&format!("{count} frames"));
        Ok(Outcome::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_was() {
        for frame in [&b"{\"text\":\"a\"}"[..], b"", b"\xff\x00\x10", "é\n".as_bytes()] {
            let written = serde_json::to_string(&Row::of_frame(7, frame)).expect("encodes");
            let row: Row = serde_json::from_str(&written).expect("decodes");
            assert_eq!((row.at_ms, row.frame().as_deref()), (7, Some(frame)));
        }
        let bad = |json: &str| serde_json::from_str::<Row>(json).expect("decodes").frame();
        assert_eq!((bad(r#"{"at_ms":1,"hex":"0"}"#), bad(r#"{"at_ms":1,"hex":"zz"}"#)), (None, None));
        assert_eq!((bad(r#"{"at_ms":1,"hex":"é"}"#), bad(r#"{"at_ms":1,"connected":true}"#)), (None, None));
    }
}
