//! Tests of `markdown`.

use super::markup::unescape;
use super::*;
use crate::format::core::builder::TranscriptBuilder;

#[test]
fn heads_as_a_table() {
    for (line, label, start_ms, text) in [
        ("**Ann:** Hello.", "Ann", None, "Hello."),
        ("**Ann**: Hello.", "Ann", None, "Hello."),
        ("**Ann:** \\[08:13\\] Hello.", "Ann", Some(493_000), "Hello."),
        ("**Ann:** [1:08:13] Hello.", "Ann", Some(4_093_000), "Hello."),
        ("**Break**: \\[28:20.50\\]", "Break", Some(1_700_500), ""),
        ("**Ann B. C:**", "Ann B. C", None, ""),
        ("**Ann:** \\[laughter\\] x", "Ann", None, "\\[laughter\\] x"),
        ("**Ann:** \\[inaudible\\] x", "Ann", None, "\\[inaudible\\] x"),
        ("**Ann** (08:13):", "Ann", Some(493_000), ""),
        ("**Ann** [08:13]: Hello.", "Ann", Some(493_000), "Hello."),
        ("**Ann** (08:13) Hello.", "Ann", Some(493_000), "Hello."),
        ("**Ann (08:13):** Hello.", "Ann", Some(493_000), "Hello."),
        ("**Ann: (08:13)** Hello.", "Ann", Some(493_000), "Hello."),
        ("**\\[08:13\\] Ann:** Hello.", "Ann", Some(493_000), "Hello."),
        ("[08:13] **Ann:** Hello.", "Ann", Some(493_000), "Hello."),
        ("**Ann:** (08:13) Hello.", "Ann", Some(493_000), "Hello."),
        ("**Ann\u{FF1A}** Hello.", "Ann", None, "Hello."),
        ("**Ann Lee** 08:13 Hello.", "Ann Lee", Some(493_000), "Hello."),
    ] {
        let found = head(line).map(|head| (head.label, head.start_ms, head.text));
        assert_eq!(found, Some((label, start_ms, text)), "{line}");
    }
    for (line, remark) in [("**Ann:** [--:--] x", "--:--"), ("**Ann** (NA): x", "NA")] {
        let found = head(line).map(|head| (head.start_ms, head.remark, head.text));
        assert_eq!(found, Some((None, Some(remark), "x")), "{line}");
    }
    for plain in [
        "",
        "Ann: x",
        "**Ann** x",
        "**Ann** at 12:30 x",
        "**Note** 12:30",
        "(12:30) x",
        "**Ann** (aside) x",
        "**:** x",
        "*Ann:* x",
        " **Ann:** x",
        "**Ann: x",
    ] {
        assert_eq!(head(plain).filter(|head| !head.is_doubtful), None, "{plain}");
    }
}

/// An unreadable time never moves text to the speaker before.
#[test]
fn a_time_that_cannot_be_read_makes_a_turn_of_who_is_named_elsewhere() {
    for (header, said) in [
        ("**Ben Roth** (0O:25):", "So."),
        ("**Ben Roth** [time]:", "So."),
        ("**Ben Roth** (laughing):", "(laughing) So."),
        ("**Ben Roth** (??):", "So."),
        ("**Ben Roth** 0O:25", "So."),
        ("**Ben Roth** 00.25", "So."),
        ("[0O:25] **Ben Roth:**", "So."),
        ("[00.25] **Ben Roth**:", "So."),
        ("[inaudible 00:25] **Ben Roth**:", "(inaudible 00:25) So."),
    ] {
        for gap in ["\n", "\n\n"] {
            let text = format!("**Ann Lee** (00:01): Yes.{gap}**Ben Roth** (00:09): No.{gap}{header} So.{gap}");
            let reading = read(&text, TranscriptBuilder::default());
            let last = reading.lines.last().expect("a line");
            let found = (last.content.speaker.as_deref(), last.content.start_ms, &*last.content.text);
            assert_eq!(found, (Some("Ben Roth"), None, said), "{header}");
            let at = 1 + text.lines().position(|line| line.starts_with(header)).expect("the header");
            assert!(reading.problems.iter().any(|problem| problem.line == at), "{header}");
        }
    }
    // Some markers of bold text are missing.
    for header in ["*Ben Roth:** ", "**Ben Roth:* ", "**Ben Roth: ", "Ben Roth:** "] {
        let text = format!("**Ann Lee:** Yes.\n\n**Ben Roth:** No.\n\n**Ann Lee:** Oh.\n\n{header}[00:25] So: yes.\n");
        let reading = read(&text, TranscriptBuilder::default());
        let last = reading.lines.last().expect("a line");
        let found = (last.content.speaker.as_deref(), last.content.start_ms, &*last.content.text);
        assert_eq!(found, (Some("Ben Roth"), Some(25_000), "So: yes."), "{header}");
        assert!(reading.problems.iter().any(|problem| problem.line == 7), "{header}");
    }
    // Counts in a sentence.
    for words in ["42 votes for it.", "(42) votes for it.", "(2019) says so.", "1,234 votes.", "2019 was hers."] {
        let text = format!("**Ann Lee** (00:01): Yes.\n\n**Ben Roth** (00:09): I said\n\n**Ann Lee** {words}\n");
        let reading = read(&text, TranscriptBuilder::default());
        let last = reading.lines.last().expect("a line");
        let found = (last.content.speaker.as_deref(), last.content.text.ends_with(&format!("**Ann Lee** {words}")));
        assert_eq!(found, (Some("Ben Roth"), true), "{words}");
    }
    // A speaker without markers of bold text, with other ones, or in an item of a list begins a turn if there is a
    // time.
    for (header, speaker) in [
        ("- **Ben Roth:** \\[00:25\\]", "Ben Roth"),
        ("* **Ben Roth** (00:25):", "Ben Roth"),
        ("1. **Ben Roth:** (00:25)", "Ben Roth"),
        ("> **Ben Roth:** [00:25]", "Ben Roth"),
        ("Ben Roth (00:25):", "Ben Roth"),
        ("Ben Roth: [00:25]", "Ben Roth"),
        ("*Ben Roth:* \\[00:25\\]", "Ben Roth"),
        ("*Ben Roth*: \\[00:25\\]", "Ben Roth"),
        ("__Ben Roth:__ \\[00:25\\]", "Ben Roth"),
        ("_Ben Roth_ (00:25):", "Ben Roth"),
        ("`Ben Roth:` (00:25)", "Ben Roth"),
    ] {
        for gap in ["\n", "\n\n"] {
            let text = format!("**Ann Lee:** [00:01] Yes.\n\n**Ben Roth:** [00:09] No.{gap}{header}{gap}So: yes.\n");
            let reading = read(&text, TranscriptBuilder::default());
            let last = reading.lines.last().expect("a line");
            let found = (last.content.speaker.as_deref(), last.content.start_ms, &*last.content.text);
            assert_eq!(found, (Some(speaker), Some(25_000), "So: yes."), "{header}");
            let at = 1 + text.lines().position(|line| line == header).expect("the header");
            assert!(reading.problems.iter().any(|problem| problem.line == at), "{header}");
        }
    }
    // So does a speaker at the head of a paragraph who is bold elsewhere, but not in a list of names above the
    // first turn.
    for (header, said) in [("Ann Lee: Oh.", "Oh. So."), ("Ann Lee:", "So.")] {
        let text = format!("# T\n\nAnn Lee: who asks\n\n**Ann Lee:** Yes.\n\n**Ben Roth:** No.\n\n{header}\nSo.\n");
        let reading = read(&text, TranscriptBuilder::default());
        let found: Vec<_> =
            reading.lines.iter().map(|line| (line.content.speaker.as_deref(), &*line.content.text)).collect();
        assert_eq!(found, [(Some("Ann Lee"), "Yes."), (Some("Ben Roth"), "No."), (Some("Ann Lee"), said)]);
        assert_eq!(reading.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [9], "{header}");
    }
    // Otherwise, without a time, it stays text and is reported.
    for (header, is_told) in [
        ("Ann Lee", true),
        ("Oh.\nAnn Lee: so", true),
        ("- **Ann Lee:** so", true),
        ("__Ann Lee__", true),
        ("Ann Lee: so it is", true),
        ("Ann Lee (12:30): wrote", true),
        ("Oh.\nBen Roth (00:02): So.", true),
        ("- [Ann Lee](https://example.org): [12:30](https://example.org/?t=750)", false),
        ("- Ann Lee\n- Ben Roth", false),
        ("Ann Lee\nis my name.", false),
        ("Cy Young (00:25):", false),
        ("Start Time: (10:30)", false),
        ("- Opening Remarks: [00:30]", false),
        ("Opening Remarks (00:30): by the chair", false),
        ("Demo Video: [12:30](https://example.org/?t=750)", false),
        ("New York", false),
        ("Amazing Grace\nhow sweet the sound", false),
        ("Resources Mentioned", false),
        ("- Bitcoin Core\n- Lightning Labs", false),
        ("1. Bitcoin Core", false),
        ("New York is large", false),
        ("The rule: so", false),
        ("- **Rule:** so", false),
        ("See [the page](https://example.org): so", false),
        ("It was (12:30) then", false),
    ] {
        let text = format!("**Ann Lee:** [00:01] Yes.\n\n**Ben Roth:** [00:09] No.\n\n{header}\nSo.\n");
        let reading = read(&text, TranscriptBuilder::default());
        let last = reading.lines.last().expect("a line");
        assert_eq!(last.content.speaker.as_deref(), Some("Ben Roth"), "{header}");
        assert_eq!(reading.problems.iter().any(|problem| problem.line >= 5), is_told, "{header}");
    }
    // A head above the first turn, or with a time that does not fit between its neighbours, is none.
    let text =
        "Ann Lee: (10:30) chair\n\n**Ann Lee:** [00:01] Yes.\n\nBen Roth: [00:30] No.\n\n**Ben Roth:** [00:09] No.\n";
    let reading = read(text, TranscriptBuilder::default());
    let starts: Vec<_> = reading.lines.iter().map(|line| line.content.start_ms).collect();
    assert_eq!((starts, reading.problems.len()), (vec![Some(1_000), None, Some(9_000)], 1));
    // An answer may begin with the letter that stands for answers.
    let reading = read("**Q:** Why?\n\n**A:** So.\n\nA: Is what I got.\n\n**Q:** Oh?\n", TranscriptBuilder::default());
    let answer = &reading.lines[2].content;
    assert_eq!((&*answer.text, reading.problems.len()), ("A: Is what I got.", 1));
    // A name that is bold once is no speaker.
    let text = "**Ann Lee** (00:01): Yes.\n\n**Bitcoin Core** (27.0) is out.\n\n**Ann Lee** (00:09): No.\n";
    let reading = read(text, TranscriptBuilder::default());
    assert_eq!(reading.lines.len(), 3);
    assert!(reading.lines.iter().all(|line| line.content.speaker.as_deref() == Some("Ann Lee")));
}

#[test]
fn who_is_named_without_a_colon_begins_a_turn_if_known() {
    let reading =
        read("**Ann:** one\n\n**Ben** (0:05):\ntwo\n\n**Ann**\nthree\n\n**Carl**\n", TranscriptBuilder::default());
    let lines: Vec<_> =
        reading.lines.iter().map(|line| (line.content.speaker.as_deref(), &*line.content.text)).collect();
    assert_eq!(lines, [(Some("Ann"), "one"), (Some("Ben"), "two"), (Some("Ann"), "three"), (Some("Ann"), "**Carl**")]);
    let told: Vec<_> = reading.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(told, [6]);
    assert_eq!((count("**Keynote Address** 10:30\n\n**Final Words** 11:00\n"), count("**Ann** (0:01): x\n")), (0, 1));
}

#[test]
fn headings_are_nobody() {
    let reading = read(
        "**Ann:** one\n**Note:** recorded\n\ntwo\n\n**Ben:** three\n\n**Warning:**\n\nloud\n\nfour\n\n**However:** five\n",
        TranscriptBuilder::default(),
    );
    let lines: Vec<_> =
        reading.lines.iter().map(|line| (line.content.speaker.as_deref(), &*line.content.text)).collect();
    let (ann, ben) = (Some("Ann"), Some("Ben"));
    assert_eq!(
        lines,
        [
            (ann, "one"),
            (None, "Note: recorded"),
            (ann, "two"),
            (ben, "three"),
            (None, "Warning: loud"),
            (ben, "four"),
            (None, "However: five")
        ]
    );
    // A heading without a text of its own stays, and takes no speaker's text.
    let reading = read(
        "**Before:**\n\n**Ann:** one\n\n**Note:**\n\n**Warning:**\n\n**Ben:** (00:05) two\n\nthree\n\n**Summary:**\n",
        TranscriptBuilder::default(),
    );
    let lines: Vec<_> =
        reading.lines.iter().map(|line| (line.content.speaker.as_deref(), &*line.content.text)).collect();
    let expected =
        [(ann, "one"), (None, "Note:"), (None, "Warning:"), (ben, "two"), (ben, "three"), (None, "Summary:")];
    assert_eq!((lines, reading.meta.preamble.as_deref()), (expected.to_vec(), Some("Before:")));
    assert_eq!(count("**Note:** a\n\n**Warning:** b\n\n**Note:** c\n"), 0);
}

#[test]
fn escapes_are_undone_and_breaks_stay() {
    assert_eq!(unescape("\\[a\\] \\*b\\* \\\\ \\c"), "[a] *b* \\ \\c");
    assert_eq!(unescape("&#91;a&rsqb; R&amp;D \\&amp; & &x; &"), "[a] R&D &amp; & &x; &");
    let reading = read("**Ann:** \\[00:01\\]\n\none\\\ntwo\nthree\n\nfour\n", TranscriptBuilder::default());
    let texts: Vec<_> = reading.lines.iter().map(|line| (&*line.content.text, line.content.start_ms)).collect();
    assert_eq!(texts, [("one\ntwo three", Some(1_000)), ("four", None)]);
}
