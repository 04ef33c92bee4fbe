package dev.podidentity.agent.realcluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.vertx.core.json.JsonObject;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;

/** Provides the CustomResourceDefinitions of the Prometheus Operator, from its Go module. */
final class PrometheusOperator {

    private static final Path MODULE = Path.of("src", "native-test", "prometheus-operator");
    private static final String NAME = "github.com/prometheus-operator/prometheus-operator";
    private static final Duration PATIENCE = Duration.ofMinutes(1);

    private PrometheusOperator() {}

    /** Defines PodMonitor and PrometheusRule on an API server. Idempotent. */
    static void define(ApiServerProcess api) {
        Path definitions = directory().resolve("example").resolve("prometheus-operator-crd");
        for (String kind : new String[] {"podmonitors", "prometheusrules"}) {
            // The definitions are too large for the annotation that a client-side apply adds.
            api.kubectl("apply", "--server-side", "-f",
                    definitions.resolve("monitoring.coreos.com_" + kind + ".yaml").toString());
            api.kubectl("wait", "--for=condition=established", "--timeout=" + PATIENCE.toSeconds() + "s",
                    "crd/" + kind + ".monitoring.coreos.com");
        }
    }

    private static Path directory() {
        try {
            Process go = new ProcessBuilder("go", "mod", "download", "-json", NAME).directory(MODULE.toFile()).start();
            String output = new String(go.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(go.waitFor()).as(output).isZero();
            return Path.of(new JsonObject(output).getString("Dir"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }
}
