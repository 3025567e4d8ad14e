//! Work in the background.

pub(super) mod cluster_node;
pub(super) mod maintenance;
pub(super) mod search_indexer;
