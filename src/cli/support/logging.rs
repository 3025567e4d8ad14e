//! Logging of the process: log lines on stderr and, with the feature `opentelemetry`, traces to a collector.

use anyhow::Context;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Keeps logging active. If dropped, it sends the remaining traces to the collector.
#[derive(Debug, Default)]
pub(crate) struct Logging {
    #[cfg(feature = "opentelemetry")]
    traces: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

/// Starts logging with the filter from `CAPTIONWIRE_LOG`, or with the level `default`.
pub(crate) fn start(default: &str, is_json: bool) -> anyhow::Result<Logging> {
    let filter = EnvFilter::builder();
    let filter = match std::env::var("CAPTIONWIRE_LOG") {
        Ok(wanted) => filter.parse(&wanted).with_context(|| format!("CAPTIONWIRE_LOG={wanted}"))?,
        Err(_) => filter.parse_lossy(default),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never)
        // Otherwise it would report its own failures on stderr, and panic if stderr is closed.
        .log_internal_errors(false);
    let lines: BoxedLayer =
        if is_json { lines.json().with_filter(filter).boxed() } else { lines.with_filter(filter).boxed() };
    #[cfg_attr(not(feature = "opentelemetry"), expect(unused_mut, reason = "there is one layer only"))]
    let mut layers = vec![lines];
    #[cfg_attr(not(feature = "opentelemetry"), expect(unused_mut, reason = "there is nothing to keep"))]
    let mut logging = Logging::default();
    #[cfg(feature = "opentelemetry")]
    if let Some((traces, layer)) = crate::cli::support::logging::traces::start()? {
        logging.traces = Some(traces);
        layers.push(layer);
    }
    // If a subscriber is installed already, that one stays.
    let _ = tracing_subscriber::registry().with(layers).try_init();
    Ok(logging)
}

#[cfg(feature = "opentelemetry")]
mod traces {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_otlp::SpanExporter;
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    /// Variables that name a collector, by the specification of OpenTelemetry; its other variables are effective too.
    const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    /// All spans of this program: connections, requests, and messages until they are durable.
    const SPANS: &str = "captionwire=debug";

    pub(crate) fn start() -> anyhow::Result<Option<(SdkTracerProvider, BoxedLayer)>> {
        if !ENDPOINTS.iter().any(|name| std::env::var_os(name).is_some()) {
            return Ok(None);
        }
        crate::client::install_tls_provider();
        let exporter = SpanExporter::builder().with_http().build().context("traces cannot be sent")?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("captionwire");
        }
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("captionwire"));
        Ok(Some((provider, layer.with_filter(EnvFilter::builder().parse_lossy(SPANS)).boxed())))
    }

    impl Drop for Logging {
        fn drop(&mut self) {
            if let Some(Err(error)) = self.traces.take().map(|traces| traces.shutdown()) {
                tracing::warn!(%error, "the last traces were not sent");
            }
        }
    }
}
