package dev.podidentity.agent.startup;

import io.quarkus.runtime.ImageMode;
import io.smallrye.config.EnvConfigSource;
import io.smallrye.config.SmallRyeConfigBuilder;
import io.smallrye.config.SmallRyeConfigBuilderCustomizer;
import io.smallrye.config.SysPropConfigSource;

/**
 * Looks for no {@code application.properties} when the native executable starts: the build has put in what this project's
 * holds. Flags and the environment say the rest.
 */
public final class NoPropertyFiles implements SmallRyeConfigBuilderCustomizer {

    @Override
    public void configBuilder(SmallRyeConfigBuilder builder) {
        if (ImageMode.current() == ImageMode.NATIVE_RUN) {
            builder.setAddDefaultSources(false);
            builder.withSources(new SysPropConfigSource(), new EnvConfigSource(System.getenv(), EnvConfigSource.ORDINAL));
        }
    }

    /** After Quarkus's own, which add them. */
    @Override
    public int priority() {
        return Integer.MAX_VALUE;
    }
}
