//! What goes into and comes out of command queues.

use model::limits::{COMMAND_BYTES_MAX, COMMAND_EXPIRY_MAX, MESSAGE_ID_BYTES_MAX};
use model::{Identity, Message, Timestamp};
use thiserror::Error;

use crate::command_queue::{LockLost, LockToken, QueueFull};
use crate::error::{StoreError, UnknownIdentity};
use crate::feedback::Ack;

/// A command to store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewCommand {
    /// What to send. A missing message id is made; `to` is set by the hub; `expiry` and `ack` in
    /// it are overwritten by those below.
    pub message: Message,
    /// When it stops being of use: by default as configured, in an hour, at most in two days.
    pub expiry: Option<Timestamp>,
    /// The feedback wanted.
    pub ack: Ack,
    /// The input of a module that it goes to, if to one: ASCII letters, digits and `-._~`.
    pub input: Option<String>,
}

/// A command that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueued {
    /// The sender's message id, or the one made for it.
    pub message_id: String,
    /// Its position in the queue, from 1, never used again.
    pub sequence_number: u64,
}

/// Why a command was not stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EnqueueError {
    /// No such identity.
    #[error(transparent)]
    UnknownIdentity(#[from] UnknownIdentity),
    /// As many commands wait as may.
    #[error(transparent)]
    QueueFull(#[from] QueueFull),
    /// Body and properties together are over 64 KiB.
    #[error("a command may have {COMMAND_BYTES_MAX} bytes, this one has {bytes}")]
    TooLarge {
        /// How many it has.
        bytes: usize,
    },
    /// An expiry in the past or more than two days ahead.
    #[error("a command must expire in the future and within {} hours, not at {expiry}", COMMAND_EXPIRY_MAX.as_secs() / 3600)]
    InvalidExpiry {
        /// What was asked for.
        expiry: Timestamp,
    },
    /// A message id over 128 bytes.
    #[error("a message id may have at most {MESSAGE_ID_BYTES_MAX} bytes, this one has {bytes}")]
    MessageIdTooLong {
        /// How many it has.
        bytes: usize,
    },
    /// A property whose name or value has other than ASCII token characters, or whose name is a
    /// system property's.
    #[error(
        "the property {name:?} may have only ASCII letters, digits and !#$%&'*+-.^_`|~ in name and value, and no system property's name"
    )]
    InvalidProperty {
        /// Its name.
        name: String,
    },
    /// An input of a device, which has none, or one with another name than an input may have.
    #[error("{input:?} is not an input of {identity}: only modules have inputs, and their names are ASCII letters, digits and -._~")]
    InvalidInput {
        /// The input.
        input: String,
        /// Whose.
        identity: Identity,
    },
    /// More properties than a property bag may hold.
    #[error("a command's properties take {bytes} bytes as a property bag, more than it may hold")]
    PropertiesTooLarge {
        /// How many they take when encoded.
        bytes: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A command handed to a reader, which must settle it or release it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedCommand {
    /// Names this handing-out when settling.
    pub lock: LockToken,
    /// Its position in the queue.
    pub sequence_number: u64,
    /// How often it was abandoned before.
    pub delivery_count: u32,
    /// When it was stored.
    pub enqueued_time: Timestamp,
    /// The message with `message_id`, `to`, `expiry` and, unless none is wanted, `ack` set.
    pub message: Message,
}

/// Why commands were not read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommandReadError {
    /// No such identity.
    #[error(transparent)]
    UnknownIdentity(#[from] UnknownIdentity),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a command was not settled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettleError {
    /// The lock is not held any more: it ended, was settled or released, or what it was on was
    /// purged or expired, or its identity is gone.
    #[error(transparent)]
    LockLost(#[from] LockLost),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which dead letters are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLetters {
    /// The one with this sequence number.
    One(u64),
    /// All of an identity.
    All,
}

/// Why dead letters did not go back into their queue.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RedriveError {
    /// No such identity.
    #[error(transparent)]
    UnknownIdentity(#[from] UnknownIdentity),
    /// No such dead letter.
    #[error("there is no dead letter with the sequence number {sequence}")]
    UnknownDeadLetter {
        /// What was asked for.
        sequence: u64,
    },
    /// An expiry in the past or more than two days ahead.
    #[error("a command must expire in the future and within {} hours, not at {expiry}", COMMAND_EXPIRY_MAX.as_secs() / 3600)]
    InvalidExpiry {
        /// What was asked for.
        expiry: Timestamp,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Part of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What is in it, in order.
    pub items: Vec<T>,
    /// Behind which sequence number the next part begins; absent at the end.
    pub next: Option<u64>,
}
