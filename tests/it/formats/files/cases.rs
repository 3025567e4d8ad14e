//! Small files, one for each rule of a format, with what is read of them and what is written again: `tests/golden/<kind>`.
//!
//! `UPDATE_GOLDEN=1` rewrites what stands beside the files; the difference is for people to look at.

use std::fmt::Write as _;
use std::path::PathBuf;

use captionwire::format::{Document, FileKind, Format, FormatError, ParsedTranscript, read_as, write};
use captionwire::transcript::time::cue_clock;

use super::{IMPORTED_AT, feed, in_project};

/// What was read, a row for each thing.
fn told(reading: &Result<ParsedTranscript, FormatError>) -> String {
    let reading = match reading {
        Ok(reading) => reading,
        Err(error) => return format!("refused: {error}\n"),
    };
    let mut out = String::new();
    let ParsedTranscript { meta, lines, problems, losses, .. } = reading;
    for (name, value) in
        [("title", &meta.title), ("language", &meta.language), ("preamble", &meta.preamble), ("trailer", &meta.trailer)]
    {
        if let Some(value) = value {
            let _ = writeln!(out, "{name}: {value:?}");
        }
    }
    for line in lines {
        let content = &line.content;
        let time = |ms: Option<i64>| ms.map_or_else(|| "-".to_owned(), |ms| cue_clock(ms, '.'));
        let start = line.arrival_ms.map_or_else(|| time(content.start_ms), |at| format!("({})", time(Some(at))));
        let _ = write!(out, "{} {start} to {}", line.id, time(content.end_ms));
        if let Some(speaker) = &content.speaker {
            let _ = write!(out, " by {speaker:?}");
        }
        if let Some(lang) = &content.lang {
            let _ = write!(out, " in {lang}");
        }
        if content.break_before.is_some() {
            out.push_str(" (begins a turn)");
        }
        let _ = writeln!(out, ": {:?}", content.text);
        for word in &content.words {
            let _ = writeln!(out, "    {} to {}: {:?}", time(Some(word.start_ms)), time(word.end_ms), word.text);
        }
    }
    problems.iter().for_each(|problem| writeln!(out, "problem at {problem}").expect("a string takes it"));
    reading.estimated.iter().for_each(|told| writeln!(out, "estimated at {told}").expect("a string takes it"));
    losses.iter().for_each(|loss| writeln!(out, "loss at {loss}").expect("a string takes it"));
    out
}

/// Every file `tests/golden/<kind>/*.<extension>`, with what must be read of it.
pub(crate) fn check(kind: FileKind, folder: &str, extension: &str, format: Option<Format>) {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(in_project(&format!("tests/golden/{folder}")))
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    let mut differing = Vec::new();
    for path in paths {
        let reading = read_as(kind, &std::fs::read(&path).expect("a case"));
        let mut found = told(&reading);
        if let (Ok(reading), Some(format)) = (&reading, format) {
            let written = write(format, &Document::of_reading(&feed(), reading, IMPORTED_AT));
            // What was written once is written the same again, and says the same.
            let again = read_as(kind, written.as_bytes()).expect("what was written can be read");
            assert_eq!(write(format, &Document::of_reading(&feed(), &again, IMPORTED_AT)), written, "{path:?}");
            assert!(
                again.problems.iter().all(|problem| {
                    ["time goes back", "kept as text"].iter().any(|told| problem.message.contains(told))
                }),
                "{again:?}\n{written}"
            );
            found.push_str("written:\n");
            found.push_str(&written);
        }
        let golden = path.with_extension("told");
        if update {
            std::fs::write(&golden, &found).expect("a golden file is written");
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if expected != found {
            differing.push(format!("{}\nis\n{expected}\nbut is read as\n{found}", path.display()));
        }
    }
    assert!(differing.is_empty(), "UPDATE_GOLDEN=1 rewrites these:\n{}", differing.join("\n"));
}

#[test]
fn every_rule_of_webvtt_has_a_case() {
    check(FileKind::Vtt, "webvtt", "vtt", Some(Format::Vtt));
}

#[test]
fn subrip_as_it_is_met() {
    check(FileKind::Srt, "subrip", "srt", Some(Format::Srt));
}

#[test]
fn markdown_of_nobody_known_is_known_for_markdown() {
    let text = "\\[00:01\\]\n\nIt is noon.\n\n\\[01:05\\]\n\nAll rise.\n";
    let reading = captionwire::format::read(text.as_bytes(), None).expect("a transcript");
    let lines: Vec<_> = reading.lines.iter().map(|l| (l.content.start_ms, &*l.content.text)).collect();
    assert_eq!(
        (reading.kind, lines),
        (FileKind::Markdown, vec![(Some(1_000), "It is noon."), (Some(65_000), "All rise.")])
    );
    // Only Markdown escapes the brackets.
    assert!(captionwire::format::read(text.replace('\\', "").as_bytes(), None).is_err());
}

#[test]
fn markdown_turns_as_they_are_met() {
    check(FileKind::Markdown, "md", "md", None);
}

#[test]
fn ttml_by_its_rules() {
    check(FileKind::Ttml, "ttml", "ttml", None);
}

/// Headers without a time, or with another form of it, are of the speaker they name.
#[test]
fn plain_text_in_the_forms_that_are_met() {
    check(FileKind::Rev, "rev", "txt", Some(Format::Rev));
    check(FileKind::Names, "names", "txt", None);
    check(FileKind::Otter, "otter", "txt", None);
    check(FileKind::Timed, "timed", "txt", None);
}

/// The folder of a kind's cases below `tests/golden`; older folders have longer names.
fn folder(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Vtt => "webvtt",
        FileKind::Srt => "subrip",
        kind => kind.as_str(),
    }
}

/// Kinds whose cases lie in a folder of their name, and are only read here.
#[test]
fn words_and_json_of_others() {
    use FileKind::{Json, Markdown, Names, Otter, Rev, Srt, Timed, Ttml, Vtt};
    let elsewhere = [Rev, Names, Otter, Timed, Vtt, Srt, Markdown, Ttml, Json];
    let kinds = FileKind::ALL.into_iter().map(|(kind, ..)| kind);
    for kind in kinds.filter(|kind| !elsewhere.contains(kind)) {
        let extension = if matches!(kind, FileKind::Nlp | FileKind::Ndjson) { kind.as_str() } else { "json" };
        check(kind, folder(kind), extension, None);
    }
}

/// Each case is known for what it is without being told, but for those that are broken.
#[test]
fn every_case_is_known_for_what_it_is() {
    // Our own JSON has its cases beside the writers.
    let kinds = FileKind::ALL.into_iter().map(|(kind, ..)| kind).filter(|kind| *kind != FileKind::Json);
    for (folder, kind) in kinds.map(|kind| (folder(kind), kind)) {
        for entry in std::fs::read_dir(in_project(&format!("tests/golden/{folder}"))).expect("the folder of cases") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "told") {
                continue;
            }
            match captionwire::format::read(&std::fs::read(&path).expect("a case"), None) {
                Ok(reading) => assert_eq!(reading.kind, kind, "{path:?}"),
                Err(FormatError::NoSpeech { .. } | FormatError::Broken { .. }) => {}
                Err(error) => assert!(path.ends_with("subrip/no-cue.srt"), "{path:?}: {error}"),
            }
        }
    }
}
