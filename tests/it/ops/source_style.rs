//! Rules of style that are held by a test: unique names of types, the first words of comments, the length of files and functions.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::architecture::{Source, house};

/// Lines of a file, without its tests.
const FILE_LINES_MAX: usize = 500;
/// Lines of a function, from its name to its last brace.
const FUNCTION_LINES_MAX: usize = 80;

/// Words with which no comment of an item begins: the sentence is a riddle until its end. See CONTRIBUTING.md, section "Words".
const QUESTIONS: [&str; 13] = [
    "What", "Who", "Whoever", "Whose", "Whom", "Whether", "How", "Where", "Wherever", "When", "Whenever", "Why",
    "Which",
];

/// Lines of a file, up to its module of tests.
fn code_lines(source: &Source) -> Vec<&str> {
    let lines: Vec<&str> = source.text.lines().collect();
    let is_tests = |at: &usize| {
        lines[*at] == "#[cfg(test)]"
            && lines[at + 1..].iter().take(3).any(|line| line.starts_with("mod ") && line.ends_with('{'))
    };
    let end = (0..lines.len()).find(is_tests).unwrap_or(lines.len());
    let mut code = lines[..end].to_vec();
    while code.last().is_some_and(|line| line.is_empty()) {
        code.pop();
    }
    code
}

/// True for files that hold tests only.
pub(super) fn is_test_file(source: &Source) -> bool {
    let path = source.path.to_string_lossy();
    path.ends_with("tests.rs") || path.contains("/tests/")
}

/// Names of the types that stand in no function, each with the keyword before it.
fn type_names(source: &Source) -> Vec<&str> {
    let keywords = ["struct ", "enum ", "trait ", "type ", "union "];
    let name = |line: &'_ str| -> Option<usize> {
        let rest = line.strip_prefix("pub ").unwrap_or(line);
        let rest = match rest.strip_prefix("pub(") {
            Some(rest) => rest.split_once(") ")?.1,
            None => rest,
        };
        let rest = keywords.iter().find_map(|keyword| rest.strip_prefix(keyword))?;
        Some(line.len() - rest.len())
    };
    let names = code_lines(source).into_iter().filter_map(|line| {
        let rest = &line[name(line)?..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        Some(&rest[..end])
    });
    names.collect()
}

/// First lines of comments of items and modules that begin with a question word, with their number.
fn riddles(source: &Source) -> Vec<(usize, &str)> {
    let comment = |line: &'_ str| -> Option<usize> {
        let trimmed = line.trim_start();
        let rest = trimmed.strip_prefix("///").or_else(|| trimmed.strip_prefix("//!"))?;
        (!rest.starts_with('/')).then(|| line.len() - rest.trim_start().len())
    };
    let mut found = Vec::new();
    let mut is_inside = false;
    for (at, line) in source.text.lines().enumerate() {
        let Some(begin) = comment(line) else {
            is_inside = false;
            continue;
        };
        let word = line[begin..].split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        if !is_inside && QUESTIONS.contains(&word) {
            found.push((at + 1, line));
        }
        is_inside = true;
    }
    found
}

/// Functions of a file with their number of lines. The code is formatted, so a function ends at the brace below its first letter.
fn functions(source: &Source) -> Vec<(&str, usize)> {
    let lines = code_lines(source);
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let words = line.trim_start();
        let Some((before, after)) = words.split_once("fn ") else { continue };
        let is_function = before
            .split_whitespace()
            .all(|word| matches!(word, "pub" | "async" | "const" | "unsafe" | "default") || word.starts_with("pub("));
        if !is_function || line.ends_with(';') {
            continue;
        }
        let end = after.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(after.len());
        let length = if line.ends_with('}') {
            Some(1)
        } else {
            let closing = format!("{}}}", " ".repeat(indent));
            lines[at..].iter().position(|line| *line == closing).map(|last| last + 1)
        };
        found.extend(length.map(|length| (&after[..end], length)));
    }
    found
}

#[test]
fn a_type_name_is_used_once() {
    let house = house();
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for source in house.iter().filter(|source| !is_test_file(source)) {
        for name in type_names(source) {
            places.entry(name).or_default().push(source.path.display().to_string());
        }
    }
    assert!(places.len() > 500, "the types were not found");
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "give each type a name of its own: {places:#?}");
}

#[test]
fn a_comment_says_what_an_item_is() {
    let mut found = String::new();
    for source in &house() {
        for (number, line) in riddles(source) {
            let _ = writeln!(found, "src/{}:{number}: {}", source.path.display(), line.trim());
        }
    }
    assert!(found.is_empty(), "begin with a verb or a noun:\n{found}");
}

#[test]
fn files_and_functions_are_short() {
    let mut found = Vec::new();
    let mut lengths = Vec::new();
    for source in house().iter().filter(|source| !is_test_file(source)) {
        let path = source.path.to_string_lossy();
        let lines = code_lines(source).len();
        if lines > FILE_LINES_MAX {
            found.push(format!("src/{path}: {lines} lines"));
        }
        for (name, lines) in functions(source) {
            lengths.push(lines);
            if lines > FUNCTION_LINES_MAX {
                found.push(format!("src/{path}: {name} has {lines} lines"));
            }
        }
    }
    assert!(found.is_empty(), "at most {FILE_LINES_MAX} lines a file, {FUNCTION_LINES_MAX} a function: {found:#?}");
    lengths.sort_unstable();
    let (median, p95) = (lengths[lengths.len() / 2], lengths[lengths.len() * 95 / 100]);
    assert!(
        lengths.len() > 3_000 && median <= 7 && p95 <= 36,
        "{} functions: median {median}, p95 {p95}",
        lengths.len()
    );
}

#[test]
fn each_rule_of_style_is_noticed() {
    let source = |text: &str| Source { path: "log/a.rs".into(), text: text.into() };
    let types =
        source("pub(crate) struct A<'a>(&'a str);\nenum B {\n    C,\n}\nfn f() {\n    struct D;\n}\npub type E = A;\n");
    assert_eq!(type_names(&types), ["A", "B", "E"]);
    let comments = source(
        "//! Where it is.\n\n/// A place.\n/// Where it is.\nfn f() {}\n\n    /// Whether it is.\n    fn g() {}\n",
    );
    assert_eq!(riddles(&comments).iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 7]);
    let code = source(
        "fn f() {}\nimpl A {\n    pub(crate) async fn g(\n        a: u8,\n    ) -> u8 {\n        a\n    }\n}\n#[cfg(test)]\nmod tests {\n}\n",
    );
    assert_eq!(functions(&code), [("f", 1), ("g", 5)]);
    assert_eq!(code_lines(&code).len(), 8);
}
