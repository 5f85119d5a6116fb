package config

// Partner is one [[partner]].
type Partner struct {
	Domain  string   `toml:"domain" doc:"mail domain of the partner, without its subdomains" required:"yes"`
	Signers []string `toml:"signers" doc:"certificates that sign for all authors of the domain (a gateway, RFC 3183): an address in the domain that the certificate has, dns:HOST for a host name in the domain that it has, or sha256:HEX for its fingerprint. Its chain must be trusted all the same. Such a signature passes with the reason domain-signature" required:"yes"`
	Note    string   `toml:"note" doc:"what was agreed, and with whom"`
	// Line is where it stands in the file; 0 is built in.
	Line int `toml:"-"`
}
