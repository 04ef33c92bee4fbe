package dev.podidentity.kubernetes;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;

/** Runs {@code kubectl kustomize}, which renders what {@code kubectl apply -k} sends. */
public final class Kustomize {

    private Kustomize() {}

    /** Returns the rendered documents. Skips the test if kubectl is not installed. */
    public static List<Map<String, Object>> render(Path directory) {
        Process kubectl = start(directory);
        try {
            String output = new String(kubectl.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            assertThat(kubectl.waitFor()).as(output).isZero();
            LoaderOptions options = new LoaderOptions();
            options.setAllowDuplicateKeys(false);
            List<Map<String, Object>> documents = new ArrayList<>();
            for (Object document : new Yaml(new SafeConstructor(options)).loadAll(output)) {
                documents.add(mapping(document));
            }
            return documents;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> mapping(Object node) {
        return (Map<String, Object>) node;
    }

    private static Process start(Path directory) {
        try {
            return new ProcessBuilder("kubectl", "kustomize", directory.toString()).redirectErrorStream(true).start();
        } catch (IOException e) {
            assumeThat(e).as("kubectl is not installed").isNull();
            throw new UncheckedIOException(e);
        }
    }
}
