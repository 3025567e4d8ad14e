//! Files and vendors' formats.

mod corpora;
mod dialects;
mod files;
mod hls;
