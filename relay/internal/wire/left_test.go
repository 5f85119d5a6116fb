//go:build unix

package wire

import (
	"net"
	"path/filepath"
	"testing"
	"time"
)

// TestLeft: a peer that says nothing is there, and one that has closed its end is not, whatever the
// deadline of the last read.
func TestLeft(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if err := server.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if Left(server) {
		t.Error("a peer that says nothing")
	}
	if _, err := client.Write([]byte("more")); err != nil {
		t.Fatal(err)
	}
	if Left(server) {
		t.Error("a peer that has said something")
	}
	if err := server.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if n, err := server.Read(make([]byte, 8)); n != 4 || err != nil {
		t.Errorf("%d octets are left to be read, %v", n, err)
	}
	client.Close()
	if !Left(server) {
		t.Error("a peer that has closed its end is there")
	}
	server.Close()
	if !Left(server) {
		t.Error("a socket that is closed")
	}
	if a, _ := net.Pipe(); Left(a) {
		t.Error("what is no socket")
	}
}
