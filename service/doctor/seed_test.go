package doctor_test

import (
	"io"
	"net"
	"path/filepath"
	"strings"

	"github.com/smimerelay/smimerelay/certs/store"
)

// openStore opens the store of the gateway.
func (s *seed) openStore() *store.Store {
	s.Helper()
	opened, err := store.Open(s.Context(), store.Config{URL: filepath.Join(s.dir, "store.db")})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if err := opened.Close(); err != nil {
			s.Error(err)
		}
	})
	return opened
}

// publish notes that objects, with commas between them, are to be written to a target.
func (s *seed) publish(target, objects string) {
	s.Helper()
	to := s.openStore()
	for object := range strings.SplitSeq(objects, ",") {
		if err := to.NotePublished(s.Context(), strings.ReplaceAll(target, "+", " "), object, store.Written{Values: [][]byte{{1}}}, nil); err != nil {
			s.Fatal(err)
		}
	}
}

// refuse is an LDAP server that refuses a bind or a search with a result code (RFC 4511
// section 4.1.9), and answers all else with success.
func refuse(conn net.Conn, operation string, code byte) {
	defer conn.Close()
	for {
		var head [2]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return
		}
		length := int(head[1])
		if length > 127 { // the long form (X.690 section 8.1.3.5)
			octets := make([]byte, length-128)
			if _, err := io.ReadFull(conn, octets); err != nil || len(octets) > 2 {
				return // the requests of a test are short
			}
			length = 0
			for _, b := range octets {
				length = length<<8 | int(b)
			}
		}
		request := make([]byte, length)
		if _, err := io.ReadFull(conn, request); err != nil || len(request) < 4 {
			return
		}
		id, kind := request[2], request[3]
		answer, result := kind+1, byte(0)
		switch kind {
		case 0x60: // BindRequest
			if operation == "bind" {
				result = code
			}
		case 0x63: // SearchRequest
			answer = 0x65 // SearchResultDone
			if operation == "search" {
				result = code
			}
		default:
			return // UnbindRequest
		}
		if _, err := conn.Write([]byte{0x30, 12, 2, 1, id, answer, 7, 10, 1, result, 4, 0, 4, 0}); err != nil {
			return
		}
	}
}
