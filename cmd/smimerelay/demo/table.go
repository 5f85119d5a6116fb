package demo

import (
	"strings"
	"unicode/utf8"
)

// result is a line of the table.
type result struct {
	message, sender, recipient, rule string
	outcome                          string
	checked                          string
	expected                         bool
}

var columns = []string{"", "message", "sender", "recipient", "rule", "outcome", "what was checked"}

// renderTable sets the results in columns. The last two may be long: they are
// broken between words.
func renderTable(results []result) string {
	var rows [][][]string
	rows = append(rows, cells(columns))
	for _, r := range results {
		mark := "ok"
		if !r.expected {
			mark = "NO"
		}
		rows = append(rows, cells([]string{mark, r.message, r.sender, r.recipient, r.rule, r.outcome, r.checked}))
	}
	widths := make([]int, len(columns))
	for _, row := range rows {
		for i, cell := range row {
			for _, line := range cell {
				widths[i] = max(widths[i], utf8.RuneCountInString(line))
			}
		}
	}
	var b strings.Builder
	for i, row := range rows {
		writeRow(&b, row, widths)
		if i == 0 {
			writeRule(&b, widths)
		}
	}
	return b.String()
}

// cells breaks each text into lines.
func cells(texts []string) [][]string {
	row := make([][]string, len(texts))
	for i, t := range texts {
		row[i] = wrap(t, 44)
	}
	return row
}

func writeRow(b *strings.Builder, row [][]string, widths []int) {
	height := 0
	for _, cell := range row {
		height = max(height, len(cell))
	}
	for n := range height {
		var line strings.Builder
		for i, cell := range row {
			text := ""
			if n < len(cell) {
				text = cell[n]
			}
			line.WriteString(text + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text)+2))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

func writeRule(b *strings.Builder, widths []int) {
	for i, w := range widths {
		if i > 0 {
			b.WriteString("  ")
		}
		b.WriteString(strings.Repeat("-", w))
	}
	b.WriteString("\n")
}

// wrap breaks text into lines of at most width, where it has blanks.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	return append(lines, line)
}
