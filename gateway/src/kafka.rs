//! Kafka for producers, consumers and administrators.
//!
//! An event hub is a topic, a partition a partition, a sequence number an offset; the hub is the
//! one broker, node 0, and leader of everything.
//!
//! [`authentication`] lets a peer in, [`connection`] is the loop that follows: it reads requests,
//! has them answered by way of [`dispatch`]; [`outlet`] sends the answers in order. One file an API group
//! says what a request means: [`metadata`], [`produce`], [`fetch`], [`offsets`], [`topics`],
//! [`configs`]. Codes are written in [`reason`]. Bytes are read and written
//! by `kafka_proto::wire`.

mod authentication;
mod budget;
mod configs;
mod connection;
mod dispatch;
mod fetch;
mod frames;
mod group_requests;
mod metadata;
mod offsets;
mod outcome;
mod outlet;
mod produce;
mod reason;
mod session;
mod topics;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use budget::Budgets;
pub(crate) use session::Advertised;

use crate::hub::Hub;
use crate::listener::Peer;
use crate::observe::{Metrics, Protocol};
use frames::{FrameReader, FrameWriter};

/// How long a refused connection stays open for its client to read why; Kafka's own delay.
const REFUSAL_LINGER: Duration = Duration::from_millis(100);

/// Serves one connection until it ends, its grant does, or the hub stops.
pub(crate) async fn serve<S>(hub: Arc<Hub>, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (read, write) = tokio::io::split(stream);
    let (mut reader, mut writer) = (FrameReader::new(read), FrameWriter::new(write, hub.metrics.clone()));
    // Boxed, so that its memory is given back before the connection's long life begins.
    let admitted = tokio::select! {
        admitted = Box::pin(authentication::admit(&hub, &peer, &mut reader, &mut writer)) => admitted,
        // Nothing is owed to a client that has not asked for anything.
        () = hub.drain.begun() => return,
    };
    match admitted {
        Ok(admitted) => {
            let _open = Open::counted(&hub.metrics);
            connection::run(admitted, reader, writer).await;
        }
        Err(refusal) if refusal.is_silent() => tracing::debug!(peer = %peer.address, reason = %refusal, "a Kafka client went again"),
        Err(refusal) => {
            hub.metrics.auth_refused(refusal.name());
            if refusal.is_costly() {
                peer.charge_failure();
            }
            tracing::info!(peer = %peer.address, reason = refusal.name(), detail = %refusal, "refused a Kafka connection");
            // A client that sees the end beside the answer may throw the answer away.
            let _ = tokio::time::timeout(REFUSAL_LINGER, reader.hung_up()).await;
            writer.close().await;
        }
    }
}

/// A connection as long as it is counted.
struct Open(Metrics);

impl Open {
    fn counted(metrics: &Metrics) -> Self {
        metrics.connection_opened(Protocol::Kafka);
        Self(metrics.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connection_closed(Protocol::Kafka);
    }
}
