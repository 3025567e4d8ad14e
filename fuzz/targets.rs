//! What must hold of any bytes: the bodies of the fuzz targets, and of the plain tests over their corpora
//! (`tests/it/formats/corpora.rs`), so that both say the same.

use captionwire::format::{Document, FileKind, Format, FormatError, PROBLEMS_MAX, ParsedTranscript};
use captionwire::position::{FeedId, Offset};
use captionwire::transcript::{FoldView, Record, Timestamp, Transcript};
use captionwire::wire::publisher::{check_version, decode_line};
use captionwire::wire::{FromPublisher, FromSubscriber, Limits, ToPublisher, ToSubscriber};

#[path = "../tests/it/model/fold/book.rs"]
#[allow(dead_code)]
mod book;

const LIMITS: Limits = Limits { message_bytes: 65_536, text_bytes: 16_384, unacked: 1_024 };
const MEDIA_MS_MAX: i64 = 604_800_000;

/// Reading a message gives one, or a refusal that names the mend and repeats nothing of the text.
pub fn wire(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(refusal) = FromPublisher::decode(text, &LIMITS, MEDIA_MS_MAX).says {
        assert!(!refusal.message.is_empty() && !refusal.message.chars().any(char::is_control), "{refusal:?}");
    }
    if let Ok(version) = decode_line(text, &LIMITS, MEDIA_MS_MAX) {
        let times = [version.content.start_ms, version.content.end_ms];
        assert!(times.into_iter().flatten().all(|time| (0..=MEDIA_MS_MAX).contains(&time)), "{version:?}");
    }
    let _ = FromSubscriber::decode(text);
    let _ = FromSubscriber::feed_of(text);
    // What a server says, as a client reads it: what could be read is written again as the same.
    if let Ok(message) = serde_json::from_str::<ToSubscriber>(text) {
        let again =
            serde_json::from_slice::<ToSubscriber>(message.encode().body()).expect("what was written can be read");
        assert_eq!(again, message);
    }
    if let Ok(message) = serde_json::from_str::<ToPublisher>(text) {
        let again =
            serde_json::from_slice::<ToPublisher>(message.encode().body()).expect("what was written can be read");
        assert_eq!(again, message);
    }
}

/// A file that is whatever it looks like.
pub fn format(bytes: &[u8]) {
    for name in [None, Some("a.rev.txt"), Some("a.md")] {
        file(captionwire::format::read(bytes, name), bytes.len());
    }
}

/// Every dialect takes any frames, one a line; what it makes of them is something that the server takes.
pub fn dialect(bytes: &[u8]) {
    for format in captionwire::dialect::VendorFormat::ALL {
        let mut dialect = format.open(captionwire::dialect::Options::new("t"));
        let mut decoded = captionwire::dialect::Decoded::default();
        for frame in bytes.split(|byte| *byte == b'\n') {
            dialect.decode(frame, &mut decoded);
        }
        dialect.end(&mut decoded);
        for said in decoded.says {
            let captionwire::dialect::DecodedEvent::Lines(lines) = said else { continue };
            for line in lines {
                check_version(&line, &LIMITS, MEDIA_MS_MAX).expect("a line that the server takes");
            }
        }
        let is_sayable = |message: &str| !message.is_empty() && !message.chars().any(char::is_control);
        assert!(decoded.faults.iter().all(|fault| is_sayable(&fault.message)), "{:?}", decoded.faults);
    }
}

/// A file is read as what it is said to be: lines with ids of their own and places on the axis, in memory that is bounded by
/// the file's size; and every format can write them.
fn file(reading: Result<ParsedTranscript, FormatError>, size: usize) {
    let Ok(reading) = reading else { return };
    assert!(!reading.lines.is_empty());
    let mut ids: Vec<_> = reading.lines.iter().map(|line| line.id.clone()).collect();
    ids.sort();
    ids.dedup();
    // A log of several sources may have an id in each.
    assert!(ids.len() == reading.lines.len() || reading.history.is_some(), "an id stands twice");
    assert!(reading.problems.len() <= PROBLEMS_MAX + 2 && reading.losses.len() < 10);
    // Labels stand at every line; without them, what was read is not more than the file.
    let text: usize = reading.lines.iter().map(|line| line.content.text.len()).sum();
    assert!(text <= size * 4 + 64, "{text} bytes of text of {size}");
    for line in &reading.lines {
        let place = line.content.start_ms.or(line.arrival_ms);
        assert!(place.is_some_and(|place| place >= 0) || reading.history.is_some(), "{line:?}");
        assert!(!line.content.text.trim().is_empty(), "{line:?}");
    }
    let feed = FeedId::new("any").expect("a name");
    let document = Document::of_reading(&feed, &reading, Timestamp(0));
    for format in Format::ALL {
        let written = captionwire::format::write(format, &document);
        assert!(!written.contains('\0'), "{format:?}");
    }
}

macro_rules! readers {
    ($($target:ident: $kind:ident),*) => {$(
        /// A file that is read as one of this kind.
        pub fn $target(bytes: &[u8]) {
            file(captionwire::format::read_as(FileKind::$kind, bytes), bytes.len());
        }
    )*};
}

readers!(
    format_rev: Rev, format_names: Names, format_vtt: Vtt, format_srt: Srt, format_md: Markdown, format_rev_json: RevJson,
    format_json: Json, format_ndjson: Ndjson, format_ttml: Ttml, format_nlp: Nlp, format_vexa: Vexa, format_cdp: Cdp,
    format_rev_editor: RevEditor, format_speechmatics: Speechmatics, format_aws: Aws, format_podcast: Podcast,
    format_otter: Otter, format_timed: Timed, format_whisper: Whisper
);

/// Words and the times of their speakers, parted by a line `----`.
pub fn format_rttm(bytes: &[u8]) {
    const PART: &[u8] = b"\n----\n";
    let at = bytes.windows(PART.len()).position(|window| window == PART).unwrap_or(bytes.len());
    let times = bytes.get(at + PART.len()..).unwrap_or_default();
    file(captionwire::format::read_words(&bytes[..at], times), bytes.len());
}

/// Reading a record never fails, and what was read is written again as the same.
pub fn record(bytes: &[u8]) {
    let record = Record::decode(bytes);
    assert_eq!(Record::decode(&record.encode()), record);
}

/// Any records, one a line, fold as the book says, in both views.
pub fn fold(bytes: &[u8]) {
    // The book starts over after each record.
    const RECORDS_MAX: usize = 64;
    let records: Vec<Record> = bytes.split(|byte| *byte == b'\n').take(RECORDS_MAX).map(Record::decode).collect();
    for view in [FoldView::Interim, FoldView::FinalOnly] {
        let mut book = book::Book::new(view);
        let mut transcript = Transcript::new(view);
        for (offset, record) in (0..).zip(&records) {
            book.take(record);
            transcript.apply(Offset(offset), record.clone());
            assert_eq!(transcript.change(), book.changes(), "after record {offset}");
            let lines = book.picture().turns.iter().map(|turn| turn.lines.len()).sum();
            assert_eq!(transcript.counts(), (lines, book.picture().turns.len()), "after record {offset}");
            assert_eq!(transcript.state(), book.picture().state, "after record {offset}");
        }
        // A reader that takes it in the smallest steps comes to the same number.
        let mut since = 0;
        while since < transcript.change() {
            let changes = transcript.changes_since(since, 1);
            assert!(changes.to > since);
            since = changes.to;
        }
    }
}
