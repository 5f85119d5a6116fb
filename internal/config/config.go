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
	Hostname   string   `toml:"hostname" doc:"our name in EHLO and in Authentication-Results; empty is the name of the host"`
	Domains    []string `toml:"domains" doc:"our domains: outbound mail is from them, inbound mail to them; empty is the domain of hostname"`
	LocalPart  string   `toml:"local_part" doc:"how local parts of addresses are compared" enum:"ignore-case,exact"`
	Delimiter  string   `toml:"recipient_delimiter" doc:"characters that separate a mailbox from an extension in a local part, as in Postfix: with \"+\", mail for carol+lists@ of our domains is decrypted with the identity of carol@, and who has no certificate as bob+news@ gets the one of bob@. Empty is off"`
	Postmaster string   `toml:"postmaster" doc:"author of notices and delivery reports; empty is postmaster@hostname"`
	Routed     bool     `toml:"allow_routed_addresses" doc:"accept recipients that name another recipient by a route: %, !, @ or / in a local part of our domains, an address literal, a source route, or no domain"`

	Log        Log                `toml:"log" doc:"What is logged, to standard error."`
	Admin      Admin              `toml:"admin" doc:"Metrics and health over HTTP."`
	Limits     Limits             `toml:"limits" doc:"What one client, one message and the whole process may use."`
	Listeners  []Listener         `toml:"listener" doc:"Doors by which mail comes in; repeat the table for each."`
	NextHop    NextHop            `toml:"next_hop" doc:"Where messages go from LMTP, the SMTP relay and the queue."`
	Queue      Queue              `toml:"queue" doc:"The durable queue. A set-up with LMTP listeners only has it where a rule holds messages."`
	Store      Store              `toml:"store" doc:"Where certificates and imported keys are kept; see smimerelay cert."`
	Identities Identities         `toml:"identities" doc:"Our private keys with their certificates."`
	Expiry     Expiry             `toml:"expiry" doc:"What is said of identities that end soon. One that has a successor is not spoken of."`
	CA         CA                 `toml:"ca" doc:"The built-in authority, which smimerelay ca init makes; see docs/ca.md."`
	Trust      Trust              `toml:"trust" doc:"Which certificates are believed."`
	Exceptions []Exception        `toml:"exception" doc:"Certificates that are believed or refused one by one; repeat the table for each."`
	Directory  []Directory        `toml:"directory" doc:"Sources of recipients' certificates, asked in this order; repeat the table for each."`
	Lookup     Lookup             `toml:"lookup" doc:"The cache in front of all directories."`
	Profiles   map[string]Profile `toml:"profile" doc:"Algorithms under a name that rules refer to; add tables of your own."`
	Rules      []Rule             `toml:"rule" doc:"What happens to a recipient: the first rule that matches decides. Repeat the table for each; the last is named \"default\" and has no conditions."`
	Triggers   Triggers           `toml:"triggers" doc:"How senders can ask for a treatment, where the rule's user_control lets them. Removed from all that leaves."`
	Entitled   []Entitlement      `toml:"entitlement" doc:"Who may have mail signed in whose name: all conditions of one table must hold; repeat the table for each. With none, every client that may send outbound may, for every address of our domains."`
	Notices    Notices            `toml:"notices" doc:"What senders are told of messages that could not be sent as asked."`
	Inbound    Inbound            `toml:"inbound" doc:"What happens to mail that comes in."`

	source source
}

// Log is the section [log].
type Log struct {
	Level  string `toml:"level" doc:"least severity that is written" enum:"debug,info,warn,error"`
	Format string `toml:"format" doc:"form of a line" enum:"text,json"`
}

// Admin is the section [admin].
type Admin struct {
	Address    string `toml:"address" doc:"host:port or unix:/path for /metrics, /healthz and /readyz; empty is off"`
	SocketMode string `toml:"socket_mode" doc:"permissions of the file of a unix: address"`
}

// Limits is the section [limits].
type Limits struct {
	MessageSize  Size          `toml:"message_size" doc:"largest message that is accepted" min:"1KB"`
	Recipients   int           `toml:"recipients" doc:"most recipients of one message" min:"1"`
	Connections  int           `toml:"connections" doc:"most connections at once, for each listener" min:"1"`
	Memory       Size          `toml:"memory" doc:"octets of messages in work at once, with what is decompressed of them; more are deferred with 452" min:"1MB"`
	Heap         Size          `toml:"heap" doc:"soft limit of the whole process's memory; 0 leaves it to GOMEMLIMIT" min:"0"`
	PerAddress   int           `toml:"per_address" doc:"smtp: most connections at once from one address, for each listener; the local host and MTAs in xforward have no limit, and 0 is none for all" min:"0"`
	Errors       int           `toml:"errors" doc:"negative replies on one SMTP connection before we hang up" min:"1"`
	ReadTimeout  time.Duration `toml:"read_timeout" doc:"longest wait for a client's next bytes" min:"1s"`
	WriteTimeout time.Duration `toml:"write_timeout" doc:"longest wait until a client takes our bytes" min:"1s"`
	Receive      time.Duration `toml:"receive_timeout" doc:"longest time in which one message may arrive" min:"1s"`
	Process      time.Duration `toml:"process_timeout" doc:"longest time for the work on one message; Postfix gives a milter 300 s" min:"1s"`
	Drain        time.Duration `toml:"drain" doc:"how long SIGTERM waits for messages in work" min:"0s"`
}

// Listener is one [[listener]].
type Listener struct {
	Name       string   `toml:"name" doc:"name in logs, metrics and explanations" required:"yes"`
	Protocol   string   `toml:"protocol" doc:"what is spoken" enum:"milter,lmtp,smtp" required:"yes"`
	Address    string   `toml:"address" doc:"host:port, unix:/path, or systemd:NAME of a socket unit" required:"yes"`
	SocketMode string   `toml:"socket_mode" doc:"permissions of the file of a unix: address"`
	Direction  string   `toml:"direction" doc:"rules for recipients of our domains; auto is outbound for authenticated clients and those in networks, inbound for all others. Recipients elsewhere are judged by the outbound rules, whatever this says; an inbound listener with protocol = \"smtp\" refuses them" enum:"outbound,inbound,auto"`
	Networks   []string `toml:"networks" doc:"networks (CIDR) of clients that may send outbound"`
	TLSCert    string   `toml:"tls_certificate" doc:"PEM file with our certificate chain for STARTTLS; empty is no STARTTLS" path:"file"`
	TLSKey     string   `toml:"tls_key" doc:"PEM file with the key of tls_certificate" path:"file"`
	XForward   []string `toml:"xforward" doc:"lmtp, smtp: networks (CIDR) of MTAs that may say by XFORWARD who their client is; the local host always may"`
	NextHop    string   `toml:"next_hop" doc:"lmtp: next hop of this listener's mail; empty is the one of [next_hop]"`
}

// NextHop is the section [next_hop].
type NextHop struct {
	Address string        `toml:"address" doc:"host:port or unix:/path of an SMTP server"`
	Local   string        `toml:"local" doc:"next hop of recipients in domains, such as the mailbox server: host:port or unix:/path; empty is address. With it, what leaves a milter for other recipients goes through the queue to address"`
	TLS     string        `toml:"tls" doc:"require verifies the server's certificate, opportunistic does not" enum:"off,opportunistic,require"`
	CA      string        `toml:"ca" doc:"PEM file of the authorities that tls = \"require\" believes; empty is the system's" path:"file"`
	Timeout time.Duration `toml:"timeout" doc:"longest wait for one answer of the next hop; 0s is the times of RFC 5321" min:"0s"`
}

// Queue is the section [queue].
type Queue struct {
	Path        string          `toml:"path" doc:"SQLite file; its folder must be writable and on a local disk" path:"new"`
	Lifetime    time.Duration   `toml:"lifetime" doc:"how long delivery is tried before the sender gets a report" min:"1m"`
	Retry       []time.Duration `toml:"retry" doc:"waits between attempts; the last repeats" min:"1s"`
	Workers     int             `toml:"workers" doc:"deliveries at once" min:"1"`
	MaxSize     int             `toml:"max_size" doc:"most messages in the queue, those that are held included; more are deferred with 452" min:"1"`
	MinFree     Size            `toml:"min_free" doc:"octets of the disk that stay free: with less, mail is deferred with 452 while the queue is still delivered; 0 is no limit"`
	Hold        time.Duration   `toml:"hold" doc:"how long a message is held for a certificate (no_certificate = \"hold\") before the sender gets a report" min:"1m"`
	Recheck     time.Duration   `toml:"recheck" doc:"how often the certificates of those it is held for are looked up again" min:"1s"`
	NotifyDelay time.Duration   `toml:"notify_delay" doc:"after what time the sender is told, once, that a message is not delivered yet (NOTIFY=DELAY, RFC 3461); 0s is never" min:"0s"`
}

// Store is the section [store].
type Store struct {
	URL          string `toml:"url" doc:"SQLite file, its folder writable and on a local disk; or postgres://USER@HOST/DATABASE, for several nodes; empty keeps nothing across a restart" path:"new"`
	PasswordFile string `toml:"password_file" doc:"postgres: file with the password of the user" path:"file"`
	KeyFile      string `toml:"key_file" doc:"file with the key that seals the private keys in the store, the same on all nodes; smimerelay cert import makes it; empty keeps no private keys there" path:"new"`
}

// Identities is the section [identities].
type Identities struct {
	Path         string        `toml:"path" doc:"folder of .p12, .pfx and .pem files, or one file; empty is no identities" path:"any"`
	PasswordFile string        `toml:"password_file" doc:"file with the password of those that have no NAME.password beside them" path:"file"`
	Tokens       []string      `toml:"tokens" doc:"PKCS #11 tokens with identities, as URIs (RFC 7512): pkcs11:token=NAME?module-path=LIBRARY&pin-source=file:FILE; a certificate that is not in the token is looked for in path"`
	Overlap      time.Duration `toml:"overlap" doc:"how long past the end of its certificate a key still decrypts, in the store, in files and in tokens alike; 0s is without end" min:"0s"`
}

// CA is the section [ca].
type CA struct {
	URL          string        `toml:"url" doc:"address (http) below which partners fetch root.crl, issuing.crl, root.cer and issuing.cer: a web server with the files of folder, or a proxy to /ca/ on [admin]; empty is no authority"`
	Folder       string        `toml:"folder" doc:"folder that these files are written to; empty writes none" path:"any"`
	Organization string        `toml:"organization" doc:"name of the organization in the authority's own certificates"`
	Country      string        `toml:"country" doc:"its country: two capital letters, such as DE"`
	Profile      string        `toml:"profile" doc:"generation of the S/MIME Baseline Requirements that certificates follow" enum:"multipurpose,strict"`
	Key          string        `toml:"key" doc:"keys that are issued for; auto is what partners can read: rsa3072, and p256 for the key that only signs where separate is set" enum:"auto,p256,p384,rsa2048,rsa3072,rsa4096"`
	Separate     bool          `toml:"separate" doc:"issue two keys: one signs, one is encrypted to"`
	Validity     time.Duration `toml:"validity" doc:"how long an issued certificate is valid, at most 825d" min:"1d"`
	RenewBefore  time.Duration `toml:"renew_before" doc:"how long before its end an identity of a rule with issue = true is followed by another, which signs at once; the old one keeps decrypting" min:"1h"`
	PerHour      int           `toml:"per_hour" doc:"most certificates in an hour; beyond it rules have none issued, so that nobody can fill the store" min:"1"`
	CRLValidity  time.Duration `toml:"crl_validity" doc:"how long a revocation list is good for, at most 10d" min:"1h"`
	CRLRefresh   time.Duration `toml:"crl_refresh" doc:"how often a new one is published; one that revokes is published at once" min:"1m"`
}

// Expiry is the section [expiry].
type Expiry struct {
	Before    []time.Duration `toml:"before" doc:"how long before its end an identity is spoken of, once each: in the log, and by mail where asked for; none is never" min:"1h"`
	MailOwner bool            `toml:"mail_owner" doc:"tell the addresses of the identity by mail"`
	MailTo    []string        `toml:"mail_to" doc:"addresses of administrators who are told of all identities by mail"`
}

// Trust is the section [trust].
type Trust struct {
	Anchors       []string      `toml:"anchors" doc:"files or folders (PEM, DER, .p7b) of the authorities that are believed" path:"any"`
	Anchor        []Anchor      `toml:"anchor" doc:"further anchors, each with a revocation mode of its own; repeat the table [[trust.anchor]] for each"`
	Intermediates []string      `toml:"intermediates" doc:"files or folders of further certificates that help to build chains" path:"any"`
	CRLs          []string      `toml:"crls" doc:"files or folders of revocation lists" path:"any"`
	Revocation    string        `toml:"revocation" doc:"what an unknown revocation status means: refused, tolerated, not asked" enum:"require,prefer,off"`
	Fetch         bool          `toml:"fetch" doc:"ask the CRL and OCSP addresses that certificates name"`
	FetchTimeout  time.Duration `toml:"fetch_timeout" doc:"longest wait for one of these" min:"100ms"`
	FetchNetworks []string      `toml:"fetch_networks" doc:"private networks (CIDR) that may be asked all the same"`
	FetchIssuers  bool          `toml:"fetch_issuers" doc:"also fetch missing intermediates; a sender can see by it when a message is handled"`
	Cache         string        `toml:"cache" doc:"folder that keeps what was fetched across restarts; empty keeps it in memory" path:"new"`
	Stale         time.Duration `toml:"stale" doc:"how long past its end a revocation answer counts when no newer one can be had" min:"0s"`
	Policies      []string      `toml:"policies" doc:"certificate policies (object identifiers) of which every path must have one; none demands no policy"`
	AllowSHA1     bool          `toml:"allow_sha1" doc:"accept signatures with SHA-1 in certificates, messages, revocation lists and OCSP responses, for archives"`
	AllowRSA1024  bool          `toml:"allow_rsa1024" doc:"verify with RSA keys from 1024 bits, for archives; new mail is never encrypted to them"`

	AllowNoAttributes bool `toml:"allow_no_attributes" doc:"accept signatures of messages without signed attributes, which say less: no time, no certificate, no algorithms"`
}

// Anchor is one [[trust.anchor]].
type Anchor struct {
	Path       string `toml:"path" doc:"file or folder (PEM, DER, .p7b) of the authority that is believed" path:"any" required:"yes"`
	Revocation string `toml:"revocation" doc:"as in [trust], for what this authority stands above, and before inbound.revocation; empty is the value there" enum:",require,prefer,off"`
	Note       string `toml:"note" doc:"why; smimerelay check repeats it"`
}

// Exception is one [[exception]].
type Exception struct {
	SHA256 string `toml:"sha256" doc:"fingerprint of the certificate, in hexadecimal" required:"yes"`
	Action string `toml:"action" doc:"allow makes it a trust anchor, block refuses it and everything below it" enum:"allow,block" required:"yes"`
	Note   string `toml:"note" doc:"why; explanations repeat it"`
	Until  string `toml:"until" doc:"date on which it ends, such as 2027-01-31; empty is never"`
}

// Directory is one [[directory]].
type Directory struct {
	Name         string        `toml:"name" doc:"name in logs, metrics and explanations" required:"yes"`
	Type         string        `toml:"type" doc:"where the certificates are; store and harvested are asked first where no table names them; off ignores the table" enum:"ldap,files,https,smimea,store,harvested,off" required:"yes"`
	Domains      []string      `toml:"domains" doc:"asked only about recipients in these domains (.example.com: below it); none is all"`
	Merge        bool          `toml:"merge" doc:"ask the next source even when this one had a usable certificate"`
	Path         string        `toml:"path" doc:"files: folder of ADDRESS.pem, .cer, .crt, .der or .p7b files" path:"any"`
	URL          string        `toml:"url" doc:"https: address; {addr}, {local} and {domain} stand for the recipient, percent-encoded"`
	TokenFile    string        `toml:"token_file" doc:"https: file with a bearer token" path:"file"`
	Resolver     string        `toml:"resolver" doc:"smimea: DNS resolver that validates DNSSEC: 127.0.0.1:53 or tls://name:853"`
	URLs         []string      `toml:"urls" doc:"ldap: servers, tried in this order: ldaps://host, ldap://host:389, ldapi:///path, host"`
	BindDN       string        `toml:"bind_dn" doc:"ldap: name to bind as; empty is anonymous"`
	PasswordFile string        `toml:"password_file" doc:"ldap: file with the password of bind_dn" path:"file"`
	External     bool          `toml:"external" doc:"ldap: bind with SASL EXTERNAL: by the client certificate, or over ldapi by our user"`
	Base         string        `toml:"base" doc:"ldap: where the search begins"`
	Filter       string        `toml:"filter" doc:"ldap: search filter; {addr}, {local} and {domain} stand for the recipient, escaped"`
	Attributes   []string      `toml:"attributes" doc:"ldap: attributes that hold certificates, best first"`
	StartTLS     bool          `toml:"start_tls" doc:"ldap: go on only over TLS (for ldap:// addresses)"`
	CA           string        `toml:"ca" doc:"ldap, https, smimea: PEM file of the authorities that vouch for the server; empty is the system's" path:"file"`
	ClientCert   string        `toml:"client_certificate" doc:"ldap, https: PEM file with a certificate to show to the server" path:"file"`
	ClientKey    string        `toml:"client_key" doc:"ldap, https: PEM file with the key of client_certificate" path:"file"`
	Timeout      time.Duration `toml:"timeout" doc:"ldap, https, smimea: longest wait for one answer" min:"10ms"`
	Connections  int           `toml:"connections" doc:"ldap: connections to each server" min:"1"`

	Nested        string   `toml:"nested" doc:"ldap: how groups in groups are followed: chain is Active Directory's own rule, expand reads group after group, auto asks the server" enum:"auto,chain,expand"`
	GroupMembers  int      `toml:"group_members" doc:"ldap: most members of a group, with those of the groups in it; with more nobody can tell who is in it" min:"1"`
	GroupDepth    int      `toml:"group_depth" doc:"ldap: how many groups may be one in another" min:"1"`
	UserFilter    string   `toml:"user_filter" doc:"ldap: search filter for whoever logged in, for [[entitlement]] with from = \"directory\"; {user} is the name, escaped; empty is nobody"`
	UserAddresses []string `toml:"user_addresses" doc:"ldap: attributes of that entry that list addresses, or the names of entries whose addresses count"`
}

// Lookup is the section [lookup].
type Lookup struct {
	Positive time.Duration `toml:"positive" doc:"how long a found certificate is remembered; 0s is not at all" min:"0s"`
	Negative time.Duration `toml:"negative" doc:"how long it is remembered that there is none; 0s is not at all" min:"0s"`
	Stale    time.Duration `toml:"stale_if_error" doc:"how long past its end a remembered certificate serves when no source answers" min:"0s"`
	Entries  int           `toml:"entries" doc:"most recipients remembered" min:"1"`
	Timeout  time.Duration `toml:"timeout" doc:"longest wait for all sources together" min:"10ms"`
}

// Profile is one [profile.NAME].
type Profile struct {
	Digest           string `toml:"digest" doc:"digest of signatures" enum:"sha-256,sha-384,sha-512"`
	Signature        string `toml:"signature" doc:"padding of RSA signatures" enum:"pkcs1,pss"`
	Cipher           string `toml:"cipher" doc:"content cipher; auto is aes-256-cbc, which every client reads" enum:"auto,aes-128-cbc,aes-192-cbc,aes-256-cbc,aes-128-gcm,aes-256-gcm,chacha20-poly1305"`
	KeyTransport     string `toml:"key_transport" doc:"padding of RSA key transport" enum:"pkcs1,oaep"`
	Opaque           bool   `toml:"opaque" doc:"sign opaque (application/pkcs7-mime) instead of clear (multipart/signed)"`
	ProtectSigned    bool   `toml:"protect_signed" doc:"protect header fields by the signature (RFC 9788, hp=clear)"`
	ProtectEncrypted bool   `toml:"protect_encrypted" doc:"hide the subject in encrypted mail: the real one is inside (RFC 9788, hp=cipher)"`

	MinimumDigest        string `toml:"minimum_digest" doc:"inbound: least digest of a signature; empty is any that is still accepted" enum:",sha-256,sha-384,sha-512"`
	MinimumRSA           int    `toml:"minimum_rsa" doc:"inbound: least bits of a signer's RSA key; 0 is any that is still accepted" min:"0"`
	MinimumSignature     string `toml:"minimum_signature" doc:"inbound: padding that RSA signatures must have; empty is any" enum:",pss"`
	MinimumCipher        string `toml:"minimum_cipher" doc:"inbound: least content cipher; empty is AES or ChaCha20; 3des also decrypts 3DES and RC2, and mail to RSA keys from 1024 bits" enum:",3des,aes-128,aes-192,aes-256"`
	MinimumAuthenticated bool   `toml:"minimum_authenticated" doc:"inbound: the content cipher must authenticate (GCM, ChaCha20-Poly1305)"`
	MinimumKeyTransport  string `toml:"minimum_key_transport" doc:"inbound: padding that RSA key transport must have; empty is any" enum:",oaep"`
}

// Rule is one [[rule]]. Its conditions must all hold, and none of their "except"
// twins. A pattern is an address, a domain ("example.com"), its subdomains
// (".example.com"), a glob, or "file:PATH" for a file of patterns.
type Rule struct {
	Name            string   `toml:"name" doc:"name in logs, replies and explanations" required:"yes"`
	Direction       string   `toml:"direction" doc:"condition: direction of the message; empty is both" enum:",outbound,inbound"`
	Sender          []string `toml:"sender" doc:"condition: address, domain, .subdomains or glob of the envelope sender, which need not be the author (see from), or file:PATH with one on each line; \"*\" is all, as in every condition"`
	ExceptSender    []string `toml:"except_sender" doc:"condition: not for these envelope senders"`
	Recipient       []string `toml:"recipient" doc:"condition: address, domain, .subdomains or glob of the recipient, or file:PATH with one on each line; \"*\" is all"`
	ExceptRecipient []string `toml:"except_recipient" doc:"condition: not for these recipients"`

	SenderGroup          []string `toml:"sender_group" doc:"condition: group of the directory that the sender is in, by its mail address or (with a \"=\") its distinguished name, or file:PATH"`
	ExceptSenderGroup    []string `toml:"except_sender_group" doc:"condition: not for senders in these groups"`
	RecipientGroup       []string `toml:"recipient_group" doc:"condition: group of the directory that the recipient is in, or is"`
	ExceptRecipientGroup []string `toml:"except_recipient_group" doc:"condition: not for recipients in these groups"`
	GroupUnknown         string   `toml:"group_unknown" doc:"what these take for granted where the directory cannot tell: nothing, so that the message waits; that everybody is in the groups; that nobody is; empty is defer" enum:",defer,member,other"`

	User              []string `toml:"user" doc:"condition: glob of the name that the client authenticated with"`
	ExceptUser        []string `toml:"except_user" doc:"condition: not for these users"`
	Network           []string `toml:"network" doc:"condition: network (CIDR) of the client"`
	ExceptNetwork     []string `toml:"except_network" doc:"condition: not from these networks"`
	Listener          []string `toml:"listener" doc:"condition: glob of the name of the listener"`
	ExceptListener    []string `toml:"except_listener" doc:"condition: not by these listeners"`
	From              []string `toml:"from" doc:"condition: address, domain, .subdomains or glob of an author in From, which readers see, or file:PATH; where sender is the envelope's"`
	ExceptFrom        []string `toml:"except_from" doc:"condition: not for these authors"`
	Header            []string `toml:"header" doc:"condition: header field that is there (\"Name\"), is exactly this (\"Name: value\"), or matches (\"Name ~ RE2\")"`
	ExceptHeader      []string `toml:"except_header" doc:"condition: no such header field"`
	Subject           []string `toml:"subject" doc:"condition: words anywhere in the subject, whatever their case"`
	ExceptSubject     []string `toml:"except_subject" doc:"condition: no such words in the subject"`
	Sensitivity       []string `toml:"sensitivity" doc:"condition: value of Sensitivity, such as \"Company-Confidential\""`
	ExceptSensitivity []string `toml:"except_sensitivity" doc:"condition: no such Sensitivity"`
	Importance        []string `toml:"importance" doc:"condition: value of Importance, such as \"high\""`
	ExceptImportance  []string `toml:"except_importance" doc:"condition: no such Importance"`
	Attachment        []string `toml:"attachment" doc:"condition: glob of an attachment's file name, or of its media type if it has a slash"`
	ExceptAttachment  []string `toml:"except_attachment" doc:"condition: no such attachment"`
	Signed            string   `toml:"signed" doc:"condition: the message bears the valid S/MIME signature of its author already; empty is either" enum:",yes,no"`
	Encrypted         string   `toml:"encrypted" doc:"condition: the message is S/MIME encrypted already, and nothing in it can be read; empty is either" enum:",yes,no"`
	LargerThan        Size     `toml:"larger_than" doc:"condition: the message is larger; 0 is no condition" min:"0"`
	SmallerThan       Size     `toml:"smaller_than" doc:"condition: the message is smaller; 0 is no condition" min:"0"`
	MoreRecipients    int      `toml:"more_recipients" doc:"condition: the message has more recipients; 0 is no condition" min:"0"`
	FewerRecipients   int      `toml:"fewer_recipients" doc:"condition: the message has fewer recipients; 0 is no condition" min:"0"`
	ExpandGroups      bool     `toml:"expand_groups" doc:"put the members of a group in the place of its address; each then goes through the rules as a recipient"`
	Sign              string   `toml:"sign" doc:"whether the message is signed; require defers it when no identity can; empty is never" enum:",require,prefer,never"`
	Encrypt           string   `toml:"encrypt" doc:"whether it is encrypted; prefer sends plain to those who have no certificate; empty is never" enum:",require,prefer,never"`
	NoCertificate     string   `toml:"no_certificate" doc:"with encrypt = \"require\": refuse the recipient, refuse all, leave the recipient out and tell the sender, or hold the message until there is one; empty is reject" enum:",reject,reject-message,strip,hold"`
	Unavailable       string   `toml:"unavailable" doc:"with encrypt = \"prefer\", when a directory does not answer: try again later, or send plain; empty is defer" enum:",defer,plain"`
	Mixed             string   `toml:"mixed" doc:"whether a text that is encrypted for some may go to others in the clear: to none, to those of our own domains, or to all; empty is internal" enum:",forbid,internal,allow"`
	Profile           string   `toml:"profile" doc:"algorithms: name of a [profile.NAME]; of inbound mail it says what its signatures and encryption must come up to (minimum_...); empty is default"`
	UserControl       []string `toml:"user_control" doc:"what senders may ask for by [triggers]: sign, encrypt, plain"`
	Agree             string   `toml:"agree" doc:"how envelope sender and From must agree before we sign; empty is any" enum:",any,domain,address"`
	Automatic         string   `toml:"automatic" doc:"whether delivery reports, read receipts and automatic replies pass as they are, if they bring no message and no file with them; empty is pass" enum:",pass,protect"`
	AlreadySigned     string   `toml:"already_signed" doc:"whether what bears the valid signature of its author already gets another one; empty is keep" enum:",keep,sign"`
	AlreadyEncrypted  string   `toml:"already_encrypted" doc:"whether what is encrypted already must be encrypted to a certificate that is known for the recipient, where one is; empty is accept" enum:",accept,check"`
	Calendar          string   `toml:"calendar" doc:"messages that are a meeting request as a whole (a calendar with a METHOD, nothing else attached): only sign, only encrypt, or leave alone; empty is like all mail" enum:",sign,encrypt,leave"`
	Identity          string   `toml:"identity" doc:"who signs: sender, domain (domain-signing-authority@ of RFC 3183) or an address; empty is sender"`
	Issue             bool     `toml:"issue" doc:"where the sender has no identity, [ca] makes one; one that it made is renewed in time"`
	DomainIdentity    string   `toml:"domain_identity" doc:"who signs where the sender has no identity: domain (domain-signing-authority@ of RFC 3183) or an address; empty is nobody"`
	DomainCertificate string   `toml:"domain_certificate" doc:"what serves where a recipient has no certificate: domain (domain-confidentiality-authority@ of RFC 3183) or an address; empty is nothing"`
	SenderCopy        bool     `toml:"sender_copy" doc:"encrypt to the sender too, where there is a certificate"`
	AlsoEncryptTo     []string `toml:"also_encrypt_to" doc:"addresses whose certificates are always added, such as an archive's; without one of them nothing is sent"`
	SubjectTag        string   `toml:"subject_tag" doc:"text before the subject of what leaves, outside of what is signed or encrypted"`
	Footer            string   `toml:"footer" doc:"text at the end of what leaves, or file:PATH; never inside what the sender signed, and not in meeting requests, encrypted or automatic mail"`
	FooterHTML        string   `toml:"footer_html" doc:"the same as an HTML fragment, or file:PATH; empty is made from footer"`
	Mode              string   `toml:"mode" doc:"report decides and logs, and changes nothing; empty is enforce" enum:",enforce,report"`
	// Line is where the rule stands in the file; 0 is built in.
	Line int `toml:"-"`
}

// Entitlement is one [[entitlement]].
type Entitlement struct {
	User     []string `toml:"user" doc:"condition: glob of the name that the client authenticated with"`
	Network  []string `toml:"network" doc:"condition: network (CIDR) of the client"`
	Listener []string `toml:"listener" doc:"condition: glob of the name of the listener"`
	From     []string `toml:"from" doc:"authors in whose name these clients may have mail signed: address, domain, .subdomains or glob; self is the one they authenticated as, directory those that [[directory]] lists for them" required:"yes"`
	// Line is where it stands in the file; 0 is built in.
	Line int `toml:"-"`
}

// Triggers is the section [triggers].
type Triggers struct {
	Sign        []string `toml:"sign" doc:"words in the subject that ask for a signature"`
	Encrypt     []string `toml:"encrypt" doc:"words in the subject that ask for encryption"`
	Plain       []string `toml:"plain" doc:"words in the subject that ask for no encryption"`
	Header      string   `toml:"header" doc:"header field whose value asks: sign, encrypt, plain; empty is none"`
	Sensitivity []string `toml:"sensitivity" doc:"values of Sensitivity that ask for encryption"`
}

// Notices is the section [notices].
type Notices struct {
	Language string `toml:"language" doc:"language of the built-in texts" enum:"en,de"`
	Folder   string `toml:"folder" doc:"folder with texts of your own: failed.txt, delayed.txt, relayed.txt, stripped.txt, held.txt, expiry-owner.txt, expiry-admin.txt, and .html beside them; empty is none" path:"any"`
}

// Inbound is the section [inbound].
type Inbound struct {
	Verify         bool     `toml:"verify" doc:"verify signatures and stamp the result"`
	Decrypt        bool     `toml:"decrypt" doc:"decrypt what our identities can"`
	DecryptFor     string   `toml:"decrypt_for" doc:"only for recipients whom the identity names, or for any (where the MTA rewrites recipients before the gateway)" enum:"recipient,any"`
	Revocation     string   `toml:"revocation" doc:"as in [trust], for signers; empty is the value there" enum:",require,prefer,off"`
	ReturnPath     string   `toml:"return_path" doc:"envelope sender of mail that was encrypted when it came in: gateway is an address of the gateway, which passes reports of failure on without what was decrypted; sender leaves it, and servers behind the gateway report to strangers" enum:"gateway,sender"`
	BounceDomain   string   `toml:"bounce_domain" doc:"domain of these addresses, routed to a listener of the gateway; empty is hostname"`
	Harvest        bool     `toml:"harvest" doc:"keep the certificates of authors whose signature passed, and what ciphers they read, to answer them encrypted"`
	HarvestDomains []string `toml:"harvest_domains" doc:"authors whose certificates are kept: address, domain, .subdomains or glob; none is all but those of our domains"`
	HarvestExcept  []string `toml:"harvest_except" doc:"authors whose certificates are not kept"`
}
