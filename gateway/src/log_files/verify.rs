//! The report of `isthmus log verify`.

use std::io::{self, Write};

use event_log::{FileKind, LogReport};
use serde_json::{Value, json};

use super::names::HubNames;

fn name(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Segment => "segment",
        FileKind::Prepared => "prepared",
        FileKind::Spare => "spare",
        FileKind::Sealed => "sealed",
        FileKind::Superseded => "superseded",
    }
}

/// For people: a line a file, a partition, a fault, and the verdict.
pub(super) fn write_text(report: &LogReport, names: &HubNames, out: &mut dyn Write) -> io::Result<()> {
    for file in &report.files {
        let (path, kind) = (file.path.display(), name(file.kind));
        writeln!(out, "{path}: {kind}, {} bytes, {} groups, {} batches, {} events", file.bytes, file.groups, file.batches, file.events)?;
    }
    for part in &report.partitions {
        let (hub, partition, first, end) = (names.label(part.hub), part.partition, part.first, part.end);
        writeln!(out, "hub {hub} partition {partition}: from {first} to before {end}, {} events, {} bytes", part.events, part.bytes)?;
    }
    if let Some((path, at)) = &report.torn_tail {
        writeln!(out, "{}: at byte {at} the last write is torn; it was never acknowledged", path.display())?;
    }
    for damage in &report.damage {
        writeln!(out, "{}: at byte {} does not verify: {}", damage.path.display(), damage.at, damage.what)?;
    }
    for lost in &report.lost {
        writeln!(out, "hub {} partition {}: events {} to {} are lost", names.label(lost.hub), lost.partition, lost.from, lost.to)?;
    }
    writeln!(out, "{}", if report.is_sound() { "sound" } else { "damaged" })
}

/// For programs: one object.
pub(super) fn write_json(report: &LogReport, names: &HubNames, out: &mut dyn Write) -> io::Result<()> {
    let files = report.files.iter().map(|file| {
        let (path, kind) = (file.path.to_string_lossy(), name(file.kind));
        json!({"path": path, "kind": kind, "bytes": file.bytes, "groups": file.groups, "batches": file.batches, "events": file.events})
    });
    let partitions = report.partitions.iter().map(|part| {
        let (hub, name, partition) = (part.hub.0, names.get(part.hub), part.partition.0);
        let (first, end, events, bytes) = (part.first.0, part.end.0, part.events, part.bytes);
        json!({"hub": hub, "hubName": name, "partition": partition, "first": first, "end": end, "events": events, "bytes": bytes})
    });
    let damage =
        report.damage.iter().map(|damage| json!({"path": damage.path.to_string_lossy(), "at": damage.at, "what": damage.what.to_string()}));
    let lost = report.lost.iter().map(|lost| {
        let (hub, name, partition) = (lost.hub.0, names.get(lost.hub), lost.partition.0);
        json!({"hub": hub, "hubName": name, "partition": partition, "gap": [lost.from.0, lost.to.0]})
    });
    let torn_tail = report.torn_tail.as_ref().map(|(path, at)| json!({"path": path.to_string_lossy(), "at": at}));
    let report = json!({
        "sound": report.is_sound(),
        "files": files.collect::<Vec<Value>>(),
        "partitions": partitions.collect::<Vec<Value>>(),
        "damage": damage.collect::<Vec<Value>>(),
        "lost": lost.collect::<Vec<Value>>(),
        "tornTail": torn_tail,
    });
    writeln!(out, "{report}")
}
