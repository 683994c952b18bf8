//! What the hub sends to a device: commands from its queue, direct methods, answers to twin
//! requests and changes of desired properties.

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::Bytes;
use model::property_bag;
use mqtt_proto::session::{Connection, InFlight, Outbound, Unsent};
use mqtt_proto::wire::{InvalidText, PublishProperties, QoS, Text, UserProperties};
use tokio::sync::oneshot;
use twins::{DesiredChange, LockToken, LockedCommand};

use super::dialect::{self, Feed, Feeds, Topics};
use crate::methods::{CallFailed, DeviceCall, MethodAnswer};

/// Direct methods that wait for one device's answers.
const CALLS_MAX: usize = model::limits::METHODS_IN_FLIGHT_MAX;
/// Commands taken from the queue at once.
const COMMANDS_AT_ONCE: usize = 16;
/// The input that takes a command addressed to no input, for a module that listens to its inputs
/// only, as those of the official SDKs do.
const DEFAULT_INPUT: &str = "commands";
/// Commands sent and not acknowledged or held back at once, however many the queue holds.
const IN_FLIGHT_MAX: usize = model::limits::COMMANDS_IN_FLIGHT_MAX;

/// The sending side of a connection.
pub(super) struct Downlink {
    topics: Topics,
    /// Locks of commands under way, by sequence number, which is their tag in the session.
    under_way: HashMap<u64, LockToken>,
    /// Commands that cannot go yet, for want of a subscription or of room in the window. They keep
    /// their locks and their order.
    held: VecDeque<LockedCommand>,
    /// What one of them waits for: later ones wait behind it.
    waits_for: Option<Room>,
    /// A request for commands is with the store.
    asked: bool,
    /// There may be commands that this request came too early for.
    missed: bool,
    /// The version of the desired properties that the device was last told of.
    desired_sent: u64,
    /// The device was not told of a change, and is to be told once there is room.
    desired_owed: bool,
    calls: HashMap<u64, oneshot::Sender<Result<MethodAnswer, CallFailed>>>,
    last_call: u64,
}

/// Where room is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// Among the messages that the client has not acknowledged.
    Window,
    /// In the output.
    Output,
}

/// The way of a command to the device.
enum Route {
    /// A message, ready to be sent.
    Open(Box<Outbound>),
    /// No subscription takes it now.
    Closed,
    /// No packet can carry it.
    Unwritable,
}

/// What became of a command that was to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// Its acknowledgement is awaited.
    UnderWay,
    /// It needs none: it is complete.
    Complete(LockToken),
    /// The device cannot take it, ever.
    Impossible(LockToken),
}

impl Downlink {
    pub(super) fn new(topics: Topics) -> Self {
        Self {
            topics,
            under_way: HashMap::new(),
            held: VecDeque::new(),
            waits_for: None,
            asked: false,
            missed: false,
            desired_sent: 0,
            desired_owed: false,
            calls: HashMap::new(),
            last_call: 0,
        }
    }

    /// How many commands to ask the store for now, if any.
    pub(super) fn commands_wanted(&mut self, feeds: &Feeds, session: &Connection) -> Option<usize> {
        let open = feeds.qos(Feed::Commands).is_some() || feeds.qos(Feed::Inputs).is_some();
        let in_flight = self.held.len() + self.under_way.len();
        let limit = session.window().min(COMMANDS_AT_ONCE).min(IN_FLIGHT_MAX.saturating_sub(in_flight));
        if !open || self.asked || limit == 0 {
            return None;
        }
        self.asked = true;
        Some(limit)
    }

    /// There may be new commands: a request that is with the store may not see them.
    pub(super) fn commands_wait(&mut self) {
        self.missed = self.asked;
    }

    /// The store has answered a request for commands; whether it is to be asked again whatever
    /// the answer.
    pub(super) fn commands_arrived(&mut self) -> bool {
        self.asked = false;
        std::mem::take(&mut self.missed)
    }

    /// Whether something waits until the output is sent.
    pub(super) fn waits_for_output(&self) -> bool {
        self.waits_for == Some(Room::Output) || self.desired_owed
    }

    /// Tries again what was held back; for each command that went, what became of it.
    pub(super) fn send_held(&mut self, feeds: &Feeds, session: &mut Connection) -> Vec<Sent> {
        self.waits_for = None;
        let held = std::mem::take(&mut self.held);
        held.into_iter().filter_map(|command| self.send_command(command, feeds, session)).collect()
    }

    /// Sends a command under the subscription that takes it, or holds it back. None goes past an
    /// earlier one that waits for room.
    pub(super) fn send_command(&mut self, command: LockedCommand, feeds: &Feeds, session: &mut Connection) -> Option<Sent> {
        if self.waits_for.is_some() {
            self.held.push_back(command);
            return None;
        }
        let lock = command.lock;
        let sent = match self.outbound(&command, feeds) {
            Route::Closed => Err(Unsent::NotConnected),
            Route::Unwritable => return Some(Sent::Impossible(lock)),
            Route::Open(outbound) => {
                let qos = outbound.qos;
                session.publish(*outbound).map(|()| qos)
            }
        };
        match sent {
            Ok(QoS::AtMostOnce) => Some(Sent::Complete(lock)),
            Ok(QoS::AtLeastOnce | QoS::ExactlyOnce) => {
                self.under_way.insert(command.sequence_number, lock);
                Some(Sent::UnderWay)
            }
            Err(Unsent::TooLarge { .. } | Unsent::Unencodable(_) | Unsent::QosUnavailable) => Some(Sent::Impossible(lock)),
            Err(Unsent::WindowFull) => self.hold(command, Some(Room::Window)),
            Err(Unsent::OutputFull) => self.hold(command, Some(Room::Output)),
            Err(Unsent::NotConnected) => self.hold(command, None),
        }
    }

    fn hold(&mut self, command: LockedCommand, waits_for: Option<Room>) -> Option<Sent> {
        self.waits_for = waits_for;
        self.held.push_back(command);
        None
    }

    /// Takes over what an earlier connection of the session sent without seeing it acknowledged:
    /// of `earlier` those commands remain that are still in the queue. The other commands are
    /// held back.
    pub(super) fn resume(&mut self, mut earlier: InFlight, commands: Vec<LockedCommand>) -> InFlight {
        let owed: HashSet<u64> = earlier.tags().collect();
        for command in commands {
            if owed.contains(&command.sequence_number) {
                self.under_way.insert(command.sequence_number, command.lock);
            } else {
                self.held.push_back(command);
            }
        }
        earlier.retain(|tag| self.under_way.contains_key(&tag));
        earlier
    }

    /// The lock of a command that the device acknowledged.
    pub(super) fn acknowledged(&mut self, tag: u64) -> Option<LockToken> {
        self.under_way.remove(&tag)
    }

    fn outbound(&self, command: &LockedCommand, feeds: &Feeds) -> Route {
        let properties = &command.message.properties;
        let bag = property_bag::format(properties);
        let commands = feeds.qos(Feed::Commands);
        let (topic, qos) = match properties.system.to.as_deref().and_then(input_name) {
            Some(input) => (self.topics.input(input, &bag), feeds.qos(Feed::Inputs)),
            None if commands.is_some() => (Some(self.topics.command(&bag)), commands),
            None => (self.topics.input(DEFAULT_INPUT, &bag), feeds.qos(Feed::Inputs)),
        };
        let (Some(topic), Some(qos)) = (topic, qos) else { return Route::Closed };
        let content_type = properties.system.content_type.as_deref().map(Text::try_from).transpose();
        let user_properties = user_properties(&properties.application);
        let (Ok(topic), Ok(content_type), Ok(user_properties)) = (Text::try_from(topic), content_type, user_properties) else {
            return Route::Unwritable;
        };
        Route::Open(Box::new(Outbound {
            topic,
            payload: command.message.body.clone(),
            qos,
            retain: false,
            properties: PublishProperties { content_type, user_properties, ..PublishProperties::default() },
            tag: command.sequence_number,
        }))
    }

    /// Sends a direct method, or tells the caller why not. One whose caller has gone meanwhile is
    /// not sent.
    pub(super) fn send_call(&mut self, call: DeviceCall, feeds: &Feeds, session: &mut Connection) {
        if call.answer.is_closed() {
            return;
        }
        self.calls.retain(|_, waiting| !waiting.is_closed());
        let refused = if feeds.qos(Feed::Methods).is_none() {
            Some(CallFailed::NotOnline)
        } else if self.calls.len() >= CALLS_MAX {
            Some(CallFailed::TooManyInFlight)
        } else {
            None
        };
        let rid = self.last_call + 1;
        let refused = refused.or_else(|| {
            let sent = send(session, dialect::method(&call.name, rid), call.payload);
            sent.err().map(|_| CallFailed::TooManyInFlight)
        });
        match refused {
            Some(refused) => {
                // The caller may have given up; nobody else wants to know.
                let _ = call.answer.send(Err(refused));
            }
            None => {
                self.last_call = rid;
                self.calls.insert(rid, call.answer);
            }
        }
    }

    /// Passes a device's answer to whoever waits for it; nobody does for one late or unknown.
    pub(super) fn answer_call(&mut self, rid: &str, answer: MethodAnswer) {
        if let Some(waiting) = dialect::method_rid(rid).and_then(|rid| self.calls.remove(&rid)) {
            let _ = waiting.send(Ok(answer));
        }
    }

    /// Answers a twin request, if the device listens to answers.
    pub(super) fn send_twin_response(feeds: &Feeds, session: &mut Connection, topic: String, body: Bytes) {
        if feeds.qos(Feed::TwinResponses).is_some() {
            // A device that does not read its answers loses them, as it would on any QoS 0 feed.
            let _ = send(session, topic, body);
        }
    }

    /// Tells the device of a desired change, if it listens and has not heard of a later one.
    pub(super) fn send_desired(&mut self, feeds: &Feeds, session: &mut Connection, change: &DesiredChange) {
        if feeds.qos(Feed::DesiredChanges).is_none() || change.version <= self.desired_sent {
            return;
        }
        match send(session, dialect::desired_change(change.version), change.body.clone()) {
            Ok(()) => self.desired_sent = change.version,
            Err(unsent) => self.desired_owed = unsent == Unsent::OutputFull,
        }
    }

    /// Whether the device is owed a change; it is the caller's to send the document then.
    pub(super) fn take_desired_owed(&mut self) -> bool {
        std::mem::take(&mut self.desired_owed)
    }
}

fn send(session: &mut Connection, topic: String, payload: Bytes) -> Result<(), Unsent> {
    let topic = Text::try_from(topic).map_err(|_| Unsent::NotConnected)?;
    session.publish(Outbound { topic, payload, qos: QoS::AtMostOnce, retain: false, properties: PublishProperties::default(), tag: 0 })
}

/// `…/inputs/{name}` addresses an input of a module.
fn input_name(to: &str) -> Option<&str> {
    let (_, name) = to.rsplit_once("/inputs/")?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

fn user_properties(application: &[(String, Option<String>)]) -> Result<UserProperties, InvalidText> {
    let pair = |(name, value): &(String, Option<String>)| {
        Ok((Text::try_from(name.as_str())?, Text::try_from(value.as_deref().unwrap_or_default())?))
    };
    application.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::BytesMut;
    use model::{Message, MessageProperties, Timestamp};
    use mqtt_proto::session::{Accept, Config};

    use super::*;

    /// A session of a 3.1.1 client called `d`, whose output is full after one message.
    fn session() -> Connection {
        let mut session = Connection::new(Config { output_bytes_max: 1, ..Config::default() }, Instant::now());
        session.handle_input(&mut BytesMut::from(&b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01d"[..]), Instant::now());
        session.accept(Accept::default(), Instant::now());
        session.output().clear();
        session
    }

    fn command(sequence_number: u64) -> LockedCommand {
        LockedCommand {
            lock: LockToken(sequence_number.into()),
            sequence_number,
            delivery_count: 0,
            enqueued_time: Timestamp::NEVER,
            message: Message { properties: MessageProperties::default(), body: Bytes::new() },
        }
    }

    #[test]
    fn a_call_whose_caller_has_gone_is_not_sent() {
        let identity = "d".parse().expect("an identity");
        let mut feeds = Feeds::new(&identity);
        feeds.subscribe("$iothub/methods/POST/#", QoS::AtMostOnce).expect("its own");
        let (mut downlink, mut session) = (Downlink::new(Topics::new(&identity)), session());
        let call = || {
            let (answer, answered) = oneshot::channel();
            (DeviceCall { name: "m".to_owned(), payload: Bytes::new(), answer }, answered)
        };
        let (abandoned, _) = call();
        downlink.send_call(abandoned, &feeds, &mut session);
        assert!(session.output().is_empty() && downlink.calls.is_empty());
        let (awaited, _answered) = call();
        downlink.send_call(awaited, &feeds, &mut session);
        assert!(!session.output().is_empty() && downlink.calls.len() == 1);
    }

    #[test]
    fn no_more_commands_are_asked_for_than_may_be_in_flight_however_long_the_queue() {
        let identity = "d".parse().expect("an identity");
        let mut feeds = Feeds::new(&identity);
        feeds.subscribe("devices/d/messages/devicebound/#", QoS::AtLeastOnce).expect("its own");
        let (mut downlink, mut session) = (Downlink::new(Topics::new(&identity)), session());
        let mut sent = 0;
        while let Some(wanted) = downlink.commands_wanted(&feeds, &session) {
            for _ in 0..wanted {
                sent += 1;
                assert_eq!(downlink.send_command(command(sent), &feeds, &mut session), Some(Sent::UnderWay));
                session.output().clear();
            }
            downlink.commands_arrived();
        }
        assert_eq!(sent, 50);
        assert!(downlink.acknowledged(7).is_some());
        assert_eq!(downlink.commands_wanted(&feeds, &session), Some(1));
    }

    #[test]
    fn a_command_never_passes_an_earlier_one_that_waits_for_room() {
        let identity = "d".parse().expect("an identity");
        let mut feeds = Feeds::new(&identity);
        feeds.subscribe("devices/d/messages/devicebound/#", QoS::AtLeastOnce).expect("its own");
        let (mut downlink, mut session) = (Downlink::new(Topics::new(&identity)), session());
        assert_eq!(downlink.send_command(command(1), &feeds, &mut session), Some(Sent::UnderWay));
        assert_eq!(downlink.send_command(command(2), &feeds, &mut session), None, "the output is full");
        // The client has read, and the store has handed out another.
        session.output().clear();
        assert_eq!(downlink.send_command(command(3), &feeds, &mut session), None, "command 2 goes first");
        for expected in [2, 3] {
            assert_eq!(downlink.send_held(&feeds, &mut session), [Sent::UnderWay]);
            assert!(downlink.under_way.contains_key(&expected), "{expected}");
            session.output().clear();
        }
        assert_eq!(session.take_in_flight().tags().collect::<Vec<_>>(), [1, 2, 3]);
    }
}
