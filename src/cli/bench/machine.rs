//! Processor time and memory of processes and of the machine, from Linux's `/proc`, and the choice of cores.
//!
//! Other systems have no `/proc`: its figures are `None` there, and empty in every table.

use std::fmt;
use std::str::FromStr;
use std::time::Instant;

/// Cores used by other work, or taken by the host, above which a run is noisy. At a third of a core, figures begin to
/// differ by more than they do in quiet runs.
const NOISY_CORES: f64 = 0.35;

/// Processes whose time and memory count as the server's.
#[derive(Debug, Clone, Copy)]
pub(super) enum Processes {
    /// Those of another user's server, which are unknown.
    Unknown,
    /// One process with its threads.
    One(u32),
    /// All processes of a group.
    Group(u32),
}

impl Processes {
    /// Returns the processor time used so far in seconds, in user space and in the kernel.
    pub(super) fn cpu_seconds(self) -> Option<f64> {
        match self {
            Self::Unknown => None,
            Self::One(process) => cpu_seconds(&process.to_string()),
            Self::Group(group) => sum(group, cpu_seconds),
        }
    }

    /// Returns the resident memory in bytes.
    pub(super) fn resident_bytes(self) -> Option<f64> {
        match self {
            Self::Unknown => None,
            Self::One(process) => resident_bytes(&process.to_string()),
            Self::Group(group) => sum(group, resident_bytes),
        }
    }
}

fn sum(group: u32, of: impl Fn(&str) -> Option<f64>) -> Option<f64> {
    let names = std::fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let is_member = |name: &String| {
        let stat = name.parse::<u32>().is_ok().then(|| stat(name)).flatten();
        stat.is_some_and(|fields| fields.get(2).is_some_and(|of| *of == group.to_string()))
    };
    // Processes that have just ended are left out.
    Some(names.filter(is_member).filter_map(|name| of(&name)).sum())
}

/// Returns the fields of `/proc/…/stat` after the name, which may contain blanks. The first is the state.
fn stat(process: &str) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_ascii_whitespace().map(str::to_owned).collect())
}

fn cpu_seconds(process: &str) -> Option<f64> {
    let fields = stat(process)?;
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / ticks_per_second())
}

fn resident_bytes(process: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_ascii_whitespace().next()?;
    Some(kib.parse::<f64>().ok()? * 1024.0)
}

#[cfg(unix)]
fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

#[cfg(not(unix))]
fn ticks_per_second() -> f64 {
    1.0
}

/// Returns the seconds since the start in which cores were busy, and in which the host of a virtual machine took them.
fn machine_seconds() -> Option<(f64, f64)> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<f64> =
        text.lines().next()?.split_ascii_whitespace().filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal.
    let [user, nice, system, _, _, irq, softirq, steal] = *ticks.first_chunk()?;
    Some(((user + nice + system + irq + softirq) / ticks_per_second(), steal / ticks_per_second()))
}

/// Counters at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct MachineSample {
    at: Instant,
    processes: Processes,
    server: Option<f64>,
    client: Option<f64>,
    machine: Option<(f64, f64)>,
}

impl MachineSample {
    pub(super) fn now(processes: Processes) -> Self {
        let (server, client, machine) = (processes.cpu_seconds(), cpu_seconds("self"), machine_seconds());
        Self { at: Instant::now(), processes, server, client, machine }
    }

    /// Returns the usage since this sample.
    pub(super) fn until_now(self) -> MachineUsage {
        let now = Self::now(self.processes);
        let seconds = (now.at - self.at).as_secs_f64();
        let gone = |before: Option<f64>, after: Option<f64>| Some((after? - before?).max(0.0));
        let (server, client) = (gone(self.server, now.server), gone(self.client, now.client));
        // Without the server's own time, other work cannot be told apart.
        let ours = server.zip(client).map(|(server, client)| server + client);
        let cores = |seconds_of: fn((f64, f64)) -> f64| {
            Some((seconds_of(now.machine?) - seconds_of(self.machine?)) / seconds.max(1e-9))
        };
        let foreign_cores = ours.zip(cores(|machine| machine.0)).map(|(ours, busy)| (busy - ours / seconds).max(0.0));
        let steal_cores = cores(|machine| machine.1);
        MachineUsage { seconds, server_cpu_seconds: server, foreign_cores, steal_cores }
    }
}

/// Usage between two moments.
#[derive(Debug, Clone, Copy)]
pub(super) struct MachineUsage {
    pub(super) seconds: f64,
    pub(super) server_cpu_seconds: Option<f64>,
    /// Cores used by other work.
    pub(super) foreign_cores: Option<f64>,
    /// Cores taken by the host.
    pub(super) steal_cores: Option<f64>,
}

impl MachineUsage {
    pub(super) fn is_noisy(&self) -> bool {
        self.foreign_cores.unwrap_or(0.0) + self.steal_cores.unwrap_or(0.0) > NOISY_CORES
    }
}

/// Core that a process has to stay on, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Core(Option<usize>);

impl Core {
    /// Core `number`, if the machine has enough for server and client to have one each.
    pub(super) fn of_own(number: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self((cores >= 2).then_some(number))
    }

    /// Binds this thread, and whatever it starts from now on, to this core.
    #[cfg(target_os = "linux")]
    pub(super) fn pin(self) -> std::io::Result<()> {
        use rustix::thread::{CpuSet, sched_setaffinity};
        let Some(core) = self.0 else { return Ok(()) };
        let mut set = CpuSet::new();
        set.set(core);
        Ok(sched_setaffinity(None, &set)?)
    }

    /// Does nothing: cores cannot be chosen on this system.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn pin(self) -> std::io::Result<()> {
        Ok(())
    }
}

impl FromStr for Core {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        /// Size of a set of cores.
        const CORES_MAX: usize = 1024;
        match text.parse() {
            _ if text == "none" => Ok(Self(None)),
            Ok(core) if core < CORES_MAX => Ok(Self(Some(core))),
            _ => Err("the number of a core, from 0, or none".into()),
        }
    }
}

impl fmt::Display for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(core) => write!(f, "{core}"),
            None => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_numbers_or_none() {
        for text in ["0", "7", "none"] {
            assert_eq!(text.parse::<Core>().expect(text).to_string(), text);
        }
        for bad in ["-1", "all", "1024", ""] {
            assert!(bad.parse::<Core>().is_err(), "{bad}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_takes_time_and_memory() {
        let moment = MachineSample::now(Processes::One(std::process::id()));
        while moment.until_now().server_cpu_seconds < Some(0.02) {
            std::hint::black_box(0);
        }
        let meanwhile = moment.until_now();
        assert!(meanwhile.seconds > 0.0 && meanwhile.foreign_cores.is_some());
        assert!(Processes::One(std::process::id()).resident_bytes() > Some(1e6));
        assert_eq!(Processes::Unknown.cpu_seconds(), None);
    }
}
