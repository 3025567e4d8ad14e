//! Results, for programs and for people.

use serde_json::{Map, Value, json};

use crate::cli::bench::machine::MachineUsage;

/// A figure in a table.
#[derive(Debug)]
pub(super) struct Column {
    /// Key in JSON.
    pub(super) key: &'static str,
    /// Heading in the table.
    pub(super) title: &'static str,
    pub(super) decimals: usize,
}

/// Figures of one kind of run.
#[derive(Debug)]
pub(super) struct TableLayout {
    pub(super) columns: &'static [Column],
    /// Key of the figure that is compared with the limit's, if the limit can do the same.
    pub(super) compared: Option<&'static str>,
}

/// Figures by key; `None` for one that could not be measured.
pub(super) type RunFigures = Vec<(&'static str, Option<f64>)>;

/// One run of one server.
#[derive(Debug)]
pub(super) struct BenchRun {
    pub(super) scenario: String,
    pub(super) server: String,
    pub(super) round: usize,
    pub(super) settings: Value,
    pub(super) sheet: &'static TableLayout,
    pub(super) figures: RunFigures,
    pub(super) meanwhile: Option<MachineUsage>,
    /// Faults; `None` if every subscriber got every line once, in order and unaltered.
    pub(super) wrong: Option<String>,
}

/// Name of the server that sets the limit.
pub(super) const LIMIT: &str = "limit";

impl BenchRun {
    pub(super) fn figure(&self, key: &str) -> Option<f64> {
        self.figures.iter().find(|(name, _)| *name == key).and_then(|(_, figure)| *figure)
    }

    fn is_noisy(&self) -> bool {
        self.meanwhile.is_some_and(|meanwhile| meanwhile.is_noisy())
    }

    /// Returns the run as JSON, with its ratio to the limit's run of the same round among `all`.
    pub(super) fn json(&self, all: &[Self]) -> Value {
        let limit = all.iter().find(|run| run.is_beside(self) && run.round == self.round && run.server == LIMIT);
        let ratio = limit.and_then(|limit| self.ratio(limit));
        let mut object = Map::new();
        object.insert("scenario".into(), self.scenario.as_str().into());
        object.insert("server".into(), self.server.as_str().into());
        object.insert("round".into(), self.round.into());
        object.insert("settings".into(), self.settings.clone());
        object.extend(self.figures.iter().map(|(name, figure)| ((*name).to_owned(), json!(figure))));
        object.insert("limit_ratio".into(), json!(ratio));
        object.insert("seconds".into(), json!(self.meanwhile.map(|meanwhile| meanwhile.seconds)));
        object.insert("foreign_cores".into(), json!(self.meanwhile.and_then(|meanwhile| meanwhile.foreign_cores)));
        object.insert("steal_cores".into(), json!(self.meanwhile.and_then(|meanwhile| meanwhile.steal_cores)));
        object.insert("noisy".into(), self.is_noisy().into());
        object.insert("exact".into(), self.wrong.is_none().into());
        if let Some(wrong) = &self.wrong {
            object.insert("wrong".into(), wrong.as_str().into());
        }
        Value::Object(object)
    }

    /// Returns true if both runs belong to the same scenario.
    fn is_beside(&self, other: &Self) -> bool {
        self.scenario == other.scenario
    }

    fn ratio(&self, limit: &Self) -> Option<f64> {
        let compared = self.sheet.compared?;
        ratio(self.figure(compared), limit.figure(compared))
    }
}

fn ratio(figure: Option<f64>, limit: Option<f64>) -> Option<f64> {
    limit.filter(|limit| *limit > 0.0).zip(figure).map(|(limit, figure)| figure / limit)
}

/// Formats tables of all runs: one for each kind, with a row for each scenario and server.
pub(super) fn tables(runs: &[BenchRun]) -> String {
    let mut sheets: Vec<&'static TableLayout> = Vec::new();
    for run in runs {
        if !sheets.iter().any(|sheet| std::ptr::eq(*sheet, run.sheet)) {
            sheets.push(run.sheet);
        }
    }
    let tables = sheets.iter().map(|sheet| {
        let of_sheet: Vec<&BenchRun> = runs.iter().filter(|run| std::ptr::eq(run.sheet, *sheet)).collect();
        aligned(&rows(sheet, &of_sheet))
    });
    let mut text = tables.collect::<Vec<_>>().join("\n");
    if runs.iter().any(BenchRun::is_noisy) {
        text.push_str("\n~ something else kept the machine busy meanwhile; better measure again\n");
    }
    let is_unknown = |run: &&BenchRun| run.meanwhile.is_some_and(|meanwhile| meanwhile.server_cpu_seconds.is_none());
    if let Some(run) = runs.iter().find(is_unknown) {
        let who = &run.server;
        text.push_str(&format!(
            "\nno processor time: the process of {who} is not known (--pid), or there is no /proc here\n"
        ));
    }
    text
}

/// Runs of one row: one server in one scenario.
type ScenarioRuns<'a> = Vec<&'a BenchRun>;

fn rows(sheet: &TableLayout, runs: &[&BenchRun]) -> Vec<Vec<String>> {
    let mut grouped: Vec<ScenarioRuns<'_>> = Vec::new();
    for run in runs {
        match grouped.iter_mut().find(|row| row[0].is_beside(run) && row[0].server == run.server) {
            Some(row) => row.push(run),
            None => grouped.push(vec![run]),
        }
    }
    let mut head = vec!["scenario".to_owned(), "server".to_owned()];
    for column in sheet.columns {
        head.push(column.title.to_owned());
        head.extend((Some(column.key) == sheet.compared).then(|| "× limit".to_owned()));
    }
    head.push("exact".to_owned());
    let lines = grouped.iter().map(|row| line(sheet, row, &grouped));
    std::iter::once(head).chain(lines).collect()
}

fn line(sheet: &TableLayout, row: &ScenarioRuns<'_>, all: &[ScenarioRuns<'_>]) -> Vec<String> {
    let limit = all.iter().find(|other| other[0].is_beside(row[0]) && other[0].server == LIMIT);
    let mut cells = vec![row[0].scenario.clone(), row[0].server.clone()];
    for column in sheet.columns {
        let middle = MedianFigure::of(row, column.key);
        cells.push(middle.map_or("-".to_owned(), |middle| middle.show(column.decimals)));
        if Some(column.key) == sheet.compared {
            let limit = limit.and_then(|limit| MedianFigure::of(limit, column.key)).map(|limit| limit.median);
            let ratio = ratio(middle.map(|middle| middle.median), limit);
            cells.push(ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}")));
        }
    }
    cells.push(match row.iter().find_map(|run| run.wrong.as_ref()) {
        None => "yes".to_owned(),
        Some(wrong) => format!("NO: {wrong}"),
    });
    cells
}

/// Median of several runs.
#[derive(Debug, Clone, Copy)]
struct MedianFigure {
    median: f64,
    /// Half of the difference between the least and the greatest.
    half_range: Option<f64>,
    is_noisy: bool,
}

impl MedianFigure {
    /// Returns the median; noisy runs count only if all are noisy.
    fn of(runs: &ScenarioRuns<'_>, key: &str) -> Option<Self> {
        let is_noisy = runs.iter().all(|run| run.is_noisy());
        let counting = runs.iter().filter(|run| is_noisy || !run.is_noisy());
        let mut figures: Vec<f64> = counting.filter_map(|run| run.figure(key)).collect();
        figures.sort_by(f64::total_cmp);
        let (first, last) = (figures.first()?, figures.last()?);
        let half_range = (figures.len() > 1).then_some((last - first) / 2.0);
        Some(Self { median: median(&figures)?, half_range, is_noisy })
    }

    fn show(&self, decimals: usize) -> String {
        let noisy = if self.is_noisy { "~" } else { "" };
        let range = self.half_range.map(|half| format!(" ±{half:.decimals$}")).unwrap_or_default();
        format!("{noisy}{:.decimals$}{range}", self.median)
    }
}

/// Returns the median of sorted figures.
pub(super) fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// Aligns cells in columns: words to the left, figures to the right, without blanks after the last one.
fn aligned(rows: &[Vec<String>]) -> String {
    const WORDS: usize = 2;
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            _ if column + 1 == columns => cell.clone(),
            _ if column < WORDS => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        text.push_str(&cells.collect::<Vec<_>>().join("  "));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    static SHEET: TableLayout = TableLayout {
        columns: &[
            Column { key: "cpu", title: "CPU", decimals: 2 },
            Column { key: "rate", title: "lines/s", decimals: 0 },
        ],
        compared: Some("cpu"),
    };

    fn run(server: &str, round: usize, cpu: Option<f64>, foreign_cores: f64) -> BenchRun {
        let foreign_cores = Some(foreign_cores);
        let meanwhile = MachineUsage { seconds: 2.0, server_cpu_seconds: cpu, foreign_cores, steal_cores: Some(0.0) };
        BenchRun {
            scenario: "one".into(),
            server: server.into(),
            round,
            settings: json!({"subscribers": 3}),
            sheet: &SHEET,
            figures: vec![("cpu", cpu), ("rate", Some(1234.0))],
            meanwhile: Some(meanwhile),
            wrong: None,
        }
    }

    #[test]
    fn a_table_has_medians_ranges_and_the_ratio_to_the_limit() {
        let mut runs = vec![
            run("captionwire", 1, Some(3.0), 0.0),
            run("limit", 1, Some(2.0), 0.0),
            run("captionwire", 2, Some(4.0), 0.1),
            run("limit", 2, Some(2.0), 0.0),
            // A noisy run does not count beside quiet ones.
            run("captionwire", 3, Some(9.0), 0.9),
            run("slow", 1, Some(8.0), 0.5),
            run("remote", 1, None, 0.0),
        ];
        runs[6].wrong = Some("1 lost".into());
        let wanted = "\
scenario  server              CPU  × limit  lines/s  exact
one       captionwire  3.50 ±0.50     1.75  1234 ±0  yes
one       limit        2.00 ±0.00     1.00  1234 ±0  yes
one       slow              ~8.00     4.00    ~1234  yes
one       remote                -        -     1234  NO: 1 lost
";
        let table = tables(&runs);
        assert!(table.starts_with(wanted), "{table}");
        assert!(table.contains("~ something else") && table.contains("process of remote is not known"), "{table}");
    }

    #[test]
    fn json_says_what_the_round_of_the_limit_came_to() {
        let runs =
            [run("captionwire", 1, Some(3.0), 0.0), run("limit", 1, Some(2.0), 0.0), run("limit", 2, Some(1.0), 0.0)];
        let json = runs[0].json(&runs);
        assert_eq!((&json["limit_ratio"], &json["exact"], &json["noisy"]), (&json!(1.5), &json!(true), &json!(false)));
        assert_eq!((&json["cpu"], &json["settings"]["subscribers"]), (&json!(3.0), &json!(3)));
        assert!(json.get("wrong").is_none());
        assert_eq!(run("captionwire", 3, Some(1.0), 0.0).json(&runs)["limit_ratio"], Value::Null);
    }

    #[test]
    fn medians() {
        assert_eq!((median(&[]), median(&[1.0]), median(&[1.0, 4.0])), (None, Some(1.0), Some(2.5)));
        assert_eq!(median(&[1.0, 2.0, 9.0]), Some(2.0));
    }
}
