//! The service API: what operators and applications do with the hub over HTTPS
//! (`iot-hub-wire` §3), and our own additions to it.
//!
//! [`routes()`] is the table of operations with the right each needs. Every file below it holds
//! the operations of one noun and nothing of HTTP but their inputs; `reason` alone turns errors
//! of the domains into codes of the wire.

use axum::Router;
use axum::routing::{MethodRouter, any, delete, get, post, put};
use model::Rights;

mod access;
mod bulk;
mod certificate_authorities;
mod commands;
mod consumer_groups;
mod dead_letters;
mod devices;
mod event_hub_policies;
mod event_hubs;
mod event_send;
mod event_stream;
mod files;
mod if_match;
mod methods;
mod modules;
mod paging;
mod parameters;
mod reason;
mod service_messages;
mod statistics;
mod twins;
mod unbuilt;

#[cfg(test)]
mod tests;

pub(crate) use parameters::Parameters;

use access::{carried_out, needs};

use crate::https::handing_out;

const READ: Rights = Rights::REGISTRY_READ;
const WRITE: Rights = Rights::REGISTRY_WRITE;
const SERVICE: Rights = Rights::SERVICE_CONNECT;

/// Every operation, under paths whose fixed segments stand in lower case.
pub(crate) fn routes() -> Router {
    registry()
        .merge(twins_and_methods())
        .merge(event_hubs())
        .merge(files())
        .merge(service_messages())
        .merge(certificate_authorities())
        .merge(unbuilt())
}

fn registry() -> Router {
    Router::new()
        .route("/devices", needs(READ, get(devices::list)).merge(needs(WRITE, carried_out(post(bulk::run)))))
        .route("/devices/{device}", device())
        // A device may be called `query`; only its POST is another operation.
        .route("/devices/query", device().post(unbuilt::query))
        .route("/devices/{device}/modules", needs(READ, get(modules::list)))
        .route(
            "/devices/{device}/modules/{module}",
            needs(READ, get(modules::show)).merge(needs(WRITE, carried_out(put(modules::put).delete(modules::delete)))),
        )
        .route("/devices/{device}/commands", commands())
        .route("/devices/{device}/modules/{module}/commands", commands())
        .merge(dead_letters("/devices/{device}/commands/deadletters"))
        .merge(dead_letters("/devices/{device}/modules/{module}/commands/deadletters"))
        .route("/statistics/devices", needs(READ, get(statistics::devices)))
        .route("/statistics/service", needs(SERVICE, get(statistics::service)))
}

fn device() -> MethodRouter {
    needs(READ, get(devices::show)).merge(needs(WRITE, carried_out(put(devices::put).delete(devices::delete))))
}

fn commands() -> MethodRouter {
    needs(SERVICE, get(commands::list).merge(carried_out(post(commands::send).delete(commands::purge))))
}

/// Ours.
fn dead_letters(path: &str) -> Router {
    let redrive = || needs(SERVICE, carried_out(post(dead_letters::redrive)));
    Router::new()
        .route(path, needs(SERVICE, get(dead_letters::list).merge(carried_out(delete(dead_letters::delete)))))
        .route(&format!("{path}/redrive"), redrive())
        .route(&format!("{path}/{{sequence}}"), needs(SERVICE, carried_out(delete(dead_letters::delete))))
        .route(&format!("{path}/{{sequence}}/redrive"), redrive())
}

fn twins_and_methods() -> Router {
    let twin = || needs(SERVICE, get(twins::show).merge(carried_out(put(twins::replace).patch(twins::patch))));
    let methods = || needs(SERVICE, post(methods::invoke));
    Router::new()
        .route("/twins/{device}", twin())
        .route("/twins/{device}/modules/{module}", twin())
        .route("/twins/{device}/methods", methods())
        .route("/twins/{device}/modules/{module}/methods", methods())
}

/// Ours.
fn event_hubs() -> Router {
    use event_hub_policies as policies;
    Router::new()
        .route("/eventhubs", needs(SERVICE, get(event_hubs::list)))
        .route(
            "/eventhubs/{name}",
            needs(SERVICE, get(event_hubs::show))
                .merge(needs(WRITE, put(event_hubs::create).patch(event_hubs::update).delete(event_hubs::delete))),
        )
        .route("/eventhubgroups", needs(SERVICE, get(consumer_groups::list)))
        .route("/eventhubs/{name}/groups", needs(SERVICE, get(consumer_groups::of_event_hub)))
        .route("/eventhubs/{name}/partitions", needs(SERVICE, get(event_hubs::partitions)))
        // Their keys are shown, so to see them is to be able to do what they allow.
        .route("/eventhubs/{name}/policies", needs(WRITE, get(policies::list)))
        .route("/eventhubs/{name}/policies/{policy}", needs(WRITE, get(policies::show).put(policies::create).delete(policies::delete)))
        // To send as if from anywhere takes what a policy of the hub itself needs for it.
        .route(
            "/eventhubs/{name}/events",
            needs(SERVICE, get(event_stream::follow)).merge(needs(Rights::ALL, carried_out(post(event_send::send)))),
        )
}

/// Ours.
fn files() -> Router {
    Router::new()
        .route("/files", needs(SERVICE, get(files::list)))
        .route("/files/{container}/{*name}", needs(SERVICE, get(files::read).post(files::link).merge(carried_out(delete(files::delete)))))
}

/// What the service is told.
fn service_messages() -> Router {
    let complete = || carried_out(delete(service_messages::complete));
    let queue = |path: &str, receive: MethodRouter| {
        Router::new()
            // A lock that is missing is refused as a wrong one is.
            .route(path, needs(SERVICE, receive.merge(complete())))
            .route(&format!("{path}/{{lock}}"), needs(SERVICE, complete()))
            .route(&format!("{path}/{{lock}}/abandon"), needs(SERVICE, carried_out(post(service_messages::abandon))))
    };
    queue("/messages/servicebound/feedback", handing_out(service_messages::receive_feedback))
        .merge(queue("/messages/servicebound/filenotifications", handing_out(service_messages::receive_file_notification)))
}

/// Ours.
fn certificate_authorities() -> Router {
    use certificate_authorities as cas;
    Router::new()
        .route("/certificateauthorities", needs(READ, get(cas::list)).merge(needs(WRITE, carried_out(post(cas::add)))))
        .route("/certificateauthorities/{thumbprint}", needs(READ, get(cas::show)).merge(needs(WRITE, carried_out(delete(cas::delete)))))
        .route("/certificateauthorities/{thumbprint}/state", needs(WRITE, carried_out(put(cas::set_state))))
}

/// Documented operations that this version does not have: said so, whoever asks.
fn unbuilt() -> Router {
    Router::new()
        .route("/devices/{device}/applyconfigurationcontent", post(unbuilt::configurations))
        .route("/jobs", any(unbuilt::jobs))
        .route("/jobs/{*rest}", any(unbuilt::jobs))
        .route("/configurations", any(unbuilt::configurations))
        .route("/configurations/{*rest}", any(unbuilt::configurations))
        .route("/digitaltwins/{*rest}", any(unbuilt::digital_twins))
}
