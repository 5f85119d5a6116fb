package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Place returns path or address, which is about to be opened, as it is. In a test
// it panics if a gateway that is installed on the machine would have it open: a
// test must neither read its store and queue nor take its ports, nor send mail to
// the server behind it. All that opens what a configuration names asks it first.
func Place(place string) string {
	if testing.Testing() && builtIn(place) {
		panic(fmt.Sprintf("config: a test uses %q, which belongs to the gateway of this machine; name another in its configuration", place))
	}
	return place
}

// IsTrial reports whether c is the configuration of a test, which has names of the documentation
// on purpose. Any other may be that of a service, wherever its file is.
func (c *Config) IsTrial() bool { return testing.Testing() && c.File() != File }

// builtIn reports whether place is one of the built-in configuration, or a file
// beside them.
func builtIn(place string) bool {
	c := Default()
	addresses := []string{c.NextHop.Address}
	for _, l := range c.Listeners {
		addresses = append(addresses, l.Address)
	}
	folders := []string{filepath.Dir(c.Store.URL), filepath.Dir(c.Store.KeyFile), filepath.Dir(c.Queue.Path), filepath.Dir(File)}
	return slices.Contains(addresses, place) || slices.ContainsFunc(folders, func(folder string) bool {
		return strings.HasPrefix(filepath.Clean(place), folder+"/")
	})
}
