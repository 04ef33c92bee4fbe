package dev.podidentity.agent.eksauth;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.Collection;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;

/** The certificate authorities of {@code AWS_CA_BUNDLE}, which take the place of the platform's, as in other SDKs. */
final class TrustRoots {

    private TrustRoots() {}

    /**
     * Reads a PEM file.
     *
     * @throws IllegalArgumentException if it cannot be read or holds no certificate, naming the file
     */
    static TrustManager[] of(Path bundle) {
        if (!Files.isReadable(bundle) || Files.isDirectory(bundle)) {
            throw unusable(bundle, "it cannot be read", null);
        }
        // The factory reads byte by byte, and a bundle has 200 KB.
        try (InputStream pem = new BufferedInputStream(Files.newInputStream(bundle))) {
            Collection<? extends Certificate> certificates =
                    CertificateFactory.getInstance("X.509").generateCertificates(pem);
            if (certificates.isEmpty()) {
                throw unusable(bundle, "it holds no certificate", null);
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
        } catch (IOException e) {
            throw unusable(bundle, "it cannot be read", e);
        } catch (GeneralSecurityException e) {
            throw unusable(bundle, "it is not in PEM format", e);
        }
    }

    private static IllegalArgumentException unusable(Path bundle, String why, Throwable cause) {
        return new IllegalArgumentException(
                "AWS_CA_BUNDLE names " + bundle + ", but " + why + ": give a readable file of PEM certificates", cause);
    }
}
