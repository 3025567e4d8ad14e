//! Tests of `speaker_labels`.

use super::*;
use crate::transcript::{Break, Word};

fn taken(texts: &[&str]) -> Vec<(Option<String>, String)> {
    let mut lines: Vec<_> = texts.iter().map(|text| Content { text: (*text).into(), ..Content::default() }).collect();
    let speaker = |line: &Content| line.speaker.as_deref().map(str::to_owned);
    by_speaker(std::mem::take(&mut lines)).iter().map(|(_, line)| (speaker(line), line.text.to_string())).collect()
}

#[test]
fn names_as_a_table() {
    for (text, name, rest) in [
        ("MAN:\nHow did we end up here?", "MAN", "How did we end up here?"),
        ("[SPEAKER_00]: hello", "SPEAKER_00", "hello"),
        (">> MAYOR O'BRIEN: hello", "MAYOR O'BRIEN", "hello"),
        ("Speaker 1: hello", "Speaker 1", "hello"),
        ("DR. ÖZ: hello", "DR. ÖZ", "hello"),
    ] {
        assert_eq!(taken(&[text, "and more"])[0], (Some(name.to_owned()), rest.to_owned()), "{text}");
    }
    for plain in [
        "He said: no",
        "At 10:30 we left",
        "Note: one",
        "http://x",
        "MAN:",
        "[applause]",
        "[APPLAUSE] ok",
        "a: b",
        "I left. So: no",
        "A very long way to begin a sentence is this one: yes",
        "A:b",
        ": x",
        "Mr, X: y",
    ] {
        assert_eq!(taken(&[plain, "and more"])[0], (None, plain.to_owned()), "{plain}");
    }
    // A label that stands twice is a name. If all is in capitals, capitals prove nothing.
    assert_eq!(taken(&["Ann: one", "two", "Ann: three"])[2], (Some("Ann".to_owned()), "three".to_owned()));
    assert_eq!(taken(&["ITEM ONE: THE BUDGET", "AND"])[0].0, None);
    assert_eq!(taken(&["[ANN]: THE BUDGET", "AND"])[0].0.as_deref(), Some("ANN"));
}

#[test]
fn who_goes_on_with_a_sentence_is_who_began_it() {
    let speakers = |cues: &[(i64, &str)]| -> Vec<Option<String>> {
        let content = |(start, text): &(i64, &str)| {
            with_break(Content {
                start_ms: Some(*start),
                end_ms: Some(start + 1_000),
                text: (*text).into(),
                ..Content::default()
            })
        };
        let mut lines: Vec<_> = cues.iter().map(content).collect();
        // Other people are named as well.
        lines.push(content(&(99_000, "WOMAN: SO.")));
        let mut speakers: Vec<_> =
            by_speaker(lines).iter().map(|(_, line)| line.speaker.as_deref().map(str::to_owned)).collect();
        speakers.pop();
        speakers
    };
    let ann = Some("MAN".to_owned());
    let cues =
        [(0, "MAN: I think that,"), (1_000, "if we may,"), (2_000, "we go."), (3_000, "and then"), (4_000, "so")];
    assert_eq!(speakers(&cues), [ann.clone(), ann.clone(), ann.clone(), None, None]);
    for (next, goes_on) in [
        ((1_000, "we may go."), true),
        ((2_900, "we may go."), true),
        ((3_000, "we may go."), false),
        ((1_000, "We may go."), false),
        ((1_000, "- we may go."), false),
        ((1_000, ">> we may go."), false),
        ((1_000, "[applause]"), false),
    ] {
        assert_eq!(speakers(&[(0, "MAN: I think that"), next])[1].is_some(), goes_on, "{next:?}");
    }
    for over in
        ["MAN: I think so.", "MAN: I think\u{2014}", "MAN: Do I?", "MAN: no, \u{201C}go\u{201D}", "MAN: I\u{2026}"]
    {
        assert_eq!(speakers(&[(0, over), (1_000, "we may go.")])[1], None, "{over}");
    }
    // In capitals, nothing is lower case.
    let capitals = speakers(&[(0, "[MAN]: I THINK THAT"), (1_000, "WE MAY GO."), (2_000, "YES")]);
    assert_eq!(capitals, [ann.clone(), ann, None]);
    // Without a named speaker there is none to continue.
    assert_eq!(speakers(&[(0, "I think that"), (1_000, "we may go.")]), [None, None]);
}

#[test]
fn what_nearly_every_cue_begins_with_is_a_name() {
    let names = [
        "Ann Lee (she/her)",
        "\u{674E}\u{660E}",
        "a.lee@example.org",
        "iPhone (2)",
        "Dr. A. B. Smith-Jones, ACME | Berlin",
    ];
    let texts: Vec<String> = names.iter().chain(&names).map(|name| format!("{name}: Yes: so.")).collect();
    let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let read = taken(&texts);
    for (name, (speaker, text)) in names.iter().chain(&names).zip(&read) {
        assert_eq!((speaker.as_deref(), text.as_str()), (Some(*name), "Yes: so."));
    }
    // One cue in ten may be without a name. With more, and for names that occur once, nothing is certain.
    texts.push("and on");
    assert_eq!(taken(&texts)[10], (None, "and on".to_owned()));
    texts.extend(["and on", "and on"]);
    assert_eq!(taken(&texts)[2].0, None);
    let terms = ["cat: a pet", "dog: a pet", "cow: no pet", "elk: no pet", "ape: no pet"];
    assert!(taken(&terms).iter().all(|(speaker, _)| speaker.is_none()));
}

#[test]
fn what_is_marked_is_taken_whatever_characters_it_has() {
    let said = [
        (None, "Nobody: begins"),
        (Some("Ann"), "one"),
        (Some("Ann"), "Note: two"),
        (Some("Ann"), ">> three"),
        (Some("Ann"), "Ben:\u{A0}four"),
        (None, ">> five"),
        (None, "six"),
        (Some("Dr. A. B. Smith-Jones (BBC)"), "seven"),
        (Some("10:30 -- 11: x::"), "eight"),
        (Some(">> Q"), "nine"),
        (Some("\u{674E}\u{660E}"), "ten"),
        (Some("a"), "Ann: eleven\nsecond row"),
        (Some("O\u{2019}Brien's [1]"), "twelve"),
    ];
    let mut before = None;
    let mut lines = Vec::new();
    for (name, text) in said {
        let text = marked(before, name, text);
        before = Some(name);
        lines.push(with_break(Content { text: text.into(), ..Content::default() }));
    }
    assert!(take_marked(&mut lines));
    let read: Vec<_> = lines.iter().map(|line| (line.speaker.as_deref(), &*line.text)).collect();
    assert_eq!(read, said);
    assert_eq!(markable(" Ann:\u{A0}B\n"), "Ann: B");
    // Other files stay as they are: French has such a space before its colons.
    let mut french = [Content { text: "Il dit\u{A0}:\u{A0}oui".into(), ..Content::default() }];
    assert!(!take_marked(&mut french) && french[0].speaker.is_none());
}

fn by(name: &str, text: &str) -> (Option<String>, String) {
    (Some(name.to_owned()), text.to_owned())
}

fn nobody(text: &str) -> (Option<String>, String) {
    (None, text.to_owned())
}

#[test]
fn each_speaker_of_a_cue_has_a_line() {
    for (text, expected) in [
        ("MAN: Where?\nWOMAN: There", vec![by("MAN", "Where?"), by("WOMAN", "There")]),
        ("Q: Where?\nA: At\nhome.", vec![by("Q", "Where?"), by("A", "At\nhome.")]),
        (">> ANN: Who?\n>> BEN: Me.", vec![by("ANN", "Who?"), by("BEN", "Me.")]),
        ("- ANN: Who?\n- BEN: Me.", vec![by("ANN", "Who?"), by("BEN", "Me.")]),
        ("ANN: Who? >> BEN: Me. >> ANN: So.", vec![by("ANN", "Who?"), by("BEN", "Me."), by("ANN", "So.")]),
        ("has left.\nMAN: Oh.", vec![nobody("has left."), by("MAN", "Oh.")]),
        ("MAN: Who?\n- Me.", vec![by("MAN", "Who?"), nobody("- Me.")]),
        ("- Hi.\n- Hello\nthere.", vec![nobody("- Hi."), nobody("- Hello\nthere.")]),
        ("\u{2013} Hi.\n\u{2013} Hello.", vec![nobody("\u{2013} Hi."), nobody("\u{2013} Hello.")]),
        ("Coming?\n-No.", vec![nobody("Coming?"), nobody("-No.")]),
        (">> Hi.\n>> Hello.", vec![nobody(">> Hi."), nobody(">> Hello.")]),
    ] {
        assert_eq!(taken(&[text]), expected, "{text}");
    }
    // The beginning of a list, a number or the rest of a sentence is no sign of another speaker.
    for one in
        ["Buy:\n- Milk\n- Bread", "It was\n-5 there.", "I came\n- And left", "- one\n- two", "a\n-- B", "MAN:\nMAN:"]
    {
        assert_eq!(taken(&[one]), [nobody(one)], "{one}");
    }
    let breaks: Vec<_> = by_speaker(vec![Content { text: "- Hi.\n- Hello.".into(), ..Content::default() }])
        .into_iter()
        .map(|(index, piece)| (index, piece.break_before))
        .collect();
    assert_eq!(breaks, [(0, None), (0, Some(Break::Turn))]);
    // A name alone on the first row of each.
    let rows = ["- Ann Lee\nWho?", "- Ben Roth\nMe.\nNo.", "- Ann Lee\nSo."];
    assert_eq!(taken(&rows)[..2], [by("Ann Lee", "Who?"), by("Ben Roth", "Me.\nNo.")]);
    assert_eq!(taken(&["Ann Lee\nWho?", "Ben\nMe.", "Carl\nSo."])[0].0, None);
    // Songs have such rows too.
    for sung in [
        &["Hallelujah\nHallelujah"; 8][..],
        &["Hallelujah\nPraise him", "Hallelujah\nHe lives", "Hallelujah\nHe came"],
        &["Sweet Home\nBack again", "Sweet Home\nBack again", "Far Away\nBack again", "Far Away\nBack again"],
        &["Sweet Home\nFar Away", "Far Away\nSweet Home", "Sweet Home\nSo long", "Far Away\nI go"],
    ] {
        assert!(taken(sung).iter().all(|(speaker, _)| speaker.is_none()), "{sung:?}");
    }
    let likely = |texts: &[&str]| {
        let lines = texts.iter().map(|text| Content { text: (*text).into(), ..Content::default() });
        row_names(&lines.collect::<Vec<_>>())
    };
    assert_eq!(likely(&rows), Some(RowNames::Sure));
    assert_eq!(likely(&["Ann\nWho?", "Ben\nMe.", "Ann\nSo.", "Ben\nNo."]), Some(RowNames::Likely));
    assert_eq!(likely(&["Speaker 1\nWho?", "Speaker 1\nWho?"]), Some(RowNames::Sure));
    // A second person who is named once is not the speaker above.
    let once = |second: &str| {
        let texts = ["Ann: Who?", "Bea: Me.", "Bea: So.", &format!("Ann: Well?\n{second}")].map(str::to_owned);
        taken(&texts.each_ref().map(String::as_str))[4..].to_vec()
    };
    assert_eq!(once("Ben Roth: Me."), [by("Ben Roth", "Me.")]);
    assert_eq!(once("BEN: Me."), [by("BEN", "Me.")]);
    assert_eq!(once("Ben: Me."), [nobody("Ben: Me.")]);
    assert!(once("However: me.").is_empty());
    // Meeting tools, too.
    let both = ["Ann Lee: Hello.\nBen (he): Hi.", "Ben (he): So.", "Ann Lee: Yes.", "Ben (he): Good."];
    assert_eq!(taken(&both)[..2], [by("Ann Lee", "Hello."), by("Ben (he)", "Hi.")]);
}

#[test]
fn what_goes_on_is_said_by_the_last_of_a_cue() {
    let cue = |start_ms, text: &str| Content {
        start_ms: Some(start_ms),
        end_ms: Some(start_ms + 1_000),
        text: text.into(),
        ..Content::default()
    };
    let pieces = by_speaker(vec![cue(0, "MAN: Where is he?\nWOMAN: I think that"), cue(1_000, "he has left.")]);
    let speakers: Vec<_> = pieces.iter().map(|(_, piece)| piece.speaker.as_deref()).collect();
    assert_eq!(speakers, [Some("MAN"), Some("WOMAN"), Some("WOMAN")]);
}

#[test]
fn headings_are_no_names_and_names_come_with_others() {
    for texts in [
        &["Step 1: Preheat.", "WARNING: hot.", "COVID-19: what we know"][..],
        &["Note: a", "so", "Note: b", "no", "no"],
        &["WARNING: a", "so", "WARNING: b"],
        &["CHAPTER ONE: a", "CHAPTER TWO: b"],
        &["He said: no", "and", "He said: yes"],
        &["ANN: Hi."],
        &["NASA: a history", "It was so."],
        &["However: so", "Remember: no", "However: a", "x", "Remember: b"],
        &["Listen: so", "Bottom line: no", "Listen: a", "x", "Bottom line: b"],
        // The file has them in lower case, too.
        &["Pizza: a", "Pasta: b", "Pizza: c", "Pasta: d", "we had pizza and pasta"],
    ] {
        let expected: Vec<_> = texts.iter().map(|text| nobody(text)).collect();
        assert_eq!(taken(texts), expected, "{texts:?}");
    }
    assert_eq!(taken(&["ANN: Hi.", "BEN: Yes."]), [by("ANN", "Hi."), by("BEN", "Yes.")]);
    let names = ["ANN: Hi.", "BEN: Yes.", "ANN: No.", "BEN: Oh.", "NASA: a history", "x"];
    assert_eq!(taken(&names)[3..5], [by("BEN", "Oh."), nobody("NASA: a history")]);
    assert_eq!(taken(&names[..5])[4], nobody("NASA: a history"));
    let dense = ["Ann: Hi.", "Ben: Yes.", "Ann: No.", "Ben: Oh.", "Ann: So.", "Surprise: he came."];
    assert_eq!(taken(&dense)[4..], [by("Ann", "So."), nobody("Surprise: he came.")]);
    let common = ["Will: Hi.", "Ann: Yes.", "Will: No.", "Ann: Oh.", "Will: So.", "Will: I will.", "Ann: You will."];
    assert_eq!(taken(&common)[5], by("Will", "I will."));
    let mixed = ["Ann: Hi.", "x", "Ann: Yes.", "BEN: No."];
    assert_eq!(taken(&mixed)[2..], [by("Ann", "Yes."), nobody("BEN: No.")]);
    let host = ["Narrator: Once.", "x", "Narrator: Twice."];
    assert_eq!(taken(&host)[2], by("Narrator", "Twice."));
    let (page, he) = ("Page Turner: Hi.", "He Jiang: Yes.");
    assert_eq!(taken(&[page, he, "x", page, he])[3..], [by("Page Turner", "Hi."), by("He Jiang", "Yes.")]);
}

#[test]
fn one_space_behind_a_colon_is_no_file_of_ours() {
    let read = |texts: &[&str]| {
        let mut lines: Vec<_> =
            texts.iter().map(|text| Content { text: (*text).into(), ..Content::default() }).collect();
        take_marked(&mut lines).then(|| lines.iter().map(|line| line.speaker.as_deref().map(str::to_owned)).collect())
    };
    for foreign in [
        &["Note:\u{A0}by X", "Hello.", "BEN: Hi.", "ANN: Yes."][..],
        &["Subtitles by:\u{A0}X", "Hello.", "Yes."],
        &["Zoe:\u{A0}So.", "MAN: Hi."],
    ] {
        assert_eq!(read(foreign), None::<Vec<Option<String>>>, "{foreign:?}");
    }
    let ann = Some("Ann".to_owned());
    assert_eq!(read(&["Ann:\u{A0}one", "two", "He said: three"]), Some(vec![ann; 3]));
    // A name that looks like a heading needs another mark.
    let mut texts = ["Note:\u{A0}one".to_owned(), "two".to_owned(), "three".to_owned()];
    mark_as_ours(&mut texts, Some("Note"));
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    assert_eq!(read(&texts), Some(vec![Some("Note".to_owned()); 3]));
}

#[test]
fn a_name_is_none_of_the_words() {
    let word = |(text, start_ms): (&str, i64)| Word { text: text.into(), start_ms, end_ms: None, confidence: None };
    let line = Content {
        start_ms: Some(0),
        end_ms: Some(9_000),
        text: "DR. ROTH: well now\nMAN: then".into(),
        words: [("DR.", 0), ("ROTH:", 0), ("well", 0), ("now", 1_000), ("MAN:", 2_000), ("then", 3_000)]
            .map(word)
            .to_vec(),
        ..Content::default()
    };
    let pieces = by_speaker(vec![line]);
    let read: Vec<_> = pieces
        .iter()
        .map(|(_, piece)| {
            let words: Vec<_> = piece.words.iter().map(|word| (&*word.text, word.start_ms)).collect();
            (piece.start_ms, words)
        })
        .collect();
    let expected = [(Some(0), vec![("well", 0), ("now", 1_000)]), (Some(3_000), vec![("then", 3_000)])];
    assert_eq!(read, expected);
}

#[test]
fn chevrons_begin_a_turn() {
    let with = |text: &str| with_break(Content { text: text.into(), ..Content::default() }).break_before;
    assert_eq!((with(">> HELLO"), with(">>> NEWS"), with("a >> b")), (Some(Break::Turn), Some(Break::Turn), None));
}
