//! `convert`: converts a transcript file to another format, without a server.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::cli::support::input_files::{
    FileSummary, feed_name, file_formats, file_kinds, now, read_file, read_input, tell, tell_losses,
};
use crate::cli::support::outcome::Outcome;
use crate::cli::support::outcome::misuse;
use crate::cli::support::output::{counted, note, print_data, save};
use crate::cli::support::problem_summary::ProblemSummary;
use crate::format::{Document, FileKind, Format, TextEncoding, losses, write};
use crate::position::FeedId;

const EXAMPLES: &str = "\
Examples:
  captionwire convert talk.srt talk.vtt
  captionwire convert captions.vtt captions.ttml
  captionwire convert call.nlp call.json --rttm call.rttm   speakers' times from a file beside the words
  captionwire convert - - --from srt --to md < talk.srt
  captionwire convert talk.srt talk.vtt --encoding windows-1251   where the guess of it is wrong
  captionwire convert subtitles/ talk.vtt                   a folder of EBU-TT Live documents

IN is recognised by its content; the name of OUT gives the format to write. Parts that had to be repaired or left out are reported
with their place, and the exit code is 1. What the new format cannot hold is reported too. docs/formats.md lists the formats.";

/// Make a transcript file of another format.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConvertCommand {
    /// A transcript file, or a folder of EBU-TT Live documents; `-` is standard input
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// File to write; `-` is standard output
    #[arg(value_name = "OUT")]
    output: PathBuf,
    #[arg(long, value_name = "KIND", help = format!("Format of IN: {}; by default its content says so", file_kinds()))]
    from: Option<FileKind>,
    #[arg(long, value_name = "FORMAT", help = format!("{}; by default that of OUT's name", file_formats()))]
    to: Option<Format>,
    /// For words without times (.nlp): when their speakers speak
    #[arg(long, value_name = "FILE")]
    rttm: Option<PathBuf>,
    /// The encoding of IN, such as windows-1252, shift_jis or utf-16le; by default its content says so, or lets it be guessed
    #[arg(long, value_name = "NAME")]
    encoding: Option<TextEncoding>,
    /// Lines of IN at which another recording begins, whose clock starts over; not needed where the file itself shows it
    #[arg(long, value_name = "LINE", value_delimiter = ',')]
    part_at: Vec<usize>,
}

impl ConvertCommand {
    pub(crate) fn run(self) -> anyhow::Result<Outcome> {
        let Some(to) = self.to.or_else(|| Format::from_name(&self.output.to_string_lossy())) else {
            misuse!("the name {} does not say which format to write: use --to", self.output.display());
        };
        let place = |path: &Path| std::fs::canonicalize(path).ok();
        if place(&self.output).is_some_and(|output| place(&self.input) == Some(output)) {
            misuse!("{} is both input and output: write to another file", self.input.display());
        }
        let bytes = if self.input == Path::new("-") {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
            bytes
        } else {
            read_input(&self.input)?
        };
        let known = FileSummary {
            from: self.from,
            rttm: self.rttm.as_deref(),
            encoding: self.encoding,
            parts_at: &self.part_at,
            is_published: false,
        };
        let reading = read_file(&bytes, &self.input, &known)
            .with_context(|| format!("{} cannot be converted", self.input.display()))?;
        let feed = feed_name(&self.input).or_else(|_| FeedId::new("transcript"))?;
        let document = Document::of_reading(&feed, &reading, now());
        let written = write(to, &document);
        if self.output != Path::new("-") {
            save(&self.output, written.as_bytes())?;
        } else {
            print_data(written.as_bytes())?;
        }
        tell(&self.input, &reading.problems);
        tell(&self.input, reading.losses_in(FileKind::of(to)));
        tell(&self.input, &reading.estimated);
        tell_losses(&self.output.display().to_string(), to, &losses(to, &document));
        if let Some(reasons) = ProblemSummary::of(&reading).reasons() {
            let lines = counted(reading.lines.len() as u64, "line");
            note(&format!("{}: {lines}, {reasons}", self.input.display()));
        }
        Ok(Outcome::of_problems(reading.problems.len() as u64))
    }
}
