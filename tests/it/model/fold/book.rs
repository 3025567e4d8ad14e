//! The fold by the book: every rule of the transcript said once more, in the slowest way that is plainly right.
//!
//! It keeps the heads of all lines and, after every record, assembles lines and turns from nothing. It shares no rule
//! with the code under test: order, hash, times, merges and turns are worked out here anew. [`Rule`] names each rule, so
//! that a test can leave one out and see that the difference is noticed.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use captionwire::transcript::{
    Break, Content, FeedMeta, FeedState, FoldView, Op, Record, ReuseOutcome, Speaker, Status, TimeSource, Timestamp,
    TurnSettings, Word,
};
use sha2::{Digest, Sha256};

/// What a reader should see.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Picture {
    pub(crate) opened: bool,
    pub(crate) state: FeedState,
    pub(crate) meta: FeedMeta,
    pub(crate) speakers: BTreeMap<String, Speaker>,
    pub(crate) turns: Vec<TurnSeen>,
}

impl Picture {
    /// Without what only the server sees.
    pub(crate) fn of_reader(mut self) -> Self {
        (self.meta.preamble, self.meta.trailer, self.opened) = (None, None, false);
        self
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TurnSeen {
    pub(crate) id: String,
    pub(crate) speaker: Option<String>,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: Option<i64>,
    pub(crate) closed: bool,
    pub(crate) rev: u64,
    pub(crate) lines: Vec<LineSeen>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LineSeen {
    pub(crate) key: String,
    pub(crate) rev: u64,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: Option<i64>,
    pub(crate) speaker: Option<String>,
    pub(crate) text: String,
    pub(crate) status: Status,
    pub(crate) lang: Option<String>,
    pub(crate) break_before: Option<Break>,
    pub(crate) time_source: Option<TimeSource>,
    pub(crate) words: Vec<Word>,
    pub(crate) received_at: Timestamp,
    pub(crate) unconfirmed: bool,
}

/// Every rule that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    RepeatedMessagesAreSkipped,
    RepeatedOrdersAreSkipped,
    FinalBeatsInterim,
    HigherRevWins,
    RetractionBeatsSameRev,
    HashDecides,
    NextRevWithoutOne,
    SameContentKeepsRev,
    AbandonedIsShown,
    AbandonNamesItsRev,
    NewerVersionEndsAbandon,
    ArrivalIsOfTheFirstRecord,
    EndBeforeStartIsNone,
    EmptyTextIsHidden,
    OnlyOnAirIsShown,
    OnlyLinesTakeTheAir,
    StartOrders,
    NaturalOrderOfIds,
    LongerNumbersAreGreater,
    RawIdsOrderLast,
    SpeakerBreaks,
    MergesResolve,
    MergesNeverCycle,
    MergedStaysMerged,
    BreakBreaks,
    PauseBreaks,
    PauseNeedsEndOfLast,
    PauseCountsFromGreatestEnd,
    UnknownTurnsAreCut,
    ClockCloses,
    ClockIsOfTheHolder,
    TimelessLinesMoveTheClock,
    ClockWithoutEndCountsFromStart,
    EndOfFeedCloses,
    EndNeedsTheAir,
    ClosedTurnsCountTheirChanges,
    ClosingAnewCounts,
    OpenOnce,
    OwnIdsAreTheSessions,
    SaidBeforeChangesNothing,
    SaidBeforeByAnyOfTheId,
    WhoKnowsALineCorrectsIt,
    RepeatsGoOn,
    ARevIsNoRepeat,
    RetractionsAreOfTheFirstLine,
    OvertakenGuessesShowNothing,
    RepeatsWithoutAStartShowNothing,
    AGuessThatIsBeingSaidIsKnown,
    MidSentenceJoins,
    MidSentenceNeedsTheLineNow,
    MidSentenceNeedsTheVersionNow,
    OneSentenceGoesOn,
    AFinalLineGoesOnAsItIs,
    AFinalLineNeedsItsStart,
    AFinalLineNeedsItsWords,
    OneWordIsNoSentence,
    ScriptsWithoutBlanksGoByLetters,
    AFinalLineKeepsItsSpeaker,
    WordsAreWhole,
    WhatIsNotSaidIsNoSign,
    AGuessMayGrow,
    WhoCountsAnewJoinsNothing,
    NoStrangerTakesAFinalLineBack,
    TakingBackMakesNoMember,
    WhatIsOvertakenGoesOnWithNothing,
    WhoReplacesAFinalLineIsTold,
    WhoOverwritesItsOwnIsTold,
    ACorrectionIsNotTold,
    ALateRevIsTold,
    ARepeatIsNotLate,
    TheNewestLineJoins,
    TheClockBeforeTheRecordCounts,
    MembersStayMembers,
    LinesBesideStay,
    ForeignRetractionsChangeNothing,
    LinesBesideAreNotTheLastId,
    WhoCorrectsMeansTheFirstLine,
}

impl Rule {
    pub(crate) const ALL: [Self; 77] = [
        Self::RepeatedMessagesAreSkipped,
        Self::RepeatedOrdersAreSkipped,
        Self::FinalBeatsInterim,
        Self::HigherRevWins,
        Self::RetractionBeatsSameRev,
        Self::HashDecides,
        Self::NextRevWithoutOne,
        Self::SameContentKeepsRev,
        Self::AbandonedIsShown,
        Self::AbandonNamesItsRev,
        Self::NewerVersionEndsAbandon,
        Self::ArrivalIsOfTheFirstRecord,
        Self::EndBeforeStartIsNone,
        Self::EmptyTextIsHidden,
        Self::OnlyOnAirIsShown,
        Self::OnlyLinesTakeTheAir,
        Self::StartOrders,
        Self::NaturalOrderOfIds,
        Self::LongerNumbersAreGreater,
        Self::RawIdsOrderLast,
        Self::SpeakerBreaks,
        Self::MergesResolve,
        Self::MergesNeverCycle,
        Self::MergedStaysMerged,
        Self::BreakBreaks,
        Self::PauseBreaks,
        Self::PauseNeedsEndOfLast,
        Self::PauseCountsFromGreatestEnd,
        Self::UnknownTurnsAreCut,
        Self::ClockCloses,
        Self::ClockIsOfTheHolder,
        Self::TimelessLinesMoveTheClock,
        Self::ClockWithoutEndCountsFromStart,
        Self::EndOfFeedCloses,
        Self::EndNeedsTheAir,
        Self::ClosedTurnsCountTheirChanges,
        Self::ClosingAnewCounts,
        Self::OpenOnce,
        Self::OwnIdsAreTheSessions,
        Self::SaidBeforeChangesNothing,
        Self::SaidBeforeByAnyOfTheId,
        Self::WhoKnowsALineCorrectsIt,
        Self::RepeatsGoOn,
        Self::ARevIsNoRepeat,
        Self::RetractionsAreOfTheFirstLine,
        Self::OvertakenGuessesShowNothing,
        Self::RepeatsWithoutAStartShowNothing,
        Self::AGuessThatIsBeingSaidIsKnown,
        Self::MidSentenceJoins,
        Self::MidSentenceNeedsTheLineNow,
        Self::MidSentenceNeedsTheVersionNow,
        Self::OneSentenceGoesOn,
        Self::AFinalLineGoesOnAsItIs,
        Self::AFinalLineNeedsItsStart,
        Self::AFinalLineNeedsItsWords,
        Self::OneWordIsNoSentence,
        Self::ScriptsWithoutBlanksGoByLetters,
        Self::AFinalLineKeepsItsSpeaker,
        Self::WordsAreWhole,
        Self::WhatIsNotSaidIsNoSign,
        Self::AGuessMayGrow,
        Self::WhoCountsAnewJoinsNothing,
        Self::NoStrangerTakesAFinalLineBack,
        Self::TakingBackMakesNoMember,
        Self::WhatIsOvertakenGoesOnWithNothing,
        Self::WhoReplacesAFinalLineIsTold,
        Self::WhoOverwritesItsOwnIsTold,
        Self::ACorrectionIsNotTold,
        Self::ALateRevIsTold,
        Self::ARepeatIsNotLate,
        Self::TheNewestLineJoins,
        Self::TheClockBeforeTheRecordCounts,
        Self::MembersStayMembers,
        Self::LinesBesideStay,
        Self::ForeignRetractionsChangeNothing,
        Self::LinesBesideAreNotTheLastId,
        Self::WhoCorrectsMeansTheFirstLine,
    ];
}

impl Rule {
    /// Whether it is one of those that say which line a session means by an id, and shows where each record has one line.
    pub(crate) fn is_of_identity(self) -> bool {
        self as usize >= Self::OwnIdsAreTheSessions as usize && self != Self::TheClockBeforeTheRecordCounts
    }
}

/// Source and id.
type Key = (String, String);

/// What a session means by an id: the line, by its id; whether it has changed it; and how far it has said again what the
/// line has said.
#[derive(Debug, Clone)]
struct Meant {
    id: String,
    is_member: bool,
    said_again: usize,
}

/// How many words two texts begin with alike, of how many of the first; whether the first is a sentence by itself; whether
/// the second holds the first; and whether they can be one sentence.
struct FirstWords {
    common: usize,
    count: usize,
    is_sentence: bool,
    grows: bool,
    are_alike: bool,
}

/// Who sent a version, and what the feed's clock was before it.
#[derive(Debug, Clone)]
struct Sent {
    session: Option<String>,
    own_ids: bool,
    clock: Option<i64>,
}

/// What is told of a record beside what readers see.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Reports {
    /// The line and the revision that has two contents.
    pub(crate) conflicts: Vec<(String, u64)>,
    /// The line whose id was used again, what became of it, and the session.
    pub(crate) reused: Vec<(String, ReuseOutcome, String)>,
}

#[derive(Debug, Clone)]
struct Known {
    arrival: (i64, TimeSource),
    rev: u64,
    /// None for a retraction.
    said: Option<Content>,
    /// The session that changed it last.
    by: Option<String>,
    received_at: Timestamp,
    abandoned: bool,
}

#[derive(Debug, Clone, Default)]
struct TurnMemory {
    rev: u64,
    was_closed: bool,
    before: Option<TurnSeen>,
}

/// A time that was heard of: by whom, which, and when.
type Heard = (String, i64, Timestamp);

#[derive(Debug, Default)]
pub(crate) struct Book {
    view: FoldView,
    broken: Option<Rule>,
    opened: Option<Timestamp>,
    settings: TurnSettings,
    state: FeedState,
    meta: FeedMeta,
    op_ids: BTreeSet<String>,
    sessions: BTreeMap<(String, String), u64>,
    keys: BTreeMap<Key, Known>,
    /// All that each line has ever said, one content after the other, in the canonical encoding.
    contents: BTreeMap<Key, Vec<String>>,
    /// By source, session and the id as it was sent.
    meant: BTreeMap<(String, String, String), Meant>,
    /// Sources and sessions of which a line is kept beside another session's.
    counting_anew: BTreeSet<(String, String)>,
    holder: Option<String>,
    heard: Vec<Heard>,
    /// Those of them that the sources gave.
    given: Vec<Heard>,
    names: BTreeMap<String, String>,
    kinds: BTreeMap<String, String>,
    into: BTreeMap<String, String>,
    known_speakers: BTreeSet<String>,
    turn_memory: BTreeMap<String, TurnMemory>,
    picture: Picture,
    changes: u64,
    last_line_at: Option<Timestamp>,
}

impl Book {
    pub(crate) fn new(view: FoldView) -> Self {
        Self { view, ..Self::default() }
    }

    /// A book that leaves one rule out.
    pub(crate) fn without(view: FoldView, rule: Rule) -> Self {
        Self { view, broken: Some(rule), ..Self::default() }
    }

    fn has(&self, rule: Rule) -> bool {
        self.broken != Some(rule)
    }

    /// Takes a record; gives what is told of it.
    pub(crate) fn take(&mut self, record: &Record) -> Reports {
        let mut reports = Reports::default();
        if !self.is_repeat(record) {
            self.operate(record, &mut reports);
            let picture = self.assemble();
            if picture != self.picture {
                self.picture = picture;
                self.changes += 1;
            }
        }
        reports
    }

    pub(crate) fn picture(&self) -> &Picture {
        &self.picture
    }

    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    pub(crate) fn holder(&self) -> Option<&str> {
        self.holder.as_deref()
    }

    pub(crate) fn last_line_at(&self) -> Option<Timestamp> {
        self.last_line_at
    }

    pub(crate) fn seq(&self, source: &str, session: &str) -> u64 {
        self.sessions.get(&(source.to_owned(), session.to_owned())).copied().unwrap_or(0)
    }

    /// The greatest id of a source.
    pub(crate) fn last_id(&self, source: &str) -> Option<String> {
        let ids = self.keys.keys().filter(|key| key.0 == source).map(|key| key.1.clone());
        let ids = ids.filter(|id| !id.contains('~') || !self.has(Rule::LinesBesideAreNotTheLastId));
        ids.max_by(|a, b| self.compare_ids(a, b))
    }

    /// The lines of a source that are interim still.
    pub(crate) fn interim(&self, source: &str) -> BTreeMap<String, u64> {
        let lines = self.keys.iter().filter(|(key, known)| key.0 == source && is_interim(known));
        lines.map(|(key, known)| (key.1.clone(), known.rev)).collect()
    }

    /// The greatest time that any source gave, and when that was first given.
    pub(crate) fn reach(&self) -> Option<(i64, Timestamp)> {
        first_greatest(self.given.iter())
    }

    /// As `reach`, of the source on air alone, and with times of arrival.
    pub(crate) fn clock(&self) -> Option<(i64, Timestamp)> {
        let holder = self.holder.as_ref()?;
        first_greatest(self.heard.iter().filter(|heard| heard.0 == *holder || !self.has(Rule::ClockIsOfTheHolder)))
    }

    fn is_repeat(&mut self, record: &Record) -> bool {
        if let Some(op_id) = &record.op_id
            && !self.op_ids.insert(op_id.to_string())
            && self.has(Rule::RepeatedOrdersAreSkipped)
        {
            return true;
        }
        let Some(by) = &record.published else { return false };
        let session = (by.source.to_string(), by.session.to_string());
        let greatest = self.sessions.get(&session).copied();
        self.sessions.insert(session, greatest.map_or(by.seq, |greatest| greatest.max(by.seq)));
        greatest.is_some_and(|greatest| by.seq <= greatest) && self.has(Rule::RepeatedMessagesAreSkipped)
    }

    fn operate(&mut self, record: &Record, reports: &mut Reports) {
        let at = record.received_at;
        let by = record.published.as_ref();
        let mut sent = Sent {
            session: by.map(|by| by.session.to_string()),
            own_ids: by.is_some_and(|by| by.own_ids) && self.has(Rule::OwnIdsAreTheSessions),
            clock: self.clock().map(|clock| clock.0),
        };
        match &record.op {
            Op::Line { source, lines } => {
                self.holder.get_or_insert_with(|| source.to_string());
                for line in lines {
                    let arrival = line.arrival_ms.map(|ms| (ms, line.time_source.unwrap_or(TimeSource::Arrival)));
                    let said = Some(line.content.clone());
                    let start = Some(line.content.start_ms.or(arrival.map(|arrival| arrival.0)));
                    let Some(id) = self.line_of((source, &line.id), (line.rev, &said), start, &sent, at, reports)
                    else {
                        continue;
                    };
                    if let Ok(id) = &id {
                        self.take_version((source, id), (line.rev, said), arrival, (&sent, &line.id, at), reports);
                    }
                    let id = id.unwrap_or_else(|id| id);
                    let known = &self.keys[&(source.to_string(), id)];
                    if line.content.start_ms.is_none() && !self.has(Rule::TimelessLinesMoveTheClock) {
                        continue;
                    }
                    let (start, end, _) = self.times(known, &line.content);
                    let heard = (source.to_string(), end.unwrap_or(start), at);
                    if line.content.start_ms.is_some() {
                        self.given.push(heard.clone());
                    }
                    self.heard.push(heard);
                    if !self.has(Rule::TheClockBeforeTheRecordCounts) {
                        sent.clock = self.clock().map(|clock| clock.0);
                    }
                }
            }
            Op::Retract { source, id, rev } => {
                if !self.has(Rule::OnlyLinesTakeTheAir) {
                    self.holder.get_or_insert_with(|| source.to_string());
                }
                if let Some(Ok(kept)) = self.line_of((source, id), (*rev, &None), None, &sent, at, reports) {
                    self.take_version((source, &kept), (*rev, None), None, (&sent, id, at), reports);
                }
            }
            Op::Clock { source, media_ms } => {
                self.heard.push((source.to_string(), *media_ms, at));
                if record.published.is_some() {
                    self.given.push((source.to_string(), *media_ms, at));
                }
            }
            Op::Abandon { source, id, rev } => {
                let any_rev = !self.has(Rule::AbandonNamesItsRev);
                if let Some(known) = self.keys.get_mut(&(source.to_string(), id.to_string()))
                    && is_interim(known)
                    && rev.is_none_or(|rev| rev == known.rev || any_rev)
                {
                    known.abandoned = true;
                }
            }
            Op::Rename { speaker, name, kind } => self.rename(speaker, name, kind.as_deref()),
            Op::Merge { from, into } => self.merge(from, into),
            Op::Unmerge { from } => {
                self.into.remove(&**from);
            }
            Op::Open { settings, .. } => {
                if self.opened.is_none() || !self.has(Rule::OpenOnce) {
                    (self.opened, self.settings) = (Some(at), *settings);
                }
            }
            Op::Meta(meta) => {
                let newer = meta.clone();
                let older = std::mem::take(&mut self.meta);
                self.meta = FeedMeta {
                    title: newer.title.or(older.title),
                    language: newer.language.or(older.language),
                    preamble: newer.preamble.or(older.preamble),
                    trailer: newer.trailer.or(older.trailer),
                };
            }
            Op::Pause | Op::Resume | Op::End | Op::Reopen => self.change_state(record),
            Op::Frame(_) | Op::Unknown => {}
            other => panic!("the book has no rule for {other:?}"),
        }
    }

    fn change_state(&mut self, record: &Record) {
        use FeedState::{Ended, Live, None, Paused, Scheduled};
        let by = record.published.as_ref().map(|by| by.source.to_string());
        let on_air = by.is_none() || self.holder.is_none() || self.holder == by || !self.has(Rule::EndNeedsTheAir);
        self.state = match (&record.op, self.state) {
            (Op::Pause, Live) => Paused,
            (Op::Resume, Scheduled | Paused) | (Op::Reopen, Ended) => Live,
            (Op::End, None | Scheduled | Live | Paused) if on_air => Ended,
            (_, state) => state,
        };
    }

    /// The line that a version is one of, as its id is kept: `Ok` for a version that counts, `Err` for one that the line has
    /// had before. None for a retraction that takes nothing back. `start` is of a line, and none where only its arrival says it.
    fn line_of(
        &mut self,
        (source, id): (&str, &str),
        (rev, said): (Option<u64>, &Option<Content>),
        start: Option<Option<i64>>,
        sent: &Sent,
        at: Timestamp,
        reports: &mut Reports,
    ) -> Option<Result<String, String>> {
        let first = (source.to_owned(), id.to_owned());
        let Some(session) = &sent.session else { return Some(Ok(id.to_owned())) };
        let meant = (source.to_owned(), session.clone(), id.to_owned());
        let known = self.meant.get(&meant).cloned();
        let member = |id: &str| Meant { id: id.to_owned(), is_member: true, said_again: 0 };
        if !self.keys.contains_key(&first) {
            self.meant.insert(meant, member(id));
            return Some(Ok(id.to_owned()));
        }
        // Who is a member of a line, or says that it corrects, changes it.
        match &known {
            Some(known) if known.is_member || !sent.own_ids => {
                let first_line = !sent.own_ids && !self.has(Rule::WhoCorrectsMeansTheFirstLine);
                let id = if first_line { id.to_owned() } else { known.id.clone() };
                self.meant.insert(meant, member(&id));
                return Some(Ok(id));
            }
            None if !sent.own_ids => {
                self.meant.insert(meant, member(id));
                return Some(Ok(id.to_owned()));
            }
            _ => {}
        }
        let counts_anew = self.counting_anew.contains(&(source.to_owned(), session.clone()))
            && self.has(Rule::WhoCountsAnewJoinsNothing);
        let known = known.filter(|_| !counts_anew);
        if let Some(known) = &known
            && rev.is_some()
            && self.has(Rule::ARevIsNoRepeat)
        {
            self.meant.insert(meant, member(&known.id));
            return Some(Ok(known.id.clone()));
        }
        // The lines that are called so, the newest first.
        let mut lines: Vec<String> =
            (2..).map(|n| format!("{id}~s{n}")).take_while(|id| self.has_line(source, id)).collect();
        lines.insert(0, id.to_owned());
        lines.reverse();
        // Which of them are being said, and whether the version is.
        let since_opening = self.opened.map_or(0, |opened| at.0.saturating_sub(opened.0).max(0));
        let is_now = |ms: i64| sent.clock.is_some_and(|clock| (i128::from(clock) - i128::from(ms)).abs() <= 10_000);
        let version_ms = start.map(|start| start.unwrap_or(since_opening));
        let version_is_now = version_ms.is_none_or(is_now) || !self.has(Rule::MidSentenceNeedsTheVersionNow);
        let is_said_now = |line: &str| {
            let known = &self.keys[&(source.to_owned(), line.to_owned())];
            let start = known.said.as_ref().map(|said| self.times(known, said).0);
            let is_now = start.is_some_and(is_now) || start.is_some() && !self.has(Rule::MidSentenceNeedsTheLineNow);
            is_now && version_is_now
        };
        let content = canonical(said);
        let mut looked_at = if self.has(Rule::SaidBeforeByAnyOfTheId) { lines.clone() } else { vec![id.to_owned()] };
        looked_at.retain(|line| line == id || said.is_some() || !self.has(Rule::RetractionsAreOfTheFirstLine));
        looked_at.splice(0..0, known.iter().map(|known| known.id.clone()));
        for line in looked_at {
            let key = (source.to_owned(), line.clone());
            let is_known = known.as_ref().is_some_and(|known| known.id == line);
            let from = known.as_ref().filter(|known| known.id == line && self.has(Rule::RepeatsGoOn));
            let from = from.map_or(0, |known| known.said_again);
            let Some(at) = (from..self.contents[&key].len()).find(|at| self.contents[&key][*at] == content) else {
                continue;
            };
            let is_head = canonical(&self.keys[&key].said) == content;
            let changes_nothing = self.has(Rule::SaidBeforeChangesNothing);
            let is_guess = said.as_ref().is_some_and(|said| said.status == Status::Interim);
            let has_start = said.as_ref().is_some_and(|said| said.start_ms.is_some())
                || !self.has(Rule::RepeatsWithoutAStartShowNothing);
            let shows = match is_guess {
                true => {
                    let is_overtaken = !is_head && self.has(Rule::OvertakenGuessesShowNothing);
                    let is_being_said = is_said_now(&line) && self.has(Rule::AGuessThatIsBeingSaidIsKnown);
                    !is_overtaken && (has_start || is_being_said)
                }
                false => has_start || is_known,
            };
            let shows = shows && !counts_anew;
            if shows {
                let shown = Meant { id: line.clone(), is_member: !changes_nothing, said_again: at };
                self.meant.insert(meant, shown);
            }
            // The head again may have a higher revision.
            return Some(if changes_nothing && !(is_head && shows) { Err(line) } else { Ok(line) });
        }
        if let Some(known) = known
            && self.has(Rule::WhoKnowsALineCorrectsIt)
        {
            self.meant.insert(meant, member(&known.id));
            return Some(Ok(known.id));
        }
        // A reconnect in mid-sentence.
        if !self.has(Rule::TheNewestLineJoins) {
            lines.reverse();
        }
        let joined = lines.iter().find(|line| {
            let known = &self.keys[&(source.to_owned(), (*line).clone())];
            let rev = rev.unwrap_or(known.rev.saturating_add(1));
            let (interim, revs, retracted, hash) =
                self.compare(&Known { rev, said: said.clone(), ..known.clone() }, known);
            let is_head = interim.then(revs).then(retracted).then(hash).is_gt();
            let may_go_on = !counts_anew && (is_head || !self.has(Rule::WhatIsOvertakenGoesOnWithNothing));
            may_go_on && is_said_now(line) && self.is_one_sentence(known, said)
        });
        if let Some(line) = joined
            && self.has(Rule::MidSentenceJoins)
        {
            if said.is_some() || !self.has(Rule::TakingBackMakesNoMember) {
                self.meant.insert(meant, member(line));
            }
            return Some(Ok(line.clone()));
        }
        // Something else.
        let key = format!("{source}/{id}");
        if said.is_none() {
            if !self.has(Rule::ForeignRetractionsChangeNothing) {
                return Some(Ok(id.to_owned()));
            }
            reports.reused.push((key, ReuseOutcome::NotTakenBack, session.clone()));
            return None;
        }
        let number = (2..).find(|n| !self.has_line(source, &format!("{id}~s{n}"))).expect("there are more numbers");
        let kept = format!("{id}~s{number}");
        reports.reused.push((key, ReuseOutcome::Beside(kept.as_str().into()), session.clone()));
        self.counting_anew.insert((source.to_owned(), session.clone()));
        if self.has(Rule::LinesBesideStay) {
            self.meant.insert(meant, member(&kept));
        }
        Some(Ok(kept))
    }

    /// Whether what a session says can be one sentence with what another one's line says.
    fn is_one_sentence(&self, line: &Known, said: &Option<Content>) -> bool {
        let Some(head) = &line.said else { return !self.has(Rule::OneSentenceGoesOn) };
        let is_final = head.status == Status::Final && self.has(Rule::AFinalLineGoesOnAsItIs);
        let Some(said) = said else { return !is_final || !self.has(Rule::NoStrangerTakesAFinalLineBack) };
        let first = self.first_words(&head.text, &said.text);
        let unsaid = if self.has(Rule::WhatIsNotSaidIsNoSign) { "none" } else { "for" };
        let sign = |is_for: bool| if is_for { "for" } else { "against" };
        let speaker = match (&head.speaker, &said.speaker) {
            (Some(line), Some(version)) => sign(line == version),
            _ => unsaid,
        };
        let start = match (head.start_ms, said.start_ms) {
            (Some(line), Some(version)) => sign((i128::from(line) - i128::from(version)).abs() <= 1_000),
            _ => unsaid,
        };
        let words = sign(first.are_alike);
        let count = |kind: &str| [speaker, start, words].into_iter().filter(|sign| *sign == kind).count();
        let grows = first.grows || head.text.trim().is_empty();
        let goes_on = match is_final {
            true => {
                let has_start = start == "for" || start == "none" && !self.has(Rule::AFinalLineNeedsItsStart);
                let has_words =
                    first.common == first.count || words == "for" && !self.has(Rule::AFinalLineNeedsItsWords);
                let is_sentence = first.is_sentence || !self.has(Rule::OneWordIsNoSentence);
                let keeps_speaker = head.speaker.is_none() || !self.has(Rule::AFinalLineKeepsItsSpeaker);
                let has_speaker = speaker == "for" || speaker != "against" && keeps_speaker;
                has_start && has_words && is_sentence && has_speaker
            }
            false => count("for") >= 2 || speaker != "against" && grows && self.has(Rule::AGuessMayGrow),
        };
        goes_on || !self.has(Rule::OneSentenceGoesOn)
    }

    /// How two texts begin.
    fn first_words(&self, a: &str, b: &str) -> FirstWords {
        let trimmed = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        // A word by its letters; where words need not be whole, a text is one word of many.
        let in_words = |text: &str| -> Vec<String> {
            let pieces: Vec<String> = match self.has(Rule::WordsAreWhole) {
                true => text.split_whitespace().map(trimmed).collect(),
                false => text.chars().map(|c| trimmed(&c.to_string())).collect(),
            };
            pieces.into_iter().filter(|word| !word.is_empty()).collect()
        };
        // All letters, with a mark between any two that are not both of one number.
        let in_letters = |text: &str| -> Vec<String> {
            let all: Vec<char> = text.to_lowercase().chars().collect();
            let is_in_number = |at: usize| {
                let before = all[..at].iter().rev().find(|c| c.is_alphanumeric());
                let next = all[at..].iter().find(|c| c.is_alphanumeric());
                [before, next].iter().all(|c| c.is_some_and(|c| c.is_numeric()))
            };
            let mut spaced = String::new();
            for (at, c) in all.iter().enumerate() {
                spaced.extend((!is_in_number(at)).then_some('\u{0}'));
                spaced.extend((c.is_alphanumeric() || is_in_number(at)).then_some(*c));
            }
            spaced.split('\u{0}').filter(|piece| !piece.is_empty()).map(str::to_owned).collect()
        };
        // The scripts that write no blanks, by some letters of each of their blocks that the texts of the tests are of.
        let is_unspaced = |text: &str| {
            let unspaced = |c: char| {
                ["ก-ฮ", "ぁ-ヿ", "一-鿿"].iter().any(|range| {
                    let ends: Vec<char> = range.chars().collect();
                    c >= ends[0] && c <= ends[2]
                })
            };
            text.split_whitespace().map(trimmed).filter(|word| !word.is_empty()).count() == 1
                && text.chars().any(|c| c.is_alphabetic() && unspaced(c))
        };
        let by_letters = (is_unspaced(a) || is_unspaced(b)) && self.has(Rule::ScriptsWithoutBlanksGoByLetters);
        let are_equal = a == b;
        let (a, b) = if by_letters { (in_letters(a), in_letters(b)) } else { (in_words(a), in_words(b)) };
        let common = (0..a.len().min(b.len())).take_while(|at| a[*at] == b[*at]).count();
        // All words of the first are the first ones of the second, but for the end of its last one.
        let grows_to = |guess: &[String], text: &[String]| {
            let Some((cut, whole)) = guess.split_last() else { return false };
            let word = text.get(whole.len()).map(String::as_str).unwrap_or_default();
            let is_number = cut.chars().last().is_some_and(char::is_numeric);
            let has_parts =
                cut.chars().any(|c| !c.is_alphanumeric() && (c < '\u{300}' || "‐‑‒–—―‘’\u{200c}".contains(c)));
            let may_be_cut = !by_letters && !is_number && (!whole.is_empty() || has_parts);
            text.starts_with(whole) && (word == cut || may_be_cut && word.starts_with(cut.as_str()))
        };
        let shorter = a.len().min(b.len());
        let tells = !by_letters || shorter >= 4;
        let are_alike = tells && 2 * common > shorter || grows_to(&a, &b) || grows_to(&b, &a) || are_equal;
        let is_sentence = a.len() >= if by_letters { 4 } else { 2 };
        FirstWords { common, count: a.len(), is_sentence, grows: grows_to(&a, &b), are_alike }
    }

    /// Whether a session says another sentence under the id of a final line of its own, far from there.
    fn overwrites(&self, known: &Known, said: Option<&Content>, start: Option<i64>) -> Option<ReuseOutcome> {
        let (head, said) = (known.said.as_ref()?, said?);
        let is_timed = head.start_ms.is_some();
        if head.status != Status::Final || said.start_ms.is_some() != is_timed {
            return None;
        }
        let is_far = (i128::from(self.times(known, head).0) - i128::from(start?)).abs() > 10_000;
        let is_other_speaker = said.speaker.is_some() && said.speaker != head.speaker && said.text != head.text;
        let is_other = !self.first_words(&head.text, &said.text).are_alike || is_other_speaker;
        let is_told = is_far && is_other || !self.has(Rule::ACorrectionIsNotTold);
        is_told.then_some(ReuseOutcome::Overwritten { is_timed })
    }

    fn has_line(&self, source: &str, id: &str) -> bool {
        self.keys.contains_key(&(source.to_owned(), id.to_owned()))
    }

    fn take_version(
        &mut self,
        (source, id): (&str, &str),
        (rev, said): (Option<u64>, Option<Content>),
        arrival: Option<(i64, TimeSource)>,
        (sent, sent_id, at): (&Sent, &str, Timestamp),
        reports: &mut Reports,
    ) {
        let key = (source.to_owned(), id.to_owned());
        let since_opening = self.opened.map_or(0, |opened| at.0.saturating_sub(opened.0).max(0));
        let arrival = arrival.unwrap_or((since_opening, TimeSource::Arrival));
        let said_line = said.is_some();
        let start = said.as_ref().map(|said| said.start_ms.unwrap_or(arrival.0));
        let contents = self.contents.entry(key.clone()).or_default();
        let was_said = contents.contains(&canonical(&said));
        let is_head = self.keys.get(&key).is_some_and(|known| canonical(&known.said) == canonical(&said));
        if !is_head && contents.last() != Some(&canonical(&said)) {
            contents.push(canonical(&said));
        }
        let Some(known) = self.keys.get(&key) else {
            let by = sent.session.clone();
            let new = Known { arrival, rev: rev.unwrap_or(0), said, by, received_at: at, abandoned: false };
            self.keys.insert(key, new);
            if said_line {
                self.last_line_at = self.last_line_at.max(Some(at));
            }
            return;
        };
        let same = canonical(&said) == canonical(&known.said);
        let rev = rev.unwrap_or(match same {
            true if self.has(Rule::SameContentKeepsRev) => known.rev,
            _ if self.has(Rule::NextRevWithoutOne) => known.rev.saturating_add(1),
            _ => known.rev,
        });
        let by = known.by.clone();
        let mut new = Known { arrival: known.arrival, rev, said, by, received_at: at, abandoned: false };
        if !self.has(Rule::ArrivalIsOfTheFirstRecord) {
            new.arrival = arrival;
        }
        if same && rev == known.rev {
            return;
        }
        let (interim, rev_order, retracted, hash) = self.compare(&new, known);
        if (interim, rev_order, retracted) == (Ordering::Equal, Ordering::Equal, Ordering::Equal) {
            reports.conflicts.push((format!("{source}/{id}"), rev));
        }
        if interim.then(rev_order).then(retracted).then(hash).is_gt() {
            if let Some(session) = &sent.session {
                let overwritten = self.overwrites(known, new.said.as_ref(), start);
                let is_own = sent.own_ids && known.by.as_ref() == Some(session);
                if let Some(outcome) = overwritten.filter(|_| is_own && self.has(Rule::WhoOverwritesItsOwnIsTold)) {
                    reports.reused.push((format!("{source}/{id}"), outcome, session.clone()));
                }
                let was_final = known.said.as_ref().is_some_and(|said| said.status == Status::Final);
                let is_told = sent.own_ids && known.by.as_ref() != Some(session) && was_final && !same;
                if is_told && self.has(Rule::WhoReplacesAFinalLineIsTold) {
                    reports.reused.push((format!("{source}/{id}"), ReuseOutcome::Replaced, session.clone()));
                }
                let meant = self.meant.get(&(source.to_owned(), session.clone(), sent_id.to_owned()));
                if meant.is_some_and(|meant| meant.is_member && meant.id == id) {
                    new.by = Some(session.clone());
                }
            }
            if !self.has(Rule::MembersStayMembers) {
                self.meant.retain(|_, meant| meant.id != id);
            }
            if !self.has(Rule::NewerVersionEndsAbandon) {
                new.abandoned = known.abandoned;
            }
            self.keys.insert(key, new);
            if said_line {
                self.last_line_at = self.last_line_at.max(Some(at));
            }
        } else if let Some(session) = &sent.session
            && (rev_order, retracted) != (Ordering::Equal, Ordering::Equal)
            && !(interim.is_lt() || was_said && self.has(Rule::ARepeatIsNotLate))
            && self.has(Rule::ALateRevIsTold)
        {
            let outcome = ReuseOutcome::Overtaken { rev, head_rev: known.rev };
            reports.reused.push((format!("{source}/{id}"), outcome, session.clone()));
        }
    }

    fn compare(&self, a: &Known, b: &Known) -> (Ordering, Ordering, Ordering, Ordering) {
        let says_interim = |known: &Known| known.said.as_ref().is_some_and(|said| said.status == Status::Interim);
        let hash = |known: &Known| Sha256::digest(canonical(&known.said).as_bytes()).to_vec();
        let or_equal = |rule, order: Ordering| if self.has(rule) { order } else { Ordering::Equal };
        (
            or_equal(Rule::FinalBeatsInterim, says_interim(b).cmp(&says_interim(a))),
            or_equal(Rule::HigherRevWins, a.rev.cmp(&b.rev)),
            or_equal(Rule::RetractionBeatsSameRev, a.said.is_none().cmp(&b.said.is_none())),
            or_equal(Rule::HashDecides, hash(a).cmp(&hash(b))),
        )
    }

    fn rename(&mut self, speaker: &str, name: &str, kind: Option<&str>) {
        let before = self.speaker(speaker);
        self.names.insert(speaker.to_owned(), name.to_owned());
        if let Some(kind) = kind {
            self.kinds.insert(speaker.to_owned(), kind.to_owned());
        }
        if self.speaker(speaker) != before {
            self.known_speakers.insert(speaker.to_owned());
        }
    }

    fn merge(&mut self, from: &str, into: &str) {
        let merged_already = self.into.contains_key(from) && self.has(Rule::MergedStaysMerged);
        let closes_a_cycle = self.resolve(into) == from && self.has(Rule::MergesNeverCycle);
        if merged_already || closes_a_cycle {
            return;
        }
        self.into.insert(from.to_owned(), into.to_owned());
        self.known_speakers.extend([from.to_owned(), into.to_owned()]);
    }

    /// Whom a speaker is after all merges.
    fn resolve(&self, speaker: &str) -> String {
        let mut speaker = speaker;
        // No chain is longer than there are merges, unless the rule against cycles is left out.
        for _ in 0..self.into.len() {
            speaker = self.into.get(speaker).map_or(speaker, String::as_str);
        }
        speaker.to_owned()
    }

    fn speaker(&self, id: &str) -> Speaker {
        Speaker {
            id: id.into(),
            name: self.names.get(id).map_or(id, String::as_str).into(),
            kind: self.kinds.get(id).map(|kind| kind.as_str().into()),
            into: self.into.get(id).map(|into| into.as_str().into()),
        }
    }

    /// Start and end of a line, and where the start comes from if not from its source.
    fn times(&self, known: &Known, said: &Content) -> (i64, Option<i64>, Option<TimeSource>) {
        // The media axis goes from 0 to the greatest time a sort string can hold.
        let start = said.start_ms.unwrap_or(known.arrival.0).clamp(0, 9_999_999_999_999);
        let end = said.end_ms.filter(|end| *end >= start || !self.has(Rule::EndBeforeStartIsNone));
        (start, end, said.start_ms.is_none().then_some(known.arrival.1))
    }

    fn shown_lines(&self) -> Vec<(Key, LineSeen)> {
        let mut lines = Vec::new();
        for (key, known) in &self.keys {
            let Some(said) = &known.said else { continue };
            let on_air = self.holder.as_ref() == Some(&key.0) || !self.has(Rule::OnlyOnAirIsShown);
            let in_view = self.view == FoldView::Interim || !is_interim(known);
            let abandoned = known.abandoned && self.has(Rule::AbandonedIsShown);
            let empty = said.text.trim().is_empty() && self.has(Rule::EmptyTextIsHidden);
            if !on_air || !in_view || empty {
                continue;
            }
            let (start_ms, end_ms, time_source) = self.times(known, said);
            let line = LineSeen {
                key: format!("{}/{}", key.0, key.1),
                rev: known.rev,
                start_ms,
                end_ms,
                speaker: said.speaker.as_deref().map(str::to_owned),
                text: said.text.to_string(),
                status: if abandoned { Status::Final } else { said.status },
                lang: said.lang.as_deref().map(str::to_owned),
                break_before: said.break_before,
                time_source,
                words: said.words.clone(),
                received_at: known.received_at,
                unconfirmed: abandoned,
            };
            lines.push((key.clone(), line));
        }
        lines.sort_by(|(a, x), (b, y)| {
            let starts = if self.has(Rule::StartOrders) { x.start_ms.cmp(&y.start_ms) } else { Ordering::Equal };
            starts.then_with(|| a.0.cmp(&b.0)).then_with(|| self.compare_ids(&a.1, &b.1))
        });
        lines
    }

    fn compare_ids(&self, a: &str, b: &str) -> Ordering {
        let natural = match self.has(Rule::NaturalOrderOfIds) {
            true => self.tokens(a).cmp(&self.tokens(b)),
            false => Ordering::Equal,
        };
        let raw = if self.has(Rule::RawIdsOrderLast) { a.cmp(b) } else { b.cmp(a) };
        natural.then(raw)
    }

    /// An id cut into bytes and runs of digits; a run stands where its first digit would, and is as great as its number.
    fn tokens(&self, id: &str) -> Vec<(u8, usize, String)> {
        let mut tokens: Vec<(u8, usize, String)> = Vec::new();
        let mut run: Option<String> = None;
        for c in id.chars().chain(['\0']) {
            if c.is_ascii_digit() {
                run.get_or_insert_default().push(c);
                continue;
            }
            if let Some(digits) = run.take() {
                let number = digits.trim_start_matches('0').to_owned();
                let length = if self.has(Rule::LongerNumbersAreGreater) { number.len() } else { 0 };
                tokens.push((b'0', length, number));
            }
            if c != '\0' {
                tokens.push((u8::try_from(c).expect("ids are ASCII"), 0, String::new()));
            }
        }
        tokens
    }

    fn assemble(&mut self) -> Picture {
        let mut turns: Vec<TurnSeen> = Vec::new();
        for (_, line) in self.shown_lines() {
            self.known_speakers.extend(line.speaker.clone());
            match turns.last_mut() {
                Some(turn) if !self.opens_turn(turn, &line) => {
                    turn.end_ms = turn.end_ms.max(line.end_ms);
                    turn.lines.push(line);
                }
                _ => turns.push(TurnSeen {
                    id: line.key.clone(),
                    speaker: line.speaker.clone(),
                    start_ms: line.start_ms,
                    end_ms: line.end_ms,
                    closed: false,
                    rev: 0,
                    lines: vec![line],
                }),
            }
        }
        let last = turns.len().wrapping_sub(1);
        for (index, turn) in turns.iter_mut().enumerate() {
            turn.closed = index != last || self.closes_last(turn);
            turn.rev = self.rev_of(turn);
        }
        for (id, memory) in &mut self.turn_memory {
            if !turns.iter().any(|turn| turn.id == *id) {
                memory.before = None;
            }
        }
        Picture {
            opened: self.opened.is_some(),
            state: self.state,
            meta: self.meta.clone(),
            speakers: self.known_speakers.iter().map(|id| (id.clone(), self.speaker(id))).collect(),
            turns,
        }
    }

    fn opens_turn(&self, turn: &TurnSeen, line: &LineSeen) -> bool {
        let last = turn.lines.last().expect("a turn has a line");
        let merged = |id: &Option<String>| match self.has(Rule::MergesResolve) {
            true => id.as_deref().map(|id| self.resolve(id)),
            false => id.clone(),
        };
        // B1
        if merged(&last.speaker) != merged(&line.speaker) && self.has(Rule::SpeakerBreaks) {
            return true;
        }
        // B2
        if line.break_before == Some(Break::Turn) && self.has(Rule::BreakBreaks) {
            return true;
        }
        // B3
        let counted = match self.has(Rule::PauseCountsFromGreatestEnd) {
            true => turn.end_ms,
            false => last.end_ms,
        };
        if let Some(end) = counted
            && (last.end_ms.is_some() || !self.has(Rule::PauseNeedsEndOfLast))
            && line.start_ms.saturating_sub(end) >= self.settings.turn_gap_ms
            && self.has(Rule::PauseBreaks)
        {
            return true;
        }
        // B4
        let stretch = |ms: i64| ms.div_euclid(self.settings.max_unknown_turn_ms.max(1));
        line.speaker.is_none() && stretch(line.start_ms) != stretch(last.start_ms) && self.has(Rule::UnknownTurnsAreCut)
    }

    fn closes_last(&self, turn: &TurnSeen) -> bool {
        if self.state == FeedState::Ended && self.has(Rule::EndOfFeedCloses) {
            return true;
        }
        let Some((clock, _)) = self.clock() else { return false };
        let last = turn.lines.last().expect("a turn has a line");
        let end_of_last = match last.end_ms {
            None if self.has(Rule::ClockWithoutEndCountsFromStart) => Some(last.start_ms),
            end => end,
        };
        let quiet_from = turn.end_ms.max(end_of_last).unwrap_or(i64::MAX);
        clock >= quiet_from.saturating_add(self.settings.turn_gap_ms) && self.has(Rule::ClockCloses)
    }

    /// The revision of a turn as it stands now; remembers what is needed to know the next one.
    fn rev_of(&mut self, turn: &TurnSeen) -> u64 {
        let (counts_changes, counts_closing) =
            (self.has(Rule::ClosedTurnsCountTheirChanges), self.has(Rule::ClosingAnewCounts));
        let memory = self.turn_memory.entry(turn.id.clone()).or_default();
        let was_open = memory.before.as_ref().is_none_or(|before| !before.closed);
        let says = |turn: &TurnSeen| TurnSeen { closed: false, rev: 0, ..turn.clone() };
        let changed = memory.before.as_ref().is_some_and(|before| says(before) != says(turn));
        if turn.closed {
            if memory.was_closed && (changed && counts_changes || was_open && counts_closing) {
                memory.rev += 1;
            }
            memory.was_closed = true;
        }
        memory.before = Some(TurnSeen { rev: memory.rev, ..turn.clone() });
        memory.rev
    }
}

fn is_interim(known: &Known) -> bool {
    !known.abandoned && known.said.as_ref().is_some_and(|said| said.status == Status::Interim)
}

fn first_greatest<'a>(heard: impl Iterator<Item = &'a Heard>) -> Option<(i64, Timestamp)> {
    let mut greatest: Option<(i64, Timestamp)> = None;
    for (_, ms, at) in heard {
        if greatest.is_none_or(|known| known.0 < *ms) {
            greatest = Some((*ms, *at));
        }
    }
    greatest
}

/// The canonical encoding: JSON without blanks, fields in this order, absent ones left out.
fn canonical(said: &Option<Content>) -> String {
    fn text(text: &str) -> String {
        serde_json::Value::from(text).to_string()
    }
    let Some(said) = said else { return "null".to_owned() };
    let Content { status, start_ms, end_ms, speaker, text: words_said, lang, break_before, words } = said;
    let mut fields = vec![format!(r#""status":"{}""#, if *status == Status::Interim { "interim" } else { "final" })];
    fields.extend(start_ms.map(|ms| format!(r#""start_ms":{ms}"#)));
    fields.extend(end_ms.map(|ms| format!(r#""end_ms":{ms}"#)));
    fields.extend(speaker.as_deref().map(|speaker| format!(r#""speaker":{}"#, text(speaker))));
    fields.push(format!(r#""text":{}"#, text(words_said)));
    fields.extend(lang.as_deref().map(|lang| format!(r#""lang":{}"#, text(lang))));
    fields.extend(break_before.map(|_| r#""break":"turn""#.to_owned()));
    if !words.is_empty() {
        let words: Vec<String> = words
            .iter()
            .map(|word| {
                let mut fields = vec![format!(r#""text":{},"start_ms":{}"#, text(&word.text), word.start_ms)];
                fields.extend(word.end_ms.map(|ms| format!(r#""end_ms":{ms}"#)));
                fields.extend(word.confidence.map(|sure| format!(r#""confidence":{}"#, serde_json::Value::from(sure))));
                format!("{{{}}}", fields.join(","))
            })
            .collect();
        fields.push(format!(r#""words":[{}]"#, words.join(",")));
    }
    format!("{{{}}}", fields.join(","))
}
