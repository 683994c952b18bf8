//! Requests that wait: how long they may, and what ends them early. A caller that hangs up drops
//! the request, and with it everything it holds.

use std::time::Duration;

use model::limits::POLL_SECONDS_MAX;
use tokio::time::Instant;

use super::admission::Admitted;
use super::reason;
use crate::https::Refusal;
use crate::operator::Parameters;

/// How long the answer may be waited for: the parameter `wait`, in seconds. Absent: not at all.
///
/// # Errors
/// The refusal of what is no number up to 300.
pub(super) fn wait(parameters: &Parameters) -> Result<Duration, Refusal> {
    match parameters.get("wait").map_or(Ok(0), str::parse::<u64>) {
        Ok(seconds) if seconds <= POLL_SECONDS_MAX => Ok(Duration::from_secs(seconds)),
        Ok(_) | Err(_) => Err(reason::parameter_refused("wait is a number of seconds from 0 to 300")),
    }
}

/// Resolves when nothing more is to be waited for: the time is over, the hub stops, or the grant
/// has ended by its own date. A grant that was changed is not noticed here.
pub(super) async fn over(admitted: &Admitted, deadline: Instant) {
    let expiry = async {
        match admitted.grant.expires {
            Some(expires) => tokio::time::sleep(expires.saturating_since(admitted.hub.clock.now())).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = tokio::time::sleep_until(deadline) => {}
        () = admitted.hub.drain.begun() => {}
        () = expiry => {}
    }
}
