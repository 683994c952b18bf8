-- Event hubs can be told how long they keep their events and how large those may be, and have
-- policies of their own. Those of before get the defaults.

ALTER TABLE event_hubs ADD COLUMN retention_time INTEGER NOT NULL DEFAULT 604800000; -- milliseconds
ALTER TABLE event_hubs ADD COLUMN retention_bytes INTEGER; -- null: no bound
ALTER TABLE event_hubs ADD COLUMN message_bytes_max INTEGER NOT NULL DEFAULT 1048576;
ALTER TABLE event_hubs ADD COLUMN topic_id BLOB NOT NULL DEFAULT x''; -- 16 random bytes

UPDATE event_hubs SET topic_id = randomblob(16);

CREATE TABLE event_hub_policies (
    event_hub INTEGER NOT NULL REFERENCES event_hubs (id) ON DELETE CASCADE,
    name      TEXT    NOT NULL,
    "primary" TEXT    NOT NULL, -- keys in base64
    secondary TEXT    NOT NULL,
    rights    INTEGER NOT NULL, -- 1 send, 2 listen, 7 manage
    PRIMARY KEY (event_hub, name)
) STRICT;
