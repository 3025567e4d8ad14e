//! Turns as text, and the part that is redrawn below them.

use std::collections::HashMap;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::support::output::{clean_line, print};
use crate::client::{Screen, ShownTurn};
use crate::transcript::time::clock;
use crate::transcript::{Line, Status, TurnState};

pub(crate) fn print_some(text: &str) -> anyhow::Result<()> {
    if text.is_empty() { Ok(()) } else { print(text) }
}

/// Closed turns, as text.
#[derive(Debug, Default)]
pub(crate) struct PlainTurns {
    /// Text before each turn, if there is more than one feed.
    pub(crate) label: String,
    /// Printed text of each turn.
    pub(crate) printed: HashMap<Arc<str>, String>,
}

impl PlainTurns {
    /// Returns the new text: turns that closed, or changed after they were printed. With `all` also open ones.
    pub(crate) fn text(&mut self, screen: &Screen, all: bool) -> String {
        let mut text = String::new();
        for shown in screen.turns() {
            let mut lines = shown.lines().peekable();
            let is_done = shown.turn.state == TurnState::Closed && !shown.lines().any(is_interim);
            if lines.peek().is_none() || !(is_done || all) {
                continue;
            }
            let mut body = format!("{}\n", clean_line(name(&shown)));
            for line in lines {
                body.push_str(&clean_line(&line.text));
                body.push_str(if is_interim(line) { " …\n" } else { "\n" });
            }
            let before = self.printed.insert(shown.turn.id.clone(), body.clone());
            if before.as_ref() == Some(&body) {
                continue;
            }
            let amended = if before.is_some() { "(amended) " } else { "" };
            text.push_str(&format!("{}[{}] {amended}{body}\n", self.label, clock(shown.turn.start_ms)));
        }
        self.printed.retain(|id, _| {
            let is_there = screen.turn(id).is_some();
            if !is_there {
                let gone = format!("{}(the turn that began with {} was removed)\n\n", self.label, clean_line(id));
                text.push_str(&gone);
            }
            is_there
        });
        text
    }
}

pub(crate) fn is_interim(line: &Line) -> bool {
    line.status == Status::Interim
}

pub(crate) fn name<'a>(shown: &ShownTurn<'a>) -> &'a str {
    shown.speaker_name().unwrap_or("(unknown)")
}

/// Returns the part of the terminal that is redrawn below the printed text.
pub(crate) fn lower_part() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
    let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    bar.with_style(style)
}
