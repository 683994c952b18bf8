//! The commands, a file for each noun.

mod bulk;
mod ca;
mod cert;
#[expect(clippy::module_inception, reason = "`command` is also the name of a noun")]
mod command;
mod dead_letters;
mod device;
mod event;
mod event_send;
mod feedback;
mod file;
mod hub;
mod hub_groups;
mod hub_policy;
mod identity;
mod method;
mod module;
mod registered;
mod twin;

use std::io::{Read, Write};
use std::path::Path;
use std::{fs, io};

use hubctl::HubClient;
use model::{Clock, Timestamp};

use crate::args::{Arguments, Noun};
use crate::exit::Failure;
use crate::output::Output;

/// Carries out what the command line asks for.
pub(crate) async fn run<W: Write>(arguments: Arguments, mut output: Output<W>, clock: Clock) -> Result<(), Failure> {
    let options = arguments.global.connect_options();
    let hub = || -> Result<HubClient, Failure> { Ok(options.connect(clock.clone())?) };
    let output = &mut output;
    match arguments.noun {
        Noun::Device(verb) => device::run(&hub()?, output, verb).await,
        Noun::Module(verb) => module::run(&hub()?, output, verb).await,
        Noun::Twin(verb) => twin::run(&hub()?, output, verb).await,
        Noun::Method(verb) => method::run(&hub()?, output, verb).await,
        Noun::Command(verb) => command::run(&hub()?, output, verb, &clock).await,
        Noun::Event(verb) => event::run(&hub()?, output, verb).await,
        Noun::File(verb) => file::run(&hub()?, output, verb).await,
        Noun::Hub(verb) => hub::run(&hub()?, output, verb).await,
        Noun::Cert(verb) => cert::run(&options, output, verb, &clock).await,
        Noun::Ca(verb) => ca::run(&hub()?, output, verb).await,
    }
}

/// Reads a file of the user's, `-` being the standard input.
fn read_input(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    read.map_err(|error| Failure::Input { path: path.to_owned(), reason: error.to_string() })
}

/// A word for people beside the results; where they cannot be told, what was asked for counts.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "hubctl: {text}");
}

/// A number of things, in words.
fn counted(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read_input(path)?).map_err(|_| Failure::Input { path: path.to_owned(), reason: "this is not UTF-8 text".into() })
}

/// A moment for people: one that never was has no date.
fn moment(time: Timestamp) -> String {
    if time == Timestamp::NEVER { String::from("never") } else { time.to_string() }
}

/// An API value's name as JSON writes it (`enabled`, `selfSigned`).
fn name(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}
