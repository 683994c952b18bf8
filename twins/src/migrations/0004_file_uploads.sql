-- Uploads of files that devices have begun and not yet told the end of, and what the service is
-- to be told of those that ended well. The files themselves lie beside the database.

CREATE TABLE file_uploads (
    id        TEXT    PRIMARY KEY, -- the correlation id
    identity  INTEGER NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    container TEXT    NOT NULL,
    blob      TEXT    NOT NULL,
    expiry    INTEGER NOT NULL
) STRICT;

CREATE INDEX file_uploads_by_identity ON file_uploads (identity);

CREATE TABLE file_notifications (
    sequence       INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id     TEXT    NOT NULL,
    delivery_count INTEGER NOT NULL,
    enqueued       INTEGER NOT NULL,
    expiry         INTEGER NOT NULL,
    device         TEXT    NOT NULL,
    blob_uri       TEXT    NOT NULL,
    blob_name      TEXT    NOT NULL,
    last_updated   INTEGER NOT NULL,
    size           INTEGER NOT NULL
) STRICT;
