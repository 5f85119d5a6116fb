// Package dnstest runs private DNS servers for tests: BIND as the server of the
// zones, signed and unsigned, and Unbound as the resolver that validates.
package dnstest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/loopback"
)

// startLimit is how long a server may take until it answers.
const startLimit = 20 * time.Second

// Zone is a zone to serve.
type Zone struct {
	// Name is without a dot at the end.
	Name string
	// Records are lines of a zone file below SOA and NS.
	Records []string
	// Unsigned leaves the zone without DNSSEC.
	Unsigned bool
	// Expired signs it for a time long past, so that no answer validates.
	Expired bool
	// Secret, in base64, lets who has it update SMIMEA records, with the TSIG key UpdateKey.
	Secret string
}

// UpdateKey is the name of the TSIG key for updates.
const UpdateKey = "update.key"

// Servers are the running servers.
type Servers struct {
	// Validating is the address of a resolver that validates, Careless that
	// of one that does not.
	Validating, Careless string
	// Primary is the address of the server that has the zones.
	Primary string
}

// Start runs the servers until the test ends.
func Start(tb testing.TB, zones ...Zone) *Servers {
	tb.Helper()
	b := &builder{dir: tb.TempDir()}
	for _, z := range zones {
		if err := b.addZone(z); err != nil {
			tb.Fatal(err)
		}
	}
	authority := b.startNamed(tb)
	return &Servers{
		Primary:    strings.Replace(authority, "@", ":", 1),
		Validating: b.startUnbound(tb, authority, "validator iterator"),
		Careless:   b.startUnbound(tb, authority, "iterator"),
	}
}

type builder struct {
	dir     string
	zones   []Zone
	anchors []string // DNSKEY lines
}

// addZone writes the zone's file and signs it.
func (b *builder) addZone(z Zone) error {
	b.zones = append(b.zones, z)
	text := fmt.Sprintf("$TTL 60\n@ IN SOA ns root 1 3600 600 86400 60\n@ IN NS ns\nns IN A 127.0.0.1\n%s\n",
		strings.Join(z.Records, "\n"))
	if err := os.WriteFile(filepath.Join(b.dir, z.Name), []byte(text), 0o600); err != nil {
		return err
	}
	if z.Unsigned {
		return nil
	}
	key, err := b.run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", z.Name)
	if err != nil {
		return err
	}
	if _, err := b.run("dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", z.Name); err != nil {
		return err
	}
	sign := []string{"-q", "-S", "-o", z.Name, "-f", z.Name}
	if z.Expired {
		sign = append(sign, "-P", "-s", "20200101000000", "-e", "20200201000000")
	}
	if _, err := b.run("dnssec-signzone", append(sign, z.Name)...); err != nil {
		return err
	}
	anchor, err := os.ReadFile(filepath.Join(b.dir, strings.TrimSpace(key)+".key"))
	for line := range strings.Lines(string(anchor)) {
		if !strings.HasPrefix(line, ";") {
			b.anchors = append(b.anchors, strings.TrimSpace(line))
		}
	}
	return err
}

func (b *builder) run(name string, args ...string) (string, error) {
	program, err := find(name)
	if err != nil {
		return "", err
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = b.dir
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, problems.String())
	}
	return out.String(), nil
}

func (b *builder) startNamed(tb testing.TB) (address string) {
	tb.Helper()
	port := loopback.FreePort(tb)
	var c strings.Builder
	fmt.Fprintf(&c, "options { directory %q; pid-file none; session-keyfile none; recursion no;\n", b.dir)
	fmt.Fprintf(&c, " listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; }; notify no; dnssec-validation no; };\n", port)
	fmt.Fprintf(&c, "controls { };\n")
	for _, z := range b.zones {
		updates := ""
		if z.Secret != "" {
			fmt.Fprintf(&c, "key %q { algorithm hmac-sha256; secret %q; };\n", UpdateKey, z.Secret)
			updates = fmt.Sprintf(" update-policy { grant %s zonesub SMIMEA; };", UpdateKey)
		}
		fmt.Fprintf(&c, "zone %q { type master; file %q;%s };\n", z.Name, z.Name, updates)
	}
	b.write(tb, "named.conf", c.String())
	b.serve(tb, port, "named", "-g", "-n", "1", "-c", filepath.Join(b.dir, "named.conf"))
	return fmt.Sprintf("127.0.0.1@%d", port)
}

func (b *builder) startUnbound(tb testing.TB, authority, modules string) (address string) {
	tb.Helper()
	port := loopback.FreePort(tb)
	var c strings.Builder
	fmt.Fprintf(&c, "server:\n interface: 127.0.0.1@%d\n module-config: %q\n", port, modules)
	fmt.Fprintf(&c, " directory: %q\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n use-syslog: no\n", b.dir)
	fmt.Fprintf(&c, " do-not-query-localhost: no\n do-ip6: no\n num-threads: 1\n local-zone: \"test.\" nodefault\n")
	for _, a := range b.anchors {
		fmt.Fprintf(&c, " trust-anchor: %q\n", a)
	}
	fmt.Fprintf(&c, "remote-control:\n control-enable: no\n")
	for _, z := range b.zones {
		fmt.Fprintf(&c, "stub-zone:\n name: %q\n stub-addr: %s\n", z.Name, authority)
	}
	name := fmt.Sprintf("unbound%d.conf", port)
	b.write(tb, name, c.String())
	b.serve(tb, port, "unbound", "-d", "-p", "-c", filepath.Join(b.dir, name))
	return fmt.Sprintf("127.0.0.1:%d", port)
}

func (b *builder) write(tb testing.TB, name, text string) {
	tb.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// serve runs a server until the test ends, and returns when it accepts
// connections on port.
func (b *builder) serve(tb testing.TB, port int, name string, args ...string) {
	tb.Helper()
	program, err := find(name)
	if err != nil {
		tb.Fatal(err)
	}
	log, err := os.Create(filepath.Join(b.dir, fmt.Sprintf("%s%d.log", name, port)))
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.dir, log, log
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // however it ended: await looks at ended
		close(ended)
	}()
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		log.Close()
	})
	if err := await(port, ended); err != nil {
		text, _ := os.ReadFile(log.Name())
		tb.Fatalf("%s: %v\n%s", name, err, text)
	}
}

// await returns when something accepts connections on port.
func await(port int, ended <-chan struct{}) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return c.Close()
		}
		select {
		case <-tick.C:
		case <-ended:
			return fmt.Errorf("ended at once")
		case <-ctx.Done():
			return err
		}
	}
}

// find knows that daemons are not in everybody's path.
func find(name string) (string, error) {
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("%s is missing: install it (apt-get install bind9 bind9-utils unbound)", name)
}
