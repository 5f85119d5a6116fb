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

// foreign has what is set here for options of Postfix, and for what other programs call
// their own: names that are not near those of the options.
var foreign = map[string]string{
	"bind":                    "address in [[listener]]",
	"bind_address":            "address in [[listener]]",
	"bind_password":           "password_file, to a file with the password",
	"inet_interfaces":         "address in [[listener]]",
	"listen":                  "address in [[listener]]",
	"log_level":               "level in [log]",
	"logging":                 "[log]",
	"loglevel":                "level in [log]",
	"message_size_limit":      "message_size in [limits]",
	"metrics":                 "address in [admin], which serves /metrics",
	"milters":                 "[[listener]] with protocol = \"milter\", and smtpd_milters in Postfix",
	"mydestination":           "domains",
	"mydomain":                "domains",
	"myhostname":              "hostname",
	"mynetworks":              "networks in [[listener]]",
	"password":                "a file with the password: password_file or secret_file, where the table has it",
	"port":                    "address, with the port: host:port",
	"prometheus":              "address in [admin], which serves /metrics",
	"relay_domains":           "domains",
	"relayhost":               "address in [next_hop]",
	"server":                  "address in [next_hop], or urls in [[directory]]",
	"smarthost":               "address in [next_hop]",
	"virtual_mailbox_domains": "domains",
}
