//! Background work: idle clocks, lost sources and retention, the search index, and messages from other nodes.

pub(super) mod cluster_node;
mod index_page;
mod index_progress;
pub(super) mod maintenance;
pub(super) mod search_indexer;
