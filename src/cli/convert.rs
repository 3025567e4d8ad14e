//! `convert`: a transcript file becomes one of another format. No server takes part in it.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::Outcome;
use super::import::feed_name;
use super::output::{note, print_data, save};
use crate::format::{Document, FileKind, Format, Problem, Reading, read, read_as, read_words, write};
use crate::position::FeedId;
use crate::server::Clock;
use crate::transcript::Timestamp;

const EXAMPLES: &str = "\
Examples:
  captionwire convert talk.srt talk.vtt
  captionwire convert captions.vtt captions.ttml
  captionwire convert call.nlp call.json --rttm call.rttm   speakers' times from a file beside the words
  captionwire convert - - --from srt --to md < talk.srt
  captionwire convert subtitles/ talk.vtt                   a folder of EBU-TT Live documents

What kind of file IN is, its content says; what becomes of it, the name of OUT. What could not be read as it stood is told
with its place, and then the exit code is 1; what the other format cannot say is told as well. docs/formats.md says what
there is.";

/// Make a transcript file of another format.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Convert {
    /// A transcript file, or a folder of EBU-TT Live documents; `-` is standard input
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// Where to write it; `-` is standard output
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// What kind of file IN is: rev, names, vtt, srt, md, rev-json, json, ndjson, ttml, nlp, vexa, cdp, rev-editor,
    /// speechmatics, aws or podcast; by default its content says so
    #[arg(long, value_name = "KIND")]
    from: Option<FileKind>,
    /// json, ndjson, txt, md, vtt, srt, rev, rev-json, ttml or podcast; by default that of OUT's name
    #[arg(long, value_name = "FORMAT")]
    to: Option<Format>,
    /// For words without times (.nlp): when their speakers speak
    #[arg(long, value_name = "FILE")]
    rttm: Option<PathBuf>,
}

impl Convert {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let Some(to) = self.to.or_else(|| Format::from_name(&self.output.to_string_lossy())) else {
            bail!("the name {} does not say which format to write: use --to", self.output.display());
        };
        let bytes = if self.input == Path::new("-") {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
            bytes
        } else {
            read_input(&self.input)?
        };
        let reading = read_file(&bytes, &self.input, self.from, self.rttm.as_deref())
            .with_context(|| format!("{} cannot be converted", self.input.display()))?;
        let feed = feed_name(&self.input).or_else(|_| FeedId::new("transcript"))?;
        let written = write(to, &Document::of_reading(&feed, &reading, now()));
        if self.output != Path::new("-") {
            save(&self.output, written.as_bytes())?;
        } else {
            print_data(written.as_bytes())?;
        }
        tell(&self.input, &reading.problems);
        if FileKind::of(to) != Some(reading.kind) {
            tell(&self.input, &reading.losses);
        }
        Ok(Outcome::of_problems(reading.problems.len() as u64))
    }
}

/// The bytes of a file, or those of all documents of XML in a folder, by name, as one: a sequence of EBU-TT Live is one
/// transcript, and its documents say themselves in which order they are.
pub(super) fn read_input(path: &Path) -> anyhow::Result<Vec<u8>> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    if !path.is_dir() {
        return read(path);
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut documents = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<PathBuf>>>()?;
    documents
        .retain(|document| Format::from_name(&document.to_string_lossy()) == Some(Format::Ttml) && document.is_file());
    documents.sort();
    if documents.is_empty() {
        bail!("the folder {} holds no .xml or .ttml: give the files by name", path.display());
    }
    let mut bytes = Vec::new();
    for document in &documents {
        bytes.extend(read(document)?);
        bytes.push(b'\n');
    }
    Ok(bytes)
}

fn tell(file: &Path, problems: &[Problem]) {
    for Problem { line, column, message } in problems {
        note(&format!("{}:{line}:{column}: {message}", file.display()));
    }
}

/// Reads a file as what it is, or as what somebody says it is.
pub(super) fn read_file(
    bytes: &[u8],
    name: &Path,
    from: Option<FileKind>,
    rttm: Option<&Path>,
) -> anyhow::Result<Reading> {
    Ok(match (rttm, from) {
        (Some(_), Some(kind)) if kind != FileKind::Nlp => bail!("--rttm goes with words (.nlp), not with {kind}"),
        (Some(rttm), _) => {
            let times = std::fs::read(rttm).with_context(|| format!("cannot read {}", rttm.display()))?;
            read_words(bytes, &times)?
        }
        (None, Some(kind)) => read_as(kind, bytes)?,
        (None, None) => read(bytes, Some(&name.to_string_lossy()))?,
    })
}

pub(super) fn now() -> Timestamp {
    Clock::of_this_machine().now()
}
