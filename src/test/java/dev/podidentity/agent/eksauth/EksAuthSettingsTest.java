package dev.podidentity.agent.eksauth;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class EksAuthSettingsTest {

    private static final URI FLAG = URI.create("https://flag.internal");

    @Test
    void usesTheRegionsOwnEndpointByDefault() {
        EksAuthSettings settings = settings(Optional.empty(), Map.of());

        assertThat(settings.clusterName()).isEqualTo("prod");
        assertThat(settings.endpoint()).isEmpty();
        assertThat(settings.fips()).isFalse();
        assertThat(settings.trust()).isEmpty();
        assertThat(settings.attemptTimeout()).isEqualTo(Duration.ofSeconds(5));
        assertThat(settings.maxConnections()).isEqualTo(100);
    }

    @Test
    void takesTheEndpointOfTheServiceBeforeThatOfAllServices() {
        Map<String, String> environment = new HashMap<>();
        environment.put("AWS_ENDPOINT_URL", "https://all.internal");
        assertThat(settings(Optional.empty(), environment).endpoint()).contains(URI.create("https://all.internal"));

        environment.put("AWS_ENDPOINT_URL_EKS_AUTH", "https://eks-auth.internal");
        assertThat(settings(Optional.empty(), environment).endpoint()).contains(URI.create("https://eks-auth.internal"));

        assertThat(settings(Optional.of(FLAG), environment).endpoint()).contains(FLAG);
    }

    @ParameterizedTest
    @ValueSource(strings = {"localhost:8080", "eks-auth.internal", "ftp://x", "not a url"})
    void namesAnEndpointVariableThatHoldsNoUrl(String url) {
        assertThatThrownBy(() -> settings(Optional.empty(), Map.of("AWS_ENDPOINT_URL", url, "HTTP_PROXY", "http://p:1")))
                .isExactlyInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("AWS_ENDPOINT_URL must be an http or https URL")
                .hasMessageContaining(url);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " "})
    void takesAnEmptyVariableForNone(String nothing) {
        EksAuthSettings settings = settings(Optional.empty(), Map.of(
                "AWS_ENDPOINT_URL_EKS_AUTH", nothing, "AWS_ENDPOINT_URL", "https://all.internal", "AWS_CA_BUNDLE", nothing));

        assertThat(settings.endpoint()).contains(URI.create("https://all.internal"));
        assertThat(settings.trust()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"true, true", "TRUE, true", "false, false", "'', false", "1, false"})
    void readsFipsAsTheSdksDo(String value, boolean fips) {
        assertThat(settings(Optional.empty(), Map.of("AWS_USE_FIPS_ENDPOINT", value)).fips()).isEqualTo(fips);
    }

    @Test
    void refusesFipsTogetherWithAnEndpointOfWhateverOrigin() {
        Map<String, String> fips = Map.of("AWS_USE_FIPS_ENDPOINT", "true");
        Map<String, String> both =
                Map.of("AWS_USE_FIPS_ENDPOINT", "true", "AWS_ENDPOINT_URL_EKS_AUTH", "https://eks-auth.internal");

        assertThatThrownBy(() -> settings(Optional.of(FLAG), fips))
                .isExactlyInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("--endpoint")
                .hasMessageContaining("AWS_USE_FIPS_ENDPOINT");
        assertThatThrownBy(() -> settings(Optional.empty(), both)).isExactlyInstanceOf(IllegalArgumentException.class);
    }

    @ParameterizedTest
    @CsvSource({", HTTPS_PROXY", "https://flag.internal, HTTPS_PROXY", "http://flag.internal, HTTP_PROXY"})
    void refusesAProxyThatIsNoneAtStart(URI endpoint, String variable) {
        assertThatThrownBy(() -> settings(Optional.ofNullable(endpoint), Map.of(variable, "socks5://proxy:1080")))
                .isExactlyInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith(variable + " must be");
    }

    @Test
    void refusesATrustFileThatIsNoneAtStart(@TempDir Path directory) {
        String missing = directory.resolve("missing.pem").toString();

        assertThatThrownBy(() -> settings(Optional.empty(), Map.of("AWS_CA_BUNDLE", missing)))
                .isExactlyInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(missing);
    }

    private static EksAuthSettings settings(Optional<URI> endpoint, Map<String, String> environment) {
        return EksAuthSettings.of("prod", endpoint, Duration.ofSeconds(5), 100, environment);
    }
}
