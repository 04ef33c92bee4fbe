package dev.podidentity.agent.doctor;

import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * A pod as the API server returns it, with accessors for the checks.
 *
 * @param object the complete object
 */
record Pod(Tree object) {

    String namespace() {
        return object.at("metadata", "namespace").text().orElse("");
    }

    String name() {
        return object.at("metadata", "name").text().orElse("");
    }

    Map<String, String> labels() {
        return object.at("metadata", "labels").texts();
    }

    Optional<Instant> created() {
        return instant(object.at("metadata", "creationTimestamp"));
    }

    static Optional<Instant> instant(Tree text) {
        try {
            return text.text().map(Instant::parse);
        } catch (DateTimeParseException e) {
            return Optional.empty();
        }
    }

    String serviceAccount() {
        return object.at("spec", "serviceAccountName").text().orElse("default");
    }

    Optional<String> node() {
        return object.at("spec", "nodeName").text().filter(name -> !name.isEmpty());
    }

    String phase() {
        return object.at("status", "phase").text().orElse("unknown");
    }

    boolean hostNetwork() {
        return object.at("spec", "hostNetwork").isTrue();
    }

    List<Tree> volumes() {
        return object.at("spec", "volumes").each();
    }

    /** Returns its init containers and containers. */
    List<Container> containers() {
        return Stream.concat(object.at("spec", "initContainers").each().stream(), object.at("spec", "containers").each().stream())
                .map(Container::new)
                .toList();
    }

    /** One of its containers. */
    record Container(Tree object) {

        String name() {
            return object.at("name").text().orElse("");
        }

        /** Returns the variables; one whose value comes from elsewhere is empty. */
        Map<String, String> environment() {
            Map<String, String> variables = new LinkedHashMap<>();
            object.at("env").each().forEach(variable -> variable.at("name").text().ifPresent(name ->
                    variables.put(name, variable.at("value").text().orElse(""))));
            return variables;
        }

        /** Returns the ConfigMaps and Secrets that set further variables. */
        List<String> unseenVariables() {
            return object.at("envFrom").each().stream()
                    .flatMap(from -> Stream.concat(
                            from.at("configMapRef", "name").text().map(name -> "ConfigMap " + name).stream(),
                            from.at("secretRef", "name").text().map(name -> "Secret " + name).stream()))
                    .toList();
        }

        List<Tree> mounts() {
            return object.at("volumeMounts").each();
        }
    }
}
