package observe

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

var update = flag.Bool("update", false, "write docs/metrics.md again")

const metricsFile = "../../docs/metrics.md"

// described finds name, help and labels in the only form in which a
// prometheus.Desc gives them away.
var described = regexp.MustCompile(`fqName: "([^"]+)", help: "((?:[^"\\]|\\.)*)", unit: "[^"]*", constLabels: \{\}, variableLabels: \{([^}]*)\}`)

// TestMetricsAreDocumented keeps docs/metrics.md what the declarations say.
func TestMetricsAreDocumented(t *testing.T) {
	want := document(t, NewMetrics(Depth{}))
	if *update {
		if err := os.WriteFile(metricsFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(metricsFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/metrics.md is not what the declarations say; run go test ./internal/observe -update\n%s", diff)
	}
}

func document(t *testing.T, m *Metrics) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`# Metrics

Set ` + "`[admin] address`" + ` and let Prometheus fetch ` + "`/metrics`" + `. ` + "`/healthz`" + ` answers 200 while the
process lives, ` + "`/readyz`" + ` while it takes messages and the queue can store them, and else 503 with the reason. Besides the metrics of the table there are those of the
Go runtime and of the process. This page is made from the declarations.

| metric | kind | labels | meaning |
|---|---|---|---|
`)
	for _, c := range m.collectors() {
		ch := make(chan *prometheus.Desc, 1)
		c.Describe(ch)
		f := described.FindStringSubmatch((<-ch).String())
		if f == nil {
			t.Fatal("the form of prometheus.Desc has changed")
		}
		help := strings.ReplaceAll(f[2], `\"`, `"`)
		if !strings.HasSuffix(help, ".") {
			t.Errorf("%s: its help is no sentence: %q", f[1], help)
		}
		labels := strings.ReplaceAll(f[3], ",", ", ")
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f[1], kind(c), labels, help)
	}
	b.WriteString(`
## What to watch

- ` + "`smimerelay_refusals_total{kind=\"internal\"}`" + ` rises: a bug or a fault of the machine; the log has the id.
- ` + "`smimerelay_refusals_total{kind=\"unavailable\"}`" + ` rises: a directory or a revocation service is unavailable.
- ` + "`smimerelay_directory_seconds_count{result=\"failed\"}`" + ` rises: that directory is unavailable.
- ` + "`smimerelay_queue_up`" + ` is 0: no mail is accepted; ` + "`/readyz`" + ` shows why. It recovers within a minute after the disk has.
- ` + "`smimerelay_queue_messages`" + ` rises and stays high: the next hop does not accept mail.
- ` + "`smimerelay_queue_held_oldest_seconds`" + ` approaches ` + "`[queue] hold_lifetime`" + `: its sender will get a delivery report; ` + "`smimerelay queue held`" + ` shows which recipients have no certificate.
- ` + "`smimerelay_identity_expiry_timestamp_seconds - time()`" + ` falls below 30 days: renew the identity.
- ` + "`smimerelay_identities_expiring`" + ` is above 0: ` + "`smimerelay cert expiring`" + ` lists them.
- ` + "`smimerelay_store_up`" + ` is 0: the database of the certificate store is unavailable.
- ` + "`smimerelay_crl_end_timestamp_seconds - time()`" + ` falls below 2 days: once it is 0, partners can no longer check certificates that the built-in CA issued.
- ` + "`smimerelay_reloads_total{result=\"failed\"}`" + ` rises: the file has a problem, and the old configuration stays in effect.
`)
	return b.String()
}

func kind(c prometheus.Collector) string {
	switch c.(type) {
	case *prometheus.CounterVec:
		return "counter"
	case *prometheus.HistogramVec:
		return "histogram"
	case prometheus.Counter:
		if _, gauge := c.(prometheus.Gauge); !gauge {
			return "counter"
		}
	}
	return "gauge"
}
