package observe

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const namespace = "smimerelay"

// Metrics are all the metrics of the program.
type Metrics struct {
	Messages       *prometheus.CounterVec   // listener, direction, outcome
	MessageSeconds *prometheus.HistogramVec // direction
	MessageBytes   *prometheus.HistogramVec // direction
	Recipients     *prometheus.CounterVec   // direction, outcome
	Refusals       *prometheus.CounterVec   // listener, kind
	Outbound       *prometheus.CounterVec   // protection
	Inbound        *prometheus.CounterVec   // result, encryption
	Panics         prometheus.Counter
	Lookups        *prometheus.CounterVec   // outcome, remembered
	LookupSeconds  *prometheus.HistogramVec // source, result
	DirectoryNotes *prometheus.CounterVec   // source
	Harvested      *prometheus.CounterVec   // outcome
	Deliveries     *prometheus.CounterVec   // outcome
	QueueUp        prometheus.GaugeFunc
	QueueMessages  prometheus.GaugeFunc
	QueueHeld      prometheus.GaugeFunc
	QueueHeldAge   prometheus.GaugeFunc
	Reloads        *prometheus.CounterVec // result
	ConfigLoaded   prometheus.Gauge
	Identities     prometheus.Gauge
	Skipped        prometheus.Gauge
	IdentityExpiry prometheus.Gauge
	Expiring       prometheus.Gauge
	StoreUp        prometheus.Gauge
	CRLEnd         *prometheus.GaugeVec // authority
	BuildInfo      *prometheus.GaugeVec // version

	registry *prometheus.Registry
}

// Depth tells how full the queue is, whenever somebody asks. Nil functions are 0.
type Depth struct {
	Up      func() float64 // 1 while it can store messages, or is not needed
	Queued  func() float64 // messages that wait for delivery
	Held    func() float64 // messages that wait for a certificate
	HeldAge func() float64 // of the oldest of these, in seconds
}

// given is a function that is there: what nobody tells is 0.
func given(f func() float64) func() float64 {
	if f == nil {
		return func() float64 { return 0 }
	}
	return f
}

// NewMetrics declares the metrics in a registry of their own.
func NewMetrics(depth Depth) *Metrics {
	m := &Metrics{
		Messages: counters("messages_total",
			"Messages that were answered, by listener, direction (both where recipients differ) and outcome: accepted (for one recipient at least), refused (for good), deferred (for now).",
			"listener", "direction", "outcome"),
		MessageSeconds: histograms("message_seconds",
			"Time from the end of a message to the decision what becomes of it: lookup, policy and S/MIME.",
			prometheus.ExponentialBuckets(0.001, 2, 15), "direction"),
		MessageBytes: histograms("message_bytes",
			"Size of the messages received.",
			prometheus.ExponentialBuckets(1024, 4, 10), "direction"),
		Recipients: counters("recipients_total",
			"Recipients of answered messages by what became of them: delivered (the next hop has the message), queued (our queue has it), edited (the MTA whose milter we are has it), stripped, held, returned (a bounce to an address of the gateway's own, which is passed on as a report), refused (for good, or by a report), deferred (for now).",
			"direction", "outcome"),
		Outbound: counters("outbound_total",
			"Recipients of outbound copies that were accepted, by how the copy leaves: \"signed\", \"encrypted\", \"signed, encrypted\", \"clear\"; what its sender signed or encrypted counts too.",
			"protection"),
		Inbound: counters("inbound_total",
			"Recipients of inbound copies that were accepted, by the result of verification (RFC 8601: none, pass, fail, policy, neutral, temperror, permerror) and by encryption: decrypted, kept (not decrypted), none.",
			"result", "encryption"),
		Refusals: counters("refusals_total",
			"Recipients and messages that were answered with an error, by its kind; \"internal\" is a defect or a fault of this machine.",
			"listener", "kind"),
		Panics: counter("panics_total",
			"Messages whose processing crashed and was answered with 451. Anything but 0 is a defect: please report it."),
		Lookups: counters("lookups_total",
			"Lookups of recipients' certificates by outcome: usable, none, unknown; \"remembered\" says whether the cache had it (yes, no).",
			"outcome", "remembered"),
		LookupSeconds: histograms("directory_seconds",
			"Time that a directory took for one answer, the checks of the certificates included, by its name and result: answered, failed.",
			prometheus.ExponentialBuckets(0.0005, 2, 15), "source", "result"),
		DirectoryNotes: counters("directory_notes_total",
			"Faults in answers of a directory that did answer, by its name: a server that failed before another answered, a file or value that could not be read, referrals that are not followed. The log has the text.",
			"source"),
		Harvested: counters("harvested_total",
			"Certificates of signed mail that might be kept, by outcome: new, changed (it reads other ciphers now), known, refused (not good for encryption), full (more than one sender may add), failed (the store), dropped (no time).",
			"outcome"),
		Deliveries: counters("deliveries_total",
			"Recipients handed to the next hop, by outcome: delivered, deferred, refused.",
			"outcome"),
		QueueUp: prometheus.NewGaugeFunc(options("queue_up",
			"1 while the queue can store messages, or no listener needs it; 0 while its file cannot be written, the disk has less than [queue] min_free left, or it holds [queue] max_size: then mail is answered with 451 or 452."), given(depth.Up)),
		QueueMessages: prometheus.NewGaugeFunc(options("queue_messages",
			"Messages in the queue that wait for delivery."), given(depth.Queued)),
		QueueHeld: prometheus.NewGaugeFunc(options("queue_held",
			"Messages that are held until their recipients have certificates."), given(depth.Held)),
		QueueHeldAge: prometheus.NewGaugeFunc(options("queue_held_oldest_seconds",
			"How long the oldest of these has been held; 0 when there is none."), given(depth.HeldAge)),
		Reloads: counters("reloads_total",
			"Reloads of the configuration, by result: done, failed (the old configuration serves on).",
			"result"),
		ConfigLoaded: gauge("config_loaded_timestamp_seconds",
			"When the configuration that serves was loaded."),
		Skipped: gauge("certificates_skipped",
			"Certificates in the files of trust.anchors and trust.intermediates that could not be read and are passed over."),
		Identities: gauge("identities",
			"Identities (private keys with a certificate) that we hold, in the store, in files and in tokens."),
		IdentityExpiry: gauge("identity_expiry_timestamp_seconds",
			"When the next identity of ours that is still valid expires; 0 when there is none."),
		Expiring: gauge("identities_expiring",
			"Identities of ours, our own authority included, that end within the longest time of [expiry] before and have no successor."),
		StoreUp: gauge("store_up",
			"1 while the certificate store answers, else 0: then what depends on it is deferred."),
		CRLEnd: prometheus.NewGaugeVec(options("crl_end_timestamp_seconds",
			"When the revocation list that our own authority (root, issuing) publishes ends."), []string{"authority"}),
		BuildInfo: prometheus.NewGaugeVec(options("build_info",
			"Always 1; the label says which version runs."), []string{"version"}),
		registry: prometheus.NewRegistry(),
	}
	m.registry.MustRegister(m.collectors()...)
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// collectors returns the metrics in the order in which docs/metrics.md lists
// them.
func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.Messages, m.MessageSeconds, m.MessageBytes, m.Recipients, m.Outbound, m.Inbound, m.Refusals, m.Panics,
		m.Lookups, m.LookupSeconds, m.DirectoryNotes, m.Harvested, m.Deliveries, m.QueueUp, m.QueueMessages, m.QueueHeld, m.QueueHeldAge, m.Reloads, m.ConfigLoaded, m.Identities, m.Skipped, m.IdentityExpiry,
		m.Expiring, m.StoreUp, m.CRLEnd,
		m.BuildInfo,
	}
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func options(name, help string) prometheus.GaugeOpts {
	return prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts(options(name, help)))
}

func gauge(name, help string) prometheus.Gauge { return prometheus.NewGauge(options(name, help)) }

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts(options(name, help)), labels)
}

func histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: buckets,
	}, labels)
}
