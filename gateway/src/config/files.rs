//! `[files]`: what devices may upload.

use std::ops::RangeInclusive;
use std::time::Duration;

use model::limits::COMMAND_EXPIRY_MAX;

use super::faults::{Faults, Keys};
use super::units::{ByteSize, Span};
use crate::files::FileSettings;

/// Lives of uploads and of their notifications.
const LIFETIME: RangeInclusive<Duration> = Duration::from_secs(60)..=COMMAND_EXPIRY_MAX;
/// Uploads of one device under way.
const UPLOADS: RangeInclusive<usize> = 1..=1000;
/// What a file, and all files together, may be bounded to.
const BYTES: RangeInclusive<u64> = 4096..=1 << 50;

pub(super) fn read(keys: &mut Keys, faults: &mut Faults) -> FileSettings {
    let default = FileSettings::default();
    let path = keys.path_of("container");
    let container: Option<String> = keys.take("container", faults);
    let settings = FileSettings {
        container: container.and_then(|name| faults.check(&path, name.parse())).unwrap_or(default.container),
        upload_lifetime: lifetime(keys, "upload_lifetime", default.upload_lifetime, faults),
        notification_lifetime: lifetime(keys, "notification_lifetime", default.notification_lifetime, faults),
        file_bytes_max: size(keys, "file_size_max", default.file_bytes_max, faults),
        bytes_max: size(keys, "size_max", default.bytes_max, faults),
        uploads_max: keys.take_or("uploads_max", default.uploads_max, faults),
    };
    if !UPLOADS.contains(&settings.uploads_max) {
        faults.add(keys.path_of("uploads_max"), "must lie between 1 and 1000 uploads of a device");
    }
    settings
}

fn lifetime(keys: &mut Keys, key: &'static str, default: Duration, faults: &mut Faults) -> Duration {
    let Span(lifetime) = keys.take_or(key, Span(default), faults);
    if !LIFETIME.contains(&lifetime) {
        faults.add(keys.path_of(key), "must lie between 1m and 2days");
    }
    lifetime
}

fn size(keys: &mut Keys, key: &'static str, default: u64, faults: &mut Faults) -> u64 {
    let ByteSize(bytes) = keys.take_or(key, ByteSize(default), faults);
    if !BYTES.contains(&bytes) {
        faults.add(keys.path_of(key), "must lie between 4 KiB and 1024 TiB");
    }
    bytes
}
