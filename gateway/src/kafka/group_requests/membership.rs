//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup.

use std::time::Duration;

use kafka_proto::group::{Caller, JoinRefused, JoinRequest, Joined, JoinedMember, Leaver, MemberId, Protocol, SyncRequest};
use kafka_proto::wire::RequestHeader;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest,
    SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;
use model::EventHubRights;

use super::{named, reason, shared, text};
use crate::kafka::budget::Held;
use crate::kafka::reason::NONE;
use crate::kafka::session::Session;

/// What a member that is in none is told.
const NO_GENERATION: i32 = -1;

/// Waits for the group's next generation; nothing of the request is kept meanwhile.
pub(in crate::kafka) async fn join(
    session: &Session,
    header: &RequestHeader,
    request: JoinGroupRequest,
    held: &mut Held,
) -> JoinGroupResponse {
    let group = match named(session, &request.group_id, EventHubRights::LISTEN) {
        Ok(group) => group,
        Err(code) => return refused(header, request.member_id, code),
    };
    let joining = session.hub.groups.join(&group, translated(session, header, &request));
    drop(request);
    held.shrink(0);
    match joining.await {
        Ok(joined) => answered(header, joined),
        Err(JoinRefused { member_id, error }) => refused(header, text(member_id.as_str()), reason::group(error)),
    }
}

fn translated(session: &Session, header: &RequestHeader, request: &JoinGroupRequest) -> JoinRequest {
    let rebalance = if header.version == 0 { request.session_timeout_ms } else { request.rebalance_timeout_ms };
    let protocol = |protocol: &JoinGroupRequestProtocol| Protocol { name: shared(&protocol.name), metadata: protocol.metadata.clone() };
    JoinRequest {
        member_id: MemberId::new(&request.member_id),
        instance_id: request.group_instance_id.as_ref().map(shared),
        client_id: header.client_id.as_deref().unwrap_or_default().into(),
        client_host: session.peer.ip().to_string().into(),
        session_timeout: milliseconds(request.session_timeout_ms),
        rebalance_timeout: milliseconds(rebalance),
        protocol_type: shared(&request.protocol_type),
        protocols: request.protocols.iter().map(protocol).collect(),
        knows_member_id_required: header.version >= 4,
        can_skip_assignment: header.version >= 9,
        unique: format!("{:032x}", rand::random::<u128>()),
    }
}

fn milliseconds(count: i32) -> Duration {
    Duration::from_millis(u64::try_from(count).unwrap_or(0))
}

fn answered(header: &RequestHeader, joined: Joined) -> JoinGroupResponse {
    let member = |member: &JoinedMember| {
        let response =
            JoinGroupResponseMember::default().with_member_id(text(member.member_id.as_str())).with_metadata(member.metadata.clone());
        let instance_id = member.instance_id.as_deref().filter(|_| header.version >= 5);
        response.with_group_instance_id(instance_id.map(text))
    };
    let response = JoinGroupResponse::default()
        .with_error_code(NONE)
        .with_generation_id(joined.generation)
        .with_protocol_name(Some(text(&joined.protocol)))
        .with_leader(text(joined.leader.as_str()))
        .with_member_id(text(joined.member_id.as_str()))
        .with_skip_assignment(joined.skip_assignment)
        .with_members(joined.members.iter().map(member).collect());
    if header.version >= 7 { response.with_protocol_type(Some(text(&joined.protocol_type))) } else { response }
}

fn refused(header: &RequestHeader, member_id: StrBytes, code: i16) -> JoinGroupResponse {
    // Before version 7 there is no way to name no protocol.
    let protocol = (header.version < 7).then(StrBytes::default);
    JoinGroupResponse::default()
        .with_error_code(code)
        .with_generation_id(NO_GENERATION)
        .with_protocol_name(protocol)
        .with_member_id(member_id)
}

/// Waits for the leader's assignment; nothing of the request is kept meanwhile.
pub(in crate::kafka) async fn sync(
    session: &Session,
    header: &RequestHeader,
    request: SyncGroupRequest,
    held: &mut Held,
) -> SyncGroupResponse {
    let refused = |code| SyncGroupResponse::default().with_error_code(code);
    let group = match named(session, &request.group_id, EventHubRights::LISTEN) {
        Ok(group) => group,
        Err(code) => return refused(code),
    };
    let assignments = request.assignments.iter().map(|part| (MemberId::new(&part.member_id), part.assignment.clone()));
    let sync = SyncRequest {
        caller: Caller {
            member_id: &request.member_id,
            instance_id: request.group_instance_id.as_deref(),
            generation: request.generation_id,
        },
        protocol_type: request.protocol_type.as_deref(),
        protocol: request.protocol_name.as_deref(),
        assignments: assignments.collect(),
    };
    let syncing = session.hub.groups.sync(&group, sync);
    drop(request);
    held.shrink(0);
    match syncing.await {
        Ok(synced) => {
            let response = SyncGroupResponse::default().with_error_code(NONE).with_assignment(synced.assignment);
            if header.version < 5 {
                return response;
            }
            response.with_protocol_type(Some(text(&synced.protocol_type))).with_protocol_name(Some(text(&synced.protocol)))
        }
        Err(error) => refused(reason::group(error)),
    }
}

pub(in crate::kafka) fn heartbeat(session: &Session, request: &HeartbeatRequest) -> HeartbeatResponse {
    let caller =
        Caller { member_id: &request.member_id, instance_id: request.group_instance_id.as_deref(), generation: request.generation_id };
    let beaten = named(session, &request.group_id, EventHubRights::LISTEN)
        .and_then(|group| session.hub.groups.heartbeat(&group, &caller).map_err(reason::group));
    HeartbeatResponse::default().with_error_code(beaten.err().unwrap_or(NONE))
}

/// One member before version 3, then several.
pub(in crate::kafka) fn leave(session: &Session, header: &RequestHeader, request: &LeaveGroupRequest) -> LeaveGroupResponse {
    let refused = |code| LeaveGroupResponse::default().with_error_code(code);
    let group = match named(session, &request.group_id, EventHubRights::LISTEN) {
        Ok(group) => group,
        Err(code) => return refused(code),
    };
    let leavers: Vec<_> = if header.version < 3 {
        vec![Leaver { member_id: &request.member_id, instance_id: None }]
    } else {
        request.members.iter().map(leaver).collect()
    };
    let left = match session.hub.groups.leave(&group, &leavers) {
        Ok(left) => left,
        Err(error) => return refused(reason::group(error)),
    };
    let mut codes = left.into_iter().map(|outcome| outcome.err().map_or(NONE, reason::group));
    if header.version < 3 {
        return refused(codes.next().unwrap_or(NONE));
    }
    let member = |(member, code): (&MemberIdentity, i16)| {
        MemberResponse::default()
            .with_member_id(member.member_id.clone())
            .with_group_instance_id(member.group_instance_id.clone())
            .with_error_code(code)
    };
    LeaveGroupResponse::default().with_members(request.members.iter().zip(codes).map(member).collect())
}

fn leaver(member: &MemberIdentity) -> Leaver<'_> {
    Leaver { member_id: &member.member_id, instance_id: member.group_instance_id.as_deref() }
}
