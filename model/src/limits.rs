//! Every documented bound in one place, with its unit in its name.

use std::time::Duration;

/// Longest device or module id.
pub const ID_BYTES_MAX: usize = 128;
/// Modules of one device.
pub const MODULES_PER_DEVICE_MAX: usize = 50;
/// Longest event hub name; Kafka's bound for topics.
pub const EVENT_HUB_NAME_BYTES_MAX: usize = 249;
/// How long an event hub keeps its events, unless told.
pub const RETENTION_TIME_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);
/// The shortest and the longest time that an event hub keeps its events; the longest is 10 years.
pub const RETENTION_TIME: std::ops::RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(3650 * 24 * 3600);
/// The least that an event hub's events may be bounded to in bytes.
pub const RETENTION_BYTES_MIN: u64 = 1024 * 1024;
/// What an event hub may be told to take at most as one event; the upper bound holds unless told.
pub const EVENT_HUB_MESSAGE_BYTES: std::ops::RangeInclusive<u32> = 1024..=1024 * 1024;
/// Policies of one event hub.
pub const EVENT_HUB_POLICIES_MAX: usize = 12;
/// Longest name of an event hub's policy.
pub const POLICY_NAME_BYTES_MAX: usize = 64;
/// Partitions of one event hub.
pub const PARTITIONS_MAX: u32 = 1024;
/// Partitions of an event hub, unless told.
pub const PARTITIONS_DEFAULT: u32 = 4;

/// A device-to-cloud message: body, system properties and application properties together.
pub const TELEMETRY_BYTES_MAX: usize = 256 * 1024;
/// Largest MQTT packet accepted; announced to MQTT 5 clients. Telemetry plus room for its topic.
pub const MQTT_PACKET_BYTES_MAX: usize = 266_240;
/// Largest CONNECT, before anything is known of the sender.
pub const MQTT_CONNECT_BYTES_MAX: usize = 16 * 1024;
/// A topic's property bag.
pub const PROPERTY_BAG_BYTES_MAX: usize = 16 * 1024;
/// Properties in one message.
pub const PROPERTIES_MAX: usize = 100;
/// Longest message id and correlation id.
pub const MESSAGE_ID_BYTES_MAX: usize = 128;
/// Unacknowledged QoS 1 messages of one MQTT connection in each direction.
pub const MQTT_IN_FLIGHT_MAX: u16 = 1024;
/// The longest silence of an MQTT client that names no shorter keep-alive.
pub const MQTT_SILENCE_MAX: Duration = Duration::from_secs(1767);
/// Longest topic filter.
pub const MQTT_FILTER_BYTES_MAX: usize = 1024;
/// Levels in a topic filter.
pub const MQTT_FILTER_LEVELS_MAX: usize = 32;
/// Filters in one SUBSCRIBE.
pub const MQTT_FILTERS_PER_SUBSCRIBE_MAX: usize = 64;
/// Subscriptions of one identity.
pub const SUBSCRIPTIONS_PER_IDENTITY_MAX: usize = 50;

/// Tags of a twin.
pub const TAGS_BYTES_MAX: usize = 8 * 1024;
/// Desired properties of a twin.
pub const DESIRED_BYTES_MAX: usize = 32 * 1024;
/// Reported properties of a twin.
pub const REPORTED_BYTES_MAX: usize = 32 * 1024;
/// A key in a twin.
pub const TWIN_KEY_BYTES_MAX: usize = 1024;
/// A string in a twin.
pub const TWIN_STRING_BYTES_MAX: usize = 4 * 1024;
/// Objects nested below tags, desired or reported.
pub const TWIN_DEPTH_MAX: usize = 10;
/// Integers in a twin lie between minus this and one less than this.
pub const TWIN_INTEGER_BOUND: i64 = 4_503_599_627_370_496;
/// Longest twin document read from the wire, before it is parsed.
pub const TWIN_BODY_BYTES_MAX: usize = 128 * 1024;

/// A command's (cloud-to-device message's) body and properties.
pub const COMMAND_BYTES_MAX: usize = 64 * 1024;
/// Commands waiting for one device, unless configured.
pub const COMMAND_QUEUE_DEPTH_MAX: usize = 50;
/// What the depth of command queues may be configured to.
pub const COMMAND_QUEUE_DEPTH: std::ops::RangeInclusive<usize> = 1..=10_000;
/// Commands under way on one MQTT connection, sent and not acknowledged or held back for want of
/// room, whatever the depth of queues: 3.1 MiB of them at most, 50 of [`COMMAND_BYTES_MAX`].
pub const COMMANDS_IN_FLIGHT_MAX: usize = 50;
/// Deliveries of a command, or of a feedback message, before it is given up, unless configured.
pub const COMMAND_DELIVERY_COUNT_MAX: u32 = 10;
/// What that may be configured to.
pub const COMMAND_DELIVERY_COUNT: std::ops::RangeInclusive<u32> = 1..=100;
/// A command's life unless its sender sets one, and a feedback message's; both may be configured.
pub const COMMAND_EXPIRY_DEFAULT: Duration = Duration::from_secs(3600);
/// The longest life a command may be given.
pub const COMMAND_EXPIRY_MAX: Duration = Duration::from_secs(2 * 24 * 3600);
/// What the life of commands and of feedback messages may be configured to.
pub const COMMAND_EXPIRY: std::ops::RangeInclusive<Duration> = Duration::from_secs(60)..=COMMAND_EXPIRY_MAX;
/// How long what is handed to a reader that polls stays invisible to others, unless configured.
pub const COMMAND_LOCK: Duration = Duration::from_secs(60);
/// What that may be configured to.
pub const COMMAND_LOCK_TIME: std::ops::RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(300);
/// Dead letters kept of one identity, unless configured; of more the oldest go.
pub const DEAD_LETTERS_MAX: usize = 100;
/// What that may be configured to.
pub const DEAD_LETTERS: std::ops::RangeInclusive<usize> = 0..=10_000;
/// Bodies in one page of commands or dead letters: a queue of the default depth is one page.
pub const COMMAND_PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Dead letters that go back into their queue at once.
pub const REDRIVEN_MAX: usize = 1000;

/// Records in one feedback message.
pub const FEEDBACK_RECORDS_MAX: usize = 64;
/// How long the oldest record waits for others to fill a feedback message.
pub const FEEDBACK_WAIT: Duration = Duration::from_secs(15);
/// Feedback messages nobody has read, about 20 MB with 64 records of the longest ids in each; of
/// more the oldest go.
pub const FEEDBACK_MESSAGES_MAX: usize = 1024;

/// Longest name of an uploaded file, the device's own prefix included.
pub const BLOB_NAME_BYTES_MAX: usize = 1024;
/// File uploads of one device under way, unless told.
pub const FILE_UPLOADS_MAX: usize = 10;
/// How long an upload may take, unless told.
pub const FILE_UPLOAD_LIFETIME: Duration = Duration::from_secs(3600);
/// Largest uploaded file, unless told.
pub const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// All uploaded files together, unless told.
pub const FILES_BYTES_MAX: u64 = 10 * 1024 * 1024 * 1024;
/// Notifications of uploaded files that wait for the service.
pub const FILE_NOTIFICATIONS_MAX: u64 = 10_000;

/// A direct method's payload, in each direction.
pub const METHOD_PAYLOAD_BYTES_MAX: usize = 128 * 1024;
/// Bounds of a direct method's response timeout.
pub const METHOD_RESPONSE_TIMEOUT_SECONDS: std::ops::RangeInclusive<u32> = 5..=300;
/// Response timeout of a direct method unless given.
pub const METHOD_RESPONSE_TIMEOUT_SECONDS_DEFAULT: u32 = 30;
/// Longest wait for a device to connect before a direct method fails.
pub const METHOD_CONNECT_TIMEOUT_SECONDS_MAX: u32 = 300;
/// Direct methods waiting for one device's answers.
pub const METHODS_IN_FLIGHT_MAX: usize = 1024;

/// Bodies of requests over HTTPS, from their arrival until the request is done with them.
pub const REQUEST_BODIES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The longest wait that a device may ask for when it polls over HTTPS for commands or methods.
pub const POLL_SECONDS_MAX: u64 = 300;
/// Polls for commands, and as many for methods, that wait for one identity.
pub const POLLS_PER_IDENTITY_MAX: usize = 4;
/// Polls that wait, over all identities.
pub const POLLS_MAX: usize = 32 * 1024;
/// Messages in one batch over HTTPS.
pub const BATCH_MESSAGES_MAX: usize = 1000;

/// Registry operations in one bulk request.
pub const BULK_OPERATIONS_MAX: usize = 100;
/// Items in one page of a listing.
pub const PAGE_ITEMS_MAX: usize = 1000;
/// Largest body of a service API request.
pub const SERVICE_BODY_BYTES_MAX: usize = 512 * 1024;

/// Largest body of a request that sends events over the service API: one event of the largest
/// size, with every byte of it escaped.
pub const SEND_BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes staged for the event log and not yet durable, over all connections.
pub const STAGED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of recent events kept in memory for readers at the tail.
pub const TAIL_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Size of a segment of the event log.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Largest event.
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// From accepting a socket to the end of its TLS handshake, and from there to its CONNECT or
/// complete request header.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// TLS handshakes under way at once, over all listeners.
pub const HANDSHAKES_MAX: usize = 512;
/// How long a stopping hub waits for what it has accepted.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
