//! Checks of a line that need no feed, for every source format.

use crate::transcript::line::check_line_id;
use crate::transcript::line::{LANG_BYTES_MAX, SPEAKER_BYTES_MAX};
use crate::transcript::{Content, MediaMs, Version};
use crate::wire::codes::NackCode;
use crate::wire::message::encoded_len;
use crate::wire::publisher::{Limits, NUMBER_MAX, Refusal};

/// Applies to a line from another format the checks that [`FromPublisher::decode`](super::FromPublisher::decode)
/// applies to our own.
///
/// # Errors
/// The refusal of this line.
pub fn check_version(version: &Version, limits: &Limits, media_ms_max: MediaMs) -> Result<(), Refusal> {
    check_id(&version.id)?;
    check_rev(version.rev)?;
    check_content(&version.content, limits, media_ms_max)
}

/// Returns true if the encoding of a line, with all its fields, has at most `bytes_max` bytes.
#[must_use]
pub fn is_line_within(version: &Version, bytes_max: usize) -> bool {
    // An upper bound decides most cases: every character escaped, every number at its longest.
    let words: usize = version.content.words.iter().map(|word| 128 + 6 * word.text.len()).sum();
    1024 + 6 * version.content.text.len() + words <= bytes_max || encoded_len(version) <= bytes_max
}

pub(crate) fn check_rev(rev: Option<u64>) -> Result<(), Refusal> {
    match rev {
        Some(rev) if rev > NUMBER_MAX => {
            Err(Refusal::new(NackCode::BadField, "rev", format!("rev is {rev} and may be {NUMBER_MAX} at most")))
        }
        _ => Ok(()),
    }
}

pub(crate) fn check_content(content: &Content, limits: &Limits, media_ms_max: MediaMs) -> Result<(), Refusal> {
    let text = &content.text;
    if text.len() > limits.text_bytes {
        return Err(Refusal::new(
            NackCode::TextTooLong,
            "text",
            format!("the text has {} bytes and may have {}: send it as several lines", text.len(), limits.text_bytes),
        ));
    }
    check_characters("text", text)?;
    check_short("speaker", content.speaker.as_deref(), SPEAKER_BYTES_MAX)?;
    check_short("lang", content.lang.as_deref(), LANG_BYTES_MAX)?;
    for (field, time) in [("start_ms", content.start_ms), ("end_ms", content.end_ms)] {
        if let Some(time) = time {
            check_time(field, time, media_ms_max)?;
        }
    }
    if let (Some(start), Some(end)) = (content.start_ms, content.end_ms)
        && end < start
    {
        return Err(Refusal::new(
            NackCode::BadTime,
            "end_ms",
            "end_ms is before start_ms: leave it out if it is not known",
        ));
    }
    for word in &content.words {
        check_characters("words", &word.text)?;
        check_time("words", word.start_ms, media_ms_max)?;
        check_time("words", word.end_ms.unwrap_or(word.start_ms), media_ms_max)?;
    }
    Ok(())
}

pub(crate) fn check_id(id: &str) -> Result<(), Refusal> {
    check_line_id(id)
        .map_err(|bad| Refusal::new(NackCode::BadId, "id", format!("the id does not follow its rule: {}", bad.rule)))
}

pub(crate) fn check_time(field: &'static str, time: MediaMs, media_ms_max: MediaMs) -> Result<(), Refusal> {
    if time < 0 {
        return Err(Refusal::new(NackCode::BadTime, field, format!("{field} is negative: media time counts from 0")));
    }
    if time > media_ms_max {
        let message = format!(
            "{field} is {time} and may be {media_ms_max} at most: it is milliseconds of media time, not a date"
        );
        return Err(Refusal::new(NackCode::BadTime, field, message));
    }
    Ok(())
}

fn check_characters(field: &'static str, text: &str) -> Result<(), Refusal> {
    // Line breaks and tabs are text; any other control character is a leftover of a terminal or encoder.
    match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        None => Ok(()),
        Some(c) => Err(Refusal::new(
            NackCode::ControlCharacters,
            field,
            format!("{field} holds the control character U+{:04X}: take it out", u32::from(c)),
        )),
    }
}

fn check_short(field: &'static str, text: Option<&str>, bytes_max: usize) -> Result<(), Refusal> {
    let Some(text) = text else { return Ok(()) };
    if text.len() > bytes_max {
        let message = format!("{field} has {} bytes and may have {bytes_max}", text.len());
        return Err(Refusal::new(NackCode::BadField, field, message));
    }
    match text.chars().find(|c| c.is_control()) {
        None => Ok(()),
        Some(_) => Err(Refusal::new(
            NackCode::ControlCharacters,
            field,
            format!("{field} holds a control character: take it out"),
        )),
    }
}
