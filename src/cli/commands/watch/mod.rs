//! `watch`: a feed in the terminal.
//!
//! On a terminal, lines appear under the heading of their turn as soon as they are final. Interim lines are drawn
//! faintly below them, again and again. Printed text stays as it is: a correction is printed as such. Elsewhere turns
//! are printed when they close. Turns of several feeds are too, each under the name of its feed; on a terminal a line
//! below them shows each feed in which someone speaks.

mod arguments;
mod many_feeds;
mod plain_turns;

use std::collections::HashMap;
use std::sync::Arc;

use indicatif::ProgressBar;

pub(crate) use crate::cli::commands::watch::arguments::WatchCommand;
use crate::cli::commands::watch::arguments::WatchUntil;
use crate::cli::commands::watch::plain_turns::{PlainTurns, is_interim, lower_part, name, print_some};
use crate::cli::support::outcome::Outcome;
use crate::cli::support::output::{clean_line, faint, is_live_terminal, note, print_json_text, speaker_style, styled};
use crate::cli::support::signals::Signals;
use crate::client::{ReplayOptions, Screen, ShownTurn, Subscriber, SubscriberOptions, Update};
use crate::transcript::time::clock;
use crate::transcript::{FeedState, Line};

impl WatchCommand {
    pub(crate) async fn run(self) -> anyhow::Result<Outcome> {
        let [feed] = &self.feeds[..] else { return crate::cli::commands::watch::many_feeds::run(self).await };
        let mut signals = Signals::new()?;
        let options = SubscriberOptions {
            from: self.from.clone(),
            interim: !self.final_only,
            until_head: self.until == WatchUntil::Head,
            wait: self.until == WatchUntil::Live,
            replay: self.pace.map(|pace| ReplayOptions { pace, ..ReplayOptions::default() }),
            ..SubscriberOptions::default()
        };
        let mut subscriber = Subscriber::new(self.url.socket(feed, "subscribe")?, options);
        let mut view = if self.json { WatchView::Raw } else { WatchView::for_stdout(feed) };
        let followed = tokio::select! {
            followed = follow(&mut subscriber, &mut view) => followed,
            () = signals.next() => Ok(()),
        };
        view.end(subscriber.screen())?;
        followed.map(|()| Outcome::Done)
    }
}

/// Shows a feed until it has ended and everything was shown.
pub(crate) async fn follow(subscriber: &mut Subscriber, view: &mut WatchView) -> anyhow::Result<()> {
    let mut was_lost = false;
    while let Some(received) = subscriber.next_message().await? {
        if let (WatchView::Raw, Some(text)) = (&*view, &received.text) {
            print_json_text(text)?;
        }
        match received.update {
            Some(Update::Changed(changed)) if changed.whole => {
                view.draw(subscriber.screen())?;
                if subscriber.screen().state() == FeedState::Ended {
                    return Ok(());
                }
            }
            Some(Update::Disconnected { why, retry_in }) => {
                was_lost = true;
                let place = if subscriber.cursor().is_some() { ", from where we are" } else { "" };
                view.tell(&format!("{why}; trying again in {:.1} s{place}", retry_in.as_secs_f32()));
            }
            Some(Update::Hello { state: FeedState::None }) => view.tell("there is no such feed yet; waiting for it"),
            Some(Update::Hello { .. }) if std::mem::take(&mut was_lost) => view.tell("connected again"),
            Some(Update::Reset { .. }) => {
                view.reset();
                view.tell("the transcript starts over");
            }
            _ => {}
        }
    }
    Ok(())
}

/// Output of a transcript.
#[derive(Debug)]
pub(crate) enum WatchView {
    /// The server's messages instead of the transcript.
    Raw,
    /// Closed turns, as text.
    Plain(PlainTurns),
    /// Lines as they come, with interim lines below them.
    Live(Box<LiveScreen>),
}

impl WatchView {
    /// Returns the output that fits stdout.
    pub(crate) fn for_stdout(feed: &str) -> Self {
        if is_live_terminal() {
            Self::Live(Box::new(LiveScreen::new(feed)))
        } else {
            Self::Plain(PlainTurns::default())
        }
    }

    fn draw(&mut self, screen: &Screen) -> anyhow::Result<()> {
        match self {
            Self::Raw => Ok(()),
            Self::Plain(plain) => print_some(&plain.text(screen, false)),
            Self::Live(live) => live.draw(screen),
        }
    }

    fn reset(&mut self) {
        match self {
            Self::Raw => {}
            Self::Plain(plain) => *plain = PlainTurns::default(),
            Self::Live(live) => live.scroll = Scroll::default(),
        }
    }

    fn tell(&self, text: &str) {
        match self {
            Self::Live(live) => live.bar.suspend(|| note(text)),
            _ => note(text),
        }
    }

    /// Shows turns that are still open.
    pub(crate) fn end(&mut self, screen: &Screen) -> anyhow::Result<()> {
        match self {
            Self::Raw => Ok(()),
            Self::Plain(plain) => print_some(&plain.text(screen, true)),
            Self::Live(live) => {
                live.bar.finish_and_clear();
                print_some(&wrapped(&live.scroll.interim(screen)))
            }
        }
    }
}

/// Wraps text at words, to the width of the terminal or a readable one.
fn wrapped(text: &str) -> String {
    const COLUMNS_MAX: usize = 100;
    // One column stays free: some terminals begin a new line when the last one is filled.
    let columns = textwrap::termwidth().saturating_sub(1).clamp(20, COLUMNS_MAX);
    textwrap::fill(text, columns)
}

/// Lines as they come, with interim lines redrawn below them.
#[derive(Debug)]
pub(crate) struct LiveScreen {
    feed: String,
    bar: ProgressBar,
    scroll: Scroll,
}

impl LiveScreen {
    fn new(feed: &str) -> Self {
        Self { feed: clean_line(feed).into_owned(), bar: lower_part(), scroll: Scroll::default() }
    }

    fn draw(&mut self, screen: &Screen) -> anyhow::Result<()> {
        let text = wrapped(&self.scroll.text(screen));
        let below = format!("{}{}", wrapped(&self.scroll.interim(screen)), self.status(screen));
        self.bar.set_message(below);
        // `suspend` redraws the lower part, even if nothing is printed.
        self.bar.suspend(|| print_some(&text))
    }

    fn status(&self, screen: &Screen) -> String {
        let state = match screen.state() {
            FeedState::Live => "● live",
            FeedState::Paused => "‖ paused",
            FeedState::Ended => "■ ended",
            FeedState::None | FeedState::Scheduled => "○ not begun",
            FeedState::Unknown => "○",
        };
        let title = screen.title().map(|title| format!(" · {}", clean_line(title))).unwrap_or_default();
        styled(faint(), &format!("{state} · {}{title}", self.feed))
    }
}

/// Contents of a line when it was printed.
#[derive(Debug, PartialEq, Eq)]
struct PrintedTurns {
    speaker: Option<Arc<str>>,
    text: Arc<str>,
}

/// Printed part of the screen.
#[derive(Debug, Default)]
struct Scroll {
    /// Printed lines, by key.
    lines: HashMap<Arc<str>, PrintedTurns>,
    /// The `sort` of the last line that was printed in order.
    reached: Arc<str>,
    /// The turn under whose heading the output is.
    turn: Option<Arc<str>>,
    /// Names of speakers, and the colours of those into whom they were merged.
    names: HashMap<Arc<str>, Arc<str>>,
    colours: HashMap<String, usize>,
}

impl Scroll {
    /// Returns the new text: lines that became final, and those corrected or retracted after they were printed.
    fn text(&mut self, screen: &Screen) -> String {
        let mut text = String::new();
        self.tell_names(screen, &mut text);
        for shown in screen.turns() {
            for line in shown.lines().filter(|line| !is_interim(line)) {
                self.tell_line(screen, &shown, line, &mut text);
            }
        }
        self.lines.retain(|key, printed| {
            let is_there = screen.line(key).is_some();
            if !is_there {
                text.push_str(&styled(faint(), &format!("(taken back: {})\n", excerpt(&printed.text))));
            }
            is_there
        });
        text
    }

    fn tell_line(&mut self, screen: &Screen, shown: &ShownTurn<'_>, line: &Line, text: &mut String) {
        let key: Arc<str> = format!("{}/{}", line.source, line.id).into();
        let says = PrintedTurns { speaker: line.speaker.clone(), text: line.text.clone() };
        let what = match self.lines.get(&key) {
            Some(before) if *before == says => return,
            Some(_) => " (corrected)",
            None if *line.sort < *self.reached => " (late)",
            None => "",
        };
        self.lines.insert(key, says);
        if what.is_empty() && self.turn.as_ref() == Some(&shown.turn.id) {
            // The heading is there already.
        } else {
            let start_ms = if what.is_empty() { shown.turn.start_ms } else { line.start_ms };
            text.push_str(&format!("\n{}\n", self.heading(screen, shown, start_ms, what)));
            self.turn = what.is_empty().then(|| shown.turn.id.clone());
        }
        if what.is_empty() {
            self.reached = line.sort.clone();
        }
        text.push_str(&clean_line(&line.text));
        text.push('\n');
    }

    fn heading(&mut self, screen: &Screen, shown: &ShownTurn<'_>, start_ms: i64, what: &str) -> String {
        let name = match &shown.turn.speaker {
            None => styled(faint(), "(unknown)"),
            Some(id) => {
                let next = self.colours.len();
                let colour = *self.colours.entry(screen.speaker_root(id).to_owned()).or_insert(next);
                styled(speaker_style(colour), &clean_line(name(shown)))
            }
        };
        format!("{} {name}{}", styled(faint(), &format!("[{}]", clock(start_ms))), styled(faint(), what))
    }

    /// Reports new names of speakers who appeared under another one.
    fn tell_names(&mut self, screen: &Screen, text: &mut String) {
        let mut speakers: Vec<_> = screen.speakers().collect();
        speakers.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        for speaker in speakers {
            let Some(name) = screen.speaker_name(Some(&speaker.id)) else { continue };
            let before = self.names.insert(speaker.id.clone(), name.into());
            if let Some(before) = before.filter(|before| **before != *name && !self.lines.is_empty()) {
                let said = format!("({} is {})\n", clean_line(&before), clean_line(name));
                text.push_str(&styled(faint(), &said));
            }
        }
    }

    /// Returns the last few interim lines.
    fn interim(&mut self, screen: &Screen) -> String {
        /// More interim lines than this cannot be read.
        const LINES_MAX: usize = 8;
        let mut text = String::new();
        let mut turn = self.turn.clone();
        let with_turns = screen.turns().flat_map(|shown| shown.lines().map(move |line| (shown, line)));
        let interim: Vec<_> = with_turns.filter(|(_, line)| is_interim(line)).collect();
        for (shown, line) in &interim[interim.len().saturating_sub(LINES_MAX)..] {
            if turn.as_ref() != Some(&shown.turn.id) {
                turn = Some(shown.turn.id.clone());
                text.push_str(&format!("\n{}\n", self.heading(screen, shown, shown.turn.start_ms, "")));
            }
            text.push_str(&styled(faint(), &format!("{} …", clean_line(&line.text))));
            text.push('\n');
        }
        text
    }
}

fn excerpt(text: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    let text = clean_line(text);
    let short: String = text.chars().take(CHARACTERS_MAX).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::subscriber::ChangesMessage;

    /// Takes one more message; gives what a terminal and what a file is told, without colours.
    fn told(screen: &mut Screen, scroll: &mut Scroll, plain: &mut PlainTurns, change: u64, rest: &str) -> [String; 3] {
        let json = format!(r#"{{"feed":"f","cursor":"e:{change}",{rest}}}"#);
        let message: ChangesMessage = serde_json::from_str(&json).expect("changes");
        screen.apply(message);
        let strip = |text: String| anstream::adapter::strip_str(&text).to_string();
        [strip(scroll.text(screen)), strip(scroll.interim(screen)), plain.text(screen, false)]
    }

    fn line(id: &str, speaker: &str, text: &str, status: &str) -> String {
        let start_ms = id.parse::<i64>().expect("a number") * 1000;
        format!(
            r#"{{"source":"m","id":"{id}","rev":0,"sort":"{id}","start_ms":{start_ms},"end_ms":null,"speaker":"{speaker}",
            "text":"{text}","status":"{status}","marks":[],"received_at":"2026-11-23T18:30:00Z"}}"#
        )
    }

    fn turn(id: &str, speaker: &str, state: &str) -> String {
        let start_ms = id.parse::<i64>().expect("a number") * 1000;
        format!(
            r#"{{"id":"m/{id}","sort":"{id}","speaker":"{speaker}","start_ms":{start_ms},"state":"{state}","rev":0}}"#
        )
    }

    #[test]
    fn words_stay_whole_and_headings_where_they_are() {
        let text = format!("\n[00:01] A\n{}\n", "evening ".repeat(40).trim_end());
        let wrapped = wrapped(&text);
        assert!(wrapped.starts_with("\n[00:01] A\nevening ") && wrapped.ends_with("evening\n"));
        assert!(wrapped.lines().count() > 3 && wrapped.split_whitespace().all(|word| text.contains(word)));
    }

    #[test]
    fn what_is_printed_as_a_story() {
        let (mut screen, mut scroll, mut plain) = (Screen::default(), Scroll::default(), PlainTurns::default());
        let mut check = |change: u64, rest: String, expected: [&str; 3]| {
            assert_eq!(told(&mut screen, &mut scroll, &mut plain, change, &rest), expected, "{rest}");
        };
        let speakers = r#""speakers":[{"id":"A","name":"A","into":null},{"id":"B","name":"B","into":null}]"#;
        let (one, open) = (line("1", "A", "Good", "interim"), turn("1", "A", "open"));
        check(1, format!(r#"{speakers},"lines":[{one}],"turns":[{open}]"#), ["", "\n[00:01] A\nGood …\n", ""]);
        let one = line("1", "A", "Good \\u001bevening.", "final");
        check(2, format!(r#""lines":[{one}]"#), ["\n[00:01] A\nGood ␛evening.\n", "", ""]);
        let (two, three) = (line("2", "A", "And welcome.", "final"), line("3", "B", "Thank", "interim"));
        let turns = [turn("1", "A", "closed"), turn("3", "B", "open")].join(",");
        check(
            3,
            format!(r#""lines":[{two},{three}],"turns":[{turns}]"#),
            ["And welcome.\n", "\n[00:03] B\nThank …\n", "[00:01] A\nGood ␛evening.\nAnd welcome.\n\n"],
        );
        let two = line("2", "A", "And good night.", "final");
        let plain_again = "[00:01] (amended) A\nGood ␛evening.\nAnd good night.\n\n";
        check(
            4,
            format!(r#""lines":[{two}]"#),
            ["\n[00:02] A (corrected)\nAnd good night.\n", "\n[00:03] B\nThank …\n", plain_again],
        );
        let renamed = r#""speakers":[{"id":"B","name":"Bea\u009b","into":null}],"gone":["m/2"]"#;
        check(
            5,
            renamed.to_owned(),
            [
                "(B is Bea<9B>)\n(taken back: And good night.)\n",
                "\n[00:03] Bea<9B>\nThank …\n",
                "[00:01] (amended) A\nGood ␛evening.\n\n",
            ],
        );
        let joined = format!(r#""gone":["m/3"],"gone_turns":["m/3"],"lines":[{}]"#, line("0", "A", "Ahem.", "final"));
        check(
            6,
            format!(r#"{joined},"turns":[{}]"#, turn("0", "A", "closed")),
            ["\n[00:00] A (late)\nAhem.\n", "", "[00:00] A\nAhem.\n\n"],
        );
    }
}
