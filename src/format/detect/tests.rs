//! Tests of `detect`.

use super::*;

/// Short files of known programs: each is read as its kind, or refused by its name.
#[test]
fn no_kind_is_claimed_that_is_not_read() {
    for (file, name) in [
        ("{\"metadata\":{},\"results\":{\"channels\":[{\"alternatives\":[{\"transcript\":\"a\"}]}]}}", "Deepgram"),
        ("{\"id\":\"x\",\"text\":\"a\",\"audio_duration\":3,\"utterances\":[]}", "AssemblyAI"),
        ("{\"sentences\":[{\"text\":\"a\",\"start\":1,\"end\":2}],\"id\":\"x\"}", "AssemblyAI"),
        ("{\"source\":\"x\",\"recognizedPhrases\":[{}]}", "Azure"),
        ("{\"results\":[{\"alternatives\":[{\"transcript\":\"a\"}],\"languageCode\":\"en\"}]}", "Google"),
        (
            "{\"language_code\":\"en\",\"language_probability\":1,\"text\":\"a\",\"words\":[{\"text\":\"a\"}]}",
            "ElevenLabs",
        ),
        ("{\"text\":\"a\"}", "without times"),
        ("{\"text\":\"a\",\"usage\":{\"type\":\"tokens\"}}", "without times"),
        ("{\"text\":\"a\",\"words\":[{\"text\":\"a\",\"start\":100,\"end\":400}]}", "AssemblyAI"),
        ("{\"text\":\"a\",\"words\":[{\"text\":\"a\",\"start\":1,\"type\":\"word\"}]}", "ElevenLabs"),
        ("{\"transcript\":\"a\",\"words\":[{\"word\":\"a\",\"start\":1,\"punctuated_word\":\"A\"}]}", "Deepgram"),
        ("{\"result\":[{\"word\":\"a\",\"start\":1,\"end\":2,\"conf\":1}],\"text\":\"a\"}", "Vosk"),
        ("{\"transcription\":{\"utterances\":[{\"text\":\"a\",\"start\":1}]}}", "Gladia"),
        ("{\"text\":\"a\",\"phrases\":[{\"text\":\"a\",\"start\":1,\"end\":2}]}", "an engine that is not known"),
        ("[{\"start_ms\":0,\"text\":\"a\"}]\n[{\"start_ms\":0,\"text\":\"b\"}]", "several lists of lines"),
        ("{\"text\":\"a\",\"segments\":[]}", "without times"),
        ("{\"text\":\"a\",\"segments\":null,\"language\":\"en\"}", "without times"),
        ("{\"text\":\"a\",\"chunks\":[ ]}\n{\"text\":\"b\",\"chunks\":[]}\n", "without times"),
        ("{\"task\":\"transcribe\",\"duration\":1,\"text\":\"a\",\"words\":[]}", "without times"),
        ("{\"monologues\":[]}\n{\"monologues\":[]}\n", "several transcripts in one file (Rev's transcript JSON)"),
        ("[{\"monologues\":[]}]", "several transcripts in one file"),
        ("{\n\"a\":1}\n{\n\"b\":2}", "several objects in JSON"),
        ("[\"a\"]", "a list of what is no object"),
        ("[]", "an empty list"),
        (
            "[Script Info]\nScriptType: v4.00+\n\n[Events]\nDialogue: 0,0:00:00.10,0:00:01.20,,Ann,0,0,0,,Hi: so.\n",
            "ASS",
        ),
        ("Scenarist_SCC V1.0\n\n00:00:01:00\t9420 9420\n", "SCC"),
        ("<SAMI><BODY><SYNC Start=100><P>a</BODY></SAMI>", "SAMI"),
        ("<?xml version=\"1.0\"?><transcript><text start=\"0.1\">a</text></transcript>", "SRV"),
        ("<timedtext format=\"3\"><body><p t=\"1\">a</p></body></timedtext>", "SRV"),
        ("0:00:00.100,0:00:01.200\nHello.\n\n0:00:01.600,0:00:03.000\nAnn: yes.\n", "SBV"),
        ("{1}{30}Hello.|Yes.\n{40}{75}No.\n", "MicroDVD"),
        ("{\\rtf1 x}", "RTF"),
        // Lists of other things than segments.
        (
            "[{\"start\":0,\"end\":5,\"text\":\"Apple\",\"label\":\"ORG\"},{\"start\":9,\"end\":15,\"text\":\"Berlin\"}]",
            "entities",
        ),
        (
            "{\"text\":\"Ann is here\",\"start\":0,\"end\":3,\"label\":\"PER\"}\n{\"text\":\"Bonn\",\"start\":0,\"end\":4}\n",
            "entities",
        ),
        ("[{\"start\":\"2026-01-01\",\"end\":\"2026-01-02\",\"text\":\"Holiday\"}]", "calendar"),
        ("[{\"start\":\"2026-01-01T10:00:00Z\",\"end\":\"2026-01-01T11:00:00Z\",\"text\":\"Meeting\"}]", "calendar"),
        ("{\"entities\":[{\"text\":\"Bonn\",\"start\":10}],\"text\":\"I live in Bonn\"}", "JSON of another kind"),
        (
            "{\"ts\":\"2026-01-01\",\"message\":\"it is secret\",\"text\":\"x\"}\n{\"message\":\"y\"}\n",
            "message, text, ts",
        ),
        ("[{\"id\":1,\"name\":\"Ann\"},{\"id\":2,\"name\":\"Ben\"}]", "id, name"),
        ("{\"name\":\"x\",\"version\":\"1.0.0\",\"scripts\":{},\"dependencies\":{}}", "dependencies, name"),
        ("{\"segments\":[{\"name\":\"a\",\"size\":1}],\"language\":\"en\"}", "JSON of another kind"),
        ("{\"type\":\"FeatureCollection\",\"features\":[]}", "FeatureCollection"),
        // Lists whose items are neither segments nor sentences.
        ("{\"segments\":[[0,1.2,\"Hello\"]]}", "segments"),
        ("{\"sentences\":[\"Hello.\"]}", "AssemblyAI"),
        ("{\"transcription\":[1,2]}", "transcription"),
        ("start\tend\ttext\n100\t1200\tHello.\n", "table"),
    ] {
        for file_name in [None, Some("a.rev.txt"), Some("a.json")] {
            let refusal = detect(file, file_name).expect_err(name).to_string();
            assert!(refusal.contains(name), "{name}: {refusal}");
        }
    }
}

#[test]
fn a_message_is_wrapped_once() {
    let line = "{\"text\":\"a\",\"start\":1}";
    for name in ["payload", "message"] {
        let wrapped = |count: usize| format!("{}{line}{}", format!("{{\"{name}\":").repeat(count), "}".repeat(count));
        assert_eq!(detect(&wrapped(1), None), Ok(FileKind::Ndjson), "{name}");
        for count in [2, 20_000] {
            assert!(matches!(detect(&wrapped(count), None), Err(FormatError::NotATranscript { .. })), "{name} {count}");
        }
    }
}

#[test]
fn rows_with_two_times_are_no_cues() {
    for (file, kind) in [
        ("00:35 --> 00:40 Ann: Well.\n", FileKind::Timed),
        ("00:35 --> 00:40 Well.\n00:41 --> 00:44 Yes.\n", FileKind::Timed),
        ("00:00:35,000 --> 00:00:40,000 Ann: Well.\n\n00:00:41,000 --> 00:00:44,000 Ben: Yes.\n", FileKind::Timed),
        ("00:35 --> 00:40 align:start\nWell.\n\n00:41 --> 00:44 align:start\nYes.\n", FileKind::Srt),
        ("1\n00:00:35,000 --> 00:00:40,000 Ann:\nWell.\n", FileKind::Srt),
        ("00:00:35,000 --> 00:00:40,000\nWell.\n\n00:00:41,000 --> 00:00:44,000 Ben:\nYes.\n", FileKind::Srt),
        ("00:35 -- > 00:40 Well.\n00:41 -- > 00:44 Yes.\n", FileKind::Srt),
    ] {
        for name in [None, Some("a.txt")] {
            assert_eq!(detect(file, name), Ok(kind), "{file}");
        }
    }
}

/// Forms that other texts have too, each as a file of its own.
#[test]
fn transcripts_of_loose_forms_are_known() {
    let two = |one: &str, other: &str| format!("{one}\n\n{other}\n");
    for (kind, first, second) in [
        (FileKind::Otter, "[00:00:01] Ann Lee\nGood morning.", "[00:00:05] Ben Roth\nMorning."),
        (FileKind::Otter, "00:00:01 Ann Lee\nGood morning.", "00:00:05 Ben Roth\nMorning."),
        (FileKind::Otter, "0:01 - Ann Lee\n  Good morning.", "0:05 - Ben Roth\n  Morning."),
        (FileKind::Otter, "0:01 | Ann Lee\nGood morning.", "0:05 | Ben Roth\nMorning."),
        (FileKind::Otter, "Ann Lee - 00:01\nGood morning.", "Ben Roth - 00:05\nMorning."),
        (FileKind::Otter, "Ann Lee, 00:01\nGood morning.", "Ben Roth, 00:05\nMorning."),
        (FileKind::Otter, "Ann Lee 0:01\nGood morning.", "Ben Roth 0:05\nMorning."),
        (FileKind::Otter, "Ann Lee 10:02 AM\nGood morning.", "Ben Roth 10:03 AM\nMorning."),
        (FileKind::Otter, "[Ann Lee 0:01]\nGood morning.", "[Ben Roth 0:05]\nMorning."),
        (FileKind::Otter, "[Ann Lee, 0:01]\nGood morning.", "[Ben Roth, 0:05]\nMorning."),
        (FileKind::Otter, "**Ann Lee**  0:01\nGood morning.", "**Ben Roth**  0:05\nMorning."),
        (FileKind::Otter, "Ann Lee\n0:01\nGood morning.", "Ben Roth\n0:05\nMorning."),
        (FileKind::Otter, "Ann Lee\n\n0:01\n\nGood morning.", "Ben Roth\n\n0:05\n\nMorning."),
        (FileKind::Otter, "0:01\nAnn Lee\nGood morning.", "0:05\nBen Roth\nMorning."),
        (FileKind::Otter, "00:00:01:05 - 00:00:04:10\nAnn Lee\nGood.", "00:00:05:05 - 00:00:06:00\nBen Roth\nMorning."),
        (FileKind::Otter, "00;00;01;05 - 00;00;04;10\nAnn Lee\nGood.", "00;00;05;05 - 00;00;06;00\nBen Roth\nMorning."),
        (FileKind::Names, "Ann Lee: 0:01\nGood morning.", "Ben Roth: 0:05\nMorning."),
        (FileKind::Timed, "Ann Lee: [0:01] Good morning.", "Ben Roth: [0:05] Morning."),
        (FileKind::Timed, "Ann Lee (0:01): Good morning.", "Ben Roth (0:05): Morning."),
        (FileKind::Timed, "Ann Lee [00:00:01] Good morning.", "Ben Roth [00:00:05] Morning."),
        (FileKind::Timed, "[Ann Lee 0:01] Good morning.", "[Ben Roth 0:05] Morning."),
        (FileKind::Timed, "Ann Lee: 00:00:01 Good morning.", "Ben Roth: 00:00:05 Morning."),
        (FileKind::Timed, "Ann Lee 00:00:01: Good morning.", "Ben Roth 00:00:05: Morning."),
        (FileKind::Timed, "0:01\tAnn Lee\tGood morning.", "0:05\tBen Roth\tMorning."),
        (FileKind::Timed, "Ann Lee\t0:01\tGood morning.", "Ben Roth\t0:05\tMorning."),
        (FileKind::Timed, "0:01\t0:04\tAnn Lee\tGood morning.", "0:05\t0:07\tBen Roth\tMorning."),
        (FileKind::Timed, "00:00:00\nAnn Lee: Good morning.\nBen Roth: So.", "00:05:00\nBen Roth: Morning."),
        (FileKind::Timed, "- [00:01] Ann Lee: Good morning.", "- [00:05] Ben Roth: Morning."),
    ] {
        for ending in ["\n", "\r\n", "\u{A0}\n"] {
            let file = two(first, second).replace('\n', ending);
            assert_eq!(detect(&file, None), Ok(kind), "{file}");
            let reading = crate::format::registry::read(file.as_bytes(), None).expect("a transcript");
            let said =
                reading.lines.iter().map(|line| (line.content.speaker.as_deref(), line.content.start_ms.is_some()));
            let named = |name: &str| said.clone().any(|one| one == (Some(name), true));
            assert!(named("Ann Lee") && named("Ben Roth"), "{file}{reading:?}");
            let is_clean = |text: &str| !text.contains([':', '[', '(', '\t']) && !text.contains("Lee");
            assert!(reading.lines.iter().all(|line| is_clean(&line.content.text)), "{file}{reading:?}");
        }
    }
}

#[test]
fn bold_names_with_a_time_are_markdown() {
    let text = "**Ann Lee** (00:01):\nGood morning.\n\n**Ben Roth** (00:05):\nMorning.\n";
    assert_eq!(detect(text, None), Ok(FileKind::Markdown));
}

#[test]
fn prose_and_lists_with_times_are_no_transcripts() {
    for text in [
        // Prose.
        "It was 1999: a year to remember.\nNote: something. At 10:30 we left.\n\nThe score was 3:2.\n",
        "10:30\nWe left the house and it rained all day.\n\nNote: bring shoes.\n",
        "We met at\n10:30\nand left at\n12:45\nto eat.\n",
        "Ann Lee 10:30\nWe met and talked about it all day long.\n",
        "Ann: Where is it?\nBen: There.\nAnn: When?\nBen: At 10:30.\n",
        "ANN: Where?\nBEN: There.\n12:30\nANN: So.\n",
        "In 1999: a year of change.\nAnn Lee: a life in letters.\nShe was born at 10:30 on a cold day.\n",
        "See [Knuth 12:30] for this.\n[Smith 10:12] says so and more.\n",
        "**Note:** something.\n\nThe score was 3:2 in 1999.\n",
        "Some **bold** (12:30) text.\n\n**Result** (12:30) was good.\n\n**Time** (10:30) too.\n",
        "From: Ann Lee\nDate: Mon, 30 Nov 2026 10:02:11\nSubject: It\n\nDear Ben,\nplease come at 10:30.\n",
        "Minutes of the meeting\nStart: 10:30\nEnd: 11:45\nPresent: Ann Lee, Ben Roth\nNote: nothing was decided.\n",
        "Time: 12:30\nServes: 4\nNote: something\nMix it all and bake.\n",
        // Scores and results.
        "Results\nKiel 31:28\nA close game for them all.\nFlensburg 27:25\nThe last goal fell late.\n",
        "Kiel - Flensburg 31:28\nA close game.\nBerlin - Bonn 27:25\nA late goal.\n",
        "Kiel won again.\nGermany 3:21\nIt was Note: something.\n",
        "Ann Lee - 12:31\nBerlin\nBen Roth - 12:44\nBonn\nCarl Oss - 13:02\nKiel\n",
        "Ann Lee\t12:31\tClub A\nBen Roth\t12:44\tClub B\nCarl Oss\t13:02\tClub C\n",
        // Verses.
        "John 3:16\nFor God so loved the world.\n",
        "Genesis 12:30\nAnd he went down into the land.\nGenesis 12:31\nAnd it came to pass.\n",
        "1 Samuel 12:03\nAnd he went down into the land.\n2 Samuel 12:31\nAnd it came to pass.\n",
        "Surah (2:25) says that it is so.\nSurah (2:26) says otherwise, as we know.\n",
        "For God so loved the world (John 3:16)\nBlessed be ye poor (Luke 6:20)\n",
        "John 3:16 - For God so loved.\nJohn 3:17 - For God sent not.\n",
        // Programmes, timetables, chapters, songs.
        "Opening Remarks - 10:00\nAnn Lee, chair\nKeynote Address - 10:30\nBen Roth\n",
        "10:00\nOpening Remarks\nAnn Lee, chair\n10:30\nKeynote Address\nBen Roth\n",
        "10:00\nChair: Ann Lee\n10:30\nChair: Ben Roth\nSpeaker: Carl Oss\n",
        "08:00 Breakfast\nIn the hall.\n09:30 Opening Session\nAnn Lee speaks to us all.\n10:15 Coffee Break\nOutside.\n",
        "**Keynote Address** 10:30\n\nAnn Lee speaks.\n\n**Final Words** 11:00\n\nBen Roth speaks.\n",
        "Ann Lee\t10:00\tRoom 1 is where it is.\nBen Roth\t10:30\tRoom 2 is where it is.\n",
        "10:02\tBerlin\tPlatform 1\n12:31\tBonn\tPlatform 4\n13:02\tBerlin\tPlatform 2\n",
        "0:00 Introduction\n1:12 The Budget\n5:30 Final Words\n",
        "0:00\nIntroduction\n1:12\nThe Budget\n5:30\nFinal Words\n",
        "1. Opening Song 3:21\n2. The Second Song 4:02\n3. Last Song 5:17\n",
        "Opening Song\t3:21\tAnn Lee\nSecond Song\t4:02\tAnn Lee\nLast Song\t5:17\tBen Roth\n",
        "10:02 <ann> hello\n10:03 <ben> hi\n",
    ] {
        for name in [None, Some("a.txt"), Some("a.md")] {
            assert!(detect(text, name).is_err(), "{text}{:?}", detect(text, name));
        }
    }
}

/// Short files that people have beside transcripts: none is taken for one, whatever its name, and most are named.
#[test]
fn what_is_no_transcript_is_refused_by_what_it_looks_like() {
    for (file, named) in [
        // Lists with times.
        ("(0:00) Intro\n(1:23) What we talk about\n(5:30) The budget\n(12:44) Questions\n", "chapters"),
        ("(0:00) Intro\n(1:23) What is it?\n(5:30) Is it safe?\n(12:44) How do we stop?\n", "chapters"),
        ("[00:00] Intro\n[01:23] What we talk about\n[05:30] The budget\n", "chapters"),
        ("00:00 Intro: why we are here\n01:23 Part 1: the past\n05:30 Part 2: the future\n", "chapters"),
        ("0:00 Intro\n1:23 The budget\n5:30 Questions\n", "chapters"),
        ("Timestamps:\n(00:00:00) Highlights\n(00:01:23) Introduction\n(01:02:44) Advice for the young\n", "chapters"),
        ("Intro (0:00)\nWhat we talk about (1:23)\nThe budget (5:30)\nQuestions (12:44)\n", "chapters"),
        ("[00:00] Ann Lee - One\n[03:21] Ben Roth - Two\n[07:23] Carl Oss - Three\n", "chapters"),
        ("CHAPTER01=00:00:00.000\nCHAPTER01NAME=Intro\n", "chapters"),
        (
            "Tonight\n\n19:00 Doors open\n19:30 Ann Lee: Welcome\n19:45 Ben Roth: Songs\n21:00 Carl Oss: Piano\n",
            "programme",
        ),
        ("19:30 Welcome: Ann Lee\n19:45 Keynote: Ben Roth\n20:30 Panel: Carl Oss, Dora Fox\n", "programme"),
        ("19:30 - 19:45 Ann Lee: Welcome\n19:45 - 20:30 Ben Roth: Songs\n20:30 - 21:00 Interval\n", "programme"),
        ("(19:30) Welcome by the chair\n(19:45) The year in songs\n(21:00) Piano\n", "programme"),
        ("Ann Lee: (10:00)\nOpening remarks\n\nBen Roth: (10:30)\nKeynote\n\nCarl Oss: (11:00)\nPanel\n", "programme"),
        ("Opening Remarks (10:00)\nAnn Lee\n\nKeynote (10:30)\nBen Roth\n\nPanel (11:00)\nCarl Oss\n", "programme"),
        (
            "Minutes\n\n10:00 Opened: Ann Lee in the chair\n10:05 Apologies: Ben Roth\n10:10 Budget: approved\n",
            "programme",
        ),
        ("20:00 News\n20:15 Crime: The Fall\n21:45 Talk: The Show\n22:45 Late News\n", "programme"),
        ("10:02 ICE 123: Berlin - Bonn\n11:05 ICE 124: Berlin - Kiel\n11:40 RE 7: Bonn - Kiel\n", "a list with times"),
        ("Goals\n(12:31) Ann Lee\n(44:02) Ben Roth\n(89:59) Carl Oss\n", "a list with times"),
        ("12:31 Goal: Ann Lee scores\n44:02 Yellow card: Ben Roth\n45:00 Half time\n89:59 Goal: Carl Oss\n", "a list"),
        (
            "[3:16] For God so loved the world.\n[3:17] For God sent not his Son.\n[3:18] Who believes is saved.\n",
            "verses",
        ),
        ("3:16 For God so loved the world.\n3:17 For God sent not his Son.\n3:18 Who believes is saved.\n", "verses"),
        // Logs, and chats with dates.
        ("[10:02:00] INFO: server started\n[10:02:05] WARN: slow disk\n[10:02:11] ERROR: cannot connect\n", "log"),
        ("10:02:00 INFO server started\n10:02:05 WARN slow disk\n10:02:11 ERROR cannot connect\n", "log"),
        ("[10:02:00] [main/INFO]: started\n[10:02:05] [disk/WARN]: slow\n[10:02:06] [main/INFO]: Ann joined\n", "log"),
        ("[00:00:01] info: build started\n[00:00:05] debug: compiling\n[00:00:09] info: done\n", "log"),
        ("INFO: (00:01)\nstarted\nWARN: (00:05)\nslow\n", "log"),
        ("10:02:00.123 [main] INFO  App - Started\n10:02:05.456 [main] WARN  Disk - Slow\n", "log"),
        ("2026-01-01 10:02:00,123 INFO main: started\n2026-01-01 10:02:05,456 WARN disk: slow\n", "dates"),
        ("[2026-01-01T10:02:00Z INFO  app] started\n[2026-01-01T10:02:01Z WARN  app] slow\n", "dates"),
        ("Nov 30 10:02:11 host sshd[1]: Accepted\nNov 30 10:02:15 host cron[2]: (root) CMD\n", "dates"),
        (
            "127.0.0.1 - - [10/Oct/2026:13:55:36 -0700] \"GET /a\" 200\n::1 - - [10/Oct/2026:13:55:37 -0700] \"GET /b\" 404\n",
            "dates",
        ),
        ("12/03/24, 10:02 - Ann Lee: Good morning\n12/03/24, 10:03 - Ben: Morning!\n", "chat"),
        ("[12/03/24, 10:02:11] Ann Lee: Good morning\n[12/03/24, 10:03:15] Ben: Morning!\n", "chat"),
        ("[12.03.2024 10:02:11] Ann Lee: Good morning\n[12.03.2024 10:03:15] Ben: Morning!\n", "chat"),
        ("2024-01-02 10:02:11 Ann Lee: fix the build\n2024-01-02 10:12:30 Ben Roth: add tests\n", "dates"),
        // Recognised by their beginnings.
        ("<!DOCTYPE html>\n<html><body><p>Hello.</p>\nAnn: (00:01)\nHello.\n</body></html>\n", "HTML"),
        ("BEGIN:VCALENDAR\nVERSION:2.0\nDTSTART:20260101T100000Z\nSUMMARY:Meeting\nEND:VCALENDAR\n", "calendar"),
        ("BEGIN:VCARD\nFN:Ann Lee\nTEL:12345\nEND:VCARD\n", "vCard"),
        ("<?xml version=\"1.0\"?>\n<gpx version=\"1.1\"><trk><time>2026-01-01T10:00:00Z</time></trk></gpx>\n", "gpx"),
        ("<svg><text>Hello</text></svg>\n", "svg"),
        ("[ti:Song]\n[ar:Ann Lee]\n[00:12.00]Line one of the song\n[00:17.20]Line two of it\n", "LRC"),
        ("commit 2ae04fa1c9b2\nAuthor: Ann Lee <a@example.org>\nDate:   Mon Nov 30 10:02:11 2026\n\n    fix\n", "Git"),
        ("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n-Ann: (00:01)\n+Ann: (00:02)\n Hello.\n", "patch"),
        (
            "--- a/x.srt\n+++ b/x.srt\n 1\n-00:00:01,000 --> 00:00:02,000\n+00:00:01,500 --> 00:00:02,000\n Hello.\n",
            "patch",
        ),
        ("#EXTM3U\n#EXTINF:123,Ann Lee - One\na.mp3\n", "playlist"),
        (
            "[Event \"Match\"]\n[Date \"1992.11.04\"]\n[White \"Fischer\"]\n\n1. e4 e5 {[%clk 0:10:00]} 2. Nf3\n",
            "chess",
        ),
        (";FFMETADATA1\n[CHAPTER]\nSTART=0\nEND=83000\ntitle=Intro\n", "FFmpeg"),
        (
            "From: Ann Lee <a@example.org>\nDate: Mon, 30 Nov 2026 10:02:11 +0000\nSubject: Hello\n\nCome at 10:30.\n",
            "e-mail",
        ),
        // Tables.
        ("date,item,price\n2026-01-01,apple,1.20\n2026-01-02,pear,0.80\n", "table"),
        ("time;item;price\n10:02;apple;1,20\n10:05;pear;0,80\n", "table"),
        ("time\tuser\tpage\n10:02:11\tann\t/home\n10:02:15\tben\t/about\n", "table"),
        // Texts of other kinds.
        ("# Config\nDATABASE_URL=postgres://localhost:5432/x\nPORT=8080\nTIMEOUT=10:30\n", "no transcript"),
        ("# Project\n\n**Note:** read this.\n\n**Warning:** do not run at 10:30.\n", "no transcript"),
        ("# Features\n\n- **Fast:** it is.\n- **Small:** it is too.\n", "no transcript"),
        (&format!("# Names\n\n**Extends:** a\n\n{}**Default:** b\n", "It is so.\n\n".repeat(20)), "no transcript"),
        (
            "# Changelog\n\n## 1.2\n\n**Added:** a thing.\n**Fixed:** one.\n\n## 1.1\n\n**Fixed:** one.\n",
            "no transcript",
        ),
        ("schedule:\n  - start: 10:00\n    title: Keynote\n  - start: 10:30\n    title: Talk\n", "no transcript"),
        ("[server]\nlisten = \"127.0.0.1:8080\"\nat = 10:30:00\n", "no transcript"),
        ("fn main() {\n    let x: u32 = 1;\n    println!(\"{}: {}\", x, \"10:30\");\n}\n", "no transcript"),
        (
            "def f(x):\n    t = \"00:00:01,000 --> 00:00:02,000\"\n    return {\"a\": 1, \"b\": \"10:30\"}\n",
            "no transcript",
        ),
        ("Apple Pie\nServes: 4\nTime: 1:30\n\nStep 1: (0:10) Peel.\nStep 2: (0:20) Make the dough.\n", "no transcript"),
        ("# m h command\n30 10 * * * /usr/bin/backup\n0 4 * * 1 /usr/bin/clean\n", "no transcript"),
        ("all: build\n\nbuild:\n\tcargo build\n\ntest: build\n\tcargo test\n", "no transcript"),
        (
            "Shall I compare thee to a day?\nThou art more lovely:\nRough winds do shake the buds of May,\n",
            "no transcript",
        ),
    ] {
        for name in [None, Some("a.txt"), Some("a.md"), Some("a.srt")] {
            let refusal = detect(file, name).expect_err(file).to_string();
            assert!(refusal.contains(named), "{file}{refusal}");
        }
    }
}

/// Beginnings of transcripts that share a feature with lists with times.
#[test]
fn transcripts_are_no_lists() {
    for (file, kind) in [
        // Short answers, long pauses, no full stops.
        ("[00:00:00] Ann: yes\n[00:05:00] Ben: no\n[00:09:00] Ann: yes\n[00:12:00] Ben: no\n", FileKind::Timed),
        ("[00:00] hello and welcome to\n[00:03] the show today we\n[00:06] talk about roads\n", FileKind::Timed),
        ("[00:00:00.100 --> 00:00:01.200]  good evening\n[00:09:00.000 --> 00:09:01.000]  we begin\n", FileKind::Timed),
        ("[00:12:31] Roger.\n[00:14:02] Say again?\n[00:19:40] Turn left.\n", FileKind::Timed),
        (
            "[00:00] \u{4f1a}\u{8b70}\u{3092}\u{59cb}\u{3081}\n[00:08] \u{3088}\u{308d}\u{3057}\u{304f}\u{304a}\u{9858}\n",
            FileKind::Timed,
        ),
        ("[00:01] One.\n[00:02] Two.\n[00:03] Three.\n[00:04] Four.\n", FileKind::Timed),
        ("[10:02:11] ann: hello all\n[10:02:15] ben: hi there\n[10:03:00] ann: bye\n", FileKind::Timed),
        ("[00.10]Good evening.\n[00:00.10]Good evening.\n[00:01.60]We start now.\n", FileKind::Timed),
        // Round times.
        ("Ann Lee: (10:00)\nI said so.\n\nBen Roth: (10:30)\nWhy?\n\nCarl Oss: (11:00)\nI see.\n", FileKind::Rev),
        ("Ann Lee: (10:00)\nwe begin\n\nBen Roth: (10:30)\nyes\n\nAnn Lee: (11:00)\ngood\n", FileKind::Rev),
        ("[10:00] Ann Lee: We begin.\n[10:05] Ben Roth: Yes, please do.\n", FileKind::Timed),
        // A speaker who says words of a log.
        ("Ann Lee: (00:01)\nERROR, it said.\n\nBen Roth: (00:05)\nAnd INFO.\n", FileKind::Rev),
        ("[00:01] Ann: WARNING, it said.\n[00:03] Ben: Info?\n[00:04] Ann: No.\n", FileKind::Timed),
        ("Ann Lee  10:02 AM\nGood morning\nBen Roth  10:03 AM\nMorning!\n", FileKind::Otter),
    ] {
        assert_eq!(detect(file, None), Ok(kind), "{file}");
    }
}

#[test]
fn whisper_and_its_relatives_are_known_by_their_segments() {
    for (file, kind) in [
        (
            "{\"text\":\"a\",\"segments\":[{\"id\":0,\"start\":0.0,\"end\":1.4,\"text\":\" a\"}],\"language\":\"en\"}",
            FileKind::Whisper,
        ),
        ("{\"segments\":[{\"start\":0.0,\"end\":1.4,\"text\":\"a\",\"speaker\":\"S\"}]}", FileKind::Whisper),
        // As many seconds as letters, or more than there are.
        (
            "[{\"start\":-9223372036854775808,\"end\":9223372036854775807,\"text\":\"abcd\"},{\"start\":1,\"end\":2,\"text\":\"abcd\"}]",
            FileKind::Whisper,
        ),
        ("[{\"start\":0,\"end\":5,\"text\":\"Hello\"}]", FileKind::Whisper),
        ("{\"text\":\"\",\"segments\":[],\"language\":\"en\"}", FileKind::Whisper),
        ("{\"transcription\":[{\"offsets\":{\"from\":0,\"to\":1},\"text\":\"a\"}]}", FileKind::Whisper),
        (
            "{\"task\":\"transcribe\",\"duration\":1,\"text\":\"a\",\"words\":[{\"word\":\"a\",\"start\":0}]}",
            FileKind::Whisper,
        ),
        ("[{\"start\":0,\"end\":1,\"text\":\"a\"}]", FileKind::Whisper),
        ("[{\"start\":0,\"text\":\"a\"}]\n[{\"start\":0,\"text\":\"b\"}]\n", FileKind::Whisper),
        ("{\"text\":\"a\",\"words\":[{\"word\":\"a\",\"start\":0}]}", FileKind::Whisper),
        ("{\"word_segments\":[{\"word\":\"a\",\"start\":0}]}", FileKind::Whisper),
        ("{\"segments\":[{\"text\":\"a\",\"words\":[{\"word\":\"a\",\"start\":0}]}]}", FileKind::Whisper),
        ("{\"transcription\":[{\"timestamps\":{\"from\":\"00:00:00,000\"},\"text\":\"a\"}]}", FileKind::Whisper),
        (
            "{\"type\":\"transcript.text.segment\",\"start\":0,\"text\":\"a\"}\n{\"type\":\"transcript.text.done\"}\n",
            FileKind::Whisper,
        ),
        ("[{\"start_ms\":0,\"text\":\"a\"}]", FileKind::Ndjson),
        ("{\"text\":\"a\",\"chunks\":[{\"timestamp\":[0.0,1.5],\"text\":\"a\"}]}", FileKind::Whisper),
        (
            "{\"text\":\"\",\"segments\":[]}\n{\"segments\":[{\"start\":0,\"end\":1,\"text\":\"a\"}]}\n",
            FileKind::Whisper,
        ),
        ("{\n\"segments\":[{\"start\":0,\"text\":\"a\"}]}\n{\n\"segments\":[]}", FileKind::Whisper),
        ("[{\"text\":\"a\",\"segments\":[{\"start\":0,\"text\":\"a\"}]}]", FileKind::Whisper),
        ("{\"version\":\"1.0.0\",\"segments\":[]}", FileKind::Podcast),
        ("{\"segments\":[{\"startTime\":0,\"body\":\"a\"}]}", FileKind::Podcast),
        ("{\"format\":\"2.9\",\"results\":[]}", FileKind::Speechmatics),
    ] {
        assert_eq!(detect(file, None), Ok(kind), "{file}");
    }
}
