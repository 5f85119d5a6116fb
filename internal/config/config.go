// Package config reads the one TOML file. It knows shapes and defaults and what
// is wrong with a file, with line, key and remedy; what the values mean is the
// business of the packages that receive them.
//
// The structs are the only description of the file. Each field carries its key
// (toml), one line of explanation (doc), and what a value must be: the words of
// an enumeration (enum), the least number or duration (min), whether it names
// something that must exist (path), whether it must be given (required). The
// decoder, config.toml.example and the manual are all made from these tags, so
// that they cannot come to differ.
package config

import "time"

// Config is the whole file. Default has the built-in values.
type Config struct {
	Hostname   string   `toml:"hostname" doc:"host name of the gateway in EHLO and in Authentication-Results; empty uses the name of the host"`
	Domains    []string `toml:"domains" doc:"local domains: outbound mail comes from them, inbound mail goes to them; empty uses the domain of hostname"`
	LocalPart  string   `toml:"local_part" doc:"how the local parts of two addresses are compared" enum:"ignore-case,exact"`
	Delimiter  string   `toml:"recipient_delimiter" doc:"characters that separate a mailbox from an address extension, as in Postfix: with \"+\", mail for carol+lists@ in a local domain is decrypted with the identity of carol@, and a recipient bob+news@ without a certificate gets the certificate of bob@; with identities.sign_for = \"mailbox\", mail from carol+lists@ is signed with the identity of carol@. Empty turns it off"`
	Postmaster string   `toml:"postmaster" doc:"sender of notices and delivery reports; empty uses postmaster@hostname"`
	Routed     bool     `toml:"allow_routed_addresses" doc:"accept recipients that route mail to another recipient: %, !, @ or / in a local part in a local domain, an address literal, a source route, or an address without a domain"`

	Log        Log                `toml:"log" doc:"Logging, to standard error."`
	Admin      Admin              `toml:"admin" doc:"Metrics and health over HTTP."`
	Console    Console            `toml:"console" doc:"The web console and its HTTP API, for people and programs that administer the gateway; see docs/console.md. Off unless address is set."`
	Tracing    Tracing            `toml:"tracing" doc:"Traces of messages through their stages, for OpenTelemetry; see docs/traces.md. They have identifiers, counts, results and times, and no addresses, subjects or content."`
	OpenID     OpenID             `toml:"openid" doc:"Sign-in to the console by an OpenID Connect provider, beside local accounts; see docs/console.md. Off unless issuer is set."`
	Limits     Limits             `toml:"limits" doc:"Limits for one client, for one message and for the whole process."`
	Listeners  []Listener         `toml:"listener" doc:"Listeners that accept mail; repeat the table for each."`
	Auth       Auth               `toml:"auth" doc:"Where the passwords of [[listener]] with auth are checked; set one of the two."`
	NextHop    NextHop            `toml:"next_hop" doc:"Where mail from LMTP listeners, from SMTP listeners and from the queue is delivered."`
	Routes     []Route            `toml:"route" doc:"Ways by which mail leaves, instead of [next_hop]: the first route that matches a recipient decides, and [next_hop] has the mail that none matches. Repeat the table for each; see docs/relay.md. LMTP listeners with a next_hop of their own come before all routes."`
	DNS        DNS                `toml:"dns" doc:"How routes look up mail exchangers and what secures them, and [[directory]] tables of type ldap-srv and dns-cert their records."`
	Queue      Queue              `toml:"queue" doc:"The durable queue. With LMTP listeners alone it is used only by rules that hold messages."`
	Store      Store              `toml:"store" doc:"Where certificates and imported keys are kept; see smimerelay cert."`
	History    History            `toml:"history" doc:"What became of each message, for smimerelay trace and smimerelay policy replay: addresses, identifiers, decisions and replies, without subjects and content. It is kept next to the store, as history.db, or in the database of the store; see docs/history.md."`
	Identities Identities         `toml:"identities" doc:"Private keys with their certificates."`
	Expiry     Expiry             `toml:"expiry" doc:"Expiry warnings for identities. Identities that have already been replaced are not reported."`
	CA         CA                 `toml:"ca" doc:"The built-in certificate authority, created by smimerelay ca init; see docs/ca.md."`
	EST        EST                `toml:"est" doc:"The built-in CA for keys that are made elsewhere, by EST; see docs/enrolment.md."`
	Enrolments []Enrolment        `toml:"enrolment" doc:"Certificates that come by themselves, for whom and from where; repeat the table for each. Without a table with from = \"ca\", the built-in CA issues for all local addresses that no other table is for; see docs/enrolment.md."`
	Publish    []Publish          `toml:"publish" doc:"Where others find the certificates of local addresses; repeat the table for each. See docs/publishing.md."`
	Trust      Trust              `toml:"trust" doc:"CA certificates used as trust anchors, and how certificates are checked."`
	Exceptions []Exception        `toml:"exception" doc:"Single certificates that are trusted or blocked; repeat the table for each."`
	Directory  []Directory        `toml:"directory" doc:"Sources of recipient certificates, queried in this order; repeat the table for each."`
	Lookup     Lookup             `toml:"lookup" doc:"The cache in front of all directories."`
	Profiles   map[string]Profile `toml:"profile" doc:"Named sets of algorithms that rules refer to; add your own tables."`
	Rules      []Rule             `toml:"rule" doc:"What is done for a recipient: the first matching rule decides. Repeat the table for each; the last rule must be named \"default\" and have no conditions."`
	Triggers   Triggers           `toml:"triggers" doc:"How senders can request signing or encryption where user_control of the rule permits it. Triggers are removed from outgoing mail."`
	Entitled   []Entitlement      `toml:"entitlement" doc:"Which clients may have mail signed for which authors: all conditions of one table must match; repeat the table for each. Without any, every client that may send outbound may sign for every address in the local domains."`
	Ask        Ask                `toml:"ask" doc:"Questions to recipients without a certificate, where a rule says no_certificate = \"ask\"; see docs/ask.md."`
	Commands   Commands           `toml:"mail_commands" doc:"Mail by which members of the local domains ask the gateway something: why their message was refused, whether a recipient can be encrypted to, for their certificate; see docs/mail-commands.md. Off unless address is set."`
	Notices    Notices            `toml:"notices" doc:"Notices to senders whose message could not be sent as requested."`
	Inbound    Inbound            `toml:"inbound" doc:"How inbound mail is verified and decrypted."`

	InboundRules []InboundRule `toml:"inbound_rule" doc:"What is done with inbound mail by the result of verification: the first matching rule decides, and mail that no rule matches is delivered. Repeat the table for each."`
	Partners     []Partner     `toml:"partner" doc:"Agreements with other domains; repeat the table for each."`

	source  source
	inlined []NamedFile // whose contents are in options
}

// Log is the section [log].
type Log struct {
	Level  string `toml:"level" doc:"lowest severity that is logged" enum:"debug,info,warn,error"`
	Format string `toml:"format" doc:"format of log lines" enum:"text,json"`
}

// Admin is the section [admin].
type Admin struct {
	Address    string `toml:"address" doc:"host:port or unix:/path for /metrics, /healthz and /readyz; empty turns it off"`
	SocketMode string `toml:"socket_mode" doc:"permissions of the socket file of a unix: address"`
}

// Tracing is the section [tracing].
type Tracing struct {
	URL   string `toml:"url" doc:"address of a receiver of OTLP by HTTP, such as \"http://127.0.0.1:4318/v1/traces\" of an OpenTelemetry Collector; empty turns traces off"`
	OneIn int    `toml:"one_in" doc:"one of so many messages is traced, with all of its stages" min:"1"`
}

// Console is the section [console].
type Console struct {
	Address    string        `toml:"address" doc:"host:port or unix:/path, such as \"127.0.0.1:8443\"; empty turns the console off. Addresses that other hosts reach need TLS"`
	SocketMode string        `toml:"socket_mode" doc:"permissions of the socket file of a unix: address"`
	TLSCert    string        `toml:"tls_certificate" doc:"PEM file with the certificate chain for HTTPS; it is read again when it has changed" path:"file"`
	TLSKey     string        `toml:"tls_key" doc:"PEM file with the private key of tls_certificate" path:"file" secret:"yes"`
	URL        string        `toml:"url" doc:"address at which browsers reach the console where that is not address, such as \"https://console.example.com\" of a reverse proxy: links have it, and with https cookies are for HTTPS alone, as they are without it for a unix: address"`
	Client     string        `toml:"client_header" doc:"header field in which a reverse proxy on this host names the client, such as \"X-Forwarded-For\", whose last address counts; the proxy must set it itself in each request. Without it all clients of the proxy count as one when failed attempts to sign in are counted"`
	Path       string        `toml:"path" doc:"SQLite file with accounts, sessions, API tokens and the audit log; empty is console.db next to the store. With a postgres:// address in store.url they are in that database, and path has no effect" path:"new" secret:"yes"`
	Lifetime   time.Duration `toml:"session_lifetime" doc:"how long a session lasts at most" min:"1m"`
	Idle       time.Duration `toml:"session_idle" doc:"how long a session lasts without a request" min:"1m"`
}

// MemoryFactor is how many times message_size message_memory must be.
const MemoryFactor = 4

// Limits is the section [limits].
type Limits struct {
	MessageSize           Size          `toml:"message_size" doc:"maximum size of a message" min:"1KB"`
	Recipients            int           `toml:"recipients" doc:"maximum number of recipients of one message" min:"1"`
	Connections           int           `toml:"connections" doc:"maximum number of concurrent connections, per listener" min:"1"`
	MessageMemory         Size          `toml:"message_memory" doc:"memory for messages being processed, by all listeners and the queue: each takes 3 times its size from its first octet on, and further encrypted copies and what is decompressed come on top; at least 4 times message_size. If there is not enough, a message is deferred with 452, and one that needs more than there can ever be for one message is rejected with 552" min:"1MB"`
	MemoryLimit           Size          `toml:"memory_limit" doc:"soft memory limit of the whole process, above which the garbage collector works harder; 0 uses GOMEMLIMIT or, without it, message_memory and 64 MB" min:"0"`
	ConnectionsPerAddress int           `toml:"connections_per_address" doc:"smtp: maximum number of concurrent connections from one address (IPv6: from one network of 64 bits), per listener; the local host and MTAs in xforward are exempt; 0 is no limit" min:"0"`
	ErrorsPerConnection   int           `toml:"errors_per_connection" doc:"negative replies on one SMTP connection before it is closed" min:"1"`
	ReadTimeout           time.Duration `toml:"read_timeout" doc:"how long to wait for the next bytes from a client" min:"1s"`
	WriteTimeout          time.Duration `toml:"write_timeout" doc:"how long to wait for a client to accept bytes" min:"1s"`
	Session               time.Duration `toml:"session_timeout" doc:"lmtp, smtp: after what time a connection is closed as soon as no message is being received on it; 0s is no limit" min:"0s"`
	MinimumRate           Size          `toml:"minimum_rate" doc:"lmtp, smtp: octets per second of a message that must arrive on average, after the first minute; 0 is no limit" min:"0"`
	Receive               time.Duration `toml:"receive_timeout" doc:"how long receiving one message may take" min:"1s"`
	Process               time.Duration `toml:"process_timeout" doc:"how long processing one message may take; Postfix gives a milter 300 s" min:"1s"`
	ShutdownTimeout       time.Duration `toml:"shutdown_timeout" doc:"how long SIGTERM waits for in-flight messages" min:"0s"`
}

// Listener is one [[listener]].
type Listener struct {
	Name       string   `toml:"name" doc:"name in logs, metrics and explanations" required:"yes"`
	Protocol   string   `toml:"protocol" doc:"protocol of the listener" enum:"milter,lmtp,smtp" required:"yes"`
	Address    string   `toml:"address" doc:"host:port, unix:/path, or systemd:NAME of a socket unit" required:"yes"`
	SocketMode string   `toml:"socket_mode" doc:"permissions of the socket file of a unix: address"`
	Direction  string   `toml:"direction" doc:"direction of mail to recipients in local domains; auto is outbound for authenticated clients and for clients in networks, and inbound for all others. Mail to other domains is always outbound; a listener with direction = \"inbound\" and protocol = \"smtp\" rejects it" enum:"outbound,inbound,auto"`
	Networks   []string `toml:"networks" doc:"networks (CIDR) of clients that may send outbound mail; with protocol = \"smtp\" and direction = \"outbound\" no other client may, except those that are authenticated"`
	Required   string   `toml:"required_header" doc:"smtp: header field and its value, \"Name: value\", that each message must have, for clients in networks from which others send as well, such as those of Microsoft 365 and Google. Mail without it is rejected; the field is removed" shown:"name"`
	TLS        string   `toml:"tls" doc:"lmtp, smtp: starttls offers STARTTLS if tls_certificate is set, implicit speaks TLS from the first octet (port 465), off offers no TLS; TLS 1.2 and later" enum:"starttls,implicit,off"`
	TLSCert    string   `toml:"tls_certificate" doc:"PEM file with the certificate chain for TLS; it is read again when it has changed. Empty turns TLS off" path:"file"`
	TLSKey     string   `toml:"tls_key" doc:"PEM file with the private key of tls_certificate" path:"file" secret:"yes"`
	SNI        []string `toml:"sni_certificates" doc:"further PEM files, each with a certificate chain and its private key: the client gets the first certificate that is valid for the server name it asks for (SNI), and tls_certificate if none is" path:"file" secret:"yes"`

	ClientCA           string   `toml:"client_ca" doc:"PEM file with the CA certificates under which client_names are trusted" path:"file"`
	ClientNames        []string `toml:"client_names" doc:"globs of DNS names in client certificates and, with an @, of mail addresses: a client with such a certificate of client_ca is authenticated under that name"`
	ClientFingerprints []string `toml:"client_fingerprints" doc:"SHA-256 fingerprints of client certificates, in hexadecimal, regardless of their issuer and expiry: such a client is authenticated under the first mail address or DNS name in the certificate, or its common name"`
	Auth               string   `toml:"auth" doc:"lmtp, smtp: whether clients may log in with a password (AUTH PLAIN and LOGIN), which [auth] checks: tls offers it over TLS only, always also without; client certificates can always be used, also with AUTH EXTERNAL" enum:"off,tls,always"`

	XForward []string `toml:"xforward" doc:"lmtp, smtp: networks (CIDR) of MTAs that may identify their client, and its login, with XFORWARD; with lmtp the local host may, too"`
	XClient  []string `toml:"xclient" doc:"lmtp, smtp: networks (CIDR) of proxies that may identify their client with XCLIENT"`
	Proxy    []string `toml:"proxy" doc:"lmtp, smtp: networks (CIDR) of proxies such as HAProxy, which must send a header of the PROXY protocol, version 1 or 2; connections from there without one are closed"`

	Connections           int           `toml:"connections" doc:"as in [limits], for this listener; 0 uses that value, as do the following" min:"0"`
	ConnectionsPerAddress int           `toml:"connections_per_address" doc:"as in [limits]" min:"0"`
	Recipients            int           `toml:"recipients" doc:"as in [limits]" min:"0"`
	MessageSize           Size          `toml:"message_size" doc:"as in [limits], at most that value" min:"0"`
	ErrorsPerConnection   int           `toml:"errors_per_connection" doc:"as in [limits]" min:"0"`
	ReadTimeout           time.Duration `toml:"read_timeout" doc:"as in [limits]" min:"0s"`
	Session               time.Duration `toml:"session_timeout" doc:"as in [limits]" min:"0s"`
	MinimumRate           Size          `toml:"minimum_rate" doc:"as in [limits]" min:"0"`

	NextHop string `toml:"next_hop" doc:"lmtp: next hop for mail from this listener; empty uses [next_hop]"`
}

// Auth is the section [auth].
type Auth struct {
	UsersFile string `toml:"users_file" doc:"file with names and password hashes, made by smimerelay user add; it is read again when it has changed" path:"new" secret:"yes"`
	Directory string `toml:"directory" doc:"name of a [[directory]] of type ldap: the user is found by its user_filter, and the password is checked by a bind as that entry"`
}

// NextHop is the section [next_hop].
type NextHop struct {
	Address string        `toml:"address" doc:"host:port or unix:/path of an SMTP server"`
	Local   string        `toml:"local" doc:"next hop for recipients in the local domains, such as the mailbox server: host:port or unix:/path; empty uses address. If it is set, mail from a milter listener to other domains goes through the queue to address"`
	TLS     string        `toml:"tls" doc:"TLS to the next hop: require verifies the server certificate, opportunistic does not" enum:"off,opportunistic,require"`
	CA      string        `toml:"ca" doc:"PEM file with the CA certificates trusted by tls = \"require\"; empty uses those of the system" path:"file"`
	Timeout time.Duration `toml:"timeout" doc:"how long to wait for one reply of the next hop; 0s uses the timeouts of RFC 5321" min:"0s"`
	Attempt time.Duration `toml:"attempt_timeout" doc:"how long one attempt to deliver a message may take in all until the next hop has it, and as long again until it has answered, with a second more for every 4 kB of the message; 0s is no limit" min:"0s"`
}

// Queue is the section [queue].
type Queue struct {
	Path         string          `toml:"path" doc:"SQLite file; its folder must be writable and on a local disk. With a postgres:// address in store.url the queue is in that database, and path has no effect" path:"new"`
	Lifetime     time.Duration   `toml:"lifetime" doc:"how long delivery is attempted before the sender gets a delivery report" min:"1m"`
	Retry        []time.Duration `toml:"retry" doc:"delays between attempts, up to a tenth shorter or longer; the last one repeats" min:"1s"`
	Workers      int             `toml:"workers" doc:"number of concurrent deliveries to one destination; a quarter more are for others. A destination that fails gets a tenth" min:"1"`
	MaxSize      int             `toml:"max_size" doc:"maximum number of messages in the queue, including held messages; above it, messages are deferred with 452" min:"1"`
	MinFree      Size            `toml:"min_free" doc:"disk space to keep free, with SQLite: below it, new mail is deferred with 452 while queued mail is still delivered; 0 is no limit"`
	HoldLifetime time.Duration   `toml:"hold_lifetime" doc:"how long a message is held for a missing certificate (no_certificate = \"hold\") before the sender gets a delivery report" min:"1m"`
	Quarantine   time.Duration   `toml:"quarantine_lifetime" doc:"how long an inbound message is kept in quarantine (on_result = \"quarantine\") before it is deleted" min:"1h"`
	HoldRecheck  time.Duration   `toml:"hold_recheck" doc:"how often certificates are looked up again for held messages" min:"1s"`
	NotifyDelay  time.Duration   `toml:"notify_delay" doc:"after what time the sender is notified, once, that a message has not been delivered yet (NOTIFY=DELAY, RFC 3461); 0s never notifies" min:"0s"`
}

// Store is the section [store].
type Store struct {
	URL          string `toml:"url" doc:"SQLite file in a writable folder on a local disk, or postgres://USER@HOST/DATABASE for several nodes; empty keeps nothing across a restart" path:"new"`
	PasswordFile string `toml:"password_file" doc:"postgres: file with the password of the database user" path:"file" secret:"yes"`
	KeyFile      string `toml:"key_file" doc:"file with the key that encrypts the private keys in the store, the same on all nodes; smimerelay cert import creates it; empty stores no private keys" path:"new" secret:"yes"`
}

// History is the section [history].
type History struct {
	Keep time.Duration `toml:"keep" doc:"how long entries are kept; 0s turns the history off. Without store.url there is none" min:"0s"`
	Size Size          `toml:"size" doc:"disk space that the history may take, about: the oldest entries are deleted above it; 0 is no limit"`
}

// Identities is the section [identities].
type Identities struct {
	Path               string        `toml:"path" doc:"folder with .p12, .pfx and .pem files, or a single file; empty loads none" path:"any" secret:"yes"`
	PasswordFile       string        `toml:"password_file" doc:"file with the password of files that have no NAME.password next to them" path:"file" secret:"yes"`
	Tokens             []string      `toml:"tokens" doc:"tokens with identities: a URI of RFC 7512, pkcs11:token=NAME?module-path=LIBRARY&pin-source=file:FILE, for which token_helper is started, or unix:/SOCKET of a helper that runs already; certificates that are not in the token are read from path"`
	TokenHelper        string        `toml:"token_helper" doc:"program that uses PKCS #11 tokens; empty is smimerelay-token in the folder of smimerelay (package smimerelay-pkcs11)" path:"file"`
	SignFor            string        `toml:"sign_for" doc:"which identities sign: author, those whose certificate names the address in From; mailbox, if there is none, also one of the same mailbox: by recipient_delimiter or aliases of a [[directory]]. Mail programs then report that the certificate does not name the author" enum:"author,mailbox"`
	DecryptAfterExpiry time.Duration `toml:"decrypt_after_expiry" doc:"how long after its certificate has expired a key is still used to decrypt, whether it is in the store, in a file or in a token; 0s is without limit" min:"0s"`
}

// CA is the section [ca].
type CA struct {
	URL          string        `toml:"url" doc:"base URL (http) from which partners fetch root.crl, issuing.crl, root.cer and issuing.cer: a web server that serves folder, or a proxy to /ca/ on [admin]; empty turns the CA off"`
	Folder       string        `toml:"folder" doc:"folder to which these files are written; empty writes none" path:"any"`
	Organization string        `toml:"organization" doc:"organization name in the CA certificates"`
	Country      string        `toml:"country" doc:"country in the CA certificates: two capital letters, such as DE"`
	Profile      string        `toml:"profile" doc:"generation of the S/MIME Baseline Requirements that issued certificates follow" enum:"multipurpose,strict"`
	KeyType      string        `toml:"key_type" doc:"type of the keys of issued certificates; auto selects what all partners can use: rsa3072, and p256 for the signing key if separate_keys is set; ml-dsa-44, -65 and -87 sign, and a second certificate with ML-KEM-512, -768 or -1024 is for encryption" enum:"auto,p256,p384,rsa2048,rsa3072,rsa4096,ml-dsa-44,ml-dsa-65,ml-dsa-87"`
	SeparateKeys bool          `toml:"separate_keys" doc:"issue two certificates with separate keys: one for signing, one for encryption"`
	Validity     time.Duration `toml:"validity" doc:"validity period of issued certificates, at most 825d" min:"1d"`
	RenewBefore  time.Duration `toml:"renew_before" doc:"how long before expiry an identity of a rule with issue = true is renewed; the new one signs at once, the old one is still used to decrypt" min:"1h"`
	MaxPerHour   int           `toml:"max_per_hour" doc:"maximum number of certificates that rules issue per hour, so that a flood of senders cannot fill the store" min:"1"`
	CRLValidity  time.Duration `toml:"crl_validity" doc:"validity period of a CRL, at most 10d" min:"1h"`
	CRLRefresh   time.Duration `toml:"crl_refresh" doc:"how often a new CRL is published; a revocation is published at once" min:"1m"`
	OCSP         bool          `toml:"ocsp" doc:"also answer by OCSP whether certificates are revoked, at ocsp below url, and write that address into issued certificates: url must then be a proxy to /ca/ on [admin]"`
	OCSPValidity time.Duration `toml:"ocsp_validity" doc:"validity period of an OCSP response, at most 10d" min:"1h"`
}

// Expiry is the section [expiry].
type Expiry struct {
	WarnBefore []time.Duration `toml:"warn_before" doc:"how long before expiry to warn, once each: in the log, and by mail if configured; an empty list never warns" min:"1h"`
	MailOwner  bool            `toml:"mail_owner" doc:"also send the warning to the addresses of the identity"`
	MailTo     []string        `toml:"mail_to" doc:"addresses of administrators who get the warnings for all identities by mail"`
}

// Trust is the section [trust].
type Trust struct {
	Anchors            []string      `toml:"anchors" doc:"files or folders (PEM, DER, .p7b) with the CA certificates used as trust anchors" path:"any"`
	Public             string        `toml:"public" doc:"also trust the authorities that Mozilla trusts for mail: mozilla for the built-in list (see smimerelay trust list), or a file made by smimerelay trust update; empty trusts none of them"`
	Anchor             []Anchor      `toml:"anchor" doc:"further trust anchors, each with its own revocation mode; repeat the table [[trust.anchor]] for each"`
	Intermediates      []string      `toml:"intermediates" doc:"files or folders with intermediate certificates for building chains" path:"any"`
	CRLs               []string      `toml:"crls" doc:"files or folders with CRLs" path:"any"`
	Revocation         string        `toml:"revocation" doc:"revocation checking: require refuses a certificate whose revocation status is unknown, prefer accepts it, off does not check" enum:"require,prefer,off"`
	Fetch              bool          `toml:"fetch" doc:"fetch from the CRL and OCSP URLs in certificates"`
	FetchTimeout       time.Duration `toml:"fetch_timeout" doc:"how long to wait for one fetch" min:"100ms"`
	FetchNetworks      []string      `toml:"fetch_networks" doc:"private networks (CIDR) from which fetching is permitted, and servers of a [[directory]] of type ldap-srv may be asked"`
	FetchIntermediates bool          `toml:"fetch_intermediates" doc:"also fetch missing intermediate certificates; the sender can see from it when a message is processed"`
	FetchCache         string        `toml:"fetch_cache" doc:"folder that keeps fetched data across restarts; empty keeps it in memory only" path:"new"`
	RevocationGrace    time.Duration `toml:"revocation_grace" doc:"how long after nextUpdate a CRL or OCSP response is still accepted if no newer one can be fetched" min:"0s"`
	Policies           []string      `toml:"policies" doc:"certificate policies (object identifiers), one of which every certification path must have; an empty list requires none"`
	AllowSHA1          bool          `toml:"allow_sha1" doc:"accept SHA-1 signatures in certificates, messages, CRLs and OCSP responses, for archived mail"`
	AllowRSA1024       bool          `toml:"allow_rsa1024" doc:"verify with RSA keys of 1024 bits and more, for archived mail; new mail is never encrypted to such keys"`

	AllowNoAttributes bool `toml:"allow_no_attributes" doc:"accept message signatures without signed attributes; they do not protect the signing time, the certificate or the algorithms"`
}

// PublicRoots is the value of trust.public for the list inside the program.
const PublicRoots = "mozilla"

// Anchor is one [[trust.anchor]].
type Anchor struct {
	Path       string `toml:"path" doc:"file or folder (PEM, DER, .p7b) with the CA certificate" path:"any" required:"yes"`
	Revocation string `toml:"revocation" doc:"as in [trust], for certificates below this trust anchor; takes precedence over inbound.revocation; empty uses the value of [trust]" enum:",require,prefer,off"`
	Note       string `toml:"note" doc:"reason; smimerelay check prints it"`
}

// Exception is one [[exception]].
type Exception struct {
	SHA256 string `toml:"sha256" doc:"SHA-256 fingerprint of the certificate, in hexadecimal" required:"yes"`
	Action string `toml:"action" doc:"allow makes the certificate a trust anchor, block refuses it and every certificate below it" enum:"allow,block" required:"yes"`
	Note   string `toml:"note" doc:"reason; explanations repeat it"`
	Until  string `toml:"until" doc:"last day on which it applies, such as 2027-01-31; empty never expires"`
}

// Directory is one [[directory]].
type Directory struct {
	Name         string        `toml:"name" doc:"name in logs, metrics and explanations" required:"yes"`
	Type         string        `toml:"type" doc:"type of the source; ldap-srv asks the LDAP servers that the domain of each recipient announces in DNS (_ldap._tcp), and dns-cert its CERT records; store and harvested are queried first if no table names them; off ignores the table" enum:"ldap,ldap-srv,files,https,smimea,dns-cert,store,harvested,off" required:"yes"`
	Domains      []string      `toml:"domains" doc:"recipient domains for which this source is queried (.example.com: its subdomains); an empty list is all domains"`
	Merge        bool          `toml:"merge" doc:"query the next source even if this one returned a usable certificate"`
	Path         string        `toml:"path" doc:"files: folder with ADDRESS.pem, .cer, .crt, .der or .p7b files" path:"any"`
	URL          string        `toml:"url" doc:"https: URL; {addr}, {local} and {domain} are replaced with the recipient, percent-encoded"`
	TokenFile    string        `toml:"token_file" doc:"https: file with a bearer token" path:"file" secret:"yes"`
	Resolver     string        `toml:"resolver" doc:"smimea: DNSSEC-validating resolver: 127.0.0.1:53 or tls://name:853"`
	URLs         []string      `toml:"urls" doc:"ldap: servers, tried in this order: ldaps://host, ldap://host:389, ldapi:///path, host"`
	BindDN       string        `toml:"bind_dn" doc:"ldap: DN to bind as; empty binds anonymously"`
	PasswordFile string        `toml:"password_file" doc:"ldap: file with the password of bind_dn" path:"file" secret:"yes"`
	SASLExternal bool          `toml:"sasl_external" doc:"ldap: bind with SASL EXTERNAL: as the client certificate, or over ldapi as the user that the gateway runs as"`
	Base         string        `toml:"base" doc:"ldap: base DN of searches"`
	Filter       string        `toml:"filter" doc:"ldap: search filter; {addr}, {local} and {domain} are replaced with the recipient, escaped"`
	Attributes   []string      `toml:"attributes" doc:"ldap, ldap-srv: attributes with certificates, preferred first"`
	StartTLS     bool          `toml:"start_tls" doc:"ldap: require StartTLS (for ldap:// URLs)"`
	CA           string        `toml:"ca" doc:"ldap, https, smimea: PEM file with the CA certificates trusted for the server; empty uses those of the system" path:"file"`
	ClientCert   string        `toml:"client_certificate" doc:"ldap, https: PEM file with the client certificate" path:"file"`
	ClientKey    string        `toml:"client_key" doc:"ldap, https: PEM file with the private key of client_certificate" path:"file" secret:"yes"`
	Timeout      time.Duration `toml:"timeout" doc:"ldap, ldap-srv, https, smimea: how long to wait for one answer; dns-cert uses dns.timeout" min:"10ms"`
	Connections  int           `toml:"connections" doc:"ldap: connections per server" min:"1"`

	NestedGroups  string   `toml:"nested_groups" doc:"ldap: how nested groups are resolved: chain uses the matching rule of Active Directory, expand reads each group, auto asks the server" enum:"auto,chain,expand"`
	GroupMembers  int      `toml:"group_members" doc:"ldap: maximum number of members of a group, nested groups included; membership in a larger group is unknown" min:"1"`
	GroupDepth    int      `toml:"group_depth" doc:"ldap: maximum nesting depth of groups" min:"1"`
	UserFilter    string   `toml:"user_filter" doc:"ldap: search filter for the authenticated user, for [[entitlement]] with from = \"directory\"; {user} is replaced with the user name, escaped; empty finds no user"`
	UserAddresses []string `toml:"user_addresses" doc:"ldap: attributes of the user entry with mail addresses, or with the DNs of entries whose addresses count as well"`
	Aliases       []string `toml:"aliases" doc:"ldap: attributes with further addresses of an entry, such as proxyAddresses, mailAlternateAddress or mailLocalAddress: all of them, and mail, are one mailbox. A certificate of the entry may then name any of them, and inbound mail for one in a local domain is decrypted with the identity of another; identities.sign_for says whether mail from one is signed with it, too. Only for a directory whose addresses the users cannot change. Empty: a certificate must name the recipient"`
}

// Lookup is the section [lookup].
type Lookup struct {
	Positive time.Duration `toml:"positive" doc:"how long a found certificate is cached; 0s does not cache it" min:"0s"`
	Negative time.Duration `toml:"negative" doc:"how long it is cached that a recipient has no certificate; 0s does not cache it" min:"0s"`
	Stale    time.Duration `toml:"stale_if_error" doc:"how long an expired cache entry is still used if no source is available" min:"0s"`
	Entries  int           `toml:"entries" doc:"maximum number of recipients in the cache" min:"1"`
	Timeout  time.Duration `toml:"timeout" doc:"how long to wait for all sources together" min:"10ms"`
}

// Profile is one [profile.NAME].
type Profile struct {
	Digest       string   `toml:"digest" doc:"digest algorithm of signatures; Ed25519 and ML-DSA keys always use sha-512" enum:"sha-256,sha-384,sha-512"`
	Signature    string   `toml:"signature" doc:"padding of RSA signatures" enum:"pkcs1,pss"`
	Cipher       string   `toml:"cipher" doc:"content encryption; auto is aes-256-cbc, which every client can read" enum:"auto,aes-128-cbc,aes-192-cbc,aes-256-cbc,aes-128-gcm,aes-256-gcm,chacha20-poly1305"`
	KeyTransport string   `toml:"key_transport" doc:"padding of RSA key transport; auto is pkcs1, which every client can read, and oaep with GODEBUG=fips140=only" enum:"auto,pkcs1,oaep"`
	DeriveKey    bool     `toml:"derive_key" doc:"derive the content encryption key with HKDF, so that the cipher named in the message cannot be changed (RFC 9709); few clients can read it"`
	Keys         []string `toml:"keys" doc:"kinds of keys that may sign and be encrypted to, outbound and inbound (slh-dsa verifies only); an empty list allows all: a recipient with other certificates alone counts as without, a sender with another identity is deferred" enum:"rsa,ec,brainpool,ed25519,x25519,slh-dsa,ml-dsa-44,ml-dsa-65,ml-dsa-87,ml-kem-512,ml-kem-768,ml-kem-1024"`
	Hybrid       bool     `toml:"hybrid" doc:"encrypt to all usable certificates of a recipient, so that software with and without ML-KEM can read the message; false uses the ML-KEM certificates alone where there are any"`

	RecipientIdentifier string   `toml:"recipient_identifier" doc:"how an encrypted message names the certificates of its recipients: by issuer and serial number, or by subject key identifier where all have one" enum:"issuer,ski"`
	OmitAttributes      []string `toml:"omit_attributes" doc:"signed attributes that are left out, for software that fails on them; without the first two a signature does not protect its certificate (RFC 5035) and its algorithms (RFC 6211)" enum:"signing-certificate,algorithm-protection,capabilities,encryption-certificate"`
	IncludeRoot         bool     `toml:"include_root" doc:"send the root certificate with the chain of a signature, if it is a trust anchor; recipients who trust it have it"`
	Wrap                string   `toml:"wrap" doc:"triple: what is signed and encrypted is signed again, outside of the encryption (RFC 2634); everyone on the way then sees who signed. message: what is signed is the whole message with its header, as message/rfc822 (RFC 8551 section 3.1); not together with protect_signed or protect_encrypted" enum:",triple,message"`

	Opaque           bool `toml:"opaque" doc:"sign opaque (application/pkcs7-mime) instead of clear (multipart/signed)"`
	ProtectSigned    bool `toml:"protect_signed" doc:"protect header fields with the signature (RFC 9788, hp=clear)"`
	ProtectEncrypted bool `toml:"protect_encrypted" doc:"hide the subject of encrypted mail; the real one is inside (RFC 9788, hp=cipher). That of an answer to mail with a hidden subject is hidden without it, as far back as the history goes"`
	LegacyDisplay    bool `toml:"legacy_display" doc:"with protect_encrypted: repeat the hidden subject at the top of the text, inside the encryption, for clients that do not read RFC 9788; text that the sender signed is never changed"`

	MinimumDigest        string `toml:"minimum_digest" doc:"inbound: weakest accepted digest of signatures; empty adds no requirement" enum:",sha-256,sha-384,sha-512"`
	MinimumRSA           int    `toml:"minimum_rsa" doc:"minimum size in bits of RSA keys that sign and are encrypted to, outbound and inbound, as with keys; 0 adds no requirement" min:"0"`
	MinimumSignature     string `toml:"minimum_signature" doc:"inbound: required padding of RSA signatures; empty accepts any" enum:",pss"`
	MinimumCipher        string `toml:"minimum_cipher" doc:"inbound: weakest accepted content encryption; empty is AES or ChaCha20; 3des also decrypts 3DES and RC2, and mail to RSA keys of 1024 bits and more" enum:",3des,aes-128,aes-192,aes-256"`
	MinimumAuthenticated bool   `toml:"minimum_authenticated" doc:"inbound: require authenticated encryption (GCM, ChaCha20-Poly1305)"`
	MinimumKeyTransport  string `toml:"minimum_key_transport" doc:"inbound: required padding of RSA key transport; empty accepts any" enum:",oaep"`
}

// Rule is one [[rule]]. Its conditions must all hold, and none of their "except"
// twins. A pattern is an address, a domain ("example.com"), its subdomains
// (".example.com"), a glob, or "file:PATH" for a file of patterns.
type Rule struct {
	Name            string   `toml:"name" doc:"name in logs, replies and explanations" required:"yes"`
	Direction       string   `toml:"direction" doc:"condition: direction of the message; empty is both" enum:",outbound,inbound"`
	Sender          []string `toml:"sender" doc:"condition: address, domain, .subdomains or glob of the envelope sender, which may differ from the author (see from), or file:PATH with one pattern per line; \"*\" matches all, as in every condition"`
	ExceptSender    []string `toml:"except_sender" doc:"condition: not from these envelope senders"`
	Recipient       []string `toml:"recipient" doc:"condition: address, domain, .subdomains or glob of the recipient, or file:PATH with one pattern per line; \"*\" matches all"`
	ExceptRecipient []string `toml:"except_recipient" doc:"condition: not to these recipients"`

	SenderGroup          []string `toml:"sender_group" doc:"condition: directory group of the sender, given by its mail address or (with a \"=\") its DN, or file:PATH"`
	ExceptSenderGroup    []string `toml:"except_sender_group" doc:"condition: sender not in these groups"`
	RecipientGroup       []string `toml:"recipient_group" doc:"condition: directory group that the recipient is a member of, or that is the recipient"`
	ExceptRecipientGroup []string `toml:"except_recipient_group" doc:"condition: recipient not in these groups"`
	GroupUnknown         string   `toml:"group_unknown" doc:"how group conditions are evaluated if the directory is unavailable: defer defers the message, member treats the address as a member, other as not a member; empty is defer" enum:",defer,member,other"`

	User              []string `toml:"user" doc:"condition: glob of the name the client authenticated as"`
	ExceptUser        []string `toml:"except_user" doc:"condition: not these users"`
	Network           []string `toml:"network" doc:"condition: network (CIDR) of the client"`
	ExceptNetwork     []string `toml:"except_network" doc:"condition: not from these networks"`
	Listener          []string `toml:"listener" doc:"condition: glob of the listener name"`
	ExceptListener    []string `toml:"except_listener" doc:"condition: not through these listeners"`
	From              []string `toml:"from" doc:"condition: address, domain, .subdomains or glob of an author in the From header field, or file:PATH; sender matches the envelope instead"`
	ExceptFrom        []string `toml:"except_from" doc:"condition: not from these authors"`
	Header            []string `toml:"header" doc:"condition: header field that exists (\"Name\"), has a value (\"Name: value\"), or matches a regular expression (\"Name ~ RE2\")"`
	ExceptHeader      []string `toml:"except_header" doc:"condition: no such header field"`
	Subject           []string `toml:"subject" doc:"condition: text anywhere in the subject, ignoring case"`
	ExceptSubject     []string `toml:"except_subject" doc:"condition: no such text in the subject"`
	Sensitivity       []string `toml:"sensitivity" doc:"condition: value of Sensitivity, such as \"Company-Confidential\""`
	ExceptSensitivity []string `toml:"except_sensitivity" doc:"condition: no such Sensitivity"`
	Importance        []string `toml:"importance" doc:"condition: value of Importance, such as \"high\""`
	ExceptImportance  []string `toml:"except_importance" doc:"condition: no such Importance"`
	Attachment        []string `toml:"attachment" doc:"condition: glob of the file name of an attachment, or of its media type if the glob contains a slash"`
	ExceptAttachment  []string `toml:"except_attachment" doc:"condition: no such attachment"`
	Signed            string   `toml:"signed" doc:"condition: the message already has a valid S/MIME signature of its author; empty is either" enum:",yes,no"`
	Encrypted         string   `toml:"encrypted" doc:"condition: the message is already S/MIME encrypted and has no readable part; empty is either" enum:",yes,no"`
	LargerThan        Size     `toml:"larger_than" doc:"condition: the message is larger; 0 is no condition" min:"0"`
	SmallerThan       Size     `toml:"smaller_than" doc:"condition: the message is smaller; 0 is no condition" min:"0"`
	MoreRecipients    int      `toml:"more_recipients" doc:"condition: the message has more recipients; 0 is no condition" min:"0"`
	FewerRecipients   int      `toml:"fewer_recipients" doc:"condition: the message has fewer recipients; 0 is no condition" min:"0"`
	ExpandGroups      bool     `toml:"expand_groups" doc:"replace the address of a group with its members; the rules are then applied to each member"`
	Sign              string   `toml:"sign" doc:"whether to sign; require defers the message if no identity is available, prefer sends it unsigned; empty is never" enum:",require,prefer,never"`
	Encrypt           string   `toml:"encrypt" doc:"whether to encrypt; prefer sends plaintext to recipients without a certificate; empty is never" enum:",require,prefer,never"`
	NoCertificate     string   `toml:"no_certificate" doc:"with encrypt = \"require\", for a recipient without a certificate: reject the recipient, reject the message, strip the recipient and notify the sender, hold the message until a certificate is found, or ask: hold it and ask the recipient for a certificate, see [ask]; empty is reject" enum:",reject,reject-message,strip,hold,ask"`
	Unavailable       string   `toml:"unavailable" doc:"with encrypt = \"prefer\", if a directory is unavailable: defer the message, or send plaintext; empty is defer" enum:",defer,plain"`
	Mixed             string   `toml:"mixed" doc:"whether a message that is encrypted for some recipients may go to others in plaintext: forbid, internal for recipients in local domains only, or allow; empty is internal" enum:",forbid,internal,allow"`
	Profile           string   `toml:"profile" doc:"algorithms: name of a [profile.NAME]; for inbound mail its minimum requirements (minimum_...); empty is default"`
	UserControl       []string `toml:"user_control" doc:"what senders may request with [triggers]: sign, encrypt, plain"`
	FromAlignment     string   `toml:"from_alignment" doc:"how closely From must match the envelope sender before the message is signed: same address, same domain, or any; empty is any" enum:",any,domain,address"`
	Automatic         string   `toml:"automatic" doc:"whether delivery reports, read receipts and automatic replies pass unchanged if they contain no other message and no file; protect treats them like all mail; empty is pass" enum:",pass,protect"`
	AlreadySigned     string   `toml:"already_signed" doc:"keep the valid signature of the author as the only one, or sign again; empty is keep" enum:",keep,sign"`
	AlreadyEncrypted  string   `toml:"already_encrypted" doc:"accept messages that are already encrypted, or check that they are encrypted to a known certificate of the recipient, if there is one; empty is accept" enum:",accept,check"`
	Calendar          string   `toml:"calendar" doc:"meeting requests (a calendar with a METHOD and nothing else attached): only sign, only encrypt, or leave unchanged; empty treats them like all mail" enum:",sign,encrypt,leave"`
	Identity          string   `toml:"identity" doc:"identity that signs: sender, domain (domain-signing-authority@ of RFC 3183) or an address; empty is sender"`
	Issue             bool     `toml:"issue" doc:"order a certificate for senders without one, as [[enrolment]] says or else from [ca], and renew those that came so"`
	DomainIdentity    string   `toml:"domain_identity" doc:"identity that signs if the sender has none: domain (domain-signing-authority@ of RFC 3183) or an address; empty is none"`
	DomainCertificate string   `toml:"domain_certificate" doc:"certificate to encrypt to if the recipient has none: domain (domain-confidentiality-authority@ of RFC 3183) or an address; empty is none"`
	SenderCopy        bool     `toml:"sender_copy" doc:"also encrypt to the sender, if the sender has a certificate"`
	AlsoEncryptTo     []string `toml:"also_encrypt_to" doc:"addresses to whose certificates mail is always encrypted as well, such as an archive; mail is not sent if one of the certificates is missing"`
	SubjectTag        string   `toml:"subject_tag" doc:"text added before the subject of outgoing mail; it is outside of what is signed or encrypted"`
	Footer            string   `toml:"footer" doc:"text added at the end of outgoing mail, or file:PATH; never added to text that the sender signed, to meeting requests, to encrypted mail or to automatic mail"`
	FooterHTML        string   `toml:"footer_html" doc:"the footer as an HTML fragment, or file:PATH; empty converts footer"`
	Mode              string   `toml:"mode" doc:"enforce applies the rule; report decides and logs, but changes nothing; empty is enforce" enum:",enforce,report"`
	// Line is where the rule stands in the file; 0 is built in.
	Line int `toml:"-"`
}

// Entitlement is one [[entitlement]].
type Entitlement struct {
	User     []string `toml:"user" doc:"condition: glob of the name the client authenticated as"`
	Network  []string `toml:"network" doc:"condition: network (CIDR) of the client"`
	Listener []string `toml:"listener" doc:"condition: glob of the listener name"`
	From     []string `toml:"from" doc:"authors for whom these clients may have mail signed: address, domain, .subdomains or glob; self is the address the client authenticated as, directory the addresses that [[directory]] lists for the user" required:"yes"`
	// Line is where it stands in the file; 0 is built in.
	Line int `toml:"-"`
}

// Triggers is the section [triggers].
type Triggers struct {
	Sign        []string `toml:"sign" doc:"words in the subject that request a signature"`
	Encrypt     []string `toml:"encrypt" doc:"words in the subject that request encryption"`
	Plain       []string `toml:"plain" doc:"words in the subject that request plaintext"`
	Header      string   `toml:"header" doc:"header field whose value requests sign, encrypt or plain; empty turns it off"`
	Sensitivity []string `toml:"sensitivity" doc:"values of Sensitivity that request encryption"`
}

// Ask is the section [ask].
type Ask struct {
	From    string        `toml:"from" doc:"author of questions, an address with an identity: a question without a signature is not sent; empty uses postmaster"`
	Again   time.Duration `toml:"again" doc:"how long a recipient is not asked again" min:"1h"`
	Bounces string        `toml:"bounce_domain" doc:"domain of the envelope senders of questions, whose mail must reach a listener that accepts inbound mail: if a failure report on a question comes back, the messages that wait for its answer are returned to their senders. Empty sends questions with the null sender, and no report comes back"`
	English []string      `toml:"english" doc:"recipients who are asked in English: addresses, domains, .domain for its subdomains, or globs"`
	German  []string      `toml:"german" doc:"recipients who are asked in German, in the same form; all others are asked in notices.language"`
}

// Commands is the section [mail_commands].
type Commands struct {
	Address string `toml:"address" doc:"address of a local domain that takes the commands, such as smime@example.com; it is the author of the answers and must have an identity; empty turns mail commands off"`
	PerHour int    `toml:"max_per_hour" doc:"how many commands of one member are answered in an hour; further ones are refused" min:"1"`
}

// Notices is the section [notices].
type Notices struct {
	Language string `toml:"language" doc:"language of the built-in texts" enum:"en,de"`
	Contact  string `toml:"contact" doc:"whom a sender may ask: an address, a telephone number or a URL, as one line of ASCII; it stands in notices and behind refusals that a person reads; empty names no one"`
	Folder   string `toml:"folder" doc:"folder with custom texts: failed.txt, delayed.txt, relayed.txt, stripped.txt, held.txt, quarantined.txt, question.en.txt, question.de.txt, command-help.txt, command-why.txt, command-can.txt, command-certificate.txt, expiry-owner.txt, expiry-admin.txt, and .html versions of them; empty uses the built-in texts" path:"any"`
}

// Inbound is the section [inbound].
type Inbound struct {
	Verify         bool     `toml:"verify" doc:"verify signatures and add the result to the header"`
	Decrypt        bool     `toml:"decrypt" doc:"decrypt mail for which there is an identity"`
	DecryptFor     string   `toml:"decrypt_for" doc:"decrypt only for recipients named in the certificate of the identity, or for any (if the MTA rewrites recipients before the gateway)" enum:"recipient,any"`
	Revocation     string   `toml:"revocation" doc:"as in [trust], for signers of inbound mail; empty uses the value of [trust]" enum:",require,prefer,off"`
	ReturnPath     string   `toml:"return_path" doc:"envelope sender of mail that was received encrypted: gateway uses an address of the gateway, which forwards failure reports without decrypted content; sender keeps the original, so that servers behind the gateway may return decrypted content to it" enum:"gateway,sender"`
	BounceDomain   string   `toml:"bounce_domain" doc:"domain of these gateway addresses; mail to it must reach a listener of the gateway; empty uses hostname"`
	TagSigned      string   `toml:"tag_signed" doc:"text added before the subject of delivered mail whose signature passed, such as [signed]; empty adds none. Where an inbound_rule has on_result = \"tag\", only its mail is tagged, and without any of the three texts the built-in ones in notices.language are used: [signed], [encrypted], [not verified]. Whatever looks like one of the tags is first removed from the subject of all inbound mail, and a subject that cannot be read for sure, as in an unknown charset, is written as it was read; mail that a rule delivers as-is keeps its subject"`
	TagEncrypted   string   `toml:"tag_encrypted" doc:"text added before the subject of delivered mail that was decrypted; empty adds none"`
	TagUnverified  string   `toml:"tag_unverified" doc:"text added before the subject of delivered mail that has a signature which did not pass; empty adds none"`
	Banner         bool     `toml:"banner" doc:"put a line above the text of all delivered mail, in notices.language: who signed it, or that it is not signed, and whether it was encrypted. Text and HTML get it where nothing in them can cover it; other messages, among them those whose signature is kept, get it as a first part of their own. A mail program that makes one page of all parts lets HTML in a message cover that part: if yours does, rely on the tags and the status fields, which no message can cover. Not on mail that a rule delivers as-is, on what stays encrypted or opaque signed, and on invitations without a text beside them. A signed invitation with one gets the banner as a first part, too; strip_signature keeps it an ordinary one"`
	Archive        string   `toml:"archive" doc:"where inbound rules with original = \"archive\" store messages as received: a folder, which is made if it is missing, or an address in a local domain, which gets each attached to a message of the gateway. Files are readable by the gateway's user only, and never deleted by it. A message that the folder, or the queue for the address, cannot store is deferred. What the next hop refuses for the address is lost but for its header in the report to the postmaster: a folder is safer"`
	HMACKeyFile    string   `toml:"hmac_key_file" doc:"file with a key of at least 32 characters: delivered mail then has a field X-SMIME-Status-HMAC, by which filters behind the gateway recognize a status that the gateway wrote (docs/filters.md); empty adds none" path:"file" secret:"yes"`
	CipherMail     string   `toml:"ciphermail_fields" doc:"for migrating from CipherMail: also add the fields that it adds, with names that begin with this word; fields whose names begin with either word are then removed from all mail (docs/filters.md). Empty adds and removes none" enum:",X-CipherMail-Info,X-Djigzo-Info"`
	Harvest        bool     `toml:"harvest" doc:"keep the certificates and cipher preferences of authors whose signature passed, for encrypting replies"`
	HarvestDomains []string `toml:"harvest_domains" doc:"authors whose certificates are kept: address, domain, .subdomains or glob; an empty list is all except local domains"`
	HarvestExcept  []string `toml:"harvest_except" doc:"authors whose certificates are not kept"`
}
