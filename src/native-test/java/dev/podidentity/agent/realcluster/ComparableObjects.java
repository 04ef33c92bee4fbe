package dev.podidentity.agent.realcluster;

import static org.assertj.core.api.Assertions.assertThat;

import dev.podidentity.agent.config.AgentConfig;
import io.smallrye.config.WithDefault;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;

/**
 * Converts objects to a form in which those of kustomize and Helm can be compared. How the agent gets its settings is ignored,
 * because kustomize uses a ConfigMap and the chart uses variables and flags. The resulting settings are compared.
 */
final class ComparableObjects {

    /** The labels of Helm itself and those that distinguish releases. */
    private static final Set<String> LABELS_OF_HELM = Set.of(
            "app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart");

    private ComparableObjects() {}

    /** Returns the objects by kind and name, and the settings of each DaemonSet's agent. */
    static Map<String, Object> read(String yaml) {
        List<Map<String, Object>> objects = documents(yaml);
        Map<String, Map<String, Object>> configMaps = new TreeMap<>();
        Map<String, Object> comparable = new TreeMap<>();
        for (Map<String, Object> object : objects) {
            if (object.get("kind").equals("ConfigMap")) {
                configMaps.put(name(object), mapping(object.get("data")));
            }
        }
        for (Map<String, Object> object : objects) {
            withoutLabelsOfHelm(object);
            if (((String) object.get("kind")).startsWith("ValidatingAdmissionPolicy")) {
                // The kind is cluster-scoped, which some versions of kustomize do not know.
                mapping(object.get("metadata")).remove("namespace");
                withoutLayout(object);
            }
            if (object.get("kind").equals("DaemonSet")) {
                comparable.put("settings of " + name(object), takeSettings(object, configMaps));
            }
            if (!object.get("kind").equals("ConfigMap")) {
                assertThat(comparable.put(object.get("kind") + " " + name(object), object)).as(name(object)).isNull();
            }
        }
        return comparable;
    }

    static List<Map<String, Object>> documents(String yaml) {
        LoaderOptions options = new LoaderOptions();
        options.setAllowDuplicateKeys(false);
        List<Map<String, Object>> documents = new ArrayList<>();
        for (Object document : new Yaml(new SafeConstructor(options)).loadAll(yaml)) {
            if (document != null) {
                documents.add(mapping(document));
            }
        }
        return documents;
    }

    private static String name(Map<String, Object> object) {
        return (String) mapping(object.get("metadata")).get("name");
    }

    private static void withoutLabelsOfHelm(Object node) {
        if (node instanceof Map<?, ?> map) {
            map.keySet().removeAll(LABELS_OF_HELM);
            map.values().forEach(ComparableObjects::withoutLabelsOfHelm);
        } else if (node instanceof List<?> list) {
            list.forEach(ComparableObjects::withoutLabelsOfHelm);
        }
    }

    /** Normalizes whitespace in expressions, because line breaks do not change their meaning. */
    private static void withoutLayout(Object node) {
        if (node instanceof Map<?, ?>) {
            mapping(node).replaceAll((key, value) ->
                    key.equals("expression") ? ((String) value).replaceAll("\\s+", " ") : value);
            mapping(node).values().forEach(ComparableObjects::withoutLayout);
        } else if (node instanceof List<?> list) {
            list.forEach(ComparableObjects::withoutLayout);
        }
    }

    /** Removes the settings from a DaemonSet and returns those of its ConfigMap, variables and flags that are not the default. */
    private static Map<String, String> takeSettings(Map<String, Object> daemonSet, Map<String, Map<String, Object>> configMaps) {
        Map<String, Object> template = mapping(mapping(daemonSet.get("spec")).get("template"));
        Map<String, Object> agent = mapping(list(mapping(template.get("spec")).get("containers")).get(0));
        Map<String, String> settings = new TreeMap<>();
        for (Object source : list(Optional.ofNullable(agent.remove("envFrom")).orElse(List.of()))) {
            String configMap = (String) mapping(mapping(source).get("configMapRef")).get("name");
            configMaps.get(configMap).forEach((variable, value) -> settings.put(variable, (String) value));
        }
        List<Object> others = new ArrayList<>();
        for (Object variable : list(Optional.ofNullable(agent.remove("env")).orElse(List.of()))) {
            Map<String, Object> entry = mapping(variable);
            if (entry.containsKey("value")) {
                settings.put((String) entry.get("name"), (String) entry.get("value"));
            } else {
                others.add(variable);
            }
        }
        agent.put("env", others);
        List<Object> arguments = list(agent.remove("args"));
        assertThat(arguments.get(0)).isEqualTo("server");
        for (int i = 1; i < arguments.size(); i += 2) {
            settings.put(variable((String) arguments.get(i)), (String) arguments.get(i + 1));
        }
        settings.entrySet().removeAll(defaults().entrySet());
        return settings;
    }

    private static String variable(String flag) {
        return "AGENT_" + flag.replaceFirst("^--", "").replace('-', '_').toUpperCase(Locale.ROOT);
    }

    private static Map<String, String> defaults() {
        Map<String, String> defaults = new TreeMap<>();
        Arrays.stream(AgentConfig.class.getDeclaredMethods())
                .filter(method -> method.isAnnotationPresent(WithDefault.class))
                .forEach(method -> defaults.put(
                        variable(method.getName().replaceAll("(?=[A-Z])", "-")),
                        method.getAnnotation(WithDefault.class).value()));
        return defaults;
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> mapping(Object node) {
        return (Map<String, Object>) node;
    }

    @SuppressWarnings("unchecked")
    static List<Object> list(Object node) {
        return (List<Object>) node;
    }
}
