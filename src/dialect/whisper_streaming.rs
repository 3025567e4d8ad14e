//! The server of whisper_streaming: lines `<begin> <end> <text>`, both in milliseconds. It says only what is settled.

use super::lines::Saying;
use super::session::Engine;
use super::session_sign::{SessionSign, Span};
use super::text::Teller;
use super::{Decoded, FaultKind, Format, Options};
use crate::transcript::MediaMs;

pub(super) struct WhisperStreaming {
    teller: Teller,
}

/// The two times and the text of a line.
pub(super) fn read(line: &str) -> Option<(f64, f64, &str)> {
    let (begin, rest) = line.trim_start().split_once(' ')?;
    let (end, text) = rest.trim_start().split_once(' ').unwrap_or((rest.trim(), ""));
    let number =
        |text: &str| text.parse::<f64>().ok().filter(|_| text.starts_with(|c: char| c == '-' || c.is_ascii_digit()));
    Some((number(begin)?, number(end)?, text))
}

fn say(teller: &mut Teller, line: &str, saying: &mut Saying, out: &mut Decoded) {
    let Some((begin, end, text)) = read(line) else {
        out.fault(
            FaultKind::Odd,
            "a line does not begin with two times in milliseconds: its text was taken without them",
        );
        teller.say_text(line, None, saying);
        return;
    };
    if text.trim().is_empty() {
        return;
    }
    let time = |ms: f64, out: &mut Decoded| -> Option<MediaMs> {
        super::json::on_axis(ms, &teller.options)
            .map_err(|why| {
                out.fault(FaultKind::BadTime, format!("a time of a line {why}: the line's times were left out"))
            })
            .ok()
    };
    let times = time(begin, out).zip(time(end, out));
    teller.say_text(text, times, saying);
}

impl Engine for WhisperStreaming {
    const FORMAT: Format = Format::WhisperStreaming;
    type Message = str;

    fn new(options: Options) -> Self {
        Self { teller: Teller::new(options) }
    }

    fn sign<'a>(&self, line: &'a str) -> SessionSign<'a> {
        let times = read(line);
        let span = times.and_then(|(begin, end, _)| Span::new(Some(begin), Some(end)));
        SessionSign {
            says: true,
            span: span.filter(|span| span.start_ms >= 0.0),
            text: times.map_or("", |(_, _, text)| text).into(),
            is_settled: true,
            ..SessionSign::default()
        }
    }

    fn read(&mut self, message: &str, out: &mut Decoded) {
        let mut saying = Saying::default();
        say(&mut self.teller, message, &mut saying, out);
        saying.finish(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_a_table() {
        for (line, expected) in [
            ("0 1720 Good evening.", Some((0.0, 1720.0, "Good evening."))),
            ("1720.5 2000  two  spaces", Some((1720.5, 2000.0, " two  spaces"))),
            ("1 2", Some((1.0, 2.0, ""))),
            ("-1 2 a", Some((-1.0, 2.0, "a"))),
            ("Good evening all", None),
            ("1 of us", None),
            ("inf 2 a", None),
            ("NaN 2 a", None),
            ("", None),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
    }
}
