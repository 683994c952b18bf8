//! What a leader of type `consumer` assigns, read for people. The group itself never looks inside.
//!
//! ```text
//! assignment     version i16 | topics: count i32, each a string and partitions: count i32, each i32 | …
//! string         length i16 | UTF-8
//! ```

use bytes::Buf;

/// Partitions of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedPartitions {
    /// The topic.
    pub topic: String,
    /// Its partitions, in the leader's order.
    pub partitions: Vec<i32>,
}

/// Reads a member's assignment; `None` if it is not one of type `consumer`.
pub fn assigned_partitions(assignment: &[u8]) -> Option<Vec<AssignedPartitions>> {
    let mut rest = assignment;
    let topics = begin(&mut rest)?;
    let mut assigned = Vec::new();
    for _ in 0..topics {
        let topic = string(&mut rest)?;
        let count = count(&mut rest)?;
        let mut partitions = Vec::new();
        for _ in 0..count {
            partitions.push(rest.try_get_i32().ok()?);
        }
        assigned.push(AssignedPartitions { topic, partitions });
    }
    Some(assigned)
}

/// The number of topics, behind the version.
fn begin(rest: &mut &[u8]) -> Option<usize> {
    let version = rest.try_get_i16().ok()?;
    (version >= 0).then(|| count(rest)).flatten()
}

/// Not more than bytes are left, as each item takes at least one.
fn count(rest: &mut &[u8]) -> Option<usize> {
    let count = usize::try_from(rest.try_get_i32().ok()?).ok()?;
    (count <= rest.len()).then_some(count)
}

fn string(rest: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(rest.try_get_i16().ok()?).ok()?;
    let (text, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    String::from_utf8(text.to_vec()).ok()
}
