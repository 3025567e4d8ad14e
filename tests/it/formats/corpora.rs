//! The fuzz targets of `fuzz/` as plain tests: over their corpora, and over what becomes of these with a few bytes changed.

use proptest::prelude::*;

#[path = "../../../fuzz/targets.rs"]
#[allow(
    clippy::duplicate_mod,
    dead_code,
    unreachable_pub,
    reason = "shared with the fuzz targets, each of which uses a part of it"
)]
mod targets;

/// The cases of `tests/golden` that a reader begins with, beside its corpus if it has one.
const CASES: &[(&str, &str)] = &[
    ("format_rev", "rev"),
    ("format_vtt", "webvtt"),
    ("format_srt", "subrip"),
    ("format_md", "md"),
    ("format_rev_json", "rev-json"),
    ("format_json", "json"),
    ("format_ndjson", "ndjson"),
    ("format_ttml", "ttml"),
    ("format_nlp", "nlp"),
    ("format_vexa", "vexa"),
    ("format_cdp", "cdp"),
    ("format_rev_editor", "rev-editor"),
    ("format_speechmatics", "speechmatics"),
    ("format_aws", "aws"),
    ("format_names", "names"),
    ("format_otter", "otter"),
    ("format_timed", "timed"),
    ("format_whisper", "whisper"),
    ("format_podcast", "podcast"),
];

/// The files of a corpus.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let cases = CASES.iter().find(|(known, _)| *known == target).map(|(_, cases)| format!("tests/golden/{cases}"));
    let dirs = [Some(format!("fuzz/corpus/{target}")), cases];
    let all: Vec<Vec<u8>> = dirs.into_iter().flatten().flat_map(|dir| files(&dir)).collect();
    assert!(!all.is_empty());
    all
}

fn files(dir: &str) -> Vec<Vec<u8>> {
    let dir = format!("{}/{dir}", env!("CARGO_MANIFEST_DIR"));
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_none_or(|extension| extension != "told"));
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("read")).collect()
}

/// One of the seeds, with some of its bytes replaced, left out or doubled.
fn mutated(target: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let seeds = corpus(target);
    let change = (any::<prop::sample::Index>(), 0..3u8, any::<u8>(), 1..20usize);
    (0..seeds.len(), prop::collection::vec(change, 0..8)).prop_map(move |(seed, changes)| {
        let mut bytes = seeds[seed].clone();
        for (place, kind, byte, length) in changes {
            let at = place.index(bytes.len() + 1);
            let end = bytes.len().min(at + length);
            match kind {
                0 if at < bytes.len() => bytes[at] = byte,
                1 => drop(bytes.drain(at..end)),
                _ => {
                    let again = bytes[at..end].to_vec();
                    bytes.splice(at..at, again);
                }
            }
        }
        bytes
    })
}

/// How many mutations of each corpus: `CAPTIONWIRE_MUTATIONS` says otherwise.
fn mutations() -> u32 {
    std::env::var("CAPTIONWIRE_MUTATIONS").ok().and_then(|number| number.parse().ok()).unwrap_or(2_000)
}

macro_rules! targets {
    ($($target:ident),*) => {$(
        mod $target {
            use super::*;

            #[test]
            fn the_corpus() {
                super::corpus(stringify!($target)).iter().for_each(|bytes| targets::$target(bytes));
            }

            proptest! {
                #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(mutations()) })]
                #[test]
                fn the_corpus_with_a_few_bytes_changed(bytes in mutated(stringify!($target))) {
                    targets::$target(&bytes);
                }
            }
        }
    )*};
}

targets!(wire, format, dialect, record, fold);
targets!(
    format_rev,
    format_names,
    format_vtt,
    format_srt,
    format_md,
    format_rev_json,
    format_json,
    format_ndjson,
    format_ttml,
    format_nlp,
    format_vexa,
    format_cdp,
    format_rev_editor,
    format_speechmatics,
    format_aws,
    format_otter,
    format_timed,
    format_whisper,
    format_podcast,
    format_rttm
);
