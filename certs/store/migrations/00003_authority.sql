-- Our own authorities are few, and asked for whenever the gateway starts or trust
-- changes.
CREATE INDEX store_certificate_authority ON store_certificate (origin) WHERE origin = 'authority';
