package config

import "net/url"

// The bounds of the Baseline Requirements for S/MIME certificates, sections 6.3.2
// and 4.9.7.
const (
	maxValidity    = 825 * day
	maxCRLValidity = 10 * day
)

// authority checks [ca].
func (d *decoder) authority(c CA) {
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			d.complain("ca.url", `write one such as "http://pki.example.com/smime/"; CRLs are signed, and fetching them over https would require a CRL first`, "%q is not an http address", c.URL)
		}
	}
	if c.Country != "" && (len(c.Country) != 2 || !capital(c.Country[0]) || !capital(c.Country[1])) {
		d.complain("ca.country", `write its two letters, such as "DE"`, "%q is not a country", c.Country)
	}
	if c.Validity > maxValidity {
		d.complain("ca.validity", "write at most 825d", "%s is too long", formatDuration(c.Validity))
	}
	if c.RenewBefore >= c.Validity {
		d.complain("ca.renew_before", "write less than validity", "is not less than validity: a certificate would be issued for every message")
	}
	if c.CRLValidity > maxCRLValidity {
		d.complain("ca.crl_validity", "write at most 10d", "%s is too long", formatDuration(c.CRLValidity))
	}
	if c.OCSPValidity > maxCRLValidity {
		d.complain("ca.ocsp_validity", "write at most 10d", "%s is too long", formatDuration(c.OCSPValidity))
	}
	if 2*c.CRLRefresh > c.CRLValidity {
		d.complain("ca.crl_refresh", "write at most half of crl_validity", "leaves no time to publish the next CRL before the current one expires")
	}
}

func capital(c byte) bool { return 'A' <= c && c <= 'Z' }
