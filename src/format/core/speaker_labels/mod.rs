//! Speakers in the text of subtitles, whose formats have no field for them: `MAN:`, `Speaker 1:`, `[SPEAKER_00]:`,
//! `>>`.
//!
//! Some words before a colon are a name, and some begin a sentence or a heading. If nothing shows which, they stay in
//! the text. [`super::person_names`] knows words that are no names. A text before a colon is a name if it stands in
//! brackets or behind `>>`; if it is a designation (`MAN`, `Speaker 1`, `DR. ROTH`); if it stands there in capitals
//! more than once, and the file is not all in capitals; or if it is capitalised like a name and stands there more than
//! once. A word that the file also has in lower case must stand there often.
//!
//! **In one cue several people may speak**: each row that begins with a name, with `>>` or with the dash of another
//! speaker begins a line of its own, at the time of its first word if that is known. Beside a known name, a name in
//! capitals or of two words need not occur again. Below a row of a named speaker, a row that begins like another name
//! is not said by that speaker.
//!
//! **A file of ours** marks names with a no-break space behind the colon, which players show as a blank. The text
//! before the first one is a name, whatever characters it has. A cue without one is by the same speaker as the cue
//! before. `>>` means that the speaker is unknown, and with that space behind it, it is no part of the text. Such a
//! file is recognised by its first cue, which has one or the other, and by a second one: a single name counts only if
//! no other cue begins with a name of its own.
//!
//! **In a file in which nearly every cue begins with a name**, as meeting tools write them, these are names whatever
//! characters they have, except for one word that stands there once. The names may have a row of their own, the first
//! one.
//!
//! Some files write a name only where the speaker changes; others name only those who are off screen. So a cue without
//! a name has no speaker, unless it continues the sentence of a cue with one: in 35 hours of calls and podcasts, cut at
//! 60 letters, the speaker changed at 35 of the 17,865 places where a lower-case letter follows an unfinished sentence,
//! but at every fourth place that ends one.

mod label_names;
mod marked_names;
mod row_label;
mod speaker_pieces;

pub(crate) use self::label_names::are_names;
use self::label_names::{RowNames, row_names};
pub(crate) use self::marked_names::{mark_as_ours, markable, marked, take_marked};
use self::speaker_pieces::by_speaker;
pub(crate) use self::speaker_pieces::with_break;
use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::source_markup::SourceMarkup;
use crate::transcript::Content;

/// Returns true if a reader would take names from these texts, none of which has a speaker, or would find several
/// speakers in one.
pub(crate) fn would_take<'a>(texts: impl Iterator<Item = &'a str>) -> bool {
    let mut lines: Vec<Content> = texts.map(|text| Content { text: text.into(), ..Content::default() }).collect();
    if take_marked(&mut lines) {
        return true;
    }
    let count = lines.len();
    let pieces = by_speaker(lines);
    pieces.len() != count || pieces.iter().any(|(_, piece)| piece.speaker.is_some())
}

/// Turns the names before texts into speakers, and splits texts into the lines of each speaker.
pub(crate) fn take_from_texts(gather: &mut TranscriptBuilder, kept: &mut SourceMarkup) {
    if row_names(gather.contents()) == Some(RowNames::Likely) {
        let at = gather.place_of(0);
        gather.problem(at, 1, "what stands alone on the first row of nearly every cue is read as who speaks");
    }
    let pieces = by_speaker(gather.contents().to_vec());
    kept.take_pieces(&pieces);
    gather.take_pieces(pieces);
}

#[cfg(test)]
mod tests;
