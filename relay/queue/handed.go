package queue

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/smimerelay/smimerelay/internal/filesystem"
)

// handed notes in a file beside the queue's what the next hop has taken, as soon as it
// has: the record of it waits for a commit, and a process that is killed meanwhile would
// have everything that was under way delivered twice. The next process reads the notes
// and records them.
//
// The notes are those of one run, and count only where the queue knows the job as that
// run's: an SQLite file names the last one that had it open (user_version), PostgreSQL the
// node that works on a job. River never uses the number of a job twice. The notes are not
// flushed: with the machine's power they go, as the records do that were not flushed.
type handed struct {
	mu    sync.Mutex
	file  *os.File
	size  int
	run   string
	notes map[int64]string // of jobs whose end is not recorded
}

// handedMost is how large the file grows before what is recorded leaves it.
const handedMost = 64 << 10

// notesOf stands before the name of the run in the first line.
const notesOf = "smimerelay handed "

// The marks of recipients in a note.
const (
	markTaken   = '+'
	markRelayed = 'r' // taken, and the next hop does not report on it
	markLeft    = '-'
)

// openHanded opens the notes in the file at path, which no other process may have open.
func openHanded(path string) (*handed, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	h := &handed{file: f, notes: map[int64]string{}}
	err = filesystem.GiveToFolder(f)
	if err == nil {
		err = filesystem.TryLock(f)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), h.close())
	}
	return h, nil
}

func (h *handed) close() error {
	if h == nil {
		return nil
	}
	return h.file.Close()
}

// add notes what came of a job's attempt, if the next hop took anything.
func (h *handed) add(job int64, results []error, relayed []bool) {
	marks := marksOf(results, relayed)
	if h == nil || strings.Trim(marks, string(markLeft)) == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notes[job] = marks
	if h.size > handedMost {
		h.rewrite()
		return
	}
	h.write(noteLine(nil, job, marks))
}

// remove forgets a note whose record is in the queue.
func (h *handed) remove(job int64) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.notes, job)
}

// begin starts the notes of a run.
func (h *handed) begin(run string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.run = run
	clear(h.notes)
	h.rewrite()
}

// settle ends the notes of a run whose records are all on the disk: what is left in the
// file is what could not be recorded. Of a run that has not begun the notes are those of
// the last one, and stay.
func (h *handed) settle() {
	if h == nil || h.run == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rewrite()
}

// rewrite leaves the notes in the file that count.
func (h *handed) rewrite() {
	text := []byte(notesOf + h.run + "\n")
	for job, marks := range h.notes {
		text = noteLine(text, job, marks)
	}
	if err := h.file.Truncate(0); err != nil {
		return // as in write; the next note tries again
	}
	h.size = 0
	h.write(text)
}

// write appends to the file. One that cannot be written has what is under way delivered
// twice if the process is killed, which is no reason to do anything else now.
func (h *handed) write(text []byte) {
	n, _ := h.file.Write(text)
	h.size += n
}

func marksOf(results []error, relayed []bool) string {
	marks := make([]byte, len(results))
	for i, err := range results {
		switch {
		case err != nil:
			marks[i] = markLeft
		case relayed != nil && relayed[i]:
			marks[i] = markRelayed
		default:
			marks[i] = markTaken
		}
	}
	return string(marks)
}

// noteLine appends the line of a note, which ends with its checksum: after a loss of
// power anything may be in the file.
func noteLine(to []byte, job int64, marks string) []byte {
	start := len(to)
	to = strconv.AppendInt(to, job, 10)
	to = append(append(to, ' '), marks...)
	return fmt.Appendf(to, " %08x\n", crc32.ChecksumIEEE(to[start:]))
}

// read returns the notes in the file, and whose they are.
func (h *handed) read() (run string, notes map[int64]string, err error) {
	text, err := os.ReadFile(h.file.Name())
	if err != nil {
		return "", nil, err
	}
	first, rest, _ := strings.Cut(string(text), "\n")
	run, ok := strings.CutPrefix(first, notesOf)
	if !ok {
		return "", nil, nil
	}
	notes = map[int64]string{}
	for line := range strings.Lines(rest) {
		if job, marks, ok := parseNote(line); ok {
			notes[job] = marks
		}
	}
	return run, notes, nil
}

func parseNote(line string) (job int64, marks string, ok bool) {
	number, rest, _ := strings.Cut(line, " ")
	marks, _, _ = strings.Cut(rest, " ")
	job, err := strconv.ParseInt(number, 10, 64)
	return job, marks, err == nil && string(noteLine(nil, job, marks)) == line
}
