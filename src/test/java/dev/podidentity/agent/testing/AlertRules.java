package dev.podidentity.agent.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.yaml.snakeyaml.Yaml;

/**
 * Holds the rules of the PrometheusRule object in {@code kubernetes/prometheus}.
 *
 * @param spec the object's spec, which has the same format as a Prometheus rule file
 */
public record AlertRules(Map<String, Object> spec) {

    public static final Path FILE = Path.of("kubernetes/prometheus/rules.yaml");
    public static final Path DASHBOARD = Path.of("kubernetes/prometheus/dashboard.json");

    /**
     * Describes one alert.
     *
     * @param expression the PromQL expression
     * @param severity the value of the label {@code severity}
     * @param summary the annotation {@code summary}
     * @param description the annotation {@code description}
     * @param runbook the annotation {@code runbook_url}
     */
    public record Alert(
            String name, String expression, String severity, String summary, String description, String runbook) {

        @Override
        public String toString() {
            return name;
        }
    }

    public static AlertRules read() {
        try {
            Map<String, Object> object = new Yaml().load(Files.readString(FILE));
            return new AlertRules(map(object.get("spec")));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public List<Alert> alerts() {
        return rules()
                .filter(rule -> rule.containsKey("alert"))
                .map(rule -> new Alert(
                        (String) rule.get("alert"),
                        (String) rule.get("expr"),
                        (String) map(rule.get("labels")).get("severity"),
                        (String) map(rule.get("annotations")).get("summary"),
                        (String) map(rule.get("annotations")).get("description"),
                        (String) map(rule.get("annotations")).get("runbook_url")))
                .toList();
    }

    private Stream<Map<String, Object>> rules() {
        return ((List<?>) spec.get("groups")).stream()
                .flatMap(group -> ((List<?>) map(group).get("rules")).stream())
                .map(AlertRules::map);
    }

    /**
     * Returns a copy with changed expressions and hold times.
     *
     * @param expression maps each expression to its replacement
     * @param wait replaces each {@code for} duration
     */
    public AlertRules with(UnaryOperator<String> expression, String wait) {
        List<Map<String, Object>> changed = rules()
                .map(rule -> {
                    Map<String, Object> copy = new LinkedHashMap<>(rule);
                    copy.computeIfPresent("expr", (key, value) -> expression.apply((String) value));
                    copy.computeIfPresent("for", (key, value) -> wait);
                    return copy;
                })
                .toList();
        return new AlertRules(Map.of("groups", List.of(Map.of("name", "changed", "rules", changed))));
    }

    /** Writes the rules as a Prometheus rule file. */
    public void writeTo(Path file) {
        try {
            Files.writeString(file, new Yaml().dump(spec));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Returns whether a program from Debian's {@code prometheus} package is on the {@code PATH}. */
    public static boolean installed(String program) {
        return Stream.of(System.getenv("PATH").split(":")).anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> map(Object value) {
        return (Map<String, Object>) value;
    }
}
