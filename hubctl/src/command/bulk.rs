//! `hubctl device import` and `export`: the registry as a file of bulk items.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::{fs, io};

use hubctl::HubClient;
use model::Identity;
use model::api::{BulkError, BulkItem, Device, Module, Twin, TwinProperties};
use model::limits::{BULK_OPERATIONS_MAX, SERVICE_BODY_BYTES_MAX};
use serde::Serialize;
use serde_json::Value;

use super::read_text;
use crate::args::ImportMode;
use crate::exit::Failure;
use crate::output::{Output, Table};

/// Room in a request's body for the items; the rest is brackets and commas.
const ITEMS_BYTES_MAX: usize = SERVICE_BODY_BYTES_MAX - 1024;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Imported {
    operations: usize,
    errors: Vec<BulkError>,
}

pub(super) async fn import<W: Write>(
    hub: &HubClient,
    output: &mut Output<W>,
    file: &Path,
    mode: Option<ImportMode>,
) -> Result<(), Failure> {
    let mut items = parse(&read_text(file)?).map_err(|reason| Failure::Input { path: file.to_owned(), reason })?;
    if let Some(mode) = mode {
        items.iter_mut().for_each(|item| item.import_mode = Some(mode.as_str().to_owned()));
    }
    let mut imported = Imported { operations: items.len(), errors: Vec::new() };
    for chunk in chunks(&items) {
        imported.errors.extend(hub.bulk(chunk).await?.errors);
    }
    output.result(&imported, |imported| {
        let row = |error: &BulkError| {
            let identity = [Some(error.device_id.as_str()), error.module_id.as_deref()].into_iter().flatten().collect::<Vec<_>>();
            vec![identity.join("/"), error.error_code.clone(), error.error_status.clone()]
        };
        match imported.errors.as_slice() {
            [] => Table::fields([("operations", imported.operations.to_string())]),
            errors => Table::rows(&["refused", "error", "reason"], errors.iter().map(row)),
        }
    })?;
    match imported.errors.len() {
        0 => Ok(()),
        refused => Err(Failure::Partly { refused, all: imported.operations }),
    }
}

/// One array, or one object a line; empty lines do not count.
fn parse(text: &str) -> Result<Vec<BulkItem>, String> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(|error| error.to_string());
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines.map(|(index, line)| serde_json::from_str(line).map_err(|error| format!("line {}: {error}", index + 1))).collect()
}

/// Cuts `items` into requests within the limits of count and size.
fn chunks(items: &[BulkItem]) -> Vec<&[BulkItem]> {
    let mut chunks = Vec::new();
    let (mut rest, mut bytes, mut length) = (items, 0, 0);
    for item in items {
        let item_bytes = serde_json::to_vec(item).map_or(0, |json| json.len() + 1);
        if length == BULK_OPERATIONS_MAX || (length > 0 && bytes + item_bytes > ITEMS_BYTES_MAX) {
            let (chunk, after) = rest.split_at(length);
            chunks.push(chunk);
            (rest, bytes, length) = (after, 0, 0);
        }
        bytes += item_bytes;
        length += 1;
    }
    if !rest.is_empty() {
        chunks.push(rest);
    }
    chunks
}

pub(super) async fn export<W: Write>(hub: &HubClient, output: &mut Output<W>, file: &Path) -> Result<(), Failure> {
    if file == Path::new("-") {
        write_registry(hub, |line| Ok(output.line(line)?)).await?;
        return Ok(());
    }
    let failed = |source: io::Error| Failure::Write { path: file.to_owned(), source };
    // The file holds keys.
    let opened = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file).map_err(failed)?;
    let mut writer = io::BufWriter::new(opened);
    let count = write_registry(hub, |line| writeln!(writer, "{line}").map_err(failed)).await?;
    writer.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all()).map_err(failed)?;
    Ok(output.result(&serde_json::json!({"identities": count}), |_| {
        Table::fields([("identities", count.to_string()), ("file", file.display().to_string())])
    })?)
}

async fn write_registry(hub: &HubClient, mut write: impl FnMut(&str) -> Result<(), Failure>) -> Result<usize, Failure> {
    let mut count = 0;
    let devices = hub.devices(usize::MAX).await?;
    let registered = hub.device_count().await?;
    // A page that came without a continuation may be all that a hub lists.
    if registered > devices.len() as u64 {
        return Err(Failure::Incomplete { listed: devices.len(), registered });
    }
    for device in devices {
        let Ok(identity) = device.device_id.parse::<Identity>() else { continue };
        let twin = hub.twin(&identity).await?;
        write(&to_line(&device_item(&device, twin))?)?;
        count += 1;
        for module in hub.modules(&identity).await? {
            let Ok(identity) = format!("{}/{}", module.device_id, module.module_id).parse::<Identity>() else { continue };
            let twin = hub.twin(&identity).await?;
            write(&to_line(&module_item(&module, twin))?)?;
            count += 1;
        }
    }
    Ok(count)
}

fn to_line(item: &BulkItem) -> Result<String, Failure> {
    serde_json::to_string(item).map_err(|error| Failure::Output(error.into()))
}

fn device_item(device: &Device, twin: Twin) -> BulkItem {
    BulkItem {
        module_id: None,
        status: Some(device.status),
        status_reason: device.status_reason.clone(),
        authentication: Some(device.authentication.clone()),
        capabilities: Some(device.capabilities),
        ..creation(&device.device_id, twin)
    }
}

fn module_item(module: &Module, twin: Twin) -> BulkItem {
    BulkItem {
        module_id: Some(module.module_id.clone()),
        authentication: Some(module.authentication.clone()),
        ..creation(&module.device_id, twin)
    }
}

fn creation(device: &str, twin: Twin) -> BulkItem {
    let desired = twin.properties.desired.map(without_annotations);
    BulkItem {
        id: device.to_owned(),
        module_id: None,
        etag: None,
        import_mode: Some("create".into()),
        status: None,
        status_reason: None,
        authentication: None,
        twin_etag: None,
        tags: twin.tags.map(Value::Object),
        properties: Some(TwinProperties { desired, reported: None }),
        capabilities: None,
    }
}

/// `$metadata` and `$version` are the hub's own and may not be written back.
fn without_annotations(desired: Value) -> Value {
    match desired {
        Value::Object(map) => Value::Object(map.into_iter().filter(|(key, _)| !key.starts_with('$')).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_and_lines_read_the_same() {
        let lines = "{\"id\":\"d1\",\"importMode\":\"create\"}\n\n{\"id\":\"d2\"}\n";
        let array = "[{\"id\":\"d1\",\"importMode\":\"create\"},{\"id\":\"d2\"}]";
        assert_eq!(parse(lines), parse(array));
        assert_eq!(parse(lines).map(|items| items.len()), Ok(2));
        assert!(parse("{\"id\":\"d1\"}\nnonsense").expect_err("line 2 is broken").starts_with("line 2: "));
    }

    #[test]
    fn requests_stay_within_count_and_size() {
        let item =
            |bytes: usize| BulkItem { tags: Some(Value::String("x".repeat(bytes))), ..parse("{\"id\":\"d\"}").expect("an item").remove(0) };
        let lengths = |items: &[BulkItem]| chunks(items).iter().map(|chunk| chunk.len()).collect::<Vec<_>>();
        assert_eq!(lengths(&[]), Vec::<usize>::new());
        assert_eq!(lengths(&vec![item(1); 250]), [100, 100, 50]);
        assert_eq!(lengths(&vec![item(200_000); 5]), [2, 2, 1]);
        assert_eq!(lengths(&vec![item(600_000); 2]), [1, 1]);
    }

    #[test]
    fn the_hubs_annotations_are_not_exported() {
        let desired = serde_json::json!({"a": {"$b": 1}, "$version": 3, "$metadata": {}});
        assert_eq!(without_annotations(desired), serde_json::json!({"a": {"$b": 1}}));
    }
}
