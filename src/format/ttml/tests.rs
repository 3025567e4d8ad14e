//! Documents in which one rule each decides what is shown. Those of timing have the structures of the public suite of
//! IMSC (its folder `timing`), with other words and numbers.

use super::read;
use crate::format::core::builder::TranscriptBuilder;
use crate::transcript::MediaMs;
use crate::transcript::line::SPEAKER_BYTES_MAX;

/// Reads a body. Returns each line with its times in seconds, and the problems.
fn shown(root: &str, body: &str) -> (Vec<String>, Vec<String>) {
    let file = format!(
        "<tt xmlns=\"http://www.w3.org/ns/ttml\" xmlns:tts=\"http://www.w3.org/ns/ttml#styling\" \
         xmlns:ttp=\"http://www.w3.org/ns/ttml#parameter\" xmlns:ttm=\"http://www.w3.org/ns/ttml#metadata\" \
         xmlns:f=\"urn:foreign\" xml:lang=\"en\" {root}>{body}</tt>"
    );
    let reading = read(&file, TranscriptBuilder::default()).expect("XML");
    let seconds = |ms: MediaMs| format!("{}", ms as f64 / 1000.0);
    let lines = reading.lines.iter().map(|line| {
        let content = &line.content;
        let start = content.start_ms.map_or("-".to_owned(), seconds);
        let end = content.end_ms.map_or("-".to_owned(), seconds);
        format!("{start}-{end} {}", content.text.replace('\n', "/"))
    });
    (lines.collect(), reading.problems.into_iter().map(|problem| problem.message).collect())
}

#[test]
fn times_nest_as_the_standard_says() {
    let table: &[(&str, &str, &[&str], &[&str])] = &[
        // BasicTimeContainment.
        (
            "par in par",
            "<div timeContainer='par' dur='8s'><p timeContainer='par'><span dur='3s'>a</span> <span dur='8s'>b</span></p></div>",
            &["0-3 a", "0-8 b"],
            &[],
        ),
        (
            "par in seq",
            "<div timeContainer='seq' dur='18s'><p timeContainer='par' dur='9s'><span dur='4s'>a</span><span dur='9s'>b</span></p><p dur='9s'>c</p></div>",
            &["0-4 a", "0-9 b", "9-18 c"],
            &[],
        ),
        (
            "begin after the parent",
            "<div timeContainer='seq' dur='9s'><p timeContainer='par' dur='9s'><span begin='4s' dur='5s'>a</span><span begin='9s' dur='5s'>never</span></p><p dur='9s'>never</p></div>",
            &["4-9 a"],
            &["it begins at 00:09", "it begins at 00:09"],
        ),
        (
            "p after its div",
            "<div timeContainer='par' dur='9s'><p begin='4s' dur='5s'>a</p><p begin='9s' dur='9s'>never</p></div>",
            &["4-9 a"],
            &["over (00:09)"],
        ),
        // BasicTiming.
        ("frames of a clock time", "<div><p begin='00:00:07:12' dur='6s'>a<br/>b</p></div>", &["7.5-13.5 a/b"], &[]),
        ("a clock time as duration", "<div><p begin='7s' dur='00:00:06.0'>a</p></div>", &["7-13 a"], &[]),
        ("begin in a seq", "<div timeContainer='seq'><p begin='7s' dur='00:00:06:00'>a</p></div>", &["7-13 a"], &[]),
        (
            "sets of colours",
            "<div timeContainer='seq'><p begin='0s' dur='9s'><set begin='1s' end='2s' tts:color='red'/>a</p></div>",
            &["0-9 a"],
            &[],
        ),
        (
            "text alone in a par",
            "<div timeContainer='seq'><p timeContainer='par' dur='9s'>a<br/>b</p></div>",
            &["0-9 a/b"],
            &[],
        ),
        (
            "text alone in a seq",
            "<div><p timeContainer='seq' begin='4s' dur='9s'>never <span dur='6s'>a</span> never</p></div>",
            &["4-10 a"],
            &["takes no time", "takes no time"],
        ),
        (
            "spans in spans",
            "<div timeContainer='seq'><p timeContainer='seq' dur='9s'><span begin='1s' dur='20s'><span begin='1s' dur='20s'>a</span>b</span>never</p></div>",
            &["2-9 a", "1-9 b"],
            &["takes no time", "time goes back"],
        ),
        (
            "units on spans",
            "<div><p begin='9000ms' dur='00:00:30:00'><span end='0.004h'>a</span><br/><span begin='0.25m' dur='240f'>b</span></p></div>",
            &["9-23.4 a", "24-34 b"],
            &[],
        ),
        (
            "words that roll up",
            "<div><p timeContainer='par'><span begin='0.5s'>a </span><span begin='1s'>b </span><span begin='1.5s'><br/></span></p></div>",
            &["0.5-- a", "1-- b"],
            &[],
        ),
        // BeginDur, BeginEnd, FixedBeginEnd.
        (
            "begin and dur",
            "<div><p begin='0s' dur='5s'>a</p><p begin='5s' dur='1s'>b</p></div>",
            &["0-5 a", "5-6 b"],
            &[],
        ),
        (
            "begin and end",
            "<div><p begin='0s' end='5s'>a</p><p begin='5s' end='6s'>b</p></div>",
            &["0-5 a", "5-6 b"],
            &[],
        ),
        (
            "begin alone",
            "<div><p begin='0s'>a</p><p begin='1s'>b</p><p begin='2s' end='9s'>c</p></div>",
            &["0-- a", "1-- b", "2-9 c"],
            &[],
        ),
        (
            "dur and end",
            "<div><p begin='1s' dur='5s' end='4s'>a</p><p begin='4s' dur='1s' end='9s'>b</p></div>",
            &["1-4 a", "4-5 b"],
            &[],
        ),
        // MediaParTiming.
        (
            "several in a par",
            "<div timeContainer='par'><p begin='4s' dur='00:00:09:00'>a</p><p begin='00:00:09:00' dur='9s'>b</p></div>",
            &["4-13 a", "9-18 b"],
            &[],
        ),
        (
            "a par that ends",
            "<div timeContainer='par' end='9s'><metadata><ttm:desc>x</ttm:desc></metadata><div dur='20s'><p begin='4s' dur='15s'>a</p></div><div dur='20s'><p tts:display='none' dur='20s'><set begin='4s' dur='20s' tts:display='auto'/>b</p><p begin='9s' dur='15s'>never</p></div></div>",
            &["4-9 a", "4-9 b"],
            &["over (00:09)"],
        ),
        (
            "pars in a seq",
            "<div timeContainer='seq' dur='40s'><div dur='9s'><metadata><ttm:desc>x</ttm:desc></metadata><p dur='4s'>a</p><p begin='4s'>b</p></div><div dur='9s'><p begin='4s' dur='5s'>c</p><p begin='5s'>d</p></div></div>",
            &["0-4 a", "4-9 b", "13-18 c", "14-18 d"],
            &[],
        ),
        // MediaSeqTiming.
        (
            "a seq",
            "<div timeContainer='seq'><metadata><ttm:desc>x</ttm:desc></metadata><p begin='4s' dur='5s'>a</p><p begin='4s' dur='5s'>b</p></div>",
            &["4-9 a", "13-18 b"],
            &[],
        ),
        (
            "a seq that lasts",
            "<div timeContainer='seq' dur='20s'><metadata/><p begin='4s' dur='5s'>a</p></div>",
            &["4-9 a"],
            &[],
        ),
        (
            "seqs in a seq",
            "<div timeContainer='seq' dur='36s'><div timeContainer='seq' dur='18s'><p begin='4s' dur='5s'>a</p><p begin='4s' timeContainer='seq'>never</p><p dur='5s'>b</p></div><div timeContainer='seq' dur='18s'><p begin='4s' dur='5s'>c</p><p timeContainer='seq'>never</p><p begin='4s' dur='5s'>d</p></div></div>",
            &["4-9 a", "13-18 b", "22-27 c", "31-36 d"],
            &["takes no time", "takes no time"],
        ),
        (
            "a seq by what is in it",
            "<div timeContainer='seq' dur='40s'><div timeContainer='seq'><p begin='4s' dur='5s' timeContainer='seq'>never</p><p begin='4s' dur='5s' timeContainer='seq'>never</p></div><div timeContainer='seq' dur='18s'><p begin='4s' dur='5s'>a</p></div></div>",
            &["22-27 a"],
            &["takes no time", "takes no time"],
        ),
        (
            "a seq that is cut",
            "<div timeContainer='seq' end='27s'><div timeContainer='seq' dur='18s'><p begin='4s' dur='5s'>a</p></div><div timeContainer='seq' dur='18s'><p begin='4s' dur='5s'>b</p><p begin='4s' dur='5s'>never</p></div></div>",
            &["4-9 a", "22-27 b"],
            &["over (00:27)"],
        ),
        (
            "seqs in a par that is cut",
            "<div timeContainer='par' end='9s'><div timeContainer='seq' dur='18s'><p begin='4s' dur='9s'>a</p><p begin='4s' dur='5s'>never</p></div></div>",
            &["4-9 a"],
            &["it begins at 00:13"],
        ),
        (
            "what takes no time",
            "<div><p timeContainer='seq' dur='20s'><span dur='2s'>a</span><br/><set tts:color='red' begin='5s' dur='5s'/><animate tts:color='red;blue' dur='5s'/><metadata/><span dur='2s'>b</span></p></div>",
            &["0-2 a", "2-4 b"],
            &[],
        ),
        (
            "blanks take no time",
            "<div timeContainer='seq' dur='20s'><p> <span dur='2s'>a</span> </p><p dur='2s'>b</p></div>",
            &["0-2 a", "2-4 b"],
            &[],
        ),
        (
            "what has no end",
            "<div timeContainer='seq'><p begin='1s'>a</p><p dur='2s'>never</p></div>",
            &["1-- a"],
            &["has no end"],
        ),
        (
            "what has the end of its seq",
            "<div timeContainer='seq' dur='9s'><p begin='1s'>a</p><p dur='2s'>never</p></div>",
            &["1-9 a"],
            &["over (00:09)"],
        ),
        // TimeExpressions, timing-on-span.
        (
            "one after the other",
            "<div timeContainer='seq'><p begin='0s' end='1.5s'>a</p><p begin='0s' end='36f'>b</p><p end='20t'>c</p><p end='00:00:02:06'>d</p></div>",
            &["0-1.5 a", "1.5-3 b", "3-5 c", "5-7.25 d"],
            &[],
        ),
        (
            "times on spans",
            "<div><p>\n<span begin='00:00:00.000' end='00:00:04.000'>a</span> <span begin='00:00:04.000' end='00:00:09.000'>b</span>\t</p></div>",
            &["0-4 a", "4-9 b"],
            &[],
        ),
        (
            "a body with times",
            "<div begin='2s'><p begin='1s' dur='2s'>a</p><p end='3s'>b</p></div>",
            &["3-5 a", "2-5 b"],
            &["time goes back"],
        ),
        // An invalid end takes no time, and is reported.
        (
            "no end",
            "<div timeContainer='seq' dur='20s'><p begin='2s' end='1s'>a</p><p dur='3s'>b</p></div>",
            &["2-20 a", "2-5 b"],
            &["does not lie behind"],
        ),
    ];
    let root = "ttp:frameRate='24' ttp:tickRate='10'";
    for (name, body, lines, told) in table {
        let (read, problems) = shown(root, &format!("<body timeContainer='par'>{body}</body>"));
        assert_eq!(read, *lines, "{name}: {problems:?}");
        assert_eq!(problems.len(), told.len(), "{name}: {problems:?}");
        for (problem, told) in problems.iter().zip(*told) {
            assert!(problem.contains(told), "{name}: {problem}");
        }
    }
}

#[test]
fn what_is_not_shown_is_no_speech() {
    let head = "<head><styling><style xml:id='gone' tts:display='none'/><style xml:id='dim' tts:visibility='hidden'/>\
        <style xml:id='by' style='gone'/></styling><layout><region xml:id='r' begin='0s' end='5s'/>\
        <region xml:id='off' tts:display='none'/><region xml:id='in'><style tts:visibility='hidden'/></region>\
        <region xml:id='late'><set tts:display='none' end='3s'/></region></layout></head>";
    let table: &[(&str, &[&str], &[&str])] = &[
        ("<p begin='1s' end='4s' tts:display='none'>x</p>", &[], &["tts:display"]),
        ("<p begin='1s' end='4s' style='gone'>x</p>", &[], &["tts:display"]),
        ("<p begin='1s' end='4s' style='dim by'>x</p>", &[], &["tts:display"]),
        ("<p begin='1s' end='4s' style='gone' tts:display='auto'>a</p>", &["1-4 a"], &[]),
        ("<p begin='1s' end='4s'>a <span tts:display='none'>x</span> b</p>", &["1-4 a b"], &["\"x\" is never shown"]),
        (
            "<p begin='1s' end='4s' tts:visibility='hidden'>x <span tts:visibility='visible'>a</span></p>",
            &["1-4 a"],
            &["tts:visibility"],
        ),
        ("<p begin='1s' end='4s' region='off'>x</p>", &[], &["tts:display"]),
        ("<p begin='1s' end='4s' region='in'>x</p>", &[], &["tts:visibility"]),
        ("<p begin='1s' end='9s' region='r'>a</p><p begin='6s' end='9s' region='r'>x</p>", &["1-5 a"], &["region"]),
        ("<p begin='1s' end='9s' region='late'>a</p>", &["3-9 a"], &[]),
        ("<p begin='1s' end='4s'><set tts:visibility='hidden'/>x</p>", &[], &["tts:visibility"]),
        ("<p begin='1s' end='4s'>a<set tts:display='none' begin='2s'/></p>", &["1-3 a"], &[]),
        (
            "<p begin='1s' end='9s' tts:display='none'><set tts:display='auto' begin='2s' end='4s'/>a</p>",
            &["3-5 a"],
            &[],
        ),
        ("<p begin='1s' end='9s'><animate tts:visibility='hidden;visible'/>a</p>", &["5-9 a"], &[]),
        ("<p begin='1s' end='4s' condition='false'>x</p>", &[], &["condition"]),
        ("<p begin='1s' end='4s'>a</p><f:p begin='5s' end='6s'>x</f:p>", &["1-4 a"], &["another namespace"]),
        (
            "<p begin='1s' end='4s'>a <f:x>x</f:x>b<metadata>x</metadata><ttm:desc>x</ttm:desc></p>",
            &["1-4 a b"],
            &["another namespace"],
        ),
        ("<p begin='1s' end='4s'>a</p>x", &["1-4 a"], &["no paragraph"]),
        // A text that is reported once is not reported for another reason.
        ("<p begin='1s' end='4s'> <br/> </p>", &[], &["no text"]),
    ];
    for (body, lines, told) in table {
        let (read, problems) = shown("", &format!("{head}<body><div>{body}</div></body>"));
        assert_eq!(read, *lines, "{body}: {problems:?}");
        assert_eq!(problems.len(), told.len(), "{body}: {problems:?}");
        for (problem, told) in problems.iter().zip(*told) {
            assert!(problem.contains(told), "{body}: {problem}");
        }
    }
}

#[test]
fn text_is_whole_whatever_it_is_written_with() {
    let table: &[(&str, &str)] = &[
        ("one <i>two</i> <b>three <u>four</u></b>", "one two three four"),
        ("Ann &amp; Ben &lt;3", "Ann & Ben <3"),
        ("a<!-- x --> b<![CDATA[ & c]]>", "a b & c"),
        ("a&#32;b", "a b"),
        ("<br/>a<br/><br/>b<br/>", "a//b"),
        ("  a\n   b ", "a b"),
        ("<span xml:space='preserve'>a  b</span>", "a  b"),
        (
            "<span tts:ruby='container'><span tts:ruby='base'>kan</span> <span tts:ruby='text'>ji</span></span> there",
            "kan(ji) there",
        ),
        (
            "<span tts:ruby='container'><span tts:ruby='baseContainer'><span tts:ruby='base'>a</span><span tts:ruby='base'>b</span></span><span tts:ruby='textContainer'><span tts:ruby='text'>c</span><span tts:ruby='text'>d</span></span></span>",
            "ab(cd)",
        ),
        (
            "<span tts:ruby='container'><span tts:ruby='base'>a</span><span tts:ruby='delimiter'>(</span><span tts:ruby='text'>b</span><span tts:ruby='delimiter'>)</span></span>",
            "a(b)",
        ),
        ("<span tts:ruby='container'><span style='base'>a</span><span style='over'>b</span></span>", "a(b)"),
    ];
    for (text, expected) in table {
        let styles = "<head><styling><style xml:id='base' tts:ruby='base'/><style xml:id='over' tts:ruby='text'/></styling></head>";
        let (read, problems) = shown("", &format!("{styles}<body><div><p begin='1s' end='2s'>{text}</p></div></body>"));
        assert_eq!((read, problems), (vec![format!("1-2 {expected}")], vec![]), "{text}");
    }
}

#[test]
fn an_ampersand_that_begins_no_entity_costs_nothing() {
    for (text, expected, told) in [
        ("Ann & Ben", "1-2 Ann & Ben", 1),
        ("AT&T & co", "1-2 AT&T & co", 2),
        ("a &<br/>b", "1-2 a &/b", 1),
        ("R&amp;D", "1-2 R&D", 0),
        ("a &b; c", "1-2 a &b; c", 1),
    ] {
        let body = format!("<body><div><p begin='1s' end='2s'>{text}</p><p begin='3s' end='4s'>x</p></div></body>");
        let (read, problems) = shown("", &body);
        assert_eq!(read, [expected, "3-4 x"], "{text}");
        assert_eq!(problems.len(), told, "{problems:?}");
    }
    let agent = "<head><metadata><ttm:agent xml:id='Q&A' type='person'/></metadata></head>";
    let (read, problems) =
        shown("", &format!("{agent}<body><div><p begin='1s' end='2s' ttm:agent='Q&A'>x</p></div></body>"));
    assert_eq!((read, problems.len()), (vec!["1-2 x".to_owned()], 2), "{problems:?}");
    // If the rest cannot be read, the problem says how much is missing.
    let (read, problems) = shown("", "<body><div><p begin='1s' end='2s'>a</p><p begin='3s'>b</q>\nc</p></div></body>");
    assert_eq!(read.len(), 2);
    assert!(problems.iter().any(|problem| problem.contains("(2 lines, ")), "{problems:?}");
}

#[test]
fn agents_are_called_by_their_names() {
    let name = |agent: &str| {
        let file = format!(
            "<tt xmlns='http://www.w3.org/ns/ttml' xmlns:ttm='http://www.w3.org/ns/ttml#metadata'><head><metadata>\
             <ttm:agent xml:id='a' type='person'>{agent}</ttm:agent></metadata></head><body><div>\
             <p begin='1s' end='2s' ttm:agent='a'>x</p></div></body></tt>"
        );
        read(&file, TranscriptBuilder::default()).expect("XML").lines[0].content.speaker.as_deref().map(str::to_owned)
    };
    for (agent, expected) in [
        ("<ttm:name type='full'>Ann &amp; Ben</ttm:name>", "Ann & Ben"),
        ("<ttm:name type='full'>Ann<!-- x -->  <![CDATA[& Ben]]>\n</ttm:name>", "Ann & Ben"),
        ("<ttm:name type='family'>Marlow</ttm:name><ttm:name type='given'>Ines</ttm:name>", "Ines Marlow"),
        ("<ttm:name type='alias'>I.</ttm:name><ttm:name type='full'>Ines &#x4d;arlow</ttm:name>", "Ines Marlow"),
        ("<ttm:name>Ines</ttm:name><ttm:name type='other'>x</ttm:name>", "Ines"),
        ("", "a"),
    ] {
        assert_eq!(name(agent).as_deref(), Some(expected), "{agent}");
    }
}

#[test]
fn changes_are_bounded_over_all_elements_around_a_text() {
    let values = vec!["auto"; 60].join(";");
    let animate = format!("<animate begin='0s' dur='6s' tts:display='{values}'/>");
    let spans = |count: usize| {
        format!("<div><p end='9s'>{}a{}</p></div>", format!("<span>{animate}").repeat(count), "</span>".repeat(count))
    };
    assert_eq!(shown("", &spans(1)), (vec!["0-9 a".to_owned()], vec![]));
    let (lines, told) = shown("", &spans(100));
    assert_eq!((lines, told.len()), (vec!["0-9 a".to_owned()], 99));
    assert!(told[0].contains("too many changes"), "{}", told[0]);
    // Sibling elements do not use up each other's changes.
    let beside = format!("<div>{}</div>", format!("<p end='9s'>{animate}a</p>").repeat(5));
    assert_eq!(shown("", &beside).1, Vec::<String>::new());
}

#[test]
fn styles_may_name_each_other_in_any_way() {
    let chain: String = (0..5_000).map(|at| format!("<style xml:id='c{at}' style='c{}'/>", at + 1)).collect();
    let all = (0..200).map(|at| format!("n{at} ")).collect::<String>();
    let every: String = (0..200).map(|at| format!("<style xml:id='n{at}' style='{all}'/>")).collect();
    let wide = "t1 ".repeat(10);
    let tree: String = (0..30)
        .map(|at| format!("<style xml:id='t{at}' style='{}'/>", wide.replace('1', &(at + 1).to_string())))
        .collect();
    let table: &[(&str, &str, bool)] = &[
        // A later name counts more, and a style's own properties most.
        ("<style xml:id='a' tts:display='none'/><style xml:id='b' tts:display='auto'/>", "a b", true),
        ("<style xml:id='a' tts:display='none'/><style xml:id='b' tts:display='auto'/>", "b a", false),
        ("<style xml:id='a' tts:display='none'/><style xml:id='b' style='a' tts:display='auto'/>", "b", true),
        ("<style xml:id='a' tts:display='none'/><style xml:id='b' style='a'/>", "b", false),
        ("<style xml:id='b' style='a'/><style xml:id='a' tts:display='none'/>", "b", false),
        ("<style xml:id='a'><style tts:display='none'/></style>", "a", false),
        // Styles that name themselves, directly or through others.
        ("<style xml:id='a' style='a'/>", "a", true),
        (
            "<style xml:id='a' style='b'/><style xml:id='b' style='a c'/><style xml:id='c' tts:display='none'/>",
            "a",
            false,
        ),
        (
            "<style xml:id='a' style='b'/><style xml:id='b' style='a c'/><style xml:id='c' tts:display='none'/>",
            "b",
            false,
        ),
        // Many styles, each of which would be resolved once for each path to it.
        (&format!("{chain}<style xml:id='c5000' tts:display='none'/>"), "c0", false),
        (&every, "n7", true),
        (&format!("{tree}<style xml:id='t30' tts:display='none'/>"), "t0", false),
    ];
    for (styles, names, is_shown) in table {
        let head = format!("<head><styling>{styles}</styling></head>");
        let (lines, told) = shown("", &format!("{head}<body><div><p end='1s' style='{names}'>a</p></div></body>"));
        let name = styles.get(..60).unwrap_or(styles);
        assert_eq!((lines.len(), told.len()), (usize::from(*is_shown), usize::from(!*is_shown)), "{name} {names}");
    }
}

#[test]
fn what_stands_around_many_texts_is_looked_at_once() {
    const TEXTS: usize = 20_000;
    let sets: String = (0..100).map(|at| format!("<set begin='{at}s' end='{at}.5s' tts:display='auto'/>")).collect();
    let divs = format!("<div>{sets}{}", "<div tts:display='auto'>".repeat(180));
    let ends = "</div>".repeat(181);
    let region = format!("<head><layout><region xml:id='r'>{sets}</region></layout></head>");
    for text in ["<p end='200s'>a</p>", "<p end='200s' region='r' tts:visibility='visible'>a</p>"] {
        let body = format!("{region}<body>{divs}{}{ends}</body>", text.repeat(TEXTS));
        let (lines, told) = shown("", &body);
        assert_eq!((lines.len(), told.len(), &*lines[0]), (TEXTS, 0, "0-200 a"));
    }
    let texts = "a<br/>".repeat(TEXTS);
    let (lines, told) = shown("", &format!("{region}<body>{divs}<p end='200s' region='r'>{texts}</p>{ends}</body>"));
    assert_eq!((lines.len(), told.len()), (1, 0));
}

#[test]
fn attributes_beyond_what_any_element_has_are_left_out() {
    let many: String = (0..200_000).map(|at| format!(" a{at}='x'")).collect();
    let (lines, told) = shown("", &format!("<body><div><p end='1s'{many}>a</p></div></body>"));
    assert_eq!((lines, told.len()), (vec!["0-1 a".to_owned()], 1));
    assert!(told[0].contains("attributes"), "{told:?}");
}

#[test]
fn problems_name_line_and_column() {
    for (body, place, told) in [
        ("<div>\n  <p begin='90'>a</p></div>", "<p begin='90'", "as 00:01:30.5 or 90.5s"),
        (
            "<div><p end='1.5s'>é</p><p\nbegin='2.5s' end='2.25s'>b</p></div>",
            "<p\nbegin",
            "the end (00:02.250) does not lie behind the start (00:02.500)",
        ),
        ("<div>\n\n  <!-- x -->  stray <!-- y --> b</div>", "stray", "\"stray  b\" stands in no"),
        ("<div>a &x; b</div>", "&x;", "&x; is not defined"),
        ("<div><p end='1s'>a</p><p end='2s'> </p></div>", "<p end='2s'>", "no text"),
        ("<div><p end='1s'>a</p><f:x>b</f:x></div>", "<f:x>", "another namespace"),
    ] {
        let file = format!("<tt xmlns='http://www.w3.org/ns/ttml' xmlns:f='urn:foreign'><body>{body}</body></tt>");
        let before = &file[..file.find(place).expect("it is there")];
        let column = before.rsplit('\n').next().map(|line| line.chars().count() + 1);
        let expected = (before.split('\n').count(), column.expect("a line"));
        let reading = read(&file, TranscriptBuilder::default()).expect("XML");
        let found = reading.problems.iter().find(|problem| problem.message.contains(told));
        assert_eq!(found.map(|found| (found.line, found.column)), Some(expected), "{body}: {:?}", reading.problems);
    }
}

#[test]
fn agents_of_many_elements_take_the_memory_of_labels() {
    let (name, ids) = ("x".repeat(100_000), "a b ".repeat(10_000));
    let agent =
        |id: &str, name: &str| format!("<ttm:agent xml:id='{id}'><ttm:name type='full'>{name}</ttm:name></ttm:agent>");
    let head = format!("<head><metadata>{}{}</metadata></head>", agent("a", &name), agent("b", "Ben"));
    let text = "<p end='1s' ttm:agent='a'>a</p><p end='1s' ttm:agent='b a'>b</p>".repeat(5_000);
    let many = format!("<p end='1s' ttm:agent='{ids}'>c</p><p end='1s' ttm:agent='b nobody'>d</p>");
    let file = format!(
        "<tt xmlns='http://www.w3.org/ns/ttml' xmlns:ttm='http://www.w3.org/ns/ttml#metadata'>{head}<body><div>{text}{many}</div></body></tt>"
    );
    let reading = read(&file, TranscriptBuilder::default()).expect("XML");
    let speakers: Vec<&str> = reading.lines.iter().filter_map(|line| line.content.speaker.as_deref()).collect();
    assert_eq!(speakers.len(), 10_002);
    assert!(speakers.iter().all(|label| label.len() <= SPEAKER_BYTES_MAX));
    assert_eq!((speakers[0], speakers[10_001]), (&name[..SPEAKER_BYTES_MAX], "Ben & nobody"));
    assert!(speakers[1].starts_with("Ben & xxx"));
    let told = reading.problem_counts();
    assert_eq!((told.len(), told[0].count), (1, 10_001), "{told:?}");
}
