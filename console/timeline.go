package console

import (
	"time"

	"github.com/smimerelay/smimerelay/console/api"
)

// months is how much time the time line of expiries shows.
const months = 12

// month is a part of that.
type month struct {
	Begin                time.Time
	X                    int
	Identities, Partners int // that expire in it
	// Heights and tops of the two bars, of 100.
	IdentitiesY, IdentitiesH, PartnersY, PartnersH int64
}

// timeline has the expiries in their months, from that of now on; it is nil where there is none.
func timeline(days []api.Expiry, now time.Time) []month {
	now = now.UTC()
	line := make([]month, months)
	for i := range line {
		line[i].Begin, line[i].X = time.Date(now.Year(), now.Month()+time.Month(i), 1, 0, 0, 0, 0, time.UTC), i*40+2
	}
	most := 0
	for _, d := range days {
		i := (d.Day.Year()-now.Year())*12 + int(d.Day.Month()) - int(now.Month())
		if i < 0 || i >= months {
			continue
		}
		line[i].Identities += d.Identities
		line[i].Partners += d.Partners
		most = max(most, line[i].Identities, line[i].Partners)
	}
	if most == 0 {
		return nil
	}
	for i := range line {
		m := &line[i]
		m.IdentitiesH, m.PartnersH = height(int64(m.Identities), int64(most)), height(int64(m.Partners), int64(most))
		m.IdentitiesY, m.PartnersY = 100-m.IdentitiesH, 100-m.PartnersH
	}
	return line
}

// height is that of a bar for a number, of 100; what is there is seen.
func height(n, most int64) int64 {
	if n == 0 {
		return 0
	}
	return max(n*100/most, 1)
}
