//! Device-to-cloud messages: admit, stamp, route, append, acknowledge.
