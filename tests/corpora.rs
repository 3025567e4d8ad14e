//! The fuzz targets of `fuzz/` as plain tests: over their corpora, and over what becomes of these with a few bytes changed.

use proptest::prelude::*;

#[path = "../fuzz/targets.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the fuzz targets, each of which uses a part of it")]
mod targets;

/// The files of a corpus.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<_> =
        std::fs::read_dir(dir).expect("a corpus").map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
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

macro_rules! targets {
    ($($target:ident),*) => {$(
        mod $target {
            use super::*;

            #[test]
            fn the_corpus() {
                super::corpus(stringify!($target)).iter().for_each(|bytes| targets::$target(bytes));
            }

            proptest! {
                #![proptest_config(ProptestConfig::with_cases(2_000))]
                #[test]
                fn the_corpus_with_a_few_bytes_changed(bytes in mutated(stringify!($target))) {
                    targets::$target(&bytes);
                }
            }
        }
    )*};
}

targets!(wire, format, dialect, record, fold);
