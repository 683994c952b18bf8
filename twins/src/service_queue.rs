//! The queues that the service reads. Their messages go through the states of
//! [`crate::command_queue`] like commands, with bounds of their own; where a command would be
//! dead-lettered, a message is dropped with a line in the log.

use std::fmt;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServiceQueue {
    /// What became of commands.
    Feedback,
    /// Which files were uploaded.
    FileNotifications,
}

impl ServiceQueue {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::Feedback, Self::FileNotifications];

    /// Its name in the table of locks, where queues of commands have the row ids of their
    /// identities, which begin at 1.
    pub(crate) fn lock_key(self) -> i64 {
        match self {
            Self::Feedback => 0,
            Self::FileNotifications => -1,
        }
    }

    /// The queue with that name in the table of locks, if it is none of commands.
    pub(crate) fn of_lock_key(key: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|queue| queue.lock_key() == key)
    }
}

impl fmt::Display for ServiceQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Feedback => "feedback",
            Self::FileNotifications => "file notifications",
        })
    }
}
