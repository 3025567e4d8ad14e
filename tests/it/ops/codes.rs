//! The table of codes, held to the code that sends them: what the documents promise is sent somewhere.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use captionwire::wire::{CloseCode, ErrorCode, NackCode, ProblemCode, WarningCode};

/// The source files below `folder`.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code of the program, without its tests and without the table of codes.
fn program() -> String {
    let (mut files, src) = (Vec::new(), Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    sources(&src, &mut files);
    files.retain(|file| !file.ends_with("wire/codes.rs") && !file.ends_with("tests.rs"));
    let texts = files.iter().map(|file| std::fs::read_to_string(file).expect("a source file"));
    texts.map(|text| text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_code_is_sent_somewhere() {
    let program = program();
    let unsent = |kind: &str, codes: &[&dyn Debug], made: &BTreeSet<String>| -> Vec<String> {
        let names = codes.iter().map(|code| format!("{kind}::{code:?}"));
        names.filter(|name| !program.contains(name.as_str()) && !made.contains(name)).collect()
    };
    fn all<T: Debug>(codes: &[T]) -> Vec<&dyn Debug> {
        codes.iter().map(|code| code as &dyn Debug).collect()
    }
    // Made of other codes.
    let errors = CloseCode::ALL.into_iter().filter_map(CloseCode::subscription_error);
    let errors = errors.chain(NackCode::ALL.iter().map(|code| ErrorCode::from(*code)));
    let errors = errors.map(|code| format!("ErrorCode::{code:?}")).collect();
    let nothing = BTreeSet::new();
    let unsent = [
        unsent("CloseCode", &all(&CloseCode::ALL), &nothing),
        unsent("NackCode", &all(NackCode::ALL), &nothing),
        unsent("WarningCode", &all(WarningCode::ALL), &nothing),
        unsent("ProblemCode", &all(ProblemCode::ALL), &nothing),
        unsent("ErrorCode", &all(ErrorCode::ALL), &errors),
    ];
    assert_eq!(unsent.concat(), [""; 0], "documented, and sent nowhere");
}
