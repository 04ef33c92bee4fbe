package dev.podidentity.agent.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import dev.podidentity.agent.config.AgentConfig;
import io.smallrye.config.WithDefault;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The flags and the configuration are written down apart; here they are held to each other. */
class AgentConfigTest {

    private static final Map<String, Flag> FLAGS =
            Flag.ALL.stream().collect(Collectors.toMap(Flag::name, Function.identity()));

    static Stream<Method> settings() {
        return Arrays.stream(AgentConfig.class.getDeclaredMethods()).filter(method -> !method.isSynthetic());
    }

    static List<Flag> flags() {
        return Flag.ALL;
    }

    @ParameterizedTest
    @MethodSource("settings")
    void hasAFlagOfTheSameNameAndDefaultForEachSetting(Method setting) {
        // Given
        WithDefault initial = setting.getAnnotation(WithDefault.class);

        // When
        Flag flag = FLAGS.get(kebab(setting.getName()));

        // Then
        assertThat(flag).isNotNull();
        assertThat(flag.initial()).isEqualTo(initial == null ? "" : initial.value());
        assertThat(flag.property()).isEqualTo("agent." + kebab(setting.getName()));
    }

    @ParameterizedTest
    @MethodSource("flags")
    void hasASettingForEachFlag(Flag flag) {
        assertThat(settings().map(method -> kebab(method.getName()))).contains(flag.name());
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

    @ParameterizedTest
    @CsvSource({
        "cluster-name, c, ''",
        "port, p, 80",
        "probe-port, '', 2703",
        "metrics-address, '', 0.0.0.0",
        "metrics-port, '', 2705",
        "max-credential-retention-before-renewal, '', 3h",
        "max-cache-size, '', 2000",
        "max-service-qps, '', 3",
        "bind-hosts, b, '169.254.170.23,[fd00:ec2::23]'",
        "rotate-credentials, '', false",
        "endpoint, '', ''",
        "verbosity, v, info"
    })
    void hasTheFlagsOfTheReferenceWithTheirDefaults(String name, String letter, String initial) {
        assertThat(FLAGS.get(name).letter().orElse("")).isEqualTo(letter);
        assertThat(FLAGS.get(name).initial()).isEqualTo(initial);
    }

    @ParameterizedTest
    @CsvSource({
        "log-format, json",
        "audience, pods.eks.amazonaws.com",
        "allowed-hosts, ''",
        "request-deadline, 900ms",
        "attempt-timeout, 5s",
        "flight-timeout, 15s",
        "source-requests-per-second, 500",
        "source-request-burst, 1000",
        "header-timeout, 10s",
        "idle-timeout, 75s"
    })
    void hasTheDefaultsThatThePromisesRestOn(String name, String initial) {
        assertThat(FLAGS.get(name).initial()).isEqualTo(initial);
    }

    private static String kebab(String name) {
        return name.replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT);
    }
}
