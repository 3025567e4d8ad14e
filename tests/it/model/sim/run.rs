//! One run: a server that is killed, stopped and started again, publishers and subscribers, and what has to hold.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use captionwire::config::Config;
use captionwire::position::{FeedId, Offset};
use captionwire::server::{Clock, Rng, Server};
use captionwire::transcript::{FoldView, Op, Transcript};
use tokio::runtime::RngSeed;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::disk::{Disk, SimLog};
use super::network::Network;
use super::publisher::{Publisher, Script};
use super::subscriber::{Followed, Screen, Subscriber};
use super::world::{Event, Life, Report, World};
use crate::model::fold::book::Book;
use crate::model::fold::reader::picture_of;

/// Times that the server goes down.
const DOWNS: u64 = 6;
/// Simulated time after which publishers that are not done will never be.
const NEVER: Duration = Duration::from_secs(4 * 3600);
/// Longer than the server is ever down.
const UNTIL_UP: Duration = Duration::from_secs(30);
/// Longer than anybody waits for anything: all are connected again, and live.
const UNTIL_ALL_ARE_BACK: Duration = Duration::from_secs(200);
/// What a line takes to all screens: less than a clock of the server's own, which would ring for a bell that was missed.
const UNTIL_SEEN: Duration = Duration::from_secs(3);

/// Runs the story that `seed` says.
pub(crate) fn run(seed: u64) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        // Chance within tokio: which of those who wait is woken first.
        .rng_seed(RngSeed::from_bytes(&seed.to_le_bytes()))
        .build();
    runtime.expect("a runtime").block_on(async {
        let world = World::new(seed);
        Run::new(&world).play().await;
        world.report()
    })
}

struct Run {
    world: Arc<World>,
    network: Arc<Network>,
    disk: Arc<Mutex<Disk>>,
    scripts: Vec<Arc<Script>>,
    screens: Vec<(FeedId, FoldView, Arc<Mutex<Screen>>)>,
    tasks: JoinSet<()>,
}

impl Run {
    fn new(world: &Arc<World>) -> Self {
        Self {
            world: world.clone(),
            network: Network::new(world),
            disk: Arc::new(Mutex::new(if world.one_in(3) { Disk::with_archive() } else { Disk::default() })),
            scripts: Vec::new(),
            screens: Vec::new(),
            tasks: JoinSet::new(),
        }
    }

    async fn play(mut self) {
        self.tasks.spawn(serve(self.world.clone(), self.network.clone(), self.disk.clone()));
        let feeds = ["basel", "chur"].map(|name| FeedId::new(name).expect("a name"));
        for number in 0..4 {
            let view = [FoldView::Interim, FoldView::FinalOnly][number % 2];
            self.subscribe(number, &feeds[number / 3..=number / 3], view, number % 3 == 0);
        }
        // And one of both, on one socket.
        let is_slow = self.world.one_in(2);
        self.subscribe(4, &feeds, FoldView::Interim, is_slow);
        let is_large = self.world.one_in(8);
        let has_archive = self.disk().start().is_some();
        let mut programs = Vec::new();
        for (source, feed) in [("one", &feeds[0]), ("two", &feeds[0]), ("http", &feeds[1])] {
            let lines = if is_large { 24 } else { 8 + self.world.below(24) };
            let mut script = Script::new(&self.world, feed, source, lines, is_large && source == "one");
            if source == "http" {
                Publisher::lines_only(&mut script);
            }
            // Of what is lost and sent again after another program began it is not known which ids it gets.
            let is_started_anew = source != "http" && !has_archive && self.world.one_in(2);
            let again = is_started_anew.then(|| Script::again(&self.world, &script, 1 + self.world.below(16)));
            let program = [Some(script), again].into_iter().flatten().map(|script| self.publisher(script));
            programs.push(program.collect::<Vec<_>>());
        }
        self.say_all(&programs).await;
        self.world.calm_down();
        self.world.note("nothing is broken any more");
        if has_archive {
            // The last damage may have been done while the server was down, and is found when it comes.
            tokio::time::sleep(UNTIL_UP).await;
        }
        if self.disk().losses > 0 {
            // Whoever has lines that were acknowledged and are lost sends them again.
            self.say_all(&programs).await;
        }
        tokio::time::sleep(UNTIL_ALL_ARE_BACK).await;
        self.all_see_all("after all are back");
        for number in 0..3 {
            if self.world.is_wrong() {
                return;
            }
            let feed = &feeds[usize::try_from(number % 2).expect("small")];
            let source = if number % 2 == 0 { self.holder(feed) } else { "http" };
            let last_word = self.publisher(Script::last_word(feed, source, number));
            last_word.run().await;
            tokio::time::sleep(UNTIL_SEEN).await;
            self.all_see_all("after a last word");
        }
        self.end_is_as_the_book_says();
    }

    /// Until all that is to be said is acknowledged.
    async fn say_all(&self, programs: &[Vec<Publisher>]) {
        let mut publishers = JoinSet::new();
        for program in programs.iter().cloned() {
            publishers.spawn(async move {
                for publisher in program {
                    match publisher.script.source {
                        "http" => publisher.run_over_http().await,
                        _ => publisher.run().await,
                    }
                }
            });
        }
        let done = async { while publishers.join_next().await.is_some() {} };
        if tokio::time::timeout(NEVER, done).await.is_err() {
            self.world.wrong("publishers do not come to their end");
        }
    }

    fn subscribe(&mut self, number: usize, feeds: &[FeedId], view: FoldView, is_slow: bool) {
        let screens = feeds.iter().map(|feed| (feed.clone(), view, Arc::new(Mutex::new(Screen::default()))));
        let first = self.screens.len();
        self.screens.extend(screens);
        let feeds = self.screens[first..].iter().map(|(feed, _, screen)| Followed::new(feed, screen)).collect();
        let (world, network, disk) = (self.world.clone(), self.network.clone(), self.disk.clone());
        self.tasks.spawn(Subscriber { world, network, disk, number, feeds, view, is_slow }.run());
    }

    fn publisher(&mut self, script: Script) -> Publisher {
        let script = Arc::new(script);
        self.scripts.push(script.clone());
        let (world, network) = (self.world.clone(), self.network.clone());
        Publisher { world, network, disk: self.disk.clone(), script, sent: Arc::default() }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("nothing panics with it")
    }

    /// The source on air.
    fn holder(&self, feed: &FeedId) -> &'static str {
        let mut book = Book::new(FoldView::Interim);
        self.disk().records(feed).iter().for_each(|record| drop(book.take(record)));
        let of_feed = self.scripts.iter().filter(|script| script.feed == *feed);
        of_feed.map(|script| script.source).find(|source| Some(*source) == book.holder()).unwrap_or("nobody")
    }

    /// Every screen shows what a cold fold of the durable records does.
    fn all_see_all(&self, when: &str) {
        for (number, (feed, view, screen)) in self.screens.iter().enumerate() {
            let mut transcript = Transcript::new(*view);
            for (offset, record) in (0..).zip(self.disk().records(feed)) {
                transcript.apply(Offset(offset), record);
            }
            let screen = screen.lock().expect("nothing panics with it");
            self.world.hold(screen.is_live, || format!("subscriber {number} is not live {when}"));
            let (seen, there) = (screen.reader.picture(), picture_of(&transcript).of_reader());
            if seen != there {
                let text = |picture: &crate::model::fold::book::Picture| {
                    let lines = picture.turns.iter().flat_map(|turn| &turn.lines);
                    lines.map(|line| format!("{}.{}", line.key, line.rev)).collect::<Vec<_>>().join(" ")
                };
                let (seen, there) = (text(&seen), text(&there));
                self.world.wrong(format!("subscriber {number} {when} sees\n{seen}\nand there is\n{there}"));
            }
        }
    }

    /// The transcript is what the rules make of the log, and of each source on air what it said in the end, once.
    fn end_is_as_the_book_says(&self) {
        for (number, (feed, view, screen)) in self.screens.iter().enumerate() {
            let records = self.disk().records(feed);
            let mut book = Book::new(*view);
            records.iter().for_each(|record| drop(book.take(record)));
            let seen = screen.lock().expect("nothing panics with it").reader.picture();
            self.world.hold(seen == book.picture().clone().of_reader(), || {
                format!("subscriber {number} sees another transcript than the book says")
            });
            let mut shown: Vec<(String, String)> = seen
                .turns
                .iter()
                .flat_map(|turn| &turn.lines)
                .map(|line| (line.key.clone(), line.text.clone()))
                .collect();
            shown.sort();
            let scripts =
                self.scripts.iter().filter(|script| script.feed == *feed && (Some(script.source) == book.holder()));
            let mut said: Vec<(String, String)> = scripts
                .flat_map(|script| script.outcome.iter().map(|(id, text)| (format!("{}/{id}", script.source), text)))
                .filter_map(|(key, text)| Some((key, text.clone()?)))
                .collect();
            said.sort();
            self.world.hold(shown == said, || format!("subscriber {number} sees {shown:?} of {said:?}"));
        }
        for script in &self.scripts {
            let records = self.disk().records(&script.feed);
            let texts: Vec<String> = records
                .iter()
                .filter_map(|record| match &record.op {
                    Op::Line { lines, .. } => Some(lines.iter().map(|version| version.content.text.to_string())),
                    _ => None,
                })
                .flatten()
                .collect();
            for text in script.outcome.values().flatten() {
                self.world.hold(texts.contains(text), || format!("{text:?} is acknowledged and not in the log"));
            }
        }
    }
}

/// Starts the server, and again whenever it has gone down; for ever.
async fn serve(world: Arc<World>, network: Arc<Network>, disk: Arc<Mutex<Disk>>) {
    let mut downs = 0;
    loop {
        let dies_after = (downs < DOWNS && !world.one_in(5)).then(|| {
            let event = world.one_of(&[Event::Read, Event::Written, Event::Queued, Event::Durable]);
            (1 + world.below(if event == Event::Durable { 12 } else { 80 }), event)
        });
        let life = Life::new(&world, dies_after);
        let log = SimLog::open(&world, &life, &disk);
        let clock = Clock::new({
            let world = world.clone();
            move || world.now()
        });
        let chance = Rng::new({
            let world = world.clone();
            move || world.below(u64::MAX)
        });
        let server = Server::new(Config::default(), log.clone(), clock, chance);
        network.open(server.door(), &life);
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn(server.run(stop.clone().cancelled_owned()));
        world.note("the server is up");
        let stops_after = match downs < DOWNS {
            true => world.wait(120_000),
            false => NEVER * 2,
        };
        let is_planned = tokio::select! {
            biased;
            () = life.died.cancelled() => false,
            () = log.failed.notified() => {
                // Somebody has to see it, and start it again.
                tokio::time::sleep(world.wait(20_000)).await;
                true
            }
            () = tokio::time::sleep(stops_after), if !world.is_calm() => true,
        };
        downs += 1;
        network.close();
        stop.cancel();
        if is_planned && !life.is_over() {
            world.seen("the server stops in good order");
            while running.join_next().await.is_some() {}
        }
        life.died.cancel();
        log.crash();
        disk.lock().expect("nothing panics with it").go_down(&world, is_planned);
        world.note("the server is down");
        tokio::time::sleep(world.wait(3_000)).await;
    }
}
