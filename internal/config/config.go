// Package config reads the one TOML file. It knows shapes and defaults and what
// is wrong with a file, with line, key and remedy; what the values mean is the
// business of the packages that receive them.
package config

import "time"

// Config is the whole file. Default has the built-in values.
type Config struct {
	// Hostname is our name in EHLO, and the authserv-id (RFC 8601 section 2.5);
	// "" is the name of the host.
	Hostname string `toml:"hostname"`
	// Domains are ours: mail from outside to them is inbound.
	Domains []string `toml:"domains"`
	// LocalPart is "ignore-case" or "exact".
	LocalPart string `toml:"local_part"`
	// Postmaster receives alarms and is the author of notices.
	Postmaster string `toml:"postmaster"`

	Log        Log                `toml:"log"`
	Admin      Admin              `toml:"admin"`
	Limits     Limits             `toml:"limits"`
	Listeners  []Listener         `toml:"listener"`
	NextHop    NextHop            `toml:"next_hop"`
	Queue      Queue              `toml:"queue"`
	Identities Identities         `toml:"identities"`
	Trust      Trust              `toml:"trust"`
	Directory  []Directory        `toml:"directory"`
	Lookup     Lookup             `toml:"lookup"`
	Profiles   map[string]Profile `toml:"profile"`
	Rules      []Rule             `toml:"rule"`
	Inbound    Inbound            `toml:"inbound"`
}

// Log is the section [log].
type Log struct {
	Level  string `toml:"level"`  // debug, info, warn, error
	Format string `toml:"format"` // text, json
}

// Admin is the section [admin]: metrics and health over HTTP.
type Admin struct {
	Address string `toml:"address"` // "" is off
}

// Limits is the section [limits].
type Limits struct {
	MessageSize  int           `toml:"message_size"` // octets
	Recipients   int           `toml:"recipients"`
	Connections  int           `toml:"connections"`
	Memory       int           `toml:"memory"` // octets of messages in work at once
	ReadTimeout  time.Duration `toml:"read_timeout"`
	WriteTimeout time.Duration `toml:"write_timeout"`
	Drain        time.Duration `toml:"drain"` // how long SIGTERM waits
}

// Listener is one [[listener]].
type Listener struct {
	Name     string `toml:"name"`
	Protocol string `toml:"protocol"` // milter, lmtp, smtp
	// Address is "host:port", "unix:/path" or "systemd:NAME".
	Address string `toml:"address"`
	// Direction is outbound, inbound or auto: outbound for entitled clients
	// (authenticated, or in Networks), inbound for all others.
	Direction string   `toml:"direction"`
	Networks  []string `toml:"networks"` // CIDR, of entitled clients
	TLSCert   string   `toml:"tls_certificate"`
	TLSKey    string   `toml:"tls_key"`
	// NextHop overrides the section for this listener where set.
	NextHop string `toml:"next_hop"`
}

// NextHop is the section [next_hop]: where messages go from LMTP, the relay,
// and the queue.
type NextHop struct {
	Address string        `toml:"address"` // host:port, unix:/path
	TLS     string        `toml:"tls"`     // off, opportunistic, require
	CA      string        `toml:"ca"`
	Timeout time.Duration `toml:"timeout"`
}

// Queue is the section [queue].
type Queue struct {
	Path     string          `toml:"path"` // SQLite file
	Lifetime time.Duration   `toml:"lifetime"`
	Retry    []time.Duration `toml:"retry"` // waits between attempts; the last repeats
	Workers  int             `toml:"workers"`
	MaxSize  int             `toml:"max_size"` // messages
}

// Identities is the section [identities].
type Identities struct {
	// Path is a folder of .p12, .pfx and .pem files; NAME.password beside a
	// file, or PasswordFile, opens it.
	Path         string `toml:"path"`
	PasswordFile string `toml:"password_file"`
}

// Trust is the section [trust].
type Trust struct {
	Anchors       []string      `toml:"anchors"`       // files or folders
	Intermediates []string      `toml:"intermediates"` // files or folders
	CRLs          []string      `toml:"crls"`          // files or folders
	Revocation    string        `toml:"revocation"`    // require, prefer, off
	Fetch         bool          `toml:"fetch"`         // ask CRL and OCSP addresses in certificates
	FetchTimeout  time.Duration `toml:"fetch_timeout"`
}

// Directory is one [[directory]]: a source of certificates, asked in order.
type Directory struct {
	Name    string   `toml:"name"`
	Type    string   `toml:"type"`    // ldap, files
	Domains []string `toml:"domains"` // asked only for these; empty: all
	Path    string   `toml:"path"`    // files: a folder
	// LDAP.
	URLs         []string      `toml:"urls"`
	BindDN       string        `toml:"bind_dn"`
	PasswordFile string        `toml:"password_file"`
	Base         string        `toml:"base"`
	Filter       string        `toml:"filter"`
	Attributes   []string      `toml:"attributes"`
	StartTLS     bool          `toml:"start_tls"`
	CA           string        `toml:"ca"`
	Timeout      time.Duration `toml:"timeout"`
	Connections  int           `toml:"connections"`
}

// Lookup is the section [lookup]: the cache in front of all directories.
type Lookup struct {
	Positive time.Duration `toml:"positive"`
	Negative time.Duration `toml:"negative"`
	Entries  int           `toml:"entries"`
}

// Profile is one [profile.NAME]: algorithms.
type Profile struct {
	Digest       string `toml:"digest"`        // sha-256, sha-384, sha-512
	Signature    string `toml:"signature"`     // pkcs1, pss
	Cipher       string `toml:"cipher"`        // auto or a name
	KeyTransport string `toml:"key_transport"` // pkcs1, oaep
	Opaque       bool   `toml:"opaque"`
}

// Rule is one [[rule]]. The first that matches a recipient decides.
type Rule struct {
	Name string `toml:"name"`
	// Conditions: all that are given must hold. A pattern is an address, a
	// domain ("example.com"), its subdomains (".example.com") or a glob.
	Direction       string   `toml:"direction"`
	Sender          []string `toml:"sender"`
	ExceptSender    []string `toml:"except_sender"`
	Recipient       []string `toml:"recipient"`
	ExceptRecipient []string `toml:"except_recipient"`
	// Actions.
	Sign          string `toml:"sign"`           // require, prefer, never
	Encrypt       string `toml:"encrypt"`        // require, prefer, never
	NoCertificate string `toml:"no_certificate"` // reject, reject-message, strip
	Unavailable   string `toml:"unavailable"`    // defer, plain: only with encrypt = "prefer"
	Profile       string `toml:"profile"`
	// Line is where the rule stands in the file.
	Line int `toml:"-"`
}

// Inbound is the section [inbound].
type Inbound struct {
	Verify     bool   `toml:"verify"`
	Decrypt    bool   `toml:"decrypt"`
	Revocation string `toml:"revocation"` // "" is the one of [trust]
}
