// Package console has a browser use the web console of a running gateway: each page and each
// form, with JavaScript and without. axe-core looks for what keeps people from using a page.
package console
