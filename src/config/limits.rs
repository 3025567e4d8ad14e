//! `[limits]`: sizes and numbers.

use serde::Deserialize;

use super::error::ConfigError;

/// Sizes and numbers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Bytes. No caption message comes near 64 KiB; larger ones are refused by their length.
    pub message_bytes: usize,
    /// Bytes of a frame of a vendor's engine (`format=`): the largest that are known list each word of five minutes with its
    /// times and speaker, 110 bytes a word. The lines that come of it are held to `message_bytes`.
    pub frame_bytes: usize,
    /// Bytes of a line's text: minutes of speech without a pause.
    pub text_bytes: usize,
    /// Messages a publisher may run ahead of its acknowledgements; then its socket is not read.
    pub unacked: usize,
    /// Bytes of the body of `POST …/lines`: thousands of lines; more goes in several requests.
    pub lines_bytes: usize,
    /// Lines of one such request: what waits for the log, or is refused, is held until all are answered.
    pub lines_per_request: usize,
    /// Bytes of an imported file: a day of speech is a few MiB.
    pub import_bytes: usize,
    /// Connections in all: each idle one costs some KiB of memory and a descriptor.
    pub connections_max: usize,
    /// Connections that may wait to be accepted: a crowd that comes back at once waits a second for each that is turned
    /// away. The system has a bound of its own (`net.core.somaxconn`).
    pub backlog: u32,
    /// Those of them that are kept for publishers: readers never take the last places.
    pub connections_for_publishers: usize,
    /// Connections from one address; 0 is no limit of its own, because behind a proxy all come from one.
    pub connections_per_address_max: usize,
    /// Feeds in the archive: each name that somebody misspells makes one.
    pub feeds_max: usize,
    /// Feeds that one token may create in an hour by publishing to them, or one address without a token; 0 is no limit. An
    /// event takes one: a client that makes up names would fill `feeds_max` for everybody. Counts where there is `[auth]`.
    /// The count begins anew when the server starts, since feeds do not say who created them; `feeds_max` of a token counts the
    /// feeds that are there, and so it holds over restarts.
    pub feeds_created_per_hour: u32,
    /// Wrong tokens from one address in a minute, before further wrong ones are answered 429 (sockets: 4002); 0 is no limit.
    /// A right token is taken all the same. A program with an old token tries every few seconds.
    pub wrong_tokens_per_minute: u32,
    /// Feeds in one page of the list of them (`limit`): some hundred bytes each.
    pub feeds_listed_max: usize,
    /// Messages a second that a publisher's socket is read at most; 0 is as fast as they become durable.
    pub publish_messages_per_second: u32,
    /// Readers that may wait for feeds that do not exist yet.
    pub waiting_readers_max: usize,
    /// Feeds on one socket of many (`/v1/subscribe`): each is a cursor, and keeps its feed in memory.
    pub subscriptions: usize,
    /// Replays in all: each folds its feed again.
    pub replays_max: usize,
    /// Replays from one address.
    pub replays_per_address_max: usize,
    /// Searches at the same time, those that wait included: they are answered one after another.
    pub searches_max: usize,
    /// Hits in one answer of a search: each is a line with its text.
    pub search_hits_max: usize,
    /// Bytes of what is looked for: a few sentences.
    pub search_query_bytes: usize,
    /// Sources that `/metrics` tells apart; a misbehaving publisher could name a new one with every connection.
    pub metrics_sources_max: usize,
    /// StreamText streams that are remembered between posts: what deletes can reach of them is held, some KiB. The one that was
    /// written to longest ago goes for one more; what is posted to it next begins a new line, and the answer says so.
    pub streams_max: usize,
    /// Those of one feed: one that has as many forgets one of its own, so that no feed can cut another one's lines.
    pub streams_per_feed_max: usize,
    /// Anonymous speakers of one publishing connection that are given their label for a name: each is a record. Those beyond are
    /// shown by their id; an engine that numbers so many has lost count.
    pub named_speakers_max: usize,
    /// Refusals in a row after which a publisher is closed: it is not going to mend itself.
    pub refusals_in_a_row_max: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            message_bytes: 65_536,
            frame_bytes: 262_144,
            text_bytes: 16_384,
            unacked: 1_024,
            lines_bytes: 4 * 1024 * 1024,
            lines_per_request: 10_000,
            import_bytes: 64 * 1024 * 1024,
            connections_max: 10_000,
            backlog: 4096,
            connections_for_publishers: 64,
            connections_per_address_max: 0,
            feeds_max: 100_000,
            feeds_created_per_hour: 1_000,
            wrong_tokens_per_minute: 60,
            feeds_listed_max: 500,
            publish_messages_per_second: 0,
            waiting_readers_max: 1_000,
            subscriptions: 500,
            replays_max: 64,
            replays_per_address_max: 8,
            searches_max: 32,
            search_hits_max: 100,
            search_query_bytes: 1_024,
            metrics_sources_max: 100,
            streams_max: 4096,
            streams_per_feed_max: 64,
            named_speakers_max: 256,
            refusals_in_a_row_max: 20,
        }
    }
}

impl LimitsConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let bad = |key, value: String, rule| Err(ConfigError::BadValue { place: None, key, value, rule });
        for (key, value) in [
            ("limits.message_bytes", self.message_bytes),
            ("limits.text_bytes", self.text_bytes),
            ("limits.unacked", self.unacked),
            ("limits.lines_bytes", self.lines_bytes),
            ("limits.lines_per_request", self.lines_per_request),
            ("limits.import_bytes", self.import_bytes),
            ("limits.connections_max", self.connections_max),
            ("limits.backlog", self.backlog as usize),
            ("limits.feeds_max", self.feeds_max),
            ("limits.feeds_listed_max", self.feeds_listed_max),
            ("limits.subscriptions", self.subscriptions),
            ("limits.searches_max", self.searches_max),
            ("limits.search_hits_max", self.search_hits_max),
            ("limits.search_query_bytes", self.search_query_bytes),
            ("limits.streams_max", self.streams_max),
            ("limits.streams_per_feed_max", self.streams_per_feed_max),
            ("limits.refusals_in_a_row_max", self.refusals_in_a_row_max),
        ] {
            if value == 0 {
                return bad(key, value.to_string(), "at least 1");
            }
        }
        if self.connections_for_publishers >= self.connections_max {
            let value = self.connections_for_publishers.to_string();
            return bad("limits.connections_for_publishers", value, "less than limits.connections_max");
        }
        if self.frame_bytes < self.message_bytes {
            return bad("limits.frame_bytes", self.frame_bytes.to_string(), "at least limits.message_bytes");
        }
        if self.text_bytes > self.message_bytes {
            return bad("limits.text_bytes", self.text_bytes.to_string(), "at most limits.message_bytes");
        }
        Ok(())
    }
}
