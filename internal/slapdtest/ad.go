package slapdtest

import "strings"

// adSchema has what the tests need of Active Directory's schema, under its
// names, object identifiers and matching rules. (OpenLDAP's own msuser.schema
// has no equality rule for proxyAddresses, so that it cannot be searched for.)
const adSchema = `
attributetype ( 1.2.840.113556.1.2.210 NAME 'proxyAddresses'
  EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.2.840.113556.1.2.352 NAME 'targetAddress'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl'
  EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.750 NAME 'groupType'
  EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.914 NAME 'allowedAttributesEffective'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.32473.1 NAME 'supportedCapabilities'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 1.2.840.113556.1.5.9 NAME 'user' SUP organizationalPerson STRUCTURAL
  MAY ( mail $ proxyAddresses $ userAccountControl $ sAMAccountName $ userCertificate $ userSMIMECertificate $ allowedAttributesEffective ) )
objectclass ( 1.2.840.113556.1.5.15 NAME 'contact' SUP organizationalPerson STRUCTURAL
  MAY ( mail $ proxyAddresses $ targetAddress $ userCertificate $ userSMIMECertificate ) )
objectclass ( 1.2.840.113556.1.5.8 NAME 'group' SUP top STRUCTURAL
  MUST cn MAY ( groupType $ mail $ proxyAddresses $ sAMAccountName $ member $ description ) )
`

// mailSchema has the further addresses of an entry as qmail-ldap has them; OpenLDAP has
// those of inetLocalMailRecipient in misc.schema.
const mailSchema = `
attributetype ( 1.3.6.1.4.1.7914.1.2.1.4 NAME 'mailAlternateAddress'
  EQUALITY caseIgnoreIA5Match SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )
objectclass ( 1.3.6.1.4.1.7914.1.2.2.1 NAME 'qmailUser' SUP top AUXILIARY
  MAY ( mail $ mailAlternateAddress ) )
`

// adCertificates gives the attributes with certificates the syntax of Active Directory.
var adCertificates = strings.NewReplacer(
	"EQUALITY certificateExactMatch\n\tSYNTAX 1.3.6.1.4.1.1466.115.121.1.8 )", octets,
	"DESC 'RFC2798: PKCS#7 SignedData used to support S/MIME'\n\tSYNTAX 1.3.6.1.4.1.1466.115.121.1.5 )", octets,
)

const octets = "EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )"

// adRoot is what the root entry has besides.
const adRoot = `dn:
supportedCapabilities: 1.2.840.113556.1.4.800
`
