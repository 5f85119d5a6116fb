package intake

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/certs/store"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// BenchmarkImport brings 10,000 certificates, and a thousand identities as openssl
// writes them, into a new SQLite file; and all of them again, which are known.
func BenchmarkImport(b *testing.B) {
	ca := testpki.Must(testpki.NewCA(testpki.Options{}))
	for _, kind := range []struct {
		name   string
		files  int
		encode func(*testpki.Identity) []byte
	}{
		{"certificates.cer", 10_000, func(id *testpki.Identity) []byte { return id.Certificate.Raw }},
		{"identities.p12", 1_000, func(id *testpki.Identity) []byte { return testpki.Must(id.PKCS12("long enough")) }},
	} {
		dir := b.TempDir()
		for i := range kind.files {
			id := testpki.Must(ca.Issue(testpki.Leaf{Addresses: []string{fmt.Sprintf("u%d@example.org", i)}}))
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d%s", i, filepath.Ext(kind.name))), kind.encode(id), 0o600); err != nil {
				b.Fatal(err)
			}
		}
		files := testpki.Must(file.Files(dir))
		for _, again := range []bool{false, true} {
			name := kind.name + "/new"
			if again {
				name = kind.name + "/known"
			}
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					s := newFile(b)
					if again {
						importAll(b, s, files)
					}
					b.StartTimer()
					importAll(b, s, files)
				}
				b.ReportMetric(float64(len(files))*float64(b.N)/b.Elapsed().Seconds(), "files/s")
			})
		}
	}
}

func newFile(b *testing.B) *store.Store {
	b.Helper()
	s, err := store.Open(b.Context(), store.Config{URL: filepath.Join(b.TempDir(), "store.db"), Key: make([]byte, 32), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func importAll(b *testing.B, s *store.Store, files []string) {
	b.Helper()
	sum, err := Run(b.Context(), Config{Store: s, Password: "long enough", Workers: runtime.GOMAXPROCS(0)}, files, func(Outcome) error { return nil })
	if err != nil || sum.Refused > 0 || sum.Added+sum.Known != len(files) {
		b.Fatal(sum, err)
	}
}
