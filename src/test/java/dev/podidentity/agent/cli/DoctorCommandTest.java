package dev.podidentity.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class DoctorCommandTest {

    private static final Path PAGE = Path.of("docs/doctor.md");
    private static final int EXAMINED = 44;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();
    private Optional<DoctorRequest> examined = Optional.empty();

    static Stream<Arguments> requests() {
        return Stream.of(
                arguments("doctor", request(Optional.empty(), false, false, false, Map.of())),
                arguments("doctor --output json -c prod",
                        request(Optional.empty(), false, false, true, Map.of("agent.cluster-name", "prod"))),
                arguments("doctor --pod shop/cart-0", request(Optional.of("shop/cart-0"), false, false, false, Map.of())),
                arguments("doctor --pod=shop/cart-0 --association", request(Optional.of("shop/cart-0"), true, false, false, Map.of())),
                arguments("doctor --pod-watch -v debug", request(Optional.empty(), false, false, false,
                        Map.of("agent.pod-watch", "true", "agent.verbosity", "debug"))),
                arguments("doctor irsa", request(Optional.empty(), false, true, false, Map.of())),
                arguments("doctor irsa --output json -c prod",
                        request(Optional.empty(), false, true, true, Map.of("agent.cluster-name", "prod"))),
                arguments("doctor --output json -c prod irsa",
                        request(Optional.empty(), false, true, true, Map.of("agent.cluster-name", "prod"))),
                arguments("doctor --kubeconfig /tmp/config --context east", new DoctorRequest(Optional.empty(), false, false, false,
                        Optional.of("/tmp/config"), Optional.of("east"), Map.of())),
                arguments("doctor irsa --kubeconfig /tmp/config --context east", new DoctorRequest(Optional.empty(), false, true, false,
                        Optional.of("/tmp/config"), Optional.of("east"), Map.of())));
    }

    @ParameterizedTest
    @MethodSource("requests")
    void givesTheDoctorWhatIsAskedAndTakesItsExitCode(String line, DoctorRequest request) {
        assertThat(run(line.split(" "))).contains(EXAMINED);

        assertThat(examined).contains(request);
        assertThat(err.toString()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "doctor --output xml, must be text or json",
        "doctor --pod cart-0, must be the namespace and the name of a pod",
        "doctor --pod ../secrets/x, must be the namespace and the name of a pod",
        "doctor --association, --association needs --pod",
        "doctor --pod shop/cart-0 irsa, --pod and irsa exclude each other",
        "doctor --port http, must be a port number",
        "doctor --max-cache-size 1, '--max-cache-size'",
        "doctor cure, 'cure'"
    })
    void saysInOneLineWhatCannotBeUsed(String line, String named) {
        assertThat(run(line.split(" "))).contains(2);

        assertThat(err.toString().lines()).singleElement().asString().startsWith("Error: ").contains(named, "--help");
        assertThat(examined).isEmpty();
    }

    @Test
    void helpsWithItsFlagsAndItsExitCodes() {
        assertThat(run("doctor", "--help")).contains(0);
        assertThat(out.toString().replaceAll("\\s+", " ")).contains("--pod", "--association", "--output", "irsa",
                "Exit code: 0 if all is well, 1 if there are warnings, 2 if there are failures");
        assertThat(run("doctor", "irsa", "--help")).contains(0);
        assertThat(examined).isEmpty();
    }

    /** Checks that the page repeats the texts of the help. */
    @Test
    void isDescribedByThePageWordByWord() throws IOException {
        // Given
        List<String> expected = Stream.concat(CommandLineInterface.DOCTOR.stream(), CommandLineInterface.DOCTOR_REPORT.stream())
                .map(flag -> "| `--" + flag.name() + "` | " + (flag.initial().isEmpty() ? "" : '`' + flag.initial() + '`') + " | "
                        + flag.help() + " |")
                .toList();

        // When
        List<String> page = Files.readAllLines(PAGE);

        // Then
        assertThat(page.stream().filter(line -> line.startsWith("| `--"))).containsExactlyElementsOf(expected);
        assertThat(String.join("\n", page)).contains(
                CommandLineInterface.DOCTOR_SERVER.stream().map(flag -> "`--" + flag.name() + "`").toList());
    }

    @Test
    void letsAFlagWinOverTheRunningAgentAndThatOverTheEnvironment() {
        // When
        Map<String, String> values = ServerSettings.effective(
                Map.of("agent.port", "81"),
                Optional.of(List.of("server", "--port", "82", "--probe-port", "83", "--pod-watch")),
                Map.of("AGENT_PROBE_PORT", "84", "AGENT_METRICS_PORT", "85", "AGENT_CLUSTER_NAME", "prod"));

        // Then
        assertThat(values)
                .containsEntry("port", "81")
                .containsEntry("probe-port", "83")
                .containsEntry("metrics-port", "85")
                .containsEntry("pod-watch", "true")
                .containsEntry("cluster-name", "prod")
                .containsEntry("metrics-address", "0.0.0.0")
                .doesNotContainKey("issuer");
    }

    @Test
    void knowsNothingOfAnAgentWithOtherFlags() {
        assertThat(ServerSettings.effective(Map.of(), Optional.of(List.of("server", "--from-the-future")), Map.of()))
                .containsEntry("port", "80");
    }

    @Test
    void namesAVariableThatCannotBeUsed() {
        assertThatThrownBy(() -> ServerSettings.effective(Map.of(), Optional.empty(), Map.of("AGENT_PORT", "http")))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("AGENT_PORT: must be a port number from 0 to 65535: \"http\"");
    }

    private static DoctorRequest request(
            Optional<String> pod, boolean association, boolean irsa, boolean json, Map<String, String> given) {
        return new DoctorRequest(pod, association, irsa, json, Optional.empty(), Optional.empty(), given);
    }

    private Optional<Integer> run(String... arguments) {
        return new CommandLineInterface(new PrintWriter(out), new PrintWriter(err), Map.of()).run(
                properties -> { },
                verbosity -> 1,
                (port, anyAgent) -> 1,
                request -> {
                    examined = Optional.of(request);
                    return EXAMINED;
                },
                arguments);
    }
}
