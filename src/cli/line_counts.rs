//! A publisher that counts its lines: those that are new, said again, corrected and refused.
//!
//! What a line is it knows from the ids that it sent before, and from the lines that it was told are there ([`know`]).
//!
//! [`know`]: CountingPublisher::know

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::sending::{InputFaults, Published};
use crate::client::{Progress, PublishError, Publisher, PublisherEvent, PublisherOptions, SocketUrl};
use crate::transcript::line::{Said, compare_versions, sent_id};
use crate::transcript::{Content, Line, MediaMs, Status, Version};
use crate::wire::Outgoing;

/// Ids that are remembered: a week of talk. Where there are more, all are forgotten, and what is said again then counts as new.
const IDS_MAX: usize = 500_000;
/// Messages that may still be refused: more than any server takes ahead of its answers.
const MESSAGES_MAX: usize = 16_384;

/// Stands for the start of a line that says none: no line starts then.
const NO_TIME: MediaMs = -1;

/// A publisher, and what became of its lines.
pub(super) struct CountingPublisher {
    publisher: Publisher,
    /// Whether it may change what other sessions said.
    corrects: bool,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    /// What each line said last, by id.
    said: HashMap<Arc<str>, LastSaid>,
    /// What lines say that are kept beside another, by the id that they were sent under.
    beside: HashMap<Arc<str>, Vec<LastSaid>>,
    /// The last messages, by their numbers.
    messages: VecDeque<SentMessage>,
    /// How many there were.
    sent: u64,
    /// Words of the server that were not heard: refusals may be among them.
    missed: u64,
    /// Lines that the server had lost, and that were sent again.
    resent: u64,
    /// Messages that it had lost, and that could not be.
    lost: u64,
    /// What a line says that came with revisions, by the rule of the server.
    heads: HashMap<Arc<str>, (u64, Said)>,
    /// Lines that this session has taken back, and not said again since.
    taken_back: HashSet<Arc<str>>,
    /// Lines that were taken back and need not be there.
    may_be_missing: HashSet<Arc<str>>,
    counts: LineCounts,
}

/// A message that may still be refused.
#[derive(Debug)]
struct SentMessage {
    seq: u64,
    /// Where it stood in the input.
    place: Arc<str>,
    /// What each of its lines was, and its id.
    lines: Vec<(LineKind, Arc<str>)>,
    /// What of it was refused: lines, by their index, or all. A message that is sent again may be refused again.
    refused: HashSet<Option<usize>>,
}

#[derive(Debug, Clone, Copy)]
struct LastSaid {
    mark: u64,
    status: Status,
    /// A line of this session.
    is_own: bool,
}

/// What a version of a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineKind {
    New,
    Repeated,
    Corrected,
    /// A guess that grew, or became final: no line more.
    Guess,
    /// A retraction that the server took, and that took nothing back; or a version whose revision is too low to be shown.
    NotTaken,
}

/// How many lines were what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct LineCounts {
    pub(super) new: u64,
    /// As they were said before.
    pub(super) repeated: u64,
    /// Said otherwise than before, or taken back.
    pub(super) corrected: u64,
    /// Lines, and messages that hold none, that the server did not take; retractions that took nothing back; and versions that
    /// are not shown because another one has a higher revision.
    pub(super) refused: u64,
    #[serde(skip)]
    guesses: u64,
}

impl CountingPublisher {
    /// As [`Publisher::start`].
    pub(super) fn start(url: SocketUrl, options: PublisherOptions) -> Self {
        let corrects = options.corrects;
        Self { publisher: Publisher::start(url, options), corrects, lines: Mutex::default() }
    }

    /// Tells it of lines that its source has already; they are its own if an earlier run of its session sent them.
    pub(super) fn know(&self, lines: &[Line], are_own: bool) {
        let mut known = self.lines();
        for line in lines {
            // What was sent without a time says none when it is sent again.
            let start_ms = if line.time_source.is_none() { line.start_ms } else { NO_TIME };
            let mark = mark(start_ms, line.end_ms, line.speaker.as_deref(), &line.text);
            known.know(&line.id, LastSaid { mark, status: line.status, is_own: are_own });
        }
    }

    /// As [`Publisher::send`]; `place` says where the message stood in the input.
    pub(super) async fn send(&self, place: &Arc<str>, message: &Outgoing) -> Result<u64, PublishError> {
        let seq = self.publisher.send(message).await?;
        self.lines().note((seq, place), message, self.corrects);
        Ok(seq)
    }

    /// Where the message `seq`, or the line of it with this index, stood in the input.
    pub(super) fn place_of(&self, seq: u64, index: Option<usize>) -> String {
        let lines = self.lines();
        let message = lines.messages.binary_search_by_key(&seq, |message| message.seq).map(|at| &lines.messages[at]);
        let Ok(SentMessage { place, lines, .. }) = message else { return format!("message {seq}") };
        match index.and_then(|index| lines.get(index)) {
            Some((_, id)) if lines.len() > 1 => format!("the line {id} of {place}"),
            _ => place.to_string(),
        }
    }

    /// From where to where in the input the messages stood that nobody has answered; none if all were.
    pub(super) fn unanswered_places(&self) -> Option<String> {
        let (settled, lines) = (self.progress().settled, self.lines());
        let is_open = |message: &&SentMessage| message.seq > settled && !message.refused.contains(&None);
        let mut open = lines.messages.iter().filter(is_open);
        let first = open.next()?;
        Some(match open.next_back() {
            Some(last) => format!("{} to {}", first.place, last.place),
            None => first.place.to_string(),
        })
    }

    /// Waits until all is answered, and all there is to say of it was said.
    pub(super) async fn hear_all(&self) -> Result<(), PublishError> {
        self.publisher.hear_all().await
    }

    /// The line `id` will be taken back, and need not be there: a vendor takes back what it has guessed, also where that never
    /// was a line.
    pub(super) fn expect_missing(&self, id: &Arc<str>) {
        let may_be_missing = &mut self.lines().may_be_missing;
        // Of so many the answers came long ago.
        if may_be_missing.len() == MESSAGES_MAX {
            may_be_missing.clear();
        }
        may_be_missing.insert(id.clone());
    }

    /// Takes note of what the server says of lines. False if it is no news for people.
    pub(super) fn heard(&self, event: &PublisherEvent) -> bool {
        match event {
            PublisherEvent::Refused(nack) => self.lines().refuse(nack.seq, nack.index),
            PublisherEvent::Warning { code, id: Some(id), .. } => return self.lines().warn(code, id),
            PublisherEvent::Missed(count) => self.lines().missed += count,
            PublisherEvent::Lost(lost) => {
                let mut lines = self.lines();
                lines.resent += lost.resent_lines;
                lines.lost += lost.forgotten;
            }
            _ => {}
        }
        true
    }

    /// What became of all that was sent and answered.
    pub(super) fn published(&self, feed: &str, faults: InputFaults) -> Published {
        let Progress { sent, settled, .. } = self.progress();
        let lines = self.lines();
        let (counts, unacknowledged) = lines.answered(settled);
        Published {
            feed: feed.to_owned(),
            session: self.session().to_owned(),
            messages: lines.sent.saturating_sub(sent - settled),
            lines: counts,
            faults,
            unacknowledged,
            resent: lines.resent,
            lost: lines.lost,
            missed: lines.missed,
        }
    }

    /// As [`Publisher::close`].
    pub(super) async fn close(self) -> Result<(), PublishError> {
        self.publisher.close().await
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for CountingPublisher {
    type Target = Publisher;

    fn deref(&self) -> &Publisher {
        &self.publisher
    }
}

impl Lines {
    fn know(&mut self, id: &Arc<str>, said: LastSaid) {
        match sent_id(id) {
            Some(sent) => self.beside.entry(sent.into()).or_default().push(said),
            None => drop(self.said.insert(id.clone(), said)),
        }
    }

    fn note(&mut self, (seq, place): (u64, &Arc<str>), message: &Outgoing, corrects: bool) {
        let kinds = match message {
            Outgoing::Line(line) => vec![self.kind(line, corrects)],
            Outgoing::Lines(lines) => lines.iter().map(|line| self.kind(line, corrects)).collect(),
            Outgoing::Retract { id, rev } => vec![(self.retraction_kind(id, *rev), id.clone())],
            Outgoing::Object(object) => {
                line_in(object).map(|line| vec![self.kind(&line, corrects)]).unwrap_or_default()
            }
            Outgoing::Clock { .. } | Outgoing::End => Vec::new(),
        };
        kinds.iter().for_each(|(kind, _)| *self.counts.of(*kind) += 1);
        if self.messages.len() == MESSAGES_MAX {
            self.messages.pop_front();
        }
        self.messages.push_back(SentMessage { seq, place: place.clone(), lines: kinds, refused: HashSet::new() });
        self.sent += 1;
    }

    /// What the lines were of all messages up to `settled`, and how many lines were sent after it that nobody has refused.
    fn answered(&self, settled: u64) -> (LineCounts, u64) {
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

    /// Counts a line as what the server says it was. It was counted as what is known here. False if it is no news for people.
    fn warn(&mut self, code: &str, id: &str) -> bool {
        let is_expected = code == "no_such_line" && self.may_be_missing.remove(id);
        let (was, is) = match code {
            // Of a line that the fold keeps beside another, or of one that was not taken back.
            "id_reused" if sent_id(id).is_some() => return true,
            "no_such_line" if is_expected => (LineKind::Corrected, LineKind::Guess),
            "id_reused" | "no_such_line" => (LineKind::Corrected, LineKind::NotTaken),
            "line_replaced" => (LineKind::New, LineKind::Corrected),
            // What this session said itself it has compared itself.
            "stale_rev" if !self.heads.contains_key(id) => (LineKind::New, LineKind::NotTaken),
            _ => return true,
        };
        let lines = self.messages.iter_mut().rev().flat_map(|message| &mut message.lines);
        if let Some((kind, _)) = lines.into_iter().find(|(kind, sent)| *kind == was && **sent == *id) {
            *kind = is;
            *self.counts.of(was) -= 1;
            *self.counts.of(is) += 1;
        }
        !is_expected
    }

    fn kind(&mut self, line: &Version, corrects: bool) -> (LineKind, Arc<str>) {
        if self.said.len() == IDS_MAX {
            self.said.clear();
            self.beside.clear();
            self.heads.clear();
            self.taken_back.clear();
        }
        let is_lower = self.is_overtaken(line);
        let kind = self.kind_by_content(line, corrects);
        // A guess behind its final version is as it should be, and so is what was said before.
        if is_lower && !matches!(kind.0, LineKind::Guess | LineKind::Repeated) {
            (LineKind::NotTaken, kind.1)
        } else {
            kind
        }
    }

    /// Whether a line has a higher revision than this version of it; else this is its head.
    fn is_overtaken(&mut self, line: &Version) -> bool {
        let said = Said::Content(line.content.clone());
        match self.heads.get_mut(&line.id) {
            Some(head) => {
                let rev = line.rev.unwrap_or(head.0.saturating_add(1));
                let order = compare_versions((rev, &said), (head.0, &head.1)).order;
                if order.is_gt() {
                    *head = (rev, said);
                }
                order.is_lt()
            }
            None => {
                if let Some(rev) = line.rev {
                    self.heads.insert(line.id.clone(), (rev, said));
                }
                false
            }
        }
    }

    /// What it is to take a line back: a second time it changes nothing.
    fn retraction_kind(&mut self, id: &Arc<str>, rev: Option<u64>) -> LineKind {
        if let Some((head, said)) = self.heads.get_mut(id) {
            let rev = rev.unwrap_or(head.saturating_add(1));
            if compare_versions((rev, &Said::Retracted), (*head, said)).order.is_lt() {
                return LineKind::NotTaken;
            }
            (*head, *said) = (rev, Said::Retracted);
        }
        if self.taken_back.insert(id.clone()) { LineKind::Corrected } else { LineKind::Repeated }
    }

    fn kind_by_content(&mut self, line: &Version, corrects: bool) -> (LineKind, Arc<str>) {
        let Content { start_ms, end_ms, speaker, text, status, .. } = &line.content;
        let mark = mark(start_ms.unwrap_or(NO_TIME), *end_ms, speaker.as_deref(), text);
        let before = self.said.get(&line.id).copied();
        let comes_back = self.taken_back.remove(&line.id) && before.is_some_and(|before| before.is_own);
        let kind = match before {
            // Nothing is shown of it.
            None if text.trim().is_empty() => return (LineKind::Guess, line.id.clone()),
            None => LineKind::New,
            Some(_) if comes_back => LineKind::Corrected,
            Some(before) if before.mark == mark && before.status == *status => {
                // Whoever has said a line again means that line from then on.
                self.said.insert(line.id.clone(), LastSaid { is_own: true, ..before });
                LineKind::Repeated
            }
            Some(before) if !before.is_own && !corrects && self.is_beside(&line.id, mark, *status) => {
                LineKind::Repeated
            }
            // Whether it is another line is told by its final version.
            Some(before)
                if !before.is_own && !corrects && before.status == Status::Final && *status == Status::Interim =>
            {
                return (LineKind::Guess, line.id.clone());
            }
            // The server keeps it beside the other session's.
            Some(before) if !before.is_own && !corrects => LineKind::New,
            Some(before) if before.status == Status::Interim || *status == Status::Interim => LineKind::Guess,
            Some(_) => LineKind::Corrected,
        };
        if kind != LineKind::Repeated {
            self.said.insert(line.id.clone(), LastSaid { mark, status: *status, is_own: true });
        }
        (kind, line.id.clone())
    }

    /// Whether a line that is kept beside that of this id says this.
    fn is_beside(&self, id: &str, mark: u64, status: Status) -> bool {
        self.beside.get(id).is_some_and(|lines| lines.iter().any(|line| line.mark == mark && line.status == status))
    }

    fn refuse(&mut self, seq: u64, index: Option<usize>) {
        let Ok(at) = self.messages.binary_search_by_key(&seq, |message| message.seq) else {
            self.counts.refused += 1;
            return;
        };
        let SentMessage { lines, refused, .. } = &mut self.messages[at];
        if refused.contains(&None) || !refused.insert(index) {
            return;
        }
        let mut count = 0;
        for (at, (kind, id)) in lines.iter().enumerate() {
            let is_refused_now = match index {
                Some(index) => at == index,
                None => !refused.contains(&Some(at)),
            };
            if is_refused_now {
                count += 1;
                *self.counts.of(*kind) -= 1;
                if *kind == LineKind::New {
                    self.said.remove(id);
                }
            }
        }
        self.counts.refused += count.max(u64::from(index.is_some() || lines.is_empty()));
    }
}

impl LineCounts {
    fn of(&mut self, kind: LineKind) -> &mut u64 {
        match kind {
            LineKind::New => &mut self.new,
            LineKind::Repeated => &mut self.repeated,
            LineKind::Corrected => &mut self.corrected,
            LineKind::Guess => &mut self.guesses,
            LineKind::NotTaken => &mut self.refused,
        }
    }
}

/// The line that a message is which a program wrote; as much of it as is counted by.
fn line_in(object: &serde_json::Map<String, serde_json::Value>) -> Option<Version> {
    let text = |name: &str| object.get(name).and_then(|value| value.as_str());
    if text("type")? != "line" {
        return None;
    }
    let time = |name: &str| object.get(name).and_then(|value| value.as_i64());
    let content = Content {
        start_ms: time("start_ms"),
        end_ms: time("end_ms"),
        speaker: text("speaker").map(Into::into),
        text: text("text")?.into(),
        status: if text("status") == Some("interim") { Status::Interim } else { Status::Final },
        ..Content::default()
    };
    Some(Version { id: text("id")?.into(), content, ..Version::default() })
}

/// Stands for what a line says.
fn mark(start_ms: MediaMs, end_ms: Option<MediaMs>, speaker: Option<&str>, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    // The server keeps labels without the blanks at their ends.
    let speaker = speaker.map(str::trim).filter(|speaker| !speaker.is_empty());
    (start_ms, end_ms, speaker, text).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, text: &str, status: Status) -> Outgoing {
        let content = Content { start_ms: Some(7), text: text.into(), status, ..Content::default() };
        Outgoing::Line(Version { id: id.into(), content, ..Version::default() })
    }

    fn place() -> Arc<str> {
        "line 1 of the input".into()
    }

    fn counts(lines: &Lines) -> [u64; 4] {
        let LineCounts { new, repeated, corrected, refused, .. } = lines.counts;
        [new, repeated, corrected, refused]
    }

    #[test]
    fn lines_are_counted_by_what_they_are() {
        let mut lines = Lines::default();
        let other = LastSaid { mark: mark(7, None, None, "Of before."), status: Status::Final, is_own: false };
        lines.know(&"8".into(), other);
        lines.know(&"9".into(), other);
        let beside = LastSaid { mark: mark(7, None, None, "Of a second run."), ..other };
        lines.know(&"9~s2".into(), beside);
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
        lines.said.insert("10".into(), other);
        lines.note((11, &place()), &line("10", "Of now.", last), true);
        assert_eq!(counts(&lines), [2, 3, 4, 0]);
    }

    #[test]
    fn revisions_and_retractions_count_as_the_server_takes_them() {
        let mut lines = Lines::default();
        let of_rev = |id: &str, rev: u64, text: &str| match line(id, text, Status::Final) {
            Outgoing::Line(version) => Outgoing::Line(Version { rev: Some(rev), ..version }),
            _ => unreachable!("a line"),
        };
        let retract = |id: &str| Outgoing::Retract { id: id.into(), rev: None };
        for (seq, (message, expected)) in (1..).zip([
            (of_rev("1", 5, "Five."), [1, 0, 0, 0]),
            (of_rev("1", 4, "Four."), [1, 0, 0, 1]),
            (of_rev("1", 6, "Six."), [1, 0, 1, 1]),
            (line("1", "Seven.", Status::Final), [1, 0, 2, 1]),
            (of_rev("1", 6, "Six and a half."), [1, 0, 2, 2]),
            (line("2", " ", Status::Final), [1, 0, 2, 2]),
            (line("2", "Two.", Status::Final), [2, 0, 2, 2]),
            (retract("2"), [2, 0, 3, 2]),
            (retract("2"), [2, 1, 3, 2]),
            (line("2", "Two.", Status::Final), [2, 1, 4, 2]),
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
        let shown = lines.heads["3"].1.clone();
        let is_second = matches!(&shown, Said::Content(content) if *content.text == *"Other.");
        let expected = if is_second { [3, 2, 5, 3] } else { [3, 2, 4, 4] };
        assert_eq!(counts(&lines), expected, "{shown:?}");
    }

    /// Whoever may correct means the line of that id, and none that is kept beside it.
    #[test]
    fn a_correction_is_of_the_plain_line() {
        let mut lines = Lines::default();
        let first = LastSaid { mark: mark(7, None, None, "One."), status: Status::Final, is_own: false };
        lines.know(&"1".into(), first);
        lines.know(&"1~s2".into(), LastSaid { mark: mark(7, None, None, "Two."), ..first });
        lines.note((1, &place()), &line("1", "Two.", Status::Final), true);
        assert_eq!(counts(&lines), [0, 0, 1, 0]);
    }

    #[test]
    fn the_server_knows_better_what_a_line_was() {
        let mut lines = Lines::default();
        let other = LastSaid { mark: mark(7, None, None, "Of before."), status: Status::Final, is_own: false };
        for id in ["1", "2"] {
            lines.know(&id.into(), other);
        }
        lines.note((1, &place()), &line("1", "Of before, and now.", Status::Final), false);
        lines.note((2, &place()), &Outgoing::Retract { id: "2".into(), rev: None }, false);
        lines.note((3, &place()), &Outgoing::Retract { id: "3".into(), rev: None }, false);
        lines.note((4, &place()), &line("2", "Of before.", Status::Final), false);
        lines.note((5, &place()), &line("2", "Of now.", Status::Final), false);
        assert_eq!(counts(&lines), [1, 1, 3, 0], "what was said again is known, and corrected then");
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
        let mut lines = Lines::default();
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
        let mut lines = Lines::default();
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
        // A message that is sent again after a break is refused again.
        for (seq, index) in [(1, Some(1)), (3, None), (4, None), (4, Some(0))] {
            lines.refuse(seq, index);
            assert_eq!(counts(&lines), [3, 0, 0, 4], "{seq} {index:?}");
        }
        lines.refuse(1, None);
        assert_eq!(counts(&lines), [1, 0, 0, 6]);
    }
}
