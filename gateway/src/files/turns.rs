//! How many bodies are received at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bodies under way, over all uploads. Each holds a file open and a buffer.
const IN_ALL_MAX: usize = 256;
/// Bodies under way of one upload; the clients of the storage service send 5 blocks at once.
const OF_UPLOAD_MAX: usize = 16;

/// The bodies under way, by upload; clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<String, usize>>>);

/// A body under way.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Turns,
    upload: String,
}

impl Turns {
    /// Counts a body, unless there are as many as may be.
    pub(super) fn take(&self, upload: &str) -> Option<Turn> {
        let mut turns = self.lock();
        let of_upload = turns.get(upload).copied().unwrap_or(0);
        if of_upload >= OF_UPLOAD_MAX || turns.values().sum::<usize>() >= IN_ALL_MAX {
            return None;
        }
        turns.insert(upload.to_owned(), of_upload + 1);
        Some(Turn { turns: self.clone(), upload: upload.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = self.turns.lock();
        match turns.get_mut(&self.upload) {
            Some(of_upload) if *of_upload > 1 => *of_upload -= 1,
            Some(_) | None => drop(turns.remove(&self.upload)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_upload_does_not_take_all_turns_and_a_turn_ends() {
        let turns = Turns::default();
        let mut taken: Vec<Turn> = (0..OF_UPLOAD_MAX).map(|_| turns.take("a").expect("a turn")).collect();
        assert!(turns.take("a").is_none());
        assert!(turns.take("b").is_some());
        taken.pop();
        assert!(turns.take("a").is_some());
        drop(taken);
        assert!(turns.lock().is_empty());
        let all: Vec<Turn> = (0..IN_ALL_MAX).map(|number| turns.take(&number.to_string()).expect("a turn")).collect();
        assert!(turns.take("one more").is_none());
        drop(all);
    }
}
