//! Answering a question.

use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::position::FeedId;
use crate::search::indexing;
use crate::search::query_parser::Words;
use crate::transcript::{MediaMs, Timestamp};

/// Matches that are counted and ranked. To rank is to look at each; where there are more, the newest come first instead, and
/// the search ends when it has enough of them.
pub const RANKED_MAX: usize = 10_000;

/// What the engine puts before and behind what it found. No text of ours holds them.
const MARKS: [char; 2] = ['\u{2}', '\u{3}'];
/// Words of a line that are shown, around what was found. The engine takes 64 at most.
const WORDS_SHOWN: u8 = 64;
/// Steps of the engine between two looks at the clock: some milliseconds.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

/// What somebody looks for. All conditions hold together.
#[derive(Debug, Clone)]
pub struct Question {
    /// The words.
    pub words: Words,
    /// The lives of the feeds to look at, as their logs count them; no other is looked at or counted.
    pub lives: Vec<u64>,
    /// The name of the speaker, after renames and merges; small and capital letters are one.
    pub speaker: Option<String>,
    /// Lines that start at or after this media time, and before that one.
    pub media: (Option<MediaMs>, Option<MediaMs>),
    /// Lines of which what they say now was taken at or after this moment, and before that one.
    pub taken: (Option<Timestamp>, Option<Timestamp>),
    /// How many hits to pass over, and how many to give at most.
    pub page: (usize, usize),
}

/// In which order hits come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HitOrder {
    /// Those that fit best first.
    Rank,
    /// Those that came last first, because there are too many to rank.
    Newest,
}

/// A piece of a line's text. To show a line, write one behind the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextPart {
    /// The text, as it was said: no markup.
    pub text: String,
    /// True for what was looked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub found: bool,
}

/// A line that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// Its feed.
    pub feed: FeedId,
    /// The turn it belongs to.
    pub turn: Option<String>,
    /// The line's key: source and id.
    pub line: String,
    /// Where it starts.
    pub start_ms: MediaMs,
    /// Where it ends, if known.
    pub end_ms: Option<MediaMs>,
    /// The name of who speaks, after renames and merges.
    pub speaker: Option<String>,
    /// Time at which what it says now was taken.
    pub received_at: Timestamp,
    /// What it says; of a long line the words around what was found, with `…` where it goes on.
    pub parts: Vec<TextPart>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchHits {
    /// The hits of this page.
    pub hits: Vec<Hit>,
    /// How many there are in all, up to [`RANKED_MAX`].
    pub total: usize,
    /// In which order they come.
    pub order: HitOrder,
}

/// What fits. First the words (a `CROSS JOIN` keeps the order): to look each line of a feed up in them would cost far more.
const CONDITIONS: &str = "
FROM words CROSS JOIN lines AS l ON l.id = words.rowid
LEFT JOIN speakers AS s ON s.life = l.life AND s.id = l.speaker
WHERE words MATCH ?1 AND l.life IN (SELECT value FROM json_each(?2)) AND (?3 IS NULL OR s.folded = ?3)
  AND l.start_ms >= ?4 AND l.start_ms < ?5 AND l.received_at >= ?6 AND l.received_at < ?7";

/// Answers `question`, or is interrupted.
pub(super) fn find(db: &mut Connection, question: &Question, timeout: Duration) -> rusqlite::Result<SearchHits> {
    let until = Instant::now() + timeout;
    db.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || Instant::now() >= until))?;
    // One moment of the index for all that follows.
    let found = db.transaction().and_then(|moment| answer(&moment, question));
    db.progress_handler(0, None::<fn() -> bool>)?;
    found
}

fn answer(db: &Connection, question: &Question) -> rusqlite::Result<SearchHits> {
    let words = question.words.to_string();
    let lives = serde_json::to_string(&question.lives).unwrap_or_default();
    let speaker = question.speaker.as_deref().map(indexing::folded);
    let (from, to) = question.media;
    let (after, before) = question.taken;
    let (from, to) = (from.unwrap_or(i64::MIN), to.unwrap_or(i64::MAX));
    let (after, before) = (after.map_or(i64::MIN, |at| at.0), before.map_or(i64::MAX, |at| at.0));
    let (skip, limit) = question.page;
    let most = RANKED_MAX.cast_signed() + 1;
    let total: isize = db
        .prepare_cached(&format!("SELECT count(*) FROM (SELECT 1 {CONDITIONS} LIMIT ?8)"))?
        .query_row(params![words, lives, speaker, from, to, after, before, most], |row| row.get(0))?;
    let total = total.unsigned_abs();
    let order = if total > RANKED_MAX { HitOrder::Newest } else { HitOrder::Rank };
    let by = match order {
        HitOrder::Rank => "bm25(words), l.id DESC",
        HitOrder::Newest => "words.rowid DESC",
    };
    let ids = {
        let sql = format!("SELECT l.id {CONDITIONS} ORDER BY {by} LIMIT ?8 OFFSET ?9");
        let mut rows = db.prepare_cached(&sql)?;
        let page = (limit.min(RANKED_MAX).cast_signed(), skip.min(RANKED_MAX).cast_signed());
        let rows = rows.query_map(params![words, lives, speaker, from, to, after, before, page.0, page.1], |row| {
            row.get::<_, i64>(0)
        })?;
        rows.collect::<rusqlite::Result<Vec<_>>>()?
    };
    // Excerpts are made of those that are shown, not of all that are ranked.
    let mut hits = Vec::with_capacity(ids.len());
    for id in ids {
        hits.extend(hit(db, &words, id)?);
    }
    Ok(SearchHits { hits, total: total.min(RANKED_MAX), order })
}

fn hit(db: &Connection, words: &str, id: i64) -> rusqlite::Result<Option<Hit>> {
    let [before, behind] = MARKS;
    let sql = "
SELECT f.name, (SELECT t.id FROM turns AS t WHERE t.life = l.life AND t.sort <= l.sort ORDER BY t.sort DESC LIMIT 1),
  l.key, l.start_ms, l.end_ms, COALESCE(s.shown, l.speaker), l.received_at, snippet(words, 0, ?3, ?4, '…', ?5)
FROM words JOIN lines AS l ON l.id = words.rowid JOIN feeds AS f ON f.life = l.life
LEFT JOIN speakers AS s ON s.life = l.life AND s.id = l.speaker
WHERE words MATCH ?1 AND words.rowid = ?2";
    let row = db
        .prepare_cached(sql)?
        .query_row(params![words, id, before.to_string(), behind.to_string(), WORDS_SHOWN], |row| {
            let name: String = row.get(0)?;
            let excerpt: String = row.get(7)?;
            let hit = FeedId::new(&name).ok().map(|feed| (feed, excerpt));
            let Some((feed, excerpt)) = hit else { return Ok(None) };
            Ok(Some(Hit {
                feed,
                turn: row.get(1)?,
                line: row.get(2)?,
                start_ms: row.get(3)?,
                end_ms: row.get(4)?,
                speaker: row.get(5)?,
                received_at: Timestamp(row.get(6)?),
                parts: parts(&excerpt),
            }))
        })
        .optional()?;
    Ok(row.flatten())
}

/// Takes an excerpt apart at the engine's marks.
fn parts(excerpt: &str) -> Vec<TextPart> {
    let pieces = excerpt.split(MARKS).enumerate();
    // Marks come in pairs, so that every second piece was found.
    let parts = pieces.map(|(n, text)| TextPart { text: text.to_owned(), found: n % 2 == 1 });
    parts.filter(|part| !part.text.is_empty()).collect()
}
