//! What looks like the name of somebody who speaks, and what like a heading, a sound or the beginning of a sentence.
use super::blocks::LABEL_MAX;
use super::stamp::bracketed_end;

/// A label that stands where only a label can: short, and no sentence.
pub(super) fn is_label(label: &str) -> bool {
    let words = label.split_whitespace().count();
    (1..=6).contains(&words)
        && label.chars().count() <= 60
        && !label.contains(['?', '!', ';', '"', '\u{201C}'])
        && !is_log_level(label)
}

/// True for the level of a row in a program's log, which is nobody's name.
pub(super) fn is_log_level(label: &str) -> bool {
    const LEVELS: [&str; 11] =
        ["info", "warn", "warning", "error", "err", "debug", "fatal", "severe", "critical", "notice", "verbose"];
    LEVELS.iter().any(|level| label.eq_ignore_ascii_case(level))
}

/// Words that stand in names, small.
const PARTICLES: [&str; 20] = [
    "de", "da", "do", "dos", "del", "della", "di", "du", "la", "le", "van", "von", "der", "den", "ten", "zu", "bin",
    "al", "of", "&",
];

/// Words with which headings and phrases begin that are written as names are.
const HEADINGS: &str = " a an this that these those my our your his her its their here there what why how who when where \
     which first second third next last finally note notes question questions answer answers example summary conclusion \
     agenda item article section chapter part point step figure table slide page phase option exhibit warning important \
     update added changed deprecated fixed removed security ladies dear fellow good breaking die das ein eine meine unsere ";

/// Words that stand in sentences, and in no name.
const SENTENCE_WORDS: &str = " is are was were be been we i you he she it they us this that to not have has had as in on at \
     by with say says said tell ask asked so yes if then ";

/// Words of which one stands in what transcribers put in brackets: `[Music Playing]`, `[Inaudible]`.
const SOUNDS: &str = " inaudible unintelligible indiscernible crosstalk overlapping laughter laughs laughing applause applauding \
     clapping cheering cheers music singing silence pause phonetic foreign language noise audio recording break coughs coughing \
     sighs chuckles blank_audio ";

/// True for the notice of a sound, or of what could not be heard.
pub(super) fn is_sound(label: &str) -> bool {
    label.split_whitespace().any(|word| is_among(SOUNDS, word))
}

/// True for what begins as a heading or a phrase does.
pub(super) fn is_heading(label: &str) -> bool {
    label.split_whitespace().next().is_some_and(|first| is_among(HEADINGS, first))
}

/// True for a label in which there is a word that no name has.
pub(super) fn is_sentence(label: &str) -> bool {
    label.split_whitespace().any(|word| is_among(SENTENCE_WORDS, word) && !word.ends_with('.'))
}

fn is_among(words: &str, word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    !word.is_empty() && words.split_whitespace().any(|known| known == word)
}

/// Titles that end with a dot, and the letters of names.
fn is_abbreviation(word: &str) -> bool {
    const ABBREVIATIONS: [&str; 24] = [
        "dr", "mr", "mrs", "ms", "prof", "rev", "sen", "rep", "gov", "gen", "col", "sgt", "lt", "capt", "hon", "jr",
        "sr", "st", "fr", "inc", "ph.d", "m.d", "pres", "amb",
    ];
    let word = word.trim_end_matches([',', '.']);
    word.chars().count() <= 2 || ABBREVIATIONS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// True where each word is written as in a name, and it is no heading or sentence that is known.
pub(super) fn is_title(label: &str) -> bool {
    // Longer than any label: no text is looked through for brackets.
    if label.len() > 4 * LABEL_MAX {
        return false;
    }
    let mut label = label;
    // `Ann Lee (via Zoom)`: small within brackets.
    while let Some(before) = without_brackets(label) {
        label = before;
    }
    let words: Vec<&str> = label.split_whitespace().collect();
    let is_word = |word: &&str| {
        let first = word.trim_start_matches(['(', '[', '\'']).chars().next();
        let is_large = first.is_some_and(|c| c.is_alphanumeric() && !c.is_lowercase());
        (is_large || PARTICLES.contains(word))
            && (!word.ends_with('.') || is_abbreviation(word))
            && (!is_among(SENTENCE_WORDS, word) || word.ends_with('.'))
    };
    let first = words.iter().find(|word| !word.eq_ignore_ascii_case("the")).copied().unwrap_or_default();
    // `Ben Roth, Reuters`, but not `Well, Ben`.
    let comma = label.split_once(',').is_none_or(|(before, _)| before.split_whitespace().count() > 1);
    is_label(label)
        && comma
        && words.iter().all(is_word)
        && !is_among(HEADINGS, first)
        && !words.last().is_some_and(|last| PARTICLES.contains(last))
}

fn without_brackets(label: &str) -> Option<&str> {
    bracketed_end(label).map(|(before, _)| before.trim()).filter(|before| !before.is_empty())
}

/// True for a label that is a name by its looks: at least two words, each of them large (`Ben Roth`, `Speaker 3`,
/// `Dr. O'Neil`), or one that is a sign (`MODERATOR`, `S1`). A sentence has small words in it; of a single word nobody can
/// say, so that it counts where it is known or stands more than once.
pub(super) fn is_name(label: &str) -> bool {
    let bare = without_brackets(label).unwrap_or(label);
    let letters = bare.chars().filter(|c| c.is_alphabetic()).count();
    let is_sign = bare.contains(|c: char| c.is_ascii_digit() || c == '_')
        || letters > 1 && !bare.contains(char::is_lowercase) && bare.contains(char::is_uppercase);
    is_title(bare) && letters > 0 && (bare.split_whitespace().count() > 1 || is_sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_a_table() {
        for name in [
            "Ann Lee",
            "Dr. O'Neil",
            "Speaker 3",
            "S1",
            "MODERATOR",
            "Ann de la Cruz",
            "Ann Lee (via Zoom)",
            "SPEAKER_00",
        ] {
            assert!(is_name(name), "{name}");
        }
        for none in [
            "",
            "Ann",
            "1:2",
            "The answer",
            "Agenda Item",
            "Note",
            "Well, Ben",
            "Ann said",
            "ann lee",
            "Ann Lee is here",
        ] {
            assert!(!is_name(none), "{none}");
        }
        for sound in ["Applause", "[Upbeat Music]", "inaudible", "Foreign Language"] {
            assert!(is_sound(sound), "{sound}");
        }
        assert!(!is_sound("Ann Lee") && !is_sound("Musical Director"));
    }

    #[test]
    fn any_number_of_brackets_behind_a_name_is_looked_through() {
        // Each of them would be a call in a call: a thread has room for some thousands.
        for label in [format!("A{}(x)", "()".repeat(200_000)), format!("A{}", "(x)".repeat(200_000))] {
            assert!(!is_title(&label) && !is_name(&label));
        }
        assert!(is_title("Ann Lee (via Zoom) (she/her) (ABC)"));
    }
}
