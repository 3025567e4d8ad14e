//! Commands, documents, metrics and whatever else operators meet.

mod architecture;
mod bench;
mod codes;
mod commands;
mod deliveries;
mod docs;
mod examples;
mod forward_proxies;
mod metrics;
mod not_implemented;
mod openapi;
mod recipes;
mod search;
mod source_style;
#[cfg(feature = "opentelemetry")]
mod traces;
