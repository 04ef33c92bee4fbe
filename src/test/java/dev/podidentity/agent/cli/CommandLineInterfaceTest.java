package dev.podidentity.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.podidentity.agent.config.Verbosity;
import dev.podidentity.agent.observe.BuildInfo;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class CommandLineInterfaceTest {

    private static final int INITIALIZED = 42;
    private static final int PROBED = 43;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();
    private Optional<Map<String, String>> served = Optional.empty();
    private Optional<Verbosity> initialized = Optional.empty();
    private final Map<String, String> environment = new HashMap<>();
    private Optional<Integer> probed = Optional.empty();
    private boolean anyAgent;

    @ParameterizedTest
    @ValueSource(strings = {"--help", "-h"})
    void helpsAndNamesTheCommands(String flag) {
        assertThat(run(flag)).contains(0);

        assertThat(out.toString()).contains("server", "initialize", "version", "--verbosity");
        assertThat(err.toString()).isEmpty();
        assertThat(served).isEmpty();
    }

    @Test
    void helpsWithEveryFlagAndItsDefault() {
        assertThat(run("server", "--help")).contains(0);

        for (Flag flag : Flag.ALL) {
            String help = flag.initial().isEmpty() ? flag.help() : flag.help() + " Default: " + flag.initial();
            assertThat(unwrapped(out.toString())).contains("--" + flag.name(), unwrapped(help));
        }
        assertThat(err.toString()).isEmpty();
        assertThat(served).isEmpty();
    }

    @Test
    void helpsEvenWithoutWhatIsRequired() {
        assertThat(run("server", "-h")).contains(0);
    }

    @Test
    void saysItsVersion() {
        assertThat(run("version")).contains(0);

        assertThat(out.toString().lines()).containsExactly("eks-pod-identity-agent " + BuildInfo.current().version());
        assertThat(err.toString()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "initialize, INFO",
        "initialize -v error, ERROR",
        "initialize --verbosity=trace, TRACE",
        "-v debug initialize, DEBUG",
        "-v debug initialize -v warn, WARN"
    })
    void givesInitializeItsVerbosityAndTakesItsExitCode(String line, Verbosity verbosity) {
        assertThat(run(line.split(" "))).contains(INITIALIZED);

        assertThat(initialized).contains(verbosity);
        assertThat(served).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"probe, 2703", "probe --probe-port 2999, 2999", "-v debug probe --probe-port=1, 1"})
    void givesProbeItsPortAndTakesItsExitCode(String line, int port) {
        assertThat(run(line.split(" "))).contains(PROBED);

        assertThat(probed).contains(port);
        assertThat(anyAgent).isFalse();
        assertThat(served).isEmpty();
    }

    @Test
    void probesWhetherAnyAgentOfTheNodeIsReadyIfItIsToldTo() {
        assertThat(run("probe", "--probe-port", "2999", "--ready")).contains(PROBED);

        assertThat(probed).contains(2999);
        assertThat(anyAgent).isTrue();
    }

    @Test
    void probesWhereTheEnvironmentHasTheAgentAnswerProbes() {
        // Given
        environment.put("AGENT_PROBE_PORT", "2999");
        // When
        run("probe");
        // Then
        assertThat(probed).contains(2999);
    }

    @Test
    void saysThatTheEnvironmentsPortCannotBeUsed() {
        // Given
        environment.put("AGENT_PROBE_PORT", "http");
        // Then
        assertThat(run("probe")).contains(2);
        assertThat(err.toString().lines()).singleElement().asString().contains("AGENT_PROBE_PORT", "\"http\"", "port number");
        assertThat(probed).isEmpty();
    }

    @Test
    void helpsWithInitializeWithoutDoingIt() {
        assertThat(run("initialize", "--help")).contains(0);

        assertThat(out.toString()).contains("pod-id-link0", "NET_ADMIN", "--verbosity");
        assertThat(initialized).isEmpty();
    }

    static Stream<Arguments> unusable() {
        return Stream.of(
                arguments(List.of(), List.of("no command")),
                arguments(List.of("serve"), List.of("'serve'")),
                arguments(List.of("server", "extra"), List.of("'extra'")),
                arguments(List.of("version", "--port", "80"), List.of("'--port'")),
                arguments(List.of("initialize", "--port", "80"), List.of("'--port'")),
                arguments(List.of("initialize", "extra"), List.of("'extra'")),
                arguments(List.of("initialize", "-v", "loud"), List.of("--verbosity", "\"loud\"")),
                arguments(List.of("--port", "80", "server"), List.of("'--port'")),
                arguments(List.of("server", "--prot", "80"), List.of("'--prot'")),
                arguments(List.of("server", "-x"), List.of("'-x'")),
                arguments(List.of("server", "--port"), List.of("--port")),
                arguments(List.of("server", "--port", "http"), List.of("--port", "\"http\"", "port number from 0 to 65535")),
                arguments(List.of("server", "--port=70000"), List.of("--port", "\"70000\"", "from 0 to 65535")),
                arguments(List.of("server", "-p", "-1"), List.of("--port", "\"-1\"")),
                arguments(List.of("server", "--cluster-name", "a b"), List.of("--cluster-name", "\"a b\"", "name of an EKS")),
                arguments(List.of("server", "-c", ""), List.of("--cluster-name", "\"\"", "name of an EKS")),
                arguments(List.of("server", "-v", "loud"), List.of("--verbosity", "\"loud\"", "panic, fatal")),
                arguments(List.of("-v", "loud", "server"), List.of("--verbosity", "\"loud\"", "panic, fatal")),
                arguments(List.of("server", "--log-format", "xml"), List.of("--log-format", "\"xml\"", "json or text")),
                arguments(List.of("server", "-b", "a:80"), List.of("--bind-hosts", "\"a:80\"", "without a port")),
                arguments(List.of("server", "-b", "a,b"), List.of("--bind-hosts", "\"a,b\"")),
                arguments(List.of("server", "--endpoint", "localhost:80"), List.of("--endpoint", "\"localhost:80\"", "URL")),
                arguments(List.of("server", "--max-credential-retention-before-renewal", "3 hours"),
                        List.of("--max-credential-retention-before-renewal", "\"3 hours\"", "1h30m")),
                arguments(List.of("server", "--request-deadline", "0"), List.of("--request-deadline", "\"0\"", "900ms")),
                arguments(List.of("server", "--max-cache-size", "-1"), List.of("--max-cache-size", "\"-1\"")),
                arguments(List.of("server", "--max-connections", "0"), List.of("--max-connections", "\"0\"", "from 1")),
                arguments(List.of("server", "--rotate-credentials=maybe"),
                        List.of("--rotate-credentials", "maybe", "true or false")));
    }

    @ParameterizedTest
    @MethodSource("unusable")
    void saysInOneLineWhatCannotBeUsed(List<String> arguments, List<String> named) {
        // When
        Optional<Integer> code = run(arguments.toArray(String[]::new));

        // Then
        assertThat(code).contains(2);
        assertThat(err.toString().lines()).hasSize(1);
        assertThat(err.toString()).startsWith("Error: ").contains("--help").contains(named);
        assertThat(out.toString()).isEmpty();
        assertThat(served).isEmpty();
        assertThat(initialized).isEmpty();
    }

    @Test
    void refusesASwitchThatIsNeitherTrueNorFalse() {
        assertThat(run("server", "--rotate-credentials", "maybe")).contains(2);

        assertThat(err.toString().lines()).hasSize(1);
        assertThat(err.toString()).contains("maybe");
        assertThat(served).isEmpty();
    }

    @Test
    void takesTheVerbosityWithEveryCommand() {
        assertThat(run("version", "-v", "info")).contains(0);
        assertThat(run("-v", "trace", "version")).contains(0);
    }

    static Stream<Arguments> usable() {
        return Stream.of(
                arguments("server", Map.of()),
                arguments("server -c prod", Map.of("agent.cluster-name", "prod")),
                arguments("server --rotate-credentials=1", Map.of("agent.rotate-credentials", "1")),
                arguments("server --rotate-credentials=False", Map.of("agent.rotate-credentials", "False")),
                arguments("server --endpoint=", Map.of("agent.endpoint", "")),
                arguments("server --cluster-name=prod", Map.of("agent.cluster-name", "prod")),
                arguments("server --port=8080", Map.of("agent.port", "8080")),
                arguments("server --port 8080", Map.of("agent.port", "8080")),
                arguments("server -p8080", Map.of("agent.port", "8080")),
                arguments("server -p 80 -p 81", Map.of("agent.port", "81")),
                arguments("server --rotate-credentials", Map.of("agent.rotate-credentials", "true")),
                arguments("server --rotate-credentials true", Map.of("agent.rotate-credentials", "true")),
                arguments("server --rotate-credentials=true", Map.of("agent.rotate-credentials", "true")),
                arguments("server --rotate-credentials false", Map.of("agent.rotate-credentials", "false")),
                arguments("server --rotate-credentials=false", Map.of("agent.rotate-credentials", "false")),
                arguments("server --rotate-credentials -c prod",
                        Map.of("agent.rotate-credentials", "true", "agent.cluster-name", "prod")),
                arguments("server --rotate-credentials --port 81",
                        Map.of("agent.rotate-credentials", "true", "agent.port", "81")),
                arguments("server --rotate-credentials true -c prod",
                        Map.of("agent.rotate-credentials", "true", "agent.cluster-name", "prod")),
                arguments("server -c x -p 8080 -v trace",
                        Map.of("agent.cluster-name", "x", "agent.port", "8080", "agent.verbosity", "trace")),
                arguments("-v trace server -c x", Map.of("agent.cluster-name", "x", "agent.verbosity", "trace")),
                arguments("--verbosity=debug server -c x", Map.of("agent.cluster-name", "x", "agent.verbosity", "debug")),
                arguments("-v trace server -v error", Map.of("agent.verbosity", "error")),
                arguments("server -b 127.0.0.1", Map.of("agent.bind-hosts", "127.0.0.1")),
                arguments("server --bind-hosts 127.0.0.1 --bind-hosts [::1]",
                        Map.of("agent.bind-hosts", "127.0.0.1,[::1]")),
                arguments("server -b=127.0.0.1 --bind-hosts=::1", Map.of("agent.bind-hosts", "127.0.0.1,::1")),
                arguments("server -b 127.0.0.1 -c prod", Map.of("agent.bind-hosts", "127.0.0.1", "agent.cluster-name", "prod")),
                arguments("server --max-service-qps 0 --max-cache-size 0 --metrics-port 0 --probe-port 0",
                        Map.of("agent.max-service-qps", "0", "agent.max-cache-size", "0", "agent.metrics-port", "0",
                                "agent.probe-port", "0")),
                arguments("server --endpoint http://localhost:8080", Map.of("agent.endpoint", "http://localhost:8080")));
    }

    @ParameterizedTest
    @MethodSource("usable")
    void givesTheServerWhatItsFlagsSet(String line, Map<String, String> properties) {
        assertThat(run(line.split(" "))).isEmpty();

        assertThat(served).contains(properties);
        assertThat(out.toString()).isEmpty();
        assertThat(err.toString()).isEmpty();
    }

    @Test
    void takesEveryFlagWithItsDefault() {
        for (Flag flag : Flag.ALL) {
            for (String value : flag.initial().isEmpty() ? new String[0] : flag.initial().split(",")) {
                assertThat(run("server", "--" + flag.name(), value)).isEmpty();
                assertThat(served).contains(Map.of(flag.property(), value));
            }
        }
    }

    /** Removes whitespace, because the help wraps long lines, even within a default. */
    private static String unwrapped(String text) {
        return text.replaceAll("\\s", "");
    }

    static PrintWriter nowhere() {
        return new PrintWriter(new StringWriter());
    }

    private int initialize(Verbosity verbosity) {
        initialized = Optional.of(verbosity);
        return INITIALIZED;
    }

    private int probe(int port, boolean any) {
        probed = Optional.of(port);
        anyAgent = any;
        return PROBED;
    }

    private Optional<Integer> run(String... arguments) {
        return new CommandLineInterface(new PrintWriter(out), new PrintWriter(err), environment)
                .run(properties -> served = Optional.of(Map.copyOf(properties)), this::initialize, this::probe, request -> 1, arguments);
    }
}
