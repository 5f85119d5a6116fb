package setup

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/postfix"
)

// growth is how many times larger signing and encryption make a message at most: doctor
// compares by the same number.
const growth = 2

// accepted is the size of messages that the Postfix around the gateway takes from clients; 0
// where it is not known or has no bound, and for a relay, which may have others before it.
// It is the largest that a port for clients or sendmail(1) takes.
func (a *Answers) accepted(mta *postfix.Settings) int64 {
	if mta == nil || a.Way == "relay" {
		return 0
	}
	all, err := strconv.ParseInt(mta.Main("message_size_limit"), 10, 64)
	if err != nil || all < smallest {
		return 0
	}
	var most int64
	for i := range mta.Services {
		switch s := &mta.Services[i]; {
		case forClients(s):
			most = max(most, portLimit(s, all))
		case s.Command == "pickup":
			most = max(most, a.sendmailLimit(s, all))
		}
	}
	return cmp.Or(most, all) // without any, other services may accept mail
}

// sendmailLimit is the size that sendmail(1) takes, for which Postfix has no limit but that of
// main.cf. Where pickup leads to the gateway, that has room for what comes back: an earlier
// init, or who followed the manual, made it so.
func (a *Answers) sendmailLimit(pickup *postfix.Service, limit int64) int64 {
	if to := pickup.Options["content_filter"]; to != "" && strings.Contains(a.block("master.cf"), "content_filter="+to+"\n") {
		return limit/growth - room
	}
	return limit
}

// portLimit is the size that a port takes; limit, that of main.cf, bounds all ports.
func portLimit(s *postfix.Service, limit int64) int64 {
	if n, err := strconv.ParseInt(s.Options["message_size_limit"], 10, 64); err == nil && n >= smallest {
		return min(n, limit)
	}
	return limit
}

// grown is what main.cf has to allow for messages of a size that come back from the gateway.
func grown(size int64) int64 { return growth * (size + room) }

// room is for the fields that Postfix puts before a message.
const room = 64 << 10

// smallest is the least that limits.message_size may be.
const smallest = 1024

// limits has the gateway take what Postfix takes.
func (a *Answers) limits(mta *postfix.Settings) string {
	size := a.accepted(mta)
	if size == 0 {
		return ""
	}
	text := fmt.Sprintf("\n# A little more than Postfix accepts from clients, and at most half of what main.cf allows.\n[limits]\nmessage_size = %d\n", size+room)
	if least := config.MemoryFactor * config.Size(size+room); config.Default().Limits.MessageMemory < least {
		text += fmt.Sprintf("message_memory = %d\n", least)
	}
	return text
}

// sizes adds the limits of Postfix to the lines for it: main.cf has one for what comes back,
// and the ports for clients have the one that main.cf had.
func (a *Answers) sizes(mta *postfix.Settings, main, master string) (withSizes, withPorts string) {
	size := a.accepted(mta)
	if size == 0 {
		return main, master
	}
	back := grown(size)
	if n, err := strconv.ParseInt(mta.Main("message_size_limit"), 10, 64); err == nil {
		back = max(back, n)
	}
	main += fmt.Sprintf("message_size_limit = %d\n", back)
	for _, box := range []string{"mailbox_size_limit", "virtual_mailbox_limit"} {
		if n, err := strconv.ParseInt(mta.Main(box), 10, 64); err == nil && n != 0 && n < back {
			main += fmt.Sprintf("%s = %d\n", box, back)
		}
	}
	blocks := services(master)
	for i := range mta.Services {
		s := &mta.Services[i]
		if !forClients(s) {
			continue
		}
		limit := portLimit(s, back)
		option := fmt.Sprintf("  -o message_size_limit=%d\n", min(limit, size))
		if at := slices.IndexFunc(blocks, func(b string) bool { return isService(b, s.Name, s.Type) }); at >= 0 {
			blocks[at] += option
		} else if limit > size {
			blocks = append(blocks, fmt.Sprintf("%s %s n - n - - smtpd\n%s", s.Name, s.Type, option))
		}
	}
	return main, strings.Join(blocks, "")
}

// forClients reports whether a service is a port by which clients send mail.
func forClients(s *postfix.Service) bool { return s.Command == "smtpd" && !forThisHost(s.Name) }

// forThisHost reports whether a port is for programs on this host, such as filters: what they
// give back to Postfix has grown, too.
func forThisHost(service string) bool {
	host, _, err := net.SplitHostPort(service)
	addr, _ := netip.ParseAddr(host)
	return err == nil && (addr.IsLoopback() || host == "localhost")
}

// services are the blocks of lines of master.cf, one for each service.
func services(master string) (blocks []string) {
	for line := range strings.Lines(master) {
		if strings.HasPrefix(line, " ") && len(blocks) > 0 {
			blocks[len(blocks)-1] += line
		} else {
			blocks = append(blocks, line)
		}
	}
	return blocks
}

// isService reports whether a block is of a service.
func isService(block, name, kind string) bool {
	f := strings.Fields(block)
	return len(f) > 1 && f[0] == name && f[1] == kind
}
