package config

import "strings"

// renamed has the new name of each option that had another one before the first
// release. An old name is not accepted, for one thing has one name: it is a
// problem whose remedy is the new name.
var renamed = map[string]string{
	"ca.key":              "key_type",
	"ca.per_hour":         "max_per_hour",
	"ca.separate":         "separate_keys",
	"directory.external":  "sasl_external",
	"directory.nested":    "nested_groups",
	"expiry.before":       "warn_before",
	"identities.overlap":  "decrypt_after_expiry",
	"limits.drain":        "shutdown_timeout",
	"limits.errors":       "errors_per_connection",
	"limits.heap":         "memory_limit",
	"limits.memory":       "message_memory",
	"limits.per_address":  "connections_per_address",
	"queue.hold":          "hold_lifetime",
	"queue.recheck":       "hold_recheck",
	"rule.agree":          "from_alignment",
	"trust.cache":         "fetch_cache",
	"trust.fetch_issuers": "fetch_intermediates",
	"trust.stale":         "revocation_grace",
}

// newName returns the name that the option key of the table at path has now, ""
// when it was not renamed. An element of an array counts as its table:
// "rule[2]" is "rule".
func newName(path, key string) string {
	table, _, _ := strings.Cut(path, "[")
	return renamed[join(table, key)]
}
