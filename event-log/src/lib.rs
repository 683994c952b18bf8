//! The event buffer: every partition of every event hub in one durable, replayable log.
//!
//! One writer thread takes everything that is staged, writes it with one write, makes it durable
//! with one sync and releases every waiter; while a sync runs the next *commit group* gathers. So
//! the number of syncs follows the disk, not the number of partitions, connections or messages.
//!
//! [`EventLog`] is the handle: [`EventLog::reserve`] takes bytes of a budget before work,
//! [`EventLog::stage`] gives a batch its sequence numbers and yields a [`Ticket`] that resolves
//! when the batch lies on disk, [`Reader`] replays and follows a partition.
//!
//! # The life of a segment
//!
//! A segment takes commit groups until it is full or old. The thread `log-sealer` then rewrites it
//! as one *sealed file* for each event hub, grouped by partition, retires it, and its file is used
//! again. Events go with their sealed file, see [`Retention`], or with their hub. At most eight
//! full segments wait; with more the writer waits too, so ingest is no faster than the sealing. A
//! disk without room for the next segment makes the log refuse events until there is
//! ([`LogFailed::Full`]); only a failed commit is final.
//!
//! # The clock
//!
//! Append times never go backwards. After a clock that ran ahead, once, the events that follow get
//! the latest append time again and again until the right clock has come there, and retention by
//! time keeps all of them so long: it counts from that time. Retention by size and
//! [`Retention::Released`] go on. The log warns of it, at opening and when it happens.
//!
//! # On disk
//!
//! The directory holds segments named after their epoch, `{epoch:020}.log`, and sealed files,
//! `{epoch:020}-{hub:010}.sealed`, drawn in `docs/event-log-format.md`. A segment's blocks are
//! written and its name synced before its first use, so that a commit changes content only. All numbers are big-endian, all checksums CRC32C.
//!
//! ```text
//! segment   head | group | group | … | zeros          groups begin at multiples of 512
//!
//! head       0  8  "ISTHSEGM"
//!            8  4  version, 1
//!           12  4  checksum of the whole head but these 4 bytes
//!           16 16  log id, drawn at random once a log
//!           32  8  epoch: counts the uses of files as segments, never the same twice
//!           40  8  number of the first group
//!           48  4  length of the head, a multiple of 4096
//!           52  4  number of positions
//!           56  8  zero
//!           64  …  positions: hub u32, partition u32, next sequence number i64, last append time i64
//!
//! group      0  4  "IGRP"
//!            4  4  checksum of bytes 8 to 63
//!            8 16  log id
//!           24  8  epoch
//!           32  8  group number, one more than the group before
//!           40  8  writer, drawn at random at each opening
//!           48  4  length of the frames
//!           52  4  number of frames
//!           56  8  append time, ms since 1970
//!           64  …  frames, then zeros up to a multiple of 512
//!
//! frame      0  4  "IFRM"
//!            4  4  checksum, continued from that of log id, epoch, group number and writer,
//!                  of bytes 8 to 68: the rest of this header and the batch's first 21 bytes
//!            8  4  event hub
//!           12  4  partition
//!           16  8  sequence number of the first event
//!           24  8  append time, ms since 1970
//!           32  4  number of events
//!           36  4  length of the batch
//!           40  1  origin
//!           41  7  zero
//!           48  …  record batch v2, then zeros up to a multiple of 8
//! ```
//!
//! The batch's own checksum covers its bytes from 21 on and is itself covered by the frame's:
//! nothing is hashed twice, nothing is unprotected. What an older use of a file left behind has an
//! older epoch, what a torn write left behind an older writer; neither verifies.
//!
//! # Recovery
//!
//! Groups are written one after the other, each after the sync of the one before. So at the first
//! group that does not verify the log looks for a later one. None: the tail is torn, was never
//! acknowledged and is cut, whole; the next group overwrites it. One: the disk is damaged; what
//! verifies stays readable, what is lost is reported by sequence numbers, and readers meet
//! [`ReadError::Gap`] in its place.
//!
//! A block that the disk cannot read is damage too: reading, opening and sealing ask for it block by
//! block, 512 bytes each, take what is refused for zeros, say where it is
//! ([`RecoveryReport::unreadable`]) and go on. At the tail it is never taken for a torn write, for
//! it may have been acknowledged: then the numbers it can have held are passed over. Sealing looks
//! twice, a second apart, before it leaves out what cannot be read; the segment's file is then set
//! aside as `{epoch:020}.damaged`, for rescue, and whoever runs the hub deletes it. A file of which
//! no block can be read is a failure of the disk and no damage: nothing is given up for it.
//!
//! # Memory
//!
//! Staged bytes ([`Config::staged_bytes_max`]), twice at most while a buffer grows; recent events
//! for readers at the tail ([`Config::tail_bytes_max`]); of each segment not yet sealed, nine
//! at most, 24 bytes for each partition, an index entry of 32 bytes for every 64 KiB of a partition, and every 4 MiB of the segment a partition occurs in:
//! at most `segment_bytes / 64 KiB + partitions × segment_bytes / 4 MiB` entries. Of each sealed
//! file 72 bytes for each partition in it and 24 for each lost range. Sealing takes about 10 MiB
//! while it runs.
//!
//! # Open files
//!
//! Each segment not yet sealed is open, nine at most, and of the sealed files the 256 read last; one
//! more for each read under way while others push its file out.
//!
//! Idempotent producers: 1,000 a partition and 100,000 in all, about 400 bytes each. Taking a
//! compressed batch needs what its decoder needs, not what it expands to; reading its events needs
//! its records decompressed, at most 32 MiB, until the last event of it is dropped.
//!
//! # Absent
//!
//! No clock but the one handed in, no socket, no knowledge of device or message, no clustering.

mod batch;
mod catalogue;
mod clock_lag;
mod codec;
mod config;
mod counters;
mod disk;
mod error;
mod format;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod health;
mod hubs;
mod index;
mod inspect;
mod keeper;
mod log;
mod opening;
mod partition;
mod producers;
mod reader;
mod recovery;
mod recycle;
mod retention;
mod rolling;
mod scan;
mod sealed;
mod segment;
mod shared;
mod spare;
mod staging;
mod sync;
mod tail;
mod ticket;
mod timestamps;
mod writer;

pub use batch::{
    Batch, BatchBuilder, BatchError, EventHeader, Events, HeaderBlock, Origin, ProducerStamp, Record, StoredBatch, StoredEvent,
    WireBatchError, WireLimits,
};
pub use config::{Config, EventHubDefinition};
pub use counters::Statistics;
pub use disk::{DirectoryLock, Disk, DiskFile, ReadOnlyDisk, RealDisk};
#[cfg(feature = "testkit")]
pub use disk::{Faults, FaultyDisk};
pub use error::{DefineError, LogFailed, LostRange, OpenError, ReadError, ReaderError, RemoveError, StageError, UnknownPartition};
pub use health::Health;
pub use inspect::{Damage, Damaged, FileKind, FileReport, InspectError, InspectedBatch, LogReport, PartitionReport, Selection, inspect};
pub use log::EventLog;
pub use partition::PartitionProperties;
pub use reader::{Reader, Start};
pub use recovery::{RecoveryReport, UnreadableRange};
pub use retention::Retention;
pub use staging::AppendPermit;
pub use ticket::{Durable, Ticket};
pub use timestamps::TimestampedOffset;
