package dev.podidentity.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class GoRunnerTest {

    private static final List<String> SERVER = List.of("server", "-v", "trace");

    @ParameterizedTest
    @CsvSource({
        "/go-runner, true",
        "go-runner, true",
        "./go-runner, true",
        "/eks-pod-identity-agent, false",
        "/go-runner/agent, false",
        "'', false"
    })
    void isCalledByItsName(String path, boolean called) {
        assertThat(GoRunner.isCalled(path)).isEqualTo(called);
    }

    @Test
    void runsWhatTheReferencesChartHasItRun() {
        // When
        GoRunner runner = parse("/eks-pod-identity-agent server --port 80 --cluster-name prod --probe-port 2703 -v trace");

        // Then
        assertThat(runner.command())
                .containsExactly("server", "--port", "80", "--cluster-name", "prod", "--probe-port", "2703", "-v", "trace");
        assertThat(runner.logFile()).isEmpty();
        assertThat(runner.redirectStderr()).isTrue();
    }

    static Stream<Arguments> options() {
        return Stream.of(
                arguments("", new GoRunner(Optional.empty(), false, true, SERVER)),
                arguments("--", new GoRunner(Optional.empty(), false, true, SERVER)),
                arguments("--log-file=/a", new GoRunner(Optional.of("/a"), false, true, SERVER)),
                arguments("-log-file=/a", new GoRunner(Optional.of("/a"), false, true, SERVER)),
                arguments("--log-file /a", new GoRunner(Optional.of("/a"), false, true, SERVER)),
                arguments("-log-file /a -also-stdout", new GoRunner(Optional.of("/a"), true, true, SERVER)),
                arguments("--log-file=", new GoRunner(Optional.empty(), false, true, SERVER)),
                arguments("--also-stdout=true --log-file=/a", new GoRunner(Optional.of("/a"), true, true, SERVER)),
                arguments("--also-stdout=F", new GoRunner(Optional.empty(), false, true, SERVER)),
                arguments("--redirect-stderr=false", new GoRunner(Optional.empty(), false, false, SERVER)),
                arguments("-redirect-stderr -- ", new GoRunner(Optional.empty(), false, true, SERVER)));
    }

    @ParameterizedTest
    @MethodSource("options")
    void takesItsOptionsAsGoDoes(String options, GoRunner expected) {
        assertThat(parse(options + " /eks-pod-identity-agent server -v trace")).isEqualTo(expected);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "''                                                  | no command to run",
        "--also-stdout                                       | no command to run",
        "/bin/sh -c true                                     | \"/bin/sh\"",
        "--log-file                                          | needs the path of a file",
        "--redirect-stderr=maybe /eks-pod-identity-agent     | --redirect-stderr must be true or false: \"maybe\"",
        "--flush /eks-pod-identity-agent                     | unknown option \"--flush\""
    })
    void saysInOneLineWhatItCannotUse(String line, String problem) {
        assertThatThrownBy(() -> parse(line)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("go-runner: ").hasMessageContaining(problem).hasMessageNotContaining("\n");
    }

    private static GoRunner parse(String line) {
        return GoRunner.parse(Stream.of(line.trim().split(" +")).filter(word -> !word.isEmpty()).toList());
    }
}
