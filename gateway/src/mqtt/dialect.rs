//! Topics and user names of IoT Hub, read into typed requests and written back. Pure.
//!
//! A connection speaks for one identity, so every prefix it may publish to is known when it is
//! admitted: authorisation is a comparison of bytes.

mod feeds;
mod login;
mod topics;

pub(crate) use feeds::{Feed, Feeds, FilterRefused};
pub(crate) use login::{InvalidLogin, Login};
pub(crate) use topics::{DeviceRequest, TopicRefused, Topics, desired_change, method, method_rid, twin_response};
