//! Names of fields in rows of JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The fields of an object, not yet parsed.
pub(crate) type Fields<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Fields for the speaker of a line, a segment or a word, in different programs: names of people first, then labels,
/// then numbers.
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

/// Fields that are `false` in interim rows.
pub(crate) const FALSE_FOR_GUESSES: [&str; 9] =
    ["final", "is_final", "isFinal", "IsFinal", "finalized", "completed", "is_complete", "confirmed", "end_of_turn"];

pub(crate) const TRUE_FOR_GUESSES: [&str; 8] =
    ["partial", "is_partial", "isPartial", "IsPartial", "interim", "is_interim", "isInterim", "is_draft"];

/// Fields that name the kind of a row. Names of interim kinds contain words such as those in `PartialTranscript` and
/// `interim_results`.
pub(crate) const KIND_FIELDS: [&str; 7] =
    ["status", "type", "transcript_type", "message_type", "messageType", "result_type", "resultType"];

/// Fields with any statement about a row. In their values, a word for interim stands alone, or with a word for speech.
pub(crate) const WIDE_FIELDS: [&str; 2] = ["event", "state"];

/// Returns true for a field that may mark its row as interim.
pub(crate) fn may_say_guess(name: &str) -> bool {
    [&FALSE_FOR_GUESSES[..], &TRUE_FOR_GUESSES, &KIND_FIELDS, &WIDE_FIELDS].iter().any(|names| names.contains(&name))
}
