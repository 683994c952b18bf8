//! How devices speak to the hub. A connection is one conversation: it begins, it ends, and the
//! device makes another one.

pub(crate) mod mqtt;
