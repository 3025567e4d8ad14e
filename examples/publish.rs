//! Publish captions, and lose none of them to a broken connection:
//!
//! ```sh
//! printf 'Clerk: The hearing is open.\n' | cargo run --example publish
//! cargo run --example publish -- ws://127.0.0.1:7700/v1/feeds/geneva/publish < lines.txt
//! ```
//!
//! `Publisher` numbers what it is given, keeps it until the server has it on disk, and comes back by itself.

#![allow(clippy::print_stderr, reason = "an example speaks to people")]

use captionwire::client::{Publisher, PublisherEvent, PublisherOptions, SocketUrl, random_name};
use captionwire::transcript::{Content, Version};
use captionwire::wire::Outgoing;
use tokio::io::{AsyncBufReadExt, BufReader};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    match run().await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        // Such as that another session has taken the source's place, and which.
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:7700/v1/feeds/demo/publish".into());
    let publisher = Publisher::start(SocketUrl::parse(&url)?, PublisherOptions::default());
    tokio::select! {
        published = publish(&publisher) => published?,
        () = tell(&publisher) => {}
    }
    // Waits until everything is durable; says why, if the server refuses for good.
    publisher.close().await?;
    Ok(())
}

async fn publish(publisher: &Publisher) -> Result<(), Box<dyn std::error::Error>> {
    let (began, run) = (std::time::Instant::now(), random_name());
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    let mut number = 0;
    let read = loop {
        let text = match input.next_line().await {
            Ok(Some(text)) => text,
            Ok(None) => break Ok(()),
            // Such as a line that is not UTF-8. Those before it are published.
            Err(error) => break Err(error),
        };
        number += 1;
        let (speaker, said) = match text.split_once(": ") {
            Some((speaker, said)) => (Some(speaker.into()), said),
            None => (None, text.as_str()),
        };
        let start_ms = Some(began.elapsed().as_millis() as i64);
        let content = Content { start_ms, speaker, text: said.into(), ..Content::default() };
        // An id names the line for good: send it again under its id to correct it, or `Outgoing::Retract` it.
        let line = Version { id: format!("{run}-{number}").into(), content, ..Version::default() };
        // Waits only while the server has as many unanswered lines as it takes.
        publisher.send(&Outgoing::Line(line)).await?;
    };
    publisher.flush().await?;
    Ok(read?)
}

/// What a person should know. Nothing of it needs an answer.
async fn tell(publisher: &Publisher) {
    while let Some(event) = publisher.next_event().await {
        match event {
            PublisherEvent::Refused(nack) => eprintln!("refused {}: {} ({})", nack.seq, nack.message, nack.code),
            PublisherEvent::Disconnected { why, retry_in } => eprintln!("{why}; trying again in {retry_in:?}"),
            _ => {}
        }
    }
}
