-- +goose Up
-- Browsers in which an account has signed in: their attempts are counted apart, so that no one
-- else can lock the account for them.
CREATE TABLE console_device (
	digest  TEXT   NOT NULL PRIMARY KEY,
	name    TEXT   NOT NULL REFERENCES console_user (name) ON DELETE CASCADE,
	expires BIGINT NOT NULL
);
CREATE INDEX console_device_name ON console_device (name, expires);
