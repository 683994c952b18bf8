//! Commands of a device or module: fetched, perhaps waited for, and settled by their lock.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use tokio::time::Instant;
use twins::LockToken;

use super::admission::Admitted;
use super::inbox::{self, Delivery, Settlement};
use super::{long_poll, reason};
use crate::https::{Answer, LockTimeout, Refusal, Reply, RequestPath};
use crate::operator::Parameters;
use crate::presence::Wanted;

/// The type of every body: what it really is, the message's own content type says.
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The next command, or 204 when none is there or, after a wait, none came.
pub(super) async fn receive(admitted: &Admitted, wait: Duration, LockTimeout(lock): LockTimeout) -> Answer {
    if wait.is_zero() {
        return Ok(next(admitted, lock).await?.unwrap_or_else(Reply::no_content));
    }
    let poll = admitted.hub.presence.polls().enter(admitted.identity(), Wanted::Commands).map_err(reason::poll_refused)?;
    let mut over = Box::pin(long_poll::over(admitted, Instant::now() + wait));
    loop {
        // Before looking, so that what comes meanwhile is not missed.
        let told = poll.told();
        admitted.check()?;
        if let Some(response) = next(admitted, lock).await? {
            return Ok(response);
        }
        let is_over = tokio::select! {
            biased;
            () = &mut over => true,
            () = told => false,
        };
        if is_over {
            admitted.check()?;
            return Ok(Reply::no_content());
        }
    }
}

async fn next(admitted: &Admitted, lock: Option<Duration>) -> Result<Option<Response>, Refusal> {
    let delivery = inbox::next(admitted, lock).await.map_err(reason::read_refused)?;
    Ok(delivery.map(|Delivery { headers, body }| ([(CONTENT_TYPE, OCTETS)], headers, body).into_response()))
}

/// The lock that a path names.
///
/// # Errors
/// The refusal of a lost one: a text that is none of ours names no lock that holds, nor does none.
fn lock(path: &RequestPath) -> Result<LockToken, Refusal> {
    // An etag comes in quotes, and some write it into the path as it came.
    let lock = path.segment_after("devicebound").and_then(|text| text.trim_matches('"').parse().ok());
    lock.ok_or_else(reason::lock_lost)
}

/// Done with; or with the parameter `reject`, never to be delivered again. The header `If-Match`
/// repeats the lock and is not looked at.
pub(super) async fn complete_or_reject(admitted: &Admitted, path: &RequestPath, parameters: &Parameters) -> Answer {
    let settlement = match parameters.get("reject") {
        None | Some("false") => Settlement::Complete,
        Some("" | "true") => Settlement::Reject,
        Some(_) => return Err(reason::parameter_refused("reject stands alone, or is true or false")),
    };
    settle(admitted, lock(path)?, settlement).await
}

/// Back into the queue.
pub(super) async fn abandon(admitted: &Admitted, path: &RequestPath) -> Answer {
    settle(admitted, lock(path)?, Settlement::Abandon).await
}

async fn settle(admitted: &Admitted, lock: LockToken, settlement: Settlement) -> Answer {
    inbox::settle(admitted, lock, settlement).await.map_err(reason::settle_refused)?;
    Ok(Reply::no_content())
}
