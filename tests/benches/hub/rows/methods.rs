//! Direct methods: from a back end to a device on MQTT and back.

use super::Bench;
use super::contender::{Contender, measure_all, print_all};
use crate::fleet;
use crate::report::headline;
use crate::service_load::{Operation, ServiceLoad};

const DEVICES: usize = 100;

/// Measures and prints for one caller and for many.
pub(super) fn run(bench: &Bench) -> anyhow::Result<()> {
    for callers in [1, 32] {
        headline(&format!("Direct methods: {DEVICES} devices on MQTT, {callers} connections to the service API x 1 call under way"));
        let directory = Bench::directory()?;
        let mut contenders = Vec::new();
        for server in bench.start_hubs(&directory)? {
            let logins = fleet::enrol(&server, DEVICES)?;
            let load = ServiceLoad::connect(&server, &logins, Operation::Method, callers)?;
            contenders.push(Contender::new(server, load));
        }
        measure_all(bench, &mut contenders)?;
        print_all(&contenders, "call");
    }
    Ok(())
}
