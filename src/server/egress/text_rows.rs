//! A feed as text that goes on: its final lines, one below the other as they come, for braille displays, terminals and
//! whatever reads text.
//!
//! Text cannot be taken back. A line is sent once, when it is final for the first time, as it reads then; what is corrected
//! after that is right in `transcript.txt`. Nothing else is written, so that nothing has to be read past: no heartbeats, no
//! states, and cursors only for who asks for them.

use std::sync::Arc;

use crate::format::one_line;
use crate::position::Cursor;
use crate::transcript::{Line, Transcript};

/// Bytes that are sent at once, about: a slow line takes some seconds for them.
const PAGE_BYTES: usize = 32 * 1024;
/// Before a cursor, on a row of its own.
const CURSOR: &str = "#from=";
/// Somebody else speaks, whose name is not known (CEA-608 captioning writes it so).
const UNKNOWN: &str = ">> ";

/// State of a reader of text, beside its cursor.
pub(crate) struct TextRows {
    has_cursors: bool,
    /// The last cursor that was written.
    told: Option<Cursor>,
    /// The name of who spoke last; none before the first line.
    spoke: Option<Option<Arc<str>>>,
}

impl TextRows {
    pub(crate) fn new(has_cursors: bool) -> Self {
        Self { has_cursors, told: None, spoke: None }
    }

    /// Returns the text after the first `since` changes, as much of it as goes at once, and the number of changes after it.
    /// The text may be empty.
    pub(crate) fn after(&mut self, transcript: &Transcript, since: u64) -> (String, u64) {
        let (lines, to) = transcript.new_lines_since(since, PAGE_BYTES);
        let mut text = String::new();
        for line in lines {
            self.write(transcript, &line, &mut text);
        }
        let cursor = transcript.cursor(to).filter(|_| !text.is_empty());
        text.extend(cursor.and_then(|cursor| self.cursor(&cursor)));
        (text, to)
    }

    /// The row that says where reading can go on, for who wants it and was not told yet.
    pub(crate) fn cursor(&mut self, cursor: &Cursor) -> Option<String> {
        if !self.has_cursors || self.told.as_ref() == Some(cursor) {
            return None;
        }
        self.told = Some(cursor.clone());
        Some(format!("{CURSOR}{cursor}\n"))
    }

    fn write(&mut self, transcript: &Transcript, line: &Line, into: &mut String) {
        let said = one_line(&line.text);
        if said.is_empty() {
            return;
        }
        let name = line.speaker.as_deref().map(|id| transcript.speaker_name(id));
        let is_another = self.spoke.as_ref() != Some(&name) || line.break_before.is_some();
        let who = match name.as_deref().map(one_line).filter(|name| !name.is_empty()) {
            _ if !is_another => String::new(),
            Some(name) => name + ": ",
            None if self.spoke.is_some() => UNKNOWN.into(),
            None => String::new(),
        };
        self.spoke = Some(name);
        // What somebody said is no cursor.
        let apart = if self.has_cursors && who.is_empty() && said.starts_with(CURSOR) { " " } else { "" };
        into.extend([apart, &*who, &*said, "\n"]);
    }
}
