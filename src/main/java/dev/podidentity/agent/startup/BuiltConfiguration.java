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
 * Quarkus's own configuration, read while the native executable is built. If neither the environment nor a system property
 * changes it, which is the usual case, each start would read it again with the same result, and spend nearly half of the
 * startup time on it. The agent's own configuration is read at startup.
 */
final class BuiltConfiguration {

    private static final String QUARKUS = "quarkus";
    /** The prefixes of properties that belong to Quarkus, or that decide how its configuration is read. */
    private static final List<String> ROOTS = List.of(QUARKUS, "smallrye", "mp");
    /** Starts the name of a profile, and thus of a property that only applies to that profile. */
    private static final String PROFILE = "%";

    /** The configuration of this executable; empty on a JVM. */
    static final BuiltConfiguration OF_THIS_EXECUTABLE = ImageMode.current() == ImageMode.NATIVE_BUILD
            ? read("io.quarkus.runtime.generated.RunTimeConfig")
            : new BuiltConfiguration(Map.of(), List.of(), Map.of(), Map.of(), Set.of());

    private final Map<String, String> defaults;
    /** Kept with their names and ordinals, by which Quarkus distinguishes user settings from those of the build. */
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

    /** @param customizer the class that assembles the configuration that Quarkus reads at startup */
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
     * Returns whether this is the complete configuration of Quarkus.
     *
     * @param environment the names of all environment variables
     * @param properties the names of all system properties
     */
    static boolean suffices(Set<String> environment, Set<String> properties) {
        return environment.stream().noneMatch(BuiltConfiguration::isVariableOfQuarkus)
                && properties.stream().noneMatch(BuiltConfiguration::isPropertyOfQuarkus);
    }

    /** A variable can spell a property in several ways, and may start with a profile. */
    private static boolean isVariableOfQuarkus(String name) {
        String words = '_' + name.toLowerCase(Locale.ROOT).replace('.', '_');
        return ROOTS.stream().anyMatch(root -> words.contains('_' + root + '_'));
    }

    private static boolean isPropertyOfQuarkus(String name) {
        return name.startsWith(PROFILE) || ROOTS.stream().anyMatch(root -> name.startsWith(root + '.'));
    }

    /** Adds this configuration to the builder, which reads the rest from system properties and the environment. */
    @SuppressWarnings({"rawtypes", "unchecked"})
    void addTo(SmallRyeConfigBuilder builder, Map<String, String> environment) {
        new QuarkusConfigBuilderCustomizer().configBuilder(builder);
        builder.forClassLoader(Thread.currentThread().getContextClassLoader())
                .addDefaultInterceptors()
                .withDefaultValues(defaults)
                .withSources(new SysPropConfigSource(), new EnvConfigSource(environment, EnvConfigSource.ORDINAL))
                .withSources(sources);
        // The type of the values belongs to the library.
        ((Map) builder.getConverters()).putAll(converters);
        toRead.forEach(builder::withMapping);
        builder.getMappingsBuilder().getMappingsInstances().putAll(made);
    }

    /** Ignores the environment of the build machine, and leaves the agent's own mapping to the startup. */
    private static final class WithoutSurroundings implements SmallRyeConfigBuilderCustomizer {

        private static final Predicate<ConfigClass> OF_QUARKUS = mapping -> mapping.getPrefix().startsWith(QUARKUS);

        private Map<String, String> defaults = Map.of();
        private List<ConfigSource> sources = List.of();
        private Set<ConfigClass> toRead = Set.of();

        @Override
        public void configBuilder(SmallRyeConfigBuilder builder) {
            builder.setAddDefaultSources(false);
            builder.setAddSystemSources(false);
            // A native executable sets this itself.
            builder.withDefaultValue("java.io.tmpdir", "/tmp");
            Set<ConfigClass> mappings = builder.getMappingsBuilder().getMappings();
            toRead = mappings.stream().filter(OF_QUARKUS.negate()).collect(Collectors.toSet());
            mappings.removeAll(toRead);
            defaults = new HashMap<>(builder.getDefaultValues());
            sources = List.copyOf(builder.getSources());
        }

        /** Runs after all others. */
        @Override
        public int priority() {
            return Integer.MAX_VALUE;
        }
    }
}
