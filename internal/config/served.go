package config

import "fmt"

// Served is an address that the gateway listens at, and the option that has it.
type Served struct{ Key, Address string }

// Served are all of them: listeners first.
func (c *Config) Served() (all []Served) {
	add := func(key, address string) {
		if address != "" {
			all = append(all, Served{key, address})
		}
	}
	for i, l := range c.Listeners {
		add(join(index("listener", i), "address"), l.Address)
	}
	for i, p := range c.Publish {
		add(join(index("publish", i), "address"), p.Address)
	}
	add("est.address", c.EST.Address)
	add("console.address", c.Console.Address)
	add("admin.address", c.Admin.Address)
	return all
}

// addresses refuses an address that another listener has, in whatever spelling, and mail that
// would go to what is no mail server.
func (d *decoder) addresses(c *Config) {
	all := c.Served()
	for i, s := range all {
		d.ownAddress(s, all[:i])
		for _, hop := range []Served{{"next_hop.address", c.NextHop.Address}, {"next_hop.local", c.NextHop.Local}} {
			if i >= len(c.Listeners) && leadsTo(s.Address, hop.Address) {
				d.complain(s.Key, "use another port for one of them", "is also %s, where mail goes", hop.Key)
			}
		}
	}
}

func (d *decoder) ownAddress(s Served, above []Served) {
	for _, other := range above {
		if !leadsTo(other.Address, s.Address) && !leadsTo(s.Address, other.Address) {
			continue
		}
		text := fmt.Sprintf("%q is used twice", s.Address)
		if other.Address != s.Address {
			text = fmt.Sprintf("%q is also that of %s, %q", s.Address, other.Key, other.Address)
		}
		d.complain(s.Key, fmt.Sprintf("use a different value than line %d", d.source.line(other.Key)), "%s", text)
		return
	}
}

// ownFiles refuses a database as the file of the key. Databases may share a file.
func (d *decoder) ownFiles(c *Config) {
	for _, f := range c.Databases() {
		if f.Path == c.Store.KeyFile {
			d.complain("store.key_file", "name a file of its own", "%q is also %s", f.Path, f.Key)
			return
		}
	}
}

// Databases are the files that hold one, and the options that name them.
func (c *Config) Databases() (all []NamedFile) {
	for _, f := range []NamedFile{{Key: "store.url", Path: c.Store.URL}, {Key: "queue.path", Path: c.Queue.Path}, {Key: "console.path", Path: c.Console.Path}} {
		if f.Path != "" && (f.Key != "store.url" || !c.Store.Shared()) {
			all = append(all, f)
		}
	}
	return all
}
