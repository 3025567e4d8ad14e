//! A histogram of what happens to many at once: one observation that counts as often as there are readers.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Locks a mutex whose data is good after a panic, too.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts observations by their size. Clones are one and the same.
#[derive(Debug, Clone)]
pub(crate) struct SharedHistogram(Arc<Mutex<CountedValue>>);

#[derive(Debug, Default)]
struct CountedValue {
    sum: f64,
    count: u64,
    /// The observations up to each bound that are above the bound before it.
    buckets: Vec<(f64, u64)>,
}

impl SharedHistogram {
    /// One with these upper bounds, which rise, and one for what is beyond.
    pub(crate) fn new(bounds: impl IntoIterator<Item = f64>) -> Self {
        let buckets = bounds.into_iter().chain([f64::INFINITY]).map(|bound| (bound, 0)).collect();
        Self(Arc::new(Mutex::new(CountedValue { buckets, ..CountedValue::default() })))
    }

    /// So many had `value`.
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
