//! `relay`: follows a vendor's socket, and publishes its captions.

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use http::HeaderValue;
use indicatif::ProgressBar;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::cli::support::line_counts::CountingPublisher;
use crate::cli::support::outcome::Outcome;
use crate::cli::support::outcome::misuse;
use crate::cli::support::output::note;
use crate::cli::support::publish_progress::{SendLoop, SourceWait};
use crate::cli::support::publish_summary::InputFaults;
use crate::cli::support::server_target::{ServerArgs, proxies};
use crate::cli::support::signals::Signals;
use crate::cli::support::vendor_frames::{LOOK_WAIT, VendorOptions, VendorSessions, parse_source, say};
use crate::client::{ConnectionEnd, FollowerEvent, FollowerOptions, HttpClient, SocketFollower, SocketUrl};

const EXAMPLES: &str = "\
Examples:
  captionwire relay ws://engine:9090 --format whisper-live --feed geneva
  captionwire relay wss://meet.example.org/ws --format vexa --feed standup --first '{\"action\":\"subscribe\",…}'

Gives up after 60 seconds if the vendor has never answered (--vendor-wait). Once it has answered, reconnects without a limit.

Reconnects when the vendor's connection breaks. Times then continue with the clock, and numbered speakers are new speakers. What
the vendor sends during the break is lost. Ends when the vendor closes the connection normally (1000).

At the end it prints how many lines were new, repeated, corrected, refused and unreadable. Exit code 1: a line was refused or
unreadable, or was not acknowledged within 5 seconds after SIGTERM or Ctrl-C.";

/// Connect to a vendor's socket, and publish its captions.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RelayCommand {
    #[command(flatten)]
    from: VendorSocketUrl,
    /// Name or URL of a feed; it need not exist yet
    #[arg(long)]
    feed: String,
    /// Name of this source in the feed (default: main)
    #[arg(long, value_parser = parse_source)]
    source: Option<String>,
    /// End the source, and with it the event, when the vendor is done
    #[arg(long)]
    end: bool,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    wait: SourceWait,
    #[command(flatten)]
    vendor: VendorOptions,
    #[command(flatten)]
    url: ServerArgs,
}

/// A vendor's socket.
#[derive(Debug, Args)]
pub(crate) struct VendorSocketUrl {
    /// The vendor's socket: ws://… or wss://…
    #[arg(value_name = "WS_URL")]
    from: String,
    /// First message that the vendor expects on each connection
    #[arg(long, value_name = "MESSAGE")]
    first: Option<String>,
    /// Value of the `Authorization` header for the vendor
    #[arg(long, env = "CAPTIONWIRE_RELAY_AUTHORIZATION", hide_env_values = true, value_name = "VALUE")]
    authorization: Option<String>,
    /// Seconds to try to reach a vendor that has not answered yet. One that answered once is waited for without a limit
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    vendor_wait: u64,
}

impl VendorSocketUrl {
    pub(crate) fn follower(&self) -> anyhow::Result<SocketFollower> {
        let authorization = self.authorization.as_deref().map(HeaderValue::from_str).transpose();
        let mut authorization = authorization.context("the value of --authorization cannot be a header")?;
        if let Some(value) = &mut authorization {
            value.set_sensitive(true);
        }
        let first_wait = Some(Duration::from_secs(self.vendor_wait));
        let options =
            FollowerOptions { authorization, first: self.first.clone(), first_wait, ..FollowerOptions::default() };
        Ok(SocketFollower::new(SocketUrl::parse(&self.from)?.with_proxies(&proxies())?, options))
    }

    /// Explains why following the vendor ended.
    pub(crate) fn ended(&self, why: ConnectionEnd) -> anyhow::Error {
        let what = match why.is_temporary() {
            true => format!(
                "the vendor did not answer within {} seconds (--vendor-wait): is the address right, and does it run?",
                self.vendor_wait
            ),
            false => "following the vendor ended".to_owned(),
        };
        anyhow::Error::new(why).context(what)
    }
}

impl RelayCommand {
    pub(crate) async fn run(self) -> anyhow::Result<Outcome> {
        let signals = Signals::new()?;
        let Some(format) = self.vendor.format else { misuse!("name the vendor's format with --format") };
        let url = self.url.socket(&self.feed, "publish")?;
        let feed = url.feed().map_or(self.feed.clone(), |feed| feed.to_string());
        let follower = self.from.follower()?;
        let mut options = self.vendor.publisher(self.source.clone(), None);
        options.take_over = self.wait.take_over;
        let http = HttpClient::new(url.server()).with_wait(LOOK_WAIT);
        let publisher = CountingPublisher::start(url, options);
        let patience = self.wait.patience(false);
        let bar = ProgressBar::hidden();
        let sending = SendLoop { publisher, feed: &feed, patience, end: self.end, json: self.json, bar };
        let follow = async |publisher: &CountingPublisher, faults: &mut InputFaults, stop: &CancellationToken| {
            let lines = self.vendor.earlier_lines(publisher, &http, &feed, self.source.as_deref(), true);
            let lines = stop.run_until_cancelled(lines).await.flatten();
            let session = self.vendor.begin(format, self.source.as_deref(), lines);
            self.from.follow(session, follower, publisher, &mut faults.unreadable, stop).await
        };
        sending.run(signals, follow).await
    }
}

impl VendorSocketUrl {
    /// Publishes what the vendor sends, until it has finished.
    async fn follow(
        &self,
        mut session: VendorSessions,
        mut follower: SocketFollower,
        publisher: &CountingPublisher,
        problems: &mut u64,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut began: Option<Instant> = None;
        loop {
            let due = began.and_then(|began| Some((began, session.due(began)?)));
            let (since, until) = due.unwrap_or((Instant::now(), Instant::now()));
            let followed = tokio::select! {
                biased;
                () = stop.cancelled() => return say(session.end(), "the end", publisher, problems).await,
                followed = follower.next() => followed.map_err(|why| self.ended(why))?,
                () = sleep_until(until), if due.is_some() => {
                    say(session.rest(since.elapsed()), "a pause", publisher, problems).await?;
                    continue;
                }
            };
            match followed {
                FollowerEvent::Connected { after } if began.is_none() => {
                    began = Some(Instant::now());
                    session.elapsed(after);
                    note("connected to the vendor");
                }
                FollowerEvent::Connected { after } => {
                    note("connected to the vendor again");
                    say(session.reconnect(after), "a new connection", publisher, problems).await?;
                }
                FollowerEvent::Frame(frame) => {
                    session.elapsed(began.map_or(Duration::ZERO, |began| began.elapsed()));
                    say(session.decode(&frame), "a frame", publisher, problems).await?;
                }
                FollowerEvent::Disconnected { why, retry_in } => {
                    let retry = retry_in.as_secs_f32();
                    note(&format!("the vendor: {why}; trying again in {retry:.1} s"));
                    say(session.end(), "the end", publisher, problems).await?;
                }
                FollowerEvent::Done => return say(session.end(), "the end", publisher, problems).await,
            }
        }
    }
}
