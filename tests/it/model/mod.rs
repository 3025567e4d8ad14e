//! The fold and the whole server against independent models.

mod fold;
#[cfg(tokio_unstable)]
mod sim;
