package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/certs"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// many is how many certificates the benchmarks look among.
const many = 100_000

// BenchmarkStore fills a store of each kind, in calls of 1000 certificates as an
// import makes them, and looks for one by its address.
func BenchmarkStore(b *testing.B) {
	list := manyCertificates(b)
	for _, kind := range []struct {
		name string
		url  func() string
	}{
		{"sqlite", func() string { return filepath.Join(b.TempDir(), "store.db") }},
		{"postgresql", func() string {
			s, err := server()
			if err != nil {
				b.Fatal(err)
			}
			return s.Database(b)
		}},
	} {
		w := newWorld(b, kind.url())
		rate := w.fill(list)
		b.Run(kind.name+"/find", func(b *testing.B) {
			median(b, func() {
				a := addr(fmt.Sprintf("p%d@example.com", rand.IntN(many)))
				if e, err := w.Find(context.Background(), Query{Address: &a, Chain: true}); err != nil || len(e) != 1 {
					b.Fatal(len(e), err)
				}
			})
			b.ReportMetric(rate, "imported/s")
		})
		b.Run(kind.name+"/signing", func(b *testing.B) {
			got[Stored](w)(w.PutIdentity(context.Background(), Imported, w.identity(1, "p1@example.com")))
			median(b, func() {
				if id, err := w.Keys().Signing(context.Background(), addr("p1@example.com")); err != nil || id == nil {
					b.Fatal(err)
				}
			})
		})
		b.Run(kind.name+"/known", func(b *testing.B) {
			median(b, func() {
				if s, err := w.Put(context.Background(), Harvested, list[rand.IntN(many)]); err != nil || s.Known != 1 {
					b.Fatal(s, err)
				}
			})
		})
		b.Run(kind.name+"/new", func(b *testing.B) {
			var ids []*certs.Identity
			for range 3000 {
				ids = append(ids, w.identity(1, "new@example.com"))
			}
			n := 0
			median(b, func() {
				if s, err := w.Put(context.Background(), Harvested, New{Certificate: ids[n%len(ids)].Certificate}); err != nil || s.New != 1 {
					b.Fatal(s, err)
				}
				n++
			})
		})
	}
}

func manyCertificates(b *testing.B) []New {
	b.Helper()
	ca := testpki.Must(testpki.NewCA(testpki.Options{NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0)}))
	sub := testpki.Must(ca.Intermediate(testpki.Options{Name: "Sub"}))
	key := testpki.Must(sub.Issue(testpki.Leaf{})).Key
	list := make([]New, many)
	for i := range list {
		id := testpki.Must(sub.Issue(testpki.Leaf{Addresses: []string{fmt.Sprintf("p%d@example.com", i)}, PrivateKey: key}))
		list[i] = New{Certificate: id.Certificate, Chain: id.Chain}
	}
	return list
}

// fill returns how many certificates were stored in a second.
func (w *world) fill(list []New) float64 {
	w.t.Helper()
	start := time.Now()
	for part := range slices.Chunk(list, 1000) {
		got[Stored](w)(w.Put(context.Background(), Imported, part...))
	}
	return float64(len(list)) / time.Since(start).Seconds()
}

// median runs f and reports the median of its times: the mean is that of the
// slowest.
func median(b *testing.B, f func()) {
	b.Helper()
	times := make([]time.Duration, 0, 1024)
	for b.Loop() {
		start := time.Now()
		f()
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "median-µs")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
}
