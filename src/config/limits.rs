//! `[limits]`: sizes and counts.

use serde::Deserialize;

use super::error::ConfigError;

/// Limits of sizes and counts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Bytes of a message. No caption message comes near 64 KiB; larger ones are refused by their length.
    pub message_bytes: usize,
    /// Bytes of a frame of a vendor's engine (`format=`). The largest known frames list each word of five minutes with
    /// its times and speaker, 110 bytes a word. The lines decoded from a frame are subject to `message_bytes`.
    pub frame_bytes: usize,
    /// Bytes of a line's text. The default holds minutes of speech without a pause.
    pub text_bytes: usize,
    /// Messages that a publisher may send ahead of its acknowledgements. Beyond this its socket is not read.
    pub unacked: usize,
    /// Bytes of the body of `POST …/lines`: thousands of lines. Larger amounts need several requests.
    pub lines_bytes: usize,
    /// Lines in one such request: lines that wait for the log, or were refused, are held until all are answered.
    pub lines_per_request: usize,
    /// Bytes of an imported file. A day of speech is a few MiB.
    pub import_bytes: usize,
    /// Connections in total. Each idle one costs some KiB of memory and a descriptor.
    pub connections_max: usize,
    /// Connections that may wait to be accepted. When many clients reconnect at once, each that finds no place here
    /// retries after a second. The system has a limit of its own (`net.core.somaxconn`).
    pub backlog: u32,
    /// Connections of `connections_max` that are reserved for publishers, so that readers never take the last ones.
    pub connections_for_publishers: usize,
    /// Connections from one address; 0 for no such limit, because behind a proxy all have the same address.
    pub connections_per_address_max: usize,
    /// Feeds in the archive. Each misspelled name can create one.
    pub feeds_max: usize,
    /// Feeds that one token, or one address without a token, may create in an hour by publishing to them; 0 for no
    /// limit. An event takes one; a client that invents names would fill `feeds_max` for everyone. Applies only with
    /// `[auth]`. The count starts at zero when the server starts, because feeds do not record their creator; a token's
    /// `feeds_max` counts existing feeds, and so also holds after a restart.
    pub feeds_created_per_hour: u32,
    /// Wrong tokens from one address in a minute before further wrong ones get 429 (sockets: 4002); 0 for no limit. A
    /// right token is always accepted. A program with an old token retries every few seconds.
    pub wrong_tokens_per_minute: u32,
    /// Feeds in one page of the list of feeds (`limit`): some hundred bytes each.
    pub feeds_listed_max: usize,
    /// Messages a second read from a publisher's socket at most; 0 for as many as become durable.
    pub publish_messages_per_second: u32,
    /// Readers that may wait for feeds that do not exist yet.
    pub waiting_readers_max: usize,
    /// Feeds on one socket of `/v1/subscribe`: each is a cursor, and keeps its feed in memory.
    pub subscriptions: usize,
    /// Concurrent replays in total: each folds its feed again.
    pub replays_max: usize,
    /// Concurrent replays from one address.
    pub replays_per_address_max: usize,
    /// Messages `step` of one replay that wait while its feed is folded or a message before them is obeyed: more than a
    /// person presses a key meanwhile. Further ones are refused, which is no fault of the client. `seek`, `pace`, `pause`
    /// and `resume` supersede one another, and are never refused.
    pub waiting_steps_max: usize,
    /// Concurrent searches, including those that wait: they run one after another.
    pub searches_max: usize,
    /// Hits in one response of a search: each is a line with its text.
    pub search_hits_max: usize,
    /// Bytes of a search text: a few sentences.
    pub search_query_bytes: usize,
    /// Sources with metrics of their own; a misbehaving publisher could name a new source with every connection.
    pub metrics_sources_max: usize,
    /// StreamText streams that are remembered between posts, with the text that deletions can reach: some KiB each.
    /// Beyond this the stream that was unused for longest is forgotten; the next post to it begins a new line, and the
    /// response says so.
    pub streams_max: usize,
    /// StreamText streams remembered for one feed. Beyond this the feed's own oldest is forgotten, so that no feed can
    /// affect another one's lines.
    pub streams_per_feed_max: usize,
    /// Anonymous speakers of one publishing connection whose label is recorded as their name: each is a record. Further
    /// ones are shown by their id; an engine that numbers so many has lost count.
    pub named_speakers_max: usize,
    /// Refusals in a row after which a publisher's connection is closed, because more of the same will follow.
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
            waiting_steps_max: 16,
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
            ("limits.waiting_steps_max", self.waiting_steps_max),
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
