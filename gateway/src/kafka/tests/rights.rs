//! Who sees and changes what.

use std::time::Duration;

use certs::judge::{PinnedOperator, TrustSnapshot};
use certs::{PeerChain, issue, thumbprint};
use kafka_proto::wire::Api;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, DeleteGroupsRequest, DeleteGroupsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    DescribeGroupsRequest, DescribeGroupsResponse, GroupId, MetadataRequest, MetadataResponse, OffsetCommitRequest, OffsetCommitResponse,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;
use model::partition::PartitionCount;
use model::{EventHubName, EventHubRights, Identity, Rights};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use twins::NewEventHub;

use super::client::{Client, batch, fetch};
use crate::https::test_hub::{HOST, TestHub, peer};
use crate::listener::Peer;

fn topic(name: &'static str) -> TopicName {
    StrBytes::from_static_str(name).into()
}

fn group(name: &'static str) -> GroupId {
    StrBytes::from_static_str(name).into()
}

async fn create_audit(hub: &TestHub) -> EventHubName {
    let name: EventHubName = "audit".parse().expect("a name");
    hub.hub.event_hubs.create(NewEventHub::new(name.clone(), PartitionCount::ONE)).await.expect("an event hub");
    name
}

fn described(name: &'static str) -> MetadataRequest {
    MetadataRequest::default().with_topics(Some(vec![MetadataRequestTopic::default().with_name(Some(topic(name)))]))
}

#[tokio::test]
async fn an_entity_path_limits_a_connection_to_its_event_hub() {
    let hub = TestHub::open().await;
    create_audit(&hub).await;
    let mut client = Client::stranger(&hub);
    let key = model::Secret::new(vec![7; 32]).to_base64();
    let password = format!("Endpoint=sb://{HOST}/;SharedAccessKeyName=owner;SharedAccessKey={key};EntityPath=audit");
    assert_eq!(client.authenticate("$ConnectionString", &password).await.error_code, 0);
    let all: MetadataResponse = client.ask(Api::Metadata, 12, &MetadataRequest::default().with_topics(None)).await;
    assert_eq!(all.topics.iter().map(|found| found.name.clone()).collect::<Vec<_>>(), [Some(topic("audit"))]);
    for name in ["events", "none"] {
        let one: MetadataResponse = client.ask(Api::Metadata, 12, &described(name)).await;
        assert_eq!((one.topics[0].error_code, one.topics[0].partitions.len()), (29, 0), "{name} may exist or not");
        let resource = DescribeConfigsResource::default().with_resource_type(2).with_resource_name(StrBytes::from_static_str(name));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let settings: DescribeConfigsResponse = client.ask(Api::DescribeConfigs, 4, &request).await;
        assert_eq!(settings.results[0].error_code, 29, "{name}");
    }
    assert_eq!(client.fetch(&fetch(0, 0, 1000)).await.0, 29);
    assert_eq!(client.produce(-1, 0, batch(&["a"])).await, (29, -1));
}

#[tokio::test]
async fn a_group_is_deleted_only_by_who_manages_all_it_has_read() {
    let hub = TestHub::open().await;
    let audit = create_audit(&hub).await;
    let policy = "auditor".parse().expect("a name");
    let policy = hub.hub.event_hubs.create_policy(&audit, policy, EventHubRights::MANAGE).await.expect("a policy");
    let mut auditor = Client::stranger(&hub);
    assert_eq!(auditor.authenticate("auditor", &policy.primary.to_base64()).await.error_code, 0);
    let mut owner = Client::of(&hub, "owner").await;
    for (name, read) in [("both", "events"), ("both", "audit"), ("own", "audit")] {
        let partition = OffsetCommitRequestPartition::default().with_committed_offset(7);
        let read = OffsetCommitRequestTopic::default().with_name(topic(read)).with_partitions(vec![partition]);
        let request =
            OffsetCommitRequest::default().with_group_id(group(name)).with_generation_id_or_member_epoch(-1).with_topics(vec![read]);
        let answer: OffsetCommitResponse = owner.ask(Api::OffsetCommit, 8, &request).await;
        assert_eq!(answer.topics[0].partitions[0].error_code, 0);
    }
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![group("both"), group("own")]);
    let codes = |answer: DeleteGroupsResponse| answer.results.iter().map(|result| result.error_code).collect::<Vec<_>>();
    assert_eq!(codes(auditor.ask(Api::DeleteGroups, 2, &delete).await), [30, 0]);
    assert_eq!(codes(owner.ask(Api::DeleteGroups, 2, &delete).await), [0, 69]);
}

#[tokio::test]
async fn what_is_named_many_times_is_answered_once() {
    let hub = TestHub::open().await;
    let mut client = Client::of(&hub, "service").await;
    let mut many = described("events");
    many.topics = many.topics.map(|topics| vec![topics[0].clone(); 10_000]);
    let topics: MetadataResponse = client.ask(Api::Metadata, 12, &many).await;
    assert_eq!(topics.topics.len(), 1);
    let many = DescribeGroupsRequest::default().with_groups(vec![group("g"); 10_000]);
    let groups: DescribeGroupsResponse = client.ask(Api::DescribeGroups, 5, &many).await;
    assert_eq!(groups.groups.len(), 1);
}

#[tokio::test]
async fn a_pinned_certificate_is_enough_and_may_be_idle() {
    let hub = TestHub::open().await;
    let identity: Identity = "operator".parse().expect("an identity");
    let year = Duration::from_secs(365 * 24 * 3600);
    let pem = issue::self_signed(&identity, hub.clock.now(), year).expect("a certificate").chain_pem;
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
    let thumbprint = thumbprint::sha256(&certificate);
    let pinned = PinnedOperator { name: "ada".to_owned(), thumbprint, rights: Rights::ALL };
    hub.hub.judge.replace(TrustSnapshot { host_names: vec![HOST.to_owned()], operators: vec![pinned], ..TrustSnapshot::default() });
    let chain = PeerChain::new(&[certificate]).expect("a chain");
    tokio::time::pause();
    let mut client = Client::connected(&hub, Peer { chain: Some(chain), ..peer() });
    let versions: ApiVersionsResponse = client.ask(Api::ApiVersions, 3, &ApiVersionsRequest::default()).await;
    assert_eq!(versions.error_code, 0);
    tokio::time::sleep(Duration::from_secs(300)).await;
    let all: MetadataResponse = client.ask(Api::Metadata, 12, &MetadataRequest::default().with_topics(None)).await;
    assert_eq!(all.topics.len(), 1);
    tokio::time::sleep(Duration::from_secs(601)).await;
    client.ended().await;
}
