-- Times are milliseconds since 1970. Rows of an identity go with it.

CREATE TABLE identities (
    id                   INTEGER PRIMARY KEY AUTOINCREMENT,
    device               TEXT    NOT NULL,
    module               TEXT    NOT NULL, -- empty for the device itself
    generation           TEXT    NOT NULL,
    etag                 TEXT    NOT NULL,
    disabled             INTEGER NOT NULL,
    status_reason        TEXT,
    status_updated       INTEGER NOT NULL,
    authentication       INTEGER NOT NULL, -- 0 keys, 1 thumbprints, 2 certificate authority, 3 none
    primary_credential   TEXT,             -- a key in base64 or a thumbprint in hexadecimal
    secondary_credential TEXT,
    iot_edge             INTEGER NOT NULL,
    managed_by           TEXT,
    connection_updated   INTEGER NOT NULL,
    last_activity        INTEGER NOT NULL,
    model_id             TEXT    NOT NULL,
    last_command         INTEGER NOT NULL, -- sequence number given last
    UNIQUE (device, module)
) STRICT;

CREATE TABLE twins (
    identity          INTEGER PRIMARY KEY REFERENCES identities (id) ON DELETE CASCADE,
    version           INTEGER NOT NULL,
    etag              INTEGER NOT NULL,
    tags              TEXT    NOT NULL,
    desired           TEXT    NOT NULL,
    desired_metadata  TEXT    NOT NULL,
    desired_version   INTEGER NOT NULL,
    reported          TEXT    NOT NULL,
    reported_metadata TEXT    NOT NULL,
    reported_version  INTEGER NOT NULL
) STRICT;

CREATE TABLE commands (
    identity       INTEGER NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    sequence       INTEGER NOT NULL,
    message_id     TEXT    NOT NULL,
    delivery_count INTEGER NOT NULL,
    enqueued       INTEGER NOT NULL,
    expiry         INTEGER NOT NULL,
    ack            TEXT    NOT NULL,
    properties     TEXT    NOT NULL, -- as a property bag, the form they are delivered in
    body           BLOB    NOT NULL,
    UNIQUE (identity, sequence)
) STRICT;

CREATE TABLE dead_letters (
    identity       INTEGER NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    sequence       INTEGER NOT NULL,
    message_id     TEXT    NOT NULL,
    delivery_count INTEGER NOT NULL,
    enqueued       INTEGER NOT NULL,
    expiry         INTEGER NOT NULL,
    ack            TEXT    NOT NULL,
    properties     TEXT    NOT NULL,
    body           BLOB    NOT NULL,
    reason         INTEGER NOT NULL, -- 0 expired, 1 rejected, 2 delivery count exceeded
    time           INTEGER NOT NULL,
    UNIQUE (identity, sequence)
) STRICT;

CREATE TABLE subscriptions (
    identity INTEGER PRIMARY KEY REFERENCES identities (id) ON DELETE CASCADE,
    filters  TEXT NOT NULL -- [{"filter","qos"}]
) STRICT;

CREATE TABLE certificate_authorities (
    thumbprint  TEXT PRIMARY KEY,
    certificate TEXT    NOT NULL,
    state       INTEGER NOT NULL, -- 0 unverified, 1 enabled, 2 disabled
    id_scope    TEXT    NOT NULL, -- ["prefix"]
    enrolled    INTEGER NOT NULL
) STRICT;

CREATE TABLE policies (
    name      TEXT PRIMARY KEY,
    "primary" TEXT    NOT NULL,
    secondary TEXT    NOT NULL,
    rights    INTEGER NOT NULL
) STRICT;

CREATE TABLE event_hubs (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL UNIQUE,
    partitions INTEGER NOT NULL,
    created    INTEGER NOT NULL
) STRICT;
