package dev.podidentity.agent.startup;

import com.oracle.svm.core.annotate.Substitute;
import com.oracle.svm.core.annotate.TargetClass;
import io.quarkus.runtime.ValueRegistryConfigSource;
import io.quarkus.runtime.configuration.AbstractConfigBuilder;
import io.quarkus.runtime.configuration.QuarkusConfigFactory;
import io.quarkus.value.registry.ValueRegistry;
import io.smallrye.config.SmallRyeConfigBuilder;

/**
 * Reads at a start what the build cannot know, and all of the configuration only where somebody sets some of Quarkus's. Leaves
 * out Quarkus's search for properties of its own that do not exist, among those that the build has put into the executable: it
 * would end in a warning at most. The agent's own properties are checked where they are read.
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
