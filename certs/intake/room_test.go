package intake

import (
	"bytes"
	"testing"

	"golang.org/x/sync/semaphore"

	"github.com/smimerelay/smimerelay/certs/file"
	"github.com/smimerelay/smimerelay/internal/testing/testpki"
)

// No file is opened while those that are open have taken the room.
func TestFilesWaitForRoom(t *testing.T) {
	w := newWorld(t)
	// The same octets twice: a second file that is larger than the room would wait for ever.
	certificate := w.identity("a@example.org").Certificate.Raw
	w.write("1.cer", certificate, 0o644)
	w.write("2.cer", certificate, 0o644)
	files := testpki.Must(file.Files(w.dir))
	size := roomFor(files[0])
	room := semaphore.NewWeighted(size)
	opened := open(t.Context(), Config{Store: w.store, Workers: 2}, room, files)
	first := <-opened
	if first.room != size || room.TryAcquire(1) {
		t.Fatalf("a file of %d octets takes room for %d", size, first.room)
	}
	room.Release(first.room)
	if second, more := <-opened; !more || second.outcome.Result != "" {
		t.Errorf("second file: %+v, %v", second.outcome, more)
	}
	for range opened {
		t.Error("a third file")
	}
}

// What is stored or refused makes room for the files after it; one that is larger than
// all the room is opened nevertheless.
func TestRoomIsGivenBack(t *testing.T) {
	w := newWorld(t)
	w.write("1.pem", bytes.Repeat([]byte("no certificate\n"), maxSize/10), 0o644)
	w.write("2.pem", bytes.Repeat([]byte("no certificate\n"), maxOpen/14), 0o644)
	w.write("3.cer", w.identity("a@example.org").Certificate.Raw, 0o644)
	w.write("4.pem", nil, 0o644)
	all, _ := w.run(Config{})
	if all["1.pem"].Result != Refused || all["2.pem"].Result != Refused || all["3.cer"].Result != Added || all["4.pem"].Result != Refused {
		t.Errorf("outcomes %+v", all)
	}
}
