//! Enums whose names are read from messages, and that later versions may extend.
//!
//! Their own `Deserialize` accepts the names that this version has: a server refuses others in what it is sent, and a log
//! has no others. Messages to clients use these functions, because a client may be older than its server: a name that it
//! does not know is [`GrowingEnum::UNKNOWN`], and the rest of the message is as good as ever.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, Visitor};

/// An enum of names that later versions may extend.
pub(crate) trait GrowingEnum: for<'de> Deserialize<'de> {
    /// Value of a name that this version does not have.
    const UNKNOWN: Self;
}

/// Deserializes a name; for `#[serde(deserialize_with = …)]`.
pub(crate) fn name<'de, T: GrowingEnum, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_str(GrowingName(PhantomData))
}

/// Deserializes a name or null; for `#[serde(default, deserialize_with = …)]`.
pub(crate) fn maybe_name<'de, T: GrowingEnum, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    deserializer.deserialize_option(OptionalName(PhantomData))
}

struct GrowingName<T>(PhantomData<T>);

impl<T: GrowingEnum> Visitor<'_> for GrowingName<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<T, E> {
        let known = T::deserialize(IntoDeserializer::<serde::de::value::Error>::into_deserializer(name));
        Ok(known.unwrap_or(T::UNKNOWN))
    }
}

struct OptionalName<T>(PhantomData<T>);

impl<'de, T: GrowingEnum> Visitor<'de> for OptionalName<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or null")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        name(deserializer).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;
    use crate::transcript::{Break, FeedState, Mark, MarkKind, TimeSource};

    /// A server takes the names that it has, and not even that of the catch-all.
    #[test]
    fn only_messages_to_clients_have_other_names() {
        fn refuses<T: GrowingEnum + Debug>() {
            for name in ["\"of a newer server\"", "\"unknown\"", "\"Unknown\"", "7", "null"] {
                assert!(serde_json::from_str::<T>(name).is_err(), "{name}");
            }
        }
        refuses::<Break>();
        refuses::<TimeSource>();
        refuses::<MarkKind>();
        refuses::<FeedState>();
        let read = |kind: &str| serde_json::from_str::<Mark>(&format!(r#"{{"kind":{kind},"start":0,"end":1}}"#));
        assert_eq!(read("\"music\"").expect("a mark").kind, MarkKind::Music);
        assert_eq!(read("\"whispered\"").expect("a mark").kind, MarkKind::Unknown);
        assert!(read("7").is_err());
    }
}
