//! `import`: stores transcript files as archived feeds.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::cli::support::input_files::{FileSummary, feed_name, now, read_file, read_input};
use crate::cli::support::outcome::misuse;
use crate::cli::support::outcome::{Outcome, explain};
use crate::cli::support::output::{counted, note, print, print_json, progress_bar};
use crate::cli::support::problem_summary::ProblemSummary;
use crate::cli::support::server_target::{ArchiveAccess, CommandTarget, ServerTarget};
use crate::client::{HttpError, ImportProblem, Imported};
use crate::format::{Document, FileKind, FileProblem, Format, TextEncoding, write};
use crate::position::FeedId;

const EXAMPLES: &str = "\
Examples:
  captionwire import hearing.rev.txt                    becomes the feed `hearing`
  captionwire import transcripts/*.txt --json
  captionwire import talk.txt --as geneva --replace     in place of what the feed held
  captionwire import hearing.rev.txt --data ./captionwire-data
  captionwire import calls/*.nlp --rttm rttms/          speakers' times from files of the same names

Reads WebVTT, SubRip, TTML, the text of rev.com, Markdown turns, and JSON of captionwire and many other programs (docs/formats.md
lists them). Parts that had to be repaired or left out are reported with their place and counted at the end; the exit code is then 1.";

/// Store transcript files as archived feeds.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ImportCommand {
    /// Transcript files, or folders of EBU-TT Live documents
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The name of the feed; by default it is made of the file's name
    #[arg(long = "as", value_name = "FEED")]
    name: Option<FeedId>,
    /// Take the place of what the feed holds
    #[arg(long)]
    replace: bool,
    /// Format of the file, if its content does not show it: see `captionwire convert --help`
    #[arg(long, value_name = "KIND")]
    from: Option<FileKind>,
    /// RTTM file with the times of the speakers, for words without times (.nlp), or a directory with files of the same names
    #[arg(long, value_name = "FILE|DIR")]
    rttm: Option<PathBuf>,
    /// Their encoding, such as windows-1252, shift_jis or utf-16le; by default their content says so, or lets it be guessed
    #[arg(long, value_name = "NAME")]
    encoding: Option<TextEncoding>,
    /// Lines of the file at which another recording begins, whose clock starts over; not needed where the file itself shows it
    #[arg(long, value_name = "LINE", value_delimiter = ',')]
    part_at: Vec<usize>,
    /// One JSON object for each file
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: ArchiveAccess,
}

#[derive(Serialize)]
struct ImportNotices<'a> {
    file: &'a Path,
    #[serde(flatten)]
    imported: Option<&'a Imported>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
}

impl ImportCommand {
    pub(crate) async fn run(self) -> anyhow::Result<Outcome> {
        if self.name.is_some() && self.files.len() > 1 {
            misuse!("--as names one feed, and there are {} files", self.files.len());
        }
        if !self.part_at.is_empty() && self.files.len() > 1 {
            misuse!("--part-at is for one file, and there are {}", self.files.len());
        }
        let server = self.access.reach(CommandTarget::Write).await?;
        let outcome = self.import_all(&server).await;
        server.leave().await;
        outcome
    }

    async fn import_all(&self, server: &ServerTarget) -> anyhow::Result<Outcome> {
        let bar = progress_bar(self.files.len() as u64, "{bar:30} {pos}/{len} files");
        let mut problems = 0;
        for file in &self.files {
            let imported = self.import(server, file).await;
            let told = bar.suspend(|| self.tell(file, &imported));
            problems += told?;
            bar.inc(1);
            // Without a server the next file would fail too.
            if let Err(error) = imported
                && error.downcast_ref().is_some_and(HttpError::is_not_connected)
            {
                break;
            }
        }
        bar.finish_and_clear();
        Ok(Outcome::of_problems(problems))
    }

    async fn import(&self, server: &ServerTarget, file: &Path) -> anyhow::Result<Imported> {
        let feed = match &self.name {
            Some(name) => name.clone(),
            None => feed_name(file)?,
        };
        let bytes = read_input(file)?;
        let rttm = self.rttm.as_deref().and_then(|rttm| beside(file, rttm));
        if self.from.is_none() && rttm.is_none() && self.encoding.is_none() && self.part_at.is_empty() {
            let imported = server.http.import(&feed, bytes.into(), self.replace).await;
            return imported.map_err(|error| server.explain(error));
        }
        // The server cannot know these options, so the file is read here and sent in our own format, which loses
        // nothing.
        let known = FileSummary {
            from: self.from,
            rttm: rttm.as_deref(),
            encoding: self.encoding,
            parts_at: &self.part_at,
            is_published: true,
        };
        let reading = read_file(&bytes, file, &known)?;
        let written = write(Format::Ndjson, &Document::of_reading(&feed, &reading, now()));
        let imported = server.http.import(&feed, written.into(), self.replace).await;
        let mut imported = imported.map_err(|error| server.explain(error))?;
        // The server may have reported problems with its limits, besides those of the file.
        imported.problem_counts.extend(ProblemSummary::of(&reading).counts());
        imported.problems.splice(0..0, problems(reading.problems));
        imported.notices = problems(reading.losses.into_iter().chain(reading.estimated).collect());
        Ok(imported)
    }

    /// Reports the result for a file; returns the number of problems.
    fn tell(&self, file: &Path, imported: &anyhow::Result<Imported>) -> anyhow::Result<u64> {
        let code =
            |error: &anyhow::Error| error.downcast_ref::<HttpError>().and_then(HttpError::code).map(str::to_owned);
        if self.json {
            let code = imported.as_ref().err().and_then(code);
            let error = imported.as_ref().err().map(explain);
            print_json(&ImportNotices { file, imported: imported.as_ref().ok(), error, code: code.as_deref() })?;
        }
        match imported {
            Ok(Imported { feed, lines, turns, speakers, problems, problem_counts, notices }) => {
                let summary = ProblemSummary::of_import(problem_counts);
                let (repaired, left_out) = (summary.repaired(), summary.left_out());
                if !self.json {
                    for problem in problems.iter().chain(notices) {
                        note(&format!("{}:{}:{}: {}", file.display(), problem.line, problem.column, problem.message));
                    }
                    if let Some(reasons) = summary.reasons() {
                        note(&format!("{}: {reasons}", file.display()));
                    }
                    print(&format!(
                        "{feed}: {}, {}, {}, {repaired} repaired, {left_out} left out\n",
                        counted(*lines, "line"),
                        counted(*turns, "turn"),
                        counted(*speakers, "speaker"),
                    ))?;
                }
                Ok(problems.len() as u64)
            }
            Err(error) => {
                if !self.json {
                    let hint = if code(error).as_deref() == Some("feed_exists") { " (--replace does it)" } else { "" };
                    note(&format!("{} was not imported: {}{hint}", file.display(), explain(error)));
                }
                Ok(1)
            }
        }
    }
}

fn problems(problems: Vec<FileProblem>) -> Vec<ImportProblem> {
    let problems = problems.into_iter();
    problems
        .map(|FileProblem { line, column, message, .. }| ImportProblem {
            line: line as u64,
            column: column as u64,
            message,
        })
        .collect()
}

/// Returns the file with speakers' times that belongs to `file`: `rttm` itself, or the file with the same name in that
/// directory.
fn beside(file: &Path, rttm: &Path) -> Option<PathBuf> {
    if !rttm.is_dir() {
        return Some(rttm.to_owned());
    }
    let name = file.file_name()?.to_string_lossy();
    // `4344866.aligned.nlp` belongs to `4344866.rttm`.
    let stems = name.match_indices('.').map(|(at, _)| &name[..at]).rev();
    stems.map(|stem| rttm.join(format!("{stem}.rttm"))).find(|path| path.is_file())
}
