// Scep speaks SCEP (RFC 8894) with Bouncy Castle, for the tests:
//
//   reply  CAKEY CA RAKEY RA IN OUT CHALLENGE   answers a PKCSReq, as a CA
//   later  CAKEY CA RAKEY RA IN OUT CHALLENGE   answers as a CA that has a PKCSReq wait until it is asked with
//                                               CertPoll, and prints the type of the message; the request
//                                               waits in the file "waiting" in the working directory
//   client URL RA ADDRESS CHALLENGE             asks a server, and prints the subject of what came
//
// Keys are PKCS #8, certificates and messages DER.
import java.math.BigInteger;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Arrays;
import java.util.Date;
import java.util.Hashtable;
import java.util.List;
import org.bouncycastle.asn1.*;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.cms.AttributeTable;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.*;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.X509v3CertificateBuilder;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;
import org.bouncycastle.pkcs.PKCS10CertificationRequestBuilder;

public class Scep {
	static final String ARC = "2.16.840.1.113733.1.9.";
	static final SecureRandom random = new SecureRandom();
	static final BouncyCastleProvider bc = new BouncyCastleProvider();

	public static void main(String[] a) throws Exception {
		if (a[0].equals("reply"))
			Files.write(Path.of(a[6]), reply(key(a[1]), cert(a[2]), key(a[3]), cert(a[4]), Files.readAllBytes(Path.of(a[5])), a[7]));
		else if (a[0].equals("later"))
			Files.write(Path.of(a[6]), later(key(a[1]), cert(a[2]), key(a[3]), cert(a[4]), Files.readAllBytes(Path.of(a[5])), a[7]));
		else
			client(a[1], cert(a[2]), a[3], a[4]);
	}

	static PrivateKey key(String file) throws Exception {
		byte[] der = Files.readAllBytes(Path.of(file));
		String kind = org.bouncycastle.asn1.pkcs.PrivateKeyInfo.getInstance(der).getPrivateKeyAlgorithm().getAlgorithm().equals(PKCSObjectIdentifiers.rsaEncryption) ? "RSA" : "EC";
		return KeyFactory.getInstance(kind, bc).generatePrivate(new PKCS8EncodedKeySpec(der));
	}

	static X509CertificateHolder cert(String file) throws Exception {
		return new X509CertificateHolder(Files.readAllBytes(Path.of(file)));
	}

	static ContentSigner signer(PrivateKey key) throws Exception {
		return new JcaContentSignerBuilder(key.getAlgorithm().equals("RSA") ? "SHA256withRSA" : "SHA256withECDSA").setProvider(bc).build(key);
	}

	// message signs content with the attributes, which are pairs of a number and a value.
	static byte[] message(byte[] content, PrivateKey key, X509CertificateHolder cert, Object... pairs) throws Exception {
		Hashtable<ASN1ObjectIdentifier, Attribute> table = new Hashtable<>();
		for (int i = 0; i < pairs.length; i += 2) {
			ASN1ObjectIdentifier id = new ASN1ObjectIdentifier(ARC + pairs[i]);
			ASN1Encodable value = pairs[i + 1] instanceof byte[] b ? new DEROctetString(b) : new DERPrintableString((String) pairs[i + 1]);
			table.put(id, new Attribute(id, new DERSet(value)));
		}
		CMSSignedDataGenerator g = new CMSSignedDataGenerator();
		g.addSignerInfoGenerator(new SignerInfoGeneratorBuilder(new JcaDigestCalculatorProviderBuilder().setProvider(bc).build())
			.setSignedAttributeGenerator(new DefaultSignedAttributeTableGenerator(new AttributeTable(table))).build(signer(key), cert));
		g.addCertificate(cert);
		return g.generate(new CMSProcessableByteArray(content), true).getEncoded();
	}

	static SignerInformation verified(CMSSignedData m, X509CertificateHolder by) throws Exception {
		SignerInformation s = m.getSignerInfos().iterator().next();
		if (!s.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider(bc).build(by)))
			throw new Exception("the signature is wrong");
		return s;
	}

	static ASN1Encodable attribute(SignerInformation s, int number) {
		return s.getSignedAttributes().get(new ASN1ObjectIdentifier(ARC + number)).getAttrValues().getObjectAt(0);
	}

	static byte[] seal(byte[] content, X509CertificateHolder to) throws Exception {
		CMSEnvelopedDataGenerator g = new CMSEnvelopedDataGenerator();
		g.addRecipientInfoGenerator(new JceKeyTransRecipientInfoGenerator(new org.bouncycastle.cert.jcajce.JcaX509CertificateConverter().getCertificate(to)).setProvider(bc));
		return g.generate(new CMSProcessableByteArray(content), new JceCMSContentEncryptorBuilder(CMSAlgorithm.AES256_CBC).setProvider(bc).build()).getEncoded();
	}

	static byte[] open(CMSSignedData m, PrivateKey key) throws Exception {
		CMSEnvelopedData e = new CMSEnvelopedData((byte[]) m.getSignedContent().getContent());
		return e.getRecipientInfos().iterator().next().getContent(new JceKeyTransEnvelopedRecipient(key).setProvider(bc));
	}

	static byte[] reply(PrivateKey caKey, X509CertificateHolder ca, PrivateKey raKey, X509CertificateHolder ra, byte[] in, String challenge) throws Exception {
		CMSSignedData m = new CMSSignedData(in);
		X509CertificateHolder client = client(m);
		return success(m, issue(caKey, ca, request(open(m, raKey)), challenge), client, raKey, ra);
	}

	static byte[] later(PrivateKey caKey, X509CertificateHolder ca, PrivateKey raKey, X509CertificateHolder ra, byte[] in, String challenge) throws Exception {
		CMSSignedData m = new CMSSignedData(in);
		X509CertificateHolder client = client(m);
		SignerInformation s = verified(m, client);
		String kind = text(s, 2);
		System.out.println(kind);
		byte[] content = open(m, raKey);
		Path waiting = Path.of("waiting");
		switch (kind) {
		case "19":
			Files.write(waiting, content);
			return message(new byte[0], raKey, ra, 2, "3", 3, "3", 5, random.generateSeed(16), 6, nonce(s), 7, text(s, 7));
		case "20": // RFC 8894 section 3.3.3: the name of the CA and the one that was asked for
			PKCS10CertificationRequest csr = request(Files.readAllBytes(waiting));
			if (!new DERSequence(new ASN1Encodable[] {ca.getSubject(), csr.getSubject()}).equals(ASN1Sequence.getInstance(content)))
				throw new Exception("asked for another certificate");
			return success(m, issue(caKey, ca, csr, challenge), client, raKey, ra);
		case "17": // section 3.3.1.2: signed by the certificate that is renewed
			if (!client.isSignatureValid(new JcaContentVerifierProviderBuilder().setProvider(bc).build(ca)))
				throw new Exception("renewed by a certificate of another CA");
			return success(m, issue(caKey, ca, request(content), null), client, raKey, ra);
		}
		throw new Exception("messageType " + kind);
	}

	static X509CertificateHolder client(CMSSignedData m) {
		return (X509CertificateHolder) m.getCertificates().getMatches(null).iterator().next();
	}

	static String text(SignerInformation s, int number) { return ASN1String.class.cast(attribute(s, number)).getString(); }

	static byte[] nonce(SignerInformation s) { return ASN1OctetString.getInstance(attribute(s, 5)).getOctets(); }

	static PKCS10CertificationRequest request(byte[] der) throws Exception {
		PKCS10CertificationRequest csr = new PKCS10CertificationRequest(der);
		if (!csr.isSignatureValid(new JcaContentVerifierProviderBuilder().setProvider(bc).build(csr.getSubjectPublicKeyInfo())))
			throw new Exception("the request is not signed by its key");
		return csr;
	}

	// issue certifies the key of a request, which must have the challenge password, or, where challenge is null, none.
	static X509CertificateHolder issue(PrivateKey caKey, X509CertificateHolder ca, PKCS10CertificationRequest csr, String challenge) throws Exception {
		var passwords = csr.getAttributes(PKCSObjectIdentifiers.pkcs_9_at_challengePassword);
		String got = passwords.length == 0 ? null : ASN1String.class.cast(passwords[0].getAttributeValues()[0]).getString();
		if (!java.util.Objects.equals(got, challenge))
			throw new Exception("challengePassword " + got);
		Date from = new Date(System.currentTimeMillis() - 60_000), until = new Date(System.currentTimeMillis() + 86_400_000);
		X509v3CertificateBuilder b = new X509v3CertificateBuilder(ca.getSubject(), new BigInteger(100, random), from, until, csr.getSubject(), csr.getSubjectPublicKeyInfo());
		Extensions asked = Extensions.getInstance(csr.getAttributes(PKCSObjectIdentifiers.pkcs_9_at_extensionRequest)[0].getAttributeValues()[0]);
		for (ASN1ObjectIdentifier id : asked.getExtensionOIDs())
			b.addExtension(asked.getExtension(id));
		return b.build(signer(caKey));
	}

	// success is the answer to a message, with a certificate.
	static byte[] success(CMSSignedData m, X509CertificateHolder issued, X509CertificateHolder client, PrivateKey raKey, X509CertificateHolder ra) throws Exception {
		SignerInformation s = verified(m, client);
		CMSSignedDataGenerator bundle = new CMSSignedDataGenerator();
		bundle.addCertificate(issued);
		byte[] certs = bundle.generate(new CMSAbsentContent()).getEncoded();
		return message(seal(certs, client), raKey, ra, 2, "3", 3, "0", 5, random.generateSeed(16), 6, nonce(s), 7, text(s, 7));
	}

	static void client(String url, X509CertificateHolder ra, String address, String challenge) throws Exception {
		KeyPairGenerator g = KeyPairGenerator.getInstance("RSA", bc);
		g.initialize(2048);
		var pair = g.generateKeyPair();
		var info = SubjectPublicKeyInfo.getInstance(pair.getPublic().getEncoded());
		X500Name name = new X500Name("CN=" + address);
		ExtensionsGenerator names = new ExtensionsGenerator();
		names.addExtension(Extension.subjectAlternativeName, false, new GeneralNames(new GeneralName(GeneralName.rfc822Name, address)));
		byte[] csr = new PKCS10CertificationRequestBuilder(name, info)
			.addAttribute(PKCSObjectIdentifiers.pkcs_9_at_challengePassword, new DERPrintableString(challenge))
			.addAttribute(PKCSObjectIdentifiers.pkcs_9_at_extensionRequest, names.generate()).build(signer(pair.getPrivate())).getEncoded();
		Date from = new Date(System.currentTimeMillis() - 60_000), until = new Date(System.currentTimeMillis() + 86_400_000);
		X509CertificateHolder own = new X509v3CertificateBuilder(name, new BigInteger(100, random), from, until, name, info).build(signer(pair.getPrivate()));
		byte[] nonce = random.generateSeed(16);
		byte[] m = message(seal(csr, ra), pair.getPrivate(), own, 2, "19", 5, nonce, 7, "transaction-1");
		var answer = HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(url + "?operation=PKIOperation"))
			.header("Content-Type", "application/x-pki-message").POST(HttpRequest.BodyPublishers.ofByteArray(m)).build(), HttpResponse.BodyHandlers.ofByteArray());
		CMSSignedData a = new CMSSignedData(answer.body());
		SignerInformation s = verified(a, ra);
		if (!Arrays.equals(nonce, ASN1OctetString.getInstance(attribute(s, 6)).getOctets()))
			throw new Exception("another nonce");
		for (int number : List.of(2, 3, 7))
			System.out.println(number + " " + ASN1String.class.cast(attribute(s, number)).getString());
		var got = (X509CertificateHolder) new CMSSignedData(open(a, pair.getPrivate())).getCertificates().getMatches(null).iterator().next();
		System.out.println(got.getSubject() + " " + got.getSubjectPublicKeyInfo().equals(info));
	}
}
