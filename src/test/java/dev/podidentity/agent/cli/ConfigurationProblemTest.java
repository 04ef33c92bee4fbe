package dev.podidentity.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import dev.podidentity.agent.config.Checked;
import dev.podidentity.agent.config.GoDuration;
import dev.podidentity.agent.config.Verbosity;
import io.quarkus.runtime.configuration.ConfigurationException;
import io.smallrye.config.ConfigValidationException;
import io.smallrye.config.PropertiesConfigSource;
import io.smallrye.config.SmallRyeConfig;
import io.smallrye.config.SmallRyeConfigBuilder;
import java.util.Map;
import java.util.stream.Stream;
import org.eclipse.microprofile.config.spi.Converter;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class ConfigurationProblemTest {

    static Stream<Arguments> values() {
        return Stream.of(
                arguments("port", new Checked.Port(), "http", "must be a port number from 0 to 65535"),
                arguments("cluster-name", new Checked.ClusterName(), "a b",
                        "must be the name of an EKS cluster: 1 to 100 letters, digits, hyphens and underscores,"
                                + " the first a letter or a digit"),
                arguments("request-deadline", new Checked.Timeout(), "0",
                        "must be a duration of 1ms or more, such as 900ms or 5s"),
                arguments("startup-grace", new GoDuration(), "soon",
                        "must be a duration of 0 or more, such as 3h, 1h30m, 90s or 0"),
                arguments("verbosity", new Verbosity.Reader(), "loud",
                        "must be one of panic, fatal, error, warn, info, debug, trace"),
                arguments("endpoint", new Checked.Endpoint(), "a \"quoted\" one",
                        "must be an http or https URL, such as https://eks-auth.us-west-2.api.aws"));
    }

    @ParameterizedTest
    @MethodSource("values")
    void namesTheFlagOfAValueThatCannotBeUsed(String flag, Converter<?> converter, String value, String allowed) {
        // When
        Throwable failure = catchThrowable(
                () -> config(Map.of("agent." + flag, value)).getValue("agent." + flag, converter));

        // Then
        assertThat(ConfigurationProblem.in(invalid(failure))).contains("--" + flag + " " + allowed + ": \"" + value + '"');
    }

    @Test
    void namesTheFlagOfAValueThatIsMissing() {
        Throwable failure =
                catchThrowable(() -> config(Map.of()).getValue("agent.cluster-name", new Checked.ClusterName()));

        assertThat(ConfigurationProblem.in(new RuntimeException("Failed to start", invalid(failure))))
                .contains("--cluster-name is required");
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

    private static SmallRyeConfig config(Map<String, String> properties) {
        return new SmallRyeConfigBuilder()
                .withSources(new PropertiesConfigSource(properties, "test", 100))
                .build();
    }

    /** What the mapping of the configuration makes of a failure: one of a list of problems. */
    private static ConfigValidationException invalid(Throwable failure) {
        return new ConfigValidationException(
                new ConfigValidationException.Problem[] {new ConfigValidationException.Problem(failure.toString())});
    }
}
