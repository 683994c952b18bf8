//! Start to stop of a hub.
