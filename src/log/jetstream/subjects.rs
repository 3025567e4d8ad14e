//! The subjects of the stream.
//!
//! All of them begin with the stream's name:
//!
//! * `N.meta`: one message, written when the stream was new.
//! * `N.starts`: a message for each time from which on the stream may have been restored.
//! * `N.feed.<feed>`: the last message says whether the feed is here or was deleted.
//! * `N.stage.<feed>.<id>`: one message for a staged generation, under a name of its own, until it is the feed's.
//! * `N.log.<feed>.<life>.rec`: the records of one generation of a feed.
//! * `N.log.<feed>.<life>.kept.<first>`: the rest of the message whose first record has that offset, after one of its
//!   records was erased.
//! * `N.log.<feed>.<life>.ends.<id>`: the generation is about to end; writers let that happen first.
//! * `N.trial.<id>`: stored and removed at once, to find out whether servers that could not store (because they were
//!   full, for example) can again.

use crate::log::LogId;
use crate::position::FeedId;

/// Subjects of one stream.
#[derive(Debug, Clone)]
pub(super) struct StreamNames {
    /// Name of the stream, and first part of all its subjects.
    pub(super) stream: String,
}

/// Meaning of a subject.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Starts,
    Feed(FeedId),
    Stage(FeedId),
    Records(LogId),
    Kept(LogId),
    Ends(LogId),
}

impl StreamNames {
    pub(super) fn all(&self) -> String {
        format!("{}.>", self.stream)
    }

    pub(super) fn meta(&self) -> String {
        format!("{}.meta", self.stream)
    }

    pub(super) fn starts(&self) -> String {
        format!("{}.starts", self.stream)
    }

    pub(super) fn feed(&self, feed: &FeedId) -> String {
        format!("{}.feed.{feed}", self.stream)
    }

    pub(super) fn feeds(&self) -> String {
        format!("{}.feed.*", self.stream)
    }

    /// Returns the subject for a staged generation; `id` must be unique in the stream.
    pub(super) fn stage(&self, feed: &FeedId, id: &str) -> String {
        format!("{}.stage.{feed}.{id}", self.stream)
    }

    pub(super) fn stages(&self) -> String {
        format!("{}.stage.*.*", self.stream)
    }

    pub(super) fn records(&self, log: &LogId) -> String {
        format!("{}.log.{}.{}.rec", self.stream, log.feed, log.life)
    }

    /// Matches everything stored for all generations.
    pub(super) fn all_logs(&self) -> String {
        format!("{}.log.>", self.stream)
    }

    /// Matches the records of all generations.
    pub(super) fn all_records(&self) -> String {
        format!("{}.log.*.*.rec", self.stream)
    }

    pub(super) fn kept(&self, log: &LogId, first: u64) -> String {
        format!("{}.log.{}.{}.kept.{first}", self.stream, log.feed, log.life)
    }

    pub(super) fn all_kept(&self) -> String {
        format!("{}.log.*.*.kept.*", self.stream)
    }

    /// Matches the kept remainders of one generation.
    pub(super) fn kept_of(&self, log: &LogId) -> String {
        format!("{}.log.{}.{}.kept.*", self.stream, log.feed, log.life)
    }

    /// Returns the subject for a trial message; `id` must be unique in the stream.
    pub(super) fn trial(&self, id: &str) -> String {
        format!("{}.trial.{id}", self.stream)
    }

    /// Returns the subject that announces an end; `id` must be unique in the stream.
    pub(super) fn ends(&self, log: &LogId, id: &str) -> String {
        format!("{}.log.{}.{}.ends.{id}", self.stream, log.feed, log.life)
    }

    pub(super) fn life(&self, log: &LogId) -> String {
        format!("{}.log.{}.{}.>", self.stream, log.feed, log.life)
    }

    /// Parses `subject`; `None` for one without a meaning here, such as `N.meta`.
    pub(super) fn read(&self, subject: &str) -> Option<Subject> {
        let rest = subject.strip_prefix(&self.stream)?.strip_prefix('.')?;
        let tokens: Vec<&str> = rest.split('.').collect();
        let log = |feed: &str, life: &str| Some(LogId { feed: FeedId::new(feed).ok()?, life: life.parse().ok()? });
        match tokens[..] {
            ["starts"] => Some(Subject::Starts),
            ["feed", feed] => Some(Subject::Feed(FeedId::new(feed).ok()?)),
            ["stage", feed, _] => Some(Subject::Stage(FeedId::new(feed).ok()?)),
            ["log", feed, life, "rec"] => Some(Subject::Records(log(feed, life)?)),
            ["log", feed, life, "ends", _] => Some(Subject::Ends(log(feed, life)?)),
            ["log", feed, life, "kept", _] => Some(Subject::Kept(log(feed, life)?)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_read_as_they_are_written() {
        let names = StreamNames { stream: "captions".into() };
        let feed = FeedId::new("geneva-1_a").expect("a name");
        let log = LogId { feed: feed.clone(), life: u64::MAX };
        assert_eq!(names.read(&names.starts()), Some(Subject::Starts));
        assert_eq!(names.read(&names.feed(&feed)), Some(Subject::Feed(feed.clone())));
        assert_eq!(names.read(&names.stage(&feed, "1f-0")), Some(Subject::Stage(feed)));
        assert_eq!(names.read(&names.records(&log)), Some(Subject::Records(log.clone())));
        assert_eq!(names.read(&names.kept(&log, 7)), Some(Subject::Kept(log.clone())));
        assert_eq!(names.read(&names.ends(&log, "1f-0")), Some(Subject::Ends(log)));
        for other in [names.meta(), names.all(), "other.feed.geneva".into(), "captionsfeed.geneva".into()] {
            assert_eq!(names.read(&other), None, "{other}");
        }
    }
}
