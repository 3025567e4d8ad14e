//! Requests for a subscriber's WebSocket, and the sessions they become.

use std::sync::Arc;

use crate::position::FeedId;
use crate::server::access::peer::Peer;
use crate::server::access::upgrade::{RequestContext, SocketEnd};
use crate::server::core::connection_end::CloseReason;
use crate::server::egress::multiplex::MultiplexedFeeds;
use crate::server::egress::params::SubscribeParams;
use crate::server::egress::service::EgressService;
use crate::server::egress::session::SubscriberSession;
use crate::server::egress::single_feed::SingleFeed;
use crate::server::egress::sink::SubscriberSink;
use crate::server::egress::subscribed_feed::SubscribedFeed;
use crate::server::transport::websocket::WebSocket;
use crate::wire::CloseCode;
use crate::wire::subscriber::REPLAY_PARAMETERS;

/// A subscriber sends next to nothing, and there are many of them.
pub(crate) const SOCKET: SocketEnd =
    SocketEnd { may: Peer::may_read, read_buffer_bytes: 512, message_bytes: |limits, _| limits.message_bytes };

/// Serves a subscriber of the feed `name` to its end.
pub(crate) async fn serve_single(
    service: Arc<EgressService>,
    name: FeedId,
    socket: WebSocket,
    context: Box<RequestContext>,
) -> (SubscriberSink, CloseReason) {
    let feed = SubscribeParams::new(&context)
        .and_then(|params| SubscribedFeed::new(service.clone(), name, params, context.peer.ip()));
    match feed {
        Ok(feed) => SubscriberSession::new(service, socket.into(), SingleFeed::new(feed), context.peer).run().await,
        Err(end) => (socket.into(), end),
    }
}

/// Serves a subscriber of many feeds (`/v1/subscribe`) to its end.
pub(crate) async fn serve_multiplex(
    service: Arc<EgressService>,
    socket: WebSocket,
    context: Box<RequestContext>,
) -> (SubscriberSink, CloseReason) {
    if let Err(end) = refuse_parameters_of_one_feed(&context).and_then(|()| context.refuse_reserved()) {
        return (socket.into(), end);
    }
    let RequestContext { peer, access, .. } = *context;
    let feeds = MultiplexedFeeds::new(service.clone(), access, peer.ip());
    SubscriberSession::new(service, socket.into(), feeds, peer).run().await
}

/// Refuses the parameters of a single feed's socket, which would have no effect on a socket of many.
fn refuse_parameters_of_one_feed(context: &RequestContext) -> Result<(), CloseReason> {
    let find = |names: &[&'static str]| names.iter().copied().find(|name| context.get(name).is_some());
    let reason = if let Some(name) = find(&["from", "interim", "unit", "until", "wait"]) {
        format!("put {name} into each `subscribe` message, not into the URL")
    } else if let Some(name) = find(&REPLAY_PARAMETERS) {
        format!("{name} is for replays, which this socket does not have: use /v1/feeds/{{feed}}/subscribe")
    } else {
        return Ok(());
    };
    Err(CloseReason::close(CloseCode::BadRequest, reason))
}
