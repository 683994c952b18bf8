//! A scripted Kafka client: one request, one answer.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::{
    GroupId, OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, RequestHeader, ResponseHeader,
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificates::client_tls;
use super::deadline::{SOON, within};
use super::hub::HubProcess;

/// The event hub of telemetry.
const TOPIC: StrBytes = StrBytes::from_static_str("events");
const GROUP: StrBytes = StrBytes::from_static_str("readers");

/// One connection, logged in with the operator's connection string.
pub(crate) struct KafkaClient {
    stream: TlsStream<TcpStream>,
    correlation: i32,
}

impl KafkaClient {
    /// Connects and logs in; `None` when the hub went away.
    pub(crate) async fn connected(hub: &HubProcess) -> Option<Self> {
        let tls = client_tls(&hub.server_ca_pem(), None);
        let dialing = async {
            let socket = TcpStream::connect(hub.ports().kafka).await.ok()?;
            let name = ServerName::try_from("localhost").expect("a name");
            TlsConnector::from(Arc::clone(&tls)).connect(name, socket).await.ok()
        };
        let mut client = Self { stream: within("a TLS handshake", SOON, dialing).await?, correlation: 0 };
        let mechanism = StrBytes::from_static_str("PLAIN");
        let answer: SaslHandshakeResponse = client.ask(&SaslHandshakeRequest::default().with_mechanism(mechanism), 1).await?;
        assert_eq!(answer.error_code, 0);
        let string = std::fs::read_to_string(hub.data_dir().join("operator/connection-string")).expect("the connection string");
        let login = Bytes::from(format!("\0$ConnectionString\0{}", string.trim()));
        let answer: SaslAuthenticateResponse = client.ask(&SaslAuthenticateRequest::default().with_auth_bytes(login), 1).await?;
        assert_eq!(answer.error_code, 0, "{answer:?}");
        Some(client)
    }

    /// Commits where a group without members stands in partition 0; `None` when the hub went away
    /// or cannot store it.
    pub(crate) async fn commit(&mut self, offset: i64) -> Option<()> {
        let partition = OffsetCommitRequestPartition::default().with_partition_index(0).with_committed_offset(offset);
        let topic = OffsetCommitRequestTopic::default().with_name(TopicName(TOPIC)).with_partitions(vec![partition]);
        let request =
            OffsetCommitRequest::default().with_group_id(GroupId(GROUP)).with_generation_id_or_member_epoch(-1).with_topics(vec![topic]);
        let answer: OffsetCommitResponse = self.ask(&request, 7).await?;
        (answer.topics.first()?.partitions.first()?.error_code == 0).then_some(())
    }

    /// Where that group stands; -1 if nowhere.
    pub(crate) async fn committed(&mut self) -> Option<i64> {
        let topic = OffsetFetchRequestTopic::default().with_name(TopicName(TOPIC)).with_partition_indexes(vec![0]);
        let request = OffsetFetchRequest::default().with_group_id(GroupId(GROUP)).with_topics(Some(vec![topic]));
        let answer: OffsetFetchResponse = self.ask(&request, 5).await?;
        assert_eq!(answer.error_code, 0, "{answer:?}");
        Some(answer.topics.first()?.partitions.first()?.committed_offset)
    }

    async fn ask<Q, A>(&mut self, request: &Q, version: i16) -> Option<A>
    where
        Q: Request + Encodable + HeaderVersion,
        A: Decodable + HeaderVersion,
    {
        self.correlation += 1;
        let header = RequestHeader::default()
            .with_request_api_key(Q::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(StrBytes::from_static_str("test")));
        let mut frame = BytesMut::new();
        frame.put_u32(0);
        header.encode(&mut frame, Q::header_version(version)).expect("a header");
        request.encode(&mut frame, version).expect("a request");
        let length = u32::try_from(frame.len() - 4).expect("a small request");
        frame[..4].copy_from_slice(&length.to_be_bytes());
        let answered = within("an answer", SOON, async {
            self.stream.write_all(&frame).await.ok()?;
            self.stream.flush().await.ok()?;
            let length = self.stream.read_u32().await.ok()?;
            let mut answer = vec![0; length as usize];
            self.stream.read_exact(&mut answer).await.ok()?;
            Some(Bytes::from(answer))
        });
        let mut answer = answered.await?;
        let header = ResponseHeader::decode(&mut answer, A::header_version(version)).expect("a header");
        assert_eq!(header.correlation_id, self.correlation);
        Some(A::decode(&mut answer, version).expect("an answer"))
    }
}
