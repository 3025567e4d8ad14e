//! Pieces of speech that the vendor names: under each name come an interim version, better ones, and the final one.
//! Several may be open at once.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::dialect::core::decoded::{DecodeFaultKind, Decoded};
use crate::dialect::core::line_match::{MOVED_MS, SAME_PLACE_MS, are_alike, share_a_word, words};
use crate::dialect::core::lines::{LineFacts, LineInProgress};
use crate::dialect::core::options::Options;
use crate::dialect::core::speech_piece::{PieceState, SpeechPiece};
use crate::dialect::core::spelling::says_the_same;
use crate::dialect::core::token::{SpeechToken, TokenSpeaker};
use crate::transcript::line::check_line_id;
use crate::transcript::{MediaMs, Status};

/// Pieces remembered: more than people can speak at once. A forgotten piece can still be sent again.
const OPEN_MAX: usize = 64;

/// Fault for an id that may be a counter and is used for other content.
pub(crate) const OTHER_LINE: &str =
    "the engine uses the id of a line for another text: this text is kept as a new line beside it";
/// Fault for an id under which another speaker says the same.
pub(crate) const OTHER_SPEAKER: &str = "the engine names another speaker for a line with the same id, time and words: \
     the line now belongs to that speaker. If both said it, the engine counts ids for each speaker, and the two lines \
     cannot be told apart";

/// Ids that may be counters whose use is remembered: those of some hours.
const COUNTERS_MAX: usize = 16_384;
/// Forgotten pieces with several lines whose line count is remembered.
const LONG_MAX: usize = 1_024;
/// Longest prefix of a text, in bytes, that is compared with another text.
const COMPARED_BYTES_MAX: usize = 2_048;
/// Shortest word of letters and digits, of unknown origin, that can count as random, in characters.
const RANDOM_CHARS_MIN: usize = 10;
/// Fewest changes of kind (digit, lower case, capital) between neighbouring characters of a random word, in percent.
/// Names that a program numbers, such as `mic1seg2part3` or `SegmentNumber12`, have fewer.
const RANDOM_CHANGES_PERCENT_MIN: usize = 60;

/// The open pieces, and the latest closed ones.
#[derive(Debug, Default)]
pub(crate) struct LinesById {
    /// The most recently mentioned piece is last.
    known: Vec<(Arc<str>, SpeechPiece)>,
    /// Line counts of forgotten pieces with more than one line; the last forgotten is last.
    long: VecDeque<(Arc<str>, usize)>,
}

impl LinesById {
    /// Updates the piece `id` to `tokens`.
    pub(crate) fn say(
        &mut self,
        id: &Arc<str>,
        tokens: &[SpeechToken],
        status: Status,
        facts: &LineFacts,
        options: &Options,
        saying: &mut LineInProgress,
    ) {
        self.say_state(id, PieceState::whole(tokens, status, facts), options, saying);
    }

    /// Updates the piece `id` to this state.
    pub(crate) fn say_state(
        &mut self,
        id: &Arc<str>,
        state: PieceState,
        options: &Options,
        saying: &mut LineInProgress,
    ) {
        let mut piece = match self.known.iter().position(|(known, _)| known == id) {
            Some(at) => self.known.remove(at).1,
            None => SpeechPiece::with_lines(id.clone(), self.take_long(id)),
        };
        piece.say(state, options, saying);
        self.remember(id, piece, options, saying);
    }

    /// Retracts the piece `id` with all its lines. It may be sent again.
    pub(crate) fn retract(&mut self, id: &Arc<str>, options: &Options, saying: &mut LineInProgress) {
        let mut piece = match self.known.iter().position(|(known, _)| known == id) {
            Some(at) => self.known.remove(at).1,
            None => SpeechPiece::with_lines(id.clone(), self.take_long(id)),
        };
        piece.retract(saying);
        self.remember(id, SpeechPiece::new(id.clone()), options, saying);
    }

    fn remember(&mut self, id: &Arc<str>, piece: SpeechPiece, options: &Options, saying: &mut LineInProgress) {
        if self.known.len() == OPEN_MAX {
            let (id, mut piece) = self.known.remove(0);
            piece.release(options, saying);
            if piece.line_count() > 1 {
                if self.long.len() == LONG_MAX {
                    self.long.pop_front();
                }
                self.long.push_back((id, piece.line_count()));
            }
        }
        self.known.push((id.clone(), piece));
    }

    /// Removes and returns the line count of a forgotten piece; 0 if it is not known.
    fn take_long(&mut self, id: &str) -> usize {
        let at = self.long.iter().position(|(known, _)| **known == *id);
        at.and_then(|at| self.long.remove(at)).map_or(0, |(_, lines)| lines)
    }

    /// Returns the piece `id`, if it is remembered.
    pub(crate) fn piece(&self, id: &str) -> Option<&SpeechPiece> {
        self.known.iter().find(|(known, _)| **known == *id).map(|(_, piece)| piece)
    }

    /// Closes open pieces as last shown, because their session is over: those of `voice`, or all without it.
    pub(crate) fn let_stand(&mut self, voice: Option<&TokenSpeaker>, saying: &mut LineInProgress) {
        let is_open = |piece: &SpeechPiece| !piece.is_over() && voice.is_none_or(|voice| piece.label() == voice);
        self.known.iter_mut().filter(|(_, piece)| is_open(piece)).for_each(|(_, piece)| piece.let_stand(saying));
    }

    /// Returns all remembered pieces.
    pub(crate) fn pieces_mut(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut SpeechPiece)> {
        self.known.iter_mut().map(|(id, piece)| (&*id, piece))
    }
}

/// A vendor's id of a piece, and of its speaker if that belongs to the id; otherwise empty.
pub(crate) type VendorId<'a> = (&'a str, &'a str);

/// Converts a vendor's permanent ids of pieces to ids of lines.
///
/// An id that the vendor declares unique is kept: the same frames on another connection are the same lines. Any other
/// id may be a counter (`1`, `seg-12`, `SG_a`) and belongs to the connection, because a restarted engine counts from
/// the start again. If such an id is reused within a connection for other content, it names a new line. So does a
/// unique one if another speaker says something else under it, or something else is said at another time.
#[derive(Debug)]
pub(crate) struct VendorIds {
    tag: Arc<str>,
    is_unique: fn(&str) -> bool,
    /// Use counts of ids that may be counters, and of all ids that were begun again; long ones by their hashes.
    used: HashMap<Arc<str>, u32>,
    /// Number of times that all ids were begun again.
    epoch: u32,
}

impl VendorIds {
    /// Creates the converter. `tag` begins the ids of the connection; `is_unique` recognizes the vendor's unique ids.
    pub(crate) fn new(tag: Arc<str>, is_unique: fn(&str) -> bool) -> Self {
        Self { tag, is_unique, used: HashMap::new(), epoch: 0 }
    }

    /// Returns the line of a vendor's id, including the participant if the vendor gives one id to several.
    pub(crate) fn line(&self, id: VendorId<'_>) -> Arc<str> {
        let raw = joined(id);
        let times = self.used.get(&line_id(&raw)).copied().unwrap_or(0);
        if (self.is_unique)(id.0) {
            // The same frames on another connection are the same lines.
            return if times == 0 { line_id(&raw) } else { line_id(&format!("{raw}:again-{}", times + 1)) };
        }
        let times = self.epoch + times;
        // No tag of a session has this suffix.
        let tag = if times == 0 { self.tag.to_string() } else { format!("{}-{}", self.tag, times + 1) };
        line_id(&format!("{tag}:{raw}"))
    }

    /// Returns true if a vendor's id may already name a line: a unique one may come from an earlier connection, any
    /// other was used on this one.
    pub(crate) fn may_name_a_line(&self, id: VendorId<'_>) -> bool {
        (self.is_unique)(id.0) || self.epoch > 0 || self.used.contains_key(&line_id(&joined(id)))
    }

    /// Returns true if a vendor's id, with this content, names another line than before.
    pub(crate) fn names_another(&self, id: VendorId<'_>, now: &SpeechOfId<'_>, pieces: &LinesById) -> bool {
        let piece = pieces.piece(&self.line(id));
        if now.text.trim().is_empty() {
            return false;
        }
        if (self.is_unique)(id.0) {
            return piece.is_some_and(|piece| piece.is_over() && is_another_ones(piece, now));
        }
        // `None`: the piece is so old that its content is not remembered.
        self.used.contains_key(&line_id(&joined(id))) && piece.is_none_or(|piece| says_something_else(piece, now))
    }

    /// Returns the line of a vendor's id with this content. If it names another line than before, a new line begins,
    /// and what `voice` left open (without it, anybody) belongs to the previous session and is closed as shown.
    pub(crate) fn line_saying(
        &mut self,
        id: VendorId<'_>,
        now: &SpeechOfId<'_>,
        voice: Option<&TokenSpeaker>,
        pieces: &mut LinesById,
        saying: &mut LineInProgress,
        out: &mut Decoded,
    ) -> Arc<str> {
        let key = line_id(&joined(id));
        let piece = pieces.piece(&self.line(id)).filter(|_| !(self.is_unique)(id.0));
        let is_taken_over = piece.is_some_and(|piece| takes_over(piece, now));
        let is_another = self.names_another(id, now, pieces);
        if (is_another || !(self.is_unique)(id.0)) && self.used.len() == COUNTERS_MAX && !self.used.contains_key(&key) {
            self.epoch += 1 + self.used.values().max().copied().unwrap_or(0);
            self.used.clear();
        }
        if is_another {
            *self.used.entry(key).or_default() += 1;
            pieces.let_stand(voice, saying);
            out.fault(DecodeFaultKind::Odd, OTHER_LINE);
        } else if is_taken_over {
            out.fault(DecodeFaultKind::Odd, OTHER_SPEAKER);
        } else if !(self.is_unique)(id.0) && !self.used.contains_key(&key) {
            self.used.insert(key, 0);
        }
        self.line(id)
    }
}

/// Joins a vendor's id and its speaker into one unique string. With a character that no line id may contain, it is
/// later replaced by a hash.
fn joined<'a>((id, who): VendorId<'a>) -> Cow<'a, str> {
    match who {
        "" => id.into(),
        who if id.contains(':') => format!("{id}\0{who}").into(),
        who => format!("{id}:{who}").into(),
    }
}

/// Current content under a vendor's id.
#[derive(Debug)]
pub(crate) struct SpeechOfId<'a> {
    pub(crate) text: &'a str,
    pub(crate) start_ms: Option<MediaMs>,
    pub(crate) end_ms: Option<MediaMs>,
    /// Its speaker; another name shows that the content is another piece.
    pub(crate) who: &'a TokenSpeaker,
}

/// Returns whether the current content differs from `piece` and is no better version of it.
pub(crate) fn says_something_else(piece: &SpeechPiece, now: &SpeechOfId<'_>) -> bool {
    if piece.is_over() {
        return !is_same_speech(piece, now);
    }
    // An interim version may become any other, but it does not go back in time, and no other speaker continues it.
    let fell = piece.start_ms().zip(now.start_ms).is_some_and(|(known, start)| known - start > MOVED_MS);
    fell && !share_a_word(&piece.text(), now.text) || is_by_another(piece, now) && stands_apart(piece, now)
}

/// Returns true if the current content of a final line is the same piece of speech: at the same time, with mostly the
/// same words, and by the same speaker or at exactly the same time, as when a vendor learns late who spoke.
fn is_same_speech(piece: &SpeechPiece, now: &SpeechOfId<'_>) -> bool {
    let moved_ms = moved_ms(piece, now);
    if is_by_another(piece, now) {
        let is_there = moved_ms.map_or(words(&piece.text()) == words(now.text), |moved| moved <= SAME_PLACE_MS);
        return is_there && !stands_apart(piece, now) && says_the_same(&piece.text(), now.text);
    }
    moved_ms.is_none_or(|moved| moved <= MOVED_MS) && !stands_apart(piece, now) && is_alike(piece, now)
}

/// Returns whether a final line with a unique id was said by another speaker, or at another time.
fn is_another_ones(piece: &SpeechPiece, now: &SpeechOfId<'_>) -> bool {
    if is_by_another(piece, now) {
        return !says_the_same(&piece.text(), now.text);
    }
    moved_ms(piece, now).is_some_and(|moved| moved > MOVED_MS) && !is_alike(piece, now)
}

/// Returns the distance between the start of the current content and that of `piece`.
fn moved_ms(piece: &SpeechPiece, now: &SpeechOfId<'_>) -> Option<MediaMs> {
    piece.start_ms().zip(now.start_ms).map(|(known, start)| (known - start).abs())
}

/// Returns whether the current content has most words of `piece`, or consists mostly of them.
fn is_alike(piece: &SpeechPiece, now: &SpeechOfId<'_>) -> bool {
    let start = |text: &str| words(&text[..text.floor_char_boundary(COMPARED_BYTES_MAX)]);
    are_alike(&start(&piece.text()), &start(now.text))
}

/// Returns whether the current content begins after the end of `piece`, or ends before its start.
fn stands_apart(piece: &SpeechPiece, now: &SpeechOfId<'_>) -> bool {
    let span = |start: Option<MediaMs>, end: Option<MediaMs>| start.zip(end).filter(|(start, end)| start < end);
    let known = span(piece.start_ms(), piece.end_ms());
    let is_behind = known.zip(now.start_ms).is_some_and(|((_, end), start)| start >= end);
    let is_before = piece.start_ms().zip(span(now.start_ms, now.end_ms)).is_some_and(|(start, (_, end))| end <= start);
    is_behind || is_before
}

/// Returns true if a final line now belongs to another speaker.
pub(crate) fn takes_over(piece: &SpeechPiece, now: &SpeechOfId<'_>) -> bool {
    piece.is_over() && !now.text.trim().is_empty() && is_by_another(piece, now)
}

/// Returns true if the speaker has another name. A numbered voice that gets a name is not another speaker.
fn is_by_another(piece: &SpeechPiece, now: &SpeechOfId<'_>) -> bool {
    let (known, who) = (piece.label(), now.who);
    let are_two = matches!((known, who), (TokenSpeaker::Named(known), TokenSpeaker::Named(name)) if known != name);
    are_two && known.is_numbered() == who.is_numbered()
}

/// Returns true if an id is random, whichever vendor made it: a UUID, a ULID, or an unbroken string of letters and
/// digits that changes kind more often than counters do.
pub(crate) fn is_random(id: &str) -> bool {
    let id = id.rsplit('_').next().unwrap_or_default();
    is_uuid(id) || is_ulid(id) || is_dense(id)
}

/// Returns true if an id is a UUID, with or without dashes. One that begins with zeros is a counter in the form of a
/// UUID.
pub(crate) fn is_uuid(id: &str) -> bool {
    let groups: Vec<&str> = id.split('-').collect();
    let are_groups =
        groups.len() == 5 && groups.iter().zip([8, 4, 4, 4, 12]).all(|(group, length)| is_hex(group, length));
    (are_groups || is_hex(id, 32)) && !id.starts_with("00000000")
}

/// Returns true if `text` consists of `length` hexadecimal digits.
pub(crate) fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Recognizes a ULID of these decades: 26 digits and capitals without I, L, O and U, the first ten of which encode a
/// time.
fn is_ulid(id: &str) -> bool {
    let is_digit = |b: u8| b.is_ascii_digit() || b.is_ascii_uppercase() && !matches!(b, b'I' | b'L' | b'O' | b'U');
    id.len() == 26 && id.starts_with("01") && id.bytes().all(is_digit)
}

fn is_dense(id: &str) -> bool {
    let kind = |b: u8| (b.is_ascii_digit(), b.is_ascii_uppercase());
    // A capital and the lower-case letters after it are one word.
    let changes =
        |pair: &[u8]| kind(pair[0]) != kind(pair[1]) && !(pair[0].is_ascii_uppercase() && pair[1].is_ascii_lowercase());
    let count = id.as_bytes().windows(2).filter(|pair| changes(pair)).count();
    id.len() >= RANDOM_CHARS_MIN
        && id.bytes().all(|b| b.is_ascii_alphanumeric())
        && count * 100 >= (id.len() - 1) * RANDOM_CHANGES_PERCENT_MIN
}

/// Converts a vendor's own id to a line id: unchanged if it is valid, leaves room for part numbers, and cannot be one
/// made here (`7.2` is the second part of `7`, `7-g` the interim line after it); otherwise a hash.
pub(crate) fn line_id(raw: &str) -> Arc<str> {
    let is_part =
        raw.rsplit_once('.').is_some_and(|(_, part)| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let is_made_here = is_part || raw.ends_with("-g") || raw.strip_prefix("x-").is_some_and(|hash| is_hex(hash, 32));
    if raw.len() <= 100 && !is_made_here && check_line_id(raw).is_ok() {
        return raw.into();
    }
    let hash = Sha256::digest(raw.as_bytes());
    hash[..16].iter().fold(String::from("x-"), |id, byte| format!("{id}{byte:02x}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_as_a_table() {
        for id in
            ["6f1e8d1c-0000-4000-8000-000000000001", "SG_4hT9xQ2mLw8z", "01HZX3K8Q9W2VB5T7RJ4N6M0YC", "s1d24ax2fd21"]
        {
            assert!(is_random(id), "{id}");
        }
        for id in
            ["", "1", "42", "SG_a", "SG_1", "seg-12", "segment12", "segment_000012", "Utterance 7", "u1:ch-0:1:3000"]
        {
            assert!(!is_random(id), "{id}");
        }
    }

    /// Ids that are counters name new lines on another connection, and when they start again.
    #[test]
    fn counters_name_new_lines_when_they_begin_again() {
        let (mut ids, mut pieces, mut out) =
            (VendorIds::new("t".into(), is_random), LinesById::default(), Decoded::default());
        let mut say = |raw: &str, text: &str, start_ms: i64, status: Status| {
            let now = SpeechOfId { text, start_ms: Some(start_ms), end_ms: None, who: &TokenSpeaker::Unsaid };
            let id = ids.line_saying((raw, ""), &now, None, &mut pieces, &mut LineInProgress::default(), &mut out);
            let token = SpeechToken { text: text.into(), start_ms: Some(start_ms), ..SpeechToken::default() };
            let (options, mut saying) = (Options::new("t"), LineInProgress::default());
            pieces.say(&id, &[token], status, &LineFacts::default(), &options, &mut saying);
            id.to_string()
        };
        use Status::{Final, Interim};
        assert_eq!(say("1", "the", 500, Interim), "t:1");
        assert_eq!(say("1", "A vote", 900, Interim), "t:1");
        assert_eq!(say("1", "The vote is carried.", 500, Final), "t:1");
        // The same text with punctuation, and corrected; then at another time or with other words.
        assert_eq!(say("1", "The vote was carried!", 600, Final), "t:1");
        assert_eq!(say("1", "The vote was carried!", 9_000, Final), "t-2:1");
        assert_eq!(say("1", "All rise.", 9_000, Interim), "t-3:1");
        assert_eq!(say("2", "Next.", 9_500, Final), "t:2");
        // So many pieces later that the text is not remembered.
        for number in 3..100 {
            say(&number.to_string(), "And so on.", 10_000 * number, Final);
        }
        assert_eq!(say("2", "Next.", 9_500, Final), "t-2:2");
        // A random id is kept, unless something else is said under it at another time.
        let random = "SG_4hT9xQ2mLw8z";
        assert_eq!((say(random, "One.", 1, Final), say(random, "Two.", 500, Final)), (random.into(), random.into()));
        assert_eq!(say(random, "Two.", 99_000, Final), random);
        assert_eq!(say(random, "Three.", 1, Final), format!("{random}:again-2"));
        assert_eq!(out.faults.len(), 4, "{:?}", out.faults);
    }

    #[test]
    fn any_id_becomes_one_of_ours() {
        assert_eq!(&*line_id("sess-uid:ch-0:1:1500"), "sess-uid:ch-0:1:1500");
        for odd in ["", "a b", "Ä", "a/b", &"x".repeat(101)] {
            let id = line_id(odd);
            assert!(check_line_id(&id).is_ok() && id.len() == 34, "{id}");
        }
        assert_ne!(line_id("a b"), line_id("a  b"));
    }
}
