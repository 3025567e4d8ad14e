//! Guesses of an engine among the rows of a file, and which of them what follows takes the place of.
//!
//! A row is a guess where one of its fields says so, by whatever name. What an engine says next in its place has the same id, or,
//! where rows have none or each message has its own, stands where the guess stood and is by nobody else. A guess that nothing
//! follows was said all the same.

use std::collections::HashMap;
use std::sync::Arc;

use super::places::Fields;
use super::reused_ids::SaidUnderId;

/// Fields of which a guess says `false`, and those of which it says `true`.
const FALSE_FOR_GUESSES: [&str; 9] =
    ["final", "is_final", "isFinal", "IsFinal", "finalized", "completed", "is_complete", "confirmed", "end_of_turn"];
const TRUE_FOR_GUESSES: [&str; 8] =
    ["partial", "is_partial", "isPartial", "IsPartial", "interim", "is_interim", "isInterim", "is_draft"];

/// Fields that name the kind of a row, and the words of guesses in such names (`PartialTranscript`, `interim_results`).
const KIND_FIELDS: [&str; 9] =
    ["status", "type", "transcript_type", "message_type", "messageType", "result_type", "resultType", "event", "state"];
const GUESS_WORDS: [&str; 9] =
    ["partial", "interim", "hypothesis", "intermediate", "pending", "draft", "recognizing", "unconfirmed", "tentative"];

/// True for a kind of rows that are guesses.
fn is_kind_of_guesses(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    GUESS_WORDS.into_iter().any(|word| kind.contains(word))
}

/// True for a kind of rows that say a line, whether it is final or not.
pub(super) fn is_kind_of_lines(kind: &str) -> bool {
    is_kind_of_guesses(kind) || kind.to_ascii_lowercase().contains("final")
}

/// True for a row that its fields call a guess.
pub(super) fn is_guess(fields: &Fields<'_>) -> bool {
    let says = |names: &[&str], values: [&str; 3]| {
        let mut given = names.iter().filter_map(|name| fields.get(*name));
        given.any(|value| values.contains(&&*value.get().trim_matches('"').to_ascii_lowercase()))
    };
    let mut kinds = KIND_FIELDS.into_iter().filter_map(|name| fields.get(name));
    says(&FALSE_FOR_GUESSES, ["false", "0", "no"])
        || says(&TRUE_FOR_GUESSES, ["true", "1", "yes"])
        || kinds.any(|kind| kind.get().starts_with('"') && is_kind_of_guesses(kind.get()))
}

/// The place of what follows a guess is no farther from it than this, in milliseconds, if its id is another.
const SAME_PLACE_MS: u64 = 2_000;

/// One row of those among which guesses are looked for.
#[derive(Debug)]
pub(super) struct GuessableRow {
    /// As the file has it, whatever may be an id elsewhere.
    pub(super) id: Option<Arc<str>>,
    pub(super) said: SaidUnderId,
}

impl GuessableRow {
    /// Whether `now`, which stands behind this guess, is said in its place.
    fn is_replaced_by(&self, now: &Self) -> bool {
        let (before, said) = (&self.said, &now.said);
        let is_near = before.moved_to(said).is_none_or(|moved| moved <= SAME_PLACE_MS);
        let is_alike = || before.shares_words(said) || begins_alike(&before.text, &said.text);
        match (&self.id, &now.id) {
            (None, None) => !before.is_not(said) && (is_near || is_alike()),
            (id, other) if id == other => !before.is_not(said),
            _ => is_near && is_alike() && !before.is_of_another(said),
        }
    }
}

/// Whether one text is the beginning of the other, but for marks and capitals: the last word of a guess may be a part of one.
fn begins_alike(one: &str, other: &str) -> bool {
    let letters =
        |text: &str| -> String { text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect() };
    let (one, other) = (letters(one), letters(other));
    !one.is_empty() && !other.is_empty() && (one.starts_with(&other) || other.starts_with(&one))
}

/// Whether each of `rows` is a guess that a later one takes the place of, beside those that a final row of their id follows: of
/// these the id says it. `rows` has none for what is no line.
pub(super) fn overtaken(rows: &[Option<GuessableRow>]) -> Vec<bool> {
    let mut overtaken = vec![false; rows.len()];
    if !rows.iter().flatten().any(|row| !row.said.is_final) {
        return overtaken;
    }
    let mut last_final: HashMap<&str, usize> = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        if let Some(GuessableRow { id: Some(id), said }) = row
            && said.is_final
        {
            last_final.insert(id, index);
        }
    }
    // The guess of each speaker that nothing took the place of so far; none for those of nobody known.
    let mut open: HashMap<Option<&str>, usize> = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        let Some(row) = row else { continue };
        let speaker = row.said.speaker.as_deref();
        let of_whom = if speaker.is_some() { [speaker, None] } else { [None, None] };
        for whose in of_whom {
            let Some(guess) = open.get(&whose).copied() else { continue };
            if rows[guess].as_ref().is_some_and(|guess| guess.is_replaced_by(row)) {
                overtaken[guess] = true;
                open.remove(&whose);
                break;
            }
        }
        let waits_for_own = row.id.as_deref().is_some_and(|id| last_final.get(id).is_some_and(|last| *last > index));
        if !row.said.is_final && !waits_for_own {
            open.insert(speaker, index);
        }
    }
    overtaken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_guess_by_whatever_name() {
        for (fields, expected) in [
            (r#""status":"interim""#, true),
            (r#""status":"partial""#, true),
            (r#""final":false"#, true),
            (r#""is_final":false"#, true),
            (r#""isFinal":"false""#, true),
            (r#""is_partial":1"#, true),
            (r#""type":"partial""#, true),
            (r#""transcript_type":"PartialTranscript""#, true),
            (r#""message_type":"FinalTranscript""#, false),
            (r#""final":true,"status":"final""#, false),
            (r#""partial":false"#, false),
            (r#""final":null"#, false),
            (r#""text":"a partial one""#, false),
        ] {
            let row = format!("{{{fields}}}");
            assert_eq!(is_guess(&serde_json::from_str(&row).expect("JSON")), expected, "{row}");
        }
    }

    #[test]
    fn what_an_engine_says_next_in_the_place_of_a_guess_overtakes_it() {
        // `?` for a guess, then id, start, speaker and text; each with whether it is overtaken.
        let read = |rows: &[&str]| -> Vec<bool> {
            let row = |row: &&str| {
                let (is_final, row) = row.strip_prefix('?').map_or((true, *row), |row| (false, row));
                let [id, start, speaker, text] = row.splitn(4, ' ').collect::<Vec<_>>()[..] else { panic!("{row}") };
                let name = |name: &str| (name != "-").then(|| Arc::from(name));
                let said = SaidUnderId {
                    rev: None,
                    is_final,
                    start_ms: start.parse().ok(),
                    end_ms: None,
                    wall_ms: None,
                    speaker: name(speaker),
                    text: text.into(),
                };
                Some(GuessableRow { id: name(id), said })
            };
            overtaken(&rows.iter().map(row).collect::<Vec<_>>())
        };
        for (rows, expected) in [
            // Without ids, with those of messages, and with those of lines, which say it themselves.
            (
                &["?- 0 - He", "?- 0 - Hello the", "- 0 - Hello there.", "?- 5000 - And"][..],
                &[true, true, false, false][..],
            ),
            (&["?1 0 - Hello the", "2 0 - Hello there."], &[true, false]),
            (&["?1 0 - Hello the", "?1 0 - Hello there", "1 0 - Hello there."], &[false, false, false]),
            (&["?1 0 - Hello", "2 0 - Nobody.", "1 0 - Hello there."], &[false, false, false]),
            (&["?- - - a b", "- - - c d."], &[true, false]),
            // Another line, of another or elsewhere, takes no place.
            (&["?1 0 - Hello", "2 0 - Nobody."], &[false, false]),
            (&["?- 0 Ann Hello", "- 0 Ben Nobody."], &[false, false]),
            (&["?- 0 Ann Hello", "?- 100 Ben No", "- 0 Ann Hello.", "- 100 Ben Nobody."], &[true, true, false, false]),
            (&["?- 0 - Hello", "- 0 Ann Hello."], &[true, false]),
            (&["?- 0 - Hello", "- 9000 - Nobody."], &[false, false]),
        ] {
            assert_eq!(read(rows), expected, "{rows:?}");
        }
    }
}
