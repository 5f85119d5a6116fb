package console

import "github.com/smimerelay/smimerelay/console/access"

// pages are all pages with what their forms do. A test of each role with each of them is made
// from this list.
var pages = []page{
	{"GET", "/sign-in", "", showSignIn},
	{"POST", "/sign-in", "", signIn},
	{"GET", "/sign-in/link", "", showLink},
	{"POST", "/sign-in/link", "", followLink},
	{"GET", "/sign-in/openid", "", beginOpenID},
	{"GET", "/sign-in/openid/callback", "", finishOpenID},
	{"POST", "/language", "", chooseLanguage},

	{"GET", "/", access.Viewer, showOverview},
	{"POST", "/sign-out", access.Viewer, signOut},

	{"GET", "/messages", access.Viewer, showMessages},
	{"GET", "/messages/{id}", access.Viewer, showMessage},

	{"GET", "/queue", access.Viewer, showQueue},
	{"POST", "/queue/retry", access.Operator, eachDelivery(retry)},
	{"POST", "/queue/hold", access.Operator, eachDelivery(hold)},
	{"POST", "/queue/release", access.Operator, eachDelivery(unhold)},
	{"POST", "/queue/remove", access.Administrator, confirmed(removal, ofDelivery, eachDelivery(removeDelivery))},

	{"GET", "/held", access.Viewer, showHeld},
	{"POST", "/held/release", access.Operator, eachHeld(releaseHeld)},
	{"POST", "/held/return", access.Operator, withReason(returnHeld)},
	{"POST", "/held/release-plain", access.Administrator, confirmed(plainRelease, ofHeld, withReason(releasePlain))},
	{"POST", "/held/remove", access.Administrator, confirmed(removal, ofHeld, eachHeld(removeHeld))},

	{"GET", "/partners", access.Viewer, showPartners},

	{"GET", "/certificates", access.Viewer, showCertificates},
	{"POST", "/certificates/import", access.Operator, importCertificates},
	{"POST", "/certificates/issue", access.Administrator, issueIdentity},
	{"POST", "/certificates/{sha256}/revoke", access.Administrator, revokeCertificate},
	{"POST", "/certificates/lookup", access.Operator, lookUp},
	{"GET", "/certificates/{sha256}", access.Viewer, showCertificate},
	{"GET", "/certificates/{sha256}/pem", access.Viewer, downloadCertificate},
	{"POST", "/certificates/{sha256}/allow", access.Administrator, allowCertificate},
	{"POST", "/certificates/{sha256}/block", access.Administrator, blockCertificate},
	{"POST", "/certificates/{sha256}/clear", access.Administrator, onCertificate(clearCertificate)},
	{"POST", "/certificates/{sha256}/pin", access.Administrator, onCertificate(pinCertificate)},
	{"POST", "/certificates/{sha256}/unpin", access.Administrator, onCertificate(unpinCertificate)},

	{"GET", "/rules", access.Viewer, showRules},
	{"POST", "/rules", access.Operator, explain},
	{"POST", "/rules/message", access.Administrator, explainMessage},

	{"POST", "/rules/replay", access.Administrator, replay},

	{"GET", "/configuration", access.Viewer, showConfiguration},
	{"POST", "/configuration/check", access.Administrator, checkConfiguration},
	{"POST", "/configuration/reload", access.Administrator, reloadConfiguration},

	{"GET", "/audit", access.Administrator, showAudit},
}
