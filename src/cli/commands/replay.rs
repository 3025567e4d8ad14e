//! `replay`: publishes a transcript again as if it were spoken now.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use indicatif::ProgressBar;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::cli::commands::replay_raw::RawCommand;
use crate::cli::support::input_files::{FileSummary, feed_name, read_file, read_input, tell};
use crate::cli::support::line_counts::CountingPublisher;
use crate::cli::support::outcome::Outcome;
use crate::cli::support::outcome::misuse;
use crate::cli::support::output::{counted, note, progress_bar};
use crate::cli::support::problem_summary::ProblemSummary;
use crate::cli::support::publish_progress::{SendLoop, SourceWait, WaitLimits, with_events};
use crate::cli::support::publish_summary::{InputFaults, PublishSummary};
use crate::cli::support::server_target::ServerArgs;
use crate::cli::support::shown_lines::shown_lines;
use crate::cli::support::signals::Signals;
use crate::cli::support::vendor_frames::VendorOptions;
use crate::client::{HttpClient, PublishError, PublisherOptions, SocketUrl};
use crate::format::TextEncoding;
use crate::position::FeedId;
use crate::transcript::line::check_line_id;
use crate::transcript::time::clock;
use crate::transcript::{Content, FeedState, Line, Status, Version};
use crate::wire::Outgoing;
use crate::wire::subscriber::Pace;

const EXAMPLES: &str = "\
Examples:
  captionwire replay hearing.rev.txt --pace 20               into the feed `hearing`, twenty times as fast
  captionwire replay hearing --to again --pace max           an archived feed into another one, at once
  captionwire replay hearing.rev.txt --new                   into `hearing-2` if `hearing` has other lines or is over
  captionwire replay hearing --to ws://127.0.0.1:7701/v1/feeds/again/publish
  captionwire replay session.ndjson --raw --format deepgram --to again    what `capture` recorded of a vendor
  captionwire replay hearing.ndjson --raw --to again                      what `export --raw` gave of a feed

A feed that has other lines is left alone, unless --append adds to it or --new takes a new name. Without --to, a replay never goes
to an event that has ended, but to a new feed. A replay that was interrupted continues: lines that are there already count as
repeated. It reports how much of a file was repaired, how much was left out, and why. Exit code 1: something was refused, repaired
or left out, or SIGTERM or Ctrl-C stopped it; then it reports what was accepted so far, and leaves the event open.

An argument that names a file is that file; one that names a folder and has a `/` in it is that folder; any other is a feed. To
watch an archived feed again without publishing it, use `captionwire watch FEED --pace 20`.";

/// Play a transcript file or an archived feed into a server, as a live publisher.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReplayCommand {
    /// A transcript file, or a folder of EBU-TT Live documents (with a `/`), or a feed of the server
    #[arg(value_name = "FILE|FEED")]
    what: String,
    /// Destination: a feed of the server, or the URL of one. Default: the feed named after the file, or FEED-replay for a
    /// feed; a new feed if that one has ended
    #[arg(long, value_name = "FEED|URL")]
    to: Option<String>,
    /// Speed: 2 is twice as fast as it was spoken, from 0.01 to 100000, or `max`
    #[arg(long, default_value = "1", value_parser = pace)]
    pace: Pace,
    /// Send first guesses that grow word by word, as a speech engine does
    #[arg(long)]
    interim: bool,
    /// The file is a recording of a vendor's socket, by `capture` (then --format names its format) or `export --raw`
    #[arg(long, conflicts_with = "interim")]
    raw: bool,
    #[command(flatten)]
    vendor: VendorOptions,
    /// Add to the lines that the feed has, and leave its event open; without it a feed that has other lines is refused
    #[arg(long)]
    append: bool,
    /// If the feed has other lines or has ended, use a new feed with a similar name, and print its name
    #[arg(long, conflicts_with = "append")]
    new: bool,
    #[command(flatten)]
    wait: SourceWait,
    /// The encoding of the file, such as windows-1252 or shift_jis; by default its content says so, or lets it be guessed
    #[arg(long, value_name = "NAME", conflicts_with = "raw")]
    encoding: Option<TextEncoding>,
    /// Lines of the file at which another recording begins, whose clock starts over; not needed where the file itself shows it
    #[arg(long, value_name = "LINE", value_delimiter = ',', conflicts_with = "raw")]
    part_at: Vec<usize>,
    /// Leave the event open at the end
    #[arg(long)]
    no_end: bool,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    url: ServerArgs,
}

/// Parses a pace other than `step`, which is useless without commands.
pub(crate) fn pace(text: &str) -> Result<Pace, String> {
    match text.parse() {
        Ok(Pace::Step) | Err(_) => Err("a number from 0.01 to 100000, or max".into()),
        Ok(pace) => Ok(pace),
    }
}

impl ReplayCommand {
    pub(crate) async fn run(self) -> anyhow::Result<Outcome> {
        let signals = Signals::new()?;
        if self.raw {
            return self.run_raw(signals).await;
        }
        if self.vendor.format.is_some() {
            misuse!("--format is for recordings of vendors: add --raw");
        }
        let (lines, default_name, problems) = self.lines().await?;
        let ReplayTarget { to, feed, there, is_left_open } = self.target(&lines, default_name).await?;
        note(&format!("{} for {}", counted(lines.len() as u64, "line"), to.server().page(&feed)));
        let speakers: HashSet<_> = lines.iter().filter_map(|line| line.content.speaker.as_deref()).collect();
        let (count, speakers) = (counted(lines.len() as u64, "line"), counted(speakers.len() as u64, "speaker"));
        let bar = progress_bar(lines.len() as u64, "{bar:30} {pos}/{len} {msg}");
        let play = PacedReplay { lines, pace: self.pace, interim: self.interim, end: self.ends(is_left_open) };
        let options = PublisherOptions { take_over: self.wait.take_over, ..PublisherOptions::default() };
        let publisher = CountingPublisher::start(to, options);
        publisher.know(&there, false);
        let patience = self.wait.patience(true);
        let sending =
            SendLoop { publisher, feed: feed.as_str(), patience, end: false, json: self.json, bar: bar.clone() };
        let what = &self.what;
        let read = async |publisher: &CountingPublisher, faults: &mut InputFaults, stop: &CancellationToken| {
            if let Some(problems) = problems {
                faults.repaired += problems.repaired();
                faults.unreadable += problems.left_out();
                let reasons = problems.reasons().unwrap_or_else(|| "nothing repaired or left out".to_owned());
                bar.suspend(|| note(&format!("{what}: {count} by {speakers}, {reasons}")));
            }
            play.send(publisher, &bar, faults, stop).await
        };
        sending.run(signals, read).await
    }

    /// Returns true if the event ends with the replay.
    fn ends(&self, is_left_open: bool) -> bool {
        if is_left_open && !self.no_end {
            note("the event stays open when this is played (--append)");
        }
        !self.no_end && !is_left_open
    }

    /// Replays a recording of a vendor's socket.
    async fn run_raw(&self, signals: Signals) -> anyhow::Result<Outcome> {
        let path = Path::new(&self.what);
        let default_name = if self.to.is_some() { FeedId::new("replay")? } else { feed_name(path)? };
        let ReplayTarget { to, feed, is_left_open, .. } = self.target(&[], default_name).await?;
        note(&format!("publishing the recording to {}", to.server().page(&feed)));
        // If a recording says that labels are names, none of them looks like an anonymous one.
        let publishing =
            PublisherOptions { anonymous: true, take_over: self.wait.take_over, ..PublisherOptions::default() };
        let publisher = CountingPublisher::start(to, publishing);
        let play = RawCommand { file: path, vendor: &self.vendor, pace: self.pace, end: self.ends(is_left_open) };
        let (patience, bar) = (self.wait.patience(true), ProgressBar::hidden());
        let sending = SendLoop { publisher, feed: feed.as_str(), patience, end: false, json: self.json, bar };
        let read = async |publisher: &CountingPublisher, faults: &mut InputFaults, stop: &CancellationToken| {
            let played = stop.run_until_cancelled(play.send(publisher, &mut faults.unreadable)).await;
            faults.is_cut_short = played.is_none();
            played.unwrap_or(Ok(()))
        };
        sending.run(signals, read).await
    }

    /// Chooses the feed for `lines`: without an option, none that has ended, and none with other lines.
    async fn target(&self, lines: &[Version], default_name: FeedId) -> anyhow::Result<ReplayTarget> {
        let named = self.to.as_ref().map(|to| self.url.socket(to, "publish")).transpose()?;
        let server = match &named {
            Some(to) => to.server(),
            None => self.url.server()?,
        };
        let Some(feed) = named.as_ref().map_or_else(|| Some(default_name.clone()), SocketUrl::feed) else {
            // A URL of another system, of which nothing is known.
            let to = named.unwrap_or_else(|| server.publish(&default_name));
            return Ok(ReplayTarget { to, feed: default_name, there: Vec::new(), is_left_open: false });
        };
        let http = HttpClient::new(server.clone());
        let found = match TargetState::look(&http, &feed, lines).await {
            Ok(found) => found,
            Err(_) if self.append => TargetState::Others(Vec::new(), 0),
            Err(error) => {
                let why = "cannot check whether the feed has other lines (--append publishes to it anyway)";
                return Err(error.context(format!("{feed}: {why}")));
            }
        };
        let is_archived = matches!(found, TargetState::Ended { .. } | TargetState::Deleted);
        let why = match found {
            TargetState::Free(there) => {
                let to = named.unwrap_or_else(|| server.publish(&feed));
                return Ok(ReplayTarget { to, feed, there, is_left_open: false });
            }
            _ if self.new || self.to.is_none() && is_archived => {
                let feed = free_name(&http, &feed).await?;
                note(&format!("this goes to a new feed: {feed}"));
                return Ok(ReplayTarget { to: server.publish(&feed), feed, there: Vec::new(), is_left_open: false });
            }
            TargetState::Others(there, _) if self.append => {
                let to = named.unwrap_or_else(|| server.publish(&feed));
                return Ok(ReplayTarget { to, feed, there, is_left_open: true });
            }
            TargetState::Others(_, count) => format!("has {count} other lines: --append adds to them"),
            TargetState::Ended { is_same: true } if named.is_some() => {
                let there = shown_lines(&http, &feed).await?;
                let to = named.unwrap_or_else(|| server.publish(&feed));
                return Ok(ReplayTarget { to, feed, there, is_left_open: false });
            }
            TargetState::Ended { .. } => "is over: it takes no new lines".to_owned(),
            TargetState::Deleted => "was deleted: create it anew first".to_owned(),
        };
        bail!("the feed {feed} {why}, --new takes a new name, --to another feed")
    }

    /// Returns the lines to replay, the default name of their feed, and the problems of a file.
    async fn lines(&self) -> anyhow::Result<(Vec<Version>, FeedId, Option<ProblemSummary>)> {
        let path = Path::new(&self.what);
        // A folder is recognized by a `/` in its name, because a feed has none.
        if path.is_file() || path.is_dir() && FeedId::new(&self.what).is_err() {
            let (lines, problems) = file_lines(&read_input(path)?, path, self.encoding, &self.part_at)?;
            return Ok((lines, feed_name(path)?, Some(problems)));
        }
        let Ok(feed) = FeedId::new(&self.what) else {
            bail!("there is no file {}, and this is no valid name of a feed", path.display());
        };
        let lines = feed_lines(&HttpClient::new(self.url.server()?), &feed).await;
        let lines = lines.with_context(|| {
            let folder = if path.is_dir() { format!(" (to play the folder, write {feed}/)") } else { String::new() };
            format!("there is no file {feed}{folder}, and the feed cannot be read")
        })?;
        Ok((lines, FeedId::new(&format!("{feed}-replay"))?, None))
    }
}

/// Target of a replay.
struct ReplayTarget {
    to: SocketUrl,
    feed: FeedId,
    /// Lines that are there already.
    there: Vec<Line>,
    /// True if the feed has other lines, whose event must stay open.
    is_left_open: bool,
}

/// State of the target feed.
enum TargetState {
    /// Empty, or with a part of these lines: an interrupted replay is resumed.
    Free(Vec<Line>),
    /// With other lines; the number is theirs.
    Others(Vec<Line>, usize),
    /// Ended; `is_same` if it has only lines of this replay.
    Ended { is_same: bool },
    /// Deleted, so that the name is not free.
    Deleted,
}

impl TargetState {
    async fn look(http: &HttpClient, feed: &FeedId, lines: &[Version]) -> anyhow::Result<Self> {
        let info = match http.feed(feed).await {
            Ok(None) => return Ok(Self::Free(Vec::new())),
            Ok(Some(info)) => info,
            Err(error) if error.code() == Some("feed_deleted") => return Ok(Self::Deleted),
            Err(error) => return Err(error.into()),
        };
        let there = if info.lines == 0 { Vec::new() } else { shown_lines(http, feed).await? };
        let ours: HashMap<&str, &Content> = lines.iter().map(|line| (&*line.id, &line.content)).collect();
        let is_ours = |line: &&Line| {
            let content = ours.get(&*line.id);
            content.is_some_and(|content| content.text == line.text && content.start_ms == Some(line.start_ms))
        };
        let others = there.len() - there.iter().filter(is_ours).count();
        Ok(match info.state {
            FeedState::Ended => Self::Ended { is_same: others == 0 && !there.is_empty() },
            _ if others == 0 => Self::Free(there),
            _ => Self::Others(there, others),
        })
    }
}

/// Returns the first of `NAME-2`, `NAME-3` and so on that is free.
async fn free_name(http: &HttpClient, feed: &FeedId) -> anyhow::Result<FeedId> {
    /// With so many replays of one event, the user should choose a name.
    const NAMES_MAX: usize = 1_000;
    for number in 2..NAMES_MAX {
        let name = FeedId::new(&format!("{feed}-{number}"))?;
        match http.feed(&name).await {
            Ok(None) => return Ok(name),
            Ok(Some(_)) => {}
            Err(error) if error.code() == Some("feed_deleted") => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("there are {NAMES_MAX} feeds called {feed}-…: name one with --to")
}

/// Returns the lines of a transcript file; reports what could not be read.
pub(crate) fn file_lines(
    bytes: &[u8],
    path: &Path,
    encoding: Option<TextEncoding>,
    parts_at: &[usize],
) -> anyhow::Result<(Vec<Version>, ProblemSummary)> {
    let known = FileSummary { encoding, parts_at, is_published: true, ..FileSummary::default() };
    let reading = read_file(bytes, path, &known).with_context(|| format!("cannot read {}", path.display()))?;
    tell(path, &reading.problems);
    tell(path, &reading.losses);
    tell(path, &reading.estimated);
    let problems = ProblemSummary::of(&reading);
    let mut lines: Vec<_> = reading.lines.into_iter().map(in_its_place).collect();
    give_sendable_ids(&mut lines);
    Ok((lines, problems))
}

/// Assigns new ids to lines that a server kept beside others with the same id (`7~s2`), because a publisher cannot send
/// a `~`.
fn give_sendable_ids(lines: &mut [Version]) {
    let (sendable, others): (Vec<_>, Vec<_>) = lines.iter_mut().partition(|line| check_line_id(&line.id).is_ok());
    let mut taken: HashSet<Arc<str>> = sendable.iter().map(|line| line.id.clone()).collect();
    for (number, line) in others.into_iter().enumerate() {
        let like_it = line.id.replace('~', ":");
        let ids = [like_it].into_iter().chain((number..).map(|number| format!("beside-{number}")));
        let free = ids.map(Arc::from).find(|id| check_line_id(id).is_ok() && !taken.contains(id));
        line.id = free.expect("there are more numbers than lines");
        taken.insert(line.id.clone());
    }
}

/// Gives a line without a time that of its place in the file (semantics, section 4). Sent without one it would get its
/// time of arrival, which at another pace is between other lines.
fn in_its_place(mut line: Version) -> Version {
    line.content.start_ms = line.content.start_ms.or(line.arrival_ms);
    line
}

/// Returns the final lines of a feed, to be published again.
async fn feed_lines(http: &HttpClient, feed: &FeedId) -> anyhow::Result<Vec<Version>> {
    let mut lines: Vec<_> = shown_lines(http, feed).await?.into_iter().map(version).collect();
    give_sendable_ids(&mut lines);
    Ok(lines)
}

/// Returns a line as a version, at its place, whether its time was its own or assigned.
fn version(line: Line) -> Version {
    let (id, start_ms) = (line.id.clone(), Some(line.start_ms));
    let content = Content { status: Status::Final, start_ms, ..line.into_content() };
    Version { id, content, ..Version::default() }
}

/// Lines to be published as if they were spoken now.
#[derive(Debug)]
pub(crate) struct PacedReplay {
    pub(crate) lines: Vec<Version>,
    pub(crate) pace: Pace,
    pub(crate) interim: bool,
    pub(crate) end: bool,
}

impl PacedReplay {
    /// Publishes them to the end, and waits until everything is answered.
    pub(crate) async fn publish(
        self,
        publisher: CountingPublisher,
        feed: &FeedId,
        bar: &ProgressBar,
    ) -> anyhow::Result<PublishSummary> {
        let mut faults = InputFaults::default();
        let sending = async {
            self.send(&publisher, bar, &mut faults, &CancellationToken::new()).await?;
            Ok(publisher.hear_all().await?)
        };
        with_events(&publisher, bar, WaitLimits::ENDLESS, sending).await?;
        let published = publisher.published(feed.as_str(), faults);
        publisher.close().await?;
        Ok(published)
    }

    /// Sends the lines in time; if stopped, leaves the event open, so that the rest can be replayed later.
    async fn send(
        &self,
        publisher: &CountingPublisher,
        bar: &ProgressBar,
        faults: &mut InputFaults,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let first_ms = self.lines.first().and_then(|line| line.content.start_ms).unwrap_or(0);
        let began = Instant::now();
        let due_at = |line: &Version| {
            let spoken = Duration::from_millis(u64::try_from(line.content.start_ms? - first_ms).unwrap_or(0));
            match self.pace {
                Pace::Times(times) => Some(began + spoken.div_f64(times)),
                Pace::Max | Pace::Step => None,
            }
        };
        for (index, line) in self.lines.iter().enumerate() {
            let playing = async {
                if let Some(due) = due_at(line) {
                    sleep_until(due).await;
                    if self.interim {
                        let next_due = self.lines.get(index + 1).and_then(due_at);
                        grow(publisher, line, next_due.map_or(Duration::ZERO, |next| next - due)).await?;
                    }
                }
                send_line(publisher, line, bar, faults).await
            };
            let Some(sent) = stop.run_until_cancelled(playing).await else {
                faults.is_cut_short = true;
                bar.suspend(|| note(&format!("stopped: {index} of {} lines were played", self.lines.len())));
                return Ok(());
            };
            sent?;
            bar.set_message(line.content.start_ms.map(clock).unwrap_or_default());
            bar.inc(1);
        }
        if self.end {
            publisher.send(&"the end of the event".into(), &Outgoing::End).await?;
        }
        Ok(())
    }
}

/// Describes the place of a line, for people.
fn place_of(line: &Version) -> String {
    format!("line {} ({})", line.id, clock(line.content.start_ms.unwrap_or_default()))
}

/// Sends a line. If it is too large for the server, sends it without the times of its words, or not at all, and reports
/// that.
async fn send_line(
    publisher: &CountingPublisher,
    line: &Version,
    bar: &ProgressBar,
    faults: &mut InputFaults,
) -> anyhow::Result<()> {
    let mut line = line.clone();
    let place: Arc<str> = place_of(&line).into();
    loop {
        let error = match publisher.send(&place, &Outgoing::Line(line.clone())).await {
            Ok(_) => return Ok(()),
            Err(error @ PublishError::TooLarge { .. }) => error,
            Err(error) => return Err(error.into()),
        };
        if std::mem::take(&mut line.content.words).is_empty() {
            faults.unreadable += 1;
            bar.suspend(|| note(&format!("{place} was not sent: {error}")));
            return Ok(());
        }
        faults.repaired += 1;
        bar.suspend(|| note(&format!("{place} is sent without the times of its words: {error}")));
    }
}

/// Sends interim versions of `line` that grow word by word, so that the whole line is due shortly before `spoken_for`
/// has passed.
async fn grow(publisher: &CountingPublisher, line: &Version, spoken_for: Duration) -> anyhow::Result<()> {
    /// As often as a speech engine changes its guess.
    const STEP: Duration = Duration::from_millis(200);
    let began = Instant::now();
    let steps = (spoken_for.mul_f64(0.9).as_millis() / STEP.as_millis()).min(50) as usize;
    let place = place_of(line).into();
    let text = &line.content.text;
    let ends: Vec<usize> = text.match_indices(' ').map(|(at, _)| at).collect();
    for step in 1..=steps {
        let words = ends.len() * step / (steps + 1);
        if let Some(end) = words.checked_sub(1).and_then(|last| ends.get(last)) {
            let mut guess = line.clone();
            (guess.content.text, guess.content.status) = (text[..*end].into(), Status::Interim);
            guess.content.end_ms = None;
            guess.content.words = Vec::new();
            match publisher.send(&place, &Outgoing::Line(guess)).await {
                // If the line itself is too large, that is reported.
                Ok(_) | Err(PublishError::TooLarge { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        sleep_until(began + STEP * step as u32).await;
    }
    Ok(())
}
