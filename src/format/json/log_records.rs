//! Records of logs in a file, one log after the other.

use crate::format::core::builder::{FilePlace, TranscriptBuilder};
use crate::format::core::joined_parts::FilePart;
use crate::format::core::line_limits::LineLimits;
use crate::transcript::{Op, Record};

/// Adds a record to its log. Another log begins at the opening of another feed or generation.
pub(super) fn log_record(logs: &mut Vec<FilePart>, at: FilePlace, record: Record, gather: &mut TranscriptBuilder) {
    let is_other = match &record.op {
        Op::Open { epoch, .. } => logs.last().is_some_and(|log| log.epoch.as_ref() != Some(epoch)),
        _ => false,
    };
    // Records before the first opening belong to the log that it opens.
    if logs.is_empty() || is_other && logs.last().is_some_and(|log| log.epoch.is_some()) {
        logs.push(FilePart { at, is_log: true, ..FilePart::default() });
    }
    if let (Op::Open { epoch, .. }, Some(log)) = (&record.op, logs.last_mut()) {
        log.epoch = Some(epoch.clone());
    }
    let record = held_record(record, at, gather);
    if let Some(log) = logs.last_mut() {
        log.records.push((at, record));
    }
}

/// Applies the limits to a record of a log. A line that is too long cannot be split, because corrections name it.
fn held_record(mut record: Record, at: FilePlace, gather: &mut TranscriptBuilder) -> Record {
    match &mut record.op {
        Op::Meta(meta) => gather.hold_meta(meta),
        Op::Rename { speaker: first, name: second, .. } | Op::Merge { from: first, into: second } => {
            gather.hold_speaker_name(at, first);
            gather.hold_speaker_name(at, second);
        }
        Op::Unmerge { from } => gather.hold_speaker_name(at, from),
        Op::Line { lines, .. } => {
            for line in lines {
                gather.hold_names(at, &mut line.content.speaker, &mut line.content.lang);
            }
        }
        _ => {}
    }
    let Some(limits) = gather.limits() else { return record };
    let Op::Line { lines, .. } = &mut record.op else { return record };
    lines.retain_mut(|line| {
        if !limits.is_within(&line.content) && !line.content.words.is_empty() {
            line.content.words.clear();
            limits.messages(0, 1, true).into_iter().for_each(|message| gather.problem(at.line, at.column, message));
        }
        let is_within = limits.is_within(&line.content);
        if !is_within {
            let (bytes, LineLimits { text_bytes, .. }) = (line.content.text.len(), limits);
            let message = format!(
                "a line of this record has a text of {bytes} bytes and may have {text_bytes} (limits.text_bytes): left out; an \
                 export without --history is read with such lines as several"
            );
            gather.left_out(at.line, at.column, message);
        }
        is_within
    });
    record
}
