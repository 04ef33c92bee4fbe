package dev.podidentity.agent.startup;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.quarkus.runtime.configuration.DisableableConfigSource;
import io.smallrye.config.ConfigMapping;
import io.smallrye.config.ConfigValidationException;
import io.smallrye.config.SmallRyeConfig;
import io.smallrye.config.SmallRyeConfigBuilder;
import io.smallrye.config.SmallRyeConfigBuilderCustomizer;
import io.smallrye.config.WithDefault;
import io.smallrye.config.common.MapBackedConfigSource;
import java.util.Map;
import java.util.Set;
import org.eclipse.microprofile.config.spi.Converter;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BuiltConfigurationTest {

    private static final String OWN_NUMBER = "example.number";

    private final BuiltConfiguration built = BuiltConfiguration.read(Build.class.getName());

    @ConfigMapping(prefix = "quarkus.example")
    interface OfQuarkus {

        @WithDefault("1")
        int number();

        @WithDefault("2")
        int other();

        @WithDefault("${java.io.tmpdir}/uploads")
        String directory();
    }

    @ConfigMapping(prefix = "example")
    interface Own {

        @WithDefault("3")
        int number();

        Word word();
    }

    record Word(String text) {}

    /** Configures the builder as the code that Quarkus generates at build time does. */
    public static final class Build implements SmallRyeConfigBuilderCustomizer {

        @Override
        public void configBuilder(SmallRyeConfigBuilder builder) {
            builder.addDefaultInterceptors()
                    .withMapping(OfQuarkus.class)
                    .withMapping(Own.class)
                    .withConverter(Word.class, 1, (Converter<Word>) Word::new)
                    .withDefaultValue("quarkus.example.other", "4")
                    .withDefaultValue("example.word", "default")
                    .withDefaultValue("quarkus.unmapped", "low")
                    .withSources(new DisableableConfigSource(
                            new MapBackedConfigSource("fixed", Map.of("quarkus.unmapped", "high"), 1) {}))
                    .withSources(new MapBackedConfigSource("usual", Map.of("quarkus.unmapped", "middle"), 0) {});
        }
    }

    @AfterEach
    void forget() {
        System.clearProperty(OWN_NUMBER);
        System.clearProperty("example.numbr");
    }

    @Test
    void hasTheValuesOfTheBuildForQuarkus() {
        OfQuarkus mapping = config(Map.of()).getConfigMapping(OfQuarkus.class);

        assertThat(mapping.number()).isEqualTo(1);
        assertThat(mapping.other()).isEqualTo(4);
        assertThat(mapping.directory()).isEqualTo("/tmp/uploads");
    }

    @Test
    void tellsThoseThatNoMappingHas() {
        assertThat(config(Map.of()).getConfigValue("quarkus.unmapped").getValue()).isEqualTo("high");
    }

    @Test
    void tellsWhatIsADefaultAndWhatIsNot() {
        SmallRyeConfig config = config(Map.of());

        assertThat(config.getConfigValue("quarkus.example.number").isDefault()).isTrue();
        assertThat(config.getConfigValue("quarkus.example.other").isDefault()).isTrue();
        assertThat(config.getConfigValue("quarkus.unmapped").isDefault()).isFalse();
    }

    @Test
    void letsWhatTheBuildHasFixedBeSwitchedOff() {
        SmallRyeConfig config = config(Map.of());

        ((DisableableConfigSource) config.getConfigSource("fixed").orElseThrow()).disable();

        assertThat(config.getConfigValue("quarkus.unmapped").getValue()).isEqualTo("middle");
    }

    @Test
    void makesTheMappingsOfQuarkusOnce() {
        assertThat(config(Map.of()).getConfigMapping(OfQuarkus.class))
                .isSameAs(config(Map.of()).getConfigMapping(OfQuarkus.class));
    }

    @Test
    void readsWhatIsTheAgentsAnew() {
        assertThat(config(Map.of()).getConfigMapping(Own.class).number()).isEqualTo(3);
        assertThat(config(Map.of("EXAMPLE_NUMBER", "5")).getConfigMapping(Own.class).number()).isEqualTo(5);

        System.setProperty(OWN_NUMBER, "6");
        assertThat(config(Map.of("EXAMPLE_NUMBER", "5")).getConfigMapping(Own.class).number()).isEqualTo(6);
    }

    @Test
    void convertsAsTheBuildSays() {
        assertThat(config(Map.of()).getConfigMapping(Own.class).word()).isEqualTo(new Word("default"));
    }

    @Test
    void reportsAPropertyOfTheAgentThatDoesNotExist() {
        System.setProperty("example.numbr", "1");

        assertThatThrownBy(() -> config(Map.of()))
                .isInstanceOf(ConfigValidationException.class)
                .hasMessageContaining("example.numbr");
    }

    @Test
    void sufficesWhereNothingOfQuarkusIsSet() {
        assertThat(BuiltConfiguration.suffices(
                Set.of("HOME", "AGENT_PORT", "KUBERNETES_SERVICE_HOST", "TEMP_DIR"),
                Set.of("agent.port", "user.dir", "io.quarkus.security.http.test-if-basic-auth-implicitly-required"))).isTrue();
    }

    @ParameterizedTest
    @ValueSource(strings = {
        "QUARKUS_LOG_LEVEL", "quarkus.log.level", "quarkus_log_level", "_PROD_QUARKUS_LOG_LEVEL", "%prod.quarkus.log.level",
        "SMALLRYE_CONFIG_PROFILE", "MP_CONFIG_PROFILE"
    })
    void doesNotSufficeWhereTheEnvironmentMaySetSome(String variable) {
        assertThat(BuiltConfiguration.suffices(Set.of("HOME", variable), Set.of())).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {"quarkus.log.level", "%prod.quarkus.log.level", "smallrye.config.profile", "mp.config.profile"})
    void doesNotSufficeWhereASystemPropertyMaySetSome(String property) {
        assertThat(BuiltConfiguration.suffices(Set.of(), Set.of("user.dir", property))).isFalse();
    }

    private SmallRyeConfig config(Map<String, String> environment) {
        SmallRyeConfigBuilder builder = new SmallRyeConfigBuilder();
        built.addTo(builder, environment);
        return builder.build();
    }
}
