//! All integration tests, in one binary: the real server, by subject.

mod support;

mod cluster;
mod durability;
mod formats;
mod model;
mod ops;
mod protocol;
