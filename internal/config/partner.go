package config

// Partner is one [[partner]].
type Partner struct {
	Domain      string   `toml:"domain" doc:"mail domain of the partner, without its subdomains" required:"yes"`
	Signers     []string `toml:"signers" doc:"certificates that sign for all authors of the domain (a gateway, RFC 3183): an address in the domain that the certificate has, dns:HOST for a host name in the domain that it has, or sha256:HEX for its fingerprint. Its chain must be trusted all the same. Such a signature passes with the reason domain-signature"`
	Certificate string   `toml:"domain_certificate" doc:"whose certificate outbound mail is encrypted to if a recipient in the domain has none and the rule names no other: an address in the domain, or domain (domain-confidentiality-authority@ of RFC 3183). The directories and the store are asked for it; empty is none"`
	File        string   `toml:"domain_certificate_file" doc:"file or folder (PEM, DER, .p7b) with this certificate: it serves before those of the directories, whatever names it has, and its chain must be trusted all the same. Without domain_certificate it is used as if that were domain" path:"any"`
	Profile     string   `toml:"profile" doc:"[profile.NAME] of outbound mail to the domain where the rule names none but default; empty adds none"`
	Minimum     string   `toml:"minimum" doc:"[profile.NAME] whose minimum requirements (minimum_...) inbound mail of authors in the domain must meet, besides those of rules; empty adds none"`
	Contact     string   `toml:"contact" doc:"who answers for the partner, such as an address or a telephone number: named in refusals for want of a certificate, in notices of quarantine, and by explain"`
	Note        string   `toml:"note" doc:"what was agreed, and with whom"`
	// Line is where it stands in the file; 0 is built in.
	Line int `toml:"-"`
}
