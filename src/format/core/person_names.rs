//! Tests for labels: which texts look like a speaker's name, and which like a heading, a sound or the beginning of a
//! sentence. All readers of texts and subtitles use them, and the word lists are only here.
//!
//! Words alone only show that something is **no** name. Whether it is one depends on the rest of the file: see
//! `speaker_labels` and `text::headers`.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::format::core::timestamps::bracketed_end;
use crate::format::text::text_lines::LABEL_MAX;

/// Words in lower case, looked up for each line of a file.
type WordList = LazyLock<HashSet<&'static str>>;

/// Returns true for a text that can be a label at a place where only labels stand: short, and no sentence.
pub(crate) fn is_label(label: &str) -> bool {
    let words = label.split_whitespace().count();
    (1..=6).contains(&words)
        && label.chars().count() <= 60
        && !label.contains(['?', '!', ';', '"', '\u{201C}'])
        && !is_log_level(label)
}

/// Returns true for the level of a row in a program's log, which is never a speaker.
pub(crate) fn is_log_level(label: &str) -> bool {
    const LEVELS: [&str; 11] =
        ["info", "warn", "warning", "error", "err", "debug", "fatal", "severe", "critical", "notice", "verbose"];
    LEVELS.iter().any(|level| label.eq_ignore_ascii_case(level))
}

/// Lower-case words within names.
const PARTICLES: [&str; 20] = [
    "de", "da", "do", "dos", "del", "della", "di", "du", "la", "le", "van", "von", "der", "den", "ten", "zu", "bin",
    "al", "of", "&",
];

/// First words of phrases that are capitalised like names.
static BEGINNINGS: WordList = LazyLock::new(|| {
    words_of(
        " a an this that these those my our your his her its their here there what why how who when where which \
     first second third next last finally ladies dear fellow good breaking die das ein eine meine unsere ",
    )
});

/// Words of headings, credits and notices, which have a number behind them or stand alone.
static HEADINGS: WordList = LazyLock::new(|| {
    words_of(
        " note notes nb ps fyi question questions answer answers example examples summary \
     conclusion agenda item items article section chapter part point step steps figure table slide page phase option exhibit \
     added changed deprecated fixed removed security warning caution danger attention notice disclaimer spoiler important update updates news \
     live today tomorrow yesterday tonight tip tips fact facts myth rule reason problem problems solution solutions method \
     result results ingredients pros cons goal goals task topic subject title date time place location source sources credit \
     credits music lyrics song subtitles subtitle subtitled captions caption captioned captioning transcript transcribed \
     transcription translation translated translator sync synced resync encoded ripped downloaded corrected edited corrections \
     written directed produced copyright website email phone contact intro outro recap bonus episode season week day level lesson \
     round stage unit module exercise case act scene verse achtung hinweis untertitel \
     sous-titres sous-titrage subt\u{ed}tulos nota beispiel frage antwort ",
    )
});

/// Words that begin or continue a sentence before a colon.
static OPENERS: WordList = LazyLock::new(|| {
    words_of(
        " again accordingly actually additionally admittedly after afterwards altogether also alternatively although \
     always another anyhow anyway apparently ask assume basically be because before believe besides bottom briefly but certainly check \
     clearly come compare consequently consider conversely correct correction crucially currently definitely despite do \
     don't each either else equally especially essentially even eventually every everything everywhere evidently exactly except \
     exception expect false fair fine following for forget formally fortunately frankly fun furthermore generally get give go got \
     granted great guess hence hear henceforth hey historically honestly hopefully however ideally if imagine impossible in incidentally \
     including indeed initially instead interestingly ironically just keep know later lastly lately learn let let's likewise listen \
     literally look luckily mainly make maybe mean meaning meanwhile mind more moreover most mostly namely naturally nevertheless never no \
     nonetheless normally nothing notably notwithstanding now obviously occasionally of officially oh ok okay on once one only \
     or originally other others otherwise over overall particularly perhaps personally picture please plus possibly practically \
     precisely presumably previously primarily probably promise proof quickly quote rather read realistically really recall recently \
     regardless remarkably remember repeat right sadly say see seriously short similarly simply since so some somehow something \
     sometimes soon specifically still stop strangely subsequently such suddenly suppose sure surely surprise take thankfully then \
     thereafter thereby therefore thereupon think though three thus to together too translation trick true truly trust try two \
     typically ultimately under understand undoubtedly unfortunately unless until usually verdict very wait watch well whatever \
     whenever whereas whereby wherever whether while with without wonder worse worst wow yes yet \
     also aber allerdings au\u{df}erdem dabei dagegen daher dann darum denn dennoch deshalb deswegen doch folglich jedoch n\u{e4}mlich oder schlie\u{df}lich \
     somit sondern stattdessen trotzdem und weil zudem zun\u{e4}chst \
     ainsi alors cependant donc ensuite mais n\u{e9}anmoins or pourtant puis toutefois \
     adem\u{e1}s ahora as\u{ed} aunque entonces pero porque pues recuerda sin ",
    )
});

/// Words that occur in sentences and not in names.
static SENTENCE_WORDS: WordList = LazyLock::new(|| {
    words_of(
        " is are was were be been we i you he she it they us this that to not have has had as in on at \
     by with say says said tell ask asked so yes if then but ",
    )
});

/// Designations of people without a name on the screen, and words before names.
static PEOPLE: WordList = LazyLock::new(|| {
    words_of(
        " man woman boy girl men women boys girls child children kid baby male female speaker narrator interviewer \
     interviewee reporter journalist correspondent host anchor announcer presenter moderator interpreter operator voice voices \
     crowd audience all both everyone mom mum dad mother father teacher student doctor nurse officer policeman detective judge \
     clerk bailiff attorney lawyer counsel witness defendant chair chairman chairwoman chairperson mayor governor senator \
     representative councilmember councilman councilwoman commissioner president minister secretary captain sergeant sir \
     lady driver caller guest participant dr mr mrs ms prof professor rev sen rep gov gen col sgt lt capt hon ",
    )
});

/// Words of the notes that transcribers put in brackets: `[Music Playing]`, `[Inaudible]`.
static SOUNDS: WordList = LazyLock::new(|| {
    words_of(
        " inaudible unintelligible indiscernible crosstalk overlapping laughter laughs laughing applause applauding \
     clapping cheering cheers music singing silence pause phonetic foreign language noise audio recording break coughs coughing \
     sighs chuckles blank_audio ",
    )
});

/// Returns true for a note of a sound, or of speech that could not be heard.
pub(crate) fn is_sound(label: &str) -> bool {
    label.split_whitespace().any(|word| is_among(&SOUNDS, word))
}

/// Returns true for a label that contains a word that no name has.
pub(crate) fn is_sentence(label: &str) -> bool {
    label.split_whitespace().any(|word| is_among(&SENTENCE_WORDS, word) && !word.ends_with('.'))
}

/// Returns true for a designation of a person: `MAN`, `Speaker 1`, `DR. ROTH`.
pub(crate) fn is_person(label: &str) -> bool {
    stem(label).split_whitespace().next().is_some_and(|first| is_among(&PEOPLE, first))
}

fn words_of(words: &'static str) -> HashSet<&'static str> {
    words.split_whitespace().collect()
}

fn is_one_of(words: &[&str], word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    words.iter().any(|known| word.eq_ignore_ascii_case(known))
}

fn is_among(words: &HashSet<&str>, word: &str) -> bool {
    words.contains(&*word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase())
}

/// A label without the number at its end: `Step 1`, `EXHIBIT 4.2`, `COVID-19`.
pub(crate) fn stem(name: &str) -> &str {
    name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, ' ' | '#' | '.' | '-' | '_'))
}

/// Returns true for a word that begins a heading, or a sentence before its colon.
fn begins_text(word: &str) -> bool {
    // `A` may stand for who answers.
    word.chars().filter(|c| c.is_alphanumeric()).count() > 1
        && [&BEGINNINGS, &HEADINGS, &OPENERS].into_iter().any(|words| is_among(words, word))
}

/// Returns true for a heading or the beginning of a sentence: no name, however often it stands before a colon.
pub(crate) fn is_no_name(name: &str) -> bool {
    // `Ben (he)`
    let name = without_brackets(name).unwrap_or(name);
    // `Question` and `Answer` may be people who take turns.
    if is_one_of(&["question", "answer"], name) {
        return false;
    }
    let is_small = |word: &str| !word.contains(char::is_uppercase);
    let is_capitals = !name.contains(char::is_lowercase);
    let words: Vec<&str> = name.split_whitespace().skip_while(|word| word.eq_ignore_ascii_case("the")).collect();
    let begins = match words[..] {
        // `Page Turner` is a person.
        [first, second, ..] => begins_text(first) && (is_capitals || is_small(second) || begins_text(second)),
        _ => words.first().is_some_and(|word| begins_text(stem(word))),
    };
    let says = |(at, word): (usize, &&str)| {
        (is_capitals || at > 0 && is_small(word) || words.len() == 1)
            && !word.ends_with('.')
            && *word != "I"
            && is_among(&SENTENCE_WORDS, word)
    };
    let ends = words.last().is_some_and(|last| is_one_of(&["note", "notes", "warning", "update", "summary"], last));
    begins || ends || words.iter().enumerate().any(says)
}

/// Returns true for titles that end with a dot, and for initials.
pub(crate) fn is_abbreviation(word: &str) -> bool {
    const ABBREVIATIONS: [&str; 24] = [
        "dr", "mr", "mrs", "ms", "prof", "rev", "sen", "rep", "gov", "gen", "col", "sgt", "lt", "capt", "hon", "jr",
        "sr", "st", "fr", "inc", "ph.d", "m.d", "pres", "amb",
    ];
    let word = word.trim_end_matches([',', '.']);
    word.chars().count() <= 2 || ABBREVIATIONS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// Returns true if each word is capitalised as in a name.
pub(crate) fn has_large_words(label: &str) -> bool {
    label.split_whitespace().all(|word| {
        let first = word.trim_start_matches(['(', '[', '\'']).chars().next();
        let is_large = first.is_some_and(|c| c.is_alphanumeric() && !c.is_lowercase());
        (is_large || PARTICLES.contains(&word)) && (!word.ends_with('.') || is_abbreviation(word))
    })
}

/// Returns true if each word is capitalised as in a name, and the label is not a known heading or sentence.
pub(crate) fn is_title(label: &str) -> bool {
    // Longer than any label: do not search it for brackets.
    if label.len() > 4 * LABEL_MAX {
        return false;
    }
    let mut label = label;
    // `Ann Lee (via Zoom)`: lower case within brackets.
    while let Some(before) = without_brackets(label) {
        label = before;
    }
    let words: Vec<&str> = label.split_whitespace().collect();
    let is_word = |word: &&str| !is_among(&SENTENCE_WORDS, word) || word.ends_with('.');
    let first = words.iter().find(|word| !word.eq_ignore_ascii_case("the")).copied().unwrap_or_default();
    // `Ben Roth, Reuters`, but not `Well, Ben`.
    let comma = label.split_once(',').is_none_or(|(before, _)| before.split_whitespace().count() > 1);
    is_label(label)
        && comma
        && has_large_words(label)
        && words.iter().all(is_word)
        && !is_among(&BEGINNINGS, first)
        && !is_no_name(label)
        && !words.last().is_some_and(|last| PARTICLES.contains(last))
}

fn without_brackets(label: &str) -> Option<&str> {
    bracketed_end(label).map(|(before, _)| before.trim()).filter(|before| !before.is_empty())
}

/// Returns true for a label that looks like a name: at least two capitalised words (`Ben Roth`, `Speaker 3`, `Dr.
/// O'Neil`), or one that is a code (`MODERATOR`, `S1`). A sentence contains lower-case words. A single word is
/// ambiguous, so it counts only if it is known or stands more than once.
pub(crate) fn is_name(label: &str) -> bool {
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
            "However",
            "Step 3",
            "THE RULE",
        ] {
            assert!(!is_name(none), "{none}");
        }
        for sound in ["Applause", "[Upbeat Music]", "inaudible", "Foreign Language"] {
            assert!(is_sound(sound), "{sound}");
        }
        for none in [
            "However",
            "Remember",
            "Note",
            "Step 3",
            "WARNING",
            "CHAPTER ONE",
            "He said",
            "Jedoch",
            "The Rule",
            "Fun fact",
        ] {
            assert!(is_no_name(none), "{none}");
        }
        for name in
            ["Ann", "Page Turner", "He Jiang", "Question", "A", "THE COURT", "Host", "MAN", "Will", "Mark", "Grace Lee"]
        {
            assert!(!is_no_name(name), "{name}");
        }
        assert!(!is_sound("Ann Lee") && !is_sound("Musical Director"));
    }

    #[test]
    fn any_number_of_brackets_behind_a_name_is_looked_through() {
        // Each bracket would be a nested call: a thread has stack for some thousands.
        for label in [format!("A{}(x)", "()".repeat(200_000)), format!("A{}", "(x)".repeat(200_000))] {
            assert!(!is_title(&label) && !is_name(&label));
        }
        assert!(is_title("Ann Lee (via Zoom) (she/her) (ABC)"));
    }
}
