//! Reading a configuration so that every fault in it is found in one go.
//!
//! A derived reader stops at its first fault. Here each key is read by itself: a key that cannot
//! be read leaves its default in place and a [`Fault`] behind, and a key nobody asked for is one
//! too.

use std::fmt;

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// One thing to put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where: `listeners.mqtt`, `operator[1].thumbprint`; empty for the file as a whole.
    pub(crate) key: String,
    /// What is wrong and what to do.
    pub(crate) problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() { f.write_str(&self.problem) } else { write!(f, "{}: {}", self.key, self.problem) }
    }
}

/// Everything to put right.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Faults(pub(crate) Vec<Fault>);

impl Faults {
    /// Adds one.
    pub(crate) fn add(&mut self, key: impl Into<String>, problem: impl fmt::Display) {
        self.0.push(Fault { key: key.into(), problem: problem.to_string() });
    }

    /// The value, or its fault under `key`.
    pub(crate) fn check<T, E: fmt::Display>(&mut self, key: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|problem| self.add(key, problem)).ok()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

/// The keys of one table; each is taken by the section that owns it.
pub(crate) struct Keys {
    path: String,
    table: Table,
    known: Vec<&'static str>,
}

impl Keys {
    /// The keys of the whole file.
    pub(crate) fn of_file(table: Table) -> Self {
        Self { path: String::new(), table, known: Vec::new() }
    }

    /// The path of `key` within the file.
    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Takes a key's value; `None` when it is absent or cannot be read, which is a fault.
    pub(crate) fn take<T: DeserializeOwned>(&mut self, key: &'static str, faults: &mut Faults) -> Option<T> {
        let value = self.remove(key)?;
        let read = value.try_into().map_err(|error: toml::de::Error| error.message().to_owned());
        faults.check(&self.path_of(key), read)
    }

    /// Takes a key's value, or gives `default`.
    pub(crate) fn take_or<T: DeserializeOwned>(&mut self, key: &'static str, default: T, faults: &mut Faults) -> T {
        self.take(key, faults).unwrap_or(default)
    }

    /// Takes a value that must be there.
    pub(crate) fn require<T: DeserializeOwned>(&mut self, key: &'static str, faults: &mut Faults) -> Option<T> {
        if !self.table.contains_key(key) {
            self.known.push(key);
            faults.add(self.path_of(key), "is missing");
            return None;
        }
        self.take(key, faults)
    }

    /// Reads the table under `key` with `read`; an absent one is read as an empty one.
    pub(crate) fn section<T>(&mut self, key: &'static str, faults: &mut Faults, read: impl FnOnce(&mut Self, &mut Faults) -> T) -> T {
        let table = match self.remove(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(_) => {
                faults.add(self.path_of(key), format_args!("must be a table: write [{}]", self.path_of(key)));
                Table::new()
            }
        };
        read_table(self.path_of(key), table, faults, read)
    }

    /// Reads every table of the array under `key` with `read`.
    pub(crate) fn each<T>(&mut self, key: &'static str, faults: &mut Faults, mut read: impl FnMut(&mut Self, &mut Faults) -> T) -> Vec<T> {
        let path = self.path_of(key);
        let items = match self.remove(key) {
            None => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(_) => {
                faults.add(path.clone(), format_args!("must be a list of tables: write [[{key}]]"));
                Vec::new()
            }
        };
        let mut read_all = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let path = format!("{path}[{index}]");
            if let Value::Table(table) = item {
                read_all.push(read_table(path, table, faults, &mut read));
            } else {
                faults.add(path, format_args!("must be a table: write [[{key}]]"));
            }
        }
        read_all
    }

    /// What nobody has taken is unknown.
    pub(crate) fn finish(self, faults: &mut Faults) {
        for key in self.table.keys() {
            faults.add(self.path_of(key), format_args!("is not a key here; known are {}", self.known.join(", ")));
        }
    }

    fn remove(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.table.remove(key)
    }
}

fn read_table<T>(path: String, table: Table, faults: &mut Faults, read: impl FnOnce(&mut Keys, &mut Faults) -> T) -> T {
    let mut keys = Keys { path, table, known: Vec::new() };
    let value = read(&mut keys, faults);
    keys.finish(faults);
    value
}
