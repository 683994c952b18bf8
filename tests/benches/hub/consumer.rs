//! A Kafka consumer in few lines: TLS, SASL PLAIN with the operator's connection string, Fetch.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, ensure};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use hubctl::DataDirectory;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{
    FetchRequest, FetchResponse, RequestHeader, ResponseHeader, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
    SaslHandshakeResponse, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use rustls::{ClientConfig, Stream};

use crate::client::Client;
use crate::server::{Server, listener};

/// The event hub that telemetry goes to.
const TOPIC: &str = "events";
/// The newest version whose topics have names.
const FETCH_VERSION: i16 = 12;
/// No answer of the hub is larger.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Where a record batch says how much follows its length, and how many records it holds.
const BATCH_PREFIX_BYTES: usize = 12;
const BATCH_COUNT_AT: usize = 57;

/// A consumer of some partitions of `events`.
pub(crate) struct Consumer {
    client: Client,
    correlation: i32,
    /// The next offset of each partition that is read.
    positions: BTreeMap<i32, i64>,
}

/// How much to ask for, and how long to wait for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Appetite {
    pub(crate) wait_ms: i32,
    pub(crate) bytes_min: i32,
    pub(crate) bytes_max: i32,
}

/// What one fetch brought.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fetched {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

/// Trusts the hub, and shows no certificate.
///
/// # Errors
/// When the hub's CA cannot be read.
pub(crate) fn trust(server: &Server) -> anyhow::Result<Arc<ClientConfig>> {
    Ok(Arc::new(certs::tls::client_config(&server.server_ca, None)?))
}

impl Consumer {
    /// Connects and logs in, to read `partitions` from their beginnings.
    ///
    /// # Errors
    /// When the hub refuses.
    pub(crate) fn connect(server: &Server, tls: &Arc<ClientConfig>, partitions: impl Iterator<Item = i32>) -> anyhow::Result<Self> {
        let data = DataDirectory::new(&server.directory);
        let address: SocketAddr = listener(&data, "kafka")?;
        let client = Client::secure(address, tls)?;
        let mut consumer = Self { client, correlation: 0, positions: partitions.map(|partition| (partition, 0)).collect() };
        let string = fs::read_to_string(data.path().join("operator/connection-string"))?;
        let mechanism = StrBytes::from_static_str("PLAIN");
        let answer: SaslHandshakeResponse = consumer.ask(&SaslHandshakeRequest::default().with_mechanism(mechanism), 1)?;
        ensure!(answer.error_code == 0, "the handshake is refused: {answer:?}");
        let login = format!("\0$ConnectionString\0{}", string.trim());
        let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(login));
        let answer: SaslAuthenticateResponse = consumer.ask(&request, 1)?;
        ensure!(answer.error_code == 0, "the login is refused: {answer:?}");
        Ok(consumer)
    }

    /// Goes to the end of every partition, waiting for nothing.
    ///
    /// # Errors
    /// As [`Consumer::fetch`].
    pub(crate) fn catch_up(&mut self) -> anyhow::Result<Fetched> {
        let mut all = Fetched::default();
        loop {
            let fetched = self.fetch(Appetite { wait_ms: 0, bytes_min: 0, bytes_max: 8 * 1024 * 1024 })?;
            all.records += fetched.records;
            all.bytes += fetched.bytes;
            if fetched.records == 0 {
                return Ok(all);
            }
        }
    }

    /// Fetches once from all partitions.
    ///
    /// # Errors
    /// When the hub answers with an error, or not at all.
    pub(crate) fn fetch(&mut self, appetite: Appetite) -> anyhow::Result<Fetched> {
        self.send_fetch(appetite)?;
        self.receive_fetch()
    }

    /// Reads the answer to a fetch that was sent.
    ///
    /// # Errors
    /// As [`Consumer::fetch`].
    pub(crate) fn receive_fetch(&mut self) -> anyhow::Result<Fetched> {
        let answer: FetchResponse = self.receive(FETCH_VERSION)?;
        ensure!(answer.error_code == 0, "the fetch is refused: {answer:?}");
        let mut fetched = Fetched::default();
        for partition in answer.responses.iter().flat_map(|topic| &topic.partitions) {
            ensure!(partition.error_code == 0, "partition {}: error {}", partition.partition_index, partition.error_code);
            let records = partition.records.clone().unwrap_or_default();
            fetched.bytes += records.len() as u64;
            let position = self.positions.get_mut(&partition.partition_index).context("a partition nobody asked for")?;
            fetched.records += pass_batches(records, position)?;
        }
        Ok(fetched)
    }

    /// Asks without reading the answer.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(crate) fn send_fetch(&mut self, appetite: Appetite) -> anyhow::Result<()> {
        let partition = |(partition, offset): (&i32, &i64)| {
            let wanted = FetchPartition::default().with_partition(*partition).with_fetch_offset(*offset);
            wanted.with_partition_max_bytes(appetite.bytes_max)
        };
        let topic = FetchTopic::default()
            .with_topic(TopicName(StrBytes::from_static_str(TOPIC)))
            .with_partitions(self.positions.iter().map(partition).collect());
        let request = FetchRequest::default()
            .with_max_wait_ms(appetite.wait_ms)
            .with_min_bytes(appetite.bytes_min)
            .with_max_bytes(appetite.bytes_max)
            .with_topics(vec![topic]);
        self.send(&request, FETCH_VERSION)
    }

    fn ask<Q, A>(&mut self, request: &Q, version: i16) -> anyhow::Result<A>
    where
        Q: Request + Encodable + HeaderVersion,
        A: Decodable + HeaderVersion,
    {
        self.send(request, version)?;
        self.receive(version)
    }

    fn send<Q: Request + Encodable + HeaderVersion>(&mut self, request: &Q, version: i16) -> anyhow::Result<()> {
        self.correlation += 1;
        let header = RequestHeader::default()
            .with_request_api_key(Q::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(StrBytes::from_static_str("bench")));
        let mut body = BytesMut::new();
        header.encode(&mut body, Q::header_version(version))?;
        request.encode(&mut body, version)?;
        let mut frame = BytesMut::with_capacity(4 + body.len());
        frame.put_u32(u32::try_from(body.len())?);
        frame.put(body);
        Ok(Stream::new(&mut self.client.tls, &mut self.client.socket).write_all(&frame)?)
    }

    fn receive<A: Decodable + HeaderVersion>(&mut self, version: i16) -> anyhow::Result<A> {
        let mut stream = Stream::new(&mut self.client.tls, &mut self.client.socket);
        let mut length = [0; 4];
        stream.read_exact(&mut length).context("no answer")?;
        let length = usize::try_from(u32::from_be_bytes(length))?;
        ensure!(length <= ANSWER_BYTES_MAX, "an answer of {length} bytes");
        let mut frame = vec![0; length];
        stream.read_exact(&mut frame)?;
        let mut frame = Bytes::from(frame);
        let header = ResponseHeader::decode(&mut frame, A::header_version(version))?;
        ensure!(header.correlation_id == self.correlation, "the answer to another request");
        A::decode(&mut frame, version)
    }
}

/// Moves `position` behind the batches; how many of their records lie at it or behind.
fn pass_batches(mut batches: Bytes, position: &mut i64) -> anyhow::Result<u64> {
    let mut records = 0;
    while batches.len() > BATCH_COUNT_AT + 4 {
        let base = batches.get(..8).context("a base offset")?.get_i64();
        let length = batches.get(8..12).context("a length")?.get_u32() as usize + BATCH_PREFIX_BYTES;
        let count = batches.get(BATCH_COUNT_AT..).context("a count")?.get_u32();
        ensure!(batches.len() >= length, "a batch that ends early");
        batches.advance(length);
        let end = base + i64::from(count);
        records += u64::try_from(end - base.max(*position)).unwrap_or_default();
        *position = end.max(*position);
    }
    Ok(records)
}
