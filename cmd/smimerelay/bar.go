package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// bar shows on a terminal how far something is.
type bar struct {
	w           io.Writer
	clock       func() time.Time
	done, total int
	start, last time.Time
}

// barWidth is the width of the bar itself, barEvery how often it is drawn.
const (
	barWidth = 30
	barEvery = 100 * time.Millisecond
)

func newBar(w io.Writer, total int, clock func() time.Time) *bar {
	return &bar{w: w, clock: clock, total: total, start: clock()}
}

// step counts one more, and draws the bar if it is time to.
func (b *bar) step() error {
	b.done++
	now := b.clock()
	if now.Sub(b.last) < barEvery && b.done < b.total {
		return nil
	}
	b.last = now
	_, err := io.WriteString(b.w, b.text(now))
	return err
}

// text is the bar, which begins at the start of the line and clears its rest.
func (b *bar) text(now time.Time) string {
	filled := barWidth * b.done / b.total
	left := now.Sub(b.start) * time.Duration(b.total-b.done) / time.Duration(b.done)
	return fmt.Sprintf("\r[%s%s] %d of %d, %v left\x1b[K", strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled),
		b.done, b.total, left.Round(time.Second))
}

// clear takes the bar away, so that something else can be printed.
func (b *bar) clear() { fmt.Fprint(b.w, "\r\x1b[K") }

// isTerminal reports whether w is a terminal.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
