//! `hubctl method …`

use std::io::Write;
use std::ops::RangeInclusive;
use std::time::Duration;

use hubctl::HubClient;
use model::api::MethodRequest;
use model::limits::{METHOD_CONNECT_TIMEOUT_SECONDS_MAX, METHOD_RESPONSE_TIMEOUT_SECONDS};

use crate::args::MethodVerb;
use crate::exit::Failure;
use crate::output::Output;

pub(super) async fn run<W: Write>(hub: &HubClient, output: &mut Output<W>, verb: MethodVerb) -> Result<(), Failure> {
    let MethodVerb::Invoke { id, name, payload, timeout, connect_timeout } = verb;
    let call = MethodRequest {
        method_name: name,
        payload,
        response_timeout_in_seconds: Some(seconds("--timeout", timeout, METHOD_RESPONSE_TIMEOUT_SECONDS)?),
        connect_timeout_in_seconds: Some(seconds("--connect-timeout", connect_timeout, 0..=METHOD_CONNECT_TIMEOUT_SECONDS_MAX)?),
    };
    let answer = hub.invoke_method(&id, &call).await?;
    Ok(output.document(&answer)?)
}

/// The API counts whole seconds; a fraction is rounded up.
fn seconds(option: &str, duration: Duration, allowed: RangeInclusive<u32>) -> Result<u32, Failure> {
    let rounded = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    let seconds = u32::try_from(rounded).ok().filter(|seconds| allowed.contains(seconds));
    seconds.ok_or_else(|| Failure::Usage(format!("{option} must lie between {}s and {}s", allowed.start(), allowed.end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_whole_seconds_within_bounds() {
        let check = |milliseconds, expected: Option<u32>| {
            assert_eq!(seconds("--timeout", Duration::from_millis(milliseconds), 5..=300).ok(), expected, "{milliseconds}");
        };
        check(4_000, None);
        check(4_001, Some(5));
        check(300_000, Some(300));
        check(300_001, None);
    }
}
