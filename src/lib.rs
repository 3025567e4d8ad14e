//! captionwire: live captions in, speaker turns out, nothing lost on the way.

pub mod position;
pub mod transcript;
pub mod wire;
