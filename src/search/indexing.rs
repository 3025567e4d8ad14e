//! Writing to the index: adds changed lines and removes retracted ones.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, ffi, params};

use crate::position::{Epoch, FeedId, Offset};
use crate::search::batch::{IndexBatch, IndexCursor, IndexedGeneration};
use crate::transcript::{Line, Speaker, Turn};

/// Returns the position in each feed.
pub(super) fn places(db: &Connection) -> rusqlite::Result<HashMap<IndexedGeneration, IndexCursor>> {
    let mut rows = db.prepare_cached("SELECT epoch, change, next, life, name FROM feeds")?;
    let rows = rows.query_map([], |row| Ok((place(row)?, row.get::<_, i64>(3)?, row.get::<_, String>(4)?)))?;
    let mut places = HashMap::new();
    for row in rows {
        let (place, life, name) = row?;
        // Only a manual edit of the file makes another name; no search refers to it.
        if let Ok(feed) = FeedId::new(&name) {
            places.insert(IndexedGeneration { feed, number: life.cast_unsigned() }, place);
        }
    }
    Ok(places)
}

/// Returns the position in one feed.
pub(super) fn place_of(db: &Connection, life: u64) -> rusqlite::Result<Option<IndexCursor>> {
    let sql = "SELECT epoch, change, next FROM feeds WHERE life = ?1";
    db.prepare_cached(sql)?.query_row([life.cast_signed()], place).optional()
}

fn place(row: &Row<'_>) -> rusqlite::Result<IndexCursor> {
    Ok(IndexCursor {
        epoch: Epoch::new(&row.get::<_, String>(0)?),
        change: row.get::<_, i64>(1)?.cast_unsigned(),
        next: Offset(row.get::<_, i64>(2)?.cast_unsigned()),
    })
}

/// Applies a batch if it follows what the index has; returns the position after it. Call it within the writer's
/// transaction.
pub(super) fn apply(db: &Connection, batch: &IndexBatch) -> rusqlite::Result<Option<IndexCursor>> {
    let life = batch.life.number.cast_signed();
    let known = place_of(db, batch.life.number)?;
    let follows =
        known.as_ref().is_some_and(|known| batch.follows.as_ref() == Some(&known.epoch) && known.change == batch.since);
    let next = match known {
        Some(known) if follows => batch.next.unwrap_or(known.next),
        known if batch.since != 0 => return Ok(known),
        known => {
            if known.is_some() {
                take_out(db, life)?;
            }
            batch.next.unwrap_or(Offset::START)
        }
    };
    for speaker in &batch.changes.speakers {
        put_speaker(db, life, speaker)?;
    }
    if !batch.changes.speakers.is_empty() {
        resolve(db, life)?;
    }
    for key in &batch.changes.gone {
        take_line_out(db, life, key)?;
    }
    for line in &batch.changes.lines {
        put_line(db, life, line)?;
    }
    for id in &batch.changes.gone_turns {
        db.prepare_cached("DELETE FROM turns WHERE life = ?1 AND id = ?2")?.execute(params![life, &**id])?;
    }
    for turn in &batch.changes.turns {
        put_turn(db, life, turn)?;
    }
    let change = batch.changes.to;
    db.prepare_cached("INSERT OR REPLACE INTO feeds(life, name, epoch, change, next) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            life,
            batch.life.feed.as_str(),
            batch.epoch.as_str(),
            change.cast_signed(),
            next.0.cast_signed()
        ])?;
    Ok(Some(IndexCursor { epoch: batch.epoch.clone(), change, next }))
}

/// Removes a feed, and every trace of it in the file.
pub(super) fn forget(db: &mut Connection, life: u64) -> rusqlite::Result<()> {
    let change = db.transaction()?;
    take_out(&change, life.cast_signed())?;
    change.commit()?;
    // Deleted contents are overwritten in the file, but the WAL still has pages with them.
    let is_busy: bool = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if is_busy {
        let cause = "another program keeps reading it, so a copy of what was deleted stays".to_owned();
        return Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), Some(cause)));
    }
    Ok(())
}

fn take_out(db: &Connection, life: i64) -> rusqlite::Result<()> {
    // The words of a line are found by its text, so they are removed before it.
    db.execute("INSERT INTO words(words, rowid, text) SELECT 'delete', id, text FROM lines WHERE life = ?1", [life])?;
    for table in ["lines", "turns", "speakers", "feeds"] {
        db.execute(&format!("DELETE FROM {table} WHERE life = ?1"), [life])?;
    }
    Ok(())
}

fn take_line_out(db: &Connection, life: i64, key: &str) -> rusqlite::Result<Option<i64>> {
    let known = db
        .prepare_cached("SELECT id, text FROM lines WHERE life = ?1 AND key = ?2")?
        .query_row(params![life, key], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    let Some((id, text)) = known else { return Ok(None) };
    db.prepare_cached("INSERT INTO words(words, rowid, text) VALUES ('delete', ?1, ?2)")?.execute(params![id, text])?;
    db.prepare_cached("DELETE FROM lines WHERE id = ?1")?.execute([id])?;
    Ok(Some(id))
}

fn put_line(db: &Connection, life: i64, line: &Line) -> rusqlite::Result<()> {
    let key = line.key().to_string();
    // A corrected line keeps its number, which orders the newest lines.
    let id = take_line_out(db, life, &key)?;
    let text = plain(&line.text);
    db.prepare_cached(
        "INSERT INTO lines(id, life, key, sort, start_ms, end_ms, speaker, text, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        id,
        life,
        key,
        &*line.sort,
        line.start_ms,
        line.end_ms,
        line.speaker.as_deref(),
        text,
        line.received_at.0
    ])?;
    let id = db.last_insert_rowid();
    db.prepare_cached("INSERT INTO words(rowid, text) VALUES (?1, ?2)")?.execute(params![id, text])?;
    Ok(())
}

/// Replaces control characters by spaces: two of them mark matches.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn put_turn(db: &Connection, life: i64, turn: &Turn) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO turns(life, id, sort) VALUES (?1, ?2, ?3)";
    db.prepare_cached(sql)?.execute(params![life, &*turn.id, &*turn.sort])?;
    Ok(())
}

fn put_speaker(db: &Connection, life: i64, speaker: &Speaker) -> rusqlite::Result<()> {
    let Speaker { id, name, into, .. } = speaker;
    // `resolve` fills in the rest.
    let sql = "INSERT OR REPLACE INTO speakers(life, id, name, into_id, shown, folded) VALUES (?1, ?2, ?3, ?4, '', '')";
    db.prepare_cached(sql)?.execute(params![life, &**id, &**name, into.as_deref()])?;
    Ok(())
}

/// Stores each speaker's name after all merges.
fn resolve(db: &Connection, life: i64) -> rusqlite::Result<()> {
    let mut rows = db.prepare_cached("SELECT id, name, into_id FROM speakers WHERE life = ?1")?;
    let rows = rows.query_map([life], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    let all: HashMap<String, (String, Option<String>)> = rows.collect::<rusqlite::Result<_>>()?;
    for (id, own) in &all {
        let mut last = own;
        // The fold prevents cycles, but a page with only some of several merges might have one until the next page.
        for _ in 0..all.len() {
            match last.1.as_ref().and_then(|into| all.get(into)) {
                Some(into) => last = into,
                None => break,
            }
        }
        let sql = "UPDATE speakers SET shown = ?3, folded = ?4 WHERE life = ?1 AND id = ?2 AND shown <> ?3";
        db.prepare_cached(sql)?.execute(params![life, id, last.0, folded(&last.0)])?;
    }
    Ok(())
}

/// Converts a name for comparison, to lower case.
pub(super) fn folded(name: &str) -> String {
    name.trim().to_lowercase()
}
