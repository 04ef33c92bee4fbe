package dev.podidentity.agent.startup;

import com.oracle.svm.core.annotate.Substitute;
import com.oracle.svm.core.annotate.TargetClass;
import io.quarkus.runtime.configuration.NameIterator;

/**
 * Leaves out Quarkus's search for properties of its own that do not exist, at each start, among those that the build has
 * put into the executable: it would end in a warning at most. The agent's own properties are checked where they are read.
 */
@TargetClass(className = "io.quarkus.runtime.generated.Config")
final class NoUnknownProperties {

    private NoUnknownProperties() {}

    @Substitute
    private static boolean isMapped(NameIterator name) {
        return true;
    }
}
