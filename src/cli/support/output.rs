//! Output: results on stdout, messages for people on stderr.
//!
//! Data (a transcript, a recording) goes to a pipe or a file unchanged. A terminal never receives control characters:
//! they are shown as symbols, in data as in messages. Styles are used only where they are shown.

use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style};
use anyhow::Context;

/// The reader of the output has closed it. The command ends, and that is no failure.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
pub(crate) struct OutputClosed;

/// Writes text for people to stdout.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    write_to_stdout(text.as_bytes())
}

/// Writes data to stdout, unchanged unless stdout is a terminal, where control characters are shown as symbols.
pub(crate) fn print_data(data: &[u8]) -> anyhow::Result<()> {
    if std::io::stdout().is_terminal() {
        return print(&clean_text(&String::from_utf8_lossy(data)));
    }
    write_to_stdout(data)
}

/// Writes data to a file, or to a device such as `/dev/stdout`.
pub(crate) fn save(path: &Path, data: &[u8]) -> anyhow::Result<()> {
    written(std::fs::write(path, data), &path.display().to_string())
}

fn write_to_stdout(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    written(out.write_all(bytes).and_then(|()| out.flush()), "to stdout")
}

fn written(result: std::io::Result<()>, place: &str) -> anyhow::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(OutputClosed.into()),
        result => result.with_context(|| format!("cannot write {place}")),
    }
}

/// Writes a value to stdout as one line of JSON.
pub(crate) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let json = serde_json::to_string(value).context("this cannot be written as JSON")?;
    print_json_text(&json)
}

/// Writes JSON text to stdout as one line.
pub(crate) fn print_json_text(json: &str) -> anyhow::Result<()> {
    print(&format!("{}\n", json_line(json)))
}

/// Puts `json` on one line, without characters that a terminal interprets. The meaning is the same: inside strings
/// those characters become escapes, and elsewhere they can only be white space.
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

/// Writes text to stderr without a prefix, so that people can copy it.
pub(crate) fn tell(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Writes a message to stderr. A closed stderr is ignored.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "captionwire: {}", clean_text(text));
}

/// Puts `text` on one line, without characters that a terminal interprets: line breaks and tabs become blanks, other
/// control characters visible symbols.
pub(crate) fn clean_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    clean(text.replace(['\n', '\t'], " ").chars()).into()
}

/// Like [`clean_line`], but keeps line breaks, including those of Windows, and tabs.
pub(crate) fn clean_text(text: &str) -> Cow<'_, str> {
    if !text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) {
        return text.into();
    }
    clean(text.replace("\r\n", "\n").chars()).into()
}

fn clean(text: impl Iterator<Item = char>) -> String {
    let mut clean = String::new();
    for c in text {
        match c {
            '\n' | '\t' => clean.push(c),
            // Unicode has a symbol for each of these, in order, but none for those above 0x7f.
            '\0'..='\u{1f}' => clean.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER)),
            '\u{7f}' => clean.push('\u{2421}'),
            '\u{80}'..='\u{9f}' => clean.push_str(&format!("<{:02X}>", u32::from(c))),
            c => clean.push(c),
        }
    }
    clean
}

/// Formats a count: `1 line`, `2 lines`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Returns true if stdout is a terminal on which lines can be redrawn.
pub(crate) fn is_live_terminal() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Returns true if stderr is a terminal.
pub(crate) fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Returns a progress bar on stderr if that is a terminal, and a hidden one otherwise.
pub(crate) fn progress_bar(count: u64, template: &str) -> indicatif::ProgressBar {
    if !stderr_is_terminal() {
        return indicatif::ProgressBar::hidden();
    }
    let bar = indicatif::ProgressBar::new(count);
    match indicatif::ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Returns true if stdout shows colours.
fn stdout_has_colour() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

/// Applies a style to `text` if stdout shows colours.
pub(crate) fn styled(style: Style, text: &str) -> String {
    if stdout_has_colour() { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// Returns the style of the `n`-th speaker.
pub(crate) fn speaker_style(n: usize) -> Style {
    const COLOURS: [AnsiColor; 6] =
        [AnsiColor::Cyan, AnsiColor::Yellow, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Blue, AnsiColor::Red];
    COLOURS[n % COLOURS.len()].on_default().bold()
}

/// Returns the style for text that is less important, or may still change.
pub(crate) fn faint() -> Style {
    Style::new().dimmed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_given_no_orders() {
        let evil = "a\u{1b}[2Jb\u{9b}31mc\rd\ne\tf\u{7f}\u{0}";
        assert_eq!(clean_line(evil), "a␛[2Jb<9B>31mc␍d e f␡␀");
        assert_eq!(clean_text(evil), "a␛[2Jb<9B>31mc␍d\ne\tf␡␀");
        assert_eq!(clean_text("of Windows\r\n\u{b}"), "of Windows\n␋");
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
