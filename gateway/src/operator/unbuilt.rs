//! Documented operations that this version does not have yet. They answer 501 and say so, since
//! a 404 would read as "no such device".

use model::api::ErrorCode;

use crate::https::Refusal;

pub(super) async fn query() -> Refusal {
    not_built("queries of twins")
}

pub(super) async fn jobs() -> Refusal {
    not_built("jobs")
}

pub(super) async fn configurations() -> Refusal {
    not_built("configurations")
}

pub(super) async fn digital_twins() -> Refusal {
    not_built("digital twins")
}

fn not_built(what: &str) -> Refusal {
    Refusal::new(ErrorCode::NotImplemented, format!("{what}: not built in this version of the hub"))
}
