//! Messages between nodes, in JSON. A node ignores parts of a message that it does not know, so that nodes of two
//! releases understand each other during an upgrade.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::log::LogId;
use crate::position::FeedId;

/// Id of one run of one node: random, so that a restarted node has another one.
pub(crate) type NodeId = Arc<str>;

/// Connection of a publisher, as its node announces it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PresentPublisher {
    /// Source that it publishes as.
    pub(crate) source: Arc<str>,
    /// Session of the publisher.
    pub(crate) session: Arc<str>,
    /// Time at which it connected, in milliseconds since 1970. Of two connections of one source the greater is the
    /// newer.
    pub(crate) since: u64,
}

/// Connections to one feed at one node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FeedPresence {
    /// Publishers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) publishers: Vec<PresentPublisher>,
    /// Number of readers.
    #[serde(default)]
    pub(crate) readers: usize,
    /// True if video players request it.
    #[serde(default)]
    pub(crate) players: bool,
}

impl FeedPresence {
    /// Returns true if there are no connections.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A feed and the connections to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PresenceEntry {
    feed: FeedId,
    life: u64,
    #[serde(flatten)]
    pub(super) here: FeedPresence,
}

impl PresenceEntry {
    pub(super) fn new(log_id: LogId, here: FeedPresence) -> Self {
        Self { feed: log_id.feed, life: log_id.life, here }
    }

    pub(super) fn log_id(&self) -> LogId {
        LogId { feed: self.feed.clone(), life: self.life }
    }

    /// Returns the approximate size in a message, in bytes.
    fn size(&self) -> usize {
        let publisher = |publisher: &PresentPublisher| publisher.source.len() + publisher.session.len() + 64;
        self.feed.as_str().len() + 64 + self.here.publishers.iter().map(publisher).sum::<usize>()
    }
}

/// Version of the messages that this release understands. 1: a feed that continues in a staged generation.
pub(crate) const SPEAKS: u32 = 1;

/// Announcement to all nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Announcement {
    /// The node exists; with changes of its connections.
    Here {
        node: NodeId,
        /// Rises by one with each announcement: a node that misses one asks for everything.
        number: u64,
        /// True if earlier announcements are void, and this one and those after it have everything.
        #[serde(default)]
        anew: bool,
        /// Version of the messages that it understands ([`SPEAKS`]); absent from older releases.
        #[serde(default)]
        speaks: u32,
        #[serde(default)]
        feeds: Vec<PresenceEntry>,
    },
    /// Asks `node` to announce everything again.
    Ask { node: NodeId },
    /// The node leaves.
    Leaves { node: NodeId },
}

impl Announcement {
    /// Splits `feeds` into messages of at most about 256 KiB, numbered from `number` on, because NATS by default
    /// accepts 1 MiB. Returns at least one message.
    pub(super) fn parts(node: &NodeId, number: u64, anew: bool, feeds: Vec<PresenceEntry>) -> Vec<Self> {
        const BYTES_MAX: usize = 256 * 1024;
        let mut parts = Vec::new();
        let (mut part, mut size) = (Vec::new(), 0);
        for entry in feeds {
            if size > 0 && size + entry.size() > BYTES_MAX {
                parts.push(std::mem::take(&mut part));
                size = 0;
            }
            size += entry.size();
            part.push(entry);
        }
        parts.push(part);
        let is_first = |index: u64| anew && index == 0;
        let numbered = (0..).zip(parts);
        let said = |(index, feeds)| Self::Here {
            node: node.clone(),
            number: number + index,
            anew: is_first(index),
            speaks: SPEAKS,
            feeds,
        };
        numbered.map(said).collect()
    }
}

/// Command that all other nodes carry out, and whose answers are awaited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub(crate) enum ClusterCommand {
    /// A newer connection publishes as this source. Older ones are closed, and their pending messages answered, before
    /// this command is answered.
    Leave {
        /// The feed.
        feed: FeedId,
        /// Generation of the feed.
        life: u64,
        /// The new connection.
        publisher: PresentPublisher,
        /// True if an older connection of another session stays if it gives a sign of life; the answer then says so.
        /// Nodes of releases that do not know the field close it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        asks: bool,
    },
    /// A request writes in the session of a connection of this source. The connection is closed if it gives no sign of
    /// life, and reported otherwise. Nodes of releases that do not know the command do nothing.
    LeaveIfSilent {
        /// The feed.
        feed: FeedId,
        /// Generation of the feed.
        life: u64,
        /// The request, with the session in question.
        publisher: PresentPublisher,
    },
    /// The feed is about to be deleted to make room for another generation of its name; readers wait for that.
    Replacing {
        /// The feed.
        feed: FeedId,
        /// Generation of the feed.
        life: u64,
    },
    /// The feed was not replaced after all, and no other generation of its name will begin. Nodes of releases that do
    /// not know the command do nothing.
    NotReplaced {
        /// The feed.
        feed: FeedId,
        /// Generation of the feed.
        life: u64,
    },
    /// The feed was deleted. Once this is answered, nothing of it is found or shown.
    Deleted {
        /// The feed.
        feed: FeedId,
        /// Generation of the feed.
        life: u64,
    },
}

impl ClusterCommand {
    /// Returns the log that the command is about.
    #[must_use]
    pub(crate) fn log_id(&self) -> LogId {
        let (Self::Leave { feed, life, .. }
        | Self::LeaveIfSilent { feed, life, .. }
        | Self::Replacing { feed, life }
        | Self::NotReplaced { feed, life }
        | Self::Deleted { feed, life }) = self;
        LogId { feed: feed.clone(), life: *life }
    }

    /// Returns the new connection or request, if a connection is asked for a sign of life first.
    pub(super) fn asks_for(&self) -> Option<&PresentPublisher> {
        match self {
            Self::Leave { publisher, asks: true, .. } | Self::LeaveIfSilent { publisher, .. } => Some(publisher),
            _ => None,
        }
    }
}

/// A command and its sender.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ClusterMessage {
    pub(super) node: NodeId,
    /// The command; `None` for one that only a newer release knows, which is answered all the same.
    #[serde(flatten, deserialize_with = "known")]
    pub(super) word: Option<ClusterCommand>,
}

fn known<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<ClusterCommand>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

/// Answer to a command that was carried out.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ClusterReply {
    pub(super) node: NodeId,
    pub(super) heard: CommandReply,
}

/// Result of a command at one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CommandReply {
    /// It was carried out, or there was nothing to do.
    Done,
    /// There is an even newer connection of the source; the one in the command has to close.
    Newer,
    /// This connection publishes as the source and gave a sign of life. Only for a [`ClusterCommand::Leave`] with
    /// `asks`, or a [`ClusterCommand::LeaveIfSilent`].
    Taken(PresentPublisher),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, publishers: usize) -> PresenceEntry {
        let publisher =
            |number| PresentPublisher { source: "main".into(), session: format!("s-{number}").into(), since: 7 };
        let here = FeedPresence { publishers: (0..publishers).map(publisher).collect(), readers: 3, players: false };
        PresenceEntry::new(LogId { feed: FeedId::new(name).expect("a name"), life: 4 }, here)
    }

    #[test]
    fn messages_are_read_as_they_were_written() {
        let here =
            Announcement::Here { node: "n".into(), number: 2, anew: true, speaks: 1, feeds: vec![entry("geneva", 1)] };
        let text = serde_json::to_string(&here).expect("JSON");
        assert_eq!(
            text,
            r#"{"type":"here","node":"n","number":2,"anew":true,"speaks":1,"feeds":[{"feed":"geneva","life":4,"publishers":[{"source":"main","session":"s-0","since":7}],"readers":3,"players":false}]}"#
        );
        assert_eq!(serde_json::from_str::<Announcement>(&text).expect("read"), here);
        let older: Announcement = serde_json::from_str(r#"{"type":"here","node":"n","number":2}"#).expect("read");
        assert_eq!(
            older,
            Announcement::Here { node: "n".into(), number: 2, anew: false, speaks: 0, feeds: Vec::new() }
        );
        let word = ClusterCommand::Deleted { feed: FeedId::new("geneva").expect("a name"), life: 4 };
        let text = serde_json::to_string(&ClusterMessage { node: "n".into(), word: Some(word.clone()) }).expect("JSON");
        let said: ClusterMessage = serde_json::from_str(&text).expect("read");
        assert_eq!(said.word, Some(word));
        let publisher = PresentPublisher { source: "main".into(), session: "s-1".into(), since: 7 };
        let answer = ClusterReply { node: "n".into(), heard: CommandReply::Taken(publisher.clone()) };
        let text = serde_json::to_string(&answer).expect("JSON");
        assert_eq!(text, r#"{"node":"n","heard":{"taken":{"source":"main","session":"s-1","since":7}}}"#);
        assert_eq!(serde_json::from_str::<ClusterReply>(&text).expect("read").heard, answer.heard);
        // A word that does not ask is that of the releases before; they pass over what they do not know of one that does.
        let leave = |asks| ClusterCommand::Leave {
            feed: FeedId::new("geneva").expect("a name"),
            life: 4,
            publisher: publisher.clone(),
            asks,
        };
        let said =
            r#"{"word":"leave","feed":"geneva","life":4,"publisher":{"source":"main","session":"s-1","since":7}"#;
        assert_eq!(serde_json::to_string(&leave(false)).expect("JSON"), format!("{said}}}"));
        assert_eq!(serde_json::to_string(&leave(true)).expect("JSON"), format!(r#"{said},"asks":true}}"#));
        assert_eq!(serde_json::from_str::<ClusterCommand>(&format!("{said}}}")).expect("read"), leave(false));
        let word = ClusterCommand::LeaveIfSilent { feed: FeedId::new("geneva").expect("a name"), life: 4, publisher };
        let said = said.replace("leave", "leave_if_silent") + "}";
        assert_eq!(serde_json::to_string(&word).expect("JSON"), said);
        assert_eq!(serde_json::from_str::<ClusterCommand>(&said).expect("read"), word);
        let newer: ClusterMessage = serde_json::from_str(r#"{"node":"n","word":"dance"}"#).expect("read");
        assert_eq!((&*newer.node, newer.word), ("n", None));
    }

    #[test]
    fn much_is_said_in_parts_that_are_numbered() {
        let feeds: Vec<_> = (0..1000).map(|number| entry(&format!("feed-{number}"), 10)).collect();
        let parts = Announcement::parts(&"n".into(), 5, true, feeds.clone());
        assert!(parts.len() > 2, "{}", parts.len());
        let mut all = Vec::new();
        for (index, part) in (0..).zip(parts) {
            let text = serde_json::to_vec(&part).expect("JSON");
            assert!(text.len() < 1024 * 1024, "{}", text.len());
            let Announcement::Here { number, anew, feeds, .. } = part else { panic!("another message") };
            assert_eq!((number, anew), (5 + index, index == 0));
            all.extend(feeds);
        }
        assert_eq!(all, feeds);
        assert_eq!(Announcement::parts(&"n".into(), 1, false, Vec::new()).len(), 1, "a sign of life");
    }
}
