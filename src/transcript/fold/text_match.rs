//! Compares two texts of a line: whether one is a later form of the other.

/// Fewest letters by which two texts can be told apart: many sentences share a shorter beginning.
pub(super) const TELLING_LETTERS: usize = 4;

/// Two texts, split in the same way for comparison: into words, or into letters if one of them is a single word in a
/// script without spaces.
pub(super) struct ContentMatch {
    pub(super) first: Vec<String>,
    pub(super) second: Vec<String>,
    pub(super) by_letters: bool,
}

impl ContentMatch {
    pub(super) fn new(first: &str, second: &str) -> Self {
        let by_letters = is_without_blanks(first) || is_without_blanks(second);
        let cut = |text| if by_letters { letters(text) } else { words(text).collect() };
        Self { first: cut(first), second: cut(second), by_letters }
    }

    /// Returns the number of leading parts that both texts share.
    pub(super) fn common(&self) -> usize {
        self.first.iter().zip(&self.second).take_while(|(first, second)| first == second).count()
    }
}

/// Returns true if two texts can be one sentence that continued or was recognized better: they share more than half of
/// the shorter one's words at the beginning, or one of them contains all of the other.
pub(super) fn begin_alike(a: &str, b: &str) -> bool {
    let compared = ContentMatch::new(a, b);
    let shorter = compared.first.len().min(compared.second.len());
    let is_telling = !compared.by_letters || shorter >= TELLING_LETTERS;
    let has_words = shorter > 0 && (begins_with(a, b) || begins_with(b, a));
    is_telling && 2 * compared.common() > shorter || has_words || a == b
}

/// Returns true if a text contains all that an interim version of it said, and continues from there. The last word of
/// the interim version may be cut short, unless it ends in a digit or is the only word and has no parts.
pub(super) fn begins_with(text: &str, guess: &str) -> bool {
    let compared = ContentMatch::new(text, guess);
    let (said, guessed) = (compared.common(), compared.second.len());
    if said == guessed {
        return said > 0 || guess.trim().is_empty();
    }
    let (Some(word), Some(cut)) = (compared.first.get(said), compared.second.get(said)) else { return false };
    let is_cut = word.starts_with(cut) && !cut.ends_with(char::is_numeric);
    // A word joined from several. Combining marks, as Indic scripts use them, occur in most words and do not count.
    let has_parts = cut.contains(|c: char| !c.is_alphanumeric() && (c < '\u{300}' || is_general_punctuation(c)));
    !compared.by_letters && said + 1 == guessed && is_cut && (said > 0 || has_parts)
}

/// Returns true if a text begins with all words of a final one; more may follow. A single word, or a few letters, may
/// begin any sentence and is not enough.
pub(super) fn holds_sentence(text: &str, said: &str) -> bool {
    let compared = ContentMatch::new(text, said);
    let count = compared.second.len();
    let is_sentence = count >= if compared.by_letters { TELLING_LETTERS } else { 2 };
    is_sentence && compared.common() == count
}

pub(super) fn is_general_punctuation(c: char) -> bool {
    ('\u{2000}'..='\u{206f}').contains(&c)
}

/// Returns true if a text is one word with letters of a script without spaces between words.
pub(super) fn is_without_blanks(text: &str) -> bool {
    text.contains(|c: char| c.is_alphabetic() && is_of_unspaced_script(c)) && words(text).nth(1).is_none()
}

/// Returns true for characters in the blocks of the East and South-East Asian scripts without spaces between words.
/// Hangul, Arabic, Hebrew and the scripts of India use spaces.
pub(super) fn is_of_unspaced_script(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{fff}' // Thai, Lao, Tibetan
        | '\u{1000}'..='\u{109f}' | '\u{a9e0}'..='\u{a9ff}' | '\u{aa60}'..='\u{aa7f}' // Myanmar
        | '\u{1780}'..='\u{17ff}' // Khmer
        | '\u{1950}'..='\u{19df}' | '\u{1a20}'..='\u{1aaf}' // Tai Le, New Tai Lue, Tai Tham
        | '\u{1b00}'..='\u{1b7f}' | '\u{a980}'..='\u{a9df}' // Balinese, Javanese
        | '\u{2e80}'..='\u{312f}' | '\u{31a0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}' // Kana, Bopomofo
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' // Han
    )
}

/// Returns the words of a text, in lower case and without punctuation around them.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    words.filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// Returns the letters of a text, in lower case and without marks and punctuation. A number is one item and keeps the
/// characters between its digits: 1.5 is not 15.
pub(super) fn letters(text: &str) -> Vec<String> {
    let mut letters: Vec<String> = Vec::new();
    let mut passed_over = String::new();
    for c in text.chars() {
        if !c.is_alphanumeric() {
            passed_over.push(c);
            continue;
        }
        match letters.last_mut() {
            Some(number) if c.is_numeric() && number.ends_with(char::is_numeric) => {
                number.push_str(&passed_over);
                number.push(c);
            }
            _ => letters.push(c.to_lowercase().collect()),
        }
        passed_over.clear();
    }
    letters
}
