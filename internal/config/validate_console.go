package config

// console checks that passwords do not cross a network in the clear.
func (d *decoder) console(c Console, s Store) {
	d.mode("console.socket_mode", c.SocketMode)
	d.pair("console", "tls_certificate", "tls_key", c.TLSCert, c.TLSKey)
	if c.Address == "" {
		return
	}
	d.endpoint("console.address", c.Address, "systemd")
	if c.TLSCert == "" && !isLocal(c.Address) {
		d.complain("console.tls_certificate", "set tls_certificate and tls_key, or an address such as \"127.0.0.1:8443\" or unix:/path",
			"is missing: other hosts reach the console, and passwords would cross the network in the clear")
	}
	if c.Path == "" && s.URL == "" {
		d.complain("console.path", "set it to a file", "is missing: the store is in memory, and there is no file next to it")
	}
	if c.Idle > c.Lifetime {
		d.complain("console.session_idle", "write at most session_lifetime", "is longer than session_lifetime")
	}
}
