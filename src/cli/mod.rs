//! Command line: the commands, and their output for people and scripts.
//!
//! * Exit codes: 0 done; 1 failed, or finished with problems; 2 wrong usage.
//! * stdout carries the results for programs (with `--json` one JSON value a line), stderr the messages for people. A
//!   reader of stdout that goes away is no failure.
//! * Data goes to a pipe or a file unchanged. In messages for people, and in data on a terminal, control characters are
//!   shown as symbols. Colour and live redrawing are for terminals only.
//!
//! `commands` has one file for each command. In `support`, `output` writes to the terminal, `server_target` finds the
//! server, `local_server` runs one in this process, and `publish_progress` reports a publisher's events.

#[cfg(feature = "bench")]
mod bench;
mod commands;
mod support;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::cli::support::outcome::{Outcome, explain, is_misuse};
use crate::cli::support::output::{OutputClosed, note};

/// Live captions in, speaker turns out, nothing lost on the way.
#[derive(Debug, Parser)]
#[command(name = "captionwire", version, propagate_version = true, arg_required_else_help = true, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  captionwire demo                     a server, a publisher and a viewer in one
  captionwire serve                    the server, on 127.0.0.1:7700
  captionwire watch geneva             the feed `geneva` as it is captioned
  captionwire publish geneva           caption it yourself, line by line

HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY name a proxy to connect through; this machine is always connected to directly.
Exit codes: 0 done; 1 failed, or finished with problems; 2 wrong usage.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(crate::cli::commands::serve::ServeCommand),
    /// Show what this is: a server, a publisher and a viewer in one
    Demo(crate::cli::commands::demo::DemoCommand),
    /// Follow a feed in the terminal
    Watch(crate::cli::commands::watch::WatchCommand),
    /// Publish typed text, or lines of JSON
    Publish(crate::cli::commands::publish::PublishCommand),
    /// Connect to a vendor's socket, and publish its captions
    Relay(crate::cli::commands::relay::RelayCommand),
    /// Post a feed's final lines to a caption URL
    Push(crate::cli::commands::push::PushCommand),
    /// Record what a vendor's socket says, with its moments
    Capture(crate::cli::commands::capture::CaptureCommand),
    /// Play a transcript file or an archived feed into a server, as a live publisher
    Replay(crate::cli::commands::replay::ReplayCommand),
    /// Store transcript files as archived feeds
    Import(crate::cli::commands::import::ImportCommand),
    /// Write a transcript in a format of your choice
    Export(crate::cli::commands::export::ExportCommand),
    /// Make a transcript file of another format
    Convert(crate::cli::commands::convert::ConvertCommand),
    /// List the feeds
    Feeds(crate::cli::commands::feeds::FeedsCommand),
    /// Find where something was said, in all feeds
    Search(crate::cli::commands::search::SearchCommand),
    /// Take a line back
    Retract(crate::cli::commands::retract::RetractCommand),
    /// Say who is who: list, rename, merge and unmerge speakers
    Speakers(crate::cli::commands::speakers::SpeakersCommand),
    /// Make a token that lets somebody publish, read or manage
    Token(crate::cli::commands::token::TokenCommand),
    /// Check a configuration
    Config(crate::cli::commands::config::ConfigCommand),
    /// Check that an archive is whole
    Verify(crate::cli::commands::archive::VerifyCommand),
    /// Copy an archive, also while a server writes it
    Backup(crate::cli::commands::archive::BackupCommand),
    /// Copy feeds, with their history, to another archive or log
    Copy(crate::cli::commands::copy::CopyCommand),
    /// Measure what this server costs on this machine, beside the least that any could
    #[cfg(feature = "bench")]
    Bench(Box<crate::cli::bench::BenchCommand>),
}

/// Runs the command in this process's arguments; returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return misused(&error),
    };
    match run(arguments.command) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Problems) => ExitCode::FAILURE,
        Err(error) if error.chain().any(|cause| cause.is::<OutputClosed>()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(usage) = error.downcast_ref::<clap::Error>() {
                return misused(usage);
            }
            note(&explain(&error));
            if is_misuse(&error) { ExitCode::from(WRONG_USAGE) } else { ExitCode::FAILURE }
        }
    }
}

/// Exit code for wrong usage, the same as clap's.
const WRONG_USAGE: u8 = 2;

/// Prints the error, or the help or version that was asked for, and returns the exit code.
fn misused(error: &clap::Error) -> ExitCode {
    // A reader that closes the pipe early is no failure.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(WRONG_USAGE))
}

fn run(command: Command) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no threads to run on")?;
    // On a worker thread, beside the tasks that it starts: a separate thread would have to be woken for every
    // connection.
    let running = runtime.spawn(async move {
        match command {
            Command::Serve(command) => command.run().await,
            Command::Demo(command) => command.run().await,
            Command::Watch(command) => command.run().await,
            Command::Publish(command) => command.run().await,
            Command::Relay(command) => command.run().await,
            Command::Push(command) => command.run().await,
            Command::Capture(command) => command.run().await,
            Command::Replay(command) => command.run().await,
            Command::Import(command) => command.run().await,
            Command::Export(command) => command.run().await,
            Command::Convert(command) => command.run(),
            Command::Feeds(command) => command.run().await,
            Command::Search(command) => command.run().await,
            Command::Retract(command) => command.run().await,
            Command::Speakers(command) => command.run().await,
            Command::Token(command) => command.run(),
            Command::Config(command) => command.run(),
            Command::Verify(command) => command.run().await,
            Command::Backup(command) => command.run().await,
            Command::Copy(command) => command.run().await,
            #[cfg(feature = "bench")]
            Command::Bench(command) => command.run().await,
        }
    });
    let outcome = runtime.block_on(running).context("a fault of the program")?;
    // A thread that waits for standard input would keep the process alive here.
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_make_sense_and_every_command_has_examples() {
        let command = Arguments::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:\n  captionwire "), "{}: {help}", sub.get_name());
        }
    }
}
