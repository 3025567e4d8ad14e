//! The files of the embedded archive under a simulated disk: they are copied while the server runs, cut or scratched when it
//! was killed, and put back to an earlier moment.
//!
//! The archive is the real one, whose writer has a thread; each call waits for it, so that a run stays the same each time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use captionwire::log::{EmbeddedLog, EmbeddedOptions, Log, LogId, backup, verify};
use captionwire::position::{Epoch, FeedId, Offset, Starts};
use futures::StreamExt;
use tempfile::TempDir;

use super::world::World;

/// The file that is copied with the WAL beside it, and the mark.
const NAMES: [&str; 3] = ["archive.db", "archive.db-wal", "archive.mark"];
/// Copies that are kept.
const COPIES: usize = 4;

/// The records of each feed.
pub(crate) type Contents = BTreeMap<FeedId, (u64, Vec<Bytes>)>;

/// What became of the files while the server was down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    /// Nothing.
    None,
    /// The WAL was cut or scratched.
    Wal,
    /// A copy was put in their place, and the mark left where it was.
    OlderFiles,
    /// A copy was put in their place, with the mark of then or without one.
    OlderFilesAndMark,
}

/// A copy, and what it holds.
struct Copy {
    dir: PathBuf,
    contents: Contents,
}

pub(crate) struct Archive {
    root: TempDir,
    /// The directory in use is called so.
    number: u64,
    log: Option<EmbeddedLog>,
    copies: Vec<Copy>,
    damage: Damage,
    /// What a copy held that was put back.
    put_back: Option<Contents>,
    /// The id of the start that goes on.
    pub(crate) start: Epoch,
}

impl Archive {
    pub(crate) fn new() -> Self {
        // In memory, where there is such a place: a flush takes no time, and none is lost that matters here.
        let in_memory = Path::new("/dev/shm");
        let root = if in_memory.is_dir() { TempDir::new_in(in_memory) } else { TempDir::new() };
        Self {
            root: root.expect("a directory"),
            number: 0,
            log: None,
            copies: Vec::new(),
            damage: Damage::None,
            put_back: None,
            start: Epoch::new(""),
        }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join(self.number.to_string())
    }

    fn log(&self) -> &EmbeddedLog {
        self.log.as_ref().expect("open")
    }

    /// Opens it, and holds what it finds and says to what it held `before`. Gives what it holds.
    pub(crate) fn open(&mut self, world: &World, before: &Contents) -> Contents {
        let said = self.damage != Damage::None && self.said_by_verify(world);
        let random = world.below(1 << 50);
        self.start = Epoch::short_from_random(random);
        let options = EmbeddedOptions { readers: 1, start: Some(random), ..EmbeddedOptions::default() };
        self.log = Some(EmbeddedLog::open(&self.dir(), options).expect("the archive opens"));
        let contents = self.contents();
        let missing = self.log().missing_records();
        let lost: u64 = before.iter().map(|(feed, held)| lost_of(held, contents.get(feed))).sum();
        let is_prefix = contents.iter().all(|(feed, held)| lost_of(held, before.get(feed)) == 0);
        if lost > 0 {
            world.note(format!("{lost} records are lost, {missing} are said to be ({:?})", self.damage));
        }
        match self.damage {
            Damage::None => world.hold(contents == *before, || "a restart changes what is in the archive".into()),
            Damage::Wal => {
                world.hold(is_prefix, || "a damaged WAL leaves something else than a beginning".into());
                world.hold(missing == lost, || format!("{lost} records are lost, and {missing} are missing"));
            }
            Damage::OlderFiles => {
                let says_so = missing > 0 || !is_prefix || lost == 0;
                world.hold(says_so, || format!("of {lost} records that an older copy lacks nothing is said"));
                world.hold(missing == 0 || lost > 0, || format!("{missing} records are missing, and none is lost"));
            }
            Damage::OlderFilesAndMark => {
                world.hold(missing == 0, || format!("a copy and its own mark: {missing} records are missing"));
            }
        }
        world.hold(said == (missing > 0), || format!("verify said {said}, and {missing} records are missing"));
        if let Some(held) = self.put_back.take() {
            world.hold(contents == held, || "a copy does not hold what was there when it was made".into());
        }
        if missing > 0 {
            world.seen("the archive says that records are missing");
        }
        self.damage = Damage::None;
        contents
    }

    /// Whether `verify` says that records are missing, and nothing else.
    fn said_by_verify(&self, world: &World) -> bool {
        let faults = verify(&self.dir(), |_, _| {}).expect("it can be read").faults;
        let (of_mark, others): (Vec<_>, Vec<_>) = faults
            .into_iter()
            // What an earlier start found is told until the next one; this one may have found nothing.
            .filter(|fault| !fault.what.contains("noticed this at its last start"))
            .partition(|fault| fault.place == NAMES[2]);
        world.hold(others.is_empty(), || format!("verify finds {others:?}"));
        of_mark.iter().any(|fault| !fault.what.contains("at least 0 acknowledged records"))
    }

    fn contents(&self) -> Contents {
        let read = async {
            let mut contents = Contents::new();
            for log in self.log().logs().await.expect("read") {
                let head = self.log().head(&log).await.expect("read");
                let mut tail = self.log().tail(&log, Offset::START);
                let mut records = Vec::new();
                while (records.len() as u64) < head.0 {
                    let page = tail.next().await.expect("there is more").expect("read");
                    records.extend(page.into_iter().map(|entry| entry.record));
                }
                contents.insert(log.feed.clone(), (log.life, records));
            }
            contents
        };
        wait(read)
    }

    pub(crate) fn append(&self, log: &LogId, records: Vec<Bytes>) {
        wait(async { self.log().append_all(log, records).await?.await }).expect("appended");
    }

    pub(crate) fn create(&self, feed: &FeedId, anew: bool) -> LogId {
        wait(self.log().create(feed, anew)).expect("created")
    }

    pub(crate) fn starts(&self, log: &LogId) -> Starts {
        wait(self.log().starts(log)).expect("read")
    }

    /// Copies it as it is, beside the server that runs: the files as a snapshot of the disk has them, or by a backup.
    pub(crate) fn copy(&mut self, world: &World, contents: Contents) {
        world.seen("a copy of the archive is made");
        let dir = self.root.path().join(format!("copy-{}", world.below(1 << 40)));
        if world.one_in(2) {
            copy_files(&self.dir(), &dir);
        } else {
            backup(&self.dir(), &dir, |_| Ok(()), |_, _| {}).expect("copied");
        }
        self.copies.push(Copy { dir, contents });
        if self.copies.len() > COPIES {
            let index = usize::try_from(world.below(COPIES as u64)).expect("small");
            fs::remove_dir_all(self.copies.remove(index).dir).expect("removed");
        }
    }

    /// The server is gone: what it left is closed in good order, or lies there as it was when it was killed.
    pub(crate) fn go_down(&mut self, is_planned: bool) {
        let killed = self.dir();
        if !is_planned {
            self.number += 1;
            copy_files(&killed, &self.dir());
        }
        // Closes it.
        self.log = None;
        if !is_planned {
            fs::remove_dir_all(killed).expect("removed");
        }
    }

    /// Something happens to the files while no server has them.
    pub(crate) fn damage(&mut self, world: &World) {
        let wal = self.dir().join(NAMES[1]);
        let bytes = fs::read(&wal).unwrap_or_default();
        if self.copies.is_empty() || (!bytes.is_empty() && world.one_in(2)) {
            if !bytes.is_empty() {
                self.damage = Damage::Wal;
                fs::write(&wal, damaged(world, bytes)).expect("written");
            }
            return;
        }
        world.seen("the server starts from an older copy");
        let index = usize::try_from(world.below(self.copies.len() as u64)).expect("small");
        let Copy { dir, contents } = &self.copies[index];
        let mark = self.dir().join(NAMES[2]);
        let mark_of_now = fs::read(&mark).ok().filter(|_| world.one_in(2));
        self.put_back = Some(contents.clone());
        let dir = dir.clone();
        fs::remove_dir_all(self.dir()).expect("removed");
        copy_files(&dir, &self.dir());
        self.damage = if let Some(mark_of_now) = mark_of_now {
            fs::write(&mark, mark_of_now).expect("written");
            Damage::OlderFiles
        } else {
            Damage::OlderFilesAndMark
        };
    }
}

/// Its end is cut off, or one bit in it is another.
fn damaged(world: &World, mut wal: Vec<u8>) -> Vec<u8> {
    let at = usize::try_from(world.below(wal.len() as u64)).expect("small");
    if world.one_in(2) {
        world.seen("the end of the WAL is lost");
        wal.truncate(at);
    } else {
        world.seen("a bit of the WAL is another");
        wal[at] ^= 1 << world.below(8);
    }
    wal
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for name in NAMES {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).expect("copied");
        }
    }
}

/// Records of `held` that are not in `now`, at their places.
fn lost_of((_, held): &(u64, Vec<Bytes>), now: Option<&(u64, Vec<Bytes>)>) -> u64 {
    let Some((_, now)) = now else { return held.len() as u64 };
    let same = held.iter().zip(now).take_while(|(held, now)| held == now).count();
    (held.len() - same) as u64
}

/// Waits for the archive's threads, and lets nothing else of the run go on meanwhile.
fn wait<T>(answer: impl Future<Output = T>) -> T {
    futures::executor::block_on(tokio::task::unconstrained(answer))
}
