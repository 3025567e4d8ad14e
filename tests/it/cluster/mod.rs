//! Several nodes on one log.

mod jetstream;
mod nodes;
mod proxies;
mod two_nodes;
