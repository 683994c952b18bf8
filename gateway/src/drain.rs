//! Stopping: who must be told, who is waited for.
