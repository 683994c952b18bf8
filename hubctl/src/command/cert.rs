//! `hubctl cert …`: works on files alone. A hub that runs is asked whether it knows the device, and
//! its answer changes nothing but a warning.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use certs::issue::Issuer;
use certs::show::CertificateSummary;
use hubctl::{ConnectOptions, DataDirectory};
use model::{Clock, Identity, ModuleId};
use serde::Serialize;

use super::{read_text, registered};
use crate::args::CertVerb;
use crate::exit::Failure;
use crate::output::{Format, Output, Table};

pub(super) async fn run<W: Write>(options: &ConnectOptions, output: &mut Output<W>, verb: CertVerb, clock: &Clock) -> Result<(), Failure> {
    match verb {
        CertVerb::Issue { id, out, lifetime } => {
            let issued = issue(&options.data_directory(), &id, &out, lifetime, clock)?;
            output.result(&issued, |issued| {
                Table::fields([("certificate", issued.certificate.display().to_string()), ("key", issued.key.display().to_string())])
            })?;
            // Without a hub there is nobody to ask, and nothing amiss.
            if let Ok(hub) = options.connect(clock.clone()) {
                registered::warn_unless_certified(&hub, &id).await;
            }
            Ok(())
        }
        CertVerb::Show { file } => show(output, &file),
    }
}

#[derive(Serialize)]
struct Issued {
    certificate: PathBuf,
    key: PathBuf,
}

fn issue(directory: &DataDirectory, identity: &Identity, out: &Path, lifetime: Duration, clock: &Clock) -> Result<Issued, Failure> {
    let (certificate, key) = (directory.device_ca_certificate(), directory.device_ca_key());
    let read = |path: &Path| match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) => Err(Failure::Usage(format!(
            "{} cannot be read ({error}); --data-dir must name a directory in which `isthmus dev` has run",
            path.display()
        ))),
    };
    let issuer = Issuer::from_pem(&read(&certificate)?, &read(&key)?).map_err(|error| not_made(&error))?;
    let issued = issuer.issue_device(identity, clock.now(), lifetime).map_err(|error| not_made(&error))?;
    let files = files(identity, out)?;
    write(&files.certificate, &issued.chain_pem, 0o644)?;
    write(&files.key, &issued.key_pem, 0o600)?;
    Ok(files)
}

fn not_made(error: &certs::issue::IssueError) -> Failure {
    Failure::Certificate(format!("no certificate was made: {error}"))
}

/// `DIR/ID.crt` and `DIR/ID.key`, a module's in `DIR/DEVICE/`.
fn files(identity: &Identity, out: &Path) -> Result<Issued, Failure> {
    let device = identity.device.as_str();
    if identity.module.is_some() && (device == "." || device == "..") {
        return Err(Failure::Usage(format!("{device:?} cannot be the name of a directory")));
    }
    let (directory, name) = match &identity.module {
        None => (out.to_owned(), device),
        Some(module) => (out.join(device), ModuleId::as_str(module)),
    };
    Ok(Issued { certificate: directory.join(format!("{name}.crt")), key: directory.join(format!("{name}.key")) })
}

/// Writes a new file beside the old one and renames it, so that its mode holds from the first
/// byte on and no reader sees half of it.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let written = || -> io::Result<()> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        if new.exists() {
            fs::remove_file(&new)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    written().map_err(|source| Failure::Write { path: path.to_owned(), source })
}

fn show<W: Write>(output: &mut Output<W>, file: &Path) -> Result<(), Failure> {
    let summaries =
        certs::show::summarize(&read_text(file)?).map_err(|error| Failure::Input { path: file.to_owned(), reason: error.to_string() })?;
    match output.format() {
        Format::Json => output.document(&summaries)?,
        Format::Table => {
            for (index, summary) in summaries.iter().enumerate() {
                if index > 0 {
                    output.line("")?;
                }
                output.result(summary, details)?;
            }
        }
    }
    Ok(())
}

fn details(summary: &CertificateSummary) -> Table {
    Table::fields([
        ("subject", summary.subject.clone()),
        ("issuer", summary.issuer.clone()),
        ("serial", summary.serial.clone()),
        ("version", summary.version.to_string()),
        ("valid from", summary.not_before.to_string()),
        ("expires", summary.not_after.to_string()),
        ("key", summary.key.clone()),
        ("may sign certificates", if summary.ca { "yes".into() } else { "no".into() }),
        ("purposes", summary.purposes.join(" ")),
        ("names", summary.names.join(" ")),
        ("sha256", summary.sha256.clone()),
        ("sha1", summary.sha1.clone()),
    ])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn data_directory(root: &Path, clock: &Clock) -> DataDirectory {
        let directory = DataDirectory::new(root);
        let ca = Issuer::create("development", clock.now(), Duration::from_secs(3600)).expect("a CA");
        fs::create_dir_all(root.join("operator")).expect("a directory");
        fs::write(directory.device_ca_certificate(), ca.certificate_pem()).expect("written");
        fs::write(directory.device_ca_key(), ca.key_pem().as_bytes()).expect("written");
        directory
    }

    #[test]
    fn a_certificate_and_its_private_key_are_written_where_promised() {
        let root = tempfile::tempdir().expect("a directory");
        let clock = Clock::system();
        let directory = data_directory(root.path(), &clock);
        let out = root.path().join("certs");
        for (identity, stem) in [("d1", "d1"), ("d1/m1", "d1/m1")] {
            let id: Identity = identity.parse().expect("an identity");
            let issued = issue(&directory, &id, &out, Duration::from_secs(60), &clock).expect("issued");
            assert_eq!(issued.certificate, out.join(format!("{stem}.crt")));
            let mode = fs::metadata(out.join(format!("{stem}.key"))).expect("a key").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let summaries = certs::show::summarize(&fs::read_to_string(&issued.certificate).expect("text")).expect("a certificate");
            assert_eq!(summaries.first().map(|leaf| leaf.subject.clone()), Some(format!("CN={identity}")));
            issue(&directory, &id, &out, Duration::from_secs(60), &clock).expect("issued again");
        }
    }

    #[test]
    fn a_device_cannot_lead_out_of_the_directory() {
        let identity: Identity = "../m1".parse().expect("an id that is valid and yet a path");
        assert!(files(&identity, Path::new("certs")).is_err());
    }

    #[test]
    fn without_a_development_ca_the_way_out_is_named() {
        let root = tempfile::tempdir().expect("a directory");
        let id: Identity = "d1".parse().expect("an identity");
        let failure = issue(&DataDirectory::new(root.path()), &id, root.path(), Duration::from_secs(60), &Clock::system());
        let text = failure.err().expect("no CA").to_string();
        assert!(text.contains("isthmus dev"), "{text}");
    }
}
