//! Counts lines by what they are: new, repeated, corrected, taken back.

use crate::cli::support::publish_summary::LineCounts;
use crate::transcript::line::{VersionState, content_hash, sent_id};
use crate::transcript::{Content, Line, MediaMs, Status, Version};
use crate::wire::Outgoing;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Versions of lines that are remembered: a week of speech. Beyond this all are forgotten, and repeated lines then
/// count as new.
pub(super) const VERSIONS_MAX: usize = 500_000;

/// Messages that may still be refused: more than any server accepts ahead of its answers.
pub(super) const MESSAGES_MAX: usize = 16_384;

/// Stands for the start of a line without a time; no line has this start.
pub(super) const NO_TIME: MediaMs = -1;

/// Stands for the content of a retracted line.
pub(super) const TAKEN_BACK: u64 = 0;

#[derive(Debug, Default)]
pub(super) struct LineTally {
    /// Lines by the id under which they are sent; at most [`VERSIONS_MAX`].
    pub(super) known: HashMap<Arc<str>, KnownLine>,
    /// Hashes of all final versions sent, each over an id and a mark. At most [`VERSIONS_MAX`].
    pub(super) said: HashSet<u64>,
    /// Marks of lines that are kept beside another one, by the id under which they were sent.
    pub(super) beside: HashMap<Arc<str>, Vec<u64>>,
    /// The latest messages, by number.
    pub(super) messages: VecDeque<SentMessage>,
    /// Number of messages sent.
    pub(super) sent: u64,
    /// Server messages that were dropped; refusals may be among them.
    pub(super) missed: u64,
    /// Lines that the server had lost, and that were sent again.
    pub(super) resent: u64,
    /// Messages that the server had lost, and that could not be sent again.
    pub(super) lost: u64,
    /// Lines that are being retracted although they may not exist.
    pub(super) may_be_missing: HashSet<Arc<str>>,
    pub(super) counts: LineCounts,
    pub(super) warned: WarningCounts,
}

/// Warnings of the server; it sends each kind once for a connection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WarningCounts {
    /// A line was kept beside another session's.
    pub(super) kept_beside: bool,
    /// A version with new content is not shown, because its revision is too low.
    pub(super) stale_rev: bool,
}

/// A line that is in the feed, or was sent.
#[derive(Debug)]
pub(super) struct KnownLine {
    /// Its version that counts now.
    pub(super) head: ShownVersion,
    /// Mark of another session's line, if it is not known yet whether this line is kept beside that.
    pub(super) others: Option<u64>,
    /// True if this session may change it.
    pub(super) is_own: bool,
    /// True if it had a text, and so was counted as new.
    pub(super) was_shown: bool,
    /// True if all its versions are known here.
    pub(super) is_all_known: bool,
}

/// Ordering of a line's versions: of two the greater is shown, by the server's rule
/// ([`compare_versions`](crate::transcript::line::compare_versions)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ShownVersion {
    pub(super) is_final: bool,
    pub(super) rev: u64,
    pub(super) is_taken_back: bool,
    /// First half of the content's hash; it differs between any two versions that meet.
    pub(super) hash: [u8; 16],
    /// Mark of the content; not compared, because equal contents have equal marks.
    pub(super) mark: u64,
}

/// A message that may still be refused.
#[derive(Debug)]
pub(super) struct SentMessage {
    pub(super) seq: u64,
    /// Its place in the input.
    pub(super) place: Arc<str>,
    /// Kind and id of each of its lines.
    pub(super) lines: Vec<(LineKind, Arc<str>)>,
    /// Refused parts: `Some` index of a line, or `None` for the whole. A message that is sent again may be refused
    /// again.
    pub(super) refused: HashSet<Option<usize>>,
}

/// Kind of a line's version, for the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineKind {
    New,
    Repeated,
    Corrected,
    /// A retraction.
    TakenBack,
    /// An interim version that grew or became final; counts as no further line.
    Guess,
    /// A retraction that changed nothing, or a version whose revision is too low to be shown.
    NotTaken,
    /// Differs from another session's line. New if the server keeps it beside that; otherwise that line said it before.
    NewBeside,
    /// A later final version of such a line. Corrected if the server keeps the line beside the other; otherwise that
    /// line said it before.
    CorrectedBeside,
    /// Below the revision of a line that may have said it before. Not taken if the server warns of the revision;
    /// repeated otherwise.
    Overtaken,
}

impl LineTally {
    pub(super) fn know(&mut self, line: &Line, is_own: bool) {
        let head = ShownVersion::of(&VersionState::Content(line.clone().into_content()), line.rev);
        match sent_id(&line.id) {
            Some(sent) => self.beside.entry(sent.into()).or_default().push(head.mark),
            None => {
                let known = KnownLine { is_own, is_all_known: false, ..KnownLine::new(head, true) };
                self.known.insert(line.id.clone(), known);
                self.said.insert(said_by(&line.id, head.mark));
            }
        }
    }

    pub(super) fn note(&mut self, (seq, place): (u64, &Arc<str>), message: &Outgoing, corrects: bool) {
        let kinds = match message.known_part() {
            Outgoing::Line(line) => vec![(self.kind(line, corrects), line.id.clone())],
            Outgoing::Lines(lines) => lines.iter().map(|line| (self.kind(line, corrects), line.id.clone())).collect(),
            Outgoing::Retract { id, rev } => vec![(self.retraction_kind(id, *rev, corrects), id.clone())],
            Outgoing::Clock { .. } | Outgoing::End | Outgoing::Object { .. } => Vec::new(),
        };
        kinds.iter().for_each(|(kind, _)| *self.counts.of(*kind) += 1);
        if self.messages.len() == MESSAGES_MAX {
            self.messages.pop_front();
        }
        self.messages.push_back(SentMessage { seq, place: place.clone(), lines: kinds, refused: HashSet::new() });
        self.sent += 1;
    }

    /// Returns the counts for all messages up to `settled`, and the number of lines after it that were not refused.
    pub(super) fn answered(&self, settled: u64) -> (LineCounts, u64) {
        let (mut counts, mut unanswered) = (self.counts, 0);
        for message in self.messages.iter().rev().take_while(|message| message.seq > settled) {
            let is_refused = |at| [None, Some(at)].iter().any(|index| message.refused.contains(index));
            let open = message.lines.iter().enumerate().filter(|(at, _)| !is_refused(*at));
            for (_, (kind, _)) in open {
                *counts.of(*kind) -= 1;
                unanswered += u64::from(*kind != LineKind::Guess);
            }
        }
        (counts, unanswered)
    }

    /// Reclassifies a line after a warning of the server. Returns false if the warning need not be shown.
    pub(super) fn warn(&mut self, code: &str, id: &str) -> bool {
        use LineKind::{Guess, New, NewBeside, NotTaken, Overtaken, TakenBack};
        let is_expected = code == "no_such_line" && self.may_be_missing.remove(id);
        self.warned.stale_rev |= code == "stale_rev";
        let (was, is): (&[LineKind], LineKind) = match code {
            // A line that the fold keeps beside another, or one that could not be retracted.
            "id_reused" if sent_id(id).is_some() => {
                self.warned.kept_beside = true;
                return true;
            }
            "no_such_line" if is_expected => (&[TakenBack], Guess),
            "id_reused" | "no_such_line" => (&[TakenBack], NotTaken),
            "line_replaced" => {
                self.replaced(sent_id(id).unwrap_or(id));
                return true;
            }
            "stale_rev" => (&[New, NewBeside], NotTaken),
            _ => return true,
        };
        let lines = self.messages.iter_mut().rev().flat_map(|message| &mut message.lines);
        let mut of_line = lines.filter(|(_, sent)| **sent == *id);
        // A version known to be below the line's revision was counted so already.
        let is_told = |kind: &LineKind| code == "stale_rev" && matches!(kind, NotTaken | Overtaken);
        let line = of_line.find(|(kind, _)| was.contains(kind) || is_told(kind));
        if let Some((kind, _)) = line.filter(|(kind, _)| was.contains(kind)) {
            self.counts.change(kind, is);
        }
        !is_expected
    }

    /// Handles the warning that this session's line replaced another session's final line with the same id. Its
    /// versions that counted as new then count as corrections, unless a correction or retraction of it is known
    /// already.
    pub(super) fn replaced(&mut self, id: &str) {
        use LineKind::{Corrected, CorrectedBeside, New, NewBeside, TakenBack};
        if let Some(known) = self.known.get_mut(id) {
            known.others = None;
        }
        let lines = self.messages.iter_mut().rev().flat_map(|message| &mut message.lines);
        let mut replaced = Vec::new();
        for (kind, _) in lines.filter(|(_, sent)| **sent == *id) {
            let is_first = matches!(kind, New | NewBeside);
            match kind {
                Corrected | TakenBack => return,
                New | NewBeside | CorrectedBeside => replaced.push(kind),
                _ => {}
            }
            if is_first {
                break;
            }
        }
        for kind in replaced {
            self.counts.change(kind, Corrected);
        }
    }

    /// Forgets all lines if there are too many.
    pub(super) fn make_room(&mut self) {
        if self.known.len().max(self.said.len()) >= VERSIONS_MAX {
            self.known.clear();
            self.said.clear();
            self.beside.clear();
        }
    }

    pub(super) fn kind(&mut self, line: &Version, corrects: bool) -> LineKind {
        self.make_room();
        let is_blank = line.content.text.trim().is_empty();
        let first = ShownVersion::of(&VersionState::Content(line.content.clone()), line.rev.unwrap_or(0));
        let was_said = first.is_final && !self.said.insert(said_by(&line.id, first.mark));
        let Some(known) = self.known.get_mut(&line.id) else {
            self.known.insert(line.id.clone(), KnownLine::new(first, !is_blank));
            // A blank line is not shown.
            return if is_blank { LineKind::Guess } else { LineKind::New };
        };
        if !known.is_own && !corrects {
            if first.mark == known.head.mark {
                // A session that repeats a line, with its time, owns it from then on.
                known.is_own = line.content.start_ms.is_some();
                return LineKind::Repeated;
            }
            let is_beside = || self.beside.get(&line.id).is_some_and(|marks| marks.contains(&first.mark));
            if is_beside() {
                return LineKind::Repeated;
            }
            // Only the final version shows whether it is another line.
            if is_blank || !first.is_final && known.head.is_final {
                return LineKind::Guess;
            }
            let others = Some(known.head.mark);
            *known = KnownLine { others, is_all_known: false, ..KnownLine::new(first, true) };
            return LineKind::NewBeside;
        }
        let version = known.next(first, line.rev);
        let (before, order) = (known.head, version.cmp(&known.head));
        match order {
            Ordering::Equal => return LineKind::Repeated,
            // A late interim version after the final one is normal.
            Ordering::Less if !version.is_final => return LineKind::Guess,
            Ordering::Less if was_said => return LineKind::Repeated,
            Ordering::Less if known.is_all_known => return LineKind::NotTaken,
            Ordering::Less => return LineKind::Overtaken,
            Ordering::Greater => {}
        }
        (known.head, known.is_own) = (version, true);
        if !known.was_shown {
            known.was_shown = !is_blank;
            return if is_blank { LineKind::Guess } else { LineKind::New };
        }
        match before {
            _ if before.mark == version.mark => LineKind::Repeated,
            _ if before.is_taken_back => LineKind::Corrected,
            _ if !before.is_final => LineKind::Guess,
            _ => match known.others {
                Some(others) => {
                    // The other line's present content is new to this line.
                    known.others = (others != version.mark).then_some(others);
                    LineKind::CorrectedBeside
                }
                None => LineKind::Corrected,
            },
        }
    }

    /// Classifies a retraction; a second one changes nothing.
    pub(super) fn retraction_kind(&mut self, id: &Arc<str>, rev: Option<u64>, corrects: bool) -> LineKind {
        self.make_room();
        let first = ShownVersion::of(&VersionState::Retracted, rev.unwrap_or(0));
        let was_said = !self.said.insert(said_by(id, first.mark));
        let Some(known) = self.known.get_mut(id) else {
            self.known.insert(id.clone(), KnownLine::new(first, false));
            return LineKind::TakenBack;
        };
        // The server usually refuses it.
        if !known.is_own && !corrects {
            return LineKind::TakenBack;
        }
        let version = known.next(first, rev);
        let (before, order) = (known.head, version.cmp(&known.head));
        match order {
            Ordering::Equal => LineKind::Repeated,
            Ordering::Less if was_said => LineKind::Repeated,
            Ordering::Less if known.is_all_known => LineKind::NotTaken,
            Ordering::Less => LineKind::Overtaken,
            Ordering::Greater => {
                (known.head, known.is_own) = (version, true);
                if before.is_taken_back { LineKind::Repeated } else { LineKind::TakenBack }
            }
        }
    }

    /// Handles a refused first version of the line `id`, at this message and index: the next version that was sent
    /// counts as its first.
    pub(super) fn begins_later(&mut self, (message, line): (usize, usize), id: &Arc<str>) {
        let later = self.messages.range_mut(message..).enumerate().flat_map(|(after, message)| {
            let SentMessage { lines, refused, .. } = message;
            let first = if after == 0 { line + 1 } else { 0 };
            lines
                .iter_mut()
                .enumerate()
                .skip(first)
                .filter(|(at, _)| !refused.contains(&None) && !refused.contains(&Some(*at)))
        });
        match later.map(|(_, line)| line).find(|(_, sent)| sent == id) {
            Some((kind @ (LineKind::Corrected | LineKind::Guess | LineKind::Repeated), _)) => {
                self.counts.change(kind, LineKind::New);
            }
            Some(_) => {}
            None => drop(self.known.remove(id)),
        }
    }

    pub(super) fn refuse(&mut self, seq: u64, index: Option<usize>) {
        let Ok(at) = self.messages.binary_search_by_key(&seq, |message| message.seq) else {
            self.counts.refused += 1;
            return;
        };
        let SentMessage { lines, refused, .. } = &mut self.messages[at];
        if refused.contains(&None) || !refused.insert(index) {
            return;
        }
        let is_refused_now = |at: usize| match index {
            Some(index) => at == index,
            None => !refused.contains(&Some(at)),
        };
        let (mut count, mut new) = (0, Vec::new());
        for (line, (kind, id)) in lines.iter().enumerate().filter(|(line, _)| is_refused_now(*line)) {
            count += 1;
            *self.counts.of(*kind) -= 1;
            if matches!(kind, LineKind::New | LineKind::NewBeside) {
                new.push((line, id.clone()));
            }
        }
        let is_empty = lines.is_empty();
        for (line, id) in new {
            self.begins_later((at, line), &id);
        }
        self.counts.refused += count.max(u64::from(index.is_some() || is_empty));
    }
}

impl KnownLine {
    pub(super) fn new(head: ShownVersion, was_shown: bool) -> Self {
        Self { head, others: None, is_own: true, was_shown, is_all_known: true }
    }

    /// Gives a version its revision: the next one, or that of the head for a duplicate.
    pub(super) fn next(&self, version: ShownVersion, rev: Option<u64>) -> ShownVersion {
        let next = if version.hash == self.head.hash { self.head.rev } else { self.head.rev.saturating_add(1) };
        ShownVersion { rev: rev.unwrap_or(next), ..version }
    }
}

impl ShownVersion {
    pub(super) fn of(said: &VersionState, rev: u64) -> Self {
        let (is_final, mark) = match said {
            VersionState::Content(content) => (content.status == Status::Final, mark(content)),
            VersionState::Retracted => (true, TAKEN_BACK),
        };
        let hash = *content_hash(said).first_chunk().expect("it has 32 bytes");
        Self { is_final, rev, is_taken_back: said.is_retracted(), hash, mark }
    }
}

impl LineCounts {
    pub(super) fn of(&mut self, kind: LineKind) -> &mut u64 {
        match kind {
            LineKind::New => &mut self.new,
            LineKind::Repeated => &mut self.repeated,
            LineKind::Corrected | LineKind::TakenBack => &mut self.corrected,
            LineKind::Guess => &mut self.guesses,
            LineKind::NotTaken => &mut self.refused,
            LineKind::NewBeside => &mut self.new_beside,
            LineKind::CorrectedBeside => &mut self.corrected_beside,
            LineKind::Overtaken => &mut self.overtaken,
        }
    }

    pub(super) fn change(&mut self, kind: &mut LineKind, to: LineKind) {
        *self.of(*kind) -= 1;
        *kind = to;
        *self.of(to) += 1;
    }

    /// Returns the final counts, once all warnings of the server have arrived.
    pub(super) fn settled(mut self, warned: WarningCounts) -> Self {
        let (new, corrected) = (std::mem::take(&mut self.new_beside), std::mem::take(&mut self.corrected_beside));
        if warned.kept_beside {
            self.new += new;
            self.corrected += corrected;
        } else {
            self.repeated += new + corrected;
        }
        let overtaken = std::mem::take(&mut self.overtaken);
        *if warned.stale_rev { &mut self.refused } else { &mut self.repeated } += overtaken;
        self
    }
}

/// Returns a hash over a line's id and the mark of a version.
pub(super) fn said_by(id: &str, mark: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (id, mark).hash(&mut hasher);
    hasher.finish()
}

/// Returns a hash of a version's content, as readers see it.
pub(super) fn mark(content: &Content) -> u64 {
    let Content { status, start_ms, end_ms, speaker, text, .. } = content;
    let mut hasher = DefaultHasher::new();
    // The server trims labels.
    let speaker = speaker.as_deref().map(str::trim).filter(|speaker| !speaker.is_empty());
    (status, start_ms.unwrap_or(NO_TIME), end_ms, speaker, text).hash(&mut hasher);
    // 0 is the mark of a retraction.
    hasher.finish().max(TAKEN_BACK + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Timestamp;
    use crate::transcript::line::compare_versions;

    fn line(id: &str, text: &str, status: Status) -> Outgoing {
        let content = Content { start_ms: Some(7), text: text.into(), status, ..Content::default() };
        Outgoing::Line(Version { id: id.into(), content, ..Version::default() })
    }

    fn place() -> Arc<str> {
        "line 1 of the input".into()
    }

    fn counts(lines: &LineTally) -> [u64; 4] {
        let LineCounts { new, repeated, corrected, refused, .. } = lines.counts.settled(lines.warned);
        [new, repeated, corrected, refused]
    }

    /// A line as the server shows it.
    fn shown(id: &str, rev: u64, text: &str) -> Line {
        Line {
            source: "main".into(),
            id: id.into(),
            rev,
            sort: "".into(),
            start_ms: 7,
            end_ms: None,
            speaker: None,
            text: text.into(),
            status: Status::Final,
            lang: None,
            break_before: None,
            time_source: None,
            marks: Vec::new(),
            words: Vec::new(),
            received_at: Timestamp::default(),
        }
    }

    fn of_rev(id: &str, rev: u64, text: &str) -> Outgoing {
        match line(id, text, Status::Final) {
            Outgoing::Line(version) => Outgoing::Line(Version { rev: Some(rev), ..version }),
            _ => unreachable!("a line"),
        }
    }

    fn retract(id: &str) -> Outgoing {
        Outgoing::Retract { id: id.into(), rev: None }
    }

    fn said(id: &str, text: &str) -> Outgoing {
        line(id, text, Status::Final)
    }

    fn note_all(lines: &mut LineTally, messages: &[Outgoing], corrects: bool) {
        for (seq, message) in (lines.sent + 1..).zip(messages) {
            lines.note((seq, &place()), message, corrects);
        }
    }

    #[test]
    fn lines_are_counted_by_what_they_are() {
        let mut lines = LineTally::default();
        for (id, text) in [("8", "Of before."), ("9", "Of before."), ("9~s2", "Of a second run."), ("10", "Of before.")]
        {
            lines.know(&shown(id, 0, text), false);
        }
        lines.warn("id_reused", "9~s3");
        let (interim, last) = (Status::Interim, Status::Final);
        for (seq, (message, expected)) in (1..).zip([
            (line("1", "Good", interim), [1, 0, 0, 0]),
            (line("1", "Good eve", interim), [1, 0, 0, 0]),
            (line("1", "Good evening.", last), [1, 0, 0, 0]),
            (line("1", "Good evening.", last), [1, 1, 0, 0]),
            (line("1", "Good night.", last), [1, 1, 1, 0]),
            (line("8", "Of before.", last), [1, 2, 1, 0]),
            (line("9", "Of a second run.", last), [1, 3, 1, 0]),
            (line("9", "Of now.", last), [2, 3, 1, 0]),
            (line("9", "Of now, corrected.", last), [2, 3, 2, 0]),
            (Outgoing::Retract { id: "9".into(), rev: None }, [2, 3, 3, 0]),
            (Outgoing::Clock { media_ms: 7 }, [2, 3, 3, 0]),
        ]) {
            lines.note((seq, &place()), &message, false);
            assert_eq!(counts(&lines), expected, "{message:?}");
        }
        // Whoever may correct other sessions' lines does.
        lines.note((11, &place()), &line("10", "Of now.", last), true);
        assert_eq!(counts(&lines), [2, 3, 4, 0]);
    }

    #[test]
    fn revisions_and_retractions_count_as_the_server_takes_them() {
        let mut lines = LineTally::default();
        for (seq, (message, expected)) in (1..).zip([
            (of_rev("1", 5, "Five."), [1, 0, 0, 0]),
            (of_rev("1", 4, "Four."), [1, 0, 0, 1]),
            (of_rev("1", 6, "Six."), [1, 0, 1, 1]),
            (said("1", "Seven."), [1, 0, 2, 1]),
            (of_rev("1", 6, "Six and a half."), [1, 0, 2, 2]),
            (said("2", " "), [1, 0, 2, 2]),
            (said("2", "Two."), [2, 0, 2, 2]),
            (retract("2"), [2, 0, 3, 2]),
            (retract("2"), [2, 1, 3, 2]),
            (said("2", "Two."), [2, 1, 4, 2]),
            (retract("77"), [2, 1, 5, 2]),
            (retract("77"), [2, 2, 5, 2]),
        ]) {
            lines.note((seq, &place()), &message, false);
            assert_eq!(counts(&lines), expected, "{message:?}");
        }
        lines.warn("no_such_line", "77");
        assert_eq!(counts(&lines), [2, 2, 4, 3]);
        // Of one revision with two contents one is shown, whichever came first.
        for (seq, text) in [(20, "One."), (21, "Other.")] {
            lines.note((seq, &place()), &of_rev("3", 5, text), false);
        }
        let content = |message: Outgoing| match message {
            Outgoing::Line(version) => VersionState::Content(version.content),
            _ => unreachable!("a line"),
        };
        let (one, other) = (content(said("3", "One.")), content(said("3", "Other.")));
        let is_second = compare_versions((5, &other), (5, &one)).order.is_gt();
        assert_eq!(counts(&lines), if is_second { [3, 2, 5, 3] } else { [3, 2, 4, 4] });
    }

    /// The rule by which versions are compared here is that of the server.
    #[test]
    fn heads_compare_as_versions_do() {
        let content =
            |text: &str, status| VersionState::Content(Content { text: text.into(), status, ..Content::default() });
        let says = [
            content("a", Status::Interim),
            content("a", Status::Final),
            content("b", Status::Final),
            VersionState::Retracted,
        ];
        let versions: Vec<_> = says.iter().flat_map(|said| [(0, said), (1, said)]).collect();
        for a in &versions {
            for b in &versions {
                let order = ShownVersion::of(a.1, a.0).cmp(&ShownVersion::of(b.1, b.0));
                assert_eq!(order, compare_versions(*a, *b).order, "{a:?} {b:?}");
            }
        }
    }

    /// A version that was said before counts as repeated, whichever revision is shown by now.
    #[test]
    fn lower_revisions_as_a_table() {
        let (five, one) = (|n: &str| of_rev(n, 5, "Five."), |n: &str| of_rev(n, 1, "One."));
        let twice = || ["1", "2", "3"].into_iter().flat_map(|id| [of_rev(id, 1, "A."), of_rev(id, 2, "A b.")]);
        for (what, messages, expected) in [
            ("at least once", vec![one("1"), five("1"), one("1")], [1, 1, 1, 0]),
            ("a file that stands twice", twice().chain(twice()).collect(), [3, 6, 3, 0]),
            ("never said", vec![five("1"), one("1"), one("1")], [1, 1, 0, 1]),
            (
                "an overtaken one changes nothing",
                vec![five("1"), one("1"), five("1"), of_rev("1", 7, "Five.")],
                [1, 2, 0, 1],
            ),
            (
                "what has no number has the next",
                vec![said("1", "A."), said("1", "B."), of_rev("1", 0, "C.")],
                [1, 0, 1, 1],
            ),
            ("yes, no, yes", vec![said("1", "Yes."), said("1", "No."), said("1", "Yes.")], [1, 0, 2, 0]),
        ] {
            let mut lines = LineTally::default();
            note_all(&mut lines, &messages, false);
            assert_eq!(counts(&lines), expected, "{what}");
        }
    }

    /// Of lines of earlier runs the revision is known, and what they say now; what they said before only the server knows.
    #[test]
    fn revisions_of_earlier_runs_count() {
        for (is_own, corrects) in [(true, false), (false, true)] {
            let mut lines = LineTally::default();
            let ids = ["1", "2", "3", "4", "5"];
            ids.iter().for_each(|id| lines.know(&shown(id, 5, "Five."), is_own));
            note_all(&mut lines, &ids.map(|id| of_rev(id, 1, "One.")), corrects);
            assert_eq!(counts(&lines), [0, 5, 0, 0], "as they were said before, unless the server knows better");
            lines.warn("stale_rev", "1");
            assert_eq!(counts(&lines), [0, 0, 0, 5]);
            note_all(&mut lines, &[of_rev("1", 6, "Six."), of_rev("2", 5, "Five.")], corrects);
            assert_eq!(counts(&lines), [0, 1, 1, 5]);
        }
    }

    /// A file that holds a line and its correction, sent again by another run: the server says nothing, because nothing changes.
    #[test]
    fn what_the_server_does_not_warn_of_was_said_before() {
        let file = [said("1", "One."), said("2", "Tow."), said("2", "Too."), said("2", "Two.")];
        let again = |more: &[Outgoing]| {
            let mut lines = LineTally::default();
            lines.know(&shown("1", 0, "One."), false);
            lines.know(&shown("2", 2, "Two."), false);
            note_all(&mut lines, &file, false);
            note_all(&mut lines, more, false);
            lines
        };
        assert_eq!(counts(&again(&[])), [0, 4, 0, 0]);
        // All of it is a line of its own.
        let mut lines = again(&[]);
        lines.warn("id_reused", "2~s2");
        assert_eq!(counts(&lines), [1, 1, 2, 0]);
        // What was never there before is a correction.
        let mut lines = again(&[said("2", "Two!")]);
        lines.warn("line_replaced", "2");
        assert_eq!(counts(&lines), [0, 4, 1, 0]);
        // It goes on with a line in mid-sentence, and corrects it.
        let mut lines = LineTally::default();
        lines.know(&shown("2", 0, "Two"), false);
        note_all(&mut lines, &[said("2", "Two and"), said("2", "Two and three.")], false);
        lines.warn("line_replaced", "2");
        note_all(&mut lines, &[said("2", "Two and four.")], false);
        assert_eq!(counts(&lines), [0, 0, 3, 0]);
    }

    /// A session that corrects can retract lines of others, once, and restore them.
    #[test]
    fn a_line_of_before_comes_back() {
        let mut lines = LineTally::default();
        lines.know(&shown("1", 0, "One."), false);
        for (message, expected) in [
            (retract("1"), [0, 0, 1, 0]),
            (retract("1"), [0, 1, 1, 0]),
            (said("1", "One."), [0, 1, 2, 0]),
            (said("1", "One."), [0, 2, 2, 0]),
            (retract("1"), [0, 2, 3, 0]),
        ] {
            note_all(&mut lines, std::slice::from_ref(&message), true);
            assert_eq!(counts(&lines), expected, "{message:?}");
        }
    }

    /// Fields that only the server may know change nothing of what is counted.
    #[test]
    fn messages_with_unknown_fields_count_as_the_others() {
        let with_more = |message: Outgoing| Outgoing::Object { written: Box::default(), known_part: Box::new(message) };
        let versions = ["1", "2"].map(|id| Version {
            id: id.into(),
            content: Content { text: id.into(), ..Content::default() },
            ..Version::default()
        });
        let messages = [
            Outgoing::Lines(versions.into()),
            retract("1"),
            of_rev("3", 2, "Two."),
            of_rev("3", 1, "One."),
            Outgoing::Clock { media_ms: 7 },
        ];
        let mut lines = LineTally::default();
        note_all(&mut lines, &messages.map(with_more), false);
        assert_eq!(counts(&lines), [3, 0, 1, 1]);
    }

    /// Also where lines are only taken back, or one is corrected for ever.
    #[test]
    fn what_is_remembered_has_a_bound() {
        for message in [retract("1"), said("1", "One.")] {
            let mut lines = LineTally::default();
            lines.said.extend(0..VERSIONS_MAX as u64 - 1);
            note_all(&mut lines, std::slice::from_ref(&message), false);
            assert_eq!((lines.known.len(), lines.said.len()), (1, VERSIONS_MAX), "{message:?}");
            note_all(&mut lines, &[message], false);
            assert_eq!((lines.known.len(), lines.said.len()), (1, 1));
        }
    }

    /// A session that corrects means the line with that id, not one that is kept beside it.
    #[test]
    fn a_correction_is_of_the_plain_line() {
        let mut lines = LineTally::default();
        lines.know(&shown("1", 0, "One."), false);
        lines.know(&shown("1~s2", 0, "Two."), false);
        lines.note((1, &place()), &line("1", "Two.", Status::Final), true);
        assert_eq!(counts(&lines), [0, 0, 1, 0]);
    }

    #[test]
    fn the_server_knows_better_what_a_line_was() {
        let mut lines = LineTally::default();
        for id in ["1", "2"] {
            lines.know(&shown(id, 0, "Of before."), false);
        }
        lines.note((1, &place()), &line("1", "Of before, and now.", Status::Final), false);
        lines.note((2, &place()), &Outgoing::Retract { id: "2".into(), rev: None }, false);
        lines.note((3, &place()), &Outgoing::Retract { id: "3".into(), rev: None }, false);
        lines.note((4, &place()), &line("2", "Of before.", Status::Final), false);
        lines.note((5, &place()), &line("2", "Of now.", Status::Final), false);
        assert_eq!(counts(&lines), [0, 2, 3, 0], "what was said again is known, and corrected then");
        for (code, id, expected) in [
            ("line_replaced", "1", [0, 1, 4, 0]),
            ("line_replaced", "2", [0, 1, 4, 0]),
            ("id_reused", "2~s2", [0, 1, 4, 0]),
            ("no_such_line", "3", [0, 1, 3, 1]),
            ("no_such_line", "3", [0, 1, 3, 1]),
            ("conflict", "1", [0, 1, 3, 1]),
        ] {
            lines.warn(code, id);
            assert_eq!(counts(&lines), expected, "{code} {id}");
        }
        lines.refuse(2, None);
        assert_eq!(counts(&lines), [0, 1, 2, 2]);
        // A vendor's guess that never was a line.
        lines.may_be_missing.insert("4".into());
        lines.note((6, &place()), &Outgoing::Retract { id: "4".into(), rev: None }, true);
        assert!(!lines.warn("no_such_line", "4"));
        assert_eq!(counts(&lines), [0, 1, 2, 2]);
    }

    #[test]
    fn what_is_not_answered_is_no_line_of_the_feed() {
        let mut lines = LineTally::default();
        for (seq, (id, status)) in (1..).zip([("1", Status::Interim), ("1", Status::Final), ("2", Status::Final)]) {
            lines.note((seq, &place()), &line(id, "x", status), false);
        }
        lines.note((4, &place()), &line("3", "x", Status::Final), false);
        lines.refuse(4, None);
        lines.note((5, &place()), &line("2", "x", Status::Final), false);
        for (settled, new, repeated, open) in [(0, 0, 0, 3), (1, 1, 0, 2), (2, 1, 0, 2), (4, 2, 0, 1), (5, 2, 1, 0)] {
            let (counts, unanswered) = lines.answered(settled);
            assert_eq!(
                (counts.new, counts.repeated, counts.refused, unanswered),
                (new, repeated, 1, open),
                "{settled}"
            );
        }
    }

    #[test]
    fn what_is_refused_was_not_said() {
        let mut lines = LineTally::default();
        let version = |id: &str| match line(id, "x", Status::Final) {
            Outgoing::Line(version) => version,
            _ => unreachable!("a line"),
        };
        lines.note((1, &place()), &Outgoing::Lines(vec![version("1"), version("2"), version("3")]), false);
        lines.refuse(1, Some(1));
        assert_eq!(counts(&lines), [2, 0, 0, 1]);
        // Mended, it is new still.
        lines.note((2, &place()), &line("2", "y", Status::Final), false);
        assert_eq!(counts(&lines), [3, 0, 0, 1]);
        lines.note((3, &place()), &Outgoing::Clock { media_ms: 7 }, false);
        lines.refuse(3, None);
        lines.note((4, &place()), &Outgoing::Lines(vec![version("4"), version("5")]), false);
        lines.refuse(4, None);
        assert_eq!(counts(&lines), [3, 0, 0, 4]);
        // What came behind it before the refusal was heard begins the line.
        note_all(&mut lines, &[said("6", "x"), said("6", "y"), said("6", "z")], false);
        assert_eq!(counts(&lines), [4, 0, 2, 4]);
        lines.refuse(5, None);
        assert_eq!(counts(&lines), [4, 0, 1, 5]);
        lines.refuse(6, None);
        assert_eq!(counts(&lines), [4, 0, 0, 6]);
        lines.refuse(7, None);
        assert_eq!(counts(&lines), [3, 0, 0, 7]);
        // It was not there to be taken back.
        note_all(&mut lines, &[said("7", "x"), retract("7")], false);
        lines.refuse(8, None);
        lines.warn("no_such_line", "7");
        assert_eq!(counts(&lines), [3, 0, 0, 9]);
        // A message that is sent again after a break is refused again.
        for (seq, index) in [(1, Some(1)), (3, None), (4, None), (4, Some(0))] {
            lines.refuse(seq, index);
            assert_eq!(counts(&lines), [3, 0, 0, 9], "{seq} {index:?}");
        }
        lines.refuse(1, None);
        assert_eq!(counts(&lines), [1, 0, 0, 11]);
    }
}
