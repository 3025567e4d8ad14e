//! `push`: posts the final lines of a feed to a caption URL, for as long as the command runs.
//!
//! It does what `[[push]]` does within the server, but from outside: for anyone who may read the feed, to the caption
//! URL of one meeting. Nothing is stored between two runs; `--seq` sets the next number.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use clap::{Args, ValueEnum};
use http::Method;
use tokio::time::{Instant, sleep, sleep_until};

use crate::cli::support::outcome::Outcome;
use crate::cli::support::outcome::misuse;
use crate::cli::support::output::{note, print_json};
use crate::cli::support::server_target::{ServerArgs, proxies};
use crate::cli::support::signals::Signals;
use crate::client::{
    Backoff, CaptionFormat, CaptionUrl, PostUrl, Screen, Subscriber, SubscriberOptions, Update, Verdict, post,
};
use crate::config::{DeliveriesConfig, GIVE_UP_AFTER_MS, HEARTBEAT_MS};
use crate::server::{Clock, Rng};
use crate::transcript::{FeedState, Line};

const EXAMPLES: &str = "\
Examples:
  captionwire push geneva 'https://wmcc.zoom.us/closedcaption?id=…' --format zoom --lang en-US
  captionwire push geneva 'https://upload.youtube.com/closedcaption?cid=…' --format youtube
  captionwire push geneva http://other:7700/v1/feeds/copy/zoom --format zoom --from start

Each final line is posted once, in the order in which lines became final. Posted text cannot be taken back, so corrections are not
sent. A line that is not accepted is posted again. A line that is refused for a minute is skipped, and the exit code is then 1.
Ends with the event, or with Ctrl-C. docs/webhooks.md describes the requests.

At the end it prints how many lines were new (accepted by the URL), repeated (new ones posted more than once, because no answer
came), corrected or retracted after they were posted (which is not sent), refused and skipped, and unreadable (without text). Exit
codes: 0 everything was accepted; 1 something was refused or unreadable; 2 wrong usage.";

/// Post a feed's final lines to a caption URL (Zoom, YouTube)
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PushCommand {
    /// A feed, or the URL of one; it need not exist yet
    #[arg(value_name = "FEED|URL")]
    feed: String,
    /// The caption URL, as the meeting or the broadcast gives it out
    #[arg(env = "CAPTIONWIRE_PUSH_TO", hide_env_values = true, value_name = "CAPTION_URL", value_parser = caption_url)]
    to: PostUrl,
    /// zoom or youtube
    #[arg(long)]
    format: CaptionFormat,
    /// Start with lines from now on, or at the start of the feed
    #[arg(long, default_value = "now")]
    from: PushStart,
    /// The language of the captions, such as en-US (zoom)
    #[arg(long)]
    lang: Option<String>,
    /// Added to the times of day; below zero where the video is ahead of its captions (youtube)
    #[arg(long, value_name = "MS", default_value_t = 0, allow_negative_numbers = true)]
    offset_ms: i64,
    /// Number of the first caption; by default one more than the last that the URL reports, or 1 if it reports none
    #[arg(long)]
    seq: Option<u64>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    url: ServerArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PushStart {
    Now,
    Start,
}

/// The error does not show the URL, because it may hold a key.
fn caption_url(text: &str) -> Result<PostUrl, String> {
    PostUrl::parse(text).map_err(|error| error.to_string())
}

impl PushCommand {
    pub(crate) async fn run(mut self) -> anyhow::Result<Outcome> {
        let mut signals = Signals::new()?;
        if let Some(lang) = &self.lang
            && !lang.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        {
            misuse!("{lang:?} is no language such as en-US");
        }
        // Always from the start, so that a correction of an old line is recognized.
        let options = SubscriberOptions { interim: false, wait: true, ..SubscriberOptions::default() };
        let mut subscriber = Subscriber::new(self.url.socket(&self.feed, "subscribe")?, options);
        self.to = self.to.with_proxies(&proxies())?;
        let mut pushing = PushLoop::new(&self).await;
        let pushed = tokio::select! {
            pushed = pushing.follow(&mut subscriber) => pushed,
            () = signals.next() => Ok(()),
        };
        pushing.tell(self.json)?;
        if pushing.waiting > 0 {
            note(&format!("{} lines were not accepted yet and will not be posted", pushing.waiting));
        }
        let PushCounts { refused, unreadable, .. } = pushing.counts;
        pushed.map(|()| Outcome::of_problems(refused + unreadable + pushing.waiting))
    }
}

/// Number of lines of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
struct PushCounts {
    /// Posted and accepted.
    new: u64,
    /// Of these, posted more than once, because there was no answer or an error: viewers may see them twice.
    repeated: u64,
    /// Changed or retracted after they were posted, which cannot be posted.
    corrected: u64,
    /// Refused for so long that they were skipped.
    refused: u64,
    /// Lines without a text that could be posted.
    unreadable: u64,
}

/// State of a push.
struct PushLoop<'a> {
    to: CaptionUrl<'a>,
    wait: Duration,
    backoff: Backoff,
    clock: Clock,
    chance: Rng,
    /// Keys of known lines; true for those that were posted.
    known: HashMap<Arc<str>, bool>,
    /// True if new lines are posted; otherwise they are only noted.
    is_begun: bool,
    seq: u64,
    counts: PushCounts,
    /// Lines to be posted that were not accepted yet.
    waiting: u64,
    spoke: Instant,
}

impl<'a> PushLoop<'a> {
    async fn new(push: &'a PushCommand) -> Self {
        let lang = push.lang.as_deref();
        let to = CaptionUrl { url: &push.to, format: push.format, lang, offset_ms: push.offset_ms };
        let limits = DeliveriesConfig::default();
        let ms = Duration::from_millis;
        let wait = ms(limits.timeout_ms);
        let seq = match push.seq {
            Some(seq) => seq,
            None => {
                let last = to.last_seq(wait).await;
                if last.is_none() && push.format == CaptionFormat::Zoom {
                    note(
                        "the caption URL did not report the number of its last caption, so numbers begin at 1. If \
                         captions were posted there before, set the next number with --seq; otherwise the URL may \
                         ignore them",
                    );
                }
                last.map_or(1, |last| last.saturating_add(1))
            }
        };
        Self {
            to,
            wait,
            backoff: Backoff { first: ms(limits.retry_first_ms), max: ms(limits.retry_max_ms) },
            clock: Clock::of_this_machine(),
            chance: Rng::of_this_machine(),
            known: HashMap::new(),
            is_begun: push.from == PushStart::Start,
            seq,
            counts: PushCounts::default(),
            waiting: 0,
            spoke: Instant::now(),
        }
    }

    /// Posts new lines until the feed has ended. While a line waits to be accepted, the server's changes merge.
    async fn follow(&mut self, subscriber: &mut Subscriber) -> anyhow::Result<()> {
        loop {
            let update = tokio::select! {
                biased;
                update = subscriber.next() => update?,
                () = sleep_until(self.spoke + Duration::from_millis(HEARTBEAT_MS)) => {
                    self.heartbeat(subscriber.screen().state()).await;
                    continue;
                }
            };
            match update {
                None => return Ok(()),
                Some(Update::Changed(changed)) => {
                    self.note_gone(&changed.gone);
                    self.take(&changed.lines, subscriber.screen()).await?;
                    if changed.whole && subscriber.screen().state() == FeedState::Ended {
                        return Ok(());
                    }
                }
                Some(Update::Live) => {
                    if !std::mem::replace(&mut self.is_begun, true) {
                        note(&format!("lines from now on go to {}", self.to.url));
                    }
                }
                Some(Update::Reset { .. }) => {
                    note("the transcript starts over: lines that it holds already are not pushed");
                    (self.is_begun, self.known) = (false, HashMap::new());
                }
                Some(Update::Disconnected { why, retry_in }) => {
                    note(&format!("{why}; trying again in {:.1} s", retry_in.as_secs_f32()));
                }
                Some(Update::Hello { state: FeedState::None }) => {
                    note("there is no such feed yet; waiting for it");
                    // Everything in a feed that begins now is new.
                    self.is_begun = true;
                }
                Some(_) => {}
            }
        }
    }

    /// Counts retracted lines that were posted. If one is restored, it is not posted again.
    fn note_gone(&mut self, keys: &[Arc<str>]) {
        let posted = keys.iter().filter(|key| self.known.get(*key) == Some(&true)).count();
        self.counts.corrected += posted as u64;
    }

    /// Posts those of these lines that are new, in order.
    async fn take(&mut self, keys: &[Arc<str>], screen: &Screen) -> anyhow::Result<()> {
        let mut new = Vec::new();
        for key in keys {
            match self.known.get(key) {
                Some(is_posted) => self.counts.corrected += u64::from(*is_posted),
                None => {
                    self.known.insert(key.clone(), self.is_begun);
                    new.push(key);
                }
            }
        }
        if !self.is_begun {
            return Ok(());
        }
        let mut lines: Vec<&Line> = new.into_iter().filter_map(|key| screen.line(key)).collect();
        lines.sort_by(|a, b| a.sort.cmp(&b.sort));
        self.waiting = lines.len() as u64;
        for line in lines {
            self.push(line).await?;
            self.waiting -= 1;
        }
        Ok(())
    }

    /// Posts a line until it is accepted; one that is refused for long is skipped.
    async fn push(&mut self, line: &Line) -> anyhow::Result<()> {
        if line.text.trim().is_empty() {
            self.counts.unreadable += 1;
            return Ok(());
        }
        let (url, body) = self.to.caption(self.seq, line.received_at, &line.text);
        // True if an attempt had no answer, and so may have been accepted.
        let mut is_unanswered = false;
        for failures in 0.. {
            let posted = post(&url, Method::POST, &CaptionUrl::headers(), body.clone(), self.wait).await;
            self.spoke = Instant::now();
            let (cause, mut verdict) = match posted {
                Ok(answer) => (answer.cause(), answer.verdict(self.clock.now())),
                Err(error) => {
                    is_unanswered = true;
                    (error.to_string(), Verdict::Later(None))
                }
            };
            // The number may be refused because an earlier attempt was accepted.
            if verdict == Verdict::Refused
                && is_unanswered
                && self.to.last_seq(self.wait).await.is_some_and(|last| last >= self.seq)
            {
                verdict = Verdict::Taken;
            }
            let age_ms = self.clock.now().since(line.received_at);
            let after = match verdict {
                Verdict::Taken => {
                    self.seq = self.seq.saturating_add(1);
                    self.counts.new += 1;
                    self.counts.repeated += u64::from(failures > 0);
                    return Ok(());
                }
                Verdict::Gone => bail!("{url}: {cause}: the caption URL accepts no more captions"),
                Verdict::Refused if age_ms >= GIVE_UP_AFTER_MS as i64 => {
                    self.counts.refused += 1;
                    let maybe = if is_unanswered {
                        "; it may have arrived all the same: one attempt had no answer"
                    } else {
                        ""
                    };
                    note(&format!("a line was skipped: {cause}{maybe}"));
                    return Ok(());
                }
                Verdict::Refused => None,
                Verdict::Later(after) => after,
            };
            if failures == 0 {
                note(&format!("{url}: {cause}; retrying until it is accepted"));
            }
            sleep(self.backoff.wait(failures, self.chance.next()).max(after.unwrap_or_default())).await;
        }
        Ok(())
    }

    /// Sends YouTube a heartbeat after a silence. The answer does not matter.
    async fn heartbeat(&mut self, state: FeedState) {
        self.spoke = Instant::now();
        if self.to.format == CaptionFormat::YouTube && state == FeedState::Live {
            let _ = post(self.to.url, Method::POST, &CaptionUrl::headers(), Bytes::new(), self.wait).await;
        }
    }

    fn tell(&self, json: bool) -> anyhow::Result<()> {
        #[derive(serde::Serialize)]
        struct PushNotices<'a> {
            #[serde(flatten)]
            counts: &'a PushCounts,
            next_seq: u64,
        }
        let Self { counts, seq, .. } = self;
        if json {
            return print_json(&PushNotices { counts, next_seq: *seq });
        }
        let PushCounts { new, repeated, corrected, refused, unreadable } = counts;
        note(&format!(
            "{new} new, {repeated} of them repeated, {corrected} corrected later, {refused} refused, {unreadable} unreadable; \
             the next is number {seq}"
        ));
        Ok(())
    }
}
