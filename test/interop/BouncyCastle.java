// BouncyCastle makes and reads CMS with Bouncy Castle for the interoperability
// tests. It reads one command a line from standard input, words separated by
// tabs, and answers each with a line: "ok", or "error" and what was wrong.
//
//   sign    KEY ALGORITHM IN OUT       SHA256withRSA, SHA256withRSAandMGF1, Ed25519, ...
//   verify  ANCHORS DER CONTENT OUT    CONTENT "-" when it is in the object
//   encrypt CERT CIPHER KEYTRANSPORT IN OUT
//   decrypt KEY DER OUT
//
// KEY is a PEM file with a PKCS #8 key and certificates; CERT and ANCHORS are PEM.
import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Key;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertStore;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.security.interfaces.ECPublicKey;
import java.security.spec.MGF1ParameterSpec;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import javax.crypto.spec.SecretKeySpec;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.asn1.cms.CMSObjectIdentifiers;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.asn1.cms.GCMParameters;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cms.CMSAlgorithm;
import org.bouncycastle.cms.CMSAuthEnvelopedData;
import org.bouncycastle.cms.CMSAuthEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSException;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.KeyAgreeRecipientInformation;
import org.bouncycastle.cms.Recipient;
import org.bouncycastle.cms.RecipientInfoGenerator;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.RecipientOperator;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.cms.jcajce.JceCMSContentEncryptorBuilder;
import org.bouncycastle.cms.jcajce.JceKeyAgreeEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyAgreeRecipient;
import org.bouncycastle.cms.jcajce.JceKeyAgreeRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.JceKeyTransAuthEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientInfoGenerator;
import org.bouncycastle.jcajce.io.CipherInputStream;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;
import org.bouncycastle.operator.InputAEADDecryptor;
import org.bouncycastle.operator.OutputAEADEncryptor;
import org.bouncycastle.operator.jcajce.JcaAlgorithmParametersConverter;
import org.bouncycastle.util.Selector;
import org.bouncycastle.util.Store;

public class BouncyCastle {
    private static final Map<String, ASN1ObjectIdentifier> CIPHERS = new HashMap<>();
    private static final Set<String> AUTHENTICATED = Set.of("aes-128-gcm", "aes-256-gcm");

    static {
        CIPHERS.put("aes-128-cbc", CMSAlgorithm.AES128_CBC);
        CIPHERS.put("aes-192-cbc", CMSAlgorithm.AES192_CBC);
        CIPHERS.put("aes-256-cbc", CMSAlgorithm.AES256_CBC);
        CIPHERS.put("aes-128-gcm", CMSAlgorithm.AES128_GCM);
        CIPHERS.put("aes-256-gcm", CMSAlgorithm.AES256_GCM);
    }

    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null; ) {
            try {
                run(line.split("\t"));
                System.out.println("ok");
            } catch (Throwable e) {
                System.out.println("error " + String.valueOf(e).replaceAll("\\s+", " "));
            }
            System.out.flush();
        }
    }

    private static void run(String[] a) throws Exception {
        switch (a[0]) {
            case "version":
                throw new Exception(new BouncyCastleProvider().getVersionStr());
            case "sign":
                write(a[4], sign(new Identity(a[1]), a[2], read(a[3])));
                return;
            case "verify":
                write(a[4], verify(new Identity(a[1]).certificates, read(a[2]), a[3]));
                return;
            case "encrypt":
                write(a[5], encrypt(new Identity(a[1]).certificates.get(0), a[2], a[3], read(a[4])));
                return;
            case "decrypt":
                write(a[3], decrypt(new Identity(a[1]), read(a[2])));
                return;
            default:
                throw new Exception("unknown command " + a[0]);
        }
    }

    private static byte[] read(String name) throws Exception {
        return Files.readAllBytes(Path.of(name));
    }

    private static void write(String name, byte[] content) throws Exception {
        Files.write(Path.of(name), content);
    }

    /** Identity is what a PEM file holds: a key, or none, and certificates. */
    private static class Identity {
        PrivateKey key;
        final List<X509Certificate> certificates = new ArrayList<>();

        Identity(String file) throws Exception {
            try (PEMParser parser = new PEMParser(Files.newBufferedReader(Path.of(file)))) {
                for (Object o; (o = parser.readObject()) != null; ) {
                    if (o instanceof PrivateKeyInfo) {
                        key = new JcaPEMKeyConverter().setProvider("BC").getPrivateKey((PrivateKeyInfo) o);
                    } else if (o instanceof X509CertificateHolder) {
                        certificates.add(new JcaX509CertificateConverter().setProvider("BC")
                            .getCertificate((X509CertificateHolder) o));
                    }
                }
            }
        }
    }

    private static byte[] sign(Identity id, String algorithm, byte[] content) throws Exception {
        CMSSignedDataGenerator g = new CMSSignedDataGenerator();
        g.addSignerInfoGenerator(new JcaSimpleSignerInfoGeneratorBuilder().setProvider("BC")
            .build(algorithm, id.key, id.certificates.get(0)));
        g.addCertificates(new JcaCertStore(id.certificates));
        return g.generate(new CMSProcessableByteArray(content), true).getEncoded();
    }

    private static byte[] verify(List<X509Certificate> anchors, byte[] der, String content) throws Exception {
        CMSSignedData signed = content.equals("-")
            ? new CMSSignedData(der)
            : new CMSSignedData(new CMSProcessableByteArray(read(content)), der);
        Collection<SignerInformation> signers = signed.getSignerInfos().getSigners();
        if (signers.isEmpty()) {
            throw new Exception("no signers");
        }
        for (SignerInformation signer : signers) {
            X509CertificateHolder holder =
                (X509CertificateHolder) matches(signed.getCertificates(), signer.getSID()).iterator().next();
            X509Certificate cert = new JcaX509CertificateConverter().setProvider("BC").getCertificate(holder);
            if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(cert))) {
                throw new Exception("signature does not verify");
            }
            checkPath(cert, signed, anchors);
        }
        return (byte[]) signed.getSignedContent().getContent();
    }

    @SuppressWarnings({"unchecked", "rawtypes"}) // the library's own signatures are raw here
    private static Collection<?> matches(Store store, Selector selector) {
        return store.getMatches(selector);
    }

    private static void checkPath(X509Certificate cert, CMSSignedData signed, List<X509Certificate> anchors)
            throws Exception {
        List<X509Certificate> all = new ArrayList<>();
        for (Object o : matches(signed.getCertificates(), null)) {
            all.add(new JcaX509CertificateConverter().setProvider("BC").getCertificate((X509CertificateHolder) o));
        }
        Set<TrustAnchor> trusted = new HashSet<>();
        for (X509Certificate anchor : anchors) {
            trusted.add(new TrustAnchor(anchor, null));
        }
        X509CertSelector target = new X509CertSelector();
        target.setCertificate(cert);
        PKIXBuilderParameters parameters = new PKIXBuilderParameters(trusted, target);
        parameters.setRevocationEnabled(false);
        parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(all), "BC"));
        CertPathBuilder.getInstance("PKIX", "BC").build(parameters);
    }

    private static byte[] encrypt(X509Certificate to, String cipher, String transport, byte[] content)
            throws Exception {
        ASN1ObjectIdentifier oid = CIPHERS.get(cipher);
        if (oid == null) {
            throw new Exception("no cipher " + cipher);
        }
        RecipientInfoGenerator recipient = recipient(to, cipher, transport);
        JceCMSContentEncryptorBuilder builder = new JceCMSContentEncryptorBuilder(oid).setProvider("BC");
        CMSProcessableByteArray data = new CMSProcessableByteArray(content);
        if (AUTHENTICATED.contains(cipher)) {
            CMSAuthEnvelopedDataGenerator g = new CMSAuthEnvelopedDataGenerator();
            g.addRecipientInfoGenerator(recipient);
            return g.generate(data, (OutputAEADEncryptor) builder.build()).getEncoded();
        }
        CMSEnvelopedDataGenerator g = new CMSEnvelopedDataGenerator();
        g.addRecipientInfoGenerator(recipient);
        return g.generate(data, builder.build()).getEncoded();
    }

    private static RecipientInfoGenerator recipient(X509Certificate to, String cipher, String transport)
            throws Exception {
        if (to.getPublicKey() instanceof ECPublicKey) {
            KeyPairGenerator g = KeyPairGenerator.getInstance("EC", "BC");
            g.initialize(((ECPublicKey) to.getPublicKey()).getParams());
            KeyPair ephemeral = g.generateKeyPair();
            ASN1ObjectIdentifier wrap =
                cipher.startsWith("aes-128") ? CMSAlgorithm.AES128_WRAP : CMSAlgorithm.AES256_WRAP;
            return new JceKeyAgreeRecipientInfoGenerator(
                CMSAlgorithm.ECDH_SHA256KDF, ephemeral.getPrivate(), ephemeral.getPublic(), wrap)
                .addRecipient(to).setProvider("BC");
        }
        if (!transport.equals("oaep")) {
            return new JceKeyTransRecipientInfoGenerator(to).setProvider("BC");
        }
        OAEPParameterSpec oaep =
            new OAEPParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, PSource.PSpecified.DEFAULT);
        return new JceKeyTransRecipientInfoGenerator(to, new JcaAlgorithmParametersConverter()
            .getAlgorithmIdentifier(PKCSObjectIdentifiers.id_RSAES_OAEP, oaep)).setProvider("BC");
    }

    private static byte[] decrypt(Identity id, byte[] der) throws Exception {
        ContentInfo info = ContentInfo.getInstance(der);
        boolean authenticated = info.getContentType().equals(CMSObjectIdentifiers.authEnvelopedData);
        Collection<RecipientInformation> recipients = authenticated
            ? new CMSAuthEnvelopedData(info).getRecipientInfos().getRecipients()
            : new CMSEnvelopedData(info).getRecipientInfos().getRecipients();
        for (RecipientInformation r : recipients) {
            if (r.getRID().match(new X509CertificateHolder(id.certificates.get(0).getEncoded()))) {
                return r.getContent(recipient(id.key, r, authenticated));
            }
        }
        throw new Exception("no recipient info is for this identity");
    }

    private static Recipient recipient(PrivateKey key, RecipientInformation r, boolean authenticated) {
        if (r instanceof KeyAgreeRecipientInformation) {
            return authenticated
                ? new KeyAgreeAuthEnvelopedRecipient(key).setProvider("BC")
                : new JceKeyAgreeEnvelopedRecipient(key).setProvider("BC");
        }
        return authenticated
            ? new JceKeyTransAuthEnvelopedRecipient(key).setProvider("BC")
            : new JceKeyTransEnvelopedRecipient(key).setProvider("BC");
    }

    /** What this release lacks: AuthEnvelopedData with key agreement, for AES-GCM. */
    private static class KeyAgreeAuthEnvelopedRecipient extends JceKeyAgreeRecipient {
        KeyAgreeAuthEnvelopedRecipient(PrivateKey key) {
            super(key);
        }

        @Override
        public RecipientOperator getRecipientOperator(AlgorithmIdentifier wrap, AlgorithmIdentifier content,
                SubjectPublicKeyInfo sender, ASN1OctetString ukm, byte[] encryptedKey) throws CMSException {
            Key key = extractSecretKey(wrap, content, sender, ukm, encryptedKey);
            try {
                GCMParameters gcm = GCMParameters.getInstance(content.getParameters());
                Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding", "BC");
                cipher.init(Cipher.DECRYPT_MODE, new SecretKeySpec(key.getEncoded(), "AES"),
                    new GCMParameterSpec(gcm.getIcvLen() * 8, gcm.getNonce()));
                return new RecipientOperator(new Decryptor(content, cipher));
            } catch (Exception e) {
                throw new CMSException("content cipher", e);
            }
        }
    }

    private record Decryptor(AlgorithmIdentifier algorithm, Cipher cipher) implements InputAEADDecryptor {
        @Override
        public AlgorithmIdentifier getAlgorithmIdentifier() {
            return algorithm;
        }

        @Override
        public InputStream getInputStream(InputStream in) {
            return new CipherInputStream(in, cipher);
        }

        @Override
        public OutputStream getAADStream() {
            return new OutputStream() {
                @Override
                public void write(int b) {
                    cipher.updateAAD(new byte[] {(byte) b});
                }
            };
        }

        @Override
        public byte[] getMAC() {
            return null;
        }
    }
}
