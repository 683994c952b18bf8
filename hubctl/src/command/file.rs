//! `hubctl file …`

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hubctl::HubClient;
use hubctl::client::FileContent;
use model::api::FileInfo;

use super::{counted, note};
use crate::args::FileVerb;
use crate::exit::Failure;
use crate::output::{Output, Table};

pub(super) async fn run<W: Write>(hub: &HubClient, output: &mut Output<W>, verb: FileVerb) -> Result<(), Failure> {
    match verb {
        FileVerb::List { device } => {
            let files = hub.files(device.as_ref()).await?;
            Ok(output.result(&files, |files| overview(files))?)
        }
        FileVerb::Get { file, out } => {
            let out = out.unwrap_or_else(|| PathBuf::from(file.rsplit('/').next().unwrap_or_default()));
            let content = hub.file(&file).await?;
            if out == Path::new("-") {
                return write(content, &mut io::stdout().lock(), &out).await;
            }
            let mut target = File::create_new(&out).map_err(|source| Failure::Write { path: out.clone(), source })?;
            write(content, &mut target, &out).await?;
            Ok(output.done(&format!("wrote {}", out.display()))?)
        }
        FileVerb::Link { file, expiry } => {
            let link = hub.link_file(&file, expiry).await?;
            Ok(output.result(&link, |link| Table::fields([("link", link.uri.clone()), ("expires", link.expiry_time.to_string())]))?)
        }
        FileVerb::Delete { file } => {
            hub.delete_file(&file).await?;
            Ok(output.done(&format!("deleted {file}"))?)
        }
        FileVerb::Notifications { count, keep } => notifications(hub, output, count, keep).await,
    }
}

/// Nothing that is there already is overwritten, and what was begun in vain is there to see.
async fn write(mut content: FileContent, target: &mut impl Write, path: &Path) -> Result<(), Failure> {
    let failed = |source| Failure::Write { path: path.to_owned(), source };
    while let Some(piece) = content.next().await? {
        target.write_all(&piece).map_err(failed)?;
    }
    target.flush().map_err(failed)
}

/// Completed only once they are shown.
async fn notifications<W: Write>(hub: &HubClient, output: &mut Output<W>, count: usize, keep: bool) -> Result<(), Failure> {
    let mut received = Vec::new();
    while received.len() < count
        && let Some(next) = hub.receive_file_notification().await?
    {
        received.push(next);
    }
    let shown: Vec<_> = received.iter().map(|received| received.content.clone()).collect();
    output.result(&shown, |shown| {
        let row = |file: &model::api::FileNotification| {
            vec![file.enqueued_time_utc.to_string(), file.device_id.clone(), file.blob_size_in_bytes.to_string(), file.blob_uri.clone()]
        };
        Table::rows(&["enqueued", "device", "bytes", "address"], shown.iter().map(row))
    })?;
    for received in &received {
        if keep {
            hub.abandon_file_notification(&received.lock).await?;
        } else {
            hub.complete_file_notification(&received.lock).await?;
        }
    }
    note(&what_became_of(received.len(), keep));
    Ok(())
}

fn what_became_of(notifications: usize, kept: bool) -> String {
    match (counted(notifications, "notification"), kept) {
        (_, _) if notifications == 0 => "no notification waits".to_owned(),
        (notifications, false) => format!("done with, and not shown again: {notifications}"),
        (notifications, true) => format!("given back for the next reader: {notifications}"),
    }
}

fn overview(files: &[FileInfo]) -> Table {
    let row = |file: &FileInfo| {
        vec![format!("{}/{}", file.container_name, file.blob_name), file.blob_size_in_bytes.to_string(), file.last_updated_time.to_string()]
    };
    Table::rows(&["file", "bytes", "written"], files.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_says_what_became_of_what_was_read() {
        assert_eq!(what_became_of(0, false), "no notification waits");
        assert_eq!(what_became_of(1, false), "done with, and not shown again: 1 notification");
        assert_eq!(what_became_of(2, true), "given back for the next reader: 2 notifications");
    }
}
