package dev.podidentity.agent.outbound;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.URI;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ProxyEnvironmentTest {

    private static final URI EKS_AUTH = URI.create("https://eks-auth.us-west-2.api.aws");
    private static final String PROXY = "http://proxy.internal:3128";

    @Test
    void takesNoProxyIfNoneIsNamed() {
        assertThat(proxy(Map.of())).isEmpty();
        assertThat(proxy(Map.of("HTTPS_PROXY", ""))).isEmpty();
        assertThat(proxy(Map.of("HTTPS_PROXY", " "))).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "http://proxy.internal:3128, http://proxy.internal:3128",
        "http://proxy.internal:3128/, http://proxy.internal:3128",
        "' http://proxy.internal:3128 ', http://proxy.internal:3128",
        "HTTP://proxy.internal:3128, http://proxy.internal:3128",
        "https://proxy.internal:3129, https://proxy.internal:3129",
        "http://proxy.internal, http://proxy.internal:80",
        "https://proxy.internal, https://proxy.internal:443",
        "proxy.internal:3128, http://proxy.internal:3128",
        "proxy.internal, http://proxy.internal:80",
        "10.0.0.1:3128, http://10.0.0.1:3128",
        "http://[fd00::1]:3128, http://[fd00::1]:3128",
        "http://user:word@proxy.internal:3128, http://user:word@proxy.internal:3128",
        "user:word@proxy.internal:3128, http://user:word@proxy.internal:3128"
    })
    void readsTheUrlOfAProxy(String value, String expected) {
        assertThat(proxy(Map.of("HTTPS_PROXY", value))).contains(URI.create(expected));
    }

    @Test
    void readsAPasswordWithOddCharacters() {
        assertThat(proxy(Map.of("HTTPS_PROXY", "http://user:p%40ss%2Fw@proxy.internal:3128")))
                .hasValueSatisfying(url -> assertThat(url.getUserInfo()).isEqualTo("user:p@ss/w"));
    }

    @Test
    void readsTheVariablesInLowerCaseToo() {
        assertThat(proxy(Map.of("https_proxy", PROXY))).contains(URI.create(PROXY));
        assertThat(proxy(Map.of("https_proxy", PROXY, "no_proxy", "api.aws"))).isEmpty();
        assertThat(proxy(Map.of("https_proxy", "http://other:1", "HTTPS_PROXY", PROXY))).contains(URI.create(PROXY));
    }

    @Test
    void goesByTheSchemeOfTheEndpoint() {
        Map<String, String> both = Map.of("HTTPS_PROXY", PROXY, "HTTP_PROXY", "http://plain.internal:3128");

        assertThat(proxy(both)).contains(URI.create(PROXY));
        assertThat(proxy(both, "HTTPS://eks-auth.internal")).contains(URI.create(PROXY));
        assertThat(proxy(both, "http://eks-auth.internal")).contains(URI.create("http://plain.internal:3128"));
        assertThat(proxy(Map.of("HTTP_PROXY", PROXY))).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "eks-auth.us-west-2.api.aws",
        "EKS-Auth.us-west-2.API.aws",
        "eks-auth.us-west-2.api.aws:443",
        "api.aws",
        ".api.aws",
        "*.api.aws",
        "aws",
        "*",
        "localhost, api.aws ,10.0.0.0/8",
        ",,api.aws,"})
    void goesRoundTheProxyWhereNoProxyNamesTheEndpoint(String noProxy) {
        assertThat(proxy(Map.of("HTTPS_PROXY", PROXY, "NO_PROXY", noProxy))).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "", " ", ",", ".", "pi.aws", "us-west-2", "eks-auth", "eks-auth.us-east-1.api.aws",
        "x.eks-auth.us-west-2.api.aws", "10.0.0.0/8", "169.254.169.254", "api.aws.example"})
    void takesTheProxyWhereNoProxyNamesSomethingElse(String noProxy) {
        assertThat(proxy(Map.of("HTTPS_PROXY", PROXY, "NO_PROXY", noProxy))).contains(URI.create(PROXY));
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "http://localhost:8080", "http://LOCALHOST:8080", "http://127.0.0.1:8080", "http://127.1.2.3", "http://[::1]:8080"})
    void neverTakesAProxyToThisNode(String endpoint) {
        assertThat(proxy(Map.of("HTTP_PROXY", PROXY), endpoint)).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "socks5://proxy.internal:1080", "ftp://proxy.internal", "http://", "http:///", "://", "http://pro xy:3128",
        "http://proxy.internal:port", "http://user:s3cret@", "http://user:s3cret@pro xy:3128", "ldap://u:s3cret@proxy:1"})
    void refusesWhatIsNoProxyWithoutShowingItsPassword(String value) {
        assertThatThrownBy(() -> proxy(Map.of("HTTPS_PROXY", value)))
                .isExactlyInstanceOf(IllegalArgumentException.class)
                .hasMessage("HTTPS_PROXY must be the URL of a proxy, such as http://proxy.internal:3128")
                .hasNoCause();
    }

    private static Optional<URI> proxy(Map<String, String> environment) {
        return new ProxyEnvironment(environment).proxyFor(EKS_AUTH);
    }

    private static Optional<URI> proxy(Map<String, String> environment, String endpoint) {
        return new ProxyEnvironment(environment).proxyFor(URI.create(endpoint));
    }
}
