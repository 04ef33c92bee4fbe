package dev.podidentity.agent.startup;

import io.quarkus.runtime.ImageMode;
import io.smallrye.config.EnvConfigSource;
import io.smallrye.config.SmallRyeConfigBuilder;
import io.smallrye.config.SmallRyeConfigBuilderCustomizer;
import io.smallrye.config.SysPropConfigSource;

/**
 * Skips the search for {@code application.properties} when the native executable starts: the build includes this project's,
 * and flags and the environment provide the rest.
 */
public final class NoPropertyFiles implements SmallRyeConfigBuilderCustomizer {

    @Override
    public void configBuilder(SmallRyeConfigBuilder builder) {
        if (ImageMode.current() == ImageMode.NATIVE_RUN) {
            builder.setAddDefaultSources(false);
            builder.withSources(new SysPropConfigSource(), new EnvConfigSource(System.getenv(), EnvConfigSource.ORDINAL));
        }
    }

    /** Runs after Quarkus's own customizers, which add these sources. */
    @Override
    public int priority() {
        return Integer.MAX_VALUE;
    }
}
