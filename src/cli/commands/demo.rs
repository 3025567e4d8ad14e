//! `demo`: a server, a publisher and a viewer in one, over real sockets.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;

use crate::cli::commands::replay::{PacedReplay, file_lines, pace};
use crate::cli::commands::watch::{WatchView, follow};
use crate::cli::support::line_counts::CountingPublisher;
use crate::cli::support::local_server::LocalServer;
use crate::cli::support::logging;
use crate::cli::support::outcome::Outcome;
use crate::cli::support::output::{is_live_terminal, note, print};
use crate::cli::support::signals::Signals;
use crate::client::{HttpClient, PublisherOptions, Subscriber, SubscriberOptions, random_name};
use crate::config::{Config, Storage};
use crate::position::FeedId;
use crate::server::ServerError;
use crate::wire::subscriber::Pace;

/// An invented public hearing of 65 minutes.
const HEARING: &str = include_str!("../../../examples/hearing.rev.txt");
const HEARING_NAME: &str = "hearing.rev.txt";
const HEARING_TITLE: &str = "a public hearing in Port Averill";

const EXAMPLES: &str = "\
Examples:
  captionwire demo                          a hearing of 65 minutes in three and a half
  captionwire demo transcript.txt --pace 1  a transcript of yours, as fast as it was spoken
  captionwire demo --data ./demo-data       keeps the archive, to look at later";

/// Show what this is.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoCommand {
    /// A transcript file; by default the hearing that comes with this program
    file: Option<PathBuf>,
    /// Speed: 2 is twice as fast as it was spoken, from 0.01 to 100000, or `max`
    #[arg(long, default_value = "20", value_parser = pace)]
    pace: Pace,
    /// The directory of the archive, kept; by default one that is removed at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Port to listen on, on this machine only; another one is used if it is not free
    #[arg(long, default_value_t = 7700)]
    port: u16,
    /// Stop after the last line. Without a terminal this is the default
    #[arg(long)]
    exit: bool,
}

/// A directory that is removed with all its contents when dropped.
struct RemoveOnDrop(PathBuf);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        // If this fails, it is in the directory for temporary files, which is cleaned otherwise.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl DemoCommand {
    pub(crate) async fn run(self) -> anyhow::Result<Outcome> {
        let mut signals = Signals::new()?;
        let _logging = logging::start("error", false)?;
        let (lines, name) = match &self.file {
            Some(path) => {
                let bytes = tokio::fs::read(path).await.with_context(|| format!("cannot read {}", path.display()))?;
                (
                    file_lines(&bytes, path, None, &[])?.0,
                    path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                )
            }
            None => (file_lines(HEARING.as_bytes(), Path::new(HEARING_NAME), None, &[])?.0, HEARING_TITLE.to_owned()),
        };
        let (data, _removed) = match &self.data {
            Some(data) => (data.clone(), None),
            None => {
                let data = std::env::temp_dir().join(format!("captionwire-demo-{}", random_name()));
                (data.clone(), Some(RemoveOnDrop(data)))
            }
        };
        let server = self.server(data).await?;
        let http = HttpClient::new(server.url.clone());
        let feed = free_name(&http).await?;
        http.create(&feed, &name).await?;
        let page = server.url.page(&feed);
        print(&format!("This is {name}, captioned live.\nWatch it in a browser too: {page}\n\n"))?;

        let play = PacedReplay { lines, pace: self.pace, interim: true, end: true };
        let mut subscriber = Subscriber::new(server.url.subscribe(&feed), SubscriberOptions::default());
        let mut view = WatchView::for_stdout(&page);
        let bar = ProgressBar::hidden();
        let shown = async {
            let publisher = CountingPublisher::start(server.url.publish(&feed), PublisherOptions::default());
            let played = play.publish(publisher, &feed, &bar);
            let (published, ()) = tokio::try_join!(played, follow(&mut subscriber, &mut view))?;
            anyhow::Ok(published)
        };
        let shown = tokio::select! {
            shown = shown => Some(shown),
            () = signals.next() => None,
        };
        let ended = view.end(subscriber.screen());
        let outcome = match shown {
            Some(Ok(published)) => {
                if is_live_terminal() && !self.exit {
                    note(&format!(
                        "the transcript is complete. The server keeps running at {}; Ctrl-C stops it",
                        server.url
                    ));
                    signals.next().await;
                }
                ended.map(|()| published.outcome())
            }
            Some(Err(error)) => Err(error),
            None => ended.map(|()| Outcome::Done),
        };
        drop(subscriber);
        server.stop().await;
        outcome
    }

    async fn server(&self, data: PathBuf) -> anyhow::Result<LocalServer> {
        let listen = |port| std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let mut config = Config { listen: listen(self.port), data, storage: Storage::Embedded, ..Config::default() };
        // A browser that was left open must not delay the end.
        config.times.shutdown_grace_ms = 2_000;
        match LocalServer::start(config.clone()).await {
            Err(ServerError::Listen { source, .. }) if source.kind() == std::io::ErrorKind::AddrInUse => {
                let server = LocalServer::start(Config { listen: listen(0), ..config }).await?;
                note(&format!("port {} is taken, so this is at {}", self.port, server.url));
                Ok(server)
            }
            started => Ok(started?),
        }
    }
}

/// Returns `demo`, or `demo-2` and so on if the archive has been used before.
async fn free_name(http: &HttpClient) -> anyhow::Result<FeedId> {
    let mut name = FeedId::new("demo")?;
    for number in 2.. {
        if http.feed(&name).await?.is_none() {
            break;
        }
        name = FeedId::new(&format!("demo-{number}"))?;
    }
    Ok(name)
}
