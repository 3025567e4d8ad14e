//! The server, its log, its publishers and its subscribers in one process, on simulated time, over a network and a disk
//! that fail: what is promised holds whatever happens in between.
//!
//! A seed says all that happens. `CAPTIONWIRE_SIM_SEEDS` says how many are run (300), `CAPTIONWIRE_SIM_FIRST` from which
//! on; a failure prints its seed, and `CAPTIONWIRE_SIM_FIRST=17 CAPTIONWIRE_SIM_SEEDS=1` shows what happened in it.
//!
//! `sim/world.rs` has the chance and the trace; `network.rs`, `disk.rs` and `archive.rs` what fails; `publisher.rs` and `subscriber.rs`
//! clients written from the protocol; `run.rs` one run and what has to hold. What the transcript has to be in the end is
//! said by `fold/book.rs`, which shares no rule with the server.
//!
//! Two runs of a seed are alike only if tokio's own chance can be set, which takes `RUSTFLAGS="--cfg tokio_unstable"`:
//! `just sim` and `scripts/test.sh` set it, and without it there is nothing here.
#![cfg(tokio_unstable)]
#![allow(clippy::print_stderr, reason = "what was run is said")]

mod archive;
mod disk;
mod network;
mod publisher;
mod run;
mod subscriber;
mod world;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use self::run::run;
use self::world::Report;

/// What happens in so many of 300 runs at least: where it does not, the runs have become harmless.
const HAPPENS: [(&str, u64); 23] = [
    ("the server is killed", 300),
    ("killed between durable and acknowledged", 20),
    ("a crash keeps a part of the queue", 20),
    ("a crash loses the queue", 20),
    ("a write fails", 20),
    ("the server stops in good order", 20),
    ("a connection is cut", 300),
    ("a connection is half open", 100),
    ("a publisher sends again", 300),
    ("a subscriber resumes", 300),
    ("a subscriber does not read for a while", 50),
    ("a forged cursor is refused", 50),
    ("a message comes in parts", 20),
    ("a feed among many is left and taken up again", 50),
    ("many records are appended at once", 300),
    ("a program that counts from 0 again is told so", 100),
    ("the end of the WAL is lost", 8),
    ("a bit of the WAL is another", 8),
    ("the server starts from an older copy", 15),
    ("acknowledged records are lost", 40),
    ("the archive says that records are missing", 20),
    ("a reader of what is lost starts over", 50),
    ("a reader from before what is lost reads on", 50),
];

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn what_is_promised_holds_whatever_happens() {
    let (first, count) = (setting("CAPTIONWIRE_SIM_FIRST", 0), setting("CAPTIONWIRE_SIM_SEEDS", 300));
    let next = AtomicU64::new(first);
    let all: Mutex<BTreeMap<&str, u64>> = Mutex::default();
    let failed: Mutex<Option<(u64, Report)>> = Mutex::default();
    let work = || {
        while failed.lock().expect("no panic").is_none() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return;
            }
            let report = run(seed);
            for (what, times) in &report.seen {
                *all.lock().expect("no panic").entry(what).or_default() += times;
            }
            if !report.violations.is_empty() || count == 1 {
                *failed.lock().expect("no panic") = Some((seed, report));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    if let Some((seed, report)) = failed.into_inner().expect("no panic") {
        report.trace.iter().for_each(|line| eprintln!("{line}"));
        assert!(
            report.violations.is_empty(),
            "CAPTIONWIRE_SIM_FIRST={seed} CAPTIONWIRE_SIM_SEEDS=1: {:#?}",
            report.violations
        );
    }
    let all = all.into_inner().expect("no panic");
    eprintln!("{count} seeds from {first} on: {all:#?}");
    for (what, times) in HAPPENS {
        let happened = all.get(what).copied().unwrap_or(0);
        assert!(count < 300 || happened >= times * (count / 300), "{what}: {happened} times");
    }
}

#[test]
fn a_seed_says_all_that_happens() {
    for seed in [1, 2, 3] {
        let (one, other) = (run(seed).trace, run(seed).trace);
        let differs = one.iter().zip(&other).find(|(one, other)| one != other);
        assert!(differs.is_none() && one.len() == other.len(), "seed {seed}: {differs:?}");
        assert!(one != run(seed + 10).trace, "two seeds are one");
    }
}
