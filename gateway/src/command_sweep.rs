//! What becomes of commands by themselves: those past their time are dead-lettered, and those whose
//! reader let its lock end are to be had again. The store knows when; here is who wakes it.

use std::sync::Arc;
use std::time::Duration;

use model::{Clock, Timestamp};
use twins::StoreError;

use crate::hub::Hub;

/// How long a store that failed is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Sweeps whenever something is due, until the hub stops.
pub(crate) async fn run(hub: Arc<Hub>) {
    let mut deadline = hub.twins.command_deadline();
    loop {
        let next = *deadline.borrow_and_update();
        tokio::select! {
            changed = deadline.changed() => if changed.is_err() { return },
            () = reached(&hub.clock, next) => match hub.twins.sweep_commands().await {
                Ok(swept) => swept.available.iter().for_each(|identity| hub.presence.commands_wait(identity)),
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::warn!(%error, "commands past their time stay where they are for now");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            () = hub.drain.begun() => return,
        }
    }
}

async fn reached(clock: &Clock, moment: Option<Timestamp>) {
    match moment {
        Some(moment) => tokio::time::sleep(moment.saturating_since(clock.now())).await,
        None => std::future::pending().await,
    }
}
