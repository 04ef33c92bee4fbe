package dev.podidentity.agent.apiserver;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.URI;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ApiServerAddressTest {

    private static final Path ACCOUNT = Path.of("/var/run/secrets/kubernetes.io/serviceaccount");

    @ParameterizedTest
    @CsvSource({
        "10.100.0.1, 443, 443, https://10.100.0.1:443",
        "10.100.0.1, 6443, 443, https://10.100.0.1:6443",
        "10.100.0.1, , 8443, https://10.100.0.1:8443",
        "10.100.0.1, , , https://10.100.0.1:443",
        "fd00:10:100::1, 443, , https://[fd00:10:100::1]:443",
        "[fd00:10:100::1], 443, , https://[fd00:10:100::1]:443",
        "kubernetes.default.svc, 443, , https://kubernetes.default.svc:443"})
    void readsWhatKubernetesTellsEveryPod(String host, String securePort, String port, URI expected) {
        ApiServerAddress address = ApiServerAddress.of(Optional.empty(), ACCOUNT, environment(host, securePort, port));

        assertThat(address).isEqualTo(new ApiServerAddress(expected, ACCOUNT));
    }

    @Test
    void prefersWhatIsConfigured() {
        URI configured = URI.create("http://127.0.0.1:8001");

        assertThat(ApiServerAddress.of(Optional.of(configured), ACCOUNT, environment("10.100.0.1", "443", "443")).url())
                .isEqualTo(configured);
    }

    @Test
    void saysWhatToDoOutsideACluster() {
        assertThatThrownBy(() -> ApiServerAddress.of(Optional.empty(), ACCOUNT, Map.of("KUBERNETES_SERVICE_HOST", " ")))
                .isExactlyInstanceOf(IllegalArgumentException.class)
                .hasMessage("The URL of the API server is unknown, because KUBERNETES_SERVICE_HOST is not set: set --api-server, or run the agent"
                        + " in a pod");
    }

    @ParameterizedTest
    @CsvSource({"10.100.0.1, tcp://10.0.0.1:443", "10.100.0.1, 65536", "10.100.0.1, 0", "10 100, 443", "a/b, 443", "fd00::zz, 443"})
    void refusesWhatMakesNoUrl(String host, String port) {
        assertThatThrownBy(() -> ApiServerAddress.of(Optional.empty(), ACCOUNT, environment(host, port, null)))
                .isExactlyInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT do not form a valid URL: ");
    }

    private static Map<String, String> environment(String host, String securePort, String port) {
        Map<String, String> environment = new HashMap<>();
        environment.put("KUBERNETES_SERVICE_HOST", host);
        environment.put("KUBERNETES_SERVICE_PORT_HTTPS", securePort);
        environment.put("KUBERNETES_SERVICE_PORT", port);
        return environment;
    }
}
