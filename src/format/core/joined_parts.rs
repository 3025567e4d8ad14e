//! Files that are several of our own files put together. The records of each follow those of the one before, and no
//! line, speaker or title of one takes the place of another's.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::format::core::builder::{FilePlace, TranscriptBuilder};
use crate::format::core::reused_ids::tell_same_id;
use crate::format::text::text_lines::excerpt;
use crate::position::{Epoch, Offset};
use crate::transcript::line::{beside, sent_id};
use crate::transcript::{FeedMeta, FoldView, Line, Op, Record, Timestamp, Transcript};

/// The records of one of the joined files.
#[derive(Debug, Default)]
pub(crate) struct FilePart {
    pub(crate) at: FilePlace,
    /// The generation of the feed that it comes from, if the file says so.
    pub(crate) epoch: Option<Epoch>,
    /// True if the records are those of a log, and not of an export.
    pub(crate) is_log: bool,
    /// Its records, each with its place in the file.
    pub(crate) records: Vec<(FilePlace, Record)>,
}

/// Source and id of a line.
type LineKeyOfFile = (Arc<str>, Arc<str>);

/// The line ids in use, and for each the next number for an id beside it.
#[derive(Debug, Default)]
pub(crate) struct LineIds {
    taken: HashSet<(usize, LineKeyOfFile)>,
    next: HashMap<(usize, LineKeyOfFile), usize>,
}

impl LineIds {
    pub(crate) fn of(records: &[Record]) -> Self {
        let mut ids = Self::default();
        for record in records {
            ids.taken.extend(keys(&record.op).into_iter().map(|key| (0, key)));
        }
        ids
    }

    /// Takes an id. If it is taken already, returns a free one to use instead.
    pub(crate) fn take(&mut self, source: &Arc<str>, id: &Arc<str>) -> Option<Arc<str>> {
        self.take_in_part(0, source, id)
    }

    /// Like [`take`](Self::take), for the ids of one part.
    pub(crate) fn take_in_part(&mut self, part: usize, source: &Arc<str>, id: &Arc<str>) -> Option<Arc<str>> {
        if self.taken.insert((part, (source.clone(), id.clone()))) {
            return None;
        }
        let sent = sent_id(id).unwrap_or(id);
        let next = self.next.entry((part, (source.clone(), sent.into()))).or_insert(2);
        loop {
            let other = beside(sent, *next);
            *next += 1;
            if self.taken.insert((part, (source.clone(), other.clone()))) {
                return Some(other);
            }
        }
    }
}

/// The lines that a record is about.
fn keys(op: &Op) -> Vec<LineKeyOfFile> {
    match op {
        Op::Line { source, lines } => lines.iter().map(|line| (source.clone(), line.id.clone())).collect(),
        Op::Retract { source, id, .. } | Op::Abandon { source, id, .. } => vec![(source.clone(), id.clone())],
        _ => Vec::new(),
    }
}

/// The lines that are shown after these records.
pub(crate) fn shown_lines(records: &[Record]) -> Vec<Line> {
    let mut transcript = Transcript::new(FoldView::FinalOnly);
    for (offset, record) in (0..).zip(records) {
        transcript.apply(Offset(offset), record.clone());
    }
    transcript.assembled().flat_map(|(_, lines)| lines).collect()
}

/// The names of the speakers of a part, by speaker id.
fn names(part: &FilePart) -> BTreeMap<Arc<str>, Arc<str>> {
    let mut names = BTreeMap::new();
    for (_, record) in &part.records {
        match &record.op {
            Op::Line { lines, .. } => {
                for speaker in lines.iter().filter_map(|line| line.content.speaker.as_ref()) {
                    names.entry(speaker.clone()).or_insert_with(|| speaker.clone());
                }
            }
            Op::Rename { speaker, name, .. } => drop(names.insert(speaker.clone(), name.clone())),
            _ => {}
        }
    }
    names
}

/// The source whose lines are shown of a part: that of its first line.
fn first_source(part: &FilePart) -> Option<Arc<str>> {
    part.records.iter().find_map(|(_, record)| match &record.op {
        Op::Line { source, .. } => Some(source.clone()),
        _ => None,
    })
}

/// Returns the records of all parts, one part after the other.
pub(crate) fn join(parts: Vec<FilePart>, gather: &mut TranscriptBuilder) -> Vec<Record> {
    let mut all = JoinedFile::default();
    let last = parts.len().saturating_sub(1);
    for (number, part) in parts.into_iter().enumerate() {
        all.add(number, part, number == last, gather);
    }
    all.records
}

/// The file joined so far.
#[derive(Default)]
struct JoinedFile {
    records: Vec<Record>,
    ids: LineIds,
    /// The source on air: that of the first line.
    source: Option<Arc<str>>,
    sessions: HashSet<Arc<str>>,
    speakers: HashMap<Arc<str>, Arc<str>>,
    meta: FeedMeta,
    /// The lines of the logs in the file, once all logs are read: lines that an export of such a log repeats are
    /// recognised by them.
    of_logs: Option<HashMap<LineKeyOfFile, Line>>,
}

impl JoinedFile {
    fn add(&mut self, number: usize, part: FilePart, is_last: bool, gather: &mut TranscriptBuilder) {
        let own_source = first_source(&part);
        self.source = self.source.take().or_else(|| own_source.clone());
        if !part.is_log && self.of_logs.is_none() {
            let shown = shown_lines(&self.records).into_iter();
            self.of_logs = Some(shown.map(|line| ((line.source.clone(), line.id.clone()), line)).collect());
        }
        let names = names(&part);
        let mut renames = self.renames(number, own_source, &names);
        for id in renames.speakers.keys() {
            let message = format!("the speaker {:?} has another name further up: both are kept", excerpt(id));
            gather.problem(part.at.line, part.at.column, message);
        }
        let mut sessions: HashSet<Arc<str>> = HashSet::new();
        let mut named: HashSet<Arc<str>> = HashSet::new();
        for (at, mut record) in part.records {
            if let Some(published) = &mut record.published {
                published.source = renames.source(&published.source);
                sessions.insert(published.session.clone());
                if self.sessions.contains(&published.session) {
                    published.session = format!("{}~{}", published.session, number + 1).into();
                }
            }
            // The event continues with the next part.
            let is_passed = matches!(record.op, Op::End) && !is_last;
            if is_passed || !self.rename(&mut record, at, &mut renames, gather) {
                continue;
            }
            if let Op::Meta(meta) = &record.op {
                self.meta.update(meta);
            }
            if let Op::Rename { speaker, .. } = &record.op {
                named.insert(speaker.clone());
            }
            self.records.push(record);
        }
        // A speaker without another name is called by its id.
        let unnamed = renames.speakers.iter().filter(|(_, id)| !named.contains(*id));
        let received_at = self.records.last().map_or(Timestamp::default(), |record| record.received_at);
        let unnamed = unnamed.map(|(name, id)| {
            let (speaker, name) = (id.clone(), name.clone());
            Record::new(received_at, Op::Rename { speaker, name, kind: None })
        });
        self.records.extend(unnamed);
        self.speakers.extend(names.iter().map(|(id, name)| (renames.speaker(id), name.clone())));
        self.sessions.extend(sessions);
    }

    /// Returns the new names that a part needs beside the parts before it. `names` are those of its speakers.
    fn renames(
        &self,
        number: usize,
        own_source: Option<Arc<str>>,
        names: &BTreeMap<Arc<str>, Arc<str>>,
    ) -> PartRenames {
        let speakers = names
            .iter()
            .filter(|(id, name)| self.speakers.get(*id).is_some_and(|known| known != *name))
            .map(|(id, _)| (id.clone(), format!("{id}~{}", number + 1).into()));
        let on_air = self.source.clone();
        PartRenames { is_first: number == 0, own_source, on_air, speakers: speakers.collect(), lines: HashMap::new() }
    }

    /// Gives the contents of a record their names in the joined file. Returns false for lines that the file has already.
    fn rename(
        &mut self,
        record: &mut Record,
        at: FilePlace,
        renames: &mut PartRenames,
        gather: &mut TranscriptBuilder,
    ) -> bool {
        let received_at = record.received_at;
        match &mut record.op {
            Op::Line { source, lines } => {
                *source = renames.source(source);
                lines.retain(|line| !is_known(self.of_logs.as_ref(), source, line, received_at));
                for line in lines.iter_mut() {
                    line.id = renames.line(&mut self.ids, source, &line.id, at, gather);
                    line.content.speaker = line.content.speaker.as_ref().map(|speaker| renames.speaker(speaker));
                }
                return !lines.is_empty();
            }
            Op::Retract { source, id, .. } | Op::Abandon { source, id, .. } => {
                *source = renames.source(source);
                *id = renames.line(&mut self.ids, source, id, at, gather);
            }
            Op::Clock { source, .. } => *source = renames.source(source),
            Op::Rename { speaker, .. } => *speaker = renames.speaker(speaker),
            Op::Merge { from, into } => (*from, *into) = (renames.speaker(from), renames.speaker(into)),
            Op::Unmerge { from } => *from = renames.speaker(from),
            Op::Meta(meta) if !renames.is_first => {
                let mut all = meta.clone();
                all.update(&self.meta);
                let mut newer = self.meta.clone();
                newer.update(meta);
                if newer != all {
                    let message = "what is said of the feed here (title, language or notes) stands otherwise further up: left out";
                    gather.left_out(at.line, at.column, message);
                }
                *meta = all;
            }
            _ => {}
        }
        true
    }
}

/// The names in one part that change when it is joined to others.
struct PartRenames {
    /// True for the first part.
    is_first: bool,
    /// The source of its first line, which becomes the source on air.
    own_source: Option<Arc<str>>,
    on_air: Option<Arc<str>>,
    /// Speakers whose id means another name in an earlier part, each with its new id.
    speakers: BTreeMap<Arc<str>, Arc<str>>,
    /// The ids that its lines got.
    lines: HashMap<LineKeyOfFile, Arc<str>>,
}

impl PartRenames {
    fn source(&self, source: &Arc<str>) -> Arc<str> {
        match &self.on_air {
            Some(on_air) if Some(source) == self.own_source.as_ref() => on_air.clone(),
            _ => source.clone(),
        }
    }

    fn speaker(&self, id: &Arc<str>) -> Arc<str> {
        self.speakers.get(id).unwrap_or(id).clone()
    }

    /// Returns the id of a line: a free one, if an earlier part has a line of this id.
    fn line(
        &mut self,
        ids: &mut LineIds,
        source: &Arc<str>,
        id: &Arc<str>,
        at: FilePlace,
        gather: &mut TranscriptBuilder,
    ) -> Arc<str> {
        let key = (source.clone(), id.clone());
        if let Some(known) = self.lines.get(&key) {
            return known.clone();
        }
        let other = ids.take(source, id);
        if other.is_some() {
            tell_same_id(at, id, gather);
        }
        let id = other.unwrap_or_else(|| id.clone());
        self.lines.insert(key, id.clone());
        id
    }
}

/// Returns true for a version that the lines of the logs already show, with the same time of receipt.
fn is_known(
    known: Option<&HashMap<LineKeyOfFile, Line>>,
    source: &Arc<str>,
    version: &crate::transcript::Version,
    received_at: Timestamp,
) -> bool {
    known.and_then(|known| known.get(&(source.clone(), version.id.clone()))).is_some_and(|line| {
        line.received_at == received_at
            && line.text == version.content.text
            && version.content.start_ms.is_none_or(|start| start == line.start_ms)
    })
}
