//! Transcript files that commands read: bytes, format, and reported problems.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::cli::support::outcome::misuse;
use crate::cli::support::output::note;
use crate::format::{
    FileKind, FileProblem, Format, FormatError, LineLimits, Losses, ParsedTranscript, ReadOptions, TextEncoding,
    read_with,
};
use crate::position::FeedId;
use crate::server::Clock;
use crate::transcript::Timestamp;

/// Reads a file, or all XML documents of a folder, by name, as one. A sequence of EBU-TT Live is one transcript, and
/// its documents contain their order.
pub(crate) fn read_input(path: &Path) -> anyhow::Result<Vec<u8>> {
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

/// Reports what the written format cannot hold.
pub(crate) fn tell_losses(place: &str, format: Format, losses: &Losses) {
    if !losses.is_empty() {
        note(&format!("{place}: {format} cannot hold {losses}"));
    }
}

pub(crate) fn tell<'a>(file: &Path, problems: impl IntoIterator<Item = &'a FileProblem>) {
    for FileProblem { line, column, message, .. } in problems {
        note(&format!("{}:{line}:{column}: {message}", file.display()));
    }
}

/// Options of the user for a file.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FileSummary<'a> {
    pub(crate) from: Option<FileKind>,
    pub(crate) rttm: Option<&'a Path>,
    pub(crate) encoding: Option<TextEncoding>,
    pub(crate) parts_at: &'a [usize],
    /// True if its lines go to a server, and so must fit a server's limits.
    pub(crate) is_published: bool,
}

/// Reads a file in the specified format, or in the one that its content shows.
pub(crate) fn read_file(bytes: &[u8], name: &Path, known: &FileSummary<'_>) -> anyhow::Result<ParsedTranscript> {
    let FileSummary { from, rttm, encoding, parts_at, is_published } = *known;
    let times = match (rttm, from) {
        (Some(_), Some(kind)) if kind != FileKind::Nlp => misuse!("--rttm goes with words (.nlp), not with {kind}"),
        (Some(rttm), _) => Some(std::fs::read(rttm).with_context(|| format!("cannot read {}", rttm.display()))?),
        (None, _) => None,
    };
    let file_name = name.to_string_lossy();
    let limits = is_published.then(LineLimits::default);
    let options = ReadOptions {
        file_name: Some(&file_name),
        kind: from,
        encoding,
        speaker_times: times.as_deref(),
        parts_at,
        limits,
    };
    read_with(bytes, &options).map_err(|error| {
        let is_text = matches!(error, FormatError::NotText { .. });
        let hint = if is_text { "; if it is text, --encoding says in which encoding" } else { "" };
        anyhow::anyhow!("{error}{hint}")
    })
}

pub(crate) fn now() -> Timestamp {
    Clock::of_this_machine().now()
}

/// The kinds of files that are read, in words for a help text.
pub(crate) fn file_kinds() -> String {
    one_of(&FileKind::ALL.map(|(_, name, _)| name))
}

/// The formats that are written, in words for a help text.
pub(crate) fn file_formats() -> String {
    one_of(&Format::ALL.map(Format::as_str))
}

fn one_of(names: &[&str]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => names.concat(),
    }
}

/// Returns the feed name for a file: its name without the format's ending, with characters that feed names do not allow
/// replaced by `-`.
pub(crate) fn feed_name(file: &Path) -> anyhow::Result<FeedId> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let of_two = Format::ALL.map(Format::extension).into_iter().filter(|ending| ending.contains('.'));
    let of_two = of_two.filter_map(|ending| name.strip_suffix(ending)?.strip_suffix('.')).next();
    let stem = of_two.or_else(|| name.rsplit_once('.').map(|(stem, _)| stem)).unwrap_or(&name);
    let mut feed = String::new();
    for c in stem.chars() {
        match c {
            'a'..='z' | '0'..='9' | '_' => feed.push(c),
            _ if feed.ends_with('-') || feed.is_empty() => {}
            _ => feed.push('-'),
        }
    }
    let feed: String = feed.trim_matches(['-', '_']).chars().take(128).collect();
    FeedId::new(&feed).with_context(|| format!("no feed can be named after {}: use --as", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feeds_are_named_after_files() {
        for (file, feed) in [
            ("a/hearing.rev.txt", "hearing"),
            ("Press Conference (Geneva).txt", "press-conference-geneva"),
            ("2021-06-16_talk.v2.json", "2021-06-16_talk-v2"),
            ("plain", "plain"),
        ] {
            let named = feed_name(Path::new(file));
            assert_eq!(named.ok().map(|name| name.to_string()).as_deref(), Some(feed), "{file}");
        }
        for bad in ["—.txt", ".hidden"] {
            assert!(feed_name(Path::new(bad)).is_err(), "{bad}");
        }
    }
}
