package dev.podidentity.agent.startup;

import io.quarkus.runtime.ImageMode;
import io.quarkus.runtime.configuration.AbstractConfigBuilder;
import io.quarkus.runtime.configuration.QuarkusConfigBuilderCustomizer;
import io.smallrye.config.ConfigMappings.ConfigClass;
import io.smallrye.config.EnvConfigSource;
import io.smallrye.config.SmallRyeConfig;
import io.smallrye.config.SmallRyeConfigBuilder;
import io.smallrye.config.SmallRyeConfigBuilderCustomizer;
import io.smallrye.config.SysPropConfigSource;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.eclipse.microprofile.config.spi.ConfigSource;

/**
 * Quarkus's own configuration as the build leaves it, read while the native executable is built. Where neither the environment
 * nor a system property sets any of it, as nearly always, each start would read it anew to the same result, which takes nearly
 * half of the start. What is the agent's is read when it starts.
 */
final class BuiltConfiguration {

    private static final String QUARKUS = "quarkus";
    /** The roots of properties that are Quarkus's own, or decide how its configuration is read. */
    private static final List<String> ROOTS = List.of(QUARKUS, "smallrye", "mp");
    /** Starts the name of a profile, and so of a property that counts with it only. */
    private static final String PROFILE = "%";

    /** That of this executable; an empty one on a JVM. */
    static final BuiltConfiguration OF_THIS_EXECUTABLE = ImageMode.current() == ImageMode.NATIVE_BUILD
            ? read("io.quarkus.runtime.generated.RunTimeConfig")
            : new BuiltConfiguration(Map.of(), List.of(), Map.of(), Map.of(), Set.of());

    private final Map<String, String> defaults;
    /** With their names and ordinals, by which Quarkus tells what somebody has set from what the build has. */
    private final List<ConfigSource> sources;
    private final Map<?, ?> converters;
    private final Map<ConfigClass, Object> made;
    private final Set<ConfigClass> toRead;

    private BuiltConfiguration(
            Map<String, String> defaults,
            List<ConfigSource> sources,
            Map<?, ?> converters,
            Map<ConfigClass, Object> made,
            Set<ConfigClass> toRead) {
        this.defaults = defaults;
        this.sources = sources;
        this.converters = converters;
        this.made = made;
        this.toRead = toRead;
    }

    /** @param customizer the name of the class that puts together what Quarkus reads at a start */
    static BuiltConfiguration read(String customizer) {
        SmallRyeConfigBuilder builder = new SmallRyeConfigBuilder();
        AbstractConfigBuilder.withCustomizer(builder, customizer);
        WithoutSurroundings own = new WithoutSurroundings();
        SmallRyeConfig config = builder.withCustomizers(own).build();
        return new BuiltConfiguration(
                own.defaults,
                own.sources,
                new HashMap<>(builder.getConverters()),
                builder.getMappingsBuilder().getMappings().stream().collect(Collectors.toMap(
                        mapping -> mapping, mapping -> config.getConfigMapping(mapping.getType(), mapping.getPrefix()))),
                own.toRead);
    }

    /**
     * Whether this is all that there is to Quarkus's configuration.
     *
     * @param environment the names of all environment variables
     * @param properties the names of all system properties
     */
    static boolean suffices(Set<String> environment, Set<String> properties) {
        return environment.stream().noneMatch(BuiltConfiguration::isVariableOfQuarkus)
                && properties.stream().noneMatch(BuiltConfiguration::isPropertyOfQuarkus);
    }

    /** A variable may name a property in several ways, and a profile before it. */
    private static boolean isVariableOfQuarkus(String name) {
        String words = '_' + name.toLowerCase(Locale.ROOT).replace('.', '_');
        return ROOTS.stream().anyMatch(root -> words.contains('_' + root + '_'));
    }

    private static boolean isPropertyOfQuarkus(String name) {
        return name.startsWith(PROFILE) || ROOTS.stream().anyMatch(root -> name.startsWith(root + '.'));
    }

    /** Has the builder take this, and read the rest from system properties and the environment. */
    @SuppressWarnings({"rawtypes", "unchecked"})
    void addTo(SmallRyeConfigBuilder builder, Map<String, String> environment) {
        new QuarkusConfigBuilderCustomizer().configBuilder(builder);
        builder.forClassLoader(Thread.currentThread().getContextClassLoader())
                .addDefaultInterceptors()
                .withDefaultValues(defaults)
                .withSources(new SysPropConfigSource(), new EnvConfigSource(environment, EnvConfigSource.ORDINAL))
                .withSources(sources);
        // The type of the values is the library's own.
        ((Map) builder.getConverters()).putAll(converters);
        toRead.forEach(builder::withMapping);
        builder.getMappingsBuilder().getMappingsInstances().putAll(made);
    }

    /** Takes in nothing of the machine that builds, and leaves the agent's own mapping to the start. */
    private static final class WithoutSurroundings implements SmallRyeConfigBuilderCustomizer {

        private static final Predicate<ConfigClass> OF_QUARKUS = mapping -> mapping.getPrefix().startsWith(QUARKUS);

        private Map<String, String> defaults = Map.of();
        private List<ConfigSource> sources = List.of();
        private Set<ConfigClass> toRead = Set.of();

        @Override
        public void configBuilder(SmallRyeConfigBuilder builder) {
            builder.setAddDefaultSources(false);
            builder.setAddSystemSources(false);
            // As a native executable has it by itself.
            builder.withDefaultValue("java.io.tmpdir", "/tmp");
            Set<ConfigClass> mappings = builder.getMappingsBuilder().getMappings();
            toRead = mappings.stream().filter(OF_QUARKUS.negate()).collect(Collectors.toSet());
            mappings.removeAll(toRead);
            defaults = new HashMap<>(builder.getDefaultValues());
            sources = List.copyOf(builder.getSources());
        }

        /** After all others. */
        @Override
        public int priority() {
            return Integer.MAX_VALUE;
        }
    }
}
