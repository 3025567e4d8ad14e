//! What a reader sees of a dialect: its lines, folded.

use std::fmt::Write as _;

use captionwire::dialect::{Decoded, DecodedEvent, Dialect};
use captionwire::position::Epoch;
use captionwire::transcript::line::check_line_id;
use captionwire::transcript::{FoldView, Line, Op, Record, Status, Timestamp, Transcript};

/// A transcript that is fed by a dialect, one frame each second.
pub(crate) struct Screen {
    pub(crate) transcript: Transcript,
    now: i64,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let mut screen = Self { transcript: Transcript::new(FoldView::Interim), now: 0 };
        screen.apply(Op::Open { epoch: Epoch::new("e"), settings: Default::default(), imported: false });
        screen.apply(Op::Resume);
        screen
    }

    /// Takes a frame; gives what was wrong with it, for people.
    pub(crate) fn decode(&mut self, dialect: &mut dyn Dialect, frame: &[u8]) -> String {
        let mut out = Decoded::default();
        dialect.decode(frame, &mut out);
        self.take(out)
    }

    pub(crate) fn end(&mut self, dialect: &mut dyn Dialect) -> String {
        let mut out = Decoded::default();
        dialect.end(&mut out);
        self.take(out)
    }

    /// The vendor's session is over.
    pub(crate) fn close(&mut self, dialect: &mut dyn Dialect) -> String {
        let mut out = Decoded::default();
        dialect.close_session(&mut out);
        self.take(out)
    }

    pub(crate) fn take(&mut self, out: Decoded) -> String {
        self.now += 1_000;
        let mut told = String::new();
        for said in out.says {
            check(&said);
            let source = "main".into();
            match said {
                DecodedEvent::Lines(mut lines) => {
                    let timeless = lines.iter_mut().filter(|line| line.content.start_ms.is_none());
                    timeless.for_each(|line| line.arrival_ms = Some(self.now));
                    self.apply(Op::Line { source, lines });
                }
                DecodedEvent::Retract { id } => self.apply(Op::Retract { source, id, rev: None }),
                DecodedEvent::Clock { media_ms } => {
                    write!(told, ", clock {media_ms}").expect("a string takes it");
                    self.apply(Op::Clock { source, media_ms });
                }
                other => panic!("{other:?} is not shown here"),
            }
        }
        for fault in out.faults {
            write!(told, "\n! {:?}: {fault}", fault.kind).expect("a string takes it");
        }
        told
    }

    fn apply(&mut self, op: Op) {
        let offset = self.transcript.next_offset();
        self.transcript.apply(offset, Record::new(Timestamp(self.now), op));
    }

    /// The lines in their order; `~` stands before a guess.
    pub(crate) fn lines(&self) -> String {
        let line = |line: Line| {
            let mark = if line.status == Status::Interim { "~" } else { " " };
            let speaker = line.speaker.as_deref().unwrap_or("-");
            let begins = if line.break_before.is_some() { "¶ " } else { "" };
            format!("  {mark}{} [{speaker}] {begins}{:?}\n", line.id, &*line.text)
        };
        self.transcript.assembled().flat_map(|(_, lines)| lines).map(line).collect()
    }

    /// The turns, with the times of lines and words.
    pub(crate) fn turns(&self) -> String {
        let mut turns = String::new();
        for (turn, lines) in self.transcript.assembled() {
            let speaker = turn.speaker.as_deref().unwrap_or("-");
            writeln!(turns, "{speaker}").expect("a string takes it");
            for line in lines {
                let end = line.end_ms.map_or("?".to_owned(), |end| end.to_string());
                let source = line.time_source.map_or(String::new(), |source| format!(" by {source:?}"));
                let lang = line.lang.as_deref().map_or(String::new(), |lang| format!(" {lang}"));
                let status = if line.status == Status::Interim { " interim" } else { "" };
                let (id, words) = (&line.id, line.words.len());
                let place = format!("{}-{end}{source}{lang}{status}, {words} timed words", line.start_ms);
                writeln!(turns, "  {id} ({place})\n    {}", line.text.replace('\n', "\n    "))
                    .expect("a string takes it");
            }
        }
        turns
    }

    /// All text, in the order of the transcript, with single spaces.
    pub(crate) fn text(&self) -> String {
        let lines: Vec<Line> = self.transcript.assembled().flat_map(|(_, lines)| lines).collect();
        let words: Vec<&str> = lines.iter().flat_map(|line| line.text.split_whitespace()).collect();
        words.join(" ")
    }
}

/// What the server asks of every line (`src/wire/publisher/mod.rs`), whatever the frame was.
pub(crate) fn check(said: &DecodedEvent) {
    let in_range = |time: i64| (0..=604_800_000).contains(&time);
    let is_text = |text: &str| !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t'));
    match said {
        DecodedEvent::Clock { media_ms } => assert!(in_range(*media_ms)),
        DecodedEvent::Retract { id } => assert!(check_line_id(id).is_ok(), "{id}"),
        DecodedEvent::Lines(lines) => {
            assert!(!lines.is_empty());
            for line in lines {
                let content = &line.content;
                assert!(check_line_id(&line.id).is_ok(), "{}", line.id);
                assert!(content.text.len() <= 16_384 && is_text(&content.text), "{content:?}");
                assert!([content.start_ms, content.end_ms].into_iter().flatten().all(in_range), "{content:?}");
                assert!(content.end_ms.is_none() || content.end_ms >= content.start_ms, "{content:?}");
                let label = content.speaker.as_deref().unwrap_or("x");
                assert!((1..=256).contains(&label.len()) && !label.chars().any(char::is_control), "{content:?}");
                assert!(content.lang.as_deref().unwrap_or_default().len() <= 35, "{content:?}");
                for word in &content.words {
                    assert!(content.text.contains(&*word.text) && in_range(word.start_ms), "{content:?}");
                    assert!(word.end_ms.is_none_or(|end| in_range(end) && end >= word.start_ms), "{content:?}");
                }
                let size = serde_json::to_vec(content).expect("encodes").len();
                assert!(size < 60_000, "a line of {size} bytes does not fit into a message");
            }
        }
        other => panic!("{other:?} is not checked here"),
    }
}
