package service

import (
	"log"
	"strings"
	"testing"
)

// What a library logs by itself, with what a peer sent in it, is one escaped line
// of the service's log.
func TestLibrariesLogThroughTheService(t *testing.T) {
	w := startWorld(t, inbound)
	log.Print("Error performing command: \x1b[31m\u202e\nlevel=ERROR msg=forged")
	w.log.wait(t, `msg="Error performing command: \x1b[31m\u202e\nlevel=ERROR msg=forged"`)
	if strings.Contains(w.log.String(), "\nlevel=ERROR msg=forged") {
		t.Error(w.log)
	}
}
