//! What the integration tests share: a hub of their own in a process of its own, scripted MQTT
//! clients, the service API as operators use it, and the ledger that judges durability.

pub(crate) mod certificates;
pub(crate) mod deadline;
pub(crate) mod device;
pub(crate) mod events;
pub(crate) mod facts;
pub(crate) mod fleet;
pub(crate) mod hub;
pub(crate) mod kafka;
pub(crate) mod ledger;
pub(crate) mod machine;
pub(crate) mod packets;
pub(crate) mod service;
pub(crate) mod unfinished;
pub(crate) mod web_device;
