package queue

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// noted is a queue with one delivery to three recipients that is about to start, the
// number of its job, and the name of the run whose notes count.
func noted(t *testing.T, c Config) (q *Queue, job int64, run string) {
	t.Helper()
	q = open(t, c)
	d := delivery(t, "a@example.org", "taken@example.net", "left@example.net", "relayed@example.net")
	if err := q.Put(t.Context(), batch(d)); err != nil {
		t.Fatal(err)
	}
	if err := q.db.QueryRow(`SELECT job_id FROM smimerelay_delivery`).Scan(&job); err != nil {
		t.Fatal(err)
	}
	if _, err := q.db.Exec(`PRAGMA user_version = 7`); err != nil {
		t.Fatal(err)
	}
	return q, job, "7"
}

func writeNotes(t *testing.T, q *Queue, run string, lines ...string) {
	t.Helper()
	text := notesOf + run + "\n" + strings.Join(lines, "")
	if err := os.WriteFile(q.config.Path+".handed", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What a process had handed on when it was killed is not handed on again; what the next
// hop had not taken is.
func TestHandedOnIsRecorded(t *testing.T) {
	h := newHop(nil)
	q, job, run := noted(t, Config{Deliverer: h, Retry: []time.Duration{1}})
	writeNotes(t, q, run, string(noteLine(nil, job, "+-r")))
	start(t, q)
	drained(t, q)
	if len(h.attempts) != 1 || h.attempts["left@example.net"] != 1 {
		t.Errorf("attempts %v", h.attempts)
	}
	if now, _, err := q.handed.read(); err != nil || now == run || now != q.handed.run {
		t.Errorf("the notes are of run %q, %v", now, err)
	}
}

// A clean stop leaves no notes of what is recorded, and all of what is not. One that comes
// before the start leaves those of the last process.
func TestNotesAtTheEnd(t *testing.T) {
	q := open(t, Config{Deliverer: newHop(nil)})
	if err := q.Put(t.Context(), batch(delivery(t, "a@example.org", "b@example.net"))); err != nil {
		t.Fatal(err)
	}
	path := q.config.Path
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	drained(t, q)
	q.handed.add(77, []error{nil}, nil) // which is never recorded
	before := notesIn(t, path)
	if err := q.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := notesIn(t, path); strings.Count(before, "\n") != 3 || after != notesOf+q.handed.run+"\n"+string(noteLine(nil, 77, "+")) {
		t.Errorf("the notes were %q, and are %q", before, after)
	}
	again := open(t, Config{Place: q.config.Place, Deliverer: newHop(nil)})
	if err := again.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := notesIn(t, path); !strings.Contains(after, "77 + ") {
		t.Errorf("without a start %q is left", after)
	}
}

func notesIn(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path + ".handed")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The notes of a process count, too, when its lease had ended before the next one opened the
// queue, as long as no other process has taken its jobs over.
func TestNotesOutliveTheLease(t *testing.T) {
	place, notes := newDatabase(t), filepath.Join(t.TempDir(), "handed")
	killed := open(t, Config{Place: place, Handed: notes, Deliverer: newHop(nil)})
	d := delivery(t, "a@example.org", "taken@example.net", "left@example.net")
	if err := killed.Put(t.Context(), batch(d)); err != nil {
		t.Fatal(err)
	}
	run := killed.lease.name
	var job int64
	if err := killed.db.QueryRow(`UPDATE river_job SET state = 'running', attempted_by = ARRAY[$1::text]
		WHERE id = (SELECT job_id FROM smimerelay_delivery) RETURNING id`, run).Scan(&job); err != nil {
		t.Fatal(err)
	}
	killed.handed.begin(run)
	killed.handed.add(job, []error{nil, errInterrupted}, nil)
	if _, err := killed.db.Exec(`UPDATE smimerelay_node SET until = 0`); err != nil {
		t.Fatal(err)
	}
	killed.writer.stop() // as it would have ended by a signal: the lease is not given up
	if err := killed.close(); err != nil {
		t.Fatal(err)
	}
	h := newHop(nil)
	q := open(t, Config{Place: place, Handed: notes, Deliverer: h})
	start(t, q)
	drained(t, q)
	if len(h.attempts) != 1 || h.attempts["left@example.net"] != 1 {
		t.Errorf("attempts %v", h.attempts)
	}
}

// Notes that are not those of the last run, or not whole, or of something else, count
// for nothing: else a message would be lost.
func TestNotesThatDoNotCount(t *testing.T) {
	for name, lines := range map[string]func(job int64) (run, line string){
		"another run":    func(job int64) (string, string) { return "8", string(noteLine(nil, job, "+++")) },
		"another job":    func(job int64) (string, string) { return "7", string(noteLine(nil, job+1, "+++")) },
		"another number": func(job int64) (string, string) { return "7", string(noteLine(nil, job, "++")) },
		"torn": func(job int64) (string, string) {
			return "7", strings.TrimSuffix(string(noteLine(nil, job, "+++")), "\n")[:6]
		},
		"a changed digit": func(job int64) (string, string) {
			return "7", strings.Replace(string(noteLine(nil, job+10, "+++")), "1", "", 1)
		},
		"zeros": func(int64) (string, string) { return "7", strings.Repeat("\x00", 4096) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHop(nil)
			q, job, _ := noted(t, Config{Deliverer: h})
			run, line := lines(job)
			writeNotes(t, q, run, line)
			start(t, q)
			drained(t, q)
			if len(h.attempts) != 3 {
				t.Errorf("attempts %v", h.attempts)
			}
		})
	}
}

// The file has what is not recorded, however much was, and stays small.
func TestNotesStayFew(t *testing.T) {
	q := open(t, Config{Deliverer: newHop(nil)})
	start(t, q)
	taken := make([]error, 100)
	q.handed.add(1, taken, nil)
	for job := range int64(3_000) {
		q.handed.add(10+job, taken, nil)
		q.handed.remove(10 + job)
	}
	q.handed.add(2, []error{errInterrupted, nil}, []bool{false, true})
	q.handed.add(3, []error{errInterrupted}, nil)
	info, err := os.Stat(q.config.Path + ".handed")
	if err != nil || info.Size() > handedMost+1<<10 {
		t.Errorf("%d octets, %v", info.Size(), err)
	}
	_, notes, err := q.handed.read()
	if err != nil || notes[1] != strings.Repeat("+", 100) || notes[2] != "-r" || notes[3] != "" {
		t.Errorf("notes %v, %v", notes, err)
	}
}

// A start looks at many notes, also where many messages wait: the delivery of a job is found
// by keys.
func TestNotesAreFoundByKey(t *testing.T) {
	q := open(t, Config{Place: Place{Path: t.TempDir() + "/queue.db"}, Deliverer: newHop(nil)})
	defer stop(t, q)
	rows, err := q.db.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+q.engine.jobOf, 1, "1")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, step)
	}
	if text := strings.Join(plan, "; "); rows.Err() != nil || strings.Contains(text, "SCAN d") || strings.Contains(text, "SCAN j") || len(plan) < 3 {
		t.Errorf("%s (%v)", text, rows.Err())
	}
}
