// Package loopback finds ports for servers under test.
package loopback

import (
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// lowest and highest bound what FreePort returns where the kernel does not say which
// ports it gives to outgoing connections.
const lowest, highest = 20000, 32000

var (
	mu    sync.Mutex
	given = map[int]bool{}
)

// FreePort returns a loopback port, of TCP and of UDP, that is not in use. It is none that
// the kernel gives to outgoing connections: one of those could take it while a server
// is restarted. It is returned once in a process.
func FreePort(tb testing.TB) int {
	tb.Helper()
	mu.Lock()
	defer mu.Unlock()
	top := min(highest, firstEphemeral())
	for range 1000 {
		port := lowest + rand.IntN(top-lowest)
		if !given[port] && free(port) {
			given[port] = true
			return port
		}
	}
	tb.Fatalf("no free port between %d and %d", lowest, top)
	return 0
}

func free(port int) bool {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	defer l.Close()
	p, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	return p.Close() == nil
}

// firstEphemeral is the first port for outgoing connections (ip(7)).
func firstEphemeral() int {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return highest
	}
	fields := strings.Fields(string(text))
	if len(fields) != 2 {
		return highest
	}
	first, err := strconv.Atoi(fields[0])
	if err != nil || first <= lowest {
		return highest
	}
	return first
}
