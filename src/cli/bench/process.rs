//! Processes of servers: started on their core, asked for their address, killed, restarted, and always ended.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::machine::{Core, Processes};
use crate::cli::bench::load::StopFlag;

/// Time limit for a server's start.
const START: Duration = Duration::from_secs(30);

/// Interval at which waits check for other events.
const LOOK: Duration = Duration::from_millis(20);

/// Directory and cores of servers.
#[derive(Debug, Clone)]
pub(super) struct ServerLocation {
    /// Directory for archives and logs.
    pub(super) directory: PathBuf,
    pub(super) server_core: Core,
    pub(super) client_core: Core,
}

/// Builds the command that starts a server with this address and directory.
type StartCommand = Box<dyn Fn(SocketAddr, &Path) -> Command>;

/// A running server.
pub(super) struct ServerProcess {
    pub(super) address: SocketAddr,
    pub(super) processes: Processes,
    started: Option<ChildProcess>,
    recipe: Option<StartCommand>,
    place: ServerLocation,
    // Dropped last, because processes write there.
    folder: RunDirectory,
}

impl ServerProcess {
    /// A server that was not started here.
    pub(super) fn found(address: SocketAddr, process: Option<u32>, place: &ServerLocation) -> anyhow::Result<Self> {
        let processes = process.map_or(Processes::Unknown, Processes::One);
        let (folder, place) = (RunDirectory::new(&place.directory)?, place.clone());
        Ok(Self { address, processes, started: None, recipe: None, place, folder })
    }

    /// Starts a server that is given an address to listen on, and announces it on stdout.
    pub(super) fn announced(
        place: &ServerLocation,
        stop: &StopFlag,
        recipe: impl Fn(SocketAddr, &Path) -> Command + 'static,
    ) -> anyhow::Result<Self> {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut server = Self::found(anywhere, None, place)?;
        server.recipe = Some(Box::new(recipe));
        server.start_again(stop)?;
        Ok(server)
    }

    /// Starts a server with a shell, in a process group of its own. It listens at `address`, or announces its address.
    pub(super) fn by_shell(
        text: &str,
        address: Option<SocketAddr>,
        place: &ServerLocation,
        stop: &StopFlag,
    ) -> anyhow::Result<Self> {
        if let Some(address) = address
            && is_listening(address)?
        {
            bail!("somebody listens on {address} already");
        }
        let mut command = Command::new("sh");
        command.args(["-c", text]);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut server = Self::found(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None, place)?;
        let mut started = server.spawn(command, cfg!(unix))?;
        server.processes = Processes::Group(started.child.id());
        server.address = match address {
            Some(address) => started.until_listening(address, stop).map(|()| address),
            None => started.says(stop),
        }
        .with_context(|| server.last_words())?;
        server.started = Some(started);
        Ok(server)
    }

    /// Kills the server, as in a crash, and waits until it is gone.
    pub(super) fn kill(&mut self) {
        self.started = None;
    }

    /// Starts the server again, with its address and directory.
    pub(super) fn start_again(&mut self, stop: &StopFlag) -> anyhow::Result<()> {
        let recipe = self.recipe.as_ref().context("only a server that was started here can be started again")?;
        let command = recipe(self.address, &self.folder.0);
        let mut started = self.spawn(command, false)?;
        self.address = started.says(stop).with_context(|| self.last_words())?;
        self.processes = Processes::One(started.child.id());
        self.started = Some(started);
        Ok(())
    }

    /// Starts a process on the server's core; its log goes to a file.
    fn spawn(&self, mut command: Command, is_group: bool) -> anyhow::Result<ChildProcess> {
        let log = File::options().create(true).append(true).open(self.log()).context("cannot write a log")?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        // A process begins on the cores of the thread that starts it.
        self.place.server_core.pin().with_context(|| format!("there is no core {}", self.place.server_core))?;
        let child = command.spawn();
        self.place.client_core.pin().with_context(|| format!("there is no core {}", self.place.client_core))?;
        let mut child = child.with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
        let stdout = child.stdout.take().expect("it is piped");
        Ok(ChildProcess { child, is_group, says: listen_to(stdout) })
    }

    fn log(&self) -> PathBuf {
        self.folder.0.join("log")
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let last = log.lines().last().unwrap_or("nothing");
        format!("the server did not come up; the last that it said is: {last}")
    }
}

/// A process, or a process group, that is ended when dropped.
struct ChildProcess {
    child: Child,
    is_group: bool,
    says: Receiver<SocketAddr>,
}

impl ChildProcess {
    /// Waits for the announced address.
    fn says(&mut self, stop: &StopFlag) -> anyhow::Result<SocketAddr> {
        let begun = Instant::now();
        while begun.elapsed() < START {
            stop.check()?;
            match self.says.recv_timeout(LOOK) {
                Ok(address) => return Ok(address),
                Err(RecvTimeoutError::Disconnected) => bail!("it ended without saying where it listens"),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        bail!("it does not say where it listens")
    }

    /// Waits until a server listens at `address`.
    fn until_listening(&mut self, address: SocketAddr, stop: &StopFlag) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !is_listening(address)? {
            stop.check()?;
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended ({status})");
            }
            if begun.elapsed() > START {
                bail!("nobody listens on {address}");
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    #[cfg(unix)]
    fn end_group(&mut self) {
        use rustix::process::{Pid, Signal, kill_process_group};
        /// Time for a server to shut down.
        const END: Duration = Duration::from_secs(3);
        let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else { return };
        // Fails only if the processes have ended already.
        let _ = kill_process_group(group, Signal::TERM);
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < END {
            std::thread::sleep(LOOK);
        }
        let _ = kill_process_group(group, Signal::KILL);
    }

    #[cfg(not(unix))]
    fn end_group(&mut self) {}
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        if self.is_group {
            self.end_group();
        }
        // For a process that has ended by itself, this only collects its status.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a process's stdout, so that it never blocks; sends the first address in it.
fn listen_to(stdout: ChildStdout) -> Receiver<SocketAddr> {
    let (sender, receiver) = sync_channel(1);
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(address) = address_in(&line) {
                // Only the first address is awaited.
                let _ = sender.try_send(address);
            }
        }
    });
    receiver
}

/// Parses the address in a text like `listening on http://127.0.0.1:7700`.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://").or_else(|| line.split_once("ws://"))?;
    rest.split(|c: char| c.is_whitespace() || c == '/').next()?.parse().ok()
}

/// Returns true if a server accepts connections at `address`.
fn is_listening(address: SocketAddr) -> anyhow::Result<bool> {
    let mut stream = TcpStream::connect(address).context("no socket can be opened")?;
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1));
    poll.registry().register(&mut stream, Token(0), Interest::WRITABLE)?;
    poll.poll(&mut events, Some(LOOK * 10))?;
    Ok(stream.take_error()?.is_none() && stream.peer_addr().is_ok())
}

/// Directory for one run, which is removed when dropped.
struct RunDirectory(PathBuf);

impl RunDirectory {
    fn new(below: &Path) -> anyhow::Result<Self> {
        /// Distinguishes the directories of one process.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = below.join(format!("captionwire-bench-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_what_is_said() {
        for (line, address) in [
            ("listening on http://127.0.0.1:7700", Some("127.0.0.1:7700")),
            ("ready: ws://[::1]:80/chat, press Ctrl-C", Some("[::1]:80")),
            ("listening on 127.0.0.1:7700", None),
            ("see http://example.org/", None),
            ("", None),
        ] {
            assert_eq!(address_in(line).map(|found| found.to_string()).as_deref(), address, "{line}");
        }
    }
}
