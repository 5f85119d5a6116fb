package history

import (
	"context"
	"testing"
	"time"

	"github.com/smimerelay/smimerelay/smime/address"
)

// TestRemoveWaitsForTheRow: the row of a message that has just come is written in a moment, and the
// removal of the message is noted in it. That of an old message is not waited for.
func TestRemoveWaitsForTheRow(t *testing.T) {
	s, to := openStore(t)
	came := time.Unix(1_000_000, 0)
	remove := func(id string, after time.Duration, again func() bool) {
		t.Helper()
		r := Removal{ID: id, Recipients: []address.Address{to}, By: "root", Since: came}
		if err := s.remove(context.Background(), r, came.Add(after), again); err != nil {
			t.Fatal(err)
		}
	}
	tries := 0
	remove("young", time.Second, func() bool {
		if tries++; tries == 2 {
			row := Row{Time: came, ID: "young", Sender: to, Recipient: to, Outcome: Queued}
			if _, err := s.Write(context.Background(), Batch{Rows: []Row{row}}); err != nil {
				t.Fatal(err)
			}
		}
		return true
	})
	rows, err := s.Message(context.Background(), "young")
	if err != nil {
		t.Fatal(err)
	}
	if tries != 2 || len(rows) != 1 || rows[0].Outcome != Removed || len(rows[0].Events) != 1 || rows[0].Events[0].By != "root" {
		t.Errorf("after %d tries: %+v", tries, rows)
	}
	remove("never", time.Second, func() bool { tries++; return tries < 5 })
	if tries != 5 {
		t.Errorf("%d tries", tries)
	}
	remove("old", time.Hour, func() bool { t.Error("it waits for the row of an old message"); return false })
}
