//! The wire form of a publisher's message: its fields by name, and the names of unknown fields.
//!
//! Deserialized by hand, not by `derive`: this collects the names of unknown fields in the same pass, and costs nothing
//! if there are none.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::transcript::serde_arc::{maybe_text, text};
use crate::transcript::{Break, MediaMs, Status, Word};
use crate::wire::publisher::fields::{FieldPlace, UnknownField};

/// Most unknown fields reported for one message.
const UNKNOWN_MAX: usize = 8;

/// The fields of all publishers' messages, and of a line in `lines` or in a request.
#[derive(Debug, Default)]
pub(crate) struct RawMessage<'a> {
    pub(crate) kind: Option<Cow<'a, str>>,
    pub(crate) seq: Option<u64>,
    pub(crate) id: Option<Arc<str>>,
    pub(crate) rev: Option<u64>,
    pub(crate) start_ms: Option<MediaMs>,
    pub(crate) end_ms: Option<MediaMs>,
    pub(crate) speaker: Option<Arc<str>>,
    pub(crate) text: Option<Arc<str>>,
    pub(crate) status: Option<Status>,
    pub(crate) lang: Option<Arc<str>>,
    pub(crate) break_before: Option<Break>,
    pub(crate) words: Vec<Word>,
    pub(crate) media_ms: Option<MediaMs>,
    pub(crate) lines: Option<Vec<&'a RawValue>>,
    pub(crate) unknown: Vec<UnknownField>,
}

/// A string, borrowed from the message if it has no escapes.
struct BorrowedText<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for BorrowedText<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BorrowedVisitor;
        impl<'de> Visitor<'de> for BorrowedVisitor {
            type Value = BorrowedText<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(BorrowedText(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(BorrowedText(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(BorrowedVisitor)
    }
}

/// A shared string, or null.
struct RawOptionalText(Option<Arc<str>>);

impl<'de> Deserialize<'de> for RawOptionalText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        maybe_text(deserializer).map(Self)
    }
}

/// A word, and its unknown fields.
struct RawWord(Word, Vec<UnknownField>);

impl<'de> Deserialize<'de> for RawWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WordVisitor)
    }
}

struct WordVisitor;

impl<'de> Visitor<'de> for WordVisitor {
    type Value = RawWord;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawWord, A::Error> {
        struct RawText(Arc<str>);
        impl<'de> Deserialize<'de> for RawText {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                text(deserializer).map(Self)
            }
        }
        let (mut text, mut start_ms, mut end_ms, mut confidence) = (None, None, None, None);
        let (mut seen, mut unknown) = (0_u16, Vec::new());
        while let Some(BorrowedText(key)) = map.next_key()? {
            match &*key {
                "text" => {
                    once(&mut seen, 0, "text")?;
                    text = Some(map.next_value::<RawText>()?.0);
                }
                "start_ms" => {
                    once(&mut seen, 1, "start_ms")?;
                    start_ms = Some(map.next_value()?);
                }
                "end_ms" => {
                    once(&mut seen, 2, "end_ms")?;
                    end_ms = map.next_value()?;
                }
                "confidence" => {
                    once(&mut seen, 3, "confidence")?;
                    confidence = map.next_value()?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    note(&mut unknown, FieldPlace::Word, &key);
                }
            }
        }
        let text = text.ok_or_else(|| A::Error::missing_field("text"))?;
        let start_ms = start_ms.ok_or_else(|| A::Error::missing_field("start_ms"))?;
        Ok(RawWord(Word { text, start_ms, end_ms, confidence }, unknown))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawMessage<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MessageVisitor;
        impl<'de> Visitor<'de> for MessageVisitor {
            type Value = RawMessage<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawMessage<'de>, A::Error> {
                let mut raw = RawMessage::default();
                let mut seen = 0_u16;
                while let Some(BorrowedText(key)) = map.next_key()? {
                    raw.take(&key, &mut seen, &mut map)?;
                }
                Ok(raw)
            }
        }
        deserializer.deserialize_map(MessageVisitor)
    }
}

impl<'de> RawMessage<'de> {
    /// Stores the value of one field.
    fn take<A: MapAccess<'de>>(&mut self, key: &str, seen: &mut u16, map: &mut A) -> Result<(), A::Error> {
        match key {
            "type" => {
                once(seen, 0, "type")?;
                self.kind = map.next_value::<Option<BorrowedText<'de>>>()?.map(|kind| kind.0);
            }
            "seq" => {
                once(seen, 1, "seq")?;
                self.seq = map.next_value()?;
            }
            "id" => {
                once(seen, 2, "id")?;
                self.id = map.next_value::<RawOptionalText>()?.0;
            }
            "rev" => {
                once(seen, 3, "rev")?;
                self.rev = map.next_value()?;
            }
            "start_ms" => {
                once(seen, 4, "start_ms")?;
                self.start_ms = map.next_value()?;
            }
            "end_ms" => {
                once(seen, 5, "end_ms")?;
                self.end_ms = map.next_value()?;
            }
            "speaker" => {
                once(seen, 6, "speaker")?;
                self.speaker = map.next_value::<RawOptionalText>()?.0;
            }
            "text" => {
                once(seen, 7, "text")?;
                self.text = map.next_value::<RawOptionalText>()?.0;
            }
            "status" => {
                once(seen, 8, "status")?;
                self.status = map.next_value()?;
            }
            "lang" => {
                once(seen, 9, "lang")?;
                self.lang = map.next_value::<RawOptionalText>()?.0;
            }
            "break" => {
                once(seen, 10, "break")?;
                self.break_before = map.next_value()?;
            }
            "words" => {
                once(seen, 11, "words")?;
                let words = map.next_value::<Option<Vec<RawWord>>>()?.unwrap_or_default();
                self.words.reserve_exact(words.len());
                for RawWord(word, unknown) in words {
                    self.words.push(word);
                    let room = UNKNOWN_MAX.saturating_sub(self.unknown.len());
                    self.unknown.extend(unknown.into_iter().take(room));
                }
            }
            "media_ms" => {
                once(seen, 12, "media_ms")?;
                self.media_ms = map.next_value()?;
            }
            "lines" => {
                once(seen, 13, "lines")?;
                self.lines = map.next_value()?;
            }
            _ => {
                map.next_value::<IgnoredAny>()?;
                note(&mut self.unknown, FieldPlace::Message, key);
            }
        }
        Ok(())
    }
}

/// Refuses a duplicate field, because either value could be meant.
fn once<E: Error>(seen: &mut u16, bit: u16, name: &'static str) -> Result<(), E> {
    if *seen & (1 << bit) != 0 {
        return Err(E::duplicate_field(name));
    }
    *seen |= 1 << bit;
    Ok(())
}

fn note(unknown: &mut Vec<UnknownField>, place: FieldPlace, name: &str) {
    if unknown.len() < UNKNOWN_MAX {
        unknown.push(UnknownField::new(place, name));
    }
}
