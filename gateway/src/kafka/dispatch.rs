//! From a request's key to its handler.
//!
//! A handler is a function of the session, the request's header and its decoded body, and gives
//! the response of the same API:
//!
//! ```ignore
//! pub(super) async fn heartbeat(session: &Session, header: &RequestHeader, body: HeartbeatRequest) -> HeartbeatResponse
//! ```
//!
//! It answers every failure with a code ([`super::reason`]) in the response, sets no field that
//! `header.version` lacks (the codec refuses to write one), and may wait: answers leave in the
//! order of requests, so nothing but the connection itself is held up. It is dropped when the
//! peer hangs up, its grant ends or the hub stops; what must not be cut in the middle goes
//! through `hub.drain.carry_out`. A handler without anything to wait for is a plain function.
//!
//! Rights are asked for with [`Session::topic`] and [`Session::may`].
