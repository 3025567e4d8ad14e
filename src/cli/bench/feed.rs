//! Lines in flight in one feed, and the subscribers that lack them.

use std::collections::VecDeque;

use super::load_stats::LoadStats;

/// State of one feed in the load.
#[derive(Debug, Default)]
pub(super) struct LoadFeed {
    /// True if its publisher may send.
    pub(super) is_open: bool,
    /// Number of lines sent, which is the number of the next one.
    pub(super) sent: u32,
    /// Number of lines acknowledged by the server.
    pub(super) acked: u64,
    /// Number of the first line whose latency is recorded.
    pub(super) recorded_from: u32,
    /// Subscribers that get lines sent from now on.
    pub(super) subscribers: u32,
    /// Limit of unacknowledged lines, if the server has announced one.
    unacked_max: Option<usize>,
    /// Number of lines that the server had when the publisher connected.
    kept: Option<u64>,
    /// Due times of unacknowledged lines, oldest first.
    unacked: VecDeque<u64>,
    /// Number of the first line that some subscriber lacks.
    pub(super) everywhere: u32,
    /// Number of subscribers that lack it, for each line from there on.
    missing: VecDeque<u32>,
}

impl LoadFeed {
    /// Notes what the server told its publisher in its first message.
    pub(super) fn welcomed(&mut self, kept: Option<u64>, unacked_max: Option<u64>) {
        self.kept = kept;
        self.unacked_max = unacked_max.map(|lines| usize::try_from(lines).unwrap_or(usize::MAX));
    }

    /// Counts a line that is sent now and was due at `due`; returns its number.
    pub(super) fn send(&mut self, due: u64, is_acked: bool) -> u32 {
        let number = self.sent;
        self.sent += 1;
        if self.subscribers > 0 {
            self.missing.push_back(self.subscribers);
        } else {
            self.everywhere = self.sent;
        }
        if is_acked {
            self.unacked.push_back(due);
        }
        number
    }

    /// Notes that one more subscriber has line `number`.
    pub(super) fn delivered(&mut self, number: u32) {
        let Some(missing) = number.checked_sub(self.everywhere).and_then(|at| self.missing.get_mut(at as usize)) else {
            return;
        };
        *missing = missing.saturating_sub(1);
        while self.missing.front() == Some(&0) {
            self.missing.pop_front();
            self.everywhere += 1;
        }
    }

    /// Notes that the server has the first `count` lines.
    pub(super) fn acknowledged(&mut self, count: u64, now: u64, tally: &mut LoadStats) -> Result<(), String> {
        if count > u64::from(self.sent) {
            return Err(format!("{count} lines are acknowledged, and {} were sent", self.sent));
        }
        while self.acked < count {
            self.acked += 1;
            if let Some(due) = self.unacked.pop_front()
                && tally.is_recording
            {
                tally.acks.saturating_record(now.saturating_sub(due));
            }
        }
        Ok(())
    }

    /// Returns the number of lines that some subscriber lacks or, without subscribers, of those that are not
    /// acknowledged.
    pub(super) fn under_way(&self) -> usize {
        if self.subscribers > 0 { self.missing.len() } else { self.unacked.len() }
    }

    /// Returns the number of lines that may be sent before the server has to acknowledge some.
    pub(super) fn room(&self) -> usize {
        self.unacked_max.map_or(usize::MAX, |most| most.saturating_sub(self.unacked.len()))
    }

    pub(super) fn is_settled(&self) -> bool {
        self.missing.is_empty() && self.unacked.is_empty()
    }

    /// Returns the lines to send again to a restarted server, with their due times. Lines that it has, but had not
    /// acknowledged, count as acknowledged.
    pub(super) fn lines_to_send_again(&mut self) -> Vec<(u32, u64)> {
        let kept = self.kept.unwrap_or(0).clamp(self.acked, u64::from(self.sent));
        self.unacked.drain(..((kept - self.acked) as usize).min(self.unacked.len()));
        self.acked = kept;
        (self.acked as u32..).zip(self.unacked.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_under_way_until_the_last_subscriber_has_it() {
        let mut feed = LoadFeed { subscribers: 2, ..LoadFeed::default() };
        assert_eq!((feed.send(5, true), feed.send(6, true)), (0, 1));
        for (number, under_way) in [(0, 2), (1, 2), (1, 2), (0, 0)] {
            feed.delivered(number);
            assert_eq!(feed.under_way(), under_way, "{number}");
        }
        assert_eq!(feed.everywhere, 2);
        assert!(!feed.is_settled(), "nothing is acknowledged");
        let mut tally = LoadStats::default();
        feed.acknowledged(2, 10, &mut tally).expect("two were sent");
        assert!(feed.is_settled());
        assert!(feed.acknowledged(3, 10, &mut tally).is_err());
    }

    #[test]
    fn what_a_server_has_is_not_sent_again() {
        let mut feed = LoadFeed::default();
        (0..6).for_each(|due| _ = feed.send(due, true));
        feed.acknowledged(2, 10, &mut LoadStats::default()).expect("sent");
        feed.welcomed(Some(4), Some(3));
        assert_eq!(feed.lines_to_send_again(), [(4, 4), (5, 5)]);
        assert_eq!((feed.acked, feed.under_way(), feed.room()), (4, 2, 1));
    }
}
