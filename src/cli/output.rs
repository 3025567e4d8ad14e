//! What goes to the terminal: results on stdout, words for people on stderr.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use anyhow::Context;

/// Whoever read stdout is gone. Nothing more needs to be said, and it is no failure.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
pub(super) struct OutputClosed;

/// Writes `text` to stdout, as it is but for its colours, which only a terminal gets.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    print_bytes(text.as_bytes())
}

/// Writes bytes to stdout.
pub(super) fn print_bytes(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(OutputClosed.into()),
        Err(error) => Err(error).context("cannot write to stdout"),
    }
}

/// Writes a value to stdout as one line of JSON.
pub(super) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let json = serde_json::to_string(value).context("this cannot be written as JSON")?;
    print_json_text(&json)
}

/// Writes JSON as it came, as one line.
pub(super) fn print_json_text(json: &str) -> anyhow::Result<()> {
    print(&format!("{}\n", json_line(json)))
}

/// `json` on one line, and without characters that a terminal takes for orders. It means the same: within strings they
/// are written as escapes, and elsewhere there is only white space.
fn json_line(json: &str) -> Cow<'_, str> {
    if !json.contains(char::is_control) {
        return json.into();
    }
    let mut line = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}' => line.push_str(&format!("\\u{:04x}", u32::from(c))),
            c if c.is_control() => line.push(' '),
            c => line.push(c),
        }
    }
    line.into()
}

/// Writes lines of its own to stderr, for people to copy.
pub(super) fn tell(text: &str) {
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// Tells people something on stderr. If nobody listens there, that is all the same.
pub(super) fn note(text: &str) {
    let _ = writeln!(anstream::stderr(), "captionwire: {}", clean_text(text));
}

/// `text` without control characters, line breaks and tabs included: safe for a terminal, and on one line.
pub(super) fn clean_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let blank = |c: char| if matches!(c, '\n' | '\t') { ' ' } else { c };
    text.chars().map(blank).filter(|c| !c.is_control()).collect::<String>().into()
}

/// As [`clean_line`], but line breaks and tabs stay.
pub(super) fn clean_text(text: &str) -> Cow<'_, str> {
    let is_bad = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(is_bad) {
        return text.into();
    }
    text.chars().filter(|c| !is_bad(*c)).collect::<String>().into()
}

/// Whether stdout is a terminal on which lines can be drawn again.
pub(super) fn is_live_terminal() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether people see what goes to stderr as it comes.
pub(super) fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// A progress bar on stderr, where it is a terminal; else one that nobody sees.
pub(super) fn progress_bar(count: u64, template: &str) -> indicatif::ProgressBar {
    if !stderr_is_terminal() {
        return indicatif::ProgressBar::hidden();
    }
    let bar = indicatif::ProgressBar::new(count);
    match indicatif::ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Whether stdout takes colours: they can be part of what is drawn there by others than [`print`].
pub(super) fn stdout_has_colour() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

/// `text` in a style; [`print`] takes it away again where there is no terminal.
pub(super) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// The colour of the `n`-th speaker.
pub(super) fn speaker_style(n: usize) -> Style {
    const COLOURS: [AnsiColor; 6] =
        [AnsiColor::Cyan, AnsiColor::Yellow, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Blue, AnsiColor::Red];
    COLOURS[n % COLOURS.len()].on_default().bold()
}

/// For what is less important, or may still change.
pub(super) fn faint() -> Style {
    Style::new().dimmed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_given_no_orders() {
        let evil = "a\u{1b}[2Jb\u{9b}31mc\rd\ne\tf\u{7f}\u{0}";
        assert_eq!(clean_line(evil), "a[2Jb31mcd e f");
        assert_eq!(clean_text(evil), "a[2Jb31mcd\ne\tf");
        assert_eq!(clean_line("grüß 漢字 🎤"), "grüß 漢字 🎤");
    }

    #[test]
    fn json_stays_what_it_is() {
        let json = "{\"text\":\n\"a\u{9b}31m\\n\"}";
        let line = json_line(json);
        assert!(!line.contains(char::is_control), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(value, serde_json::from_str::<serde_json::Value>(json).expect("JSON"));
    }
}
