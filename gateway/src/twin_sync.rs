//! Twin changes: committed first, then signalled to the device.
