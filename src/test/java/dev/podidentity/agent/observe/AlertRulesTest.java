package dev.podidentity.agent.observe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.podidentity.agent.testing.AlertRules;
import dev.podidentity.agent.testing.AlertRules.Alert;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Checks the runbooks and metrics that kubernetes/prometheus/rules.yaml names, and runs promtool on its rules. */
class AlertRulesTest {

    private static final Path CASES = Path.of("src/test/prometheus/rules-test.yaml");
    private static final Path RUNBOOKS = Path.of("docs/operations.md");
    private static final Path LIVE_TESTS = Path.of("src/native-test/java/dev/podidentity/agent");
    private static final Path METRICS_PAGE = Path.of("docs/metrics.md");
    private static final Pattern METRIC = Pattern.compile("\\bpod_identity_[a-z_]+");
    private static final Pattern PART = Pattern.compile("_(bucket|count|sum|max)$");

    @TempDir
    private Path directory;

    static Stream<Alert> alerts() {
        return AlertRules.read().alerts().stream();
    }

    @Test
    void promtoolFindsThatEachFiresAndClearsWhenItShould() throws IOException, InterruptedException {
        // Given
        if (!AlertRules.installed("promtool")) {
            System.err.println("PROMTOOL IS NOT INSTALLED: THE ALERT RULES ARE NOT TESTED (apt-get install prometheus)");
        }
        assumeTrue(AlertRules.installed("promtool"), "promtool is not installed");
        AlertRules.read().writeTo(directory.resolve("rules.yaml"));
        Files.copy(CASES, directory.resolve("rules-test.yaml"));
        // When
        Process promtool = new ProcessBuilder("promtool", "test", "rules", "rules-test.yaml")
                .directory(directory.toFile())
                .redirectErrorStream(true)
                .start();
        String output = new String(promtool.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        // Then
        assertThat(promtool.waitFor()).as(output).isZero();
    }

    @ParameterizedTest
    @MethodSource("alerts")
    void eachHasACaseInWhichItFires(Alert alert) throws IOException {
        assertThat(Files.readString(CASES)).contains("{alertname=\"" + alert.name() + "\"}");
    }

    @ParameterizedTest
    @MethodSource("alerts")
    void eachSaysHowBadItIsAndWhatItMeans(Alert alert) {
        assertThat(alert.name()).startsWith("PodIdentity");
        assertThat(alert.severity()).isIn("critical", "warning");
        assertThat(alert.summary()).isNotBlank();
        assertThat(alert.description()).isNotBlank().endsWith(".");
    }

    @ParameterizedTest
    @MethodSource("alerts")
    void theRunbookOfEachExists(Alert alert) throws IOException {
        assertThat(alert.runbook()).isEqualTo(RUNBOOKS + "#" + alert.name().toLowerCase(Locale.ROOT));
        assertThat(Files.readString(RUNBOOKS)).contains("\n### " + alert.name() + "\n");
    }

    @Test
    void thereIsNoRunbookOfAnAlertThatDoesNotExist() throws IOException {
        Set<String> names = alerts().map(Alert::name).collect(Collectors.toSet());

        assertThat(found(Pattern.compile("(?m)^### (PodIdentity\\w+)$"), Files.readString(RUNBOOKS)))
                .containsExactlyInAnyOrderElementsOf(names);
    }

    @Test
    void allMetricsThatTheyAndTheDashboardNameAreDocumented() throws IOException {
        List<String> documented = found(Pattern.compile("(?m)^\\| `(pod_identity_[a-z_]+)` \\|"), Files.readString(METRICS_PAGE));
        String named = Files.readString(AlertRules.FILE) + Files.readString(AlertRules.DASHBOARD);

        List<String> metrics = found(METRIC, named);

        assertThat(metrics).isNotEmpty().allSatisfy(metric -> assertThat(documented)
                .containsAnyOf(metric, PART.matcher(metric).replaceFirst("")));
    }

    /** PrometheusIT and FaultAlertsIT are too slow for every build, so this test makes sure that they cover every alert. */
    @Test
    void eachFiresAndClearsWithALiveAgentToo() throws IOException {
        Set<String> names = alerts().map(Alert::name).collect(Collectors.toSet());
        String live = "";
        for (String file : List.of("PrometheusIT.java", "FaultAlertsIT.java", "prometheus/PrometheusServer.java")) {
            live += Files.readString(LIVE_TESTS.resolve(file));
        }

        assertThat(Set.copyOf(found(Pattern.compile("(?m)^ +\\w+\\.awaitFiring\\(\"(\\w+)\""), live))).isEqualTo(names);
        assertThat(Set.copyOf(found(Pattern.compile("(?m)^ +(?:\\w+\\.)?awaitCleared\\(\"(\\w+)\""), live))).isEqualTo(names);
    }

    private static List<String> found(Pattern pattern, String text) {
        List<String> found = new ArrayList<>();
        for (Matcher matcher = pattern.matcher(text); matcher.find(); ) {
            found.add(matcher.group(matcher.groupCount()));
        }
        return found;
    }
}
