//! Tests of `whisper`.

use super::*;
use crate::transcript::MediaMs;

/// Words by Ann (`a:`), by Ben (`b:`) and by an unknown speaker (`:`), a second each; `_` is a pause.
#[test]
fn words_without_a_speaker_go_with_their_sentence_or_are_nobodys() {
    for (words, expected) in [
        ("a:It a:is. :Is :it? b:It b:is.", "a: It is. / -: Is it? / b: It is."),
        ("a:It a:is _ :Aye _ b:It b:is.", "a: It is / -: Aye / b: It is."),
        ("a:It :really a:is. b:Is b:it?", "a: It really is. / b: Is it?"),
        ("a:It a:is. :Is b:it b:not?", "a: It is. / b: Is it not?"),
        (":Well. a:It a:is. b:Aye.", "-: Well. / a: It is. / b: Aye."),
    ] {
        let (mut said, mut at) = (Vec::new(), 0.0);
        for word in words.split(' ') {
            match word.split_once(':') {
                Some(("", word)) => said.push(serde_json::json!({"word": word, "start": at, "end": at + 1.0})),
                Some((speaker, word)) => {
                    said.push(serde_json::json!({"word": word, "start": at, "end": at + 1.0, "speaker": speaker}));
                }
                None => {}
            }
            at += 1.0;
        }
        let text = words.split(' ').filter_map(|word| word.split_once(':')).map(|(_, word)| word);
        let text = text.collect::<Vec<_>>().join(" ");
        let segment = serde_json::json!({"start": 0, "end": at, "text": text, "words": said});
        let reading = read(&serde_json::json!({"segments": [segment]}).to_string(), TranscriptBuilder::default());
        let lines = reading.expect("it can be read").lines;
        let line = |line: &crate::transcript::Version| {
            format!("{}: {}", line.content.speaker.as_deref().unwrap_or("-"), line.content.text)
        };
        let found: Vec<String> = lines.iter().map(line).collect();
        assert_eq!(found.join(" / "), expected, "{words}");
    }
}

/// Reads a segment with words by Ann (`a:`) and Ben (`b:`). Returns speakers and texts, and the number of problems.
fn read_shared(text: &str, words: &str) -> (Vec<(Option<String>, String)>, usize) {
    let word = |(at, word): (usize, &str)| {
        let (speaker, word) = word.split_once(':').expect("a speaker");
        serde_json::json!({"word": word, "start": at, "end": at + 1, "speaker": speaker})
    };
    let words: Vec<_> = words.split(' ').enumerate().map(word).collect();
    let segment = serde_json::json!({"start": 0, "end": 9, "text": text, "speaker": "a", "words": words});
    let file = serde_json::json!({"segments": [segment]}).to_string();
    let reading = read(&file, TranscriptBuilder::default()).expect("it can be read");
    let line = |line: &crate::transcript::Version| {
        (line.content.speaker.as_deref().map(str::to_owned), line.content.text.to_string())
    };
    (reading.lines.iter().map(line).collect(), reading.problems.len())
}

#[test]
fn every_form_of_segments_is_read() {
    let segment = |start: u32| format!("{{\"start\":{start},\"end\":{},\"text\":\" at {start}\"}}", start + 1);
    let object = |starts: &[u32]| {
        let segments: Vec<_> = starts.iter().map(|start| segment(*start)).collect();
        format!("{{\"text\":\"at\",\"segments\":[{}],\"language\":\"en\"}}", segments.join(","))
    };
    let (one, two) = (object(&[1, 4]), object(&[0, 3]));
    let whole = [(Some(1_000), "at 1"), (Some(4_000), "at 4")];
    let both = [(Some(1_000), "at 1"), (Some(4_000), "at 4"), (Some(6_000), "at 0"), (Some(9_000), "at 3")];
    for (file, expected, problems) in [
        (one.clone(), &whole[..], 0),
        (format!("[{}, {}]", segment(1), segment(4)), &whole, 0),
        (
            "{\"text\":\"x\",\"chunks\":[{\"timestamp\":[1.0,2.0],\"text\":\" at 1\"},\
              {\"timestamp\":[4.0,null],\"text\":\" at 4\"}]}"
                .to_owned(),
            &whole,
            0,
        ),
        (
            "[{\"start\":\"00:00:01,000\",\"text\":\"at 1\"},{\"start\":\"0:04\",\"text\":\"at 4\"}]".to_owned(),
            &whole,
            0,
        ),
        // Two runs: the clock of the second one starts over, however small the step back is.
        (format!("{one}\n{two}\n"), &both, 1),
        (format!("{}\n{}", one.replace(",\"segments", ",\n\"segments"), two), &both, 1),
        (format!("[{one},{two}]"), &both, 1),
        // A bad row does not affect the others.
        (format!("{one}\n{{\"segments\":[\n{two}\n"), &both, 2),
    ] {
        let reading = read(&file, TranscriptBuilder::default()).expect("it can be read");
        let lines = reading.lines.iter().map(|line| (line.content.start_ms, &*line.content.text));
        assert_eq!(lines.collect::<Vec<_>>(), expected, "{file}");
        assert_eq!(reading.problems.len(), problems, "{:?}\n{file}", reading.problems);
        assert_eq!(super::super::super::detect::detect(&file, None), Ok(FileKind::Whisper), "{file}");
    }
}

#[test]
fn guesses_that_a_segment_behind_them_replaces_are_no_lines() {
    let segment = |start: u32, text: &str, mark: &str| {
        format!("{{\"id\":{start},\"start\":{start},\"end\":{},\"text\":\"{text}\"{mark}}}", start + 1)
    };
    for (guess, last) in [
        (",\"is_final\":false", ",\"is_final\":true"),
        (",\"completed\":false", ",\"completed\":true"),
        (",\"status\":\"interim\"", ""),
    ] {
        let said = [
            segment(0, "Hello the", guess),
            segment(0, "Hello there.", last),
            segment(5, "Oh", guess),
            segment(9, "Bye.", last),
        ];
        let file = format!("{{\"segments\":[{}]}}", said.join(","));
        let (lines, told, losses) = read_lines(&file);
        let texts: Vec<_> = lines.iter().map(|(_, _, text)| text.as_str()).collect();
        assert_eq!((texts, told, losses), (vec!["Hello there.", "Oh", "Bye."], 1, 0), "{file}");
    }
    // A segment at another time replaces nothing, whatever its words. A field such as `end_of_turn` marks nothing
    // as interim. An interim last segment is not reported.
    for (guess, texts, expected) in
        [(",\"completed\":false", ["No.", "No, no."], 1), (",\"end_of_turn\":false", ["No.", "No, no."], 0)]
    {
        let said = [segment(0, texts[0], guess), segment(1, texts[1], ""), segment(2, "Oh", guess)];
        let (lines, told, losses) = read_lines(&format!("{{\"segments\":[{}]}}", said.join(",")));
        let texts: Vec<_> = lines.iter().map(|(_, _, text)| text.as_str()).collect();
        assert_eq!((texts, told, losses), (vec!["No.", "No, no.", "Oh"], expected, 0), "{guess}");
    }
}

#[test]
fn words_of_several_speakers_are_theirs_whatever_marks_their_text_has() {
    for (text, words, expected) in [
        ("Yes. No.", "a:Yes. b:No", &[("a", "Yes."), ("b", "No.")][..]),
        ("Yes, Ann. No!", "a:yes a:ann b:no", &[("a", "Yes, Ann."), ("b", "No!")]),
        ("\u{bf}Qui\u{e9}n? Yo \u{2014}", "a:qui\u{e9}n b:yo", &[("a", "\u{bf}Qui\u{e9}n?"), ("b", "Yo \u{2014}")]),
        (
            "\u{4f60}\u{597d}\u{5417}\u{3002}\u{597d}",
            "a:\u{4f60} a:\u{597d} a:\u{5417} b:\u{597d}",
            &[("a", "\u{4f60}\u{597d}\u{5417}\u{3002}"), ("b", "\u{597d}")],
        ),
        ("Well \u{2014} no (so).", "a:well b:- b:no a:so", &[("a", "Well"), ("b", "\u{2014} no"), ("a", "(so).")]),
        ("\u{597d}\u{3002}\u{4e0d}", "a:\u{597d} b:\u{4e0d}", &[("a", "\u{597d}\u{3002}"), ("b", "\u{4e0d}")]),
    ] {
        let expected: Vec<_> =
            expected.iter().map(|(who, what)| (Some((*who).to_owned()), (*what).to_owned())).collect();
        assert_eq!(read_shared(text, words), (expected, 0), "{text}");
    }
    // If the text differs from the words, their speakers are unknown, which is reported.
    for (text, words) in [("Yes. Never.", "a:Yes. b:No"), ("Yes. No. And?", "a:Yes. b:No"), ("Yes.", "a:Yes b:No")] {
        assert_eq!(read_shared(text, words), (vec![(Some("a".to_owned()), text.to_owned())], 1), "{text}");
    }
}

/// Start and end of a line, and its text behind its speaker.
type ReadLine = (Option<MediaMs>, Option<MediaMs>, String);

/// Reads a file. Returns its lines, the number of problems, and the number of losses.
fn read_lines(file: &str) -> (Vec<ReadLine>, usize, usize) {
    assert_eq!(super::super::super::detect::detect(file, None), Ok(FileKind::Whisper), "{file}");
    let reading = read(file, TranscriptBuilder::default()).expect("it can be read");
    let line = |line: &crate::transcript::Version| {
        let content = &line.content;
        let speaker = content.speaker.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
        (content.start_ms, content.end_ms, format!("{speaker}{}", content.text))
    };
    (reading.lines.iter().map(line).collect(), reading.problems.len(), reading.losses.len())
}

/// A transcript of words without segments, one word per second.
fn words_file(text: &str, words: &str) -> String {
    let word = |(at, word): (usize, &str)| serde_json::json!({"word": word, "start": at, "end": at + 1});
    let words: Vec<_> = words.split(' ').enumerate().map(word).collect();
    serde_json::json!({"text": text, "words": words}).to_string()
}

#[test]
fn words_alone_have_the_marks_of_the_text() {
    for (text, words) in [
        ("Hello, there. Good-bye, friend!", "Hello there Good bye friend"),
        ("\u{bf}Qu\u{e9}? \u{2014} No.", "Qu\u{e9} No"),
        ("\u{4f60}\u{597d}\u{ff0c}\u{597d}\u{3002}", "\u{4f60} \u{597d} \u{597d}"),
        ("It is (so) \u{2026}", "It is so"),
    ] {
        let last = (words.split(' ').count() * 1000) as MediaMs;
        let read = read_lines(&words_file(text, words));
        assert_eq!(read, (vec![(Some(0), Some(last), text.to_owned())], 0, 0));
    }
}

#[test]
fn a_text_that_is_not_its_words_is_kept_and_told() {
    for (text, words, timed) in [
        ("We paid $20, and left.", "We paid twenty dollars and left", "0 We;1 paid;4 and;5 left."),
        ("We, the people, left.", "We people left", "0 We,;1 people,;2 left."),
        ("We left.", "We left again so", "0 We;1 left."),
        ("So. We left again.", "We left", "0 We;1 left"),
        ("One two three.", "four five six", ""),
        ("\u{4f60}\u{597d}\u{5417}", "\u{4f60} \u{5417}", "0 \u{4f60};1 \u{5417}"),
    ] {
        let file = words_file(text, words);
        let reading = read(&file, TranscriptBuilder::default()).expect("it can be read");
        let said: Vec<_> = reading.lines.iter().map(|line| &*line.content.text).collect();
        assert_eq!(said.join(" "), text);
        let found = reading.lines.iter().flat_map(|line| &line.content.words);
        let found: Vec<_> = found.map(|word| format!("{} {}", word.start_ms / 1000, word.text)).collect();
        assert_eq!((found.join(";"), reading.problems.len()), (timed.to_owned(), 1), "{text}");
    }
}

#[test]
fn speakers_are_named_in_many_ways() {
    let segment = |at: u32, speaker: &str| format!("{{\"start\":{at},\"end\":{},\"text\":\"a\"{speaker}}}", at + 1);
    for (speaker, name, told) in [
        (",\"speaker\":\"Ann\",\"speaker_id\":3", "Ann: a", 0),
        (",\"speaker\":null,\"speaker_id\":3", "Speaker 3: a", 0),
        (",\"speaker_label\":\"spk_1\"", "spk_1: a", 0),
        (",\"speakerId\":\"S1\",\"speaker_name\":\"Ann\"", "Ann: a", 0),
        (",\"speaker\":{\"id\":1,\"name\":\"Ann\"}", "Ann: a", 0),
        (",\"speaker\":1.0", "Speaker 1: a", 0),
        (",\"speaker\":\"\"", "a", 0),
        (",\"speaker\":{}", "a", 0),
        (",\"speaker\":{\"voice\":7}", "a", 0),
        (",\"speakerTag\":2", "Speaker 2: a", 0),
        (",\"participant\":{\"name\":\"Ann\"}", "Ann: a", 0),
        (",\"words\":[{\"word\":\"a\",\"start\":0,\"end\":1,\"speaker_id\":\"Ann\"}]", "Ann: a", 0),
    ] {
        let file = format!("{{\"segments\":[{}]}}", segment(0, speaker));
        assert_eq!(read_lines(&file), (vec![(Some(0), Some(1_000), name.to_owned())], told, 0), "{speaker}");
    }
}

#[test]
fn a_segment_has_the_times_of_its_words() {
    for (start, end, words, expected, told) in [
        (1.0, 3.0, [(1.0, 1.4), (1.5, 2.9)], (1_000, 3_000), 0),
        (1.0, 3.0, [(0.9, 1.4), (1.5, 3.2)], (900, 3_200), 0),
        (1.0, 2.0, [(1.0, 1.4), (2.5, 4.0)], (1_000, 4_000), 1),
        (1.0, 30.0, [(1.0, 1.4), (1.5, 2.0)], (1_000, 2_000), 1),
        (5.0, 8.0, [(1.0, 1.4), (7.5, 8.0)], (1_000, 8_000), 1),
        (5.0, 3.0, [(5.0, 5.4), (5.5, 6.0)], (5_000, 6_000), 1),
    ] {
        let word = |(word, (start, end)): (&str, (f64, f64))| serde_json::json!({"word": word, "start": start, "end": end, "probability": 1, "confidence": 1});
        let words: Vec<_> = ["So", "much."].into_iter().zip(words).map(word).collect();
        let segment = serde_json::json!({"start": start, "end": end, "text": "So much.", "words": words});
        let file = serde_json::json!({"segments": [segment]}).to_string();
        let (start, end) = (Some(expected.0), Some(expected.1));
        assert_eq!(read_lines(&file), (vec![(start, end, "So much.".to_owned())], told, 0), "{file}");
    }
    // Words that are not all of the text do not set its end.
    let file = "{\"segments\":[{\"start\":0,\"end\":9,\"text\":\"So much.\",\"words\":[{\"word\":\"So\",\"start\":0,\"end\":1}]}]}";
    assert_eq!(read_lines(file), (vec![(Some(0), Some(9_000), "So much.".to_owned())], 0, 0));
}

#[test]
fn relatives_of_whisper_are_read() {
    let line = |start, end, text: &str| (Some(start), end, text.to_owned());
    for (file, lines, told, losses) in [
        // whisper.cpp without offsets, and with the voice of an unknown channel.
        (
            r#"{"transcription":[{"timestamps":{"from":"00:00:01,000","to":"00:00:02,000"},"text":" a","speaker":"?"}]}"#,
            vec![line(1_000, Some(2_000), "a")],
            0,
            0,
        ),
        // insanely-fast-whisper: chunks have no speakers.
        (
            r#"{"speakers":[{"speaker":"S0","timestamp":[0,1],"text":" a b"},{"speaker":"S1","timestamp":[2,null],"text":"c"}],
                "chunks":[{"timestamp":[0,1],"text":" a b"},{"timestamp":[2,null],"text":"c"}],"text":" a b c"}"#,
            vec![line(0, Some(1_000), "S0: a b"), line(2_000, None, "S1: c")],
            0,
            0,
        ),
        // Hugging Face, with word timestamps.
        (
            r#"{"text":" Hi, there. So","chunks":[{"text":" Hi,","timestamp":[0,1]},{"text":" there.","timestamp":[1,2]},
                {"text":" So","timestamp":[2,null]}]}"#,
            vec![line(0, None, "Hi, there. So")],
            0,
            0,
        ),
        // WhisperKit.
        (
            r#"{"text":"a <b","segments":[{"start":0,"end":1,"text":"<|en|><|0.00|> a <b<|1.00|>"}]}"#,
            vec![line(0, Some(1_000), "a <b")],
            0,
            0,
        ),
        // Words without a text, and segments that get times only from their words.
        (
            r#"{"segments":[{"text":"a b","words":[{"word":"a","start":1,"end":2},{"word":"b","start":2,"end":3}]},
                {"start":4,"words":[{"word":" c","start":4,"end":5},{"word":"-d","start":5,"end":6}]}]}"#,
            vec![line(1_000, Some(3_000), "a b"), line(4_000, Some(6_000), "c-d")],
            0,
            0,
        ),
        // OpenAI's messages.
        (
            "{\"type\":\"transcript.text.delta\",\"delta\":\"a\"}\n\
                {\"type\":\"transcript.text.segment\",\"id\":\"seg_0\",\"start\":0,\"end\":1,\"text\":\"a\",\"speaker\":\"A\"}\n\
                {\"type\":\"transcript.text.done\",\"text\":\"a\"}\n",
            vec![line(0, Some(1_000), "A: a")],
            0,
            0,
        ),
        (
            "{\"type\":\"transcript.text.segment\",\"start\":0,\"end\":1,\"text\":\"a\"}\n\
                {\"type\":\"transcript.text.done\",\"text\":\"a b\"}\n",
            vec![line(0, Some(1_000), "a")],
            0,
            1,
        ),
        // Text outside of segments is reported.
        (r#"{"text":"a b","segments":[{"start":0,"end":1,"text":"a"}]}"#, vec![line(0, Some(1_000), "a")], 0, 1),
        // Segments that are counted again were appended, and so were those of another list.
        (
            r#"[{"id":0,"start":0,"text":"a"},{"id":1,"start":5,"text":"b"},{"id":0,"start":0,"text":"c"}]"#,
            vec![line(0, None, "a"), line(5_000, None, "b"), line(6_000, None, "c")],
            1,
            0,
        ),
        (
            "[{\"start\":0,\"text\":\"a\"},{\"start\":5,\"text\":\"b\"}]\n[{\"start\":0,\"text\":\"c\"}]\n",
            vec![line(0, None, "a"), line(5_000, None, "b"), line(6_000, None, "c")],
            1,
            0,
        ),
    ] {
        assert_eq!(read_lines(file), (lines, told, losses), "{file}");
    }
}
