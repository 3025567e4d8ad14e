//! Results of a load so far.

use hdrhistogram::Histogram;

use super::check::Faults;

/// Results of a load so far.
#[derive(Debug)]
pub(super) struct LoadStats {
    pub(super) faults: Faults,
    /// Number of subscribers that became ready.
    pub(super) ready: usize,
    /// Number of late joiners that have everything.
    pub(super) complete: usize,
    pub(super) deliveries: u64,
    /// Bytes received on all sockets.
    pub(super) bytes: u64,
    pub(super) is_recording: bool,
    /// Nanoseconds from the due time of a line until a subscriber had it.
    pub(super) latency: Histogram<u64>,
    /// Nanoseconds from the due time of a line until it was acknowledged.
    pub(super) acks: Histogram<u64>,
}

impl Default for LoadStats {
    fn default() -> Self {
        Self {
            faults: Faults::default(),
            ready: 0,
            complete: 0,
            deliveries: 0,
            bytes: 0,
            is_recording: false,
            latency: latencies(),
            acks: latencies(),
        }
    }
}

/// Returns a histogram for up to ten minutes in nanoseconds, with a precision of a thousandth.
fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000_000, 3).expect("bounds that a histogram can have")
}
