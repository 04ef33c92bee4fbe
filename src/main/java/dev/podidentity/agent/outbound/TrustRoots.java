package dev.podidentity.agent.outbound;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.Collection;
import java.util.Map;
import java.util.Optional;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;

/** Certificate authorities that replace the platform's. */
public final class TrustRoots {

    private TrustRoots() {}

    /**
     * Reads the authorities from the file named by {@code AWS_CA_BUNDLE}, as other SDKs do, if it is set.
     *
     * @throws IllegalArgumentException if the file cannot be read or contains no certificate; the message names it
     */
    public static Optional<TrustManager[]> ofAwsCaBundle(Map<String, String> environment) {
        return Optional.ofNullable(environment.get("AWS_CA_BUNDLE"))
                .filter(path -> !path.isBlank())
                .map(path -> of(Path.of(path)));
    }

    private static TrustManager[] of(Path bundle) {
        String meaning = "AWS_CA_BUNDLE names " + bundle;
        if (!Files.isReadable(bundle) || Files.isDirectory(bundle)) {
            throw unusable(meaning, "it cannot be read", null);
        }
        try {
            return of(Files.readAllBytes(bundle), meaning);
        } catch (IOException e) {
            throw unusable(meaning, "it cannot be read", e);
        }
    }

    /**
     * Reads the authorities from a PEM file.
     *
     * @param pem the content of the file
     * @param meaning the start of a sentence that says which file it is
     * @throws IllegalArgumentException if it contains no certificate; the message contains that sentence
     */
    public static TrustManager[] of(byte[] pem, String meaning) {
        try {
            Collection<? extends Certificate> certificates =
                    CertificateFactory.getInstance("X.509").generateCertificates(new ByteArrayInputStream(pem));
            if (certificates.isEmpty()) {
                throw unusable(meaning, "it contains no certificate", null);
            }
            KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
            store.load(null, null);
            int number = 0;
            for (Certificate certificate : certificates) {
                store.setCertificateEntry("ca-" + number++, certificate);
            }
            TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            factory.init(store);
            return factory.getTrustManagers();
        } catch (GeneralSecurityException | IOException e) {
            throw unusable(meaning, "it is not in PEM format", e);
        }
    }

    private static IllegalArgumentException unusable(String meaning, String why, Throwable cause) {
        return new IllegalArgumentException(
                meaning + ", but " + why + ": provide a readable file of PEM certificates", cause);
    }
}
