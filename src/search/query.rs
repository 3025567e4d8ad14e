//! Searches in the index.

use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, params};

use crate::position::FeedId;
use crate::search::indexing;
use crate::search::query_parser::SearchTerms;
use crate::transcript::{MediaMs, Timestamp};
use crate::wire::search::{Hit, HitOrder, TextPart};

/// Matches that are counted and ranked at most. Ranking looks at each match. If there are more, the newest come first
/// instead, and the search ends when it has enough of them.
pub(crate) const RANKED_MAX: usize = 10_000;

/// Marks that the engine puts before and after each match. Indexed texts never contain them.
const MARKS: [char; 2] = ['\u{2}', '\u{3}'];
/// Words of a line that are shown around a match. The engine allows 64 at most.
const WORDS_SHOWN: u8 = 64;
/// Steps of the engine between two checks of the time limit: some milliseconds.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

/// A search. All conditions apply together.
#[derive(Debug, Clone)]
pub(crate) struct IndexQuery {
    /// The words.
    pub(crate) words: SearchTerms,
    /// Generations of the feeds to search; no others are searched or counted.
    pub(crate) lives: Vec<u64>,
    /// Name of the speaker, after renames and merges; case is ignored.
    pub(crate) speaker: Option<String>,
    /// Lines that start at or after the first media time, and before the second.
    pub(crate) media: (Option<MediaMs>, Option<MediaMs>),
    /// Lines whose present text was received at or after the first moment, and before the second.
    pub(crate) taken: (Option<Timestamp>, Option<Timestamp>),
    /// Number of hits to skip, and number to return at most.
    pub(crate) page: (usize, usize),
}

/// Result of a search.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SearchHits {
    /// The hits of this page.
    pub(crate) hits: Vec<Hit>,
    /// Number of all hits, up to [`RANKED_MAX`].
    pub(crate) total: usize,
    /// Order of the hits.
    pub(crate) order: HitOrder,
}

/// Conditions of a search. The full-text match comes first (a `CROSS JOIN` keeps the order): to look up each line of a
/// feed in it would cost far more.
const CONDITIONS: &str = "
FROM words CROSS JOIN lines AS l ON l.id = words.rowid
LEFT JOIN speakers AS s ON s.life = l.life AND s.id = l.speaker
WHERE words MATCH ?1 AND l.life IN (SELECT value FROM json_each(?2)) AND (?3 IS NULL OR s.folded = ?3)
  AND l.start_ms >= ?4 AND l.start_ms < ?5 AND l.received_at >= ?6 AND l.received_at < ?7";

/// Runs `question`; fails with an interruption after `timeout`.
pub(super) fn find(db: &mut Connection, question: &IndexQuery, timeout: Duration) -> rusqlite::Result<SearchHits> {
    let until = Instant::now() + timeout;
    db.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || Instant::now() >= until))?;
    // One transaction, so that all queries see the same state.
    let found = db.transaction().and_then(|moment| answer(&moment, question));
    db.progress_handler(0, None::<fn() -> bool>)?;
    found
}

fn answer(db: &Connection, question: &IndexQuery) -> rusqlite::Result<SearchHits> {
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
        HitOrder::Newest | HitOrder::Unknown => "words.rowid DESC",
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
    // Excerpts are made only for the hits of the page, not for all that are ranked.
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

/// Splits an excerpt at the engine's marks.
fn parts(excerpt: &str) -> Vec<TextPart> {
    let pieces = excerpt.split(MARKS).enumerate();
    // Marks come in pairs, so every second piece is a match.
    let parts = pieces.map(|(n, text)| TextPart { text: text.to_owned(), found: n % 2 == 1 });
    parts.filter(|part| !part.text.is_empty()).collect()
}
