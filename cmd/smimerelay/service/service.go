package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/semaphore"

	"github.com/smimerelay/smimerelay/internal/config"
	"github.com/smimerelay/smimerelay/internal/observe"
	"github.com/smimerelay/smimerelay/relay/queue"
)

// Options say how to run.
type Options struct {
	Path    string    // of the configuration file
	Stderr  io.Writer // receives the log
	Clock   func() time.Time
	Version string
	// Signals receives SIGHUP, SIGTERM and SIGINT; nil: those of the process.
	Signals chan os.Signal
}

// Service is a running gateway.
type Service struct {
	current
	options Options
	log     *slog.Logger
	level   *slog.LevelVar
	metrics *observe.Metrics
	memory  *semaphore.Weighted
	queue   *queue.Queue // nil where no door needs it
	doors   []*door
	admin   *http.Server
	failed  chan error // what ended by itself and must not
	work    sync.WaitGroup

	mu    sync.Mutex
	state error // why we are not ready; nil when we are
}

// Run serves until SIGTERM or SIGINT, or until something fails that it can not
// serve without. An error of bad configuration is a config.Problems.
func Run(ctx context.Context, o Options) error {
	s, err := start(ctx, o)
	if err != nil {
		return err
	}
	signals := o.Signals
	if signals == nil {
		signals = make(chan os.Signal, 8)
		signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
		defer signal.Stop(signals)
	}
	watchCtx, stopWatchdog := context.WithCancel(ctx)
	defer stopWatchdog()
	s.work.Go(func() { watchdog(watchCtx, s.log) })
	s.setState(nil)
	notify(s.log, daemon.SdNotifyReady)
	s.log.Info("serving", "version", o.Version, "config", o.Path)

	err = s.wait(ctx, signals)
	stopWatchdog()
	return errors.Join(err, s.stop())
}

// wait handles signals until it is time to end.
func (s *Service) wait(ctx context.Context, signals <-chan os.Signal) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.failed:
			s.log.Error("a door closed by itself: ending", "error", err)
			return err
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				s.log.Info("ending", "signal", sig.String())
				return nil
			}
			notifyReloading(s.log)
			s.reload(ctx)
			notify(s.log, daemon.SdNotifyReady)
		}
	}
}

var errStarting = errors.New("starting")

// start builds everything and opens the doors, or undoes what it did.
func start(ctx context.Context, o Options) (*Service, error) {
	c, problems := config.Load(o.Path)
	if len(problems) > 0 && c == nil {
		return nil, problems
	}
	s := &Service{options: o, failed: make(chan error, 16), state: errStarting}
	var err error
	if s.log, s.level, err = observe.NewLogger(o.Stderr, c.Log.Level, c.Log.Format); err != nil {
		return nil, problems // they say what is wrong with [log]
	}
	s.closed = func(err error) {
		if err != nil {
			s.log.Warn("closing what a configuration used", "error", err)
		}
	}
	parts, problems := Build(c, problems, o.Clock, s.log)
	if len(problems) > 0 {
		return nil, problems
	}
	s.memory = semaphore.NewWeighted(int64(c.Limits.Memory))
	s.metrics = observe.NewMetrics(s.queued)
	s.metrics.BuildInfo.WithLabelValues(o.Version).Set(1)
	s.install(parts)
	if err := s.open(ctx, c); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// install puts parts to use.
func (s *Service) install(p *Parts) {
	s.swap(p)
	if p.Config.Limits.Heap > 0 {
		debug.SetMemoryLimit(int64(p.Config.Limits.Heap))
	}
	now := s.options.Clock()
	s.metrics.ConfigLoaded.Set(float64(now.Unix()))
	s.metrics.Identities.Set(float64(len(p.Keys.Identities())))
	s.metrics.IdentityExpiry.Set(0)
	if first := p.NextExpiry(now); !first.IsZero() {
		s.metrics.IdentityExpiry.Set(float64(first.Unix()))
	}
}

// open starts the queue, the doors and the admin server.
func (s *Service) open(ctx context.Context, c *config.Config) error {
	if err := s.openQueue(ctx, c); err != nil {
		return err
	}
	inherited, err := systemdSockets()
	if err != nil {
		return err
	}
	for _, l := range c.Listeners {
		d, err := s.newDoor(ctx, inherited, c, l)
		if err != nil {
			return fmt.Errorf("listener %q at %s: %w", l.Name, l.Address, err)
		}
		s.doors = append(s.doors, d)
	}
	if err := s.openAdmin(ctx, inherited, c.Admin.Address); err != nil {
		return fmt.Errorf("admin.address %s: %w", c.Admin.Address, err)
	}
	for _, d := range s.doors {
		s.work.Go(func() { s.serve(d) })
	}
	return nil
}

// serve serves a door; that it ends without being told to is a failure.
func (s *Service) serve(d *door) {
	s.log.Info("listening", "listener", d.name, "protocol", d.protocol, "address", d.listener.Addr().String())
	if err := d.server.Serve(d.listener); err != nil && !d.closing() {
		s.failed <- fmt.Errorf("listener %q: %w", d.name, err)
	}
}

func (s *Service) openAdmin(ctx context.Context, inherited sockets, address string) error {
	if address == "" {
		return nil
	}
	l, err := inherited.listen(ctx, address)
	if err != nil {
		return err
	}
	s.admin = &http.Server{Handler: observe.Admin(s.metrics, s.ready), ReadHeaderTimeout: 10 * time.Second}
	s.work.Go(func() {
		if err := s.admin.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("admin: %w", err)
		}
	})
	return nil
}

// stop drains the doors within the configured time, then ends the rest.
func (s *Service) stop() error {
	notify(s.log, daemon.SdNotifyStopping)
	s.setState(errors.New("stopping"))
	p, release := s.use()
	limit := p.Config.Limits.Drain
	release()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()

	errs := make([]error, len(s.doors))
	var drained sync.WaitGroup
	for i, d := range s.doors {
		drained.Go(func() { errs[i] = d.shut(ctx) })
	}
	drained.Wait()
	if s.queue != nil {
		errs = append(errs, s.queue.Stop(ctx))
	}
	if s.admin != nil {
		errs = append(errs, s.admin.Close())
	}
	s.work.Wait()
	s.swap(nil)
	s.log.Info("ended")
	return errors.Join(errs...)
}

func (s *Service) setState(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = err
}

// ready returns nil when messages are taken.
func (s *Service) ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}
