//! Delivery cursors in the shared table, so that another node can resume deliveries.
//!
//! A cursor can be changed only by a node that has read its last change. A node that wrongly believes that it still
//! holds a feed's lease gets an error from the first cursor that it tries to store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::cluster::table::{PutOutcome, Table, TableError};
use crate::outbox::{DeliveryCursor, DeliveryCursors, Outbox, OutboxError};
use crate::position::FeedId;

/// The outbox of all nodes.
pub(super) struct SharedOutbox {
    table: Arc<dyn Table>,
    /// Last revision of each cursor that this node has seen, while it works with it.
    seen: Mutex<HashMap<String, u64>>,
}

impl SharedOutbox {
    pub(super) fn new(table: Arc<dyn Table>) -> Self {
        Self { table, seen: Mutex::default() }
    }

    async fn write(&self, target: &str, feed: &FeedId, place: Bytes) -> Result<(), OutboxError> {
        let key = key(target, feed);
        let seen = self.seen().get(&key).copied().unwrap_or(0);
        match self.table.put(&key, place, seen).await.map_err(failed)? {
            PutOutcome::Done(revision) => {
                self.seen().insert(key, revision);
                Ok(())
            }
            PutOutcome::Changed => {
                self.seen().remove(&key);
                Err(OutboxError::at(key, "another node has changed it since"))
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names of targets and feeds are words of letters, digits, `_` and `-`, so they are valid in keys.
fn key(target: &str, feed: &FeedId) -> String {
    format!("place.{target}.{feed}")
}

fn met(target: &str) -> String {
    format!("met.{target}")
}

fn failed(error: TableError) -> OutboxError {
    OutboxError::at(error.place, &error.cause)
}

fn written(place: &DeliveryCursor) -> Bytes {
    serde_json::to_vec(place).expect("texts and numbers").into()
}

fn read(key: &str, value: &[u8]) -> Result<DeliveryCursor, OutboxError> {
    serde_json::from_slice(value).map_err(|error| OutboxError::at(key.to_owned(), &error.to_string()))
}

impl Outbox for SharedOutbox {
    fn places<'a>(&'a self, target: &'a str) -> BoxFuture<'a, Result<Option<DeliveryCursors>, OutboxError>> {
        async move {
            if self.table.get(&met(target)).await.map_err(failed)?.value.is_empty() {
                return Ok(None);
            }
            let below = format!("place.{target}");
            let mut places = Vec::new();
            for (key, row) in self.table.rows(&below).await.map_err(failed)? {
                let Some(Ok(feed)) = key.strip_prefix(&below).and_then(|rest| rest.strip_prefix('.')).map(FeedId::new)
                else {
                    continue;
                };
                let place = read(&key, &row.value)?;
                places.push((feed, place.life, place.next));
            }
            Ok(Some(places))
        }
        .boxed()
    }

    fn meet<'a>(&'a self, target: &'a str, has: DeliveryCursors) -> BoxFuture<'a, Result<(), OutboxError>> {
        async move {
            for (feed, life, next) in has {
                // If another node registers the target at the same time, what that has written is kept.
                let place = DeliveryCursor { next, ..DeliveryCursor::start(life) };
                self.table.put(&key(target, &feed), written(&place), 0).await.map_err(failed)?;
            }
            self.table.put(&met(target), Bytes::from_static(b"met"), 0).await.map_err(failed)?;
            Ok(())
        }
        .boxed()
    }

    fn place<'a>(
        &'a self,
        target: &'a str,
        feed: &'a FeedId,
    ) -> BoxFuture<'a, Result<Option<DeliveryCursor>, OutboxError>> {
        async move {
            let key = key(target, feed);
            let row = self.table.get(&key).await.map_err(failed)?;
            let place = (!row.value.is_empty()).then(|| read(&key, &row.value)).transpose()?;
            self.seen().insert(key, row.revision);
            Ok(place)
        }
        .boxed()
    }

    fn keep<'a>(
        &'a self,
        target: &'a str,
        feed: &'a FeedId,
        place: &'a DeliveryCursor,
    ) -> BoxFuture<'a, Result<(), OutboxError>> {
        self.write(target, feed, written(place)).boxed()
    }

    fn advance<'a>(
        &'a self,
        target: &'a str,
        feed: &'a FeedId,
        place: &'a DeliveryCursor,
    ) -> BoxFuture<'a, Result<(), OutboxError>> {
        self.keep(target, feed, place)
    }

    fn forget<'a>(&'a self, target: &'a str, feed: &'a FeedId) -> BoxFuture<'a, Result<(), OutboxError>> {
        async move {
            self.write(target, feed, Bytes::new()).await?;
            self.seen().remove(&key(target, feed));
            Ok(())
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::table::MemoryTable;
    use crate::position::{Epoch, Offset};

    fn feed(name: &str) -> FeedId {
        FeedId::new(name).expect("a name")
    }

    #[tokio::test]
    async fn another_node_goes_on_and_the_first_is_told() {
        let table: Arc<MemoryTable> = Arc::default();
        let (a, b) = (SharedOutbox::new(table.clone()), SharedOutbox::new(table));
        let geneva = feed("geneva");
        assert_eq!(a.places("cms").await.expect("read"), None);
        a.meet("cms", vec![(feed("old"), 1, Offset(5))]).await.expect("written");
        b.meet("cms", vec![(feed("old"), 1, Offset(9))]).await.expect("met already");
        assert_eq!(b.places("cms").await.expect("read"), Some(vec![(feed("old"), 1, Offset(5))]));

        assert_eq!(a.place("cms", &geneva).await.expect("read"), None);
        let mut place = DeliveryCursor { epoch: Some(Epoch::new("e.1f")), change: 9, ..DeliveryCursor::start(3) };
        a.keep("cms", &geneva, &place).await.expect("written");
        assert_eq!(b.place("cms", &geneva).await.expect("read"), Some(place.clone()));
        place.change = 10;
        b.keep("cms", &geneva, &place).await.expect("written");
        // The first is behind, whatever it believes.
        let stale = DeliveryCursor { change: 11, ..place.clone() };
        let error = a.keep("cms", &geneva, &stale).await.expect_err("it is not its any more").to_string();
        assert!(error.contains("another node"), "{error}");
        assert_eq!(b.place("cms", &geneva).await.expect("read"), Some(place));
        b.forget("cms", &geneva).await.expect("written");
        assert_eq!(a.place("cms", &geneva).await.expect("read"), None);
        a.keep("cms", &geneva, &stale).await.expect("it begins anew");
    }
}
