package service

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/observe"
	"github.com/smimerelay/smimerelay/publish"
	"github.com/smimerelay/smimerelay/relay"
	"github.com/smimerelay/smimerelay/relay/queue"
)

// Options say how to run.
type Options struct {
	Path    string    // of the configuration file
	Stderr  io.Writer // receives the log
	Clock   func() time.Time
	Version string
	Polls   Polls
	// StoreTimeout bounds one question to the certificate store while mail waits for
	// the answer; 0 is five seconds.
	StoreTimeout time.Duration
	// Signals receives SIGHUP, SIGTERM and SIGINT; nil: those of the process.
	Signals chan os.Signal
}

// Service is a running gateway. Only the goroutine of Run changes it.
type Service struct {
	current
	options   Options
	log       *slog.Logger
	level     *slog.LevelVar
	metrics   *observe.Metrics
	inherited inherited
	queue     *queue.Queue // nil where no listener needs it
	listeners []*listener
	failed    chan error      // what ended by itself and must not
	changed   chan struct{}   // the store changed
	reloads   chan chan error // the console asks for a reload, and waits for what came of it
	// loaded is when the configuration in use was loaded, and refused when a reload failed
	// last; nil before that.
	loaded, refused atomic.Pointer[time.Time]
	console         *consoleParts // nil where there is none
	problem         string        // why that is not in use yet; "" when it is
	work            sync.WaitGroup

	// recorder writes the history; nil where there is none.
	recorder atomic.Pointer[recorder]

	// commands counts the mail commands of members.
	commands commandCounts

	// memory bounds the messages in work, for all listeners and the queue together.
	memory *relay.Memory

	// sources is how the directories answered, for the console.
	sources sourceStates

	// traces are made of messages; nil before there is a configuration.
	traces atomic.Pointer[tracingInUse]

	// published are the certificates that others may have; nil until they were judged.
	published atomic.Pointer[publish.Snapshot]

	storeSilent bool // the watch's: the store did not answer last time

	mu    sync.Mutex
	state error // why we are not ready; nil when we are
}

// Run serves until SIGTERM or SIGINT, or until something fails that it can not
// serve without. An error of bad configuration is a config.Problems.
func Run(ctx context.Context, o Options) error {
	signals := o.Signals
	if signals == nil {
		// Before the listeners open: a client that is let in is served to the end.
		signals = make(chan os.Signal, 8)
		signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
		defer signal.Stop(signals)
	}
	s, err := start(ctx, o)
	if err != nil {
		return err
	}
	watchCtx, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	s.work.Go(func() { watchdog(watchCtx, s.log) })
	s.work.Go(func() { s.watchStore(watchCtx) })
	s.work.Go(func() { s.watchExpiry(watchCtx) })
	s.work.Go(func() { s.watchAuthority(watchCtx) })
	s.work.Go(func() { s.watchEnrolment(watchCtx) })
	s.work.Go(func() { s.watchPublish(watchCtx) })
	s.setState(nil)
	notify(s.log, daemon.SdNotifyReady)
	s.log.Info("serving", "version", o.Version, "config", o.Path)

	err = s.wait(ctx, signals)
	stopWatching()
	return errors.Join(err, s.stop(signals))
}

// wait handles signals until it is time to end.
func (s *Service) wait(ctx context.Context, signals <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.failed:
			s.log.Error("listener failed; shutting down", "error", err)
			return err
		case <-s.changed:
			s.rebuild(ctx)
		case answer := <-s.reloads:
			notifyReloading(s.log)
			answer <- s.reload(ctx)
			notify(s.log, daemon.SdNotifyReady)
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				s.log.Info("ending", "signal", sig.String())
				return nil
			}
			notifyReloading(s.log)
			_ = s.reload(ctx) // it has been logged
			notify(s.log, daemon.SdNotifyReady)
		}
	}
}

var errStarting = errors.New("starting")

// start builds everything and opens the listeners, or undoes what it did.
func start(ctx context.Context, o Options) (*Service, error) {
	c, problems := config.Load(o.Path)
	if len(problems) > 0 && c == nil {
		return nil, problems
	}
	o.Polls = o.Polls.withDefaults()
	s := &Service{options: o, failed: make(chan error, 16), changed: make(chan struct{}), reloads: make(chan chan error), state: errStarting,
		memory: relay.NewMemory(int64(c.Limits.MessageMemory))}
	var err error
	if s.log, s.level, err = observe.NewLogger(o.Stderr, c.Log.Level, c.Log.Format); err != nil {
		return nil, problems // they say what is wrong with [log]
	}
	// Libraries write to the log of the process, what peers sent included: by this
	// it is escaped, and has the form of all lines.
	slog.SetDefault(s.log)
	s.closed = func(err error) {
		if err != nil {
			s.log.Warn("closing the old configuration failed", "error", err)
		}
	}
	s.metrics = observe.NewMetrics(observe.Depth{Up: s.queueUp, Queued: s.queued, Held: s.held, HeldAge: s.heldAge, Quarantined: s.quarantined})
	s.metrics.StoreUp.Set(1)
	s.metrics.BuildInfo.WithLabelValues(o.Version).Set(1)
	parts, problems := build(c, problems, s.setting(nil))
	if len(problems) > 0 {
		return nil, problems
	}
	if s.inherited, err = systemdSockets(); err != nil {
		return nil, err
	}
	change, err := s.prepare(ctx, parts)
	if err != nil {
		return nil, errors.Join(err, parts.Close(), s.console.close())
	}
	s.commit(change)
	s.configLoaded()
	return s, nil
}

// installed notes that parts are in use.
func (s *Service) installed(p *Parts) {
	s.memory.SetLimit(int64(p.Config.Limits.MessageMemory))
	if limit := memoryLimit(&p.Config.Limits, os.Getenv("GOMEMLIMIT")); limit > 0 {
		debug.SetMemoryLimit(limit)
	}
	if err := s.level.UnmarshalText([]byte(p.Config.Log.Level)); err != nil {
		s.log.Error("log level", "error", err)
	}
}

// configLoaded notes that a file was applied.
func (s *Service) configLoaded() {
	now := s.options.Clock()
	s.loaded.Store(&now)
	s.metrics.ConfigLoaded.Set(float64(now.Unix()))
}

// stop drains the listeners within the configured time, then ends the rest. A second
// signal cuts the draining short.
func (s *Service) stop(signals <-chan os.Signal) error {
	notify(s.log, daemon.SdNotifyStopping)
	s.setState(errors.New("stopping"))
	ctx, cancel := context.WithTimeout(context.Background(), s.drainTime())
	defer cancel()
	s.work.Go(func() {
		select {
		case <-ctx.Done():
		case <-signals:
			cancel()
		}
	})
	var drained sync.WaitGroup
	for _, d := range s.listeners {
		if d.spec.protocol != adminProtocol { // it tells how it goes until the end
			d.shutting.Store(true)
			d.socket.Close()
			drained.Go(func() { s.shut(ctx, d) })
		}
	}
	drained.Wait()
	var err error
	if s.queue != nil {
		err = s.queue.Stop(ctx)
		if ctx.Err() != nil {
			s.log.Warn("deliveries in progress were interrupted; they are retried after the next start", "error", err)
			err = nil
		}
	}
	for _, d := range s.listeners {
		if d.spec.protocol == adminProtocol {
			d.shutting.Store(true)
			d.socket.Close()
			s.shut(ctx, d)
		}
	}
	cancel()
	s.recorder.Swap(nil).close(s.log)
	s.closeTraces(s.traces.Load())
	s.work.Wait()
	err = errors.Join(err, s.console.close())
	s.swap(nil)
	s.log.Info("ended")
	return err
}

func (s *Service) drainTime() time.Duration {
	p, release := s.use()
	defer release()
	return p.Config.Limits.ShutdownTimeout
}

func (s *Service) setState(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = err
}

// ready returns nil when messages are taken.
func (s *Service) ready() error {
	s.mu.Lock()
	state := s.state
	s.mu.Unlock()
	if state != nil {
		return state
	}
	return s.queueReady()
}
