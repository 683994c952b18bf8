//! Files that devices upload, and what the service is told of them.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What a device wants to upload, `POST /devices/{d}/files`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileUploadRequest {
    /// The file's name, without the device's.
    pub blob_name: String,
}

/// Where a device is to put its file: `https://{hostName}/{containerName}/{blobName}{sasToken}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileUploadStarted {
    /// Names the upload when its end is told.
    pub correlation_id: String,
    /// Host, and port unless it is 443.
    pub host_name: String,
    /// The container.
    pub container_name: String,
    /// The device's id, a slash, and the file's name.
    pub blob_name: String,
    /// A query that lets its holder write this one file, beginning with `?`.
    pub sas_token: String,
}

/// How an upload ended, `POST /devices/{d}/files/notifications`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileUploadEnded {
    /// Which upload; absent where the path names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Whether the file is there.
    pub is_success: bool,
    /// The status that the storage answered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<i64>,
    /// Words that go with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_description: Option<String>,
}

/// What the service is told of a file that was uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileNotification {
    /// Who uploaded it.
    pub device_id: String,
    /// Where it is; reading it takes more than knowing that.
    pub blob_uri: String,
    /// The device's id, a slash, and the file's name.
    pub blob_name: String,
    /// When it was written.
    pub last_updated_time: Timestamp,
    /// Its size.
    pub blob_size_in_bytes: u64,
    /// When the device said that it is done.
    pub enqueued_time_utc: Timestamp,
}

/// An uploaded file. Ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileInfo {
    /// The container it is in.
    pub container_name: String,
    /// The device's id, a slash, and the file's name.
    pub blob_name: String,
    /// Who uploaded it.
    pub device_id: String,
    /// Its size.
    pub blob_size_in_bytes: u64,
    /// When it was written.
    pub last_updated_time: Timestamp,
    /// Changes with its content.
    pub etag: String,
}

/// A way to read a file for a while, without any other right. Ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileLink {
    /// Where to read it; whoever knows this can.
    pub uri: String,
    /// Until when.
    pub expiry_time: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_upload_is_read_in_both_of_its_forms() {
        let read = |json: &str| serde_json::from_str::<FileUploadEnded>(json).expect(json);
        let full = read(r#"{"correlationId":"ab","isSuccess":true,"statusCode":200,"statusDescription":"OK"}"#);
        assert_eq!((full.correlation_id.as_deref(), full.is_success, full.status_code), (Some("ab"), true, Some(200)));
        let older = read(r#"{"isSuccess":false,"statusCode":-1,"statusDescription":null}"#);
        assert_eq!((older.correlation_id, older.is_success), (None, false));
        assert!(serde_json::from_str::<FileUploadEnded>("{}").is_err());
    }

    #[test]
    fn a_notification_is_written_as_service_sdks_read_it() {
        let time = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").expect("a date");
        let notification = FileNotification {
            device_id: "d".into(),
            blob_uri: "https://h/c/d/a.txt".into(),
            blob_name: "d/a.txt".into(),
            last_updated_time: time,
            blob_size_in_bytes: 7,
            enqueued_time_utc: time,
        };
        let json = r#"{"deviceId":"d","blobUri":"https://h/c/d/a.txt","blobName":"d/a.txt","lastUpdatedTime":"2026-01-01T00:00:00Z","blobSizeInBytes":7,"enqueuedTimeUtc":"2026-01-01T00:00:00Z"}"#;
        assert_eq!(serde_json::to_string(&notification).expect("written"), json);
    }
}
