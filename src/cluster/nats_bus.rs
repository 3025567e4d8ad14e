//! The cluster on NATS servers: core NATS carries its messages, and a JetStream stream keeps its table.

use std::sync::Arc;

use async_nats::Client;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};

use super::message_bus::{BusMessage, MessageBus};
use super::nats_table::NatsTable;
use super::{Cluster, ClusterSettings, NodeId, TableError};

/// Core NATS as the bus of a cluster.
struct NatsBus(Client);

impl MessageBus for NatsBus {
    fn publish(&self, subject: String, reply: Option<String>, payload: Bytes) -> BoxFuture<'_, Result<(), String>> {
        async move {
            let sent = match reply {
                Some(reply) => self.0.publish_with_reply(subject, reply, payload).await,
                None => self.0.publish(subject, payload).await,
            };
            sent.map_err(|error| error.to_string())
        }
        .boxed()
    }

    fn subscribe(&self, subject: String) -> BoxFuture<'_, Result<BoxStream<'static, BusMessage>, String>> {
        async move {
            let messages = self.0.subscribe(subject).await.map_err(|error| error.to_string())?;
            let message = |message: async_nats::Message| BusMessage {
                payload: message.payload,
                reply: message.reply.map(|reply| reply.to_string()),
            };
            Ok(messages.map(message).boxed())
        }
        .boxed()
    }

    fn new_inbox(&self) -> String {
        self.0.new_inbox()
    }

    fn flush(&self) -> BoxFuture<'_, ()> {
        self.0.flush().map(drop).boxed()
    }
}

impl Cluster {
    /// Opens the shared table on the NATS servers of `client`. Nothing is sent before [`Cluster::start`]. `own` must be unique
    /// among all nodes and all runs of this node.
    ///
    /// # Errors
    /// [`TableError`] if the table cannot be opened.
    pub(crate) async fn join(client: Client, own: NodeId, settings: ClusterSettings) -> Result<Self, TableError> {
        let name = format!("{}_nodes", settings.name);
        let table = NatsTable::open(client.clone(), &name, settings.replicas).await?;
        Ok(Self::new(Arc::new(NatsBus(client)), Arc::new(table), own, settings))
    }
}
