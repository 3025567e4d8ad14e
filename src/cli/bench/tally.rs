//! The results of a load so far.

use hdrhistogram::Histogram;

use super::check::Faults;

/// What came of it so far.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) faults: Faults,
    /// Subscribers that became ready.
    pub(super) ready: usize,
    /// Late joiners that have got all there was.
    pub(super) complete: usize,
    pub(super) deliveries: u64,
    /// What came over the sockets.
    pub(super) bytes: u64,
    pub(super) is_recording: bool,
    /// Nanoseconds from when a line was due until a subscriber had it.
    pub(super) latency: Histogram<u64>,
    /// Nanoseconds from when a line was due until it was acknowledged.
    pub(super) acks: Histogram<u64>,
}

impl Default for Tally {
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

/// Up to ten minutes in nanoseconds, with an error of a thousandth.
fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000_000, 3).expect("bounds that a histogram can have")
}
