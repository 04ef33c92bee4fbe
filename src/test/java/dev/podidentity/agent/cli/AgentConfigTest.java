package dev.podidentity.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import dev.podidentity.agent.config.AgentConfig;
import dev.podidentity.agent.config.LogFormat;
import dev.podidentity.agent.config.Verbosity;
import io.smallrye.config.PropertiesConfigSource;
import io.smallrye.config.SmallRyeConfig;
import io.smallrye.config.SmallRyeConfigBuilder;
import io.smallrye.config.WithDefault;
import java.lang.reflect.Method;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class AgentConfigTest {

    private static final Map<String, Flag> FLAGS =
            Flag.ALL.stream().collect(Collectors.toMap(Flag::name, Function.identity()));

    static Stream<Method> settings() {
        return Arrays.stream(AgentConfig.class.getDeclaredMethods()).filter(method -> !method.isSynthetic());
    }

    static List<Flag> flags() {
        return Flag.ALL;
    }

    @Test
    void hasAFlagForEverySettingAndNoOther() {
        assertThat(FLAGS.keySet())
                .containsExactlyInAnyOrderElementsOf(settings().map(method -> kebab(method.getName())).toList());
    }

    @ParameterizedTest
    @MethodSource("flags")
    void repeatsExactlyTheFlagsOfSettingsThatAreLists(Flag flag) {
        Method setting = settings()
                .filter(method -> kebab(method.getName()).equals(flag.name()))
                .findFirst()
                .orElseThrow();

        boolean list = setting.getGenericReturnType().getTypeName().contains("java.util.List");
        assertThat(flag.shape() == Flag.Shape.REPEATABLE).isEqualTo(list);
        assertThat(flag.shape() == Flag.Shape.SWITCH).isEqualTo(setting.getReturnType() == boolean.class);
    }

    @ParameterizedTest
    @MethodSource("flags")
    void checksAFlagsOwnDefault(Flag flag) {
        for (String value : flag.initial().isEmpty() ? new String[0] : flag.initial().split(",")) {
            assertThatCode(() -> flag.check().accept(value)).doesNotThrowAnyException();
        }
    }

    @Test
    void usesEachNameAndLetterOnce() {
        assertThat(Flag.ALL).extracting(Flag::name).doesNotHaveDuplicates();
        assertThat(Flag.ALL).extracting(Flag::letter).filteredOn(Optional::isPresent).doesNotHaveDuplicates();
    }

    @Test
    void hasTheDefaultsOfTheReference() {
        AgentConfig config = read(Map.of("agent.cluster-name", "prod"));

        assertThat(config.clusterName()).isEqualTo("prod");
        assertThat(config.port()).isEqualTo(80);
        assertThat(config.probePort()).isEqualTo(2703);
        assertThat(config.metricsAddress()).isEqualTo("0.0.0.0");
        assertThat(config.metricsPort()).isEqualTo(2705);
        assertThat(config.maxCredentialRetentionBeforeRenewal()).isEqualTo(Duration.ofHours(3));
        assertThat(config.maxCacheSize()).isEqualTo(2000);
        assertThat(config.maxServiceQps()).isEqualTo(3);
        assertThat(config.bindHosts()).containsExactly("169.254.170.23", "fd00:ec2::23");
        assertThat(config.rotateCredentials()).isFalse();
        assertThat(config.endpoint()).isEmpty();
        assertThat(config.verbosity()).isEqualTo(Verbosity.INFO);
    }

    @Test
    void hasTheDefaultsThatThePromisesRestOn() {
        AgentConfig config = read(Map.of("agent.cluster-name", "prod"));

        assertThat(config.logFormat()).isEqualTo(LogFormat.JSON);
        assertThat(config.audience()).isEqualTo("pods.eks.amazonaws.com");
        assertThat(config.allowedHosts()).isEmpty();
        assertThat(config.requestDeadline()).isEqualTo(Duration.ofMillis(900));
        assertThat(config.attemptTimeout()).isEqualTo(Duration.ofSeconds(5));
        assertThat(config.flightTimeout()).isEqualTo(Duration.ofSeconds(15));
        assertThat(config.sourceRequestsPerSecond()).isEqualTo(500);
        assertThat(config.sourceRequestBurst()).isEqualTo(1000);
        assertThat(config.headerTimeout()).isEqualTo(Duration.ofSeconds(10));
        assertThat(config.idleTimeout()).isEqualTo(Duration.ofSeconds(75));
    }

    @Test
    void readsWhatTheFlagsSet() {
        // Given
        Map<String, String> properties = new LinkedHashMap<>();
        new CommandLineInterface(CommandLineInterfaceTest.nowhere(), CommandLineInterfaceTest.nowhere(), Map.of()).run(
                properties::putAll, verbosity -> 1, (port, anyAgent) -> 1, request -> 1,
                "server", "-c", "prod", "-b", "127.0.0.1", "-b", "[::1]", "--rotate-credentials", "-v", "trace",
                "--max-credential-retention-before-renewal", "1h30m",
                "--allowed-hosts", "agent.internal", "--allowed-hosts", "[::1]",
                "--endpoint", "http://localhost:8080");

        // When
        AgentConfig config = read(properties);

        // Then
        assertThat(config.bindHosts()).containsExactly("127.0.0.1", "::1");
        assertThat(config.allowedHosts()).contains(List.of("agent.internal", "::1"));
        assertThat(config.rotateCredentials()).isTrue();
        assertThat(config.verbosity()).isEqualTo(Verbosity.TRACE);
        assertThat(config.maxCredentialRetentionBeforeRenewal()).isEqualTo(Duration.ofMinutes(90));
        assertThat(config.endpoint()).hasToString("Optional[http://localhost:8080]");
    }

    static AgentConfig read(Map<String, String> properties) {
        SmallRyeConfig config = new SmallRyeConfigBuilder()
                .withMapping(AgentConfig.class)
                .withSources(new PropertiesConfigSource(properties, "test", 100))
                .build();
        return config.getConfigMapping(AgentConfig.class);
    }

    private static String kebab(String name) {
        return name.replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT);
    }
}
