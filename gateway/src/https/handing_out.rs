//! Requests that hand something out: whoever asks has it from then on.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodRouter, get};

use super::Refusal;

/// A `GET` that hands something out, where `DELETE` settles it. A router would let `HEAD` do so as well, which is to change
/// nothing (RFC 9110, 9.3.2), and whose caller would never see what it was handed.
pub(crate) fn handing_out<H, T>(operation: H) -> MethodRouter
where
    H: Handler<T, ()>,
    T: 'static,
{
    get(operation).head(|| async { Refusal::method_not_allowed().allowing(&[Method::GET, Method::DELETE]) })
}
