//! Suggestions for unknown field names.

/// Common names for our fields in vendors' engines, in editors and in hand-written programs.
const SYNONYMS: &[(&str, &str)] = &[
    ("final", "status"),
    ("is_final", "status"),
    ("interim", "status"),
    ("is_interim", "status"),
    ("partial", "status"),
    ("is_partial", "status"),
    ("state", "status"),
    ("begin", "start_ms"),
    ("begin_ms", "start_ms"),
    ("from", "start_ms"),
    ("offset", "start_ms"),
    ("offset_ms", "start_ms"),
    ("start", "start_ms"),
    ("start_time", "start_ms"),
    ("time", "start_ms"),
    ("timestamp", "start_ms"),
    ("ts", "start_ms"),
    ("end", "end_ms"),
    ("end_time", "end_ms"),
    ("stop", "end_ms"),
    ("to", "end_ms"),
    ("duration", "end_ms"),
    ("duration_ms", "end_ms"),
    ("name", "speaker"),
    ("label", "speaker"),
    ("speaker_id", "speaker"),
    ("speaker_label", "speaker"),
    ("speaker_name", "speaker"),
    ("caption", "text"),
    ("content", "text"),
    ("message", "text"),
    ("sentence", "text"),
    ("transcript", "text"),
    ("utterance", "text"),
    ("word", "text"),
    ("punctuated_word", "text"),
    ("lang_code", "lang"),
    ("language", "lang"),
    ("language_code", "lang"),
    ("locale", "lang"),
    ("revision", "rev"),
    ("version", "rev"),
    ("sequence", "seq"),
    ("seq_no", "seq"),
    ("key", "id"),
    ("line_id", "id"),
    ("uuid", "id"),
    ("tokens", "words"),
    ("items", "words"),
    ("segments", "lines"),
    ("cues", "lines"),
    ("kind", "type"),
    ("score", "confidence"),
    ("probability", "confidence"),
    ("prob", "confidence"),
];

/// Returns the name among `known` that `name` probably means: by a synonym, or by a small edit distance.
#[must_use]
pub(crate) fn nearest_field(name: &str, known: &[&'static str]) -> Option<&'static str> {
    // `isFinal`, `Start-Ms` and `start_ms` are one name.
    let mut plain = String::new();
    for c in name.chars() {
        match c {
            '-' | ' ' | '.' => plain.push('_'),
            c if c.is_uppercase() && plain.ends_with(|last: char| last.is_lowercase()) => {
                plain.push('_');
                plain.extend(c.to_lowercase());
            }
            c => plain.extend(c.to_lowercase()),
        }
    }
    let synonym = SYNONYMS.iter().find(|(theirs, _)| *theirs == plain).map(|(_, ours)| *ours);
    if let Some(synonym) = synonym.filter(|synonym| known.contains(synonym)) {
        return Some(synonym);
    }
    let distances = known.iter().map(|known| (strsim::osa_distance(&plain, known), *known));
    // One slip in three letters, and one in the shortest names.
    distances.filter(|(distance, known)| *distance <= (known.len() / 3).max(1)).min().map(|(_, known)| known)
}
