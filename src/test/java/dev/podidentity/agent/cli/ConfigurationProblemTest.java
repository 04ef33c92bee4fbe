package dev.podidentity.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import io.quarkus.runtime.configuration.ConfigurationException;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class ConfigurationProblemTest {

    static Stream<Arguments> configurations() {
        return Stream.of(
                arguments(Map.of(), "--cluster-name is required"),
                arguments(Map.of("agent.cluster-name", "a b"),
                        "--cluster-name must be the name of an EKS cluster: 1 to 100 letters, digits, hyphens and"
                                + " underscores, the first a letter or a digit: \"a b\""),
                arguments(Map.of("agent.cluster-name", "c", "agent.port", "http"),
                        "--port must be a port number from 0 to 65535: \"http\""),
                arguments(Map.of("agent.cluster-name", "c", "agent.request-deadline", "0"),
                        "--request-deadline must be a duration of 1ms or more, such as 900ms or 5s: \"0\""),
                arguments(Map.of("agent.cluster-name", "c", "agent.startup-grace", "soon"),
                        "--startup-grace must be a duration of 0 or more, such as 3h, 1h30m, 90s or 0: \"soon\""),
                arguments(Map.of("agent.cluster-name", "c", "agent.verbosity", "loud"),
                        "--verbosity must be one of panic, fatal, error, warn, info, debug, trace: \"loud\""),
                arguments(Map.of("agent.cluster-name", "c", "agent.endpoint", "nowhere"),
                        "--endpoint must be an http or https URL, such as https://eks-auth.us-west-2.api.aws: \"nowhere\""),
                arguments(Map.of("agent.cluster-name", "c", "agent.prot", "80"),
                        "there is no property agent.prot: remove it, or see docs/configuration.md for the one meant"));
    }

    @ParameterizedTest
    @MethodSource("configurations")
    void namesTheFlagOfAConfigurationThatCannotBeUsed(Map<String, String> properties, String line) {
        // When
        Throwable failure = catchThrowable(() -> AgentConfigTest.read(properties));

        // Then
        assertThat(ConfigurationProblem.in(failure)).contains(line);
        assertThat(ConfigurationProblem.in(new RuntimeException("Failed to start", failure))).contains(line);
    }

    @Test
    void passesOnWhatAStartUpCheckSays() {
        assertThat(ConfigurationProblem.in(new RuntimeException(new ConfigurationException("--a and --b must differ"))))
                .contains("--a and --b must differ");
    }

    @Test
    void leavesOtherFailuresToOthers() {
        assertThat(ConfigurationProblem.in(new IllegalStateException("no", new RuntimeException("port 80")))).isEmpty();
    }

    @Test
    void describesAMissingProperty() {
        assertThat(ConfigurationProblem.describe("java.util.NoSuchElementException: SRCFG00014: The config property"
                + " agent.cluster-name is required but it could not be found in any config source"))
                .isEqualTo("--cluster-name is required");
    }

    @Test
    void describesAnUnusableValue() {
        assertThat(ConfigurationProblem.describe("SRCFG00039: The config property agent.port with the config value"
                + " \"x\" threw an Exception whilst being converted java.lang.IllegalArgumentException: must be a port"))
                .isEqualTo("--port must be a port: \"x\"");
    }

    @Test
    void describesAPropertyThatDoesNotExist() {
        assertThat(ConfigurationProblem.describe("SRCFG00050: agent.prot in test does not map to any root"))
                .startsWith("there is no property agent.prot");
    }

    @Test
    void keepsToOneLineForAnythingElse() {
        assertThat(ConfigurationProblem.describe("something else\nand more")).isEqualTo("something else");
        assertThat(ConfigurationProblem.describe("")).isEqualTo("unusable configuration");
    }
}
