package dev.podidentity.agent.startup;

import com.oracle.svm.core.annotate.Substitute;
import com.oracle.svm.core.annotate.TargetClass;
import io.quarkus.runtime.ValueRegistryConfigSource;
import io.quarkus.runtime.configuration.AbstractConfigBuilder;
import io.quarkus.runtime.configuration.QuarkusConfigFactory;
import io.quarkus.value.registry.ValueRegistry;
import io.smallrye.config.SmallRyeConfigBuilder;

/**
 * Reads at startup only what the build cannot know, and the full configuration only if a Quarkus setting is changed. It
 * skips Quarkus's search for unknown properties of its own in the built-in configuration, which would at most log a warning.
 * The agent's own properties are validated where they are read.
 */
@TargetClass(className = "io.quarkus.runtime.generated.Config")
final class ReadLittle {

    private ReadLittle() {}

    @Substitute
    public void readConfig(ValueRegistry registry) {
        SmallRyeConfigBuilder builder = new SmallRyeConfigBuilder();
        AbstractConfigBuilder.withCustomizer(builder, ValueRegistryConfigSource.customizer(registry));
        if (BuiltConfiguration.suffices(System.getenv().keySet(), System.getProperties().stringPropertyNames())) {
            BuiltConfiguration.OF_THIS_EXECUTABLE.addTo(builder, System.getenv());
        } else {
            AbstractConfigBuilder.withCustomizer(builder, "io.quarkus.runtime.generated.RunTimeConfig");
        }
        QuarkusConfigFactory.setConfig(builder.build());
    }
}
