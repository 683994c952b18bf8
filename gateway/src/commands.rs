//! Commands: cloud-to-device messages, stored first, then signalled.
