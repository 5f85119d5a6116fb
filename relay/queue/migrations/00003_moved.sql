-- Messages that came from another queue and may still be there too.
CREATE TABLE smimerelay_moved (mark TEXT PRIMARY KEY);
