package dev.podidentity.agent.outbound;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TrustRootsTest {

    @TempDir
    private Path directory;

    @Test
    void trustsTheCertificatesOfTheFileAndNoOther() throws Exception {
        // Given
        List<X509Certificate> platform = platformCertificates();
        X509Certificate trusted = platform.get(0);

        // When
        X509TrustManager roots = (X509TrustManager) roots(file(pem(trusted)))[0];

        // Then
        assertThat(roots.getAcceptedIssuers()).containsExactly(trusted);
        assertThatThrownBy(() -> roots.checkServerTrusted(new X509Certificate[] {platform.get(1)}, "RSA"))
                .isInstanceOf(CertificateException.class);
    }

    @Test
    void readsABundleOfMany() throws Exception {
        List<X509Certificate> platform = platformCertificates().subList(0, 3);
        StringBuilder bundle = new StringBuilder("# Roots of an isolated region\n");
        for (X509Certificate certificate : platform) {
            bundle.append("\nSubject: ").append(certificate.getSubjectX500Principal()).append('\n').append(pem(certificate));
        }

        TrustManager[] roots = roots(file(bundle.toString()));

        assertThat(((X509TrustManager) roots[0]).getAcceptedIssuers()).containsExactlyInAnyOrderElementsOf(platform);
    }

    @Test
    void leavesThePlatformsWhereNoBundleIsNamed() {
        assertThat(TrustRoots.ofAwsCaBundle(Map.of())).isEmpty();
        assertThat(TrustRoots.ofAwsCaBundle(Map.of("AWS_CA_BUNDLE", " "))).isEmpty();
    }

    @Test
    void namesAMissingFile() {
        Path missing = directory.resolve("missing.pem");

        assertUnusable(missing, "it cannot be read");
    }

    @Test
    void refusesADirectory() {
        assertUnusable(directory, "it ");
    }

    @Test
    void refusesAnEmptyFile() throws IOException {
        assertUnusable(file(""), "it contains no certificate");
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "\n\n",
        "this is no certificate\n",
        "-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\naGVsbG8=\n"})
    void refusesAFileThatIsNotPem(String content) throws IOException {
        assertUnusable(file(content), "it is not in PEM format");
    }

    private static void assertUnusable(Path path, String why) {
        assertThatThrownBy(() -> roots(path))
                .isExactlyInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("AWS_CA_BUNDLE names " + path + ", but " + why)
                .hasMessageEndingWith(": provide a readable file of PEM certificates");
    }

    private static TrustManager[] roots(Path bundle) {
        return TrustRoots.ofAwsCaBundle(Map.of("AWS_CA_BUNDLE", bundle.toString())).orElseThrow();
    }

    private Path file(String content) throws IOException {
        return Files.writeString(directory.resolve("bundle.pem"), content);
    }

    private static String pem(Certificate certificate) throws CertificateException {
        String base64 = Base64.getMimeEncoder(64, "\n".getBytes(StandardCharsets.US_ASCII))
                .encodeToString(certificate.getEncoded());
        return "-----BEGIN CERTIFICATE-----\n" + base64 + "\n-----END CERTIFICATE-----\n";
    }

    /** Returns the platform's trusted certificates, which are available wherever the tests run. */
    private static List<X509Certificate> platformCertificates() throws Exception {
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init((KeyStore) null);
        List<X509Certificate> certificates =
                new ArrayList<>(Arrays.asList(((X509TrustManager) factory.getTrustManagers()[0]).getAcceptedIssuers()));
        assertThat(certificates).hasSizeGreaterThan(3);
        return certificates;
    }
}
