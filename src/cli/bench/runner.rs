//! Order of runs: for each scenario, all servers in turn, in as many rounds as requested, so that other work of the
//! machine affects all alike.

use serde_json::Value;

use crate::cli::bench::load::{Load, StopFlag};
use crate::cli::bench::machine::MachineUsage;
use crate::cli::bench::measured_server::{MeasuredServer, Requirement};
use crate::cli::bench::process::{ServerLocation, ServerProcess};
use crate::cli::bench::report::{BenchRun, RunFigures, TableLayout, tables};
use crate::cli::support::outcome::Outcome;
use crate::cli::support::output::{note, print, print_json};

/// A measurement that one run makes.
pub(super) trait Scenario {
    /// Returns the name in the table. Runs with the same name are compared.
    fn name(&self) -> String;
    fn sheet(&self) -> &'static TableLayout;
    /// Returns all settings, for JSON.
    fn settings(&self) -> Value;
    /// Returns what it requires of a server.
    fn wish(&self) -> Requirement;
    fn run(&self, stage: &mut RunEnvironment) -> anyhow::Result<RunResult>;
}

/// Setting of a run: a server, and a load for it.
pub(super) struct RunEnvironment {
    /// Name of the server in tables.
    pub(super) name: String,
    pub(super) server: ServerProcess,
    pub(super) load: Load,
    pub(super) stop: StopFlag,
}

/// Result of a run.
pub(super) struct RunResult {
    pub(super) figures: RunFigures,
    pub(super) meanwhile: MachineUsage,
}

/// Key of the figure from which the limit's frames get the length of those that a captionwire subscriber gets.
pub(super) const BYTES_PER_DELIVERY: &str = "bytes_per_delivery";

/// All servers that take part, and the runs so far.
pub(super) struct BenchRunner {
    pub(super) contestants: Vec<MeasuredServer>,
    pub(super) place: ServerLocation,
    pub(super) repeat: usize,
    pub(super) is_json: bool,
    pub(super) stop: StopFlag,
    pub(super) runs: Vec<BenchRun>,
}

impl BenchRunner {
    /// Runs all scenarios, prints the results, and returns the outcome.
    pub(super) fn hold(mut self, scenarios: &[Box<dyn Scenario>]) -> anyhow::Result<Outcome> {
        for scenario in scenarios {
            // Until a subscriber has received lines, assumes that they are as long as when they were published.
            let mut frame_bytes = self.contestants[0].dialect(None)?.frame_bytes();
            for round in 1..=self.repeat {
                let before = self.runs.len();
                for contestant in self.contestants.clone().iter().filter(|contestant| contestant.can(&scenario.wish()))
                {
                    let run = self.run(&**scenario, contestant, round, frame_bytes)?;
                    if !matches!(contestant, MeasuredServer::Limit | MeasuredServer::Other { .. }) {
                        frame_bytes = run.figure(BYTES_PER_DELIVERY).unwrap_or(frame_bytes);
                    }
                    self.runs.push(run);
                }
                if self.is_json {
                    let round = &self.runs[before..];
                    round.iter().try_for_each(|run| print_json(&run.json(round)))?;
                }
            }
        }
        if !self.is_json {
            print(&tables(&self.runs))?;
        }
        Ok(Outcome::of_problems(self.runs.iter().filter(|run| run.wrong.is_some()).count() as u64))
    }

    /// Runs a scenario on one server. A failed run is reported as part of its result, and the others continue; an error
    /// means that the whole contest was stopped.
    fn run(
        &self,
        scenario: &dyn Scenario,
        who: &MeasuredServer,
        round: usize,
        frame_bytes: f64,
    ) -> anyhow::Result<BenchRun> {
        note(&format!("{}: {}, round {round} of {}", scenario.name(), who.name(), self.repeat));
        let measured = self.measure(scenario, who, frame_bytes);
        self.stop.check()?;
        let (figures, meanwhile, wrong) = match measured {
            Ok((measured, wrong)) => (measured.figures, Some(measured.meanwhile), wrong),
            Err(error) => (RunFigures::new(), None, Some(crate::cli::support::outcome::explain(&error))),
        };
        let (scenario, settings, sheet) = (scenario.name(), scenario.settings(), scenario.sheet());
        Ok(BenchRun { scenario, server: who.name().to_owned(), round, settings, sheet, figures, meanwhile, wrong })
    }

    fn measure(
        &self,
        scenario: &dyn Scenario,
        who: &MeasuredServer,
        frame_bytes: f64,
    ) -> anyhow::Result<(RunResult, Option<String>)> {
        let server = who.start(&scenario.wish(), &self.place, &self.stop)?;
        let load = Load::new(who.dialect(Some(frame_bytes))?, server.address, self.stop.clone())?;
        let mut stage = RunEnvironment { name: who.name().to_owned(), server, load, stop: self.stop.clone() };
        let measured = scenario.run(&mut stage)?;
        Ok((measured, stage.load.tally.faults.say()))
    }
}
