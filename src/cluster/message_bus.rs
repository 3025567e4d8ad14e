//! Messages between the nodes, as the cluster needs them: sent at most once, kept by nobody.

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

/// A message that a node sent.
pub(super) struct BusMessage {
    pub(super) payload: Bytes,
    /// The subject on which its sender waits for answers, if it does.
    pub(super) reply: Option<String>,
}

/// Carries messages to all nodes that subscribed to their subject. A subject is made of letters, digits, `_`, `-` and `.`.
pub(super) trait MessageBus: Send + Sync + 'static {
    /// Sends `payload`; answers go to `reply`. Ready once the connection has taken it, which says nothing of who receives it.
    fn publish(&self, subject: String, reply: Option<String>, payload: Bytes) -> BoxFuture<'_, Result<(), String>>;

    /// Takes all messages with this subject from now on. The stream ends with the connection.
    fn subscribe(&self, subject: String) -> BoxFuture<'_, Result<BoxStream<'static, BusMessage>, String>>;

    /// Makes a subject for answers that nobody else uses.
    fn new_inbox(&self) -> String;

    /// Waits until what was published has left this machine.
    fn flush(&self) -> BoxFuture<'_, ()>;
}
