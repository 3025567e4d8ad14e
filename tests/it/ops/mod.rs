//! Commands, documents, metrics and whatever else operators meet.

mod architecture;
mod bench;
mod commands;
mod deliveries;
mod docs;
mod examples;
mod forward_proxies;
mod metrics;
mod openapi;
mod search;
#[cfg(feature = "opentelemetry")]
mod traces;
