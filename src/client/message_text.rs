//! Text of a received message.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Text of a received message: the received bytes themselves, so that a clone copies nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageText(Utf8Bytes);

impl MessageText {
    pub(super) fn new(text: Utf8Bytes) -> Self {
        Self(text)
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Deref for MessageText {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for MessageText {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl From<MessageText> for Bytes {
    fn from(text: MessageText) -> Self {
        text.0.into()
    }
}

impl fmt::Display for MessageText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for MessageText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
