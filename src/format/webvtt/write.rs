//! Writer of WebVTT (W3C WebVTT, "WebVTT file structure"). The id of a cue is the key of its line, and `<v>` names the
//! speaker. Notes say which ends are estimated.

use std::collections::HashSet;

use crate::format::core::cue_syntax::no_arrow;
use crate::format::core::cues::{CueLine, SourceCues, as_read, payload, spans};
use crate::format::core::document::{Document, SpeakerNameTable};
use crate::format::core::encoding::without_controls;
use crate::format::core::fidelity::{Fidelity, FormatWriter, WrittenTimes};
use crate::format::core::kinds::FileKind;
use crate::format::core::reading::{
    ALL_ENDS_ESTIMATED, ALL_TIMES_ESTIMATED, END_ESTIMATED, NOBODY_NAMED, NOTHING_ROLLS, TIMES_ESTIMATED,
};
use crate::format::core::source_markup::SourceMarkup;
use crate::format::core::{rolling, speaker_labels};
use crate::format::text::text_lines::one_line;
use crate::format::webvtt::text::{escape, without_headers};
use crate::transcript::time::cue_clock;
use crate::transcript::{Line, TimeSource};

pub(in super::super) const WRITER: FormatWriter = FormatWriter {
    write,
    keeps: Fidelity { ends: true, estimates: true, languages: true, title: true, ..Fidelity::LEAST },
    times: WrittenTimes::Cues,
    has_break_sign: true,
    text: |said| without_controls(&payload(said).collect::<Vec<_>>().join("\n")).into_owned(),
    name: one_line,
    title: |title| no_arrow(&one_line(title)),
};

fn write(document: &Document) -> String {
    let spans = spans(document);
    let mut writer = VttWriter {
        out: "WEBVTT".to_owned(),
        names: document.names(),
        kept: SourceCues::of(document, FileKind::Vtt),
        all_estimated: estimate_of_all(&spans),
        ids: HashSet::new(),
    };
    writer.header(document.meta.title.as_deref());
    writer.notes(document, &spans);
    for span in &spans {
        writer.cue(span);
    }
    for block in writer.kept.kept.into_iter().flat_map(|kept| &kept.tail) {
        writer.block(block);
    }
    writer.out
}

/// Returns true for a line whose times are those of its place in the order.
fn is_placed(line: &Line) -> bool {
    line.time_source == Some(TimeSource::Order)
}

/// The note that holds for all cues, if one does: all their times are estimated, or all ends and no start.
fn estimate_of_all(spans: &[CueLine<'_>]) -> Option<&'static str> {
    let placed = spans.iter().filter(|span| is_placed(span.line)).count();
    let is_one = !spans.is_empty() && spans.iter().all(|span| span.is_estimated);
    match placed {
        _ if !is_one => None,
        0 => Some(ALL_ENDS_ESTIMATED),
        placed => (placed == spans.len()).then_some(ALL_TIMES_ESTIMATED),
    }
}

/// A file that is being written.
struct VttWriter<'a> {
    out: String,
    names: SpeakerNameTable<'a>,
    kept: SourceCues<'a>,
    /// The note about estimates that holds for all cues.
    all_estimated: Option<&'static str>,
    /// Ids that were written.
    ids: HashSet<String>,
}

impl VttWriter<'_> {
    fn header(&mut self, title: Option<&str>) {
        match (self.kept.kept, title) {
            (Some(SourceMarkup { header, .. }), _) if !header.trim().is_empty() => {
                let gap = if header.starts_with('\n') { "" } else { " " };
                self.out.extend([gap, &no_arrow(header)]);
            }
            (None, Some(title)) => self.out.extend([" - ", &no_arrow(&one_line(title))]),
            _ => {}
        }
        self.out.push('\n');
    }

    /// Adds a block of lines, below an empty line.
    fn block(&mut self, block: &str) {
        self.out.extend(["\n", block, "\n"]);
    }

    fn note(&mut self, note: &str) {
        self.out.extend(["\nNOTE ", note, "\n"]);
    }

    /// Adds the notes about the whole file.
    fn notes(&mut self, document: &Document, spans: &[CueLine<'_>]) {
        if let Some(note) = self.all_estimated {
            self.note(note);
        }
        let mut speakers = spans.iter().filter_map(|span| self.names.of(span.line.speaker.as_deref()));
        let is_named = speakers.any(|name| !one_line(name).is_empty());
        if !is_named && speaker_labels::would_take(spans.iter().map(|span| &*span.line.text)) {
            self.note(NOBODY_NAMED);
        }
        if rolling::would_roll(&as_read(document)) {
            self.note(NOTHING_ROLLS);
        }
    }

    /// Adds the cue of a line. If a cue of the source file became several lines, the first one stands for it.
    fn cue(&mut self, span: &CueLine<'_>) {
        let CueLine { line, start, end, is_estimated } = *span;
        let cue = self.kept.of_line(line);
        if let Some((_, false)) = cue {
            return;
        }
        let cue = cue.map(|(cue, _)| cue);
        for block in cue.into_iter().flat_map(|cue| &cue.before) {
            self.block(block);
        }
        if (is_estimated || is_placed(line)) && self.all_estimated.is_none() {
            self.note(if is_placed(line) { TIMES_ESTIMATED } else { END_ESTIMATED });
        }
        self.out.push('\n');
        let id = cue.map_or_else(|| no_arrow(&one_line(&line.key().to_string())), |cue| cue.id.clone());
        // "A WebVTT cue identifier must be unique": of two equal ids, only the first is written.
        if !id.is_empty() && self.ids.insert(id.clone()) {
            self.out.extend([&*id, "\n"]);
        }
        self.out.extend([&*cue_clock(start, '.'), " --> ", &cue_clock(end, '.')]);
        let settings = cue.map(|cue| &*cue.settings).filter(|settings| !settings.is_empty());
        settings.into_iter().for_each(|settings| self.out.extend([" ", settings]));
        self.out.push('\n');
        match cue {
            Some(cue) => self.out.push_str(&cue.payload),
            None => {
                let name = self.names.of(line.speaker.as_deref());
                self.out.push_str(&without_controls(&cue_payload(name, line)));
            }
        }
        self.out.push('\n');
    }
}

/// The text of a line's cue, in the voice of the speaker `name`.
pub(in super::super) fn cue_payload(name: Option<&str>, line: &Line) -> String {
    let escaped: Vec<_> = payload(&line.text).map(escape).collect();
    let text = escaped.join("\n");
    let lang = line.lang.as_deref().map(one_line).filter(|lang| !lang.is_empty());
    let text = lang.map_or(text.clone(), |lang| format!("<lang {}>{text}</lang>", escape(&lang)));
    voice(name) + &without_headers(&text)
}

fn voice(name: Option<&str>) -> String {
    match name.map(one_line) {
        // After two dashes, the end of the tag would be an arrow. The standard strips blanks from a name.
        Some(name) if name.ends_with("--") => format!("<v {} >", escape(&name)),
        Some(name) if !name.is_empty() => format!("<v {}>", escape(&name)),
        _ => String::new(),
    }
}
