//! The order of runs: for each scenario, all servers in turn, as many rounds as wanted, so that what else the machine does
//! hits all alike.

use serde_json::Value;

use crate::cli::bench::contestant::{Contestant, Requirement};
use crate::cli::bench::load::{Load, LoadStop};
use crate::cli::bench::machine::MachineUsage;
use crate::cli::bench::process::{ServerLocation, ServerProcess};
use crate::cli::bench::report::{BenchRun, RunFigures, Sheet, tables};
use crate::cli::support::outcome::Outcome;
use crate::cli::support::output::{note, print, print_json};

/// What is measured in one run.
pub(super) trait Scenario {
    /// As it stands in the table. Runs of the same name are compared.
    fn name(&self) -> String;
    fn sheet(&self) -> &'static Sheet;
    /// All that makes it what it is, for JSON.
    fn settings(&self) -> Value;
    /// What it asks of a server.
    fn wish(&self) -> Requirement;
    fn run(&self, stage: &mut Stage) -> anyhow::Result<StageResult>;
}

/// Where a run takes place: a server, and a load for it.
pub(super) struct Stage {
    /// The server's name in tables.
    pub(super) name: String,
    pub(super) server: ServerProcess,
    pub(super) load: Load,
    pub(super) stop: LoadStop,
}

/// What a run came to.
pub(super) struct StageResult {
    pub(super) figures: RunFigures,
    pub(super) meanwhile: MachineUsage,
}

/// The figure by which frames of the limit are made as long as those that a subscriber of captionwire gets.
pub(super) const BYTES_PER_DELIVERY: &str = "bytes_per_delivery";

/// All servers that take part, and what was measured so far.
pub(super) struct Contest {
    pub(super) contestants: Vec<Contestant>,
    pub(super) place: ServerLocation,
    pub(super) repeat: usize,
    pub(super) is_json: bool,
    pub(super) stop: LoadStop,
    pub(super) runs: Vec<BenchRun>,
}

impl Contest {
    /// Holds all of it, and says what came of it.
    pub(super) fn hold(mut self, scenarios: &[Box<dyn Scenario>]) -> anyhow::Result<Outcome> {
        for scenario in scenarios {
            // Until a subscriber has shown it, a line is about as long as when it was published.
            let mut frame_bytes = self.contestants[0].dialect(None)?.frame_bytes();
            for round in 1..=self.repeat {
                let before = self.runs.len();
                for contestant in self.contestants.clone().iter().filter(|contestant| contestant.can(&scenario.wish()))
                {
                    let run = self.run(&**scenario, contestant, round, frame_bytes)?;
                    if !matches!(contestant, Contestant::Limit | Contestant::Other { .. }) {
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

    /// One run of one server. A run that fails is told as such, and the others go on; an error is for when nobody wants
    /// more of them.
    fn run(
        &self,
        scenario: &dyn Scenario,
        who: &Contestant,
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
        who: &Contestant,
        frame_bytes: f64,
    ) -> anyhow::Result<(StageResult, Option<String>)> {
        let server = who.start(&scenario.wish(), &self.place, &self.stop)?;
        let load = Load::new(who.dialect(Some(frame_bytes))?, server.address, self.stop.clone())?;
        let mut stage = Stage { name: who.name().to_owned(), server, load, stop: self.stop.clone() };
        let measured = scenario.run(&mut stage)?;
        Ok((measured, stage.load.tally.faults.say()))
    }
}
