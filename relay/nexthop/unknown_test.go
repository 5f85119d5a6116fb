package nexthop

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/internal/testing/dnstest"
	"github.com/smimerelay/smimerelay/internal/testing/loopback"
)

// The types of records that a test keeps back (RFC 1035 section 3.2.2, 3596, 6698).
const typeA, typeAAAA, typeTLSA = 1, 28, 52

// without is a resolver that passes questions on to another one, but fails or is silent
// when it is asked for records of one type.
func without(t *testing.T, kind uint16, resolver string, silent bool) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer nc.Close(); answerAll(nc, kind, resolver, silent) })
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

// readFrame reads a message of DNS with its length; nil if there is none.
func readFrame(r io.Reader) []byte {
	frame := make([]byte, 2)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil
	}
	frame = append(frame, make([]byte, binary.BigEndian.Uint16(frame))...)
	if _, err := io.ReadFull(r, frame[2:]); err != nil {
		return nil
	}
	return frame
}

func answerAll(nc net.Conn, kind uint16, resolver string, silent bool) {
	question := readFrame(nc)
	if question == nil {
		return
	}
	end := 14 // behind the header of RFC 1035 section 4.1.1
	for question[end] != 0 {
		end += int(question[end]) + 1
	}
	if binary.BigEndian.Uint16(question[end+1:]) != kind {
		up, err := net.Dial("tcp", resolver)
		if err != nil {
			return
		}
		defer up.Close()
		if _, err := up.Write(question); err == nil {
			_, _ = nc.Write(readFrame(up))
		}
		return
	}
	if silent {
		_, _ = io.Copy(io.Discard, nc) // until the client gives up
		return
	}
	question[4] |= 0x80                // an answer
	question[5] = question[5]&0xf0 | 2 // SERVFAIL
	_, _ = nc.Write(question)
}

// TestTLSAUnknown: who keeps TLSA records from us gets no mail in the clear.
func TestTLSAUnknown(t *testing.T) {
	port := loopback.FreePort(t)
	server := serve(t, fmt.Sprintf("127.0.0.2:%d", port), nil)
	running := dnstest.Start(t, dnstest.Zone{Name: "signed.test", Records: []string{"mx IN A 127.0.0.2", "@ IN MX 10 mx"}})
	for silent, mode := range map[bool]Mode{false: DANE, true: MTASTS} {
		var counts counted
		lookup := lookupBy(t, without(t, typeTLSA, running.Validating, silent), time.Second)
		n := open(t, Config{Port: port, TLS: mode, Lookup: lookup, Count: counts.add})
		if got := deliver(t, n, "signed.test") + "; " + counts.take(); got != "451 4.7.5; tlsa dnssec-invalid" {
			t.Errorf("silent %v: %s", silent, got)
		}
	}
	if n, _ := server.got(); n != 0 {
		t.Errorf("%d messages were sent in the clear", n)
	}
	if got := deliver(t, open(t, Config{Port: port, TLS: DANE, Lookup: lookupBy(t, running.Validating)}), "signed.test"); got != "ok" {
		t.Errorf("with a resolver that answers: %s", got)
	}
}

// TestAddressesUnknown: who keeps the addresses of one family from us does not undo what
// the TLSA records of the host demand.
func TestAddressesUnknown(t *testing.T) {
	port := loopback.FreePort(t)
	server := serve(t, fmt.Sprintf("127.0.0.2:%d", port), nil)
	record := fmt.Sprintf("_%d._tcp.mx IN TLSA 3 1 1 %x", port, sha256.Sum256(nil))
	records := []string{"mx IN A 127.0.0.2", "mx IN AAAA ::1", "@ IN MX 10 mx", record}
	running := dnstest.Start(t, dnstest.Zone{Name: "signed.test", Records: records})
	for _, kind := range []uint16{typeA, typeAAAA} {
		for _, silent := range []bool{false, true} {
			n := open(t, Config{Port: port, TLS: DANE, Lookup: lookupBy(t, without(t, kind, running.Validating, silent), time.Second)})
			for _, target := range n.Plan(t.Context(), "signed.test").Targets {
				if len(target.Addresses) != 1 || !strings.Contains(target.Security, "(DANE)") {
					t.Errorf("type %d, silent %v: %v: %s", kind, silent, target.Addresses, target.Security)
				}
			}
			if got := deliver(t, n, "signed.test"); got == "ok" {
				t.Errorf("type %d, silent %v: sent", kind, silent)
			}
		}
	}
	if n, _ := server.got(); n != 0 {
		t.Errorf("%d messages were sent in the clear", n)
	}
}
