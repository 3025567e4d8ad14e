//! Resends: decides whether a message under a used number equals the one that was stored under it.
//!
//! The latest messages of a connection are remembered; for all others the log is read. Numbers rise within a session,
//! both in the log and in a publisher that resends everything, so one pass over the log answers for any number of
//! resends.

use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;

use crate::feed::{Feed, FeedReader, FeedRecord, LiveView, ReadEnd};
use crate::log::LogError;
use crate::position::Offset;
use crate::server::ingest::identity::PublisherIdentity;
use crate::transcript::{Op, PublishedBy, Record, Timestamp, Version};
use crate::wire::Incoming;

/// Messages remembered per connection (32 KiB): twice the default limit of unacknowledged messages, so that a publisher
/// that sends each message twice, or resends all unacknowledged ones, causes no reads of the log.
const REMEMBERED_MAX: usize = 2048;
/// Log positions remembered: a publisher that goes back finds one nearby.
const MARKS_MAX: usize = 1024;
/// Fewest records between two remembered positions.
const MARK_EVERY: usize = 512;

/// Result of comparing a message under a used number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resend {
    /// It equals the message stored under the number.
    Same,
    /// It differs from it.
    Other,
    /// Nothing is stored under the number: the message was refused.
    NotTaken,
}

/// Hashes of the latest messages that a connection accepted.
#[derive(Debug, Default)]
pub(super) struct RecentMessages {
    messages: VecDeque<(u64, u64)>,
    hasher: foldhash::fast::RandomState,
}

impl RecentMessages {
    /// Remembers the message `seq`, which is greater than all before.
    pub(super) fn push(&mut self, seq: u64, text: &str) {
        if self.messages.len() == REMEMBERED_MAX {
            self.messages.pop_front();
        }
        self.messages.push_back((seq, self.hasher.hash_one(text)));
    }

    /// Returns true if the message `seq` is remembered, byte for byte.
    pub(super) fn has(&self, seq: u64, text: &str) -> bool {
        let found = self.messages.binary_search_by_key(&seq, |(seq, _)| *seq);
        found.is_ok_and(|index| self.messages[index].1 == self.hasher.hash_one(text))
    }
}

/// Reader of one session's messages in the log. It reads forward as long as numbers are looked up in rising order.
pub(super) struct SessionLog {
    publisher: PublisherIdentity,
    /// Knows positions of the session in the log. If two records have one number, the first counts; reading therefore
    /// begins only at these positions.
    view: Arc<LiveView>,
    /// False if lines may have been stored without their times.
    are_times_kept: bool,
    reading: Option<SessionLogScan>,
    /// Numbers, each with a log offset before which the session has no record of that number or a higher one.
    marks: BTreeMap<u64, Offset>,
    /// Lines of the message found last that were not stored with it.
    untaken: Vec<usize>,
}

struct SessionLogScan {
    records: FeedReader,
    /// Records read since a position was remembered.
    unmarked: usize,
    /// The session has no number between this one and that of `found`.
    floor: u64,
    found: Option<(u64, Op)>,
}

impl SessionLogScan {
    /// Reads from `offset` on, before which the session has no number above `floor`.
    async fn open(feed: &Feed, offset: Offset, floor: u64) -> Result<Self, LogError> {
        // Stored records are compared, whatever readers may see of them.
        let records = feed.storage_reader(offset, ReadEnd::LatestHead).await?;
        Ok(Self { records, unmarked: MARK_EVERY, floor, found: None })
    }

    /// Advances to the next record of the session. Returns its number and offset. Cancel-safe.
    async fn advance(&mut self, publisher: &PublisherIdentity) -> Result<Option<(u64, Offset)>, LogError> {
        while let Some(FeedRecord { offset, record, .. }) = self.records.next_record().await? {
            self.unmarked += 1;
            let last = self.found.as_ref().map_or(self.floor, |(seq, _)| *seq);
            let Record { published: Some(PublishedBy { source, session, seq, .. }), op, .. } = record else { continue };
            // A second record with the same number changes nothing and is skipped.
            if source == publisher.source && session == publisher.session && seq > last {
                (self.floor, self.found) = (last, Some((seq, op)));
                return Ok(Some((seq, offset)));
            }
        }
        Ok(None)
    }
}

impl SessionLog {
    pub(super) fn new(publisher: PublisherIdentity, view: Arc<LiveView>, are_times_kept: bool) -> Self {
        Self { publisher, view, are_times_kept, reading: None, marks: BTreeMap::new(), untaken: Vec::new() }
    }

    /// Returns the indices of the lines of the message found last that were not stored with it.
    pub(super) fn take_untaken(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.untaken)
    }

    /// Compares `message` with the log record of number `seq`. Everything that the session appended before must be
    /// durable. Cancel-safe.
    pub(super) async fn find(&mut self, feed: &Feed, seq: u64, message: &Incoming) -> Result<Resend, LogError> {
        let is_behind = self.reading.as_ref().is_some_and(|reading| reading.floor < seq);
        if !is_behind {
            let (floor, from) = self.place_before(seq);
            self.reading = Some(SessionLogScan::open(feed, from, floor).await?);
        }
        let Some(reading) = &mut self.reading else { return Ok(Resend::NotTaken) };
        loop {
            match &reading.found {
                Some((found, op)) if *found == seq => {
                    if !is_same(op, message, self.are_times_kept) {
                        return Ok(Resend::Other);
                    }
                    self.untaken = find_untaken(op, message, self.are_times_kept);
                    return Ok(Resend::Same);
                }
                Some((found, _)) if *found > seq => return Ok(Resend::NotTaken),
                _ => {}
            }
            let Some((found, offset)) = reading.advance(&self.publisher).await? else {
                // The end was reached: the next lookup is for a newer number or goes back. Numbers above the last one
                // need no second search.
                let last = reading.found.as_ref().map_or(reading.floor, |(seq, _)| *seq);
                if let Some(next) = last.checked_add(1) {
                    mark(&mut self.marks, next, reading.records.next_offset());
                }
                self.reading = None;
                return Ok(Resend::NotTaken);
            };
            if reading.unmarked >= MARK_EVERY {
                reading.unmarked = 0;
                mark(&mut self.marks, found, offset);
            }
        }
    }

    /// Returns a number below `seq`, and an offset before which the session has no number above it.
    fn place_before(&self, seq: u64) -> (u64, Offset) {
        let read = self.marks.range(..=seq).next_back().map(|(number, offset)| (number - 1, *offset));
        let PublisherIdentity { source, session, .. } = &self.publisher;
        let folded = self.view.transcript().session_place(source, session, seq);
        read.max(folded).unwrap_or((0, Offset::START))
    }
}

/// Remembers a position. At the limit, drops every second one.
fn mark(marks: &mut BTreeMap<u64, Offset>, seq: u64, offset: Offset) {
    if marks.len() == MARKS_MAX {
        let mut keeps = false;
        marks.retain(|_, _| {
            keeps = !keeps;
            keeps
        });
    }
    marks.insert(seq, offset);
}

/// Returns true if the stored operation equals the message, or the accepted part of it: arrival times do not count, and
/// some lines of several may have been refused ([`find_untaken`]). Unless `are_times_kept`, a line may have been stored
/// without its times.
pub(super) fn is_same(op: &Op, message: &Incoming, are_times_kept: bool) -> bool {
    let is_same_version = |logged: &Version, sent: &Version| is_same_version(logged, sent, are_times_kept);
    match (op, message) {
        (Op::Line { lines, .. }, Incoming::Line(version)) => {
            matches!(&lines[..], [logged] if is_same_version(logged, version))
        }
        (Op::Line { lines, .. }, Incoming::Lines(versions)) => {
            let mut sent = versions.iter().filter_map(|version| version.as_ref().ok());
            lines.iter().all(|logged| sent.any(|version| is_same_version(logged, version)))
        }
        (Op::Retract { id, rev, .. }, Incoming::Retract { id: sent_id, rev: sent_rev }) => {
            (id, rev) == (sent_id, sent_rev)
        }
        (Op::Clock { media_ms, .. }, Incoming::Clock { media_ms: sent }) => media_ms == sent,
        (Op::End, Incoming::End) => true,
        _ => false,
    }
}

/// Returns the indices of the message's lines that the stored operation lacks: they were refused, or differ now.
pub(super) fn find_untaken(op: &Op, message: &Incoming, are_times_kept: bool) -> Vec<usize> {
    let (Op::Line { lines, .. }, Incoming::Lines(versions)) = (op, message) else { return Vec::new() };
    let mut logged = lines.iter().peekable();
    let mut untaken = Vec::new();
    for (index, sent) in versions.iter().enumerate() {
        let is_logged =
            |logged: &&Version| sent.as_ref().is_ok_and(|sent| is_same_version(logged, sent, are_times_kept));
        if logged.next_if(is_logged).is_none() {
            untaken.push(index);
        }
    }
    untaken
}

fn is_same_version(logged: &Version, sent: &Version, are_times_kept: bool) -> bool {
    if (&logged.id, logged.rev) != (&sent.id, sent.rev) {
        return false;
    }
    if !are_times_kept && logged.content == sent.content.without_times() {
        return true;
    }
    if logged.content == sent.content {
        return true;
    }
    // A fraction may change slightly when it is encoded and decoded: compare the decoded form.
    let has_fractions = sent.content.words.iter().any(|word| word.confidence.is_some());
    has_fractions && {
        let op = Op::Line { source: "main".into(), lines: vec![sent.clone()] };
        let Op::Line { lines, .. } = Record::decode(&Record::new(Timestamp(0), op).encode()).op else { return false };
        lines.first().is_some_and(|sent| sent.content == logged.content)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Config;
    use crate::log::MemoryLog;
    use crate::server::Server;
    use crate::server::core::clock::{Clock, Rng};
    use crate::transcript::{Content, FoldView, Word};
    use crate::wire::{NackCode, Refusal};

    fn line(id: u64, text: &str) -> Version {
        Version {
            id: id.to_string().into(),
            content: Content { text: text.into(), ..Content::default() },
            ..Version::default()
        }
    }

    fn op(lines: Vec<Version>) -> Op {
        Op::Line { source: "main".into(), lines }
    }

    #[test]
    fn what_is_the_same_as_a_table() {
        let is_same = |op: &Op, message: &Incoming| super::is_same(op, message, true);
        let find_untaken = |op: &Op, message: &Incoming| super::find_untaken(op, message, true);
        let a = line(1, "a");
        let came = Version { arrival_ms: Some(7), ..a.clone() };
        assert!(is_same(&op(vec![came]), &Incoming::Line(a.clone())), "when it came does not count");
        for other in [line(1, "b"), line(2, "a"), Version { rev: Some(1), ..a.clone() }] {
            assert!(!is_same(&op(vec![a.clone()]), &Incoming::Line(other)));
        }
        let refused = || Err(Refusal::new(NackCode::BadId, "id", "why"));
        let sent = |lines: &[u64]| {
            Incoming::Lines(lines.iter().map(|id| if *id == 0 { refused() } else { Ok(line(*id, "a")) }).collect())
        };
        let logged = op(vec![line(1, "a"), line(3, "a")]);
        for (lines, is) in [
            (&[1, 3][..], true),
            (&[1, 2, 3], true),
            (&[1, 0, 3, 4], true),
            (&[3, 1], false),
            (&[1], false),
            (&[0, 3], false),
        ] {
            assert_eq!(is_same(&logged, &sent(lines)), is, "{lines:?}");
        }
        for (lines, untaken) in
            [(&[1, 3][..], &[][..]), (&[1, 2, 3], &[1]), (&[1, 0, 3, 4], &[1, 3]), (&[0, 1, 1, 3], &[0, 2])]
        {
            assert_eq!(find_untaken(&logged, &sent(lines)), untaken, "{lines:?}");
        }
        let retract = |id: &str, rev| Op::Retract { source: "main".into(), id: id.into(), rev };
        assert!(is_same(&retract("1", None), &Incoming::Retract { id: "1".into(), rev: None }));
        assert!(!is_same(&retract("1", None), &Incoming::Retract { id: "1".into(), rev: Some(0) }));
        assert!(!is_same(&retract("1", None), &Incoming::Line(a)));
        assert!(is_same(&Op::End, &Incoming::End));
        let clock = Op::Clock { source: "main".into(), media_ms: 7 };
        assert!(
            is_same(&clock, &Incoming::Clock { media_ms: 7 }) && !is_same(&clock, &Incoming::Clock { media_ms: 8 })
        );
    }

    #[test]
    fn a_line_may_have_been_taken_without_its_times() {
        let timed = |text: &str| Version {
            content: Content { start_ms: Some(7), end_ms: Some(9), ..line(1, text).content },
            ..line(1, text)
        };
        for (logged, sent, are_times_kept, is) in [
            (line(1, "a"), timed("a"), false, true),
            (line(1, "a"), timed("a"), true, false),
            (line(1, "a"), timed("b"), false, false),
            (timed("a"), timed("a"), false, true),
            (timed("a"), line(1, "a"), false, false),
        ] {
            let (logged, sent) = (op(vec![logged]), Incoming::Lines(vec![Ok(sent)]));
            assert_eq!(is_same(&logged, &sent, are_times_kept), is, "{logged:?} {sent:?}");
            assert_eq!(find_untaken(&logged, &sent, are_times_kept).is_empty(), is);
        }
    }

    proptest! {
        /// Any fractions of a line are equal after encoding and decoding.
        #[test]
        fn a_line_is_itself_behind_the_log(confidence in 0.0..1.0_f64) {
            let word = Word { text: "a".into(), start_ms: 0, end_ms: None, confidence: Some(confidence) };
            let mut sent = line(1, "a");
            sent.content.words = vec![word];
            let logged = Record::decode(&Record::new(Timestamp(0), op(vec![sent.clone()])).encode());
            prop_assert!(is_same(&logged.op, &Incoming::Line(sent), true));
        }
    }

    /// Numbers with gaps, between records of others, looked up forward, backward and at random.
    #[tokio::test]
    async fn each_number_is_found_from_everywhere() {
        let log = std::sync::Arc::new(MemoryLog::new());
        let server = Server::new(Config::default(), log, Clock::of_this_machine(), Rng::of_this_machine());
        let catalog = server.catalog();
        let name = crate::position::FeedId::new("geneva").expect("a name");
        let feed = catalog.open_to_publish(&name).await.expect("created");
        let publisher = PublisherIdentity { source: "main".into(), session: "s".into(), corrects: false };
        let mut records = Vec::new();
        for number in 1..=3000_u64 {
            let own = number % 3 != 0;
            let session = if own { publisher.session.clone() } else { "other".into() };
            let published = PublishedBy { source: publisher.source.clone(), session, seq: number, own_ids: true };
            records.push(Record { published: Some(published), ..catalog.context.record(op(vec![line(number, "a")])) });
        }
        feed.append_all(&records).await.expect("kept");
        let view = feed.view(FoldView::Interim).await.expect("folded");
        // A new lookup of the last numbers begins at a position that the fold has noted.
        let (floor, from) = SessionLog::new(publisher.clone(), view.clone(), true).place_before(2999);
        assert!(floor > 900 && from > Offset(900), "{floor} {from:?}");
        {
            let mut session = SessionLog::new(publisher.clone(), view.clone(), true);
            let forward = 1..=3001;
            let backward = (1..=3001).rev().step_by(7);
            let about = (1..=60).map(|n: u64| (n * 7919) % 3001 + 1);
            for seq in forward.chain(backward).chain(about) {
                let expected = if seq % 3 == 0 || seq > 3000 { Resend::NotTaken } else { Resend::Same };
                let found = session.find(&feed, seq, &Incoming::Line(line(seq, "a"))).await.expect("read");
                assert_eq!(found, expected, "{seq}");
                if expected == Resend::Same && seq % 5 == 0 {
                    let other = session.find(&feed, seq, &Incoming::Line(line(seq, "b"))).await.expect("read");
                    assert_eq!(other, Resend::Other, "{seq}");
                }
            }
            // None of these reads the log from its start again.
            let end = feed.head().await.expect("known");
            assert_eq!(session.place_before(3000), (2999, end), "it is known that there is none");
            let (floor, from) = session.place_before(2999);
            assert!(floor > 0 && from > Offset::START, "{floor} {from:?}");
        }
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut recent = RecentMessages::default();
        (1..=REMEMBERED_MAX as u64 + 5).for_each(|seq| recent.push(2 * seq, &format!("message {seq}")));
        assert!(recent.has(20, "message 10") && !recent.has(20, "message 11") && !recent.has(21, "message 10"));
        assert!(!recent.has(10, "message 5"), "it is forgotten");
        assert_eq!(recent.messages.len(), REMEMBERED_MAX);
    }
}
