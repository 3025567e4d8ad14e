//! Names of fields in rows of JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The fields of an object, unread.
pub(crate) type Fields<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Who speaks, by the names that programs give it in a line, a segment or a word: those of people before those of labels, and
/// these before numbers.
pub(crate) const SPEAKER_FIELDS: [&str; 16] = [
    "speaker_name",
    "speakerName",
    "participant_name",
    "participantName",
    "speaker",
    "participant",
    "speaker_label",
    "speakerLabel",
    "speaker_tag",
    "speakerTag",
    "speaker_id",
    "speakerId",
    "participant_id",
    "participantId",
    "speaker_index",
    "speakerIndex",
];

/// Fields of which a guess says `false`, and those of which it says `true`.
pub(crate) const FALSE_FOR_GUESSES: [&str; 9] =
    ["final", "is_final", "isFinal", "IsFinal", "finalized", "completed", "is_complete", "confirmed", "end_of_turn"];

pub(crate) const TRUE_FOR_GUESSES: [&str; 8] =
    ["partial", "is_partial", "isPartial", "IsPartial", "interim", "is_interim", "isInterim", "is_draft"];

/// Fields that name the kind of a row, and how the words of guesses begin in such names (`PartialTranscript`, `interim_results`).
pub(crate) const KIND_FIELDS: [&str; 7] =
    ["status", "type", "transcript_type", "message_type", "messageType", "result_type", "resultType"];

/// Fields that may say anything of a row: there a word of guesses stands alone, or with one of engines.
pub(crate) const WIDE_FIELDS: [&str; 2] = ["event", "state"];

/// True for a field that may say that its row is a guess.
pub(crate) fn may_say_guess(name: &str) -> bool {
    [&FALSE_FOR_GUESSES[..], &TRUE_FOR_GUESSES, &KIND_FIELDS, &WIDE_FIELDS].iter().any(|names| names.contains(&name))
}
