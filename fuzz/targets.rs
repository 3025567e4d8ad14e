//! What must hold of any bytes: the bodies of the fuzz targets, and of the plain tests over their corpora
//! (`tests/corpora.rs`), so that both say the same.

use captionwire::format::{Document, Format, Range};
use captionwire::position::{Epoch, FeedId, Offset};
use captionwire::transcript::{FoldView, Op, Record, Timestamp, Transcript};
use captionwire::wire::publish::{check_version, decode_line};
use captionwire::wire::{FromPublisher, FromSubscriber, Limits, ToPublisher, ToSubscriber};

#[path = "../tests/fold/book.rs"]
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

/// Reading a file gives lines with ids of their own and times on the axis, and every format can write them.
pub fn format(bytes: &[u8]) {
    for name in [None, Some("a.rev.txt"), Some("a.md")] {
        let Ok(reading) = captionwire::format::read(bytes, name) else { continue };
        let mut ids: Vec<_> = reading.lines.iter().map(|line| line.id.clone()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), reading.lines.len(), "an id stands twice");
        let mut transcript = Transcript::new(FoldView::FinalOnly);
        let open = Op::Open { epoch: Epoch::from_random(1), settings: Default::default(), imported: true };
        transcript.apply(Offset(0), Record::new(Timestamp(0), open));
        for (offset, line) in (1..).zip(reading.lines) {
            assert!(line.content.start_ms.is_some_and(|start| start >= 0), "{line:?}");
            let op = Op::Line { source: "main".into(), lines: vec![line] };
            transcript.apply(Offset(offset), Record::new(Timestamp(0), op));
        }
        let feed = FeedId::new("any").expect("a name");
        let document = Document::of(&feed, &transcript, Range::default());
        for format in Format::ALL {
            let written = captionwire::format::write(format, &document);
            assert!(!written.contains('\0'), "{format:?}");
        }
    }
}

/// Every dialect takes any frames, one a line; what it makes of them is something that the server takes.
pub fn dialect(bytes: &[u8]) {
    for format in captionwire::dialect::Format::ALL {
        let mut dialect = format.open(captionwire::dialect::Options::new("t"));
        let mut decoded = captionwire::dialect::Decoded::default();
        for frame in bytes.split(|byte| *byte == b'\n') {
            dialect.decode(frame, &mut decoded);
        }
        dialect.end(&mut decoded);
        for said in decoded.says {
            let captionwire::dialect::Said::Lines(lines) = said else { continue };
            for line in lines {
                check_version(&line, &LIMITS, MEDIA_MS_MAX).expect("a line that the server takes");
            }
        }
        let is_sayable = |message: &str| !message.is_empty() && !message.chars().any(char::is_control);
        assert!(decoded.faults.iter().all(|fault| is_sayable(&fault.message)), "{:?}", decoded.faults);
    }
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
