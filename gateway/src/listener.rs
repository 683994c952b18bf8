//! Sockets: bound together, accepted, secured, handed to their protocol.
