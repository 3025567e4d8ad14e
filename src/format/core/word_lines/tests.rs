//! Tests of `word_lines`.

use super::*;
use crate::format::core::kinds::FileKind;

fn lines(tokens: &[(&str, Option<MediaMs>, Option<&str>)]) -> Vec<(String, Option<MediaMs>, usize)> {
    let (mut lines, mut gather) = (WordLines::default(), TranscriptBuilder::default());
    for (text, start_ms, speaker) in tokens {
        lines.speaker(*speaker);
        let end_ms = start_ms.map(|start| start + 100);
        lines.push(1, WordToken { text: (*text).into(), start_ms: *start_ms, end_ms, ..WordToken::default() });
    }
    lines.finish(&mut gather);
    let reading = gather.finish(FileKind::Srt);
    let facts = reading
        .lines
        .iter()
        .map(|line| (line.content.text.to_string(), line.content.start_ms, line.content.words.len()));
    facts.collect()
}

#[test]
fn a_line_whose_last_word_has_no_end_has_none() {
    let read = |ends: [Option<MediaMs>; 3]| {
        let (mut lines, mut gather) = (WordLines::default(), TranscriptBuilder::default());
        for (start, end_ms) in [0, 1_000, 2_000].into_iter().zip(ends) {
            lines.push(1, WordToken { text: "a".into(), start_ms: Some(start), end_ms, ..WordToken::default() });
        }
        lines.finish(&mut gather);
        let line = gather.finish(FileKind::Srt).lines.remove(0).content;
        assert_eq!(line.words.iter().map(|word| word.end_ms).collect::<Vec<_>>(), ends);
        line.end_ms
    };
    assert_eq!(read([Some(500), Some(1_500), Some(2_500)]), Some(2_500));
    assert_eq!(read([Some(500), None, Some(2_500)]), Some(2_500));
    assert_eq!(read([Some(500), Some(1_500), None]), None);
    assert_eq!(read([Some(2_600), Some(1_500), None]), None);
    // If words overlap, the line ends with the last of them.
    assert_eq!(read([Some(2_600), Some(1_500), Some(2_500)]), Some(2_600));
}

#[test]
fn words_without_a_speaker_go_with_their_sentence() {
    // A blank before a word is a pause.
    let read = |words: &[(&str, &str)]| {
        let (mut lines, mut gather, mut at) = (WordLines::default(), TranscriptBuilder::default(), 0);
        lines.may_lack_speakers();
        for (speaker, word) in words {
            at += if word.starts_with(' ') { 5_000 } else { 200 };
            match *speaker {
                "?" => lines.unidentified_speaker(),
                speaker => lines.speaker(Some(speaker).filter(|speaker| !speaker.is_empty())),
            }
            let (start_ms, end_ms) = (Some(at), Some(at + 100));
            lines.push(1, WordToken { text: word.trim().into(), start_ms, end_ms, ..WordToken::default() });
        }
        lines.finish(&mut gather);
        let reading = gather.finish(FileKind::Aws);
        let line = |line: &crate::transcript::Version| {
            format!("{}: {}", line.content.speaker.as_deref().unwrap_or("-"), line.content.text)
        };
        (reading.lines.iter().map(line).collect::<Vec<_>>(), reading.problems.len())
    };
    for (words, lines, told) in [
        (
            &[("A", "The"), ("", "vote"), ("A", "is"), ("", "closed."), ("B", "So.")][..],
            &["A: The vote is closed.", "B: So."][..],
            0,
        ),
        (&[("A", "Hello."), ("", "And"), ("A", "welcome.")], &["A: Hello. And welcome."], 0),
        (&[("A", "Hello."), ("", " Who"), ("", "knows."), ("B", " So.")], &["A: Hello.", "-: Who knows.", "B: So."], 1),
        (&[("A", "Hello"), ("", " Who"), ("", "knows"), ("B", " So")], &["A: Hello", "-: Who knows", "B: So"], 1),
        (&[("", "Who"), ("", "knows.")], &["-: Who knows."], 0),
        // More than two of them may be by anybody, except within the words of one speaker.
        (&[("A", "So"), ("", "no"), ("", "never"), ("", "said"), ("A", "it.")], &["A: So no never said it."], 0),
        (
            &[("A", "So"), ("", "no"), ("", "never"), ("", "said"), ("B", "Yes.")],
            &["A: So", "-: no never said", "B: Yes."],
            1,
        ),
        (&[("", "no"), ("", "never"), ("", "said"), ("B", "Yes.")], &["-: no never said", "B: Yes."], 1),
        (&[("", "And"), ("", "so"), ("B", "said"), ("", "we.")], &["B: And so said we."], 0),
        (&[("A", "So."), ("", " And"), ("", "so"), ("B", "on.")], &["A: So.", "B: And so on."], 0),
        // An unidentified speaker is never taken for a named one.
        (&[("A", "So"), ("?", "no"), ("A", "we")], &["A: So", "-: no", "A: we"], 1),
        (&[("?", "Hello"), ("?", "there"), ("A", "Hi")], &["-: Hello there", "A: Hi"], 1),
        (&[("A", "So."), ("?", "No"), ("", "never"), ("A", " we")], &["A: So.", "-: No never", "A: we"], 1),
        (&[("?", "Who"), ("?", "knows.")], &["-: Who knows."], 0),
    ] {
        let lines: Vec<_> = lines.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(read(words), (lines, told), "{words:?}");
    }
}

#[test]
fn lines_end_where_people_expect_it() {
    let ann = Some("Ann");
    assert_eq!(
        lines(&[("a", Some(0), ann), ("b.", Some(100), ann), ("c", Some(300), Some("Bob"))]),
        [("a b.".to_owned(), Some(0), 2), ("c".to_owned(), Some(300), 1)]
    );
    assert_eq!(
        lines(&[("a", Some(0), ann), ("b", Some(2_099), ann), ("c", Some(4_199), ann)]),
        [("a b".to_owned(), Some(0), 2), ("c".to_owned(), Some(4_199), 1)]
    );
    let long = "x".repeat(59) + ".";
    assert_eq!(lines(&[(&long, Some(0), ann), ("b", Some(100), ann)]).len(), 2);
    assert_eq!(lines(&[(&long[1..], Some(0), ann), ("b", Some(100), ann)]).len(), 1);
    let endless = vec![("xxxxxxx", Some(0), ann); 200];
    assert!(lines(&endless).iter().all(|(text, ..)| text.len() <= LINE_CHARS_MAX + 8));
    // Words without a time do not discard the times of the others.
    assert_eq!(
        lines(&[("a", Some(5), ann), ("b", None, ann), ("c", Some(300), ann)]),
        [("a b c".to_owned(), Some(5), 2)]
    );
}

/// Reads words of one speaker at these seconds. Returns the starts of the lines, each with its number of words, and
/// the number of problems.
fn starts(seconds: &[MediaMs], anew_at: Option<usize>) -> (Vec<(MediaMs, usize)>, usize) {
    let (mut lines, mut gather) = (WordLines::default(), TranscriptBuilder::default());
    for (index, second) in seconds.iter().enumerate() {
        if anew_at == Some(index) {
            lines.part_may_begin();
        }
        let (start_ms, end_ms) = (Some(second * 1000), Some(second * 1000 + 900));
        lines.push(index + 1, WordToken { text: "a".into(), start_ms, end_ms, ..WordToken::default() });
    }
    lines.finish(&mut gather);
    let reading = gather.finish(FileKind::Nlp);
    let lines = reading.lines.iter().map(|line| (line.content.start_ms.expect("a start"), line.content.words.len()));
    (lines.collect(), reading.problems.len())
}

#[test]
fn a_clock_that_starts_over_within_the_words_of_a_speaker_begins_a_part() {
    let count = |from: MediaMs, to: MediaMs| (from..to).collect::<Vec<_>>();
    let both = |one: Vec<MediaMs>, other: Vec<MediaMs>| [one, other].concat();
    // A second part of one line, and of one word behind another.
    assert_eq!(starts(&both(count(0, 90), count(1, 40)), None), (vec![(0, 90), (91_000, 39)], 1));
    assert_eq!(starts(&both(count(0, 90), count(0, 2)), None), (vec![(0, 90), (90_000, 2)], 1));
    // A single word with a wrong time is no part, and splits no line.
    assert_eq!(starts(&both(both(count(0, 90), vec![0]), count(90, 99)), None), (vec![(0, 100)], 0));
    // If the part is shorter than a minute, the line ends, and the lines decide what it is.
    assert_eq!(starts(&both(count(0, 40), count(0, 30)), None).0, [(0, 40), (0, 30)]);
    // Words of an engine that overlap stay one line.
    assert_eq!(starts(&[0, 1, 2, 3, 4, 5, 1, 2, 6], None), (vec![(0, 9)], 0));
    // Where the file itself starts again, less evidence is enough.
    assert_eq!(starts(&both(count(0, 9), count(0, 3)), Some(9)), (vec![(0, 9), (9_000, 3)], 1));
    assert_eq!(starts(&count(0, 12), Some(9)), (vec![(0, 9), (9_000, 3)], 0));
}

#[test]
fn lines_end_between_words_that_have_no_blanks() {
    let sentence = "\u{4f60}\u{597d}\u{5417}".chars().cycle().take(70).chain(['\u{3002}']);
    let (mut lines, mut gather) = (WordLines::default(), TranscriptBuilder::default());
    for c in sentence.clone().chain(sentence).chain("ab".chars()) {
        let is_punctuation = c == '\u{3002}';
        let text = c.to_string().into();
        lines.push(1, WordToken { text, is_attached: true, is_punctuation, ..WordToken::default() });
    }
    lines.finish(&mut gather);
    let reading = gather.finish(FileKind::Nlp);
    let lengths: Vec<_> = reading.lines.iter().map(|line| line.content.text.chars().count()).collect();
    assert_eq!(lengths, [71, 71, 2]);
}
