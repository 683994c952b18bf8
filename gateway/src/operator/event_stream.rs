//! An event hub followed as a stream of lines, one JSON object each. Ours.
//!
//! The response body pulls: a partition is read when the lines before have been taken, so a slow
//! reader slows the reading and nothing is queued for it. There are no heartbeats; a client that
//! wants to know whether the hub is there asks it to (TCP keep-alive, HTTP/2 ping).

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use certs::judge::OperatorGrant;
use futures_util::{Stream, stream};
use thiserror::Error;

use self::merge::{Merge, Next};
use self::query::EventQuery;
use super::event_hubs;
use super::parameters::Parameters;
use crate::https::{Answer, RequestPath};
use crate::hub::Hub;

mod merge;
mod query;
mod source;

/// How often a silent stream asks whether its operator is still admitted.
const GRANT_CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Streams the events that the query asks for. Ends when there are no more of them, when the
/// hub stops, when the operator's admission ends and when the client hangs up.
pub(super) async fn follow(
    Extension(hub): Extension<Arc<Hub>>,
    Extension(path): Extension<RequestPath>,
    Extension(grant): Extension<OperatorGrant>,
    parameters: Parameters,
) -> Answer {
    let event_hub = event_hubs::named(&hub, &path)?;
    let query = EventQuery::read(&parameters, event_hub.partitions)?;
    let merge = Merge::open(&hub.log, &event_hub, &query)?;
    let headers = [(CONTENT_TYPE, "application/x-ndjson"), (CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(lines(hub, grant, merge))).into_response())
}

/// The stream broke off in the middle: the response does not end as a complete one would.
#[derive(Debug, Error)]
#[error("the events cannot be read any further")]
struct StreamBroken;

fn lines(hub: Arc<Hub>, grant: OperatorGrant, merge: Merge) -> impl Stream<Item = Result<Bytes, StreamBroken>> {
    stream::unfold(Some(merge), move |merge| {
        let (hub, grant) = (hub.clone(), grant.clone());
        async move {
            let mut merge = merge?;
            match next_lines(&hub, &grant, &mut merge).await {
                Next::Lines(lines) => Some((Ok(lines), Some(merge))),
                Next::End => None,
                Next::Broken(error) => {
                    tracing::error!(%error, "a stream of events broke off");
                    Some((Err(StreamBroken), None))
                }
            }
        }
    })
}

async fn next_lines(hub: &Hub, grant: &OperatorGrant, merge: &mut Merge) -> Next {
    while grant.is_current(hub.clock.now()) {
        tokio::select! {
            biased;
            () = hub.drain.begun() => return Next::End,
            next = merge.next() => return next,
            // `Merge::next` may be dropped while it waits: what it has taken it keeps.
            () = tokio::time::sleep(GRANT_CHECK_INTERVAL) => {}
        }
    }
    tracing::info!(operator = grant.name, "a stream of events ended with its operator's admission");
    Next::End
}
