-- Commands are found by their expiry; outcomes of commands are told to those who
-- asked.

CREATE INDEX commands_by_expiry ON commands (expiry, identity, sequence);

CREATE TABLE feedback_messages (
    sequence       INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id     TEXT    NOT NULL,
    delivery_count INTEGER NOT NULL,
    enqueued       INTEGER NOT NULL,
    expiry         INTEGER NOT NULL
) STRICT;

CREATE TABLE feedback_records (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order of the outcomes
    message    INTEGER REFERENCES feedback_messages (sequence) ON DELETE CASCADE, -- null until there is one
    identity   INTEGER NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    message_id TEXT    NOT NULL, -- the command's
    status     INTEGER NOT NULL, -- 0 success, 1 expired, 2 delivery count exceeded, 3 rejected, 4 purged
    time       INTEGER NOT NULL
) STRICT;

CREATE INDEX feedback_records_by_message ON feedback_records (message);
CREATE INDEX feedback_records_by_identity ON feedback_records (identity);
