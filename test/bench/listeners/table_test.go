package listeners

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/loopback"
	"github.com/smimerelay/smimerelay/test/rig"
)

var (
	table    = flag.Bool("table", false, "measure, and print the table")
	messages = flag.Int("messages", 1000, "messages of 5 kB in each run; a fifth of that of 75 kB")
	only     = flag.String("job", "", "measure one job alone: one of the milter's, or relay")
	runs     = flag.Int("runs", 4, "runs of each figure; the table has their medians")
	oneSize  = flag.Int("size", 0, "measure one size alone, in octets")
	oneLoad  = flag.Int("sessions", 0, "measure with so many sessions alone")
)

// places are where everything listens.
type places struct {
	milterOut, milterIn, filter, relay, counter, library, bareFilter, bareRelay, opendkim string
	bare                                                                                  map[string]string // by job
}

func newPlaces(tb testing.TB, w *world, counter string) places {
	local := func() string { return fmt.Sprintf("127.0.0.1:%d", loopback.FreePort(tb)) }
	socket := func(name string) string { return "unix:" + w.path(name) }
	p := places{
		milterOut: socket("milter-out"), milterIn: socket("milter-in"), filter: socket("filter"), relay: local(), counter: counter,
		library: socket("library"), bareFilter: socket("bare-filter"), bareRelay: local(), opendkim: socket("opendkim"),
		bare: map[string]string{},
	}
	for _, job := range jobs {
		p.bare[job] = socket("bare-" + job)
	}
	return p
}

// bench is everything that runs.
type bench struct {
	*testing.T
	world   *world
	counter *counter
	gateway *rig.Gateway
	places  places
	ports   map[string]int // of the services of Postfix, by the filter behind them
	filters map[string]process
}

func newBench(t *testing.T) *bench {
	w := newWorld(t)
	c, err := startCounter()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.ln.Close() })
	b := &bench{T: t, world: w, counter: c, places: newPlaces(t, w, c.ln.Addr().String()), ports: map[string]int{}, filters: map[string]process{}}
	p := b.places
	program, err := rig.Build(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	_, relayPort, _ := strings.Cut(p.relay, ":")
	b.gateway = rig.StartGateway(t, program, w.config(p), must(strconv.Atoi(relayPort)))
	for _, name := range []string{"milter-out", "milter-in", "filter", "relay"} {
		b.filters[name] = process{b.gateway.PID()}
	}
	for _, job := range jobs {
		b.filters["bare-"+job] = startFilter(t, "milter", job, p.bare[job], w.identity(job))
	}
	b.filters["library"] = startFilter(t, "library", "-", p.library, "-")
	b.filters["bare-filter"] = startFilter(t, "relay", "-", p.bareFilter, p.counter)
	b.filters["bare-relay"] = startFilter(t, "relay", "-", p.bareRelay, p.counter)
	b.startOpenDKIM()
	b.startPostfix()
	return b
}

// startOpenDKIM runs OpenDKIM as a signer with an RSA key of 2048 bits, where it is
// installed.
func (b *bench) startOpenDKIM() {
	program, err := exec.LookPath("opendkim")
	if err != nil {
		return
	}
	key, err := exec.Command("openssl", "genrsa", "2048").Output()
	if err != nil {
		b.Fatal(err)
	}
	b.world.write(b, "dkim/key", key)
	b.world.write(b, "dkim/conf", fmt.Appendf(nil, "Socket local:%s\nMode s\nCanonicalization relaxed/relaxed\nDomain corp.example\n"+
		"Selector bench\nKeyFile %s\nUMask 000\nInternalHosts 127.0.0.1\nRequireSafeKeys no\n", strings.TrimPrefix(b.places.opendkim, "unix:"), b.world.path("dkim/key")))
	b.filters["opendkim"] = start(b, exec.Command(program, "-f", "-x", b.world.path("dkim/conf")), b.places.opendkim)
}

// startPostfix runs one smtpd for each filter. What comes behind a milter is discarded;
// "alone" hands mail on without any filter.
func (b *bench) startPostfix() {
	var master strings.Builder
	var ports []int
	service := func(name, option string) {
		b.ports[name] = loopback.FreePort(b)
		ports = append(ports, b.ports[name])
		fmt.Fprintf(&master, "%d inet n - n - - smtpd\n  -o %s\n", b.ports[name], option)
	}
	p := b.places
	milters := map[string]string{"milter-out": p.milterOut, "milter-in": p.milterIn, "library": p.library, "opendkim": p.opendkim, "none": ""}
	for _, job := range jobs {
		milters["bare-"+job] = p.bare[job]
	}
	for name, socket := range milters {
		service(name, "smtpd_milters="+socket)
	}
	service("filter", "content_filter=lmtp:"+p.filter)
	service("bare-filter", "content_filter=lmtp:"+p.bareFilter)
	service("alone", "content_filter=smtp:["+strings.Replace(p.counter, ":", "]:", 1))
	master.WriteString("discard unix - - n - - discard\n")
	rig.StartPostfix(b.T, rig.PostfixConfig{Ports: ports, Master: master.String(),
		Main: "message_size_limit = 200000000\ndefault_transport = discard:\nmilter_default_action = tempfail\nsmtpd_client_connection_rate_limit = 0\nlmtp_connection_cache_on_demand = yes\n"})
}

// source sends messages by smtp-source and waits until it is through.
func (b *bench) source(m mail, address string, sessions, count int) {
	b.Helper()
	cmd := exec.Command(rig.Tool(b, "smtp-source", "postfix"), "-s", strconv.Itoa(sessions), "-m", strconv.Itoa(count),
		"-r", strconv.Itoa(max(m.recipients, 1)), "-f", m.from, "-t", m.to, "-F", m.file, address)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		b.Fatalf("%s: %v %s", cmd, err, out)
	}
}

// figure is what one run found.
type figure struct {
	processor float64 // microseconds of the filter a message
	rate      float64 // messages a second, to the last delivery
}

// measure sends count messages by a way and returns what that cost its filter. Where
// messages are handed on, it waits for all of them.
func (b *bench) measure(way, address string, m mail, sessions, count int, delivered bool) figure {
	b.Helper()
	filter, measured := b.filters[way]
	var before time.Duration
	if measured {
		before = filter.processorTime(b)
	}
	want := b.counter.count.Load() + int64(count)
	start := time.Now()
	b.source(m, address, sessions, count)
	if delivered {
		b.await(want)
	}
	f := figure{rate: float64(count) / time.Since(start).Seconds()}
	if measured {
		f.processor = float64(filter.processorTime(b)-before) / float64(time.Microsecond) / float64(count)
	}
	return f
}

// await waits until the counter has seen so many messages.
func (b *bench) await(want int64) {
	b.Helper()
	b.until(func() bool { return b.counter.count.Load() >= want })
}

// until waits until something is so.
func (b *bench) until(so func() bool) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 5*rig.Patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.Fatalf("%d messages arrived, and %d were deferred", b.counter.count.Load(), b.counter.deferred.Load())
		}
	}
}

// way is one column of a row.
type way struct {
	name, address string
	delivered     bool
}

// row measures all ways in turns and returns the medians.
func (b *bench) row(m mail, sessions, count, runs int, ways []way) []figure {
	all := make([][]figure, len(ways))
	for range runs {
		for i, w := range ways {
			all[i] = append(all[i], b.measure(w.name, w.address, m, sessions, count, w.delivered))
		}
	}
	medians := make([]figure, len(ways))
	for i, figures := range all {
		var processor, rate []float64
		for _, f := range figures {
			processor, rate = append(processor, f.processor), append(rate, f.rate)
		}
		medians[i] = figure{median(processor), median(rate)}
	}
	return medians
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// smtp is the address of the smtpd in front of a filter.
func (b *bench) smtp(name string) string { return fmt.Sprintf("127.0.0.1:%d", b.ports[name]) }

// TestTable measures every way once with few messages, so that the bench does not rot;
// with -table it prints the whole table.
func TestTable(t *testing.T) {
	sizes, sessions, times, count := []int{5_000}, []int{2}, 1, 4
	if *table {
		sizes, sessions, times, count = []int{5_000, 75_000}, []int{10, 50}, *runs, *messages
		if *oneSize > 0 {
			sizes = []int{*oneSize}
		}
		if *oneLoad > 0 {
			sessions = []int{*oneLoad}
		}
	}
	b := newBench(t)
	for _, size := range sizes {
		count := count
		if size > 5_000 {
			count = max(count/5, 4)
		}
		for _, sessions := range sessions {
			b.milterRows(size, sessions, count, times)
			if *only == "" || *only == "relay" {
				b.relayRows(size, sessions, count, times)
			}
		}
	}
}

func (b *bench) milterRows(size, sessions, count, runs int) {
	b.printf("\n%d octets, %d sessions, %d messages, medians of %d runs: processor time of the filter, µs a message\n", size, sessions, count, runs)
	b.printf("%-16s %9s %9s %7s %11s %9s\n", "milter", "gateway", "bare", "ratio", "go-milter", "opendkim")
	for _, job := range jobs {
		if *only != "" && job != *only {
			continue
		}
		m := b.world.mail(b, job, size)
		ours := "milter-out"
		if m.inbound {
			ours = "milter-in"
		}
		ways := []way{{name: ours}, {name: "bare-" + job}}
		if job == "pass" {
			ways = append(ways, way{name: "library"})
		}
		_, dkim := b.filters["opendkim"]
		if dkim = dkim && job == "sign-rsa"; dkim {
			ways = append(ways, way{name: "opendkim"})
		}
		for i := range ways {
			ways[i].address = b.smtp(ways[i].name)
		}
		f := b.row(m, sessions, count, runs, ways)
		others := ""
		switch {
		case job == "pass":
			others = fmt.Sprintf("%11.0f", f[2].processor)
		case dkim:
			others = fmt.Sprintf("%11s %9.0f", "", f[2].processor)
		}
		b.printf("%-16s %9.0f %9.0f %7.2f %s\n", job, f[0].processor, f[1].processor, f[0].processor/f[1].processor, others)
	}
}

func (b *bench) relayRows(size, sessions, count, runs int) {
	m := b.world.mail(b, "pass", size)
	f := b.row(m, sessions, count, runs, []way{
		{"filter", b.smtp("filter"), true}, {"bare-filter", b.smtp("bare-filter"), true},
		{"relay", b.places.relay, true}, {"bare-relay", b.places.bareRelay, true}, {"alone", b.smtp("alone"), true},
	})
	b.printf("%-16s %9.0f %9.0f %7.2f\n", "LMTP filter", f[0].processor, f[1].processor, f[0].processor/f[1].processor)
	b.printf("%-16s %9.0f %9.0f %7.2f\n", "relay", f[2].processor, f[3].processor, f[2].processor/f[3].processor)
	b.printf("delivered a second: relay with its queue %.0f, relay without a queue %.0f, Postfix alone %.0f (relay by Postfix: %.2f)\n",
		f[2].rate, f[3].rate, f[4].rate, f[2].rate/f[4].rate)
	e := b.world.mail(b, "encrypt", size)
	r := b.row(e, sessions, count, runs, []way{{"relay", b.places.relay, true}})
	b.printf("delivered a second with encryption: %.0f\n", r[0].rate)
}

func (b *bench) printf(format string, args ...any) {
	if *table {
		fmt.Fprintf(os.Stdout, format, args...)
	}
}
