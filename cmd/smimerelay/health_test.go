package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/configtest"
)

// TestHealth asks a gateway that is ready, one that is not, and one that is not there, by
// TCP and by a socket.
func TestHealth(t *testing.T) {
	dir := t.TempDir()
	ready := true
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/readyz":
			http.NotFound(w, r)
		case !ready:
			http.Error(w, "the queue is full", http.StatusServiceUnavailable)
		}
	})
	socket := filepath.Join(dir, "admin")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	unix := &httptest.Server{Listener: l, Config: &http.Server{Handler: handler}}
	unix.Start()
	defer unix.Close()
	tcp := httptest.NewServer(handler)
	defer tcp.Close()
	address := strings.TrimPrefix(tcp.URL, "http://")
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		address string
		ready   bool
		status  int
		says    string
	}{
		{address, true, exitDone, "ready"},
		{"0.0.0.0:" + port, true, exitDone, "ready"},
		{"unix:" + socket, true, exitDone, "ready"},
		{"unix:" + socket, false, exitNegative, "not ready: the queue is full"},
		{"unix:" + socket + "2", true, exitNegative, "see whether the gateway is running"},
		{"", true, exitUnusable, "admin.address is empty"},
	} {
		ready = c.ready
		file := filepath.Join(dir, "gw.toml")
		if err := os.WriteFile(file, []byte(configtest.Elsewhere(fmt.Sprintf("[admin]\naddress = %q\n", c.address), dir)), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		status := run([]string{"health", "--config", file}, &app{stdout: &out, stderr: &out, clock: time.Now})
		if status != c.status || !strings.Contains(out.String(), c.says) {
			t.Errorf("%q: status %d: %s", c.address, status, out.String())
		}
	}
}
