//! Interim rows of an engine in a file, and the later rows that replace them.
//!
//! A row is interim if one of its fields says so, under any name. Its replacement has the same id; or, if rows have no
//! ids or each message has one of its own, it starts at the same place and has no other speaker. An interim row without
//! a replacement is kept, because it was said.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::format::core::builder::{FilePlace, TranscriptBuilder};
use crate::format::core::json_spans::Fields;
use crate::format::core::reused_ids::IdSpeech;
use crate::format::json::row_fields::{FALSE_FOR_GUESSES, KIND_FIELDS, TRUE_FOR_GUESSES, WIDE_FIELDS};

const GUESS_WORDS: [&str; 9] =
    ["partial", "interim", "hypothesis", "intermediate", "pending", "draft", "recognizing", "unconfirmed", "tentative"];

/// First letters of words for speech, in names of kinds.
const SPEECH_WORDS: [&str; 7] = ["transcript", "result", "speech", "hypothes", "recogni", "asr", "stt"];

/// The most words in a program's name for a state.
const STATE_WORDS_MAX: usize = 3;

/// The words of a name, in lower case: `PartialTranscript` has two, as have `partial_transcript` and `ASRPartial`.
fn words_of_name(name: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let (mut before, mut rest) = (' ', name.chars().peekable());
    while let Some(c) = rest.next() {
        // The last capital of a run begins a word: `ASRPartial`.
        let is_last = before.is_uppercase() && rest.peek().is_some_and(|next| next.is_lowercase());
        let begins = !c.is_alphanumeric() || c.is_uppercase() && (before.is_lowercase() || is_last);
        if begins && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        word.extend(c.to_lowercase().filter(|c| c.is_alphanumeric()));
        before = c;
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

/// Returns true if a name contains one of `states`: `partial`, `partialtranscript`, `Partial Result`. In a name that a
/// program gave to a kind of rows, one word is enough. In `pending approval`, and in the value of a wide field, there
/// must also be a word for speech.
fn names_state(name: &str, states: &[&str], is_wide: bool) -> bool {
    let is_speech = |text: &str| SPEECH_WORDS.iter().any(|word| text.starts_with(word));
    let rest = |word: &str| states.iter().find_map(|state| word.strip_prefix(state).map(str::to_owned));
    let words = words_of_name(name);
    let states = || words.iter().enumerate().filter_map(|(at, word)| Some((at, rest(word)?)));
    let is_whole = |rest: &str| rest.chars().all(|c| c.is_ascii_digit()) || is_speech(rest);
    let is_given = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':');
    if !is_wide && name.chars().all(is_given) {
        return states().any(|(_, rest)| is_whole(&rest));
    }
    let has_other = |at: usize| words.iter().enumerate().any(|(other, word)| other != at && is_speech(word));
    words.len() <= STATE_WORDS_MAX
        && states().any(|(at, rest)| is_whole(&rest) && (words.len() == 1 || is_speech(&rest) || has_other(at)))
}

/// Returns true for a kind of rows that are lines, final or interim.
pub(crate) fn is_kind_of_lines(kind: &str) -> bool {
    names_state(kind, &GUESS_WORDS, false) || names_state(kind, &["finalized", "final"], false)
}

/// Returns true for a row that its fields mark as interim.
pub(crate) fn is_guess(fields: &Fields<'_>) -> bool {
    let says = |names: &[&str], values: [&str; 3]| {
        let mut given = names.iter().filter_map(|name| fields.get(*name));
        given.any(|value| values.contains(&&*value.get().trim_matches('"').to_ascii_lowercase()))
    };
    let word = |name: &str| serde_json::from_str::<Cow<'_, str>>(fields.get(name)?.get()).ok();
    let mut kinds = KIND_FIELDS.into_iter().filter_map(word);
    let mut states = WIDE_FIELDS.into_iter().filter_map(word);
    says(&FALSE_FOR_GUESSES, ["false", "0", "no"])
        || says(&TRUE_FOR_GUESSES, ["true", "1", "yes"])
        || kinds.any(|kind| names_state(&kind, &GUESS_WORDS, false))
        || states.any(|state| names_state(&state, &GUESS_WORDS, true))
}

/// The greatest distance in milliseconds between an interim row and its replacement, if their ids differ.
const SAME_PLACE_MS: u64 = 2_000;

/// The greatest distance in milliseconds between the starts of an interim row and its correction. An engine may find a
/// better start while it continues.
const SAME_START_MS: u64 = 300;

/// A row that may be interim, or may replace one.
#[derive(Debug)]
pub(crate) struct GuessableRow {
    /// The field that may be an id, as it stands in the file.
    pub(crate) id: Option<Arc<str>>,
    pub(crate) said: IdSpeech,
}

impl GuessableRow {
    /// Returns true if the later row `now` replaces this interim row.
    fn is_replaced_by(&self, now: &Self) -> bool {
        let (before, said) = (&self.said, &now.said);
        let is_near = before.moved_to(said).is_none_or(|moved| moved <= SAME_PLACE_MS);
        let has_its_id = self.id.is_some() && self.id == now.id;
        // A neighbouring sentence may have the same words: `Yes, sir.` and `Thank you, sir.`
        if !(has_its_id || self.overlaps(now) || is_near && begins_alike(&before.text, &said.text)) {
            return false;
        }
        match (&self.id, &now.id) {
            (None, None) => !before.is_not(said) && (is_near || self.says_alike(now)),
            (id, other) if id == other => !before.is_not(said),
            _ => is_near && self.says_alike(now) && !before.is_of_another(said),
        }
    }

    /// Returns true if the two may be spoken at the same time, as far as their ends are known.
    pub(crate) fn overlaps(&self, now: &Self) -> bool {
        let is_behind = |one: &IdSpeech, other: &IdSpeech| {
            let times = one.start_ms.zip(one.end_ms).zip(other.start_ms);
            times.is_some_and(|((start, end), other)| end > start && other >= end)
        };
        !is_behind(&self.said, &now.said) && !is_behind(&now.said, &self.said)
    }

    /// Returns true if `now` corrects this interim row in an ordinary way, so that nothing is reported: its text begins
    /// like this one, or half of the words are the same, at the same start or with a known end.
    fn is_corrected_by(&self, now: &Self) -> bool {
        let is_there = self.said.moved_to(&now.said).is_none_or(|moved| moved <= SAME_START_MS);
        begins_alike(&self.said.text, &now.said.text)
            || (is_there || self.said.end_ms.is_some()) && self.said.shares_words(&now.said)
    }

    /// Returns true if the words of `now` show that it replaces this interim row.
    fn says_alike(&self, now: &Self) -> bool {
        self.said.shares_words(&now.said) || begins_alike(&self.said.text, &now.said.text)
    }
}

/// Returns true if one text is the beginning of the other, ignoring punctuation and capitals. The last word of an
/// interim row may be cut off.
fn begins_alike(one: &str, other: &str) -> bool {
    let letters =
        |text: &str| -> String { text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect() };
    let (one, other) = (letters(one), letters(other));
    !one.is_empty() && !other.is_empty() && (one.starts_with(&other) || other.starts_with(&one))
}

/// Returns, for each interim row of `rows`, the index of the later row that replaces it. Interim rows that a final row
/// of their id follows are left out, because the id itself replaces them. `rows` has `None` for rows that are no lines.
pub(crate) fn overtaken(rows: &[Option<GuessableRow>]) -> Vec<Option<usize>> {
    overtaken_where(rows, |_, _| true)
}

/// Like [`overtaken`], but only a row that `may_follow` accepts can replace an interim one.
pub(crate) fn overtaken_where(
    rows: &[Option<GuessableRow>],
    may_follow: impl Fn(&GuessableRow, &GuessableRow) -> bool,
) -> Vec<Option<usize>> {
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
    // The last interim row of each speaker without a replacement; under `None`, that of an unknown speaker.
    let mut open: HashMap<Option<&str>, usize> = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        let Some(row) = row else { continue };
        let speaker = row.said.speaker.as_deref();
        // A row without a speaker may replace the only open interim row, if its words show it.
        let only = open.keys().next().copied().filter(|_| speaker.is_none() && open.len() == 1).flatten();
        for whose in [speaker, None, only] {
            let Some(guess) = open.get(&whose).copied() else { continue };
            let is_its = |guess: &GuessableRow| {
                let is_likely = whose.is_none() || whose == speaker || guess.says_alike(row);
                is_likely && may_follow(guess, row) && guess.is_replaced_by(row)
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

/// Reports the number of interim rows whose replacement has other words, unless it has the same id.
pub(crate) fn tell_other_words(
    rows: &[Option<GuessableRow>],
    overtaken: &[Option<usize>],
    places: &[FilePlace],
    gather: &mut TranscriptBuilder,
) {
    let is_other = |index: &usize| {
        let now = overtaken[*index].and_then(|by| rows[by].as_ref());
        let both = rows[*index].as_ref().zip(now);
        both.is_some_and(|(guess, now)| !guess.is_corrected_by(now) && (guess.id.is_none() || guess.id != now.id))
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
            (r#""event":"transcript.partial""#, true),
            (r#""event":"transcript.final""#, false),
            (r#""event":"partial_transcript""#, true),
            (r#""state":"interim_result""#, true),
            (r#""state":"Partial""#, true),
            (r#""event":"partial2""#, true),
            (r#""status":"Partial Result""#, true),
            (r#""message_type":"Partial transcript""#, true),
            (r#""status":"ASRPartial""#, true),
            (r#""event":"STT_PARTIAL""#, true),
            (r#""result_type":"partialresult""#, true),
            (r#""type":"partialtranscript""#, true),
            (r#""event":"finaltranscript""#, false),
            (r#""type":"partially done""#, false),
            (r#""event":"A partial result of the vote""#, false),
            (r#""event":"pendingvote""#, false),
        ] {
            let row = format!("{{{fields}}}");
            assert_eq!(is_guess(&serde_json::from_str(&row).expect("JSON")), expected, "{row}");
        }
    }

    #[test]
    fn a_kind_of_rows_says_lines() {
        for (kind, expected) in [
            ("partialtranscript", true),
            ("finaltranscript", true),
            ("ASRFinal", true),
            ("Final Transcript", true),
            ("final2", true),
            ("finalists", false),
            ("Final vote", false),
            ("meeting", false),
        ] {
            assert_eq!(is_kind_of_lines(kind), expected, "{kind}");
        }
    }

    #[test]
    fn what_an_engine_says_next_in_the_place_of_a_guess_overtakes_it() {
        // Parses an optional `?` for an interim row, then id, start or start and end, speaker and text. Returns true
        // for each row that is replaced.
        let read = |rows: &[&str]| -> Vec<bool> {
            let row = |row: &&str| {
                let (is_final, row) = row.strip_prefix('?').map_or((true, *row), |row| (false, row));
                let [id, start, speaker, text] = row.splitn(4, ' ').collect::<Vec<_>>()[..] else { panic!("{row}") };
                let (start, end) = start.split_once('-').unwrap_or((start, ""));
                let name = |name: &str| (name != "-").then(|| Arc::from(name));
                let said = IdSpeech {
                    rev: None,
                    is_final,
                    start_ms: start.parse().ok(),
                    end_ms: end.parse().ok(),
                    wall_ms: None,
                    speaker: name(speaker),
                    text: text.into(),
                };
                Some(GuessableRow { id: name(id), said })
            };
            overtaken(&rows.iter().map(row).collect::<Vec<_>>()).iter().map(Option::is_some).collect()
        };
        for (rows, expected) in [
            // Without ids, with those of messages, and with those of lines, which suffice.
            (
                &["?- 0 - He", "?- 0 - Hello the", "- 0 - Hello there.", "?- 5000 - And"][..],
                &[true, true, false, false][..],
            ),
            (&["?1 0 - Hello the", "2 0 - Hello there."], &[true, false]),
            (&["?1 0 - Hello the", "?1 0 - Hello there", "1 0 - Hello there."], &[false, false, false]),
            (&["?1 0 - Hello", "2 0 - Nobody.", "1 0 - Hello there."], &[false, false, false]),
            (&["?- - - a b", "- - - c d."], &[true, false]),
            // Another line, by another speaker or elsewhere, replaces nothing.
            (&["?1 0 - Hello", "2 0 - Nobody."], &[false, false]),
            (&["?- 0 Ann Hello", "- 0 Ben Nobody."], &[false, false]),
            (&["?- 0 Ann Hello", "?- 100 Ben No", "- 0 Ann Hello.", "- 100 Ben Nobody."], &[true, true, false, false]),
            (&["?- 0 - Hello", "- 0 Ann Hello."], &[true, false]),
            (&["?- 0 Ann Hello", "?- 0 - Hello the", "- 0 - Hello there."], &[true, true, false]),
            (&["?- 0 Ann Hello", "- 0 - Nobody."], &[false, false]),
            (&["?- 0 Ann Hello", "?- 0 Ben No", "- 0 - Hello."], &[false, false, false]),
            (&["?- 0 - Hello", "- 9000 - Nobody."], &[false, false]),
            // A neighbouring sentence is no replacement, however many words it shares.
            (&["?- 0-800 Ann Yes, sir.", "- 1500-2500 Ann Thank you, sir."], &[false, false]),
            (&["?- 1500-2500 Ann Thank you, sir.", "- 0-800 Ann Yes, sir."], &[false, false]),
            (&["?- 0-800 - I am Ann.", "- 800-2500 - I am Ben."], &[false, false]),
            (&["?- 0-800 Ann Yes, sir.", "- 700-2500 Ann Yes, thank you, sir."], &[true, false]),
            (&["?- 0-800 - Yes", "- 900-2500 - Yes, I do."], &[true, false]),
            (&["?- 0-800 - Yes", "- 5000-6500 - Yes, I do."], &[false, false]),
            (&["?1 0-800 - Yes, sir.", "2 1500-2500 - Thank you, sir."], &[false, false]),
        ] {
            assert_eq!(read(rows), expected, "{rows:?}");
        }
    }
}
