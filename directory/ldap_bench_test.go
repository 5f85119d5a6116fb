package directory

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/smimerelay/smimerelay/internal/slapdtest"
)

// BenchmarkLDAP looks 10,000 distinct recipients up in bursts of 100: with the
// library alone in a loop on one connection, and past the cache of a Directory
// with one connection and with four. The three take turns, so that whatever else
// the machine does slows all of them; x-library is how many times as fast as the
// library's loop the Directory is.
func BenchmarkLDAP(b *testing.B) {
	const recipients, burst = 10_000, 100
	s := slapdtest.Start(b, slapdtest.Config{})
	s.Fill(b, recipients, issue(b, bob, 0))
	next := 0
	name := func() string {
		next++
		return fmt.Sprintf("user%d@example.net", next%recipients)
	}
	contestants := []struct {
		name string
		run  func()
		took time.Duration
	}{
		{name: "library", run: libraryBurst(b, s, burst, name)},
		{name: "one", run: directoryBurst(b, s, 1, burst, name)},
		{name: "four", run: directoryBurst(b, s, 4, burst, name)},
	}
	rounds := 0
	for b.Loop() {
		for i := range contestants {
			start := time.Now()
			contestants[i].run()
			contestants[i].took += time.Since(start)
		}
		rounds++
	}
	for _, c := range contestants {
		b.ReportMetric(float64(rounds*burst)/c.took.Seconds(), c.name+"/s")
	}
	for _, c := range contestants[1:] {
		b.ReportMetric(contestants[0].took.Seconds()/c.took.Seconds(), c.name+"-x-library")
	}
}

func libraryBurst(b *testing.B, s *slapdtest.Server, burst int, name func() string) func() {
	b.Helper()
	c, err := ldap.DialURL(s.URL())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close() })
	filter, err := parseFilter(defaultFilter)
	if err != nil {
		b.Fatal(err)
	}
	return func() {
		for range burst {
			r, err := c.Search(ldap.NewSearchRequest(slapdtest.Suffix, ldap.ScopeWholeSubtree, 0, 0, 0, false,
				filter.expand(addr(b, name())), defaultAttributes(), nil))
			if err != nil || len(r.Entries) != 1 {
				b.Fatal(r, err)
			}
		}
	}
}

func directoryBurst(b *testing.B, s *slapdtest.Server, connections, burst int, name func() string) func() {
	b.Helper()
	l := openLDAP(b, LDAPConfig{URLs: []string{s.URL()}, Connections: connections, Timeout: time.Minute})
	d := open(b, Config{Sources: sources(l), Timeout: time.Minute})
	return func() {
		var all sync.WaitGroup
		for range burst {
			a := addr(b, name())
			all.Go(func() {
				if r := d.LookupFresh(b.Context(), a); r.Outcome != Usable {
					b.Error(r.Answers)
				}
			})
		}
		all.Wait()
	}
}
