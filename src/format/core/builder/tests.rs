//! Tests of `builder`.

use super::*;

fn line(start_ms: Option<MediaMs>, chars: usize) -> Content {
    Content { start_ms, text: "x".repeat(chars).into(), ..Content::default() }
}

#[test]
fn labels_and_languages_are_as_publishers_may_send_them() {
    let fits = "é".repeat(SPEAKER_BYTES_MAX / 2);
    for (speaker, lang, kept, kept_lang, told) in [
        ("Ann", "en-GB", "Ann", Some("en-GB"), &[][..]),
        (&*fits, "en", &*fits, Some("en"), &[]),
        (&*format!("{fits} "), "en", &*fits, Some("en"), &["may have 256: cut"]),
        (&*format!("{fits}x"), "en", &*fits, Some("en"), &["may have 256: cut"]),
        (&*format!("x{fits}"), "en", &format!("x{}", &fits[2..]), Some("en"), &["may have 256: cut"]),
        (
            "Ann",
            &*"x".repeat(LANG_BYTES_MAX + 1),
            "Ann",
            Some(&"x".repeat(LANG_BYTES_MAX)),
            &["the language has too many"],
        ),
    ] {
        let mut gather = TranscriptBuilder::default();
        let content = Content { speaker: Some(speaker.into()), lang: Some(lang.into()), ..line(Some(1), 1) };
        assert!(gather.line((7, 9), content));
        let reading = gather.finish(FileKind::Srt);
        let content = &reading.lines[0].content;
        assert_eq!((content.speaker.as_deref(), content.lang.as_deref()), (Some(kept), kept_lang));
        assert_eq!(reading.problems.len(), told.len(), "{:?}", reading.problems);
        for (problem, told) in reading.problems.iter().zip(told) {
            assert!(problem.message.contains(told) && (problem.line, problem.column) == (7, 9), "{problem}");
        }
    }
}

#[test]
fn a_line_has_times_that_a_line_can_have() {
    let mut gather = TranscriptBuilder::default();
    let at = |start_ms, end_ms| Content { start_ms, end_ms, ..line(None, 1) };
    for (start, end, kept) in [
        (Some(5), Some(5), (Some(5), None)),
        (Some(5), Some(4), (Some(5), None)),
        (Some(-1), Some(4), (None, None)),
        (Some(SORT_MS_MAX + 1), None, (None, None)),
        (None, Some(4), (None, None)),
    ] {
        assert!(gather.line(1, at(start, end)));
        let last = gather.contents().last().expect("it was taken");
        assert_eq!((last.start_ms, last.end_ms), kept, "{start:?} {end:?}");
    }
    assert!(!gather.line(1, line(Some(9), 0)));
    assert_eq!(gather.finish(FileKind::Srt).problems.len(), 4);
}
