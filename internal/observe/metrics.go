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
	Published      *prometheus.CounterVec   // name, result
	PublishUp      *prometheus.GaugeVec     // name
	OCSP           *prometheus.CounterVec   // result
	Deliveries     *prometheus.CounterVec   // outcome
	TLSSessions    *prometheus.CounterVec   // policy, result
	QueueUp        prometheus.GaugeFunc
	QueueMessages  prometheus.GaugeFunc
	QueueHeld      prometheus.GaugeFunc
	QueueHeldAge   prometheus.GaugeFunc
	Quarantined    prometheus.GaugeFunc
	HistoryDropped prometheus.Counter
	Reloads        *prometheus.CounterVec // result
	ConfigLoaded   prometheus.Gauge
	Identities     prometheus.Gauge
	Skipped        prometheus.Gauge
	IdentityExpiry prometheus.Gauge
	Expiring       prometheus.Gauge
	StoreUp        prometheus.Gauge
	TokenUses      *prometheus.CounterVec // token, operation, result
	CRLEnd         *prometheus.GaugeVec   // authority
	BuildInfo      *prometheus.GaugeVec   // version

	registry *prometheus.Registry
}

// Depth reports how full the queue is, whenever it is asked. Nil functions are 0.
type Depth struct {
	Up          func() float64 // 1 while it can store messages, or is not needed
	Queued      func() float64 // messages that wait for delivery
	Held        func() float64 // messages that wait for a certificate
	HeldAge     func() float64 // of the oldest of these, in seconds
	Quarantined func() float64 // inbound messages in quarantine
}

// given is a function that is there: a missing one reports 0.
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
			"Messages processed, by listener, direction (both if recipients differ) and outcome: accepted (for at least one recipient), refused (permanently), deferred (temporarily).",
			"listener", "direction", "outcome"),
		MessageSeconds: histograms("message_seconds",
			"Time from the end of a message to its outcome: lookup, policy and S/MIME.",
			prometheus.ExponentialBuckets(0.001, 2, 15), "direction"),
		MessageBytes: histograms("message_bytes",
			"Size of received messages.",
			prometheus.ExponentialBuckets(1024, 4, 10), "direction"),
		Recipients: counters("recipients_total",
			"Recipients of processed messages by outcome: delivered (accepted by the next hop), queued (in the queue of the gateway), edited (returned to the MTA as a milter), stripped, held, quarantined (by an inbound rule), returned (a bounce to an address of the gateway, passed on as a report), refused (permanently, or by a report), deferred (temporarily).",
			"direction", "outcome"),
		Outbound: counters("outbound_total",
			"Recipients of accepted outbound copies, by protection of the copy: \"signed\", \"encrypted\", \"signed, encrypted\", \"clear\"; signatures and encryption by the sender count as well.",
			"protection"),
		Inbound: counters("inbound_total",
			"Recipients of accepted inbound copies, by the result of verification (RFC 8601: none, pass, fail, policy, neutral, temperror, permerror) and by encryption: decrypted, kept (not decrypted), none.",
			"result", "encryption"),
		Refusals: counters("refusals_total",
			"Recipients, messages and logins answered with an error, by kind; \"internal\" is a bug or a fault of this machine.",
			"listener", "kind"),
		Panics: counter("panics_total",
			"Messages whose processing crashed and was answered with 451. A value other than 0 is a bug: please report it."),
		Lookups: counters("lookups_total",
			"Lookups of recipient certificates by outcome: usable, none, unknown; \"remembered\" is yes if the result was cached, otherwise no.",
			"outcome", "remembered"),
		LookupSeconds: histograms("directory_seconds",
			"Response time of a directory, including the checks of the certificates, by name and result: answered, failed.",
			prometheus.ExponentialBuckets(0.0005, 2, 15), "source", "result"),
		DirectoryNotes: counters("directory_notes_total",
			"Faults in successful answers of a directory, by name: a server that failed before another one answered, a file or value that could not be read, referrals that are not followed. Details are in the log.",
			"source"),
		Harvested: counters("harvested_total",
			"Certificates found in signed mail, by outcome: new, changed (cipher preferences changed), known, refused (not usable for encryption), full (too many from one sender), failed (store error), dropped (no time).",
			"outcome"),
		Published: counters("published_total",
			"Questions for certificates that [[publish]] answered, by its name and result: found, none, limited (too many from one client), refused (no question for an address), failed.",
			"name", "result"),
		PublishUp: prometheus.NewGaugeVec(options("publish_up",
			"1 if the last attempt to write certificates to the zone or directory of a [[publish]] wrote all of them; 0 if it failed or some were refused. The log has the reason."), []string{"name"}),
		OCSP: counters("ocsp_requests_total",
			"OCSP requests to the built-in CA, by result: good, revoked or unknown (one of the certificates), unauthorized (of another CA), malformed, busy (too many at once), failed (details are in the log).",
			"result"),
		Deliveries: counters("deliveries_total",
			"Recipients handed to the next hop, by outcome: delivered, deferred, refused.",
			"outcome"),
		TLSSessions: counters("tls_sessions_total",
			"Attempts to secure a connection to a next hop, by what demands it (RFC 8460: tlsa, sts, no-policy-found) and result: success, or the failure in the words of RFC 8460, such as starttls-not-supported, certificate-host-mismatch, certificate-not-trusted, certificate-expired, validation-failure, dnssec-invalid, sts-policy-fetch-error, sts-webpki-invalid.",
			"policy", "result"),
		QueueUp: prometheus.NewGaugeFunc(options("queue_up",
			"1 if the queue can store messages, or no listener needs it; 0 if its file cannot be written, free disk space is below [queue] min_free, or it has reached [queue] max_size: mail is then answered with 451 or 452."), given(depth.Up)),
		QueueMessages: prometheus.NewGaugeFunc(options("queue_messages",
			"Messages in the queue waiting for delivery."), given(depth.Queued)),
		QueueHeld: prometheus.NewGaugeFunc(options("queue_held",
			"Messages held for missing recipient certificates."), given(depth.Held)),
		QueueHeldAge: prometheus.NewGaugeFunc(options("queue_held_oldest_seconds",
			"Age of the oldest held message; 0 if there is none."), given(depth.HeldAge)),
		Quarantined: prometheus.NewGaugeFunc(options("queue_quarantined",
			"Inbound messages in quarantine."), given(depth.Quarantined)),
		HistoryDropped: counter("history_dropped_total",
			"Entries of the history that are lost because it could not be written for too long."),
		Reloads: counters("reloads_total",
			"Reloads of the configuration, by result: done, failed (the old configuration stays in effect).",
			"result"),
		ConfigLoaded: gauge("config_loaded_timestamp_seconds",
			"When the current configuration was loaded."),
		Skipped: gauge("certificates_skipped",
			"Certificates and CRLs in the files of trust.anchors, trust.intermediates and trust.crls that could not be read and were skipped."),
		Identities: gauge("identities",
			"Identities (private keys with a certificate) in the store, in files and in tokens."),
		IdentityExpiry: gauge("identity_expiry_timestamp_seconds",
			"When the next valid identity expires; 0 if there is none."),
		Expiring: gauge("identities_expiring",
			"Identities, including the built-in CA, that expire within the longest time of [expiry] warn_before and have not been replaced."),
		StoreUp: gauge("store_up",
			"1 if the certificate store is available, otherwise 0: dependent mail is then deferred."),
		TokenUses: counters("token_operations_total",
			"Operations of a token, by its name, operation: start (of the helper, or a connection to it), open, list, ready, sign, decrypt, derive; and result: done, unavailable (mail is deferred), refused and wrong-pin (an administrator has to act), unsupported, undecryptable (a ciphertext that is not for the key).",
			"token", "operation", "result"),
		CRLEnd: prometheus.NewGaugeVec(options("crl_end_timestamp_seconds",
			"When the CRL published by the built-in CA (root, issuing) expires."), []string{"authority"}),
		BuildInfo: prometheus.NewGaugeVec(options("build_info",
			"Always 1; the label is the running version."), []string{"version"}),
		registry: prometheus.NewRegistry(),
	}
	m.registry.MustRegister(m.collectors()...)
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	// From 0 on: Prometheus sees no increase in a first 1.
	for _, result := range []string{"done", "failed"} {
		m.Reloads.WithLabelValues(result)
	}
	return m
}

// collectors returns the metrics in the order in which docs/metrics.md lists
// them.
func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.Messages, m.MessageSeconds, m.MessageBytes, m.Recipients, m.Outbound, m.Inbound, m.Refusals, m.Panics,
		m.Lookups, m.LookupSeconds, m.DirectoryNotes, m.Harvested, m.Published, m.PublishUp, m.OCSP, m.Deliveries, m.TLSSessions, m.QueueUp, m.QueueMessages, m.QueueHeld, m.QueueHeldAge, m.Quarantined, m.HistoryDropped, m.Reloads, m.ConfigLoaded, m.Identities, m.Skipped, m.IdentityExpiry,
		m.Expiring, m.StoreUp, m.TokenUses, m.CRLEnd,
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
