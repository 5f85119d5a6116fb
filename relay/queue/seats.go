package queue

import (
	"time"

	"github.com/smimerelay/smimerelay/relay"
)

// seats are the workers and where the mail goes that they deliver. One destination that
// is down, or slow, must not have them all: it gets so many as Config.Workers says, and
// there are a quarter more for others. One that fails gets a tenth, and those that fail
// half of them together. Retries leave a fifth for new mail.
type seats struct {
	workers      int
	busy         int
	retries      int // among busy
	struggling   int // among busy: of destinations that fail
	firsts       int // that were seated since the last retry was
	destinations map[string]*destination
	looked       time.Time // when many jobs were last passed over
}

// destination is a place where mail goes.
type destination struct {
	busy    int
	failing bool
	since   time.Time // of its last failure
}

// verdict says whether a job gets a seat.
type verdict int

const (
	admitted  verdict = iota
	full              // all seats that the destination may have are taken
	noRetries         // so are those of retries alone
	failing           // so are they, and the destination fails
	seated            // it has one
	inLine            // the limits of the destination are reached
)

const (
	// retryAfter is after how many first attempts a retry has its turn.
	retryAfter = 20
	// maxPassed is how many jobs are passed over to find one for another destination.
	maxPassed = 200
	// passEvery is how often that is done.
	passEvery = 100 * time.Millisecond
	// forget is after what time a destination that failed may work again.
	forget = 10 * time.Minute
)

func newSeats(workers int) seats {
	return seats{workers: workers, destinations: map[string]*destination{}}
}

// total is how many seats there are.
func (s *seats) total() int { return s.workers + s.workers/4 }

// free is how many of them are free.
func (s *seats) free() int { return max(0, s.total()-s.busy) }

// turn is how many jobs of a priority may be seated, how many passed over on the way,
// and how many of those that fail made to wait.
type turn struct{ priority, most, pass, wait int }

// turns is in which order the priorities are seated: new mail first, but for one retry
// now and then.
func (s *seats) turns(now time.Time) []turn {
	t := turn{most: s.free(), pass: 1}
	if s.busy >= s.workers && (now.Sub(s.looked) >= passEvery || now.Before(s.looked)) {
		t.pass, s.looked = maxPassed, now
	}
	if s.struggling > 0 {
		t.wait = maxPassed
	}
	first, again := t, t
	first.priority, again.priority = firstAttempt, retry
	if s.firsts < retryAfter {
		return []turn{first, again}
	}
	s.firsts = 0
	one := again
	one.most = min(1, again.most)
	return []turn{one, first, again}
}

// retryRoom is how many retries may begin.
func (s *seats) retryRoom() int { return max(0, max(1, s.workers-s.workers/5)-s.retries) }

// judge says whether a job gets a seat.
func (s *seats) judge(name string, priority int) verdict {
	switch d := s.destinations[name]; {
	case s.free() == 0:
		return full
	case priority == retry && s.retryRoom() == 0:
		return noRetries
	case d == nil:
		return admitted
	case d.failing && (d.busy >= max(1, s.workers/10) || s.struggling >= max(1, s.workers/2)):
		return failing
	case d.busy >= s.workers:
		return full
	}
	return admitted
}

// seat gives a seat to a job that was admitted.
func (s *seats) seat(name string, priority int) {
	d := s.destinations[name]
	if d == nil {
		d = &destination{}
		s.destinations[name] = d
	}
	s.busy++
	d.busy++
	if d.failing {
		s.struggling++
	}
	if priority == retry {
		s.retries++
	} else {
		s.firsts++
	}
}

// leave frees a seat.
func (s *seats) leave(name string, retried bool) {
	s.busy--
	if retried {
		s.retries--
	}
	d := s.destinations[name]
	d.busy--
	if d.failing {
		s.struggling--
	}
	if d.busy == 0 && !d.failing {
		delete(s.destinations, name)
	}
}

// note remembers whether a destination fails. "" is of no place that is known.
func (s *seats) note(name string, fails bool, now time.Time) {
	d := s.destinations[name]
	if d == nil || name == "" {
		return
	}
	if fails != d.failing {
		d.failing = fails
		if fails {
			s.struggling += d.busy
		} else {
			s.struggling -= d.busy
		}
	}
	d.since = now
}

// sweep forgets the failures of long ago.
func (s *seats) sweep(now time.Time) {
	for name, d := range s.destinations {
		if d.busy == 0 && now.Sub(d.since) >= forget {
			delete(s.destinations, name)
		}
	}
}

// answered reports whether a result is one that a destination gives that works: it took
// the message, or refused it for good.
func answered(err error) bool { return err == nil || relay.ReplyFor(err).Code/100 == 5 }
