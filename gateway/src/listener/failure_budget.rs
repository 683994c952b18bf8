//! A bound on failed handshakes of one address, so that a stranger cannot buy our processor time
//! with broken certificates.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Failures of one address in [`WINDOW`] before it is turned away.
const FAILURES_MAX: u32 = 100;
/// How long failures count.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses remembered. Beyond it, further ones go uncounted until others have expired.
const ADDRESSES_MAX: usize = 8192;

/// Counts failures by address; an IPv6 network of 64 bits counts as one. Loopback is exempt:
/// there, everybody has the same address.
#[derive(Debug, Default)]
pub(crate) struct FailureBudget {
    failures: Mutex<HashMap<IpAddr, Failures>>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    since: Instant,
    count: u32,
}

impl FailureBudget {
    /// Whether `address` may try (again) at `now`.
    pub(crate) fn allows(&self, address: IpAddr, now: Instant) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(&network(address)).is_none_or(|failures| failures.count < FAILURES_MAX || failures.is_over(now))
    }

    /// Counts a failure of `address` at `now`.
    pub(crate) fn charge(&self, address: IpAddr, now: Instant) {
        if address.is_loopback() {
            return;
        }
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let network = network(address);
        if failures.len() >= ADDRESSES_MAX && !failures.contains_key(&network) {
            failures.retain(|_, failures| !failures.is_over(now));
            if failures.len() >= ADDRESSES_MAX {
                return;
            }
        }
        let fresh = Failures { since: now, count: 0 };
        let entry = failures.entry(network).or_insert(fresh);
        if entry.is_over(now) {
            *entry = fresh;
        }
        entry.count = entry.count.saturating_add(1);
        if entry.count == FAILURES_MAX {
            let seconds = WINDOW.saturating_sub(now.duration_since(entry.since)).as_secs();
            tracing::warn!(%address, seconds, "an address has failed {FAILURES_MAX} handshakes in a minute: it is turned away until that is over");
        }
    }
}

impl Failures {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= WINDOW
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spend(budget: &FailureBudget, address: &str, now: Instant) {
        for _ in 0..FAILURES_MAX {
            budget.charge(address.parse().expect(address), now);
        }
    }

    #[test]
    fn an_address_is_turned_away_for_a_while_and_others_are_not() {
        let (budget, now) = (FailureBudget::default(), Instant::now());
        spend(&budget, "192.0.2.1", now);
        let allowed = |address: &str, now| budget.allows(address.parse().expect(address), now);
        assert!(!allowed("192.0.2.1", now));
        assert!(!allowed("::ffff:192.0.2.1", now), "the same address in its other form");
        assert!(allowed("192.0.2.2", now));
        assert!(allowed("192.0.2.1", now + WINDOW));
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_and_loopback_not_at_all() {
        let (budget, now) = (FailureBudget::default(), Instant::now());
        spend(&budget, "2001:db8::1", now);
        spend(&budget, "127.0.0.1", now);
        let allowed = |address: &str| budget.allows(address.parse().expect(address), now);
        assert!(!allowed("2001:db8::ffff"));
        assert!(allowed("2001:db8:0:1::1"));
        assert!(allowed("127.0.0.1"));
    }

    #[test]
    fn memory_is_bounded_however_many_addresses_fail() {
        let (budget, now) = (FailureBudget::default(), Instant::now());
        for n in 0..2 * ADDRESSES_MAX as u32 {
            budget.charge(IpAddr::from((0x0A00_0000 + n).to_be_bytes()), now);
        }
        assert!(budget.failures.lock().expect("lock").len() <= ADDRESSES_MAX);
    }
}
