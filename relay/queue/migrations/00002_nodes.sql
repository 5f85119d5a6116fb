-- Where a delivery goes: those of one destination share its fate.
ALTER TABLE smimerelay_delivery ADD COLUMN destination TEXT NOT NULL DEFAULT '';
-- The processes that work on the queue, and until when the jobs that they have are
-- theirs (Unix time in milliseconds, of the server). A file has one process, and none here.
CREATE TABLE smimerelay_node (
	name  TEXT PRIMARY KEY,
	until BIGINT NOT NULL
);
