//! A histogram in which one observation can count for many readers.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Locks a mutex, and ignores that a panic may have poisoned it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A histogram. Clones share their data.
#[derive(Debug, Clone)]
pub(crate) struct SharedHistogram(Arc<Mutex<CountedValue>>);

#[derive(Debug, Default)]
struct CountedValue {
    sum: f64,
    count: u64,
    /// Number of observations per bucket: up to each bound and above the one before.
    buckets: Vec<(f64, u64)>,
}

impl SharedHistogram {
    /// Creates a histogram with these ascending upper bounds and a last bucket for larger values.
    pub(crate) fn new(bounds: impl IntoIterator<Item = f64>) -> Self {
        let buckets = bounds.into_iter().chain([f64::INFINITY]).map(|bound| (bound, 0)).collect();
        Self(Arc::new(Mutex::new(CountedValue { buckets, ..CountedValue::default() })))
    }

    /// Adds `times` observations of `value`.
    pub(crate) fn observe(&self, value: f64, times: u64) {
        let mut counted = lock(&self.0);
        counted.sum += value * times as f64;
        counted.count += times;
        if let Some((_, count)) = counted.buckets.iter_mut().find(|(bound, _)| value <= *bound) {
            *count += times;
        }
    }
}

impl EncodeMetric for SharedHistogram {
    fn encode(&self, mut encoder: MetricEncoder) -> fmt::Result {
        let counted = lock(&self.0);
        encoder.encode_histogram::<NoLabelSet>(counted.sum, counted.count, &counted.buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::registry::{Metric, Registry};

    use super::*;

    #[test]
    fn it_tells_what_one_tells_that_was_asked_for_each() {
        let (shared, each) = (SharedHistogram::new([1.0, 2.0]), Histogram::new([1.0, 2.0]));
        for (value, times) in [(0.5, 3), (1.0, 1), (1.5, 0), (2.0, 2), (9.0, 4)] {
            shared.observe(value, times);
            (0..times).for_each(|_| each.observe(value));
        }
        assert_eq!(text(shared), text(each));
    }

    fn text(metric: impl Metric) -> String {
        let (mut registry, mut text) = (Registry::default(), String::new());
        registry.register("waits", "Waits", metric);
        encode(&mut text, &registry).expect("text");
        text
    }
}
