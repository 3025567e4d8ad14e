//! Lines that are sent during a measurement: captions of usual length, each with a marker in its text.
//!
//! The receiving side looks only for the marker, `#number.time#`. So it does not matter what a server puts around a
//! text, and any server can be held to the same promise: each line once, in order, and unaltered.

/// Bytes of a marker: `#`, 10 digits, `.`, 19 digits, `#`.
pub(super) const MARK_BYTES: usize = 32;

/// Number of a line, from 0, and its due time in nanoseconds of the load's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineMark {
    pub(super) number: u32,
    pub(super) due: u64,
}

/// Texts after the marker. With it a text has 80 to 300 bytes, as captions do. Nothing here needs an escape in JSON.
const SENTENCES: [&str; 12] = [
    "Thank you all for coming this afternoon, and let me begin with the schedule for the next two weeks.",
    "The committee met on Tuesday, heard three witnesses, and will publish the minutes once they have been checked.",
    "I would like to come back to the question about the bridge, because the figures in the report were not complete, and some of those who read it have drawn conclusions from them that the engineers would not have drawn.",
    "We have set aside money for repairs in the northern district, and the work there should start before winter.",
    "No, that is not what I said; that is what was printed.",
    "What I said is that the decision belongs to the council and that we will respect it, whatever it turns out to be.",
    "If there are no further questions on this point, we can go on to the budget and then to the vote of the members.",
    "It is true that the first estimate was lower, but it was made before anyone had looked at the foundations, and nobody should be surprised that a building of that age needs more than a coat of paint and a new roof; we said so at the time, and we say so again.",
    "Could you say that again, a little closer to the microphone, please?",
    "The doors will stay open until eight in the evening, and whoever is in the hall by then will be heard.",
    "On behalf of the residents I hand over two thousand signatures, which we have collected in eleven days, most of them from people who have never signed anything before.",
    "Thank you, that answers it; I have nothing to add for the moment.",
];

const SPEAKERS: [&str; 4] = ["Moderator", "Reporter", "Dr. Okonkwo", "Minister Hale"];

/// Writes the text of a line, with its marker first.
pub(super) fn write_text(mark: LineMark, out: &mut Vec<u8>) {
    let mut marker = [b'#'; MARK_BYTES];
    marker[11] = b'.';
    write_digits(u64::from(mark.number), &mut marker[1..11]);
    write_digits(mark.due, &mut marker[12..31]);
    out.extend_from_slice(&marker);
    out.push(b' ');
    out.extend_from_slice(sentence(mark.number).as_bytes());
}

/// Returns the text that follows the blank after the marker of line `number`.
pub(super) fn sentence(number: u32) -> &'static str {
    SENTENCES[number as usize % SENTENCES.len()]
}

/// Returns the speaker of a line: another one every four lines, so that there are turns.
pub(super) fn speaker(number: u32) -> &'static str {
    SPEAKERS[(number as usize / 4) % SPEAKERS.len()]
}

/// Returns the average size of a text in bytes, marker included.
pub(super) fn mean_text_bytes() -> f64 {
    let sentences: usize = SENTENCES.iter().map(|sentence| sentence.len()).sum();
    (MARK_BYTES + 1) as f64 + sentences as f64 / SENTENCES.len() as f64
}

/// Decodes a marker; `None` if `bytes` is none.
pub(super) fn read_mark(bytes: &[u8; MARK_BYTES]) -> Option<LineMark> {
    if bytes[0] != b'#' || bytes[11] != b'.' || bytes[31] != b'#' {
        return None;
    }
    Some(LineMark { number: u32::try_from(read_digits(&bytes[1..11])?).ok()?, due: read_digits(&bytes[12..31])? })
}

fn write_digits(mut value: u64, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Reads at most 19 digits, which fit.
fn read_digits(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_as_it_was_written() {
        let mark = LineMark { number: u32::MAX, due: 1_234_567_890_123 };
        let mut text = Vec::new();
        write_text(mark, &mut text);
        let marker: [u8; MARK_BYTES] = text[..MARK_BYTES].try_into().expect("long enough");
        assert_eq!(read_mark(&marker), Some(mark));
        for at in [0, 5, 11, 20, 31] {
            let mut broken = marker;
            broken[at] = b'x';
            assert_eq!(read_mark(&broken), None, "{at}");
        }
    }

    #[test]
    fn texts_are_of_the_usual_length_and_need_no_escape() {
        for number in 0..SENTENCES.len() as u32 {
            let mut text = Vec::new();
            write_text(LineMark { number, due: 0 }, &mut text);
            assert!((80..=300).contains(&text.len()), "{number}: {}", text.len());
            let text = String::from_utf8(text).expect("UTF-8");
            assert!(!text[MARK_BYTES..].contains(['"', '\\', '#', '{', '}']) && !text.contains(char::is_control));
        }
    }
}
