//! Progress of a session's times, and the meaning of a fall: a late line, overlapping speakers, or another session.

use std::collections::VecDeque;

use crate::dialect::core::line_match::{GUESS_WORDS_MIN, MOVED_MS, are_alike, shared_words, words};
use crate::dialect::core::session_sign::{SessionSign, SpeechSpan};

/// Fall, in milliseconds, from which on a return to the very start of the session means a new session; less is a repeat
/// of the first line.
const BACK_TO_START_MS: f64 = 1_000.0;
/// Fall, in milliseconds, from which on a time below [`NEAR_ZERO_MS`] means a new session: the first words of a session
/// are never that late.
pub(crate) const NEAR_ZERO_FALL_MS: f64 = 2_000.0;
/// Upper bound of the start of a session's first words, in milliseconds.
const NEAR_ZERO_MS: f64 = 2_000.0;
/// Fall, in milliseconds, from which on a time below [`FIRST_SECONDS_MS`] means a new session, as does any time of a
/// vendor whose times rise. The latest finals observed are less late.
pub(crate) const FALL_MS: f64 = 10_000.0;
/// Length of the first seconds of a session, in milliseconds.
const FIRST_SECONDS_MS: f64 = 3_000.0;
/// Greatest movement, in milliseconds, of a start while its text is interim, if several people speak at once.
pub(crate) const DRIFT_MS: f64 = 750.0;
/// Greatest lateness, in milliseconds, of an interim text's end if several people speak at once: it is current speech.
const GUESS_LATE_MS: f64 = 1_000.0;
/// The same for a final text of an unknown speaker.
const FINAL_LATE_MS: f64 = 2_000.0;
/// Fall, in milliseconds, from which on a time below a third of the greatest one means a new session (Amazon
/// Transcribe's finals are up to 30 s late).
pub(crate) const FAR_FALL_MS: f64 = 30_000.0;

/// Greatest overlap of neighbours, in milliseconds: vendors round, and words have no sharp edges.
pub(crate) const ROUGH_MS: f64 = 300.0;
/// Greatest movement, in milliseconds, of an interim text whose words are replaced.
const GUESS_MOVED_MS: f64 = 2_000.0;
/// Settled texts remembered, to distinguish repeats from another session. Speechmatics settles a few words at a time:
/// this is half a minute of them.
pub(crate) const SETTLED_MAX: usize = 64;
/// Interim texts of simultaneous speakers remembered.
const BESIDE_MAX: usize = 16;
/// Longest prefix of a text remembered, in bytes.
const SETTLED_TEXT_BYTES_MAX: usize = 1_024;
/// A late interim text belongs to one of this many last settled ones.
const LATE_GUESS_OF: usize = 2;

/// Meaning of a message's time for its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockShift {
    /// The session continues.
    On,
    /// A late line, or another session.
    Back,
    /// Other words were settled at this time: overlapping speech, or another session.
    Over,
    /// Another session.
    Anew,
}

/// Words with their time.
#[derive(Debug)]
struct TimedText {
    start_ms: f64,
    end_ms: f64,
    text: Box<str>,
    voice: Box<str>,
}

impl TimedText {
    fn new(span: &SpeechSpan<'_>, sign: &SessionSign<'_>) -> Self {
        let start = |text: &str| text[..text.floor_char_boundary(SETTLED_TEXT_BYTES_MAX)].into();
        let (text, voice) = (start(&sign.text), start(sign.voice));
        Self { start_ms: span.start_ms, end_ms: span.end_ms, text, voice }
    }

    /// Returns true if `voice` may have said it. `Unknown` may be anybody.
    fn is_by(&self, voice: &str) -> bool {
        !is_name(&self.voice) || !is_name(voice) || *self.voice == *voice
    }

    /// Returns the overlap with `span` in milliseconds.
    fn overlap_ms(&self, span: &SpeechSpan<'_>) -> f64 {
        (self.end_ms.min(span.end_ms) - self.start_ms.max(span.start_ms)).max(0.0)
    }

    /// Returns true if it consists mostly of the words `now`.
    fn says(&self, now: &[String]) -> bool {
        are_alike(&words(&self.text), now)
    }

    /// Returns true if its speaker is known by name and is `voice`.
    fn is_surely_by(&self, voice: &str) -> bool {
        is_name(voice) && *self.voice == *voice
    }

    /// Returns true if it is an interim version of a message at `span`, with simultaneous speakers: the start moves and
    /// the first words change while a person speaks, but the text does not shrink.
    fn grows_to(&self, span: &SpeechSpan<'_>, sign: &SessionSign<'_>) -> bool {
        let is_near = (self.start_ms - span.start_ms).abs() <= DRIFT_MS && span.end_ms + GUESS_LATE_MS >= self.end_ms;
        let is_short = words(&self.text).len() < GUESS_WORDS_MIN;
        is_near && (self.was_guessed_as(&sign.text) || is_short && self.is_by(sign.voice))
    }

    /// Returns true if `guess` may be an interim version of it.
    fn was_guessed_as(&self, guess: &str) -> bool {
        let letters = |text: &str| words(text).concat();
        let (known, now) = (words(&self.text), words(guess));
        let shared = shared_words(&known, &now);
        shared * 2 >= known.len().min(now.len()) || letters(&self.text).starts_with(&letters(guess))
    }
}

/// Progress of a stream.
#[derive(Debug)]
pub(crate) struct StreamExtent {
    first_ms: f64,
    /// The greatest start.
    pub(crate) latest_ms: f64,
    /// The greatest end.
    until_ms: f64,
    /// The latest settled texts.
    settled: VecDeque<TimedText>,
    /// The interim text after them.
    guess: Option<TimedText>,
    /// Interim texts of simultaneous speakers, until they are settled.
    beside: VecDeque<TimedText>,
}

impl StreamExtent {
    pub(crate) fn new(first_ms: f64) -> Self {
        Self {
            first_ms,
            latest_ms: first_ms,
            until_ms: first_ms,
            settled: VecDeque::new(),
            guess: None,
            beside: VecDeque::new(),
        }
    }

    /// Classifies a message at `span`; `is_in_order` tells whether the vendor's times rise.
    pub(crate) fn step_to(&self, span: &SpeechSpan<'_>, sign: &SessionSign<'_>, is_in_order: bool) -> ClockShift {
        if !sign.voice.is_empty() && !span.is_wall {
            return self.step_among_voices(span, sign);
        }
        let (start, back) = (span.start_ms, self.latest_ms - span.start_ms);
        if back <= 0.0 {
            // No time fell, which overlapping speakers can cause too.
            let is_over = is_in_order && !span.is_wall && sign.is_settled && self.is_taken(span, sign);
            return if is_over { ClockShift::Over } else { ClockShift::On };
        }
        let is_at_start = (start - self.first_ms).abs() <= 1.0 && back >= BACK_TO_START_MS;
        if span.is_wall {
            // Clocks with times of day are adjusted, by small and large amounts.
            let is_far = back > FAR_FALL_MS && (start < self.latest_ms / 3.0 || start < self.first_ms);
            return match () {
                () if is_at_start || is_far => ClockShift::Anew,
                () if back > FALL_MS => ClockShift::Back,
                () => ClockShift::On,
            };
        }
        if is_in_order && self.is_late_guess(span, sign) {
            return ClockShift::On;
        }
        if is_at_start
            || start < NEAR_ZERO_MS && back >= NEAR_ZERO_FALL_MS
            || back > FALL_MS && (start < FIRST_SECONDS_MS || is_in_order)
            || back > FAR_FALL_MS && start < self.latest_ms / 3.0
        {
            return ClockShift::Anew;
        }
        if is_in_order {
            self.step_in_order(span, sign)
        } else if back > MOVED_MS as f64 {
            ClockShift::Back
        } else {
            ClockShift::On
        }
    }

    /// Classifies a message of a vendor with simultaneous speakers. Starts fall within a session: the speaker who
    /// begins first may end last. Ends do not fall, except by the delay of a final; those of a restarted clock do.
    fn step_among_voices(&self, span: &SpeechSpan<'_>, sign: &SessionSign<'_>) -> ClockShift {
        let (start, back) = (span.start_ms, self.latest_ms - span.start_ms);
        let behind = self.until_ms - span.end_ms;
        if self.guess_beside(span, sign).is_some() {
            return ClockShift::On;
        }
        let is_at_start = start <= FIRST_SECONDS_MS || start <= self.first_ms + DRIFT_MS;
        if is_at_start && behind > self.late_ms(back, span, sign)
            || behind > FAR_FALL_MS && start < self.latest_ms / 3.0
        {
            ClockShift::Anew
        } else if back > MOVED_MS as f64 {
            ClockShift::Back
        } else {
            ClockShift::On
        }
    }

    /// Returns by how much a late text may end before the greatest end, if it began `back` before the latest start.
    fn late_ms(&self, back: f64, span: &SpeechSpan<'_>, sign: &SessionSign<'_>) -> f64 {
        let now = words(&sign.text);
        let by_another = || self.settled.iter().any(|settled| is_name(&settled.voice));
        let mut own = self.settled.iter().filter(|settled| settled.is_surely_by(sign.voice)).peekable();
        if back <= DRIFT_MS || now.is_empty() {
            return FALL_MS;
        }
        if !sign.is_settled {
            return GUESS_LATE_MS;
        }
        if own.peek().is_none() {
            // The first words of a known speaker may be long. Sessions begin with the first voice.
            return if is_name(sign.voice) && by_another() { FALL_MS } else { FINAL_LATE_MS };
        }
        // A person does not say two things at once, nor the later one first.
        let is_contradicted = own.any(|settled| {
            let taken = settled.overlap_ms(span);
            let is_taken = taken > ROUGH_MS && taken * 2.0 >= span.end_ms - span.start_ms;
            (is_taken || settled.start_ms > span.start_ms + ROUGH_MS) && !settled.says(&now)
        });
        if is_contradicted { ROUGH_MS } else { FINAL_LATE_MS }
    }

    /// Returns the index of the simultaneous interim text that a message updates.
    fn guess_beside(&self, span: &SpeechSpan<'_>, sign: &SessionSign<'_>) -> Option<usize> {
        let is_open = |guess: &TimedText| self.until_ms - guess.end_ms <= FAR_FALL_MS && guess.grows_to(span, sign);
        let own = self.beside.iter().position(|guess| is_open(guess) && guess.was_guessed_as(&sign.text));
        own.or_else(|| self.beside.iter().position(is_open))
    }

    /// Returns true if a message is an interim version of something settled a moment ago.
    fn is_late_guess(&self, span: &SpeechSpan<'_>, sign: &SessionSign<'_>) -> bool {
        let start = span.start_ms;
        let is_of = |settled: &TimedText| {
            start + ROUGH_MS >= settled.start_ms
                && start <= settled.end_ms + ROUGH_MS
                && settled.was_guessed_as(&sign.text)
        };
        !sign.is_settled && self.settled.iter().rev().take(LATE_GUESS_OF).any(is_of)
    }

    /// Classifies a small fall of a vendor whose times rise: it does not change what it settled, and sends no interim
    /// versions of earlier words. Of two overlapping speakers, the later one may be settled first, by a small margin.
    fn step_in_order(&self, span: &SpeechSpan<'_>, sign: &SessionSign<'_>) -> ClockShift {
        let length = span.end_ms - span.start_ms;
        let is_behind =
            |known: Option<&TimedText>, by: f64| known.is_some_and(|known| span.start_ms + by < known.start_ms);
        let now = words(&sign.text);
        let guess = self.guess.as_ref().filter(|guess| guess.is_by(sign.voice) && !guess.says(&now));
        let last = self.settled.iter().rev().find(|settled| settled.is_by(sign.voice));
        // With ends only, the order is not known.
        let rough_ms = if length > 0.0 || sign.is_settled { ROUGH_MS } else { GUESS_MOVED_MS };
        let is_back = is_behind(last, rough_ms) || is_behind(guess, GUESS_MOVED_MS);
        let is_taken = self.is_taken(span, sign);
        let is_far = self.latest_ms - span.start_ms >= NEAR_ZERO_FALL_MS;
        match sign.text.trim().is_empty() {
            false if is_taken && is_far || is_back && !sign.is_settled => ClockShift::Anew,
            false if is_taken && sign.is_settled => ClockShift::Over,
            _ if is_back && sign.is_settled => ClockShift::Back,
            _ => ClockShift::On,
        }
    }

    /// Returns true if other words were settled in most of `span`, and `span` covers most of those: a short
    /// interjection lies within the other speaker's words.
    fn is_taken(&self, span: &SpeechSpan<'_>, sign: &SessionSign<'_>) -> bool {
        let now = words(&sign.text);
        let own = self.settled.iter().filter(|settled| settled.is_by(sign.voice) && !settled.says(&now));
        let there = own.map(|settled| (settled.overlap_ms(span), settled.end_ms - settled.start_ms));
        let there = there.filter(|(overlap, _)| *overlap > 0.0);
        let (taken, settled) =
            there.fold((0.0, 0.0), |(taken, settled), (overlap, length)| (taken + overlap, settled + length));
        let is_most = |of: f64| taken * 2.0 >= of;
        !now.is_empty() && taken > ROUGH_MS && is_most(span.end_ms - span.start_ms) && is_most(settled)
    }

    pub(crate) fn note(&mut self, span: &SpeechSpan<'_>, sign: &SessionSign<'_>) {
        self.first_ms = self.first_ms.min(span.start_ms);
        self.latest_ms = self.latest_ms.max(span.start_ms);
        self.until_ms = self.until_ms.max(span.end_ms);
        let has_text = !sign.text.trim().is_empty();
        if !sign.voice.is_empty() {
            let said_better = self.guess_beside(span, sign);
            // If two speakers begin at once with different words, neither replaces the other's interim text.
            if let Some(at) = said_better.filter(|at| sign.is_settled || self.beside[*at].was_guessed_as(&sign.text)) {
                self.beside.remove(at);
            }
            if has_text && !sign.is_settled {
                if self.beside.len() == BESIDE_MAX {
                    self.beside.pop_front();
                }
                self.beside.push_back(TimedText::new(span, sign));
            }
        }
        if !sign.is_settled {
            self.guess = has_text.then(|| TimedText::new(span, sign));
            return;
        }
        // An interim text after a late final stays.
        self.guess.take_if(|guess| guess.start_ms < span.end_ms);
        if has_text {
            if self.settled.len() == SETTLED_MAX {
                self.settled.pop_front();
            }
            self.settled.push_back(TimedText::new(span, sign));
        }
    }
}

/// Returns true if a voice has a name; the person behind `Unknown` is not known.
fn is_name(voice: &str) -> bool {
    !matches!(voice, "" | "Unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_as_a_table() {
        use ClockShift::{Anew, Back, On};
        for (first, latest, start, in_order, in_any) in [
            // To the first time of the session.
            (0.3, 2.1, 0.3, Anew, Anew),
            (12.0, 13.0, 12.0, Anew, Anew),
            // A repeat of the first line.
            (0.3, 0.9, 0.3, On, On),
            // To the first seconds.
            (0.4, 2.6, 0.5, Anew, Anew),
            (4.0, 12.0, 1.9, Anew, Anew),
            (0.4, 62.5, 2.9, Anew, Anew),
            (5.0, 14.0, 2.0, Anew, Anew),
            (5.0, 11.0, 2.0, On, Back),
            // By a large amount: some vendors send lines late.
            (0.3, 33.0, 10.0, Anew, Back),
            (0.3, 300.0, 110.0, Anew, Back),
            (0.3, 300.0, 90.0, Anew, Anew),
            (0.3, 40.0, 5.0, Anew, Anew),
            // Late lines.
            (0.3, 300.0, 292.0, On, Back),
            (2.0, 2.5, 1.5, On, On),
            // Forward.
            (0.3, 2.1, 2.1, On, On),
            (0.3, 2.1, 500.0, On, On),
        ] {
            let reach = StreamExtent { first_ms: first * 1e3, latest_ms: latest * 1e3, ..StreamExtent::new(0.0) };
            let span = SpeechSpan::new(Some(start * 1e3), None).expect("a span");
            for (is_in_order, expected) in [(true, in_order), (false, in_any)] {
                let step = reach.step_to(&span, &SessionSign::default(), is_in_order);
                assert_eq!(step, expected, "{first} to {latest}, then {start}, {is_in_order}");
            }
        }
    }

    /// Settled words from 2 to 4 s and from 6 to 8 s with interim text from 9 s on, and what another session says then.
    #[test]
    fn small_falls_as_a_table() {
        use ClockShift::{Anew, Back, On};
        let says = |start: f64, end: f64, text: &str, is_settled: bool| {
            let sign = SessionSign { text: text.to_owned().into(), is_settled, ..SessionSign::default() };
            (SpeechSpan::new(Some(start * 1e3), Some(end * 1e3)).expect("a span"), sign)
        };
        let mut reach = StreamExtent::new(2_000.0);
        for (start, end, text, is_settled) in
            [(2.0, 4.0, "We come to order.", true), (6.0, 8.0, "One, two.", true), (9.0, 10.0, "and then", false)]
        {
            let (span, sign) = says(start, end, text, is_settled);
            assert_eq!(reach.step_to(&span, &sign, true), On);
            reach.note(&span, &sign);
        }
        for (start, end, text, is_settled, expected) in [
            // Other words at an occupied time.
            (2.5, 4.5, "The line was cut.", true, Anew),
            (6.2, 7.8, "Good evening.", true, Anew),
            // The same words again, and a short overlap with a neighbour.
            (6.1, 8.1, "one two three", true, Back),
            (7.9, 8.9, "Three.", true, On),
            // Overlapping speakers: one is within the other's words, or continues after them.
            (7.2, 8.0, "Thank you.", true, On),
            (7.6, 8.4, "Thank you.", true, On),
            // At a time without words, it may be late.
            (4.1, 5.9, "Is that heard?", true, Back),
            (8.2, 8.9, "Yes.", true, On),
            // No interim versions of settled text, except a late one.
            (4.1, 5.9, "is that", false, Anew),
            (2.5, 3.5, "the line", false, Anew),
            (6.0, 7.0, "one too", false, On),
            (6.3, 7.3, "good evening", false, Anew),
            (6.0, 6.4, "on", false, On),
            (2.0, 2.6, "we come", false, On),
            // The interim text, changed and corrected.
            (8.8, 10.4, "so then we", false, On),
            (8.8, 10.4, "And then we vote.", true, On),
        ] {
            let (span, sign) = says(start, end, text, is_settled);
            assert_eq!(reach.step_to(&span, &sign, true), expected, "{start} {text}");
        }
    }

    /// Consecutive finals of overlapping speakers.
    #[test]
    fn who_talks_over_others_begins_no_session() {
        use ClockShift::{Anew, On, Over};
        type Finals<'a> = &'a [(f64, f64, &'a str, ClockShift)];
        let all: [Finals<'_>; 5] = [
            &[(0.0, 10.0, "We come to the first item.", On), (9.2, 10.0, "Thank you.", On), (12.0, 14.0, "Next.", On)],
            &[
                (100.0, 104.0, "We come to the vote.", On),
                (103.0, 104.2, "Hear, hear!", On),
                (106.0, 107.0, "Aye.", On),
            ],
            &[
                (0.0, 4.0, "Good morning all.", On),
                (3.0, 4.0, "Yes.", On),
                (2.8, 4.0, "Hear!", On),
                (5.0, 6.0, "So", On),
            ],
            // At once, or within a second: undecidable.
            &[(1.0, 3.0, "We come to the vote.", On), (1.2, 3.0, "I do not agree.", Over), (4.0, 5.0, "Aye.", On)],
            &[
                (1.0, 3.0, "We come to the vote.", On),
                (4.0, 6.0, "All in favour?", On),
                (2.5, 5.6, "I do not agree.", Over),
                (1.1, 3.1, "Good evening to you.", Anew),
                (3.2, 3.9, "Aye.", On),
            ],
        ];
        for finals in all {
            let mut reach = StreamExtent::new(finals[0].0 * 1e3);
            for (start, end, text, expected) in finals {
                let sign = SessionSign { text: (*text).into(), is_settled: true, ..SessionSign::default() };
                let span = SpeechSpan::new(Some(start * 1e3), Some(end * 1e3)).expect("a span");
                assert_eq!(reach.step_to(&span, &sign, true), *expected, "{start} {text}");
                if *expected != Anew {
                    reach.note(&span, &sign);
                }
            }
        }
    }
}
