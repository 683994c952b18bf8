//! What back ends ask of devices: commands and direct methods, asked for on keep-alive connections
//! to the service API and answered by devices on MQTT, all of them served by one thread.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::BytesMut;
use model::connection_string::ConnectionString;
use model::{Clock, Secret};
use mqtt_proto::Version;
use mqtt_proto::wire::{self, DecodeLimits, Packet, Publish, Sender};

use crate::client::{Client, Login, PAYLOAD_BYTES, acknowledgement_packet, connect_all, message_packet};
use crate::http1;
use crate::links::Links;
use crate::server::Server;
use crate::workload::{Tally, Workload};

/// How long a caller may speak for the operator.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);
/// In the payload of a command, the number of the caller that waits for it.
const CALLER_DIGITS: usize = 4;

/// What is asked of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A command of 256 B: done when its sender has the answer and the device the command. Its
    /// latency is that from the request to the delivery.
    Command,
    /// A direct method with a payload of 256 B: done when the caller has the device's answer.
    Method,
}

/// Callers with one request under way each, and the devices they ask in turn.
pub(crate) struct ServiceLoad {
    operation: Operation,
    /// Those of callers, then those of devices.
    links: Links,
    callers: Vec<Caller>,
    devices: Vec<String>,
    /// Who is asked next.
    next: usize,
    token: String,
    heard: Vec<usize>,
    /// Callers that have what they waited for.
    free: Vec<usize>,
}

struct Caller {
    asked: Instant,
    /// Events until it is done: an answer and, for a command, a delivery.
    awaited: u8,
}

impl ServiceLoad {
    /// Connects `callers` to the service API of the hub, and each of `logins` as a device.
    ///
    /// # Errors
    /// When a connection or a subscription is refused.
    pub(crate) fn connect(server: &Server, logins: &[Login], operation: Operation, callers: usize) -> anyhow::Result<Self> {
        let tls = Arc::new(certs::tls::client_config(&server.server_ca, None)?);
        let address = server.https_address()?;
        let mut clients = (0..callers).map(|_| Client::secure(address, &tls)).collect::<anyhow::Result<Vec<_>>>()?;
        for (mut device, login) in connect_all(server.address, logins)?.into_iter().zip(logins) {
            device.subscribe(&match operation {
                Operation::Command => format!("devices/{}/messages/devicebound/#", login.device),
                Operation::Method => "$iothub/methods/POST/#".to_owned(),
            })?;
            clients.push(device);
        }
        Ok(Self {
            operation,
            links: Links::new(clients)?,
            callers: (0..callers).map(|_| Caller { asked: Instant::now(), awaited: 0 }).collect(),
            devices: logins.iter().map(|login| login.device.clone()).collect(),
            next: 0,
            token: operator_token(server)?,
            heard: Vec::new(),
            free: Vec::new(),
        })
    }

    /// Asks the next device.
    fn ask(&mut self, place: usize) -> anyhow::Result<()> {
        let device = self.devices.get(self.next).context("a device")?;
        self.next = (self.next + 1) % self.devices.len();
        let filling = "x".repeat(PAYLOAD_BYTES - CALLER_DIGITS);
        let (path, body) = match self.operation {
            Operation::Command => (format!("/devices/{device}/commands"), format!(r#"{{"body":"{place:0CALLER_DIGITS$}{filling}"}}"#)),
            Operation::Method => (format!("/twins/{device}/methods"), format!(r#"{{"methodName":"bench","payload":"{filling}"}}"#)),
        };
        let headers = format!("Authorization: {}\r\nContent-Type: application/json\r\n", self.token);
        let request = http1::post(&format!("{path}?api-version=2021-04-12"), &headers, body.as_bytes());
        self.links.at(place)?.outgoing.extend_from_slice(&request);
        let awaited = match self.operation {
            Operation::Command => 2,
            Operation::Method => 1,
        };
        *self.callers.get_mut(place).context("no such caller")? = Caller { asked: Instant::now(), awaited };
        self.links.flush(place)
    }

    /// Takes in the answers to a caller.
    fn hear_answers(&mut self, place: usize, tally: &mut Tally) -> anyhow::Result<()> {
        while let Some(status) = http1::take_answer(&mut self.links.at(place)?.received)? {
            ensure!(status == 200, "the hub answered {status}");
            self.heard_of(place, self.operation == Operation::Method, tally)?;
        }
        Ok(())
    }

    /// Takes in what a device is sent, and answers it.
    fn hear_requests(&mut self, place: usize, tally: &mut Tally) -> anyhow::Result<()> {
        while let Some(packet) = decoded(&mut self.links.at(place)?.received)? {
            let Packet::Publish(publish) = packet else { bail!("a device was sent {packet:?}") };
            let answer = match self.operation {
                Operation::Command => {
                    self.heard_of(caller_of(&publish)?, true, tally)?;
                    acknowledgement_packet(publish.packet_id.context("a command at QoS 0")?)?
                }
                Operation::Method => {
                    let (_, rid) = publish.topic.split_once("$rid=").context("a method without its id")?;
                    message_packet(&format!("$iothub/methods/res/200/?$rid={rid}"), br#"{"done":true}"#)?
                }
            };
            self.links.at(place)?.outgoing.extend_from_slice(&answer);
        }
        self.links.flush(place)
    }

    /// One of the events that a caller awaits has come; perhaps the one whose latency `counts`.
    fn heard_of(&mut self, place: usize, counts: bool, tally: &mut Tally) -> anyhow::Result<()> {
        let caller = self.callers.get_mut(place).context("no such caller")?;
        caller.awaited = caller.awaited.checked_sub(1).context("a command was delivered twice")?;
        if counts {
            tally.latencies.record(caller.asked.elapsed());
        }
        if caller.awaited == 0 {
            tally.done += 1;
            self.free.push(place);
        }
        Ok(())
    }
}

impl Workload for ServiceLoad {
    fn begin(&mut self) -> anyhow::Result<()> {
        (0..self.callers.len()).try_for_each(|place| self.ask(place))
    }

    fn turn(&mut self, tally: &mut Tally, going_on: bool) -> anyhow::Result<()> {
        let mut heard = std::mem::take(&mut self.heard);
        self.links.wait(&mut heard)?;
        for place in &heard {
            match *place < self.callers.len() {
                true => self.hear_answers(*place, tally)?,
                false => self.hear_requests(*place, tally)?,
            }
        }
        self.heard = heard;
        let free = std::mem::take(&mut self.free);
        if going_on {
            free.into_iter().try_for_each(|place| self.ask(place))?;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.callers.iter().all(|caller| caller.awaited == 0)
    }
}

/// A token of the policy that may do everything.
fn operator_token(server: &Server) -> anyhow::Result<String> {
    let text = fs::read_to_string(server.directory.join("operator/connection-string"))?;
    let owner: ConnectionString = text.parse()?;
    let expires = Clock::system().now().saturating_add(TOKEN_LIFE);
    Ok(certs::token::sign("localhost", &Secret::from_base64(&owner.key)?, expires, Some(&owner.policy)))
}

fn decoded(received: &mut BytesMut) -> anyhow::Result<Option<Packet>> {
    Ok(wire::decode(received, Version::V311, Sender::Server, &DecodeLimits::default())?)
}

fn caller_of(command: &Publish) -> anyhow::Result<usize> {
    let digits = command.payload.get(..CALLER_DIGITS).context("a command of somebody else")?;
    Ok(str::from_utf8(digits)?.parse()?)
}
