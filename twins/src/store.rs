//! The database: opening it, its one writer, its readers, and its rows.

mod agenda;
mod connection;
mod event_hub_names;
mod load;
mod lock_table;
mod migrate;
mod reader;
mod row;
mod unit;
mod writer;

pub(crate) mod command_rows;
pub(crate) mod dead_letter_rows;
pub(crate) mod feedback_rows;
pub(crate) mod file_rows;
pub(crate) mod identity_rows;
pub(crate) mod pieces;
pub(crate) mod service_queue_rows;
pub(crate) mod twin_rows;

pub(crate) use agenda::Agenda;
pub use connection::ConnectionError;
pub(crate) use connection::open_writer_connection;
pub use event_hub_names::read_event_hub_names;
pub(crate) use load::load_identities;
pub(crate) use migrate::migrate;
pub(crate) use reader::Readers;
pub(crate) use row::{ReadRow, from_unsigned, to_unsigned};
pub(crate) use unit::{Stop, Unit, refuse};
pub(crate) use writer::{QueueBounds, Writer};
