package dev.podidentity.kubernetes;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.config.AgentConfig;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.Container;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.PodSpec;
import io.fabric8.kubernetes.api.model.apps.DaemonSet;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Holds what {@code kubectl apply -k} sends for a directory.
 *
 * @param documents the documents as they are sent
 */
record Manifests(List<Map<String, Object>> documents) {

    static Manifests of(Path directory) {
        return new Manifests(Kustomize.render(directory));
    }

    List<HasMetadata> objects() {
        return documents.stream().<HasMetadata>map(StrictModel::read).toList();
    }

    <T extends HasMetadata> List<T> all(Class<T> kind) {
        return objects().stream().filter(kind::isInstance).map(kind::cast).toList();
    }

    <T extends HasMetadata> T only(Class<T> kind) {
        List<T> found = all(kind);
        assertThat(found).hasSize(1);
        return found.get(0);
    }

    DaemonSet daemonSet() {
        return only(DaemonSet.class);
    }

    PodSpec pod() {
        return daemonSet().getSpec().getTemplate().getSpec();
    }

    Container agent() {
        assertThat(pod().getContainers()).hasSize(1);
        return pod().getContainers().get(0);
    }

    Container initialize() {
        assertThat(pod().getInitContainers()).hasSize(1);
        return pod().getInitContainers().get(0);
    }

    /** Returns the environment variables that the agent's container takes from its ConfigMap. */
    Map<String, String> environment() {
        ConfigMap map = only(ConfigMap.class);
        assertThat(agent().getEnvFrom()).singleElement().satisfies(source ->
                assertThat(source.getConfigMapRef().getName()).isEqualTo(map.getMetadata().getName()));
        return map.getData();
    }

    /** Returns the names of all settings of the agent. */
    static Stream<String> properties() {
        return Arrays.stream(AgentConfig.class.getDeclaredMethods())
                .map(method -> method.getName().replaceAll("(?=[A-Z])", "-").toLowerCase(Locale.ROOT));
    }

    /** Returns the environment variables of all settings. */
    static List<String> variables() {
        return properties().map(name -> "AGENT_" + name.replace('-', '_').toUpperCase(Locale.ROOT)).toList();
    }
}
