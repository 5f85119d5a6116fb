package config

import "fmt"

// served is an address that the gateway listens at, with the option that has it.
type served struct{ key, address string }

// served are all of them, in the order in which they are reported.
func (c *Config) served() (all []served) {
	add := func(key, address string) {
		if address != "" {
			all = append(all, served{key, address})
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
	all := c.served()
	for i, s := range all {
		d.ownAddress(s, all[:i])
		for _, hop := range []served{{"next_hop.address", c.NextHop.Address}, {"next_hop.local", c.NextHop.Local}} {
			if i >= len(c.Listeners) && leadsTo(s.address, hop.address) {
				d.complain(s.key, "use another port for one of them", "is also %s, where mail goes", hop.key)
			}
		}
	}
}

func (d *decoder) ownAddress(s served, above []served) {
	for _, other := range above {
		if !leadsTo(other.address, s.address) && !leadsTo(s.address, other.address) {
			continue
		}
		text := fmt.Sprintf("%q is used twice", s.address)
		if other.address != s.address {
			text = fmt.Sprintf("%q is also that of %s, %q", s.address, other.key, other.address)
		}
		d.complain(s.key, fmt.Sprintf("use a different value than line %d", d.source.line(other.key)), "%s", text)
		return
	}
}

// ownFiles refuses one file for two of those that the gateway writes.
func (d *decoder) ownFiles(c *Config) {
	files := map[string]string{}
	for _, f := range []struct{ key, path string }{
		{"store.url", c.Store.URL}, {"store.key_file", c.Store.KeyFile}, {"queue.path", c.Queue.Path}, {"console.path", c.Console.Path},
	} {
		if f.path == "" || f.key == "store.url" && c.Store.Shared() {
			continue
		}
		if first, used := files[f.path]; used {
			d.complain(f.key, "name a file of its own", "%q is also %s", f.path, first)
			continue
		}
		files[f.path] = f.key
	}
}
