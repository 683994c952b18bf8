//! DescribeGroups, ListGroups, DeleteGroups, OffsetDelete.

use std::collections::HashSet;

use kafka_proto::group::{GroupId, GroupState, GroupView, MemberView};
use kafka_proto::wire::RequestHeader;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, GroupId as GroupName, ListGroupsRequest,
    ListGroupsResponse, OffsetDeleteRequest, OffsetDeleteResponse,
};
use model::{EventHubId, EventHubRights, PartitionId};

use super::{named, reason, text};
use crate::kafka::metadata::operations;
use crate::kafka::reason::{NONE, TopicRefused};
use crate::kafka::session::Session;

/// Operations on a group: read, delete, describe.
const GROUP_OPERATIONS: &[(EventHubRights, i32)] = &[(EventHubRights::LISTEN, 3), (EventHubRights::MANAGE, 6), (EventHubRights::LISTEN, 8)];
/// What stands for operations that were not asked for.
const NOT_ASKED: i32 = i32::MIN;

/// A group that is not known is shown as dead, without an error.
pub(in crate::kafka) fn describe_groups(
    session: &Session,
    header: &RequestHeader,
    request: &DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let asks_for_operations = header.version >= 3 && request.include_authorized_operations;
    let describe = |name: &GroupName| {
        let group = DescribedGroup::default().with_group_id(name.clone()).with_authorized_operations(NOT_ASKED);
        let id = match named(session, name, EventHubRights::LISTEN) {
            Ok(id) => id,
            Err(code) => return group.with_error_code(code),
        };
        let group =
            if asks_for_operations { group.with_authorized_operations(operations(session.grant.rights, GROUP_OPERATIONS)) } else { group };
        match session.hub.groups.describe(&id) {
            Some(view) => described(header, group, &view),
            None => group.with_group_state(text(GroupState::Dead.name())),
        }
    };
    // Each once, however often it is named: a few bytes ask for all its members.
    let mut seen = HashSet::new();
    let groups = request.groups.iter().filter(|name| seen.insert(*name));
    DescribeGroupsResponse::default().with_groups(groups.map(describe).collect())
}

fn described(header: &RequestHeader, group: DescribedGroup, view: &GroupView) -> DescribedGroup {
    let member = |member: &MemberView| {
        let instance_id = member.instance_id.as_deref().filter(|_| header.version >= 4);
        DescribedGroupMember::default()
            .with_member_id(text(member.member_id.as_str()))
            .with_group_instance_id(instance_id.map(text))
            .with_client_id(text(&member.client_id))
            .with_client_host(text(&member.client_host))
            .with_member_metadata(member.metadata.clone())
            .with_member_assignment(member.assignment.clone())
    };
    group
        .with_group_state(text(view.state.name()))
        .with_protocol_type(text(view.protocol_type.as_deref().unwrap_or_default()))
        .with_protocol_data(text(view.protocol.as_deref().unwrap_or_default()))
        .with_members(view.members.iter().map(member).collect())
}

pub(in crate::kafka) fn list_groups(session: &Session, header: &RequestHeader, request: &ListGroupsRequest) -> ListGroupsResponse {
    if !session.may(EventHubRights::LISTEN) {
        return ListGroupsResponse::default().with_error_code(reason::GROUP_AUTHORIZATION_FAILED);
    }
    let wanted = &request.states_filter;
    let is_wanted = |state: GroupState| wanted.is_empty() || wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(state.name()));
    let overview = session.hub.groups.overview();
    let groups = overview.iter().filter(|(_, view)| is_wanted(view.state)).map(|(id, view)| {
        let group = ListedGroup::default()
            .with_group_id(GroupName(text(id.as_str())))
            .with_protocol_type(text(view.protocol_type.as_deref().unwrap_or_default()));
        if header.version >= 4 { group.with_group_state(text(view.state.name())) } else { group }
    });
    ListGroupsResponse::default().with_groups(groups.collect())
}

pub(in crate::kafka) async fn delete_groups(session: &Session, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let mut results = Vec::new();
    for name in request.groups_names {
        let deleted = match deletable(session, &name) {
            Ok(id) => session.hub.groups.delete(&id).await.map_err(|error| reason::commit(&error)),
            Err(code) => Err(code),
        };
        results.push(DeletableGroupResult::default().with_group_id(name).with_error_code(deleted.err().unwrap_or(NONE)));
    }
    DeleteGroupsResponse::default().with_results(results)
}

/// The group of this name. Its offsets go with it, so the peer must have the right to manage all
/// event hubs that they are of.
fn deletable(session: &Session, name: &GroupName) -> Result<GroupId, i16> {
    let id = named(session, name, EventHubRights::MANAGE)?;
    let hubs = session.hub.event_hubs.list();
    let others = hubs.iter().filter(|hub| !session.grant.allows(hub.name.as_str(), EventHubRights::MANAGE));
    let others: HashSet<EventHubId> = others.map(|hub| hub.id).collect();
    if !others.is_empty() && session.hub.groups.offsets(&id).iter().any(|(key, _)| others.contains(&key.hub)) {
        return Err(reason::GROUP_AUTHORIZATION_FAILED);
    }
    Ok(id)
}

/// Deletes offsets of a group without members.
pub(in crate::kafka) async fn delete_offsets(session: &Session, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let group = match named(session, &request.group_id, EventHubRights::MANAGE) {
        Ok(group) => group,
        Err(code) => return OffsetDeleteResponse::default().with_error_code(code),
    };
    let (mut places, mut topics) = (Vec::new(), Vec::new());
    for topic in request.topics {
        let hub = session.topic(&topic.name, EventHubRights::LISTEN).map_err(TopicRefused::code);
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            let place = hub.as_deref().map_err(|code| *code).and_then(|hub| {
                let known = u32::try_from(index).ok().filter(|index| *index < hub.partitions.get());
                Ok((hub.id, PartitionId(known.ok_or(reason::UNKNOWN_TOPIC_OR_PARTITION)?)))
            });
            places.extend(place.ok());
            OffsetDeleteResponsePartition::default().with_partition_index(index).with_error_code(place.err().unwrap_or(NONE))
        });
        let partitions = partitions.collect();
        topics.push(OffsetDeleteResponseTopic::default().with_name(topic.name).with_partitions(partitions));
    }
    match session.hub.groups.delete_offsets(&group, places).await {
        Ok(()) => OffsetDeleteResponse::default().with_topics(topics),
        Err(error) => OffsetDeleteResponse::default().with_error_code(reason::commit(&error)),
    }
}
