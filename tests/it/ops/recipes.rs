//! The recipes of CONTRIBUTING.md, held to the sources: an addition touches the files that its recipe lists, and no others.

use std::collections::BTreeSet;
use std::path::Path;

use captionwire::format::Format;

use super::architecture::{Source, house};
use super::source_style::is_test_file;

/// Places outside of the registry that choose one format, each with the formats. To add a format changes none of them.
const CHOICES: &[(&str, &[&str])] = &[
    ("cli/commands/export.rs", &["Txt"]),
    ("cli/commands/import.rs", &["Ndjson"]),
    ("cli/support/input_files.rs", &["Ttml"]),
    ("server/api/hls.rs", &["Vtt"]),
    ("server/api/transcripts.rs", &["Json", "Ndjson"]),
];

/// The code of a source, without its tests and comments.
fn code(source: &Source) -> String {
    let text = source.text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Returns true if `word` stands in `text` by itself.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word)
        .any(|(at, _)| !is_part(text[..at].chars().next_back()) && !is_part(text[at + word.len()..].chars().next()))
}

/// The sources whose code has one of `words`.
fn files_with(house: &[Source], words: &[&str]) -> BTreeSet<String> {
    let has = |source: &&Source| words.iter().any(|word| has_word(&code(source), word));
    let found = house.iter().filter(|source| !is_test_file(source)).filter(has);
    found.map(|source| format!("src/{}", source.path.display())).collect()
}

/// The files of a recipe, one for each of its steps, and how many its heading promises.
fn recipe(heading: &str) -> (String, Vec<String>) {
    let text = std::fs::read_to_string(in_project("CONTRIBUTING.md")).expect("the page");
    let (_, text) = text.split_once(&format!("\n### {heading}: ")).expect("the recipe");
    let (promise, text) = text.split_once('\n').expect("a heading");
    let text = text.split("\n### ").next().unwrap_or_default();
    let steps =
        text.lines().filter_map(|line| line.split_once(". ").filter(|(number, _)| number.parse::<u8>().is_ok()));
    let file = |(_, step): (&str, &str)| {
        let begin = step.starts_with(['`', '[']).then_some(1)?;
        step[begin..].split(['`', ']']).next().map(str::to_owned)
    };
    let files: Vec<String> = steps.map(|step| file(step).expect("a step begins with its file")).collect();
    (promise.to_owned(), files)
}

fn in_project(path: &str) -> String {
    format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_format_is_named_by_the_registry_alone() {
    let house = house();
    for format in Format::ALL {
        let name = format!("{format:?}");
        let found = files_with(&house, &[&format!("Format::{name}")]);
        let chosen = CHOICES.iter().filter(|(_, names)| names.contains(&name.as_str()));
        let expected: BTreeSet<String> =
            chosen.map(|(file, _)| *file).chain(["format/registry.rs"]).map(|file| format!("src/{file}")).collect();
        assert_eq!(found, expected, "{format}: keep what is known of a format in its own file");
    }
}

#[test]
fn an_addition_touches_the_files_of_its_recipe() {
    let house = house();
    for (heading, number, words, more) in [
        ("Add a file format", "seven files", &["podcast", "Podcast"][..], &[][..]),
        // It is one of the vendors that other decoders name.
        (
            "Add a vendor's live format",
            "five files",
            &["vosk", "Vosk"],
            &["src/dialect/core/message_shape.rs", "src/format/detect.rs"],
        ),
        ("Add a setting", "three files", &["search_timeout_ms"], &[]),
    ] {
        let (promise, files) = recipe(heading);
        assert_eq!(promise, number, "{heading}");
        let numbers = ["one", "two", "three", "four", "five", "six", "seven"];
        assert_eq!(numbers[files.len() - 1], number.split(' ').next().unwrap_or_default(), "{files:?}");
        for file in &files {
            assert!(Path::new(&in_project(file)).exists(), "{heading}: {file}");
        }
        let found = files_with(&house, words);
        let known: BTreeSet<String> = files.iter().cloned().chain(more.iter().map(ToString::to_string)).collect();
        let beside: Vec<_> = found.difference(&known).collect();
        assert!(beside.is_empty(), "{heading}: {beside:?}");
    }
}
