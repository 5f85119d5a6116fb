// Package bodytext adds text to the texts of a message that a reader sees, in their own
// character set and transfer encoding: a footer, such as the particulars that the law asks
// of business letters, and the legacy display of header fields that encryption hides (RFC
// 9788), which it also removes. Signed text is never changed.
package bodytext
