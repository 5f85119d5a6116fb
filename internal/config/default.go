package config

import "time"

// File is where the configuration is unless the command line says otherwise.
const File = "/etc/smimerelay/config.toml"

// Default returns the built-in configuration: the one in effect when a file
// says nothing. It serves: an LMTP listener for Postfix's content_filter in each
// direction, and one rule that signs and encrypts where it can.
func Default() *Config {
	return &Config{
		Domains:   []string{},
		LocalPart: "ignore-case",
		Log:       Log{Level: "info", Format: "text"},
		Admin:     Admin{SocketMode: socketMode},
		Tracing:   Tracing{OneIn: 1},
		Console:   Console{SocketMode: socketMode, Lifetime: 12 * time.Hour, Idle: 30 * time.Minute},
		OpenID:    defaultOpenID(),
		Limits: Limits{
			MessageSize: 50 * megabyte, Recipients: 1000, Connections: 200, MessageMemory: 400 * megabyte,
			ConnectionsPerAddress: 50, ErrorsPerConnection: 100, ReadTimeout: 5 * time.Minute, WriteTimeout: time.Minute, Session: 2 * time.Hour, MinimumRate: 128,
			Receive: 30 * time.Minute, Process: 4 * time.Minute, ShutdownTimeout: 30 * time.Second,
		},
		Listeners:    defaultListeners(),
		NextHop:      NextHop{Address: "127.0.0.1:10027", TLS: "opportunistic", Attempt: time.Hour},
		Routes:       []Route{},
		DNS:          DNS{Resolvers: []string{}, Timeout: 5 * time.Second},
		Queue:        defaultQueue(),
		Store:        Store{URL: "/var/lib/smimerelay/store.db", KeyFile: "/var/lib/smimerelay/store.key"},
		History:      History{Keep: 30 * day, Size: 2000 * megabyte},
		Expiry:       Expiry{WarnBefore: []time.Duration{30 * day, 7 * day, day}, MailTo: []string{}},
		Trust:        Trust{Anchors: []string{}, Anchor: []Anchor{}, Intermediates: []string{}, CRLs: []string{}, Revocation: "require", Fetch: true, FetchTimeout: 10 * time.Second, FetchNetworks: []string{}, Policies: []string{}},
		CA:           defaultCA(),
		Enrolments:   []Enrolment{},
		Publish:      []Publish{},
		Exceptions:   []Exception{},
		Directory:    []Directory{defaultDirectory()},
		Lookup:       Lookup{Positive: time.Hour, Negative: 5 * time.Minute, Entries: 10_000, Timeout: 10 * time.Second},
		Profiles:     defaultProfiles(),
		Rules:        []Rule{defaultRule()},
		Entitled:     []Entitlement{},
		InboundRules: []InboundRule{},
		Partners:     []Partner{},
		Triggers: Triggers{
			Sign: []string{"[sign]"}, Encrypt: []string{"[encrypt]"}, Plain: []string{"[plain]"},
			Header: "X-SMIME", Sensitivity: []string{},
		},
		Ask:        Ask{Again: 14 * day, English: []string{}, German: []string{".de", ".at", ".li"}},
		Commands:   Commands{PerHour: 20},
		Notices:    Notices{Language: "en"},
		Inbound:    Inbound{Verify: true, Decrypt: true, DecryptFor: "recipient", ReturnPath: "gateway", Harvest: true, HarvestDomains: []string{}, HarvestExcept: []string{}},
		Identities: Identities{Tokens: []string{}, SignFor: "author"},
	}
}

// socketMode lets the group of the socket connect: the MTA is made a member.
const socketMode = "0660"

func defaultListeners() []Listener {
	outbound := newListener()
	outbound.Name, outbound.Protocol, outbound.Address, outbound.Direction = "outbound", "lmtp", "127.0.0.1:10025", "outbound"
	inbound := outbound
	inbound.Name, inbound.Address, inbound.Direction = "inbound", "127.0.0.1:10026", "inbound"
	return []Listener{outbound, inbound}
}

func defaultQueue() Queue {
	return Queue{
		NotifyDelay: 4 * time.Hour,
		Path:        "/var/lib/smimerelay/queue.db",
		Lifetime:    5 * day,
		Retry: []time.Duration{
			time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour,
		},
		MinFree:      64 * megabyte,
		Workers:      20,
		MaxSize:      100_000,
		HoldLifetime: 5 * day,
		Quarantine:   14 * day,
		HoldRecheck:  15 * time.Minute,
	}
}

func defaultCA() CA {
	return CA{
		Profile: "multipurpose", KeyType: "auto", Validity: 365 * day, RenewBefore: 30 * day, MaxPerHour: 100,
		CRLValidity: 7 * day, CRLRefresh: day, OCSPValidity: 12 * time.Hour,
	}
}

func defaultDirectory() Directory {
	return Directory{
		Name: "directory", Type: "off", Domains: []string{}, URLs: []string{},
		Filter:     "(|(mail={addr})(proxyAddresses=smtp:{addr}))",
		Attributes: []string{"userSMIMECertificate", "userCertificate"},
		Timeout:    2 * time.Second, Connections: 4,
		NestedGroups: "auto", GroupMembers: 1000, GroupDepth: 10, UserAddresses: []string{"mail", "proxyAddresses"}, Aliases: []string{},
	}
}

// defaultProfiles are the presets. "compatible" is what the oldest clients in
// use read; "rfc8551" what RFC 8551 sections 2.2 to 2.7 prefer. "edi-energy" is
// for e-mail between parties of the German energy market: its rules for transport
// (EDI@Energy, after BSI TR-03116-4) demand RSASSA-PSS and RSAES-OAEP since 2018,
// and AES-128-GCM alone since October 2025; AES in CBC mode is still let in, as
// partners were late. "pqc" goes with recipients whose keys are ML-KEM: the key
// decides, the rest is as strong. docs/profiles.md names the sources of all.
func defaultProfiles() map[string]Profile {
	return map[string]Profile{
		"default":    {Digest: "sha-256", Signature: "pkcs1", Cipher: "auto", KeyTransport: "auto", RecipientIdentifier: "issuer", OmitAttributes: []string{}, Keys: []string{}, Hybrid: true},
		"compatible": {Digest: "sha-256", Signature: "pkcs1", Cipher: "aes-128-cbc", KeyTransport: "auto", RecipientIdentifier: "issuer", OmitAttributes: []string{}, Keys: []string{}, Hybrid: true},
		"rfc8551": {Digest: "sha-256", Signature: "pss", Cipher: "aes-256-gcm", KeyTransport: "oaep", RecipientIdentifier: "issuer", OmitAttributes: []string{}, Keys: []string{}, Hybrid: true,
			MinimumDigest: "sha-256", MinimumRSA: 2048, MinimumCipher: "aes-128"},
		"edi-energy": {Digest: "sha-256", Signature: "pss", Cipher: "aes-128-gcm", KeyTransport: "oaep", RecipientIdentifier: "issuer", OmitAttributes: []string{}, Keys: []string{}, Hybrid: true,
			MinimumDigest: "sha-256", MinimumRSA: 2048, MinimumSignature: "pss", MinimumCipher: "aes-128", MinimumKeyTransport: "oaep"},
		"pqc": {Digest: "sha-512", Signature: "pss", Cipher: "aes-256-gcm", KeyTransport: "oaep", RecipientIdentifier: "issuer", OmitAttributes: []string{}, Keys: []string{}, Hybrid: true,
			MinimumDigest: "sha-384", MinimumRSA: 3072, MinimumSignature: "pss", MinimumCipher: "aes-256", MinimumAuthenticated: true, MinimumKeyTransport: "oaep"},
		"bsi": {Digest: "sha-256", Signature: "pss", Cipher: "aes-256-gcm", KeyTransport: "oaep", RecipientIdentifier: "issuer", OmitAttributes: []string{}, Keys: []string{"rsa", "ec", "brainpool"}, Hybrid: true,
			MinimumDigest: "sha-256", MinimumRSA: 3000, MinimumSignature: "pss", MinimumCipher: "aes-128", MinimumKeyTransport: "oaep"},
		"cnsa2": {Digest: "sha-512", Signature: "pss", Cipher: "aes-256-gcm", KeyTransport: "oaep", RecipientIdentifier: "issuer", OmitAttributes: []string{}, Keys: []string{"ml-dsa-87", "ml-kem-1024"},
			MinimumDigest: "sha-384", MinimumCipher: "aes-256", MinimumAuthenticated: true},
		"direct": {Digest: "sha-256", Signature: "pkcs1", Cipher: "aes-256-cbc", KeyTransport: "pkcs1", RecipientIdentifier: "issuer", OmitAttributes: []string{}, Keys: []string{"rsa", "ec"}, Hybrid: true, Wrap: "message",
			MinimumDigest: "sha-256", MinimumRSA: 2048, MinimumCipher: "aes-128"},
	}
}

func defaultRule() Rule {
	r := newRule()
	r.Name, r.Sign, r.Encrypt, r.Unavailable, r.Profile = "default", "prefer", "prefer", "defer", "default"
	return r
}

// Elements of the arrays of tables start from these: the values of the built-in
// element, without what every table must say itself.

func newListener() Listener {
	none := []string{}
	return Listener{
		SocketMode: socketMode, Direction: "auto", Networks: none, TLS: "starttls", Auth: "off",
		SNI: none, ClientNames: none, ClientFingerprints: none, XForward: none, XClient: none, Proxy: none,
	}
}

func newDirectory() Directory {
	d := defaultDirectory()
	d.Name, d.Type = "", ""
	return d
}

func newRule() Rule {
	everybody, none := []string{Everybody}, []string{}
	return Rule{
		Sender: everybody, Recipient: everybody, User: everybody, Network: everybody, Listener: everybody,
		From: everybody, ExceptFrom: none,
		Header: everybody, Subject: everybody, Sensitivity: everybody, Importance: everybody, Attachment: everybody,
		SenderGroup: everybody, RecipientGroup: everybody, ExceptSenderGroup: none, ExceptRecipientGroup: none,
		ExceptSender: none, ExceptRecipient: none, ExceptUser: none, ExceptNetwork: none, ExceptListener: none,
		ExceptHeader: none, ExceptSubject: none, ExceptSensitivity: none, ExceptImportance: none, ExceptAttachment: none,
		UserControl: none, AlsoEncryptTo: none,
	}
}

// newEntitlement has no conditions: at least one must be given.
func newEntitlement() Entitlement { return Entitlement{} }

// Everybody is the pattern of a condition that always holds.
const Everybody = "*"

// newProfile returns what [profile.name] starts from: the preset of this name,
// or "default".
func newProfile(name string) Profile {
	presets := defaultProfiles()
	if p, ok := presets[name]; ok {
		return p
	}
	return presets["default"]
}
