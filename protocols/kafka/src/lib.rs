//! The server's side of the Kafka protocol without IO: framing and the table of requests
//! (`wire`), SASL PLAIN (`sasl`), the coordination of consumer groups (`group`).
//!
//! Bytes and the present moment come in as arguments; bytes, answers and the next deadline come
//! out. Nothing here reads a clock, opens a socket, spawns a task or knows what a topic holds.

#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod group;
pub mod sasl;
pub mod wire;
