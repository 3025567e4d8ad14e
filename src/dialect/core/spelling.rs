//! Comparison of spellings: vendors repeat a line to add punctuation, capitals and digits.

/// Longest prefix of a text that is compared, in bytes.
const COMPARED_BYTES_MAX: usize = 2_048;
/// One of this many words may be corrected, such as a name that was recognized better.
const CORRECTED_WORD_IN: usize = 8;
/// Most spoken words per digit: `2026` is `two thousand and twenty six`.
const WORDS_OF_DIGIT_MAX: usize = 2;
/// Most letters of an abbreviation: `Dr`.
const SHORT_CHARS_MAX: usize = 3;

/// Returns true if `now` is `known` in another spelling, as formatting produces it: hardly any word is added, and most
/// stay. Numbers may become digits, several words one, and titles short.
pub(crate) fn is_respelled(known: &str, now: &str) -> bool {
    let change = WordDifference::between(known, now);
    change.added * CORRECTED_WORD_IN <= change.now && change.gone * 2 < change.known
}

/// Returns true if both texts say the same: hardly any word of either is missing in the other, except for its spelling.
pub(crate) fn says_the_same(known: &str, now: &str) -> bool {
    let change = WordDifference::between(known, now);
    change.added * CORRECTED_WORD_IN <= change.now && change.gone * CORRECTED_WORD_IN <= change.known
}

/// Returns true if a text has at least half of the words in `settled`.
pub(crate) fn has_most_of(text: &str, settled: &str) -> bool {
    let change = WordDifference::between(settled, text);
    change.gone * 2 <= change.known
}

/// Word counts of two texts, and of the words missing in each.
#[derive(Debug)]
struct WordDifference {
    known: usize,
    now: usize,
    gone: usize,
    added: usize,
}

impl WordDifference {
    fn between(known: &str, now: &str) -> Self {
        let is_cut = known.len().max(now.len()) > COMPARED_BYTES_MAX;
        let (known, now) = (parts(known), parts(now));
        let (mut gone, mut added) = (0, 0);
        let mut gaps = gaps(&known, &now);
        if is_cut && gaps.len() > 1 {
            // The words after the last common one may continue in the part that is not compared.
            gaps.pop();
        }
        for (left, right) in gaps {
            gone += without_match(left, right);
            added += without_match(right, left);
        }
        Self { known: known.len(), now: now.len(), gone, added }
    }
}

/// Splits a text into words, and numbers apart from adjacent letters, in lower case and without punctuation. A letter
/// of a script without spaces is a word.
fn parts(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut before = None;
    for c in text[..text.floor_char_boundary(COMPARED_BYTES_MAX)].chars() {
        let kind = c.is_alphanumeric().then(|| c.is_numeric());
        match parts.last_mut().filter(|_| kind.is_some() && kind == before && c < '\u{2e80}') {
            Some(part) => part.extend(c.to_lowercase()),
            None if kind.is_some() => parts.push(c.to_lowercase().collect()),
            None => {}
        }
        before = kind;
    }
    parts
}

/// Returns the differing words between the common ones, in order.
fn gaps<'a>(known: &'a [String], now: &'a [String]) -> Vec<(&'a [String], &'a [String])> {
    // The greatest number of common words from each place on.
    let mut most = vec![vec![0_u16; now.len() + 1]; known.len() + 1];
    for at in (0..known.len()).rev() {
        for to in (0..now.len()).rev() {
            most[at][to] =
                if known[at] == now[to] { most[at + 1][to + 1] + 1 } else { most[at + 1][to].max(most[at][to + 1]) };
        }
    }
    let (mut gaps, mut from) = (Vec::new(), (0, 0));
    let (mut at, mut to) = (0, 0);
    while at < known.len() && to < now.len() {
        if known[at] == now[to] {
            gaps.push((&known[from.0..at], &now[from.1..to]));
            (at, to) = (at + 1, to + 1);
            from = (at, to);
        } else if most[at + 1][to] >= most[at][to + 1] {
            at += 1;
        } else {
            to += 1;
        }
    }
    gaps.push((&known[from.0..], &now[from.1..]));
    gaps
}

/// Returns the number of `words` without a counterpart in `others`.
fn without_match(words: &[String], others: &[String]) -> usize {
    let letters = others.concat();
    let is_there = |word: &str| letters.contains(word) || others.iter().any(|other| is_short_for(word, other));
    let is_left = |word: &&String| !is_there(word) && !others.iter().any(|other| is_short_for(other, word));
    let left: Vec<&String> = words.iter().filter(is_left).collect();
    let digits = |words: &[String]| words.iter().filter(|word| is_number(word)).map(String::len).sum::<usize>();
    match (digits(words), digits(others)) {
        // Spoken words with digits as their counterpart.
        (0, digits) => left.len().saturating_sub(digits * WORDS_OF_DIGIT_MAX),
        // Digits with spoken words as their counterpart.
        (_, 0) if !others.is_empty() => left.iter().filter(|word| !is_number(word)).count(),
        _ => left.len(),
    }
}

fn is_number(word: &str) -> bool {
    word.chars().next().is_some_and(char::is_numeric)
}

/// Returns true if `word` is an abbreviation of `other`: its first letter, and some of the later ones.
fn is_short_for(word: &str, other: &str) -> bool {
    let mut letters = other.chars();
    word.chars().count() <= SHORT_CHARS_MAX
        && word.len() < other.len()
        && word.chars().next() == other.chars().next()
        && word.chars().all(|c| letters.any(|letter| letter == c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_text_as_a_table() {
        for (known, now) in [
            ("thank you", "Thank you."),
            ("nine one one", "911."),
            ("call nine one one", "Call 911!"),
            ("we meet at nine today", "We meet at 9 today."),
            ("the ninth of may two thousand and twenty six", "The 9th of May 2026."),
            ("at three thirty p m", "At 3:30 PM."),
            ("five dollars", "$5."),
            ("quatre-vingt-dix pour cent", "90 %."),
            ("ask doctor smith", "Ask Dr. Smith."),
            ("we do not eat ice cream", "We don't eat icecream."),
            ("write to ann at example dot com please", "Write to ann@example.com, please."),
            ("我们九点见面", "我们9点见面。"),
            ("so um we uh meet here again", "So we meet here again."),
            ("the motion of mister Smyth is carried by ten votes", "The motion of Mr. Smith is carried by 10 votes."),
        ] {
            assert!(is_respelled(known, now), "{known} -> {now}: {:?}", WordDifference::between(known, now));
        }
        for (known, now) in [
            ("Thank you.", "Good evening."),
            ("Good morning.", "Good evening."),
            ("Silver paper.", "Ferry water."),
            ("Item one now.", "We are back."),
            ("Are we there?", "We are here."),
            ("We meet at nine today.", "We are at home today."),
            ("We meet at nine.", "We meet at home."),
            ("Harbour summer.", "Silver harbour rocket paper summer basket."),
            ("Silver harbour rocket paper summer basket.", "Harbour summer."),
            ("Item one now.", "Good evening 7 to all."),
            ("5 apples.", "7 pears."),
            ("我们九点见面", "大家晚上好"),
        ] {
            assert!(!is_respelled(known, now), "{known} -> {now}: {:?}", WordDifference::between(known, now));
        }
    }

    /// A long text is compared up to a word whose spelling differs by digits.
    #[test]
    fn long_texts_are_one_in_two_spellings() {
        let spoken =
            "we meet at one hundred twenty three million today and talk of the harbour and its ships ".repeat(40);
        let written = spoken.replace("one hundred twenty three million", "123,000,000");
        assert!(is_respelled(&spoken, &written) && says_the_same(&spoken, &written) && has_most_of(&written, &spoken));
        let other = "nobody knows why summer baskets are full of silver paper in this town when rain falls ".repeat(40);
        assert!(!is_respelled(&spoken, &other) && !has_most_of(&other, &spoken));
    }

    #[test]
    fn the_same_words_are_nearly_all_of_both() {
        for (known, now, is_same) in [
            ("Aye.", "aye", true),
            ("We meet at nine.", "We meet at 9.", true),
            ("I agree.", "I agree with Ben entirely.", false),
            ("I agree with Ben entirely.", "I agree.", false),
            ("The school budget is carried by a member.", "The school closed.", false),
            ("The school budget is carried by a member.", "The school budget is carried.", false),
        ] {
            assert_eq!(says_the_same(known, now), is_same, "{known} -> {now}");
        }
        assert!(has_most_of("Sorry, the line broke.", "sorry the") && !has_most_of("Good evening.", "thank you"));
    }
}
