//! A client that writes frames itself, over a pipe to a connection of a real hub.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use event_log::{BatchBuilder, Record};
use kafka_proto::wire::Api;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    FetchRequest, FetchResponse, ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader, SaslAuthenticateRequest,
    SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use model::{Secret, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinHandle;

use crate::https::test_hub::{HOST, TestHub, peer};
use crate::kafka::serve;
use crate::listener::Peer;

/// The version of produce and fetch that most tests speak.
pub(super) const VERSION: i16 = 9;

/// A connection and the task that serves it.
pub(super) struct Client {
    stream: DuplexStream,
    pub(super) served: JoinHandle<()>,
    /// How often the connection's task was woken.
    wakes: Arc<AtomicUsize>,
    correlation_id: i32,
}

impl Client {
    /// One that has not authenticated.
    pub(super) fn stranger(hub: &TestHub) -> Self {
        Self::connected(hub, peer())
    }

    /// One of this peer.
    pub(super) fn connected(hub: &TestHub, peer: Peer) -> Self {
        Self::over(hub, peer, 64 * 1024)
    }

    /// One over a pipe that holds so many bytes each way.
    fn over(hub: &TestHub, peer: Peer, pipe: usize) -> Self {
        let (stream, far) = tokio::io::duplex(pipe);
        let wakes = Arc::<AtomicUsize>::default();
        let (mut serving, counter) = (Box::pin(serve(hub.hub.clone(), far, peer)), wakes.clone());
        let served = tokio::spawn(std::future::poll_fn(move |context| {
            counter.fetch_add(1, Ordering::Relaxed);
            serving.as_mut().poll(context)
        }));
        Self { stream, served, wakes, correlation_id: 0 }
    }

    pub(super) fn wakes(&self) -> usize {
        self.wakes.load(Ordering::Relaxed)
    }

    /// Goes away, and waits until the hub has noticed.
    pub(super) async fn hang_up(self) {
        drop(self.stream);
        self.served.await.expect("no panic");
    }

    /// One that came by a policy of the hub.
    pub(super) async fn of(hub: &TestHub, policy: &str) -> Self {
        Self::stranger(hub).admitted(policy).await
    }

    /// One that came by a policy of the hub, over a pipe that holds less than any answer.
    pub(super) async fn narrow(hub: &TestHub, policy: &str) -> Self {
        Self::over(hub, peer(), 16).admitted(policy).await
    }

    async fn admitted(self, policy: &str) -> Self {
        let mut client = self;
        let key = Secret::new(vec![7; 32]).to_base64();
        let password = format!("HostName={HOST};SharedAccessKeyName={policy};SharedAccessKey={key}");
        let answer = client.authenticate("$ConnectionString", &password).await;
        assert_eq!(answer.error_code, 0, "{answer:?}");
        client
    }

    pub(super) async fn authenticate(&mut self, user: &str, password: &str) -> SaslAuthenticateResponse {
        let handshake = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("PLAIN"));
        let answer: SaslHandshakeResponse = self.ask(Api::SaslHandshake, 1, &handshake).await;
        assert_eq!(answer.error_code, 0);
        let message = Bytes::from(format!("\0{user}\0{password}"));
        self.ask(Api::SaslAuthenticate, 2, &SaslAuthenticateRequest::default().with_auth_bytes(message)).await
    }

    pub(super) async fn ask<Q: Encodable + HeaderVersion, A: Decodable + HeaderVersion>(
        &mut self,
        api: Api,
        version: i16,
        request: &Q,
    ) -> A {
        self.send(api.key(), version, request).await;
        self.answer(version).await
    }

    pub(super) async fn send<Q: Encodable + HeaderVersion>(&mut self, key: i16, version: i16, request: &Q) {
        self.correlation_id += 1;
        let mut frame = BytesMut::new();
        let header =
            RequestHeader::default().with_request_api_key(key).with_request_api_version(version).with_correlation_id(self.correlation_id);
        header.encode(&mut frame, Q::header_version(version)).expect("a header");
        request.encode(&mut frame, version).expect("a request");
        self.send_frame(&frame).await;
    }

    pub(super) async fn send_frame(&mut self, frame: &[u8]) {
        let mut bytes = BytesMut::new();
        bytes.put_u32(frame.len() as u32);
        bytes.put_slice(frame);
        self.send_bytes(&bytes).await;
    }

    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the hub reads");
    }

    /// The next answer's correlation id and what follows it.
    pub(super) async fn frame(&mut self) -> (i32, Bytes) {
        let length = self.stream.read_u32().await.expect("an answer");
        let mut frame = vec![0; length as usize];
        self.stream.read_exact(&mut frame).await.expect("a whole answer");
        let mut frame = Bytes::from(frame);
        (frame.get_i32(), frame)
    }

    pub(super) async fn answer<A: Decodable + HeaderVersion>(&mut self, version: i16) -> A {
        let (correlation_id, rest) = self.frame().await;
        let mut whole = BytesMut::new();
        whole.put_i32(correlation_id);
        whole.put_slice(&rest);
        let mut whole = whole.freeze();
        ResponseHeader::decode(&mut whole, A::header_version(version)).expect("a header");
        A::decode(&mut whole, version).expect("an answer of the version asked for")
    }

    /// Reads to the end, which must come without another answer.
    pub(super) async fn ended(mut self) {
        let mut rest = Vec::new();
        // A pipe that broke ended, too.
        let _ = self.stream.read_to_end(&mut rest).await;
        assert_eq!(rest, b"", "nothing but the end");
        self.served.await.expect("no panic");
    }

    /// The code and the offset of one batch sent to `events`.
    pub(super) async fn produce(&mut self, acks: i16, partition: i32, batch: Bytes) -> (i16, i64) {
        self.send(Api::Produce.key(), VERSION, &produce(acks, partition, batch)).await;
        self.produced().await
    }

    pub(super) async fn produced(&mut self) -> (i16, i64) {
        let answer: ProduceResponse = self.answer(VERSION).await;
        let partition = &answer.responses[0].partition_responses[0];
        (partition.error_code, partition.base_offset)
    }

    pub(super) async fn fetch(&mut self, request: &FetchRequest) -> (i16, i64, Bytes) {
        self.send(Api::Fetch.key(), VERSION, request).await;
        self.fetched().await
    }

    pub(super) async fn fetched(&mut self) -> (i16, i64, Bytes) {
        let answer: FetchResponse = self.answer(VERSION).await;
        let partition = answer.responses[0].partitions[0].clone();
        (partition.error_code, partition.high_watermark, partition.records.unwrap_or_default())
    }
}

fn events() -> TopicName {
    StrBytes::from_static_str("events").into()
}

pub(super) fn produce(acks: i16, partition: i32, batch: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
    let topic = TopicProduceData::default().with_name(events()).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_topic_data(vec![topic])
}

/// A fetch of partition 0 of `events`.
pub(super) fn fetch(offset: i64, wait_ms: i32, bytes_max: i32) -> FetchRequest {
    let partition = FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(bytes_max).with_current_leader_epoch(-1);
    let topic = FetchTopic::default().with_topic(events()).with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(bytes_max)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

/// A batch as a producer makes it.
pub(super) fn batch(values: &[&str]) -> Bytes {
    let now = Timestamp::from_milliseconds(1_700_000_000_000);
    let mut builder = BatchBuilder::new(now);
    for value in values {
        builder.push(Record { timestamp: now, key: None, value: Some(value.as_bytes()), headers: &[] });
    }
    builder.finish().as_bytes().clone()
}
