//! Guesses of an engine among the rows of a file, and which of them what follows takes the place of.
//!
//! A row is a guess where one of its fields says so, by whatever name. What an engine says next in its place has the same id, or,
//! where rows have none or each message has its own, stands where the guess stood and is by nobody else. A guess that nothing
//! follows was said all the same.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::gather::{FilePlace, Gather};
use super::places::Fields;
use super::reused_ids::SaidUnderId;

/// Fields of which a guess says `false`, and those of which it says `true`.
const FALSE_FOR_GUESSES: [&str; 9] =
    ["final", "is_final", "isFinal", "IsFinal", "finalized", "completed", "is_complete", "confirmed", "end_of_turn"];
const TRUE_FOR_GUESSES: [&str; 8] =
    ["partial", "is_partial", "isPartial", "IsPartial", "interim", "is_interim", "isInterim", "is_draft"];

/// Fields that name the kind of a row, and the words of guesses in such names (`PartialTranscript`, `interim_results`).
const KIND_FIELDS: [&str; 7] =
    ["status", "type", "transcript_type", "message_type", "messageType", "result_type", "resultType"];
const GUESS_WORDS: [&str; 9] =
    ["partial", "interim", "hypothesis", "intermediate", "pending", "draft", "recognizing", "unconfirmed", "tentative"];

/// Fields that may say anything of a row: there a word of guesses must stand alone.
const WIDE_FIELDS: [&str; 2] = ["event", "state"];

/// The words of a name that a program gave, in small letters: `PartialTranscript` has two, as have `partial_transcript` and
/// `partial-transcript`. None of what people wrote, which has other signs.
fn words_of_name(name: &str) -> Vec<String> {
    let is_one = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':');
    if !name.chars().all(is_one) {
        return Vec::new();
    }
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let begins = !c.is_ascii_alphanumeric() || before.is_ascii_lowercase() && c.is_ascii_uppercase();
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_ascii_alphanumeric()) {
            word.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    words
}

/// True for a kind of rows that are guesses.
fn is_kind_of_guesses(kind: &str) -> bool {
    words_of_name(kind).iter().any(|word| GUESS_WORDS.contains(&&**word))
}

/// True for a kind of rows that say a line, whether it is final or not.
pub(super) fn is_kind_of_lines(kind: &str) -> bool {
    is_kind_of_guesses(kind) || words_of_name(kind).iter().any(|word| matches!(&**word, "final" | "finalized"))
}

/// True for a field that may say that its row is a guess.
pub(super) fn may_say_guess(name: &str) -> bool {
    [&FALSE_FOR_GUESSES[..], &TRUE_FOR_GUESSES, &KIND_FIELDS, &WIDE_FIELDS].iter().any(|names| names.contains(&name))
}

/// True for a row that its fields call a guess.
pub(super) fn is_guess(fields: &Fields<'_>) -> bool {
    let says = |names: &[&str], values: [&str; 3]| {
        let mut given = names.iter().filter_map(|name| fields.get(*name));
        given.any(|value| values.contains(&&*value.get().trim_matches('"').to_ascii_lowercase()))
    };
    let word = |name: &str| serde_json::from_str::<Cow<'_, str>>(fields.get(name)?.get()).ok();
    let mut kinds = KIND_FIELDS.into_iter().filter_map(word);
    let mut states = WIDE_FIELDS.into_iter().filter_map(word);
    says(&FALSE_FOR_GUESSES, ["false", "0", "no"])
        || says(&TRUE_FOR_GUESSES, ["true", "1", "yes"])
        || kinds.any(|kind| is_kind_of_guesses(&kind))
        || states.any(|state| GUESS_WORDS.contains(&&*state.to_ascii_lowercase()))
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
        match (&self.id, &now.id) {
            (None, None) => !before.is_not(said) && (is_near || self.says_alike(now)),
            (id, other) if id == other => !before.is_not(said),
            _ => is_near && self.says_alike(now) && !before.is_of_another(said),
        }
    }

    /// Whether the words of `now` show that it is said in the place of this guess.
    fn says_alike(&self, now: &Self) -> bool {
        self.said.shares_words(&now.said) || begins_alike(&self.said.text, &now.said.text)
    }
}

/// Whether one text is the beginning of the other, but for marks and capitals: the last word of a guess may be a part of one.
fn begins_alike(one: &str, other: &str) -> bool {
    let letters =
        |text: &str| -> String { text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect() };
    let (one, other) = (letters(one), letters(other));
    !one.is_empty() && !other.is_empty() && (one.starts_with(&other) || other.starts_with(&one))
}

/// For each of `rows` that is a guess the later one that takes its place, beside those that a final row of their id follows: of
/// these the id says it. `rows` has none for what is no line.
pub(super) fn overtaken(rows: &[Option<GuessableRow>]) -> Vec<Option<usize>> {
    let mut overtaken = vec![None; rows.len()];
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
        // What lacks a speaker may follow the only guess there is, if its words show it.
        let only = open.keys().next().copied().filter(|_| speaker.is_none() && open.len() == 1).flatten();
        for whose in [speaker, None, only] {
            let Some(guess) = open.get(&whose).copied() else { continue };
            let is_its = |guess: &GuessableRow| {
                let is_likely = whose.is_none() || whose == speaker || guess.says_alike(row);
                is_likely && guess.is_replaced_by(row)
            };
            if rows[guess].as_ref().is_some_and(is_its) {
                overtaken[guess] = Some(index);
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

/// Tells how many guesses have other words than the row that is read in the place of each, where no id says that it is theirs.
pub(super) fn tell_other_words(
    rows: &[Option<GuessableRow>],
    overtaken: &[Option<usize>],
    places: &[FilePlace],
    gather: &mut Gather,
) {
    let is_other = |index: &usize| {
        let now = overtaken[*index].and_then(|by| rows[by].as_ref());
        let both = rows[*index].as_ref().zip(now);
        both.is_some_and(|(guess, now)| !guess.says_alike(now) && (guess.id.is_none() || guess.id != now.id))
    };
    let mut others = (0..rows.len()).filter(is_other);
    if let Some(first) = others.next() {
        let count = 1 + others.count();
        let message = format!("guesses that a row with other words follows at their place: {count}; they are not read");
        gather.losses.add(places[first].line, places[first].column, message);
    }
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
            (r#""type":"partial_transcript""#, true),
            (r#""type":"isPartial""#, true),
            (r#""type":"transcript.partial""#, true),
            (r#""type":"impartial""#, false),
            (r#""type":"Draft budget""#, false),
            (r#""status":"pending approval""#, false),
            (r#""event":"interim""#, true),
            (r#""event":"Draft budget""#, false),
            (r#""event":"draft-budget""#, false),
            (r#""state":"pending approval""#, false),
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
            overtaken(&rows.iter().map(row).collect::<Vec<_>>()).iter().map(Option::is_some).collect()
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
            (&["?- 0 Ann Hello", "?- 0 - Hello the", "- 0 - Hello there."], &[true, true, false]),
            (&["?- 0 Ann Hello", "- 0 - Nobody."], &[false, false]),
            (&["?- 0 Ann Hello", "?- 0 Ben No", "- 0 - Hello."], &[false, false, false]),
            (&["?- 0 - Hello", "- 9000 - Nobody."], &[false, false]),
        ] {
            assert_eq!(read(rows), expected, "{rows:?}");
        }
    }
}
