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
 * The rules of the PrometheusRule object in {@code kubernetes/prometheus}.
 *
 * @param spec the object's, which is what Prometheus itself reads as a file of rules
 */
public record AlertRules(Map<String, Object> spec) {

    public static final Path FILE = Path.of("kubernetes/prometheus/rules.yaml");
    public static final Path DASHBOARD = Path.of("kubernetes/prometheus/dashboard.json");

    /**
     * One alert.
     *
     * @param name of the alert
     * @param expression in PromQL
     * @param severity its label
     * @param summary its annotation
     * @param description its annotation
     * @param runbook its annotation
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
     * The same with other expressions and other times for which they must hold.
     *
     * @param expression changes each expression
     * @param wait stands in place of each time
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

    /** Writes them as Prometheus reads them. */
    public void writeTo(Path file) {
        try {
            Files.writeString(file, new Yaml().dump(spec));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Whether a program of Debian's package prometheus is there. */
    public static boolean installed(String program) {
        return Stream.of(System.getenv("PATH").split(":")).anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> map(Object value) {
        return (Map<String, Object>) value;
    }
}
