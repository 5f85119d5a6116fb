package doctor

import "time"

func (x *examination) clock() {
	now := x.Clock().UTC()
	text := now.Format(time.RFC3339)
	if now.Before(x.Built) {
		x.add(Error, "clock", "", text+" is before this program was built: certificates are judged by a wrong date",
			"set the clock, and run a time service such as systemd-timesyncd or chrony")
		return
	}
	synchronized, known := x.Synchronized()
	switch {
	case !known:
		x.add(Note, "clock", "", text+"; this system does not report whether it is synchronized", "compare it with another clock")
	case !synchronized:
		x.add(Warning, "clock", "", text+", not synchronized: signing times and the validity of certificates may be judged wrongly",
			"run a time service such as systemd-timesyncd or chrony; timedatectl shows its state")
	default:
		x.ok("clock", "", text+", synchronized")
	}
}
