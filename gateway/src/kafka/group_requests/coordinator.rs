//! FindCoordinator: this hub, for every group.

use kafka_proto::wire::RequestHeader;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;
use model::EventHubRights;

use super::{named, reason, text};
use crate::kafka::metadata::NODE;
use crate::kafka::reason::NONE;
use crate::kafka::session::Session;

/// The key names a group.
const GROUP: i8 = 0;
/// No broker.
const NOWHERE: BrokerId = BrokerId(-1);
const NO_TRANSACTIONS: StrBytes = StrBytes::from_static_str("the hub has no transactions");

/// Version 4 asks for several keys at once, those before for one.
pub(in crate::kafka) fn find_coordinator(
    session: &Session,
    header: &RequestHeader,
    request: &FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    if header.version >= 4 {
        let coordinators = request.coordinator_keys.iter().map(|key| found(session, request.key_type, key)).collect();
        return FindCoordinatorResponse::default().with_coordinators(coordinators);
    }
    let found = found(session, request.key_type, &request.key);
    let response = FindCoordinatorResponse::default()
        .with_error_code(found.error_code)
        .with_node_id(found.node_id)
        .with_host(found.host)
        .with_port(found.port);
    if header.version >= 1 { response.with_error_message(found.error_message) } else { response }
}

fn found(session: &Session, key_type: i8, key: &StrBytes) -> Coordinator {
    let nowhere = |code| Coordinator::default().with_key(key.clone()).with_node_id(NOWHERE).with_port(-1).with_error_code(code);
    if key_type != GROUP {
        // Clients ask again for ever on any code but one that forbids.
        return nowhere(reason::TRANSACTIONAL_ID_AUTHORIZATION_FAILED).with_error_message(Some(NO_TRANSACTIONS));
    }
    match named(session, key, EventHubRights::LISTEN) {
        Ok(_) => Coordinator::default()
            .with_key(key.clone())
            .with_node_id(NODE)
            .with_host(text(&session.advertised.host))
            .with_port(session.advertised.port.into())
            .with_error_code(NONE),
        Err(code) => nowhere(code),
    }
}
