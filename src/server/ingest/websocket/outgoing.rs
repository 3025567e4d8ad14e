//! Messages to a publisher: replies in order, changes of the source on air, and warnings.

use crate::feed::FollowState;
use crate::server::core::connection_end::CloseReason;
use crate::server::core::connection_end::end_of;
use crate::server::ingest::ack_queue::Reply;
use crate::server::ingest::websocket::connection::{PublisherConnection, is_on_air};
use crate::server::transport::websocket::WebSocket;
use crate::wire::{ToPublisher, WarningCode};

impl PublisherConnection<'_> {
    pub(crate) async fn send_answers(&mut self, socket: &mut WebSocket, ready: Vec<Reply>) -> Result<(), CloseReason> {
        let mut ack = None;
        for ready in ready {
            match ready {
                Reply::Ack(seq) => ack = ack.max(Some(seq)),
                Reply::Own => {}
                Reply::Nack(nack) => {
                    self.send_ack(socket, ack.take()).await?;
                    match &nack {
                        // Nobody sees its lines: that justifies a message that the client may not know.
                        ToPublisher::Warning { code, .. } if **code == *WarningCode::NotOnAir.as_str() => {
                            socket.send_though_silent(&nack.encode()).await?;
                        }
                        nack => socket.send(&nack.encode()).await?,
                    }
                }
                Reply::Failed(error) => {
                    self.send_ack(socket, ack.take()).await?;
                    // All later appends fail too: the log accepts no more.
                    self.acks.clear();
                    return Err(end_of(&error));
                }
            }
        }
        self.send_ack(socket, ack).await
    }

    async fn send_ack(&mut self, socket: &mut WebSocket, ack: Option<u64>) -> Result<(), CloseReason> {
        let Some(seq) = ack else { return Ok(()) };
        self.acked = self.acked.max(seq);
        socket.send(&ToPublisher::Ack { seq: self.acked }.encode()).await
    }

    /// Sends the pending replies: what was appended is acknowledged before the connection closes.
    pub(crate) async fn finish_answers(&mut self, socket: &mut WebSocket) -> Result<(), CloseReason> {
        while !self.acks.is_empty() {
            let ready = self.acks.ready(&self.service.context.metrics).await;
            self.send_answers(socket, ready).await?;
        }
        Ok(())
    }

    pub(crate) async fn look_at_the_feed(&mut self, socket: &mut WebSocket) -> Result<(), CloseReason> {
        let following = self.bell.borrow_and_update().following.clone();
        if let FollowState::Ended(why) = following {
            self.finish_answers(socket).await?;
            return Err(end_of(&why));
        }
        let (on_air, holder) = {
            let transcript = self.pipeline.view.transcript();
            (is_on_air(&transcript, &self.pipeline.publisher.source), transcript.holder().cloned())
        };
        if on_air != self.on_air {
            self.on_air = on_air;
            socket.send(&ToPublisher::Status { on_air, holder, term: 0 }.encode()).await?;
        }
        if !on_air && self.pipeline.tally.accepted > 0 {
            self.tell_if_off_air();
        }
        self.queue_reports().await
    }
}
