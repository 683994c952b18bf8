//! InitProducerId: an id for a producer that wants its events stored once.

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};
use model::EventHubRights;

use super::reason;
use crate::kafka::reason::NONE;
use crate::kafka::session::Session;

/// No id, no epoch.
const NONE_GIVEN: i64 = -1;
const NO_EPOCH: i16 = -1;

/// A new id at every call, epoch 0. There are no transactions.
pub(in crate::kafka) async fn init_producer_id(session: &Session, request: &InitProducerIdRequest) -> InitProducerIdResponse {
    let refused = |code| {
        let response = InitProducerIdResponse::default().with_error_code(code);
        response.with_producer_id(ProducerId(NONE_GIVEN)).with_producer_epoch(NO_EPOCH)
    };
    if !session.may(EventHubRights::SEND) {
        return refused(reason::CLUSTER_AUTHORIZATION_FAILED);
    }
    if request.transactional_id.is_some() {
        return refused(reason::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    }
    match session.hub.groups.next_producer_id().await {
        Ok(id) => InitProducerIdResponse::default().with_error_code(NONE).with_producer_id(ProducerId(id)).with_producer_epoch(0),
        Err(error) => {
            tracing::warn!(%error, "no producer id could be given");
            refused(reason::store(&error))
        }
    }
}
