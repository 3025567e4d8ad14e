//! A small file of this node that identifies the stream it has used. It prevents that a stream deleted while no node
//! ran is silently created again, empty.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Contents of the file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct MarkedStream {
    stream: String,
    /// Base of the stream, which no other stream has.
    base: u64,
}

/// Mark of one stream.
#[derive(Debug, Clone)]
pub(super) struct StreamMark {
    path: PathBuf,
    stream: String,
    base: Option<u64>,
}

impl StreamMark {
    /// Reads the mark of `stream` in `dir`, if there is one.
    ///
    /// # Errors
    /// The fault of the file, with the remedy.
    pub(super) fn read(dir: &Path, stream: &str) -> Result<Self, String> {
        let path = dir.join(format!("nats-{stream}.json"));
        let text = match std::fs::read(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
        };
        let marked = text.map(|text| serde_json::from_slice::<MarkedStream>(&text)).transpose();
        let marked = marked.map_err(|error| {
            format!(
                "{} is damaged ({error}): check that the stream is the right one, and delete the file",
                path.display()
            )
        })?;
        Ok(Self { path, stream: stream.to_owned(), base: marked.map(|marked| marked.base) })
    }

    /// Returns the reason why a stream must not be used that has this base, or does not exist, or is empty.
    pub(super) fn refusal(&self, base: Option<u64>) -> Option<String> {
        let known = self.base?;
        if base == Some(known) {
            return None;
        }
        let what = match base {
            None => "it is missing or empty, and this node has used it before",
            Some(_) => "it is not the stream that this node has used before",
        };
        Some(format!(
            "{what}: it was deleted, or these are other NATS servers. Restore it from a backup, or name the right servers; to go on \
             without what it held, delete the file {} and start again",
            self.path.display()
        ))
    }

    /// Records that this node uses the stream with this base.
    pub(super) fn write(&self, base: u64) -> io::Result<()> {
        if self.base == Some(base) {
            return Ok(());
        }
        let text = serde_json::to_vec(&MarkedStream { stream: self.stream.clone(), base })?;
        let aside = self.path.with_extension("json.new");
        let mut file = std::fs::File::create(&aside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&aside, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_refuses_every_stream_but_its_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let read = || StreamMark::read(dir.path(), "captions").expect("read");
        assert_eq!(read().refusal(None), None, "a node that is new takes what it finds");
        assert_eq!(read().refusal(Some(7)), None);
        read().write(7).expect("written");
        assert_eq!(read().refusal(Some(7)), None);
        for other in [None, Some(8)] {
            let said = read().refusal(other).expect("refused");
            assert!(said.contains("delete the file") && said.contains("nats-captions.json"), "{said}");
        }
        assert_eq!(StreamMark::read(dir.path(), "others").expect("read").refusal(None), None);
        std::fs::write(dir.path().join("nats-captions.json"), "{\"stream\":").expect("written");
        let said = StreamMark::read(dir.path(), "captions").expect_err("damaged");
        assert!(said.contains("delete the file"), "{said}");
    }
}
