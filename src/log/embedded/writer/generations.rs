//! Creates, replaces and deletes the logs of feeds, and erases records.

use crate::log::embedded::batch_row::{self, BatchRow, COLUMNS};
use crate::log::embedded::readers::{self, ReadFailure};
use crate::log::embedded::schema::NEXT_CHANGE;
use crate::log::embedded::writer::{AppendReply, PURGE_ROWS, PurgeRequest, Writer};
use crate::log::{LogId, NameLookup};
use crate::position::{FeedId, Offset};
use rusqlite::{Connection, TransactionBehavior};

/// Changes the state of a generation if its state is one of `from`; returns false otherwise.
pub(super) fn set_state(db: &Connection, log: &LogId, from: &str, to: &str) -> rusqlite::Result<bool> {
    let sql = format!(
        "UPDATE feeds SET state = {to}, change = {NEXT_CHANGE} WHERE id = ?1 AND name = ?2 AND state IN ({from})"
    );
    Ok(db.execute(&sql, (log.life.cast_signed(), log.feed.as_str()))? == 1)
}

impl Writer<'_> {
    /// Creates a log, or returns the existing one.
    pub(super) fn create(&mut self, feed: &FeedId, anew: bool) -> Result<LogId, ReadFailure> {
        match readers::find(&self.db, feed)? {
            NameLookup::Here(log) => return Ok(log),
            NameLookup::Deleted if !anew => return Err(ReadFailure::Deleted(feed.clone())),
            NameLookup::Deleted | NameLookup::Absent => {}
        }
        let log = self.insert_life(feed, "here")?;
        self.mark_change()?;
        Ok(log)
    }

    pub(super) fn insert_life(&self, feed: &FeedId, state: &str) -> rusqlite::Result<LogId> {
        let sql = format!("INSERT INTO feeds(name, state, change) VALUES (?1, ?2, {NEXT_CHANGE})");
        self.db.execute(&sql, (feed.as_str(), state))?;
        Ok(LogId { feed: feed.clone(), life: self.db.last_insert_rowid().cast_unsigned() })
    }

    /// Stages a generation.
    pub(super) fn stage(&mut self, feed: &FeedId) -> Result<LogId, ReadFailure> {
        let log = self.insert_life(feed, "staged")?;
        self.mark_change()?;
        self.shared.aside.add(log.life);
        Ok(log)
    }

    /// Gives the feed's name to a staged generation; false if the name's generation is not `old`, or is younger than
    /// the staged one.
    pub(super) fn switch(&mut self, staged: &LogId, old: Option<&LogId>) -> Result<bool, ReadFailure> {
        let change = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (last, now) = match readers::last_life(&change, &staged.feed)? {
            None => (0, None),
            Some((last, is_here)) => (last, is_here.then_some(last)),
        };
        if now != old.map(|old| old.life) || last > staged.life {
            return Ok(false);
        }
        if let Some(old) = old {
            set_state(&change, old, "'here'", "'deleted'")?;
        }
        if !set_state(&change, staged, "'staged'", "'here'")? {
            return Err(ReadFailure::Deleted(staged.feed.clone()));
        }
        change.commit()?;
        self.mark_change()?;
        self.shared.aside.remove(staged.life);
        if let Some(old) = old {
            self.end(old.life, None);
        }
        Ok(true)
    }

    /// Discards a staged generation; later appends to it are refused.
    pub(super) fn discard(&mut self, staged: &LogId) -> Result<(), ReadFailure> {
        if set_state(&self.db, staged, "'staged'", "'discarded'")? {
            self.mark_change()?;
            self.end(staged.life, None);
        }
        Ok(())
    }

    /// Ends a generation that was marked as deleted or discarded; its rows are emptied gradually.
    pub(super) fn end(&mut self, life: u64, reply: Option<AppendReply<()>>) {
        self.heads.remove(&life);
        self.shared.aside.remove(life);
        self.shared.registry.deleted(life);
        self.purges.push_back(PurgeRequest { life, from: 0, reply });
    }

    /// Marks the log as deleted, which ends it for everyone. Its rows are then emptied gradually, and the answer waits
    /// for the last of them.
    pub(super) fn delete(&mut self, log: &LogId, weight: u32, reply: AppendReply<()>) {
        let marked = self.attempt(|writer| {
            let state = "CASE state WHEN 'here' THEN 'deleted' ELSE 'discarded' END";
            set_state(&writer.db, log, "'here', 'staged'", state)?;
            writer.mark_change()
        });
        match marked {
            // A log that was deleted before may still have contents; the answer waits for those too.
            Ok(()) => self.end(log.life, Some(reply)),
            Err(error) => drop(reply.send(Err(error))),
        }
        self.shared.room.add_permits(weight as usize);
    }

    /// Resumes deletions that the end of the last server interrupted.
    pub(super) fn resume_purges(&mut self) {
        let sql = "SELECT id FROM feeds WHERE state IN ('deleted', 'discarded')
            AND EXISTS(SELECT 1 FROM batches WHERE log = feeds.id AND length(body) > 0)";
        let left = self.attempt(|writer| {
            let mut rows = writer.db.prepare(sql)?;
            let lives = rows.query_map([], |row| row.get::<_, i64>(0))?;
            Ok(lives.collect::<rusqlite::Result<Vec<_>>>()?)
        });
        let purge = |life: i64| PurgeRequest { life: life.cast_unsigned(), from: 0, reply: None };
        self.purges.extend(left.into_iter().flatten().map(purge));
    }

    /// Empties some rows of the first deleted log.
    pub(super) fn purge_some(&mut self) {
        let Some(mut purge) = self.purges.pop_front() else { return };
        let purged = self.attempt(|writer| {
            let next = writer.empty_rows(&purge)?;
            if next.is_none() {
                // Removes copies of the deleted contents from the WAL. If a reader prevents it now, the next checkpoint
                // does it.
                writer.empty_wal()?;
            }
            Ok(next)
        });
        let answer = match purged {
            Ok(Some(next)) => {
                purge.from = next;
                return self.purges.push_front(purge);
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        let _ = purge.reply.map(|reply| reply.send(answer));
    }

    /// Empties the bodies of the next rows of a log; returns the offset to continue from, if there are more.
    ///
    /// The rows themselves stay. If they were removed, SQLite would move rows of other logs together without
    /// overwriting the old places, and a later erasure from those logs would leave bytes there.
    pub(super) fn empty_rows(&self, purge: &PurgeRequest) -> rusqlite::Result<Option<u64>> {
        let (life, from, rows) = (purge.life.cast_signed(), purge.from.cast_signed(), PURGE_ROWS as i64);
        let last =
            "SELECT max(first) FROM (SELECT first FROM batches WHERE log = ?1 AND first >= ?2 ORDER BY first LIMIT ?3)";
        let last: Option<i64> = self.db.prepare_cached(last)?.query_row((life, from, rows), |row| row.get(0))?;
        let Some(last) = last else { return Ok(None) };
        let empty = "UPDATE batches SET body = x'', crc = NULL WHERE log = ?1 AND first BETWEEN ?2 AND ?3";
        let emptied = self.db.prepare_cached(empty)?.execute((life, from, last))?;
        Ok((emptied == PURGE_ROWS).then_some(last.cast_unsigned() + 1))
    }

    /// Rewrites a row without the bytes of one record.
    pub(super) fn erase(&mut self, log: &LogId, offset: Offset) -> Result<(), ReadFailure> {
        if offset.0 >= self.head(log)? {
            return Err(ReadFailure::NoRecord(log.feed.clone(), offset));
        }
        let (row, frames) = self.db.query_row(
            &format!("SELECT id, {COLUMNS} FROM batches WHERE log = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1"),
            (log.life.cast_signed(), offset.0.cast_signed()),
            |row| Ok((row.get(0)?, BatchRow::read(row, 1)?)),
        )?;
        let records = frames.records().ok_or(ReadFailure::Damaged(row))?;
        let mut body = Vec::new();
        for (at, record) in (frames.first.cast_unsigned()..).zip(&records) {
            batch_row::push(&mut body, if at == offset.0 { b"" } else { record });
        }
        let crc = batch_row::checksum(frames.log, frames.first, frames.count, &body);
        self.db.execute("UPDATE batches SET body = ?2, crc = ?3 WHERE id = ?1", (row, body, crc))?;
        self.shared.registry.erased(log.life, offset);
        if self.empty_wal()? { Ok(()) } else { Err(ReadFailure::CopyLeft) }
    }
}
