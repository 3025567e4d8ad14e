//! The reader of each kind of file, and the writer of each format.

use std::borrow::Cow;

use crate::format::core::builder::TranscriptBuilder;
use crate::format::core::document::Document;
use crate::format::core::encoding::TextEncoding;
use crate::format::core::error::FormatError;
use crate::format::core::fidelity::{Fidelity, FormatWriter};
use crate::format::core::kinds::{FileForm, FileKind, Format};
use crate::format::core::line_limits::LineLimits;
use crate::format::core::losses::{self, Losses};
use crate::format::core::reading::{FileProblem, ParsedTranscript};
use crate::format::core::{encoding, json_spans, speech_evidence};
use crate::format::json::{field_faults, native, podcast, rev_json, writer};
use crate::format::text::{self, markdown, nlp, plain_text, rev, rttm, text_lines};
use crate::format::{detect, srt, ttml, vendors, webvtt};

/// Options for reading a file.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadOptions<'a> {
    /// Its name, which decides only if the content fits several kinds.
    pub file_name: Option<&'a str>,
    /// Its kind. `None` to detect it.
    pub kind: Option<FileKind>,
    /// Its encoding. `None` to detect it.
    pub encoding: Option<TextEncoding>,
    /// An RTTM file with the times of the speakers, for words (`.nlp`) without times.
    pub speaker_times: Option<&'a [u8]>,
    /// Lines of the file at which another recording begins. If times fall there, they continue from the times before.
    /// Restarts that the file itself shows need not be listed.
    pub parts_at: &'a [usize],
    /// The limits of lines that are published: longer texts are read as several lines. `None` for a file that is
    /// converted to another file.
    pub limits: Option<LineLimits>,
}

/// Reads a transcript. The content decides its kind; `file_name` decides only if the content fits several kinds.
///
/// # Errors
/// [`FormatError::NotText`] for bytes with zeros that are neither UTF-16 nor UTF-32 nor text with a few of them;
/// [`FormatError::NotDecoded`] for an encoding that is recognised but not decoded; [`FormatError::UnknownFormat`],
/// [`FormatError::NotRead`] and [`FormatError::NotATranscript`] if the file cannot be read; [`FormatError::NotSpeech`]
/// for a list with times that is no transcript; [`FormatError::Broken`] for truncated or invalid JSON or XML of which
/// nothing can be read; and [`FormatError::NoLines`] or [`FormatError::NoSpeech`] if there is no line of speech.
pub fn read(bytes: &[u8], file_name: Option<&str>) -> Result<ParsedTranscript, FormatError> {
    read_with(bytes, &ReadOptions { file_name, ..ReadOptions::default() })
}

/// Reads a file as `kind`, without detection.
///
/// # Errors
/// As [`read`], except for those of an unknown kind.
pub fn read_as(kind: FileKind, bytes: &[u8]) -> Result<ParsedTranscript, FormatError> {
    read_with(bytes, &ReadOptions { kind: Some(kind), ..ReadOptions::default() })
}

/// Reads a file of words (`.nlp`), with an RTTM file that provides the times of its speakers if the words have none.
///
/// # Errors
/// As [`read`].
pub fn read_words(words: &[u8], speaker_times: &[u8]) -> Result<ParsedTranscript, FormatError> {
    read_with(words, &ReadOptions { speaker_times: Some(speaker_times), ..ReadOptions::default() })
}

/// Returns the reading, or an error if it has no lines. `taken_for` is its kind if that was only detected.
fn spoken(reading: ParsedTranscript, taken_for: Option<FileKind>) -> Result<ParsedTranscript, FormatError> {
    match taken_for {
        _ if !reading.lines.is_empty() => Ok(reading),
        Some(kind) => Err(FormatError::NoSpeech { kind }),
        None => Err(FormatError::NoLines),
    }
}

/// Reads a transcript with options.
///
/// # Errors
/// As [`read`].
pub fn read_with(bytes: &[u8], options: &ReadOptions<'_>) -> Result<ParsedTranscript, FormatError> {
    let (bytes, zero_tail) = encoding::without_zero_tail(bytes, options.encoding);
    let encoding::DecodedText { text, is_repaired, problem } = match options.encoding {
        Some(encoding) => encoding.decode(bytes),
        None => encoding::decode(bytes)?,
    };
    if text.trim().is_empty() {
        return Err(FormatError::NoLines);
    }
    let (text, half_characters) = match json_spans::with_whole_characters(&text) {
        Some((whole, problem)) => (Cow::Owned(whole), Some(problem)),
        None => (text, None),
    };
    let text = json_spans::with_numbers_of_json(&text);
    let are_rows = json_spans::is_rows(&text);
    let text = match json_spans::without_marks_between_values(&text, are_rows) {
        Cow::Owned(text) => Cow::Owned(text),
        Cow::Borrowed(_) => text,
    };
    // In a file of rows, each row is parsed by itself.
    let closed = if are_rows { None } else { json_spans::closed_json(&text) };
    let closed = closed.and_then(|closed| {
        let reading = read_text(Cow::Borrowed(&closed.text), is_repaired, options).ok();
        let mut reading = reading.filter(|reading| reading.kind.form() == FileForm::Json)?;
        let message = "the file breaks off here: what stands behind its last whole value is left out".to_owned();
        reading.problems.push(FileProblem { line: closed.at.0, column: closed.at.1, message, is_left_out: true });
        Some(reading)
    });
    let mut reading = match closed {
        Some(reading) => reading,
        None => read_text(text, is_repaired, options)?,
    };
    // The guess of an encoding. Most readers report zero bytes by line themselves.
    let is_told = |problem: &FileProblem| reading.problems.iter().any(|told| told.line == problem.line);
    if let Some(problem) = problem.filter(|problem| !(problem.message == encoding::ZERO_BYTES && is_told(problem))) {
        reading.problems.insert(0, problem);
    }
    if let Some(problem) = half_characters {
        reading.problems.insert(0, problem);
    }
    if let Some(problem) = zero_tail {
        // Before the last problem, which counts those that are not listed.
        let end = reading.problems.len() - usize::from(!reading.unlisted.is_empty());
        reading.problems.insert(end, problem);
    }
    Ok(reading)
}

/// Reads a decoded text with options.
fn read_text(
    text: Cow<'_, str>,
    is_repaired: bool,
    options: &ReadOptions<'_>,
) -> Result<ParsedTranscript, FormatError> {
    // Lines of times may be the only sign of a file of cues.
    let (with_plain_times, repaired_cues) =
        encoding::with_plain_times(&text, |_, plain| webvtt::is_line_of_times(plain));
    let kind = match (options.kind, options.speaker_times) {
        (Some(kind), _) => kind,
        (None, Some(_)) => FileKind::Nlp,
        (None, None) => detect::detect(&with_plain_times, options.file_name)?,
    };
    let form = kind.form();
    // In other files such a line is text.
    let (text, repaired_times) = match form {
        FileForm::Cues => (with_plain_times, repaired_cues),
        FileForm::Headers => with_plain_headers(kind, text),
        _ => (text, Vec::new()),
    };
    let plain = if form == FileForm::Cues { encoding::without_controls(&text) } else { Cow::Borrowed(&*text) };
    let is_repaired = is_repaired || matches!(plain, Cow::Owned(_));
    // If files of lines were put together, each may have a byte order mark. Subtitles may have it within texts.
    let (text, marked) = match form {
        FileForm::Cues | FileForm::Xml => (plain, Vec::new()),
        _ if kind == FileKind::Json => (plain, Vec::new()),
        _ => text_lines::without_inner_marks(plain),
    };
    let parts_at: Vec<usize> = options.parts_at.iter().copied().chain(marked).collect();
    let mut gather = TranscriptBuilder::of_text(is_repaired).with_parts_at(&parts_at).with_limits(options.limits);
    for at in repaired_times {
        gather.problem(at, 1, format!("{} in a line with a time: left out", encoding::IS_NO_CHARACTER));
    }
    let segments = match options.speaker_times {
        Some(times) => rttm::read(&encoding::decode(times)?.text, &mut gather.problems),
        None => Vec::new(),
    };
    // The readers of texts and subtitles report invalid characters of each line themselves.
    if !matches!(form, FileForm::Headers | FileForm::Markdown | FileForm::Cues) {
        gather.check_all_characters(&text);
    }
    if form == FileForm::Json {
        field_faults::tell(&text, &mut gather);
    }
    let is_taken = options.kind.is_none() && options.speaker_times.is_none();
    spoken(read_kind(kind, &text, &segments, gather)?, is_taken.then_some(kind))
}

/// Drops invalid characters from the times of headers. Returns the text, and the lines that had some.
fn with_plain_headers(kind: FileKind, text: Cow<'_, str>) -> (Cow<'_, str>, Vec<usize>) {
    let (plain, repaired) = encoding::with_plain_times(&text, |damaged, plain| {
        speech_evidence::is_header_without_damage(kind, damaged, plain)
    });
    let plain = if repaired.is_empty() { None } else { Some(plain.into_owned()) };
    (plain.map_or(text, Cow::Owned), repaired)
}

/// Reads a text with the reader of its kind. `segments` are the times of the speakers of words, from a file of their own.
fn read_kind(
    kind: FileKind,
    text: &str,
    segments: &[rttm::SpeakerSegment],
    gather: TranscriptBuilder,
) -> Result<ParsedTranscript, FormatError> {
    Ok(match kind {
        FileKind::Rev | FileKind::Names | FileKind::Otter | FileKind::Timed => plain_text::read(kind, text, gather),
        FileKind::Vtt => webvtt::read(text, gather),
        FileKind::Srt => srt::read(text, gather),
        FileKind::Markdown => markdown::read(text, gather),
        FileKind::RevJson => rev_json::read(text, gather)?,
        FileKind::Json => native::read_json(text, gather)?,
        FileKind::Ndjson => native::read_ndjson(text, gather),
        FileKind::Ttml => ttml::read(text, gather)?,
        FileKind::Nlp => nlp::read(text, segments, gather),
        FileKind::Vexa => vendors::vexa::read(text, gather)?,
        FileKind::Cdp => vendors::cdp::read(text, gather)?,
        FileKind::RevEditor => vendors::editor::read(text, gather)?,
        FileKind::Speechmatics => vendors::speechmatics::read(text, gather)?,
        FileKind::Aws => vendors::aws::read(text, gather)?,
        FileKind::Whisper => vendors::whisper::read(text, gather)?,
        FileKind::Podcast => podcast::read(text, gather)?,
    })
}

/// Returns the writer of a format.
fn writer(format: Format) -> &'static FormatWriter {
    match format {
        Format::Json => &writer::JSON,
        Format::Ndjson => &writer::NDJSON,
        Format::Txt => &text::writer::TXT,
        Format::Md => &text::writer::MD,
        Format::Vtt => &webvtt::WRITER,
        Format::Srt => &srt::WRITER,
        Format::Rev => &rev::WRITER,
        Format::RevJson => &rev_json::WRITER,
        Format::Ttml => &ttml::WRITER,
        Format::Podcast => &podcast::WRITER,
    }
}

/// Writes `document`. Text is neither shortened nor reordered. [`losses()`] counts what the format cannot hold.
#[must_use]
pub fn write(format: Format, document: &Document) -> String {
    let written = (writer(format).write)(document);
    // At the head of a file it would be read as a byte order mark, and lost.
    if written.starts_with('\u{FEFF}') { format!("\n{written}") } else { written }
}

/// Counts what `document` has and `format` cannot hold; each kind once. Markup that was read from a file of the same
/// kind and kept beside its lines is not lost.
#[must_use]
pub fn losses(format: Format, document: &Document) -> Losses {
    losses::count(writer(format), FileKind::of(format), document)
}

impl Format {
    /// Returns the parts of a transcript that the format keeps.
    #[must_use]
    pub fn fidelity(self) -> Fidelity {
        writer(self).keeps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::core::reading::PROBLEMS_MAX;

    #[test]
    fn what_stands_before_damage_in_json_is_read() {
        let segments = r#"{"segments":[{"start":0,"end":1,"text":"a b"},{"start":2,"end":3,"text":"c"}]}"#;
        let rows = "{\"start_ms\":0,\"text\":\"a b\"}\n{\"start_ms\":2000,\"text\":\"c\"}\n";
        let zeros = "\0".repeat(9);
        for (file, texts, told) in [
            (segments[..segments.len() - 5].to_owned(), &["a b"][..], &["no text", "breaks off"][..]),
            (format!("{segments}{zeros}"), &["a b", "c"], &["9 "]),
            (format!("{rows}{zeros}"), &["a b", "c"], &["9 "]),
            (rows[..rows.len() - 5].to_owned(), &["a b"], &["no JSON"]),
            (rows.replace("}\n{", "}{"), &["a b", "c"], &[]),
            (rows.replace("}\n{", "}\u{FEFF}{"), &["a b", "c"], &[]),
            (format!("{rows}\u{FEFF}{rows}"), &["a b", "c", "a b", "c"], &["the clock starts over"]),
            (format!("{segments}\u{FEFF}{segments}"), &["a b", "c", "a b", "c"], &["the clock starts over"]),
            (format!("{}x\n{rows}", rows.trim_end()), &["a b", "c", "a b", "c"], &["no JSON", "time goes back"]),
        ] {
            let reading = read(file.as_bytes(), None).expect("it can be read");
            let read: Vec<_> = reading.lines.iter().map(|line| &*line.content.text).collect();
            assert_eq!(read, texts, "{file}");
            assert_eq!(reading.problems.len(), told.len(), "{file} {:?}", reading.problems);
            assert!(reading.problems.iter().zip(told).all(|(problem, told)| problem.message.contains(told)), "{file}");
        }
        // If nothing before the damage can be read, the error has its place.
        let broken = read(&segments.as_bytes()[..20], None).expect_err("nothing is said");
        assert!(matches!(broken, FormatError::Broken { .. }), "{broken}");
    }

    #[test]
    fn formats_are_known_by_name() {
        for (name, format) in [
            ("a.json", Some(Format::Json)),
            ("dir/a.b.NDJSON", Some(Format::Ndjson)),
            ("a.txt", Some(Format::Txt)),
            ("press-conference.rev.txt", Some(Format::Rev)),
            ("C:\\x\\a.Rev.TXT", Some(Format::Rev)),
            ("a.rev", Some(Format::Rev)),
            ("a.rev.json", Some(Format::RevJson)),
            ("a.xml", Some(Format::Ttml)),
            ("a.podcast.json", Some(Format::Podcast)),
            ("a.jsonl", Some(Format::Ndjson)),
            ("a.vtt", Some(Format::Vtt)),
            ("vtt", None),
            ("a.doc", None),
            ("rev.txt/a", None),
        ] {
            assert_eq!(Format::from_name(name), format, "{name}");
        }
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
            assert_eq!(format.extension().parse(), Ok(format));
            assert_eq!(Format::from_name(&format!("x.{}", format.extension())), Some(format));
        }
        for (kind, name, _) in FileKind::ALL {
            assert_eq!((kind.to_string().as_str(), name.parse()), (name, Ok(kind)));
        }
        assert_eq!("VTT".parse(), Ok(FileKind::Vtt));
        assert!("txt".parse::<FileKind>().is_err());
        let error = "docx".parse::<Format>().expect_err("no such format").to_string();
        assert!(error.contains("docx") && error.contains("rev"), "{error}");
    }

    #[test]
    fn problems_are_of_a_kind_whatever_they_quote() {
        for (message, kind) in [
            ("the number 12 follows 7", "the number \u{2026} follows \u{2026}"),
            ("\"a \\\" 7\" belongs to no cue: left out", "\u{2026} belongs to no cue: left out"),
            ("time goes back from 1:02:03 to 00:01; so", "time goes back from \u{2026} to \u{2026}; so"),
            ("this cue has no text: left out", "this cue has no text: left out"),
        ] {
            let problem = FileProblem { line: 1, column: 1, message: message.to_owned(), is_left_out: false };
            assert_eq!(problem.kind(), kind);
        }
    }

    #[test]
    fn what_goes_into_a_file_of_the_same_kind_is_no_loss_there() {
        let cues = ["a", "a\nb", "b\nc", "c\nd", "d\ne", "e\nf"].iter().zip(1..);
        let cues: String =
            cues.map(|(text, at)| format!("00:0{at}.000 --> 00:0{}.000 line:1\n{text}\n\n", at + 1)).collect();
        let reading = read(format!("WEBVTT\n\n{cues}").as_bytes(), None).expect("cues");
        let told = |kind| reading.losses_in(kind).map(|loss| loss.message.as_str()).collect::<Vec<_>>();
        let all = told(Some(FileKind::Srt));
        assert!(all.len() == 2 && all.iter().any(|told| told.contains("the place on the screen")), "{all:?}");
        let rest = told(Some(FileKind::Vtt));
        assert!(rest.len() == 1 && rest[0].contains("rolling captions"), "{rest:?}");
    }

    #[test]
    fn damaged_characters_are_told_with_their_line_in_every_kind_of_file() {
        for (file, line) in [
            ("{\"turns\":[],\n\"title\":\"~\",\"feed\":\"x\"}", 2),
            ("{\"start_ms\":1,\"text\":\"\u{e9}\u{e9}\u{e9}\"}\n{\"start_ms\":2,\"text\":\"~\"}\n", 2),
            ("{\"monologues\":[{\"elements\":[\n{\"type\":\"text\",\"value\":\"~\",\"ts\":1}]}]}", 2),
            ("<tt xmlns='http://www.w3.org/ns/ttml'><body><div>\n<p end='1s'>~</p></div></body></tt>", 2),
            ("token|speaker|ts\na|1|0.1\n~|1|0.2\n", 3),
            ("A: (00:01)\n~\n", 2),
            ("WEBVTT\n\n00:01.000 --> 00:02.000\n~\n", 4),
        ] {
            let bytes = format!("{file}\u{e9}\u{e9}").replace('~', "a\u{e9}\u{e9}\0").into_bytes();
            let bytes: Vec<u8> = bytes.into_iter().map(|byte| if byte == 0 { 0xFF } else { byte }).collect();
            let end = bytes.len() - 4;
            let encoding = "utf-8".parse().ok();
            let options = ReadOptions { encoding, ..ReadOptions::default() };
            match read_with(&bytes[..end], &options) {
                Ok(reading) => {
                    let told = reading.problems.iter().find(|problem| problem.message == encoding::NO_CHARACTER);
                    assert_eq!(told.map(|told| told.line), Some(line), "{file}: {:?}", reading.problems);
                }
                Err(error) => assert!(matches!(error, FormatError::NoSpeech { .. }), "{file}: {error}"),
            }
        }
    }

    #[test]
    fn a_file_that_ends_in_zero_bytes_is_read_up_to_them() {
        for file in [
            "1\n00:00:01,000 --> 00:00:02,000\nGood.\n\n2\n00:00:03,000 --> 00:00:04,000\nYes.\n",
            "WEBVTT\n\n00:01.000 --> 00:02.000\nGood.\n\n00:03.000 --> 00:04.000\nYes.\n",
            "Ann Lee: (00:01)\nGood.\nBen Roth: (00:05)\nYes.\n",
            "{\"start_ms\":1,\"text\":\"Good.\"}\n{\"start_ms\":2,\"text\":\"Yes.\"}\n",
        ] {
            let whole = read(file.as_bytes(), None).expect("a transcript");
            let mut bytes = file.as_bytes().to_vec();
            bytes.resize(4_096, 0);
            let reading = read(&bytes, None).expect("a transcript");
            assert_eq!(reading.lines, whole.lines, "{file}");
            let told: Vec<&str> = reading.problems.iter().map(|problem| problem.message.as_str()).collect();
            let expected = format!("{} zero bytes at the end of the file", 4_096 - file.len());
            assert!(matches!(told[..], [only] if only.starts_with(&expected)), "{told:?}");
        }
    }

    #[test]
    fn a_header_with_damage_in_its_time_is_one() {
        for (file, start_ms) in [
            ("Ann Lee: (00:01)\nGood.\nBen Roth: (00:~05)\nMorning.\n", Some(5_000)),
            ("Ann Lee (00:01):\nGood.\nBen Roth (00~:05):\nMorning.\n", Some(5_000)),
            ("Ann Lee: 00:00:01\nGood.\nBen Roth: 00:00~:05\nMorning.\n", Some(5_000)),
            ("Ann Lee  00:01\nGood.\nBen Roth  0~0:05\nMorning.\n", Some(5_000)),
            ("[00:01] Ann Lee: Good.\n[00:0~5] Ben Roth: Morning.\n", Some(5_000)),
            // A digit may be missing: the time is unknown.
            ("Ann Lee: (00:01)\nGood.\nBen Roth: (~0:05)\nMorning.\n", None),
            ("Ann Lee: (00:01)\nGood.\nBen Roth: (00:~5)\nMorning.\n", None),
        ] {
            for damage in ["\0", "\u{fffd}"] {
                let reading = read(file.replace('~', damage).as_bytes(), None).expect("a transcript");
                let lines = reading.lines.iter().map(|line| {
                    (line.content.speaker.as_deref().unwrap_or_default(), line.content.start_ms, &*line.content.text)
                });
                let expected = [("Ann Lee", Some(1_000), "Good."), ("Ben Roth", start_ms, "Morning.")];
                assert_eq!(lines.collect::<Vec<_>>(), expected, "{file}");
                let at = 1 + file.lines().position(|line| line.contains('~')).expect("the damage");
                assert!(reading.problems.iter().any(|problem| problem.line == at), "{file}{:?}", reading.problems);
            }
        }
    }

    #[test]
    fn problems_are_counted_beyond_the_list() {
        let file =
            "1\n00:00:01,000 --> 00:00:02,000\n\n".repeat(PROBLEMS_MAX) + "1\n00:00:01,000 --> 00:00:02,000\na\n";
        let reading = read(file.as_bytes(), None).expect("it can be read");
        let counts = reading.problem_counts();
        let of = |is_left_out: bool| {
            let counts = counts.iter().filter(|count| count.is_left_out == is_left_out);
            counts.map(|count| (count.kind.as_str(), count.count)).collect::<Vec<_>>()
        };
        assert_eq!(of(true), [("this cue has no text: left out", PROBLEMS_MAX)]);
        assert_eq!(of(false), [("the number \u{2026} stands twice", PROBLEMS_MAX)]);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_in_plain_words() {
        let (mut broken, mut problems) = (0, 0);
        for (kind, file) in [
            (FileKind::Json, "{\"turns\":"),
            (FileKind::Json, "{\"turns\":[{\"lines\":7}]}"),
            (FileKind::Json, "{\"turns\":\"secret\"}"),
            (
                FileKind::Json,
                "{\"turns\":[{\"lines\":[{\"id\":7,\"text\":\"a\"},{\"id\":\"1\",\"start_ms\":\"secret\",\"text\":\"a\"}]}]}",
            ),
            (
                FileKind::Ndjson,
                "{\"id\":\"1\",\"text\":\"a\"}\n{\"id\":\"2\",\"text\":7}\n{\"id\":\"3\",\"start_ms\":\"secret\",\"text\":\"a\"}\nsecret\n",
            ),
            (FileKind::RevJson, "{\"monologues\":[{\"elements\":7},{\"elements\":[{\"type\":\"text\",\"value\":7}]}]}"),
            (FileKind::RevJson, "{\"monologues\":[,]}"),
            (
                FileKind::Ttml,
                "<tt xmlns=\"http://www.w3.org/ns/ttml\"><body><div><p begin=\"1s\">a</q></div></body></tt>",
            ),
            (FileKind::Ttml, "<tt xmlns=\"http://www.w3.org/ns/ttml\"><body><div><p begin=\"1s\">a</p><!-- "),
            (
                FileKind::Ttml,
                "<tt xmlns=\"http://www.w3.org/ns/ttml\"><body><p begin=\"1s\">a &secret; & b</p><p begin=1s>c</p></body></tt>",
            ),
            (FileKind::Ttml, "<tt xmlns=\"http://www.w3.org/ns/ttml\"><body><p begin=\"1s\">a</p>"),
        ] {
            match read_as(kind, file.as_bytes()) {
                Ok(reading) => {
                    for problem in &reading.problems {
                        problems += 1;
                        crate::parse_error::assert_plain(&problem.message.replace("&secret;", ""));
                    }
                }
                Err(error) => {
                    broken += 1;
                    crate::parse_error::assert_plain(&error.to_string());
                }
            }
        }
        assert!(broken > 3 && problems > 3, "{broken} {problems}");
    }
}
